/* uWebSockets, by the C interface of the library that PyPI's socketify brings with it; what is needed of it is declared here. */
#include "../net.h"
#include <stdbool.h>

typedef struct app app;
typedef struct websocket websocket;
struct listen_socket;
struct socket_options {
    const char *texts[6];
    int prefer_low_memory;
};
struct listen_configuration {
    int port;
    const char *host;
    int options;
};
struct behaviour {
    int compression;
    unsigned int max_payload;
    unsigned short idle_timeout;
    unsigned int max_backpressure;
    bool close_on_limit, reset_on_send, sends_pings;
    unsigned short max_lifetime;
    void *upgrade, *open;
    void (*message)(websocket *ws, const char *message, size_t len, int opcode, void *user_data);
    void *drain, *ping, *pong, *close, *subscription;
};
app *uws_create_app(int ssl, struct socket_options options);
void uws_ws(int ssl, app *app, const char *pattern, struct behaviour behaviour, void *user_data);
int uws_ws_send(int ssl, websocket *ws, const char *message, size_t len, int opcode);
typedef void (*listening_fn)(struct listen_socket *socket, struct listen_configuration configuration, void *user_data);
void uws_app_listen_with_config(int ssl, app *app, struct listen_configuration configuration, listening_fn listening, void *user_data);
void uws_app_run(int ssl, app *app);
int us_socket_local_port(int ssl, struct listen_socket *socket);

static void on_message(websocket *ws, const char *message, size_t len, int opcode, void *user_data) {
    (void)user_data;
    uws_ws_send(0, ws, message, len, opcode);
}

static void on_listening(struct listen_socket *socket, struct listen_configuration configuration, void *user_data) {
    (void)configuration, (void)user_data;
    CHECK(socket != NULL);
    announce(us_socket_local_port(0, socket));
}

static void websocket_echo(void) {
    struct socket_options options = {0};
    struct behaviour behaviour = {.max_payload = 16 * KIB, .idle_timeout = 120, .max_backpressure = 1024 * KIB, .message = on_message};
    app *it = uws_create_app(0, options);
    CHECK(it != NULL);
    uws_ws(0, it, "/*", behaviour, NULL);
    uws_app_listen_with_config(0, it, (struct listen_configuration){.host = "127.0.0.1"}, on_listening, NULL);
    uws_app_run(0, it);
}

static const struct workload workloads[] = {{"websocket_echo", websocket_echo}};
BENCH_MAIN(workloads)
