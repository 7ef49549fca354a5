/* FAILURES.md, rows 19, 20, 21: clocks that jump, timers in each other's calls, and calls without end. */
#define _GNU_SOURCE /* syscall */
#include "every_kind.h"
#ifdef __linux__
#include <sys/syscall.h>
#include <time.h>
#endif

static void stop_call(void *user_data) { CHECK_OK(lariat_reactor_stop(user_data)); }

/* ---- 19: the wall clock jumps, the machine sleeps ---------------------------------------------------------------------------------- */

#ifdef __linux__
/* Stands before libc's: the library sees the wall clock, and the clock that counts sleep, where a case puts them. */
static double jumped;

int clock_gettime(clockid_t clock, struct timespec *now) {
    int answer = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI)
        now->tv_sec += (time_t)jumped;
    return answer;
}

static void jump(void *seconds) {
    jumped += *(double *)seconds;
    note("jump");
}

TEST(f19_the_wall_clock_jumps) {
    lariat_reactor *reactor = real_reactor();
    double forward = 5000, back = -12000;
    lariat_delayed_call *far = lariat_reactor_call_later(reactor, 4000, note_call, "early!");
    CHECK(lariat_reactor_call_later(reactor, 0, jump, &forward) != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0.01, note_call, "after") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0.02, jump, &back) != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0.03, note_call, "before") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0.04, stop_call, reactor) != NULL);
    double started = lariat_reactor_seconds(reactor);
    CHECK_OK(lariat_reactor_run(reactor)); /* would hang, or make the far call */
    CHECK(lariat_reactor_seconds(reactor) >= started + 0.04);
    CHECK(lariat_reactor_seconds(reactor) < lariat_delayed_call_time(far));
    CHECK_NOTES("jump after jump before");
    CHECK_OK(lariat_delayed_call_cancel(far));
    turn(reactor);
    reactor_done(reactor);
}
#endif

/* ---- 20: timers in their own call, and in each other's; equal deadlines ------------------------------------------------------------ */

static lariat_delayed_call *own;

static void touch_itself(void *user_data) {
    note("%s", (char *)user_data);
    CHECK_INT(lariat_delayed_call_active(own), 0);
    CHECK_STATUS(lariat_delayed_call_cancel(own), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_delayed_call_reset(own, 1), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_delayed_call_delay(own, 1), LARIAT_ERR_ALREADY_CALLED);
}

static void touch_called(void *data) {
    CHECK_STATUS(lariat_delayed_call_cancel(own), LARIAT_ERR_ALREADY_CALLED);
    token_free_noted(data);
}

static void touch_cancelled(void *data) {
    CHECK_INT(lariat_delayed_call_active(own), 0);
    CHECK_STATUS(lariat_delayed_call_cancel(own), LARIAT_ERR_ALREADY_CANCELLED);
    CHECK_STATUS(lariat_delayed_call_reset(own, 1), LARIAT_ERR_ALREADY_CANCELLED);
    CHECK_STATUS(lariat_delayed_call_delay(own, 1), LARIAT_ERR_ALREADY_CANCELLED);
    token_free_noted(data);
}

TEST(f20_a_timer_in_its_own_call) {
    lariat_reactor *reactor = manual_reactor();
    own = lariat_reactor_call_later_full(reactor, 1, touch_itself, token_new("call"), touch_called);
    advance(reactor, 10);
    CHECK_NOTES("call free:call");
    reactor_done(reactor);
}

/* The handle lives until its last callback, which is the free function, has returned. */
TEST(f20_a_timer_in_its_free_function) {
    lariat_reactor *reactor = manual_reactor();
    own = lariat_reactor_call_later_full(reactor, 1, note_call, token_new("call"), touch_cancelled);
    CHECK_OK(lariat_delayed_call_cancel(own));
    turn(reactor);
    CHECK_NOTES("free:call");
    CHECK_STATUS(lariat_delayed_call_cancel(own), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

static lariat_delayed_call *same[4];

static void touch_the_others(void *user_data) {
    note("%s", (char *)user_data);
    CHECK_OK(lariat_delayed_call_cancel(same[1]));
    CHECK_OK(lariat_delayed_call_reset(same[2], 1));
    CHECK_OK(lariat_delayed_call_delay(same[3], 0.5));
}

TEST(f20_timers_of_the_same_instant) {
    lariat_reactor *reactor = manual_reactor();
    same[0] = lariat_reactor_call_later(reactor, 1, touch_the_others, "first");
    same[1] = lariat_reactor_call_later(reactor, 1, note_call, "cancelled");
    same[2] = lariat_reactor_call_later(reactor, 1, note_call, "reset");
    same[3] = lariat_reactor_call_later(reactor, 1, note_call, "delayed");
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "last") != NULL);
    advance(reactor, 1);
    CHECK_NOTES("first last");
    advance(reactor, 0.5);
    CHECK_NOTES("delayed");
    advance(reactor, 0.5);
    CHECK_NOTES("reset");
    reactor_done(reactor);
}

static size_t *order, next_in_order;

static void check_order(void *user_data) { CHECK_INT((uintptr_t)user_data, order[next_in_order++]); }

/* Every third is cancelled, and every fifth reset to the same instant, which counts as scheduled anew. */
TEST(f20_a_million_equal_deadlines) {
    size_t count = many(1000000), expected = 0;
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call **calls = calloc(count, sizeof *calls);
    order = calloc(count, sizeof *order);
    CHECK(calls && order);
    for (size_t i = 0; i < count; i++)
        CHECK((calls[i] = lariat_reactor_call_later(reactor, 1, check_order, (void *)(uintptr_t)i)) != NULL);
    for (size_t i = 0; i < count; i++) {
        if (i % 3 == 0) CHECK_OK(lariat_delayed_call_cancel(calls[i]));
        else if (i % 5 == 0) CHECK_OK(lariat_delayed_call_reset(calls[i], 1));
        else order[expected++] = i;
    }
    for (size_t i = 0; i < count; i++)
        if (i % 3 && i % 5 == 0) order[expected++] = i;
    advance(reactor, 1);
    CHECK_INT(next_in_order, expected);
    reactor_done(reactor);
    free(calls);
    free(order);
}

/* Deadlines a nanosecond apart, scheduled backwards, are still in order. */
TEST(f20_deadlines_close_together) {
    enum { COUNT = 2000 };
    lariat_reactor *reactor = manual_reactor();
    order = calloc(COUNT, sizeof *order);
    CHECK(order);
    for (size_t i = 0; i < COUNT; i++) order[i] = i;
    for (size_t i = COUNT; i-- > 0;)
        CHECK(lariat_reactor_call_later(reactor, 1 + (double)i * 1e-9, check_order, (void *)(uintptr_t)i) != NULL);
    advance(reactor, 2);
    CHECK_INT(next_in_order, COUNT);
    reactor_done(reactor);
    free(order);
}

/* ---- 21: a call that adds itself for ever --------------------------------------------------------------------------------------------- */

static struct {
    lariat_reactor *reactor;
    int ends[2];
    long soon, later, thread; /* how often each has run */
    long served;              /* bytes that came through the pipe */
    long stop_at;
} forever;

static void soon_again(void *user_data) {
    forever.soon++;
    if (forever.soon < 100000) CHECK_OK(lariat_reactor_call_soon(forever.reactor, soon_again, user_data));
}

static void later_again(void *user_data) {
    forever.later++;
    if (forever.later < 100000) CHECK(lariat_reactor_call_later(forever.reactor, 0, later_again, user_data) != NULL);
}

static void thread_again(void *user_data) {
    forever.thread++;
    if (forever.thread >= 100000) return;
    lariat_status status = lariat_reactor_call_from_thread(forever.reactor, thread_again, user_data);
    if (status != LARIAT_ERR_CLOSED) CHECK_OK(status); /* the last one runs while the reactor is freed */
}

static void serve(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    (void)user_data;
    CHECK_INT(read_byte(forever.ends[0]), 'x');
    write_bytes(forever.ends[1], "x");
    if (++forever.served != forever.stop_at) return;
    CHECK_OK(lariat_watcher_stop(watcher));
    if (lariat_reactor_running(forever.reactor)) CHECK_OK(lariat_reactor_stop(forever.reactor));
}

static void forever_start(lariat_reactor *reactor) {
    forever.reactor = reactor;
    pipe_new(forever.ends);
    write_bytes(forever.ends[1], "x");
    CHECK(lariat_reactor_watch(reactor, forever.ends[0], LARIAT_READABLE, serve, NULL) != NULL);
    soon_again(NULL);
    later_again(NULL);
    thread_again(NULL);
}

static void forever_end(void) {
    free_reactor(forever.reactor);
    pipe_close(forever.ends);
}

/* Each turn runs what was there when it began: each of the three once, and the input. */
TEST(f21_io_is_served_every_turn) {
    forever_start(manual_reactor());
    turn(forever.reactor);
    long soon = forever.soon, later = forever.later, thread = forever.thread, served = forever.served;
    for (int i = 1; i <= 100; i++) {
        turn(forever.reactor);
        CHECK_INT(forever.soon - soon, i);
        CHECK_INT(forever.later - later, i);
        CHECK_INT(forever.thread - thread, i);
        CHECK_INT(forever.served - served, i);
    }
    forever_end();
}

TEST(f21_io_is_served_while_running) {
    forever.stop_at = 100;
    forever_start(real_reactor());
    CHECK_OK(lariat_reactor_run(forever.reactor));
    CHECK_INT(forever.served, 100);
    forever_end();
}

/* The smallest budget runs one item a frame; the input's turn comes all the same. */
TEST(f21_io_is_served_by_frames) {
    forever_start(manual_reactor());
    for (int frame = 0; frame < 2000 && forever.served < 100; frame++) CHECK(lariat_reactor_run_frame(forever.reactor, 0) >= 0);
    CHECK_INT(forever.served, 100);
    CHECK(forever.soon < 100000);
    forever_end();
}

/* A stop is one of those that must get through. */
TEST(f21_stop_from_within_is_served) {
    forever_start(real_reactor());
    CHECK(lariat_reactor_call_later(forever.reactor, 0.01, stop_call, forever.reactor) != NULL);
    CHECK_OK(lariat_reactor_run(forever.reactor));
    forever_end();
}
