/* Much data over a bad network: every byte arrives, in order, both ways at once. */
#include "harness.h"

#define BLOCK (64 * 1024)

/* One end of a connection: writes `left` bytes of its own sequence, as fast as the other reads, and checks what it gets. */
typedef struct end {
    lariat_transport *transport;
    uint64_t written, received, total;
    uint8_t salt;
    int lost;
} end;

/* The byte at a place of the sequence of an end; a period that no buffer's size divides. */
static uint8_t pattern[251 + BLOCK];

static void pattern_init(void) {
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (uint8_t)(i % 251);
}

static void produce(lariat_transport *transport, void *self) {
    end *it = self;
    size_t len = it->total - it->written < BLOCK ? (size_t)(it->total - it->written) : BLOCK;
    if (len == 0) {
        CHECK_OK(lariat_transport_unregister_producer(transport));
        CHECK_OK(lariat_transport_lose_write_connection(transport));
        return;
    }
    CHECK_OK(lariat_transport_write(transport, pattern + (it->written + it->salt) % 251, len));
    it->written += len;
}

static void begin(lariat_transport *transport, void *self) {
    end *it = self;
    lariat_producer producer;
    it->transport = transport;
    CHECK_OK(lariat_producer_init(&producer, sizeof producer));
    producer.streaming = 0;
    producer.resume_producing = produce;
    CHECK_OK(lariat_transport_register_producer(transport, &producer, self));
}

static void check(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    end *it = self;
    (void)transport;
    for (size_t at = 0; at < len;) {
        size_t part = len - at < BLOCK ? len - at : BLOCK;
        /* The other end's salt differs by one. */
        if (memcmp(data + at, pattern + (it->received + (it->salt ^ 1)) % 251, part) != 0)
            test_fail(__FILE__, __LINE__, "wrong bytes after %" PRIu64, it->received);
        at += part;
        it->received += part;
    }
}

static void keep(lariat_transport *transport, void *self) { (void)transport, (void)self; }

static void over(lariat_transport *transport, const lariat_failure *reason, void *self) {
    end *it = self;
    (void)transport;
    CHECK_INT(lariat_failure_code(reason), LARIAT_CONNECTION_DONE);
    it->lost++;
}

static lariat_protocol bulk(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = begin;
    protocol.data_received = check;
    protocol.connection_lost = over;
    protocol.read_connection_lost = keep;
    return protocol;
}

static void transfer(double loss, uint64_t total) {
    lariat_simulation *simulation = lariat_simulation_new(7);
    lariat_reactor *server = simulated_reactor(simulation, "server"), *client = simulated_reactor(simulation, "client");
    lariat_link link;
    CHECK_OK(lariat_link_init(&link, sizeof link));
    link.latency = 0.001;
    link.loss = loss;
    CHECK_OK(lariat_simulation_set_link(simulation, NULL, NULL, &link));
    CHECK_OK(lariat_simulation_set_faults(simulation, 0.2));
    end ends[2] = {{.total = total, .salt = 2}, {.total = total, .salt = 3}};
    lariat_protocol protocol = bulk();
    pattern_init();
    CHECK(lariat_reactor_listen(server, "tcp://*:80", &protocol, NULL, &ends[0]));
    lariat_deferred *connecting = lariat_reactor_connect(client, "tcp://10.0.0.1:80", &protocol, &ends[1]);
    CHECK(connecting);
    CHECK_OK(lariat_deferred_release(connecting));
    for (int hour = 0; hour < 1000 && !(ends[0].lost && ends[1].lost); hour++) CHECK_OK(lariat_simulation_run(simulation, 3600));
    for (int i = 0; i < 2; i++) {
        CHECK_INT(ends[i].received, total);
        CHECK_INT(ends[i].lost, 1);
    }
    reactor_done(client);
    CHECK_OK(lariat_reactor_free(server));
    CHECK_OK(lariat_simulation_free(simulation));
}

/* Short reads and writes, full buffers, a twentieth of the packets lost. */
TEST(s24_a_gigabyte_both_ways_over_a_bad_network) { transfer(0.05, (uint64_t)many(1 << 30)); }

TEST(s24_some_megabytes_over_a_worse_network) { transfer(0.4, (uint64_t)many(8 << 20)); }
