/* A port forwarder: each connection to one endpoint becomes one to another, and bytes go both ways.
 *
 *     port_forwarder tcp://127.0.0.1:8080 tcp://example.org:80     forwards until it is killed
 *     port_forwarder                  or `port_forwarder --demo`: forwards to a slow reader, and to nobody
 *
 * What one side does, the other is told: when it reads slowly, its peer is read from slowly, so that little waits here
 * however much is sent; its end is passed on while the other direction goes on; and so is its failure, as a reset. */
#include <lariat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a link: two connections, whose self it is ---- */

enum { CLIENT, SERVER };

typedef struct link {
    lariat_transport *sides[2];        /* NULL: not there yet, or over */
    int owners;                        /* the protocols that still have it as their self */
    struct forwarder *forwarder;
} link;

typedef struct forwarder {
    lariat_reactor *reactor;
    const char *target;
    int64_t most_buffered;             /* for the demonstration */
} forwarder;

/* The free_self of both sides; called in every outcome, also when no connection came about. */
static void release(void *self) {
    link *link = self;
    if (--link->owners == 0)
        free(link);
}

static lariat_transport *other_side(const link *link, const lariat_transport *transport) {
    return link->sides[transport == link->sides[CLIENT] ? SERVER : CLIENT];
}

static void forward(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    link *link = self;
    lariat_transport *other = other_side(link, transport);
    lariat_transport_write(other, data, len);
    int64_t buffered = lariat_transport_buffered(other);
    if (buffered > link->forwarder->most_buffered)
        link->forwarder->most_buffered = buffered;
}

/* Backpressure: who produces for one side is the other. It is held when more waits than the high-water mark. */
static void hold_other(lariat_transport *transport, void *user_data) {
    lariat_transport_pause_reading(other_side(user_data, transport));
}

static void let_other_go(lariat_transport *transport, void *user_data) {
    lariat_transport_resume_reading(other_side(user_data, transport));
}

/* One side sends no more: the other is told once it has been sent all. With both directions over, so is the link. */
static void forward_end(lariat_transport *transport, void *self) {
    lariat_transport_lose_write_connection(other_side(self, transport));
}

static void forward_loss(lariat_transport *transport, const lariat_failure *reason, void *self) {
    link *link = self;
    lariat_transport *other = other_side(link, transport);
    link->sides[transport == link->sides[CLIENT] ? CLIENT : SERVER] = NULL;
    if (lariat_failure_code(reason) == LARIAT_CONNECTION_DONE)
        lariat_transport_lose_connection(other);             /* a NULL or a stale handle does no harm */
    else
        lariat_transport_fail_connection(other, lariat_failure_code(reason), lariat_failure_message(reason));
}

static void produce_for(link *link, int side) {
    lariat_producer producer;
    lariat_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold_other;
    producer.resume_producing = let_other_go;
    lariat_transport_register_producer(link->sides[side], &producer, link);
}

static void server_connected(lariat_transport *transport, void *self) {
    link *link = self;
    if (link->sides[CLIENT] == NULL) {                       /* the client has gone meanwhile */
        lariat_transport_abort_connection(transport);
        return;
    }
    link->sides[SERVER] = transport;
    produce_for(link, CLIENT);
    produce_for(link, SERVER);
    lariat_transport_resume_reading(link->sides[CLIENT]);
}

/* The client is told by a reset. Its handle is a token: gone or not, it may be told. */
static void refuse(lariat_transport *client, int32_t code, const char *why) {
    printf("Cannot forward: %s\n", why);
    fflush(stdout);
    lariat_transport_fail_connection(client, code, why);
}

static void *cannot_connect(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    refuse(user_data, lariat_failure_code(failure), lariat_failure_message(failure));
    return NULL;
}

static void both_ways(lariat_protocol *protocol) {
    lariat_protocol_init(protocol, sizeof *protocol);
    protocol->data_received = forward;
    protocol->read_connection_lost = forward_end;
    protocol->connection_lost = forward_loss;
    protocol->free_self = release;
}

static lariat_status client_connected(lariat_listener *listener, lariat_transport *transport, void **self,
                                      void *user_data) {
    (void)listener;
    forwarder *forwarder = user_data;
    link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return LARIAT_ERR_NO_MEMORY;                         /* refuses the connection */
    *link = (struct link){.sides = {transport, NULL}, .owners = 2, .forwarder = forwarder};
    *self = link;
    lariat_transport_pause_reading(transport);               /* until there is somebody to write to */
    lariat_protocol protocol;
    both_ways(&protocol);
    protocol.connection_made = server_connected;
    lariat_deferred *connected = lariat_reactor_connect(forwarder->reactor, forwarder->target, &protocol, link);
    if (connected == NULL)                                   /* no endpoint, say; release was called for that side */
        refuse(transport, lariat_last_error(), lariat_last_error_message());
    lariat_deferred_add_errback(connected, cannot_connect, transport);
    lariat_deferred_release(connected);
    return LARIAT_OK;
}

static lariat_listener *start_forwarder(forwarder *forwarder, const char *endpoint) {
    lariat_protocol protocol;
    both_ways(&protocol);
    return lariat_reactor_listen(forwarder->reactor, endpoint, &protocol, client_connected, forwarder);
}

/* ---- the demonstration: a client sends eight megabytes and its end, and a server that is slow to start counts ---- */

enum { SENT = 8 * 1024 * 1024 };

typedef struct demo {
    forwarder forwarder;
    char counter_address[128], forwarder_address[128];
    size_t counted;
    int round;
} demo;

static void start_reading(void *user_data) {
    lariat_transport_resume_reading(user_data);
}

static void sleep_first(lariat_transport *transport, void *self) {
    demo *demo = self;
    lariat_transport_pause_reading(transport);
    lariat_reactor_call_later(demo->forwarder.reactor, 0.2, start_reading, transport);
}

static void count(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport;
    (void)data;
    ((demo *)self)->counted += len;
}

static void tell_count(lariat_transport *transport, void *self) {
    char text[64];
    int length = snprintf(text, sizeof text, "%zu bytes", ((demo *)self)->counted);
    lariat_transport_write(transport, (const uint8_t *)text, (size_t)length);
    lariat_transport_lose_connection(transport);
}

static void send_much(lariat_transport *transport, void *self) {
    (void)self;
    uint8_t *much = calloc(1, SENT);
    lariat_transport_write(transport, much, much != NULL ? SENT : 0);
    free(much);
    lariat_transport_lose_write_connection(transport);
}

static void print_answer(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport;
    (void)self;
    printf("The server has counted %.*s\n", (int)len, (const char *)data);
}

static void server_is_done(lariat_transport *transport, void *self) {
    (void)self;
    lariat_transport_lose_connection(transport);
}

static void connect_client(demo *demo);

static void next_round(demo *demo, int32_t code) {
    printf("The client's connection has ended %s\n", code == LARIAT_CONNECTION_DONE ? "cleanly" : "with a failure");
    if (++demo->round == 2) {
        lariat_reactor_stop(demo->forwarder.reactor);
        return;
    }
    printf("At most a quarter of a megabyte waited: %s\n", demo->forwarder.most_buffered <= 256 * 1024 ? "yes" : "no");
    demo->forwarder.target = "unix:///nobody/is/here";
    connect_client(demo);
}

static void client_is_done(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    next_round(self, lariat_failure_code(reason));
}

/* A reset may come before we have noticed that we were connected. */
static void *client_is_refused(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    next_round(user_data, lariat_failure_code(failure));
    return NULL;
}

static void connect_client(demo *demo) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = send_much;
    protocol.data_received = print_answer;
    protocol.read_connection_lost = server_is_done;
    protocol.connection_lost = client_is_done;
    lariat_deferred *connected =
        lariat_reactor_connect(demo->forwarder.reactor, demo->forwarder_address, &protocol, demo);
    lariat_deferred_add_errback(connected, client_is_refused, demo);
    lariat_deferred_release(connected);
}

static void start_demo(demo *demo, lariat_listener *forwarding) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = sleep_first;
    protocol.data_received = count;
    protocol.read_connection_lost = tell_count;
    lariat_listener *counter =
        lariat_reactor_listen(demo->forwarder.reactor, "tcp://127.0.0.1:0", &protocol, NULL, demo);
    lariat_listener_address(counter, demo->counter_address, sizeof demo->counter_address, NULL);
    lariat_listener_address(forwarding, demo->forwarder_address, sizeof demo->forwarder_address, NULL);
    demo->forwarder.target = demo->counter_address;
    connect_client(demo);
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    if (!demonstrates && argc != 3) {
        fprintf(stderr, "port_forwarder ENDPOINT ENDPOINT | port_forwarder --demo\n");
        return 2;
    }
    demo demo = {.forwarder = {.reactor = lariat_reactor_new(), .target = argv[argc - 1]}};
    lariat_reactor *reactor = demo.forwarder.reactor;
    lariat_listener *listener = start_forwarder(&demo.forwarder, demonstrates ? "tcp://127.0.0.1:0" : argv[1]);
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
        lariat_reactor_free(reactor);
        return 1;
    }
    if (demonstrates) {
        start_demo(&demo, listener);
    } else {
        char address[128];
        lariat_listener_address(listener, address, sizeof address, NULL);
        printf("Listening at %s\n", address);
        fflush(stdout);
    }
    lariat_status status = lariat_reactor_run(reactor);
    lariat_status freed = lariat_reactor_free(reactor);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
