/* Framing of connections: lines, netstrings, lengths; what is handed over, when, and in which order. */
#include "harness.h"
#ifdef _WIN32
TEST(framing_is_tested_on_unix) { SKIP("these cases use socketpairs"); }
#else
#include "framed.h"

/* ---- the formats ---- */

TEST(framing_lines_come_one_by_one_without_their_delimiter) {
    framed it = {.made = lines};
    framed_start(&it);
    feed(&it, "one\r\ntwo\r\n\r\nth");
    CHECK_NOTES("<one> <two> <>");
    feed(&it, "r");
    feed(&it, "ee\r");
    CHECK_NOTES("");
    feed(&it, "\nfo\rur\n\r\n");
    CHECK_NOTES("<three> <fo\\rur\\n>");
    framed_done(&it);
}

static void bare_lines(framed *it) { CHECK_OK(lariat_transport_set_line_framing(it->transport, bytes("\n"), 1, 0)); }

TEST(framing_the_delimiter_is_the_protocols_choice) {
    framed it = {.made = bare_lines};
    framed_start(&it);
    feed(&it, "a\r\nb\n");
    CHECK_NOTES("<a\\r> <b>");
    char delimiter[] = "END";
    CHECK_OK(lariat_transport_set_line_framing(it.transport, bytes(delimiter), 3, 0));
    memset(delimiter, 'x', 3); /* it was copied */
    feed(&it, "a\nEEND");
    feed(&it, "EN");
    feed(&it, "DxxxEND");
    CHECK_NOTES("<a\\nE> <> <xxx>");
    framed_done(&it);
}

TEST(framing_netstrings) {
    framed it = {.made = netstrings};
    framed_start(&it);
    feed(&it, "3:a,b,0:,1");
    CHECK_NOTES("<a,b> <>");
    feed(&it, "0:0123456789");
    CHECK_NOTES("");
    feed(&it, ",");
    CHECK_NOTES("<0123456789>");
    framed_done(&it);
}

TEST(framing_lengths_of_8_16_and_32_bits_in_network_order) {
    framed it = {0};
    framed_start(&it);
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 8, 0));
    feed(&it, "\2ab\0\1");
    CHECK_NOTES("<ab> <>");
    feed(&it, "c");
    CHECK_NOTES("<c>");
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 16, 0));
    feed(&it, "\0\2ab\0\0\0");
    feed(&it, "\1c");
    CHECK_NOTES("<ab> <> <c>");
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 32, 0));
    feed(&it, "\0\0\0\2ab\0\0\0\0\0\0");
    feed(&it, "\0\1c");
    CHECK_NOTES("<ab> <> <c>");
    framed_done(&it);
}

/* ---- writing ---- */

TEST(framing_what_is_written_as_a_frame_comes_out_as_one) {
    framed it = {.made = lines};
    framed_start(&it);
    CHECK_OK(lariat_transport_write_frame(it.transport, bytes("ab"), 2));
    CHECK_OK(lariat_transport_write_frame(it.transport, NULL, 0));
    CHECK_OK(lariat_transport_write(it.transport, bytes("raw"), 3));
    CHECK_OK(lariat_transport_write_frame(it.transport, bytes("c\r"), 2));
    CHECK_SENT(&it, "ab\r\n\r\nrawc\r\r\n");
    CHECK_OK(lariat_transport_set_netstring_framing(it.transport, 1)); /* the limit is for what comes */
    CHECK_OK(lariat_transport_write_frame(it.transport, bytes("twelve bytes"), 12));
    CHECK_OK(lariat_transport_write_frame(it.transport, NULL, 0));
    CHECK_SENT(&it, "12:twelve bytes,0:,");
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 8, 0));
    CHECK_OK(lariat_transport_write_frame(it.transport, bytes("ab"), 2));
    CHECK_SENT(&it, "\2ab");
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 16, 0));
    CHECK_OK(lariat_transport_write_frame(it.transport, bytes("ab"), 2));
    CHECK_SENT(&it, "\0\2ab");
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 32, 0));
    CHECK_OK(lariat_transport_write_frame(it.transport, bytes("ab"), 2));
    CHECK_SENT(&it, "\0\0\0\2ab");
    framed_done(&it);
}

TEST(framing_what_would_be_no_frame_is_not_written) {
    static const uint8_t data[65536];
    framed it = {0};
    framed_start(&it);
    CHECK_STATUS(lariat_transport_write_frame(it.transport, data, 1), LARIAT_ERR_INVALID_STATE); /* none is set */
    lines(&it);
    CHECK_STATUS(lariat_transport_write_frame(it.transport, bytes("a\r\nb"), 4), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_transport_set_line_framing(it.transport, bytes("--"), 2, 0));
    CHECK_STATUS(lariat_transport_write_frame(it.transport, bytes("a-"), 2), LARIAT_ERR_INVALID_ARGUMENT); /* "a", "-" */
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 8, 0));
    CHECK_STATUS(lariat_transport_write_frame(it.transport, data, 256), LARIAT_ERR_TOO_LONG);
    CHECK(strstr(lariat_last_error_message(), "255"));
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 16, 0));
    CHECK_STATUS(lariat_transport_write_frame(it.transport, data, 65536), LARIAT_ERR_TOO_LONG);
    CHECK_OK(lariat_transport_set_raw(it.transport));
    CHECK_STATUS(lariat_transport_write_frame(it.transport, data, 1), LARIAT_ERR_INVALID_STATE);
    CHECK_SENT(&it, "");
    framed_done(&it);
}

/* ---- another framing, or none, for what follows ---- */

/* The protocol of a server that is told in lines how it goes on. */
static size_t wanted;

static void obey(framed *it, const char *data, size_t len) {
    if (wanted) {
        size_t taken = len < wanted ? len : wanted;
        wanted -= taken;
        if (wanted) return;
        lines(it);
        CHECK_OK(lariat_transport_unread(it->transport, bytes(data + taken), len - taken));
    } else if (is(data, len, "net")) netstrings(it);
    else if (is(data, len, "lines")) lines(it);
    else if (is(data, len, "8")) CHECK_OK(lariat_transport_set_length_framing(it->transport, 8, 0));
    else if (is(data, len, "raw")) CHECK_OK(lariat_transport_set_raw(it->transport));
    else if (is(data, len, "five")) {
        wanted = 5;
        CHECK_OK(lariat_transport_set_raw(it->transport));
    }
}

TEST(framing_set_by_a_frame_holds_for_all_behind_it) {
    framed it = {.made = lines, .frame = obey};
    framed_start(&it);
    feed(&it, "a\r\nnet\r\n1:b,1:8,\5lines\2\r\nc\r\nraw\r\nd\r\ne\r\n");
    CHECK_NOTES("<a> <net> <b> <8> <lines> <\2> <c> <raw> <d\\r\\ne\\r\\n>");
    feed(&it, "\r\nf");
    CHECK_NOTES("<\\r\\nf>");
    framed_done(&it);
}

TEST(framing_raw_bytes_that_were_too_many_are_given_back) {
    framed it = {.made = lines, .frame = obey};
    framed_start(&it);
    feed(&it, "five\r\n\r\nabca\r\nb\r\nfive\r\n12");
    CHECK_NOTES("<five> <\\r\\nabca\\r\\nb\\r\\nfive\\r\\n12> <a> <b> <five> <12>");
    feed(&it, "345c\r\n");
    CHECK_NOTES("<345c\\r\\n> <c>");
    CHECK_INT(wanted, 0);
    framed_done(&it);
}

static void give_all_back(framed *it, const char *data, size_t len) {
    if (len < 4) CHECK_OK(lariat_transport_unread(it->transport, bytes(data), len));
}

TEST(framing_without_one_what_is_given_back_comes_with_more_behind_it) {
    framed it = {.frame = give_all_back};
    framed_start(&it);
    feed(&it, "a");
    turns(it.reactor, 3);
    CHECK_NOTES("<a>");
    feed(&it, "b");
    feed(&it, "cd");
    feed(&it, "e");
    CHECK_NOTES("<ab> <abcd> <e>");
    framed_done(&it);
}

TEST(framing_given_back_outside_of_callbacks_comes_on_the_next_turn) {
    framed it = {0};
    framed_start(&it);
    CHECK_OK(lariat_transport_unread(it.transport, bytes("a\nb\n"), 4));
    CHECK_NOTES("");
    turn(it.reactor);
    CHECK_NOTES("<a\\nb\\n>");
    bare_lines(&it);
    CHECK_OK(lariat_transport_unread(it.transport, bytes("b\nc\nd"), 5));
    CHECK_OK(lariat_transport_unread(it.transport, bytes("a\n"), 2));
    CHECK_OK(lariat_transport_unread(it.transport, NULL, 0));
    turn(it.reactor);
    CHECK_NOTES("<a> <b> <c>");
    feed(&it, "\n");
    CHECK_NOTES("<d>");
    framed_done(&it);
}

static void to_another(framed *it, const char *data, size_t len);

static void other_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport, (void)self;
    note("other");
    note_bytes(data, len);
}

static void to_another(framed *it, const char *data, size_t len) {
    lariat_protocol other = framed_protocol();
    other.data_received = other_received;
    if (is(data, len, "switch")) CHECK_OK(lariat_transport_set_protocol(it->transport, &other, it));
}

TEST(framing_stays_when_the_protocol_changes) {
    framed it = {.made = lines, .frame = to_another};
    framed_start(&it);
    feed(&it, "a\r\nswitch\r\nb\r\nc");
    feed(&it, "\r\n");
    CHECK_NOTES("<a> <switch> other <b> other <c>");
    framed_done(&it);
}

/* ---- when it is not wanted ---- */

static void pause_reading(framed *it, const char *data, size_t len) {
    if (is(data, len, "pause")) CHECK_OK(lariat_transport_pause_reading(it->transport));
}

TEST(framing_pausing_holds_back_the_frames_that_have_come) {
    framed it = {.made = lines, .frame = pause_reading};
    framed_start(&it);
    feed(&it, "a\r\npause\r\nb\r\npause\r\nc\r\nd");
    feed(&it, "e\r\n");
    CHECK_NOTES("<a> <pause>");
    CHECK_OK(lariat_transport_resume_reading(it.transport));
    CHECK_NOTES(""); /* never from inside the call */
    turns(it.reactor, 2);
    CHECK_NOTES("<b> <pause>");
    CHECK_OK(lariat_transport_resume_reading(it.transport));
    turns(it.reactor, 2);
    CHECK_NOTES("<c> <de>");
    framed_done(&it);
}

TEST(framing_the_end_waits_for_the_frames_before_it) {
    framed it = {.made = lines, .frame = pause_reading};
    framed_start(&it);
    CHECK_INT(write(it.fd, "pause\r\na\r\npause\r\nb\r\n", 20), 20);
    framed_hang_up(&it);
    CHECK_NOTES("<pause>");
    CHECK_OK(lariat_transport_resume_reading(it.transport));
    turns(it.reactor, 3);
    CHECK_NOTES("<a> <pause>");
    CHECK_OK(lariat_transport_resume_reading(it.transport));
    turns(it.reactor, 3);
    CHECK_NOTES("<b> lost:LARIAT_CONNECTION_DONE");
    reactor_done(it.reactor);
}

TEST(framing_set_while_frames_wait_cuts_them_anew) {
    framed it = {.made = lines, .frame = pause_reading};
    framed_start(&it);
    feed(&it, "pause\r\n1:a,2:b\n,");
    bare_lines(&it);
    turns(it.reactor, 2);
    CHECK_NOTES("<pause>");
    netstrings(&it);
    CHECK_OK(lariat_transport_resume_reading(it.transport));
    turns(it.reactor, 2);
    CHECK_NOTES("<a> <b\\n>");
    framed_done(&it);
}

static void reply_and_lose(framed *it, const char *data, size_t len) {
    CHECK_OK(lariat_transport_write_frame(it->transport, bytes(data), len));
    if (is(data, len, "lose")) CHECK_OK(lariat_transport_lose_connection(it->transport));
    if (is(data, len, "abort")) CHECK_OK(lariat_transport_abort_connection(it->transport));
    if (is(data, len, "fail")) CHECK_OK(lariat_transport_fail_connection(it->transport, 7, "enough"));
}

TEST(framing_nothing_comes_after_the_frame_that_ends_the_connection) {
    static const struct { const char *word, *notes, *sent; } ways[] = {
        {"a\r\nlose\r\nb\r\nc", "<a> <lose> lost:LARIAT_CONNECTION_DONE", "a\r\nlose\r\n"},
        {"a\r\nabort\r\nb\r\nc", "<a> <abort> lost:CONNECTION_ABORTED", NULL},
        {"a\r\nfail\r\nb\r\nc", "<a> <fail> lost:7", NULL},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        framed it = {.made = lines, .frame = reply_and_lose};
        framed_start(&it);
        feed_bytes(&it, ways[i].word, strlen(ways[i].word));
        CHECK_NOTES(ways[i].notes);
        if (ways[i].sent) test_check_sent(__FILE__, __LINE__, &it, ways[i].sent, strlen(ways[i].sent));
        framed_hang_up(&it);
        reactor_done(it.reactor);
    }
}

/* A limit of rate is for what is read; frames that were read already do not wait for it. */
TEST(framing_a_limit_of_rate_holds_back_no_frame_that_has_come) {
    framed it = {.made = lines};
    framed_start(&it);
    CHECK_OK(lariat_transport_set_rate_limit(it.transport, 8, 0));
    feed(&it, "a\r\nb\r\nc\r\nd\r\n");
    CHECK_NOTES("<a> <b>");
    for (int i = 0; i < 4; i++) advance(it.reactor, 1);
    turns(it.reactor, 2);
    CHECK_NOTES("<c> <d>");
    CHECK_OK(lariat_transport_set_rate_limit(it.transport, 0, 0));
    framed_done(&it);
}

/* ---- the ends ---- */

static void note_read_lost(lariat_transport *transport, void *self) {
    framed *it = self;
    note("read_lost");
    CHECK_OK(lariat_transport_write_frame(transport, bytes("bye"), 3));
    CHECK_OK(lariat_transport_lose_connection(it->transport));
}

TEST(framing_the_peer_may_end_behind_a_whole_frame) {
    framed it = {.made = lines};
    lariat_protocol protocol = framed_protocol();
    protocol.read_connection_lost = note_read_lost;
    framed_start_with(&it, &protocol);
    CHECK_INT(write(it.fd, "a\r\n", 3), 3);
    CHECK_INT(shutdown(it.fd, SHUT_WR), 0);
    turns(it.reactor, 3);
    CHECK_NOTES("<a> read_lost lost:LARIAT_CONNECTION_DONE");
    CHECK_SENT(&it, "bye\r\n");
    framed_hang_up(&it);
    reactor_done(it.reactor);
}

TEST(framing_frames_that_wait_are_dropped_with_their_scope_or_reactor) {
    for (int with_scope = 0; with_scope < 2; with_scope++) {
        framed it = {.reactor = manual_reactor(), .made = lines, .frame = pause_reading};
        if (with_scope) it.scope = lariat_scope_new(it.reactor);
        framed_start(&it);
        feed(&it, "pause\r\na\r\nb");
        if (with_scope) CHECK_OK(lariat_scope_free(it.scope));
        else free_reactor(it.reactor);
        CHECK_NOTES("<pause> lost:CLOSED");
        CHECK_INT(close(it.fd), 0);
        if (with_scope) reactor_done(it.reactor);
    }
}

/* ---- a protocol that pulls ---- */

/* Consumes five raw bytes, and has lines behind them. */
static void pull_five(framed *it, const char *data, size_t len) {
    (void)data;
    if (len < 5 || wanted) return;
    wanted = 1;
    CHECK_OK(lariat_transport_consume(it->transport, 5));
    lines(it);
}

TEST(framing_cuts_what_a_protocol_that_pulls_has_not_consumed) {
    framed it = {.frame = pull_five};
    lariat_protocol protocol = framed_protocol();
    protocol.pull = 1;
    framed_start_with(&it, &protocol);
    feed(&it, "123");
    feed(&it, "45a\r\nb\r\nc");
    turns(it.reactor, 2);
    feed(&it, "\r\nd\r\n");
    CHECK_NOTES("<123> <12345a\\r\\nb\\r\\nc> <a> <b> <c> <d>"); /* lines are consumed at once */
    CHECK_STATUS(lariat_transport_unread(it.transport, bytes("a"), 1), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_transport_set_raw(it.transport));
    feed(&it, "x");
    feed(&it, "y");
    CHECK_NOTES("<x> <xy>");
    CHECK_OK(lariat_transport_consume(it.transport, 2));
    framed_done(&it);
    wanted = 0;
}

/* ---- events ---- */

static lariat_event next_event(lariat_reactor *reactor) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK(lariat_reactor_next_event(reactor, &event) >= 0);
    if (event.kind == LARIAT_EVENT_CONNECTION_MADE) note("made");
    else if (event.kind == LARIAT_EVENT_DATA_RECEIVED) note_bytes(event.data, event.len);
    else if (event.kind == LARIAT_EVENT_CONNECTION_LOST) note("lost:%s", failure_label(event.failure));
    else CHECK_INT(event.kind, 0);
    return event;
}

TEST(framing_with_events_there_is_one_for_each_frame) {
    lariat_reactor_options options = reactor_options();
    options.max_events = 4;
    options.clock = LARIAT_CLOCK_MANUAL;
    lariat_reactor *reactor = reactor_with(options);
    lariat_listener *listener = lariat_reactor_listen_event(reactor, "tcp://127.0.0.1:0", 5);
    CHECK(listener != NULL);
    char endpoint[64];
    CHECK_OK(lariat_listener_address(listener, endpoint, sizeof endpoint, NULL));
    framed client = {.reactor = reactor};
    lariat_protocol protocol = framed_protocol();
    CHECK_OK(lariat_deferred_release(lariat_reactor_connect(reactor, endpoint, &protocol, &client)));
    lariat_event event;
    do {
        CHECK_OK(lariat_reactor_iterate(reactor, 0));
        event = next_event(reactor);
    } while (!event.kind);
    CHECK_NOTES("made");
    CHECK_INT(event.tag, 5);
    CHECK_OK(lariat_transport_set_line_framing(event.source, bytes("\n"), 1, 0));
    turns(reactor, 5);
    const char text[] = "a\n\nb\nc\nd\ne\nf\ng\nh\ni\n";
    CHECK_OK(lariat_transport_write(client.transport, bytes(text), strlen(text)));
    CHECK_OK(lariat_transport_lose_connection(client.transport));
    for (int taken = 0; taken < 11;) {
        turn(reactor);
        CHECK(reactor_stats(reactor).events <= 5); /* the end has room always */
        taken += next_event(reactor).kind != 0;
    }
    CHECK(noted("<a> <> <b> <c> <d> <e> <f> <g> <h> <i>"));
    notes_clear();
    CHECK_OK(lariat_deferred_release(lariat_listener_stop(listener)));
    turns(reactor, 3);
    while (next_event(reactor).kind) {}
    notes_clear();
    reactor_done(reactor);
}

/* ---- from end to end ---- */

typedef struct talk {
    lariat_reactor *reactor;
    lariat_listener *listener;
    size_t frames, bytes;
} talk;

static lariat_status build_framed(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    *self = user_data;
    return lariat_transport_set_length_framing(transport, 32, 1 << 22);
}

static void echo_frame(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)self;
    CHECK_OK(lariat_transport_write_frame(transport, data, len));
}

static const size_t sizes[] = {0, 1, 2, 100, 65531, 65532, 65533, 65536, 200000, 1 << 22, 3, 0};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void talk_made(lariat_transport *transport, void *self) {
    (void)self;
    uint8_t *data = malloc(1 << 22);
    for (size_t i = 0; i < 1 << 22; i++) data[i] = (uint8_t)(i * 7 + i / 251);
    CHECK_OK(lariat_transport_set_length_framing(transport, 32, SIZE_MAX));
    for (size_t i = 0; i < SIZES; i++) CHECK_OK(lariat_transport_write_frame(transport, data, sizes[i]));
    free(data);
}

static void talk_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    talk *it = self;
    CHECK_INT(len, sizes[it->frames]);
    for (size_t i = 0; i < len; i++)
        if (data[i] != (uint8_t)(i * 7 + i / 251)) test_fail(__FILE__, __LINE__, "byte %zu is wrong", i);
    if (++it->frames == SIZES) CHECK_OK(lariat_transport_lose_connection(transport));
}

static void talk_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    CHECK_INT(lariat_failure_code(reason), LARIAT_CONNECTION_DONE);
    talk *it = self;
    if (it->listener) CHECK_OK(lariat_deferred_release(lariat_listener_stop(it->listener)));
    it->listener = NULL;
}

TEST(framing_of_all_sizes_over_tcp_set_when_the_protocol_is_built) {
    talk it = {.reactor = real_reactor()};
    lariat_protocol echo, client;
    CHECK_OK(lariat_protocol_init(&echo, sizeof echo));
    CHECK_OK(lariat_protocol_init(&client, sizeof client));
    echo.data_received = echo_frame;
    client.connection_made = talk_made;
    client.data_received = talk_received;
    client.connection_lost = talk_lost;
    it.listener = lariat_reactor_listen(it.reactor, "tcp://127.0.0.1:0", &echo, build_framed, NULL);
    char endpoint[64];
    CHECK_OK(lariat_listener_address(it.listener, endpoint, sizeof endpoint, NULL));
    CHECK_OK(lariat_deferred_release(lariat_reactor_connect(it.reactor, endpoint, &client, &it)));
    CHECK_OK(lariat_reactor_run_until_idle(it.reactor));
    CHECK_INT(it.frames, SIZES);
    reactor_done(it.reactor);
}
#endif
