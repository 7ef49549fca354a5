/* Two reactors in a simulated world: one clock, no kernel, no waiting. The clock jumps to the next thing that happens,
 * everything - pool jobs too - runs on the loop, and the order follows from the seed alone: the same seed tells the
 * same story. */
#include <lariat.h>

#include <stdio.h>

typedef struct town {
    lariat_simulation *simulation;
    lariat_reactor *station, *harbour;
    double start;
} town;

static void report(const town *town, const char *where, const char *what) {
    double minutes = (lariat_simulation_seconds(town->simulation) - town->start) / 60.0;
    printf("%5.0f min  %-8s %s\n", minutes, where, what);
}

static void ship_sails(void *user_data) {
    report(user_data, "harbour", "the ship sails");
}

static void passengers_arrive(void *user_data) {
    town *town = user_data;
    report(town, "harbour", "the passengers are here");
    lariat_reactor_call_later(town->harbour, 30 * 60.0, ship_sails, town);
}

static void walk(void *user_data) {
    town *town = user_data;
    lariat_reactor_call_from_thread(town->harbour, passengers_arrive, town);     /* from one reactor to the other */
}

static void train_arrives(void *user_data) {
    town *town = user_data;
    report(town, "station", "the train arrives");
    lariat_reactor_call_later(town->station, 15 * 60.0, walk, town);
}

static void lighthouse(void *user_data) {
    report(user_data, "harbour", "the lighthouse is lit");
}

static lariat_reactor *reactor_on(lariat_simulation *simulation, const char *host) {
    lariat_reactor_options options;
    lariat_reactor_options_init(&options, sizeof options);
    options.driver = LARIAT_DRIVER_SIMULATED;
    options.simulation = simulation;
    options.host = host;
    return lariat_reactor_new_with_options(&options);
}

static lariat_status tell_story(uint64_t seed, uint64_t *trace_hash) {
    town town = {.simulation = lariat_simulation_new(seed)};
    town.station = reactor_on(town.simulation, "station");
    town.harbour = reactor_on(town.simulation, "harbour");
    town.start = lariat_simulation_seconds(town.simulation);

    lariat_reactor_call_later(town.station, 10 * 60.0, train_arrives, &town);
    lariat_reactor_call_later(town.harbour, 20 * 60.0, lighthouse, &town);
    lariat_simulation_run(town.simulation, 20 * 60.0 + 1.0);
    report(&town, "(town)", "twenty minutes and a second are over");
    lariat_simulation_run_until_idle(town.simulation);
    *trace_hash = lariat_simulation_trace_hash(town.simulation);

    lariat_status station = lariat_reactor_free(town.station);
    lariat_status harbour = lariat_reactor_free(town.harbour);
    lariat_status simulation = lariat_simulation_free(town.simulation);          /* after its reactors */
    return station != LARIAT_OK ? station : harbour != LARIAT_OK ? harbour : simulation;
}

int main(void) {
    uint64_t first = 0, second = 0;
    lariat_status status = tell_story(7, &first);
    if (status == LARIAT_OK)
        status = tell_story(7, &second);
    printf("The same seed, the same story: %s\n", first != 0 && first == second ? "yes" : "no");
    return status;
}
