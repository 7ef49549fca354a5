/* Breaks every rule that C lets a program break, prints what lariat answers, and survives. A handle is a token that the
 * library looks up, never an address that it follows: NULL, a number out of the air, a thing of another kind, a thing
 * that is gone or that belongs to another thread gets a status, not undefined behaviour. */
#define _POSIX_C_SOURCE 200809L        /* for fork under -std=c11 */
#include <lariat.h>

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char *what, int32_t answer) {
    printf("%-44s %s\n", what, lariat_status_name(answer));
}

/* For functions that answer with a handle: NULL, and the thread's last error says why. */
static void show_handle(const char *what, const void *handle) {
    show(what, handle != NULL ? LARIAT_OK : lariat_last_error());
}

static void do_nothing(void *user_data) {
    (void)user_data;
}

static void *pass_on(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred; (void)user_data;
    return value;
}

static void *wait_for(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    return lariat_deferred_wait_for(deferred, user_data);
}

static void *wait_for_failed_start(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value; (void)user_data;
    return lariat_deferred_wait_for(deferred, lariat_reactor_defer_later(NULL, 1.0, NULL, NULL));
}

/* Shows why the chain failed. */
static void *caught(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    show(user_data, lariat_failure_code(failure));
    return NULL;
}

static void bad_arguments(lariat_reactor *reactor) {
    show("NULL for a handle:", lariat_reactor_run(NULL));
    show_handle("NULL for a function:", lariat_reactor_call_later(reactor, 1.0, NULL, NULL));
    show_handle("A delay that is not a number:", lariat_reactor_call_later(reactor, NAN, do_nothing, NULL));
    show_handle("A delay into the past:", lariat_reactor_call_later(reactor, -1.0, do_nothing, NULL));
    show_handle("A delay without end:", lariat_reactor_call_later(reactor, INFINITY, do_nothing, NULL));
    show("Stopping what does not run:", lariat_reactor_stop(reactor));
    show("A header of another version:", lariat_check_abi(LARIAT_ABI_VERSION + 1));

    lariat_reactor_options options = {.struct_size = 0};
    show_handle("Options that nobody initialised:", lariat_reactor_new_with_options(&options));
    lariat_reactor_options_init(&options, sizeof options);
    options.driver = 1234;
    show_handle("A driver that does not exist:", lariat_reactor_new_with_options(&options));
}

static void wrong_handles(lariat_reactor *reactor) {
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    show("A number out of the air:", lariat_deferred_release((lariat_deferred *)(uintptr_t)0x12345678));
    double on_the_stack = 0.0;
    show("An address of the program's own:", lariat_deferred_release((lariat_deferred *)(void *)&on_the_stack));
    show("A Deferred taken for a reactor:", lariat_reactor_stop((lariat_reactor *)deferred));
    show("A reactor taken for a delayed call:", lariat_delayed_call_cancel((lariat_delayed_call *)reactor));

    lariat_reactor *other = lariat_reactor_new();
    lariat_deferred *stranger = lariat_deferred_new(other);
    lariat_delayed_call *forgotten = lariat_reactor_call_later(other, 1.0, do_nothing, NULL);
    show("A Deferred of another reactor:", lariat_deferred_chain(deferred, stranger));
    show("A reactor freed, whatever it still holds:", lariat_reactor_free(other));
    show("The same again:", lariat_reactor_free(other));
    show("Its Deferred:", lariat_deferred_callback(stranger, NULL));
    show("Its delayed call:", lariat_delayed_call_cancel(forgotten));

    lariat_delayed_call *made = lariat_reactor_call_later(reactor, 0.0, do_nothing, NULL);
    lariat_reactor_run_until_idle(reactor);
    show("A delayed call that has been made:", lariat_delayed_call_cancel(made));
    lariat_deferred_callback(deferred, NULL);
    lariat_deferred_release(deferred);
    show("A Deferred that is over:", lariat_deferred_add_callback(deferred, pass_on, NULL));
}

static void *trespass(void *user_data) {
    show("Called from another thread:", lariat_reactor_stop(user_data));
    return NULL;
}

static void other_thread_and_process(lariat_reactor *reactor) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, trespass, reactor) == 0)
        pthread_join(thread, NULL);

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        show("Called after fork, in the child:", lariat_reactor_stop(reactor));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void deferreds(lariat_reactor *reactor) {
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    show("Firing with a failure that is none:", lariat_deferred_errback(deferred, 0, "success"));
    lariat_deferred_callback(deferred, NULL);
    show("Firing twice:", lariat_deferred_callback(deferred, NULL));
    show("Resuming what is not paused:", lariat_deferred_unpause(deferred));
    lariat_deferred_release(deferred);

    lariat_deferred *left = lariat_deferred_new(reactor);
    lariat_deferred_add_errback(left, caught, "Waiting for what its worker abandons:");
    lariat_deferred_abandon(left);
    lariat_deferred_release(left);

    lariat_deferred *released = lariat_deferred_new(reactor);
    lariat_deferred_release(released);
    show("Adding to what was released:", lariat_deferred_add_callback(released, pass_on, NULL));
    lariat_deferred_callback(released, NULL);
}

static void rings(lariat_reactor *reactor) {
    lariat_deferred *self = lariat_deferred_new(reactor);
    lariat_deferred_add_callback(self, wait_for, self);
    lariat_deferred_add_errback(self, caught, "Waiting for oneself:");
    lariat_deferred_callback(self, NULL);
    lariat_deferred_release(self);

    lariat_deferred *hen = lariat_deferred_new(reactor), *egg = lariat_deferred_new(reactor);
    lariat_deferred_add_callback(hen, wait_for, egg);
    lariat_deferred_add_callback(egg, wait_for, hen);
    lariat_deferred_add_errback(hen, caught, "Two that wait for each other:");
    lariat_deferred_callback(hen, NULL);                     /* waits for the egg, which is handed over */
    lariat_deferred_callback(egg, NULL);                     /* may not wait for the hen; the hen hears of it */
    lariat_deferred_release(hen);

    lariat_deferred *shared = lariat_deferred_new(reactor);
    lariat_deferred *first = lariat_deferred_new_succeeded(reactor, NULL);
    lariat_deferred *second = lariat_deferred_new_succeeded(reactor, NULL);
    lariat_deferred_add_callback(first, wait_for, shared);
    lariat_deferred_add_callback(second, wait_for, shared);
    lariat_deferred_add_errback(second, caught, "A second waiter for the same:");
    lariat_deferred_release(second);
    lariat_deferred_release(first);
    lariat_deferred_callback(shared, NULL);

    lariat_deferred *hopeful = lariat_deferred_new_succeeded(reactor, NULL);
    lariat_deferred_add_callback(hopeful, wait_for_failed_start, NULL);
    lariat_deferred_add_errback(hopeful, caught, "Waiting for what could not start:");
    lariat_deferred_release(hopeful);
}

static void others(lariat_reactor *reactor) {
    lariat_lock *lock = lariat_lock_new(reactor);
    show("Letting go of what is not held:", lariat_lock_release(lock));
    lariat_deferred *granted = lariat_lock_acquire(lock), *waiting = lariat_lock_acquire(lock);
    lariat_deferred_release(granted);
    lariat_deferred_add_errback(waiting, caught, "Waiting for a lock that is freed:");
    lariat_deferred_release(waiting);
    lariat_lock_free(lock);

    lariat_queue *queue = lariat_queue_new(reactor, 1, 0);
    lariat_queue_put(queue, NULL);
    show("Putting into a full queue:", lariat_queue_put(queue, NULL));
    lariat_deferred_release(lariat_queue_get(queue));
    show_handle("Getting from an empty one:", lariat_queue_get(queue));
    lariat_queue_free(queue);

    lariat_scope *scope = lariat_scope_new(reactor);
    show("Leaving a scope that was not entered:", lariat_scope_leave(scope));
    lariat_scope_free(scope);

    show("Moving a clock that is not ours to move:", lariat_reactor_advance(reactor, 1.0));
}

typedef struct inside {
    lariat_reactor *reactor;
    lariat_scope *scope;
    lariat_delayed_call *self;
} inside;

static lariat_deferred *never_asked(lariat_reactor *reactor, void *user_data) {
    (void)user_data;
    return lariat_deferred_new_succeeded(reactor, NULL);
}

static void misbehave(void *user_data) {
    inside *inside = user_data;
    show("Inside a callback: run in run:", lariat_reactor_run(inside->reactor));
    show("Inside a callback: iterate:", lariat_reactor_iterate(inside->reactor, 0.0));
    show("Inside a callback: free the reactor:", lariat_reactor_free(inside->reactor));
    show("Inside a callback: end its own scope:", lariat_scope_end(inside->scope));
    show("Inside a callback: cancel that very call:", lariat_delayed_call_cancel(inside->self));
    void *value = NULL;
    int32_t blocked = lariat_reactor_blocking_call(inside->reactor, 1.0, never_asked, NULL, &value);
    show("Inside a callback: block its own thread:", blocked);
    show("Inside a callback: stop:", lariat_reactor_stop(inside->reactor));
    show("Inside a callback: stop again:", lariat_reactor_stop(inside->reactor));
}

static void callbacks(lariat_reactor *reactor) {
    inside inside = {.reactor = reactor, .scope = lariat_scope_new(reactor)};
    lariat_scope_enter(inside.scope);
    inside.self = lariat_reactor_call_later(reactor, 0.0, misbehave, &inside);
    lariat_scope_leave(inside.scope);
    lariat_reactor_run(reactor);
    lariat_scope_free(inside.scope);
}

int main(void) {
    lariat_reactor *reactor = lariat_reactor_new();
    bad_arguments(reactor);
    wrong_handles(reactor);
    other_thread_and_process(reactor);
    deferreds(reactor);
    rings(reactor);
    others(reactor);
    callbacks(reactor);
    printf("Still here\n");
    return lariat_reactor_free(reactor);
}
