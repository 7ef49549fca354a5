/* FAILURES.md, rows 23, 51, 52, 56: what the hooks are told, what they may do, and the event queue. */
#include "every_kind.h"
#include <time.h>

/* ---- 23: a callback that takes too long ----------------------------------------------------------------------------------------- */

static int slow_reports;

static void on_slow(double seconds, const char *what, void *user_data) {
    CHECK(seconds >= 0.001);
    CHECK(what && *what);
    CHECK_STR(user_data, "hook");
    slow_reports++;
}

static double monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* It really takes this long, however busy the machine is. */
static void spin(void) {
    for (double end = monotonic() + 0.002; monotonic() < end;) {}
}

static void spin_call(void *user_data) {
    (void)user_data;
    spin();
}

static void *spin_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    (void)user_data;
    spin();
    return value;
}

static void spin_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    (void)user_data;
    spin();
    CHECK_OK(lariat_watcher_stop(watcher));
}

static lariat_reactor *slow_reactor(double threshold) {
    lariat_reactor_options options = reactor_options();
    options.slow_callback_seconds = threshold;
    options.slow_callback = on_slow;
    options.slow_user_data = token_new("hook");
    options.free_slow_user_data = token_free;
    return reactor_with(options);
}

TEST(f23_a_slow_call_is_reported) {
    lariat_reactor *reactor = slow_reactor(0.001);
    CHECK_OK(lariat_reactor_call_soon(reactor, spin_call, NULL));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_INT(slow_reports, 1);
    reactor_done(reactor);
}

TEST(f23_every_kind_of_callback_is_watched) {
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    lariat_reactor *reactor = slow_reactor(0.001);
    CHECK(lariat_reactor_call_later(reactor, 0, spin_call, NULL) != NULL);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK(slow_reports > 0);
    slow_reports = 0;
    CHECK_OK(lariat_reactor_call_from_thread(reactor, spin_call, NULL));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK(slow_reports > 0);
    slow_reports = 0;
    CHECK_OK(lariat_deferred_release(lariat_reactor_defer_later(reactor, 0, spin_value, NULL)));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK(slow_reports > 0);
    slow_reports = 0;
    CHECK(lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE, spin_ready, NULL) != NULL);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK(slow_reports > 0);
    reactor_done(reactor);
    pipe_close(ends);
}

static void nothing_is_reported(double threshold) {
    lariat_reactor *reactor = slow_reactor(threshold);
    CHECK_OK(lariat_reactor_call_soon(reactor, spin_call, NULL));
    CHECK(lariat_reactor_call_later(reactor, 0, spin_call, NULL) != NULL);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_INT(slow_reports, 0);
    reactor_done(reactor);
}

TEST(f23_nothing_is_reported_unless_asked) { nothing_is_reported(0); }

TEST(f23_nothing_is_reported_below_the_threshold) { nothing_is_reported(1000); }

/* ---- 51: an unhandled failure -------------------------------------------------------------------------------------------------------- */

TEST(f51_reported_when_reclaimed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(deferred, note_value, "never"));
    CHECK_OK(lariat_deferred_errback(deferred, 7, "seven"));
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_NOTES("unhandled!7");
    turns(reactor, 2);
    reactor_done(reactor);
}

TEST(f51_reported_when_released_before_it_failed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_deferred_errback(deferred, 7, "seven"));
    CHECK_NOTES("unhandled!7");
    reactor_done(reactor);
}

TEST(f51_reported_when_the_reactor_is_freed) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_deferred_new_failed(reactor, 7, "seven") != NULL);
    free_reactor(reactor);
    CHECK_NOTES("unhandled!7");
}

TEST(f51_not_reported_once_handled) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *late = lariat_deferred_new_failed(reactor, 7, "seven");
    CHECK_OK(lariat_deferred_add_callback(late, note_value, "never"));
    end_with_note(late, "late");
    lariat_deferred *recovered = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_add_callback(recovered, fail_7, NULL));
    CHECK_OK(lariat_deferred_add_errback(recovered, recover, "value"));
    CHECK_OK(lariat_deferred_release(recovered));
    CHECK_NOTES("late!7 recover!7");
    reactor_done(reactor);
}

TEST(f51_reported_when_passed_on_to_the_end) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new_failed(reactor, 7, "seven");
    CHECK_OK(lariat_deferred_add_both(deferred, note_both, "a"));
    CHECK_OK(lariat_deferred_add_errback(deferred, refail, "b"));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_NOTES("a!7 b!7 unhandled!7");
    reactor_done(reactor);
}

/* The one to which it moved is the one that reports it. */
TEST(f51_reported_once_when_moved) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new_succeeded(reactor, NULL), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_errback(inner, 7, "seven"));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_release(outer));
    CHECK_NOTES("unhandled!7");
    lariat_deferred *source = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_chain(source, target));
    CHECK_OK(lariat_deferred_errback(source, 8, "eight"));
    end_with_note(target, "target");
    CHECK_NOTES("target!8");
    reactor_done(reactor);
}

/* A list that does not consume failures lets its elements report theirs; one that does keeps them quiet. */
TEST(f51_reported_by_the_elements_of_a_list) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *one = lariat_deferred_new_failed(reactor, 7, "seven");
    CHECK_OK(lariat_deferred_release(lariat_deferred_list(reactor, &one, 1, 0)));
    CHECK_NOTES("unhandled!7");
    one = lariat_deferred_new_failed(reactor, 8, "eight");
    CHECK_OK(lariat_deferred_release(lariat_deferred_list(reactor, &one, 1, LARIAT_LIST_CONSUME_FAILURES)));
    CHECK_NOTES("");
    reactor_done(reactor);
}

TEST(f51_an_event_handles_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_event event;
    lariat_deferred *deferred = lariat_deferred_new_failed(reactor, 7, "seven");
    CHECK_OK(lariat_deferred_add_event(deferred, 1));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK_INT(lariat_failure_code(event.failure), 7);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    reactor_done(reactor);
}

/* Without a hook for it, the log hook hears of it. */
TEST(f51_logged_without_a_hook) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.unhandled_failure = NULL;
    lariat_reactor *reactor = reactor_with(options);
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(reactor, 7, "the seventh seal")));
    CHECK_INT(test_log.errors, 1);
    CHECK(strstr(test_log.last, "the seventh seal") != NULL);
    reactor_done(reactor);
}

/* A guest writes nothing of its own accord. */
TEST(f51_silent_without_any_hook) {
    output watched = output_watch();
    lariat_reactor *reactor = lariat_reactor_new();
    lariat_deferred_release(lariat_deferred_new_failed(reactor, 7, "seven"));
    lariat_deferred_new_failed(reactor, 8, "eight");
    lariat_reactor_free(reactor);
    CHECK(!output_seen(&watched));
}

/* ---- 52: the log hook calls back into the library --------------------------------------------------------------------------------- */

static lariat_reactor *logged;
static int log_depth, log_calls;

static lariat_deferred *failing_trigger(void *user_data) { return lariat_deferred_new_failed(logged, 7, user_data); }

/* Works, and makes another failure that would be logged: five times, if that came here at once or for ever. */
static void log_calls_back(int32_t level, const char *message, void *user_data) {
    (void)user_data;
    CHECK(level >= LARIAT_LOG_ERROR && level <= LARIAT_LOG_INFO);
    CHECK(message && *message);
    CHECK_INT(log_depth++, 0);
    log_calls++;
    CHECK_OK(lariat_reactor_call_soon(logged, note_call, "from-the-hook"));
    CHECK_STATUS(lariat_reactor_free(logged), LARIAT_ERR_BUSY);
    CHECK_STATUS(lariat_reactor_iterate(logged, 0), LARIAT_ERR_REENTRANT);
    if (log_calls < 5) CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(logged, 8, "made by the hook")));
    log_depth--;
}

TEST(f52_a_log_hook_that_calls_back) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.log = log_calls_back;
    options.unhandled_failure = NULL;
    logged = reactor_with(options);
    CHECK(lariat_reactor_add_system_event_trigger(logged, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, failing_trigger, "seven") != NULL);
    turns(logged, 8);
    CHECK(log_calls >= 1 && log_calls <= 5);
    int calls = log_calls;
    CHECK(strncmp(test_notes.text, "from-the-hook", strlen("from-the-hook")) == 0);
    test_notes.length = 0;
    test_notes.text[0] = 0;
    /* The guard is open again. */
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(logged, 9, "nine")));
    CHECK(log_calls > calls);
    turns(logged, 8);
    test_notes.length = 0;
    test_notes.text[0] = 0;
    reactor_done(logged);
}

static int unhandled_made;

static void unhandled_makes_another(const lariat_failure *failure, void *user_data) {
    (void)user_data;
    note("unhandled!%s", failure_label(failure));
    if (unhandled_made++ < 3) CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(logged, unhandled_made, NULL)));
}

/* The other hook: each failure that it causes is one of its own, and is reported once too. */
TEST(f52_an_unhandled_hook_that_calls_back) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.unhandled_failure = unhandled_makes_another;
    logged = reactor_with(options);
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(logged, 7, "seven")));
    turns(logged, 4);
    CHECK_NOTES("unhandled!7 unhandled!1 unhandled!2 unhandled!3");
    reactor_done(logged);
}

/* ---- 56: the event queue is full; an event's data used too late ----------------------------------------------------------------- */

static lariat_reactor *reactor_with_events(uint32_t max_events) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.max_events = max_events;
    return reactor_with(options);
}

/* Eight descriptors are ready, four events may wait: the other watchers pause, and nothing is lost. */
TEST(f56_reading_pauses_while_the_queue_is_full) {
    enum { PIPES = 8, LIMIT = 4 };
    int ends[PIPES][2], seen[PIPES] = {0}, total = 0;
    lariat_watcher *watchers[PIPES];
    lariat_event event;
    lariat_reactor *reactor = reactor_with_events(LIMIT);
    for (int i = 0; i < PIPES; i++) {
        pipe_new(ends[i]);
        write_bytes(ends[i][1], "x");
        CHECK((watchers[i] = lariat_reactor_watch_event(reactor, ends[i][0], LARIAT_READABLE, (uint64_t)i)) != NULL);
    }
    turns(reactor, 4);
    CHECK_INT(reactor_stats(reactor).events, LIMIT);
    CHECK_OK(lariat_event_init(&event, sizeof event));
    for (int tries = 0; tries < 100 && total < PIPES; tries++) {
        CHECK(reactor_stats(reactor).events <= LIMIT);
        if (lariat_reactor_next_event(reactor, &event) == LARIAT_OK) {
            CHECK_INT(event.kind, LARIAT_EVENT_READY);
            CHECK_INT(event.readiness, LARIAT_READABLE);
            CHECK(event.tag < PIPES);
            CHECK_PTR(event.source, watchers[event.tag]);
            CHECK_INT(read_byte(ends[event.tag][0]), 'x');
            CHECK_INT(seen[event.tag]++, 0);
            total++;
        }
        turn(reactor);
    }
    CHECK_INT(total, PIPES);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    for (int i = 0; i < PIPES; i++) CHECK_OK(lariat_watcher_stop(watchers[i]));
    turn(reactor);
    reactor_done(reactor);
    for (int i = 0; i < PIPES; i++) pipe_close(ends[i]);
}

/* One event of a watcher waits at a time, however often its descriptor gets ready. */
TEST(f56_one_event_of_a_watcher_waits) {
    int ends[2];
    lariat_event event;
    lariat_reactor *reactor = reactor_with_events(0);
    pipe_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch_event(reactor, ends[0], LARIAT_READABLE, 7);
    for (int i = 0; i < 5; i++) {
        write_bytes(ends[1], "x");
        turn(reactor);
    }
    CHECK_INT(reactor_stats(reactor).events, 1);
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK_INT(read_byte(ends[0]), 'x');
    turns(reactor, 2); /* four bytes are left */
    CHECK_INT(reactor_stats(reactor).events, 1);
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK_INT(event.tag, 7);
    CHECK_OK(lariat_watcher_stop(watcher));
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    turn(reactor);
    reactor_done(reactor);
    pipe_close(ends);
}

/* What the host itself asked for is never dropped: only watchers pause. */
TEST(f56_calls_are_delivered_past_the_limit) {
    lariat_event event;
    lariat_reactor *reactor = reactor_with_events(2);
    for (uint64_t i = 0; i < 10; i++) CHECK_OK(lariat_reactor_call_soon_event(reactor, i));
    for (uint64_t i = 10; i < 20; i++) CHECK(lariat_reactor_call_later_event(reactor, 0, i) != NULL);
    turns(reactor, 2);
    CHECK_OK(lariat_event_init(&event, sizeof event));
    for (uint64_t i = 0; i < 20; i++) {
        CHECK_OK(lariat_reactor_next_event(reactor, &event));
        CHECK_INT(event.kind, i < 10 ? LARIAT_EVENT_CALL : LARIAT_EVENT_DELAYED_CALL);
        CHECK_INT(event.tag, i);
    }
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    reactor_done(reactor);
}

TEST(f56_a_value_lives_until_the_next_event) {
    lariat_event event;
    lariat_reactor *reactor = reactor_with_events(0);
    token *value = token_new("value");
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_event(deferred, 7));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_deferred_callback_full(deferred, value, token_free));
    turns(reactor, 2);
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_DEFERRED);
    CHECK_INT(event.tag, 7);
    CHECK_PTR(event.value, value);
    CHECK_PTR(event.failure, NULL);
    turns(reactor, 3);
    CHECK(token_alive(value));
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    CHECK(!token_alive(value));
    reactor_done(reactor);
}

TEST(f56_a_failure_lives_until_the_next_event) {
    lariat_event event;
    lariat_reactor *reactor = reactor_with_events(0);
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_event(deferred, 7));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_deferred_errback_full(deferred, 7, 0, "seven", token_new("payload"), token_free));
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    const lariat_failure *failure = event.failure;
    CHECK_PTR(event.value, NULL);
    CHECK_STR(lariat_failure_message(failure), "seven");
    turns(reactor, 3);
    CHECK_STR(lariat_failure_payload(failure), "payload");
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    CHECK_STATUS(look_at(KIND_FAILURE, (void *)(uintptr_t)failure), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

/* Used too late, a source is a handle like any other. */
TEST(f56_a_source_may_be_stale) {
    lariat_event event;
    lariat_reactor *reactor = reactor_with_events(0);
    lariat_delayed_call *call = lariat_reactor_call_later_event(reactor, 1, 7);
    CHECK(call != NULL);
    advance(reactor, 1);
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_DELAYED_CALL);
    CHECK(!event.source || event.source == call);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    CHECK_STATUS(lariat_delayed_call_cancel(call), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}
