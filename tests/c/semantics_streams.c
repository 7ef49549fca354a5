/* Connections (SEMANTICS 24, 26, 27, 28): how they end, half-close, failing, connecting; writing and reading. */
#include "streams.h"

enum { MEGABYTE = 1 << 20 };

/* ---- 24: lose_connection writes out what waits ------------------------------------------------------------------------------------ */

static void lose_flushes(enum way way, int is_half) {
    lariat_reactor *reactor = real_reactor();
    wire one = {0};
    size_t length = 4 * MEGABYTE;
    uint8_t *data = pattern_new(length, 1);
    bytes all = {0};
    wire_open(&one, reactor, way, is_half);
    wire_small_buffers(&one);
    CHECK_OK(lariat_transport_write(one.own.transport, data, length));
    CHECK(lariat_transport_buffered(one.own.transport) > 0);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    turns(reactor, 3);
    CHECK_INT(one.own.lost, 0);
    CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
    CHECK_INT(all.length, length);
    CHECK_PATTERN(all.data, length, 1);
    wire_close(&one, LARIAT_CONNECTION_DONE);
    bytes_free(&all);
    free(data);
    reactor_done(reactor);
}

TEST(s24_lose_writes_out_what_is_buffered) { each_way(way) lose_flushes(way, PLAIN); }
TEST(s24_lose_writes_out_what_is_buffered_with_half_close) { each_way(way) lose_flushes(way, HALF); }

TEST(s24_lose_writes_out_later_writes_too) {
    each_way(way) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        size_t length = 2 * MEGABYTE;
        uint8_t *data = pattern_new(length, 1);
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        wire_small_buffers(&one);
        CHECK_OK(lariat_transport_write(one.own.transport, data, length / 2));
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        CHECK_OK(lariat_transport_write(one.own.transport, data + length / 2, 10)); /* before the flush ends */
        turns(reactor, 2);
        CHECK_OK(lariat_transport_write(one.own.transport, data + length / 2 + 10, length / 2 - 10));
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_INT(all.length, length);
        CHECK_PATTERN(all.data, length, 1);
        wire_close(&one, LARIAT_CONNECTION_DONE);
        bytes_free(&all);
        free(data);
        reactor_done(reactor);
    }
}

static void lose_then_write(side *own) {
    write_text(own->transport, "one ");
    CHECK_OK(lariat_transport_lose_connection(own->transport));
    write_text(own->transport, "two ");
    CHECK_OK(lariat_transport_lose_connection(own->transport)); /* again: nothing new */
    write_text(own->transport, "three");
}

TEST(s24_lose_inside_data_received_and_writes_behind_it) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_data = lose_then_write}};
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        raw_write(one.peer, "x");
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_STR(bytes_text(&all), "one two three");
        wire_close(&one, LARIAT_CONNECTION_DONE);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

TEST(s24_lose_inside_connection_made) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_made = lose_then_write}};
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_STR(bytes_text(&all), "one two three");
        wire_close(&one, LARIAT_CONNECTION_DONE);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

TEST(s24_after_lose_nothing_is_received_any_more) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    wire_small_buffers(&one);
    uint8_t *data = pattern_new(MEGABYTE, 1);
    CHECK_OK(lariat_transport_write(one.own.transport, data, MEGABYTE));
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    raw_write(one.peer, "too late");
    turns(reactor, 5);
    CHECK_INT(one.own.calls, 0);
    CHECK_INT(one.own.lost, 0);
    CHECK_OK(lariat_transport_abort_connection(one.own.transport));
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    free(data);
    reactor_done(reactor);
}

/* ---- 24: abort_connection drops it ---------------------------------------------------------------------------------------------------- */

TEST(s24_abort_drops_what_waits_and_the_peer_sees_a_reset) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        bytes all = {0};
        uint8_t *data = pattern_new(MEGABYTE, 1);
        wire_open(&one, reactor, way, PLAIN);
        wire_small_buffers(&one);
        CHECK_OK(lariat_transport_write(one.own.transport, data, MEGABYTE));
        one.own.inside = 1;
        CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        one.own.inside = 0;
        int how = raw_end(reactor, one.peer, &all);
        CHECK_INT(how, way == ADOPTED ? RAW_END : ECONNRESET); /* a Unix socket knows no reset */
        CHECK(all.length < MEGABYTE);
        CHECK_PATTERN(all.data, all.length, 1);
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        bytes_free(&all);
        free(data);
        reactor_done(reactor);
    }
}

TEST(s24_abort_after_lose) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    uint8_t *data = pattern_new(MEGABYTE, 1);
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    wire_small_buffers(&one);
    CHECK_OK(lariat_transport_write(one.own.transport, data, MEGABYTE));
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    turn(reactor);
    CHECK_OK(lariat_transport_abort_connection(one.own.transport));
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    free(data);
    reactor_done(reactor);
}

static void abort_it(side *own) { CHECK_OK(lariat_transport_abort_connection(own->transport)); }

TEST(s24_abort_inside_connection_made) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_made = abort_it}};
        wire_open(&one, reactor, way, PLAIN);
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        reactor_done(reactor);
    }
}

/* ---- 24: connection_lost comes once, last, with a reason, never from inside ----------------------------------------------------- */

static void never_from_inside(lariat_status (*end)(lariat_transport *), int32_t reason) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        wire_open(&one, reactor, way, PLAIN);
        one.own.inside = 1; /* side_lost checks it */
        CHECK_OK(end(one.own.transport));
        one.own.inside = 0;
        CHECK_INT(one.own.lost, 0);
        lariat_transport *transport = one.own.transport;
        until(reactor, one.own.freed);
        CHECK_STATUS(lariat_transport_write(transport, NULL, 0), LARIAT_ERR_STALE_HANDLE);
        CHECK_STATUS(lariat_transport_lose_connection(transport), LARIAT_ERR_STALE_HANDLE);
        CHECK_STATUS(lariat_transport_abort_connection(transport), LARIAT_ERR_STALE_HANDLE);
        CHECK(noted("own:made own!"));
        CHECK(noted("free:own"));
        notes_clear();
        wire_close(&one, reason);
        reactor_done(reactor);
    }
}

static lariat_status fail_42(lariat_transport *transport) { return lariat_transport_fail_connection(transport, 42, "no more"); }

TEST(s24_lose_never_tells_from_inside) { never_from_inside(lariat_transport_lose_connection, LARIAT_CONNECTION_DONE); }
TEST(s24_abort_never_tells_from_inside) { never_from_inside(lariat_transport_abort_connection, LARIAT_ERR_CONNECTION_ABORTED); }
TEST(s27_fail_never_tells_from_inside) { never_from_inside(fail_42, 42); }

/* The system says at once that the peer is gone: the write is accepted, and the end comes later. */
TEST(s24_a_write_that_finds_the_peer_gone_never_tells_from_inside) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    raw_reset(one.peer);
    one.peer = -1;
    one.own.inside = 1;
    write_text(one.own.transport, "to nobody");
    lariat_status status = lariat_transport_write(one.own.transport, (const uint8_t *)"again", 5);
    one.own.inside = 0;
    CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_CLOSED);
    wire_close(&one, LARIAT_ERR_CONNECTION_LOST);
    reactor_done(reactor);
}

TEST(s24_the_peers_end_is_done) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        wire_open(&one, reactor, way, PLAIN);
        raw_write(one.peer, "last words");
        CHECK_INT(close(one.peer), 0);
        one.peer = -1;
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("own:made own=last words own!CONNECTION_DONE free:own");
        reactor_done(reactor);
    }
}

TEST(s24_the_peers_reset_is_lost) {
    for (enum way way = ACCEPTED; way <= CONNECTED; way++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        wire_open(&one, reactor, way, PLAIN);
        raw_reset(one.peer);
        one.peer = -1;
        until(reactor, one.own.freed);
        CHECK_INT(one.own.os_error, ECONNRESET);
        CHECK(strstr(one.own.message, way == ACCEPTED ? "connection" : "127.0.0.1") != NULL);
        wire_close(&one, LARIAT_ERR_CONNECTION_LOST);
        reactor_done(reactor);
    }
}

TEST(s24_the_free_of_the_reactor_tells_before_it_returns) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        wire_open(&one, reactor, way, PLAIN);
        free_reactor(reactor);
        CHECK_NOTES("own:made own!CLOSED free:own");
        side_over(&one.own, LARIAT_ERR_CLOSED);
        CHECK_INT(close(one.peer), 0);
    }
}

TEST(s24_the_free_of_the_reactor_keeps_a_reason_that_was_there) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    CHECK_OK(lariat_transport_fail_connection(one.own.transport, 42, "no more"));
    free_reactor(reactor);
    side_over(&one.own, 42);
    CHECK_INT(close(one.peer), 0);
}

TEST(s24_the_end_of_a_scope_tells_before_it_returns) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        lariat_scope *scope = lariat_scope_new(reactor);
        wire one = {.scope = scope, .own = {.name = "own", .is_noted = 1}};
        wire_open(&one, reactor, way, PLAIN);
        CHECK_OK(lariat_scope_free(scope));
        CHECK_NOTES("own:made own!CLOSED free:own");
        one.listener = NULL; /* it was in the scope too */
        wire_close(&one, LARIAT_ERR_CLOSED);
        turn(reactor);
        reactor_done(reactor);
    }
}

static void lose_and_abort(side *own) {
    CHECK_OK(lariat_transport_lose_connection(own->transport));
    CHECK_OK(lariat_transport_abort_connection(own->transport));
    CHECK_STATUS(lariat_transport_abort_connection(own->transport), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_lose_connection(own->transport), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_lose_write_connection(own->transport), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_write(own->transport, NULL, 0), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_pause_reading(own->transport), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_resume_reading(own->transport), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_set_idle_timeout(own->transport, 1), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_set_no_delay(own->transport, 1), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_fail_connection(own->transport, 7, NULL), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_transport_send_file(own->transport, 0, 0, 1), LARIAT_ERR_CLOSED);
    CHECK_PTR(lariat_transport_self(own->transport), own);
}

TEST(s24_several_reasons_the_first_that_ends_it_counts) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_data = lose_and_abort}};
        wire_open(&one, reactor, way, PLAIN);
        raw_write(one.peer, "x");
        until(reactor, one.own.freed);
        CHECK_INT(one.own.calls, 1);
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        reactor_done(reactor);
    }
}

/* ---- writing ---------------------------------------------------------------------------------------------------------------------------- */

TEST(s24_written_outside_the_loop_it_goes_out_at_once) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        write_text(one.own.transport, "at once");
        CHECK_INT(raw_read(one.peer, &all), RAW_OPEN); /* without a turn */
        CHECK_STR(bytes_text(&all), "at once");
        CHECK_INT(lariat_transport_buffered(one.own.transport), 0);
        bytes_free(&all);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

static int peer_of_the_writer;

static void write_three(side *own) {
    bytes all = {0};
    for (int i = 0; i < 3; i++) write_text(own->transport, i == 0 ? "one " : i == 1 ? "two " : "three");
    CHECK_INT(lariat_transport_buffered(own->transport), 13); /* nothing is sent yet */
    CHECK_INT(raw_read(peer_of_the_writer, &all), RAW_OPEN);
    CHECK_INT(all.length, 0);
    bytes_free(&all);
    note("wrote");
}

TEST(s24_written_in_a_callback_it_goes_out_together_when_that_returns) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_data = write_three}};
        wire_open(&one, reactor, way, PLAIN);
        peer_of_the_writer = one.peer;
        raw_write(one.peer, "x");
        turn(reactor);
        CHECK_NOTES("wrote");
        CHECK_INT(lariat_transport_buffered(one.own.transport), 0);
        char buffer[64] = "";
        CHECK_INT(recv(one.peer, buffer, sizeof buffer, 0), 13);
        CHECK_STR(buffer, "one two three");
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

static lariat_transport *other_transport;

static void write_to_the_other(void *user_data) {
    write_text(other_transport, user_data);
    note("wrote");
}

TEST(s24_written_in_anybodys_callback_it_goes_out_in_the_same_turn) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    other_transport = one.own.transport;
    CHECK_OK(lariat_reactor_call_soon(reactor, write_to_the_other, "soon"));
    CHECK(lariat_reactor_call_later(reactor, 0, write_to_the_other, " later") != NULL);
    turn(reactor);
    CHECK_NOTES("wrote wrote");
    CHECK_INT(lariat_transport_buffered(one.own.transport), 0);
    raw_expect(reactor, one.peer, "soon later");
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* Small pieces are copied together, large ones go to the system at once: the order is the one of the calls. */
enum { PIECES = 400 };
static size_t piece_length(int i) { return i % 7 == 3 ? 20000 + (size_t)i : i % 11 == 5 ? 9000 : (size_t)(i * 37 % 500); }

static void write_pieces(side *own) {
    size_t at = 0;
    const uint8_t *data = own->more;
    for (int i = 0; i < PIECES; i++) {
        CHECK_OK(lariat_transport_write(own->transport, data + at, piece_length(i)));
        at += piece_length(i);
    }
}

TEST(s24_large_and_small_pieces_keep_their_order) {
    size_t length = 0;
    for (int i = 0; i < PIECES; i++) length += piece_length(i);
    uint8_t *data = pattern_new(length, 5);
    each_way(way) for (int inside = 0; inside < 2; inside++) {
        lariat_reactor *reactor = real_reactor();
        wire one = {.own = {.on_data = inside ? write_pieces : NULL, .more = data}};
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        wire_small_buffers(&one);
        if (inside) raw_write(one.peer, "x");
        else write_pieces(&one.own);
        until(reactor, (raw_read(one.peer, &all), all.length >= length));
        CHECK_INT(all.length, length);
        CHECK_PATTERN(all.data, length, 5);
        CHECK_INT(lariat_transport_buffered(one.own.transport), 0);
        bytes_free(&all);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
    free(data);
}

TEST(s24_several_parts_are_written_as_one) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    const lariat_part parts[] = {{(const uint8_t *)"one ", 4}, {NULL, 0}, {(const uint8_t *)"two ", 4}, {(const uint8_t *)"three", 5}};
    CHECK_OK(lariat_transport_write_parts(one.own.transport, parts, 4));
    raw_expect(reactor, one.peer, "one two three");
    CHECK_OK(lariat_transport_write_parts(one.own.transport, NULL, 0));
    CHECK_OK(lariat_transport_write_parts(one.own.transport, parts + 1, 1));
    CHECK_STATUS(lariat_transport_write_parts(one.own.transport, NULL, 1), LARIAT_ERR_INVALID_ARGUMENT);
    const lariat_part null_part[] = {{(const uint8_t *)"no", 2}, {NULL, 3}};
    CHECK_STATUS(lariat_transport_write_parts(one.own.transport, null_part, 2), LARIAT_ERR_INVALID_ARGUMENT);
    const lariat_part endless[] = {{(const uint8_t *)"no", 2}, {(const uint8_t *)"no", SIZE_MAX}};
    CHECK_STATUS(lariat_transport_write_parts(one.own.transport, endless, 2), LARIAT_ERR_INVALID_ARGUMENT);
    const lariat_part sum[] = {{(const uint8_t *)"no", SIZE_MAX / 2}, {(const uint8_t *)"no", SIZE_MAX / 2}, {(const uint8_t *)"no", 9}};
    CHECK_STATUS(lariat_transport_write_parts(one.own.transport, sum, 3), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_transport_write_parts(one.own.transport, parts, SIZE_MAX), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_transport_write(one.own.transport, NULL, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_transport_write(one.own.transport, (const uint8_t *)"no", SIZE_MAX), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_transport_write(one.own.transport, NULL, 0));
    turn(reactor);
    bytes all = {0};
    CHECK_INT(raw_read(one.peer, &all), RAW_OPEN); /* nothing of what was refused */
    CHECK_INT(all.length, 0);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    bytes_free(&all);
    reactor_done(reactor);
}

/* ---- both ways at once, byte for byte --------------------------------------------------------------------------------------------------- */

static void both_ways(enum way way) {
    lariat_reactor *reactor = real_reactor();
    wire one = {0};
    size_t length = many(10 * MEGABYTE), at = 0;
    uint8_t *out = pattern_new(length, 1), *in = pattern_new(length, 2);
    bytes all = {0};
    wire_open(&one, reactor, way, HALF);
    wire_small_buffers(&one);
    for (size_t each = 0; each < length; each += 100000)
        CHECK_OK(lariat_transport_write(one.own.transport, out + each, length - each < 100000 ? length - each : 100000));
    until(reactor, (raw_send_some(one.peer, in, length, &at), raw_read(one.peer, &all), all.length >= length && one.own.came >= length));
    CHECK_INT(all.length, length);
    CHECK_INT(one.own.got.length, length);
    CHECK_PATTERN(all.data, length, 1);
    CHECK_PATTERN(one.own.got.data, length, 2);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    bytes_free(&all);
    free(out);
    free(in);
    reactor_done(reactor);
}

TEST(s24_ten_megabytes_each_way_accepted) { both_ways(ACCEPTED); }
TEST(s24_ten_megabytes_each_way_connected) { both_ways(CONNECTED); }
TEST(s24_ten_megabytes_each_way_adopted) { both_ways(ADOPTED); }

/* Two connections of the library with each other, over Unix and TCP, on one loop. */
static void between_ourselves(const char *endpoint) {
    lariat_reactor *reactor = real_reactor();
    side served = {.name = "served", .echoes = 1}, client = {.name = "client"};
    server one = {&served, 1, 0, LARIAT_OK};
    lariat_listener *listener = listen_at(reactor, endpoint, PLAIN, &one);
    char address[200];
    CHECK_OK(lariat_listener_address(listener, address, sizeof address, NULL));
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_deferred *connecting = lariat_reactor_connect(reactor, address, &protocol, &client);
    CHECK(connecting != NULL);
    CHECK_OK(lariat_deferred_release(connecting));
    until(reactor, client.made && served.made);
    size_t length = many(10 * MEGABYTE);
    uint8_t *data = pattern_new(length, 3);
    CHECK_OK(lariat_transport_set_buffer_sizes(client.transport, 32 * 1024, 32 * 1024));
    CHECK_OK(lariat_transport_set_buffer_sizes(served.transport, 32 * 1024, 32 * 1024));
    CHECK_OK(lariat_transport_write(client.transport, data, length));
    until(reactor, client.came >= length);
    CHECK_INT(client.got.length, length);
    CHECK_PATTERN(client.got.data, length, 3);
    CHECK_OK(lariat_transport_lose_connection(client.transport));
    until(reactor, client.freed && served.freed);
    side_over(&client, LARIAT_CONNECTION_DONE);
    side_over(&served, LARIAT_CONNECTION_DONE);
    stop_listening(reactor, listener);
    free(data);
    reactor_done(reactor);
}

TEST(s24_ten_megabytes_echoed_by_tcp) { between_ourselves("tcp://127.0.0.1:0"); }
TEST(s24_ten_megabytes_echoed_by_unix) { between_ourselves("unix://./echo.sock"); }

/* ---- 26: half-close ------------------------------------------------------------------------------------------------------------------------- */

static void peer_ends_first(enum way way, int is_half) {
    lariat_reactor *reactor = real_reactor();
    wire one = {.own = {.echoes = 1}};
    size_t length = many(4 * MEGABYTE), at = 0;
    uint8_t *data = pattern_new(length, 4);
    bytes all = {0};
    wire_open(&one, reactor, way, is_half);
    wire_small_buffers(&one);
    /* The peer sends all, ends its direction, and reads only then: most of the echo waits when the end comes. */
    until(reactor, raw_send_some(one.peer, data, length, &at));
    CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
    until(reactor, one.own.came == length);
    turns(reactor, 3);
    if (is_half) {
        until(reactor, one.own.read_lost);
        CHECK_INT(one.own.lost, 0);
        write_text(one.own.transport, "and more"); /* the other direction works */
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    }
    CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
    CHECK_INT(all.length, length + (is_half ? 8 : 0));
    CHECK_PATTERN(all.data, length, 4);
    if (is_half) CHECK_STR((char *)all.data + length, "and more");
    wire_close(&one, LARIAT_CONNECTION_DONE);
    CHECK_INT(one.own.read_lost, is_half);
    CHECK_INT(one.own.write_lost, 0);
    bytes_free(&all);
    free(data);
    reactor_done(reactor);
}

TEST(s26_the_echo_to_a_peer_that_has_ended_arrives_whole) { each_way(way) peer_ends_first(way, PLAIN); }
TEST(s26_the_echo_to_a_peer_that_has_ended_arrives_whole_with_half_close) { each_way(way) peer_ends_first(way, HALF); }

TEST(s26_without_its_callbacks_the_peers_end_ends_both) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("own:made own!CONNECTION_DONE free:own");
        bytes_free(&all);
        reactor_done(reactor);
    }
}

TEST(s26_with_one_of_its_callbacks_the_other_direction_lives) {
    for (int which = 0; which < 2; which++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        lariat_protocol protocol = side_protocol(HALF);
        if (which) protocol.write_connection_lost = NULL;
        else protocol.read_connection_lost = NULL;
        wire_open_with(&one, reactor, way, &protocol);
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        turns(reactor, 5);
        CHECK_INT(one.own.lost, 0);
        CHECK_INT(one.own.read_lost, which);
        write_text(one.own.transport, "still here");
        raw_expect(reactor, one.peer, "still here");
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

static void lose_write(side *own) { CHECK_OK(lariat_transport_lose_write_connection(own->transport)); }

TEST(s26_the_peer_ends_then_we) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        bytes all = {0};
        wire_open(&one, reactor, way, HALF);
        raw_write(one.peer, "request");
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        until(reactor, one.own.read_lost);
        turns(reactor, 3);
        CHECK_NOTES("own:made own=request own:half-read");
        write_text(one.own.transport, "response");
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_STR(bytes_text(&all), "response");
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("own:half-write own!CONNECTION_DONE free:own");
        bytes_free(&all);
        reactor_done(reactor);
    }
}

TEST(s26_the_peer_ends_then_we_inside_that_callback) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1, .on_read_lost = lose_write}};
        bytes all = {0};
        wire_open(&one, reactor, way, HALF);
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("own:made own:half-read own:half-write own!CONNECTION_DONE free:own");
        reactor_done(reactor);
    }
}

TEST(s26_we_end_then_the_peer) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        bytes all = {0};
        wire_open(&one, reactor, way, HALF);
        write_text(one.own.transport, "request");
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        CHECK_STATUS(lariat_transport_lose_write_connection(one.own.transport), LARIAT_ERR_CLOSED);
        CHECK_STATUS(lariat_transport_write(one.own.transport, (const uint8_t *)"more", 4), LARIAT_ERR_CLOSED);
        CHECK_INT(one.own.write_lost, 0); /* not from inside */
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_STR(bytes_text(&all), "request");
        CHECK_NOTES("own:made own:half-write");
        CHECK_STATUS(lariat_transport_lose_write_connection(one.own.transport), LARIAT_ERR_CLOSED);
        raw_write(one.peer, "response");
        until(reactor, one.own.came == 8);
        CHECK_INT(close(one.peer), 0);
        one.peer = -1;
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("own=response own:half-read own!CONNECTION_DONE free:own");
        bytes_free(&all);
        reactor_done(reactor);
    }
}

/* Twisted's way: who asks for the end of one direction gets that, and reads on until the peer ends. */
TEST(s26_we_end_then_the_peer_without_the_callbacks) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        write_text(one.own.transport, "request");
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        raw_write(one.peer, "response");
        until(reactor, one.own.came == 8);
        CHECK_INT(one.own.lost, 0);
        CHECK_INT(close(one.peer), 0);
        one.peer = -1;
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("own:made own=response own!CONNECTION_DONE free:own");
        bytes_free(&all);
        reactor_done(reactor);
    }
}

TEST(s26_lose_write_writes_out_what_waits_first) {
    each_way(way) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        size_t length = 2 * MEGABYTE;
        uint8_t *data = pattern_new(length, 6);
        bytes all = {0};
        wire_open(&one, reactor, way, HALF);
        wire_small_buffers(&one);
        CHECK_OK(lariat_transport_write(one.own.transport, data, length));
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        CHECK_STATUS(lariat_transport_write(one.own.transport, data, 1), LARIAT_ERR_CLOSED);
        turns(reactor, 3);
        CHECK_INT(one.own.write_lost, 0);
        raw_write(one.peer, "meanwhile"); /* the other direction works */
        until(reactor, one.own.came == 9);
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_INT(all.length, length);
        CHECK_PATTERN(all.data, length, 6);
        until(reactor, one.own.write_lost);
        CHECK_INT(one.own.lost, 0);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        bytes_free(&all);
        free(data);
        reactor_done(reactor);
    }
}

/* Both ends are on their way at once. */
TEST(s26_the_peers_end_comes_while_lose_write_still_flushes) {
    each_way(way) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        size_t length = MEGABYTE;
        uint8_t *data = pattern_new(length, 6);
        bytes all = {0};
        wire_open(&one, reactor, way, HALF);
        wire_small_buffers(&one);
        CHECK_OK(lariat_transport_write(one.own.transport, data, length));
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        until(reactor, one.own.read_lost);
        CHECK_INT(one.own.lost + one.own.write_lost, 0);
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_INT(all.length, length);
        CHECK_PATTERN(all.data, length, 6);
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_INT(one.own.write_lost, 1);
        bytes_free(&all);
        free(data);
        reactor_done(reactor);
    }
}

TEST(s26_lose_after_lose_write_ends_it) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_write_lost = NULL}};
        wire_open(&one, reactor, way, HALF);
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

/* ---- 27: ending with a failure --------------------------------------------------------------------------------------------------------------- */

static void fail_it(side *own) { CHECK_OK(lariat_transport_fail_connection(own->transport, 42, "not \xc3\xa0 la carte")); }

static void fails_in(enum way way, wire one) {
    lariat_reactor *reactor = manual_reactor();
    bytes all = {0};
    wire_open(&one, reactor, way, PLAIN);
    raw_write(one.peer, "x");
    int how = raw_end(reactor, one.peer, &all);
    if (way == ADOPTED) CHECK(how == RAW_END || how == ECONNRESET);
    else CHECK_INT(how, ECONNRESET);
    until(reactor, one.own.freed);
    CHECK_STR(one.own.message, "not \xc3\xa0 la carte");
    CHECK_INT(one.own.os_error, 0);
    wire_close(&one, 42);
    bytes_free(&all);
    reactor_done(reactor);
}

TEST(s27_failed_in_data_received) { each_way(way) fails_in(way, (wire){.own = {.on_data = fail_it}}); }

TEST(s27_failed_in_connection_made) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_made = fail_it}};
        wire_open(&one, reactor, way, PLAIN);
        wire_close(&one, 42);
        CHECK_INT(one.own.calls, 0);
        reactor_done(reactor);
    }
}

TEST(s27_codes_and_messages) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_STATUS(lariat_transport_fail_connection(one.own.transport, 0, "no"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_transport_fail_connection(one.own.transport, 1, "\xff"), LARIAT_ERR_INVALID_ARGUMENT);
    turns(reactor, 2);
    CHECK_INT(one.own.lost, 0); /* what is refused ends nothing */
    CHECK_OK(lariat_transport_fail_connection(one.own.transport, LARIAT_ERR_BAD_FRAME, NULL));
    CHECK_STATUS(lariat_transport_fail_connection(one.own.transport, 8, NULL), LARIAT_ERR_CLOSED);
    wire_close(&one, LARIAT_ERR_BAD_FRAME);
    reactor_done(reactor);
}

/* ---- 28: connecting --------------------------------------------------------------------------------------------------------------------------- */

static void *note_transport(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    side *own = user_data;
    CHECK_PTR(value, own->transport);
    note("%s:connected", own->name);
    return NULL;
}

static lariat_deferred *connect_to(lariat_reactor *reactor, const char *endpoint, side *own) {
    lariat_protocol protocol = side_protocol(PLAIN);
    own->inside = 1;
    lariat_deferred *connecting = lariat_reactor_connect(reactor, endpoint, &protocol, own);
    own->inside = 0;
    memset(&protocol, 0x55, sizeof protocol); /* it was copied */
    return connecting;
}

static const char *local(int port) {
    static char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    return endpoint;
}

TEST(s28_the_deferred_gives_the_transport_after_connection_made) {
    lariat_reactor *reactor = manual_reactor();
    int port, listening = raw_listen(&port), peer;
    side own = {.name = "own", .is_noted = 1};
    lariat_deferred *connecting = connect_to(reactor, local(port), &own);
    CHECK(connecting != NULL);
    CHECK_OK(lariat_deferred_add_callback(connecting, note_transport, &own));
    CHECK_OK(lariat_deferred_release(connecting));
    CHECK_NOTES("");
    until(reactor, own.made);
    CHECK_NOTES("own:made own:connected");
    CHECK((peer = raw_accept(listening)) >= 0);
    CHECK_PTR(lariat_transport_listener(own.transport), NULL);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed);
    CHECK_NOTES("own!CONNECTION_DONE free:own");
    side_over(&own, LARIAT_CONNECTION_DONE);
    CHECK_INT(close(peer), 0);
    CHECK_INT(close(listening), 0);
    reactor_done(reactor);
}

static void *check_refused(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    const char *message = lariat_failure_message(failure);
    if (!strstr(message, user_data)) test_fail(__FILE__, __LINE__, "the message does not name %s: %s", (char *)user_data, message);
    note("refused!%s", failure_label(failure));
    return NULL;
}

/* A port that nobody listens at: it is bound. */
static int raw_bound(int *port) {
    int fd = raw_listen(port), bound = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(close(fd), 0);
    struct sockaddr_in address = loopback(*port);
    CHECK_INT(bind(bound, (struct sockaddr *)&address, sizeof address), 0);
    return bound;
}

TEST(s28_refused_it_names_the_address_and_the_port) {
    lariat_reactor *reactor = manual_reactor();
    int port, bound = raw_bound(&port);
    side own = {.name = "own", .is_noted = 1};
    char where[32];
    snprintf(where, sizeof where, "127.0.0.1:%d", port);
    lariat_deferred *connecting = connect_to(reactor, local(port), &own);
    CHECK(connecting != NULL);
    CHECK_OK(lariat_deferred_add_errback(connecting, check_refused, where));
    CHECK_OK(lariat_deferred_release(connecting));
    CHECK_NOTES("");
    until(reactor, noted("refused") && own.freed);
    CHECK(noted("refused!CONNECTION_REFUSED"));
    notes_clear();
    CHECK_INT(own.made + own.lost, 0);
    CHECK_INT(own.freed, 1);
    turns(reactor, 2);
    CHECK_INT(close(bound), 0);
    reactor_done(reactor);
}

TEST(s28_cancelled_while_it_connects) {
    lariat_reactor *reactor = manual_reactor();
    int port, listening = raw_listen(&port);
    side own = {.name = "own"};
    lariat_deferred *connecting = connect_to(reactor, local(port), &own);
    CHECK(connecting != NULL);
    CHECK_OK(lariat_deferred_add_both(connecting, note_end, "connect"));
    CHECK_OK(lariat_deferred_cancel(connecting));
    CHECK_NOTES("connect!CANCELLED");
    CHECK_OK(lariat_deferred_release(connecting));
    until(reactor, own.freed);
    turns(reactor, 3);
    CHECK_INT(own.made + own.lost, 0);
    CHECK_INT(own.freed, 1);
    CHECK_INT(close(listening), 0);
    reactor_done(reactor);
}

TEST(s28_cancelled_when_it_is_connected_changes_nothing) {
    lariat_reactor *reactor = manual_reactor();
    int port, listening = raw_listen(&port);
    side own = {.name = "own"};
    lariat_deferred *connecting = connect_to(reactor, local(port), &own);
    until(reactor, own.made);
    CHECK_OK(lariat_deferred_cancel(connecting));
    CHECK_OK(lariat_deferred_release(connecting));
    turns(reactor, 3);
    CHECK_INT(own.lost, 0);
    CHECK_OK(lariat_transport_abort_connection(own.transport));
    until(reactor, own.freed);
    side_over(&own, LARIAT_ERR_CONNECTION_ABORTED);
    CHECK_INT(close(listening), 0);
    reactor_done(reactor);
}

TEST(s28_self_is_freed_once_whatever_happens) {
    const char *const bad[] = {"", "nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://*:80", "udp://127.0.0.1:1", "tcp://127.0.0.1:1?no=1"};
    lariat_reactor *reactor = manual_reactor();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        side own = {.name = "own"};
        CHECK_NULL(connect_to(reactor, bad[i], &own), LARIAT_ERR_BAD_ENDPOINT);
        CHECK_INT(own.freed, 1);
    }
    side own = {.name = "own"};
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK_NULL(lariat_reactor_connect(NULL, "tcp://127.0.0.1:1", &protocol, &own), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(own.freed, 1);
    own = (side){.name = "own"};
    CHECK_NULL(lariat_reactor_connect(reactor, NULL, &protocol, &own), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(own.freed, 1);
    own = (side){.name = "own"};
    protocol.pull = 2;
    CHECK_NULL(lariat_reactor_connect(reactor, "tcp://127.0.0.1:1", &protocol, &own), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(own.freed, 1);
    CHECK_NULL(lariat_reactor_connect(reactor, "tcp://127.0.0.1:1", NULL, &own), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(s28_the_free_of_the_reactor_while_it_connects) {
    lariat_reactor *reactor = manual_reactor();
    int port, listening = raw_listen(&port);
    side own = {.name = "own"};
    lariat_deferred *connecting = connect_to(reactor, local(port), &own);
    end_with_note(connecting, "connect");
    free_reactor(reactor);
    CHECK(noted("connect!CLOSED") || noted("connect!CANCELLED"));
    notes_clear();
    CHECK_INT(own.made + own.lost, 0);
    CHECK_INT(own.freed, 1);
    CHECK_INT(close(listening), 0);
}

TEST(s28_connect_by_unix_path) {
    lariat_reactor *reactor = manual_reactor();
    side served = {.name = "served"}, own = {.name = "own"};
    server one = {&served, 1, 0, LARIAT_OK};
    lariat_listener *listener = listen_at(reactor, "unix://./here.sock", PLAIN, &one);
    lariat_deferred *connecting = connect_to(reactor, "unix://./here.sock", &own);
    CHECK(connecting != NULL);
    CHECK_OK(lariat_deferred_release(connecting));
    until(reactor, own.made && served.made);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed && served.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&served, LARIAT_CONNECTION_DONE);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(s28_connect_to_a_path_that_is_not_there) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "own"};
    lariat_deferred *connecting = connect_to(reactor, "unix://./nobody.sock", &own);
    if (connecting) { /* it may be known at once */
        CHECK_OK(lariat_deferred_add_errback(connecting, check_refused, "nobody.sock"));
        CHECK_OK(lariat_deferred_release(connecting));
        until(reactor, noted("refused"));
        notes_clear();
    } else CHECK(strstr(lariat_last_error_message(), "nobody.sock") != NULL);
    until(reactor, own.freed);
    CHECK_INT(own.made + own.lost, 0);
    reactor_done(reactor);
}

/* ---- 28: another protocol on a live transport ------------------------------------------------------------------------------------------------ */

static void change_protocol(side *own) {
    side *next = own->more;
    lariat_protocol protocol = side_protocol(PLAIN);
    next->made = 1; /* connection_made is not called again */
    next->transport = own->transport;
    CHECK_OK(lariat_transport_set_protocol(own->transport, &protocol, next));
    CHECK_PTR(lariat_transport_self(own->transport), next);
    CHECK_INT(own->freed, 1);
}

TEST(s28_another_protocol_from_inside_and_outside) {
    for (int inside = 0; inside < 2; inside++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        side next = {.name = "next", .is_noted = 1};
        wire one = {.own = {.name = "own", .is_noted = 1, .on_data = inside ? change_protocol : NULL, .more = &next}};
        wire_open(&one, reactor, way, PLAIN);
        raw_write(one.peer, "old");
        until(reactor, one.own.came == 3);
        if (!inside) change_protocol(&one.own);
        raw_write(one.peer, "new");
        until(reactor, next.came == 3);
        CHECK_INT(close(one.peer), 0);
        until(reactor, next.freed);
        CHECK_NOTES("own:made own=old free:own next=new next!CONNECTION_DONE free:next");
        side_over(&next, LARIAT_CONNECTION_DONE);
        CHECK_INT(one.own.lost, 0);
        CHECK_INT(one.own.freed, 1);
        bytes_free(&one.own.got);
        if (one.listener) stop_listening(reactor, one.listener);
        reactor_done(reactor);
    }
}

TEST(s28_another_protocol_refused_frees_the_new_self) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    lariat_transport *transport = one.own.transport;
    lariat_protocol protocol = side_protocol(PLAIN);
    side next = {.name = "next"};
    protocol.pull = 3;
    CHECK_STATUS(lariat_transport_set_protocol(transport, &protocol, &next), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(next.freed, 1);
    CHECK_STATUS(lariat_transport_set_protocol(transport, NULL, &next), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(one.own.freed, 0);
    CHECK_OK(lariat_transport_abort_connection(transport));
    protocol.pull = 0;
    next = (side){.name = "next"};
    CHECK_STATUS(lariat_transport_set_protocol(transport, &protocol, &next), LARIAT_ERR_CLOSED);
    CHECK_INT(next.freed, 1);
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    next = (side){.name = "next"};
    CHECK_STATUS(lariat_transport_set_protocol(transport, &protocol, &next), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(next.freed, 1);
    reactor_done(reactor);
}

/* A protocol that wants to know nothing. */
TEST(s28_a_protocol_may_have_no_functions) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        lariat_protocol protocol;
        CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
        wire one = {0};
        int port, listening = -1;
        if (way == ADOPTED) {
            int pair[2];
            CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
            not_blocking(one.peer = pair[1]);
            CHECK(lariat_reactor_adopt_stream(reactor, pair[0], &protocol, NULL) != NULL);
        } else if (way == ACCEPTED) {
            one.listener = lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", &protocol, NULL, NULL);
            one.peer = raw_connect(one.listener);
        } else {
            listening = raw_listen(&port);
            lariat_deferred *connecting = lariat_reactor_connect(reactor, local(port), &protocol, NULL);
            CHECK_OK(lariat_deferred_release(connecting));
            until(reactor, (one.peer = raw_accept(listening)) >= 0);
            CHECK_INT(close(listening), 0);
        }
        until(reactor, reactor_stats(reactor).transports == 1);
        raw_write(one.peer, "for nobody");
        turns(reactor, 3);
        CHECK_INT(reactor_stats(reactor).transports, 1);
        CHECK_INT(close(one.peer), 0);
        until(reactor, reactor_stats(reactor).transports == 0);
        if (one.listener) stop_listening(reactor, one.listener);
        reactor_done(reactor);
    }
}

/* ---- reading is paused and resumed ------------------------------------------------------------------------------------------------------------ */

static void pause_it(side *own) { CHECK_OK(lariat_transport_pause_reading(own->transport)); }

TEST(s24_paused_nothing_comes_and_resumed_it_goes_on) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_data = pause_it}};
        wire_open(&one, reactor, way, PLAIN);
        raw_write(one.peer, "one");
        until(reactor, one.own.calls == 1);
        raw_write(one.peer, "two");
        turns(reactor, 5);
        CHECK_INT(one.own.calls, 1);
        CHECK_INT(close(one.peer), 0); /* the end is not noticed either */
        one.peer = -1;
        turns(reactor, 5);
        CHECK_INT(one.own.lost, 0);
        one.own.on_data = NULL;
        one.own.inside = 1;
        CHECK_OK(lariat_transport_resume_reading(one.own.transport));
        CHECK_OK(lariat_transport_resume_reading(one.own.transport));
        one.own.inside = 0;
        until(reactor, one.own.calls == 2);
        CHECK_STR(bytes_text(&one.own.got), "onetwo");
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

TEST(s24_paused_in_connection_made_and_lost_while_paused) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_made = pause_it}};
        wire_open(&one, reactor, way, PLAIN);
        raw_write(one.peer, "unread");
        turns(reactor, 5);
        CHECK_INT(one.own.calls, 0);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

/* ---- addresses and options ---------------------------------------------------------------------------------------------------------------------- */

static const char *address_of(lariat_status (*ask)(lariat_transport *, char *, size_t, size_t *), lariat_transport *transport) {
    static char text[200];
    size_t length = 0;
    CHECK_OK(ask(transport, text, sizeof text, &length));
    CHECK_INT(strlen(text), length);
    CHECK_OK(ask(transport, text, length + 1, NULL));
    CHECK_STATUS(ask(transport, text, length, &length), LARIAT_ERR_TOO_LONG);
    CHECK_INT(strlen(text), length - 1);
    CHECK_STATUS(ask(transport, NULL, 0, &length), LARIAT_ERR_TOO_LONG);
    CHECK_STATUS(ask(transport, NULL, 1, &length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(ask(transport, text, sizeof text, NULL));
    return text;
}

TEST(s24_addresses_of_both_ends) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    char want[64];
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    CHECK_INT(getsockname(one.peer, (struct sockaddr *)&name, &length), 0);
    snprintf(want, sizeof want, "tcp://127.0.0.1:%d", ntohs(name.sin_port));
    CHECK_STR(address_of(lariat_transport_peer, one.own.transport), want);
    snprintf(want, sizeof want, "tcp://127.0.0.1:%d", lariat_listener_port(one.listener));
    CHECK_STR(address_of(lariat_transport_address, one.own.transport), want);
    CHECK_STATUS(lariat_transport_peer_credentials(one.own.transport, NULL, NULL, NULL), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_OK(lariat_transport_abort_connection(one.own.transport));
    CHECK_STATUS(lariat_transport_address(one.own.transport, NULL, 0, NULL), LARIAT_ERR_CLOSED);
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    reactor_done(reactor);
}

TEST(s24_options_of_the_system) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, CONNECTED, PLAIN);
    lariat_transport *transport = one.own.transport;
    CHECK_OK(lariat_transport_set_no_delay(transport, 0));
    CHECK_OK(lariat_transport_set_no_delay(transport, 1));
    CHECK_STATUS(lariat_transport_set_no_delay(transport, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_transport_set_keep_alive(transport, 60, 10, 3));
    CHECK_OK(lariat_transport_set_keep_alive(transport, 0, 0, 0));
    CHECK_OK(lariat_transport_set_type_of_service(transport, 0x10));
    CHECK_STATUS(lariat_transport_set_type_of_service(transport, 256), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_transport_set_buffer_sizes(transport, 0, 0));
    CHECK_OK(lariat_transport_set_buffer_sizes(transport, 10000, 10000));
    CHECK_OK(lariat_transport_set_linger(transport, 0));
    CHECK_OK(lariat_transport_lose_connection(transport));
    bytes all = {0};
    CHECK_INT(raw_end(reactor, one.peer, &all), ECONNRESET); /* by the linger */
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- fairness ------------------------------------------------------------------------------------------------------------------------------------ */

static void count_up(void *user_data) { ++*(int *)user_data; }

/* A peer that has sent so much that it never runs dry does not hold up a timer or another connection for longer than a few turns. */
TEST(s24_a_flood_does_not_starve_the_others) {
    lariat_reactor *reactor = real_reactor();
    wire flood = {.own = {.name = "flood", .kept = 1}}, other = {.own = {.name = "other", .echoes = 1}};
    wire_open(&flood, reactor, ADOPTED, PLAIN);
    wire_open(&other, reactor, ACCEPTED, PLAIN);
    int size = 8 * MEGABYTE, ticks = 0;
    CHECK_INT(setsockopt(flood.peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    uint8_t *data = pattern_new(MEGABYTE, 1);
    for (int i = 0; i < 50; i++) {
        size_t before = flood.own.came;
        raw_write(other.peer, "ping");
        while (send(flood.peer, data, MEGABYTE, MSG_NOSIGNAL) > 0) {} /* to the brim */
        CHECK(lariat_reactor_call_later(reactor, 0, count_up, &ticks) != NULL);
        turns(reactor, 2);
        CHECK_INT(ticks, i + 1);
        CHECK_INT(other.own.came, (i + 1) * 4);
        CHECK(flood.own.came > before);
        CHECK(flood.own.came - before <= MEGABYTE); /* a budget a turn */
        raw_expect(reactor, other.peer, "ping");
    }
    free(data);
    CHECK_OK(lariat_transport_abort_connection(flood.own.transport));
    CHECK_OK(lariat_transport_abort_connection(other.own.transport));
    wire_close(&flood, LARIAT_ERR_CONNECTION_ABORTED);
    wire_close(&other, LARIAT_ERR_CONNECTION_ABORTED);
    reactor_done(reactor);
}

typedef struct drain_thread {
    int fd;
    atomic_size_t came;
} drain_thread;

/* Reads as fast as it can. */
static void *drain(void *argument) {
    drain_thread *one = argument;
    static uint8_t buffer[1 << 20];
    ssize_t length;
    while ((length = recv(one->fd, buffer, sizeof buffer, 0)) > 0) atomic_fetch_add(&one->came, (size_t)length);
    return NULL;
}

TEST(s24_a_peer_that_reads_fast_does_not_starve_the_others) {
    lariat_reactor *reactor = real_reactor();
    wire one = {0};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    size_t length = many(256 * MEGABYTE);
    uint8_t *data = calloc(1, length);
    CHECK_INT(fcntl(one.peer, F_SETFL, 0), 0); /* blocks */
    drain_thread reader = {one.peer, 0};
    CHECK_OK(lariat_transport_write(one.own.transport, data, length));
    pthread_t thread = thread_start(drain, &reader);
    uint64_t turns_before = reactor_stats(reactor).turns;
    until(reactor, atomic_load(&reader.came) == length);
    CHECK(reactor_stats(reactor).turns - turns_before >= length / (2 * MEGABYTE)); /* a budget a turn */
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    until(reactor, one.own.freed);
    thread_join(thread);
    wire_close(&one, LARIAT_CONNECTION_DONE);
    free(data);
    reactor_done(reactor);
}

/* ---- whose thread ---------------------------------------------------------------------------------------------------------------------------------- */

static void *use_from_elsewhere(void *argument) {
    wire *one = argument;
    lariat_transport *transport = one->own.transport;
    lariat_protocol protocol = side_protocol(PLAIN);
    side own = {.name = "own"};
    const lariat_status want = LARIAT_ERR_WRONG_THREAD;
    CHECK_STATUS(lariat_transport_write(transport, (const uint8_t *)"x", 1), want);
    CHECK_STATUS(lariat_transport_lose_connection(transport), want);
    CHECK_STATUS(lariat_transport_abort_connection(transport), want);
    CHECK_STATUS(lariat_transport_set_protocol(transport, &protocol, &own), want);
    CHECK_INT(own.freed, 1);
    CHECK_NULL(lariat_listener_stop(one->listener), want);
    CHECK_STATUS(lariat_listener_port(one->listener), want);
    own = (side){.name = "own"};
    CHECK_NULL(lariat_reactor_connect(one->reactor, "tcp://127.0.0.1:1", &protocol, &own), want);
    CHECK_INT(own.freed, 1);
    token *data = token_new("data");
    CHECK_NULL(lariat_reactor_listen_full(one->reactor, "tcp://127.0.0.1:0", &protocol, NULL, data, token_free), want);
    CHECK(!token_alive(data));
    return NULL;
}

TEST(s24_another_thread_is_refused) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ACCEPTED, PLAIN);
    thread_join(thread_start(use_from_elsewhere, &one));
    turns(reactor, 2);
    CHECK_INT(one.own.lost, 0);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}
