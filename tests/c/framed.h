/* A connection with framing whose other end is the case's own socket, so that it decides which bytes come together. */
#ifndef LARIAT_TESTS_FRAMED_H
#define LARIAT_TESTS_FRAMED_H
#include <sys/socket.h>

typedef struct framed framed;
struct framed {
    lariat_reactor *reactor;
    lariat_scope *scope;                                /* that it belongs to; may be NULL */
    lariat_transport *transport;
    int fd;                                             /* the other end; -1 closed */
    int lost;                                           /* the reason's code, once there is one */
    char message[256];                                  /* the reason's */
    void (*made)(framed *);                             /* may be NULL */
    void (*frame)(framed *, const char *, size_t);      /* may be NULL; after it was noted */
};

/* <text>, with \r, \n and \0 shown; <length> of what is long. */
static void note_bytes(const uint8_t *data, size_t len) {
    char text[200];
    size_t used = 0;
    if (len > 60) {
        note("<%zu>", len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        const char shown = data[i] == '\r' ? 'r' : data[i] == '\n' ? 'n' : data[i] == 0 ? '0' : 0;
        if (shown) text[used++] = '\\';
        text[used++] = shown ? shown : (char)data[i];
    }
    note("<%.*s>", (int)used, text);
}

static void framed_made(lariat_transport *transport, void *self) {
    framed *it = self;
    it->transport = transport;
    if (it->made) it->made(it);
}

static void framed_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    framed *it = self;
    CHECK_PTR(transport, it->transport);
    note_bytes(data, len);
    if (it->frame) it->frame(it, (const char *)data, len);
}

static void framed_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    framed *it = self;
    CHECK_PTR(transport, it->transport);
    CHECK_INT(it->lost, 0);
    it->lost = lariat_failure_code(reason);
    snprintf(it->message, sizeof it->message, "%s", lariat_failure_message(reason));
    note("lost:%s", failure_label(reason));
}

static lariat_protocol framed_protocol(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = framed_made;
    protocol.data_received = framed_received;
    protocol.connection_lost = framed_lost;
    return protocol;
}

/* `it` says what to do; the rest of it is filled. */
static void framed_start_with(framed *it, const lariat_protocol *protocol) {
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_INT(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    if (!it->reactor) it->reactor = manual_reactor();
    it->fd = ends[1];
    if (it->scope) CHECK_OK(lariat_scope_enter(it->scope));
    it->transport = lariat_reactor_adopt_stream(it->reactor, ends[0], protocol, it);
    if (it->scope) CHECK_OK(lariat_scope_leave(it->scope));
    if (!it->transport) test_fail(__FILE__, __LINE__, "no transport: %s", lariat_last_error_message());
    turn(it->reactor);
}

static void framed_start(framed *it) {
    lariat_protocol protocol = framed_protocol();
    framed_start_with(it, &protocol);
}

/* Sends bytes to it, in one piece, and lets it read them. */
static void feed_bytes(framed *it, const void *data, size_t len) {
    CHECK_INT(write(it->fd, data, len), len);
    turns(it->reactor, 2);
}
#define feed(it, text) feed_bytes(it, text, sizeof text - 1)

/* What it has sent, compared. */
static void test_check_sent(const char *file, int line, framed *it, const char *want, size_t len) {
    char got[4096];
    turn(it->reactor);
    ssize_t count = read(it->fd, got, sizeof got);
    if (count < 0) count = 0;
    if ((size_t)count != len || memcmp(got, want, len) != 0)
        test_fail(file, line, "it has sent \"%.*s\", must be \"%s\"", (int)count, got, want);
}
#define CHECK_SENT(it, text) test_check_sent(__FILE__, __LINE__, it, text, sizeof text - 1)

static void framed_hang_up(framed *it) {
    if (it->fd >= 0) CHECK_INT(close(it->fd), 0);
    it->fd = -1;
    turns(it->reactor, 2);
}

/* Ends cleanly from the other end. */
static void framed_done(framed *it) {
    framed_hang_up(it);
    CHECK_NOTES("lost:LARIAT_CONNECTION_DONE");
    reactor_done(it->reactor);
}

static inline void lines(framed *it) { CHECK_OK(lariat_transport_set_line_framing(it->transport, NULL, 0, 0)); }
static inline void netstrings(framed *it) { CHECK_OK(lariat_transport_set_netstring_framing(it->transport, 0)); }
static inline int is(const char *data, size_t len, const char *text) { return len == strlen(text) && memcmp(data, text, len) == 0; }
static inline const uint8_t *bytes(const void *data) { return data; }
#endif
