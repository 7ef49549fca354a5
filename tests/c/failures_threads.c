/* FAILURES.md, rows 6, 7, 13, 36, 49: other threads, at once. Every case is made for ThreadSanitizer too. */
#include "every_kind.h"
#include <sched.h>

/* What an any-thread call may be answered while the reactor is being freed, or was. */
static int gone(lariat_status status) { return status == LARIAT_ERR_CLOSED || status == LARIAT_ERR_STALE_HANDLE; }

static void count_run(void *user_data) { atomic_fetch_add((atomic_long *)user_data, 1); }

/* A notes-like check for a Deferred that the free of its reactor has ended. */
static void check_over(const char *closed, const char *cancelled) {
    if (strcmp(test_notes.text, closed) != 0) CHECK_NOTES(cancelled);
    else CHECK_NOTES(closed);
}

/* ---- 6: from a foreign thread -------------------------------------------------------------------------------------------------------- */

static void *call_plainly(void *argument) {
    every_kind *every = argument;
    lariat_reactor *reactor = every->of[KIND_REACTOR];
    lariat_deferred *deferred = every->of[KIND_DEFERRED];
    const lariat_status want = LARIAT_ERR_WRONG_THREAD;
    CHECK_STATUS(lariat_reactor_free(reactor), want);
    CHECK_STATUS(lariat_reactor_run(reactor), want);
    CHECK_STATUS(lariat_reactor_run_until_idle(reactor), want);
    CHECK_STATUS(lariat_reactor_run_frame(reactor, 1), want);
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), want);
    CHECK_STATUS(lariat_reactor_stop(reactor), want);
    CHECK_STATUS(lariat_reactor_crash(reactor), want);
    CHECK_STATUS(lariat_reactor_advance(reactor, 1), want);
    CHECK_NAN(lariat_reactor_seconds(reactor), want);
    CHECK_NAN(lariat_reactor_next_deadline(reactor), want);
    CHECK_STATUS(lariat_reactor_call_soon(reactor, quiet_call, NULL), want);
    CHECK_NULL(lariat_reactor_call_later(reactor, 1, quiet_call, NULL), want);
    CHECK_STATUS(lariat_reactor_call_in_thread(reactor, quiet_call, NULL), want);
    CHECK_NULL(lariat_deferred_new(reactor), want);
    CHECK_NULL(lariat_lock_new(reactor), want);
    CHECK_NULL(lariat_deferred_list(reactor, NULL, 0, 0), want);
    CHECK_STATUS(lariat_deferred_callback(deferred, NULL), want);
    CHECK_STATUS(lariat_deferred_cancel(deferred), want);
    CHECK_STATUS(lariat_deferred_release(deferred), want);
    CHECK_STATUS(lariat_deferred_add_callback(deferred, quiet_value, NULL), want);
    CHECK_NULL(lariat_deferred_take(deferred), want);
    CHECK_STATUS(lariat_delayed_call_cancel(every->of[KIND_DELAYED_CALL]), want);
    CHECK_STATUS(lariat_failure_keep(every->of[KIND_FAILURE]), want);
    CHECK_STATUS(lariat_failure_release(every->of[KIND_FAILURE]), want);
    CHECK_STATUS(lariat_results_free(every->of[KIND_RESULTS]), want);
    CHECK_NULL(lariat_lock_acquire(every->of[KIND_LOCK]), want);
    CHECK_STATUS(lariat_queue_put(every->of[KIND_QUEUE], NULL), want);
    CHECK_NULL(lariat_looping_call_start(every->of[KIND_LOOPING_CALL], 1, 1), want);
    CHECK_STATUS(lariat_scope_end(every->of[KIND_SCOPE]), want);
    CHECK_STATUS(lariat_watcher_stop(every->of[KIND_WATCHER]), want);
    CHECK_STATUS(lariat_simulation_run(every->of[KIND_SIMULATION], 1), want);
    CHECK_STATUS(lariat_simulation_free(every->of[KIND_SIMULATION]), want);
    CHECK_NULL(lariat_connection_pool_acquire(every->of[KIND_CONNECTION_POOL]), want);
    CHECK_STATUS(lariat_reconnecting_client_start(every->of[KIND_RECONNECTING_CLIENT]), want);
    CHECK_STATUS(lariat_reactor_group_start(every->of[KIND_REACTOR_GROUP], NULL, NULL), want);
    CHECK_STATUS(lariat_reactor_group_free(every->of[KIND_REACTOR_GROUP]), want);
    token *data[3] = {token_new("soon"), token_new("value"), token_new("callback")};
    CHECK_STATUS(lariat_reactor_call_soon_full(reactor, quiet_call, data[0], token_free), want);
    CHECK_STATUS(lariat_deferred_callback_full(deferred, data[1], token_free), want);
    CHECK_STATUS(lariat_deferred_add_callback_full(deferred, quiet_value, data[2], token_free), want);
    for (int i = 0; i < 3; i++) CHECK_FREED(data[i]);
    lariat_reactor_options options = reactor_options();
    options.driver = LARIAT_DRIVER_SIMULATED;
    options.simulation = every->of[KIND_SIMULATION];
    CHECK_NULL(lariat_reactor_new_with_options(&options), want);
    return NULL;
}

TEST(f06_thread_plain_calls) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    thread_join(thread_start(call_plainly, &every));
    every_kind_end(&every);
    reactor_done(reactor);
}

typedef struct hammer {
    every_kind every;
    atomic_int go, stop;
    atomic_long rounds;
} hammer;

static void *call_plainly_for_long(void *argument) {
    hammer *shared = argument;
    while (!atomic_load(&shared->stop)) {
        call_plainly(&shared->every);
        atomic_fetch_add(&shared->rounds, 1);
    }
    return NULL;
}

/* The owner works all the while: a foreign thread reads nothing that the owner writes. */
TEST(f06_thread_plain_calls_while_the_owner_works) {
    static hammer shared;
    lariat_reactor *reactor = manual_reactor();
    shared.every = every_kind_new(reactor);
    pthread_t thread = thread_start(call_plainly_for_long, &shared);
    while (atomic_load(&shared.rounds) < 50) {
        lariat_deferred *deferred = lariat_deferred_new(reactor);
        CHECK(lariat_reactor_call_later(reactor, 0, quiet_call, NULL) != NULL);
        CHECK_OK(lariat_deferred_callback(deferred, NULL));
        CHECK_OK(lariat_deferred_release(deferred));
        turn(reactor);
    }
    atomic_store(&shared.stop, 1);
    thread_join(thread);
    every_kind_end(&shared.every);
    turn(reactor);
    reactor_done(reactor);
}

typedef struct any_thread {
    lariat_reactor *reactor;
    lariat_deferred *deferreds[5];
} any_thread;

static lariat_deferred *give_a_value(lariat_reactor *reactor, void *user_data) { return lariat_deferred_new_succeeded(reactor, user_data); }

static void *call_as_any_thread_may(void *argument) {
    any_thread *shared = argument;
    void *value = NULL;
    CHECK_OK(lariat_reactor_call_from_thread(shared->reactor, note_call, "call"));
    CHECK_OK(lariat_reactor_call_from_thread_full(shared->reactor, note_call, token_new("full"), token_free_noted));
    CHECK_OK(lariat_reactor_call_from_thread_event(shared->reactor, 7));
    CHECK_OK(lariat_deferred_callback_from_thread(shared->deferreds[0], "value"));
    CHECK_OK(lariat_deferred_callback_from_thread_full(shared->deferreds[1], token_new("owned"), token_free));
    CHECK_OK(lariat_deferred_errback_from_thread(shared->deferreds[2], 7, "seven"));
    CHECK_OK(lariat_deferred_abandon_from_thread(shared->deferreds[3]));
    CHECK_OK(lariat_deferred_release_from_thread(shared->deferreds[4]));
    CHECK_INT(lariat_reactor_blocking_call(shared->reactor, INFINITY, give_a_value, "given", &value), LARIAT_OK);
    CHECK_STR(value, "given");
    CHECK(*lariat_version() && lariat_version_number() >= 0 && lariat_check_abi(LARIAT_ABI_VERSION) == LARIAT_OK);
    CHECK_STR(lariat_status_name(LARIAT_ERR_CLOSED), "LARIAT_ERR_CLOSED");
    CHECK_INT(lariat_reactors_alive(), 1);
    CHECK_OK(lariat_reactor_stop_from_thread(shared->reactor));
    return NULL;
}

/* What a thread asks for comes in the order in which it asked. */
TEST(f06_thread_calls_that_any_thread_may_make) {
    any_thread shared = {.reactor = real_reactor()};
    static const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 5; i++) shared.deferreds[i] = lariat_deferred_new(shared.reactor);
    for (int i = 0; i < 4; i++) end_with_note(shared.deferreds[i], names[i]);
    pthread_t thread = thread_start(call_as_any_thread_may, &shared);
    CHECK_OK(lariat_reactor_run(shared.reactor));
    thread_join(thread);
    CHECK_NOTES("call full free:full a=value b=owned c!7 d!ABANDONED");
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_OK(lariat_reactor_next_event(shared.reactor, &event));
    CHECK_INT(event.tag, 7);
    CHECK_STATUS(lariat_reactor_next_event(shared.reactor, &event), LARIAT_EMPTY);
    CHECK_STATUS(lariat_deferred_add_callback(shared.deferreds[4], quiet_value, NULL), LARIAT_ERR_RELEASED);
    CHECK_OK(lariat_deferred_abandon(shared.deferreds[4]));
    CHECK_NOTES("unhandled!ABANDONED");
    reactor_done(shared.reactor);
}

TEST(f06_thread_blocking_call_on_the_reactors_own) {
    lariat_reactor *reactor = real_reactor();
    void *value;
    CHECK_STATUS(lariat_reactor_blocking_call(reactor, 1, give_a_value, NULL, &value), LARIAT_ERR_INVALID_STATE);
    reactor_done(reactor);
}

static void *fail_otherwise(void *argument) {
    (void)argument;
    CHECK_STATUS(lariat_last_error(), LARIAT_OK);
    CHECK_STATUS(lariat_reactor_running((lariat_reactor *)(uintptr_t)8), LARIAT_ERR_INVALID_HANDLE);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_INVALID_HANDLE);
    return NULL;
}

TEST(f06_thread_has_its_own_last_error) {
    CHECK_STATUS(lariat_reactor_running(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    thread_join(thread_start(fail_otherwise, NULL));
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_INVALID_ARGUMENT);
}

/* ---- 7: free and adopt against calls from other threads, at once ------------------------------------------------------------ */

typedef struct race {
    lariat_reactor *reactor;
    lariat_deferred *deferred;
    lariat_delayed_call *call;
    atomic_int go, frees_won;
} race;

static void wait_for_go(race *one) {
    while (!atomic_load(&one->go)) sched_yield();
}

static void *call_until_gone(void *argument) {
    race *one = argument;
    wait_for_go(one);
    for (;;) {
        lariat_status status = lariat_reactor_running(one->reactor);
        CHECK_EITHER(status, LARIAT_ERR_WRONG_THREAD, LARIAT_ERR_STALE_HANDLE);
        CHECK_EITHER(lariat_delayed_call_cancel(one->call), LARIAT_ERR_WRONG_THREAD, LARIAT_ERR_STALE_HANDLE);
        CHECK_EITHER(lariat_deferred_callback(one->deferred, NULL), LARIAT_ERR_WRONG_THREAD, LARIAT_ERR_STALE_HANDLE);
        if (status == LARIAT_ERR_STALE_HANDLE) return NULL;
    }
}

TEST(f07_thread_calls_against_free) {
    for (size_t round = 0; round < many(300); round++) {
        race one = {.reactor = manual_reactor()};
        one.call = lariat_reactor_call_later(one.reactor, 1, quiet_call, NULL);
        one.deferred = lariat_deferred_new(one.reactor);
        CHECK_OK(lariat_deferred_add_errback(one.deferred, quiet_failure, NULL));
        pthread_t threads[2] = {thread_start(call_until_gone, &one), thread_start(call_until_gone, &one)};
        atomic_store(&one.go, 1);
        free_reactor(one.reactor);
        for (int i = 0; i < 2; i++) thread_join(threads[i]);
    }
}

static void *adopt_and_free(void *argument) {
    race *one = argument;
    wait_for_go(one);
    lariat_status status = lariat_reactor_adopt(one->reactor);
    CHECK(status == LARIAT_OK || status == LARIAT_ERR_BUSY || gone(status));
    if (status != LARIAT_OK) return NULL;
    status = lariat_reactor_free(one->reactor);
    CHECK(status == LARIAT_OK || status == LARIAT_ERR_WRONG_THREAD || gone(status));
    if (status == LARIAT_OK) atomic_fetch_add(&one->frees_won, 1);
    return NULL;
}

/* Whoever owns it last frees it, once. */
TEST(f07_thread_adopt_against_free) {
    for (size_t round = 0; round < many(300); round++) {
        race one = {.reactor = manual_reactor()};
        CHECK_OK(lariat_reactor_call_soon_full(one.reactor, quiet_call, token_new("soon"), token_free));
        pthread_t threads[2] = {thread_start(adopt_and_free, &one), thread_start(adopt_and_free, &one)};
        atomic_store(&one.go, 1);
        lariat_status status = LARIAT_OK;
        for (int i = 0; i < 20 && status == LARIAT_OK; i++) status = lariat_reactor_call_soon(one.reactor, quiet_call, NULL);
        if (status == LARIAT_OK) status = lariat_reactor_free(one.reactor);
        CHECK(status == LARIAT_OK || status == LARIAT_ERR_WRONG_THREAD || gone(status));
        if (status == LARIAT_OK) atomic_fetch_add(&one.frees_won, 1);
        for (int i = 0; i < 2; i++) thread_join(threads[i]);
        CHECK_INT(atomic_load(&one.frees_won), 1);
        CHECK_INT(tokens_alive(), 0);
    }
}

static void *adopt_use_and_free(void *argument) {
    lariat_reactor *reactor = argument;
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), LARIAT_ERR_WRONG_THREAD);
    CHECK_OK(lariat_reactor_adopt(reactor));
    CHECK_OK(lariat_reactor_iterate(reactor, 0));
    reactor_done(reactor);
    return NULL;
}

TEST(f07_thread_adopts_an_idle_reactor) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_adopt(reactor)); /* its own: nothing to do */
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    thread_join(thread_start(adopt_use_and_free, reactor));
    CHECK_NOTES("soon");
    CHECK_STATUS(lariat_reactor_running(reactor), LARIAT_ERR_STALE_HANDLE);
}

static void *make_a_reactor(void *argument) {
    (void)argument;
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    return reactor;
}

/* The thread that made it has ended. */
TEST(f07_thread_leaves_a_reactor_behind) {
    void *reactor = NULL;
    CHECK_INT(pthread_join(thread_start(make_a_reactor, NULL), &reactor), 0);
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), LARIAT_ERR_WRONG_THREAD);
    CHECK_OK(lariat_reactor_adopt(reactor));
    turn(reactor);
    CHECK_NOTES("soon");
    reactor_done(reactor);
}

static gate inside = GATE_CLOSED, tried = GATE_CLOSED;

static void stay_inside(void *user_data) {
    (void)user_data;
    gate_open(&inside);
    gate_wait(&tried);
}

static void *adopt_a_busy_one(void *argument) {
    gate_wait(&inside);
    CHECK_STATUS(lariat_reactor_adopt(argument), LARIAT_ERR_BUSY);
    gate_open(&tried);
    return NULL;
}

TEST(f07_thread_adopts_a_busy_reactor) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, stay_inside, NULL));
    pthread_t thread = thread_start(adopt_a_busy_one, reactor);
    turn(reactor);
    thread_join(thread);
    reactor_done(reactor);
}

typedef struct adopts {
    lariat_reactor *reactor;
    atomic_int stop;
    atomic_long tries;
} adopts;

static void *adopt_for_long(void *argument) {
    adopts *shared = argument;
    while (!atomic_load(&shared->stop)) {
        CHECK_STATUS(lariat_reactor_adopt(shared->reactor), LARIAT_ERR_BUSY);
        atomic_fetch_add(&shared->tries, 1);
    }
    return NULL;
}

static void work_while_others_adopt(void *user_data) {
    adopts *shared = user_data;
    pthread_t thread = thread_start(adopt_for_long, shared);
    while (atomic_load(&shared->tries) < (long)many(50000)) {
        lariat_delayed_call *call = lariat_reactor_call_later(shared->reactor, 1, quiet_call, NULL);
        CHECK(call != NULL);
        CHECK_OK(lariat_delayed_call_cancel(call));
        CHECK_INT(lariat_reactor_running(shared->reactor), 1);
    }
    atomic_store(&shared->stop, 1);
    thread_join(thread);
}

/* While its callback runs, the owner notices nothing of the attempts that are refused. */
TEST(f07_thread_refused_to_adopt_leaves_no_trace) {
    static adopts shared;
    shared.reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(shared.reactor, work_while_others_adopt, &shared));
    turns(shared.reactor, 2);
    reactor_done(shared.reactor);
}

/* ---- 13: what was queued from a thread, against free ----------------------------------------------------------------------------- */

typedef struct posts {
    lariat_reactor *reactor;
    atomic_int go;
    atomic_long accepted, refused, runs, frees;
} posts;

static void post_free(void *data) { atomic_fetch_add(&((posts *)data)->frees, 1); }
static void post_run(void *user_data) { atomic_fetch_add(&((posts *)user_data)->runs, 1); }

static void *post_until_gone(void *argument) {
    posts *one = argument;
    while (!atomic_load(&one->go)) sched_yield();
    for (;;) {
        lariat_status status = lariat_reactor_call_from_thread_full(one->reactor, post_run, one, post_free);
        if (status == LARIAT_OK) {
            atomic_fetch_add(&one->accepted, 1);
            continue;
        }
        CHECK(gone(status));
        atomic_fetch_add(&one->refused, 1);
        return NULL;
    }
}

/* OK means that it runs, however close the free is; user_data is freed exactly once either way. */
TEST(f13_thread_calls_against_free) {
    for (size_t round = 0; round < many(200); round++) {
        posts one = {.reactor = manual_reactor()};
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) threads[i] = thread_start(post_until_gone, &one);
        atomic_store(&one.go, 1);
        turns(one.reactor, (int)(round % 4));
        free_reactor(one.reactor);
        for (int i = 0; i < 3; i++) thread_join(threads[i]);
        CHECK_INT(atomic_load(&one.refused), 3);
        CHECK_INT(atomic_load(&one.runs), atomic_load(&one.accepted));
        CHECK_INT(atomic_load(&one.frees), atomic_load(&one.accepted) + 3);
    }
}

enum { FIRED = 100 };

typedef struct fires {
    lariat_deferred *deferreds[FIRED];
    atomic_int go, kind;
    atomic_long frees;
    int ends[FIRED];
} fires;

static void fire_free(void *data) { count_free(data); }

/* Each of four threads does one thing to every Deferred: only the first that comes counts, the rest is dropped. */
static void *fire_all(void *argument) {
    fires *one = argument;
    int kind = atomic_fetch_add(&one->kind, 1);
    while (!atomic_load(&one->go)) sched_yield();
    for (int i = 0; i < FIRED; i++) {
        lariat_status status = kind == 0   ? lariat_deferred_callback_from_thread_full(one->deferreds[i], &one->frees, fire_free)
                               : kind == 1 ? lariat_deferred_errback_from_thread(one->deferreds[i], 7, "seven")
                               : kind == 2 ? lariat_deferred_abandon_from_thread(one->deferreds[i])
                                           : lariat_deferred_release_from_thread(one->deferreds[i]);
        CHECK(status == LARIAT_OK || gone(status));
    }
    return NULL;
}

static void *fired_end(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    (void)value;
    int32_t code = failure ? lariat_failure_code(failure) : 0;
    CHECK(code == 0 || code == 7 || code == LARIAT_ERR_ABANDONED || code == LARIAT_ERR_CANCELLED || code == LARIAT_ERR_CLOSED);
    CHECK_INT(++*(int *)user_data, 1);
    return NULL;
}

TEST(f13_thread_fires_against_free) {
    for (size_t round = 0; round < many(100); round++) {
        static fires one;
        memset(&one, 0, sizeof one);
        lariat_reactor *reactor = manual_reactor();
        for (int i = 0; i < FIRED; i++) {
            one.deferreds[i] = lariat_deferred_new(reactor);
            CHECK_OK(lariat_deferred_add_both(one.deferreds[i], fired_end, &one.ends[i]));
        }
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) threads[i] = thread_start(fire_all, &one);
        atomic_store(&one.go, 1);
        turns(reactor, (int)(round % 3));
        free_reactor(reactor);
        for (int i = 0; i < 4; i++) thread_join(threads[i]);
        CHECK_INT(atomic_load(&one.frees), FIRED);
        for (int i = 0; i < FIRED; i++) CHECK_INT(one.ends[i], 1);
    }
}

static void *fire_a_gone_one(void *argument) {
    for (int i = 0; i < 3; i++) {
        lariat_status status = lariat_deferred_callback_from_thread_full(argument, token_new("late"), token_free);
        CHECK(status == LARIAT_OK || gone(status));
        status = lariat_deferred_release_from_thread(argument);
        CHECK(status == LARIAT_OK || gone(status));
    }
    return NULL;
}

/* "A value that finds its Deferred gone is freed." */
TEST(f13_thread_fires_a_deferred_that_is_gone) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_release(deferred));
    thread_join(thread_start(fire_a_gone_one, deferred));
    turns(reactor, 2);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

static lariat_deferred *never_fires(lariat_reactor *reactor, void *user_data) {
    (void)user_data;
    return lariat_deferred_new(reactor);
}

static void *block_for_ever(void *argument) {
    posts *one = argument;
    void *value = NULL;
    while (!atomic_load(&one->go)) sched_yield();
    int32_t answer = lariat_reactor_blocking_call(one->reactor, INFINITY, never_fires, NULL, &value);
    CHECK(answer == LARIAT_ERR_CANCELLED || gone(answer));
    CHECK_PTR(value, NULL);
    return NULL;
}

/* A thread that waits for the reactor hears that it is freed. */
TEST(f13_thread_blocking_call_against_free) {
    for (size_t round = 0; round < many(100); round++) {
        posts one = {.reactor = real_reactor()};
        pthread_t thread = thread_start(block_for_ever, &one);
        atomic_store(&one.go, 1);
        turns(one.reactor, (int)(round % 5));
        free_reactor(one.reactor);
        thread_join(thread);
    }
}

static void *stop_until_gone(void *argument) {
    posts *one = argument;
    for (;;) {
        lariat_status status = lariat_reactor_stop_from_thread(one->reactor);
        if (gone(status)) return NULL;
        CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_NOT_RUNNING);
    }
}

TEST(f13_thread_stops_against_free) {
    for (size_t round = 0; round < many(100); round++) {
        posts one = {.reactor = manual_reactor()};
        pthread_t thread = thread_start(stop_until_gone, &one);
        for (size_t i = 0; i < round % 5; i++) CHECK(lariat_reactor_iterate(one.reactor, 0) >= 0);
        free_reactor(one.reactor);
        thread_join(thread);
    }
}

/* ---- 36: freed with running, blocked and waiting jobs ------------------------------------------------------------------------- */

typedef struct work {
    lariat_reactor *reactor;
    gate started, may_end, freed;
    atomic_int ended;
    atomic_long runs;
} work;
#define WORK_NEW {NULL, GATE_CLOSED, GATE_CLOSED, GATE_CLOSED, 0, 0}

static lariat_reactor *pool_reactor(double shutdown_seconds) {
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 1;
    options.shutdown_seconds = shutdown_seconds;
    return reactor_with(options);
}

static void work_freed(void *data) {
    work *one = data;
    CHECK_INT(atomic_fetch_add(&one->ended, 1), 1);
    gate_open(&one->freed);
}

static void *until_cancelled(lariat_job *job, void *user_data) {
    work *one = user_data;
    gate_open(&one->started);
    while (lariat_job_cancelled(job) == 0) sched_yield();
    CHECK_INT(lariat_job_cancelled(job), 1);
    atomic_store(&one->ended, 1);
    return lariat_job_return(job, token_new("too late"), token_free);
}

/* The free waits for a job that ends in time; the value that nobody waits for any more is freed. */
TEST(f36_thread_job_that_hears_of_the_free) {
    static work one = WORK_NEW;
    lariat_reactor *reactor = pool_reactor(600);
    end_with_note(lariat_reactor_defer_to_thread_full(reactor, until_cancelled, &one, work_freed), "job");
    gate_wait(&one.started);
    free_reactor(reactor);
    CHECK_INT(atomic_load(&one.ended), 2);
    CHECK_INT(tokens_alive(), 0);
    check_over("job!CLOSED", "job!CANCELLED");
}

static gate value_freed = GATE_CLOSED;

static void never_runs(void *user_data) { test_fail(__FILE__, __LINE__, "%s runs", (char *)user_data); }

static void free_and_tell(void *data) {
    token_free(data);
    gate_open(&value_freed);
}

/* On its pool thread, long after its reactor: the library still answers. */
static void *until_gate(lariat_job *job, void *user_data) {
    work *one = user_data;
    gate_open(&one->started);
    gate_wait(&one->may_end);
    CHECK_INT(lariat_job_cancelled(job), 1);
    CHECK(gone(lariat_reactor_call_from_thread_full(one->reactor, quiet_call, token_new("post"), token_free)));
    CHECK(lariat_reactor_running(one->reactor) < 0);
    atomic_store(&one->ended, 1);
    return lariat_job_return(job, token_new("value"), free_and_tell);
}

/* A job that blocks past the limit is left over, and frees its own data. */
TEST(f36_thread_job_that_blocks) {
    static work one = WORK_NEW;
    one.reactor = pool_reactor(0);
    end_with_note(lariat_reactor_defer_to_thread_full(one.reactor, until_gate, &one, work_freed), "job");
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lariat_reactor_call_in_thread_full(one.reactor, never_runs, token_new("waits"), token_free));
        lariat_deferred *waits = lariat_reactor_defer_to_thread_full(one.reactor, quiet_job, token_new("waits too"), token_free);
        CHECK_OK(lariat_deferred_add_errback(waits, quiet_failure, NULL));
        CHECK_OK(lariat_deferred_release(waits));
    }
    gate_wait(&one.started);
    free_reactor(one.reactor);
    CHECK_INT(tokens_alive(), 0); /* what waited was dropped */
    CHECK_INT(atomic_load(&one.ended), 0);
    gate_open(&one.may_end);
    gate_wait(&one.freed);
    gate_wait(&value_freed);
    check_over("job!CLOSED", "job!CANCELLED");
}

static void *give_at_once(lariat_job *job, void *user_data) {
    (void)user_data;
    return lariat_job_return(job, token_new("value"), token_free);
}

/* Jobs end while the reactor is freed: each value comes to its Deferred or is freed. */
TEST(f36_thread_jobs_ending_against_free) {
    for (size_t round = 0; round < many(100); round++) {
        int ends[20] = {0};
        lariat_reactor_options options = reactor_options();
        options.thread_pool_size = 4;
        lariat_reactor *reactor = reactor_with(options);
        for (int i = 0; i < 20; i++) {
            lariat_deferred *deferred = lariat_reactor_defer_to_thread_full(reactor, give_at_once, token_new("job"), token_free);
            CHECK_OK(lariat_deferred_add_both(deferred, fired_end, &ends[i]));
        }
        if (round % 2) turn(reactor);
        free_reactor(reactor);
        CHECK_INT(tokens_alive(), 0);
        for (int i = 0; i < 20; i++) CHECK_INT(ends[i], 1);
    }
}

/* The last job ends after the reactor and its successors: its slot is nobody else's. */
TEST(f36_thread_job_left_over_while_others_come) {
    static work one = WORK_NEW;
    one.reactor = pool_reactor(0);
    end_with_note(lariat_reactor_defer_to_thread_full(one.reactor, until_gate, &one, work_freed), "old");
    gate_wait(&one.started);
    free_reactor(one.reactor);
    for (int i = 0; i < 50; i++) {
        lariat_reactor *reactor = pool_reactor(600);
        end_with_note(lariat_reactor_defer_to_thread(reactor, quiet_job, "new"), "job");
        if (i == 25) gate_open(&one.may_end);
        CHECK_OK(lariat_reactor_run_until_idle(reactor));
        reactor_done(reactor);
    }
    gate_wait(&one.freed);
    gate_wait(&value_freed);
    CHECK(strncmp(test_notes.text, "old!C", 5) == 0);
    for (const char *text = strchr(test_notes.text, ' '); text; text = strchr(text + 1, ' ')) CHECK(strncmp(text, " job=new", 8) == 0);
    test_notes.length = 0;
    test_notes.text[0] = 0;
}

/* ---- 49: exit with live threads ------------------------------------------------------------------------------------------------------- */

/* Each is run in a child, where nothing has been made yet, and must leave by itself. */

static void *for_ever(lariat_job *job, void *user_data) {
    work *one = user_data;
    gate_open(&one->started);
    while (lariat_job_cancelled(job) >= 0) sched_yield();
    return NULL;
}

static work exiting = WORK_NEW;

static void exit_with_a_running_job(void *unused) {
    (void)unused;
    lariat_reactor *reactor = pool_reactor(0);
    lariat_reactor_defer_to_thread(reactor, for_ever, &exiting);
    gate_wait(&exiting.started);
    exit(42);
}

static void exit_call(void *user_data) {
    (void)user_data;
    exit(42);
}

static void exit_inside_a_callback(void *unused) {
    (void)unused;
    lariat_reactor *reactor = pool_reactor(0);
    lariat_reactor_defer_to_thread(reactor, for_ever, &exiting);
    gate_wait(&exiting.started);
    lariat_reactor_call_soon(reactor, exit_call, NULL);
    lariat_reactor_run(reactor);
}

static void exit_inside_a_job(void *unused) {
    (void)unused;
    lariat_reactor *reactor = pool_reactor(0);
    lariat_reactor_call_in_thread(reactor, exit_call, NULL);
    lariat_reactor_run(reactor);
}

static void *post_for_ever(void *argument) {
    for (;;) {
        posts *one = argument;
        if (lariat_reactor_call_from_thread(one->reactor, count_run, &one->runs) < 0) return NULL;
        sched_yield();
    }
}

static void exit_while_threads_post(void *unused) {
    (void)unused;
    static posts one;
    one.reactor = lariat_reactor_new();
    thread_start(post_for_ever, &one);
    thread_start(post_for_ever, &one);
    while (atomic_load(&one.runs) < 100) lariat_reactor_iterate(one.reactor, 0);
    exit(42);
}

static void *own_a_reactor(void *argument) {
    (void)argument;
    lariat_reactor *reactor = pool_reactor(0);
    lariat_reactor_call_soon(reactor, exit_call, NULL);
    lariat_reactor_run(reactor);
    return NULL;
}

static void exit_on_another_thread(void *unused) {
    (void)unused;
    lariat_reactor *reactor = lariat_reactor_new();
    thread_start(own_a_reactor, NULL);
    lariat_reactor_run(reactor);
}

TEST(f49_thread_in_a_job_at_exit) { exits_in_child(exit_with_a_running_job, NULL); }
TEST(f49_thread_in_a_job_at_exit_inside_a_callback) { exits_in_child(exit_inside_a_callback, NULL); }
TEST(f49_thread_of_the_pool_exits) { exits_in_child(exit_inside_a_job, NULL); }
TEST(f49_thread_posts_at_exit) { exits_in_child(exit_while_threads_post, NULL); }
TEST(f49_thread_with_a_reactor_exits) { exits_in_child(exit_on_another_thread, NULL); }
