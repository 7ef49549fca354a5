/* The limit of crowd_p99: epoll, level-triggered, and the system calls. A stream sends one piece a wake-up. */
#include "../crowd.h"
#include "sockets.h"
#include <sys/epoll.h>

enum { EVENTS = 256, ACCEPTS = 16, DESCRIPTORS = 1 << 20 };
enum kind { NONE, GUEST, STREAMER };

static struct counts counts;
static uint8_t kinds[DESCRIPTORS];
static int epoll;

static void watch(int operation, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    CHECK(epoll_ctl(epoll, operation, fd, &event) == 0);
}

static void end(int fd, long *how) {
    counts.ended++;
    ++*how;
    counts.stopped += kinds[fd] == STREAMER;
    counts.twice += kinds[fd] == NONE;
    kinds[fd] = NONE;
    close(fd);
}

static void receive(int fd) {
    ssize_t len = recv(fd, received, sizeof received, 0);
    if (len < 0 && errno == EAGAIN) return;
    if (len < 0) return end(fd, &counts.reset);
    if (len == 0) return end(fd, &counts.done);
    if (received[0] == STREAM) {
        kinds[fd] = STREAMER;
        counts.streams++;
        watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
    } else if (received[0] == GARBAGE) {
        struct linger at_once = {1, 0};
        CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
        end(fd, &counts.garbage);
    } else if (send(fd, received, (size_t)len, MSG_NOSIGNAL) != len) {
        end(fd, &counts.reset);         /* a request is small, and nobody has two on its way */
    }
}

static void accept_some(int listener) {
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept_one(listener);
        if (fd < 0) return;
        CHECK(fd < DESCRIPTORS);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
        kinds[fd] = GUEST;
        counts.accepted++;
    }
}

static void crowd(void) {
    int listener = bind_server(SOCK_STREAM), open = 1;
    CHECK((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    CHECK(listen(listener, CROWD_BACKLOG) == 0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN);
    while (open || counts.ended < counts.accepted) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_some(listener);
            } else if (fd == STDIN_FILENO) {
                open = 0;
                watch(EPOLL_CTL_DEL, listener, 0);
                watch(EPOLL_CTL_DEL, fd, 0);
            } else {
                if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(fd);
                if (kinds[fd] == STREAMER && events[i].events & EPOLLOUT && send(fd, piece, sizeof piece, MSG_NOSIGNAL) < 0)
                    if (errno != EAGAIN) end(fd, &counts.reset);
            }
        }
    }
    tell_counts(counts);
}

static const struct workload workloads[] = {{"crowd_p99", crowd}};
BENCH_MAIN(workloads)
