/* timers_fire, timers_cancel, timer_reset, and the memory of a pending timer. */
#include "bench.h"

static lariat_delayed_call **timers;

static void stop(void *user_data) {
    (void)user_data;
    OK(lariat_reactor_stop(reactor));
}

static void schedule_all(void *user_data) {
    for (int i = 0; i < TIMERS; i++) MADE(lariat_reactor_call_later(reactor, random_unit(), count, user_data));
}

static void timers_fire(void) {
    double t = cpu_ns();
    run_inside(schedule_all);
    report("timers_fire", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == TIMERS);
    OK(lariat_reactor_free(reactor));
}

static uint32_t *order;

static void schedule_and_cancel(void *user_data) {
    timers = allocate(TIMERS * sizeof *timers);
    for (int i = 0; i < TIMERS; i++) MADE(timers[i] = lariat_reactor_call_later(reactor, random_unit(), count, user_data));
    for (int i = 0; i < TIMERS; i++) OK(lariat_delayed_call_cancel(timers[order[i]]));
    MADE(lariat_reactor_call_later(reactor, ALL_DUE, stop, NULL));
}

static void timers_cancel(void) {
    order = random_order(TIMERS);
    double t = cpu_ns();
    run_inside(schedule_and_cancel);
    report("timers_cancel", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == 0 && stats_now().delayed_calls == 0);
    OK(lariat_reactor_free(reactor));
}

static int resets;
static double settled;

static void reset_some(void *user_data) {
    for (int i = 0; i < RESETS_A_TURN; i++) OK(lariat_delayed_call_reset(timers[random_below(RESET_TIMERS)], KEEP_ALIVE));
    resets += RESETS_A_TURN;
    if (resets < RESETS) {
        OK(lariat_reactor_call_soon(reactor, reset_some, user_data));
    } else {
        double left = settled - lariat_reactor_seconds(reactor);
        MADE(lariat_reactor_call_later(reactor, left > 0.0 ? left : 0.0, stop, NULL));
    }
}

static void keep_alive(void *user_data) {
    timers = allocate(RESET_TIMERS * sizeof *timers);
    for (int i = 0; i < RESET_TIMERS; i++) {
        double first = FIRST_MIN + random_unit() * (FIRST_MAX - FIRST_MIN);
        MADE(timers[i] = lariat_reactor_call_later(reactor, first, count, user_data));
    }
    settled = lariat_reactor_seconds(reactor) + SETTLED;
    OK(lariat_reactor_call_soon(reactor, reset_some, user_data));
}

static void timer_reset(void) {
    double t = cpu_ns();
    run_inside(keep_alive);
    report("timer_reset", (cpu_ns() - t) / RESETS, "ns");
    CHECK(made == 0 && resets == RESETS && stats_now().delayed_calls == RESET_TIMERS);
    OK(lariat_reactor_free(reactor));
}

/* A million at random delays within an hour; nobody keeps their handles. */
static void schedule_hour(void *user_data) {
    double before = resident_bytes();
    for (int i = 0; i < TIMERS; i++) MADE(lariat_reactor_call_later(reactor, 10.0 + random_unit() * 3600.0, count, user_data));
    report("memory_timer", (resident_bytes() - before) / TIMERS, "B");
    CHECK(stats_now().delayed_calls == TIMERS);
    stop(user_data);
}

static void memory_timer(void) {
    run_inside(schedule_hour);
    CHECK(made == 0);
    OK(lariat_reactor_free(reactor));
}

static const struct workload workloads[] = {
    {"timers_fire", timers_fire},
    {"timers_cancel", timers_cancel},
    {"timer_reset", timer_reset},
    {"memory_timer", memory_timer},
};
BENCH_MAIN(workloads)
