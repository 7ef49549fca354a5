/* Connection pools: who gets which connection, what is kept, what is closed, and that nothing of them is left. */
#include "harness.h"
#include "plain_server.h"

/* ---- a pool and those who ask it ---- */

static lariat_reactor *reactor;
static lariat_connection_pool *pool;
static server it;
static lariat_transport *got[16]; /* by whoever asked; see acquire */
static int made, lost;

static void on_made(lariat_transport *given, void *self) {
    (void)given, (void)self;
    made++;
}

static void on_lost(lariat_transport *given, const lariat_failure *reason, void *self) {
    (void)given, (void)reason, (void)self;
    lost++;
}

static lariat_protocol protocol_new(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = on_made;
    protocol.connection_lost = on_lost;
    return protocol;
}

static lariat_connection_pool_options options_new(void) {
    lariat_connection_pool_options options;
    CHECK_OK(lariat_connection_pool_options_init(&options, sizeof options));
    return options;
}

static void pool_of(lariat_connection_pool_options options) {
    lariat_protocol protocol = protocol_new();
    pool = lariat_connection_pool_new(reactor, it.endpoint, &protocol, &options, NULL, NULL);
    if (!pool) test_fail(__FILE__, __LINE__, "no pool: %s", lariat_last_error_message());
}

static void start(lariat_connection_pool_options options) {
    reactor = manual_reactor();
    it = server_listening();
    pool_of(options);
}

/* user_data is who asked: a number from 0 on. */
static void *keep(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    int who = (int)(intptr_t)user_data;
    got[who] = value;
    if (failure) note("%d!%s", who, failure_label(failure));
    else note("%d", who);
    return NULL;
}

static lariat_deferred *ask(int who) {
    lariat_deferred *deferred = lariat_connection_pool_acquire(pool);
    if (!deferred) test_fail(__FILE__, __LINE__, "acquire: %s", lariat_last_error_message());
    CHECK_OK(lariat_deferred_add_both(deferred, keep, (void *)(intptr_t)who));
    return deferred;
}

static void acquire(int who) { CHECK_OK(lariat_deferred_release(ask(who))); }

static void acquire_now(int who) {
    got[who] = NULL;
    acquire(who);
    TURN_UNTIL(reactor, got[who]);
    char name[8];
    snprintf(name, sizeof name, "%d", who);
    CHECK_NOTES(name);
}

/* used and all others, idle, waiting */
static void check_counts(int line, int connections, int idle, int waiting) {
    if (lariat_connection_pool_connections(pool) != connections || lariat_connection_pool_idle(pool) != idle ||
        lariat_connection_pool_waiting(pool) != waiting)
        test_fail(__FILE__, line, "the pool has %d connections, %d idle, %d waiting; must be %d, %d, %d",
                  (int)lariat_connection_pool_connections(pool), (int)lariat_connection_pool_idle(pool),
                  (int)lariat_connection_pool_waiting(pool), connections, idle, waiting);
}
#define CHECK_COUNTS(connections, idle, waiting) check_counts(__LINE__, connections, idle, waiting)
#define RELEASE(who) CHECK_OK(lariat_connection_pool_release(pool, got[who]))

static void end(void) {
    CHECK_INT(reactor_stats(reactor).connection_pools, 0);
    TURN_UNTIL(reactor, reactor_stats(reactor).transports == 0);
    reactor_done(reactor);
    if (it.fd >= 0) server_close(&it);
}

/* What is in use must have been given back. */
static void done(void) {
    CHECK_OK(lariat_connection_pool_free(pool));
    end();
}

/* ---- arguments ---- */

TEST(pool_options_have_defaults_and_limits) {
    lariat_connection_pool_options options = options_new();
    CHECK(options.max_connections == 10 && options.max_idle == 10 && options.max_waiting == 0 && options.idle_seconds == 60);
    start(options);
    lariat_protocol protocol = protocol_new();
    const double bad[] = {NAN, -1, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.idle_seconds = bad[i];
        CHECK_NULL(lariat_connection_pool_new(reactor, it.endpoint, &protocol, &options, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_connection_pool_new_event(reactor, it.endpoint, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    }
    token *one = token_new("one"), *two = token_new("two");
    CHECK_NULL(lariat_connection_pool_new_full(reactor, "tcp://*:1", &protocol, NULL, NULL, one, token_free), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_NULL(lariat_connection_pool_new_full(reactor, it.endpoint, NULL, NULL, NULL, two, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(one) && !token_alive(two));
    done();
}

/* ---- who gets which ---- */

TEST(pool_uses_a_connection_again) {
    start(options_new());
    acquire(0);
    CHECK_COUNTS(1, 0, 1);
    CHECK_NOTES(""); /* not from inside the call */
    TURN_UNTIL(reactor, got[0]);
    CHECK_COUNTS(1, 0, 0);
    RELEASE(0);
    CHECK_COUNTS(1, 1, 0);
    acquire(1);
    CHECK_PTR(got[1], got[0]);
    CHECK_COUNTS(1, 0, 0);
    CHECK_NOTES("0 1");
    CHECK_INT(made, 1);
    RELEASE(1);
    done();
    CHECK_INT(lost, 1);
}

TEST(pool_gives_what_was_used_last) {
    start(options_new());
    for (int i = 0; i < 3; i++) acquire_now(i);
    CHECK_INT(made, 3);
    RELEASE(1);
    RELEASE(2);
    RELEASE(0);
    acquire_now(3);
    acquire_now(4);
    CHECK_PTR(got[3], got[0]);
    CHECK_PTR(got[4], got[2]);
    RELEASE(3);
    RELEASE(4);
    CHECK_COUNTS(3, 3, 0);
    done();
}

TEST(pool_has_others_wait_in_their_order) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 2;
    start(options);
    acquire_now(0);
    acquire_now(1);
    acquire(2);
    acquire(3);
    acquire(4);
    turns(reactor, 3);
    CHECK_COUNTS(2, 0, 3);
    RELEASE(1); /* from inside this call */
    CHECK_NOTES("2");
    CHECK_PTR(got[2], got[1]);
    RELEASE(0);
    CHECK_NOTES("3");
    RELEASE(2);
    CHECK_NOTES("4");
    CHECK_INT(made, 2);
    RELEASE(3);
    RELEASE(4);
    done();
}

/* The attempt that was begun for one is another's if that comes first. */
TEST(pool_gives_back_sooner_than_it_connects) {
    start(options_new());
    acquire_now(0);
    acquire(1);
    CHECK_COUNTS(2, 0, 1);
    RELEASE(0);
    CHECK_NOTES("1");
    CHECK_PTR(got[1], got[0]);
    TURN_UNTIL(reactor, made == 2);
    CHECK_COUNTS(2, 1, 0);
    RELEASE(1);
    done();
}

TEST(pool_lets_those_go_who_wait_no_longer) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 1;
    start(options);
    lariat_deferred *one = ask(0);
    CHECK_COUNTS(1, 0, 1);
    CHECK_OK(lariat_deferred_cancel(one));
    CHECK_OK(lariat_deferred_release(one));
    CHECK_NOTES("0!CANCELLED");
    CHECK_COUNTS(0, 0, 0); /* and so did the attempt */
    acquire_now(1);
    lariat_deferred *two = ask(2);
    acquire(3);
    CHECK_OK(lariat_deferred_cancel(two));
    CHECK_OK(lariat_deferred_release(two));
    CHECK_NOTES("2!CANCELLED");
    RELEASE(1);
    CHECK_NOTES("3");
    RELEASE(3);
    done();
}

TEST(pool_limits_those_who_wait) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 1;
    options.max_waiting = 2;
    start(options);
    acquire(0); /* is being connected, and so does not count */
    acquire(1);
    acquire(2);
    CHECK_COUNTS(1, 0, 3);
    CHECK_NULL(lariat_connection_pool_acquire(pool), LARIAT_ERR_LIMIT);
    CHECK_COUNTS(1, 0, 3);
    TURN_UNTIL(reactor, got[0]);
    CHECK_NULL(lariat_connection_pool_acquire(pool), LARIAT_ERR_LIMIT);
    RELEASE(0);
    acquire(3);
    CHECK_NOTES("0 1");
    RELEASE(1);
    RELEASE(2);
    CHECK_NOTES("2 3");
    RELEASE(3);
    done();
}

static void *release_at_once(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    ++*(int *)user_data;
    CHECK_OK(lariat_connection_pool_release(pool, value));
    return NULL;
}

/* One connection for all of them; the stack does not grow with their number. */
TEST(pool_of_one_serves_many) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 1;
    int served = 0, count = 1000;
    start(options);
    for (int i = 0; i < count; i++) {
        lariat_deferred *deferred = lariat_connection_pool_acquire(pool);
        CHECK_OK(lariat_deferred_add_callback(deferred, release_at_once, &served));
        CHECK_OK(lariat_deferred_release(deferred));
    }
    TURN_UNTIL(reactor, served == count);
    CHECK_INT(made, 1);
    CHECK_COUNTS(1, 1, 0);
    done();
}

/* ---- what is kept ---- */

TEST(pool_closes_what_nobody_uses) {
    lariat_connection_pool_options options = options_new();
    options.idle_seconds = 10;
    start(options);
    acquire_now(0);
    acquire_now(1);
    int first = server_accept_one(&it), second = server_accept_one(&it);
    advance(reactor, 100);
    CHECK_COUNTS(2, 0, 0); /* in use */
    RELEASE(0);
    advance(reactor, 4);
    RELEASE(1);
    advance(reactor, 5.999);
    CHECK_COUNTS(2, 2, 0);
    advance(reactor, 0.001);
    TURN_UNTIL(reactor, lost == 1);
    CHECK_COUNTS(1, 1, 0);
    CHECK(is_hung_up(first) && !is_hung_up(second));
    acquire_now(2);
    advance(reactor, 100);
    CHECK_COUNTS(1, 0, 0);
    RELEASE(2);
    advance(reactor, 9.999);
    CHECK_COUNTS(1, 1, 0);
    advance(reactor, 0.001);
    TURN_UNTIL(reactor, lost == 2);
    CHECK_COUNTS(0, 0, 0);
    CHECK_INT(reactor_stats(reactor).delayed_calls, 0);
    CHECK_INT(close(first) + close(second), 0);
    done();
}

TEST(pool_keeps_what_may_be_kept_for_ever) {
    lariat_connection_pool_options options = options_new();
    options.idle_seconds = INFINITY;
    start(options);
    acquire_now(0);
    RELEASE(0);
    CHECK_INT(reactor_stats(reactor).delayed_calls, 0);
    advance(reactor, 1e6);
    CHECK_COUNTS(1, 1, 0);
    done();
}

TEST(pool_keeps_no_more_than_it_may) {
    lariat_connection_pool_options options = options_new();
    options.max_idle = 1;
    start(options);
    acquire_now(0);
    acquire_now(1);
    RELEASE(0);
    RELEASE(1);
    CHECK_COUNTS(2, 1, 0);
    TURN_UNTIL(reactor, lost == 1);
    CHECK_COUNTS(1, 1, 0);
    CHECK_OK(lariat_connection_pool_free(pool));
    TURN_UNTIL(reactor, lost == 2);
    options.max_idle = 0;
    pool_of(options);
    acquire_now(2);
    RELEASE(2);
    TURN_UNTIL(reactor, lost == 3);
    CHECK_COUNTS(0, 0, 0);
    done();
}

/* ---- what ends ---- */

TEST(pool_forgets_a_connection_that_is_lost) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 1;
    start(options);
    acquire_now(0);
    int fd = server_accept_one(&it);
    RELEASE(0);
    CHECK_INT(close(fd), 0);
    TURN_UNTIL(reactor, lost == 1); /* while nobody uses it */
    CHECK_COUNTS(0, 0, 0);
    CHECK_STATUS(lariat_connection_pool_release(pool, got[0]), LARIAT_ERR_STALE_HANDLE);
    acquire_now(1);
    fd = server_accept_one(&it);
    acquire(2);
    CHECK_COUNTS(1, 0, 1);
    CHECK_INT(close(fd), 0);
    got[2] = NULL;
    TURN_UNTIL(reactor, got[2]); /* while it is used: there is room for another */
    CHECK_NOTES("2");
    CHECK_INT(lost, 2);
    CHECK_INT(made, 3);
    CHECK_STATUS(lariat_connection_pool_release(pool, got[1]), LARIAT_ERR_STALE_HANDLE);
    RELEASE(2);
    done();
}

TEST(pool_does_not_use_again_what_is_about_to_end) {
    start(options_new());
    acquire_now(0);
    CHECK_OK(lariat_transport_abort_connection(got[0]));
    RELEASE(0);
    CHECK_COUNTS(1, 0, 0);
    acquire_now(1);
    CHECK(got[1] != got[0]);
    CHECK_OK(lariat_transport_lose_connection(got[1]));
    RELEASE(1);
    CHECK_INT(lariat_connection_pool_idle(pool), 0);
    acquire_now(2);
    RELEASE(2);
    CHECK_OK(lariat_transport_abort_connection(got[2])); /* while it is kept, and not told yet */
    acquire_now(3);
    CHECK(got[3] != got[2]);
    TURN_UNTIL(reactor, lost == 3);
    CHECK_COUNTS(1, 0, 0);
    RELEASE(3);
    done();
}

TEST(pool_closes_what_is_discarded) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 1;
    start(options);
    acquire_now(0);
    acquire(1);
    int fd = server_accept_one(&it);
    CHECK_OK(lariat_transport_write(got[0], (const uint8_t *)"bye", 3));
    CHECK_OK(lariat_connection_pool_discard(pool, got[0]));
    CHECK_STATUS(lariat_connection_pool_discard(pool, got[0]), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_connection_pool_release(pool, got[0]), LARIAT_ERR_INVALID_STATE);
    CHECK_COUNTS(1, 0, 1); /* its place is free when it has ended */
    got[1] = NULL;
    TURN_UNTIL(reactor, got[1]);
    CHECK_NOTES("1");
    CHECK_INT(read_byte(fd), 'b'); /* what was written has gone out */
    CHECK_INT(close(fd), 0);
    RELEASE(1);
    done();
}

TEST(pool_takes_back_only_what_it_gave) {
    start(options_new());
    lariat_reactor *other_reactor = manual_reactor();
    lariat_protocol quiet;
    CHECK_OK(lariat_protocol_init(&quiet, sizeof quiet));
    lariat_connection_pool *first = pool, *other = lariat_connection_pool_new(other_reactor, it.endpoint, &quiet, NULL, NULL, NULL);
    acquire_now(0);
    RELEASE(0);
    CHECK_STATUS(lariat_connection_pool_release(pool, got[0]), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_connection_pool_discard(pool, got[0]), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_connection_pool_release(other, got[0]), LARIAT_ERR_WRONG_REACTOR);
    CHECK_STATUS(lariat_connection_pool_release(pool, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    pool_of(options_new());
    CHECK_STATUS(lariat_connection_pool_release(pool, got[0]), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_connection_pool_free(pool));
    pool = first;
    CHECK_OK(lariat_connection_pool_free(other));
    reactor_done(other_reactor);
    done();
}

/* ---- attempts that fail ---- */

TEST(pool_tells_one_of_each_attempt_that_fails) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 2;
    reactor = manual_reactor();
    it = server_new();
    pool_of(options);
    for (int i = 0; i < 3; i++) acquire(i);
    CHECK_COUNTS(2, 0, 3);
    TURN_UNTIL(reactor, lariat_connection_pool_waiting(pool) == 0);
    CHECK_NOTES("0!CONNECTION_REFUSED 1!CONNECTION_REFUSED 2!CONNECTION_REFUSED");
    CHECK_COUNTS(0, 0, 0);
    server_listen(&it);
    acquire_now(3);
    RELEASE(3);
    done();
}

static int refuse;

static lariat_status build(lariat_listener *listener, lariat_transport *given, void **self, void *user_data) {
    CHECK_PTR(listener, NULL);
    CHECK_STATUS(lariat_connection_pool_release(pool, given), LARIAT_ERR_INVALID_STATE); /* it was not acquired */
    note("build:%s", (char *)user_data);
    if (refuse) return LARIAT_ERR_LIMIT;
    *self = token_new("self");
    return LARIAT_OK;
}

TEST(pool_builds_a_self_for_each_connection) {
    lariat_protocol protocol = protocol_new();
    protocol.free_self = token_free_noted;
    reactor = manual_reactor();
    it = server_listening();
    pool = lariat_connection_pool_new_full(reactor, it.endpoint, &protocol, NULL, build, token_new("data"), token_free_noted);
    refuse = 1;
    acquire(0);
    TURN_UNTIL(reactor, lariat_connection_pool_waiting(pool) == 0);
    CHECK_NOTES("build:data 0!CONNECTION_REFUSED");
    CHECK_INT(made, 0);
    refuse = 0;
    acquire(1);
    TURN_UNTIL(reactor, got[1]);
    CHECK_NOTES("build:data 1");
    RELEASE(1);
    done();
    CHECK_NOTES("free:data free:self");
}

/* ---- the end ---- */

TEST(pool_freed_leaves_what_is_in_use) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 3;
    start(options);
    acquire_now(0);
    acquire_now(1);
    RELEASE(1);
    acquire(2); /* is the idle one */
    CHECK_NOTES("2");
    RELEASE(2);
    acquire_now(3);
    acquire_now(4);
    RELEASE(3);
    for (int i = 5; i < 8; i++) acquire(i);
    CHECK_NOTES("5");
    CHECK_COUNTS(3, 0, 2);
    RELEASE(5);
    RELEASE(6);
    CHECK_NOTES("6 7");
    acquire(8);
    CHECK_OK(lariat_connection_pool_free(pool));
    CHECK_NOTES("8!CLOSED");
    turns(reactor, 3);
    CHECK_INT(lost, 0);
    lariat_transport *left[] = {got[0], got[4], got[7]};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lariat_transport_write(left[i], (const uint8_t *)"alive", 5));
        CHECK_STATUS(lariat_connection_pool_release(pool, left[i]), LARIAT_ERR_STALE_HANDLE);
        CHECK_OK(lariat_transport_lose_connection(left[i]));
    }
    end();
    CHECK_INT(lost, 3);
}

static void free_when_made(lariat_transport *given, void *self) {
    (void)given, (void)self;
    made++;
    CHECK_OK(lariat_connection_pool_free(pool));
}

TEST(pool_freed_when_it_has_connected) {
    lariat_protocol protocol = protocol_new();
    protocol.connection_made = free_when_made;
    reactor = manual_reactor();
    it = server_listening();
    pool = lariat_connection_pool_new(reactor, it.endpoint, &protocol, NULL, NULL, NULL);
    acquire(0);
    TURN_UNTIL(reactor, lost); /* nobody has it */
    CHECK_NOTES("0!CLOSED");
    end();
}

static void *free_pool(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)value, (void)failure, (void)user_data;
    CHECK_OK(lariat_connection_pool_free(pool));
    return NULL;
}

TEST(pool_freed_by_one_who_hears_of_a_failure) {
    reactor = manual_reactor();
    it = server_new();
    pool_of(options_new());
    lariat_deferred *deferred = lariat_connection_pool_acquire(pool);
    CHECK_OK(lariat_deferred_add_both(deferred, free_pool, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    acquire(1);
    TURN_UNTIL(reactor, reactor_stats(reactor).connection_pools == 0);
    CHECK_NOTES("1!CLOSED");
    end();
}

TEST(pool_ends_with_its_scope) {
    reactor = manual_reactor();
    it = server_listening();
    lariat_protocol protocol = protocol_new();
    lariat_scope *scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(scope));
    pool = lariat_connection_pool_new_full(reactor, it.endpoint, &protocol, NULL, NULL, token_new("data"), token_free);
    CHECK_OK(lariat_scope_leave(scope));
    acquire_now(0);
    acquire_now(1);
    RELEASE(1);
    acquire(2);
    acquire(3);
    CHECK_NOTES("2");
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NOTES("3!CLOSED");
    CHECK_INT(lost, 2);
    CHECK_INT(reactor_stats(reactor).transports, 0);
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_connection_pool_idle(pool), LARIAT_ERR_STALE_HANDLE);
    end();
}

TEST(pool_ends_with_its_reactor) {
    lariat_connection_pool_options options = options_new();
    options.max_connections = 2;
    start(options);
    acquire_now(0);
    acquire_now(1);
    RELEASE(1);
    acquire(2);
    acquire(3);
    free_reactor(reactor);
    CHECK_NOTES("2 3!CLOSED");
    CHECK_INT(lost, 2);
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

TEST(pool_by_events) {
    reactor = manual_reactor();
    it = server_listening();
    pool = lariat_connection_pool_new_event(reactor, it.endpoint, NULL, 5);
    lariat_deferred *deferred = lariat_connection_pool_acquire(pool);
    CHECK_OK(lariat_deferred_add_event(deferred, 6));
    CHECK_OK(lariat_deferred_release(deferred));
    lariat_event event = next_event(LARIAT_EVENT_CONNECTION_MADE, 5);
    lariat_transport *transport = event.source;
    event = next_event(LARIAT_EVENT_DEFERRED, 6);
    CHECK_PTR(event.value, transport);
    CHECK_OK(lariat_connection_pool_release(pool, transport));
    CHECK_INT(close(server_accept_one(&it)), 0);
    event = next_event(LARIAT_EVENT_CONNECTION_LOST, 5);
    CHECK_COUNTS(0, 0, 0);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    done();
}
