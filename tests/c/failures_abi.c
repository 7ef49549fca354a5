/* FAILURES.md, rows 46, 47, 49: structs and headers of other versions; loading, unloading, static constructors and destructors. */
#define _GNU_SOURCE /* dladdr */
#include "every_kind.h"
#include <dlfcn.h>
#include <stddef.h>

/* ---- 46: an options struct from an older or newer header --------------------------------------------------------------------------- */

/* A struct with room behind it, all of it filled with what nobody must read or write. */
#define AROUND(type)              \
    union {                       \
        type known;               \
        unsigned char bytes[4096]; \
    }

static void untouched(const unsigned char *bytes, size_t from, size_t to, int want) {
    for (size_t i = from; i < to; i++)
        if (bytes[i] != want) test_fail(__FILE__, __LINE__, "byte %zu is %d, must be %d", i, bytes[i], want);
}

/* Its struct ends where a later field begins: that field and the rest are as if they were not set, and are not read. */
TEST(f46_options_of_an_older_header) {
    const size_t sizes[] = {offsetof(lariat_reactor_options, shutdown_seconds), offsetof(lariat_reactor_options, max_events),
                            offsetof(lariat_reactor_options, simulation), offsetof(lariat_reactor_options, log),
                            offsetof(lariat_reactor_options, unhandled_failure)};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        AROUND(lariat_reactor_options) options;
        memset(&options, 0xAA, sizeof options);
        CHECK_OK(lariat_reactor_options_init(&options.known, (uint32_t)sizes[i]));
        CHECK_INT(options.known.struct_size, sizes[i]);
        untouched(options.bytes, sizes[i], sizeof options, 0xAA);
        options.known.clock = LARIAT_CLOCK_MANUAL;
        lariat_reactor *reactor = lariat_reactor_new_with_options(&options.known);
        CHECK(reactor != NULL);
        CHECK_OK(lariat_reactor_advance(reactor, 1)); /* what it does have is heeded */
        reactor_done(reactor);
    }
}

/* Its struct is longer than the library knows: all right as long as nothing there is set. */
TEST(f46_options_of_a_newer_header) {
    AROUND(lariat_reactor_options) options;
    const size_t size = sizeof(lariat_reactor_options) + 64;
    memset(&options, 0xAA, sizeof options);
    CHECK_OK(lariat_reactor_options_init(&options.known, (uint32_t)size));
    CHECK_INT(options.known.struct_size, size);
    untouched(options.bytes, sizeof(lariat_reactor_options), size, 0);
    untouched(options.bytes, size, sizeof options, 0xAA);
    options.known.clock = LARIAT_CLOCK_MANUAL;
    lariat_reactor *reactor = lariat_reactor_new_with_options(&options.known);
    CHECK(reactor != NULL);
    reactor_done(reactor);
    for (size_t at = sizeof(lariat_reactor_options); at < size; at += 21) {
        options.known.log_user_data = token_new("log");
        options.known.free_log_user_data = token_free;
        options.bytes[at] = 1;
        CHECK_NULL(lariat_reactor_new_with_options(&options.known), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_INT(tokens_alive(), 0);
        options.bytes[at] = 0;
    }
}

TEST(f46_sizes_that_cannot_be) {
    AROUND(lariat_reactor_options) options;
    lariat_stats stats;
    lariat_event event;
    lariat_reactor *reactor = manual_reactor();
    for (uint32_t size = 0; size < 4; size++) {
        memset(&options, 0xAA, sizeof options);
        CHECK_STATUS(lariat_reactor_options_init(&options.known, size), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_stats_init((lariat_stats *)options.bytes, size), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_event_init((lariat_event *)options.bytes, size), LARIAT_ERR_INVALID_ARGUMENT);
        untouched(options.bytes, 0, sizeof options, 0xAA);
        options.known.struct_size = size;
        CHECK_NULL(lariat_reactor_new_with_options(&options.known), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_OK(lariat_stats_init(&stats, sizeof stats));
        stats.struct_size = size;
        CHECK_STATUS(lariat_reactor_stats(reactor, &stats), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_OK(lariat_event_init(&event, sizeof event));
        event.struct_size = size;
        CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_ERR_INVALID_ARGUMENT);
    }
    /* Never initialised: the size is as wild as the rest. */
    memset(&options, 0xAA, sizeof options);
    CHECK_NULL(lariat_reactor_new_with_options(&options.known), LARIAT_ERR_INVALID_ARGUMENT);
    options.known.struct_size = UINT32_MAX;
    CHECK_NULL(lariat_reactor_new_with_options(&options.known), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

/* What the library fills ends where the caller's struct ends. */
TEST(f46_stats_of_other_headers) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *call = lariat_reactor_call_later(reactor, 1, quiet_call, NULL);
    const size_t sizes[] = {offsetof(lariat_stats, soon_calls), offsetof(lariat_stats, watchers), offsetof(lariat_stats, turns),
                            sizeof(lariat_stats), sizeof(lariat_stats) + 8, sizeof(lariat_stats) + 800};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        AROUND(lariat_stats) stats;
        memset(&stats, 0xAA, sizeof stats);
        CHECK_OK(lariat_stats_init(&stats.known, (uint32_t)sizes[i]));
        untouched(stats.bytes, sizes[i], sizeof stats, 0xAA);
        CHECK_OK(lariat_reactor_stats(reactor, &stats.known));
        CHECK_INT(stats.known.struct_size, sizes[i]);
        CHECK_INT(stats.known.delayed_calls, 1);
        if (sizes[i] > sizeof(lariat_stats)) untouched(stats.bytes, sizeof(lariat_stats), sizes[i], 0);
        untouched(stats.bytes, sizes[i], sizeof stats, 0xAA);
    }
    CHECK_OK(lariat_delayed_call_cancel(call));
    turn(reactor);
    reactor_done(reactor);
}

/* An event that has no room for a field loses that field; one refused for its size stays in the queue. */
TEST(f46_events_of_other_headers) {
    lariat_reactor *reactor = manual_reactor();
    const size_t sizes[] = {offsetof(lariat_event, value), offsetof(lariat_event, readiness), sizeof(lariat_event), sizeof(lariat_event) + 64};
    for (uint64_t tag = 0; tag < 4; tag++) CHECK_OK(lariat_reactor_call_soon_event(reactor, tag));
    turn(reactor);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        AROUND(lariat_event) event;
        memset(&event, 0xAA, sizeof event);
        CHECK_OK(lariat_event_init(&event.known, (uint32_t)sizes[i]));
        event.known.struct_size = 2;
        CHECK_STATUS(lariat_reactor_next_event(reactor, &event.known), LARIAT_ERR_INVALID_ARGUMENT);
        event.known.struct_size = (uint32_t)sizes[i];
        CHECK_OK(lariat_reactor_next_event(reactor, &event.known));
        CHECK_INT(event.known.struct_size, sizes[i]);
        CHECK_INT(event.known.kind, LARIAT_EVENT_CALL);
        CHECK_INT(event.known.tag, i);
        untouched(event.bytes, sizes[i], sizeof event, 0xAA);
    }
    lariat_event last;
    CHECK_OK(lariat_event_init(&last, sizeof last));
    CHECK_STATUS(lariat_reactor_next_event(reactor, &last), LARIAT_EMPTY);
    reactor_done(reactor);
}

/* What the options own is freed once: when the reactor is, or when the call fails. */
TEST(f46_what_the_options_own) {
    lariat_reactor_options options = reactor_options();
    options.log_user_data = token_new("log");
    options.free_log_user_data = token_free;
    options.slow_user_data = token_new("slow");
    options.free_slow_user_data = token_free;
    options.unhandled_user_data = token_new("unhandled");
    options.free_unhandled_user_data = token_free;
    lariat_reactor *reactor = reactor_with(options);
    CHECK_INT(tokens_alive(), 3);
    reactor_done(reactor);
    CHECK_INT(tokens_alive(), 0);
    options.log_user_data = token_new("log");
    options.slow_user_data = token_new("slow");
    options.unhandled_user_data = token_new("unhandled");
    options.driver = 99;
    CHECK_NULL(lariat_reactor_new_with_options(&options), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 0);
}

/* ---- 47: a header of another ABI version -------------------------------------------------------------------------------------------- */

TEST(f47_one_call_tells) {
    CHECK_OK(lariat_check_abi(LARIAT_ABI_VERSION));
    const int32_t others[] = {LARIAT_ABI_VERSION + 1, LARIAT_ABI_VERSION - 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK_STATUS(lariat_check_abi(others[i]), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(lariat_last_error(), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK(*lariat_last_error_message() != 0);
    }
}

TEST(f47_the_versions_agree) {
    char version[64];
    snprintf(version, sizeof version, "%d.%d.%d", LARIAT_VERSION_MAJOR, LARIAT_VERSION_MINOR, LARIAT_VERSION_PATCH);
    CHECK_STR(lariat_version(), version);
    CHECK_INT(lariat_version_number(), LARIAT_VERSION_MAJOR * 1000000 + LARIAT_VERSION_MINOR * 1000 + LARIAT_VERSION_PATCH);
}

/* ---- 49: use from a static constructor and from destructors -------------------------------------------------------------------- */

static int constructed, trouble;

/* No frame is there yet to report a failure: it is noted, and the case fails. */
static void *constructed_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    *(void **)user_data = value;
    return NULL;
}

__attribute__((constructor(200))) static void use_before_main(void) {
    void *value = NULL;
    lariat_reactor *reactor = lariat_reactor_new();
    lariat_deferred *deferred = lariat_deferred_new(reactor);
    trouble |= lariat_deferred_add_callback(deferred, constructed_value, &value) < 0;
    trouble |= lariat_deferred_release(deferred) < 0;
    trouble |= lariat_deferred_callback_later(deferred, 0, "value") == NULL;
    trouble |= lariat_reactor_run_until_idle(reactor) < 0;
    trouble |= !value || strcmp(value, "value") != 0;
    trouble |= lariat_reactor_free(reactor) < 0;
    trouble |= lariat_reactor_free(reactor) != LARIAT_ERR_STALE_HANDLE;
    constructed = 1;
}

TEST(f49_used_in_a_static_constructor) {
    CHECK_INT(constructed, 1);
    CHECK_INT(trouble, 0);
}

static lariat_reactor *kept; /* until a destructor frees it */

/* The thread's own storage is gone by now: what is answered must be right all the same. */
static void use_late(void) {
    if (!kept) return;
    CHECK_STATUS(lariat_reactor_running(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK(lariat_last_error_message() != NULL);
    CHECK_OK(lariat_reactor_call_soon(kept, note_call, "late"));
    CHECK_OK(lariat_deferred_release(lariat_deferred_new_succeeded(kept, NULL)));
    CHECK(lariat_deferred_errback(NULL, 7, "seven") < 0);
    turn(kept);
    CHECK_NOTES("late");
    lariat_reactor *another = manual_reactor();
    reactor_done(another);
    reactor_done(kept);
    _Exit(42);
}

__attribute__((destructor(200))) static void use_after_main(void) { use_late(); }

static void keep_and_exit(void *argument) {
    CHECK_STATUS(lariat_reactor_running(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    kept = manual_reactor();
    if (argument) CHECK_INT(atexit(use_late), 0);
    exit(1);
}

TEST(f49_used_in_a_static_destructor) { exits_in_child(keep_and_exit, NULL); }

TEST(f49_used_in_an_exit_handler) { exits_in_child(keep_and_exit, "atexit"); }

static void exit_without_freeing(void *argument) {
    (void)argument;
    lariat_reactor *reactor = manual_reactor();
    every_kind_new(reactor);
    CHECK_OK(lariat_reactor_call_soon_full(reactor, quiet_call, token_new("soon"), token_free));
    turn(reactor);
    exit(42);
}

TEST(f49_exit_with_everything_alive) { exits_in_child(exit_without_freeing, NULL); }

static pthread_key_t key;

static void free_as_the_thread_ends(void *reactor) {
    CHECK_OK(lariat_reactor_iterate(reactor, 0));
    CHECK_STATUS(lariat_reactor_running(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
    note("freed");
}

static void *keep_in_the_thread(void *argument) {
    (void)argument;
    CHECK_STATUS(lariat_reactor_running(NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(pthread_setspecific(key, manual_reactor()), 0);
    return NULL;
}

TEST(f49_used_in_the_destructor_of_thread_storage) {
    CHECK_INT(pthread_key_create(&key, free_as_the_thread_ends), 0);
    thread_join(thread_start(keep_in_the_thread, NULL));
    CHECK_NOTES("freed");
    CHECK_INT(pthread_key_delete(key), 0);
}

/* ---- 49: dlclose ------------------------------------------------------------------------------------------------------------------------ */

/* The library a second time, from a copy of its file, so that it is loaded and unloaded here alone. */
typedef struct plugin {
    void *library;
    __typeof__(lariat_reactor_new_with_options) *new_with_options;
    __typeof__(lariat_reactor_options_init) *options_init;
    __typeof__(lariat_reactor_free) *free;
    __typeof__(lariat_reactor_run_until_idle) *run_until_idle;
    __typeof__(lariat_reactor_call_later) *call_later;
    __typeof__(lariat_reactor_call_in_thread_full) *call_in_thread_full;
    __typeof__(lariat_reactor_running) *running;
    __typeof__(lariat_last_error_message) *last_error_message;
} plugin;

static void copy_file(const char *from, int to) {
    static char block[1 << 16];
    int file = open(from, O_RDONLY | O_CLOEXEC);
    CHECK(file != -1);
    for (ssize_t length; (length = read(file, block, sizeof block)) > 0;) CHECK_INT(write(to, block, (size_t)length), length);
    CHECK_INT(close(file), 0);
}

static void find(const plugin *one, const char *name, void *function) {
    void *symbol = dlsym(one->library, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static plugin plugin_load(void) {
    Dl_info info;
    void *version;
    const char *(*function)(void) = lariat_version;
    char path[] = "/tmp/lariat-plugin-XXXXXX";
    plugin one = {0};
    memcpy(&version, &function, sizeof version);
    if (!dladdr(version, &info) || !strstr(info.dli_fname, ".so")) SKIP("not linked to the shared library");
    int file = mkstemp(path);
    CHECK(file != -1);
    copy_file(info.dli_fname, file);
    CHECK_INT(close(file), 0);
    one.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!one.library) test_fail(__FILE__, __LINE__, "%s", dlerror());
    CHECK_INT(unlink(path), 0);
    find(&one, "lariat_reactor_new_with_options", &one.new_with_options);
    find(&one, "lariat_reactor_options_init", &one.options_init);
    find(&one, "lariat_reactor_free", &one.free);
    find(&one, "lariat_reactor_run_until_idle", &one.run_until_idle);
    find(&one, "lariat_reactor_call_later", &one.call_later);
    find(&one, "lariat_reactor_call_in_thread_full", &one.call_in_thread_full);
    find(&one, "lariat_reactor_running", &one.running);
    find(&one, "lariat_last_error_message", &one.last_error_message);
    CHECK(one.running != lariat_reactor_running);
    return one;
}

static lariat_reactor *plugin_reactor(const plugin *one, double shutdown_seconds) {
    lariat_reactor_options options;
    CHECK_OK(one->options_init(&options, sizeof options));
    options.shutdown_seconds = shutdown_seconds;
    options.thread_pool_size = 1;
    lariat_reactor *reactor = one->new_with_options(&options);
    CHECK(reactor != NULL);
    return reactor;
}

static gate job_runs = GATE_CLOSED, job_may_end = GATE_CLOSED, job_freed = GATE_CLOSED;

static void job_noted(void *user_data) {
    (void)user_data;
    gate_open(&job_runs);
}

static void job_until_gate(void *user_data) {
    (void)user_data;
    gate_open(&job_runs);
    gate_wait(&job_may_end);
}

static void job_free(void *data) {
    token_free(data);
    gate_open(&job_freed);
}

static void plugin_used(const plugin *one) {
    lariat_reactor *reactor = plugin_reactor(one, 600);
    CHECK(one->call_later(reactor, 0, note_call, "timer") != NULL);
    CHECK_OK(one->call_in_thread_full(reactor, job_noted, token_new("job"), token_free));
    CHECK_OK(one->run_until_idle(reactor));
    gate_wait(&job_runs);
    CHECK_NOTES("timer");
    CHECK_OK(one->free(reactor));
    CHECK_STATUS(one->running(reactor), LARIAT_ERR_STALE_HANDLE);
    CHECK(*one->last_error_message() != 0);
}

/* Two copies of the library in one process, and neither knows of the other. */
TEST(f49_dlclose_after_use) {
    lariat_reactor *reactor = manual_reactor();
    for (int round = 0; round < 3; round++) {
        plugin one = plugin_load();
        plugin_used(&one);
        CHECK_INT(dlclose(one.library), 0);
    }
    turn(reactor);
    reactor_done(reactor);
}

/* The pool's thread is inside a job while its library is closed, and returns into it. */
TEST(f49_dlclose_with_a_live_thread) {
    plugin one = plugin_load();
    lariat_reactor *reactor = plugin_reactor(&one, 0);
    CHECK_OK(one.call_in_thread_full(reactor, job_until_gate, token_new("job"), job_free));
    gate_wait(&job_runs);
    CHECK_OK(one.free(reactor));
    CHECK_INT(dlclose(one.library), 0);
    gate_open(&job_may_end);
    gate_wait(&job_freed);
}

static void *load_use_and_close(void *argument) {
    (void)argument;
    plugin one = plugin_load();
    plugin_used(&one);
    CHECK_INT(dlclose(one.library), 0);
    return NULL;
}

/* What the library keeps for a thread is freed when the thread ends, after the library was closed. */
TEST(f49_dlclose_before_its_thread_ends) { thread_join(thread_start(load_use_and_close, NULL)); }

static void close_with_everything_alive(void *argument) {
    (void)argument;
    plugin one = plugin_load();
    lariat_reactor *reactor = plugin_reactor(&one, 0);
    CHECK(one.call_later(reactor, 1, note_call, "never") != NULL);
    CHECK_OK(one.call_in_thread_full(reactor, job_until_gate, token_new("job"), job_free));
    gate_wait(&job_runs);
    CHECK_INT(dlclose(one.library), 0);
    exit(42);
}

TEST(f49_dlclose_with_everything_alive) {
    plugin one = plugin_load(); /* skips here, if it must */
    CHECK_INT(dlclose(one.library), 0);
    exits_in_child(close_with_everything_alive, NULL);
}
