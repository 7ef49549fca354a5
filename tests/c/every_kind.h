/* One living thing of every kind of handle, and for each kind a call that tells whether a handle is good. */
#ifndef LARIAT_TESTS_EVERY_KIND_H
#define LARIAT_TESTS_EVERY_KIND_H
#include "harness.h"
#include "tls_files.h"
#ifndef _WIN32
#include <signal.h>
#include <sched.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

enum kind {
    KIND_REACTOR,
    KIND_DELAYED_CALL,
    KIND_TRIGGER,
    KIND_WATCHER,
    KIND_DEFERRED,
    KIND_FAILURE,
    KIND_RESULTS,
    KIND_ADDRESSES,
    KIND_LOCK,
    KIND_SEMAPHORE,
    KIND_QUEUE,
    KIND_LOOPING_CALL,
    KIND_COOPERATOR,
    KIND_COOPERATIVE_TASK,
    KIND_SCOPE,
    KIND_SIMULATION,
    KIND_LISTENER,
    KIND_TRANSPORT,
    KIND_DATAGRAM_PORT,
    KIND_RECONNECTING_CLIENT,
    KIND_CONNECTION_POOL,
    KIND_REACTOR_GROUP,
    KIND_SIGNAL_WATCH,
    KIND_FILE,
    KIND_DIRECTORY,
    KIND_BYTES,
    KIND_DIRECTORY_ENTRIES,
    KIND_FILE_INFO,
    KIND_PROCESS,
    KIND_PROCESS_OUTPUT,
    KIND_FILE_WATCH,
    KIND_TLS_CONFIGURATION,
    KIND_HTTP_AGENT,
    KIND_HTTP_EXCHANGE,
    KIND_HTTP_RESPONSE,
    KIND_HTTP_SERVER,
    KIND_HTTP_REQUEST,
    KIND_HTTP_ROUTER,
    KIND_WEBSOCKET,
    KINDS
};

static const char *const kind_names[KINDS] = {
    "reactor", "delayed call", "trigger", "watcher", "Deferred", "failure", "results", "addresses", "lock", "semaphore", "queue",
    "looping call", "cooperator", "cooperative task", "scope", "simulation", "listener", "transport",
    "datagram port", "reconnecting client", "connection pool", "reactor group", "signal watch",
    "file", "directory", "bytes", "directory entries", "file info", "process", "process output", "file watch", "TLS configuration",
    "HTTP agent", "HTTP exchange", "HTTP response", "HTTP server", "HTTP request", "HTTP router", "WebSocket",
};

/* Of no reactor, and not ended with one. */
static inline int is_apart(enum kind kind) { return kind == KIND_SIMULATION || kind == KIND_REACTOR_GROUP || kind == KIND_TLS_CONFIGURATION; }
/* Of the process: good on any thread. */
static inline int is_shared(enum kind kind) { return kind == KIND_TLS_CONFIGURATION; }

/* Without what takes a process of the system each, or a conversation: for those who make one of each kind thousands of times. */
static int every_kind_is_quick;
/* Without the exchange and the response, which bring a transport and a Deferred with them: each other thing is the only one of its kind. */
static int every_kind_is_alone;
static inline int is_of_conversation(enum kind kind) { return kind == KIND_HTTP_EXCHANGE || kind == KIND_HTTP_RESPONSE || kind == KIND_HTTP_REQUEST || kind == KIND_WEBSOCKET; }
static inline int is_slow(enum kind kind) { return kind == KIND_PROCESS || kind == KIND_PROCESS_OUTPUT || is_of_conversation(kind); }

/* ---- callbacks that do nothing ------------------------------------------------------------------------------------------- */

static inline void quiet_call(void *user_data) { (void)user_data; }

static inline lariat_deferred *quiet_trigger(void *user_data) {
    (void)user_data;
    return NULL;
}

static inline lariat_deferred *quiet_looping(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    (void)user_data;
    return NULL;
}

static inline lariat_status quiet_step(lariat_cooperative_task *task, void *user_data) {
    (void)task;
    (void)user_data;
    return LARIAT_MORE;
}

static inline void quiet_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)watcher;
    (void)readiness;
    (void)user_data;
}

static inline void quiet_signal(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    (void)number;
    (void)user_data;
}

static inline void quiet_file_changed(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    (void)watch;
    (void)change;
    (void)user_data;
}

static inline void *quiet_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    (void)user_data;
    return value;
}

static inline void *quiet_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    (void)failure;
    (void)user_data;
    return NULL;
}

static inline void *quiet_both(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)failure;
    (void)user_data;
    (void)deferred;
    return value;
}

static inline void quiet_canceller(lariat_deferred *deferred, void *user_data) {
    (void)deferred;
    (void)user_data;
}

static inline lariat_deferred *quiet_resolver(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer,
                                              void *user_data) {
    (void)reactor;
    (void)name;
    (void)family;
    (void)answer;
    (void)user_data;
    return NULL;
}

static inline void *quiet_job(lariat_job *job, void *user_data) {
    (void)job;
    return user_data;
}

static inline lariat_protocol quiet_protocol(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    return protocol;
}

static inline lariat_datagram_protocol quiet_datagram_protocol(void) {
    lariat_datagram_protocol protocol;
    CHECK_OK(lariat_datagram_protocol_init(&protocol, sizeof protocol));
    return protocol;
}

/* user_data is a const lariat_failure *: the failure, kept. */
static inline void *keep_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK_OK(lariat_failure_keep(failure));
    *(const lariat_failure **)user_data = failure;
    return NULL;
}

/* ---- checks ----------------------------------------------------------------------------------------------------------------- */

#define CHECK_NAN(expression, want) (CHECK(isnan(expression)), CHECK_STATUS(lariat_last_error(), want))
/* A call that keeps user_data fails: it has freed it, once, before it returned. */
#define CHECK_FREED(data) (CHECK(!token_alive(data)), CHECK(token_freed_here(data)))

#ifndef _WIN32
/* What is written to stdout and stderr between the two: whether it was anything. No check may fail in between. */
typedef struct output {
    int ends[2], saved[2];
} output;

static inline output output_watch(void) {
    output one;
    pipe_new(one.ends);
    for (int fd = 1; fd <= 2; fd++) {
        one.saved[fd - 1] = dup(fd);
        dup2(one.ends[1], fd);
    }
    return one;
}

static inline int output_seen(output *one) {
    fflush(NULL);
    for (int fd = 1; fd <= 2; fd++) {
        dup2(one->saved[fd - 1], fd);
        close(one->saved[fd - 1]);
    }
    int seen = read_byte(one->ends[0]) != '.';
    pipe_close(one->ends);
    return seen;
}

/* Runs it in a child of fork, which leaves with 0 when it returns; gives what the child left with. */
static inline int run_in_child(void (*run)(void *), void *argument) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        *in_a_child() = 1;
        alarm(60);
        run(argument);
        leave_child(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) test_fail(__FILE__, __LINE__, "the child died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* The child must leave by itself, with exit(42). */
static inline void exits_in_child(void (*run)(void *), void *argument) {
    if (is_under("valgrind")) SKIP("valgrind takes what a child leaves behind at its exit for leaks");
    CHECK_INT(run_in_child(run, argument), 42);
}
#endif

static inline void quiet_exchange(lariat_http_exchange *exchange, void *user_data) {
    (void)exchange;
    (void)user_data;
}

static inline void quiet_received(lariat_http_response *response, const uint8_t *data, size_t len, void *user_data) {
    (void)response;
    (void)data;
    (void)len;
    (void)user_data;
}

static inline void quiet_ended(lariat_http_response *response, const lariat_failure *reason, void *user_data) {
    (void)response;
    (void)reason;
    (void)user_data;
}

static inline lariat_status file_info_answer(const lariat_file_info *info) {
    lariat_file_facts facts;
    CHECK_OK(lariat_file_facts_init(&facts, sizeof facts));
    return lariat_file_info_get(info, &facts);
}

/* ---- looking at a handle ---------------------------------------------------------------------------------------------------- */

/* What a call says about a handle that it refuses: the answer must be the thread's last error too. */
static inline lariat_status refused(lariat_status answer) {
    CHECK_STATUS(lariat_last_error(), answer);
    CHECK(*lariat_last_error_message() != 0);
    return answer;
}

/* OK for a good handle, else the error. `remove`, `pause` and the like would change a good one: they are for bad handles alone. */
static inline lariat_status look_at(enum kind kind, void *handle) {
    int64_t answer = 0;
    int failed = 0;
    switch (kind) {
    case KIND_REACTOR: answer = lariat_reactor_running(handle); break;
    case KIND_DELAYED_CALL: answer = lariat_delayed_call_active(handle); break;
    case KIND_TRIGGER: answer = lariat_trigger_remove(handle); break;
    case KIND_WATCHER: answer = lariat_watcher_interest(handle); break;
    case KIND_DEFERRED: answer = lariat_deferred_called(handle); break;
    case KIND_FAILURE: failed = lariat_failure_code(handle) == 0; break;
    case KIND_RESULTS: failed = lariat_results_count(handle) == 0; break;
    case KIND_ADDRESSES: failed = lariat_addresses_count(handle) == 0; break;
    case KIND_LOCK: answer = lariat_lock_locked(handle); break;
    case KIND_SEMAPHORE: answer = lariat_semaphore_tokens(handle); break;
    case KIND_QUEUE: answer = lariat_queue_size(handle); break;
    case KIND_LOOPING_CALL: answer = lariat_looping_call_running(handle); break;
    case KIND_COOPERATOR: failed = lariat_cooperator_cooperate(handle, quiet_step, NULL) == NULL; break;
    case KIND_COOPERATIVE_TASK: answer = lariat_cooperative_task_pause(handle); break;
    case KIND_SCOPE: answer = lariat_scope_leave(handle); break;
    case KIND_SIMULATION: failed = isnan(lariat_simulation_seconds(handle)); break;
    case KIND_LISTENER: answer = lariat_listener_port(handle); break;
    case KIND_TRANSPORT: answer = lariat_transport_buffered(handle); break;
    case KIND_DATAGRAM_PORT: answer = lariat_datagram_port_buffered(handle); break;
    case KIND_RECONNECTING_CLIENT: answer = lariat_reconnecting_client_failures(handle); break;
    case KIND_CONNECTION_POOL: answer = lariat_connection_pool_idle(handle); break;
    case KIND_REACTOR_GROUP: answer = lariat_reactor_group_size(handle); break;
    case KIND_SIGNAL_WATCH: answer = lariat_signal_watch_count(handle); break;
    case KIND_FILE: failed = lariat_file_path(handle) == NULL; break;
    case KIND_DIRECTORY: failed = lariat_directory_path(handle) == NULL; break;
    case KIND_BYTES: failed = lariat_bytes_data(handle) == NULL; break;
    case KIND_DIRECTORY_ENTRIES: failed = lariat_directory_entries_count(handle) == 0; break;
    case KIND_FILE_INFO: answer = file_info_answer(handle); break;
    case KIND_PROCESS: answer = lariat_process_pid(handle); break;
    case KIND_PROCESS_OUTPUT: answer = lariat_process_output_exit_code(handle, NULL); break;
    case KIND_FILE_WATCH: answer = lariat_file_watch_is_polling(handle); break;
    case KIND_TLS_CONFIGURATION: answer = lariat_tls_configuration_is_server(handle); break;
    case KIND_HTTP_AGENT: answer = lariat_http_agent_idle(handle); break;
    case KIND_HTTP_EXCHANGE: answer = lariat_http_exchange_write(handle, NULL, 0); break;
    case KIND_HTTP_RESPONSE: answer = lariat_http_response_code(handle); break;
    case KIND_HTTP_SERVER: answer = lariat_http_server_connections(handle); break;
    case KIND_HTTP_REQUEST: answer = lariat_http_request_version(handle); break;
    case KIND_HTTP_ROUTER: answer = lariat_http_router_routes(handle); break;
    case KIND_WEBSOCKET: answer = lariat_websocket_is_open(handle); break;
    case KINDS: break;
    }
    if (failed) answer = lariat_last_error();
    return answer < 0 ? refused((lariat_status)answer) : LARIAT_OK;
}

/* ---- one of each --------------------------------------------------------------------------------------------------------------- */

typedef struct every_kind {
    void *of[KINDS];
    int ends[2]; /* a socket that is watched; the connection has a copy of the other end of it */
    int http;    /* the server's end of the HTTP agent's connection; -1: there is none */
    int asks; /* a client of the HTTP server */
    int talks; /* one that has a WebSocket */
} every_kind;

/* A failure with this code that outlives its Deferred until it is released. */
static inline const lariat_failure *kept_failure(lariat_reactor *reactor, int32_t code) {
    const lariat_failure *failure = NULL;
    lariat_deferred *deferred = lariat_deferred_new_failed(reactor, code, "kept");
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_errback(deferred, keep_failure, &failure));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK(failure != NULL);
    return failure;
}

/* The results of a list of one success, taken. */
static inline lariat_results *taken_results(lariat_reactor *reactor, void *value) {
    lariat_deferred *one = lariat_deferred_new_succeeded(reactor, value);
    lariat_deferred *list = lariat_deferred_list(reactor, &one, 1, 0);
    CHECK(list != NULL);
    lariat_results *results = lariat_deferred_take(list);
    CHECK(results != NULL);
    CHECK_OK(lariat_deferred_release(list));
    return results;
}

/* Taken. */
static inline lariat_addresses *taken_addresses(lariat_reactor *reactor, const char *address) {
    lariat_deferred *deferred = lariat_reactor_resolve(reactor, address, LARIAT_FAMILY_ANY, 0);
    CHECK(deferred != NULL);
    lariat_addresses *addresses = lariat_deferred_take(deferred);
    CHECK(addresses != NULL);
    CHECK_OK(lariat_deferred_release(deferred));
    return addresses;
}

/* What a Deferred of a pool's job gives, taken; the reactor must not have a simulated driver. */
static inline void *taken_from_pool(lariat_reactor *reactor, lariat_deferred *deferred) {
    CHECK(deferred != NULL);
    while (!lariat_deferred_called(deferred)) {
        turn(reactor);
        sched_yield();
    }
    void *value = lariat_deferred_take(deferred);
    if (!value) test_fail(__FILE__, __LINE__, "nothing from the pool: %s", result_of(deferred));
    CHECK_OK(lariat_deferred_release(deferred));
    return value;
}

#ifndef _WIN32
/* A program without pipes that is killed with its reactor. */
static inline lariat_process_options process_alone(const char *const *arguments) {
    static const lariat_process_descriptor nothing = {.child_fd = 0, .kind = LARIAT_DESCRIPTOR_NULL};
    lariat_process_options options;
    CHECK_OK(lariat_process_options_init(&options, sizeof options));
    options.program = arguments[0];
    options.arguments = arguments;
    options.flags = LARIAT_PROCESS_KILL_AT_END;
    options.descriptors = &nothing;
    options.descriptor_count = 1;
    return options;
}

/* Taken. */
static inline lariat_process_output *taken_output(lariat_reactor *reactor) {
    static const char *const arguments[] = {"/bin/true", NULL};
    lariat_process_options options = process_alone(arguments);
    lariat_deferred *deferred = lariat_reactor_run_process(reactor, &options, NULL, 0, 0);
    CHECK(deferred != NULL);
    while (lariat_deferred_called(deferred) == 0) {
        turn(reactor);
        sched_yield();
    }
    lariat_process_output *output = lariat_deferred_take(deferred);
    CHECK(output != NULL);
    CHECK_OK(lariat_deferred_release(deferred));
    turn(reactor);
    return output;
}

static inline lariat_process *sleeping_process(lariat_reactor *reactor) {
    static const char *const arguments[] = {"/bin/sleep", "1000", NULL};
    lariat_process_options options = process_alone(arguments);
    return lariat_reactor_spawn_event(reactor, &options, 7);
}
#endif

#ifndef _WIN32
static inline void keep_exchange(lariat_http_exchange *exchange, void *user_data) { *(void **)user_data = exchange; }

/* A response, taken, and a request whose body is being written, on a connection to a socket. */
static inline void converse(lariat_reactor *reactor, every_kind *every) {
    char url[64], request[4096];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bind(listening, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(listening, 1), 0);
    CHECK_INT(getsockname(listening, (struct sockaddr *)&address, &length), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    lariat_deferred *asked = lariat_http_agent_get(every->of[KIND_HTTP_AGENT], url);
    CHECK(asked != NULL);
    CHECK_INT(fcntl(listening, F_SETFL, O_NONBLOCK), 0);
    while ((every->http = accept(listening, NULL, NULL)) < 0) turn(reactor);
    CHECK_INT(fcntl(every->http, F_SETFL, O_NONBLOCK), 0);
    CHECK_INT(fcntl(every->http, F_SETFD, FD_CLOEXEC), 0);
    CHECK_INT(close(listening), 0);
    while (read(every->http, request, sizeof request) <= 0) turn(reactor);
    write_bytes(every->http, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    every->of[KIND_HTTP_RESPONSE] = taken_from_pool(reactor, asked);
    lariat_http_request_options options;
    CHECK_OK(lariat_http_request_options_init(&options, sizeof options));
    options.method = "PUT";
    options.url = url;
    options.start_producing = keep_exchange;
    options.producer_data = &every->of[KIND_HTTP_EXCHANGE];
    lariat_deferred *never = lariat_http_agent_request(every->of[KIND_HTTP_AGENT], &options);
    CHECK(never != NULL);
    CHECK_OK(lariat_deferred_add_errback(never, quiet_failure, NULL));
    CHECK_OK(lariat_deferred_release(never));
    while (!every->of[KIND_HTTP_EXCHANGE]) turn(reactor);
}

static inline lariat_deferred *keep_http_request(lariat_http_request *request, void *user_data) {
    *(void **)user_data = request;
    return NULL;
}

static inline lariat_deferred *keep_websocket(lariat_http_request *request, void *user_data) {
    lariat_websocket_protocol protocol;
    CHECK_OK(lariat_websocket_protocol_init(&protocol, sizeof protocol));
    *(void **)user_data = lariat_http_request_accept_websocket(request, NULL, &protocol, NULL);
    return NULL;
}

static inline int http_client(lariat_listener *listener) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)lariat_listener_port(listener));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* A request that waits for its answer, of a client that is a socket; and a WebSocket of another. */
static inline void request_something(lariat_reactor *reactor, every_kind *every) {
    lariat_http_server *server = every->of[KIND_HTTP_SERVER];
    CHECK_OK(lariat_http_server_set_handler(server, keep_http_request, &every->of[KIND_HTTP_REQUEST]));
    lariat_listener *listener = lariat_http_server_listen(server, "http://127.0.0.1:0");
    CHECK(listener != NULL);
    every->asks = http_client(listener);
    write_bytes(every->asks, "POST /path?query=x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345");
    while (!every->of[KIND_HTTP_REQUEST]) turn(reactor);
    CHECK_OK(lariat_http_server_set_handler(server, keep_websocket, &every->of[KIND_WEBSOCKET]));
    every->talks = http_client(listener);
    write_bytes(every->talks, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    while (!every->of[KIND_WEBSOCKET]) turn(reactor);
    CHECK_OK(lariat_http_server_set_handler(server, keep_http_request, NULL)); /* where it was kept may be no more */
}
#endif

/* The reactor's clock must be manual: nothing of this is ever due. */
static inline every_kind every_kind_new(lariat_reactor *reactor) {
    every_kind every = {.of = {NULL}, .ends = {-1, -1}, .http = -1, .asks = -1, .talks = -1};
    every.of[KIND_REACTOR] = reactor;
#ifndef _WIN32
    every.of[KIND_FILE] = taken_from_pool(reactor, lariat_reactor_open_file(reactor, "/dev/null", LARIAT_FILE_READ | LARIAT_FILE_WRITE, 0));
    every.of[KIND_DIRECTORY] = taken_from_pool(reactor, lariat_reactor_open_directory(reactor, "/"));
    every.of[KIND_BYTES] = taken_from_pool(reactor, lariat_reactor_read_file(reactor, "/dev/null", 0));
    every.of[KIND_DIRECTORY_ENTRIES] = taken_from_pool(reactor, lariat_reactor_list_directory(reactor, "/", 0));
    every.of[KIND_FILE_INFO] = taken_from_pool(reactor, lariat_reactor_stat(reactor, "/", 1));
    if (!every_kind_is_quick) every.of[KIND_PROCESS_OUTPUT] = taken_output(reactor); /* which takes turns */
#endif
    lariat_http_agent_options agent;
    CHECK_OK(lariat_http_agent_options_init(&agent, sizeof agent));
    agent.silence_seconds = agent.idle_connection_seconds = INFINITY; /* without timers of its own */
    every.of[KIND_HTTP_AGENT] = lariat_http_agent_new(reactor, &agent);
    lariat_http_server_options server;
    CHECK_OK(lariat_http_server_options_init(&server, sizeof server));
    server.head_seconds = server.idle_seconds = server.body_seconds = server.write_seconds = INFINITY;
    every.of[KIND_HTTP_SERVER] = lariat_http_server_new(reactor, &server);
    every.of[KIND_HTTP_ROUTER] = lariat_http_router_new(reactor);
#ifndef _WIN32
    if (!every_kind_is_quick && !every_kind_is_alone) {
        converse(reactor, &every);
        request_something(reactor, &every);
    }
#endif
    every.of[KIND_DELAYED_CALL] = lariat_reactor_call_later(reactor, 1000, quiet_call, NULL);
    every.of[KIND_TRIGGER] =
        lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_SHUTDOWN, quiet_trigger, NULL);
    every.of[KIND_DEFERRED] = lariat_deferred_new(reactor);
    every.of[KIND_FAILURE] = (void *)(uintptr_t)kept_failure(reactor, 7);
    every.of[KIND_RESULTS] = taken_results(reactor, NULL);
    every.of[KIND_ADDRESSES] = taken_addresses(reactor, "192.0.2.1");
    every.of[KIND_LOCK] = lariat_lock_new(reactor);
    every.of[KIND_SEMAPHORE] = lariat_semaphore_new(reactor, 3);
    every.of[KIND_QUEUE] = lariat_queue_new(reactor, -1, -1);
    every.of[KIND_LOOPING_CALL] = lariat_looping_call_new(reactor, quiet_looping, NULL);
    every.of[KIND_COOPERATOR] = lariat_cooperator_new(reactor, 0);
    every.of[KIND_COOPERATIVE_TASK] = lariat_cooperator_cooperate(every.of[KIND_COOPERATOR], quiet_step, NULL);
    every.of[KIND_SCOPE] = lariat_scope_new(reactor);
    every.of[KIND_SIMULATION] = lariat_simulation_new(1);
    lariat_protocol protocol = quiet_protocol();
    const char *nobody = "tcp://127.0.0.1:1";
    every.of[KIND_RECONNECTING_CLIENT] = lariat_reconnecting_client_new(reactor, nobody, &protocol, NULL, NULL, NULL);
    every.of[KIND_CONNECTION_POOL] = lariat_connection_pool_new(reactor, nobody, &protocol, NULL, NULL, NULL);
    every.of[KIND_REACTOR_GROUP] = lariat_reactor_group_new(1, NULL);
#ifndef _WIN32
    lariat_datagram_protocol datagrams = quiet_datagram_protocol();
    if (!every_kind_is_quick) every.of[KIND_PROCESS] = sleeping_process(reactor);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, every.ends), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(fcntl(every.ends[i], F_SETFD, FD_CLOEXEC), 0);
        CHECK_INT(fcntl(every.ends[i], F_SETFL, O_NONBLOCK), 0);
    }
    every.of[KIND_WATCHER] = lariat_reactor_watch(reactor, every.ends[0], LARIAT_READABLE, quiet_ready, NULL);
    every.of[KIND_LISTENER] = lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", &protocol, NULL, NULL);
    every.of[KIND_SIGNAL_WATCH] = lariat_reactor_watch_signal(reactor, SIGURG, quiet_signal, NULL);
    every.of[KIND_FILE_WATCH] = lariat_reactor_watch_path(reactor, "/dev/null", 0, quiet_file_changed, NULL);
    every.of[KIND_TRANSPORT] = lariat_reactor_adopt_stream(reactor, dup(every.ends[1]), &protocol, NULL);
    every.of[KIND_TLS_CONFIGURATION] = server_of(server_options(), "server");
    every.of[KIND_DATAGRAM_PORT] = lariat_reactor_listen_datagram(reactor, "udp://127.0.0.1:0", &datagrams, NULL);
#endif
    for (int kind = 0; kind < KINDS; kind++)
        if (!every.of[kind] && every.ends[0] != -1 && !(every_kind_is_quick && is_slow(kind)) && !(every_kind_is_alone && is_of_conversation(kind)))
             test_fail(__FILE__, __LINE__, "no %s: %s", kind_names[kind], lariat_last_error_message());
    return every;
}

/* Ends what is of no reactor, and the descriptors: for when the reactor is freed with all that is in it. */
static inline void every_kind_end_apart(const every_kind *every) {
    CHECK_OK(lariat_simulation_free(every->of[KIND_SIMULATION]));
    CHECK_OK(lariat_reactor_group_free(every->of[KIND_REACTOR_GROUP]));
#ifndef _WIN32
    CHECK_OK(lariat_tls_configuration_free(every->of[KIND_TLS_CONFIGURATION]));
    int ends[2] = {every->ends[0], every->ends[1]};
    pipe_close(ends);
    if (every->http >= 0) CHECK_INT(close(every->http), 0);
    if (every->asks >= 0) CHECK_INT(close(every->asks), 0);
    if (every->talks >= 0) CHECK_INT(close(every->talks), 0);
#endif
}

/* Ends each but the reactor; afterwards the handles are stale, and the reactor has nothing alive. */
static inline void every_kind_end(const every_kind *every) {
    CHECK_OK(lariat_delayed_call_cancel(every->of[KIND_DELAYED_CALL]));
    CHECK_OK(lariat_trigger_remove(every->of[KIND_TRIGGER]));
    CHECK_OK(lariat_deferred_callback(every->of[KIND_DEFERRED], NULL));
    CHECK_OK(lariat_deferred_release(every->of[KIND_DEFERRED]));
    CHECK_OK(lariat_failure_release(every->of[KIND_FAILURE]));
    CHECK_OK(lariat_results_free(every->of[KIND_RESULTS]));
    CHECK_OK(lariat_addresses_free(every->of[KIND_ADDRESSES]));
    CHECK_OK(lariat_lock_free(every->of[KIND_LOCK]));
    CHECK_OK(lariat_semaphore_free(every->of[KIND_SEMAPHORE]));
    CHECK_OK(lariat_queue_free(every->of[KIND_QUEUE]));
    CHECK_OK(lariat_looping_call_free(every->of[KIND_LOOPING_CALL]));
    CHECK_OK(lariat_cooperative_task_stop(every->of[KIND_COOPERATIVE_TASK]));
    CHECK_OK(lariat_cooperator_free(every->of[KIND_COOPERATOR]));
    CHECK_OK(lariat_scope_free(every->of[KIND_SCOPE]));
    CHECK_OK(lariat_reconnecting_client_free(every->of[KIND_RECONNECTING_CLIENT]));
    CHECK_OK(lariat_connection_pool_free(every->of[KIND_CONNECTION_POOL]));
    if (every->of[KIND_HTTP_RESPONSE]) CHECK_OK(lariat_http_response_free(every->of[KIND_HTTP_RESPONSE]));
    CHECK_OK(lariat_http_agent_free(every->of[KIND_HTTP_AGENT]));
    CHECK_OK(lariat_http_server_free(every->of[KIND_HTTP_SERVER]));
    if (every->of[KIND_WEBSOCKET]) CHECK_OK(lariat_websocket_abort(every->of[KIND_WEBSOCKET]));
    CHECK_OK(lariat_http_router_free(every->of[KIND_HTTP_ROUTER]));
    if (every->of[KIND_WATCHER]) CHECK_OK(lariat_watcher_stop(every->of[KIND_WATCHER]));
    if (every->of[KIND_LISTENER]) CHECK_OK(lariat_deferred_release(lariat_listener_stop(every->of[KIND_LISTENER])));
    if (every->of[KIND_TRANSPORT]) CHECK_OK(lariat_transport_abort_connection(every->of[KIND_TRANSPORT]));
    if (every->of[KIND_DATAGRAM_PORT]) CHECK_OK(lariat_deferred_release(lariat_datagram_port_stop(every->of[KIND_DATAGRAM_PORT])));
    if (every->of[KIND_SIGNAL_WATCH]) CHECK_OK(lariat_signal_watch_stop(every->of[KIND_SIGNAL_WATCH]));
#ifndef _WIN32
    lariat_event event;
    if (every->of[KIND_PROCESS_OUTPUT]) CHECK_OK(lariat_process_output_free(every->of[KIND_PROCESS_OUTPUT]));
    if (every->of[KIND_PROCESS]) CHECK_OK(lariat_process_terminate(every->of[KIND_PROCESS], 0));
    while (lariat_process_pid(every->of[KIND_PROCESS]) > 0) {
        turn(every->of[KIND_REACTOR]);
        sched_yield();
    }
    CHECK_OK(lariat_event_init(&event, sizeof event));
    while (lariat_reactor_next_event(every->of[KIND_REACTOR], &event) == LARIAT_OK) {}
#endif
    if (every->of[KIND_FILE_WATCH]) CHECK_OK(lariat_file_watch_stop(every->of[KIND_FILE_WATCH]));
    turn(every->of[KIND_REACTOR]);
#ifndef _WIN32
    CHECK_OK(lariat_bytes_free(every->of[KIND_BYTES]));
    CHECK_OK(lariat_directory_entries_free(every->of[KIND_DIRECTORY_ENTRIES]));
    CHECK_OK(lariat_file_info_free(every->of[KIND_FILE_INFO]));
    CHECK_OK(lariat_deferred_release(lariat_file_close(every->of[KIND_FILE])));
    CHECK_OK(lariat_deferred_release(lariat_directory_close(every->of[KIND_DIRECTORY])));
    while (reactor_stats(every->of[KIND_REACTOR]).jobs) {
        turn(every->of[KIND_REACTOR]);
        sched_yield();
    }
#endif
    every_kind_end_apart(every);
}
#endif
