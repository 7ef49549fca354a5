/* A server that ends well: on SIGTERM or SIGINT it accepts nobody more, lets the requests under way finish, and goes.
 *
 *     graceful [-l SECONDS] [ENDPOINT]     serves at tcp://127.0.0.1:7000 unless told; finishing may take 30 seconds
 *     graceful                             or `graceful --demo`: gets the signal with three clients connected
 *
 * A request is a line, `work SECONDS`, and its answer `done` after so long. Who has no request under way is parted with
 * at once; who has one, once it is answered. After the limit, or on a second signal, the rest is cut off: then it ends
 * with 1, else with 0. */
#define _POSIX_C_SOURCE 200809L        /* for signals under -std=c11 */
#include <lariat.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 100, MAX_SESSIONS = 10000, IDLE_SECONDS = 60 };

/* ---- the server ---- */

typedef struct session {
    struct session *next, *previous;
    struct server *server;
    lariat_transport *transport;
    lariat_delayed_call *work;         /* NULL: no request is under way */
    int has_said_all;                  /* it sends no more requests */
} session;

typedef struct server {
    lariat_reactor *reactor;
    lariat_listener *listener;
    double limit_seconds;
    session *sessions;
    lariat_delayed_call *limit;
    lariat_deferred *drained;          /* the reactor waits for it; NULL: not ending, or nobody left */
    int is_ending;
    unsigned cut_off;                  /* requests that did not finish */
    void (*on_change)(void *);         /* for the demonstration; else NULL */
} server;

static void changed(server *server) {
    if (server->on_change != NULL)
        server->on_change(server);
}

static void count(const server *server, unsigned *busy, unsigned *idle) {
    *busy = *idle = 0;
    for (const session *session = server->sessions; session != NULL; session = session->next)
        ++*(session->work != NULL ? busy : idle);
}

static void answer(session *session, const char *line) {
    lariat_transport_write_frame(session->transport, (const uint8_t *)line, strlen(line));
}

static void wait_for_request(session *session) {
    lariat_transport_set_idle_timeout(session->transport, IDLE_SECONDS);
    if (session->server->is_ending || session->has_said_all)
        lariat_transport_lose_connection(session->transport);            /* once the answer is out */
    else
        lariat_transport_resume_reading(session->transport);             /* the next one may have come long ago */
}

static void work_is_done(void *user_data) {
    session *session = user_data;
    session->work = NULL;
    answer(session, "done");
    wait_for_request(session);
}

static void request_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    session *session = self;
    char line[MAX_LINE + 2], end;
    double seconds;
    if (session->work != NULL) {                                         /* one after the other: it comes again */
        memcpy(line, data, len);
        line[len] = '\n';
        lariat_transport_unread(transport, (const uint8_t *)line, len + 1);
        lariat_transport_pause_reading(transport);
        return;
    }
    snprintf(line, sizeof line, "%.*s", (int)len, (const char *)data);
    if (sscanf(line, "work %lf %c", &seconds, &end) != 1 || !(seconds >= 0.0 && seconds <= 1e6)) {
        answer(session, "error: no such request");
        return;
    }
    lariat_transport_set_idle_timeout(transport, 0.0);                   /* it is we who are silent */
    session->work = lariat_reactor_call_later(session->server->reactor, seconds, work_is_done, session);
    if (session->work == NULL)
        lariat_transport_fail_connection(transport, lariat_last_error(), lariat_last_error_message());
    changed(session->server);
}

/* It may still read its answer. One that has gone for good is noticed too, as nothing was paused. */
static void requests_are_over(lariat_transport *transport, void *self) {
    session *session = self;
    session->has_said_all = 1;
    if (session->work == NULL)
        lariat_transport_lose_connection(transport);
}

static void session_is_over(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    (void)reason;
    session *session = self;
    server *server = session->server;
    if (session->work != NULL)
        lariat_delayed_call_cancel(session->work);                       /* nobody waits for the answer */
    *(session->previous != NULL ? &session->previous->next : &server->sessions) = session->next;
    if (session->next != NULL)
        session->next->previous = session->previous;
    changed(server);
    if (server->sessions == NULL && server->drained != NULL) {
        lariat_delayed_call_cancel(server->limit);                       /* stale when it was the limit: no harm */
        lariat_deferred_callback(server->drained, NULL);
        server->drained = NULL;
    }
}

static lariat_status session_begins(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    server *server = user_data;
    session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return LARIAT_ERR_NO_MEMORY;                                     /* refuses the connection */
    *session = (struct session){.next = server->sessions, .server = server, .transport = transport};
    if (server->sessions != NULL)
        server->sessions->previous = session;
    server->sessions = session;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, MAX_LINE);
    lariat_transport_set_idle_timeout(transport, IDLE_SECONDS);
    *self = session;
    changed(server);
    return LARIAT_OK;
}

/* ---- its end ---- */

/* Nobody leaves the list in here: connection_lost is never called from inside the call that ends a connection. */
static void cut_off(void *user_data) {
    server *server = user_data;
    unsigned busy, idle;
    count(server, &busy, &idle);
    printf("Requests that are cut off: %u\n", busy);
    fflush(stdout);
    server->cut_off += busy;
    for (session *session = server->sessions; session != NULL; session = session->next)
        lariat_transport_fail_connection(session->transport, LARIAT_ERR_TIMED_OUT, "the server ends");
}

/* The reactor was asked to stop. It does when the Deferred that we return has fired. */
static lariat_deferred *drain(void *user_data) {
    server *server = user_data;
    unsigned busy, idle;
    count(server, &busy, &idle);
    server->is_ending = 1;
    printf("Ending. Requests under way: %u; connections without one: %u\n", busy, idle);
    fflush(stdout);
    lariat_deferred_release(lariat_listener_stop(server->listener));     /* from here on, nobody can connect */
    for (session *session = server->sessions; session != NULL; session = session->next)
        if (session->work == NULL)
            lariat_transport_lose_connection(session->transport);
    if (server->sessions == NULL)
        return NULL;
    server->limit = lariat_reactor_call_later(server->reactor, server->limit_seconds, cut_off, server);
    server->drained = lariat_deferred_new(server->reactor);
    if (server->limit == NULL || server->drained == NULL)                /* no memory: then without a limit, or at once */
        cut_off(server);
    changed(server);
    return server->drained;
}

static void signalled(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    (void)number;
    server *server = user_data;
    if (server->is_ending)
        cut_off(server);                                                 /* somebody is in a hurry */
    else
        lariat_reactor_stop(server->reactor);                            /* calls drain */
}

static lariat_listener *serve(server *server, const char *endpoint) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.data_received = request_received;
    protocol.read_connection_lost = requests_are_over;
    protocol.connection_lost = session_is_over;
    protocol.free_self = free;
    server->listener = lariat_reactor_listen(server->reactor, endpoint, &protocol, session_begins, server);
    if (server->listener == NULL ||
        lariat_reactor_watch_signal(server->reactor, SIGTERM, signalled, server) == NULL ||
        lariat_reactor_watch_signal(server->reactor, SIGINT, signalled, server) == NULL ||
        lariat_reactor_add_system_event_trigger(server->reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, drain,
                                                server) == NULL)
        return NULL;
    lariat_listener_set_max_connections(server->listener, MAX_SESSIONS);
    return server->listener;
}

/* ---- the demonstration: one request that finishes, one that does not, and a client without any ---- */

typedef struct visitor {
    const char *request;               /* NULL: none */
    struct demo *demo;
    lariat_transport *transport;
    char saw[100];
} visitor;

typedef struct demo {
    server server;                     /* first: on_change gets it */
    char endpoint[128];
    visitor quick, slow, idle, late;
    int has_signalled;
} demo;

static void visitor_meets(lariat_transport *transport, void *self) {
    visitor *visitor = self;
    visitor->transport = transport;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, 0);
    if (visitor->request != NULL)
        lariat_transport_write_frame(transport, (const uint8_t *)visitor->request, strlen(visitor->request));
}

static void visitor_sees(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport;
    visitor *visitor = self;
    snprintf(visitor->saw, sizeof visitor->saw, "%.*s, then ", (int)len, (const char *)data);
}

static void visit(visitor *visitor);

/* The demonstration does not wait: what the clock would do later is done now, one after the other. */
static void hurry(lariat_delayed_call *call) {
    lariat_delayed_call_reset(call, 0.0);
}

static void visitor_goes(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    visitor *visitor = self;
    demo *demo = visitor->demo;
    strcat(visitor->saw, lariat_failure_code(reason) == LARIAT_CONNECTION_DONE ? "a clean end" : "a failure");
    if (visitor == &demo->idle)
        visit(&demo->late);
    else if (visitor == &demo->quick)
        hurry(demo->server.limit);
}

static void *visitor_is_refused(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    visitor *visitor = user_data;
    demo *demo = visitor->demo;
    strcpy(visitor->saw, lariat_failure_code(failure) == LARIAT_ERR_CONNECTION_REFUSED ? "refused" : "something else");
    for (session *session = demo->server.sessions; session != NULL; session = session->next)
        if (session->next == NULL)                                       /* the first that came: quick */
            hurry(session->work);
    return NULL;
}

static void visit(visitor *visitor) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = visitor_meets;
    protocol.data_received = visitor_sees;
    protocol.connection_lost = visitor_goes;
    lariat_deferred *connected =
        lariat_reactor_connect(visitor->demo->server.reactor, visitor->demo->endpoint, &protocol, visitor);
    lariat_deferred_add_errback(connected, visitor_is_refused, visitor);
    lariat_deferred_release(connected);
}

static void server_has_changed(void *user_data) {
    demo *demo = user_data;
    unsigned busy, idle;
    count(&demo->server, &busy, &idle);
    if (busy == 1 && idle == 0 && demo->slow.request == NULL) {
        demo->slow.request = "work 2000";
        visit(&demo->slow);
    } else if (busy == 2 && idle == 0 && demo->idle.demo == NULL) {
        demo->idle.demo = demo;
        visit(&demo->idle);
    } else if (busy == 2 && idle == 1 && !demo->has_signalled) {
        demo->has_signalled = 1;
        raise(SIGTERM);                                                  /* as `kill` would send it */
    }
}

static void start_demo(demo *demo) {
    lariat_listener_address(demo->server.listener, demo->endpoint, sizeof demo->endpoint, NULL);
    demo->server.on_change = server_has_changed;
    demo->quick.demo = demo->slow.demo = demo->late.demo = demo;
    demo->quick.request = "work 1000";
    visit(&demo->quick);
}

static void tell_demo(const demo *demo) {
    printf("The client whose request was quick: %s\n", demo->quick.saw);
    printf("The client whose request was slow: %s\n", demo->slow.saw);
    printf("The client without a request: %s\n", demo->idle.saw);
    printf("The client that came too late: %s\n", demo->late.saw);
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    demo demo = {.server = {.reactor = lariat_reactor_new(), .limit_seconds = 30.0}};
    server *server = &demo.server;
    const char *endpoint = "tcp://127.0.0.1:7000";
    int next = 1;
    if (!demonstrates && argc > 2 && strcmp(argv[1], "-l") == 0) {
        char *end;
        server->limit_seconds = strtod(argv[2], &end);
        next = *end == '\0' && server->limit_seconds >= 0.0 && server->limit_seconds <= 1e9 ? 3 : argc + 1;
    }
    if (!demonstrates && (next > argc || argc - next > 1 || (argc > next && argv[next][0] == '-'))) {
        fprintf(stderr, "graceful [-l SECONDS] [ENDPOINT] | graceful --demo\n");
        lariat_reactor_free(server->reactor);
        return 2;
    }
    if (demonstrates)
        endpoint = "tcp://127.0.0.1:0";
    else if (next < argc)
        endpoint = argv[next];
    if (serve(server, endpoint) == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
        lariat_reactor_free(server->reactor);
        return 1;
    }
    if (demonstrates) {
        start_demo(&demo);
    } else {
        char address[128];
        lariat_listener_address(server->listener, address, sizeof address, NULL);
        printf("Listening at %s\n", address);
        fflush(stdout);
    }
    lariat_status status = lariat_reactor_run(server->reactor);
    lariat_status freed = lariat_reactor_free(server->reactor);
    if (demonstrates)
        tell_demo(&demo);
    else
        printf("Ended\n");
    return status != LARIAT_OK || freed != LARIAT_OK || (!demonstrates && server->cut_off > 0);
}
