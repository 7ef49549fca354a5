/* Watching files and directories while all goes wrong: directories made faster than they can be watched, a queue that
 * overflows, limits of the system, paths that are none. */
#ifdef _WIN32
#include "harness.h"
TEST(watching_paths_is_tested_on_unix) { SKIP("written for POSIX"); }
#else
#include "watched.h"
#include <sched.h>
#include <sys/resource.h>

static lariat_file_watch *follow(lariat_reactor *reactor, int32_t flags, model *one) {
    lariat_file_watch *watch =
        watched(lariat_reactor_watch_path(reactor, root, flags | LARIAT_WATCH_RECURSIVE, model_change, one));
    CHECK_OK(lariat_file_watch_set_interval(watch, 0.002));
    return watch;
}

static void follow_to_the_end(lariat_reactor *reactor, model *one) {
    while (!one->is_over) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
}

/* ---- faster than they can be watched ---- */

enum { TREES = 150, DEEP = 4 };

/* Each of the trees at once, a file at every level. */
static void *make_trees(void *argument) {
    (void)argument;
    for (int tree = 0; tree < TREES; tree++) {
        char path[96];
        int length = snprintf(path, sizeof path, "t%d", tree);
        for (int level = 0; level < DEEP; level++) {
            make_directory(at(path));
            char file[sizeof path + 8];
            snprintf(file, sizeof file, "%s/file", path);
            append(at(file), "1");
            length += snprintf(path + length, sizeof path - length, "/d%d", level);
        }
    }
    append(at("end"), "1");
    return NULL;
}

static void made_by_a_thread(int32_t flags) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    model one = {0};
    lariat_file_watch *watch = follow(reactor, flags, &one);
    pthread_t thread = thread_start(make_trees, NULL);
    while (one.created < TREES * DEEP * 2 + 1) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    thread_join(thread);
    CHECK_INT(one.created, TREES * DEEP * 2 + 1); /* none twice */
    CHECK_INT(one.overflows, 0);
    model_check(&one);
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}

TEST(directories_made_on_a_thread_faster_than_they_can_be_watched) { made_by_a_thread(0); }
TEST(directories_made_on_a_thread_while_they_are_looked_at) { made_by_a_thread(LARIAT_WATCH_POLL); }

/* What is told lies behind what is seen: when a/d is told to have become b/b, b/b is another one, and a is in it. */
TEST(what_is_moved_is_around_its_old_place_by_now) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    model one = {0};
    for (const char *const *each = (const char *const[]){"a", "a/d", "b", NULL}; *each; each++) {
        make_directory(at(*each));
        model_add(&one, *each);
    }
    lariat_file_watch *watch = follow(reactor, 0, &one);
    make_directory(at("c"));
    move_to(at("a/d"), at("b/b"));
    move_to(at("b/b"), at("z"));
    make_directory(at("b/b"));
    move_to(at("b"), at("c/b"));
    move_to(at("a"), at("c/b/b/a"));
    make_directory(at("c/b/b/a/d"));
    append(at("end"), "1");
    follow_to_the_end(reactor, &one);
    model_check(&one);
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}

/* ---- anything, at any time ---- */

typedef struct disorder {
    uint64_t state;
    size_t steps;
    atomic_int is_done;
} disorder;

static unsigned draw(disorder *one, unsigned below) {
    one->state ^= one->state << 13;
    one->state ^= one->state >> 7;
    one->state ^= one->state << 17;
    return (unsigned)(one->state >> 33) % below;
}

/* One of a few paths, up to three deep, so that they meet. */
static const char *some_path(disorder *one, char *text) {
    static const char *const names[] = {"a", "b", "c", "d"};
    int length = 0;
    for (unsigned deep = draw(one, 3) + 1; deep; deep--)
        length += sprintf(text + length, "%s%s", length ? "/" : "", names[draw(one, 4)]);
    return text;
}

/* Most of it fails, which does not matter. */
static void *make_disorder(void *argument) {
    disorder *one = argument;
    for (size_t step = 0; step < one->steps; step++) {
        char text[64], other[64], from[400], to[400];
        snprintf(from, sizeof from, "%s/%s", root, some_path(one, text));
        snprintf(to, sizeof to, "%s/%s", root, some_path(one, other));
        int fd;
        switch (draw(one, 8)) {
        case 0:
        case 1: (void)!mkdir(from, 0755); break;
        case 2: (void)!rmdir(from); break;
        case 3: (void)!unlink(from); break;
        case 4: (void)!rename(from, to); break;
        case 5: (void)!rename(from, outside("x")); break;
        case 6: (void)!rename(outside("x"), to); break;
        default:
            fd = open(from, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
            if (fd >= 0) {
                (void)!write(fd, "1", 1);
                close(fd);
            }
        }
        if (draw(one, 64) == 0) sched_yield();
    }
    append(at("end"), "1");
    atomic_store(&one->is_done, 1);
    return NULL;
}

/* Every change is possible after those before, and what they lead to is what is there. */
static void disorder_on_a_thread(int32_t flags) {
    for (uint64_t seed = 1; seed <= many(20); seed++) {
        root_new();
        lariat_reactor *reactor = real_reactor();
        model one = {0};
        disorder chaos = {.state = seed * 0x9e3779b97f4a7c15, .steps = 2000};
        lariat_file_watch *watch = follow(reactor, flags, &one);
        pthread_t thread = thread_start(make_disorder, &chaos);
        follow_to_the_end(reactor, &one);
        thread_join(thread);
        model_check(&one);
        CHECK_OK(lariat_file_watch_stop(watch));
        reactor_done(reactor);
        root_end();
    }
}

TEST(disorder_made_on_a_thread) { disorder_on_a_thread(0); }

/* What is seen in the middle of a move may be neither here nor there; at the end it is right. */
TEST(disorder_made_on_a_thread_while_it_is_looked_at) { disorder_on_a_thread(LARIAT_WATCH_POLL); }

#ifdef __linux__
/* ---- the queue of the system ---- */

static long most_queued(void) {
    long most = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (!file || fscanf(file, "%ld", &most) != 1) most = 0;
    if (file) fclose(file);
    if (most <= 0 || most > 100000) SKIP("no queue of a length that can be filled");
    return most;
}

TEST(the_queue_of_the_system_overflows) {
    long most = most_queued();
    root_new();
    lariat_reactor *reactor = real_reactor();
    model one = {0};
    make_directory(at("d"));
    append(at("d/kept"), "1");
    append(at("d/lost"), "1");
    append(at("a"), "1");
    for (const char *const *each = (const char *const[]){"d", "d/kept", "d/lost", "a", NULL}; *each; each++) model_add(&one, *each);
    lariat_file_watch *watch = follow(reactor, 0, &one);
    for (long i = 0; i < most; i += 4) {
        move_to(at("a"), at("b"));
        move_to(at("b"), at("a"));
    }
    /* From here on nothing is remembered. */
    long modified = one.modified;
    append(at("d/kept"), "22");
    remove_file(at("d/lost"));
    move_to(at("a"), at("moved"));
    make_directory(at("e"));
    make_directory(at("e/f"));
    append(at("e/f/new"), "1");
    move_to(at("d"), at("g"));
    append(at("end"), "1");
    follow_to_the_end(reactor, &one);
    CHECK_INT(one.overflows, 1);
    CHECK_INT(one.modified - modified, 1);
    one.is_over = 0;
    remove_file(at("end"));
    append(at("e/f/again"), "1"); /* new directories are watched, and moved ones by their new names */
    append(at("g/again"), "1");
    append(at("end"), "1");
    follow_to_the_end(reactor, &one);
    CHECK_INT(one.overflows, 1);
    model_check(&one);
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}

/* ---- limits ---- */

static int write_limit(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    int done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

/* A namespace of users has limits of its own. */
static void limit_or_skip(const char *path, const char *text) {
    if (unshare(CLONE_NEWUSER) != 0 || !write_limit(path, text)) SKIP("no limits of our own here");
}

TEST(too_few_watches) {
    root_new();
    make_directory(at("d"));
    make_directory(at("d/e"));
    limit_or_skip("/proc/sys/user/max_inotify_watches", "4");
    lariat_reactor *reactor = real_reactor();
    model one = {0};
    model_add(&one, "d");
    model_add(&one, "d/e");
    lariat_file_watch *watch = follow(reactor, 0, &one);
    CHECK_INT(lariat_file_watch_is_polling(watch), 0);
    /* The fourth directory can still be watched, the fifth cannot: from here on it is looked at. */
    make_directory(at("d/f"));
    make_directory(at("d/f/g"));
    append(at("d/f/g/x"), "1");
    while (!lariat_file_watch_is_polling(watch)) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    CHECK(strstr(test_log.last, "fs.inotify.max_user_watches is too low"));
    CHECK(strstr(test_log.last, root));
    move_to(at("d/f"), at("f"));
    append(at("end"), "1");
    follow_to_the_end(reactor, &one);
    model_check(&one);
    /* The watches that it had are free again; one for which there are too few from the beginning looks at once. */
    lariat_file_watch *another = watched(lariat_reactor_watch_path(reactor, root, LARIAT_WATCH_RECURSIVE, note_change, NULL));
    CHECK_INT(lariat_file_watch_is_polling(another), 1);
    lariat_file_watch *small = watch_path(reactor, root, 0, NULL);
    CHECK_OK(lariat_file_watch_stop(watch));
    CHECK_OK(lariat_file_watch_stop(another));
    CHECK_OK(lariat_file_watch_stop(small));
    reactor_done(reactor);
    root_end();
}

TEST(no_inotify_at_all) {
    root_new();
    limit_or_skip("/proc/sys/user/max_inotify_instances", "0");
    lariat_reactor *reactor = real_reactor();
    lariat_file_watch *watch = watched(lariat_reactor_watch_path(reactor, root, 0, note_change, NULL));
    CHECK_INT(lariat_file_watch_is_polling(watch), 1);
    CHECK(strstr(test_log.last, "fs.inotify.max_user_instances is too low"));
    CHECK_OK(lariat_file_watch_set_interval(watch, 0.002));
    append(at("a"), "1");
    EXPECT(reactor, "C:a");
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}
#endif

/* As many jobs wait as may: it looks later. */
static void hold_the_pool(void *user_data) { gate_wait(user_data); }

TEST(a_thread_pool_that_is_full) {
    static gate may_end = GATE_CLOSED;
    root_new();
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 1;
    options.max_jobs = 1;
    lariat_reactor *reactor = reactor_with(options);
    lariat_file_watch *watch = watch_path(reactor, root, LARIAT_WATCH_POLL, NULL);
    CHECK_OK(lariat_reactor_call_in_thread(reactor, hold_the_pool, &may_end));
    while (lariat_reactor_call_in_thread(reactor, hold_the_pool, &may_end) != LARIAT_OK) sched_yield();
    CHECK_STATUS(lariat_reactor_call_in_thread(reactor, hold_the_pool, &may_end), LARIAT_ERR_LIMIT);
    append(at("a"), "1");
    for (int i = 0; i < 3; i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.003));
    CHECK_NOTES("");
    gate_open(&may_end);
    EXPECT(reactor, "C:a");
    CHECK_OK(lariat_file_watch_stop(watch));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    reactor_done(reactor);
    root_end();
}

/* ---- refusals ---- */

TEST(what_cannot_be_watched) {
    root_new();
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("data");
    CHECK_NULL(lariat_reactor_watch_path_full(reactor, at("none"), 0, note_change, data, token_free), LARIAT_ERR_NOT_FOUND);
    CHECK(!token_alive(data));
    CHECK(strstr(lariat_last_error_message(), at("none")));
    CHECK_NULL(lariat_reactor_watch_path(reactor, at("none"), LARIAT_WATCH_POLL, note_change, NULL), LARIAT_ERR_NOT_FOUND);
    CHECK_NULL(lariat_reactor_watch_path(reactor, "", 0, note_change, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_watch_path(reactor, NULL, 0, note_change, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_watch_path(reactor, root, 4, note_change, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_watch_path(reactor, root, -1, note_change, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_watch_path(reactor, root, 0, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    append(at("file"), "1");
    CHECK_NULL(lariat_reactor_watch_path(reactor, at("file/below"), 0, note_change, NULL), LARIAT_ERR_NOT_A_DIRECTORY);
    CHECK_INT(symlink("nowhere", at("link")), 0);
    CHECK_NULL(lariat_reactor_watch_path_event(reactor, at("link"), 0, 7), LARIAT_ERR_NOT_FOUND);
    if (geteuid() != 0) {
        make_directory(at("closed"));
        CHECK_INT(chmod(at("closed"), 0), 0);
        CHECK_NULL(lariat_reactor_watch_path(reactor, at("closed"), 0, note_change, NULL), LARIAT_ERR_PERMISSION_DENIED);
        lariat_file_watch *around = watch_path(reactor, root, LARIAT_WATCH_RECURSIVE, NULL); /* it is not looked into */
        CHECK_OK(lariat_file_watch_stop(around));
    }
    CHECK_INT(reactor_stats(reactor).file_watches, 0);
    turn(reactor);
    reactor_done(reactor);
    lariat_simulation *simulation = lariat_simulation_new(1);
    reactor = simulated_reactor(simulation, "host");
    CHECK_NULL(lariat_reactor_watch_path(reactor, root, 0, note_change, NULL), LARIAT_ERR_NOT_SUPPORTED);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
    root_end();
}

static void free_inside(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    (void)watch;
    note_one("", change);
    CHECK_STATUS(lariat_reactor_free(user_data), LARIAT_ERR_BUSY);
}

TEST(the_reactor_cannot_be_freed_in_a_callback) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    watched(lariat_reactor_watch_path(reactor, root, 0, free_inside, reactor));
    append(at("a"), "1");
    EXPECT(reactor, "C:a");
    free_reactor(reactor);
    root_end();
}
#endif
