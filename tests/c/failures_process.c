/* FAILURES.md, rows 32 to 35 and 49, as far as they are about child processes: nothing lost, nobody else's child taken, nothing left behind. */
#define _GNU_SOURCE
#include "every_kind.h"
#include "plain_streams.h"
#include "processes.h"

/* ---- what cannot be started is said at once ------------------------------------------------------------------------------------------ */

static void refuses(lariat_process_options options, lariat_status want, const char *one, const char *other) {
    lariat_reactor *reactor = real_reactor();
    lariat_process_protocol protocol = child_protocol();
    child own = {.name = "a"};
    CHECK_NULL(lariat_reactor_spawn(reactor, &options, &protocol, &own), want);
    if (!strstr(lariat_last_error_message(), one) || !strstr(lariat_last_error_message(), other))
        test_fail(__FILE__, __LINE__, "\"%s\" names not both \"%s\" and \"%s\"", lariat_last_error_message(), one, other);
    CHECK_INT(own.freed, 1);
    CHECK_INT(own.made + own.ended, 0);
    CHECK_INT(reactor_stats(reactor).processes, 0);
    CHECK_NO_CHILDREN();
    turns(reactor, 2);
    reactor_done(reactor);
}

TEST(f35_what_cannot_be_started) {
    char path[64];
    lariat_process_options options = process_options();
    for (int round = 0; round < 2; round++) { /* the first is how the library learns which way it can */
        options.program = "/no/such/program";
        refuses(options, LARIAT_ERR_NOT_FOUND, "starting /no/such/program", strerror(ENOENT));
        options.program = "/etc/passwd";
        refuses(options, LARIAT_ERR_PERMISSION_DENIED, "starting /etc/passwd", strerror(EACCES));
        options.program = "/etc";
        refuses(options, LARIAT_ERR_PERMISSION_DENIED, "starting /etc", strerror(EACCES));
        options.program = "";
        refuses(options, LARIAT_ERR_NOT_FOUND, "starting ", strerror(ENOENT));
        options.program = "/bin/true";
        options.directory = "/no/such/directory";
        refuses(options, LARIAT_ERR_NOT_FOUND, "starting /bin/true in /no/such/directory", strerror(ENOENT));
        options.directory = "/etc/passwd";
        refuses(options, LARIAT_ERR_OS, "in /etc/passwd", strerror(ENOTDIR));
        options.directory = NULL;
    }
    if (is_under("valgrind")) return; /* which does not survive a program that turns out to be none */
    snprintf(path, sizeof path, "./process-%d", (int)getpid());
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    write_bytes(fd, "#!/no/such/interpreter\n");
    CHECK_INT(close(fd), 0);
    options.program = path;
    refuses(options, LARIAT_ERR_NOT_FOUND, path, "what it is to be run by is not");
    fd = open(path, O_TRUNC | O_WRONLY | O_CLOEXEC);
    write_bytes(fd, "no program at all");
    CHECK_INT(close(fd), 0);
    refuses(options, LARIAT_ERR_OS, path, strerror(ENOEXEC));
    CHECK_INT(unlink(path), 0);
}

TEST(f35_options_that_are_none) {
    lariat_reactor *reactor = real_reactor();
    lariat_process_options options = process_options();
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT); /* no program */
    CHECK_NULL(lariat_reactor_spawn_event(reactor, NULL, 1), LARIAT_ERR_INVALID_ARGUMENT);
    options.program = "/bin/true";
    options.flags = 1u << 31;
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    options.flags = LARIAT_PROCESS_KILL_GROUP; /* of which group? */
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    options.flags = 0;
    options.uid = -2;
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    options.uid = UINT32_MAX;
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    options.uid = -1;
    for (int i = 0; i < 3; i++) {
        options.time_limit = i == 0 ? NAN : i == 1 ? -1 : -INFINITY;
        CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    }
    options.time_limit = INFINITY;
    const lariat_process_descriptor bad[] = {
        {.child_fd = -1, .kind = LARIAT_DESCRIPTOR_NULL}, {.child_fd = 65536, .kind = LARIAT_DESCRIPTOR_NULL}, {.child_fd = 0, .kind = 0},
        {.child_fd = 0, .kind = 8}, {.child_fd = 0, .kind = LARIAT_DESCRIPTOR_FILE_READ}, {.child_fd = 0, .kind = LARIAT_DESCRIPTOR_INHERIT, .fd = -1},
    };
    options.descriptor_count = 1;
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT); /* NULL */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.descriptors = &bad[i];
        CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    }
    const lariat_process_descriptor twice[] = {{.child_fd = 3, .kind = LARIAT_DESCRIPTOR_NULL}, {.child_fd = 3, .kind = LARIAT_DESCRIPTOR_NULL}};
    options.descriptors = twice;
    options.descriptor_count = 2;
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_INVALID_ARGUMENT);
    const lariat_process_descriptor closed = {.child_fd = 3, .kind = LARIAT_DESCRIPTOR_INHERIT, .fd = 4000};
    options.descriptors = &closed;
    options.descriptor_count = 1;
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_OS);
    CHECK(strstr(lariat_last_error_message(), "descriptor 3"));
    CHECK_NO_CHILDREN();
    turns(reactor, 2);
    reactor_done(reactor);
}

/* ---- children that do not do as expected ----------------------------------------------------------------------------------------------- */

TEST(f35_a_child_that_closes_its_pipes_and_lives) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    start(reactor, shell("exec <&- >&- 2>&-; exec sleep 100"), &own);
    until(reactor, own.closed == 3);
    turns(reactor, 20);
    CHECK_INT(own.exited, 0);
    CHECK_OK(lariat_process_signal(own.process, 0)); /* it lives */
    CHECK_OK(lariat_process_signal(own.process, SIGTERM));
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(own.signal, SIGTERM);
    reactor_done(reactor);
}

TEST(f35_one_that_dies_and_leaves_a_pipe_to_a_grandchild) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    lariat_process_options options = shell("exec 3<&0; (echo ready; read line <&3; echo late) 2>&- & exit 6");
    options.flags = LARIAT_PROCESS_NEW_GROUP;
    start(reactor, options, &own);
    until(reactor, own.exited && own.came && own.closed == 1);
    CHECK_INT(own.code, 6);
    CHECK_NO_CHILDREN(); /* it was waited for */
    turns(reactor, 20);
    CHECK_INT(own.ended, 0);
    CHECK_INT(own.process == NULL, 0);
    child_write(&own, "\n"); /* which the grandchild reads, and what it writes still comes */
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&own.out[1]), "ready\nlate\n");
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    /* Or it is not waited for: the host closes the pipes, and ends what is left of the group. */
    child other = {.name = "b"};
    options = shell("sleep 100 & echo ready; exit 6");
    options.flags = LARIAT_PROCESS_NEW_GROUP;
    start(reactor, options, &other);
    until(reactor, other.exited && other.came);
    lariat_status signalled = lariat_process_signal_group(other.process, SIGKILL);
    CHECK_EITHER(signalled, LARIAT_OK, LARIAT_ERR_NOT_SUPPORTED);
    if (signalled != LARIAT_OK) CHECK_OK(lariat_process_lose_connection(other.process));
    until_over(&other, LARIAT_ERR_PROCESS_TERMINATED);
    reactor_done(reactor);
}

TEST(f35_one_that_is_dead_is_over_once_its_pipes_are_closed_here) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    char line[32] = {0};
    start(reactor, shell("sleep 100 & echo $!"), &own);
    until(reactor, own.exited && own.came);
    snprintf(line, sizeof line, "%s", bytes_text(&own.out[1]));
    turns(reactor, 20);
    CHECK_INT(own.ended, 0);
    CHECK_OK(lariat_process_lose_connection(own.process));
    until_over(&own, LARIAT_PROCESS_DONE);
    CHECK_INT(kill((pid_t)atoi(line), SIGKILL), 0);
    reactor_done(reactor);
}

static void count_timer(void *user_data) { ++*(int *)user_data; }

TEST(f35_one_that_writes_without_end) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a", .keeps = -1}, other = {.name = "b"};
    int called = 0;
    start(reactor, shell("exec yes"), &own);
    until(reactor, own.came > 100000);
    /* Others are served meanwhile. */
    start(reactor, shell("echo out"), &other);
    until_over(&other, LARIAT_PROCESS_DONE);
    CHECK(lariat_reactor_call_later(reactor, 0, count_timer, &called) != NULL);
    until(reactor, called);
    /* Paused, it waits, and nothing is kept for it. */
    CHECK_OK(lariat_transport_pause_reading(lariat_process_transport(own.process, 1)));
    size_t came = own.came;
    turns(reactor, 50);
    CHECK_INT(own.came, came);
    CHECK_OK(lariat_process_terminate(own.process, 10));
    until(reactor, own.exited);
    CHECK_INT(own.ended, 0); /* what it has written is not lost */
    CHECK_OK(lariat_transport_resume_reading(lariat_process_transport(own.process, 1)));
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK(own.came > came);
    CHECK_INT(own.signal, SIGTERM);
    reactor_done(reactor);
}

/* ---- a host with children of its own ---------------------------------------------------------------------------------------------------- */

static atomic_int host_signals;
static void host_handler(int number) {
    (void)number;
    atomic_fetch_add(&host_signals, 1);
}

static pid_t host_child(int code) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", code ? "exit 9" : "exit 0", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void thousand_children(void) {
    struct sigaction ours = {.sa_handler = host_handler}, now;
    static crowd all;
    int threads = threads_now(), open_before, host_left = (int)many(100), started = 0, ended = 0;
    pid_t host = 0;
    CHECK_INT(sigaction(SIGCHLD, &ours, NULL), 0);
    lariat_reactor *reactor = real_reactor();
    turn(reactor);
    open_before = descriptors_open();
    all = (crowd){.reactor = reactor, .width = 10, .left = (int)many(1000)};
    int count = all.left;
    double deadline = seconds_now() + 12 * patience();
    while (all.over < count || started > ended || host_left) {
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "%d of %d are over", all.over, count);
        crowd_turn(&all);
        if (host) {
            int status = 0;
            pid_t waited = waitpid(host, &status, WNOHANG);
            CHECK(waited == 0 || waited == host); /* nobody has taken it */
            if (waited) {
                CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 9);
                ended++;
                host = 0;
            }
        } else if (host_left) {
            host = host_child(9);
            host_left--;
            started++;
        }
    }
    until(reactor, reactor_stats(reactor).processes == 0);
    CHECK_INT(all.over, count);
    CHECK_INT(all.running, 0);
    crowd_done(&all);
    CHECK_NO_CHILDREN();
    CHECK_INT(descriptors_open(), open_before);
    CHECK_INT(threads_now(), threads);
    CHECK_INT(sigaction(SIGCHLD, NULL, &now), 0);
    CHECK(now.sa_handler == host_handler);
    CHECK(atomic_load(&host_signals) > 0);
    reactor_done(reactor);
}

TEST(f33_a_thousand_children_beside_the_hosts_own) { thousand_children(); }

/* A host that waits for any child takes ours, too: we hear of their ends all the same, and how, where the kernel remembers. */
static atomic_int waits_for_any, waited_for;

static void *wait_for_any(void *unused) {
    while (atomic_load(&waits_for_any)) {
        int status;
        if (waitpid(-1, &status, 0) > 0) atomic_fetch_add(&waited_for, 1);
        else sched_yield();
    }
    return unused;
}

TEST(f34_a_host_that_waits_for_any_child) {
    lariat_reactor *reactor = real_reactor();
    atomic_store(&waits_for_any, 1);
    pthread_t thread = thread_start(wait_for_any, NULL);
    int known = 0, count = (int)many(200);
    for (int i = 0; i < count; i++) {
        child own = {.name = "a"};
        start(reactor, shell("exit 3"), &own);
        until(reactor, own.freed);
        CHECK_INT(own.exited + own.ended, 2);
        CHECK(own.reason == LARIAT_ERR_PROCESS_TERMINATED || own.reason == LARIAT_ERR_STATUS_UNKNOWN);
        if (own.reason == LARIAT_ERR_PROCESS_TERMINATED) CHECK_INT(own.code, 3), known++;
        else CHECK_INT(own.code, -1);
        /* What never began is nobody's to wait for. */
        lariat_process_options none = process_options();
        none.program = "/no/such/program";
        CHECK_NULL(lariat_reactor_spawn_event(reactor, &none, 1), LARIAT_ERR_NOT_FOUND);
    }
    atomic_store(&waits_for_any, 0);
    thread_join(thread);
    CHECK(known + atomic_load(&waited_for) >= count);
    CHECK_NO_CHILDREN();
    turns(reactor, 2);
    reactor_done(reactor);
}

TEST(f34_a_host_that_ignores_SIGCHLD) {
    lariat_reactor *reactor = real_reactor();
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 10; i++) {
        child own = {.name = "a"};
        start(reactor, shell("exit 3"), &own);
        until(reactor, own.freed);
        CHECK(own.reason == LARIAT_ERR_PROCESS_TERMINATED ? own.code == 3 : own.reason == LARIAT_ERR_STATUS_UNKNOWN);
        lariat_process_options none = process_options();
        none.program = "/no/such/program";
        CHECK_NULL(lariat_reactor_spawn_event(reactor, &none, 1), LARIAT_ERR_NOT_FOUND);
    }
    signal(SIGCHLD, SIG_DFL);
    CHECK_NO_CHILDREN();
    turns(reactor, 2);
    reactor_done(reactor);
}

static void *crowd_thread(void *unused) {
    lariat_reactor *reactor = real_reactor();
    crowd *all = calloc(1, sizeof *all);
    *all = (crowd){.reactor = reactor, .width = 5, .left = (int)many(150)};
    int count = all->left;
    double deadline = seconds_now() + 4 * patience();
    while (all->over < count) {
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "%d of %d are over", all->over, count);
        crowd_turn(all);
    }
    until(reactor, reactor_stats(reactor).processes == 0);
    crowd_done(all);
    free(all);
    reactor_done(reactor);
    return unused;
}

TEST(f34_reactors_with_children_on_two_threads) {
    pthread_t other = thread_start(crowd_thread, NULL);
    crowd_thread(NULL);
    thread_join(other);
    CHECK_NO_CHILDREN();
}

/* ---- what is left behind ------------------------------------------------------------------------------------------------------------------ */

/* Waits until a child has left a word in the file. */
static void until_it_left(const char *path) {
    double deadline = seconds_now() + patience();
    struct stat file;
    while (stat(path, &file) != 0 || file.st_size == 0) {
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "nobody has written %s", path);
        usleep(1000);
    }
}

TEST(f35_a_reactor_that_is_freed_leaves_its_children_running) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"}, early = {.name = "b"}, next = {.name = "c"};
    folder place = folder_new();
    char scripts[2][256], words[2][128];
    int open_before;
    for (int i = 0; i < 2; i++) snprintf(words[i], sizeof words[i], "%s", in_folder(&place, i ? "early" : "own"));
    snprintf(scripts[0], sizeof scripts[0], "trap '' PIPE; echo ready; read line; echo left >%s", words[0]);
    snprintf(scripts[1], sizeof scripts[1], "read line; echo left >%s", words[1]);
    start(reactor, shell(scripts[0]), &own);
    until(reactor, own.came);
    open_before = descriptors_open();
    start(reactor, shell(scripts[1]), &early);
    free_reactor(reactor);
    CHECK(descriptors_open() < open_before); /* its own too, and nothing of it is kept */
    child_over(&own, LARIAT_ERR_CLOSED);
    child_over(&early, LARIAT_ERR_CLOSED);
    /* They were not killed: they read an end, say so, and leave. One that was quick is waited for already, the others when another
       reactor's child ends. */
    for (int i = 0; i < 2; i++) until_it_left(words[i]);
    for (int pids[] = {own.pid, early.pid}, i = 0; i < 2; i++) {
        siginfo_t information;
        if (waitid(P_PID, (id_t)pids[i], &information, WEXITED | WNOWAIT) == 0) CHECK_INT(information.si_code, CLD_EXITED);
        else CHECK_INT(errno, ECHILD);
    }
    reactor = real_reactor();
    start(reactor, shell("true"), &next);
    until_over(&next, LARIAT_PROCESS_DONE);
    CHECK_NO_CHILDREN();
    CHECK_INT(unlink(words[0]), 0);
    folder_end(&place, "early");
    reactor_done(reactor);
}

TEST(f35_a_reactor_that_is_freed_kills_if_it_is_asked_to) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"}, group = {.name = "b"};
    lariat_process_options options = shell("trap '' TERM HUP INT; echo ready; while :; do sleep 1; done");
    options.flags = LARIAT_PROCESS_KILL_AT_END;
    start(reactor, options, &own);
    options.flags = LARIAT_PROCESS_KILL_AT_END | LARIAT_PROCESS_NEW_GROUP | LARIAT_PROCESS_KILL_GROUP;
    start(reactor, options, &group);
    until(reactor, own.came && group.came);
    free_reactor(reactor);
    child_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    child_over(&group, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(own.signal, SIGKILL);
    CHECK_NO_CHILDREN();
}

/* ---- descriptors across exec --------------------------------------------------------------------------------------------------------------- */

TEST(f35_no_descriptor_goes_where_it_does_not_belong) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"}, other = {.name = "b"};
    int leaks = dup(2), status; /* not closed on exec */
    start(reactor, shell("read line"), &own);
    until(reactor, own.made);
    /* Neither the pipes of a sibling, nor what the host has open. */
    start(reactor, shell("ls /proc/$$/fd; true"), &other);
    until(reactor, other.ended);
    CHECK_STR(bytes_text(&other.out[1]), "0\n1\n2\n");
    until_over(&other, LARIAT_PROCESS_DONE);
    /* A program that the host starts itself has nothing of ours. */
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execl("/bin/sh", "sh", "-c", "for fd in /proc/$$/fd/*; do readlink $fd; done | grep -c -e pidfd -e eventpoll -e eventfd", (char *)NULL);
        _exit(127);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    char count[8] = {0};
    CHECK(read(ends[0], count, sizeof count - 1) > 0);
    CHECK_STR(count, "0\n");
    CHECK_INT(close(ends[0]) + close(ends[1]) + close(leaks), 0);
    CHECK_OK(lariat_process_close(own.process, 0));
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED); /* read met the end */
    reactor_done(reactor);
}

/* ---- fork, exec and exit of the host -------------------------------------------------------------------------------------------------------- */

static void use_the_parents(void *argument) {
    child *own = argument;
    CHECK_STATUS(lariat_process_pid(own->process), LARIAT_ERR_FORKED);
    CHECK_STATUS(lariat_process_signal(own->process, SIGKILL), LARIAT_ERR_FORKED);
    CHECK_STATUS(lariat_process_close(own->process, 0), LARIAT_ERR_FORKED);
    CHECK_NULL(lariat_process_transport(own->process, 1), LARIAT_ERR_FORKED);
    /* Children of its own it may have. */
    lariat_reactor *reactor = real_reactor();
    child other = {.name = "b"};
    start(reactor, shell("exit 7"), &other);
    until_over(&other, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(other.code, 7);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

TEST(f32_fork_with_children_alive) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    start(reactor, shell("read line; exit 3"), &own);
    until(reactor, own.made);
    CHECK_INT(run_in_child(use_the_parents, &own), 0);
    child_write(&own, "line\n");
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(own.code, 3);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

static void exit_with_children(void *unused) {
    (void)unused;
    lariat_reactor *reactor = real_reactor();
    static child children[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    for (int i = 0; i < 3; i++) start(reactor, shell("read line"), &children[i]);
    until(reactor, children[0].made);
    exit(42);
}

TEST(f49_exit_with_children_alive) { exits_in_child(exit_with_children, NULL); }

static void exec_with_children(void *unused) {
    (void)unused;
    lariat_reactor *reactor = real_reactor();
    static child own = {.name = "a"};
    start(reactor, shell("read line"), &own);
    until(reactor, own.made);
    execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
    _exit(127);
}

TEST(f49_exec_with_children_alive) { exits_in_child(exec_with_children, NULL); }
