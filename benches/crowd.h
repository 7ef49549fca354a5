/* What the servers of the crowd (lariat/crowd.c, peers/crowd_raw.c) and crowd_client.c share: what a peer may say, and what a server
 * tells at its end. A server is started as `program crowd_p99`, prints `port N`, and serves 127.0.0.1:N until its standard input
 * ends: then it accepts no more, waits until its last connection is over, prints its counts, and exits. */
#ifndef LARIAT_BENCH_CROWD_H
#define LARIAT_BENCH_CROWD_H
#include "net.h"

enum {
    /* What the first byte of what was received says. All else is answered with itself. */
    STREAM = 1,                 /* send pieces for ever */
    GARBAGE = 2,                /* to be hung up on at once, with a reset */
    LEAST = 128,                /* all bytes of requests are at least this */
    PIECE = 16 * KIB,           /* of a stream */
    CROWD_BACKLOG = 4096,
};

struct counts {
    long accepted, ended;
    long twice;                 /* ends told, or connections freed, that had been before */
    long unfreed;
    long done, reset, garbage, other;       /* how they ended; sums to ended */
    long streams, stopped;      /* streams begun; told to stop */
    long alive;                 /* whatever else is left */
};

static const uint8_t piece[PIECE] __attribute__((unused)) = {LEAST};

#define COUNTS(DO, c) \
    DO((c).accepted) DO((c).ended) DO((c).twice) DO((c).unfreed) DO((c).done) DO((c).reset) DO((c).garbage) DO((c).other) \
    DO((c).streams) DO((c).stopped) DO((c).alive)

static inline void tell_counts(struct counts counts) {
#define TELL(count) printf("%ld ", count);
    COUNTS(TELL, counts)
#undef TELL
    fflush(stdout);
}

#endif
