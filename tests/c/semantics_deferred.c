/* Deferreds and their chains: SEMANTICS 1-5 and 10. */
#include "harness.h"

/* ---- 1: waiting for another ---- */

TEST(s01_a_waiting_callback_pauses_its_own_chain) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(inner, note_value, "inner"));
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "outer"));
    CHECK_OK(lariat_deferred_callback(outer, "first"));
    CHECK_NOTES("");
    CHECK_INT(lariat_deferred_called(outer), 1);
    CHECK_STR(result_of(outer), "none");
    CHECK_OK(lariat_deferred_callback(inner, "second"));
    CHECK_NOTES("inner=second outer=second");
    CHECK_STR(result_of(outer), "second");
    CHECK_OK(lariat_deferred_release(outer));
    reactor_done(reactor);
}

TEST(s01_callbacks_added_while_it_waits_run_after_the_others) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "one"));
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "two"));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(inner, "x"));
    CHECK_NOTES("one=x two=x");
    CHECK_OK(lariat_deferred_release(outer));
    reactor_done(reactor);
}

TEST(s01_an_inner_that_has_fired_is_taken_at_once) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new_succeeded(reactor, "ready");
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("outer=ready");
    reactor_done(reactor);
}

TEST(s01_the_failure_of_the_inner_becomes_the_outers) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "not called"));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_errback(inner, 7, "seven"));
    CHECK_NOTES("outer!7");
    reactor_done(reactor);
}

TEST(s01_an_errback_may_wait_too) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_errback(outer, errback_waits_for_it, inner));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_errback(outer, 7, NULL));
    CHECK_NOTES("!7");
    CHECK_OK(lariat_deferred_callback(inner, "better"));
    CHECK_NOTES("outer=better");
    reactor_done(reactor);
}

TEST(s01_an_inner_that_itself_waits_is_waited_for) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *middle = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(middle, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(middle, note_value, "middle"));
    CHECK_OK(lariat_deferred_callback(middle, NULL)); /* fired, but has no result */
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, middle));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(inner, "x"));
    CHECK_NOTES("middle=x outer=x");
    reactor_done(reactor);
}

/* Assumes that who paused a Deferred may unpause it after it was handed over: else it could never go on. */
TEST(s01_a_paused_inner_is_waited_for) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new_succeeded(reactor, "x");
    CHECK_OK(lariat_deferred_pause(inner));
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_unpause(inner));
    CHECK_NOTES("outer=x");
    reactor_done(reactor);
}

TEST(s01_the_result_moves_and_the_inner_is_left_empty) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    token *value = token_new("value");
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "outer"));
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_callback_full(inner, value, token_free));
    CHECK_NOTES("outer=value");
    CHECK_STATUS(lariat_deferred_called(inner), LARIAT_ERR_STALE_HANDLE); /* handed over, fired, run out: gone */
    CHECK_INT(reactor_stats(reactor).deferreds, 1);
    CHECK(token_alive(value));
    CHECK_OK(lariat_deferred_release(outer));
    CHECK(!token_alive(value));
    reactor_done(reactor);
}

/* The usual callback that looks at a value and returns it must not cost the outer chain its value. Assumes that what the inner
 * keeps alive for its callbacks moves along with its result. */
TEST(s01_a_value_that_a_callback_returned_survives_the_move) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    token *value = token_new("value");
    CHECK_OK(lariat_deferred_add_callback(inner, note_value, "inner"));
    CHECK_OK(lariat_deferred_callback_full(inner, value, token_free));
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "outer"));
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("inner=value outer=value");
    CHECK(token_alive(value));
    CHECK_OK(lariat_deferred_release(outer));
    CHECK(!token_alive(value));
    reactor_done(reactor);
}

TEST(s01_waiting_again_and_again) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inners[3];
    for (int i = 0; i < 3; i++) {
        inners[i] = lariat_deferred_new(reactor);
        CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inners[i]));
        CHECK_OK(lariat_deferred_add_callback(outer, note_value, "outer"));
    }
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_callback(inners[1], "b")); /* its turn has not come */
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(inners[0], "a"));
    CHECK_NOTES("outer=a outer=b");
    CHECK_OK(lariat_deferred_callback(inners[2], "c"));
    CHECK_NOTES("outer=c");
    CHECK_OK(lariat_deferred_release(outer));
    reactor_done(reactor);
}

/* ---- handing over that fails (FAILURES 55) ---- */

static void *wait_for_what_cannot_start(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value, (void)user_data;
    return lariat_deferred_wait_for(deferred, lariat_deferred_new(NULL));
}

TEST(s01_waiting_for_null_fails_with_the_last_error) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_what_cannot_start, NULL));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("outer!INVALID_ARGUMENT");
    reactor_done(reactor);
}

TEST(s01_waiting_for_a_stale_one_fails) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *gone = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_release(gone));
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, gone));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("outer!STALE_HANDLE");
    reactor_done(reactor);
}

TEST(s01_waiting_for_a_released_one_fails) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *released = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_release(released));
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, released));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("outer!RELEASED");
    CHECK_OK(lariat_deferred_callback(released, NULL));
    reactor_done(reactor);
}

TEST(s01_a_second_waiter_is_refused) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *one = lariat_deferred_new(reactor), *two = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(one, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(two, wait_for_it, inner));
    end_with_note(one, "one");
    end_with_note(two, "two");
    CHECK_OK(lariat_deferred_callback(one, NULL));
    CHECK_OK(lariat_deferred_callback(two, NULL));
    CHECK_NOTES("two!ALREADY_WAITED");
    CHECK_OK(lariat_deferred_callback(inner, "x")); /* the first is not disturbed */
    CHECK_NOTES("one=x");
    reactor_done(reactor);
}

TEST(s01_a_refused_hand_over_releases_nothing) {
    lariat_reactor *reactor = manual_reactor(), *elsewhere = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *foreign = lariat_deferred_new(elsewhere);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, foreign));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_NOTES("outer!WRONG_REACTOR");
    CHECK_OK(lariat_deferred_callback(foreign, "still ours"));
    end_with_note(foreign, "foreign");
    CHECK_NOTES("foreign=still ours");
    reactor_done(reactor);
    reactor_done(elsewhere);
}

/* ---- 2: fired once ---- */

TEST(s02_a_second_fire_is_refused_and_the_first_result_stands) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *value = token_new("refused value"), *payload = token_new("refused payload");
    CHECK_INT(lariat_deferred_called(d), 0);
    CHECK_OK(lariat_deferred_callback(d, "first"));
    CHECK_INT(lariat_deferred_called(d), 1);
    CHECK_STATUS(lariat_deferred_callback(d, "second"), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_deferred_errback(d, 7, "seven"), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_deferred_callback_full(d, value, token_free), LARIAT_ERR_ALREADY_CALLED);
    CHECK(!token_alive(value)); /* the library's from the first line, also when refused */
    CHECK_STATUS(lariat_deferred_errback_full(d, 7, 0, "seven", payload, token_free), LARIAT_ERR_ALREADY_CALLED);
    CHECK(!token_alive(payload));
    CHECK_STATUS(lariat_deferred_abandon(d), LARIAT_ERR_ALREADY_CALLED);
    end_with_note(d, "d");
    CHECK_NOTES("d=first");
    reactor_done(reactor);
}

TEST(s02_a_failure_is_a_first_result_too) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_errback(d, 7, "seven"));
    CHECK_STATUS(lariat_deferred_callback(d, "second"), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_deferred_errback(d, 8, "eight"), LARIAT_ERR_ALREADY_CALLED);
    end_with_note(d, "d");
    CHECK_NOTES("d!7");
    reactor_done(reactor);
}

static void *fire_myself(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    CHECK_STATUS(lariat_deferred_callback(deferred, "again"), LARIAT_ERR_ALREADY_CALLED);
    return value;
}

TEST(s02_not_even_from_its_own_callback) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, fire_myself, NULL));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "d"));
    CHECK_OK(lariat_deferred_callback(d, "first"));
    CHECK_NOTES("d=first");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s02_those_made_with_a_result_have_fired) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *good = lariat_deferred_new_succeeded_full(reactor, token_new("value"), token_free);
    lariat_deferred *bad = lariat_deferred_new_failed(reactor, 7, NULL);
    CHECK_STATUS(lariat_deferred_callback(good, NULL), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_deferred_errback(bad, 8, NULL), LARIAT_ERR_ALREADY_CALLED);
    end_with_note(good, "good");
    end_with_note(bad, "bad");
    CHECK_NOTES("good=value bad!7");
    reactor_done(reactor);
}

TEST(s02_a_later_fire_finds_it_fired) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *late = token_new("late");
    CHECK(lariat_deferred_callback_later_full(d, 1, late, token_free) != NULL);
    CHECK_OK(lariat_deferred_callback(d, "first"));
    end_with_note(d, "d");
    advance(reactor, 1);
    CHECK_NOTES("d=first");
    CHECK(!token_alive(late));
    reactor_done(reactor);
}

/* ---- 3: the two paths ---- */

TEST(s03_a_value_takes_the_callback_path) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "not called"));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "one"));
    CHECK_OK(lariat_deferred_add_callback(d, replace, "new"));
    CHECK_OK(lariat_deferred_add_errback_full(d, note_failure, token_new("not called"), token_free));
    CHECK_OK(lariat_deferred_add_callback_full(d, note_value, token_new("two"), token_free));
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("one=x two=new");
    CHECK_STR(result_of(d), "new");
    CHECK_OK(lariat_deferred_release(d));
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(s03_a_failure_takes_the_errback_path) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "not called"));
    CHECK_OK(lariat_deferred_add_errback(d, refail, "one"));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "not called"));
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "two"));
    CHECK_OK(lariat_deferred_errback(d, 7, "seven"));
    CHECK_NOTES("one!7 two!7");
    CHECK_STR(result_of(d), "-"); /* handled: the value is what the errback returned */
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s03_failing_and_recovering_switch_paths) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, fail_7, "one"));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "not called"));
    CHECK_OK(lariat_deferred_add_errback(d, recover, "well"));
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "not called"));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "two"));
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("one:fails recover!7 two=well");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s03_a_pair_is_one_level) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callbacks(d, fail_7, note_failure, "pair")); /* this errback does not see this failure */
    CHECK_OK(lariat_deferred_add_callbacks_full(d, note_value, recover, token_new("well"), token_free));
    CHECK_OK(lariat_deferred_add_callbacks(d, note_value, note_failure, "last"));
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("pair:fails recover!7 last=well");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s03_half_a_pair_lets_the_other_path_through) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *good = lariat_deferred_new(reactor), *bad = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callbacks(good, NULL, note_failure, "not called"));
    CHECK_OK(lariat_deferred_add_callbacks(good, note_value, NULL, "good"));
    CHECK_OK(lariat_deferred_add_callbacks(bad, note_value, NULL, "not called"));
    CHECK_OK(lariat_deferred_add_callbacks(bad, NULL, note_failure, "bad"));
    CHECK_OK(lariat_deferred_callback(good, "x"));
    CHECK_OK(lariat_deferred_errback(bad, 7, NULL));
    CHECK_NOTES("good=x bad!7");
    CHECK_OK(lariat_deferred_release(good));
    CHECK_OK(lariat_deferred_release(bad));
    reactor_done(reactor);
}

static void *see_both(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    CHECK(value == NULL || failure == NULL);
    return note_both(deferred, value, failure, user_data);
}

TEST(s03_add_both_gets_value_or_failure) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_both(d, see_both, "one"));
    CHECK_OK(lariat_deferred_add_callback(d, fail_7, "two"));
    CHECK_OK(lariat_deferred_add_both_full(d, see_both, token_new("three"), token_free));
    CHECK_OK(lariat_deferred_add_both(d, note_end, "four"));
    CHECK_OK(lariat_deferred_add_both(d, see_both, "five"));
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("one=x two:fails three!7 four!7 five=-");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s03_what_is_null_is_refused_and_its_data_freed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_STATUS(lariat_deferred_add_callback(d, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_errback(d, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_both(d, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_callbacks(d, NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_callback_full(d, NULL, token_new("a"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_errback_full(d, NULL, token_new("b"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_both_full(d, NULL, token_new("c"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_callbacks_full(d, NULL, NULL, token_new("d"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_add_callback_full(NULL, note_value, token_new("e"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_deferred_callback_full(NULL, token_new("f"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_deferred_new_full(NULL, NULL, token_new("g"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_deferred_new_succeeded_full(NULL, token_new("h"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

/* ---- 4 and 5: when callbacks run ---- */

static void *add_two_more(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    note("<");
    CHECK_OK(lariat_deferred_add_callback(deferred, note_value, "more"));
    CHECK_OK(lariat_deferred_add_both_full(deferred, note_both, token_new("still more"), token_free));
    note(">");
    return value;
}

TEST(s04_callbacks_added_while_it_runs_come_last_and_never_nested) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, add_two_more, NULL));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "second"));
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("< > second=x more=x still more=x");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s04_also_when_the_running_one_was_added_late) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_succeeded(reactor, "x");
    CHECK_OK(lariat_deferred_add_callback(d, add_two_more, NULL));
    CHECK_NOTES("< > more=x still more=x");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

static void *fire_other(lariat_deferred *deferred, void *value, void *other) {
    (void)deferred;
    note("<");
    CHECK_OK(lariat_deferred_callback(other, "y"));
    note(">");
    return value;
}

TEST(s04_another_deferred_fired_by_a_callback_runs_inside_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *other = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, fire_other, other));
    end_with_note(d, "d");
    end_with_note(other, "other");
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("< other=y > d=x");
    reactor_done(reactor);
}

static void *add_to_other(lariat_deferred *deferred, void *value, void *other) {
    (void)deferred;
    note("<");
    CHECK_OK(lariat_deferred_add_callback(other, note_value, "added from inside"));
    note(">");
    return value;
}

TEST(s04_added_from_the_chain_of_another_that_it_runs_inside) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor), *other = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, fire_other, other));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "second"));
    CHECK_OK(lariat_deferred_add_callback(other, add_to_other, d));
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("< < > > second=x added from inside=x");
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_deferred_release(other));
    reactor_done(reactor);
}

TEST(s05_callbacks_added_after_it_fired_run_at_once_in_order) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "one"));
    CHECK_NOTES("one=x");
    CHECK_OK(lariat_deferred_add_callback(d, fail_7, "two"));
    CHECK_NOTES("two:fails");
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "not called"));
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "three"));
    CHECK_OK(lariat_deferred_add_both(d, note_both, "four"));
    CHECK_NOTES("three!7 four=-");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s05_user_data_of_a_callback_is_freed_once_it_cannot_run_any_more) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    token *called = token_new("called"), *passed_by = token_new("passed by");
    CHECK_OK(lariat_deferred_add_callback_full(d, note_value, called, token_free));
    CHECK_OK(lariat_deferred_add_errback_full(d, note_failure, passed_by, token_free));
    CHECK(token_alive(called) && token_alive(passed_by));
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("called=-");
    CHECK_OK(lariat_deferred_release(d));
    CHECK(!token_alive(called) && !token_alive(passed_by));
    CHECK(token_freed_here(called) && token_freed_here(passed_by));
    reactor_done(reactor);
}

/* ---- 10: pause ---- */

TEST(s10_pause_counts) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "one"));
    CHECK_OK(lariat_deferred_pause(d));
    CHECK_OK(lariat_deferred_pause(d));
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "two"));
    CHECK_INT(lariat_deferred_called(d), 1);
    CHECK_STR(result_of(d), "none");
    CHECK_OK(lariat_deferred_unpause(d));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_unpause(d));
    CHECK_NOTES("one=x two=x");
    CHECK_STR(result_of(d), "x");
    CHECK_STATUS(lariat_deferred_unpause(d), LARIAT_ERR_INVALID_STATE); /* more than were paused */
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s10_unpausing_before_it_fires_runs_nothing) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, note_value, "d"));
    CHECK_OK(lariat_deferred_pause(d));
    CHECK_OK(lariat_deferred_unpause(d));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_NOTES("d=x");
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

TEST(s10_pausing_one_that_waits_holds_it_when_the_inner_is_done) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "outer"));
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_pause(outer));
    CHECK_OK(lariat_deferred_callback(inner, "x"));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_unpause(outer));
    CHECK_NOTES("outer=x");
    CHECK_OK(lariat_deferred_release(outer));
    reactor_done(reactor);
}

TEST(s10_unpausing_one_that_waits_does_not_hurry_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *outer = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(outer, note_value, "outer"));
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_STATUS(lariat_deferred_unpause(outer), LARIAT_ERR_INVALID_STATE); /* waiting is not among the pauses that count */
    CHECK_OK(lariat_deferred_pause(outer));
    CHECK_OK(lariat_deferred_unpause(outer));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(inner, "x"));
    CHECK_NOTES("outer=x");
    CHECK_OK(lariat_deferred_release(outer));
    reactor_done(reactor);
}

TEST(s10_a_paused_one_can_be_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "d"));
    CHECK_OK(lariat_deferred_pause(d));
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_unpause(d));
    CHECK_NOTES("d!CANCELLED");
    CHECK_OK(lariat_deferred_abandon(d));
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}
