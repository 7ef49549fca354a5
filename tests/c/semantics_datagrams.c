/* Datagram ports (SEMANTICS 31 and 32, DESIGN 7 and 8), on real sockets of the loopback interface. */
#ifdef _WIN32
#include "harness.h"
TEST(datagrams_are_tested_on_unix) { SKIP("these cases use sockets of POSIX"); }
#else
#include "datagrams.h"

/* ---- whole or not at all ---- */

TEST(s32_a_datagram_is_delivered_whole_with_its_peer) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    put_text(end, port, "one");
    put_text(end, port, "and two");
    turn_until(reactor, "two");
    CHECK_NOTES("a<one a<and two");
    CHECK_INT(last_peer.family, LARIAT_ADDRESS_IPV4);
    CHECK_INT(last_peer.port, number_of(end));
    CHECK_STR(address_text(&last_peer), endpoint_of(end));
    send_text_to(port, "reply", &last_peer); /* at once, without a turn */
    CHECK_STR(get_text(end), "reply");
    CHECK_INT(lariat_datagram_port_buffered(port), 0);
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(s32_an_empty_datagram_is_one) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    lariat_address peer = address_of_end(end);
    put_text(end, port, "");
    put_text(end, port, "x");
    turn_until(reactor, "a<x");
    CHECK_NOTES("a< a<x");
    CHECK_OK(lariat_datagram_port_send_to(port, NULL, 0, &peer));
    CHECK_STR(get_text(end), "");
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(s32_the_longest_comes_whole_and_a_longer_one_is_refused) {
    static uint8_t data[65508];
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    lariat_address own = address_of(port_text(port));
    CHECK_OK(lariat_datagram_port_send_to(port, data, 65507, &own));
    CHECK_STATUS(lariat_datagram_port_send_to(port, data, 65508, &own), LARIAT_ERR_TOO_LONG);
    CHECK(strstr(lariat_last_error_message(), "65508") != NULL);
    send_text_to(port, "on", &own); /* it lives */
    turn_until(reactor, "a<on");
    CHECK_NOTES("a<65507 a<on");
    stop_port(reactor, port);
    reactor_done(reactor);
}

TEST(s32_a_truncated_one_is_reported_with_its_peer) {
    static char data[300000];
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end"), size = 1 << 20;
    CHECK_INT(setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    unix_put(end, "a", "before", 6);
    unix_put(end, "a", data, sizeof data);
    unix_put(end, "a", "after", 5);
    turn_until(reactor, "a<after");
    CHECK(noted("a!TRUNCATED"));
    notes_clear();
    CHECK_STR(address_text(&last_peer), unix_endpoint("end"));
    stop_port(reactor, port);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
    reactor_done(reactor);
}

TEST(s32_larger_ones_of_unix_sockets_come_whole) {
    static char data[150000];
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end");
    unix_put(end, "a", data, sizeof data);
    turn_until(reactor, "a<150000");
    CHECK_NOTES("a<150000");
    stop_port(reactor, port);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
    reactor_done(reactor);
}

/* ---- connected ports ---- */

TEST(s31_a_connected_port_that_is_refused_reports_it_and_lives_on) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    any_name name;
    socklen_t length = sizeof name;
    CHECK_INT(getsockname(end, &name.any, &length), 0);
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    close(end); /* nobody is there any more */
    send_text(port, "lost");
    turn_until(reactor, "!");
    CHECK_NOTES("a!CONNECTION_REFUSED");
    CHECK_INT(last_peer.port, ntohs(name.v4.sin_port));
    end = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_INT(bind(end, &name.any, length), 0);
    send_text(port, "found");
    CHECK_STR(get_text(end), "found");
    put_text(end, port, "back");
    turn_until(reactor, "a<back");
    CHECK_NOTES("a<back");
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(s31_a_refusal_that_a_send_finds_costs_no_datagram) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET), other = other_end(AF_INET);
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    close(end);
    send_text(port, "refused"); /* the system has the error ready for the next call, whatever that is */
    lariat_address elsewhere = address_of_end(other);
    send_text_to(port, "sent", &elsewhere);
    CHECK_STR(get_text(other), "sent");
    CHECK_NOTES(""); /* it is told by the loop */
    turn_until(reactor, "!");
    CHECK_NOTES("a!CONNECTION_REFUSED");
    stop_port(reactor, port);
    close(other);
    reactor_done(reactor);
}

TEST(s31_a_batch_that_is_refused_is_sent_whole) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    lariat_datagram list[8];
    size_t sent = 0;
    for (int i = 0; i < 8; i++) list[i] = (lariat_datagram){.data = (const uint8_t *)"x", .len = 1};
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    close(end);
    CHECK_OK(lariat_datagram_port_send_batch(port, list, 8, &sent));
    CHECK_INT(sent, 8);
    turn_until(reactor, "!");
    CHECK(noted("a!CONNECTION_REFUSED"));
    notes_clear();
    stop_port(reactor, port);
    reactor_done(reactor);
}

TEST(s31_without_a_function_for_it_the_log_is_told) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", quiet_datagrams(), NULL);
    int end = other_end(AF_INET);
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    close(end);
    send_text(port, "lost");
    for (int i = 0; i < 100 && !strstr(test_log.last, "datagram"); i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
    CHECK(strstr(test_log.last, "efused") != NULL);
    CHECK_INT(test_log.errors, 0); /* a warning */
    stop_port(reactor, port);
    reactor_done(reactor);
}

TEST(datagrams_a_connected_port_hears_its_peer_alone_and_can_be_connected_anew) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int one = other_end(AF_INET), two = other_end(AF_INET);
    CHECK_STATUS(lariat_datagram_port_send(port, (const uint8_t *)"x", 1), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(one)));
    send_text(port, "to one");
    CHECK_STR(get_text(one), "to one");
    put_text(two, port, "from two");
    put_text(one, port, "from one");
    turn_until(reactor, "a<from one");
    CHECK_NOTES("a<from one");
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(two)));
    send_text(port, "to two");
    CHECK_STR(get_text(two), "to two");
    put_text(one, port, "from one");
    put_text(two, port, "from two");
    turn_until(reactor, "a<from two");
    CHECK_NOTES("a<from two");
    CHECK(is_silent(one));
    CHECK_STATUS(lariat_datagram_port_connect(port, "udp://example.org:53"), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_STATUS(lariat_datagram_port_connect(port, "udp://[::1]:53"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_datagram_port_connect(port, "tcp://127.0.0.1:53"), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_STATUS(lariat_datagram_port_connect(port, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    stop_port(reactor, port);
    close(one);
    close(two);
    reactor_done(reactor);
}

/* ---- life ---- */

TEST(datagrams_started_comes_first_from_the_loop_and_stopped_last) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.started = note_started;
    protocol.stopped = note_stopped;
    protocol.free_self = token_free_noted;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, token_new("a"));
    memset(&protocol, 0, sizeof protocol); /* it was copied */
    int end = other_end(AF_INET);
    put_text(end, port, "x");
    CHECK_NOTES("");
    CHECK_INT(reactor_stats(reactor).datagram_ports, 1);
    turn_until(reactor, "a<x");
    CHECK_NOTES("a:started a<x");
    put_text(end, port, "y");
    end_with_note(lariat_datagram_port_stop(port), "stop");
    CHECK_NOTES(""); /* not from inside the call */
    CHECK_NULL(lariat_datagram_port_stop(port), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_datagram_port_send(port, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_datagram_port_connect(port, endpoint_of(end)), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_datagram_port_number(port), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_datagram_port_set_broadcast(port, 1), LARIAT_ERR_CLOSED);
    turn(reactor);
    CHECK_NOTES("a:stopped=LARIAT_CONNECTION_DONE stop=- free:a");
    CHECK_STATUS(lariat_datagram_port_number(port), LARIAT_ERR_STALE_HANDLE);
    close(end);
    reactor_done(reactor);
}

TEST(datagrams_a_port_that_is_stopped_before_the_loop_runs_is_only_stopped) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.started = note_started;
    protocol.stopped = note_stopped;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, "a");
    stop_port(reactor, port);
    CHECK_NOTES("a:stopped=LARIAT_CONNECTION_DONE");
    reactor_done(reactor);
}

TEST(datagrams_self_is_freed_when_no_port_is_opened) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = quiet_datagrams();
    protocol.free_self = token_free;
    protocol.stopped = note_stopped;
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, port_text(port), &protocol, token_new("in use")), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK(strstr(lariat_last_error_message(), "127.0.0.1") != NULL);
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, "udp://nowhere", &protocol, token_new("bad")), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, "udp://192.0.2.77:0", &protocol, token_new("other")), LARIAT_ERR_ADDRESS_NOT_AVAILABLE);
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, NULL, &protocol, token_new("NULL")), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_listen_datagram(NULL, "udp://127.0.0.1:0", &protocol, token_new("none")), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_adopt_datagram(reactor, -1, &protocol, token_new("fd")), LARIAT_ERR_INVALID_ARGUMENT);
    protocol.reserved = 1;
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, "udp://127.0.0.1:0", &protocol, token_new("reserved")), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_listen_datagram(reactor, "udp://127.0.0.1:0", NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    stop_port(reactor, port);
    reactor_done(reactor);
}

TEST(datagrams_a_scope_ends_its_ports) {
    lariat_reactor *reactor = real_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.stopped = note_stopped;
    protocol.free_self = token_free;
    CHECK_OK(lariat_scope_enter(scope));
    open_port(reactor, "udp://127.0.0.1:0", protocol, token_new("in"));
    CHECK_OK(lariat_scope_leave(scope));
    lariat_datagram_port *out = noting_port(reactor, "udp://127.0.0.1:0", "out");
    CHECK_OK(lariat_scope_end(scope));
    CHECK_NOTES("in:stopped=CLOSED");
    CHECK_OK(lariat_scope_free(scope));
    CHECK(lariat_datagram_port_number(out) > 0);
    stop_port(reactor, out);
    reactor_done(reactor);
}

/* ---- pausing ---- */

static void pause_after_each(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    note_datagram(port, data, len, peer, self);
    CHECK_OK(lariat_datagram_port_pause_reading(port));
}

TEST(datagrams_what_comes_to_a_paused_port_comes_later_in_order) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.datagram_received = pause_after_each;
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", protocol, "a");
    int end = other_end(AF_INET);
    for (int i = 0; i < 5; i++) put_text(end, port, (const char *[]){"0", "1", "2", "3", "4"}[i]);
    turn_until(reactor, "a<0");
    turns(reactor, 3);
    CHECK_NOTES("a<0"); /* although all were received together */
    put_text(end, port, "5");
    turns(reactor, 2);
    CHECK_NOTES("");
    for (int i = 1; i < 6; i++) {
        char want[] = {'a', '<', (char)('0' + i), 0};
        CHECK_OK(lariat_datagram_port_resume_reading(port));
        CHECK_NOTES("");
        turn_until(reactor, want);
        turn(reactor);
        CHECK_NOTES(want);
    }
    CHECK_OK(lariat_datagram_port_resume_reading(port));
    turns(reactor, 2);
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

/* ---- events ---- */

static lariat_event next_event(lariat_reactor *reactor, int32_t kind) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    for (int i = 0; i < 100; i++) {
        lariat_status status = lariat_reactor_next_event(reactor, &event);
        if (status == LARIAT_OK) {
            CHECK_INT(event.kind, kind);
            return event;
        }
        CHECK_STATUS(status, LARIAT_EMPTY);
        CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
    }
    test_fail(__FILE__, __LINE__, "no event %d", (int)kind);
}

static void no_more_events(lariat_reactor *reactor) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
}

TEST(datagrams_as_events_have_data_and_peer) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = lariat_reactor_listen_datagram_event(reactor, "udp://127.0.0.1:0", 7);
    int end = other_end(AF_INET);
    CHECK(port != NULL);
    put_text(end, port, "hello");
    put_text(end, port, "");
    lariat_event event = next_event(reactor, LARIAT_EVENT_DATAGRAM_RECEIVED);
    CHECK_INT(event.tag, 7);
    CHECK_PTR(event.source, port);
    CHECK_INT(event.len, 5);
    CHECK_INT(memcmp(event.data, "hello", 5), 0);
    CHECK_STR(address_text(event.peer), endpoint_of(end));
    send_text_to(port, "reply", event.peer);
    CHECK_STR(get_text(end), "reply");
    event = next_event(reactor, LARIAT_EVENT_DATAGRAM_RECEIVED);
    CHECK_INT(event.len, 0);
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    close(end);
    send_text(port, "refused");
    event = next_event(reactor, LARIAT_EVENT_DATAGRAM_FAILED);
    CHECK_INT(lariat_failure_code(event.failure), LARIAT_ERR_CONNECTION_REFUSED);
    CHECK(event.peer != NULL && event.peer->port != 0);
    end_with_note(lariat_datagram_port_stop(port), "stop");
    event = next_event(reactor, LARIAT_EVENT_DATAGRAM_PORT_STOPPED);
    CHECK_INT(lariat_failure_code(event.failure), LARIAT_CONNECTION_DONE);
    CHECK_INT(event.tag, 7);
    CHECK_NOTES("stop=-");
    no_more_events(reactor);
    reactor_done(reactor);
}

TEST(datagrams_a_full_queue_of_events_pauses_reading_and_loses_none) {
    lariat_reactor_options options = reactor_options();
    options.max_events = 4;
    lariat_reactor *reactor = reactor_with(options);
    lariat_datagram_port *port = lariat_reactor_listen_datagram_event(reactor, "udp://127.0.0.1:0", 1);
    int end = other_end(AF_INET);
    for (int i = 0; i < 40; i++) put(end, AF_INET, lariat_datagram_port_number(port), &i, sizeof i);
    for (int i = 0; i < 5; i++) CHECK_OK(lariat_reactor_iterate(reactor, 0));
    CHECK_INT(reactor_stats(reactor).events, 4);
    for (int i = 0; i < 40; i++) {
        lariat_event event = next_event(reactor, LARIAT_EVENT_DATAGRAM_RECEIVED);
        CHECK_INT(event.len, sizeof i);
        CHECK_INT(memcmp(event.data, &i, sizeof i), 0);
        CHECK(reactor_stats(reactor).events <= 4);
    }
    no_more_events(reactor);
    end_with_note(lariat_datagram_port_stop(port), "stop");
    next_event(reactor, LARIAT_EVENT_DATAGRAM_PORT_STOPPED);
    no_more_events(reactor);
    CHECK_NOTES("stop=-");
    close(end);
    reactor_done(reactor);
}

/* ---- batches and segments ---- */

static size_t batch_bytes, batch_datagrams, batch_calls, batch_merged;

/* Sends all back, as it came. */
static void echo_batch(lariat_datagram_port *port, const lariat_datagram *datagrams, size_t count, void *self) {
    size_t sent = 99;
    (void)self;
    CHECK(count > 0);
    batch_calls++;
    for (size_t i = 0; i < count; i++) {
        const lariat_datagram *one = &datagrams[i];
        batch_bytes += one->len;
        batch_datagrams += one->segment_size ? (one->len + one->segment_size - 1) / one->segment_size : 1;
        batch_merged += one->segment_size != 0 && one->len > one->segment_size;
    }
    CHECK_OK(lariat_datagram_port_send_batch(port, datagrams, count, &sent));
    CHECK_INT(sent, count);
}

static lariat_datagram_protocol echoing_batches(void) {
    lariat_datagram_protocol protocol = quiet_datagrams();
    protocol.batch_received = echo_batch;
    protocol.datagram_received = note_datagram; /* never called */
    protocol.datagram_failed = note_failed;
    return protocol;
}

TEST(datagrams_that_came_together_are_told_and_sent_together) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0", echoing_batches(), NULL);
    int end = other_end(AF_INET);
    for (int i = 0; i < 50; i++) put(end, AF_INET, lariat_datagram_port_number(port), &i, sizeof i);
    for (int i = 0; i < 100 && batch_datagrams < 50; i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
    CHECK_INT(batch_bytes, 50 * sizeof(int));
    for (int i = 0; i < 50; i++) CHECK_INT(memcmp(get_text(end), &i, sizeof i), 0);
    CHECK(is_silent(end));
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(datagrams_a_batch_may_go_to_many_and_stops_at_the_first_that_cannot) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int one = other_end(AF_INET), two = other_end(AF_INET);
    lariat_address to_one = address_of_end(one), to_two = address_of_end(two), other = address_of("udp://[::1]:9");
    static uint8_t data[70000] = "long";
    size_t sent = 99;
    lariat_datagram list[] = {
        {.data = (const uint8_t *)"1", .len = 1, .peer = &to_one},   {.data = (const uint8_t *)"2", .len = 1, .peer = &to_two},
        {.data = NULL, .len = 0, .peer = &to_one},                   {.data = data, .len = sizeof data, .peer = &to_two},
        {.data = (const uint8_t *)"never", .len = 5, .peer = &to_one},
    };
    CHECK_STATUS(lariat_datagram_port_send_batch(port, list, 5, &sent), LARIAT_ERR_TOO_LONG);
    CHECK_INT(sent, 3);
    CHECK_STR(get_text(one), "1");
    CHECK_STR(get_text(one), "");
    CHECK_STR(get_text(two), "2");
    list[1].peer = &other;
    CHECK_STATUS(lariat_datagram_port_send_batch(port, list, 5, &sent), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(sent, 1);
    CHECK_STR(get_text(one), "1");
    list[1].peer = NULL; /* not connected */
    CHECK_STATUS(lariat_datagram_port_send_batch(port, list, 5, NULL), LARIAT_ERR_INVALID_STATE);
    CHECK_STR(get_text(one), "1");
    list[0].reserved = 1;
    CHECK_STATUS(lariat_datagram_port_send_batch(port, list, 5, &sent), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(sent, 0);
    CHECK_STATUS(lariat_datagram_port_send_batch(port, NULL, 1, &sent), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_datagram_port_send_batch(port, NULL, 0, &sent));
    CHECK(is_silent(one) && is_silent(two));
    stop_port(reactor, port);
    close(one);
    close(two);
    reactor_done(reactor);
}

static uint8_t pattern[200000];

static void fill_pattern(void) {
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (uint8_t)(i * 7 + i / 251);
}

/* One datagram of `len` bytes goes as so many of `segment`. */
static void check_segments(lariat_datagram_port *port, const lariat_address *peer, int end, size_t len, uint32_t segment) {
    lariat_datagram one = {.data = pattern, .len = len, .peer = peer, .segment_size = segment};
    size_t sent = 0, at = 0;
    CHECK_OK(lariat_datagram_port_send_batch(port, &one, 1, &sent));
    CHECK_INT(sent, 1);
    while (at < len) {
        size_t want = len - at < segment ? len - at : segment;
        static uint8_t data[70000];
        struct pollfd readable = {end, POLLIN, 0};
        CHECK_INT(poll(&readable, 1, 10000), 1);
        CHECK_INT(recv(end, data, sizeof data, 0), want);
        CHECK_INT(memcmp(data, pattern + at, want), 0);
        at += want;
    }
    CHECK(is_silent(end));
}

TEST(datagrams_with_a_segment_size_go_as_several) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, "udp://127.0.0.1:0", "a");
    int end = other_end(AF_INET);
    lariat_address peer = address_of_end(end);
    fill_pattern();
    check_segments(port, &peer, end, 1000, 100);
    check_segments(port, &peer, end, 1050, 100);   /* the last is shorter */
    check_segments(port, &peer, end, 99, 100);     /* it is one */
    check_segments(port, &peer, end, 100, 100);
    check_segments(port, &peer, end, 200, 1);      /* more than kernels take in a call */
    check_segments(port, &peer, end, 100000, 1000); /* more than IP carries */
    check_segments(port, &peer, end, 90000, 30000);
    CHECK_OK(lariat_datagram_port_connect(port, endpoint_of(end)));
    check_segments(port, NULL, end, 1000, 100);
    stop_port(reactor, port);
    close(end);
    reactor_done(reactor);
}

TEST(datagrams_of_unix_sockets_with_a_segment_size_go_one_by_one) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = noting_port(reactor, unix_endpoint("a"), "a");
    int end = unix_end("end");
    lariat_address peer = address_of(unix_endpoint("end"));
    fill_pattern();
    check_segments(port, &peer, end, 850, 100);
    stop_port(reactor, port);
    close(end);
    CHECK_INT(unlink(path_in("end")), 0);
    folder_done();
    reactor_done(reactor);
}

TEST(datagrams_received_as_segments_are_told_one_by_one) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *from = noting_port(reactor, "udp://127.0.0.1:0", "from");
    lariat_datagram_port *to = noting_port(reactor, "udp://127.0.0.1:0?gro=1", "a");
    lariat_address peer = address_of(port_text(to));
    lariat_datagram one = {.data = (const uint8_t *)"aabbccd", .len = 7, .peer = &peer, .segment_size = 2};
    CHECK_OK(lariat_datagram_port_send_batch(from, &one, 1, NULL));
    turn_until(reactor, "a<d");
    CHECK_NOTES("a<aa a<bb a<cc a<d");
    stop_port(reactor, from);
    stop_port(reactor, to);
    reactor_done(reactor);
}

TEST(datagrams_a_port_that_is_paused_among_segments_hears_the_rest_later) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_protocol protocol = noting_datagrams();
    protocol.datagram_received = pause_after_each;
    lariat_datagram_port *from = noting_port(reactor, "udp://127.0.0.1:0", "from");
    lariat_datagram_port *to = open_port(reactor, "udp://127.0.0.1:0?gro=1", protocol, "a");
    lariat_address peer = address_of(port_text(to));
    lariat_datagram one = {.data = (const uint8_t *)"aabbc", .len = 5, .peer = &peer, .segment_size = 2};
    CHECK_OK(lariat_datagram_port_send_batch(from, &one, 1, NULL));
    turn_until(reactor, "a<aa");
    turns(reactor, 2);
    CHECK_OK(lariat_datagram_port_resume_reading(to));
    turn_until(reactor, "a<bb");
    turns(reactor, 2);
    CHECK_NOTES("a<aa a<bb");
    CHECK_OK(lariat_datagram_port_resume_reading(to));
    turn_until(reactor, "a<c");
    CHECK_NOTES("a<c");
    stop_port(reactor, from);
    stop_port(reactor, to);
    reactor_done(reactor);
}

TEST(datagrams_batches_of_segments_go_back_as_they_came) {
    lariat_reactor *reactor = real_reactor();
    lariat_datagram_port *port = open_port(reactor, "udp://127.0.0.1:0?gro=1", echoing_batches(), NULL);
    lariat_datagram_port *from = noting_port(reactor, "udp://127.0.0.1:0", "b");
    lariat_address peer = address_of(port_text(port));
    lariat_datagram one = {.data = (const uint8_t *)"aabbccddee", .len = 10, .peer = &peer, .segment_size = 2};
    CHECK_OK(lariat_datagram_port_send_batch(from, &one, 1, NULL));
    turn_until(reactor, "b<ee");
    CHECK_NOTES("b<aa b<bb b<cc b<dd b<ee");
    CHECK_INT(batch_datagrams, 5);
    CHECK_INT(batch_bytes, 10);
    stop_port(reactor, from);
    stop_port(reactor, port);
    reactor_done(reactor);
    if (!batch_merged) SKIP("this kernel does not merge datagrams");
}
#endif
