/* Ten thousand connections on one loop, a hundredth of them at a time badly behaved: nothing is lost on the good ones, and each ends
 * once. */
#include "streams.h"
#include <sys/resource.h>

enum { REQUEST = 64, ROUNDS = 20 };

/* The server answers each request of REQUEST bytes with the same bytes turned over, and hangs up on garbage, which begins with 0. */
typedef struct guest {
    side own; /* first: it is its self */
    uint8_t half[REQUEST];
    size_t filled;
    long answered;
} guest;

/* The peer, a raw socket. */
typedef struct visitor {
    int fd;           /* -1 between two connections */
    uint16_t written; /* of the present request */
    uint16_t read;    /* of its answer */
    uint32_t number;  /* of the present request */
    long whole;       /* answers that came whole */
    int bad;          /* what it is up to; 0: a good one */
} visitor;

enum { GOOD, RESETS, STALLS, HALF_CLOSES, SENDS_GARBAGE, MISDEEDS };

static guest *guests;
static visitor *visitors;
static long guests_room, guests_made, guests_over, ends_done, ends_reset, ends_failed, ends_other, half_closed;
static lariat_reactor *reactor;
static lariat_listener *listener;

static uint8_t request_byte(uint32_t number, size_t place) { return (uint8_t)(1 + (number * 31 + place * 7) % 255); }

static void answer(side *own) {
    guest *one = (guest *)own;
    uint8_t answers[REQUEST];
    const uint8_t *data = own->got.data;
    for (size_t i = 0; i < own->got.length; i++) {
        if (data[i] == 0) {
            CHECK_OK(lariat_transport_fail_connection(own->transport, 400, "garbage"));
            break;
        }
        one->half[one->filled++] = data[i];
        if (one->filled < REQUEST) continue;
        for (size_t each = 0; each < REQUEST; each++) answers[each] = (uint8_t)(255 - one->half[each]);
        CHECK_OK(lariat_transport_write(own->transport, answers, REQUEST));
        one->filled = 0;
        one->answered++;
    }
    own->got.length = 0;
}

static void hang_up(side *own) {
    half_closed++;
    CHECK_OK(lariat_transport_lose_connection(own->transport));
}

static void count_end(side *own) {
    guests_over++;
    if (own->reason == LARIAT_CONNECTION_DONE) ends_done++;
    else if (own->reason == LARIAT_ERR_CONNECTION_LOST) ends_reset++;
    else if (own->reason == 400) ends_failed++;
    else ends_other++;
    bytes_free(&own->got);
}

static lariat_status build_guest(lariat_listener *from, lariat_transport *transport, void **self, void *user_data) {
    (void)from;
    (void)transport;
    (void)user_data;
    if (guests_made == guests_room) test_fail(__FILE__, __LINE__, "more guests than expected");
    guest *one = &guests[guests_made++];
    one->own = (side){.name = "guest", .on_data = answer, .on_read_lost = hang_up, .on_lost = count_end};
    *self = one;
    return LARIAT_OK;
}

/* From several addresses: a port can be used once for each. */
static void visit(long which) {
    struct sockaddr_in own = loopback(0), to = loopback(lariat_listener_port(listener));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) test_fail(__FILE__, __LINE__, "no socket for visitor %ld: %s", which, strerror(errno));
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(which % 8));
#ifdef __linux__
    CHECK_INT(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
#endif
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) test_fail(__FILE__, __LINE__, "cannot connect: %s", strerror(errno));
    not_blocking(fd);
    visitors[which] = (visitor){.fd = fd, .number = (uint32_t)which, .whole = visitors[which].whole};
}

/* Writes and reads what it can; true when its request is answered. */
static int converse(visitor *one) {
    uint8_t buffer[REQUEST];
    if (one->written < REQUEST) {
        for (size_t i = 0; i < REQUEST; i++) buffer[i] = request_byte(one->number, i);
        /* Not always in one piece. */
        size_t most = one->written == 0 && one->number % 3 == 0 ? REQUEST / 2 : REQUEST - one->written;
        ssize_t sent = send(one->fd, buffer + one->written, most, MSG_NOSIGNAL);
        if (sent < 0) CHECK_INT(errno, EAGAIN);
        else one->written = (uint16_t)(one->written + sent);
    }
    ssize_t length = recv(one->fd, buffer, REQUEST - one->read, 0);
    if (length == 0) test_fail(__FILE__, __LINE__, "a good connection has ended");
    if (length < 0) {
        CHECK_INT(errno, EAGAIN);
        return 0;
    }
    for (ssize_t i = 0; i < length; i++) CHECK_INT(buffer[i], 255 - request_byte(one->number, one->read + (size_t)i));
    one->read = (uint16_t)(one->read + length);
    if (one->read < REQUEST) return 0;
    one->whole++;
    return 1;
}

/* Whether all good ones have had their answer to this round's request. */
static int all_answered(long count) {
    int all = 1;
    for (long i = 0; i < count; i++)
        if (visitors[i].bad == GOOD && visitors[i].read < REQUEST) all &= converse(&visitors[i]);
    return all;
}

static void misbehave(visitor *one) {
    uint8_t some[REQUEST / 2], garbage[1000] = {0};
    for (size_t i = 0; i < sizeof some; i++) some[i] = request_byte(one->number, i);
    switch (one->bad) {
    case RESETS:
        if (one->number % 2) CHECK_INT(send(one->fd, some, sizeof some, MSG_NOSIGNAL), sizeof some);
        raw_reset(one->fd);
        one->fd = -1;
        break;
    case STALLS: /* in the middle of a request, for the round */
        CHECK_INT(send(one->fd, some, sizeof some, MSG_NOSIGNAL), sizeof some);
        break;
    case HALF_CLOSES:
        CHECK_INT(send(one->fd, some, sizeof some, MSG_NOSIGNAL), sizeof some);
        CHECK_INT(shutdown(one->fd, SHUT_WR), 0);
        break;
    default: CHECK_INT(send(one->fd, garbage, sizeof garbage, MSG_NOSIGNAL), sizeof garbage);
    }
}

/* What it had for its misdeed: an end; the one who stalled goes on, and is answered. */
static int is_settled(visitor *one) {
    uint8_t buffer[REQUEST];
    if (one->bad == RESETS) return 1;
    if (one->bad == STALLS) {
        one->written = REQUEST / 2;
        one->bad = GOOD;
    }
    if (one->bad == GOOD) return one->read == REQUEST || converse(one);
    ssize_t length = recv(one->fd, buffer, sizeof buffer, 0);
    if (length < 0 && errno == EAGAIN) return 0;
    CHECK(length <= 0); /* garbage and halves are not answered */
    if (one->bad == HALF_CLOSES) CHECK_INT(length, 0);
    CHECK_INT(close(one->fd), 0);
    one->fd = -1;
    return 1;
}

static int open_descriptors(int below) {
    int count = 0;
    for (int fd = 0; fd < below; fd++) count += descriptor_is_open(fd);
    return count;
}

static void crowd(long count) {
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < (rlim_t)count * 2 + 100) count = ((long)limit.rlim_max - 100) / 2; /* both ends are ours */
    if (count < 100) SKIP("there are too few descriptors for a crowd");
    int below = (int)count * 2 + 200, before = open_descriptors(below);
    long bad = count / 100;
    guests_room = count + ROUNDS * bad + 10;
    guests = calloc((size_t)guests_room, sizeof *guests);
    visitors = calloc((size_t)count, sizeof *visitors);
    CHECK(guests && visitors);
    reactor = real_reactor();
    lariat_protocol protocol = side_protocol(HALF);
    listener = lariat_reactor_listen(reactor, "tcp4://*:0?backlog=4096", &protocol, build_guest, NULL);
    CHECK(listener != NULL);
    for (long i = 0; i < count; i++) {
        visit(i);
        if (i % 64 == 63) turn(reactor); /* the backlog has an end */
    }
    until(reactor, guests_made == count);
    CHECK_INT(lariat_listener_connections(listener), count);
    CHECK_INT(reactor_stats(reactor).transports, count);
    long did[MISDEEDS] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        for (long i = 0; i < count; i++) {
            visitors[i].written = visitors[i].read = 0;
            visitors[i].number += 1;
        }
        for (long i = 0; i < bad; i++) {
            visitor *one = &visitors[(round * 37 + i * 100 + round * 13) % count];
            one->bad = 1 + (int)((i + round) % (MISDEEDS - 1));
            did[one->bad]++;
            misbehave(one);
        }
        until(reactor, all_answered(count));
        for (long i = 0; i < bad; i++) {
            long which = (round * 37 + i * 100 + round * 13) % count;
            until(reactor, is_settled(&visitors[which]));
            if (visitors[which].fd < 0) visit(which); /* another in its place */
        }
        until(reactor, guests_made - guests_over == count);
    }
    CHECK_INT(ends_done, did[HALF_CLOSES]);
    CHECK_INT(half_closed, did[HALF_CLOSES]);
    CHECK_INT(ends_reset, did[RESETS]);
    CHECK_INT(ends_failed, did[SENDS_GARBAGE]);
    CHECK_INT(ends_other, 0);
    long whole = 0, answered = 0;
    for (long i = 0; i < count; i++) whole += visitors[i].whole;
    for (long i = 0; i < guests_made; i++) answered += guests[i].answered;
    CHECK_INT(whole, count * ROUNDS - did[HALF_CLOSES] - did[RESETS] - did[SENDS_GARBAGE]);
    CHECK_INT(answered, whole);
    /* All at once: a third by the peer, a third by us, a third with the reactor. */
    for (long i = 0; i < guests_made; i++)
        if (guests[i].own.transport && i % 3 == 1) CHECK_OK(lariat_transport_lose_connection(guests[i].own.transport));
    for (long i = 0; i < count; i++)
        if (i % 3 == 0) CHECK_INT(close(visitors[i].fd), 0);
    turns(reactor, 3);
    free_reactor(reactor);
    for (long i = 0; i < count; i++)
        if (i % 3 != 0) CHECK_INT(close(visitors[i].fd), 0);
    CHECK_INT(guests_over, guests_made);
    for (long i = 0; i < guests_made; i++) {
        CHECK_INT(guests[i].own.lost, 1);
        CHECK_INT(guests[i].own.freed, 1);
    }
    CHECK_INT(open_descriptors(below), before);
    free(guests);
    free(visitors);
}

TEST(crowd_of_ten_thousand_a_hundredth_of_it_misbehaving) { crowd((long)many(10000)); }
