/* The networking workloads: a server for net_client.c, see net.h. */
#include "../net.h"
#include "bench.h"

/* ---- connections ---- */

static void on_echo(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)self;
    OK(lariat_transport_write(transport, data, len));
}

static void on_burst(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)data, (void)self;
    CHECK(len == 1);
    for (int i = 0; i < BURST; i++) OK(lariat_transport_write(transport, burst[i], MESSAGE));
}

static lariat_protocol protocol_of(lariat_data_received_fn data_received) {
    lariat_protocol protocol;
    OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.data_received = data_received;
    return protocol;
}

static void serve(lariat_data_received_fn data_received) {
    lariat_protocol protocol = protocol_of(data_received);
    lariat_listener *listener;
    char endpoint[64];
    MADE(reactor = lariat_reactor_new());
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:0?backlog=%d", BACKLOG);
    MADE(listener = lariat_reactor_listen(reactor, endpoint, &protocol, NULL, NULL));
    announce(lariat_listener_port(listener));
    OK(lariat_reactor_run(reactor));
}

static void echo(void) { serve(on_echo); }
static void echo_burst(void) { fill_burst(), serve(on_burst); }

/* A group of as many reactors as the environment says. */
static void group(void) {
    lariat_protocol protocol = protocol_of(on_burst);
    const char *reactors = getenv("REACTORS");
    lariat_reactor_group *of;
    char endpoint[64];
    int port;
    CHECK(reactors != NULL);
    fill_burst();
    MADE(of = lariat_reactor_group_new((uint32_t)atoi(reactors), NULL));
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:0?backlog=%d", BACKLOG);
    OK(port = lariat_reactor_group_listen(of, endpoint, LARIAT_SHARING_DEFAULT, &protocol, NULL, NULL));
    OK(lariat_reactor_group_start(of, NULL, NULL));
    announce(port);
    OK(lariat_reactor_group_wait(of));
}

/* ---- datagrams ---- */

static void on_datagram(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    (void)self;
    OK(lariat_datagram_port_send_to(port, data, len, peer));      /* the client never sends more than the buffers hold */
}

/* What came together goes back together. */
static void on_batch(lariat_datagram_port *port, const lariat_datagram *datagrams, size_t count, void *self) {
    (void)self;
    OK(lariat_datagram_port_send_batch(port, datagrams, count, NULL));
}

static void serve_datagrams(const char *endpoint, const lariat_datagram_protocol *protocol) {
    lariat_datagram_port *port;
    MADE(reactor = lariat_reactor_new());
    MADE(port = lariat_reactor_listen_datagram(reactor, endpoint, protocol, NULL));
    announce(lariat_datagram_port_number(port));
    OK(lariat_reactor_run(reactor));
}

static void udp_echo(void) {
    lariat_datagram_protocol protocol;
    OK(lariat_datagram_protocol_init(&protocol, sizeof protocol));
    protocol.datagram_received = on_datagram;
    serve_datagrams("udp://127.0.0.1:0", &protocol);
}

static void udp_gso(void) {
    lariat_datagram_protocol protocol;
    OK(lariat_datagram_protocol_init(&protocol, sizeof protocol));
    protocol.batch_received = on_batch;
    serve_datagrams("udp://127.0.0.1:0?gro=1", &protocol);
}

static const struct workload workloads[] = {
    {"echo_1x64", echo}, {"echo_64x1k", echo}, {"echo_burst", echo_burst}, {"echo_stream", echo},
    {"churn", echo},     {"idle", echo},       {"udp_echo", udp_echo},     {"udp_gso", udp_gso},
    {"group", group},
};
BENCH_MAIN(workloads)
