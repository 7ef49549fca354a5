/* Terminals: sizes, modes, and that they are put back as they were found, however the host ends. */
#include "plain_streams.h"
#include <signal.h>

/* One that is read and written by the library, and what it was like before. */
typedef struct terminal {
    pty of;
    side own;
    struct termios before;
} terminal;

static void terminal_open(terminal *one, lariat_reactor *reactor) {
    one->of = pty_new();
    one->before = settings_of(one->of.terminal);
    one->own.name = "t";
    adopt(reactor, dup(one->of.terminal), LARIAT_READABLE | LARIAT_WRITABLE, PLAIN, &one->own);
    until(reactor, one->own.made);
}

static int is_as_before(const terminal *one) {
    struct termios now = settings_of(one->of.terminal);
    return same_settings(&now, &one->before);
}

static void terminal_end(terminal *one, lariat_reactor *reactor) {
    CHECK_OK(lariat_transport_lose_connection(one->own.transport));
    until(reactor, one->own.freed);
    CHECK(is_as_before(one));
    side_over(&one->own, LARIAT_CONNECTION_DONE);
    pty_close(&one->of);
}

/* ---- reading and writing ------------------------------------------------------------------------------------------------------------- */

TEST(a_terminal_gives_lines_until_it_is_set_otherwise) {
    lariat_reactor *reactor = manual_reactor();
    terminal one = {0};
    terminal_open(&one, reactor);
    CHECK_INT(lariat_transport_is_terminal(one.own.transport), 1);
    CHECK(!is_non_blocking(one.of.terminal));
    write_bytes(one.of.master, "ab");
    turns(reactor, 5);
    CHECK_INT(one.own.calls, 0); /* no line yet */
    write_bytes(one.of.master, "c\n");
    until(reactor, one.own.calls == 1);
    CHECK_STR(bytes_text(&one.own.got), "abc\n");
    terminal_end(&one, reactor);
    reactor_done(reactor);
}

static char next_byte(lariat_reactor *reactor, int fd) {
    char byte = '.';
    until(reactor, (byte = read_byte(fd)) != '.');
    return byte;
}

TEST(keys_come_one_by_one_and_are_not_echoed) {
    lariat_reactor *reactor = manual_reactor();
    terminal one = {0};
    terminal_open(&one, reactor);
    CHECK_OK(lariat_transport_set_terminal_mode(one.own.transport, LARIAT_TERMINAL_KEYS));
    CHECK((settings_of(one.of.terminal).c_lflag & (ICANON | ECHO | ISIG)) == ISIG);
    write_bytes(one.of.master, "k");
    until(reactor, one.own.calls == 1);
    CHECK_STR(bytes_text(&one.own.got), "k");
    CHECK_INT(read_byte(one.of.master), '.');
    write_text(one.own.transport, "\n"); /* what is written is changed as before */
    CHECK_INT(next_byte(reactor, one.of.master), '\r');
    CHECK_INT(next_byte(reactor, one.of.master), '\n');
    terminal_end(&one, reactor);
    reactor_done(reactor);
}

TEST(raw_bytes_go_through_unchanged) {
    lariat_reactor *reactor = manual_reactor();
    terminal one = {0};
    terminal_open(&one, reactor);
    CHECK_OK(lariat_transport_set_terminal_mode(one.own.transport, LARIAT_TERMINAL_RAW));
    CHECK_INT(write(one.of.master, "\3\r\4\21", 4), 4); /* Ctrl-C, return, Ctrl-D, Ctrl-Q */
    until(reactor, one.own.came == 4);
    CHECK_INT(memcmp(one.own.got.data, "\3\r\4\21", 4), 0);
    write_text(one.own.transport, "\n");
    CHECK_INT(next_byte(reactor, one.of.master), '\n');
    CHECK_OK(lariat_transport_set_terminal_mode(one.own.transport, LARIAT_TERMINAL_COOKED));
    CHECK(is_as_before(&one));
    terminal_end(&one, reactor);
    reactor_done(reactor);
}

/* A terminal of another user, which cannot be opened once more: it is read when poll says so, and written by jobs. */
TEST(on_an_old_system_a_terminal_is_read_and_written) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    side own = {.name = "t", .echoes = 1};
    old_system();
    adopt(reactor, dup(one.terminal), LARIAT_READABLE | LARIAT_WRITABLE, PLAIN, &own);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_set_terminal_mode(own.transport, LARIAT_TERMINAL_RAW));
    for (int i = 0; i < 3; i++) {
        write_bytes(one.master, "abc");
        for (const char *byte = "abc"; *byte; byte++) CHECK_INT(next_byte(reactor, one.master), *byte);
    }
    CHECK(!is_non_blocking(one.terminal));
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    pty_close(&one);
    jobs_over(reactor);
    reactor_done(reactor);
}

/* ---- the size ------------------------------------------------------------------------------------------------------------------------ */

TEST(the_size_is_set_by_the_master_and_told_to_the_terminal) {
    lariat_reactor *reactor = manual_reactor();
    terminal one = {0};
    side master = {.name = "m"};
    uint16_t columns = 0, rows = 0;
    terminal_open(&one, reactor);
    adopt(reactor, dup(one.of.master), LARIAT_READABLE | LARIAT_WRITABLE, PLAIN, &master);
    until(reactor, master.made);
    CHECK_INT(lariat_transport_is_terminal(master.transport), 1);
    CHECK_OK(lariat_transport_set_terminal_size(master.transport, 132, 43));
    CHECK_OK(lariat_transport_terminal_size(one.own.transport, &columns, &rows));
    CHECK_INT(columns, 132);
    CHECK_INT(rows, 43);
    CHECK_OK(lariat_transport_terminal_size(one.own.transport, NULL, NULL));
    CHECK_STATUS(lariat_transport_set_terminal_mode(master.transport, LARIAT_TERMINAL_RAW), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_lose_write_connection(master.transport), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_OK(lariat_transport_lose_connection(master.transport));
    until(reactor, master.freed);
    side_over(&master, LARIAT_CONNECTION_DONE);
    terminal_end(&one, reactor);
    reactor_done(reactor);
}

TEST(the_master_reads_the_end_when_nobody_has_the_terminal) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    side master = {.name = "m"};
    adopt(reactor, one.master, LARIAT_READABLE | LARIAT_WRITABLE, PLAIN, &master);
    until(reactor, master.made);
    write_bytes(one.terminal, "last");
    CHECK_INT(close(one.terminal), 0);
    until(reactor, master.freed);
    CHECK_STR(bytes_text(&master.got), "last");
    side_over(&master, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

TEST(what_is_no_terminal_has_no_size_and_no_mode) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r"}, socket = {.name = "s"};
    uint16_t columns = 7;
    int ends[2], pair[2];
    pipe_new(ends);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_transport *pipe = adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    lariat_transport *other = lariat_reactor_adopt_stream(reactor, pair[0], &protocol, &socket);
    CHECK_INT(lariat_transport_is_terminal(pipe), 0);
    CHECK_INT(lariat_transport_is_terminal(other), 0);
    CHECK_STATUS(lariat_transport_terminal_size(pipe, &columns, NULL), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_terminal_size(other, &columns, NULL), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_INT(columns, 7);
    CHECK_STATUS(lariat_transport_set_terminal_size(pipe, 80, 25), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_set_terminal_mode(pipe, LARIAT_TERMINAL_RAW), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_set_terminal_mode(other, LARIAT_TERMINAL_RAW), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_set_terminal_mode(pipe, 3), LARIAT_ERR_INVALID_ARGUMENT);
    until(reactor, own.made && socket.made);
    CHECK_INT(close(ends[1]), 0);
    CHECK_INT(close(pair[1]), 0);
    until(reactor, own.freed && socket.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&socket, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- it is put back ------------------------------------------------------------------------------------------------------------------ */

TEST(the_last_of_those_who_changed_a_terminal_puts_it_back) {
    lariat_reactor *reactor = manual_reactor();
    terminal one = {0};
    side second = {.name = "s"};
    terminal_open(&one, reactor);
    adopt(reactor, dup(one.of.terminal), LARIAT_WRITABLE, PLAIN, &second);
    until(reactor, second.made);
    CHECK_OK(lariat_transport_set_terminal_mode(one.own.transport, LARIAT_TERMINAL_RAW));
    CHECK_OK(lariat_transport_set_terminal_mode(second.transport, LARIAT_TERMINAL_KEYS));
    CHECK_OK(lariat_transport_abort_connection(one.own.transport));
    until(reactor, one.own.freed);
    CHECK(!is_as_before(&one));
    CHECK_OK(lariat_transport_abort_connection(second.transport));
    CHECK(is_as_before(&one)); /* as soon as it is closed */
    until(reactor, second.freed);
    side_over(&one.own, LARIAT_ERR_CONNECTION_ABORTED);
    side_over(&second, LARIAT_ERR_CONNECTION_ABORTED);
    pty_close(&one.of);
    reactor_done(reactor);
}

static void stop_and_look(int crashes) {
    lariat_reactor *reactor = manual_reactor();
    terminal one = {0};
    terminal_open(&one, reactor);
    CHECK_OK(lariat_transport_set_terminal_mode(one.own.transport, LARIAT_TERMINAL_RAW));
    CHECK(!is_as_before(&one));
    CHECK_OK(crashes ? lariat_reactor_crash(reactor) : lariat_reactor_stop(reactor));
    turn_until_stopped(reactor);
    CHECK(is_as_before(&one));
    CHECK_INT(one.own.lost, 0); /* the stream itself lives on */
    CHECK_OK(lariat_transport_set_terminal_mode(one.own.transport, LARIAT_TERMINAL_KEYS));
    CHECK(!is_as_before(&one));
    terminal_end(&one, reactor);
    reactor_done(reactor);
}

TEST(a_terminal_is_put_back_when_the_reactor_stops) { stop_and_look(0); }
TEST(a_terminal_is_put_back_when_the_reactor_crashes) { stop_and_look(1); }

TEST(a_terminal_is_put_back_when_the_reactor_is_freed) {
    lariat_reactor *reactor = manual_reactor();
    terminal one = {0};
    terminal_open(&one, reactor);
    CHECK_OK(lariat_transport_set_terminal_mode(one.own.transport, LARIAT_TERMINAL_RAW));
    free_reactor(reactor);
    CHECK(is_as_before(&one));
    side_over(&one.own, LARIAT_ERR_CLOSED);
    pty_close(&one.of);
}

/* ---- by a process of its own, which ends in the middle of it ------------------------------------------------------------------------- */

static void on_terminate(int signo) {
    lariat_terminal_restore();
    signal(signo, SIG_DFL);
    raise(signo);
}

static void fork_and_exit(void) {
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        *in_a_child() = 1;
        exit(0); /* with all its exit handlers */
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}

/* Sets its standard input raw and says so; then does what the part says. */
static void change_terminal(void) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    static side own = {.name = "t"};
    CHECK(lariat_reactor_open_standard_input(reactor, &protocol, &own) != NULL);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_set_terminal_mode(own.transport, LARIAT_TERMINAL_RAW));
    if (strcmp(part(), "forks") == 0) fork_and_exit();
    if (strcmp(part(), "signal") == 0) signal(SIGTERM, on_terminate);
    CHECK_INT(write(1, "r", 1), 1);
    until(reactor, own.came > 0);
    if (strcmp(part(), "exit") == 0) exit(0);
    CHECK_OK(lariat_reactor_free(reactor));
    exit(0);
}

static void end_in_the_middle(const char *test_case, const char *name, int signo) {
    pty one = pty_new();
    struct termios before = settings_of(one.terminal), now;
    int ends[2], status = -1;
    blocking_pipe(ends);
    pid_t child = start_part(test_case, name, (int[]){one.terminal, ends[1], -1});
    CHECK_INT(close(ends[1]), 0);
    CHECK_INT(read_byte(ends[0]), 'r');
    now = settings_of(one.terminal);
    CHECK(!same_settings(&now, &before));
    if (signo) CHECK_INT(kill(child, signo), 0);
    else write_bytes(one.master, "x");
    CHECK_INT(waitpid(child, &status, 0), child);
    if (signo) CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signo);
    else CHECK_INT(status, 0);
    now = settings_of(one.terminal);
    CHECK(same_settings(&now, &before));
    CHECK_INT(close(ends[0]), 0);
    pty_close(&one);
}

TEST(a_terminal_is_put_back_when_the_process_exits) {
    if (part()) change_terminal();
    end_in_the_middle("a_terminal_is_put_back_when_the_process_exits", "exit", 0);
}

TEST(a_handler_puts_the_terminal_back_before_a_signal_ends_the_process) {
    if (part()) change_terminal();
    end_in_the_middle("a_handler_puts_the_terminal_back_before_a_signal_ends_the_process", "signal", SIGTERM);
}

/* What a child of fork does at its exit is no business of its parent's terminal: it is still raw when the parent says so. */
TEST(a_child_that_exits_leaves_the_terminal_to_its_parent) {
    if (part()) change_terminal();
    end_in_the_middle("a_child_that_exits_leaves_the_terminal_to_its_parent", "forks", 0);
}
