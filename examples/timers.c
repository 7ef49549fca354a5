/* Timers: a call later, cancelled, pushed back, over and over, and on a clock that the program moves itself.
 *
 * Nothing here depends on how fast the machine is: calls run in the order of their deadlines, calls with the same
 * deadline in the order in which they were scheduled. */
#include <lariat.h>

#include <stdio.h>

typedef struct plans {
    lariat_delayed_call *dropped;
    lariat_delayed_call *postponed;
} plans;

static void say(void *user_data) {
    printf("%s\n", (const char *)user_data);
}

static void change_plans(void *user_data) {
    plans *plans = user_data;
    printf("First: the plans change\n");
    lariat_delayed_call_cancel(plans->dropped);
    lariat_delayed_call_delay(plans->postponed, 0.030);      /* past its old deadline; _reset counts from now */
}

static void call_later(lariat_reactor *reactor) {
    plans plans;
    lariat_reactor_call_later(reactor, 0.010, change_plans, &plans);
    lariat_reactor_call_later(reactor, 0.010, say, "Second: due as early, but scheduled after the first");
    plans.dropped = lariat_reactor_call_later(reactor, 0.020, say, "This is never said");
    lariat_reactor_call_later(reactor, 0.040, say, "Third");
    plans.postponed = lariat_reactor_call_later(reactor, 0.030, say, "Last: it was postponed");
    lariat_reactor_run_until_idle(reactor);                  /* returns when nothing is left that could call back */
}

static lariat_deferred *tick(lariat_looping_call *looping_call, void *user_data) {
    int *ticks = user_data;
    printf("Tick %d\n", ++*ticks);
    if (*ticks == 3)
        lariat_looping_call_stop(looping_call);
    return NULL;                                             /* a Deferred returned here would hold up the next tick */
}

static void *ticker_stopped(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred; (void)value;
    printf("The ticker stopped after %d ticks\n", *(int *)user_data);
    return NULL;
}

static void over_and_over(lariat_reactor *reactor) {
    int ticks = 0;
    lariat_looping_call *ticker = lariat_looping_call_new(reactor, tick, &ticks);
    lariat_deferred *stopped = lariat_looping_call_start(ticker, 0.005, 1);       /* the first tick now */
    lariat_deferred_add_callback(stopped, ticker_stopped, &ticks);
    lariat_deferred_release(stopped);
    lariat_reactor_run_until_idle(reactor);
    lariat_looping_call_free(ticker);                        /* or leave it to the reactor */
}

/* On a manual clock a test of an hour takes no time. */
static lariat_status manual_clock(void) {
    lariat_reactor_options options;
    lariat_reactor_options_init(&options, sizeof options);
    options.clock = LARIAT_CLOCK_MANUAL;
    lariat_reactor *reactor = lariat_reactor_new_with_options(&options);
    lariat_reactor_call_later(reactor, 3600.0, say, "An hour has passed");
    lariat_reactor_advance(reactor, 3599.0);
    printf("One second to go\n");
    lariat_reactor_advance(reactor, 1.0);
    return lariat_reactor_free(reactor);
}

int main(void) {
    lariat_reactor *reactor = lariat_reactor_new();
    call_later(reactor);
    over_and_over(reactor);
    lariat_status status = manual_clock();
    return status != LARIAT_OK ? status : lariat_reactor_free(reactor);
}
