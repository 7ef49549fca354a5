/* deferred: new, three callbacks, fire, release; and the memory of a pending Deferred with four callbacks. */
#include "bench.h"

enum { PENDING = 250000 };

static long calls;

static void *on_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    ++*(long *)user_data;
    return value;
}

static void fire_all(void *user_data) {
    (void)user_data;
    for (int i = 0; i < CHAINS; i++) {
        lariat_deferred *deferred = lariat_deferred_new(reactor);
        MADE(deferred);
        for (int n = 0; n < 3; n++) OK(lariat_deferred_add_callback(deferred, on_value, &calls));
        OK(lariat_deferred_callback(deferred, &calls));
        OK(lariat_deferred_release(deferred));
    }
}

static void deferred(void) {
    double t = cpu_ns();
    run_inside(fire_all);
    report("deferred", (cpu_ns() - t) / CHAINS, "ns");
    CHECK(calls == 3L * CHAINS && stats_now().deferreds == 0);
    OK(lariat_reactor_free(reactor));
}

/* Nobody keeps their handles: the reactor frees them. */
static void make_pending(void *user_data) {
    (void)user_data;
    double before = resident_bytes();
    for (int i = 0; i < PENDING; i++) {
        lariat_deferred *deferred = lariat_deferred_new(reactor);
        MADE(deferred);
        for (int n = 0; n < 4; n++) OK(lariat_deferred_add_callback(deferred, on_value, &calls));
    }
    report("memory_deferred", (resident_bytes() - before) / PENDING, "B");
    CHECK(stats_now().deferreds == PENDING);
}

static void memory_deferred(void) {
    run_inside(make_pending);
    CHECK(calls == 0);
    OK(lariat_reactor_free(reactor));
}

static const struct workload workloads[] = {{"deferred", deferred}, {"memory_deferred", memory_deferred}};
BENCH_MAIN(workloads)
