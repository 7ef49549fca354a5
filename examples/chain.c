/* A chain: a value goes down the callbacks, a failure skips to the next errback, and an errback that returns a value -
 * or waits for another Deferred, as here - puts the chain back on the callbacks' path. */
#include <lariat.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOT_A_NUMBER = 1 };             /* positive codes are the program's own, negative ones are lariat's */

/* Something that answers later. The Deferred is made for the one who waits, who releases it or hands it over. */
static lariat_deferred *fetch(lariat_reactor *reactor, char *text) {
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    lariat_deferred_callback_later(deferred, 0.0, text);
    return deferred;
}

static void *parse(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    const char *text = value;
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0') {
        char message[64];
        snprintf(message, sizeof message, "'%s' is not a number", text);
        return lariat_deferred_fail(deferred, NOT_A_NUMBER, message);           /* the message is copied */
    }
    printf("Parsed: %ld\n", number);
    return (void *)(intptr_t)number;
}

static void *twice(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred; (void)user_data;
    printf("Doubled\n");                                                        /* said once: the failure skips it */
    return (void *)((intptr_t)value * 2);
}

static void *recover(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    if (lariat_failure_code(failure) != NOT_A_NUMBER)
        return lariat_deferred_refail(deferred);                                /* not ours: on to the next errback */
    printf("Recovering: %s\n", lariat_failure_message(failure));

    lariat_deferred *other = fetch(user_data, "21");
    lariat_deferred_add_callback(other, parse, NULL);
    return lariat_deferred_wait_for(deferred, other);           /* hands other over; right even if it is NULL */
}

/* A value that somebody must free: given with its free function it is the library's from here on. */
static void *describe(lariat_deferred *deferred, void *value, void *user_data) {
    (void)user_data;
    char *text = malloc(64);
    if (text == NULL)
        return lariat_deferred_fail(deferred, LARIAT_ERR_NO_MEMORY, "no memory for a description");
    snprintf(text, 64, "The result is: %ld", (long)(intptr_t)value);
    return lariat_deferred_return(deferred, text, free);
}

static void *print_either(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred; (void)user_data;
    if (failure != NULL)
        printf("It failed with %d: %s\n", (int)lariat_failure_code(failure), lariat_failure_message(failure));
    else
        printf("%s\n", (const char *)value);
    return NULL;                                                                /* either way: handled */
}

int main(void) {
    lariat_reactor *reactor = lariat_reactor_new();

    lariat_deferred *deferred = fetch(reactor, "twenty-one");
    lariat_deferred_add_callback(deferred, parse, NULL);                        /* fails */
    lariat_deferred_add_callback(deferred, twice, NULL);                        /* skipped */
    lariat_deferred_add_errback(deferred, recover, reactor);                    /* asks again */
    lariat_deferred_add_callback(deferred, twice, NULL);
    lariat_deferred_add_callback(deferred, describe, NULL);
    lariat_deferred_add_both(deferred, print_either, NULL);
    lariat_deferred_release(deferred);

    deferred = fetch(reactor, "nothing");                                       /* and once with nobody to recover */
    lariat_deferred_add_callback(deferred, parse, NULL);
    lariat_deferred_add_callback(deferred, describe, NULL);
    lariat_deferred_add_both(deferred, print_either, NULL);
    lariat_deferred_release(deferred);

    lariat_reactor_run_until_idle(reactor);
    return lariat_reactor_free(reactor);
}
