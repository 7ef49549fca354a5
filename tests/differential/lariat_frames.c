/* What lariat's HTTP server makes of streams: reads each with its length in four bytes before it from standard input, and writes a line of
 * JSON for each; see compare.py for the form of the answer. Each stream is sent at once, and again in pieces; what is made of the second is
 * told as "pieces" where it is another thing. The network and the clock are simulated, so that a server which waits for
 * more says so at once: by running out of patience. */
#include <lariat.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                    \
    do {                                                                                                    \
        if (!(condition)) {                                                                                 \
            fprintf(stderr, "%s:%d: not so: %s: %s\n", __FILE__, __LINE__, #condition, lariat_last_error_message()); \
            exit(1);                                                                                        \
        }                                                                                                   \
    } while (0)

enum { PORT = 80, LARGEST = 1 << 20, MOST_STEPS = 1000 };

typedef struct text {
    char *data;
    size_t len, room;
} text;

static lariat_simulation *simulation;
static lariat_reactor *server_reactor, *client_reactor;
static char endpoint[128];

/* Of the stream under way. */
static text requests, answer;
static const uint8_t *stream;
static size_t stream_len, sent;
static uint32_t cuts;                                        /* 0: at once */
static int lost;
static lariat_transport *client;

static void put(text *text, const char *data, size_t len) {
    if (text->len + len + 1 > text->room) {
        text->room = 2 * (text->len + len + 1);
        CHECK((text->data = realloc(text->data, text->room)) != NULL);
    }
    memcpy(text->data + text->len, data, len);
    text->data[text->len += len] = '\0';
}

/* As JSON, each byte a character. */
static void put_quoted(text *text, const uint8_t *data, size_t len) {
    put(text, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        char character[8];
        int count = snprintf(character, sizeof character, data[i] >= ' ' && data[i] < 127 && data[i] != '"' && data[i] != '\\' ? "%c" : "\\u%04x", data[i]);
        put(text, character, (size_t)count);
    }
    put(text, "\"", 1);
}

/* ---- the server ---- */

static void *body_read(lariat_deferred *deferred, void *body, void *user_data) {
    lariat_http_request *request = user_data;
    const char *method = lariat_http_request_method(request), *target = lariat_http_request_target(request);
    (void)deferred;
    put(&requests, requests.len > 0 ? ", [" : "[", requests.len > 0 ? 3 : 1);
    put_quoted(&requests, (const uint8_t *)method, strlen(method));
    put(&requests, ", ", 2);
    put_quoted(&requests, (const uint8_t *)target, strlen(target));
    put(&requests, ", ", 2);
    put_quoted(&requests, lariat_bytes_data(body), lariat_bytes_length(body));
    put(&requests, "]", 1);
    CHECK(lariat_http_request_respond(request, 200, NULL, NULL, 0) == LARIAT_OK);
    return NULL;
}

static void *body_not_read(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)failure, (void)user_data;          /* the server has answered */
    return NULL;
}

static lariat_deferred *handle(lariat_http_request *request, void *user_data) {
    (void)user_data;
    lariat_deferred *body = lariat_http_request_read_body(request);
    CHECK(body != NULL);
    lariat_deferred_add_callbacks(body, body_read, body_not_read, request);
    lariat_deferred_release(body);
    return NULL;
}

/* ---- the client ---- */

static void send_next(void *user_data) {
    (void)user_data;
    size_t piece = stream_len - sent;
    if (lost || piece == 0) return;
    if (cuts != 0) {
        cuts = cuts * 1664525 + 1013904223;
        size_t some = cuts >> 28 == 0 ? 100 : 1 + (cuts >> 24) % 7;
        piece = some < piece ? some : piece;
    }
    lariat_transport_write(client, stream + sent, piece);
    sent += piece;
    CHECK(lariat_reactor_call_later(client_reactor, 0.02, send_next, NULL) != NULL);       /* longer than it is on its way */
}

static void client_made(lariat_transport *transport, void *self) {
    (void)self;
    client = transport;
    send_next(NULL);
}

static void client_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport, (void)self;
    put(&answer, (const char *)data, len);
}

static void client_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport, (void)reason, (void)self;
    lost = 1;
}

/* {"requests": ..., "end": ..., "why": ...} of one way to send it. */
static text frames(uint32_t how) {
    text result = {0};
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = client_made;
    protocol.data_received = client_received;
    protocol.connection_lost = client_lost;
    requests.len = answer.len = sent = 0;
    put(&requests, "", 0);
    put(&answer, "", 0);
    lost = 0;
    cuts = how;
    lariat_deferred_release(lariat_reactor_connect(client_reactor, endpoint, &protocol, NULL));
    for (int step = 0; !lost; step++) {
        CHECK(step < MOST_STEPS);
        CHECK(lariat_simulation_run(simulation, 60.0) >= 0);
    }
    /* What was answered last: there is no body but in a refusal, which is the last. */
    int code = 0, closes = 0;
    for (const char *at = answer.data; (at = strstr(at, "HTTP/1.1 ")) != NULL; at++) code = atoi(at + 9), closes = strstr(at, "onnection: close") != NULL;
    const char *end = code == 0 || code == 408 || (code < 400 && !closes) ? "waiting" : code < 400 ? "closed" : "refused";
    char line[256];
    const char *last = strrchr(answer.data, '\n');
    put(&result, "{\"requests\": [", 14);
    put(&result, requests.data, requests.len);
    snprintf(line, sizeof line, "], \"end\": \"%s\", \"why\": ", end);
    put(&result, line, strlen(line));
    int count = snprintf(line, sizeof line, "%d %.200s", code, last != NULL ? last + 1 : "");
    put_quoted(&result, (const uint8_t *)line, (size_t)count);
    return result;
}

static lariat_reactor *reactor_on(const char *host) {
    lariat_reactor_options options;
    lariat_reactor_options_init(&options, sizeof options);
    options.driver = LARIAT_DRIVER_SIMULATED;
    options.simulation = simulation;
    options.host = host;
    lariat_reactor *reactor = lariat_reactor_new_with_options(&options);
    CHECK(reactor != NULL);
    return reactor;
}

int main(void) {
    static uint8_t bytes[LARGEST];
    CHECK((simulation = lariat_simulation_new(1)) != NULL);
    server_reactor = reactor_on("server");
    client_reactor = reactor_on("client");

    lariat_http_server_options options;
    lariat_http_server_options_init(&options, sizeof options);
    options.max_header_bytes = options.max_request_line = 64 * 1024;        /* as the others have */
    options.max_headers = 256;
    options.max_body = LARGEST;
    options.min_body_rate = 0;
    lariat_http_server *server = lariat_http_server_new(server_reactor, &options);
    CHECK(server != NULL && lariat_http_server_set_handler(server, handle, NULL) == LARIAT_OK);
    char address[64];
    CHECK(lariat_simulation_host_address(simulation, "server", 4, address, sizeof address, NULL) == LARIAT_OK);
    snprintf(endpoint, sizeof endpoint, "tcp://%s:%d", address, PORT);
    CHECK(lariat_http_server_listen(server, endpoint) != NULL);

    uint8_t length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        stream_len = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3];
        CHECK(stream_len <= sizeof bytes && fread(bytes, 1, stream_len, stdin) == stream_len);
        stream = bytes;
        text at_once = frames(0), in_pieces = frames((uint32_t)stream_len * 2654435761u | 1);
        fputs(at_once.data, stdout);
        if (strcmp(at_once.data, in_pieces.data) != 0) printf(", \"pieces\": %s}", in_pieces.data);
        puts("}");
        fflush(stdout);
        free(at_once.data);
        free(in_pieces.data);
    }
    free(requests.data);
    free(answer.data);
    CHECK(lariat_reactor_free(client_reactor) == LARIAT_OK && lariat_reactor_free(server_reactor) == LARIAT_OK);
    CHECK(lariat_simulation_free(simulation) == LARIAT_OK);
    return 0;
}
