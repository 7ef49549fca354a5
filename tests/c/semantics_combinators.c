/* Many Deferreds at once: SEMANTICS 11, 12 and 14, and maybe. Locks, semaphores and queues are in semantics_locks.c. */
#include "harness.h"

/* ---- 11: rings ---- */

TEST(s11_waiting_for_itself_is_a_cycle) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, wait_for_it, d));
    CHECK_OK(lariat_deferred_add_errback(d, note_failure, "d"));
    CHECK_OK(lariat_deferred_callback(d, NULL));
    CHECK_NOTES("d!CYCLE");
    CHECK_OK(lariat_deferred_release(d)); /* refused, so still ours to release */
    reactor_done(reactor);
}

TEST(s11_two_that_wait_for_each_other) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *a = lariat_deferred_new(reactor), *b = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(a, wait_for_it, b));
    CHECK_OK(lariat_deferred_add_callback(b, wait_for_it, a));
    CHECK_OK(lariat_deferred_add_both(b, note_both, "b"));
    CHECK_OK(lariat_deferred_add_errback(a, note_failure, "a"));
    CHECK_OK(lariat_deferred_callback(a, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(b, NULL)); /* would close the ring: b fails, and a hears of it */
    CHECK_NOTES("b!CYCLE a!CYCLE");
    CHECK_OK(lariat_deferred_release(a));
    reactor_done(reactor);
}

TEST(s11_a_ring_of_three_and_a_tail) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *tail = lariat_deferred_new(reactor), *ring[3];
    for (int i = 0; i < 3; i++) ring[i] = lariat_deferred_new(reactor);
    for (int i = 0; i < 3; i++) CHECK_OK(lariat_deferred_add_callback(ring[i], wait_for_it, ring[(i + 1) % 3]));
    CHECK_OK(lariat_deferred_add_callback(tail, wait_for_it, ring[0]));
    end_with_note(tail, "tail");
    CHECK_OK(lariat_deferred_callback(tail, NULL));
    CHECK_OK(lariat_deferred_callback(ring[0], NULL));
    CHECK_OK(lariat_deferred_callback(ring[1], NULL));
    CHECK_NOTES("");
    /* Here both rules forbid it: ring[0] has a waiter, and the ring would close. Either reason will do. */
    CHECK_OK(lariat_deferred_callback(ring[2], NULL));
    CHECK(strcmp(test_notes.text, "tail!CYCLE") == 0 || strcmp(test_notes.text, "tail!ALREADY_WAITED") == 0);
    notes_clear();
    reactor_done(reactor);
}

/* Assumes that chaining to itself counts as waiting for itself. */
TEST(s11_chaining_to_itself_is_a_cycle) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_STATUS(lariat_deferred_chain(d, d), LARIAT_ERR_CYCLE);
    CHECK_OK(lariat_deferred_callback(d, "x"));
    end_with_note(d, "d");
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

/* ---- 12: long paths. No time is asserted: what is quadratic or deep does not come to an end at this size. ---- */

static void *count_and_pass(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)user_data;
    return failure ? lariat_deferred_refail(deferred) : value;
}

/* `count` Deferreds, each of which will wait for the next once it has fired; each holds user_data that counts its freeing. */
static lariat_deferred **path_new(lariat_reactor *reactor, size_t count, atomic_long *frees) {
    lariat_deferred **path = malloc(count * sizeof *path);
    CHECK(path != NULL);
    for (size_t i = 0; i < count; i++) CHECK((path[i] = lariat_deferred_new(reactor)) != NULL);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count) CHECK_OK(lariat_deferred_add_callback(path[i], wait_for_it, path[i + 1]));
        CHECK_OK(lariat_deferred_add_both_full(path[i], count_and_pass, frees, count_free));
    }
    return path;
}

static void path_link_from_the_front(lariat_deferred **path, size_t count) {
    for (size_t i = 0; i + 1 < count; i++) CHECK_OK(lariat_deferred_callback(path[i], NULL));
}

static void path_link_from_the_back(lariat_deferred **path, size_t count) {
    for (size_t i = count - 1; i-- > 0;) CHECK_OK(lariat_deferred_callback(path[i], NULL));
}

/* Pieces of 1, then of 2, of 4 ... are joined. */
static void path_link_by_halves(lariat_deferred **path, size_t count) {
    for (size_t piece = 1; piece < count; piece *= 2)
        for (size_t i = piece - 1; i + 1 < count; i += 2 * piece) CHECK_OK(lariat_deferred_callback(path[i], NULL));
}

static void path_fire(void (*link)(lariat_deferred **path, size_t count)) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(1000000);
    atomic_long frees = 0;
    lariat_deferred **path = path_new(reactor, count, &frees);
    token *value = token_new("value");
    CHECK_OK(lariat_deferred_add_both(path[0], note_end, "head"));
    link(path, count);
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback_full(path[count - 1], value, token_free));
    CHECK_NOTES("head=value");
    CHECK_INT(reactor_stats(reactor).deferreds, 1);
    CHECK(token_alive(value));
    CHECK_OK(lariat_deferred_release(path[0]));
    CHECK_INT(frees, count);
    free(path);
    reactor_done(reactor);
}

TEST(s12_a_million_linked_from_the_front_are_fired) { path_fire(path_link_from_the_front); }
TEST(s12_a_million_linked_from_the_back_are_fired) { path_fire(path_link_from_the_back); }
TEST(s12_a_million_linked_by_halves_are_fired) { path_fire(path_link_by_halves); }

TEST(s12_a_million_fail_as_one) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(1000000);
    atomic_long frees = 0;
    lariat_deferred **path = path_new(reactor, count, &frees);
    path_link_from_the_back(path, count);
    CHECK_OK(lariat_deferred_errback(path[count - 1], 7, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_release(path[0]));
    CHECK_NOTES("unhandled!7"); /* moved a million times, reported once */
    CHECK_INT(frees, count);
    free(path);
    reactor_done(reactor);
}

TEST(s12_a_million_are_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(1000000);
    atomic_long frees = 0;
    lariat_deferred **path = path_new(reactor, count, &frees);
    path_link_from_the_front(path, count);
    end_with_note(path[0], "head");
    CHECK_OK(lariat_deferred_cancel(path[0]));
    CHECK_NOTES("head!CANCELLED");
    CHECK_OK(lariat_deferred_callback(path[count - 1], "swallowed"));
    CHECK_INT(frees, count);
    free(path);
    reactor_done(reactor);
}

TEST(s12_a_million_are_freed_with_their_reactor) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.unhandled_failure = NULL; /* whether the cancelled head counts as unhandled is not this case's question */
    lariat_reactor *reactor = reactor_with(options);
    size_t count = many(1000000);
    atomic_long frees = 0;
    lariat_deferred **path = path_new(reactor, count, &frees);
    path_link_by_halves(path, count);
    free_reactor(reactor);
    CHECK_INT(frees, count);
    free(path);
}

TEST(s12_a_ring_of_a_million_is_refused) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(1000000);
    atomic_long frees = 0;
    lariat_deferred **path = path_new(reactor, count, &frees);
    CHECK_OK(lariat_deferred_add_callback(path[count - 1], wait_for_it, path[0]));
    CHECK_OK(lariat_deferred_add_both(path[0], note_end, "head"));
    path_link_from_the_front(path, count);
    CHECK_OK(lariat_deferred_callback(path[count - 1], NULL));
    CHECK_NOTES("head!CYCLE");
    CHECK_OK(lariat_deferred_release(path[0]));
    CHECK_INT(frees, count);
    free(path);
    reactor_done(reactor);
}

/* Assumes that chain, too, hands its result on without recursion (Twisted's does recurse). */
TEST(s12_a_million_that_are_chained_are_fired) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(1000000);
    lariat_deferred *first = lariat_deferred_new(reactor), *last = first;
    for (size_t i = 1; i < count; i++) {
        lariat_deferred *next = lariat_deferred_new(reactor);
        CHECK_OK(lariat_deferred_chain(last, next));
        last = next;
    }
    end_with_note(last, "last");
    CHECK_OK(lariat_deferred_callback_full(first, token_new("value"), token_free));
    CHECK_NOTES("last=value");
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

static void *add_one_more(lariat_deferred *deferred, void *value, void *user_data) {
    size_t *left = user_data;
    if (*left && --*left) CHECK_OK(lariat_deferred_add_callback(deferred, add_one_more, user_data));
    return value;
}

TEST(s12_a_chain_that_adds_to_itself_a_million_times) {
    lariat_reactor *reactor = manual_reactor();
    size_t left = many(1000000);
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(d, add_one_more, &left));
    CHECK_OK(lariat_deferred_callback(d, "x"));
    CHECK_INT(left, 0);
    CHECK_OK(lariat_deferred_release(d));
    reactor_done(reactor);
}

/* ---- 14: lists ---- */

/* list[a,!7,c]  or, when one decided it,  list@1=b */
static void note_results(const char *name, const lariat_results *results) {
    char text[200];
    int64_t index = lariat_results_index(results);
    size_t count = lariat_results_count(results);
    int length = 0;
    if (index >= 0) {
        note("%s@%d=%s", name, (int)index, test_text(lariat_results_value(results, (size_t)index)));
        return;
    }
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t success = lariat_results_success(results, i);
        CHECK(success == 0 || success == 1);
        CHECK_INT(lariat_results_failure(results, i) != NULL, !success);
        length += snprintf(text + length, sizeof text - (size_t)length, "%s%s%s", i ? "," : "", success ? "" : "!",
                           success ? test_text(lariat_results_value(results, i)) : failure_label(lariat_results_failure(results, i)));
    }
    note("%s[%s]", name, text);
}

/* Notes results, or the failure: list!7@1, and with the results it carries. */
static void *note_list(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    if (!failure) note_results(user_data, value);
    else if (lariat_failure_results(failure)) {
        note("%s!%s", (char *)user_data, failure_label(failure));
        note_results(user_data, lariat_failure_results(failure));
    } else note("%s!%s@%d", (char *)user_data, failure_label(failure), (int)lariat_failure_index(failure));
    return NULL;
}

static void end_with_list(lariat_deferred *list, const char *name) {
    CHECK(list != NULL);
    CHECK_OK(lariat_deferred_add_both(list, note_list, (void *)(uintptr_t)name));
    CHECK_OK(lariat_deferred_release(list));
}

static void make(lariat_reactor *reactor, lariat_deferred **deferreds, size_t count) {
    for (size_t i = 0; i < count; i++) CHECK((deferreds[i] = lariat_deferred_new(reactor)) != NULL);
}

static void make_cancellable(lariat_reactor *reactor, lariat_deferred **deferreds, size_t count) {
    static char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < count; i++)
        CHECK((deferreds[i] = lariat_deferred_new_with_canceller(reactor, cancel_abandons, names[i])) != NULL);
}

TEST(s14_a_list_is_in_the_order_given_not_in_the_order_of_arrival) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    make(reactor, d, 3);
    end_with_list(lariat_deferred_list(reactor, d, 3, LARIAT_LIST_CONSUME_FAILURES), "list");
    CHECK_OK(lariat_deferred_callback(d[2], "c"));
    CHECK_OK(lariat_deferred_errback(d[0], 7, "seven"));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(d[1], "b"));
    CHECK_NOTES("list[!7,b,c]");
    reactor_done(reactor);
}

TEST(s14_elements_may_have_fired_before) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2] = {lariat_deferred_new_succeeded(reactor, "a"), lariat_deferred_new_succeeded(reactor, "b")};
    lariat_deferred *list = lariat_deferred_list(reactor, d, 2, 0);
    CHECK_INT(lariat_deferred_called(list), 1);
    end_with_list(list, "list");
    CHECK_NOTES("list[a,b]");
    reactor_done(reactor);
}

TEST(s14_an_empty_list_fires_at_once) {
    lariat_reactor *reactor = manual_reactor();
    end_with_list(lariat_deferred_list(reactor, NULL, 0, 0), "list");
    end_with_list(lariat_deferred_list(reactor, NULL, 0, LARIAT_LIST_FIRE_ON_ONE_FAILURE), "one failure");
    end_with_list(lariat_deferred_gather(reactor, NULL, 0), "gather");
    CHECK_NOTES("list[] one failure[] gather[]");
    reactor_done(reactor);
}

/* Assumes that it can be cancelled, though nothing is in it that could be. */
TEST(s14_an_empty_list_that_waits_for_one_success_does_not_fire) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *list = lariat_deferred_list(reactor, NULL, 0, LARIAT_LIST_FIRE_ON_ONE_SUCCESS);
    CHECK_INT(lariat_deferred_called(list), 0);
    end_with_note(list, "list");
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_cancel(list));
    CHECK_NOTES("list!CANCELLED");
    reactor_done(reactor);
}

/* Assumes that a race of nobody is one that nobody won. */
TEST(s14_an_empty_race_has_no_winner) {
    lariat_reactor *reactor = manual_reactor();
    end_with_list(lariat_deferred_race(reactor, NULL, 0), "race");
    CHECK_NOTES("race!ALL_FAILED race[]");
    reactor_done(reactor);
}

TEST(s14_failed_elements_also_report_unless_consumed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2], *consumed[2];
    make(reactor, d, 2);
    make(reactor, consumed, 2);
    end_with_list(lariat_deferred_list(reactor, d, 2, 0), "list");
    end_with_list(lariat_deferred_list(reactor, consumed, 2, LARIAT_LIST_CONSUME_FAILURES), "consuming");
    CHECK_OK(lariat_deferred_errback(d[0], 7, NULL));
    CHECK_NOTES("unhandled!7");
    CHECK_OK(lariat_deferred_callback(d[1], "b"));
    CHECK_NOTES("list[!7,b]");
    CHECK_OK(lariat_deferred_errback(consumed[0], 8, NULL));
    CHECK_OK(lariat_deferred_callback(consumed[1], "b"));
    CHECK_NOTES("consuming[!8,b]");
    reactor_done(reactor);
}

TEST(s14_a_list_sees_what_the_elements_callbacks_made_of_it) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2], *inner = lariat_deferred_new(reactor);
    make(reactor, d, 2);
    CHECK_OK(lariat_deferred_add_errback(d[0], recover, "well"));
    CHECK_OK(lariat_deferred_add_callback(d[1], wait_for_it, inner));
    end_with_list(lariat_deferred_list(reactor, d, 2, 0), "list");
    CHECK_OK(lariat_deferred_errback(d[0], 7, NULL));
    CHECK_OK(lariat_deferred_callback(d[1], "not yet"));
    CHECK_NOTES("recover!7");
    CHECK_OK(lariat_deferred_callback(inner, "x"));
    CHECK_NOTES("list[well,x]");
    reactor_done(reactor);
}

TEST(s14_fire_on_one_success) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    token *late = token_new("late");
    make(reactor, d, 3);
    end_with_list(lariat_deferred_list(reactor, d, 3, LARIAT_LIST_FIRE_ON_ONE_SUCCESS | LARIAT_LIST_CONSUME_FAILURES), "list");
    CHECK_OK(lariat_deferred_errback(d[0], 7, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(d[2], "c"));
    CHECK_NOTES("list@2=c");
    CHECK_OK(lariat_deferred_callback_full(d[1], late, token_free)); /* not cancelled; its value goes nowhere */
    CHECK(!token_alive(late));
    reactor_done(reactor);
}

TEST(s14_fire_on_one_success_without_any_gives_the_list) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2];
    make(reactor, d, 2);
    end_with_list(lariat_deferred_list(reactor, d, 2, LARIAT_LIST_FIRE_ON_ONE_SUCCESS | LARIAT_LIST_CONSUME_FAILURES), "list");
    CHECK_OK(lariat_deferred_errback(d[1], 8, NULL));
    CHECK_OK(lariat_deferred_errback(d[0], 7, NULL));
    CHECK_NOTES("list[!7,!8]");
    reactor_done(reactor);
}

TEST(s14_fire_on_one_failure) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    make(reactor, d, 3);
    end_with_list(lariat_deferred_list(reactor, d, 3, LARIAT_LIST_FIRE_ON_ONE_FAILURE | LARIAT_LIST_CONSUME_FAILURES), "list");
    CHECK_OK(lariat_deferred_callback(d[0], "a"));
    CHECK_OK(lariat_deferred_errback(d[1], 7, "seven"));
    CHECK_NOTES("list!7@1");
    CHECK_OK(lariat_deferred_errback(d[2], 8, "eight")); /* consumed, also after the list has fired */
    reactor_done(reactor);
}

static void *take_the_second(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    CHECK_INT(lariat_results_count(value), 3);
    *(void **)user_data = lariat_results_take(value, 1);
    CHECK_PTR(lariat_results_value(value, 1), NULL);
    CHECK_PTR(lariat_results_value(value, 3), NULL); /* past the end */
    CHECK_PTR(lariat_results_failure(value, 3), NULL);
    CHECK_STATUS(lariat_results_success(value, 3), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_PTR(lariat_results_take(value, 3), NULL);
    CHECK_STATUS(lariat_results_free(value), LARIAT_ERR_INVALID_STATE); /* not taken, so its Deferred's */
    return value;
}

TEST(s14_the_values_live_with_the_results_and_each_can_be_taken) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    token *values[3] = {token_new("a"), token_new("b"), token_new("c")}, *taken = NULL;
    make(reactor, d, 3);
    lariat_deferred *list = lariat_deferred_list(reactor, d, 3, 0);
    CHECK_OK(lariat_deferred_add_callback(list, take_the_second, &taken));
    for (int i = 0; i < 3; i++) CHECK_OK(lariat_deferred_callback_full(d[i], values[i], token_free));
    CHECK_PTR(taken, values[1]);
    CHECK_INT(reactor_stats(reactor).results, 1);
    CHECK_INT(tokens_alive(), 3);
    CHECK_OK(lariat_deferred_release(list));
    CHECK(!token_alive(values[0]) && token_alive(values[1]) && !token_alive(values[2]));
    token_free(taken);
    reactor_done(reactor);
}

TEST(s14_taken_results_are_the_takers_to_free) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2] = {lariat_deferred_new_succeeded_full(reactor, token_new("a"), token_free),
                             lariat_deferred_new_succeeded(reactor, "b")};
    lariat_deferred *list = lariat_deferred_gather(reactor, d, 2);
    lariat_results *results = lariat_deferred_take(list);
    CHECK(results != NULL);
    CHECK_OK(lariat_deferred_release(list));
    note_results("results", results);
    CHECK_NOTES("results[a,b]");
    CHECK_INT(tokens_alive(), 1);
    CHECK_INT(reactor_stats(reactor).results, 1);
    CHECK_OK(lariat_results_free(results));
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_results_free(results), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(lariat_results_count(results), 0);
    reactor_done(reactor);
}

TEST(s14_a_list_of_lists) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2], *lists[2];
    make(reactor, d, 2);
    lists[0] = lariat_deferred_gather(reactor, &d[0], 1);
    lists[1] = lariat_deferred_list(reactor, &d[1], 1, 0);
    lariat_deferred *all = lariat_deferred_gather(reactor, lists, 2);
    CHECK_OK(lariat_deferred_callback_full(d[1], token_new("b"), token_free));
    CHECK_OK(lariat_deferred_callback_full(d[0], token_new("a"), token_free));
    lariat_results *outer = NULL;
    CHECK_OK(lariat_deferred_result(all, (void **)&outer, NULL));
    note_results("first", lariat_results_value(outer, 0));
    note_results("second", lariat_results_value(outer, 1));
    CHECK_NOTES("first[a] second[b]");
    CHECK_INT(tokens_alive(), 2);
    CHECK_OK(lariat_deferred_release(all));
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

/* ---- gather ---- */

TEST(s14_gather_gives_all_values) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    make(reactor, d, 3);
    end_with_list(lariat_deferred_gather(reactor, d, 3), "gather");
    CHECK_OK(lariat_deferred_callback(d[1], "b"));
    CHECK_OK(lariat_deferred_callback(d[2], NULL));
    CHECK_OK(lariat_deferred_callback(d[0], "a"));
    CHECK_NOTES("gather[a,b,-]");
    reactor_done(reactor);
}

TEST(s14_gather_fails_with_the_first_failure_and_its_index) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[4];
    token *early = token_new("early"), *late = token_new("late");
    make(reactor, d, 4);
    end_with_list(lariat_deferred_gather(reactor, d, 4), "gather");
    CHECK_OK(lariat_deferred_callback_full(d[0], early, token_free));
    CHECK_OK(lariat_deferred_errback(d[2], 7, "seven"));
    CHECK_NOTES("gather!7@2");
    CHECK_OK(lariat_deferred_errback(d[1], 8, "eight")); /* consumed */
    CHECK_OK(lariat_deferred_callback_full(d[3], late, token_free));
    CHECK(!token_alive(early) && !token_alive(late));
    reactor_done(reactor);
}

static void *check_gathered(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)user_data;
    CHECK_INT(lariat_failure_code(failure), 42);
    CHECK_INT(lariat_failure_os_error(failure), 5);
    CHECK_INT(lariat_failure_index(failure), 1);
    CHECK(strstr(lariat_failure_message(failure), "the disk: gone") != NULL);
    note("checked");
    return NULL;
}

TEST(s14_gather_keeps_what_the_failure_said) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2];
    make(reactor, d, 2);
    lariat_deferred *gathered = lariat_deferred_gather(reactor, d, 2);
    CHECK_OK(lariat_deferred_add_errback(gathered, check_gathered, NULL));
    CHECK_OK(lariat_deferred_release(gathered));
    CHECK_OK(lariat_deferred_errback_full(d[1], 42, 5, "the disk: gone", token_new("payload"), token_free));
    CHECK_NOTES("checked");
    CHECK_OK(lariat_deferred_callback(d[0], NULL));
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

/* ---- race ---- */

TEST(s14_race_gives_the_first_success_and_cancels_the_others) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    make_cancellable(reactor, d, 3);
    end_with_list(lariat_deferred_race(reactor, d, 3), "race");
    CHECK_OK(lariat_deferred_callback(d[1], "b"));
    CHECK_NOTES("cancel:a cancel:c race@1=b");
    reactor_done(reactor);
}

TEST(s14_a_failure_does_not_decide_a_race) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2];
    token *value = token_new("b");
    make(reactor, d, 2);
    end_with_list(lariat_deferred_race(reactor, d, 2), "race");
    CHECK_OK(lariat_deferred_errback(d[0], 7, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback_full(d[1], value, token_free));
    CHECK_NOTES("race@1=b");
    CHECK(!token_alive(value));
    reactor_done(reactor);
}

TEST(s14_the_losers_late_results_are_swallowed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    token *late = token_new("late");
    make(reactor, d, 3);
    end_with_list(lariat_deferred_race(reactor, d, 3), "race");
    CHECK_OK(lariat_deferred_callback(d[0], "a"));
    CHECK_NOTES("race@0=a");
    CHECK_OK(lariat_deferred_callback_full(d[1], late, token_free));
    CHECK_OK(lariat_deferred_errback(d[2], 7, NULL));
    CHECK(!token_alive(late));
    reactor_done(reactor);
}

TEST(s14_a_loser_whose_canceller_gives_a_value_changes_nothing) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2] = {lariat_deferred_new(reactor), lariat_deferred_new_with_canceller(reactor, cancel_gives_saved, "b")};
    end_with_list(lariat_deferred_race(reactor, d, 2), "race");
    CHECK_OK(lariat_deferred_callback(d[0], "a"));
    CHECK_NOTES("cancel:b race@0=a");
    reactor_done(reactor);
}

TEST(s14_a_race_that_is_decided_when_it_begins) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2] = {lariat_deferred_new_with_canceller(reactor, cancel_abandons, "a"),
                             lariat_deferred_new_succeeded(reactor, "b")};
    lariat_deferred *race = lariat_deferred_race(reactor, d, 2);
    CHECK_INT(lariat_deferred_called(race), 1);
    end_with_list(race, "race");
    CHECK_NOTES("cancel:a race@1=b");
    reactor_done(reactor);
}

TEST(s14_a_race_that_all_lose_fails_with_the_list) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    make(reactor, d, 3);
    end_with_list(lariat_deferred_race(reactor, d, 3), "race");
    CHECK_OK(lariat_deferred_errback(d[2], 9, NULL));
    CHECK_OK(lariat_deferred_errback(d[0], 7, NULL));
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_errback(d[1], 8, NULL));
    CHECK_NOTES("race!ALL_FAILED race[!7,!8,!9]");
    reactor_done(reactor);
}

/* ---- cancelling them ---- */

TEST(s14_cancelling_a_list_cancels_what_has_not_fired) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3] = {lariat_deferred_new_with_canceller(reactor, cancel_gives_saved, "a"),
                             lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called"), lariat_deferred_new(reactor)};
    lariat_deferred *list = lariat_deferred_list(reactor, d, 3, LARIAT_LIST_CONSUME_FAILURES);
    end_with_list(list, "list");
    CHECK_OK(lariat_deferred_callback(d[1], "b"));
    CHECK_OK(lariat_deferred_cancel(list));
    CHECK_NOTES("cancel:a list[saved,b,!CANCELLED]"); /* each says how it ended; the list itself is no failure */
    CHECK_OK(lariat_deferred_callback(d[2], "swallowed"));
    reactor_done(reactor);
}

TEST(s14_cancelling_a_gather_cancels_all) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[3];
    make_cancellable(reactor, d, 3);
    lariat_deferred *gathered = lariat_deferred_gather(reactor, d, 3);
    CHECK_OK(lariat_deferred_add_both(gathered, note_list, "gather"));
    CHECK_OK(lariat_deferred_cancel(gathered));
    CHECK(noted("cancel:a") && noted("cancel:b") && noted("cancel:c"));
    CHECK(noted("gather!CANCELLED@0")); /* before or after the other cancellers */
    notes_clear();
    CHECK_OK(lariat_deferred_release(gathered));
    reactor_done(reactor);
}

TEST(s14_cancelling_a_race_cancels_all) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2];
    make_cancellable(reactor, d, 2);
    lariat_deferred *race = lariat_deferred_race(reactor, d, 2);
    end_with_list(race, "race");
    CHECK_OK(lariat_deferred_cancel(race));
    CHECK_NOTES("cancel:a cancel:b race!ALL_FAILED race[!CANCELLED,!CANCELLED]"); /* as in Twisted: nobody won */
    reactor_done(reactor);
}

TEST(s14_cancelling_one_that_has_fired_leaves_the_rest_alone) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2] = {lariat_deferred_new(reactor), lariat_deferred_new_with_canceller(reactor, cancel_noted, "not called")};
    lariat_deferred *gathered = lariat_deferred_gather(reactor, d, 2);
    CHECK_OK(lariat_deferred_add_both(gathered, note_list, "gather"));
    CHECK_OK(lariat_deferred_errback(d[0], 7, NULL));
    CHECK_NOTES("gather!7@0");
    CHECK_OK(lariat_deferred_cancel(gathered));
    CHECK_OK(lariat_deferred_release(gathered));
    CHECK_OK(lariat_deferred_callback(d[1], NULL));
    reactor_done(reactor);
}

TEST(s14_cancelling_a_waiter_of_a_list_cancels_its_elements) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[2], *outer = lariat_deferred_new(reactor);
    make_cancellable(reactor, d, 2);
    CHECK_OK(lariat_deferred_add_callback(outer, wait_for_it, lariat_deferred_list(reactor, d, 2, LARIAT_LIST_CONSUME_FAILURES)));
    end_with_list(outer, "outer");
    CHECK_OK(lariat_deferred_callback(outer, NULL));
    CHECK_OK(lariat_deferred_cancel(outer));
    CHECK_NOTES("cancel:a cancel:b outer[!CANCELLED,!CANCELLED]");
    reactor_done(reactor);
}

/* ---- all or nothing (FAILURES 55) ---- */

TEST(s14_a_list_is_all_or_nothing) {
    lariat_reactor *reactor = manual_reactor(), *elsewhere = manual_reactor();
    lariat_deferred *good = lariat_deferred_new(reactor), *stale = lariat_deferred_new_succeeded(reactor, NULL);
    lariat_deferred *released = lariat_deferred_new(reactor), *foreign = lariat_deferred_new(elsewhere);
    CHECK_OK(lariat_deferred_release(stale));
    CHECK_OK(lariat_deferred_release(released));
    const struct { lariat_deferred *bad; lariat_status status; } refused[] = {
        {NULL, LARIAT_ERR_INVALID_ARGUMENT}, {stale, LARIAT_ERR_STALE_HANDLE}, {released, LARIAT_ERR_RELEASED},
        {foreign, LARIAT_ERR_WRONG_REACTOR}, {good, LARIAT_ERR_ALREADY_WAITED}, /* the same one twice */
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        lariat_deferred *const list[2] = {good, refused[i].bad};
        CHECK_NULL(lariat_deferred_list(reactor, list, 2, 0), refused[i].status);
        CHECK_NULL(lariat_deferred_gather(reactor, list, 2), refused[i].status);
        CHECK_NULL(lariat_deferred_race(reactor, list, 2), refused[i].status);
    }
    CHECK_NULL(lariat_deferred_list(reactor, &good, 1, 8), LARIAT_ERR_INVALID_ARGUMENT); /* no such flag */
    CHECK_NULL(lariat_deferred_list(reactor, NULL, 1, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_deferred_gather(reactor, &good, SIZE_MAX), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_deferred_callback(good, "still ours"));
    end_with_note(good, "good");
    CHECK_NOTES("good=still ours");
    CHECK_OK(lariat_deferred_callback(released, NULL));
    CHECK_OK(lariat_deferred_callback(foreign, NULL));
    CHECK_OK(lariat_deferred_release(foreign));
    reactor_done(reactor);
    reactor_done(elsewhere);
}

TEST(s14_an_element_is_handed_over) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d[1];
    make(reactor, d, 1);
    lariat_deferred *list = lariat_deferred_list(reactor, d, 1, 0);
    CHECK_NULL(lariat_deferred_gather(reactor, d, 1), LARIAT_ERR_ALREADY_WAITED);
    CHECK_EITHER(lariat_deferred_add_callback(d[0], note_value, "late"), LARIAT_ERR_RELEASED, LARIAT_ERR_ALREADY_WAITED);
    CHECK_EITHER(lariat_deferred_release(d[0]), LARIAT_ERR_RELEASED, LARIAT_ERR_ALREADY_WAITED);
    end_with_list(list, "list");
    CHECK_OK(lariat_deferred_callback(d[0], "a"));
    CHECK_NOTES("list[a]");
    reactor_done(reactor);
}

TEST(s14_ten_thousand_elements) {
    lariat_reactor *reactor = manual_reactor();
    size_t count = many(10000);
    lariat_deferred **d = malloc(count * sizeof *d);
    atomic_long frees = 0;
    CHECK(d != NULL);
    make(reactor, d, count);
    lariat_deferred *list = lariat_deferred_gather(reactor, d, count);
    for (size_t i = count; i-- > 0;) {
        CHECK_INT(lariat_deferred_called(list), 0);
        CHECK_OK(lariat_deferred_callback_full(d[i], &frees, count_free));
    }
    CHECK_INT(lariat_deferred_called(list), 1);
    CHECK_INT(frees, 0);
    CHECK_OK(lariat_deferred_release(list));
    CHECK_INT(frees, count);
    free(d);
    reactor_done(reactor);
}

/* ---- maybe ---- */

TEST(maybe_runs_now_and_gives_what_it_returned) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_maybe(reactor, note_value, "now");
    CHECK_NOTES("now=-");
    end_with_note(d, "maybe");
    CHECK_NOTES("maybe=-");
    end_with_note(lariat_deferred_maybe(reactor, replace, "x"), "value");
    end_with_note(lariat_deferred_maybe(reactor, fail_7, "fn"), "failure");
    CHECK_NOTES("value=x fn:fails failure!7");
    reactor_done(reactor);
}

TEST(maybe_waits_for_what_its_function_waits_for) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *inner = lariat_deferred_new(reactor);
    end_with_note(lariat_deferred_maybe(reactor, wait_for_it, inner), "maybe");
    CHECK_NOTES("");
    CHECK_OK(lariat_deferred_callback(inner, "x"));
    CHECK_NOTES("maybe=x");
    reactor_done(reactor);
}

TEST(maybe_is_cancelled_with_what_it_waits_for) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *inner = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "inner");
    lariat_deferred *maybe = lariat_deferred_maybe(reactor, wait_for_it, inner);
    end_with_note(maybe, "maybe");
    CHECK_OK(lariat_deferred_cancel(maybe));
    CHECK_NOTES("cancel:inner maybe!CANCELLED");
    reactor_done(reactor);
}

TEST(maybe_owns_its_user_data) {
    lariat_reactor *reactor = manual_reactor();
    token *called = token_new("called"), *refused = token_new("refused");
    lariat_deferred *d = lariat_deferred_maybe_full(reactor, note_value, called, token_free);
    CHECK_NOTES("called=-");
    CHECK_OK(lariat_deferred_release(d));
    CHECK(!token_alive(called));
    CHECK_NULL(lariat_deferred_maybe_full(NULL, note_value, refused, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(refused));
    CHECK_NULL(lariat_deferred_maybe(reactor, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}
