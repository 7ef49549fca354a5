/* Flow (SEMANTICS 25): producers, water marks, caps, idle time-outs, limits of rate; reading by pulling; files; events. Time is the
 * manual clock's. */
#include "streams.h"

enum { KILOBYTE = 1024, MEGABYTE = 1 << 20 };

/* ---- producers ------------------------------------------------------------------------------------------------------------------------ */

typedef struct maker {
    const char *name;
    size_t made, wanted;  /* bytes written, and in all */
    size_t piece;
    int streaming, producing; /* whether it may write now, of a push producer */
    int pauses, resumes, stops;
    int unregisters;      /* when it has made all */
    uint64_t high;        /* never more waits than this and a piece */
} maker;

static void make_piece(lariat_transport *transport, maker *one) {
    static uint8_t piece[64 * KILOBYTE];
    size_t length = one->wanted - one->made < one->piece ? one->wanted - one->made : one->piece;
    for (size_t i = 0; i < length; i++) piece[i] = pattern_at(one->made + i, 9);
    one->made += length; /* before the write, which may pause us */
    CHECK_OK(lariat_transport_write(transport, piece, length));
    if (one->made == one->wanted && one->unregisters) CHECK_OK(lariat_transport_unregister_producer(transport));
}

static void maker_pause(lariat_transport *transport, void *user_data) {
    maker *one = user_data;
    CHECK(one->streaming && one->producing);
    CHECK((uint64_t)lariat_transport_buffered(transport) > one->high);
    one->producing = 0;
    one->pauses++;
}

static void maker_resume(lariat_transport *transport, void *user_data) {
    maker *one = user_data;
    one->resumes++;
    if (!one->streaming) {
        if (one->made < one->wanted) make_piece(transport, one);
        return;
    }
    CHECK(!one->producing);
    one->producing = 1;
    while (one->producing && one->made < one->wanted) make_piece(transport, one);
}

static void maker_stop(lariat_transport *transport, void *user_data) {
    (void)transport;
    maker *one = user_data;
    CHECK_INT(one->stops++, 0);
    one->producing = 0;
    if (one->name) note("%s:stop", one->name);
}

static lariat_producer maker_producer(int streaming) {
    lariat_producer producer;
    CHECK_OK(lariat_producer_init(&producer, sizeof producer));
    CHECK_INT(producer.streaming, 1);
    producer.streaming = streaming;
    producer.pause_producing = maker_pause;
    producer.resume_producing = maker_resume;
    producer.stop_producing = maker_stop;
    return producer;
}

static void maker_start(lariat_transport *transport, maker *one) {
    lariat_producer producer = maker_producer(one->streaming);
    one->producing = 1;
    CHECK_OK(lariat_transport_register_producer(transport, &producer, one));
    memset(&producer, 0x55, sizeof producer); /* it was copied */
    if (one->streaming)
        while (one->producing && one->made < one->wanted) make_piece(transport, one);
}

static void produced(enum way way, int streaming) {
    lariat_reactor *reactor = real_reactor();
    wire one = {0};
    bytes all = {0};
    maker push = {.wanted = 3 * MEGABYTE, .piece = 10000, .streaming = streaming, .unregisters = 1, .high = 64 * KILOBYTE};
    wire_open(&one, reactor, way, PLAIN);
    wire_small_buffers(&one);
    maker_start(one.own.transport, &push);
    turns(reactor, 3);
    CHECK(push.made < push.wanted);
    CHECK(lariat_transport_buffered(one.own.transport) <= 64 * KILOBYTE + 10000);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    if (streaming) { /* it was told to stop, what it had written goes out */
        CHECK_INT(push.stops, 1);
        CHECK_INT(push.pauses, 1);
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_INT(all.length, push.made);
    } else { /* it is waited for */
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_INT(push.stops, 0);
        CHECK_INT(push.pauses, 0);
        CHECK_INT(push.made, push.wanted);
        CHECK_INT(all.length, push.wanted);
        CHECK(push.resumes >= (int)(push.wanted / push.piece));
    }
    CHECK_PATTERN(all.data, all.length, 9);
    wire_close(&one, LARIAT_CONNECTION_DONE);
    bytes_free(&all);
    reactor_done(reactor);
}

TEST(s25_lose_waits_for_a_pull_producer) { each_way(way) produced(way, 0); }
TEST(s25_lose_stops_a_push_producer) { each_way(way) produced(way, 1); }

TEST(s25_a_push_producer_is_paused_and_resumed_until_it_is_done) {
    each_way(way) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        bytes all = {0};
        maker push = {.wanted = 3 * MEGABYTE, .piece = 10000, .streaming = 1, .unregisters = 1, .high = 64 * KILOBYTE};
        wire_open(&one, reactor, way, PLAIN);
        wire_small_buffers(&one);
        maker_start(one.own.transport, &push);
        CHECK_INT(push.pauses, 1);
        CHECK(push.made < 512 * KILOBYTE);
        until(reactor, (raw_read(one.peer, &all), all.length == push.wanted));
        CHECK_PATTERN(all.data, all.length, 9);
        CHECK(push.pauses > 1 || push.wanted < MEGABYTE);
        CHECK(push.pauses - push.resumes == 0 || push.pauses - push.resumes == 1);
        CHECK_STATUS(lariat_transport_unregister_producer(one.own.transport), LARIAT_ERR_INVALID_STATE);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_INT(push.stops, 0);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

typedef struct starter {
    wire *one;
    maker *push;
} starter;

static void start_inside(void *user_data) {
    starter *start = user_data;
    maker_start(start->one->own.transport, start->push);
}

/* However much the system takes: as much as may wait goes out at once, and as much waits. The others' turn comes then. */
TEST(s25_a_push_producer_is_paused_before_the_system_is_full) {
    each_way(way) for (int inside = 0; inside < 2; inside++) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        bytes all = {0};
        maker push = {.wanted = 3 * MEGABYTE, .piece = 16 * KILOBYTE, .streaming = 1, .unregisters = 1, .high = 64 * KILOBYTE};
        starter start = {&one, &push};
        wire_open(&one, reactor, way, PLAIN);
        CHECK_OK(lariat_transport_set_buffer_sizes(one.own.transport, 0, 4 * MEGABYTE));
        if (inside) CHECK_OK(lariat_reactor_call_soon(reactor, start_inside, &start));
        else maker_start(one.own.transport, &push);
        until(reactor, push.pauses >= 1);
        /* One turn more may have gone on from there. */
        CHECK(push.made <= 4 * (push.high + push.piece));
        until(reactor, (raw_read(one.peer, &all), all.length == push.wanted));
        CHECK_PATTERN(all.data, all.length, 9);
        CHECK(push.pauses >= (int)(push.wanted / (2 * (push.high + push.piece))));
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_INT(push.stops, 0);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

static void note_pause(lariat_transport *transport, void *user_data) {
    note("pause:%d", (int)lariat_transport_buffered(transport));
    (void)user_data;
}

static void note_resume(lariat_transport *transport, void *user_data) {
    note("resume:%d", (int)lariat_transport_buffered(transport));
    (void)user_data;
}

static void note_stop(lariat_transport *transport, void *user_data) {
    (void)transport;
    (void)user_data;
    note("stop");
}

static lariat_producer noting_producer(int streaming) {
    lariat_producer producer = maker_producer(streaming);
    producer.pause_producing = note_pause;
    producer.resume_producing = note_resume;
    producer.stop_producing = note_stop;
    return producer;
}

/* A rate of writing lets so many bytes through; pieces of less than a kilobyte wait. */
static void check_waits(lariat_transport *transport, int64_t least) {
    int64_t waits = lariat_transport_buffered(transport);
    if (waits < least || waits > least + KILOBYTE) test_fail(__FILE__, __LINE__, "%d bytes wait, must be %d or little more", (int)waits, (int)least);
}

TEST(s25_water_marks) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    static uint8_t data[200000];
    bytes all = {0};
    lariat_producer producer = noting_producer(1);
    wire_open(&one, reactor, ADOPTED, PLAIN);
    lariat_transport *transport = one.own.transport;
    CHECK_OK(lariat_transport_set_rate_limit(transport, 0, 10000));
    CHECK_OK(lariat_transport_register_producer(transport, &producer, NULL));
    CHECK_OK(lariat_transport_write(transport, data, 65536));
    CHECK_NOTES(""); /* at the mark, not above it */
    CHECK_OK(lariat_transport_write(transport, data, 1));
    CHECK_NOTES("pause:65537");
    CHECK_OK(lariat_transport_write(transport, data, 4463)); /* told once */
    turn(reactor);                                           /* 10000 of 70000 go out */
    CHECK_INT(lariat_transport_buffered(transport), 60000);
    CHECK_NOTES("");
    advance(reactor, 3);
    check_waits(transport, 30000);
    CHECK_OK(lariat_transport_set_water_marks(transport, 50000, 20000));
    CHECK_NOTES("");
    advance(reactor, 0.8);
    CHECK_NOTES("");
    advance(reactor, 0.3);
    CHECK(noted("resume:19") || noted("resume:20000"));
    notes_clear();
    int64_t more = 50000 - lariat_transport_buffered(transport);
    CHECK_OK(lariat_transport_write(transport, data, (size_t)more));
    CHECK_NOTES("");
    CHECK_OK(lariat_transport_set_water_marks(transport, 49999, 0)); /* above it at once */
    CHECK_NOTES("pause:50000");
    CHECK_STATUS(lariat_transport_set_water_marks(transport, 10, 11), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(raw_read(one.peer, &all), RAW_OPEN); /* or the system's buffer is full */
    advance(reactor, 4.8);
    CHECK_NOTES("");
    advance(reactor, 0.4);
    CHECK_NOTES("resume:0");
    CHECK_OK(lariat_transport_set_water_marks(transport, 0, 0)); /* any byte is too much */
    CHECK_OK(lariat_transport_write(transport, data, 1));
    CHECK_NOTES("pause:1");
    CHECK_OK(lariat_transport_unregister_producer(transport));
    CHECK_OK(lariat_transport_lose_connection(transport));
    advance(reactor, 1);
    CHECK_NOTES("");
    wire_close(&one, LARIAT_CONNECTION_DONE);
    bytes_free(&all);
    reactor_done(reactor);
}

TEST(s25_registered_above_the_mark_it_is_paused_at_once) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    static uint8_t data[100000];
    lariat_producer producer = noting_producer(1);
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 0, 1000));
    CHECK_OK(lariat_transport_write(one.own.transport, data, 70000));
    CHECK_OK(lariat_transport_register_producer(one.own.transport, &producer, NULL));
    CHECK_NOTES("pause:70000");
    CHECK_OK(lariat_transport_abort_connection(one.own.transport));
    CHECK_NOTES("");
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    CHECK_NOTES("stop");
    reactor_done(reactor);
}

TEST(s25_a_second_registration_is_refused) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    lariat_producer producer = noting_producer(1);
    token *first = token_new("first"), *second = token_new("second"), *third = token_new("third");
    wire_open(&one, reactor, ADOPTED, PLAIN);
    lariat_transport *transport = one.own.transport;
    CHECK_OK(lariat_transport_register_producer_full(transport, &producer, first, token_free));
    CHECK_STATUS(lariat_transport_register_producer_full(transport, &producer, second, token_free), LARIAT_ERR_ALREADY_REGISTERED);
    CHECK(token_alive(first) && !token_alive(second));
    CHECK_OK(lariat_transport_unregister_producer(transport));
    CHECK(!token_alive(first));
    CHECK_STATUS(lariat_transport_unregister_producer(transport), LARIAT_ERR_INVALID_STATE);
    producer.streaming = 2;
    CHECK_STATUS(lariat_transport_register_producer_full(transport, &producer, third, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(third));
    producer.streaming = 0;
    token *fourth = token_new("fourth");
    CHECK_OK(lariat_transport_register_producer_full(transport, &producer, fourth, token_free));
    CHECK_STATUS(lariat_transport_register_producer(transport, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("resume:0"); /* the first piece of a pull producer is asked for by the loop */
    turns(reactor, 5);
    CHECK_NOTES(""); /* and the next one when the one before is out */
    CHECK_OK(lariat_transport_abort_connection(transport));
    CHECK(token_alive(fourth));
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    CHECK_NOTES("stop");
    CHECK(!token_alive(fourth));
    reactor_done(reactor);
}

static void register_late(side *own) {
    lariat_producer producer = noting_producer(own->more != NULL);
    token *data = token_new("late");
    CHECK_STATUS(lariat_transport_register_producer_full(own->transport, &producer, data, token_free), LARIAT_ERR_CLOSED);
    CHECK(!token_alive(data));
}

TEST(s25_registering_on_a_lost_connection_stops_the_producer) {
    for (int streaming = 0; streaming < 2; streaming++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_lost = register_late, .more = streaming ? "" : NULL}};
        wire_open(&one, reactor, ADOPTED, PLAIN);
        CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        register_late(&one.own); /* it is over already, though not told yet */
        CHECK_NOTES("stop");
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        CHECK_NOTES("stop");
        reactor_done(reactor);
    }
}

TEST(s25_the_peers_end_stops_the_producer) {
    for (int streaming = 0; streaming < 2; streaming++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        lariat_producer producer = noting_producer(streaming);
        wire_open(&one, reactor, ACCEPTED, PLAIN);
        CHECK_OK(lariat_transport_register_producer(one.own.transport, &producer, NULL));
        turn(reactor);
        notes_clear();
        raw_reset(one.peer);
        one.peer = -1;
        wire_close(&one, LARIAT_ERR_CONNECTION_LOST);
        CHECK_NOTES("stop own!CONNECTION_LOST free:own");
        reactor_done(reactor);
    }
}

TEST(s25_the_free_of_the_reactor_stops_the_producer) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {.own = {.name = "own", .is_noted = 1}};
    lariat_producer producer = noting_producer(1);
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_OK(lariat_transport_register_producer_full(one.own.transport, &producer, token_new("data"), token_free_noted));
    free_reactor(reactor);
    CHECK(noted("own:made stop own!CLOSED"));
    CHECK(noted("free:data") && noted("free:own"));
    notes_clear();
    CHECK_INT(close(one.peer), 0);
}

/* A producer that is NULL in all but its kind. */
TEST(s25_a_producer_may_have_no_functions) {
    for (int streaming = 0; streaming < 2; streaming++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        static uint8_t data[100000];
        lariat_producer producer;
        CHECK_OK(lariat_producer_init(&producer, sizeof producer));
        producer.streaming = streaming;
        wire_open(&one, reactor, ADOPTED, PLAIN);
        CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 0, 100000));
        CHECK_OK(lariat_transport_register_producer(one.own.transport, &producer, NULL));
        CHECK_OK(lariat_transport_write(one.own.transport, data, 100000));
        turns(reactor, 2);
        CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        reactor_done(reactor);
    }
}

typedef struct drain_thread {
    int fd;
    atomic_size_t came;
} drain_thread;

static void *drain(void *argument) {
    drain_thread *one = argument;
    static uint8_t buffer[1 << 20];
    ssize_t length;
    while ((length = recv(one->fd, buffer, sizeof buffer, 0)) > 0) atomic_fetch_add(&one->came, (size_t)length);
    return NULL;
}

/* However fast the peer reads: one piece a turn. */
TEST(s25_a_pull_producer_does_not_starve_the_others) {
    lariat_reactor *reactor = real_reactor();
    wire one = {0};
    maker pull = {.wanted = 64 * MEGABYTE, .piece = 64 * KILOBYTE, .unregisters = 1};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_INT(fcntl(one.peer, F_SETFL, 0), 0); /* blocks */
    drain_thread reader = {one.peer, 0};
    pthread_t thread = thread_start(drain, &reader);
    maker_start(one.own.transport, &pull);
    uint64_t before = reactor_stats(reactor).turns;
    until(reactor, atomic_load(&reader.came) == pull.wanted);
    CHECK(reactor_stats(reactor).turns - before >= pull.wanted / pull.piece / 2);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    until(reactor, one.own.freed);
    thread_join(thread);
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- the cap ------------------------------------------------------------------------------------------------------------------------------ */

TEST(s25_a_write_past_the_cap_accepts_nothing) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    static uint8_t data[100000];
    wire_open(&one, reactor, ADOPTED, PLAIN);
    lariat_transport *transport = one.own.transport;
    CHECK_OK(lariat_transport_set_rate_limit(transport, 0, 1000));
    CHECK_OK(lariat_transport_set_max_buffer(transport, 5000));
    CHECK_OK(lariat_transport_write(transport, data, 4000));
    CHECK_STATUS(lariat_transport_write(transport, data, 1001), LARIAT_ERR_BUFFER_FULL);
    CHECK(strstr(lariat_last_error_message(), "5000") != NULL);
    const lariat_part parts[] = {{data, 600}, {data, 600}};
    CHECK_STATUS(lariat_transport_write_parts(transport, parts, 2), LARIAT_ERR_BUFFER_FULL);
    CHECK_NULL(lariat_transport_send_file(transport, 0, 0, 1001), LARIAT_ERR_BUFFER_FULL);
    CHECK_INT(lariat_transport_buffered(transport), 4000);
    CHECK_OK(lariat_transport_write(transport, data, 1000)); /* up to it */
    CHECK_STATUS(lariat_transport_write(transport, data, 1), LARIAT_ERR_BUFFER_FULL);
    CHECK_OK(lariat_transport_write(transport, NULL, 0));
    turn(reactor);
    advance(reactor, 1.01); /* 1000 at once, and 1000 for the second */
    CHECK_INT(lariat_transport_buffered(transport), 3000);
    CHECK_OK(lariat_transport_write(transport, data, 2000));
    CHECK_STATUS(lariat_transport_write(transport, data, 1), LARIAT_ERR_BUFFER_FULL);
    CHECK_OK(lariat_transport_set_max_buffer(transport, 10)); /* what waits stays */
    CHECK_STATUS(lariat_transport_write(transport, data, 1), LARIAT_ERR_BUFFER_FULL);
    CHECK_OK(lariat_transport_set_max_buffer(transport, 0)); /* none, as at first */
    CHECK_OK(lariat_transport_write(transport, data, 100000));
    CHECK_OK(lariat_transport_abort_connection(transport));
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    reactor_done(reactor);
}

/* ---- the idle time-out ---------------------------------------------------------------------------------------------------------------------- */

TEST(s25_an_idle_connection_times_out) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        wire_open(&one, reactor, way, HALF);
        CHECK_OK(lariat_transport_set_idle_timeout(one.own.transport, 10));
        advance(reactor, 9.9);
        CHECK_INT(one.own.lost, 0);
        advance(reactor, 0.2);
        until(reactor, one.own.freed);
        CHECK(strstr(one.own.message, "10") != NULL);
        wire_close(&one, LARIAT_ERR_TIMED_OUT);
        reactor_done(reactor);
    }
}

TEST(s25_each_byte_counts_anew) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    static uint8_t data[20000];
    wire_open(&one, reactor, ADOPTED, PLAIN);
    lariat_transport *transport = one.own.transport;
    CHECK_OK(lariat_transport_set_idle_timeout(transport, 1));
    for (int i = 0; i < 5; i++) { /* received */
        advance(reactor, 0.9);
        raw_write(one.peer, "x");
        turn(reactor);
    }
    CHECK_INT(one.own.came, 5);
    for (int i = 0; i < 5; i++) { /* sent outside the loop, small and large */
        advance(reactor, 0.9);
        CHECK_OK(lariat_transport_write(transport, data, i % 2 ? 20000 : 1));
        CHECK_INT(lariat_transport_buffered(transport), 0);
    }
    CHECK_INT(one.own.lost, 0);
    one.own.echoes = 1;
    for (int i = 0; i < 5; i++) { /* sent in a callback */
        advance(reactor, 0.9);
        raw_write(one.peer, "x");
        turn(reactor);
    }
    CHECK_INT(one.own.lost, 0);
    advance(reactor, 0.9);
    CHECK_OK(lariat_transport_set_idle_timeout(transport, 2)); /* anew */
    advance(reactor, 1.9);
    CHECK_INT(one.own.lost, 0);
    CHECK_OK(lariat_transport_set_idle_timeout(transport, 0)); /* never */
    CHECK_INT(reactor_stats(reactor).delayed_calls, 0);
    advance(reactor, 1000000);
    CHECK_INT(one.own.lost, 0);
    CHECK_OK(lariat_transport_set_idle_timeout(transport, 0.001));
    advance(reactor, 0.002);
    wire_close(&one, LARIAT_ERR_TIMED_OUT);
    reactor_done(reactor);
}

TEST(s25_a_writer_whose_peer_reads_nothing_is_idle) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    static uint8_t data[4 * MEGABYTE];
    wire_open(&one, reactor, ADOPTED, PLAIN);
    wire_small_buffers(&one);
    CHECK_OK(lariat_transport_write(one.own.transport, data, sizeof data));
    CHECK_OK(lariat_transport_set_idle_timeout(one.own.transport, 1));
    CHECK_OK(lariat_transport_lose_connection(one.own.transport)); /* the flush will never end */
    for (int i = 0; i < 9; i++) {
        advance(reactor, 0.1);
        turn(reactor);
    }
    CHECK_INT(one.own.lost, 0);
    advance(reactor, 0.2);
    wire_close(&one, LARIAT_ERR_TIMED_OUT);
    reactor_done(reactor);
}

/* ---- limits of rate ----------------------------------------------------------------------------------------------------------------------------- */

TEST(s25_a_limit_of_the_rate_of_writing) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    bytes all = {0};
    uint8_t *data = pattern_new(20000, 1);
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 0, 2000));
    CHECK_OK(lariat_transport_write(one.own.transport, data, 20000));
    turn(reactor);
    raw_read(one.peer, &all);
    CHECK_INT(all.length, 2000); /* a second's worth at once */
    for (int i = 1; i <= 18; i++) {
        advance(reactor, 0.5);
        raw_read(one.peer, &all);
        CHECK(all.length <= 2000 + (size_t)i * 1000);
        CHECK(all.length + 1024 >= 2000 + (size_t)i * 1000);
    }
    advance(reactor, 1);
    raw_read(one.peer, &all);
    CHECK_INT(all.length, 20000);
    CHECK_PATTERN(all.data, all.length, 1);
    advance(reactor, 100); /* what is not used is not saved up beyond a second's worth */
    CHECK_OK(lariat_transport_write(one.own.transport, data, 20000));
    turn(reactor);
    raw_read(one.peer, &all);
    CHECK_INT(all.length, 22000);
    CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 0, 0)); /* no limit */
    turn(reactor);
    raw_read(one.peer, &all);
    CHECK_INT(all.length, 40000);
    CHECK_PATTERN(all.data + 20000, 20000, 1);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    bytes_free(&all);
    free(data);
    reactor_done(reactor);
}

TEST(s25_a_limit_of_the_rate_of_reading) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    size_t at = 0;
    uint8_t *data = pattern_new(20000, 1);
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 2000, 0));
    CHECK(raw_send_some(one.peer, data, 20000, &at));
    turns(reactor, 3);
    CHECK_INT(one.own.came, 2000);
    int calls = one.own.calls;
    for (int i = 1; i <= 18; i++) {
        advance(reactor, 0.5);
        CHECK(one.own.came <= 2000 + (size_t)i * 1000);
        CHECK(one.own.came + 1024 >= 2000 + (size_t)i * 1000);
    }
    CHECK(one.own.calls - calls <= 18); /* worthwhile pieces, not single bytes */
    advance(reactor, 1);
    CHECK_INT(one.own.came, 20000);
    CHECK_PATTERN(one.own.got.data, 20000, 1);
    CHECK_INT(close(one.peer), 0);
    one.peer = -1;
    advance(reactor, 1); /* the end needs no allowance, but it may have to wait for its turn */
    wire_close(&one, LARIAT_CONNECTION_DONE);
    free(data);
    reactor_done(reactor);
}

TEST(s25_a_connection_that_was_limited_leaves_no_timer) {
    for (int how = 0; how < 3; how++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        static uint8_t data[100000];
        size_t at = 0;
        wire_open(&one, reactor, ADOPTED, PLAIN);
        CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 1, 1));
        CHECK_OK(lariat_transport_write(one.own.transport, data, 1000));
        CHECK(raw_send_some(one.peer, data, 1000, &at));
        turns(reactor, 3);
        CHECK(reactor_stats(reactor).delayed_calls > 0);
        for (int i = 0; i < 5; i++) CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 1 + i, 1 + i));
        turns(reactor, 3);
        CHECK(reactor_stats(reactor).delayed_calls <= 2); /* one a direction */
        if (how == 0) CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        if (how == 1) CHECK_OK(lariat_transport_fail_connection(one.own.transport, LARIAT_ERR_CONNECTION_ABORTED, NULL));
        if (how == 2) {
            CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 0, 0));
            turns(reactor, 3);
            CHECK_INT(one.own.came, 1000);
            CHECK_INT(lariat_transport_buffered(one.own.transport), 0);
            CHECK_INT(reactor_stats(reactor).delayed_calls, 0);
            CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        }
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        reactor_done(reactor);
    }
}

TEST(s25_rates_that_are_none) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    const double bad[] = {-1, 0.5, 2e15, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(lariat_transport_set_rate_limit(one.own.transport, bad[i], 0), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_transport_set_rate_limit(one.own.transport, 0, bad[i]), LARIAT_ERR_INVALID_ARGUMENT);
    }
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- reading by pulling ------------------------------------------------------------------------------------------------------------------------- */

static lariat_protocol pull_protocol(void) {
    lariat_protocol protocol = side_protocol(PLAIN);
    protocol.pull = 1;
    return protocol;
}

static void wire_open_pull(wire *made, lariat_reactor *reactor) {
    lariat_protocol protocol = pull_protocol();
    wire_open_with(made, reactor, ADOPTED, &protocol);
}

/* Words end with a dot; what is not whole stays. */
static void consume_words(side *own) {
    const uint8_t *data;
    size_t length, used = 0;
    CHECK_OK(lariat_transport_peek(own->transport, &data, &length));
    CHECK_INT(length, own->last);
    for (size_t i = 0; i < length; i++)
        if (data[i] == '.') {
            note("%.*s", (int)(i - used), (const char *)data + used);
            used = i + 1;
        }
    CHECK_OK(lariat_transport_consume(own->transport, used));
}

TEST(s25_what_is_not_consumed_comes_again) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {.own = {.on_data = consume_words}};
    wire_open_pull(&one, reactor);
    raw_write(one.peer, "one.two.thr");
    turn(reactor);
    CHECK_NOTES("one two");
    turns(reactor, 3);
    CHECK_NOTES(""); /* only with more behind it */
    CHECK_INT(one.own.calls, 1);
    raw_write(one.peer, "e");
    turn(reactor);
    CHECK_NOTES("");
    CHECK_INT(one.own.last, 4);
    raw_write(one.peer, "e.");
    turn(reactor);
    CHECK_NOTES("three");
    const uint8_t *data;
    size_t length = 99;
    CHECK_OK(lariat_transport_peek(one.own.transport, &data, &length));
    CHECK_INT(length, 0);
    CHECK_STATUS(lariat_transport_consume(one.own.transport, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_transport_consume(one.own.transport, 0));
    CHECK_STATUS(lariat_transport_peek(one.own.transport, NULL, &length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_transport_peek(one.own.transport, &data, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(close(one.peer), 0);
    one.peer = -1;
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

TEST(s25_consumed_outside_of_the_callback) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    wire_open_pull(&one, reactor);
    const uint8_t *data;
    size_t length;
    raw_write(one.peer, "one two");
    turn(reactor);
    CHECK_OK(lariat_transport_peek(one.own.transport, &data, &length));
    CHECK_INT(length, 7);
    CHECK(memcmp(data, "one two", 7) == 0);
    CHECK_OK(lariat_transport_consume(one.own.transport, 4));
    CHECK_OK(lariat_transport_peek(one.own.transport, &data, &length));
    CHECK_INT(length, 3);
    CHECK(memcmp(data, "two", 3) == 0);
    CHECK_STATUS(lariat_transport_consume(one.own.transport, 4), LARIAT_ERR_INVALID_ARGUMENT);
    bytes_free(&one.own.got);
    raw_write(one.peer, " three");
    turn(reactor);
    CHECK_STR(bytes_text(&one.own.got), "two three");
    CHECK_OK(lariat_transport_abort_connection(one.own.transport));
    CHECK_STATUS(lariat_transport_peek(one.own.transport, &data, &length), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_consume(one.own.transport, 1), LARIAT_ERR_CLOSED);
    wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
    reactor_done(reactor);
}

TEST(s25_consuming_needs_pull) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    const uint8_t *data;
    size_t length = 99;
    wire_open(&one, reactor, ADOPTED, PLAIN);
    raw_write(one.peer, "x");
    turn(reactor);
    CHECK_STATUS(lariat_transport_consume(one.own.transport, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_transport_consume(one.own.transport, 1), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_transport_peek(one.own.transport, &data, &length));
    CHECK_INT(length, 0);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* The peer is held up when a megabyte waits. */
TEST(s25_a_megabyte_that_is_not_consumed_pauses_reading) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {.own = {.kept = 1}};
    size_t length = 6 * MEGABYTE, at = 0, consumed = 0, waits;
    uint8_t *data = pattern_new(length, 7);
    const uint8_t *place;
    wire_open_pull(&one, reactor);
    for (int i = 0; i < 100; i++) {
        raw_send_some(one.peer, data, length, &at);
        turn(reactor);
    }
    CHECK(at < 3 * MEGABYTE);
    while (consumed < length) {
        CHECK_OK(lariat_transport_peek(one.own.transport, &place, &waits));
        CHECK(waits <= MEGABYTE + 64 * KILOBYTE);
        CHECK(waits > 0);
        size_t piece = waits < 300000 ? waits : 300000;
        for (size_t i = 0; i < piece; i++) CHECK_INT(place[i], pattern_at(consumed + i, 7));
        CHECK_OK(lariat_transport_consume(one.own.transport, piece));
        consumed += piece;
        until(reactor, (raw_send_some(one.peer, data, length, &at), lariat_transport_peek(one.own.transport, &place, &waits), waits || consumed == length));
    }
    CHECK_INT(close(one.peer), 0);
    one.peer = -1;
    wire_close(&one, LARIAT_CONNECTION_DONE);
    free(data);
    reactor_done(reactor);
}

/* What one protocol has left over is the next one's: an upgrade in the middle of what came. */
static void hand_over(side *own) {
    side *next = own->more;
    lariat_protocol protocol = side_protocol(PLAIN);
    protocol.pull = next->more != NULL;
    next->made = 1;
    next->transport = own->transport;
    CHECK_OK(lariat_transport_consume(own->transport, 8));
    CHECK_OK(lariat_transport_set_protocol(own->transport, &protocol, next));
}

TEST(s25_what_is_left_over_goes_to_the_next_protocol) {
    for (int next_pulls = 0; next_pulls < 2; next_pulls++) for (int inside = 0; inside < 2; inside++) {
        lariat_reactor *reactor = manual_reactor();
        side next = {.name = "next", .more = next_pulls ? "" : NULL};
        wire one = {.own = {.on_data = inside ? hand_over : NULL, .more = &next}};
        wire_open_pull(&one, reactor);
        raw_write(one.peer, "upgrade:the rest");
        until(reactor, one.own.calls == 1);
        if (!inside) hand_over(&one.own);
        CHECK_INT(one.own.freed, 1);
        until(reactor, next.came > 0); /* also when no more comes */
        CHECK_STR(bytes_text(&next.got), "the rest");
        if (next_pulls) CHECK_OK(lariat_transport_consume(next.transport, 8));
        raw_write(one.peer, ", and more");
        until(reactor, next.came == 18);
        CHECK_STR(bytes_text(&next.got), "the rest, and more");
        CHECK_INT(close(one.peer), 0);
        until(reactor, next.freed);
        side_over(&next, LARIAT_CONNECTION_DONE);
        bytes_free(&one.own.got);
        reactor_done(reactor);
    }
}

/* The peer's end does not overtake it. */
TEST(s25_what_is_left_over_goes_to_the_next_protocol_before_the_end) {
    lariat_reactor *reactor = manual_reactor();
    side next = {.name = "next", .is_noted = 1};
    wire one = {.own = {.on_data = hand_over, .more = &next}};
    wire_open_pull(&one, reactor);
    raw_write(one.peer, "upgrade:the rest");
    CHECK_INT(close(one.peer), 0);
    until(reactor, next.freed);
    CHECK_NOTES("next=the rest next!CONNECTION_DONE free:next");
    side_over(&next, LARIAT_CONNECTION_DONE);
    bytes_free(&one.own.got);
    reactor_done(reactor);
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------------------ */

static int file_new(size_t length, unsigned seed) {
    uint8_t *data = pattern_new(length, seed);
    int fd = open("file", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (size_t at = 0; at < length;) {
        ssize_t written = write(fd, data + at, length - at);
        CHECK(written > 0);
        at += (size_t)written;
    }
    free(data);
    return fd;
}

static void send_file(lariat_transport *transport, int fd, uint64_t offset, uint64_t length, const char *name) {
    lariat_deferred *sent = lariat_transport_send_file(transport, fd, offset, length);
    if (!sent) test_fail(__FILE__, __LINE__, "cannot send the file: %s", lariat_last_error_message());
    end_with_note(sent, name);
}

TEST(s25_a_file_is_sent_in_its_place) {
    each_way(way) for (int small = 0; small < 2; small++) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        bytes all = {0};
        size_t length = 3 * MEGABYTE + 17;
        int fd = file_new(length, 3);
        wire_open(&one, reactor, way, PLAIN);
        if (small) wire_small_buffers(&one);
        lariat_transport *transport = one.own.transport;
        write_text(transport, "before ");
        send_file(transport, fd, 0, length, "whole");
        CHECK_NOTES(""); /* never from inside */
        write_text(transport, " between ");
        send_file(transport, fd, 1000000, 2000000, "part");
        uint8_t *large = pattern_new(100000, 4);
        CHECK_OK(lariat_transport_write(transport, large, 100000)); /* behind it, though it goes at once elsewhere */
        CHECK_INT(close(fd), 0);                                    /* the library has a copy */
        CHECK(lariat_transport_buffered(transport) > 0);
        CHECK_OK(lariat_transport_lose_connection(transport));
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_INT(all.length, 7 + length + 9 + 2000000 + 100000);
        CHECK(memcmp(all.data, "before ", 7) == 0);
        CHECK_PATTERN(all.data + 7, length, 3);
        CHECK(memcmp(all.data + 7 + length, " between ", 9) == 0);
        for (size_t i = 0; i < 2000000; i++) CHECK_INT(all.data[7 + length + 9 + i], pattern_at(1000000 + i, 3));
        CHECK_PATTERN(all.data + 7 + length + 9 + 2000000, 100000, 4);
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("whole=- part=-");
        bytes_free(&all);
        free(large);
        reactor_done(reactor);
    }
}

TEST(s25_a_file_that_ends_early_is_truncated_and_the_rest_goes_on) {
    each_way(way) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        int fd = file_new(1000, 3);
        wire_open(&one, reactor, way, PLAIN);
        lariat_transport *transport = one.own.transport;
        send_file(transport, fd, 0, 2000, "long");
        send_file(transport, fd, 5000, 10, "behind");
        send_file(transport, fd, 990, 10, "good");
        write_text(transport, " done");
        CHECK_OK(lariat_transport_lose_connection(transport));
        bytes all = {0};
        CHECK_INT(raw_end(reactor, one.peer, &all), RAW_END);
        CHECK_INT(all.length, 1000 + 10 + 5);
        CHECK_PATTERN(all.data, 1000, 3);
        for (size_t i = 0; i < 10; i++) CHECK_INT(all.data[1000 + i], pattern_at(990 + i, 3));
        CHECK(memcmp(all.data + 1010, " done", 5) == 0);
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("long!TRUNCATED behind!TRUNCATED good=-");
        CHECK_INT(close(fd), 0);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

/* Whoever writes next, from wherever: a file that is done is told. */
TEST(s25_a_file_without_bytes_and_writes_behind_it) {
    each_way(way) for (int truncated = 0; truncated < 2; truncated++) for (size_t length = 1; length <= 20000; length += 19999) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        static uint8_t data[20000];
        bytes all = {0};
        int fd = file_new(10, 3);
        wire_open(&one, reactor, way, PLAIN);
        send_file(one.own.transport, fd, 10, truncated ? 1 : 0, "file");
        CHECK_OK(lariat_transport_write(one.own.transport, data, length));
        until(reactor, (raw_read(one.peer, &all), all.length == length));
        until(reactor, noted("file"));
        CHECK_NOTES(truncated ? "file!TRUNCATED" : "file=-");
        CHECK_INT(lariat_transport_buffered(one.own.transport), 0);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_INT(close(fd), 0);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

TEST(s25_a_file_at_a_limited_rate) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    bytes all = {0};
    int fd = file_new(10000, 3);
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_OK(lariat_transport_set_rate_limit(one.own.transport, 0, 5000));
    send_file(one.own.transport, fd, 0, 10000, "file");
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    turn(reactor);
    raw_read(one.peer, &all);
    CHECK_INT(all.length, 5000);
    CHECK_NOTES("");
    for (int i = 0; i < 11; i++) advance(reactor, 0.1);
    until(reactor, raw_read(one.peer, &all) == RAW_END);
    CHECK_INT(all.length, 10000);
    CHECK_PATTERN(all.data, 10000, 3);
    wire_close(&one, LARIAT_CONNECTION_DONE);
    CHECK_NOTES("file=-"); /* all of it went out */
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    reactor_done(reactor);
}

TEST(s25_a_file_that_is_not_sent_fails_with_the_connections_end) {
    for (int how = 0; how < 4; how++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        int fd = file_new(4 * MEGABYTE, 3);
        wire_open(&one, reactor, ACCEPTED, PLAIN);
        wire_small_buffers(&one);
        notes_clear();
        send_file(one.own.transport, fd, 0, 4 * MEGABYTE, "file");
        send_file(one.own.transport, fd, 0, 1, "next");
        turns(reactor, 2);
        CHECK_NOTES("");
        if (how == 0) CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        if (how == 1) CHECK_OK(lariat_transport_fail_connection(one.own.transport, 42, NULL));
        if (how == 2) raw_reset(one.peer);
        if (how == 2) one.peer = -1;
        if (how == 3) {
            free_reactor(reactor);
            CHECK(noted("file!CLOSED next!CLOSED"));
            notes_clear();
            CHECK_INT(close(one.peer), 0);
        } else {
            wire_close(&one, how == 0 ? LARIAT_ERR_CONNECTION_ABORTED : how == 1 ? 42 : LARIAT_ERR_CONNECTION_LOST);
            CHECK(noted(how == 0 ? "file!CONNECTION_ABORTED next!CONNECTION_ABORTED"
                        : how == 1 ? "file!42 next!42" : "file!CONNECTION_LOST next!CONNECTION_LOST"));
            notes_clear();
            reactor_done(reactor);
        }
        CHECK_INT(close(fd), 0);
    }
}

TEST(s25_files_that_are_refused) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    int fd = file_new(10, 3);
    wire_open(&one, reactor, ADOPTED, PLAIN);
    lariat_transport *transport = one.own.transport;
    CHECK_NULL(lariat_transport_send_file(transport, -1, 0, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_transport_send_file(transport, 1000000, 0, 1), LARIAT_ERR_OS);
    CHECK_NULL(lariat_transport_send_file(transport, fd, UINT64_MAX, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_transport_send_file(transport, fd, 0, UINT64_MAX), LARIAT_ERR_INVALID_ARGUMENT);
    /* Cancelling changes nothing. */
    lariat_deferred *sent = lariat_transport_send_file(transport, fd, 0, 10);
    CHECK_OK(lariat_deferred_cancel(sent));
    CHECK_OK(lariat_deferred_add_both(sent, note_end, "file"));
    CHECK_OK(lariat_deferred_release(sent));
    CHECK_NOTES("file!CANCELLED");
    bytes all = {0};
    until(reactor, (raw_read(one.peer, &all), all.length == 10));
    CHECK_PATTERN(all.data, 10, 3);
    CHECK_OK(lariat_transport_lose_write_connection(transport));
    CHECK_NULL(lariat_transport_send_file(transport, fd, 0, 1), LARIAT_ERR_CLOSED);
    CHECK_OK(lariat_transport_lose_connection(transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    reactor_done(reactor);
}

/* ---- events --------------------------------------------------------------------------------------------------------------------------------------------- */

static lariat_event take(lariat_reactor *reactor) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_EITHER(lariat_reactor_next_event(reactor, &event), LARIAT_OK, LARIAT_EMPTY);
    switch (event.kind) {
    case 0: break;
    case LARIAT_EVENT_CONNECTION_MADE: note("made:%d", (int)event.tag); break;
    case LARIAT_EVENT_DATA_RECEIVED: note("data:%d=%.*s", (int)event.tag, (int)event.len, (const char *)event.data); break;
    case LARIAT_EVENT_CONNECTION_LOST: note("lost:%d!%s", (int)event.tag, reason_label(lariat_failure_code(event.failure))); break;
    case LARIAT_EVENT_READ_CONNECTION_LOST: note("half-read:%d", (int)event.tag); break;
    case LARIAT_EVENT_WRITE_CONNECTION_LOST: note("half-write:%d", (int)event.tag); break;
    case LARIAT_EVENT_DEFERRED: note("deferred:%d", (int)event.tag); break;
    default: test_fail(__FILE__, __LINE__, "an event of kind %d", (int)event.kind);
    }
    return event;
}

TEST(s25_connections_by_events) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = lariat_reactor_listen_event(reactor, "tcp://127.0.0.1:0", 7);
    CHECK(listener != NULL);
    int fd = raw_connect(listener);
    until(reactor, reactor_stats(reactor).events == 1);
    lariat_transport *transport = take(reactor).source;
    CHECK_NOTES("made:7");
    CHECK_PTR(lariat_transport_listener(transport), listener);
    raw_write(fd, "hello");
    until(reactor, reactor_stats(reactor).events == 1);
    lariat_event event = take(reactor);
    CHECK_PTR(event.source, transport);
    CHECK_OK(lariat_transport_write(transport, event.data, event.len)); /* it lives until the next is taken */
    raw_expect(reactor, fd, "hello");
    CHECK_NOTES("data:7=hello");
    CHECK_INT(close(fd), 0);
    until(reactor, reactor_stats(reactor).events == 1);
    event = take(reactor);
    CHECK_NOTES("lost:7!CONNECTION_DONE");
    CHECK_PTR(event.source, transport);
    CHECK_STATUS(lariat_transport_write(transport, NULL, 0), LARIAT_ERR_STALE_HANDLE);
    take(reactor); /* the failure goes */
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(s25_a_client_by_events) {
    lariat_reactor *reactor = manual_reactor();
    int port, listening = raw_listen(&port), fd;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    lariat_deferred *connecting = lariat_reactor_connect_event(reactor, endpoint, 3);
    CHECK(connecting != NULL);
    CHECK_OK(lariat_deferred_add_event(connecting, 4));
    CHECK_OK(lariat_deferred_release(connecting));
    until(reactor, reactor_stats(reactor).events == 2);
    lariat_transport *transport = take(reactor).source;
    CHECK_PTR(take(reactor).value, transport);
    CHECK_NOTES("made:3 deferred:4");
    CHECK((fd = raw_accept(listening)) >= 0);
    raw_write(fd, "welcome");
    until(reactor, reactor_stats(reactor).events == 1);
    take(reactor);
    CHECK_NOTES("data:3=welcome");
    CHECK_OK(lariat_transport_fail_connection(transport, 42, "no"));
    CHECK_INT(reactor_stats(reactor).events, 0); /* not from inside */
    until(reactor, reactor_stats(reactor).events == 1);
    CHECK_STR(lariat_failure_message(take(reactor).failure), "no");
    CHECK_NOTES("lost:3!42");
    take(reactor);
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(listening), 0);
    reactor_done(reactor);
}

TEST(s25_events_of_a_connection_that_asks_for_half_close) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = lariat_reactor_listen_event(reactor, "tcp://127.0.0.1:0", 7);
    int fd = raw_connect(listener);
    until(reactor, reactor_stats(reactor).events == 1);
    lariat_transport *transport = take(reactor).source;
    CHECK_OK(lariat_transport_lose_write_connection(transport));
    until(reactor, reactor_stats(reactor).events == 1);
    take(reactor);
    CHECK_NOTES("made:7 half-write:7");
    raw_write(fd, "still");
    CHECK_INT(close(fd), 0);
    until(reactor, reactor_stats(reactor).events == 2);
    take(reactor);
    take(reactor);
    CHECK_NOTES("data:7=still lost:7!CONNECTION_DONE");
    take(reactor);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(s25_events_that_nobody_takes_go_with_the_reactor) {
    lariat_reactor *reactor = manual_reactor();
    lariat_listener *listener = lariat_reactor_listen_event(reactor, "tcp://127.0.0.1:0", 7);
    int fd = raw_connect(listener);
    raw_write(fd, "hello");
    until(reactor, reactor_stats(reactor).events == 2);
    free_reactor(reactor);
    CHECK_INT(close(fd), 0);
}
