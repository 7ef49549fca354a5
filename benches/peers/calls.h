/* Calls from threads for the libraries that have only a wake-up which merges (libuv, libev, libevent): the usual answer, a vector
 * under a mutex that the loop swaps for an empty one. The wake-up is sent by the post that finds the vector empty. */
#ifndef LARIAT_BENCH_CALLS_H
#define LARIAT_BENCH_CALLS_H
#include "../common.h"
#include <pthread.h>

struct call {
    void (*fn)(void *data);
    void *data;
};

struct calls {
    struct call *items;
    size_t len, cap;
};

static pthread_mutex_t calls_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct calls calls_posted, calls_running;

/* Any thread. Returns whether the loop must be woken. */
static inline int calls_post(void (*fn)(void *), void *data) {
    pthread_mutex_lock(&calls_mutex);
    struct calls *calls = &calls_posted;
    if (calls->len == calls->cap) {
        calls->cap = calls->cap ? calls->cap * 2 : 1024;
        calls->items = (struct call *)realloc(calls->items, calls->cap * sizeof *calls->items);
        CHECK(calls->items != NULL);
    }
    calls->items[calls->len++] = (struct call){fn, data};
    int first = calls->len == 1;
    pthread_mutex_unlock(&calls_mutex);
    return first;
}

/* The loop's thread: makes the calls that are there now. */
static inline void calls_run(void) {
    pthread_mutex_lock(&calls_mutex);
    struct calls taken = calls_posted;
    calls_posted = calls_running;
    pthread_mutex_unlock(&calls_mutex);
    for (size_t i = 0; i < taken.len; i++) taken.items[i].fn(taken.items[i].data);
    taken.len = 0;
    calls_running = taken;
}

#endif
