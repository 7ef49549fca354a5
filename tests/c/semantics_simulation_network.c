/* The network between simulated hosts: links, partitions, refusals, resets, faults. */
#include "harness.h"

static lariat_link link_new(void) {
    lariat_link link;
    CHECK_OK(lariat_link_init(&link, sizeof link));
    return link;
}

/* ---- arguments ---- */

TEST(simulation_links_have_defaults_and_limits) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_link link = link_new();
    CHECK_INT(link.struct_size, sizeof link);
    CHECK_INT(link.partitioned, 0);
    CHECK_NEAR(link.latency, 0.0005);
    CHECK(link.jitter == 0 && link.bandwidth == 0 && link.loss == 0 && link.duplication == 0 && link.reordering == 0);
    CHECK_OK(lariat_simulation_set_link(simulation, NULL, NULL, &link));
    CHECK_OK(lariat_simulation_set_link(simulation, "a", NULL, &link));
    CHECK_OK(lariat_simulation_set_link(simulation, "a", "b", &link));
    const double bad[] = {NAN, -1, -1e-300, INFINITY, -INFINITY, 1.1e12};
    double *fields[] = {&link.latency, &link.jitter, &link.bandwidth, &link.loss, &link.duplication, &link.reordering};
    for (size_t field = 0; field < sizeof fields / sizeof *fields; field++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            *fields[field] = bad[i];
            CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, &link), LARIAT_ERR_INVALID_ARGUMENT);
            link = link_new();
        }
    for (size_t field = 3; field < 6; field++) {
        *fields[field] = 1.01;
        CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, &link), LARIAT_ERR_INVALID_ARGUMENT);
        *fields[field] = 1;
        CHECK_OK(lariat_simulation_set_link(simulation, NULL, NULL, &link));
        link = link_new();
    }
    link.partitioned = 2;
    CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, &link), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_link_init(&link, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(simulation_faults_have_limits) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    CHECK_OK(lariat_simulation_set_faults(simulation, 0));
    CHECK_OK(lariat_simulation_set_faults(simulation, 1));
    CHECK_STATUS(lariat_simulation_set_faults(simulation, 1.5), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_set_faults(simulation, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_partition(simulation, NULL, "b", 1));
    CHECK_OK(lariat_simulation_partition(simulation, NULL, NULL, 0));
    CHECK_STATUS(lariat_simulation_partition(simulation, NULL, NULL, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_partition(simulation, "\xff", NULL, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_refuse_connections(simulation, "b", 80, 1));
    CHECK_OK(lariat_simulation_refuse_connections(simulation, "b", 0, -1));
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, "b", 65536, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, "b", -1, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, "b", 80, -2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, NULL, 80, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_reset_connections(simulation, "a", NULL));
    CHECK_OK(lariat_simulation_free(simulation));
    CHECK_STATUS(lariat_simulation_set_faults(simulation, 0), LARIAT_ERR_STALE_HANDLE);
}

TEST(simulation_hosts_have_addresses_in_the_order_of_their_names) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *a = simulated_reactor(simulation, "a"), *b = simulated_reactor(simulation, "b"), *again = simulated_reactor(simulation, "a");
    char text[46];
    size_t length;
    CHECK_OK(lariat_simulation_host_address(simulation, "b", 4, text, sizeof text, &length));
    CHECK_STR(text, "10.0.0.2");
    CHECK_INT(length, 8);
    CHECK_OK(lariat_simulation_host_address(simulation, "a", 6, text, sizeof text, &length));
    CHECK_STR(text, "fd00::1");
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 4, text, 5, &length), LARIAT_ERR_TOO_LONG);
    CHECK_STR(text, "10.0");
    CHECK_INT(length, 8);
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 4, NULL, 0, NULL), LARIAT_ERR_TOO_LONG);
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 4, NULL, 1, &length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 5, text, sizeof text, &length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_host_address(simulation, NULL, 4, text, sizeof text, &length), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(a);
    reactor_done(b);
    reactor_done(again);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- programs on two hosts ---- */

struct two {
    lariat_simulation *simulation;
    lariat_reactor *a, *b;
};

static struct two two_new(uint64_t seed) {
    struct two two = {lariat_simulation_new(seed), NULL, NULL};
    two.a = simulated_reactor(two.simulation, "a");
    two.b = simulated_reactor(two.simulation, "b");
    return two;
}

static void two_done(struct two *two) {
    CHECK_OK(lariat_simulation_run_until_idle(two->simulation));
    reactor_done(two->a);
    reactor_done(two->b);
    CHECK_OK(lariat_simulation_free(two->simulation));
}

/* One end of a connection: it writes `send` bytes, ends, and notes what comes. */
struct end {
    const char *name;
    lariat_reactor *reactor;
    uint64_t state; /* of the bytes that it sends */
    uint64_t wanted; /* of those that must come */
    size_t send, received;
    int32_t reason;
    double made, lost;
    lariat_transport *transport;
};

static uint8_t next_byte(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint8_t)(*state >> 56);
}

static void end_writes(struct end *end) {
    static uint8_t data[50000];
    while (end->send) {
        size_t len = end->send < sizeof data ? end->send : sizeof data;
        for (size_t i = 0; i < len; i++) data[i] = next_byte(&end->state);
        CHECK_OK(lariat_transport_write(end->transport, data, len));
        end->send -= len;
    }
}

static void end_made(lariat_transport *transport, void *self) {
    struct end *end = self;
    end->transport = transport;
    end->made = lariat_reactor_seconds(end->reactor);
    end_writes(end);
    if (end->state) CHECK_OK(lariat_transport_lose_write_connection(transport));
}

static void end_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    struct end *end = self;
    (void)transport;
    for (size_t i = 0; i < len && end->wanted; i++)
        if (data[i] != next_byte(&end->wanted)) test_fail(__FILE__, __LINE__, "%s: byte %zu is wrong", end->name, end->received + i);
    end->received += len;
}

static void end_half(lariat_transport *transport, void *self) { (void)transport, (void)self; }

static void end_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    struct end *end = self;
    (void)transport;
    end->reason = lariat_failure_code(reason);
    end->lost = lariat_reactor_seconds(end->reactor);
    end->transport = NULL;
}

static lariat_protocol end_protocol(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = end_made;
    protocol.data_received = end_received;
    protocol.connection_lost = end_lost;
    protocol.read_connection_lost = end_half;
    protocol.write_connection_lost = end_half;
    return protocol;
}

static void *end_failed(lariat_deferred *d, const lariat_failure *failure, void *self) {
    (void)d;
    ((struct end *)self)->reason = lariat_failure_code(failure);
    ((struct end *)self)->lost = lariat_reactor_seconds(((struct end *)self)->reactor);
    return NULL;
}

static void end_connects(struct end *end, const char *endpoint) {
    lariat_protocol protocol = end_protocol();
    lariat_deferred *d = lariat_reactor_connect(end->reactor, endpoint, &protocol, end);
    if (!d) test_fail(__FILE__, __LINE__, "connecting: %s", lariat_last_error_message());
    CHECK_OK(lariat_deferred_add_errback(d, end_failed, end));
    CHECK_OK(lariat_deferred_release(d));
}

static lariat_listener *end_listens(struct end *end, const char *endpoint) {
    lariat_protocol protocol = end_protocol();
    lariat_listener *listener = lariat_reactor_listen(end->reactor, endpoint, &protocol, NULL, end);
    if (!listener) test_fail(__FILE__, __LINE__, "listening: %s", lariat_last_error_message());
    return listener;
}

static void stop_listening(lariat_listener *listener) { CHECK_OK(lariat_deferred_release(lariat_listener_stop(listener))); }

/* A client on a and a server on b that send each other so much; gives the hash. */
static uint64_t exchange(uint64_t seed, size_t there, size_t back, lariat_link link, double faults) {
    struct two two = two_new(seed);
    struct end client = {.name = "client", .reactor = two.a, .state = 7, .wanted = 9, .send = there};
    struct end server = {.name = "server", .reactor = two.b, .state = 9, .wanted = 7, .send = back};
    CHECK_OK(lariat_simulation_set_link(two.simulation, NULL, NULL, &link));
    CHECK_OK(lariat_simulation_set_faults(two.simulation, faults));
    lariat_listener *listener = end_listens(&server, "tcp://*:80");
    end_connects(&client, "tcp://10.0.0.2:80");
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation)); /* as long as something is on its way */
    CHECK_INT(client.received, back);
    CHECK_INT(server.received, there);
    CHECK_STATUS(client.reason, LARIAT_CONNECTION_DONE);
    CHECK_STATUS(server.reason, LARIAT_CONNECTION_DONE);
    stop_listening(listener);
    uint64_t hash = lariat_simulation_trace_hash(two.simulation);
    two_done(&two);
    return hash;
}

TEST(simulation_network_data_is_whole_over_a_bad_link) {
    lariat_link link = link_new();
    exchange(1, 1000000, 500000, link, 0.1);
    link.latency = 0.05;
    link.jitter = 0.05;
    link.loss = 0.1;
    for (uint64_t seed = 1; seed <= 5; seed++) exchange(seed, 1000000, 300000, link, 0.5);
    exchange(1, 0, 0, link, 1);
    link.bandwidth = 100000;
    exchange(1, 300000, 1, link, 0);
}

TEST(simulation_network_the_same_seed_gives_the_same_run) {
    lariat_link link = link_new();
    link.jitter = 0.02;
    link.loss = 0.05;
    uint64_t first = exchange(1, 100000, 100000, link, 0.3);
    CHECK(exchange(1, 100000, 100000, link, 0.3) == first);
    CHECK(exchange(2, 100000, 100000, link, 0.3) != first);
    CHECK(exchange(1, 100000, 100001, link, 0.3) != first);
}

TEST(simulation_network_takes_the_time_that_the_link_says) {
    struct two two = two_new(1);
    lariat_link link = link_new();
    struct end client = {.name = "client", .reactor = two.a, .state = 7, .wanted = 9, .send = 10};
    struct end server = {.name = "server", .reactor = two.b, .state = 9, .wanted = 7, .send = 10};
    link.latency = 0.25;
    CHECK_OK(lariat_simulation_set_link(two.simulation, "a", "b", &link));
    link.latency = 1;
    CHECK_OK(lariat_simulation_set_link(two.simulation, "b", "a", &link));
    lariat_listener *listener = end_listens(&server, "tcp://10.0.0.2:80");
    end_connects(&client, "tcp://10.0.0.2:80");
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
    CHECK_NEAR(client.made, 1.25);
    CHECK_NEAR(server.made, 1.5);
    CHECK_NEAR(client.lost, 2.5);
    stop_listening(listener);
    two_done(&two);
}

TEST(simulation_network_a_partition_holds_data_up) {
    struct two two = two_new(1);
    struct end client = {.name = "client", .reactor = two.a}, server = {.name = "server", .reactor = two.b};
    lariat_listener *listener = end_listens(&server, "tcp://*:80");
    end_connects(&client, "tcp://10.0.0.2:80");
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_OK(lariat_simulation_partition(two.simulation, "a", "b", 1));
    CHECK_OK(lariat_transport_write(client.transport, (const uint8_t *)"hello", 5));
    CHECK_OK(lariat_simulation_run(two.simulation, 60));
    CHECK_INT(server.received, 0);
    CHECK_OK(lariat_simulation_partition(two.simulation, NULL, NULL, 0));
    CHECK_OK(lariat_simulation_run(two.simulation, 10));
    CHECK_INT(server.received, 5);
    CHECK_OK(lariat_simulation_partition(two.simulation, "b", NULL, 1));
    CHECK_OK(lariat_transport_write(client.transport, (const uint8_t *)"hello", 5));
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
    CHECK_STATUS(client.reason, LARIAT_ERR_TIMED_OUT);
    CHECK(client.lost > 180 && client.lost < 210);
    CHECK_INT(server.reason, 0); /* has nothing to send, and does not know */
    CHECK_OK(lariat_transport_abort_connection(server.transport));
    stop_listening(listener);
    two_done(&two);
}

TEST(simulation_network_connects_time_out_and_are_refused) {
    struct two two = two_new(1);
    struct end client = {.name = "client", .reactor = two.a}, server = {.name = "server", .reactor = two.b};
    end_connects(&client, "tcp://10.0.0.2:81");
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
    CHECK_STATUS(client.reason, LARIAT_ERR_CONNECTION_REFUSED);
    lariat_listener *listener = end_listens(&server, "tcp://*:80");
    CHECK_OK(lariat_simulation_refuse_connections(two.simulation, "b", 80, 1));
    for (int i = 0; i < 2; i++) {
        client.reason = 0;
        end_connects(&client, "tcp://10.0.0.2:80");
        CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
        CHECK_STATUS(client.reason, i == 0 ? LARIAT_ERR_CONNECTION_REFUSED : 0);
    }
    CHECK_OK(lariat_simulation_reset_connections(two.simulation, "a", "b"));
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
    CHECK_STATUS(client.reason, LARIAT_ERR_CONNECTION_LOST);
    CHECK_STATUS(server.reason, LARIAT_ERR_CONNECTION_LOST);
    stop_listening(listener);
    two_done(&two);
}

/* ---- driving it ---- */

static void *stop_both(lariat_deferred *d, void *value, void *user_data) {
    (void)d, (void)value;
    CHECK_OK(lariat_reactor_stop(user_data));
    return NULL;
}

TEST(simulation_network_a_run_waits_for_packets_and_ends_in_a_deadlock_without) {
    struct two two = two_new(1);
    struct end server = {.name = "server", .reactor = two.b}, client = {.name = "client", .reactor = two.a};
    lariat_protocol protocol = end_protocol();
    lariat_listener *listener = end_listens(&server, "tcp://*:80");
    lariat_deferred *d = lariat_reactor_connect(two.a, "tcp://10.0.0.2:80", &protocol, &client);
    CHECK_OK(lariat_deferred_add_callback(d, stop_both, two.a));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_reactor_run(two.a)); /* there is no timer: packets alone move the clock */
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_STATUS(lariat_reactor_run(two.b), LARIAT_ERR_DEADLOCK); /* all are connected, nobody says anything */
    CHECK_OK(lariat_transport_abort_connection(client.transport));
    CHECK_OK(lariat_reactor_run_until_idle(two.a));
    stop_listening(listener);
    CHECK_OK(lariat_reactor_run_until_idle(two.b)); /* waits for the reset, which is on its way */
    CHECK_STATUS(server.reason, LARIAT_ERR_CONNECTION_LOST);
    two_done(&two);
}

TEST(simulation_network_a_thousand_connections) {
    struct two two = two_new(1);
    struct end server = {.name = "server", .reactor = two.b};
    static struct end clients[1000];
    lariat_listener *listener = end_listens(&server, "tcp://*:80");
    size_t count = many(1000);
    for (size_t i = 0; i < count; i++) {
        clients[i] = (struct end){.name = "client", .reactor = two.a, .state = i + 1, .send = 1000};
        end_connects(&clients[i], "tcp://10.0.0.2:80");
    }
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
    CHECK_INT(server.received, count * 1000);
    CHECK_INT(lariat_listener_connections(listener), count);
    stop_listening(listener);
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
    free_reactor(two.b);
    CHECK_OK(lariat_simulation_run_until_idle(two.simulation));
    for (size_t i = 0; i < count; i++) CHECK(clients[i].reason != 0);
    reactor_done(two.a);
    CHECK_OK(lariat_simulation_free(two.simulation));
}
