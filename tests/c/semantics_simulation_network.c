/* The network between simulated hosts: links, partitions, refusals, resets, faults. */
#include "harness.h"

static lariat_link link_new(void) {
    lariat_link link;
    CHECK_OK(lariat_link_init(&link, sizeof link));
    return link;
}

/* ---- arguments ---- */

TEST(simulation_links_have_defaults_and_limits) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_link link = link_new();
    CHECK_INT(link.struct_size, sizeof link);
    CHECK_INT(link.partitioned, 0);
    CHECK_NEAR(link.latency, 0.0005);
    CHECK(link.jitter == 0 && link.bandwidth == 0 && link.loss == 0 && link.duplication == 0 && link.reordering == 0);
    CHECK_OK(lariat_simulation_set_link(simulation, NULL, NULL, &link));
    CHECK_OK(lariat_simulation_set_link(simulation, "a", NULL, &link));
    CHECK_OK(lariat_simulation_set_link(simulation, "a", "b", &link));
    const double bad[] = {NAN, -1, -1e-300, INFINITY, -INFINITY, 1.1e12};
    double *fields[] = {&link.latency, &link.jitter, &link.bandwidth, &link.loss, &link.duplication, &link.reordering};
    for (size_t field = 0; field < sizeof fields / sizeof *fields; field++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            *fields[field] = bad[i];
            CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, &link), LARIAT_ERR_INVALID_ARGUMENT);
            link = link_new();
        }
    for (size_t field = 3; field < 6; field++) {
        *fields[field] = 1.01;
        CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, &link), LARIAT_ERR_INVALID_ARGUMENT);
        *fields[field] = 1;
        CHECK_OK(lariat_simulation_set_link(simulation, NULL, NULL, &link));
        link = link_new();
    }
    link.partitioned = 2;
    CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, &link), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_set_link(simulation, NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_link_init(&link, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(simulation_faults_have_limits) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    CHECK_OK(lariat_simulation_set_faults(simulation, 0));
    CHECK_OK(lariat_simulation_set_faults(simulation, 1));
    CHECK_STATUS(lariat_simulation_set_faults(simulation, 1.5), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_set_faults(simulation, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_partition(simulation, NULL, "b", 1));
    CHECK_OK(lariat_simulation_partition(simulation, NULL, NULL, 0));
    CHECK_STATUS(lariat_simulation_partition(simulation, NULL, NULL, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_partition(simulation, "\xff", NULL, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_refuse_connections(simulation, "b", 80, 1));
    CHECK_OK(lariat_simulation_refuse_connections(simulation, "b", 0, -1));
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, "b", 65536, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, "b", -1, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, "b", 80, -2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_refuse_connections(simulation, NULL, 80, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_simulation_reset_connections(simulation, "a", NULL));
    CHECK_OK(lariat_simulation_free(simulation));
    CHECK_STATUS(lariat_simulation_set_faults(simulation, 0), LARIAT_ERR_STALE_HANDLE);
}

TEST(simulation_hosts_have_addresses_in_the_order_of_their_names) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *a = simulated_reactor(simulation, "a"), *b = simulated_reactor(simulation, "b"), *again = simulated_reactor(simulation, "a");
    char text[46];
    size_t length;
    CHECK_OK(lariat_simulation_host_address(simulation, "b", 4, text, sizeof text, &length));
    CHECK_STR(text, "10.0.0.2");
    CHECK_INT(length, 8);
    CHECK_OK(lariat_simulation_host_address(simulation, "a", 6, text, sizeof text, &length));
    CHECK_STR(text, "fd00::1");
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 4, text, 5, &length), LARIAT_ERR_TOO_LONG);
    CHECK_STR(text, "10.0");
    CHECK_INT(length, 8);
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 4, NULL, 0, NULL), LARIAT_ERR_TOO_LONG);
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 4, NULL, 1, &length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_host_address(simulation, "new", 5, text, sizeof text, &length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_simulation_host_address(simulation, NULL, 4, text, sizeof text, &length), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(a);
    reactor_done(b);
    reactor_done(again);
    CHECK_OK(lariat_simulation_free(simulation));
}
