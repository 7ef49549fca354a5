/* Connecting (SEMANTICS 28, 29; DESIGN 3): what is told and when, names with several addresses by RFC 8305, giving up, and that nothing
 * is left of the attempts that did not win. The addresses are of 127.0.0.0/8, all of this host on Linux: those where nobody listens
 * refuse at once, and one whose queue is full does not answer. */
#include "harness.h"
/* Sleeps in the poll, but not for long: the turn that makes the condition true may go on to sleep itself. */
#define TURN_UNTIL(reactor, condition) \
    while (!(condition)) CHECK_OK(lariat_reactor_iterate(reactor, 0.01))

/* ---- the two ends ---- */

static lariat_transport *made;

static void note_made(lariat_transport *transport, void *self) {
    char peer[128];
    CHECK_OK(lariat_transport_peer(transport, peer, sizeof peer, NULL));
    made = transport;
    note("made:%.9s", peer + strlen("tcp://"));
    if (self) CHECK(token_alive(self));
}

static void note_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport, (void)self;
    note("lost!%s", failure_label(reason));
}

static lariat_protocol client(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = note_made;
    protocol.connection_lost = note_lost;
    protocol.free_self = token_free;
    return protocol;
}

/* A server's connections tell nothing. */
static lariat_listener *listen_at(lariat_reactor *reactor, const char *scheme, const char *address, int port) {
    char endpoint[64];
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    snprintf(endpoint, sizeof endpoint, "%s://%s:%d", scheme, address, port);
    lariat_listener *listener = lariat_reactor_listen(reactor, endpoint, &protocol, NULL, NULL);
    if (!listener) test_fail(__FILE__, __LINE__, "%s: %s", endpoint, lariat_last_error_message());
    return listener;
}

/* ---- the Deferred ---- */

static char message[1024];

static void *note_connected(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    if (failure) {
        snprintf(message, sizeof message, "%s", lariat_failure_message(failure));
        note("%s!%s", (char *)user_data, failure_label(failure));
        return NULL;
    }
    CHECK_PTR(value, made); /* connection_made has been told */
    note("%s", (char *)user_data);
    return NULL;
}

static lariat_deferred *connect_to(lariat_reactor *reactor, const char *host, int port, const char *options) {
    char endpoint[256];
    lariat_protocol protocol = client();
    snprintf(endpoint, sizeof endpoint, "tcp://%s:%d%s", host, port, options);
    lariat_deferred *deferred = lariat_reactor_connect(reactor, endpoint, &protocol, token_new("self"));
    if (!deferred) test_fail(__FILE__, __LINE__, "%s: %s", endpoint, lariat_last_error_message());
    CHECK_OK(lariat_deferred_add_both(deferred, note_connected, "connected"));
    return deferred;
}

static void note_connecting(lariat_reactor *reactor, const char *host, int port, const char *options) {
    CHECK_OK(lariat_deferred_release(connect_to(reactor, host, port, options)));
}

/* ---- names in a simulation ---- */

static struct world {
    lariat_reactor *a, *b;
    lariat_simulation *simulation;
} world;

static double seconds_when_made;

static void note_made_and_when(lariat_transport *transport, void *self) {
    (void)self;
    note_made(transport, NULL);
    seconds_when_made = lariat_reactor_seconds(world.a);
}

/* It takes a second from a to b. */
static void world_start(void) {
    lariat_link link;
    CHECK_OK(lariat_link_init(&link, sizeof link));
    link.latency = 1;
    world.simulation = lariat_simulation_new(1);
    CHECK_OK(lariat_simulation_set_link(world.simulation, NULL, NULL, &link));
    world.a = simulated_reactor(world.simulation, "a");
    world.b = simulated_reactor(world.simulation, "b");
}

static void world_end(void) {
    CHECK_OK(lariat_simulation_run_until_idle(world.simulation));
    reactor_done(world.a);
    reactor_done(world.b);
    CHECK_OK(lariat_simulation_free(world.simulation));
    made = NULL;
}

/* IPv6 is tried first and refused after two seconds; IPv4 was begun 250 ms after it. */
TEST(s29_the_families_are_tried_beside_each_other) {
    world_start();
    lariat_protocol protocol = client();
    protocol.connection_made = note_made_and_when;
    protocol.free_self = NULL;
    lariat_listener *listener = listen_at(world.b, "tcp4", "*", 80);
    lariat_deferred *deferred = lariat_reactor_connect(world.a, "tcp://b:80", &protocol, NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, note_connected, "connected"));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_simulation_run(world.simulation, 10));
    CHECK_NOTES("made:10.0.0.2: connected");
    CHECK(seconds_when_made >= 2.25 && seconds_when_made < 2.5);
    CHECK_OK(lariat_transport_abort_connection(made));
    CHECK_OK(lariat_deferred_release(lariat_listener_stop(listener)));
    world_end();
    CHECK_NOTES("lost!CONNECTION_ABORTED");
}

TEST(s29_a_simulated_host_that_refuses_or_is_not_there) {
    world_start();
    note_connecting(world.a, "b", 80, "");
    CHECK_OK(lariat_simulation_run(world.simulation, 10));
    CHECK_NOTES("connected!CONNECTION_REFUSED");
    CHECK(strstr(message, "connecting to b:80: [fd00::2]:80: ") == message);
    CHECK(strstr(message, "; 10.0.0.2:80: ") != NULL);
    note_connecting(world.a, "nobody", 80, "");
    CHECK_OK(lariat_simulation_run(world.simulation, 10));
    CHECK_NOTES("connected!NAME_NOT_FOUND");
    CHECK_STR(message, "connecting to nobody:80: looking up nobody: no host has this name");
    CHECK_OK(lariat_simulation_partition(world.simulation, "a", "b", 1));
    note_connecting(world.a, "b", 80, "?timeout=5");
    CHECK_OK(lariat_simulation_run(world.simulation, 4.9));
    CHECK_NOTES("");
    CHECK_OK(lariat_simulation_run(world.simulation, 0.1));
    CHECK_NOTES("connected!TIMED_OUT");
    CHECK_STR(message, "connecting to b:80: no connection within 5 s: [fd00::2]:80: no answer; 10.0.0.2:80: no answer");
    world_end();
}

#ifdef __linux__
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

/* A socket that listens, and whose queue is full: who connects hears nothing. */
struct silent {
    int descriptors[16], count, port;
};

static struct silent silent_at(const char *address, int port) {
    struct silent made_silent = {.count = 1};
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t length = sizeof name;
    CHECK_INT(inet_pton(AF_INET, address, &name.sin_addr), 1);
    int listening = made_silent.descriptors[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(listening, (struct sockaddr *)&name, length), 0);
    CHECK_INT(listen(listening, 0), 0);
    CHECK_INT(getsockname(listening, (struct sockaddr *)&name, &length), 0);
    made_silent.port = ntohs(name.sin_port);
    for (int connected = 1; connected && made_silent.count < 16;) {
        int filler = made_silent.descriptors[made_silent.count++] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct pollfd one = {.fd = filler, .events = POLLOUT};
        connect(filler, (struct sockaddr *)&name, length);
        connected = poll(&one, 1, 50) == 1;
    }
    return made_silent;
}

static void silent_close(struct silent *one) {
    for (int i = 0; i < one->count; i++) close(one->descriptors[i]);
}

/* The addresses of every name: user_data, ended by NULL. */
static lariat_deferred *hosts(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)reactor, (void)name, (void)family;
    for (const char *const *address = user_data; *address; address++) CHECK_OK(lariat_addresses_add(answer, *address));
    return NULL;
}

/* Closes both ends and stops the listener: afterwards nothing is alive. */
static void end_both(lariat_reactor *reactor, lariat_listener *listener) {
    if (made) CHECK_OK(lariat_transport_abort_connection(made));
    lariat_deferred *stopped = lariat_listener_stop(listener);
    CHECK_OK(lariat_deferred_release(stopped));
    TURN_UNTIL(reactor, reactor_stats(reactor).transports == 0 && reactor_stats(reactor).listeners == 0);
    made = NULL;
    turn(reactor);
}

/* ---- one address ---- */

TEST(s28_the_deferred_fires_after_connection_made) {
    lariat_reactor *reactor = real_reactor();
    lariat_listener *listener = listen_at(reactor, "tcp", "127.1.2.1", 0);
    note_connecting(reactor, "127.1.2.1", lariat_listener_port(listener), "");
    CHECK_NOTES(""); /* nothing from inside the call */
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("made:127.1.2.1 connected");
    end_both(reactor, listener);
    CHECK_NOTES("lost!CONNECTION_ABORTED");
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(s28_a_refusal_names_the_address) {
    char want[128];
    lariat_reactor *reactor = real_reactor();
    struct silent one = silent_at("127.1.2.2", 0);
    snprintf(want, sizeof want, "connecting to 127.1.2.3:%d: Connection refused (os error 111)", one.port);
    note_connecting(reactor, "127.1.2.3", one.port, "");
    CHECK_NOTES("");
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("connected!CONNECTION_REFUSED");
    CHECK_STR(message, want);
    CHECK_INT(tokens_alive(), 0);
    silent_close(&one);
    reactor_done(reactor);
}

/* The system says at once that it cannot be: that is told from the loop, too. */
TEST(s28_what_fails_at_once_is_told_later) {
    lariat_reactor *reactor = real_reactor();
    note_connecting(reactor, "127.1.2.3", 1, "?bind=192.0.2.1");
    CHECK_NOTES("");
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("connected!ADDRESS_NOT_AVAILABLE");
    CHECK_STR(message, "connecting to 127.1.2.3:1: Cannot assign requested address (os error 99)");
    reactor_done(reactor);
}

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t length = sizeof value;
    CHECK_INT(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

/* Both ends, the accepted one by way of its listener. */
TEST(s28_an_endpoint_says_how_its_socket_is) {
    static const char options[] = "?keep_alive=59.5&time_to_live=9&type_of_service=8&no_delay=0&receive_buffer=20000";
    char endpoint[256];
    int connected = 0;
    lariat_protocol protocol;
    lariat_reactor *reactor = real_reactor();
    snprintf(endpoint, sizeof endpoint, "tcp://127.1.2.1:0%s", options);
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    lariat_listener *listener = lariat_reactor_listen(reactor, endpoint, &protocol, NULL, NULL);
    note_connecting(reactor, "127.1.2.1", lariat_listener_port(listener), options);
    TURN_UNTIL(reactor, noted("connected") && lariat_listener_connections(listener) == 1);
    CHECK_NOTES("made:127.1.2.1 connected");
    for (int fd = 0; fd < 64; fd++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &length) != 0 || peer.sin_family != AF_INET) continue;
        connected++;
        CHECK_INT(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        CHECK_INT(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
        CHECK_INT(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
        CHECK_INT(option_of(fd, IPPROTO_IP, IP_TTL), 9);
        CHECK_INT(option_of(fd, IPPROTO_IP, IP_TOS), 8);
        CHECK_INT(option_of(fd, SOL_SOCKET, SO_RCVBUF), 40000); /* the system doubles it */
    }
    CHECK_INT(connected, 2);
    end_both(reactor, listener);
    CHECK_NOTES("lost!CONNECTION_ABORTED");
    reactor_done(reactor);
}

TEST(s28_a_bad_endpoint_is_refused_by_the_call) {
    static const char *const bad[] = {"tcp://127.0.0.1", "tcp://*:1", "127.0.0.1:1", "udp://127.0.0.1:1", "systemd://x", "tcp://x:1?backlog=1"};
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = client();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        token *self = token_new("self");
        CHECK_NULL(lariat_reactor_connect(reactor, bad[i], &protocol, self), LARIAT_ERR_BAD_ENDPOINT);
        CHECK(!token_alive(self));
        CHECK(strstr(lariat_last_error_message(), bad[i]) == lariat_last_error_message());
    }
    reactor_done(reactor);
}

TEST(s28_connecting_is_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    struct silent one = silent_at("127.1.2.2", 0);
    lariat_deferred *deferred = connect_to(reactor, "127.1.2.2", one.port, "");
    turns(reactor, 3);
    CHECK_INT(reactor_stats(reactor).transports, 1);
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("connected!CANCELLED");
    CHECK_INT(reactor_stats(reactor).transports, 0);
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_deferred_release(deferred));
    silent_close(&one);
    reactor_done(reactor);
}

static lariat_deferred *to_cancel;

static void cancel_when_made(lariat_transport *transport, void *self) {
    note_made(transport, self);
    CHECK_OK(lariat_deferred_cancel(to_cancel));
}

/* The connection that nobody wants is closed. */
TEST(s28_connecting_is_cancelled_in_connection_made) {
    char endpoint[64];
    lariat_reactor *reactor = real_reactor();
    lariat_listener *listener = listen_at(reactor, "tcp", "127.1.2.1", 0);
    lariat_protocol protocol = client();
    protocol.connection_made = cancel_when_made;
    snprintf(endpoint, sizeof endpoint, "tcp://127.1.2.1:%d", lariat_listener_port(listener));
    to_cancel = lariat_reactor_connect(reactor, endpoint, &protocol, token_new("self"));
    CHECK_OK(lariat_deferred_add_both(to_cancel, note_connected, "connected"));
    TURN_UNTIL(reactor, noted("lost"));
    CHECK_NOTES("made:127.1.2.1 connected!CANCELLED lost!CANCELLED");
    CHECK_OK(lariat_deferred_release(to_cancel));
    made = NULL;
    end_both(reactor, listener);
    reactor_done(reactor);
}

TEST(s28_connecting_takes_too_long) {
    char want[128];
    lariat_reactor *reactor = manual_reactor();
    struct silent one = silent_at("127.1.2.2", 0);
    note_connecting(reactor, "127.1.2.2", one.port, "");
    advance(reactor, 29.9);
    CHECK_NOTES("");
    advance(reactor, 0.1);
    CHECK_NOTES("connected!TIMED_OUT");
    snprintf(want, sizeof want, "connecting to 127.1.2.2:%d: no connection within 30 s", one.port);
    CHECK_STR(message, want);
    note_connecting(reactor, "127.1.2.2", one.port, "?timeout=0.5");
    advance(reactor, 0.5);
    CHECK_NOTES("connected!TIMED_OUT");
    lariat_deferred *deferred = connect_to(reactor, "127.1.2.2", one.port, "?timeout=0");
    advance(reactor, 1e6);
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_NOTES("connected!CANCELLED");
    silent_close(&one);
    reactor_done(reactor);
}

TEST(s28_connecting_ends_with_its_scope) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    struct silent one = silent_at("127.1.2.2", 0);
    CHECK_OK(lariat_scope_enter(scope));
    note_connecting(reactor, "127.1.2.2", one.port, "");
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope));
    CHECK_NOTES("connected!CANCELLED");
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_scope_free(scope));
    silent_close(&one);
    reactor_done(reactor);
}

TEST(f12_the_reactor_is_freed_while_it_connects) {
    static const char *const two[] = {"127.1.2.2", "127.1.2.3", NULL};
    lariat_reactor *reactor = manual_reactor();
    struct silent one = silent_at("127.1.2.2", 0);
    note_connecting(reactor, "127.1.2.2", one.port, "");
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)two));
    note_connecting(reactor, "two.test", one.port, "");
    note_connecting(reactor, "127.1.2.3", one.port, ""); /* refused, but not told yet */
    advance(reactor, 0);
    notes_clear();
    note_connecting(reactor, "late.test", one.port, "");
    free_reactor(reactor);
    CHECK_NOTES("connected!CANCELLED connected!CANCELLED connected!CANCELLED");
    CHECK_INT(tokens_alive(), 0);
    silent_close(&one);
}

/* ---- names ---- */

/* Each address refuses at once, so the next one's turn comes without waiting: no clock moves. */
TEST(s29_the_next_address_is_tried_when_one_refuses) {
    static const char *const three[] = {"127.1.2.4", "127.1.2.3", "127.1.2.1", NULL};
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_at(reactor, "tcp", "127.1.2.1", 0);
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)three));
    note_connecting(reactor, "three.test", lariat_listener_port(listener), "");
    CHECK_NOTES("");
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("made:127.1.2.1 connected");
    end_both(reactor, listener);
    CHECK_NOTES("lost!CONNECTION_ABORTED");
    reactor_done(reactor);
}

TEST(s29_all_that_refused_are_reported_by_turns_of_the_families) {
    static const char *const v6_first[] = {"::1", "::ffff:127.1.2.9", "127.1.2.3", "127.1.2.4", "127.1.2.5", NULL};
    static const char *const v4_first[] = {"127.1.2.3", "127.1.2.4", "::1", NULL};
    char want[512];
    lariat_reactor *reactor = manual_reactor();
    struct silent one = silent_at("127.1.2.2", 0); /* has the port, so that nobody else listens there */
    int port = one.port;
    const char *no = "Connection refused (os error 111)";
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)v6_first));
    note_connecting(reactor, "all.test", port, "");
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("connected!CONNECTION_REFUSED");
    snprintf(want, sizeof want,
             "connecting to all.test:%d: [::1]:%d: %s; 127.1.2.3:%d: %s; [::ffff:127.1.2.9]:%d: %s; 127.1.2.4:%d: %s; 127.1.2.5:%d: %s", port, port,
             no, port, no, port, no, port, no, port, no);
    CHECK_STR(message, want);
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)v4_first));
    note_connecting(reactor, "all.test", port, "");
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("connected!CONNECTION_REFUSED");
    snprintf(want, sizeof want, "connecting to all.test:%d: 127.1.2.3:%d: %s; [::1]:%d: %s; 127.1.2.4:%d: %s", port, port, no, port, no, port, no);
    CHECK_STR(message, want);
    silent_close(&one);
    reactor_done(reactor);
}

TEST(s29_refusals_of_several_kinds) {
    static const char *const two[] = {"127.1.2.3", "255.255.255.255", NULL};
    char want[256];
    lariat_reactor *reactor = manual_reactor();
    struct silent one = silent_at("127.1.2.2", 0);
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)two));
    note_connecting(reactor, "two.test", one.port, "");
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("connected!CONNECT_FAILED");
    snprintf(want, sizeof want, "connecting to two.test:%d: 127.1.2.3:%d: Connection refused (os error 111); 255.255.255.255:%d: ", one.port, one.port,
             one.port);
    CHECK_INT(strncmp(message, want, strlen(want)), 0);
    silent_close(&one);
    reactor_done(reactor);
}

/* An address that does not answer is not waited for: 250 ms later the next is tried beside it, and the first to answer wins. */
TEST(s29_an_address_that_does_not_answer_holds_up_the_next_for_250_ms) {
    static const char *const three[] = {"127.1.2.2", "127.1.2.1", "127.1.2.6", NULL};
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_at(reactor, "tcp", "127.1.2.1", 0);
    struct silent one = silent_at("127.1.2.2", lariat_listener_port(listener));
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)three));
    note_connecting(reactor, "three.test", one.port, "");
    turn(reactor); /* the name is there */
    advance(reactor, 0.249);
    turns(reactor, 3);
    CHECK_INT(reactor_stats(reactor).transports, 1);
    advance(reactor, 0.001);
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("made:127.1.2.1 connected");
    TURN_UNTIL(reactor, lariat_listener_connections(listener) == 1);
    CHECK_INT(reactor_stats(reactor).transports, 2); /* both ends of the winner: the other attempt is closed */
    advance(reactor, 60);
    CHECK_NOTES("");
    silent_close(&one);
    end_both(reactor, listener);
    CHECK_NOTES("lost!CONNECTION_ABORTED");
    reactor_done(reactor);
}

/* The first may still win. */
TEST(s29_several_are_tried_beside_each_other_until_it_takes_too_long) {
    static const char *const four[] = {"127.1.2.2", "127.1.2.3", "127.1.2.7", "127.1.2.8", NULL};
    char want[512];
    lariat_reactor *reactor = manual_reactor();
    struct silent one = silent_at("127.1.2.2", 0), seven = silent_at("127.1.2.7", one.port), eight = silent_at("127.1.2.8", one.port);
    int port = one.port;
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)four));
    note_connecting(reactor, "four.test", port, "?timeout=0.6");
    turn(reactor);
    CHECK_INT(reactor_stats(reactor).transports, 1);
    advance(reactor, 0.25);
    TURN_UNTIL(reactor, reactor_stats(reactor).transports == 2); /* the second has refused, and the third is tried at once */
    advance(reactor, 0.1);
    turns(reactor, 3);
    CHECK_INT(reactor_stats(reactor).transports, 2);
    advance(reactor, 0.15);
    CHECK_INT(reactor_stats(reactor).transports, 3);
    CHECK_NOTES("");
    advance(reactor, 0.1);
    CHECK_NOTES("connected!TIMED_OUT");
    snprintf(want, sizeof want,
             "connecting to four.test:%d: no connection within 0.6 s: 127.1.2.3:%d: Connection refused (os error 111); 127.1.2.2:%d: no answer; "
             "127.1.2.7:%d: no answer; 127.1.2.8:%d: no answer", port, port, port, port, port);
    CHECK_STR(message, want);
    CHECK_INT(reactor_stats(reactor).transports, 0);
    silent_close(&one);
    silent_close(&seven);
    silent_close(&eight);
    reactor_done(reactor);
}

TEST(s29_names_of_one_family) {
    static const char *const two[] = {"::1", "127.1.2.1", NULL};
    char endpoint[64], want[128];
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = listen_at(reactor, "tcp", "127.1.2.1", 0);
    int port = lariat_listener_port(listener);
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)two));
    note_connecting(reactor, "two.test", port, "?bind=127.1.2.5"); /* the own address decides */
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("made:127.1.2.1 connected");
    char address[64];
    CHECK_OK(lariat_transport_address(made, address, sizeof address, NULL));
    CHECK_INT(strncmp(address, "tcp://127.1.2.5:", 16), 0);
    end_both(reactor, listener);
    CHECK_NOTES("lost!CONNECTION_ABORTED");
    lariat_protocol protocol = client();
    snprintf(endpoint, sizeof endpoint, "tcp6://two.test:%d", port);
    lariat_deferred *deferred = lariat_reactor_connect(reactor, endpoint, &protocol, token_new("self"));
    CHECK_OK(lariat_deferred_add_both(deferred, note_connected, "connected"));
    CHECK_OK(lariat_deferred_release(deferred));
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("connected!CONNECTION_REFUSED");
    snprintf(want, sizeof want, "connecting to two.test:%d: [::1]:%d: Connection refused (os error 111)", port, port);
    CHECK_STR(message, want);
    reactor_done(reactor);
}

static lariat_deferred *asked;

static lariat_deferred *never(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)name, (void)family, (void)answer;
    return asked = lariat_deferred_new_with_canceller(reactor, cancel_abandons, user_data);
}

TEST(s29_a_name_that_cannot_be_looked_up) {
    static const char *const none[] = {NULL};
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)none));
    note_connecting(reactor, "none.test", 80, "");
    turn(reactor);
    CHECK_NOTES("connected!NAME_NOT_FOUND");
    CHECK_STR(message, "connecting to none.test:80: looking up none.test: it has no address");
    CHECK_OK(lariat_reactor_set_resolver(reactor, never, "host"));
    note_connecting(reactor, "bad.test", 80, "");
    CHECK_OK(lariat_deferred_errback(asked, 7, "the server is down"));
    turn(reactor);
    CHECK_NOTES("connected!7");
    CHECK_STR(message, "connecting to bad.test:80: looking up bad.test: the server is down");
    note_connecting(reactor, "slow.test", 80, "?timeout=90"); /* the look-up has no limit of its own here */
    advance(reactor, 89);
    CHECK_NOTES("");
    advance(reactor, 1);
    CHECK_NOTES("cancel:host connected!TIMED_OUT");
    CHECK_STR(message, "connecting to slow.test:80: no connection within 90 s, its name is still being looked up");
    lariat_deferred *deferred = connect_to(reactor, "slow.test", 80, "");
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("cancel:host connected!CANCELLED");
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(s29_cancelling_closes_every_attempt) {
    static const char *const two[] = {"127.1.2.2", "127.1.2.7", NULL};
    lariat_reactor *reactor = manual_reactor();
    struct silent one = silent_at("127.1.2.2", 0), seven = silent_at("127.1.2.7", one.port);
    CHECK_OK(lariat_reactor_set_resolver(reactor, hosts, (void *)(uintptr_t)two));
    lariat_deferred *deferred = connect_to(reactor, "two.test", one.port, "");
    turn(reactor);
    advance(reactor, 0.25);
    CHECK_INT(reactor_stats(reactor).transports, 2);
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("connected!CANCELLED");
    CHECK_INT(reactor_stats(reactor).transports, 0);
    CHECK_OK(lariat_deferred_release(deferred));
    silent_close(&one);
    silent_close(&seven);
    reactor_done(reactor);
}

TEST(s29_thread_localhost_is_connected_to_by_name) {
    lariat_reactor *reactor = real_reactor();
    lariat_listener *listener = listen_at(reactor, "tcp", "127.0.0.1", 0);
    note_connecting(reactor, "localhost", lariat_listener_port(listener), ""); /* ::1 refuses, if it is one of its addresses */
    TURN_UNTIL(reactor, noted("connected"));
    CHECK_NOTES("made:127.0.0.1 connected");
    end_both(reactor, listener);
    CHECK_NOTES("lost!CONNECTION_ABORTED");
    reactor_done(reactor);
}

TEST(s29_thread_a_name_that_nobody_has_is_not_connected_to) {
    lariat_reactor *reactor = real_reactor();
    note_connecting(reactor, "something.invalid", 80, "");
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK(noted("connected!NAME_NOT_FOUND") || noted("connected!LOOKUP_FAILED")); /* the latter without a network */
    notes_clear();
    CHECK(strstr(message, "connecting to something.invalid:80: looking up something.invalid: ") == message);
    reactor_done(reactor);
}
#endif
