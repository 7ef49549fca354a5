/* The limit of http_hello: epoll and the system calls, and an answer that is made once a second. What a request says is not
 * looked at, but for where it ends; those that come together are answered together. */
#include "sockets.h"
#include "../http.h"
#include <sys/epoll.h>

enum { EVENTS = 256, ACCEPTS = 16, ANSWER = 512, PIPELINED = 64 };

static int epoll;
static char answers[PIPELINED * ANSWER];
static size_t answer_len;
static time_t answered_at;

static void write_answers(time_t now) {
    char date[64];
    struct tm parts;
    if (now == answered_at) return;
    answered_at = now;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    answer_len = (size_t)snprintf(answers, ANSWER, "HTTP/1.1 200 OK\r\nServer: raw\r\nDate: %s\r\nContent-Type: " HELLO_TYPE
        "\r\nContent-Length: %zu\r\nConnection: keep-alive\r\n\r\n" HELLO, date, strlen(HELLO));
    for (int i = 1; i < PIPELINED; i++) memcpy(answers + (size_t)i * answer_len, answers, answer_len);
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void on_connection(int fd) {
    ssize_t len = recv(fd, received, sizeof received, 0);
    size_t requests = 0;
    if (len <= 0) {
        if (len == 0 || errno != EAGAIN) close(fd);
        return;
    }
    for (const uint8_t *at = received, *end = received + len; (at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL; at += 4)
        requests++;
    CHECK(requests > 0 && requests <= PIPELINED);       /* the load sends whole ones */
    CHECK(send(fd, answers, requests * answer_len, MSG_NOSIGNAL) == (ssize_t)(requests * answer_len));
}

static void http_hello(void) {
    int listener = bind_server(SOCK_STREAM);
    CHECK((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    watch(listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        struct timespec now;
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
        write_answers(now.tv_sec);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                on_connection(fd);
                continue;
            }
            for (int accepted = 0; accepted < ACCEPTS && (fd = accept_one(listener)) >= 0; accepted++) watch(fd);
        }
    }
}

static const struct workload workloads[] = {{"http_hello", http_hello}};
BENCH_MAIN(workloads)
