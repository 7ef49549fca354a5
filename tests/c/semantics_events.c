/* Events in place of callbacks (DESIGN 7): what is made with a tag queues an event, which the host takes out. */
#include "harness.h"
#include <stddef.h>

static lariat_event event_new(void) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    return event;
}

/* Takes the next event and notes it: call:1   delayed:2   deferred:3=value   deferred:3!7   ready:4r   trigger:5   looping:6 */
static lariat_event take(lariat_reactor *reactor) {
    static const char *const kinds[] = {"?", "call", "delayed", "deferred", "ready", "trigger", "looping"};
    lariat_event event = event_new();
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK(event.kind >= LARIAT_EVENT_CALL && event.kind <= LARIAT_EVENT_LOOPING_CALL);
    if (event.kind == LARIAT_EVENT_DEFERRED)
        note("deferred:%d%s%s", (int)event.tag, event.failure ? "!" : "=",
             event.failure ? failure_label(event.failure) : test_text(event.value));
    else if (event.kind == LARIAT_EVENT_READY)
        note("ready:%d%s%s", (int)event.tag, event.readiness & LARIAT_READABLE ? "r" : "",
             event.readiness & LARIAT_WRITABLE ? "w" : "");
    else note("%s:%d", kinds[event.kind], (int)event.tag);
    return event;
}

static void take_all(lariat_reactor *reactor) {
    while (reactor_stats(reactor).events) take(reactor);
}

static void check_empty(lariat_reactor *reactor) {
    lariat_event event = event_new();
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_EMPTY);
    CHECK_INT(reactor_stats(reactor).events, 0);
}

/* ---- the queue ---- */

TEST(events_when_none_waits_it_is_empty) {
    lariat_reactor *reactor = manual_reactor();
    lariat_event event = event_new();
    check_empty(reactor);
    turn(reactor);
    check_empty(reactor);
    CHECK_STATUS(lariat_reactor_next_event(reactor, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_reactor_next_event(NULL, &event), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_event_init(NULL, sizeof event), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}

TEST(events_come_in_the_order_in_which_the_callbacks_would) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_call_later_event(reactor, 2, 4) != NULL);
    CHECK(lariat_reactor_call_later_event(reactor, 1, 3) != NULL);
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 2));
    CHECK_OK(lariat_reactor_call_when_running_event(reactor, 1));
    check_empty(reactor); /* queued when the time has come, not before */
    turn(reactor);
    CHECK_INT(reactor_stats(reactor).events, 2);
    advance(reactor, 2);
    CHECK_INT(reactor_stats(reactor).events, 4);
    take_all(reactor);
    CHECK_NOTES("call:1 call:2 delayed:3 delayed:4");
    check_empty(reactor);
    reactor_done(reactor);
}

TEST(events_carry_any_tag) {
    lariat_reactor *reactor = manual_reactor();
    const uint64_t tags[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63};
    for (int i = 0; i < 4; i++) CHECK_OK(lariat_reactor_call_soon_event(reactor, tags[i]));
    turn(reactor);
    for (int i = 0; i < 4; i++) {
        lariat_event event = event_new();
        CHECK_OK(lariat_reactor_next_event(reactor, &event));
        CHECK(event.tag == tags[i]);
        CHECK_INT(event.kind, LARIAT_EVENT_CALL);
        CHECK(event.value == NULL && event.failure == NULL && event.readiness == 0);
    }
    reactor_done(reactor);
}

TEST(events_mix_with_callbacks) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 1));
    CHECK_OK(lariat_reactor_call_soon(reactor, note_call, "callback"));
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 2));
    turn(reactor);
    CHECK_NOTES("callback");
    take_all(reactor);
    CHECK_NOTES("call:1 call:2");
    reactor_done(reactor);
}

static void take_inside(void *user_data) {
    lariat_reactor *reactor = *(lariat_reactor **)user_data;
    take_all(reactor);
}

TEST(events_can_be_taken_inside_a_callback) {
    lariat_reactor *reactor = manual_reactor();
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 1));
    CHECK_OK(lariat_reactor_call_soon(reactor, take_inside, &reactor));
    turn(reactor);
    CHECK_NOTES("call:1");
    reactor_done(reactor);
}

/* ---- by kind ---- */

static void *post_event(void *reactor) {
    for (uint64_t tag = 1; tag <= 3; tag++) CHECK_OK(lariat_reactor_call_from_thread_event(reactor, tag));
    return NULL;
}

TEST(events_of_calls_from_threads) {
    lariat_reactor *reactor = manual_reactor();
    thread_join(thread_start(post_event, reactor));
    check_empty(reactor);
    turn(reactor);
    take_all(reactor);
    CHECK_NOTES("call:1 call:2 call:3");
    reactor_done(reactor);
}

TEST(events_of_delayed_calls) {
    lariat_reactor *reactor = manual_reactor();
    lariat_delayed_call *cancelled = lariat_reactor_call_later_event(reactor, 1, 1);
    lariat_delayed_call *later = lariat_reactor_call_later_event(reactor, 1, 2);
    CHECK_OK(lariat_delayed_call_reset(later, 3));
    CHECK_OK(lariat_delayed_call_cancel(cancelled));
    advance(reactor, 2.5);
    check_empty(reactor);
    advance(reactor, 0.5);
    lariat_event event = take(reactor);
    CHECK_PTR(event.source, later);
    CHECK_STATUS(lariat_delayed_call_active(later), LARIAT_ERR_STALE_HANDLE);
    CHECK_NOTES("delayed:2");
    reactor_done(reactor);
}

TEST(events_of_deferreds_value_and_failure) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *good = lariat_deferred_new(reactor), *bad = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_callback(good, replace, "made of it"));
    CHECK_OK(lariat_deferred_add_event(good, 1));
    CHECK_OK(lariat_deferred_add_event(bad, 2));
    CHECK_OK(lariat_deferred_release(good));
    CHECK_OK(lariat_deferred_release(bad));
    CHECK_OK(lariat_deferred_callback(good, "x"));
    CHECK_OK(lariat_deferred_errback(bad, 7, "seven")); /* an event is told, so this failure is not unhandled */
    lariat_event event = take(reactor);
    CHECK(event.failure == NULL);
    event = take(reactor);
    CHECK(event.value == NULL);
    CHECK_STR(lariat_failure_message(event.failure), "seven"); /* lives until the next is asked for */
    CHECK_NOTES("deferred:1=made of it deferred:2!7");
    check_empty(reactor);
    reactor_done(reactor);
}

TEST(events_of_a_deferred_that_has_fired_come_at_once) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_succeeded(reactor, "x");
    CHECK_OK(lariat_deferred_add_event(d, 1));
    CHECK_OK(lariat_deferred_release(d));
    take(reactor);
    CHECK_NOTES("deferred:1=x");
    check_empty(reactor);
    reactor_done(reactor);
}

TEST(events_of_a_cancelled_deferred) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new_with_canceller(reactor, cancel_abandons, "d");
    CHECK_OK(lariat_deferred_add_timeout(d, 1));
    CHECK_OK(lariat_deferred_add_event(d, 1));
    CHECK_OK(lariat_deferred_release(d));
    advance(reactor, 1);
    take(reactor);
    CHECK_NOTES("cancel:d deferred:1!TIMED_OUT");
    check_empty(reactor);
    reactor_done(reactor);
}

TEST(events_keep_their_data_until_the_next_is_taken) {
    lariat_reactor *reactor = manual_reactor();
    token *first = token_new("first"), *second = token_new("second"), *payload = token_new("payload");
    lariat_deferred *d[3];
    for (int i = 0; i < 3; i++) {
        d[i] = lariat_deferred_new(reactor);
        CHECK_OK(lariat_deferred_add_event(d[i], (uint64_t)i + 1));
        CHECK_OK(lariat_deferred_release(d[i]));
    }
    CHECK_OK(lariat_deferred_callback_full(d[0], first, token_free));
    CHECK_OK(lariat_deferred_callback_full(d[1], second, token_free));
    CHECK_OK(lariat_deferred_errback_full(d[2], 7, 0, NULL, payload, token_free));
    turns(reactor, 2);
    CHECK_INT(tokens_alive(), 3); /* the Deferreds are done with; the events hold them */
    CHECK_PTR(take(reactor).value, first);
    turns(reactor, 2);
    CHECK(token_alive(first));
    CHECK_PTR(take(reactor).value, second);
    CHECK(!token_alive(first) && token_alive(second));
    CHECK_PTR(lariat_failure_payload(take(reactor).failure), payload);
    CHECK(!token_alive(second) && token_alive(payload));
    check_empty(reactor); /* asking counts, also when there is none */
    CHECK(!token_alive(payload));
    CHECK_NOTES("deferred:1=first deferred:2=second deferred:3!7");
    reactor_done(reactor);
}

TEST(events_of_triggers) {
    lariat_reactor *reactor = manual_reactor();
    CHECK(lariat_reactor_add_system_event_trigger_event(reactor, LARIAT_TRIGGER_AFTER, LARIAT_TRIGGER_SHUTDOWN, 4) != NULL);
    CHECK(lariat_reactor_add_system_event_trigger_event(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_SHUTDOWN, 3) != NULL);
    CHECK(lariat_reactor_add_system_event_trigger_event(reactor, LARIAT_TRIGGER_BEFORE, LARIAT_TRIGGER_STARTUP, 1) != NULL);
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 2));
    turn(reactor);
    stop_reactor(reactor); /* a trigger with a tag holds nothing up */
    take_all(reactor);
    CHECK_NOTES("trigger:1 call:2 trigger:3 trigger:4");
    reactor_done(reactor);
}

TEST(events_of_looping_calls) {
    lariat_reactor *reactor = manual_reactor();
    lariat_looping_call *looping_call = lariat_looping_call_new_event(reactor, 1);
    lariat_deferred *done = lariat_looping_call_start(looping_call, 1, 1);
    CHECK_OK(lariat_deferred_add_event(done, 2));
    CHECK_OK(lariat_deferred_release(done));
    CHECK_PTR(take(reactor).source, looping_call); /* the first, inside start */
    advance(reactor, 2);
    CHECK_PTR(take(reactor).source, looping_call);
    take(reactor);
    CHECK_NOTES("looping:1 looping:1 looping:1");
    CHECK_OK(lariat_looping_call_stop(looping_call));
    lariat_event event = event_new();
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK(event.kind == LARIAT_EVENT_DEFERRED && event.tag == 2);
    CHECK_PTR(event.value, looping_call);
    check_empty(reactor);
    CHECK_OK(lariat_looping_call_free(looping_call));
    reactor_done(reactor);
}

#ifndef _WIN32
TEST(events_of_watchers_wait_one_at_a_time) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch_event(reactor, ends[0], LARIAT_READABLE, 1);
    CHECK(watcher != NULL);
    write_bytes(ends[1], "ab");
    turns(reactor, 5);
    CHECK_INT(reactor_stats(reactor).events, 1);
    CHECK_PTR(take(reactor).source, watcher);
    CHECK_INT(read_byte(ends[0]), 'a');
    turns(reactor, 2); /* level-triggered: there is more */
    take(reactor);
    CHECK_INT(read_byte(ends[0]), 'b');
    turns(reactor, 2);
    check_empty(reactor);
    CHECK_NOTES("ready:1r ready:1r");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(events_of_a_paused_watcher) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch_event(reactor, ends[0], LARIAT_READABLE, 1);
    CHECK_OK(lariat_watcher_set_interest(watcher, 0));
    write_bytes(ends[1], "a");
    turns(reactor, 2);
    check_empty(reactor);
    CHECK_OK(lariat_watcher_set_interest(watcher, LARIAT_READABLE));
    turn(reactor);
    take(reactor);
    CHECK_NOTES("ready:1r");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

/* ---- a full queue (FAILURES 56) ---- */

static lariat_reactor *reactor_with_room_for_two(void) {
    lariat_reactor_options options = reactor_options();
    options.clock = LARIAT_CLOCK_MANUAL;
    options.max_events = 2;
    return reactor_with(options);
}

TEST(events_a_full_queue_pauses_reading) {
    lariat_reactor *reactor = reactor_with_room_for_two();
    enum { count = 5 };
    int ends[count][2], told[count + 1] = {0};
    lariat_watcher *watchers[count];
    for (int i = 0; i < count; i++) {
        pipe_new(ends[i]);
        write_bytes(ends[i][1], "x");
        watchers[i] = lariat_reactor_watch_event(reactor, ends[i][0], LARIAT_READABLE, (uint64_t)i + 1);
    }
    for (int all = 0; all < count;) {
        turns(reactor, 2);
        CHECK(reactor_stats(reactor).events <= 2);
        while (reactor_stats(reactor).events) {
            lariat_event event = event_new();
            CHECK_OK(lariat_reactor_next_event(reactor, &event));
            CHECK_INT(read_byte(ends[event.tag - 1][0]), 'x'); /* so it is told once */
            told[event.tag]++, all++;
        }
    }
    for (int i = 0; i < count; i++) {
        CHECK_INT(told[i + 1], 1);
        CHECK_OK(lariat_watcher_stop(watchers[i]));
        pipe_close(ends[i]);
    }
    check_empty(reactor);
    reactor_done(reactor);
}

TEST(events_of_everything_else_are_never_lost) {
    lariat_reactor *reactor = reactor_with_room_for_two();
    int ends[2];
    pipe_new(ends);
    lariat_watcher *watcher = lariat_reactor_watch_event(reactor, ends[0], LARIAT_READABLE, 9);
    lariat_deferred *d = lariat_deferred_new(reactor);
    for (uint64_t tag = 1; tag <= 4; tag++) CHECK_OK(lariat_reactor_call_soon_event(reactor, tag));
    CHECK(lariat_reactor_call_later_event(reactor, 0, 5) != NULL);
    CHECK_OK(lariat_deferred_add_event(d, 6));
    CHECK_OK(lariat_deferred_release(d));
    write_bytes(ends[1], "x");
    turn(reactor);
    CHECK_OK(lariat_deferred_callback(d, "x"));
    turns(reactor, 2);
    CHECK_INT(reactor_stats(reactor).events, 6); /* past the limit; only the reading waits */
    take_all(reactor);
    CHECK_NOTES("call:1 call:2 call:3 call:4 delayed:5 deferred:6=x");
    turn(reactor);
    take(reactor);
    CHECK_NOTES("ready:9r");
    CHECK_OK(lariat_watcher_stop(watcher));
    pipe_close(ends);
    reactor_done(reactor);
}

TEST(events_of_a_watcher_stopped_meanwhile_do_no_harm) {
    lariat_reactor *reactor = manual_reactor();
    int ends[2];
    pipe_new(ends);
    write_bytes(ends[1], "x");
    lariat_watcher *watcher = lariat_reactor_watch_event(reactor, ends[0], LARIAT_READABLE, 1);
    turn(reactor);
    CHECK_OK(lariat_watcher_stop(watcher));
    lariat_event event = event_new();
    lariat_status status = lariat_reactor_next_event(reactor, &event); /* either it is dropped, or its source is stale */
    CHECK(status == LARIAT_EMPTY || status == LARIAT_OK);
    if (status == LARIAT_OK) CHECK_STATUS(lariat_watcher_interest(event.source), LARIAT_ERR_STALE_HANDLE);
    check_empty(reactor);
    turns(reactor, 2);
    check_empty(reactor);
    pipe_close(ends);
    reactor_done(reactor);
}
#endif

/* ---- the ends ---- */

TEST(events_that_nobody_took_end_with_the_reactor) {
    lariat_reactor *reactor = manual_reactor();
    lariat_deferred *d = lariat_deferred_new(reactor);
    CHECK_OK(lariat_deferred_add_event(d, 1));
    CHECK_OK(lariat_deferred_release(d));
    CHECK_OK(lariat_deferred_callback_full(d, token_new("value"), token_free));
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 2));
    turn(reactor);
    CHECK_INT(reactor_stats(reactor).events, 2);
    free_reactor(reactor);
    CHECK_INT(tokens_alive(), 0);
}

TEST(events_of_a_smaller_struct_are_filled_up_to_its_size) { /* FAILURES 46 */
    lariat_reactor *reactor = manual_reactor();
    lariat_event event = event_new();
    char canary;
    event.struct_size = offsetof(lariat_event, value); /* as from an older header */
    event.value = &canary;
    CHECK_OK(lariat_reactor_call_soon_event(reactor, 7));
    turn(reactor);
    CHECK_OK(lariat_reactor_next_event(reactor, &event));
    CHECK(event.tag == 7 && event.kind == LARIAT_EVENT_CALL);
    CHECK_PTR(event.value, &canary);
    event.struct_size = 0;
    CHECK_STATUS(lariat_reactor_next_event(reactor, &event), LARIAT_ERR_INVALID_ARGUMENT);
    reactor_done(reactor);
}
