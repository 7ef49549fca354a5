/* libuv: a heap of timers with millisecond deadlines. It has no call for its own thread; an idle handle, started to post and
 * stopped when it runs, is the cheapest there is. */
#include "calls.h"
#include <uv.h>

static uv_loop_t *loop;
static int made;

/* Runs body in a callback of the running loop, until nothing is left to wait for or the loop is stopped. */
static void run_inside(uv_timer_cb body) {
    uv_timer_t start;
    loop = uv_default_loop();
    CHECK(uv_timer_init(loop, &start) == 0 && uv_timer_start(&start, body, 0, 0) == 0);
    uv_run(loop, UV_RUN_DEFAULT);
}

static uint64_t milliseconds(double seconds) { return (uint64_t)(seconds * 1e3); }

/* ---- timers ---- */

static uv_timer_t *timers;

static void on_timer(uv_timer_t *timer) {
    (void)timer;
    made++;
}

static void schedule_all(uv_timer_t *start) {
    (void)start;
    for (int i = 0; i < TIMERS; i++) {
        CHECK(uv_timer_init(loop, &timers[i]) == 0);
        CHECK(uv_timer_start(&timers[i], on_timer, milliseconds(random_unit()), 0) == 0);
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
static uv_timer_t end;

static void on_end(uv_timer_t *timer) {
    (void)timer;
    uv_stop(loop);
}

static void end_after(double seconds) {
    CHECK(uv_timer_init(loop, &end) == 0);
    CHECK(uv_timer_start(&end, on_end, seconds > 0.0 ? milliseconds(seconds) : 0, 0) == 0);
}

static void schedule_and_cancel(uv_timer_t *start) {
    schedule_all(start);
    for (int i = 0; i < TIMERS; i++) CHECK(uv_timer_stop(&timers[order[i]]) == 0);
    end_after(ALL_DUE);
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
static uv_idle_t batch;

static void reset_some(uv_idle_t *idle) {
    for (int i = 0; i < RESETS_A_TURN; i++) CHECK(uv_timer_again(&timers[random_below(RESET_TIMERS)]) == 0);
    resets += RESETS_A_TURN;
    if (resets < RESETS) return;
    uv_idle_stop(idle);
    end_after(settled - (double)uv_now(loop) / 1e3);
}

static void keep_alive(uv_timer_t *start) {
    (void)start;
    for (int i = 0; i < RESET_TIMERS; i++) {
        double first = FIRST_MIN + random_unit() * (FIRST_MAX - FIRST_MIN);
        CHECK(uv_timer_init(loop, &timers[i]) == 0);
        CHECK(uv_timer_start(&timers[i], on_timer, milliseconds(first), milliseconds(KEEP_ALIVE)) == 0);
    }
    settled = (double)uv_now(loop) / 1e3 + SETTLED;
    CHECK(uv_idle_init(loop, &batch) == 0 && uv_idle_start(&batch, reset_some) == 0);
}

static void timer_reset(void) {
    double t = cpu_ns();
    timers = allocate(RESET_TIMERS * sizeof *timers);
    run_inside(keep_alive);
    report("timer_reset", (cpu_ns() - t) / RESETS, "ns");
    CHECK(made == 0 && resets == RESETS);
}

/* ---- calls and turns ---- */

static uv_idle_t calls[CALLS_A_TURN];
static int posted;

static void on_call(uv_idle_t *call) {
    made++;
    uv_idle_stop(call);
}

static void post_some(uv_idle_t *idle) {
    if (posted == CALLS) {
        uv_idle_stop(idle);
        return;
    }
    for (int i = 0; i < CALLS_A_TURN; i++) uv_idle_start(&calls[i], on_call);
    posted += CALLS_A_TURN;
}

static void start_posting(uv_timer_t *start) {
    (void)start;
    for (int i = 0; i < CALLS_A_TURN; i++) CHECK(uv_idle_init(loop, &calls[i]) == 0);
    CHECK(uv_idle_init(loop, &batch) == 0 && uv_idle_start(&batch, post_some) == 0);
}

static void call_soon(void) {
    double t = cpu_ns();
    run_inside(start_posting);
    report("call_soon", (cpu_ns() - t) / CALLS, "ns");
    CHECK(made == CALLS);
}

static void on_wake_none(uv_async_t *wake) {
    (void)wake;
    made++;
}

static void turn(void) {
    uv_async_t wake;        /* without an active handle uv_run makes no turn */
    loop = uv_default_loop();
    CHECK(uv_async_init(loop, &wake, on_wake_none) == 0);
    uv_run(loop, UV_RUN_NOWAIT);
    double t = cpu_ns();
    for (int i = 0; i < TURNS; i++) uv_run(loop, UV_RUN_NOWAIT);
    report("turn", (cpu_ns() - t) / TURNS, "ns");
    CHECK(made == 0);
}

/* ---- threads ---- */

static uv_async_t incoming;
static int producers;

static void on_post(void *data) { made += (int)(intptr_t)data; }

static void *produce(void *unused) {
    (void)unused;
    for (int i = 0; i < POSTS / producers; i++)
        if (calls_post(on_post, (void *)1)) CHECK(uv_async_send(&incoming) == 0);
    return NULL;
}

static void on_incoming(uv_async_t *wake) {
    (void)wake;
    calls_run();
    if (made == POSTS) uv_stop(loop);
}

static void cross_thread(const char *name) {
    pthread_t threads[4];
    loop = uv_default_loop();
    CHECK(uv_async_init(loop, &incoming, on_incoming) == 0);
    double t = wall_ns();
    for (int i = 0; i < producers; i++) CHECK(pthread_create(&threads[i], NULL, produce, NULL) == 0);
    uv_run(loop, UV_RUN_DEFAULT);
    report(name, (wall_ns() - t) / POSTS, "ns");
    for (int i = 0; i < producers; i++) pthread_join(threads[i], NULL);
    CHECK(made == POSTS);
}

static void cross_thread_1(void) { producers = 1, cross_thread("cross_thread_1"); }
static void cross_thread_4(void) { producers = 4, cross_thread("cross_thread_4"); }

static uv_loop_t other;
static uv_async_t ping, pong;
static double round_trips[ROUND_TRIPS], sent_at;

static void on_ping(uv_async_t *wake) {
    (void)wake;
    CHECK(uv_async_send(&pong) == 0);
    if (++made == ROUND_TRIPS) uv_stop(&other);
}

static void on_pong(uv_async_t *wake) {
    static int done;
    (void)wake;
    double now = wall_ns();
    round_trips[done++] = now - sent_at;
    if (done == ROUND_TRIPS) {
        uv_stop(loop);
        return;
    }
    sent_at = wall_ns();
    CHECK(uv_async_send(&ping) == 0);
}

static void *run_other(void *unused) {
    pin_thread(1);
    uv_run(&other, UV_RUN_DEFAULT);
    return unused;
}

static void wake(void) {
    pthread_t thread;
    loop = uv_default_loop();
    CHECK(uv_loop_init(&other) == 0);
    CHECK(uv_async_init(loop, &pong, on_pong) == 0 && uv_async_init(&other, &ping, on_ping) == 0);
    CHECK(pthread_create(&thread, NULL, run_other, NULL) == 0);
    pin_thread(0);
    sent_at = wall_ns();
    CHECK(uv_async_send(&ping) == 0);
    uv_run(loop, UV_RUN_DEFAULT);
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
