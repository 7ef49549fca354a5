/* libev: a 4-heap of timers; ev_feed_event queues a call on the loop's own thread. */
#include "calls.h"
#include <ev.h>

static struct ev_loop *own;     /* not `loop`: the EV_P of a callback is called that */
static int made;

/* Runs body in a callback of the running loop, until nothing is left to wait for. */
static void run_inside(void (*body)(struct ev_loop *, ev_timer *, int)) {
    ev_timer start;
    own = ev_loop_new(EVFLAG_AUTO);
    CHECK(own != NULL);
    ev_timer_init(&start, body, 0.0, 0.0);
    ev_timer_start(own, &start);
    ev_run(own, 0);
}

/* ---- timers ---- */

static ev_timer *timers;

static void on_timer(EV_P_ ev_timer *timer, int revents) {
    (void)EV_A, (void)timer, (void)revents;
    made++;
}

static void schedule_all(EV_P_ ev_timer *start, int revents) {
    (void)start, (void)revents;
    for (int i = 0; i < TIMERS; i++) {
        ev_timer_init(&timers[i], on_timer, random_unit(), 0.0);
        ev_timer_start(EV_A_ &timers[i]);
    }
}

static void timers_fire(void) {
    double t = cpu_ns();
    timers = allocate(TIMERS * sizeof *timers);
    run_inside(schedule_all);
    report("timers_fire", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == TIMERS);
}

static uint32_t *order;
static ev_timer end;

static void on_end(EV_P_ ev_timer *timer, int revents) {
    (void)timer, (void)revents;
    ev_break(EV_A_ EVBREAK_ALL);
}

static void schedule_and_cancel(EV_P_ ev_timer *start, int revents) {
    schedule_all(EV_A_ start, revents);
    for (int i = 0; i < TIMERS; i++) ev_timer_stop(EV_A_ &timers[order[i]]);
    ev_timer_init(&end, on_end, ALL_DUE, 0.0);
    ev_timer_start(EV_A_ &end);
}

static void timers_cancel(void) {
    order = random_order(TIMERS);
    double t = cpu_ns();
    timers = allocate(TIMERS * sizeof *timers);
    run_inside(schedule_and_cancel);
    report("timers_cancel", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == 0);
}

static int resets;
static double settled;
static ev_idle batch;

static void reset_some(EV_P_ ev_idle *idle, int revents) {
    (void)revents;
    for (int i = 0; i < RESETS_A_TURN; i++) ev_timer_again(EV_A_ &timers[random_below(RESET_TIMERS)]);
    resets += RESETS_A_TURN;
    if (resets < RESETS) return;
    ev_idle_stop(EV_A_ idle);
    double left = settled - ev_now(EV_A);
    ev_timer_init(&end, on_end, left > 0.0 ? left : 0.0, 0.0);
    ev_timer_start(EV_A_ &end);
}

static void keep_alive(EV_P_ ev_timer *start, int revents) {
    (void)start, (void)revents;
    for (int i = 0; i < RESET_TIMERS; i++) {
        ev_timer_init(&timers[i], on_timer, FIRST_MIN + random_unit() * (FIRST_MAX - FIRST_MIN), KEEP_ALIVE);
        ev_timer_start(EV_A_ &timers[i]);
    }
    settled = ev_now(EV_A) + SETTLED;
    ev_idle_init(&batch, reset_some);       /* an idle watcher keeps the loop turning without waiting */
    ev_idle_start(EV_A_ &batch);
}

static void timer_reset(void) {
    double t = cpu_ns();
    timers = allocate(RESET_TIMERS * sizeof *timers);
    run_inside(keep_alive);
    report("timer_reset", (cpu_ns() - t) / RESETS, "ns");
    CHECK(made == 0 && resets == RESETS);
}

/* ---- calls and turns ---- */

static ev_async calls[CALLS_A_TURN];        /* never started: only fed */
static int posted;

static void on_call(EV_P_ ev_async *call, int revents) {
    (void)EV_A, (void)call, (void)revents;
    made++;
}

static void post_some(EV_P_ ev_idle *idle, int revents) {
    (void)revents;
    if (posted == CALLS) {
        ev_idle_stop(EV_A_ idle);
        return;
    }
    for (int i = 0; i < CALLS_A_TURN; i++) ev_feed_event(EV_A_ &calls[i], EV_CUSTOM);
    posted += CALLS_A_TURN;
}

static void start_posting(EV_P_ ev_timer *start, int revents) {
    (void)start, (void)revents;
    for (int i = 0; i < CALLS_A_TURN; i++) ev_async_init(&calls[i], on_call);
    ev_idle_init(&batch, post_some);
    ev_idle_start(EV_A_ &batch);
}

static void call_soon(void) {
    double t = cpu_ns();
    run_inside(start_posting);
    report("call_soon", (cpu_ns() - t) / CALLS, "ns");
    CHECK(made == CALLS);
}

static void on_wake_none(EV_P_ ev_async *wake, int revents) {
    (void)EV_A, (void)wake, (void)revents;
    made++;
}

static void turn(void) {
    ev_async wake;
    own = ev_loop_new(EVFLAG_AUTO);
    CHECK(own != NULL);
    ev_async_init(&wake, on_wake_none);
    ev_async_start(own, &wake);
    ev_run(own, EVRUN_NOWAIT);
    double t = cpu_ns();
    for (int i = 0; i < TURNS; i++) ev_run(own, EVRUN_NOWAIT);
    report("turn", (cpu_ns() - t) / TURNS, "ns");
    CHECK(made == 0);
}

/* ---- threads ---- */

static ev_async incoming;
static int producers;

static void on_post(void *data) { made += (int)(intptr_t)data; }

static void *produce(void *unused) {
    (void)unused;
    for (int i = 0; i < POSTS / producers; i++)
        if (calls_post(on_post, (void *)1)) ev_async_send(own, &incoming);
    return NULL;
}

static void on_incoming(EV_P_ ev_async *wake, int revents) {
    (void)wake, (void)revents;
    calls_run();
    if (made == POSTS) ev_break(EV_A_ EVBREAK_ALL);
}

static void cross_thread(const char *name) {
    pthread_t threads[4];
    own = ev_loop_new(EVFLAG_AUTO);
    CHECK(own != NULL);
    ev_async_init(&incoming, on_incoming);
    ev_async_start(own, &incoming);
    double t = wall_ns();
    for (int i = 0; i < producers; i++) CHECK(pthread_create(&threads[i], NULL, produce, NULL) == 0);
    ev_run(own, 0);
    report(name, (wall_ns() - t) / POSTS, "ns");
    for (int i = 0; i < producers; i++) pthread_join(threads[i], NULL);
    CHECK(made == POSTS);
}

static void cross_thread_1(void) { producers = 1, cross_thread("cross_thread_1"); }
static void cross_thread_4(void) { producers = 4, cross_thread("cross_thread_4"); }

static struct ev_loop *other;
static ev_async ping, pong;
static double round_trips[ROUND_TRIPS], sent_at;

static void on_ping(EV_P_ ev_async *wake, int revents) {
    (void)wake, (void)revents;
    ev_async_send(own, &pong);
    if (++made == ROUND_TRIPS) ev_break(EV_A_ EVBREAK_ALL);
}

static void on_pong(EV_P_ ev_async *wake, int revents) {
    static int done;
    (void)wake, (void)revents;
    double now = wall_ns();
    round_trips[done++] = now - sent_at;
    if (done == ROUND_TRIPS) {
        ev_break(EV_A_ EVBREAK_ALL);
        return;
    }
    sent_at = wall_ns();
    ev_async_send(other, &ping);
}

static void *run_other(void *unused) {
    pin_thread(1);
    ev_run(other, 0);
    return unused;
}

static void wake(void) {
    pthread_t thread;
    own = ev_loop_new(EVFLAG_AUTO);
    other = ev_loop_new(EVFLAG_AUTO);
    CHECK(own != NULL && other != NULL);
    ev_async_init(&pong, on_pong);
    ev_async_start(own, &pong);
    ev_async_init(&ping, on_ping);
    ev_async_start(other, &ping);
    CHECK(pthread_create(&thread, NULL, run_other, NULL) == 0);
    pin_thread(0);
    sent_at = wall_ns();
    ev_async_send(other, &ping);
    ev_run(own, 0);
    pthread_join(thread, NULL);
    CHECK(made == ROUND_TRIPS);
    report_wake("wake", round_trips, ROUND_TRIPS);
}

static const struct workload workloads[] = {
    {"timers_fire", timers_fire}, {"timers_cancel", timers_cancel},   {"timer_reset", timer_reset},
    {"call_soon", call_soon},     {"turn", turn},                     {"cross_thread_1", cross_thread_1},
    {"cross_thread_4", cross_thread_4}, {"wake", wake},
};
BENCH_MAIN(workloads)
