/* The limit of websocket_echo: a frame is unmasked and sent back by the system calls. Nothing is looked at: the load's handshake is the
 * one of RFC 6455, section 1.3, so the answer is known, and each frame comes whole and alone, with its length in one byte. */
#include "sockets.h"
#include <sys/epoll.h>

enum { EVENTS = 256, MASKED_HEADER = 6, HEADER = 2 };

static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static int epoll;

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void send_all(int fd, const void *data, size_t len) { CHECK(send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len); }

static void on_connection(int fd) {
    ssize_t len = recv(fd, received, sizeof received, 0);
    if (len <= 0) {
        if (len == 0 || errno != EAGAIN) close(fd);
    } else if (received[0] == 'G') {
        send_all(fd, accepted, sizeof accepted - 1);
    } else {
        uint8_t *mask = received + HEADER, *payload = received + MASKED_HEADER;
        size_t payload_len = received[1] & 0x7f;
        CHECK((size_t)len == MASKED_HEADER + payload_len);
        for (size_t i = 0; i < payload_len; i++) payload[i] ^= mask[i & 3];
        payload[-1] = (uint8_t)payload_len;
        payload[-2] = received[0];
        send_all(fd, payload - HEADER, HEADER + payload_len);
    }
}

static void websocket_echo(void) {
    int listener = bind_server(SOCK_STREAM), fd;
    CHECK((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    watch(listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener)
                on_connection(events[i].data.fd);
            else if ((fd = accept_one(listener)) >= 0)
                watch(fd);
        }
    }
}

static const struct workload workloads[] = {{"websocket_echo", websocket_echo}};
BENCH_MAIN(workloads)
