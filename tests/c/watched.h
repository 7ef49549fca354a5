/* What the cases about watching files share: a directory of their own, changes as notes, and a model that changes are applied to. */
#ifndef LARIAT_TESTS_WATCHED_H
#define LARIAT_TESTS_WATCHED_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"
#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>

/* ---- files ---- */

static char root[256]; /* what is watched; beside it is `root`-outside */

static inline const char *at(const char *name) {
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    CHECK(strlen(name) < sizeof paths[0] - sizeof root);
    snprintf(path, sizeof paths[0], "%s%s%s", root, *name ? "/" : "", name);
    return path;
}

static inline const char *outside(const char *name) {
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s-outside/%s", root, name);
    return path;
}

static inline void root_new(void) {
    const char *where = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/lariat-watch-XXXXXX", where && *where ? where : "/tmp");
    CHECK(mkdtemp(root) != NULL);
    CHECK_INT(mkdir(outside(""), 0755), 0);
}

static inline void root_end(void) {
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s' '%s-outside'", root, root);
    CHECK_INT(system(command), 0);
}

static inline void append(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    CHECK_INT(close(fd), 0);
}

static inline void make_directory(const char *path) { CHECK_INT(mkdir(path, 0755), 0); }
static inline void move_to(const char *from, const char *to) { CHECK_INT(rename(from, to), 0); }
static inline void remove_file(const char *path) { CHECK_INT(unlink(path), 0); }
static inline void remove_directory(const char *path) { CHECK_INT(rmdir(path), 0); }

/* ---- changes ---- */

static inline lariat_file_watch *watched(lariat_file_watch *watch) {
    if (!watch) test_fail(__FILE__, __LINE__, "cannot watch: %s", lariat_last_error_message());
    return watch;
}

/* A path below the root, or all of it where it is not. */
static inline const char *below_root(const char *path) {
    size_t length = strlen(root);
    if (strncmp(path, root, length) == 0 && path[length] == '/') return path + length + 1;
    return strcmp(path, root) == 0 ? "" : path;
}

/* C created, M modified, A attributes, R removed, V moved, O overflow, G gone. C:d/x is a file, C:d/ a directory. */
static inline void note_one(const char *before, const lariat_file_change *change) {
    static const char letters[] = "?CMARVOG";
    const char *slash = change->is_directory ? "/" : "";
    CHECK_INT(change->struct_size, sizeof *change);
    CHECK(change->kind >= LARIAT_CHANGE_CREATED && change->kind <= LARIAT_CHANGE_GONE);
    CHECK(!change->from == (change->kind != LARIAT_CHANGE_MOVED));
    char letter = letters[change->kind];
    if (change->kind >= LARIAT_CHANGE_OVERFLOW) note("%s%c", before, letter);
    else if (change->from) note("%s%c:%s%s>%s%s", before, letter, below_root(change->from), slash, below_root(change->path), slash);
    else note("%s%c:%s%s", before, letter, below_root(change->path), slash);
}

/* user_data is put before each note. */
static inline void note_change(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    (void)watch;
    note_one(user_data ? user_data : "", change);
}

static inline lariat_file_watch *watch_path(lariat_reactor *reactor, const char *path, int32_t flags, const char *before) {
    lariat_file_watch *watch = watched(lariat_reactor_watch_path(reactor, path, flags, note_change, (void *)(uintptr_t)before));
    CHECK_INT(lariat_file_watch_is_polling(watch), !!(flags & LARIAT_WATCH_POLL));
    CHECK_OK(lariat_file_watch_set_interval(watch, 0.002));
    return watch;
}

/* Runs the loop until so much was noted, then compares: what comes too much is found by the next comparison. */
static inline void expect_at(const char *file, int line, lariat_reactor *reactor, const char *want) {
    while (test_notes.length < strlen(want)) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    test_check_notes(file, line, want);
}
#define EXPECT(reactor, want) expect_at(__FILE__, __LINE__, reactor, want)

/* ---- the model: the paths that should be there ---- */

typedef struct model {
    char (*paths)[512];
    size_t count, room;
    long overflows, modified, created;
    int is_over; /* the path "end" has been created */
} model;

static inline size_t model_find(const model *one, const char *path) {
    for (size_t i = 0; i < one->count; i++)
        if (strcmp(one->paths[i], path) == 0) return i;
    return SIZE_MAX;
}

static inline void model_add(model *one, const char *path) {
    if (one->count == one->room) {
        one->room = one->room ? one->room * 2 : 64;
        one->paths = realloc(one->paths, one->room * sizeof *one->paths);
        CHECK(one->paths != NULL);
    }
    CHECK(strlen(path) < sizeof *one->paths);
    strcpy(one->paths[one->count++], path);
}

static inline void model_remove_at(model *one, size_t place) {
    memmove(one->paths[place], one->paths[--one->count], sizeof *one->paths);
}

/* A path with all below it; how many there were. */
static inline int model_remove(model *one, const char *path) {
    size_t length = strlen(path);
    int removed = 0;
    for (size_t i = one->count; i-- > 0;)
        if (strncmp(one->paths[i], path, length) == 0 && (one->paths[i][length] == 0 || one->paths[i][length] == '/')) {
            model_remove_at(one, i);
            removed++;
        }
    return removed;
}

/* Each change must be possible after those before. */
static inline void model_change(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    model *one = user_data;
    const char *path = below_root(change->path), *from = change->from ? below_root(change->from) : NULL;
    (void)watch;
    switch (change->kind) {
    case LARIAT_CHANGE_CREATED:
        if (model_find(one, path) != SIZE_MAX) test_fail(__FILE__, __LINE__, "%s is created twice", path);
        model_add(one, path);
        one->created++;
        if (strcmp(path, "end") == 0) one->is_over = 1;
        break;
    case LARIAT_CHANGE_REMOVED:
        if (model_remove(one, path) != 1) test_fail(__FILE__, __LINE__, "%s is removed with what is in it, or was not there", path);
        break;
    case LARIAT_CHANGE_MOVED: {
        size_t length = strlen(from);
        char moved[512];
        if (model_find(one, from) == SIZE_MAX) test_fail(__FILE__, __LINE__, "%s is moved and was not there", from);
        if (model_remove(one, path) > 1) test_fail(__FILE__, __LINE__, "%s is replaced with what is in it", path);
        for (size_t i = 0; i < one->count; i++)
            if (strncmp(one->paths[i], from, length) == 0 && (one->paths[i][length] == 0 || one->paths[i][length] == '/')) {
                CHECK(snprintf(moved, sizeof moved, "%s%s", path, one->paths[i] + length) < (int)sizeof moved);
                strcpy(one->paths[i], moved);
            }
        break;
    }
    case LARIAT_CHANGE_OVERFLOW: one->overflows++; break;
    case LARIAT_CHANGE_MODIFIED:
        if (model_find(one, path) == SIZE_MAX) test_fail(__FILE__, __LINE__, "%s is modified and was not there", path);
        one->modified++;
        break;
    default: break;
    }
}

static inline size_t model_check_below(const model *one, const char *directory) {
    DIR *stream = opendir(at(directory));
    size_t count = 0;
    CHECK(stream != NULL);
    for (struct dirent *each; (each = readdir(stream));) {
        struct stat stat;
        char path[700];
        if (!strcmp(each->d_name, ".") || !strcmp(each->d_name, "..")) continue;
        snprintf(path, sizeof path, "%s%s%s", directory, *directory ? "/" : "", each->d_name);
        if (model_find(one, path) == SIZE_MAX) test_fail(__FILE__, __LINE__, "%s is there and was not told", path);
        CHECK_INT(lstat(at(path), &stat), 0);
        count += 1 + (S_ISDIR(stat.st_mode) ? model_check_below(one, path) : 0);
    }
    closedir(stream);
    return count;
}

/* The model is what is there, and is emptied. */
static inline void model_check(model *one) {
    CHECK_INT(one->count, model_check_below(one, ""));
    free(one->paths);
    *one = (model){0};
}
#endif
