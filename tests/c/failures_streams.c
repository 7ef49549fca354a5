/* FAILURES.md, rows 8, 9, 12, 22, 24-28, 30, 45, 53, 56 and 57 for connections and listeners. */
#include "streams.h"
#include <signal.h>
#include <sys/resource.h>

enum { KILOBYTE = 1024, MEGABYTE = 1 << 20 };

/* ---- 8: closed inside its own callback ------------------------------------------------------------------------------------------------ */

static lariat_status (*end_with)(lariat_transport *);

static void end_it(side *own) { CHECK_OK(end_with(own->transport)); }

static lariat_status end_fail(lariat_transport *transport) { return lariat_transport_fail_connection(transport, 7, NULL); }
static lariat_status end_lose(lariat_transport *transport) { return lariat_transport_lose_connection(transport); }
static lariat_status end_abort(lariat_transport *transport) { return lariat_transport_abort_connection(transport); }

static struct { lariat_status (*end)(lariat_transport *); int32_t reason; } const ends[] = {
    {end_lose, LARIAT_CONNECTION_DONE}, {end_abort, LARIAT_ERR_CONNECTION_ABORTED}, {end_fail, 7}};

TEST(f08_closed_inside_data_received_nothing_more_comes) {
    for (int i = 0; i < 3; i++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_data = end_it}};
        size_t at = 0;
        uint8_t *data = pattern_new(MEGABYTE, 1);
        end_with = ends[i].end;
        wire_open(&one, reactor, way, HALF);
        raw_send_some(one.peer, data, MEGABYTE, &at); /* several buffers full */
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        until(reactor, one.own.freed);
        CHECK_INT(one.own.calls, 1);
        CHECK_INT(one.own.read_lost, 0);
        wire_close(&one, ends[i].reason);
        free(data);
        reactor_done(reactor);
    }
}

TEST(f08_closed_inside_connection_made_nothing_more_comes) {
    for (int i = 0; i < 3; i++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_made = end_it}};
        end_with = ends[i].end;
        wire_open(&one, reactor, way, HALF);
        until(reactor, one.own.freed);
        CHECK_INT(one.own.calls + one.own.read_lost, 0);
        wire_close(&one, ends[i].reason);
        reactor_done(reactor);
    }
}

TEST(f08_closed_inside_the_half_close_callbacks) {
    for (int i = 0; i < 3; i++) for (int write = 0; write < 2; write++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_read_lost = write ? NULL : end_it, .on_write_lost = write ? end_it : NULL}};
        end_with = ends[i].end;
        wire_open(&one, reactor, way, HALF);
        if (write) CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        else CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        until(reactor, one.own.freed);
        CHECK_INT(one.own.read_lost, !write);
        CHECK_INT(one.own.write_lost, write);
        wire_close(&one, ends[i].reason);
        reactor_done(reactor);
    }
}

/* connection_lost comes from the end of a turn, free_self right behind it: nothing is left to close, but anything may be made. */
static void start_anew(side *own) {
    lariat_protocol protocol = side_protocol(PLAIN);
    wire *next = own->more;
    int pair[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    next->peer = pair[1];
    not_blocking(pair[1]);
    CHECK(lariat_reactor_adopt_stream(own->reactor, pair[0], &protocol, &next->own) != NULL);
}

TEST(f08_another_is_made_inside_connection_lost_and_free_self) {
    for (int late = 0; late < 2; late++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire next = {.reactor = reactor, .own = {.name = "next", .echoes = 1}};
        wire one = {.own = {.on_lost = late ? NULL : start_anew, .on_free = late ? start_anew : NULL, .more = &next}};
        wire_open(&one, reactor, way, PLAIN);
        CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        raw_write(next.peer, "hello");
        raw_expect(reactor, next.peer, "hello");
        wire_close(&next, LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

/* ---- 9: a sibling closed in the same batch ------------------------------------------------------------------------------------------------ */

static wire siblings[2];

static void end_the_sibling(side *own) {
    side *other = &siblings[own == &siblings[0].own].own;
    note("one");
    if (other->transport) CHECK_OK(end_with(other->transport));
}

TEST(f09_a_sibling_closed_in_the_same_batch_is_told_nothing_but_its_end) {
    for (int i = 0; i < 3; i++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        end_with = ends[i].end;
        for (int which = 0; which < 2; which++) {
            siblings[which] = (wire){.own = {.name = "sibling", .on_data = end_the_sibling}};
            wire_open(&siblings[which], reactor, way, HALF);
        }
        for (int which = 0; which < 2; which++) {
            raw_write(siblings[which].peer, "x");
            CHECK_INT(shutdown(siblings[which].peer, SHUT_WR), 0);
        }
        turn(reactor);
        CHECK_NOTES("one");
        turns(reactor, 3);
        CHECK_NOTES("");
        int closed = siblings[1].own.freed;
        CHECK_INT(siblings[closed].own.calls, 0);
        CHECK_INT(siblings[closed].own.read_lost, 0);
        CHECK_INT(siblings[closed].own.lost, 1);
        CHECK_INT(siblings[!closed].own.calls, 1);
        CHECK_OK(lariat_transport_lose_connection(siblings[!closed].own.transport));
        wire_close(&siblings[closed], ends[i].reason);
        wire_close(&siblings[!closed], LARIAT_CONNECTION_DONE);
        reactor_done(reactor);
    }
}

/* The number of the closed one is used again at once, by one that is made in the same callback. */
static side fresh;
static int fresh_peer;

static void replace_the_sibling(side *own) {
    lariat_protocol protocol = side_protocol(PLAIN);
    int pair[2];
    side *other = &siblings[own == &siblings[0].own].own;
    note("one");
    if (!other->transport || fresh.name) return;
    CHECK_OK(lariat_transport_abort_connection(other->transport));
    fresh = (side){.name = "fresh"};
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fresh_peer = pair[1];
    CHECK(lariat_reactor_adopt_stream(own->reactor, pair[0], &protocol, &fresh) != NULL);
}

TEST(f09_the_event_of_a_closed_sibling_is_not_its_successors) {
    lariat_reactor *reactor = manual_reactor();
    for (int which = 0; which < 2; which++) {
        siblings[which] = (wire){.own = {.name = "sibling", .on_data = replace_the_sibling}};
        wire_open(&siblings[which], reactor, ADOPTED, PLAIN);
    }
    for (int which = 0; which < 2; which++) raw_write(siblings[which].peer, "x");
    turn(reactor);
    CHECK_NOTES("one");
    turns(reactor, 3);
    CHECK_NOTES("");
    CHECK_INT(fresh.made, 1);
    CHECK_INT(fresh.calls, 0);
    int closed = siblings[1].own.freed;
    CHECK_INT(close(siblings[!closed].peer), 0);
    siblings[!closed].peer = -1;
    wire_close(&siblings[closed], LARIAT_ERR_CONNECTION_ABORTED);
    wire_close(&siblings[!closed], LARIAT_CONNECTION_DONE);
    CHECK_INT(close(fresh_peer), 0);
    until(reactor, fresh.freed);
    side_over(&fresh, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

static lariat_deferred *stops_the_listener;
static lariat_listener *listener_of_siblings;

static void stop_the_listener(side *own) {
    (void)own;
    stops_the_listener = lariat_listener_stop(listener_of_siblings);
    CHECK(stops_the_listener != NULL);
}

TEST(f09_a_listener_stopped_in_the_same_batch_accepts_nobody) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {.own = {.on_data = stop_the_listener}};
    side late = {.name = "late"};
    server second = {&late, 1, 0, LARIAT_OK};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    listener_of_siblings = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &second);
    turn(reactor);
    int port = lariat_listener_port(listener_of_siblings);
    raw_write(one.peer, "x"); /* first in the batch */
    int fd = raw_connect_port(port);
    turn(reactor);
    if (late.made) SKIP("the system has told of the connection first");
    end_with_note(stops_the_listener, "stopped");
    turns(reactor, 3);
    CHECK_NOTES("stopped=-");
    CHECK_INT(second.count, 0);
    CHECK_INT(close(fd), 0);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- 11, 12: the reactor freed ---------------------------------------------------------------------------------------------------------------- */

static void free_inside(side *own) {
    CHECK_STATUS(lariat_reactor_free(own->reactor), LARIAT_ERR_BUSY);
    note("busy");
}

TEST(f11_the_reactor_is_not_freed_inside_a_connections_callbacks) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_made = free_inside, .on_data = free_inside, .on_read_lost = free_inside, .on_write_lost = free_inside,
                            .on_lost = free_inside, .on_free = free_inside}};
        wire_open(&one, reactor, way, HALF);
        raw_write(one.peer, "x");
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        until(reactor, one.own.read_lost);
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("busy busy busy busy busy busy");
        reactor_done(reactor);
    }
}

static void make_more(side *own) {
    lariat_protocol protocol = side_protocol(PLAIN);
    side refused = {.name = "refused"};
    CHECK_NULL(lariat_reactor_connect(own->reactor, "tcp://127.0.0.1:1", &protocol, &refused), LARIAT_ERR_CLOSED);
    CHECK_INT(refused.freed, 1);
    CHECK_NULL(lariat_reactor_listen(own->reactor, "tcp://127.0.0.1:0", &protocol, NULL, NULL), LARIAT_ERR_CLOSED);
    note("refused");
}

TEST(f12_the_free_ends_connections_in_every_state) {
    enum { count = 40 };
    lariat_reactor *reactor = manual_reactor();
    static side sides[count];
    static uint8_t data[MEGABYTE];
    server one = {sides, count, 0, LARIAT_OK};
    int peers[count], file = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600), left = 0;
    for (int i = 0; i < count; i++) sides[i] = (side){.name = "one", .reactor = reactor};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", HALF, &one);
    for (int i = 0; i < count; i++) peers[i] = raw_connect(listener);
    until(reactor, one.count == count && sides[count - 1].made);
    lariat_producer producer;
    CHECK_OK(lariat_producer_init(&producer, sizeof producer));
    for (int i = 0; i < count; i++) {
        lariat_transport *transport = sides[i].transport;
        switch (i % 10) {
        case 0: CHECK_OK(lariat_transport_write(transport, data, sizeof data)); break;
        case 1: CHECK_OK(lariat_transport_write(transport, data, sizeof data)); /* fall through */
        case 2: CHECK_OK(lariat_transport_lose_connection(transport)); break;
        case 3: CHECK_OK(lariat_transport_pause_reading(transport)); break;
        case 4: CHECK_INT(shutdown(peers[i], SHUT_WR), 0); break;
        case 5: CHECK_OK(lariat_transport_lose_write_connection(transport)); break;
        case 6: CHECK_OK(lariat_transport_register_producer_full(transport, &producer, token_new("data"), token_free)); break;
        case 7: CHECK_OK(lariat_transport_set_idle_timeout(transport, 5)); break;
        case 8:
            CHECK_OK(lariat_transport_set_rate_limit(transport, 1, 1));
            CHECK_OK(lariat_transport_write(transport, data, 100));
            break;
        default: CHECK_OK(lariat_transport_abort_connection(transport));
        }
        if (i >= count / 2) continue; /* half of them have had a turn in that state */
        turn(reactor);
    }
    lariat_listener *stopped = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    end_with_note(lariat_listener_stop(stopped), "stopped");
    int late = raw_connect(listener); /* in the backlog */
    for (int i = 0; i < count; i++) sides[i].on_lost = make_more;
    free_reactor(reactor);
    CHECK(noted("stopped=-") && noted("refused"));
    notes_clear();
    for (int i = 0; i < count; i++) {
        CHECK_INT(sides[i].lost, 1);
        CHECK_INT(sides[i].freed, 1);
        left += sides[i].reason == LARIAT_ERR_CLOSED;
        CHECK_INT(close(peers[i]), 0);
        bytes_free(&sides[i].got);
    }
    CHECK(left > count / 2);
    CHECK_INT(close(late), 0);
    CHECK_INT(close(file), 0);
}

/* ---- 22: a peer that floods: see s24_a_flood_does_not_starve_the_others ------------------------------------------------------------------------ */

static void count_up(void *user_data) { ++*(int *)user_data; }

/* Connections that come as fast as they can: the others have their turn. */
TEST(f22_a_flood_of_connections) {
    lariat_reactor *reactor = manual_reactor();
    enum { count = 500 };
    static side sides[count];
    server one = {sides, count, 0, LARIAT_OK};
    wire other = {.own = {.name = "other", .echoes = 1}};
    int fds[count], ticks = 0;
    for (int i = 0; i < count; i++) sides[i] = (side){.name = "one"};
    wire_open(&other, reactor, ADOPTED, PLAIN);
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    turn(reactor);
    for (int i = 0; i < count; i++) fds[i] = raw_connect(listener);
    for (int i = 0; one.count < count; i++) {
        int before = one.count;
        raw_write(other.peer, "ping");
        CHECK(lariat_reactor_call_later(reactor, 0, count_up, &ticks) != NULL);
        turn(reactor);
        CHECK_INT(ticks, i + 1);
        CHECK_INT(other.own.came, (i + 1) * 4);
        CHECK(one.count > before);
        CHECK(one.count - before <= 64);
    }
    for (int i = 0; i < count; i++) raw_reset(fds[i]);
    until(reactor, lariat_listener_connections(listener) == 0);
    for (int i = 0; i < count; i++) CHECK_INT(sides[i].lost, 1);
    stop_listening(reactor, listener);
    CHECK_OK(lariat_transport_abort_connection(other.own.transport));
    wire_close(&other, LARIAT_ERR_CONNECTION_ABORTED);
    reactor_done(reactor);
}

/* ---- 24: no descriptors left to accept with ------------------------------------------------------------------------------------------------------ */

static struct rlimit limit_before;

/* No new descriptor can be opened from here on. */
static void no_more_descriptors(void) {
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
    int next = fcntl(0, F_DUPFD, 0); /* the lowest that is free */
    CHECK(next >= 0);
    CHECK_INT(close(next), 0);
    struct rlimit low = {(rlim_t)next, limit_before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
    CHECK_INT(fcntl(0, F_DUPFD, 0), -1);
}

static void descriptors_again(void) { CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit_before), 0); }

TEST(f24_without_descriptors_nobody_is_turned_away_and_nothing_spins) {
    if (is_under("valgrind")) SKIP("valgrind keeps the limit itself, and closes what it has accepted beyond it");
    lariat_reactor *reactor = manual_reactor();
    enum { count = 5 };
    static side sides[count];
    server one = {sides, count, 0, LARIAT_OK};
    int fds[count];
    for (int i = 0; i < count; i++) sides[i] = (side){.name = "one", .echoes = 1};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    turn(reactor);
    for (int i = 0; i < count; i++) fds[i] = raw_connect(listener);
    no_more_descriptors();
    test_log.last[0] = 0;
    turns(reactor, 3);
    CHECK_INT(one.count, 0);
    CHECK(strstr(test_log.last, "127.0.0.1") != NULL); /* it is said, once */
    test_log.last[0] = 0;
    CHECK_INT(reactor_stats(reactor).delayed_calls, 1); /* and looked at again by and by, not each turn */
    for (int i = 0; i < 20; i++) advance(reactor, 0.01);
    CHECK_INT(one.count, 0);
    CHECK_STR(test_log.last, "");
    CHECK_INT(reactor_stats(reactor).delayed_calls, 1);
    descriptors_again();
    for (int i = 0; i < 10; i++) advance(reactor, 0.01);
    CHECK_INT(one.count, count);
    for (int i = 0; i < count; i++) {
        raw_write(fds[i], "hello");
        raw_expect(reactor, fds[i], "hello");
        CHECK_INT(close(fds[i]), 0);
        until(reactor, sides[i].freed);
        side_over(&sides[i], LARIAT_CONNECTION_DONE);
    }
    CHECK_INT(reactor_stats(reactor).delayed_calls, 0);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

/* The poll has nothing to say meanwhile: the real clock's loop sleeps. */
TEST(f24_without_descriptors_the_loop_sleeps) {
    if (is_under("valgrind")) SKIP("valgrind keeps the limit itself, and closes what it has accepted beyond it");
    lariat_reactor *reactor = real_reactor();
    side own = {.name = "own"};
    server one = {&own, 1, 0, LARIAT_OK};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    turn(reactor);
    int fd = raw_connect(listener);
    no_more_descriptors();
    uint64_t before = reactor_stats(reactor).turns;
    double start = seconds_now();
    while (seconds_now() - start < 0.3) CHECK_OK(lariat_reactor_iterate(reactor, 0.3));
    CHECK(reactor_stats(reactor).turns - before < 30);
    descriptors_again();
    until(reactor, own.made);
    CHECK_INT(close(fd), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(f24_a_listener_that_waits_for_descriptors_can_be_stopped) {
    for (int how = 0; how < 2; how++) {
        lariat_reactor *reactor = manual_reactor();
        server one = {NULL, 0, 0, LARIAT_OK};
        lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
        turn(reactor);
        int fd = raw_connect(listener);
        no_more_descriptors();
        turns(reactor, 2);
        CHECK_INT(reactor_stats(reactor).delayed_calls, 1);
        descriptors_again();
        if (how) free_reactor(reactor);
        else {
            stop_listening(reactor, listener);
            reactor_done(reactor); /* no timer is left */
        }
        CHECK_INT(close(fd), 0);
    }
}

TEST(f24_without_descriptors_nothing_is_opened) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    wire one = {0};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    no_more_descriptors();
    side own = {.name = "own"};
    CHECK_NULL(lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", &protocol, NULL, NULL), LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    lariat_deferred *connecting = lariat_reactor_connect(reactor, "tcp://127.0.0.1:1", &protocol, &own);
    if (connecting) { /* it may be told at once, or later */
        end_with_note(connecting, "connect");
        until(reactor, noted("connect!TOO_MANY_DESCRIPTORS"));
        notes_clear();
    } else CHECK_STATUS(lariat_last_error(), LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    until(reactor, own.freed);
    CHECK_STATUS(lariat_transport_send_descriptor(one.own.transport, 0), LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    CHECK_NULL(lariat_transport_send_file(one.own.transport, 0, 0, 1), LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    descriptors_again();
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* A descriptor that comes in a message when there is no number for it is lost, the bytes are not. */
TEST(f24_a_descriptor_that_comes_when_there_is_no_number_for_it) {
    if (is_under("valgrind")) SKIP("valgrind keeps the limit itself, but not of what comes in messages");
    lariat_reactor *reactor = manual_reactor();
    wire one = {0};
    int fd;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    CHECK_INT(sendmsg(one.peer, &message, 0), 1);
    no_more_descriptors();
    until(reactor, one.own.came == 1);
    CHECK_STATUS(lariat_transport_take_descriptor(one.own.transport, &fd), LARIAT_EMPTY);
    descriptors_again();
    raw_write(one.peer, "more");
    until(reactor, one.own.came == 5);
    CHECK_OK(lariat_transport_lose_connection(one.own.transport));
    wire_close(&one, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- 25: partial reads and writes, interruptions ---------------------------------------------------------------------------------------------------- */

static atomic_int interrupting;
static pthread_t interrupted;

static void on_signal(int number) { (void)number; }

static void *interrupt(void *unused) {
    (void)unused;
    while (atomic_load(&interrupting)) {
        pthread_kill(interrupted, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

/* No SA_RESTART: every system call may be interrupted. */
TEST(f25_interrupted_system_calls_are_invisible) {
    struct sigaction action = {.sa_handler = on_signal};
    CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
    each_way(way) {
        lariat_reactor *reactor = real_reactor();
        wire one = {0};
        size_t length = many(4 * MEGABYTE), at = 0;
        uint8_t *out = pattern_new(length, 1), *in = pattern_new(length, 2);
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        wire_small_buffers(&one);
        interrupted = pthread_self();
        atomic_store(&interrupting, 1);
        pthread_t thread = thread_start(interrupt, NULL);
        CHECK_OK(lariat_transport_write(one.own.transport, out, length));
        until(reactor, (raw_send_some(one.peer, in, length, &at), raw_read(one.peer, &all), all.length == length && one.own.came == length));
        atomic_store(&interrupting, 0);
        thread_join(thread);
        CHECK_PATTERN(all.data, length, 1);
        CHECK_PATTERN(one.own.got.data, length, 2);
        CHECK_OK(lariat_transport_lose_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        bytes_free(&all);
        free(out);
        free(in);
        reactor_done(reactor);
    }
}

/* A byte at a time, each way: nothing is joined wrongly, nothing is missed. */
TEST(f25_single_bytes) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.echoes = 1}};
        bytes all = {0};
        wire_open(&one, reactor, way, PLAIN);
        for (int i = 0; i < 1000; i++) {
            uint8_t byte = pattern_at((size_t)i, 1);
            CHECK_INT(send(one.peer, &byte, 1, MSG_NOSIGNAL), 1);
            turn(reactor);
            if (i % 3 == 0) raw_read(one.peer, &all);
        }
        until(reactor, (raw_read(one.peer, &all), all.length == 1000));
        CHECK_PATTERN(all.data, 1000, 1);
        CHECK_INT(close(one.peer), 0);
        one.peer = -1;
        wire_close(&one, LARIAT_CONNECTION_DONE);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

/* The host itself reads what the loop was told of. */
TEST(f25_a_readiness_that_is_not_true_any_more) {
    lariat_reactor *reactor = manual_reactor();
    int pair[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    int twin = dup(pair[0]);
    side own = {.name = "own"};
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK(lariat_reactor_adopt_stream(reactor, pair[0], &protocol, &own) != NULL);
    turn(reactor);
    for (int i = 0; i < 3; i++) {
        raw_write(pair[1], "x");
        CHECK_INT(read_byte(twin), 'x');
        turn(reactor);
        CHECK_INT(own.came, 0);
        CHECK_INT(own.lost, 0);
    }
    raw_write(pair[1], "y");
    turn(reactor);
    CHECK_INT(own.came, 1);
    CHECK_INT(close(twin), 0);
    CHECK_INT(close(pair[1]), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- 26: those who are gone before they are accepted --------------------------------------------------------------------------------------------------- */

TEST(f26_those_who_have_reset_before_they_are_accepted) {
    lariat_reactor *reactor = manual_reactor();
    enum { count = 60 };
    static side sides[count];
    server one = {sides, count, 0, LARIAT_OK};
    int fds[count];
    for (int i = 0; i < count; i++) sides[i] = (side){.name = "one", .echoes = 1};
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    for (int i = 0; i < count; i++) fds[i] = raw_connect(listener);
    for (int i = 0; i < count; i++)
        if (i % 3 != 1) raw_reset(fds[i]);
    for (int i = 1; i < count; i += 3) {
        raw_write(fds[i], "hello");
        raw_expect(reactor, fds[i], "hello");
        CHECK_INT(close(fds[i]), 0);
    }
    until(reactor, lariat_listener_connections(listener) == 0);
    for (int i = 0; i < one.count; i++) {
        CHECK_INT(sides[i].lost, sides[i].made);
        CHECK_INT(sides[i].freed, 1);
        bytes_free(&sides[i].got);
    }
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

/* ---- 27: SIGPIPE --------------------------------------------------------------------------------------------------------------------------------------------- */

/* Its action is the default one: the process would die. Data written to a peer that is gone, in every way there is. */
TEST(f27_writing_to_nobody_does_not_kill_the_host) {
    struct sigaction action;
    CHECK_INT(sigaction(SIGPIPE, NULL, &action), 0);
    CHECK(action.sa_handler == SIG_DFL);
    static uint8_t data[MEGABYTE];
    for (int what = 0; what < 5; what++) each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        int file = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        CHECK_INT(write(file, data, 1000), 1000);
        wire_open(&one, reactor, way, PLAIN);
        raw_reset(one.peer);
        one.peer = -1;
        for (int i = 0; i < 3; i++) {
            lariat_status status = LARIAT_OK;
            const lariat_part parts[] = {{data, 10}, {data, 20}};
            if (what == 0) status = lariat_transport_write(one.own.transport, data, 1);
            if (what == 1) status = lariat_transport_write(one.own.transport, data, sizeof data);
            if (what == 2) status = lariat_transport_write_parts(one.own.transport, parts, 2);
            if (what == 3 && way == ADOPTED) status = lariat_transport_send_descriptor(one.own.transport, 0);
            if (what == 3 && status == LARIAT_OK) status = lariat_transport_write(one.own.transport, data, 1);
            if (what == 4) { /* FAILURES 57 */
                lariat_deferred *sent = lariat_transport_send_file(one.own.transport, file, 0, 1000);
                if (!sent) CHECK_STATUS(lariat_last_error(), LARIAT_ERR_CLOSED);
                else end_with_note(sent, "file");
            }
            CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_CLOSED);
        }
        until(reactor, one.own.freed);
        CHECK_EITHER(one.own.reason, LARIAT_ERR_CONNECTION_LOST, way == ADOPTED ? LARIAT_CONNECTION_DONE : LARIAT_ERR_CONNECTION_LOST);
        if (what == 4) {
            CHECK(noted("file!"));
            notes_clear();
        }
        wire_close(&one, one.own.reason);
        CHECK_INT(close(file), 0);
        sigset_t pending; /* nor does it wait for the host */
        CHECK_INT(sigpending(&pending), 0);
        CHECK(!sigismember(&pending, SIGPIPE));
        CHECK_INT(sigaction(SIGPIPE, NULL, &action), 0);
        CHECK(action.sa_handler == SIG_DFL);
        reactor_done(reactor);
    }
}

TEST(f57_a_file_to_a_peer_that_goes_in_the_middle) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        static uint8_t data[4 * MEGABYTE];
        int file = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        CHECK_INT(write(file, data, sizeof data), sizeof data);
        wire_open(&one, reactor, way, HALF); /* no end of reading ends it */
        wire_small_buffers(&one);
        lariat_deferred *sent = lariat_transport_send_file(one.own.transport, file, 0, sizeof data);
        end_with_note(sent, "file");
        turns(reactor, 3);
        bytes all = {0};
        CHECK_INT(raw_read(one.peer, &all), RAW_OPEN);
        CHECK(all.length > 0);
        CHECK_NOTES("");
        raw_reset(one.peer);
        one.peer = -1;
        until(reactor, one.own.freed);
        CHECK_NOTES("file!CONNECTION_LOST");
        wire_close(&one, LARIAT_ERR_CONNECTION_LOST);
        CHECK_INT(close(file), 0);
        bytes_free(&all);
        reactor_done(reactor);
    }
}

/* ---- 28: resets in every state ---------------------------------------------------------------------------------------------------------------------------------- */

enum state { IDLE, UNREAD, WRITING, HALF_READ, HALF_READ_WRITING, HALF_WRITE, LOSING_WRITE, LOSING, LOSING_HALF_READ, LOSING_BY_PRODUCER, STATES };

/* Brings a connection into the state, in which it has not ended. */
static void bring(wire *one, enum state state) {
    static uint8_t data[2 * MEGABYTE];
    lariat_transport *transport = one->own.transport;
    lariat_producer producer;
    switch (state) {
    case IDLE: break;
    case UNREAD:
        raw_write(one->peer, "unread");
        break;
    case HALF_READ_WRITING: /* fall through */
    case LOSING_HALF_READ:
        CHECK_OK(lariat_transport_write(transport, data, sizeof data)); /* fall through */
    case HALF_READ:
        CHECK_INT(shutdown(one->peer, SHUT_WR), 0);
        until(one->reactor, one->own.read_lost);
        if (state == LOSING_HALF_READ) CHECK_OK(lariat_transport_lose_connection(transport));
        break;
    case WRITING: CHECK_OK(lariat_transport_write(transport, data, sizeof data)); break;
    case HALF_WRITE:
        CHECK_OK(lariat_transport_lose_write_connection(transport));
        until(one->reactor, one->own.write_lost);
        break;
    case LOSING_WRITE:
        CHECK_OK(lariat_transport_write(transport, data, sizeof data));
        CHECK_OK(lariat_transport_lose_write_connection(transport));
        break;
    case LOSING:
        CHECK_OK(lariat_transport_write(transport, data, sizeof data));
        CHECK_OK(lariat_transport_lose_connection(transport));
        break;
    default: /* the end waits for a producer that has nothing to write just now */
        CHECK_OK(lariat_producer_init(&producer, sizeof producer));
        producer.streaming = 0;
        CHECK_OK(lariat_transport_register_producer(transport, &producer, NULL));
        CHECK_OK(lariat_transport_lose_connection(transport));
    }
    turns(one->reactor, 3);
    CHECK_INT(one->own.lost, 0);
}

TEST(f28_a_reset_in_every_state_is_noticed_and_told_once) {
    for (enum state state = 0; state < STATES; state++) for (enum way way = ACCEPTED; way <= CONNECTED; way++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        wire_open(&one, reactor, way, HALF);
        wire_small_buffers(&one);
        bring(&one, state);
        raw_reset(one.peer);
        one.peer = -1;
        double deadline = seconds_now() + 3;
        while (!one.own.freed && seconds_now() < deadline) turn(reactor);
        if (!one.own.freed) test_fail(__FILE__, __LINE__, "a reset in state %d goes unnoticed", (int)state);
        turns(reactor, 3);
        wire_close(&one, LARIAT_ERR_CONNECTION_LOST);
        reactor_done(reactor);
    }
}

/* The same by a peer that just closes, of a Unix socket: there the system has no resets. */
TEST(f28_a_peer_that_is_gone_in_every_state_is_noticed_and_told_once) {
    for (enum state state = 0; state < STATES; state++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.on_read_lost = NULL}};
        wire_open(&one, reactor, ADOPTED, state == IDLE || state == UNREAD || state == HALF_WRITE ? PLAIN : HALF);
        wire_small_buffers(&one);
        if (state == HALF_WRITE) CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        else bring(&one, state);
        CHECK_INT(close(one.peer), 0);
        one.peer = -1;
        double deadline = seconds_now() + 3;
        while (!one.own.freed && seconds_now() < deadline) turn(reactor);
        if (!one.own.freed) test_fail(__FILE__, __LINE__, "a peer that is gone in state %d goes unnoticed", (int)state);
        CHECK_EITHER(one.own.reason, LARIAT_ERR_CONNECTION_LOST, LARIAT_CONNECTION_DONE);
        CHECK_INT(one.own.lost, 1);
        wire_close(&one, one.own.reason);
        reactor_done(reactor);
    }
}

/* The peer's end and its reset come in the same turn: what it sent before is not lost. */
TEST(f28_data_an_end_and_a_reset_in_one_turn) {
    for (int is_half = 0; is_half < 2; is_half++) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {.own = {.name = "own", .is_noted = 1}};
        wire_open(&one, reactor, ACCEPTED, is_half);
        raw_write(one.peer, "last words");
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        raw_reset(one.peer);
        one.peer = -1;
        until(reactor, one.own.freed);
        CHECK_INT(one.own.lost, 1);
        notes_clear(); /* the system may have thrown the words away with the reset */
        wire_close(&one, one.own.reason);
        reactor_done(reactor);
    }
}

/* ---- 30: a peer that never reads ------------------------------------------------------------------------------------------------------------------------------------ */

static long resident(void) {
    long pages = 0, unused;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return -1;
    if (fscanf(file, "%ld %ld", &unused, &pages) != 2) pages = -1;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

TEST(f30_a_writer_that_never_stops_is_stopped_at_the_cap) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        wire one = {0};
        enum { cap = 2 * MEGABYTE, piece = 100000 };
        uint8_t *data = pattern_new(piece, 1);
        long accepted = 0, refused = 0, before = resident();
        wire_open(&one, reactor, way, PLAIN);
        wire_small_buffers(&one);
        CHECK_OK(lariat_transport_set_max_buffer(one.own.transport, cap));
        for (size_t i = 0; i < many(20000); i++) { /* two gigabytes */
            lariat_status status = lariat_transport_write(one.own.transport, data, piece);
            if (status == LARIAT_OK) accepted++;
            else {
                CHECK_STATUS(status, LARIAT_ERR_BUFFER_FULL);
                refused++;
            }
            CHECK(lariat_transport_buffered(one.own.transport) <= cap);
            if (i % 100 == 0) turn(reactor);
        }
        CHECK(refused > 0);
        CHECK(accepted * piece < cap + 4 * MEGABYTE);
        if (before > 0 && many(1000) == 1000) CHECK(resident() - before < 3 * cap); /* not under a checker */
        /* It can go on when the peer reads at last. */
        bytes all = {0};
        until(reactor, (raw_read(one.peer, &all), all.length == (size_t)accepted * piece));
        for (long i = 0; i < accepted; i++) CHECK_PATTERN(all.data + i * piece, piece, 1);
        CHECK_OK(lariat_transport_write(one.own.transport, data, piece));
        CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        wire_close(&one, LARIAT_ERR_CONNECTION_ABORTED);
        bytes_free(&all);
        free(data);
        reactor_done(reactor);
    }
}

/* An echo to a peer that only sends: the protocol pauses reading for as long as too much waits, and memory stays bounded. */
static void pause_source(lariat_transport *transport, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_transport_pause_reading(transport));
}

static void resume_source(lariat_transport *transport, void *user_data) {
    (void)user_data;
    CHECK_OK(lariat_transport_resume_reading(transport));
}

TEST(f30_an_echo_to_a_peer_that_only_sends) {
    lariat_reactor *reactor = manual_reactor();
    wire one = {.own = {.echoes = 1, .kept = 1}};
    size_t length = 8 * MEGABYTE, at = 0;
    uint8_t *data = pattern_new(length, 1);
    lariat_producer producer;
    bytes all = {0};
    CHECK_OK(lariat_producer_init(&producer, sizeof producer));
    producer.pause_producing = pause_source; /* the connection reads for itself: it is its own producer */
    producer.resume_producing = resume_source;
    wire_open(&one, reactor, ADOPTED, PLAIN);
    CHECK_OK(lariat_transport_register_producer(one.own.transport, &producer, NULL));
    for (int i = 0; i < 200; i++) {
        raw_send_some(one.peer, data, length, &at);
        turn(reactor);
        CHECK(lariat_transport_buffered(one.own.transport) <= 256 * KILOBYTE);
    }
    CHECK(at < length);
    until(reactor, (raw_send_some(one.peer, data, length, &at), raw_read(one.peer, &all), all.length == length));
    CHECK_PATTERN(all.data, length, 1);
    CHECK_INT(close(one.peer), 0);
    one.peer = -1;
    wire_close(&one, LARIAT_CONNECTION_DONE);
    bytes_free(&all);
    free(data);
    reactor_done(reactor);
}

/* ---- 53: scopes -------------------------------------------------------------------------------------------------------------------------------------------------------- */

TEST(f53_the_connections_of_a_listener_end_with_its_scope) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    enum { count = 5 };
    static side sides[count];
    server one = {sides, count, 0, LARIAT_OK};
    int fds[count];
    for (int i = 0; i < count; i++) sides[i] = (side){.name = "one", .reactor = reactor};
    CHECK_OK(lariat_scope_enter(scope));
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    CHECK_OK(lariat_scope_leave(scope));
    for (int i = 0; i < count; i++) fds[i] = raw_connect(listener);
    until(reactor, one.count == count);
    int late = raw_connect(listener);
    CHECK_OK(lariat_scope_end(scope));
    for (int i = 0; i < count; i++) side_over(&sides[i], LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_listener_port(listener), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(reactor_stats(reactor).transports + reactor_stats(reactor).listeners, 0);
    turns(reactor, 3);
    CHECK_INT(one.count, count); /* nothing of it is called any more */
    for (int i = 0; i < count; i++) CHECK_INT(close(fds[i]), 0);
    CHECK_INT(close(late), 0);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

static lariat_scope *scope_of_all;

static void end_scope_inside(side *own) {
    (void)own;
    CHECK_STATUS(lariat_scope_end(scope_of_all), LARIAT_ERR_BUSY);
    note("busy");
}

TEST(f53_a_scope_is_not_ended_inside_its_connections_callbacks) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        scope_of_all = lariat_scope_new(reactor);
        wire one = {.scope = scope_of_all, .own = {.on_made = end_scope_inside, .on_data = end_scope_inside, .on_read_lost = end_scope_inside,
                    .on_write_lost = end_scope_inside, .on_lost = end_scope_inside, .on_free = end_scope_inside}};
        wire_open(&one, reactor, way, HALF);
        raw_write(one.peer, "x");
        CHECK_INT(shutdown(one.peer, SHUT_WR), 0);
        until(reactor, one.own.read_lost);
        CHECK_OK(lariat_transport_lose_write_connection(one.own.transport));
        wire_close(&one, LARIAT_CONNECTION_DONE);
        CHECK_NOTES("busy busy busy busy busy busy");
        CHECK_OK(lariat_scope_free(scope_of_all));
        reactor_done(reactor);
    }
}

static lariat_status build_in_scope(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    (void)transport;
    CHECK_STATUS(lariat_scope_end(scope_of_all), LARIAT_ERR_BUSY);
    *self = user_data;
    return LARIAT_OK;
}

TEST(f53_a_scope_is_not_ended_inside_a_build_function) {
    lariat_reactor *reactor = manual_reactor();
    scope_of_all = lariat_scope_new(reactor);
    side own = {.name = "own"};
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK_OK(lariat_scope_enter(scope_of_all));
    lariat_listener *listener = lariat_reactor_listen(reactor, "tcp://127.0.0.1:0", &protocol, build_in_scope, &own);
    CHECK_OK(lariat_scope_leave(scope_of_all));
    int fd = raw_connect(listener);
    until(reactor, own.made);
    CHECK_OK(lariat_scope_free(scope_of_all));
    side_over(&own, LARIAT_ERR_CLOSED);
    CHECK_INT(close(fd), 0);
    turn(reactor);
    reactor_done(reactor);
}

/* A Deferred outside of the scope hears of a file's end while the connection, which is inside, ends: the scope is not ended under it. */
static void *end_scope_in_errback(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    (void)value;
    (void)user_data;
    lariat_status status = lariat_scope_end(scope_of_all);
    CHECK_EITHER(status, LARIAT_OK, LARIAT_ERR_BUSY);
    note(failure ? "file!" : "file");
    return NULL;
}

TEST(f53_a_scope_ended_while_a_connection_of_it_ends) {
    for (int how = 0; how < 3; how++) {
        lariat_reactor *reactor = manual_reactor();
        scope_of_all = lariat_scope_new(reactor);
        wire one = {.scope = scope_of_all, .own = {.name = "own", .is_noted = 1}};
        int file = open("file", O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
        CHECK_INT(write(file, "text", 4), 4);
        wire_open(&one, reactor, ACCEPTED, PLAIN);
        for (int i = 0; i < 2; i++) {
            lariat_deferred *sent = lariat_transport_send_file(one.own.transport, file, 0, 4);
            CHECK_OK(lariat_deferred_add_both(sent, end_scope_in_errback, NULL));
            CHECK_OK(lariat_deferred_release(sent));
        }
        if (how == 0) CHECK_OK(lariat_transport_abort_connection(one.own.transport));
        if (how == 1) CHECK_OK(lariat_scope_end(scope_of_all));
        turns(reactor, 3);
        if (how == 2) CHECK_OK(lariat_scope_end(scope_of_all)); /* the files were sent */
        CHECK_INT(one.own.lost, 1);
        CHECK_INT(one.own.freed, 1);
        notes_clear();
        CHECK_OK(lariat_scope_free(scope_of_all));
        one.listener = NULL;
        bytes_free(&one.own.got);
        CHECK_INT(close(one.peer), 0);
        CHECK_INT(close(file), 0);
        turn(reactor);
        reactor_done(reactor);
    }
}

/* A scope that belongs to nobody in the batch ends from the callback of another connection. */
static void end_the_scope(side *own) {
    (void)own;
    CHECK_OK(lariat_scope_end(scope_of_all));
    note("ended");
}

TEST(f53_a_scope_ended_by_a_sibling_in_the_same_batch) {
    each_way(way) {
        lariat_reactor *reactor = manual_reactor();
        scope_of_all = lariat_scope_new(reactor);
        wire other = {.own = {.name = "other", .on_data = end_the_scope}}, one = {.scope = scope_of_all};
        wire_open(&other, reactor, ADOPTED, PLAIN);
        wire_open(&one, reactor, way, PLAIN);
        turn(reactor);
        raw_write(other.peer, "x");
        raw_write(one.peer, "x");
        turn(reactor);
        CHECK_NOTES("ended");
        CHECK(one.own.calls <= 1);
        CHECK_INT(one.own.lost, 1);
        turns(reactor, 3);
        one.listener = NULL;
        wire_close(&one, LARIAT_ERR_CLOSED);
        CHECK_OK(lariat_transport_lose_connection(other.own.transport));
        wire_close(&other, LARIAT_CONNECTION_DONE);
        CHECK_OK(lariat_scope_free(scope_of_all));
        reactor_done(reactor);
    }
}

TEST(f53_what_is_made_in_a_connections_callback_is_in_its_scope) {
    lariat_reactor *reactor = manual_reactor();
    scope_of_all = lariat_scope_new(reactor);
    wire next = {.reactor = reactor, .own = {.name = "next"}};
    wire one = {.scope = scope_of_all, .own = {.on_data = start_anew, .more = &next}};
    wire_open(&one, reactor, ADOPTED, PLAIN);
    raw_write(one.peer, "x");
    until(reactor, next.own.made);
    CHECK_OK(lariat_scope_free(scope_of_all));
    side_over(&one.own, LARIAT_ERR_CLOSED);
    side_over(&next.own, LARIAT_ERR_CLOSED);
    CHECK_INT(close(one.peer), 0);
    CHECK_INT(close(next.peer), 0);
    reactor_done(reactor);
}

/* ---- 56: the event queue is full ---------------------------------------------------------------------------------------------------------------------------------------- */

TEST(f56_a_full_event_queue_pauses_reading) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.max_events = 8;
    lariat_reactor *reactor = reactor_with(options);
    lariat_listener *listener = lariat_reactor_listen_event(reactor, "tcp://127.0.0.1:0", 7);
    enum { count = 3 };
    int fds[count], lost = 0, made = 0;
    size_t at[count] = {0}, length = 8 * MEGABYTE;
    uint8_t *data = pattern_new(length, 1);
    bytes all[count] = {{0}};
    lariat_transport *transports[count] = {NULL};
    for (int i = 0; i < count; i++) fds[i] = raw_connect(listener);
    for (int i = 0; i < 300; i++) {
        for (int each = 0; each < count; each++) raw_send_some(fds[each], data, length, &at[each]);
        turn(reactor);
        CHECK(reactor_stats(reactor).events <= 8 + count); /* of one read, for each */
    }
    CHECK(at[0] < length);
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    double deadline = seconds_now() + patience();
    while (lost < count) {
        CHECK(seconds_now() < deadline);
        for (int each = 0; each < count; each++)
            if (fds[each] >= 0 && raw_send_some(fds[each], data, length, &at[each])) {
                CHECK_INT(close(fds[each]), 0);
                fds[each] = -1;
            }
        turn(reactor);
        for (int i = 0; i < 6 && lariat_reactor_next_event(reactor, &event) == LARIAT_OK; i++) {
            int which = 0;
            while (which < made && transports[which] != event.source) which++;
            if (event.kind == LARIAT_EVENT_CONNECTION_MADE) transports[made++] = event.source;
            if (event.kind == LARIAT_EVENT_DATA_RECEIVED) bytes_add(&all[which], event.data, event.len);
            if (event.kind == LARIAT_EVENT_CONNECTION_LOST) lost++;
        }
    }
    for (int i = 0; i < count; i++) {
        CHECK_INT(all[i].length, length);
        CHECK_PATTERN(all[i].data, length, 1);
        bytes_free(&all[i]);
    }
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    stop_listening(reactor, listener);
    free(data);
    reactor_done(reactor);
}
