/* libevent's raw events: one for each descriptor, the sockets by hand in its callback. */
#include "sockets.h"
#include <event2/event.h>
#include <event2/event_struct.h>

enum { ACCEPTS = 16 };

struct connection {
    struct event event;
    struct rest rest;
};

static struct event_base *base;
static answer_fn answer;

static void watch(struct event *event, int fd, short what, event_callback_fn callback, void *data) {
    CHECK(event_assign(event, base, fd, what | EV_PERSIST, callback, data) == 0 && event_add(event, NULL) == 0);
}

static void on_connection(evutil_socket_t fd, short what, void *data) {
    struct connection *connection = data;
    enum state state = what & EV_WRITE ? send_rest(fd, &connection->rest) : receive_and_answer(fd, answer, &connection->rest);
    if (state == OVER) {
        event_del(&connection->event);
        close(fd);
        free(connection->rest.data);
        free(connection);
    } else if ((state == BLOCKED) != !!(what & EV_WRITE)) {
        event_del(&connection->event);
        watch(&connection->event, fd, state == BLOCKED ? EV_WRITE : EV_READ, on_connection, connection);
    }
}

static void on_listener(evutil_socket_t listener, short what, void *data) {
    (void)what, (void)data;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept_one(listener);
        if (fd < 0) return;
        struct connection *connection = allocate(sizeof *connection);
        connection->rest = (struct rest){NULL, 0};
        watch(&connection->event, fd, EV_READ, on_connection, connection);
    }
}

static void on_datagrams(evutil_socket_t fd, short what, void *data) {
    (void)what, (void)data;
    answer_datagrams(fd);
}

static void serve(int type, event_callback_fn callback) {
    struct event event;
    CHECK((base = event_base_new()) != NULL);
    watch(&event, bind_server(type), EV_READ, callback, NULL);
    event_base_dispatch(base);
}

static void echo(void) { answer = answer_echo, serve(SOCK_STREAM, on_listener); }
static void echo_burst(void) { fill_burst(), answer = answer_burst, serve(SOCK_STREAM, on_listener); }
static void udp(void) { serve(SOCK_DGRAM, on_datagrams); }

static const struct workload workloads[] = {
    {"echo_1x64", echo}, {"echo_64x1k", echo}, {"echo_burst", echo_burst}, {"echo_stream", echo},
    {"churn", echo},     {"idle", echo},       {"udp_echo", udp},          {"udp_gso", udp},
};
BENCH_MAIN(workloads)
