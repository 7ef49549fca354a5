/* SEMANTICS.md, row 33: child processes. process_exited comes before process_ended, which waits for all the pipes; each exactly once; no
 * zombie is left. */
#include "processes.h"

/* ---- what they are told ------------------------------------------------------------------------------------------------------------ */

TEST(s33_output_exit_and_end_in_order) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a", .is_noted = 1};
    start(reactor, shell("echo out; echo err >&2; exit 3"), &own);
    CHECK_NOTES(""); /* nothing from inside the call */
    CHECK_INT(reactor_stats(reactor).processes, 1);
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&own.out[1]), "out\n");
    CHECK_STR(bytes_text(&own.out[2]), "err\n");
    CHECK_INT(own.closed, 3);
    CHECK_INT(own.code, 3);
    CHECK_INT(own.signal, 0);
    CHECK(strstr(own.message, "/bin/sh") && strstr(own.message, "ended with code 3"));
    CHECK(strncmp(test_notes.text, "a:made ", 7) == 0);
    CHECK(strstr(test_notes.text, "a!exited:PROCESS_TERMINATED"));
    CHECK(strstr(test_notes.text, " a!ended:PROCESS_TERMINATED free:a"));
    notes_clear();
    child_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

TEST(s33_a_clean_end_is_done) {
    lariat_reactor *reactor = real_reactor();
    lariat_process_options options = process_options();
    child own = {.name = "a"};
    options.program = "/bin/true";
    lariat_process *process = start(reactor, options, &own);
    int code = 7;
    CHECK_STATUS(lariat_process_exit_code(process, &code), LARIAT_EMPTY);
    CHECK_STATUS(lariat_process_exit_signal(process, &code), LARIAT_EMPTY);
    CHECK_INT(code, 7);
    CHECK_OK(lariat_reactor_run_until_idle(reactor)); /* which waits for it */
    CHECK_INT(own.code, 0);
    child_over(&own, LARIAT_PROCESS_DONE);
    CHECK_STATUS(lariat_process_pid(process), LARIAT_ERR_STALE_HANDLE);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

TEST(s33_every_function_may_be_null) {
    lariat_reactor *reactor = real_reactor();
    lariat_process_protocol protocol;
    CHECK_OK(lariat_process_protocol_init(&protocol, sizeof protocol));
    lariat_process_options options = shell("echo out; exit 1");
    CHECK(lariat_reactor_spawn(reactor, &options, &protocol, NULL) != NULL);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

/* ---- input ------------------------------------------------------------------------------------------------------------------------- */

TEST(s33_input_goes_in_and_its_end_too) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    start(reactor, shell("cat; echo over"), &own);
    child_write(&own, "before it is made, ");
    until(reactor, own.made);
    child_write(&own, "after\n");
    CHECK_OK(lariat_process_close(own.process, 0));
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&own.out[1]), "before it is made, after\nover\n");
    until_over(&own, LARIAT_PROCESS_DONE);
    reactor_done(reactor);
}

TEST(s33_megabytes_through_a_child) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    size_t length = many(4 << 20);
    uint8_t *pattern = pattern_new(length, 3);
    start(reactor, shell("exec cat"), &own);
    CHECK_OK(lariat_process_write(own.process, 0, pattern, length));
    CHECK_OK(lariat_process_close(own.process, 0)); /* once all is written */
    until(reactor, own.ended);
    CHECK_INT(own.came, length);
    CHECK_PATTERN(own.out[1].data, length, 3);
    until_over(&own, LARIAT_PROCESS_DONE);
    free(pattern);
    reactor_done(reactor);
}

TEST(s33_a_child_that_does_not_read_is_no_signal) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    uint8_t *pattern = pattern_new(1 << 20, 3);
    start(reactor, shell("exec <&-; echo closed; exec sleep 100"), &own);
    until(reactor, own.came);
    lariat_status wrote = lariat_process_write(own.process, 0, pattern, 1 << 20);
    CHECK_EITHER(wrote, LARIAT_OK, LARIAT_ERR_CLOSED);
    until(reactor, own.closed);
    CHECK_STATUS(lariat_process_write(own.process, 0, pattern, 1), LARIAT_ERR_CLOSED);
    CHECK_OK(lariat_process_signal(own.process, SIGKILL));
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(own.signal, SIGKILL);
    CHECK_INT(own.code, -1);
    free(pattern);
    reactor_done(reactor);
}

/* ---- what is started -------------------------------------------------------------------------------------------------------------- */

static const char *said(child *own, lariat_process_options options) {
    static char text[512];
    lariat_reactor *reactor = real_reactor();
    *own = (child){.name = "said"};
    start(reactor, options, own);
    until(reactor, own->ended);
    snprintf(text, sizeof text, "%s", bytes_text(&own->out[1]));
    until(reactor, own->freed);
    for (int i = 0; i < 4; i++) bytes_free(&own->out[i]);
    reactor_done(reactor);
    return text;
}

TEST(s33_arguments_environment_and_directory) {
    const char *arguments[] = {"own name", "-c", "echo \"$0|$1|$2|$A|$HOME|$(pwd)\"", "zero", "one two", "", NULL};
    const char *environment[] = {"A=1", "PATH=/bin:/usr/bin", NULL};
    lariat_process_options options = process_options();
    child own;
    options.program = "/bin/sh";
    options.arguments = arguments;
    options.environment = environment;
    options.directory = "/usr";
    CHECK_STR(said(&own, options), "zero|one two||1||/usr\n");
}

TEST(s33_the_environment_of_the_host_unless_said) {
    child own;
    CHECK_INT(setenv("LARIAT_TEST_WORD", "ours", 1), 0);
    CHECK_STR(said(&own, shell("echo $LARIAT_TEST_WORD")), "ours\n");
}

TEST(s33_a_program_is_searched_for_in_the_path_of_its_environment) {
    const char *environment[] = {"PATH=/no/such:/bin:/usr/bin", NULL}, *elsewhere[] = {"PATH=/no/such", NULL};
    const char *arguments[] = {"sh", "-c", "echo found", NULL};
    lariat_process_options options = process_options();
    child own;
    options.program = "sh";
    options.arguments = arguments;
    options.environment = environment;
    options.flags = LARIAT_PROCESS_SEARCH_PATH;
    CHECK_STR(said(&own, options), "found\n");
    options.environment = NULL;
    CHECK_STR(said(&own, options), "found\n");
    lariat_reactor *reactor = real_reactor();
    options.environment = elsewhere;
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_NOT_FOUND);
    CHECK(strstr(lariat_last_error_message(), "starting sh: it is in no folder of PATH"));
    reactor_done(reactor);
}

TEST(s33_pipes_at_any_numbers) {
    lariat_process_descriptor descriptors[] = {
        {.child_fd = 5, .kind = LARIAT_DESCRIPTOR_PIPE_IN},
        {.child_fd = 3, .kind = LARIAT_DESCRIPTOR_PIPE_OUT},
        {.child_fd = 1, .kind = LARIAT_DESCRIPTOR_PIPE_OUT},
    };
    lariat_reactor *reactor = real_reactor();
    lariat_process_options options = shell("cat <&5 >&3; read line || echo null; echo lost >&2");
    child own = {.name = "a"};
    options.descriptors = descriptors;
    options.descriptor_count = 3;
    start(reactor, options, &own);
    memset(descriptors, 0x55, sizeof descriptors); /* they were copied */
    CHECK_OK(lariat_process_write(own.process, 5, (const uint8_t *)"five", 4));
    CHECK_OK(lariat_process_close(own.process, 5));
    CHECK_STATUS(lariat_process_write(own.process, 0, (const uint8_t *)"x", 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_process_transport(own.process, 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_process_write(own.process, 3, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED); /* it is only read */
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&own.out[3]), "five");
    CHECK_STR(bytes_text(&own.out[1]), "null\n");
    CHECK_INT(own.closed, 3);
    until_over(&own, LARIAT_PROCESS_DONE);
    reactor_done(reactor);
}

TEST(s33_files_null_and_what_is_inherited) {
    char path[64], line[64] = {0};
    int ends[2];
    pipe_new(ends);
    snprintf(path, sizeof path, "process-%d.txt", (int)getpid());
    lariat_process_descriptor descriptors[] = {
        {.child_fd = 0, .kind = LARIAT_DESCRIPTOR_NULL},
        {.child_fd = 1, .kind = LARIAT_DESCRIPTOR_FILE_WRITE, .path = path},
        {.child_fd = 7, .kind = LARIAT_DESCRIPTOR_INHERIT, .fd = ends[1]},
    };
    lariat_reactor *reactor = real_reactor();
    for (int round = 0; round < 2; round++) {
        lariat_process_options options = shell("echo line; cat >&7; echo inherited >&7");
        child own = {.name = "a"};
        options.descriptors = descriptors;
        options.descriptor_count = 3;
        start(reactor, options, &own);
        until_over(&own, LARIAT_PROCESS_DONE);
        CHECK_INT(read(ends[0], line, sizeof line), 10);
        CHECK_INT(memcmp(line, "inherited\n", 10), 0);
        descriptors[1].kind = LARIAT_DESCRIPTOR_FILE_APPEND;
    }
    CHECK(fcntl(ends[1], F_GETFL) & O_NONBLOCK); /* the host's, as it was */
    lariat_process_options options = shell("cat");
    child own = {.name = "b"};
    descriptors[0] = (lariat_process_descriptor){.child_fd = 0, .kind = LARIAT_DESCRIPTOR_FILE_READ, .path = path};
    descriptors[1] = (lariat_process_descriptor){.child_fd = 1, .kind = LARIAT_DESCRIPTOR_PIPE_OUT};
    options.descriptors = descriptors;
    options.descriptor_count = 2;
    start(reactor, options, &own);
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&own.out[1]), "line\nline\n");
    until_over(&own, LARIAT_PROCESS_DONE);
    CHECK_INT(unlink(path), 0);
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_NOT_FOUND);
    CHECK(strstr(lariat_last_error_message(), path) && strstr(lariat_last_error_message(), "descriptor 0"));
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(s33_a_session_and_a_group_of_its_own) {
    const char *ids = "read pid comm state parent group session rest < /proc/$$/stat; echo $((pid == group)) $((pid == session))";
    child own;
    lariat_process_options options = shell(ids);
    CHECK_STR(said(&own, options), "0 0\n");
    options = shell(ids);
    options.flags = LARIAT_PROCESS_NEW_GROUP;
    CHECK_STR(said(&own, options), "1 0\n");
    options.flags = LARIAT_PROCESS_NEW_SESSION;
    CHECK_STR(said(&own, options), "1 1\n");
}

TEST(s33_another_user_and_group) {
    child own;
    lariat_process_options options = shell("echo $(id -u) $(id -g) $(id -G)");
    options.uid = options.gid = 65534;
    if (getuid() != 0) {
        lariat_reactor *reactor = real_reactor();
        CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_PERMISSION_DENIED);
        CHECK(strstr(lariat_last_error_message(), "starting /bin/sh as user 65534, group 65534"));
        reactor_done(reactor);
        return;
    }
    CHECK_STR(said(&own, options), "65534 65534 65534\n");
}

TEST(s33_signals_are_as_the_system_has_them) {
    child own;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    said(&own, shell("kill -USR1 $$; sleep 100"));
    CHECK_INT(own.signal, SIGUSR1);
    said(&own, shell("kill -PIPE $$; sleep 100"));
    CHECK_INT(own.signal, SIGPIPE);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    CHECK_INT(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

/* ---- terminals -------------------------------------------------------------------------------------------------------------------- */

TEST(s33_a_terminal) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    lariat_process_options options = shell("stty -echo; stty size; tty > /dev/null && echo terminal; read word; echo got $word");
    options.flags = LARIAT_PROCESS_TERMINAL;
    options.columns = 99;
    options.rows = 33;
    start(reactor, options, &own);
    CHECK_PTR(lariat_process_transport(own.process, 0), lariat_process_transport(own.process, 2));
    until(reactor, own.came && strstr(bytes_text(&own.out[1]), "terminal\r\n"));
    child_write(&own, "word\n");
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&own.out[1]), "33 99\r\nterminal\r\ngot word\r\n");
    CHECK_INT(own.closed, 1);
    until_over(&own, LARIAT_PROCESS_DONE);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

TEST(s33_a_terminal_that_is_closed_hangs_up) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    lariat_process_options options = shell("echo ready; read line; exec sleep 100");
    options.flags = LARIAT_PROCESS_TERMINAL;
    start(reactor, options, &own);
    until(reactor, own.came);
    CHECK_OK(lariat_process_close(own.process, 0));
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(own.signal, SIGHUP);
    reactor_done(reactor);
}

/* ---- its streams ------------------------------------------------------------------------------------------------------------------- */

TEST(s33_a_stream_is_paused_and_framed) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    start(reactor, shell("read line; printf 'one\\ntwo\\nthr'; read line; printf 'ee\\n'"), &own);
    lariat_transport *out = lariat_process_transport(own.process, 1);
    CHECK(out != NULL);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_set_line_framing(out, (const uint8_t *)"\n", 1, 100));
    CHECK_OK(lariat_transport_pause_reading(out));
    child_write(&own, "\n");
    turns(reactor, 20);
    CHECK_INT(own.came, 0);
    CHECK_OK(lariat_transport_resume_reading(out));
    until(reactor, own.came == 6);
    CHECK_STR(bytes_text(&own.out[1]), "onetwo");
    child_write(&own, "\n");
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&own.out[1]), "onetwothree");
    until_over(&own, LARIAT_PROCESS_DONE);
    reactor_done(reactor);
}

TEST(s33_another_protocol_for_a_stream) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    side other = {.name = "other", .made = 1};
    lariat_protocol protocol = side_protocol(0);
    start(reactor, shell("echo out; echo err >&2"), &own);
    other.transport = lariat_process_transport(own.process, 1);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_set_protocol(other.transport, &protocol, &other));
    until(reactor, own.ended);
    CHECK_STR(bytes_text(&other.got), "out\n");
    CHECK_STR(bytes_text(&own.out[2]), "err\n");
    CHECK_INT(own.out[1].length, 0);
    CHECK_INT(own.closed, 3);
    side_over(&other, LARIAT_CONNECTION_DONE);
    until_over(&own, LARIAT_PROCESS_DONE);
    reactor_done(reactor);
}

/* ---- ending it --------------------------------------------------------------------------------------------------------------------- */

TEST(s33_it_is_asked_to_end_and_killed_if_it_does_not) {
    lariat_reactor *reactor = real_reactor();
    child polite = {.name = "polite"}, stubborn = {.name = "stubborn"};
    start(reactor, shell("echo ready; exec sleep 100"), &polite);
    start(reactor, shell("trap '' TERM; echo ready; while :; do sleep 1; done"), &stubborn);
    until(reactor, polite.came && stubborn.came);
    CHECK_OK(lariat_process_terminate(polite.process, 100));
    CHECK_OK(lariat_process_terminate(stubborn.process, 0.02));
    until(reactor, polite.exited && stubborn.exited);
    CHECK_INT(polite.signal, SIGTERM);
    CHECK_INT(stubborn.signal, SIGKILL);
    CHECK_OK(lariat_process_lose_connection(stubborn.process)); /* its sleep has the pipes */
    until_over(&polite, LARIAT_ERR_PROCESS_TERMINATED);
    until_over(&stubborn, LARIAT_ERR_PROCESS_TERMINATED);
    reactor_done(reactor);
}

TEST(s33_a_whole_group_is_signalled) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    lariat_process_options options = shell("sleep 100 & sleep 100 & echo ready; wait");
    options.flags = LARIAT_PROCESS_NEW_GROUP;
    start(reactor, options, &own);
    until(reactor, own.came);
    CHECK_OK(lariat_process_signal_group(own.process, SIGKILL));
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED); /* all who have its pipes are gone */
    child other = {.name = "b"};
    start(reactor, shell("echo ready; exec sleep 100"), &other);
    until(reactor, other.came);
    CHECK_STATUS(lariat_process_signal_group(other.process, SIGKILL), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_process_signal(other.process, 65), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_process_signal(other.process, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_process_signal(other.process, 0));
    CHECK_OK(lariat_process_terminate(other.process, 0));
    until_over(&other, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(other.signal, SIGKILL);
    reactor_done(reactor);
}

TEST(s33_a_group_ends_with_its_leader) {
    lariat_reactor *reactor = real_reactor();
    child own = {.name = "a"};
    lariat_process_options options = shell("sleep 100 & exit 5");
    options.flags = LARIAT_PROCESS_NEW_GROUP | LARIAT_PROCESS_KILL_GROUP;
    start(reactor, options, &own);
    until_over(&own, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(own.code, 5);
    reactor_done(reactor);
}

TEST(s33_a_time_limit) {
    lariat_reactor *reactor = manual_reactor();
    child own = {.name = "a"};
    lariat_process_options options = shell("echo ready; exec sleep 100");
    options.time_limit = 3;
    start(reactor, options, &own);
    until(reactor, own.came);
    advance(reactor, 2.9);
    CHECK_INT(own.exited, 0);
    advance(reactor, 0.2);
    until_over(&own, LARIAT_ERR_TIMED_OUT);
    CHECK_INT(own.signal, SIGTERM);
    CHECK(strstr(own.message, "its time was up"));
    /* One that does not end is killed, and its pipes are closed though others have them. */
    child stubborn = {.name = "b"};
    options = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
    options.time_limit = 3;
    options.kill_after = 2;
    start(reactor, options, &stubborn);
    until(reactor, stubborn.came);
    advance(reactor, 3);
    advance(reactor, 1.9);
    CHECK_INT(stubborn.exited, 0);
    advance(reactor, 0.2);
    until_over(&stubborn, LARIAT_ERR_TIMED_OUT);
    CHECK_INT(stubborn.signal, SIGKILL);
    reactor_done(reactor);
}

TEST(s33_the_end_of_a_scope) {
    lariat_reactor *reactor = real_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    child own = {.name = "a", .is_noted = 1}, killed = {.name = "b"}, early = {.name = "c"};
    CHECK_OK(lariat_scope_enter(scope));
    start(reactor, shell("echo ready; read line; exit 3"), &own);
    lariat_process_options options = shell("echo ready; exec sleep 100");
    options.flags = LARIAT_PROCESS_KILL_AT_END;
    start(reactor, options, &killed);
    CHECK_OK(lariat_scope_leave(scope));
    until(reactor, own.came && killed.came);
    CHECK_OK(lariat_scope_enter(scope));
    start(reactor, options, &early); /* which was not made yet */
    CHECK_OK(lariat_scope_leave(scope));
    notes_clear();
    CHECK_OK(lariat_scope_free(scope));
    CHECK(noted("a!exited:CLOSED a!ended:CLOSED free:a"));
    notes_clear();
    child_over(&own, LARIAT_ERR_CLOSED);
    child_over(&killed, LARIAT_ERR_PROCESS_TERMINATED);
    CHECK_INT(killed.signal, SIGKILL);
    child_over(&early, LARIAT_ERR_PROCESS_TERMINATED);
    /* The first reads an end and exits; its reactor still waits for it, and nobody is told. */
    CHECK_INT(reactor_stats(reactor).processes, 1);
    until(reactor, reactor_stats(reactor).processes == 0);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

/* ---- events ------------------------------------------------------------------------------------------------------------------------ */

TEST(s33_events) {
    lariat_reactor *reactor = real_reactor();
    lariat_process_options options = shell("read word; echo $word; exec >&-; read word; exit 4");
    lariat_process *process = lariat_reactor_spawn_event(reactor, &options, 77);
    lariat_event event;
    bytes got = {0};
    int closed = 0, exited = 0, ended = 0;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK(process != NULL);
    CHECK_OK(lariat_process_write(process, 0, (const uint8_t *)"word\n", 5));
    double deadline = seconds_now() + patience();
    while (!ended) {
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "no end");
        CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
        while (lariat_reactor_next_event(reactor, &event) == LARIAT_OK) {
            CHECK_INT(event.tag, 77);
            CHECK_PTR(event.source, process);
            if (event.kind == LARIAT_EVENT_CHILD_DATA_RECEIVED) {
                CHECK_INT(event.child_fd, 1);
                bytes_add(&got, event.data, event.len);
            } else if (event.kind == LARIAT_EVENT_CHILD_CONNECTION_LOST) {
                CHECK(lariat_failure_code(event.failure) < 0);
                closed |= 1 << event.child_fd;
                if (event.child_fd == 1) CHECK_OK(lariat_process_close(process, 0));
            } else if (event.kind == LARIAT_EVENT_PROCESS_EXITED) {
                CHECK_INT(lariat_failure_exit_code(event.failure), 4);
                exited++;
            } else if (event.kind == LARIAT_EVENT_PROCESS_ENDED) {
                CHECK_INT(lariat_failure_code(event.failure), LARIAT_ERR_PROCESS_TERMINATED);
                CHECK_INT(exited, 1);
                ended++;
            } else {
                test_fail(__FILE__, __LINE__, "event %d", (int)event.kind);
            }
        }
    }
    CHECK_INT(closed, 7);
    CHECK_STR(bytes_text(&got), "word\n");
    CHECK_STATUS(lariat_process_pid(process), LARIAT_ERR_STALE_HANDLE);
    bytes_free(&got);
    reactor_done(reactor);
}

TEST(s33_a_full_queue_pauses_reading) {
    lariat_reactor_options small = reactor_options();
    small.max_events = 4;
    lariat_reactor *reactor = reactor_with(small);
    lariat_process_options options = shell("exec yes");
    lariat_process *process = lariat_reactor_spawn_event(reactor, &options, 1);
    CHECK(process != NULL);
    until(reactor, reactor_stats(reactor).events >= 4);
    turns(reactor, 50);
    CHECK(reactor_stats(reactor).events <= 5);
    CHECK_OK(lariat_process_terminate(process, 0));
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    double deadline = seconds_now() + patience();
    do {
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "no end");
        lariat_status status = lariat_reactor_next_event(reactor, &event);
        if (status == LARIAT_EMPTY) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    } while (event.kind != LARIAT_EVENT_PROCESS_ENDED);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    reactor_done(reactor);
}

/* ---- collected output ---------------------------------------------------------------------------------------------------------------- */

static void *note_output(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    const uint8_t *out, *err;
    size_t out_length, err_length;
    int code, number;
    if (failure) {
        note("%s!%s", (char *)user_data, failure_label(failure));
        return NULL;
    }
    CHECK_OK(lariat_process_output_data(value, 1, &out, &out_length));
    CHECK_OK(lariat_process_output_data(value, 2, &err, &err_length));
    CHECK_STATUS(lariat_process_output_data(value, 5, &err, &err_length), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_process_output_exit_code(value, &code));
    CHECK_OK(lariat_process_output_exit_signal(value, &number));
    note("%s=%.*s|%.*s|%d|%d", (char *)user_data, (int)out_length, (const char *)out, (int)err_length, (const char *)err, code, number);
    return NULL;
}

static lariat_deferred *run_noted(lariat_reactor *reactor, lariat_process_options options, const char *input, uint64_t most, const char *name) {
    lariat_deferred *deferred = lariat_reactor_run_process(reactor, &options, (const uint8_t *)input, strlen(input), most);
    if (!deferred) test_fail(__FILE__, __LINE__, "not run: %s", lariat_last_error_message());
    CHECK_OK(lariat_deferred_add_both(deferred, note_output, (void *)(uintptr_t)name));
    return deferred;
}

TEST(s33_output_is_collected) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_deferred_release(run_noted(reactor, shell("printf out; printf err >&2; exit 2"), "", 0, "a")));
    until(reactor, noted("a="));
    CHECK_NOTES("a=out|err|2|0");
    CHECK_OK(lariat_deferred_release(run_noted(reactor, shell("cat"), "input", 0, "b")));
    until(reactor, noted("b="));
    CHECK_NOTES("b=input||0|0");
    CHECK_OK(lariat_deferred_release(run_noted(reactor, shell("cat; kill -9 $$"), "", 0, "c"))); /* nothing to read */
    until(reactor, noted("c="));
    CHECK_NOTES("c=||-1|9");
    CHECK_OK(lariat_deferred_release(run_noted(reactor, shell("exec true"), "not read", 0, "d")));
    until(reactor, noted("d="));
    CHECK_NOTES("d=||0|0");
    turns(reactor, 2);
    CHECK_NO_CHILDREN();
    reactor_done(reactor);
}

TEST(s33_output_that_is_taken_is_freed_by_hand) {
    lariat_reactor *reactor = real_reactor();
    lariat_process_options options = shell("printf out");
    lariat_deferred *deferred = lariat_reactor_run_process(reactor, &options, NULL, 0, 0);
    until(reactor, lariat_deferred_called(deferred) == 1);
    lariat_process_output *output = lariat_deferred_take(deferred);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(reactor_stats(reactor).process_outputs, 1);
    CHECK_OK(lariat_process_output_exit_code(output, NULL));
    CHECK_OK(lariat_process_output_free(output));
    CHECK_STATUS(lariat_process_output_free(output), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(s33_too_much_output_too_long_and_cancelled) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_deferred_release(run_noted(reactor, shell("exec yes"), "", 100000, "a")));
    until(reactor, noted("a!"));
    CHECK_NOTES("a!LIMIT");
    lariat_process_options options = shell("sleep 100 & exec sleep 100");
    options.time_limit = 0.01;
    CHECK_OK(lariat_deferred_release(run_noted(reactor, options, "", 0, "b")));
    until(reactor, noted("b!"));
    CHECK_NOTES("b!TIMED_OUT");
    lariat_deferred *deferred = run_noted(reactor, shell("exec sleep 100"), "", 0, "c");
    turns(reactor, 3);
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("c!CANCELLED");
    CHECK_OK(lariat_deferred_release(deferred));
    until(reactor, reactor_stats(reactor).processes == 0);
    CHECK_NO_CHILDREN();
    /* With its reactor it is killed. */
    CHECK_OK(lariat_deferred_release(run_noted(reactor, shell("trap '' TERM; echo; sleep 100"), "", 0, "d")));
    turns(reactor, 3);
    free_reactor(reactor);
    CHECK_NOTES("d!CANCELLED");
    CHECK_NO_CHILDREN();
}

TEST(s33_input_needs_a_pipe) {
    lariat_process_descriptor descriptor = {.child_fd = 0, .kind = LARIAT_DESCRIPTOR_NULL};
    lariat_reactor *reactor = real_reactor();
    lariat_process_options options = shell("cat");
    options.descriptors = &descriptor;
    options.descriptor_count = 1;
    CHECK_NULL(lariat_reactor_run_process(reactor, &options, (const uint8_t *)"x", 1, 0), LARIAT_ERR_INVALID_ARGUMENT);
    options.program = "/no/such/program";
    CHECK_NULL(lariat_reactor_run_process(reactor, &options, NULL, 0, 0), LARIAT_ERR_NOT_FOUND);
    reactor_done(reactor);
}

TEST(s33_a_simulated_reactor_has_no_children) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    lariat_process_options options = shell("true");
    lariat_process_protocol protocol = child_protocol();
    child own = {.name = "a"};
    CHECK_NULL(lariat_reactor_spawn(reactor, &options, &protocol, &own), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_INT(own.freed, 1);
    CHECK_NULL(lariat_reactor_spawn_event(reactor, &options, 1), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_run_process(reactor, &options, NULL, 0, 0), LARIAT_ERR_NOT_SUPPORTED);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}
