/* What can go wrong with HTTP: the rows 29, 40 and 41 of the failure catalogue, and every limit of the server. */
#include "http.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(lines, body) "POST / HTTP/1.1\r\nHost: a\r\n" lines "\r\n\r\n" body

/* A server under a clock that only `advance` moves. */
static web slow_web(lariat_http_handler_fn handler, void *data) {
    lariat_http_server_options options = http_options();
    return web_with(manual_reactor(), &options, handler, data);
}

/* Nothing comes, and the connection stays. */
static void still_open(web *one, int fd) {
    bytes all = {0};
    turns(one->reactor, 3);
    CHECK_INT(raw_read(fd, &all), RAW_OPEN);
    CHECK_STR(bytes_text(&all), "");
    bytes_free(&all);
}

/* Time passes in steps, with turns between them. */
static void pass(web *one, double seconds) {
    for (; seconds > 1; seconds -= 1) {
        advance(one->reactor, 1);
        turn(one->reactor);
    }
    advance(one->reactor, seconds);
    turns(one->reactor, 3);
}

/* The server has it, and has read what was sent. */
static int slow_client(web *one, const char *text) {
    turns(one->reactor, 10); /* what has ended before is over */
    int fd = client_of(one, text);
    int64_t before = lariat_http_server_connections(one->server);
    until(one->reactor, lariat_http_server_connections(one->server) > before);
    turns(one->reactor, 3);
    return fd;
}

#define TOO_SLOW_HEAD REFUSAL(408, "Request Timeout", "408 Request Timeout: the head of the request took too long\n", 59)
#define TOO_SLOW REFUSAL(408, "Request Timeout", "408 Request Timeout\n", 20)

/* ---- 29: slow header, slow body, slow read ---- */

TEST(f29_a_slow_head_is_refused) {
    web one = slow_web(say, "x");
    int silent = slow_client(&one, ""), slow = slow_client(&one, "GET / HT"), drips = slow_client(&one, "G");
    for (int i = 0; i < 59; i++) {
        pass(&one, 1);
        raw_write(drips, "x");
        turns(one.reactor, 3);
    }
    pass(&one, 0.9);
    still_open(&one, silent);
    still_open(&one, slow);
    still_open(&one, drips);
    pass(&one, 0.2);
    CHECK_STR(read_to_end(&one, silent), "");
    CHECK_STR(read_to_end(&one, slow), TOO_SLOW_HEAD);
    CHECK_STR(read_to_end(&one, drips), TOO_SLOW_HEAD);
    web_done(&one);
}

TEST(f29_a_connection_is_idle_for_so_long) {
    web one = slow_web(say, "x");
    int fd = slow_client(&one, GET("/"));
    raw_expect(one.reactor, fd, OK_HEAD(1) "\r\nx");
    pass(&one, 74.9);
    raw_write(fd, GET("/"));
    raw_expect(one.reactor, fd, OK_HEAD(1) "\r\nx");
    pass(&one, 74.9);
    still_open(&one, fd);
    pass(&one, 0.2);
    CHECK_STR(read_to_end(&one, fd), "");
    /* Of a head that has begun, the time is another. */
    fd = slow_client(&one, GET("/") "G");
    raw_expect(one.reactor, fd, OK_HEAD(1) "\r\nx");
    pass(&one, 59.9);
    still_open(&one, fd);
    pass(&one, 0.2);
    CHECK_STR(read_to_end(&one, fd), TOO_SLOW_HEAD);
    web_done(&one);
}

TEST(f29_a_slow_body_is_refused) {
    web one = slow_web(echo_body, NULL);
    int stalls = slow_client(&one, POST("Content-Length: 100", "123")), drips = slow_client(&one, POST("Content-Length: 100", "1"));
    int chunks = slow_client(&one, POST("Transfer-Encoding: chunked", "5"));
    for (int i = 0; i < 11; i++) {
        pass(&one, 5);
        raw_write(drips, "x");
        turns(one.reactor, 3);
    }
    pass(&one, 4.9);
    still_open(&one, stalls);
    still_open(&one, drips);
    pass(&one, 0.2);
    CHECK_STR(read_to_end(&one, stalls), TOO_SLOW);
    CHECK_STR(read_to_end(&one, drips), TOO_SLOW);
    CHECK_STR(read_to_end(&one, chunks), TOO_SLOW);
    web_done(&one);
}

TEST(f29_a_body_that_is_fast_enough_may_take_long) {
    web one = slow_web(echo_body, NULL);
    char piece[601];
    memset(piece, 'x', 600);
    piece[600] = 0;
    int fd = slow_client(&one, POST("Content-Length: 180000", ""));
    for (int i = 0; i < 300; i++) {
        raw_write(fd, piece);
        pass(&one, 1);
    }
    bytes all = {0};
    until(one.reactor, (raw_read(fd, &all), all.length > 180000));
    CHECK(strncmp(bytes_text(&all), "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    web_done(&one);
}

static lariat_deferred *hold_body(lariat_http_request *request, void *user_data);

static void hold_received(lariat_http_request *request, const uint8_t *data, size_t len, void *user_data) {
    (void)data, (void)len, (void)user_data;
    CHECK_OK(lariat_http_request_pause_body(request));
}

static void hold_ended(lariat_http_request *request, const lariat_failure *failure, void *user_data) {
    (void)request;
    note("%s!%s", (char *)user_data, failure ? failure_label(failure) : "ok");
}

static lariat_http_request *held;

static lariat_deferred *hold_body(lariat_http_request *request, void *user_data) {
    held = request;
    CHECK_OK(lariat_http_request_set_body_functions(request, hold_received, hold_ended, user_data));
    return NULL;
}

TEST(f29_a_body_that_the_host_holds_up_is_not_the_client_s_fault) {
    web one = slow_web(hold_body, "body");
    int fd = slow_client(&one, POST("Content-Length: 100", "123"));
    pass(&one, 1000);
    still_open(&one, fd);
    CHECK_NOTES("");
    CHECK_OK(lariat_http_request_resume_body(held));
    pass(&one, 59.9);
    still_open(&one, fd);
    pass(&one, 0.2);
    CHECK_STR(read_to_end(&one, fd), TOO_SLOW);
    CHECK_NOTES("body!TIMED_OUT");
    /* One that nobody has asked for either. */
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    fd = slow_client(&one, POST("Content-Length: 5", "1"));
    pass(&one, 1000);
    still_open(&one, fd);
    respond_text(one.request, 200, "x");
    raw_expect(one.reactor, fd, OK_HEAD(1) "\r\nx");
    turn(one.reactor); /* which ends the request */
    pass(&one, 60.1);  /* the rest is waited for as a body is */
    CHECK_STR(read_to_end(&one, fd), "");
    CHECK_NOTES("got:/ end=-");
    web_done(&one);
}

static lariat_deferred *say_much(lariat_http_request *request, void *user_data) {
    size_t length = 20 * 1000 * 1000;
    uint8_t *data = pattern_new(length, 1);
    end_with_note(lariat_http_request_notify_finish(request), user_data);
    CHECK_OK(lariat_transport_set_buffer_sizes(lariat_http_request_transport(request), 32 * 1024, 32 * 1024));
    CHECK_OK(lariat_http_request_respond(request, 200, NULL, data, length));
    free(data);
    return NULL;
}

TEST(f29_who_does_not_read_is_cut_off) {
    web one = slow_web(say_much, "end");
    int fd = raw_connect(one.listener);
    raw_small_buffers(fd);
    raw_write(fd, GET("/") GET("/2"));
    until(one.reactor, noted("end=-"));
    bytes all = {0};
    uint8_t little[10000];
    /* As long as it reads a little, it is served. */
    for (int i = 0; i < 5; i++) {
        pass(&one, 40);
        size_t before = all.length;
        ssize_t length;
        until(one.reactor, ((length = recv(fd, little, sizeof little, 0)) > 0 ? bytes_add(&all, little, (size_t)length) : (void)0, all.length > before + 300000));
    }
    CHECK_NOTES("end=-"); /* nothing is begun for the second meanwhile */
    CHECK_INT(lariat_http_server_connections(one.server), 1);
    pass(&one, 130);
    CHECK_INT(lariat_http_server_connections(one.server), 0);
    CHECK_INT(raw_end(one.reactor, fd, &all), ECONNRESET);
    CHECK(all.length < 20 * 1000 * 1000);
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    web_done(&one);
}

TEST(f29_a_request_may_take_so_long_in_all) {
    lariat_http_server_options options = http_options();
    options.request_seconds = 30;
    web one = web_with(manual_reactor(), &options, NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    int fd = slow_client(&one, GET("/"));
    pass(&one, 29.9);
    still_open(&one, fd);
    pass(&one, 0.2);
    CHECK_STR(read_to_end(&one, fd), REFUSAL(503, "Service Unavailable", "503 Service Unavailable\n", 24));
    CHECK_NOTES("got:/ end!TIMED_OUT");
    /* Once it has begun to be answered, that is all that there is to be done. */
    fd = slow_client(&one, GET("/2"));
    CHECK_OK(lariat_http_request_write(one.request, (const uint8_t *)"part", 4));
    raw_expect(one.reactor, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    pass(&one, 30.1);
    CHECK_STR(read_to_reset(&one, fd), "");
    CHECK_NOTES("got:/2 end!TIMED_OUT");
    web_done(&one);
}

TEST(f29_who_was_refused_has_the_time_to_read_it_and_no_more) {
    web one = slow_web(say, "x");
    int fd = slow_client(&one, "rubbish\r\n\r\n");
    bytes all = {0};
    for (int i = 0; i < 4; i++) {
        raw_write(fd, "and more rubbish");
        pass(&one, 1.2);
        raw_read(fd, &all);
    }
    CHECK(strncmp(bytes_text(&all), "HTTP/1.1 400 Bad Request\r\n", 26) == 0); /* no reset took it away */
    CHECK_INT(lariat_http_server_connections(one.server), 1);
    pass(&one, 0.3);
    CHECK_INT(lariat_http_server_connections(one.server), 0);
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    web_done(&one);
}

TEST(f29_new_clients_are_served_while_a_crowd_is_slow) {
    enum { CROWD = 200 };
    web one = slow_web(say, "x");
    int crowd[CROWD];
    for (int i = 0; i < CROWD; i++) crowd[i] = client_of(&one, i % 2 ? "GET / HTTP/1.1\r\nHost: a\r\nX: " : POST("Content-Length: 100", "x"));
    until(one.reactor, lariat_http_server_connections(one.server) == CROWD);
    CHECK_ANSWER(&one, "GET / HTTP/1.0\r\n\r\n", OK_HEAD(1) "Connection: close\r\n\r\nx");
    pass(&one, 65);
    pass(&one, 10);
    CHECK_INT(lariat_http_server_connections(one.server), 0);
    for (int i = 0; i < CROWD; i++) CHECK_INT(close(crowd[i]), 0);
    web_done(&one);
}

/* ---- 40: what could be understood in two ways ---- */

/* It is refused with this code, and the connection is closed, whatever follows. */
static void refused_with(web *one, const char *sent, size_t length, int code) {
    int fd = raw_connect(one->listener);
    CHECK_INT(send(fd, sent, length, MSG_NOSIGNAL), length);
    static const char smuggled[] = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    send(fd, smuggled, strlen(smuggled), MSG_NOSIGNAL);
    const char *answer = read_to_end(one, fd);
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", code);
    if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, "\r\nConnection: close\r\n") || strstr(answer + 1, "HTTP/1.1 "))
        test_fail(__FILE__, __LINE__, "\"%s\" is answered with \"%s\"", sent, answer);
}

TEST(f40_requests_that_are_understood_in_two_ways_are_refused) {
    web one = web_new(echo_body, NULL);
    const struct { const char *sent; int code; } cases[] = {
        {POST("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"), 400},
        {POST("Content-Length: 5\r\nContent-Length: 5", "12345"), 400},
        {POST("Content-Length: 5\r\nContent-Length: 6", "12345"), 400},
        {POST("Content-Length: 5, 5", "12345"), 400},
        {POST("Content-Length: +5", "12345"), 400},
        {POST("Content-Length: -5", "12345"), 400},
        {POST("Content-Length: 0x5", "12345"), 400},
        {POST("Content-Length: 5 5", "12345"), 400},
        {POST("Content-Length: ", "12345"), 400},
        {POST("Content-Length: 18446744073709551621", "12345"), 400},
        {POST("Content-Length : 5", "12345"), 400},
        {POST("Content-Length\t: 5", "12345"), 400},
        {POST(" Content-Length: 5", "12345"), 400},
        {POST("X: y\r\n Content-Length: 5", "12345"), 400},
        {POST("X: y\r\n\tz", ""), 400},
        {POST("X:\r\n y", ""), 400},
        {POST("X: y\nZ: z", ""), 400},
        {POST("X: y\rZ: z", ""), 400},
        {POST("X: y\r\rZ: z", ""), 400},
        {POST("X: \x01", ""), 400},
        {POST("X: \x7f", ""), 400},
        {POST("X", ""), 400},
        {POST(": x", ""), 400},
        {POST("X Y: z", ""), 400},
        {POST("Transfer-Encoding: identity", ""), 400},
        {POST("Transfer-Encoding: chunked, identity", ""), 400},
        {POST("Transfer-Encoding: chunked, chunked", ""), 400},
        {POST("Transfer-Encoding: xchunked", ""), 400},
        {POST("Transfer-Encoding: \x0b" "chunked", ""), 400},
        {POST("Transfer-Encoding: gzip, chunked", ""), 501},
        {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", ""), 400},
        {POST("Transfer-Encoding : chunked", ""), 400},
        {POST("Host: b", ""), 400},
        {POST("Expect: 200-ok", ""), 417},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
        {"GET /\r\n\r\n", 400},
        {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {POST("Transfer-Encoding: chunked", "g\r\n"), 400},
        {POST("Transfer-Encoding: chunked", " 1\r\na\r\n0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "1 \r\na\r\n0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "1\na\r\n0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "1\r\na\n0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "1\r\nab\r\n0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "0x1\r\na\r\n0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "-1\r\na\r\n0\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "0\r\nContent-Length: 5\r\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "0\r\nX: y\n\r\n"), 400},
        {POST("Transfer-Encoding: chunked", "0\n\r\n"), 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refused_with(&one, cases[i].sent, strlen(cases[i].sent), cases[i].code);
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", in_name[] = "GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", in_line[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
    refused_with(&one, nul, sizeof nul - 1, 400);
    refused_with(&one, in_name, sizeof in_name - 1, 400);
    refused_with(&one, in_line, sizeof in_line - 1, 400);
    web_done(&one);
}

TEST(f40_a_request_that_is_refused_does_not_take_the_answers_before_it_away) {
    web one = web_new(say_target, NULL);
    int fd = client_of(&one, GET("/1") GET("/2") "GET /3 HTTP/1.1\r\nHost : a\r\n\r\n" GET("/4"));
    CHECK_STR(read_to_end(&one, fd), OK_HEAD(2) "\r\n/1" OK_HEAD(2) "\r\n/2" REFUSAL(400, "Bad Request", "400 Bad Request: a header's name that is none\n", 46));
    web_done(&one);
}

/* ---- 41: bombs ---- */

/* What is sent: `before`, so many times `again`, `after`. */
static const char *answered(web *one, const char *before, const char *again, size_t times, const char *after) {
    bytes all = {0};
    bytes_add(&all, (const uint8_t *)before, strlen(before));
    for (size_t i = 0; i < times; i++) bytes_add(&all, (const uint8_t *)again, strlen(again));
    bytes_add(&all, (const uint8_t *)after, strlen(after));
    static bytes got;
    got.length = 0;
    bytes_add(&got, (const uint8_t *)"", 0);
    int fd = raw_connect(one->listener), how = RAW_OPEN;
    size_t at = 0;
    until(one->reactor, (raw_send_some(fd, all.data, all.length, &at), (how = raw_read(fd, &got)) != RAW_OPEN));
    CHECK_INT(how, RAW_END);
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    return bytes_text(&got);
}

static int begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

TEST(f41_what_is_too_large_is_refused) {
    web one = web_new(echo_body, NULL);
    CHECK(begins(answered(&one, "GET /", "x", 8200, " HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 414 URI Too Long\r\n"));
    CHECK(begins(answered(&one, "", "x", 9000, ""), "HTTP/1.1 414 URI Too Long\r\n"));
    CHECK(begins(answered(&one, "GET / HTTP/1.0\r\nX: ", "x", 32769, "\r\n\r\n"), "HTTP/1.1 431 "));
    CHECK(begins(answered(&one, "GET / HTTP/1.0\r\nX: ", "x", 33000, ""), "HTTP/1.1 431 "));
    CHECK(begins(answered(&one, "GET / HTTP/1.0\r\n", "X: y\r\n", 101, "\r\n"), "HTTP/1.1 431 Request Header Fields Too Large\r\n"));
    CHECK(begins(answered(&one, "GET / HTTP/1.0\r\n", "X: y\r\n", 100, "\r\n"), "HTTP/1.1 200 OK\r\n"));
    CHECK(begins(answered(&one, POST("Content-Length: 1048577", ""), "x", 1, ""), "HTTP/1.1 413 Content Too Large\r\n"));
    CHECK(begins(answered(&one, POST("Content-Length: 1048577\r\nExpect: 100-continue", ""), "", 0, ""), "HTTP/1.1 413 Content Too Large\r\n"));
    CHECK(begins(answered(&one, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n", "x", 1048576, ""), "HTTP/1.1 200 OK\r\n"));
    CHECK(begins(answered(&one, POST("Transfer-Encoding: chunked", ""), "1\r\nx\r\n", 1048577, "0\r\n\r\n"), "HTTP/1.1 413 Content Too Large\r\n"));
    CHECK(begins(answered(&one, POST("Transfer-Encoding: chunked", "1;"), "x", 20000, "\r\nx\r\n0\r\n\r\n"), "HTTP/1.1 413 "));
    CHECK(begins(answered(&one, POST("Transfer-Encoding: chunked", ""), "1;x\r\nx\r\n", 20000, "0\r\n\r\n"), "HTTP/1.1 413 "));
    CHECK(begins(answered(&one, POST("Transfer-Encoding: chunked", "0\r\nX: "), "x", 20000, "\r\n\r\n"), "HTTP/1.1 431 "));
    CHECK(begins(answered(&one, POST("Transfer-Encoding: chunked", "0\r\n"), "X: y\r\n", 101, "\r\n"), "HTTP/1.1 431 "));
    const char *const overflows[] = {"8000000000000000", "10000000000000000", "ffffffffffffffff", "100000000000000000000000000000000"};
    for (int i = 0; i < 4; i++) CHECK(begins(answered(&one, POST("Transfer-Encoding: chunked", ""), overflows[i], 1, "\r\nx"), "HTTP/1.1 400 "));
    CHECK(begins(answered(&one, POST("Transfer-Encoding: chunked", ""), "0", 100000, "\r\n\r\n"), "HTTP/1.1 400 "));
    web_done(&one);
}

TEST(f41_limits_can_be_set) {
    lariat_http_server_options options = http_options();
    options.max_request_line = 20;
    options.max_header_bytes = 40;
    options.max_headers = 2;
    options.max_body = 3;
    web one = web_with(real_reactor(), &options, echo_body, NULL);
    CHECK(begins(answered(&one, "GET /12345 HTTP/1.0\r\n\r\n", "", 0, ""), "HTTP/1.1 200 "));
    CHECK(begins(answered(&one, "GET /1234567 HTTP/1.0\r\n\r\n", "", 0, ""), "HTTP/1.1 414 "));
    CHECK(begins(answered(&one, "GET / HTTP/1.0\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", "", 0, ""), "HTTP/1.1 431 "));
    CHECK(begins(answered(&one, "GET / HTTP/1.0\r\nA: ", "x", 40, "\r\n\r\n"), "HTTP/1.1 431 "));
    CHECK(begins(answered(&one, "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd", "", 0, ""), "HTTP/1.1 413 "));
    CHECK(begins(answered(&one, "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "", 0, ""), "HTTP/1.1 200 "));
    web_done(&one);
    lariat_reactor *reactor = real_reactor();
    options.max_headers = 257;
    CHECK_NULL(lariat_http_server_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options = http_options();
    options.idle_seconds = -1;
    CHECK_NULL(lariat_http_server_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options = http_options();
    options.server_name = "a\r\nb";
    CHECK_NULL(lariat_http_server_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT);
    options.server_name = "own";
    options.reserved = 1;
    CHECK_NULL(lariat_http_server_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(f41_requests_behind_one_that_is_not_answered_wait_at_the_client) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    bytes all = {0};
    for (int i = 0; i < 500000; i++) bytes_add(&all, (const uint8_t *)GET("/"), strlen(GET("/")));
    int fd = raw_connect(one.listener);
    size_t at = 0, before = 1;
    for (int still = 0; still < 20; still = at == before ? still + 1 : 0) {
        before = at;
        raw_send_some(fd, all.data, all.length, &at);
        turns(one.reactor, 5);
    }
    CHECK_NOTES("got:/");
    CHECK(at < all.length / 2); /* the rest is the client's to keep */
    raw_reset(fd);
    respond_text(one.request, 200, "x");
    until(one.reactor, lariat_http_server_connections(one.server) == 0);
    notes_clear();
    bytes_free(&all);
    web_done(&one);
}

TEST(f41_a_connection_has_so_many_requests) {
    lariat_http_server_options options = http_options();
    options.max_requests_per_connection = 2;
    web one = web_with(real_reactor(), &options, say_target, NULL);
    CHECK_ANSWER(&one, GET("/1") GET("/2") GET("/3"), OK_HEAD(2) "\r\n/1" OK_HEAD(2) "Connection: close\r\n\r\n/2");
    web_done(&one);
}

TEST(f41_a_server_has_so_many_connections) {
    lariat_http_server_options options = http_options();
    options.max_connections = 2;
    web one = web_with(real_reactor(), &options, say, "x");
    int first = raw_connect(one.listener), second = raw_connect(one.listener), third = client_of(&one, GET("/"));
    until(one.reactor, lariat_http_server_connections(one.server) == 2);
    still_open(&one, third);
    CHECK_INT(lariat_http_server_connections(one.server), 2);
    CHECK_INT(close(first), 0);
    raw_expect(one.reactor, third, OK_HEAD(1) "\r\nx");
    CHECK_INT(close(second) + close(third), 0);
    web_done(&one);
    options.max_connections = 0;
    options.max_connections_per_peer = 1;
    one = web_with(real_reactor(), &options, say, "x");
    first = client_of(&one, GET("/"));
    raw_expect(one.reactor, first, OK_HEAD(1) "\r\nx");
    bytes all = {0};
    second = raw_connect(one.listener);
    CHECK_INT(raw_end(one.reactor, second, &all), RAW_END);
    CHECK_INT(close(first) + close(second), 0);
    bytes_free(&all);
    web_done(&one);
}
