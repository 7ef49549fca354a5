/* A server of HTTP/2 on a plain port, by a manual clock, and what its requests are answered with: by their path. */
#ifndef LARIAT_TESTS_HTTP2_SITE_H
#define LARIAT_TESTS_HTTP2_SITE_H
#include "files.h"
#undef TURN_UNTIL /* what is waited for here comes by the loopback: a turn after the other */
#include "http2_peer.h"

typedef struct site {
    lariat_reactor *reactor;
    lariat_http_server *server;
    int port;
    lariat_http_request *waiting[16]; /* those of /wait, as they came */
    int waits;
    size_t came; /* bytes of bodies */
    int calls;
    lariat_http_request *writer;
    int paused, endless;
} site;

static inline void *http2_lost(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    note("%s!%s", (char *)user_data, failure_label(failure));
    (void)deferred;
    return NULL;
}

static inline void *http2_finished(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    note("%s.", (char *)user_data);
    return value;
}

/* How it ends is a note: "name." or "name!WHY". */
static inline void http2_note_end(lariat_http_request *request, const char *name) {
    lariat_deferred *over = lariat_http_request_notify_finish(request);
    CHECK(over);
    CHECK_OK(lariat_deferred_add_callbacks(over, http2_finished, http2_lost, (void *)(uintptr_t)name));
    CHECK_OK(lariat_deferred_release(over));
}

static inline void http2_received(lariat_http_request *request, const uint8_t *data, size_t len, void *user_data) {
    (void)request, (void)data;
    ((site *)user_data)->came += len;
}

static inline void http2_ended(lariat_http_request *request, const lariat_failure *failure, void *user_data) {
    site *it = user_data;
    note("body:%zu%s%s", it->came, failure ? "!" : "", failure ? failure_label(failure) : "");
    if (!failure) CHECK_OK(lariat_http_request_respond(request, 200, "text/plain", (const uint8_t *)"thanks", 6));
}

static inline void http2_pause(lariat_http_request *request, void *user_data) {
    (void)request;
    ((site *)user_data)->paused = 1;
}

/* Writes until it is paused. */
static inline void http2_resume(lariat_http_request *request, void *user_data) {
    static uint8_t piece[10000];
    site *it = user_data;
    memset(piece, 'x', sizeof piece);
    it->paused = 0;
    for (int pieces = 0; !it->paused; pieces++) {
        CHECK(pieces < 1000);
        CHECK_OK(lariat_http_request_write(request, piece, sizeof piece));
    }
}

static inline void http2_stop(lariat_http_request *request, void *user_data) {
    (void)request, (void)user_data;
    note("stopped");
}

static inline lariat_deferred *http2_handler(lariat_http_request *request, void *user_data) {
    site *it = user_data;
    const char *path = lariat_http_request_path(request), *query = lariat_http_request_query(request);
    it->calls++;
    if (!strcmp(path, "/hello")) {
        CHECK_OK(lariat_http_request_set_header(request, "X-Query", query ? query : "none"));
        CHECK_OK(lariat_http_request_respond(request, 200, "text/plain", (const uint8_t *)"hello", 5));
    } else if (!strcmp(path, "/wait")) {
        CHECK(it->waits < 16);
        it->waiting[it->waits++] = request;
    } else if (!strcmp(path, "/echo")) {
        lariat_deferred *body = lariat_http_request_read_body(request);
        CHECK(body);
        lariat_status answered = lariat_http_request_respond_deferred(request, 200, NULL, body);
        if (answered) {
            CHECK_STATUS(answered, LARIAT_ERR_CLOSED); /* it is refused already: by its length */
            end_with_note(body, "refused");
        }
    } else if (!strcmp(path, "/drain")) {
        CHECK_OK(lariat_http_request_set_body_functions(request, http2_received, http2_ended, it));
        it->waiting[it->waits++] = request;
    } else if (!strcmp(path, "/big")) {
        size_t length = strtoul(query, NULL, 10);
        uint8_t *body = malloc(length);
        CHECK(body);
        for (size_t i = 0; i < length; i++) body[i] = (uint8_t)(i / 7);
        CHECK_OK(lariat_http_request_respond(request, 200, NULL, body, length));
        free(body);
    } else if (!strcmp(path, "/endless")) {
        lariat_http_producer producer;
        CHECK_OK(lariat_http_producer_init(&producer, sizeof producer));
        producer.pause_producing = http2_pause, producer.resume_producing = http2_resume, producer.stop_producing = http2_stop;
        CHECK_OK(lariat_http_request_register_producer(request, &producer, it));
        it->writer = request;
        http2_resume(request, it);
    } else if (!strcmp(path, "/file")) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(query, "&"), query);
        CHECK_OK(lariat_http_request_respond_file(request, folder, name, NULL));
    } else if (!strcmp(path, "/fails")) {
        lariat_deferred *failed = lariat_deferred_new(it->reactor);
        CHECK_OK(lariat_deferred_errback(failed, atoi(query), "as it was asked to"));
        return failed;
    } else {
        CHECK_OK(lariat_http_request_respond(request, 404, NULL, NULL, 0));
    }
    return NULL;
}

/* The defaults, with HTTP/2 understood on plain endpoints. */
static inline lariat_http_server_options http2_options(void) {
    lariat_http_server_options options;
    CHECK_OK(lariat_http_server_options_init(&options, sizeof options));
    options.http2_on_plain = 1;
    return options;
}

static inline site site_on(lariat_reactor *reactor, lariat_http_server_options options) {
    site made = {.reactor = reactor};
    made.server = lariat_http_server_new(made.reactor, &options);
    CHECK(made.server);
    lariat_listener *listener = lariat_http_server_listen(made.server, "http://127.0.0.1:0");
    CHECK(listener);
    char address[64];
    CHECK_OK(lariat_listener_address(listener, address, sizeof address, NULL));
    made.port = atoi(strrchr(address, ':') + 1);
    return made;
}

static inline site site_with(lariat_http_server_options options) { return site_on(manual_reactor(), options); }

static inline void site_start(site *it) { CHECK_OK(lariat_http_server_set_handler(it->server, http2_handler, it)); }

#define SITE(it, options)         \
    site it = site_with(options); \
    site_start(&it)

static inline void site_done(site *it) {
    CHECK_OK(lariat_http_server_free(it->server));
    turns(it->reactor, 3);
    reactor_done(it->reactor);
}

static inline peer *site_peer(site *it) { return peer_new(it->reactor, it->port); }

static inline void respond_text(lariat_http_request *request, int code, const char *text) {
    CHECK_OK(lariat_http_request_respond(request, code, "text/plain", (const uint8_t *)text, strlen(text)));
}
#endif
