/* A client of HTTP/2 that writes the frames it is told to, right or wrong, and reads what comes: over a socket of its own, in the thread
 * that runs the reactor. It asks for no dynamic table (SETTINGS_HEADER_TABLE_SIZE 0), so that each head can be read by itself. */
#ifndef LARIAT_TESTS_HTTP2_PEER_H
#define LARIAT_TESTS_HTTP2_PEER_H
#include "plain_server.h"
#include <netinet/tcp.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, HUNG_UP = 255 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM,
       CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

typedef struct frame {
    uint32_t length;
    uint8_t type, flags;
    uint32_t stream;
    const uint8_t *payload; /* until the next frame is read */
} frame;

typedef struct peer {
    lariat_reactor *reactor;
    int fd;
    uint32_t next_stream;
    int opens_windows; /* as much as came may come again */
    int acknowledges;  /* SETTINGS and PING are answered */
    uint8_t in[1 << 17];
    size_t at, have;
} peer;

/* What came of a response. */
typedef struct response {
    char head[8192]; /* "name: value\n", all heads: interim ones, the response's, trailers */
    int heads;
    uint8_t *body;
    size_t length;
    int ended;       /* END_STREAM came */
    int64_t reset;   /* RST_STREAM's code, or -1 */
    int64_t goodbye; /* GOAWAY's code, or -1 */
    int hung_up;
} response;

/* ---- writing ---- */

/* False: the server has hung up. */
static inline int peer_send(peer *it, const void *data, size_t length) {
    for (const uint8_t *bytes = data; length;) {
        ssize_t sent = send(it->fd, bytes, length, MSG_NOSIGNAL);
        if (sent >= 0) bytes += sent, length -= (size_t)sent;
        else if (errno == EAGAIN) turn(it->reactor);
        else return 0;
    }
    return 1;
}

static inline int peer_frame(peer *it, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t length) {
    uint8_t head[9] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, type, flags,
                       (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    return peer_send(it, head, sizeof head) && peer_send(it, payload, length);
}

static inline int peer_word(peer *it, uint8_t type, uint32_t stream, uint32_t word) {
    uint8_t payload[4] = {(uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
    return peer_frame(it, type, 0, stream, payload, sizeof payload);
}

static inline int peer_setting(peer *it, uint16_t name, uint32_t value) {
    uint8_t payload[6] = {(uint8_t)(name >> 8), (uint8_t)name, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                          (uint8_t)value};
    return peer_frame(it, SETTINGS, 0, 0, payload, sizeof payload);
}

/* A block of fields, RFC 7541: literals that nobody remembers. */
typedef struct block {
    uint8_t *bytes;
    size_t length, room;
} block;

static inline void block_byte(block *it, uint8_t byte) {
    if (it->length == it->room) it->bytes = realloc(it->bytes, it->room = it->room * 2 + 64);
    CHECK(it->bytes);
    it->bytes[it->length++] = byte;
}

static inline void block_number(block *it, uint8_t first, uint8_t most, size_t number) {
    if (number < most) return block_byte(it, (uint8_t)(first | number));
    block_byte(it, first | most);
    for (number -= most; number >= 128; number >>= 7) block_byte(it, (uint8_t)(number | 128));
    block_byte(it, (uint8_t)number);
}

static inline void block_text(block *it, const char *text, size_t length) {
    block_number(it, 0, 127, length);
    for (size_t i = 0; i < length; i++) block_byte(it, (uint8_t)text[i]);
}

static inline void block_add(block *it, const char *name, const char *value) {
    block_byte(it, 0);
    block_text(it, name, strlen(name));
    block_text(it, value, strlen(value));
}

static inline void block_request(block *it, const char *method, const char *path) {
    block_add(it, ":method", method);
    block_add(it, ":scheme", "http");
    block_add(it, ":authority", "localhost");
    block_add(it, ":path", path);
}

static inline void block_free(block *it) {
    free(it->bytes);
    *it = (block){0};
}

/* Sends the block as the head of a new request, and frees it; the stream's number. */
static inline uint32_t peer_ask_block(peer *it, block *head, int flags) {
    uint32_t stream = it->next_stream;
    it->next_stream += 2;
    peer_frame(it, HEADERS, (uint8_t)(END_HEADERS | flags), stream, head->bytes, head->length);
    block_free(head);
    return stream;
}

/* Besides the pseudo-headers, these fields: name, value, ..., NULL. */
static inline uint32_t peer_ask(peer *it, const char *method, const char *path, int flags, ...) {
    block head = {0};
    block_request(&head, method, path);
    va_list fields;
    va_start(fields, flags);
    for (const char *name; (name = va_arg(fields, const char *));) block_add(&head, name, va_arg(fields, const char *));
    va_end(fields);
    return peer_ask_block(it, &head, flags);
}
#define peer_get(it, path) peer_ask(it, "GET", path, END_STREAM, (const char *)NULL)
#define peer_post(it, path) peer_ask(it, "POST", path, 0, (const char *)NULL)

static inline int peer_data(peer *it, uint32_t stream, const void *data, size_t length, int flags) {
    return peer_frame(it, DATA, (uint8_t)flags, stream, data, length);
}

/* ---- reading ---- */

static inline uint32_t word_at(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Whether there is a frame at once. */
static inline int peer_has_frame(peer *it, frame *found) {
    for (;;) {
        const uint8_t *head = it->in + it->at;
        size_t has = it->have - it->at;
        if (has >= 9) {
            *found = (frame){(uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2], head[3], head[4], word_at(head + 5), head + 9};
            if (found->length > 16384) test_fail(__FILE__, __LINE__, "a frame of %u bytes", found->length);
            if (has >= 9 + found->length) return it->at += 9 + found->length, 1;
        }
        memmove(it->in, head, has);
        it->at = 0, it->have = has;
        ssize_t came = recv(it->fd, it->in + has, sizeof it->in - has, 0);
        if (came > 0) it->have += (size_t)came;
        else if (came < 0 && errno == EAGAIN) return 0;
        else return *found = (frame){.type = HUNG_UP}, 1;
    }
}

/* The next frame; the reactor turns until it is there. */
static inline frame peer_next(peer *it) {
    frame found;
    while (!peer_has_frame(it, &found)) turn(it->reactor);
    if (it->acknowledges && found.type == SETTINGS && !(found.flags & ACK)) peer_frame(it, SETTINGS, ACK, 0, NULL, 0);
    if (it->acknowledges && found.type == PING && !(found.flags & ACK)) peer_frame(it, PING, ACK, 0, found.payload, 8);
    if (it->opens_windows && found.type == DATA && found.length) {
        peer_word(it, WINDOW_UPDATE, 0, found.length);
        if (!(found.flags & END_STREAM)) peer_word(it, WINDOW_UPDATE, found.stream, found.length);
    }
    return found;
}

/* Any frame of this kind; others are passed over. The connection's end ends the case. */
static inline frame peer_next_of(peer *it, uint8_t type) {
    for (;;) {
        frame found = peer_next(it);
        if (found.type == type) return found;
        if (found.type == HUNG_UP) test_fail(__FILE__, __LINE__, "the server hung up where a frame of type %d is expected", type);
    }
}

static const struct { uint32_t code, bits; } huffman_codes[] = { /* of ' ' to '~' */
    {0x14, 6}, {0x3f8, 10}, {0x3f9, 10}, {0xffa, 12}, {0x1ff9, 13}, {0x15, 6}, {0xf8, 8}, {0x7fa, 11}, {0x3fa, 10}, {0x3fb, 10},
    {0xf9, 8}, {0x7fb, 11}, {0xfa, 8}, {0x16, 6}, {0x17, 6}, {0x18, 6}, {0x0, 5}, {0x1, 5}, {0x2, 5}, {0x19, 6}, {0x1a, 6}, {0x1b, 6},
    {0x1c, 6}, {0x1d, 6}, {0x1e, 6}, {0x1f, 6}, {0x5c, 7}, {0xfb, 8}, {0x7ffc, 15}, {0x20, 6}, {0xffb, 12}, {0x3fc, 10}, {0x1ffa, 13},
    {0x21, 6}, {0x5d, 7}, {0x5e, 7}, {0x5f, 7}, {0x60, 7}, {0x61, 7}, {0x62, 7}, {0x63, 7}, {0x64, 7}, {0x65, 7}, {0x66, 7}, {0x67, 7},
    {0x68, 7}, {0x69, 7}, {0x6a, 7}, {0x6b, 7}, {0x6c, 7}, {0x6d, 7}, {0x6e, 7}, {0x6f, 7}, {0x70, 7}, {0x71, 7}, {0x72, 7}, {0xfc, 8},
    {0x73, 7}, {0xfd, 8}, {0x1ffb, 13}, {0x7fff0, 19}, {0x1ffc, 13}, {0x3ffc, 14}, {0x22, 6}, {0x7ffd, 15}, {0x3, 5}, {0x23, 6}, {0x4, 5},
    {0x24, 6}, {0x5, 5}, {0x25, 6}, {0x26, 6}, {0x27, 6}, {0x6, 5}, {0x74, 7}, {0x75, 7}, {0x28, 6}, {0x29, 6}, {0x2a, 6}, {0x7, 5},
    {0x2b, 6}, {0x76, 7}, {0x2c, 6}, {0x8, 5}, {0x9, 5}, {0x2d, 6}, {0x77, 7}, {0x78, 7}, {0x79, 7}, {0x7a, 7}, {0x7b, 7}, {0x7ffe, 15},
    {0x7fc, 11}, {0x3ffd, 14}, {0x1ffd, 13},
};
static const char *const static_table[][2] = {
    {":authority", ""}, {":method", "GET"}, {":method", "POST"}, {":path", "/"}, {":path", "/index.html"}, {":scheme", "http"},
    {":scheme", "https"}, {":status", "200"}, {":status", "204"}, {":status", "206"}, {":status", "304"}, {":status", "400"},
    {":status", "404"}, {":status", "500"}, {"accept-charset", ""}, {"accept-encoding", "gzip, deflate"}, {"accept-language", ""},
    {"accept-ranges", ""}, {"accept", ""}, {"access-control-allow-origin", ""}, {"age", ""}, {"allow", ""}, {"authorization", ""},
    {"cache-control", ""}, {"content-disposition", ""}, {"content-encoding", ""}, {"content-language", ""}, {"content-length", ""},
    {"content-location", ""}, {"content-range", ""}, {"content-type", ""}, {"cookie", ""}, {"date", ""}, {"etag", ""}, {"expect", ""},
    {"expires", ""}, {"from", ""}, {"host", ""}, {"if-match", ""}, {"if-modified-since", ""}, {"if-none-match", ""}, {"if-range", ""},
    {"if-unmodified-since", ""}, {"last-modified", ""}, {"link", ""}, {"location", ""}, {"max-forwards", ""}, {"proxy-authenticate", ""},
    {"proxy-authorization", ""}, {"range", ""}, {"referer", ""}, {"refresh", ""}, {"retry-after", ""}, {"server", ""}, {"set-cookie", ""},
    {"strict-transport-security", ""}, {"transfer-encoding", ""}, {"user-agent", ""}, {"vary", ""}, {"via", ""}, {"www-authenticate", ""},
};

static inline size_t number_at(const uint8_t **at, const uint8_t *end, uint8_t most) {
    size_t number = *(*at)++ & most;
    for (int shift = 0; number >= most && *at < end; shift += 7) {
        number += (size_t)(**at & 127) << shift;
        if (!(*(*at)++ & 128)) break;
    }
    return number;
}

static inline char huffman_symbol(uint32_t code, uint32_t bits) {
    for (size_t i = 0; i < sizeof huffman_codes / sizeof *huffman_codes; i++)
        if (huffman_codes[i].bits == bits && huffman_codes[i].code == code) return (char)(' ' + i);
    return 0;
}

static inline void text_at(const uint8_t **at, const uint8_t *end, char *into, size_t room) {
    int is_coded = **at & 128;
    size_t length = number_at(at, end, 127), written = 0;
    CHECK(length <= (size_t)(end - *at));
    uint32_t code = 0, bits = 0;
    for (const uint8_t *byte = *at; byte < *at + length; byte++)
        for (int bit = 7; bit >= 0; bit--) {
            char symbol = is_coded ? 0 : (char)*byte;
            if (is_coded) code = code << 1 | (*byte >> bit & 1), symbol = huffman_symbol(code, ++bits);
            if (symbol) CHECK(written + 1 < room), into[written++] = symbol, code = bits = 0;
            if (!is_coded) break;
        }
    into[written] = 0;
    *at += length;
}

/* Adds the fields of a block to the text. */
static inline void read_block(const uint8_t *at, size_t length, char *text, size_t room) {
    for (const uint8_t *end = at + length; at < end;) {
        char name[256] = "", value[4096] = "";
        if ((*at & 0xe0) == 0x20) {
            number_at(&at, end, 31);
            continue;
        }
        int is_indexed = *at & 0x80;
        size_t index = number_at(&at, end, is_indexed ? 127 : *at & 0x40 ? 63 : 15);
        CHECK(index <= 61);
        if (index) snprintf(name, sizeof name, "%s", static_table[index - 1][0]);
        else text_at(&at, end, name, sizeof name);
        if (is_indexed) snprintf(value, sizeof value, "%s", static_table[index - 1][1]);
        else text_at(&at, end, value, sizeof value);
        size_t used = strlen(text);
        snprintf(text + used, room - used, "%s: %s\n", name, value);
    }
}

static inline response response_new(void) { return (response){.reset = -1, .goodbye = -1}; }

static inline void response_free(response *it) {
    free(it->body);
    *it = response_new();
}

/* Reads until the stream has ended in one way or the other; or, with `length`, until so much of its body came. */
static inline void peer_read(peer *it, uint32_t stream, response *into, size_t length) {
    while (!into->ended && into->reset < 0 && !into->hung_up && (!length || into->length < length)) {
        frame one = peer_next(it);
        if (one.type == HUNG_UP) into->hung_up = 1;
        if (one.type == GOAWAY) into->goodbye = word_at(one.payload + 4);
        if (one.stream != stream) continue;
        if (one.type == RST_STREAM) into->reset = word_at(one.payload);
        if (one.type == HEADERS) {
            CHECK(one.flags & END_HEADERS);
            read_block(one.payload, one.length, into->head, sizeof into->head);
            into->heads++;
        }
        if (one.type == DATA && one.length) {
            into->body = realloc(into->body, into->length + one.length);
            CHECK(into->body);
            memcpy(into->body + into->length, one.payload, one.length);
            into->length += one.length;
        }
        if (one.type == DATA || one.type == HEADERS) into->ended = one.flags & END_STREAM;
    }
}

/* The whole of it, as its status and its body: "200 hello". */
static inline void test_check_answer(const char *file, int line, peer *it, uint32_t stream, const char *want) {
    response got = response_new();
    peer_read(it, stream, &got, 0);
    char text[4096], *status = strstr(got.head, ":status: ");
    snprintf(text, sizeof text, "%.3s %.*s", status ? status + 9 : "-", (int)got.length, got.body ? (const char *)got.body : "");
    if (!got.ended) snprintf(text, sizeof text, "reset %d, goodbye %d, hung up %d", (int)got.reset, (int)got.goodbye, got.hung_up);
    if (strcmp(text, want) != 0) test_fail(file, line, "the answer is\n    \"%s\", must be\n    \"%s\"", text, want);
    response_free(&got);
}
#define CHECK_ANSWER(it, stream, want) test_check_answer(__FILE__, __LINE__, it, stream, want)

/* The stream is reset with this code. */
static inline void test_check_reset(const char *file, int line, peer *it, uint32_t stream, int64_t want) {
    response got = response_new();
    peer_read(it, stream, &got, 0);
    if (got.reset != want) test_fail(file, line, "the stream is reset with %d, must be %d; %s", (int)got.reset, (int)want, got.head);
    response_free(&got);
}
#define CHECK_RESET(it, stream, want) test_check_reset(__FILE__, __LINE__, it, stream, want)

/* The connection ends with a GOAWAY of this code. */
static inline void test_check_goodbye(const char *file, int line, peer *it, int64_t want) {
    int64_t code = -1;
    for (frame one; (one = peer_next(it)).type != HUNG_UP;)
        if (one.type == GOAWAY) code = word_at(one.payload + 4);
    if (code != want) test_fail(file, line, "the server's goodbye is %d, must be %d", (int)code, (int)want);
}
#define CHECK_GOODBYE(it, want) test_check_goodbye(__FILE__, __LINE__, it, want)

/* ---- connecting ---- */

/* Connected, and nothing said. */
static inline peer *peer_connected(lariat_reactor *reactor, int port) {
    peer *made = calloc(1, sizeof *made);
    CHECK(made);
    made->reactor = reactor, made->next_stream = 1, made->opens_windows = made->acknowledges = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    made->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(made->fd, (struct sockaddr *)&address, sizeof address), 0);
    server_prepared(made->fd);
    int on = 1;
    CHECK_INT(setsockopt(made->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return made;
}

/* The preface is sent, and no dynamic table is wanted. */
static inline peer *peer_new(lariat_reactor *reactor, int port) {
    peer *made = peer_connected(reactor, port);
    peer_send(made, PREFACE, sizeof PREFACE - 1);
    peer_setting(made, 1, 0);
    return made;
}

static inline void peer_free(peer *it) {
    close(it->fd);
    free(it);
}
#endif
