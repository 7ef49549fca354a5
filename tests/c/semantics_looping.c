/* What is built on delayed calls: looping calls and cooperators (SEMANTICS 23), and defer_later. All on the manual clock. */
#include "harness.h"

/* ---- looping call ---- */

/* What a looping call's function does here: notes the interval it is in and the count of intervals since the last call. */
struct loop {
    lariat_reactor *reactor;
    double start;
    lariat_deferred *answer; /* returned by the next call, once */
    int stop_at;             /* stops itself in this call (counted from 1) */
    int calls;
};

static lariat_deferred *loop_call(lariat_looping_call *looping_call, void *user_data) {
    struct loop *loop = user_data;
    lariat_deferred *answer = loop->answer;
    loop->calls++;
    note("%g/%d", lariat_reactor_seconds(loop->reactor) - loop->start, (int)lariat_looping_call_count(looping_call));
    if (loop->calls == loop->stop_at) CHECK_OK(lariat_looping_call_stop(looping_call));
    loop->answer = NULL;
    return answer;
}

static struct loop loop_on(lariat_reactor *reactor) {
    return (struct loop){reactor, lariat_reactor_seconds(reactor), NULL, 0, 0};
}

/* The looping call's Deferred: its value is the looping call. */
static void *note_stopped(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    if (failure) note("failed!%s", failure_label(failure));
    else note(value == user_data ? "stopped" : "stopped with another value");
    return NULL;
}

static void start(lariat_looping_call *looping_call, double interval, int now) {
    lariat_deferred *done = lariat_looping_call_start(looping_call, interval, now);
    CHECK(done != NULL);
    CHECK_OK(lariat_deferred_add_both(done, note_stopped, looping_call));
    CHECK_OK(lariat_deferred_release(done));
}

TEST(s23_a_looping_call_calls_at_each_interval) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    CHECK_INT(lariat_looping_call_running(looping_call), 0);
    start(looping_call, 2, 1); /* now: the first inside start */
    CHECK_NOTES("0/1");
    CHECK_INT(lariat_looping_call_running(looping_call), 1);
    advance(reactor, 1.75);
    CHECK_NOTES("");
    advance(reactor, 4.5);
    CHECK_NOTES("2/1 4/1 6/1");
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_INT(lariat_looping_call_running(looping_call), 0);
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_or_first_after_an_interval) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 2, 0);
    CHECK_NOTES("");
    advance(reactor, 4);
    CHECK_NOTES("2/1 4/1");
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_a_looping_call_never_overlaps_itself_skips_and_keeps_its_phase) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_deferred *slow = lariat_deferred_new(reactor);
    loop.answer = slow;
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 1, 1);
    CHECK_NOTES("0/1");
    advance(reactor, 3.5); /* 1, 2 and 3 are missed while it waits */
    CHECK_NOTES("");
    CHECK_INT(lariat_looping_call_running(looping_call), 1);
    CHECK_OK(lariat_deferred_callback(slow, "its value does not matter"));
    CHECK_NOTES(""); /* not made up for */
    advance(reactor, 0.25);
    CHECK_NOTES("");
    advance(reactor, 1.25);
    CHECK_NOTES("4/4 5/1");
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_a_deferred_that_is_there_already_does_not_disturb) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    loop.answer = lariat_deferred_new_succeeded_full(reactor, token_new("unused"), token_free);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 1, 1);
    CHECK_INT(tokens_alive(), 0); /* handed over, so let go by the library */
    advance(reactor, 1);
    CHECK_NOTES("0/1 1/1");
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_a_looping_call_may_stop_itself_and_start_again) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    loop.stop_at = 2;
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 1, 1);
    advance(reactor, 5);
    CHECK_NOTES("0/1 1/1 stopped");
    start(looping_call, 0.5, 1); /* counts from its new start */
    advance(reactor, 0.5);
    CHECK_NOTES("5/1 5.5/1");
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_stopped_while_it_waits_it_ends_when_the_wait_does) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_deferred *slow = loop.answer = lariat_deferred_new(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 1, 1);
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("0/1");
    CHECK_INT(lariat_looping_call_running(looping_call), 0);
    CHECK_OK(lariat_deferred_callback(slow, NULL));
    CHECK_NOTES("stopped");
    advance(reactor, 3);
    CHECK_NOTES("");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_the_functions_failure_ends_it) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 1, 1);
    loop.answer = lariat_deferred_new_failed(reactor, 7, "seven");
    advance(reactor, 10);
    CHECK_NOTES("0/1 1/1 failed!7");
    CHECK_INT(lariat_looping_call_running(looping_call), 0);
    lariat_deferred *slow = loop.answer = lariat_deferred_new(reactor);
    start(looping_call, 1, 1);
    CHECK_OK(lariat_deferred_errback(slow, 8, "eight"));
    CHECK_NOTES("10/1 failed!8");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_at_interval_0_it_calls_every_turn) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 0, 1);
    CHECK_NOTES("0/1");
    turn(reactor);
    CHECK_NOTES("0/1");
    turns(reactor, 2);
    CHECK_NOTES("0/1 0/1");
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_reset_skips_the_next_and_counts_from_now) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    start(looping_call, 2, 0);
    advance(reactor, 1.5);
    CHECK_OK(lariat_looping_call_reset(looping_call)); /* not at 2, but at 3.5, 5.5 ... */
    advance(reactor, 1.75);
    CHECK_NOTES("");
    advance(reactor, 2.5);
    CHECK(strncmp(test_notes.text, "3.5/", 4) == 0 && noted(" 5.5/"));
    notes_clear(); /* what the count is after a reset is not laid down */
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(s23_a_looping_call_in_the_wrong_state) {
    lariat_reactor *reactor = manual_reactor();
    struct loop loop = loop_on(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_call, &loop);
    CHECK_EITHER(lariat_looping_call_stop(looping_call), LARIAT_ERR_INVALID_STATE, LARIAT_ERR_NOT_RUNNING);
    CHECK_EITHER(lariat_looping_call_reset(looping_call), LARIAT_ERR_INVALID_STATE, LARIAT_ERR_NOT_RUNNING);
    CHECK_NULL(lariat_looping_call_start(looping_call, NAN, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_looping_call_start(looping_call, -1, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_looping_call_start(looping_call, 1, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_looping_call_new(reactor, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(lariat_looping_call_running(looping_call), 0);
    start(looping_call, 1, 0);
    CHECK_NULL(lariat_looping_call_start(looping_call, 1, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_NOTES("stopped");
    CHECK_OK(lariat_looping_call_free(looping_call));
    CHECK_STATUS(lariat_looping_call_running(looping_call), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_looping_call_free(looping_call), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

static lariat_deferred *loop_quietly(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    note("%s", (char *)user_data);
    return NULL;
}

TEST(s23_freed_while_it_runs_it_fails_with_closed) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("loop"), *refused = token_new("refused");
    lariat_looping_call *looping_call = lariat_looping_call_new_full(reactor, loop_quietly, data, token_free);
    start(looping_call, 1, 1);
    CHECK_NOTES("loop");
    CHECK_OK(lariat_looping_call_free(looping_call));
    CHECK_NOTES("failed!CLOSED");
    CHECK(!token_alive(data));
    advance(reactor, 5);
    CHECK_NULL(lariat_looping_call_new_full(NULL, loop_quietly, refused, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(refused));
    reactor_done(reactor);
}

TEST(s23_its_user_data_lives_as_long_as_it_does) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("loop");
    lariat_looping_call *looping_call = lariat_looping_call_new_full(reactor, loop_quietly, data, token_free);
    for (int i = 0; i < 2; i++) {
        start(looping_call, 1, 1);
        CHECK_OK(lariat_looping_call_stop(looping_call));
        CHECK_NOTES("loop stopped");
        CHECK(token_alive(data));
    }
    CHECK_OK(lariat_looping_call_free(looping_call));
    CHECK(!token_alive(data));
    reactor_done(reactor);
}

TEST(s23_it_ends_with_the_reactor) { /* FAILURES 12 */
    lariat_reactor *reactor = manual_reactor();
    lariat_looping_call *looping_call = lariat_looping_call_new_full(reactor, loop_quietly, token_new("loop"), token_free);
    start(looping_call, 1, 0);
    free_reactor(reactor);
    CHECK(strcmp(test_notes.text, "failed!CLOSED") == 0 || strcmp(test_notes.text, "failed!CANCELLED") == 0);
    notes_clear();
    CHECK_INT(tokens_alive(), 0);
}

/* ---- cooperator ---- */

struct work {
    const char *name;
    int steps; /* until it is done */
    lariat_status end;
};

static lariat_status step(lariat_cooperative_task *task, void *user_data) {
    struct work *work = user_data;
    (void)task;
    note("%s%d", work->name, work->steps);
    return --work->steps > 0 ? LARIAT_MORE : work->end;
}

static void *note_done(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)value;
    if (failure) note("%s!%s", (char *)user_data, failure_label(failure));
    else note("%s:done", (char *)user_data);
    return NULL;
}

static void when_done(lariat_cooperative_task *task, const char *name) {
    lariat_deferred *done = lariat_cooperative_task_when_done(task);
    CHECK(done != NULL);
    CHECK_OK(lariat_deferred_add_both(done, note_done, (void *)(uintptr_t)name));
    CHECK_OK(lariat_deferred_release(done));
}

TEST(s23_a_cooperator_shares_the_loop_between_tasks) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0); /* one step a turn */
    struct work a = {"a", 3, LARIAT_OK}, b = {"b", 2, LARIAT_OK};
    when_done(lariat_cooperator_cooperate(cooperator, step, &a), "a");
    when_done(lariat_cooperator_cooperate(cooperator, step, &b), "b");
    CHECK_NOTES(""); /* never at once */
    turn(reactor);
    CHECK_NOTES("a3");
    turn(reactor);
    CHECK_NOTES("b2");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 0);
    turns(reactor, 3);
    CHECK_NOTES("a2 b1 b:done a1 a:done");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY); /* at rest it asks for nothing */
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

TEST(s23_with_a_budget_a_turn_makes_many_steps) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 1000);
    struct work a = {"a", 2, LARIAT_OK}, b = {"b", 2, LARIAT_OK};
    when_done(lariat_cooperator_cooperate(cooperator, step, &a), "a");
    when_done(lariat_cooperator_cooperate(cooperator, step, &b), "b");
    turn(reactor);
    CHECK_NOTES("a2 b2 a1 a:done b1 b:done"); /* by turns all the same */
    CHECK_OK(lariat_cooperator_free(cooperator));
    CHECK_NULL(lariat_cooperator_new(reactor, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_cooperator_new(reactor, -1), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(s23_a_task_that_fails_ends_alone) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    struct work a = {"a", 1, 42}, b = {"b", 2, LARIAT_OK};
    when_done(lariat_cooperator_cooperate(cooperator, step, &a), "a");
    when_done(lariat_cooperator_cooperate(cooperator, step, &b), "b");
    turns(reactor, 3);
    CHECK_NOTES("a1 a!42 b2 b1 b:done");
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

TEST(s23_a_task_can_be_paused_and_resumed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    struct work a = {"a", 3, LARIAT_OK};
    lariat_cooperative_task *task = lariat_cooperator_cooperate(cooperator, step, &a);
    when_done(task, "a");
    turn(reactor);
    CHECK_NOTES("a3");
    CHECK_OK(lariat_cooperative_task_pause(task));
    CHECK_OK(lariat_cooperative_task_pause(task)); /* counts */
    CHECK_OK(lariat_cooperative_task_resume(task));
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    CHECK_OK(lariat_cooperative_task_resume(task));
    CHECK_STATUS(lariat_cooperative_task_resume(task), LARIAT_ERR_INVALID_STATE);
    turns(reactor, 2);
    CHECK_NOTES("a2 a1 a:done");
    CHECK_STATUS(lariat_cooperative_task_pause(task), LARIAT_ERR_STALE_HANDLE); /* its natural end */
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

TEST(s23_a_paused_task_lets_the_others_go_on) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    struct work a = {"a", 2, LARIAT_OK}, b = {"b", 3, LARIAT_OK};
    lariat_cooperative_task *task = lariat_cooperator_cooperate(cooperator, step, &a);
    when_done(task, "a");
    when_done(lariat_cooperator_cooperate(cooperator, step, &b), "b");
    turns(reactor, 2);
    CHECK_OK(lariat_cooperative_task_pause(task));
    turns(reactor, 4);
    CHECK_NOTES("a2 b3 b2 b1 b:done");
    CHECK_OK(lariat_cooperative_task_resume(task));
    turn(reactor);
    CHECK_NOTES("a1 a:done");
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

TEST(s23_a_task_that_is_stopped_is_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    struct work a = {"a", 3, LARIAT_OK};
    token *data = token_new("never called");
    lariat_cooperative_task *task = lariat_cooperator_cooperate(cooperator, step, &a);
    when_done(task, "one");
    when_done(task, "two");
    turn(reactor);
    CHECK_OK(lariat_cooperative_task_stop(task));
    CHECK_NOTES("a3 one!CANCELLED two!CANCELLED");
    CHECK_STATUS(lariat_cooperative_task_stop(task), LARIAT_ERR_STALE_HANDLE);
    task = lariat_cooperator_cooperate_full(cooperator, step, data, token_free);
    CHECK_OK(lariat_cooperative_task_stop(task)); /* nobody asked when it is done: nothing to report */
    CHECK(!token_alive(data));
    turns(reactor, 2);
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

/* A step that waits for a Deferred, and then is done. */
struct waiting {
    lariat_deferred *other;
};

static lariat_status step_waits(lariat_cooperative_task *task, void *user_data) {
    struct waiting *waiting = user_data;
    lariat_deferred *other = waiting->other;
    waiting->other = NULL;
    note(other ? "waits" : "goes on");
    if (!other) return LARIAT_OK;
    CHECK_OK(lariat_cooperative_task_wait_for(task, other));
    return LARIAT_MORE;
}

TEST(s23_a_step_may_wait_for_a_deferred) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    struct waiting good = {lariat_deferred_new(reactor)}, bad = {lariat_deferred_new(reactor)};
    lariat_deferred *first = good.other, *second = bad.other;
    when_done(lariat_cooperator_cooperate(cooperator, step_waits, &good), "good");
    when_done(lariat_cooperator_cooperate(cooperator, step_waits, &bad), "bad");
    turns(reactor, 4);
    CHECK_NOTES("waits waits");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    CHECK_OK(lariat_deferred_callback_full(first, token_new("unused"), token_free));
    CHECK_NOTES(""); /* its step comes on a turn */
    turn(reactor);
    CHECK_NOTES("goes on good:done");
    CHECK_OK(lariat_deferred_errback(second, 7, NULL));
    CHECK_NOTES("bad!7");
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

TEST(s23_only_a_step_may_wait) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    struct work a = {"a", 1, LARIAT_OK};
    lariat_cooperative_task *task = lariat_cooperator_cooperate(cooperator, step, &a);
    lariat_deferred *other = lariat_deferred_new(reactor);
    CHECK_STATUS(lariat_cooperative_task_wait_for(task, other), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_deferred_callback(other, NULL));
    CHECK_OK(lariat_deferred_release(other)); /* still ours */
    turn(reactor);
    CHECK_NOTES("a1");
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

static lariat_status stop_myself(lariat_cooperative_task *task, void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_cooperative_task_stop(task));
    return LARIAT_MORE;
}

TEST(s23_a_task_may_stop_itself) { /* FAILURES 8 */
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    token *data = token_new("step");
    when_done(lariat_cooperator_cooperate_full(cooperator, stop_myself, data, token_free), "task");
    turns(reactor, 2);
    CHECK_NOTES("step task!CANCELLED");
    CHECK(!token_alive(data));
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

TEST(s23_when_a_cooperator_is_freed_its_tasks_end_with_closed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    struct work a = {"a", 3, LARIAT_OK};
    struct waiting waiting = {lariat_deferred_new(reactor)};
    lariat_deferred *other = waiting.other;
    token *late = token_new("late");
    when_done(lariat_cooperator_cooperate(cooperator, step, &a), "a");
    when_done(lariat_cooperator_cooperate(cooperator, step_waits, &waiting), "b");
    turns(reactor, 2);
    CHECK_NOTES("a3 waits");
    CHECK_OK(lariat_cooperator_free(cooperator));
    CHECK_NOTES("a!CLOSED b!CLOSED");
    CHECK_OK(lariat_deferred_callback_full(other, late, token_free)); /* nobody waits for it any more */
    CHECK(!token_alive(late));
    turns(reactor, 2);
    CHECK_NULL(lariat_cooperator_cooperate_full(cooperator, step, token_new("refused"), token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

/* ---- defer_later ---- */

TEST(defer_later_fires_with_what_its_function_gives) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *inner = lariat_deferred_new(reactor);
    end_with_note(lariat_reactor_defer_later(reactor, 1, replace, "x"), "value");
    end_with_note(lariat_reactor_defer_later(reactor, 2, fail_7, "fn"), "failure");
    end_with_note(lariat_reactor_defer_later(reactor, 3, wait_for_it, inner), "waited");
    end_with_note(lariat_reactor_defer_later(reactor, 4, NULL, NULL), "nothing");
    end_with_note(lariat_reactor_defer_later_full(reactor, 5, note_value, token_new("fn"), token_free), "owned");
    end_with_note(lariat_reactor_defer_later(reactor, 0, NULL, NULL), "at 0");
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("at 0=-");
    advance(reactor, 5);
    CHECK_NOTES("value=x fn:fails failure!7 nothing=- fn=- owned=-");
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_deferred_callback(inner, "y"));
    CHECK_NOTES("waited=y");
    reactor_done(reactor);
}

TEST(defer_later_cancelled_never_calls_and_leaves_no_timer) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("not called");
    lariat_deferred *d = lariat_reactor_defer_later_full(reactor, 1, note_value, data, token_free);
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("d!CANCELLED");
    CHECK(!token_alive(data));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    advance(reactor, 2);
    reactor_done(reactor);
}

TEST(defer_later_cancelled_after_the_time_cancels_what_it_waits_for) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *inner = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "inner");
    lariat_deferred *d = lariat_reactor_defer_later(reactor, 1, wait_for_it, inner);
    end_with_note(d, "d");
    advance(reactor, 1);
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("cancel:inner d!CANCELLED");
    reactor_done(reactor);
}

TEST(defer_later_owns_its_user_data_also_when_it_fails) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_NULL(lariat_reactor_defer_later_full(reactor, NAN, note_value, token_new("a"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_defer_later_full(NULL, 1, note_value, token_new("b"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 0);
    CHECK(lariat_reactor_defer_later_full(reactor, 1, note_value, token_new("c"), token_free) != NULL);
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
    CHECK(test_notes.text[0] == 0 || strncmp(test_notes.text, "unhandled!C", 11) == 0); /* cancelled or closed, and nobody looked */
    notes_clear();
}
