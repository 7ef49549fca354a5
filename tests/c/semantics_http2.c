/* HTTP/2 carries requests as HTTP/1 does: the same handler, the same answers; what differs is that they come and go side by side, each
 * with a window of its own. */
#define _GNU_SOURCE
#include "harness.h"
#ifdef _WIN32
TEST(http2_is_tested_on_unix) { SKIP("the peer uses sockets of POSIX"); }
#else
#include "http2_site.h"

/* ---- requests and responses ---- */

static lariat_deferred *tells_of_it(lariat_http_request *request, void *user_data) {
    (void)user_data;
    char text[512];
    const char *cookie = lariat_http_request_header(request, "cookie");
    snprintf(text, sizeof text, "%s %s %d %s %s %s", lariat_http_request_method(request), lariat_http_request_target(request),
             lariat_http_request_version(request), lariat_http_request_host(request), lariat_http_request_header(request, "Host"),
             cookie ? cookie : "-");
    respond_text(request, 200, text);
    return NULL;
}

TEST(http2_a_request_is_one_like_any_other) {
    SITE(it, http2_options());
    CHECK_OK(lariat_http_server_set_handler(it.server, tells_of_it, NULL));
    peer *client = site_peer(&it);
    uint32_t stream = peer_get(client, "/a%20b?c=d");
    CHECK_ANSWER(client, stream, "200 GET /a%20b?c=d 20 localhost localhost -");
    stream = peer_ask(client, "OPTIONS", "*", END_STREAM, "host", "LOCALHOST", "cookie", "a=1", "cookie", "b=2", NULL);
    CHECK_ANSWER(client, stream, "200 OPTIONS * 20 LOCALHOST LOCALHOST a=1; b=2");
    block head = {0};
    block_add(&head, ":method", "GET");
    block_add(&head, ":scheme", "http");
    block_add(&head, ":path", "/");
    block_add(&head, "host", "example.org:80");
    CHECK_ANSWER(client, peer_ask_block(client, &head, END_STREAM), "200 GET / 20 example.org:80 example.org:80 -");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_response_has_its_headers) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_get(client, "/hello?q");
    response got = response_new();
    peer_read(client, stream, &got, 0);
    CHECK(got.ended && got.heads == 1);
    CHECK(strstr(got.head, ":status: 200\n") == got.head);
    CHECK(strstr(got.head, "\nserver: lariat\n") && strstr(got.head, "\ndate: ") && strstr(got.head, "\nx-query: q\n"));
    CHECK(strstr(got.head, "\ncontent-type: text/plain\n") && strstr(got.head, "\ncontent-length: 5\n"));
    response_free(&got);
    stream = peer_ask(client, "HEAD", "/hello", END_STREAM, NULL);
    peer_read(client, stream, &got, 0);
    CHECK(got.ended && got.length == 0 && strstr(got.head, "\ncontent-length: 5\n"));
    response_free(&got);
    CHECK_ANSWER(client, peer_get(client, "/nowhere"), "404 ");
    CHECK_ANSWER(client, peer_get(client, "/fails?503"), "503 503 Service Unavailable\n");
    peer_free(client);
    site_done(&it);
}

TEST(http2_nothing_of_http1_gets_into_a_response) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 1);
    const char *names[] = {"Upgrade", "Keep-Alive", "Proxy-Connection", "Connection", "TE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) lariat_http_request_set_header(it.waiting[0], names[i], "close");
    CHECK_OK(lariat_http_request_add_header(it.waiting[0], "Set-Cookie", "a=1"));
    CHECK_OK(lariat_http_request_add_header(it.waiting[0], "Set-Cookie", "b=2"));
    respond_text(it.waiting[0], 200, "");
    response got = response_new();
    peer_read(client, stream, &got, 0);
    CHECK(got.ended && strstr(got.head, "set-cookie: a=1\nset-cookie: b=2\n"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) CHECK(!strstr(got.head, "close"));
    response_free(&got);
    /* and it is no end of the connection, which has other streams */
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_free(client);
    site_done(&it);
}

TEST(http2_requests_are_answered_in_any_order) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t streams[3];
    for (int i = 0; i < 3; i++) streams[i] = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 3);
    for (int i = 0; i < 3; i++) http2_note_end(it.waiting[i], (const char *[]){"one", "two", "three"}[i]);
    const char *texts[] = {"one", "two", "three"};
    for (int i = 2; i >= 0; i--) {
        respond_text(it.waiting[i], 200, texts[i]);
        char want[32];
        snprintf(want, sizeof want, "200 %s", texts[i]);
        CHECK_ANSWER(client, streams[i], want);
    }
    turn(it.reactor);
    CHECK_NOTES("three. two. one.");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_response_is_written_piece_by_piece) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 1);
    CHECK_OK(lariat_http_request_set_header(it.waiting[0], "Link", "</style.css>"));
    CHECK_OK(lariat_http_request_send_information(it.waiting[0], 103));
    CHECK_OK(lariat_http_request_set_response_code(it.waiting[0], 201));
    CHECK_OK(lariat_http_request_write(it.waiting[0], (const uint8_t *)"one, ", 5));
    response got = response_new();
    peer_read(client, stream, &got, 5); /* it is there before the rest is written */
    CHECK_INT(got.heads, 2);
    CHECK(strstr(got.head, ":status: 103\nlink: </style.css>\n:status: 201\n") == got.head && !strstr(got.head, "content-length"));
    CHECK_OK(lariat_http_request_write(it.waiting[0], (const uint8_t *)"two", 3));
    CHECK_OK(lariat_http_request_finish(it.waiting[0]));
    peer_read(client, stream, &got, 0);
    CHECK(got.ended && got.length == 8 && !memcmp(got.body, "one, two", 8));
    response_free(&got);
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_connection_is_not_taken_over) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 1);
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    CHECK_NULL(lariat_http_request_upgrade(it.waiting[0], 101, &protocol, NULL), LARIAT_ERR_NOT_SUPPORTED);
    respond_text(it.waiting[0], 200, "still here");
    CHECK_ANSWER(client, stream, "200 still here");
    peer_free(client);
    site_done(&it);
}

/* ---- bodies ---- */

TEST(http2_a_body_is_read_whole) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_post(client, "/echo");
    peer_data(client, stream, "there and ", 10, 0);
    peer_data(client, stream, "\4back\0\0\0\0", 9, END_STREAM | PADDED);
    CHECK_ANSWER(client, stream, "200 there and back");
    stream = peer_post(client, "/echo");
    peer_data(client, stream, "with trailers", 13, 0);
    block trailers = {0};
    block_add(&trailers, "checksum", "1");
    peer_frame(client, HEADERS, END_STREAM | END_HEADERS, stream, trailers.bytes, trailers.length);
    block_free(&trailers);
    CHECK_ANSWER(client, stream, "200 with trailers");
    stream = peer_ask(client, "POST", "/echo", END_STREAM, "content-length", "0", NULL);
    CHECK_ANSWER(client, stream, "200 ");
    peer_free(client);
    site_done(&it);
}

/* Sends until the windows are full; how much that was. */
static size_t fill_window(peer *client, uint32_t stream, size_t window) {
    static const uint8_t piece[16384];
    size_t sent = 0;
    for (size_t now; sent < window; sent += now) {
        now = window - sent < sizeof piece ? window - sent : sizeof piece;
        peer_data(client, stream, piece, now, 0);
    }
    return sent;
}

TEST(http2_a_body_that_is_paused_gets_no_window) {
    lariat_http_server_options options = http2_options();
    options.http2_stream_window = 50000;
    options.max_body = 1 << 20;
    SITE(it, options);
    peer *client = site_peer(&it);
    frame settings = peer_next_of(client, SETTINGS);
    int found = 0;
    for (size_t at = 0; at + 6 <= settings.length; at += 6)
        if (settings.payload[at + 1] == 4) found = 1, CHECK_INT(word_at(settings.payload + at + 2), 50000);
    CHECK(found);
    uint32_t stream = peer_post(client, "/drain");
    TURN_UNTIL(it.reactor, it.waits == 1);
    fill_window(client, stream, 20000);
    TURN_UNTIL(it.reactor, it.came == 20000);
    CHECK_OK(lariat_http_request_pause_body(it.waiting[0]));
    /* the answer of another stream shows that all before it was looked at */
    fill_window(client, stream, 30000);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    CHECK_INT(it.came, 20000);
    frame seen;
    while (peer_has_frame(client, &seen)) CHECK(seen.type != WINDOW_UPDATE || seen.stream != stream);
    CHECK_OK(lariat_http_request_resume_body(it.waiting[0]));
    do seen = peer_next_of(client, WINDOW_UPDATE);
    while (seen.stream != stream);
    TURN_UNTIL(it.reactor, it.came == 50000);
    peer_data(client, stream, "x", 1, END_STREAM);
    CHECK_ANSWER(client, stream, "200 thanks");
    CHECK_NOTES("body:50001");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_client_that_expects_a_100_gets_it_when_its_body_is_wanted) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t wanted = peer_ask(client, "POST", "/echo", 0, "expect", "100-continue", NULL);
    frame head = peer_next_of(client, HEADERS);
    char text[256] = "";
    read_block(head.payload, head.length, text, sizeof text);
    CHECK_STR(text, ":status: 100\n");
    peer_data(client, wanted, "so be it", 8, END_STREAM);
    CHECK_ANSWER(client, wanted, "200 so be it");
    uint32_t unwanted = peer_ask(client, "POST", "/hello", 0, "expect", "100-continue", NULL);
    response got = response_new();
    peer_read(client, unwanted, &got, 0);
    CHECK(got.heads == 1 && got.ended);
    response_free(&got);
    CHECK_ANSWER(client, peer_ask(client, "POST", "/echo", 0, "expect", "magic", NULL),
                 "417 417 Expectation Failed: an expectation that is not 100-continue\n");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_response_waits_for_the_peers_window) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->opens_windows = 0;
    uint32_t stream = peer_get(client, "/big?200000");
    response got = response_new();
    peer_read(client, stream, &got, 65535);
    CHECK_INT(got.length, 65535);
    peer_word(client, WINDOW_UPDATE, 0, 1 << 20);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_word(client, WINDOW_UPDATE, stream, 100000);
    peer_read(client, stream, &got, 165535);
    CHECK_INT(got.length, 165535);
    peer_word(client, WINDOW_UPDATE, stream, 100000);
    peer_read(client, stream, &got, 0);
    CHECK(got.ended && got.length == 200000);
    for (size_t i = 0; i < got.length; i++) CHECK_INT(got.body[i], (uint8_t)(i / 7));
    response_free(&got);
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_producer_is_paused_by_its_own_window) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->opens_windows = 0;
    uint32_t stream = peer_get(client, "/endless");
    response got = response_new();
    peer_read(client, stream, &got, 65535);
    CHECK(it.paused);
    int64_t waits = lariat_http_request_buffered(it.writer);
    CHECK(waits > 64 * 1024 && waits < 128 * 1024);
    CHECK_ANSWER(client, peer_get(client, "/nowhere"), "404 "); /* nobody else is held up */
    client->opens_windows = 1;
    peer_word(client, WINDOW_UPDATE, 0, 65535);
    peer_word(client, WINDOW_UPDATE, stream, 65535);
    peer_read(client, stream, &got, 1000000);
    CHECK(got.length >= 1000000);
    http2_note_end(it.writer, "writer");
    peer_word(client, RST_STREAM, stream, CANCEL);
    TURN_UNTIL(it.reactor, noted("stopped"));
    CHECK_NOTES("stopped writer!STREAM_RESET");
    response_free(&got);
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_file_goes_as_the_peer_takes_it) {
    folder_new();
    char *text = malloc(300001);
    CHECK(text);
    for (int i = 0; i < 300000; i++) text[i] = (char)('a' + i % 26);
    text[300000] = 0;
    put_file(in_folder("file.txt"), text);
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->opens_windows = 0;
    uint32_t stream = peer_get(client, "/file?file.txt");
    response got = response_new();
    peer_read(client, stream, &got, 65535);
    CHECK(strstr(got.head, "\ncontent-length: 300000\n") && strstr(got.head, "\netag: "));
    client->opens_windows = 1;
    peer_word(client, WINDOW_UPDATE, 0, 65535);
    peer_word(client, WINDOW_UPDATE, stream, 65535);
    peer_read(client, stream, &got, 0);
    CHECK(got.ended && got.length == 300000 && !memcmp(got.body, text, 300000));
    response_free(&got);
    stream = peer_ask(client, "GET", "/file?file.txt", END_STREAM, "range", "bytes=100000-100004", NULL);
    CHECK_ANSWER(client, stream, "206 efghi");
    /* one whose client goes away while it is sent */
    client->opens_windows = 0;
    stream = peer_get(client, "/file?file.txt");
    peer_read(client, stream, &got, 1);
    peer_word(client, RST_STREAM, stream, CANCEL);
    response_free(&got);
    CHECK_ANSWER(client, peer_get(client, "/nowhere"), "404 ");
    peer_free(client);
    free(text);
    site_done(&it);
    folder_end();
}

/* ---- ends ---- */

TEST(http2_a_stream_that_is_reset_is_told) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 1);
    http2_note_end(it.waiting[0], "wait");
    peer_word(client, RST_STREAM, stream, CANCEL);
    TURN_UNTIL(it.reactor, noted("wait"));
    CHECK_NOTES("wait!STREAM_RESET");
    turn(it.reactor);
    CHECK_STATUS(lariat_http_request_respond(it.waiting[0], 200, NULL, NULL, 0), LARIAT_ERR_STALE_HANDLE);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_response_that_is_given_up_resets_its_stream) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t before = peer_get(client, "/wait"), within = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 2);
    http2_note_end(it.waiting[0], "before");
    http2_note_end(it.waiting[1], "within");
    CHECK_OK(lariat_http_request_abort(it.waiting[0]));
    CHECK_RESET(client, before, INTERNAL_ERROR);
    CHECK_OK(lariat_http_request_write(it.waiting[1], (const uint8_t *)"some", 4));
    CHECK_OK(lariat_http_request_abort(it.waiting[1]));
    CHECK_RESET(client, within, INTERNAL_ERROR);
    turn(it.reactor);
    CHECK_NOTES("before!CONNECTION_ABORTED within!CONNECTION_ABORTED");
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_free(client);
    site_done(&it);
}

TEST(http2_an_answer_before_the_body_has_come_ends_the_request) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_post(client, "/hello");
    response got = response_new();
    peer_read(client, stream, &got, 0);
    CHECK(got.ended && got.length == 5);
    response_free(&got);
    frame reset = peer_next_of(client, RST_STREAM);
    CHECK_INT(reset.stream, stream);
    CHECK_INT(word_at(reset.payload), NO_ERROR); /* the rest need not be sent */
    peer_data(client, stream, "late", 4, END_STREAM);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_server_stops_when_its_streams_have_finished) {
    SITE(it, http2_options());
    peer *client = site_peer(&it), *idle = site_peer(&it);
    uint32_t stream = peer_get(client, "/wait");
    CHECK_ANSWER(idle, peer_get(idle, "/hello"), "200 hello");
    TURN_UNTIL(it.reactor, it.waits == 1);
    client->acknowledges = 0;
    end_with_note(lariat_http_server_stop(it.server, INFINITY), "stop");
    frame goodbye = peer_next_of(client, GOAWAY);
    CHECK_INT(word_at(goodbye.payload) & 0x7fffffff, 0x7fffffff); /* not yet: what is on its way is answered */
    CHECK_INT(word_at(goodbye.payload + 4), NO_ERROR);
    frame ping = peer_next_of(client, PING);
    uint8_t payload[8];
    memcpy(payload, ping.payload, 8);
    uint32_t late = peer_get(client, "/hello");
    CHECK_ANSWER(client, late, "200 hello");
    peer_frame(client, PING, ACK, 0, payload, 8);
    goodbye = peer_next_of(client, GOAWAY);
    CHECK_INT(word_at(goodbye.payload), late);
    CHECK_NOTES("");
    respond_text(it.waiting[0], 200, "done");
    CHECK_ANSWER(client, stream, "200 done");
    CHECK_GOODBYE(client, -1); /* it was said */
    CHECK_GOODBYE(idle, NO_ERROR);
    peer_free(client);
    peer_free(idle);
    TURN_UNTIL(it.reactor, noted("stop"));
    CHECK_NOTES("stop=-");
    site_done(&it);
}

TEST(http2_a_server_that_is_freed_cuts_its_streams) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    for (int i = 0; i < 3; i++) peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 3);
    for (int i = 0; i < 3; i++) http2_note_end(it.waiting[i], "wait");
    site_done(&it);
    CHECK_NOTES("wait!CLOSED wait!CLOSED wait!CLOSED");
    peer_free(client);
}

TEST(http2_a_connection_has_so_many_requests) {
    lariat_http_server_options options = http2_options();
    options.max_requests_per_connection = 3;
    SITE(it, options);
    peer *client = site_peer(&it);
    for (int i = 0; i < 3; i++) CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    CHECK_GOODBYE(client, NO_ERROR);
    peer_free(client);
    site_done(&it);
}

/* ---- how it is found ---- */

static void check_text(site *it, int fd, const char *want) {
    char text[4096] = "";
    size_t have = 0;
    for (ssize_t came = 1; came != 0 && !strstr(text, want);) {
        turn(it->reactor);
        came = recv(fd, text + have, sizeof text - 1 - have, 0);
        if (came > 0) have += (size_t)came;
    }
    if (!strstr(text, want)) test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", want, text);
}

TEST(http2_both_are_understood_on_one_port) {
    SITE(it, http2_options());
    peer *old = peer_connected(it.reactor, it.port);
    peer_send(old, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 32);
    check_text(&it, old->fd, "\r\n\r\nhello");
    peer *client = peer_connected(it.reactor, it.port);
    for (const char *byte = PREFACE; *byte; byte++) {
        peer_send(client, byte, 1);
        turn(it.reactor);
    }
    peer_setting(client, 1, 0);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    /* what begins as the preface and is none */
    peer *neither = peer_connected(it.reactor, it.port);
    peer_send(neither, "PRI * HTTP/2.0\r\n\r\nSMALL", 23);
    check_text(&it, neither->fd, "HTTP/1.1 505 ");
    peer_free(neither);
    peer_free(client);
    peer_free(old);
    site_done(&it);
}

TEST(http2_on_a_plain_port_is_off_unless_asked_for) {
    lariat_http_server_options options;
    CHECK_OK(lariat_http_server_options_init(&options, sizeof options));
    SITE(it, options);
    peer *client = peer_connected(it.reactor, it.port);
    peer_send(client, PREFACE, sizeof PREFACE - 1);
    check_text(&it, client->fd, "HTTP/1.1 505 ");
    peer_free(client);
    site_done(&it);
}

static void on_access(const lariat_http_access *access, void *user_data) {
    (void)user_data;
    note("%s %s %d %d %d+%d%s%s", access->method, access->target, access->version, access->code, (int)access->bytes_received,
         (int)access->bytes_sent, access->failure ? "!" : "", access->failure ? failure_label(access->failure) : "");
}

TEST(http2_the_access_log_has_each_stream) {
    SITE(it, http2_options());
    CHECK_OK(lariat_http_server_set_access_log(it.server, on_access, NULL));
    peer *client = site_peer(&it);
    CHECK_ANSWER(client, peer_get(client, "/hello?x"), "200 hello");
    uint32_t stream = peer_post(client, "/echo");
    peer_data(client, stream, "four", 4, END_STREAM);
    CHECK_ANSWER(client, stream, "200 four");
    stream = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 1);
    peer_word(client, RST_STREAM, stream, CANCEL);
    TURN_UNTIL(it.reactor, noted("wait"));
    CHECK_NOTES("GET /hello?x 20 200 0+5 POST /echo 20 200 4+4 GET /wait 20 0 0+0!STREAM_RESET");
    stream = peer_ask(client, "GET", "/", END_STREAM, "expect", "miracles", NULL);
    CHECK_ANSWER(client, stream, "417 417 Expectation Failed: an expectation that is not 100-continue\n");
    CHECK_NOTES("  0 417 0+64!BAD_MESSAGE");
    peer_free(client);
    site_done(&it);
}

static void end_the_server(const lariat_http_access *access, void *user_data) {
    site *it = user_data;
    CHECK(access->request == NULL);
    CHECK_OK(lariat_http_server_free(it->server));
    note("freed");
}

TEST(http2_a_server_is_freed_by_the_log_of_what_it_refuses) {
    SITE(it, http2_options());
    CHECK_OK(lariat_http_server_set_access_log(it.server, end_the_server, &it));
    peer *client = site_peer(&it);
    peer_ask(client, "GET", "/", END_STREAM, "expect", "miracles", NULL);
    peer_get(client, "/hello");
    TURN_UNTIL(it.reactor, noted("freed"));
    notes_clear();
    peer_free(client);
    turns(it.reactor, 5);
    reactor_done(it.reactor);
}

TEST(http2_many_streams_of_many_connections) {
    enum { CLIENTS = 20, STREAMS = 100 };
    SITE(it, http2_options());
    static peer *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = site_peer(&it);
        for (int j = 0; j < STREAMS; j++) peer_get(clients[i], j % 2 ? "/hello" : "/big?1000");
    }
    for (int i = 0; i < CLIENTS; i++) {
        int ended = 0;
        while (ended < STREAMS) {
            frame one = peer_next(clients[i]);
            CHECK(one.type != HUNG_UP && one.type != RST_STREAM && one.type != GOAWAY);
            ended += (one.type == DATA || one.type == HEADERS) && one.flags & END_STREAM;
        }
        peer_free(clients[i]);
    }
    CHECK_INT(it.calls, CLIENTS * STREAMS);
    site_done(&it);
}

/* ---- simulated ---- */

typedef struct simulated_client {
    uint8_t head[9];
    size_t has, skip, came;
    int ended, lost;
} simulated_client;

static block simulated_requests(void) {
    block bytes = {0}, head = {0};
    for (const char *byte = PREFACE; *byte; byte++) block_byte(&bytes, (uint8_t)*byte);
    static const uint8_t settings[] = {0, 0, 0, SETTINGS, 0, 0, 0, 0, 0, 0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    for (size_t i = 0; i < sizeof settings; i++) block_byte(&bytes, settings[i]);
    for (uint8_t stream = 1; stream < 20; stream += 2) {
        block_request(&head, "GET", stream % 4 == 1 ? "/hello" : "/big?10000");
        const uint8_t frame[] = {0, 0, (uint8_t)head.length, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, stream};
        for (size_t i = 0; i < sizeof frame; i++) block_byte(&bytes, frame[i]);
        for (size_t i = 0; i < head.length; i++) block_byte(&bytes, head.bytes[i]);
        block_free(&head);
    }
    return bytes;
}

static void simulated_made(lariat_transport *transport, void *self) {
    (void)self;
    block bytes = simulated_requests();
    CHECK_OK(lariat_transport_write(transport, bytes.bytes, bytes.length));
    block_free(&bytes);
}

static void simulated_data(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    simulated_client *it = self;
    it->came += len;
    for (size_t i = 0; i < len; i++) {
        if (it->skip) it->skip--;
        else if (it->head[it->has++] = data[i], it->has == 9) {
            it->has = 0, it->skip = (size_t)it->head[0] << 16 | (size_t)it->head[1] << 8 | it->head[2];
            it->ended += it->head[3] <= HEADERS && it->head[4] & END_STREAM;
        }
    }
    if (it->ended == 10 && !it->skip) CHECK_OK(lariat_transport_lose_connection(transport));
}

static void simulated_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport, (void)reason;
    ((simulated_client *)self)->lost = 1;
}

/* Over a slow link, with calls that fail for nothing: the trace of all that has happened. */
static uint64_t simulated(uint64_t seed) {
    lariat_simulation *simulation = lariat_simulation_new(seed);
    lariat_reactor *there = simulated_reactor(simulation, "there"), *here = simulated_reactor(simulation, "here");
    lariat_link link;
    CHECK_OK(lariat_link_init(&link, sizeof link));
    link.latency = 0.05, link.jitter = 0.02, link.bandwidth = 1e5;
    CHECK_OK(lariat_simulation_set_link(simulation, NULL, NULL, &link));
    CHECK_OK(lariat_simulation_set_faults(simulation, 0.05));
    lariat_http_server_options options = http2_options();
    site it = {.reactor = there};
    it.server = lariat_http_server_new(there, &options);
    CHECK(lariat_http_server_listen(it.server, "http://*:80"));
    site_start(&it);
    simulated_client client = {0};
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = simulated_made, protocol.data_received = simulated_data, protocol.connection_lost = simulated_lost;
    CHECK_OK(lariat_deferred_release(lariat_reactor_connect(here, "tcp://there:80", &protocol, &client)));
    for (int i = 0; i < 1000 && !client.lost; i++) CHECK_OK(lariat_simulation_run(simulation, 0.1));
    CHECK(client.lost);
    CHECK_INT(client.ended, 10);
    CHECK(client.came > 5 * 10000);
    CHECK_OK(lariat_http_server_free(it.server));
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    uint64_t trace = lariat_simulation_trace_hash(simulation);
    reactor_done(here);
    reactor_done(there);
    CHECK_OK(lariat_simulation_free(simulation));
    return trace;
}

TEST(http2_is_the_same_again_when_simulated) {
    CHECK(simulated(1) == simulated(1));
    CHECK(simulated(1) != simulated(2));
    for (uint64_t seed = 3; seed < 3 + many(30); seed++) simulated(seed);
}
#endif
