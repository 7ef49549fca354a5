/* Driving the reactor: SEMANTICS 19 (the part that needs no other thread), 20 and 22, and DESIGN 7: turns, frames, next_deadline,
 * backend_fd, advance. System event triggers (21) are in semantics_triggers.c. */
#include "harness.h"
#ifndef _WIN32
#include <poll.h>
#endif

static void stop(void *user_data) {
    note("stop");
    CHECK_OK(lariat_reactor_stop(*(lariat_reactor **)user_data));
}

static void crash(void *user_data) {
    note("crash");
    CHECK_OK(lariat_reactor_crash(*(lariat_reactor **)user_data));
}

static lariat_deferred *note_trigger(void *user_data) {
    note("%s", (char *)user_data);
    return NULL;
}

static void on_shutdown(lariat_reactor *reactor, char *name) {
    CHECK(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, note_trigger, name) != NULL);
}

/* ---- a turn ---- */

#ifndef _WIN32
static void note_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    note("%s", (char *)user_data);
    CHECK_OK(lariat_watcher_stop(watcher));
}

TEST(a_turn_is_queued_calls_then_timers_then_io) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    CHECK(lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE, note_ready, "io") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "timer") != NULL);
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    turn(reactor);
    CHECK_NOTES("soon timer io");
    pipe_close(ends);
    reactor_done(reactor);
}
#endif

static void soon_again(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("again");
    CHECK_OK(lariat_reactor_call_soon(reactor, soon_again, user_data));
}

TEST(a_turn_makes_the_soon_calls_that_were_there_when_it_began) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, soon_again, &reactor));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "b"));
    CHECK_INT(reactor_stats(reactor).soon_calls, 2);
    turn(reactor);
    CHECK_NOTES("again b");
    turn(reactor);
    CHECK_NOTES("again");
    free_reactor(reactor);
}

TEST(turns_are_counted) {
    lariat_reactor *reactor = manual_reactor();
    uint64_t before = reactor_stats(reactor).turns;
    turns(reactor, 5);
    CHECK_INT(reactor_stats(reactor).turns - before, 5);
    reactor_done(reactor);
}

/* ---- 19: calls from threads, made on the reactor's own ---- */

static void call_from_own_thread(void *user_data) {
    note("<");
    CHECK_OK(lariat_reactor_call_from_thread(*(lariat_reactor **)user_data, note_call, "from inside"));
    note(">");
}

TEST(s19_a_call_from_the_reactors_own_thread_waits_for_the_next_turn) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("b");
    CHECK_OK(lariat_reactor_call_from_thread(reactor, note_call, "a"));
    CHECK_OK(lariat_reactor_call_from_thread_full(reactor, note_call, data, token_free));
    CHECK_OK(lariat_reactor_call_from_thread(reactor, call_from_own_thread, &reactor));
    CHECK_NOTES("");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 0);
    turn(reactor);
    CHECK_NOTES("a b < >");
    CHECK(!token_alive(data));
    turn(reactor);
    CHECK_NOTES("from inside");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    reactor_done(reactor);
}

/* ---- 20: run, stop, crash, and again ---- */

TEST(s20_run_returns_only_after_stop) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    CHECK(lariat_reactor_call_later(reactor, 0.002, note_call, "later") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0.005, stop, &reactor) != NULL);
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("soon later stop");
    reactor_done(reactor);
}

TEST(s20_the_turn_in_progress_finishes) {
    lariat_reactor *reactor = real_reactor();
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "timer") != NULL);
    CHECK_OK(lariat_reactor_call_soon(reactor, stop, &reactor));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    on_shutdown(reactor, "shutdown");
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("stop soon timer shutdown");
    reactor_done(reactor);
}

TEST(s20_stop_before_run_and_twice_is_an_error) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_STATUS(lariat_reactor_stop(reactor), LARIAT_ERR_NOT_RUNNING);
    turn(reactor);
    CHECK_OK(lariat_reactor_stop(reactor));
    CHECK_STATUS(lariat_reactor_stop(reactor), LARIAT_ERR_NOT_RUNNING);
    turn_until_stopped(reactor);
    CHECK_STATUS(lariat_reactor_stop(reactor), LARIAT_ERR_NOT_RUNNING);
    reactor_done(reactor);
}

TEST(s20_running_says_whether_it_does) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_INT(lariat_reactor_running(reactor), 0);
    turn(reactor);
    CHECK_INT(lariat_reactor_running(reactor), 1);
    stop_reactor(reactor);
    CHECK_INT(lariat_reactor_running(reactor), 0);
    CHECK_STATUS(lariat_reactor_running(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(s20_it_may_run_again_after_stop) {
    lariat_reactor *reactor = real_reactor();
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "running"));
        CHECK_OK(lariat_reactor_call_soon(reactor, stop, &reactor));
        CHECK_OK(lariat_reactor_run(reactor));
        CHECK_NOTES("running stop");
        CHECK_INT(lariat_reactor_running(reactor), 0);
    }
    reactor_done(reactor);
}

static void stop_with_more_to_do(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "left over"));
    CHECK(lariat_reactor_call_later(reactor, 0, stop, user_data) != NULL);
    stop(user_data);
}

TEST(s20_what_is_left_over_waits_for_the_next_run) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, stop_with_more_to_do, &reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("stop");
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("left over stop");
    reactor_done(reactor);
}

TEST(s20_crash_returns_without_the_shutdown_triggers) {
    lariat_reactor *reactor = real_reactor();
    on_shutdown(reactor, "shutdown");
    CHECK_OK(lariat_reactor_call_soon(reactor, crash, &reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("crash");
    CHECK_INT(lariat_reactor_running(reactor), 0);
    CHECK_OK(lariat_reactor_call_soon(reactor, stop, &reactor)); /* and runs again; the trigger is still there */
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("stop shutdown");
    reactor_done(reactor);
}

TEST(s20_run_until_idle_with_nothing_to_do_returns) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "running"));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("running");
    reactor_done(reactor);
}

TEST(s20_stop_ends_run_until_idle_as_well) {
    lariat_reactor *reactor = real_reactor();
    on_shutdown(reactor, "shutdown");
    CHECK_OK(lariat_reactor_call_soon(reactor, soon_again, &reactor)); /* it would never be idle */
    CHECK_OK(lariat_reactor_call_soon(reactor, stop, &reactor));
    CHECK(lariat_reactor_run_until_idle(reactor) >= LARIAT_OK);
    CHECK_NOTES("again stop shutdown");
    free_reactor(reactor);
}

static lariat_deferred *three_times(lariat_looping_call *looping_call, void *user_data) {
    int *left = user_data;
    note("loop");
    if (--*left == 0) CHECK_OK(lariat_looping_call_stop(looping_call));
    return NULL;
}

TEST(s20_run_until_idle_waits_for_all_that_may_call_back) {
    lariat_reactor *reactor = real_reactor();
    int left = 3;
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, three_times, &left);
    lariat_deferred *unfired = lariat_deferred_new(reactor); /* this does not count: nobody here will fire it */
    CHECK_OK(lariat_deferred_release(lariat_looping_call_start(looping_call, 0.1, 0)));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    end_with_note(lariat_reactor_defer_later(reactor, 0.001, NULL, NULL), "deferred");
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("soon deferred=- loop loop loop");
    CHECK(lariat_reactor_call_later(reactor, 0.001, note_call, "again") != NULL);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("again");
    CHECK_OK(lariat_looping_call_free(looping_call));
    CHECK_OK(lariat_deferred_callback(unfired, NULL));
    CHECK_OK(lariat_deferred_release(unfired));
    reactor_done(reactor);
}

/* FAILURES 10 */
static void drive_from_inside(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("inside");
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_run_until_idle(reactor), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_run_frame(reactor, 0), LARIAT_ERR_REENTRANT);
    CHECK_STATUS(lariat_reactor_free(reactor), LARIAT_ERR_BUSY);
}

TEST(s20_no_turn_inside_a_turn) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, drive_from_inside, &reactor));
    CHECK(lariat_reactor_call_later(reactor, 0, stop, &reactor) != NULL);
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("inside stop");
    reactor_done(reactor);
}

/* ---- 22: call_when_running ---- */

static void when_running_from_inside(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    token *data = token_new("at once, owned");
    note("<");
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "at once"));
    CHECK_OK(lariat_reactor_call_when_running_full(reactor, note_call, data, token_free));
    CHECK(!token_alive(data));
    note(">");
}

TEST(s22_call_when_running_waits_for_the_run) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("b");
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "a"));
    CHECK_OK(lariat_reactor_call_when_running_full(reactor, note_call, data, token_free));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("a b soon"); /* starting comes before the first turn */
    CHECK(!token_alive(data));
    turns(reactor, 2);
    CHECK_NOTES("");
    reactor_done(reactor);
}

TEST(s22_while_running_it_calls_at_once) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, when_running_from_inside, &reactor));
    turn(reactor);
    CHECK_NOTES("< at once at once, owned >");
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "between turns"));
    CHECK_NOTES("between turns");
    reactor_done(reactor);
}

TEST(s22_after_a_stop_it_waits_for_the_next_run) {
    lariat_reactor *reactor = manual_reactor();
    turn(reactor);
    stop_reactor(reactor);
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "a"));
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("a");
    CHECK_STATUS(lariat_reactor_call_when_running_full(reactor, NULL, token_new("refused"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

/* ---- frames ---- */

TEST(frame_carries_the_rest_over_in_order) {
    lariat_reactor *reactor = manual_reactor();
    static char *const names[] = {"a", "b", "c", "d", "e"};
    lariat_status status = LARIAT_MORE;
    uint64_t left = 6;
    for (int i = 0; i < 5; i++) CHECK_OK(lariat_reactor_call_soon(reactor, note_call, names[i]));
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "timer") != NULL);
    for (int frame = 0; status == LARIAT_MORE; frame++) {
        status = lariat_reactor_run_frame(reactor, 0); /* no time at all: at least one item all the same */
        lariat_stats stats = reactor_stats(reactor);
        CHECK(stats.soon_calls + stats.delayed_calls < left);
        left = stats.soon_calls + stats.delayed_calls;
        if (frame == 0) CHECK(left > 0);
        CHECK_INT(status, left ? LARIAT_MORE : LARIAT_OK);
    }
    CHECK_NOTES("a b c d e timer");
    CHECK_OK(lariat_reactor_run_frame(reactor, 0)); /* nothing to do, nothing to wait for */
    reactor_done(reactor);
}

TEST(frame_with_a_long_budget_does_all_that_is_there) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "a"));
    CHECK_OK(lariat_reactor_call_soon(reactor, soon_again, &reactor)); /* what it adds is for the next frame */
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "b"));
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "not yet") != NULL);
    CHECK(lariat_reactor_run_frame(reactor, 1000) >= LARIAT_OK);
    CHECK_NOTES("a again b");
    free_reactor(reactor);
}

TEST(frame_starts_and_stops_the_reactor) {
    lariat_reactor *reactor = manual_reactor();
    on_shutdown(reactor, "shutdown");
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "running"));
    CHECK_OK(lariat_reactor_run_frame(reactor, 1000));
    CHECK_NOTES("running");
    CHECK_OK(lariat_reactor_stop(reactor));
    lariat_status status = LARIAT_OK;
    for (int i = 0; i < 10 && status != LARIAT_STOPPED; i++) CHECK((status = lariat_reactor_run_frame(reactor, 1000)) >= LARIAT_OK);
    CHECK_STATUS(status, LARIAT_STOPPED);
    CHECK_NOTES("shutdown");
    reactor_done(reactor);
}

TEST(frame_and_iterate_check_their_seconds) { /* FAILURES 18 */
    lariat_reactor *reactor = manual_reactor();
    CHECK_STATUS(lariat_reactor_run_frame(reactor, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_run_frame(reactor, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_iterate(reactor, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_iterate(reactor, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(lariat_reactor_running(reactor), 0);
    reactor_done(reactor);
}

/* ---- iterate ---- */

TEST(iterate_waits_no_longer_than_to_the_next_deadline) {
    lariat_reactor *reactor = real_reactor();
    lariat_status status = LARIAT_OK;
    double begin = lariat_reactor_seconds(reactor);
    CHECK(lariat_reactor_call_later(reactor, 0.005, stop, &reactor) != NULL);
    while (status == LARIAT_OK) status = lariat_reactor_iterate(reactor, INFINITY);
    CHECK_STATUS(status, LARIAT_STOPPED);
    CHECK_NOTES("stop");
    CHECK(lariat_reactor_seconds(reactor) - begin >= 0.005); /* never early */
    reactor_done(reactor);
}

/* ---- the manual clock ---- */

static void advance_from_inside(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("inside");
    CHECK_STATUS(lariat_reactor_advance(reactor, 1), LARIAT_ERR_REENTRANT);
}

TEST(manual_clock_only_advance_moves_it) {
    lariat_reactor *reactor = manual_reactor();
    double begin = lariat_reactor_seconds(reactor);
    CHECK_OK(lariat_reactor_iterate(reactor, 5));        /* does not wait */
    CHECK_OK(lariat_reactor_iterate(reactor, INFINITY)); /* nor for ever */
    CHECK_NEAR(lariat_reactor_seconds(reactor), begin);
    advance(reactor, 2.5);
    CHECK_NEAR(lariat_reactor_seconds(reactor), begin + 2.5);
    advance(reactor, 0);
    CHECK_NEAR(lariat_reactor_seconds(reactor), begin + 2.5);
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_reactor_advance(reactor, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_advance(reactor, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_advance(reactor, INFINITY), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_reactor_call_soon(reactor, advance_from_inside, &reactor));
    turn(reactor);
    CHECK_NOTES("inside");
    reactor_done(reactor);
}

TEST(manual_clock_advance_makes_turns) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "running"));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    advance(reactor, 1); /* though no deadline is due */
    CHECK_NOTES("running soon");
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "timer") != NULL);
    advance(reactor, 0);
    CHECK_NOTES("soon timer");
    reactor_done(reactor);
}

TEST(manual_clock_advance_is_for_the_manual_clock) {
    lariat_reactor *reactor = real_reactor();
    CHECK_STATUS(lariat_reactor_advance(reactor, 1), LARIAT_ERR_INVALID_STATE);
    reactor_done(reactor);
}

/* ---- next_deadline and backend_fd: riding another loop ---- */

TEST(next_deadline_says_how_long_to_wait) {
    lariat_reactor *reactor = manual_reactor();
    turn(reactor);
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    lariat_delayed_call *five = lariat_reactor_call_later(reactor, 5, note_call, "five");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 5);
    lariat_delayed_call *three = lariat_reactor_call_later(reactor, 3, note_call, "three");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 3);
    advance(reactor, 1);
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 2);
    CHECK_OK(lariat_delayed_call_cancel(three));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 4);
    CHECK_OK(lariat_delayed_call_delay(five, 3));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 7);
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 0);
    turn(reactor);
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 7);
    CHECK_OK(lariat_reactor_call_from_thread(reactor, note_call, "thread"));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 0);
    advance(reactor, 7);
    CHECK_NOTES("soon thread five");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    CHECK(isnan(lariat_reactor_next_deadline(NULL)));
    CHECK(isnan(lariat_reactor_seconds(NULL)));
    reactor_done(reactor);
}

TEST(next_deadline_is_0_while_there_is_work) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "running"));
    turn(reactor);
    CHECK_NOTES("running");
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "due") != NULL);
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 0);
    turn(reactor);
    CHECK_NOTES("due");
    CHECK_OK(lariat_reactor_stop(reactor)); /* the shutdown is work, too */
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 0);
    turn_until_stopped(reactor);
    reactor_done(reactor);
}

#ifndef _WIN32
static int readable(int fd, int milliseconds) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, milliseconds) == 1;
}

/* As a host's loop would: wait on the descriptor, for as long as the reactor says, and then let it turn. */
static void ride(lariat_reactor *reactor, int fd) {
    double wait = lariat_reactor_next_deadline(reactor);
    readable(fd, isinf(wait) || wait > 10 ? 10000 : (int)(wait * 1000) + 1);
    turn(reactor);
}

TEST(backend_fd_is_readable_when_there_is_work) {
    lariat_reactor *reactor = real_reactor();
    int fd = -1, ends[2];
    pipe_new(ends);
    CHECK_OK(lariat_reactor_backend_fd(reactor, &fd));
    CHECK(fd >= 0);
    turn(reactor);
    CHECK(!readable(fd, 0));
    CHECK_OK(lariat_reactor_call_from_thread(reactor, note_call, "thread"));
    CHECK(readable(fd, 10000));
    turn(reactor);
    CHECK_NOTES("thread");
    CHECK(lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE, note_ready, "io") != NULL);
    turn(reactor);
    CHECK(!readable(fd, 0));
    write_bytes(ends[1], "x");
    CHECK(readable(fd, 10000));
    turn(reactor);
    CHECK_NOTES("io");
    CHECK_STATUS(lariat_reactor_backend_fd(reactor, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    pipe_close(ends);
    reactor_done(reactor);
}

#ifdef __linux__
TEST(backend_fd_is_readable_for_timers_and_queued_calls_too) {
    lariat_reactor *reactor = real_reactor();
    int fd = -1;
    CHECK_OK(lariat_reactor_backend_fd(reactor, &fd));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    CHECK(readable(fd, 10000));
    turn(reactor);
    CHECK_NOTES("soon");
    CHECK(!readable(fd, 0));
    lariat_delayed_call *later = lariat_reactor_call_later(reactor, 0.01, note_call, "later");
    CHECK(readable(fd, 10000)); /* waits for the timer, without asking next_deadline */
    for (int i = 0; i < 1000 && lariat_delayed_call_active(later) == 1; i++) CHECK(readable(fd, 10000)), turn(reactor);
    CHECK_NOTES("later");
    CHECK(!readable(fd, 0));
    reactor_done(reactor);
}
#endif

static void *post_then_stop(void *reactor) {
    CHECK_OK(lariat_reactor_call_from_thread(reactor, note_call, "thread"));
    CHECK_OK(lariat_reactor_stop_from_thread(reactor));
    return NULL;
}

TEST(backend_fd_lets_another_loop_carry_everything) {
    lariat_reactor *reactor = real_reactor();
    int fd = -1;
    CHECK_OK(lariat_reactor_backend_fd(reactor, &fd));
    on_shutdown(reactor, "shutdown");
    CHECK(lariat_reactor_call_later(reactor, 0.002, note_call, "later") != NULL);
    turn(reactor);
    while (reactor_stats(reactor).delayed_calls) ride(reactor, fd);
    CHECK_NOTES("later");
    pthread_t thread = thread_start(post_then_stop, reactor);
    lariat_status status = LARIAT_OK;
    while (status == LARIAT_OK) {
        readable(fd, 10000);
        status = lariat_reactor_iterate(reactor, 0);
    }
    CHECK_STATUS(status, LARIAT_STOPPED);
    thread_join(thread);
    CHECK_NOTES("thread shutdown");
    reactor_done(reactor);
}
#endif
