/* What the tests of the HTTP client share: a server that is nothing but sockets of the case's own, so that it decides which bytes come when;
 * and a request whose outcome is kept. */
#ifndef LARIAT_TESTS_HTTP_CLIENT_H
#define LARIAT_TESTS_HTTP_CLIENT_H
#include "streams.h"

/* ---- the server ------------------------------------------------------------------------------------------------------------------ */

typedef struct web {
    lariat_reactor *reactor;
    int listening, port;
    char url[64]; /* "http://127.0.0.1:PORT" */
} web;

static inline web web_new(lariat_reactor *reactor) {
    web made = {.reactor = reactor};
    made.listening = raw_listen(&made.port);
    snprintf(made.url, sizeof made.url, "http://127.0.0.1:%d", made.port);
    return made;
}

static inline void web_close(web *it) { CHECK_INT(close(it->listening), 0); }

/* The next that connects. */
static inline int web_accept(web *it) {
    int fd = -1;
    until(it->reactor, (fd = raw_accept(it->listening)) >= 0);
    return fd;
}

/* Whether nobody has connected whom web_accept has not taken. */
static inline int web_is_quiet(web *it) {
    int fd;
    turns(it->reactor, 3);
    fd = raw_accept(it->listening);
    if (fd >= 0) close(fd);
    return fd < 0;
}

/* Reads the head of a request; what comes behind it may be in the text, too. It lives until the next call. */
static inline const char *web_head(web *it, int fd) {
    static bytes all;
    bytes_free(&all);
    until(it->reactor, raw_read(fd, &all) != RAW_OPEN || strstr(bytes_text(&all), "\r\n\r\n"));
    return bytes_text(&all);
}

/* Reads until this text has come. */
static inline const char *web_read_to(web *it, int fd, const char *end) {
    static bytes all;
    bytes_free(&all);
    until(it->reactor, raw_read(fd, &all) != RAW_OPEN || strstr(bytes_text(&all), end));
    return bytes_text(&all);
}

static inline int has(const char *text, const char *part) { return strstr(text, part) != NULL; }

/* Takes a connection, reads a request without a body, answers it and keeps the connection. */
static inline int web_answer(web *it, const char *answer) {
    int fd = web_accept(it);
    web_head(it, fd);
    raw_write(fd, answer);
    return fd;
}

/* ---- a request and what comes of it ---------------------------------------------------------------------------------------------- */

typedef struct got {
    int fired;          /* with a response, or a failure, and then its body */
    int32_t code;       /* of the response; 0: there was none */
    int32_t failure;    /* its code; 0: there was none */
    char message[512];  /* of the failure */
    char header[128];   /* the response's X */
    char reason[64], url[256];
    int64_t length, redirects, headers;
    bytes body;
    lariat_http_response *response;
    lariat_deferred *deferred;
    int keeps;          /* the response is taken, and its body left alone */
    void (*on_response)(struct got *);
} got;

static inline void *got_body(lariat_deferred *deferred, void *value, void *user_data) {
    got *it = user_data;
    (void)deferred;
    bytes_add(&it->body, lariat_bytes_data(value), lariat_bytes_length(value));
    it->fired++;
    return NULL;
}

static inline void *got_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    got *it = user_data;
    (void)deferred;
    it->failure = lariat_failure_code(failure);
    snprintf(it->message, sizeof it->message, "%s", lariat_failure_message(failure));
    it->fired++;
    return NULL;
}

static inline void *got_response(lariat_deferred *deferred, void *value, void *user_data) {
    got *it = user_data;
    const char *header = lariat_http_response_header(value, "X");
    it->response = value;
    it->code = lariat_http_response_code(value);
    snprintf(it->header, sizeof it->header, "%s", header ? header : "-");
    snprintf(it->reason, sizeof it->reason, "%s", lariat_http_response_reason(value));
    snprintf(it->url, sizeof it->url, "%s", lariat_http_response_url(value));
    CHECK_OK(lariat_http_response_content_length(value, &it->length));
    it->redirects = lariat_http_response_redirects(value);
    it->headers = lariat_http_response_header_count(value);
    if (it->on_response) it->on_response(it);
    if (it->keeps) {
        CHECK_PTR(lariat_deferred_take(deferred), value);
        it->fired++;
        return NULL;
    }
    return lariat_deferred_wait_for(deferred, lariat_http_response_read_body(value, 0));
}

/* What comes of a request is kept; its Deferred is released. */
static inline void test_fetch(const char *file, int line, got *it, lariat_deferred *request) {
    if (!request) test_fail(file, line, "no request: %s", lariat_last_error_message());
    it->deferred = request;
    CHECK_OK(lariat_deferred_add_callback(request, got_response, it));
    if (it->keeps) CHECK_OK(lariat_deferred_add_errback(request, got_failure, it));
    else CHECK_OK(lariat_deferred_add_callbacks(request, got_body, got_failure, it));
    CHECK_OK(lariat_deferred_release(request));
}
#define fetch(it, request) test_fetch(__FILE__, __LINE__, it, request)

static inline lariat_deferred *get(lariat_http_agent *agent, web *from, const char *path) {
    char url[512];
    snprintf(url, sizeof url, "%s%s", from->url, path);
    return lariat_http_agent_get(agent, url);
}

static inline void test_got(const char *file, int line, lariat_reactor *reactor, got *it, int32_t code, const char *body) {
    double deadline = seconds_now() + patience();
    while (!it->fired) test_turn_for(file, line, "a response", reactor, deadline);
    if (it->failure) test_fail(file, line, "it failed: %s", it->message);
    test_check_int(file, line, "fired", it->fired, 1);
    test_check_int(file, line, "the code", it->code, code);
    test_check_str(file, line, "the body", bytes_text(&it->body), body);
    bytes_free(&it->body);
}
/* It was answered so; with "" also if there was no body. */
#define expect_got(reactor, it, code, body) test_got(__FILE__, __LINE__, reactor, it, code, body)

static inline void test_got_failure(const char *file, int line, lariat_reactor *reactor, got *it, int32_t failure, const char *words) {
    double deadline = seconds_now() + patience();
    while (!it->fired) test_turn_for(file, line, "a failure", reactor, deadline);
    test_check_int(file, line, "fired", it->fired, 1);
    if (it->failure != failure)
        test_fail(file, line, "the failure is %s (%s), must be %s", lariat_status_name(it->failure), it->message, lariat_status_name(failure));
    if (!strstr(it->message, words)) test_fail(file, line, "the message is \"%s\", it lacks \"%s\"", it->message, words);
    bytes_free(&it->body);
}
/* It failed so, with these words in the message. */
#define expect_failure(reactor, it, failure, words) test_got_failure(__FILE__, __LINE__, reactor, it, failure, words)

static inline lariat_http_agent_options agent_options(void) {
    lariat_http_agent_options options;
    CHECK_OK(lariat_http_agent_options_init(&options, sizeof options));
    return options;
}

static inline lariat_http_agent *agent_with(lariat_reactor *reactor, lariat_http_agent_options options) {
    lariat_http_agent *agent = lariat_http_agent_new(reactor, &options);
    if (!agent) test_fail(__FILE__, __LINE__, "no agent: %s", lariat_last_error_message());
    return agent;
}

static inline lariat_http_request_options request_options(const char *method, const char *url) {
    lariat_http_request_options options;
    CHECK_OK(lariat_http_request_options_init(&options, sizeof options));
    options.method = method;
    options.url = url;
    return options;
}

/* Everything there is to be closed is; the peer's ends are closed by the case. */
static inline void agent_done(lariat_reactor *reactor, lariat_http_agent *agent) {
    CHECK_OK(lariat_http_agent_free(agent));
    until(reactor, reactor_stats(reactor).transports == 0);
}

/* The usual frame of a case: a reactor, an agent, a server. */
typedef struct site {
    lariat_reactor *reactor;
    lariat_http_agent *agent;
    web web;
} site;

static inline site site_with(lariat_http_agent_options options) {
    site made = {.reactor = real_reactor()};
    made.agent = agent_with(made.reactor, options);
    made.web = web_new(made.reactor);
    return made;
}

static inline site site_new(void) { return site_with(agent_options()); }

static inline void site_done(site *it) {
    agent_done(it->reactor, it->agent);
    web_close(&it->web);
    reactor_done(it->reactor);
}
#endif
