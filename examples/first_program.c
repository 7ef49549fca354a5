/* The first program: a Deferred that somebody fires later, and a callback that waits for it. */
#include <lariat.h>

#include <stdint.h>
#include <stdio.h>

static void *print_result(lariat_deferred *d, void *result, void *user_data) {
    (void)d;
    printf("The result is: %ld\n", (long)(intptr_t)result);
    lariat_reactor_stop(user_data);
    return NULL;                       /* what is returned is the next callback's result, as in Twisted */
}

static lariat_deferred *multiply(lariat_reactor *reactor, long a, long b) {
    lariat_deferred *d = lariat_deferred_new(reactor);
    lariat_deferred_callback_later(d, 0.0, (void *)(intptr_t)(a * b));   /* reactor.callLater(0, d.callback, a * b) */
    return d;
}

int main(void) {
    lariat_reactor *reactor = lariat_reactor_new();
    lariat_deferred *d = multiply(reactor, 3, 4);
    lariat_deferred_add_callback(d, print_result, reactor);
    lariat_deferred_release(d);                                          /* we add no more callbacks */
    lariat_reactor_run(reactor);
    return lariat_reactor_free(reactor);
}
