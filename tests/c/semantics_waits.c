/* What a host does around the waits of a reactor: lariat_reactor_set_wait_callbacks. The lock is an interpreter's, say, which
 * all threads need and which the reactor's holds but while it waits. */
#include "harness.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int waits, holds_lock;

static void let_go(void *user_data) {
    (void)user_data;
    CHECK_INT(holds_lock, 1);
    holds_lock = 0;
    waits++;
    pthread_mutex_unlock(&lock);
}

static void take_again(void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&lock);
    CHECK_INT(holds_lock, 0);
    holds_lock = 1;
}

static lariat_reactor *locking_reactor(void) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, let_go, take_again, NULL));
    pthread_mutex_lock(&lock);
    holds_lock = 1;
    return reactor;
}

static void lock_done(void) {
    CHECK_INT(holds_lock, 1);
    pthread_mutex_unlock(&lock);
}

static void stop(void *reactor) { CHECK_OK(lariat_reactor_stop(reactor)); }

static void *stop_with_lock(void *reactor) {
    pthread_mutex_lock(&lock);
    CHECK_INT(holds_lock, 0);
    CHECK_OK(lariat_reactor_stop_from_thread(reactor));
    pthread_mutex_unlock(&lock);
    return NULL;
}

TEST(a_thread_has_the_lock_while_the_reactor_waits) {
    lariat_reactor *reactor = locking_reactor();
    pthread_t thread = thread_start(stop_with_lock, reactor);
    CHECK_OK(lariat_reactor_run(reactor));
    lock_done();
    CHECK(waits >= 1);
    thread_join(thread);
    reactor_done(reactor);
}

static lariat_delayed_call *far_away;

/* A wait for what is due in a minute, which is not slept through. */
static void let_go_and_hasten(void *user_data) {
    if (far_away) CHECK_OK(lariat_delayed_call_reset(far_away, 0));
    far_away = NULL;
    let_go(user_data);
}

TEST(a_thread_has_the_lock_in_each_way_to_wait) {
    lariat_reactor *reactor = locking_reactor();
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, let_go_and_hasten, take_again, NULL));
    CHECK(far_away = lariat_reactor_call_later(reactor, 60, note_call, "later"));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK(waits >= 1);
    int before = waits;
    CHECK_OK(lariat_reactor_iterate(reactor, 0.001));
    CHECK_INT(waits, before + 1);
    CHECK_NOTES("later");
    lock_done();
    stop_reactor(reactor);
    reactor_done(reactor);
}

TEST(nobody_is_told_of_a_poll_that_does_not_wait) {
    lariat_reactor *reactor = locking_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, stop, reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    turns(reactor, 3);
    CHECK_OK(lariat_reactor_run_frame(reactor, 1));
    CHECK_INT(waits, 0);
    lock_done();
    stop_reactor(reactor);
    reactor_done(reactor);
}

TEST(nobody_is_told_where_time_is_not_the_systems) {
    lariat_reactor *manual = manual_reactor();
    CHECK_OK(lariat_reactor_set_wait_callbacks(manual, let_go, take_again, NULL));
    CHECK(lariat_reactor_call_later(manual, 5, note_call, "later"));
    CHECK_OK(lariat_reactor_iterate(manual, INFINITY));
    advance(manual, 5);
    stop_reactor(manual);
    reactor_done(manual);
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *simulated = simulated_reactor(simulation, "host");
    CHECK_OK(lariat_reactor_set_wait_callbacks(simulated, let_go, take_again, NULL));
    CHECK(lariat_reactor_call_later(simulated, 5, stop, simulated));
    CHECK_OK(lariat_reactor_run(simulated));
    reactor_done(simulated);
    CHECK_OK(lariat_simulation_free(simulation));
    CHECK_INT(waits, 0);
    CHECK_NOTES("later");
}

/* ---- what the two do themselves ---- */

static void ask_to_stop_soon(void *reactor) {
    note("before");
    CHECK_OK(lariat_reactor_call_soon(reactor, stop, reactor));
}

static void ask_to_stop_later(void *reactor) {
    note("before");
    CHECK(lariat_reactor_call_later(reactor, 0, stop, reactor));
}

static void after(void *user_data) {
    (void)user_data;
    note("after");
}

/* Nothing else would ever end these waits. */
TEST(what_before_asks_for_ends_the_wait) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, ask_to_stop_soon, after, reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("before after");
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, ask_to_stop_later, after, reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("before after");
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, stop, after, reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("after");
    reactor_done(reactor);
}

static void nothing(void *user_data) { (void)user_data; }
static void wake(void *reactor) { CHECK_OK(lariat_reactor_call_from_thread(reactor, nothing, NULL)); }

TEST(after_may_stop_the_reactor) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, wake, stop, reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    turns(reactor, 2); /* what has woken it up is called */
    reactor_done(reactor);
}

static void set_others(void *reactor) {
    note("busy");
    CHECK_STATUS(lariat_reactor_set_wait_callbacks(reactor, NULL, NULL, NULL), LARIAT_ERR_BUSY);
    CHECK_STATUS(lariat_reactor_set_wait_callbacks_full(reactor, nothing, nothing, token_new("refused"), token_free_noted),
                 LARIAT_ERR_BUSY);
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_free(reactor), LARIAT_ERR_BUSY);
}

TEST(the_two_cannot_be_exchanged_inside_of_them) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, set_others, set_others, reactor));
    CHECK_OK(lariat_reactor_iterate(reactor, 0.001));
    CHECK_NOTES("busy free:refused busy free:refused");
    CHECK_OK(lariat_reactor_set_wait_callbacks(reactor, NULL, NULL, NULL));
    CHECK_OK(lariat_reactor_iterate(reactor, 0.001));
    stop_reactor(reactor);
    reactor_done(reactor);
}

TEST(user_data_is_freed_once) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_set_wait_callbacks_full(reactor, nothing, nothing, token_new("first"), token_free_noted));
    CHECK_OK(lariat_reactor_set_wait_callbacks_full(reactor, nothing, nothing, token_new("second"), token_free_noted));
    CHECK_NOTES("free:first");
    CHECK_OK(lariat_reactor_set_wait_callbacks_full(reactor, NULL, NULL, token_new("none"), token_free_noted));
    CHECK(noted("free:second") && noted("free:none"));
    notes_clear();
    CHECK_STATUS(lariat_reactor_set_wait_callbacks_full(reactor, nothing, NULL, token_new("before"), token_free_noted),
                 LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_set_wait_callbacks_full(reactor, NULL, nothing, token_new("after"), token_free_noted),
                 LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NOTES("free:before free:after");
    CHECK_OK(lariat_reactor_set_wait_callbacks_full(reactor, nothing, nothing, token_new("last"), token_free_noted));
    reactor_done(reactor);
    CHECK_NOTES("free:last");
}

/* ---- the waits for jobs ---- */

static gate job_runs = GATE_CLOSED;

static void *handle_both(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)value, (void)failure;
    return user_data;
}

/* Cannot end before somebody lets go of the lock. */
static void *job_with_lock(lariat_job *job, void *user_data) {
    (void)job;
    gate_open(&job_runs);
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    return user_data;
}

TEST(a_job_has_the_lock_at_the_end_of_the_reactor) {
    lariat_reactor *reactor = locking_reactor();
    lariat_deferred *deferred = lariat_reactor_defer_to_thread(reactor, job_with_lock, NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, handle_both, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    gate_wait(&job_runs);
    free_reactor(reactor);
    CHECK(waits >= 1);
    lock_done();
}

TEST(a_job_has_the_lock_at_the_end_of_its_scope) {
    lariat_reactor *reactor = locking_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(scope));
    lariat_deferred *deferred = lariat_reactor_defer_to_thread(reactor, job_with_lock, NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, handle_both, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_scope_leave(scope));
    gate_wait(&job_runs);
    CHECK_OK(lariat_scope_end(scope));
    CHECK(waits >= 1);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
    lock_done();
}
