/* What every benchmark program shares: the workloads' sizes, the clocks, the random numbers and the way a figure is reported.
 * The sizes live here alone, so that no implementation is measured on an easier workload than another. C11 and C++17. */
#ifndef LARIAT_BENCH_COMMON_H
#define LARIAT_BENCH_COMMON_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TIMERS = 1000000,           /* timers_fire, timers_cancel: one-shot, random within a second */
    RESET_TIMERS = 100000,      /* timer_reset: connections that are kept alive ... */
    RESETS = 10000000,          /* ... and the messages that arrive on them ... */
    RESETS_A_TURN = 10000,      /* ... so many in one turn of the loop */
    CALLS = 10000000,           /* call_soon: posted from inside a callback ... */
    CALLS_A_TURN = 1000,        /* ... so many in one turn */
    TURNS = 1000000,
    POSTS = 5000000,            /* cross_thread_*: all threads together */
    ROUND_TRIPS = 20000,        /* wake */
    CHAINS = 5000000,           /* deferred */
};

/* timer_reset: a timer is first due within FIRST_MIN to FIRST_MAX seconds and each reset pushes it back to KEEP_ALIVE from
 * then. The loop runs until SETTLED, when every first deadline has passed and no pushed one has: whoever only notes a reset and
 * moves the timer later has moved it by then, and the move is counted. */
#define FIRST_MIN 1.0
#define FIRST_MAX 1.9
#define SETTLED 1.95
#define KEEP_ALIVE 2.0

/* timers_cancel: the loop runs on until here, past the last deadline, so that what a cancelled timer leaves behind is counted. */
#define ALL_DUE 1.1

#define CHECK(condition)                                                                                  \
    do {                                                                                                  \
        if (!(condition)) {                                                                               \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                       \
            exit(1);                                                                                      \
        }                                                                                                 \
    } while (0)

static inline double clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Of all threads of the process; sleep costs nothing. */
static inline double cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }
static inline double wall_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* xorshift64* with a fixed seed: everybody gets the same delays and the same order. */
static uint64_t random_state = 0x9e3779b97f4a7c15u;

static inline uint32_t random_u32(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1du) >> 32);
}

/* 0 to 1, without 1. */
static inline double random_unit(void) { return random_u32() * (1.0 / 4294967296.0); }
static inline uint32_t random_below(uint32_t n) { return (uint32_t)(((uint64_t)random_u32() * n) >> 32); }

static inline void *allocate(size_t size) {
    void *memory = malloc(size);
    CHECK(memory != NULL);
    return memory;
}

/* 0 to n - 1 in random order. */
static inline uint32_t *random_order(uint32_t n) {
    uint32_t *order = (uint32_t *)allocate(n * sizeof *order);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = random_below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

/* wake: the calling thread onto the nth processor it may use. Two threads that the scheduler happens to put on one processor
 * switch in 2 us; the workload is a sleeping processor that is woken, which costs ten times that. */
static cpu_set_t processors;     /* read before any thread is pinned */

static inline void pin_thread(int n) {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &processors) && n-- == 0) CPU_SET(cpu, &one);
    if (CPU_COUNT(&one) == 1) CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

static inline void report(const char *workload, double value, const char *unit) {
    printf("%s %.3f %s\n", workload, value, unit);
    fflush(stdout);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One way is half of a round trip. Sorts round_trips, which are in ns. */
static inline void report_wake(const char *name, double *round_trips, int n) {
    char p99[64];
    snprintf(p99, sizeof p99, "%s_p99", name);
    qsort(round_trips, (size_t)n, sizeof *round_trips, compare_doubles);
    report(name, round_trips[n / 2] / 2e3, "us");
    report(p99, round_trips[n / 100 * 99] / 2e3, "us");
}

struct workload {
    const char *name;
    void (*run)(void);
};

/* `program workload` runs one; `program` alone lists what there is. One workload a process, so none inherits another's heap. */
static inline int run_workload(int argc, char **argv, const struct workload *workloads, size_t count) {
    CHECK(sched_getaffinity(0, sizeof processors, &processors) == 0);
    for (size_t i = 0; i < count; i++) {
        if (argc < 2) {
            puts(workloads[i].name);
        } else if (strcmp(argv[1], workloads[i].name) == 0) {
            workloads[i].run();
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}

#define BENCH_MAIN(workloads)                                                                             \
    int main(int argc, char **argv) {                                                                     \
        return run_workload(argc, argv, workloads, sizeof workloads / sizeof *workloads);                 \
    }

#endif
