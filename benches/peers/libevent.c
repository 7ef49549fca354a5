/* libevent: a heap of timers, and a queue for timers that share one duration ("common timeouts"), which is what keep-alive wants.
 * event_active queues a call, from any thread once evthread_use_pthreads has been called; the other workloads go without locks. */
#include "calls.h"
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

static struct event_base *base;
static int made;

/* Runs body in a callback of the running loop, until nothing is left to wait for. */
static void run_inside(event_callback_fn body) {
    struct event start;
    struct timeval now = {0, 0};
    CHECK((base = event_base_new()) != NULL);
    CHECK(evtimer_assign(&start, base, body, NULL) == 0 && evtimer_add(&start, &now) == 0);
    CHECK(event_base_dispatch(base) >= 0);
}

static struct timeval interval(double seconds) {
    struct timeval t = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
    return t;
}

/* ---- timers ---- */

static struct event *timers;

static void on_timer(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    made++;
}

static void schedule_all(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    for (int i = 0; i < TIMERS; i++) {
        struct timeval delay = interval(random_unit());
        CHECK(evtimer_assign(&timers[i], base, on_timer, NULL) == 0 && evtimer_add(&timers[i], &delay) == 0);
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

static void schedule_and_cancel(evutil_socket_t fd, short what, void *data) {
    struct timeval all_due = interval(ALL_DUE);
    schedule_all(fd, what, data);
    for (int i = 0; i < TIMERS; i++) CHECK(evtimer_del(&timers[order[i]]) == 0);
    CHECK(event_base_loopexit(base, &all_due) == 0);
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
static struct event batch;
static const struct timeval *keep_alive_queue;
static const struct timeval at_once = {0, 0};

static double loop_seconds(void) {
    struct timeval now;
    CHECK(event_base_gettimeofday_cached(base, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_usec / 1e6;
}

static void reset_some(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    for (int i = 0; i < RESETS_A_TURN; i++) CHECK(evtimer_add(&timers[random_below(RESET_TIMERS)], keep_alive_queue) == 0);
    resets += RESETS_A_TURN;
    if (resets < RESETS) {
        CHECK(evtimer_add(&batch, &at_once) == 0);      /* event_active would go on in the same turn */
    } else {
        double left = settled - loop_seconds();
        struct timeval t = interval(left > 0.0 ? left : 0.0);
        CHECK(event_base_loopexit(base, &t) == 0);
    }
}

static void keep_alive(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    struct timeval duration = interval(KEEP_ALIVE);
    CHECK((keep_alive_queue = event_base_init_common_timeout(base, &duration)) != NULL);
    for (int i = 0; i < RESET_TIMERS; i++) {
        struct timeval first = interval(FIRST_MIN + random_unit() * (FIRST_MAX - FIRST_MIN));
        CHECK(evtimer_assign(&timers[i], base, on_timer, NULL) == 0 && evtimer_add(&timers[i], &first) == 0);
    }
    settled = loop_seconds() + SETTLED;
    CHECK(evtimer_assign(&batch, base, reset_some, NULL) == 0 && evtimer_add(&batch, &at_once) == 0);
}

static void timer_reset(void) {
    double t = cpu_ns();
    timers = allocate(RESET_TIMERS * sizeof *timers);
    run_inside(keep_alive);
    report("timer_reset", (cpu_ns() - t) / RESETS, "ns");
    CHECK(made == 0 && resets == RESETS);
}

/* ---- calls and turns ---- */

static struct event calls[CALLS_A_TURN];
static int posted;

static void on_call(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    made++;
}

static void post_some(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    if (posted == CALLS) return;
    for (int i = 0; i < CALLS_A_TURN; i++) event_active(&calls[i], EV_TIMEOUT, 0);
    posted += CALLS_A_TURN;
    CHECK(evtimer_add(&batch, &at_once) == 0);
}

static void start_posting(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    for (int i = 0; i < CALLS_A_TURN; i++) CHECK(evtimer_assign(&calls[i], base, on_call, NULL) == 0);
    CHECK(evtimer_assign(&batch, base, post_some, NULL) == 0 && evtimer_add(&batch, &at_once) == 0);
}

static void call_soon(void) {
    double t = cpu_ns();
    run_inside(start_posting);
    report("call_soon", (cpu_ns() - t) / CALLS, "ns");
    CHECK(made == CALLS);
}

static void turn(void) {
    CHECK(evthread_use_pthreads() == 0);        /* as every loop that others may wake */
    CHECK((base = event_base_new()) != NULL);
    CHECK(evthread_make_base_notifiable(base) == 0);
    CHECK(event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY) == 0);
    double t = cpu_ns();
    for (int i = 0; i < TURNS; i++) event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
    report("turn", (cpu_ns() - t) / TURNS, "ns");
}

/* ---- threads ---- */

static struct event incoming;
static int producers;

static void on_post(void *data) { made += (int)(intptr_t)data; }

static void *produce(void *unused) {
    (void)unused;
    for (int i = 0; i < POSTS / producers; i++)
        if (calls_post(on_post, (void *)1)) event_active(&incoming, EV_TIMEOUT, 0);
    return NULL;
}

static void on_incoming(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    calls_run();
    if (made == POSTS) event_base_loopbreak(base);
}

static void cross_thread(const char *name) {
    pthread_t threads[4];
    CHECK(evthread_use_pthreads() == 0);
    CHECK((base = event_base_new()) != NULL);
    CHECK(event_assign(&incoming, base, -1, 0, on_incoming, NULL) == 0);
    double t = wall_ns();
    for (int i = 0; i < producers; i++) CHECK(pthread_create(&threads[i], NULL, produce, NULL) == 0);
    event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
    report(name, (wall_ns() - t) / POSTS, "ns");
    for (int i = 0; i < producers; i++) pthread_join(threads[i], NULL);
    CHECK(made == POSTS);
}

static void cross_thread_1(void) { producers = 1, cross_thread("cross_thread_1"); }
static void cross_thread_4(void) { producers = 4, cross_thread("cross_thread_4"); }

static struct event_base *other;
static struct event ping, pong;
static double round_trips[ROUND_TRIPS], sent_at;

static void on_ping(evutil_socket_t fd, short what, void *data) {
    (void)fd, (void)what, (void)data;
    event_active(&pong, EV_TIMEOUT, 0);
    if (++made == ROUND_TRIPS) event_base_loopbreak(other);
}

static void on_pong(evutil_socket_t fd, short what, void *data) {
    static int done;
    (void)fd, (void)what, (void)data;
    double now = wall_ns();
    round_trips[done++] = now - sent_at;
    if (done == ROUND_TRIPS) {
        event_base_loopbreak(base);
        return;
    }
    sent_at = wall_ns();
    event_active(&ping, EV_TIMEOUT, 0);
}

static void *run_other(void *unused) {
    pin_thread(1);
    event_base_loop(other, EVLOOP_NO_EXIT_ON_EMPTY);
    return unused;
}

static void wake(void) {
    pthread_t thread;
    CHECK(evthread_use_pthreads() == 0);
    CHECK((base = event_base_new()) != NULL && (other = event_base_new()) != NULL);
    CHECK(event_assign(&pong, base, -1, 0, on_pong, NULL) == 0 && event_assign(&ping, other, -1, 0, on_ping, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, run_other, NULL) == 0);
    pin_thread(0);
    sent_at = wall_ns();
    event_active(&ping, EV_TIMEOUT, 0);
    event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
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
