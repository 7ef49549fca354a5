/* A game server: datagrams in, twenty snapshots a second out. The game itself is in game.h; netcode_test.c is the same
 * game on a bad network.
 *
 *     game_server udp://127.0.0.1:7000                   serves until it is killed
 *     game_server udp://127.0.0.1:7000 NAME              plays there, as a bot, until it is killed
 *     game_server                                        or `game_server --demo`: a server and two bots, until one wins
 *
 * Each match is a scope: its timers - one for each player that falls silent, one for the match - end with it. */
#include "game.h"

static void print_result(game_server *server, const game_match *match, const char *winner) {
    (void)server;
    if (winner != NULL)
        printf("Match %d: %s has won\n", match->number, winner);
    else
        printf("Match %d: nobody has won\n", match->number);
    fflush(stdout);
}

static void end_demo(game_server *server, const game_match *match, const char *winner) {
    print_result(server, match, winner);
    lariat_reactor_stop(server->reactor);
}

static int print_error(lariat_reactor *reactor) {
    fprintf(stderr, "%s\n", lariat_last_error_message());
    lariat_reactor_free(reactor);
    return 1;
}

int main(int argc, char **argv) {
    static game_server server;                               /* it is large */
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    int plays = !demonstrates && argc > 2;
    lariat_reactor *reactor = lariat_reactor_new();
    char address[128];
    const char *endpoint = demonstrates ? "udp://127.0.0.1:0" : argv[1];
    double tick = demonstrates ? GAME_TICK / 10 : GAME_TICK;                     /* nobody wants to watch bots for long */
    game_bot ann = {.reactor = reactor, .name = plays ? argv[2] : "ann", .tick_seconds = tick};
    game_bot bob = {.reactor = reactor, .name = "bob", .tick_seconds = tick, .is_lazy = 1};    /* so we know who wins */

    if (!plays) {
        server = (game_server){.reactor = reactor, .match_over = demonstrates ? end_demo : print_result, .tick_seconds = tick};
        if (game_start_server(&server, endpoint) == NULL)
            return print_error(reactor);
        lariat_datagram_port_address(server.port, address, sizeof address, NULL);
        endpoint = address;
        if (!demonstrates)
            printf("Listening at %s\n", address);
        fflush(stdout);
    }
    if (demonstrates || plays) {
        if (game_start_bot(&ann, "udp://*:0", endpoint) == NULL)
            return print_error(reactor);
    }
    if (demonstrates)
        game_start_bot(&bob, "udp://*:0", endpoint);
    lariat_status status = lariat_reactor_run(reactor);
    if (demonstrates)
        printf("Both have been sent snapshots: %s\n", ann.snapshots > 100 && bob.snapshots > 100 ? "yes" : "no");
    lariat_status freed = lariat_reactor_free(reactor);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
