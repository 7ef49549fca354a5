/* Datagram ports on simulated hosts: the same calls, no kernel, and everything from the seed. */
#ifdef _WIN32
#include "harness.h"
TEST(datagrams_are_tested_on_unix) { SKIP("these cases use sockets of POSIX"); }
#else
#include "datagrams.h"

typedef struct pair {
    lariat_simulation *simulation;
    lariat_reactor *on_a, *on_b;
    lariat_datagram_port *a, *b;
    lariat_address to_a, to_b;
} pair;

static lariat_address address_on(lariat_simulation *simulation, const char *host, lariat_datagram_port *port) {
    char ip[46], text[64];
    CHECK_OK(lariat_simulation_host_address(simulation, host, 4, ip, sizeof ip, NULL));
    snprintf(text, sizeof text, "%s:%d", ip, (int)lariat_datagram_port_number(port));
    return address_of(text);
}

static pair pair_new(uint64_t seed, const char *endpoint) {
    pair two = {.simulation = lariat_simulation_new(seed)};
    two.on_a = simulated_reactor(two.simulation, "a");
    two.on_b = simulated_reactor(two.simulation, "b");
    two.a = noting_port(two.on_a, endpoint, "a");
    two.b = noting_port(two.on_b, endpoint, "b");
    two.to_a = address_on(two.simulation, "a", two.a);
    two.to_b = address_on(two.simulation, "b", two.b);
    return two;
}

static void pair_done(pair *two) {
    lariat_deferred *stopped[2] = {lariat_datagram_port_stop(two->a), lariat_datagram_port_stop(two->b)};
    CHECK_OK(lariat_simulation_run(two->simulation, 1));
    for (int i = 0; i < 2; i++) {
        CHECK_STR(result_of(stopped[i]), "-");
        CHECK_OK(lariat_deferred_release(stopped[i]));
    }
    reactor_done(two->on_a);
    reactor_done(two->on_b);
    CHECK_OK(lariat_simulation_free(two->simulation));
}

TEST(datagrams_between_simulated_hosts) {
    pair two = pair_new(1, "udp4://*:0");
    send_text_to(two.a, "hello", &two.to_b);
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_NOTES("b<hello");
    CHECK_INT(memcmp(last_peer.host, two.to_a.host, 16), 0);
    CHECK_INT(last_peer.port, two.to_a.port);
    send_text_to(two.b, "reply", &last_peer);
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_NOTES("a<reply");
    pair_done(&two);
}

TEST(datagrams_of_both_families_between_simulated_hosts) {
    pair two = pair_new(1, "udp://*:0");
    send_text_to(two.a, "hello", &two.to_b);
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_NOTES("b<hello");
    CHECK_INT(last_peer.family, LARIAT_ADDRESS_IPV4);
    send_text_to(two.b, "reply", &last_peer);
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_NOTES("a<reply");
    pair_done(&two);
}

TEST(s31_a_simulated_refusal_is_reported_and_the_port_lives_on) {
    pair two = pair_new(1, "udp4://*:0");
    lariat_address nobody = two.to_b;
    nobody.port = 9;
    CHECK_OK(lariat_datagram_port_connect(two.a, address_text(&nobody)));
    send_text(two.a, "lost");
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_NOTES("a!CONNECTION_REFUSED");
    send_text_to(two.a, "found", &two.to_b);
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK_NOTES("b<found");
    pair_done(&two);
}

TEST(datagrams_in_batches_and_segments_between_simulated_hosts) {
    pair two = pair_new(1, "udp4://*:0?gro=1");
    lariat_datagram list[] = {
        {.data = (const uint8_t *)"aabbc", .len = 5, .peer = &two.to_b, .segment_size = 2},
        {.data = (const uint8_t *)"d", .len = 1, .peer = &two.to_b},
    };
    size_t sent = 0;
    CHECK_OK(lariat_datagram_port_send_batch(two.a, list, 2, &sent));
    CHECK_INT(sent, 2);
    CHECK_OK(lariat_simulation_run(two.simulation, 1));
    CHECK(noted("b<aa") && noted("b<bb") && noted("b<c") && noted("b<d")); /* the network may change their order */
    notes_clear();
    pair_done(&two);
}

/* What happens to a hundred datagrams on a bad link, as a trace. */
static uint64_t bad_link(uint64_t seed, char *what, size_t size) {
    pair two = pair_new(seed, "udp4://*:0");
    lariat_link link;
    CHECK_OK(lariat_link_init(&link, sizeof link));
    link.loss = 0.2;
    link.duplication = 0.2;
    link.reordering = 0.3;
    link.jitter = 0.01;
    CHECK_OK(lariat_simulation_set_link(two.simulation, "a", "b", &link));
    for (int i = 0; i < 100; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        send_text_to(two.a, text, &two.to_b);
    }
    CHECK_OK(lariat_simulation_run(two.simulation, 10));
    snprintf(what, size, "%s", test_notes.text);
    notes_clear();
    uint64_t hash = lariat_simulation_trace_hash(two.simulation);
    pair_done(&two);
    return hash;
}

TEST(datagrams_on_a_bad_simulated_link_follow_from_the_seed) {
    static char one[10000], same[10000], other[10000];
    uint64_t hash = bad_link(7, one, sizeof one);
    CHECK(bad_link(7, same, sizeof same) == hash);
    CHECK_STR(one, same);
    CHECK(bad_link(8, other, sizeof other) != hash);
    CHECK(strcmp(one, other) != 0);
}

TEST(datagrams_a_simulated_reactor_adopts_no_socket) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "a");
    lariat_datagram_protocol protocol = quiet_datagrams();
    int end = other_end(AF_INET);
    CHECK_NULL(lariat_reactor_adopt_datagram(reactor, end, &protocol, NULL), LARIAT_ERR_NOT_SUPPORTED);
    close(end);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}
#endif
