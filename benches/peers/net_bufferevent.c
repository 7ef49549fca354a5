/* libevent's bufferevents: it reads, keeps what is to be written, joins a burst, and writes when the callback has returned.
 * The echo moves the buffer, it does not copy. */
#include "sockets.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>

static bufferevent_data_cb on_data;

static void on_echo(struct bufferevent *connection, void *data) {
    (void)data;
    CHECK(bufferevent_write_buffer(connection, bufferevent_get_input(connection)) == 0);
}

static void on_burst(struct bufferevent *connection, void *data) {
    struct evbuffer *input = bufferevent_get_input(connection);
    (void)data;
    CHECK(evbuffer_get_length(input) == 1 && evbuffer_drain(input, 1) == 0);
    for (int i = 0; i < BURST; i++) CHECK(bufferevent_write(connection, burst[i], MESSAGE) == 0);
}

static void on_event(struct bufferevent *connection, short what, void *data) {
    (void)data;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) bufferevent_free(connection);
}

static void on_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int peer_len, void *data) {
    struct bufferevent *connection = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
    (void)peer, (void)peer_len, (void)data;
    CHECK(connection != NULL);
    bufferevent_setcb(connection, on_data, NULL, on_event, NULL);
    CHECK(bufferevent_enable(connection, EV_READ | EV_WRITE) == 0);
}

static void serve(bufferevent_data_cb callback) {
    struct event_base *base = event_base_new();
    CHECK(base != NULL && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    on_data = callback;
    CHECK(evconnlistener_new(base, on_accepted, NULL, LEV_OPT_CLOSE_ON_FREE, 0, bind_server(SOCK_STREAM)) != NULL);
    event_base_dispatch(base);
}

static void echo(void) { serve(on_echo); }
static void echo_burst(void) { fill_burst(), serve(on_burst); }

static const struct workload workloads[] = {
    {"echo_1x64", echo},   {"echo_64x1k", echo}, {"echo_burst", echo_burst},
    {"echo_stream", echo}, {"churn", echo},      {"idle", echo},
};
BENCH_MAIN(workloads)
