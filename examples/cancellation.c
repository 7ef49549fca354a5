/* Cancellation and timeouts: the waiter gives up, the worker is told and stops, and the chain gets a failure that says
 * so. */
#include <lariat.h>

#include <stdio.h>

/* The worker: a kettle that boils for a while, and can be switched off. */
typedef struct kettle {
    lariat_deferred *deferred;
    lariat_delayed_call *timer;
} kettle;

static void boiled(void *user_data) {
    kettle *kettle = user_data;
    lariat_deferred_callback(kettle->deferred, "hot water");
}

static void switch_off(lariat_deferred *deferred, void *user_data) {
    kettle *kettle = user_data;
    printf("The kettle is switched off\n");
    lariat_delayed_call_cancel(kettle->timer);
    lariat_deferred_errback(deferred, LARIAT_ERR_CANCELLED, "no tea today");   /* the worker's last word */
}

static lariat_deferred *boil(lariat_reactor *reactor, kettle *kettle, double seconds) {
    kettle->deferred = lariat_deferred_new_with_canceller(reactor, switch_off, kettle);
    kettle->timer = lariat_reactor_call_later(reactor, seconds, boiled, kettle);
    return kettle->deferred;
}

/* The waiter. */
static void *report(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    const char *who = user_data;
    if (failure == NULL)
        printf("%s: %s\n", who, (const char *)value);
    else
        printf("%s: %s\n", who, lariat_status_name(lariat_failure_code(failure)));
    return NULL;
}

static void cancelled(lariat_reactor *reactor) {
    kettle kettle;
    lariat_deferred *water = boil(reactor, &kettle, 3600.0);
    lariat_deferred_add_both(water, report, "Cancelled by hand");
    lariat_deferred_cancel(water);
    lariat_deferred_release(water);
}

static void too_late(lariat_reactor *reactor) {
    kettle kettle;
    lariat_deferred *water = boil(reactor, &kettle, 3600.0);
    lariat_deferred_add_timeout(water, 0.010);               /* cancels, and turns the cancellation into a timeout */
    lariat_deferred_add_both(water, report, "Too late");
    lariat_deferred_release(water);
    lariat_reactor_run_until_idle(reactor);
}

static void in_time(lariat_reactor *reactor) {
    kettle kettle;
    lariat_deferred *water = boil(reactor, &kettle, 0.010);
    lariat_deferred_add_timeout(water, 3600.0);              /* its timer goes as soon as the water is there */
    lariat_deferred_add_both(water, report, "In time");
    lariat_deferred_release(water);
    lariat_reactor_run_until_idle(reactor);
}

/* A chain that waits for another Deferred passes a cancellation on to it. */
typedef struct kitchen {
    lariat_reactor *reactor;
    kettle kettle;
} kitchen;

static void *make_tea(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    kitchen *kitchen = user_data;
    return lariat_deferred_wait_for(deferred, boil(kitchen->reactor, &kitchen->kettle, 3600.0));
}

static void passed_on(lariat_reactor *reactor) {
    kitchen kitchen = {.reactor = reactor};
    lariat_deferred *tea = lariat_deferred_new_succeeded(reactor, NULL);
    lariat_deferred_add_callback(tea, make_tea, &kitchen);   /* runs at once, and waits for the kettle */
    lariat_deferred_add_both(tea, report, "Passed on");
    lariat_deferred_cancel(tea);
    lariat_deferred_release(tea);
}

/* A worker that cannot be told gets no canceller: it may fire once more, and nobody hears it. */
static void swallowed(lariat_reactor *reactor) {
    lariat_deferred *letter = lariat_deferred_new(reactor);
    lariat_deferred_add_both(letter, report, "No canceller");
    lariat_deferred_cancel(letter);
    printf("The late answer: %s\n", lariat_status_name(lariat_deferred_callback(letter, "an answer")));
    printf("Once more: %s\n", lariat_status_name(lariat_deferred_callback(letter, "an answer")));
    lariat_deferred_release(letter);
}

int main(void) {
    lariat_reactor *reactor = lariat_reactor_new();
    cancelled(reactor);
    too_late(reactor);
    in_time(reactor);
    passed_on(reactor);
    swallowed(reactor);
    return lariat_reactor_free(reactor);
}
