/* The HTTP server: requests, responses, bodies, the order of things, routers, files, and the ends of all of them. */
#include "http.h"

/* ---- a folder of the case's own, removed at its end ---- */

static char folder[256];

static void folder_new(void) {
    const char *where = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/lariat-test-XXXXXX", where && *where ? where : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
}

static void folder_end(void) {
    char command[600];
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' 2>/dev/null; rm -rf '%s'", folder, folder);
    CHECK_INT(system(command), 0);
}

static const char *in_folder(const char *name) {
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    CHECK_INT(close(fd), 0);
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST(target) "GET " target " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

/* ---- requests and responses ---- */

TEST(http_answers_on_a_connection_that_is_kept) {
    web one = web_new(say, "hello");
    int fd = client_of(&one, GET("/"));
    raw_expect(one.reactor, fd, OK_HEAD(5) "\r\nhello");
    raw_write(fd, GET("/again"));
    raw_expect(one.reactor, fd, OK_HEAD(5) "\r\nhello");
    CHECK_INT(lariat_http_server_connections(one.server), 1);
    CHECK_INT(close(fd), 0);
    until(one.reactor, lariat_http_server_connections(one.server) == 0);
    CHECK_ANSWER(&one, LAST("/"), OK_HEAD(5) "Connection: close\r\n\r\nhello");
    CHECK_ANSWER(&one, "GET / HTTP/1.0\r\n\r\n", OK_HEAD(5) "Connection: close\r\n\r\nhello");
    fd = client_of(&one, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    raw_expect(one.reactor, fd, OK_HEAD(5) "Connection: keep-alive\r\n\r\nhello");
    CHECK_INT(close(fd), 0);
    web_done(&one);
}

TEST(http_says_when_and_who) {
    web one = web_with(real_reactor(), NULL, say, "x");
    const char *answer = read_to_end(&one, client_of(&one, LAST("/")));
    const char *date = strstr(answer, "\r\nDate: ");
    CHECK(date != NULL && strstr(date, " GMT\r\nServer: lariat\r\n") == date + strlen("\r\nDate: Mon, 23 Nov 2026 16:08:25"));
    web_done(&one);
}

static lariat_deferred *look_at_all(lariat_http_request *request, void *user_data) {
    const char *name, *value;
    CHECK_PTR(user_data, NULL);
    CHECK_STR(lariat_http_request_method(request), "GET");
    CHECK_STR(lariat_http_request_target(request), "/a%20b/c?x=1&y=%41+b&x=2&bad=%zz&e");
    CHECK_STR(lariat_http_request_path(request), "/a b/c");
    CHECK_STR(lariat_http_request_query(request), "x=1&y=%41+b&x=2&bad=%zz&e");
    CHECK_STR(lariat_http_request_query_parameter(request, "x"), "1");
    CHECK_STR(lariat_http_request_query_parameter(request, "y"), "A b");
    CHECK_STR(lariat_http_request_query_parameter(request, "e"), "");
    CHECK_PTR(lariat_http_request_query_parameter(request, "bad"), NULL);
    CHECK_PTR(lariat_http_request_query_parameter(request, "z"), NULL);
    CHECK_PTR(lariat_http_request_parameter(request, "x"), NULL);
    CHECK_STR(lariat_http_request_host(request), "example.org:81");
    CHECK_STR(lariat_http_request_header(request, "x-MORE"), "one, two");
    CHECK_PTR(lariat_http_request_header(request, "x"), NULL);
    CHECK_INT(lariat_http_request_header_count(request), 3);
    CHECK_OK(lariat_http_request_header_at(request, 1, &name, &value));
    CHECK_STR(name, "X-More");
    CHECK_STR(value, "one, two");
    CHECK_OK(lariat_http_request_header_at(request, 2, NULL, &value));
    CHECK_STR(value, "");
    CHECK_STATUS(lariat_http_request_header_at(request, 3, &name, &value), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(lariat_http_request_version(request), 11);
    CHECK_INT(lariat_http_request_content_length(request), 0);
    CHECK_INT(lariat_http_request_is_secure(request), 0);
    CHECK(lariat_transport_listener(lariat_http_request_transport(request)) != NULL);
    CHECK_PTR(lariat_http_request_user_data(request), NULL);
    CHECK_OK(lariat_http_request_set_user_data(request, token_new("first"), token_free_noted));
    CHECK_OK(lariat_http_request_set_user_data(request, token_new("second"), token_free_noted));
    CHECK_STR(lariat_http_request_user_data(request), "second");
    respond_text(request, 200, "ok");
    CHECK_STR(lariat_http_request_method(request), "GET"); /* it lives until this returns */
    note("handled");
    return NULL;
}

TEST(http_tells_all_of_a_request) {
    web one = web_new(look_at_all, NULL);
    CHECK_ANSWER(&one, "GET /a%20b/c?x=1&y=%41+b&x=2&bad=%zz&e HTTP/1.1\r\nHost: example.org:81\r\nX-More: \tone, two \r\nConnection:\r\n\r\n" LAST("x") "",
                 OK_HEAD(2) "\r\nok" REFUSAL(400, "Bad Request", "400 Bad Request: a target that is neither a path nor a URL\n", 59));
    CHECK_NOTES("free:first handled free:second");
    web_done(&one);
}

static lariat_deferred *set_headers(lariat_http_request *request, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_http_request_set_header(request, "X-One", "1"));
    CHECK_OK(lariat_http_request_set_header(request, "x-one", "2"));
    CHECK_OK(lariat_http_request_add_header(request, "Set-Cookie", "a"));
    CHECK_OK(lariat_http_request_add_header(request, "Set-Cookie", "b"));
    CHECK_OK(lariat_http_request_set_header(request, "X-Gone", "3"));
    CHECK_OK(lariat_http_request_remove_header(request, "X-GONE"));
    CHECK_OK(lariat_http_request_set_header(request, "Date", "never"));
    const char *const bad[][2] = {{"X", "a\r\nSet-Cookie: c"}, {"X", "a\nb"}, {"X", "a\rb"}, {"X: y", "z"}, {"", "x"}, {"X Y", "z"}, {"X", "\x01"}, {"X", "\x7f"},
                                  {"Transfer-Encoding", "chunked"}, {"Connection", "keep-alive"}, {"Content-Length", "+5"}, {"Content-Length", "5, 5"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(lariat_http_request_set_header(request, bad[i][0], bad[i][1]), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_http_request_add_header(request, bad[i][0], bad[i][1]), LARIAT_ERR_INVALID_ARGUMENT);
    }
    CHECK_STATUS(lariat_http_request_respond(request, 200, "a\r\nb", NULL, 0), LARIAT_ERR_INVALID_ARGUMENT);
    for (int code = -1; code < 700; code += code < 199 ? 100 : 1)
        if (code < 200 || code > 599) CHECK_STATUS(lariat_http_request_respond(request, code, NULL, NULL, 0), LARIAT_ERR_INVALID_ARGUMENT);
    respond_text(request, 404, "x");
    CHECK_STATUS(lariat_http_request_respond(request, 200, NULL, NULL, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_write(request, NULL, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_finish(request), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_set_header(request, "a", "b"), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_abort(request), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_http_request_read_body(request), LARIAT_ERR_INVALID_STATE);
    ((web *)user_data)->request = request;
    return NULL;
}

TEST(http_headers_are_what_was_set_and_cannot_split_a_response) {
    web one = web_new(set_headers, &one);
    CHECK_ANSWER(&one, LAST("/"),
                 "HTTP/1.1 404 Not Found\r\nx-one: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: never\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n"
                 "Connection: close\r\n\r\nx");
    CHECK_STATUS(lariat_http_request_respond(one.request, 200, NULL, NULL, 0), LARIAT_ERR_STALE_HANDLE);
    CHECK_PTR(lariat_http_request_method(one.request), NULL);
    web_done(&one);
}

static lariat_deferred *say_code(lariat_http_request *request, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_http_request_respond(request, atoi(lariat_http_request_target(request) + 1), NULL, (const uint8_t *)"body", 4));
    return NULL;
}

TEST(http_leaves_a_body_out_where_there_is_none) {
    web one = web_new(say_code, NULL);
    int fd = client_of(&one, "HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/204") GET("/304") "HEAD /404 HTTP/1.1\r\nHost: a\r\n\r\n" LAST("/299"));
    CHECK_STR(read_to_end(&one, fd),
              "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n"
              "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nHTTP/1.1 299 \r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
    web_done(&one);
}

/* ---- responses piece by piece ---- */

static lariat_deferred *write_pieces(lariat_http_request *request, void *user_data) {
    const char *length = user_data;
    if (length) CHECK_OK(lariat_http_request_set_header(request, "Content-Length", length));
    CHECK_OK(lariat_http_request_set_response_code(request, 201));
    CHECK_OK(lariat_http_request_write(request, (const uint8_t *)"one ", 4));
    CHECK_STATUS(lariat_http_request_set_response_code(request, 200), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_set_header(request, "X", "y"), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_respond(request, 200, NULL, NULL, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_http_request_write(request, NULL, 0));
    if (length) {
        CHECK_STATUS(lariat_http_request_write(request, (const uint8_t *)"three", 5), LARIAT_ERR_INVALID_ARGUMENT);
        if (!strcmp(lariat_http_request_method(request), "GET")) CHECK_STATUS(lariat_http_request_finish(request), LARIAT_ERR_INVALID_STATE);
    }
    CHECK_OK(lariat_http_request_write(request, (const uint8_t *)"two", 3));
    CHECK_OK(lariat_http_request_finish(request));
    return NULL;
}

TEST(http_sends_pieces_in_chunks_or_by_their_length) {
    web one = web_new(write_pieces, NULL);
    int fd = client_of(&one, GET("/"));
    raw_expect(one.reactor, fd, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n");
    raw_write(fd, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_expect(one.reactor, fd, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK_INT(close(fd), 0);
    CHECK_ANSWER(&one, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 201 Created\r\nConnection: close\r\n\r\none two");
    CHECK_OK(lariat_http_server_set_handler(one.server, write_pieces, "7"));
    fd = client_of(&one, GET("/"));
    raw_expect(one.reactor, fd, "HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\none two");
    raw_write(fd, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_expect(one.reactor, fd, "HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\n");
    CHECK_INT(close(fd), 0);
    web_done(&one);
}

static lariat_deferred *write_large(lariat_http_request *request, void *user_data) {
    size_t length = *(size_t *)user_data;
    uint8_t *data = pattern_new(length, 7);
    if (strstr(lariat_http_request_target(request), "whole")) CHECK_OK(lariat_http_request_respond(request, 200, NULL, data, length));
    else {
        CHECK_OK(lariat_http_request_write(request, data, length));
        CHECK_OK(lariat_http_request_finish(request));
    }
    free(data);
    return NULL;
}

TEST(http_large_bodies_arrive_whole) {
    size_t length = 0;
    web one = web_new(write_large, &length);
    const size_t lengths[] = {0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 65536, 3000001};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        length = lengths[i];
        bytes all = {0};
        int fd = client_of(&one, "GET /whole HTTP/1.1\r\nHost: a\r\n\r\nGET /pieces HTTP/1.0\r\n\r\n");
        CHECK_INT(raw_end(one.reactor, fd, &all), RAW_END);
        CHECK_INT(close(fd), 0);
        const char *body = body_of(bytes_text(&all));
        CHECK_PATTERN((const uint8_t *)body, length, 7);
        const char *second = body + length;
        CHECK(strncmp(second, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 38) == 0);
        CHECK_INT(bytes_text(&all) + all.length - second - 38, length);
        CHECK_PATTERN((const uint8_t *)second + 38, length, 7);
        bytes_free(&all);
    }
    web_done(&one);
}

/* ---- order ---- */

TEST(http_answers_in_the_order_asked) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    int fd = client_of(&one, GET("/1") GET("/2") LAST("/3"));
    until(one.reactor, one.request != NULL);
    turns(one.reactor, 3);
    CHECK_NOTES("got:/1"); /* those behind it wait */
    for (int i = 1; i <= 3; i++) {
        lariat_http_request *request = one.request;
        one.request = NULL;
        respond_text(request, 200, lariat_http_request_target(request));
        CHECK_OK(lariat_http_request_set_user_data(request, NULL, NULL)); /* it lives until the turn ends */
        turn(one.reactor);
        CHECK_STATUS(lariat_http_request_version(request), LARIAT_ERR_STALE_HANDLE);
        CHECK_NOTES(i == 1 ? "end=- got:/2" : i == 2 ? "end=- got:/3" : "end=-");
    }
    CHECK_STR(read_to_end(&one, fd), OK_HEAD(2) "\r\n/1" OK_HEAD(2) "\r\n/2" OK_HEAD(2) "Connection: close\r\n\r\n/3");
    web_done(&one);
}

TEST(http_many_requests_at_once_are_all_answered) {
    web one = web_new(say_target, NULL);
    bytes all = {0}, sent = {0};
    char text[100];
    int count = (int)many(20000);
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "GET /%d HTTP/1.1\r\nHost: a\r\n%s\r\n", i, i == count - 1 ? "Connection: close\r\n" : "");
        bytes_add(&sent, (const uint8_t *)text, strlen(text));
    }
    int fd = raw_connect(one.listener), how = RAW_OPEN;
    size_t at = 0;
    until(one.reactor, (raw_send_some(fd, sent.data, sent.length, &at), (how = raw_read(fd, &all)) != RAW_OPEN));
    CHECK_INT(how, RAW_END);
    const char *place = bytes_text(&all);
    for (int i = 0; i < count; i++) {
        place = body_of(place);
        snprintf(text, sizeof text, "/%d", i);
        CHECK(strncmp(place, text, strlen(text)) == 0);
        place += strlen(text);
    }
    CHECK_STR(place, "");
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    bytes_free(&sent);
    web_done(&one);
}

/* ---- bodies ---- */

#define POST(lines, body) "POST / HTTP/1.1\r\nHost: a\r\n" lines "\r\n\r\n" body
#define ECHOED(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " #length "\r\n\r\n" body

TEST(http_reads_a_body_whole) {
    web one = web_new(echo_body, NULL);
    int fd = client_of(&one, POST("Content-Length: 5", "12345") POST("Transfer-Encoding: chunked", "3;x\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n") GET("/"));
    raw_expect(one.reactor, fd, ECHOED(5, "12345") ECHOED(5, "abcde") ECHOED(0, ""));
    raw_write(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1");
    turns(one.reactor, 3);
    raw_write(fd, "23");
    turns(one.reactor, 3);
    raw_write(fd, "4");
    raw_expect(one.reactor, fd, ECHOED(4, "1234"));
    raw_write(fd, POST("Expect: 100-continue\r\nContent-Length: 2", ""));
    raw_expect(one.reactor, fd, "HTTP/1.1 100 Continue\r\n\r\n");
    raw_write(fd, "ab");
    raw_expect(one.reactor, fd, ECHOED(2, "ab"));
    CHECK_INT(close(fd), 0);
    web_done(&one);
}

TEST(http_a_body_that_nobody_wants_is_dropped_or_ends_the_connection) {
    web one = web_new(say, "no");
    int fd = client_of(&one, POST("Content-Length: 5", "GET /") POST("Transfer-Encoding: chunked", "5\r\nGET /\r\n0\r\n\r\n") GET("/"));
    raw_expect(one.reactor, fd, OK_HEAD(2) "\r\nno" OK_HEAD(2) "\r\nno" OK_HEAD(2) "\r\nno");
    CHECK_INT(close(fd), 0);
    /* The client waits for a 100 that does not come: nobody knows what it sends next. */
    CHECK_ANSWER(&one, POST("Expect: 100-continue\r\nContent-Length: 5", ""), OK_HEAD(2) "Connection: close\r\n\r\nno");
    CHECK_ANSWER(&one, POST("Content-Length: 1000000", "12345"), OK_HEAD(2) "Connection: close\r\n\r\nno");
    web_done(&one);
}

typedef struct stream {
    web *web;
    lariat_http_request *request;
    bytes got;
    int ended, paused;
    int32_t failure;
} stream;

static void stream_received(lariat_http_request *request, const uint8_t *data, size_t len, void *user_data) {
    stream *own = user_data;
    CHECK(!own->paused && !own->ended && len > 0);
    bytes_add(&own->got, data, len);
    if (own->web->request == request) {
        own->paused = 1;
        CHECK_OK(lariat_http_request_pause_body(request));
    }
}

static void stream_ended(lariat_http_request *request, const lariat_failure *failure, void *user_data) {
    stream *own = user_data;
    CHECK_INT(own->ended++, 0);
    own->failure = failure ? lariat_failure_code(failure) : 0;
    if (!failure) respond_text(request, 200, "all");
}

static lariat_deferred *take_stream(lariat_http_request *request, void *user_data) {
    stream *own = user_data;
    own->request = request;
    CHECK_OK(lariat_http_request_set_max_body(request, 10 * 1000 * 1000));
    CHECK_OK(lariat_http_request_set_body_functions_full(request, stream_received, stream_ended, own, NULL));
    CHECK_STATUS(lariat_http_request_set_body_functions(request, stream_received, stream_ended, own), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_http_request_read_body(request), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_set_max_body(request, 1), LARIAT_ERR_INVALID_STATE);
    return NULL;
}

TEST(http_a_streamed_body_is_held_up_when_paused) {
    web one = web_new(NULL, NULL);
    stream own = {.web = &one};
    CHECK_OK(lariat_http_server_set_handler(one.server, take_stream, &own));
    size_t length = 8 * 1000 * 1000, at = 0;
    uint8_t *data = pattern_new(length, 3);
    int fd = client_of(&one, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n");
    until(one.reactor, own.request != NULL);
    one.request = own.request; /* from here on it pauses at every piece */
    size_t before = 0;
    until(one.reactor, (raw_send_some(fd, data, length, &at), own.paused));
    for (int i = 0; i < 20; i++) {
        before = own.got.length;
        turns(one.reactor, 3);
        raw_send_some(fd, data, length, &at);
        CHECK_INT(own.got.length, before);
    }
    CHECK(at < length); /* the peer is held up by its own buffers */
    one.request = NULL;
    own.paused = 0;
    CHECK_OK(lariat_http_request_resume_body(own.request));
    until(one.reactor, (raw_send_some(fd, data, length, &at), own.ended));
    CHECK_INT(own.failure, 0);
    CHECK_INT(own.got.length, length);
    CHECK_PATTERN(own.got.data, length, 3);
    raw_expect(one.reactor, fd, OK_HEAD(3) "\r\nall");
    CHECK_INT(close(fd), 0);
    bytes_free(&own.got);
    free(data);
    web_done(&one);
}

TEST(http_a_body_that_is_cut_short_is_told) {
    web one = web_new(NULL, NULL);
    stream own = {.web = &one};
    CHECK_OK(lariat_http_server_set_handler(one.server, take_stream, &own));
    int fd = client_of(&one, POST("Content-Length: 10", "123"));
    until(one.reactor, own.got.length == 3);
    CHECK_INT(close(fd), 0);
    until(one.reactor, own.ended);
    CHECK_INT(own.failure, LARIAT_ERR_TRUNCATED);
    until(one.reactor, lariat_http_request_version(own.request) == LARIAT_ERR_STALE_HANDLE);
    own.ended = 0;
    CHECK_ANSWER(&one, POST("Transfer-Encoding: chunked", "3\r\nabc\r\nx"), REFUSAL(400, "Bad Request", "400 Bad Request\n", 16));
    CHECK_INT(own.ended, 1);
    CHECK_INT(own.failure, LARIAT_ERR_BAD_FRAME);
    bytes_free(&own.got);
    web_done(&one);
}

/* ---- Deferreds ---- */

static lariat_deferred *fail_by_target(lariat_http_request *request, void *user_data) {
    (void)user_data;
    return lariat_deferred_new_failed(((web *)user_data)->reactor, atoi(lariat_http_request_target(request) + 1), "it says so");
}

TEST(http_a_handler_that_fails_is_answered_for) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, fail_by_target, &one));
    CHECK_ANSWER(&one, GET("/404") LAST("/503"),
                 "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\r\n404 Not Found\n"
                 "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 24\r\nConnection: close\r\n\r\n503 Service Unavailable\n");
    CHECK_INT(test_log.errors, 0);
    const char *const others[] = {LAST("/7"), LAST("/-22"), LAST("/600"), LAST("/200")};
    for (int i = 0; i < 4; i++) {
        CHECK(strncmp(read_to_end(&one, client_of(&one, others[i])), "HTTP/1.1 500 Internal Server Error\r\n", 36) == 0);
        CHECK_INT(test_log.errors, i + 1);
        CHECK(strstr(test_log.last, "it says so") != NULL && strstr(test_log.last, "GET /") != NULL);
    }
    web_done(&one);
}

static lariat_deferred *answer_saved(lariat_http_request *request, void *user_data) {
    lariat_deferred **saved = user_data;
    CHECK_OK(lariat_http_request_respond_deferred(request, 200, "text/plain", *saved));
    CHECK_STATUS(lariat_http_request_respond(request, 200, NULL, NULL, 0), *lariat_http_request_target(request) == '!' ? 0 : LARIAT_ERR_INVALID_STATE);
    return NULL;
}

TEST(http_answers_with_what_a_deferred_gives) {
    lariat_deferred *saved = NULL;
    web one = web_new(answer_saved, &saved);
    token *text = token_new("value");
    saved = lariat_deferred_new(one.reactor);
    int fd = client_of(&one, LAST("/"));
    until(one.reactor, lariat_deferred_called(saved) == LARIAT_ERR_RELEASED);
    CHECK_OK(lariat_deferred_callback_full(saved, text, token_free));
    CHECK_STR(read_to_end(&one, fd), OK_HEAD(5) "Connection: close\r\n\r\nvalue");
    CHECK(!token_alive(text));
    saved = lariat_deferred_new_failed(one.reactor, 403, "no");
    CHECK(strncmp(read_to_end(&one, client_of(&one, LAST("/"))), "HTTP/1.1 403 Forbidden\r\n", 24) == 0);
    /* It is cancelled when the client is gone. */
    saved = lariat_deferred_new_full(one.reactor, cancel_noted, "cancelled", NULL);
    fd = client_of(&one, LAST("/"));
    until(one.reactor, lariat_deferred_called(saved) == LARIAT_ERR_RELEASED);
    raw_reset(fd);
    until(one.reactor, noted("cancel"));
    notes_clear();
    CHECK_OK(lariat_deferred_abandon(saved));
    web_done(&one);
}

/* ---- the client is gone ---- */

TEST(http_tells_that_the_client_is_gone) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    int fd = client_of(&one, GET("/"));
    until(one.reactor, one.request != NULL);
    raw_reset(fd);
    until(one.reactor, noted("end!CONNECTION_LOST"));
    CHECK_NOTES("got:/ end!CONNECTION_LOST");
    CHECK_STATUS(lariat_http_request_respond(one.request, 200, NULL, NULL, 0), LARIAT_ERR_STALE_HANDLE);
    one.request = NULL;
    fd = client_of(&one, GET("/2"));
    until(one.reactor, one.request != NULL);
    CHECK_INT(close(fd), 0);
    until(one.reactor, noted("end!CONNECTION_LOST"));
    CHECK_NOTES("got:/2 end!CONNECTION_LOST");
    web_done(&one);
}

TEST(http_answers_who_sends_no_more_if_asked_to) {
    lariat_http_server_options options = http_options();
    options.answer_half_closed = 1;
    web one = web_with(real_reactor(), &options, NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    int fd = client_of(&one, GET("/"));
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    until(one.reactor, one.request != NULL);
    turns(one.reactor, 5);
    respond_text(one.request, 200, "yes");
    CHECK_STR(read_to_end(&one, fd), OK_HEAD(3) "Connection: close\r\n\r\nyes");
    CHECK_NOTES("got:/ end=-");
    web_done(&one);
}

static lariat_deferred *abort_it(lariat_http_request *request, void *user_data) {
    (void)user_data;
    end_with_note(lariat_http_request_notify_finish(request), "end");
    CHECK_OK(lariat_http_request_write(request, (const uint8_t *)"part", 4));
    CHECK_OK(lariat_http_request_abort(request));
    CHECK_STATUS(lariat_http_request_write(request, (const uint8_t *)"part", 4), LARIAT_ERR_CLOSED);
    return NULL;
}

TEST(http_an_aborted_response_is_cut_off) {
    web one = web_new(abort_it, NULL);
    read_to_reset(&one, client_of(&one, GET("/")));
    CHECK_NOTES("end!CONNECTION_ABORTED");
    web_done(&one);
}

/* ---- producers ---- */

typedef struct maker {
    size_t left;
    int paused, resumed, stopped, freed, most;
} maker;

static void make_some(lariat_http_request *request, maker *own) {
    static uint8_t piece[8000];
    while (own->left && !own->paused) {
        size_t length = own->left < sizeof piece ? own->left : sizeof piece;
        own->left -= length;
        CHECK_OK(lariat_http_request_write(request, piece, length));
        if (lariat_http_request_buffered(request) > own->most) own->most = (int)lariat_http_request_buffered(request);
    }
    if (!own->left) CHECK_OK(lariat_http_request_unregister_producer(request)), CHECK_OK(lariat_http_request_finish(request));
}

static void maker_pause(lariat_http_request *request, void *user_data) {
    (void)request;
    ((maker *)user_data)->paused = 1;
}

static void maker_resume(lariat_http_request *request, void *user_data) {
    maker *own = user_data;
    own->paused = 0;
    own->resumed++;
    make_some(request, own);
}

static void maker_stop(lariat_http_request *request, void *user_data) {
    (void)request;
    ((maker *)user_data)->stopped++;
}

static void maker_free(void *user_data) { ((maker *)user_data)->freed++; }

static lariat_deferred *produce(lariat_http_request *request, void *user_data) {
    lariat_http_producer producer;
    CHECK_OK(lariat_http_producer_init(&producer, sizeof producer));
    producer.pause_producing = maker_pause;
    producer.resume_producing = maker_resume;
    producer.stop_producing = maker_stop;
    CHECK_OK(lariat_http_request_register_producer_full(request, &producer, user_data, maker_free));
    CHECK_STATUS(lariat_http_request_register_producer(request, &producer, NULL), LARIAT_ERR_ALREADY_REGISTERED);
    make_some(request, user_data);
    return NULL;
}

TEST(http_a_producer_writes_as_fast_as_the_client_reads) {
    maker own = {.left = 20 * 1000 * 1000};
    web one = web_new(produce, &own);
    bytes all = {0};
    int fd = raw_connect(one.listener);
    raw_small_buffers(fd);
    raw_write(fd, LAST("/"));
    until(one.reactor, own.paused);
    turns(one.reactor, 10);
    CHECK(own.left > 0);
    CHECK_INT(raw_end(one.reactor, fd, &all), RAW_END);
    CHECK(own.resumed > 3 && own.left == 0 && own.most < 1 << 20);
    CHECK_INT(own.stopped, 0);
    CHECK_INT(own.freed, 1);
    CHECK(all.length > 20 * 1000 * 1000);
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    own = (maker){.left = 20 * 1000 * 1000};
    fd = client_of(&one, LAST("/"));
    until(one.reactor, own.paused);
    raw_reset(fd);
    until(one.reactor, own.freed);
    CHECK_INT(own.stopped, 1);
    web_done(&one);
}

static void pull_one(lariat_http_request *request, void *user_data) {
    int *left = user_data;
    CHECK_OK(lariat_http_request_write(request, (const uint8_t *)"x", 1));
    if (--*left) return;
    CHECK_OK(lariat_http_request_unregister_producer(request));
    CHECK_OK(lariat_http_request_finish(request));
}

static lariat_deferred *pull(lariat_http_request *request, void *user_data) {
    lariat_http_producer producer;
    CHECK_OK(lariat_http_producer_init(&producer, sizeof producer));
    producer.streaming = 0;
    producer.resume_producing = pull_one;
    CHECK_OK(lariat_http_request_register_producer(request, &producer, user_data));
    return NULL;
}

TEST(http_a_pulled_producer_is_asked_for_each_piece) {
    int left = 3;
    web one = web_new(pull, &left);
    CHECK_ANSWER(&one, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nxxx");
    web_done(&one);
}

enum { PULLED_PIECE = 10000, PULLED_PIECES = 1000 };

static void pull_piece(lariat_http_request *request, void *user_data) {
    static const uint8_t piece[PULLED_PIECE];
    int *left = user_data;
    CHECK(lariat_http_request_buffered(request) <= 64 * 1024);
    CHECK_OK(lariat_http_request_write(request, piece, sizeof piece));
    if (--*left) return;
    CHECK_OK(lariat_http_request_unregister_producer(request));
    CHECK_OK(lariat_http_request_finish(request));
}

static lariat_deferred *pull_much(lariat_http_request *request, void *user_data) {
    lariat_http_producer producer;
    CHECK_OK(lariat_http_producer_init(&producer, sizeof producer));
    producer.streaming = 0;
    producer.resume_producing = pull_piece;
    CHECK_OK(lariat_http_request_register_producer(request, &producer, user_data));
    return NULL;
}

TEST(http_a_pulled_producer_goes_on_once_the_client_reads) {
    int left = PULLED_PIECES;
    web one = web_new(pull_much, &left);
    int fd = client_of(&one, "GET / HTTP/1.0\r\n\r\n");
    bytes got = {0};
    turns(one.reactor, 2 * PULLED_PIECES);
    CHECK(left > 0);                   /* nobody has read */
    CHECK_INT(raw_end(one.reactor, fd, &got), RAW_END);
    CHECK_INT(left, 0);
    CHECK(got.length > (size_t)PULLED_PIECE * PULLED_PIECES);
    CHECK_INT(close(fd), 0);
    bytes_free(&got);
    web_done(&one);
}

/* ---- other ways ---- */

static lariat_deferred *hint(lariat_http_request *request, void *user_data) {
    (void)user_data;
    CHECK_STATUS(lariat_http_request_send_information(request, 101), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_http_request_send_information(request, 200), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_http_request_set_header(request, "Link", "</x.css>"));
    CHECK_OK(lariat_http_request_send_information(request, 103));
    CHECK_OK(lariat_http_request_redirect(request, 302, "/there"));
    return NULL;
}

TEST(http_sends_early_hints_and_redirections) {
    web one = web_new(hint, NULL);
    CHECK_ANSWER(&one, LAST("/"),
                 "HTTP/1.1 103 Early Hints\r\nLink: </x.css>\r\n\r\nHTTP/1.1 302 Found\r\nLink: </x.css>\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    CHECK_ANSWER(&one, "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 302 Found\r\nLink: </x.css>\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    web_done(&one);
}

static lariat_deferred *take_over(lariat_http_request *request, void *user_data) {
    side *own = user_data;
    lariat_protocol protocol = side_protocol(HALF), bare = protocol;
    bare.free_self = NULL;
    int is_connect = !strcmp(lariat_http_request_method(request), "CONNECT");
    CHECK_OK(lariat_http_request_set_header(request, "Upgrade", "echo"));
    end_with_note(lariat_http_request_notify_finish(request), "end");
    if (is_connect) CHECK_STATUS(lariat_http_request_respond(request, 200, NULL, NULL, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_NULL(lariat_http_request_upgrade(request, is_connect ? 101 : 200, &bare, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    lariat_transport *transport = lariat_http_request_upgrade(request, is_connect ? 200 : 101, &protocol, own);
    CHECK_PTR(transport, own->transport);
    CHECK_NULL(lariat_http_request_upgrade(request, 101, &bare, NULL), LARIAT_ERR_INVALID_STATE);
    return NULL;
}

TEST(http_a_connection_can_be_taken_over) {
    side own = {.name = "own", .is_noted = 1, .echoes = 1};
    web one = web_new(take_over, &own);
    int fd = client_of(&one, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst");
    raw_expect(one.reactor, fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nfirst");
    raw_write(fd, "GET / HTTP/1.1\r\n\r\n");
    raw_expect(one.reactor, fd, "GET / HTTP/1.1\r\n\r\n");
    CHECK_INT(lariat_http_server_connections(one.server), 0);
    CHECK(noted("own:made end=- own=first"));
    notes_clear();
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    bytes rest = {0};
    CHECK_INT(raw_end(one.reactor, fd, &rest), RAW_END);
    until(one.reactor, own.freed);
    notes_clear();
    CHECK_INT(close(fd), 0);
    bytes_free(&own.got);
    own = (side){.name = "own", .echoes = 1};
    fd = client_of(&one, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_expect(one.reactor, fd, "HTTP/1.1 200 OK\r\nUpgrade: echo\r\n\r\n");
    raw_write(fd, "tunnel");
    raw_expect(one.reactor, fd, "tunnel");
    CHECK_INT(close(fd), 0);
    until(one.reactor, own.read_lost);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(one.reactor, own.freed);
    CHECK_NOTES("end=-");
    bytes_free(&rest);
    bytes_free(&own.got);
    web_done(&one);
}

static void frame_lines(lariat_transport *transport, void *self) {
    (void)self;
    CHECK_OK(lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, 0));
}

static void note_line(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)self;
    note("line:%.*s", (int)len, (const char *)data);
    CHECK_OK(lariat_transport_write_frame(transport, data, len));
}

static lariat_deferred *take_over_lines(lariat_http_request *request, void *user_data) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = frame_lines;
    protocol.data_received = note_line;
    CHECK(lariat_http_request_upgrade(request, 101, &protocol, user_data) != NULL);
    return NULL;
}

TEST(http_what_came_behind_an_upgrade_is_framed) {
    web one = web_new(take_over_lines, NULL);
    int fd = client_of(&one, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\none\ntwo\nth");
    raw_expect(one.reactor, fd, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\none\ntwo\n");
    raw_write(fd, "ree\n");
    raw_expect(one.reactor, fd, "three\n");
    CHECK_NOTES("line:one line:two line:three");
    CHECK_INT(close(fd), 0);
    web_done(&one);
}

TEST(http_a_connection_taken_over_later_has_what_came_meanwhile) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    side own = {.name = "own"};
    lariat_protocol protocol = side_protocol(PLAIN);
    int fd = client_of(&one, GET("/"));
    until(one.reactor, one.request != NULL);
    raw_write(fd, "mean");
    turns(one.reactor, 5);
    raw_write(fd, "while");
    turns(one.reactor, 5);
    CHECK(lariat_http_request_upgrade(one.request, 101, &protocol, &own) != NULL);
    until(one.reactor, own.came == 9);
    CHECK_STR(bytes_text(&own.got), "meanwhile");
    CHECK_INT(close(fd), 0);
    until(one.reactor, own.freed);
    CHECK_NOTES("got:/ end=-");
    bytes_free(&own.got);
    web_done(&one);
}

TEST(http_events_tell_of_requests_with_their_bodies) {
    web one = web_new(NULL, NULL);
    lariat_event event;
    const uint8_t *data;
    size_t length;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK_OK(lariat_http_server_set_event(one.server, 77));
    int fd = client_of(&one, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
    turns(one.reactor, 3);
    CHECK_INT(lariat_reactor_next_event(one.reactor, &event), LARIAT_EMPTY);
    raw_write(fd, "dy" LAST("/2"));
    until(one.reactor, lariat_reactor_next_event(one.reactor, &event) == LARIAT_OK);
    CHECK_INT(event.kind, LARIAT_EVENT_HTTP_REQUEST);
    CHECK_INT(event.tag, 77);
    CHECK_STR(lariat_http_request_target(event.source), "/x");
    CHECK_OK(lariat_http_request_body(event.source, &data, &length));
    CHECK_INT(length, 4);
    CHECK(memcmp(data, "body", 4) == 0);
    respond_text(event.source, 200, "1");
    until(one.reactor, lariat_reactor_next_event(one.reactor, &event) == LARIAT_OK);
    CHECK_OK(lariat_http_request_body(event.source, &data, &length));
    CHECK_INT(length, 0);
    respond_text(event.source, 200, "2");
    CHECK_STR(read_to_end(&one, fd), OK_HEAD(1) "\r\n1" OK_HEAD(1) "Connection: close\r\n\r\n2");
    web_done(&one);
}

static void log_it(const lariat_http_access *access, void *user_data) {
    CHECK_STR(user_data, "log");
    CHECK(access->struct_size == sizeof *access && strncmp(access->peer, "127.0.0.1:", 10) == 0 && access->seconds >= 0);
    CHECK_INT(access->request == NULL, access->version == 0);
    if (access->request) CHECK_STR(lariat_http_request_method(access->request), access->method);
    note("%s %s %d %d %d %d %s %s %s", access->method, access->target, (int)access->version, (int)access->code, (int)access->bytes_sent, (int)access->bytes_received,
         test_text(access->referer), test_text(access->user_agent), access->failure ? failure_label(access->failure) : "ok");
}

TEST(http_the_access_log_is_told_of_each_request) {
    web one = web_new(echo_body, NULL);
    CHECK_OK(lariat_http_server_set_access_log_full(one.server, log_it, token_new("log"), token_free));
    int fd = client_of(&one, "POST /a HTTP/1.1\r\nHost: a\r\nReferer: r\r\nUser-Agent: u\r\nContent-Length: 3\r\n\r\nabc" POST("Content-Length: 2000000", ""));
    read_to_end(&one, fd);
    CHECK_NOTES("POST /a 11 200 3 3 r u ok POST / 11 413 22 0 - - LIMIT");
    fd = client_of(&one, POST("Content-Length: 5", "ab"));
    turns(one.reactor, 5);
    raw_reset(fd);
    until(one.reactor, noted("POST / 11 0 0 2 - - CONNECTION_LOST"));
    notes_clear();
    /* What is no request is refused, and there is a line for it. */
    fd = client_of(&one, "GET / HTTP/9.9\r\nHost: a\r\n\r\n");
    read_to_end(&one, fd);
    CHECK_NOTES("  0 505 74 0 - - BAD_MESSAGE");
    CHECK_OK(lariat_http_server_set_access_log(one.server, NULL, NULL));
    web_done(&one);
}

static void end_the_server(const lariat_http_access *access, void *user_data) {
    web *one = user_data;
    CHECK(access->request == NULL);
    CHECK_OK(lariat_http_server_free(one->server));
    note("freed");
}

TEST(http_a_server_is_freed_by_the_log_of_what_it_refuses) {
    web one = web_new(echo_body, NULL);
    CHECK_OK(lariat_http_server_set_access_log(one.server, end_the_server, &one));
    int fd = client_of(&one, "GET / HTTP/9.9\r\nHost: a\r\n\r\n" LAST("/"));
    until(one.reactor, noted("freed"));
    turns(one.reactor, 5);
    notes_clear();
    CHECK_INT(close(fd), 0);
    reactor_done(one.reactor);
}

static lariat_deferred *in_own_scope(lariat_http_request *request, void *user_data) {
    web *one = user_data;
    lariat_scope *scope = lariat_http_request_scope(request);
    CHECK(scope != NULL);
    CHECK_PTR(lariat_http_request_scope(request), scope);
    CHECK_OK(lariat_scope_enter(scope));
    CHECK(lariat_reactor_call_later_full(one->reactor, 1000, note_call, token_new("timer"), token_free_noted) != NULL);
    CHECK_OK(lariat_scope_leave(scope));
    return keep_request(request, user_data);
}

TEST(http_what_is_in_a_request_s_scope_ends_with_it) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, in_own_scope, &one));
    int fd = client_of(&one, LAST("/"));
    until(one.reactor, one.request != NULL);
    respond_text(one.request, 200, "x");
    read_to_end(&one, fd);
    CHECK_NOTES("got:/ end=- free:timer");
    web_done(&one);
}

/* ---- routers ---- */

static lariat_deferred *say_parameters(lariat_http_request *request, void *user_data) {
    char text[200];
    snprintf(text, sizeof text, "%s id=%s rest=%s", (char *)user_data, test_text(lariat_http_request_parameter(request, "id")),
             test_text(lariat_http_request_parameter(request, "rest")));
    respond_text(request, 200, text);
    return NULL;
}

static const char *routed(web *one, const char *line) {
    char text[400];
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", line);
    const char *answer = read_to_end(one, client_of(one, text));
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 && strncmp(line, "HEAD", 4) ? body_of(answer) : answer;
}

TEST(http_a_router_finds_the_handler) {
    web one = web_new(NULL, NULL);
    lariat_http_router *router = lariat_http_router_new(one.reactor);
    CHECK_OK(lariat_http_router_add(router, "GET", "/", say_parameters, "root"));
    CHECK_OK(lariat_http_router_add(router, "GET", "/users/:id", say_parameters, "user"));
    CHECK_OK(lariat_http_router_add_full(router, "GET", "/users/me", say_parameters, token_new("me"), token_free));
    CHECK_OK(lariat_http_router_add(router, "PUT", "/users/:name", say_parameters, "put"));
    CHECK_OK(lariat_http_router_add(router, "*", "/any/*rest", say_parameters, "any"));
    CHECK_OK(lariat_http_router_add(router, "POST", "/any/one", say_parameters, "one"));
    CHECK_STATUS(lariat_http_router_add(router, "GET", "/users/:other", say_parameters, NULL), LARIAT_ERR_ALREADY_REGISTERED);
    CHECK_STATUS(lariat_http_router_add_full(router, "GET", "users", say_parameters, token_new("bad"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_http_router_add(router, "G T", "/x", say_parameters, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_http_router_add(router, "GET", "/x", NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_http_server_set_router(one.server, router));
    CHECK_STR(routed(&one, "GET /"), "root id=- rest=-");
    CHECK_STR(routed(&one, "GET /users/7%2f8"), "user id=7/8 rest=-");
    CHECK_STR(routed(&one, "GET /users/me?x"), "me id=- rest=-");
    CHECK_STR(routed(&one, "GET /users/%6de"), "me id=- rest=-");
    CHECK_STR(routed(&one, "PUT /users/me"), "put id=- rest=-");
    CHECK_STR(routed(&one, "GET http://a/users/9"), "user id=9 rest=-");
    CHECK_STR(routed(&one, "DELETE /any/"), "any id=- rest=");
    CHECK_STR(routed(&one, "DELETE /any/a/b"), "any id=- rest=a/b");
    CHECK_STR(routed(&one, "POST /any/one"), "one id=- rest=-");
    CHECK_STR(routed(&one, "GET /any/one"), "any id=- rest=one");
    CHECK(strncmp(routed(&one, "GET /nowhere"), "HTTP/1.1 404 ", 13) == 0);
    CHECK(strncmp(routed(&one, "GET /users/"), "HTTP/1.1 404 ", 13) == 0);
    CHECK_STR(routed(&one, "HEAD /users/7"), OK_HEAD(16) "Connection: close\r\n\r\n");
    CHECK(strncmp(routed(&one, "POST /users/7"), "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, PUT, OPTIONS\r\n", 65) == 0);
    CHECK_STR(routed(&one, "OPTIONS /users/7"), "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, PUT, OPTIONS\r\nConnection: close\r\n\r\n");
    CHECK_STR(routed(&one, "OPTIONS *"), "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, PUT, OPTIONS\r\nConnection: close\r\n\r\n");
    CHECK_OK(lariat_http_router_free(router));
    CHECK_STATUS(lariat_http_router_free(router), LARIAT_ERR_STALE_HANDLE);
    CHECK(strncmp(routed(&one, "GET /"), "HTTP/1.1 404 ", 13) == 0);
    web_done(&one);
}

/* ---- files ---- */

typedef struct site {
    web web;
    lariat_http_router *router;
} site;

static site site_new(uint32_t flags) {
    folder_new();
    put_file(in_folder("hello.txt"), "hello, file");
    put_file(in_folder("empty"), "");
    put_file(in_folder(".hidden"), "hidden");
    CHECK_INT(mkdir(in_folder("sub"), 0755), 0);
    CHECK_INT(mkdir(in_folder("bare"), 0755), 0);
    put_file(in_folder("sub/index.html"), "<index>");
    put_file(in_folder("bare/a b.txt"), "1");
    int fd = open(in_folder("large.bin"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    uint8_t *data = pattern_new(3000000, 5);
    CHECK_INT(write(fd, data, 3000000), 3000000);
    CHECK_INT(close(fd), 0);
    free(data);
    site made = {.web = web_new(NULL, NULL)};
    made.router = lariat_http_router_new(made.web.reactor);
    CHECK_OK(lariat_http_router_add_files(made.router, "/f", folder, flags));
    CHECK_STATUS(lariat_http_router_add_files(made.router, "/g", folder, 8), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_http_server_set_router(made.web.server, made.router));
    return made;
}

static void site_done(site *one) {
    CHECK_OK(lariat_http_router_free(one->router));
    web_done(&one->web);
    folder_end();
}

/* The response to a request for a file, with more headers. */
static const char *fetch(site *one, const char *method, const char *path, const char *lines) {
    char text[600];
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\n%sConnection: close\r\n\r\n", method, path, lines);
    return read_to_end(&one->web, client_of(&one->web, text));
}

static int has_code(const char *answer, int code) {
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", code);
    return strncmp(answer, line, strlen(line)) == 0;
}

static void header_value(const char *answer, const char *name, char *value, size_t room) {
    char line[64];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *start = strstr(answer, line);
    CHECK(start != NULL);
    start += strlen(line);
    snprintf(value, room, "%.*s", (int)(strstr(start, "\r\n") - start), start);
}

TEST(http_serves_files) {
    site one = site_new(0);
    const char *answer = fetch(&one, "GET", "/f/hello.txt", "");
    CHECK(has_code(answer, 200) && strstr(answer, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 11\r\n"));
    CHECK(strstr(answer, "\r\nLast-Modified: ") && strstr(answer, "\r\nETag: \"") && strstr(answer, "\r\nAccept-Ranges: bytes\r\n"));
    CHECK_STR(body_of(answer), "hello, file");
    answer = fetch(&one, "HEAD", "/f/hello.txt", "");
    CHECK(has_code(answer, 200) && strstr(answer, "\r\nContent-Length: 11\r\n"));
    CHECK_STR(body_of(answer), "");
    answer = fetch(&one, "GET", "/f/empty", "");
    CHECK(has_code(answer, 200) && strstr(answer, "\r\nContent-Length: 0\r\n"));
    CHECK_STR(body_of(fetch(&one, "GET", "/f/sub/", "")), "<index>");
    answer = fetch(&one, "GET", "/f/sub?x=1", "");
    CHECK(has_code(answer, 301) && strstr(answer, "\r\nLocation: /f/sub/?x=1\r\n"));
    answer = fetch(&one, "GET", "/f", "");
    CHECK(has_code(answer, 301) && strstr(answer, "\r\nLocation: /f/\r\n"));
    CHECK(has_code(fetch(&one, "POST", "/f/hello.txt", ""), 405));
    const char *const gone[] = {"/f/", "/f/bare/", "/f/nothing", "/f/hello.txt/", "/f/hello.txt/x", "/f/.hidden", "/f//hello.txt", "/f/./hello.txt"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (!has_code(fetch(&one, "GET", gone[i], ""), 404)) test_fail(__FILE__, __LINE__, "%s is there", gone[i]);
    CHECK_INT(chmod(in_folder("empty"), 0), 0);
    if (geteuid() != 0) CHECK(has_code(fetch(&one, "GET", "/f/empty", ""), 403));
    site_done(&one);
}

TEST(http_nothing_leads_out_of_a_folder_of_files) {
    site one = site_new(LARIAT_HTTP_FILES_LIST | LARIAT_HTTP_FILES_HIDDEN);
    char secret[600];
    snprintf(secret, sizeof secret, "%s-secret", folder);
    put_file(secret, "secret");
    CHECK_INT(symlink(secret, in_folder("out")), 0);
    CHECK_INT(symlink("/etc", in_folder("etc")), 0);
    CHECK_INT(symlink("../", in_folder("up")), 0);
    CHECK_INT(symlink("hello.txt", in_folder("in")), 0);
    CHECK_INT(symlink("loop", in_folder("loop")), 0);
    CHECK_INT(mkfifo(in_folder("fifo"), 0644), 0);
    const char *name = strrchr(secret, '/') + 1;
    char paths[6][200];
    const char *const before[] = {"/f/../", "/f/%2e%2e/", "/f/..%2f", "/f/sub/../../", "/f/up/", "/f/%2e./"};
    for (int i = 0; i < 6; i++) snprintf(paths[i], sizeof paths[i], "%s%s", before[i], name);
    const char *const bad[] = {paths[0], paths[1], paths[2], paths[3], paths[4], paths[5], "/f/out", "/f/etc/passwd", "/f/etc/", "/f/up/", "/f//etc/passwd",
                               "/f/%2fetc/passwd", "/f/loop", "/f/fifo", "/f/..", "/f/../", "/f/%2e%2e", "/f/sub/..", "/f/\\..\\x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *answer = fetch(&one, "GET", bad[i], "");
        if (!has_code(answer, 404)) test_fail(__FILE__, __LINE__, "%s is answered with %s", bad[i], answer);
    }
    CHECK_STR(body_of(fetch(&one, "GET", "/f/in", "")), "hello, file");
    CHECK_STR(body_of(fetch(&one, "GET", "/f/.hidden", "")), "hidden");
    const char *listed = fetch(&one, "GET", "/f/", "");
    CHECK(has_code(listed, 200) && strstr(listed, "\"./hello.txt\"") && strstr(listed, "\"./bare/\"") && !strstr(listed, "etc") && !strstr(listed, "fifo"));
    CHECK(strstr(fetch(&one, "GET", "/f/bare/", ""), "\"./a%20b.txt\">a b.txt<"));
    CHECK_INT(unlink(secret), 0);
    site_done(&one);
}

TEST(http_files_are_sent_on_conditions_and_in_ranges) {
    site one = site_new(0);
    char etag[100], date[100], lines[300];
    const char *answer = fetch(&one, "GET", "/f/hello.txt", "");
    header_value(answer, "ETag", etag, sizeof etag);
    header_value(answer, "Last-Modified", date, sizeof date);
    snprintf(lines, sizeof lines, "If-None-Match: %s\r\n", etag);
    answer = fetch(&one, "GET", "/f/hello.txt", lines);
    CHECK(has_code(answer, 304) && strstr(answer, etag) && !strstr(answer, "Content-"));
    CHECK_STR(body_of(answer), "");
    snprintf(lines, sizeof lines, "If-Modified-Since: %s\r\n", date);
    CHECK(has_code(fetch(&one, "GET", "/f/hello.txt", lines), 304));
    CHECK(has_code(fetch(&one, "GET", "/f/hello.txt", "If-Match: \"x\"\r\n"), 412));
    answer = fetch(&one, "GET", "/f/hello.txt", "Range: bytes=7-\r\n");
    CHECK(has_code(answer, 206) && strstr(answer, "\r\nContent-Range: bytes 7-10/11\r\n") && strstr(answer, "\r\nContent-Length: 4\r\n"));
    CHECK_STR(body_of(answer), "file");
    snprintf(lines, sizeof lines, "Range: bytes=-4\r\nIf-Range: %s\r\n", etag);
    CHECK_STR(body_of(fetch(&one, "GET", "/f/hello.txt", lines)), "file");
    CHECK_STR(body_of(fetch(&one, "GET", "/f/hello.txt", "Range: bytes=-4\r\nIf-Range: \"x\"\r\n")), "hello, file");
    answer = fetch(&one, "GET", "/f/hello.txt", "Range: bytes=11-\r\n");
    CHECK(has_code(answer, 416) && strstr(answer, "\r\nContent-Range: bytes */11\r\n"));
    answer = fetch(&one, "GET", "/f/hello.txt", "Range: bytes=0-0,2-3,-1\r\n");
    char type[200], length[20];
    header_value(answer, "Content-Type", type, sizeof type);
    header_value(answer, "Content-Length", length, sizeof length);
    CHECK(has_code(answer, 206) && strncmp(type, "multipart/byteranges; boundary=", 31) == 0);
    CHECK_INT(strlen(body_of(answer)), atoi(length));
    char want[1200];
    const char *boundary = type + 31, *part = "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes";
    snprintf(want, sizeof want, "\r\n--%s\r\n%s 0-0/11\r\n\r\nh\r\n--%s\r\n%s 2-3/11\r\n\r\nll\r\n--%s\r\n%s 10-10/11\r\n\r\ne\r\n--%s--\r\n", boundary, part, boundary, part,
             boundary, part, boundary);
    CHECK_STR(body_of(answer), want);
    site_done(&one);
}

TEST(http_a_large_file_waits_for_a_slow_reader_and_what_is_asked_behind_it) {
    site one = site_new(0);
    bytes all = {0};
    int fd = raw_connect(one.web.listener), how = RAW_OPEN;
    raw_small_buffers(fd);
    raw_write(fd, GET("/f/large.bin") "GET /f/large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=100-2999999\r\n\r\n" LAST("/f/hello.txt"));
    turns(one.web.reactor, 20);
    until(one.web.reactor, (how = raw_read(fd, &all)) != RAW_OPEN);
    CHECK_INT(how, RAW_END);
    const char *body = body_of(bytes_text(&all));
    CHECK_PATTERN((const uint8_t *)body, 3000000, 5);
    body = body_of(body + 3000000);
    for (size_t i = 0; i < 2999900; i++)
        if ((uint8_t)body[i] != pattern_at(i + 100, 5)) test_fail(__FILE__, __LINE__, "byte %zu of the range is another", i);
    CHECK_STR(body_of(body + 2999900), "hello, file");
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    site_done(&one);
}

TEST(http_a_file_that_became_shorter_cuts_the_response_off) {
    site one = site_new(0);
    bytes all = {0};
    int fd = raw_connect(one.web.listener), how = RAW_OPEN;
    raw_small_buffers(fd);
    raw_write(fd, GET("/f/large.bin"));
    until(one.web.reactor, (raw_read(fd, &all), all.length > 0));
    CHECK_INT(truncate(in_folder("large.bin"), 1000000), 0);
    until(one.web.reactor, (how = raw_read(fd, &all)) != RAW_OPEN);
    CHECK_INT(how, ECONNRESET);
    CHECK(all.length < 3000000);
    CHECK_INT(close(fd), 0);
    bytes_free(&all);
    site_done(&one);
}

static lariat_deferred *send_named(lariat_http_request *request, void *user_data) {
    const char *directory = user_data;
    CHECK_OK(lariat_http_request_set_header(request, "Cache-Control", "no-store"));
    CHECK_OK(lariat_http_request_respond_file(request, directory, directory ? "hello.txt" : in_folder("hello.txt"), "text/x-own"));
    CHECK_STATUS(lariat_http_request_respond_file(request, directory, "x", NULL), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_http_request_respond(request, 200, NULL, NULL, 0), LARIAT_ERR_INVALID_STATE);
    return NULL;
}

TEST(http_a_handler_answers_with_a_file) {
    site one = site_new(0);
    CHECK_OK(lariat_http_server_set_handler(one.web.server, send_named, NULL));
    for (int i = 0; i < 2; i++) {
        const char *answer = fetch(&one, "GET", "/", "");
        CHECK(has_code(answer, 200) && strstr(answer, "\r\nCache-Control: no-store\r\n") && strstr(answer, "\r\nContent-Type: text/x-own\r\n"));
        CHECK_STR(body_of(answer), "hello, file");
        CHECK_OK(lariat_http_server_set_handler(one.web.server, send_named, folder));
    }
    site_done(&one);
}

/* ---- the end of a server ---- */

TEST(http_a_server_that_is_stopped_lets_requests_finish) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    int port = lariat_listener_port(one.listener);
    int idle = raw_connect(one.listener), busy = client_of(&one, GET("/") GET("/2"));
    until(one.reactor, one.request != NULL && lariat_http_server_connections(one.server) == 2);
    end_with_note(lariat_http_server_stop(one.server, INFINITY), "stopped");
    CHECK_NULL(lariat_http_server_stop(one.server, 1), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_http_server_listen(one.server, "http://127.0.0.1:0"), LARIAT_ERR_CLOSED);
    bytes all = {0};
    CHECK_INT(raw_end(one.reactor, idle, &all), RAW_END);
    CHECK_INT(raw_connect_port(port), -1);
    turns(one.reactor, 5);
    CHECK_NOTES("got:/");
    respond_text(one.request, 200, "yes");
    CHECK_STR(read_to_end(&one, busy), OK_HEAD(3) "Connection: close\r\n\r\nyes");
    until(one.reactor, noted("stopped"));
    CHECK_NOTES("end=- stopped=-");
    CHECK_INT(close(idle), 0);
    CHECK_OK(lariat_http_server_free(one.server));
    turns(one.reactor, 2);
    reactor_done(one.reactor);
    bytes_free(&all);
}

/* The head has promised to keep the connection; it is the last response all the same. */
TEST(http_a_response_that_was_begun_before_the_server_is_stopped_is_the_last) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    int fd = client_of(&one, GET("/") GET("/2"));
    until(one.reactor, one.request != NULL);
    CHECK_OK(lariat_http_request_set_header(one.request, "Content-Length", "3"));
    CHECK_OK(lariat_http_request_write(one.request, (const uint8_t *)"ye", 2));
    raw_expect(one.reactor, fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nye");
    end_with_note(lariat_http_server_stop(one.server, INFINITY), "stopped");
    CHECK_OK(lariat_http_request_write(one.request, (const uint8_t *)"s", 1));
    CHECK_OK(lariat_http_request_finish(one.request));
    CHECK_STR(read_to_end(&one, fd), "s");
    until(one.reactor, noted("stopped"));
    CHECK_NOTES("got:/ end=- stopped=-");
    CHECK_OK(lariat_http_server_free(one.server));
    turns(one.reactor, 2);
    reactor_done(one.reactor);
}

TEST(http_a_server_that_is_stopped_waits_no_longer_than_it_says) {
    lariat_http_server_options options = http_options();
    web one = web_with(manual_reactor(), &options, NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler(one.server, keep_request, &one));
    int fd = client_of(&one, GET("/"));
    until(one.reactor, one.request != NULL);
    end_with_note(lariat_http_server_stop(one.server, 10), "stopped");
    advance(one.reactor, 9.9);
    turns(one.reactor, 3);
    CHECK_NOTES("got:/");
    advance(one.reactor, 0.2);
    read_to_reset(&one, fd);
    CHECK_NOTES("end!TIMED_OUT stopped=-");
    CHECK_OK(lariat_http_server_free(one.server));
    turns(one.reactor, 2);
    reactor_done(one.reactor);
}

static lariat_deferred *free_server(lariat_http_request *request, void *user_data) {
    web *one = user_data;
    end_with_note(lariat_http_request_notify_finish(request), "end");
    CHECK_OK(lariat_http_request_write(request, (const uint8_t *)"x", 1));
    CHECK_OK(lariat_http_server_free(one->server));
    CHECK_STATUS(lariat_http_request_write(request, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    CHECK_STR(lariat_http_request_target(request), "/");
    note("handled");
    return NULL;
}

TEST(http_a_server_can_be_freed_in_its_handler) {
    web one = web_new(NULL, NULL);
    CHECK_OK(lariat_http_server_set_handler_full(one.server, free_server, &one, NULL));
    int fd = client_of(&one, GET("/") GET("/2")), idle = raw_connect(one.listener);
    read_to_reset(&one, fd);
    CHECK_NOTES("handled end!CLOSED");
    turns(one.reactor, 2);
    CHECK_INT(close(idle), 0);
    reactor_done(one.reactor);
}

TEST(http_a_reactor_can_be_freed_with_all_that_is_under_way) {
    for (int way = 0; way < 3; way++) {
        web one = web_new(NULL, NULL);
        stream own = {.web = &one};
        lariat_scope *scope = lariat_scope_new(one.reactor);
        CHECK_OK(lariat_scope_enter(scope));
        lariat_http_server_options options = http_options();
        web two = web_with(one.reactor, &options, take_stream, &own);
        CHECK_OK(lariat_scope_leave(scope));
        CHECK_OK(lariat_http_server_set_handler_full(one.server, keep_request, &one, NULL));
        int asked = client_of(&one, GET("/")), body = client_of(&two, POST("Content-Length: 9", "123")), idle = raw_connect(one.listener);
        until(one.reactor, one.request != NULL && own.got.length == 3);
        end_with_note(lariat_http_server_stop(one.server, INFINITY), "stopped");
        if (way == 1) CHECK_OK(lariat_scope_free(scope));
        if (way == 2) CHECK_OK(lariat_http_server_free(one.server));
        if (way == 1) CHECK_INT(own.failure, LARIAT_ERR_CLOSED);
        free_reactor(one.reactor);
        CHECK_INT(own.ended, 1);
        CHECK_INT(own.failure, LARIAT_ERR_CLOSED);
        CHECK_NOTES(way == 2 ? "got:/ end!CLOSED stopped!CLOSED" : "got:/ end!CLOSED stopped!CLOSED");
        CHECK_INT(close(asked) + close(body) + close(idle), 0);
        bytes_free(&own.got);
    }
}

/* ---- simulated ---- */

static uint64_t simulated_run(uint64_t seed) {
    lariat_simulation *simulation = lariat_simulation_new(seed);
    lariat_reactor *there = simulated_reactor(simulation, "server"), *here = simulated_reactor(simulation, "client");
    CHECK_OK(lariat_simulation_set_faults(simulation, 0.05));
    lariat_http_server *server = lariat_http_server_new(there, NULL);
    CHECK_OK(lariat_http_server_set_handler(server, echo_body, NULL));
    CHECK(lariat_http_server_listen(server, "http://*") != NULL);
    side own = {.name = "own"};
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_deferred *connecting = lariat_reactor_connect(here, "tcp://server:80", &protocol, &own);
    CHECK_OK(lariat_deferred_release(connecting));
    while (!own.made) CHECK_OK(lariat_simulation_run(simulation, 0.01));
    for (int i = 0; i < 50; i++) CHECK_OK(lariat_transport_write(own.transport, (const uint8_t *)POST("Content-Length: 5", "12345"), strlen(POST("Content-Length: 5", "12345"))));
    CHECK_OK(lariat_transport_write(own.transport, (const uint8_t *)"GET / HTTP/1.0\r\n\r\n", 18));
    while (!own.freed) CHECK_OK(lariat_simulation_run(simulation, 0.1));
    int count = 0;
    for (const char *place = bytes_text(&own.got); (place = strstr(place, "\r\n\r\n12345")); place++) count++;
    CHECK_INT(count, 50);
    CHECK(strstr(bytes_text(&own.got), "\r\nDate: Wed, 01 Jan 2020 00:00:0") != NULL);
    bytes_free(&own.got);
    uint64_t hash = 0;
    CHECK_OK(lariat_http_server_free(server));
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    hash = lariat_simulation_trace_hash(simulation);
    reactor_done(there);
    reactor_done(here);
    CHECK_OK(lariat_simulation_free(simulation));
    return hash;
}

TEST(http_is_the_same_again_when_simulated) {
    CHECK(simulated_run(1) == simulated_run(1));
    CHECK(simulated_run(1) != simulated_run(2));
}
