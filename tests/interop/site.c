/* A site with a page for each thing that a server of HTTP does, for clients that others wrote.
 *
 *     site ENDPOINT [CERTIFICATE KEY]
 *
 *     GET  /hello                  a text, whole
 *     GET  /stream/:count          so many lines, in chunks, as fast as the client reads
 *     GET  /later/:milliseconds    answered when so much time is over; is cancelled with the client
 *     GET  /fail                   a handler whose Deferred fails
 *     GET  /hints                  103, then 200
 *     POST /echo                   the body, as it comes
 *     POST /length                 how long the body was, once it has come; up to a limit of 1 MB
 *     GET  /state                  what became of the requests before: answered, lost
 *     GET  /upgrade                101, then an echo of lines
 *
 * SITE_SECONDS in the environment is how long it waits for slow clients. */
#include <lariat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1000000 };

static lariat_reactor *reactor;
static unsigned answered, lost;

static void respond_text(lariat_http_request *request, int code, const char *text) {
    lariat_http_request_respond(request, code, "text/plain", (const uint8_t *)text, strlen(text));
}

static lariat_deferred *hello(lariat_http_request *request, void *user_data) {
    (void)user_data;
    respond_text(request, 200, "hello\n");
    return NULL;
}

/* ---- a response as fast as it is read ---- */

typedef struct lines {
    unsigned at, count;
} lines;

static void more_lines(lariat_http_request *request, void *user_data) {
    lines *lines = user_data;
    char piece[4000];
    size_t len = 0;
    while (lines->at < lines->count && len < sizeof piece - 32) len += (size_t)sprintf(piece + len, "line %u\n", ++lines->at);
    lariat_http_request_write(request, (const uint8_t *)piece, len);
    if (lines->at < lines->count) return;
    lariat_http_request_unregister_producer(request);
    lariat_http_request_finish(request);
}

static lariat_deferred *stream(lariat_http_request *request, void *user_data) {
    lariat_http_producer producer;
    lines *lines = calloc(1, sizeof *lines);
    (void)user_data;
    lines->count = (unsigned)atoi(lariat_http_request_parameter(request, "count"));
    lariat_http_producer_init(&producer, sizeof producer);
    producer.streaming = 0;
    producer.resume_producing = more_lines;
    lariat_http_request_set_header(request, "Content-Type", "text/plain");
    lariat_http_request_register_producer_full(request, &producer, lines, free);
    return NULL;
}

/* ---- an answer that takes its time ---- */

static void *its_time(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)value;
    respond_text(user_data, 200, "later\n");
    return NULL;
}

static lariat_deferred *later(lariat_http_request *request, void *user_data) {
    double seconds = atof(lariat_http_request_parameter(request, "milliseconds")) / 1e3;
    lariat_deferred *deferred = lariat_reactor_defer_later(reactor, seconds, NULL, NULL);
    (void)user_data;
    lariat_deferred_add_callback(deferred, its_time, request);
    return deferred;
}

static lariat_deferred *fail(lariat_http_request *request, void *user_data) {
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    (void)request, (void)user_data;
    lariat_deferred_errback(deferred, 1, "it went wrong");
    return deferred;
}

static lariat_deferred *hints(lariat_http_request *request, void *user_data) {
    lariat_http_request_set_header(request, "Link", "</style.css>; rel=preload");
    lariat_http_request_send_information(request, 103);
    return hello(request, user_data);
}

/* ---- bodies ---- */

static void echo_received(lariat_http_request *request, const uint8_t *data, size_t len, void *user_data) {
    (void)user_data;
    lariat_http_request_write(request, data, len);
}

static void echo_ended(lariat_http_request *request, const lariat_failure *failure, void *user_data) {
    (void)user_data;
    if (failure == NULL) lariat_http_request_finish(request);
}

/* Too much that is not read holds up what is sent. */
static void hold_up(lariat_http_request *request, void *user_data) { (void)user_data, lariat_http_request_pause_body(request); }
static void go_on(lariat_http_request *request, void *user_data) { (void)user_data, lariat_http_request_resume_body(request); }

static lariat_deferred *echo(lariat_http_request *request, void *user_data) {
    lariat_http_producer producer;
    lariat_http_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold_up;
    producer.resume_producing = go_on;
    lariat_http_request_set_max_body(request, UINT64_MAX);
    lariat_http_request_set_header(request, "Content-Type", "application/octet-stream");
    lariat_http_request_set_body_functions(request, echo_received, echo_ended, user_data);
    lariat_http_request_register_producer(request, &producer, user_data);
    return NULL;
}

static void *body_read(lariat_deferred *deferred, void *body, void *user_data) {
    char text[32];
    (void)deferred;
    snprintf(text, sizeof text, "%zu\n", lariat_bytes_length(body));
    respond_text(user_data, 200, text);
    return NULL;
}

static lariat_deferred *length(lariat_http_request *request, void *user_data) {
    (void)user_data;
    lariat_http_request_set_max_body(request, MOST);
    lariat_deferred *body = lariat_http_request_read_body(request);
    lariat_deferred_add_callback(body, body_read, request);
    return body;
}

static lariat_deferred *state(lariat_http_request *request, void *user_data) {
    char text[64];
    (void)user_data;
    snprintf(text, sizeof text, "%u answered, %u lost\n", answered, lost);
    respond_text(request, 200, text);
    return NULL;
}

static void count(const lariat_http_access *access, void *user_data) {
    (void)user_data;
    ++*(access->failure == NULL ? &answered : &lost);
}

/* ---- another protocol ---- */

static void framed(lariat_transport *transport, void *self) {
    (void)self;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, 1000);
}

static void line_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)self;
    lariat_transport_write_frame(transport, data, len);
}

static lariat_deferred *upgrade(lariat_http_request *request, void *user_data) {
    lariat_protocol protocol;
    const char *wanted = lariat_http_request_header(request, "Upgrade");
    (void)user_data;
    if (wanted == NULL || strcmp(wanted, "lines") != 0) {
        lariat_http_request_set_header(request, "Upgrade", "lines");
        respond_text(request, 426, "by Upgrade: lines\n");
        return NULL;
    }
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = framed;
    protocol.data_received = line_received;
    lariat_http_request_set_header(request, "Upgrade", "lines");
    lariat_http_request_upgrade(request, 101, &protocol, NULL);
    return NULL;
}

int main(int argc, char **argv) {
    static const struct {
        const char *method, *pattern;
        lariat_http_handler_fn handler;
    } PAGES[] = {
        {"GET", "/hello", hello}, {"GET", "/stream/:count", stream}, {"GET", "/later/:milliseconds", later}, {"GET", "/fail", fail},
        {"GET", "/hints", hints}, {"POST", "/echo", echo},           {"POST", "/length", length},            {"GET", "/state", state},
        {"GET", "/upgrade", upgrade},
    };
    char where[128];
    if (argc != 2 && argc != 4) return 2;
    reactor = lariat_reactor_new();
    lariat_http_router *router = lariat_http_router_new(reactor);
    lariat_http_server_options options;
    lariat_http_server_options_init(&options, sizeof options);
    if (getenv("SITE_SECONDS") != NULL) options.head_seconds = options.body_seconds = options.write_seconds = atof(getenv("SITE_SECONDS"));
    lariat_http_server *server = lariat_http_server_new(reactor, &options);
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++)
        lariat_http_router_add(router, PAGES[i].method, PAGES[i].pattern, PAGES[i].handler, NULL);
    lariat_http_server_set_router(server, router);
    lariat_http_server_set_access_log(server, count, NULL);
    lariat_listener *listener;
    if (argc == 4) {
        lariat_tls_identity identity;
        lariat_tls_server_options options;
        lariat_tls_identity_init(&identity, sizeof identity);
        identity.certificate_file = argv[2];
        identity.private_key_file = argv[3];
        lariat_tls_server_options_init(&options, sizeof options);
        options.identities = &identity;
        options.identity_count = 1;
        lariat_tls_configuration *configuration = lariat_tls_configuration_new_server(&options);
        listener = lariat_http_server_listen_tls(server, argv[1], configuration);
        lariat_tls_configuration_free(configuration);
    } else {
        listener = lariat_http_server_listen(server, argv[1]);
    }
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
        return 1;
    }
    lariat_listener_address(listener, where, sizeof where, NULL);
    printf("Listening at %s\n", where);
    fflush(stdout);
    lariat_reactor_run(reactor);
    return lariat_reactor_free(reactor);
}
