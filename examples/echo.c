/* An echo server and its client, over TCP or a Unix socket: the endpoint decides.
 *
 *     echo listen tcp://127.0.0.1:7000           serves until it is killed; `nc 127.0.0.1 7000` talks to it too
 *     echo connect tcp://127.0.0.1:7000 WORDS    sends the words, and prints what comes back
 *     echo                                       or `echo --demo`: a server and two clients in one program
 *
 * With port 0 the system picks one, which is printed. echo_server.c does the same with sockets of its own. */
#include <lariat.h>

#include <stdio.h>
#include <string.h>

/* ---- the server ---- */

static void echo(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)self;
    lariat_transport_write(transport, data, len);            /* copied, or sent at once: data is ours only until here */
}

/* What comes in goes out again, so the connection is its own producer: a client that does not read is not read from. */
static void hold_on(lariat_transport *transport, void *user_data) {
    (void)user_data;
    lariat_transport_pause_reading(transport);
}

static void go_on(lariat_transport *transport, void *user_data) {
    (void)user_data;
    lariat_transport_resume_reading(transport);
}

static void welcome(lariat_transport *transport, void *self) {
    (void)self;
    lariat_producer producer;
    lariat_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold_on;
    producer.resume_producing = go_on;
    lariat_transport_register_producer(transport, &producer, NULL);
}

/* No function for half-closed connections: when the client has sent its end, what is left goes out, and we close too. */
static lariat_listener *serve(lariat_reactor *reactor, const char *endpoint) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = welcome;
    protocol.data_received = echo;
    return lariat_reactor_listen(reactor, endpoint, &protocol, NULL, NULL);
}

/* ---- the client: sends its words and its end, and reads until the server's ---- */

typedef struct client {
    lariat_reactor *reactor;
    const char *endpoint;
    const char **words;                /* this client's words; behind them the next one's, and NULL at the end */
    int failed;
} client;

static void give_up(client *client, const char *why) {
    fprintf(stderr, "%s\n", why);
    client->failed = 1;
    lariat_reactor_stop(client->reactor);
}

static void say_words(lariat_transport *transport, void *self) {
    client *client = self;
    lariat_transport_write(transport, (const uint8_t *)*client->words, strlen(*client->words));
    lariat_transport_lose_write_connection(transport);       /* once that is out; we still read */
}

static void print_data(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport;
    (void)self;
    fwrite(data, 1, len, stdout);                            /* a stream has no messages: maybe one piece, maybe ten */
}

/* With this function set, the end of what we send does not end what we read. */
static void server_has_sent_all(lariat_transport *transport, void *self) {
    (void)self;
    lariat_transport_lose_connection(transport);
}

static void start_client(client *client);

static void say_goodbye(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    printf("\n");
    if (lariat_failure_code(reason) == LARIAT_CONNECTION_DONE)
        start_client(self);
    else
        give_up(self, lariat_failure_message(reason));
}

static void *cannot_connect(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    give_up(user_data, lariat_failure_message(failure));
    return NULL;
}

/* Connects for the next words; after the last it is over. */
static void start_client(client *client) {
    if (*++client->words == NULL) {
        lariat_reactor_stop(client->reactor);
        return;
    }
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = say_words;
    protocol.data_received = print_data;
    protocol.read_connection_lost = server_has_sent_all;
    protocol.connection_lost = say_goodbye;
    lariat_deferred *connected = lariat_reactor_connect(client->reactor, client->endpoint, &protocol, client);
    if (connected == NULL)                                   /* what is given is no endpoint, say */
        give_up(client, lariat_last_error_message());
    lariat_deferred_add_errback(connected, cannot_connect, client);              /* a NULL does no harm */
    lariat_deferred_release(connected);                      /* say_words has the connection; we wait for no more */
}

static void start_first_client(void *user_data) {
    start_client(user_data);
}

/* ---- the program ---- */

static int usage(void) {
    fprintf(stderr, "echo listen ENDPOINT | echo connect ENDPOINT WORDS | echo --demo\n");
    return 2;
}

int main(int argc, char **argv) {
    const char *demo[] = {NULL, "hello", "hello from another client", NULL};
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    int listens = demonstrates || strcmp(argv[1], "listen") == 0;
    int connects = demonstrates || strcmp(argv[1], "connect") == 0;
    if ((!listens && !connects) || (!demonstrates && argc != (connects ? 4 : 3)))
        return usage();

    lariat_reactor *reactor = lariat_reactor_new();
    char address[128];
    const char *endpoint = demonstrates ? "tcp://127.0.0.1:0" : argv[2];
    if (listens) {
        lariat_listener *listener = serve(reactor, endpoint);
        if (listener == NULL) {
            fprintf(stderr, "%s\n", lariat_last_error_message());
            lariat_reactor_free(reactor);
            return 1;
        }
        lariat_listener_address(listener, address, sizeof address, NULL);
        endpoint = address;                                  /* fit to be connected to */
        if (!demonstrates)
            printf("Listening at %s\n", address);
        fflush(stdout);
    }
    client client = {.reactor = reactor, .endpoint = endpoint, .words = demonstrates ? demo : (const char **)argv + 2};
    if (connects)
        lariat_reactor_call_when_running(reactor, start_first_client, &client);
    lariat_status status = lariat_reactor_run(reactor);
    lariat_status freed = lariat_reactor_free(reactor);
    return status != LARIAT_OK || freed != LARIAT_OK || client.failed;
}
