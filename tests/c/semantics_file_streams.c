/* Files as streams: read to the end, written until all is there, with flow control and honest ends. */
#include "plain_streams.h"

static lariat_transport *open_stream(lariat_reactor *reactor, const char *path, int32_t flags, uint64_t offset, side *own) {
    lariat_protocol protocol = side_protocol(PLAIN);
    return lariat_reactor_open_file_stream(reactor, path, flags, offset, &protocol, own);
}

static lariat_transport *test_open_stream(const char *file, int line, lariat_reactor *reactor, const char *path, int32_t flags,
                                          uint64_t offset, side *own) {
    lariat_transport *transport = open_stream(reactor, path, flags, offset, own);
    if (!transport) test_fail(file, line, "cannot open %s: %s", path, lariat_last_error_message());
    return transport;
}
#define must_open(reactor, path, flags, offset, own) test_open_stream(__FILE__, __LINE__, reactor, path, flags, offset, own)

enum { LENGTH = 3 * MEGABYTE + 17 };

/* ---- reading ----------------------------------------------------------------------------------------------------------------------- */

TEST(a_file_is_read_to_its_end) {
    lariat_reactor *reactor = real_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f"};
    uint8_t *data = pattern_new(LENGTH, 1);
    write_file(path, data, LENGTH);
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_READ, 0, &own);
    CHECK_INT(own.made, 0);
    CHECK_STATUS(lariat_transport_write(transport, data, 1), LARIAT_ERR_CLOSED);
    until(reactor, own.freed);
    CHECK_INT(own.got.length, LENGTH);
    CHECK_PATTERN(own.got.data, LENGTH, 1);
    side_over(&own, LARIAT_CONNECTION_DONE);
    folder_end(&one, "file");
    free(data);
    jobs_over(reactor);
    reactor_done(reactor);
}

TEST(a_file_is_read_from_its_middle) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f", .is_noted = 1};
    write_file(path, "0123456789", 10);
    must_open(reactor, path, LARIAT_FILE_READ, 7, &own);
    until(reactor, own.freed);
    CHECK_NOTES("f:made f=789 f!CONNECTION_DONE free:f");
    side_over(&own, LARIAT_CONNECTION_DONE);
    folder_end(&one, "file");
    jobs_over(reactor);
    reactor_done(reactor);
}

TEST(an_empty_file_ends_at_once) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f", .is_noted = 1}, past = {.name = "p", .is_noted = 1};
    write_file(path, "", 0);
    must_open(reactor, path, LARIAT_FILE_READ, 0, &own);
    until(reactor, own.freed);
    CHECK_NOTES("f:made f!CONNECTION_DONE free:f");
    must_open(reactor, path, LARIAT_FILE_READ, 70, &past);
    until(reactor, past.freed);
    CHECK_NOTES("p:made p!CONNECTION_DONE free:p");
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&past, LARIAT_CONNECTION_DONE);
    folder_end(&one, "file");
    jobs_over(reactor);
    reactor_done(reactor);
}

/* It would never end by itself. */
static void read_device(const char *path, size_t length) {
    lariat_reactor *reactor = real_reactor();
    side own = {.name = "d"};
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_READ, 0, &own);
    until(reactor, own.came >= length);
    CHECK_OK(lariat_transport_abort_connection(transport));
    until(reactor, own.freed);
    for (size_t i = 0; i < length; i++) CHECK_INT(own.got.data[i], 0);
    side_over(&own, LARIAT_ERR_CONNECTION_ABORTED);
    jobs_over(reactor);
    reactor_done(reactor);
}

TEST(a_device_that_always_has_more) { read_device("/dev/zero", 2 * MEGABYTE); }

static void pause_after(side *own) {
    if (own->transport && own->came >= 100 * KILOBYTE) CHECK_OK(lariat_transport_pause_reading(own->transport));
}

TEST(reading_a_file_is_paused_and_resumed) {
    lariat_reactor *reactor = real_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f", .on_data = pause_after};
    uint8_t *data = pattern_new(LENGTH, 2);
    write_file(path, data, LENGTH);
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_READ, 0, &own);
    until(reactor, own.came >= 100 * KILOBYTE);
    size_t came = own.came;
    turns(reactor, 20);
    CHECK_INT(own.came, came);
    own.on_data = NULL;
    CHECK_OK(lariat_transport_resume_reading(transport));
    until(reactor, own.freed);
    CHECK_INT(own.got.length, LENGTH);
    CHECK_PATTERN(own.got.data, LENGTH, 2);
    side_over(&own, LARIAT_CONNECTION_DONE);
    folder_end(&one, "file");
    free(data);
    jobs_over(reactor);
    reactor_done(reactor);
}

/* Others get their turn while a file is read, however fast it is. */
static void count_turn(void *user_data) { ++*(int *)user_data; }

TEST(a_large_file_leaves_turns_to_others) {
    lariat_reactor *reactor = real_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f", .kept = 1};
    uint8_t *data = pattern_new(LENGTH, 2);
    int served = 0;
    write_file(path, data, LENGTH);
    must_open(reactor, path, LARIAT_FILE_READ, 0, &own);
    until(reactor, own.came > 0);
    CHECK(own.came < LENGTH);
    CHECK_OK(lariat_reactor_call_soon(reactor, count_turn, &served));
    until(reactor, served);
    CHECK(own.came < LENGTH);
    until(reactor, own.freed);
    CHECK_INT(own.came, LENGTH);
    side_over(&own, LARIAT_CONNECTION_DONE);
    folder_end(&one, "file");
    free(data);
    jobs_over(reactor);
    reactor_done(reactor);
}

TEST(lines_of_a_file_come_by_framing) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f", .is_noted = 1};
    write_file(path, "one\ntwo\nthree\n", 14);
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_READ, 0, &own);
    CHECK_OK(lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, 100));
    until(reactor, own.freed);
    CHECK_NOTES("f:made f=one f=two f=three f!CONNECTION_DONE free:f");
    side_over(&own, LARIAT_CONNECTION_DONE);
    folder_end(&one, "file");
    jobs_over(reactor);
    reactor_done(reactor);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------------------- */

TEST(a_file_is_written_until_all_is_there) {
    lariat_reactor *reactor = real_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f"};
    uint8_t *data = pattern_new(LENGTH, 3);
    write_file(path, "what was there before", 21);
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_WRITE | LARIAT_FILE_CREATE | LARIAT_FILE_TRUNCATE, 0, &own);
    CHECK_OK(lariat_transport_write(transport, data, 10)); /* before connection_made, in small pieces and in large */
    CHECK_OK(lariat_transport_write(transport, data + 10, 5));
    CHECK_OK(lariat_transport_write(transport, data + 15, LENGTH / 2));
    until(reactor, own.made);
    CHECK_OK(lariat_transport_write(transport, data + 15 + LENGTH / 2, LENGTH - 15 - LENGTH / 2));
    CHECK_OK(lariat_transport_lose_connection(transport));
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    bytes all = read_file(path);
    CHECK_INT(all.length, LENGTH);
    CHECK_PATTERN(all.data, LENGTH, 3);
    bytes_free(&all);
    folder_end(&one, "file");
    free(data);
    reactor_done(reactor);
}

TEST(a_file_is_appended_to) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f"};
    write_file(path, "one ", 4);
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_APPEND, 0, &own);
    write_text(transport, "two");
    CHECK_OK(lariat_transport_lose_connection(transport));
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    bytes all = read_file(path);
    CHECK_STR(bytes_text(&all), "one two");
    bytes_free(&all);
    folder_end(&one, "file");
    reactor_done(reactor);
}

/* A producer is held up by a file as by a peer. */
static int paused, resumed;
static void producer_pause(lariat_transport *transport, void *user_data) {
    (void)transport;
    (void)user_data;
    paused++;
}
static void producer_resume(lariat_transport *transport, void *user_data) {
    (void)transport;
    (void)user_data;
    resumed++;
}
static void producer_stop(lariat_transport *transport, void *user_data) {
    (void)transport;
    (void)user_data;
}

TEST(a_producer_is_paused_while_a_file_is_written) {
    lariat_reactor *reactor = real_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f"};
    uint8_t *data = pattern_new(MEGABYTE, 1);
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_WRITE | LARIAT_FILE_CREATE, 0, &own);
    lariat_producer producer;
    CHECK_OK(lariat_producer_init(&producer, sizeof producer));
    producer.pause_producing = producer_pause;
    producer.resume_producing = producer_resume;
    producer.stop_producing = producer_stop;
    producer.streaming = 1;
    CHECK_OK(lariat_transport_register_producer(transport, &producer, NULL));
    CHECK_OK(lariat_transport_write(transport, data, MEGABYTE));
    CHECK_INT(paused, 1);
    until(reactor, resumed == 1);
    CHECK_INT(lariat_transport_buffered(transport), 0);
    CHECK_OK(lariat_transport_unregister_producer(transport));
    CHECK_OK(lariat_transport_lose_connection(transport));
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    folder_end(&one, "file");
    free(data);
    reactor_done(reactor);
}

/* ---- what goes wrong ----------------------------------------------------------------------------------------------------------------- */

TEST(a_full_disk_is_the_reason) {
    lariat_reactor *reactor = real_reactor();
    side own = {.name = "f"};
    lariat_transport *transport = open_stream(reactor, "/dev/full", LARIAT_FILE_WRITE, 0, &own);
    if (!transport) SKIP("there is no /dev/full here");
    write_text(transport, "x");
    CHECK_OK(lariat_transport_lose_connection(transport));
    until(reactor, own.freed);
    CHECK_INT(own.os_error, ENOSPC);
    CHECK(strstr(own.message, "/dev/full") != NULL);
    side_over(&own, LARIAT_ERR_OS);
    jobs_over(reactor);
    reactor_done(reactor);
}

TEST(files_that_are_no_streams_are_refused) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file"), *none = in_folder(&one, "none");
    side own = {.name = "f"};
    write_file(path, "x", 1);
    CHECK_REFUSED(open_stream(reactor, none, LARIAT_FILE_READ, 0, &own), &own, LARIAT_ERR_OS, none);
    CHECK_REFUSED(open_stream(reactor, one.path, LARIAT_FILE_READ, 0, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "directory");
    CHECK_REFUSED(open_stream(reactor, path, LARIAT_FILE_READ | LARIAT_FILE_WRITE, 0, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "either");
    CHECK_REFUSED(open_stream(reactor, path, 0, 0, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "missing");
    CHECK_REFUSED(open_stream(reactor, path, LARIAT_FILE_APPEND, 5, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "no offset");
    CHECK_REFUSED(open_stream(reactor, path, LARIAT_FILE_READ, UINT64_MAX, &own), &own, LARIAT_ERR_OS, path);
    CHECK_REFUSED(open_stream(reactor, path, LARIAT_FILE_WRITE | LARIAT_FILE_CREATE | LARIAT_FILE_EXCLUSIVE, 0, &own), &own,
                  LARIAT_ERR_OS, path);
    folder_end(&one, "file");
    reactor_done(reactor);
}

/* A kernel that cannot say whether it would wait: every part is read, and written, by a job. */
TEST(on_an_old_system_files_are_read_and_written_by_jobs) {
    needs_old_system();
    lariat_reactor *reactor = real_reactor();
    folder one = folder_new();
    side in = {.name = "r"}, out = {.name = "w"};
    uint8_t *data = pattern_new(LENGTH, 4);
    write_file(in_folder(&one, "from"), data, LENGTH);
    int from = open(in_folder(&one, "from"), O_RDONLY | O_CLOEXEC);
    int to = open(in_folder(&one, "to"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), kept = dup(to);
    CHECK_INT(unlink(in_folder(&one, "from")), 0);
    old_system();
    adopt(reactor, from, LARIAT_READABLE, PLAIN, &in);
    lariat_transport *writer = adopt(reactor, to, LARIAT_WRITABLE, PLAIN, &out);
    until(reactor, in.freed);
    CHECK_INT(in.got.length, LENGTH);
    CHECK_PATTERN(in.got.data, LENGTH, 4);
    CHECK_OK(lariat_transport_write(writer, data, LENGTH));
    CHECK_OK(lariat_transport_lose_connection(writer));
    until(reactor, out.freed);
    side_over(&in, LARIAT_CONNECTION_DONE);
    side_over(&out, LARIAT_CONNECTION_DONE);
    uint8_t *written = calloc(1, LENGTH);
    CHECK_INT(pread(kept, written, LENGTH, 0), LENGTH);
    CHECK_PATTERN(written, LENGTH, 4);
    CHECK_INT(close(kept), 0);
    folder_end(&one, "to");
    free(written);
    free(data);
    jobs_over(reactor);
    reactor_done(reactor);
}

/* A file that was opened by the host goes on where it is. */
TEST(a_descriptor_of_a_file_is_read_from_its_position) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    side own = {.name = "f", .is_noted = 1}, both = {.name = "b"};
    write_file(in_folder(&one, "file"), "0123456789", 10);
    int fd = open(in_folder(&one, "file"), O_RDWR | O_CLOEXEC), shared = dup(fd);
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK_REFUSED(lariat_reactor_adopt_descriptor(reactor, fd, LARIAT_READABLE | LARIAT_WRITABLE, &protocol, &both), &both,
                  LARIAT_ERR_INVALID_ARGUMENT, "either");
    CHECK_INT(lseek(fd, 4, SEEK_SET), 4);
    adopt(reactor, fd, LARIAT_READABLE, PLAIN, &own);
    until(reactor, own.freed);
    CHECK_NOTES("f:made f=456789 f!CONNECTION_DONE free:f");
    side_over(&own, LARIAT_CONNECTION_DONE);
    CHECK(!is_non_blocking(shared));
    CHECK_INT(close(shared), 0);
    folder_end(&one, "file");
    jobs_over(reactor);
    reactor_done(reactor);
}

TEST(the_reactor_ends_while_a_file_is_written) {
    lariat_reactor *reactor = manual_reactor();
    folder one = folder_new();
    const char *path = in_folder(&one, "file");
    side own = {.name = "f"};
    uint8_t *data = pattern_new(MEGABYTE, 1);
    lariat_transport *transport = must_open(reactor, path, LARIAT_FILE_WRITE | LARIAT_FILE_CREATE, 0, &own);
    until(reactor, own.made);
    CHECK_OK(lariat_transport_write(transport, data, MEGABYTE));
    turns(reactor, 1);
    free_reactor(reactor);
    side_over(&own, LARIAT_ERR_CLOSED);
    folder_end(&one, "file");
    free(data);
}

TEST(a_file_ends_with_its_scope) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    side own = {.name = "d"};
    CHECK_OK(lariat_scope_enter(scope));
    must_open(reactor, "/dev/zero", LARIAT_FILE_READ, 0, &own);
    CHECK_OK(lariat_scope_leave(scope));
    until(reactor, own.came > 0);
    CHECK_OK(lariat_scope_end(scope));
    side_over(&own, LARIAT_ERR_CLOSED);
    CHECK_OK(lariat_scope_free(scope));
    jobs_over(reactor);
    reactor_done(reactor);
}
