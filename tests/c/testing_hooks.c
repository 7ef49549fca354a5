/* FAILURES.md, rows 3 and 15: generations that wrap and panics inside, by the exports of the cargo feature `testing`. */
#include "every_kind.h"

/* Moves the slot of a free-standing thing (a lock, a queue ...) so that its next generation is near `generation`. The handle is stale
 * afterwards, and its slot free. */
extern lariat_status lariat_testing_set_generation(void *handle, uint32_t generation);
/* Panics inside the library. */
extern lariat_status lariat_testing_panic(lariat_reactor *reactor);
/* The same on the next turn, between two callbacks. */
extern lariat_status lariat_testing_panic_later(lariat_reactor *reactor);

/* ---- 3: slots used again and again -------------------------------------------------------------------------------------------------- */

static int by_word(const void *one, const void *other) {
    uintptr_t a = *(const uintptr_t *)one, b = *(const uintptr_t *)other;
    return (a > b) - (a < b);
}

static void check_all_different(uintptr_t *words, size_t count) {
    qsort(words, count, sizeof *words, by_word);
    for (size_t i = 1; i < count; i++)
        if (words[i] == words[i - 1]) test_fail(__FILE__, __LINE__, "the handle %#" PRIxPTR " is given out twice", words[i]);
}

/* Ten million Deferreds in what are a few slots; those of every 4096th are asked again now and at the end. */
TEST(f03_ten_million_deferreds) {
    size_t count = many(10000000), kept = 0;
    lariat_reactor *reactor = manual_reactor();
    uintptr_t *words = calloc(count / 4096 + 2, sizeof *words);
    CHECK(words);
    for (size_t i = 0; i < count; i++) {
        lariat_deferred *deferred = lariat_deferred_new_succeeded(reactor, NULL);
        CHECK(deferred != NULL);
        if (i % 4096 == 0) {
            for (size_t j = kept; j-- > 0 && j + 16 > kept;)
                CHECK_STATUS(lariat_deferred_called((void *)words[j]), LARIAT_ERR_STALE_HANDLE);
            words[kept++] = (uintptr_t)deferred;
        }
        CHECK_OK(lariat_deferred_release(deferred));
    }
    for (size_t i = 0; i < kept; i++) CHECK_STATUS(lariat_deferred_called((void *)words[i]), LARIAT_ERR_STALE_HANDLE);
    check_all_different(words, kept);
    reactor_done(reactor);
    free(words);
}

TEST(f03_ten_million_delayed_calls) {
    size_t count = many(10000000);
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *first = NULL, *last = NULL;
    for (size_t i = 0; i < count; i++) {
        lariat_delayed_call *call = lariat_reactor_call_later(reactor, 1, quiet_call, NULL);
        CHECK(call && call != first && call != last);
        CHECK_OK(lariat_delayed_call_cancel(call));
        if (!first) first = call;
        last = call;
        if (i % 1024 == 0) {
            turn(reactor);
            CHECK_STATUS(lariat_delayed_call_active(first), LARIAT_ERR_STALE_HANDLE);
            CHECK_STATUS(lariat_delayed_call_active(last), LARIAT_ERR_STALE_HANDLE);
        }
    }
    turn(reactor);
    reactor_done(reactor);
}

/* Whole reactors too: their segments are used again. */
TEST(f03_many_reactors) {
    size_t count = many(20000);
    uintptr_t *words = calloc(count, sizeof *words);
    CHECK(words);
    for (size_t i = 0; i < count; i++) {
        lariat_reactor *reactor = manual_reactor();
        words[i] = (uintptr_t)reactor;
        CHECK_OK(lariat_reactor_free(reactor));
        CHECK_STATUS(lariat_reactor_running((void *)words[i / 2]), LARIAT_ERR_STALE_HANDLE);
    }
    check_all_different(words, count);
    free(words);
}

typedef void *(*make_fn)(lariat_reactor *reactor);
typedef lariat_status (*free_fn)(void *handle);

static void *make_lock(lariat_reactor *reactor) { return lariat_lock_new(reactor); }
static lariat_status free_lock(void *handle) { return lariat_lock_free(handle); }
static void *make_queue(lariat_reactor *reactor) { return lariat_queue_new(reactor, -1, -1); }
static lariat_status free_queue(void *handle) { return lariat_queue_free(handle); }
static void *make_semaphore(lariat_reactor *reactor) { return lariat_semaphore_new(reactor, 1); }
static lariat_status free_semaphore(void *handle) { return lariat_semaphore_free(handle); }
static void *make_scope(lariat_reactor *reactor) { return lariat_scope_new(reactor); }
static lariat_status free_scope(void *handle) { return lariat_scope_free(handle); }

/* Uses the first generations of the slots, moves one of them to its last generations, and uses those up: no handle comes twice, all
 * of them are stale, and the one whose slot was moved is not mistaken for any other. */
static void at_the_wrap(make_fn make, free_fn free_one, enum kind kind) {
    enum { BEFORE = 4096, AFTER = 8192 };
    static uintptr_t words[BEFORE + AFTER + 64];
    const uint32_t near[] = {UINT32_MAX - 9, UINT32_MAX - 8, UINT32_MAX - 3, UINT32_MAX - 2, UINT32_MAX - 1, UINT32_MAX};
    size_t count = 0;
    lariat_reactor *reactor = manual_reactor();
    for (; count < BEFORE; count++) {
        void *made = make(reactor);
        words[count] = (uintptr_t)made;
        CHECK_OK(free_one(made));
    }
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        void *moved = make(reactor);
        CHECK(moved != NULL);
        words[count++] = (uintptr_t)moved;
        CHECK_OK(lariat_testing_set_generation(moved, near[i]));
        CHECK_STATUS(look_at(kind, moved), LARIAT_ERR_STALE_HANDLE);
        for (size_t j = 0; j < AFTER / 6; j++) {
            void *made = make(reactor), *beside = j % 8 == 0 ? make(reactor) : NULL;
            CHECK(made != NULL && made != moved);
            words[count++] = (uintptr_t)made;
            CHECK_STATUS(look_at(kind, moved), LARIAT_ERR_STALE_HANDLE);
            CHECK_OK(free_one(made));
            CHECK_STATUS(free_one(made), LARIAT_ERR_STALE_HANDLE);
            if (beside) CHECK_OK(free_one(beside));
        }
    }
    for (size_t i = 0; i < count; i++) CHECK_STATUS(look_at(kind, (void *)words[i]), LARIAT_ERR_STALE_HANDLE);
    check_all_different(words, count);
    reactor_done(reactor);
    /* The next reactors use the same memory: a retired slot stays retired. */
    for (int round = 0; round < 20; round++) {
        reactor = manual_reactor();
        void *made[64];
        for (size_t i = 0; i < 64; i++) made[i] = make(reactor);
        for (size_t i = 0; i < count; i++) CHECK_STATUS(look_at(kind, (void *)words[i]), LARIAT_ERR_STALE_HANDLE);
        for (size_t i = 0; i < 64; i++) CHECK_OK(free_one(made[i]));
        reactor_done(reactor);
    }
}

TEST(f03_locks_at_the_wrap) { at_the_wrap(make_lock, free_lock, KIND_LOCK); }
TEST(f03_queues_at_the_wrap) { at_the_wrap(make_queue, free_queue, KIND_QUEUE); }
TEST(f03_semaphores_at_the_wrap) { at_the_wrap(make_semaphore, free_semaphore, KIND_SEMAPHORE); }
TEST(f03_scopes_at_the_wrap) { at_the_wrap(make_scope, free_scope, KIND_SCOPE); }

TEST(f03_the_hook_refuses_bad_handles) {
    lariat_reactor *reactor = manual_reactor();
    lariat_lock *lock = lariat_lock_new(reactor);
    CHECK_STATUS(lariat_testing_set_generation(NULL, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_testing_set_generation((void *)(uintptr_t)8, 1), LARIAT_ERR_INVALID_HANDLE);
    CHECK_OK(lariat_lock_free(lock));
    CHECK_STATUS(lariat_testing_set_generation(lock, 1), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

/* ---- 15: a panic inside the library ----------------------------------------------------------------------------------------------------- */

/* Whatever is asked of a reactor that has panicked, and of what was made through it: PANIC, and what was given is freed. */
static void refuses_work(const every_kind *every) {
    lariat_reactor *reactor = every->of[KIND_REACTOR];
    const lariat_status want = LARIAT_ERR_PANIC;
    for (int kind = 0; kind < KINDS; kind++)
        if (!is_apart(kind)) CHECK_STATUS(look_at(kind, every->of[kind]), want);
    token *soon = token_new("soon"), *later = token_new("later"), *posted = token_new("posted"), *value = token_new("value");
    CHECK_STATUS(lariat_reactor_call_soon_full(reactor, quiet_call, soon, token_free), want);
    CHECK_FREED(soon);
    CHECK_NULL(lariat_reactor_call_later_full(reactor, 1, quiet_call, later, token_free), want);
    CHECK_FREED(later);
    CHECK_STATUS(lariat_reactor_call_from_thread_full(reactor, quiet_call, posted, token_free), want);
    CHECK_FREED(posted);
    CHECK_STATUS(lariat_deferred_callback_full(every->of[KIND_DEFERRED], value, token_free), want);
    CHECK_FREED(value);
    CHECK_STATUS(lariat_reactor_run(reactor), want);
    CHECK_STATUS(lariat_reactor_run_until_idle(reactor), want);
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), want);
    CHECK_STATUS(lariat_reactor_run_frame(reactor, 1), want);
    CHECK_STATUS(lariat_reactor_advance(reactor, 1), want);
    CHECK_NULL(lariat_deferred_new(reactor), want);
    CHECK_NULL(lariat_lock_new(reactor), want);
    CHECK_NAN(lariat_reactor_seconds(reactor), want);
    CHECK_STATUS(lariat_reactor_stop_from_thread(reactor), want);
}

static void panicked_done(every_kind *every) {
    CHECK_OK(lariat_reactor_free(every->of[KIND_REACTOR]));
    CHECK_STATUS(lariat_reactor_free(every->of[KIND_REACTOR]), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_called(every->of[KIND_DEFERRED]), LARIAT_ERR_STALE_HANDLE);
    every_kind_end_apart(every);
}

TEST(f15_a_panic_in_a_call) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_STATUS(lariat_testing_panic(reactor), LARIAT_ERR_PANIC);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_PANIC);
    CHECK(*lariat_last_error_message() != 0);
    CHECK_INT(test_log.errors, 1);
    refuses_work(&every);
    CHECK_STATUS(lariat_testing_panic(reactor), LARIAT_ERR_PANIC);
    CHECK_INT(test_log.errors, 1);
    panicked_done(&every);
}

TEST(f15_a_panic_in_a_turn) {
    lariat_reactor *reactor = manual_reactor();
    every_kind every = every_kind_new(reactor);
    CHECK_OK(lariat_testing_panic_later(reactor));
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), LARIAT_ERR_PANIC);
    CHECK_INT(test_log.errors, 1);
    refuses_work(&every);
    panicked_done(&every);
}

TEST(f15_a_panic_while_it_runs) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_testing_panic_later(reactor));
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_PANIC);
    CHECK_INT(test_log.errors, 1);
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_PANIC);
    CHECK_OK(lariat_reactor_free(reactor));
}

/* Rust's own report would go to stderr. */
TEST(f15_a_panic_writes_nothing) {
    lariat_reactor *reactor = manual_reactor();
    output watched = output_watch();
    lariat_status status = lariat_testing_panic(reactor);
    CHECK(!output_seen(&watched));
    CHECK_STATUS(status, LARIAT_ERR_PANIC);
    CHECK_OK(lariat_reactor_free(reactor));
}

static void panic_now(void *user_data) {
    CHECK_STATUS(lariat_testing_panic(user_data), LARIAT_ERR_PANIC);
    CHECK_STATUS(lariat_reactor_call_soon(user_data, quiet_call, NULL), LARIAT_ERR_PANIC);
    note("panicked");
}

/* The callback goes on and returns into a turn that must end. */
TEST(f15_a_panic_in_a_callback) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon(reactor, panic_now, reactor));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "never"));
    CHECK_STATUS(lariat_reactor_iterate(reactor, 0), LARIAT_ERR_PANIC);
    CHECK_NOTES("panicked");
    CHECK_INT(test_log.errors, 1);
    CHECK_OK(lariat_reactor_free(reactor));
}

static void *panic_in_the_chain(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    panic_now(user_data);
    return lariat_deferred_fail(deferred, 7, "seven");
}

TEST(f15_a_panic_in_a_deferreds_callback) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(deferred, panic_in_the_chain, reactor));
    CHECK_STATUS(lariat_deferred_callback(deferred, NULL), LARIAT_ERR_PANIC);
    CHECK_NOTES("panicked");
    CHECK_OK(lariat_reactor_free(reactor));
}

/* Neither another reactor of the thread nor new ones notice. */
TEST(f15_others_do_not_panic) {
    lariat_reactor *other = manual_reactor(), *reactor = manual_reactor();
    every_kind every = every_kind_new(other);
    CHECK_STATUS(lariat_testing_panic(reactor), LARIAT_ERR_PANIC);
    CHECK_OK(lariat_reactor_call_soon(other, note_call, "other"));
    turn(other);
    every_kind_end(&every);
    CHECK_OK(lariat_reactor_free(reactor));
    reactor_done(other);
    lariat_reactor *next = manual_reactor();
    every_kind again = every_kind_new(next);
    every_kind_end(&again);
    reactor_done(next);
    CHECK_NOTES("other");
}

static lariat_deferred *never_fires(lariat_reactor *reactor, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_testing_panic_later(reactor));
    return lariat_deferred_new(reactor);
}

static void *block_for_ever(void *argument) {
    void *value = NULL;
    int32_t answer = lariat_reactor_blocking_call(argument, INFINITY, never_fires, NULL, &value);
    CHECK(answer == LARIAT_ERR_PANIC || answer == LARIAT_ERR_CLOSED || answer == LARIAT_ERR_CANCELLED);
    return NULL;
}

/* What waits for a reactor that panics is let go, when it is freed at the latest. */
TEST(f15_thread_that_waits_for_a_panicked_reactor) {
    lariat_reactor *reactor = real_reactor();
    pthread_t thread = thread_start(block_for_ever, reactor);
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_PANIC);
    CHECK_OK(lariat_reactor_free(reactor));
    thread_join(thread);
}

static gate started = GATE_CLOSED, may_end = GATE_CLOSED;

static void *until_gate(lariat_job *job, void *user_data) {
    (void)job;
    gate_open(&started);
    gate_wait(&may_end);
    return user_data;
}

/* A job of the pool runs while its reactor panics, and ends afterwards. */
TEST(f15_thread_in_a_job_of_a_panicked_reactor) {
    lariat_reactor_options options = reactor_options();
    options.shutdown_seconds = 0;
    lariat_reactor *reactor = reactor_with(options);
    CHECK(lariat_reactor_defer_to_thread(reactor, until_gate, "value") != NULL);
    gate_wait(&started);
    CHECK_STATUS(lariat_testing_panic(reactor), LARIAT_ERR_PANIC);
    CHECK_OK(lariat_reactor_free(reactor));
    gate_open(&may_end);
}
