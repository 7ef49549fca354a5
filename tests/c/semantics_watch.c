/* Watching descriptors that belong to others (DESIGN 8). Mostly on the manual clock, whose turns poll but never wait: what is ready
 * when a turn begins is told in that turn. */
#include "harness.h"
#ifdef _WIN32
TEST(watch_is_tested_on_unix) { SKIP("pipes cannot be polled on Windows"); }
#else
#include <sys/socket.h>

static void socketpair_new(int ends[2]) {
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < 2; i++) CHECK_INT(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
}

static lariat_watcher *watch(lariat_reactor *reactor, int fd, int32_t interest, lariat_ready_fn fn, char *name) {
    lariat_watcher *watcher = lariat_reactor_watch(reactor, fd, interest, fn, name);
    if (!watcher) test_fail(__FILE__, __LINE__, "cannot watch: %s", lariat_last_error_message());
    return watcher;
}

static int fd_of(lariat_watcher *watcher) {
    int fd = -1;
    CHECK_OK(lariat_watcher_descriptor(watcher, &fd));
    return fd;
}

/* name:r  name:w  name:rw */
static void note_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    CHECK(lariat_watcher_interest(watcher) > 0); /* a good handle */
    CHECK(readiness && !(readiness & ~(LARIAT_READABLE | LARIAT_WRITABLE)));
    note("%s:%s%s", (char *)user_data, readiness & LARIAT_READABLE ? "r" : "", readiness & LARIAT_WRITABLE ? "w" : "");
}

/* Reads a single byte, whatever there is: name=x, or name=. at the end. */
static void read_one(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    CHECK_INT(readiness, LARIAT_READABLE);
    note("%s=%c", (char *)user_data, read_byte(fd_of(watcher)));
}

static void stop_it(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    note_ready(watcher, readiness, user_data);
    CHECK_OK(lariat_watcher_stop(watcher));
}

/* ---- what it tells, and when ---- */

TEST(watch_tells_when_there_is_something_to_read) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one, "pipe");
    CHECK_INT(lariat_watcher_interest(watcher), LARIAT_READABLE);
    CHECK_INT(fd_of(watcher), ends[0]);
    CHECK_INT(reactor_stats(reactor).watchers, 1);
    turns(reactor, 2);
    CHECK_NOTES("");
    write_bytes(ends[1], "x");
    CHECK_NOTES(""); /* only in a turn */
    turn(reactor);
    CHECK_NOTES("pipe=x");
    turns(reactor, 2);
    CHECK_NOTES("");
    write_bytes(ends[1], "y");
    turn(reactor);
    CHECK_NOTES("pipe=y");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(watch_is_level_triggered_who_reads_a_part_is_told_again) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one, "pipe");
    write_bytes(ends[1], "abc");
    turn(reactor);
    CHECK_NOTES("pipe=a"); /* once a turn */
    turns(reactor, 2);
    CHECK_NOTES("pipe=b pipe=c");
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(watch_tells_again_each_turn_while_nobody_reads) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, note_ready, "pipe");
    write_bytes(ends[1], "x");
    turns(reactor, 3);
    CHECK_NOTES("pipe:r pipe:r pipe:r");
    CHECK_INT(read_byte(ends[0]), 'x'); /* its owner reads, outside */
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(watch_sees_what_was_there_before) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    watch(reactor, ends[0], LARIAT_READABLE, stop_it, "pipe");
    turns(reactor, 2);
    CHECK_NOTES("pipe:r");
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(watch_tells_when_there_is_room_to_write) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2], written = 0;
    pipe_new(ends);
    while (write(ends[1], "x", 1) == 1) written++; /* full */
    lariat_watcher *watcher = watch(reactor, ends[1], LARIAT_WRITABLE, note_ready, "pipe");
    turns(reactor, 2);
    CHECK_NOTES("");
    while (written--) CHECK_INT(read_byte(ends[0]), 'x');
    turns(reactor, 2);
    CHECK_NOTES("pipe:w pipe:w");
    CHECK_OK(lariat_watcher_set_interest(watcher, 0));
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

static void gather_readiness(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)watcher;
    *(int32_t *)user_data |= readiness;
}

TEST(watch_tells_both_directions) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    int32_t seen = 0;
    socketpair_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE | LARIAT_WRITABLE, gather_readiness, &seen);
    turn(reactor);
    CHECK_INT(seen, LARIAT_WRITABLE);
    write_bytes(ends[1], "x");
    seen = 0;
    turn(reactor);
    CHECK_INT(seen, LARIAT_READABLE | LARIAT_WRITABLE); /* in one call or in two */
    CHECK_OK(lariat_watcher_set_interest(watcher, LARIAT_READABLE));
    seen = 0;
    turn(reactor);
    CHECK_INT(seen, LARIAT_READABLE);
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(watch_tells_the_end_of_a_stream_as_readable) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    watch(reactor, ends[0], LARIAT_READABLE, stop_it, "pipe");
    CHECK_INT(close(ends[1]), 0);
    turns(reactor, 2);
    CHECK_NOTES("pipe:r");
    CHECK_INT(close(ends[0]), 0);
    reactor_done(reactor);
}

TEST(watch_tells_a_broken_pipe_as_writable) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    while (write(ends[1], "x", 1) == 1) {}
    watch(reactor, ends[1], LARIAT_WRITABLE, stop_it, "pipe");
    CHECK_INT(close(ends[0]), 0);
    turns(reactor, 2);
    CHECK_NOTES("pipe:w"); /* the write will say what is wrong */
    CHECK_INT(close(ends[1]), 0);
    reactor_done(reactor);
}

/* ---- interest ---- */

TEST(watch_interest_0_pauses_and_nothing_is_missed) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one, "pipe");
    CHECK_OK(lariat_watcher_set_interest(watcher, 0));
    CHECK_INT(lariat_watcher_interest(watcher), 0);
    write_bytes(ends[1], "ab");
    turns(reactor, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_watcher_set_interest(watcher, LARIAT_READABLE));
    turn(reactor);
    CHECK_NOTES("pipe=a");
    CHECK_OK(lariat_watcher_set_interest(watcher, 0)); /* paused with a byte left, no new edge will come */
    turn(reactor);
    CHECK_NOTES("");
    CHECK_OK(lariat_watcher_set_interest(watcher, LARIAT_READABLE));
    turn(reactor);
    CHECK_NOTES("pipe=b");
    turn(reactor);
    CHECK_NOTES("");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

static void read_one_and_pause(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    read_one(watcher, readiness, user_data);
    CHECK_OK(lariat_watcher_set_interest(watcher, 0));
}

static void resume(void *user_data) {
    note("resume");
    CHECK_OK(lariat_watcher_set_interest(user_data, LARIAT_READABLE));
}

TEST(watch_interest_can_be_changed_inside_the_callback) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one_and_pause, "pipe");
    write_bytes(ends[1], "ab");
    turns(reactor, 3);
    CHECK_NOTES("pipe=a");
    CHECK(lariat_reactor_call_later(reactor, 1, resume, watcher) != NULL);
    advance(reactor, 1); /* timers come before io, so it is told in the same turn */
    CHECK_NOTES("resume pipe=b");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

static void swap_direction(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    note_ready(watcher, readiness, user_data);
    CHECK_OK(lariat_watcher_set_interest(watcher, readiness == LARIAT_READABLE ? LARIAT_WRITABLE : LARIAT_READABLE));
}

TEST(watch_interest_can_swap_direction_every_turn) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    socketpair_new(ends);
    write_bytes(ends[1], "x");
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, swap_direction, "socket");
    turns(reactor, 4);
    CHECK_NOTES("socket:r socket:w socket:r socket:w");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

/* ---- stopping ---- */

TEST(watch_stopped_inside_its_own_callback) { /* FAILURES 8 */
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    token *data = token_new("pipe");
    pipe_new(ends);
    write_bytes(ends[1], "x");
    lariat_watcher *watcher = lariat_reactor_watch_full(reactor, ends[0], LARIAT_READABLE, stop_it, data, token_free_noted);
    turns(reactor, 2);
    CHECK_NOTES("pipe:r free:pipe"); /* freed when the callback has returned */
    CHECK(!token_alive(data));
    CHECK_STATUS(lariat_watcher_stop(watcher), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_watcher_interest(watcher), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_watcher_set_interest(watcher, LARIAT_READABLE), LARIAT_ERR_STALE_HANDLE);
    CHECK(descriptor_is_open(ends[0])); /* its owner's, as before */
    CHECK_INT(read_byte(ends[0]), 'x');
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(watch_stopped_from_outside) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    token *data = token_new("not called");
    pipe_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch_full(reactor, ends[0], LARIAT_READABLE, note_ready, data, token_free);
    write_bytes(ends[1], "x");
    CHECK_OK(lariat_watcher_stop(watcher));
    CHECK(!token_alive(data));
    turns(reactor, 2);
    CHECK_NOTES("");
    pipe_close(ends);
    reactor_done(reactor);
}

static lariat_watcher *siblings[2];

static void stop_the_sibling(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness, (void)user_data;
    note("one");
    CHECK_OK(lariat_watcher_stop(siblings[watcher == siblings[0]]));
}

TEST(watch_a_sibling_stopped_in_the_same_batch_is_not_called) { /* FAILURES 9 */
    lariat_reactor *reactor = manual_reactor();
    int ends[2][2];
    for (int i = 0; i < 2; i++) {
        pipe_new(ends[i]);
        write_bytes(ends[i][1], "x");
        siblings[i] = lariat_reactor_watch_full(reactor, ends[i][0], LARIAT_READABLE, stop_the_sibling, token_new("sibling"), token_free);
    }
    turn(reactor);
    CHECK_NOTES("one");
    CHECK_INT(reactor_stats(reactor).watchers, 1);
    CHECK_INT(tokens_alive(), 1);
    for (int i = 0; i < 2; i++) {
        if (lariat_watcher_interest(siblings[i]) > 0) CHECK_OK(lariat_watcher_stop(siblings[i]));
        pipe_close(ends[i]);
    }
    reactor_done(reactor);
}

static void pause_the_sibling(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness, (void)user_data;
    note("one");
    CHECK_OK(lariat_watcher_set_interest(siblings[watcher == siblings[0]], 0));
}

TEST(watch_a_sibling_paused_in_the_same_batch_is_not_called) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2][2];
    for (int i = 0; i < 2; i++) {
        pipe_new(ends[i]);
        write_bytes(ends[i][1], "x");
        siblings[i] = watch(reactor, ends[i][0], LARIAT_READABLE, pause_the_sibling, "sibling");
    }
    turn(reactor);
    CHECK_NOTES("one");
    for (int i = 0; i < 2; i++) {
        CHECK_OK(lariat_watcher_stop(siblings[i]));
        pipe_close(ends[i]);
    }
    reactor_done(reactor);
}

TEST(watch_again_after_a_stop) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "ab");
    for (int i = 0; i < 2; i++) {
        lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one, i ? "second" : "first");
        turn(reactor);
        CHECK_OK(lariat_watcher_stop(watcher));
        turn(reactor);
    }
    CHECK_NOTES("first=a second=b");
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(watch_a_number_that_was_used_before) {
    lariat_reactor *reactor = manual_reactor();
    int old[2], new[2];
    pipe_new(old);
    lariat_watcher *watcher = watch(reactor, old[0], LARIAT_READABLE, read_one, "old");
    write_bytes(old[1], "x");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(old);
    pipe_new(new); /* the same numbers, most likely */
    watcher = watch(reactor, new[0], LARIAT_READABLE, read_one, "new");
    turns(reactor, 2);
    CHECK_NOTES("");
    write_bytes(new[1], "y");
    turn(reactor);
    CHECK_NOTES("new=y");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(new);
    reactor_done(reactor);
}

/* ---- many ---- */

TEST(watch_two_hundred_at_once) {
    lariat_reactor *reactor = manual_reactor();
    enum { count = 200 };
    int ends[count][2], called[count] = {0};
    lariat_watcher *watchers[count];
    for (int i = 0; i < count; i++) {
        pipe_new(ends[i]);
        watchers[i] = lariat_reactor_watch(reactor, ends[i][0], LARIAT_READABLE, gather_readiness, &called[i]);
        CHECK(watchers[i] != NULL);
    }
    for (int i = 0; i < count; i += 2) write_bytes(ends[i][1], "x");
    turn(reactor);
    for (int i = 0; i < count; i++) CHECK_INT(called[i], i % 2 ? 0 : LARIAT_READABLE);
    for (int i = 0; i < count; i++) {
        CHECK_OK(lariat_watcher_stop(watchers[i]));
        pipe_close(ends[i]);
    }
    reactor_done(reactor);
}

TEST(watch_watchers_can_be_listed) {
    lariat_reactor *reactor = manual_reactor();
    int one[2], two[2];
    lariat_watcher *listed[3] = {NULL, NULL, NULL};
    size_t count = 99;
    pipe_new(one);
    pipe_new(two);
    lariat_watcher *a = watch(reactor, one[0], LARIAT_READABLE, note_ready, "a");
    lariat_watcher *b = watch(reactor, two[0], LARIAT_READABLE, note_ready, "b");
    CHECK_OK(lariat_reactor_watchers(reactor, NULL, 0, &count));
    CHECK_INT(count, 2);
    CHECK_OK(lariat_reactor_watchers(reactor, listed, 1, &count));
    CHECK_INT(count, 2);
    CHECK((listed[0] == a || listed[0] == b) && !listed[1]);
    CHECK_OK(lariat_reactor_watchers(reactor, listed, 3, &count));
    CHECK((listed[0] == a && listed[1] == b) || (listed[0] == b && listed[1] == a));
    CHECK_PTR(listed[2], NULL);
    CHECK_OK(lariat_watcher_stop(a));
    CHECK_OK(lariat_reactor_watchers(reactor, listed, 3, &count));
    CHECK_INT(count, 1);
    CHECK_PTR(listed[0], b);
    CHECK_OK(lariat_watcher_stop(b));
    pipe_close(one);
    pipe_close(two);
    reactor_done(reactor);
}

/* ---- what is refused ---- */

TEST(watch_a_regular_file_is_refused_with_a_clear_message) {
    lariat_reactor *reactor = manual_reactor();
    FILE *file = tmpfile();
    token *data = token_new("refused");
    CHECK(file != NULL);
    CHECK(lariat_reactor_watch_full(reactor, fileno(file), LARIAT_READABLE, note_ready, data, token_free) == NULL);
    CHECK_EITHER(lariat_last_error(), LARIAT_ERR_NOT_SUPPORTED, LARIAT_ERR_OS);
    CHECK(strstr(lariat_last_error_message(), "file") != NULL);
    CHECK(!token_alive(data));
    fclose(file);
    reactor_done(reactor);
}

TEST(watch_refuses_what_cannot_be) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one, "first");
    const struct { int fd; int32_t interest; lariat_ready_fn fn; lariat_status status; } refused[] = {
        {ends[0], LARIAT_READABLE, note_ready, LARIAT_ERR_ALREADY_WATCHED},
        {-1, LARIAT_READABLE, note_ready, LARIAT_ERR_INVALID_ARGUMENT},
        {1000, LARIAT_READABLE, note_ready, LARIAT_ERR_OS}, /* not open */
        {ends[1], 4, note_ready, LARIAT_ERR_INVALID_ARGUMENT},
        {ends[1], -1, note_ready, LARIAT_ERR_INVALID_ARGUMENT},
        {ends[1], LARIAT_WRITABLE, NULL, LARIAT_ERR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_NULL(lariat_reactor_watch_full(reactor, refused[i].fd, refused[i].interest, refused[i].fn, token_new("refused"), token_free),
                   refused[i].status);
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_watcher_set_interest(watcher, 4), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_watcher_descriptor(watcher, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    write_bytes(ends[1], "x"); /* and the first is not disturbed */
    turn(reactor);
    CHECK_NOTES("first=x");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

/* ---- with the rest of the reactor ---- */

TEST(watch_ends_with_the_reactor_and_leaves_the_descriptor_open) { /* FAILURES 12 */
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch_full(reactor, ends[0], LARIAT_READABLE, note_ready, token_new("pipe"), token_free);
    write_bytes(ends[1], "x");
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
    CHECK_STATUS(lariat_watcher_interest(watcher), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(read_byte(ends[0]), 'x');
    pipe_close(ends);
}

TEST(watch_goes_on_after_a_stop_of_the_reactor) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one, "pipe");
    turn(reactor);
    stop_reactor(reactor);
    write_bytes(ends[1], "x");
    turn(reactor);
    CHECK_NOTES("pipe=x");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

struct reader {
    lariat_reactor *reactor;
    int expected;
};

static void read_until_expected(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    struct reader *reader = user_data;
    (void)readiness;
    if (read_byte(fd_of(watcher)) == 'x' && --reader->expected == 0) {
        CHECK_OK(lariat_watcher_stop(watcher));
        CHECK_OK(lariat_reactor_stop(reader->reactor));
    }
}

static void *write_hundred(void *user_data) {
    for (int i = 0; i < 100; i++) write_bytes(*(int *)user_data, "x");
    return NULL;
}

TEST(watch_wakes_a_reactor_that_sleeps) {
    lariat_reactor *reactor = real_reactor();
    int ends[2];
    pipe_new(ends);
    struct reader reader = {reactor, 100};
    CHECK(lariat_reactor_watch(reactor, ends[0], LARIAT_READABLE, read_until_expected, &reader) != NULL);
    pthread_t thread = thread_start(write_hundred, &ends[1]);
    CHECK_OK(lariat_reactor_run(reactor));
    thread_join(thread);
    CHECK_INT(reader.expected, 0);
    pipe_close(ends);
    reactor_done(reactor);
}

static void write_one(void *user_data) { write_bytes(*(int *)user_data, "x"); }

TEST(watch_keeps_run_until_idle_waiting) {
    lariat_reactor *reactor = real_reactor();
    int ends[2];
    pipe_new(ends);
    watch(reactor, ends[0], LARIAT_READABLE, stop_it, "pipe");
    CHECK(lariat_reactor_call_later(reactor, 0.002, write_one, &ends[1]) != NULL);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("pipe:r");
    pipe_close(ends);
    reactor_done(reactor);
}

struct adoption {
    lariat_reactor *reactor;
    int *ends;
};

static void *adopt_and_turn(void *user_data) {
    struct adoption *adoption = user_data;
    CHECK_STATUS(lariat_reactor_iterate(adoption->reactor, 0), LARIAT_ERR_WRONG_THREAD);
    CHECK_OK(lariat_reactor_adopt(adoption->reactor));
    write_bytes(adoption->ends[1], "a");
    turn(adoption->reactor);
    write_bytes(adoption->ends[1], "b");
    turn(adoption->reactor);
    return NULL;
}

TEST(watch_moves_with_an_adopted_reactor) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    struct adoption adoption = {reactor, ends};
    lariat_watcher *watcher = watch(reactor, ends[0], LARIAT_READABLE, read_one, "pipe");
    turn(reactor);
    thread_join(thread_start(adopt_and_turn, &adoption));
    CHECK_NOTES("pipe=a pipe=b");
    CHECK_STATUS(lariat_watcher_stop(watcher), LARIAT_ERR_WRONG_THREAD);
    CHECK_OK(lariat_reactor_adopt(reactor));
    write_bytes(ends[1], "c");
    turn(reactor);
    CHECK_NOTES("pipe=c");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}
#endif
