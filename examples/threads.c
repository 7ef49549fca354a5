/* Work in threads: jobs on the reactor's pool, whose results come back to its thread; and a thread of the program's own
 * that talks to the reactor. Only the functions whose comment in the header says *any thread* are used away from the
 * reactor's thread. */
#include <lariat.h>

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

/* On a pool thread. What it returns fires the Deferred, on the reactor's thread. */
static void *count_primes(lariat_job *job, void *user_data) {
    intptr_t limit = (intptr_t)user_data, primes = 0;
    if (limit < 0)
        return lariat_job_fail(job, 1, "there are no primes below zero");
    for (intptr_t candidate = 2; candidate < limit; candidate++) {
        if (lariat_job_cancelled(job))                       /* nobody waits for it any more */
            return NULL;
        intptr_t divisor = 2;
        while (divisor * divisor <= candidate && candidate % divisor != 0)
            divisor++;
        primes += divisor * divisor > candidate;
    }
    return (void *)primes;
}

static void *print_primes(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred; (void)user_data;
    lariat_results *results = value;
    for (size_t i = 0; i < lariat_results_count(results); i++)       /* in the order given, however they came */
        printf("Primes: %ld\n", (long)(intptr_t)lariat_results_value(results, i));
    return NULL;
}

static void *print_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred; (void)user_data;
    printf("A job failed: %s\n", lariat_failure_message(failure));
    return NULL;
}

static void pool(lariat_reactor *reactor) {
    lariat_deferred *jobs[] = {
        lariat_reactor_defer_to_thread(reactor, count_primes, (void *)(intptr_t)100000),
        lariat_reactor_defer_to_thread(reactor, count_primes, (void *)(intptr_t)10000),
        lariat_reactor_defer_to_thread(reactor, count_primes, (void *)(intptr_t)1000),
    };
    lariat_deferred *all = lariat_deferred_gather(reactor, jobs, 3);             /* hands the three over */
    lariat_deferred_add_callbacks(all, print_primes, print_failure, NULL);
    lariat_deferred_release(all);
    lariat_reactor_run_until_idle(reactor);

    lariat_deferred *job = lariat_reactor_defer_to_thread(reactor, count_primes, (void *)(intptr_t)-1);
    lariat_deferred_add_errback(job, print_failure, NULL);
    lariat_deferred_release(job);
    lariat_reactor_run_until_idle(reactor);
}

/* A thread of the program's own. */
static void say(void *user_data) {
    printf("On the reactor's thread: %s\n", (const char *)user_data);
}

static lariat_deferred *answer(lariat_reactor *reactor, void *user_data) {
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    lariat_deferred_callback_later(deferred, 0.010, user_data);
    return deferred;
}

static lariat_deferred *refuse(lariat_reactor *reactor, void *user_data) {
    (void)user_data;
    return lariat_deferred_new_failed(reactor, 7, "not today");
}

static void *visitor(void *user_data) {
    lariat_reactor *reactor = user_data;
    lariat_reactor_call_from_thread(reactor, say, "one");    /* in order, none lost */
    lariat_reactor_call_from_thread(reactor, say, "two");
    lariat_reactor_call_from_thread(reactor, say, "three");

    void *value = NULL;
    int32_t status = lariat_reactor_blocking_call(reactor, INFINITY, answer, "come in", &value);
    if (status == LARIAT_OK)
        printf("On the visitor's thread: %s\n", (const char *)value);
    status = lariat_reactor_blocking_call(reactor, INFINITY, refuse, NULL, &value);
    if (status != LARIAT_OK)                                 /* the failure's code and message */
        printf("On the visitor's thread: refused with %d: %s\n", (int)status, lariat_last_error_message());

    lariat_reactor_stop_from_thread(reactor);
    return NULL;
}

int main(void) {
    lariat_reactor *reactor = lariat_reactor_new();
    pool(reactor);

    pthread_t thread;
    if (pthread_create(&thread, NULL, visitor, reactor) == 0) {
        lariat_reactor_run(reactor);
        pthread_join(thread, NULL);
    }
    return lariat_reactor_free(reactor);
}
