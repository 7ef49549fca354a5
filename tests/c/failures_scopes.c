/* FAILURES.md, row 53: a scope ended inside its own callback, with running pool jobs, and before its functions are unloaded. */
#include "every_kind.h"
#include <sched.h>

/* ---- inside its own callbacks: BUSY --------------------------------------------------------------------------------------------- */

static lariat_reactor *reactor;
static lariat_scope *scope;
static int refusals;

static void end_inside(void) {
    CHECK_STATUS(lariat_scope_end(scope), LARIAT_ERR_BUSY);
    CHECK_STATUS(lariat_scope_free(scope), LARIAT_ERR_BUSY);
    refusals++;
}

static void end_in_call(void *user_data) {
    (void)user_data;
    end_inside();
}

static void end_in_free(void *data) {
    end_inside();
    token_free(data);
}

static lariat_deferred *end_in_looping(lariat_looping_call *looping_call, void *user_data) {
    (void)user_data;
    end_inside();
    CHECK_OK(lariat_looping_call_stop(looping_call));
    return NULL;
}

static lariat_status end_in_step(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    (void)user_data;
    end_inside();
    return LARIAT_OK;
}

static void end_in_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    (void)user_data;
    end_inside();
    CHECK_OK(lariat_watcher_stop(watcher));
}

static void *end_in_both(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    (void)value;
    (void)failure;
    (void)user_data;
    end_inside();
    return NULL;
}

static lariat_deferred *end_in_trigger(void *user_data) {
    (void)user_data;
    end_inside();
    return NULL;
}

/* What is made here joins the scope, though it is not entered: things join their parent's. */
static void make_a_child(void *user_data) {
    (void)user_data;
    CHECK(lariat_reactor_call_later(reactor, 0, end_in_call, NULL) != NULL);
}

static void scope_start(void) {
    reactor = manual_reactor();
    scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(scope));
}

static void scope_done(void) {
    CHECK_OK(lariat_scope_free(scope));
    CHECK_STATUS(lariat_scope_end(scope), LARIAT_ERR_STALE_HANDLE);
    turn(reactor);
    reactor_done(reactor);
}

TEST(f53_ended_inside_its_own_calls) {
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    scope_start();
    CHECK_OK(lariat_reactor_call_soon(reactor, end_in_call, NULL));
    CHECK_OK(lariat_reactor_call_soon(reactor, make_a_child, NULL));
    CHECK(lariat_reactor_call_later_full(reactor, 0, end_in_call, token_new("later"), end_in_free) != NULL);
    CHECK(lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE, end_in_ready, NULL) != NULL);
    CHECK(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_STARTUP, end_in_trigger, NULL) != NULL);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, end_in_looping, NULL);
    CHECK_OK(lariat_deferred_release(lariat_looping_call_start(looping_call, 1, 1)));
    CHECK(lariat_cooperator_cooperate(lariat_cooperator_new(reactor, 0), end_in_step, NULL) != NULL);
    CHECK_OK(lariat_scope_leave(scope));
    turns(reactor, 4);
    CHECK_INT(refusals, 8);
    scope_done();
    pipe_close(ends);
}

TEST(f53_ended_inside_its_own_deferreds_callback) {
    scope_start();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_deferred_add_both(deferred, end_in_both, NULL));
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_INT(refusals, 1);
    CHECK_OK(lariat_deferred_release(deferred));
    scope_done();
}

/* The Deferred is outside the scope, its callback was added inside. */
TEST(f53_ended_inside_its_callback_on_a_foreign_deferred) {
    reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(scope));
    CHECK_OK(lariat_deferred_add_both_full(deferred, end_in_both, token_new("callback"), token_free));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(refusals, 1);
    scope_done();
}

/* The endings that the end itself delivers are its own callbacks too. */
TEST(f53_ended_while_it_ends) {
    scope_start();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_both(deferred, end_in_both, NULL));
    CHECK(lariat_reactor_call_later_full(reactor, 1, quiet_call, token_new("later"), end_in_free) != NULL);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope));
    CHECK_INT(refusals, 2);
    CHECK_INT(tokens_alive(), 0);
    scope_done();
}

static void end_the_outer(void *user_data) {
    CHECK_STATUS(lariat_scope_end(user_data), LARIAT_ERR_BUSY);
    CHECK_STATUS(lariat_scope_end(scope), LARIAT_ERR_BUSY);
    note("refused");
}

/* A callback of the inner scope is one of the outer scope's. */
TEST(f53_the_outer_scope_ended_inside_a_callback_of_the_inner) {
    scope_start();
    lariat_scope *inner = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(inner));
    CHECK_OK(lariat_reactor_call_soon(reactor, end_the_outer, inner));
    CHECK_STATUS(lariat_scope_leave(scope), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_scope_leave(inner));
    CHECK_OK(lariat_scope_leave(scope));
    turn(reactor);
    CHECK_NOTES("refused");
    scope_done();
}

static void end_from_outside(void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_scope_end(scope));
    note("ended");
}

TEST(f53_ended_inside_a_callback_that_is_not_its_own) {
    scope_start();
    CHECK(lariat_reactor_call_later_full(reactor, 0, note_call, token_new("never"), token_free) != NULL);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_reactor_call_soon(reactor, end_from_outside, NULL));
    turns(reactor, 2);
    CHECK_NOTES("ended");
    scope_done();
}

/* ---- a shared object unloaded after the end: nothing of it is called ---------------------------------------------------------- */

static int unloaded, loaded_calls;

static void loaded(void) {
    if (unloaded) test_fail(__FILE__, __LINE__, "a function of the scope is called after its end");
    loaded_calls++;
}

static void plugin_call(void *user_data) {
    (void)user_data;
    loaded();
}

static void plugin_free(void *data) {
    loaded();
    token_free(data);
}

static void *plugin_both(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    (void)failure;
    (void)user_data;
    loaded();
    return value;
}

static void plugin_canceller(lariat_deferred *deferred, void *user_data) {
    (void)deferred;
    (void)user_data;
    loaded();
}

static lariat_deferred *plugin_trigger(void *user_data) {
    (void)user_data;
    loaded();
    return NULL;
}

static lariat_deferred *plugin_looping(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    return plugin_trigger(user_data);
}

static lariat_status plugin_step(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    (void)user_data;
    loaded();
    return LARIAT_MORE;
}

static void plugin_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)watcher;
    (void)readiness;
    (void)user_data;
    loaded();
}

static void plugin_again(void *user_data) {
    loaded();
    CHECK(lariat_reactor_call_later_full(reactor, 0, plugin_again, token_new("again"), plugin_free) != NULL);
    (void)user_data;
}

/* Everything that a plug-in can leave behind in a reactor that lives on. */
TEST(f53_unloaded_after_its_end) {
    int ends[2];
    pipe_new(ends);
    reactor = manual_reactor();
    lariat_deferred *foreign = lariat_deferred_new(reactor), *waits_for_plugin = lariat_deferred_new_succeeded(reactor, NULL);
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_queue *queue = lariat_queue_new(reactor, -1, -1);
    CHECK_OK(lariat_deferred_release(lariat_lock_acquire(lock)));
    CHECK_OK(lariat_deferred_add_callback(foreign, note_value, "host-before"));

    scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(scope));
    CHECK_OK(lariat_deferred_add_both_full(foreign, plugin_both, token_new("on a foreign"), plugin_free));
    CHECK_OK(lariat_reactor_call_soon_full(reactor, plugin_call, token_new("soon"), plugin_free));
    CHECK(lariat_reactor_call_later_full(reactor, 0, plugin_again, token_new("again"), plugin_free) != NULL);
    CHECK(lariat_reactor_call_later_full(reactor, 5, plugin_call, token_new("later"), plugin_free) != NULL);
    CHECK(lariat_reactor_watch_full(reactor, ends[0], LARIAT_READABLE, plugin_ready, token_new("watcher"), plugin_free) != NULL);
    CHECK(lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, plugin_trigger,
                                                       token_new("trigger"), plugin_free) != NULL);
    lariat_looping_call *looping_call = lariat_looping_call_new_full(reactor, plugin_looping, token_new("loop"), plugin_free);
    lariat_deferred *looped = lariat_looping_call_start(looping_call, 1, 1);
    CHECK_OK(lariat_deferred_add_both_full(looped, plugin_both, token_new("looped"), plugin_free));
    CHECK(lariat_cooperator_cooperate_full(lariat_cooperator_new(reactor, 0), plugin_step, token_new("task"), plugin_free) != NULL);
    lariat_deferred *own = lariat_deferred_new_full(reactor, plugin_canceller, token_new("canceller"), plugin_free);
    CHECK_OK(lariat_deferred_add_callback(waits_for_plugin, wait_for_it, own));
    lariat_deferred *lock_wait = lariat_lock_acquire(lock), *queue_wait = lariat_queue_get(queue);
    CHECK_OK(lariat_deferred_add_both_full(lock_wait, plugin_both, token_new("lock"), plugin_free));
    CHECK_OK(lariat_deferred_add_both_full(queue_wait, plugin_both, token_new("queue"), plugin_free));
    CHECK(lariat_deferred_new_succeeded_full(reactor, token_new("value"), plugin_free) != NULL);
    CHECK_OK(lariat_scope_leave(scope));

    lariat_deferred *next_for_lock = lariat_lock_acquire(lock);
    end_with_note(waits_for_plugin, "host-waits");
    turns(reactor, 3);
    CHECK(loaded_calls > 0);
    CHECK_OK(lariat_scope_end(scope));
    CHECK_INT(tokens_alive(), 0);
    unloaded = 1;

    write_bytes(ends[1], "x");
    CHECK_OK(lariat_lock_release(lock)); /* comes to the host's waiter, not to the plug-in's */
    CHECK_INT(lariat_deferred_called(next_for_lock), 1);
    CHECK_OK(lariat_queue_put(queue, "kept"));
    CHECK_INT(lariat_queue_size(queue), 1);
    CHECK_OK(lariat_deferred_add_callback(foreign, note_value, "host-after"));
    CHECK_OK(lariat_deferred_callback(foreign, "value"));
    CHECK_OK(lariat_deferred_release(foreign));
    CHECK_OK(lariat_deferred_release(next_for_lock));
    advance(reactor, 20);
    turns(reactor, 3);
    CHECK_EITHER(lariat_reactor_stop(reactor), LARIAT_OK, LARIAT_ERR_NOT_RUNNING);
    while (lariat_reactor_iterate(reactor, 0) == LARIAT_OK && lariat_reactor_running(reactor)) {}
    CHECK_NOTES("host-waits!CANCELLED host-before=value host-after=value");
    CHECK_OK(lariat_lock_free(lock));
    CHECK_OK(lariat_queue_free(queue));
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
    pipe_close(ends);
}

/* It may be used again after its end: nothing of before is left in it. */
TEST(f53_used_again_after_its_end) {
    scope_start();
    for (int round = 0; round < 100; round++) {
        CHECK(lariat_reactor_call_later_full(reactor, 1, plugin_call, token_new("later"), plugin_free) != NULL);
        CHECK_OK(lariat_scope_leave(scope));
        CHECK_OK(lariat_scope_end(scope));
        CHECK_INT(tokens_alive(), 0);
        CHECK_INT(reactor_stats(reactor).delayed_calls, 0);
        CHECK_OK(lariat_scope_enter(scope));
    }
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "alive") != NULL);
    CHECK_OK(lariat_scope_leave(scope));
    advance(reactor, 1);
    CHECK_NOTES("alive");
    scope_done();
}

/* ---- pool jobs ------------------------------------------------------------------------------------------------------------------------ */

typedef struct work {
    gate started, may_end, freed;
    atomic_int runs, ended, frees;
} work;

static void work_free(void *data) {
    work *one = data;
    CHECK_INT(atomic_fetch_add(&one->frees, 1), 0);
    gate_open(&one->freed);
}

/* Runs until its scope's end asks it to stop. */
static void *job_until_cancelled(lariat_job *job, void *user_data) {
    work *one = user_data;
    gate_open(&one->started);
    while (lariat_job_cancelled(job) == 0) sched_yield();
    CHECK_INT(lariat_job_cancelled(job), 1);
    atomic_store(&one->ended, 1);
    return NULL;
}

static void job_until_gate(void *user_data) {
    work *one = user_data;
    atomic_fetch_add(&one->runs, 1);
    gate_open(&one->started);
    gate_wait(&one->may_end);
    atomic_store(&one->ended, 1);
}

static void scope_with_pool(double shutdown_seconds) {
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 1;
    options.shutdown_seconds = shutdown_seconds;
    reactor = reactor_with(options);
    scope = lariat_scope_new(reactor);
}

/* The end waits for the job, which hears of it; after that, nothing of it is called. */
TEST(f53_thread_pool_job_within_the_limit) {
    static work one = {GATE_CLOSED, GATE_CLOSED, GATE_CLOSED, 0, 0, 0};
    scope_with_pool(600);
    CHECK_OK(lariat_scope_enter(scope));
    end_with_note(lariat_reactor_defer_to_thread_full(reactor, job_until_cancelled, &one, work_free), "job");
    CHECK_OK(lariat_scope_leave(scope));
    gate_wait(&one.started);
    CHECK_OK(lariat_scope_end(scope));
    CHECK_INT(atomic_load(&one.ended), 1);
    CHECK_INT(atomic_load(&one.frees), 1);
    CHECK_NOTES("job!CANCELLED");
    scope_done();
}

/* The running job blocks past the limit: the end returns all the same, and the job frees its own data when it ends. The one that
 * waits behind it never runs. */
TEST(f53_thread_pool_job_past_the_limit) {
    static work blocks = {GATE_CLOSED, GATE_CLOSED, GATE_CLOSED, 0, 0, 0}, waits = {GATE_CLOSED, GATE_CLOSED, GATE_CLOSED, 0, 0, 0};
    scope_with_pool(0);
    CHECK_OK(lariat_scope_enter(scope));
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, job_until_gate, &blocks, work_free));
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, job_until_gate, &waits, work_free));
    CHECK_OK(lariat_scope_leave(scope));
    gate_wait(&blocks.started);
    CHECK_EITHER(lariat_scope_end(scope), LARIAT_OK, LARIAT_ERR_TIMED_OUT);
    CHECK_INT(atomic_load(&blocks.frees), 0);
    CHECK_INT(atomic_load(&waits.frees), 1);
    gate_open(&blocks.may_end);
    gate_wait(&blocks.freed);
    CHECK_INT(atomic_load(&blocks.runs), 1);
    CHECK_INT(atomic_load(&waits.runs), 0);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    scope_done();
}

/* The pool itself is the reactor's: other jobs are not the scope's to wait for or to drop. */
TEST(f53_thread_pool_job_of_another) {
    static work other = {GATE_CLOSED, GATE_CLOSED, GATE_CLOSED, 0, 0, 0};
    scope_with_pool(600);
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, job_until_gate, &other, work_free));
    gate_wait(&other.started);
    CHECK_OK(lariat_scope_enter(scope));
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, plugin_call, token_new("queued"), plugin_free));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope)); /* would wait ten minutes */
    CHECK_INT(loaded_calls, 1);
    unloaded = 1;
    CHECK_INT(atomic_load(&other.ended), 0);
    gate_open(&other.may_end);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_INT(atomic_load(&other.frees), 1);
    scope_done();
}
