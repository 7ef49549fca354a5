/* A game over datagrams, for game_server.c, which plays it, and netcode_test.c, which tests it: its rules and messages,
 * its server, and a player that plays by itself.
 *
 * Players run after a coin; who takes five of them wins the match, and the next one begins. Twenty times a second each
 * player sends what it wants and the server sends what is. Nothing is ever sent again: what was lost is out of date.
 *
 *     player to server:  'J' name                    let me play (until it hears of a match)
 *                        'I' dx dy                   I want to go there: each -1, 0 or 1
 *     server to player:  'S' tick coin winner count, and for each of the players: number score place
 *
 * A tick has four bytes, in network order; a place two, x and y; the rest one each. The first player is the receiver. */
#ifndef GAME_H
#define GAME_H

#include <lariat.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAME_SIZE = 200, GAME_SPEED = 4, GAME_COINS_TO_WIN = 5, GAME_NOBODY = 255 };
enum { GAME_PLAYERS = 4, GAME_MATCHES = 16, GAME_NAME = 15, GAME_SNAPSHOT = 9 + 4 * GAME_PLAYERS };
static const double GAME_TICK = 0.05, GAME_SILENCE = 3.0, GAME_TIME_LIMIT = 120.0;

/* ---- the server ---- */

typedef struct game_player {
    lariat_address address;            /* who it is: two addresses are the same if all their bytes are */
    lariat_delayed_call *silence;      /* goes off when nothing was heard for long; pushed back by each datagram */
    struct game_match *match;
    char name[GAME_NAME + 1];          /* empty: there is no such player */
    uint8_t score, x, y;
    int8_t dx, dy;
} game_player;

typedef struct game_match {
    struct game_server *server;
    lariat_scope *scope;               /* what the match has started, and what ends with it; NULL: no match here */
    game_player players[GAME_PLAYERS];
    uint8_t coin_x, coin_y, winner;
    int number, is_over;
} game_match;

typedef struct game_server {
    lariat_reactor *reactor;
    lariat_datagram_port *port;
    void (*match_over)(struct game_server *server, const game_match *match, const char *winner);
    void *user_data;
    double tick_seconds;
    game_match matches[GAME_MATCHES];
    uint32_t ticks, chance;
    int matches_begun, players_lost;
} game_server;

static inline void game_toss_coin(game_match *match) {
    uint32_t *chance = &match->server->chance;
    *chance = *chance * 1664525 + 1013904223;                /* any generator does; its own, so that a test can repeat it */
    match->coin_x = (uint8_t)((*chance >> 24) % GAME_SIZE);
    match->coin_y = (uint8_t)((*chance >> 16 & 255) % GAME_SIZE);
}

static inline void game_time_is_up(void *user_data) {
    ((game_match *)user_data)->is_over = 1;
}

/* The timers of a match are made inside its scope, so that nobody has to remember them when it ends. */
static inline game_match *game_begin_match(game_server *server) {
    game_match *match = server->matches;
    while (match < server->matches + GAME_MATCHES && match->scope != NULL)
        match++;
    if (match == server->matches + GAME_MATCHES)
        return NULL;
    *match = (game_match){.server = server, .winner = GAME_NOBODY, .number = ++server->matches_begun};
    match->scope = lariat_scope_new(server->reactor);
    for (int i = 0; i < GAME_PLAYERS; i++)
        match->players[i].match = match;
    game_toss_coin(match);
    lariat_scope_enter(match->scope);
    lariat_reactor_call_later(server->reactor, GAME_TIME_LIMIT, game_time_is_up, match);
    lariat_scope_leave(match->scope);
    return match;
}

static inline void game_player_is_silent(void *user_data) {
    game_player *player = user_data;
    player->match->server->players_lost++;
    player->name[0] = '\0';                                  /* the place is free */
}

/* The player with this address, who may play in any match; without an address, a free place in one that goes on. */
static inline game_player *game_find_player(game_server *server, const lariat_address *address) {
    for (game_match *match = server->matches; match < server->matches + GAME_MATCHES; match++)
        for (int i = 0; match->scope != NULL && !match->is_over && i < GAME_PLAYERS; i++) {
            game_player *player = &match->players[i];
            if (address == NULL ? player->name[0] == '\0'
                                : player->name[0] != '\0' && memcmp(&player->address, address, sizeof *address) == 0)
                return player;
        }
    return NULL;
}

static inline void game_join(game_server *server, const uint8_t *name, size_t len, const lariat_address *address) {
    if (len == 0 || len > GAME_NAME || memchr(name, '\0', len) != NULL)
        return;
    if (game_find_player(server, NULL) == NULL)
        game_begin_match(server);
    game_player *player = game_find_player(server, NULL);
    if (player == NULL)
        return;                                              /* all matches are full: it will ask again */
    int corner = (int)(player - player->match->players);
    memcpy(player->name, name, len);
    player->name[len] = '\0';
    player->address = *address;
    player->score = 0;
    player->x = corner & 1 ? GAME_SIZE : 0;
    player->y = corner & 2 ? GAME_SIZE : 0;
    player->dx = player->dy = 0;
    lariat_scope_enter(player->match->scope);
    player->silence = lariat_reactor_call_later(server->reactor, GAME_SILENCE, game_player_is_silent, player);
    lariat_scope_leave(player->match->scope);
}

/* What comes from the network may be anything: lengths and values are looked at before they are believed. */
static inline void game_server_received(lariat_datagram_port *port, const uint8_t *data, size_t len,
                                        const lariat_address *peer, void *self) {
    (void)port;
    game_server *server = self;
    game_player *player = game_find_player(server, peer);
    if (player != NULL)
        lariat_delayed_call_reset(player->silence, GAME_SILENCE);
    if (player == NULL && len > 1 && data[0] == 'J') {
        game_join(server, data + 1, len - 1, peer);
    } else if (player != NULL && len == 3 && data[0] == 'I') {
        player->dx = (int8_t)((int8_t)data[1] > 0) - (int8_t)((int8_t)data[1] < 0);
        player->dy = (int8_t)((int8_t)data[2] > 0) - (int8_t)((int8_t)data[2] < 0);
    }
}

static inline uint8_t game_step(uint8_t from, int direction) {
    int to = from + direction * GAME_SPEED;
    return (uint8_t)(to < 0 ? 0 : to > GAME_SIZE ? GAME_SIZE : to);
}

static inline void game_move(game_match *match, game_player *player) {
    player->x = game_step(player->x, player->dx);
    player->y = game_step(player->y, player->dy);
    if (abs(player->x - match->coin_x) > GAME_SPEED || abs(player->y - match->coin_y) > GAME_SPEED || match->is_over)
        return;
    game_toss_coin(match);
    if (++player->score == GAME_COINS_TO_WIN) {
        match->winner = (uint8_t)(player - match->players);
        match->is_over = 1;
    }
}

/* One snapshot for each player, with the receiver first. A full buffer, as any other loss, is made up by the next one. */
static inline void game_send_snapshots(game_match *match) {
    uint32_t tick = match->server->ticks;
    for (int receiver = 0; receiver < GAME_PLAYERS; receiver++) {
        if (match->players[receiver].name[0] == '\0')
            continue;
        uint8_t text[GAME_SNAPSHOT] = {'S', (uint8_t)(tick >> 24), (uint8_t)(tick >> 16), (uint8_t)(tick >> 8),
                                       (uint8_t)tick, match->coin_x, match->coin_y, match->winner, 0};
        size_t len = 9;
        for (int i = 0; i < GAME_PLAYERS; i++) {
            int number = (receiver + i) % GAME_PLAYERS;
            const game_player *player = &match->players[number];
            if (player->name[0] == '\0')
                continue;
            text[8]++;
            memcpy(text + len, (uint8_t[]){(uint8_t)number, player->score, player->x, player->y}, 4);
            len += 4;
        }
        lariat_datagram_port_send_to(match->server->port, text, len, &match->players[receiver].address);
    }
}

/* Outside of all matches' scopes, so that it can end them. */
static inline lariat_deferred *game_tick(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    game_server *server = user_data;
    server->ticks++;
    for (game_match *match = server->matches; match < server->matches + GAME_MATCHES; match++) {
        if (match->scope == NULL)
            continue;
        int players = 0;
        for (int i = 0; i < GAME_PLAYERS; i++)
            if (match->players[i].name[0] != '\0') {
                game_move(match, &match->players[i]);
                players++;
            }
        game_send_snapshots(match);
        if (!match->is_over && players > 0)
            continue;
        if (server->match_over != NULL)
            server->match_over(server, match, match->winner == GAME_NOBODY ? NULL : match->players[match->winner].name);
        lariat_scope_free(match->scope);                     /* no timer of the match goes off after this */
        match->scope = NULL;
    }
    return NULL;
}

static inline lariat_datagram_port *game_start_server(game_server *server, const char *endpoint) {
    lariat_datagram_protocol protocol;
    lariat_datagram_protocol_init(&protocol, sizeof protocol);
    protocol.datagram_received = game_server_received;
    server->port = lariat_reactor_listen_datagram(server->reactor, endpoint, &protocol, server);
    if (server->port != NULL)
        lariat_deferred_release(lariat_looping_call_start(
            lariat_looping_call_new(server->reactor, game_tick, server), server->tick_seconds, 0));
    return server->port;
}

/* ---- a player that plays by itself: runs after the coin as it last saw it ---- */

typedef struct game_bot {
    lariat_reactor *reactor;
    lariat_datagram_port *port;
    const char *name;
    double tick_seconds;
    int is_lazy;                       /* it plays, but never moves */
    uint32_t last_tick;
    double last_heard, longest_silence;
    int snapshots, out_of_date, has_joined;
    int8_t dx, dy;
} game_bot;

static inline int8_t game_direction(int from, int to) {
    return (int8_t)(abs(to - from) < GAME_SPEED ? 0 : to > from ? 1 : -1);
}

static inline void game_bot_received(lariat_datagram_port *port, const uint8_t *data, size_t len,
                                     const lariat_address *peer, void *self) {
    (void)port;
    (void)peer;
    game_bot *bot = self;
    if (len < 13 || data[0] != 'S')
        return;
    uint32_t tick = (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4];
    if ((int32_t)(tick - bot->last_tick) <= 0) {             /* it was overtaken, or comes a second time */
        bot->out_of_date++;
        return;
    }
    double now = lariat_reactor_seconds(bot->reactor);
    if (bot->has_joined && now - bot->last_heard > bot->longest_silence)
        bot->longest_silence = now - bot->last_heard;
    bot->last_tick = tick;
    bot->last_heard = now;
    bot->snapshots++;
    bot->has_joined = data[7] == GAME_NOBODY;                /* with a winner, it is over: into the next match */
    bot->dx = bot->is_lazy ? 0 : game_direction(data[11], data[5]);
    bot->dy = bot->is_lazy ? 0 : game_direction(data[12], data[6]);
}

static inline lariat_deferred *game_bot_sends(lariat_looping_call *looping_call, void *user_data) {
    (void)looping_call;
    game_bot *bot = user_data;
    uint8_t text[1 + GAME_NAME] = {'J'};
    size_t len = strlen(bot->name);
    if (bot->has_joined && lariat_reactor_seconds(bot->reactor) - bot->last_heard < GAME_SILENCE) {
        memcpy(text, (uint8_t[]){'I', (uint8_t)bot->dx, (uint8_t)bot->dy}, 3);
        lariat_datagram_port_send(bot->port, text, 3);
    } else {
        memcpy(text + 1, bot->name, len <= GAME_NAME ? len : GAME_NAME);
        lariat_datagram_port_send(bot->port, text, 1 + len);
    }
    return NULL;
}

static inline lariat_datagram_port *game_start_bot(game_bot *bot, const char *endpoint, const char *server) {
    lariat_datagram_protocol protocol;
    lariat_datagram_protocol_init(&protocol, sizeof protocol);
    protocol.datagram_received = game_bot_received;
    bot->port = lariat_reactor_listen_datagram(bot->reactor, endpoint, &protocol, bot);
    if (lariat_datagram_port_connect(bot->port, server) == LARIAT_OK)
        lariat_deferred_release(lariat_looping_call_start(
            lariat_looping_call_new(bot->reactor, game_bot_sends, bot), bot->tick_seconds, 1));
    return bot->port;
}

#endif
