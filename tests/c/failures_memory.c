/* FAILURES.md, row 37: memory is short. What is made until nothing fits any more answers LARIAT_ERR_NO_MEMORY, and everything works
 * once there is memory again. */
#include "every_kind.h"
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECKED_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CHECKED_BUILD 1
#endif
#endif

/* ---- the limit ----------------------------------------------------------------------------------------------------------------------------- */

static struct rlimit unlimited;

/* From here on `more` bytes can be mapped beyond what is mapped now. */
static void limit_memory(size_t more) {
#ifdef CHECKED_BUILD
    SKIP("a sanitizer needs the address space");
#endif
    if (getenv("LARIAT_TEST_TOOL")) SKIP("a checker needs the address space");
#ifndef __linux__
    SKIP("the size that is mapped is not known here");
#endif
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu", &pages) != 1) SKIP("no /proc/self/statm");
    fclose(file);
    CHECK_INT(getrlimit(RLIMIT_AS, &unlimited), 0);
    struct rlimit limit = {.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more, .rlim_max = unlimited.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
}

static void lift_limit(void) { CHECK_INT(setrlimit(RLIMIT_AS, &unlimited), 0); }

/* ---- what is counted: no memory of our own while it is short --------------------------------------------------------------------- */

static struct {
    atomic_long runs, frees;
} counted;

static void counted_call(void *user_data) {
    (void)user_data;
    atomic_fetch_add(&counted.runs, 1);
}

static void counted_free(void *data) {
    CHECK_PTR(data, &counted);
    atomic_fetch_add(&counted.frees, 1);
}

static lariat_deferred *counted_trigger(void *user_data) {
    counted_call(user_data);
    return NULL;
}

static lariat_deferred *counted_looping(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    return counted_trigger(user_data);
}

static lariat_status counted_step(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    counted_call(user_data);
    return LARIAT_OK;
}

static void *counted_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    counted_call(user_data);
    return value;
}

static lariat_status answer_of(const void *made) { return made ? LARIAT_OK : lariat_last_error(); }

static void quiet_unhandled(const lariat_failure *failure, void *user_data) {
    (void)failure;
    (void)user_data;
}

static lariat_reactor *quiet_reactor(void) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.unhandled_failure = quiet_unhandled;
    return reactor_with(options);
}

/* ---- filling ---------------------------------------------------------------------------------------------------------------------------------- */

typedef lariat_status (*make_fn)(lariat_reactor *reactor, void *thing);

/* Makes until no more fits. Gives how many there are; the memory is short no longer. */
static long fill(lariat_reactor *reactor, make_fn make, void *thing) {
    long made = 0;
    lariat_status status;
    limit_memory(16 << 20);
    while ((status = make(reactor, thing)) == LARIAT_OK)
        if (++made == 100000000) test_fail(__FILE__, __LINE__, "memory is never short");
    CHECK_STATUS(status, LARIAT_ERR_NO_MEMORY);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_NO_MEMORY);
    CHECK(*lariat_last_error_message() != 0);
    lift_limit();
    CHECK(made > 0);
    CHECK_OK(make(reactor, thing));
    return made + 1;
}

/* The same, for what has counted user_data: the one that failed has freed its own already. */
static long fill_counted(lariat_reactor *reactor, make_fn make, void *thing) {
    long made = fill(reactor, make, thing);
    CHECK_INT(atomic_load(&counted.frees), 1);
    return made;
}

/* As good as new, but for what is still alive in it: that goes with its free. */
static void works_and_done(lariat_reactor *reactor) {
    every_kind every = every_kind_new(reactor);
    every_kind_end(&every);
    free_reactor(reactor);
}

static void counted_done(lariat_reactor *reactor, long made) {
    works_and_done(reactor);
    CHECK_INT(atomic_load(&counted.frees), made + 1);
}

/* ---- calls -------------------------------------------------------------------------------------------------------------------------------------- */

static lariat_status make_delayed_call(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_reactor_call_later_full(reactor, 1, counted_call, &counted, counted_free));
}

static lariat_status make_soon_call(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return lariat_reactor_call_soon_full(reactor, counted_call, &counted, counted_free);
}

static lariat_status make_thread_call(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return lariat_reactor_call_from_thread_full(reactor, counted_call, &counted, counted_free);
}

static lariat_status make_running_call(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return lariat_reactor_call_when_running_full(reactor, counted_call, &counted, counted_free);
}

static lariat_status make_trigger(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_STARTUP, counted_trigger,
                                                                  &counted, counted_free));
}

/* Every one that was accepted is made. */
static void calls(make_fn make) {
    lariat_reactor *reactor = quiet_reactor();
    long made = fill_counted(reactor, make, NULL);
    turn(reactor);
    advance(reactor, 1);
    CHECK_INT(atomic_load(&counted.runs), made);
    CHECK_INT(atomic_load(&counted.frees), made + 1);
    CHECK_NOTHING_ALIVE(reactor);
    works_and_done(reactor);
}

TEST(f37_delayed_calls) { calls(make_delayed_call); }
TEST(f37_soon_calls) { calls(make_soon_call); }
TEST(f37_thread_calls) { calls(make_thread_call); }
TEST(f37_calls_when_running) { calls(make_running_call); }
TEST(f37_triggers) { calls(make_trigger); }

static lariat_status make_event(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return lariat_reactor_call_soon_event(reactor, 7);
}

TEST(f37_events) {
    lariat_reactor *reactor = quiet_reactor();
    long made = fill(reactor, make_event, NULL);
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    turn(reactor);
    for (long i = 0; i < made; i++) CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    CHECK_NOTHING_ALIVE(reactor);
    works_and_done(reactor);
}

/* ---- Deferreds ---------------------------------------------------------------------------------------------------------------------------------- */

static lariat_status make_deferred(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_deferred_new_succeeded_full(reactor, &counted, counted_free));
}

static lariat_status make_callback(lariat_reactor *reactor, void *thing) {
    (void)reactor;
    return lariat_deferred_add_callback_full(thing, counted_value, &counted, counted_free);
}

static lariat_status make_failure(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_deferred_new_failed(reactor, 7, "a message that has to be copied, and takes some memory of its own"));
}

/* What a refused list was to take over is still ours. */
static lariat_status make_list(lariat_reactor *reactor, void *thing) {
    (void)thing;
    lariat_deferred *one = lariat_deferred_new_succeeded(reactor, NULL);
    if (!one) return lariat_last_error();
    lariat_status status = answer_of(lariat_deferred_list(reactor, &one, 1, 0));
    if (status != LARIAT_OK) CHECK_OK(lariat_deferred_release(one));
    return status;
}

TEST(f37_deferreds) {
    lariat_reactor *reactor = quiet_reactor();
    counted_done(reactor, fill_counted(reactor, make_deferred, NULL));
}

TEST(f37_callbacks_of_a_deferred) {
    lariat_reactor *reactor = quiet_reactor();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    long made = fill_counted(reactor, make_callback, deferred);
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    CHECK_INT(atomic_load(&counted.runs), made);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_NOTHING_ALIVE(reactor);
    counted_done(reactor, made);
}

TEST(f37_failures) {
    lariat_reactor *reactor = quiet_reactor();
    fill(reactor, make_failure, NULL);
    works_and_done(reactor);
}

TEST(f37_lists) {
    lariat_reactor *reactor = quiet_reactor();
    fill(reactor, make_list, NULL);
    works_and_done(reactor);
}

/* One large thing, when there is little memory left. */
TEST(f37_a_long_message) {
    lariat_reactor *reactor = quiet_reactor();
    size_t length = 64 << 20;
    char *message = malloc(length + 1);
    CHECK(message);
    memset(message, 'x', length);
    message[length] = 0;
    token *payload = token_new("payload");
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    limit_memory(16 << 20);
    CHECK_STATUS(lariat_deferred_errback(deferred, 7, message), LARIAT_ERR_NO_MEMORY);
    CHECK_STATUS(lariat_deferred_errback_full(deferred, 7, 0, message, payload, token_free), LARIAT_ERR_NO_MEMORY);
    CHECK_FREED(payload);
    CHECK_STATUS(lariat_deferred_errback_from_thread(deferred, 7, message), LARIAT_ERR_NO_MEMORY);
    CHECK_NULL(lariat_deferred_new_failed(reactor, 7, message), LARIAT_ERR_NO_MEMORY);
    CHECK_INT(lariat_deferred_called(deferred), 0);
    lift_limit();
    CHECK_OK(lariat_deferred_errback(deferred, 7, message));
    end_with_note(deferred, "end");
    CHECK_NOTES("end!7");
    CHECK_NOTHING_ALIVE(reactor);
    works_and_done(reactor);
    free(message);
}

/* ---- the others --------------------------------------------------------------------------------------------------------------------------------- */

static lariat_status make_lock(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_lock_new(reactor));
}

static lariat_status make_semaphore(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_semaphore_new(reactor, 1));
}

static lariat_status make_queue(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_queue_new(reactor, -1, -1));
}

static lariat_status make_queued(lariat_reactor *reactor, void *thing) {
    (void)reactor;
    return lariat_queue_put_full(thing, &counted, counted_free);
}

static lariat_status make_waiter(lariat_reactor *reactor, void *thing) {
    (void)reactor;
    lariat_deferred *waits = lariat_queue_get(thing);
    return waits ? lariat_deferred_release(waits) : lariat_last_error();
}

static lariat_status make_looping_call(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_looping_call_new_full(reactor, counted_looping, &counted, counted_free));
}

static lariat_status make_cooperator(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_cooperator_new(reactor, 0));
}

static lariat_status make_task(lariat_reactor *reactor, void *thing) {
    (void)reactor;
    return answer_of(lariat_cooperator_cooperate_full(thing, counted_step, &counted, counted_free));
}

static lariat_status make_scope(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return answer_of(lariat_scope_new(reactor));
}

static void plain_things(make_fn make) {
    lariat_reactor *reactor = quiet_reactor();
    fill(reactor, make, NULL);
    works_and_done(reactor);
}

TEST(f37_locks) { plain_things(make_lock); }
TEST(f37_semaphores) { plain_things(make_semaphore); }
TEST(f37_queues) { plain_things(make_queue); }
TEST(f37_cooperators) { plain_things(make_cooperator); }
TEST(f37_scopes) { plain_things(make_scope); }

TEST(f37_looping_calls) {
    lariat_reactor *reactor = quiet_reactor();
    counted_done(reactor, fill_counted(reactor, make_looping_call, NULL));
}

TEST(f37_tasks) {
    lariat_reactor *reactor = quiet_reactor();
    lariat_cooperator *cooperator = lariat_cooperator_new(reactor, 100);
    counted_done(reactor, fill_counted(reactor, make_task, cooperator));
}

TEST(f37_values_in_a_queue) {
    lariat_reactor *reactor = quiet_reactor();
    lariat_queue *queue = lariat_queue_new(reactor, -1, -1);
    long made = fill_counted(reactor, make_queued, queue);
    CHECK_INT(lariat_queue_size(queue), made);
    CHECK_OK(lariat_queue_free(queue));
    CHECK_NOTHING_ALIVE(reactor);
    counted_done(reactor, made);
}

TEST(f37_waiters_of_a_queue) {
    lariat_reactor *reactor = quiet_reactor();
    lariat_queue *queue = lariat_queue_new(reactor, -1, -1);
    long made = fill(reactor, make_waiter, queue);
    CHECK_INT(lariat_queue_backlog(queue), made);
    for (long i = 0; i < made; i++) CHECK_OK(lariat_queue_put(queue, "value"));
    CHECK_INT(lariat_queue_backlog(queue), 0);
    CHECK_OK(lariat_queue_free(queue));
    CHECK_NOTHING_ALIVE(reactor);
    works_and_done(reactor);
}

/* Each needs descriptors too, which may run out first. */
TEST(f37_reactors) {
    static lariat_reactor *reactors[100000];
    size_t made = 0;
    limit_memory(4 << 20);
    while (made < sizeof reactors / sizeof *reactors && (reactors[made] = lariat_reactor_new())) made++;
    CHECK_EITHER(lariat_last_error(), LARIAT_ERR_NO_MEMORY, LARIAT_ERR_OS);
    CHECK(*lariat_last_error_message() != 0);
    lift_limit();
    while (made > 0) free_reactor(reactors[--made]);
    works_and_done(quiet_reactor());
}

/* ---- pool jobs ------------------------------------------------------------------------------------------------------------------------------------ */

static gate started = GATE_CLOSED, may_end = GATE_CLOSED;

static void until_gate(void *user_data) {
    (void)user_data;
    gate_open(&started);
    gate_wait(&may_end);
}

static lariat_status make_job(lariat_reactor *reactor, void *thing) {
    (void)thing;
    return lariat_reactor_call_in_thread_full(reactor, counted_call, &counted, counted_free);
}

static lariat_reactor *pool_of_one(void) {
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 1;
    return reactor_with(options);
}

TEST(f37_waiting_jobs) {
    lariat_reactor *reactor = pool_of_one();
    CHECK_OK(lariat_reactor_call_in_thread(reactor, until_gate, NULL));
    gate_wait(&started);
    long made = fill_counted(reactor, make_job, NULL);
    gate_open(&may_end);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_INT(atomic_load(&counted.runs), made);
    CHECK_INT(atomic_load(&counted.frees), made + 1);
    reactor_done(reactor);
}

/* There is no room for the stack of the pool's first thread: the job is refused, or it is run later; it does not hang. */
TEST(f37_a_thread_that_cannot_start) {
    lariat_reactor *reactor = pool_of_one();
    limit_memory(512 << 10);
    lariat_status status = make_job(reactor, NULL);
    lift_limit();
    if (status == LARIAT_OK) {
        CHECK_OK(lariat_reactor_run_until_idle(reactor));
        CHECK_INT(atomic_load(&counted.runs), 1);
    } else {
        CHECK_EITHER(status, LARIAT_ERR_NO_MEMORY, LARIAT_ERR_OS);
        CHECK_INT(atomic_load(&counted.runs), 0);
    }
    CHECK_INT(atomic_load(&counted.frees), 1);
    CHECK_OK(make_job(reactor, NULL));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_INT(atomic_load(&counted.frees), 2);
    reactor_done(reactor);
}
