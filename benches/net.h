/* What the servers (peers/net_*, lariat/net.c) and net_client.c share: the sizes, what a burst says, and how a server tells
 * where it is. A server is started as `program workload`, prints `port N`, and serves 127.0.0.1:N until it is killed; it
 * measures nothing. C11 and C++17. */
#ifndef LARIAT_BENCH_NET_H
#define LARIAT_BENCH_NET_H
#include "common.h"

enum {
    MESSAGE = 64,               /* bytes: echo_1x64, udp_*, and each message of a burst */
    BURST = 16,                 /* echo_burst: messages that one byte is answered with */
    KIB = 1024,                 /* echo_64x1k */
    BLOCK = 64 * KIB,           /* echo_stream */
    BACKLOG = 1024,
};

/* Every server reads into one such buffer where its library lets it. */
static uint8_t received[BLOCK] __attribute__((unused));

static uint8_t burst[BURST][MESSAGE];

static inline void fill_burst(void) {
    for (int i = 0; i < BURST; i++) memset(burst[i], 'a' + i, MESSAGE);
}

static inline void announce(int port) {
    CHECK(port > 0);
    printf("port %d\n", port);
    fflush(stdout);
}

#endif
