/* Files: what is not there, not allowed, of another kind, too long or too much, and that each failure says of which path it speaks.
 * Nothing that fails halfway leaves anything behind. */
#include "files.h"
#include <limits.h>

/* Root may do everything: then it is somebody else who asks. */
static void be_nobody(void) {
    if (geteuid() != 0) return;
    CHECK_INT(chmod(folder, 0777), 0);
    CHECK_INT(seteuid(65534), 0);
}

static void be_root_again(void) {
    if (getuid() == 0) CHECK_INT(seteuid(0), 0);
}

/* ---- every operation on a path, with what it does to one path ---- */

enum { OPEN, OPEN_TEMPORARY, READ, WRITE, COPY_FROM, COPY_TO, RENAME_FROM, RENAME_TO, REMOVE_FILE, LINK_FROM, LINK_TO, SYMLINK, READ_LINK,
       REAL_PATH, CHMOD, STAT, OPEN_DIRECTORY, LIST, MAKE, MAKE_TEMPORARY, REMOVE_DIRECTORY, REMOVE_TREE, OPERATIONS };

static const char *const operation_names[OPERATIONS] = {
    "open_file", "open_temporary_file", "read_file", "write_file", "copy_file from", "copy_file to", "rename from", "rename to",
    "remove_file", "link from", "link to", "symlink", "read_link", "real_path", "chmod", "stat", "open_directory", "list_directory",
    "make_directory", "make_temporary_directory", "remove_directory", "remove_tree",
};

static lariat_deferred *operate(lariat_reactor *reactor, int operation, const char *path) {
    const char *good = in_folder("good"), *new = in_folder("new");
    switch (operation) {
    case OPEN: return lariat_reactor_open_file(reactor, path, LARIAT_FILE_READ, 0);
    case OPEN_TEMPORARY: return lariat_reactor_open_temporary_file(reactor, path, NULL, 0);
    case READ: return lariat_reactor_read_file(reactor, path, 0);
    case WRITE: return lariat_reactor_write_file(reactor, path, (const uint8_t *)"x", 1, 0600, 0);
    case COPY_FROM: return lariat_reactor_copy_file(reactor, path, new, 0);
    case COPY_TO: return lariat_reactor_copy_file(reactor, good, path, 0);
    case RENAME_FROM: return lariat_reactor_rename(reactor, path, new, 0);
    case RENAME_TO: return lariat_reactor_rename(reactor, good, path, 0);
    case REMOVE_FILE: return lariat_reactor_remove_file(reactor, path);
    case LINK_FROM: return lariat_reactor_link(reactor, path, new);
    case LINK_TO: return lariat_reactor_link(reactor, good, path);
    case SYMLINK: return lariat_reactor_symlink(reactor, good, path);
    case READ_LINK: return lariat_reactor_read_link(reactor, path);
    case REAL_PATH: return lariat_reactor_real_path(reactor, path);
    case CHMOD: return lariat_reactor_chmod(reactor, path, 0600);
    case STAT: return lariat_reactor_stat(reactor, path, 1);
    case OPEN_DIRECTORY: return lariat_reactor_open_directory(reactor, path);
    case LIST: return lariat_reactor_list_directory(reactor, path, 0);
    case MAKE: return lariat_reactor_make_directory(reactor, path, 0700, 0);
    case MAKE_TEMPORARY: return lariat_reactor_make_temporary_directory(reactor, path, NULL);
    case REMOVE_DIRECTORY: return lariat_reactor_remove_directory(reactor, path);
    case REMOVE_TREE: return lariat_reactor_remove_tree(reactor, path);
    }
    return NULL;
}

static ended check_refused(lariat_reactor *reactor, int operation, const char *path, lariat_status code) {
    ended one = test_await(__FILE__, __LINE__, reactor, operate(reactor, operation, path));
    if (one.code != code)
        test_fail(__FILE__, __LINE__, "%s %s: %s (%s), must be %s", operation_names[operation], path, lariat_status_name(one.code),
                  one.message, lariat_status_name(code));
    if (!strstr(one.message, path)) test_fail(__FILE__, __LINE__, "%s: \"%s\" does not name %s", operation_names[operation], one.message, path);
    if (!one.os_error) test_fail(__FILE__, __LINE__, "%s: no number of the system's", operation_names[operation]);
    return one;
}

TEST(what_is_not_there) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    put_file(in_folder("good"), "good");
    for (int operation = 0; operation < OPERATIONS; operation++) {
        CHECK_INT(check_refused(reactor, operation, in_folder("missing/name"), LARIAT_ERR_NOT_FOUND).os_error, ENOENT);
        CHECK_INT(check_refused(reactor, operation, in_folder("good/name"), LARIAT_ERR_NOT_A_DIRECTORY).os_error, ENOTDIR);
    }
    CHECK_STR(get_file(in_folder("good")), "good");
    CHECK_INT(entries_in(folder), 1);
    folder_end();
    reactor_done(reactor);
}

TEST(what_is_not_allowed) {
    folder_new();
    put_file(in_folder("good"), "good");
    CHECK_INT(chmod(in_folder("good"), 0666), 0);
    CHECK_INT(mkdir(in_folder("closed"), 0755), 0);
    put_file(in_folder("closed/name"), "secret");
    CHECK_INT(chmod(in_folder("closed"), 0), 0);
    be_nobody();
    lariat_reactor *reactor = real_reactor();
    for (int operation = 0; operation < OPERATIONS; operation++)
        CHECK_INT(check_refused(reactor, operation, in_folder("closed/name"), LARIAT_ERR_PERMISSION_DENIED).os_error, EACCES);
    CHECK_INT(await_number(reactor, lariat_reactor_check_access(reactor, in_folder("closed/name"), 0)), 0);
    CHECK_INT(await_number(reactor, lariat_reactor_check_access(reactor, in_folder("closed"), LARIAT_ACCESS_EXECUTE)), 0);
    be_root_again();
    CHECK_STR(get_file(in_folder("good")), "good");
    CHECK_INT(entries_in(folder), 2);
    reactor_done(reactor);
    folder_end();
}

/* A tree of which a part may not be removed: the message says which. */
TEST(a_tree_that_cannot_be_removed_whole) {
    folder_new();
    be_nobody();
    CHECK_INT(mkdir(in_folder("tree"), 0755), 0);
    CHECK_INT(mkdir(in_folder("tree/below"), 0755), 0);
    put_file(in_folder("tree/below/kept"), "kept");
    CHECK_INT(chmod(in_folder("tree/below"), 0555), 0);
    lariat_reactor *reactor = real_reactor();
    await_failure(reactor, lariat_reactor_remove_tree(reactor, in_folder("tree")), LARIAT_ERR_PERMISSION_DENIED, in_folder("tree/below/kept"));
    CHECK_STR(get_file(in_folder("tree/below/kept")), "kept");
    await_failure(reactor, lariat_reactor_remove_tree(reactor, "/"), LARIAT_ERR_INVALID_ARGUMENT, "/");
    await_failure(reactor, lariat_reactor_remove_tree(reactor, "/tmp/../"), LARIAT_ERR_INVALID_ARGUMENT, "/tmp/../");
    be_root_again();
    reactor_done(reactor);
    folder_end();
}

TEST(a_directory_where_a_file_is_wanted) {
    lariat_reactor *reactor = real_reactor();
    static const int operations[] = {OPEN, READ, WRITE, COPY_FROM, COPY_TO, REMOVE_FILE};
    folder_new();
    put_file(in_folder("good"), "good");
    CHECK_INT(mkdir(in_folder("directory"), 0755), 0);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        check_refused(reactor, operations[i], in_folder("directory"), LARIAT_ERR_NOT_A_FILE);
    lariat_deferred *deferred = lariat_reactor_open_file(reactor, in_folder("directory"), LARIAT_FILE_WRITE | LARIAT_FILE_CREATE, 0600);
    await_failure(reactor, deferred, LARIAT_ERR_NOT_A_FILE, in_folder("directory"));
    check_refused(reactor, RENAME_TO, in_folder("directory"), LARIAT_ERR_NOT_A_FILE);
    CHECK_INT(entries_in(folder), 2);
    folder_end();
    reactor_done(reactor);
}

TEST(a_file_where_a_directory_is_wanted) {
    lariat_reactor *reactor = real_reactor();
    static const int operations[] = {OPEN_DIRECTORY, LIST, REMOVE_DIRECTORY, OPEN_TEMPORARY, MAKE_TEMPORARY};
    folder_new();
    put_file(in_folder("file"), "kept");
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        check_refused(reactor, operations[i], in_folder("file"), LARIAT_ERR_NOT_A_DIRECTORY);
    await_failure(reactor, lariat_reactor_make_directory(reactor, in_folder("file"), 0700, 1), LARIAT_ERR_ALREADY_EXISTS, in_folder("file"));
    CHECK_STR(get_file(in_folder("file")), "kept");
    folder_end();
    reactor_done(reactor);
}

/* Not even to find out that it is one may take for ever. */
TEST(a_named_pipe_is_no_file) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    const char *pipe = strdup(in_folder("pipe"));
    put_file(in_folder("good"), "good");
    CHECK_INT(mkfifo(pipe, 0600), 0);
    int open_before = descriptors_open();
    await_failure(reactor, lariat_reactor_open_file(reactor, pipe, LARIAT_FILE_READ, 0), LARIAT_ERR_NOT_A_FILE, pipe);
    await_failure(reactor, lariat_reactor_open_file(reactor, pipe, LARIAT_FILE_READ | LARIAT_FILE_WRITE, 0), LARIAT_ERR_NOT_A_FILE, pipe);
    CHECK_INT(await_failure(reactor, lariat_reactor_open_file(reactor, pipe, LARIAT_FILE_WRITE, 0), LARIAT_ERR_OS, pipe).os_error, ENXIO);
    await_failure(reactor, lariat_reactor_read_file(reactor, pipe, 0), LARIAT_ERR_NOT_A_FILE, pipe);
    await_failure(reactor, lariat_reactor_write_file(reactor, pipe, NULL, 0, 0600, 0), LARIAT_ERR_NOT_A_FILE, pipe);
    await_failure(reactor, lariat_reactor_copy_file(reactor, pipe, in_folder("new"), 0), LARIAT_ERR_NOT_A_FILE, pipe);
    await_failure(reactor, lariat_reactor_copy_file(reactor, in_folder("good"), pipe, 0), LARIAT_ERR_NOT_A_FILE, pipe);
    await_failure(reactor, lariat_reactor_write_file(reactor, "/dev/null", NULL, 0, 0600, 0), LARIAT_ERR_NOT_A_FILE, "/dev/null");
    CHECK_INT(descriptors_open(), open_before);
    CHECK_INT(entries_in(folder), 2);
    free((void *)(uintptr_t)pipe);
    folder_end();
    reactor_done(reactor);
}

TEST(what_is_there_already) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    const char *there = in_folder("there");
    put_file(there, "kept");
    put_file(in_folder("other"), "other");
    CHECK_INT(symlink("nowhere", in_folder("link")), 0);
    int32_t exclusive = LARIAT_FILE_WRITE | LARIAT_FILE_CREATE | LARIAT_FILE_EXCLUSIVE;
    await_failure(reactor, lariat_reactor_open_file(reactor, there, exclusive, 0600), LARIAT_ERR_ALREADY_EXISTS, there);
    await_failure(reactor, lariat_reactor_open_file(reactor, in_folder("link"), exclusive, 0600), LARIAT_ERR_ALREADY_EXISTS, in_folder("link"));
    await_failure(reactor, lariat_reactor_write_file(reactor, there, NULL, 0, 0600, LARIAT_FILE_EXCLUSIVE), LARIAT_ERR_ALREADY_EXISTS, there);
    await_failure(reactor, lariat_reactor_write_file(reactor, in_folder("link"), NULL, 0, 0600, LARIAT_FILE_EXCLUSIVE), LARIAT_ERR_ALREADY_EXISTS,
                  in_folder("link"));
    await_failure(reactor, lariat_reactor_copy_file(reactor, in_folder("other"), there, LARIAT_FILE_EXCLUSIVE), LARIAT_ERR_ALREADY_EXISTS, there);
    await_failure(reactor, lariat_reactor_rename(reactor, in_folder("other"), there, LARIAT_FILE_EXCLUSIVE), LARIAT_ERR_ALREADY_EXISTS, there);
    await_failure(reactor, lariat_reactor_link(reactor, in_folder("other"), there), LARIAT_ERR_ALREADY_EXISTS, there);
    await_failure(reactor, lariat_reactor_symlink(reactor, "other", there), LARIAT_ERR_ALREADY_EXISTS, there);
    await_failure(reactor, lariat_reactor_make_directory(reactor, there, 0700, 0), LARIAT_ERR_ALREADY_EXISTS, there);
    CHECK_STR(get_file(there), "kept");
    CHECK_INT(mkdir(in_folder("full"), 0755), 0);
    CHECK_INT(mkdir(in_folder("full/below"), 0755), 0);
    CHECK_INT(mkdir(in_folder("empty"), 0755), 0);
    await_failure(reactor, lariat_reactor_remove_directory(reactor, in_folder("full")), LARIAT_ERR_NOT_EMPTY, in_folder("full"));
    await_failure(reactor, lariat_reactor_rename(reactor, in_folder("empty"), in_folder("full"), 0), LARIAT_ERR_NOT_EMPTY, in_folder("full"));
    CHECK_INT(entries_in(folder), 5);
    folder_end();
    reactor_done(reactor);
}

TEST(what_else_the_system_refuses) {
    lariat_reactor *reactor = real_reactor();
    char name[600];
    folder_new();
    CHECK_INT(symlink("loop", in_folder("loop")), 0);
    CHECK_INT(check_refused(reactor, READ, in_folder("loop"), LARIAT_ERR_OS).os_error, ELOOP);
    CHECK_INT(check_refused(reactor, WRITE, in_folder("loop"), LARIAT_ERR_OS).os_error, ELOOP);
    put_file(in_folder("good"), "");
    CHECK_INT(check_refused(reactor, READ_LINK, in_folder("good"), LARIAT_ERR_OS).os_error, EINVAL);
    memset(name, 'n', sizeof name);
    memcpy(name, folder, strlen(folder));
    name[strlen(folder)] = '/';
    name[599] = 0;
    check_refused(reactor, OPEN, name, LARIAT_ERR_TOO_LONG);
    check_refused(reactor, WRITE, name, LARIAT_ERR_TOO_LONG);
    /* The longest that may be: what is written beside it has a shorter one. */
    name[strlen(folder) + 1 + 255] = 0;
    await_nothing(reactor, operate(reactor, WRITE, name));
    CHECK_STR(get_file(name), "x");
    if (is_there("/dev/shm") && stat_of("/dev/shm").st_dev != stat_of(folder).st_dev) {
        lariat_deferred *deferred = lariat_reactor_rename(reactor, in_folder("good"), "/dev/shm/lariat-test", 0);
        CHECK_INT(await_failure(reactor, deferred, LARIAT_ERR_OS, in_folder("good")).os_error, EXDEV);
    }
    folder_end();
    reactor_done(reactor);
}

/* ---- limits and full disks ---- */

TEST(more_than_was_allowed_to_be_read) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    put_file(in_folder("a"), "12345678");
    await_failure(reactor, lariat_reactor_read_file(reactor, in_folder("a"), 7), LARIAT_ERR_TOO_LONG, in_folder("a"));
    CHECK_TEXT(await(reactor, lariat_reactor_read_file(reactor, in_folder("a"), 8)), "12345678");
    await_failure(reactor, lariat_reactor_read_file(reactor, "/proc/self/status", 100), LARIAT_ERR_TOO_LONG, "/proc/self/status");
    await_failure(reactor, lariat_reactor_read_file(reactor, "/dev/zero", 1 << 20), LARIAT_ERR_TOO_LONG, "/dev/zero");
    put_file(in_folder("b"), "");
    await_failure(reactor, lariat_reactor_list_directory(reactor, folder, 1), LARIAT_ERR_LIMIT, folder);
    folder_end();
    reactor_done(reactor);
}

TEST(a_disk_that_is_full) {
    lariat_reactor *reactor = real_reactor();
    lariat_file *full = open_file(reactor, "/dev/full", LARIAT_FILE_WRITE | LARIAT_FILE_READ);
    ended one = await_failure(reactor, write_text(full, "text"), LARIAT_ERR_NO_SPACE, "/dev/full");
    CHECK_INT(one.os_error, ENOSPC);
    CHECK_BYTES(await(reactor, lariat_file_read(full, 3)), "\0\0\0", 3); /* the file is as good as before */
    await_nothing(reactor, lariat_file_close(full));
    reactor_done(reactor);
}

/* What fails halfway says how far it came; a whole file stays as it was, and so do its permissions. */
TEST(a_file_that_becomes_too_large) {
    lariat_reactor *reactor = real_reactor();
    static uint8_t data[300000];
    folder_new();
    put_file(in_folder("a"), "old");
    put_file(in_folder("large"), "");
    CHECK_INT(truncate(in_folder("large"), sizeof data), 0);
    struct rlimit before, small;
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){100000, before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    ended one = await_failure(reactor, lariat_reactor_write_file(reactor, in_folder("a"), data, sizeof data, 0600, 0), LARIAT_ERR_TOO_LONG,
                              in_folder("a"));
    CHECK_INT(one.os_error, EFBIG);
    await_failure(reactor, lariat_reactor_copy_file(reactor, in_folder("large"), in_folder("a"), 0), LARIAT_ERR_TOO_LONG, in_folder("a"));
    CHECK_STR(get_file(in_folder("a")), "old");
    CHECK_INT(stat_of(in_folder("a")).st_mode & 07777, 0644);
    CHECK_INT(entries_in(folder), 2);
    lariat_file *file = open_file(reactor, in_folder("b"), LARIAT_FILE_WRITE | LARIAT_FILE_CREATE);
    await_failure(reactor, lariat_file_write(file, data, sizeof data), LARIAT_ERR_TOO_LONG, "100000 of 300000 bytes");
    await_failure(reactor, lariat_file_truncate(file, 100001), LARIAT_ERR_TOO_LONG, in_folder("b"));
    CHECK_INT(await_number(reactor, lariat_file_size(file)), 100000);
    await_nothing(reactor, lariat_file_close(file));
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    folder_end();
    reactor_done(reactor);
}

TEST(no_descriptor_is_left) {
    if (is_under("valgrind")) SKIP("valgrind keeps the limit itself, and opens what a file is made by all the same");
    lariat_reactor *reactor = real_reactor();
    folder_new();
    put_file(in_folder("good"), "good");
    await_nothing(reactor, lariat_reactor_chmod(reactor, in_folder("good"), 0600)); /* the pool's thread is there */
    struct rlimit before, few;
    int highest = dup(0);
    close(highest);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){(rlim_t)highest, before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    static const int operations[] = {OPEN, READ, WRITE, COPY_FROM, OPEN_DIRECTORY, LIST, OPEN_TEMPORARY};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        const char *path = operations[i] >= OPEN_DIRECTORY || operations[i] == OPEN_TEMPORARY ? folder : in_folder("good");
        CHECK_INT(check_refused(reactor, operations[i], path, LARIAT_ERR_TOO_MANY_DESCRIPTORS).os_error, EMFILE);
    }
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_STR(get_file(in_folder("good")), "good");
    CHECK_INT(entries_in(folder), 1);
    folder_end();
    reactor_done(reactor);
}

/* ---- a file that is used in the wrong way ---- */

TEST(a_file_that_was_opened_otherwise) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    const char *path = in_folder("a");
    put_file(path, "text");
    lariat_file *file = open_file(reactor, path, LARIAT_FILE_READ);
    CHECK_INT(await_failure(reactor, write_text(file, "x"), LARIAT_ERR_OS, path).os_error, EBADF);
    CHECK_INT(await_failure(reactor, lariat_file_truncate(file, 0), LARIAT_ERR_OS, path).os_error, EINVAL);
    CHECK_INT(await_failure(reactor, lariat_file_seek(file, -5, LARIAT_SEEK_END), LARIAT_ERR_OS, path).os_error, EINVAL);
    CHECK_TEXT(await(reactor, lariat_file_read(file, 10)), "text"); /* the next one does not mind */
    await_nothing(reactor, lariat_file_close(file));
    file = open_file(reactor, path, LARIAT_FILE_WRITE);
    CHECK_INT(await_failure(reactor, lariat_file_read(file, 1), LARIAT_ERR_OS, path).os_error, EBADF);
    CHECK_INT(await_failure(reactor, lariat_file_read_at(file, 0, 1), LARIAT_ERR_OS, path).os_error, EBADF);
    await_nothing(reactor, lariat_file_close(file));
    CHECK_STR(get_file(path), "text");
    folder_end();
    reactor_done(reactor);
}

TEST(arguments_that_are_refused) {
    lariat_reactor *reactor = real_reactor();
    const uint8_t *data = (const uint8_t *)"x";
    const lariat_status bad = LARIAT_ERR_INVALID_ARGUMENT;
    for (int operation = 0; operation < OPERATIONS; operation++) {
        CHECK_NULL(operate(reactor, operation, ""), bad);
        if (operation != OPEN_TEMPORARY && operation != MAKE_TEMPORARY) CHECK_NULL(operate(reactor, operation, NULL), bad);
    }
    static const int32_t flags[] = {
        0, LARIAT_FILE_CREATE, LARIAT_FILE_READ | LARIAT_FILE_CREATE, LARIAT_FILE_READ | LARIAT_FILE_TRUNCATE, LARIAT_FILE_WRITE | LARIAT_FILE_EXCLUSIVE,
        LARIAT_FILE_APPEND | LARIAT_FILE_TRUNCATE, LARIAT_FILE_WRITE | LARIAT_FILE_UNSYNCED, LARIAT_FILE_READ | LARIAT_FILE_UNNAMED, -1, INT32_MIN,
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) CHECK_NULL(lariat_reactor_open_file(reactor, "/dev/null", flags[i], 0), bad);
    CHECK_NULL(lariat_reactor_open_file(reactor, "/dev/null", LARIAT_FILE_READ, 010000), bad);
    CHECK_NULL(lariat_reactor_write_file(reactor, "/nonexistent", data, 1, 010000, 0), bad);
    CHECK_NULL(lariat_reactor_write_file(reactor, "/nonexistent", NULL, 1, 0600, 0), bad);
    CHECK_NULL(lariat_reactor_write_file(reactor, "/nonexistent", data, SIZE_MAX, 0600, 0), bad);
    CHECK_NULL(lariat_reactor_write_file(reactor, "/nonexistent", data, 1, 0600, LARIAT_FILE_CREATE), bad);
    CHECK_NULL(lariat_reactor_copy_file(reactor, "/nonexistent", "/nonexistent", LARIAT_FILE_READ), bad);
    CHECK_NULL(lariat_reactor_rename(reactor, "/nonexistent", "/nonexistent", 1), bad);
    CHECK_NULL(lariat_reactor_check_access(reactor, "/", 8), bad);
    CHECK_NULL(lariat_reactor_check_access(reactor, "/", -1), bad);
    CHECK_NULL(lariat_reactor_stat(reactor, "/", 2), bad);
    CHECK_NULL(lariat_reactor_chmod(reactor, "/nonexistent", 010000), bad);
    CHECK_NULL(lariat_reactor_make_directory(reactor, "/nonexistent", 0700, -1), bad);
    CHECK_NULL(lariat_reactor_open_temporary_file(reactor, "/nonexistent", "a/b", 0), bad);
    CHECK_NULL(lariat_reactor_open_temporary_file(reactor, "/nonexistent", "..", 0), bad);
    CHECK_NULL(lariat_reactor_open_temporary_file(reactor, "/nonexistent", NULL, LARIAT_FILE_READ), bad);
    CHECK_NULL(lariat_reactor_make_temporary_directory(reactor, "/nonexistent", ""), bad);
    lariat_file *file = open_file(reactor, "/dev/null", LARIAT_FILE_READ | LARIAT_FILE_WRITE);
    CHECK_NULL(lariat_file_seek(file, 0, 3), bad);
    CHECK_NULL(lariat_file_seek(file, -1, LARIAT_SEEK_START), bad);
    CHECK_NULL(lariat_file_read(file, SIZE_MAX), bad);
    CHECK_NULL(lariat_file_read_at(file, UINT64_MAX, 1), bad);
    CHECK_NULL(lariat_file_write_at(file, UINT64_MAX, data, 1), bad);
    CHECK_NULL(lariat_file_write(file, NULL, 1), bad);
    CHECK_NULL(lariat_file_append(file, data, SIZE_MAX), bad);
    CHECK_NULL(lariat_file_truncate(file, UINT64_MAX), bad);
    CHECK_NULL(lariat_file_sync(file, 2), bad);
    await_nothing(reactor, lariat_file_close(file));
    reactor_done(reactor);
}

/* ---- the pool's limit ---- */

static gate busy = GATE_CLOSED, goes_on = GATE_CLOSED;

static void hold_pool(void *unused) {
    (void)unused;
    gate_open(&busy);
    gate_wait(&goes_on);
}

TEST(more_operations_than_may_wait) {
    lariat_reactor_options options = reactor_options();
    options.max_jobs = 3;
    lariat_reactor *reactor = reactor_with(options);
    CHECK_OK(lariat_reactor_suggest_thread_pool_size(reactor, 1));
    ended ends[4], stat;
    lariat_file *file = open_file(reactor, "/dev/null", LARIAT_FILE_READ | LARIAT_FILE_WRITE);
    CHECK_OK(lariat_reactor_call_in_thread(reactor, hold_pool, NULL));
    gate_wait(&busy);
    for (int i = 0; i < 4; i++) watch_end(write_text(file, "x"), &ends[i]); /* one waits in the pool, three in line */
    CHECK_NULL(write_text(file, "x"), LARIAT_ERR_LIMIT);
    CHECK(strstr(lariat_last_error_message(), "/dev/null") != NULL);
    watch_end(lariat_reactor_stat(reactor, "/", 1), &stat);
    CHECK_OK(lariat_reactor_call_in_thread(reactor, hold_pool, NULL));
    CHECK_NULL(lariat_reactor_stat(reactor, "/", 1), LARIAT_ERR_LIMIT);
    CHECK_INT(ends[0].come, 0);
    gate_open(&goes_on);
    TURN_UNTIL(reactor, ends[3].come && stat.come);
    for (int i = 0; i < 4; i++) CHECK_STATUS(ends[i].code, LARIAT_OK);
    CHECK_OK(lariat_file_info_free(stat.value));
    await_nothing(reactor, lariat_file_close(file));
    reactor_done(reactor);
}

/* A close is not refused, and closes, whatever the pool says. */
TEST(a_file_is_closed_though_the_pool_is_full) {
    lariat_reactor_options options = reactor_options();
    options.max_jobs = 1;
    lariat_reactor *reactor = reactor_with(options);
    CHECK_OK(lariat_reactor_suggest_thread_pool_size(reactor, 1));
    lariat_file *file = open_file(reactor, "/dev/null", LARIAT_FILE_READ);
    int open_before = descriptors_open();
    CHECK_OK(lariat_reactor_call_in_thread(reactor, hold_pool, NULL));
    gate_wait(&busy);
    CHECK_OK(lariat_reactor_call_in_thread(reactor, hold_pool, NULL));
    CHECK_NULL(lariat_file_tell(file), LARIAT_ERR_LIMIT);
    await_nothing(reactor, lariat_file_close(file));
    CHECK_INT(descriptors_open(), open_before - 1);
    CHECK_INT(reactor_stats(reactor).files, 0);
    gate_open(&goes_on);
    TURN_UNTIL(reactor, reactor_stats(reactor).jobs == 0);
    reactor_done(reactor);
}

/* ---- reactors that are no more, or not here ---- */

TEST(values_outlive_nothing) {
    lariat_reactor *reactor = real_reactor();
    lariat_bytes *bytes = await(reactor, lariat_reactor_read_file(reactor, "/dev/null", 0));
    lariat_file_info *info = await(reactor, lariat_reactor_stat(reactor, "/", 1));
    lariat_directory_entries *entries = await(reactor, lariat_reactor_list_directory(reactor, "/", 0));
    lariat_file *file = open_file(reactor, "/dev/null", LARIAT_FILE_READ);
    CHECK_INT(reactor_stats(reactor).file_values, 3);
    free_reactor(reactor);
    CHECK_STATUS(lariat_bytes_free(bytes), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_file_info_free(info), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_directory_entries_free(entries), LARIAT_ERR_STALE_HANDLE);
    CHECK_NULL(lariat_file_close(file), LARIAT_ERR_STALE_HANDLE);
}

/* What nobody takes is freed with its Deferred. */
TEST(values_that_nobody_takes_are_freed) {
    lariat_reactor *reactor = real_reactor();
    for (int i = 0; i < 3; i++) {
        lariat_deferred *deferred = i == 0   ? lariat_reactor_read_file(reactor, "/proc/self/status", 0)
                                    : i == 1 ? lariat_reactor_list_directory(reactor, "/", 0)
                                             : lariat_reactor_stat(reactor, "/", 1);
        TURN_UNTIL(reactor, lariat_deferred_called(deferred));
        CHECK_INT(reactor_stats(reactor).file_values, 1);
        CHECK_OK(lariat_deferred_release(deferred));
        CHECK_INT(reactor_stats(reactor).file_values, 0);
        CHECK_OK(lariat_deferred_release(lariat_reactor_stat(reactor, "/", 1)));
        TURN_UNTIL(reactor, reactor_stats(reactor).jobs == 0);
        CHECK_INT(reactor_stats(reactor).file_values, 0);
    }
    reactor_done(reactor);
}
