/* The frame of lariat's C tests.
 *
 * Each tests/c/<subject>.c is one program with several cases:
 *
 *     prog --list     prints the names of its cases, one a line
 *     prog NAME       runs one case in this process: exit 0 passed, 1 failed (file:line and both values on stderr), 77 skipped
 *     prog            runs all, each in a process of its own (for a person; not on Windows)
 *
 * A case is `TEST(name) { ... }`. It ends by proving that nothing is left alive: it calls `reactor_done` for each reactor, and the
 * frame then checks that every note was compared, every token freed, every reactor gone, and as many descriptors are open as
 * before. A case that hangs is killed after LARIAT_TEST_SECONDS (120 unless set).
 *
 * The three tools:
 *   - notes   callbacks append words to one log (`note`), and `CHECK_NOTES("a b c")` compares and empties it. Order is asserted this way.
 *   - tokens  heap things with a name, `token_new("job")`, freed by `token_free` (a lariat_free_fn): a second free fails the case
 *             at once, a missing one at its end. A token may be given wherever a string may: it begins with its name.
 *   - gates   a one-time signal between threads: `gate_open`, `gate_wait`.
 */
#ifndef LARIAT_TESTS_HARNESS_H
#define LARIAT_TESTS_HARNESS_H
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#include "lariat.h"

/* ---- failing and skipping ------------------------------------------------------------------------------------------------ */

/* Leaves at once and from any thread: no destructor runs, so nothing hides the report. */
__attribute__((format(printf, 3, 4), noreturn)) static inline void test_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    fflush(NULL);
    _Exit(1);
}

__attribute__((noreturn)) static inline void test_skip(const char *reason) {
    fprintf(stderr, "skipped: %s\n", reason);
    fflush(NULL);
    _Exit(77);
}
#define SKIP(reason) test_skip(reason)

/* ---- checks: the expression first, what it must be second ------------------------------------------------------------------- */

static inline void test_check_int(const char *file, int line, const char *what, intmax_t got, intmax_t want) {
    if (got != want) test_fail(file, line, "%s is %" PRIdMAX ", must be %" PRIdMAX, what, got, want);
}

static inline void test_check_status(const char *file, int line, const char *what, lariat_status got, lariat_status want) {
    if (got != want)
        test_fail(file, line, "%s is %s (%d), must be %s; last error: %s", what, lariat_status_name(got), (int)got,
                  lariat_status_name(want), lariat_last_error_message());
}

static inline void test_check_either(const char *file, int line, const char *what, lariat_status got, lariat_status one,
                                     lariat_status other) {
    if (got != one && got != other)
        test_fail(file, line, "%s is %s (%d), must be %s or %s", what, lariat_status_name(got), (int)got, lariat_status_name(one),
                  lariat_status_name(other));
}

static inline void test_check_str(const char *file, int line, const char *what, const char *got, const char *want) {
    if (!got || strcmp(got, want) != 0) test_fail(file, line, "%s is \"%s\", must be \"%s\"", what, got ? got : "(NULL)", want);
}

static inline void test_check_ptr(const char *file, int line, const char *what, const void *got, const void *want) {
    if (got != want) test_fail(file, line, "%s is %p, must be %p", what, got, want);
}

static inline void test_check_near(const char *file, int line, const char *what, double got, double want) {
    if (!(got == want || fabs(got - want) < 1e-6)) test_fail(file, line, "%s is %.9g, must be %.9g", what, got, want);
}

static inline void test_check_null(const char *file, int line, const char *what, const void *got, lariat_status want) {
    if (got) test_fail(file, line, "%s is %p, must be NULL with %s", what, got, lariat_status_name(want));
    test_check_status(file, line, what, lariat_last_error(), want);
    if (!*lariat_last_error_message()) test_fail(file, line, "%s failed without a message", what);
}

#define CHECK(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "not true: %s", #condition))
#define CHECK_INT(expression, want) test_check_int(__FILE__, __LINE__, #expression, (intmax_t)(expression), (intmax_t)(want))
#define CHECK_STATUS(expression, want) test_check_status(__FILE__, __LINE__, #expression, expression, want)
#define CHECK_OK(expression) CHECK_STATUS(expression, LARIAT_OK)
#define CHECK_EITHER(expression, one, other) test_check_either(__FILE__, __LINE__, #expression, expression, one, other)
#define CHECK_STR(expression, want) test_check_str(__FILE__, __LINE__, #expression, expression, want)
#define CHECK_PTR(expression, want) test_check_ptr(__FILE__, __LINE__, #expression, expression, want)
#define CHECK_NEAR(expression, want) test_check_near(__FILE__, __LINE__, #expression, expression, want)
/* The call made nothing, and the thread's last error says why. */
#define CHECK_NULL(expression, want_error) test_check_null(__FILE__, __LINE__, #expression, expression, want_error)

/* ---- cases ------------------------------------------------------------------------------------------------------------------ */

struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
};
static struct test_case *test_first, **test_last = &test_first;

static inline void test_register(struct test_case *test) {
    *test_last = test;
    test_last = &test->next;
}

#define TEST(name)                                                         \
    static void name(void);                                                \
    __attribute__((constructor)) static void test_register_##name(void) {  \
        static struct test_case test = {#name, name, NULL};                \
        test_register(&test);                                              \
    }                                                                      \
    static void name(void)

/* A large count, made smaller under slow checkers: LARIAT_TEST_DIVIDE=100 makes a million ten thousand. */
static inline size_t many(size_t count) {
    const char *divide = getenv("LARIAT_TEST_DIVIDE");
    size_t by = divide ? strtoul(divide, NULL, 10) : 1;
    return by > 1 && count / by > 10 ? count / by : count;
}

/* ---- notes: what happened, in order. Only for the thread that runs the reactors. --------------------------------------------- */

static struct {
    char text[1 << 16];
    size_t length;
} test_notes;

__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...) {
    va_list arguments;
    size_t room = sizeof test_notes.text - test_notes.length;
    if (room < 256) test_fail(__FILE__, __LINE__, "too many notes: %.200s ...", test_notes.text);
    if (test_notes.length) test_notes.text[test_notes.length++] = ' ';
    va_start(arguments, format);
    vsnprintf(test_notes.text + test_notes.length, 250, format, arguments);
    va_end(arguments);
    test_notes.length += strlen(test_notes.text + test_notes.length);
}

static inline void notes_clear(void) {
    test_notes.length = 0;
    test_notes.text[0] = 0;
}

/* For where the order is nobody's business. */
static inline int noted(const char *words) { return strstr(test_notes.text, words) != NULL; }

static inline void test_check_notes(const char *file, int line, const char *want) {
    if (strcmp(test_notes.text, want) != 0) test_fail(file, line, "notes are\n    \"%s\", must be\n    \"%s\"", test_notes.text, want);
    notes_clear();
}
#define CHECK_NOTES(want) test_check_notes(__FILE__, __LINE__, want)

/* ---- tokens: user_data and values whose freeing is counted -------------------------------------------------------------------- */

typedef struct token {
    char name[32]; /* first: a token is also a string */
    atomic_int frees;
    const void *_Atomic freed_by; /* the thread, as test_this_thread() */
    struct token *next;
} token;
static token *_Atomic test_tokens;

static inline const void *test_this_thread(void) {
    static _Thread_local char here;
    return &here;
}

static inline token *token_new(const char *name) {
    token *made = calloc(1, sizeof *made);
    if (!made) test_fail(__FILE__, __LINE__, "no memory for a token");
    snprintf(made->name, sizeof made->name, "%s", name);
    made->next = atomic_load(&test_tokens);
    while (!atomic_compare_exchange_weak(&test_tokens, &made->next, made)) {}
    return made;
}

/* Counts; the memory itself lives to the end of the case, so that a second free is seen. */
static inline void token_free(void *data) {
    token *freed = data;
    atomic_store(&freed->freed_by, test_this_thread());
    if (atomic_fetch_add(&freed->frees, 1)) test_fail(__FILE__, __LINE__, "token %s is freed twice", freed->name);
}

static inline void token_free_noted(void *data) {
    note("free:%s", (char *)data);
    token_free(data);
}

static inline int token_alive(const token *one) { return !atomic_load(&one->frees); }
static inline int token_freed_here(const token *one) { return atomic_load(&one->freed_by) == test_this_thread(); }

static inline int tokens_alive(void) {
    int alive = 0;
    for (token *each = atomic_load(&test_tokens); each; each = each->next) alive += token_alive(each);
    return alive;
}

static inline void test_end_tokens(void) {
    for (token *each = atomic_exchange(&test_tokens, NULL), *next; each; each = next) {
        next = each->next;
        if (token_alive(each)) test_fail(__FILE__, __LINE__, "token %s is never freed", each->name);
        free(each);
    }
}

/* For very many: user_data is an atomic_long that counts the frees. */
static inline void count_free(void *data) { atomic_fetch_add((atomic_long *)data, 1); }
static inline void count_call(void *user_data) { ++*(long *)user_data; }

#include "callbacks.h"

/* ---- reactors ------------------------------------------------------------------------------------------------------------------ */

static struct {
    int errors; /* what came by the log hook at LARIAT_LOG_ERROR */
    char last[256];
} test_log;

static inline void test_on_log(int32_t level, const char *message, void *user_data) {
    (void)user_data;
    test_log.errors += level == LARIAT_LOG_ERROR;
    snprintf(test_log.last, sizeof test_log.last, "%s", message);
}

/* An unhandled failure is a note, `unhandled!7`, so a case that does not expect one fails at its end. */
static inline void test_on_unhandled(const lariat_failure *failure, void *user_data) {
    (void)user_data;
    note("unhandled!%s", failure_label(failure));
}

static inline lariat_reactor_options reactor_options(void) {
    lariat_reactor_options options;
    CHECK_OK(lariat_reactor_options_init(&options, sizeof options));
    options.log = test_on_log;
    options.unhandled_failure = test_on_unhandled;
    return options;
}

static inline lariat_reactor *reactor_with(lariat_reactor_options options) {
    lariat_reactor *reactor = lariat_reactor_new_with_options(&options);
    if (!reactor) test_fail(__FILE__, __LINE__, "no reactor: %s", lariat_last_error_message());
    return reactor;
}

static inline lariat_reactor *real_reactor(void) { return reactor_with(reactor_options()); }

static inline lariat_reactor *manual_reactor(void) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    return reactor_with(options);
}

static inline lariat_reactor *simulated_reactor(lariat_simulation *simulation, const char *host) {
    lariat_reactor_options options = reactor_options();
    options.driver = LARIAT_DRIVER_SIMULATED;
    options.simulation = simulation;
    options.host = host;
    return reactor_with(options);
}

static inline lariat_stats reactor_stats(lariat_reactor *reactor) {
    lariat_stats stats;
    CHECK_OK(lariat_stats_init(&stats, sizeof stats));
    CHECK_OK(lariat_reactor_stats(reactor, &stats));
    return stats;
}

/* Nothing that was made through the reactor lives any more; pool threads may. */
static inline void test_nothing_alive(const char *file, int line, lariat_reactor *reactor) {
    lariat_stats stats = reactor_stats(reactor);
    const struct { const char *kind; uint64_t alive; } kinds[] = {
        {"delayed_calls", stats.delayed_calls}, {"soon_calls", stats.soon_calls}, {"deferreds", stats.deferreds},
        {"failures", stats.failures}, {"results", stats.results}, {"watchers", stats.watchers}, {"triggers", stats.triggers},
        {"locks", stats.locks}, {"semaphores", stats.semaphores}, {"queues", stats.queues}, {"looping_calls", stats.looping_calls},
        {"cooperators", stats.cooperators}, {"cooperative_tasks", stats.cooperative_tasks}, {"scopes", stats.scopes},
        {"jobs", stats.jobs}, {"events", stats.events}, {"look_ups", stats.look_ups}, {"addresses", stats.addresses},
        {"transports", stats.transports}, {"listeners", stats.listeners}, {"datagram_ports", stats.datagram_ports},
        {"reconnecting_clients", stats.reconnecting_clients}, {"connection_pools", stats.connection_pools},
        {"processes", stats.processes}, {"process_outputs", stats.process_outputs}, {"signal_watches", stats.signal_watches},
        {"files", stats.files}, {"directories", stats.directories}, {"file_values", stats.file_values},
        {"file_watches", stats.file_watches}, {"http_servers", stats.http_servers}, {"http_requests", stats.http_requests},
        {"http_routers", stats.http_routers}, {"http_agents", stats.http_agents}, {"http_exchanges", stats.http_exchanges},
        {"http_responses", stats.http_responses}, {"callbacks_running", stats.callbacks_running},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].alive) test_fail(file, line, "left alive: %llu %s", (unsigned long long)kinds[i].alive, kinds[i].kind);
}
#define CHECK_NOTHING_ALIVE(reactor) test_nothing_alive(__FILE__, __LINE__, reactor)

/* For a case that leaves things to the free on purpose. */
static inline void test_free_reactor(const char *file, int line, lariat_reactor *reactor) {
    test_check_status(file, line, "lariat_reactor_free", lariat_reactor_free(reactor), LARIAT_OK);
    test_check_status(file, line, "the freed reactor", lariat_reactor_running(reactor), LARIAT_ERR_STALE_HANDLE);
}
#define free_reactor(reactor) test_free_reactor(__FILE__, __LINE__, reactor)

/* The usual end of a case. */
#define reactor_done(reactor) (test_nothing_alive(__FILE__, __LINE__, reactor), test_free_reactor(__FILE__, __LINE__, reactor))

/* Whether the case runs under this checker: valgrind, address, thread. */
static inline int is_under(const char *tool) {
    const char *is = getenv("LARIAT_TEST_TOOL");
    return is && strcmp(is, tool) == 0;
}

/* One turn that does not wait. */
#define turn(reactor) CHECK_OK(lariat_reactor_iterate(reactor, 0))
#define advance(reactor, seconds) CHECK_OK(lariat_reactor_advance(reactor, seconds))

static inline void turns(lariat_reactor *reactor, int count) {
    while (count-- > 0) turn(reactor);
}

/* Turns until the reactor, which was told to stop, has stopped. */
static inline void turn_until_stopped(lariat_reactor *reactor) {
    lariat_status status = LARIAT_OK;
    for (int i = 0; i < 10 && status == LARIAT_OK; i++) status = lariat_reactor_iterate(reactor, 0);
    CHECK_STATUS(status, LARIAT_STOPPED);
}

static inline void stop_reactor(lariat_reactor *reactor) {
    CHECK_OK(lariat_reactor_stop(reactor));
    turn_until_stopped(reactor);
}

/* ---- threads ------------------------------------------------------------------------------------------------------------------- */

typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    int open;
} gate;
#define GATE_CLOSED {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static inline void gate_open(gate *one) {
    pthread_mutex_lock(&one->mutex);
    one->open = 1;
    pthread_cond_broadcast(&one->opened);
    pthread_mutex_unlock(&one->mutex);
}

static inline void gate_wait(gate *one) {
    pthread_mutex_lock(&one->mutex);
    while (!one->open) pthread_cond_wait(&one->opened, &one->mutex);
    pthread_mutex_unlock(&one->mutex);
}

static inline pthread_t thread_start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run, argument), 0);
    return thread;
}

static inline void thread_join(pthread_t thread) { CHECK_INT(pthread_join(thread, NULL), 0); }

/* ---- descriptors ----------------------------------------------------------------------------------------------------------------- */

#ifdef _WIN32
static inline int descriptors_open(void) { return 0; }
#else
static inline int descriptor_is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

/* As many as /proc/self/fd shows; this way it works without /proc too. */
static inline int descriptors_open(void) {
    int count = 0;
    for (int fd = 0; fd < 4096; fd++) count += descriptor_is_open(fd);
    return count;
}

/* ends[0] is read from, ends[1] is written to; neither blocks. */
static inline void pipe_new(int ends[2]) {
    CHECK_INT(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(fcntl(ends[i], F_SETFD, FD_CLOEXEC), 0);
        CHECK_INT(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
    }
}

static inline void pipe_close(int ends[2]) {
    CHECK_INT(close(ends[0]), 0);
    CHECK_INT(close(ends[1]), 0);
}

static inline void write_bytes(int fd, const char *bytes) { CHECK_INT(write(fd, bytes, strlen(bytes)), strlen(bytes)); }

/* One byte, or '.' when there is none. */
static inline char read_byte(int fd) {
    char byte;
    return read(fd, &byte, 1) == 1 ? byte : '.';
}
#endif

/* ---- forking ----------------------------------------------------------------------------------------------------------------------- */

/* Set by a child of fork that ends with what it has inherited. */
static inline int *in_a_child(void) {
    static int is_child;
    return &is_child;
}

#ifdef __SANITIZE_ADDRESS__
/* What the child inherited, it does not free: LeakSanitizer asks this before it looks. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return *in_a_child(); }
#endif

#ifndef _WIN32
/* Ends a child of fork. Valgrind looks for leaks whenever a process ends, but lets go of one that becomes another program. */
__attribute__((noreturn)) static inline void leave_child(int status) {
    char number[16];
    snprintf(number, sizeof number, "%d", status);
    if (is_under("valgrind")) execlp("sh", "sh", "-c", "exit $0", number, (char *)NULL);
    _Exit(status);
}
#endif

/* ---- running ----------------------------------------------------------------------------------------------------------------------- */

static inline int test_run_one(struct test_case *test) {
    int open_before = descriptors_open();
#ifndef _WIN32
    const char *seconds = getenv("LARIAT_TEST_SECONDS");
    alarm(seconds ? (unsigned)atoi(seconds) : 120);
    signal(SIGINT, SIG_DFL); /* a shell that does not wait for the tests ignores them for all it starts */
    signal(SIGQUIT, SIG_DFL);
#endif
    CHECK_INT(lariat_reactors_alive(), 0);
    test->run();
    CHECK_NOTES("");
    test_end_tokens();
    CHECK_INT(lariat_reactors_alive(), 0);
    CHECK_INT(lariat_tls_configurations_alive(), 0);
    CHECK_INT(descriptors_open(), open_before);
    return 0;
}

static inline int test_run_all(const char *program) {
    int failed = 0;
#ifdef _WIN32
    fprintf(stderr, "%s: name a case, or --list\n", program);
    return 2;
#else
    for (struct test_case *test = test_first; test; test = test->next) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            execlp(program, program, test->name, (char *)NULL);
            _exit(127);
        }
        waitpid(child, &status, 0);
        int skipped = WIFEXITED(status) && WEXITSTATUS(status) == 77, passed = status == 0;
        printf("%-8s %s\n", passed ? "ok" : skipped ? "skipped" : WIFSIGNALED(status) ? "KILLED" : "FAILED", test->name);
        fflush(stdout);
        failed += !passed && !skipped;
    }
#endif
    return failed ? 1 : 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return test_run_all(argv[0]);
    for (struct test_case *test = test_first; test; test = test->next) {
        if (strcmp(argv[1], "--list") == 0) puts(test->name);
        else if (strcmp(argv[1], test->name) == 0) return test_run_one(test);
    }
    if (strcmp(argv[1], "--list") == 0) return 0;
    fprintf(stderr, "%s: no case %s\n", argv[0], argv[1]);
    return 2;
}
#endif
