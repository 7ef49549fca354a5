/* The HTTP client over TLS: directly, and through a proxy's tunnel. */
#include "http_client.h"
#include "tls.h"

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

typedef struct secure {
    lariat_reactor *reactor;
    lariat_tls_configuration *tls;
    lariat_listener *listener;
    side sides[2];
    server one;
    char url[64];
} secure;

static void answer(side *own) {
    if (!has(bytes_text(&own->got), "\r\n\r\n")) return;
    bytes_free(&own->got);
    write_text(own->transport, OK_TEXT);
}

static void secure_open(secure *it, lariat_reactor *reactor, const char *certificate, const char *more) {
    *it = (secure){.reactor = reactor, .sides = {{.name = "a", .on_data = answer}, {.name = "b", .on_data = answer}}};
    it->one = (server){it->sides, 2, 0, LARIAT_OK};
    it->listener = listen_at(reactor, tls_server(certificate, more), PLAIN, &it->one);
    snprintf(it->url, sizeof it->url, "https://localhost:%d/x", (int)lariat_listener_port(it->listener));
    lariat_tls_client_options options;
    CHECK_OK(lariat_tls_client_options_init(&options, sizeof options));
    options.ca_file = tls_file("ca.pem");
    options.alpn = "http/1.1";
    it->tls = lariat_tls_configuration_new_client(&options);
    CHECK(it->tls != NULL);
}

static void secure_close(secure *it) {
    for (int i = 0; i < it->one.count; i++) bytes_free(&it->sides[i].got);
    CHECK_OK(lariat_tls_configuration_free(it->tls));
    stop_listening(it->reactor, it->listener);
}

TEST(https_and_its_connection_is_used_again) {
    lariat_reactor *reactor = real_reactor();
    secure target;
    secure_open(&target, reactor, "server", "");
    lariat_http_agent_options options = agent_options();
    options.tls = target.tls;
    lariat_http_agent *agent = agent_with(reactor, options);
    for (int i = 0; i < 3; i++) {
        got one = {0};
        fetch(&one, lariat_http_agent_get(agent, target.url));
        expect_got(reactor, &one, 200, "hello");
        CHECK_STR(one.url, target.url);
    }
    CHECK_INT(target.one.count, 1);
    CHECK_INT(lariat_http_agent_idle(agent), 1);
    agent_done(reactor, agent);
    side_over(&target.sides[0], LARIAT_CONNECTION_DONE);
    secure_close(&target);
    reactor_done(reactor);
}

TEST(a_certificate_that_is_not_trusted_is_no_server) {
    const struct { const char *certificate, *words; int32_t failure; } cases[] = {
        {"unknown", "", LARIAT_ERR_CERTIFICATE_ISSUER}, {"expired", "", LARIAT_ERR_CERTIFICATE_EXPIRED}, {"wrong_name", "localhost", LARIAT_ERR_CERTIFICATE_NAME},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lariat_reactor *reactor = real_reactor();
        secure target;
        secure_open(&target, reactor, cases[i].certificate, "");
        lariat_http_agent_options options = agent_options();
        options.tls = target.tls;
        lariat_http_agent *agent = agent_with(reactor, options);
        got one = {0};
        fetch(&one, lariat_http_agent_get(agent, target.url));
        expect_failure(reactor, &one, cases[i].failure, cases[i].words);
        CHECK(has(one.message, "GET https://localhost:"));
        agent_done(reactor, agent);
        CHECK_INT(target.one.count, 0); /* nobody has heard of a connection */
        secure_close(&target);
        reactor_done(reactor);
    }
}

TEST(a_server_without_tls_is_none) {
    site s = site_new();
    lariat_tls_client_options tls;
    CHECK_OK(lariat_tls_client_options_init(&tls, sizeof tls));
    tls.ca_file = tls_file("ca.pem");
    lariat_http_agent_options options = agent_options();
    lariat_tls_configuration *configuration = lariat_tls_configuration_new_client(&tls);
    options.tls = configuration;
    lariat_http_agent *agent = agent_with(s.reactor, options);
    CHECK_OK(lariat_tls_configuration_free(configuration));
    got one = {0};
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", s.web.port);
    fetch(&one, lariat_http_agent_get(agent, url));
    int fd = web_accept(&s.web);
    raw_write(fd, OK_TEXT);
    until(s.reactor, one.fired);
    CHECK(one.failure < 0 && has(one.message, "GET https://127.0.0.1"));
    agent_done(s.reactor, agent);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_body_until_the_close_has_to_end_cleanly) {
    for (int clean = 0; clean < 2; clean++) {
        lariat_reactor *reactor = real_reactor();
        secure target;
        secure_open(&target, reactor, "server", "");
        target.sides[0].on_data = NULL;
        lariat_http_agent_options options = agent_options();
        options.tls = target.tls;
        lariat_http_agent *agent = agent_with(reactor, options);
        got one = {0};
        fetch(&one, lariat_http_agent_get(agent, target.url));
        until(reactor, has(bytes_text(&target.sides[0].got), "\r\n\r\n"));
        write_text(target.sides[0].transport, "HTTP/1.1 200 OK\r\n\r\nhello");
        if (clean) {
            CHECK_OK(lariat_transport_lose_connection(target.sides[0].transport));
            expect_got(reactor, &one, 200, "hello");
        } else {
            until(reactor, one.code);
            CHECK_OK(lariat_transport_abort_connection(target.sides[0].transport));
            until(reactor, one.fired);
            CHECK(one.failure == LARIAT_ERR_TRUNCATED || one.failure == LARIAT_ERR_CONNECTION_LOST);
        }
        bytes_free(&one.body);
        agent_done(reactor, agent);
        secure_close(&target);
        reactor_done(reactor);
    }
}

/* ---- through a proxy ------------------------------------------------------------------------------------------------------------- */

typedef struct relay {
    int client, server;
    bytes to_server, to_client;
    size_t at_server, at_client;
} relay;

/* Carries what there is, both ways; always true. */
static int carry(relay *it) {
    raw_read(it->client, &it->to_server);
    raw_read(it->server, &it->to_client);
    if (it->to_server.length) raw_send_some(it->server, it->to_server.data, it->to_server.length, &it->at_server);
    if (it->to_client.length) raw_send_some(it->client, it->to_client.data, it->to_client.length, &it->at_client);
    return 1;
}

TEST(https_through_a_tunnel) {
    lariat_reactor *reactor = real_reactor();
    secure target;
    secure_open(&target, reactor, "server", "");
    web proxy = web_new(reactor);
    char by[128], want[256];
    snprintf(by, sizeof by, "http://me:secret@127.0.0.1:%d", proxy.port);
    lariat_http_agent_options options = agent_options();
    options.tls = target.tls;
    options.proxy = by;
    lariat_http_agent *agent = agent_with(reactor, options);
    got one = {0}, two = {0};
    fetch(&one, lariat_http_agent_get(agent, target.url));
    relay it = {.client = web_accept(&proxy)};
    int port = (int)lariat_listener_port(target.listener);
    snprintf(want, sizeof want, "CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n", port, port);
    CHECK_STR(web_head(&proxy, it.client), want);
    it.server = raw_connect(target.listener);
    raw_write(it.client, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n");
    until(reactor, carry(&it) && one.fired);
    expect_got(reactor, &one, 200, "hello");
    CHECK(!has(bytes_text(&it.to_server), "GET")); /* it is a tunnel: the proxy sees nothing */
    fetch(&two, lariat_http_agent_get(agent, target.url));
    until(reactor, carry(&it) && two.fired);
    expect_got(reactor, &two, 200, "hello");
    CHECK_INT(lariat_http_agent_idle(agent), 1);
    CHECK_OK(lariat_http_agent_close_idle(agent));
    until(reactor, carry(&it) && lariat_http_agent_connections(agent) == 0);
    CHECK_INT(close(it.client), 0);
    CHECK_INT(close(it.server), 0);
    bytes_free(&it.to_server);
    bytes_free(&it.to_client);
    agent_done(reactor, agent);
    web_close(&proxy);
    secure_close(&target);
    reactor_done(reactor);
}

TEST(secrets_do_not_leave_tls) {
    for (int allowed = 0; allowed < 2; allowed++) {
        site s = site_new();
        secure target;
        secure_open(&target, s.reactor, "server", "");
        target.sides[0].on_data = NULL;
        lariat_http_agent_options options = agent_options();
        options.tls = target.tls;
        if (allowed) options.flags = LARIAT_HTTP_AGENT_ALLOW_DOWNGRADE;
        lariat_http_agent *agent = agent_with(s.reactor, options);
        got one = {0};
        const char *headers[] = {"Authorization: secret", NULL};
        lariat_http_request_options request = request_options("GET", target.url);
        request.headers = headers;
        fetch(&one, lariat_http_agent_request(agent, &request));
        until(s.reactor, has(bytes_text(&target.sides[0].got), "\r\n\r\n"));
        CHECK(has(bytes_text(&target.sides[0].got), "Authorization: secret"));
        char response[256];
        snprintf(response, sizeof response, "HTTP/1.1 302 Found\r\nLocation: %s/plain\r\nContent-Length: 0\r\n\r\n", s.web.url);
        write_text(target.sides[0].transport, response);
        if (allowed) {
            int fd = web_accept(&s.web);
            CHECK(!has(web_head(&s.web, fd), "secret"));
            raw_write(fd, OK_TEXT);
            expect_got(s.reactor, &one, 200, "hello");
            CHECK_INT(close(fd), 0);
        } else {
            expect_failure(s.reactor, &one, LARIAT_ERR_REDIRECT, "not secure");
        }
        agent_done(s.reactor, agent);
        secure_close(&target);
        site_done(&s);
    }
}

TEST(another_protocol_above_tls_is_refused) {
    lariat_reactor *reactor = real_reactor();
    secure target;
    secure_open(&target, reactor, "server", "&alpn=h2");
    lariat_tls_client_options tls;
    CHECK_OK(lariat_tls_client_options_init(&tls, sizeof tls));
    tls.ca_file = tls_file("ca.pem");
    tls.alpn = "h2,http/1.1";
    lariat_tls_configuration *wrong = lariat_tls_configuration_new_client(&tls);
    lariat_http_agent_options options = agent_options();
    options.tls = wrong;
    lariat_http_agent *agent = agent_with(reactor, options);
    got one = {0};
    fetch(&one, lariat_http_agent_get(agent, target.url));
    expect_failure(reactor, &one, LARIAT_ERR_ALPN, "h2");
    agent_done(reactor, agent);
    CHECK_OK(lariat_tls_configuration_free(wrong));
    secure_close(&target);
    reactor_done(reactor);
}
