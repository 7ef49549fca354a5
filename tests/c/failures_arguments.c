/* FAILURES.md, rows 16, 17, 18: what a bad argument is answered, before anything is kept or done. */
#include <float.h>
#include "every_kind.h"

/* ---- 16: NULL for an argument that does not say may be NULL ------------------------------------------------------------------ */

TEST(f16_null_functions) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 0);
    const lariat_status want = LARIAT_ERR_INVALID_ARGUMENT;
    CHECK_STATUS(lariat_reactor_call_soon(reactor, NULL, NULL), want);
    CHECK_STATUS(lariat_reactor_call_when_running(reactor, NULL, NULL), want);
    CHECK_STATUS(lariat_reactor_call_from_thread(reactor, NULL, NULL), want);
    CHECK_STATUS(lariat_reactor_call_in_thread(reactor, NULL, NULL), want);
    CHECK_NULL(lariat_reactor_call_later(reactor, 1, NULL, NULL), want);
    CHECK_NULL(lariat_reactor_defer_to_thread(reactor, NULL, NULL), want);
    CHECK_NULL(lariat_reactor_watch(reactor, 0, LARIAT_READABLE, NULL, NULL), want);
    CHECK_NULL(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, NULL, NULL), want);
    CHECK_NULL(lariat_deferred_maybe(reactor, NULL, NULL), want);
    CHECK_NULL(lariat_lock_run(lock, NULL, NULL), want);
    CHECK_NULL(lariat_looping_call_new(reactor, NULL, NULL), want);
    CHECK_NULL(lariat_cooperator_cooperate(cooperator, NULL, NULL), want);
    CHECK_STATUS(lariat_deferred_add_callback(deferred, NULL, NULL), want);
    CHECK_STATUS(lariat_deferred_add_errback(deferred, NULL, NULL), want);
    CHECK_STATUS(lariat_deferred_add_both(deferred, NULL, NULL), want);
    CHECK_STATUS(lariat_deferred_add_callbacks(deferred, NULL, NULL, NULL), want);
    token *data = token_new("soon");
    CHECK_STATUS(lariat_reactor_call_soon_full(reactor, NULL, data, token_free), want);
    CHECK_FREED(data);
    data = token_new("pair");
    CHECK_STATUS(lariat_deferred_add_callbacks_full(deferred, NULL, NULL, data, token_free), want);
    CHECK_FREED(data);
    data = token_new("job");
    CHECK_NULL(lariat_reactor_defer_to_thread_full(reactor, NULL, data, token_free), want);
    CHECK_FREED(data);
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_lock_free(lock));
    CHECK_OK(lariat_cooperator_free(cooperator));
    reactor_done(reactor);
}

TEST(f16_null_that_may_be) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon_full(reactor, quiet_call, NULL, NULL));
    lariat_deferred *deferred = lariat_deferred_new_full(reactor, NULL, NULL, NULL);
    CHECK_OK(lariat_deferred_add_callbacks(deferred, quiet_value, NULL, NULL));
    CHECK_OK(lariat_deferred_add_callbacks(deferred, NULL, quiet_failure, NULL));
    CHECK_OK(lariat_deferred_errback_full(deferred, 7, 0, NULL, NULL, NULL));
    CHECK_OK(lariat_deferred_result(deferred, NULL, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    lariat_deferred *later = lariat_reactor_defer_later(reactor, 0, NULL, NULL);
    CHECK_OK(lariat_deferred_release(later));
    lariat_deferred *list = lariat_deferred_list(reactor, NULL, 0, 0);
    CHECK_OK(lariat_deferred_release(list));
    size_t count = 99;
    CHECK_OK(lariat_reactor_delayed_calls(reactor, NULL, 0, &count));
    CHECK_INT(count, 1);
    CHECK_OK(lariat_reactor_watchers(reactor, NULL, 0, &count));
    CHECK_INT(count, 0);
    turn(reactor);
    reactor_done(reactor);
}

TEST(f16_null_outputs_and_data) {
    lariat_reactor *reactor = manual_reactor();
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_delayed_call *calls[2];
    lariat_watcher *watchers[2];
    size_t count;
    int ends[2];
    const lariat_status want = LARIAT_ERR_INVALID_ARGUMENT;
    pipe_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE, quiet_ready, NULL);
    CHECK_STATUS(lariat_watcher_descriptor(watcher, NULL), want);
    CHECK_STATUS(lariat_reactor_backend_fd(reactor, NULL), want);
    CHECK_STATUS(lariat_reactor_delayed_calls(reactor, NULL, 2, &count), want);
    CHECK_STATUS(lariat_reactor_delayed_calls(reactor, calls, 2, NULL), want);
    CHECK_STATUS(lariat_reactor_watchers(reactor, NULL, 2, &count), want);
    CHECK_STATUS(lariat_reactor_watchers(reactor, watchers, 2, NULL), want);
    CHECK_STATUS(lariat_reactor_stats(reactor, NULL), want);
    CHECK_STATUS(lariat_reactor_next_event(reactor, NULL), want);
    CHECK_STATUS(lariat_reactor_options_init(NULL, sizeof(lariat_reactor_options)), want);
    CHECK_STATUS(lariat_event_init(NULL, sizeof(lariat_event)), want);
    CHECK_STATUS(lariat_stats_init(NULL, sizeof(lariat_stats)), want);
    CHECK_STATUS(lariat_simulation_descriptor_new(simulation, NULL), want);
    CHECK_NULL(lariat_reactor_new_with_options(NULL), want);
    CHECK_NULL(lariat_deferred_list(reactor, NULL, 1, 0), want);
    CHECK_NULL(lariat_deferred_gather(reactor, NULL, 1), want);
    CHECK_NULL(lariat_deferred_race(reactor, NULL, 1), want);
    lariat_deferred *none = NULL;
    CHECK_NULL(lariat_deferred_list(reactor, &none, 1, 0), want);
    CHECK_OK(lariat_watcher_stop(watcher));
    CHECK_OK(lariat_simulation_free(simulation));
    turn(reactor);
    reactor_done(reactor);
    pipe_close(ends);
}

/* Enumerations and codes that no constant names. */
TEST(f16_numbers_without_a_meaning) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, quiet_looping, NULL);
    const lariat_status want = LARIAT_ERR_INVALID_ARGUMENT;
    const int32_t numbers[] = {-1, 8, 64, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int32_t number = numbers[i];
        lariat_reactor_options options = reactor_options();
        options.driver = number;
        CHECK_NULL(lariat_reactor_new_with_options(&options), want);
        options = reactor_options();
        options.clock = number;
        CHECK_NULL(lariat_reactor_new_with_options(&options), want);
        CHECK_NULL(lariat_reactor_add_system_event_trigger(reactor, number, LARIAT_TRIGGER_SHUTDOWN, quiet_trigger, NULL), want);
        CHECK_NULL(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_BEFORE, number, quiet_trigger, NULL), want);
        CHECK_NULL(lariat_reactor_watch(reactor, 0, number, quiet_ready, NULL), want);
        CHECK_NULL(lariat_deferred_list(reactor, NULL, 0, number), want);
        CHECK_NULL(lariat_looping_call_start(looping_call, 1, number), want);
    }
    CHECK_STATUS(lariat_deferred_errback(deferred, 0, "no code"), want);
    token *payload = token_new("payload");
    CHECK_STATUS(lariat_deferred_errback_full(deferred, 0, 0, "no code", payload, token_free), want);
    CHECK_FREED(payload);
    CHECK_NULL(lariat_deferred_new_failed(reactor, 0, "no code"), want);
    CHECK_INT(lariat_deferred_called(deferred), 0);
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

/* ---- 17: text that is not UTF-8, a length past the address space ------------------------------------------------------------- */

static const char *const bad_text[] = {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "caf\xe9"};
#define BAD_TEXTS (sizeof bad_text / sizeof *bad_text)

/* Nothing was recorded by what was refused: the return value is the result. */
static void *fail_with_bad_text(lariat_deferred *deferred, void *value, void *user_data) {
    CHECK_NULL(lariat_deferred_fail(deferred, 7, user_data), LARIAT_ERR_INVALID_ARGUMENT);
    token *payload = token_new("payload");
    CHECK_NULL(lariat_deferred_fail_full(deferred, 7, 0, user_data, payload, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_FREED(payload);
    return value;
}

static void *fail_job_with_bad_text(lariat_job *job, void *user_data) {
    for (size_t i = 0; i < BAD_TEXTS; i++) CHECK_NULL(lariat_job_fail(job, 7, bad_text[i]), LARIAT_ERR_INVALID_ARGUMENT);
    return user_data;
}

TEST(f17_messages_that_are_not_utf8) {
    lariat_reactor *reactor = real_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    const lariat_status want = LARIAT_ERR_INVALID_ARGUMENT;
    for (size_t i = 0; i < BAD_TEXTS; i++) {
        token *payload = token_new("payload");
        CHECK_STATUS(lariat_deferred_errback(deferred, 7, bad_text[i]), want);
        CHECK_STATUS(lariat_deferred_errback_full(deferred, 7, 0, bad_text[i], payload, token_free), want);
        CHECK_FREED(payload);
        CHECK_STATUS(lariat_deferred_errback_from_thread(deferred, 7, bad_text[i]), want);
        CHECK_NULL(lariat_deferred_new_failed(reactor, 7, bad_text[i]), want);
        CHECK_INT(lariat_deferred_called(deferred), 0);
        CHECK_OK(lariat_deferred_add_callback(deferred, fail_with_bad_text, (void *)(uintptr_t)bad_text[i]));
    }
    end_with_note(deferred, "end");
    CHECK_OK(lariat_deferred_callback(deferred, "value"));
    end_with_note(lariat_reactor_defer_to_thread(reactor, fail_job_with_bad_text, "value"), "job");
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("end=value job=value");
    reactor_done(reactor);
}

TEST(f17_a_host_name_that_is_not_utf8) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    for (size_t i = 0; i < BAD_TEXTS; i++) {
        lariat_reactor_options options = reactor_options();
        options.driver = LARIAT_DRIVER_SIMULATED;
        options.simulation = simulation;
        options.host = bad_text[i];
        CHECK_NULL(lariat_reactor_new_with_options(&options), LARIAT_ERR_INVALID_ARGUMENT);
    }
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(f17_lengths_past_the_address_space) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *one = lariat_deferred_new(reactor);
    lariat_delayed_call *calls[1] = {NULL};
    lariat_watcher *watchers[1] = {NULL};
    size_t count;
    const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / sizeof one, SIZE_MAX / sizeof one + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CHECK_NULL(lariat_deferred_list(reactor, &one, lengths[i], 0), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_deferred_gather(reactor, &one, lengths[i]), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_deferred_race(reactor, &one, lengths[i]), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_reactor_delayed_calls(reactor, calls, lengths[i], &count), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_reactor_watchers(reactor, watchers, lengths[i], &count), LARIAT_ERR_INVALID_ARGUMENT);
    }
    end_with_note(one, "kept");
    CHECK_OK(lariat_deferred_callback(one, "value"));
    CHECK_NOTES("kept=value");
    reactor_done(reactor);
}

/* ---- 18: a delay that is NaN, negative or over 1e9; a wait that is NaN or negative ------------------------------------------- */

static double *bad_waits(void) {
    static double values[] = {NAN, -1, -DBL_MIN, -DBL_MAX, -INFINITY, 0 /* the end */};
    return values;
}

static double *bad_delays(void) {
    static double values[] = {NAN, -1, -DBL_MIN, -DBL_MAX, -INFINITY, INFINITY, DBL_MAX, 1000000001.0, 1000000000.001, 0 /* the end */};
    return values;
}

TEST(f18_delays) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *call = lariat_reactor_call_later(reactor, 1, note_call, "call");
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, quiet_looping, NULL);
    const lariat_status want = LARIAT_ERR_INVALID_ARGUMENT;
    for (double *bad = bad_delays(); *bad != 0; bad++) {
        token *data = token_new("call"), *value = token_new("value"), *later = token_new("later");
        CHECK_NULL(lariat_reactor_call_later(reactor, *bad, note_call, "never"), want);
        CHECK_NULL(lariat_reactor_call_later_full(reactor, *bad, note_call, data, token_free), want);
        CHECK_FREED(data);
        CHECK_NULL(lariat_reactor_call_later_event(reactor, *bad, 1), want);
        CHECK_NULL(lariat_reactor_defer_later(reactor, *bad, NULL, NULL), want);
        CHECK_NULL(lariat_reactor_defer_later_full(reactor, *bad, note_value, later, token_free), want);
        CHECK_FREED(later);
        CHECK_NULL(lariat_deferred_callback_later(deferred, *bad, "never"), want);
        CHECK_NULL(lariat_deferred_callback_later_full(deferred, *bad, value, token_free), want);
        CHECK_FREED(value);
        CHECK_STATUS(lariat_deferred_add_timeout(deferred, *bad), want);
        CHECK_STATUS(lariat_delayed_call_reset(call, *bad), want);
        CHECK_STATUS(lariat_delayed_call_delay(call, *bad), want);
        CHECK_NULL(lariat_looping_call_start(looping_call, *bad, 0), want);
        CHECK_STATUS(lariat_reactor_advance(reactor, *bad), want);
    }
    CHECK_NEAR(lariat_delayed_call_time(call), lariat_reactor_seconds(reactor) + 1);
    CHECK_INT(reactor_stats(reactor).delayed_calls, 1);
    advance(reactor, 1);
    CHECK_NOTES("call");
    CHECK_INT(lariat_deferred_called(deferred), 0);
    CHECK_INT(lariat_looping_call_running(looping_call), 0);
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

TEST(f18_the_smallest_and_the_longest_delay) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later(reactor, 1e9, note_call, "longest") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 0, note_call, "zero") != NULL);
    CHECK(lariat_reactor_call_later(reactor, -0.0, note_call, "minus-zero") != NULL);
    CHECK(lariat_reactor_call_later(reactor, DBL_MIN, note_call, "smallest") != NULL);
    advance(reactor, 1);
    CHECK_NOTES("zero minus-zero smallest");
    advance(reactor, 1e9);
    CHECK_NOTES("longest");
    reactor_done(reactor);
}

TEST(f18_waits_and_budgets) {
    lariat_reactor *reactor = manual_reactor();
    lariat_simulation *simulation = lariat_simulation_new(1);
    const lariat_status want = LARIAT_ERR_INVALID_ARGUMENT;
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    for (double *bad = bad_waits(); *bad != 0; bad++) {
        CHECK_STATUS(lariat_reactor_iterate(reactor, *bad), want);
        CHECK_STATUS(lariat_reactor_run_frame(reactor, *bad), want);
        CHECK_STATUS(lariat_simulation_run(simulation, *bad), want);
        CHECK_NULL(lariat_cooperator_new(reactor, *bad), want);
        for (int field = 0; field < 4; field++) {
            lariat_reactor_options options = reactor_options();
            *(double *[]){&options.thread_idle_seconds, &options.shutdown_seconds, &options.slow_callback_seconds,
                          &options.spin_seconds}[field] = *bad;
            CHECK_NULL(lariat_reactor_new_with_options(&options), want);
        }
    }
    CHECK_NOTES("");
    CHECK_OK(lariat_reactor_iterate(reactor, INFINITY)); /* a manual clock's polls never wait */
    CHECK_NOTES("soon");
    CHECK_OK(lariat_simulation_free(simulation));
    reactor_done(reactor);
}

static lariat_deferred *quiet_blocking(lariat_reactor *reactor, void *user_data) {
    (void)reactor;
    (void)user_data;
    return NULL;
}

static void *block_badly(void *argument) {
    void *value = NULL;
    for (double *bad = bad_waits(); *bad != 0; bad++)
        CHECK_STATUS(lariat_reactor_blocking_call(argument, *bad, quiet_blocking, NULL, &value),
                     LARIAT_ERR_INVALID_ARGUMENT);
    return NULL;
}

TEST(f18_waits_of_a_blocking_call_from_a_thread) {
    lariat_reactor *reactor = real_reactor();
    thread_join(thread_start(block_badly, reactor));
    turn(reactor);
    reactor_done(reactor);
}

/* Not looked at before it is known to be there. */
TEST(f18_a_protocol_that_is_not_there) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("data");
    CHECK_NULL(lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_listen_full(reactor, "tcp://127.0.0.1:0", NULL, NULL, data, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(data));
    CHECK_NULL(lariat_reactor_adopt_listener(reactor, 0, NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_connect(reactor, "tcp://127.0.0.1:1", NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}
