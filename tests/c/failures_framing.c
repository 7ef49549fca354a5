/* Peers that break the framing, and calls that are wrong. Each connection ends once, with a reason that says what and the limit;
 * what came before is handed over, and what was answered to it goes out. */
#include "harness.h"
#ifdef _WIN32
TEST(framing_failures_are_tested_on_unix) { SKIP("these cases use socketpairs"); }
#else
#include "framed.h"

static void reply(framed *it, const char *data, size_t len) {
    CHECK_OK(lariat_transport_write(it->transport, bytes("+"), 1));
    CHECK_OK(lariat_transport_write(it->transport, bytes(data), len));
}

static int kind;     /* 0 lines, 1 netstrings, 8, 16 and 32 bits */
static size_t limit; /* 0: the usual one */

static void of_kind(framed *it) {
    if (kind == 0) CHECK_OK(lariat_transport_set_line_framing(it->transport, NULL, 0, limit));
    else if (kind == 1) CHECK_OK(lariat_transport_set_netstring_framing(it->transport, limit));
    else CHECK_OK(lariat_transport_set_length_framing(it->transport, kind, limit));
}

/* Sends this, whole and byte by byte; the other end then goes on sending or hangs up. */
static void breaks(const char *data, size_t len, const char *notes, const char *sent, const char *message) {
    for (int by_byte = 0; by_byte < 2; by_byte++) {
        framed it = {.made = of_kind, .frame = reply};
        framed_start(&it);
        for (size_t at = 0, piece; at < len && !it.lost; at += piece) {
            piece = by_byte ? 1 : len;
            feed_bytes(&it, data + at, piece);
        }
        if (!it.lost) {
            CHECK_INT(shutdown(it.fd, SHUT_WR), 0);
            turns(it.reactor, 3);
        }
        CHECK_NOTES(notes);
        if (!strstr(it.message, message)) test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", it.message, message);
        test_check_sent(__FILE__, __LINE__, &it, sent, strlen(sent));
        char byte;
        CHECK(read(it.fd, &byte, 1) <= 0); /* and an end */
        framed_hang_up(&it);
        reactor_done(it.reactor);
    }
}
#define BREAKS(text, notes, sent, message) breaks(text, sizeof text - 1, notes, sent, message)

TEST(framing_a_line_that_is_too_long) {
    kind = 0, limit = 4;
    BREAKS("four\r\nfives\r\nc\r\n", "<four> lost:TOO_LONG", "+four", "limit of 4 bytes");
    BREAKS("a\r\nno delimiter ever", "<a> lost:TOO_LONG", "+a", "limit of 4 bytes");
    static char line[16384 + 3];
    memset(line, 'x', sizeof line);
    memcpy(line + 16384, "\r\n", 2);
    limit = 0;
    framed it = {.made = of_kind};
    framed_start(&it);
    feed_bytes(&it, line, 16384 + 2);
    CHECK_NOTES("<16384>");
    memset(line, 'x', sizeof line);
    feed_bytes(&it, line, 16384 + 1);
    CHECK_NOTES(""); /* the last byte might be the delimiter's first */
    feed_bytes(&it, line, 1);
    CHECK_NOTES("lost:TOO_LONG");
    CHECK(strstr(it.message, "16384"));
    framed_hang_up(&it);
    reactor_done(it.reactor);
}

TEST(framing_netstrings_that_are_none) {
    kind = 1, limit = 9;
    BREAKS("1:a,01:a,", "<a> lost:BAD_FRAME", "+a", "\"01\"");
    BREAKS("1:a,x", "<a> lost:BAD_FRAME", "+a", "\"x\"");
    BREAKS("1:a,:,", "<a> lost:BAD_FRAME", "+a", "\":\"");
    BREAKS("1:a,-1:", "<a> lost:BAD_FRAME", "+a", "\"-\"");
    BREAKS("1:a,3:abcd,", "<a> lost:BAD_FRAME", "+a", "where a comma must be");
    BREAKS("1:a,10:0123456789,", "<a> lost:TOO_LONG", "+a", "limit is 9");
    BREAKS("1:a,18446744073709551617:", "<a> lost:TOO_LONG", "+a", "limit is 9");
    limit = 0;
    BREAKS("1:a,100000:", "<a> lost:TOO_LONG", "+a", "limit is 99999");
}

TEST(framing_messages_that_are_announced_too_long) {
    kind = 8, limit = 3;
    BREAKS("\3abc\4abcd", "<abc> lost:TOO_LONG", "+abc", "limit is 3");
    kind = 16, limit = 3;
    BREAKS("\0\3abc\1\0x", "<abc> lost:TOO_LONG", "+abc", "256 bytes");
    kind = 32, limit = 0;
    BREAKS("\0\0\0\3abc\377\377\377\377", "<abc> lost:TOO_LONG", "+abc", "4294967295 bytes is announced, the limit is 99999");
    kind = 32, limit = 3;
    BREAKS("\0\0\0\3abc\0\0\0\4", "<abc> lost:TOO_LONG", "+abc", "limit is 3");
}

TEST(framing_a_stream_that_ends_within_a_frame) {
    limit = 0;
    kind = 0;
    BREAKS("a\r\nbc", "<a> lost:TRUNCATED", "+a", "within a line, of which 2 bytes");
    BREAKS("a\r\n\r", "<a> lost:TRUNCATED", "+a", "within a line");
    kind = 1;
    BREAKS("1:a,1", "<a> lost:TRUNCATED", "+a", "within a netstring");
    BREAKS("1:a,5:hello", "<a> lost:TRUNCATED", "+a", "within a netstring");
    kind = 8;
    BREAKS("\1a\2b", "<a> lost:TRUNCATED", "+a", "within a frame");
    kind = 32;
    BREAKS("\0\0\0\1a\0\0\0", "<a> lost:TRUNCATED", "+a", "within a frame");
}

static void raw_after(framed *it, const char *data, size_t len) {
    if (is(data, len, "raw")) CHECK_OK(lariat_transport_set_raw(it->transport));
}

TEST(framing_raw_bytes_are_never_cut_short) {
    framed it = {.made = lines, .frame = raw_after};
    framed_start(&it);
    feed(&it, "raw\r\nab");
    CHECK_NOTES("<raw> <ab>");
    framed_done(&it);
}

TEST(framing_a_line_that_trickles) {
    size_t length = many(1 << 18) / 8 * 8;
    kind = 0, limit = length;
    framed it = {.made = of_kind};
    framed_start(&it);
    for (size_t sent = 0; sent < length; sent += 4) { /* half of a delimiter each time */
        CHECK_INT(write(it.fd, sent % 8 ? "xxx\r" : "xx\nx", 4), 4);
        turn(it.reactor);
    }
    feed(&it, "\r\n");
    char want[32];
    snprintf(want, sizeof want, "<%zu>", length);
    CHECK_NOTES(want);
    framed_done(&it);
}

/* ---- calls that are wrong ---- */

TEST(f16_framing_arguments) {
    const lariat_status want = LARIAT_ERR_INVALID_ARGUMENT;
    static const uint8_t data[256];
    framed it = {0};
    framed_start(&it);
    CHECK_STATUS(lariat_transport_set_line_framing(it.transport, NULL, 2, 0), want);
    CHECK_STATUS(lariat_transport_set_line_framing(it.transport, data, 0, 0), want);
    CHECK_STATUS(lariat_transport_set_line_framing(it.transport, data, 256, 0), want);
    CHECK_STATUS(lariat_transport_set_line_framing(it.transport, data, SIZE_MAX, 0), want);
    CHECK_STATUS(lariat_transport_unread(it.transport, NULL, 1), want);
    CHECK_STATUS(lariat_transport_unread(it.transport, data, SIZE_MAX), want);
    const int32_t bits[] = {0, 1, 24, 64, -8, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        CHECK_STATUS(lariat_transport_set_length_framing(it.transport, bits[i], 0), want);
    feed(&it, "a\r\n"); /* none of them has set anything */
    CHECK_NOTES("<a\\r\\n>");
    CHECK_OK(lariat_transport_set_line_framing(it.transport, data, 255, SIZE_MAX));
    CHECK_OK(lariat_transport_set_netstring_framing(it.transport, SIZE_MAX));
    CHECK_OK(lariat_transport_set_length_framing(it.transport, 32, SIZE_MAX));
    CHECK_STATUS(lariat_transport_write_frame(it.transport, NULL, 1), want);
    CHECK_STATUS(lariat_transport_write_frame(it.transport, data, SIZE_MAX), want);
    framed_done(&it);
}

static void all_answer(lariat_transport *transport, lariat_status want) {
    CHECK_STATUS(lariat_transport_set_line_framing(transport, NULL, 0, 0), want);
    CHECK_STATUS(lariat_transport_set_netstring_framing(transport, 0), want);
    CHECK_STATUS(lariat_transport_set_length_framing(transport, 8, 0), want);
    CHECK_STATUS(lariat_transport_set_raw(transport), want);
    CHECK_STATUS(lariat_transport_unread(transport, bytes("a"), 1), want);
    CHECK_STATUS(lariat_transport_write_frame(transport, bytes("a"), 1), want);
}

static void abort_and_call(framed *it, const char *data, size_t len) {
    (void)data, (void)len;
    CHECK_OK(lariat_transport_abort_connection(it->transport));
    all_answer(it->transport, LARIAT_ERR_CLOSED);
}

TEST(f1_framing_of_a_connection_that_is_over) {
    framed it = {.made = lines, .frame = abort_and_call};
    framed_start(&it);
    feed(&it, "a\r\nb\r\n");
    CHECK_NOTES("<a> lost:CONNECTION_ABORTED");
    all_answer(it.transport, LARIAT_ERR_STALE_HANDLE);
    all_answer(NULL, LARIAT_ERR_INVALID_ARGUMENT);
    framed_hang_up(&it);
    reactor_done(it.reactor);
}
#endif
