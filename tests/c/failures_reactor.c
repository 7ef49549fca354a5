/* FAILURES.md, rows 8, 9, 10, 12: closing and re-entering inside callbacks, and freeing the reactor with everything alive. */
#include "every_kind.h"

/* The end of something that its owner closed: exactly once, counted in the int at user_data. */
static void *count_over(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK(failure && !value);
    CHECK_EITHER(lariat_failure_code(failure), LARIAT_ERR_CLOSED, LARIAT_ERR_CANCELLED);
    CHECK_INT(++*(int *)user_data, 1);
    return NULL;
}

static void end_counted(lariat_deferred *deferred, int *ends) {
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, count_over, ends));
}

/* ---- 8: a thing closed inside its own callback --------------------------------------------------------------------------------- */

/* The byte is never read, so the descriptor stays ready: only the stop ends the calls. */
static void stop_at_the_second(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    static int times;
    CHECK_INT(readiness, LARIAT_READABLE);
    note("%s%d", (char *)user_data, ++times);
    if (times == 2) CHECK_OK(lariat_watcher_stop(watcher));
}

TEST(f08_a_watcher_stopped_inside_its_callback) {
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    lariat_reactor *reactor = manual_reactor();
    lariat_watcher *watcher =
        lariat_reactor_watch_full(reactor, ends[0], LARIAT_READABLE, stop_at_the_second, token_new("ready"), token_free_noted);
    CHECK(watcher != NULL);
    turns(reactor, 5);
    CHECK_NOTES("ready1 ready2 free:ready");
    CHECK_STATUS(lariat_watcher_interest(watcher), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(read_byte(ends[0]), 'x');
    reactor_done(reactor);
    pipe_close(ends);
}

static lariat_deferred *stop_looping(lariat_looping_call *looping_call, void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_looping_call_stop(looping_call));
    return NULL;
}

static lariat_deferred *free_looping(lariat_looping_call *looping_call, void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_looping_call_free(looping_call));
    return NULL;
}

TEST(f08_a_looping_call_stopped_inside_its_call) {
    lariat_reactor *reactor = manual_reactor();
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, stop_looping, "loop");
    lariat_deferred *end = lariat_looping_call_start(looping_call, 1, 0);
    CHECK_OK(lariat_deferred_add_callback(end, replace, "stopped"));
    end_with_note(end, "end");
    advance(reactor, 10);
    CHECK_NOTES("loop end=stopped");
    CHECK_INT(lariat_looping_call_running(looping_call), 0);
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

/* "It may call anything, close anything, cancel anything, itself included." */
TEST(f08_a_looping_call_freed_inside_its_call) {
    lariat_reactor *reactor = manual_reactor();
    int ends = 0;
    token *data = token_new("loop");
    lariat_looping_call *looping_call = lariat_looping_call_new_full(reactor, free_looping, data, token_free);
    lariat_deferred *end = lariat_looping_call_start(looping_call, 1, 0);
    end_counted(end, &ends);
    CHECK_OK(lariat_deferred_release(end));
    advance(reactor, 10);
    CHECK_NOTES("loop");
    CHECK_INT(ends, 1);
    CHECK(!token_alive(data));
    CHECK_STATUS(lariat_looping_call_running(looping_call), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

static lariat_status stop_task(lariat_cooperative_task *task, void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_cooperative_task_stop(task));
    return LARIAT_MORE;
}

static lariat_cooperator *cooperator;

static lariat_status free_cooperator(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    note("%s", (char *)user_data);
    CHECK_OK(lariat_cooperator_free(cooperator));
    return LARIAT_MORE;
}

static void task_closed_inside_its_step(lariat_step_fn step, int frees_cooperator) {
    lariat_reactor *reactor = manual_reactor();
    int ends = 0;
    token *data = token_new("step");
    cooperator = lariat_cooperator_new(reactor, 0);
    lariat_cooperative_task *task = lariat_cooperator_cooperate_full(cooperator, step, data, token_free);
    lariat_deferred *done = lariat_cooperative_task_when_done(task);
    end_counted(done, &ends);
    CHECK_OK(lariat_deferred_release(done));
    turns(reactor, 5);
    CHECK_NOTES("step");
    CHECK_INT(ends, 1);
    CHECK(!token_alive(data));
    CHECK_STATUS(lariat_cooperative_task_resume(task), LARIAT_ERR_STALE_HANDLE);
    if (!frees_cooperator) CHECK_OK(lariat_cooperator_free(cooperator));
    turn(reactor);
    reactor_done(reactor);
}

TEST(f08_a_task_stopped_inside_its_step) { task_closed_inside_its_step(stop_task, 0); }

TEST(f08_a_cooperator_freed_inside_a_step) { task_closed_inside_its_step(free_cooperator, 1); }

static void *free_lock_inside(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    (void)value;
    note("run");
    CHECK_OK(lariat_lock_free(user_data));
    return NULL;
}

static void *count_end(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    (void)value;
    (void)failure;
    CHECK_INT(++*(int *)user_data, 1);
    return NULL;
}

/* The one who runs with the lock ends once, the one who waits for it fails. */
TEST(f08_a_lock_freed_by_its_holder) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    int run_ends = 0, wait_ends = 0;
    lariat_deferred *first = lariat_lock_acquire(lock);
    lariat_deferred *run = lariat_lock_run(lock, free_lock_inside, lock);
    lariat_deferred *waits = lariat_lock_acquire(lock);
    CHECK_OK(lariat_deferred_add_both(run, count_end, &run_ends));
    end_counted(waits, &wait_ends);
    CHECK_OK(lariat_deferred_release(run));
    CHECK_OK(lariat_deferred_release(waits));
    CHECK_OK(lariat_deferred_release(first));
    CHECK_OK(lariat_lock_release(lock));
    turns(reactor, 2);
    CHECK_NOTES("run");
    CHECK_INT(run_ends, 1);
    CHECK_INT(wait_ends, 1);
    CHECK_STATUS(lariat_lock_locked(lock), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

static lariat_trigger *trigger;

static lariat_deferred *remove_trigger(void *user_data) {
    note("%s", (char *)user_data);
    CHECK_EITHER(lariat_trigger_remove(trigger), LARIAT_OK, LARIAT_ERR_ALREADY_CALLED);
    return NULL;
}

TEST(f08_a_trigger_removed_inside_its_call) {
    lariat_reactor *reactor = manual_reactor();
    trigger = lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, remove_trigger,
                                                           token_new("trigger"), token_free_noted);
    turns(reactor, 2);
    CHECK_NOTES("trigger free:trigger");
    CHECK_STATUS(lariat_trigger_remove(trigger), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* ---- 9: a sibling closed whose event is in the same batch ---------------------------------------------------------------------- */

static lariat_watcher *watchers[2];

/* Both descriptors are ready. Whichever comes first, the other never does. */
static void stop_the_other(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    (void)user_data;
    note("ready");
    CHECK_OK(lariat_watcher_stop(watchers[watcher == watchers[0]]));
    CHECK_OK(lariat_watcher_stop(watcher));
}

TEST(f09_a_watcher_stopped_by_its_sibling) {
    int ends[2][2];
    lariat_reactor *reactor = manual_reactor();
    for (int i = 0; i < 2; i++) {
        pipe_new(ends[i]);
        write_bytes(ends[i][1], "x");
        watchers[i] = lariat_reactor_watch_full(reactor, ends[i][0], LARIAT_READABLE, stop_the_other, token_new("watcher"), token_free);
    }
    turns(reactor, 3);
    CHECK_NOTES("ready");
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
    for (int i = 0; i < 2; i++) pipe_close(ends[i]);
}

static lariat_reactor *batch_reactor;
static lariat_watcher *new_watcher;

static void ready_anew(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    CHECK(watcher == new_watcher);
    CHECK_INT(readiness, LARIAT_READABLE);
    note("%s", (char *)user_data);
    CHECK_OK(lariat_watcher_stop(watcher));
}

/* The sibling's descriptor is watched again at once: the new watcher gets its own events only. */
static void replace_the_other(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)user_data;
    (void)readiness;
    lariat_watcher *other = watchers[watcher == watchers[0]];
    lariat_socket fd;
    note("old");
    CHECK_OK(lariat_watcher_descriptor(other, &fd));
    CHECK_OK(lariat_watcher_stop(other));
    new_watcher = lariat_reactor_watch(batch_reactor, fd, LARIAT_READABLE, ready_anew, "new");
    CHECK(new_watcher != NULL && new_watcher != other);
    CHECK_OK(lariat_watcher_stop(watcher));
}

TEST(f09_a_watcher_replaced_by_its_sibling) {
    int ends[2][2];
    batch_reactor = manual_reactor();
    for (int i = 0; i < 2; i++) {
        pipe_new(ends[i]);
        write_bytes(ends[i][1], "x");
        watchers[i] = lariat_reactor_watch(batch_reactor, ends[i][0], LARIAT_READABLE, replace_the_other, NULL);
    }
    turns(batch_reactor, 4);
    CHECK_NOTES("old new");
    reactor_done(batch_reactor);
    for (int i = 0; i < 2; i++) pipe_close(ends[i]);
}

static lariat_delayed_call *second_call;
static lariat_trigger *second_trigger;
static lariat_looping_call *second_loop;
static lariat_cooperative_task *second_task;

static void cancel_the_second(void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_delayed_call_cancel(second_call));
}

static lariat_deferred *remove_the_second(void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_trigger_remove(second_trigger));
    return NULL;
}

static lariat_deferred *stop_both_loops(lariat_looping_call *looping_call, void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_looping_call_stop(second_loop));
    CHECK_OK(lariat_looping_call_stop(looping_call));
    return NULL;
}

static lariat_status stop_the_second(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    note("%s", (char *)user_data);
    CHECK_OK(lariat_cooperative_task_stop(second_task));
    return LARIAT_OK;
}

static lariat_deferred *never_trigger(void *user_data) {
    note("%s", (char *)user_data);
    return NULL;
}

static lariat_deferred *never_loop(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    return never_trigger(user_data);
}

static lariat_status never_step(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    note("%s", (char *)user_data);
    return LARIAT_OK;
}

TEST(f09_a_delayed_call_of_the_same_instant) {
    lariat_reactor *reactor = manual_reactor();
    lariat_reactor_call_later(reactor, 1, cancel_the_second, "first");
    second_call = lariat_reactor_call_later_full(reactor, 1, note_call, token_new("second"), token_free_noted);
    advance(reactor, 2);
    CHECK_NOTES("first free:second");
    reactor_done(reactor);
}

TEST(f09_a_trigger_of_the_same_phase) {
    lariat_reactor *reactor = manual_reactor();
    lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_STARTUP, remove_the_second, "first");
    second_trigger = lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_STARTUP, never_trigger,
                                                                  token_new("second"), token_free_noted);
    turns(reactor, 2);
    CHECK_NOTES("first free:second");
    reactor_done(reactor);
}

TEST(f09_a_looping_call_of_the_same_instant) {
    lariat_reactor *reactor = manual_reactor();
    lariat_looping_call *first = lariat_looping_call_new(reactor, stop_both_loops, "first");
    second_loop = lariat_looping_call_new(reactor, never_loop, "second");
    CHECK_OK(lariat_deferred_release(lariat_looping_call_start(first, 1, 0)));
    CHECK_OK(lariat_deferred_release(lariat_looping_call_start(second_loop, 1, 0)));
    advance(reactor, 5);
    CHECK_NOTES("first");
    CHECK_OK(lariat_looping_call_free(first));
    CHECK_OK(lariat_looping_call_free(second_loop));
    reactor_done(reactor);
}

TEST(f09_a_task_of_the_same_turn) {
    lariat_reactor *reactor = manual_reactor();
    cooperator = lariat_cooperator_new(reactor, 10);
    CHECK(lariat_cooperator_cooperate(cooperator, stop_the_second, "first") != NULL);
    second_task = lariat_cooperator_cooperate_full(cooperator, never_step, token_new("second"), token_free_noted);
    turns(reactor, 3);
    CHECK_NOTES("first free:second");
    CHECK_OK(lariat_cooperator_free(cooperator));
    turn(reactor);
    reactor_done(reactor);
}

/* ---- 10: run inside run, iterate inside a callback -------------------------------------------------------------------------- */

static void run_again(void *user_data) {
    lariat_reactor *reactor = user_data;
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_run_until_idle(reactor), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_run_frame(reactor, 1), LARIAT_ERR_REENTRANT);
    note("refused");
}

static void turn_again(lariat_reactor *reactor) {
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_run_frame(reactor, 1), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_run_until_idle(reactor), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_advance(reactor, 1), LARIAT_ERR_REENTRANT);
    note("refused");
}

static void turn_again_call(void *user_data) { turn_again(user_data); }

static void *turn_again_callback(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    (void)value;
    turn_again(user_data);
    return NULL;
}

static void stop_call(void *user_data) { CHECK_OK(lariat_reactor_stop(user_data)); }

TEST(f10_run_inside_run) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, run_again, reactor));
    CHECK(lariat_reactor_call_later(reactor, 0, run_again, reactor) != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0, stop_call, reactor) != NULL);
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("refused refused");
    CHECK_OK(lariat_reactor_call_soon(reactor, run_again, reactor));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("refused");
    reactor_done(reactor);
}

TEST(f10_a_turn_inside_a_turn) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, turn_again_call, reactor));
    turn(reactor);
    CHECK_OK(lariat_reactor_call_soon(reactor, turn_again_call, reactor));
    CHECK(lariat_reactor_run_frame(reactor, 1) >= 0);
    CHECK(lariat_reactor_call_later(reactor, 1, turn_again_call, reactor) != NULL);
    advance(reactor, 1);
    CHECK_NOTES("refused refused refused");
    reactor_done(reactor);
}

/* The host fires it, no turn is running; the clock and what was queued stay where they are. */
TEST(f10_a_turn_inside_a_callback_that_the_host_fired) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "later"));
    CHECK_OK(lariat_deferred_add_callback(deferred, turn_again_callback, reactor));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_NOTES("refused");
    turn(reactor);
    CHECK_NOTES("later");
    reactor_done(reactor);
}

static void turn_the_other(void *user_data) {
    turn(user_data);
    note("outer");
}

TEST(f10_another_reactors_turn_inside_a_callback) {
    lariat_reactor *reactor = manual_reactor(), *other = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, turn_the_other, other));
    CHECK_OK(lariat_reactor_call_soon(other, note_call, "inner"));
    turn(reactor);
    CHECK_NOTES("inner outer");
    reactor_done(reactor);
    reactor_done(other);
}

static void run_simulation_again(void *user_data) {
    CHECK_STATUS(lariat_simulation_run(user_data, 1), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_simulation_run_until_idle(user_data), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_simulation_free(user_data), LARIAT_ERR_BUSY);
    note("refused");
}

TEST(f10_a_simulation_run_inside_a_callback) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "a");
    CHECK(lariat_reactor_call_later(reactor, 1, run_simulation_again, simulation) != NULL);
    CHECK_OK(lariat_simulation_run(simulation, 2));
    CHECK_NOTES("refused");
    CHECK_STATUS(lariat_simulation_free(simulation), LARIAT_ERR_BUSY);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- 12: the reactor freed with everything alive --------------------------------------------------------------------------------- */

static lariat_deferred *never_done(void *user_data) {
    note("never: %s", (char *)user_data);
    return NULL;
}

static lariat_deferred *never_loops(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    return never_done(user_data);
}

static void never_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)watcher;
    (void)readiness;
    never_done(user_data);
}

static lariat_status never_steps(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    never_done(user_data);
    return LARIAT_OK;
}

static void never_called(void *user_data) { never_done(user_data); }

/* Plain calls are not made; their user_data is freed, which the end of the case proves. */
TEST(f12_freed_with_plain_calls) {
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    lariat_reactor *reactor = manual_reactor();
    turn(reactor);
    CHECK(lariat_reactor_call_later_full(reactor, 0, never_called, token_new("due"), token_free) != NULL);
    CHECK(lariat_reactor_call_later_full(reactor, 1, never_called, token_new("delayed"), token_free) != NULL);
    CHECK_OK(lariat_reactor_call_soon_full(reactor, never_called, token_new("soon"), token_free));
    CHECK(lariat_reactor_watch_full(reactor, ends[0], LARIAT_READABLE, never_ready, token_new("watcher"), token_free) != NULL);
    CHECK(lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, never_done,
                                                       token_new("trigger"), token_free) != NULL);
    CHECK(lariat_looping_call_new_full(reactor, never_loops, token_new("loop"), token_free) != NULL);
    CHECK(lariat_cooperator_cooperate_full(lariat_cooperator_new(reactor, 0), never_steps, token_new("task"), token_free) != NULL);
    CHECK_OK(lariat_queue_put_full(lariat_queue_new(reactor, -1, -1), token_new("queued"), token_free));
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK(lariat_deferred_callback_later_full(deferred, 0, token_new("value later"), token_free) != NULL);
    CHECK_OK(lariat_deferred_add_errback(deferred, quiet_failure, NULL));
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
    pipe_close(ends);
}

/* What was accepted from a thread before is made. */
TEST(f12_freed_with_thread_calls) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_from_thread_full(reactor, note_call, token_new("one"), token_free_noted));
    CHECK_OK(lariat_reactor_call_from_thread_full(reactor, note_call, token_new("two"), token_free_noted));
    free_reactor(reactor);
    CHECK_NOTES("one free:one two free:two");
}

TEST(f12_freed_before_it_ever_ran) {
    lariat_reactor *reactor = lariat_reactor_new();
    CHECK(reactor != NULL);
    CHECK_OK(lariat_reactor_call_when_running_full(reactor, never_called, token_new("when running"), token_free));
    CHECK(lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_STARTUP, never_done,
                                                       token_new("startup"), token_free) != NULL);
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
}

/* Every Deferred ends once, whoever would have fired it, and whether its waiter had released it or not. */
TEST(f12_freed_with_deferreds) {
    enum { WAITS = 11 };
    int over[2 * WAITS] = {0};
    lariat_reactor *reactor = manual_reactor();
    for (int i = 0; i < 2 * WAITS; i += WAITS) {
        lariat_deferred *elements[2] = {lariat_deferred_new(reactor), lariat_deferred_new(reactor)};
        lariat_deferred *outer = lariat_deferred_new_succeeded(reactor, NULL), *target = lariat_deferred_new(reactor);
        lariat_lock *lock = lariat_lock_new(reactor);
        lariat_semaphore *semaphore = lariat_semaphore_new(reactor, 1);
        CHECK_OK(lariat_deferred_release(lariat_lock_acquire(lock)));
        CHECK_OK(lariat_deferred_release(lariat_semaphore_acquire(semaphore)));
        CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, lariat_deferred_new(reactor)));
        CHECK_OK(lariat_deferred_chain(lariat_deferred_new(reactor), target));
        lariat_deferred *waits[WAITS] = {
            lariat_deferred_new(reactor),
            lariat_deferred_new_with_canceller(reactor, quiet_canceller, NULL),
            outer,
            target,
            lariat_deferred_gather(reactor, elements, 2),
            lariat_reactor_defer_later(reactor, 0, quiet_value, NULL),
            lariat_lock_acquire(lock),
            lariat_semaphore_acquire(semaphore),
            lariat_queue_get(lariat_queue_new(reactor, -1, -1)),
            lariat_looping_call_start(lariat_looping_call_new(reactor, quiet_looping, NULL), 1, 0),
            lariat_cooperative_task_when_done(lariat_cooperator_cooperate(lariat_cooperator_new(reactor, 0), quiet_step, NULL)),
        };
        for (int j = 0; j < WAITS; j++) {
            end_counted(waits[j], &over[i + j]);
            if (i) CHECK_OK(lariat_deferred_release(waits[j]));
        }
    }
    free_reactor(reactor);
    for (int i = 0; i < 2 * WAITS; i++) CHECK_INT(over[i], 1);
}

/* A canceller may still give a value; values that nobody took are freed. */
TEST(f12_freed_with_values) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *saved = lariat_deferred_new_with_canceller(reactor, cancel_gives_saved, "a");
    CHECK_OK(lariat_deferred_add_both(saved, note_end, "end"));
    CHECK(lariat_deferred_new_succeeded_full(reactor, token_new("value"), token_free) != NULL);
    lariat_deferred *paused = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_pause(paused));
    CHECK_OK(lariat_deferred_add_callback_full(paused, quiet_value, token_new("paused"), token_free));
    CHECK_OK(lariat_deferred_callback_full(paused, token_new("held back"), token_free));
    lariat_deferred *event = lariat_deferred_new_succeeded_full(reactor, token_new("event"), token_free);
    CHECK_OK(lariat_deferred_add_event(event, 7));
    CHECK_OK(lariat_deferred_release(event));
    lariat_deferred *one = lariat_deferred_new_succeeded_full(reactor, token_new("element"), token_free);
    CHECK(lariat_deferred_take(lariat_deferred_list(reactor, &one, 1, 0)) != NULL);
    kept_failure(reactor, 7);
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
    CHECK_NOTES("cancel:a end=saved");
}

static void *make_things(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    lariat_reactor *reactor = user_data;
    (void)deferred;
    (void)failure;
    CHECK_STATUS(lariat_reactor_call_soon_full(reactor, never_called, token_new("soon"), token_free), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_reactor_call_later_full(reactor, 0, never_called, token_new("later"), token_free), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_reactor_call_from_thread_full(reactor, never_called, token_new("thread"), token_free), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_reactor_call_in_thread_full(reactor, never_called, token_new("pool"), token_free), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_reactor_defer_to_thread_full(reactor, quiet_job, token_new("job"), token_free), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_deferred_new_full(reactor, quiet_canceller, token_new("deferred"), token_free), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_lock_new(reactor), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_queue_new(reactor, -1, -1), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_scope_new(reactor), LARIAT_ERR_CLOSED);
    CHECK_INT(tokens_alive(), 0);
    CHECK(!isnan(lariat_reactor_seconds(reactor)));
    note("refused");
    return lariat_deferred_wait_for(deferred, lariat_deferred_new(reactor));
}

/* New work is refused while the reactor is freed; a chain that would wait for some fails with that reason. */
TEST(f12_new_work_while_it_is_freed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_errback(deferred, make_things, reactor));
    end_with_note(deferred, "end");
    free_reactor(reactor);
    CHECK_NOTES("refused end!CLOSED");
}

TEST(f12_freed_with_everything_entered) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *outer = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(outer));
    CHECK_OK(lariat_scope_enter(lariat_scope_new(reactor)));
    every_kind every = every_kind_new(reactor);
    CHECK_OK(lariat_deferred_add_errback(every.of[KIND_DEFERRED], quiet_failure, NULL));
    free_reactor(reactor);
    every_kind_end_apart(&every);
}
