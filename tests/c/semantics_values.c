/* Outcomes, values and who owns them, failures and who hears of them, claims: SEMANTICS 3 and 13, DESIGN 2 and 5. */
#include "harness.h"

/* ---- outcomes that a callback records ---- */

static void *fail_then_return(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    CHECK_PTR(lariat_deferred_fail(deferred, 7, "seven"), NULL);
    CHECK_PTR(lariat_deferred_return(deferred, user_data, NULL), NULL);
    return "what is returned loses";
}

static void *return_then_fail(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    lariat_deferred_return(deferred, user_data, token_free);
    return lariat_deferred_fail(deferred, 7, "seven");
}

static void *wait_then_return(lariat_deferred *deferred, void *value, void *other) {
    (void)value;
    lariat_deferred_wait_for(deferred, other);
    return lariat_deferred_return(deferred, "now", NULL);
}

TEST(s03_the_last_outcome_recorded_wins) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *unused = token_new("unused");
    CHECK_OK(lariat_deferred_add_callback(d, fail_then_return, "second"));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "one"));
    CHECK_OK(lariat_deferred_add_callback(d, return_then_fail, unused));
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "two"));
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("one=second two!7");
    CHECK_OK(lariat_deferred_release(d));
    CHECK(!token_alive(unused));
    reactor_done(reactor);
}

/* Assumes that the wait_for counts as handed over, even when a later outcome replaces it: its result goes nowhere. */
TEST(s03_a_wait_that_was_replaced_is_forgotten) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *other = lariat_deferred_new(reactor);
    token *value = token_new("value");
    CHECK_OK(lariat_deferred_add_callback(d, wait_then_return, other));
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("d=now");
    CHECK_OK(lariat_deferred_callback_full(other, value, token_free));
    CHECK(!token_alive(value));
    reactor_done(reactor);
}

static void *return_owned(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    return lariat_deferred_return(deferred, user_data, token_free);
}

static void *suffix(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)user_data;
    return (char *)value + strlen("prefix "); /* a pointer into an owned value */
}

TEST(s03_an_owned_value_lives_as_long_as_its_deferred) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *first = token_new("prefix one"), *second = token_new("two");
    CHECK_OK(lariat_deferred_add_callback(d, suffix, NULL));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "into"));
    CHECK_OK(lariat_deferred_add_callback(d, return_owned, second));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "owned"));
    CHECK_OK(lariat_deferred_add_callback(d, replace, "plain"));
    CHECK_OK(lariat_deferred_callback_full(d, first, token_free));
    CHECK_NOTES("into=one owned=two");
    CHECK(token_alive(first) && token_alive(second));
    CHECK_OK(lariat_deferred_release(d));
    CHECK(!token_alive(first) && !token_alive(second));
    reactor_done(reactor);
}

static void *take_it(lariat_deferred *deferred, void *value, void *user_data) {
    CHECK_PTR(lariat_deferred_take(deferred), value);
    *(void **)user_data = value;
    return NULL;
}

TEST(s03_a_value_that_was_taken_is_not_freed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *value = token_new("value"), *taken = NULL;
    CHECK_OK(lariat_deferred_add_callback(d, take_it, &taken));
    CHECK_OK(lariat_deferred_callback_full(d, value, token_free));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_PTR(taken, value);
    CHECK(token_alive(value));
    token_free(taken);
    reactor_done(reactor);
}

TEST(s03_a_value_can_be_taken_from_outside) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *value = token_new("value");
    CHECK_NULL(lariat_deferred_take(d), LARIAT_ERR_NOT_CALLED);
    CHECK_OK(lariat_deferred_callback_full(d, value, token_free));
    CHECK_PTR(lariat_deferred_take(d), value);
    CHECK_STR(result_of(d), "-");
    CHECK_OK(lariat_deferred_release(d));
    CHECK(token_alive(value));
    token_free(value);
    reactor_done(reactor);
}

/* Assumes that a callback which returns the owned value it was given leaves it the owned value. */
TEST(s03_a_value_that_callbacks_passed_on_can_be_taken) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *value = token_new("value");
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "one"));
    CHECK_OK(lariat_deferred_add_both(d, note_both, "two"));
    CHECK_OK(lariat_deferred_callback_full(d, value, token_free));
    CHECK_NOTES("one=value two=value");
    CHECK_PTR(lariat_deferred_take(d), value);
    CHECK_OK(lariat_deferred_release(d));
    CHECK(token_alive(value));
    token_free(value);
    reactor_done(reactor);
}

TEST(s03_outcomes_are_recorded_only_inside_a_callback) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *other = lariat_deferred_new(reactor);
    token *value = token_new("value"), *payload = token_new("payload"), *nowhere = token_new("nowhere");
    CHECK_NULL(lariat_deferred_return(d, value, token_free), LARIAT_ERR_INVALID_STATE);
    CHECK(!token_alive(value));
    CHECK_NULL(lariat_deferred_return(NULL, nowhere, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(nowhere));
    CHECK_NULL(lariat_deferred_fail(d, 7, "seven"), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_deferred_fail_full(d, 7, 0, "seven", payload, token_free), LARIAT_ERR_INVALID_STATE);
    CHECK(!token_alive(payload));
    CHECK_NULL(lariat_deferred_refail(d), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_deferred_wait_for(d, other), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_deferred_callback(d, "d"));
    CHECK_OK(lariat_deferred_callback(other, "other"));
    end_with_note(d, "d");
    end_with_note(other, "other"); /* the refused wait_for has released nothing */
    CHECK_NOTES("d=d other=other");
    reactor_done(reactor);
}

/* ---- failures ---- */

static void *check_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    CHECK_INT(lariat_failure_code(failure), 42);
    CHECK_INT(lariat_failure_os_error(failure), 5);
    CHECK_STR(lariat_failure_message(failure), "the disk: gone");
    CHECK_PTR(lariat_failure_payload(failure), user_data);
    CHECK_INT(lariat_failure_index(failure), -1);
    CHECK_PTR(lariat_failure_results(failure), NULL);
    note("checked");
    return lariat_deferred_refail(deferred);
}

TEST(s03_a_failure_says_everything_and_passes_on_whole) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *payload = token_new("payload");
    CHECK_OK(lariat_deferred_add_errback(d, check_failure, payload));
    CHECK_OK(lariat_deferred_add_errback(d, check_failure, payload));
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "end"));
    CHECK_OK(lariat_deferred_errback_full(d, 42, 5, "the disk: gone", payload, token_free));
    CHECK_NOTES("checked checked end!42");
    CHECK_OK(lariat_deferred_release(d));
    CHECK(!token_alive(payload));
    reactor_done(reactor);
}

static void *fail_full(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    return lariat_deferred_fail_full(deferred, 42, 5, "the disk: gone", user_data, token_free);
}

TEST(s03_a_callback_can_fail_with_everything) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *payload = token_new("payload");
    CHECK_OK(lariat_deferred_add_callback(d, fail_full, payload));
    CHECK_OK(lariat_deferred_add_errback(d, check_failure, payload));
    end_with_note(d, "end");
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("checked end!42");
    reactor_done(reactor);
}

/* user_data is a Deferred that is to fail with the same. */
static void *forward(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    CHECK_OK(lariat_deferred_errback_failure(user_data, failure));
    return lariat_deferred_fail_failure(deferred, failure);
}

TEST(s03_a_failure_can_be_forwarded) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *other = lariat_deferred_new(reactor);
    token *payload = token_new("payload");
    CHECK_OK(lariat_deferred_add_errback(d, forward, other));
    CHECK_OK(lariat_deferred_add_errback(d, check_failure, payload));
    CHECK_OK(lariat_deferred_add_errback(other, check_failure, payload));
    CHECK_OK(lariat_deferred_errback_full(d, 42, 5, "the disk: gone", payload, token_free));
    CHECK_NOTES("checked checked");
    end_with_note(d, "d");
    CHECK(token_alive(payload)); /* shared, so freed with the last */
    end_with_note(other, "other");
    CHECK(!token_alive(payload));
    CHECK_NOTES("d!42 other!42");
    reactor_done(reactor);
}

TEST(s03_a_failure_always_has_a_message_and_never_the_code_0) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    const lariat_failure *failure = NULL;
    CHECK_STATUS(lariat_deferred_errback(d, 0, "zero"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_errback_full(d, 0, 0, "zero", token_new("payload"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_errback(d, 7, "\xff"), LARIAT_ERR_INVALID_ARGUMENT); /* text is UTF-8 */
    CHECK_NULL(lariat_deferred_new_failed(reactor, 0, "zero"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(lariat_deferred_called(d), 0);
    CHECK_OK(lariat_deferred_errback(d, LARIAT_ERR_TIMED_OUT, NULL));
    CHECK_OK(lariat_deferred_result(d, NULL, &failure));
    CHECK(failure != NULL && lariat_failure_message(failure) != NULL);
    end_with_note(d, "d");
    CHECK_NOTES("d!TIMED_OUT");
    reactor_done(reactor);
}

static void *keep(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK_OK(lariat_failure_keep(failure));
    *(const lariat_failure **)user_data = failure;
    return NULL;
}

TEST(s03_a_failure_can_be_kept_longer) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    const lariat_failure *kept = NULL;
    token *payload = token_new("payload");
    CHECK_OK(lariat_deferred_add_errback(d, keep, &kept));
    CHECK_OK(lariat_deferred_errback_full(d, 42, 0, "kept", payload, token_free));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_INT(reactor_stats(reactor).failures, 1);
    CHECK_INT(lariat_failure_code(kept), 42);
    CHECK_STR(lariat_failure_message(kept), "kept");
    CHECK(token_alive(payload));
    CHECK_OK(lariat_failure_release(kept));
    CHECK(!token_alive(payload));
    CHECK_STATUS(lariat_failure_release(kept), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(lariat_failure_code(kept), 0);
    CHECK(lariat_failure_message(kept) != NULL); /* never NULL, whatever the handle */
    reactor_done(reactor);
}

TEST(s03_a_result_can_be_looked_at) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *good = lariat_deferred_new(reactor), *bad = lariat_deferred_new(reactor);
    void *value = "untouched";
    const lariat_failure *failure = NULL;
    CHECK_STATUS(lariat_deferred_result(good, &value, &failure), LARIAT_ERR_NOT_CALLED);
    CHECK_OK(lariat_deferred_callback(good, "x"));
    CHECK_OK(lariat_deferred_result(good, &value, &failure));
    CHECK_STR(value, "x");
    CHECK(failure == NULL);
    CHECK_OK(lariat_deferred_errback(bad, 7, NULL));
    CHECK_OK(lariat_deferred_result(bad, &value, &failure));
    CHECK(value == NULL && failure != NULL);
    CHECK_INT(lariat_failure_code(failure), 7);
    CHECK_OK(lariat_deferred_result(bad, NULL, NULL));
    CHECK_OK(lariat_deferred_release(good));
    end_with_note(bad, "bad");
    CHECK_NOTES("bad!7");
    reactor_done(reactor);
}

/* ---- 13: unhandled failures, which the harness notes as unhandled!CODE ---- */

TEST(s13_an_unhandled_failure_is_reported_once_when_it_is_reclaimed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "not called"));
    CHECK_OK(lariat_deferred_add_errback(d, refail, "d"));
    CHECK_OK(lariat_deferred_errback(d, 7, "seven"));
    CHECK_NOTES("d!7");
    CHECK_OK(lariat_deferred_release(d));
    CHECK_NOTES("unhandled!7");
    reactor_done(reactor);
}

TEST(s13_also_when_it_was_released_before_it_fired) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, fail_7, "d"));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("d:fails unhandled!7");
    reactor_done(reactor);
}

TEST(s13_a_handled_failure_is_not_reported) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *before = lariat_deferred_new(reactor), *after = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_errback(before, note_failure, "before"));
    CHECK_OK(lariat_deferred_errback(before, 7, NULL));
    CHECK_OK(lariat_deferred_errback(after, 8, NULL));
    CHECK_OK(lariat_deferred_add_errback(after, note_failure, "after")); /* late, but before the release */
    CHECK_OK(lariat_deferred_release(before));
    CHECK_OK(lariat_deferred_release(after));
    CHECK_NOTES("before!7 after!8");
    reactor_done(reactor);
}

TEST(s13_a_failure_that_was_moved_is_the_other_ones) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    lariat_deferred *source = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_errback(inner, 7, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_release(outer));
    CHECK_NOTES("unhandled!7");
    CHECK_OK(lariat_deferred_chain(source, target));
    CHECK_OK(lariat_deferred_errback(source, 8, NULL));
    CHECK_NOTES("");
    end_with_note(target, "target");
    CHECK_NOTES("target!8");
    reactor_done(reactor);
}

TEST(s13_looking_at_a_failure_does_not_handle_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_failed(reactor, 7, NULL);
    CHECK_STR(result_of(d), "7");
    CHECK_OK(lariat_deferred_release(d));
    CHECK_NOTES("unhandled!7");
    reactor_done(reactor);
}

TEST(s13_a_cancellation_is_a_failure_like_any_other) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES(""); /* the worker still holds it */
    CHECK_OK(lariat_deferred_abandon(d));
    CHECK_NOTES("unhandled!CANCELLED");
    reactor_done(reactor);
}

TEST(s13_reported_when_the_reactor_is_freed) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_deferred_new_failed(reactor, 7, "nobody came") != NULL);
    CHECK_NOTES("");
    free_reactor(reactor);
    CHECK_NOTES("unhandled!7");
}

static void check_unhandled(const lariat_failure *failure, void *user_data) {
    CHECK_STR(lariat_failure_message(failure), "the disk: gone");
    note("%s!%s", (char *)user_data, failure_label(failure));
}

TEST(s13_the_hook_gets_the_failure_and_its_own_user_data) {
    lariat_reactor_options options = reactor_options();
    token *mine = token_new("hook");
    options.clock = LARIAT_CLOCK_MANUAL;
    options.unhandled_failure = check_unhandled;
    options.unhandled_user_data = mine;
    options.free_unhandled_user_data = token_free;
    lariat_reactor *reactor = reactor_with(options);
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(reactor, 42, "the disk: gone")));
    CHECK_NOTES("hook!42");
    CHECK(token_alive(mine));
    reactor_done(reactor);
    CHECK(!token_alive(mine));
}

/* Assumes that without the hook an unhandled failure is logged as an error that carries its message. */
TEST(s13_without_the_hook_it_is_logged) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.unhandled_failure = NULL;
    lariat_reactor *reactor = reactor_with(options);
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(reactor, 42, "the disk: gone")));
    CHECK_INT(test_log.errors, 1);
    CHECK(strstr(test_log.last, "the disk: gone") != NULL);
    reactor_done(reactor);
}

/* ---- the two claims (DESIGN 2, FAILURES 1, 2 and 54) ---- */

TEST(claims_callbacks_run_after_the_release) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *other = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, fail_7, "d"));
    CHECK_OK(lariat_deferred_add_errback(d, refail, "refail"));
    CHECK_OK(lariat_deferred_add_errback(d, errback_waits_for_it, other)); /* the calls inside the chain stay legal */
    end_with_note(d, "end");
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("d:fails refail!7 !7");
    CHECK_OK(lariat_deferred_callback(other, "x"));
    CHECK_NOTES("end=x");
    reactor_done(reactor);
}

TEST(claims_a_released_one_takes_no_more_callbacks) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor);
    token *refused = token_new("refused");
    CHECK_OK(lariat_deferred_release(d));
    CHECK_STATUS(lariat_deferred_add_callback_full(d, note_value, refused, token_free), LARIAT_ERR_RELEASED);
    CHECK(!token_alive(refused));
    CHECK_STATUS(lariat_deferred_add_errback(d, note_failure, "x"), LARIAT_ERR_RELEASED);
    CHECK_STATUS(lariat_deferred_add_both(d, note_end, "x"), LARIAT_ERR_RELEASED);
    CHECK_STATUS(lariat_deferred_add_event(d, 1), LARIAT_ERR_RELEASED);
    CHECK_STATUS(lariat_deferred_add_timeout(d, 1), LARIAT_ERR_RELEASED);
    CHECK_STATUS(lariat_deferred_chain(d, target), LARIAT_ERR_RELEASED);
    CHECK_STATUS(lariat_deferred_pause(d), LARIAT_ERR_RELEASED);
    CHECK_STATUS(lariat_deferred_result(d, NULL, NULL), LARIAT_ERR_RELEASED);
    CHECK_STATUS(lariat_deferred_release(d), LARIAT_ERR_RELEASED);
    CHECK_OK(lariat_deferred_callback(d, "the worker may still fire it"));
    CHECK_OK(lariat_deferred_callback(target, NULL));
    CHECK_OK(lariat_deferred_release(target));
    reactor_done(reactor);
}

TEST(claims_a_reclaimed_one_is_stale_for_everything) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_STATUS(lariat_deferred_release(d), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_callback_full(d, token_new("value"), token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_add_callback_full(d, note_value, token_new("data"), token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_cancel(d), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_abandon(d), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_called(d), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_result(d, NULL, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(tokens_alive(), 0);
    lariat_deferred *next = lariat_deferred_new_succeeded(reactor, NULL); /* perhaps in the same slot */
    CHECK_STATUS(lariat_deferred_called(d), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_deferred_release(next));
    reactor_done(reactor);
}

TEST(claims_abandoning_fires_abandoned) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called");
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_abandon(d));
    CHECK_NOTES("d!ABANDONED");
    CHECK_STATUS(lariat_deferred_abandon(d), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

static void *release_myself(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_deferred_release(deferred));
    return value;
}

TEST(claims_it_may_be_released_inside_its_own_callback) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *value = token_new("value");
    CHECK_OK(lariat_deferred_add_callback(d, release_myself, NULL));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "d"));
    CHECK_OK(lariat_deferred_callback_full(d, value, token_free));
    CHECK_NOTES("d=value");
    CHECK(!token_alive(value));
    reactor_done(reactor);
}

TEST(claims_callback_later_is_the_worker) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *one = lariat_deferred_new(reactor), *two = lariat_deferred_new(reactor);
    CHECK(lariat_deferred_callback_later(one, 2, "x") != NULL);
    lariat_delayed_call *later = lariat_deferred_callback_later_full(two, 1, token_new("value"), token_free);
    CHECK_NEAR(lariat_delayed_call_time(later), lariat_reactor_seconds(reactor) + 1);
    CHECK_NULL(lariat_deferred_callback_later_full(one, NAN, token_new("refused"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 1);
    end_with_note(one, "one");
    end_with_note(two, "two");
    advance(reactor, 2);
    CHECK_NOTES("two=value one=x");
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(claims_cancelling_callback_later_gives_the_claim_back) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *value = token_new("value");
    lariat_delayed_call *later = lariat_deferred_callback_later_full(d, 1, value, token_free);
    CHECK_OK(lariat_delayed_call_cancel(later));
    CHECK(!token_alive(value));
    CHECK_INT(lariat_deferred_called(d), 0);
    CHECK_OK(lariat_deferred_callback(d, "x"));
    end_with_note(d, "d");
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

static void *note_the_end(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK_EITHER(lariat_failure_code(failure), LARIAT_ERR_CANCELLED, LARIAT_ERR_CLOSED);
    note("%s", (char *)user_data);
    return NULL;
}

/* FAILURES 12 */
TEST(claims_the_reactors_end_ends_every_deferred_once) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *plain = lariat_deferred_new(reactor);
    lariat_deferred *with = lariat_deferred_new_full(reactor, cancel_noted, token_new("with"), token_free);
    lariat_deferred *fired = lariat_deferred_new_succeeded_full(reactor, token_new("value"), token_free);
    lariat_deferred *later = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_errback(plain, note_the_end, "plain"));
    CHECK_OK(lariat_deferred_add_errback_full(with, note_the_end, token_new("with"), token_free));
    CHECK_OK(lariat_deferred_add_errback(fired, note_the_end, "not called"));
    CHECK_OK(lariat_deferred_add_errback(later, note_the_end, "later"));
    CHECK(lariat_deferred_callback_later_full(later, 1, token_new("late"), token_free) != NULL);
    CHECK_INT(tokens_alive(), 4);
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_deferred_called(plain), LARIAT_ERR_STALE_HANDLE);
    /* Which of them ends first is nobody's business; that each did, once, is. */
    CHECK_INT(strlen(test_notes.text), strlen("plain cancel:with with later"));
    CHECK(noted("plain") && noted("cancel:with with") && noted("later"));
    notes_clear();
}
