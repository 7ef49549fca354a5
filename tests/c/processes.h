/* What the tests of child processes share: an owner that records what it is told, and shells that do as they are told. */
#ifndef LARIAT_TESTS_PROCESSES_H
#define LARIAT_TESTS_PROCESSES_H
#include "streams.h"
#include <dirent.h>
#include <signal.h>

typedef struct child child;
typedef void (*child_fn)(child *own);

struct child {
    const char *name; /* notes are name:made, name1=data, name1:closed, name!exited:REASON, name!ended:REASON, free:name */
    int is_noted;
    child_fn on_made, on_data, on_exited, on_ended;
    lariat_process *process; /* NULL again when it has ended */
    lariat_reactor *reactor;
    bytes out[4]; /* what came from descriptors 0 to 3 */
    size_t came;
    int keeps; /* nothing of what comes if this is -1 */
    int pid, made, closed, exited, ended, freed;
    int32_t exit_reason, reason;
    int code, signal;
    char message[256];
};

static inline void child_made(lariat_process *process, void *self) {
    child *own = self;
    CHECK_INT(own->made++, 0);
    CHECK_INT(own->closed + own->exited + own->ended, 0);
    CHECK_INT(own->came, 0);
    own->process = process;
    own->pid = lariat_process_pid(process);
    CHECK(own->pid > 0);
    if (own->is_noted) note("%s:made", own->name);
    if (own->on_made) own->on_made(own);
}

static inline void child_data(lariat_process *process, int32_t child_fd, const uint8_t *data, size_t length, void *self) {
    child *own = self;
    CHECK_PTR(process, own->process);
    CHECK_INT(own->made, 1);
    CHECK_INT(own->ended, 0);
    CHECK(child_fd >= 0 && child_fd < 4);
    CHECK(length > 0);
    own->came += length;
    if (own->keeps != -1) bytes_add(&own->out[child_fd], data, length);
    if (own->on_data) own->on_data(own);
}

static inline void child_closed(lariat_process *process, int32_t child_fd, const lariat_failure *reason, void *self) {
    child *own = self;
    CHECK_PTR(process, own->process);
    CHECK_INT(own->made, 1);
    CHECK_INT(own->ended, 0);
    CHECK(lariat_failure_code(reason) < 0);
    own->closed++;
    CHECK_STATUS(lariat_process_write(process, child_fd, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    if (own->is_noted) note("%s%d:closed", own->name, (int)child_fd);
}

static inline void child_exited(lariat_process *process, const lariat_failure *reason, void *self) {
    child *own = self;
    CHECK_PTR(process, own->process);
    CHECK_INT(own->made, 1);
    CHECK_INT(own->ended, 0);
    CHECK_INT(own->exited++, 0);
    own->exit_reason = lariat_failure_code(reason);
    own->code = lariat_failure_exit_code(reason);
    own->signal = lariat_failure_exit_signal(reason);
    snprintf(own->message, sizeof own->message, "%s", lariat_failure_message(reason));
    if (own->exit_reason != LARIAT_ERR_CLOSED && own->exit_reason != LARIAT_ERR_STATUS_UNKNOWN) {
        int code = 99, number = 99;
        CHECK_OK(lariat_process_exit_code(process, &code));
        CHECK_OK(lariat_process_exit_signal(process, &number));
        CHECK_INT(code, own->code);
        CHECK_INT(number, own->signal);
    }
    CHECK_STATUS(lariat_process_signal(process, 0), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_process_terminate(process, 1), LARIAT_ERR_CLOSED);
    if (own->is_noted) note("%s!exited:%s", own->name, reason_label(own->exit_reason));
    if (own->on_exited) own->on_exited(own);
}

static inline void child_ended(lariat_process *process, const lariat_failure *reason, void *self) {
    child *own = self;
    CHECK_PTR(process, own->process);
    CHECK_INT(own->exited, 1);
    CHECK_INT(own->ended++, 0);
    own->reason = lariat_failure_code(reason);
    CHECK_INT(own->reason, own->exit_reason);
    if (own->is_noted) note("%s!ended:%s", own->name, reason_label(own->reason));
    if (own->on_ended) own->on_ended(own);
    own->process = NULL;
}

static inline void child_free(void *self) {
    child *own = self;
    CHECK_INT(own->freed++, 0);
    if (own->is_noted) note("free:%s", own->name);
}

static inline lariat_process_protocol child_protocol(void) {
    lariat_process_protocol protocol;
    CHECK_OK(lariat_process_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = child_made;
    protocol.child_data_received = child_data;
    protocol.child_connection_lost = child_closed;
    protocol.process_exited = child_exited;
    protocol.process_ended = child_ended;
    protocol.free_self = child_free;
    return protocol;
}

static inline lariat_process_options process_options(void) {
    lariat_process_options options;
    CHECK_OK(lariat_process_options_init(&options, sizeof options));
    return options;
}

/* sh -c SCRIPT. The arguments live until the thread asks for the next one: by then they were copied. */
static inline lariat_process_options shell(const char *script) {
    static _Thread_local const char *arguments[] = {"sh", "-c", NULL, NULL};
    lariat_process_options options = process_options();
    arguments[2] = script;
    options.program = "/bin/sh";
    options.arguments = arguments;
    return options;
}

static inline lariat_process *test_start(const char *file, int line, lariat_reactor *reactor, lariat_process_options options, child *own) {
    lariat_process_protocol protocol = child_protocol();
    own->process = lariat_reactor_spawn(reactor, &options, &protocol, own);
    if (!own->process) test_fail(file, line, "cannot start %s: %s", options.program, lariat_last_error_message());
    own->reactor = reactor;
    own->pid = lariat_process_pid(own->process);
    CHECK_INT(own->made, 0);
    memset(&protocol, 0x55, sizeof protocol); /* it was copied */
    return own->process;
}
#define start(reactor, options, own) test_start(__FILE__, __LINE__, reactor, options, own)

static inline void child_write(child *own, const char *text) {
    CHECK_OK(lariat_process_write(own->process, 0, (const uint8_t *)text, strlen(text)));
}

/* It was told of everything once, and self is freed. */
static inline void test_child_over(const char *file, int line, child *own, int32_t reason) {
    if (own->made != 1 || own->exited != 1 || own->ended != 1 || own->freed != 1)
        test_fail(file, line, "%s: made %d, exited %d, ended %d, freed %d times", own->name, own->made, own->exited, own->ended, own->freed);
    if (own->reason != reason)
        test_fail(file, line, "%s: the reason is %s (%s), must be %s", own->name, lariat_status_name(own->reason), own->message,
                  lariat_status_name(reason));
    for (int i = 0; i < 4; i++) bytes_free(&own->out[i]);
}
#define child_over(own, reason) test_child_over(__FILE__, __LINE__, own, reason)
#define until_over(own, want)                                                                          \
    do {                                                                                               \
        until((own)->reactor, (own)->freed);                                                           \
        child_over(own, want);                                                                         \
    } while (0)

/* This process has no children, running or not. */
static inline void test_no_children(const char *file, int line) {
    siginfo_t information;
    if (waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0)
        test_fail(file, line, "there is a child left: %d", (int)information.si_pid);
    if (errno != ECHILD) test_fail(file, line, "waitid: %s", strerror(errno));
}
#define CHECK_NO_CHILDREN() test_no_children(__FILE__, __LINE__)

static inline int threads_now(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks) return 0;
    for (struct dirent *each; (each = readdir(tasks));) count += each->d_name[0] != '.';
    closedir(tasks);
    return count;
}

/* ---- a thousand children, some at a time ----------------------------------------------------------------------------------------- */

typedef struct crowd {
    lariat_reactor *reactor;
    child children[64];
    int width, left, running, over;
} crowd;

static inline void crowd_next(crowd *all, child *own);

static inline void crowd_ended(child *own) {
    crowd *all = (crowd *)(void *)own->name;
    all->running--;
    all->over++;
    CHECK_STR(bytes_text(&own->out[1]), "out\n");
    CHECK_INT(own->reason, own->keeps ? LARIAT_ERR_PROCESS_TERMINATED : LARIAT_PROCESS_DONE);
    CHECK_INT(own->code, own->keeps);
}

/* The next takes the place of one that is over and freed. */
static inline void crowd_next(crowd *all, child *own) {
    char script[64];
    int code = all->left % 4;
    bytes_free(&own->out[1]);
    *own = (child){.name = (const char *)all, .keeps = code, .on_ended = crowd_ended};
    snprintf(script, sizeof script, "echo out; exit %d", code);
    all->left--;
    all->running++;
    start(all->reactor, shell(script), own);
}

static inline void crowd_turn(crowd *all) {
    for (int i = 0; i < all->width; i++)
        if (all->left && (!all->children[i].reactor || all->children[i].freed)) crowd_next(all, &all->children[i]);
    CHECK_OK(lariat_reactor_iterate(all->reactor, 0.01));
}

static inline void crowd_done(crowd *all) {
    for (int i = 0; i < all->width; i++) bytes_free(&all->children[i].out[1]);
}
#endif
