/* Look-ups that hang, and what the system may answer (FAILURES 36, DESIGN 8). The program has a getaddrinfo of its own, which the library
 * then uses: it knows a few names, and those that begin with "hang" wait for a gate. */
#include "harness.h"
#ifndef _WIN32
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>

/* Sleeps in the poll, but not for long: the turn that makes the condition true may go on to sleep itself. */
#define TURN_UNTIL(reactor, condition) \
    while (!(condition)) CHECK_OK(lariat_reactor_iterate(reactor, 0.01))

static gate hanging = GATE_CLOSED;
static atomic_int asked, hangs, signals_open;

static struct addrinfo *one_more(struct addrinfo *list, const struct sockaddr *address, socklen_t length) {
    struct addrinfo *made = calloc(1, sizeof *made + sizeof(struct sockaddr_storage));
    made->ai_family = address->sa_family;
    made->ai_addrlen = length;
    made->ai_addr = (struct sockaddr *)(made + 1);
    memcpy(made->ai_addr, address, length);
    if (!list) return made;
    struct addrinfo *last = list;
    while (last->ai_next) last = last->ai_next;
    last->ai_next = made;
    return list;
}

static struct addrinfo *add_v4(struct addrinfo *list, const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK_INT(inet_pton(AF_INET, text, &address.sin_addr), 1);
    return one_more(list, (struct sockaddr *)&address, sizeof address);
}

static struct addrinfo *add_v6(struct addrinfo *list, const char *text, uint32_t scope) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_scope_id = scope};
    CHECK_INT(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    return one_more(list, (struct sockaddr *)&address, sizeof address);
}

int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict list) {
    sigset_t mask;
    int family = hints->ai_family;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    atomic_fetch_add(&signals_open, !sigismember(&mask, SIGUSR1) || !sigismember(&mask, SIGCHLD));
    CHECK(!service && hints->ai_socktype == SOCK_STREAM);
    atomic_fetch_add(&asked, 1);
    if (!strncmp(name, "hang", 4)) {
        atomic_fetch_add(&hangs, 1);
        gate_wait(&hanging);
    }
    *list = NULL;
    if (!strcmp(name, "again.test")) return EAI_AGAIN;
    if (!strcmp(name, "memory.test")) return EAI_MEMORY;
    if (!strcmp(name, "system.test")) return errno = EACCES, EAI_SYSTEM;
    if (!strcmp(name, "nobody.test")) return EAI_NONAME;
    if (!strcmp(name, "empty.test")) return 0;
    if (!strcmp(name, "odd.test")) {
        struct sockaddr odd = {.sa_family = AF_UNIX};
        *list = one_more(NULL, &odd, sizeof odd);
        return 0;
    }
    if (!strcmp(name, "many.test")) {
        *list = add_v6(add_v4(add_v4(add_v6(NULL, "2001:db8::1", 0), "192.0.2.1"), "192.0.2.1"), "fe80::1", 3);
        return 0;
    }
    if (family != AF_INET6) *list = add_v4(*list, "192.0.2.1");
    if (family != AF_INET) *list = add_v6(*list, "2001:db8::1", 0);
    return 0;
}

void freeaddrinfo(struct addrinfo *list) {
    for (struct addrinfo *next; list; list = next) {
        next = list->ai_next;
        free(list);
    }
}

/* Notes "name=192.0.2.1,2001:db8::1", or the failure. */
static void *note_addresses(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    char text[256] = "";
    if (failure) return note_end(deferred, value, failure, user_data);
    for (size_t i = 0; i < lariat_addresses_count(value); i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "," : "", lariat_addresses_text(value, i));
    note("%s=%s", (char *)user_data, text);
    return NULL;
}

static lariat_deferred *resolve(lariat_reactor *reactor, const char *name) {
    lariat_deferred *deferred = lariat_reactor_resolve(reactor, name, LARIAT_FAMILY_ANY, INFINITY);
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, note_addresses, (void *)(uintptr_t)name));
    return deferred;
}

static void note_resolved(lariat_reactor *reactor, const char *name) { CHECK_OK(lariat_deferred_release(resolve(reactor, name))); }

static void cancel(lariat_deferred *deferred) {
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_OK(lariat_deferred_release(deferred));
}

static lariat_reactor *patient_reactor(void) {
    lariat_reactor_options options = reactor_options();
    options.shutdown_seconds = 1e6; /* to wait for it would be seen */
    return reactor_with(options);
}

/* ---- answers ---- */

TEST(s29_thread_answers_of_the_system) {
    lariat_reactor *reactor = real_reactor();
    static const char *const names[] = {"many.test", "some.test"};
    for (int i = 0; i < 2; i++) {
        note_resolved(reactor, names[i]);
        CHECK_OK(lariat_reactor_run_until_idle(reactor));
    }
    CHECK_NOTES("many.test=2001:db8::1,192.0.2.1,fe80::1%3 some.test=192.0.2.1,2001:db8::1");
    lariat_deferred *v6 = lariat_reactor_resolve(reactor, "some.test", LARIAT_FAMILY_IPV6, 0);
    CHECK_OK(lariat_deferred_add_both(v6, note_addresses, "v6"));
    CHECK_OK(lariat_deferred_release(v6));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("v6=2001:db8::1");
    CHECK_INT(atomic_load(&signals_open), 0);
    reactor_done(reactor);
}

static int32_t os_error;
static char message[256];

static void *keep_failure_in_words(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    os_error = lariat_failure_os_error(failure);
    snprintf(message, sizeof message, "%s", lariat_failure_message(failure));
    return note_failure(deferred, failure, user_data);
}

TEST(s29_thread_the_system_finds_nothing) {
    static const struct { const char *name, *note; int32_t os_error; } cases[] = {
        {"again.test", "again.test!LOOKUP_FAILED", 0},
        {"memory.test", "memory.test!LOOKUP_FAILED", 0},
        {"system.test", "system.test!LOOKUP_FAILED", EACCES},
        {"nobody.test", "nobody.test!NAME_NOT_FOUND", 0},
        {"empty.test", "empty.test!NAME_NOT_FOUND", 0},
        {"odd.test", "odd.test!NAME_NOT_FOUND", 0},
    };
    lariat_reactor *reactor = real_reactor();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char start[64];
        lariat_deferred *deferred = lariat_reactor_resolve(reactor, cases[i].name, LARIAT_FAMILY_ANY, 0);
        CHECK_OK(lariat_deferred_add_errback(deferred, keep_failure_in_words, (void *)(uintptr_t)cases[i].name));
        CHECK_OK(lariat_deferred_release(deferred));
        CHECK_OK(lariat_reactor_run_until_idle(reactor));
        CHECK_NOTES(cases[i].note);
        CHECK_INT(os_error, cases[i].os_error);
        snprintf(start, sizeof start, "looking up %s: ", cases[i].name);
        CHECK_INT(strncmp(message, start, strlen(start)), 0);
        CHECK(strlen(message) > strlen(start));
    }
    reactor_done(reactor);
}

/* ---- hanging ---- */

TEST(f36_thread_the_reactor_is_freed_with_a_look_up_that_hangs) {
    lariat_reactor *reactor = patient_reactor();
    note_resolved(reactor, "hang.test");
    TURN_UNTIL(reactor, atomic_load(&hangs) == 1);
    free_reactor(reactor);
    CHECK_NOTES("hang.test!CANCELLED");
    gate_open(&hanging); /* the thread has nobody to tell */
}

TEST(f36_thread_names_that_hang_hold_up_neither_others_nor_the_pool) {
    static const char *const names[] = {"hang1.test", "hang2.test", "hang3.test", "hang4.test", "hang5.test", "hang6.test", "hang7.test"};
    enum { NAMES = sizeof names / sizeof *names };
    lariat_deferred *deferreds[NAMES];
    lariat_reactor_options options = reactor_options();
    options.thread_pool_size = 1;
    options.shutdown_seconds = 1e6;
    lariat_reactor *reactor = reactor_with(options);
    for (int i = 0; i < NAMES; i++) deferreds[i] = resolve(reactor, names[i]);
    TURN_UNTIL(reactor, atomic_load(&hangs) == NAMES);
    note_resolved(reactor, "some.test");
    TURN_UNTIL(reactor, noted("some.test"));
    CHECK_NOTES("some.test=192.0.2.1,2001:db8::1");
    CHECK_OK(lariat_reactor_call_in_thread(reactor, count_call, &(long){0}));
    TURN_UNTIL(reactor, reactor_stats(reactor).jobs == 0);
    for (int i = 0; i < NAMES; i++) {
        cancel(deferreds[i]);
        CHECK(noted("CANCELLED")); /* at once */
        notes_clear();
    }
    CHECK_OK(lariat_reactor_run_until_idle(reactor)); /* which waits no more for them */
    reactor_done(reactor);
    gate_open(&hanging);
}

TEST(f36_thread_names_wait_for_a_thread) {
    static const char *const names[] = {"hang1.test", "hang2.test", "hang3.test", "hang4.test", "hang5.test", "hang6.test", "hang7.test",
                                        "hang8.test"};
    lariat_reactor *reactor = real_reactor();
    for (int i = 0; i < 8; i++) note_resolved(reactor, names[i]);
    TURN_UNTIL(reactor, atomic_load(&hangs) == 8);
    lariat_deferred *waits = resolve(reactor, "many.test"), *given_up = resolve(reactor, "some.test");
    turns(reactor, 3);
    CHECK_NOTES("");
    cancel(given_up); /* before its turn has come: it is never asked for */
    CHECK_NOTES("some.test!CANCELLED");
    CHECK_OK(lariat_deferred_release(waits));
    gate_open(&hanging);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_INT(atomic_load(&asked), 9);
    for (int i = 0; i < 8; i++) CHECK(noted(names[i]));
    CHECK(noted("many.test=2001:db8::1,192.0.2.1,fe80::1%3"));
    notes_clear();
    reactor_done(reactor);
}

TEST(f36_thread_the_reactor_is_freed_with_names_that_wait_for_a_thread) {
    lariat_reactor *reactor = patient_reactor();
    static char names[20][16];
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "hang%d.test", i);
        note_resolved(reactor, names[i]);
    }
    TURN_UNTIL(reactor, atomic_load(&hangs) == 8);
    free_reactor(reactor);
    CHECK_INT(atomic_load(&asked), 8);
    for (int i = 0; i < 20; i++) CHECK(noted(names[i]));
    notes_clear();
    gate_open(&hanging);
}

/* However often a name is asked for, it takes one thread; also when nobody waits for it any more. */
TEST(f36_thread_a_name_that_hangs_takes_one_thread) {
    lariat_reactor *reactor = real_reactor();
    for (int i = 0; i < 20; i++) cancel(resolve(reactor, "hang.test"));
    notes_clear();
    for (int i = 0; i < 3; i++) note_resolved(reactor, "hang.test");
    TURN_UNTIL(reactor, atomic_load(&hangs) == 1);
    for (int i = 0; i < 20; i++) cancel(resolve(reactor, "hang.test"));
    notes_clear();
    note_resolved(reactor, "some.test");
    TURN_UNTIL(reactor, noted("some.test"));
    CHECK_INT(atomic_load(&hangs), 1);
    notes_clear();
    gate_open(&hanging);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    const char *one = "hang.test=192.0.2.1,2001:db8::1";
    char thrice[128];
    snprintf(thrice, sizeof thrice, "%s %s %s", one, one, one);
    CHECK_NOTES(thrice);
    reactor_done(reactor);
}

TEST(f36_thread_a_look_up_that_hangs_takes_too_long) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_reactor_resolve(reactor, "hang.test", LARIAT_FAMILY_ANY, 0);
    CHECK_OK(lariat_deferred_add_errback(deferred, keep_failure_in_words, "late"));
    CHECK_OK(lariat_deferred_release(deferred));
    TURN_UNTIL(reactor, atomic_load(&hangs) == 1);
    advance(reactor, 59);
    CHECK_NOTES("");
    advance(reactor, 1);
    CHECK_NOTES("late!TIMED_OUT");
    CHECK_STR(message, "looking up hang.test: no answer within 60 s");
    gate_open(&hanging); /* what comes now is dropped */
    reactor_done(reactor);
}

static void *fired_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)value;
    ++*(int *)user_data;
    return NULL;
}

static void *fired_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)failure;
    return fired_value(deferred, NULL, user_data);
}

/* Answers come while the reactor is freed: each Deferred fires once. */
TEST(f36_thread_answers_against_free) {
    gate_open(&hanging);
    for (size_t round = 0; round < many(200); round++) {
        lariat_reactor *reactor = patient_reactor();
        int ends[4] = {0};
        static const char *const names[] = {"hang1.test", "hang2.test", "some.test", "nobody.test"};
        for (int i = 0; i < 4; i++) {
            lariat_deferred *deferred = lariat_reactor_resolve(reactor, names[i], LARIAT_FAMILY_ANY, 0);
            CHECK_OK(lariat_deferred_add_callbacks(deferred, fired_value, fired_failure, &ends[i]));
            CHECK_OK(lariat_deferred_release(deferred));
        }
        if (round % 2) turn(reactor);
        free_reactor(reactor);
        for (int i = 0; i < 4; i++) CHECK_INT(ends[i], 1);
    }
}
#endif
