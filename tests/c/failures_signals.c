/* FAILURES.md, row 33: signals during the poll, a host with handlers of its own. Nothing is lost; chained and restored. */
#define _GNU_SOURCE
#include "every_kind.h"
#ifndef _WIN32
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

static lariat_signal_watch *watched(lariat_signal_watch *watch) {
    if (!watch) test_fail(__FILE__, __LINE__, "cannot watch: %s", lariat_last_error_message());
    return watch;
}

static void note_signal(lariat_signal_watch *watch, int32_t number, void *user_data) {
    CHECK_INT(lariat_signal_watch_number(watch), number);
    note("%s", (char *)user_data);
}

static lariat_signal_watch *watch(lariat_reactor *reactor, int number, char *name) {
    return watched(lariat_reactor_watch_signal(reactor, number, note_signal, name));
}

static struct sigaction action_of(int number) {
    struct sigaction now;
    CHECK_INT(sigaction(number, NULL, &now), 0);
    return now;
}

static void set_handler(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    CHECK_INT(sigaction(number, &action, NULL), 0);
}

/* All of it, with the mask. */
static void check_same_action(int number, const struct sigaction *want) {
    struct sigaction now = action_of(number);
    CHECK(now.sa_handler == want->sa_handler);
    CHECK_INT(now.sa_flags, want->sa_flags);
    for (int each = 1; each < 32; each++) CHECK_INT(sigismember(&now.sa_mask, each), sigismember(&want->sa_mask, each));
}

/* ---- the host's own handlers ---- */

static volatile sig_atomic_t host_handled, host_number;
static siginfo_t host_information;

static void host_handler(int number) {
    host_handled++;
    host_number = number;
    errno = EDOM;
}

/* One for all threads at once. */
static atomic_int host_handled_anywhere;

static void host_handler_of_threads(int number) {
    (void)number;
    atomic_fetch_add(&host_handled_anywhere, 1);
}

static void host_action(int number, siginfo_t *information, void *context) {
    CHECK(context != NULL);
    host_handler(number);
    host_information = *information;
}

TEST(f33_a_plain_handler_is_called_and_put_back) {
    lariat_reactor *reactor = manual_reactor();
    struct sigaction own = {.sa_handler = host_handler, .sa_flags = SA_NODEFER};
    sigemptyset(&own.sa_mask);
    sigaddset(&own.sa_mask, SIGUSR2);
    CHECK_INT(sigaction(SIGINT, &own, NULL), 0);
    own = action_of(SIGINT);
    lariat_signal_watch *one = watch(reactor, SIGINT, "one"), *two = watch(reactor, SIGINT, "two");
    CHECK(action_of(SIGINT).sa_handler != host_handler);
    CHECK(action_of(SIGINT).sa_flags & SA_NODEFER);
    CHECK(!(action_of(SIGINT).sa_flags & SA_RESTART)); /* its calls are interrupted, as it has them */
    raise(SIGINT);
    CHECK_INT(host_handled, 1); /* at once, by the handler */
    CHECK_INT(host_number, SIGINT);
    turn(reactor);
    CHECK_NOTES("one two");
    CHECK_OK(lariat_signal_watch_stop(one));
    raise(SIGINT);
    CHECK_INT(host_handled, 2);
    turn(reactor);
    CHECK_NOTES("two");
    CHECK_OK(lariat_signal_watch_stop(two));
    check_same_action(SIGINT, &own);
    raise(SIGINT);
    CHECK_INT(host_handled, 3);
    turn(reactor);
    reactor_done(reactor);
}

TEST(f33_a_handler_with_information_gets_it) {
    lariat_reactor *reactor = manual_reactor();
    struct sigaction own = {.sa_sigaction = host_action, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&own.sa_mask);
    CHECK_INT(sigaction(SIGUSR1, &own, NULL), 0);
    own = action_of(SIGUSR1);
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    union sigval value = {.sival_int = 4711};
    CHECK_INT(sigqueue(getpid(), SIGUSR1, value), 0);
    while (is_under("valgrind") && !host_handled) sched_yield(); /* it hands a signal on when it likes */
    CHECK_INT(host_handled, 1);
    CHECK_INT(host_information.si_value.sival_int, 4711);
    CHECK_INT(host_information.si_pid, getpid());
    turn(reactor);
    CHECK_NOTES("one");
    CHECK_OK(lariat_signal_watch_stop(one));
    check_same_action(SIGUSR1, &own);
    reactor_done(reactor);
}

TEST(f33_a_handler_for_once_is_called_once) {
    lariat_reactor *reactor = manual_reactor();
    set_handler(SIGUSR1, host_handler, SA_RESETHAND);
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    for (int i = 0; i < 3; i++) raise(SIGUSR1);
    CHECK_INT(host_handled, 1);
    turn(reactor);
    CHECK_NOTES("one");
    CHECK_INT(lariat_signal_watch_count(one), 3);
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK(action_of(SIGUSR1).sa_handler == SIG_DFL); /* as without the watch */
    reactor_done(reactor);
}

TEST(f33_what_was_ignored_is_ignored_again) {
    lariat_reactor *reactor = manual_reactor();
    set_handler(SIGHUP, SIG_IGN, 0);
    lariat_signal_watch *one = watch(reactor, SIGHUP, "one");
    raise(SIGHUP);
    turn(reactor);
    CHECK_NOTES("one");
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK(action_of(SIGHUP).sa_handler == SIG_IGN);
    reactor_done(reactor);
}

TEST(f33_errno_is_as_it_was) {
    lariat_reactor *reactor = manual_reactor();
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    errno = ENOTTY;
    raise(SIGUSR1);
    CHECK_INT(errno, ENOTTY);
    turn(reactor);
    CHECK_NOTES("one");
    CHECK_OK(lariat_signal_watch_stop(one));
    reactor_done(reactor);
}

/* The host waits for its children; its handler sees each, as does the watch, which reaps none. */
TEST(f33_a_host_with_its_own_sigchld_handler) {
    lariat_reactor *reactor = real_reactor();
    set_handler(SIGCHLD, host_handler, SA_RESTART);
    struct sigaction own = action_of(SIGCHLD);
    lariat_signal_watch *one = watch(reactor, SIGCHLD, "child");
    for (int i = 1; i <= 3; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) leave_child(i);
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(WEXITSTATUS(status), i);
        while (lariat_signal_watch_count(one) < i) CHECK_OK(lariat_reactor_iterate(reactor, INFINITY));
        CHECK_INT(host_handled, i);
    }
    CHECK_NOTES("child child child");
    CHECK_OK(lariat_signal_watch_stop(one));
    check_same_action(SIGCHLD, &own);
    reactor_done(reactor);
}

/* Who ignores SIGCHLD has no zombies, and none while it is watched. */
TEST(f33_children_that_nobody_waits_for) {
    lariat_reactor *reactor = real_reactor();
    set_handler(SIGCHLD, SIG_IGN, 0);
    lariat_signal_watch *one = watch(reactor, SIGCHLD, "child");
    pid_t child = fork();
    if (child == 0) _Exit(1);
    CHECK_INT(waitpid(child, NULL, 0), -1);
    CHECK_INT(errno, ECHILD);
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK(action_of(SIGCHLD).sa_handler == SIG_IGN);
    notes_clear();
    reactor_done(reactor);
}

/* ---- handlers that come and go while a signal is watched ---- */

static struct sigaction beneath[8];
static int above;

/* What a host does that knows what was there before. */
static void calls_beneath(int number, siginfo_t *information, void *context) {
    int level = --above;
    host_handled++;
    if (beneath[level].sa_flags & SA_SIGINFO) beneath[level].sa_sigaction(number, information, context);
    else if (beneath[level].sa_handler != SIG_DFL && beneath[level].sa_handler != SIG_IGN) beneath[level].sa_handler(number);
    above++;
}

static void put_above(int number) {
    struct sigaction own = {.sa_sigaction = calls_beneath, .sa_flags = SA_SIGINFO};
    sigemptyset(&own.sa_mask);
    CHECK_INT(sigaction(number, &own, &beneath[above++]), 0);
}

TEST(f33_a_handler_that_the_host_sets_meanwhile_stays) {
    lariat_reactor *reactor = manual_reactor();
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    set_handler(SIGUSR1, host_handler, 0);
    raise(SIGUSR1);
    CHECK_INT(host_handled, 1);
    turn(reactor);
    CHECK_NOTES(""); /* it does not call ours */
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK(action_of(SIGUSR1).sa_handler == host_handler);
    one = watch(reactor, SIGUSR1, "again");
    raise(SIGUSR1);
    CHECK_INT(host_handled, 2);
    turn(reactor);
    CHECK_NOTES("again");
    CHECK_OK(lariat_signal_watch_stop(one));
    CHECK(action_of(SIGUSR1).sa_handler == host_handler);
    reactor_done(reactor);
}

/* Ours, the host's above it, and ours above that: each is called once, and none for ever. */
TEST(f33_handlers_above_each_other) {
    lariat_reactor *reactor = manual_reactor();
    set_handler(SIGUSR1, host_handler, 0);
    for (int round = 1; round <= 4; round++) {
        lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
        host_handled = 0;
        raise(SIGUSR1);
        CHECK_INT(host_handled, round); /* the one at the bottom, and one a round */
        turn(reactor);
        CHECK_NOTES("one");
        CHECK_INT(lariat_signal_watch_count(one), 1);
        put_above(SIGUSR1);
        host_handled = 0;
        raise(SIGUSR1);
        CHECK_INT(host_handled, round + 1);
        turn(reactor);
        CHECK_NOTES("one");
        CHECK_INT(lariat_signal_watch_count(one), 2);
        CHECK_OK(lariat_signal_watch_stop(one));
        host_handled = 0;
        raise(SIGUSR1);
        CHECK_INT(host_handled, round + 1); /* what is left of ours passes on */
        turn(reactor);
        CHECK_NOTES("");
    }
    CHECK_NULL(lariat_reactor_watch_signal(reactor, SIGUSR1, note_signal, NULL), LARIAT_ERR_OS);
    CHECK(strstr(lariat_last_error_message(), "replaced 4 times"));
    reactor_done(reactor);
}

TEST(f33_the_host_puts_ours_back_when_nobody_watches) {
    lariat_reactor *reactor = manual_reactor();
    set_handler(SIGUSR1, host_handler, 0);
    for (int round = 0; round < 20; round++) {
        lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
        struct sigaction ours = action_of(SIGUSR1);
        set_handler(SIGUSR1, SIG_IGN, 0);
        CHECK_OK(lariat_signal_watch_stop(one));
        CHECK_INT(sigaction(SIGUSR1, &ours, NULL), 0);
        host_handled = 0;
        raise(SIGUSR1);
        CHECK_INT(host_handled, 1);
        turn(reactor);
        CHECK_NOTES("");
        one = watch(reactor, SIGUSR1, "again");
        raise(SIGUSR1);
        CHECK_INT(host_handled, 2);
        turn(reactor);
        CHECK_NOTES("again");
        CHECK_OK(lariat_signal_watch_stop(one));
        CHECK(action_of(SIGUSR1).sa_handler == host_handler);
    }
    reactor_done(reactor);
}

/* ---- several reactors ---- */

TEST(f33_two_reactors_of_one_thread) {
    lariat_reactor *a = manual_reactor(), *b = manual_reactor();
    set_handler(SIGUSR1, host_handler, 0);
    lariat_signal_watch *of_a = watch(a, SIGUSR1, "a"), *of_b = watch(b, SIGUSR1, "b");
    raise(SIGUSR1);
    CHECK_INT(host_handled, 1);
    turn(b);
    turn(a);
    CHECK_NOTES("b a");
    CHECK_OK(lariat_signal_watch_stop(of_a));
    raise(SIGUSR1);
    turns(a, 2);
    turn(b);
    CHECK_NOTES("b");
    free_reactor(b);
    CHECK_STATUS(lariat_signal_watch_stop(of_b), LARIAT_ERR_STALE_HANDLE);
    CHECK(action_of(SIGUSR1).sa_handler == host_handler);
    of_a = watch(a, SIGUSR1, "a");
    raise(SIGUSR1);
    turn(a);
    CHECK_NOTES("a");
    CHECK_OK(lariat_signal_watch_stop(of_a));
    reactor_done(a);
}

typedef struct listener_thread {
    atomic_long told, started;
    int until_stop;
} listener_thread;

static void told_in_thread(lariat_signal_watch *watch, int32_t number, void *user_data) {
    listener_thread *one = user_data;
    (void)number;
    atomic_store(&one->told, lariat_signal_watch_count(watch));
}

static void stop_told(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    (void)number;
    CHECK_OK(lariat_reactor_stop(user_data));
}

static void has_started(void *user_data) { atomic_store(&((listener_thread *)user_data)->started, 1); }

static void *run_a_listener(void *argument) {
    listener_thread *one = argument;
    lariat_reactor_options options;
    CHECK_OK(lariat_reactor_options_init(&options, sizeof options));
    lariat_reactor *reactor = reactor_with(options);
    watched(lariat_reactor_watch_signal(reactor, SIGUSR1, told_in_thread, one));
    watched(lariat_reactor_watch_signal(reactor, SIGUSR2, stop_told, reactor));
    CHECK_OK(lariat_reactor_call_when_running(reactor, has_started, one));
    CHECK_OK(lariat_reactor_run(reactor));
    free_reactor(reactor);
    return NULL;
}

/* Each reactor is told every one; a thread that comes and goes meanwhile changes nothing. */
TEST(f33_two_reactors_on_two_threads) {
    listener_thread here[2] = {{0}, {0}};
    set_handler(SIGUSR1, host_handler_of_threads, SA_RESTART);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) threads[i] = thread_start(run_a_listener, &here[i]);
    for (int i = 0; i < 2; i++)
        while (!atomic_load(&here[i].started)) sched_yield();
    for (long sent = 1; sent <= 200; sent++) {
        CHECK_INT(sent % 3 ? raise(SIGUSR1) : pthread_kill(threads[sent % 2], SIGUSR1), 0);
        for (int i = 0; i < 2; i++)
            while (atomic_load(&here[i].told) != sent) sched_yield();
    }
    CHECK_INT(atomic_load(&host_handled_anywhere), 200);
    CHECK_INT(raise(SIGUSR2), 0); /* stops both */
    for (int i = 0; i < 2; i++) thread_join(threads[i]);
    CHECK(action_of(SIGUSR1).sa_handler == host_handler_of_threads);
    CHECK(action_of(SIGUSR2).sa_handler == SIG_DFL);
}

typedef struct churn {
    atomic_int done;
} churn;

static void *signal_all_the_time(void *argument) {
    churn *one = argument;
    while (!atomic_load(&one->done)) CHECK_INT(kill(getpid(), SIGUSR1), 0);
    return NULL;
}

static void *watch_all_the_time(void *argument) {
    (void)argument;
    for (size_t i = 0; i < many(300); i++) {
        lariat_reactor_options options;
        CHECK_OK(lariat_reactor_options_init(&options, sizeof options));
        lariat_reactor *reactor = reactor_with(options);
        lariat_signal_watch *one = watched(lariat_reactor_watch_signal(reactor, SIGUSR1, quiet_signal, NULL));
        turns(reactor, 2);
        if (i % 2) CHECK_OK(lariat_signal_watch_stop(one));
        free_reactor(reactor);
    }
    return NULL;
}

/* Reactors are made and freed on two threads while signals come on any: no handler writes to what is closed. */
TEST(f33_watches_come_and_go_on_threads_while_signals_come) {
    churn one = {0};
    set_handler(SIGUSR1, host_handler_of_threads, SA_RESTART);
    pthread_t sender = thread_start(signal_all_the_time, &one);
    pthread_t other = thread_start(watch_all_the_time, NULL);
    watch_all_the_time(NULL);
    thread_join(other);
    atomic_store(&one.done, 1);
    thread_join(sender);
    CHECK(action_of(SIGUSR1).sa_handler == host_handler_of_threads);
}

/* ---- bursts ---- */

#ifdef SIGRTMIN
typedef struct burst {
    int number;
    size_t count;
} burst;

static void *send_burst(void *argument) {
    burst *one = argument;
    union sigval nothing = {.sival_int = 0};
    for (size_t sent = 0; sent < one->count;) {
        if (sigqueue(getpid(), one->number, nothing) == 0) sent++;
        else CHECK_INT(errno, EAGAIN); /* the system's queue is full for a moment */
    }
    return NULL;
}

/* The system queues those: each one sent is counted, whatever the loop is doing. */
TEST(f33_a_burst_from_threads) {
    if (is_under("thread")) SKIP("ThreadSanitizer hands a signal on later, and but one of each number");
    size_t count = many(20000);
    lariat_reactor *reactor = real_reactor();
    burst bursts[2] = {{SIGRTMIN, count}, {SIGRTMIN + 1, count}};
    lariat_signal_watch *watches[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) watches[i] = watched(lariat_reactor_watch_signal(reactor, bursts[i].number, quiet_signal, NULL));
    for (int i = 0; i < 2; i++) threads[i] = thread_start(send_burst, &bursts[i]);
    for (int i = 0; i < 2; i++)
        while (lariat_signal_watch_count(watches[i]) < (int64_t)count) CHECK_OK(lariat_reactor_iterate(reactor, INFINITY));
    for (int i = 0; i < 2; i++) {
        thread_join(threads[i]);
        CHECK_INT(lariat_signal_watch_count(watches[i]), count);
        CHECK_OK(lariat_signal_watch_stop(watches[i]));
    }
    reactor_done(reactor);
}
#endif

static void count_call_again(void *user_data) { ++*(long *)user_data; }

/* An interval timer interrupts the poll all the time, and the host does not restart its calls: timers and calls go on. */
TEST(f33_polls_that_are_interrupted) {
    lariat_reactor *reactor = real_reactor();
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    long calls = 0;
    set_handler(SIGALRM, host_handler, 0);
    lariat_signal_watch *one = watched(lariat_reactor_watch_signal(reactor, SIGALRM, quiet_signal, NULL));
    for (int i = 0; i < 50; i++) CHECK(lariat_reactor_call_later(reactor, i * 0.001, count_call_again, &calls));
    unsigned left = alarm(0); /* the harness's time limit uses the same timer */
    CHECK_INT(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (calls < 50 || lariat_signal_watch_count(one) < 100) CHECK_OK(lariat_reactor_iterate(reactor, INFINITY));
    CHECK_INT(setitimer(ITIMER_REAL, &never, NULL), 0);
    alarm(left);
    turn(reactor);
    CHECK_INT(lariat_signal_watch_count(one), host_handled);
    CHECK_OK(lariat_signal_watch_stop(one));
    set_handler(SIGALRM, SIG_DFL, 0);
    reactor_done(reactor);
}

/* ---- fork ---- */

typedef struct family {
    lariat_reactor *reactor;
    lariat_signal_watch *one;
    int number;
} family;

static void is_as_before_in_child(void *argument) {
    family *parents = argument;
    CHECK(action_of(SIGUSR1).sa_handler == host_handler);
    CHECK(action_of(SIGTERM).sa_handler == SIG_DFL);
    CHECK(action_of(SIGHUP).sa_handler == SIG_IGN);
    CHECK_STATUS(lariat_signal_watch_stop(parents->one), LARIAT_ERR_FORKED);
    CHECK_NULL(lariat_reactor_watch_signal(parents->reactor, SIGUSR1, note_signal, NULL), LARIAT_ERR_FORKED);
    host_handled = 0;
    raise(SIGUSR1);
    CHECK_INT(host_handled, 1);
    /* One of the child's own. */
    lariat_reactor *own = manual_reactor();
    lariat_signal_watch *watch_it = watch(own, SIGUSR1, "child"), *other = watch(own, SIGTERM, "term");
    raise(SIGUSR1);
    raise(SIGTERM);
    turn(own);
    CHECK_NOTES("child term");
    CHECK_INT(host_handled, 2);
    CHECK_OK(lariat_signal_watch_stop(other));
    CHECK(action_of(SIGTERM).sa_handler == SIG_DFL);
    CHECK_OK(lariat_signal_watch_stop(watch_it));
    CHECK(action_of(SIGUSR1).sa_handler == host_handler);
    reactor_done(own);
}

TEST(f33_a_child_of_fork_has_what_there_was_before) {
    lariat_reactor *reactor = manual_reactor();
    set_handler(SIGUSR1, host_handler, 0);
    set_handler(SIGHUP, SIG_IGN, 0);
    family parents = {.reactor = reactor, .one = watch(reactor, SIGUSR1, "usr1")};
    watch(reactor, SIGTERM, "term");
    watch(reactor, SIGHUP, "hup");
    CHECK_INT(run_in_child(is_as_before_in_child, &parents), 0);
    turns(reactor, 2);
    CHECK_NOTES(""); /* what came to the child is the child's */
    raise(SIGUSR1);
    raise(SIGTERM);
    raise(SIGHUP);
    turn(reactor);
    CHECK_NOTES("hup usr1 term");
    free_reactor(reactor);
    CHECK(action_of(SIGUSR1).sa_handler == host_handler);
}

#ifdef __linux__
/* Forks past the C library, which runs nothing in the child then. */
static pid_t bare_fork(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }

TEST(f33_a_child_that_the_library_does_not_hear_of) {
    int status = 0;
    lariat_reactor *reactor = manual_reactor();
    set_handler(SIGUSR1, host_handler, 0);
    watch(reactor, SIGUSR1, "usr1");
    watch(reactor, SIGTERM, "term");
    pid_t child = bare_fork();
    if (child == 0) {
        kill(getpid(), SIGUSR1);
        if (host_handled != 1) _exit(1);
        kill(getpid(), SIGTERM); /* ends it, as if nobody watched */
        _exit(2);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGTERM);
    turns(reactor, 2);
    CHECK_NOTES("");
    free_reactor(reactor);
}
#endif

/* ---- refusals ---- */

TEST(f33_what_cannot_be_watched) {
    lariat_reactor *reactor = manual_reactor();
    const struct { int number; const char *name; } refused[] = {
        {SIGKILL, "SIGKILL"}, {SIGSTOP, "SIGSTOP"}, {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGILL, "SIGILL"},
        {SIGFPE, "SIGFPE"}, {SIGTRAP, "SIGTRAP"}, {SIGSYS, "SIGSYS"}, {SIGABRT, "SIGABRT"}, {0, "0"}, {-1, "-1"}, {65, "65"},
        {INT32_MAX, "2147483647"}, {INT32_MIN, "-2147483648"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        token *data = token_new("data");
        CHECK_NULL(lariat_reactor_watch_signal_full(reactor, refused[i].number, note_signal, data, token_free), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK(strstr(lariat_last_error_message(), refused[i].name));
        CHECK_FREED(data);
        CHECK_NULL(lariat_reactor_when_signal(reactor, refused[i].number), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_reactor_stop_on_signal(reactor, refused[i].number), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_NULL(lariat_reactor_watch_signal_event(reactor, refused[i].number, 1), LARIAT_ERR_INVALID_ARGUMENT);
    }
#ifdef __GLIBC__
    CHECK_NULL(lariat_reactor_watch_signal(reactor, 32, note_signal, NULL), LARIAT_ERR_OS); /* the C library's own */
    CHECK(strstr(lariat_last_error_message(), "signal 32"));
#endif
    CHECK_NULL(lariat_reactor_watch_signal(reactor, SIGUSR1, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(reactor_stats(reactor).signal_watches, 0);
    reactor_done(reactor);
}

TEST(f33_no_descriptors_are_left) {
    lariat_reactor *reactor = manual_reactor();
    struct rlimit before, tight;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = 0;
    token *data = token_new("data");
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
    lariat_signal_watch *none = lariat_reactor_watch_signal_full(reactor, SIGUSR1, note_signal, data, token_free);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_NULL(none, LARIAT_ERR_TOO_MANY_DESCRIPTORS);
    CHECK_FREED(data);
    CHECK(action_of(SIGUSR1).sa_handler == SIG_DFL);
    lariat_signal_watch *one = watch(reactor, SIGUSR1, "one");
    raise(SIGUSR1);
    turn(reactor);
    CHECK_NOTES("one");
    CHECK_OK(lariat_signal_watch_stop(one));
    reactor_done(reactor);
}

TEST(f33_the_reactor_is_freed_with_signals_pending) {
    for (int round = 0; round < 3; round++) {
        lariat_reactor *reactor = manual_reactor();
        set_handler(SIGUSR1, host_handler, 0);
        watched(lariat_reactor_watch_signal_full(reactor, SIGUSR1, note_signal, token_new("data"), token_free));
        for (int i = 0; i < 100; i++) raise(SIGUSR1);
        free_reactor(reactor);
        CHECK(action_of(SIGUSR1).sa_handler == host_handler);
        raise(SIGUSR1);
    }
    CHECK_INT(host_handled, 303);
}

static void free_in_callback(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    (void)number;
    CHECK_STATUS(lariat_reactor_free(user_data), LARIAT_ERR_BUSY);
    note("busy");
}

TEST(f33_the_reactor_cannot_be_freed_in_a_callback) {
    lariat_reactor *reactor = manual_reactor();
    watched(lariat_reactor_watch_signal(reactor, SIGUSR1, free_in_callback, reactor));
    raise(SIGUSR1);
    turn(reactor);
    CHECK_NOTES("busy");
    free_reactor(reactor);
}
#else
TEST(f33_signals_are_tested_on_unix) { SKIP("there are no signals on Windows"); }
#endif
