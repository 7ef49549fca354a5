/* A test of netcode on a network that does not exist. The server and the players of game.h run unchanged on simulated
 * hosts: one has a good line, one a slow one, one a line that loses and reorders and is cut off twice. A thousand
 * seconds pass in a moment, and the same seed gives the same run to the last byte: what fails once, fails again.
 *
 *     netcode_test SEED         any number; without one, 7 */
#include "game.h"

enum { PLAYERS = 3 };
static const char *const NAMES[PLAYERS] = {"ann", "bob", "tom"};

typedef struct test {
    lariat_simulation *simulation;
    game_server server;
    game_bot bots[PLAYERS];
    int matches_over, wins[PLAYERS], undecided;
} test;

static void count_match(game_server *server, const game_match *match, const char *winner) {
    (void)match;
    test *test = server->user_data;
    test->matches_over++;
    test->undecided += winner == NULL;
    for (int i = 0; i < PLAYERS; i++)
        test->wins[i] += winner != NULL && strcmp(winner, NAMES[i]) == 0;
}

static lariat_reactor *reactor_on(lariat_simulation *simulation, const char *host) {
    lariat_reactor_options options;
    lariat_reactor_options_init(&options, sizeof options);
    options.driver = LARIAT_DRIVER_SIMULATED;
    options.simulation = simulation;
    options.host = host;
    return lariat_reactor_new_with_options(&options);
}

/* The line between a player and the world, in both directions. */
static void set_line(lariat_simulation *simulation, const char *host, double latency, double jitter, double loss) {
    lariat_link link;
    lariat_link_init(&link, sizeof link);
    link.latency = latency;
    link.jitter = jitter;
    link.loss = loss;
    link.reordering = loss / 2;
    link.duplication = loss / 4;
    lariat_simulation_set_link(simulation, host, NULL, &link);
    lariat_simulation_set_link(simulation, NULL, host, &link);
}

static void start(test *test, uint64_t seed) {
    test->simulation = lariat_simulation_new(seed);
    set_line(test->simulation, "ann", 0.010, 0.002, 0.001);
    set_line(test->simulation, "bob", 0.120, 0.010, 0.010);
    set_line(test->simulation, "tom", 0.030, 0.080, 0.200);
    test->server = (game_server){.reactor = reactor_on(test->simulation, "server"), .tick_seconds = GAME_TICK,
                                 .match_over = count_match, .user_data = test};
    game_start_server(&test->server, "udp://*:7000");
    char address[46], endpoint[64];
    lariat_simulation_host_address(test->simulation, "server", 4, address, sizeof address, NULL);
    snprintf(endpoint, sizeof endpoint, "udp://%s:7000", address);
    for (int i = 0; i < PLAYERS; i++) {
        test->bots[i] = (game_bot){.reactor = reactor_on(test->simulation, NAMES[i]), .name = NAMES[i],
                                   .tick_seconds = GAME_TICK};
        game_start_bot(&test->bots[i], "udp://0.0.0.0:0", endpoint);
    }
}

static void run(test *test) {
    lariat_simulation *simulation = test->simulation;
    lariat_simulation_run(simulation, 300.0);
    lariat_simulation_partition(simulation, "tom", "server", 1);                 /* longer than the server has patience */
    lariat_simulation_run(simulation, 30.0);
    lariat_simulation_partition(simulation, "tom", "server", 0);
    lariat_simulation_run(simulation, 300.0);
    lariat_simulation_partition(simulation, NULL, "server", 1);                  /* shorter, and for all */
    lariat_simulation_run(simulation, 2.0);
    lariat_simulation_partition(simulation, NULL, NULL, 0);
    lariat_simulation_run(simulation, 368.0);
}

/* Frees everything, and tells what must be the same each time. */
static uint64_t end(test *test) {
    uint64_t hash = lariat_simulation_trace_hash(test->simulation);
    lariat_reactor_free(test->server.reactor);
    for (int i = 0; i < PLAYERS; i++)
        lariat_reactor_free(test->bots[i].reactor);
    if (lariat_simulation_free(test->simulation) != LARIAT_OK)
        printf("Something is left: %s\n", lariat_last_error_message());
    return hash;
}

static void report(const test *test) {
    printf("%.0f simulated seconds, %u ticks\n", lariat_simulation_seconds(test->simulation), (unsigned)test->server.ticks);
    printf("%d matches, %d of them undecided\n", test->matches_over, test->undecided);
    for (int i = 0; i < PLAYERS; i++) {
        const game_bot *bot = &test->bots[i];
        printf("%s: won %d, %d snapshots, %d out of date, longest silence %.2f s\n", bot->name, test->wins[i],
               bot->snapshots, bot->out_of_date, bot->longest_silence);
    }
}

/* What has to hold whatever the network does. */
static int check(const char *what, int holds) {
    printf("%s: %s\n", what, holds ? "yes" : "NO");
    return holds;
}

int main(int argc, char **argv) {
    static test first, second;
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 7;
    start(&first, seed);
    run(&first);
    report(&first);
    int good = check("Every match but the last has a winner", first.matches_over > 10 && first.undecided == 0);
    good &= check("Nobody was dropped but who was cut off for long", first.server.players_lost <= 1);
    good &= check("Tom has come back", first.bots[2].last_heard > 990.0);
    good &= check("The best line wins most", first.wins[0] > first.wins[1] && first.wins[0] > first.wins[2]);
    uint64_t hash = end(&first);

    start(&second, seed);
    run(&second);
    good &= check("The same seed gives the same run", end(&second) == hash && first.matches_over == second.matches_over);
    printf("Its trace hash: %016llx\n", (unsigned long long)hash);
    return good ? 0 : 1;
}
