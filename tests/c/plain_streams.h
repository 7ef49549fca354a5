/* What the tests of streams that are no sockets share: adopting descriptors, temporary folders, pseudo-terminals, and running this
 * program again with other standard streams. */
#ifndef LARIAT_TESTS_PLAIN_STREAMS_H
#define LARIAT_TESTS_PLAIN_STREAMS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "streams.h"
#include <sys/ioctl.h>
#include <termios.h>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

enum { KILOBYTE = 1024, MEGABYTE = 1024 * KILOBYTE };

static inline int is_non_blocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

/* A pipe that blocks, closed on exec. */
static inline void blocking_pipe(int ends[2]) {
    CHECK_INT(pipe(ends), 0);
    for (int i = 0; i < 2; i++) CHECK_INT(fcntl(ends[i], F_SETFD, FD_CLOEXEC), 0);
}

static inline lariat_transport *test_adopt(const char *file, int line, lariat_reactor *reactor, int fd, int32_t ways, int is_half,
                                           side *own) {
    lariat_protocol protocol = side_protocol(is_half);
    lariat_transport *transport = lariat_reactor_adopt_descriptor(reactor, fd, ways, &protocol, own);
    if (!transport) test_fail(file, line, "cannot adopt %d: %s", fd, lariat_last_error_message());
    return transport;
}
#define adopt(reactor, fd, ways, is_half, own) test_adopt(__FILE__, __LINE__, reactor, fd, ways, is_half, own)

/* A stream was not made: self is freed, and the words say what it was about. */
static inline void test_check_refused(const char *file, int line, const lariat_transport *transport, side *own, lariat_status status,
                                      const char *words) {
    test_check_null(file, line, "the stream", transport, status);
    if (!strstr(lariat_last_error_message(), words))
        test_fail(file, line, "\"%s\" does not say \"%s\"", lariat_last_error_message(), words);
    if (own->freed != 1 || own->made) test_fail(file, line, "self was freed %d times", own->freed);
    *own = (side){.name = own->name};
}
#define CHECK_REFUSED(transport, own, status, words) test_check_refused(__FILE__, __LINE__, transport, own, status, words)

/* No job is left on the pool. */
#define jobs_over(reactor) until(reactor, reactor_stats(reactor).jobs == 0)

/* ---- an older system, or one that is closed ------------------------------------------------------------------------------------------ */

static inline void needs_old_system(void) {
    if (getenv("LARIAT_TEST_TOOL")) SKIP("the checkers need these calls themselves");
}

/* From here on this process has no preadv2 and no pwritev2, and can open nothing, /proc/self/fd included: what a kernel before 4.6 and
 * a process that has changed its user find. Not to be undone: a case is a process. */
static inline void old_system(void) {
#ifdef __linux__
    needs_old_system();
#define REFUSE(call, error)                                                                                       \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        REFUSE(SYS_preadv2, ENOSYS),
        REFUSE(SYS_pwritev2, ENOSYS),
        REFUSE(SYS_openat, EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
#undef REFUSE
    struct sock_fprog program = {sizeof refuse / sizeof *refuse, refuse};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        SKIP("system calls cannot be refused here");
    CHECK_INT(open("/dev/null", O_RDONLY), -1);
#else
    SKIP("only for Linux");
#endif
}

/* ---- a folder of our own ----------------------------------------------------------------------------------------------------------- */

typedef struct folder {
    char path[64];
} folder;

static inline folder folder_new(void) {
    folder one = {"/tmp/lariat-test-XXXXXX"};
    CHECK(mkdtemp(one.path) != NULL);
    return one;
}

/* The path of a file in it; good until the next but three. */
static inline const char *in_folder(const folder *one, const char *name) {
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", one->path, name);
    return path;
}

static inline void folder_end(const folder *one, const char *name) {
    CHECK_INT(unlink(in_folder(one, name)), 0);
    CHECK_INT(rmdir(one->path), 0);
}

static inline void write_file(const char *path, const void *data, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, data, length), length);
    CHECK_INT(close(fd), 0);
}

static inline bytes read_file(const char *path) {
    uint8_t some[8192];
    bytes all = {0};
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    while ((got = read(fd, some, sizeof some)) > 0) bytes_add(&all, some, (size_t)got);
    CHECK_INT(got, 0);
    CHECK_INT(close(fd), 0);
    return all;
}

/* ---- pseudo-terminals --------------------------------------------------------------------------------------------------------------- */

typedef struct pty {
    int master, terminal;
    char path[64];
} pty;

static inline pty pty_new(void) {
    pty one = {.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    if (one.master < 0) SKIP("there are no pseudo-terminals here");
    CHECK_INT(grantpt(one.master), 0);
    CHECK_INT(unlockpt(one.master), 0);
    CHECK_INT(ptsname_r(one.master, one.path, sizeof one.path), 0);
    one.terminal = open(one.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(one.terminal >= 0);
    CHECK_INT(fcntl(one.master, F_SETFL, O_NONBLOCK), 0);
    return one;
}

static inline void pty_close(pty *one) {
    CHECK_INT(close(one->terminal), 0);
    CHECK_INT(close(one->master), 0);
}

static inline struct termios settings_of(int terminal) {
    struct termios settings;
    CHECK_INT(tcgetattr(terminal, &settings), 0);
    return settings;
}

static inline int same_settings(const struct termios *one, const struct termios *other) {
    return one->c_iflag == other->c_iflag && one->c_oflag == other->c_oflag && one->c_cflag == other->c_cflag &&
           one->c_lflag == other->c_lflag && one->c_cc[VMIN] == other->c_cc[VMIN] && one->c_cc[VTIME] == other->c_cc[VTIME];
}

/* ---- this program again, one case of it, with other standard streams ----------------------------------------------------------------- */

/* Which case a program was started for by another; NULL: by the runner. */
static inline const char *part(void) { return getenv("LARIAT_TEST_PART"); }

/* Starts a case of this program with these as its standard streams; -1: as they are here. The case finds `name` as its part(). */
static inline pid_t start_part(const char *test_case, const char *name, const int fds[3]) {
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child) return child;
    int high[3];
    for (int i = 0; i < 3; i++) high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 20);
    for (int i = 0; i < 3; i++)
        if (high[i] >= 0 && dup2(high[i], i) != i) _Exit(99);
    setenv("LARIAT_TEST_PART", name, 1);
    char path[512] = {0};
    if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0) _Exit(98);
    execl(path, path, test_case, (char *)NULL);
    _Exit(97);
}

static inline int is_over(pid_t child, int *status) { return waitpid(child, status, WNOHANG) == child; }

/* It must end with 0. */
static inline void end_part(pid_t child) {
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) test_fail(__FILE__, __LINE__, "the other program ended with %#x", status);
}
#endif
