/* System event triggers: SEMANTICS 21. */
#include "harness.h"

/* A trigger that notes its name and returns what it was given. */
struct answer {
    char *name;
    lariat_deferred *deferred;
};

static lariat_deferred *note_and_answer(void *user_data) {
    struct answer *answer = user_data;
    lariat_deferred *deferred = answer->deferred;
    note("%s", answer->name);
    answer->deferred = NULL;
    return deferred;
}

static lariat_deferred *note_trigger(void *user_data) {
    note("%s", (char *)user_data);
    return NULL;
}

static lariat_trigger *add(lariat_reactor *reactor, int32_t phase, int32_t event, char *name) {
    lariat_trigger *trigger = lariat_reactor_add_system_event_trigger(reactor, phase, event, note_trigger, name);
    CHECK(trigger != NULL);
    return trigger;
}

static lariat_trigger *add_answer(lariat_reactor *reactor, int32_t phase, int32_t event, struct answer *answer) {
    lariat_trigger *trigger = lariat_reactor_add_system_event_trigger(reactor, phase, event, note_and_answer, answer);
    CHECK(trigger != NULL);
    return trigger;
}

TEST(s21_before_during_after_each_in_order_of_adding) {
    lariat_reactor *reactor = manual_reactor();
    for (int32_t event = LARIAT_TRIGGER_STARTUP; event <= LARIAT_TRIGGER_SHUTDOWN; event++) {
        add(reactor, LARIAT_TRIGGER_AFTER, event, event ? "shutdown-after" : "startup-after");
        add(reactor, LARIAT_TRIGGER_DURING, event, event ? "shutdown-during" : "startup-during");
        add(reactor, LARIAT_TRIGGER_BEFORE, event, event ? "shutdown-before" : "startup-before");
        add(reactor, LARIAT_TRIGGER_BEFORE, event, event ? "shutdown-before2" : "startup-before2");
    }
    CHECK_INT(reactor_stats(reactor).triggers, 8);
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "soon"));
    turn(reactor);
    CHECK_NOTES("startup-before startup-before2 startup-during startup-after soon");
    turns(reactor, 2);
    CHECK_NOTES("");
    stop_reactor(reactor);
    CHECK_NOTES("shutdown-before shutdown-before2 shutdown-during shutdown-after");
    reactor_done(reactor);
}

TEST(s21_a_deferred_from_a_before_trigger_holds_up_the_rest) {
    lariat_reactor *reactor = manual_reactor();
    struct answer slow = {"before", lariat_deferred_new(reactor)}, quick = {"quick", lariat_deferred_new_succeeded(reactor, NULL)};
    lariat_deferred *deferred = slow.deferred;
    turn(reactor);
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, &slow);
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, &quick);
    add(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, "during");
    add(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_SHUTDOWN, "after");
    CHECK_OK(lariat_reactor_stop(reactor));
    turns(reactor, 2);
    CHECK_NOTES("before quick");
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "still turning"));
    CHECK(lariat_reactor_call_later(reactor, 1, note_call, "timer") != NULL);
    turn(reactor);
    advance(reactor, 1);
    CHECK_NOTES("still turning timer"); /* else nobody could ever fire it */
    CHECK_OK(lariat_deferred_callback_full(deferred, token_new("unused"), token_free));
    turn_until_stopped(reactor);
    CHECK_NOTES("during after");
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}

TEST(s21_several_deferreds_are_all_waited_for) {
    lariat_reactor *reactor = manual_reactor();
    struct answer one = {"one", lariat_deferred_new(reactor)}, two = {"two", lariat_deferred_new(reactor)};
    lariat_deferred *first = one.deferred, *second = two.deferred;
    turn(reactor);
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, &one);
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, &two);
    add(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, "during");
    CHECK_OK(lariat_reactor_stop(reactor));
    turn(reactor);
    CHECK_OK(lariat_deferred_callback(second, NULL));
    turns(reactor, 2);
    CHECK_NOTES("one two");
    CHECK_OK(lariat_deferred_callback(first, NULL));
    turn_until_stopped(reactor);
    CHECK_NOTES("during");
    reactor_done(reactor);
}

TEST(s21_startup_can_be_held_up_too) {
    lariat_reactor *reactor = manual_reactor();
    struct answer slow = {"before", lariat_deferred_new(reactor)};
    lariat_deferred *deferred = slow.deferred;
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, &slow);
    add(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_STARTUP, "after");
    CHECK_OK(lariat_reactor_call_when_running(reactor, note_call, "running"));
    turns(reactor, 2);
    CHECK_NOTES("before");
    CHECK_OK(lariat_deferred_callback(deferred, NULL));
    turn(reactor);
    CHECK(strcmp(test_notes.text, "after running") == 0 || strcmp(test_notes.text, "running after") == 0);
    notes_clear();
    reactor_done(reactor);
}

TEST(s21_one_that_fails_is_logged_and_the_others_go_on) {
    lariat_reactor *reactor = manual_reactor();
    struct answer failing = {"fails", lariat_deferred_new_failed(reactor, 7, "the disk: gone")};
    struct answer late = {"late", lariat_deferred_new(reactor)};
    lariat_deferred *deferred = late.deferred;
    turn(reactor);
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, &failing);
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, &late);
    add(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, "before");
    add(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, "during");
    CHECK_OK(lariat_reactor_stop(reactor));
    turn(reactor);
    CHECK_NOTES("fails late before");
    CHECK(strstr(test_log.last, "the disk: gone") != NULL);
    CHECK_OK(lariat_deferred_errback(deferred, 8, "the net: gone"));
    turn_until_stopped(reactor);
    CHECK_NOTES("during");
    CHECK(strstr(test_log.last, "the net: gone") != NULL);
    reactor_done(reactor);
}

TEST(s21_a_trigger_fires_once_for_each_time_it_was_added) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("once");
    lariat_trigger *trigger = lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN,
                                                                           note_trigger, data, token_free);
    add(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_STARTUP, "startup");
    turn(reactor);
    stop_reactor(reactor);
    CHECK_NOTES("startup once");
    CHECK(!token_alive(data));
    CHECK_STATUS(lariat_trigger_remove(trigger), LARIAT_ERR_STALE_HANDLE);
    turn(reactor); /* runs again: nothing is left of them */
    stop_reactor(reactor);
    CHECK_NOTES("");
    add(reactor, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, "added again");
    turn(reactor);
    stop_reactor(reactor);
    CHECK_NOTES("added again");
    reactor_done(reactor);
}

TEST(s21_a_trigger_can_be_removed) {
    lariat_reactor *reactor = manual_reactor();
    token *data = token_new("not called");
    lariat_trigger *trigger = lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN,
                                                                           note_trigger, data, token_free);
    add(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, "other");
    CHECK_OK(lariat_trigger_remove(trigger));
    CHECK(!token_alive(data));
    CHECK_STATUS(lariat_trigger_remove(trigger), LARIAT_ERR_STALE_HANDLE);
    turn(reactor);
    stop_reactor(reactor);
    CHECK_NOTES("other");
    reactor_done(reactor);
}

static lariat_deferred *add_more(void *user_data) {
    note("adds");
    add(*(lariat_reactor **)user_data, LARIAT_TRIGGER_DURING, LARIAT_TRIGGER_SHUTDOWN, "added");
    return NULL;
}

TEST(s21_a_trigger_may_add_one_for_a_later_phase) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_add_system_event_trigger(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, add_more, &reactor) != NULL);
    add(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_SHUTDOWN, "after");
    turn(reactor);
    stop_reactor(reactor);
    CHECK_NOTES("adds added after");
    reactor_done(reactor);
}

static void stop(void *user_data) { CHECK_OK(lariat_reactor_stop(*(lariat_reactor **)user_data)); }

TEST(s21_run_makes_the_shutdown_triggers_before_it_returns) {
    lariat_reactor *reactor = real_reactor();
    struct answer slow = {"before", lariat_reactor_defer_later(reactor, 0.005, NULL, NULL)};
    add_answer(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, &slow);
    add(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_SHUTDOWN, "after");
    CHECK_OK(lariat_reactor_call_soon(reactor, stop, &reactor));
    CHECK_OK(lariat_reactor_run(reactor));
    CHECK_NOTES("before after");
    reactor_done(reactor);
}

TEST(s21_triggers_that_never_fired_free_their_data_with_the_reactor) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, note_trigger,
                                                       token_new("not called"), token_free) != NULL);
    CHECK(lariat_reactor_add_system_event_trigger_full(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_STARTUP, note_trigger,
                                                       token_new("not called"), token_free) != NULL);
    free_reactor(reactor); /* never started, so there is nothing to shut down */
    CHECK_INT(tokens_alive(), 0);
}

TEST(s21_phase_and_event_are_checked) {
    lariat_reactor *reactor = manual_reactor();
    const struct { int32_t phase, event; } wrong[] = {{-1, 0}, {3, 0}, {0, -1}, {0, 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_NULL(lariat_reactor_add_system_event_trigger_full(reactor, wrong[i].phase, wrong[i].event, note_trigger, token_new("x"),
                                                                token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_add_system_event_trigger_full(reactor, 0, 0, NULL, token_new("x"), token_free), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(tokens_alive(), 0);
    reactor_done(reactor);
}
