/* The simulated driver (DESIGN 8): one clock, several reactors, no kernel, and every run the same. */
#include "harness.h"

static lariat_simulation *simulation_new(uint64_t seed) {
    lariat_simulation *simulation = lariat_simulation_new(seed);
    CHECK(simulation != NULL);
    return simulation;
}

static void stop(void *user_data) {
    note("stop");
    CHECK_OK(lariat_reactor_stop(*(lariat_reactor **)user_data));
}

/* ---- the clock ---- */

struct beat {
    lariat_reactor *reactor;
    long beats;
    double last;
};

static lariat_deferred *beat(lariat_looping_call *looping_call, void *user_data) {
    struct beat *mine = user_data;
    (void)looping_call;
    mine->beats++;
    mine->last = lariat_reactor_seconds(mine->reactor);
    return NULL;
}

TEST(simulation_a_thousand_seconds_at_once) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    struct beat mine = {reactor, 0, 0};
    double start = lariat_reactor_seconds(reactor), begin = lariat_simulation_seconds(simulation);
    lariat_looping_call *looping_call = lariat_looping_call_new(reactor, beat, &mine);
    CHECK_OK(lariat_deferred_release(lariat_looping_call_start(looping_call, 1, 0)));
    CHECK_OK(lariat_simulation_run(simulation, 1000.5));
    CHECK_INT(mine.beats, 1000);
    CHECK_NEAR(mine.last - start, 1000);
    CHECK_NEAR(lariat_simulation_seconds(simulation) - begin, 1000.5);
    CHECK_NEAR(lariat_reactor_seconds(reactor) - start, 1000.5);
    CHECK_OK(lariat_looping_call_stop(looping_call));
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(simulation_with_nothing_to_do_time_passes_all_the_same) {
    lariat_simulation *simulation = simulation_new(0);
    double begin = lariat_simulation_seconds(simulation);
    CHECK_OK(lariat_simulation_run(simulation, 5));
    lariat_reactor *reactor = simulated_reactor(simulation, NULL);
    CHECK_OK(lariat_simulation_run(simulation, 5));
    CHECK_NEAR(lariat_simulation_seconds(simulation) - begin, 10);
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    CHECK_NEAR(lariat_simulation_seconds(simulation) - begin, 10);
    CHECK_STATUS(lariat_simulation_run(simulation, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_run(simulation, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(isnan(lariat_simulation_seconds(NULL)));
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(simulation_runs_all_its_reactors_on_one_clock) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *a = simulated_reactor(simulation, "a"), *b = simulated_reactor(simulation, "b"), *also_a = simulated_reactor(simulation, "a");
    CHECK_NEAR(lariat_reactor_seconds(a), lariat_reactor_seconds(b));
    CHECK(lariat_reactor_call_later(a, 3, note_call, "a3") != NULL);
    CHECK(lariat_reactor_call_later(b, 2, note_call, "b2") != NULL);
    CHECK(lariat_reactor_call_later(a, 1, note_call, "a1") != NULL);
    CHECK(lariat_reactor_call_later(also_a, 2.5, note_call, "also2.5") != NULL);
    CHECK(lariat_reactor_call_later(b, 4, note_call, "b4") != NULL);
    CHECK_OK(lariat_simulation_run(simulation, 3.5));
    CHECK_NOTES("a1 b2 also2.5 a3");
    CHECK_NEAR(lariat_reactor_seconds(a), lariat_reactor_seconds(b));
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    CHECK_NOTES("b4");
    CHECK_NEAR(lariat_reactor_seconds(a), lariat_reactor_seconds(b));
    reactor_done(a);
    reactor_done(b);
    reactor_done(also_a);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(simulation_starts_its_reactors_and_stops_them_one_by_one) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *a = simulated_reactor(simulation, "a"), *b = simulated_reactor(simulation, "b");
    CHECK_OK(lariat_reactor_call_when_running(a, note_call, "a runs"));
    CHECK(lariat_reactor_call_later(a, 1, stop, &a) != NULL);
    CHECK(lariat_reactor_call_later(a, 2, note_call, "not called: a has stopped") != NULL);
    CHECK(lariat_reactor_call_later(b, 3, note_call, "b goes on") != NULL);
    CHECK_OK(lariat_simulation_run(simulation, 10));
    CHECK_NOTES("a runs stop b goes on");
    CHECK_INT(lariat_reactor_running(a), 0);
    CHECK_INT(lariat_reactor_running(b), 1);
    free_reactor(a);
    reactor_done(b);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- driving one reactor of it ---- */

TEST(simulation_a_reactor_can_run_by_itself) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    double begin = lariat_simulation_seconds(simulation);
    CHECK(lariat_reactor_call_later(reactor, 3600, note_call, "an hour") != NULL);
    CHECK(lariat_reactor_call_later(reactor, 7200, stop, &reactor) != NULL);
    CHECK_OK(lariat_reactor_run(reactor)); /* the clock jumps */
    CHECK_NOTES("an hour stop");
    CHECK_NEAR(lariat_simulation_seconds(simulation) - begin, 7200);
    CHECK(lariat_reactor_call_later(reactor, 3600, note_call, "another") != NULL);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("another");
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(simulation_a_run_that_can_never_end_is_a_deadlock) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    CHECK(lariat_reactor_call_later(reactor, 5, note_call, "the last thing") != NULL);
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_DEADLOCK);
    CHECK_NOTES("the last thing");
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- no kernel ---- */

TEST(simulation_needs_no_descriptors_and_no_threads) {
    int before = descriptors_open();
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    CHECK_OK(lariat_simulation_run(simulation, 1));
    CHECK_INT(descriptors_open(), before);
    CHECK_INT(reactor_stats(reactor).threads, 0);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

static const void *loops_thread;

static void call_in_pool(void *user_data) {
    CHECK_PTR(test_this_thread(), loops_thread);
    note("%s", (char *)user_data);
}

static void *job(lariat_job *handle, void *user_data) {
    CHECK_INT(lariat_job_cancelled(handle), 0);
    call_in_pool(user_data);
    return lariat_job_return(handle, token_new("result"), token_free);
}

static void *job_fails(lariat_job *handle, void *user_data) {
    call_in_pool(user_data);
    return lariat_job_fail(handle, 7, "seven");
}

TEST(simulation_pool_jobs_run_on_the_loop) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    token *dropped = token_new("not called");
    loops_thread = test_this_thread();
    end_with_note(lariat_reactor_defer_to_thread(reactor, job, "job"), "d");
    CHECK_OK(lariat_reactor_call_in_thread_full(reactor, call_in_pool, token_new("call"), token_free));
    end_with_note(lariat_reactor_defer_to_thread(reactor, job_fails, "failing"), "e");
    lariat_deferred *cancelled = lariat_reactor_defer_to_thread_full(reactor, job, dropped, token_free);
    end_with_note(cancelled, "f");
    CHECK_NOTES(""); /* never at once */
    CHECK_INT(reactor_stats(reactor).jobs, 4);
    CHECK_OK(lariat_deferred_cancel(cancelled));
    CHECK_NOTES("f!CANCELLED");
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    CHECK(noted("job") && noted("d=result") && noted("call") && noted("failing") && noted("e!7"));
    notes_clear(); /* their order follows from the seed */
    CHECK_INT(reactor_stats(reactor).threads, 0);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- descriptors that are not there ---- */

struct reader {
    lariat_simulation *simulation;
    char *name;
    int bytes; /* that are pretended to be there */
};

static void read_one(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    struct reader *reader = user_data;
    lariat_socket descriptor;
    CHECK_INT(readiness, LARIAT_READABLE);
    CHECK_OK(lariat_watcher_descriptor(watcher, &descriptor));
    note("%s%d", reader->name, reader->bytes);
    if (--reader->bytes == 0) CHECK_OK(lariat_simulation_descriptor_set_ready(reader->simulation, descriptor, 0));
}

TEST(simulation_a_fake_descriptor_is_ready_when_told) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    struct reader reader = {simulation, "r", 3};
    lariat_socket descriptor;
    CHECK_OK(lariat_simulation_descriptor_new(simulation, &descriptor));
    lariat_watcher *watcher = lariat_reactor_watch(reactor, descriptor, LARIAT_READABLE, read_one, &reader);
    CHECK(watcher != NULL);
    CHECK_NULL(lariat_reactor_watch(reactor, descriptor, LARIAT_READABLE, read_one, &reader), LARIAT_ERR_ALREADY_WATCHED);
    CHECK_OK(lariat_simulation_run(simulation, 1));
    CHECK_NOTES("");
    CHECK_OK(lariat_simulation_descriptor_set_ready(simulation, descriptor, LARIAT_WRITABLE));
    CHECK_OK(lariat_simulation_run(simulation, 1));
    CHECK_NOTES(""); /* not what it waits for */
    CHECK_OK(lariat_simulation_descriptor_set_ready(simulation, descriptor, LARIAT_READABLE));
    CHECK_OK(lariat_simulation_run(simulation, 1));
    CHECK_NOTES("r3 r2 r1"); /* level-triggered */
    CHECK_OK(lariat_watcher_stop(watcher));
    CHECK_OK(lariat_simulation_descriptor_close(simulation, descriptor));
    CHECK(lariat_simulation_descriptor_set_ready(simulation, descriptor, LARIAT_READABLE) < 0);
    CHECK(lariat_simulation_descriptor_close(simulation, descriptor) < 0);
    CHECK_STATUS(lariat_simulation_descriptor_new(simulation, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

struct set_ready {
    lariat_simulation *simulation;
    lariat_socket descriptor;
};

static void make_ready(void *user_data) {
    struct set_ready *set = user_data;
    note("make ready");
    CHECK_OK(lariat_simulation_descriptor_set_ready(set->simulation, set->descriptor, LARIAT_READABLE));
}

TEST(simulation_one_reactor_wakes_another_by_a_descriptor) {
    lariat_simulation *simulation = simulation_new(1);
    lariat_reactor *a = simulated_reactor(simulation, "a"), *b = simulated_reactor(simulation, "b");
    struct reader reader = {simulation, "b reads ", 1};
    struct set_ready set = {simulation, 0};
    CHECK_OK(lariat_simulation_descriptor_new(simulation, &set.descriptor));
    lariat_watcher *watcher = lariat_reactor_watch(b, set.descriptor, LARIAT_READABLE, read_one, &reader);
    CHECK(lariat_reactor_call_later(a, 1, make_ready, &set) != NULL);
    CHECK(lariat_reactor_call_later(b, 2, note_call, "later") != NULL);
    CHECK_OK(lariat_simulation_run(simulation, 3));
    CHECK_NOTES("make ready b reads 1 later");
    CHECK_OK(lariat_watcher_stop(watcher));
    CHECK_OK(lariat_simulation_descriptor_close(simulation, set.descriptor));
    reactor_done(a);
    reactor_done(b);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- determinism ---- */

struct peer {
    lariat_reactor *reactor;
    struct peer *other;
    char *name;
    int left; /* turns; or, for note_when, the time at which it began */
};

/* Passes a call to and fro between the reactors, with a timer and a job in between. */
static void *peer_job(lariat_job *handle, void *user_data) {
    (void)handle;
    note("%s:job", ((struct peer *)user_data)->name);
    return NULL;
}

static void peer_turn(void *user_data) {
    struct peer *peer = user_data;
    note("%s@%g", peer->name, lariat_reactor_seconds(peer->reactor));
    if (peer->left-- <= 0) return;
    CHECK_OK(lariat_reactor_call_from_thread(peer->other->reactor, note_call, peer->name));
    CHECK(lariat_reactor_call_later(peer->reactor, 0.25 * (peer->left % 3), peer_turn, peer) != NULL);
    CHECK_OK(lariat_deferred_release(lariat_reactor_defer_to_thread(peer->reactor, peer_job, peer)));
}

static uint64_t scenario(uint64_t seed, int steps, char *text, size_t size) {
    lariat_simulation *simulation = simulation_new(seed);
    struct peer a = {simulated_reactor(simulation, "a"), NULL, "a", steps}, b = {simulated_reactor(simulation, "b"), &a, "b", steps};
    a.other = &b;
    CHECK(lariat_reactor_call_later(a.reactor, 1, peer_turn, &a) != NULL); /* the same instant on both */
    CHECK(lariat_reactor_call_later(b.reactor, 1, peer_turn, &b) != NULL);
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    uint64_t hash = lariat_simulation_trace_hash(simulation);
    CHECK(hash != 0);
    snprintf(text, size, "%s", test_notes.text);
    notes_clear();
    reactor_done(a.reactor);
    reactor_done(b.reactor);
    CHECK_OK(lariat_simulation_free(simulation));
    return hash;
}

TEST(simulation_the_same_seed_gives_the_same_run) {
    static char first[8192], again[8192];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t hash = scenario(seed, 10, first, sizeof first);
        CHECK(scenario(seed, 10, again, sizeof again) == hash);
        CHECK_STR(again, first);
    }
}

TEST(simulation_the_hash_tells_runs_apart) {
    static char text[8192];
    uint64_t hash = scenario(1, 10, text, sizeof text);
    CHECK(scenario(1, 11, text, sizeof text) != hash);
    CHECK_INT(lariat_simulation_trace_hash(NULL), 0);
}

static void note_when(void *user_data) {
    struct peer *peer = user_data;
    note("%s+%d", peer->name, (int)(lariat_reactor_seconds(peer->reactor) - peer->other->left));
}

static void post_to_other(void *user_data) {
    struct peer *peer = user_data;
    note("%s", peer->name);
    CHECK_OK(lariat_reactor_call_from_thread(peer->other->reactor, note_when, peer->other));
}

TEST(simulation_a_call_to_another_reactor_comes_at_the_same_instant) {
    lariat_simulation *simulation = simulation_new(1);
    struct peer a = {simulated_reactor(simulation, "a"), NULL, "a", 0}, b = {simulated_reactor(simulation, "b"), &a, "b", 0};
    a.other = &b;
    a.left = b.left = (int)lariat_simulation_seconds(simulation);
    CHECK(lariat_reactor_call_later(a.reactor, 1, post_to_other, &a) != NULL);
    CHECK(lariat_reactor_call_later(b.reactor, 2, note_call, "later") != NULL);
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    CHECK_NOTES("a b+1 later");
    reactor_done(a.reactor);
    reactor_done(b.reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- its life ---- */

TEST(simulation_cannot_be_freed_while_reactors_of_it_live) {
    lariat_simulation *simulation = simulation_new(1), *other = simulation_new(2);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    CHECK_STATUS(lariat_simulation_free(simulation), LARIAT_ERR_BUSY);
    CHECK_OK(lariat_simulation_run(simulation, 1)); /* nothing has happened to it */
    CHECK_OK(lariat_simulation_free(other));
    CHECK_STATUS(lariat_simulation_free(other), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
    CHECK_STATUS(lariat_simulation_run(simulation, 1), LARIAT_ERR_STALE_HANDLE);
}

TEST(simulation_is_needed_by_the_simulated_driver) {
    lariat_reactor_options options = reactor_options();
    options.driver = LARIAT_DRIVER_SIMULATED;
    options.log_user_data = token_new("log");
    options.free_log_user_data = token_free;
    CHECK_NULL(lariat_reactor_new_with_options(&options), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 0); /* the library's from the first line, also when refused */
}

TEST(simulation_reactors_may_come_and_go) {
    lariat_simulation *simulation = simulation_new(1);
    for (int i = 0; i < 3; i++) {
        lariat_reactor *reactor = simulated_reactor(simulation, "host");
        CHECK(lariat_reactor_call_later(reactor, 1, note_call, "a") != NULL);
        CHECK(lariat_reactor_call_later_full(reactor, 100, note_call, token_new("not called"), token_free) != NULL);
        CHECK_OK(lariat_simulation_run(simulation, 2));
        CHECK_NOTES("a");
        free_reactor(reactor);
        CHECK_INT(tokens_alive(), 0);
    }
    CHECK_OK(lariat_simulation_run(simulation, 1000));
    CHECK_OK(lariat_simulation_free(simulation));
}
