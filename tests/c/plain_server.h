/* A server of the case's own, without the library, so that it decides when there is one, whom it accepts and when it hangs up. */
#ifndef LARIAT_TESTS_PLAIN_SERVER_H
#define LARIAT_TESTS_PLAIN_SERVER_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Polls do not wait with a manual clock; what happens on the loopback needs no time that it could see. */
#define TURN_UNTIL(reactor, condition) \
    while (!(condition)) turn(reactor)

typedef struct server {
    int fd; /* bound from the beginning, so that the port is nobody else's; -1 closed */
    int port;
    char endpoint[64];
} server;

static inline int server_prepared(int fd) {
    if (fd >= 0) CHECK_INT(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    if (fd >= 0) CHECK_INT(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    return fd;
}

/* Who connects is refused. */
static inline server server_new(void) {
    server made = {.fd = server_prepared(socket(AF_INET, SOCK_STREAM, 0))};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int on = 1;
    CHECK_INT(setsockopt(made.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK_INT(bind(made.fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(getsockname(made.fd, (struct sockaddr *)&address, &length), 0);
    made.port = ntohs(address.sin_port);
    snprintf(made.endpoint, sizeof made.endpoint, "tcp://127.0.0.1:%d", made.port);
    return made;
}

/* Who connects is connected. */
static inline void server_listen(server *it) { CHECK_INT(listen(it->fd, 64), 0); }

static inline server server_listening(void) {
    server made = server_new();
    server_listen(&made);
    return made;
}

/* The oldest connection that waits, or -1. */
static inline int server_accept(server *it) { return server_prepared(accept(it->fd, NULL, NULL)); }

static inline int server_accept_one(server *it) {
    int fd = server_accept(it);
    CHECK(fd >= 0);
    return fd;
}

static inline void server_close(server *it) {
    CHECK_INT(close(it->fd), 0);
    it->fd = -1;
}

/* Whether the other side has hung up. */
static inline int is_hung_up(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}
#endif
