/* FAILURES.md, rows 1, 2, 4, 5, 6, 11: what a bad handle is answered.
 * Every export with every bad handle is tests/abi/fuzz_handles.py's; here is what one has to think about. */
#include "every_kind.h"

/* ---- 1: a handle used after its thing is over -------------------------------------------------------------------------------- */

TEST(f01_every_kind_is_stale_after_its_end) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    for (int kind = 0; kind < KINDS; kind++)
        if (kind != KIND_TRIGGER && kind != KIND_COOPERATIVE_TASK && kind != KIND_SCOPE && kind != KIND_COOPERATOR && every.of[kind])
            CHECK_OK(look_at(kind, every.of[kind]));
    every_kind_end(&every);
    for (int kind = 1; kind < KINDS; kind++)
        if (every.of[kind]) CHECK_STATUS(look_at(kind, every.of[kind]), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(f01_every_kind_is_stale_after_the_reactors_free) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    free_reactor(reactor);
    for (int kind = 0; kind < KINDS; kind++)
        if (is_apart(kind)) CHECK_OK(look_at(kind, every.of[kind]));
    every_kind_end_apart(&every);
    for (int kind = 0; kind < KINDS; kind++)
        if (every.of[kind]) CHECK_STATUS(look_at(kind, every.of[kind]), LARIAT_ERR_STALE_HANDLE);
}

/* The memory of a freed reactor is used again, by one of each kind, many times over: the old handles keep answering. */
TEST(f01_handles_of_a_freed_reactor_answer_while_others_use_its_memory) {
    lariat_reactor *first = manual_reactor();
    every_kind old = every_kind_new(first);
    every_kind_end(&old);
    free_reactor(first);
    for (int round = 0; round < 200; round++) {
        lariat_reactor *reactor = manual_reactor();
        every_kind every = every_kind_new(reactor);
        for (int kind = 0; kind < KINDS; kind++) {
            CHECK(old.of[kind] != every.of[kind]);
            CHECK_STATUS(look_at(kind, old.of[kind]), LARIAT_ERR_STALE_HANDLE);
        }
        every_kind_end(&every);
        reactor_done(reactor);
    }
}

TEST(f01_a_delayed_call_is_stale_after_its_call) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *call = lariat_reactor_call_later_full(reactor, 1, note_call, token_new("call"), token_free_noted);
    CHECK_INT(lariat_delayed_call_active(call), 1);
    CHECK_NEAR(lariat_delayed_call_time(call), lariat_reactor_seconds(reactor) + 1);
    advance(reactor, 1);
    CHECK_NOTES("call free:call");
    CHECK_STATUS(lariat_delayed_call_active(call), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_delayed_call_cancel(call), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_delayed_call_reset(call, 1), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_delayed_call_delay(call, 1), LARIAT_ERR_STALE_HANDLE);
    CHECK_NAN(lariat_delayed_call_time(call), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* The order is: stale before a wrong argument or a wrong state; and what a failed call was given is freed. */
TEST(f01_a_deferred_is_stale_when_it_is_reclaimed) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *stale = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_callback(stale, NULL));
    CHECK_OK(lariat_deferred_release(stale));
    CHECK_STATUS(lariat_deferred_called(stale), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_callback(stale, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_errback(stale, 7, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_abandon(stale), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_cancel(stale), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_add_callback(stale, note_value, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_add_event(stale, 1), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_add_timeout(stale, 1), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_result(stale, NULL, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_deferred_take(stale), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_deferred_fail(stale, 7, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_deferred_refail(stale), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_deferred_callback_later(stale, 1, NULL), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_deferred_list(reactor, &stale, 1, 0), LARIAT_ERR_STALE_HANDLE);
    token *data = token_new("value");
    CHECK_STATUS(lariat_deferred_callback_full(stale, data, token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_FREED(data);
    data = token_new("payload");
    CHECK_STATUS(lariat_deferred_errback_full(stale, 7, 0, "seven", data, token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_FREED(data);
    data = token_new("user_data");
    CHECK_STATUS(lariat_deferred_add_callbacks_full(stale, note_value, note_failure, data, token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_FREED(data);
    data = token_new("returned");
    CHECK_NULL(lariat_deferred_return(stale, data, token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_FREED(data);
    reactor_done(reactor);
}

static void *remember_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK_INT(lariat_failure_code(failure), 7);
    CHECK_STR(lariat_failure_message(failure), "seven");
    *(const lariat_failure **)user_data = failure;
    return NULL;
}

TEST(f01_a_failure_is_stale_after_its_callback) {
    lariat_reactor *reactor = manual_reactor();
    const lariat_failure *failure = NULL;
    lariat_deferred *deferred = lariat_deferred_new_failed(reactor, 7, "seven");
    CHECK_OK(lariat_deferred_add_errback(deferred, remember_failure, &failure));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(lariat_failure_code(failure), 0);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_STALE_HANDLE);
    CHECK(lariat_failure_message(failure) != NULL);
    CHECK_NULL(lariat_failure_payload(failure), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_failure_results(failure), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_failure_keep(failure), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_failure_release(failure), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

static void *remember_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    *(void **)user_data = value;
    return NULL;
}

TEST(f01_results_are_stale_when_their_deferred_is_reclaimed) {
    lariat_reactor *reactor = manual_reactor();
    void *results = NULL;
    token *value = token_new("value");
    lariat_deferred *one = lariat_deferred_new_succeeded_full(reactor, value, token_free);
    lariat_deferred *list = lariat_deferred_list(reactor, &one, 1, 0);
    CHECK_OK(lariat_deferred_add_callback(list, remember_value, &results));
    CHECK_INT(lariat_results_count(results), 1);
    CHECK(token_alive(value));
    CHECK_OK(lariat_deferred_release(list));
    CHECK(!token_alive(value));
    CHECK_INT(lariat_results_count(results), 0);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_results_success(results, 0), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_results_value(results, 0), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_results_take(results, 0), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_results_free(results), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

static void *remember_job(lariat_job *job, void *user_data) {
    *(lariat_job **)user_data = job;
    CHECK_INT(lariat_job_cancelled(job), 0);
    return NULL;
}

static void *try_old_job(lariat_job *job, void *user_data) {
    lariat_job *old = user_data;
    CHECK(old != job);
    CHECK_STATUS(lariat_job_cancelled(old), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_job_fail(old, 7, NULL), LARIAT_ERR_STALE_HANDLE);
    token *value = token_new("job's value");
    CHECK_NULL(lariat_job_return(old, value, token_free), LARIAT_ERR_STALE_HANDLE);
    CHECK_FREED(value);
    return NULL;
}

/* From the thread that ran the job, which is the pool's only one, and from another. */
TEST(f01_a_job_is_stale_on_its_thread_after_its_return) {
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 1;
    lariat_reactor *reactor = reactor_with(options);
    lariat_job *job = NULL;
    end_with_note(lariat_reactor_defer_to_thread(reactor, remember_job, &job), "first");
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK(job != NULL);
    end_with_note(lariat_reactor_defer_to_thread(reactor, try_old_job, job), "second");
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_EITHER(lariat_job_cancelled(job), LARIAT_ERR_STALE_HANDLE, LARIAT_ERR_WRONG_THREAD);
    CHECK_NOTES("first=- second=-");
    reactor_done(reactor);
}

/* ---- 2: freed or released twice ------------------------------------------------------------------------------------------------ */

TEST(f02_freed_twice) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    every_kind_end(&every);
    CHECK_STATUS(lariat_lock_free(every.of[KIND_LOCK]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_semaphore_free(every.of[KIND_SEMAPHORE]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_queue_free(every.of[KIND_QUEUE]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_looping_call_free(every.of[KIND_LOOPING_CALL]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_cooperator_free(every.of[KIND_COOPERATOR]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_scope_free(every.of[KIND_SCOPE]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_simulation_free(every.of[KIND_SIMULATION]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_reconnecting_client_free(every.of[KIND_RECONNECTING_CLIENT]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_connection_pool_free(every.of[KIND_CONNECTION_POOL]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_reactor_group_free(every.of[KIND_REACTOR_GROUP]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_results_free(every.of[KIND_RESULTS]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_failure_release(every.of[KIND_FAILURE]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_release(every.of[KIND_DEFERRED]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_watcher_stop(every.of[KIND_WATCHER]), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(f02_a_reactor_freed_twice) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_free(reactor));
    CHECK_STATUS(lariat_reactor_free(reactor), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_reactor_free(reactor), LARIAT_ERR_STALE_HANDLE);
}

/* While its worker has not fired it, the Deferred is there, and says that it was released. */
TEST(f02_a_deferred_released_twice) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_STATUS(lariat_deferred_release(deferred), LARIAT_ERR_RELEASED);
    CHECK_INT(reactor_stats(reactor).deferreds, 1);
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_STATUS(lariat_deferred_release(deferred), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(f02_a_failure_kept_twice_is_released_twice) {
    lariat_reactor *reactor = manual_reactor();
    const lariat_failure *failure = kept_failure(reactor, 7);
    CHECK_OK(lariat_failure_keep(failure));
    CHECK_OK(lariat_failure_release(failure));
    CHECK_INT(lariat_failure_code(failure), 7);
    CHECK_OK(lariat_failure_release(failure));
    CHECK_STATUS(lariat_failure_release(failure), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* ---- 4: a handle of another kind, or a random number ------------------------------------------------------------------------ */

TEST(f04_every_kind_where_another_is_expected) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    for (int expected = 0; expected < KINDS; expected++)
        for (int given = 0; given < KINDS; given++)
            if (given != expected) CHECK_STATUS(look_at(expected, every.of[given]), LARIAT_ERR_INVALID_HANDLE);
    every_kind_end(&every);
    /* The wrong kind is answered before that it is stale. */
    for (int expected = 0; expected < KINDS; expected++)
        for (int given = 1; given < KINDS; given++)
            if (given != expected) CHECK_STATUS(look_at(expected, every.of[given]), LARIAT_ERR_INVALID_HANDLE);
    reactor_done(reactor);
}

TEST(f04_null_for_every_kind) {
    lariat_reactor *reactor = manual_reactor();
    for (int kind = 0; kind < KINDS; kind++) CHECK_STATUS(look_at(kind, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_job_cancelled(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(f04_numbers_and_addresses) {
    lariat_reactor *reactor = manual_reactor();
    long on_the_stack = 0;
    static long of_the_program;
    void *heap = malloc(64);
    void *const words[] = {(void *)1,
                           (void *)8,
                           (void *)4096,
                           (void *)0x7fffffff,
                           (void *)(uintptr_t)0xdeadbeefcafebabe,
                           (void *)UINTPTR_MAX,
                           (void *)INTPTR_MAX,
                           (void *)(UINTPTR_MAX - INTPTR_MAX),
                           &on_the_stack,
                           &of_the_program,
                           heap};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        for (int kind = 0; kind < KINDS; kind++) CHECK_STATUS(look_at(kind, words[i]), LARIAT_ERR_INVALID_HANDLE);
        CHECK_STATUS(lariat_job_cancelled(words[i]), LARIAT_ERR_INVALID_HANDLE);
    }
    free(heap);
    reactor_done(reactor);
}

/* A random word may look like a handle that is over, never like one that is good. */
TEST(f04_random_numbers) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    uint64_t state = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < many(100000); i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        CHECK_EITHER(look_at((enum kind)(i % KINDS), (void *)(uintptr_t)state), LARIAT_ERR_INVALID_HANDLE, LARIAT_ERR_STALE_HANDLE);
    }
    every_kind_end(&every);
    reactor_done(reactor);
}

/* The only living thing of its kind, with one or two bits of its handle changed. (The cooperator may have a delayed call of its own
 * for a turn.) */
TEST(f04_forged_handles) {
    every_kind_is_alone = 1;
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_OK(lariat_cooperative_task_pause(every.of[KIND_COOPERATIVE_TASK]));
    turns(reactor, 2);
    CHECK_INT(reactor_stats(reactor).delayed_calls, 1);
    for (int kind = 0; kind < KINDS; kind++) {
        uintptr_t good = (uintptr_t)every.of[kind];
        for (int one = 0; one < 64; one++)
            for (int other = one; other < 64; other++) {
                uintptr_t forged = good ^ (uintptr_t)1 << one ^ (one == other ? 0 : (uintptr_t)1 << other);
                CHECK_EITHER(look_at(kind, (void *)forged), LARIAT_ERR_INVALID_HANDLE, LARIAT_ERR_STALE_HANDLE);
            }
        for (uintptr_t step = 1; step < 4096; step++) {
            CHECK_EITHER(look_at(kind, (void *)(good + step)), LARIAT_ERR_INVALID_HANDLE, LARIAT_ERR_STALE_HANDLE);
            CHECK_EITHER(look_at(kind, (void *)(good - step)), LARIAT_ERR_INVALID_HANDLE, LARIAT_ERR_STALE_HANDLE);
        }
    }
    every_kind_end(&every);
    reactor_done(reactor);
}

TEST(f04_user_data_is_freed_when_the_handle_is_refused) {
    struct { void *handle; lariat_status want; } const bad[] = {
        {NULL, LARIAT_ERR_INVALID_ARGUMENT},
        {(void *)(uintptr_t)0xdeadbeefcafebabe, LARIAT_ERR_INVALID_HANDLE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        token *data[6];
        for (int j = 0; j < 6; j++) data[j] = token_new("user_data");
        CHECK_STATUS(lariat_reactor_call_soon_full(bad[i].handle, note_call, data[0], token_free), bad[i].want);
        CHECK_NULL(lariat_reactor_call_later_full(bad[i].handle, 1, note_call, data[1], token_free), bad[i].want);
        CHECK_NULL(lariat_deferred_new_full(bad[i].handle, quiet_canceller, data[2], token_free), bad[i].want);
        CHECK_STATUS(lariat_queue_put_full(bad[i].handle, data[3], token_free), bad[i].want);
        CHECK_NULL(lariat_reactor_defer_to_thread_full(bad[i].handle, quiet_job, data[4], token_free), bad[i].want);
        CHECK_STATUS(lariat_reactor_call_from_thread_full(bad[i].handle, note_call, data[5], token_free), bad[i].want);
        for (int j = 0; j < 6; j++) CHECK_FREED(data[j]);
    }
}

/* The last error is written after the free function has run: what that one fails at is not what the caller reads. */
static void fail_and_free(void *data) {
    CHECK_STATUS(lariat_reactor_running(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    token_free(data);
}

TEST(f04_the_last_error_is_the_calls_own) {
    token *data = token_new("user_data");
    CHECK_STATUS(lariat_reactor_call_soon_full((lariat_reactor *)(uintptr_t)8, note_call, data, fail_and_free), LARIAT_ERR_INVALID_HANDLE);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_INVALID_HANDLE);
    CHECK_FREED(data);
}

TEST(f04_the_options_simulation_is_checked) {
    lariat_reactor *reactor = manual_reactor();
    lariat_simulation *stale = lariat_simulation_new(1);
    CHECK_OK(lariat_simulation_free(stale));
    lariat_reactor_options options = reactor_options();
    options.driver = LARIAT_DRIVER_SIMULATED;
    CHECK_NULL(lariat_reactor_new_with_options(&options), LARIAT_ERR_INVALID_ARGUMENT);
    options.simulation = (lariat_simulation *)reactor;
    CHECK_NULL(lariat_reactor_new_with_options(&options), LARIAT_ERR_INVALID_HANDLE);
    options.simulation = (lariat_simulation *)(uintptr_t)0xdeadbeefcafebabe;
    CHECK_NULL(lariat_reactor_new_with_options(&options), LARIAT_ERR_INVALID_HANDLE);
    options.simulation = stale;
    CHECK_NULL(lariat_reactor_new_with_options(&options), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* ---- 5: a handle of another reactor ------------------------------------------------------------------------------------------ */

static lariat_deferred *theirs;

static void *wait_for_theirs(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    (void)user_data;
    return lariat_deferred_wait_for(deferred, theirs);
}

static lariat_deferred *give_theirs(void *user_data) {
    (void)user_data;
    return theirs;
}

static lariat_deferred *loop_theirs(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    return give_theirs(user_data);
}

/* What was refused is still its waiter's: a callback can be added, and its value comes. */
static void theirs_is_untouched(void) {
    CHECK_INT(lariat_deferred_called(theirs), 0);
    end_with_note(theirs, "theirs");
    CHECK_OK(lariat_deferred_callback(theirs, "untouched"));
    CHECK_NOTES("theirs=untouched");
}

TEST(f05_waiting_for_another_reactors_deferred) {
    lariat_reactor *ours = manual_reactor(), *other = manual_reactor();
    theirs = lariat_deferred_new(other);
    lariat_deferred *deferred = lariat_deferred_new_succeeded(ours, NULL);
    CHECK_OK(lariat_deferred_add_callback(deferred, wait_for_theirs, NULL));
    end_with_note(deferred, "ours");
    CHECK_NOTES("ours!WRONG_REACTOR");
    theirs_is_untouched();
    reactor_done(ours);
    reactor_done(other);
}

TEST(f05_chaining_to_another_reactors_deferred) {
    lariat_reactor *ours = manual_reactor(), *other = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(ours);
    theirs = lariat_deferred_new(other);
    CHECK_STATUS(lariat_deferred_chain(deferred, theirs), LARIAT_ERR_WRONG_REACTOR);
    CHECK_STATUS(lariat_deferred_chain(theirs, deferred), LARIAT_ERR_WRONG_REACTOR);
    end_with_note(deferred, "ours");
    CHECK_OK(lariat_deferred_callback(deferred, "kept"));
    CHECK_NOTES("ours=kept");
    theirs_is_untouched();
    reactor_done(ours);
    reactor_done(other);
}

/* All or nothing: the good element is not released either. */
TEST(f05_a_list_with_another_reactors_deferred) {
    lariat_reactor *ours = manual_reactor(), *other = manual_reactor();
    theirs = lariat_deferred_new(other);
    lariat_deferred *elements[] = {lariat_deferred_new(ours), theirs};
    CHECK_NULL(lariat_deferred_list(ours, elements, 2, 0), LARIAT_ERR_WRONG_REACTOR);
    CHECK_NULL(lariat_deferred_gather(ours, elements, 2), LARIAT_ERR_WRONG_REACTOR);
    CHECK_NULL(lariat_deferred_race(ours, elements, 2), LARIAT_ERR_WRONG_REACTOR);
    CHECK_NULL(lariat_deferred_list(other, elements, 2, 0), LARIAT_ERR_WRONG_REACTOR);
    end_with_note(elements[0], "ours");
    CHECK_OK(lariat_deferred_callback(elements[0], "kept"));
    CHECK_NOTES("ours=kept");
    theirs_is_untouched();
    reactor_done(ours);
    reactor_done(other);
}

TEST(f05_another_reactors_failure) {
    lariat_reactor *ours = manual_reactor(), *other = manual_reactor();
    const lariat_failure *failure = kept_failure(other, 7);
    lariat_deferred *deferred = lariat_deferred_new(ours);
    CHECK_STATUS(lariat_deferred_errback_failure(deferred, failure), LARIAT_ERR_WRONG_REACTOR);
    CHECK_INT(lariat_deferred_called(deferred), 0);
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_failure_release(failure));
    reactor_done(ours);
    reactor_done(other);
}

TEST(f05_a_looping_call_given_another_reactors_deferred) {
    lariat_reactor *ours = manual_reactor(), *other = manual_reactor();
    theirs = lariat_deferred_new(other);
    lariat_looping_call *looping_call = lariat_looping_call_new(ours, loop_theirs, NULL);
    end_with_note(lariat_looping_call_start(looping_call, 1, 1), "loop");
    turns(ours, 2);
    CHECK_NOTES("loop!WRONG_REACTOR");
    CHECK_OK(lariat_looping_call_free(looping_call));
    theirs_is_untouched();
    reactor_done(ours);
    reactor_done(other);
}

/* "One that fails is logged and the others go on." */
TEST(f05_a_trigger_given_another_reactors_deferred) {
    lariat_reactor *ours = manual_reactor(), *other = manual_reactor();
    theirs = lariat_deferred_new(other);
    lariat_reactor_add_system_event_trigger(ours, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, give_theirs, NULL);
    CHECK_OK(lariat_reactor_call_when_running(ours, note_call, "running"));
    turns(ours, 3);
    CHECK_NOTES("running");
    CHECK(*test_log.last != 0);
    theirs_is_untouched();
    reactor_done(ours);
    reactor_done(other);
}

/* Entering a scope of one reactor is nothing to another. */
TEST(f05_another_reactors_scope) {
    lariat_reactor *ours = manual_reactor(), *other = manual_reactor();
    lariat_scope *scope = lariat_scope_new(other);
    CHECK_OK(lariat_scope_enter(scope));
    lariat_reactor_call_later(ours, 1, note_call, "ours");
    lariat_reactor_call_later(other, 1, note_call, "other");
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_free(scope));
    advance(ours, 1);
    advance(other, 1);
    CHECK_NOTES("ours");
    reactor_done(ours);
    reactor_done(other);
}

/* ---- 6: from a foreign thread; the rest is in failures_threads.c -------------------------------------------------------------- */

static void *look_from_a_thread(void *argument) {
    every_kind *every = argument;
    for (int expected = 0; expected < KINDS; expected++)
        for (int given = 0; given < KINDS; given++)
            if (!is_shared(given) || every->of[given] == every->of[KIND_REACTOR])
                CHECK_STATUS(look_at(expected, every->of[given]), LARIAT_ERR_WRONG_THREAD);
    return NULL;
}

/* The thread is checked before the kind, and before staleness. */
TEST(f06_thread_is_checked_for_every_kind) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    thread_join(thread_start(look_from_a_thread, &every));
    every_kind_end(&every);
    for (int kind = 0; kind < KINDS; kind++)
        if (is_apart(kind)) every.of[kind] = reactor; /* what is freed has no owner any more, if it was of no reactor */
    thread_join(thread_start(look_from_a_thread, &every));
    reactor_done(reactor);
}

/* ---- 11: the reactor freed inside a callback ------------------------------------------------------------------------------------ */

static lariat_reactor *running;
static int refusals;

static void free_inside(void) {
    CHECK_STATUS(lariat_reactor_free(running), LARIAT_ERR_BUSY);
    refusals++;
}

static void free_in_call(void *user_data) {
    (void)user_data;
    free_inside();
}

static lariat_deferred *free_in_trigger(void *user_data) {
    (void)user_data;
    free_inside();
    return NULL;
}

static lariat_deferred *free_in_looping(lariat_looping_call *looping_call, void *user_data) {
    (void)user_data;
    free_inside();
    CHECK_OK(lariat_looping_call_stop(looping_call));
    return NULL;
}

static lariat_status free_in_step(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    (void)user_data;
    free_inside();
    return LARIAT_OK;
}

static void free_in_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    (void)user_data;
    free_inside();
    CHECK_OK(lariat_watcher_stop(watcher));
}

TEST(f11_freed_inside_calls) {
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    running = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(running, free_in_call, NULL));
    CHECK_OK(lariat_reactor_call_from_thread(running, free_in_call, NULL));
    CHECK_OK(lariat_reactor_call_when_running(running, free_in_call, NULL));
    CHECK(lariat_reactor_call_later(running, 0, free_in_call, NULL) != NULL);
    CHECK(lariat_reactor_add_system_event_trigger(running, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, free_in_trigger, NULL) != NULL);
    CHECK(lariat_reactor_watch(running, ends[0], LARIAT_READABLE, free_in_ready, NULL) != NULL);
    lariat_looping_call *looping_call = lariat_looping_call_new(running, free_in_looping, NULL);
    CHECK_OK(lariat_deferred_release(lariat_looping_call_start(looping_call, 1, 1)));
    lariat_cooperator *cooperator = lariat_cooperator_new(running, 0);
    CHECK(lariat_cooperator_cooperate(cooperator, free_in_step, NULL) != NULL);
    turns(running, 4);
    CHECK_INT(refusals, 8);
    CHECK_OK(lariat_looping_call_free(looping_call));
    CHECK_OK(lariat_cooperator_free(cooperator));
    turn(running);
    reactor_done(running);
    pipe_close(ends);
}

static void *free_in_both(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    (void)value;
    (void)failure;
    (void)user_data;
    free_inside();
    return NULL;
}

static void *free_in_callback(lariat_deferred *deferred, void *value, void *user_data) {
    return free_in_both(deferred, value, NULL, user_data);
}

static void free_in_canceller(lariat_deferred *deferred, void *user_data) {
    (void)deferred;
    (void)user_data;
    free_inside();
}

/* No turn is running here: the host itself fires. */
TEST(f11_freed_inside_a_deferreds_callbacks) {
    running = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new_with_canceller(running, free_in_canceller, NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, free_in_both, NULL));
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_OK(lariat_deferred_abandon(deferred));
    CHECK_INT(refusals, 2);
    CHECK_OK(lariat_deferred_add_callback(deferred, free_in_callback, NULL));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(refusals, 3);
    CHECK_OK(lariat_deferred_release(lariat_deferred_maybe(running, free_in_callback, NULL)));
    CHECK_INT(refusals, 4);
    reactor_done(running);
}

static void free_in_free(void *data) {
    free_inside();
    token_free(data);
}

/* The last three are freed by the free of the reactor itself. */
TEST(f11_freed_inside_free_functions) {
    running = manual_reactor();
    lariat_delayed_call *call = lariat_reactor_call_later_full(running, 1, quiet_call, token_new("cancelled"), free_in_free);
    CHECK_OK(lariat_delayed_call_cancel(call));
    turn(running);
    CHECK_INT(refusals, 1);
    lariat_deferred *deferred = lariat_deferred_new_succeeded_full(running, token_new("value"), free_in_free);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(refusals, 2);
    CHECK_NOTHING_ALIVE(running);
    CHECK(lariat_reactor_call_later_full(running, 1, quiet_call, token_new("delayed"), free_in_free) != NULL);
    CHECK_OK(lariat_reactor_call_soon_full(running, quiet_call, token_new("soon"), free_in_free));
    CHECK(lariat_deferred_new_succeeded_full(running, token_new("value"), free_in_free) != NULL);
    free_reactor(running);
    CHECK_INT(refusals, 5);
}

static void free_in_log(int32_t level, const char *message, void *user_data) {
    (void)level;
    (void)message;
    (void)user_data;
    free_inside();
}

static void free_in_unhandled(const lariat_failure *failure, void *user_data) {
    (void)failure;
    (void)user_data;
    free_inside();
}

static lariat_deferred *failing_trigger(void *user_data) { return lariat_deferred_new_failed(user_data, 7, "the trigger failed"); }

TEST(f11_freed_inside_hooks) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.log = free_in_log;
    options.unhandled_failure = free_in_unhandled;
    running = reactor_with(options);
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(running, 7, "unhandled")));
    CHECK_INT(refusals, 1);
    lariat_reactor_add_system_event_trigger(running, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, failing_trigger, running);
    turns(running, 2);
    CHECK(refusals > 1);
    reactor_done(running);
}

static void free_the_other(void *user_data) {
    CHECK_OK(lariat_reactor_free(user_data));
    note("freed");
}

TEST(f11_another_reactor_freed_inside_a_callback) {
    lariat_reactor *reactor = manual_reactor(), *other = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon_full(other, note_call, token_new("never"), token_free_noted));
    CHECK_OK(lariat_reactor_call_soon(reactor, free_the_other, other));
    turn(reactor);
    CHECK_NOTES("free:never freed");
    CHECK_STATUS(lariat_reactor_running(other), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}
