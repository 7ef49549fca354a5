/* What goes wrong with datagram ports (FAILURES 8, 9, 12, 22, 25, 31, and their own). */
#ifdef _WIN32
#include "harness.h"
TEST(datagrams_are_tested_on_unix) { SKIP("these cases use sockets of POSIX"); }
#else
#include "datagrams.h"
#include <sys/resource.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

/* ---- closed inside of callbacks ---- */

static void stop_itself(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    note_datagram(port, data, len, peer, self);
    end_with_note(lariat_datagram_port_stop(port), "stop");
}

TEST(f08_a_port_that_is_stopped_in_its_own_callback_hears_no_more) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.datagram_received = stop_itself;
    protocol.stopped = note_stopped;
    protocol.free_self = token_free_noted;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, token_new("a"));
    int end = other_end(AF_INET);
    for (int i = 0; i < 3; i++) put_text(end, port, "x");
    turn_until(reactor, "stop");
    turns(reactor, 2);
    CHECK_NOTES("a<x a:stopped=LARIAT_CONNECTION_DONE stop=- free:a");
    close(end);
    reactor_done(reactor);
}

static void stop_when_started(lariat_datagram_port *port, void *self) {
    note_started(port, self);
    end_with_note(lariat_datagram_port_stop(port), "stop");
}

TEST(f08_a_port_that_is_stopped_as_it_starts_hears_no_datagram) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.started = stop_when_started;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, "a");
    int end = other_end(AF_INET);
    put_text(end, port, "x");
    turns(reactor, 3);
    CHECK_NOTES("a:started stop=-");
    close(end);
    reactor_done(reactor);
}

static void stop_on_failure(lariat_datagram_port *port, const lariat_failure *reason, const lariat_address *peer, void *self) {
    note_failed(port, reason, peer, self);
    end_with_note(lariat_datagram_port_stop(port), "stop");
}

TEST(f08_a_port_that_is_stopped_when_it_is_refused_hears_no_more) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.datagram_failed = stop_on_failure;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, "a");
    int end = other_end(AF_INET);
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    put_text(end, port, "x");
    close(end);
    send_text(port, "lost");
    turn_until(reactor, "stop");
    turns(reactor, 2);
    CHECK_NOTES("a!CONNECTION_REFUSED stop=-");
    reactor_done(reactor);
}

static lariat_datagram_port *siblings[2];

static void stop_the_others(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    note_datagram(port, data, len, peer, self);
    for (int i = 0; i < 2; i++) end_with_note(lariat_datagram_port_stop(siblings[i]), "stop");
}

TEST(f09_a_port_that_a_sibling_stops_hears_nothing_of_the_same_turn) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.datagram_received = stop_the_others;
    int end = other_end(AF_INET);
    for (int i = 0; i < 2; i++) siblings[i] = open_port(reactor, "udp://127.0.0.1:0", protocol, "a");
    for (int i = 0; i < 2; i++) put_text(end, siblings[i], "x");
    turn_until(reactor, "stop");
    turns(reactor, 2);
    CHECK_NOTES("a<x stop=- stop=-"); /* the first in, whichever that is */
    close(end);
    reactor_done(reactor);
}

/* ---- the end of the reactor ---- */

TEST(f12_a_reactor_that_is_freed_ends_its_ports) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.started = note_started;
    protocol.stopped = note_stopped;
    protocol.free_self = token_free_noted;
    lariat_datagram_port *port = open_port(reactor, unix_endpoint("a"), protocol, token_new("a"));
    open_port(reactor, "udp://127.0.0.1:0", quiet_datagrams(), NULL);
    CHECK(lariat_reactor_listen_datagram_event(reactor, "udp://127.0.0.1:0", 1) != NULL);
    turn(reactor);
    free_reactor(reactor);
    CHECK_NOTES("a:started a:stopped=CLOSED free:a");
    CHECK_STATUS(lariat_datagram_port_number(port), LARIAT_ERR_STALE_HANDLE);
    CHECK(!exists("a"));
    folder_done();
}

TEST(f12_a_port_that_was_stopped_before_the_reactor_is_freed_says_so) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.stopped = note_stopped;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, "a");
    end_with_note(lariat_datagram_port_stop(port), "stop");
    free_reactor(reactor);
    CHECK_NOTES("a:stopped=LARIAT_CONNECTION_DONE stop=-");
}

TEST(f12_what_waits_to_be_sent_goes_with_the_reactor) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end");
    CHECK_OK(lariat_datagram_port_connect(port, unix_endpoint("end")));
    while (!lariat_datagram_port_buffered(port)) send_text(port, "x");
    free_reactor(reactor);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
}

/* ---- a peer that floods ---- */

static long echoes;

/* To itself: it never ends. */
static void echo_to_itself(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    (void)self;
    echoes++;
    CHECK_OK(lariat_datagram_port_send_to(port, data, len, peer));
}

static void crash_noted(void *reactor) {
    note("timer");
    CHECK_OK(lariat_reactor_crash(reactor));
}

TEST(f22_a_flood_of_datagrams_leaves_timers_and_others_their_turn) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = quiet_datagrams();
    protocol.datagram_received = echo_to_itself;
    lariat_datagram_port *flood = open_port(reactor, "udp://127.0.0.1:0", protocol, NULL);
    lariat_datagram_port *other = noting_port(reactor, "udp://127.0.0.1:0", "other");
    lariat_address own = address_of(port_text(flood));
    int end = other_end(AF_INET);
    for (int i = 0; i < 20; i++) send_text_to(flood, "x", &own);
    put_text(end, other, "x");
    CHECK(lariat_reactor_call_later(reactor, 0.02, crash_noted, reactor) != NULL);
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK(noted("timer") && noted("other<x"));
    notes_clear();
    CHECK(echoes > 20);
    stop_port(reactor, flood);
    stop_port(reactor, other);
    close(end);
    reactor_done(reactor);
}

static void count_datagram(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    (void)port, (void)data, (void)len, (void)peer;
    ++*(long *)self;
}

TEST(f22_what_the_budget_leaves_over_comes_in_the_next_turns) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = quiet_datagrams();
    long received = 0, before = 0;
    protocol.datagram_received = count_datagram;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0?receive_buffer=200000", protocol, &received);
    int end = other_end(AF_INET), turned = 0;
    static char data[1000];
    for (int i = 0; i < 180; i++) put(end, AF_INET, lariat_datagram_port_number(port), data, 100);
    for (; received < 180 && turned < 100; turned++) {
        turn(reactor);
        CHECK(received - before <= 130);
        before = received;
    }
    CHECK_INT(received, 180);
    CHECK(turned > 1);
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

/* ---- a system that is short of something: these stand before the C library's, which the library calls ---- */

#ifdef __linux__
static int send_fails, send_errno, receive_fails, receive_errno, message_fails, message_errno;

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t length) {
    if (send_fails && send_fails--) return errno = send_errno, -1;
    return syscall(SYS_sendto, fd, data, len, flags, to, length);
}

ssize_t recvfrom(int fd, void *data, size_t len, int flags, struct sockaddr *from, socklen_t *length) {
    if (receive_fails && receive_fails--) return errno = receive_errno, -1;
    return syscall(SYS_recvfrom, fd, data, len, flags, from, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (message_fails && message_fails--) return errno = message_errno, -1;
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* Three datagrams, the first sends of which fail, arrive once and in order. */
static void check_sending(int error, int times, int waits) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    lariat_address to = address_of_end(end);
    send_fails = times, send_errno = error;
    send_text_to(port, "one", &to);
    send_text_to(port, "two", &to);
    send_text_to(port, "three", &to);
    CHECK_INT(lariat_datagram_port_buffered(port), waits ? 11 : 0);
    for (int i = 0; i < 1000 && lariat_datagram_port_buffered(port); i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
    CHECK_STR(get_text(end), "one");
    CHECK_STR(get_text(end), "two");
    CHECK_STR(get_text(end), "three");
    CHECK(is_silent(end));
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(f25_a_send_that_is_interrupted_is_made_again) { check_sending(EINTR, 5, 0); }
TEST(f25_without_buffers_of_the_system_datagrams_wait) { check_sending(ENOBUFS, 3, 1); }
TEST(f25_without_memory_of_the_system_datagrams_wait) { check_sending(ENOMEM, 3, 1); }
TEST(f25_a_full_socket_makes_datagrams_wait_until_an_edge_tells_of_room) { check_sending(EAGAIN, 1, 1); }

TEST(f25_a_batch_is_sent_whole_however_often_the_system_is_short) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    lariat_datagram list[40];
    char texts[40][4];
    size_t sent = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(texts[i], sizeof texts[i], "%d", i);
        list[i] = (lariat_datagram){.data = (const uint8_t *)texts[i], .len = strlen(texts[i])};
    }
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    send_fails = 2, send_errno = ENOBUFS;
    CHECK_OK(lariat_datagram_port_send_batch(port, list, 40, &sent));
    CHECK_INT(sent, 40);
    for (int i = 0; i < 1000 && lariat_datagram_port_buffered(port); i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
    for (int i = 0; i < 40; i++) CHECK_STR(get_text(end), texts[i]);
    CHECK(is_silent(end));
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

static void check_receiving(int error, int times) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    receive_fails = times, receive_errno = error;
    put_text(end, port, "one");
    put_text(end, port, "two");
    turn_until(reactor, "two");
    CHECK_NOTES("a<one a<two");
    CHECK_INT(receive_fails, 0);
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(f25_a_receive_that_is_interrupted_is_made_again) { check_receiving(EINTR, 5); }
TEST(f25_without_memory_to_receive_it_is_tried_again) { check_receiving(ENOMEM, 3); }

TEST(f25_what_fails_for_another_reason_is_told_and_the_port_lives) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    receive_fails = 1, receive_errno = EHOSTUNREACH;
    put_text(end, port, "x");
    turn_until(reactor, "a<x");
    CHECK_NOTES("a!UNREACHABLE a<x");
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(f25_a_port_whose_socket_is_no_good_any_more_ends) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.stopped = note_stopped;
    protocol.free_self = token_free;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, token_new("a"));
    int end = other_end(AF_INET);
    receive_fails = 1, receive_errno = EBADF;
    put_text(end, port, "x");
    turn_until(reactor, "stopped");
    CHECK_NOTES("a:stopped=OS");
    CHECK_STATUS(lariat_datagram_port_number(port), LARIAT_ERR_STALE_HANDLE);
    close(end);
    reactor_done(reactor);
}

/* As by an interface that cannot, or a kernel that does not know of segments. */
static void check_refused_segments(int error) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    lariat_address to = address_of_end(end);
    lariat_datagram one = {.data = (const uint8_t *)"aabbc", .len = 5, .peer = &to, .segment_size = 2};
    message_fails = 100, message_errno = error;
    CHECK_OK(lariat_datagram_port_send_batch(port, &one, 1, NULL));
    CHECK_STR(get_text(end), "aa");
    CHECK_STR(get_text(end), "bb");
    CHECK_STR(get_text(end), "c");
    send_fails = 1, send_errno = ENOBUFS; /* the first goes once there is room, and the others after it */
    CHECK_OK(lariat_datagram_port_send_batch(port, &one, 1, NULL));
    CHECK_INT(lariat_datagram_port_buffered(port), 5);
    for (int i = 0; i < 1000 && lariat_datagram_port_buffered(port); i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
    CHECK_STR(get_text(end), "aa");
    CHECK_STR(get_text(end), "bb");
    CHECK_STR(get_text(end), "c");
    CHECK(is_silent(end));
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(f25_segments_that_an_interface_refuses_go_one_by_one) { check_refused_segments(EIO); }
TEST(f25_segments_that_a_kernel_refuses_go_one_by_one) { check_refused_segments(EINVAL); }
#endif

/* ---- too long, cut short, refused ---- */

TEST(f31_too_long_truncated_and_refused_are_reported_and_the_port_lives) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end"), size = 1 << 20;
    static uint8_t data[8 << 20];
    lariat_address to = address_of(unix_endpoint("end")), nobody = address_of(unix_endpoint("nobody"));
    CHECK_STATUS(lariat_datagram_port_send_to(port, data, sizeof data, &to), LARIAT_ERR_TOO_LONG);
    CHECK_INT(setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    unix_put(end, "a", data, 300000);
    turn_until(reactor, "!");
    CHECK_NOTES("a!TRUNCATED");
    close(unix_end("nobody"));
    CHECK_STATUS(lariat_datagram_port_send_to(port, data, 1, &nobody), LARIAT_ERR_CONNECTION_REFUSED);
    CHECK_STATUS(lariat_datagram_port_connect(port, unix_endpoint("nobody")), LARIAT_ERR_CONNECTION_REFUSED);
    send_text_to(port, "still here", &to);
    CHECK_STR(get_text(end), "still here");
    unix_put(end, "a", "and here", 8);
    turn_until(reactor, "a<and here");
    CHECK_NOTES("a<and here");
    stop_port(reactor, port);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    CHECK_INT(unlink(path_in("nobody")), 0);
    folder_done();
    reactor_done(reactor);
}

TEST(f31_a_truncated_one_is_left_out_of_a_batch) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = lariat_reactor_listen_datagram_event(reactor, unix_endpoint("a"), 1);
    int end = unix_end("end"), size = 1 << 20, received = 0, cut = 0;
    static uint8_t data[300000];
    lariat_event event;
    CHECK(port != NULL);
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_INT(setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    for (int i = 0; i < 3; i++) unix_put(end, "a", data, i == 1 ? sizeof data : 3);
    for (int i = 0; i < 100 && received + cut < 3; i++) {
        CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
        while (lariat_reactor_next_event(reactor, &event) == LARIAT_OK) {
            if (event.kind == LARIAT_EVENT_DATAGRAM_FAILED) {
                CHECK_INT(lariat_failure_code(event.failure), LARIAT_ERR_TRUNCATED);
                cut++;
            } else {
                CHECK_INT(event.len, 3);
                received++;
            }
        }
    }
    CHECK_INT(received, 2);
    CHECK_INT(cut, 1);
    free_reactor(reactor);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
}

/* ---- no descriptors ---- */

TEST(f24_without_descriptors_no_port_is_opened) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = quiet_datagrams();
    struct rlimit limit, none = {0, 0};
    protocol.free_self = token_free;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, "udp://127.0.0.1:0", &protocol, token_new("a")), LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, unix_endpoint("a"), &protocol, token_new("b")), LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK(!exists("a"));
    folder_done();
    reactor_done(reactor);
}

/* ---- handles ---- */

TEST(datagrams_a_port_is_no_other_kind_and_no_other_kind_is_a_port) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    CHECK_STATUS(lariat_deferred_cancel((lariat_deferred *)port), LARIAT_ERR_INVALID_HANDLE);
    CHECK_STATUS(lariat_datagram_port_number((lariat_datagram_port *)reactor), LARIAT_ERR_INVALID_HANDLE);
    CHECK_STATUS(lariat_datagram_port_number(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_send((lariat_datagram_port *)(uintptr_t)0x1234, NULL, 0), LARIAT_ERR_INVALID_HANDLE);
    CHECK_NULL(lariat_datagram_port_stop(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    stop_port(reactor, port);
    reactor_done(reactor);
}

static void *call_from_elsewhere(void *port) {
    CHECK_STATUS(lariat_datagram_port_send(port, (const uint8_t *)"x", 1), LARIAT_ERR_WRONG_THREAD);
    CHECK_STATUS(lariat_datagram_port_number(port), LARIAT_ERR_WRONG_THREAD);
    CHECK_NULL(lariat_datagram_port_stop(port), LARIAT_ERR_WRONG_THREAD);
    return NULL;
}

TEST(datagrams_a_port_belongs_to_one_thread) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    thread_join(thread_start(call_from_elsewhere, port));
    stop_port(reactor, port);
    reactor_done(reactor);
}
#endif
