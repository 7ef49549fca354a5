/* Files: each operation, that those of one file are done in order, that whole files are written atomically, cancelling, and the ends
 * of scopes and reactors with operations in flight. What fails, and how, is in failures_files.c. */
#include "files.h"
#include <sys/time.h>

/* ---- an open file ---- */

TEST(a_file_is_written_and_read_again) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    lariat_file *file = open_file(reactor, in_folder("a"), LARIAT_FILE_READ | LARIAT_FILE_WRITE | LARIAT_FILE_CREATE);
    CHECK_STR(lariat_file_path(file), in_folder("a"));
    await_nothing(reactor, write_text(file, "hello world"));
    CHECK_STR(get_file(in_folder("a")), "hello world");
    CHECK_INT(await_number(reactor, lariat_file_seek(file, 6, LARIAT_SEEK_START)), 6);
    CHECK_TEXT(await(reactor, lariat_file_read(file, 100)), "world");
    CHECK_TEXT(await(reactor, lariat_file_read(file, 100)), ""); /* the end */
    CHECK_TEXT(await(reactor, lariat_file_read_at(file, 0, 5)), "hello");
    await_nothing(reactor, lariat_file_write(file, NULL, 0));
    await_nothing(reactor, lariat_file_close(file));
    CHECK_STATUS(lariat_file_path(file) ? LARIAT_OK : lariat_last_error(), LARIAT_ERR_STALE_HANDLE);
    folder_end();
    reactor_done(reactor);
}

TEST(positions_sizes_and_holes) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    lariat_file *file = open_file(reactor, in_folder("a"), LARIAT_FILE_READ | LARIAT_FILE_WRITE | LARIAT_FILE_CREATE);
    await_nothing(reactor, write_text(file, "0123456789"));
    CHECK_INT(await_number(reactor, lariat_file_tell(file)), 10);
    CHECK_INT(await_number(reactor, lariat_file_seek(file, -3, LARIAT_SEEK_END)), 7);
    CHECK_INT(await_number(reactor, lariat_file_seek(file, -2, LARIAT_SEEK_CURRENT)), 5);
    CHECK_TEXT(await(reactor, lariat_file_read_at(file, 2, 3)), "234");
    await_nothing(reactor, lariat_file_write_at(file, 12, (const uint8_t *)"end", 3));
    CHECK_INT(await_number(reactor, lariat_file_tell(file)), 5); /* neither has moved it */
    CHECK_INT(await_number(reactor, lariat_file_size(file)), 15);
    CHECK_BYTES(await(reactor, lariat_file_read(file, 100)), "56789\0\0end", 10);
    await_nothing(reactor, lariat_file_append(file, (const uint8_t *)"!", 1));
    CHECK_INT(await_number(reactor, lariat_file_tell(file)), 16);
    await_nothing(reactor, lariat_file_truncate(file, 4));
    await_nothing(reactor, lariat_file_truncate(file, 6));
    CHECK_BYTES(await(reactor, lariat_file_read_at(file, 0, 100)), "0123\0\0", 6);
    CHECK_TEXT(await(reactor, lariat_file_read(file, 1)), ""); /* the position is past the end */
    CHECK_TEXT(await(reactor, lariat_file_read_at(file, INT64_MAX / 2, 1)), "");
    await_nothing(reactor, lariat_file_sync(file, 0));
    await_nothing(reactor, lariat_file_sync(file, 1));
    await_nothing(reactor, lariat_file_close(file));
    folder_end();
    reactor_done(reactor);
}

TEST(flags_say_how_a_file_is_opened) {
    lariat_reactor *reactor = real_reactor();
    const char *path;
    folder_new();
    put_file(path = in_folder("a"), "old content");
    lariat_file *file = open_file(reactor, path, LARIAT_FILE_WRITE);
    await_nothing(reactor, write_text(file, "new"));
    await_nothing(reactor, lariat_file_close(file));
    CHECK_STR(get_file(path), "new content");
    file = open_file(reactor, path, LARIAT_FILE_WRITE | LARIAT_FILE_TRUNCATE);
    await_nothing(reactor, write_text(file, "short"));
    await_nothing(reactor, lariat_file_close(file));
    CHECK_STR(get_file(path), "short");
    lariat_file *one = open_file(reactor, path, LARIAT_FILE_APPEND), *two = open_file(reactor, path, LARIAT_FILE_APPEND | LARIAT_FILE_READ);
    await_nothing(reactor, write_text(one, "1"));
    await_nothing(reactor, write_text(two, "2"));
    await_nothing(reactor, lariat_file_append(one, (const uint8_t *)"3", 1));
    CHECK_TEXT(await(reactor, lariat_file_read_at(two, 0, 100)), "short123");
    CHECK_NULL(lariat_file_write_at(one, 0, (const uint8_t *)"x", 1), LARIAT_ERR_INVALID_STATE);
    await_nothing(reactor, lariat_file_close(one));
    await_nothing(reactor, lariat_file_close(two));
    mode_t mask = umask(027);
    lariat_deferred *made = lariat_reactor_open_file(reactor, in_folder("b"), LARIAT_FILE_WRITE | LARIAT_FILE_CREATE | LARIAT_FILE_EXCLUSIVE, 0666);
    file = await(reactor, made);
    umask(mask);
    CHECK_INT(stat_of(in_folder("b")).st_mode & 07777, 0640);
    await_nothing(reactor, lariat_file_close(file));
    folder_end();
    reactor_done(reactor);
}

TEST(a_file_is_not_inherited) {
    lariat_reactor *reactor = real_reactor();
    char before[4096] = {0};
    folder_new();
    for (int fd = 0; fd < 4096; fd++) before[fd] = (char)descriptor_is_open(fd);
    lariat_file *file = open_file(reactor, in_folder("a"), LARIAT_FILE_WRITE | LARIAT_FILE_CREATE);
    lariat_directory *directory = await(reactor, lariat_reactor_open_directory(reactor, folder));
    int found = 0;
    for (int fd = 0; fd < 4096; fd++) {
        if (before[fd] || !descriptor_is_open(fd)) continue;
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        found++;
    }
    CHECK_INT(found, 2);
    await_nothing(reactor, lariat_file_close(file));
    await_nothing(reactor, lariat_directory_close(directory));
    folder_end();
    reactor_done(reactor);
}

/* ---- in order ---- */

static void *note_number(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    static uintptr_t next;
    (void)deferred, (void)value;
    CHECK(failure == NULL);
    CHECK_INT((uintptr_t)user_data, next++);
    return NULL;
}

/* All are asked for at once, on a pool of ten threads. */
TEST(operations_of_one_file_are_done_in_order) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    lariat_file *file = open_file(reactor, in_folder("a"), LARIAT_FILE_READ | LARIAT_FILE_WRITE | LARIAT_FILE_CREATE);
    uintptr_t count = many(2000);
    char line[16];
    ended read, closed;
    for (uintptr_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "%06d\n", (int)i);
        lariat_deferred *deferred = i % 3 ? write_text(file, line) : lariat_file_append(file, (uint8_t *)line, 7);
        memset(line, 'x', sizeof line); /* it was copied */
        CHECK_OK(lariat_deferred_add_both(deferred, note_number, (void *)i));
        CHECK_OK(lariat_deferred_release(deferred));
    }
    watch_end(lariat_file_read_at(file, 0, 7 * count + 1), &read);
    watch_end(lariat_file_close(file), &closed);
    CHECK_NULL(write_text(file, "too late"), LARIAT_ERR_CLOSED);
    CHECK_NULL(lariat_file_close(file), LARIAT_ERR_CLOSED);
    CHECK(strstr(lariat_last_error_message(), in_folder("a")) != NULL);
    TURN_UNTIL(reactor, closed.come);
    CHECK_INT(read.come, 1);
    CHECK_INT(lariat_bytes_length(read.value), 7 * count);
    for (uintptr_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "%06d\n", (int)i);
        CHECK(memcmp(lariat_bytes_data(read.value) + 7 * i, line, 7) == 0);
    }
    CHECK_OK(lariat_bytes_free(read.value));
    folder_end();
    reactor_done(reactor);
}

/* In the callback of one, what the next has read is of no concern: more may be asked for, and the file closed. */
static void *close_inside(lariat_deferred *deferred, void *value, void *file) {
    (void)value;
    note("written");
    return lariat_deferred_wait_for(deferred, lariat_file_close(file));
}

TEST(a_callback_may_close_the_file) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    lariat_file *file = open_file(reactor, in_folder("a"), LARIAT_FILE_WRITE | LARIAT_FILE_CREATE);
    lariat_deferred *deferred = write_text(file, "text");
    CHECK_OK(lariat_deferred_add_callback(deferred, close_inside, file));
    await_nothing(reactor, deferred);
    CHECK_NOTES("written");
    CHECK_INT(reactor_stats(reactor).files, 0);
    folder_end();
    reactor_done(reactor);
}

/* ---- what a file is ---- */

static int64_t nanoseconds_of(struct timespec time) { return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec; }

TEST(what_is_known_of_a_file) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    put_file(in_folder("a"), "twelve bytes");
    CHECK_INT(chmod(in_folder("a"), 01640), 0);
    CHECK_INT(link(in_folder("a"), in_folder("b")), 0);
    CHECK_INT(symlink("a", in_folder("link")), 0);
    struct timespec times[2] = {{-5, 250000000}, {1000000000, 123456789}};
    CHECK_INT(utimensat(AT_FDCWD, in_folder("a"), times, 0), 0);
    struct stat want = stat_of(in_folder("a"));
    lariat_file *file = open_file(reactor, in_folder("b"), LARIAT_FILE_READ);
    for (int i = 0; i < 3; i++) {
        lariat_deferred *deferred = i == 2 ? lariat_file_stat(file) : lariat_reactor_stat(reactor, in_folder(i ? "link" : "a"), 1);
        lariat_file_facts facts = facts_taken(await(reactor, deferred));
        CHECK_INT(facts.struct_size, sizeof facts);
        CHECK_INT(facts.kind, LARIAT_FILE_KIND_FILE);
        CHECK_INT(facts.size, 12);
        CHECK_INT(facts.allocated, want.st_blocks * 512);
        CHECK_INT(facts.modified, INT64_C(1000000000123456789));
        CHECK_INT(facts.accessed, nanoseconds_of(want.st_atim));
        CHECK_INT(facts.changed, nanoseconds_of(want.st_ctim));
        CHECK_INT(facts.device, want.st_dev);
        CHECK_INT(facts.inode, want.st_ino);
        CHECK_INT(facts.links, 2);
        CHECK_INT(facts.mode, 01640);
        CHECK_INT(facts.user, want.st_uid);
        CHECK_INT(facts.group, want.st_gid);
    }
    CHECK_INT(facts_taken(await(reactor, lariat_reactor_stat(reactor, in_folder("link"), 0))).kind, LARIAT_FILE_KIND_SYMLINK);
    CHECK_INT(facts_taken(await(reactor, lariat_reactor_stat(reactor, folder, 1))).kind, LARIAT_FILE_KIND_DIRECTORY);
    CHECK_INT(facts_taken(await(reactor, lariat_reactor_stat(reactor, "/dev/null", 1))).kind, LARIAT_FILE_KIND_CHARACTER_DEVICE);
    CHECK_INT(mkfifo(in_folder("pipe"), 0600), 0);
    CHECK_INT(facts_taken(await(reactor, lariat_reactor_stat(reactor, in_folder("pipe"), 1))).kind, LARIAT_FILE_KIND_PIPE);
    await_nothing(reactor, lariat_file_close(file));
    folder_end();
    reactor_done(reactor);
}

/* A header of before `links` was there, say. */
TEST(older_facts_are_filled_as_far_as_they_go) {
    lariat_reactor *reactor = real_reactor();
    struct {
        lariat_file_facts facts;
    } place;
    memset(&place, 0x55, sizeof place);
    CHECK_OK(lariat_file_facts_init(&place.facts, offsetof(lariat_file_facts, modified)));
    lariat_file_info *info = await(reactor, lariat_reactor_stat(reactor, "/", 1));
    CHECK_OK(lariat_file_info_get(info, &place.facts));
    CHECK_INT(place.facts.kind, LARIAT_FILE_KIND_DIRECTORY);
    CHECK_INT(place.facts.modified, 0x5555555555555555);
    CHECK_OK(lariat_file_info_free(info));
    CHECK_STATUS(lariat_file_info_free(info), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(whether_it_is_there_and_may_be_used) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    put_file(in_folder("a"), "");
    CHECK_INT(chmod(in_folder("a"), 0644), 0);
    CHECK_INT(await_number(reactor, lariat_reactor_check_access(reactor, in_folder("a"), 0)), 1);
    CHECK_INT(await_number(reactor, lariat_reactor_check_access(reactor, in_folder("a"), LARIAT_ACCESS_READ | LARIAT_ACCESS_WRITE)), 1);
    CHECK_INT(await_number(reactor, lariat_reactor_check_access(reactor, in_folder("a"), LARIAT_ACCESS_EXECUTE)), 0);
    CHECK_INT(await_number(reactor, lariat_reactor_check_access(reactor, in_folder("b"), 0)), 0);
    CHECK_INT(await_number(reactor, lariat_reactor_check_access(reactor, in_folder("a/b"), 0)), 0);
    folder_end();
    reactor_done(reactor);
}

/* ---- paths ---- */

TEST(names_are_changed_added_and_removed) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    put_file(in_folder("a"), "a");
    put_file(in_folder("b"), "b");
    await_nothing(reactor, lariat_reactor_rename(reactor, in_folder("a"), in_folder("b"), 0));
    CHECK(!is_there(in_folder("a")));
    CHECK_STR(get_file(in_folder("b")), "a");
    await_nothing(reactor, lariat_reactor_rename(reactor, in_folder("b"), in_folder("c"), LARIAT_FILE_EXCLUSIVE));
    await_nothing(reactor, lariat_reactor_link(reactor, in_folder("c"), in_folder("d")));
    CHECK_INT(stat_of(in_folder("c")).st_ino, stat_of(in_folder("d")).st_ino);
    await_nothing(reactor, lariat_reactor_symlink(reactor, "d", in_folder("link")));
    CHECK_TEXT(await(reactor, lariat_reactor_read_link(reactor, in_folder("link"))), "d");
    char real[PATH_MAX];
    CHECK(realpath(in_folder("d"), real) != NULL);
    CHECK_TEXT(await(reactor, lariat_reactor_real_path(reactor, in_folder("./link"))), real);
    await_nothing(reactor, lariat_reactor_chmod(reactor, in_folder("link"), 0600));
    CHECK_INT(stat_of(in_folder("c")).st_mode & 07777, 0600);
    await_nothing(reactor, lariat_reactor_remove_file(reactor, in_folder("d")));
    await_nothing(reactor, lariat_reactor_remove_file(reactor, in_folder("link")));
    CHECK_STR(get_file(in_folder("c")), "a");
    CHECK_INT(entries_in(folder), 1);
    folder_end();
    reactor_done(reactor);
}

/* Paths are bytes, not text. */
TEST(a_name_need_not_be_text) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    await_nothing(reactor, lariat_reactor_write_file(reactor, in_folder("\xff\xfe name"), (const uint8_t *)"x", 1, 0600, LARIAT_FILE_UNSYNCED));
    CHECK_STR(get_file(in_folder("\xff\xfe name")), "x");
    lariat_directory_entries *entries = await(reactor, lariat_reactor_list_directory(reactor, folder, 0));
    CHECK_INT(lariat_directory_entries_count(entries), 1);
    CHECK_STR(lariat_directory_entries_name(entries, 0), "\xff\xfe name");
    CHECK_OK(lariat_directory_entries_free(entries));
    folder_end();
    reactor_done(reactor);
}

/* ---- directories ---- */

TEST(directories_are_made_listed_and_removed) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    await_nothing(reactor, lariat_reactor_make_directory(reactor, in_folder("one"), 0700, 0));
    CHECK_INT(stat_of(in_folder("one")).st_mode & 07777, 0700);
    await_nothing(reactor, lariat_reactor_make_directory(reactor, in_folder("one/two/three"), 0755, 1));
    await_nothing(reactor, lariat_reactor_make_directory(reactor, in_folder("one/two/three"), 0755, 1)); /* there already */
    put_file(in_folder("one/file"), "");
    put_file(in_folder("one/.hidden"), "");
    CHECK_INT(symlink("nowhere", in_folder("one/link")), 0);
    lariat_directory_entries *entries = await(reactor, lariat_reactor_list_directory(reactor, in_folder("one"), 4));
    static const char *const names[] = {".hidden", "file", "link", "two"};
    static const int32_t kinds[] = {LARIAT_FILE_KIND_FILE, LARIAT_FILE_KIND_FILE, LARIAT_FILE_KIND_SYMLINK, LARIAT_FILE_KIND_DIRECTORY};
    CHECK_INT(lariat_directory_entries_count(entries), 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_STR(lariat_directory_entries_name(entries, i), names[i]);
        int32_t kind = lariat_directory_entries_kind(entries, i);
        CHECK(kind == kinds[i] || kind == 0);
    }
    CHECK_NULL(lariat_directory_entries_name(entries, 4), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_directory_entries_kind(entries, SIZE_MAX), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_directory_entries_free(entries));
    await_nothing(reactor, lariat_reactor_remove_directory(reactor, in_folder("one/two/three")));
    CHECK(!is_there(in_folder("one/two/three")));
    folder_end();
    reactor_done(reactor);
}

/* No more of it is in memory than one batch, however large it is. */
TEST(a_huge_directory_is_read_bit_by_bit) {
    lariat_reactor *reactor = real_reactor();
    size_t count = many(20000), seen = 0, batches = 0;
    char *names = calloc(count, 1);
    folder_new();
    for (size_t i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        close(fd);
    }
    lariat_directory *directory = await(reactor, lariat_reactor_open_directory(reactor, folder));
    CHECK_STR(lariat_directory_path(directory), folder);
    for (size_t got = 1; got; batches++) {
        lariat_directory_entries *entries = await(reactor, lariat_directory_read(directory, 100));
        got = lariat_directory_entries_count(entries);
        CHECK(got <= 100);
        CHECK_INT(reactor_stats(reactor).file_values, 1);
        for (size_t i = 0; i < got; i++, seen++) {
            size_t number = strtoul(lariat_directory_entries_name(entries, i), NULL, 10);
            CHECK(number < count && !names[number]++);
        }
        CHECK_OK(lariat_directory_entries_free(entries));
    }
    CHECK_INT(seen, count);
    CHECK_INT(batches, (count + 99) / 100 + 1); /* each but the last was full, and there is one that says that it is over */
    await_nothing(reactor, lariat_directory_close(directory));
    CHECK_STATUS(lariat_directory_read(directory, 1) ? LARIAT_OK : lariat_last_error(), LARIAT_ERR_STALE_HANDLE);
    free(names);
    folder_end();
    reactor_done(reactor);
}

TEST(reads_of_one_directory_are_done_in_order) {
    lariat_reactor *reactor = real_reactor();
    ended reads[5], closed;
    char names[5] = {0};
    folder_new();
    for (int i = 0; i < 3; i++) put_file(in_folder((char[]){(char)('a' + i), 0}), "");
    lariat_directory *directory = await(reactor, lariat_reactor_open_directory(reactor, folder));
    for (int i = 0; i < 5; i++) watch_end(lariat_directory_read(directory, 1), &reads[i]);
    watch_end(lariat_directory_close(directory), &closed);
    CHECK_NULL(lariat_directory_read(directory, 1), LARIAT_ERR_CLOSED);
    TURN_UNTIL(reactor, closed.come);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(lariat_directory_entries_count(reads[i].value), i < 3);
        if (i < 3) names[lariat_directory_entries_name(reads[i].value, 0)[0] - 'a']++;
        CHECK_OK(lariat_directory_entries_free(reads[i].value));
    }
    CHECK(memcmp(names, "\1\1\1\0\0", 5) == 0);
    folder_end();
    reactor_done(reactor);
}

TEST(a_tree_is_removed_and_links_are_not_followed) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    CHECK_INT(mkdir(in_folder("tree"), 0755), 0);
    CHECK_INT(mkdir(in_folder("other"), 0755), 0);
    put_file(in_folder("other/kept"), "kept");
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "tree/%d", i);
        CHECK_INT(mkdir(in_folder(name), 0755), 0);
        snprintf(name, sizeof name, "tree/%d/file", i);
        put_file(in_folder(name), "");
    }
    CHECK_INT(symlink("../other", in_folder("tree/link")), 0);
    CHECK_INT(symlink("../../other/kept", in_folder("tree/7/link")), 0);
    CHECK_INT(symlink("tree", in_folder("link")), 0);
    CHECK_INT(mkfifo(in_folder("tree/7/pipe"), 0600), 0);
    await_nothing(reactor, lariat_reactor_remove_tree(reactor, in_folder("link"))); /* the link alone */
    CHECK(is_there(in_folder("tree/7/pipe")));
    await_nothing(reactor, lariat_reactor_remove_tree(reactor, in_folder("tree")));
    CHECK(!is_there(in_folder("tree")));
    CHECK_STR(get_file(in_folder("other/kept")), "kept");
    await_nothing(reactor, lariat_reactor_remove_tree(reactor, in_folder("other/kept")));
    await_nothing(reactor, lariat_reactor_remove_tree(reactor, in_folder("other")));
    CHECK_INT(entries_in(folder), 0);
    folder_end();
    reactor_done(reactor);
}

/* Deeper than any path may be long, with hardly a descriptor left. */
TEST(a_deep_tree_needs_few_descriptors) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    CHECK_INT(mkdir(in_folder("tree"), 0755), 0);
    int at = open(in_folder("tree"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int depth = 0; depth < 3000; depth++) {
        CHECK_INT(mkdirat(at, "deeper", 0755), 0);
        int file = openat(at, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), below = openat(at, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(file >= 0 && below >= 0);
        close(file);
        close(at);
        at = below;
    }
    close(at);
    int highest = dup(0);
    struct rlimit before, few;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){(rlim_t)highest + 4, before.rlim_max};
    close(highest);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    await_nothing(reactor, lariat_reactor_remove_tree(reactor, in_folder("tree")));
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(entries_in(folder), 0);
    folder_end();
    reactor_done(reactor);
}

/* ---- whole files ---- */

TEST(a_whole_file_is_read) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    size_t length = 3 << 20;
    char *data = malloc(length);
    for (size_t i = 0; i < length; i++) data[i] = (char)(i * 2654435761u >> 13);
    int fd = open(in_folder("a"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(write(fd, data, length), length);
    close(fd);
    CHECK_BYTES(await(reactor, lariat_reactor_read_file(reactor, in_folder("a"), 0)), data, length);
    CHECK_BYTES(await(reactor, lariat_reactor_read_file(reactor, in_folder("a"), length)), data, length);
    free(data);
    put_file(in_folder("empty"), "");
    CHECK_TEXT(await(reactor, lariat_reactor_read_file(reactor, in_folder("empty"), 0)), "");
    /* One that does not tell how long it is. */
    lariat_bytes *bytes = await(reactor, lariat_reactor_read_file(reactor, "/proc/self/status", 0));
    CHECK(strstr((const char *)lariat_bytes_data(bytes), "\nPid:") != NULL);
    CHECK_OK(lariat_bytes_free(bytes));
    folder_end();
    reactor_done(reactor);
}

static lariat_deferred *write_whole(lariat_reactor *reactor, const char *path, const char *text, int32_t flags) {
    return lariat_reactor_write_file(reactor, path, (const uint8_t *)text, strlen(text), 0666, flags);
}

TEST(a_whole_file_is_written) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    mode_t mask = umask(022);
    await_nothing(reactor, write_whole(reactor, in_folder("a"), "first", 0));
    umask(mask);
    CHECK_STR(get_file(in_folder("a")), "first");
    CHECK_INT(stat_of(in_folder("a")).st_mode & 07777, 0644);
    ino_t before = stat_of(in_folder("a")).st_ino;
    CHECK_INT(link(in_folder("a"), in_folder("other name")), 0);
    CHECK_INT(chmod(in_folder("a"), 0604), 0);
    await_nothing(reactor, write_whole(reactor, in_folder("a"), "second", 0));
    CHECK_STR(get_file(in_folder("a")), "second");
    CHECK_INT(stat_of(in_folder("a")).st_mode & 07777, 0604); /* kept */
    CHECK(stat_of(in_folder("a")).st_ino != before);
    CHECK_STR(get_file(in_folder("other name")), "first");
    await_nothing(reactor, write_whole(reactor, in_folder("a"), "", LARIAT_FILE_UNSYNCED));
    CHECK_STR(get_file(in_folder("a")), "");
    await_nothing(reactor, write_whole(reactor, in_folder("new"), "new", LARIAT_FILE_EXCLUSIVE));
    CHECK_STR(get_file(in_folder("new")), "new");
    CHECK_INT(entries_in(folder), 3); /* nothing is left beside them */
    CHECK_INT(chdir(folder), 0);
    await_nothing(reactor, write_whole(reactor, "b", "relative", 0));
    CHECK_STR(get_file(in_folder("b")), "relative");
    CHECK_INT(chdir("/"), 0);
    folder_end();
    reactor_done(reactor);
}

TEST(a_link_to_a_file_that_is_written_stays_a_link) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    CHECK_INT(mkdir(in_folder("below"), 0755), 0);
    put_file(in_folder("below/a"), "old");
    CHECK_INT(symlink("below/link", in_folder("link")), 0);
    CHECK_INT(symlink("a", in_folder("below/link")), 0);
    await_nothing(reactor, write_whole(reactor, in_folder("link"), "new", 0));
    CHECK(S_ISLNK(stat_of(in_folder("link")).st_mode) && S_ISLNK(stat_of(in_folder("below/link")).st_mode));
    CHECK_STR(get_file(in_folder("below/a")), "new");
    CHECK_INT(symlink("below/made", in_folder("dangling")), 0);
    await_nothing(reactor, write_whole(reactor, in_folder("dangling"), "made", 0));
    CHECK_STR(get_file(in_folder("below/made")), "made");
    CHECK_INT(entries_in(folder), 3);
    folder_end();
    reactor_done(reactor);
}

/* Either all of one content or all of the other: -1 where it is neither. */
static int content_of(const char *path, char *buffer, size_t length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t count = 0, more;
    while ((more = read(fd, buffer + count, length + 1 - (size_t)count)) > 0) count += more;
    close(fd);
    if (count != (ssize_t)length || (buffer[0] != 'a' && buffer[0] != 'b')) return -1;
    for (size_t i = 1; i < length; i++)
        if (buffer[i] != buffer[0]) return -1;
    return buffer[0];
}

enum { WHOLE = 300000 };

static struct looker {
    const char *path;
    atomic_int over;
    long looks;
} looker;

static void *look_again_and_again(void *unused) {
    static char buffer[WHOLE + 1];
    for (; !atomic_load(&looker.over); looker.looks++) CHECK(content_of(looker.path, buffer, WHOLE) != -1);
    return unused;
}

TEST(a_reader_sees_the_old_content_or_the_new_one) {
    lariat_reactor *reactor = real_reactor();
    static uint8_t contents[2][WHOLE];
    folder_new();
    looker.path = in_folder("a");
    for (int i = 0; i < 2; i++) memset(contents[i], 'a' + i, WHOLE);
    await_nothing(reactor, lariat_reactor_write_file(reactor, looker.path, contents[0], WHOLE, 0600, 0));
    pthread_t thread = thread_start(look_again_and_again, NULL);
    for (size_t i = 1; i <= many(400); i++)
        await_nothing(reactor, lariat_reactor_write_file(reactor, looker.path, contents[i % 2], WHOLE, 0600, LARIAT_FILE_UNSYNCED));
    atomic_store(&looker.over, 1);
    thread_join(thread);
    CHECK(looker.looks > 0);
    folder_end();
    reactor_done(reactor);
}

/* A process that does nothing but write one file, the one content after the other, until it is killed. */
static void write_for_ever(const char *path, int told) {
    alarm(60);
    static uint8_t contents[2][WHOLE];
    lariat_reactor *reactor = real_reactor();
    for (int i = 0; i < 2; i++) memset(contents[i], 'a' + i, WHOLE);
    for (int i = 0;; i++) {
        await_nothing(reactor, lariat_reactor_write_file(reactor, path, contents[i % 2], WHOLE, 0600, LARIAT_FILE_UNSYNCED));
        write_bytes(told, "x");
    }
}

TEST(a_writer_that_is_killed_leaves_one_of_both) {
    static char buffer[WHOLE + 1];
    char told[1];
    folder_new();
    const char *path = in_folder("a");
    for (int round = 0; round < 12; round++) {
        int ends[2];
        CHECK_INT(pipe(ends), 0);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            write_for_ever(path, ends[1]);
        }
        CHECK_INT(close(ends[1]), 0);
        for (int writes = 0; writes <= round % 3; writes++) CHECK_INT(read(ends[0], told, 1), 1);
        for (volatile int wait = 0; wait < round * 40000; wait++) {} /* somewhere within the next ones */
        CHECK_INT(kill(child, SIGKILL), 0);
        CHECK_INT(waitpid(child, NULL, 0), child);
        CHECK_INT(close(ends[0]), 0);
        CHECK(content_of(path, buffer, WHOLE) != -1);
    }
    folder_end();
}

/* ---- copying ---- */

TEST(a_file_is_copied_with_its_permissions) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    put_file(in_folder("a"), "content");
    CHECK_INT(chmod(in_folder("a"), 04751), 0);
    put_file(in_folder("b"), "what was there before");
    await_nothing(reactor, lariat_reactor_copy_file(reactor, in_folder("a"), in_folder("b"), 0));
    CHECK_STR(get_file(in_folder("b")), "content");
    CHECK_INT(stat_of(in_folder("b")).st_mode & 07777, 0751); /* not what lets it act for another */
    await_nothing(reactor, lariat_reactor_copy_file(reactor, in_folder("a"), in_folder("c"), LARIAT_FILE_EXCLUSIVE | LARIAT_FILE_UNSYNCED));
    CHECK_STR(get_file(in_folder("c")), "content");
    await_nothing(reactor, lariat_reactor_copy_file(reactor, in_folder("a"), in_folder("a"), 0));
    CHECK_STR(get_file(in_folder("a")), "content");
    put_file(in_folder("empty"), "");
    await_nothing(reactor, lariat_reactor_copy_file(reactor, in_folder("empty"), in_folder("c"), 0));
    CHECK_STR(get_file(in_folder("c")), "");
    await_nothing(reactor, lariat_reactor_copy_file(reactor, "/proc/self/status", in_folder("status"), 0));
    CHECK(strstr(get_file(in_folder("status")), "\nPid:") != NULL);
    CHECK_INT(entries_in(folder), 5);
    folder_end();
    reactor_done(reactor);
}

static void check_same(const char *one, const char *other) {
    static char left[1 << 16], right[1 << 16];
    int fds[2] = {open(one, O_RDONLY | O_CLOEXEC), open(other, O_RDONLY | O_CLOEXEC)};
    for (off_t at = 0;;) {
        ssize_t count = pread(fds[0], left, sizeof left, at);
        CHECK(count >= 0);
        CHECK_INT(pread(fds[1], right, sizeof right, at), count);
        CHECK(memcmp(left, right, (size_t)count) == 0);
        if (!count) break;
        at += count;
    }
    close(fds[0]);
    close(fds[1]);
}

static void check_copies_of_a_sparse_file(const char *from, const char *to) {
    lariat_reactor *reactor = real_reactor();
    static char data[1 << 20];
    int fd = open(from, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 2654435761u >> 11);
    for (int i = 0; i < 20; i++) CHECK_INT(pwrite(fd, data, sizeof data, i * (off_t)(sizeof data)), sizeof data);
    CHECK_INT(pwrite(fd, data, 5000, 100 << 20), 5000);
    CHECK_INT(ftruncate(fd, 128 << 20), 0);
    close(fd);
    await_nothing(reactor, lariat_reactor_copy_file(reactor, from, to, LARIAT_FILE_UNSYNCED));
    check_same(from, to);
    if (stat_of(from).st_blocks < (64 << 20) / 512) CHECK(stat_of(to).st_blocks < (64 << 20) / 512);
    CHECK_INT(unlink(to), 0);
    reactor_done(reactor);
}

TEST(a_large_file_with_holes_is_copied_with_its_holes) {
    folder_new();
    check_copies_of_a_sparse_file(in_folder("a"), in_folder("b"));
    folder_end();
}

TEST(a_large_file_with_holes_is_copied_to_another_file_system) {
    char other[] = "/dev/shm/lariat-test-XXXXXX", to[64];
    folder_new();
    if (!mkdtemp(other) || stat_of(other).st_dev == stat_of(folder).st_dev) {
        folder_end();
        SKIP("there is no other file system");
    }
    snprintf(to, sizeof to, "%s/b", other);
    check_copies_of_a_sparse_file(in_folder("a"), to);
    CHECK_INT(rmdir(other), 0);
    folder_end();
}

/* ---- temporary ones ---- */

TEST(temporary_files_and_directories) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    lariat_file *named = await(reactor, lariat_reactor_open_temporary_file(reactor, folder, "named-", 0));
    CHECK(strstr(lariat_file_path(named), "/named-") != NULL);
    CHECK_INT(stat_of(lariat_file_path(named)).st_mode & 07777, 0600);
    await_nothing(reactor, write_text(named, "kept"));
    CHECK_STR(get_file(lariat_file_path(named)), "kept");
    lariat_file *unnamed = await(reactor, lariat_reactor_open_temporary_file(reactor, folder, NULL, LARIAT_FILE_UNNAMED));
    CHECK_INT(entries_in(folder), 1);
    await_nothing(reactor, write_text(unnamed, "gone soon"));
    CHECK_TEXT(await(reactor, lariat_file_read_at(unnamed, 0, 100)), "gone soon");
    await_nothing(reactor, lariat_file_close(unnamed));
    await_nothing(reactor, lariat_file_close(named));
    CHECK_INT(entries_in(folder), 1);
    lariat_bytes *made = await(reactor, lariat_reactor_make_temporary_directory(reactor, folder, "made-"));
    const char *path = (const char *)lariat_bytes_data(made);
    CHECK(strncmp(path, in_folder("made-"), strlen(in_folder("made-"))) == 0);
    CHECK_INT(stat_of(path).st_mode & 07777, 0700);
    CHECK_OK(lariat_bytes_free(made));
    CHECK_INT(setenv("TMPDIR", folder, 1), 0);
    made = await(reactor, lariat_reactor_make_temporary_directory(reactor, NULL, NULL));
    CHECK(strstr((const char *)lariat_bytes_data(made), in_folder("lariat-")) != NULL);
    CHECK_OK(lariat_bytes_free(made));
    folder_end();
    reactor_done(reactor);
}

/* ---- events ---- */

static lariat_event next_event(lariat_reactor *reactor) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    lariat_status status = LARIAT_EMPTY;
    while ((status = lariat_reactor_next_event(reactor, &event)) == LARIAT_EMPTY) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    CHECK_OK(status);
    return event;
}

static lariat_event event_of(lariat_reactor *reactor, lariat_deferred *deferred) {
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_event(deferred, 77));
    CHECK_OK(lariat_deferred_release(deferred));
    lariat_event event = next_event(reactor);
    CHECK_INT(event.kind, LARIAT_EVENT_DEFERRED);
    CHECK_INT(event.tag, 77);
    return event;
}

TEST(a_host_without_callbacks_is_told_by_events) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    int32_t flags = LARIAT_FILE_READ | LARIAT_FILE_WRITE | LARIAT_FILE_CREATE;
    lariat_file *file = event_of(reactor, lariat_reactor_open_file(reactor, in_folder("a"), flags, 0600)).value;
    CHECK(event_of(reactor, write_text(file, "text")).value == NULL);
    lariat_event event = event_of(reactor, lariat_file_read_at(file, 0, 10));
    CHECK_STR((const char *)lariat_bytes_data(event.value), "text"); /* freed with the event */
    event = event_of(reactor, lariat_reactor_read_file(reactor, in_folder("nothing"), 0));
    CHECK_STATUS(lariat_failure_code(event.failure), LARIAT_ERR_NOT_FOUND);
    CHECK(event_of(reactor, lariat_file_close(file)).value == NULL);
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    folder_end();
    reactor_done(reactor);
}

/* ---- cancelling ---- */

static gate pool_is_busy, pool_goes_on;

static void hold_pool(void *unused) {
    (void)unused;
    gate_open(&pool_is_busy);
    gate_wait(&pool_goes_on);
}

/* A reactor with one pool thread, which is busy until pool_goes_on is opened. */
static lariat_reactor *busy_reactor(void) {
    lariat_reactor *reactor = real_reactor();
    pool_is_busy = pool_goes_on = (gate)GATE_CLOSED;
    CHECK_OK(lariat_reactor_suggest_thread_pool_size(reactor, 1));
    CHECK_OK(lariat_reactor_call_in_thread(reactor, hold_pool, NULL));
    gate_wait(&pool_is_busy);
    return reactor;
}

static void cancel_now(lariat_deferred *deferred, const char *name) {
    CHECK_OK(lariat_deferred_cancel(deferred));
    end_with_note(deferred, name);
}

TEST(what_is_cancelled_before_its_job_begins_is_not_done) {
    folder_new();
    put_file(in_folder("a"), "a");
    lariat_reactor *reactor = busy_reactor();
    cancel_now(lariat_reactor_open_file(reactor, in_folder("b"), LARIAT_FILE_WRITE | LARIAT_FILE_CREATE, 0600), "open");
    cancel_now(lariat_reactor_remove_file(reactor, in_folder("a")), "remove");
    cancel_now(lariat_reactor_make_temporary_directory(reactor, folder, NULL), "temporary");
    cancel_now(write_whole(reactor, in_folder("a"), "new", 0), "write");
    cancel_now(lariat_reactor_copy_file(reactor, in_folder("a"), in_folder("c"), 0), "copy");
    CHECK_NOTES("open!CANCELLED remove!CANCELLED temporary!CANCELLED write!CANCELLED copy!CANCELLED");
    gate_open(&pool_goes_on);
    await_nothing(reactor, lariat_reactor_chmod(reactor, in_folder("a"), 0600)); /* behind all of them */
    CHECK_STR(get_file(in_folder("a")), "a");
    CHECK_INT(entries_in(folder), 1);
    folder_end();
    reactor_done(reactor);
}

TEST(what_waits_in_a_files_line_can_be_cancelled) {
    folder_new();
    lariat_reactor *reactor = real_reactor();
    lariat_file *file = open_file(reactor, in_folder("a"), LARIAT_FILE_WRITE | LARIAT_FILE_CREATE);
    terminal one = terminal_new();
    lariat_file *slow = open_file(reactor, one.path, LARIAT_FILE_READ | LARIAT_FILE_WRITE);
    lariat_deferred *writes[4];
    ended ends[4], read, after;
    watch_end(lariat_file_read(slow, 100), &read);
    for (int i = 0; i < 4; i++) {
        writes[i] = i < 3 ? lariat_file_stat(slow) : lariat_file_close(slow);
        CHECK_OK(lariat_deferred_add_both(writes[i], note_ended, (ends[i] = (ended){0}, &ends[i])));
    }
    TURN_UNTIL(reactor, threads_reading(&one) == 1);
    for (int i = 1; i < 4; i += 2) {
        CHECK_OK(lariat_deferred_cancel(writes[i]));
        CHECK_STATUS(ends[i].code, LARIAT_ERR_CANCELLED);
    }
    for (int i = 0; i < 4; i++) CHECK_OK(lariat_deferred_release(writes[i]));
    watch_end(write_text(file, "not held up"), &after);
    TURN_UNTIL(reactor, after.come);
    CHECK_INT(read.come + ends[0].come + ends[2].come, 0);
    terminal_type(&one, "typed\n");
    TURN_UNTIL(reactor, ends[2].come);
    CHECK_TEXT(read.value, "typed\n");
    for (int i = 0; i < 3; i += 2) CHECK_INT(facts_taken(ends[i].value).kind, LARIAT_FILE_KIND_CHARACTER_DEVICE);
    /* The close is done all the same. */
    TURN_UNTIL(reactor, reactor_stats(reactor).files == 1);
    await_nothing(reactor, lariat_file_close(file));
    CHECK_INT(close(one.keyboard), 0);
    folder_end();
    reactor_done(reactor);
}

TEST(what_is_cancelled_while_its_job_runs_is_dropped_and_the_next_waits_for_it) {
    lariat_reactor *reactor = real_reactor();
    terminal one = terminal_new();
    lariat_file *file = open_file(reactor, one.path, LARIAT_FILE_READ | LARIAT_FILE_WRITE);
    ended first, second;
    lariat_deferred *read = lariat_file_read(file, 100);
    CHECK_OK(lariat_deferred_add_both(read, note_ended, (first = (ended){0}, &first)));
    watch_end(lariat_file_stat(file), &second);
    TURN_UNTIL(reactor, threads_reading(&one) == 1);
    CHECK_OK(lariat_deferred_cancel(read));
    CHECK_OK(lariat_deferred_release(read));
    CHECK_STATUS(first.code, LARIAT_ERR_CANCELLED);
    turns(reactor, 3);
    CHECK_INT(second.come, 0);
    terminal_type(&one, "dropped\n");
    TURN_UNTIL(reactor, second.come);
    facts_taken(second.value);
    CHECK_INT(first.come, 1);
    terminal_type(&one, "read\n");
    CHECK_TEXT(await(reactor, lariat_file_read(file, 100)), "read\n");
    await_nothing(reactor, lariat_file_close(file));
    CHECK_INT(close(one.keyboard), 0);
    reactor_done(reactor);
}

TEST(a_copy_that_is_cancelled_while_it_runs_leaves_nothing) {
    lariat_reactor *reactor = real_reactor();
    terminal one = terminal_new();
    folder_new();
    put_file(in_folder("a"), "old");
    /* Opened by us too, so that what was typed is not thrown away when nobody has it open. */
    int kept = open(one.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    lariat_deferred *copy = lariat_reactor_copy_file(reactor, one.path, in_folder("a"), 0);
    TURN_UNTIL(reactor, threads_reading(&one) == 1);
    CHECK_INT(entries_in(folder), 2);
    cancel_now(copy, "copy");
    CHECK_NOTES("copy!CANCELLED");
    terminal_type(&one, "new\n");
    TURN_UNTIL(reactor, reactor_stats(reactor).jobs == 0);
    CHECK_STR(get_file(in_folder("a")), "old");
    CHECK_INT(entries_in(folder), 1);
    CHECK_INT(close(kept), 0);
    CHECK_INT(close(one.keyboard), 0);
    folder_end();
    reactor_done(reactor);
}

/* Whenever it comes, before, during or after: nothing is left open, and nothing that was made only for it. */
TEST(cancelled_at_any_moment_nothing_stays_open) {
    lariat_reactor *reactor = real_reactor();
    folder_new();
    await_nothing(reactor, lariat_reactor_chmod(reactor, folder, 0700));
    int open_before = descriptors_open();
    for (size_t i = 0; i < many(3000); i++) {
        lariat_deferred *deferred = NULL;
        switch (i % 4) {
        case 0: deferred = lariat_reactor_open_temporary_file(reactor, folder, NULL, i % 8 ? 0 : LARIAT_FILE_UNNAMED); break;
        case 1: deferred = lariat_reactor_make_temporary_directory(reactor, folder, NULL); break;
        case 2: deferred = lariat_reactor_open_directory(reactor, folder); break;
        case 3: deferred = lariat_reactor_write_file(reactor, in_folder("a"), (const uint8_t *)"a", 1, 0600, LARIAT_FILE_UNSYNCED); break;
        }
        for (size_t wait = 0; wait < i % 7; wait++) sched_yield();
        CHECK_OK(lariat_deferred_cancel(deferred));
        CHECK_OK(lariat_deferred_add_errback(deferred, recover, NULL));
        CHECK_OK(lariat_deferred_release(deferred));
        CHECK_NOTES("recover!CANCELLED");
        if (i % 5 == 0) turn(reactor);
    }
    TURN_UNTIL(reactor, reactor_stats(reactor).jobs == 0);
    CHECK_INT(descriptors_open(), open_before);
    CHECK_INT(entries_in(folder), is_there(in_folder("a")));
    folder_end();
    reactor_done(reactor);
}

/* ---- scopes and the reactor's end ---- */

TEST(the_end_of_a_scope_closes_its_files) {
    lariat_reactor *reactor = real_reactor();
    ended waits, closes;
    folder_new();
    put_file(in_folder("a"), "");
    await_nothing(reactor, lariat_reactor_chmod(reactor, folder, 0700));
    int open_before = descriptors_open();
    lariat_scope *scope = lariat_scope_new(reactor);
    ended opened[2];
    CHECK_OK(lariat_scope_enter(scope));
    watch_end(lariat_reactor_open_file(reactor, in_folder("a"), LARIAT_FILE_WRITE, 0), &opened[0]);
    watch_end(lariat_reactor_open_directory(reactor, folder), &opened[1]);
    CHECK_OK(lariat_scope_leave(scope));
    TURN_UNTIL(reactor, opened[0].come && opened[1].come);
    lariat_file *file = opened[0].value;
    lariat_directory *directory = opened[1].value;
    CHECK_OK(lariat_scope_enter(scope));
    lariat_deferred *inside = write_text(file, "inside");
    CHECK_OK(lariat_scope_leave(scope));
    lariat_file *other = open_file(reactor, in_folder("a"), LARIAT_FILE_WRITE);
    /* Of these the reactor is told, for they are nobody's. */
    watch_end(lariat_directory_read(directory, 0), &waits);
    watch_end(lariat_directory_close(directory), &closes);
    CHECK_OK(lariat_scope_end(scope));
    CHECK_INT(reactor_stats(reactor).files, 1);
    CHECK_INT(reactor_stats(reactor).directories, 0);
    CHECK_INT(descriptors_open(), open_before + 1);
    CHECK_INT(waits.come + closes.come, 2);
    CHECK_STATUS(waits.code, LARIAT_ERR_CLOSED);
    CHECK(strstr(waits.message, folder) != NULL);
    CHECK_STATUS(lariat_deferred_called(inside), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_file_path(file) ? LARIAT_OK : lariat_last_error(), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_scope_free(scope));
    await_nothing(reactor, lariat_file_close(other));
    folder_end();
    reactor_done(reactor);
}

TEST(a_scope_that_ends_while_its_file_is_read_waits_for_the_job) {
    lariat_reactor_options options = reactor_options();
    options.shutdown_seconds = 60;
    lariat_reactor *reactor = reactor_with(options);
    terminal one = terminal_new();
    lariat_scope *scope = lariat_scope_new(reactor);
    ended opened, read;
    CHECK_OK(lariat_scope_enter(scope));
    watch_end(lariat_reactor_open_file(reactor, one.path, LARIAT_FILE_READ, 0), &opened);
    CHECK_OK(lariat_scope_leave(scope));
    TURN_UNTIL(reactor, opened.come);
    lariat_file *file = opened.value;
    watch_end(lariat_file_read(file, 100), &read);
    TURN_UNTIL(reactor, threads_reading(&one) == 1);
    int open_before = descriptors_open();
    terminal_type(&one, "ends it\n");
    CHECK_OK(lariat_scope_free(scope));
    CHECK_STATUS(read.code, LARIAT_ERR_CLOSED);
    CHECK_INT(descriptors_open(), open_before - 1);
    CHECK_INT(close(one.keyboard), 0);
    reactor_done(reactor);
}

TEST(a_reactor_is_freed_with_operations_in_flight) {
    lariat_reactor *reactor = real_reactor();
    static ended ends[200];
    folder_new();
    put_file(in_folder("a"), "text");
    lariat_file *file = open_file(reactor, in_folder("a"), LARIAT_FILE_READ | LARIAT_FILE_WRITE);
    CHECK(await(reactor, lariat_reactor_open_directory(reactor, folder)) != NULL);
    for (int i = 0; i < 200; i++) {
        lariat_deferred *deferred = NULL;
        switch (i % 5) {
        case 0: deferred = write_text(file, "more"); break;
        case 1: deferred = lariat_reactor_open_file(reactor, in_folder("a"), LARIAT_FILE_READ, 0); break;
        case 2: deferred = lariat_reactor_open_temporary_file(reactor, folder, NULL, LARIAT_FILE_UNNAMED); break;
        case 3: deferred = lariat_reactor_read_file(reactor, in_folder("a"), 0); break;
        case 4: deferred = lariat_reactor_open_directory(reactor, folder); break;
        }
        watch_end(deferred, &ends[i]);
    }
    free_reactor(reactor);
    for (int i = 0; i < 200; i++) {
        CHECK_INT(ends[i].come, 1);
        /* Those that were done already when the free began are told so; the others of the file had to wait. */
        if (ends[i].code) CHECK_EITHER(ends[i].code, LARIAT_ERR_CANCELLED, LARIAT_ERR_CLOSED);
        if (i && i % 5 == 0) CHECK_STATUS(ends[i].code, LARIAT_ERR_CLOSED);
    }
    folder_end();
}

/* A job that does not end in time is left over: it closes its file by itself. */
TEST(a_reactor_is_freed_while_a_read_hangs) {
    lariat_reactor_options options = reactor_options();
    options.shutdown_seconds = 0.01;
    lariat_reactor *reactor = reactor_with(options);
    int open_before = descriptors_open();
    terminal one = terminal_new();
    lariat_file *file = open_file(reactor, one.path, LARIAT_FILE_READ);
    ended read;
    watch_end(lariat_file_read(file, 100), &read);
    TURN_UNTIL(reactor, threads_reading(&one) == 1);
    free_reactor(reactor);
    CHECK_STATUS(read.code, LARIAT_ERR_CLOSED);
    CHECK_INT(threads_reading(&one), 1);
    terminal_type(&one, "at last\n");
    CHECK_INT(close(one.keyboard), 0);
    /* But for the reactor's own, three of which were open. */
    while (descriptors_open() >= open_before) sched_yield();
}

/* ---- where there are none ---- */

TEST(a_simulated_reactor_has_no_files) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "host");
    CHECK_NULL(lariat_reactor_open_file(reactor, "/dev/null", LARIAT_FILE_READ, 0), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_read_file(reactor, "/dev/null", 0), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_write_file(reactor, "/dev/null", NULL, 0, 0, 0), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_open_directory(reactor, "/"), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_stat(reactor, "/", 1), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_NULL(lariat_reactor_remove_tree(reactor, "/nonexistent"), LARIAT_ERR_NOT_SUPPORTED);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}
