/* call_soon and turn. */
#include "bench.h"

static int posted;

static void post_some(void *user_data) {
    if (posted == CALLS) return;
    for (int i = 0; i < CALLS_A_TURN; i++) OK(lariat_reactor_call_soon(reactor, count, user_data));
    posted += CALLS_A_TURN;
    OK(lariat_reactor_call_soon(reactor, post_some, user_data));
}

static void call_soon(void) {
    double t = cpu_ns();
    run_inside(post_some);
    report("call_soon", (cpu_ns() - t) / CALLS, "ns");
    CHECK(made == CALLS);
    OK(lariat_reactor_free(reactor));
}

static void turn(void) {
    MADE(reactor = lariat_reactor_new());
    OK(lariat_reactor_iterate(reactor, 0.0));
    uint64_t turns = stats_now().turns;
    double t = cpu_ns();
    for (int i = 0; i < TURNS; i++) OK(lariat_reactor_iterate(reactor, 0.0));
    report("turn", (cpu_ns() - t) / TURNS, "ns");
    CHECK(stats_now().turns - turns == TURNS);
    OK(lariat_reactor_free(reactor));
}

static const struct workload workloads[] = {{"call_soon", call_soon}, {"turn", turn}};
BENCH_MAIN(workloads)
