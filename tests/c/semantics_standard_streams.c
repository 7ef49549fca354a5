/* The standard streams as transports, whatever they are: this program runs a case of itself again, with others as its standard
 * streams, which copies what it reads there to where it writes, by the library. */
#include "plain_streams.h"

/* ---- the program that is run ------------------------------------------------------------------------------------------------------- */

static side in = {.name = "in"}, out = {.name = "out"};

static void copy_on(side *own) { CHECK_OK(lariat_transport_write(out.transport, own->got.data + own->got.length - own->last, own->last)); }
static void end_output(side *own) {
    (void)own;
    if (out.transport) CHECK_OK(lariat_transport_lose_connection(out.transport));
}

static void standard_streams_block(void) {
    for (int fd = 0; fd < 3; fd++) CHECK(!is_non_blocking(fd));
}

/* Copies the standard input to the standard output or the standard error, and ends. */
static void copy_all(int to_error) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    in.on_data = copy_on;
    in.on_lost = end_output;
    lariat_transport *input = lariat_reactor_open_standard_input(reactor, &protocol, &in);
    if (!input) test_fail(__FILE__, __LINE__, "no standard input: %s", lariat_last_error_message());
    lariat_transport *output = to_error ? lariat_reactor_open_standard_error(reactor, &protocol, &out)
                                        : lariat_reactor_open_standard_output(reactor, &protocol, &out);
    if (!output) test_fail(__FILE__, __LINE__, "no standard output: %s", lariat_last_error_message());
    CHECK_OK(lariat_transport_pause_reading(input));
    until(reactor, in.made && out.made);
    CHECK_OK(lariat_transport_resume_reading(input));
    standard_streams_block();
    until(reactor, in.freed && out.freed);
    standard_streams_block();
    side_over(&in, LARIAT_CONNECTION_DONE);
    side_over(&out, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- what its streams are ----------------------------------------------------------------------------------------------------------- */

enum { LENGTH = 300 * KILOBYTE };

static void stays_blocking(int fd) { CHECK(!is_non_blocking(fd)); }

/* Writes all to one descriptor and reads the same from another, while the child lives. Both block: poll says when. */
static void feed(int to, int from, const uint8_t *data, size_t length, bytes *all) {
    size_t written = 0;
    uint8_t some[4096];
    ssize_t got = 1;
    CHECK_INT(fcntl(to, F_SETFL, fcntl(to, F_GETFL) | O_NONBLOCK), 0);
    CHECK_INT(fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK), 0);
    for (double deadline = seconds_now() + patience(); got != 0 && all->length < length;) {
        ssize_t done = written < length ? write(to, data + written, length - written) : 0;
        if (done > 0) written += (size_t)done;
        got = read(from, some, sizeof some);
        if (got > 0) bytes_add(all, some, (size_t)got);
        else if (got < 0) sched_yield();
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "only %zu of %zu bytes came back", all->length, length);
    }
}

static void through_pipes(const char *name, int to_error) {
    int to[2], from[2], keep[2];
    bytes all = {0};
    uint8_t *data = pattern_new(LENGTH, 1), byte;
    blocking_pipe(to);
    blocking_pipe(from);
    for (int i = 0; i < 2; i++) keep[i] = dup(i ? from[1] : to[0]);
    pid_t child = start_part(name, "copy", (int[]){to[0], to_error ? -1 : from[1], to_error ? from[1] : -1});
    CHECK_INT(close(to[0]), 0);
    CHECK_INT(close(from[1]), 0);
    feed(to[1], from[0], data, LENGTH, &all);
    CHECK_INT(all.length, LENGTH);
    CHECK_PATTERN(all.data, LENGTH, 1);
    for (int i = 0; i < 2; i++) stays_blocking(keep[i]);
    CHECK_INT(close(to[1]), 0);
    end_part(child);
    pipe_close(keep);
    CHECK_INT(read(from[0], &byte, 1), 0);
    CHECK_INT(close(from[0]), 0);
    bytes_free(&all);
    free(data);
}

TEST(standard_streams_that_are_pipes) {
    if (part()) copy_all(0);
    else through_pipes("standard_streams_that_are_pipes", 0);
}

TEST(a_standard_error_that_is_a_pipe) {
    if (part()) copy_all(1);
    else through_pipes("a_standard_error_that_is_a_pipe", 1);
}

/* One socket is both, as inetd has it. */
TEST(standard_streams_that_are_a_socket) {
    if (part()) {
        copy_all(0);
        return;
    }
    int ends[2];
    bytes all = {0};
    uint8_t *data = pattern_new(LENGTH, 2), byte;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    int keep = dup(ends[0]);
    pid_t child = start_part("standard_streams_that_are_a_socket", "copy", (int[]){ends[0], ends[0], -1});
    CHECK_INT(close(ends[0]), 0);
    feed(ends[1], ends[1], data, LENGTH, &all);
    CHECK_INT(all.length, LENGTH);
    CHECK_PATTERN(all.data, LENGTH, 2);
    stays_blocking(keep);
    CHECK_INT(shutdown(ends[1], SHUT_WR), 0);
    end_part(child);
    /* The library has not shut down what the child shared with others. */
    CHECK_INT(read(ends[1], &byte, 1), -1);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(close(keep), 0);
    CHECK_INT(close(ends[1]), 0);
    bytes_free(&all);
    free(data);
}

/* What was read is gone from the file's position, and what is written comes behind what was there. */
TEST(standard_streams_that_are_files) {
    if (part()) {
        copy_all(0);
        return;
    }
    folder one = folder_new();
    uint8_t *data = pattern_new(LENGTH, 3);
    write_file(in_folder(&one, "in"), data, LENGTH);
    write_file(in_folder(&one, "out"), "before", 6);
    int from = open(in_folder(&one, "in"), O_RDONLY | O_CLOEXEC), to = open(in_folder(&one, "out"), O_WRONLY | O_CLOEXEC);
    CHECK_INT(lseek(from, 1000, SEEK_SET), 1000);
    CHECK_INT(lseek(to, 6, SEEK_SET), 6);
    end_part(start_part("standard_streams_that_are_files", "copy", (int[]){from, to, -1}));
    CHECK_INT(lseek(from, 0, SEEK_CUR), LENGTH);
    CHECK_INT(lseek(to, 0, SEEK_CUR), 6 + LENGTH - 1000);
    bytes all = read_file(in_folder(&one, "out"));
    CHECK_INT(all.length, 6 + LENGTH - 1000);
    CHECK_INT(memcmp(all.data, "before", 6), 0);
    CHECK_INT(memcmp(all.data + 6, data + 1000, LENGTH - 1000), 0);
    CHECK_INT(close(from), 0);
    CHECK_INT(close(to), 0);
    CHECK_INT(unlink(in_folder(&one, "in")), 0);
    folder_end(&one, "out");
    bytes_free(&all);
    free(data);
}

TEST(standard_streams_that_are_dev_null) {
    if (part()) {
        copy_all(0);
        return;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    end_part(start_part("standard_streams_that_are_dev_null", "copy", (int[]){null, null, -1}));
    CHECK_INT(close(null), 0);
}

/* Reads until the text has come. */
static void wait_for_text(int fd, const char *text) {
    char got[256] = {0};
    size_t length = 0;
    for (double deadline = seconds_now() + patience(); !strstr(got, text);) {
        ssize_t more = read(fd, got + length, sizeof got - 1 - length);
        if (more > 0) length += (size_t)more;
        else sched_yield();
        if (seconds_now() > deadline) test_fail(__FILE__, __LINE__, "waited in vain for \"%s\", got \"%s\"", text, got);
    }
}

/* By lines, as the terminal was set: what is typed is echoed by the terminal and then copied; Ctrl-D is the end. */
TEST(standard_streams_that_are_a_terminal) {
    if (part()) {
        copy_all(0);
        return;
    }
    pty one = pty_new();
    pid_t child = start_part("standard_streams_that_are_a_terminal", "copy", (int[]){one.terminal, one.terminal, -1});
    write_bytes(one.master, "first\n");
    wait_for_text(one.master, "first\r\nfirst\r\n");
    CHECK(!is_non_blocking(one.terminal));
    write_bytes(one.master, "second\n");
    wait_for_text(one.master, "second\r\nsecond\r\n");
    write_bytes(one.master, "\4");
    end_part(child);
    CHECK(!is_non_blocking(one.terminal));
    pty_close(&one);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------------------------- */

TEST(a_standard_stream_that_is_not_open_is_refused) {
    lariat_reactor *reactor = manual_reactor();
    lariat_protocol protocol = side_protocol(PLAIN);
    side own = {.name = "n"};
    int kept = fcntl(0, F_DUPFD_CLOEXEC, 10);
    CHECK(kept >= 0);
    CHECK_INT(close(0), 0);
    CHECK_REFUSED(lariat_reactor_open_standard_input(reactor, &protocol, &own), &own, LARIAT_ERR_OS, "standard input");
    CHECK_INT(dup2(kept, 0), 0);
    CHECK_INT(close(kept), 0);
    reactor_done(reactor);
}

/* Whoever reads the output is gone: the reason says so, and the process lives. */
TEST(an_output_that_nobody_reads) {
    if (part()) {
        lariat_reactor *reactor = real_reactor();
        lariat_protocol protocol = side_protocol(PLAIN);
        lariat_transport *output = lariat_reactor_open_standard_output(reactor, &protocol, &out);
        CHECK(output != NULL);
        write_text(output, "into nothing");
        until(reactor, out.freed);
        CHECK_INT(out.os_error, EPIPE);
        CHECK(strstr(out.message, "standard output") != NULL);
        side_over(&out, LARIAT_ERR_CONNECTION_LOST);
        reactor_done(reactor);
        return;
    }
    int ends[2];
    blocking_pipe(ends);
    CHECK_INT(close(ends[0]), 0);
    end_part(start_part("an_output_that_nobody_reads", "write", (int[]){-1, ends[1], -1}));
    CHECK_INT(close(ends[1]), 0);
}

/* A terminal that goes away is the end of what is read from it. */
TEST(a_terminal_that_is_hung_up) {
    if (part()) {
        lariat_reactor *reactor = real_reactor();
        lariat_protocol protocol = side_protocol(PLAIN);
        CHECK(lariat_reactor_open_standard_input(reactor, &protocol, &in) != NULL);
        CHECK(lariat_reactor_open_standard_output(reactor, &protocol, &out) != NULL);
        until(reactor, out.made);
        write_text(out.transport, "ready\n");
        until(reactor, in.freed);
        side_over(&in, LARIAT_CONNECTION_DONE);
        if (out.transport) CHECK_OK(lariat_transport_abort_connection(out.transport));
        until(reactor, out.freed);
        bytes_free(&out.got);
        reactor_done(reactor);
        return;
    }
    pty one = pty_new();
    pid_t child = start_part("a_terminal_that_is_hung_up", "wait", (int[]){one.terminal, one.terminal, -1});
    wait_for_text(one.master, "ready");
    pty_close(&one);
    end_part(child);
}
