/* The machinery of the program that fuzz_handles.py writes: each export is described by a table, and called here with everything that
 * can be wrong. */
#ifndef LARIAT_TESTS_FUZZ_HANDLES_H
#define LARIAT_TESTS_FUZZ_HANDLES_H
#include "../c/every_kind.h"
#include "../c/tls_files.h"
#include <float.h>
#include <stddef.h>
#ifndef _WIN32
#include <netdb.h>
#include <netinet/in.h>

/* The library then uses this: nobody waits for a look-up, and the system's own would have descriptors open when the case ends. */
int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict list) {
    (void)name;
    (void)service;
    (void)hints;
    (void)list;
    return EAI_NONAME;
}
#endif

enum { KIND_JOB = KINDS }; /* has no every_kind: it is only there while a job runs */

/* ---- what the generator writes ------------------------------------------------------------------------------------------------------- */

typedef union value {
    void *pointer;
    void (*function)(void);
    double real;
    int64_t integer;
    uint64_t natural;
} value;

enum { WANT_ANYTHING = 1000, WANT_ERROR = 1001 }; /* or a status */

typedef struct number {
    value given;
    int32_t want;
} number;

enum role {
    ROLE_HANDLE,             /* of `kind` */
    ROLE_HANDLES,            /* an array of handles of `kind`; its count comes next */
    ROLE_NUMBER,             /* the first of `numbers` is what an ordinary call gives */
    ROLE_CALLBACK,           /* `function`; `null_want` is the answer to NULL */
    ROLE_DATA,               /* NULL will do */
    ROLE_OWNED,              /* data that the library frees by a later parameter */
    ROLE_FREE,               /* that parameter */
    ROLE_SELF,               /* data that the library frees as the protocol says */
    ROLE_TEXT,               /* `text` */
    ROLE_BYTES,              /* their length comes next */
    ROLE_PARTS,              /* their count comes next */
    ROLE_DATAGRAMS,          /* their count comes next */
    ROLE_OUTPUT,
    ROLE_OPTIONS,
    ROLE_STATS,
    ROLE_EVENT,
    ROLE_LINK,
    ROLE_FACTS,
    ROLE_PROTOCOL,
    ROLE_DATAGRAM_PROTOCOL,
    ROLE_PRODUCER,
    ROLE_SERIAL,
    ROLE_PROCESS_OPTIONS,
    ROLE_PROCESS_PROTOCOL,
    ROLE_BACKOFF,
    ROLE_CONNECTION_POOL_OPTIONS,
    ROLE_HTTP_AGENT_OPTIONS,
    ROLE_HTTP_REQUEST_OPTIONS,
    ROLE_HTTP_SERVER_OPTIONS,
    ROLE_HTTP_PRODUCER,
    ROLE_WEBSOCKET_OPTIONS,
    ROLE_WEBSOCKET_PROTOCOL,
    ROLE_TLS_IDENTITY,
    ROLE_TLS_SERVER,
    ROLE_TLS_CLIENT,
    ROLE_ADDRESS,
    ROLE_ADDRESS_WRITTEN,
    ROLE_DESCRIPTOR,         /* of the system or of the simulation, by `kind`; `numbers` without the first */
    ROLE_ADOPTED             /* one of the system for a `kind`, the library's from here on if this succeeds */
};

typedef struct parameter {
    const char *name;
    enum role role;
    int kind;
    int32_t null_want;
    void (*function)(void);
    const number *numbers;
    int count;
    const char *text;
} parameter;

enum answers {
    ANSWERS_STATUS,   /* negative is the error */
    ANSWERS_NEGATIVE, /* negative without saying which */
    ANSWERS_LIKE_OK,  /* 0, NULL or NaN: the last error alone says */
    ANSWERS_NOTHING   /* cannot fail */
};

typedef struct outcome {
    int64_t status;   /* for the first two */
    int empty;        /* for the third: it is the value that an error gives */
    void *made;
} outcome;

enum {
    ANY_THREAD = 1,  /* may be called from any thread */
    QUEUES = 2,      /* any thread, and cannot know whether the thing is over: OK means queued */
    BAD_ONLY = 4,    /* with good handles it would block */
    LENIENT = 8,     /* outside a callback: its state may be answered before its second handle */
    MAKES_REACTOR = 16,
    MAKES_SIMULATION = 32,
    MAKES_GROUP = 64,
    MAKES_TLS = 128
};

typedef struct export {
    const char *name;
    outcome (*invoke)(const value *values);
    enum answers answers;
    int flags;
    const parameter *parameters;
    int count;
} export;

static inline outcome outcome_of_number(int64_t status) { return (outcome){.status = status, .empty = status == 0}; }
static inline outcome outcome_of_real(double real) { return (outcome){.empty = isnan(real)}; }
static inline outcome outcome_of_text(const char *text) {
    CHECK(text != NULL);
    return (outcome){.empty = 1};
}
static inline outcome outcome_of_pointer(const void *made) { return (outcome){.empty = !made, .made = (void *)(uintptr_t)made}; }

/* ---- callbacks that the generator names, by type -------------------------------------------------------------------------------- */

static inline lariat_deferred *quiet_blocking(lariat_reactor *reactor, void *user_data) {
    (void)reactor;
    (void)user_data;
    return NULL;
}

static inline lariat_status quiet_build(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    (void)transport;
    (void)self;
    (void)user_data;
    return LARIAT_OK;
}

static inline void quiet_attempt(lariat_reconnecting_client *client, const lariat_failure *failure, double seconds, void *user_data) {
    (void)client;
    (void)failure;
    (void)seconds;
    (void)user_data;
}

static inline lariat_status quiet_setup(lariat_reactor *reactor, uint32_t index, void *user_data) {
    (void)reactor;
    (void)index;
    (void)user_data;
    return LARIAT_OK;
}

static inline void quiet_handshake(lariat_listener *listener, const lariat_failure *failure, void *user_data) {
    (void)listener;
    (void)failure;
    (void)user_data;
}

static inline lariat_deferred *quiet_handler(lariat_http_request *request, void *user_data) {
    (void)request;
    (void)user_data;
    return NULL;
}

static inline void quiet_body_received(lariat_http_request *request, const uint8_t *data, size_t len, void *user_data) {
    (void)request;
    (void)data;
    (void)len;
    (void)user_data;
}

static inline void quiet_body_ended(lariat_http_request *request, const lariat_failure *failure, void *user_data) {
    (void)request;
    (void)failure;
    (void)user_data;
}

static inline void quiet_access(const lariat_http_access *access, void *user_data) {
    (void)access;
    (void)user_data;
}

static inline void quiet_log(int32_t level, const char *message, void *user_data) {
    (void)level;
    (void)message;
    (void)user_data;
}

static inline void quiet_slow(double seconds, const char *what, void *user_data) {
    (void)seconds;
    (void)what;
    (void)user_data;
}

static inline void quiet_unhandled(const lariat_failure *failure, void *user_data) {
    (void)failure;
    (void)user_data;
}

/* ---- worlds ------------------------------------------------------------------------------------------------------------------------------- */

static inline lariat_reactor_options fuzz_options(void) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.log = quiet_log;
    options.unhandled_failure = quiet_unhandled;
    return options;
}

static inline every_kind fuzz_kinds(lariat_reactor *reactor) {
    every_kind made = every_kind_new(reactor);
    CHECK_OK(lariat_cooperative_task_pause(made.of[KIND_COOPERATIVE_TASK])); /* or it would step for ever */
    CHECK_OK(lariat_transport_set_netstring_framing(made.of[KIND_TRANSPORT], 0));
    char itself[64]; /* or it could not send without saying to whom */
    CHECK_OK(lariat_datagram_port_address(made.of[KIND_DATAGRAM_PORT], itself, sizeof itself, NULL));
    CHECK_OK(lariat_datagram_port_connect(made.of[KIND_DATAGRAM_PORT], itself));
    return made;
}

static every_kind good, stale, freed, foreign;
static lariat_deferred *keeper; /* never fires; of a reactor of its own */
static lariat_reactor *keeper_reactor;
static lariat_job *stale_job;
static lariat_socket simulated_descriptor;
static gate foreign_made = GATE_CLOSED, foreign_ends = GATE_CLOSED;
static pthread_t foreign_thread;

static inline void kinds_end(every_kind *kinds) {
    lariat_status status = lariat_reactor_free(kinds->of[KIND_REACTOR]);
    CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_STALE_HANDLE);
    status = lariat_simulation_free(kinds->of[KIND_SIMULATION]);
    CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_STALE_HANDLE);
    status = lariat_reactor_group_free(kinds->of[KIND_REACTOR_GROUP]);
    CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_STALE_HANDLE);
    status = lariat_tls_configuration_free(kinds->of[KIND_TLS_CONFIGURATION]);
    CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_STALE_HANDLE);
    pipe_close(kinds->ends);
    if (kinds->http >= 0) close(kinds->http);
    if (kinds->asks >= 0) close(kinds->asks);
    if (kinds->talks >= 0) close(kinds->talks);
}

/* Whether the last call was refused and left the world as it found it, for the next. */
static int world_is_kept;

/* What is stale was in the very slots where what is good is now. */
static inline void world_new(void) {
    if (world_is_kept) {
        world_is_kept = 0;
        return;
    }
    lariat_reactor *reactor = reactor_with(fuzz_options());
    stale = fuzz_kinds(reactor);
    every_kind_end(&stale);
    good = fuzz_kinds(reactor);
    stale.of[KIND_REACTOR] = freed.of[KIND_REACTOR];
    CHECK_OK(lariat_simulation_descriptor_new(good.of[KIND_SIMULATION], &simulated_descriptor));
}

/* Where the good port is. */
static inline lariat_address good_address(void) {
    lariat_address address;
    char text[64];
    CHECK_OK(lariat_datagram_port_address(good.of[KIND_DATAGRAM_PORT], text, sizeof text, NULL));
    CHECK_OK(lariat_address_init(&address, sizeof address));
    CHECK_OK(lariat_address_parse(&address, text));
    return address;
}

static inline void world_end(const char *name, int adopted) {
    kinds_end(&good);
    if (adopted != -1 && descriptor_is_open(adopted)) close(adopted); /* it was refused */
    if (tokens_alive()) test_fail(__FILE__, __LINE__, "%s: what it was given is never freed", name);
}

/* After a call that was refused. */
static inline void world_keep(int adopted) {
    if (adopted != -1 && descriptor_is_open(adopted)) close(adopted);
    world_is_kept = 1;
}

static inline void *foreign_run(void *unused) {
    (void)unused;
    foreign = fuzz_kinds(reactor_with(fuzz_options()));
    gate_open(&foreign_made);
    gate_wait(&foreign_ends);
    kinds_end(&foreign);
    return NULL;
}

static gate job_ran = GATE_CLOSED;

static inline void *remember_job(lariat_job *job, void *unused) {
    (void)unused;
    stale_job = job;
    gate_open(&job_ran);
    return NULL;
}

/* The free waits for the job; the freed reactors' memory is used again by what comes after. */
static inline void worlds_start(void) {
    keeper_reactor = reactor_with(fuzz_options());
    keeper = lariat_deferred_new(keeper_reactor);
    foreign_thread = thread_start(foreign_run, NULL);
    gate_wait(&foreign_made);
    lariat_reactor *reactor = reactor_with(fuzz_options());
    CHECK(lariat_reactor_defer_to_thread(reactor, remember_job, NULL) != NULL);
    gate_wait(&job_ran);
    CHECK_OK(lariat_reactor_free(reactor));
    freed = fuzz_kinds(reactor_with(fuzz_options()));
    kinds_end(&freed);
}

static inline void worlds_end(void) {
    gate_open(&foreign_ends);
    thread_join(foreign_thread);
    CHECK_OK(lariat_reactor_free(keeper_reactor));
}

/* ---- one call ----------------------------------------------------------------------------------------------------------------------------- */

/* What the answers may be: one, or one of two, or whatever. */
typedef struct want {
    int32_t one, other;
} want;

static inline want exactly(int32_t status) { return (want){status, status}; }

static inline int wanted(want expected, lariat_status status) {
    return expected.one == status || expected.other == status || expected.one == WANT_ANYTHING || (expected.one == WANT_ERROR && status < 0);
}

/* Makes the last error one that no call here answers but those that ask for a result: a change shows that the call failed. */
static inline lariat_status last_error_before(void) {
    CHECK_STATUS(lariat_deferred_result(keeper, NULL, NULL), LARIAT_ERR_NOT_CALLED);
    return LARIAT_ERR_NOT_CALLED;
}

typedef struct call {
    value values[16];
    token *owned[16];
    lariat_deferred *handles[1];
    union {
        lariat_reactor_options options;
        lariat_stats stats;
        lariat_event event;
        lariat_link link;
        lariat_file_facts facts;
        lariat_protocol protocol;
        lariat_datagram_protocol datagram_protocol;
        lariat_producer producer;
        lariat_serial_options serial;
        lariat_process_options process_options;
        lariat_process_protocol process_protocol;
        lariat_backoff backoff;
        lariat_connection_pool_options connection_pool_options;
        lariat_http_agent_options http_agent_options;
        lariat_http_request_options http_request_options;
        lariat_http_server_options http_server_options;
        lariat_http_producer http_producer;
        lariat_websocket_options websocket_options;
        lariat_websocket_protocol websocket_protocol;
        lariat_tls_identity tls_identity;
        lariat_tls_server_options tls_server;
        lariat_tls_client_options tls_client;
        lariat_address address;
        unsigned char bytes[4096];
    } structs[16];
    void *outputs[16][16];
    lariat_part parts[4];
    lariat_datagram datagrams[4];
    lariat_address peer; /* of them */
    int adopted; /* or -1 */
} call;

/* Whether its structs were prepared; else it prepares one. */
static inline int is_prepared(const export *one) {
    for (int i = 0; i < one->count; i++)
        if (strcmp(one->parameters[i].name, "struct_size") == 0) return 0;
    return 1;
}

/* What an ordinary call gives. */
static inline void call_new(call *made, const export *one) {
    memset(made, 0, sizeof *made);
    made->adopted = -1;
    for (int i = 0; i < one->count; i++) {
        const parameter *each = &one->parameters[i];
        value *given = &made->values[i];
        switch (each->role) {
        case ROLE_HANDLE: given->pointer = each->kind == KIND_JOB ? (void *)stale_job : good.of[each->kind]; break;
        case ROLE_HANDLES:
            made->handles[0] = good.of[each->kind];
            given->pointer = made->handles;
            break;
        case ROLE_NUMBER: *given = each->numbers[0].given; break;
        case ROLE_CALLBACK: given->function = each->function; break;
        case ROLE_FREE: given->function = (void (*)(void))token_free; break;
        case ROLE_DATA: break;
        case ROLE_OWNED:
        case ROLE_SELF: given->pointer = made->owned[i] = token_new(one->name + strlen("lariat_")); break;
        case ROLE_TEXT: given->pointer = (void *)(uintptr_t)each->text; break;
        case ROLE_BYTES: given->pointer = &made->structs[i]; break;
        case ROLE_PARTS:
            made->parts[0] = (lariat_part){(const uint8_t *)"part", 4};
            given->pointer = made->parts;
            break;
        case ROLE_DATAGRAMS:
            made->peer = good_address();
            made->datagrams[0] = (lariat_datagram){.data = (const uint8_t *)"datagram", .len = 8, .peer = &made->peer};
            given->pointer = made->datagrams;
            break;
        case ROLE_OUTPUT: given->pointer = made->outputs[i]; break;
        case ROLE_OPTIONS:
            made->structs[i].options = fuzz_options();
            if (one->flags & MAKES_GROUP) made->structs[i].options.clock = LARIAT_CLOCK_REAL;
            if (is_prepared(one)) {
                made->structs[i].options.log_user_data = made->owned[i] = token_new("options");
                made->structs[i].options.free_log_user_data = token_free;
            }
            given->pointer = &made->structs[i];
            break;
        case ROLE_STATS:
            CHECK_OK(lariat_stats_init(&made->structs[i].stats, sizeof(lariat_stats)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_EVENT:
            CHECK_OK(lariat_event_init(&made->structs[i].event, sizeof(lariat_event)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_LINK:
            CHECK_OK(lariat_link_init(&made->structs[i].link, sizeof(lariat_link)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_FACTS:
            CHECK_OK(lariat_file_facts_init(&made->structs[i].facts, sizeof(lariat_file_facts)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_PROTOCOL:
            made->structs[i].protocol = quiet_protocol();
            made->structs[i].protocol.free_self = token_free;
            given->pointer = &made->structs[i];
            break;
        case ROLE_DATAGRAM_PROTOCOL:
            made->structs[i].datagram_protocol = quiet_datagram_protocol();
            made->structs[i].datagram_protocol.free_self = token_free;
            given->pointer = &made->structs[i];
            break;
        case ROLE_ADDRESS:
        case ROLE_ADDRESS_WRITTEN:
            made->structs[i].address = good_address();
            given->pointer = &made->structs[i];
            break;
        case ROLE_PRODUCER:
            CHECK_OK(lariat_producer_init(&made->structs[i].producer, sizeof(lariat_producer)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_SERIAL:
            CHECK_OK(lariat_serial_options_init(&made->structs[i].serial, sizeof(lariat_serial_options)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_PROCESS_OPTIONS:
            CHECK_OK(lariat_process_options_init(&made->structs[i].process_options, sizeof(lariat_process_options)));
            made->structs[i].process_options.program = "/bin/true";
            given->pointer = &made->structs[i];
            break;
        case ROLE_PROCESS_PROTOCOL:
            CHECK_OK(lariat_process_protocol_init(&made->structs[i].process_protocol, sizeof(lariat_process_protocol)));
            made->structs[i].process_protocol.free_self = token_free;
            given->pointer = &made->structs[i];
            break;
        case ROLE_BACKOFF:
            CHECK_OK(lariat_backoff_init(&made->structs[i].backoff, sizeof(lariat_backoff)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_CONNECTION_POOL_OPTIONS:
            CHECK_OK(lariat_connection_pool_options_init(&made->structs[i].connection_pool_options, sizeof(lariat_connection_pool_options)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_HTTP_AGENT_OPTIONS:
            CHECK_OK(lariat_http_agent_options_init(&made->structs[i].http_agent_options, sizeof(lariat_http_agent_options)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_HTTP_REQUEST_OPTIONS:
            CHECK_OK(lariat_http_request_options_init(&made->structs[i].http_request_options, sizeof(lariat_http_request_options)));
            made->structs[i].http_request_options.url = "http://127.0.0.1:1/";
            if (is_prepared(one)) {
                made->structs[i].http_request_options.start_producing = quiet_exchange;
                made->structs[i].http_request_options.producer_data = made->owned[i] = token_new("producer");
                made->structs[i].http_request_options.free_producer_data = token_free;
            }
            given->pointer = &made->structs[i];
            break;
        case ROLE_HTTP_SERVER_OPTIONS:
            CHECK_OK(lariat_http_server_options_init(&made->structs[i].http_server_options, sizeof(lariat_http_server_options)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_HTTP_PRODUCER:
            CHECK_OK(lariat_http_producer_init(&made->structs[i].http_producer, sizeof(lariat_http_producer)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_WEBSOCKET_OPTIONS:
            CHECK_OK(lariat_websocket_options_init(&made->structs[i].websocket_options, sizeof(lariat_websocket_options)));
            given->pointer = &made->structs[i];
            break;
        case ROLE_WEBSOCKET_PROTOCOL:
            CHECK_OK(lariat_websocket_protocol_init(&made->structs[i].websocket_protocol, sizeof(lariat_websocket_protocol)));
            made->structs[i].websocket_protocol.free_self = token_free;
            given->pointer = &made->structs[i];
            break;
        case ROLE_TLS_IDENTITY:
            made->structs[i].tls_identity = tls_identity("server");
            given->pointer = &made->structs[i];
            break;
        case ROLE_TLS_SERVER: {
            static lariat_tls_identity identity;
            identity = tls_identity("server");
            made->structs[i].tls_server = server_options();
            made->structs[i].tls_server.identities = &identity;
            made->structs[i].tls_server.identity_count = 1;
            given->pointer = &made->structs[i];
            break;
        }
        case ROLE_TLS_CLIENT:
            made->structs[i].tls_client = client_options();
            given->pointer = &made->structs[i];
            break;
        case ROLE_ADOPTED:
            made->adopted = each->kind == KIND_DATAGRAM_PORT ? socket(AF_INET, SOCK_DGRAM, 0) : dup(good.ends[1]);
            given->integer = made->adopted;
            break;
        case ROLE_DESCRIPTOR: given->integer = each->kind == KIND_SIMULATION ? simulated_descriptor : good.ends[1]; break;
        }
    }
}

/* Returns whether it was refused. */
static inline int call_make(const export *one, call *made, want expected, const char *what) {
    lariat_status before = last_error_before();
    outcome result = one->invoke(made->values);
    lariat_status after = lariat_last_error(), status = after == before ? LARIAT_OK : after;
    if (one->answers == ANSWERS_STATUS) status = result.status < 0 ? (lariat_status)result.status : LARIAT_OK;
    if (one->answers == ANSWERS_NOTHING) status = LARIAT_OK;
    if (!wanted(expected, status))
        test_fail(__FILE__, __LINE__, "%s with %s answers %s (%d), must be %s or %s", one->name, what, lariat_status_name(status), (int)status,
                  lariat_status_name(expected.one), lariat_status_name(expected.other));
    if (status >= 0 && one->answers == ANSWERS_STATUS && after != before)
        test_fail(__FILE__, __LINE__, "%s with %s does not fail, but the last error is now %s", one->name, what, lariat_status_name(after));
    if (status < 0) {
        if (after != status)
            test_fail(__FILE__, __LINE__, "%s with %s answers %s, but the last error is %s", one->name, what, lariat_status_name(status),
                      lariat_status_name(after));
        if (!*lariat_last_error_message()) test_fail(__FILE__, __LINE__, "%s with %s fails without a message", one->name, what);
        if (one->answers == ANSWERS_NEGATIVE && result.status >= 0)
            test_fail(__FILE__, __LINE__, "%s with %s fails, but its answer is not negative", one->name, what);
        if (one->answers == ANSWERS_LIKE_OK && !result.empty)
            test_fail(__FILE__, __LINE__, "%s with %s fails, but gives something", one->name, what);
        for (int i = 0; i < one->count; i++)
            if (made->owned[i] && token_alive(made->owned[i]))
                test_fail(__FILE__, __LINE__, "%s with %s fails and does not free %s", one->name, what, one->parameters[i].name);
    }
    if (result.made && one->flags & MAKES_REACTOR) CHECK_OK(lariat_reactor_free(result.made));
    if (result.made && one->flags & MAKES_SIMULATION) CHECK_OK(lariat_simulation_free(result.made));
    if (result.made && one->flags & MAKES_GROUP) CHECK_OK(lariat_reactor_group_free(result.made));
    if (result.made && one->flags & MAKES_TLS) CHECK_OK(lariat_tls_configuration_free(result.made));
    return status < 0;
}

/* ---- bad handles --------------------------------------------------------------------------------------------------------------------------- */

/* One handle of the call is bad, the rest is good. The handle is looked up in the world, which is new unless the call before was
   refused: nothing of it has changed then. */
typedef struct bad_handle {
    const void *word;        /* if `kinds` is NULL */
    const every_kind *kinds;
    int kind;
    const char *what;
} bad_handle;

static inline void call_once_with_bad(const export *one, int at, bad_handle bad, want expected, int without_callbacks) {
    static call made;
    char words[160];
    world_new();
    call_new(&made, one);
    void *word = !bad.kinds ? (void *)(uintptr_t)bad.word : bad.kind == KIND_JOB ? (void *)stale_job : bad.kinds->of[bad.kind];
    if (one->parameters[at].role == ROLE_HANDLES) made.handles[0] = word;
    else made.values[at].pointer = word;
    for (int i = 0; i < one->count; i++)
        if (one->parameters[i].role == ROLE_CALLBACK && without_callbacks) made.values[i].function = NULL;
    if (without_callbacks) expected.other = LARIAT_ERR_INVALID_ARGUMENT;
    snprintf(words, sizeof words, "%s%s%s for %s%s", bad.what, bad.kinds ? " " : "",
             !bad.kinds ? "" : bad.kind == KIND_JOB ? "job" : kind_names[bad.kind], one->parameters[at].name,
             without_callbacks ? " and no callback" : "");
    if (call_make(one, &made, expected, words)) world_keep(made.adopted);
    else world_end(one->name, made.adopted);
}

/* With callbacks, and with NULL for them. */
static inline void call_with_bad(const export *one, int at, bad_handle bad, want expected) {
    int callbacks = 0;
    for (int i = 0; i < one->count; i++) callbacks += one->parameters[i].role == ROLE_CALLBACK;
    call_once_with_bad(one, at, bad, expected, 0);
    if (callbacks && expected.one == expected.other) call_once_with_bad(one, at, bad, expected, 1);
}

static inline want handle_want(const export *one, int at, int32_t status) {
    int first = at == 0 || one->parameters[0].role != ROLE_HANDLE;
    return one->flags & LENIENT && !first ? (want){status, LARIAT_ERR_INVALID_STATE} : exactly(status);
}

static inline void with_bad_handles(const export *one, int at) {
    static long of_the_program;
    const uintptr_t words[] = {1,           8,          4096,       0x7fffffff, (uintptr_t)0xdeadbeefcafebabe,
                               UINTPTR_MAX, INTPTR_MAX, 0x8000000000000000, (uintptr_t)&of_the_program};
    int kind = one->parameters[at].kind;
    call_with_bad(one, at, (bad_handle){.what = "NULL"}, handle_want(one, at, LARIAT_ERR_INVALID_ARGUMENT));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        call_with_bad(one, at, (bad_handle){.word = (void *)words[i], .what = "a random number"},
                      handle_want(one, at, LARIAT_ERR_INVALID_HANDLE));
    for (int other = 0; other < KINDS; other++)
        if (other != kind && good.of[other]) call_with_bad(one, at, (bad_handle){NULL, &good, other, "a good"}, handle_want(one, at, LARIAT_ERR_INVALID_HANDLE));
    /* A job is of its pool's thread, and over. */
    want of_a_job = {kind == KIND_JOB ? LARIAT_ERR_STALE_HANDLE : LARIAT_ERR_INVALID_HANDLE, LARIAT_ERR_WRONG_THREAD};
    call_with_bad(one, at, (bad_handle){NULL, &good, KIND_JOB, "a stale"}, one->flags & LENIENT ? exactly(WANT_ERROR) : of_a_job);
    if (kind == KIND_JOB) return;
    want over = one->flags & QUEUES       ? (want){LARIAT_OK, LARIAT_ERR_STALE_HANDLE}
                : one->flags & ANY_THREAD ? (want){LARIAT_ERR_STALE_HANDLE, LARIAT_ERR_CLOSED}
                                          : handle_want(one, at, LARIAT_ERR_STALE_HANDLE);
    call_with_bad(one, at, (bad_handle){NULL, &stale, kind, "a stale"}, over);
    if (one->flags & QUEUES) over = exactly(WANT_ANYTHING);
    call_with_bad(one, at, (bad_handle){NULL, &freed, kind, "a freed reactor's"}, over);
    if (!(one->flags & ANY_THREAD) && !is_shared(kind))
        call_with_bad(one, at, (bad_handle){NULL, &foreign, kind, "another thread's"}, handle_want(one, at, LARIAT_ERR_WRONG_THREAD));
}

static inline void bad_handles(const export *one, int at) {
    with_bad_handles(one, at);
    world_new();
    world_end(one->name, -1);
}

/* ---- numbers and callbacks -------------------------------------------------------------------------------------------------------------- */

static inline void call_with_number(const export *one, int at, number given) {
    static call made;
    char words[160];
    world_new();
    call_new(&made, one);
    made.values[at] = given.given;
    snprintf(words, sizeof words, "%s = %#" PRIx64 " (as bits)", one->parameters[at].name, given.given.natural);
    call_make(one, &made, exactly(given.want), words);
    world_end(one->name, made.adopted);
}

static inline void call_without_callback(const export *one, int at) {
    static call made;
    char words[160];
    world_new();
    call_new(&made, one);
    made.values[at].function = NULL;
    snprintf(words, sizeof words, "NULL for %s", one->parameters[at].name);
    call_make(one, &made, exactly(one->parameters[at].null_want), words);
    world_end(one->name, made.adopted);
}

/* Of a protocol that cannot be read nobody knows how self is freed, and of options not what is in them. */
static inline void free_unread(const export *one, int at, call *made) {
    enum role role = one->parameters[at].role;
    if ((role == ROLE_OPTIONS || role == ROLE_HTTP_REQUEST_OPTIONS) && made->owned[at]) token_free(made->owned[at]);
    if (role != ROLE_PROTOCOL && role != ROLE_DATAGRAM_PROTOCOL && role != ROLE_PROCESS_PROTOCOL && role != ROLE_WEBSOCKET_PROTOCOL) return;
    for (int i = 0; i < one->count; i++)
        if (one->parameters[i].role == ROLE_SELF) token_free(made->owned[i]);
}

/* Of what is no handle. */
static inline void call_without(const export *one, int at, int32_t status) {
    static call made;
    char words[160];
    world_new();
    call_new(&made, one);
    made.values[at].pointer = NULL;
    free_unread(one, at, &made);
    snprintf(words, sizeof words, "NULL for %s", one->parameters[at].name);
    call_make(one, &made, exactly(status), words);
    world_end(one->name, made.adopted);
}

/* ---- text and structs ----------------------------------------------------------------------------------------------------------------------- */

static inline void bad_texts(const export *one, int at) {
    static call made;
    static char lengthy[5000];
    memset(lengthy, 'x', sizeof lengthy - 1);
    const char *const texts[] = {"", "\xff", "://", lengthy};
    call_without(one, at, WANT_ANYTHING);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        world_new();
        call_new(&made, one);
        made.values[at].pointer = (void *)(uintptr_t)texts[i];
        call_make(one, &made, exactly(WANT_ANYTHING), "odd text");
        world_end(one->name, made.adopted);
    }
}

static inline void bad_struct_sizes(const export *one, int at) {
    static call made;
    const uint32_t sizes[] = {0, 7, 4097, UINT32_MAX};
    char words[160];
    if (!is_prepared(one)) return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        world_new();
        call_new(&made, one);
        memcpy(&made.structs[at], &sizes[i], sizeof sizes[i]);
        free_unread(one, at, &made);
        snprintf(words, sizeof words, "a struct_size of %" PRIu32 " in %s", sizes[i], one->parameters[at].name);
        call_make(one, &made, exactly(LARIAT_ERR_INVALID_ARGUMENT), words);
        world_end(one->name, made.adopted);
    }
}

/* Of a later version, which sets what this one does not know. */
static inline void bad_struct_tail(const export *one, int at) {
    static call made;
    char words[160];
    uint32_t size;
    if (!is_prepared(one)) return;
    world_new();
    call_new(&made, one);
    memcpy(&size, &made.structs[at], sizeof size);
    made.structs[at].bytes[size + 7] = 1;
    size += 8;
    memcpy(&made.structs[at], &size, sizeof size);
    snprintf(words, sizeof words, "more than is known in %s", one->parameters[at].name);
    call_make(one, &made, exactly(LARIAT_ERR_INVALID_ARGUMENT), words);
    world_end(one->name, made.adopted);
}

/* A field of a struct, and what it cannot be. */
typedef struct bad_field {
    enum role role;
    const char *name;
    size_t offset, size;
    value given;
} bad_field;

#define BAD_FIELD(role, type, field, ...) {role, #field, offsetof(type, field), sizeof(((type *)0)->field), __VA_ARGS__}
#define BAD_REAL(role, type, field, number) BAD_FIELD(role, type, field, {.real = number})
#define BAD_CHOICE(role, type, field) \
    BAD_FIELD(role, type, field, {.integer = -1}), BAD_FIELD(role, type, field, {.integer = 2}), \
        BAD_FIELD(role, type, field, {.integer = INT32_MIN})
#define BAD_TIME(role, type, field) \
    BAD_REAL(role, type, field, NAN), BAD_REAL(role, type, field, -1), BAD_REAL(role, type, field, -INFINITY)
#define BAD_UP_TO(role, type, field, most) BAD_TIME(role, type, field), BAD_REAL(role, type, field, most), BAD_REAL(role, type, field, INFINITY)

static const bad_field bad_fields[] = {
    BAD_CHOICE(ROLE_OPTIONS, lariat_reactor_options, driver),
    BAD_CHOICE(ROLE_OPTIONS, lariat_reactor_options, clock),
    BAD_TIME(ROLE_OPTIONS, lariat_reactor_options, thread_idle_seconds),
    BAD_TIME(ROLE_OPTIONS, lariat_reactor_options, shutdown_seconds),
    BAD_TIME(ROLE_OPTIONS, lariat_reactor_options, slow_callback_seconds),
    BAD_TIME(ROLE_OPTIONS, lariat_reactor_options, spin_seconds),
    BAD_CHOICE(ROLE_LINK, lariat_link, partitioned),
    BAD_UP_TO(ROLE_LINK, lariat_link, latency, 1.1e9),
    BAD_UP_TO(ROLE_LINK, lariat_link, jitter, 1.1e9),
    BAD_UP_TO(ROLE_LINK, lariat_link, bandwidth, 1.1e12),
    BAD_UP_TO(ROLE_LINK, lariat_link, loss, 1.1),
    BAD_UP_TO(ROLE_LINK, lariat_link, duplication, 1.1),
    BAD_UP_TO(ROLE_LINK, lariat_link, reordering, 1.1),
    BAD_FIELD(ROLE_SERIAL, lariat_serial_options, speed, {.integer = 0}),
    BAD_FIELD(ROLE_SERIAL, lariat_serial_options, data_bits, {.integer = 9}),
    BAD_FIELD(ROLE_SERIAL, lariat_serial_options, parity, {.integer = 3}),
    BAD_FIELD(ROLE_SERIAL, lariat_serial_options, stop_bits, {.integer = 0}),
    BAD_FIELD(ROLE_SERIAL, lariat_serial_options, flow_control, {.integer = -1}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, flags, {.natural = 64}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, flags, {.natural = LARIAT_PROCESS_KILL_GROUP}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, program, {.pointer = NULL}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, uid, {.integer = -2}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, uid, {.integer = UINT32_MAX}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, gid, {.integer = INT64_MAX}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, reserved, {.integer = 1}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, descriptor_count, {.natural = 1}),
    BAD_FIELD(ROLE_PROCESS_OPTIONS, lariat_process_options, descriptor_count, {.natural = SIZE_MAX}),
    BAD_TIME(ROLE_PROCESS_OPTIONS, lariat_process_options, time_limit),
    BAD_TIME(ROLE_PROCESS_OPTIONS, lariat_process_options, kill_after),
    BAD_FIELD(ROLE_PROCESS_PROTOCOL, lariat_process_protocol, reserved, {.integer = 1}),
    BAD_UP_TO(ROLE_BACKOFF, lariat_backoff, initial_seconds, 1.1e9),
    BAD_REAL(ROLE_BACKOFF, lariat_backoff, initial_seconds, 61), /* above max_seconds */
    BAD_UP_TO(ROLE_BACKOFF, lariat_backoff, factor, 1.1e6),
    BAD_REAL(ROLE_BACKOFF, lariat_backoff, factor, 0.9),
    BAD_UP_TO(ROLE_BACKOFF, lariat_backoff, max_seconds, 1.1e9),
    BAD_REAL(ROLE_BACKOFF, lariat_backoff, max_seconds, 0.9), /* below initial_seconds */
    BAD_UP_TO(ROLE_BACKOFF, lariat_backoff, jitter, 1.1),
    BAD_TIME(ROLE_CONNECTION_POOL_OPTIONS, lariat_connection_pool_options, idle_seconds),
    BAD_FIELD(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, flags, {.natural = 16}),
    BAD_FIELD(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, reserved, {.natural = 1}),
    BAD_FIELD(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, max_head_size, {.natural = 0}),
    BAD_FIELD(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, max_headers, {.natural = 0}),
    BAD_FIELD(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, user_agent, {.pointer = "a\r\nb"}),
    BAD_FIELD(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, proxy, {.pointer = "ftp://a"}),
    BAD_TIME(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, idle_connection_seconds),
    BAD_TIME(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, connect_seconds),
    BAD_TIME(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, response_seconds),
    BAD_TIME(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, silence_seconds),
    BAD_TIME(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, total_seconds),
    BAD_TIME(ROLE_HTTP_AGENT_OPTIONS, lariat_http_agent_options, continue_seconds),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, flags, {.natural = 8}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, method, {.pointer = "GE T"}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, url, {.pointer = NULL}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, url, {.pointer = "nonsense"}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, body_len, {.natural = 1}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, body_len, {.natural = SIZE_MAX}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, body_length, {.integer = -2}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, user, {.pointer = "a:b"}),
    BAD_FIELD(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, password, {.pointer = "a"}),
    BAD_REAL(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, total_seconds, -2),
    BAD_REAL(ROLE_HTTP_REQUEST_OPTIONS, lariat_http_request_options, total_seconds, NAN),
    BAD_FIELD(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, max_headers, {.natural = 257}),
    BAD_CHOICE(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, send_date),
    BAD_CHOICE(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, answer_half_closed),
    BAD_FIELD(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, reserved, {.natural = 1}),
    BAD_TIME(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, head_seconds),
    BAD_TIME(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, idle_seconds),
    BAD_TIME(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, body_seconds),
    BAD_TIME(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, request_seconds),
    BAD_TIME(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, write_seconds),
    BAD_TIME(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, linger_seconds),
    BAD_FIELD(ROLE_WEBSOCKET_PROTOCOL, lariat_websocket_protocol, reserved, {.natural = 1}),
    BAD_CHOICE(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, compression),
    BAD_CHOICE(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, no_context_takeover),
    BAD_CHOICE(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, peer_no_context_takeover),
    BAD_FIELD(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, window_bits, {.integer = 8}),
    BAD_FIELD(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, window_bits, {.integer = 16}),
    BAD_FIELD(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, peer_window_bits, {.integer = INT32_MIN}),
    BAD_FIELD(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, compression_level, {.integer = 0}),
    BAD_FIELD(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, compression_level, {.integer = 10}),
    BAD_REAL(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, handshake_seconds, INFINITY),
    BAD_TIME(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, handshake_seconds),
    BAD_TIME(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, close_seconds),
    BAD_TIME(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, ping_seconds),
    BAD_TIME(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, pong_seconds),
    BAD_TIME(ROLE_WEBSOCKET_OPTIONS, lariat_websocket_options, idle_seconds),
    BAD_FIELD(ROLE_HTTP_SERVER_OPTIONS, lariat_http_server_options, server_name, {.pointer = (void *)(uintptr_t)"a\r\nb"}),
    BAD_CHOICE(ROLE_HTTP_PRODUCER, lariat_http_producer, streaming),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, client_certificates, {.integer = 3}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, client_certificates, {.integer = INT32_MIN}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, client_certificates, {.integer = 2}), /* without a client_ca */
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, identities, {.pointer = NULL}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, identity_count, {.natural = 0}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, identity_count, {.natural = SIZE_MAX}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, client_ca_len, {.natural = 1}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, client_ca_len, {.natural = SIZE_MAX}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, alpn, {.pointer = (void *)(uintptr_t)","}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, alpn, {.pointer = (void *)(uintptr_t)"\xff"}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, minimum_version, {.integer = 0x0302}),
    BAD_FIELD(ROLE_TLS_SERVER, lariat_tls_server_options, minimum_version, {.integer = -1}),
    BAD_CHOICE(ROLE_TLS_SERVER, lariat_tls_server_options, session_tickets),
    BAD_TIME(ROLE_TLS_SERVER, lariat_tls_server_options, handshake_seconds),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, minimum_version, {.integer = 0x0305}),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, minimum_version, {.integer = INT32_MIN}),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, ca_len, {.natural = 1}),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, ca_len, {.natural = SIZE_MAX}),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, server_name, {.pointer = (void *)(uintptr_t)""}),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, server_name, {.pointer = (void *)(uintptr_t)"a b"}),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, alpn, {.pointer = (void *)(uintptr_t)""}),
    BAD_FIELD(ROLE_TLS_CLIENT, lariat_tls_client_options, pins, {.pointer = (void *)(uintptr_t)"00"}),
    BAD_TIME(ROLE_TLS_CLIENT, lariat_tls_client_options, handshake_seconds),
    BAD_CHOICE(ROLE_TLS_CLIENT, lariat_tls_client_options, insecure_no_verification),
};

static inline void bad_struct_fields(const export *one, int at) {
    static call made;
    char words[160];
    if (!is_prepared(one)) return;
    for (size_t i = 0; i < sizeof bad_fields / sizeof *bad_fields; i++) {
        const bad_field *bad = &bad_fields[i];
        if (bad->role != one->parameters[at].role) continue;
        int32_t integer = (int32_t)bad->given.integer;
        world_new();
        call_new(&made, one);
        memcpy(made.structs[at].bytes + bad->offset, bad->size == sizeof integer ? (const void *)&integer : &bad->given, bad->size);
        snprintf(words, sizeof words, "%s.%s = %#" PRIx64 " (as bits)", one->parameters[at].name, bad->name, bad->given.natural);
        call_make(one, &made, exactly(LARIAT_ERR_INVALID_ARGUMENT), words);
        world_end(one->name, made.adopted);
    }
}

enum { BAD_ADDRESSES = 8 };

/* One of those that are no address at all. */
static inline lariat_address bad_address(int number) {
    lariat_address address = good_address();
    switch (number) {
    case 0: address.family = 0; break;
    case 1: address.family = INT32_MIN; break;
    case 2: address.family = INT32_MAX; break;
    case 3: address.family = 2; break;
    case 4: address.family = LARIAT_ADDRESS_UNIX, address.path_length = sizeof address.path + 1; break;
    case 5: address.family = LARIAT_ADDRESS_UNIX, address.path_length = UINT16_MAX; break;
    case 6:
        address.family = LARIAT_ADDRESS_UNIX;
        address.path_length = 3;
        memcpy(address.path, "x\0y", 3);
        break;
    default: address.struct_size = 0;
    }
    return address;
}

enum { ODD_ADDRESSES = 8 };

/* One of those that are addresses, but perhaps not for this. */
static inline lariat_address odd_address(int number) {
    lariat_address address = good_address();
    switch (number) {
    case 0: address.port = 0; break;
    case 1: memset(address.host, 0xff, sizeof address.host); break;
    case 2: memset(address.host, 0, sizeof address.host); break;
    case 3: address.scope_id = UINT32_MAX, address.path_length = UINT16_MAX; break;
    case 4: address.family = LARIAT_ADDRESS_IPV6; break;
    case 5: address.family = LARIAT_ADDRESS_IPV6, address.scope_id = UINT32_MAX; break;
    case 6: address.family = LARIAT_ADDRESS_UNIX, address.path_length = 0; break;
    default:
        address.family = LARIAT_ADDRESS_UNIX;
        address.path_length = sizeof address.path;
        memset(address.path, 0xff, sizeof address.path);
    }
    return address;
}

/* Of the parameter, or of the first of its datagrams. */
static inline void bad_addresses(const export *one, int at) {
    static call made;
    char words[160];
    for (int number = 0; number < BAD_ADDRESSES + ODD_ADDRESSES; number++) {
        int is_bad = number < BAD_ADDRESSES;
        world_new();
        call_new(&made, one);
        lariat_address address = is_bad ? bad_address(number) : odd_address(number - BAD_ADDRESSES);
        if (one->parameters[at].role == ROLE_DATAGRAMS) made.peer = address;
        else made.structs[at].address = address;
        snprintf(words, sizeof words, "wrong address %d for %s", number, one->parameters[at].name);
        call_make(one, &made, exactly(is_bad ? LARIAT_ERR_INVALID_ARGUMENT : WANT_ANYTHING), words);
        world_end(one->name, made.adopted);
    }
}

/* The first of the datagrams is wrong. */
static inline void call_with_datagram(const export *one, int at, lariat_datagram datagram, int32_t status) {
    static call made;
    char words[160];
    world_new();
    call_new(&made, one);
    made.datagrams[0] = datagram;
    snprintf(words, sizeof words, "a datagram of %zu bytes, in segments of %" PRIu32 ", reserved %" PRIu32 "%s%s for %s", datagram.len,
             datagram.segment_size, datagram.reserved, datagram.data ? "" : ", without data", datagram.peer ? ", to a peer" : "",
             one->parameters[at].name);
    call_make(one, &made, exactly(status), words);
    world_end(one->name, made.adopted);
}

static inline void bad_datagrams(const export *one, int at) {
    static const uint8_t data[70000];
    const lariat_datagram bad[] = {
        {.data = NULL, .len = 1},
        {.data = data, .len = SIZE_MAX},
        {.data = data, .len = SIZE_MAX / 2 + 1},
        {.data = data, .len = 1, .reserved = 1},
        {.data = data, .len = 1, .reserved = UINT32_MAX},
    };
    const lariat_datagram odd[] = {
        {.data = NULL, .len = 0},
        {.data = NULL, .len = 0, .segment_size = 1},
        {.data = data, .len = 1},
        {.data = data, .len = 1, .segment_size = UINT32_MAX},
        {.data = data, .len = 3, .segment_size = 2},
        {.data = data, .len = 1000, .segment_size = 1},
        {.data = data, .len = sizeof data},
        {.data = data, .len = sizeof data, .segment_size = 1000},
        {.data = data, .len = sizeof data, .segment_size = sizeof data - 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) call_with_datagram(one, at, bad[i], LARIAT_ERR_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) call_with_datagram(one, at, odd[i], WANT_ANYTHING);
    bad_addresses(one, at);
}

static inline void call_plainly(const export *one) {
    static call made;
    world_new();
    call_new(&made, one);
    call_make(one, &made, exactly(WANT_ANYTHING), "good arguments");
    world_end(one->name, made.adopted);
}

/* Only those who have a parameter for them have them made. */
static inline int takes_processes(const export *one) {
    for (int at = 0; at < one->count; at++)
        if (one->parameters[at].role == ROLE_HANDLE && is_slow((enum kind)one->parameters[at].kind)) return 1;
    return 0;
}

static inline void fuzz(const export *one) {
    every_kind_is_quick = !takes_processes(one);
    worlds_start();
    int jobs = 0;
    for (int at = 0; at < one->count; at++) {
        enum role role = one->parameters[at].role;
        jobs += role == ROLE_HANDLE && one->parameters[at].kind == KIND_JOB;
        if (role == ROLE_HANDLE || role == ROLE_HANDLES) bad_handles(one, at);
    }
    if (!(one->flags & BAD_ONLY)) {
        call_plainly(one);
        for (int at = 0; at < one->count; at++) {
            const parameter *each = &one->parameters[at];
            for (int i = 0; i < each->count; i++) {
                number given = each->numbers[i];
                if (jobs) given.want = WANT_ERROR;
                call_with_number(one, at, given);
            }
            switch (each->role) {
            case ROLE_CALLBACK: call_without_callback(one, at); break;
            case ROLE_TEXT: bad_texts(one, at); break;
            case ROLE_OUTPUT: call_without(one, at, WANT_ANYTHING); break;
            case ROLE_DATAGRAMS: bad_datagrams(one, at); /* fall through */
            case ROLE_BYTES:
            case ROLE_PARTS: call_without(one, at, LARIAT_ERR_INVALID_ARGUMENT); break;
            case ROLE_ADDRESS: bad_addresses(one, at); /* fall through */
            case ROLE_OPTIONS:
            case ROLE_LINK:
            case ROLE_PROTOCOL:
            case ROLE_DATAGRAM_PROTOCOL:
            case ROLE_PRODUCER:
            case ROLE_SERIAL:
            case ROLE_PROCESS_OPTIONS:
            case ROLE_PROCESS_PROTOCOL:
            case ROLE_BACKOFF:
            case ROLE_CONNECTION_POOL_OPTIONS:
            case ROLE_HTTP_AGENT_OPTIONS:
            case ROLE_HTTP_REQUEST_OPTIONS:
            case ROLE_HTTP_SERVER_OPTIONS:
            case ROLE_HTTP_PRODUCER:
            case ROLE_WEBSOCKET_OPTIONS:
            case ROLE_WEBSOCKET_PROTOCOL:
            case ROLE_TLS_IDENTITY:
            case ROLE_TLS_SERVER:
            case ROLE_TLS_CLIENT:
                bad_struct_tail(one, at);
                bad_struct_fields(one, at); /* fall through */
            case ROLE_STATS:
            case ROLE_EVENT:
            case ROLE_ADDRESS_WRITTEN:
                bad_struct_sizes(one, at);
                call_without(one, at, each->null_want);
                break;
            default: break;
            }
        }
    }
    worlds_end();
}
#endif
