/* libuv. Reads go into one buffer for all. Writes: uv_try_write first, and uv_write for what is left; with ALWAYS_UV_WRITE
 * uv_write alone, which needs a request and a copy each time and is what most programs do. */
#include "../net.h"
#include <arpa/inet.h>
#include <signal.h>
#include <uv.h>

static uv_loop_t *loop;
static void (*answer)(uv_stream_t *connection, size_t len);

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle, (void)suggested;
    *buffer = uv_buf_init((char *)received, sizeof received);
}

static void on_closed(uv_handle_t *connection) { free(connection); }

static void close_connection(uv_stream_t *connection) {
    if (!uv_is_closing((uv_handle_t *)connection)) uv_close((uv_handle_t *)connection, on_closed);
}

struct write {
    uv_write_t request;
    char data[];
};

static void on_written(uv_write_t *request, int status) {
    if (status < 0) close_connection(request->handle);
    free(request);
}

static void write_all(uv_stream_t *connection, const uint8_t *data, size_t len) {
#ifndef ALWAYS_UV_WRITE
    uv_buf_t all = uv_buf_init((char *)data, (unsigned)len);
    int taken = uv_try_write(connection, &all, 1);
    if (taken == (int)len) return;
    if (taken > 0) data += taken, len -= (size_t)taken;
#endif
    struct write *write = allocate(sizeof *write + len);
    uv_buf_t rest = uv_buf_init(write->data, (unsigned)len);
    memcpy(write->data, data, len);
    CHECK(uv_write(&write->request, connection, &rest, 1, on_written) == 0);
}

static void answer_echo(uv_stream_t *connection, size_t len) { write_all(connection, received, len); }

static void answer_burst(uv_stream_t *connection, size_t len) {
    CHECK(len == 1);
    for (int i = 0; i < BURST; i++) write_all(connection, burst[i], MESSAGE);
}

static void on_read(uv_stream_t *connection, ssize_t len, const uv_buf_t *buffer) {
    (void)buffer;
    if (len > 0)
        answer(connection, (size_t)len);
    else if (len < 0)
        close_connection(connection);
}

static void on_connection(uv_stream_t *listener, int status) {
    uv_tcp_t *connection = allocate(sizeof *connection);
    CHECK(status == 0 && uv_tcp_init(loop, connection) == 0);
    CHECK(uv_accept(listener, (uv_stream_t *)connection) == 0 && uv_tcp_nodelay(connection, 1) == 0);
    CHECK(uv_read_start((uv_stream_t *)connection, on_allocate, on_read) == 0);
}

static struct sockaddr_in address;

static void serve(void (*how)(uv_stream_t *connection, size_t len)) {
    uv_tcp_t listener;
    int len = sizeof address;
    answer = how;
    loop = uv_default_loop();
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(uv_ip4_addr("127.0.0.1", 0, &address) == 0 && uv_tcp_init(loop, &listener) == 0);
    CHECK(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) == 0);
    CHECK(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection) == 0);
    CHECK(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &len) == 0);
    announce(ntohs(address.sin_port));
    uv_run(loop, UV_RUN_DEFAULT);
}

static void echo(void) { serve(answer_echo); }
static void echo_burst(void) { fill_burst(), serve(answer_burst); }

#ifndef ALWAYS_UV_WRITE
enum { BATCH = 20 };        /* what recvmmsg is given at most, 64 KiB for each */

static void on_allocate_batch(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    static char batch[BATCH * BLOCK];
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(batch, sizeof batch);
}

static void on_datagram(uv_udp_t *socket, ssize_t len, const uv_buf_t *buffer, const struct sockaddr *peer, unsigned flags) {
    uv_buf_t data = uv_buf_init(buffer->base, (unsigned)len);
    (void)flags;
    CHECK(len >= 0);
    if (peer == NULL) return;       /* no more for now, or the batch has been handed out */
    int sent = uv_udp_try_send(socket, &data, 1, peer);
    CHECK(sent == len || sent == UV_EAGAIN);
}

static void serve_datagrams(unsigned flags, uv_alloc_cb on_allocate_datagrams) {
    uv_udp_t socket;
    int len = sizeof address;
    loop = uv_default_loop();
    CHECK(uv_ip4_addr("127.0.0.1", 0, &address) == 0 && uv_udp_init_ex(loop, &socket, AF_INET | flags) == 0);
    CHECK(uv_udp_bind(&socket, (struct sockaddr *)&address, 0) == 0);
    CHECK(uv_udp_getsockname(&socket, (struct sockaddr *)&address, &len) == 0);
    CHECK(uv_udp_recv_start(&socket, on_allocate_datagrams, on_datagram) == 0);
    announce(ntohs(address.sin_port));
    uv_run(loop, UV_RUN_DEFAULT);
}

static void udp_echo(void) { serve_datagrams(0, on_allocate); }
static void udp_gso(void) { serve_datagrams(UV_UDP_RECVMMSG, on_allocate_batch); }
#endif

static const struct workload workloads[] = {
    {"echo_1x64", echo}, {"echo_64x1k", echo}, {"echo_burst", echo_burst}, {"echo_stream", echo},
#ifndef ALWAYS_UV_WRITE
    {"churn", echo},     {"idle", echo},       {"udp_echo", udp_echo},     {"udp_gso", udp_gso},
#endif
};
BENCH_MAIN(workloads)
