/* Child processes where the system has no descriptors for them, and where they cannot share memory: what is so on older kernels and other
 * systems. The cargo feature `testing` has the library do without. */
#include "processes.h"

static void run_crowd(int width, int count) {
    static crowd all;
    lariat_reactor *reactor = real_reactor();
    int threads = threads_now();
    all = (crowd){.reactor = reactor, .width = width, .left = count};
    double deadline = seconds_now() + 6 * patience();
    while (all.over < count) {
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "%d of %d are over", all.over, count);
        crowd_turn(&all);
    }
    until(reactor, reactor_stats(reactor).processes == 0 && threads_now() == threads);
    crowd_done(&all);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

static void signals_and_limits(void) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"}, stubborn = {.name = "b"}, group = {.name = "c"};
    start(reactor, shell("echo ready; exec sleep 100"), &own);
    start(reactor, shell("trap '' TERM; echo ready; while :; do sleep 1; done"), &stubborn);
    lariat_process_options options = shell("sleep 100 & exit 5");
    options.flags = LARIAT_PROCESS_NEW_GROUP | LARIAT_PROCESS_KILL_GROUP;
    start(reactor, options, &group);
    until(reactor, own.came && stubborn.came);
    CHECK_OK(lariat_process_signal(own.process, SIGINT));
    CHECK_OK(lariat_process_terminate(stubborn.process, 0.02));
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    until_over(&group, LARIAT_ERR_PROCESS_TERMINATED);
    until(reactor, stubborn.exited);
    CHECK_OK(lariat_process_lose_connection(stubborn.process));
    until_over(&stubborn, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(own.signal, SIGINT);
    CHECK_INT(stubborn.signal, SIGKILL);
    CHECK_INT(group.code, 5);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

static void errors_at_once(void) {
    lariat_reactor *reactor = real_reactor();
    lariat_process_options options = process_options();
    options.program = "/no/such/program";
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_NOT_FOUND);
    CHECK(strstr(lariat_last_error_message(), "/no/such/program"));
    options.program = "/etc/passwd";
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_PERMISSION_DENIED);
    options.program = "/bin/true";
    options.directory = "/no/such/directory";
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_NOT_FOUND);
    CHECK(strstr(lariat_last_error_message(), "/no/such/directory"));
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

static void leave_running(void) {
    lariat_reactor *reactor = real_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    child one = {.name = "a"}, two = {.name = "b"};
    int threads = threads_now();
    CHECK_OK(lariat_scope_enter(scope));
    start(reactor, shell("echo ready; read line"), &one);
    CHECK_OK(lariat_scope_leave(scope));
    start(reactor, shell("echo ready; read line"), &two);
    until(reactor, one.came && two.came);
    CHECK_OK(lariat_scope_free(scope));
    free_reactor(reactor);
    child_over(&one, LARIAT_ERR_CLOSED);
    child_over(&two, LARIAT_ERR_CLOSED);
    /* They read an end and leave; another child has them waited for. */
    siginfo_t information;
    CHECK(waitid(P_PID, (id_t)one.pid, &information, WEXITED | WNOWAIT) == 0 || errno == ECHILD);
    CHECK(waitid(P_PID, (id_t)two.pid, &information, WEXITED | WNOWAIT) == 0 || errno == ECHILD);
    reactor = real_reactor();
    child next = {.name = "c"};
    start(reactor, shell("true"), &next);
    until_over(&next, LARIAT_PROCESS_DONE);
    until(reactor, threads_now() == threads);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

static void all_of_it(void) {
    run_crowd(10, (int)many(200));
    signals_and_limits();
    errors_at_once();
    leave_running();
}

TEST(s33_without_descriptors_of_processes) {
    CHECK_INT(setenv("LARIAT_TEST_NO_PIDFD", "1", 1), 0);
    all_of_it();
}

TEST(s33_without_shared_memory) {
    CHECK_INT(setenv("LARIAT_TEST_SPAWN_FORKS", "1", 1), 0);
    all_of_it();
}

TEST(s33_without_either) {
    CHECK_INT(setenv("LARIAT_TEST_NO_PIDFD", "1", 1), 0);
    CHECK_INT(setenv("LARIAT_TEST_SPAWN_FORKS", "1", 1), 0);
    all_of_it();
}
