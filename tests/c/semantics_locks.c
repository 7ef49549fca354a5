/* Locks, semaphores and queues: Twisted's DeferredLock, DeferredSemaphore and DeferredQueue. */
#include "harness.h"

/* The value is a handle here, so only the name is noted. */
static void *note_turn(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    if (failure) note("%s!%s", (char *)user_data, failure_label(failure));
    else note("%s", (char *)user_data);
    return value;
}

/* For run: what it is called with is not laid down. */
static void *note_name(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)value;
    note("%s", (char *)user_data);
    return NULL;
}

/* Returns the Deferred, released, to cancel by. */
static lariat_deferred *ends(lariat_deferred *deferred, const char *name) {
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, note_turn, (void *)(uintptr_t)name));
    CHECK_OK(lariat_deferred_release(deferred));
    return deferred;
}

/* ---- lock ---- */

static void *check_is_user_data(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    CHECK_PTR(value, user_data);
    note("mine");
    return NULL;
}

TEST(lock_gives_itself_at_once_when_free) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    CHECK_INT(lariat_lock_locked(lock), 0);
    lariat_deferred *acquired = lariat_lock_acquire(lock);
    CHECK_INT(lariat_lock_locked(lock), 1);
    CHECK_OK(lariat_deferred_add_callback(acquired, check_is_user_data, lock));
    CHECK_NOTES("mine");
    CHECK_OK(lariat_deferred_release(acquired)); /* of the Deferred, not of the lock */
    CHECK_INT(lariat_lock_locked(lock), 1);
    CHECK_OK(lariat_lock_release(lock));
    CHECK_INT(lariat_lock_locked(lock), 0);
    CHECK_STATUS(lariat_lock_release(lock), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_lock_free(lock));
    CHECK_STATUS(lariat_lock_free(lock), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(lock_is_handed_on_in_the_order_of_asking) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    ends(lariat_lock_acquire(lock), "a");
    ends(lariat_lock_acquire(lock), "b");
    ends(lariat_lock_acquire(lock), "c");
    CHECK_NOTES("a");
    CHECK_OK(lariat_lock_release(lock));
    CHECK_NOTES("b");
    CHECK_INT(lariat_lock_locked(lock), 1);
    CHECK_OK(lariat_lock_release(lock));
    CHECK_OK(lariat_lock_release(lock));
    CHECK_NOTES("c");
    CHECK_INT(lariat_lock_locked(lock), 0);
    CHECK_OK(lariat_lock_free(lock));
    reactor_done(reactor);
}

TEST(lock_who_cancels_no_longer_waits) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    ends(lariat_lock_acquire(lock), "a");
    lariat_deferred *b = ends(lariat_lock_acquire(lock), "b");
    ends(lariat_lock_acquire(lock), "c");
    CHECK_OK(lariat_deferred_cancel(b));
    CHECK_NOTES("a b!CANCELLED");
    CHECK_OK(lariat_lock_release(lock));
    CHECK_NOTES("c");
    CHECK_OK(lariat_lock_release(lock));
    CHECK_OK(lariat_lock_free(lock));
    reactor_done(reactor);
}

TEST(lock_cancelling_the_holders_deferred_does_not_unlock) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_deferred *a = lariat_lock_acquire(lock);
    CHECK_OK(lariat_deferred_cancel(a)); /* has fired */
    CHECK_OK(lariat_deferred_release(a));
    CHECK_INT(lariat_lock_locked(lock), 1);
    CHECK_OK(lariat_lock_free(lock));
    reactor_done(reactor);
}

TEST(lock_run_holds_it_until_the_result_has_come) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_deferred *inner = lariat_deferred_new(reactor);
    end_with_note(lariat_lock_run(lock, wait_for_it, inner), "first");
    end_with_note(lariat_lock_run_full(lock, replace, token_new("y"), token_free), "second");
    end_with_note(lariat_lock_run(lock, fail_7, "third"), "third");
    CHECK_NOTES("");
    CHECK_INT(lariat_lock_locked(lock), 1);
    CHECK_OK(lariat_deferred_callback(inner, "x"));
    /* As in Twisted the lock is released, and so the next begins, before the result is seen; so they end last first. */
    CHECK_NOTES("third:fails third!7 second=y first=x");
    CHECK_INT(lariat_lock_locked(lock), 0);
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_lock_free(lock));
    reactor_done(reactor);
}

TEST(lock_run_releases_after_a_failure_too) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    end_with_note(lariat_lock_run(lock, fail_7, "fn"), "run");
    CHECK_NOTES("fn:fails run!7");
    CHECK_INT(lariat_lock_locked(lock), 0);
    CHECK_OK(lariat_lock_free(lock));
    reactor_done(reactor);
}

TEST(lock_run_can_be_cancelled_while_it_waits_and_while_it_runs) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_deferred *inner = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "inner");
    lariat_deferred *running = lariat_lock_run(lock, wait_for_it, inner);
    token *never = token_new("never called");
    lariat_deferred *waiting = lariat_lock_run_full(lock, note_name, never, token_free);
    end_with_note(running, "running");
    end_with_note(waiting, "waiting");
    CHECK_OK(lariat_deferred_cancel(waiting));
    CHECK_NOTES("waiting!CANCELLED");
    CHECK(!token_alive(never));
    CHECK_OK(lariat_deferred_cancel(running));
    CHECK_NOTES("cancel:inner running!CANCELLED");
    CHECK_INT(lariat_lock_locked(lock), 0);
    CHECK_OK(lariat_lock_free(lock));
    reactor_done(reactor);
}

TEST(lock_when_freed_those_who_wait_fail_with_closed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_deferred *inner = lariat_deferred_new(reactor);
    token *never = token_new("never called");
    end_with_note(lariat_lock_run(lock, wait_for_it, inner), "running");
    ends(lariat_lock_acquire(lock), "b");
    end_with_note(lariat_lock_run_full(lock, note_name, never, token_free), "c");
    CHECK_OK(lariat_lock_free(lock));
    CHECK_NOTES("b!CLOSED c!CLOSED");
    CHECK(!token_alive(never));
    CHECK_STATUS(lariat_lock_release(lock), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_lock_acquire(lock), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_deferred_callback(inner, "x")); /* what already runs goes on to its end */
    CHECK_NOTES("running=x");
    reactor_done(reactor);
}

/* ---- semaphore ---- */

TEST(semaphore_gives_as_many_as_it_has) {
    lariat_reactor *reactor = manual_reactor();
    lariat_semaphore *semaphore = lariat_semaphore_new(reactor, 2);
    CHECK_INT(lariat_semaphore_tokens(semaphore), 2);
    ends(lariat_semaphore_acquire(semaphore), "a");
    ends(lariat_semaphore_acquire(semaphore), "b");
    ends(lariat_semaphore_acquire(semaphore), "c");
    lariat_deferred *d = ends(lariat_semaphore_acquire(semaphore), "d");
    ends(lariat_semaphore_acquire(semaphore), "e");
    CHECK_NOTES("a b");
    CHECK_INT(lariat_semaphore_tokens(semaphore), 0);
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_OK(lariat_semaphore_release(semaphore));
    CHECK_OK(lariat_semaphore_release(semaphore));
    CHECK_NOTES("d!CANCELLED c e");
    CHECK_INT(lariat_semaphore_tokens(semaphore), 0);
    CHECK_OK(lariat_semaphore_release(semaphore));
    CHECK_OK(lariat_semaphore_release(semaphore));
    CHECK_INT(lariat_semaphore_tokens(semaphore), 2);
    CHECK_STATUS(lariat_semaphore_release(semaphore), LARIAT_ERR_INVALID_STATE); /* more than it began with */
    CHECK_OK(lariat_semaphore_free(semaphore));
    CHECK_STATUS(lariat_semaphore_tokens(semaphore), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(semaphore_gives_itself_as_the_value) {
    lariat_reactor *reactor = manual_reactor();
    lariat_semaphore *semaphore = lariat_semaphore_new(reactor, 1);
    lariat_deferred *d = lariat_semaphore_acquire(semaphore);
    CHECK_OK(lariat_deferred_add_callback(d, check_is_user_data, semaphore));
    CHECK_NOTES("mine");
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_semaphore_free(semaphore));
    reactor_done(reactor);
}

TEST(semaphore_needs_a_token_at_least) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_NULL(lariat_semaphore_new(reactor, 0), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(semaphore_run_limits_how_many_run_at_once) {
    lariat_reactor *reactor = manual_reactor();
    lariat_semaphore *semaphore = lariat_semaphore_new(reactor, 2);
    lariat_deferred *inner[3] = {lariat_deferred_new(reactor), lariat_deferred_new(reactor), lariat_deferred_new(reactor)};
    static char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) end_with_note(lariat_semaphore_run(semaphore, wait_for_it, inner[i]), names[i]);
    end_with_note(lariat_semaphore_run_full(semaphore, note_name, token_new("d"), token_free), "last");
    CHECK_INT(lariat_semaphore_tokens(semaphore), 0);
    CHECK_OK(lariat_deferred_errback(inner[1], 7, NULL)); /* lets the third in */
    CHECK_NOTES("b!7");
    CHECK_OK(lariat_deferred_callback(inner[2], "z")); /* lets the last in */
    CHECK_NOTES("d last=- c=z"); /* as with a lock: the next comes first */
    CHECK_OK(lariat_deferred_callback(inner[0], "x"));
    CHECK_NOTES("a=x");
    CHECK_INT(lariat_semaphore_tokens(semaphore), 2);
    CHECK_INT(tokens_alive(), 0);
    CHECK_OK(lariat_semaphore_free(semaphore));
    reactor_done(reactor);
}

TEST(semaphore_when_freed_those_who_wait_fail_with_closed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_semaphore *semaphore = lariat_semaphore_new(reactor, 1);
    ends(lariat_semaphore_acquire(semaphore), "a");
    ends(lariat_semaphore_acquire(semaphore), "b");
    CHECK_OK(lariat_semaphore_free(semaphore));
    CHECK_NOTES("a b!CLOSED");
    CHECK_STATUS(lariat_semaphore_release(semaphore), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* ---- queue ---- */

TEST(queue_gives_in_the_order_it_was_given) {
    lariat_reactor *reactor = manual_reactor();
    lariat_queue *queue = lariat_queue_new(reactor, -1, -1);
    CHECK_OK(lariat_queue_put(queue, "one"));
    CHECK_OK(lariat_queue_put(queue, NULL));
    CHECK_INT(lariat_queue_size(queue), 2);
    end_with_note(lariat_queue_get(queue), "a");
    end_with_note(lariat_queue_get(queue), "b");
    CHECK_NOTES("a=one b=-");
    end_with_note(lariat_queue_get(queue), "c");
    end_with_note(lariat_queue_get(queue), "d");
    CHECK_NOTES("");
    CHECK_INT(lariat_queue_size(queue), 0);
    CHECK_INT(lariat_queue_backlog(queue), 2);
    CHECK_OK(lariat_queue_put(queue, "two"));
    CHECK_OK(lariat_queue_put(queue, "three"));
    CHECK_NOTES("c=two d=three");
    CHECK_INT(lariat_queue_backlog(queue), 0);
    CHECK_OK(lariat_queue_free(queue));
    reactor_done(reactor);
}

TEST(queue_owned_values_move_to_who_gets_them) {
    lariat_reactor *reactor = manual_reactor();
    lariat_queue *queue = lariat_queue_new(reactor, -1, -1);
    token *kept = token_new("kept"), *direct = token_new("direct"), *left = token_new("left");
    CHECK_OK(lariat_queue_put_full(queue, kept, token_free));
    lariat_deferred *got = lariat_queue_get(queue);
    CHECK_STR(result_of(got), "kept");
    CHECK(token_alive(kept));
    CHECK_OK(lariat_deferred_release(got));
    CHECK(!token_alive(kept));
    end_with_note(lariat_queue_get(queue), "a");
    CHECK_OK(lariat_queue_put_full(queue, direct, token_free));
    CHECK_NOTES("a=direct");
    CHECK(!token_alive(direct));
    CHECK_OK(lariat_queue_put_full(queue, left, token_free));
    CHECK_OK(lariat_queue_free(queue));
    CHECK(!token_alive(left));
    reactor_done(reactor);
}

TEST(queue_has_limits_both_ways) {
    lariat_reactor *reactor = manual_reactor();
    lariat_queue *queue = lariat_queue_new(reactor, 1, 1);
    token *refused = token_new("refused");
    CHECK_OK(lariat_queue_put(queue, "one"));
    CHECK_STATUS(lariat_queue_put(queue, "two"), LARIAT_ERR_QUEUE_OVERFLOW);
    CHECK_STATUS(lariat_queue_put_full(queue, refused, token_free), LARIAT_ERR_QUEUE_OVERFLOW);
    CHECK(!token_alive(refused));
    end_with_note(lariat_queue_get(queue), "a");
    lariat_deferred *b = lariat_queue_get(queue);
    end_with_note(b, "b");
    CHECK_NULL(lariat_queue_get(queue), LARIAT_ERR_QUEUE_UNDERFLOW);
    CHECK_NOTES("a=one");
    CHECK_OK(lariat_deferred_cancel(b));
    CHECK_NOTES("b!CANCELLED");
    CHECK_INT(lariat_queue_backlog(queue), 0);
    CHECK_OK(lariat_queue_put(queue, "three")); /* nobody waits any more: it is kept */
    CHECK_INT(lariat_queue_size(queue), 1);
    CHECK_OK(lariat_queue_free(queue));
    reactor_done(reactor);
}

TEST(queue_of_size_0_only_hands_over) {
    lariat_reactor *reactor = manual_reactor();
    lariat_queue *queue = lariat_queue_new(reactor, 0, -1);
    CHECK_STATUS(lariat_queue_put(queue, "one"), LARIAT_ERR_QUEUE_OVERFLOW);
    end_with_note(lariat_queue_get(queue), "a");
    CHECK_OK(lariat_queue_put(queue, "two"));
    CHECK_NOTES("a=two");
    CHECK_OK(lariat_queue_free(queue));
    CHECK_NULL(lariat_queue_new(reactor, -2, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_queue_new(reactor, -1, -2), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(queue_when_freed_those_who_wait_fail_with_closed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_queue *queue = lariat_queue_new(reactor, -1, -1);
    end_with_note(lariat_queue_get(queue), "a");
    end_with_note(lariat_queue_get(queue), "b");
    CHECK_OK(lariat_queue_free(queue));
    CHECK_NOTES("a!CLOSED b!CLOSED");
    CHECK_STATUS(lariat_queue_put_full(queue, token_new("late"), token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

/* FAILURES 12 */
TEST(locks_semaphores_and_queues_end_with_the_reactor) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    lariat_semaphore *semaphore = lariat_semaphore_new(reactor, 1);
    lariat_queue *full = lariat_queue_new(reactor, -1, -1);
    ends(lariat_lock_acquire(lock), "lock");
    ends(lariat_semaphore_acquire(semaphore), "semaphore");
    CHECK_OK(lariat_queue_put_full(full, token_new("value"), token_free));
    CHECK(lariat_lock_run_full(lock, note_name, token_new("never called"), token_free) != NULL);
    CHECK_NOTES("lock semaphore");
    lariat_stats stats = reactor_stats(reactor);
    CHECK_INT(stats.locks, 1);
    CHECK_INT(stats.semaphores, 1);
    CHECK_INT(stats.queues, 1);
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
    CHECK(test_notes.text[0] == 0 || noted("unhandled!CLOSED") || noted("unhandled!CANCELLED"));
    notes_clear();
    CHECK_STATUS(lariat_lock_locked(lock), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_queue_size(full), LARIAT_ERR_STALE_HANDLE);
}
