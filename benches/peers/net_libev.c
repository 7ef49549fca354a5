/* libev: a watcher for each descriptor, the sockets by hand in its callback. */
#include "sockets.h"
#include <ev.h>

enum { ACCEPTS = 16 };

struct connection {
    ev_io io;
    struct rest rest;
};

static answer_fn answer;

static void on_connection(EV_P_ ev_io *io, int revents) {
    struct connection *connection = (struct connection *)io;
    int was = revents & EV_WRITE ? EV_WRITE : EV_READ;
    enum state state = was == EV_WRITE ? send_rest(io->fd, &connection->rest)
                                       : receive_and_answer(io->fd, answer, &connection->rest);
    if (state == OVER) {
        ev_io_stop(EV_A_ io);
        close(io->fd);
        free(connection->rest.data);
        free(connection);
    } else if ((state == BLOCKED) != (was == EV_WRITE)) {
        ev_io_stop(EV_A_ io);
        ev_io_set(io, io->fd, state == BLOCKED ? EV_WRITE : EV_READ);
        ev_io_start(EV_A_ io);
    }
}

static void on_listener(EV_P_ ev_io *io, int revents) {
    (void)revents;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept_one(io->fd);
        if (fd < 0) return;
        struct connection *connection = allocate(sizeof *connection);
        connection->rest = (struct rest){NULL, 0};
        ev_io_init(&connection->io, on_connection, fd, EV_READ);
        ev_io_start(EV_A_ &connection->io);
    }
}

static void serve(int type, void (*callback)(EV_P_ ev_io *io, int revents)) {
    struct ev_loop *own = ev_loop_new(EVFLAG_AUTO);
    ev_io io;
    CHECK(own != NULL);
    ev_io_init(&io, callback, bind_server(type), EV_READ);
    ev_io_start(own, &io);
    ev_run(own, 0);
}

static void on_datagrams(EV_P_ ev_io *io, int revents) {
    (void)EV_A, (void)revents;
    answer_datagrams(io->fd);
}

static void echo(void) { answer = answer_echo, serve(SOCK_STREAM, on_listener); }
static void echo_burst(void) { fill_burst(), answer = answer_burst, serve(SOCK_STREAM, on_listener); }
static void udp(void) { serve(SOCK_DGRAM, on_datagrams); }

static const struct workload workloads[] = {
    {"echo_1x64", echo}, {"echo_64x1k", echo}, {"echo_burst", echo_burst}, {"echo_stream", echo},
    {"churn", echo},     {"idle", echo},       {"udp_echo", udp},          {"udp_gso", udp},
};
BENCH_MAIN(workloads)
