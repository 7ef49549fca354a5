/* Peers of HTTP/2 that are wrong, greedy or slow: each is refused or limited, what the others do goes on, and nothing is left behind. */
#define _GNU_SOURCE
#include "harness.h"
#ifdef _WIN32
TEST(http2_failures_are_tested_on_unix) { SKIP("the peer uses sockets of POSIX"); }
#else
#include "http2_site.h"

/* ---- requests that are none: their stream is refused, the others go on ---- */

/* A head of these names and values, with NULL at the end, and the code of the RST_STREAM or, negative, of the answer; for what
 * no decoder can take for a field, CONNECTION and the code of the GOAWAY. */
enum { CONNECTION = 100 };

static void refused(int line, int64_t want, const char *const *fields, int flags, const char *body) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    block head = {0};
    for (size_t i = 0; fields[i]; i += 2) block_add(&head, fields[i], fields[i + 1]);
    uint32_t stream = peer_ask_block(client, &head, flags);
    if (body) peer_data(client, stream, body, strlen(body), END_STREAM);
    response got = response_new();
    peer_read(client, stream, &got, 0);
    int64_t code = got.reset;
    if (code < 0 && got.goodbye >= 0) code = CONNECTION + got.goodbye;
    if (code < 0 && got.ended) code = -atoi(strstr(got.head, ":status: ") + 9);
    if (code != want) test_fail(__FILE__, line, "it is refused with %d, must be %d", (int)code, (int)want);
    response_free(&got);
    if (want < CONNECTION) CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    CHECK_INT(it.calls, (body != NULL) + (want < CONNECTION));
    peer_free(client);
    site_done(&it);
}
#define REFUSED(want, ...) refused(__LINE__, want, (const char *const[]){__VA_ARGS__, NULL}, END_STREAM, NULL)
#define GET ":method", "GET"
#define HTTP ":scheme", "http"
#define ROOT ":path", "/"
#define HOST ":authority", "a"

TEST(http2_pseudo_headers_that_are_wrong) {
    REFUSED(PROTOCOL_ERROR, HTTP, ROOT, HOST);                              /* no method */
    REFUSED(PROTOCOL_ERROR, GET, ROOT, HOST);                               /* no scheme */
    REFUSED(PROTOCOL_ERROR, GET, HTTP, HOST);                               /* no path */
    REFUSED(PROTOCOL_ERROR, GET, HTTP, HOST, ":path", "");                  /* an empty one */
    REFUSED(PROTOCOL_ERROR, GET, GET, HTTP, ROOT, HOST);                    /* one twice */
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, ROOT, HOST);
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, HOST);
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, ":status", "200");       /* a response's */
    REFUSED(CONNECTION + PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, ":unknown", "x");
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, "a", "b", HOST);               /* behind a field */
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, ":protocol", "websocket");
    REFUSED(PROTOCOL_ERROR, ":method", "CONNECT", HTTP, ROOT, HOST);
    REFUSED(CONNECTION + PROTOCOL_ERROR, ":method", "G T", HTTP, ROOT, HOST);
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ":path", "/a b", HOST);
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, ":authority", "a b");
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, ":authority", "");
    REFUSED(-400, GET, HTTP, ROOT);                                         /* nobody knows which host */
    REFUSED(-400, GET, HTTP, ROOT, ":authority", "user@a");
    REFUSED(-400, GET, HTTP, ROOT, HOST, "host", "b");                      /* two that differ */
    REFUSED(-400, GET, HTTP, ROOT, HOST, "host", "a", "host", "a");
    REFUSED(-400, GET, HTTP, ":path", "*", HOST);
    REFUSED(-400, GET, HTTP, ":path", "/%zz", HOST);
}

TEST(http2_fields_that_have_no_place) {
    const char *names[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, names[i], "close");
    REFUSED(PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, "te", "gzip");
    REFUSED(CONNECTION + PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, "Upper", "case");
    REFUSED(CONNECTION + PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, "a b", "c");
    REFUSED(CONNECTION + PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, "", "c");
    REFUSED(CONNECTION + PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, "a", "split\r\nb: c");
    REFUSED(CONNECTION + PROTOCOL_ERROR, GET, HTTP, ROOT, HOST, "a:b", "c");
}

TEST(http2_bodies_that_are_not_as_long_as_they_say) {
    const char *const post[] = {":method", "POST", HTTP, ":path", "/echo", HOST, "content-length", "4", NULL};
    refused(__LINE__, PROTOCOL_ERROR, post, 0, "five!");
    refused(__LINE__, PROTOCOL_ERROR, post, 0, "thr");
    refused(__LINE__, -200, post, 0, "four");
    const char *const none[] = {GET, HTTP, ROOT, HOST, "content-length", "4", NULL};
    refused(__LINE__, PROTOCOL_ERROR, none, END_STREAM, NULL);
    const char *const two[] = {GET, HTTP, ROOT, HOST, "content-length", "0", "content-length", "4", NULL};
    refused(__LINE__, PROTOCOL_ERROR, two, END_STREAM, NULL);
    const char *const odd[] = {GET, HTTP, ROOT, HOST, "content-length", "+0", NULL};
    refused(__LINE__, PROTOCOL_ERROR, odd, END_STREAM, NULL);
}

/* ---- more than there may be ---- */

static void fill(char *text, size_t length) {
    memset(text, 'x', length);
    text[length] = 0;
}

TEST(http2_heads_that_are_too_large) {
    static char text[60001];
    lariat_http_server_options options = http2_options();
    options.max_headers = 10;
    SITE(it, options);
    peer *client = site_peer(&it);
    /* the path, one field, all fields, their number */
    fill(text, 8193);
    text[0] = '/';
    response got = response_new();
    peer_read(client, peer_get(client, text), &got, 0);
    CHECK(strstr(got.head, ":status: 414\n") == got.head);
    response_free(&got);
    fill(text, 12000);
    block head = {0};
    block_request(&head, "GET", "/hello");
    for (int i = 0; i < 3; i++) block_add(&head, "a", text);
    uint32_t stream = client->next_stream;
    client->next_stream += 2;
    peer_frame(client, HEADERS, END_STREAM, stream, head.bytes, 16000);
    peer_frame(client, CONTINUATION, 0, stream, head.bytes + 16000, 16000);
    peer_frame(client, CONTINUATION, END_HEADERS, stream, head.bytes + 32000, head.length - 32000);
    CHECK_ANSWER(client, stream, "200 hello");
    stream = client->next_stream;
    client->next_stream += 2;
    block_add(&head, "a", text);
    peer_frame(client, HEADERS, END_STREAM, stream, head.bytes, 16000);
    for (size_t at = 16000; at < head.length; at += 16000) {
        size_t left = head.length - at;
        peer_frame(client, CONTINUATION, left <= 16000 ? END_HEADERS : 0, stream, head.bytes + at, left < 16000 ? left : 16000);
    }
    block_free(&head);
    CHECK_ANSWER(client, stream, "431 ");
    block_request(&head, "GET", "/hello");
    for (int i = 0; i < 11; i++) block_add(&head, "a", "b");
    peer_read(client, peer_ask_block(client, &head, END_STREAM), &got, 0);
    CHECK(strstr(got.head, ":status: 431\n") == got.head);
    response_free(&got);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    CHECK_INT(it.calls, 2);
    peer_free(client);
    site_done(&it);
}

/* A block of a few bytes that means megabytes: one large field in the dynamic table, named again and again. */
TEST(http2_a_head_that_grows_when_it_is_read) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    block head = {0};
    block_request(&head, "GET", "/hello");
    static char text[4000 + 1];
    fill(text, 4000);
    block_byte(&head, 0x40);
    block_text(&head, "a", 1);
    block_text(&head, text, 4000);
    for (int i = 0; i < 12000; i++) block_byte(&head, 0x80 | 62);
    peer_ask_block(client, &head, END_STREAM);
    CHECK_GOODBYE(client, ENHANCE_YOUR_CALM); /* it is not even read to its end */
    CHECK_INT(it.calls, 0);
    peer_free(client);
    site_done(&it);
}

TEST(http2_continuations_without_end) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    block head = {0};
    block_request(&head, "GET", "/hello");
    peer_frame(client, HEADERS, END_STREAM, 1, head.bytes, head.length);
    block_free(&head);
    for (int i = 0; i < 10000 && peer_frame(client, CONTINUATION, 0, 1, NULL, 0); i++) turn(it.reactor);
    CHECK_GOODBYE(client, ENHANCE_YOUR_CALM);
    CHECK_INT(it.calls, 0);
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_body_that_is_too_large) {
    lariat_http_server_options options = http2_options();
    options.max_body = 10;
    SITE(it, options);
    peer *client = site_peer(&it);
    uint32_t stream = peer_ask(client, "POST", "/echo", 0, "content-length", "11", NULL);
    CHECK_ANSWER(client, stream, "413 413 Content Too Large\n");
    CHECK_NOTES("refused!LIMIT");
    stream = peer_post(client, "/echo");
    peer_data(client, stream, "0123456789x", 11, 0);
    CHECK_ANSWER(client, stream, "413 413 Content Too Large\n");
    stream = peer_post(client, "/echo");
    peer_data(client, stream, "0123456789", 10, END_STREAM);
    CHECK_ANSWER(client, stream, "200 0123456789");
    peer_free(client);
    site_done(&it);
}

TEST(http2_streams_beyond_the_limit_are_refused) {
    lariat_http_server_options options = http2_options();
    options.http2_max_streams = 3;
    SITE(it, options);
    peer *client = site_peer(&it);
    uint32_t streams[3];
    for (int i = 0; i < 3; i++) streams[i] = peer_get(client, "/wait");
    CHECK_RESET(client, peer_get(client, "/wait"), REFUSED_STREAM);
    CHECK_INT(it.waits, 3);
    for (int i = 0; i < 3; i++) {
        respond_text(it.waiting[i], 200, "");
        CHECK_ANSWER(client, streams[i], "200 ");
    }
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_free(client);
    site_done(&it);
}

TEST(http2_more_than_the_window_is_no_body) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t stream = peer_post(client, "/wait"); /* nobody reads it */
    static const uint8_t piece[16384];
    for (int i = 0; i < 5; i++) peer_data(client, stream, piece, sizeof piece, 0);
    CHECK_RESET(client, stream, FLOW_CONTROL_ERROR);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_free(client);
    site_done(&it);
}

/* ---- floods: the connection ends, with words to say why ---- */

enum flood { RESETS, PINGS, SETTINGS_FLOOD, PRIORITIES, WINDOWS, UNKNOWN, EMPTY_DATA, SMALL_DATA, FLOODS };

static int flood_once(peer *client, enum flood kind, uint32_t stream) {
    switch (kind) {
    case RESETS: {
        uint32_t one = peer_get(client, "/wait");
        turns(client->reactor, 2); /* it is handed over before it is reset */
        return peer_word(client, RST_STREAM, one, CANCEL);
    }
    case PINGS: return peer_frame(client, PING, 0, 0, "01234567", 8);
    case SETTINGS_FLOOD: return peer_frame(client, SETTINGS, 0, 0, NULL, 0);
    case PRIORITIES: return peer_frame(client, PRIORITY, 0, stream + 2, "\0\0\0\0\1", 5);
    case WINDOWS: return peer_word(client, WINDOW_UPDATE, 0, 1);
    case UNKNOWN: return peer_frame(client, 0x42, 0, 0, "?", 1);
    case EMPTY_DATA: return peer_data(client, stream, NULL, 0, 0);
    default: return peer_data(client, stream, "x", 1, 0);
    }
}

TEST(http2_floods_end_the_connection) {
    for (int kind = 0; kind < FLOODS; kind++) {
        lariat_http_server_options options = http2_options();
        options.http2_resets = 50;
        options.http2_control_frames = 200;
        options.linger_seconds = 0; /* it is not even read any more */
        SITE(it, options);
        peer *client = site_peer(&it), *other = site_peer(&it);
        client->acknowledges = 0;
        uint32_t stream = peer_post(client, "/wait"); /* nobody reads its body */
        TURN_UNTIL(it.reactor, it.waits == 1);
        int sent = 0;
        while (sent < 100000 && flood_once(client, (enum flood)kind, stream)) {
            it.waits = 1; /* those that were reset are gone */
            if (++sent % 100 == 0) turn(it.reactor);
        }
        if (sent == 100000) test_fail(__FILE__, __LINE__, "flood %d goes on for ever", kind);
        CHECK(kind == RESETS ? sent >= 50 : sent >= 90);
        CHECK_ANSWER(other, peer_get(other, "/hello"), "200 hello");
        peer_free(client);
        peer_free(other);
        site_done(&it);
    }
}

/* The goodbye of one that is read while it floods. */
TEST(http2_a_flood_is_told_to_calm_down) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->acknowledges = 0;
    for (int i = 0; i < 1100; i++) {
        peer_frame(client, PING, 0, 0, "01234567", 8);
        if (i % 100 == 0) turn(it.reactor);
    }
    CHECK_GOODBYE(client, ENHANCE_YOUR_CALM);
    peer_free(client);
    site_done(&it);
}

TEST(http2_what_is_slow_enough_is_no_flood) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->acknowledges = 0;
    uint32_t stream = peer_get(client, "/wait");
    for (int i = 0; i < 3000; i++) {
        peer_frame(client, PING, 0, 0, "01234567", 8);
        peer_next_of(client, PING);
        advance(it.reactor, 0.01);
    }
    respond_text(it.waiting[0], 200, "calm");
    CHECK_ANSWER(client, stream, "200 calm");
    peer_free(client);
    site_done(&it);
}

/* ---- frames that break the rules: the connection ends with the code that says which ---- */

/* h2 says PROTOCOL_ERROR where RFC 9113 has more to say: COMPRESSION_ERROR of what cannot be decoded, FRAME_SIZE_ERROR of a payload
 * that is too short for its kind, FLOW_CONTROL_ERROR of a window that is none. */
static void broken(int line, int64_t want, uint8_t type, uint8_t flags, uint32_t stream, const char *payload, size_t length) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 1);
    http2_note_end(it.waiting[0], "wait");
    peer_frame(client, type, flags, stream, payload, length);
    test_check_goodbye(__FILE__, line, client, want);
    CHECK_NOTES("wait!STREAM_RESET");
    peer_free(client);
    site_done(&it);
}
#define BROKEN(want, type, flags, stream, payload) broken(__LINE__, want, type, flags, stream, payload, sizeof payload - 1)

TEST(http2_frames_that_break_the_rules) {
    BROKEN(PROTOCOL_ERROR, DATA, 0, 0, "on no stream");
    BROKEN(PROTOCOL_ERROR, DATA, 0, 99, "on a stream that was never there");
    BROKEN(PROTOCOL_ERROR, DATA, PADDED, 1, "\200too much padding");
    BROKEN(PROTOCOL_ERROR, HEADERS, END_HEADERS, 0, "\x82");
    BROKEN(PROTOCOL_ERROR, HEADERS, END_HEADERS, 2, "\x82"); /* a server's stream */
    BROKEN(PROTOCOL_ERROR, HEADERS, END_HEADERS, 3, "\xff\xff\xff\xff\xff\xff\xff");
    BROKEN(PROTOCOL_ERROR, HEADERS, END_HEADERS, 3, "\xc0"); /* an index of nothing */
    BROKEN(PROTOCOL_ERROR, HEADERS, END_HEADERS, 3, "\x3f\xff\xff\x3f"); /* a table larger than was allowed */
    BROKEN(PROTOCOL_ERROR, PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x82");
    BROKEN(PROTOCOL_ERROR, CONTINUATION, END_HEADERS, 1, "\x82");
    BROKEN(PROTOCOL_ERROR, RST_STREAM, 0, 0, "\0\0\0\0");
    BROKEN(PROTOCOL_ERROR, RST_STREAM, 0, 99, "\0\0\0\0");
    BROKEN(PROTOCOL_ERROR, RST_STREAM, 0, 1, "\0\0\0");
    BROKEN(PROTOCOL_ERROR, SETTINGS, 0, 0, "\0\0\0");
    BROKEN(PROTOCOL_ERROR, SETTINGS, 0, 1, "");
    BROKEN(PROTOCOL_ERROR, SETTINGS, ACK, 0, "\0\4\0\0\0\1");
    BROKEN(PROTOCOL_ERROR, SETTINGS, 0, 0, "\0\4\x80\0\0\0");
    BROKEN(PROTOCOL_ERROR, SETTINGS, 0, 0, "\0\5\0\0\0\1");
    BROKEN(PROTOCOL_ERROR, PING, 0, 0, "short");
    BROKEN(PROTOCOL_ERROR, PING, 0, 1, "01234567");
    BROKEN(PROTOCOL_ERROR, WINDOW_UPDATE, 0, 0, "\0\0\0\0");
    BROKEN(FLOW_CONTROL_ERROR, WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff");
    BROKEN(PROTOCOL_ERROR, WINDOW_UPDATE, 0, 0, "\0\0\1");
}

TEST(http2_a_frame_that_is_longer_than_it_may_be) {
    static const char payload[16384 + 2];
    broken(__LINE__, FRAME_SIZE_ERROR, DATA, 0, 1, payload, sizeof payload - 1);
}

TEST(http2_a_stream_number_that_went_back) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->next_stream = 5;
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    client->next_stream = 3;
    peer_get(client, "/hello");
    CHECK_GOODBYE(client, PROTOCOL_ERROR);
    peer_free(client);
    site_done(&it);
}

TEST(http2_what_is_no_preface) {
    SITE(it, http2_options());
    peer *client = peer_connected(it.reactor, it.port);
    peer_send(client, PREFACE, sizeof PREFACE - 1);
    peer_frame(client, PING, 0, 0, "01234567", 8); /* SETTINGS have to come first */
    CHECK_GOODBYE(client, PROTOCOL_ERROR);
    peer_free(client);
    site_done(&it);
}

/* ---- peers that are slow ---- */

/* Until the server has hung up, or said something of the stream. */
static void advance_until(site *it, double seconds) {
    turns(it->reactor, 5);
    advance(it->reactor, seconds);
    turns(it->reactor, 5);
}

TEST(http2_a_window_that_is_never_opened_has_a_deadline) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->opens_windows = 0;
    peer_setting(client, 4, 0);
    uint32_t one = peer_get(client, "/endless"), two = peer_get(client, "/big?100000");
    response got = response_new();
    while (!got.heads) {
        frame head = peer_next_of(client, HEADERS);
        got.heads += head.stream == two;
    }
    http2_note_end(it.writer, "endless");
    advance_until(&it, 59);
    CHECK_ANSWER(client, peer_ask(client, "HEAD", "/hello", END_STREAM, NULL), "200 ");
    CHECK_NOTES("");
    advance_until(&it, 2);
    CHECK_RESET(client, one, CANCEL);
    CHECK_NOTES("stopped endless!TIMED_OUT");
    /* the connection itself is well */
    CHECK_ANSWER(client, peer_ask(client, "HEAD", "/hello", END_STREAM, NULL), "200 ");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_window_that_closes_within_a_file_has_a_deadline) {
    folder_new();
    char *text = calloc(1, 300001);
    CHECK(text);
    fill(text, 300000);
    put_file(in_folder("file"), text);
    free(text);
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->opens_windows = 0;
    peer_setting(client, 4, 100000);
    peer_word(client, WINDOW_UPDATE, 0, 1 << 20);
    uint32_t stream = peer_get(client, "/file?file");
    response got = response_new();
    peer_read(client, stream, &got, 100000);
    CHECK_INT(got.length, 100000);
    advance_until(&it, 59);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    advance_until(&it, 2);
    peer_read(client, stream, &got, 0);
    CHECK_INT(got.reset, CANCEL);
    response_free(&got);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_free(client);
    site_done(&it);
    folder_end();
}

TEST(http2_a_window_that_is_opened_a_little_is_open) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    client->opens_windows = 0;
    peer_setting(client, 4, 1);
    uint32_t stream = peer_get(client, "/big?10");
    response got = response_new();
    for (size_t length = 1; length <= 10; length++) {
        peer_read(client, stream, &got, length);
        CHECK_INT(got.length, length);
        advance_until(&it, 40);
        peer_word(client, WINDOW_UPDATE, stream, 1);
    }
    peer_read(client, stream, &got, 0);
    CHECK(got.ended);
    response_free(&got);
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_peer_that_reads_nothing_is_cut_off) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    peer_setting(client, 4, 0x7fffffff);
    peer_word(client, WINDOW_UPDATE, 0, 0x7fff0000 - 65535);
    peer_get(client, "/endless");
    TURN_UNTIL(it.reactor, it.paused);
    http2_note_end(it.writer, "endless");
    turns(it.reactor, 20);
    advance_until(&it, 61);
    advance_until(&it, 61);
    CHECK_NOTES("stopped endless!TIMED_OUT");
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_client_that_says_nothing_is_closed) {
    SITE(it, http2_options());
    peer *client = peer_connected(it.reactor, it.port);
    peer_send(client, PREFACE, sizeof PREFACE - 1);
    turns(it.reactor, 5);
    advance_until(&it, 61);
    CHECK_GOODBYE(client, NO_ERROR);
    peer_free(client);
    /* nor does one that only pings count as busy */
    client = site_peer(&it);
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    for (int i = 0; i < 3; i++) {
        peer_frame(client, PING, 0, 0, "01234567", 8);
        advance_until(&it, 25);
    }
    advance_until(&it, 1);
    CHECK_GOODBYE(client, NO_ERROR);
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_body_that_does_not_come) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    uint32_t silent = peer_post(client, "/echo"), slow = peer_post(client, "/echo"), quick = peer_post(client, "/echo");
    char some[16001];
    fill(some, sizeof some - 1);
    for (int i = 0; i < 3; i++) {
        peer_data(client, slow, "x", 1, 0);
        peer_data(client, quick, some, 16000, 0);
        advance_until(&it, 29);
    }
    CHECK_ANSWER(client, silent, "408 408 Request Timeout\n");
    CHECK_ANSWER(client, slow, "408 408 Request Timeout\n");
    peer_data(client, quick, "", 0, END_STREAM);
    response got = response_new();
    peer_read(client, quick, &got, 0);
    CHECK_INT(got.length, 48000);
    response_free(&got);
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_request_has_its_time) {
    lariat_http_server_options options = http2_options();
    options.request_seconds = 10;
    SITE(it, options);
    peer *client = site_peer(&it);
    uint32_t unanswered = peer_get(client, "/wait"), begun = peer_get(client, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 2);
    http2_note_end(it.waiting[0], "unanswered");
    http2_note_end(it.waiting[1], "begun");
    CHECK_OK(lariat_http_request_write(it.waiting[1], (const uint8_t *)"some", 4));
    advance_until(&it, 11);
    CHECK_ANSWER(client, unanswered, "503 503 Service Unavailable\n");
    CHECK_NOTES("unanswered!TIMED_OUT begun!TIMED_OUT");
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    (void)begun;
    peer_free(client);
    site_done(&it);
}

TEST(http2_a_client_that_is_gone) {
    SITE(it, http2_options());
    peer *client = site_peer(&it);
    for (int i = 0; i < 3; i++) peer_get(client, "/wait");
    peer_post(client, "/drain");
    TURN_UNTIL(it.reactor, it.waits == 4);
    for (int i = 0; i < 3; i++) http2_note_end(it.waiting[i], "wait");
    peer_free(client);
    TURN_UNTIL(it.reactor, noted("body"));
    CHECK_NOTES("wait!CONNECTION_LOST wait!CONNECTION_LOST wait!CONNECTION_LOST body:0!CONNECTION_LOST");
    site_done(&it);
}

TEST(http2_a_client_that_is_gone_while_it_is_answered) {
    SITE(it, http2_options());
    for (int i = 0; i < 10; i++) {
        peer *client = site_peer(&it);
        peer_get(client, "/endless");
        peer_get(client, "/big?1000000");
        turns(it.reactor, i);
        struct linger hard = {.l_onoff = 1};
        CHECK_INT(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
        peer_free(client);
        turns(it.reactor, 10);
    }
    notes_clear();
    site_done(&it);
    notes_clear();
}

TEST(http2_a_server_does_not_wait_for_ever_for_who_is_gone_quiet) {
    SITE(it, http2_options());
    peer *client = site_peer(&it), *busy = site_peer(&it);
    client->acknowledges = busy->acknowledges = 0;
    CHECK_ANSWER(client, peer_get(client, "/hello"), "200 hello");
    peer_get(busy, "/wait");
    TURN_UNTIL(it.reactor, it.waits == 1);
    http2_note_end(it.waiting[0], "wait");
    end_with_note(lariat_http_server_stop(it.server, 30), "stop");
    turns(it.reactor, 5);
    advance_until(&it, 6);
    CHECK_GOODBYE(client, NO_ERROR); /* it has no stream, and has not answered the ping */
    CHECK_NOTES("");
    advance_until(&it, 25);
    TURN_UNTIL(it.reactor, noted("stop"));
    CHECK_NOTES("wait!TIMED_OUT stop=-");
    peer_free(client);
    peer_free(busy);
    site_done(&it);
}

/* ---- calls that are wrong ---- */

TEST(http2_options_that_are_wrong) {
    lariat_reactor *reactor = manual_reactor();
    lariat_http_server_options options = http2_options();
#define WRONG(field, value)                                                            \
    options = http2_options(), options.field = value;                                  \
    CHECK_NULL(lariat_http_server_new(reactor, &options), LARIAT_ERR_INVALID_ARGUMENT)
    WRONG(http2, 2);
    WRONG(http2_on_plain, -1);
    WRONG(http2_max_streams, 0);
    WRONG(http2_stream_window, 0);
    WRONG(http2_stream_window, 0x80000000u);
    WRONG(http2_connection_window, 0x80000000u);
    WRONG(http2_connection_window, 65534);
    WRONG(http2_max_frame, 16383);
    WRONG(http2_max_frame, 1 << 24);
    WRONG(http2_control_frames, 0);
    reactor_done(reactor);
}
#endif
