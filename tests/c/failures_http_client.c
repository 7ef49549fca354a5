/* Row 42 of the failure catalogue: servers, and users, that would have the HTTP client believe what is not so. */
#include "http_client.h"

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* What came, in one piece and byte by byte, and how it must end; then nothing of the client is left, and it serves others. */
static void answer_with(site *s, const char *method, const char *response, size_t length, int closes, int32_t failure, const char *words) {
    for (int step = 0; step < 2; step++) {
        got one = {0};
        lariat_http_request_options options = request_options(method, s->web.url);
        fetch(&one, lariat_http_agent_request(s->agent, &options));
        int fd = web_accept(&s->web);
        web_head(&s->web, fd);
        for (size_t at = 0; at < length; at += step ? 1 : length) {
            if (send(fd, response + at, step ? 1 : length, MSG_NOSIGNAL) < 0) break;
            if (step) turn(s->reactor);
        }
        if (closes && shutdown(fd, SHUT_WR) != 0) CHECK_INT(errno, ENOTCONN); /* the client may have hung up */
        double deadline = seconds_now() + patience();
        while (!one.fired) test_turn_for(__FILE__, __LINE__, response, s->reactor, deadline);
        if (one.failure != failure)
            test_fail(__FILE__, __LINE__, "\"%.200s\": %s (%s), must be %s", response, lariat_status_name(one.failure), one.message,
                      lariat_status_name(failure));
        if (!has(one.message, words)) test_fail(__FILE__, __LINE__, "\"%.200s\": \"%s\" lacks \"%s\"", response, one.message, words);
        CHECK(has(one.message, s->web.url) || has(one.message, "127.0.0.1"));
        bytes_free(&one.body);
        until(s->reactor, lariat_http_agent_connections(s->agent) == 0);
        CHECK_INT(reactor_stats(s->reactor).http_exchanges, 0);
        CHECK_INT(close(fd), 0);
    }
}

static void refused(site *s, const char *response) {
    answer_with(s, "GET", response, strlen(response), 0, LARIAT_ERR_BAD_MESSAGE, "");
}

TEST(f42_heads_that_are_none) {
    const char *heads[] = {
        "\n", "\r\n\r\n", " HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\rA: b\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.2 200 OK\r\n\r\n", "HTTP/11 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n", "HTTP/1.1\t200 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA\r\n\r\n", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\nA(: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", "HTTP/1.1 200 O\x01K\r\n\r\n",
    };
    site s = site_new();
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) refused(&s, heads[i]);
    answer_with(&s, "GET", "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", 28, 0, LARIAT_ERR_BAD_MESSAGE, "");
    site_done(&s);
}

TEST(f42_lengths_that_could_be_understood_in_two_ways) {
    const char *fields[] = {
        "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: -5", "Content-Length: 0x5",
        "Content-Length: 5 5", "Content-Length: ", "Content-Length: 5.0", "Content-Length: 9223372036854775808", "Content-Length: 99999999999999999999999",
        "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked;x", "Transfer-Encoding: ", "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: identity", "Transfer-Encoding: gzip",
    };
    site s = site_new();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char response[256];
        snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\n%s\r\n\r\n5\r\nhello\r\n0\r\n\r\n", fields[i]);
        refused(&s, response);
        /* Where there is to be no body it is no better. */
        snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", fields[i]);
        answer_with(&s, "HEAD", response, strlen(response), 0, LARIAT_ERR_BAD_MESSAGE, "HEAD ");
    }
    refused(&s, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    site_done(&s);
}

TEST(f42_chunks_that_are_none) {
    const char *bodies[] = {
        "\r\n", "+5\r\nhello\r\n", "0x5\r\nhello\r\n", "g\r\n", "5\nhello\r\n", "5\r\nhello\n", "5\r\nhellooo", "5;\x01\r\nhello\r\n", "5\r\nhello\r\n0\r\nX\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "8000000000000000\r\n", "fffffffffffffffff\r\n", "5 5\r\n", "-5\r\n", "5\r\nhello\r\n0\r\n\n", "5\r\nhello\r\n0\r\nA: b\rc\r\n\r\n",
    };
    site s = site_new();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char response[256];
        snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s", bodies[i]);
        refused(&s, response);
    }
    site_done(&s);
}

TEST(f42_what_is_cut_short_is_truncated) {
    const char *responses[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "H", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\x01\x01\x01\x01",
    };
    site s = site_new();
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++)
        answer_with(&s, "GET", responses[i], strlen(responses[i]), 1, LARIAT_ERR_TRUNCATED, "closed the connection");
    answer_with(&s, "GET", "HTTP/1.1 100 Continue\r\n\r\n", 25, 1, LARIAT_ERR_TRUNCATED, "closed the connection");
    /* What was compressed has an end of its own. */
    answer_with(&s, "GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08", 46, 1, LARIAT_ERR_TRUNCATED, "cut short");
    answer_with(&s, "GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nno gzip at all", 57, 1, LARIAT_ERR_BAD_FRAME, "damaged");
    site_done(&s);
}

TEST(f42_a_reset_in_the_middle_of_a_body) {
    site s = site_new();
    got one = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\n\r\nhello");
    until(s.reactor, one.code);
    raw_reset(fd);
    expect_failure(s.reactor, &one, LARIAT_ERR_CONNECTION_LOST, "GET http://");
    site_done(&s);
}

TEST(f42_a_body_where_there_is_none) {
    site s = site_new();
    const struct { const char *method, *response; } cases[] = {
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
        {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
        {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        got one = {0}, two = {0};
        lariat_http_request_options options = request_options(cases[i].method, s.web.url);
        fetch(&one, lariat_http_agent_request(s.agent, &options));
        int fd = web_answer(&s.web, cases[i].response);
        expect_failure(s.reactor, &one, LARIAT_ERR_BAD_MESSAGE, "behind a response that has no body");
        until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
        CHECK_INT(close(fd), 0);
        /* What comes later is no answer to what is asked next: the connection is closed. */
        fetch(&two, lariat_http_agent_request(s.agent, &options));
        const char *end = strstr(cases[i].response, "\r\n\r\n") + 4;
        char head[256];
        snprintf(head, sizeof head, "%.*s", (int)(end - cases[i].response), cases[i].response);
        fd = web_answer(&s.web, head);
        until(s.reactor, two.fired);
        CHECK_INT(two.failure, 0);
        CHECK_INT(two.body.length, 0);
        bytes_free(&two.body);
        CHECK_INT(lariat_http_agent_idle(s.agent), 1);
        raw_write(fd, end);
        until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
        CHECK_INT(close(fd), 0);
    }
    site_done(&s);
}

TEST(f42_more_than_was_said_is_not_the_next_response) {
    site s = site_new();
    got one = {0}, two = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_INT(lariat_http_agent_idle(s.agent), 0);
    fetch(&two, get(s.agent, &s.web, "/"));
    int other = web_answer(&s.web, OK_TEXT);
    expect_got(s.reactor, &two, 200, "hello");
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(other), 0);
    site_done(&s);
}

TEST(f42_a_response_before_the_request) {
    site s = site_new();
    got one = {0}, two = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    raw_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
    fetch(&two, get(s.agent, &s.web, "/"));
    int other = web_answer(&s.web, OK_TEXT);
    expect_got(s.reactor, &two, 200, "hello");
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(other), 0);
    site_done(&s);
}

TEST(f42_a_flood_of_1xx) {
    lariat_http_agent_options options = agent_options();
    site s = site_with(options);
    char *flood = malloc(40 * 30 + 100);
    *flood = 0;
    for (int i = 0; i < 17; i++) strcat(flood, "HTTP/1.1 102 Processing\r\n\r\n");
    answer_with(&s, "GET", flood, strlen(flood), 0, LARIAT_ERR_LIMIT, "16 responses with 1xx");
    free(flood);
    refused(&s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    site_done(&s);
}

TEST(f42_heads_without_an_end) {
    lariat_http_agent_options options = agent_options();
    options.max_head_size = 1000;
    options.max_headers = 10;
    site s = site_with(options);
    char *long_one = malloc(5000);
    strcpy(long_one, "HTTP/1.1 200 OK\r\nA: ");
    memset(long_one + strlen(long_one), 'a', 4000);
    long_one[4000] = 0;
    answer_with(&s, "GET", long_one, 4000, 0, LARIAT_ERR_LIMIT, "longer than 1000 bytes");
    strcpy(long_one + 1100, "\r\n\r\n");
    answer_with(&s, "GET", long_one, 1104, 0, LARIAT_ERR_LIMIT, "longer than 1000 bytes");
    strcpy(long_one, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 11; i++) strcat(long_one, "A: b\r\n");
    strcat(long_one, "\r\n");
    answer_with(&s, "GET", long_one, strlen(long_one), 0, LARIAT_ERR_LIMIT, "more than 10 headers");
    free(long_one);
    site_done(&s);
}

TEST(f42_bodies_without_an_end) {
    lariat_http_agent_options options = agent_options();
    options.max_body_size = 10;
    site s = site_with(options);
    const char *said = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n";
    answer_with(&s, "GET", said, strlen(said), 0, LARIAT_ERR_LIMIT, "the limit is 10");
    const char *chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhellos\r\n5\r\nhello\r\n0\r\n\r\n";
    answer_with(&s, "GET", chunked, strlen(chunked), 0, LARIAT_ERR_LIMIT, "more than 10 bytes");
    const char *closed = "HTTP/1.1 200 OK\r\n\r\nhello hello hello";
    answer_with(&s, "GET", closed, strlen(closed), 0, LARIAT_ERR_LIMIT, "more than 10 bytes");
    site_done(&s);
}

static void *read_ten(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    return lariat_deferred_wait_for(deferred, lariat_http_response_read_body(value, 10));
}

TEST(f42_a_body_that_is_read_whole_has_a_limit) {
    const char *responses[] = {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\nhello hello"};
    site s = site_new();
    for (int i = 0; i < 2; i++) {
        lariat_deferred *request = get(s.agent, &s.web, "/");
        CHECK_OK(lariat_deferred_add_callback(request, read_ten, NULL));
        end_with_note(request, "body");
        int fd = web_answer(&s.web, responses[i]);
        until(s.reactor, noted("body"));
        CHECK_NOTES("body!LIMIT");
        bytes none = {0};
        CHECK(raw_end(s.reactor, fd, &none) != RAW_OPEN);
        CHECK_INT(close(fd), 0);
    }
    until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
    site_done(&s);
}

/* 64 MiB of zeros, compressed by Python's gzip.compress: nearly all of it is one block of 258 zeros after the other. */
static bytes bomb(void) {
    bytes all = {0};
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xec, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf, 0xee, 8, 0x0a};
    bytes_add(&all, head, sizeof head);
    static const uint8_t zeros[64 << 10];
    bytes_add(&all, zeros, sizeof zeros);
    return all;
}

TEST(f42_a_bomb) {
    site s = site_new();
    got one = {0};
    bytes body = bomb();
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
    size_t at = 0;
    until(s.reactor, raw_send_some(fd, body.data, body.length, &at));
    expect_failure(s.reactor, &one, LARIAT_ERR_LIMIT, "past the limit of 200");
    bytes_free(&body);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(f42_nobody_splits_a_request) {
    site s = site_new();
    const char *lines[] = {
        "X: a\r\nY: b", "X: a\nY: b", "X: a\rY: b", "X\r\nY: b", "X", "", ": b", "X : b", " X: b", "X: a\x01", "X: \x7f", "Content-Length: 5", "Transfer-Encoding: chunked",
        "transfer-encoding: identity", "Expect: 100-continue", "X\xc3\xbc: a", "GET / HTTP/1.1\r\nHost: x",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *headers[] = {"A: b", lines[i], NULL};
        lariat_http_request_options options = request_options("GET", s.web.url);
        options.headers = headers;
        CHECK_NULL(lariat_http_agent_request(s.agent, &options), LARIAT_ERR_INVALID_ARGUMENT);
    }
    CHECK_NULL(lariat_http_agent_post(s.agent, s.web.url, "text/plain\r\nX: y", NULL, 0), LARIAT_ERR_INVALID_ARGUMENT);
    lariat_http_agent_options agent = agent_options();
    agent.user_agent = "me\r\nX: y";
    CHECK_NULL(lariat_http_agent_new(s.reactor, &agent), LARIAT_ERR_INVALID_ARGUMENT);
    char url[128];
    const char *places[] = {"/\r\nX: y", "/ HTTP/1.1\r\n\r\n", "/\n", "/?\r", "/\x7f"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(url, sizeof url, "%s%s", s.web.url, places[i]);
        CHECK_NULL(lariat_http_agent_get(s.agent, url), LARIAT_ERR_INVALID_ARGUMENT);
    }
    /* A user and a password are encoded, whatever is in them. */
    got one = {0};
    lariat_http_request_options options = request_options("GET", s.web.url);
    options.user = "me";
    options.password = "x\r\nX: y";
    fetch(&one, lariat_http_agent_request(s.agent, &options));
    int fd = web_accept(&s.web);
    CHECK(!has(web_head(&s.web, fd), "X: y"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(f42_redirects_to_where_nobody_should_go) {
    const char *places[] = {"ftp://127.0.0.1/", "file:///etc/passwd", "javascript:alert(1)", "ws://127.0.0.1/", "http://", "http://a b/", "//[::1", "http://0x7f.1/", "gopher://x"};
    site s = site_new();
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char response[256];
        snprintf(response, sizeof response, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", places[i]);
        answer_with(&s, "GET", response, strlen(response), 0, LARIAT_ERR_REDIRECT, "redirected");
    }
    refused(&s, "HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    site_done(&s);
}

static void start_nothing(lariat_http_exchange *exchange, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_http_exchange_finish(exchange));
}

TEST(f42_a_body_that_cannot_be_sent_again_is_not_redirected) {
    site s = site_new();
    got one = {0};
    lariat_http_request_options options = request_options("POST", s.web.url);
    options.start_producing = start_nothing;
    fetch(&one, lariat_http_agent_request(s.agent, &options));
    int fd = web_accept(&s.web);
    web_read_to(&s.web, fd, "0\r\n\r\n");
    raw_write(fd, "HTTP/1.1 307 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
    expect_failure(s.reactor, &one, LARIAT_ERR_REDIRECT, "cannot be sent again");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(f42_a_slow_server_is_given_up) {
    lariat_http_agent_options options = agent_options();
    options.response_seconds = 10;
    options.silence_seconds = 5;
    lariat_reactor *reactor = manual_reactor();
    site s = {.reactor = reactor, .agent = agent_with(reactor, options), .web = web_new(reactor)};
    got one = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_accept(&s.web);
    web_head(&s.web, fd);
    /* A byte every four seconds is no silence, and still too slow. */
    const char *slow = "HTTP/1.1 200 OK";
    for (int i = 0; i < 3 && !one.fired; i++) {
        CHECK_INT(send(fd, slow + i, 1, MSG_NOSIGNAL), 1);
        turns(reactor, 3);
        advance(reactor, 4);
        turns(reactor, 2);
    }
    expect_failure(reactor, &one, LARIAT_ERR_TIMED_OUT, "no response within 10 s");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(f42_cookies_that_a_server_may_not_set) {
    lariat_http_agent_options options = agent_options();
    options.flags = LARIAT_HTTP_AGENT_COOKIES;
    site s = site_with(options);
    got one = {0};
    char text[64];
    size_t length = 1;
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=example.org\r\nSet-Cookie: b=1; Secure\r\nSet-Cookie: c d=1\r\nSet-Cookie: =1\r\n"
                                "Set-Cookie: __Host-e=1\r\nSet-Cookie: f=1; Domain=0.0.1\r\nContent-Length: 0\r\n\r\n");
    expect_got(s.reactor, &one, 200, "");
    CHECK_OK(lariat_http_agent_cookies(s.agent, s.web.url, text, sizeof text, &length));
    CHECK_INT(length, 0);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}
