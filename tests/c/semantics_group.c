/* Reactor groups: several loops, one port, one call to start them and one to stop them. */
#include "harness.h"
#include "plain_server.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/un.h>

#define REACTORS 4

/* ---- what runs on the group's threads ---- */

static _Thread_local int here = -1; /* which of the reactors runs on this thread */
static atomic_int setups, made[REACTORS], lost, triggers, freed;
static lariat_reactor *reactors[REACTORS];
static lariat_reactor_group *group;

static void start_counting(void) {
    atomic_store(&setups, 0);
    atomic_store(&lost, 0);
    for (int i = 0; i < REACTORS; i++) atomic_store(&made[i], 0);
}

static lariat_status setup(lariat_reactor *reactor, uint32_t index, void *user_data) {
    (void)user_data;
    CHECK_INT(index, atomic_fetch_add(&setups, 1)); /* one after the other */
    CHECK_INT(lariat_reactor_running(reactor), 0);
    here = (int)index;
    reactors[index] = reactor;
    return LARIAT_OK;
}

static void on_made(lariat_transport *transport, void *self) {
    (void)transport, (void)self;
    CHECK(here >= 0);
    atomic_fetch_add(&made[here], 1);
}

/* Answers each byte with the reactor's number. */
static void on_data(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    const uint8_t answer = (uint8_t)('0' + here);
    (void)data, (void)self;
    for (size_t i = 0; i < len; i++) CHECK_OK(lariat_transport_write(transport, &answer, 1));
}

static void on_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport, (void)reason, (void)self;
    atomic_fetch_add(&lost, 1);
}

static lariat_protocol protocol_new(void) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = on_made;
    protocol.data_received = on_data;
    protocol.connection_lost = on_lost;
    return protocol;
}

/* ---- what runs here ---- */

static lariat_reactor_group *group_of(uint32_t count) {
    start_counting();
    group = lariat_reactor_group_new(count, NULL);
    if (!group) test_fail(__FILE__, __LINE__, "no group: %s", lariat_last_error_message());
    return group;
}

static int listen_at(const char *endpoint, int32_t sharing) {
    lariat_protocol protocol = protocol_new();
    int port = lariat_reactor_group_listen(group, endpoint, sharing, &protocol, NULL, NULL);
    if (port < 0) test_fail(__FILE__, __LINE__, "%s: %s", endpoint, lariat_last_error_message());
    return port;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Which of the reactors has it. */
static int who_has(int fd) {
    char answer;
    CHECK_INT(write(fd, "?", 1), 1);
    CHECK_INT(read(fd, &answer, 1), 1);
    return answer - '0';
}

static void group_done(void) {
    CHECK_OK(lariat_reactor_group_free(group));
    CHECK_STATUS(lariat_reactor_group_stop(group), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS((lariat_status)lariat_reactor_group_size(group), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(lariat_reactors_alive(), 0);
}

/* ---- arguments ---- */

TEST(group_arguments_that_are_not_taken) {
    lariat_protocol protocol = protocol_new();
    lariat_reactor_options options;
    CHECK_OK(lariat_reactor_options_init(&options, sizeof options));
    CHECK_NULL(lariat_reactor_group_new(1025, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    options.clock = LARIAT_CLOCK_MANUAL;
    options.log_user_data = token_new("log");
    options.free_log_user_data = token_free;
    CHECK_NULL(lariat_reactor_group_new(1, &options), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_INT(tokens_alive(), 0);
    group_of(2);
    CHECK_INT(lariat_reactor_group_size(group), 2);
    token *data[] = {token_new("sharing"), token_new("endpoint"), token_new("protocol"), token_new("port"), token_new("name")};
    CHECK_STATUS(lariat_reactor_group_listen_full(group, "tcp://127.0.0.1:0", 3, &protocol, NULL, data[0], token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_group_listen_full(group, "tcp//", 0, &protocol, NULL, data[1], token_free), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_STATUS(lariat_reactor_group_listen_full(group, "tcp://127.0.0.1:0", 0, NULL, NULL, data[2], token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_group_listen_full(group, "unix:///tmp/x", LARIAT_SHARING_PORT, &protocol, NULL, data[3], token_free),
                 LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_reactor_group_listen_full(group, "tcp://example.org:80", 0, &protocol, NULL, data[4], token_free), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_INT(tokens_alive(), 0);
    CHECK_NULL(lariat_reactor_group_reactor(group, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_group_wait(group), LARIAT_ERR_NOT_RUNNING);
    group_done();
}

TEST(group_of_as_many_as_there_are_processors) {
    group_of(0);
    CHECK(lariat_reactor_group_size(group) >= 1);
    CHECK_INT(lariat_reactors_alive(), 0); /* nothing is made yet */
    CHECK_OK(lariat_reactor_group_free(group));
}

/* ---- starting and stopping ---- */

TEST(group_thread_each_has_its_own) {
    token *data = token_new("data");
    group_of(REACTORS);
    CHECK_OK(lariat_reactor_group_start_full(group, setup, data, token_free));
    CHECK_INT(atomic_load(&setups), REACTORS);
    CHECK_INT(lariat_reactors_alive(), REACTORS);
    for (int i = 0; i < REACTORS; i++) {
        CHECK_PTR(lariat_reactor_group_reactor(group, (uint32_t)i), reactors[i]);
        CHECK_STATUS(lariat_reactor_running(reactors[i]), LARIAT_ERR_WRONG_THREAD);
        CHECK_STATUS(lariat_reactor_adopt(reactors[i]), LARIAT_ERR_BUSY);
        CHECK_STATUS(lariat_reactor_free(reactors[i]), LARIAT_ERR_WRONG_THREAD);
    }
    CHECK_NULL(lariat_reactor_group_reactor(group, REACTORS), LARIAT_ERR_INVALID_ARGUMENT);
    token *late = token_new("late");
    CHECK_STATUS(lariat_reactor_group_start_full(group, setup, late, token_free), LARIAT_ERR_INVALID_STATE);
    CHECK(!token_alive(late) && token_alive(data));
    lariat_protocol protocol = protocol_new();
    CHECK_STATUS(lariat_reactor_group_listen(group, "tcp://127.0.0.1:0", 0, &protocol, NULL, NULL), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_INT(lariat_reactors_alive(), 0);
    CHECK_STATUS(lariat_reactor_stop_from_thread(reactors[0]), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_OK(lariat_reactor_group_wait(group));
    CHECK(token_alive(data));
    group_done();
    CHECK(token_freed_here(data));
}

TEST(group_thread_free_stops) {
    group_of(REACTORS);
    CHECK_OK(lariat_reactor_group_start(group, NULL, NULL));
    CHECK_INT(lariat_reactors_alive(), REACTORS);
    group_done();
}

TEST(group_thread_stopped_before_it_was_started) {
    lariat_protocol protocol = protocol_new();
    group_of(2);
    listen_at("tcp://127.0.0.1:0", LARIAT_SHARING_DEFAULT);
    CHECK_INT(lariat_reactors_alive(), 2);
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_INT(lariat_reactors_alive(), 0);
    CHECK_STATUS(lariat_reactor_group_start(group, setup, NULL), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_reactor_group_listen(group, "tcp://127.0.0.1:0", 0, &protocol, NULL, NULL), LARIAT_ERR_CLOSED);
    group_done();
}

static lariat_status setup_fails_at_2(lariat_reactor *reactor, uint32_t index, void *user_data) {
    setup(reactor, index, user_data);
    CHECK(lariat_reactor_call_later(reactor, 0, count_call, NULL) != NULL); /* never made */
    if (index == 2) return *(lariat_status *)user_data;
    return LARIAT_OK;
}

static lariat_status setup_fails_by_the_library(lariat_reactor *reactor, uint32_t index, void *user_data) {
    (void)index, (void)user_data;
    CHECK_STATUS(lariat_reactor_free(reactor), LARIAT_ERR_BUSY);
    CHECK_STATUS(lariat_reactor_run(reactor), LARIAT_ERR_REENTRANT);
    CHECK_NULL(lariat_reactor_listen(reactor, "tcp//", NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    lariat_protocol protocol = protocol_new();
    CHECK_NULL(lariat_reactor_listen(reactor, "tcp//", &protocol, NULL, NULL), LARIAT_ERR_BAD_ENDPOINT);
    return lariat_last_error();
}

TEST(group_thread_a_setup_that_fails_ends_it) {
    lariat_status answers[] = {7, LARIAT_ERR_LIMIT};
    for (int i = 0; i < 2; i++) {
        token *data = token_new("data");
        group_of(REACTORS);
        CHECK_STATUS(lariat_reactor_group_start(group, setup_fails_at_2, &answers[i]), answers[i]);
        CHECK_INT(atomic_load(&setups), 3); /* the last was not asked any more */
        CHECK_INT(lariat_reactors_alive(), 0);
        CHECK_STATUS(lariat_reactor_group_start_full(group, NULL, data, token_free), LARIAT_ERR_CLOSED);
        CHECK(!token_alive(data));
        group_done();
    }
    group_of(1);
    CHECK_STATUS(lariat_reactor_group_start(group, setup_fails_by_the_library, NULL), LARIAT_ERR_BAD_ENDPOINT);
    CHECK(strstr(lariat_last_error_message(), "tcp//") != NULL); /* the words have come along */
    group_done();
}

static lariat_deferred *count_trigger(void *user_data) {
    (void)user_data;
    atomic_fetch_add(&triggers, 1);
    return NULL;
}

static lariat_status setup_with_trigger(lariat_reactor *reactor, uint32_t index, void *user_data) {
    CHECK(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, count_trigger, NULL) != NULL);
    return setup(reactor, index, user_data);
}

TEST(group_thread_stops_by_the_shutdown_triggers) {
    for (int round = 0; round < 20; round++) { /* whether the loops have begun yet or not */
        atomic_store(&triggers, 0);
        group_of(REACTORS);
        CHECK_OK(lariat_reactor_group_start(group, setup_with_trigger, NULL));
        CHECK_OK(lariat_reactor_group_stop(group));
        CHECK_INT(atomic_load(&triggers), REACTORS);
        group_done();
    }
}

static void stop_group(void *user_data) { CHECK_OK(lariat_reactor_group_stop(user_data)); }

TEST(group_thread_stopped_by_one_of_its_own) {
    group_of(REACTORS);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    CHECK_OK(lariat_reactor_call_from_thread(lariat_reactor_group_reactor(group, 1), stop_group, group));
    CHECK_OK(lariat_reactor_group_wait(group));
    CHECK_INT(lariat_reactors_alive(), 0);
    group_done();
}

static void *stop_from_a_thread(void *argument) {
    CHECK_OK(lariat_reactor_group_stop(argument));
    CHECK_STATUS(lariat_reactor_group_wait(argument), LARIAT_ERR_WRONG_THREAD);
    CHECK_STATUS(lariat_reactor_group_free(argument), LARIAT_ERR_WRONG_THREAD);
    return NULL;
}

TEST(group_thread_stopped_by_many) {
    pthread_t threads[3];
    group_of(REACTORS);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    for (int i = 0; i < 3; i++) threads[i] = thread_start(stop_from_a_thread, group);
    CHECK_OK(lariat_reactor_group_wait(group));
    for (int i = 0; i < 3; i++) thread_join(threads[i]);
    group_done();
}

static void stop_this_reactor(void *user_data) { CHECK_OK(lariat_reactor_stop(user_data)); }

TEST(group_thread_ends_when_each_has_stopped) {
    group_of(2);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    for (int i = 0; i < 2; i++) CHECK_OK(lariat_reactor_call_from_thread(reactors[i], stop_this_reactor, reactors[i]));
    CHECK_OK(lariat_reactor_group_wait(group));
    CHECK_INT(lariat_reactors_alive(), 0);
    group_done();
}

/* Two of them know nothing of each other. */
TEST(group_thread_beside_another) {
    lariat_reactor_group *first = group_of(2), *second;
    int port = listen_at("tcp://127.0.0.1:0", LARIAT_SHARING_HAND_OVER);
    second = group_of(2);
    CHECK_OK(lariat_reactor_group_start(first, setup, NULL));
    start_counting();
    CHECK_OK(lariat_reactor_group_start(second, setup, NULL));
    CHECK_INT(lariat_reactors_alive(), 4);
    CHECK_OK(lariat_reactor_group_free(second));
    int fd = connect_to(port);
    CHECK_INT(who_has(fd), 0);
    CHECK_INT(close(fd), 0);
    group = first;
    group_done();
}

/* ---- what a host may want of the threads ---- */

static lariat_status look_at_the_thread(lariat_reactor *reactor, uint32_t index, void *user_data) {
    sigset_t mask;
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGCHLD, SIGUSR1};
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) CHECK_INT(sigismember(&mask, handled[i]), 1);
    return setup(reactor, index, user_data);
}

TEST(group_thread_takes_no_signals) {
    sigset_t mask;
    group_of(2);
    CHECK_OK(lariat_reactor_group_start(group, look_at_the_thread, NULL));
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    CHECK_INT(sigismember(&mask, SIGTERM), 0); /* here nothing is changed */
    group_done();
}

static void count_log(int32_t level, const char *message, void *user_data) {
    (void)level, (void)message;
    atomic_fetch_add((atomic_int *)user_data, 1);
}

static void free_counted(void *data) {
    (void)data;
    atomic_fetch_add(&freed, 1);
}

static lariat_status setup_unhandled(lariat_reactor *reactor, uint32_t index, void *user_data) {
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_failed(reactor, 7, "nobody handles it")));
    return setup(reactor, index, user_data);
}

TEST(group_thread_shares_its_options) {
    static atomic_int logged;
    lariat_reactor_options options;
    CHECK_OK(lariat_reactor_options_init(&options, sizeof options));
    options.log = count_log;
    options.log_user_data = &logged;
    options.free_log_user_data = free_counted;
    group = lariat_reactor_group_new(REACTORS, &options);
    start_counting();
    CHECK_OK(lariat_reactor_group_start(group, setup_unhandled, NULL));
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_INT(atomic_load(&logged), REACTORS);
    CHECK_INT(atomic_load(&freed), 0);
    group_done();
    CHECK_INT(atomic_load(&freed), 1);
}

/* ---- listening ---- */

#ifdef __linux__
#define SKIP_UNLESS_SYSTEM_SHARES (void)0
#else
#define SKIP_UNLESS_SYSTEM_SHARES SKIP("only Linux shares out what connects")
#endif

static void serve(int32_t sharing, int connections, int fds[]) {
    group_of(REACTORS);
    int port = listen_at("tcp://127.0.0.1:0", sharing);
    CHECK(port > 0);
    int early = connect_to(port); /* waits until it is started */
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    CHECK(who_has(early) >= 0);
    CHECK_INT(close(early), 0);
    for (int i = 0; i < connections; i++) {
        fds[i] = connect_to(port);
        int who = who_has(fds[i]);
        CHECK(who >= 0 && who < REACTORS);
        CHECK_INT(who_has(fds[i]), who); /* and stays there */
    }
}

static void hang_up(int connections, int fds[]) {
    for (int i = 0; i < connections; i++) CHECK_INT(close(fds[i]), 0);
}

TEST(group_thread_shares_a_port) {
    enum { CONNECTIONS = 128 };
    int fds[CONNECTIONS];
    SKIP_UNLESS_SYSTEM_SHARES;
    serve(LARIAT_SHARING_PORT, CONNECTIONS, fds);
    CHECK_OK(lariat_reactor_group_stop(group));
    for (int i = 0; i < REACTORS; i++) CHECK(atomic_load(&made[i]) > 0); /* by a hash: that one gets none happens once in 10^15 runs */
    CHECK_INT(atomic_load(&lost), CONNECTIONS + 1);
    for (int i = 0; i < CONNECTIONS; i++) CHECK(is_hung_up(fds[i]));
    hang_up(CONNECTIONS, fds);
    group_done();
}

TEST(group_thread_hands_connections_over) {
    int fds[64];
    serve(LARIAT_SHARING_HAND_OVER, 63, fds);
    hang_up(63, fds);
    CHECK_OK(lariat_reactor_group_stop(group));
    for (int i = 0; i < REACTORS; i++) CHECK_INT(atomic_load(&made[i]), 64 / REACTORS); /* by turns */
    CHECK_INT(atomic_load(&lost), 64);
    group_done();
}

/* Without a stop, with all connections open. */
TEST(group_thread_free_ends_the_connections) {
    int fds[16];
    for (int32_t sharing = LARIAT_SHARING_DEFAULT; sharing <= LARIAT_SHARING_HAND_OVER; sharing += 2) {
        serve(sharing, 16, fds);
        group_done();
        CHECK_INT(atomic_load(&lost), 17);
        for (int i = 0; i < 16; i++) CHECK(is_hung_up(fds[i]));
        hang_up(16, fds);
    }
}

/* Asked for, since it cannot wait for itself; and what only the group's thread may do is refused. */
static void on_data_stop(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport, (void)data, (void)len, (void)self;
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_STATUS(lariat_reactor_group_wait(group), LARIAT_ERR_WRONG_THREAD);
    CHECK_STATUS(lariat_reactor_group_free(group), LARIAT_ERR_WRONG_THREAD);
    CHECK_OK(lariat_reactor_group_stop(group));
}

TEST(group_thread_stopped_by_a_connection) {
    for (int32_t sharing = LARIAT_SHARING_DEFAULT; sharing <= LARIAT_SHARING_HAND_OVER; sharing += 2) {
        int fds[8];
        char byte;
        lariat_protocol protocol = protocol_new();
        protocol.data_received = on_data_stop;
        group_of(REACTORS);
        int port = lariat_reactor_group_listen(group, "tcp://127.0.0.1:0", sharing, &protocol, NULL, NULL);
        CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
        for (int i = 0; i < 8; i++) fds[i] = connect_to(port);
        CHECK_INT(write(fds[5], "!", 1), 1);
        CHECK_OK(lariat_reactor_group_wait(group));
        CHECK_INT(lariat_reactors_alive(), 0);
        for (int i = 0; i < 8; i++) CHECK(read(fds[i], &byte, 1) <= 0); /* made or not */
        hang_up(8, fds);
        group_done();
    }
}

/* What is on its way to a reactor when all stop is closed. */
TEST(group_thread_stops_while_it_hands_over) {
    for (int round = 0; round < 20; round++) {
        int fds[32];
        group_of(REACTORS);
        int port = listen_at("tcp://127.0.0.1:0", LARIAT_SHARING_HAND_OVER);
        CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
        for (int i = 0; i < 32; i++) fds[i] = connect_to(port);
        CHECK_OK(lariat_reactor_group_stop(group));
        hang_up(32, fds);
        group_done();
    }
}

/* The others go on without one that has stopped, and nobody is lost by that. */
TEST(group_thread_hands_over_to_those_who_are_left) {
    const char answers[] = {'0', '1', '3'};
    group_of(REACTORS);
    int port = listen_at("tcp://127.0.0.1:0", LARIAT_SHARING_HAND_OVER);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    CHECK_OK(lariat_reactor_call_from_thread(reactors[2], stop_this_reactor, reactors[2]));
    while (lariat_reactors_alive() == REACTORS) sched_yield();
    for (int i = 0; i < 13; i++) {
        int fd = connect_to(port);
        CHECK_INT(who_has(fd), answers[i % 3] - '0');
        CHECK_INT(close(fd), 0);
    }
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_INT(atomic_load(&lost), 13);
    CHECK_INT(atomic_load(&made[2]), 0);
    group_done();
}

/* ---- limits ---- */

#define LIMIT 2

static lariat_status build_limited(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)transport, (void)self, (void)user_data;
    CHECK_OK(lariat_listener_set_max_connections(listener, LIMIT));
    CHECK(lariat_listener_connections(listener) <= LIMIT);
    return LARIAT_OK;
}

/* Many connect; each that is answered makes room for one that waits. */
static void limit_connections(int32_t sharing) {
    enum { CONNECTIONS = 48 };
    struct pollfd ends[CONNECTIONS];
    lariat_protocol protocol = protocol_new();
    group_of(REACTORS);
    int port = lariat_reactor_group_listen(group, "tcp://127.0.0.1:0", sharing, &protocol, build_limited, NULL), answered = 0;
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    for (int i = 0; i < CONNECTIONS; i++) {
        ends[i] = (struct pollfd){.fd = connect_to(port), .events = POLLIN};
        /* By turns: all know their limit before more are on their way to them. */
        if (sharing == LARIAT_SHARING_HAND_OVER && i < REACTORS) who_has(ends[i].fd);
        CHECK_INT(write(ends[i].fd, "?", 1), 1);
    }
    while (answered < CONNECTIONS) {
        CHECK(poll(ends, CONNECTIONS, -1) > 0);
        for (int i = 0; i < CONNECTIONS; i++) {
            char answer;
            if (ends[i].fd < 0 || !ends[i].revents) continue;
            CHECK_INT(read(ends[i].fd, &answer, 1), 1);
            CHECK_INT(close(ends[i].fd), 0);
            ends[i].fd = -1;
            answered++;
        }
    }
    CHECK_OK(lariat_reactor_group_stop(group));
    for (int i = 0; i < REACTORS; i++) CHECK(atomic_load(&made[i]) > 0 || sharing == LARIAT_SHARING_PORT);
    CHECK_INT(atomic_load(&lost), CONNECTIONS);
    group_done();
}

TEST(group_thread_limits_connections_at_a_shared_port) {
    SKIP_UNLESS_SYSTEM_SHARES;
    limit_connections(LARIAT_SHARING_PORT);
}

TEST(group_thread_limits_connections_handed_over) { limit_connections(LARIAT_SHARING_HAND_OVER); }

/* Full to the last place: who comes then gets the place that falls free, wherever that is; who has none leaves with the group. */
TEST(group_thread_stops_while_it_is_full) {
    enum { PLACES = REACTORS * LIMIT };
    const int leaving[] = {0, 4, 0, 4, 3, 7, 1, 0, 2};
    int fds[PLACES + 3];
    char byte;
    lariat_protocol protocol = protocol_new();
    group_of(REACTORS);
    int port = lariat_reactor_group_listen(group, "tcp://127.0.0.1:0", LARIAT_SHARING_HAND_OVER, &protocol, build_limited, NULL);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    for (int i = 0; i < PLACES; i++) CHECK_INT(who_has(fds[i] = connect_to(port)), i % REACTORS);
    for (size_t i = 0; i < sizeof leaving / sizeof *leaving; i++) {
        int next = connect_to(port), place = leaving[i];
        CHECK_INT(close(fds[place]), 0);
        CHECK_INT(who_has(fds[place] = next), place % REACTORS);
    }
    for (int i = PLACES; i < PLACES + 3; i++) fds[i] = connect_to(port);
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_INT(atomic_load(&lost), PLACES + sizeof leaving / sizeof *leaving);
    for (int i = 0; i < PLACES + 3; i++) CHECK(read(fds[i], &byte, 1) <= 0);
    hang_up(PLACES + 3, fds);
    group_done();
}

static lariat_listener *_Atomic listeners[REACTORS];

static lariat_status build_telling(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)transport, (void)self, (void)user_data;
    atomic_store(&listeners[here], listener);
    return LARIAT_OK;
}

static void pause_it(void *user_data) {
    CHECK_OK(lariat_listener_pause(atomic_load(&listeners[2])));
    gate_open(user_data);
}

static void resume_it(void *user_data) {
    CHECK_OK(lariat_listener_resume(atomic_load(&listeners[2])));
    gate_open(user_data);
}

static void stop_it(void *user_data) {
    CHECK_OK(lariat_deferred_release(lariat_listener_stop(atomic_load(&listeners[2]))));
    gate_open(user_data);
}

static void on_reactor_2(lariat_call_fn call) {
    gate done = GATE_CLOSED;
    CHECK_OK(lariat_reactor_call_from_thread(reactors[2], call, &done));
    gate_wait(&done);
}

static void connects_to(int port, const char *who) {
    for (; *who; who++) {
        int fd = connect_to(port);
        CHECK_INT(who_has(fd), *who - '0');
        CHECK_INT(close(fd), 0);
    }
}

/* One whose listener takes none is left out, and nobody is lost by that. */
TEST(group_thread_hands_over_past_one_that_takes_none) {
    lariat_protocol protocol = protocol_new();
    group_of(REACTORS);
    int port = lariat_reactor_group_listen(group, "tcp://127.0.0.1:0", LARIAT_SHARING_HAND_OVER, &protocol, build_telling, NULL);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    connects_to(port, "0123");
    on_reactor_2(pause_it);
    connects_to(port, "013013");
    on_reactor_2(resume_it);
    connects_to(port, "01230123");
    on_reactor_2(stop_it);
    connects_to(port, "013013");
    group_done();
}

/* ---- what is built ---- */

static lariat_status build(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    lariat_listener *of = lariat_transport_listener(transport);
    CHECK_PTR(of, listener);
    CHECK(lariat_listener_port(listener) > 0);
    CHECK(lariat_listener_connections(listener) > 0);
    CHECK(token_alive(user_data));
    *self = token_new("self");
    return LARIAT_OK;
}

static void build_in_every_way(int32_t sharing) {
    lariat_protocol protocol = protocol_new();
    protocol.free_self = token_free;
    token *data = token_new("data");
    int fds[16];
    group_of(REACTORS);
    int port = lariat_reactor_group_listen_full(group, "tcp://*:0?backlog=100", sharing, &protocol, build, data, token_free);
    CHECK(port > 0);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    for (int i = 0; i < 16; i++) who_has(fds[i] = connect_to(port));
    CHECK_INT(tokens_alive(), 17);
    CHECK_OK(lariat_reactor_group_stop(group));
    CHECK_INT(tokens_alive(), 1);
    hang_up(16, fds);
    group_done();
    CHECK(token_freed_here(data));
}

TEST(group_thread_builds_a_self_for_each_connection) {
    build_in_every_way(LARIAT_SHARING_DEFAULT);
    build_in_every_way(LARIAT_SHARING_HAND_OVER);
}

TEST(group_thread_listens_at_a_unix_socket) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char endpoint[150];
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/lariat-group-%ld", (long)getpid());
    snprintf(endpoint, sizeof endpoint, "unix://%s", address.sun_path);
    group_of(2);
    CHECK_INT(listen_at(endpoint, LARIAT_SHARING_DEFAULT), 0);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    for (int i = 0; i < 4; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        CHECK_INT(who_has(fd), i % 2);
        CHECK_INT(close(fd), 0);
    }
    group_done();
    CHECK_INT(access(address.sun_path, F_OK), -1);
}

TEST(group_thread_of_one) {
    for (int32_t sharing = LARIAT_SHARING_DEFAULT; sharing <= LARIAT_SHARING_HAND_OVER; sharing++) {
#ifndef __linux__
        if (sharing == LARIAT_SHARING_PORT) continue;
#endif
        group_of(1);
        int port = listen_at("tcp://127.0.0.1:0", sharing);
        CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
        int fd = connect_to(port);
        CHECK_INT(who_has(fd), 0);
        CHECK_INT(close(fd), 0);
        group_done();
    }
}

/* Another may be tried. */
TEST(group_thread_cannot_listen_where_others_do) {
    server taken = server_listening();
    lariat_protocol protocol = protocol_new();
    group_of(2);
    for (int32_t sharing = LARIAT_SHARING_DEFAULT; sharing <= LARIAT_SHARING_HAND_OVER; sharing += 2) {
        token *data = token_new("data");
        CHECK_STATUS(lariat_reactor_group_listen_full(group, taken.endpoint, sharing, &protocol, NULL, data, token_free),
                     LARIAT_ERR_ADDRESS_IN_USE);
        CHECK(strstr(lariat_last_error_message(), "127.0.0.1") != NULL);
        CHECK(!token_alive(data));
    }
    int one = listen_at("tcp://127.0.0.1:0", LARIAT_SHARING_DEFAULT), two = listen_at("tcp://127.0.0.1:0", LARIAT_SHARING_HAND_OVER);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    int fds[] = {connect_to(one), connect_to(two)};
    CHECK(who_has(fds[0]) >= 0 && who_has(fds[1]) >= 0);
    hang_up(2, fds);
    group_done();
    server_close(&taken);
}

/* A setup fails when some are set up already: nothing is left, and the group's own port is free again. */
static lariat_status setup_takes_a_port(lariat_reactor *reactor, uint32_t index, void *user_data) {
    lariat_protocol protocol = protocol_new();
    setup(reactor, index, user_data);
    if (!lariat_reactor_listen(reactor, index < 2 ? "tcp://127.0.0.1:0" : user_data, &protocol, NULL, NULL)) return lariat_last_error();
    return LARIAT_OK;
}

TEST(group_thread_half_started_leaves_nothing) {
    for (int32_t sharing = LARIAT_SHARING_DEFAULT; sharing <= LARIAT_SHARING_HAND_OVER; sharing += 2) {
        server taken = server_listening();
        char endpoint[64];
        group_of(REACTORS);
        int port = listen_at("tcp://127.0.0.1:0", sharing);
        int waiting = connect_to(port);
        CHECK_STATUS(lariat_reactor_group_start(group, setup_takes_a_port, taken.endpoint), LARIAT_ERR_ADDRESS_IN_USE);
        CHECK(strstr(lariat_last_error_message(), taken.endpoint + strlen("tcp://")) != NULL);
        CHECK_INT(atomic_load(&setups), 3);
        CHECK_INT(atomic_load(&made[0]), 0); /* no loop has run */
        CHECK_INT(lariat_reactors_alive(), 0);
        CHECK_INT(close(waiting), 0);
        group_done();
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
        group_of(1);
        CHECK_INT(listen_at(endpoint, sharing), port);
        group_done();
        server_close(&taken);
    }
}

/* Leaves so many descriptors free; gives how many it has used, in fds. */
static int use_descriptors(int fds[], int spare) {
    struct rlimit limit;
    int count = 0;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 256; /* of this process alone, and for good */
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while ((fds[count] = dup(0)) >= 0) CHECK(++count < 256);
    while (spare-- > 0) CHECK_INT(close(fds[--count]), 0);
    return count;
}

TEST(group_thread_without_descriptors) {
    int fds[256];
    group_of(REACTORS);
    int count = use_descriptors(fds, 0);
    CHECK_STATUS(lariat_reactor_group_start(group, setup, NULL), LARIAT_ERR_OS);
    hang_up(count, fds);
    CHECK_STATUS(lariat_reactor_group_start(group, setup, NULL), LARIAT_ERR_CLOSED);
    group_done();
}

/* Two of the four listen already when there are no more sockets: they listen no more, and all else goes on. */
TEST(group_thread_half_listening_leaves_nothing) {
    int fds[256], more[3];
    token *data = token_new("data");
    lariat_protocol protocol = protocol_new();
    SKIP_UNLESS_SYSTEM_SHARES;
    group_of(REACTORS);
    int port = listen_at("tcp://127.0.0.1:0", LARIAT_SHARING_PORT);
    int count = use_descriptors(fds, 2);
    CHECK_STATUS(lariat_reactor_group_listen_full(group, "tcp://127.0.0.1:0", LARIAT_SHARING_PORT, &protocol, NULL, data, token_free),
                 LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    CHECK(token_freed_here(data));
    for (int i = 0; i < 3; i++) more[i] = dup(0);
    CHECK(more[0] >= 0 && more[1] >= 0 && more[2] < 0);
    hang_up(2, more);
    hang_up(count, fds);
    CHECK_OK(lariat_reactor_group_start(group, setup, NULL));
    int fd = connect_to(port);
    CHECK(who_has(fd) >= 0);
    CHECK_INT(close(fd), 0);
    group_done();
}
