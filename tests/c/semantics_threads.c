/* Other threads (DESIGN 6): SEMANTICS 19, firing and releasing from a thread, the pool, the blocking call, adopting. On the real
 * clock, for here the loop must really sleep. That each call wakes it is s19_a_call_wakes_a_reactor_that_sleeps; a wake-up that is
 * lost shows there as a case that hangs. */
#include "harness.h"
#include <sched.h>

/* Sleeps in the poll, but not for long: the turn that makes the condition true may go on to sleep itself. */
#define TURN_UNTIL(reactor, condition) \
    while (!(condition)) CHECK_OK(lariat_reactor_iterate(reactor, 0.01))

static void *stop_from_thread(void *reactor) {
    CHECK_OK(lariat_reactor_stop_from_thread(reactor));
    return NULL;
}

/* ---- 19: call_from_thread ---- */

enum { POSTERS = 4 };

struct poster {
    lariat_reactor *reactor;
    uintptr_t number, posts;
};

static uintptr_t next_of[POSTERS];
static const void *reactors_thread;

static void check_in_order(void *user_data) {
    uintptr_t poster = (uintptr_t)user_data % POSTERS, number = (uintptr_t)user_data / POSTERS;
    if (number != next_of[poster]) CHECK_INT(number, next_of[poster]);
    next_of[poster]++;
    CHECK_PTR(test_this_thread(), reactors_thread);
}

static void *post_many(void *user_data) {
    struct poster *poster = user_data;
    for (uintptr_t i = 0; i < poster->posts; i++)
        CHECK_OK(lariat_reactor_call_from_thread(poster->reactor, check_in_order, (void *)(i * POSTERS + poster->number)));
    return NULL;
}

TEST(s19_the_calls_of_each_thread_come_in_order_none_lost_none_merged) {
    lariat_reactor *reactor = real_reactor();
    struct poster posters[POSTERS];
    pthread_t threads[POSTERS];
    uintptr_t posts = many(100000);
    reactors_thread = test_this_thread();
    for (uintptr_t i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){reactor, i, posts};
        threads[i] = thread_start(post_many, &posters[i]);
    }
    for (int i = 0; i < POSTERS; i++) TURN_UNTIL(reactor, next_of[i] == posts);
    for (int i = 0; i < POSTERS; i++) thread_join(threads[i]);
    turns(reactor, 2);
    for (int i = 0; i < POSTERS; i++) CHECK_INT(next_of[i], posts);
    reactor_done(reactor);
}

/* Two reactors on two threads that call each other: each is asleep, or about to be, whenever it is called. */
struct player {
    lariat_reactor *reactor;
    struct player *other;
    long calls, last;
};

static void play(void *user_data) {
    struct player *player = user_data;
    if (++player->calls == player->last) CHECK_OK(lariat_reactor_stop(player->reactor));
    if (player->other->calls < player->other->last) CHECK_OK(lariat_reactor_call_from_thread(player->other->reactor, play, player->other));
}

static void *run_player(void *user_data) {
    struct player *player = user_data;
    CHECK_OK(lariat_reactor_adopt(player->reactor));
    CHECK_OK(lariat_reactor_run(player->reactor));
    reactor_done(player->reactor);
    return NULL;
}

TEST(s19_a_call_wakes_a_reactor_that_sleeps) {
    static struct player here, there;
    long last = (long)many(10000);
    here = (struct player){real_reactor(), &there, 0, last};
    there = (struct player){real_reactor(), &here, 0, last};
    pthread_t thread = thread_start(run_player, &there);
    CHECK_OK(lariat_reactor_call_soon(here.reactor, play, &here));
    CHECK_OK(lariat_reactor_run(here.reactor));
    thread_join(thread);
    CHECK_INT(here.calls, last);
    CHECK_INT(there.calls, last);
    reactor_done(here.reactor);
}

struct owned_posts {
    lariat_reactor *reactor;
    token *accepted, *refused;
};

static void *post_owned(void *user_data) {
    struct owned_posts *posts = user_data;
    CHECK_OK(lariat_reactor_call_from_thread_full(posts->reactor, note_call, posts->accepted, token_free));
    CHECK_STATUS(lariat_reactor_call_from_thread_full(posts->reactor, NULL, posts->refused, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(token_freed_here(posts->refused)); /* by the caller's thread, before the call returns */
    return NULL;
}

TEST(s19_user_data_is_freed_by_the_reactors_thread_or_when_refused_by_the_callers) {
    lariat_reactor *reactor = real_reactor();
    struct owned_posts posts = {reactor, token_new("accepted"), token_new("refused")};
    thread_join(thread_start(post_owned, &posts));
    CHECK(token_alive(posts.accepted));
    turn(reactor);
    CHECK_NOTES("accepted");
    CHECK(token_freed_here(posts.accepted));
    reactor_done(reactor);
}

static void *post_three(void *reactor) {
    static char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) CHECK_OK(lariat_reactor_call_from_thread(reactor, note_call, names[i]));
    return NULL;
}

TEST(s19_calls_that_were_accepted_run_even_when_the_reactor_is_freed) {
    lariat_reactor *reactor = real_reactor();
    thread_join(thread_start(post_three, reactor));
    free_reactor(reactor);
    CHECK_NOTES("a b c");
}

static void *post_too_late(void *reactor) {
    token *refused = token_new("refused");
    CHECK_EITHER(lariat_reactor_call_from_thread_full(reactor, note_call, refused, token_free), LARIAT_ERR_CLOSED, LARIAT_ERR_STALE_HANDLE);
    CHECK(token_freed_here(refused));
    CHECK_EITHER(lariat_reactor_stop_from_thread(reactor), LARIAT_ERR_CLOSED, LARIAT_ERR_STALE_HANDLE);
    return NULL;
}

TEST(s19_calls_that_come_too_late_are_refused) {
    lariat_reactor *reactor = real_reactor();
    free_reactor(reactor);
    thread_join(thread_start(post_too_late, reactor));
}

TEST(s19_stop_from_thread_stops) {
    lariat_reactor *reactor = real_reactor();
    CHECK(lariat_reactor_call_later(reactor, 1000, note_call, "not called") != NULL);
    for (int i = 0; i < 3; i++) {
        turn(reactor); /* started, so the stop finds it running */
        pthread_t thread = thread_start(stop_from_thread, reactor);
        lariat_status status = LARIAT_OK;
        while (status == LARIAT_OK) status = lariat_reactor_iterate(reactor, INFINITY);
        CHECK_STATUS(status, LARIAT_STOPPED);
        thread_join(thread);
    }
    free_reactor(reactor);
}

static void *call_from_wrong_thread(void *reactor) {
    token *data = token_new("refused");
    CHECK_NULL(lariat_reactor_call_later_full(reactor, 0, note_call, data, token_free), LARIAT_ERR_WRONG_THREAD);
    CHECK(token_freed_here(data));
    CHECK_STATUS(lariat_reactor_call_soon(reactor, note_call, "x"), LARIAT_ERR_WRONG_THREAD);
    CHECK_STATUS(lariat_reactor_stop(reactor), LARIAT_ERR_WRONG_THREAD);
    CHECK_STATUS(lariat_reactor_free(reactor), LARIAT_ERR_WRONG_THREAD);
    CHECK_NULL(lariat_deferred_new(reactor), LARIAT_ERR_WRONG_THREAD);
    CHECK(isnan(lariat_reactor_seconds(reactor)));
    return NULL;
}

TEST(s19_all_other_calls_are_for_the_reactors_thread) { /* FAILURES 6 has them all */
    lariat_reactor *reactor = real_reactor();
    thread_join(thread_start(call_from_wrong_thread, reactor));
    turn(reactor);
    reactor_done(reactor);
}

/* ---- Deferreds from a thread ---- */

static void *note_owned(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    CHECK_PTR(test_this_thread(), reactors_thread);
    return note_end(deferred, value, failure, user_data);
}

struct worker {
    lariat_deferred *value, *owned, *failure, *abandoned;
    token *token;
};

static void *fire_from_thread(void *user_data) {
    struct worker *worker = user_data;
    CHECK_OK(lariat_deferred_callback_from_thread(worker->value, "x"));
    CHECK_OK(lariat_deferred_callback_from_thread_full(worker->owned, worker->token, token_free));
    CHECK_OK(lariat_deferred_errback_from_thread(worker->failure, 7, "seven"));
    CHECK_STATUS(lariat_deferred_errback_from_thread(worker->failure, 0, "zero"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_deferred_abandon_from_thread(worker->abandoned));
    return NULL;
}

TEST(s19_deferreds_are_fired_from_a_thread_in_order) {
    lariat_reactor *reactor = real_reactor();
    struct worker worker = {lariat_deferred_new(reactor), lariat_deferred_new(reactor), lariat_deferred_new(reactor),
                            lariat_deferred_new(reactor), token_new("owned")};
    reactors_thread = test_this_thread();
    CHECK_OK(lariat_deferred_add_both(worker.value, note_owned, "a"));
    CHECK_OK(lariat_deferred_add_both(worker.owned, note_owned, "b"));
    CHECK_OK(lariat_deferred_add_both(worker.failure, note_owned, "c"));
    CHECK_OK(lariat_deferred_add_both(worker.abandoned, note_owned, "d"));
    pthread_t thread = thread_start(fire_from_thread, &worker);
    TURN_UNTIL(reactor, noted("d!"));
    thread_join(thread);
    CHECK_NOTES("a=x b=owned c!7 d!ABANDONED");
    CHECK(token_alive(worker.token));
    CHECK_OK(lariat_deferred_release(worker.value));
    CHECK_OK(lariat_deferred_release(worker.owned));
    CHECK_OK(lariat_deferred_release(worker.failure));
    CHECK_OK(lariat_deferred_release(worker.abandoned));
    CHECK(token_freed_here(worker.token));
    reactor_done(reactor);
}

struct late_fire {
    lariat_deferred *deferred;
    token *value;
    lariat_status status;
};

static void *fire_late(void *user_data) {
    struct late_fire *late = user_data;
    late->status = lariat_deferred_callback_from_thread_full(late->deferred, late->value, token_free);
    return NULL;
}

TEST(s19_a_value_that_finds_its_deferred_gone_is_freed) {
    lariat_reactor *reactor = real_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    struct late_fire first = {d, token_new("first"), 0}, second = {d, token_new("second"), 0}, third = {d, token_new("third"), 0};
    end_with_note(d, "d");
    thread_join(thread_start(fire_late, &first));
    thread_join(thread_start(fire_late, &second)); /* queued too: the thread cannot know */
    CHECK_OK(first.status);
    CHECK_OK(second.status);
    CHECK_INT(tokens_alive(), 3);
    turn(reactor);
    CHECK_NOTES("d=first");
    CHECK(token_freed_here(first.value) && token_freed_here(second.value));
    thread_join(thread_start(fire_late, &third)); /* it is gone now: refused at once, or freed when it arrives */
    CHECK_EITHER(third.status, LARIAT_OK, LARIAT_ERR_STALE_HANDLE);
    turn(reactor);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(s19_a_cancelled_deferred_swallows_one_fire_from_a_thread_too) {
    lariat_reactor *reactor = real_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    struct late_fire late = {d, token_new("late"), 0};
    end_with_note(d, "d");
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("d!CANCELLED");
    thread_join(thread_start(fire_late, &late));
    CHECK_OK(late.status);
    turn(reactor);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

static void *release_from_thread(void *deferred) {
    CHECK_OK(lariat_deferred_release_from_thread(deferred));
    return NULL;
}

TEST(s19_a_deferred_is_released_from_a_thread) {
    lariat_reactor *reactor = real_reactor();
    lariat_deferred *d = lariat_deferred_new_succeeded_full(reactor, token_new("value"), token_free);
    thread_join(thread_start(release_from_thread, d));
    CHECK_INT(tokens_alive(), 1);
    turn(reactor);
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_deferred_called(d), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

struct many_deferreds {
    lariat_deferred **deferreds;
    size_t count;
    atomic_long *frees;
};

static void *fire_them_all(void *user_data) {
    struct many_deferreds *all = user_data;
    for (size_t i = 0; i < all->count; i++)
        CHECK_OK(lariat_deferred_callback_from_thread_full(all->deferreds[i], all->frees, count_free));
    return NULL;
}

TEST(s19_ten_thousand_deferreds_are_fired_from_a_thread) {
    lariat_reactor *reactor = real_reactor();
    atomic_long frees = 0;
    size_t count = many(10000);
    struct many_deferreds all = {malloc(count * sizeof *all.deferreds), count, &frees};
    CHECK(all.deferreds != NULL);
    for (size_t i = 0; i < count; i++) all.deferreds[i] = lariat_deferred_new(reactor);
    pthread_t thread = thread_start(fire_them_all, &all);
    for (size_t i = 0; i < count; i++) CHECK_OK(lariat_deferred_release(all.deferreds[i])); /* meanwhile */
    TURN_UNTIL(reactor, atomic_load(&frees) == (long)count);
    thread_join(thread);
    free(all.deferreds);
    reactor_done(reactor);
}

/* ---- the pool ---- */

struct job {
    gate started, go_on;
    const void *_Atomic ran_on;
    atomic_int finished;
    token *value;
};
#define JOB_NEW {GATE_CLOSED, GATE_CLOSED, NULL, 0, NULL}

static void call_in_pool(void *user_data) {
    token *data = user_data;
    CHECK(token_alive(data));
    CHECK(test_this_thread() != reactors_thread);
}

TEST(pool_call_in_thread_runs_elsewhere_and_frees_here) {
    lariat_reactor *reactor = real_reactor();
    token *data = token_new("data");
    reactors_thread = test_this_thread();
    CHECK_INT(reactor_stats(reactor).threads, 0); /* none before the first job */
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, call_in_pool, data, token_free));
    TURN_UNTIL(reactor, !token_alive(data));
    CHECK(token_freed_here(data));
    CHECK_INT(reactor_stats(reactor).threads, 1);
    reactor_done(reactor);
}

static void *job_returns(lariat_job *job, void *user_data) {
    (void)job;
    CHECK(test_this_thread() != reactors_thread);
    return user_data;
}

static void *job_returns_owned(lariat_job *job, void *user_data) { return lariat_job_return(job, user_data, token_free); }

static void *job_fails(lariat_job *job, void *user_data) {
    (void)user_data;
    return lariat_job_fail(job, 7, "the disk: gone");
}

static void *job_changes_its_mind(lariat_job *job, void *user_data) {
    lariat_job_return(job, user_data, token_free);
    lariat_job_fail(job, 7, "seven");
    lariat_job_return(job, "last", NULL);
    return "what is returned loses";
}

static void *note_message(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    CHECK_STR(lariat_failure_message(failure), "the disk: gone");
    return note_failure(deferred, failure, user_data);
}

TEST(pool_defer_to_thread_gives_what_the_job_gave) {
    lariat_reactor *reactor = real_reactor();
    token *data = token_new("data"), *value = token_new("value"), *unused = token_new("unused");
    reactors_thread = test_this_thread();
    lariat_deferred *d[] = {
        lariat_reactor_defer_to_thread(reactor, job_returns, "x"),
        lariat_reactor_defer_to_thread(reactor, job_returns_owned, value),
        lariat_reactor_defer_to_thread(reactor, job_fails, NULL),
        lariat_reactor_defer_to_thread(reactor, job_changes_its_mind, unused),
        lariat_reactor_defer_to_thread_full(reactor, job_returns, data, token_free),
    };
    static char *const names[] = {"plain", "owned", "failed", "changed", "full"};
    CHECK_OK(lariat_deferred_add_errback(d[2], note_message, "message"));
    for (int i = 0; i < 5; i++) CHECK_OK(lariat_deferred_add_both(d[i], note_owned, names[i]));
    TURN_UNTIL(reactor, noted("plain=x") && noted("owned=value") && noted("message!7 failed=-"));
    TURN_UNTIL(reactor, noted("changed=last") && noted("full=data"));
    notes_clear(); /* they came in any order */
    CHECK(token_alive(value));
    for (int i = 0; i < 5; i++) CHECK_OK(lariat_deferred_release(d[i]));
    TURN_UNTIL(reactor, tokens_alive() == 0);
    CHECK(token_freed_here(data) && token_freed_here(value) && token_freed_here(unused));
    reactor_done(reactor);
}

static void *job_waits(lariat_job *job, void *user_data) {
    struct job *mine = user_data;
    (void)job;
    gate_open(&mine->started);
    gate_wait(&mine->go_on);
    atomic_store(&mine->finished, 1);
    return mine->value ? lariat_job_return(job, mine->value, token_free) : NULL;
}

static void *job_until_cancelled(lariat_job *job, void *user_data) {
    struct job *mine = user_data;
    CHECK_INT(lariat_job_cancelled(job), 0);
    gate_open(&mine->started);
    while (!lariat_job_cancelled(job)) sched_yield();
    atomic_store(&mine->finished, 1);
    return NULL;
}

TEST(pool_cancelling_a_running_job_tells_it_and_fires_at_once) {
    lariat_reactor *reactor = real_reactor();
    static struct job job = JOB_NEW;
    lariat_deferred *d = lariat_reactor_defer_to_thread(reactor, job_until_cancelled, &job);
    end_with_note(d, "d");
    gate_wait(&job.started);
    CHECK_INT(reactor_stats(reactor).jobs, 1);
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("d!CANCELLED"); /* without waiting for the job */
    TURN_UNTIL(reactor, reactor_stats(reactor).jobs == 0);
    CHECK_INT(atomic_load(&job.finished), 1);
    reactor_done(reactor);
}

TEST(pool_the_value_of_a_cancelled_job_is_freed) {
    lariat_reactor *reactor = real_reactor();
    static struct job job = JOB_NEW;
    job.value = token_new("late");
    lariat_deferred *d = lariat_reactor_defer_to_thread(reactor, job_waits, &job);
    end_with_note(d, "d");
    gate_wait(&job.started);
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("d!CANCELLED");
    CHECK(token_alive(job.value));
    gate_open(&job.go_on);
    TURN_UNTIL(reactor, !token_alive(job.value));
    CHECK(token_freed_here(job.value));
    reactor_done(reactor);
}

static lariat_reactor *reactor_with_one_thread(uint32_t max_jobs) {
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 1;
    options.max_jobs = max_jobs;
    return reactor_with(options);
}

TEST(pool_cancelling_a_waiting_job_means_that_it_never_runs) {
    lariat_reactor *reactor = reactor_with_one_thread(0);
    static struct job busy = JOB_NEW;
    token *data = token_new("not called");
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_waits, &busy), "busy");
    gate_wait(&busy.started);
    lariat_deferred *d = lariat_reactor_defer_to_thread_full(reactor, job_returns, data, token_free);
    end_with_note(d, "d");
    CHECK_INT(reactor_stats(reactor).jobs, 2);
    CHECK_OK(lariat_deferred_cancel(d));
    CHECK_NOTES("d!CANCELLED");
    CHECK(token_freed_here(data));
    CHECK_INT(reactor_stats(reactor).jobs, 1);
    gate_open(&busy.go_on);
    TURN_UNTIL(reactor, noted("busy=-"));
    notes_clear();
    reactor_done(reactor);
}

TEST(pool_waiting_jobs_can_be_limited) {
    lariat_reactor *reactor = reactor_with_one_thread(1);
    static struct job busy = JOB_NEW;
    token *refused = token_new("refused");
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_waits, &busy), "busy");
    gate_wait(&busy.started);
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_returns, "x"), "waiting");
    CHECK_NULL(lariat_reactor_defer_to_thread_full(reactor, job_returns, refused, token_free), LARIAT_ERR_LIMIT);
    CHECK(token_freed_here(refused));
    CHECK_STATUS(lariat_reactor_call_in_thread_full(reactor, note_call, token_new("refused"), token_free), LARIAT_ERR_LIMIT);
    gate_open(&busy.go_on);
    TURN_UNTIL(reactor, noted("waiting=x"));
    CHECK_NOTES("busy=- waiting=x"); /* one thread takes them in order */
    CHECK_INT(reactor_stats(reactor).threads, 1);
    reactor_done(reactor);
}

static atomic_int running_now, running_most, running_done;

static void count_running(void *user_data) {
    int now = atomic_fetch_add(&running_now, 1) + 1, most = atomic_load(&running_most);
    (void)user_data;
    while (now > most && !atomic_compare_exchange_weak(&running_most, &most, now)) {}
    for (int i = 0; i < 100; i++) sched_yield();
    atomic_fetch_sub(&running_now, 1);
    atomic_fetch_add(&running_done, 1);
}

TEST(pool_never_has_more_threads_than_were_asked_for) {
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 3;
    lariat_reactor *reactor = reactor_with(options);
    for (int i = 0; i < 200; i++) CHECK_OK(lariat_reactor_call_in_thread(reactor, count_running, NULL));
    while (reactor_stats(reactor).jobs) turn(reactor), sched_yield();
    CHECK_INT(atomic_load(&running_done), 200);
    CHECK(atomic_load(&running_most) <= 3);
    CHECK(reactor_stats(reactor).threads <= 3);
    reactor_done(reactor);
}

TEST(pool_can_be_made_larger) {
    lariat_reactor *reactor = reactor_with_one_thread(0);
    static struct job jobs[3] = {JOB_NEW, JOB_NEW, JOB_NEW};
    static char *const names[] = {"a", "b", "c"};
    CHECK_OK(lariat_reactor_suggest_thread_pool_size(reactor, 3));
    for (int i = 0; i < 3; i++) end_with_note(lariat_reactor_defer_to_thread(reactor, job_waits, &jobs[i]), names[i]);
    for (int i = 0; i < 3; i++) gate_wait(&jobs[i].started); /* all at once */
    CHECK_INT(reactor_stats(reactor).threads, 3);
    for (int i = 3; i-- > 0;) {
        gate_open(&jobs[i].go_on);
        TURN_UNTIL(reactor, noted(names[i]));
    }
    CHECK_NOTES("c=- b=- a=-");
    reactor_done(reactor);
}

TEST(pool_threads_end_when_they_are_idle) {
    lariat_reactor_options options = reactor_options();
    options.thread_idle_seconds = 0.001;
    lariat_reactor *reactor = reactor_with(options);
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_returns, "x"), "d");
    TURN_UNTIL(reactor, noted("d=x"));
    while (reactor_stats(reactor).threads) turn(reactor), sched_yield();
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_returns, "y"), "d"); /* and come back when needed */
    TURN_UNTIL(reactor, noted("d=y"));
    CHECK_NOTES("d=x d=y");
    reactor_done(reactor);
}

static void *job_posts(lariat_job *job, void *reactor) {
    (void)job;
    CHECK_OK(lariat_reactor_call_from_thread(reactor, note_call, "from the job"));
    return "result";
}

TEST(pool_what_a_job_posts_comes_before_its_result) {
    lariat_reactor *reactor = real_reactor();
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_posts, reactor), "d");
    TURN_UNTIL(reactor, noted("d="));
    CHECK_NOTES("from the job d=result");
    reactor_done(reactor);
}

TEST(pool_keeps_run_until_idle_waiting) {
    lariat_reactor *reactor = real_reactor();
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_returns, "x"), "d");
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("d=x");
    reactor_done(reactor);
}

TEST(pool_outcomes_are_recorded_only_inside_a_job) {
    token *value = token_new("value");
    CHECK_NULL(lariat_job_return(NULL, value, token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(!token_alive(value));
    CHECK_NULL(lariat_job_fail(NULL, 7, "seven"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_job_cancelled(NULL), LARIAT_ERR_INVALID_ARGUMENT);
}

/* FAILURES 36 */
static struct job job_to_be_told = JOB_NEW;
static atomic_int begun_too_late;
static void begin_too_late(void *user_data) {
    (void)user_data;
    atomic_store(&begun_too_late, 1);
}

static void *note_over(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK_EITHER(lariat_failure_code(failure), LARIAT_ERR_CANCELLED, LARIAT_ERR_CLOSED);
    note("%s", (char *)user_data);
    return NULL;
}

/* Once the job is told, its thread is free: what waits for one must not begin, however often that could be. */
static void *note_over_when_told(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    while (!atomic_load(&job_to_be_told.finished)) sched_yield();
    for (int tries = 0; tries < 1000 && !atomic_load(&begun_too_late); tries++) sched_yield();
    return note_over(deferred, failure, user_data);
}

TEST(pool_the_reactors_end_tells_its_jobs_and_waits_for_them) {
    lariat_reactor *reactor = reactor_with_one_thread(0);
    lariat_deferred *running = lariat_reactor_defer_to_thread(reactor, job_until_cancelled, &job_to_be_told);
    lariat_deferred *waiting = lariat_reactor_defer_to_thread_full(reactor, job_returns, token_new("not called"), token_free);
    CHECK_OK(lariat_deferred_add_errback(running, note_over_when_told, "running"));
    CHECK_OK(lariat_deferred_add_errback(waiting, note_over, "waiting"));
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, begin_too_late, token_new("not called"), token_free));
    gate_wait(&job_to_be_told.started);
    free_reactor(reactor);
    CHECK_INT(atomic_load(&job_to_be_told.finished), 1);
    CHECK_INT(atomic_load(&begun_too_late), 0);
    CHECK_INT(tokens_alive(), 0);
    CHECK(noted("running") && noted("waiting"));
    notes_clear();
}

static gate left_over_freed = GATE_CLOSED;
static void open_left_over_freed(void *user_data) {
    (void)user_data;
    gate_open(&left_over_freed);
}

TEST(pool_the_reactors_end_waits_for_a_job_that_never_ends_only_so_long) {
    lariat_reactor_options options = reactor_options();
    options.shutdown_seconds = 0.02;
    lariat_reactor *reactor = reactor_with(options);
    static struct job job = JOB_NEW;
    lariat_deferred *d = lariat_reactor_defer_to_thread_full(reactor, job_waits, &job, open_left_over_freed);
    CHECK_OK(lariat_deferred_add_errback(d, note_over, "d"));
    gate_wait(&job.started);
    CHECK_OK(lariat_reactor_free(reactor)); /* freed all the same */
    CHECK_NOTES("d");
    CHECK_INT(lariat_reactors_alive(), 0);
    CHECK_INT(atomic_load(&job.finished), 0);
    gate_open(&job.go_on);
    gate_wait(&left_over_freed); /* the job left over frees its own data */
}

/* ---- the blocking call ---- */

struct blocking {
    lariat_reactor *reactor;
    double seconds;
    lariat_blocking_fn fn;
    void *user_data, *value;
    int32_t status;
    char message[128];
};

static void *make_blocking_call(void *user_data) {
    struct blocking *call = user_data;
    call->status = lariat_reactor_blocking_call(call->reactor, call->seconds, call->fn, call->user_data, &call->value);
    snprintf(call->message, sizeof call->message, "%s", lariat_last_error_message());
    CHECK_OK(lariat_reactor_stop_from_thread(call->reactor));
    return NULL;
}

static struct blocking call_blocking(lariat_reactor *reactor, double seconds, lariat_blocking_fn fn, void *user_data) {
    struct blocking call = {reactor, seconds, fn, user_data, NULL, 0, ""};
    turn(reactor); /* started, so the stop finds it running */
    pthread_t thread = thread_start(make_blocking_call, &call);
    lariat_status status = LARIAT_OK;
    while (status == LARIAT_OK) status = lariat_reactor_iterate(reactor, INFINITY);
    CHECK_STATUS(status, LARIAT_STOPPED);
    thread_join(thread);
    return call;
}

static lariat_deferred *give_at_once(lariat_reactor *reactor, void *user_data) {
    CHECK_PTR(test_this_thread(), reactors_thread);
    return lariat_deferred_new_succeeded(reactor, user_data);
}

static lariat_deferred *give_later(lariat_reactor *reactor, void *user_data) {
    return lariat_reactor_defer_later(reactor, 0.002, replace, user_data);
}

static lariat_deferred *give_failure(lariat_reactor *reactor, void *user_data) {
    (void)user_data;
    return lariat_deferred_new_failed(reactor, 42, "the disk: gone");
}

static lariat_deferred *give_nothing(lariat_reactor *reactor, void *user_data) {
    (void)reactor, (void)user_data;
    return lariat_deferred_new(NULL); /* cannot start */
}

TEST(blocking_call_returns_the_value) {
    lariat_reactor *reactor = real_reactor();
    reactors_thread = test_this_thread();
    struct blocking call = call_blocking(reactor, INFINITY, give_at_once, "x");
    CHECK_OK(call.status);
    CHECK_STR(call.value, "x");
    call = call_blocking(reactor, 100, give_later, "y");
    CHECK_OK(call.status);
    CHECK_STR(call.value, "y");
    reactor_done(reactor);
}

TEST(blocking_call_returns_the_failures_code_and_message) {
    lariat_reactor *reactor = real_reactor();
    struct blocking call = call_blocking(reactor, INFINITY, give_failure, NULL);
    CHECK_INT(call.status, 42);
    CHECK(strstr(call.message, "the disk: gone") != NULL);
    call = call_blocking(reactor, INFINITY, give_nothing, NULL);
    CHECK_INT(call.status, LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

typedef struct unfired {
    lariat_deferred *deferred;
    int is_given;
} unfired;

static lariat_deferred *give_it(lariat_reactor *reactor, void *user_data) {
    unfired *one = user_data;
    (void)reactor;
    one->is_given = 1;
    return one->deferred;
}

TEST(blocking_call_waits_only_so_long) {
    lariat_reactor *reactor = real_reactor();
    unfired never = {lariat_deferred_new(reactor), 0};
    struct blocking call = call_blocking(reactor, 0.005, give_it, &never);
    CHECK_STATUS(call.status, LARIAT_ERR_TIMED_OUT);
    CHECK_OK(lariat_deferred_callback_full(never.deferred, token_new("late"), token_free)); /* nobody waits: swallowed or dropped */
    if (!never.is_given) CHECK_OK(lariat_deferred_release(never.deferred)); /* the time was over before the loop came to it */
    turns(reactor, 2);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(blocking_call_is_not_for_the_reactors_own_thread) {
    lariat_reactor *reactor = real_reactor();
    void *value = NULL;
    CHECK_STATUS(lariat_reactor_blocking_call(reactor, 1, give_at_once, NULL, &value), LARIAT_ERR_INVALID_STATE);
    turn(reactor);
    reactor_done(reactor);
}

static lariat_deferred *give_unfired(lariat_reactor *reactor, void *user_data) {
    gate_open(user_data);
    return lariat_deferred_new(reactor);
}

static void *block_until_freed(void *user_data) {
    struct blocking *call = user_data;
    call->status = lariat_reactor_blocking_call(call->reactor, INFINITY, call->fn, call->user_data, &call->value);
    return NULL;
}

TEST(blocking_call_ends_with_the_reactor) {
    lariat_reactor *reactor = real_reactor();
    static gate called = GATE_CLOSED;
    struct blocking call = {reactor, INFINITY, give_unfired, &called, NULL, 0, ""};
    pthread_t thread = thread_start(block_until_freed, &call);
    TURN_UNTIL(reactor, called.open);
    free_reactor(reactor);
    thread_join(thread); /* it does not wait for ever */
    CHECK_EITHER(call.status, LARIAT_ERR_CLOSED, LARIAT_ERR_CANCELLED);
}

/* ---- adopting ---- */

struct adoption {
    lariat_reactor *reactor;
    lariat_status status;
    gate tried;
};

static void *try_to_adopt(void *user_data) {
    struct adoption *adoption = user_data;
    adoption->status = lariat_reactor_adopt(adoption->reactor);
    gate_open(&adoption->tried);
    return NULL;
}

static void wait_for_the_try(void *user_data) {
    struct adoption *adoption = user_data;
    pthread_t thread = thread_start(try_to_adopt, adoption);
    gate_wait(&adoption->tried);
    thread_join(thread);
}

TEST(adopt_a_busy_reactor_is_refused) {
    lariat_reactor *reactor = real_reactor();
    struct adoption adoption = {reactor, 0, GATE_CLOSED};
    CHECK_OK(lariat_reactor_call_soon(reactor, wait_for_the_try, &adoption));
    turn(reactor);
    CHECK_STATUS(adoption.status, LARIAT_ERR_BUSY);
    turn(reactor); /* still ours */
    reactor_done(reactor);
}

static void *adopt_and_finish(void *user_data) {
    lariat_reactor *reactor = user_data;
    CHECK_OK(lariat_reactor_adopt(reactor));
    CHECK_OK(lariat_reactor_adopt(reactor)); /* who owns it may */
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("soon later posted=x");
    reactor_done(reactor);
    return NULL;
}

TEST(adopt_moves_everything_that_was_made) {
    lariat_reactor *reactor = real_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    CHECK(lariat_reactor_call_later(reactor, 0.001, note_call, "later") != NULL);
    CHECK(lariat_deferred_callback_later(d, 0.002, "x") != NULL);
    end_with_note(d, "posted");
    thread_join(thread_start(adopt_and_finish, reactor));
    CHECK_STATUS(lariat_reactor_running(reactor), LARIAT_ERR_STALE_HANDLE);
}
