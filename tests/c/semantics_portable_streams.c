/* Connections (SEMANTICS 22, 24, 26, 27, 28) with lariat at both ends and nothing of Unix: these cases also run on Windows and on other
 * processors. */
#include "sides.h"

/* ---- a client and its server, in one reactor --------------------------------------------------------------------------------------- */

typedef struct pair {
    lariat_reactor *reactor;
    lariat_listener *listener;
    server serving;
    side near, far; /* who connects, and whom it reaches */
} pair;

static lariat_deferred *connect_side(lariat_reactor *reactor, int port, const char *options, int is_half, side *own) {
    char endpoint[80];
    lariat_protocol protocol = side_protocol(is_half);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d%s", port, options);
    lariat_deferred *connected = lariat_reactor_connect(reactor, endpoint, &protocol, own);
    if (!connected) test_fail(__FILE__, __LINE__, "cannot connect to %s: %s", endpoint, lariat_last_error_message());
    return connected;
}

static void let_go(lariat_deferred *deferred) { CHECK_OK(lariat_deferred_release(deferred)); }

static void pair_listen(pair *two, lariat_reactor *reactor, int is_half) {
    if (!two->near.name) two->near.name = "near";
    if (!two->far.name) two->far.name = "far";
    two->reactor = reactor;
    two->serving = (server){&two->far, 1, 0, LARIAT_OK};
    two->listener = listen_at(reactor, "tcp://127.0.0.1:0", is_half, &two->serving);
}

static void pair_open(pair *two, lariat_reactor *reactor, int is_half) {
    pair_listen(two, reactor, is_half);
    let_go(connect_side(reactor, lariat_listener_port(two->listener), "", is_half, &two->near));
    until(reactor, two->near.made && two->far.made);
}

/* Both ends are over. */
static void pair_close(pair *two, int32_t near_reason, int32_t far_reason) {
    until(two->reactor, two->near.freed && two->far.freed);
    side_over(&two->near, near_reason);
    side_over(&two->far, far_reason);
    stop_listening(two->reactor, two->listener);
    reactor_done(two->reactor);
}

/* ---- 22: listening ------------------------------------------------------------------------------------------------------------------ */

TEST(s22_port_0_is_one_of_the_systems_choice) {
    lariat_reactor *reactor = real_reactor();
    char text[80], again[80];
    server none = {0};
    lariat_listener *one = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &none);
    lariat_listener *other = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &none);
    CHECK(lariat_listener_port(one) > 0);
    CHECK(lariat_listener_port(one) != lariat_listener_port(other));
    CHECK_OK(lariat_listener_address(one, text, sizeof text, NULL));
    snprintf(again, sizeof again, "tcp://127.0.0.1:%d", (int)lariat_listener_port(one));
    CHECK_STR(text, again);
    /* It is taken, and by nobody else. */
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK_NULL(lariat_reactor_listen(reactor, text, &protocol, NULL, NULL), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK(strstr(lariat_last_error_message(), again + strlen("tcp://")) != NULL);
    stop_listening(reactor, one);
    stop_listening(reactor, other);
    reactor_done(reactor);
}

TEST(s22_the_address_is_free_again_once_the_listener_is_stopped) {
    lariat_reactor *reactor = real_reactor();
    char text[80];
    server none = {0};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &none);
    CHECK_OK(lariat_listener_address(listener, text, sizeof text, NULL));
    for (int i = 0; i < 3; i++) {
        stop_listening(reactor, listener);
        listener = listen_at(reactor, text, PLAIN, &none);
    }
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(s22_a_refused_connection_sees_its_end) {
    pair two = {0};
    pair_listen(&two, real_reactor(), PLAIN);
    two.serving.answer = 7;
    let_go(connect_side(two.reactor, lariat_listener_port(two.listener), "", PLAIN, &two.near));
    until(two.reactor, two.near.freed);
    CHECK_INT(two.near.lost, 1);
    bytes_free(&two.near.got);
    CHECK_INT(two.far.made + two.far.freed, 0);
    stop_listening(two.reactor, two.listener);
    reactor_done(two.reactor);
}

TEST(s22_many_connections_at_once) {
    enum { COUNT = 100 };
    static side near[COUNT], far[COUNT];
    lariat_reactor *reactor = real_reactor();
    server serving = {far, COUNT, 0, LARIAT_OK};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &serving);
    int echoed = 0, over = 0;
    for (int i = 0; i < COUNT; i++) {
        near[i].name = "near", far[i].name = "far";
        far[i].echoes = 1;
        let_go(connect_side(reactor, lariat_listener_port(listener), "", PLAIN, &near[i]));
    }
    until(reactor, serving.count == COUNT);
    for (int i = 0; i < COUNT; i++) {
        until(reactor, near[i].made);
        write_text(near[i].transport, "hello");
    }
    until(reactor, ({ echoed = 0; for (int i = 0; i < COUNT; i++) echoed += near[i].came == 5; echoed == COUNT; }));
    CHECK_INT(lariat_listener_connections(listener), COUNT);
    for (int i = 0; i < COUNT; i++) CHECK_OK(lariat_transport_lose_connection(near[i].transport));
    until(reactor, ({ over = 0; for (int i = 0; i < COUNT; i++) over += near[i].freed && far[i].freed; over == COUNT; }));
    for (int i = 0; i < COUNT; i++) {
        CHECK_STR(bytes_text(&near[i].got), "hello");
        side_over(&near[i], LARIAT_CONNECTION_DONE);
        side_over(&far[i], LARIAT_CONNECTION_DONE);
    }
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

/* ---- 26: what is written comes, in order -------------------------------------------------------------------------------------------- */

TEST(s26_echo) {
    pair two = {.far = {.echoes = 1}};
    pair_open(&two, real_reactor(), PLAIN);
    write_text(two.near.transport, "one ");
    until(two.reactor, two.near.came == 4);
    write_text(two.near.transport, "two ");
    write_text(two.near.transport, "three");
    until(two.reactor, two.near.came == 13);
    CHECK_STR(bytes_text(&two.near.got), "one two three");
    char own[80], peer[80];
    CHECK_OK(lariat_transport_address(two.near.transport, own, sizeof own, NULL));
    CHECK_OK(lariat_transport_peer(two.far.transport, peer, sizeof peer, NULL));
    CHECK_STR(own, peer);
    CHECK_OK(lariat_transport_lose_connection(two.near.transport));
    pair_close(&two, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

TEST(s26_an_echo_again_and_again) {
    pair two = {.far = {.echoes = 1}};
    size_t rounds = many(1000);
    pair_open(&two, real_reactor(), PLAIN);
    for (size_t i = 1; i <= rounds; i++) {
        write_text(two.near.transport, "ping");
        until(two.reactor, two.near.came == i * 4);
    }
    CHECK_OK(lariat_transport_lose_connection(two.far.transport));
    pair_close(&two, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

TEST(s26_a_megabyte_both_ways) {
    enum { LENGTH = 1 << 20 };
    pair two = {0};
    uint8_t *out = pattern_new(LENGTH, 1), *back = pattern_new(LENGTH, 2);
    pair_open(&two, real_reactor(), PLAIN);
    CHECK_OK(lariat_transport_write(two.near.transport, out, LENGTH));
    for (size_t i = 0; i < LENGTH; i += LENGTH / 8) CHECK_OK(lariat_transport_write(two.far.transport, back + i, LENGTH / 8));
    until(two.reactor, two.near.came == LENGTH && two.far.came == LENGTH);
    CHECK_PATTERN(two.far.got.data, LENGTH, 1);
    CHECK_PATTERN(two.near.got.data, LENGTH, 2);
    CHECK_INT(lariat_transport_buffered(two.near.transport), 0);
    CHECK_OK(lariat_transport_lose_connection(two.near.transport));
    pair_close(&two, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
    free(out);
    free(back);
}

TEST(s26_one_that_does_not_read_holds_up_who_writes) {
    enum { LENGTH = 32 << 20 };
    pair two = {0};
    uint8_t *out = pattern_new(LENGTH, 1);
    pair_open(&two, real_reactor(), PLAIN);
    CHECK_OK(lariat_transport_pause_reading(two.far.transport));
    CHECK_OK(lariat_transport_write(two.near.transport, out, LENGTH));
    turns(two.reactor, 20);
    CHECK_INT(two.far.came, 0);
    CHECK(lariat_transport_buffered(two.near.transport) > 0);
    CHECK_OK(lariat_transport_lose_connection(two.near.transport)); /* after all that was written */
    CHECK_OK(lariat_transport_resume_reading(two.far.transport));
    until(two.reactor, two.far.lost);
    CHECK_INT(two.far.came, LENGTH);
    CHECK_PATTERN(two.far.got.data, LENGTH, 1);
    pair_close(&two, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
    free(out);
}

/* ---- 24, 27: how they end ----------------------------------------------------------------------------------------------------------- */

TEST(s24_half_close_leaves_the_other_way_open) {
    pair two = {.near = {.is_noted = 1}, .far = {.is_noted = 1}};
    pair_listen(&two, real_reactor(), HALF);
    let_go(connect_side(two.reactor, lariat_listener_port(two.listener), "", HALF, &two.near));
    until(two.reactor, two.near.made && two.far.made);
    notes_clear();
    write_text(two.near.transport, "question");
    CHECK_OK(lariat_transport_lose_write_connection(two.near.transport));
    until(two.reactor, two.far.read_lost);
    CHECK_STATUS(lariat_transport_write(two.near.transport, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    CHECK_NOTES("near:half-write far=question far:half-read");
    write_text(two.far.transport, "answer");
    until(two.reactor, two.near.came == 6);
    turns(two.reactor, 5);
    CHECK_NOTES("near=answer");
    CHECK_OK(lariat_transport_lose_write_connection(two.far.transport));
    until(two.reactor, two.near.freed && two.far.freed);
    CHECK(noted("far:half-write") && noted("near:half-read") && noted("far!CONNECTION_DONE") && noted("near!CONNECTION_DONE"));
    notes_clear();
    pair_close(&two, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

/* What a connection hears that its peer has aborted. */
static int32_t by_reset(void) { return under_wine() ? LARIAT_CONNECTION_DONE : LARIAT_ERR_CONNECTION_LOST; }

TEST(s27_abort_resets_the_peer) {
    pair two = {0};
    pair_open(&two, real_reactor(), PLAIN);
    CHECK_OK(lariat_transport_abort_connection(two.near.transport));
    pair_close(&two, LARIAT_ERR_CONNECTION_ABORTED, by_reset());
}

TEST(s27_abort_is_seen_by_one_that_does_not_read) {
    pair two = {0};
    pair_open(&two, real_reactor(), PLAIN);
    CHECK_OK(lariat_transport_pause_reading(two.far.transport));
    turns(two.reactor, 3);
    CHECK_OK(lariat_transport_abort_connection(two.near.transport));
    until(two.reactor, two.near.lost);
    CHECK_OK(lariat_transport_resume_reading(two.far.transport));
    pair_close(&two, LARIAT_ERR_CONNECTION_ABORTED, by_reset());
}

TEST(s27_the_reactors_end_is_theirs) {
    pair two = {0};
    pair_open(&two, real_reactor(), PLAIN);
    free_reactor(two.reactor);
    side_over(&two.near, LARIAT_ERR_CLOSED);
    side_over(&two.far, LARIAT_ERR_CLOSED);
}

/* ---- 28: connecting ----------------------------------------------------------------------------------------------------------------- */

TEST(s28_connect_is_refused_where_nobody_listens) {
    lariat_reactor *reactor = real_reactor();
    side own = {.name = "own"};
    server none = {0};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &none);
    int port = lariat_listener_port(listener);
    stop_listening(reactor, listener);
    end_with_note(connect_side(reactor, port, "", PLAIN, &own), "connect");
    until(reactor, own.freed);
    until(reactor, noted("connect"));
    CHECK_NOTES("connect!CONNECTION_REFUSED");
    CHECK_INT(own.made + own.lost, 0);
    reactor_done(reactor);
}

TEST(s28_giving_up_closes_the_connection) {
    pair two = {0};
    pair_listen(&two, real_reactor(), PLAIN);
    lariat_deferred *connected = connect_side(two.reactor, lariat_listener_port(two.listener), "", PLAIN, &two.near);
    CHECK_OK(lariat_deferred_cancel(connected));
    CHECK_STR(result_of(connected), "CANCELLED");
    CHECK_OK(lariat_deferred_add_errback(connected, note_failure, "connect"));
    let_go(connected);
    CHECK_NOTES("connect!CANCELLED");
    /* The system may have let it come through; then its end comes too. */
    turns(two.reactor, 20);
    until(two.reactor, two.far.made == two.far.lost);
    CHECK_INT(two.near.made, 0);
    CHECK_INT(two.near.freed, 1);
    stop_listening(two.reactor, two.listener);
    reactor_done(two.reactor);
}

TEST(s28_unix_sockets_say_whether_they_are_there) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    protocol.free_self = NULL;
    lariat_listener *listener = lariat_reactor_listen(reactor, "unix:///lariat-no-such-folder/socket", &protocol, NULL, NULL);
    CHECK(listener == NULL);
#ifdef _WIN32
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_NOT_SUPPORTED);
    CHECK(strstr(lariat_last_error_message(), "Windows") != NULL);
#else
    CHECK(lariat_last_error() != LARIAT_ERR_NOT_SUPPORTED);
#endif
    reactor_done(reactor);
}

/* ---- time-outs, by a clock that only the case moves --------------------------------------------------------------------------------- */

TEST(s27_an_idle_connection_times_out) {
    pair two = {0};
    pair_open(&two, manual_reactor(), PLAIN);
    CHECK_OK(lariat_transport_set_idle_timeout(two.far.transport, 10.0));
    advance(two.reactor, 9.0);
    write_text(two.near.transport, "x"); /* which makes it wait anew */
    until(two.reactor, two.far.came == 1);
    advance(two.reactor, 9.0);
    turns(two.reactor, 3);
    CHECK_INT(two.far.lost, 0);
    advance(two.reactor, 1.5);
    pair_close(&two, LARIAT_CONNECTION_DONE, LARIAT_ERR_TIMED_OUT);
}

TEST(s28_connect_times_out) {
    pair two = {0};
    pair_listen(&two, manual_reactor(), PLAIN);
    /* Nothing of it is seen before a turn looks. */
    lariat_deferred *connected = connect_side(two.reactor, lariat_listener_port(two.listener), "?timeout=5", PLAIN, &two.near);
    CHECK_OK(lariat_deferred_add_both(connected, note_end, "connect"));
    let_go(connected);
    advance(two.reactor, 6.0);
    until(two.reactor, two.near.freed);
    until(two.reactor, noted("connect"));
    if (noted("TIMED_OUT")) CHECK_INT(two.near.made, 0);
    notes_clear();
    if (two.near.transport) CHECK_OK(lariat_transport_abort_connection(two.near.transport));
    until(two.reactor, two.far.made == two.far.lost);
    bytes_free(&two.near.got);
    bytes_free(&two.far.got);
    stop_listening(two.reactor, two.listener);
    reactor_done(two.reactor);
}
