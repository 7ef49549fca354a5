/* The HTTP client and the HTTP server with each other: over the loopback, and over simulated networks that fail in every way. */
#include "http_client.h"

/* ---- a server that gives back what it gets ------------------------------------------------------------------------------------------ */

static void *echo_it(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    lariat_http_request_respond(user_data, 200, NULL, lariat_bytes_data(value), lariat_bytes_length(value));
    return NULL;
}

static lariat_deferred *handle(lariat_http_request *request, void *user_data) {
    (void)user_data;
    const char *path = lariat_http_request_path(request);
    if (strcmp(path, "/echo") == 0) {
        lariat_deferred *body = lariat_http_request_read_body(request);
        lariat_deferred_add_callback(body, echo_it, request);
        return body;
    }
    if (strcmp(path, "/chunks") == 0) {
        for (int i = 0; i < 5; i++) lariat_http_request_write(request, (const uint8_t *)"chunk", 5);
        lariat_http_request_finish(request);
        return NULL;
    }
    if (strcmp(path, "/moved") == 0) {
        lariat_http_request_redirect(request, 302, "/chunks");
        return NULL;
    }
    lariat_http_request_respond(request, 404, "text/plain", (const uint8_t *)"no", 2);
    return NULL;
}

static lariat_http_server *serve(lariat_reactor *reactor, const char *endpoint, int *port) {
    lariat_http_server *server = lariat_http_server_new(reactor, NULL);
    CHECK(server != NULL);
    CHECK_OK(lariat_http_server_set_handler(server, handle, NULL));
    lariat_listener *listener = lariat_http_server_listen(server, endpoint);
    if (!listener) test_fail(__FILE__, __LINE__, "no listener: %s", lariat_last_error_message());
    if (port) *port = (int)lariat_listener_port(listener);
    return server;
}

static const struct { const char *method, *path; size_t body; int32_t code; const char *answer; } kinds[] = {
    {"GET", "/chunks", 0, 200, "chunkchunkchunkchunkchunk"}, {"POST", "/echo", 1, 200, NULL}, {"HEAD", "/chunks", 0, 200, ""},
    {"PUT", "/echo", 100000, 200, NULL}, {"GET", "/moved", 0, 200, "chunkchunkchunkchunkchunk"}, {"DELETE", "/nothing", 0, 404, "no"},
    {"POST", "/echo", 20000, 200, NULL},
};
enum { WAYS_TO_ASK = sizeof kinds / sizeof *kinds };

static void ask(lariat_http_agent *agent, const char *place, int number, got *it, uint8_t **body) {
    char url[256];
    int kind = number % WAYS_TO_ASK;
    snprintf(url, sizeof url, "%s%s", place, kinds[kind].path);
    lariat_http_request_options options = request_options(kinds[kind].method, url);
    *body = pattern_new(kinds[kind].body, (unsigned)number);
    if (kinds[kind].body) options.body = *body, options.body_len = kinds[kind].body;
    fetch(it, lariat_http_agent_request(agent, &options));
}

/* It has its own answer; with `may_fail`, or none. */
static void check_answer(int number, got *it, int may_fail) {
    int kind = number % WAYS_TO_ASK;
    CHECK_INT(it->fired, 1);
    if (!it->failure) {
        CHECK_INT(it->code, kinds[kind].code);
        if (kinds[kind].answer) CHECK_STR(bytes_text(&it->body), kinds[kind].answer);
        else {
            CHECK_INT(it->body.length, kinds[kind].body);
            CHECK_PATTERN(it->body.data, it->body.length, (unsigned)number);
        }
    } else if (!may_fail) {
        test_fail(__FILE__, __LINE__, "request %d: %s", number, it->message);
    } else {
        CHECK(has(it->message, kinds[kind].method) || has(it->message, "http://")); /* also of a redirected one */
    }
    bytes_free(&it->body);
}

TEST(many_requests_over_the_loopback) {
    enum { MANY = 350 };
    static got all[MANY];
    static uint8_t *bodies[MANY];
    int port;
    char place[64];
    lariat_reactor *reactor = real_reactor();
    lariat_http_server *server = serve(reactor, "http://127.0.0.1:0", &port);
    lariat_http_agent *agent = lariat_http_agent_new(reactor, NULL);
    snprintf(place, sizeof place, "http://127.0.0.1:%d", port);
    for (int i = 0; i < MANY; i++) ask(agent, place, i, &all[i], &bodies[i]);
    for (int i = 0; i < MANY; i++) {
        until(reactor, all[i].fired);
        check_answer(i, &all[i], 0);
        free(bodies[i]);
    }
    CHECK(lariat_http_agent_connections(agent) <= 6);
    CHECK_OK(lariat_http_agent_free(agent));
    lariat_deferred *stopped = lariat_http_server_stop(server, INFINITY);
    until(reactor, lariat_deferred_called(stopped));
    CHECK_OK(lariat_deferred_release(stopped));
    CHECK_OK(lariat_http_server_free(server));
    until(reactor, reactor_stats(reactor).transports == 0);
    turns(reactor, 2);
    reactor_done(reactor);
}

/* ---- over a network that is only simulated -------------------------------------------------------------------------------------------- */

enum { ASKED = 21 };

/* Gives the trace's hash. `trouble`: connections are reset, refused and parted now and then. */
static uint64_t over_a_network(uint64_t seed, int trouble) {
    static got all[ASKED];
    uint8_t *bodies[ASKED];
    memset(all, 0, sizeof all);
    lariat_simulation *simulation = lariat_simulation_new(seed);
    lariat_reactor *here = simulated_reactor(simulation, "here"), *there = simulated_reactor(simulation, "there");
    lariat_link link;
    CHECK_OK(lariat_link_init(&link, sizeof link));
    link.latency = 0.02;
    link.jitter = 0.01;
    link.bandwidth = 1e6;
    link.loss = 0.05;
    CHECK_OK(lariat_simulation_set_link(simulation, NULL, NULL, &link));
    CHECK_OK(lariat_simulation_set_faults(simulation, 0.3));
    lariat_http_server *server = serve(there, "http://*:80", NULL);
    lariat_http_agent_options options = agent_options();
    options.max_connections_per_host = 3;
    options.total_seconds = 300;
    lariat_http_agent *agent = agent_with(here, options);
    for (int i = 0; i < ASKED; i++) ask(agent, "http://there", i, &all[i], &bodies[i]);
    for (int i = 0; trouble && i < 40; i++) {
        CHECK_OK(lariat_simulation_run(simulation, 0.05 + (double)(seed % 7) / 50));
        switch ((seed + (uint64_t)i) % 5) {
        case 0: CHECK_OK(lariat_simulation_reset_connections(simulation, "here", "there")); break;
        case 2: CHECK_OK(lariat_simulation_refuse_connections(simulation, "there", 80, 1)); break;
        case 3: CHECK_OK(lariat_simulation_partition(simulation, "here", "there", 1)); break;
        default: CHECK_OK(lariat_simulation_partition(simulation, NULL, NULL, 0));
        }
    }
    CHECK_OK(lariat_simulation_partition(simulation, NULL, NULL, 0));
    CHECK_OK(lariat_simulation_run(simulation, 1000));
    int whole = 0;
    for (int i = 0; i < ASKED; i++) {
        whole += all[i].fired == 1 && !all[i].failure;
        check_answer(i, &all[i], trouble);
        free(bodies[i]);
    }
    /* After all that it serves as at first. */
    got last = {0};
    uint8_t *body;
    ask(agent, "http://there", 3, &last, &body);
    CHECK_OK(lariat_simulation_run(simulation, 1000));
    check_answer(3, &last, 0);
    free(body);
    if (!trouble) CHECK_INT(whole, ASKED);
    CHECK_INT(reactor_stats(here).http_exchanges, 0);
    CHECK_OK(lariat_http_agent_free(agent));
    lariat_deferred *stopped = lariat_http_server_stop(server, INFINITY);
    CHECK_OK(lariat_simulation_run(simulation, 1000));
    CHECK_INT(lariat_deferred_called(stopped), 1);
    CHECK_OK(lariat_deferred_release(stopped));
    CHECK_OK(lariat_http_server_free(server));
    CHECK_OK(lariat_simulation_run_until_idle(simulation));
    uint64_t hash = lariat_simulation_trace_hash(simulation);
    reactor_done(here);
    reactor_done(there);
    CHECK_OK(lariat_simulation_free(simulation));
    return hash;
}

TEST(a_bad_network_changes_nothing) {
    for (uint64_t seed = 1; seed <= many(20); seed++) over_a_network(seed, 0);
}

TEST(connections_that_break_at_any_time) {
    for (uint64_t seed = 1; seed <= many(60); seed++) over_a_network(seed, 1);
}

TEST(a_seed_decides_it_all) {
    CHECK(over_a_network(7, 1) == over_a_network(7, 1));
    CHECK(over_a_network(7, 1) != over_a_network(8, 1));
}
