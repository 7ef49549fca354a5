/* The HTTP client: requests, responses, bodies, connections, redirects, cookies, proxies. */
#include "http_client.h"

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"

/* ---- requests and responses ------------------------------------------------------------------------------------------------------ */

TEST(a_get_and_its_response) {
    site s = site_new();
    got one = {0};
    fetch(&one, get(s.agent, &s.web, "/path?query#fragment"));
    int fd = web_accept(&s.web);
    const char *head = web_head(&s.web, fd);
    char host[128];
    snprintf(host, sizeof host, "GET /path?query HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", s.web.port);
    CHECK(strncmp(head, host, strlen(host)) == 0);
    CHECK(has(head, "\r\nUser-Agent: lariat/"));
    CHECK(has(head, "\r\nAccept: */*\r\n") && has(head, "\r\nAccept-Encoding: gzip, deflate\r\n"));
    CHECK(!has(head, "Content-Length") && !has(head, "Cookie") && !has(head, "Connection"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_STR(one.header, "y");
    CHECK_STR(one.reason, "OK");
    CHECK_INT(one.length, 5);
    CHECK_INT(one.headers, 2);
    CHECK_INT(one.redirects, 0);
    snprintf(host, sizeof host, "%s/path?query", s.web.url);
    CHECK_STR(one.url, host);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(bodies_of_all_framings_byte_by_byte) {
    const struct { const char *response, *body; int closes; } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world", "hello world", 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nT: u\r\n\r\n", "hello world", 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n05  \r\nhello\r\n0\r\n\r\n", "hello", 0},
        {"HTTP/1.1 200 OK\r\n\r\nhello world", "hello world", 1},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 0},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", 0},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", 0},
        {"HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\nno", "no", 0},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 0},
    };
    site s = site_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int whole = 0; whole < 2; whole++) {
            got one = {0};
            lariat_http_agent_close_idle(s.agent);
            fetch(&one, get(s.agent, &s.web, "/"));
            int fd = web_accept(&s.web);
            web_head(&s.web, fd);
            if (whole) raw_write(fd, cases[i].response);
            else for (const char *at = cases[i].response; *at; at++) {
                CHECK_INT(send(fd, at, 1, MSG_NOSIGNAL), 1);
                turn(s.reactor);
            }
            if (cases[i].closes) CHECK_INT(shutdown(fd, SHUT_WR), 0);
            expect_got(s.reactor, &one, atoi(strrchr(cases[i].response, 'P') ? strstr(cases[i].response, "HTTP/1.1 1") ? "200" : cases[i].response + 9 : "0"),
                       cases[i].body);
            CHECK_INT(close(fd), 0);
        }
    }
    site_done(&s);
}

TEST(a_head_has_no_body_and_keeps_its_connection) {
    site s = site_new();
    got one = {0}, two = {0};
    fetch(&one, lariat_http_agent_head(s.agent, s.web.url));
    int fd = web_accept(&s.web);
    CHECK(strncmp(web_head(&s.web, fd), "HEAD / HTTP/1.1\r\n", 17) == 0);
    raw_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n");
    expect_got(s.reactor, &one, 200, "");
    CHECK_INT(lariat_http_agent_idle(s.agent), 1);
    fetch(&two, get(s.agent, &s.web, "/"));
    web_head(&s.web, fd);
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &two, 200, "hello");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_post_with_its_type) {
    site s = site_new();
    got one = {0}, two = {0};
    fetch(&one, lariat_http_agent_post(s.agent, s.web.url, "text/plain", (const uint8_t *)"body", 4));
    int fd = web_accept(&s.web);
    const char *head = web_read_to(&s.web, fd, "\r\n\r\nbody");
    CHECK(strncmp(head, "POST / HTTP/1.1\r\n", 17) == 0);
    CHECK(has(head, "\r\nContent-Type: text/plain\r\n") && has(head, "\r\nContent-Length: 4\r\n"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    fetch(&two, lariat_http_agent_post(s.agent, s.web.url, NULL, NULL, 0));
    head = web_head(&s.web, fd);
    CHECK(!has(head, "Content-Type") && has(head, "\r\nContent-Length: 0\r\n"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &two, 200, "hello");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(what_the_host_says_goes_before_what_the_agent_would) {
    site s = site_new();
    got one = {0};
    const char *headers[] = {"host: example.test", "User-Agent: me", "Accept:text/html", "Accept-Encoding: identity", "X-Empty:", NULL};
    lariat_http_request_options options = request_options("DELETE", s.web.url);
    options.headers = headers;
    options.user = "us\xc3\xa9r";
    options.password = "p:w";
    fetch(&one, lariat_http_agent_request(s.agent, &options));
    int fd = web_accept(&s.web);
    const char *head = web_head(&s.web, fd);
    CHECK(has(head, "DELETE / HTTP/1.1\r\n") && has(head, "host: example.test\r\n") && !has(head, "Host: "));
    CHECK(has(head, "User-Agent: me\r\n") && !has(head, "lariat") && has(head, "Accept: text/html\r\n") && !has(head, "gzip"));
    CHECK(has(head, "X-Empty: \r\n") && has(head, "Authorization: Basic dXPDqXI6cDp3\r\n"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(the_users_of_urls_are_sent_and_not_shown) {
    site s = site_new();
    got one = {0};
    char url[128];
    snprintf(url, sizeof url, "http://me:secret@127.0.0.1:%d/", s.web.port);
    fetch(&one, lariat_http_agent_get(s.agent, url));
    int fd = web_accept(&s.web);
    CHECK(has(web_head(&s.web, fd), "Authorization: Basic bWU6c2VjcmV0\r\n"));
    CHECK_INT(close(fd), 0);
    expect_failure(s.reactor, &one, LARIAT_ERR_CONNECTION_LOST, "before it answered");
    CHECK(!has(one.message, "secret"));
    CHECK(has(one.message, "GET http://127.0.0.1:"));
    site_done(&s);
}

static void check_headers(got *it) {
    const char *name, *value;
    CHECK_STR(lariat_http_response_header(it->response, "set-cookie"), "a=1");
    CHECK_OK(lariat_http_response_header_at(it->response, 1, &name, &value));
    CHECK_STR(name, "Set-Cookie");
    CHECK_STR(value, "b=2");
    CHECK_STATUS(lariat_http_response_header_at(it->response, 3, &name, &value), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_PTR(lariat_http_response_header(it->response, "Set-Cooki"), NULL);
    CHECK_PTR(lariat_http_response_trailer(it->response, "T"), NULL);
}

static void *check_trailer(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    got *it = user_data;
    CHECK_STR(lariat_http_response_trailer(it->response, "t"), "u");
    CHECK_PTR(lariat_http_response_trailer(it->response, "X"), NULL);
    CHECK_OK(lariat_http_response_free(it->response));
    CHECK_INT(lariat_http_response_code(it->response), LARIAT_ERR_STALE_HANDLE);
    return value;
}

TEST(headers_and_trailers) {
    site s = site_new();
    got one = {.keeps = 1, .on_response = check_headers};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2 \t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: u\r\n\r\n");
    until(s.reactor, one.fired);
    lariat_deferred *body = lariat_http_response_read_body(one.response, 0);
    CHECK_NULL(lariat_http_response_read_body(one.response, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_deferred_add_callback(body, check_trailer, &one));
    CHECK_OK(lariat_deferred_release(body));
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

/* ---- bodies of responses ----------------------------------------------------------------------------------------------------------- */

typedef struct stream {
    bytes body;
    int pieces, ended;
    int32_t reason;
    char message[256];
    int pauses, freed;
    lariat_http_response *response;
} stream;

static void stream_received(lariat_http_response *response, const uint8_t *data, size_t len, void *user_data) {
    stream *it = user_data;
    CHECK(len > 0);
    CHECK_INT(it->ended, 0);
    bytes_add(&it->body, data, len);
    it->pieces++;
    it->response = response;
    if (it->pauses) CHECK_OK(lariat_http_response_pause_body(response));
}

static void stream_ended(lariat_http_response *response, const lariat_failure *reason, void *user_data) {
    stream *it = user_data;
    CHECK_INT(it->ended++, 0);
    CHECK_INT(lariat_http_response_code(response), 200);
    it->reason = reason ? lariat_failure_code(reason) : 0;
    if (reason) snprintf(it->message, sizeof it->message, "%s", lariat_failure_message(reason));
}

static void stream_free(void *user_data) { CHECK_INT(((stream *)user_data)->freed++, 0); }

static void *stream_it(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    CHECK_OK(lariat_http_response_deliver_body_full(value, stream_received, stream_ended, user_data, stream_free));
    CHECK_INT(((stream *)user_data)->pieces, 0); /* nothing is called from inside */
    return NULL;
}

static void stream_from(site *s, stream *it) {
    lariat_deferred *request = get(s->agent, &s->web, "/");
    CHECK_OK(lariat_deferred_add_callback(request, stream_it, it));
    CHECK_OK(lariat_deferred_release(request));
}

TEST(a_body_is_delivered_as_it_comes) {
    site s = site_new();
    stream it = {0};
    stream_from(&s, &it);
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    turns(s.reactor, 3);
    CHECK_INT(it.pieces, 0);
    raw_write(fd, "hello");
    until(s.reactor, it.pieces == 1);
    CHECK_INT(it.ended, 0);
    raw_write(fd, "world");
    until(s.reactor, it.ended);
    CHECK_STR(bytes_text(&it.body), "helloworld");
    CHECK_INT(it.reason, 0);
    CHECK_INT(it.freed, 1);
    CHECK_INT(reactor_stats(s.reactor).http_responses, 0); /* its Deferred was gone before */
    CHECK_INT(lariat_http_agent_idle(s.agent), 1);
    bytes_free(&it.body);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_paused_body_holds_up_the_server) {
    site s = site_new();
    stream it = {.pauses = 1};
    size_t length = 8 << 20, at = 0;
    uint8_t *body = pattern_new(length, 3);
    char head[100];
    stream_from(&s, &it);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    int fd = web_answer(&s.web, head);
    until(s.reactor, raw_send_some(fd, body, length, &at) || it.pieces == 1);
    for (int i = 0; i < 100; i++) {
        raw_send_some(fd, body, length, &at);
        turn(s.reactor);
    }
    /* One piece was told, and no more; the rest waits in the system's buffers, and the server. */
    CHECK_INT(it.pieces, 1);
    CHECK(at < length);
    it.pauses = 0;
    CHECK_OK(lariat_http_response_resume_body(it.response));
    CHECK_INT(it.pieces, 1);
    until(s.reactor, raw_send_some(fd, body, length, &at) && it.ended);
    CHECK_INT(it.reason, 0);
    CHECK_INT(it.body.length, length);
    CHECK_PATTERN(it.body.data, length, 3);
    bytes_free(&it.body);
    free(body);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_body_that_is_paused_at_every_piece_comes_whole) {
    site s = site_new();
    stream it = {.pauses = 1};
    stream_from(&s, &it);
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
    for (int piece = 1; piece <= 3 && it.body.length < 3; piece++) {
        until(s.reactor, it.pieces == piece);
        turns(s.reactor, 3);
        CHECK_INT(it.pieces, piece);
        CHECK_INT(it.ended, 0);
        CHECK_OK(lariat_http_response_resume_body(it.response));
    }
    until(s.reactor, it.ended);
    CHECK_STR(bytes_text(&it.body), "abc");
    bytes_free(&it.body);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_body_that_nobody_takes_holds_up_the_server) {
    site s = site_new();
    got one = {.keeps = 1};
    size_t length = 16 << 20, at = 0;
    uint8_t *body = pattern_new(length, 1);
    char head[100];
    fetch(&one, get(s.agent, &s.web, "/"));
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    int fd = web_answer(&s.web, head);
    until(s.reactor, one.fired);
    for (int i = 0; i < 100; i++) {
        raw_send_some(fd, body, length, &at);
        turn(s.reactor);
    }
    CHECK(at < length);
    /* Whoever takes it now gets it from its beginning. */
    stream it = {0};
    CHECK_OK(lariat_http_response_deliver_body(one.response, stream_received, stream_ended, &it));
    until(s.reactor, raw_send_some(fd, body, length, &at) && it.ended);
    CHECK_INT(it.body.length, length);
    CHECK_PATTERN(it.body.data, length, 1);
    CHECK_STATUS(lariat_http_response_deliver_body(one.response, stream_received, stream_ended, &it), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_response_pause_body(one.response), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_http_response_resume_body(one.response));
    CHECK_OK(lariat_http_response_free(one.response));
    bytes_free(&it.body);
    free(body);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(what_is_compressed_is_undone) {
    /* "hello hello hello hello" */
    static const uint8_t gzip[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 1, 0xe3, 0x51, 0x3d, 0x8d, 0x17, 0, 0, 0};
    site s = site_new();
    for (int way = 0; way < 3; way++) {
        got one = {0};
        lariat_http_request_options options = request_options(NULL, s.web.url);
        if (way == 1) options.flags = LARIAT_HTTP_REQUEST_NO_DECOMPRESSION;
        const char *range[] = {"Range: bytes=0-", NULL};
        if (way == 2) options.headers = range;
        lariat_http_agent_close_idle(s.agent);
        fetch(&one, lariat_http_agent_request(s.agent, &options));
        int fd = web_accept(&s.web);
        CHECK_INT(has(web_head(&s.web, fd), "Accept-Encoding: gzip"), way == 0);
        raw_write(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 28\r\n\r\n");
        for (size_t i = 0; i < sizeof gzip; i++) {
            CHECK_INT(send(fd, gzip + i, 1, MSG_NOSIGNAL), 1);
            if (way == 0) turn(s.reactor);
        }
        until(s.reactor, one.fired);
        CHECK_INT(one.failure, 0);
        CHECK_INT(one.length, way == 1 ? (int)sizeof gzip : -1);
        if (way != 1) CHECK_STR(bytes_text(&one.body), "hello hello hello hello");
        else CHECK_INT(one.body.length, sizeof gzip);
        bytes_free(&one.body);
        CHECK_INT(close(fd), 0);
    }
    site_done(&s);
}

static void drop_it(lariat_http_response *response, const uint8_t *data, size_t len, void *user_data) {
    (void)data, (void)len;
    note("piece");
    ((stream *)user_data)->response = response;
    CHECK_OK(lariat_http_response_free(response));
}

static void *drop_at_first_piece(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    CHECK_OK(lariat_http_response_deliver_body(value, drop_it, stream_ended, user_data));
    return NULL;
}

TEST(a_response_freed_while_its_body_is_delivered) {
    site s = site_new();
    stream it = {0};
    lariat_deferred *request = get(s.agent, &s.web, "/");
    CHECK_OK(lariat_deferred_add_callback(request, drop_at_first_piece, &it));
    CHECK_OK(lariat_deferred_release(request));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n");
    until(s.reactor, it.ended);
    CHECK_INT(it.reason, LARIAT_ERR_CLOSED);
    CHECK_NOTES("piece");
    until(s.reactor, reactor_stats(s.reactor).transports == 0);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_response_that_nobody_wants_is_read_to_a_near_end) {
    site s = site_new();
    got two = {0};
    for (int i = 0; i < 2; i++) {
        int far = i == 1;
        lariat_deferred *request = get(s.agent, &s.web, "/");
        CHECK_OK(lariat_deferred_release(request));
        int fd = web_answer(&s.web, far ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
        if (!far) {
            until(s.reactor, reactor_stats(s.reactor).http_responses == 0 && lariat_http_agent_waiting(s.agent) == 0);
            raw_write(fd, "lo");
            until(s.reactor, lariat_http_agent_idle(s.agent) == 1);
            fetch(&two, get(s.agent, &s.web, "/"));
            web_head(&s.web, fd);
            raw_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
            expect_got(s.reactor, &two, 200, "hello");
        } else {
            /* 64 KiB are read, and no more. */
            uint8_t *much = calloc(1, 1 << 20);
            size_t at = 0;
            bytes none = {0};
            int how = RAW_OPEN;
            until(s.reactor, (how = raw_read(fd, &none)) != RAW_OPEN || (send(fd, much, 8192, MSG_NOSIGNAL | MSG_DONTWAIT), at += 8192, how != RAW_OPEN));
            CHECK(how != RAW_OPEN);
            bytes_free(&none);
            free(much);
        }
        CHECK_INT(close(fd), 0);
    }
    site_done(&s);
}

/* ---- bodies of requests ------------------------------------------------------------------------------------------------------------ */

typedef struct producer {
    lariat_http_exchange *exchange;
    int started, paused, resumed, stopped, freed;
    size_t length, at;
    const uint8_t *data;
    int runs;
} producer;

static void produce(producer *it) {
    while (it->runs && it->at < it->length) {
        size_t piece = it->length - it->at < 10000 ? it->length - it->at : 10000;
        CHECK_OK(lariat_http_exchange_write(it->exchange, it->data + it->at, piece));
        it->at += piece;
    }
    if (it->runs && it->at == it->length) {
        it->runs = 0;
        CHECK_OK(lariat_http_exchange_finish(it->exchange));
        CHECK_STATUS(lariat_http_exchange_finish(it->exchange), LARIAT_ERR_INVALID_STATE);
    }
}

static void start_producing(lariat_http_exchange *exchange, void *user_data) {
    producer *it = user_data;
    CHECK_INT(it->started++, 0);
    it->exchange = exchange;
    it->runs = 1;
    produce(it);
}

static void pause_producing(lariat_http_exchange *exchange, void *user_data) {
    producer *it = user_data;
    CHECK_PTR(exchange, it->exchange);
    it->paused++;
    it->runs = 0;
}

static void resume_producing(lariat_http_exchange *exchange, void *user_data) {
    producer *it = user_data;
    CHECK_PTR(exchange, it->exchange);
    it->resumed++;
    it->runs = 1;
    produce(it);
}

static void stop_producing(lariat_http_exchange *exchange, void *user_data) {
    producer *it = user_data;
    CHECK_PTR(exchange, it->exchange);
    CHECK_INT(it->stopped++, 0);
    it->runs = 0;
}

static void free_producer(void *user_data) { CHECK_INT(((producer *)user_data)->freed++, 0); }

static lariat_http_request_options produced(const char *url, producer *it) {
    lariat_http_request_options options = request_options("PUT", url);
    options.start_producing = start_producing;
    options.pause_producing = pause_producing;
    options.resume_producing = resume_producing;
    options.stop_producing = stop_producing;
    options.producer_data = it;
    options.free_producer_data = free_producer;
    return options;
}

TEST(a_produced_body_waits_for_the_server) {
    site s = site_new();
    for (int known = 0; known < 2; known++) {
        producer it = {.length = many(16 << 20)};
        uint8_t *data = pattern_new(it.length, 5);
        it.data = data;
        got one = {0};
        lariat_http_request_options options = produced(s.web.url, &it);
        if (known) options.body_length = (int64_t)it.length;
        fetch(&one, lariat_http_agent_request(s.agent, &options));
        CHECK_INT(it.started, 0);
        lariat_http_agent_close_idle(s.agent);
        int fd = web_accept(&s.web);
        raw_small_buffers(fd);
        if (it.length > 8 << 20) { /* more than the system holds */
            until(s.reactor, it.paused);
            turns(s.reactor, 20);
            CHECK(it.at < it.length);
        }
        bytes all = {0};
        until(s.reactor, raw_read(fd, &all) == RAW_OPEN && (known ? all.length > it.length && has(bytes_text(&all), "Content-Length") && it.at == it.length
                                                            : all.length > 5 && memcmp(all.data + all.length - 5, "0\r\n\r\n", 5) == 0));
        CHECK_INT(has(bytes_text(&all), "Transfer-Encoding: chunked"), !known);
        if (known) until(s.reactor, raw_read(fd, &all) == RAW_OPEN && all.length == (size_t)(strstr(bytes_text(&all), "\r\n\r\n") + 4 - bytes_text(&all)) + it.length);
        if (known) CHECK_PATTERN(all.data + all.length - it.length, it.length, 5);
        CHECK_INT(it.paused, it.resumed);
        raw_write(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        expect_got(s.reactor, &one, 200, "ok");
        CHECK_INT(it.freed, 1);
        CHECK_INT(it.stopped, 0);
        bytes_free(&all);
        free(data);
        CHECK_INT(close(fd), 0);
    }
    site_done(&s);
}

TEST(the_producers_data_is_freed_in_any_case) {
    site s = site_new();
    producer it = {0};
    lariat_http_request_options options = produced(s.web.url, &it);
    options.url = "ftp://example.org";
    CHECK_NULL(lariat_http_agent_request(s.agent, &options), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(it.freed, 1);
    it = (producer){0};
    options.url = s.web.url;
    CHECK_NULL(lariat_http_agent_request(NULL, &options), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(it.freed, 1);
    it = (producer){0};
    lariat_deferred *request = lariat_http_agent_request(s.agent, &options);
    CHECK_OK(lariat_deferred_cancel(request));
    CHECK_INT(it.freed, 1);
    CHECK_INT(it.started, 0);
    end_with_note(request, "d");
    CHECK_NOTES("d!CANCELLED");
    site_done(&s);
}

static void write_too_much(lariat_http_exchange *exchange, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_http_exchange_write(exchange, (const uint8_t *)"ab", 2));
    CHECK_STATUS(lariat_http_exchange_finish(exchange), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_exchange_write(exchange, (const uint8_t *)"cd", 2), LARIAT_ERR_TOO_LONG);
    CHECK_OK(lariat_http_exchange_write(exchange, NULL, 0));
    CHECK_OK(lariat_http_exchange_write(exchange, (const uint8_t *)"c", 1));
    CHECK_OK(lariat_http_exchange_finish(exchange));
    CHECK_STATUS(lariat_http_exchange_write(exchange, (const uint8_t *)"d", 1), LARIAT_ERR_INVALID_STATE);
}

static void fail_producing(lariat_http_exchange *exchange, void *user_data) {
    CHECK_OK(lariat_http_exchange_write(exchange, (const uint8_t *)"ab", 2));
    note("fails");
    CHECK_STATUS(lariat_http_exchange_fail(exchange, 0, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_http_exchange_fail(exchange, 7, "seven"));
    CHECK_STATUS(lariat_http_exchange_fail(exchange, 7, "seven"), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(((got *)user_data)->fired, 1);
}

TEST(the_length_that_was_said_holds) {
    site s = site_new();
    got one = {0}, two = {0};
    lariat_http_request_options options = request_options("PUT", s.web.url);
    options.start_producing = write_too_much;
    options.body_length = 3;
    fetch(&one, lariat_http_agent_request(s.agent, &options));
    int fd = web_accept(&s.web);
    CHECK(has(web_read_to(&s.web, fd, "\r\n\r\nabc"), "Content-Length: 3\r\n"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    options.start_producing = fail_producing;
    options.producer_data = &two;
    options.body_length = LARIAT_HTTP_UNKNOWN_LENGTH;
    fetch(&two, lariat_http_agent_request(s.agent, &options));
    expect_failure(s.reactor, &two, 7, "seven");
    CHECK_NOTES("fails");
    bytes rest = {0};
    CHECK(raw_end(s.reactor, fd, &rest) != RAW_OPEN); /* the server hears that this is no whole request */
    CHECK(!has(bytes_text(&rest), "0\r\n\r\n"));
    bytes_free(&rest);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_large_body_of_bytes_and_one_of_a_file) {
    size_t length = 3 << 20;
    uint8_t *data = pattern_new(length, 9);
    char path[] = "/tmp/lariat-http-XXXXXX";
    int file = mkstemp(path);
    CHECK_INT(write(file, data, length), length);
    CHECK_INT(close(file), 0);
    site s = site_new();
    for (int way = 0; way < 2; way++) {
        got one = {0};
        lariat_http_request_options options = request_options("POST", s.web.url);
        if (way) options.body_path = path;
        else options.body = data, options.body_len = length;
        fetch(&one, lariat_http_agent_request(s.agent, &options));
        int fd = web_accept(&s.web);
        bytes all = {0};
        until(s.reactor, raw_read(fd, &all) == RAW_OPEN && all.length > length);
        until(s.reactor, raw_read(fd, &all) == RAW_OPEN && all.length == (size_t)(strstr(bytes_text(&all), "\r\n\r\n") + 4 - bytes_text(&all)) + length);
        CHECK(has(bytes_text(&all), "Content-Length: 3145728\r\n"));
        CHECK_PATTERN(all.data + all.length - length, length, 9);
        raw_write(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        expect_got(s.reactor, &one, 200, "ok");
        bytes_free(&all);
        CHECK_INT(close(fd), 0);
    }
    CHECK_INT(unlink(path), 0);
    got none = {0};
    lariat_http_request_options options = request_options("POST", s.web.url);
    options.body_path = path;
    fetch(&none, lariat_http_agent_request(s.agent, &options));
    expect_failure(s.reactor, &none, LARIAT_ERR_NOT_FOUND, path);
    free(data);
    site_done(&s);
}

TEST(the_server_is_asked_whether_it_wants_the_body) {
    lariat_http_agent_options quick = agent_options();
    quick.continue_seconds = 0.0;
    for (int way = 0; way < 3; way++) {
        lariat_http_agent_options patient = agent_options();
        patient.continue_seconds = 1000;
        site s = site_with(way == 2 ? quick : patient);
        got one = {0};
        lariat_http_request_options options = request_options("POST", s.web.url);
        options.flags = LARIAT_HTTP_REQUEST_EXPECT_CONTINUE;
        options.body = (const uint8_t *)"body";
        options.body_len = 4;
        fetch(&one, lariat_http_agent_request(s.agent, &options));
        int fd = web_accept(&s.web);
        bytes all = {0};
        until(s.reactor, raw_read(fd, &all) == RAW_OPEN && has(bytes_text(&all), "\r\n\r\n"));
        CHECK(has(bytes_text(&all), "Expect: 100-continue\r\n"));
        if (way != 2) {
            turns(s.reactor, 5);
            raw_read(fd, &all);
            CHECK(!has(bytes_text(&all), "\r\n\r\nbody"));
        }
        if (way == 0) raw_write(fd, "HTTP/1.1 100 Continue\r\n\r\n");
        if (way != 1) {
            until(s.reactor, raw_read(fd, &all) == RAW_OPEN && has(bytes_text(&all), "\r\n\r\nbody"));
            raw_write(fd, OK_TEXT);
            expect_got(s.reactor, &one, 200, "hello");
            CHECK_INT(lariat_http_agent_idle(s.agent), 1);
        } else {
            raw_write(fd, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
            expect_got(s.reactor, &one, 417, "no");
            /* What the server makes of the body that does not come nobody knows. */
            CHECK_INT(lariat_http_agent_idle(s.agent), 0);
            CHECK(raw_end(s.reactor, fd, &all) != RAW_OPEN);
            CHECK(!has(bytes_text(&all), "\r\n\r\nbody"));
        }
        bytes_free(&all);
        CHECK_INT(close(fd), 0);
        site_done(&s);
    }
}

static void start_half(lariat_http_exchange *exchange, void *user_data) {
    producer *it = user_data;
    it->exchange = exchange;
    it->started++;
    CHECK_OK(lariat_http_exchange_write(exchange, (const uint8_t *)"half", 4));
}

TEST(an_early_refusal_stops_the_body) {
    site s = site_new();
    producer it = {0};
    got one = {0};
    lariat_http_request_options options = produced(s.web.url, &it);
    options.start_producing = start_half;
    fetch(&one, lariat_http_agent_request(s.agent, &options));
    int fd = web_accept(&s.web);
    web_read_to(&s.web, fd, "4\r\nhalf\r\n");
    raw_write(fd, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    until(s.reactor, it.stopped);
    CHECK_STATUS(lariat_http_exchange_write(it.exchange, (const uint8_t *)"x", 1), LARIAT_ERR_STALE_HANDLE);
    expect_got(s.reactor, &one, 413, "big");
    CHECK_INT(it.freed, 1);
    CHECK_INT(lariat_http_agent_idle(s.agent), 0); /* half a request is no place for another */
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

/* ---- connections ------------------------------------------------------------------------------------------------------------------- */

TEST(a_connection_is_used_again) {
    site s = site_new();
    int fd = -1;
    for (int i = 0; i < 3; i++) {
        got one = {0};
        fetch(&one, get(s.agent, &s.web, "/"));
        if (fd < 0) fd = web_accept(&s.web);
        web_head(&s.web, fd);
        raw_write(fd, i % 2 ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" : OK_TEXT);
        expect_got(s.reactor, &one, 200, "hello");
        CHECK_INT(lariat_http_agent_idle(s.agent), 1);
        CHECK_INT(lariat_http_agent_connections(s.agent), 1);
    }
    CHECK(web_is_quiet(&s.web));
    CHECK_OK(lariat_http_agent_close_idle(s.agent));
    until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_connection_is_not_used_again_when_one_side_says_so) {
    const char *responses[] = {
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloworld",
        OK_TEXT,
    };
    site s = site_new();
    for (int i = 0; i < 4; i++) {
        got one = {0};
        lariat_http_request_options options = request_options("GET", s.web.url);
        const char *close_it[] = {"Connection: close", NULL};
        if (i == 3) options.headers = close_it;
        fetch(&one, lariat_http_agent_request(s.agent, &options));
        int fd = web_answer(&s.web, responses[i]);
        expect_got(s.reactor, &one, 200, "hello");
        CHECK_INT(lariat_http_agent_idle(s.agent), 0);
        bytes none = {0};
        CHECK(raw_end(s.reactor, fd, &none) != RAW_OPEN);
        CHECK_INT(close(fd), 0);
    }
    got last = {0};
    fetch(&last, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
    expect_got(s.reactor, &last, 200, "hello");
    CHECK_INT(lariat_http_agent_idle(s.agent), 1);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(requests_wait_for_their_hosts_share) {
    lariat_http_agent_options options = agent_options();
    options.max_connections_per_host = 2;
    options.max_waiting = 2;
    site s = site_with(options);
    got all[4] = {0};
    for (int i = 0; i < 4; i++) {
        char path[8] = {'/', (char)('a' + i), 0};
        fetch(&all[i], get(s.agent, &s.web, path));
    }
    int first = web_accept(&s.web), second = web_accept(&s.web);
    until(s.reactor, lariat_http_agent_waiting(s.agent) == 2);
    CHECK_NULL(get(s.agent, &s.web, "/e"), LARIAT_ERR_LIMIT);
    CHECK(has(web_head(&s.web, first), "GET /a ") && has(web_head(&s.web, second), "GET /b "));
    CHECK(web_is_quiet(&s.web));
    raw_write(second, OK_TEXT);
    expect_got(s.reactor, &all[1], 200, "hello");
    CHECK(has(web_head(&s.web, second), "GET /c "));
    /* One that is closed makes room, too. */
    raw_write(first, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    expect_got(s.reactor, &all[0], 200, "hello");
    CHECK_INT(close(first), 0);
    first = web_accept(&s.web);
    CHECK(has(web_head(&s.web, first), "GET /d "));
    raw_write(first, OK_TEXT);
    raw_write(second, OK_TEXT);
    expect_got(s.reactor, &all[2], 200, "hello");
    expect_got(s.reactor, &all[3], 200, "hello");
    CHECK_INT(close(first), 0);
    CHECK_INT(close(second), 0);
    site_done(&s);
}

TEST(all_hosts_share_the_connections) {
    lariat_http_agent_options options = agent_options();
    options.max_connections = 1;
    site s = site_with(options);
    web other = web_new(s.reactor);
    got one = {0}, two = {0}, three = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    fetch(&two, get(s.agent, &other, "/"));
    fetch(&three, get(s.agent, &s.web, "/"));
    int fd = web_accept(&s.web);
    CHECK(web_is_quiet(&other));
    web_head(&s.web, fd);
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    web_head(&s.web, fd);
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &three, 200, "hello");
    /* The connection that nobody uses now gives way. */
    int away = web_answer(&other, OK_TEXT);
    expect_got(s.reactor, &two, 200, "hello");
    bytes none = {0};
    CHECK_INT(raw_end(s.reactor, fd, &none), RAW_END);
    CHECK_INT(lariat_http_agent_connections(s.agent), 1);
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(away), 0);
    web_close(&other);
    site_done(&s);
}

TEST(an_unused_connection_does_not_stay_for_ever) {
    lariat_reactor *reactor = manual_reactor();
    lariat_http_agent_options options = agent_options();
    options.idle_connection_seconds = 5;
    site s = {.reactor = reactor, .agent = agent_with(reactor, options), .web = web_new(reactor)};
    got one = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, OK_TEXT);
    expect_got(reactor, &one, 200, "hello");
    advance(reactor, 4.9);
    CHECK_INT(lariat_http_agent_idle(s.agent), 1);
    advance(reactor, 0.2);
    until(reactor, lariat_http_agent_connections(s.agent) == 0);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_connection_that_the_server_closes_is_forgotten) {
    site s = site_new();
    got one = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_INT(close(fd), 0);
    until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
    site_done(&s);
}

TEST(what_is_safe_is_tried_again_on_a_fresh_connection) {
    const struct { const char *method; int again; } methods[] = {{"GET", 1}, {"PUT", 1}, {"DELETE", 1}, {"POST", 0}, {"PATCH", 0}};
    site s = site_new();
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        got one = {0}, two = {0};
        fetch(&one, get(s.agent, &s.web, "/"));
        int fd = web_answer(&s.web, OK_TEXT);
        expect_got(s.reactor, &one, 200, "hello");
        lariat_http_request_options options = request_options(methods[i].method, s.web.url);
        if (strcmp(methods[i].method, "PUT") == 0) options.body = (const uint8_t *)"body", options.body_len = 4;
        fetch(&two, lariat_http_agent_request(s.agent, &options));
        web_head(&s.web, fd);
        raw_reset(fd);
        if (methods[i].again) {
            fd = web_accept(&s.web);
            const char *head = web_head(&s.web, fd);
            CHECK(strncmp(head, methods[i].method, strlen(methods[i].method)) == 0);
            if (options.body) CHECK(has(head, "\r\n\r\nbody"));
            raw_write(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
            expect_got(s.reactor, &two, 200, "hello");
            CHECK_INT(close(fd), 0);
        } else {
            expect_failure(s.reactor, &two, LARIAT_ERR_CONNECTION_LOST, methods[i].method);
            CHECK(web_is_quiet(&s.web));
        }
    }
    site_done(&s);
}

TEST(once_is_enough) {
    site s = site_new();
    got one = {0}, two = {0}, three = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    fetch(&two, get(s.agent, &s.web, "/"));
    web_head(&s.web, fd);
    raw_reset(fd);
    fd = web_accept(&s.web);
    web_head(&s.web, fd);
    CHECK_INT(close(fd), 0);
    expect_failure(s.reactor, &two, LARIAT_ERR_CONNECTION_LOST, "before it answered");
    /* Nor after the first byte of an answer. */
    fetch(&three, get(s.agent, &s.web, "/"));
    fd = web_answer(&s.web, "H");
    turns(s.reactor, 3);
    CHECK_INT(close(fd), 0);
    expect_failure(s.reactor, &three, LARIAT_ERR_TRUNCATED, "head");
    CHECK(web_is_quiet(&s.web));
    site_done(&s);
}

TEST(a_server_that_is_not_there) {
    site s = site_new();
    web none = web_new(s.reactor);
    got one = {0}, two = {0};
    web_close(&none);
    fetch(&one, get(s.agent, &none, "/x"));
    expect_failure(s.reactor, &one, LARIAT_ERR_CONNECTION_REFUSED, "127.0.0.1:");
    CHECK(has(one.message, "GET http://127.0.0.1:") && has(one.message, "/x"));
    fetch(&two, lariat_http_agent_get(s.agent, "http://nowhere.invalid/"));
    until(s.reactor, two.fired);
    CHECK(two.failure == LARIAT_ERR_NAME_NOT_FOUND || two.failure == LARIAT_ERR_LOOKUP_FAILED);
    CHECK(has(two.message, "nowhere.invalid"));
    CHECK_INT(lariat_http_agent_connections(s.agent), 0);
    site_done(&s);
}

TEST(a_unix_socket_in_place_of_the_url) {
    site s = site_new();
    char path[64], endpoint[80];
    snprintf(path, sizeof path, "/tmp/lariat-http-%d", (int)getpid());
    snprintf(endpoint, sizeof endpoint, "unix://%s", path);
    side own = {.name = "s"};
    server one_side = {&own, 1, 0, LARIAT_OK};
    lariat_listener *listener = listen_at(s.reactor, endpoint, PLAIN, &one_side);
    got one = {0};
    lariat_http_request_options options = request_options("GET", "http://app.test/x");
    options.endpoint = endpoint;
    fetch(&one, lariat_http_agent_request(s.agent, &options));
    until(s.reactor, own.calls);
    CHECK(has(bytes_text(&own.got), "GET /x HTTP/1.1\r\nHost: app.test\r\n"));
    write_text(own.transport, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_OK(lariat_http_agent_close_idle(s.agent));
    until(s.reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    stop_listening(s.reactor, listener);
    site_done(&s);
}

/* ---- time -------------------------------------------------------------------------------------------------------------------------- */

static site timed_site(lariat_http_agent_options options) {
    lariat_reactor *reactor = manual_reactor();
    site made = {.reactor = reactor, .agent = agent_with(reactor, options), .web = web_new(reactor)};
    return made;
}

TEST(a_response_may_be_late_but_not_too_late) {
    lariat_http_agent_options options = agent_options();
    options.response_seconds = 5;
    options.silence_seconds = INFINITY;
    site s = timed_site(options);
    got one = {0}, two = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_accept(&s.web);
    web_head(&s.web, fd);
    advance(s.reactor, 4.9);
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    fetch(&two, get(s.agent, &s.web, "/"));
    web_head(&s.web, fd);
    raw_write(fd, "HTTP/1.1 200 O");
    turns(s.reactor, 3);
    advance(s.reactor, 5.1);
    expect_failure(s.reactor, &two, LARIAT_ERR_TIMED_OUT, "no response within 5 s");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(silence_has_a_limit_unless_the_host_holds_up_the_server) {
    lariat_http_agent_options options = agent_options();
    options.silence_seconds = 5;
    options.response_seconds = INFINITY;
    site s = timed_site(options);
    stream it = {.pauses = 1};
    stream_from(&s, &it);
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
    turns(s.reactor, 3);
    raw_write(fd, "ab");
    until(s.reactor, it.pieces == 1);
    advance(s.reactor, 1000);
    turns(s.reactor, 3);
    CHECK_INT(it.ended, 0);
    it.pauses = 0;
    CHECK_OK(lariat_http_response_resume_body(it.response));
    raw_write(fd, "cd");
    until(s.reactor, it.body.length == 4);
    advance(s.reactor, 4.9);
    CHECK_INT(it.ended, 0);
    advance(s.reactor, 0.2);
    until(s.reactor, it.ended);
    CHECK_INT(it.reason, LARIAT_ERR_TIMED_OUT);
    CHECK(has(it.message, "GET http://127.0.0.1"));
    bytes_free(&it.body);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(all_of_it_may_take_so_long) {
    lariat_http_agent_options options = agent_options();
    options.total_seconds = 5;
    options.silence_seconds = options.response_seconds = INFINITY;
    site s = timed_site(options);
    got one = {0}, two = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab");
    until(s.reactor, one.code);
    advance(s.reactor, 5.1);
    expect_failure(s.reactor, &one, LARIAT_ERR_TIMED_OUT, "5 s");
    CHECK_INT(close(fd), 0);
    lariat_http_request_options shorter = request_options("GET", s.web.url);
    shorter.total_seconds = 1;
    fetch(&two, lariat_http_agent_request(s.agent, &shorter));
    fd = web_accept(&s.web);
    advance(s.reactor, 1.1);
    expect_failure(s.reactor, &two, LARIAT_ERR_TIMED_OUT, "1 s");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

/* ---- redirects --------------------------------------------------------------------------------------------------------------------- */

static char *redirect_to(int code, const char *where) {
    static char response[512];
    snprintf(response, sizeof response, "HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nmove", code, where);
    return response;
}

TEST(a_redirect_is_followed_on_the_same_connection) {
    site s = site_new();
    got one = {0};
    char url[256];
    fetch(&one, get(s.agent, &s.web, "/a/b?c"));
    int fd = web_answer(&s.web, redirect_to(302, "../d?e#f"));
    CHECK(has(web_head(&s.web, fd), "GET /d?e HTTP/1.1\r\n"));
    raw_write(fd, redirect_to(307, "//127.0.0.1:1/"));
    until(s.reactor, one.fired);
    CHECK_INT(one.failure, LARIAT_ERR_CONNECTION_REFUSED); /* to where it was redirected */
    one = (got){0};
    fetch(&one, get(s.agent, &s.web, "/"));
    web_head(&s.web, fd);
    raw_write(fd, redirect_to(301, "/x"));
    web_head(&s.web, fd);
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_INT(one.redirects, 1);
    snprintf(url, sizeof url, "%s/x", s.web.url);
    CHECK_STR(one.url, url);
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(methods_and_bodies_across_redirects) {
    const struct { int code; const char *method, *then; int body; } cases[] = {
        {301, "POST", "GET /x ", 0}, {302, "POST", "GET /x ", 0}, {303, "POST", "GET /x ", 0}, {303, "PUT", "GET /x ", 0},
        {307, "POST", "POST /x ", 1}, {308, "PUT", "PUT /x ", 1}, {301, "PUT", "PUT /x ", 1},
    };
    site s = site_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        got one = {0};
        lariat_http_request_options options = request_options(cases[i].method, s.web.url);
        options.body = (const uint8_t *)"body";
        options.body_len = 4;
        options.headers = (const char *[]){"Content-Type: text/plain", "X-Kept: 1", "Authorization: mine", NULL};
        fetch(&one, lariat_http_agent_request(s.agent, &options));
        int fd = web_accept(&s.web);
        web_read_to(&s.web, fd, "body");
        raw_write(fd, redirect_to(cases[i].code, "/x"));
        const char *head = cases[i].body ? web_read_to(&s.web, fd, "body") : web_head(&s.web, fd);
        CHECK(strncmp(head, cases[i].then, strlen(cases[i].then)) == 0);
        CHECK_INT(has(head, "Content-Type"), cases[i].body);
        CHECK_INT(has(head, "Content-Length: 4"), cases[i].body);
        CHECK(has(head, "X-Kept: 1") && has(head, "Authorization: mine"));
        raw_write(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
        expect_got(s.reactor, &one, 200, "hello");
        CHECK_INT(close(fd), 0);
    }
    site_done(&s);
}

TEST(secrets_are_not_told_to_others) {
    site s = site_new();
    web other = web_new(s.reactor);
    got one = {0};
    char url[128];
    lariat_http_request_options options = request_options("GET", s.web.url);
    options.headers = (const char *[]){"Cookie: a=1", "Host: here.test", "X-Kept: 1", NULL};
    options.user = "me";
    options.password = "secret";
    fetch(&one, lariat_http_agent_request(s.agent, &options));
    snprintf(url, sizeof url, "%s/there", other.url);
    int fd = web_accept(&s.web);
    const char *head = web_head(&s.web, fd);
    CHECK(has(head, "Authorization: Basic") && has(head, "Cookie: a=1") && has(head, "Host: here.test"));
    raw_write(fd, redirect_to(302, url));
    int away = web_accept(&other);
    head = web_head(&other, away);
    CHECK(has(head, "GET /there ") && has(head, "X-Kept: 1"));
    CHECK(!has(head, "Authorization") && !has(head, "Cookie") && !has(head, "here.test"));
    raw_write(away, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(away), 0);
    web_close(&other);
    site_done(&s);
}

TEST(redirects_that_are_not_followed) {
    lariat_http_agent_options few = agent_options();
    few.max_redirects = 2;
    site s = site_with(few);
    got one = {0}, two = {0}, three = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, redirect_to(302, "/1"));
    web_head(&s.web, fd);
    raw_write(fd, redirect_to(302, "/2"));
    web_head(&s.web, fd);
    raw_write(fd, redirect_to(302, "/3"));
    expect_failure(s.reactor, &one, LARIAT_ERR_LIMIT, "2 redirects");
    CHECK_INT(close(fd), 0);
    /* Not by option: the response is as good as another. */
    lariat_http_request_options options = request_options("GET", s.web.url);
    options.flags = LARIAT_HTTP_REQUEST_NO_REDIRECTS;
    fetch(&two, lariat_http_agent_request(s.agent, &options));
    fd = web_answer(&s.web, redirect_to(302, "/1"));
    expect_got(s.reactor, &two, 302, "move");
    /* Nor where it is not said whereto. */
    fetch(&three, get(s.agent, &s.web, "/"));
    web_head(&s.web, fd);
    raw_write(fd, "HTTP/1.1 302 Found\r\nContent-Length: 5\r\n\r\nhello");
    expect_got(s.reactor, &three, 302, "hello");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

TEST(a_long_body_of_a_redirect_is_not_read_to_its_end) {
    site s = site_new();
    got one = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 1000000\r\n\r\n");
    uint8_t *much = calloc(1, 100000);
    size_t at = 0;
    until(s.reactor, raw_send_some(fd, much, 100000, &at));
    int second = web_answer(&s.web, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    free(much);
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(second), 0);
    site_done(&s);
}

/* ---- cookies ----------------------------------------------------------------------------------------------------------------------- */

TEST(cookies_are_kept_and_sent) {
    lariat_http_agent_options options = agent_options();
    options.flags = LARIAT_HTTP_AGENT_COOKIES;
    site s = site_with(options);
    got one = {0}, two = {0};
    char text[64];
    size_t length;
    CHECK_OK(lariat_http_agent_set_cookie(s.agent, s.web.url, "z=0"));
    CHECK_STATUS(lariat_http_agent_set_cookie(s.agent, s.web.url, "z=0; domain=example.org"), LARIAT_ERR_INVALID_ARGUMENT);
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_accept(&s.web);
    CHECK(has(web_head(&s.web, fd), "\r\nCookie: z=0\r\n"));
    raw_write(fd, "HTTP/1.1 302 Found\r\nLocation: /p/q\r\nSet-Cookie: a=1; HttpOnly\r\nSet-Cookie: b=2; Path=/p\r\nSet-Cookie: c=3; Path=/x\r\n"
                  "Set-Cookie: d=4; Max-Age=0\r\nContent-Length: 0\r\n\r\n");
    CHECK(has(web_head(&s.web, fd), "\r\nCookie: b=2; z=0; a=1\r\n"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &one, 200, "hello");
    CHECK_STATUS(lariat_http_agent_cookies(s.agent, s.web.url, text, 5, &length), LARIAT_ERR_TOO_LONG);
    CHECK_INT(length, 8);
    CHECK_OK(lariat_http_agent_cookies(s.agent, s.web.url, text, sizeof text, NULL));
    CHECK_STR(text, "z=0; a=1");
    CHECK_OK(lariat_http_agent_clear_cookies(s.agent));
    fetch(&two, get(s.agent, &s.web, "/p"));
    CHECK(!has(web_head(&s.web, fd), "Cookie"));
    raw_write(fd, OK_TEXT);
    expect_got(s.reactor, &two, 200, "hello");
    CHECK_INT(close(fd), 0);
    site_done(&s);
}

static int32_t is_public(const char *domain, void *user_data) {
    note("%s?", domain);
    CHECK_OK(lariat_http_agent_clear_cookies(*(lariat_http_agent **)user_data)); /* it may call anything */
    return strcmp(domain, "test") == 0;
}

TEST(the_host_says_which_domains_are_public) {
    static lariat_http_agent *agent;
    lariat_http_agent_options options = agent_options();
    options.is_public_suffix = is_public;
    options.user_data = &agent;
    lariat_reactor *reactor = real_reactor();
    agent = agent_with(reactor, options);
    CHECK_STATUS(lariat_http_agent_set_cookie(agent, "http://a.test/", "x=1; domain=test"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_http_agent_set_cookie(agent, "http://w.a.test/", "x=1; domain=a.test"));
    char text[64];
    CHECK_OK(lariat_http_agent_cookies(agent, "http://v.a.test/", text, sizeof text, NULL));
    CHECK_STR(text, "x=1");
    CHECK(noted("test? ") && noted("a.test?"));
    notes_clear();
    agent_done(reactor, agent);
    reactor_done(reactor);
}

static lariat_http_agent *asked_agent;
static int32_t free_agent(const char *domain, void *user_data) {
    (void)domain, (void)user_data;
    CHECK_OK(lariat_http_agent_free(asked_agent));
    return 0;
}

TEST(an_agent_freed_by_whom_it_asks) {
    lariat_http_agent_options options = agent_options();
    options.flags = LARIAT_HTTP_AGENT_COOKIES;
    options.is_public_suffix = free_agent;
    site s = site_with(options);
    asked_agent = s.agent;
    got one = {0};
    fetch(&one, get(s.agent, &s.web, "/"));
    int fd = web_answer(&s.web, "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=127.0.0.1\r\nSet-Cookie: b=2; Domain=127.0.0.1\r\nContent-Length: 5\r\n\r\nhello");
    expect_failure(s.reactor, &one, LARIAT_ERR_CLOSED, "freed");
    until(s.reactor, reactor_stats(s.reactor).transports == 0);
    CHECK_INT(close(fd), 0);
    web_close(&s.web);
    reactor_done(s.reactor);
}

/* ---- proxies ----------------------------------------------------------------------------------------------------------------------- */

TEST(a_proxy_gets_the_whole_url) {
    lariat_reactor *reactor = real_reactor();
    web proxy = web_new(reactor);
    char url[128];
    snprintf(url, sizeof url, "http://me:secret@127.0.0.1:%d", proxy.port);
    lariat_http_agent_options options = agent_options();
    options.proxy = url;
    options.no_proxy = "10.0.0.0/8,127.0.0.1";
    site s = {.reactor = reactor, .agent = agent_with(reactor, options), .web = web_new(reactor)};
    got one = {0}, two = {0}, three = {0};
    fetch(&one, lariat_http_agent_get(s.agent, "http://first.test/a?b"));
    int fd = web_accept(&proxy);
    const char *head = web_head(&proxy, fd);
    CHECK(strncmp(head, "GET http://first.test/a?b HTTP/1.1\r\nHost: first.test\r\n", 50) == 0);
    CHECK(has(head, "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"));
    raw_write(fd, OK_TEXT);
    expect_got(reactor, &one, 200, "hello");
    /* Another host by the same connection. */
    fetch(&two, lariat_http_agent_get(s.agent, "http://second.test:81/"));
    CHECK(has(web_head(&proxy, fd), "GET http://second.test:81/ HTTP/1.1\r\nHost: second.test:81\r\n"));
    raw_write(fd, OK_TEXT);
    expect_got(reactor, &two, 200, "hello");
    fetch(&three, get(s.agent, &s.web, "/"));
    int direct = web_accept(&s.web);
    head = web_head(&s.web, direct);
    CHECK(has(head, "GET / HTTP/1.1\r\n") && !has(head, "Proxy-Authorization"));
    raw_write(direct, OK_TEXT);
    expect_got(reactor, &three, 200, "hello");
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(direct), 0);
    web_close(&proxy);
    site_done(&s);
}

TEST(a_tunnel_that_the_proxy_refuses) {
    lariat_reactor *reactor = real_reactor();
    web proxy = web_new(reactor);
    lariat_http_agent_options options = agent_options();
    options.proxy = proxy.url;
    site s = {.reactor = reactor, .agent = agent_with(reactor, options), .web = web_new(reactor)};
    const char *answers[] = {
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nearly", "nonsense\r\n\r\n", "",
    };
    const char *words[] = {"407 Proxy Authentication Required", "before the tunnel", "the proxy at", "has closed"};
    for (int i = 0; i < 4; i++) {
        got one = {0};
        fetch(&one, lariat_http_agent_get(s.agent, "https://first.test/"));
        int fd = web_accept(&proxy);
        CHECK(strncmp(web_head(&proxy, fd), "CONNECT first.test:443 HTTP/1.1\r\nHost: first.test:443\r\n\r\n", 55) == 0);
        raw_write(fd, answers[i]);
        if (i == 3) CHECK_INT(shutdown(fd, SHUT_WR), 0);
        expect_failure(reactor, &one, i == 1 || i == 2 ? LARIAT_ERR_BAD_MESSAGE : LARIAT_ERR_CONNECT_FAILED, words[i]);
        CHECK(has(one.message, "GET https://first.test/: "));
        CHECK_INT(close(fd), 0);
        until(reactor, lariat_http_agent_connections(s.agent) == 0);
    }
    web_close(&proxy);
    site_done(&s);
}

TEST(the_environment_says_which_proxy_if_it_is_asked) {
    lariat_reactor *reactor = real_reactor();
    web proxy = web_new(reactor);
    CHECK_INT(setenv("http_proxy", proxy.url, 1), 0);
    CHECK_INT(setenv("no_proxy", "127.0.0.1", 1), 0);
    lariat_http_agent_options options = agent_options();
    options.flags = LARIAT_HTTP_AGENT_ENVIRONMENT_PROXIES;
    site s = {.reactor = reactor, .agent = agent_with(reactor, options), .web = web_new(reactor)};
    got one = {0};
    fetch(&one, lariat_http_agent_get(s.agent, "http://first.test/"));
    int fd = web_answer(&proxy, OK_TEXT);
    expect_got(reactor, &one, 200, "hello");
    options.proxy = "http://a";
    CHECK_NULL(lariat_http_agent_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options.flags = 0;
    options.proxy = "socks5://a";
    CHECK_NULL(lariat_http_agent_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options.proxy = "https://a";
    CHECK_NULL(lariat_http_agent_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(close(fd), 0);
    web_close(&proxy);
    site_done(&s);
}

/* ---- ends ---------------------------------------------------------------------------------------------------------------------------- */

TEST(a_request_that_is_cancelled_hangs_up) {
    site s = site_new();
    for (int stage = 0; stage < 4; stage++) {
        lariat_deferred *request = get(s.agent, &s.web, "/");
        int fd = -1;
        bytes none = {0};
        if (stage == 3) CHECK_OK(lariat_deferred_add_callback(request, got_response, &(got){0}));
        if (stage > 0) fd = web_accept(&s.web);
        if (stage > 1) web_head(&s.web, fd);
        got it = {0};
        if (stage == 3) {
            CHECK_OK(lariat_deferred_cancel(request));
            end_with_note(request, "d");
        } else {
            if (stage == 2) {
                fetch(&it, request);
                raw_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
                until(s.reactor, it.code);
                /* What it waits for now is the body. */
                CHECK_INT(it.fired, 0);
                CHECK_INT(reactor_stats(s.reactor).http_exchanges, 1);
                CHECK_STATUS(lariat_deferred_cancel(request), LARIAT_OK);
                CHECK_INT(it.failure, LARIAT_ERR_CANCELLED);
            } else {
                CHECK_OK(lariat_deferred_cancel(request));
                end_with_note(request, "d");
            }
        }
        CHECK_INT(reactor_stats(s.reactor).http_exchanges, 0);
        if (fd >= 0) {
            CHECK(raw_end(s.reactor, fd, &none) != RAW_OPEN);
            CHECK_INT(close(fd), 0);
        }
        bytes_free(&none);
        bytes_free(&it.body);
        if (stage == 2) CHECK_NOTES("");
        else CHECK_NOTES("d!CANCELLED");
        until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
        if (stage == 0) {
            /* The attempt may have got as far as the server. */
            int late = raw_accept(s.web.listening);
            if (late >= 0) CHECK_INT(close(late), 0);
        }
    }
    site_done(&s);
}

TEST(an_agent_that_is_freed_ends_all_its_requests) {
    lariat_http_agent_options options = agent_options();
    options.max_connections_per_host = 3;
    site s = site_with(options);
    got all[5] = {0};
    stream body = {0};
    stream_from(&s, &body);
    int first = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    until(s.reactor, body.pieces == 1);
    fetch(&all[0], get(s.agent, &s.web, "/"));
    int second = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    until(s.reactor, all[0].code);
    fetch(&all[1], get(s.agent, &s.web, "/"));
    int third = web_answer(&s.web, "HTTP/1.1 2");
    fetch(&all[2], get(s.agent, &s.web, "/"));
    fetch(&all[3], lariat_http_agent_get(s.agent, "http://127.0.0.1:1/"));
    CHECK_OK(lariat_http_agent_free(s.agent));
    CHECK_INT(lariat_http_agent_free(s.agent), LARIAT_ERR_STALE_HANDLE);
    for (int i = 0; i < 4; i++) expect_failure(s.reactor, &all[i], LARIAT_ERR_CLOSED, "its agent was freed");
    CHECK_INT(body.reason, LARIAT_ERR_CLOSED);
    bytes_free(&body.body);
    until(s.reactor, reactor_stats(s.reactor).transports == 0);
    CHECK_INT(close(first), 0);
    CHECK_INT(close(second), 0);
    CHECK_INT(close(third), 0);
    web_close(&s.web);
    reactor_done(s.reactor);
}

static lariat_http_agent *freed_inside;
static lariat_reactor *reactor_inside;
static void free_inside(got *it) {
    (void)it;
    CHECK_STATUS(lariat_reactor_free(reactor_inside), LARIAT_ERR_BUSY);
    CHECK_OK(lariat_http_agent_free(freed_inside));
}

TEST(an_agent_freed_inside_its_own_callback) {
    site s = site_new();
    got one = {.on_response = free_inside}, two = {0};
    freed_inside = s.agent;
    reactor_inside = s.reactor;
    fetch(&one, get(s.agent, &s.web, "/"));
    fetch(&two, get(s.agent, &s.web, "/"));
    int fd = web_accept(&s.web), other = web_accept(&s.web);
    web_head(&s.web, fd);
    raw_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    /* The body cannot come any more. */
    until(s.reactor, one.fired);
    CHECK(one.failure == LARIAT_ERR_CLOSED || one.failure == LARIAT_ERR_TRUNCATED);
    expect_failure(s.reactor, &two, LARIAT_ERR_CLOSED, "freed");
    until(s.reactor, reactor_stats(s.reactor).transports == 0);
    bytes_free(&one.body);
    CHECK_INT(close(fd), 0);
    CHECK_INT(close(other), 0);
    web_close(&s.web);
    reactor_done(s.reactor);
}

TEST(a_reactor_that_is_freed_ends_everything_once) {
    site s = site_new();
    got one = {0}, two = {0}, kept = {.keeps = 1};
    stream body = {0};
    stream_from(&s, &body);
    int first = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    until(s.reactor, body.pieces == 1);
    fetch(&one, get(s.agent, &s.web, "/"));
    int second = web_accept(&s.web);
    fetch(&kept, get(s.agent, &s.web, "/"));
    int third = web_answer(&s.web, OK_TEXT);
    until(s.reactor, kept.fired);
    fetch(&two, get(s.agent, &s.web, "/"));
    free_reactor(s.reactor);
    CHECK_INT(one.fired, 1);
    CHECK_INT(one.failure, LARIAT_ERR_CLOSED);
    CHECK_INT(two.fired, 1);
    CHECK_INT(body.reason, LARIAT_ERR_CLOSED);
    CHECK_INT(body.freed, 1);
    bytes_free(&body.body);
    CHECK_INT(close(first), 0);
    CHECK_INT(close(second), 0);
    CHECK_INT(close(third), 0);
    web_close(&s.web);
}

TEST(a_scope_takes_its_requests_with_it) {
    site s = site_new();
    lariat_scope *scope = lariat_scope_new(s.reactor);
    got one = {0};
    stream body = {0};
    CHECK_OK(lariat_scope_enter(scope));
    stream_from(&s, &body);
    fetch(&one, get(s.agent, &s.web, "/"));
    CHECK_OK(lariat_scope_leave(scope));
    int first = web_answer(&s.web, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    int second = web_accept(&s.web);
    until(s.reactor, body.pieces == 1);
    CHECK_OK(lariat_scope_end(scope));
    CHECK_INT(body.ended, 1);
    CHECK_INT(one.fired, 1);
    CHECK_OK(lariat_scope_free(scope));
    CHECK_INT(reactor_stats(s.reactor).http_exchanges, 0);
    CHECK_INT(reactor_stats(s.reactor).http_responses, 0);
    bytes_free(&body.body);
    until(s.reactor, lariat_http_agent_connections(s.agent) == 0);
    CHECK_INT(close(first), 0);
    CHECK_INT(close(second), 0);
    site_done(&s);
}

TEST(a_simulated_reactor_has_no_files_to_send) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "here");
    lariat_http_agent *agent = agent_with(reactor, agent_options());
    lariat_http_request_options options = request_options("PUT", "http://there/");
    options.body_path = "/dev/null";
    CHECK_NULL(lariat_http_agent_request(agent, &options), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_OK(lariat_http_agent_free(agent));
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(what_is_refused_before_anything_is_sent) {
    site s = site_new();
    const char *urls[] = {"", "example.org", "ftp://example.org", "http://", "http://a b", "http://a/\n", "ws://a", "http://\xc3\xbc.test", "http://127.1"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) CHECK_NULL(lariat_http_agent_get(s.agent, urls[i]), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_http_agent_get(s.agent, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    const char *methods[] = {"", "GE T", "GET\r\nX: y", "CONNECT", "G\xc3\xa9T"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        lariat_http_request_options options = request_options(methods[i], s.web.url);
        CHECK_NULL(lariat_http_agent_request(s.agent, &options), LARIAT_ERR_INVALID_ARGUMENT);
    }
    lariat_http_request_options options = request_options("GET", s.web.url);
    options.body = (const uint8_t *)"x";
    options.body_len = 1;
    options.body_path = "/dev/null";
    CHECK_NULL(lariat_http_agent_request(s.agent, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options = request_options("GET", s.web.url);
    options.user = "a:b";
    CHECK_NULL(lariat_http_agent_request(s.agent, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options = request_options("GET", s.web.url);
    options.total_seconds = NAN;
    CHECK_NULL(lariat_http_agent_request(s.agent, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options = request_options("GET", s.web.url);
    options.endpoint = "nonsense";
    CHECK_NULL(lariat_http_agent_request(s.agent, &options), LARIAT_ERR_BAD_ENDPOINT);
    CHECK(web_is_quiet(&s.web));
    site_done(&s);
}
