/* What the tests of TLS share: the certificates of tests/tls, and pairs of connections that have it. */
#ifndef LARIAT_TESTS_TLS_H
#define LARIAT_TESTS_TLS_H
#include "sides.h"
#include "tls_files.h"

/* tls://127.0.0.1:0 with a certificate and key of tests/tls, and more options. */
static inline const char *tls_server(const char *certificate, const char *options) {
    static char endpoint[8192];
    char pem[64], key[64];
    snprintf(pem, sizeof pem, "%s.pem", certificate);
    snprintf(key, sizeof key, "%s.key", certificate);
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:0?certificate=%s&private_key=%s%s", tls_file(pem), tls_file(key), options);
    return endpoint;
}

/* Where a listener is, for a client that trusts the tests' authority. */
static inline const char *tls_client(lariat_listener *listener, const char *options) {
    static char endpoint[8192];
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d?ca=%s%s", (int)lariat_listener_port(listener), tls_file("ca.pem"), options);
    return endpoint;
}

/* ---- connecting, and how it came out ---- */

typedef struct outcome {
    int fired;
    int32_t code; /* LARIAT_OK: it is there */
    char message[1024];
} outcome;

static inline void *outcome_of(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    outcome *one = user_data;
    (void)deferred, (void)value;
    CHECK_INT(one->fired++, 0);
    one->code = failure ? lariat_failure_code(failure) : LARIAT_OK;
    snprintf(one->message, sizeof one->message, "%s", failure ? lariat_failure_message(failure) : "");
    return NULL;
}

static inline void watch_outcome(lariat_deferred *deferred, outcome *one) {
    if (!deferred) test_fail(__FILE__, __LINE__, "refused: %s", lariat_last_error_message());
    *one = (outcome){0};
    CHECK_OK(lariat_deferred_add_both(deferred, outcome_of, one));
    CHECK_OK(lariat_deferred_release(deferred));
}

static inline void begin_connecting(lariat_reactor *reactor, const char *endpoint, int is_half, side *own, outcome *one) {
    lariat_protocol protocol = side_protocol(is_half);
    watch_outcome(lariat_reactor_connect(reactor, endpoint, &protocol, own), one);
}

static inline void connected(lariat_reactor *reactor, const char *endpoint, int is_half, side *own) {
    outcome one;
    begin_connecting(reactor, endpoint, is_half, own, &one);
    until(reactor, one.fired);
    if (one.code != LARIAT_OK) test_fail(__FILE__, __LINE__, "%s: %s", endpoint, one.message);
}

/* ---- a server and a client of it, in one reactor --------------------------------------------------------------------------------- */

typedef struct pair {
    lariat_reactor *reactor;
    lariat_listener *listener;
    server one;
    side served, own;
} pair;

/* What a case has set of the sides stays. */
static inline void pair_open(pair *both, const char *server_options, const char *client_options, int is_half) {
    both->one = (server){.sides = &both->served, .room = 1};
    if (!both->served.name) both->served.name = "s";
    if (!both->own.name) both->own.name = "c";
    both->listener = listen_at(both->reactor, tls_server("server", server_options), is_half, &both->one);
    connected(both->reactor, tls_client(both->listener, client_options), is_half, &both->own);
    until(both->reactor, both->served.made);
}

static inline void pair_close(pair *both, int32_t served, int32_t own) {
    until(both->reactor, both->served.freed && both->own.freed);
    side_over(&both->served, served);
    side_over(&both->own, own);
    stop_listening(both->reactor, both->listener);
    reactor_done(both->reactor);
}

/* The bytes of a file, to be freed. */
static inline bytes tls_bytes(const char *name) {
    bytes all = {0};
    uint8_t some[512];
    FILE *file = fopen(tls_file(name), "rb");
    if (!file) test_fail(__FILE__, __LINE__, "%s: %s", tls_file(name), strerror(errno));
    for (size_t length; (length = fread(some, 1, sizeof some, file)) != 0;) bytes_add(&all, some, length);
    fclose(file);
    return all;
}

/* What a connection says of its TLS. */
#define CHECK_TLS_TEXT(what, transport, wanted)                                                  \
    do {                                                                                         \
        char test_text[256];                                                                     \
        CHECK_OK(lariat_transport_tls_##what(transport, test_text, sizeof test_text, NULL));     \
        CHECK_STR(test_text, wanted);                                                            \
    } while (0)

#define CHECK_CONTAINS(text, part)                                                                             \
    do {                                                                                                       \
        if (!strstr(text, part)) test_fail(__FILE__, __LINE__, "\"%s\" does not contain \"%s\"", text, part); \
    } while (0)
#endif
