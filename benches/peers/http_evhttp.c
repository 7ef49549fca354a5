/* libevent's own HTTP server. */
#include "sockets.h"
#include "../http.h"
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

static void on_request(struct evhttp_request *request, void *data) {
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    (void)data;
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", HELLO_TYPE);
    evbuffer_add_reference(body, HELLO, strlen(HELLO), NULL, NULL);
    evhttp_send_reply(request, 200, "OK", NULL);
}

static void http_hello(void) {
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    CHECK(base != NULL && http != NULL);
    evhttp_set_gencb(http, on_request, NULL);
    CHECK(evhttp_accept_socket(http, bind_server(SOCK_STREAM)) == 0);
    event_base_dispatch(base);
}

static const struct workload workloads[] = {{"http_hello", http_hello}};
BENCH_MAIN(workloads)
