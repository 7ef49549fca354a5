/* What the tests of streams share on every system: a protocol that records what it is told, a server of such, and turning until
 * something has come true. Nothing here blocks. */
#ifndef LARIAT_TESTS_SIDES_H
#define LARIAT_TESTS_SIDES_H
#include "harness.h"
#include <sched.h>
#include <time.h>

/* wine is no Windows where a connection is reset or a datagram refused: what polls a socket takes the error away, so that no call on the
 * socket finds it, and a datagram socket is not polled again after it. */
#ifdef _WIN32
/* windows.h makes macros of too many names. */
__declspec(dllimport) void *__stdcall GetModuleHandleA(const char *name);
__declspec(dllimport) void *__stdcall GetProcAddress(void *module, const char *name);
static inline int under_wine(void) { return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL; }
#else
static inline int under_wine(void) { return 0; }
#endif

/* ---- turning until it is so ---------------------------------------------------------------------------------------------------- */

static inline double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A case may take this long for a single thing to happen. */
static inline double patience(void) {
    const char *seconds = getenv("LARIAT_TEST_SECONDS");
    return seconds ? atof(seconds) / 2 : 10;
}

static inline void test_turn_for(const char *file, int line, const char *what, lariat_reactor *reactor, double deadline) {
    lariat_status status = lariat_reactor_iterate(reactor, 0.001);
    if (status != LARIAT_OK) test_check_status(file, line, "lariat_reactor_iterate", status, LARIAT_OK);
    if (seconds_now() > deadline) test_fail(file, line, "waited in vain for: %s; notes: \"%s\"", what, test_notes.text);
    sched_yield();
}

/* What the condition does to a raw socket happens between the turns. */
#define until(reactor, condition)                                                                      \
    do {                                                                                               \
        double test_deadline = seconds_now() + patience();                                             \
        while (!(condition)) test_turn_for(__FILE__, __LINE__, #condition, reactor, test_deadline);   \
    } while (0)

/* ---- bytes that tell where they belong ------------------------------------------------------------------------------------------ */

static inline uint8_t pattern_at(size_t place, unsigned seed) {
    return (uint8_t)((place * 2654435761u >> 11) ^ (place >> 3) ^ seed * 37u);
}

static inline uint8_t *pattern_new(size_t length, unsigned seed) {
    uint8_t *bytes = malloc(length ? length : 1);
    for (size_t i = 0; i < length; i++) bytes[i] = pattern_at(i, seed);
    return bytes;
}

static inline void test_check_pattern(const char *file, int line, const uint8_t *bytes, size_t length, unsigned seed) {
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != pattern_at(i, seed)) test_fail(file, line, "byte %lu of %lu is another", (unsigned long)i, (unsigned long)length);
}
#define CHECK_PATTERN(bytes, length, seed) test_check_pattern(__FILE__, __LINE__, bytes, length, seed)

/* Bytes that grow. */
typedef struct bytes {
    uint8_t *data;
    size_t length, room;
} bytes;

static inline void bytes_add(bytes *all, const uint8_t *data, size_t length) {
    if (all->length + length + 1 > all->room) {
        all->room = (all->length + length + 1) * 2;
        all->data = realloc(all->data, all->room);
        CHECK(all->data != NULL);
    }
    if (length) memcpy(all->data + all->length, data, length);
    all->length += length;
    all->data[all->length] = 0;
}

static inline const char *bytes_text(const bytes *all) { return all->data ? (const char *)all->data : ""; }

static inline void bytes_free(bytes *all) {
    free(all->data);
    *all = (bytes){0};
}

/* ---- our side: what a connection's protocol is told --------------------------------------------------------------------------- */

typedef struct side side;
typedef void (*side_fn)(side *own);

struct side {
    const char *name;            /* notes are name:made, name=data, name:half-read, name:half-write, name!REASON, free:name */
    int is_noted;                /* whether there are any; data is noted if it is text */
    int echoes;                  /* writes back what comes */
    side_fn on_made, on_data, on_read_lost, on_write_lost, on_lost, on_free;
    lariat_transport *transport; /* NULL again when it is lost */
    lariat_reactor *reactor;     /* for the hooks, where a case sets it */
    void *more;
    bytes got;
    size_t last;                 /* how much came with the last call */
    size_t kept;                 /* what comes is counted but not kept if this is 1 */
    size_t came;
    int calls, made, lost, read_lost, write_lost, freed;
    int inside;                  /* a call that must not call back is being made */
    int32_t reason;
    int32_t os_error;
    char message[256];
};

static inline const char *reason_label(int32_t code) {
    static char label[48];
    const char *name = lariat_status_name(code);
    if (code > 0) snprintf(label, sizeof label, "%d", (int)code);
    else if (strncmp(name, "LARIAT_ERR_", 11) == 0) snprintf(label, sizeof label, "%s", name + 11);
    else snprintf(label, sizeof label, "%s", strncmp(name, "LARIAT_", 7) ? name : name + 7);
    return label;
}

static inline void side_made(lariat_transport *transport, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_INT(own->made++, 0);
    CHECK_INT(own->calls + own->lost + own->read_lost + own->write_lost, 0);
    CHECK_PTR(lariat_transport_self(transport), self);
    own->transport = transport;
    if (own->is_noted) note("%s:made", own->name);
    if (own->on_made) own->on_made(own);
}

static inline void side_data(lariat_transport *transport, const uint8_t *data, size_t length, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK(length > 0);
    CHECK_INT(own->made, 1);
    CHECK_INT(own->lost, 0);
    CHECK_INT(own->read_lost, 0);
    CHECK_PTR(transport, own->transport);
    own->calls++;
    own->came += length;
    own->last = length;
    if (!own->kept) bytes_add(&own->got, data, length);
    if (own->is_noted) note("%s=%.*s", own->name, (int)length, (const char *)data);
    if (own->echoes) CHECK_OK(lariat_transport_write(transport, data, length));
    if (own->on_data) own->on_data(own);
}

static inline void side_lost(lariat_transport *transport, const lariat_failure *reason, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_INT(own->made, 1);
    CHECK_INT(own->lost++, 0);
    CHECK_PTR(transport, own->transport);
    CHECK(reason != NULL);
    own->reason = lariat_failure_code(reason);
    own->os_error = lariat_failure_os_error(reason);
    snprintf(own->message, sizeof own->message, "%s", lariat_failure_message(reason));
    CHECK(own->reason != LARIAT_OK);
    /* It can do nothing any more, but its handle is good until the end of this. */
    CHECK_STATUS(lariat_transport_write(transport, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_lose_connection(transport), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_transport_abort_connection(transport), LARIAT_ERR_CLOSED);
    if (own->is_noted) note("%s!%s", own->name, reason_label(own->reason));
    if (own->on_lost) own->on_lost(own);
    own->transport = NULL;
}

static inline void side_read_lost(lariat_transport *transport, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_PTR(transport, own->transport);
    CHECK_INT(own->read_lost++, 0);
    CHECK_INT(own->lost, 0);
    if (own->is_noted) note("%s:half-read", own->name);
    if (own->on_read_lost) own->on_read_lost(own);
}

static inline void side_write_lost(lariat_transport *transport, void *self) {
    side *own = self;
    CHECK(!own->inside);
    CHECK_PTR(transport, own->transport);
    CHECK_INT(own->write_lost++, 0);
    CHECK_INT(own->lost, 0);
    if (own->is_noted) note("%s:half-write", own->name);
    if (own->on_write_lost) own->on_write_lost(own);
}

/* It may be part of something on the stack: only what it was given by the case itself is freed there. */
static inline void side_free(void *self) {
    side *own = self;
    CHECK_INT(own->freed++, 0);
    if (own->is_noted) note("free:%s", own->name);
    if (own->on_free) own->on_free(own);
}

enum { PLAIN, HALF };

static inline lariat_protocol side_protocol(int is_half) {
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.connection_made = side_made;
    protocol.data_received = side_data;
    protocol.connection_lost = side_lost;
    if (is_half) {
        protocol.read_connection_lost = side_read_lost;
        protocol.write_connection_lost = side_write_lost;
    }
    protocol.free_self = side_free;
    return protocol;
}

/* It was told of its end once, and self is freed. */
static inline void test_side_over(const char *file, int line, side *own, int32_t reason) {
    if (own->lost != 1) test_fail(file, line, "%s: connection_lost came %d times", own->name, own->lost);
    if (own->freed != 1) test_fail(file, line, "%s: self was freed %d times", own->name, own->freed);
    if (own->reason != reason)
        test_fail(file, line, "%s: the reason is %s (%s), must be %s", own->name, lariat_status_name(own->reason), own->message,
                  lariat_status_name(reason));
    bytes_free(&own->got);
}
#define side_over(own, reason) test_side_over(__FILE__, __LINE__, own, reason)

static inline void write_text(lariat_transport *transport, const char *text) {
    CHECK_OK(lariat_transport_write(transport, (const uint8_t *)text, strlen(text)));
}

/* ---- a server: each connection gets the next of its sides ----------------------------------------------------------------------- */

typedef struct server {
    side *sides;
    int room, count; /* of sides; how many were given out */
    lariat_status answer;
} server;

static inline lariat_status server_build(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    server *one = user_data;
    CHECK_PTR(lariat_transport_listener(transport), listener);
    if (one->answer != LARIAT_OK) return one->answer;
    if (one->count == one->room) test_fail(__FILE__, __LINE__, "more connections than sides");
    *self = &one->sides[one->count++];
    return LARIAT_OK;
}

static inline lariat_listener *test_listen(const char *file, int line, lariat_reactor *reactor, const char *endpoint, int is_half,
                                           server *one) {
    lariat_protocol protocol = side_protocol(is_half);
    lariat_listener *listener = lariat_reactor_listen(reactor, endpoint, &protocol, server_build, one);
    if (!listener) test_fail(file, line, "cannot listen at %s: %s", endpoint, lariat_last_error_message());
    memset(&protocol, 0x55, sizeof protocol); /* it was copied */
    return listener;
}
#define listen_at(reactor, endpoint, is_half, one) test_listen(__FILE__, __LINE__, reactor, endpoint, is_half, one)

static inline void stop_listening(lariat_reactor *reactor, lariat_listener *listener) {
    lariat_deferred *stopped = lariat_listener_stop(listener);
    CHECK(stopped != NULL);
    CHECK_OK(lariat_deferred_release(stopped));
    until(reactor, lariat_listener_port(listener) == LARIAT_ERR_STALE_HANDLE);
}
#endif
