/* The game of frame_loop.c by events alone. No function of the program is ever called by the library: what is made with
 * a tag in place of a callback queues an event, and the frame takes out as many as it has time for. For hosts that
 * callbacks hurt: garbage collectors, just-in-time compilers, game code that is reloaded while it runs. */
#define _POSIX_C_SOURCE 200809L        /* for nanosleep and clock_gettime under -std=c11 */
#include <lariat.h>

#include <stdio.h>
#include <time.h>

enum { CHUNKS = 4 };
enum { LOAD_CHUNK = 1, GROWL, DOOR_OPENS, BURN_OUT, SHOW_MENU };                 /* the tags: any numbers of ours */
static const double FRAME_BUDGET = 0.001;

typedef struct game {
    lariat_reactor *reactor;
    lariat_scope *level;
    lariat_deferred *door;             /* fires when the door opens: the end of the level */
    int chunks_loaded, growls, frames_too_short;
} game;

static void pass_milliseconds(long milliseconds) {
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void start_level(game *game) {
    lariat_scope_enter(game->level);
    for (int i = 0; i < CHUNKS; i++)
        lariat_reactor_call_soon_event(game->reactor, LOAD_CHUNK);
    lariat_reactor_call_later_event(game->reactor, 3600.0, BURN_OUT);
    game->door = lariat_deferred_new(game->reactor);
    lariat_deferred_add_event(game->door, DOOR_OPENS);
    lariat_deferred_release(game->door);
    lariat_scope_leave(game->level);
}

static void load_chunk(game *game) {
    pass_milliseconds(2);                                    /* the work: longer than the budget */
    printf("Chunk %d is loaded\n", ++game->chunks_loaded);
    if (game->chunks_loaded < CHUNKS)
        return;
    printf("Loading took more than one frame: %s\n", game->frames_too_short > 0 ? "yes" : "no");
    lariat_scope_enter(game->level);                         /* in no callback: we say what belongs to the level */
    lariat_looping_call *monster = lariat_looping_call_new_event(game->reactor, GROWL);
    lariat_deferred_release(lariat_looping_call_start(monster, 0.005, 1));
    lariat_scope_leave(game->level);
}

static void growl(game *game, lariat_looping_call *monster) {
    if (game->growls == 3)
        return;                                              /* was in the queue before the monster was stopped */
    printf("The monster growls %d\n", ++game->growls);
    if (game->growls == 3) {
        lariat_looping_call_stop(monster);
        lariat_deferred_callback(game->door, "with a creak");
    }
}

static unsigned timers_alive(lariat_reactor *reactor) {
    lariat_stats stats;
    lariat_stats_init(&stats, sizeof stats);
    lariat_reactor_stats(reactor, &stats);
    return (unsigned)stats.delayed_calls;
}

static void end_level(game *game) {
    printf("Timers before the end of the level: %u\n", timers_alive(game->reactor));
    lariat_scope_free(game->level);                          /* ends it: nothing of the level happens any more */
    printf("Timers after it: %u\n", timers_alive(game->reactor));
    lariat_reactor_call_later_event(game->reactor, 0.0, SHOW_MENU);
}

static void handle(game *game, const lariat_event *event) {
    switch (event->tag) {
    case LOAD_CHUNK:
        load_chunk(game);
        break;
    case GROWL:
        growl(game, event->source);
        break;
    case DOOR_OPENS:
        printf("The door opens %s\n", (const char *)event->value);
        end_level(game);
        break;
    case BURN_OUT:
        printf("This is never said: the torch burns for an hour, the level does not last that long\n");
        break;
    case SHOW_MENU:
        printf("Back in the menu\n");
        lariat_reactor_stop(game->reactor);
        break;
    }
}

int main(void) {
    game game = {.reactor = lariat_reactor_new()};
    game.level = lariat_scope_new(game.reactor);
    start_level(&game);

    lariat_event event;
    lariat_event_init(&event, sizeof event);
    lariat_status status;
    do {
        double end = seconds_now() + FRAME_BUDGET;
        status = lariat_reactor_run_frame(game.reactor, FRAME_BUDGET);           /* calls nothing of ours: quick */
        while (lariat_reactor_next_event(game.reactor, &event) == LARIAT_OK) {
            handle(&game, &event);
            if (seconds_now() >= end) {                      /* the rest waits for the next frame */
                game.frames_too_short++;
                break;
            }
        }
        pass_milliseconds(1);                                /* update, draw, wait for the screen */
    } while (status >= LARIAT_OK && status != LARIAT_STOPPED);
    return lariat_reactor_free(game.reactor);
}
