/* A game: lariat rides its frame loop. Each frame gives it a budget and never waits for it; what did not fit is carried
 * over. A level is a scope: everything that it started ends with it, and nobody keeps a list. (events.c is the same
 * without callbacks.) */
#define _POSIX_C_SOURCE 200809L        /* for nanosleep under -std=c11 */
#include <lariat.h>

#include <stdio.h>
#include <time.h>

enum { CHUNKS = 4 };
static const double FRAME_BUDGET = 0.001;

typedef struct game {
    lariat_reactor *reactor;
    lariat_deferred *door;             /* fires when the door opens: the end of the level */
    int chunks_loaded, growls, frames_too_short, level_is_over;
} game;

static void pass_milliseconds(long milliseconds) {
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* ---- the level: what a callback makes joins the callback's scope, so all of this belongs to it ---- */

static lariat_deferred *growl(lariat_looping_call *monster, void *user_data) {
    game *game = user_data;
    printf("The monster growls %d\n", ++game->growls);
    if (game->growls == 3) {
        lariat_looping_call_stop(monster);
        lariat_deferred_callback(game->door, "with a creak");
    }
    return NULL;
}

static void load_chunk(void *user_data) {
    game *game = user_data;
    pass_milliseconds(2);                                    /* the work: longer than the budget */
    printf("Chunk %d is loaded\n", ++game->chunks_loaded);
    if (game->chunks_loaded < CHUNKS)
        return;
    printf("Loading took more than one frame: %s\n", game->frames_too_short > 0 ? "yes" : "no");
    lariat_looping_call *monster = lariat_looping_call_new(game->reactor, growl, game);
    lariat_deferred_release(lariat_looping_call_start(monster, 0.005, 1));
}

static void *door_opens(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    game *game = user_data;
    printf("The door opens %s\n", (const char *)value);
    game->level_is_over = 1;                                 /* a scope is not ended from inside its own callbacks */
    return NULL;
}

static void burn_out(void *user_data) {
    (void)user_data;
    printf("This is never said: the torch burns for an hour, the level does not last that long\n");
}

static void start_level(game *game) {
    for (int i = 0; i < CHUNKS; i++)
        lariat_reactor_call_soon(game->reactor, load_chunk, game);
    lariat_reactor_call_later(game->reactor, 3600.0, burn_out, game);
    game->door = lariat_deferred_new(game->reactor);
    lariat_deferred_add_callback(game->door, door_opens, game);
    lariat_deferred_release(game->door);                     /* no more callbacks; firing it is still ours */
}

/* ---- outside the level ---- */

static void show_menu(void *user_data) {
    game *game = user_data;
    printf("Back in the menu\n");
    lariat_reactor_stop(game->reactor);
}

static unsigned timers_alive(lariat_reactor *reactor) {
    lariat_stats stats;
    lariat_stats_init(&stats, sizeof stats);
    lariat_reactor_stats(reactor, &stats);
    return (unsigned)stats.delayed_calls;
}

static void end_level(game *game, lariat_scope *level) {
    printf("Timers before the end of the level: %u\n", timers_alive(game->reactor));
    lariat_scope_free(level);                                /* ends it: from here on nothing of the level is called */
    printf("Timers after it: %u\n", timers_alive(game->reactor));
    lariat_reactor_call_later(game->reactor, 0.0, show_menu, game);
}

int main(void) {
    game game = {.reactor = lariat_reactor_new()};
    lariat_scope *level = lariat_scope_new(game.reactor);
    lariat_scope_enter(level);                               /* what is made from here on belongs to the level */
    start_level(&game);
    lariat_scope_leave(level);

    lariat_status status;
    do {
        status = lariat_reactor_run_frame(game.reactor, FRAME_BUDGET);
        game.frames_too_short += status == LARIAT_MORE;
        if (game.level_is_over) {
            game.level_is_over = 0;
            end_level(&game, level);
        }
        pass_milliseconds(1);                                /* update, draw, wait for the screen */
    } while (status >= LARIAT_OK && status != LARIAT_STOPPED);
    return lariat_reactor_free(game.reactor);
}
