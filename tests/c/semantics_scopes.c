/* Scopes (DESIGN 7): what is made in one ends with it, and after the end none of its functions is ever called. */
#include "harness.h"
#include <sched.h>

static lariat_scope *scope_entered(lariat_reactor *reactor) {
    lariat_scope *scope = lariat_scope_new(reactor);
    CHECK(scope != NULL);
    CHECK_OK(lariat_scope_enter(scope));
    return scope;
}

/* Whatever the scope's code would still do must not happen: give it some turns and some time. */
static void check_silence(lariat_reactor *reactor) {
    advance(reactor, 100);
    turns(reactor, 3);
    CHECK_NOTES("");
}

static void note_and_call_later(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("parent");
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("child"), token_free) != NULL);
    CHECK_OK(lariat_reactor_call_soon_full(reactor, note_call, token_new("child"), token_free));
}

/* ---- entering and leaving ---- */

TEST(scope_enter_nests_and_leave_is_for_the_innermost) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *a = lariat_scope_new(reactor), *b = lariat_scope_new(reactor);
    CHECK_STATUS(lariat_scope_leave(a), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_scope_enter(a));
    CHECK_OK(lariat_scope_enter(b));
    CHECK_STATUS(lariat_scope_leave(a), LARIAT_ERR_INVALID_STATE);
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("b"), token_free) != NULL);
    CHECK_OK(lariat_scope_leave(b));
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("a"), token_free) != NULL);
    CHECK_OK(lariat_scope_leave(a));
    CHECK_STATUS(lariat_scope_leave(a), LARIAT_ERR_INVALID_STATE);
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("none"), token_free) != NULL);
    CHECK_OK(lariat_scope_end(b)); /* each call joined the innermost of its time */
    advance(reactor, 1);
    CHECK_NOTES("a none");
    CHECK_OK(lariat_scope_free(a));
    CHECK_OK(lariat_scope_free(b));
    reactor_done(reactor);
}

TEST(scope_can_be_entered_twice_and_used_again) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    for (int i = 0; i < 3; i++) {
        token *data = token_new("not called");
        CHECK_OK(lariat_scope_enter(scope));
        CHECK_OK(lariat_scope_enter(scope));
        CHECK_OK(lariat_scope_leave(scope));
        CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, data, token_free) != NULL);
        CHECK_OK(lariat_scope_leave(scope));
        CHECK_OK(lariat_scope_end(scope));
        CHECK(!token_alive(data));
        CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    }
    CHECK_INT(reactor_stats(reactor).scopes, 1);
    CHECK_OK(lariat_scope_free(scope));
    CHECK_STATUS(lariat_scope_end(scope), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_scope_free(scope), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* Assumes that a scope made while another is entered is a thing like others, and ends with it. */
TEST(scope_made_in_a_scope_ends_with_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *outer = scope_entered(reactor), *inner = scope_entered(reactor);
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("not called"), token_free) != NULL);
    CHECK_OK(lariat_scope_leave(inner));
    CHECK_OK(lariat_scope_leave(outer));
    CHECK_OK(lariat_scope_free(outer));
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_scope_end(inner), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(scope_children_join_their_parents) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    CHECK(lariat_reactor_call_later(reactor, 1, note_and_call_later, &reactor) != NULL);
    CHECK_OK(lariat_scope_leave(scope));
    advance(reactor, 1);
    CHECK(strncmp(test_notes.text, "parent", 6) == 0); /* the soon-call may have run as well */
    notes_clear();
    CHECK_OK(lariat_scope_end(scope)); /* though it was not entered when the child was made */
    CHECK_INT(tokens_alive(), 0);
    check_silence(reactor);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

static void *call_later_from_callback(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    note_and_call_later(user_data);
    return value;
}

TEST(scope_children_of_a_callback_on_a_deferred_outside_join_too) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outside = lariat_deferred_new(reactor);
    lariat_scope *scope = scope_entered(reactor);
    CHECK_OK(lariat_deferred_add_callback(outside, call_later_from_callback, &reactor));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_deferred_callback(outside, NULL));
    CHECK_NOTES("parent");
    CHECK_INT(tokens_alive(), 2);
    CHECK_OK(lariat_scope_end(scope));
    CHECK_INT(tokens_alive(), 0);
    check_silence(reactor);
    CHECK_OK(lariat_scope_free(scope));
    CHECK_OK(lariat_deferred_release(outside));
    reactor_done(reactor);
}

/* ---- what ends, kind by kind ---- */

TEST(scope_ends_its_calls) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_delayed_call *later = lariat_reactor_call_later_full(reactor, 1, note_call, token_new("later"), token_free);
    CHECK_OK(lariat_reactor_call_soon_full(reactor, note_call, token_new("soon"), token_free));
    CHECK_OK(lariat_reactor_call_when_running_full(reactor, note_call, token_new("running"), token_free));
    CHECK(lariat_reactor_call_later_event(reactor, 1, 1) != NULL);
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 2));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "outside") != NULL);
    CHECK_INT(tokens_alive(), 3);
    CHECK_OK(lariat_scope_end(scope));
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_delayed_call_active(later), LARIAT_ERR_STALE_HANDLE);
    advance(reactor, 1);
    CHECK_NOTES("outside"); /* it alone */
    CHECK_OK(lariat_scope_free(scope));
    check_silence(reactor);
    reactor_done(reactor);
}

static lariat_deferred *note_trigger(void *user_data) {
    note("%s", (char *)user_data);
    return NULL;
}

TEST(scope_ends_its_triggers) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_trigger *trigger = lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN,
                                                                           note_trigger, token_new("not called"), token_free);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, note_trigger, "outside") != NULL);
    turn(reactor);
    CHECK_OK(lariat_scope_free(scope));
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_trigger_remove(trigger), LARIAT_ERR_STALE_HANDLE);
    stop_reactor(reactor);
    CHECK_NOTES("outside");
    reactor_done(reactor);
}

TEST(scope_cancels_its_deferreds_and_its_callbacks_see_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *d = lariat_deferred_new_full(reactor, cancel_abandons, token_new("d"), token_free);
    CHECK_OK(lariat_deferred_add_both_full(d, note_end, token_new("d"), token_free));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope));
    CHECK_NOTES("cancel:d d!CANCELLED"); /* delivered before the end returns */
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_deferred_called(d), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

/* Assumes that the end drops both claims: the code that holds them may be about to be unloaded. */
TEST(scope_leaves_no_claim_on_its_deferreds) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *unfired = lariat_deferred_new(reactor);
    lariat_deferred *fired = lariat_deferred_new_succeeded_full(reactor, token_new("value"), token_free);
    CHECK_OK(lariat_deferred_add_both(unfired, note_end, "unfired"));
    CHECK_OK(lariat_deferred_add_both_full(fired, note_both, token_new("fired"), token_free));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope));
    CHECK_NOTES("fired=value unfired!CANCELLED");
    CHECK_INT(tokens_alive(), 0); /* the free functions are the scope's, too */
    CHECK_INT(reactor_stats(reactor).deferreds, 0);
    CHECK_STATUS(lariat_deferred_callback(unfired, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_release(fired), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

TEST(scope_what_waits_outside_for_its_deferreds_sees_the_cancellation) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor);
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *inner = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "inner");
    lariat_deferred *source = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "source");
    lariat_deferred *watched = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "watched");
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_chain(source, target));
    end_with_note(target, "target");
    end_with_note(watched, "watched");
    CHECK_OK(lariat_scope_end(scope));
    CHECK(noted("cancel:inner outer!CANCELLED")); /* which comes first is not laid down */
    CHECK(noted("cancel:source target!CANCELLED"));
    CHECK(noted("cancel:watched watched!CANCELLED"));
    notes_clear();
    CHECK_OK(lariat_scope_free(scope));
    check_silence(reactor);
    reactor_done(reactor);
}

TEST(scope_removes_its_callbacks_from_deferreds_outside) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *good = lariat_deferred_new(reactor), *bad = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_both(good, note_both, "one"));
    CHECK_OK(lariat_deferred_add_both(bad, note_both, "one"));
    lariat_scope *scope = scope_entered(reactor);
    CHECK_OK(lariat_deferred_add_callback_full(good, replace, token_new("not seen"), token_free));
    CHECK_OK(lariat_deferred_add_event(good, 1));
    CHECK_OK(lariat_deferred_add_errback_full(bad, recover, token_new("not seen"), token_free));
    CHECK_OK(lariat_deferred_add_both_full(bad, note_end, token_new("not called"), token_free));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_deferred_add_both(good, note_end, "two"));
    CHECK_OK(lariat_deferred_add_both(bad, note_end, "two"));
    CHECK_OK(lariat_scope_end(scope));
    CHECK_NOTES(""); /* the Deferreds outside are not cancelled */
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_deferred_callback(good, "x"));
    CHECK_OK(lariat_deferred_errback(bad, 7, NULL));
    CHECK_NOTES("one=x two=x one!7 two!7"); /* as if they had never been */
    CHECK_INT(reactor_stats(reactor).events, 0);
    CHECK_OK(lariat_deferred_release(good));
    CHECK_OK(lariat_deferred_release(bad));
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

TEST(scope_removes_its_timeouts_from_deferreds_outside) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called");
    lariat_scope *scope = scope_entered(reactor);
    CHECK_OK(lariat_deferred_add_timeout(d, 1));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    check_silence(reactor);
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

TEST(scope_ends_what_defer_later_and_callback_later_promised) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outside = lariat_deferred_new(reactor);
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *d = lariat_reactor_defer_later_full(reactor, 1, note_value, token_new("not called"), token_free);
    end_with_note(d, "d");
    CHECK(lariat_deferred_callback_later_full(outside, 1, token_new("not given"), token_free) != NULL);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NOTES("d!CANCELLED");
    CHECK_INT(tokens_alive(), 0);
    check_silence(reactor);
    CHECK_OK(lariat_deferred_callback(outside, "x")); /* its worker's claim came back */
    end_with_note(outside, "outside");
    CHECK_NOTES("outside=x");
    reactor_done(reactor);
}

TEST(scope_frees_its_locks_semaphores_and_queues) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_semaphore *semaphore = lariat_semaphore_new(reactor, 1);
    lariat_queue *queue = lariat_queue_new(reactor, -1, -1), *full = lariat_queue_new(reactor, -1, -1);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_deferred_release(lariat_lock_acquire(lock)));
    CHECK_OK(lariat_deferred_release(lariat_semaphore_acquire(semaphore)));
    end_with_note(lariat_lock_acquire(lock), "lock"); /* these wait outside the scope */
    end_with_note(lariat_semaphore_acquire(semaphore), "semaphore");
    end_with_note(lariat_queue_get(queue), "queue");
    CHECK_OK(lariat_queue_put_full(full, token_new("value"), token_free));
    CHECK_OK(lariat_scope_free(scope));
    CHECK(noted("lock!CLOSED") && noted("semaphore!CLOSED") && noted("queue!CLOSED"));
    notes_clear();
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_lock_locked(lock), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_semaphore_tokens(semaphore), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_queue_size(queue), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(scope_who_waits_inside_for_a_lock_outside_no_longer_does) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    CHECK_OK(lariat_deferred_release(lariat_lock_acquire(lock)));
    lariat_scope *scope = scope_entered(reactor);
    end_with_note(lariat_lock_acquire(lock), "inside");
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NOTES("inside!CANCELLED");
    CHECK_OK(lariat_lock_release(lock)); /* goes to nobody */
    CHECK_INT(lariat_lock_locked(lock), 0);
    CHECK_OK(lariat_lock_free(lock));
    reactor_done(reactor);
}

static lariat_deferred *loop(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    note("%s", (char *)user_data);
    return NULL;
}

static lariat_status step(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    note("%s", (char *)user_data);
    return LARIAT_MORE;
}

/* Ended with the scope: CLOSED, because what it belongs to is freed, or CANCELLED, because it is of the scope itself. */
static void *note_over(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK_EITHER(lariat_failure_code(failure), LARIAT_ERR_CLOSED, LARIAT_ERR_CANCELLED);
    note("%s", (char *)user_data);
    return NULL;
}

TEST(scope_ends_its_looping_calls) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new_full(reactor, loop, token_new("loop"), token_free);
    lariat_deferred *done = lariat_looping_call_start(looping_call, 1, 0);
    CHECK_OK(lariat_deferred_add_errback(done, note_over, "over"));
    CHECK_OK(lariat_deferred_release(done));
    CHECK_OK(lariat_scope_leave(scope));
    advance(reactor, 1);
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NOTES("loop over");
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_looping_call_running(looping_call), LARIAT_ERR_STALE_HANDLE);
    check_silence(reactor);
    reactor_done(reactor);
}

TEST(scope_ends_its_cooperators_and_tasks) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *outside = lariat_cooperator_new(reactor, 0);
    lariat_scope *scope = scope_entered(reactor);
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    lariat_cooperative_task *tasks[2] = {lariat_cooperator_cooperate_full(cooperator, step, token_new("a"), token_free),
                                         lariat_cooperator_cooperate_full(outside, step, token_new("b"), token_free)};
    for (int i = 0; i < 2; i++) {
        lariat_deferred *done = lariat_cooperative_task_when_done(tasks[i]);
        CHECK_OK(lariat_deferred_add_errback(done, note_over, "over"));
        CHECK_OK(lariat_deferred_release(done));
    }
    CHECK_OK(lariat_scope_leave(scope));
    turn(reactor);
    CHECK(strcmp(test_notes.text, "a b") == 0 || strcmp(test_notes.text, "b a") == 0);
    notes_clear();
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NOTES("over over");
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_cooperator_free(cooperator), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_cooperative_task_stop(tasks[1]), LARIAT_ERR_STALE_HANDLE);
    check_silence(reactor);
    CHECK_OK(lariat_cooperator_free(outside)); /* is not the scope's; only the task in it was */
    reactor_done(reactor);
}

#ifndef _WIN32
static void note_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)watcher, (void)readiness;
    note("%s", (char *)user_data);
}

TEST(scope_stops_its_watchers) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    lariat_scope *scope = scope_entered(reactor);
    lariat_watcher *watcher = lariat_reactor_watch_full(reactor, ends[0], LARIAT_READABLE, note_ready, token_new("not called"), token_free);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_free(scope));
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_watcher_interest(watcher), LARIAT_ERR_STALE_HANDLE);
    check_silence(reactor);
    CHECK_INT(read_byte(ends[0]), 'x'); /* open, and nobody has read it */
    pipe_close(ends);
    reactor_done(reactor);
}
#endif

/* ---- while it ends ---- */

static void *make_more(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    (void)deferred;
    note("more!%s", failure_label(failure));
    /* Refused or made and dropped, as the library likes; never called. */
    lariat_reactor_call_later_full(reactor, 0, note_call, token_new("not called"), token_free);
    lariat_reactor_call_soon_full(reactor, note_call, token_new("not called"), token_free);
    lariat_deferred *d = lariat_deferred_new_succeeded_full(reactor, token_new("value"), token_free);
    if (d) lariat_deferred_release(d);
    return NULL;
}

TEST(scope_what_its_callbacks_make_while_it_ends_ends_too) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d");
    CHECK_OK(lariat_deferred_add_errback(d, make_more, &reactor));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope));
    CHECK_NOTES("cancel:d more!CANCELLED");
    CHECK_INT(tokens_alive(), 0);
    check_silence(reactor);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

static void *wait_for_new(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("waits!%s", failure_label(failure));
    return lariat_deferred_wait_for(deferred, lariat_reactor_defer_later(reactor, 1, NULL, NULL));
}

TEST(scope_an_errback_that_starts_anew_does_not_keep_it_alive) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d");
    CHECK_OK(lariat_deferred_add_errback(d, wait_for_new, &reactor));
    CHECK_OK(lariat_deferred_add_both(d, note_end, "d"));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope));
    CHECK(strncmp(test_notes.text, "cancel:d waits!CANCELLED d!", 27) == 0); /* cancelled again, or refused: it comes to its end */
    notes_clear();
    check_silence(reactor);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

/* FAILURES 53 */
static lariat_scope *ending;

static void end_the_scope(void *user_data) {
    note("%s:%s", (char *)user_data, lariat_status_name(lariat_scope_end(ending)));
}

static void *end_the_scope_in_a_callback(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    end_the_scope(user_data);
    CHECK_STATUS(lariat_scope_free(ending), LARIAT_ERR_BUSY);
    return value;
}

TEST(scope_cannot_end_inside_its_own_callbacks) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outside = lariat_deferred_new(reactor);
    ending = scope_entered(reactor);
    CHECK_OK(lariat_reactor_call_soon(reactor, end_the_scope, "soon"));
    CHECK_OK(lariat_deferred_add_callback(outside, end_the_scope_in_a_callback, "callback"));
    CHECK(lariat_reactor_call_later_full(reactor, 5, note_call, token_new("still there"), token_free) != NULL);
    CHECK_OK(lariat_scope_leave(ending));
    CHECK_OK(lariat_reactor_call_soon(reactor, end_the_scope, "outside"));
    CHECK_OK(lariat_deferred_callback(outside, NULL));
    CHECK_NOTES("callback:LARIAT_ERR_BUSY");
    CHECK_INT(tokens_alive(), 1); /* refused, so nothing of it has ended */
    turn(reactor);
    CHECK_NOTES("soon:LARIAT_ERR_BUSY outside:LARIAT_OK");
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_scope_free(ending));
    CHECK_OK(lariat_deferred_release(outside));
    reactor_done(reactor);
}

static void *fire_user_data(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    CHECK_OK(lariat_deferred_callback(user_data, NULL));
    return value;
}

TEST(scope_nor_in_a_callback_of_another_that_runs_inside_its_own) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *first = lariat_deferred_new(reactor), *second = lariat_deferred_new(reactor);
    ending = scope_entered(reactor);
    CHECK_OK(lariat_deferred_add_callback(first, fire_user_data, second)); /* the scope's */
    CHECK_OK(lariat_scope_leave(ending));
    CHECK_OK(lariat_deferred_add_callback(second, end_the_scope_in_a_callback, "nested")); /* nobody's, but called from the scope's */
    CHECK_OK(lariat_deferred_callback(first, NULL));
    CHECK_NOTES("nested:LARIAT_ERR_BUSY");
    CHECK_OK(lariat_scope_free(ending));
    CHECK_OK(lariat_deferred_release(first));
    CHECK_OK(lariat_deferred_release(second));
    reactor_done(reactor);
}

TEST(scope_ends_with_the_reactor) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = scope_entered(reactor);
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("not called"), token_free) != NULL);
    free_reactor(reactor); /* though it is still entered */
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_scope_leave(scope), LARIAT_ERR_STALE_HANDLE);
}

/* ---- its pool jobs ---- */

struct job {
    gate started, go_on, freed;
    atomic_int finished;
};
#define JOB_NEW {GATE_CLOSED, GATE_CLOSED, GATE_CLOSED, 0}

static void *run_until_cancelled(lariat_job *job, void *user_data) {
    struct job *mine = user_data;
    gate_open(&mine->started);
    while (!lariat_job_cancelled(job)) sched_yield();
    atomic_store(&mine->finished, 1);
    return NULL;
}

static void *run_until_told(lariat_job *job, void *user_data) {
    struct job *mine = user_data;
    (void)job;
    gate_open(&mine->started);
    gate_wait(&mine->go_on);
    atomic_store(&mine->finished, 1);
    return NULL;
}

static void job_freed(void *user_data) { gate_open(&((struct job *)user_data)->freed); }

TEST(scope_waits_for_its_running_jobs) {
    lariat_reactor *reactor = manual_reactor();
    static struct job job = JOB_NEW;
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *d = lariat_reactor_defer_to_thread_full(reactor, run_until_cancelled, &job, job_freed);
    end_with_note(d, "job");
    CHECK_OK(lariat_scope_leave(scope));
    gate_wait(&job.started);
    CHECK_OK(lariat_scope_end(scope)); /* tells the job, and waits for it */
    CHECK_INT(atomic_load(&job.finished), 1);
    CHECK_INT(job.freed.open, 1);
    CHECK_NOTES("job!CANCELLED");
    check_silence(reactor);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

TEST(scope_drops_its_waiting_jobs) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.thread_pool_size = 1;
    lariat_reactor *reactor = reactor_with(options);
    static struct job job = JOB_NEW;
    end_with_note(lariat_reactor_defer_to_thread(reactor, run_until_told, &job), "outside"); /* keeps the only thread busy */
    gate_wait(&job.started);
    lariat_scope *scope = scope_entered(reactor);
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, note_call, token_new("not called"), token_free));
    end_with_note(lariat_reactor_defer_to_thread_full(reactor, run_until_told, token_new("not called"), token_free), "waiting");
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_INT(reactor_stats(reactor).jobs, 3);
    CHECK_OK(lariat_scope_free(scope)); /* does not wait for the other's job */
    CHECK_NOTES("waiting!CANCELLED");
    CHECK_INT(tokens_alive(), 0);
    CHECK_INT(reactor_stats(reactor).jobs, 1);
    CHECK_INT(atomic_load(&job.finished), 0);
    gate_open(&job.go_on);
    while (!noted("outside=-")) turn(reactor), sched_yield();
    notes_clear();
    reactor_done(reactor);
}

TEST(scope_waits_for_a_job_that_never_ends_only_so_long) { /* FAILURES 53 */
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.shutdown_seconds = 0.02;
    lariat_reactor *reactor = reactor_with(options);
    static struct job job = JOB_NEW;
    lariat_scope *scope = scope_entered(reactor);
    lariat_deferred *d = lariat_reactor_defer_to_thread_full(reactor, run_until_told, &job, job_freed);
    end_with_note(d, "job");
    CHECK_OK(lariat_scope_leave(scope));
    gate_wait(&job.started);
    CHECK_EITHER(lariat_scope_end(scope), LARIAT_OK, LARIAT_ERR_TIMED_OUT);
    CHECK_NOTES("job!CANCELLED");
    CHECK_INT(atomic_load(&job.finished), 0);
    gate_open(&job.go_on);
    gate_wait(&job.freed); /* the job left over frees its own data */
    check_silence(reactor);
    CHECK_OK(lariat_scope_free(scope));
    free_reactor(reactor);
}
