/* The limit: the system calls and the data structures written by hand for the one workload, with no library around them.
 * Timers: a wheel of millisecond slots, each an array of timer ids; calls: two arrays that swap; calls from threads: a chunked
 * queue for each producer and an eventfd for a loop that sleeps; Deferreds: a chain in one malloc behind real function calls. */
#include "../common.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef void (*call_fn)(void *data);

struct call {
    call_fn fn;
    void *data;
};

struct loop {
    int epoll, wake;
};

static struct loop loop_new(void) {
    struct loop loop = {epoll_create1(EPOLL_CLOEXEC), eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};       /* edge-triggered: the counter need never be read */
    CHECK(loop.epoll >= 0 && loop.wake >= 0 && epoll_ctl(loop.epoll, EPOLL_CTL_ADD, loop.wake, &event) == 0);
    return loop;
}

static void loop_wake(struct loop loop) {
    uint64_t one = 1;
    CHECK(write(loop.wake, &one, sizeof one) == sizeof one);
}

static int loop_wait(struct loop loop, int milliseconds) {
    struct epoll_event events[16];
    return epoll_wait(loop.epoll, events, 16, milliseconds);
}

static int made;

static void count(void *data) {
    (void)data;
    made++;
}

/* ---- timers ---- */

enum { SLOTS = 4096, BLANK = -1, AHEAD = 12 };

struct timer {
    struct call call;
    uint32_t deadline, slot, position;      /* deadline in ms */
};

struct slot {
    int32_t *ids;
    uint32_t len, cap, live;
};

static struct loop timer_loop;
static struct timer *timers;
static struct slot slots[SLOTS];
static uint32_t now, live;
static double epoch;

static void read_clock(void) { now = (uint32_t)((wall_ns() - epoch) / 1e6); }

static void start_timers(int n) {
    timers = allocate((size_t)n * sizeof *timers);
    timer_loop = loop_new();
    epoch = wall_ns();
}

static void file_timer(int32_t id, uint32_t deadline) {
    uint32_t number = deadline % SLOTS;
    struct slot *slot = &slots[number];
    if (slot->len == slot->cap) {
        slot->cap = slot->cap ? slot->cap * 2 : 64;
        slot->ids = realloc(slot->ids, slot->cap * sizeof *slot->ids);
        CHECK(slot->ids != NULL);
    }
    timers[id].deadline = deadline;
    timers[id].slot = number;
    timers[id].position = slot->len;
    slot->ids[slot->len++] = id;
    slot->live++;
}

static uint32_t due_after(double seconds) { return now + (uint32_t)(seconds * 1e3) + 1; }

static void schedule(int32_t id, double seconds) {
    timers[id].call = (struct call){count, NULL};
    file_timer(id, due_after(seconds));
    live++;
}

static void cancel(int32_t id) {
    struct slot *slot = &slots[timers[id].slot];
    slot->ids[timers[id].position] = BLANK;
    live--;
    if (--slot->live == 0) slot->len = 0;
}

static void expire(struct slot *slot, uint32_t tick) {
    for (uint32_t i = 0; i < slot->len; i++) {
        int32_t id = slot->ids[i];
        if (i + AHEAD < slot->len) __builtin_prefetch(&timers[slot->ids[i + AHEAD]]);
        if (id == BLANK) continue;
        if (timers[id].deadline > tick) {       /* pushed back since it was filed */
            file_timer(id, timers[id].deadline);
        } else {
            live--;
            timers[id].call.fn(timers[id].call.data);
        }
    }
    slot->len = slot->live = 0;
}

/* One turn, that waits for the next timer or until `latest`. */
static void timer_turn(uint32_t latest) {
    uint32_t next = now;
    while (next < latest && slots[next % SLOTS].live == 0) next++;
    uint32_t tick = now;
    loop_wait(timer_loop, (int)(next - now));
    for (read_clock(); tick <= now; tick++)
        if (slots[tick % SLOTS].live) expire(&slots[tick % SLOTS], tick);
}

static void schedule_all(void) {
    start_timers(TIMERS);
    for (int i = 0; i < TIMERS; i++) schedule(i, random_unit());
}

static void timers_fire(void) {
    double t = cpu_ns();
    schedule_all();
    while (live > 0) timer_turn(now + SLOTS);
    report("timers_fire", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == TIMERS);
}

static void timers_cancel(void) {
    uint32_t *order = random_order(TIMERS);
    double t = cpu_ns();
    schedule_all();
    for (int i = 0; i < TIMERS; i++) cancel((int32_t)order[i]);
    for (uint32_t end = due_after(ALL_DUE); now < end;) timer_turn(end);
    report("timers_cancel", (cpu_ns() - t) / TIMERS, "ns");
    CHECK(made == 0 && live == 0);
}

static void timer_reset(void) {
    double t = cpu_ns();
    start_timers(RESET_TIMERS);
    for (int i = 0; i < RESET_TIMERS; i++) schedule(i, FIRST_MIN + random_unit() * (FIRST_MAX - FIRST_MIN));
    uint32_t settled = due_after(SETTLED);
    for (int resets = 0; resets < RESETS; resets += RESETS_A_TURN) {
        uint32_t deadline = due_after(KEEP_ALIVE);
        for (int i = 0; i < RESETS_A_TURN; i++) timers[random_below(RESET_TIMERS)].deadline = deadline;
        timer_turn(now);
    }
    while (now < settled) timer_turn(settled);
    report("timer_reset", (cpu_ns() - t) / RESETS, "ns");
    CHECK(made == 0 && live == RESET_TIMERS);
}

/* ---- calls and turns ---- */

struct calls {
    struct call *items;
    size_t len, cap;
};

static struct calls soon, running;
static int posted;

static void post(call_fn fn, void *data) {
    if (soon.len == soon.cap) {
        soon.cap = soon.cap ? soon.cap * 2 : 64;
        soon.items = realloc(soon.items, soon.cap * sizeof *soon.items);
        CHECK(soon.items != NULL);
    }
    soon.items[soon.len++] = (struct call){fn, data};
}

static void post_some(void *data) {
    if (posted == CALLS) return;
    for (int i = 0; i < CALLS_A_TURN; i++) post(count, data);
    posted += CALLS_A_TURN;
    post(post_some, data);
}

static void empty_turn(struct loop loop) {
    read_clock();
    loop_wait(loop, 0);
}

static void call_soon(void) {
    double t = cpu_ns();
    struct loop loop = loop_new();
    post(post_some, NULL);
    while (soon.len > 0) {
        empty_turn(loop);
        struct calls calls = running;
        running = soon;
        soon = calls;
        for (size_t i = 0; i < running.len; i++) running.items[i].fn(running.items[i].data);
        running.len = 0;
    }
    report("call_soon", (cpu_ns() - t) / CALLS, "ns");
    CHECK(made == CALLS);
}

static void turn(void) {
    struct loop loop = loop_new();
    double t = cpu_ns();
    for (int i = 0; i < TURNS; i++) empty_turn(loop);
    report("turn", (cpu_ns() - t) / TURNS, "ns");
}

/* ---- threads ---- */

enum { CHUNK = 1024, LINE = 64 };

struct chunk {
    struct chunk *next;
    struct call calls[CHUNK];
};

/* Unbounded, so that a post never waits. Emptied chunks go back to their producer, so memory is touched anew only while the
 * loop falls behind. */
struct producer {
    _Alignas(LINE) struct chunk *tail;
    struct chunk *free;
    size_t written;
    pthread_t thread;
    _Alignas(LINE) _Atomic size_t published;
    _Alignas(LINE) struct chunk *head;
    size_t read;
    _Alignas(LINE) _Atomic(struct chunk *) emptied;
};

static struct loop thread_loop;
static struct producer producers[4];
static int producer_count;
static _Alignas(LINE) _Atomic int sleeping;

static struct chunk *next_chunk(struct producer *p) {
    struct chunk *chunk = p->free ? p->free : atomic_exchange_explicit(&p->emptied, NULL, memory_order_acquire);
    if (chunk == NULL) return allocate(sizeof *chunk);
    p->free = chunk->next;
    return chunk;
}

static void post_from_thread(struct producer *p, call_fn fn, void *data) {
    size_t i = p->written % CHUNK;
    if (i == 0) {
        struct chunk *chunk = next_chunk(p);
        p->tail->next = chunk;
        p->tail = chunk;
    }
    p->tail->calls[i] = (struct call){fn, data};
    atomic_store_explicit(&p->published, ++p->written, memory_order_release);
    /* The loop's membarrier orders this store before the load; a fence here would cost more than all the rest. */
    atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&sleeping, memory_order_relaxed) && atomic_exchange(&sleeping, 0)) loop_wake(thread_loop);
}

static void *produce(void *producer) {
    for (int i = 0; i < POSTS / producer_count; i++) post_from_thread(producer, count, NULL);
    return NULL;
}

static void drain(struct producer *p) {
    size_t published = atomic_load_explicit(&p->published, memory_order_acquire);
    while (p->read != published) {
        size_t i = p->read % CHUNK, n = CHUNK - i;
        if (n > published - p->read) n = published - p->read;
        if (i == 0) {
            struct chunk *empty = p->head;
            p->head = empty->next;
            empty->next = atomic_load_explicit(&p->emptied, memory_order_relaxed);
            while (!atomic_compare_exchange_weak_explicit(&p->emptied, &empty->next, empty, memory_order_release, memory_order_relaxed)) {}
        }
        struct call *call = &p->head->calls[i];
        for (size_t k = 0; k < n; k++) call[k].fn(call[k].data);
        p->read += n;
    }
}

static int nothing_published(void) {
    for (int i = 0; i < producer_count; i++)
        if (atomic_load_explicit(&producers[i].published, memory_order_acquire) != producers[i].read) return 0;
    return 1;
}

static void sleep_until_posted(void) {
    atomic_store(&sleeping, 1);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
    loop_wait(thread_loop, nothing_published() ? -1 : 0);
    atomic_store(&sleeping, 0);
}

static void cross_thread(const char *name) {
    thread_loop = loop_new();
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
    double t = wall_ns();
    for (int i = 0; i < producer_count; i++) {
        struct producer *p = &producers[i];
        p->head = p->tail = allocate(sizeof *p->head);
        CHECK(pthread_create(&p->thread, NULL, produce, p) == 0);
    }
    while (made < POSTS) {
        sleep_until_posted();
        for (int i = 0; i < producer_count; i++) drain(&producers[i]);
    }
    report(name, (wall_ns() - t) / POSTS, "ns");
    for (int i = 0; i < producer_count; i++) pthread_join(producers[i].thread, NULL);
    CHECK(made == POSTS);
}

static void cross_thread_1(void) { producer_count = 1, cross_thread("cross_thread_1"); }
static void cross_thread_4(void) { producer_count = 4, cross_thread("cross_thread_4"); }

static struct loop ping, pong;

static void *answer(void *unused) {
    pin_thread(1);
    for (int i = 0; i < ROUND_TRIPS; i++) {
        CHECK(loop_wait(ping, -1) == 1);
        loop_wake(pong);
    }
    return unused;
}

static void wake(void) {
    static double round_trips[ROUND_TRIPS];
    pthread_t thread;
    ping = loop_new(), pong = loop_new();
    CHECK(pthread_create(&thread, NULL, answer, NULL) == 0);
    pin_thread(0);
    for (int i = 0; i < ROUND_TRIPS; i++) {
        double t = wall_ns();
        loop_wake(ping);
        CHECK(loop_wait(pong, -1) == 1);
        round_trips[i] = wall_ns() - t;
    }
    pthread_join(thread, NULL);
    report_wake("wake", round_trips, ROUND_TRIPS);
}

/* ---- Deferred: what a C library would do that checks nothing ---- */

#if defined(__has_attribute) && __has_attribute(noipa)
#define EXPORTED __attribute__((noipa))     /* as if it were in a library */
#else
#define EXPORTED __attribute__((noinline))
#endif

struct deferred;
typedef void *(*callback_fn)(struct deferred *deferred, void *value, void *data);

struct deferred {
    struct {
        callback_fn callback, errback;
        void *data;
    } links[4];
    void *value;
    int len, next, fired, failed, released;
};

EXPORTED static struct deferred *deferred_new(void) {
    struct deferred *d = malloc(sizeof *d);
    if (d == NULL) return NULL;
    d->len = d->next = d->fired = d->failed = d->released = 0;
    return d;
}

static inline void deferred_run(struct deferred *d) {
    void *value = d->value;
    while (d->next < d->len) {
        int i = d->next++;
        callback_fn fn = d->failed ? d->links[i].errback : d->links[i].callback;
        if (fn) value = fn(d, value, d->links[i].data);
    }
    d->value = value;
    if (d->released) free(d);
}

EXPORTED static int deferred_add_callbacks(struct deferred *d, callback_fn callback, callback_fn errback, void *data) {
    if (d->len == 4) return -1;
    d->links[d->len].callback = callback;
    d->links[d->len].errback = errback;
    d->links[d->len++].data = data;
    if (d->fired) deferred_run(d);
    return 0;
}

EXPORTED static int deferred_callback(struct deferred *d, void *value) {
    if (d->fired) return -1;
    d->fired = 1;
    d->value = value;
    deferred_run(d);
    return 0;
}

EXPORTED static void deferred_release(struct deferred *d) {
    if (d->fired)
        free(d);
    else
        d->released = 1;
}

static void *on_value(struct deferred *d, void *value, void *data) {
    (void)d;
    ++*(long *)data;
    return value;
}

static void deferred(void) {
    long calls = 0;
    double t = cpu_ns();
    for (int i = 0; i < CHAINS; i++) {
        struct deferred *d = deferred_new();
        CHECK(d != NULL);
        for (int n = 0; n < 3; n++) CHECK(deferred_add_callbacks(d, on_value, NULL, &calls) == 0);
        CHECK(deferred_callback(d, d) == 0);
        deferred_release(d);
    }
    report("deferred", (cpu_ns() - t) / CHAINS, "ns");
    CHECK(calls == 3L * CHAINS);
}

static const struct workload workloads[] = {
    {"timers_fire", timers_fire}, {"timers_cancel", timers_cancel},   {"timer_reset", timer_reset},
    {"call_soon", call_soon},     {"turn", turn},                     {"cross_thread_1", cross_thread_1},
    {"cross_thread_4", cross_thread_4}, {"wake", wake},               {"deferred", deferred},
};
BENCH_MAIN(workloads)
