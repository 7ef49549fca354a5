/* cross_thread_1 and _4, wake, and wake with the opt-in spin. */
#include "bench.h"
#include <pthread.h>

static int producers;

static void on_post(void *user_data) {
    (void)user_data;
    if (++made == POSTS) OK(lariat_reactor_stop(reactor));
}

static void *produce(void *unused) {
    for (int i = 0; i < POSTS / producers; i++) OK(lariat_reactor_call_from_thread(reactor, on_post, NULL));
    return unused;
}

static void cross_thread(const char *name) {
    pthread_t threads[4];
    MADE(reactor = lariat_reactor_new());
    double t = wall_ns();
    for (int i = 0; i < producers; i++) CHECK(pthread_create(&threads[i], NULL, produce, NULL) == 0);
    OK(lariat_reactor_run(reactor));
    report(name, (wall_ns() - t) / POSTS, "ns");
    for (int i = 0; i < producers; i++) pthread_join(threads[i], NULL);
    CHECK(made == POSTS);
    OK(lariat_reactor_free(reactor));
}

static void cross_thread_1(void) { producers = 1, cross_thread("cross_thread_1"); }
static void cross_thread_4(void) { producers = 4, cross_thread("cross_thread_4"); }

static double spin_seconds;
static lariat_reactor *other;
static pthread_barrier_t other_is_there;
static double round_trips[ROUND_TRIPS], sent_at;

static lariat_reactor *new_reactor(void) {
    lariat_reactor_options options;
    lariat_reactor *created;
    OK(lariat_reactor_options_init(&options, sizeof options));
    options.spin_seconds = spin_seconds;
    MADE(created = lariat_reactor_new_with_options(&options));
    return created;
}

static void on_pong(void *user_data);

static void on_ping(void *user_data) {
    OK(lariat_reactor_call_from_thread(reactor, on_pong, user_data));
    if (++made == ROUND_TRIPS) OK(lariat_reactor_stop(other));
}

static void on_pong(void *user_data) {
    static int done;
    round_trips[done++] = wall_ns() - sent_at;
    if (done == ROUND_TRIPS) {
        OK(lariat_reactor_stop(reactor));
        return;
    }
    sent_at = wall_ns();
    OK(lariat_reactor_call_from_thread(other, on_ping, user_data));
}

static void *run_other(void *unused) {
    pin_thread(1);
    other = new_reactor();
    pthread_barrier_wait(&other_is_there);
    OK(lariat_reactor_run(other));
    OK(lariat_reactor_free(other));
    return unused;
}

static void ping_pong(const char *name) {
    pthread_t thread;
    reactor = new_reactor();
    CHECK(pthread_barrier_init(&other_is_there, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, run_other, NULL) == 0);
    pin_thread(0);
    pthread_barrier_wait(&other_is_there);
    sent_at = wall_ns();
    OK(lariat_reactor_call_from_thread(other, on_ping, NULL));
    OK(lariat_reactor_run(reactor));
    pthread_join(thread, NULL);
    CHECK(made == ROUND_TRIPS);
    report_wake(name, round_trips, ROUND_TRIPS);
    OK(lariat_reactor_free(reactor));
}

static void wake(void) { ping_pong("wake"); }

/* Longer than a round trip ever takes, so neither sleeps. */
static void wake_spin(void) { spin_seconds = 1e-3, ping_pong("wake_spin"); }

static const struct workload workloads[] = {
    {"cross_thread_1", cross_thread_1},
    {"cross_thread_4", cross_thread_4},
    {"wake", wake},
    {"wake_spin", wake_spin},
};
BENCH_MAIN(workloads)
