/* Pipes and other descriptors as streams: reading, writing, ends, flow control, and what is shared stays as it was. */
#include "plain_streams.h"
#include <signal.h>

/* Both ways of being opened. */
static void new_pipe(int ends[2], int blocks) {
    if (blocks) blocking_pipe(ends);
    else pipe_new(ends);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------------------- */

static void reads_to_the_end(int blocks, int is_half) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r", .is_noted = 1};
    int ends[2];
    new_pipe(ends, blocks);
    write_bytes(ends[1], "before");
    lariat_transport *transport = adopt(reactor, ends[0], LARIAT_READABLE, is_half, &own);
    CHECK(!descriptor_is_open(ends[0])); /* it was copied, or opened once more */
    CHECK_NOTES("");
    until(reactor, own.calls == 1);
    CHECK_STATUS(lariat_transport_write(transport, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_lose_write_connection(transport), LARIAT_ERR_CLOSED);
    write_bytes(ends[1], "after");
    until(reactor, own.calls == 2);
    CHECK_INT(close(ends[1]), 0);
    until(reactor, own.freed);
    CHECK_NOTES(is_half ? "r:made r=before r=after r:half-read r!CONNECTION_DONE free:r"
                        : "r:made r=before r=after r!CONNECTION_DONE free:r");
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

TEST(a_pipe_is_read_to_its_end) { reads_to_the_end(0, PLAIN); }
TEST(a_pipe_that_blocks_is_read_to_its_end) { reads_to_the_end(1, PLAIN); }
TEST(a_pipe_with_half_close_tells_of_the_end) { reads_to_the_end(0, HALF); }

TEST(what_is_in_a_pipe_that_nobody_writes_is_read) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r", .is_noted = 1};
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "left");
    CHECK_INT(close(ends[1]), 0);
    adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    until(reactor, own.freed);
    CHECK_NOTES("r:made r=left r!CONNECTION_DONE free:r");
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

TEST(reading_is_paused_and_resumed) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r"};
    int ends[2];
    pipe_new(ends);
    lariat_transport *transport = adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_pause_reading(transport));
    write_bytes(ends[1], "later");
    turns(reactor, 5);
    CHECK_INT(own.calls, 0);
    CHECK_OK(lariat_transport_resume_reading(transport));
    until(reactor, own.calls == 1);
    CHECK_STR(bytes_text(&own.got), "later");
    CHECK_INT(close(ends[1]), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------------------- */

static void writes_all(int blocks) {
    lariat_reactor *reactor = real_reactor();
    side own = {.name = "w"};
    bytes all = {0};
    size_t length = 3 * MEGABYTE;
    uint8_t *data = pattern_new(length, 1), some[8192];
    int ends[2];
    new_pipe(ends, blocks);
    not_blocking(ends[0]);
    lariat_transport *transport = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &own);
    CHECK_OK(lariat_transport_write(transport, data, length)); /* before connection_made */
    until(reactor, own.made);
    CHECK(lariat_transport_buffered(transport) > 0);
    CHECK_OK(lariat_transport_lose_connection(transport));
    for (double deadline = seconds_now() + patience();;) {
        ssize_t got = read(ends[0], some, sizeof some);
        if (got == 0) break;
        if (got > 0) bytes_add(&all, some, (size_t)got);
        else test_turn_for(__FILE__, __LINE__, "the end of the pipe", reactor, deadline);
    }
    CHECK_INT(all.length, length);
    CHECK_PATTERN(all.data, length, 1);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    CHECK_INT(close(ends[0]), 0);
    bytes_free(&all);
    free(data);
    reactor_done(reactor);
}

TEST(a_pipe_is_written_until_all_is_out) { writes_all(0); }
TEST(a_pipe_that_blocks_is_written_until_all_is_out) { writes_all(1); }

/* ---- the reader goes --------------------------------------------------------------------------------------------------------------- */

static void reader_goes(const char *text, int is_read, int32_t reason) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "w"};
    int ends[2];
    char got[16];
    pipe_new(ends);
    lariat_transport *transport = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &own);
    until(reactor, own.made);
    if (*text) write_text(transport, text);
    turns(reactor, 2);
    if (is_read) CHECK_INT(read(ends[0], got, sizeof got), strlen(text));
    CHECK_INT(close(ends[0]), 0);
    until(reactor, own.freed);
    if (reason == LARIAT_ERR_CONNECTION_LOST) CHECK_INT(own.os_error, EPIPE);
    side_over(&own, reason);
    reactor_done(reactor);
}

TEST(a_reader_that_goes_with_nothing_written_is_a_clean_end) { reader_goes("", 0, LARIAT_CONNECTION_DONE); }
TEST(a_reader_that_goes_after_all_is_read_is_a_clean_end) { reader_goes("data", 1, LARIAT_CONNECTION_DONE); }
TEST(a_reader_that_goes_before_all_is_read_is_a_loss) { reader_goes("data", 0, LARIAT_ERR_CONNECTION_LOST); }

static void writes_into_nothing(int blocks) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "w"};
    int ends[2];
    new_pipe(ends, blocks);
    CHECK_INT(close(ends[0]), 0);
    /* The host has not ignored SIGPIPE. */
    lariat_transport *transport = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &own);
    write_text(transport, "lost");
    until(reactor, own.freed);
    CHECK_INT(own.os_error, EPIPE);
    CHECK(strstr(own.message, "descriptor ") != NULL);
    side_over(&own, LARIAT_ERR_CONNECTION_LOST);
    reactor_done(reactor);
}

TEST(sigpipe_does_not_come_to_the_host) { writes_into_nothing(0); }
TEST(sigpipe_does_not_come_to_the_host_by_a_pipe_that_blocks) { writes_into_nothing(1); }

/* ---- O_NONBLOCK -------------------------------------------------------------------------------------------------------------------- */

static void shares_a_pipe(void) {
    lariat_reactor *reactor = manual_reactor();
    side in = {.name = "r"}, out = {.name = "w"};
    int ends[2];
    blocking_pipe(ends);
    int shared[2] = {dup(ends[0]), dup(ends[1])};
    adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &in);
    lariat_transport *writer = adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &out);
    until(reactor, in.made && out.made);
    write_text(writer, "through");
    until(reactor, in.calls == 1);
    CHECK(!is_non_blocking(shared[0]));
    CHECK(!is_non_blocking(shared[1]));
    CHECK_OK(lariat_transport_lose_connection(writer));
    until(reactor, out.freed);
    pipe_close(shared);
    until(reactor, in.freed);
    side_over(&in, LARIAT_CONNECTION_DONE);
    side_over(&out, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

TEST(what_others_share_still_blocks) { shares_a_pipe(); }

/* The registration ends with the stream, though the description lives on. */
TEST(a_shared_description_tells_nothing_after_the_end) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r", .is_noted = 1};
    int ends[2];
    pipe_new(ends);
    int shared = dup(ends[0]);
    lariat_transport *transport = adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_abort_connection(transport));
    until(reactor, own.freed);
    CHECK_NOTES("r:made r!CONNECTION_ABORTED free:r");
    write_bytes(ends[1], "x");
    turns(reactor, 3);
    /* The same description with the same number is watched as if it had never been. The library's copy has the lowest free one:
     * that of the first copy again, when the one below it is taken. */
    side again = {.name = "a", .is_noted = 1};
    int below = dup(ends[1]);
    CHECK_INT(below, ends[0]);
    adopt(reactor, shared, LARIAT_READABLE, PLAIN, &again);
    CHECK_INT(close(below), 0);
    CHECK_INT(close(ends[1]), 0);
    until(reactor, again.freed);
    CHECK_NOTES("a:made a=x a!CONNECTION_DONE free:a");
    side_over(&own, LARIAT_ERR_CONNECTION_ABORTED);
    side_over(&again, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- what cannot be opened once more, by a kernel that knows no flags ---------------------------------------------------------------- */

TEST(on_an_old_system_a_pipe_is_read_to_its_end) {
    old_system();
    reads_to_the_end(1, PLAIN);
}

TEST(on_an_old_system_a_pipe_is_written_until_all_is_out) {
    old_system();
    writes_all(1);
}

TEST(on_an_old_system_a_pipe_that_does_not_block_is_written_until_all_is_out) {
    old_system();
    writes_all(0);
}

TEST(on_an_old_system_sigpipe_does_not_come_to_the_host) {
    old_system();
    writes_into_nothing(0);
}

TEST(on_an_old_system_sigpipe_does_not_come_to_the_host_by_a_pipe_that_blocks) {
    old_system();
    writes_into_nothing(1);
}

TEST(on_an_old_system_what_others_share_still_blocks) {
    old_system();
    shares_a_pipe();
}

/* ---- two ways ---------------------------------------------------------------------------------------------------------------------- */

TEST(a_socket_that_blocks_is_a_stream_of_both_ways) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "s", .echoes = 1};
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    int shared = dup(ends[0]);
    not_blocking(ends[1]);
    lariat_transport *transport = adopt(reactor, ends[0], LARIAT_READABLE | LARIAT_WRITABLE, HALF, &own);
    until(reactor, own.made);
    write_bytes(ends[1], "e");
    char byte = '.';
    until(reactor, (byte = read_byte(ends[1])) != '.');
    CHECK_INT(byte, 'e');
    CHECK(!is_non_blocking(shared));
    CHECK_OK(lariat_transport_lose_write_connection(transport));
    until(reactor, own.write_lost);
    CHECK_INT(read(ends[1], &byte, 1), 0);
    CHECK_INT(close(shared), 0);
    CHECK_INT(close(ends[1]), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- what is refused --------------------------------------------------------------------------------------------------------------- */

static void refuse(lariat_reactor *reactor, int fd, int32_t ways, lariat_status status, const char *words) {
    lariat_protocol protocol = side_protocol(PLAIN);
    side own = {.name = "n"};
    CHECK_NULL(lariat_reactor_adopt_descriptor(reactor, fd, ways, &protocol, &own), status);
    if (!strstr(lariat_last_error_message(), words))
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", lariat_last_error_message(), words);
    CHECK_INT(own.freed, 1);
    CHECK_INT(own.made, 0);
}

TEST(what_is_no_stream_is_refused_and_left_alone) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2], folder = open("/", O_RDONLY | O_CLOEXEC);
    blocking_pipe(ends);
    refuse(reactor, ends[0], LARIAT_WRITABLE, LARIAT_ERR_INVALID_ARGUMENT, "not open for writing");
    refuse(reactor, ends[1], LARIAT_READABLE, LARIAT_ERR_INVALID_ARGUMENT, "not open for reading");
    refuse(reactor, ends[1], 0, LARIAT_ERR_INVALID_ARGUMENT, "neither");
    refuse(reactor, ends[1], 4, LARIAT_ERR_INVALID_ARGUMENT, "ways");
    refuse(reactor, folder, LARIAT_READABLE, LARIAT_ERR_INVALID_ARGUMENT, "directory");
    refuse(reactor, -1, LARIAT_READABLE, LARIAT_ERR_INVALID_ARGUMENT, "fd");
    refuse(reactor, 4000, LARIAT_READABLE, LARIAT_ERR_OS, "4000");
    CHECK(!is_non_blocking(ends[0]));
    pipe_close(ends);
    CHECK_INT(close(folder), 0);
    int port, datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), listening = raw_listen(&port);
    refuse(reactor, datagrams, LARIAT_READABLE, LARIAT_ERR_INVALID_ARGUMENT, "no connection");
    refuse(reactor, listening, LARIAT_READABLE, LARIAT_ERR_INVALID_ARGUMENT, "no connection");
    CHECK_INT(close(datagrams), 0);
    CHECK_INT(close(listening), 0);
    reactor_done(reactor);
}

TEST(a_simulated_reactor_has_none) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    int ends[2];
    pipe_new(ends);
    refuse(reactor, ends[0], LARIAT_READABLE, LARIAT_ERR_NOT_SUPPORTED, "simulated");
    pipe_close(ends);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(a_pipe_has_no_address_and_no_socket_options) {
    lariat_reactor *reactor = manual_reactor();
    side own = {.name = "r"};
    int ends[2];
    char text[64];
    pipe_new(ends);
    lariat_transport *transport = adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    CHECK_STATUS(lariat_transport_peer(transport, text, sizeof text, NULL), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_address(transport, text, sizeof text, NULL), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_STATUS(lariat_transport_set_no_delay(transport, 1), LARIAT_ERR_NOT_SUPPORTED);
    until(reactor, own.made);
    CHECK_INT(close(ends[1]), 0);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}

/* ---- scopes, the reactor's end, events ------------------------------------------------------------------------------------------- */

TEST(the_reactor_ends_its_streams) {
    lariat_reactor *reactor = manual_reactor();
    side in = {.name = "r"}, out = {.name = "w"};
    int ends[2];
    blocking_pipe(ends);
    adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &in);
    adopt(reactor, ends[1], LARIAT_WRITABLE, PLAIN, &out);
    until(reactor, in.made && out.made);
    free_reactor(reactor);
    side_over(&in, LARIAT_ERR_CLOSED);
    side_over(&out, LARIAT_ERR_CLOSED);
}

TEST(a_scope_ends_its_streams) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    side own = {.name = "r"};
    int ends[2];
    pipe_new(ends);
    CHECK_OK(lariat_scope_enter(scope));
    adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &own);
    CHECK_OK(lariat_scope_leave(scope));
    until(reactor, own.made);
    CHECK_OK(lariat_scope_end(scope));
    side_over(&own, LARIAT_ERR_CLOSED);
    CHECK_OK(lariat_scope_free(scope));
    CHECK_INT(close(ends[1]), 0);
    reactor_done(reactor);
}

TEST(a_pipe_tells_by_events) {
    lariat_reactor *reactor = manual_reactor();
    lariat_event event;
    int ends[2];
    CHECK_OK(lariat_event_init(&event, sizeof event));
    pipe_new(ends);
    lariat_transport *transport = lariat_reactor_adopt_descriptor_event(reactor, ends[0], LARIAT_READABLE, 7);
    CHECK(transport != NULL);
    write_bytes(ends[1], "told");
    CHECK_INT(close(ends[1]), 0);
    lariat_status status = LARIAT_EMPTY;
    for (int i = 0; i < 3; i++) {
        until(reactor, (status = lariat_reactor_next_event(reactor, &event)) != LARIAT_EMPTY);
        CHECK_OK(status);
        CHECK_INT(event.tag, 7);
        const int32_t kinds[] = {LARIAT_EVENT_CONNECTION_MADE, LARIAT_EVENT_DATA_RECEIVED, LARIAT_EVENT_CONNECTION_LOST};
        CHECK_INT(event.kind, kinds[i]);
        if (i == 1) CHECK_INT(event.len, 4);
    }
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    reactor_done(reactor);
}


/* ---- named pipes ------------------------------------------------------------------------------------------------------------------- */

static lariat_transport *open_pipe(lariat_reactor *reactor, const char *path, int32_t ways, side *own) {
    lariat_protocol protocol = side_protocol(PLAIN);
    return lariat_reactor_open_pipe(reactor, path, ways, &protocol, own);
}

TEST(a_named_pipe_ends_with_the_last_of_its_writers) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "fifo");
    side in = {.name = "r", .is_noted = 1}, out = {.name = "w", .is_noted = 1};
    CHECK_OK(lariat_reactor_make_pipe(reactor, path, 0600));
    CHECK(open_pipe(reactor, path, LARIAT_READABLE, &in) != NULL); /* nobody writes yet, and it does not wait for that */
    until(reactor, in.made);
    turns(reactor, 3);
    CHECK_NOTES("r:made");
    lariat_transport *writer = open_pipe(reactor, path, LARIAT_WRITABLE, &out);
    CHECK(writer != NULL);
    int second = open(path, O_WRONLY | O_CLOEXEC);
    write_text(writer, "one");
    CHECK_OK(lariat_transport_lose_connection(writer));
    until(reactor, out.freed && in.calls == 1);
    turns(reactor, 3);
    CHECK_INT(in.lost, 0);
    write_bytes(second, "two");
    CHECK_INT(close(second), 0);
    until(reactor, in.freed);
    CHECK_NOTES("w:made w!CONNECTION_DONE free:w r=one r=two r!CONNECTION_DONE free:r");
    side_over(&in, LARIAT_CONNECTION_DONE);
    side_over(&out, LARIAT_CONNECTION_DONE);
    folder_end(&one, "fifo");
    reactor_done(reactor);
}

TEST(a_named_pipe_that_is_kept_open_outlives_its_writers) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "fifo");
    side in = {.name = "r", .is_noted = 1};
    CHECK_OK(lariat_reactor_make_pipe(reactor, path, 0600));
    lariat_transport *reader = open_pipe(reactor, path, LARIAT_READABLE | LARIAT_PIPE_KEEP_OPEN, &in);
    CHECK(reader != NULL);
    until(reactor, in.made);
    for (int i = 1; i <= 2; i++) {
        int writer = open(path, O_WRONLY | O_CLOEXEC);
        write_bytes(writer, "x");
        CHECK_INT(close(writer), 0);
        until(reactor, in.calls == i);
        turns(reactor, 3);
    }
    CHECK_OK(lariat_transport_lose_connection(reader));
    until(reactor, in.freed);
    CHECK_NOTES("r:made r=x r=x r!CONNECTION_DONE free:r");
    side_over(&in, LARIAT_CONNECTION_DONE);
    folder_end(&one, "fifo");
    reactor_done(reactor);
}

TEST(named_pipes_say_what_is_wrong) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "fifo"), *none = in_folder(&one, "none");
    side own = {.name = "n"};
    CHECK_OK(lariat_reactor_make_pipe(reactor, path, 0600));
    CHECK_STATUS(lariat_reactor_make_pipe(reactor, path, 0600), LARIAT_ERR_OS);
    CHECK(strstr(lariat_last_error_message(), path) != NULL);
    CHECK_STATUS(lariat_reactor_make_pipe(reactor, path, 0100000), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_REFUSED(open_pipe(reactor, path, LARIAT_WRITABLE, &own), &own, LARIAT_ERR_OS, path); /* nobody reads it */
    CHECK_REFUSED(open_pipe(reactor, none, LARIAT_READABLE, &own), &own, LARIAT_ERR_OS, none);
    CHECK_REFUSED(open_pipe(reactor, "/dev/null", LARIAT_READABLE, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "no named pipe");
    CHECK_REFUSED(open_pipe(reactor, path, LARIAT_READABLE | LARIAT_WRITABLE, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "either");
    CHECK_REFUSED(open_pipe(reactor, path, LARIAT_WRITABLE | LARIAT_PIPE_KEEP_OPEN, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "keep open");
    CHECK_REFUSED(open_pipe(reactor, path, 8, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "ways");
    folder_end(&one, "fifo");
    reactor_done(reactor);
}

/* The host has blocked SIGPIPE, and one of its own waits: it is the host's, and still there. */
static void leaves_pending(void) {
    sigset_t pipe, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    CHECK_INT(sigprocmask(SIG_BLOCK, &pipe, NULL), 0);
    CHECK_INT(raise(SIGPIPE), 0);
    writes_into_nothing(0);
    CHECK_INT(sigpending(&pending), 0);
    CHECK_INT(sigismember(&pending, SIGPIPE), 1);
}

TEST(a_sigpipe_of_the_host_still_waits) { leaves_pending(); }

TEST(on_an_old_system_a_sigpipe_of_the_host_still_waits) {
    old_system();
    leaves_pending();
}
