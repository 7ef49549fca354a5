/* What the tests of WebSockets share: two simulated hosts, ends that note what they are told, and peers who write their own frames. */
#ifndef LARIAT_TESTS_WEBSOCKETS_H
#define LARIAT_TESTS_WEBSOCKETS_H
#include "sides.h"

static inline const uint8_t *octets(const void *data) { return data; }

/* ---- an end of a WebSocket: notes are name:open, name=t(text), name=b(length), name+t(piece), name~pong, name!1000 ---- */

typedef struct end end;
struct end {
    const char *name;
    lariat_websocket *socket; /* NULL again when it is closed */
    int opened, messages, closed, freed, pongs;
    int quiet; /* messages are not noted */
    int echoes;
    void (*on_open)(end *);
    void (*on_message)(end *, const uint8_t *, size_t);
    bytes got; /* the last message, or all pieces */
    int32_t code;
    int32_t why; /* the failure's code */
    char reason[256], message[256];
    char subprotocol[64];
    lariat_failure *failure; /* of the Deferred */
};

static inline void end_opened(lariat_websocket *socket, void *self) {
    end *own = self;
    CHECK_INT(own->opened++ + own->messages + own->closed, 0);
    own->socket = socket;
    const char *subprotocol = lariat_websocket_subprotocol(socket);
    snprintf(own->subprotocol, sizeof own->subprotocol, "%s", subprotocol ? subprotocol : "");
    note("%s:open", own->name);
    if (own->on_open) own->on_open(own);
}

static inline void end_message(lariat_websocket *socket, int32_t kind, const uint8_t *data, size_t len, void *self) {
    end *own = self;
    CHECK_PTR(socket, own->socket);
    CHECK_INT(own->opened, 1);
    CHECK_INT(own->closed, 0);
    own->messages++;
    own->got.length = 0;
    bytes_add(&own->got, data, len);
    if (!own->quiet) {
        if (kind == LARIAT_WEBSOCKET_TEXT && len < 100) note("%s=t(%.*s)", own->name, (int)len, (const char *)data);
        else note("%s=%c%zu", own->name, kind == LARIAT_WEBSOCKET_TEXT ? 't' : 'b', len);
    }
    if (own->echoes) CHECK_OK(lariat_websocket_send(socket, kind, data, len));
    if (own->on_message) own->on_message(own, data, len);
}

static inline void end_fragment(lariat_websocket *socket, int32_t kind, const uint8_t *data, size_t len, int32_t is_last, void *self) {
    end *own = self;
    CHECK_PTR(socket, own->socket);
    CHECK(len > 0 || is_last);
    bytes_add(&own->got, data, len);
    own->messages += is_last;
    if (!own->quiet) note("%s%c%c(%.*s)", own->name, is_last ? '=' : '+', kind == LARIAT_WEBSOCKET_TEXT ? 't' : 'b', (int)len, (const char *)data);
}

static inline void end_pong(lariat_websocket *socket, const uint8_t *data, size_t len, void *self) {
    end *own = self;
    CHECK_PTR(socket, own->socket);
    own->pongs++;
    if (!own->quiet) note("%s~%.*s", own->name, (int)len, (const char *)data);
}

static inline void end_closed(lariat_websocket *socket, int32_t code, const char *reason, const lariat_failure *failure, void *self) {
    end *own = self;
    CHECK_INT(own->opened, 1);
    CHECK_INT(own->closed++, 0);
    CHECK_PTR(socket, own->socket);
    own->code = code;
    own->why = lariat_failure_code(failure);
    snprintf(own->reason, sizeof own->reason, "%s", reason);
    snprintf(own->message, sizeof own->message, "%s", lariat_failure_message(failure));
    CHECK_STATUS(lariat_websocket_send_text(socket, "late"), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_websocket_close(socket, 1000, NULL), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_websocket_abort(socket), LARIAT_ERR_CLOSED);
    CHECK_INT(lariat_websocket_is_open(socket), 0);
    note("%s!%d", own->name, (int)code);
    own->socket = NULL;
}

static inline void end_free(void *self) {
    end *own = self;
    CHECK_INT(own->freed++, 0);
}

static inline lariat_websocket_protocol end_protocol(void) {
    lariat_websocket_protocol protocol;
    CHECK_OK(lariat_websocket_protocol_init(&protocol, sizeof protocol));
    protocol.opened = end_opened;
    protocol.message_received = end_message;
    protocol.pong_received = end_pong;
    protocol.closed = end_closed;
    protocol.free_self = end_free;
    return protocol;
}

static inline lariat_websocket_options websocket_options(void) {
    lariat_websocket_options options;
    CHECK_OK(lariat_websocket_options_init(&options, sizeof options));
    return options;
}

/* It is over, as this, and nothing of it is left. */
static inline void test_end_over(const char *file, int line, end *own, int32_t code, int32_t why) {
    if (own->closed != 1) test_fail(file, line, "%s: closed came %d times", own->name, own->closed);
    if (own->freed != 1) test_fail(file, line, "%s: self was freed %d times", own->name, own->freed);
    if (own->code != code || own->why != why)
        test_fail(file, line, "%s ended with %d, %s (%s; %s), must be %d, %s", own->name, (int)own->code, lariat_status_name(own->why),
                  own->reason, own->message, (int)code, lariat_status_name(why));
    bytes_free(&own->got);
}
#define end_over(own, code, why) test_end_over(__FILE__, __LINE__, own, code, why)

/* ---- two hosts: a is the client's, b the server's ---- */

typedef struct world world;
struct world {
    lariat_simulation *simulation;
    lariat_reactor *a, *b;
    lariat_http_server *http;
    lariat_websocket_options server, client; /* the options of both sides */
    end *ends[8]; /* for the next who connect */
    int count, next;
    int in_pieces; /* the server's ends get messages in pieces */
    void (*before)(world *, lariat_http_request *); /* before a request is accepted */
    char path[64], query[64];
};

static inline lariat_deferred *world_handle(lariat_http_request *request, void *user_data) {
    world *it = user_data;
    snprintf(it->path, sizeof it->path, "%s", lariat_http_request_path(request));
    const char *query = lariat_http_request_query(request);
    snprintf(it->query, sizeof it->query, "%s", query ? query : "");
    if (it->before) it->before(it, request);
    lariat_websocket_protocol protocol = end_protocol();
    if (it->in_pieces) protocol.fragment_received = end_fragment;
    CHECK(it->next < it->count);
    end *own = it->ends[it->next++];
    own->socket = lariat_http_request_accept_websocket(request, &it->server, &protocol, own);
    if (!own->socket) note("refused:%s", lariat_status_name(lariat_last_error()) + strlen("LARIAT_ERR_"));
    return NULL;
}

static inline void world_begin(world *it, uint64_t seed) {
    it->simulation = lariat_simulation_new(seed);
    it->a = simulated_reactor(it->simulation, "a");
    it->b = simulated_reactor(it->simulation, "b");
    it->server = websocket_options();
    it->client = websocket_options();
    it->http = lariat_http_server_new(it->b, NULL);
    CHECK(it->http != NULL);
    CHECK_OK(lariat_http_server_set_handler(it->http, world_handle, it));
    if (!lariat_http_server_listen(it->http, "tcp://0.0.0.0:80")) test_fail(__FILE__, __LINE__, "%s", lariat_last_error_message());
}

static inline void world_expect(world *it, end *own) { it->ends[it->count++] = own; }
static inline void run_for(world *it, double seconds) { CHECK_OK(lariat_simulation_run(it->simulation, seconds)); }

static inline void world_done(world *it) {
    CHECK_OK(lariat_http_server_free(it->http));
    CHECK_OK(lariat_simulation_run_until_idle(it->simulation));
    reactor_done(it->a);
    reactor_done(it->b);
    CHECK_OK(lariat_simulation_free(it->simulation));
}

static inline void *end_connected(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    end *own = user_data;
    if (failure) {
        own->why = lariat_failure_code(failure);
        snprintf(own->message, sizeof own->message, "%s", lariat_failure_message(failure));
        note("%s!%s", own->name, failure_label(failure));
    } else {
        /* opened comes before. */
        CHECK_INT(own->opened, 1);
        if (own->socket) CHECK_PTR(value, own->socket);
    }
    return NULL;
}

static inline lariat_deferred *connect_with(world *it, end *own, const char *url, const lariat_websocket_protocol *protocol) {
    lariat_deferred *deferred = lariat_reactor_connect_websocket(it->a, url, &it->client, protocol, own);
    if (!deferred) test_fail(__FILE__, __LINE__, "%s: %s", url, lariat_last_error_message());
    CHECK_OK(lariat_deferred_add_both(deferred, end_connected, own));
    return deferred;
}

static inline void connect_end(world *it, end *own, const char *url) {
    lariat_websocket_protocol protocol = end_protocol();
    CHECK_OK(lariat_deferred_release(connect_with(it, own, url, &protocol)));
    memset(&protocol, 0x55, sizeof protocol); /* it was copied */
}

/* The usual beginning: both are open. */
static inline void world_open(world *it, end *client, end *server) {
    world_expect(it, server);
    connect_end(it, client, "ws://b/");
    run_for(it, 1);
    CHECK(client->socket != NULL && server->socket != NULL);
    notes_clear();
}

static inline void close_both(world *it, end *client, end *server) {
    CHECK_OK(lariat_websocket_close(client->socket, 1000, "bye"));
    run_for(it, 1);
    notes_clear();
    end_over(client, 1000, LARIAT_CONNECTION_DONE);
    end_over(server, 1000, LARIAT_CONNECTION_DONE);
    CHECK_STR(server->reason, "bye");
}

/* ---- a peer who writes its own frames, on a transport ---- */

enum { UNMASKED, MASKED };

static inline void frame_add(bytes *all, int first, const void *data, size_t len, int is_masked) {
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t head[14] = {(uint8_t)first, (uint8_t)(is_masked ? 0x80 : 0)};
    size_t length = 2;
    if (len < 126) head[1] |= (uint8_t)len;
    else {
        int size = len < 65536 ? 2 : 8;
        head[1] |= size == 2 ? 126 : 127;
        for (int i = 0; i < size; i++) head[length++] = (uint8_t)(len >> 8 * (size - 1 - i));
    }
    if (is_masked) {
        memcpy(head + length, key, 4);
        length += 4;
    }
    bytes_add(all, head, length);
    size_t at = all->length;
    bytes_add(all, data, len);
    for (size_t i = 0; is_masked && i < len; i++) all->data[at + i] ^= key[i % 4];
}

static inline void peer_send(side *peer, const void *data, size_t len) {
    CHECK_OK(lariat_transport_write(peer->transport, data, len));
}

static inline void peer_frame(side *peer, int first, const void *data, size_t len, int is_masked) {
    bytes all = {0};
    frame_add(&all, first, data, len, is_masked);
    peer_send(peer, all.data, all.length);
    bytes_free(&all);
}

static inline lariat_deferred *peer_connect(world *it, side *peer) {
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_deferred *deferred = lariat_reactor_connect(it->a, "tcp://b:80", &protocol, peer);
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_release(deferred));
    run_for(it, 1);
    CHECK(peer->transport != NULL);
    return deferred;
}

/* Asks for a WebSocket as a client does, with more headers. */
static inline void peer_ask(side *peer, const char *more) {
    char text[1024];
    snprintf(text, sizeof text, "GET /path?query HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", more);
    write_text(peer->transport, text);
}

/* The answer's head is there, and is taken away; what was sent behind it stays. */
static inline void peer_take_head(side *peer, const char *status) {
    char *end_of_head = strstr((char *)bytes_text(&peer->got), "\r\n\r\n");
    if (!end_of_head || strncmp(bytes_text(&peer->got), status, strlen(status)) != 0)
        test_fail(__FILE__, __LINE__, "the answer is \"%s\"", bytes_text(&peer->got));
    size_t length = (size_t)(end_of_head + 4 - (char *)peer->got.data);
    memmove(peer->got.data, peer->got.data + length, peer->got.length - length + 1);
    peer->got.length -= length;
}

/* What a peer has got since, as words: t(text) b(length) ping(x) pong(x) close(1002), each of a whole frame; masked ones begin with m. */
static inline const char *peer_frames(side *peer) {
    static char text[4096];
    size_t at = 0, used = 0;
    text[0] = 0;
    while (peer->got.length - at >= 2) {
        const uint8_t *data = peer->got.data + at;
        size_t length = data[1] & 0x7f, head = 2;
        if (length >= 126) {
            size_t size = length == 126 ? 2 : 8;
            length = 0;
            while (size--) length = length << 8 | data[head++];
        }
        uint8_t key[4] = {0};
        if (data[1] & 0x80) {
            memcpy(key, data + head, 4);
            head += 4;
        }
        if (peer->got.length - at < head + length) break;
        char body[126];
        size_t shown = length < sizeof body - 1 ? length : sizeof body - 1;
        for (size_t i = 0; i < shown; i++) body[i] = (char)(data[head + i] ^ key[i % 4]);
        body[shown] = 0;
        if (used > sizeof text - 300) test_fail(__FILE__, __LINE__, "too many frames: %.200s", text);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s", used ? " " : "", data[1] & 0x80 ? "m" : "", data[0] & 0x80 ? "" : "+");
        if (data[0] & 0x40) used += (size_t)snprintf(text + used, sizeof text - used, "z");
        int opcode = data[0] & 0xf;
        const char *names[16] = {"more", "t", "b", "?", "?", "?", "?", "?", "close", "ping", "pong", "?", "?", "?", "?", "?"};
        if (opcode == 8 && length >= 2)
            used += (size_t)snprintf(text + used, sizeof text - used, "close(%d%s%s)", (uint8_t)body[0] << 8 | (uint8_t)body[1], length > 2 ? " " : "", body + 2);
        else if (opcode == 2 || length > 100) used += (size_t)snprintf(text + used, sizeof text - used, "%s%zu", names[opcode], length);
        else used += (size_t)snprintf(text + used, sizeof text - used, "%s(%s)", names[opcode], body);
        at += head + length;
    }
    memmove(peer->got.data, peer->got.data + at, peer->got.length - at + 1);
    peer->got.length -= at;
    return text;
}

/* A peer that is a client of the world's server, whose end is open. */
static inline void peer_open(world *it, side *peer, end *server) {
    world_expect(it, server);
    peer_connect(it, peer);
    peer_ask(peer, "");
    run_for(it, 1);
    peer_take_head(peer, "HTTP/1.1 101 ");
    CHECK_STR(peer_frames(peer), "");
    CHECK(server->socket != NULL);
    notes_clear();
}

/* ---- a peer that is a server: SHA-1 and base64 for the answer ---- */

static inline uint32_t rotated(uint32_t word, int by) { return word << by | word >> (32 - by); }

static inline void sha1(const char *text, uint8_t digest[20]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t padded[256] = {0};
    size_t length = strlen(text), blocks = (length + 8) / 64 + 1;
    CHECK(blocks * 64 <= sizeof padded);
    memcpy(padded, text, length);
    padded[length] = 0x80;
    for (int i = 0; i < 8; i++) padded[blocks * 64 - 1 - (size_t)i] = (uint8_t)((uint64_t)length * 8 >> 8 * i);
    for (size_t block = 0; block < blocks; block++) {
        uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (size_t i = 0; i < 16; i++) {
            const uint8_t *at = padded + block * 64 + i * 4;
            w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        }
        for (int i = 16; i < 80; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 || i >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
            uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
            uint32_t next = rotated(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotated(b, 30), b = a, a = next;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(state[i / 4] >> 8 * (3 - i % 4));
}

static inline void base64(const uint8_t *data, size_t length, char *text) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < length ? (uint32_t)data[i + 1] << 8 : 0) | (i + 2 < length ? data[i + 2] : 0);
        *text++ = letters[three >> 18];
        *text++ = letters[three >> 12 & 63];
        *text++ = i + 1 < length ? letters[three >> 6 & 63] : '=';
        *text++ = i + 2 < length ? letters[three & 63] : '=';
    }
    *text = 0;
}

/* What answers the key of the request that a peer has got. */
static inline const char *answer_to(side *peer) {
    static char answer[32];
    const char *key = strstr(bytes_text(&peer->got), "Sec-WebSocket-Key: ");
    CHECK(key != NULL);
    char joined[80];
    snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + strlen("Sec-WebSocket-Key: "));
    uint8_t digest[20];
    sha1(joined, digest);
    base64(digest, 20, answer);
    return answer;
}

/* Listens at b:81 for one client, which is answered by `peer_answer`. */
static inline lariat_listener *peer_listen(world *it, server *one) { return listen_at(it->b, "tcp://0.0.0.0:81", PLAIN, one); }

static inline void peer_answer(side *peer, const char *more) {
    char text[512];
    snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
             answer_to(peer), more);
    peer->got.length = 0;
    write_text(peer->transport, text);
}

/* A peer that is the server of a client, which is open. */
static inline lariat_listener *peer_serve(world *it, server *one, end *client) {
    lariat_listener *listener = peer_listen(it, one);
    connect_end(it, client, "ws://b:81/");
    run_for(it, 1);
    CHECK_INT(one->count, 1);
    peer_answer(&one->sides[0], "");
    run_for(it, 1);
    CHECK(client->socket != NULL);
    notes_clear();
    return listener;
}

static inline void world_stop_listening(lariat_listener *listener) {
    lariat_deferred *stopped = lariat_listener_stop(listener);
    CHECK(stopped != NULL);
    CHECK_OK(lariat_deferred_release(stopped));
}
#endif
