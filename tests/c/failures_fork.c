/* FAILURES.md, row 32: fork without exec. The child gets LARIAT_ERR_FORKED, the parent's polling is untouched. */
#include "every_kind.h"

/* ---- every handle of the parent ---------------------------------------------------------------------------------------------------- */

/* NULL and what is no handle come first; then it does not matter whose, of which kind, or over. */
static void look_at_the_parents(void *argument) {
    every_kind *every = argument;
    for (int expected = 0; expected < KINDS; expected++) {
        CHECK_STATUS(look_at(expected, NULL), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(look_at(expected, (void *)(uintptr_t)0xdeadbeefcafebabe), LARIAT_ERR_INVALID_HANDLE);
        for (int given = 0; given < KINDS; given++) CHECK_STATUS(look_at(expected, every->of[given]), LARIAT_ERR_FORKED);
    }
}

static void *look_from_a_thread(void *argument) {
    look_at_the_parents(argument);
    return NULL;
}

static void look_from_a_childs_thread(void *argument) { thread_join(thread_start(look_from_a_thread, argument)); }

TEST(f32_every_handle_says_forked) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_INT(run_in_child(look_at_the_parents, &every), 0);
    for (int kind = 0; kind < KINDS; kind++)
        if (kind != KIND_TRIGGER && kind != KIND_COOPERATIVE_TASK && kind != KIND_SCOPE && kind != KIND_COOPERATOR)
            CHECK_OK(look_at(kind, every.of[kind]));
    every_kind_end(&every);
    CHECK_INT(run_in_child(look_at_the_parents, &every), 0); /* what is over, and the reactor */
    reactor_done(reactor);
}

TEST(f32_forked_comes_before_the_thread) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_INT(run_in_child(look_from_a_childs_thread, &every), 0);
    every_kind_end(&every);
    reactor_done(reactor);
}

static lariat_deferred *quiet_blocking(lariat_reactor *reactor, void *user_data) {
    (void)reactor;
    (void)user_data;
    return NULL;
}

/* Nothing is queued, and what was given is freed here. */
static void call_as_any_thread(void *argument) {
    every_kind *every = argument;
    lariat_reactor *reactor = every->of[KIND_REACTOR];
    lariat_deferred *deferred = every->of[KIND_DEFERRED];
    void *value;
    token *call = token_new("call"), *fire = token_new("fire"), *soon = token_new("soon");
    const lariat_status want = LARIAT_ERR_FORKED;
    CHECK_STATUS(lariat_reactor_call_from_thread(reactor, quiet_call, NULL), want);
    CHECK_STATUS(lariat_reactor_call_from_thread_full(reactor, quiet_call, call, token_free), want);
    CHECK_FREED(call);
    CHECK_STATUS(lariat_reactor_call_from_thread_event(reactor, 7), want);
    CHECK_STATUS(lariat_deferred_callback_from_thread(deferred, NULL), want);
    CHECK_STATUS(lariat_deferred_callback_from_thread_full(deferred, fire, token_free), want);
    CHECK_FREED(fire);
    CHECK_STATUS(lariat_deferred_errback_from_thread(deferred, 7, NULL), want);
    CHECK_STATUS(lariat_deferred_abandon_from_thread(deferred), want);
    CHECK_STATUS(lariat_deferred_release_from_thread(deferred), want);
    CHECK_STATUS(lariat_reactor_stop_from_thread(reactor), want);
    CHECK_STATUS(lariat_reactor_adopt(reactor), want);
    CHECK_STATUS(lariat_reactor_blocking_call(reactor, INFINITY, quiet_blocking, NULL, &value), want);
    CHECK_STATUS(lariat_reactor_call_soon_full(reactor, quiet_call, soon, token_free), want);
    CHECK_FREED(soon);
}

TEST(f32_calls_that_any_thread_may_make) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_INT(run_in_child(call_as_any_thread, &every), 0);
    turns(reactor, 2);
    CHECK_INT(lariat_deferred_called(every.of[KIND_DEFERRED]), 0);
    every_kind_end(&every);
    reactor_done(reactor);
}

/* ---- the child's own ------------------------------------------------------------------------------------------------------------------- */

static void *job(lariat_job *one, void *user_data) {
    (void)one;
    return user_data;
}

/* A reactor of the child's works in every way, and the parent's handles never become its own. */
static void use_its_own(void *argument) {
    every_kind *parents = argument;
    for (int round = 0; round < 3; round++) {
        lariat_reactor *reactor = manual_reactor();
        every_kind every = every_kind_new(reactor);
        if (parents) look_at_the_parents(parents);
        for (int kind = 0; kind < KINDS; kind++) CHECK(!parents || every.of[kind] != parents->of[kind]);
        every_kind_end(&every);
        reactor_done(reactor);
        reactor = real_reactor();
        end_with_note(lariat_reactor_defer_to_thread(reactor, job, "value"), "job");
        CHECK(lariat_reactor_call_later(reactor, 0, note_call, "timer") != NULL);
        CHECK_OK(lariat_reactor_call_from_thread(reactor, note_call, "thread"));
        CHECK_OK(lariat_reactor_run_until_idle(reactor));
        reactor_done(reactor);
        CHECK(strstr(test_notes.text, "job=value") && strstr(test_notes.text, "timer") && strstr(test_notes.text, "thread"));
        test_notes.length = 0;
        test_notes.text[0] = 0;
        if (parents) look_at_the_parents(parents);
    }
}

TEST(f32_a_child_makes_its_own) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_INT(run_in_child(use_its_own, &every), 0);
    every_kind_end(&every);
    reactor_done(reactor);
}

static void use_then_fork(void *argument) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_INT(run_in_child(use_its_own, &every), 0);
    CHECK_INT(run_in_child(use_its_own, argument), 0);
    look_at_the_parents(argument);
    every_kind_end(&every);
    reactor_done(reactor);
}

/* For a grandchild, the child's handles are those of a parent, and the grandparent's too. */
TEST(f32_a_grandchild) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_INT(run_in_child(use_then_fork, &every), 0);
    every_kind_end(&every);
    reactor_done(reactor);
}

TEST(f32_forked_before_anything_was_made) {
    CHECK_INT(run_in_child(use_its_own, NULL), 0);
    use_its_own(NULL);
}

TEST(f32_forked_after_everything_was_freed) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    every_kind_end(&every);
    reactor_done(reactor);
    CHECK_INT(run_in_child(use_its_own, &every), 0);
}

/* ---- the parent goes on ------------------------------------------------------------------------------------------------------------------ */

typedef struct parent {
    lariat_reactor *reactor;
    lariat_watcher *watcher;
    int ends[2];
} parent;

static void read_noted(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    parent *one = user_data;
    (void)watcher;
    CHECK_INT(readiness, LARIAT_READABLE);
    note("read-%c", read_byte(one->ends[0]));
}

/* Does to the parent's reactor what a child that knows no better would do: frees it, and closes what it inherited. */
static void meddle(void *argument) {
    parent *one = argument;
    CHECK_STATUS(lariat_watcher_stop(one->watcher), LARIAT_ERR_FORKED);
    CHECK_STATUS(lariat_reactor_free(one->reactor), LARIAT_ERR_FORKED);
    lariat_reactor *own = manual_reactor();
    lariat_watcher *watcher = lariat_reactor_watch(own, one->ends[0], LARIAT_READABLE, quiet_ready, NULL);
    CHECK(watcher != NULL);
    CHECK_OK(lariat_watcher_stop(watcher));
    turn(own);
    reactor_done(own);
    pipe_close(one->ends);
}

static void meddle_and_exit(void *argument) {
    meddle(argument);
    exit(42);
}

static parent parent_new(lariat_reactor *reactor) {
    parent one = {.reactor = reactor};
    pipe_new(one.ends);
    return one;
}

TEST(f32_the_parents_polling_is_untouched) {
    parent one = parent_new(manual_reactor());
    one.watcher = lariat_reactor_watch(one.reactor, one.ends[0], LARIAT_READABLE, read_noted, &one);
    CHECK(lariat_reactor_call_later(one.reactor, 1, note_call, "timer") != NULL);
    for (int round = 0; round < 3; round++) {
        CHECK_INT(run_in_child(meddle, &one), 0);
        write_bytes(one.ends[1], "x");
        turns(one.reactor, 2);
        CHECK_NOTES("read-x");
    }
    advance(one.reactor, 1);
    CHECK_NOTES("timer");
    CHECK_OK(lariat_watcher_stop(one.watcher));
    turn(one.reactor);
    reactor_done(one.reactor);
    pipe_close(one.ends);
}

TEST(f32_a_child_leaves_by_exit) {
    parent one = parent_new(manual_reactor());
    one.watcher = lariat_reactor_watch(one.reactor, one.ends[0], LARIAT_READABLE, read_noted, &one);
    exits_in_child(meddle_and_exit, &one);
    write_bytes(one.ends[1], "x");
    turns(one.reactor, 2);
    CHECK_NOTES("read-x");
    CHECK_OK(lariat_watcher_stop(one.watcher));
    turn(one.reactor);
    reactor_done(one.reactor);
    pipe_close(one.ends);
}

static void meddle_inside(void *argument) {
    parent *one = argument;
    CHECK_STATUS(lariat_reactor_call_soon(one->reactor, quiet_call, NULL), LARIAT_ERR_FORKED);
    CHECK_STATUS(lariat_reactor_stop(one->reactor), LARIAT_ERR_FORKED);
    CHECK_NULL(lariat_deferred_new(one->reactor), LARIAT_ERR_FORKED);
    meddle(argument);
}

static void fork_inside(void *user_data) {
    CHECK_INT(run_in_child(meddle_inside, user_data), 0);
    note("forked");
}

TEST(f32_forked_inside_a_callback) {
    parent one = parent_new(manual_reactor());
    one.watcher = lariat_reactor_watch(one.reactor, one.ends[0], LARIAT_READABLE, read_noted, &one);
    CHECK_OK(lariat_reactor_call_soon(one.reactor, fork_inside, &one));
    CHECK_OK(lariat_reactor_call_soon(one.reactor, note_call, "after"));
    write_bytes(one.ends[1], "x");
    turns(one.reactor, 2);
    CHECK_NOTES("forked after read-x");
    CHECK_OK(lariat_watcher_stop(one.watcher));
    turn(one.reactor);
    reactor_done(one.reactor);
    pipe_close(one.ends);
}

static gate job_runs = GATE_CLOSED, job_may_end = GATE_CLOSED;

static void *job_until_gate(lariat_job *one, void *user_data) {
    (void)one;
    gate_open(&job_runs);
    gate_wait(&job_may_end);
    return user_data;
}

/* The pool's threads are not in the child; its own pool starts its own. */
TEST(f32_forked_while_a_job_runs) {
    lariat_reactor *reactor = real_reactor();
    every_kind every = every_kind_new(reactor);
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_until_gate, "value"), "job");
    gate_wait(&job_runs);
    CHECK_INT(run_in_child(use_its_own, &every), 0);
    gate_open(&job_may_end);
    every_kind_end(&every);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("job=value");
    reactor_done(reactor);
}
