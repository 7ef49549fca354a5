/* FAILURES.md, rows 29, 38 and 39 for TLS, and peers that do not speak it. Who stands between or at the other end is a raw socket. */
#include "streams.h"
#include "tls.h"

enum { KILOBYTE = 1024, MEGABYTE = 1 << 20 };

/* ---- who does not get through a handshake ------------------------------------------------------------------------------------------- */

typedef struct refused {
    int count;
    int32_t code;
    char message[1024];
} refused;

static void on_refused(lariat_listener *listener, const lariat_failure *failure, void *user_data) {
    refused *one = user_data;
    CHECK(lariat_listener_port(listener) > 0);
    one->count++;
    one->code = lariat_failure_code(failure);
    snprintf(one->message, sizeof one->message, "%s", lariat_failure_message(failure));
}

/* A listener whose connections are told of by their failures. */
typedef struct watched {
    lariat_reactor *reactor;
    lariat_listener *listener;
    refused refused;
    server one;
    side served;
} watched;

static void watched_open(watched *all, const char *certificate, const char *options) {
    all->reactor = real_reactor();
    all->one = (server){.sides = &all->served, .room = 1};
    all->served.name = "s";
    all->listener = listen_at(all->reactor, tls_server(certificate, options), PLAIN, &all->one);
    CHECK_OK(lariat_listener_set_handshake_failed(all->listener, on_refused, &all->refused));
}

static void watched_close(watched *all) {
    until(all->reactor, lariat_listener_connections(all->listener) == 0);
    bytes_free(&all->served.got);
    stop_listening(all->reactor, all->listener);
    reactor_done(all->reactor);
}

/* ---- 38: ends without close_notify ---------------------------------------------------------------------------------------------------- */

/* Between a client and a server: it passes on what it reads, and can stop. */
typedef struct between {
    int listening, port, to_client, to_server;
    uint8_t space[64 * KILOBYTE];
    size_t passed; /* to the client */
    size_t spoil;  /* from this byte on what goes to the client is another */
} between;

static void between_pass_one_way(between *one, int from, int to, int is_to_client) {
    ssize_t length = read(from, one->space, sizeof one->space);
    if (length <= 0) return;
    for (ssize_t i = 0; is_to_client && i < length; i++)
        if (one->spoil && one->passed + (size_t)i >= one->spoil) one->space[i] ^= 0x55;
    if (is_to_client) one->passed += (size_t)length;
    for (ssize_t at = 0; at < length;) {
        ssize_t sent = write(to, one->space + at, (size_t)(length - at));
        if (sent > 0) at += sent;
        else if (errno != EAGAIN) return;
    }
}

static int between_pass(between *one, int server_port) {
    if (one->to_client < 0) {
        one->to_client = raw_accept(one->listening);
        if (one->to_client >= 0) one->to_server = raw_connect_port(server_port);
        return 0;
    }
    between_pass_one_way(one, one->to_client, one->to_server, 0);
    between_pass_one_way(one, one->to_server, one->to_client, 1);
    return 0;
}

static void between_open(between *one) {
    *one = (between){.to_client = -1, .to_server = -1};
    one->listening = raw_listen(&one->port);
}

static void between_close(between *one) {
    int fds[] = {one->listening, one->to_client, one->to_server};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0) close(fds[i]);
}

static const char *between_endpoint(between *one) {
    static char endpoint[2048];
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d?ca=%s", one->port, tls_file("ca.pem"));
    return endpoint;
}

/* An end of TCP in good order, of which TLS knows nothing: whoever is between may have made it. */
TEST(f38_an_end_without_close_notify_is_told_apart) {
    for (int is_half = 0; is_half < 2; is_half++) {
        watched all = {0};
        between cut;
        side own = {.name = "c"};
        outcome connecting;
        watched_open(&all, "server", "");
        between_open(&cut);
        int port = lariat_listener_port(all.listener);
        begin_connecting(all.reactor, between_endpoint(&cut), is_half, &own, &connecting);
        until(all.reactor, between_pass(&cut, port) || (connecting.fired && all.served.made));
        CHECK_STR(connecting.message, "");
        write_text(all.served.transport, "all but the end");
        until(all.reactor, between_pass(&cut, port) || own.got.length == 15);
        CHECK_INT(shutdown(cut.to_client, SHUT_WR), 0);
        CHECK_INT(shutdown(cut.to_server, SHUT_WR), 0);
        until(all.reactor, own.freed && all.served.freed);
        CHECK_INT(own.read_lost, 0);
        CHECK_CONTAINS(own.message, "close_notify");
        CHECK_CONTAINS(own.message, "127.0.0.1");
        side_over(&own, LARIAT_ERR_TRUNCATED);
        side_over(&all.served, LARIAT_ERR_TRUNCATED);
        CHECK_INT(all.refused.count, 0);
        between_close(&cut);
        watched_close(&all);
    }
}

TEST(f38_what_came_before_a_cut_is_handed_over) {
    watched all = {0};
    between cut;
    side own = {.name = "c"};
    outcome connecting;
    uint8_t *data = pattern_new(MEGABYTE, 1);
    watched_open(&all, "server", "");
    between_open(&cut);
    int port = lariat_listener_port(all.listener);
    begin_connecting(all.reactor, between_endpoint(&cut), PLAIN, &own, &connecting);
    until(all.reactor, between_pass(&cut, port) || (connecting.fired && all.served.made));
    CHECK_OK(lariat_transport_write(all.served.transport, data, MEGABYTE));
    until(all.reactor, between_pass(&cut, port) || cut.passed > MEGABYTE / 2);
    CHECK_INT(shutdown(cut.to_client, SHUT_WR), 0);
    until(all.reactor, own.freed);
    CHECK(own.got.length > MEGABYTE / 4 && own.got.length < MEGABYTE);
    CHECK_PATTERN(own.got.data, own.got.length, 1);
    side_over(&own, LARIAT_ERR_TRUNCATED);
    between_close(&cut);
    until(all.reactor, all.served.freed);
    free(data);
    watched_close(&all);
}

TEST(f38_bytes_that_were_changed_on_the_way_end_the_connection) {
    watched all = {0};
    between cut;
    side own = {.name = "c"};
    outcome connecting;
    watched_open(&all, "server", "");
    between_open(&cut);
    int port = lariat_listener_port(all.listener);
    begin_connecting(all.reactor, between_endpoint(&cut), PLAIN, &own, &connecting);
    until(all.reactor, between_pass(&cut, port) || (connecting.fired && all.served.made));
    write_text(all.served.transport, "good");
    until(all.reactor, between_pass(&cut, port) || own.got.length == 4);
    cut.spoil = cut.passed + 10;
    write_text(all.served.transport, "spoilt on the way");
    until(all.reactor, between_pass(&cut, port) || (own.freed && all.served.freed));
    CHECK_INT(own.got.length, 4);
    side_over(&own, LARIAT_ERR_TLS);
    CHECK_CONTAINS(all.served.message, "bad_record_mac");
    side_over(&all.served, LARIAT_ERR_TLS_ALERT);
    between_close(&cut);
    watched_close(&all);
}

/* ---- 29, 38: handshakes that stall ---------------------------------------------------------------------------------------------------- */

TEST(f29_f38_a_client_that_says_nothing_is_not_waited_for) {
    watched all = {0};
    watched_open(&all, "server", "&handshake_timeout=0.05");
    int silent = raw_connect(all.listener);
    until(all.reactor, all.refused.count == 1);
    CHECK_STATUS(all.refused.code, LARIAT_ERR_TIMED_OUT);
    CHECK_CONTAINS(all.refused.message, "the TLS handshake was not over within 0.05 s");
    CHECK_CONTAINS(all.refused.message, "connection with 127.0.0.1:");
    CHECK_INT(all.one.count, 0);
    close(silent);
    watched_close(&all);
}

/* A byte now and then is no progress. */
TEST(f29_f38_a_client_that_drips_is_not_waited_for) {
    watched all = {0};
    size_t at = 0;
    watched_open(&all, "server", "&handshake_timeout=0.2");
    int slow = raw_connect(all.listener);
    static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    until(all.reactor, (at < sizeof hello && (at += write(slow, hello + at, 1) == 1) > sizeof hello) || all.refused.count == 1);
    CHECK_INT(at, sizeof hello);
    CHECK_STATUS(all.refused.code, LARIAT_ERR_TIMED_OUT);
    close(slow);
    watched_close(&all);
}

TEST(f38_a_server_that_says_nothing_is_not_waited_for) {
    lariat_reactor *reactor = real_reactor();
    side own = {.name = "c"};
    outcome connecting;
    char endpoint[128];
    int port, listening = raw_listen(&port), accepted = -1;
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d?insecure_no_verification=1&handshake_timeout=0.05", port);
    begin_connecting(reactor, endpoint, PLAIN, &own, &connecting);
    until(reactor, (accepted < 0 && (accepted = raw_accept(listening)) < 0 && 0) || connecting.fired);
    CHECK_STATUS(connecting.code, LARIAT_ERR_TIMED_OUT);
    snprintf(endpoint, sizeof endpoint, "connecting to 127.0.0.1:%d: ", port);
    CHECK_CONTAINS(connecting.message, endpoint);
    CHECK_CONTAINS(connecting.message, "the TLS handshake was not over within 0.05 s");
    CHECK_INT(own.freed, 1);
    CHECK_INT(own.made, 0);
    close(accepted), close(listening);
    reactor_done(reactor);
}

/* The time for all of connecting ends the handshake, too. */
TEST(f38_the_timeout_of_the_endpoint_holds_for_the_handshake) {
    lariat_reactor *reactor = real_reactor();
    side own = {.name = "c"};
    outcome connecting;
    char endpoint[128];
    int port, listening = raw_listen(&port), accepted = -1;
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d?insecure_no_verification=1&timeout=0.05", port);
    begin_connecting(reactor, endpoint, PLAIN, &own, &connecting);
    until(reactor, (accepted < 0 && (accepted = raw_accept(listening)) < 0 && 0) || connecting.fired);
    CHECK_STATUS(connecting.code, LARIAT_ERR_TIMED_OUT);
    CHECK_INT(own.freed, 1);
    close(accepted), close(listening);
    reactor_done(reactor);
}

TEST(f38_a_handshake_that_is_cut_is_told) {
    for (int is_reset = 0; is_reset < 2; is_reset++) {
        watched all = {0};
        watched_open(&all, "server", "");
        int fd = raw_connect(all.listener);
        CHECK_INT(write(fd, "\26\3\1\2\0\1", 6), 6);
        turns(all.reactor, 5);
        struct linger now = {1, 0};
        if (is_reset) CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        close(fd);
        until(all.reactor, all.refused.count == 1);
        CHECK_STATUS(all.refused.code, LARIAT_ERR_CONNECTION_LOST);
        if (!is_reset) CHECK_CONTAINS(all.refused.message, "in the middle of the TLS handshake");
        watched_close(&all);
    }
}

/* Those who are silent hold up nobody: new clients are served meanwhile. */
TEST(f29_new_clients_are_served_beside_those_who_are_silent) {
    watched all = {0};
    int silent[200];
    watched_open(&all, "server", "&handshake_timeout=60");
    for (int i = 0; i < 200; i++) silent[i] = raw_connect(all.listener);
    until(all.reactor, lariat_listener_connections(all.listener) == 200);
    side own = {.name = "c"};
    connected(all.reactor, tls_client(all.listener, ""), PLAIN, &own);
    until(all.reactor, all.served.made);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(all.reactor, own.freed && all.served.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&all.served, LARIAT_CONNECTION_DONE);
    for (int i = 0; i < 200; i++) close(silent[i]);
    until(all.reactor, all.refused.count == 200);
    watched_close(&all);
}

/* ---- 38: floods -------------------------------------------------------------------------------------------------------------------------- */

TEST(f38_changes_of_keys_without_anything_sent_are_limited) {
    pair both = {.reactor = real_reactor()};
    pair_open(&both, "", "", PLAIN);
    CHECK_OK(lariat_transport_pause_reading(both.own.transport));
    for (int i = 0; i < 100 && both.own.transport; i++)
        if (lariat_transport_tls_update_keys(both.own.transport) != LARIAT_OK) break;
    until(both.reactor, both.served.freed);
    CHECK_CONTAINS(both.served.message, "changed its keys too often");
    if (both.own.transport) lariat_transport_resume_reading(both.own.transport);
    until(both.reactor, both.own.freed);
    CHECK(both.own.reason == LARIAT_ERR_TRUNCATED || both.own.reason == LARIAT_ERR_CONNECTION_LOST);
    pair_close(&both, LARIAT_ERR_LIMIT, both.own.reason);
}

/* ---- 39: certificates ------------------------------------------------------------------------------------------------------------------- */

static const struct { const char *certificate, *options; int32_t code; const char *words[2]; const char *alert; } bad_servers[] = {
    {"expired", "", LARIAT_ERR_CERTIFICATE_EXPIRED, {"has expired", "2021-01-01 00:00:00 UTC"}, "certificate_expired"},
    {"not_yet", "", LARIAT_ERR_CERTIFICATE_EXPIRED, {"not valid yet", "2110-01-01 00:00:00 UTC"}, "certificate_expired"},
    {"wrong_name", "", LARIAT_ERR_CERTIFICATE_NAME, {"for elsewhere.test, www.elsewhere.test, not for 127.0.0.1", ""}, "certificate"},
    {"server", "&server_name=other.test", LARIAT_ERR_CERTIFICATE_NAME, {"localhost", "not for other.test"}, "certificate"},
    {"unknown", "", LARIAT_ERR_CERTIFICATE_ISSUER, {"issued by nobody that is trusted", ""}, "unknown_ca"},
    {"device", "&server_name=device.test", LARIAT_ERR_CERTIFICATE_ISSUER, {"issued by nobody that is trusted", ""}, "unknown_ca"},
    {"client", "", LARIAT_ERR_CERTIFICATE_INVALID, {"not valid", "server authentication"}, "certificate"},
};

TEST(f39_a_certificate_that_is_not_good_fails_and_says_why) {
    for (size_t i = 0; i < sizeof bad_servers / sizeof *bad_servers; i++) {
        watched all = {0};
        side own = {.name = "c"};
        outcome connecting;
        char words[64];
        watched_open(&all, bad_servers[i].certificate, "");
        begin_connecting(all.reactor, tls_client(all.listener, bad_servers[i].options), PLAIN, &own, &connecting);
        until(all.reactor, connecting.fired && all.refused.count);
        CHECK_STATUS(connecting.code, bad_servers[i].code);
        snprintf(words, sizeof words, "connecting to 127.0.0.1:%d: ", (int)lariat_listener_port(all.listener));
        CHECK_CONTAINS(connecting.message, words);
        for (int word = 0; word < 2; word++) CHECK_CONTAINS(connecting.message, bad_servers[i].words[word]);
        CHECK_INT(own.made, 0);
        CHECK_INT(own.freed, 1);
        /* The server hears it from the client. */
        CHECK_STATUS(all.refused.code, LARIAT_ERR_TLS_ALERT);
        CHECK_CONTAINS(all.refused.message, bad_servers[i].alert);
        CHECK_INT(all.one.count, 0);
        watched_close(&all);
    }
}

TEST(f39_protocols_that_do_not_go_together_fail_on_both_sides) {
    watched all = {0};
    side own = {.name = "c"};
    outcome connecting;
    watched_open(&all, "server", "&alpn=h2,http/1.1");
    begin_connecting(all.reactor, tls_client(all.listener, "&alpn=spdy/3"), PLAIN, &own, &connecting);
    until(all.reactor, connecting.fired && all.refused.count);
    CHECK_STATUS(connecting.code, LARIAT_ERR_ALPN);
    CHECK_CONTAINS(connecting.message, "no_application_protocol (120)");
    CHECK_STATUS(all.refused.code, LARIAT_ERR_ALPN);
    CHECK_INT(own.freed, 1);
    watched_close(&all);
    /* Who says nothing of it is let in. */
    pair both = {.reactor = real_reactor()};
    pair_open(&both, "&alpn=h2", "", PLAIN);
    CHECK_TLS_TEXT(alpn, both.own.transport, "");
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

static const char *identity_options(const char *name, const char *more) {
    static char options[4096];
    char pem[64], key[64];
    snprintf(pem, sizeof pem, "%s.pem", name), snprintf(key, sizeof key, "%s.key", name);
    snprintf(options, sizeof options, "&certificate=%s&private_key=%s%s", tls_file(pem), tls_file(key), more);
    return options;
}

static void say_hello(side *own) { write_text(own->transport, "hello"); }

/* With TLS 1.3 a client knows nothing of it before the server's answer: it is made, and then lost with the alert. */
TEST(f39_clients_without_a_good_certificate_are_not_let_in) {
    static const struct { const char *client, *wanted; int32_t code; const char *alert; } bad[] = {
        {NULL, "required", LARIAT_ERR_CERTIFICATE_MISSING, "certificate_required"},
        {"unknown_client", "required", LARIAT_ERR_CERTIFICATE_ISSUER, "unknown_ca"},
        {"unknown_client", "optional", LARIAT_ERR_CERTIFICATE_ISSUER, "unknown_ca"},
        {"server", "required", LARIAT_ERR_CERTIFICATE_INVALID, "certificate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        watched all = {0};
        side own = {.name = "c", .on_made = say_hello};
        char options[2048];
        snprintf(options, sizeof options, "&client_ca=%s&client_certificates=%s", tls_file("ca.pem"), bad[i].wanted);
        watched_open(&all, "server", options);
        connected(all.reactor, tls_client(all.listener, bad[i].client ? identity_options(bad[i].client, "") : ""), PLAIN, &own);
        until(all.reactor, own.freed && all.refused.count);
        CHECK_STATUS(all.refused.code, bad[i].code);
        CHECK_INT(all.one.count, 0);
        CHECK_CONTAINS(own.message, bad[i].alert);
        side_over(&own, LARIAT_ERR_TLS_ALERT);
        watched_close(&all);
    }
}

TEST(f39_a_certificate_that_is_not_pinned_fails) {
    watched all = {0};
    side own = {.name = "c"};
    outcome connecting;
    watched_open(&all, "server", "");
    begin_connecting(all.reactor,
                     tls_client(all.listener, "&pin=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), PLAIN, &own, &connecting);
    until(all.reactor, connecting.fired && all.refused.count);
    CHECK_STATUS(connecting.code, LARIAT_ERR_CERTIFICATE_PIN);
    CHECK_INT(own.freed, 1);
    watched_close(&all);
}

/* What the system trusts does not include the tests' authority. */
TEST(f39_the_systems_roots_are_asked_unless_said_otherwise) {
    watched all = {0};
    side own = {.name = "c"};
    outcome connecting;
    char endpoint[256];
    CHECK_INT(setenv("SSL_CERT_FILE", tls_file("other_ca.pem"), 1), 0);
    watched_open(&all, "server", "");
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d", (int)lariat_listener_port(all.listener));
    begin_connecting(all.reactor, endpoint, PLAIN, &own, &connecting);
    until(all.reactor, connecting.fired && all.refused.count);
    CHECK_STATUS(connecting.code, LARIAT_ERR_CERTIFICATE_ISSUER);
    watched_close(&all);
    all = (watched){0};
    watched_open(&all, "unknown", "");
    own = (side){.name = "c"};
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d", (int)lariat_listener_port(all.listener));
    connected(all.reactor, endpoint, PLAIN, &own);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(all.reactor, own.freed && all.served.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&all.served, LARIAT_CONNECTION_DONE);
    watched_close(&all);
}

/* ---- who does not speak TLS --------------------------------------------------------------------------------------------------------------- */

TEST(f38_a_client_that_does_not_speak_it_is_refused) {
    static const char *const said[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\26\3\1\377\377\1", "\0\0\0\0\0\0\0\0\0\0", "\25\3\3\0\2\2\50",
                                       "\27\3\3\0\5hello"};
    static const size_t lengths[] = {27, 6, 10, 7, 10};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        watched all = {0};
        watched_open(&all, "server", "");
        int fd = raw_connect(all.listener);
        CHECK_INT(write(fd, said[i], lengths[i]), lengths[i]);
        until(all.reactor, all.refused.count == 1);
        CHECK_STATUS(all.refused.code, i == 3 ? LARIAT_ERR_TLS_ALERT : LARIAT_ERR_TLS);
        if (i == 3) CHECK_CONTAINS(all.refused.message, "handshake_failure (40)");
        CHECK_INT(all.one.count, 0);
        close(fd);
        watched_close(&all);
    }
}

TEST(f38_a_server_that_does_not_speak_it_is_refused) {
    lariat_reactor *reactor = real_reactor();
    side served = {.name = "s"}, own = {.name = "c"};
    server one = {.sides = &served, .room = 1};
    outcome connecting;
    char endpoint[256];
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    served.on_made = say_hello;
    snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d?insecure_no_verification=1", (int)lariat_listener_port(listener));
    begin_connecting(reactor, endpoint, PLAIN, &own, &connecting);
    until(reactor, connecting.fired && served.freed);
    CHECK_STATUS(connecting.code, LARIAT_ERR_TLS);
    CHECK_INT(own.freed, 1);
    side_over(&served, served.reason);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

/* Random bytes in the place of a hello, and behind the head of a record: never a crash, always an end. */
TEST(f38_garbage_ends_every_handshake) {
    unsigned state = 12345;
    watched all = {0};
    watched_open(&all, "server", "");
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[600];
        int fd = raw_connect(all.listener);
        for (size_t at = 0; at < sizeof bytes; at++) bytes[at] = (uint8_t)((state = state * 1103515245 + 12345) >> 16);
        if (i % 2) memcpy(bytes, "\26\3\1\2\123\1\0\2\117\3\3", 11);
        CHECK_INT(write(fd, bytes, sizeof bytes), sizeof bytes);
        shutdown(fd, SHUT_WR);
        until(all.reactor, all.refused.count == i + 1);
        close(fd);
    }
    CHECK_INT(all.one.count, 0);
    watched_close(&all);
}

/* ---- handshakes and limits ------------------------------------------------------------------------------------------------------------------ */

TEST(handshakes_count_among_the_connections) {
    watched all = {0};
    watched_open(&all, "server", "");
    CHECK_OK(lariat_listener_set_max_connections(all.listener, 2));
    int fds[3];
    for (int i = 0; i < 3; i++) fds[i] = raw_connect(all.listener);
    until(all.reactor, lariat_listener_connections(all.listener) == 2);
    turns(all.reactor, 20);
    CHECK_INT(lariat_listener_connections(all.listener), 2);
    close(fds[0]);
    until(all.reactor, all.refused.count == 1);
    until(all.reactor, lariat_listener_connections(all.listener) == 2);
    close(fds[1]), close(fds[2]);
    until(all.reactor, all.refused.count == 3);
    watched_close(&all);
}

/* Its listener is over before it has got through: nobody is there to serve it. */
TEST(a_handshake_does_not_outlive_its_listener) {
    lariat_reactor *reactor = real_reactor();
    server none = {0};
    lariat_listener *listener = listen_at(reactor, tls_server("server", ""), PLAIN, &none);
    int fd = raw_connect(listener);
    until(reactor, lariat_listener_connections(listener) == 1);
    stop_listening(reactor, listener);
    close(fd);
    until(reactor, reactor_stats(reactor).transports == 0);
    reactor_done(reactor);
}

TEST(what_is_told_of_failed_handshakes_frees_its_data) {
    watched all = {0};
    watched_open(&all, "server", "");
    void *first = token_new("first"), *second = token_new("second");
    CHECK_OK(lariat_listener_set_handshake_failed_full(all.listener, on_refused, first, token_free));
    CHECK_OK(lariat_listener_set_handshake_failed_full(all.listener, on_refused, second, token_free));
    CHECK(token_freed_here(first));
    CHECK(token_alive(second));
    watched_close(&all);
    CHECK(token_freed_here(second));
}
