/* Datagram ports and what the system has for them: families of addresses, Unix sockets, full buffers, options, groups, sockets that
 * were made elsewhere. */
#ifdef _WIN32
#include "harness.h"
TEST(datagrams_are_tested_on_unix) { SKIP("these cases use sockets of POSIX"); }
#else
#include "datagrams.h"

/* ---- families ---- */

TEST(datagrams_of_ipv6) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://[::1]:0", "a");
    int end = other_end(AF_INET6);
    put(end, AF_INET6, lariat_datagram_port_number(port), "six", 3);
    turn_until(reactor, "a<six");
    CHECK_NOTES("a<six");
    CHECK_INT(last_peer.family, LARIAT_ADDRESS_IPV6);
    CHECK(strncmp(address_text(&last_peer), "udp://[::1]:", 12) == 0);
    CHECK(strncmp(port_text(port), "udp://[::1]:", 12) == 0);
    send_text_to(port, "reply", &last_peer);
    CHECK_STR(get_text(end), "reply");
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

static void check_both_families(const char *endpoint) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, endpoint, "a");
    int four = other_end(AF_INET), six = other_end(AF_INET6);
    put_text(four, port, "four");
    turn_until(reactor, "a<four");
    CHECK_INT(last_peer.family, LARIAT_ADDRESS_IPV4); /* what it is, not IPv6 around it */
    CHECK_STR(address_text(&last_peer), endpoint_of(four));
    send_text_to(port, "to four", &last_peer);
    CHECK_STR(get_text(four), "to four");
    put(six, AF_INET6, lariat_datagram_port_number(port), "six", 3);
    turn_until(reactor, "a<six");
    CHECK_INT(last_peer.family, LARIAT_ADDRESS_IPV6);
    send_text_to(port, "to six", &last_peer);
    CHECK_STR(get_text(six), "to six");
    CHECK_OK(lariat_datagram_port_set_time_to_live(port, 9));
    CHECK_OK(lariat_datagram_port_set_type_of_service(port, 0x28));
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(four)));
    send_text(port, "connected");
    CHECK_STR(get_text(four), "connected");
    CHECK_NOTES("a<four a<six");
    stop_port(reactor, port);
    close(four);
    close(six);
    reactor_done(reactor);
}

TEST(datagrams_a_port_tells_its_descriptor) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int fd = -1, type = -1;
    socklen_t length = sizeof type;
    CHECK_OK(lariat_datagram_port_descriptor(port, &fd));
    CHECK_INT(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length), 0);
    CHECK_INT(type, SOCK_DGRAM);
    CHECK_STATUS(lariat_datagram_port_descriptor(port, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    stop_port(reactor, port);
    reactor_done(reactor);
}

TEST(datagrams_a_port_of_all_addresses_is_of_both_families) { check_both_families("udp://*:0"); }
TEST(datagrams_a_port_of_all_ipv6_addresses_is_of_both_families) { check_both_families("udp://[::]:0"); }

TEST(datagrams_a_port_of_one_family_sends_to_no_other) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *four = noting_port(reactor, "udp4://*:0", "4"), *six = noting_port(reactor, "udp://[::]:0?only_v6=1", "6");
    lariat_datagram_port *local = noting_port(reactor, unix_endpoint("a"), "u");
    int end = other_end(AF_INET);
    lariat_address to_four = address_of_end(end), to_six = address_of("[::1]:9"), to_local = address_of(unix_endpoint("a"));
    lariat_address mapped = to_six, none;
    const uint8_t *data = (const uint8_t *)"x";
    CHECK_STATUS(lariat_datagram_port_send_to(four, data, 1, &to_six), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_send_to(four, data, 1, &to_local), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_send_to(six, data, 1, &to_four), LARIAT_ERR_UNREACHABLE);
    CHECK_STATUS(lariat_datagram_port_send_to(local, data, 1, &to_four), LARIAT_ERR_INVALID_ARGUMENT);
    memset(mapped.host, 0, 10);
    memset(mapped.host + 10, 0xff, 2);
    memcpy(mapped.host + 12, to_four.host, 4);
    mapped.port = to_four.port;
    send_text_to(four, "mapped", &mapped);
    CHECK_STR(get_text(end), "mapped");
    to_four.port = 0;
    CHECK_STATUS(lariat_datagram_port_send_to(four, data, 1, &to_four), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_address_init(&none, sizeof none));
    CHECK_STATUS(lariat_datagram_port_send_to(four, data, 1, &none), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_send_to(four, data, 1, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_send_to(four, NULL, 1, &to_six), LARIAT_ERR_INVALID_ARGUMENT);
    stop_port(reactor, four);
    stop_port(reactor, six);
    stop_port(reactor, local);
    folder_done();
    close(end);
    reactor_done(reactor);
}

/* ---- Unix sockets ---- */

TEST(datagrams_of_unix_sockets) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *a = noting_port(reactor, unix_endpoint("a"), "a"), *b = noting_port(reactor, unix_endpoint("b"), "b");
    lariat_address to_b = address_of(unix_endpoint("b"));
    CHECK_STR(port_text(a), unix_endpoint("a"));
    CHECK_INT(lariat_datagram_port_number(a), 0);
    send_text_to(a, "hello", &to_b);
    turn_until(reactor, "b<hello");
    CHECK_INT(last_peer.family, LARIAT_ADDRESS_UNIX);
    CHECK_STR(address_text(&last_peer), unix_endpoint("a"));
    send_text_to(b, "reply", &last_peer);
    turn_until(reactor, "a<reply");
    CHECK_OK(lariat_datagram_port_connect(a, unix_endpoint("b")));
    send_text(a, "connected");
    turn_until(reactor, "b<connected");
    CHECK_NOTES("b<hello a<reply b<connected");
    CHECK(exists("a") && exists("b"));
    stop_port(reactor, b);
    CHECK(!exists("b"));
    CHECK_STATUS(lariat_datagram_port_send(a, (const uint8_t *)"x", 1), LARIAT_ERR_CONNECTION_REFUSED);
    stop_port(reactor, a);
    folder_done();
    reactor_done(reactor);
}

TEST(datagrams_a_stale_path_is_replaced_a_live_one_and_a_file_are_not) {
    lariat_reactor *reactor = real_reactor();
    close(unix_end("stale"));
    CHECK(exists("stale"));
    char endpoint[200];
    snprintf(endpoint, sizeof endpoint, "%s?mode=600", unix_endpoint("stale"));
    lariat_datagram_port *port = noting_port(reactor, endpoint, "a");
    struct stat found;
    CHECK_INT(stat(path_in("stale"), &found), 0);
    CHECK_INT(found.st_mode & 0777, 0600);
    lariat_datagram_protocol protocol = quiet_datagrams();
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, unix_endpoint("stale"), &protocol, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    int fd = open(path_in("file"), O_CREAT | O_WRONLY, 0600);
    close(fd);
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, unix_endpoint("file"), &protocol, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK(exists("file"));
    int end = unix_end("end");
    unix_put(end, "stale", "x", 1);
    turn_until(reactor, "a<x");
    CHECK_NOTES("a<x");
    stop_port(reactor, port);
    CHECK(!exists("stale"));
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    CHECK_INT(unlink(path_in("file")), 0);
    folder_done();
    reactor_done(reactor);
}

#ifdef __linux__
TEST(datagrams_of_the_abstract_namespace) {
    lariat_reactor *reactor = real_reactor();
    char text[64];
    snprintf(text, sizeof text, "unix-datagram-abstract://lariat-%d", (int)getpid());
    lariat_datagram_port *port = noting_port(reactor, text, "a");
    CHECK_STR(port_text(port), text);
    lariat_address own = address_of(text);
    CHECK_INT(own.path[0], 0);
    send_text_to(port, "own", &own);
    turn_until(reactor, "a<own");
    CHECK_STR(address_text(&last_peer), text);
    CHECK_NOTES("a<own");
    stop_port(reactor, port);
    reactor_done(reactor);
}
#endif

/* ---- room to send: a Unix socket whose peer does not read ---- */

/* Sends until one has to wait; returns how many were sent before. */
static int fill_peer(lariat_datagram_port *port) {
    int count = 0;
    while (count < 100000 && !lariat_datagram_port_buffered(port)) CHECK_OK(lariat_datagram_port_send(port, (const uint8_t *)&count, sizeof count)), count++;
    CHECK_INT(lariat_datagram_port_buffered(port), sizeof count);
    return count;
}

static int get_number(lariat_reactor *reactor, int fd) {
    int number = -1;
    for (int i = 0; i < 1000; i++) {
        if (recv(fd, &number, sizeof number, MSG_DONTWAIT) == sizeof number) return number;
        CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    }
    test_fail(__FILE__, __LINE__, "no datagram came");
}

TEST(datagrams_wait_for_room_and_keep_their_order) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end");
    CHECK_OK(lariat_datagram_port_connect(port, unix_endpoint("end")));
    int count = fill_peer(port);
    for (int i = 0; i < 20; i++, count++) CHECK_OK(lariat_datagram_port_send(port, (const uint8_t *)&count, sizeof count));
    CHECK_INT(lariat_datagram_port_buffered(port), 21 * sizeof count);
    for (int i = 0; i < count; i++) CHECK_INT(get_number(reactor, end), i);
    for (int i = 0; i < 100 && lariat_datagram_port_buffered(port); i++) turn(reactor);
    CHECK_INT(lariat_datagram_port_buffered(port), 0);
    CHECK(is_silent(end));
    stop_port(reactor, port);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
    reactor_done(reactor);
}

TEST(datagrams_beyond_the_cap_are_refused_and_drained_tells_when_there_is_room) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end"), more = 0;
    CHECK_OK(lariat_datagram_port_connect(port, unix_endpoint("end")));
    CHECK_OK(lariat_datagram_port_set_max_buffer(port, 1000));
    int count = fill_peer(port);
    lariat_status status;
    while ((status = lariat_datagram_port_send(port, (const uint8_t *)&count, sizeof count)) == LARIAT_OK) count++, more++;
    CHECK_STATUS(status, LARIAT_ERR_BUFFER_FULL);
    CHECK_INT(more, 1000 / (64 + sizeof count) - 1);
    int64_t waiting = lariat_datagram_port_buffered(port);
    CHECK_STATUS(lariat_datagram_port_send(port, (const uint8_t *)&count, sizeof count), LARIAT_ERR_BUFFER_FULL);
    CHECK_INT(lariat_datagram_port_buffered(port), waiting); /* nothing of it */
    turns(reactor, 2);
    CHECK_NOTES("");
    for (int i = 0; i < count; i++) CHECK_INT(get_number(reactor, end), i);
    turn_until(reactor, "drained");
    CHECK_NOTES("a:drained"); /* once */
    send_text(port, "on");
    CHECK_STR(get_text(end), "on");
    stop_port(reactor, port);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
    reactor_done(reactor);
}

TEST(datagrams_without_a_buffer_nothing_waits) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end"), count = 0;
    CHECK_OK(lariat_datagram_port_connect(port, unix_endpoint("end")));
    CHECK_OK(lariat_datagram_port_set_max_buffer(port, 0));
    lariat_status status;
    while ((status = lariat_datagram_port_send(port, (const uint8_t *)&count, sizeof count)) == LARIAT_OK) count++;
    CHECK_STATUS(status, LARIAT_ERR_BUFFER_FULL);
    CHECK_INT(lariat_datagram_port_buffered(port), 0);
    for (int i = 0; i < count; i++) CHECK_INT(get_number(reactor, end), i);
    turn_until(reactor, "drained");
    CHECK_NOTES("a:drained");
    CHECK_OK(lariat_datagram_port_send(port, (const uint8_t *)&count, sizeof count));
    CHECK_INT(get_number(reactor, end), count);
    stop_port(reactor, port);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
    reactor_done(reactor);
}

TEST(datagrams_that_wait_and_cannot_be_sent_are_reported) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end");
    CHECK_OK(lariat_datagram_port_connect(port, unix_endpoint("end")));
    fill_peer(port);
    close(end); /* with all that it has not read */
    CHECK_INT(unlink(path_in("end")), 0);
    turn_until(reactor, "!");
    CHECK_NOTES("a!CONNECTION_REFUSED");
    CHECK_INT(lariat_datagram_port_buffered(port), 0);
    stop_port(reactor, port);
    folder_done();
    reactor_done(reactor);
}

TEST(datagrams_that_wait_go_out_before_the_port_is_closed_if_there_is_room) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end");
    CHECK_OK(lariat_datagram_port_connect(port, unix_endpoint("end")));
    int count = fill_peer(port);
    for (int i = 0; i < count - 1; i++) CHECK_INT(get_number(reactor, end), i); /* turns, if at all, before the port tries again */
    stop_port(reactor, port);
    CHECK_INT(get_number(reactor, end), count - 1);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
    reactor_done(reactor);
}

/* ---- options ---- */

TEST(datagrams_to_broadcast_addresses_go_when_that_is_allowed) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp4://*:0", "a");
    char text[64];
    snprintf(text, sizeof text, "127.255.255.255:%d", (int)lariat_datagram_port_number(port));
    lariat_address all = address_of(text);
    CHECK_STATUS(lariat_datagram_port_send_to(port, (const uint8_t *)"x", 1, &all), LARIAT_ERR_PERMISSION_DENIED);
    CHECK_STATUS(lariat_datagram_port_set_broadcast(port, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_datagram_port_set_broadcast(port, 1));
    send_text_to(port, "all", &all);
    turn_until(reactor, "a<all");
    CHECK_OK(lariat_datagram_port_set_broadcast(port, 0));
    CHECK_STATUS(lariat_datagram_port_send_to(port, (const uint8_t *)"x", 1, &all), LARIAT_ERR_PERMISSION_DENIED);
    CHECK_NOTES("a<all");
    stop_port(reactor, port);
    port = noting_port(reactor, "udp4://*:0?broadcast=1", "a");
    CHECK_OK(lariat_datagram_port_send_to(port, (const uint8_t *)"x", 1, &all));
    stop_port(reactor, port);
    reactor_done(reactor);
}

TEST(datagrams_options_are_checked) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port =
        noting_port(reactor, "udp://127.0.0.1:0?receive_buffer=100000&send_buffer=100000&time_to_live=3&type_of_service=8", "a");
    CHECK_OK(lariat_datagram_port_set_time_to_live(port, 255));
    CHECK_STATUS(lariat_datagram_port_set_time_to_live(port, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_set_time_to_live(port, 256), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_datagram_port_set_type_of_service(port, 0));
    CHECK_STATUS(lariat_datagram_port_set_type_of_service(port, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_datagram_port_set_buffer_sizes(port, 65536, 0));
    CHECK_OK(lariat_datagram_port_set_buffer_sizes(port, 0, 65536));
    CHECK_STATUS(lariat_datagram_port_set_buffer_sizes(port, -1, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_set_buffer_sizes(port, 0, INT64_MAX), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_set_multicast_time_to_live(port, 256), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_set_multicast_loop(port, -1), LARIAT_ERR_INVALID_ARGUMENT);
    stop_port(reactor, port);
    reactor_done(reactor);
}

TEST(datagrams_two_ports_share_an_address_if_both_say_so) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *one = noting_port(reactor, "udp://127.0.0.1:0?reuse_port=1", "1");
    char text[300];
    snprintf(text, sizeof text, "%s?reuse_port=1", port_text(one));
    lariat_datagram_port *two = noting_port(reactor, text, "2");
    CHECK_INT(lariat_datagram_port_number(one), lariat_datagram_port_number(two));
    stop_port(reactor, one);
    stop_port(reactor, two);
    reactor_done(reactor);
}

/* ---- multicast ---- */

static void check_group(const char *own, const char *group, const char *interface, const char *sends_by) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *member = noting_port(reactor, own, "m"), *from = noting_port(reactor, own, "from");
    char text[96];
    snprintf(text, sizeof text, strchr(group, ':') ? "[%s]:%d" : "%s:%d", group, (int)lariat_datagram_port_number(member));
    lariat_address to = address_of(text);
    lariat_status joined = lariat_datagram_port_join_group(member, group, interface);
    if (joined == LARIAT_ERR_OS || joined == LARIAT_ERR_INVALID_ARGUMENT) SKIP("no multicast here");
    CHECK_OK(joined);
    CHECK_STATUS(lariat_datagram_port_join_group(member, group, interface), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK_OK(lariat_datagram_port_set_multicast_interface(from, sends_by));
    CHECK_OK(lariat_datagram_port_set_multicast_time_to_live(from, 0));
    lariat_status sent = lariat_datagram_port_send_to(from, (const uint8_t *)"all", 3, &to);
    if (sent == LARIAT_ERR_UNREACHABLE || sent == LARIAT_ERR_ADDRESS_NOT_AVAILABLE) SKIP("no way to a group");
    CHECK_OK(sent);
    turn_until(reactor, "m<all");
    CHECK_OK(lariat_datagram_port_set_multicast_loop(from, 0));
    send_text_to(from, "none", &to);
    CHECK_OK(lariat_datagram_port_set_multicast_loop(from, 1));
    send_text_to(from, "again", &to);
    turn_until(reactor, "m<again");
    CHECK_OK(lariat_datagram_port_leave_group(member, group, interface));
    CHECK_STATUS(lariat_datagram_port_leave_group(member, group, interface), LARIAT_ERR_ADDRESS_NOT_AVAILABLE);
    notes_clear();
    stop_port(reactor, member);
    stop_port(reactor, from);
    reactor_done(reactor);
}

TEST(datagrams_to_a_group_by_the_address_of_an_interface) { check_group("udp4://*:0", "239.255.7.1", "127.0.0.1", "127.0.0.1"); }
TEST(datagrams_to_a_group_by_the_name_of_an_interface) { check_group("udp4://*:0", "239.255.7.2", "lo", "lo"); }
TEST(datagrams_to_a_group_by_the_number_of_an_interface) { check_group("udp4://*:0", "239.255.7.3", "1", "1"); }
/* The loopback interface has no groups of IPv6: by one that the system picks. With 0 hops nothing leaves this host. */
TEST(datagrams_to_a_group_of_ipv6) { check_group("udp6://*:0", "ff12::7:1", NULL, NULL); }

TEST(datagrams_groups_are_checked) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp4://*:0", "a");
    CHECK_STATUS(lariat_datagram_port_join_group(port, "127.0.0.1", NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_join_group(port, "all", NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_join_group(port, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_join_group(port, "239.1.2.3", "no such interface"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_set_multicast_interface(port, "nolo"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_datagram_port_set_multicast_interface(port, NULL));
    stop_port(reactor, port);
    CHECK_STATUS(lariat_datagram_port_join_group(port, "239.1.2.3", NULL), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* ---- adopted sockets ---- */

TEST(datagrams_an_adopted_socket_is_a_port) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    int own = other_end(AF_INET), end = other_end(AF_INET), number = number_of(own);
    protocol.free_self = token_free;
    lariat_datagram_port *port = lariat_reactor_adopt_datagram(reactor, own, &protocol, token_new("a"));
    CHECK(port != NULL);
    CHECK_INT(lariat_datagram_port_number(port), number);
    put_text(end, port, "x");
    turn_until(reactor, "a<x");
    CHECK_NOTES("a<x");
    CHECK_STATUS(lariat_datagram_port_send(port, (const uint8_t *)"x", 1), LARIAT_ERR_INVALID_STATE);
    stop_port(reactor, port);
    CHECK(!descriptor_is_open(own));
    close(end);
    reactor_done(reactor);
}

TEST(datagrams_an_adopted_pair_of_unix_sockets_has_no_names) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    lariat_datagram_port *port = lariat_reactor_adopt_datagram(reactor, ends[0], &protocol, "a");
    CHECK(port != NULL);
    write_bytes(ends[1], "x");
    turn_until(reactor, "a<x");
    CHECK_NOTES("a<x");
    CHECK_INT(last_peer.family, LARIAT_ADDRESS_UNIX);
    CHECK_INT(last_peer.path_length, 0);
    CHECK_STATUS(lariat_datagram_port_send_to(port, (const uint8_t *)"x", 1, &last_peer), LARIAT_ERR_INVALID_ARGUMENT);
    send_text(port, "back"); /* it is connected */
    CHECK_STR(get_text(ends[1]), "back");
    stop_port(reactor, port);
    close(ends[1]);
    reactor_done(reactor);
}

TEST(datagrams_what_is_no_datagram_socket_stays_its_owners) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    int stream = socket(AF_INET, SOCK_STREAM, 0), ends[2];
    pipe_new(ends);
    CHECK_NULL(lariat_reactor_adopt_datagram(reactor, stream, &protocol, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(fcntl(stream, F_GETFL) & O_NONBLOCK, 0);
    CHECK_NULL(lariat_reactor_adopt_datagram(reactor, ends[0], &protocol, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(descriptor_is_open(stream) && descriptor_is_open(ends[0]));
    close(stream);
    pipe_close(ends);
    reactor_done(reactor);
}

/* ---- addresses ---- */

TEST(datagrams_addresses_are_read_and_written) {
    static const struct { const char *text, *shown; } good[] = {
        {"udp://1.2.3.4:5", "udp://1.2.3.4:5"},
        {"1.2.3.4:5", "udp://1.2.3.4:5"},
        {"[::1]:65535", "udp://[::1]:65535"},
        {"udp://[fe80::1%1]:7", "udp://[fe80::1%1]:7"},
        {"tcp://1.2.3.4:0", "udp://1.2.3.4:0"},
        {"udp://localhost:1", "udp://127.0.0.1:1"},
        {"unix-datagram:///run/a%20b", "unix-datagram:///run/a b"},
        {"unix:///run/x", "unix-datagram:///run/x"},
        {"unix-datagram-abstract://x", "unix-datagram-abstract://x"},
    };
    lariat_address address;
    CHECK_OK(lariat_address_init(&address, sizeof address));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_OK(lariat_address_parse(&address, good[i].text));
        CHECK_INT(address.struct_size, sizeof address);
        CHECK_STR(address_text(&address), good[i].shown);
    }
    address = address_of("1.2.3.4:5");
    const uint8_t host[16] = {1, 2, 3, 4};
    CHECK_INT(address.family, LARIAT_ADDRESS_IPV4);
    CHECK_INT(address.port, 5);
    CHECK_INT(memcmp(address.host, host, sizeof host), 0);
    static const char *const bad[] = {"", "1.2.3.4", "1.2.3:4", "udp://*:1", "example.org:1", "1.2.3.4:5?gro=1", "udp://1.2.3.4:65536",
                                      "fe80::1:7", "http://1.2.3.4:5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(lariat_address_parse(&address, bad[i]), LARIAT_ERR_BAD_ENDPOINT);
        CHECK_STR(address_text(&address), "udp://1.2.3.4:5"); /* as it was */
    }
    char text[8] = "zzzzzzz";
    size_t length = 0;
    CHECK_STATUS(lariat_address_format(&address, text, sizeof text, &length), LARIAT_ERR_TOO_LONG);
    CHECK_INT(length, 15);
    CHECK_STR(text, "udp://1");
    CHECK_STATUS(lariat_address_format(&address, NULL, 0, &length), LARIAT_ERR_TOO_LONG);
    CHECK_STATUS(lariat_address_format(&address, NULL, 1, &length), LARIAT_ERR_INVALID_ARGUMENT);
    address.family = 2;
    CHECK_STATUS(lariat_address_format(&address, text, sizeof text, &length), LARIAT_ERR_INVALID_ARGUMENT);
    address.family = LARIAT_ADDRESS_UNIX;
    address.path_length = 200;
    CHECK_STATUS(lariat_address_format(&address, text, sizeof text, &length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_address_init(&address, 4), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_address_parse(&address, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_address_parse(NULL, "1.2.3.4:5"), LARIAT_ERR_INVALID_ARGUMENT);
}
#endif
