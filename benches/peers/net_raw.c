/* The limit of the networking workloads: epoll, level-triggered, and the system calls; nothing is kept of a connection but
 * its descriptor, unless it cannot be written. A burst is joined by hand; udp_gso takes and sends a batch by one call. */
#include "sockets.h"
#include <netinet/udp.h>
#include <sys/epoll.h>

enum { EVENTS = 256, ACCEPTS = 16, DESCRIPTORS = 1 << 20 };

static struct rest rests[DESCRIPTORS];      /* of zero pages, but for those that were needed */
static int epoll;

static void watch(int operation, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    CHECK(epoll_ctl(epoll, operation, fd, &event) == 0);
}

static void accept_some(int listener) {
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept_one(listener);
        if (fd < 0) return;
        CHECK(fd < DESCRIPTORS);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void serve(answer_fn answer) {
    int listener = bind_server(SOCK_STREAM);
    CHECK((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            enum state state;
            if (fd == listener) {
                accept_some(listener);
                continue;
            }
            if (events[i].events & (EPOLLERR | EPOLLHUP))
                state = OVER;
            else if (events[i].events & EPOLLOUT)
                state = send_rest(fd, &rests[fd]);
            else
                state = receive_and_answer(fd, answer, &rests[fd]);
            if (state == OVER) {
                if (rests[fd].data != NULL) {
                    free(rests[fd].data);
                    rests[fd] = (struct rest){NULL, 0};
                }
                close(fd);
            } else if ((state == BLOCKED) != !!(events[i].events & EPOLLOUT)) {
                watch(EPOLL_CTL_MOD, fd, state == BLOCKED ? EPOLLOUT : EPOLLIN);
            }
        }
    }
}

static enum state answer_burst_joined(int fd, size_t len, struct rest *rest) {
    uint8_t joined[BURST * MESSAGE];
    CHECK(len == 1);
    for (int i = 0; i < BURST; i++) memcpy(joined + i * MESSAGE, burst[i], MESSAGE);
    return send_or_keep(fd, joined, sizeof joined, rest);
}

static void echo(void) { serve(answer_echo); }
static void echo_burst(void) { fill_burst(), serve(answer_burst_joined); }

static void serve_datagrams(int fd, void (*answer)(int fd)) {
    struct epoll_event event;
    CHECK((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    for (;;)
        if (epoll_wait(epoll, &event, 1, -1) == 1) answer(fd);
}

static void udp_echo(void) { serve_datagrams(bind_server(SOCK_DGRAM), answer_datagrams); }

static void answer_batches(int fd) {
    for (;;) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct sockaddr_in peer;
        struct iovec data = {received, sizeof received};
        struct msghdr message = {.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &data, .msg_iovlen = 1,
                                 .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t len = recvmsg(fd, &message, 0);
        if (len < 0) {
            CHECK(errno == EAGAIN);
            return;
        }
        int segment = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
            if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) memcpy(&segment, CMSG_DATA(c), sizeof segment);
        data.iov_len = (size_t)len;
        message.msg_controllen = 0;
        if (segment > 0 && len > segment) {
            uint16_t size = (uint16_t)segment;
            message.msg_controllen = CMSG_SPACE(sizeof size);
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            *header = (struct cmsghdr){.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
            memcpy(CMSG_DATA(header), &size, sizeof size);
        }
        CHECK(sendmsg(fd, &message, 0) == len || errno == EAGAIN);
    }
}

static void udp_gso(void) {
    int one = 1, fd = bind_server(SOCK_DGRAM);
    CHECK(setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof one) == 0);
    serve_datagrams(fd, answer_batches);
}

static const struct workload workloads[] = {
    {"echo_1x64", echo}, {"echo_64x1k", echo}, {"echo_burst", echo_burst}, {"echo_stream", echo},
    {"churn", echo},     {"idle", echo},       {"udp_echo", udp_echo},     {"udp_gso", udp_gso},
};
BENCH_MAIN(workloads)
