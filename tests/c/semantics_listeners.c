/* Listeners (SEMANTICS 30): where they listen, whom they accept, how they stop; adopted sockets, and those that are passed on. */
#define _DEFAULT_SOURCE /* SO_REUSEPORT */
#include "streams.h"
#include <sys/resource.h>

/* ---- a server and its clients ------------------------------------------------------------------------------------------------------- */

enum { ROOM = 64 };

typedef struct shop {
    lariat_reactor *reactor;
    lariat_listener *listener;
    side sides[ROOM];
    server one;
} shop;

static void shop_open(shop *made, lariat_reactor *reactor, const char *endpoint) {
    memset(made, 0, sizeof *made);
    made->reactor = reactor;
    for (int i = 0; i < ROOM; i++) made->sides[i] = (side){.name = "one", .reactor = reactor, .echoes = 1};
    made->one = (server){made->sides, ROOM, 0, LARIAT_OK};
    made->listener = listen_at(reactor, endpoint, PLAIN, &made->one);
}

static int shop_made(const shop *one) {
    int made = 0;
    for (int i = 0; i < one->one.count; i++) made += one->sides[i].made;
    return made;
}

static int shop_lost(const shop *one) {
    int lost = 0;
    for (int i = 0; i < one->one.count; i++) lost += one->sides[i].freed;
    return lost;
}

/* All connections have come to their end. */
static void shop_close(shop *one, int connections) {
    until(one->reactor, shop_lost(one) == one->one.count);
    CHECK_INT(one->one.count, connections);
    for (int i = 0; i < connections; i++) {
        CHECK_INT(one->sides[i].freed, 1);
        CHECK_INT(one->sides[i].lost, one->sides[i].made);
        bytes_free(&one->sides[i].got);
    }
    stop_listening(one->reactor, one->listener);
    reactor_done(one->reactor);
}

static const char *where(lariat_listener *listener) {
    static char text[200];
    size_t length = 0;
    CHECK_OK(lariat_listener_address(listener, text, sizeof text, &length));
    CHECK_INT(strlen(text), length);
    return text;
}

/* An echo goes there and back. */
static void visit(shop *one, int fd) {
    CHECK(fd >= 0);
    raw_write(fd, "hello");
    raw_expect(one->reactor, fd, "hello");
    CHECK_INT(close(fd), 0);
}

static int raw_connect_v6(int port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback};
    return raw_connect_to(&address, sizeof address);
}

static void need_v6(void) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    int bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) close(fd);
    if (!bound) SKIP("::1 is not available");
}

/* ---- addresses ---------------------------------------------------------------------------------------------------------------------------- */

TEST(s30_tcp_by_ipv4_with_a_port_that_the_system_picks) {
    shop one;
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    char want[64];
    int port = lariat_listener_port(one.listener);
    CHECK(port > 0 && port < 65536);
    snprintf(want, sizeof want, "tcp://127.0.0.1:%d", port);
    CHECK_STR(where(one.listener), want);
    CHECK_STATUS(lariat_listener_address(one.listener, want, 5, NULL), LARIAT_ERR_TOO_LONG);
    CHECK_STR(want, "tcp:");
    CHECK_STATUS(lariat_listener_address(one.listener, NULL, 5, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    visit(&one, raw_connect(one.listener));
    visit(&one, raw_connect(one.listener));
    shop_close(&one, 2);
}

TEST(s30_tcp_by_localhost) {
    shop one;
    shop_open(&one, manual_reactor(), "tcp://localhost:0");
    visit(&one, raw_connect(one.listener));
    shop_close(&one, 1);
}

TEST(s30_tcp_by_ipv6) {
    need_v6();
    shop one;
    shop_open(&one, manual_reactor(), "tcp://[::1]:0");
    char want[64];
    snprintf(want, sizeof want, "tcp://[::1]:%d", lariat_listener_port(one.listener));
    CHECK_STR(where(one.listener), want);
    visit(&one, raw_connect_v6(lariat_listener_port(one.listener)));
    CHECK_INT(raw_connect_port(lariat_listener_port(one.listener)), -1);
    shop_close(&one, 1);
}

TEST(s30_a_star_is_all_addresses_of_both_families) {
    need_v6();
    shop one;
    shop_open(&one, manual_reactor(), "tcp://*:0");
    visit(&one, raw_connect(one.listener));
    visit(&one, raw_connect_v6(lariat_listener_port(one.listener)));
    shop_close(&one, 2);
}

TEST(s30_only_v6_and_only_v4) {
    need_v6();
    shop one;
    shop_open(&one, manual_reactor(), "tcp://*:0?only_v6=1");
    CHECK_INT(raw_connect_port(lariat_listener_port(one.listener)), -1);
    visit(&one, raw_connect_v6(lariat_listener_port(one.listener)));
    shop_close(&one, 1);
    shop_open(&one, manual_reactor(), "tcp4://*:0");
    CHECK_INT(raw_connect_v6(lariat_listener_port(one.listener)), -1);
    visit(&one, raw_connect(one.listener));
    shop_close(&one, 1);
    shop_open(&one, manual_reactor(), "tcp6://*:0");
    CHECK_INT(raw_connect_port(lariat_listener_port(one.listener)), -1);
    visit(&one, raw_connect_v6(lariat_listener_port(one.listener)));
    shop_close(&one, 1);
}

TEST(s30_an_address_in_use_and_one_of_somebody_else) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    int port, taken = raw_listen(&port);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    token *data = token_new("data");
    CHECK_NULL(lariat_reactor_listen_full(reactor, endpoint, &protocol, NULL, data, token_free), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK(!token_alive(data));
    CHECK(strstr(lariat_last_error_message(), endpoint + 6) != NULL);
    CHECK_NULL(lariat_reactor_listen(reactor, "tcp://192.0.2.1:0", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_NOT_AVAILABLE);
    CHECK(strstr(lariat_last_error_message(), "192.0.2.1") != NULL);
    CHECK_INT(close(taken), 0);
    reactor_done(reactor);
}

TEST(s30_endpoints_that_are_none) {
    static const char *const bad[] = {"", "tcp", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:-1", "udp://127.0.0.1:0",
                                      "gopher://127.0.0.1:0", "tcp://127.0.0.1:0?nothing=1", "tcp://127.0.0.1:0?backlog=0",
                                      "tcp://127.0.0.1:0?backlog=x", "tcp://127.0.0.1:0?mode=660", "unix://", "unix://./x?only_v6=1",
                                      "unix://./x?mode=999", "tcp://example.org:0"};
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        token *data = token_new("data");
        CHECK_NULL(lariat_reactor_listen_full(reactor, bad[i], &protocol, NULL, data, token_free), LARIAT_ERR_BAD_ENDPOINT);
        CHECK(!token_alive(data));
    }
    CHECK_NULL(lariat_reactor_listen(reactor, NULL, &protocol, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    protocol.struct_size = 3;
    CHECK_NULL(lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", &protocol, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

/* What has connected once leaves the port in the system's memory for a while. */
TEST(s30_the_same_port_again_after_connections) {
    shop one;
    char endpoint[64];
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    snprintf(endpoint, sizeof endpoint, "%s", where(one.listener));
    int fd = raw_connect(one.listener);
    until(one.reactor, shop_made(&one) == 1);
    CHECK_OK(lariat_transport_lose_connection(one.sides[0].transport)); /* we end it first: TIME_WAIT is ours */
    bytes all = {0};
    CHECK_INT(raw_end(one.reactor, fd, &all), RAW_END);
    CHECK_INT(close(fd), 0);
    shop_close(&one, 1);
    shop_open(&one, manual_reactor(), endpoint);
    visit(&one, raw_connect(one.listener));
    shop_close(&one, 1);
}

TEST(s30_reuse_port_lets_several_share) {
    lariat_reactor *reactor = manual_reactor();
    shop first, second;
    char endpoint[80];
    shop_open(&first, reactor, "tcp://127.0.0.1:0?reuse_port=1");
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d?reuse_port=1", lariat_listener_port(first.listener));
    shop_open(&second, reactor, endpoint);
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK_NULL(lariat_reactor_listen(reactor, where(first.listener), &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    for (int i = 0; i < 8; i++) visit(&first, raw_connect(first.listener));
    until(reactor, shop_lost(&first) + shop_lost(&second) == 8);
    CHECK_INT(first.one.count + second.one.count, 8);
    for (int i = 0; i < ROOM; i++) bytes_free(&second.sides[i].got);
    stop_listening(reactor, second.listener);
    shop_close(&first, first.one.count);
}

TEST(s30_the_backlog_holds_those_who_wait) {
    shop one;
    int fds[3];
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0?backlog=16");
    for (int i = 0; i < 3; i++) {
        fds[i] = raw_connect(one.listener); /* connected, before anybody has accepted */
        raw_write(fds[i], "early");
    }
    CHECK_INT(one.one.count, 0);
    for (int i = 0; i < 3; i++) raw_expect(one.reactor, fds[i], "early");
    for (int i = 0; i < 3; i++) CHECK_INT(close(fds[i]), 0);
    shop_close(&one, 3);
}

/* More than are accepted in one go. */
TEST(s30_many_at_once_are_all_accepted) {
    enum { count = 200 };
    static side sides[count];
    lariat_reactor *reactor = manual_reactor();
    server one = {sides, count, 0, LARIAT_OK};
    int fds[count], over = 0;
    for (int i = 0; i < count; i++) sides[i] = (side){.name = "one"};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    for (int i = 0; i < count; i++) fds[i] = raw_connect(listener);
    turn(reactor);
    CHECK(one.count < count); /* others have their turn in between */
    until(reactor, one.count == count);
    CHECK_INT(lariat_listener_connections(listener), count);
    for (int i = 0; i < count; i++) CHECK_INT(close(fds[i]), 0);
    until(reactor, lariat_listener_connections(listener) == 0);
    for (int i = 0; i < count; i++) over += sides[i].lost == 1 && sides[i].freed == 1;
    CHECK_INT(over, count);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

/* ---- Unix sockets ---------------------------------------------------------------------------------------------------------------------------- */

static mode_t mode_of(const char *path) {
    struct stat found;
    CHECK_INT(lstat(path, &found), 0);
    CHECK(S_ISSOCK(found.st_mode));
    return found.st_mode & 0777;
}

static int is_there(const char *path) {
    struct stat found;
    return lstat(path, &found) == 0;
}

TEST(s30_unix_path_with_a_mode_removed_with_its_listener) {
    shop one;
    shop_open(&one, manual_reactor(), "unix://./own.sock?mode=640");
    CHECK_INT(mode_of("own.sock"), 0640);
    CHECK_INT(lariat_listener_port(one.listener), 0);
    CHECK_STR(where(one.listener), "unix://./own.sock");
    visit(&one, raw_connect_path("own.sock"));
    shop_close(&one, 1);
    CHECK(!is_there("own.sock"));
}

TEST(s30_unix_path_removed_by_the_free_of_the_reactor) {
    shop one;
    shop_open(&one, manual_reactor(), "unix://./own.sock");
    CHECK(is_there("own.sock"));
    free_reactor(one.reactor);
    CHECK(!is_there("own.sock"));
}

TEST(s30_a_path_that_is_anothers_by_now_stays) {
    shop one;
    shop_open(&one, manual_reactor(), "unix://./own.sock");
    CHECK_INT(rename("own.sock", "moved.sock"), 0);
    int fd = open("own.sock", O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_INT(close(fd), 0);
    shop_close(&one, 0);
    CHECK(is_there("own.sock"));
}

static int raw_bind_path(const char *path) {
    socklen_t length;
    struct sockaddr_un address = unix_address(path, &length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), 0);
    return fd;
}

TEST(f45_a_stale_path_is_replaced) {
    shop one;
    int dead = raw_bind_path("own.sock");
    CHECK_INT(listen(dead, 1), 0);
    CHECK_INT(close(dead), 0); /* its owner has died, the file is there */
    CHECK(is_there("own.sock"));
    shop_open(&one, manual_reactor(), "unix://./own.sock");
    visit(&one, raw_connect_path("own.sock"));
    shop_close(&one, 1);
    CHECK(!is_there("own.sock"));
}

TEST(f45_a_path_where_somebody_listens_is_refused) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    int alive = raw_bind_path("own.sock");
    CHECK_INT(listen(alive, 0), 0);
    for (int i = 0; i < 3; i++) { /* also when nobody accepts, and the backlog is full */
        CHECK_NULL(lariat_reactor_listen(reactor, "unix://./own.sock", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
        CHECK(strstr(lariat_last_error_message(), "own.sock") != NULL);
    }
    CHECK(is_there("own.sock"));
    CHECK_INT(close(alive), 0);
    reactor_done(reactor);
}

TEST(f45_a_path_where_our_own_listener_listens_is_refused) {
    shop one;
    lariat_protocol protocol = side_protocol(PLAIN);
    shop_open(&one, manual_reactor(), "unix://./own.sock");
    CHECK_NULL(lariat_reactor_listen(one.reactor, "unix://./own.sock", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    visit(&one, raw_connect_path("own.sock")); /* it still works, though somebody has knocked */
    until(one.reactor, one.one.count == 2);
    shop_close(&one, 2);
}

TEST(f45_what_is_no_socket_stays) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    int fd = open("file", O_CREAT | O_WRONLY, 0600);
    CHECK_INT(close(fd), 0);
    CHECK_NULL(lariat_reactor_listen(reactor, "unix://./file", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK(is_there("file"));
    CHECK_INT(symlink("nowhere", "link"), 0);
    CHECK_NULL(lariat_reactor_listen(reactor, "unix://./link", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK(is_there("link"));
    CHECK_NULL(lariat_reactor_listen(reactor, "unix://./no/such/folder", &protocol, NULL, NULL), LARIAT_ERR_OS);
    CHECK(strstr(lariat_last_error_message(), "no/such/folder") != NULL);
    reactor_done(reactor);
}

TEST(f45_a_path_that_is_too_long) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    char endpoint[300], path[200];
    memset(path, 'x', sizeof path);
    path[107] = 0; /* as long as it may be */
    snprintf(endpoint, sizeof endpoint, "unix://%s", path);
    lariat_listener *listener = lariat_reactor_listen(reactor, endpoint, &protocol, NULL, NULL);
    if (!listener) test_fail(__FILE__, __LINE__, "107 bytes: %s", lariat_last_error_message());
    CHECK(is_there(path));
    stop_listening(reactor, listener);
    CHECK(!is_there(path));
    path[107] = 'x', path[108] = 0;
    snprintf(endpoint, sizeof endpoint, "unix://%s", path);
    CHECK_NULL(lariat_reactor_listen(reactor, endpoint, &protocol, NULL, NULL), LARIAT_ERR_BAD_ENDPOINT);
    reactor_done(reactor);
}

TEST(f45_an_abstract_name_works_and_leaves_no_file) {
#ifndef __linux__
    SKIP("abstract names are Linux's");
#else
    shop one;
    char name[64], endpoint[100];
    snprintf(name, sizeof name, "lariat-test-%d", (int)getpid());
    snprintf(endpoint, sizeof endpoint, "unix-abstract://%s", name);
    shop_open(&one, manual_reactor(), endpoint);
    CHECK_STR(where(one.listener), endpoint);
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK_NULL(lariat_reactor_listen(one.reactor, endpoint, &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    visit(&one, raw_connect_to(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))));
    CHECK(!is_there(name));
    shop_close(&one, 1);
#endif
}

TEST(s30_who_is_at_the_other_end_of_a_unix_socket) {
    shop one;
    shop_open(&one, manual_reactor(), "unix://./own.sock");
    int fd = raw_connect_path("own.sock");
    until(one.reactor, shop_made(&one) == 1);
    int64_t pid = 0, uid = 0, gid = 0;
    CHECK_OK(lariat_transport_peer_credentials(one.sides[0].transport, &pid, &uid, &gid));
    CHECK_INT(uid, getuid());
    CHECK_INT(gid, getgid());
    CHECK(pid == getpid() || pid == -1);
    CHECK_OK(lariat_transport_peer_credentials(one.sides[0].transport, NULL, NULL, NULL));
    char text[64];
    CHECK_OK(lariat_transport_peer(one.sides[0].transport, text, sizeof text, NULL));
    CHECK_STR(text, "unix://");
    CHECK_OK(lariat_transport_address(one.sides[0].transport, text, sizeof text, NULL));
    CHECK_STR(text, "unix://./own.sock");
    CHECK_INT(close(fd), 0);
    shop_close(&one, 1);
}

/* ---- descriptors go over Unix sockets ------------------------------------------------------------------------------------------------------------ */

static int raw_receive_descriptor(int fd, char *bytes, size_t room) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {bytes, room - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &message, 0);
    if (length < 0) return -2;
    bytes[length] = 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int came = -1;
    if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&came, CMSG_DATA(header), sizeof came);
    return came;
}

static void raw_send_descriptors(int fd, const char *bytes, const int *descriptors, size_t count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * 128)];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {(void *)(uintptr_t)bytes, strlen(bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    CHECK_INT(sendmsg(fd, &message, MSG_NOSIGNAL), strlen(bytes));
}

TEST(s30_a_descriptor_is_sent_with_the_next_byte) {
    for (int inside = 0; inside < 2; inside++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        int pipe_ends[2], came;
        char bytes[32];
        wire_open(&one, reactor, ADOPTED, PLAIN);
        pipe_new(pipe_ends);
        write_text(one.own.transport, "before");
        CHECK_OK(lariat_transport_send_descriptor(one.own.transport, pipe_ends[0]));
        turn(reactor);
        CHECK_INT(raw_receive_descriptor(one.peer, bytes, sizeof bytes), -1);
        CHECK_STR(bytes, "before");
        CHECK_INT(raw_receive_descriptor(one.peer, bytes, sizeof bytes), -2); /* it waits for a byte */
        CHECK_INT(close(pipe_ends[0]), 0);                                    /* the library has a copy */
        write_text(one.own.transport, "with");
        turn(reactor);
        came = raw_receive_descriptor(one.peer, bytes, sizeof bytes);
        CHECK(came >= 0);
        CHECK_STR(bytes, "with");
        write_bytes(pipe_ends[1], "p");
        CHECK_INT(read_byte(came), 'p');
        CHECK_INT(close(came), 0);
        CHECK_INT(close(pipe_ends[1]), 0);
        CHECK_STATUS(lariat_transport_send_descriptor(one.own.transport, 1000000), LARIAT_ERR_OS);
        CHECK_STATUS(lariat_transport_send_descriptor(one.own.transport, -1), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

TEST(s30_a_descriptor_that_no_byte_follows_is_closed) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    int pipe_ends[2];
    wire_open(&one, reactor, ADOPTED, PLAIN);
    pipe_new(pipe_ends);
    CHECK_OK(lariat_transport_send_descriptor(one.own.transport, pipe_ends[1]));
    CHECK_INT(close(pipe_ends[1]), 0);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    char byte;
    CHECK_INT(read(pipe_ends[0], &byte, 1), 0); /* the end: nobody holds the other end any more */
    CHECK_INT(close(pipe_ends[0]), 0);
    reactor_done(reactor);
}

static void take_all(side *own) {
    int fd;
    lariat_status status;
    while ((status = lariat_transport_take_descriptor(own->transport, &fd)) == LARIAT_OK) {
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        note("%c", read_byte(fd));
        CHECK_INT(close(fd), 0);
    }
    CHECK_STATUS(status, LARIAT_EMPTY);
}

TEST(s30_descriptors_come_with_their_byte_in_order) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {.own = {.name = "own", .is_noted = 1, .on_data = take_all}};
    int pipes[3][2], sent[3];
    wire_open(&one, reactor, ADOPTED, PLAIN);
    for (int i = 0; i < 3; i++) {
        pipe_new(pipes[i]);
        write_bytes(pipes[i][1], i == 0 ? "a" : i == 1 ? "b" : "c");
        sent[i] = pipes[i][0];
    }
    raw_send_descriptors(one.peer, "two", sent, 2);
    raw_send_descriptors(one.peer, "one", sent + 2, 1);
    raw_write(one.peer, "none");
    until(reactor, one.own.came == 10);
    CHECK_NOTES("own:made own=two a b own=one c own=none"); /* the system keeps them apart */
    CHECK_STATUS(lariat_transport_take_descriptor(one.own.transport, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    for (int i = 0; i < 3; i++) pipe_close(pipes[i]);
    CHECK_INT(close(one.peer), 0);
    one.peer = -1;
    wire_close(&one, LARIAT_CONNECTION_DONE);
    notes_clear();
    reactor_done(reactor);
}

/* The harness counts the descriptors that are open at the end. */
TEST(s30_descriptors_that_nobody_takes_are_closed) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    int pipe_ends[2], sent[50];
    wire_open(&one, reactor, ADOPTED, PLAIN);
    pipe_new(pipe_ends);
    int before = descriptors_open();
    for (int i = 0; i < 50; i++) sent[i] = pipe_ends[0];
    raw_send_descriptors(one.peer, "x", sent, 50);
    until(reactor, one.own.came == 1);
    raw_send_descriptors(one.peer, "x", sent, 50);
    until(reactor, one.own.came == 2);
    CHECK_INT(descriptors_open(), before + 64); /* as many as may wait */
    CHECK_INT(close(one.peer), 0);
    one.peer = -1;
    wire_close(&one, LARIAT_CONNECTION_DONE);
    pipe_close(pipe_ends);
    reactor_done(reactor);
}

TEST(s30_descriptors_do_not_go_over_tcp) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    int fd;
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    CHECK_STATUS(lariat_transport_send_descriptor(one.own.transport, 0), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_take_descriptor(one.own.transport, &fd), LARIAT_EMPTY);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- the descriptor of a connection, and what a client binds itself to -------------------------------------------------------------------------------- */

static int socket_option(int fd, int option) {
    int value = -1;
    socklen_t length = sizeof value;
    CHECK_INT(getsockopt(fd, SOL_SOCKET, option, &value, &length), 0);
    return value;
}

TEST(s30_a_connection_and_a_listener_tell_their_descriptors) {
    lariat_reactor *reactor = manual_reactor();
    each_way(way) {
        wire one = {0};
        int fd = -1;
        wire_open(&one, reactor, way, PLAIN);
        CHECK_OK(lariat_transport_descriptor(one.own.transport, &fd));
        CHECK_INT(socket_option(fd, SO_TYPE), SOCK_STREAM);
        CHECK_STATUS(lariat_transport_descriptor(one.own.transport, NULL), LARIAT_ERR_INVALID_ARGUMENT);
        if (one.listener) {
            CHECK_OK(lariat_listener_descriptor(one.listener, &fd));
            CHECK_INT(socket_option(fd, SO_ACCEPTCONN), 1);
            CHECK_STATUS(lariat_listener_descriptor(one.listener, NULL), LARIAT_ERR_INVALID_ARGUMENT);
        }
        CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        CHECK_STATUS(lariat_transport_descriptor(one.own.transport, &fd), LARIAT_ERR_CLOSED);
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    }
    reactor_done(reactor);
}

static void check_bound_with(const char *options, int reuse_address, int reuse_port) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "own", .reactor = reactor};
    lariat_protocol protocol = side_protocol(PLAIN);
    int port, fd, listening = raw_listen(&port), peer = -1;
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d?bind=127.0.0.1:0%s", port, options);
    CHECK_OK(lariat_deferred_release(lariat_reactor_connect(reactor, endpoint, &protocol, &own)));
    until(reactor, (peer = raw_accept(listening)) >= 0);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_descriptor(own.transport, &fd));
    CHECK_INT(socket_option(fd, SO_REUSEADDR), reuse_address);
#ifdef SO_REUSEPORT
    CHECK_INT(socket_option(fd, SO_REUSEPORT), reuse_port);
#else
    (void)reuse_port;
#endif
    CHECK_OK(lariat_transport_abort_connection(own.transport));
    until(reactor, own.lost);
    close(peer);
    close(listening);
    notes_clear();
    reactor_done(reactor);
}

TEST(s30_a_client_shares_what_it_binds_itself_to_as_it_is_told) {
    check_bound_with("", 1, 0);
    check_bound_with("&reuse_address=0", 0, 0);
    check_bound_with("&reuse_address=0&reuse_port=1", 0, 1);
}

/* ---- sockets of the host that are connected here, and peers that are turned away -------------------------------------------------------------------- */

static lariat_protocol bare_protocol(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    return protocol;
}

TEST(s30_a_socket_that_was_made_elsewhere_connects) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "own", .reactor = reactor};
    lariat_protocol protocol = side_protocol(PLAIN), none = bare_protocol();
    int port, fd = -1, listening = raw_listen(&port), peer = -1, mine = socket(AF_INET, SOCK_STREAM, 0);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    CHECK(lariat_reactor_connect_socket(reactor, mine, "tcp://name.test:80", &none, NULL) == NULL);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_BAD_ENDPOINT);
    CHECK(lariat_reactor_connect_socket(reactor, mine, "tcp://127.0.0.1:80?bind=127.0.0.1:0", &none, NULL) == NULL);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_BAD_ENDPOINT);
    CHECK(lariat_reactor_connect_socket(reactor, listening, endpoint, &none, NULL) == NULL);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_deferred_release(lariat_reactor_connect_socket(reactor, mine, endpoint, &protocol, &own)));
    until(reactor, (peer = raw_accept(listening)) >= 0);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_descriptor(own.transport, &fd));
    CHECK_INT(fd, mine);
    CHECK(lariat_reactor_connect_socket(reactor, peer, endpoint, &none, NULL) == NULL); /* it is connected */
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_transport_abort_connection(own.transport));
    until(reactor, own.lost);
    close(peer);
    close(listening);
    notes_clear();
    reactor_done(reactor);
}

/* The harness counts the descriptors that are open at the end: the library has closed the socket. */
TEST(s30_a_socket_that_was_made_elsewhere_is_refused_and_closed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol none = bare_protocol();
    int port, listening = raw_listen(&port), mine = socket(AF_INET, SOCK_STREAM, 0);
    char endpoint[64];
    close(listening);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    lariat_deferred *connecting = lariat_reactor_connect_socket(reactor, mine, endpoint, &none, NULL);
    until(reactor, lariat_deferred_called(connecting) == 1);
    const lariat_failure *failure;
    void *value;
    CHECK_OK(lariat_deferred_result(connecting, &value, &failure));
    CHECK_STATUS(lariat_failure_code(failure), LARIAT_ERR_CONNECTION_REFUSED);
    CHECK_OK(lariat_deferred_release(connecting));
    CHECK_INT(fcntl(mine, F_GETFD), -1);
    notes_clear();
    reactor_done(reactor);
}

TEST(s30_who_comes_when_no_descriptors_are_left_is_turned_away_if_that_is_asked_for) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol none = bare_protocol();
    lariat_listener *listener = lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", &none, NULL, NULL);
    CHECK_STATUS(lariat_listener_set_turns_away(listener, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_listener_set_turns_away(listener, 1));
    int peers[3], taken[4096], count = 0;
    for (int i = 0; i < 3; i++) peers[i] = raw_connect(listener);
    struct rlimit limit, low;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){128, limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
    while ((taken[count] = dup(peers[0])) >= 0) count++;
    char byte;
    for (int i = 0; i < 3; i++) {
        ssize_t got;
        until(reactor, (got = read(peers[i], &byte, 1)) >= 0 || errno != EAGAIN);
        CHECK(got == 0 || errno == ECONNRESET);
    }
    CHECK_INT(lariat_listener_connections(listener), 0);
    CHECK_OK(lariat_listener_set_turns_away(listener, 0));
    while (count--) close(taken[count]);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < 3; i++) close(peers[i]);
    lariat_deferred *stopped = lariat_listener_stop(listener);
    CHECK_STATUS(lariat_listener_set_turns_away(listener, 1), LARIAT_ERR_CLOSED);
    until(reactor, lariat_deferred_called(stopped) == 1);
    CHECK_OK(lariat_deferred_release(stopped));
    notes_clear();
    reactor_done(reactor);
}

/* ---- the build function ------------------------------------------------------------------------------------------------------------------------------ */

static side built;
static lariat_status build_answer;
static lariat_deferred *build_stopped;

static lariat_status build_writes(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    CHECK_STR(user_data, "data");
    CHECK(*self == NULL);
    write_text(transport, "built ");
    *self = &built;
    note("build");
    return build_answer;
}

static void greet(side *own) { write_text(own->transport, "made"); }

static lariat_listener *listen_building(lariat_reactor *reactor, lariat_build_protocol_fn build) {
    lariat_protocol protocol = side_protocol(PLAIN);
    built = (side){.name = "built", .is_noted = 1, .on_made = greet};
    lariat_listener *listener = lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", &protocol, build, "data");
    CHECK(listener != NULL);
    return listener;
}

TEST(s30_the_build_function_may_write) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_building(reactor, build_writes);
    int fd = raw_connect(listener);
    raw_expect(reactor, fd, "built made");
    CHECK_INT(close(fd), 0);
    until(reactor, built.freed);
    CHECK_NOTES("build built:made built!CONNECTION_DONE free:built");
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(s30_the_build_function_may_refuse) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_building(reactor, build_writes);
    for (int i = 0; i < 3; i++) {
        build_answer = i == 0 ? LARIAT_ERR_LIMIT : i == 1 ? 1 : -1000; /* anything but LARIAT_OK */
        int fd = raw_connect(listener);
        bytes all = {0};
        CHECK(raw_end(reactor, fd, &all) != RAW_OPEN);
        bytes_free(&all);
        CHECK_INT(close(fd), 0);
        until(reactor, lariat_listener_connections(listener) == 0);
        CHECK_NOTES("build"); /* nothing of it is called, what it gave is its own */
        CHECK_INT(built.freed, 0);
    }
    build_answer = LARIAT_OK;
    int fd = raw_connect(listener);
    raw_expect(reactor, fd, "built made");
    CHECK_INT(close(fd), 0);
    until(reactor, built.freed);
    CHECK_NOTES("build built:made built!CONNECTION_DONE free:built");
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

static lariat_status build_loses(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    build_writes(listener, transport, self, user_data);
    CHECK_OK(lariat_transport_lose_connection(transport));
    return LARIAT_OK;
}

TEST(s30_the_build_function_may_lose_the_connection) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_building(reactor, build_loses);
    int fd = raw_connect(listener);
    bytes all = {0};
    CHECK_INT(raw_end(reactor, fd, &all), RAW_END);
    CHECK_STR(bytes_text(&all), "built made");
    bytes_free(&all);
    CHECK_INT(close(fd), 0);
    until(reactor, built.freed);
    CHECK_NOTES("build built:made built!CONNECTION_DONE free:built");
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

static lariat_status build_aborts(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    build_writes(listener, transport, self, user_data);
    CHECK_OK(lariat_transport_abort_connection(transport));
    CHECK_STATUS(lariat_transport_write(transport, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    return LARIAT_OK;
}

/* There was no connection_made, so there is no connection_lost; self is freed. */
TEST(s30_the_build_function_may_abort_the_connection) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_building(reactor, build_aborts);
    int fd = raw_connect(listener);
    bytes all = {0};
    CHECK_INT(raw_end(reactor, fd, &all), ECONNRESET);
    CHECK_INT(close(fd), 0);
    until(reactor, built.freed);
    until(reactor, lariat_listener_connections(listener) == 0);
    CHECK_NOTES("build free:built");
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

static lariat_status build_stops(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    build_writes(listener, transport, self, user_data);
    build_stopped = lariat_listener_stop(listener);
    end_with_note(build_stopped, "stopped");
    CHECK_NULL(lariat_listener_stop(listener), LARIAT_ERR_CLOSED);
    return LARIAT_OK;
}

TEST(s30_the_build_function_may_stop_the_listener) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_building(reactor, build_stops);
    int fd = raw_connect(listener), late = raw_connect(listener);
    raw_expect(reactor, fd, "built made");
    bytes all = {0};
    CHECK(raw_end(reactor, late, &all) != RAW_OPEN); /* accepted by nobody */
    CHECK_INT(all.length, 0);
    CHECK_INT(close(late), 0);
    CHECK_NOTES("build built:made stopped=-");
    CHECK_INT(close(fd), 0);
    until(reactor, built.freed);
    CHECK_NOTES("built!CONNECTION_DONE free:built");
    reactor_done(reactor);
}

/* Without a build function self is the user data, whose end is the listener's and its connections'. */
TEST(s30_without_a_build_function_self_is_the_user_data) {
    for (int first = 0; first < 2; first++) {
        lariat_reactor *reactor = manual_reactor();
        side own = {.name = "own"};
        lariat_protocol protocol = side_protocol(PLAIN);
        lariat_listener *listener = lariat_reactor_listen_full(reactor, "tcp://127.0.0.1:0", &protocol, NULL, &own, side_free);
        int fd = raw_connect(listener);
        raw_write(fd, "x");
        until(reactor, own.came == 1);
        if (first) stop_listening(reactor, listener);
        turns(reactor, 2);
        CHECK_INT(own.freed, 0); /* the connection has it, or the listener */
        CHECK_INT(close(fd), 0);
        until(reactor, own.lost);
        if (!first) {
            turns(reactor, 2);
            CHECK_INT(own.freed, 0);
            stop_listening(reactor, listener);
        }
        until(reactor, own.freed);
        side_over(&own, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

static lariat_status build_from_token(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    (void)transport;
    CHECK(token_alive(user_data));
    *self = &built;
    return LARIAT_OK;
}

TEST(s30_user_data_of_a_build_function_is_freed_with_the_listener) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    token *data = token_new("data");
    built = (side){.name = "built"};
    lariat_listener *listener =
        lariat_reactor_listen_full(reactor, "tcp://127.0.0.1:0", &protocol, build_from_token, data, token_free);
    CHECK(listener != NULL);
    int fd = raw_connect(listener);
    until(reactor, built.made);
    stop_listening(reactor, listener);
    CHECK(!token_alive(data)); /* the connection does not need it */
    CHECK_INT(built.lost, 0);
    CHECK_INT(close(fd), 0);
    until(reactor, built.freed);
    side_over(&built, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- limits and pauses -------------------------------------------------------------------------------------------------------------------------- */

TEST(s30_a_paused_listener_accepts_nobody) {
    shop one;
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    CHECK_OK(lariat_listener_pause(one.listener));
    int early = raw_connect(one.listener);
    raw_write(early, "waits");
    turns(one.reactor, 5);
    CHECK_INT(one.one.count, 0);
    CHECK_OK(lariat_listener_resume(one.listener));
    raw_expect(one.reactor, early, "waits");
    CHECK_OK(lariat_listener_pause(one.listener));
    raw_write(early, "lives"); /* its connections are not paused */
    raw_expect(one.reactor, early, "lives");
    CHECK_INT(close(early), 0);
    CHECK_OK(lariat_listener_resume(one.listener));
    CHECK_OK(lariat_listener_resume(one.listener));
    visit(&one, raw_connect(one.listener));
    shop_close(&one, 2);
}

TEST(s30_a_limit_of_connections) {
    shop one;
    int fds[4];
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    CHECK_OK(lariat_listener_set_max_connections(one.listener, 2));
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_connect(one.listener);
        raw_write(fds[i], "x");
    }
    turns(one.reactor, 5);
    CHECK_INT(one.one.count, 2); /* the others wait */
    CHECK_INT(lariat_listener_connections(one.listener), 2);
    CHECK_INT(close(fds[0]), 0);
    until(one.reactor, one.one.count == 3);
    turns(one.reactor, 5);
    CHECK_INT(one.one.count, 3);
    CHECK_OK(lariat_listener_set_max_connections(one.listener, 3));
    until(one.reactor, one.one.count == 4);
    CHECK_OK(lariat_listener_set_max_connections(one.listener, 1)); /* those that are there stay */
    turns(one.reactor, 3);
    CHECK_INT(lariat_listener_connections(one.listener), 3);
    CHECK_OK(lariat_listener_set_max_connections(one.listener, 0));
    for (int i = 1; i < 4; i++) CHECK_INT(close(fds[i]), 0);
    shop_close(&one, 4);
}

TEST(s30_a_limit_of_connections_from_one_address) {
    shop one;
    int fds[2];
    bytes all = {0};
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    CHECK_OK(lariat_listener_set_max_connections_per_peer(one.listener, 2));
    for (int i = 0; i < 2; i++) fds[i] = raw_connect(one.listener);
    until(one.reactor, shop_made(&one) == 2);
    int more = raw_connect(one.listener);
    CHECK_INT(raw_end(one.reactor, more, &all), RAW_END); /* closed at once */
    CHECK_INT(close(more), 0);
    CHECK_INT(one.one.count, 2);
    CHECK_INT(lariat_listener_connections(one.listener), 2);
    /* Another address of this host is another peer. */
    struct sockaddr_in own = loopback(0), to = loopback(lariat_listener_port(one.listener));
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(other, (struct sockaddr *)&own, sizeof own) == 0) {
        CHECK_INT(connect(other, (struct sockaddr *)&to, sizeof to), 0);
        until(one.reactor, shop_made(&one) == 3);
    }
    CHECK_INT(close(other), 0);
    int count = one.one.count;
    raw_reset(fds[0]); /* however it ends, there is room for another */
    until(one.reactor, one.sides[0].freed);
    visit(&one, raw_connect(one.listener));
    CHECK_INT(close(fds[1]), 0);
    shop_close(&one, count + 1);
}

/* ---- stopping -------------------------------------------------------------------------------------------------------------------------------------- */

TEST(s30_stopped_it_accepts_nothing_and_its_connections_live_on) {
    shop one;
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    int port = lariat_listener_port(one.listener), fd = raw_connect(one.listener);
    until(one.reactor, shop_made(&one) == 1);
    int late = raw_connect(one.listener); /* in the backlog when it is stopped */
    lariat_deferred *stopped = lariat_listener_stop(one.listener);
    end_with_note(stopped, "stopped");
    CHECK_NOTES(""); /* not from inside */
    CHECK_INT(raw_connect_port(port), -1);
    CHECK_INT(errno, ECONNREFUSED);
    /* Good until the Deferred has fired. */
    CHECK_INT(lariat_listener_port(one.listener), port);
    CHECK_NULL(lariat_listener_stop(one.listener), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_listener_pause(one.listener), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_listener_resume(one.listener), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_listener_set_max_connections(one.listener, 1), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_listener_set_max_connections_per_peer(one.listener, 1), LARIAT_ERR_CLOSED);
    turns(one.reactor, 3);
    CHECK_NOTES("stopped=-");
    CHECK_STATUS(lariat_listener_port(one.listener), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_listener_stop(one.listener), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(one.one.count, 1);
    bytes all = {0};
    CHECK(raw_end(one.reactor, late, &all) != RAW_OPEN);
    CHECK_INT(close(late), 0);
    raw_write(fd, "still here");
    raw_expect(one.reactor, fd, "still here");
    CHECK(lariat_transport_listener(one.sides[0].transport) != NULL); /* stale, but told */
    CHECK_STATUS(lariat_listener_port(lariat_transport_listener(one.sides[0].transport)), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(close(fd), 0);
    until(one.reactor, one.sides[0].freed);
    bytes_free(&one.sides[0].got);
    reactor_done(one.reactor);
}

TEST(s30_cancelling_the_stop_changes_nothing) {
    shop one;
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    lariat_deferred *stopped = lariat_listener_stop(one.listener);
    CHECK_OK(lariat_deferred_add_both(stopped, note_end, "stopped"));
    CHECK_OK(lariat_deferred_cancel(stopped));
    CHECK_OK(lariat_deferred_release(stopped));
    turns(one.reactor, 3);
    CHECK(noted("stopped"));
    notes_clear();
    CHECK_STATUS(lariat_listener_port(one.listener), LARIAT_ERR_STALE_HANDLE);
    reactor_done(one.reactor);
}

TEST(s30_stopped_while_somebody_waits_in_the_same_turn) {
    shop one;
    shop_open(&one, manual_reactor(), "unix://./own.sock");
    int fd = raw_connect_path("own.sock");
    CHECK_OK(lariat_deferred_release(lariat_listener_stop(one.listener)));
    CHECK(!is_there("own.sock")); /* at once: another may listen there */
    shop next;
    shop_open(&next, one.reactor, "unix://./own.sock");
    turns(one.reactor, 3);
    CHECK_INT(one.one.count, 0);
    CHECK(is_there("own.sock")); /* the next one's */
    CHECK_INT(close(fd), 0);
    shop_close(&next, 0);
}

TEST(s30_the_free_of_the_reactor_fires_a_stop) {
    shop one;
    shop_open(&one, manual_reactor(), "tcp://127.0.0.1:0");
    end_with_note(lariat_listener_stop(one.listener), "stopped");
    free_reactor(one.reactor);
    CHECK_NOTES("stopped=-");
}

/* ---- adopted sockets ---------------------------------------------------------------------------------------------------------------------------------- */

TEST(s30_an_adopted_listener) {
    lariat_reactor *reactor = manual_reactor();
    int port, fd = raw_listen(&port);
    CHECK_INT(fcntl(fd, F_SETFL, 0), 0); /* it blocks, and is inherited: both are seen to */
    CHECK_INT(fcntl(fd, F_SETFD, 0), 0);
    side own = {.name = "own", .echoes = 1};
    server one = {&own, 1, 0, LARIAT_OK};
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_listener *listener = lariat_reactor_adopt_listener(reactor, fd, &protocol, server_build, &one);
    if (!listener) test_fail(__FILE__, __LINE__, "cannot adopt: %s", lariat_last_error_message());
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(lariat_listener_port(listener), port);
    int peer = raw_connect(listener);
    raw_write(peer, "hello");
    raw_expect(reactor, peer, "hello");
    CHECK_INT(close(peer), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    stop_listening(reactor, listener);
    CHECK(!descriptor_is_open(fd)); /* it was the library's */
    reactor_done(reactor);
}

TEST(s30_an_adopted_unix_listener_leaves_the_file_to_its_maker) {
    lariat_reactor *reactor = manual_reactor();
    int fd = raw_bind_path("own.sock");
    CHECK_INT(listen(fd, 5), 0);
    side own = {.name = "own", .echoes = 1};
    server one = {&own, 1, 0, LARIAT_OK};
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_listener *listener = lariat_reactor_adopt_listener(reactor, fd, &protocol, server_build, &one);
    CHECK(listener != NULL);
    int peer = raw_connect_path("own.sock");
    raw_write(peer, "hello");
    raw_expect(reactor, peer, "hello");
    CHECK_OK(lariat_transport_send_descriptor(own.transport, 0)); /* a Unix socket, it is known */
    CHECK_INT(close(peer), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    stop_listening(reactor, listener);
    CHECK(is_there("own.sock"));
    reactor_done(reactor);
}

TEST(s30_adoption_refused_leaves_the_descriptor) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    int pair[2], port, listening = raw_listen(&port), pipe_ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pipe_new(pipe_ends);
    int datagrams = socket(AF_INET, SOCK_DGRAM, 0), fresh = socket(AF_INET, SOCK_STREAM, 0), file = open(".", O_RDONLY);
    const int no_listener[] = {pair[0], pipe_ends[0], datagrams, fresh, file}, no_stream[] = {listening, pipe_ends[0], datagrams, fresh, file};
    for (size_t i = 0; i < 5; i++) {
        token *data = token_new("data");
        side own = {.name = "own"};
        int flags = fcntl(no_listener[i], F_GETFL);
        CHECK_PTR(lariat_reactor_adopt_listener_full(reactor, no_listener[i], &protocol, NULL, data, token_free), NULL);
        CHECK_EITHER(lariat_last_error(), LARIAT_ERR_INVALID_ARGUMENT, LARIAT_ERR_OS);
        CHECK(!token_alive(data));
        CHECK_INT(fcntl(no_listener[i], F_GETFL), flags); /* untouched */
        flags = fcntl(no_stream[i], F_GETFL);
        CHECK_PTR(lariat_reactor_adopt_stream(reactor, no_stream[i], &protocol, &own), NULL);
        CHECK_EITHER(lariat_last_error(), LARIAT_ERR_INVALID_ARGUMENT, LARIAT_ERR_OS);
        CHECK_INT(own.freed, 1);
        CHECK_INT(fcntl(no_stream[i], F_GETFL), flags);
    }
    /* The header says which error it is for what is something else. */
    CHECK_NULL(lariat_reactor_adopt_stream(reactor, pipe_ends[0], &protocol, &(side){.name = "own"}), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_adopt_listener(reactor, pipe_ends[0], &protocol, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_adopt_stream(reactor, -1, &protocol, &(side){.name = "own"}), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_PTR(lariat_reactor_adopt_stream(reactor, 1000000, &protocol, &(side){.name = "own"}), NULL);
    for (size_t i = 0; i < 5; i++) CHECK(descriptor_is_open(no_listener[i]));
    CHECK(descriptor_is_open(listening));
    pipe_close(pipe_ends);
    pipe_close(pair);
    CHECK_INT(close(datagrams), 0);
    CHECK_INT(close(fresh), 0);
    CHECK_INT(close(file), 0);
    CHECK_INT(close(listening), 0);
    reactor_done(reactor);
}

TEST(s30_an_adopted_stream_is_told_by_the_loop) {
    lariat_reactor *reactor = manual_reactor();
    int pair[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    side own = {.name = "own", .is_noted = 1};
    lariat_protocol protocol = side_protocol(PLAIN);
    raw_write(pair[1], "early");
    lariat_transport *transport = lariat_reactor_adopt_stream(reactor, pair[0], &protocol, &own);
    CHECK(transport != NULL);
    CHECK_NOTES(""); /* not from inside */
    turns(reactor, 2);
    CHECK_NOTES("own:made own=early");
    CHECK_OK(lariat_transport_lose_connection(transport));
    turns(reactor, 2);
    CHECK_NOTES("own!CONNECTION_DONE free:own");
    CHECK(!descriptor_is_open(pair[0]));
    CHECK_INT(close(pair[1]), 0);
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* Before connection_made it can be written to, and told to end. */
TEST(s30_an_adopted_stream_may_be_written_to_at_once) {
    for (int large = 0; large < 2; large++) for (int lose = 0; lose < 3; lose++) {
        lariat_reactor *reactor = manual_reactor();
        int pair[2];
        size_t length = large ? 100000 : 100;
        uint8_t *data = pattern_new(length, 1);
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        not_blocking(pair[1]);
        side own = {.name = "own"};
        lariat_protocol protocol = side_protocol(HALF);
        lariat_transport *transport = lariat_reactor_adopt_stream(reactor, pair[0], &protocol, &own);
        CHECK_OK(lariat_transport_write(transport, data, length));
        if (lose == 1) CHECK_OK(lariat_transport_lose_connection(transport));
        if (lose == 2) CHECK_OK(lariat_transport_lose_write_connection(transport));
        bytes all = {0};
        until(reactor, (raw_read(pair[1], &all), all.length == length));
        CHECK_PATTERN(all.data, length, 1);
        if (lose) CHECK_INT(raw_end(reactor, pair[1], &all), RAW_END);
        CHECK_INT(own.made, 1);
        CHECK_INT(close(pair[1]), 0);
        until(reactor, own.freed);
        CHECK_INT(own.read_lost, lose != 1); /* not read any more after lose_connection */
        side_over(&own, LARIAT_CONNECTION_DONE);
        bytes_free(&all);
        free(data);
        reactor_done(reactor);
    }
}

TEST(s30_an_adopted_stream_ended_before_it_was_told) {
    for (int how = 0; how < 3; how++) {
        lariat_reactor *reactor = manual_reactor();
        int pair[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        side own = {.name = "own", .is_noted = 1};
        lariat_protocol protocol = side_protocol(PLAIN);
        lariat_transport *transport = lariat_reactor_adopt_stream(reactor, pair[0], &protocol, &own);
        if (how == 0) CHECK_OK(lariat_transport_abort_connection(transport));
        if (how == 1) CHECK_OK(lariat_transport_fail_connection(transport, 7, NULL));
        if (how == 2) free_reactor(reactor);
        else turns(reactor, 3);
        CHECK_NOTES("free:own"); /* nothing was made, so nothing is lost */
        CHECK(!descriptor_is_open(pair[0]));
        CHECK_INT(close(pair[1]), 0);
        if (how != 2) reactor_done(reactor);
    }
}

/* ---- sockets that systemd passes ------------------------------------------------------------------------------------------------------------------------- */

/* The first is always descriptor 3: what is there is moved away for the time of the case. */
static int moved;

static void pass_sockets(int first, int second, const char *names) {
    char number[32];
    moved = fcntl(3, F_DUPFD, 100);
    int moved_next = fcntl(4, F_DUPFD, 100);
    if (moved_next >= 0) test_fail(__FILE__, __LINE__, "descriptor 4 is in use");
    CHECK_INT(dup2(first, 3), 3);
    CHECK_INT(dup2(second, 4), 4);
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDS", "2", 1);
    if (names) setenv("LISTEN_FDNAMES", names, 1);
    else unsetenv("LISTEN_FDNAMES");
}

static int high(int fd) {
    int copy = fcntl(fd, F_DUPFD, 50);
    CHECK_INT(close(fd), 0);
    return copy;
}

static void systemd(const char *first_name, const char *second_name, const char *names) {
    int ports[2], fds[2];
    for (int i = 0; i < 2; i++) fds[i] = high(raw_listen(&ports[i]));
    pass_sockets(fds[0], fds[1], names);
    lariat_reactor *reactor = manual_reactor();
    side sides[2] = {{.name = "first", .echoes = 1}, {.name = "second", .echoes = 1}};
    server one[2] = {{&sides[0], 1, 0, LARIAT_OK}, {&sides[1], 1, 0, LARIAT_OK}};
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_listener *listeners[2];
    for (int i = 0; i < 2; i++) {
        CHECK_INT(close(fds[i]), 0);
        listeners[i] = listen_at(reactor, i ? second_name : first_name, PLAIN, &one[i]);
        CHECK_INT(lariat_listener_port(listeners[i]), ports[i]);
        CHECK_NULL(lariat_reactor_listen(reactor, i ? second_name : first_name, &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    }
    CHECK_NULL(lariat_reactor_listen(reactor, "systemd://2", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_NOT_AVAILABLE);
    CHECK_NULL(lariat_reactor_listen(reactor, "systemd://other", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_NOT_AVAILABLE);
    CHECK(strstr(lariat_last_error_message(), "systemd://other") != NULL);
    for (int i = 0; i < 2; i++) {
        int peer = raw_connect(listeners[i]);
        raw_write(peer, "hello");
        raw_expect(reactor, peer, "hello");
        CHECK_INT(close(peer), 0);
        until(reactor, sides[i].freed);
        side_over(&sides[i], LARIAT_CONNECTION_DONE);
        stop_listening(reactor, listeners[i]);
        CHECK(!descriptor_is_open(3 + i));
    }
    reactor_done(reactor);
    if (moved >= 0) {
        CHECK_INT(dup2(moved, 3), 3);
        CHECK_INT(close(moved), 0);
    }
}

TEST(s30_systemd_by_place) { systemd("systemd://0", "systemd://1", NULL); }
TEST(s30_systemd_by_name) { systemd("systemd://web", "systemd://admin", "web:admin"); }

TEST(s30_systemd_for_another_process_is_not_ours) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    setenv("LISTEN_FDS", "1", 1);
    for (int i = 0; i < 3; i++) {
        if (i == 0) unsetenv("LISTEN_PID");
        else setenv("LISTEN_PID", i == 1 ? "1" : "x", 1);
        CHECK_NULL(lariat_reactor_listen(reactor, "systemd://0", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_NOT_AVAILABLE);
        CHECK_NULL(lariat_reactor_listen(reactor, "systemd://", &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_NOT_AVAILABLE);
    }
    reactor_done(reactor);
}

/* What is passed but is no listening socket is refused, and can be asked for again. */
TEST(s30_systemd_passes_something_else) {
    int pipe_ends[2];
    pipe_new(pipe_ends);
    for (int i = 0; i < 2; i++) pipe_ends[i] = high(pipe_ends[i]);
    pass_sockets(pipe_ends[0], pipe_ends[1], NULL);
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    for (int i = 0; i < 2; i++) CHECK_NULL(lariat_reactor_listen(reactor, "systemd://0", &protocol, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(descriptor_is_open(3));
    CHECK_INT(close(4), 0);
    if (moved >= 0) {
        CHECK_INT(dup2(moved, 3), 3);
        CHECK_INT(close(moved), 0);
    } else CHECK_INT(close(3), 0);
    pipe_close(pipe_ends);
    reactor_done(reactor);
}
