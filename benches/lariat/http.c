/* The HTTP, TLS and WebSocket workloads: servers for http_load.py and net_client.c, see http.h. */
#include "../http.h"
#include "bench.h"

static lariat_deferred *hello(lariat_http_request *request, void *user_data) {
    (void)user_data;
    OK(lariat_http_request_respond(request, 200, HELLO_TYPE, (const uint8_t *)HELLO, strlen(HELLO)));
    return NULL;
}

static lariat_http_server *server_of(lariat_http_router **router) {
    lariat_http_server *server;
    MADE(reactor = lariat_reactor_new());
    MADE(server = lariat_http_server_new(reactor, NULL));
    if (router == NULL) {
        OK(lariat_http_server_set_handler(server, hello, NULL));
    } else {
        MADE(*router = lariat_http_router_new(reactor));
        OK(lariat_http_server_set_router(server, *router));
    }
    return server;
}

static char endpoint[64];

static void http_hello(void) {
    lariat_listener *listener;
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:0?backlog=%d", BACKLOG);
    MADE(listener = lariat_http_server_listen(server_of(NULL), endpoint));
    announce(lariat_listener_port(listener));
    OK(lariat_reactor_run(reactor));
}

/* The file below www, and the greeting. */
static void tls(void) {
    const char *folder = getenv("BENCH_FOLDER");
    char certificate[512], key[512], www[512];
    lariat_tls_identity identity;
    lariat_tls_server_options options;
    lariat_tls_configuration *configuration;
    lariat_http_router *router;
    lariat_http_server *server = server_of(&router);
    lariat_listener *listener;
    CHECK(folder != NULL);
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    snprintf(www, sizeof www, "%s/www", folder);
    OK(lariat_tls_identity_init(&identity, sizeof identity));
    identity.certificate_file = certificate;
    identity.private_key_file = key;
    OK(lariat_tls_server_options_init(&options, sizeof options));
    options.identities = &identity;
    options.identity_count = 1;
    MADE(configuration = lariat_tls_configuration_new_server(&options));
    OK(lariat_http_router_add(router, "GET", "/", hello, NULL));
    OK(lariat_http_router_add_files(router, "/", www, 0));
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:0?backlog=%d", BACKLOG);
    MADE(listener = lariat_http_server_listen_tls(server, endpoint, configuration));
    announce(lariat_listener_port(listener));
    OK(lariat_reactor_run(reactor));
}

/* ---- WebSocket, for net_client.c ---- */

static void on_message(lariat_websocket *websocket, int32_t kind, const uint8_t *data, size_t len, void *self) {
    (void)self;
    OK(lariat_websocket_send(websocket, kind, data, len));
}

static lariat_deferred *accept_websocket(lariat_http_request *request, void *protocol) {
    MADE(lariat_http_request_accept_websocket(request, NULL, protocol, NULL));
    return NULL;
}

static void websocket_echo(void) {
    static lariat_websocket_protocol protocol;
    lariat_listener *listener;
    lariat_http_server *server = server_of(NULL);
    OK(lariat_websocket_protocol_init(&protocol, sizeof protocol));
    protocol.message_received = on_message;
    OK(lariat_http_server_set_handler(server, accept_websocket, &protocol));
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:0?backlog=%d", BACKLOG);
    MADE(listener = lariat_http_server_listen(server, endpoint));
    announce(lariat_listener_port(listener));
    OK(lariat_reactor_run(reactor));
}

static const struct workload workloads[] = {
    {"http_hello", http_hello}, {"websocket_echo", websocket_echo}, {"tls_bulk", tls}, {"tls_handshake", tls}, {"tls_resumption", tls}};
BENCH_MAIN(workloads)
