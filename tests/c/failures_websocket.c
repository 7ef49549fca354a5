/* FAILURES.md 43 and 44: what a hostile or broken peer of a WebSocket does, in both roles, by frames of its own. */
#include "websockets.h"

/* ---- 43: mask rules, reserved bits, opcodes, close codes: 1002 ---- */

/* A client sends these bytes to a server: it is told `close`, and the connection ends. */
static void server_gets(const char *what, const bytes *sent, int32_t code, int32_t why, const char *notes, void (*change)(world *)) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = what};
    world_begin(&it, 1);
    if (change) change(&it);
    peer_open(&it, &peer, &server);
    peer_send(&peer, sent->data, sent->length);
    run_for(&it, 1);
    const char *frames = peer_frames(&peer);
    char want[16];
    snprintf(want, sizeof want, "close(%d ", (int)code);
    if (strncmp(frames, want, strlen(want)) != 0) test_fail(__FILE__, __LINE__, "%s: the peer gets \"%s\", must be %s...", what, frames, want);
    if (strcmp(test_notes.text, notes) != 0) test_fail(__FILE__, __LINE__, "%s: notes are \"%s\", must be \"%s\"", what, test_notes.text, notes);
    notes_clear();
    end_over(&server, code, why);
    CHECK(*server.reason && strstr(server.message, server.reason));
    side_over(&peer, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

/* The same with a server's bytes to a client. */
static void client_gets(const char *what, const bytes *sent, int32_t code, int32_t why, const char *notes) {
    world it = {0};
    end client = {.name = "s"};
    side peer = {.name = what};
    server one = {&peer, 1, 0, LARIAT_OK};
    world_begin(&it, 1);
    lariat_listener *listener = peer_serve(&it, &one, &client);
    peer_send(&peer, sent->data, sent->length);
    run_for(&it, 1);
    const char *frames = peer_frames(&peer);
    char want[16];
    snprintf(want, sizeof want, "mclose(%d ", (int)code);
    if (strncmp(frames, want, strlen(want)) != 0) test_fail(__FILE__, __LINE__, "%s: the peer gets \"%s\", must be %s...", what, frames, want);
    if (strcmp(test_notes.text, notes) != 0) test_fail(__FILE__, __LINE__, "%s: notes are \"%s\", must be \"%s\"", what, test_notes.text, notes);
    notes_clear();
    end_over(&client, code, why);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    world_stop_listening(listener);
    world_done(&it);
}

/* One frame, in both roles, masked as it must be; a good message before it was told, one behind it was not. */
static void both_get(const char *what, int first, const char *data, size_t len, int32_t code) {
    int32_t why = code == 1009 ? LARIAT_ERR_TOO_LONG : LARIAT_ERR_BAD_FRAME;
    char notes[32];
    snprintf(notes, sizeof notes, "s=t(good) s!%d", (int)code);
    for (int masked = 0; masked < 2; masked++) {
        bytes sent = {0};
        frame_add(&sent, 0x81, "good", 4, masked);
        frame_add(&sent, first, data, len, masked);
        frame_add(&sent, 0x81, "never", 5, masked);
        if (masked) server_gets(what, &sent, code, why, notes, NULL);
        else client_gets(what, &sent, code, why, notes);
        bytes_free(&sent);
    }
}

TEST(f43_a_client_that_does_not_mask_and_a_server_that_does) {
    bytes sent = {0};
    frame_add(&sent, 0x81, "x", 1, UNMASKED);
    server_gets("unmasked", &sent, 1002, LARIAT_ERR_BAD_FRAME, "s!1002", NULL);
    bytes_free(&sent);
    frame_add(&sent, 0x89, "", 0, UNMASKED);
    server_gets("unmasked ping", &sent, 1002, LARIAT_ERR_BAD_FRAME, "s!1002", NULL);
    bytes_free(&sent);
    frame_add(&sent, 0x81, "x", 1, MASKED);
    client_gets("masked", &sent, 1002, LARIAT_ERR_BAD_FRAME, "s!1002");
    bytes_free(&sent);
}

TEST(f43_reserved_bits) {
    const int bits[] = {0x10, 0x20, 0x40, 0x70};
    for (size_t i = 0; i < 4; i++) {
        both_get("reserved bits of a text", 0x81 | bits[i], "x", 1, 1002);
        both_get("reserved bits of a ping", 0x89 | bits[i], "x", 1, 1002);
    }
}

TEST(f43_reserved_opcodes) {
    const int opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};
    for (size_t i = 0; i < sizeof opcodes / sizeof *opcodes; i++) both_get("a reserved opcode", 0x80 | opcodes[i], "x", 1, 1002);
}

TEST(f43_control_frames_that_are_too_long_or_fragmented) {
    char much[126] = {0};
    for (int opcode = 8; opcode <= 10; opcode++) {
        both_get("a long control frame", 0x80 | opcode, much, sizeof much, 1002);
        both_get("a fragmented control frame", opcode, "", 0, 1002);
    }
}

TEST(f43_fragments_out_of_order) {
    both_get("a fragment without its beginning", 0x80, "x", 1, 1002);
    for (int masked = 0; masked < 2; masked++) {
        bytes sent = {0};
        frame_add(&sent, 0x01, "begun", 5, masked);
        frame_add(&sent, 0x89, "in between", 10, masked);
        frame_add(&sent, 0x81, "another", 7, masked);
        if (masked) {
            world it = {0};
            end server = {.name = "s"};
            side peer = {.name = "peer"};
            world_begin(&it, 1);
            peer_open(&it, &peer, &server);
            peer_send(&peer, sent.data, sent.length);
            run_for(&it, 1);
            CHECK(strncmp(peer_frames(&peer), "pong(in between) close(1002 ", 28) == 0);
            CHECK_NOTES("s!1002");
            end_over(&server, 1002, LARIAT_ERR_BAD_FRAME);
            side_over(&peer, LARIAT_CONNECTION_DONE);
            world_done(&it);
        }
        bytes_free(&sent);
    }
}

TEST(f43_close_codes_that_are_never_sent) {
    const int codes[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        char body[2] = {(char)(codes[i] >> 8), (char)codes[i]};
        both_get("a bad code", 0x88, body, 2, 1002);
    }
    both_get("half a code", 0x88, "\x03", 1, 1002);
}

TEST(f43_good_codes_are_echoed_and_told) {
    const int codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        world it = {0};
        end server = {.name = "s"};
        side peer = {.name = "peer"};
        world_begin(&it, 1);
        peer_open(&it, &peer, &server);
        char body[] = {(char)(codes[i] >> 8), (char)codes[i], 'w', 'h', 'y'}, want[32];
        peer_frame(&peer, 0x88, body, sizeof body, MASKED);
        run_for(&it, 1);
        snprintf(want, sizeof want, "close(%d)", codes[i]);
        CHECK_STR(peer_frames(&peer), want);
        notes_clear();
        CHECK_STR(server.reason, "why");
        end_over(&server, codes[i], LARIAT_CONNECTION_DONE);
        side_over(&peer, LARIAT_CONNECTION_DONE);
        world_done(&it);
    }
}

TEST(f43_lengths_that_are_not_written_as_they_must_be) {
    const struct { const char *what; uint8_t head[14]; size_t length; } heads[] = {
        {"125 in two bytes", {0x82, 0x80 | 126, 0, 125, 1, 2, 3, 4}, 8},
        {"65535 in eight bytes", {0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}, 14},
        {"a negative one", {0x82, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}, 14},
    };
    for (size_t i = 0; i < 3; i++) {
        bytes sent = {0};
        bytes_add(&sent, heads[i].head, heads[i].length);
        server_gets(heads[i].what, &sent, 1002, LARIAT_ERR_BAD_FRAME, "s!1002", NULL);
        bytes_free(&sent);
    }
}

/* ---- 44: fragment, ping and inflate bombs: 1009; invalid UTF-8: 1007 ---- */

static void small_messages(world *it) { it->server.max_message = 1000; }
static void small_frames(world *it) { it->server.max_frame = 100; }
static void few_fragments(world *it) { it->server.max_fragments = 10; }

TEST(f44_a_message_that_is_announced_too_large_is_refused_by_its_head) {
    const uint8_t head[] = {0x82, 0x80 | 126, 1001 >> 8, 1001 & 255, 1, 2, 3, 4};
    bytes sent = {0};
    bytes_add(&sent, head, sizeof head);
    server_gets("too large", &sent, 1009, LARIAT_ERR_TOO_LONG, "s!1009", small_messages);
    bytes_free(&sent);
    const uint8_t huge[] = {0x82, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4};
    bytes_add(&sent, huge, sizeof huge);
    server_gets("all of memory", &sent, 1009, LARIAT_ERR_TOO_LONG, "s!1009", NULL);
    bytes_free(&sent);
    char much[101] = {0};
    frame_add(&sent, 0x82, much, 100, MASKED);
    frame_add(&sent, 0x82, much, 101, MASKED);
    server_gets("a large frame", &sent, 1009, LARIAT_ERR_TOO_LONG, "s=b100 s!1009", small_frames);
    bytes_free(&sent);
}

TEST(f44_fragments_that_make_too_large_a_message) {
    char much[600] = {0};
    bytes sent = {0};
    frame_add(&sent, 0x02, much, 600, MASKED);
    frame_add(&sent, 0x80, much, 400, MASKED);
    frame_add(&sent, 0x02, much, 600, MASKED);
    frame_add(&sent, 0x80, much, 401, MASKED);
    server_gets("1001 bytes in two", &sent, 1009, LARIAT_ERR_TOO_LONG, "s=b1000 s!1009", small_messages);
    bytes_free(&sent);
}

TEST(f44_fragments_without_end) {
    bytes sent = {0};
    frame_add(&sent, 0x02, "", 0, MASKED);
    for (int i = 0; i < 10; i++) frame_add(&sent, 0x00, "", 0, MASKED);
    server_gets("empty fragments", &sent, 1009, LARIAT_ERR_TOO_LONG, "s!1009", few_fragments);
    bytes_free(&sent);
}

static void compress(world *it) { it->server.compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE; }

/* A message of zeros, compressed by hand: blocks that each say "258 more like this". */
static void add_bomb(bytes *all, size_t length) {
    uint8_t out[1 << 16] = {0};
    size_t bit = 0;
#define BIT(value) (out[bit / 8] |= (uint8_t)((value) << bit % 8), bit++)
    BIT(0); BIT(1); BIT(0);                                                  /* not the last, fixed codes */
    for (int i = 0; i < 8; i++) BIT(0x30 >> (7 - i) & 1);                    /* the literal 0 */
    for (size_t made = 1; made + 258 <= length; made += 258) {
        for (int i = 0; i < 8; i++) BIT(0xc5 >> (7 - i) & 1);                /* length 258 */
        for (int i = 0; i < 5; i++) BIT(0);                                  /* distance 1 */
        if (bit / 8 > sizeof out - 16) test_fail(__FILE__, __LINE__, "too large a bomb");
    }
    for (int i = 0; i < 7; i++) BIT(0);                                      /* the end of the block */
    BIT(0); BIT(0); BIT(0);                                                  /* an empty stored block, without its tail */
#undef BIT
    frame_add(all, 0xc2, out, (bit + 7) / 8, MASKED);
}

TEST(f44_inflate_bombs) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    compress(&it);
    it.server.max_message = 1 << 20;
    world_expect(&it, &server);
    peer_connect(&it, &peer);
    peer_ask(&peer, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    run_for(&it, 1);
    CHECK(strstr(bytes_text(&peer.got), "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n") != NULL);
    peer_take_head(&peer, "HTTP/1.1 101 ");
    CHECK_INT(lariat_websocket_is_compressed(server.socket), 1);
    bytes sent = {0};
    add_bomb(&sent, 1 << 19);
    CHECK(sent.length < 5000);
    add_bomb(&sent, 1 << 21);
    CHECK(sent.length < 20000);
    peer_send(&peer, sent.data, sent.length);
    run_for(&it, 1);
    char notes[64];
    snprintf(notes, sizeof notes, "s:open s=b%d s!1009", ((1 << 19) - 1) / 258 * 258 + 1);
    CHECK_NOTES(notes);
    CHECK(strncmp(peer_frames(&peer), "close(1009 ", 11) == 0);
    end_over(&server, 1009, LARIAT_ERR_TOO_LONG);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    bytes_free(&sent);
    world_done(&it);
}

TEST(f44_what_cannot_be_inflated) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    compress(&it);
    world_expect(&it, &server);
    peer_connect(&it, &peer);
    peer_ask(&peer, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    run_for(&it, 1);
    peer_take_head(&peer, "HTTP/1.1 101 ");
    peer_frame(&peer, 0xc1, "\xff\xff\xff\xff", 4, MASKED);
    run_for(&it, 1);
    CHECK_NOTES("s:open s!1007");
    CHECK(strncmp(peer_frames(&peer), "close(1007 ", 11) == 0);
    end_over(&server, 1007, LARIAT_ERR_BAD_FRAME);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

TEST(f44_invalid_utf8_is_found_with_its_first_byte) {
    const char *texts[] = {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88", "a\xff", "\xe2\x82"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) both_get("not UTF-8", 0x81, texts[i], strlen(texts[i]), 1007);
    both_get("a reason that is not UTF-8", 0x88, "\x03\xe8\xff", 3, 1007);
    /* A text is begun, and cannot go on: the rest of it is not waited for. */
    bytes sent = {0};
    frame_add(&sent, 0x01, "caf\xc3", 4, MASKED);
    frame_add(&sent, 0x00, "\x28 and so on", 11, MASKED);
    server_gets("in the second fragment", &sent, 1007, LARIAT_ERR_BAD_FRAME, "s!1007", NULL);
    bytes_free(&sent);
}

/* A peer that pings and never reads: the answers take no memory without end, and the last one comes when it reads again. */
TEST(f44_a_flood_of_pings) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    peer_open(&it, &peer, &server);
    CHECK_OK(lariat_transport_pause_reading(peer.transport));
    bytes sent = {0};
    char body[125];
    memset(body, '.', sizeof body);
    size_t count = many(100000);
    if (count < 5000) count = 5000; /* more than the network holds */
    int64_t most = 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(body, sizeof body, "%zu", i);
        sent.length = 0;
        frame_add(&sent, 0x89, body, sizeof body, MASKED);
        peer_send(&peer, sent.data, sent.length);
        if (i % 100 == 99) {
            run_for(&it, 0.01);
            int64_t waits = lariat_websocket_buffered(server.socket);
            if (waits > most) most = waits;
        }
    }
    run_for(&it, 10);
    CHECK(most > 0);
    CHECK(most < 512 * 1024);
    CHECK_OK(lariat_transport_resume_reading(peer.transport));
    run_for(&it, 10);
    /* It reads them all, and the last is the last ping's. */
    CHECK(peer.got.length > 127);
    char want[24];
    snprintf(want, sizeof want, "%zu", count - 1);
    CHECK_STR((char *)peer.got.data + peer.got.length - 125, want);
    CHECK_NOTES("");
    CHECK_OK(lariat_websocket_abort(server.socket));
    run_for(&it, 1);
    CHECK_NOTES("s!1006");
    end_over(&server, 1006, LARIAT_ERR_CONNECTION_ABORTED);
    side_over(&peer, LARIAT_ERR_CONNECTION_LOST);
    bytes_free(&sent);
    world_done(&it);
}

/* A peer that was told that it broke the rules, and goes on sending, is not listened to, and not for long. */
TEST(f44_a_peer_that_does_not_stop_is_dropped) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    it.server.close_seconds = 3;
    world_expect(&it, &server);
    lariat_protocol protocol = side_protocol(HALF); /* it does not end when the server has */
    lariat_deferred *deferred = lariat_reactor_connect(it.a, "tcp://b:80", &protocol, &peer);
    CHECK_OK(lariat_deferred_release(deferred));
    run_for(&it, 1);
    peer_ask(&peer, "");
    run_for(&it, 1);
    peer_frame(&peer, 0x83, "x", 1, MASKED);
    for (int i = 0; i < 20; i++) {
        run_for(&it, 0.1);
        peer_frame(&peer, 0x81, "more", 4, MASKED);
    }
    CHECK_NOTES("s:open");
    run_for(&it, 2);
    CHECK_NOTES("s!1002");
    end_over(&server, 1002, LARIAT_ERR_BAD_FRAME);
    if (peer.transport) CHECK_OK(lariat_transport_abort_connection(peer.transport));
    run_for(&it, 1);
    CHECK_INT(peer.lost, 1);
    bytes_free(&peer.got);
    world_done(&it);
}
