/* What the lariat programs share. Every status and handle is checked, as a user's program does. */
#ifndef LARIAT_BENCH_H
#define LARIAT_BENCH_H
#include "../common.h"
#include <lariat.h>
#include <unistd.h>

static inline void ok_at(lariat_status status, const char *what, int line) {
    if (status >= 0) return;
    fprintf(stderr, "line %d: %s: %s: %s\n", line, what, lariat_status_name(status), lariat_last_error_message());
    exit(1);
}

#define OK(call) ok_at((call), #call, __LINE__)
/* For what is NULL on failure. */
#define MADE(handle) ((handle) != NULL ? (void)0 : ok_at(lariat_last_error(), #handle, __LINE__))

static lariat_reactor *reactor;

/* On cache lines of its own: in cross_thread_* the loop counts while the other threads read `reactor`, which the linker
 * would put beside it. */
static _Alignas(128) union {
    int count;
    char lines[128];
} calls_made;
#define made calls_made.count

static inline void count(void *user_data) {
    (void)user_data;
    made++;
}

/* Runs body in a callback of the running reactor, until nothing is left to wait for or it is stopped. */
static inline void run_inside(lariat_call_fn body) {
    MADE(reactor = lariat_reactor_new());
    OK(lariat_reactor_call_soon(reactor, body, NULL));
    OK(lariat_reactor_run_until_idle(reactor));
}

static inline double resident_bytes(void) {
    long total, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &total, &resident) == 2);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static inline lariat_stats stats_now(void) {
    lariat_stats stats;
    OK(lariat_stats_init(&stats, sizeof stats));
    OK(lariat_reactor_stats(reactor, &stats));
    return stats;
}

#endif
