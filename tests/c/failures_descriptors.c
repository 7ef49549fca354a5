/* The failure catalogue for streams that are no sockets: SIGPIPE, signals, fork, exec, full buffers, and what is closed where it hurts. */
#include "plain_streams.h"
#include "every_kind.h"
#include <signal.h>
#include <sys/time.h>

/* ---- 8: closed inside its own callback ---------------------------------------------------------------------------------------------- */

static void abort_own(side *own) { CHECK_OK(lariat_transport_abort_connection(own->transport)); }

TEST(f8_a_pipe_aborted_inside_its_own_callback) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r", .is_noted = 1, .on_data = abort_own};
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "once");
    adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    until(reactor, own.freed);
    CHECK_NOTES("r:made r=once r!CONNECTION_ABORTED free:r");
    CHECK_INT(close(ends[1]), 0);
    side_over(&own, LARIAT_ERR_CONNECTION_ABORTED);
    reactor_done(reactor);
}

TEST(f8_a_file_aborted_inside_its_own_callback) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    side own = {.name = "f", .on_data = abort_own};
    CHECK(lariat_reactor_open_file_stream(reactor, "/dev/zero", LARIAT_FILE_READ, 0, &protocol, &own) != NULL);
    until(reactor, own.freed);
    CHECK_INT(own.calls, 1);
    side_over(&own, LARIAT_ERR_CONNECTION_ABORTED);
    jobs_over(reactor);
    reactor_done(reactor);
}

/* ---- 9: a sibling of the same batch -------------------------------------------------------------------------------------------------- */

static void abort_other(side *own) {
    side *other = own->more;
    if (other->transport) CHECK_OK(lariat_transport_abort_connection(other->transport));
}

TEST(f9_a_pipe_that_a_sibling_of_its_batch_closes_is_not_told) {
    lariat_reactor *reactor = manual_reactor();
    side one = {.name = "1", .on_data = abort_other}, other = {.name = "2", .on_data = abort_other};
    int ends[2][2];
    one.more = &other;
    other.more = &one;
    for (int i = 0; i < 2; i++) {
        pipe_new(ends[i]);
        adopt(reactor, ends[i][0], LARIAT_READABLE, PLAIN, i ? &other : &one);
    }
    until(reactor, one.made && other.made);
    for (int i = 0; i < 2; i++) write_bytes(ends[i][1], "x");
    until(reactor, one.freed || other.freed);
    CHECK_INT(one.calls + other.calls, 1);
    for (int i = 0; i < 2; i++) CHECK_INT(close(ends[i][1]), 0);
    until(reactor, one.freed && other.freed);
    side_over(&one, one.calls ? LARIAT_CONNECTION_DONE : LARIAT_ERR_CONNECTION_ABORTED);
    side_over(&other, other.calls ? LARIAT_CONNECTION_DONE : LARIAT_ERR_CONNECTION_ABORTED);
    reactor_done(reactor);
}

/* ---- 22, 56: one that floods --------------------------------------------------------------------------------------------------------- */

static void count_turn(void *user_data) { ++*(int *)user_data; }

TEST(f22_a_device_that_floods_leaves_turns_to_others) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    side own = {.name = "f", .kept = 1};
    int served = 0;
    lariat_transport *transport = lariat_reactor_open_file_stream(reactor, "/dev/zero", LARIAT_FILE_READ, 0, &protocol, &own);
    CHECK(transport != NULL);
    for (int i = 1; i <= 20; i++) {
        CHECK(lariat_reactor_call_later(reactor, 0, count_turn, &served) != NULL);
        until(reactor, served == i);
    }
    CHECK_OK(lariat_transport_abort_connection(transport));
    until(reactor, own.freed);
    side_over(&own, LARIAT_ERR_CONNECTION_ABORTED);
    jobs_over(reactor);
    reactor_done(reactor);
}

TEST(f56_a_full_queue_of_events_pauses_a_file) {
    lariat_reactor_options options = reactor_options();
    options.max_events = 4;
    lariat_reactor *reactor = reactor_with(options);
    lariat_event event;
    size_t came = 0;
    int32_t kind = 0;
    folder one = folder_new();
    uint8_t *data = pattern_new(3 * MEGABYTE, 1);
    write_file(in_folder(&one, "file"), data, 3 * MEGABYTE);
    CHECK_OK(lariat_event_init(&event, sizeof event));
    CHECK(lariat_reactor_open_file_stream_event(reactor, in_folder(&one, "file"), LARIAT_FILE_READ, 0, 7) != NULL);
    turns(reactor, 50);
    CHECK(reactor_stats(reactor).events <= 5);
    while (kind != LARIAT_EVENT_CONNECTION_LOST) {
        lariat_status status = LARIAT_EMPTY;
        until(reactor, (status = lariat_reactor_next_event(reactor, &event)) != LARIAT_EMPTY);
        kind = event.kind;
        if (kind == LARIAT_EVENT_DATA_RECEIVED) {
            CHECK_INT(memcmp(event.data, data + came, event.len), 0);
            came += event.len;
        }
    }
    CHECK_INT(came, 3 * MEGABYTE);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    folder_end(&one, "file");
    free(data);
    jobs_over(reactor);
    reactor_done(reactor);
}

/* ---- 25, 33: signals while it reads and writes --------------------------------------------------------------------------------------- */

static volatile sig_atomic_t alarms;
static void on_alarm(int signo) {
    (void)signo;
    alarms++;
}

TEST(f33_signals_lose_nothing_of_a_pipe) {
    lariat_reactor *reactor = real_reactor();
    side in = {.name = "r"}, out = {.name = "w"};
    size_t length = 4 * MEGABYTE;
    uint8_t *data = pattern_new(length, 5);
    int ends[2];
    struct sigaction action = {.sa_handler = on_alarm}; /* calls are interrupted, not restarted */
    long every = is_under("valgrind") ? 20000 : 500; /* there the call of a handler may take longer than that, and nothing else is done */
    struct itimerval often = {{0, every}, {0, every}}, never = {{0, 0}, {0, 0}};
    blocking_pipe(ends);
    CHECK_INT(sigaction(SIGVTALRM, &action, NULL), 0);
    CHECK_INT(setitimer(ITIMER_VIRTUAL, &often, NULL), 0);
    adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &in);
    lariat_transport *writer = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &out);
    until(reactor, in.made && out.made);
    CHECK_OK(lariat_transport_write(writer, data, length));
    until(reactor, in.came == length);
    for (double deadline = seconds_now() + patience(); !alarms && seconds_now() < deadline;) {}
    CHECK(alarms > 0);
    CHECK_OK(lariat_transport_lose_connection(writer));
    until(reactor, in.freed && out.freed);
    CHECK_INT(setitimer(ITIMER_VIRTUAL, &never, NULL), 0);
    CHECK_PATTERN(in.got.data, length, 5);
    side_over(&in, LARIAT_CONNECTION_DONE);
    side_over(&out, LARIAT_CONNECTION_DONE);
    free(data);
    reactor_done(reactor);
}

/* ---- 27: SIGPIPE --------------------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t pipes_broken;
static void on_pipe(int signo) {
    (void)signo;
    pipes_broken++;
}

/* The host has a handler of its own: it is not called for the library's writes, and still for the host's. */
TEST(f27_a_handler_of_the_host_hears_of_its_own_writes_alone) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "w"};
    int ends[2];
    signal(SIGPIPE, on_pipe);
    pipe_new(ends);
    int kept = dup(ends[1]);
    CHECK_INT(close(ends[0]), 0);
    lariat_transport *transport = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &own);
    write_text(transport, "lost");
    until(reactor, own.freed);
    CHECK_INT(pipes_broken, 0);
    CHECK_INT(write(kept, "x", 1), -1);
    CHECK_INT(pipes_broken, 1);
    CHECK_INT(close(kept), 0);
    side_over(&own, LARIAT_ERR_CONNECTION_LOST);
    reactor_done(reactor);
}

/* 57 too: a part of a file is sent into a pipe. */
static void sends_a_file(int is_read, int is_old, int32_t reason) {
    lariat_reactor *reactor = real_reactor();
    folder one = folder_new();
    side own = {.name = "w"};
    bytes all = {0};
    size_t length = 200 * KILOBYTE;
    uint8_t *data = pattern_new(length, 6), some[4096];
    int ends[2];
    write_file(in_folder(&one, "file"), data, length);
    int file = open(in_folder(&one, "file"), O_RDONLY | O_CLOEXEC);
    if (is_old) old_system();
    pipe_new(ends);
    lariat_transport *transport = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &own);
    until(reactor, own.made);
    if (!is_read) CHECK_INT(close(ends[0]), 0);
    lariat_deferred *sent = lariat_transport_send_file(transport, file, 0, length);
    CHECK(sent != NULL);
    CHECK_OK(lariat_deferred_add_errback(sent, quiet_failure, NULL));
    CHECK_OK(lariat_deferred_release(sent));
    if (is_read) CHECK_OK(lariat_transport_lose_connection(transport));
    for (double deadline = seconds_now() + patience(); !own.freed || (is_read && all.length < length);) {
        ssize_t got = is_read ? read(ends[0], some, sizeof some) : -1;
        if (got > 0) bytes_add(&all, some, (size_t)got);
        else test_turn_for(__FILE__, __LINE__, "the end", reactor, deadline);
    }
    if (is_read) {
        CHECK_INT(all.length, length);
        CHECK_PATTERN(all.data, length, 6);
        CHECK_INT(close(ends[0]), 0);
    }
    side_over(&own, reason);
    CHECK_INT(close(file), 0);
    folder_end(&one, "file");
    bytes_free(&all);
    free(data);
    reactor_done(reactor);
}

TEST(f57_a_file_goes_through_a_pipe) { sends_a_file(1, 0, LARIAT_CONNECTION_DONE); }
TEST(f57_a_file_into_a_pipe_that_nobody_reads) { sends_a_file(0, 0, LARIAT_ERR_CONNECTION_LOST); }
TEST(f57_on_an_old_system_a_file_goes_through_a_pipe) { sends_a_file(1, 1, LARIAT_CONNECTION_DONE); }
TEST(f57_on_an_old_system_a_file_into_a_pipe_that_nobody_reads) { sends_a_file(0, 1, LARIAT_ERR_CONNECTION_LOST); }

/* ---- 30: a pipe that nobody empties -------------------------------------------------------------------------------------------------- */

TEST(f30_a_pipe_at_its_cap_accepts_nothing) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "w"};
    uint8_t *data = pattern_new(MEGABYTE, 1);
    int ends[2];
    blocking_pipe(ends);
    lariat_transport *transport = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &own);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_set_max_buffer(transport, 64 * KILOBYTE));
    CHECK_OK(lariat_transport_write(transport, data, 64 * KILOBYTE)); /* fills the pipe */
    turns(reactor, 3);
    lariat_status status = LARIAT_OK;
    for (int i = 0; i < 100 && status == LARIAT_OK; i++) status = lariat_transport_write(transport, data, 10 * KILOBYTE);
    CHECK_STATUS(status, LARIAT_ERR_BUFFER_FULL);
    CHECK_OK(lariat_transport_abort_connection(transport));
    until(reactor, own.freed);
    CHECK_INT(close(ends[0]), 0);
    side_over(&own, LARIAT_ERR_CONNECTION_ABORTED);
    free(data);
    reactor_done(reactor);
}

/* ---- 32: fork without exec ----------------------------------------------------------------------------------------------------------- */

static void use_the_parents(void *transport) {
    CHECK_STATUS(lariat_transport_write(transport, (const uint8_t *)"x", 1), LARIAT_ERR_FORKED);
    CHECK_STATUS(lariat_transport_set_terminal_mode(transport, LARIAT_TERMINAL_COOKED), LARIAT_ERR_FORKED);
    CHECK_OK(lariat_terminal_restore());
}

TEST(f32_a_child_leaves_the_parents_pipe_alone) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r"};
    int ends[2];
    pipe_new(ends);
    lariat_transport *transport = adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    until(reactor, own.made);
    CHECK_INT(run_in_child(use_the_parents, transport), 0);
    write_bytes(ends[1], "still");
    until(reactor, own.calls == 1);
    CHECK_INT(close(ends[1]), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* A child has the terminal for itself, and puts it back as it found it: as the parent wants it. */
static void change_it_too(void *path) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "c"};
    int terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios before = settings_of(terminal), now;
    adopt(reactor, dup(terminal), LARIAT_WRITABLE, PLAIN, &own);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_set_terminal_mode(own.transport, LARIAT_TERMINAL_RAW));
    now = settings_of(terminal);
    CHECK(!same_settings(&now, &before));
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed);
    now = settings_of(terminal);
    CHECK(same_settings(&now, &before));
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
    CHECK_INT(close(terminal), 0);
}

TEST(f32_a_child_puts_a_terminal_back_as_its_parent_wants_it) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    struct termios before = settings_of(one.terminal), now;
    side own = {.name = "p"};
    adopt(reactor, dup(one.terminal), LARIAT_READABLE, PLAIN, &own);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_set_terminal_mode(own.transport, LARIAT_TERMINAL_KEYS));
    CHECK_INT(run_in_child(change_it_too, one.path), 0);
    now = settings_of(one.terminal);
    CHECK((now.c_lflag & (ICANON | ISIG)) == ISIG);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed);
    now = settings_of(one.terminal);
    CHECK(same_settings(&now, &before));
    side_over(&own, LARIAT_CONNECTION_DONE);
    pty_close(&one);
    reactor_done(reactor);
}

/* ---- 35: descriptors across exec ----------------------------------------------------------------------------------------------------- */

TEST(f35_nothing_is_open_in_a_program_that_is_executed) {
    if (part()) {
        CHECK_INT(descriptors_open(), atoi(part()));
        return;
    }
    /* As many as the runner left to this one. */
    char before[16];
    snprintf(before, sizeof before, "%d", descriptors_open());
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    pty one = pty_new();
    folder in = folder_new();
    side sides[6] = {{.name = "0"}, {.name = "1"}, {.name = "2"}, {.name = "3"}, {.name = "4"}, {.name = "5"}};
    int ends[2];
    CHECK_INT(pipe(ends), 0); /* not closed on exec, but for the library's part */
    CHECK_INT(fcntl(ends[1], F_SETFD, FD_CLOEXEC), 0);
    adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &sides[0]);
    adopt(reactor, fcntl(one.terminal, F_DUPFD, 3), LARIAT_READABLE, PLAIN, &sides[1]);
    CHECK_OK(lariat_reactor_make_pipe(reactor, in_folder(&in, "fifo"), 0600));
    CHECK(lariat_reactor_open_pipe(reactor, in_folder(&in, "fifo"), LARIAT_READABLE | LARIAT_PIPE_KEEP_OPEN, &protocol, &sides[2]) != NULL);
    CHECK(lariat_reactor_open_file_stream(reactor, "/dev/null", LARIAT_FILE_WRITE, 0, &protocol, &sides[3]) != NULL);
    CHECK(lariat_reactor_open_standard_error(reactor, &protocol, &sides[4]) != NULL);
    CHECK(lariat_reactor_open_serial_port(reactor, one.path, NULL, &protocol, &sides[5]) != NULL);
    end_part(start_part("f35_nothing_is_open_in_a_program_that_is_executed", before, (int[]){-1, -1, -1}));
    free_reactor(reactor);
    CHECK_INT(close(ends[1]), 0);
    folder_end(&in, "fifo");
    pty_close(&one);
}
