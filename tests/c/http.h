/* What the cases about the HTTP server share: a server at a port of its own, raw clients, and handlers that do one thing. */
#ifndef LARIAT_TESTS_HTTP_H
#define LARIAT_TESTS_HTTP_H
#include "streams.h"

/* A server whose responses have neither Date nor Server, so that they are always the same. */
static inline lariat_http_server_options http_options(void) {
    lariat_http_server_options options;
    CHECK_OK(lariat_http_server_options_init(&options, sizeof options));
    options.send_date = 0;
    options.server_name = "";
    return options;
}

typedef struct web {
    lariat_reactor *reactor;
    lariat_http_server *server;
    lariat_listener *listener;
    lariat_http_request *request; /* the last one that a handler of these has kept */
} web;

static inline web web_with(lariat_reactor *reactor, const lariat_http_server_options *options, lariat_http_handler_fn handler, void *data) {
    web made = {reactor, lariat_http_server_new(reactor, options), NULL, NULL};
    if (!made.server) test_fail(__FILE__, __LINE__, "no server: %s", lariat_last_error_message());
    if (handler) CHECK_OK(lariat_http_server_set_handler(made.server, handler, data));
    made.listener = lariat_http_server_listen(made.server, "http://127.0.0.1:0");
    if (!made.listener) test_fail(__FILE__, __LINE__, "the server does not listen: %s", lariat_last_error_message());
    return made;
}

static inline web web_new(lariat_http_handler_fn handler, void *data) {
    lariat_http_server_options options = http_options();
    return web_with(real_reactor(), &options, handler, data);
}

/* Stops and frees the server, and proves that nothing is left. */
static inline void web_done(web *one) {
    lariat_deferred *stopped = lariat_http_server_stop(one->server, INFINITY);
    CHECK(stopped != NULL);
    until(one->reactor, lariat_deferred_called(stopped));
    CHECK_STR(result_of(stopped), "-");
    CHECK_OK(lariat_deferred_release(stopped));
    CHECK_OK(lariat_http_server_free(one->server));
    CHECK_STATUS(lariat_http_server_free(one->server), LARIAT_ERR_STALE_HANDLE);
    turns(one->reactor, 2);
    reactor_done(one->reactor);
}

/* A client has sent this. */
static inline int client_of(web *one, const char *text) {
    int fd = raw_connect(one->listener);
    raw_write(fd, text);
    return fd;
}

/* Turns until the server has closed; all that it had sent, which is a string until the next call. */
static inline const char *read_to_end(web *one, int fd) {
    static bytes all;
    all.length = 0;
    bytes_add(&all, (const uint8_t *)"", 0);
    int how = raw_end(one->reactor, fd, &all);
    if (how != RAW_END) test_fail(__FILE__, __LINE__, "the client was cut off: %s, after \"%s\"", strerror(how), bytes_text(&all));
    CHECK_INT(close(fd), 0);
    return bytes_text(&all);
}

/* The same, cut off. */
static inline const char *read_to_reset(web *one, int fd) {
    static bytes all;
    all.length = 0;
    bytes_add(&all, (const uint8_t *)"", 0);
    CHECK_INT(raw_end(one->reactor, fd, &all), ECONNRESET);
    CHECK_INT(close(fd), 0);
    return bytes_text(&all);
}

/* A client that sends this and nothing more is answered with that, and closed. */
#define CHECK_ANSWER(web, text, want) CHECK_STR(read_to_end(web, client_of(web, text)), want)

static inline const char *body_of(const char *response) {
    const char *end = strstr(response, "\r\n\r\n");
    return end ? end + 4 : "(no body)";
}

/* ---- handlers ---- */

static inline void respond_text(lariat_http_request *request, int code, const char *text) {
    CHECK_OK(lariat_http_request_respond(request, code, "text/plain", (const uint8_t *)text, strlen(text)));
}

/* Answers with the text that it has as user_data. */
static inline lariat_deferred *say(lariat_http_request *request, void *text) {
    respond_text(request, 200, text);
    return NULL;
}

/* Answers with the target. */
static inline lariat_deferred *say_target(lariat_http_request *request, void *user_data) {
    (void)user_data;
    respond_text(request, 200, lariat_http_request_target(request));
    return NULL;
}

/* Answers later: user_data is the web. */
static inline lariat_deferred *keep_request(lariat_http_request *request, void *user_data) {
    ((web *)user_data)->request = request;
    note("got:%s", lariat_http_request_target(request));
    end_with_note(lariat_http_request_notify_finish(request), "end");
    return NULL;
}

static inline void *say_body(lariat_deferred *deferred, void *value, void *request) {
    (void)deferred;
    CHECK_OK(lariat_http_request_respond(request, 200, NULL, lariat_bytes_data(value), lariat_bytes_length(value)));
    return NULL;
}

/* Answers with the request's body. */
static inline lariat_deferred *echo_body(lariat_http_request *request, void *user_data) {
    (void)user_data;
    lariat_deferred *body = lariat_http_request_read_body(request);
    CHECK(body != NULL);
    CHECK_OK(lariat_deferred_add_callback(body, say_body, request));
    return body;
}

/* The response of `respond_text`. */
#define OK_HEAD(length) "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " #length "\r\n"
#define REFUSAL(code, reason, text, length) \
    "HTTP/1.1 " #code " " reason "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " #length "\r\nConnection: close\r\n\r\n" text
#endif
