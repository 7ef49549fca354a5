/* What programs that others wrote talk to: each message is sent back as it came.
 *
 *     websocket_echo server ENDPOINT          prints where it listens, and serves until it is killed
 *     websocket_echo client URL [OFFER...]    connects, and prints how it was closed; an OFFER is deflate, alone (no context
 *                                             is taken over), 9 (window bits, to 15), or the name of a subprotocol
 *     websocket_echo autobahn URL AGENT       goes through the cases of Autobahn's fuzzing server */
#include <inttypes.h>
#include <lariat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lariat_reactor *reactor;
static lariat_websocket_options options;
static const char *base, *agent;
static long cases, next_case;

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, lariat_last_error_message());
    exit(1);
}

static void echo(lariat_websocket *websocket, int32_t kind, const uint8_t *data, size_t len, void *self) {
    (void)self;
    lariat_websocket_send(websocket, kind, data, len);
}

static void counted(lariat_websocket *websocket, int32_t kind, const uint8_t *data, size_t len, void *self) {
    (void)websocket, (void)kind, (void)self;
    cases = 0;
    for (size_t i = 0; i < len; i++) cases = cases * 10 + (data[i] - '0');
}

static void go_on(void);

static void closed(lariat_websocket *websocket, int32_t code, const char *reason, const lariat_failure *failure, void *self) {
    (void)websocket, (void)code, (void)reason, (void)failure, (void)self;
    go_on();
}

static void over(lariat_websocket *websocket, int32_t code, const char *reason, const lariat_failure *failure, void *self) {
    (void)websocket, (void)self;
    printf("closed %d (%s), %s\n", (int)code, reason, lariat_status_name(lariat_failure_code(failure)));
    lariat_reactor_stop(reactor);
}

static void *not_connected(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)user_data;
    fprintf(stderr, "%s\n", lariat_failure_message(failure));
    exit(1);
}

/* The number of cases, then each of them, then the report. */
static void go_on(void) {
    char url[256];
    if (cases < 0) snprintf(url, sizeof url, "%s/getCaseCount", base);
    else if (next_case < cases) snprintf(url, sizeof url, "%s/runCase?case=%ld&agent=%s", base, ++next_case, agent);
    else if (next_case++ == cases) snprintf(url, sizeof url, "%s/updateReports?agent=%s", base, agent);
    else {
        lariat_reactor_stop(reactor);
        return;
    }
    lariat_websocket_protocol protocol;
    lariat_websocket_protocol_init(&protocol, sizeof protocol);
    protocol.message_received = cases < 0 ? counted : echo;
    protocol.closed = closed;
    lariat_deferred *deferred = lariat_reactor_connect_websocket(reactor, url, &options, &protocol, NULL);
    if (!deferred) fail(url);
    lariat_deferred_add_errback(deferred, not_connected, NULL);
    lariat_deferred_release(deferred);
}

static void *say_connected(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)user_data;
    const char *subprotocol = lariat_websocket_subprotocol(value);
    printf("connected, %s, %s\n", lariat_websocket_is_compressed(value) ? "compressed" : "plain", subprotocol ? subprotocol : "no subprotocol");
    fflush(stdout);
    return NULL;
}

static void connect_to(const char *url, char **offers) {
    static const char *subprotocols[16];
    size_t count = 0;
    options.compression = LARIAT_WEBSOCKET_COMPRESSION_NONE;
    for (; *offers; offers++) {
        if (strcmp(*offers, "deflate") == 0) options.compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE;
        else if (strcmp(*offers, "alone") == 0) options.no_context_takeover = options.peer_no_context_takeover = 1;
        else if (atoi(*offers) != 0) options.window_bits = options.peer_window_bits = atoi(*offers);
        else if (count < 15) subprotocols[count++] = *offers;
    }
    options.subprotocols = subprotocols;
    lariat_websocket_protocol protocol;
    lariat_websocket_protocol_init(&protocol, sizeof protocol);
    protocol.message_received = echo;
    protocol.closed = over;
    lariat_deferred *deferred = lariat_reactor_connect_websocket(reactor, url, &options, &protocol, NULL);
    if (!deferred) fail(url);
    lariat_deferred_add_callbacks(deferred, say_connected, not_connected, NULL);
    lariat_deferred_release(deferred);
}

static lariat_deferred *accept_it(lariat_http_request *request, void *user_data) {
    (void)user_data;
    lariat_websocket_protocol protocol;
    lariat_websocket_protocol_init(&protocol, sizeof protocol);
    protocol.message_received = echo;
    lariat_http_request_accept_websocket(request, &options, &protocol, NULL);
    return NULL;
}

static void serve(const char *endpoint) {
    static const char *const subprotocols[] = {"superchat", "chat", NULL};
    options.subprotocols = subprotocols;
    lariat_http_server *server = lariat_http_server_new(reactor, NULL);
    lariat_http_server_set_handler(server, accept_it, NULL);
    lariat_listener *listener = lariat_http_server_listen(server, endpoint);
    if (!listener) fail(endpoint);
    printf("Listening at port %d\n", (int)lariat_listener_port(listener));
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *mode = argc > 2 ? argv[1] : "";
    reactor = lariat_reactor_new();
    lariat_websocket_options_init(&options, sizeof options);
    options.compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE;
    options.compression_threshold = 0;
    if (strcmp(mode, "server") == 0) serve(argv[2]);
    else if (strcmp(mode, "client") == 0) connect_to(argv[2], argv + 3);
    else if (strcmp(mode, "autobahn") == 0 && argc > 3) {
        base = argv[2], agent = argv[3], cases = -1;
        go_on();
    } else {
        fprintf(stderr, "websocket_echo server ENDPOINT | client URL [OFFER...] | autobahn URL AGENT\n");
        lariat_reactor_free(reactor);
        return 2;
    }
    lariat_reactor_run(reactor);
    if (strcmp(mode, "autobahn") == 0) printf("%ld cases\n", cases);
    return lariat_reactor_free(reactor) != LARIAT_OK;
}
