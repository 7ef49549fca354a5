/* Delayed calls: SEMANTICS 16-18, FAILURES 18, 20 and 21. All on the manual clock. Looping calls, cooperators and defer_later:
 * semantics_looping.c. */
#include "harness.h"

static double start_time; /* of the case, on its reactor's clock */

static lariat_reactor *reactor_at_zero(void) {
    lariat_reactor *reactor = manual_reactor();
    start_time = lariat_reactor_seconds(reactor);
    return reactor;
}

/* ---- 16: never at once, never early ---- */

TEST(s16_call_later_never_calls_synchronously) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "a") != NULL);
    CHECK(lariat_reactor_call_later_full(reactor, 0, note_call, token_new("b"), token_free_noted) != NULL);
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("soon a b free:b"); /* a turn: soon-calls first, then what is due */
    reactor_done(reactor);
}

TEST(s16_call_later_never_calls_early) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "a") != NULL);
    turns(reactor, 3);
    advance(reactor, 0.75);
    turns(reactor, 3);
    CHECK_NOTES("");
    advance(reactor, 0.25);
    CHECK_NOTES("a");
    reactor_done(reactor);
}

static void note_time(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("%g", lariat_reactor_seconds(reactor) - start_time);
}

TEST(s16_advance_goes_from_deadline_to_deadline) {
    lariat_reactor *reactor = reactor_at_zero();
    static const double delays[] = {3, 0.5, 2, 0, 100};
    for (int i = 0; i < 5; i++) CHECK(lariat_reactor_call_later(reactor, delays[i], note_time, &reactor) != NULL);
    advance(reactor, 10);
    CHECK_NOTES("0 0.5 2 3"); /* each sees its own time, not the last */
    CHECK_NEAR(lariat_reactor_seconds(reactor) - start_time, 10);
    advance(reactor, 90);
    CHECK_NOTES("100");
    reactor_done(reactor);
}

static void call_again_at_0(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("again");
    CHECK(lariat_reactor_call_later(reactor, 0, call_again_at_0, user_data) != NULL);
}

TEST(s16_a_call_that_reschedules_itself_at_0_runs_once_a_turn) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *pending;
    size_t count;
    CHECK(lariat_reactor_call_later(reactor, 0, call_again_at_0, &reactor) != NULL);
    turn(reactor);
    CHECK_NOTES("again");
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    turn(reactor);
    CHECK_NOTES("soon again");
    CHECK_OK(lariat_reactor_delayed_calls(reactor, &pending, 1, &count));
    CHECK_INT(count, 1);
    CHECK_OK(lariat_delayed_call_cancel(pending));
    reactor_done(reactor);
}

static void call_others(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    note("first");
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "later") != NULL);
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
}

TEST(s16_what_a_running_call_schedules_waits_for_the_next_turn) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 0, call_others, &reactor) != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "second") != NULL);
    turn(reactor);
    CHECK_NOTES("first second");
    turn(reactor);
    CHECK_NOTES("soon later");
    reactor_done(reactor);
}

TEST(s16_so_does_what_a_soon_call_schedules) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, call_others, &reactor));
    CHECK_OK(lariat_reactor_call_soon_full(reactor, note_call, token_new("second"), token_free));
    turn(reactor);
    CHECK_NOTES("first second");
    turn(reactor);
    CHECK_NOTES("soon later");
    reactor_done(reactor);
}

TEST(s16_within_advance_too_what_is_scheduled_at_0_runs_at_its_own_time) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 1, call_others, &reactor) != NULL);
    CHECK(lariat_reactor_call_later(reactor, 2, note_call, "at 2") != NULL);
    advance(reactor, 5);
    CHECK_NOTES("first soon later at 2");
    reactor_done(reactor);
}

#ifndef _WIN32
static void note_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    note("%s", (char *)user_data);
    CHECK_OK(lariat_watcher_stop(watcher));
}

TEST(s16_a_call_at_0_for_ever_does_not_starve_io) { /* FAILURES 21 */
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    lariat_delayed_call *pending;
    size_t count;
    pipe_new(ends);
    write_bytes(ends[1], "x");
    CHECK(lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE, note_ready, "ready") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0, call_again_at_0, &reactor) != NULL);
    turn(reactor);
    CHECK_NOTES("again ready");
    CHECK_OK(lariat_reactor_delayed_calls(reactor, &pending, 1, &count));
    CHECK_OK(lariat_delayed_call_cancel(pending));
    pipe_close(ends);
    reactor_done(reactor);
}
#endif

TEST(s16_a_delay_is_from_0_to_1e9) { /* FAILURES 18 */
    lariat_reactor *reactor = manual_reactor();
    const double refused[] = {NAN, -1, -1e-9, 1.1e9, INFINITY, -INFINITY};
    lariat_delayed_call *longest = lariat_reactor_call_later(reactor, 1e9, note_call, "not called");
    CHECK(longest != NULL);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK_NULL(lariat_reactor_call_later(reactor, refused[i], note_call, "x"), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_reactor_call_later_full(reactor, refused[i], note_call, token_new("x"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_reactor_call_later_event(reactor, refused[i], 1), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_reactor_defer_later(reactor, refused[i], NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_delayed_call_reset(longest, refused[i]), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_delayed_call_delay(longest, refused[i]), LARIAT_ERR_INVALID_ARGUMENT);
    }
    CHECK_NULL(lariat_reactor_call_later_full(reactor, 1, NULL, token_new("x"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_call_later_full(NULL, 1, note_call, token_new("x"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_call_soon_full(reactor, NULL, token_new("x"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 0);
    CHECK_INT(lariat_delayed_call_active(longest), 1); /* the refused changes changed nothing */
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 1e9);
    CHECK_OK(lariat_delayed_call_cancel(longest));
    reactor_done(reactor);
}

TEST(s16_the_longest_delay_is_kept) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 1e9, note_call, "a") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 1e9 - 1, note_call, "b") != NULL);
    advance(reactor, 1e9 - 2);
    CHECK_NOTES("");
    advance(reactor, 1.5);
    CHECK_NOTES("b");
    advance(reactor, 1);
    CHECK_NOTES("a");
    reactor_done(reactor);
}

/* ---- 17: the order of what is due ---- */

TEST(s17_calls_run_by_deadline_whatever_the_order_of_scheduling) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 1.000002, note_call, "c") != NULL); /* microseconds apart */
    CHECK(lariat_reactor_call_later(reactor, 1.000001, note_call, "b") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 64, note_call, "e") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "a") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 63.999, note_call, "d") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 100000, note_call, "f") != NULL);
    advance(reactor, 100000);
    CHECK_NOTES("a b c d e f");
    reactor_done(reactor);
}

TEST(s17_of_the_same_instant_the_first_scheduled_runs_first) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 2, note_call, "a") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 2, note_call, "b") != NULL);
    advance(reactor, 1);
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "c") != NULL); /* the same instant, asked for later */
    advance(reactor, 0.5);
    CHECK(lariat_reactor_call_later(reactor, 0.5, note_call, "d") != NULL);
    advance(reactor, 0.5);
    CHECK_NOTES("a b c d");
    reactor_done(reactor);
}

struct ordered {
    size_t number;
    size_t *next;
};

static void check_order(void *user_data) {
    struct ordered *mine = user_data;
    if (mine->number != *mine->next) CHECK_INT(mine->number, *mine->next);
    ++*mine->next;
}

TEST(s17_a_million_of_the_same_instant_keep_their_order) { /* FAILURES 20 */
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(1000000), next = 0;
    struct ordered *all = malloc(count * sizeof *all);
    CHECK(all != NULL);
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct ordered){i, &next};
        CHECK(lariat_reactor_call_later(reactor, 10, check_order, &all[i]) != NULL);
    }
    CHECK_INT(reactor_stats(reactor).delayed_calls, count);
    advance(reactor, 10);
    CHECK_INT(next, count);
    free(all);
    reactor_done(reactor);
}

/* A hundred thousand deadlines from a small generator, compared with a stable sort. */
struct due {
    double at;
    size_t number;
};

static int by_deadline_then_number(const void *a, const void *b) {
    const struct due *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static size_t *ran, ran_count;
static void note_number(void *user_data) { ran[ran_count++] = (size_t)(uintptr_t)user_data; }

TEST(s17_random_deadlines_run_as_if_sorted) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(100000);
    struct due *all = malloc(count * sizeof *all);
    uint64_t seed = 88172645463325252u;
    ran = malloc(count * sizeof *ran);
    CHECK(all && ran);
    for (size_t i = 0; i < count; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        /* 1/64 s steps, so that sums are exact and many fall together; a few are far away */
        all[i] = (struct due){(double)(seed % 4096) / 64 * (seed >> 60 ? 1 : 1024), i};
        CHECK(lariat_reactor_call_later(reactor, all[i].at, note_number, (void *)(uintptr_t)i) != NULL);
    }
    qsort(all, count, sizeof *all, by_deadline_then_number);
    advance(reactor, 7.5);
    for (size_t i = 0; i < ran_count; i++) CHECK(all[i].at <= 7.5);
    advance(reactor, 70000);
    CHECK_INT(ran_count, count);
    for (size_t i = 0; i < count; i++) CHECK_INT(ran[i], all[i].number);
    free(all);
    free(ran);
    reactor_done(reactor);
}

TEST(s17_reset_and_delay_count_as_scheduled_anew) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *a = lariat_reactor_call_later(reactor, 1, note_call, "a");
    lariat_delayed_call *b = lariat_reactor_call_later(reactor, 1, note_call, "b");
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "c") != NULL);
    CHECK_OK(lariat_delayed_call_reset(a, 1)); /* the same instant, but behind c */
    CHECK_OK(lariat_delayed_call_delay(b, 0)); /* and behind a */
    advance(reactor, 1);
    CHECK_NOTES("c a b");
    reactor_done(reactor);
}

/* ---- 18: cancel, reset, delay ---- */

TEST(s18_cancel_reset_and_delay_before_the_call) {
    lariat_reactor *reactor = reactor_at_zero();
    token *cancelled = token_new("cancelled");
    lariat_delayed_call *a = lariat_reactor_call_later(reactor, 5, note_call, "a");
    lariat_delayed_call *b = lariat_reactor_call_later(reactor, 5, note_call, "b");
    lariat_delayed_call *c = lariat_reactor_call_later_full(reactor, 5, note_call, cancelled, token_free);
    lariat_delayed_call *d = lariat_reactor_call_later(reactor, 5, note_call, "d");
    advance(reactor, 4);
    CHECK_OK(lariat_delayed_call_reset(a, 3)); /* from now: 7 */
    CHECK_OK(lariat_delayed_call_delay(b, 3)); /* from its deadline: 8 */
    CHECK_OK(lariat_delayed_call_cancel(c));
    CHECK_OK(lariat_delayed_call_reset(d, 0.5)); /* sooner: 4.5 */
    CHECK(!token_alive(cancelled));
    CHECK_NEAR(lariat_delayed_call_time(a) - start_time, 7);
    CHECK_NEAR(lariat_delayed_call_time(b) - start_time, 8);
    CHECK_NEAR(lariat_delayed_call_time(d) - start_time, 4.5);
    CHECK_INT(lariat_delayed_call_active(a), 1);
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 0.5);
    advance(reactor, 0.5);
    CHECK_NOTES("d");
    advance(reactor, 2.25);
    CHECK_NOTES("");
    advance(reactor, 0.25);
    CHECK_NOTES("a");
    advance(reactor, 1);
    CHECK_NOTES("b");
    reactor_done(reactor);
}

TEST(s18_reset_again_and_again) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *call = lariat_reactor_call_later(reactor, 1, note_call, "a");
    for (int i = 0; i < 100; i++) {
        advance(reactor, 0.5);
        CHECK_OK(lariat_delayed_call_reset(call, i % 2 ? 1 : 600)); /* later and sooner by turns */
    }
    CHECK_NOTES("");
    advance(reactor, 1);
    CHECK_NOTES("a");
    reactor_done(reactor);
}

static void check_already_called(void *user_data) {
    lariat_delayed_call *self = *(lariat_delayed_call **)user_data;
    note("called");
    CHECK_INT(lariat_delayed_call_active(self), 0);
    CHECK_STATUS(lariat_delayed_call_cancel(self), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_delayed_call_reset(self, 1), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_delayed_call_delay(self, 1), LARIAT_ERR_ALREADY_CALLED);
}

static void check_stale(lariat_delayed_call *call) {
    CHECK_STATUS(lariat_delayed_call_cancel(call), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_delayed_call_reset(call, 1), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_delayed_call_delay(call, 1), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_delayed_call_active(call), LARIAT_ERR_STALE_HANDLE);
    CHECK(isnan(lariat_delayed_call_time(call)));
}

TEST(s18_in_its_own_call_it_is_already_called_and_then_stale) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *call = lariat_reactor_call_later(reactor, 1, check_already_called, &call);
    advance(reactor, 1);
    CHECK_NOTES("called");
    check_stale(call);
    reactor_done(reactor);
}

/* A delayed call whose user_data's free function looks at the handle. Whether it still lives there is not laid down. */
struct looker {
    lariat_delayed_call *call;
    lariat_status want;
    int frees;
};

static void look_when_freed(void *data) {
    struct looker *looker = data;
    CHECK_EITHER(lariat_delayed_call_cancel(looker->call), looker->want, LARIAT_ERR_STALE_HANDLE);
    CHECK_EITHER(lariat_delayed_call_reset(looker->call, 1), looker->want, LARIAT_ERR_STALE_HANDLE);
    CHECK_EITHER(lariat_delayed_call_delay(looker->call, 1), looker->want, LARIAT_ERR_STALE_HANDLE);
    looker->frees++;
}

static void do_nothing(void *user_data) { (void)user_data; }

TEST(s18_after_a_cancel_it_is_already_cancelled_or_stale) {
    lariat_reactor *reactor = manual_reactor();
    struct looker called = {NULL, LARIAT_ERR_ALREADY_CALLED, 0}, cancelled = {NULL, LARIAT_ERR_ALREADY_CANCELLED, 0};
    called.call = lariat_reactor_call_later_full(reactor, 1, do_nothing, &called, look_when_freed);
    cancelled.call = lariat_reactor_call_later_full(reactor, 1, do_nothing, &cancelled, look_when_freed);
    CHECK_OK(lariat_delayed_call_cancel(cancelled.call));
    CHECK_INT(cancelled.frees, 1);
    /* The handle may live on to the end of the turn, or go at once. */
    CHECK_EITHER(lariat_delayed_call_cancel(cancelled.call), LARIAT_ERR_ALREADY_CANCELLED, LARIAT_ERR_STALE_HANDLE);
    advance(reactor, 1);
    CHECK_INT(called.frees, 1);
    check_stale(called.call);
    check_stale(cancelled.call);
    reactor_done(reactor);
}

/* A call that does something to the three others of its instant. */
static lariat_delayed_call *others[3];

static void disturb_others(void *user_data) {
    (void)user_data;
    note("first");
    CHECK_OK(lariat_delayed_call_cancel(others[0]));
    CHECK_OK(lariat_delayed_call_reset(others[1], 2));
    CHECK_OK(lariat_delayed_call_delay(others[2], 1));
}

TEST(s18_from_inside_another_call_of_the_same_instant) { /* FAILURES 9 and 20 */
    lariat_reactor *reactor = manual_reactor();
    token *cancelled = token_new("cancelled");
    CHECK(lariat_reactor_call_later(reactor, 1, disturb_others, NULL) != NULL);
    others[0] = lariat_reactor_call_later_full(reactor, 1, note_call, cancelled, token_free);
    others[1] = lariat_reactor_call_later(reactor, 1, note_call, "reset");
    others[2] = lariat_reactor_call_later(reactor, 1, note_call, "delayed");
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "last") != NULL);
    advance(reactor, 1);
    CHECK_NOTES("first last");
    CHECK(!token_alive(cancelled));
    advance(reactor, 1);
    CHECK_NOTES("delayed");
    advance(reactor, 1);
    CHECK_NOTES("reset");
    reactor_done(reactor);
}

static void reset_other_to_now(void *user_data) {
    (void)user_data;
    note("first");
    CHECK_OK(lariat_delayed_call_reset(others[0], 0));
}

TEST(s18_reset_to_now_by_a_running_call_is_for_the_next_turn) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 0, reset_other_to_now, NULL) != NULL);
    others[0] = lariat_reactor_call_later(reactor, 0, note_call, "reset");
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "last") != NULL);
    turn(reactor);
    CHECK_NOTES("first last"); /* as if scheduled by the running call */
    turn(reactor);
    CHECK_NOTES("reset");
    reactor_done(reactor);
}

TEST(s18_soon_calls_may_cancel_what_is_due_in_their_turn) {
    lariat_reactor *reactor = manual_reactor();
    others[0] = lariat_reactor_call_later(reactor, 0, note_call, "not called");
    others[1] = lariat_reactor_call_later(reactor, 0, note_call, "reset");
    others[2] = lariat_reactor_call_later(reactor, 0, note_call, "delayed");
    CHECK_OK(lariat_reactor_call_soon(reactor, disturb_others, NULL));
    turn(reactor);
    CHECK_NOTES("first");
    advance(reactor, 1);
    CHECK_NOTES("delayed");
    advance(reactor, 1);
    CHECK_NOTES("reset");
    reactor_done(reactor);
}

TEST(s18_a_million_are_cancelled_and_freed) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(1000000);
    atomic_long frees = 0;
    lariat_delayed_call **calls = malloc(count * sizeof *calls);
    CHECK(calls != NULL);
    for (size_t i = 0; i < count; i++)
        calls[i] = lariat_reactor_call_later_full(reactor, (double)(i % 977), do_nothing, &frees, count_free);
    for (size_t i = 0; i < count; i++) CHECK_OK(lariat_delayed_call_cancel(calls[i * 7919 % count]));
    CHECK_INT(frees, count);
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    turn(reactor);
    for (size_t i = 0; i < count; i += count / 10) check_stale(calls[i]);
    free(calls);
    reactor_done(reactor);
}

TEST(s18_the_pending_ones_can_be_listed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *a = lariat_reactor_call_later(reactor, 1, note_call, "a"), *listed[3] = {NULL, NULL, NULL};
    lariat_delayed_call *b = lariat_reactor_call_later(reactor, 2, note_call, "b");
    lariat_delayed_call *c = lariat_reactor_call_later(reactor, 3, note_call, "c");
    size_t count = 99;
    CHECK_OK(lariat_delayed_call_cancel(c));
    CHECK_OK(lariat_reactor_delayed_calls(reactor, NULL, 0, &count));
    CHECK_INT(count, 2);
    CHECK_OK(lariat_reactor_delayed_calls(reactor, listed, 1, &count)); /* too small: says how many there are */
    CHECK_INT(count, 2);
    CHECK((listed[0] == a || listed[0] == b) && listed[1] == NULL);
    CHECK_OK(lariat_reactor_delayed_calls(reactor, listed, 3, &count));
    CHECK_INT(count, 2);
    CHECK((listed[0] == a && listed[1] == b) || (listed[0] == b && listed[1] == a));
    CHECK_PTR(listed[2], NULL);
    CHECK_STATUS(lariat_reactor_delayed_calls(reactor, NULL, 3, &count), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_delayed_calls(reactor, listed, 3, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    advance(reactor, 2);
    CHECK_NOTES("a b");
    reactor_done(reactor);
}

TEST(s18_user_data_is_freed_after_the_call_each_in_turn) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("a"), token_free_noted) != NULL);
    CHECK(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("b"), token_free_noted) != NULL);
    CHECK_OK(lariat_reactor_call_soon_full(reactor, note_call, token_new("s"), token_free_noted));
    advance(reactor, 1);
    CHECK_NOTES("s free:s a free:a b free:b");
    reactor_done(reactor);
}

/* FAILURES 12: plain calls only free their data. */
TEST(s18_the_reactors_end_drops_what_is_pending) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *later = lariat_reactor_call_later_full(reactor, 0, note_call, token_new("not called"), token_free);
    CHECK_OK(lariat_reactor_call_soon_full(reactor, note_call, token_new("not called"), token_free));
    CHECK_OK(lariat_reactor_call_when_running_full(reactor, note_call, token_new("not called"), token_free));
    CHECK_INT(tokens_alive(), 3);
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
    check_stale(later);
}

TEST(s18_there_can_be_a_limit) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.max_delayed_calls = 2;
    lariat_reactor *reactor = reactor_with(options);
    lariat_delayed_call *a = lariat_reactor_call_later(reactor, 1, note_call, "a");
    CHECK(a && lariat_reactor_call_later(reactor, 1, note_call, "b"));
    CHECK_NULL(lariat_reactor_call_later_full(reactor, 1, note_call, token_new("c"), token_free), LARIAT_ERR_LIMIT);
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_delayed_call_cancel(a));
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "d") != NULL);
    advance(reactor, 1);
    CHECK_NOTES("b d");
    reactor_done(reactor);
}
