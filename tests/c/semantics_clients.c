/* Reconnecting clients: when they try, how long they wait, whom they tell, and that nothing of them is left. */
#include "harness.h"
#include "plain_server.h"

/* ---- a client and what it tells ---- */

static lariat_reactor *reactor;
static lariat_reconnecting_client *client;
static lariat_transport *transport; /* the last that was made */
static int made, lost, failed;      /* so many */
static int awaited;                 /* so many of them */
static double delays[512];          /* after each that failed */

static void on_made(lariat_transport *given, void *self) {
    CHECK_PTR(given, lariat_reconnecting_client_transport(client));
    transport = given;
    made++;
    note("made:%s", test_text(self));
}

static void on_lost(lariat_transport *given, const lariat_failure *reason, void *self) {
    lariat_transport *present = lariat_reconnecting_client_transport(client);
    CHECK(!present || present == given); /* NULL: the client is freed */
    lost++;
    note("lost:%s!%s", test_text(self), failure_label(reason));
}

static void on_failed(lariat_reconnecting_client *given, const lariat_failure *failure, double seconds, void *user_data) {
    CHECK_PTR(given, client);
    CHECK(lariat_failure_code(failure) < 0 && *lariat_failure_message(failure));
    CHECK_INT(lariat_reconnecting_client_failures(client), failed + 1);
    CHECK(seconds == INFINITY || fabs(lariat_reconnecting_client_next_attempt(client) - seconds) < 1e-6);
    delays[failed++] = seconds;
    if (user_data) note("%s!%s", (char *)user_data, failure_label(failure));
}

static lariat_protocol protocol_new(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = on_made;
    protocol.connection_lost = on_lost;
    return protocol;
}

/* Without chance. */
static lariat_backoff backoff_new(void) {
    lariat_backoff backoff;
    CHECK_OK(lariat_backoff_init(&backoff, sizeof backoff));
    backoff.jitter = 0;
    return backoff;
}

static lariat_reconnecting_client *client_with(const char *endpoint, lariat_backoff backoff) {
    lariat_protocol protocol = protocol_new();
    client = lariat_reconnecting_client_new(reactor, endpoint, &protocol, &backoff, NULL, NULL);
    if (!client) test_fail(__FILE__, __LINE__, "no client: %s", lariat_last_error_message());
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed(client, on_failed, NULL));
    return client;
}

static void client_new(const char *endpoint) { client_with(endpoint, backoff_new()); }

static void connect_now(void) {
    CHECK_OK(lariat_reconnecting_client_start(client));
    int before = made;
    TURN_UNTIL(reactor, made > before);
}

/* Waits for one more attempt to fail; it may have done so when the clock was moved. */
static void fail_now(void) {
    awaited++;
    TURN_UNTIL(reactor, failed >= awaited);
}

static void count_anew(void) { made = lost = failed = awaited = 0; }

static void client_done(void) {
    CHECK_OK(lariat_reconnecting_client_free(client));
    TURN_UNTIL(reactor, reactor_stats(reactor).transports == 0);
    CHECK_INT(reactor_stats(reactor).reconnecting_clients, 0);
    reactor_done(reactor);
}

/* ---- arguments ---- */

TEST(client_backoff_has_defaults_and_limits) {
    lariat_protocol protocol = protocol_new();
    lariat_backoff backoff;
    reactor = manual_reactor();
    CHECK_OK(lariat_backoff_init(&backoff, sizeof backoff));
    CHECK_INT(backoff.struct_size, sizeof backoff);
    CHECK_INT(backoff.max_retries, 0);
    CHECK(backoff.initial_seconds == 1 && backoff.factor == 1.5 && backoff.max_seconds == 60 && backoff.jitter == 0.1);
    double *fields[] = {&backoff.initial_seconds, &backoff.factor, &backoff.max_seconds, &backoff.jitter};
    const double bad[] = {NAN, -1, -1e-300, INFINITY, -INFINITY, 1.1e9};
    for (size_t field = 0; field < 4; field++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            CHECK_OK(lariat_backoff_init(&backoff, sizeof backoff));
            *fields[field] = bad[i];
            CHECK_NULL(lariat_reconnecting_client_new(reactor, "tcp://127.0.0.1:1", &protocol, &backoff, NULL, NULL),
                       LARIAT_ERR_INVALID_ARGUMENT);
        }
    CHECK_OK(lariat_backoff_init(&backoff, sizeof backoff));
    backoff.max_seconds = 0.5; /* less than initial */
    CHECK_NULL(lariat_reconnecting_client_new_event(reactor, "tcp://127.0.0.1:1", &backoff, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_backoff_init(&backoff, sizeof backoff));
    backoff.factor = 0.99;
    CHECK_NULL(lariat_reconnecting_client_new_event(reactor, "tcp://127.0.0.1:1", &backoff, 1), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(client_bad_arguments_free_the_data) {
    lariat_protocol protocol = protocol_new();
    reactor = manual_reactor();
    token *one = token_new("one"), *two = token_new("two"), *three = token_new("three");
    CHECK_NULL(lariat_reconnecting_client_new_full(reactor, "tcp://127.0.0.1:0", &protocol, NULL, NULL, one, token_free),
               LARIAT_ERR_BAD_ENDPOINT);
    CHECK(!token_alive(one));
    CHECK_NULL(lariat_reconnecting_client_new_full(reactor, "tcp://127.0.0.1:1", NULL, NULL, NULL, two, token_free),
               LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(two));
    CHECK_NULL(lariat_reconnecting_client_new_full(NULL, "tcp://127.0.0.1:1", &protocol, NULL, NULL, three, token_free),
               LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(three));
    CHECK_NULL(lariat_reconnecting_client_new(reactor, NULL, &protocol, NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reconnecting_client_new(reactor, "systemd://a", &protocol, NULL, NULL, NULL), LARIAT_ERR_BAD_ENDPOINT);
    reactor_done(reactor);
}

/* ---- how long it waits ---- */

TEST(client_waits_grow_to_the_limit) {
    const double want[] = {1, 1.5, 2.25, 3.375, 4, 4, 4};
    server it = server_new();
    lariat_backoff backoff = backoff_new();
    backoff.max_seconds = 4;
    reactor = manual_reactor();
    client_with(it.endpoint, backoff);
    CHECK(lariat_reconnecting_client_next_attempt(client) == INFINITY);
    CHECK_OK(lariat_reconnecting_client_start(client));
    CHECK_INT(failed, 0); /* not from inside the call */
    CHECK_NEAR(lariat_reconnecting_client_next_attempt(client), 0);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        fail_now();
        CHECK_NEAR(delays[i], want[i]);
        advance(reactor, want[i] - 0.001);
        turns(reactor, 3);
        CHECK_INT(failed, (int)i + 1); /* not early */
        CHECK_NEAR(lariat_reconnecting_client_next_attempt(client), 0.001);
        advance(reactor, 0.001);
    }
    CHECK_INT(made, 0);
    client_done();
    server_close(&it);
}

TEST(client_waits_may_be_nothing) {
    server it = server_new();
    lariat_backoff backoff = backoff_new();
    backoff.initial_seconds = 0;
    backoff.factor = 1e6;
    reactor = manual_reactor();
    client_with(it.endpoint, backoff);
    CHECK_OK(lariat_reconnecting_client_start(client));
    TURN_UNTIL(reactor, failed >= 60);
    for (int i = 0; i < failed; i++) CHECK(delays[i] == 0);
    client_done();
    server_close(&it);
}

TEST(client_waits_grow_no_further_than_numbers_do) {
    server it = server_new();
    lariat_backoff backoff = backoff_new();
    backoff.initial_seconds = 1e-9;
    backoff.factor = 1e6;
    backoff.max_seconds = 1e9;
    reactor = manual_reactor();
    client_with(it.endpoint, backoff);
    CHECK_OK(lariat_reconnecting_client_start(client));
    for (int i = 0; i < 8; i++) {
        fail_now();
        advance(reactor, delays[i]);
    }
    CHECK_NEAR(delays[1], 1e-3);
    CHECK_NEAR(delays[2], 1e3);
    CHECK(delays[3] == 1e9 && delays[7] == 1e9);
    client_done();
    server_close(&it);
}

TEST(client_jitter_is_within_its_bounds) {
    server it = server_new();
    lariat_backoff backoff = backoff_new();
    backoff.initial_seconds = backoff.max_seconds = 2;
    backoff.factor = 1;
    backoff.jitter = 0.5;
    reactor = manual_reactor();
    client_with(it.endpoint, backoff);
    CHECK_OK(lariat_reconnecting_client_start(client));
    double least = 3, most = 1;
    for (int i = 0; i < 100; i++) {
        fail_now();
        double delay = delays[i];
        CHECK(delay >= 1 && delay <= 3);
        if (delay < least) least = delay;
        if (delay > most) most = delay;
        advance(reactor, delay);
    }
    CHECK(least < 1.5 && most > 2.5);
    client_done();
    server_close(&it);
}

/* ---- chance, in a simulation ---- */

static void simulated_delays(uint64_t seed) {
    lariat_simulation *simulation = lariat_simulation_new(seed);
    lariat_backoff backoff;
    CHECK_OK(lariat_backoff_init(&backoff, sizeof backoff));
    reactor = simulated_reactor(simulation, "a");
    count_anew();
    client_with("tcp://127.0.0.1:80", backoff);
    CHECK_OK(lariat_reconnecting_client_start(client));
    CHECK_OK(lariat_simulation_run(simulation, 120));
    CHECK(failed > 5);
    CHECK_OK(lariat_reconnecting_client_free(client));
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(client_jitter_follows_from_the_seed) {
    double first[5];
    simulated_delays(7);
    memcpy(first, delays, sizeof first);
    simulated_delays(7);
    CHECK(memcmp(first, delays, sizeof first) == 0);
    simulated_delays(8);
    CHECK(memcmp(first, delays, sizeof first) != 0);
}

/* ---- connections ---- */

TEST(client_connects_again_and_the_waits_begin_anew) {
    server it = server_new();
    reactor = manual_reactor();
    client_new(it.endpoint);
    CHECK_OK(lariat_reconnecting_client_start(client));
    for (int i = 0; i < 3; i++) {
        fail_now();
        if (i < 2) advance(reactor, delays[i]);
    }
    server_listen(&it);
    advance(reactor, delays[2]);
    TURN_UNTIL(reactor, made);
    CHECK_NOTES("made:-");
    CHECK_INT(lariat_reconnecting_client_failures(client), 0);
    count_anew();
    CHECK_INT(close(server_accept_one(&it)), 0);
    server_close(&it);
    TURN_UNTIL(reactor, lost);
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE");
    CHECK_PTR(lariat_reconnecting_client_transport(client), NULL);
    CHECK_NEAR(lariat_reconnecting_client_next_attempt(client), 1);
    advance(reactor, 1);
    fail_now();
    CHECK_NEAR(delays[0], 1);
    advance(reactor, 1);
    fail_now();
    CHECK_NEAR(delays[1], 1.5);
    client_done();
}

TEST(client_is_started_once_and_again_when_stopped) {
    server it = server_listening();
    reactor = manual_reactor();
    client_new(it.endpoint);
    connect_now();
    CHECK_STATUS(lariat_reconnecting_client_start(client), LARIAT_ERR_INVALID_STATE);
    end_with_note(lariat_reconnecting_client_stop(client), "stopped");
    CHECK_NOTES("made:-");
    CHECK_INT(lost, 0); /* not from inside the call */
    TURN_UNTIL(reactor, lost);
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE stopped=-");
    advance(reactor, 1000);
    CHECK_INT(made, 1);
    end_with_note(lariat_reconnecting_client_stop(client), "again"); /* there is nothing to wait for */
    CHECK_NOTES("again=-");
    connect_now();
    CHECK_NOTES("made:-");
    client_done();
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE");
    server_close(&it);
}

/* The connection of before is closed first; then it does not wait. */
TEST(client_started_while_it_stops_connects_at_once) {
    server it = server_listening();
    reactor = manual_reactor();
    client_new(it.endpoint);
    connect_now();
    end_with_note(lariat_reconnecting_client_stop(client), "one");
    end_with_note(lariat_reconnecting_client_stop(client), "two");
    CHECK_OK(lariat_reconnecting_client_start(client));
    TURN_UNTIL(reactor, made == 2);
    CHECK_NOTES("made:- lost:-!LARIAT_CONNECTION_DONE one=- two=- made:-");
    client_done();
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE");
    server_close(&it);
}

TEST(client_stopped_gives_up_what_it_does) {
    server it = server_new();
    reactor = manual_reactor();
    client_new(it.endpoint);
    CHECK_OK(lariat_reconnecting_client_start(client));
    end_with_note(lariat_reconnecting_client_stop(client), "due");
    turns(reactor, 3);
    CHECK_INT(failed, 0);
    CHECK_OK(lariat_reconnecting_client_start(client));
    turn(reactor); /* it connects */
    end_with_note(lariat_reconnecting_client_stop(client), "connecting");
    advance(reactor, 100);
    count_anew();
    CHECK_OK(lariat_reconnecting_client_start(client));
    fail_now();
    end_with_note(lariat_reconnecting_client_stop(client), "waiting");
    CHECK(lariat_reconnecting_client_next_attempt(client) == INFINITY);
    advance(reactor, 100);
    CHECK_INT(failed, 1);
    CHECK_NOTES("due=- connecting=- waiting=-");
    client_done();
    server_close(&it);
}

TEST(client_gives_up_after_so_many_retries) {
    server it = server_new();
    lariat_backoff backoff = backoff_new();
    backoff.max_retries = 2;
    reactor = manual_reactor();
    client_with(it.endpoint, backoff);
    end_with_note(lariat_reconnecting_client_when_connected(client, 0), "connected");
    CHECK_OK(lariat_reconnecting_client_start(client));
    fail_now();
    advance(reactor, 1);
    fail_now();
    CHECK_NOTES("");
    advance(reactor, 1.5);
    fail_now();
    CHECK_NOTES("connected!CONNECTION_REFUSED");
    CHECK(delays[2] == INFINITY);
    CHECK(lariat_reconnecting_client_next_attempt(client) == INFINITY);
    advance(reactor, 1000);
    CHECK_INT(failed, 3);
    server_listen(&it);
    connect_now();
    CHECK_NOTES("made:-");
    client_done();
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE");
    server_close(&it);
}

/* What the host does with the connection is its own affair; its end is seen all the same. */
TEST(client_sees_the_end_of_a_connection_with_another_protocol) {
    server it = server_listening();
    lariat_protocol other;
    CHECK_OK(lariat_protocol_init(&other, sizeof other));
    reactor = manual_reactor();
    client_new(it.endpoint);
    connect_now();
    CHECK_OK(lariat_transport_set_protocol(transport, &other, NULL));
    CHECK_OK(lariat_transport_abort_connection(transport));
    TURN_UNTIL(reactor, !lariat_reconnecting_client_transport(client));
    CHECK_NEAR(lariat_reconnecting_client_next_attempt(client), 1);
    advance(reactor, 1);
    TURN_UNTIL(reactor, made == 2);
    CHECK_NOTES("made:- made:-");
    client_done();
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE");
    server_close(&it);
}

static void on_data(lariat_transport *given, const uint8_t *data, size_t len, void *self) {
    (void)given, (void)self;
    note("<%.*s>", (int)len, (const char *)data);
}

/* What comes with the connection is read by its own protocol. */
TEST(client_loses_nothing_that_comes_at_once) {
    server it = server_listening();
    lariat_protocol protocol = protocol_new();
    protocol.data_received = on_data;
    reactor = manual_reactor();
    client = lariat_reconnecting_client_new(reactor, it.endpoint, &protocol, NULL, NULL, NULL);
    CHECK_OK(lariat_reconnecting_client_start(client));
    turn(reactor); /* it connects */
    int fd = -1;
    while (fd < 0) fd = server_accept(&it);
    write_bytes(fd, "hello");
    CHECK_INT(close(fd), 0);
    TURN_UNTIL(reactor, lost);
    CHECK_NOTES("made:- <hello> lost:-!LARIAT_CONNECTION_DONE");
    client_done();
    server_close(&it);
}

/* ---- who waits ---- */

static void *note_connected(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    if (failure) return note_failure(deferred, failure, user_data);
    CHECK_PTR(value, transport);
    CHECK_PTR(value, lariat_reconnecting_client_transport(client));
    note("%s", (char *)user_data);
    return NULL;
}

static lariat_deferred *when_connected(const char *name, uint32_t failures) {
    lariat_deferred *deferred = lariat_reconnecting_client_when_connected(client, failures);
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, note_connected, (void *)(uintptr_t)name));
    return deferred;
}

TEST(client_tells_all_who_wait_for_the_connection) {
    server it = server_new();
    reactor = manual_reactor();
    client_new(it.endpoint);
    lariat_deferred *cancelled = when_connected("cancelled", 0);
    CHECK_OK(lariat_deferred_release(when_connected("early", 0)));
    CHECK_OK(lariat_deferred_release(when_connected("once", 1)));
    CHECK_OK(lariat_deferred_release(when_connected("twice", 2)));
    CHECK_OK(lariat_reconnecting_client_start(client));
    CHECK_OK(lariat_deferred_cancel(cancelled));
    CHECK_OK(lariat_deferred_release(cancelled));
    fail_now();
    CHECK_NOTES("cancelled!CANCELLED once!CONNECTION_REFUSED");
    CHECK_OK(lariat_deferred_release(when_connected("one more", 1))); /* there was one already: the next is enough */
    advance(reactor, 1);
    fail_now();
    CHECK_NOTES("twice!CONNECTION_REFUSED one more!CONNECTION_REFUSED");
    server_listen(&it);
    advance(reactor, 1.5);
    TURN_UNTIL(reactor, made);
    turn(reactor);
    CHECK_NOTES("made:- early");
    CHECK_OK(lariat_deferred_release(when_connected("late", 1)));
    CHECK_NOTES("late");
    CHECK_OK(lariat_transport_lose_connection(transport));
    CHECK_OK(lariat_deferred_release(when_connected("next", 0)));
    CHECK_NOTES("");
    TURN_UNTIL(reactor, lost);
    advance(reactor, 1);
    TURN_UNTIL(reactor, made == 2);
    turn(reactor);
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE made:- next");
    client_done();
    CHECK_NOTES("lost:-!LARIAT_CONNECTION_DONE");
    server_close(&it);
}

TEST(client_stopped_or_freed_fails_those_who_wait) {
    server it = server_new();
    reactor = manual_reactor();
    client_new(it.endpoint);
    CHECK_OK(lariat_deferred_release(when_connected("one", 0)));
    CHECK_OK(lariat_reconnecting_client_start(client));
    CHECK_OK(lariat_deferred_release(lariat_reconnecting_client_stop(client)));
    CHECK_NOTES("one!CANCELLED");
    CHECK_OK(lariat_deferred_release(when_connected("two", 0)));
    server_listen(&it);
    connect_now();
    turn(reactor);
    CHECK_NOTES("made:- two");
    end_with_note(lariat_reconnecting_client_stop(client), "stopped");
    CHECK_OK(lariat_deferred_release(when_connected("three", 0)));
    CHECK_NOTES("");
    client_done();
    CHECK_NOTES("three!CLOSED stopped!CLOSED lost:-!LARIAT_CONNECTION_DONE");
    server_close(&it);
}

/* ---- self ---- */

static int refuse;

static lariat_status build(lariat_listener *listener, lariat_transport *given, void **self, void *user_data) {
    CHECK_PTR(listener, NULL);
    CHECK_PTR(given, lariat_reconnecting_client_transport(client));
    CHECK_INT(lariat_transport_buffered(given), 0);
    note("build:%s", (char *)user_data);
    if (refuse) return 7;
    *self = token_new("self");
    return LARIAT_OK;
}

TEST(client_builds_a_self_for_each_connection) {
    server it = server_new();
    lariat_protocol protocol = protocol_new();
    lariat_backoff backoff = backoff_new();
    protocol.free_self = token_free_noted;
    reactor = manual_reactor();
    token *data = token_new("data");
    client = lariat_reconnecting_client_new_full(reactor, it.endpoint, &protocol, &backoff, build, data, token_free_noted);
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed(client, on_failed, NULL));
    CHECK_OK(lariat_reconnecting_client_start(client));
    fail_now();
    CHECK_NOTES("");
    server_listen(&it);
    refuse = 1;
    advance(reactor, 1);
    fail_now(); /* refused by the host itself */
    CHECK_NOTES("build:data");
    CHECK_NEAR(delays[1], 1.5);
    refuse = 0;
    int fd = server_accept_one(&it);
    turns(reactor, 2);
    CHECK(is_hung_up(fd));
    CHECK_INT(close(fd), 0);
    advance(reactor, 1.5);
    TURN_UNTIL(reactor, made);
    CHECK_NOTES("build:data made:self");
    CHECK_INT(close(server_accept_one(&it)), 0);
    TURN_UNTIL(reactor, lost);
    CHECK_NOTES("lost:self!LARIAT_CONNECTION_DONE free:self");
    advance(reactor, 1);
    TURN_UNTIL(reactor, made == 2);
    CHECK_NOTES("build:data made:self");
    client_done();
    CHECK_NOTES("free:data lost:self!LARIAT_CONNECTION_DONE free:self");
    server_close(&it);
}

/* As of a listener: it lives as long as those who have it. */
TEST(client_data_is_self_without_a_build_function) {
    server it = server_listening();
    lariat_protocol protocol = protocol_new();
    protocol.free_self = token_free; /* not called */
    reactor = manual_reactor();
    client = lariat_reconnecting_client_new_full(reactor, it.endpoint, &protocol, NULL, NULL, token_new("data"), token_free_noted);
    connect_now();
    client_done();
    CHECK_NOTES("made:data lost:data!LARIAT_CONNECTION_DONE free:data");
    server_close(&it);
}

/* ---- from inside its callbacks ---- */

static void stop_inside(lariat_reconnecting_client *given, const lariat_failure *failure, double seconds, void *user_data) {
    (void)failure, (void)seconds;
    failed++;
    end_with_note(lariat_reconnecting_client_stop(given), user_data);
}

static void free_inside(lariat_reconnecting_client *given, const lariat_failure *failure, double seconds, void *user_data) {
    failed++;
    CHECK_OK(lariat_reconnecting_client_free(given));
    CHECK(token_alive(user_data)); /* until this has returned */
    CHECK(seconds == 1 && lariat_failure_code(failure) == LARIAT_ERR_CONNECTION_REFUSED);
}

static void free_when_made(lariat_transport *given, void *self) {
    (void)given, (void)self;
    note("made");
    made++;
    CHECK_OK(lariat_reconnecting_client_free(client));
}

static void stop_when_made(lariat_transport *given, void *self) {
    (void)given, (void)self;
    note("made");
    made++;
    end_with_note(lariat_reconnecting_client_stop(client), "stopped");
}

static void note_lost(lariat_transport *given, const lariat_failure *reason, void *self) {
    (void)given, (void)self;
    lost++;
    note("lost!%s", failure_label(reason));
}

TEST(client_stopped_by_what_it_tells) {
    server it = server_new();
    reactor = manual_reactor();
    client_new(it.endpoint);
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed(client, stop_inside, "stopped"));
    CHECK_OK(lariat_deferred_release(when_connected("connected", 1)));
    CHECK_OK(lariat_reconnecting_client_start(client));
    fail_now();
    CHECK_NOTES("connected!CANCELLED stopped=-");
    advance(reactor, 100);
    CHECK_INT(failed, 1);
    client_done();
    server_close(&it);
}

TEST(client_freed_by_what_it_tells) {
    server it = server_new();
    reactor = manual_reactor();
    client_new(it.endpoint);
    CHECK_OK(lariat_deferred_release(when_connected("connected", 1)));
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed_full(client, free_inside, token_new("data"), token_free_noted));
    CHECK_OK(lariat_reconnecting_client_start(client));
    fail_now();
    CHECK_NOTES("connected!CLOSED free:data");
    CHECK_STATUS(lariat_reconnecting_client_start(client), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
    server_close(&it);
}

TEST(client_freed_or_stopped_when_it_is_connected) {
    server it = server_listening();
    reactor = manual_reactor();
    for (int stops = 0; stops < 2; stops++) {
        lariat_protocol protocol = protocol_new();
        protocol.connection_made = stops ? stop_when_made : free_when_made;
        protocol.connection_lost = note_lost;
        count_anew();
        client = lariat_reconnecting_client_new(reactor, it.endpoint, &protocol, NULL, NULL, NULL);
        end_with_note(lariat_reconnecting_client_when_connected(client, 0), "connected");
        connect_now();
        TURN_UNTIL(reactor, lost);
        if (stops) CHECK_NOTES("made connected!CANCELLED lost!LARIAT_CONNECTION_DONE stopped=-");
        else CHECK_NOTES("made connected!CLOSED lost!LARIAT_CONNECTION_DONE");
        if (stops) CHECK_OK(lariat_reconnecting_client_free(client));
    }
    reactor_done(reactor);
    server_close(&it);
}

TEST(client_can_be_told_by_others) {
    server it = server_new();
    reactor = manual_reactor();
    client_new(it.endpoint);
    token *one = token_new("one");
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed_full(client, on_failed, one, token_free_noted));
    CHECK_OK(lariat_reconnecting_client_start(client));
    fail_now();
    CHECK_NOTES("one!CONNECTION_REFUSED");
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed(client, NULL, NULL));
    CHECK_NOTES("free:one");
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed_full(client, NULL, token_new("two"), token_free_noted));
    CHECK_NOTES("free:two"); /* there is no use for it */
    advance(reactor, 1);
    TURN_UNTIL(reactor, lariat_reconnecting_client_failures(client) == 2);
    client_done();
    server_close(&it);
}

/* ---- events ---- */

static lariat_event next_event(int32_t kind, uint64_t tag) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    for (;;) {
        lariat_status status = lariat_reactor_next_event(reactor, &event);
        if (status == LARIAT_OK) break;
        CHECK_STATUS(status, LARIAT_EMPTY);
        turn(reactor);
    }
    CHECK_INT(event.kind, kind);
    CHECK_INT(event.tag, tag);
    return event;
}

TEST(client_by_events) {
    server it = server_new();
    lariat_backoff backoff = backoff_new();
    reactor = manual_reactor();
    client = lariat_reconnecting_client_new_event(reactor, it.endpoint, &backoff, 5);
    CHECK_OK(lariat_reconnecting_client_set_attempt_failed_event(client, 6));
    CHECK_OK(lariat_reconnecting_client_start(client));
    lariat_event event = next_event(LARIAT_EVENT_ATTEMPT_FAILED, 6);
    CHECK_PTR(event.source, client);
    CHECK_INT(lariat_failure_code(event.failure), LARIAT_ERR_CONNECTION_REFUSED);
    CHECK_NEAR(lariat_reconnecting_client_next_attempt(client), 1);
    server_listen(&it);
    advance(reactor, 1);
    event = next_event(LARIAT_EVENT_CONNECTION_MADE, 5);
    CHECK_PTR(event.source, lariat_reconnecting_client_transport(client));
    int fd = server_accept_one(&it);
    write_bytes(fd, "hello");
    event = next_event(LARIAT_EVENT_DATA_RECEIVED, 5);
    CHECK_INT(event.len, 5);
    CHECK_INT(close(fd), 0);
    event = next_event(LARIAT_EVENT_CONNECTION_LOST, 5);
    CHECK_NEAR(lariat_reconnecting_client_next_attempt(client), 1);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    client_done();
    server_close(&it);
}

/* ---- the end of more ---- */

TEST(client_ends_with_its_scope) {
    server it = server_listening(), refusing = server_new();
    reactor = manual_reactor();
    for (int state = 0; state < 4; state++) {
        lariat_scope *scope = lariat_scope_new(reactor);
        CHECK_OK(lariat_scope_enter(scope));
        lariat_protocol protocol = protocol_new();
        protocol.connection_lost = note_lost;
        lariat_backoff backoff = backoff_new();
        const char *endpoint = state == 3 ? refusing.endpoint : it.endpoint;
        client = lariat_reconnecting_client_new_full(reactor, endpoint, &protocol, &backoff, NULL, token_new("data"), token_free_noted);
        CHECK_OK(lariat_reconnecting_client_set_attempt_failed(client, on_failed, NULL));
        CHECK_OK(lariat_scope_leave(scope));
        count_anew();
        if (state == 1) CHECK_OK(lariat_reconnecting_client_start(client)), turn(reactor);
        if (state == 2) connect_now();
        if (state == 3) CHECK_OK(lariat_reconnecting_client_start(client)), fail_now();
        CHECK_OK(lariat_scope_free(scope));
        CHECK_STATUS(lariat_reconnecting_client_start(client), LARIAT_ERR_STALE_HANDLE);
        if (noted("made")) CHECK_NOTES("made:data lost!CLOSED free:data");
        else CHECK_NOTES("free:data");
        advance(reactor, 100);
        CHECK_NOTHING_ALIVE(reactor);
        CHECK_INT(reactor_stats(reactor).transports, 0);
    }
    reactor_done(reactor);
    server_close(&it);
    server_close(&refusing);
}

TEST(client_ends_with_its_reactor) {
    server it = server_listening();
    for (int state = 0; state < 3; state++) {
        reactor = manual_reactor();
        lariat_protocol protocol = protocol_new();
        protocol.connection_lost = note_lost;
        client = lariat_reconnecting_client_new_full(reactor, it.endpoint, &protocol, NULL, NULL, token_new("data"), token_free_noted);
        CHECK_OK(lariat_reconnecting_client_set_attempt_failed_full(client, on_failed, token_new("told"), token_free));
        if (state == 1) end_with_note(lariat_reconnecting_client_when_connected(client, 0), "connected");
        if (state == 1) CHECK_OK(lariat_reconnecting_client_start(client));
        if (state == 2) connect_now();
        free_reactor(reactor);
        CHECK_NOTES(state == 2 ? "made:data lost!CLOSED free:data" : state == 1 ? "connected!CLOSED free:data" : "free:data");
    }
    server_close(&it);
}

TEST(client_keeps_its_reactor_busy_only_while_it_is_started) {
    server it = server_listening();
    reactor = real_reactor();
    client_new(it.endpoint);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_OK(lariat_reconnecting_client_start(client));
    TURN_UNTIL(reactor, made);
    CHECK_OK(lariat_deferred_release(lariat_reconnecting_client_stop(client)));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("made:- lost:-!LARIAT_CONNECTION_DONE");
    client_done();
    server_close(&it);
}
