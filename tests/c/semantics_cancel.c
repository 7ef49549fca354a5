/* Cancellation, chain and timeouts: SEMANTICS 6-9 and 15. */
#include "harness.h"

/* ---- 6: cancel without a canceller ---- */

TEST(s06_cancel_without_canceller_fires_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "not called"));
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "d"));
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("d!CANCELLED");
    CHECK_INT(lariat_deferred_called(d), 1);
    CHECK_OK(lariat_deferred_abandon(d)); /* cancelling has not ended the worker's claim */
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s06_cancel_without_canceller_swallows_one_fire) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *late = token_new("late"), *later = token_new("later");
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "d"));
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("d!CANCELLED");
    CHECK_OK(lariat_deferred_callback_full(d, late, token_free)); /* the worker could not know */
    CHECK(!token_alive(late));
    CHECK_STATUS(lariat_deferred_callback_full(d, later, token_free), LARIAT_ERR_ALREADY_CALLED);
    CHECK(!token_alive(later));
    CHECK_STR(result_of(d), "-");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s06_a_late_failure_is_swallowed_and_never_reported) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *payload = token_new("payload");
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_cancel(d)); /* legal after the release */
    CHECK_NOTES("d!CANCELLED");
    CHECK_INT(reactor_stats(reactor).deferreds, 1); /* held by the worker's claim */
    CHECK_OK(lariat_deferred_errback_full(d, 7, 0, "seven", payload, token_free));
    CHECK(!token_alive(payload));
    CHECK_STATUS(lariat_deferred_errback(d, 7, "seven"), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* ---- 7: cancel with a canceller ---- */

TEST(s07_a_canceller_that_does_nothing_leaves_it_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_noted, "d");
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "d"));
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("cancel:d d!CANCELLED");
    CHECK_OK(lariat_deferred_abandon(d));
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

/* Assumes that the refused fire still ends the worker's claim. */
TEST(s07_nothing_later_is_swallowed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_noted, "d");
    token *late = token_new("late");
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "d"));
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("cancel:d d!CANCELLED");
    CHECK_STATUS(lariat_deferred_callback_full(d, late, token_free), LARIAT_ERR_ALREADY_CALLED);
    CHECK(!token_alive(late));
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s07_a_canceller_may_fire_it_itself) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *good = lariat_deferred_new_with_canceller(reactor, cancel_gives_saved, "good");
    lariat_deferred *bad = lariat_deferred_new_full(reactor, cancel_fails_7, token_new("bad"), token_free);
    end_with_note(good, "good");
    end_with_note(bad, "bad");
    CHECK_OK(lariat_deferred_cancel(good));
    CHECK_NOTES("cancel:good good=saved");
    CHECK_OK(lariat_deferred_cancel(bad));
    CHECK_NOTES("cancel:bad bad!7");
    reactor_done(reactor);
}

TEST(s07_a_canceller_that_stops_its_worker_abandons) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d");
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("cancel:d d!CANCELLED"); /* ends the claim without deciding the result */
    reactor_done(reactor);
}

TEST(s07_a_canceller_that_cancels_is_not_called_again) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_again, "d");
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("cancel:d d!CANCELLED");
    CHECK_OK(lariat_deferred_abandon(d));
    reactor_done(reactor);
}

TEST(s07_the_cancellers_user_data_is_freed_once) {
    lariat_reactor *reactor = manual_reactor();
    token *fired = token_new("fired"), *cancelled = token_new("cancelled"), *alone = token_new("no canceller");
    lariat_deferred *one = lariat_deferred_new_full(reactor, cancel_noted, fired, token_free);
    lariat_deferred *two = lariat_deferred_new_full(reactor, cancel_abandons, cancelled, token_free);
    lariat_deferred *three = lariat_deferred_new_full(reactor, NULL, alone, token_free);
    CHECK_INT(tokens_alive(), 3);
    CHECK_OK(lariat_deferred_callback(one, "x"));
    CHECK_OK(lariat_deferred_cancel(two));
    CHECK_OK(lariat_deferred_cancel(three));
    CHECK_OK(lariat_deferred_callback(three, "swallowed: it has no canceller"));
    end_with_note(one, "one");
    end_with_note(two, "two");
    end_with_note(three, "three");
    CHECK_NOTES("cancel:cancelled one=x two!CANCELLED three!CANCELLED");
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

/* ---- 8: cancelling again, late, and down the chain ---- */

TEST(s08_a_second_cancel_does_nothing) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *plain = lariat_deferred_new(reactor);
    lariat_deferred *with = lariat_deferred_new_with_canceller(reactor, cancel_noted, "with");
    CHECK_OK(lariat_deferred_add_errback(plain, note_failure, "plain"));
    CHECK_OK(lariat_deferred_add_errback(with, note_failure, "with"));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(lariat_deferred_cancel(plain));
        CHECK_OK(lariat_deferred_cancel(with));
    }
    CHECK_NOTES("plain!CANCELLED cancel:with with!CANCELLED");
    CHECK_OK(lariat_deferred_callback(plain, NULL)); /* one is swallowed, not two */
    CHECK_STATUS(lariat_deferred_callback(plain, NULL), LARIAT_ERR_ALREADY_CALLED);
    CHECK_OK(lariat_deferred_abandon(with));
    CHECK_OK(lariat_deferred_release(plain));
    CHECK_OK(lariat_deferred_release(with));
    reactor_done(reactor);
}

TEST(s08_a_cancel_after_firing_does_nothing) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called");
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_STATUS(lariat_deferred_callback(d, "y"), LARIAT_ERR_ALREADY_CALLED); /* nor does it swallow */
    end_with_note(d, "d");
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

TEST(s08_cancelling_one_that_waits_cancels_the_innermost) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called");
    lariat_deferred *middle = lariat_deferred_new(reactor);
    lariat_deferred *inner = lariat_deferred_new_with_canceller(reactor, cancel_noted, "inner");
    CHECK_OK(lariat_deferred_add_both(middle, note_both, "before"));
    CHECK_OK(lariat_deferred_add_callback(middle, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_both(middle, note_both, "middle"));
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, middle));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_callback(middle, NULL));
    CHECK_NOTES("before=-");
    CHECK_OK(lariat_deferred_cancel(outer));
    CHECK_NOTES("cancel:inner middle!CANCELLED outer!CANCELLED");
    CHECK_OK(lariat_deferred_abandon(inner));
    reactor_done(reactor);
}

TEST(s08_the_inner_may_answer_a_cancel_with_a_value) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor);
    lariat_deferred *inner = lariat_deferred_new_with_canceller(reactor, cancel_gives_saved, "inner");
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_cancel(outer));
    CHECK_NOTES("cancel:inner outer=saved");
    reactor_done(reactor);
}

TEST(s08_an_inner_without_canceller_swallows_its_late_result) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    token *late = token_new("late");
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_cancel(outer));
    CHECK_NOTES("outer!CANCELLED");
    CHECK_OK(lariat_deferred_callback_full(inner, late, token_free));
    CHECK(!token_alive(late));
    reactor_done(reactor);
}

TEST(s08_each_wait_can_be_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor);
    lariat_deferred *first = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "first");
    lariat_deferred *second = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "second");
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, first));
    CHECK_OK(lariat_deferred_add_errback(outer, errback_waits_for_it, second));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_cancel(outer));
    CHECK_NOTES("cancel:first !CANCELLED");
    CHECK_OK(lariat_deferred_cancel(outer)); /* now it waits for the second */
    CHECK_NOTES("cancel:second outer!CANCELLED");
    reactor_done(reactor);
}

static void *cancel_myself(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_deferred_cancel(deferred));
    return value;
}

TEST(s08_cancelling_itself_in_its_own_callback_does_nothing) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, cancel_myself, NULL));
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

/* ---- 9: chain ---- */

TEST(s09_chain_hands_on_the_value) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor);
    token *value = token_new("value");
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "d"));
    CHECK_OK(lariat_deferred_chain(d, target));
    CHECK_OK(lariat_deferred_add_callback(target, note_value, "target"));
    CHECK_OK(lariat_deferred_callback_full(d, value, token_free));
    CHECK_NOTES("d=value target=value");
    CHECK(token_alive(value)); /* moved, with its free function */
    CHECK_STATUS(lariat_deferred_called(d), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_deferred_release(target));
    CHECK(!token_alive(value));
    reactor_done(reactor);
}

TEST(s09_chain_hands_on_the_failure) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_failed(reactor, 7, "seven"), *target = lariat_deferred_new(reactor);
    end_with_note(target, "target");
    CHECK_OK(lariat_deferred_chain(d, target)); /* has fired: handed on at once */
    CHECK_NOTES("target!7");
    reactor_done(reactor);
}

TEST(s09_chain_does_not_hand_on_cancellation) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called");
    lariat_deferred *target = lariat_deferred_new(reactor);
    token *late = token_new("late");
    CHECK_OK(lariat_deferred_chain(d, target));
    end_with_note(target, "target");
    CHECK_OK(lariat_deferred_cancel(target));
    CHECK_NOTES("target!CANCELLED");
    CHECK_INT(reactor_stats(reactor).deferreds, 2);
    CHECK_OK(lariat_deferred_callback_full(d, late, token_free)); /* reaches a cancelled target: swallowed there */
    CHECK(!token_alive(late));
    reactor_done(reactor);
}

TEST(s09_cancelling_the_source_reaches_the_target_as_a_result) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d"), *target = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_chain(d, target));
    end_with_note(target, "target");
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("cancel:d target!CANCELLED");
    reactor_done(reactor);
}

TEST(s09_a_refused_chain_releases_nothing) {
    lariat_reactor *reactor = manual_reactor(), *elsewhere = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor), *foreign = lariat_deferred_new(elsewhere);
    CHECK_STATUS(lariat_deferred_chain(d, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_chain(NULL, target), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_chain(d, foreign), LARIAT_ERR_WRONG_REACTOR);
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "still ours"));
    CHECK_OK(lariat_deferred_chain(d, target));
    CHECK_STATUS(lariat_deferred_chain(d, target), LARIAT_ERR_ALREADY_WAITED);
    end_with_note(target, "target");
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("still ours=x target=x");
    CHECK_OK(lariat_deferred_abandon(foreign));
    end_with_note(foreign, "foreign");
    CHECK_NOTES("foreign!ABANDONED");
    reactor_done(reactor);
    reactor_done(elsewhere);
}

/* ---- 15: timeouts ---- */

TEST(s15_a_timeout_converts_the_cancellation_that_it_caused) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d");
    CHECK_OK(lariat_deferred_add_both(d, note_both, "covered"));
    CHECK_OK(lariat_deferred_add_timeout(d, 5));
    end_with_note(d, "d");
    advance(reactor, 4.5);
    CHECK_NOTES("");
    advance(reactor, 0.5);
    CHECK_NOTES("cancel:d covered!CANCELLED d!TIMED_OUT");
    reactor_done(reactor);
}

TEST(s15_without_canceller_the_late_result_is_swallowed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_timeout(d, 1));
    end_with_note(d, "d");
    advance(reactor, 1);
    CHECK_NOTES("d!TIMED_OUT");
    CHECK_OK(lariat_deferred_callback_full(d, token_new("late"), token_free));
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(s15_somebody_elses_cancellation_stays_one) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d");
    CHECK_OK(lariat_deferred_add_timeout(d, 5));
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("cancel:d d!CANCELLED");
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    reactor_done(reactor);
}

TEST(s15_a_result_in_time_removes_the_timer_at_once) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *good = lariat_deferred_new(reactor), *bad = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_timeout(good, 5));
    CHECK_OK(lariat_deferred_add_timeout(bad, 6));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 5);
    CHECK_OK(lariat_deferred_callback(good, "x"));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), 6);
    CHECK_OK(lariat_deferred_errback(bad, 7, NULL));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    end_with_note(good, "good");
    end_with_note(bad, "bad");
    CHECK_NOTES("good=x bad!7");
    reactor_done(reactor);
}

TEST(s15_one_that_has_fired_needs_no_timer) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_succeeded(reactor, "x");
    CHECK_OK(lariat_deferred_add_timeout(d, 5));
    CHECK_NEAR(lariat_reactor_next_deadline(reactor), INFINITY);
    end_with_note(d, "d");
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

TEST(s15_what_was_added_before_is_covered) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *slow = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "slow");
    CHECK_OK(lariat_deferred_add_callback(d, wait_for_it, slow));
    CHECK_OK(lariat_deferred_add_timeout(d, 5));
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_callback(d, NULL));
    advance(reactor, 5);
    CHECK_NOTES("cancel:slow d!TIMED_OUT");
    reactor_done(reactor);
}

TEST(s15_what_is_added_after_is_not_covered) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *slow = lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called");
    CHECK_OK(lariat_deferred_add_timeout(d, 5));
    CHECK_OK(lariat_deferred_add_callback(d, wait_for_it, slow));
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_callback(d, NULL));
    advance(reactor, 100);
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(slow, "x"));
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

TEST(s15_of_two_each_converts_only_its_own) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d");
    CHECK_OK(lariat_deferred_add_timeout(d, 5));
    CHECK_OK(lariat_deferred_add_both(d, note_both, "between"));
    CHECK_OK(lariat_deferred_add_timeout(d, 1));
    end_with_note(d, "d");
    advance(reactor, 10);
    CHECK_NOTES("cancel:d between!CANCELLED d!TIMED_OUT");
    reactor_done(reactor);
}

TEST(s15_only_a_cancellation_is_converted) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *saved = lariat_deferred_new_with_canceller(reactor, cancel_gives_saved, "saved");
    lariat_deferred *failed = lariat_deferred_new_with_canceller(reactor, cancel_fails_7, "failed");
    lariat_deferred *handled = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "handled");
    CHECK_OK(lariat_deferred_add_errback(handled, recover, "well"));
    CHECK_OK(lariat_deferred_add_timeout(saved, 1));
    CHECK_OK(lariat_deferred_add_timeout(failed, 2));
    CHECK_OK(lariat_deferred_add_timeout(handled, 3));
    end_with_note(saved, "saved");
    end_with_note(failed, "failed");
    end_with_note(handled, "handled");
    advance(reactor, 3);
    CHECK_NOTES("cancel:saved saved=saved cancel:failed failed!7 cancel:handled recover!CANCELLED handled=well");
    reactor_done(reactor);
}

TEST(s15_its_seconds_are_checked) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_STATUS(lariat_deferred_add_timeout(d, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_timeout(d, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_timeout(d, 2e9), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_timeout(d, INFINITY), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}
