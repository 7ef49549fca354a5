/* What the cases about datagrams share: ports that note what they are told, and sockets of the test's own at the other end. */
#ifndef LARIAT_TESTS_DATAGRAMS_H
#define LARIAT_TESTS_DATAGRAMS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- a port's owner, whose self is its name or a token: a:started  a<data  a!FAILURE  a:drained  a:stopped=REASON ---- */

static lariat_address last_peer;

static inline void note_started(lariat_datagram_port *port, void *self) {
    CHECK(lariat_datagram_port_number(port) >= 0);
    note("%s:started", (char *)self);
}

static inline void note_datagram(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    (void)port;
    CHECK(peer != NULL && peer->struct_size == sizeof *peer);
    last_peer = *peer;
    if (len > 40) note("%s<%zu", (char *)self, len);
    else note("%s<%.*s", (char *)self, (int)len, (const char *)data);
}

static inline void note_failed(lariat_datagram_port *port, const lariat_failure *reason, const lariat_address *peer, void *self) {
    (void)port;
    CHECK(*lariat_failure_message(reason));
    if (peer) last_peer = *peer;
    note("%s!%s", (char *)self, failure_label(reason));
}

static inline void note_drained(lariat_datagram_port *port, void *self) {
    CHECK_INT(lariat_datagram_port_buffered(port), 0);
    note("%s:drained", (char *)self);
}

static inline void note_stopped(lariat_datagram_port *port, const lariat_failure *reason, void *self) {
    CHECK_STATUS(lariat_datagram_port_pause_reading(port), LARIAT_ERR_CLOSED);
    note("%s:stopped=%s", (char *)self, failure_label(reason));
}

static inline lariat_datagram_protocol quiet_datagrams(void) {
    lariat_datagram_protocol protocol;
    CHECK_OK(lariat_datagram_protocol_init(&protocol, sizeof protocol));
    return protocol;
}

/* Notes all but its start and its end. */
static inline lariat_datagram_protocol noting_datagrams(void) {
    lariat_datagram_protocol protocol = quiet_datagrams();
    protocol.datagram_received = note_datagram;
    protocol.datagram_failed = note_failed;
    protocol.drained = note_drained;
    return protocol;
}

static inline lariat_datagram_port *open_port(lariat_reactor *reactor, const char *endpoint, lariat_datagram_protocol protocol, void *self) {
    lariat_datagram_port *port = lariat_reactor_listen_datagram(reactor, endpoint, &protocol, self);
    if (!port) test_fail(__FILE__, __LINE__, "no port at %s: %s", endpoint, lariat_last_error_message());
    return port;
}

static inline lariat_datagram_port *noting_port(lariat_reactor *reactor, const char *endpoint, const char *name) {
    return open_port(reactor, endpoint, noting_datagrams(), (void *)(uintptr_t)name);
}

/* Stops it, and looks that the Deferred fires. */
static inline void stop_port(lariat_reactor *reactor, lariat_datagram_port *port) {
    lariat_deferred *stopped = lariat_datagram_port_stop(port);
    CHECK(stopped != NULL);
    CHECK_STR(result_of(stopped), "none");
    turn(reactor);
    CHECK_STR(result_of(stopped), "-");
    CHECK_OK(lariat_deferred_release(stopped));
    CHECK_STATUS(lariat_datagram_port_pause_reading(port), LARIAT_ERR_STALE_HANDLE);
}

/* Turns until the words are noted. */
static inline void turn_until(lariat_reactor *reactor, const char *words) {
    for (int i = 0; i < 100 && !noted(words); i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.1));
    if (!noted(words)) test_fail(__FILE__, __LINE__, "never noted: %s; but: %s", words, test_notes.text);
}

static inline lariat_address address_of(const char *text) {
    lariat_address address;
    CHECK_OK(lariat_address_init(&address, sizeof address));
    CHECK_OK(lariat_address_parse(&address, text));
    return address;
}

static inline const char *address_text(const lariat_address *address) {
    static char text[256];
    CHECK_OK(lariat_address_format(address, text, sizeof text, NULL));
    return text;
}

static inline const char *port_text(lariat_datagram_port *port) {
    static char text[256];
    CHECK_OK(lariat_datagram_port_address(port, text, sizeof text, NULL));
    return text;
}

static inline void send_text_to(lariat_datagram_port *port, const char *text, const lariat_address *peer) {
    CHECK_OK(lariat_datagram_port_send_to(port, (const uint8_t *)text, strlen(text), peer));
}

static inline void send_text(lariat_datagram_port *port, const char *text) {
    CHECK_OK(lariat_datagram_port_send(port, (const uint8_t *)text, strlen(text)));
}

/* ---- the other end ---- */

typedef union any_name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
} any_name;

/* At 127.0.0.1 or ::1. */
static inline int other_end(int family) {
    int fd = socket(family, SOCK_DGRAM, 0);
    any_name name = {0};
    CHECK(fd >= 0);
    name.any.sa_family = (sa_family_t)family;
    if (family == AF_INET) name.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else name.v6.sin6_addr = in6addr_loopback;
    CHECK_INT(bind(fd, &name.any, family == AF_INET ? sizeof name.v4 : sizeof name.v6), 0);
    return fd;
}

static inline int number_of(int fd) {
    any_name name;
    socklen_t length = sizeof name;
    CHECK_INT(getsockname(fd, &name.any, &length), 0);
    return ntohs(name.any.sa_family == AF_INET ? name.v4.sin_port : name.v6.sin6_port);
}

/* Of 127.0.0.1, as text. */
static inline const char *endpoint_of(int fd) {
    static char text[64];
    snprintf(text, sizeof text, "udp://127.0.0.1:%d", number_of(fd));
    return text;
}

static inline lariat_address address_of_end(int fd) { return address_of(endpoint_of(fd)); }

/* To 127.0.0.1, or ::1. */
static inline void put(int fd, int family, int number, const void *data, size_t len) {
    any_name name = {0};
    name.any.sa_family = (sa_family_t)family;
    if (family == AF_INET) name.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK), name.v4.sin_port = htons((uint16_t)number);
    else name.v6.sin6_addr = in6addr_loopback, name.v6.sin6_port = htons((uint16_t)number);
    CHECK_INT(sendto(fd, data, len, 0, &name.any, family == AF_INET ? sizeof name.v4 : sizeof name.v6), len);
}

static inline void put_text(int fd, lariat_datagram_port *port, const char *text) {
    put(fd, AF_INET, lariat_datagram_port_number(port), text, strlen(text));
}

/* The next datagram as text; waits for it. */
static inline const char *get_text(int fd) {
    static char text[1 << 17];
    struct pollfd one = {fd, POLLIN, 0};
    CHECK_INT(poll(&one, 1, 10000), 1);
    ssize_t len = recv(fd, text, sizeof text - 1, 0);
    CHECK(len >= 0);
    text[len] = 0;
    return text;
}

static inline int is_silent(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* ---- Unix sockets, in a folder of the test's own ---- */

static char folder[64];

static inline const char *path_in(const char *name) {
    static char paths[4][128];
    static int next;
    if (!*folder) {
        snprintf(folder, sizeof folder, "/tmp/lariat-datagrams-XXXXXX");
        CHECK(mkdtemp(folder) != NULL);
    }
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline const char *unix_endpoint(const char *name) {
    static char texts[4][160];
    static int next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], "unix-datagram://%s", path_in(name));
    return text;
}

/* All sockets in it must be gone. */
static inline void folder_done(void) { CHECK_INT(rmdir(folder), 0); }

static inline int unix_end(const char *name) {
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    any_name own = {0};
    own.local.sun_family = AF_UNIX;
    snprintf(own.local.sun_path, sizeof own.local.sun_path, "%s", path_in(name));
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, &own.any, sizeof own.local), 0);
    return fd;
}

static inline void unix_put(int fd, const char *name, const void *data, size_t len) {
    any_name to = {0};
    to.local.sun_family = AF_UNIX;
    snprintf(to.local.sun_path, sizeof to.local.sun_path, "%s", path_in(name));
    CHECK_INT(sendto(fd, data, len, 0, &to.any, sizeof to.local), len);
}

static inline int exists(const char *name) { return access(path_in(name), F_OK) == 0; }
#endif
