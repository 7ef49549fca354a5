/* What the cases about files share: a directory of their own, a Deferred's outcome waited for, and files by POSIX's own calls. */
#ifndef LARIAT_TESTS_FILES_H
#define LARIAT_TESTS_FILES_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"
#include <dirent.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* ---- a directory of the case's own, removed at its end ---- */

static char folder[256];

static inline void folder_remove(const char *path) {
    char command[600];
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' 2>/dev/null; rm -rf '%s'", path, path);
    CHECK_INT(system(command), 0);
}

static inline void folder_end(void) { folder_remove(folder); }

static inline void folder_new(void) {
    const char *where = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/lariat-test-XXXXXX", where && *where ? where : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
}

/* A path in it; good until 64 more were asked for. */
static inline const char *in_folder(const char *name) {
    static char paths[64][512];
    static int next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void put_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    CHECK_INT(close(fd), 0);
}

/* What is in it, as text; up to 64 KiB. */
static inline const char *get_file(const char *path) {
    static char text[1 << 16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return "(not there)";
    ssize_t count = read(fd, text, sizeof text - 1);
    CHECK(count >= 0);
    text[count] = 0;
    CHECK_INT(close(fd), 0);
    return text;
}

static inline struct stat stat_of(const char *path) {
    struct stat stat;
    CHECK_INT(lstat(path, &stat), 0);
    return stat;
}

static inline int is_there(const char *path) {
    struct stat stat;
    return lstat(path, &stat) == 0;
}

static inline int entries_in(const char *path) {
    DIR *stream = opendir(path);
    int count = -2; /* "." and ".." */
    CHECK(stream != NULL);
    while (readdir(stream)) count++;
    closedir(stream);
    return count;
}

/* ---- a Deferred's outcome ---- */

typedef struct ended {
    int come, os_error;
    lariat_status code;
    void *value; /* taken */
    char message[1024];
} ended;

static inline void *note_ended(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    ended *one = user_data;
    one->come++;
    if (failure) {
        one->code = lariat_failure_code(failure);
        one->os_error = lariat_failure_os_error(failure);
        snprintf(one->message, sizeof one->message, "%s", lariat_failure_message(failure));
    } else {
        one->value = lariat_deferred_take(deferred);
        CHECK_PTR(one->value, value);
    }
    return NULL;
}

static inline void test_watch_end(const char *file, int line, lariat_deferred *deferred, ended *one) {
    if (!deferred) test_fail(file, line, "no Deferred: %s", lariat_last_error_message());
    *one = (ended){0};
    CHECK_OK(lariat_deferred_add_both(deferred, note_ended, one));
    CHECK_OK(lariat_deferred_release(deferred));
}
#define watch_end(deferred, one) test_watch_end(__FILE__, __LINE__, deferred, one)

#define TURN_UNTIL(reactor, condition) \
    while (!(condition)) CHECK_OK(lariat_reactor_iterate(reactor, 0.01))

static inline ended test_await(const char *file, int line, lariat_reactor *reactor, lariat_deferred *deferred) {
    ended one;
    test_watch_end(file, line, deferred, &one);
    TURN_UNTIL(reactor, one.come);
    return one;
}

/* The value of what must succeed. */
static inline void *test_await_value(const char *file, int line, lariat_reactor *reactor, lariat_deferred *deferred) {
    ended one = test_await(file, line, reactor, deferred);
    if (one.code) test_fail(file, line, "%s: %s", lariat_status_name(one.code), one.message);
    return one.value;
}

/* What must fail, with words that name a path. */
static inline ended test_await_failure(const char *file, int line, lariat_reactor *reactor, lariat_deferred *deferred, lariat_status code,
                                       const char *path) {
    ended one = test_await(file, line, reactor, deferred);
    if (one.code != code)
        test_fail(file, line, "fails with %s (%s), must with %s", lariat_status_name(one.code), one.message, lariat_status_name(code));
    if (!strstr(one.message, path)) test_fail(file, line, "\"%s\" does not name %s", one.message, path);
    return one;
}
#define await(reactor, deferred) test_await_value(__FILE__, __LINE__, reactor, deferred)
#define await_nothing(reactor, deferred) CHECK_PTR(await(reactor, deferred), NULL)
#define await_number(reactor, deferred) ((intmax_t)(intptr_t)await(reactor, deferred))
#define await_failure(reactor, deferred, code, path) test_await_failure(__FILE__, __LINE__, reactor, deferred, code, path)

/* ---- values ---- */

static inline void test_check_bytes(const char *file, int line, lariat_bytes *bytes, const void *want, size_t length) {
    const uint8_t *data = lariat_bytes_data(bytes);
    CHECK(data != NULL);
    test_check_int(file, line, "length", (intmax_t)lariat_bytes_length(bytes), (intmax_t)length);
    if (memcmp(data, want, length) != 0 || data[length] != 0) test_fail(file, line, "other bytes: \"%.60s\"", (const char *)data);
    CHECK_OK(lariat_bytes_free(bytes));
}
#define CHECK_BYTES(bytes, want, length) test_check_bytes(__FILE__, __LINE__, bytes, want, length)
#define CHECK_TEXT(bytes, want) CHECK_BYTES(bytes, want, strlen(want))

static inline lariat_file_facts facts_taken(lariat_file_info *info) {
    lariat_file_facts facts;
    CHECK_OK(lariat_file_facts_init(&facts, sizeof facts));
    CHECK_OK(lariat_file_info_get(info, &facts));
    CHECK_OK(lariat_file_info_free(info));
    return facts;
}

static inline lariat_deferred *write_text(lariat_file *file, const char *text) {
    return lariat_file_write(file, (const uint8_t *)text, strlen(text));
}

static inline lariat_file *open_file(lariat_reactor *reactor, const char *path, int32_t flags) {
    return await(reactor, lariat_reactor_open_file(reactor, path, flags, 0644));
}

/* ---- something that takes as long as the case wants: a terminal that nobody types at ---- */

typedef struct terminal {
    int keyboard;
    char path[64];
} terminal;

static inline terminal terminal_new(void) {
    terminal one = {.keyboard = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    if (one.keyboard < 0) SKIP("there are no pseudo-terminals");
    CHECK_INT(grantpt(one.keyboard), 0);
    CHECK_INT(unlockpt(one.keyboard), 0);
    CHECK_INT(ptsname_r(one.keyboard, one.path, sizeof one.path), 0);
    return one;
}

/* The other threads of the process that are in a read(2) of it: a job has begun, and waits there. */
static inline int threads_reading(const terminal *one) {
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    if (!tasks) SKIP("no /proc");
    for (struct dirent *task; (task = readdir(tasks));) {
        char path[300], text[128] = "", link[128] = "";
        long number, descriptor;
        if (atol(task->d_name) == syscall(SYS_gettid)) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/syscall", task->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        ssize_t got = read(fd, text, sizeof text - 1);
        close(fd);
        if (got <= 0 || sscanf(text, "%ld 0x%lx", &number, &descriptor) != 2 || number != SYS_read) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%ld", descriptor);
        count += readlink(path, link, sizeof link - 1) > 0 && strcmp(link, one->path) == 0;
    }
    closedir(tasks);
    return count;
}

static inline void terminal_type(const terminal *one, const char *line) { write_bytes(one->keyboard, line); }
#endif
