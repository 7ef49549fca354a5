/* crowd_p99: the server for crowd_client.c, see crowd.h. */
#include "../crowd.h"
#include "bench.h"

/* Never freed before the counts are taken, so that a second end would be seen. */
typedef struct guest {
    struct guest *before;
    int32_t lost, freed, streams, paused;
} guest;

static struct counts counts;
static guest *last;
static lariat_listener *listener;

/* Until it is told to pause, as a producer does. */
static void produce(lariat_transport *transport, guest *one) {
    lariat_status status = LARIAT_OK;
    while (!one->paused && status == LARIAT_OK) status = lariat_transport_write(transport, piece, sizeof piece);
    if (status != LARIAT_ERR_CLOSED) OK(status);
}

static void on_pause(lariat_transport *transport, void *user_data) {
    (void)transport;
    ((guest *)user_data)->paused = 1;
}

static void on_resume(lariat_transport *transport, void *user_data) {
    ((guest *)user_data)->paused = 0;
    produce(transport, user_data);
}

static void on_stop(lariat_transport *transport, void *user_data) {
    (void)transport;
    ((guest *)user_data)->paused = 1;
    counts.stopped++;
}

static void stream(lariat_transport *transport, guest *one) {
    lariat_producer producer;
    OK(lariat_producer_init(&producer, sizeof producer));
    producer.pause_producing = on_pause;
    producer.resume_producing = on_resume;
    producer.stop_producing = on_stop;
    OK(lariat_transport_register_producer(transport, &producer, one));
    counts.streams++;
    produce(transport, one);
}

static void on_data(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    if (data[0] == STREAM) stream(transport, self);
    else if (data[0] == GARBAGE) OK(lariat_transport_fail_connection(transport, GARBAGE, "garbage"));
    else OK(lariat_transport_write(transport, data, len));
}

static void on_half_closed(lariat_transport *transport, void *self) {
    (void)self;
    OK(lariat_transport_lose_connection(transport));
}

static void on_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    guest *one = self;
    counts.twice += one->lost++;
    counts.ended++;
    switch (lariat_failure_code(reason)) {
    case LARIAT_CONNECTION_DONE: counts.done++; break;
    case LARIAT_ERR_CONNECTION_LOST: counts.reset++; break;
    case GARBAGE: counts.garbage++; break;
    default: counts.other++;
    }
}

static void on_free(void *self) { counts.twice += ((guest *)self)->freed++; }

static lariat_status build(lariat_listener *from, lariat_transport *transport, void **self, void *user_data) {
    (void)from, (void)transport, (void)user_data;
    guest *one = allocate(sizeof *one);
    *one = (guest){.before = last};
    *self = last = one;
    counts.accepted++;
    return LARIAT_OK;
}

static void on_input(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    char byte;
    (void)readiness, (void)user_data;
    if (read(STDIN_FILENO, &byte, 1) > 0) return;
    lariat_deferred *stopped = lariat_listener_stop(listener);
    MADE(stopped);
    OK(lariat_deferred_release(stopped));
    OK(lariat_watcher_stop(watcher));
}

static long alive(void) {
    lariat_stats all = stats_now();
    all.turns = 0;
    /* After its size and the threads, which are 32 bits wide, there are 64-bit counts alone. */
    long sum = all.threads;
    for (const uint64_t *each = &all.delayed_calls; each < (const uint64_t *)(&all + 1); each++) sum += (long)*each;
    return sum;
}

static void crowd(void) {
    lariat_protocol protocol;
    lariat_watcher *watcher;
    char endpoint[64];
    OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.data_received = on_data;
    protocol.read_connection_lost = on_half_closed;
    protocol.connection_lost = on_lost;
    protocol.free_self = on_free;
    MADE(reactor = lariat_reactor_new());
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:0?backlog=%d", CROWD_BACKLOG);
    MADE(listener = lariat_reactor_listen(reactor, endpoint, &protocol, build, NULL));
    MADE(watcher = lariat_reactor_watch(reactor, STDIN_FILENO, LARIAT_READABLE, on_input, NULL));
    announce(lariat_listener_port(listener));
    OK(lariat_reactor_run_until_idle(reactor));
    counts.alive = alive();
    OK(lariat_reactor_free(reactor));
    for (guest *one = last, *before; one != NULL; one = before) {
        before = one->before;
        counts.unfreed += !one->freed;
        free(one);
    }
    tell_counts(counts);
}

static const struct workload workloads[] = {{"crowd_p99", crowd}};
BENCH_MAIN(workloads)
