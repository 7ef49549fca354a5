/* A reverse proxy: an HTTP server in front, an HTTP client behind, and bodies streamed both ways.
 *
 *     reverse_proxy http://127.0.0.1:8080 http://127.0.0.1:3000                          plain, HTTP/2 by those who know of it too
 *     reverse_proxy 'https://0.0.0.0:8443?certificate=a.pem&private_key=a.key' http://...      by TLS, HTTP/2 and HTTP/1.1
 *     reverse_proxy                  or `reverse_proxy --demo`: before a server of its own, and with a client
 *
 * A side that reads slowly has the other read from slowly, so that little waits here however much is sent. What is about one
 * connection alone is not passed on; the server behind is told by X-Forwarded-For and the like for whom it works. Where it cannot be
 * reached the answer is 502, where it takes too long, 504. A WebSocket, or whatever a connection is upgraded to, passes as bytes. */
#include <lariat.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#define strcasecmp _stricmp
#define strncasecmp _strnicmp
#else
#include <strings.h>
#endif

enum { MOST_HEADERS = 128, LINE = 8192, HEAD = 32768 };

typedef struct proxy {
    lariat_reactor *reactor;
    lariat_http_server *server;
    lariat_http_agent *agent;
    const char *behind;                /* such as "http://127.0.0.1:3000" */
} proxy;

/* ---- headers ---- */

/* Whether a list of tokens with commas has this one. */
static int lists(const char *list, const char *token) {
    size_t length = strlen(token);
    while (list != NULL && *list != 0) {
        list += strspn(list, ", \t");
        size_t has = strcspn(list, ", \t");
        if (has == length && strncasecmp(list, token, length) == 0)
            return 1;
        list += has;
    }
    return 0;
}

/* What is about one connection alone (RFC 9110, 7.6.1), or is said anew by whoever sends the message on. */
static int stays_here(const char *name, const char *connection) {
    static const char *names[] = {"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE",
                                  "Trailer",    "Transfer-Encoding", "Upgrade",   "Expect", "X-Forwarded-For",
                                  "X-Forwarded-Host", "X-Forwarded-Proto"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return 1;
    return lists(connection, name);
}

typedef struct headers {
    const char *lines[MOST_HEADERS + 4];
    size_t count, used;
    char text[HEAD + 4 * LINE];
} headers;

__attribute__((format(printf, 2, 3))) static void add_line(headers *headers, const char *format, ...) {
    char *line = headers->text + headers->used;
    size_t room = sizeof headers->text - headers->used;
    va_list arguments;
    va_start(arguments, format);
    size_t length = (size_t)vsnprintf(line, room, format, arguments);
    va_end(arguments);
    if (length >= room || headers->count == MOST_HEADERS + 3)
        return;                                              /* the server's limits leave room for all of them */
    headers->lines[headers->count++] = line;
    headers->used += length + 1;
}

/* The address without the port: "tcp://192.0.2.1:4711" is "192.0.2.1". */
static void client_of(lariat_http_request *request, char *text, size_t capacity) {
    char peer[128] = "";
    lariat_transport_peer(lariat_http_request_transport(request), peer, sizeof peer, NULL);
    const char *host = strstr(peer, "://") != NULL ? strstr(peer, "://") + 3 : "unknown";
    const char *port = strrchr(host, ':');
    snprintf(text, capacity, "%.*s", (int)(port != NULL ? port - host : (int)strlen(host)), host);
}

/* The headers of a request as the server behind gets them. */
static void pass_headers(headers *headers, lariat_http_request *request) {
    const char *connection = lariat_http_request_header(request, "Connection"), *name, *value;
    for (size_t i = 0; lariat_http_request_header_at(request, i, &name, &value) == LARIAT_OK; i++)
        if (!stays_here(name, connection) && strcasecmp(name, "Content-Length") != 0 && headers->count < MOST_HEADERS)
            add_line(headers, "%s: %s", name, value);
    char client[128];
    client_of(request, client, sizeof client);
    const char *before = lariat_http_request_header(request, "X-Forwarded-For");
    const char *host = lariat_http_request_host(request);
    add_line(headers, "X-Forwarded-For: %s%s%s", before != NULL ? before : "", before != NULL ? ", " : "", client);
    add_line(headers, "X-Forwarded-Proto: %s", lariat_http_request_is_secure(request) == 1 ? "https" : "http");
    if (host != NULL)
        add_line(headers, "X-Forwarded-Host: %s", host);
}

/* ---- a request that passes. Handles are tokens: of a request or response that is over, a call is refused, and no more ---- */

typedef struct pass {
    lariat_http_request *request;
    lariat_http_exchange *exchange;
    lariat_http_response *response;
    int owners;                        /* the request in front, and the one behind */
} pass;

static void release(void *data) {
    pass *pass = data;
    if (--pass->owners == 0)
        free(pass);
}

/* The client is gone, or has its answer. What still comes from behind is for nobody. */
static void *request_is_over(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)value, (void)failure;
    pass *pass = user_data;
    lariat_http_response_free(pass->response);
    release(pass);
    return NULL;
}

/* ---- the body of the request: produced in front, sent behind ---- */

static void send_on(lariat_http_request *request, const uint8_t *data, size_t len, void *user_data) {
    (void)request;
    lariat_http_exchange_write(((pass *)user_data)->exchange, data, len);
}

static void end_request(lariat_http_request *request, const lariat_failure *failure, void *user_data) {
    (void)request;
    pass *pass = user_data;
    if (failure == NULL)
        lariat_http_exchange_finish(pass->exchange);
    else
        lariat_http_exchange_fail(pass->exchange, lariat_failure_code(failure), lariat_failure_message(failure));
}

static void start_body(lariat_http_exchange *exchange, void *user_data) {
    pass *pass = user_data;
    pass->exchange = exchange;
    lariat_http_request_set_max_body(pass->request, UINT64_MAX);   /* none of it is kept here */
    if (lariat_http_request_set_body_functions(pass->request, send_on, end_request, pass) != LARIAT_OK)
        lariat_http_exchange_fail(exchange, LARIAT_ERR_CANCELLED, "the client is gone");
}

static void hold_body(lariat_http_exchange *exchange, void *user_data) {
    (void)exchange;
    lariat_http_request_pause_body(((pass *)user_data)->request);
}

static void let_body_go(lariat_http_exchange *exchange, void *user_data) {
    (void)exchange;
    lariat_http_request_resume_body(((pass *)user_data)->request);
}

/* ---- the response: from behind to the front ---- */

static void hold_response(lariat_http_request *request, void *user_data) {
    (void)request;
    lariat_http_response_pause_body(((pass *)user_data)->response);
}

static void let_response_go(lariat_http_request *request, void *user_data) {
    (void)request;
    lariat_http_response_resume_body(((pass *)user_data)->response);
}

static void answer_on(lariat_http_response *response, const uint8_t *data, size_t len, void *user_data) {
    (void)response;
    lariat_http_request_write(((pass *)user_data)->request, data, len);
}

static void end_answer(lariat_http_response *response, const lariat_failure *reason, void *user_data) {
    (void)response;
    pass *pass = user_data;
    pass->response = NULL;
    lariat_http_request_unregister_producer(pass->request);
    if (reason != NULL || lariat_http_request_finish(pass->request) != LARIAT_OK)
        lariat_http_request_abort(pass->request);            /* so that nobody takes a part for the whole */
}

static void *answer(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    pass *pass = user_data;
    pass->response = value;
    lariat_http_request_set_response_code(pass->request, lariat_http_response_code(value));
    const char *connection = lariat_http_response_header(value, "Connection"), *name, *its;
    for (size_t i = 0; lariat_http_response_header_at(value, i, &name, &its) == LARIAT_OK; i++)
        if (!stays_here(name, connection))
            lariat_http_request_add_header(pass->request, name, its);
    lariat_http_producer producer;
    lariat_http_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold_response;
    producer.resume_producing = let_response_go;
    lariat_http_request_register_producer(pass->request, &producer, pass);
    lariat_http_request_write(pass->request, NULL, 0);       /* the head goes at once */
    pass->owners++;
    lariat_http_response_deliver_body_full(value, answer_on, end_answer, pass, release);
    return value;                                            /* it lives until its body has ended */
}

static void refuse(lariat_http_request *request, int code, const char *why) {
    char text[512];
    int length = snprintf(text, sizeof text, "%d: %s\n", code, why);
    if (lariat_http_request_respond(request, code, "text/plain; charset=utf-8", (const uint8_t *)text, (size_t)length) == LARIAT_OK)
        fprintf(stderr, "%s", text);
}

static void *no_answer(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    int timed_out = lariat_failure_code(failure) == LARIAT_ERR_TIMED_OUT;
    refuse(((pass *)user_data)->request, timed_out ? 504 : 502, lariat_failure_message(failure));
    return NULL;
}

static lariat_deferred *pass_on(proxy *proxy, lariat_http_request *request) {
    pass *pass = calloc(1, sizeof *pass);
    headers *headers = calloc(1, sizeof *headers);
    lariat_deferred *over = lariat_http_request_notify_finish(request);
    if (pass == NULL || headers == NULL || over == NULL) {
        lariat_deferred_release(over);
        free(pass);
        free(headers);
        refuse(request, 503, "no memory");
        return NULL;
    }
    *pass = (struct pass){.request = request, .owners = 2};
    lariat_deferred_add_both(over, request_is_over, pass);
    lariat_deferred_release(over);
    pass_headers(headers, request);
    char url[LINE + 256];
    snprintf(url, sizeof url, "%s%s", proxy->behind, lariat_http_request_target(request));
    lariat_http_request_options options;
    lariat_http_request_options_init(&options, sizeof options);
    options.flags = LARIAT_HTTP_REQUEST_NO_REDIRECTS | LARIAT_HTTP_REQUEST_NO_DECOMPRESSION;   /* all of that is the client's affair */
    options.method = lariat_http_request_method(request);
    options.url = url;
    options.headers = headers->lines;
    int64_t length = lariat_http_request_content_length(request);
    if (length != 0) {
        options.start_producing = start_body;
        options.pause_producing = hold_body;
        options.resume_producing = let_body_go;
        options.body_length = length > 0 ? length : LARIAT_HTTP_UNKNOWN_LENGTH;
    }
    options.producer_data = pass;
    options.free_producer_data = release;
    lariat_deferred *answered = lariat_http_agent_request(proxy->agent, &options);
    free(headers);
    if (answered == NULL)
        refuse(request, 502, lariat_last_error_message());
    lariat_deferred_add_callbacks(answered, answer, no_answer, pass);    /* a NULL does no harm */
    return answered;                                         /* handed over: it is cancelled when the client is gone */
}

/* ---- a connection that is taken over: a WebSocket, say ---- */

typedef struct tunnel {
    proxy *proxy;
    lariat_http_request *request;
    lariat_transport *front, *back;
    int owners, opened;
    size_t length;
    char head[HEAD + 1];               /* first what is said to the server behind, then what it answers */
} tunnel;

static void release_tunnel(void *self) {
    tunnel *tunnel = self;
    if (--tunnel->owners == 0)
        free(tunnel);
}

static lariat_transport *other_end(const tunnel *tunnel, const lariat_transport *end) {
    return end == tunnel->front ? tunnel->back : tunnel->front;
}

static void carry(lariat_transport *end, const uint8_t *data, size_t len, void *self) {
    lariat_transport_write(other_end(self, end), data, len);
}

static void hold_other(lariat_transport *end, void *self) {
    lariat_transport_pause_reading(other_end(self, end));
}

static void let_other_go(lariat_transport *end, void *self) {
    lariat_transport_resume_reading(other_end(self, end));
}

static void close_other(lariat_transport *end, const lariat_failure *reason, void *self) {
    (void)reason;
    tunnel *tunnel = self;
    lariat_transport_lose_connection(other_end(tunnel, end));
    if (!tunnel->opened)
        refuse(tunnel->request, 502, "the server has closed the connection before it answered");
}

static void watch(tunnel *tunnel, lariat_transport *end) {
    lariat_producer producer;
    lariat_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold_other;
    producer.resume_producing = let_other_go;
    lariat_transport_register_producer(end, &producer, tunnel);
}

/* The server behind has agreed, or has not; `rest` came behind its answer. */
static void open_tunnel(tunnel *tunnel, const uint8_t *rest, size_t length) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.data_received = carry;
    protocol.connection_lost = close_other;
    protocol.free_self = release_tunnel;
    tunnel->opened = 1;
    char *line = strtok(tunnel->head, "\r\n");
    int code = line != NULL && strncmp(line, "HTTP/1.1 ", 9) == 0 ? atoi(line + 9) : 0;
    if (code != 101) {
        refuse(tunnel->request, code >= 400 && code < 600 ? code : 502, "the server does not upgrade the connection");
        lariat_transport_lose_connection(tunnel->back);
        return;
    }
    while ((line = strtok(NULL, "\r\n")) != NULL) {
        char *value = strchr(line, ':');
        if (value == NULL || strncasecmp(line, "Connection", 10) == 0)
            continue;
        *value++ = 0;
        lariat_http_request_add_header(tunnel->request, line, value + strspn(value, " "));
    }
    tunnel->owners++;
    tunnel->front = lariat_http_request_upgrade(tunnel->request, 101, &protocol, tunnel);
    if (tunnel->front == NULL) {
        lariat_transport_lose_connection(tunnel->back);
        return;
    }
    watch(tunnel, tunnel->front);
    watch(tunnel, tunnel->back);
    if (length != 0)
        lariat_transport_write(tunnel->front, rest, length);
}

static void hear(lariat_transport *back, const uint8_t *data, size_t len, void *self) {
    tunnel *tunnel = self;
    if (tunnel->opened) {
        carry(back, data, len, self);
        return;
    }
    size_t before = tunnel->length, take = len < HEAD - before ? len : HEAD - before;
    memcpy(tunnel->head + before, data, take);
    tunnel->length += take;
    tunnel->head[tunnel->length] = 0;
    char *end = strstr(tunnel->head, "\r\n\r\n");
    if (end != NULL) {
        size_t used = (size_t)(end + 4 - tunnel->head) - before;
        *end = 0;
        open_tunnel(tunnel, data + used, len - used);
    } else if (tunnel->length == HEAD) {
        lariat_transport_abort_connection(back);
    }
}

static void ask_for_upgrade(lariat_transport *back, void *self) {
    tunnel *tunnel = self;
    tunnel->back = back;
    lariat_transport_write(back, (const uint8_t *)tunnel->head, tunnel->length);
    tunnel->length = 0;
}

static void *no_tunnel(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    refuse(user_data, lariat_failure_code(failure) == LARIAT_ERR_TIMED_OUT ? 504 : 502, lariat_failure_message(failure));
    return NULL;
}

static lariat_deferred *tunnel_to(proxy *proxy, lariat_http_request *request) {
    tunnel *tunnel = calloc(1, sizeof *tunnel);
    headers *headers = calloc(1, sizeof *headers);
    if (tunnel == NULL || headers == NULL) {
        free(tunnel);
        free(headers);
        refuse(request, 503, "no memory");
        return NULL;
    }
    tunnel->proxy = proxy, tunnel->request = request, tunnel->owners = 1;
    pass_headers(headers, request);
    int length = snprintf(tunnel->head, HEAD, "%s %s HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: %s\r\n",
                          lariat_http_request_method(request), lariat_http_request_target(request),
                          lariat_http_request_header(request, "Upgrade"));
    for (size_t i = 0; i < headers->count && length < HEAD; i++)
        length += snprintf(tunnel->head + length, HEAD - (size_t)length, "%s\r\n", headers->lines[i]);
    free(headers);
    if (length + 2 >= HEAD) {
        free(tunnel);
        refuse(request, 431, "the headers are too large");
        return NULL;
    }
    tunnel->length = (size_t)length + (size_t)snprintf(tunnel->head + length, HEAD - (size_t)length, "\r\n");
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = ask_for_upgrade;
    protocol.data_received = hear;
    protocol.connection_lost = close_other;
    protocol.free_self = release_tunnel;
    char endpoint[256];
    int secure = strncmp(proxy->behind, "https", 5) == 0;
    snprintf(endpoint, sizeof endpoint, "%s%s", secure ? "https" : "tcp", strchr(proxy->behind, ':'));
    lariat_deferred *connected = lariat_reactor_connect(proxy->reactor, endpoint, &protocol, tunnel);
    if (connected == NULL)
        refuse(request, 502, lariat_last_error_message());
    lariat_deferred_add_errback(connected, no_tunnel, request);
    return connected;
}

/* ---- the proxy ---- */

static lariat_deferred *handle(lariat_http_request *request, void *user_data) {
    int upgrades = lists(lariat_http_request_header(request, "Connection"), "upgrade");
    if (lariat_http_request_target(request)[0] != '/') {
        refuse(request, 501, "only paths are passed on");
        return NULL;
    }
    return upgrades && lariat_http_request_header(request, "Upgrade") != NULL ? tunnel_to(user_data, request)
                                                                                : pass_on(user_data, request);
}

static lariat_listener *start_proxy(proxy *proxy, const char *endpoint, double patience) {
    lariat_http_server_options server;
    lariat_http_server_options_init(&server, sizeof server);
    server.http2_on_plain = 1;
    server.server_name = "";                                 /* that is the answering server's affair */
    lariat_http_agent_options agent;
    lariat_http_agent_options_init(&agent, sizeof agent);
    agent.max_connections_per_host = 64;
    agent.response_seconds = patience;
    agent.user_agent = "";
    proxy->server = lariat_http_server_new(proxy->reactor, &server);
    proxy->agent = lariat_http_agent_new(proxy->reactor, &agent);
    lariat_http_server_set_handler(proxy->server, handle, proxy);
    return lariat_http_server_listen(proxy->server, endpoint);
}

/* ---- the demonstration: a server that tells what it gets, behind the proxy, and a client in front of it ---- */

enum { MUCH = 4 * 1024 * 1024 };

typedef struct demo {
    proxy proxy;
    lariat_http_agent *client;
    char front[128], back[128];
    int step;
} demo;

static lariat_deferred *serve(lariat_http_request *request, void *user_data) {
    (void)user_data;
    const char *path = lariat_http_request_path(request);
    if (strcmp(path, "/who") == 0) {
        char text[512];
        const char *hop = lariat_http_request_header(request, "X-Hop");
        int length = snprintf(text, sizeof text, "for %s, by %s, hop-by-hop: %s", lariat_http_request_header(request, "X-Forwarded-For"),
                              lariat_http_request_header(request, "X-Forwarded-Proto"), hop != NULL ? hop : "nothing");
        lariat_http_request_respond(request, 200, "text/plain", (const uint8_t *)text, (size_t)length);
    } else if (strcmp(path, "/much") == 0) {
        uint8_t *much = calloc(1, MUCH);
        lariat_http_request_respond(request, 200, NULL, much, much != NULL ? MUCH : 0);
        free(much);
    } else if (strcmp(path, "/echo") == 0) {
        lariat_http_request_set_max_body(request, MUCH);
        lariat_http_request_respond_deferred(request, 200, NULL, lariat_http_request_read_body(request));
    } else if (strcmp(path, "/never") != 0) {
        lariat_http_request_respond(request, 404, "text/plain", (const uint8_t *)"not here", 8);
    }
    return NULL;
}

static void next_step(demo *demo);

static void *print_body(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    size_t length = lariat_bytes_length(value);
    if (length > 1000)
        printf("%zu bytes\n", length);
    else
        printf("%.*s%s", (int)length, (const char *)lariat_bytes_data(value), length != 0 && lariat_bytes_data(value)[length - 1] == '\n' ? "" : "\n");
    next_step(user_data);
    return NULL;
}

static void *print_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    printf("%s\n", lariat_failure_message(failure));
    next_step(user_data);
    return NULL;
}

static void *print_answer(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    printf("%d: ", lariat_http_response_code(value));
    return lariat_deferred_wait_for(deferred, lariat_http_response_read_body(value, 0));
}

static void ask(demo *demo, const char *path, const uint8_t *body, size_t length) {
    char url[256];
    snprintf(url, sizeof url, "%s%s", demo->front, path);
    const char *own[] = {"Connection: X-Hop", "X-Hop: for you alone", "X-Forwarded-For: 203.0.113.7", NULL};
    lariat_http_request_options options;
    lariat_http_request_options_init(&options, sizeof options);
    options.url = url;
    options.headers = own;
    options.method = body != NULL ? "POST" : "GET";
    options.body = body;
    options.body_len = length;
    lariat_deferred *answered = lariat_http_agent_request(demo->client, &options);
    lariat_deferred_add_callback(answered, print_answer, demo);
    lariat_deferred_add_callbacks(answered, print_body, print_failure, demo);
    lariat_deferred_release(answered);
}

static void next_step(demo *demo) {
    fflush(stdout);
    uint8_t *much = calloc(1, MUCH);
    switch (demo->step++) {
    case 0: ask(demo, "/who", NULL, 0); break;
    case 1: ask(demo, "/much", NULL, 0); break;
    case 2: ask(demo, "/echo", much, MUCH); break;
    case 3: ask(demo, "/nowhere", NULL, 0); break;
    case 4: ask(demo, "/never", NULL, 0); break;
    case 5:
        demo->proxy.behind = "http://127.0.0.1:1";           /* where nobody listens */
        ask(demo, "/who", NULL, 0);
        break;
    default: lariat_reactor_stop(demo->proxy.reactor);
    }
    free(much);
}

static void start_demo(void *user_data) {
    next_step(user_data);
}

/* "tcp://127.0.0.1:4711" is "http://127.0.0.1:4711". */
static void url_of(lariat_listener *listener, char *url, size_t capacity) {
    char address[100] = "";
    lariat_listener_address(listener, address, sizeof address, NULL);
    snprintf(url, capacity, "http%s", strchr(address, ':') != NULL ? strchr(address, ':') : "");
}

static int demonstrate(demo *demo) {
    lariat_reactor *reactor = demo->proxy.reactor;
    lariat_http_server *back = lariat_http_server_new(reactor, NULL);
    lariat_http_server_set_handler(back, serve, demo);
    url_of(lariat_http_server_listen(back, "http://127.0.0.1:0"), demo->back, sizeof demo->back);
    demo->proxy.behind = demo->back;
    lariat_listener *front = start_proxy(&demo->proxy, "http://127.0.0.1:0", 0.2);
    if (front == NULL)
        return 0;
    url_of(front, demo->front, sizeof demo->front);
    demo->client = lariat_http_agent_new(reactor, NULL);
    lariat_reactor_call_when_running(reactor, start_demo, demo);
    return 1;
}

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    if (!demonstrates && argc != 3) {
        fprintf(stderr, "reverse_proxy ENDPOINT URL | reverse_proxy --demo\n");
        return 2;
    }
    demo demo = {.proxy = {.reactor = lariat_reactor_new(), .behind = demonstrates ? "" : argv[2]}};
    int works = demonstrates ? demonstrate(&demo) : start_proxy(&demo.proxy, argv[1], 60) != NULL;
    if (!works)
        fprintf(stderr, "%s\n", lariat_last_error_message());
    lariat_status status = works ? lariat_reactor_run(demo.proxy.reactor) : LARIAT_OK;
    lariat_status freed = lariat_reactor_free(demo.proxy.reactor);
    return !works || status != LARIAT_OK || freed != LARIAT_OK;
}
