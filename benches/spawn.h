/* spawn: /bin/true is started with the standard streams of the program and waited for, one after the other, by a process that has 1 GiB
 * resident. An operation is one child, from before it is started until its end is known; wall time, the median. */
#ifndef LARIAT_BENCH_SPAWN_H
#define LARIAT_BENCH_SPAWN_H
#include "common.h"

enum { SPAWNS = 200, SPAWN_RESIDENT = 1 << 30 };

static char *spawn_resident;
static double spawn_times[SPAWNS], spawn_started;
static int spawn_count;

static inline void spawn_begin(void) {
    spawn_resident = (char *)allocate(SPAWN_RESIDENT);
    memset(spawn_resident, 1, SPAWN_RESIDENT);
}

static inline void spawn_starts(void) { spawn_started = wall_ns(); }

/* True when there is to be another one. */
static inline int spawn_ended(int code) {
    CHECK(code == 0);
    spawn_times[spawn_count++] = wall_ns() - spawn_started;
    return spawn_count < SPAWNS;
}

static inline void spawn_end(void) {
    CHECK(spawn_count == SPAWNS);
    qsort(spawn_times, SPAWNS, sizeof *spawn_times, compare_doubles);
    report("spawn", spawn_times[SPAWNS / 2] / 1e3, "us");
    free(spawn_resident);
}

#endif
