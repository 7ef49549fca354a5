/* Names and their addresses (SEMANTICS 28, 29): what needs no look-up, the system's answers, the host's own resolver, cancelling and the
 * time-out. What needs a network is not tested: `something.invalid` has no address with or without one. How look-ups that hang are
 * kept apart is in failures_names.c. */
#include "harness.h"

/* "192.0.2.1,2001:db8::1" of addresses that are there. */
static const char *texts_of(const lariat_addresses *addresses) {
    static char text[1024];
    text[0] = 0;
    for (size_t i = 0; i < lariat_addresses_count(addresses); i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "," : "", lariat_addresses_text(addresses, i));
    return text;
}

/* Notes "name=192.0.2.1,2001:db8::1" or "name!NAME_NOT_FOUND"; a failure's message names what was looked up. */
static void *note_addresses(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    if (!failure) {
        CHECK(lariat_addresses_count(value) > 0);
        note("%s=%s", (char *)user_data, texts_of(value));
        return NULL;
    }
    return note_end(deferred, value, failure, user_data);
}

/* user_data is what the message must be. */
static void *check_message(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    CHECK_STR(lariat_failure_message(failure), (const char *)user_data);
    return lariat_deferred_refail(deferred);
}

static lariat_deferred *resolve(lariat_reactor *reactor, const char *name) {
    lariat_deferred *deferred = lariat_reactor_resolve(reactor, name, LARIAT_FAMILY_ANY, 0);
    CHECK(deferred != NULL);
    return deferred;
}

static void end_with_addresses(lariat_deferred *deferred, const char *name) {
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_add_both(deferred, note_addresses, (void *)(uintptr_t)name));
    CHECK_OK(lariat_deferred_release(deferred));
}

static void note_resolved(lariat_reactor *reactor, const char *name) { end_with_addresses(resolve(reactor, name), name); }

/* Notes which message a failure must have, too. */
static void note_refused(lariat_reactor *reactor, const char *name, const char *message) {
    lariat_deferred *deferred = resolve(reactor, name);
    CHECK_OK(lariat_deferred_add_errback(deferred, check_message, (void *)(uintptr_t)message));
    end_with_addresses(deferred, name);
}

/* ---- addresses ---- */

TEST(s29_an_address_needs_no_look_up) {
    lariat_reactor *reactor = manual_reactor();
    note_resolved(reactor, "192.0.2.1");
    note_resolved(reactor, "2001:db8:0::1");
    note_resolved(reactor, "fe80::1%7");
    CHECK_NOTES("192.0.2.1=192.0.2.1 2001:db8:0::1=2001:db8::1 fe80::1%7=fe80::1%7");
    reactor_done(reactor);
}

TEST(s29_addresses_are_asked_one_by_one) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_reactor_resolve(reactor, "2001:db8::1", LARIAT_FAMILY_IPV6, 0);
    lariat_addresses *addresses = lariat_deferred_take(deferred);
    CHECK_INT(lariat_addresses_count(addresses), 1);
    CHECK_STR(lariat_addresses_text(addresses, 0), "2001:db8::1");
    CHECK_INT(lariat_addresses_family(addresses, 0), LARIAT_FAMILY_IPV6);
    CHECK_NULL(lariat_addresses_text(addresses, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_addresses_family(addresses, SIZE_MAX), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_addresses_add(addresses, "192.0.2.1"), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(lariat_addresses_count(addresses), 1); /* taken: they outlive their Deferred */
    CHECK_INT(reactor_stats(reactor).addresses, 1);
    CHECK_OK(lariat_addresses_free(addresses));
    CHECK_STATUS(lariat_addresses_free(addresses), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(lariat_addresses_count(addresses), 0);
    CHECK_NULL(lariat_addresses_text(addresses, 0), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(s29_addresses_that_nobody_takes_go_with_their_deferred) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = resolve(reactor, "192.0.2.1");
    void *value = NULL;
    CHECK_OK(lariat_deferred_result(deferred, &value, NULL));
    CHECK_INT(lariat_addresses_count(value), 1);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_INT(lariat_addresses_count(value), 0);
    CHECK_STATUS(lariat_last_error(), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(s29_an_address_of_another_family_is_not_found) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *deferred = lariat_reactor_resolve(reactor, "192.0.2.1", LARIAT_FAMILY_IPV6, 0);
    CHECK_OK(lariat_deferred_add_errback(deferred, check_message, "looking up 192.0.2.1: it has no IPv6 address"));
    end_with_addresses(deferred, "v4");
    CHECK_NOTES(""); /* not from inside the call */
    turn(reactor);
    CHECK_NOTES("v4!NAME_NOT_FOUND");
    reactor_done(reactor);
}

TEST(s29_bad_arguments_of_resolve) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_NULL(lariat_reactor_resolve(reactor, NULL, 0, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_resolve(reactor, "", 0, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_resolve(reactor, "\xff", 0, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_resolve(reactor, "x", 5, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_resolve(reactor, "x", 0, -1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_resolve(reactor, "x", 0, NAN), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_resolve_by_system(reactor, NULL, 0, 0), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

/* ---- the system ---- */

/* Each is a loopback address. */
static void *check_loopback(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    for (size_t i = 0; i < lariat_addresses_count(value); i++) {
        int v4 = lariat_addresses_family(value, i) == LARIAT_FAMILY_IPV4;
        CHECK_INT(strncmp(lariat_addresses_text(value, i), v4 ? "127." : "::1", v4 ? 4 : 4), 0);
    }
    CHECK(lariat_addresses_count(value) > 0);
    note("%s", (char *)user_data);
    return NULL;
}

TEST(s29_thread_localhost_is_this_host) {
    lariat_reactor *reactor = real_reactor();
    for (int i = 0; i < 2; i++) {
        lariat_deferred *deferred = i ? lariat_reactor_resolve(reactor, "localhost", LARIAT_FAMILY_IPV4, INFINITY) : resolve(reactor, "localhost");
        CHECK_OK(lariat_deferred_add_callback(deferred, check_loopback, "local"));
        end_with_note(deferred, "end");
    }
    CHECK_INT(reactor_stats(reactor).look_ups, 2);
    CHECK_NOTES("");
    CHECK_OK(lariat_reactor_run_until_idle(reactor)); /* which is when they have their answers, also the one without a timer */
    CHECK_NOTES("local end=- local end=-");
    CHECK_INT(reactor_stats(reactor).threads, 0); /* the pool has nothing to do with it */
    reactor_done(reactor);
}

static void *check_unknown(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    CHECK_EITHER(lariat_failure_code(failure), LARIAT_ERR_NAME_NOT_FOUND, LARIAT_ERR_LOOKUP_FAILED); /* the latter without a network */
    CHECK(strstr(lariat_failure_message(failure), "looking up something.invalid: ") == lariat_failure_message(failure));
    note("%s", (char *)user_data);
    return NULL;
}

TEST(s29_thread_a_name_that_nobody_has) {
    lariat_reactor *reactor = real_reactor();
    for (int i = 0; i < 3; i++) { /* asked once, answered thrice */
        lariat_deferred *deferred = resolve(reactor, "something.invalid");
        CHECK_OK(lariat_deferred_add_errback(deferred, check_unknown, "unknown"));
        end_with_note(deferred, "end");
    }
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("unknown end=- unknown end=- unknown end=-");
    reactor_done(reactor);
}

TEST(s29_a_simulated_reactor_does_not_ask_the_system) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "here");
    note_resolved(reactor, "something.invalid");
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("something.invalid!NAME_NOT_FOUND");
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

/* ---- the host's resolver ---- */

/* Knows two names and passes on none. */
static lariat_deferred *two_names(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)reactor;
    note("%s:%s:%d", (char *)user_data, name, (int)family);
    if (!strcmp(name, "one.test")) CHECK_OK(lariat_addresses_add(answer, "192.0.2.1"));
    if (!strcmp(name, "two.test")) {
        CHECK_OK(lariat_addresses_add(answer, "2001:db8::1"));
        CHECK_OK(lariat_addresses_add(answer, "192.0.2.2"));
        CHECK_OK(lariat_addresses_add(answer, "2001:db8:0::1"));
        CHECK_INT(lariat_addresses_count(answer), 3);
    }
    CHECK_STATUS(lariat_addresses_add(answer, "192.0.2"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_addresses_add(answer, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    return NULL;
}

TEST(s29_the_hosts_resolver_answers_at_once) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, two_names, "ask"));
    note_resolved(reactor, "one.test");
    CHECK_NOTES("ask:one.test:0"); /* and the Deferred fires on the loop */
    turn(reactor);
    CHECK_NOTES("one.test=192.0.2.1");
    note_resolved(reactor, "two.test");
    end_with_addresses(lariat_reactor_resolve(reactor, "two.test", LARIAT_FAMILY_IPV4, 0), "v4");
    end_with_addresses(lariat_reactor_resolve(reactor, "one.test", LARIAT_FAMILY_IPV6, 0), "v6");
    CHECK_NOTES("ask:two.test:0 ask:two.test:4 ask:one.test:6");
    turn(reactor);
    CHECK_NOTES("two.test=2001:db8::1,192.0.2.2 v4=192.0.2.2 v6!NAME_NOT_FOUND"); /* each once, and of the family alone */
    note_refused(reactor, "three.test", "looking up three.test: it has no address");
    turn(reactor);
    CHECK_NOTES("ask:three.test:0 three.test!NAME_NOT_FOUND");
    note_resolved(reactor, "192.0.2.9"); /* is not asked for */
    CHECK_NOTES("192.0.2.9=192.0.2.9");
    reactor_done(reactor);
}

/* What a look-up waits for, and what it is to fill in. */
static struct {
    lariat_deferred *deferred;
    lariat_addresses *answer;
} asked;

static lariat_deferred *later(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)name, (void)family;
    asked.answer = answer;
    asked.deferred = lariat_deferred_new_with_canceller(reactor, cancel_abandons, user_data);
    return asked.deferred;
}

TEST(s29_the_hosts_resolver_answers_later) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, later, "ask"));
    note_resolved(reactor, "slow.test");
    CHECK_INT(reactor_stats(reactor).look_ups, 1);
    CHECK_OK(lariat_addresses_add(asked.answer, "192.0.2.1"));
    turn(reactor);
    CHECK_NOTES("");
    CHECK_OK(lariat_addresses_add(asked.answer, "192.0.2.2"));
    CHECK_OK(lariat_deferred_callback(asked.deferred, NULL));
    CHECK_NOTES(""); /* on the loop */
    turn(reactor);
    CHECK_NOTES("slow.test=192.0.2.1,192.0.2.2");
    CHECK_STATUS(lariat_addresses_add(asked.answer, "192.0.2.3"), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(s29_the_hosts_resolver_fails) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, later, "ask"));
    note_refused(reactor, "bad.test", "looking up bad.test: the server is down");
    CHECK_OK(lariat_deferred_errback(asked.deferred, 7, "the server is down"));
    turn(reactor);
    CHECK_NOTES("bad.test!7");
    note_refused(reactor, "gone.test", "looking up gone.test: abandoned by its worker before it fired");
    CHECK_OK(lariat_deferred_abandon(asked.deferred));
    turn(reactor);
    CHECK_NOTES("gone.test!ABANDONED");
    reactor_done(reactor);
}

/* Passes everything on to the system. */
static lariat_deferred *pass_on(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)answer;
    note("%s:%s", (char *)user_data, name);
    return lariat_reactor_resolve_by_system(reactor, name, family, 0);
}

TEST(s29_thread_the_hosts_resolver_passes_on) {
    lariat_reactor *reactor = real_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, pass_on, "pass"));
    lariat_deferred *deferred = resolve(reactor, "localhost");
    CHECK_OK(lariat_deferred_add_callback(deferred, check_loopback, "local"));
    end_with_note(deferred, "end");
    CHECK_INT(reactor_stats(reactor).look_ups, 2);
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_NOTES("pass:localhost local end=-");
    reactor_done(reactor);
}

/* user_data is what it returns. */
static lariat_deferred *gives(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)reactor, (void)name, (void)family;
    CHECK_OK(lariat_addresses_add(answer, "192.0.2.1"));
    return user_data;
}

TEST(s29_what_the_hosts_resolver_returns_may_be_anything) {
    static int not_a_handle;
    lariat_reactor *reactor = manual_reactor(), *other = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, gives, &not_a_handle));
    note_resolved(reactor, "garbage.test");
    lariat_deferred *of_other = lariat_deferred_new(other);
    CHECK_OK(lariat_reactor_set_resolver(reactor, gives, of_other));
    note_resolved(reactor, "other.test");
    turn(reactor);
    CHECK_NOTES("garbage.test!INVALID_HANDLE other.test!WRONG_REACTOR");
    CHECK_OK(lariat_deferred_abandon(of_other));
    notes_clear();
    CHECK_OK(lariat_deferred_add_both(of_other, note_end, "other"));
    CHECK_OK(lariat_deferred_release(of_other));
    CHECK_NOTES("other!ABANDONED"); /* it was not taken */
    /* A Deferred that has fired, with what is no lariat_addresses. */
    CHECK_OK(lariat_reactor_set_resolver(reactor, gives, lariat_deferred_new_succeeded(reactor, &not_a_handle)));
    note_resolved(reactor, "fired.test");
    CHECK_NOTES("");
    turn(reactor);
    CHECK_NOTES("fired.test=192.0.2.1");
    reactor_done(reactor);
    reactor_done(other);
}

TEST(s29_a_resolver_is_replaced_and_its_data_freed_once) {
    lariat_reactor *reactor = manual_reactor();
    token *first = token_new("first"), *second = token_new("second"), *none = token_new("none");
    CHECK_OK(lariat_reactor_set_resolver_full(reactor, two_names, first, token_free));
    CHECK_OK(lariat_reactor_set_resolver_full(reactor, two_names, second, token_free));
    CHECK(!token_alive(first) && token_alive(second));
    note_resolved(reactor, "one.test");
    turn(reactor);
    CHECK_NOTES("second:one.test:0 one.test=192.0.2.1");
    CHECK_OK(lariat_reactor_set_resolver_full(reactor, NULL, none, token_free));
    CHECK(!token_alive(second) && !token_alive(none));
    token *last = token_new("last");
    CHECK_OK(lariat_reactor_set_resolver_full(reactor, two_names, last, token_free));
    free_reactor(reactor);
    CHECK(!token_alive(last));
}

/* Sets another one from inside itself: its data lives until it returns. */
static lariat_deferred *replaces_itself(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)name, (void)family;
    CHECK_OK(lariat_reactor_set_resolver(reactor, two_names, "next"));
    CHECK(token_alive(user_data));
    CHECK_OK(lariat_addresses_add(answer, "192.0.2.7"));
    return NULL;
}

TEST(s29_a_resolver_that_replaces_itself) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("data");
    CHECK_OK(lariat_reactor_set_resolver_full(reactor, replaces_itself, data, token_free));
    note_resolved(reactor, "first.test");
    CHECK(!token_alive(data));
    note_resolved(reactor, "one.test");
    turn(reactor);
    CHECK_NOTES("next:one.test:0 first.test=192.0.2.7 one.test=192.0.2.1");
    reactor_done(reactor);
}

/* Looks up what it is asked for by itself. */
static lariat_deferred *asks_itself(lariat_reactor *reactor, const char *name, int32_t family, lariat_addresses *answer, void *user_data) {
    (void)answer;
    ++*(int *)user_data;
    lariat_deferred *deferred = lariat_reactor_resolve(reactor, name, family, 0);
    if (!deferred) {
        CHECK_STATUS(lariat_last_error(), LARIAT_ERR_REENTRANT);
        return lariat_deferred_new_failed(reactor, 7, "asked itself");
    }
    return deferred;
}

TEST(s29_a_resolver_that_asks_itself) {
    int depth = 0;
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, asks_itself, &depth));
    note_resolved(reactor, "deep.test");
    CHECK(depth > 1 && depth < 100);
    turns(reactor, depth + 1);
    CHECK_NOTES("deep.test!7");
    reactor_done(reactor);
}

TEST(s29_a_resolver_ends_with_its_scope) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    token *data = token_new("plugin");
    CHECK_OK(lariat_scope_enter(scope));
    CHECK_OK(lariat_reactor_set_resolver_full(reactor, later, data, token_free));
    CHECK_OK(lariat_scope_leave(scope));
    note_resolved(reactor, "slow.test");
    CHECK_OK(lariat_scope_end(scope));
    CHECK(!token_alive(data));
    CHECK_NOTES("cancel:plugin"); /* what it had begun was its own */
    turn(reactor);
    CHECK_NOTES("slow.test!CANCELLED");
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

/* ---- cancelling and waiting ---- */

TEST(s29_a_look_up_is_cancelled) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, later, "host"));
    lariat_deferred *deferred = resolve(reactor, "slow.test");
    CHECK_OK(lariat_deferred_add_both(deferred, note_addresses, "slow"));
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_NOTES("cancel:host slow!CANCELLED");
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_STATUS(lariat_addresses_add(asked.answer, "192.0.2.1"), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_deferred_callback(asked.deferred, NULL), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
}

TEST(s29_a_look_up_is_cancelled_when_its_answer_is_on_its_way) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, two_names, "ask"));
    lariat_deferred *deferred = resolve(reactor, "one.test");
    CHECK_OK(lariat_deferred_add_both(deferred, note_addresses, "one"));
    CHECK_OK(lariat_deferred_cancel(deferred));
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_NOTES("ask:one.test:0 one!CANCELLED");
    turn(reactor);
    reactor_done(reactor);
}

TEST(s29_a_look_up_ends_with_its_scope) {
    lariat_reactor *reactor = manual_reactor();
    lariat_scope *scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_reactor_set_resolver(reactor, later, "host"));
    CHECK_OK(lariat_scope_enter(scope));
    note_resolved(reactor, "slow.test");
    CHECK_OK(lariat_scope_leave(scope));
    CHECK_OK(lariat_scope_end(scope));
    CHECK(noted("cancel:host") && noted("slow.test!CANCELLED"));
    notes_clear();
    CHECK_INT(reactor_stats(reactor).look_ups, 0);
    CHECK_OK(lariat_scope_free(scope));
    reactor_done(reactor);
}

TEST(s29_a_look_up_that_takes_too_long) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver(reactor, later, "host"));
    note_refused(reactor, "slow.test", "looking up slow.test: no answer within 60 s");
    advance(reactor, 59.9);
    CHECK_NOTES("");
    advance(reactor, 0.1);
    CHECK_NOTES("cancel:host slow.test!TIMED_OUT");
    end_with_addresses(lariat_reactor_resolve(reactor, "quick.test", LARIAT_FAMILY_ANY, 0.5), "quick");
    advance(reactor, 0.4);
    CHECK_NOTES("");
    advance(reactor, 0.1);
    CHECK_NOTES("cancel:host quick!TIMED_OUT");
    end_with_addresses(lariat_reactor_resolve(reactor, "patient.test", LARIAT_FAMILY_ANY, INFINITY), "patient");
    advance(reactor, 1e9);
    CHECK_NOTES("");
    CHECK_OK(lariat_addresses_add(asked.answer, "192.0.2.1"));
    CHECK_OK(lariat_deferred_callback(asked.deferred, NULL));
    turn(reactor);
    CHECK_NOTES("patient=192.0.2.1");
    reactor_done(reactor);
}

TEST(s29_a_look_up_of_a_simulated_reactor_by_the_host) {
    lariat_simulation *simulation = lariat_simulation_new(1);
    lariat_reactor *reactor = simulated_reactor(simulation, "here");
    CHECK_OK(lariat_reactor_set_resolver(reactor, later, "host"));
    note_resolved(reactor, "slow.test");
    CHECK_OK(lariat_reactor_run_until_idle(reactor)); /* nothing else happens: the clock jumps */
    CHECK_NOTES("cancel:host slow.test!TIMED_OUT");
    CHECK_NEAR(lariat_reactor_seconds(reactor), 60);
    reactor_done(reactor);
    CHECK_OK(lariat_simulation_free(simulation));
}

TEST(f12_the_reactor_is_freed_with_a_look_up_of_the_host) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_set_resolver_full(reactor, later, token_new("host"), token_free));
    note_resolved(reactor, "slow.test");
    free_reactor(reactor);
    CHECK(noted("cancel:host") && noted("slow.test!CANCELLED"));
    notes_clear();
}
