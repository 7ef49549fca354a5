/* Watching signals. On the manual clock, whose turns poll but never wait: what has come when a turn begins is told in that turn. */
#include "harness.h"
#ifdef _WIN32
TEST(signals_are_not_supported_on_windows) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_NULL(lariat_reactor_watch_signal_event(reactor, 2, 7), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_when_signal(reactor, 2), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_stop_on_signal(reactor, 2), LARIAT_ERR_NOT_SUPPORTED);
    reactor_done(reactor);
}
#else
#include <poll.h>
#include <signal.h>

static lariat_signal_watch *watched(lariat_signal_watch *watch) {
    if (!watch) test_fail(__FILE__, __LINE__, "cannot watch: %s", lariat_last_error_message());
    return watch;
}

/* name:number, for SIGUSR1 and SIGUSR2 by their last digit */
static void note_signal(lariat_signal_watch *watch, int32_t number, void *user_data) {
    CHECK_INT(lariat_signal_watch_number(watch), number);
    note("%s:%s", (char *)user_data, number == SIGUSR1 ? "1" : number == SIGUSR2 ? "2" : "other");
}

static lariat_signal_watch *watch(lariat_reactor *reactor, int number, char *name) {
    return watched(lariat_reactor_watch_signal(reactor, number, note_signal, name));
}

static int handled_by_default(int number) {
    struct sigaction now;
    CHECK_INT(sigaction(number, NULL, &now), 0);
    return !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
}

/* ---- what is told, and when ---- */

TEST(a_signal_is_told_by_a_turn) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(handled_by_default(SIGUSR1));
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    CHECK(!handled_by_default(SIGUSR1));
    CHECK_INT(reactor_stats(reactor).signal_watches, 1);
    CHECK_INT(lariat_signal_watch_number(one), SIGUSR1);
    CHECK_INT(lariat_signal_watch_count(one), 0);
    turns(reactor, 2);
    raise(SIGUSR1);
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("one:1");
    CHECK_INT(lariat_signal_watch_count(one), 1);
    turns(reactor, 2);
    raise(SIGUSR1);
    turn(reactor);
    CHECK_NOTES("one:1");
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK_STATUS(lariat_signal_watch_stop(one), LARIAT_ERR_STALE_HANDLE);
    CHECK(handled_by_default(SIGUSR1));
    reactor_done(reactor);
}

TEST(one_that_comes_more_often_is_told_once_and_counted) {
    lariat_reactor *reactor = manual_reactor();
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    for (int i = 0; i < 5; i++) raise(SIGUSR1);
    turns(reactor, 3);
    CHECK_NOTES("one:1");
    CHECK_INT(lariat_signal_watch_count(one), 5);
    lariat_signal_watch *late = watch(reactor, SIGUSR1, "late");
    raise(SIGUSR1);
    turn(reactor);
    CHECK_NOTES("one:1 late:1");
    CHECK_INT(lariat_signal_watch_count(one), 6);
    CHECK_INT(lariat_signal_watch_count(late), 1);
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK_OK(lariat_signal_watch_stop(late));
    reactor_done(reactor);
}

#ifdef SIGRTMIN
TEST(signals_that_the_system_queues_are_all_counted) {
    lariat_reactor *reactor = manual_reactor();
    union sigval nothing = {.sival_int = 0};
    lariat_signal_watch *one = watch(reactor, SIGRTMIN + 3, "one");
    int highest = is_under("valgrind") ? SIGRTMAX - 1 : SIGRTMAX; /* which is valgrind's own */
    lariat_signal_watch *last = watch(reactor, highest, "last");
    for (int i = 0; i < 1000; i++) CHECK_INT(sigqueue(getpid(), SIGRTMIN + 3, nothing), 0);
    turn(reactor);
    CHECK_NOTES("one:other");
    CHECK_INT(lariat_signal_watch_count(one), 1000);
    raise(highest);
    turn(reactor);
    CHECK_NOTES("last:other");
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK_OK(lariat_signal_watch_stop(last));
    reactor_done(reactor);
}
#endif

TEST(several_watches_are_told_in_the_order_of_their_making) {
    lariat_reactor *reactor = manual_reactor();
    lariat_signal_watch *a = watch(reactor, SIGUSR2, "a"), *b = watch(reactor, SIGUSR1, "b"), *c = watch(reactor, SIGUSR2, "c");
    raise(SIGUSR2);
    turn(reactor);
    CHECK_NOTES("a:2 c:2");
    CHECK_OK(lariat_signal_watch_stop(a));
    lariat_signal_watch *d = watch(reactor, SIGUSR2, "d");
    raise(SIGUSR1);
    turn(reactor);
    raise(SIGUSR2);
    turn(reactor);
    CHECK_NOTES("b:1 c:2 d:2");
    CHECK_OK(lariat_signal_watch_stop(c));
    CHECK_OK(lariat_signal_watch_stop(d));
    CHECK(handled_by_default(SIGUSR2));
    CHECK(!handled_by_default(SIGUSR1));
    CHECK_OK(lariat_signal_watch_stop(b));
    CHECK(handled_by_default(SIGUSR1));
    reactor_done(reactor);
}

TEST(one_that_is_stopped_is_not_told_what_has_come) {
    lariat_reactor *reactor = manual_reactor();
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    raise(SIGUSR1);
    CHECK_OK(lariat_signal_watch_stop(one));
    turns(reactor, 2);
    CHECK_NOTES("");
    one = watch(reactor, SIGUSR1, "again"); /* nor one that is made afterwards */
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_signal_watch_stop(one));
    reactor_done(reactor);
}

/* user_data is the watch to stop. */
static void stop_another(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    note("stops:%d", number == SIGUSR1);
    CHECK_OK(lariat_signal_watch_stop(*(lariat_signal_watch **)user_data));
}

static void stop_itself(lariat_signal_watch *watch, int32_t number, void *user_data) {
    note_signal(watch, number, user_data);
    CHECK_OK(lariat_signal_watch_stop(watch));
    CHECK_STATUS(lariat_signal_watch_stop(watch), LARIAT_ERR_CLOSED);
    CHECK(handled_by_default(number));
    CHECK(token_alive(user_data)); /* until this returns */
}

TEST(stopped_in_its_own_callback) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("data");
    lariat_signal_watch *one = watched(lariat_reactor_watch_signal_full(reactor, SIGUSR1, stop_itself, data, token_free_noted));
    raise(SIGUSR1);
    turn(reactor);
    CHECK_NOTES("data:1 free:data");
    CHECK_STATUS(lariat_signal_watch_count(one), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(reactor_stats(reactor).signal_watches, 0);
    reactor_done(reactor);
}

TEST(a_sibling_stopped_in_a_callback_is_not_told) {
    lariat_reactor *reactor = manual_reactor();
    lariat_signal_watch *victim = NULL;
    lariat_signal_watch *first = watched(lariat_reactor_watch_signal(reactor, SIGUSR1, stop_another, &victim));
    victim = watch(reactor, SIGUSR1, "victim");
    lariat_signal_watch *last = watch(reactor, SIGUSR1, "last");
    raise(SIGUSR1);
    turns(reactor, 2);
    CHECK_NOTES("stops:1 last:1");
    CHECK_OK(lariat_signal_watch_stop(first));
    CHECK_OK(lariat_signal_watch_stop(last));
    reactor_done(reactor);
}

static void watch_anew(lariat_signal_watch *watch_, int32_t number, void *user_data) {
    CHECK_OK(lariat_signal_watch_stop(watch_));
    watch(user_data, number, "new");
    note("anew");
    raise(number);
}

/* One that comes between two callbacks of a turn is for the next. */
TEST(a_watch_made_in_a_callback_is_told_what_comes_afterwards) {
    lariat_reactor *reactor = manual_reactor();
    watched(lariat_reactor_watch_signal(reactor, SIGUSR1, watch_anew, reactor));
    raise(SIGUSR1);
    turn(reactor);
    CHECK_NOTES("anew");
    turn(reactor);
    CHECK_NOTES("new:1");
    free_reactor(reactor);
    CHECK(handled_by_default(SIGUSR1));
}

/* ---- events ---- */

static lariat_event next_event(lariat_reactor *reactor) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    lariat_status status = lariat_reactor_next_event(reactor, &event);
    CHECK_EITHER(status, LARIAT_OK, LARIAT_EMPTY);
    return event;
}

TEST(a_signal_as_an_event) {
    lariat_reactor *reactor = manual_reactor();
    lariat_signal_watch *one = watched(lariat_reactor_watch_signal_event(reactor, SIGUSR1, 7));
    raise(SIGUSR1);
    CHECK_INT(next_event(reactor).kind, 0);
    turn(reactor);
    lariat_event event = next_event(reactor);
    CHECK_INT(event.kind, LARIAT_EVENT_SIGNAL);
    CHECK_INT(event.tag, 7);
    CHECK_PTR(event.source, one);
    CHECK_INT(lariat_signal_watch_number(event.source), SIGUSR1);
    CHECK_INT(lariat_signal_watch_count(event.source), 1);
    CHECK_INT(next_event(reactor).kind, 0);
    CHECK_OK(lariat_signal_watch_stop(one));
    reactor_done(reactor);
}

TEST(events_wait_while_the_queue_is_full) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.max_events = 2;
    lariat_reactor *reactor = reactor_with(options);
    lariat_signal_watch *a = watched(lariat_reactor_watch_signal_event(reactor, SIGUSR1, 1));
    lariat_signal_watch *b = watched(lariat_reactor_watch_signal_event(reactor, SIGUSR2, 2));
    lariat_signal_watch *called = watch(reactor, SIGUSR2, "called");
    for (int i = 0; i < 4; i++) {
        raise(SIGUSR1);
        turn(reactor);
    }
    raise(SIGUSR2);
    turn(reactor);
    CHECK_NOTES("called:2");
    CHECK_INT(reactor_stats(reactor).events, 2);
    CHECK_INT(lariat_signal_watch_count(a), 4);
    CHECK_INT(next_event(reactor).tag, 1);
    CHECK_INT(next_event(reactor).tag, 1);
    CHECK_INT(next_event(reactor).kind, 0);
    turns(reactor, 2);
    CHECK_INT(next_event(reactor).tag, 1); /* what had no room comes once there is */
    CHECK_INT(next_event(reactor).tag, 2);
    CHECK_INT(next_event(reactor).kind, 0);
    CHECK_OK(lariat_signal_watch_stop(a));
    CHECK_OK(lariat_signal_watch_stop(b));
    CHECK_OK(lariat_signal_watch_stop(called));
    reactor_done(reactor);
}

/* ---- Deferreds ---- */

static void *note_number(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    note("%s=%d", (char *)user_data, (int)(intptr_t)value == SIGUSR1);
    return NULL;
}

TEST(a_deferred_waits_for_a_signal) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_reactor_when_signal(reactor, SIGUSR1);
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_callback(deferred, note_number, "is-usr1"));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(reactor_stats(reactor).signal_watches, 1);
    raise(SIGUSR1);
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("is-usr1=1");
    CHECK(handled_by_default(SIGUSR1));
    reactor_done(reactor);
}

TEST(a_deferred_that_waits_for_a_signal_is_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_reactor_when_signal(reactor, SIGUSR1);
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, note_end, "it"));
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("it!CANCELLED");
    CHECK(handled_by_default(SIGUSR1));
    CHECK_OK(lariat_deferred_release(deferred));
    reactor_done(reactor);
}

TEST(a_deferred_that_waits_for_a_signal_ends_with_its_scope_and_its_reactor) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(scope));
    lariat_deferred *inside = lariat_reactor_when_signal(reactor, SIGUSR1);
    CHECK_OK(lariat_scope_leave(scope));
    CHECK(inside != NULL);
    CHECK_OK(lariat_deferred_add_both(inside, note_end, "inside"));
    CHECK_OK(lariat_deferred_release(inside));
    end_with_note(lariat_reactor_when_signal(reactor, SIGUSR2), "outside");
    CHECK_OK(lariat_scope_free(scope));
    CHECK(noted("inside!CANCELLED"));
    notes_clear();
    CHECK(handled_by_default(SIGUSR1));
    free_reactor(reactor);
    CHECK_NOTES("outside!CANCELLED");
    CHECK(handled_by_default(SIGUSR2));
}

/* ---- stopping the reactor ---- */

static void raise_it(void *user_data) { raise(*(int *)user_data); }

static lariat_deferred *note_trigger(void *user_data) {
    note("%s", (char *)user_data);
    return NULL;
}

TEST(a_signal_stops_the_reactor) {
    lariat_reactor *reactor = real_reactor();
    int number = SIGTERM;
    lariat_signal_watch *one = watched(lariat_reactor_stop_on_signal(reactor, SIGTERM));
    CHECK(watched(lariat_reactor_stop_on_signal(reactor, SIGINT)) != one);
    for (int round = 0; round < 2; round++) {
        CHECK(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, note_trigger, "shutdown"));
        CHECK_OK(lariat_reactor_call_soon(reactor, raise_it, &number));
        CHECK_OK(lariat_reactor_run(reactor));
        CHECK_NOTES("shutdown");
        number = SIGINT;
    }
    raise(SIGTERM); /* while it does not run: nothing */
    CHECK_INT(lariat_signal_watch_count(one), 1);
    free_reactor(reactor);
    CHECK(handled_by_default(SIGTERM));
    CHECK(handled_by_default(SIGINT));
}

/* ---- waiting ---- */

static void count_signal(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    (void)number;
    ++*(long *)user_data;
}

typedef struct sender {
    lariat_reactor *reactor;
    long told;
    atomic_long wanted;
    int number;
    pthread_t main;
} sender;

/* Sends each when the one before was told, which the loop says. */
static void *send_signals(void *argument) {
    sender *one = argument;
    for (long sent = 0; sent < 300; sent++) {
        while (atomic_load(&one->wanted) < sent) sched_yield();
        if (sent % 2) CHECK_INT(kill(getpid(), one->number), 0);
        else CHECK_INT(pthread_kill(one->main, one->number), 0);
    }
    return NULL;
}

static void ask_for_another(lariat_signal_watch *watch, int32_t number, void *user_data) {
    sender *one = user_data;
    (void)number;
    CHECK_INT(lariat_signal_watch_count(watch), ++one->told);
    atomic_store(&one->wanted, one->told);
    if (one->told == 300) CHECK_OK(lariat_reactor_stop(one->reactor));
}

/* They come while the loop sleeps, is about to, or wakes up; without timers, so that one that is lost hangs. */
TEST(a_signal_wakes_the_loop) {
    lariat_reactor *reactor = real_reactor();
    sender one = {.reactor = reactor, .number = SIGUSR1, .main = pthread_self()};
    lariat_signal_watch *its = watched(lariat_reactor_watch_signal(reactor, SIGUSR1, ask_for_another, &one));
    pthread_t thread = thread_start(send_signals, &one);
    CHECK_OK(lariat_reactor_run(reactor));
    thread_join(thread);
    CHECK_INT(one.told, 300);
    CHECK_OK(lariat_signal_watch_stop(its));
    reactor_done(reactor);
}

static void stop_it(void *user_data) { CHECK_OK(lariat_reactor_stop(user_data)); }

TEST(a_watch_is_something_to_wait_for) {
    lariat_reactor *reactor = real_reactor();
    int number = SIGUSR1;
    end_with_note(lariat_reactor_when_signal(reactor, SIGUSR2), "never");
    lariat_deferred *deferred = lariat_reactor_when_signal(reactor, SIGUSR1);
    CHECK_OK(lariat_deferred_add_callback(deferred, note_number, "it"));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_reactor_call_soon(reactor, raise_it, &number));
    CHECK(lariat_reactor_call_later(reactor, 0.01, stop_it, reactor));
    CHECK_OK(lariat_reactor_run_until_idle(reactor)); /* does not return before it is stopped: the other might come */
    CHECK_NOTES("it=1");
    free_reactor(reactor);
    CHECK_NOTES("never!CANCELLED");
}

TEST(the_backend_descriptor_tells_of_signals) {
    lariat_reactor *reactor = real_reactor();
    long told = 0;
    lariat_signal_watch *one = watched(lariat_reactor_watch_signal(reactor, SIGUSR1, count_signal, &told));
    lariat_socket fd = -1;
    CHECK_OK(lariat_reactor_backend_fd(reactor, &fd));
    turns(reactor, 2);
    struct pollfd poll_it = {.fd = fd, .events = POLLIN};
    CHECK_INT(poll(&poll_it, 1, 0), 0);
    raise(SIGUSR1);
    CHECK_INT(poll(&poll_it, 1, 0), 1);
    turn(reactor);
    CHECK_INT(told, 1);
    CHECK_INT(poll(&poll_it, 1, 0), 0);
    CHECK_OK(lariat_signal_watch_stop(one));
    reactor_done(reactor);
}

/* ---- endings ---- */

TEST(a_scope_ends_its_watches) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    token *data = token_new("data");
    CHECK_OK(lariat_scope_enter(scope));
    lariat_signal_watch *inside = watched(lariat_reactor_watch_signal_full(reactor, SIGUSR1, note_signal, data, token_free_noted));
    CHECK_OK(lariat_scope_leave(scope));
    lariat_signal_watch *outside = watch(reactor, SIGUSR1, "outside");
    raise(SIGUSR1);
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NOTES("free:data");
    CHECK_STATUS(lariat_signal_watch_count(inside), LARIAT_ERR_STALE_HANDLE);
    turn(reactor);
    CHECK_NOTES("outside:1");
    CHECK_OK(lariat_signal_watch_stop(outside));
    reactor_done(reactor);
}

TEST(the_reactors_end_frees_what_watches_own) {
    lariat_reactor *reactor = manual_reactor();
    watched(lariat_reactor_watch_signal_full(reactor, SIGUSR1, note_signal, token_new("a"), token_free_noted));
    watched(lariat_reactor_watch_signal_full(reactor, SIGUSR2, note_signal, token_new("b"), token_free_noted));
    raise(SIGUSR1);
    free_reactor(reactor);
    CHECK_NOTES("free:a free:b");
    CHECK(handled_by_default(SIGUSR1));
    CHECK(handled_by_default(SIGUSR2));
}

TEST(a_simulated_reactor_has_no_signals) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    token *data = token_new("data");
    CHECK_NULL(lariat_reactor_watch_signal_full(reactor, SIGUSR1, note_signal, data, token_free), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_watch_signal_event(reactor, SIGUSR1, 1), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_when_signal(reactor, SIGUSR1), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_stop_on_signal(reactor, SIGUSR1), LARIAT_ERR_NOT_SUPPORTED);
    CHECK(handled_by_default(SIGUSR1));
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}
#endif
