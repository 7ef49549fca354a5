/* Callbacks that most cases share; part of harness.h.
 *
 * Those that note have a string or a token as user_data, and take values to be strings or tokens too. A value shows as itself, NULL
 * as "-"; a failure of lariat's by its constant without LARIAT_ERR_, one of the program's by its number. With user_data "a":
 *     a    a=value    a!CANCELLED    a!7 */
#ifndef LARIAT_TESTS_CALLBACKS_H
#define LARIAT_TESTS_CALLBACKS_H

static inline const char *test_text(const void *value) { return value ? value : "-"; }

static inline const char *failure_label(const lariat_failure *failure) {
    static char label[48];
    int32_t code = lariat_failure_code(failure);
    const char *name = lariat_status_name(code), *prefix = "LARIAT_ERR_";
    if (code > 0) snprintf(label, sizeof label, "%d", (int)code);
    else snprintf(label, sizeof label, "%s", strncmp(name, prefix, strlen(prefix)) ? name : name + strlen(prefix));
    return label;
}

static inline void note_call(void *user_data) { note("%s", test_text(user_data)); }

/* Passes the value on. */
static inline void *note_value(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    note("%s=%s", (char *)user_data, test_text(value));
    return value;
}

/* Handles the failure: the next result is NULL. */
static inline void *note_failure(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    note("%s!%s", (char *)user_data, failure_label(failure));
    return NULL;
}

/* Passes either on. */
static inline void *note_both(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    if (failure) {
        note("%s!%s", (char *)user_data, failure_label(failure));
        return lariat_deferred_refail(deferred);
    }
    return note_value(deferred, value, user_data);
}

/* The end of a chain: notes either, and the failure is handled. */
static inline void *note_end(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    return failure ? note_failure(deferred, failure, user_data) : note_value(deferred, value, user_data);
}

/* Nothing more is added by us: note how it ends, and let go. */
static inline void end_with_note(lariat_deferred *deferred, const char *name) {
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, note_end, (void *)(uintptr_t)name));
    CHECK_OK(lariat_deferred_release(deferred));
}

/* ---- callbacks that do one thing ---- */

/* user_data is the Deferred to wait for. */
static inline void *wait_for_it(lariat_deferred *deferred, void *value, void *other) {
    (void)value;
    return lariat_deferred_wait_for(deferred, other);
}

static inline void *errback_waits_for_it(lariat_deferred *deferred, const lariat_failure *failure, void *other) {
    note("!%s", failure_label(failure));
    return lariat_deferred_wait_for(deferred, other);
}

static inline void *fail_7(lariat_deferred *deferred, void *value, void *user_data) {
    (void)value;
    if (user_data) note("%s:fails", (char *)user_data);
    return lariat_deferred_fail(deferred, 7, "seven");
}

static inline void *refail(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    note("%s!%s", (char *)user_data, failure_label(failure));
    return lariat_deferred_refail(deferred);
}

/* Handles the failure; user_data is the new value. */
static inline void *recover(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    note("recover!%s", failure_label(failure));
    return user_data;
}

static inline void *replace(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)value;
    return user_data;
}

/* ---- cancellers ---- */

static inline void cancel_noted(lariat_deferred *deferred, void *user_data) {
    (void)deferred;
    note("cancel:%s", (char *)user_data);
}

static inline void cancel_gives_saved(lariat_deferred *deferred, void *user_data) {
    note("cancel:%s", (char *)user_data);
    CHECK_OK(lariat_deferred_callback(deferred, "saved"));
}

static inline void cancel_fails_7(lariat_deferred *deferred, void *user_data) {
    note("cancel:%s", (char *)user_data);
    CHECK_OK(lariat_deferred_errback(deferred, 7, "seven"));
}

static inline void cancel_abandons(lariat_deferred *deferred, void *user_data) {
    note("cancel:%s", (char *)user_data);
    CHECK_OK(lariat_deferred_abandon(deferred));
}

static inline void cancel_again(lariat_deferred *deferred, void *user_data) {
    note("cancel:%s", (char *)user_data);
    CHECK_OK(lariat_deferred_cancel(deferred));
}

/* What it has now: a value, a failure's label, or "none". */
static inline const char *result_of(lariat_deferred *deferred) {
    void *value = NULL;
    const lariat_failure *failure = NULL;
    lariat_status status = lariat_deferred_result(deferred, &value, &failure);
    if (status == LARIAT_ERR_NOT_CALLED) return "none";
    CHECK_OK(status);
    return failure ? failure_label(failure) : test_text(value);
}
#endif
