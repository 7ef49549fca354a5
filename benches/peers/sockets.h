/* Sockets by hand, for those who bring their own to the loop (raw, libev, libevent): non-blocking, one recv a wake-up, and the
 * answer sent at once. Only what the kernel does not take is copied and waits. */
#ifndef LARIAT_BENCH_SOCKETS_H
#define LARIAT_BENCH_SOCKETS_H
#include "../net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int bind_server(int type) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int one = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
    if (type == SOCK_STREAM) {
        CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);        /* the accepted ones inherit it */
        CHECK(listen(fd, BACKLOG) == 0);
    }
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    announce(ntohs(address.sin_port));
    return fd;
}

/* -1 when there is none. */
static inline int accept_one(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(fd >= 0 || errno == EAGAIN || errno == ECONNABORTED);
    return fd;
}

/* What could not be sent yet. */
struct rest {
    uint8_t *data;
    size_t len;
};

enum state { OPEN, BLOCKED, OVER };     /* BLOCKED: write before reading on */

static inline enum state send_or_keep(int fd, const uint8_t *data, size_t len, struct rest *rest) {
    ssize_t sent = rest->len > 0 ? 0 : send(fd, data, len, MSG_NOSIGNAL);
    if (sent == (ssize_t)len) return OPEN;
    if (sent < 0 && errno != EAGAIN) return OVER;
    size_t taken = sent > 0 ? (size_t)sent : 0;
    CHECK((rest->data = (uint8_t *)realloc(rest->data, rest->len + len - taken)) != NULL);
    memcpy(rest->data + rest->len, data + taken, len - taken);
    rest->len += len - taken;
    return BLOCKED;
}

static inline enum state send_rest(int fd, struct rest *rest) {
    ssize_t sent = send(fd, rest->data, rest->len, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? BLOCKED : OVER;
    rest->len -= (size_t)sent;
    if (rest->len > 0) {
        memmove(rest->data, rest->data + sent, rest->len);
        return BLOCKED;
    }
    free(rest->data);
    rest->data = NULL;
    return OPEN;
}

/* The answer of a workload to what was received. */
typedef enum state (*answer_fn)(int fd, size_t len, struct rest *rest);

static inline enum state answer_echo(int fd, size_t len, struct rest *rest) { return send_or_keep(fd, received, len, rest); }

static inline enum state answer_burst(int fd, size_t len, struct rest *rest) {
    enum state state = OPEN;
    CHECK(len == 1);
    for (int i = 0; i < BURST && state != OVER; i++) state = send_or_keep(fd, burst[i], MESSAGE, rest);
    return state;
}

static inline enum state receive_and_answer(int fd, answer_fn answer, struct rest *rest) {
    ssize_t len = recv(fd, received, sizeof received, 0);
    if (len > 0) return answer(fd, (size_t)len, rest);
    return len < 0 && errno == EAGAIN ? OPEN : OVER;
}

/* All that has come; answers are lost, as datagrams are, when the socket's buffer is full. */
static inline void answer_datagrams(int fd) {
    for (;;) {
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t len = recvfrom(fd, received, sizeof received, 0, (struct sockaddr *)&from, &from_len);
        if (len < 0) {
            CHECK(errno == EAGAIN);
            return;
        }
        CHECK(sendto(fd, received, (size_t)len, 0, (struct sockaddr *)&from, from_len) == len || errno == EAGAIN);
    }
}

#endif
