/* What the tests of streams share on Unix: raw sockets to stand at the other end of what sides.h has. Nothing here blocks: the raw
 * sockets are driven between the turns of the same thread. */
#ifndef LARIAT_TESTS_STREAMS_H
#define LARIAT_TESTS_STREAMS_H
#include "sides.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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
