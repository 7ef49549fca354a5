/* What the tests of streams share: a protocol that records what it is told, raw sockets to stand at the other end, and turning until
 * something has come true. Nothing here blocks: the raw sockets are driven between the turns of the same thread. */
#ifndef LARIAT_TESTS_STREAMS_H
#define LARIAT_TESTS_STREAMS_H
#include "harness.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

/* ---- turning until it is so ---------------------------------------------------------------------------------------------------- */

static inline double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A case may take this long for a single thing to happen. */
static inline double patience(void) {
    const char *seconds = getenv("LARIAT_TEST_SECONDS");
    return seconds ? atof(seconds) / 2 : 10;
}

static inline void test_turn_for(const char *file, int line, const char *what, lariat_reactor *reactor, double deadline) {
    lariat_status status = lariat_reactor_iterate(reactor, 0.001);
    if (status != LARIAT_OK) test_check_status(file, line, "lariat_reactor_iterate", status, LARIAT_OK);
    if (seconds_now() > deadline) test_fail(file, line, "waited in vain for: %s; notes: \"%s\"", what, test_notes.text);
    sched_yield();
}

/* What the condition does to a raw socket happens between the turns. */
#define until(reactor, condition)                                                                      \
    do {                                                                                               \
        double test_deadline = seconds_now() + patience();                                             \
        while (!(condition)) test_turn_for(__FILE__, __LINE__, #condition, reactor, test_deadline);   \
    } while (0)

/* ---- bytes that tell where they belong ------------------------------------------------------------------------------------------ */

static inline uint8_t pattern_at(size_t place, unsigned seed) {
    return (uint8_t)((place * 2654435761u >> 11) ^ (place >> 3) ^ seed * 37u);
}

static inline uint8_t *pattern_new(size_t length, unsigned seed) {
    uint8_t *bytes = malloc(length ? length : 1);
    for (size_t i = 0; i < length; i++) bytes[i] = pattern_at(i, seed);
    return bytes;
}

static inline void test_check_pattern(const char *file, int line, const uint8_t *bytes, size_t length, unsigned seed) {
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != pattern_at(i, seed)) test_fail(file, line, "byte %zu of %zu is another", i, length);
}
#define CHECK_PATTERN(bytes, length, seed) test_check_pattern(__FILE__, __LINE__, bytes, length, seed)

/* Bytes that grow. */
typedef struct bytes {
    uint8_t *data;
    size_t length, room;
} bytes;

static inline void bytes_add(bytes *all, const uint8_t *data, size_t length) {
    if (all->length + length + 1 > all->room) {
        all->room = (all->length + length + 1) * 2;
        all->data = realloc(all->data, all->room);
        CHECK(all->data != NULL);
    }
    if (length) memcpy(all->data + all->length, data, length);
    all->length += length;
    all->data[all->length] = 0;
}

static inline const char *bytes_text(const bytes *all) { return all->data ? (const char *)all->data : ""; }

static inline void bytes_free(bytes *all) {
    free(all->data);
    *all = (bytes){0};
}

/* ---- our side: what a connection's protocol is told --------------------------------------------------------------------------- */

typedef struct side side;
typedef void (*side_fn)(side *own);

struct side {
    const char *name;            /* notes are name:made, name=data, name:half-read, name:half-write, name!REASON, free:name */
    int is_noted;                /* whether there are any; data is noted if it is text */
    int echoes;                  /* writes back what comes */
    side_fn on_made, on_data, on_read_lost, on_write_lost, on_lost, on_free;
    lariat_transport *transport; /* NULL again when it is lost */
    lariat_reactor *reactor;     /* for the hooks, where a case sets it */
    void *more;
    bytes got;
    size_t last;                 /* how much came with the last call */
    size_t kept;                 /* what comes is counted but not kept if this is 1 */
    size_t came;
    int calls, made, lost, read_lost, write_lost, freed;
    int inside;                  /* a call that must not call back is being made */
    int32_t reason;
    int32_t os_error;
    char message[256];
};

static inline const char *reason_label(int32_t code) {
    static char label[48];
    const char *name = lariat_status_name(code);
    if (code > 0) snprintf(label, sizeof label, "%d", (int)code);
    else if (strncmp(name, "LARIAT_ERR_", 11) == 0) snprintf(label, sizeof label, "%s", name + 11);
    else snprintf(label, sizeof label, "%s", strncmp(name, "LARIAT_", 7) ? name : name + 7);
    return label;
}

static inline void side_made(lariat_transport *transport, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_INT(own->made++, 0);
    CHECK_INT(own->calls + own->lost + own->read_lost + own->write_lost, 0);
    CHECK_PTR(lariat_transport_self(transport), self);
    own->transport = transport;
    if (own->is_noted) note("%s:made", own->name);
    if (own->on_made) own->on_made(own);
}

static inline void side_data(lariat_transport *transport, const uint8_t *data, size_t length, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK(length > 0);
    CHECK_INT(own->made, 1);
    CHECK_INT(own->lost, 0);
    CHECK_INT(own->read_lost, 0);
    CHECK_PTR(transport, own->transport);
    own->calls++;
    own->came += length;
    own->last = length;
    if (!own->kept) bytes_add(&own->got, data, length);
    if (own->is_noted) note("%s=%.*s", own->name, (int)length, (const char *)data);
    if (own->echoes) CHECK_OK(lariat_transport_write(transport, data, length));
    if (own->on_data) own->on_data(own);
}

static inline void side_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_INT(own->made, 1);
    CHECK_INT(own->lost++, 0);
    CHECK_PTR(transport, own->transport);
    CHECK(reason != NULL);
    own->reason = lariat_failure_code(reason);
    own->os_error = lariat_failure_os_error(reason);
    snprintf(own->message, sizeof own->message, "%s", lariat_failure_message(reason));
    CHECK(own->reason != LARIAT_OK);
    /* It can do nothing any more, but its handle is good until the end of this. */
    CHECK_STATUS(lariat_transport_write(transport, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_lose_connection(transport), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_abort_connection(transport), LARIAT_ERR_CLOSED);
    if (own->is_noted) note("%s!%s", own->name, reason_label(own->reason));
    if (own->on_lost) own->on_lost(own);
    own->transport = NULL;
}

static inline void side_read_lost(lariat_transport *transport, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_PTR(transport, own->transport);
    CHECK_INT(own->read_lost++, 0);
    CHECK_INT(own->lost, 0);
    if (own->is_noted) note("%s:half-read", own->name);
    if (own->on_read_lost) own->on_read_lost(own);
}

static inline void side_write_lost(lariat_transport *transport, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_PTR(transport, own->transport);
    CHECK_INT(own->write_lost++, 0);
    CHECK_INT(own->lost, 0);
    if (own->is_noted) note("%s:half-write", own->name);
    if (own->on_write_lost) own->on_write_lost(own);
}

/* It may be part of something on the stack: only what it was given by the case itself is freed there. */
static inline void side_free(void *self) {
    side *own = self;
    CHECK_INT(own->freed++, 0);
    if (own->is_noted) note("free:%s", own->name);
    if (own->on_free) own->on_free(own);
}

enum { PLAIN, HALF };

static inline lariat_protocol side_protocol(int is_half) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = side_made;
    protocol.data_received = side_data;
    protocol.connection_lost = side_lost;
    if (is_half) {
        protocol.read_connection_lost = side_read_lost;
        protocol.write_connection_lost = side_write_lost;
    }
    protocol.free_self = side_free;
    return protocol;
}

/* It was told of its end once, and self is freed. */
static inline void test_side_over(const char *file, int line, side *own, int32_t reason) {
    if (own->lost != 1) test_fail(file, line, "%s: connection_lost came %d times", own->name, own->lost);
    if (own->freed != 1) test_fail(file, line, "%s: self was freed %d times", own->name, own->freed);
    if (own->reason != reason)
        test_fail(file, line, "%s: the reason is %s (%s), must be %s", own->name, lariat_status_name(own->reason), own->message,
                  lariat_status_name(reason));
    bytes_free(&own->got);
}
#define side_over(own, reason) test_side_over(__FILE__, __LINE__, own, reason)

static inline void write_text(lariat_transport *transport, const char *text) {
    CHECK_OK(lariat_transport_write(transport, (const uint8_t *)text, strlen(text)));
}

/* ---- a server: each connection gets the next of its sides ----------------------------------------------------------------------- */

typedef struct server {
    side *sides;
    int room, count; /* of sides; how many were given out */
    lariat_status answer;
} server;

static inline lariat_status server_build(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    server *one = user_data;
    CHECK_PTR(lariat_transport_listener(transport), listener);
    if (one->answer != LARIAT_OK) return one->answer;
    if (one->count == one->room) test_fail(__FILE__, __LINE__, "more connections than sides");
    *self = &one->sides[one->count++];
    return LARIAT_OK;
}

static inline lariat_listener *test_listen(const char *file, int line, lariat_reactor *reactor, const char *endpoint, int is_half,
                                           server *one) {
    lariat_protocol protocol = side_protocol(is_half);
    lariat_listener *listener = lariat_reactor_listen(reactor, endpoint, &protocol, server_build, one);
    if (!listener) test_fail(file, line, "cannot listen at %s: %s", endpoint, lariat_last_error_message());
    memset(&protocol, 0x55, sizeof protocol); /* it was copied */
    return listener;
}
#define listen_at(reactor, endpoint, is_half, one) test_listen(__FILE__, __LINE__, reactor, endpoint, is_half, one)

static inline void stop_listening(lariat_reactor *reactor, lariat_listener *listener) {
    lariat_deferred *stopped = lariat_listener_stop(listener);
    CHECK(stopped != NULL);
    CHECK_OK(lariat_deferred_release(stopped));
    until(reactor, lariat_listener_port(listener) == LARIAT_ERR_STALE_HANDLE);
}

/* ---- the other side: raw sockets that do not block -------------------------------------------------------------------------------- */

static inline void not_blocking(int fd) {
    CHECK_INT(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    CHECK_INT(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static inline int raw_connect_to(const void *address, socklen_t length) {
    int fd = socket(((const struct sockaddr *)address)->sa_family, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    if (connect(fd, address, length) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    not_blocking(fd);
    return fd;
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* The kernel takes the connection before anybody accepts it. */
static inline int raw_connect_port(int port) {
    struct sockaddr_in address = loopback(port);
    return raw_connect_to(&address, sizeof address);
}

static inline int raw_connect(lariat_listener *listener) {
    int fd = raw_connect_port(lariat_listener_port(listener));
    if (fd < 0) test_fail(__FILE__, __LINE__, "cannot connect: %s", strerror(errno));
    return fd;
}

static inline struct sockaddr_un unix_address(const char *path, socklen_t *length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    return address;
}

static inline int raw_connect_path(const char *path) {
    socklen_t length;
    struct sockaddr_un address = unix_address(path, &length);
    return raw_connect_to(&address, length);
}

static inline int raw_listen(int *port) {
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    not_blocking(fd);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(fd, 64), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* -1 while nobody has connected. */
static inline int raw_accept(int listening) {
    int fd = accept(listening, NULL, NULL);
    if (fd >= 0) not_blocking(fd);
    return fd;
}

/* The peer is gone at once, and whoever writes or reads hears it. */
static inline void raw_reset(int fd) {
    struct linger now = {1, 0};
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    CHECK_INT(close(fd), 0);
}

static inline void raw_small_buffers(int fd) {
    int size = 32 * 1024; /* less, and TCP stalls on a loopback whose segments are 64 KiB */
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

static inline void raw_write(int fd, const char *text) {
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

enum { RAW_OPEN = -1, RAW_END = 0 }; /* or the errno of a reset */

/* Reads what there is: RAW_OPEN when there is no more yet. */
static inline int raw_read(int fd, bytes *all) {
    static uint8_t buffer[1 << 16];
    for (;;) {
        ssize_t length = recv(fd, buffer, sizeof buffer, 0);
        if (length > 0) bytes_add(all, buffer, (size_t)length);
        else if (length == 0) return RAW_END;
        else if (errno == EAGAIN) return RAW_OPEN;
        else if (errno != EINTR) return errno;
    }
}

/* Sends a part of what is left, if there is room; true when all is sent. */
static inline int raw_send_some(int fd, const uint8_t *data, size_t length, size_t *at) {
    while (*at < length) {
        ssize_t sent = send(fd, data + *at, length - *at < 65536 ? length - *at : 65536, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return 0;
        if (sent < 0) test_fail(__FILE__, __LINE__, "the peer cannot send: %s", strerror(errno));
        *at += (size_t)sent;
    }
    return 1;
}

static inline int raw_end(lariat_reactor *reactor, int fd, bytes *all) {
    int how = RAW_OPEN;
    until(reactor, (how = raw_read(fd, all)) != RAW_OPEN);
    return how;
}

/* Turns until the peer has read all this text, and nothing else. */
static inline void test_raw_expect(const char *file, int line, lariat_reactor *reactor, int fd, const char *text) {
    bytes all = {0};
    double deadline = seconds_now() + patience();
    for (;;) {
        int how = raw_read(fd, &all);
        if (all.length >= strlen(text)) break;
        if (how != RAW_OPEN) test_fail(file, line, "the peer read \"%s\" and an end, must be \"%s\"", bytes_text(&all), text);
        test_turn_for(file, line, text, reactor, deadline);
    }
    test_check_str(file, line, "what the peer read", bytes_text(&all), text);
    bytes_free(&all);
}
#define raw_expect(reactor, fd, text) test_raw_expect(__FILE__, __LINE__, reactor, fd, text)

/* ---- a connection of the library with a raw peer ---------------------------------------------------------------------------------- */

enum way { ACCEPTED, CONNECTED, ADOPTED, WAYS };
static const char *const way_names[WAYS] = {"accepted", "connected", "adopted"};

typedef struct wire {
    lariat_reactor *reactor;
    lariat_listener *listener; /* if it was accepted */
    lariat_scope *scope;       /* if it is to be made in one */
    side own;
    server one;
    int peer;
} wire;

static inline void wire_open_with(wire *made, lariat_reactor *reactor, enum way way, const lariat_protocol *protocol) {
    int pair[2], port, listening = -1;
    made->reactor = made->own.reactor = reactor;
    made->listener = NULL;
    if (!made->own.name) made->own.name = way_names[way];
    if (made->scope) CHECK_OK(lariat_scope_enter(made->scope)); /* until the next turn */
    switch (way) {
    case ACCEPTED:
        made->one = (server){&made->own, 1, 0, LARIAT_OK};
        made->listener = lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", protocol, server_build, &made->one);
        CHECK(made->listener != NULL);
        made->peer = raw_connect(made->listener);
        break;
    case CONNECTED:
        listening = raw_listen(&port);
        char endpoint[64];
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
        lariat_deferred *connecting = lariat_reactor_connect(reactor, endpoint, protocol, &made->own);
        CHECK(connecting != NULL);
        CHECK_OK(lariat_deferred_release(connecting));
        break;
    default:
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        not_blocking(pair[1]);
        made->peer = pair[1];
        CHECK(lariat_reactor_adopt_stream(reactor, pair[0], protocol, &made->own) != NULL);
    }
    if (made->scope) CHECK_OK(lariat_scope_leave(made->scope));
    until(reactor, way != CONNECTED || (made->peer = raw_accept(listening)) >= 0);
    if (way == CONNECTED) CHECK_INT(close(listening), 0);
    until(reactor, made->own.made);
}

/* The hooks of made->own are set before. */
static inline void wire_open(wire *made, lariat_reactor *reactor, enum way way, int is_half) {
    lariat_protocol protocol = side_protocol(is_half);
    wire_open_with(made, reactor, way, &protocol);
}

/* Both ends are over: nothing may be left. */
static inline void test_wire_close(const char *file, int line, wire *made, int32_t reason) {
    if (made->peer >= 0) CHECK_INT(close(made->peer), 0);
    made->peer = -1;
    double deadline = seconds_now() + patience();
    while (!made->own.freed) test_turn_for(file, line, "the end of a connection", made->reactor, deadline);
    test_side_over(file, line, &made->own, reason);
    if (made->listener) stop_listening(made->reactor, made->listener);
}
#define wire_close(made, reason) test_wire_close(__FILE__, __LINE__, made, reason)

/* The system's buffers of both ends are made small, so that something has to wait. */
static inline void wire_small_buffers(wire *made) {
    CHECK_OK(lariat_transport_set_buffer_sizes(made->own.transport, 32 * 1024, 32 * 1024));
    raw_small_buffers(made->peer);
}

#define each_way(way) for (enum way way = 0; way < WAYS; way++)
#endif
