/* Datagram ports (SEMANTICS 31, 32) with lariat at both ends and nothing of Unix: these cases also run on Windows and on other
 * processors. */
#include "sides.h"

/* ---- a port's owner ------------------------------------------------------------------------------------------------------------------ */

typedef struct post {
    const char *name; /* notes are name<data, where that is short, and name!FAILURE */
    int echoes, stops, stopped, freed, count;
    size_t last;
    lariat_address peer;
    bytes got; /* of datagrams that came in batches, or where it is kept */
    int keeps;
} post;

static void let_go(lariat_deferred *deferred) { CHECK_OK(lariat_deferred_release(deferred)); }

static void post_received(lariat_datagram_port *port, const uint8_t *data, size_t len, const lariat_address *peer, void *self) {
    post *own = self;
    CHECK_INT(own->stopped, 0);
    own->count++;
    own->last = len;
    own->peer = *peer;
    if (own->keeps) bytes_add(&own->got, data, len);
    else if (len <= 40) note("%s<%.*s", own->name, (int)len, (const char *)data);
    if (own->echoes) CHECK_OK(lariat_datagram_port_send_to(port, data, len, peer));
    if (own->stops) let_go(lariat_datagram_port_stop(port));
}

static void post_batch(lariat_datagram_port *port, const lariat_datagram *datagrams, size_t count, void *self) {
    post *own = self;
    size_t sent = 0;
    CHECK(count > 0);
    own->count += (int)count;
    for (size_t i = 0; i < count; i++) bytes_add(&own->got, datagrams[i].data, datagrams[i].len);
    CHECK_OK(lariat_datagram_port_send_batch(port, datagrams, count, &sent));
    CHECK_INT(sent, count);
}

static void post_failed(lariat_datagram_port *port, const lariat_failure *reason, const lariat_address *peer, void *self) {
    (void)port, (void)peer;
    note("%s!%s", ((post *)self)->name, failure_label(reason));
}

static void post_stopped(lariat_datagram_port *port, const lariat_failure *reason, void *self) {
    (void)port;
    CHECK_INT(lariat_failure_code(reason), LARIAT_CONNECTION_DONE);
    CHECK_INT(((post *)self)->stopped++, 0);
}

static void post_free(void *self) {
    post *own = self;
    CHECK_INT(own->freed++, 0);
    bytes_free(&own->got);
}

static lariat_datagram_protocol post_protocol(void) {
    lariat_datagram_protocol protocol;
    CHECK_OK(lariat_datagram_protocol_init(&protocol, sizeof protocol));
    protocol.datagram_received = post_received;
    protocol.datagram_failed = post_failed;
    protocol.stopped = post_stopped;
    protocol.free_self = post_free;
    return protocol;
}

static lariat_datagram_port *post_open(lariat_reactor *reactor, const char *endpoint, post *own) {
    lariat_datagram_protocol protocol = post_protocol();
    lariat_datagram_port *port = lariat_reactor_listen_datagram(reactor, endpoint, &protocol, own);
    if (!port) test_fail(__FILE__, __LINE__, "no port at %s: %s", endpoint, lariat_last_error_message());
    return port;
}

static lariat_address post_address(lariat_datagram_port *port) {
    char text[80];
    lariat_address address;
    CHECK_OK(lariat_datagram_port_address(port, text, sizeof text, NULL));
    CHECK_OK(lariat_address_init(&address, sizeof address));
    CHECK_OK(lariat_address_parse(&address, text));
    return address;
}

static void post_connect(lariat_datagram_port *port, lariat_datagram_port *peer) {
    char text[80];
    CHECK_OK(lariat_datagram_port_address(peer, text, sizeof text, NULL));
    CHECK_OK(lariat_datagram_port_connect(port, text));
}

static void post_close(lariat_reactor *reactor, lariat_datagram_port *port, post *own) {
    if (!own->freed) let_go(lariat_datagram_port_stop(port));
    until(reactor, own->freed == 1);
    CHECK_INT(own->stopped, 1);
}

static lariat_status send_to(lariat_datagram_port *port, const char *text, const lariat_address *to) {
    return lariat_datagram_port_send_to(port, (const uint8_t *)text, strlen(text), to);
}

static lariat_status send_text(lariat_datagram_port *port, const char *text) {
    return lariat_datagram_port_send(port, (const uint8_t *)text, strlen(text));
}

/* Two ports of one reactor. */
typedef struct posts {
    lariat_reactor *reactor;
    lariat_datagram_port *one, *other;
    post near, far; /* their owners */
    lariat_address to_one, to_other;
} posts;

static void posts_open(posts *two, const char *endpoint) {
    two->near.name = "near";
    two->far.name = "far";
    two->reactor = real_reactor();
    two->one = post_open(two->reactor, endpoint, &two->near);
    two->other = post_open(two->reactor, endpoint, &two->far);
    two->to_one = post_address(two->one);
    two->to_other = post_address(two->other);
}

static void posts_close(posts *two) {
    post_close(two->reactor, two->one, &two->near);
    post_close(two->reactor, two->other, &two->far);
    reactor_done(two->reactor);
}

#define HERE "udp://127.0.0.1:0"

/* ---- 32: whole or not at all -------------------------------------------------------------------------------------------------------- */

TEST(s32_datagrams_are_echoed_whole) {
    static uint8_t data[9000];
    posts two = {.far = {.echoes = 1}};
    posts_open(&two, HERE);
    CHECK_OK(send_to(two.one, "hello", &two.to_other));
    until(two.reactor, two.near.count == 1);
    CHECK_OK(lariat_datagram_port_send_to(two.one, NULL, 0, &two.to_other));
    until(two.reactor, two.near.count == 2);
    CHECK_NOTES("far<hello near<hello far< near<");
    CHECK_INT(two.near.peer.port, two.to_other.port);
    CHECK_INT(two.far.peer.port, two.to_one.port);
    CHECK_OK(lariat_datagram_port_send_to(two.one, data, sizeof data, &two.to_other));
    until(two.reactor, two.near.count == 3);
    CHECK_INT(two.near.last, sizeof data);
    CHECK_INT(two.far.last, sizeof data);
    posts_close(&two);
}

TEST(s32_datagrams_again_and_again) {
    posts two = {.far = {.echoes = 1}};
    int rounds = (int)many(500);
    posts_open(&two, HERE);
    for (int i = 1; i <= rounds; i++) {
        CHECK_OK(send_to(two.one, "x", &two.to_other));
        until(two.reactor, two.near.count == i);
        notes_clear();
    }
    /* Many at once. */
    for (int i = 0; i < 50; i++) CHECK_OK(send_to(two.one, "y", &two.to_other));
    until(two.reactor, two.near.count == rounds + 50);
    notes_clear();
    posts_close(&two);
}

TEST(s32_one_that_is_too_long_is_refused) {
    static uint8_t data[65508];
    posts two = {0};
    posts_open(&two, HERE);
    CHECK_STATUS(lariat_datagram_port_send_to(two.one, data, sizeof data, &two.to_other), LARIAT_ERR_TOO_LONG);
    CHECK_OK(send_to(two.one, "on", &two.to_other));
    until(two.reactor, two.far.count == 1);
    CHECK_NOTES("far<on");
    posts_close(&two);
}

TEST(datagrams_to_a_paused_port_come_later_in_order) {
    posts two = {0};
    posts_open(&two, HERE);
    CHECK_OK(send_to(two.one, "1", &two.to_other));
    until(two.reactor, two.far.count == 1);
    CHECK_OK(lariat_datagram_port_pause_reading(two.other));
    CHECK_OK(send_to(two.one, "2", &two.to_other));
    turns(two.reactor, 5);
    CHECK_OK(send_to(two.one, "3", &two.to_other));
    turns(two.reactor, 5);
    CHECK_NOTES("far<1");
    CHECK_OK(lariat_datagram_port_resume_reading(two.other));
    until(two.reactor, two.far.count == 3);
    CHECK_OK(send_to(two.one, "4", &two.to_other));
    until(two.reactor, two.far.count == 4);
    CHECK_NOTES("far<2 far<3 far<4");
    posts_close(&two);
}

TEST(datagrams_a_port_that_stops_in_its_callback_hears_no_more) {
    posts two = {.far = {.stops = 1}};
    posts_open(&two, HERE);
    for (int i = 0; i < 3; i++) CHECK_OK(send_to(two.one, "stop", &two.to_other));
    until(two.reactor, two.far.freed);
    CHECK_NOTES("far<stop");
    /* Its number is free again. */
    char again[80];
    post next = {.name = "next"};
    snprintf(again, sizeof again, "udp://127.0.0.1:%d", (int)two.to_other.port);
    lariat_datagram_port *port = post_open(two.reactor, again, &next);
    CHECK_OK(send_to(port, "on", &two.to_one));
    until(two.reactor, two.near.count == 1);
    CHECK_NOTES("near<on");
    post_close(two.reactor, port, &next);
    posts_close(&two);
}

TEST(datagrams_an_address_that_is_taken_is_refused) {
    char again[80];
    posts two = {0};
    post none = {.name = "none"};
    lariat_datagram_protocol protocol = post_protocol();
    posts_open(&two, HERE);
    protocol.free_self = NULL;
    snprintf(again, sizeof again, "udp://127.0.0.1:%d", (int)two.to_one.port);
    CHECK_NULL(lariat_reactor_listen_datagram(two.reactor, again, &protocol, &none), LARIAT_ERR_ADDRESS_IN_USE);
    CHECK(strstr(lariat_last_error_message(), again + strlen("udp://")) != NULL);
    posts_close(&two);
}

/* ---- 31: peers that are not there; connected ports ---------------------------------------------------------------------------------- */

TEST(s31_a_port_lives_on_when_nobody_was_there) {
    posts two = {0};
    posts_open(&two, HERE);
    post_close(two.reactor, two.other, &two.far);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(send_to(two.one, "lost", &two.to_other));
        turns(two.reactor, 5);
    }
    CHECK_OK(send_to(two.one, "on", &two.to_one));
    until(two.reactor, two.near.count == 1);
    CHECK_NOTES("near<on");
    posts_close(&two);
}

TEST(s31_a_connected_port_hears_that_nobody_is_there) {
    if (under_wine()) SKIP("wine tells no socket that is polled of it");
    posts two = {0};
    posts_open(&two, HERE);
    post_connect(two.one, two.other);
    CHECK_OK(send_text(two.one, "hello"));
    until(two.reactor, two.far.count == 1);
    CHECK_NOTES("far<hello");
    post_close(two.reactor, two.other, &two.far);
    CHECK_OK(send_text(two.one, "lost"));
    until(two.reactor, noted("near!"));
    CHECK_NOTES("near!CONNECTION_REFUSED");
    posts_close(&two);
}

TEST(s31_a_connected_port_lives_on_when_nobody_was_there) {
    if (under_wine()) SKIP("wine polls no socket any more that was refused");
    char again[80];
    posts two = {0};
    post next = {.name = "next", .echoes = 1};
    posts_open(&two, HERE);
    post_connect(two.one, two.other);
    post_close(two.reactor, two.other, &two.far);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(send_text(two.one, "lost"));
        turns(two.reactor, 5);
    }
    notes_clear(); /* refused as often as the system tells */
    snprintf(again, sizeof again, "udp://127.0.0.1:%d", (int)two.to_other.port);
    lariat_datagram_port *port = post_open(two.reactor, again, &next);
    CHECK_OK(send_text(two.one, "again"));
    until(two.reactor, two.near.count == 1);
    CHECK(noted("next<again") && noted("near<again"));
    notes_clear();
    post_close(two.reactor, port, &next);
    posts_close(&two);
}

TEST(datagrams_a_connected_port_hears_its_peer_alone_and_can_be_connected_anew) {
    posts two = {0};
    post third = {.name = "third"};
    posts_open(&two, HERE);
    lariat_datagram_port *port = post_open(two.reactor, HERE, &third);
    CHECK_STATUS(send_text(two.one, "to whom"), LARIAT_ERR_INVALID_STATE);
    post_connect(two.one, two.other);
    CHECK_OK(send_to(port, "stranger", &two.to_one));
    CHECK_OK(send_to(two.other, "peer", &two.to_one));
    until(two.reactor, two.near.count == 1);
    CHECK_OK(send_text(two.one, "to far"));
    until(two.reactor, two.far.count == 1);
    CHECK_NOTES("near<peer far<to far");
    post_connect(two.one, port);
    CHECK_OK(send_to(two.other, "stranger", &two.to_one));
    CHECK_OK(send_to(port, "peer", &two.to_one));
    until(two.reactor, two.near.count == 2);
    CHECK_OK(send_text(two.one, "to third"));
    until(two.reactor, third.count == 1);
    turns(two.reactor, 5);
    CHECK_NOTES("near<peer third<to third");
    post_close(two.reactor, port, &third);
    posts_close(&two);
}

/* ---- batches: where the system takes one at a time, they go as well ----------------------------------------------------------------- */

TEST(datagrams_a_batch_goes_to_many_in_order) {
    enum { COUNT = 40 };
    uint8_t numbers[COUNT];
    lariat_datagram list[COUNT];
    size_t sent = 0;
    posts two = {.near = {.keeps = 1}, .far = {.keeps = 1}};
    posts_open(&two, HERE);
    for (int i = 0; i < COUNT; i++) {
        numbers[i] = (uint8_t)i;
        list[i] = (lariat_datagram){.data = &numbers[i], .len = 1, .peer = i % 2 ? &two.to_other : &two.to_one};
    }
    CHECK_OK(lariat_datagram_port_send_batch(two.one, list, COUNT, &sent));
    CHECK_INT(sent, COUNT);
    until(two.reactor, two.near.count + two.far.count == COUNT);
    CHECK_INT(two.near.got.length, COUNT / 2);
    CHECK_INT(two.far.got.length, COUNT / 2);
    for (int i = 0; i < COUNT / 2; i++) {
        CHECK_INT(two.near.got.data[i], 2 * i);
        CHECK_INT(two.far.got.data[i], 2 * i + 1);
    }
    posts_close(&two);
}

TEST(datagrams_a_batch_stops_at_the_first_that_cannot_go) {
    static uint8_t data[70000];
    size_t sent = 99;
    posts two = {0};
    posts_open(&two, HERE);
    lariat_datagram list[] = {
        {.data = (const uint8_t *)"1", .len = 1, .peer = &two.to_other},
        {.data = NULL, .len = 0, .peer = &two.to_other},
        {.data = data, .len = sizeof data, .peer = &two.to_other},
        {.data = (const uint8_t *)"never", .len = 5, .peer = &two.to_other},
    };
    CHECK_STATUS(lariat_datagram_port_send_batch(two.one, list, 4, &sent), LARIAT_ERR_TOO_LONG);
    CHECK_INT(sent, 2);
    list[1].peer = NULL; /* not connected */
    CHECK_STATUS(lariat_datagram_port_send_batch(two.one, list, 4, &sent), LARIAT_ERR_INVALID_STATE);
    CHECK_INT(sent, 1);
    CHECK_OK(send_to(two.one, "end", &two.to_other));
    until(two.reactor, noted("far<end"));
    CHECK_NOTES("far<1 far< far<1 far<end");
    posts_close(&two);
}

TEST(datagrams_a_batch_of_a_connected_port_goes_to_its_peer) {
    size_t sent = 0;
    posts two = {0};
    posts_open(&two, HERE);
    post_connect(two.one, two.other);
    lariat_datagram list[] = {{.data = (const uint8_t *)"a", .len = 1}, {.data = (const uint8_t *)"b", .len = 1}};
    CHECK_OK(lariat_datagram_port_send_batch(two.one, list, 2, &sent));
    CHECK_INT(sent, 2);
    until(two.reactor, two.far.count == 2);
    CHECK_NOTES("far<a far<b");
    posts_close(&two);
}

TEST(datagrams_with_a_segment_size_go_as_several) {
    enum { LENGTH = 1000, SEGMENT = 300 };
    size_t sent = 0;
    uint8_t *data = pattern_new(LENGTH, 1);
    posts two = {.far = {.keeps = 1}};
    posts_open(&two, HERE);
    lariat_datagram one = {.data = data, .len = LENGTH, .peer = &two.to_other, .segment_size = SEGMENT};
    CHECK_OK(lariat_datagram_port_send_batch(two.one, &one, 1, &sent));
    CHECK_INT(sent, 1);
    until(two.reactor, two.far.count == 4);
    CHECK_INT(two.far.got.length, LENGTH);
    CHECK_INT(two.far.last, LENGTH % SEGMENT);
    CHECK_PATTERN(two.far.got.data, LENGTH, 1);
    posts_close(&two);
    free(data);
}

TEST(datagrams_that_came_in_batches_go_back_in_batches) {
    enum { COUNT = 60 };
    posts two = {.near = {.keeps = 1}};
    post batches = {.name = "batches"};
    lariat_datagram_protocol protocol = post_protocol();
    posts_open(&two, HERE);
    protocol.batch_received = post_batch;
    lariat_datagram_port *port = lariat_reactor_listen_datagram(two.reactor, HERE, &protocol, &batches);
    CHECK(port != NULL);
    lariat_address to = post_address(port);
    for (uint8_t i = 0; i < COUNT; i++) CHECK_OK(lariat_datagram_port_send_to(two.one, &i, 1, &to));
    until(two.reactor, two.near.count == COUNT);
    CHECK_INT(batches.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK_INT(batches.got.data[i], i);
        CHECK_INT(two.near.got.data[i], i);
    }
    /* And once it had found that there were no more. */
    turns(two.reactor, 3);
    for (uint8_t i = 0; i < COUNT; i++) {
        CHECK_OK(lariat_datagram_port_send_to(two.one, &i, 1, &to));
        until(two.reactor, two.near.count == COUNT + 1 + i);
    }
    post_close(two.reactor, port, &batches);
    posts_close(&two);
}

/* ---- options and families ----------------------------------------------------------------------------------------------------------- */

TEST(datagrams_options_are_set) {
    posts two = {0};
    posts_open(&two, "udp://127.0.0.1:0?broadcast=1&receive_buffer=100000&send_buffer=100000&time_to_live=9");
    CHECK_OK(lariat_datagram_port_set_broadcast(two.one, 0));
    CHECK_OK(lariat_datagram_port_set_time_to_live(two.one, 3));
    CHECK_OK(lariat_datagram_port_set_buffer_sizes(two.one, 200000, 200000));
    CHECK_OK(lariat_datagram_port_set_multicast_loop(two.one, 1));
    CHECK_OK(lariat_datagram_port_set_multicast_time_to_live(two.one, 0));
    CHECK_OK(send_to(two.one, "on", &two.to_other));
    until(two.reactor, two.far.count == 1);
    CHECK_NOTES("far<on");
    posts_close(&two);
}

TEST(datagrams_of_ipv6) {
    posts two = {.far = {.echoes = 1}};
    posts_open(&two, "udp://[::1]:0");
    CHECK_OK(send_to(two.one, "hello", &two.to_other));
    until(two.reactor, two.near.count == 1);
    CHECK_NOTES("far<hello near<hello");
    CHECK_INT(two.near.peer.port, two.to_other.port);
    posts_close(&two);
}

TEST(datagrams_a_port_of_all_addresses_hears_ipv4_and_answers) {
    char text[80], peer[80];
    lariat_address to;
    post all = {.name = "all", .echoes = 1};
    posts two = {0};
    posts_open(&two, HERE);
    lariat_datagram_port *port = post_open(two.reactor, "udp://*:0", &all);
    snprintf(text, sizeof text, "127.0.0.1:%d", (int)lariat_datagram_port_number(port));
    CHECK_OK(lariat_address_init(&to, sizeof to));
    CHECK_OK(lariat_address_parse(&to, text));
    CHECK_OK(send_to(two.one, "hello", &to));
    until(two.reactor, two.near.count == 1);
    CHECK_NOTES("all<hello near<hello");
    CHECK_OK(lariat_address_format(&all.peer, text, sizeof text, NULL));
    CHECK_OK(lariat_datagram_port_address(two.one, peer, sizeof peer, NULL));
    CHECK_STR(strstr(text, "127.0.0.1"), strstr(peer, "127.0.0.1"));
    post_close(two.reactor, port, &all);
    posts_close(&two);
}
