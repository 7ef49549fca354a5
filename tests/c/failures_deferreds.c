/* FAILURES.md, rows 50, 54, 55: Deferreds fired twice, in rings and in long chains, dropped, released, and handed over badly. */
#include "every_kind.h"

/* ---- 50: fired twice ---------------------------------------------------------------------------------------------------------------- */

TEST(f50_fired_twice) {
    lariat_reactor *reactor = manual_reactor();
    token *first = token_new("first"), *second = token_new("second"), *payload = token_new("payload");
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_callback_full(deferred, first, token_free));
    CHECK_STATUS(lariat_deferred_callback_full(deferred, second, token_free), LARIAT_ERR_ALREADY_CALLED);
    CHECK(!token_alive(second));
    CHECK_STATUS(lariat_deferred_errback_full(deferred, 7, 0, "seven", payload, token_free), LARIAT_ERR_ALREADY_CALLED);
    CHECK(!token_alive(payload));
    CHECK_STATUS(lariat_deferred_abandon(deferred), LARIAT_ERR_ALREADY_CALLED);
    CHECK(token_alive(first));
    end_with_note(deferred, "end");
    CHECK_NOTES("end=first");
    CHECK(!token_alive(first));
    reactor_done(reactor);
}

TEST(f50_failed_twice) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_errback(deferred, 7, "seven"));
    CHECK_STATUS(lariat_deferred_errback(deferred, 8, "eight"), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_deferred_callback(deferred, "value"), LARIAT_ERR_ALREADY_CALLED);
    end_with_note(deferred, "end");
    CHECK_NOTES("end!7");
    reactor_done(reactor);
}

TEST(f50_fired_before_its_time) {
    lariat_reactor *reactor = manual_reactor();
    token *late = token_new("late");
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK(lariat_deferred_callback_later_full(deferred, 1, late, token_free) != NULL);
    CHECK_OK(lariat_deferred_callback(deferred, "early"));
    end_with_note(deferred, "end");
    advance(reactor, 2);
    CHECK(!token_alive(late));
    CHECK_NOTES("end=early");
    reactor_done(reactor);
}

/* ---- 50: rings ------------------------------------------------------------------------------------------------------------------------- */

TEST(f50_waiting_for_itself) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(deferred, wait_for_it, deferred));
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    end_with_note(deferred, "end");
    CHECK_NOTES("end!CYCLE");
    reactor_done(reactor);
}

/* Each waits for the next, the last for the first: its link is the one that fails, and the failure comes to the first. */
static void ring_of(size_t count) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred **ring = calloc(count, sizeof *ring);
    CHECK(ring);
    for (size_t i = 0; i < count; i++) ring[i] = lariat_deferred_new(reactor);
    for (size_t i = 0; i < count; i++) CHECK_OK(lariat_deferred_add_callback(ring[i], wait_for_it, ring[(i + 1) % count]));
    for (size_t i = 0; i < count; i++) CHECK_OK(lariat_deferred_callback(ring[i], NULL));
    end_with_note(ring[0], "end");
    CHECK_NOTES("end!CYCLE");
    reactor_done(reactor);
    free(ring);
}

TEST(f50_a_ring_of_two) { ring_of(2); }

TEST(f50_a_ring_of_a_thousand) { ring_of(1000); }

TEST(f50_a_ring_of_chains) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *first = lariat_deferred_new(reactor), *second = lariat_deferred_new(reactor);
    CHECK_STATUS(lariat_deferred_chain(first, first), LARIAT_ERR_CYCLE);
    CHECK_OK(lariat_deferred_chain(first, second));
    CHECK_STATUS(lariat_deferred_chain(second, first), LARIAT_ERR_CYCLE);
    end_with_note(second, "end");
    CHECK_OK(lariat_deferred_callback(first, "value"));
    CHECK_NOTES("end=value");
    reactor_done(reactor);
}

static void *wait_for_what_is_there(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    return lariat_deferred_wait_for(deferred, *(lariat_deferred **)user_data);
}

/* The list waits for its element, the element for another, and that one for the list. */
TEST(f50_a_ring_through_a_list) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *element = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor), *list = NULL;
    CHECK_OK(lariat_deferred_add_callback(inner, wait_for_what_is_there, &list));
    CHECK_OK(lariat_deferred_add_callback(element, wait_for_it, inner));
    CHECK_OK(lariat_deferred_callback(element, NULL));
    list = lariat_deferred_gather(reactor, &element, 1);
    CHECK(list != NULL);
    CHECK_OK(lariat_deferred_callback(inner, NULL));
    end_with_note(list, "list");
    CHECK_NOTES("list!CYCLE");
    reactor_done(reactor);
}

/* ---- 50: a chain of a million ------------------------------------------------------------------------------------------------------- */

static lariat_reactor *reactor_of_many;
static lariat_deferred **many_deferreds;
static size_t many_count;

/* Each waits for the next, but for the last, which nothing has fired. */
static void million_new(void) {
    reactor_of_many = manual_reactor();
    many_count = many(1000000);
    many_deferreds = calloc(many_count, sizeof *many_deferreds);
    CHECK(many_deferreds);
    for (size_t i = 0; i < many_count; i++) CHECK((many_deferreds[i] = lariat_deferred_new(reactor_of_many)) != NULL);
    for (size_t i = 0; i + 1 < many_count; i++)
        CHECK_OK(lariat_deferred_add_callback(many_deferreds[i], wait_for_it, many_deferreds[i + 1]));
}

static void million_from_the_outside(void) {
    million_new();
    for (size_t i = 0; i + 1 < many_count; i++) CHECK_OK(lariat_deferred_callback(many_deferreds[i], NULL));
    end_with_note(many_deferreds[0], "end");
}

static void million_from_the_inside(void) {
    million_new();
    for (size_t i = many_count - 1; i-- > 0;) CHECK_OK(lariat_deferred_callback(many_deferreds[i], NULL));
    end_with_note(many_deferreds[0], "end");
}

static void million_done(void) {
    reactor_done(reactor_of_many);
    free(many_deferreds);
}

TEST(f50_a_million_built_from_the_outside_fired) {
    million_from_the_outside();
    CHECK_OK(lariat_deferred_callback(many_deferreds[many_count - 1], "value"));
    CHECK_NOTES("end=value");
    million_done();
}

TEST(f50_a_million_built_from_the_inside_fired) {
    million_from_the_inside();
    CHECK_OK(lariat_deferred_callback(many_deferreds[many_count - 1], "value"));
    CHECK_NOTES("end=value");
    million_done();
}

TEST(f50_a_million_failed) {
    million_from_the_inside();
    CHECK_OK(lariat_deferred_errback(many_deferreds[many_count - 1], 7, "seven"));
    CHECK_NOTES("end!7");
    million_done();
}

/* Cancelling the outermost cancels the innermost, whose worker may still fire it once, in vain. */
TEST(f50_a_million_cancelled) {
    million_from_the_outside();
    CHECK_OK(lariat_deferred_cancel(many_deferreds[0]));
    CHECK_NOTES("end!CANCELLED");
    CHECK_OK(lariat_deferred_callback(many_deferreds[many_count - 1], "in vain"));
    CHECK_NOTES("");
    million_done();
}

TEST(f50_a_million_freed) {
    million_from_the_inside();
    free_reactor(reactor_of_many);
    if (strcmp(test_notes.text, "end!CLOSED") != 0) CHECK_NOTES("end!CANCELLED");
    else CHECK_NOTES("end!CLOSED");
    free(many_deferreds);
}

/* The last links back to the first: finding the ring takes constant stack too. */
TEST(f50_a_million_in_a_ring) {
    million_from_the_outside();
    lariat_deferred *last = many_deferreds[many_count - 1];
    CHECK_STATUS(lariat_deferred_chain(many_deferreds[0], last), LARIAT_ERR_RELEASED);
    CHECK_OK(lariat_deferred_callback(last, "value"));
    CHECK_NOTES("end=value");
    million_done();
    ring_of(many(1000000));
}

TEST(f50_a_million_chained) {
    reactor_of_many = manual_reactor();
    many_count = many(1000000);
    lariat_deferred *first = lariat_deferred_new(reactor_of_many), *last = first;
    for (size_t i = 1; i < many_count; i++) {
        lariat_deferred *target = lariat_deferred_new(reactor_of_many);
        CHECK_OK(lariat_deferred_chain(last, target));
        last = target;
    }
    end_with_note(last, "end");
    CHECK_OK(lariat_deferred_callback(first, "value"));
    CHECK_NOTES("end=value");
    reactor_done(reactor_of_many);
}

/* ---- 54: its worker drops it, or its waiter has released it -------------------------------------------------------------------- */

TEST(f54_abandoned) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_abandon(deferred));
    CHECK_INT(lariat_deferred_called(deferred), 1);
    CHECK_STATUS(lariat_deferred_abandon(deferred), LARIAT_ERR_ALREADY_CALLED);
    CHECK_STATUS(lariat_deferred_callback_full(deferred, token_new("late"), token_free), LARIAT_ERR_ALREADY_CALLED);
    CHECK_INT(tokens_alive(), 0);
    end_with_note(deferred, "end");
    CHECK_NOTES("end!ABANDONED");
    reactor_done(reactor);
}

TEST(f54_abandoned_while_another_waits_for_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *inner = lariat_deferred_new(reactor), *outer = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, inner));
    end_with_note(outer, "outer");
    CHECK_OK(lariat_deferred_abandon(inner));
    CHECK_NOTES("outer!ABANDONED");
    reactor_done(reactor);
}

/* Nobody is left to hear of it but the hook. */
TEST(f54_abandoned_after_its_release) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_deferred_abandon(deferred));
    CHECK_NOTES("unhandled!ABANDONED");
    CHECK_STATUS(lariat_deferred_abandon(deferred), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* Cancelling is the waiter's, and never ends the worker's claim: it still has to fire or abandon. */
TEST(f54_cancelled_then_abandoned) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    end_with_note(deferred, "end");
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("end!CANCELLED");
    CHECK_INT(reactor_stats(reactor).deferreds, 1);
    CHECK_OK(lariat_deferred_abandon(deferred));
    CHECK_STATUS(lariat_deferred_abandon(deferred), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(f54_released) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor);
    void *value;
    const lariat_failure *failure;
    const lariat_status want = LARIAT_ERR_RELEASED;
    CHECK_OK(lariat_deferred_add_callback(deferred, note_value, "before"));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_STATUS(lariat_deferred_add_callback(deferred, note_value, "never"), want);
    CHECK_STATUS(lariat_deferred_add_errback_full(deferred, note_failure, token_new("errback"), token_free), want);
    CHECK_STATUS(lariat_deferred_add_callbacks(deferred, note_value, note_failure, "never"), want);
    CHECK_STATUS(lariat_deferred_add_both_full(deferred, note_both, token_new("both"), token_free), want);
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_deferred_add_event(deferred, 7), want);
    CHECK_STATUS(lariat_deferred_add_timeout(deferred, 1), want);
    CHECK_STATUS(lariat_deferred_chain(deferred, target), want);
    CHECK_STATUS(lariat_deferred_pause(deferred), want);
    CHECK_STATUS(lariat_deferred_unpause(deferred), want);
    CHECK_STATUS(lariat_deferred_called(deferred), want);
    CHECK_STATUS(lariat_deferred_result(deferred, &value, &failure), want);
    CHECK_NULL(lariat_deferred_list(reactor, &deferred, 1, 0), want);
    CHECK_OK(lariat_deferred_callback_full(deferred, token_new("value"), token_free));
    CHECK_NOTES("before=value");
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_deferred_callback(target, NULL));
    CHECK_OK(lariat_deferred_release(target));
    reactor_done(reactor);
}

static void *return_a_token(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    return lariat_deferred_return(deferred, token_new(user_data), token_free);
}

/* The calls inside the chain, and cancel, are still legal. */
TEST(f54_released_but_running) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor), *inner = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(deferred, return_a_token, "returned"));
    CHECK_OK(lariat_deferred_add_callback(deferred, note_value, "got"));
    CHECK_OK(lariat_deferred_add_callback(deferred, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_errback(deferred, note_failure, "end"));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_NOTES("got=returned");
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("end!CANCELLED");
    CHECK_OK(lariat_deferred_abandon(inner));
    reactor_done(reactor);
}

/* ---- 55: a failed start handed over ---------------------------------------------------------------------------------------------- */

static void *wait_for_a_failed_start(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    return lariat_deferred_wait_for(deferred, lariat_reactor_defer_later(user_data, NAN, NULL, NULL));
}

static void *wait_for_stale_reactors(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    return lariat_deferred_wait_for(deferred, lariat_deferred_new(user_data));
}

/* The reason is that of the call that made none. */
TEST(f55_waiting_for_a_failed_start) {
    lariat_reactor *reactor = manual_reactor(), *stale = manual_reactor();
    free_reactor(stale);
    lariat_deferred *deferred = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_add_callback(deferred, wait_for_a_failed_start, reactor));
    end_with_note(deferred, "bad-delay");
    deferred = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_add_callback(deferred, wait_for_stale_reactors, stale));
    end_with_note(deferred, "stale-reactor");
    CHECK_NOTES("bad-delay!INVALID_ARGUMENT stale-reactor!STALE_HANDLE");
    reactor_done(reactor);
}

TEST(f55_waiting_for_what_is_no_deferred) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *stale = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_release(stale));
    void *const bad[] = {stale, reactor, (void *)(uintptr_t)0xdeadbeefcafebabe};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lariat_deferred *deferred = lariat_deferred_new_succeeded(reactor, NULL);
        CHECK_OK(lariat_deferred_add_callback(deferred, wait_for_it, bad[i]));
        end_with_note(deferred, "end");
    }
    CHECK_NOTES("end!STALE_HANDLE end!INVALID_HANDLE end!INVALID_HANDLE");
    reactor_done(reactor);
}

TEST(f55_waiting_outside_a_callback) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor), *other = lariat_deferred_new(reactor);
    CHECK_NULL(lariat_deferred_wait_for(deferred, other), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_deferred_return(deferred, token_new("value"), token_free), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_deferred_fail(deferred, 7, "seven"), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_deferred_refail(deferred), LARIAT_ERR_INVALID_STATE);
    end_with_note(deferred, "deferred");
    end_with_note(other, "other");
    CHECK_OK(lariat_deferred_callback(other, NULL));
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_NOTES("other=- deferred=-");
    reactor_done(reactor);
}

typedef lariat_deferred *(*combine)(lariat_reactor *reactor, lariat_deferred *const *deferreds, size_t count);

static lariat_deferred *plain_list(lariat_reactor *reactor, lariat_deferred *const *deferreds, size_t count) {
    return lariat_deferred_list(reactor, deferreds, count, 0);
}

/* Refused whole: the elements before and behind the bad one are still ours. */
static void refused_whole(combine make, int with_stale, lariat_status want) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *bad = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_release(bad));
    lariat_deferred *elements[3] = {lariat_deferred_new(reactor), with_stale ? bad : NULL, lariat_deferred_new(reactor)};
    CHECK_NULL(make(reactor, elements, 3), want);
    end_with_note(elements[0], "first");
    end_with_note(elements[2], "last");
    CHECK_OK(lariat_deferred_callback(elements[0], "a"));
    CHECK_OK(lariat_deferred_callback(elements[2], "b"));
    CHECK_NOTES("first=a last=b");
    reactor_done(reactor);
}

TEST(f55_a_list_with_a_dead_element) {
    refused_whole(plain_list, 1, LARIAT_ERR_STALE_HANDLE);
    refused_whole(lariat_deferred_gather, 1, LARIAT_ERR_STALE_HANDLE);
    refused_whole(lariat_deferred_race, 1, LARIAT_ERR_STALE_HANDLE);
}

TEST(f55_a_list_with_a_failed_start) {
    refused_whole(plain_list, 0, LARIAT_ERR_INVALID_ARGUMENT);
    refused_whole(lariat_deferred_gather, 0, LARIAT_ERR_INVALID_ARGUMENT);
    refused_whole(lariat_deferred_race, 0, LARIAT_ERR_INVALID_ARGUMENT);
}

TEST(f55_the_same_element_twice) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *one = lariat_deferred_new(reactor), *elements[2] = {one, one};
    CHECK_NULL(lariat_deferred_list(reactor, elements, 2, 0), LARIAT_ERR_ALREADY_WAITED);
    CHECK_NULL(lariat_deferred_gather(reactor, elements, 2), LARIAT_ERR_ALREADY_WAITED);
    CHECK_NULL(lariat_deferred_race(reactor, elements, 2), LARIAT_ERR_ALREADY_WAITED);
    end_with_note(one, "one");
    CHECK_OK(lariat_deferred_callback(one, "value"));
    CHECK_NOTES("one=value");
    reactor_done(reactor);
}

TEST(f55_a_second_waiter) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *inner = lariat_deferred_new(reactor), *target = lariat_deferred_new(reactor);
    lariat_deferred *first = lariat_deferred_new_succeeded(reactor, NULL), *second = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_add_callback(first, wait_for_it, inner));
    CHECK_OK(lariat_deferred_add_callback(second, wait_for_it, inner));
    end_with_note(second, "second");
    CHECK_NOTES("second!ALREADY_WAITED");
    CHECK_STATUS(lariat_deferred_chain(inner, target), LARIAT_ERR_ALREADY_WAITED);
    CHECK_NULL(lariat_deferred_list(reactor, &inner, 1, 0), LARIAT_ERR_ALREADY_WAITED);
    CHECK_NULL(lariat_deferred_gather(reactor, &inner, 1), LARIAT_ERR_ALREADY_WAITED);
    CHECK_NULL(lariat_deferred_race(reactor, &inner, 1), LARIAT_ERR_ALREADY_WAITED);
    end_with_note(first, "first");
    CHECK_OK(lariat_deferred_callback(inner, "value"));
    CHECK_NOTES("first=value");
    CHECK_OK(lariat_deferred_callback(target, NULL));
    CHECK_OK(lariat_deferred_release(target));
    reactor_done(reactor);
}

static lariat_deferred *give_it(void *user_data) { return user_data; }

static lariat_deferred *loop_it(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    return user_data;
}

/* What a function hands over and cannot be waited for fails the one who would wait. */
TEST(f55_functions_that_give_a_dead_deferred) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *stale = lariat_deferred_new_succeeded(reactor, NULL);
    CHECK_OK(lariat_deferred_release(stale));
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, loop_it, stale);
    end_with_note(lariat_looping_call_start(looping_call, 1, 1), "loop");
    CHECK(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, give_it, stale) != NULL);
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "running"));
    turns(reactor, 3);
    CHECK_NOTES("loop!STALE_HANDLE running");
    CHECK(*test_log.last != 0);
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}
