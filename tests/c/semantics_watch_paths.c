/* Watching files and directories: by what the system tells and by looking, which must tell the same. */
#ifdef _WIN32
#include "harness.h"
TEST(paths_are_watched_on_unix) { SKIP("written for POSIX"); }
#else
#include "watched.h"

/* ---- the same script, told by the system and seen by looking ---- */

static void everything_that_happens(int32_t flags) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    append(at("before"), "1");
    lariat_file_watch *watch = watch_path(reactor, root, flags | LARIAT_WATCH_RECURSIVE, NULL);
    append(at("a"), "1");
    EXPECT(reactor, "C:a");
    append(at("a"), "2");
    EXPECT(reactor, "M:a");
    CHECK_INT(truncate(at("a"), 0), 0);
    EXPECT(reactor, "M:a");
    CHECK_INT(chmod(at("a"), 0600), 0);
    EXPECT(reactor, "A:a");
    move_to(at("a"), at("b"));
    EXPECT(reactor, "V:a>b");
    make_directory(at("d"));
    EXPECT(reactor, "C:d/");
    CHECK_INT(chmod(at("d"), 0700), 0);
    EXPECT(reactor, "A:d/");
    append(at("d/x"), "1");
    EXPECT(reactor, "C:d/x");
    make_directory(at("d/e"));
    make_directory(at("d/e/f"));
    append(at("d/e/f/y"), "1");
    EXPECT(reactor, "C:d/e/ C:d/e/f/ C:d/e/f/y");
    move_to(at("d"), at("g"));
    EXPECT(reactor, "V:d/>g/");
    append(at("g/e/f/y"), "2");
    EXPECT(reactor, "M:g/e/f/y"); /* by its new path */
    move_to(at("b"), at("g/b"));
    EXPECT(reactor, "V:b>g/b");
    move_to(at("g/e"), outside("e"));
    EXPECT(reactor, "R:g/e/f/y R:g/e/f/ R:g/e/");
    append(outside("e/f/y"), "3"); /* is nobody's business there */
    append(outside("e/f/z"), "1");
    move_to(outside("e"), at("in"));
    EXPECT(reactor, "C:in/ C:in/f/ C:in/f/y C:in/f/z");
    append(at("in/f/y"), "4");
    EXPECT(reactor, "M:in/f/y");
    remove_file(at("g/b"));
    EXPECT(reactor, "R:g/b");
    append(outside("other"), "other");
    move_to(outside("other"), at("g/x"));
    EXPECT(reactor, "M:g/x"); /* another file in its place */
    append(at("g/new"), "1");
    EXPECT(reactor, "C:g/new");
    move_to(at("g/new"), at("g/x"));
    EXPECT(reactor, "V:g/new>g/x"); /* what was there is gone with that */
    CHECK_INT(symlink(outside(""), at("link")), 0);
    EXPECT(reactor, "C:link");
    append(outside("behind-the-link"), "1"); /* is not followed */
    CHECK_INT(link(at("g/x"), at("hard")), 0);
    EXPECT(reactor, "C:hard");
    remove_file(at("g/x"));
    remove_directory(at("g"));
    EXPECT(reactor, "R:g/x R:g/");
    append(at("before"), "2");
    EXPECT(reactor, "M:before");
    remove_file(at("link"));
    remove_file(at("in/f/z"));
    remove_file(at("in/f/y"));
    remove_directory(at("in/f"));
    remove_directory(at("in"));
    remove_file(at("hard"));
    remove_file(at("before"));
    remove_directory(root);
    EXPECT(reactor, "R:link R:in/f/z R:in/f/y R:in/f/ R:in/ R:hard R:before G");
    CHECK_STATUS(lariat_file_watch_stop(watch), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
    root_end();
}

TEST(a_tree_that_the_system_tells_of) { everything_that_happens(0); }
TEST(a_tree_that_is_looked_at) { everything_that_happens(LARIAT_WATCH_POLL); }

static void only_a_directory(int32_t flags) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    make_directory(at("d"));
    lariat_file_watch *watch = watch_path(reactor, root, flags, NULL);
    append(at("d/x"), "1");
    append(at("a"), "1");
    EXPECT(reactor, "C:a");
    move_to(at("a"), at("d/a"));
    EXPECT(reactor, "R:a"); /* it is not watched there */
    append(at("d/a"), "2");
    move_to(at("d/a"), at("b"));
    EXPECT(reactor, "C:b");
    make_directory(at("e"));
    EXPECT(reactor, "C:e/");
    append(at("e/y"), "1");
    move_to(at("e"), at("f"));
    EXPECT(reactor, "V:e/>f/");
    append(at("f/z"), "1");
    append(at("last"), "1");
    EXPECT(reactor, "C:last");
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}

TEST(a_directory_without_those_in_it) { only_a_directory(0); }
TEST(a_directory_that_is_looked_at_without_those_in_it) { only_a_directory(LARIAT_WATCH_POLL); }

static void only_a_file(int32_t flags) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    append(at("file"), "1");
    append(at("neighbour"), "1");
    lariat_file_watch *watch = watch_path(reactor, at("file"), flags, NULL);
    append(at("neighbour"), "2");
    append(at("file"), "2");
    EXPECT(reactor, "M:file");
    CHECK_INT(chmod(at("file"), 0600), 0);
    EXPECT(reactor, "A:file");
    append(at("new"), "other");
    move_to(at("new"), at("file")); /* as editors do */
    EXPECT(reactor, "M:file");
    append(at("file"), "3");
    EXPECT(reactor, "M:file");
    remove_file(at("file"));
    EXPECT(reactor, "R:file");
    append(at("file"), "1");
    EXPECT(reactor, "C:file");
    move_to(at("file"), at("away"));
    EXPECT(reactor, "R:file");
    move_to(at("away"), at("file"));
    EXPECT(reactor, "C:file");
    remove_file(at("file"));
    EXPECT(reactor, "R:file");
    remove_file(at("neighbour"));
    remove_directory(root);
    EXPECT(reactor, "G");
    CHECK_STATUS(lariat_file_watch_is_polling(watch), LARIAT_ERR_STALE_HANDLE);
    reactor_done(reactor);
    root_end();
}

TEST(a_file_that_the_system_tells_of) { only_a_file(0); }
TEST(a_file_that_is_looked_at) { only_a_file(LARIAT_WATCH_POLL); }

static void the_root_is_moved(int32_t flags) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    append(at("a"), "1");
    make_directory(at("d"));
    append(at("d/b"), "1");
    watch_path(reactor, root, flags | LARIAT_WATCH_RECURSIVE, NULL);
    move_to(root, outside("moved"));
    EXPECT(reactor, "R:d/b R:d/ R:a G");
    append(outside("moved/a"), "2");
    turn(reactor);
    reactor_done(reactor);
    root_end();
}

TEST(what_is_watched_is_moved) { the_root_is_moved(0); }
TEST(what_is_looked_at_is_moved) { the_root_is_moved(LARIAT_WATCH_POLL); }

/* Names change places, and go round: what is seen in one look has an order in which it is possible. */
TEST(moves_seen_in_one_look) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    model one = {0};
    for (const char *name = "abcdef"; *name; name++) {
        char path[2] = {*name, 0};
        append(at(path), path);
        model_add(&one, path);
    }
    make_directory(at("p"));
    make_directory(at("p/q"));
    append(at("p/q/r"), "1");
    model_add(&one, "p");
    model_add(&one, "p/q");
    model_add(&one, "p/q/r");
    lariat_file_watch *watch =
        watched(lariat_reactor_watch_path(reactor, root, LARIAT_WATCH_POLL | LARIAT_WATCH_RECURSIVE, model_change, &one));
    /* f is replaced by e, which d replaces, and so on; then b goes into a directory that is moved, with its own. */
    move_to(at("e"), at("f"));
    move_to(at("d"), at("e"));
    move_to(at("c"), at("d"));
    move_to(at("b"), at("p/q/b"));
    move_to(at("p/q/r"), at("c"));
    move_to(at("p"), at("s"));
    move_to(at("s/q"), at("p"));
    append(at("end"), "1");
    CHECK_OK(lariat_file_watch_set_interval(watch, 0.001));
    while (!one.is_over) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    CHECK_INT(one.created, 1);
    model_check(&one);
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}

TEST(names_that_change_places_in_one_look) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    model one = {0};
    append(at("a"), "1");
    append(at("b"), "22");
    model_add(&one, "a");
    model_add(&one, "b");
    lariat_file_watch *watch = watched(lariat_reactor_watch_path(reactor, root, LARIAT_WATCH_POLL, model_change, &one));
    move_to(at("a"), at("c"));
    move_to(at("b"), at("a"));
    move_to(at("c"), at("b"));
    append(at("end"), "1");
    CHECK_OK(lariat_file_watch_set_interval(watch, 0.001));
    while (!one.is_over) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    CHECK_INT(one.modified, 2); /* both have other content */
    model_check(&one);
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}

/* ---- what is told together ---- */

#ifdef __linux__
TEST(what_follows_before_it_was_told_is_told_once) {
    root_new();
    lariat_reactor *reactor = manual_reactor();
    lariat_file_watch *watch = watch_path(reactor, root, 0, NULL);
    append(at("a"), "1");
    append(at("a"), "2");
    CHECK_INT(chmod(at("a"), 0600), 0);
    turn(reactor);
    CHECK_NOTES("C:a");
    append(at("a"), "3");
    append(at("b"), "1");
    append(at("a"), "4");
    turn(reactor);
    CHECK_NOTES("M:a C:b");
    append(at("a"), "5");
    CHECK_INT(chmod(at("a"), 0644), 0);
    append(at("a"), "6");
    turn(reactor);
    CHECK_NOTES("M:a A:a M:a");
    append(at("c"), "1");
    remove_file(at("c"));
    turn(reactor);
    CHECK_NOTES("C:c R:c");
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}

/* The half of a move holds up what comes behind it, so that the order is kept. */
TEST(half_a_move_waits_for_the_other) {
    root_new();
    lariat_reactor *reactor = manual_reactor();
    append(at("a"), "1");
    lariat_file_watch *watch = watch_path(reactor, root, 0, NULL);
    move_to(at("a"), outside("a"));
    append(at("a"), "again");
    turns(reactor, 3);
    CHECK_NOTES("");
    advance(reactor, 1);
    CHECK_NOTES("R:a C:a");
    move_to(at("a"), outside("a"));
    CHECK_OK(lariat_file_watch_stop(watch)); /* with the half waiting */
    turn(reactor);
    advance(reactor, 1);
    reactor_done(reactor);
    root_end();
}
#endif

/* ---- several watches ---- */

TEST(several_watches_of_the_same) {
    root_new();
    lariat_reactor *reactor = real_reactor(), *other = real_reactor();
    make_directory(at("d"));
    lariat_file_watch *all = watch_path(reactor, root, LARIAT_WATCH_RECURSIVE, "all-");
    lariat_file_watch *top = watch_path(reactor, root, 0, "top-");
    lariat_file_watch *sub = watch_path(reactor, at("d"), 0, "sub-");
    lariat_file_watch *theirs = watch_path(other, at("d"), LARIAT_WATCH_POLL, "theirs-");
    append(at("d/x"), "1");
    EXPECT(reactor, "all-C:d/x sub-C:d/x");
    EXPECT(other, "theirs-C:d/x");
    append(at("y"), "1");
    EXPECT(reactor, "all-C:y top-C:y");
    CHECK_OK(lariat_file_watch_stop(all));
    append(at("d/x"), "2");
    EXPECT(reactor, "sub-M:d/x"); /* the others go on */
    EXPECT(other, "theirs-M:d/x");
    append(at("y"), "2");
    EXPECT(reactor, "top-M:y");
    move_to(at("d"), at("e"));
    EXPECT(other, "theirs-R:d/x theirs-G");
    EXPECT(reactor, "top-V:d/>e/ sub-R:d/x sub-G");
    CHECK_STATUS(lariat_file_watch_stop(sub), LARIAT_ERR_STALE_HANDLE);
    CHECK_STATUS(lariat_file_watch_stop(theirs), LARIAT_ERR_STALE_HANDLE);
    CHECK_OK(lariat_file_watch_stop(top));
    reactor_done(reactor);
    reactor_done(other);
    root_end();
}

static void stop_itself(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    note_one("", change);
    CHECK_OK(lariat_file_watch_stop(watch));
    CHECK_STATUS(lariat_file_watch_stop(watch), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_file_watch_set_interval(watch, 1), LARIAT_ERR_CLOSED);
    CHECK(token_alive(user_data));
}

static void stop_another(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    (void)watch;
    note_one("stops-", change);
    CHECK_OK(lariat_file_watch_stop(*(lariat_file_watch **)user_data));
}

TEST(stopped_in_a_callback) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    token *data = token_new("data");
    lariat_file_watch *watch = watched(lariat_reactor_watch_path_full(reactor, root, 0, stop_itself, data, token_free_noted));
    append(at("a"), "1");
    append(at("b"), "1");
    EXPECT(reactor, "C:a free:data");
    CHECK_STATUS(lariat_file_watch_stop(watch), LARIAT_ERR_STALE_HANDLE);
    lariat_file_watch *victim = NULL;
    lariat_file_watch *first = watched(lariat_reactor_watch_path(reactor, root, 0, stop_another, &victim));
    victim = watch_path(reactor, root, 0, "victim-");
    append(at("c"), "1");
    EXPECT(reactor, "stops-C:c");
    turn(reactor);
    CHECK_OK(lariat_file_watch_stop(first));
    reactor_done(reactor);
    root_end();
}

static void note_one_and_count(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    (void)watch;
    (void)change;
    ++*(long *)user_data;
}

/* ---- endings ---- */

static void ends(int32_t flags) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    token *data = token_new("data"), *left = token_new("left");
    lariat_scope *scope = lariat_scope_new(reactor);
    CHECK_OK(lariat_scope_enter(scope));
    lariat_file_watch *inside = watched(lariat_reactor_watch_path_full(reactor, root, flags, note_change, data, token_free));
    CHECK_OK(lariat_scope_leave(scope));
    append(at("a"), "1");
    CHECK_OK(lariat_scope_free(scope));
    CHECK(!token_alive(data));
    CHECK_STATUS(lariat_file_watch_stop(inside), LARIAT_ERR_STALE_HANDLE);
    turn(reactor);
    CHECK_NOTHING_ALIVE(reactor);
    lariat_file_watch *watch = watched(lariat_reactor_watch_path_full(reactor, root, flags, note_change, left, token_free));
    CHECK_OK(lariat_file_watch_set_interval(watch, 0.0));
    for (int i = 0; i < 3; i++) CHECK_OK(lariat_reactor_iterate(reactor, 0.002)); /* a look may be under way */
    append(at("b"), "1");
    free_reactor(reactor);
    CHECK(!token_alive(left));
    root_end();
}

TEST(a_scope_and_a_reactor_end_watches) { ends(0); }
TEST(a_scope_and_a_reactor_end_looking) { ends(LARIAT_WATCH_POLL); }

static void stop_now(void *user_data) { CHECK_OK(lariat_reactor_stop(user_data)); }

TEST(a_watch_is_something_to_wait_for) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    lariat_file_watch *watch = watch_path(reactor, root, 0, NULL);
    CHECK_INT(reactor_stats(reactor).file_watches, 1);
    CHECK(lariat_reactor_call_later(reactor, 0.01, stop_now, reactor));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    CHECK_OK(lariat_file_watch_stop(watch));
    CHECK_OK(lariat_reactor_run_until_idle(reactor));
    reactor_done(reactor);
    root_end();
}

/* ---- events ---- */

static int next_change(lariat_reactor *reactor, uint64_t tag) {
    lariat_event event;
    CHECK_OK(lariat_event_init(&event, sizeof event));
    if (lariat_reactor_next_event(reactor, &event) == LARIAT_EMPTY) return 0;
    CHECK_INT(event.kind, LARIAT_EVENT_FILE_CHANGED);
    CHECK_INT(event.tag, tag);
    CHECK(event.source != NULL);
    note_one("", event.value);
    return 1;
}

static void as_events(int32_t flags) {
    root_new();
    lariat_reactor_options options = reactor_options();
    options.max_events = 4;
    lariat_reactor *reactor = reactor_with(options);
    lariat_file_watch *watch = watched(lariat_reactor_watch_path_event(reactor, root, flags, 7));
    CHECK_OK(lariat_file_watch_set_interval(watch, 0.001));
    append(outside("a"), "1");
    move_to(outside("a"), at("a"));
    while (!next_change(reactor, 7)) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    CHECK_NOTES("C:a");
    for (char name[] = "b"; *name <= 'y'; ++*name) {
        append(outside(name), "1");
        move_to(outside(name), at(name));
        turn(reactor);
        CHECK(reactor_stats(reactor).events <= 4); /* the rest waits */
    }
    for (int seen = 0; seen < 24;) {
        if (next_change(reactor, 7)) seen++;
        else CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    }
    CHECK_NOTES("C:b C:c C:d C:e C:f C:g C:h C:i C:j C:k C:l C:m C:n C:o C:p C:q C:r C:s C:t C:u C:v C:w C:x C:y");
    for (char name[] = "a"; *name <= 'y'; ++*name) remove_file(at(name));
    remove_directory(root);
    for (int seen = 0; seen < 26;) {
        if (next_change(reactor, 7)) seen++;
        else CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    }
    CHECK(noted("R:a") && noted("R:y") && test_notes.text[test_notes.length - 1] == 'G');
    notes_clear();
    CHECK_STATUS(lariat_file_watch_stop(watch), LARIAT_ERR_STALE_HANDLE);
    CHECK_INT(next_change(reactor, 7), 0);
    reactor_done(reactor);
    root_end();
}

TEST(changes_as_events) { as_events(0); }
TEST(changes_seen_by_looking_as_events) { as_events(LARIAT_WATCH_POLL); }

TEST(the_reactor_ends_with_changes_waiting) {
    root_new();
    lariat_reactor_options options = reactor_options();
    options.max_events = 2;
    lariat_reactor *reactor = reactor_with(options);
    long told = 0;
    watched(lariat_reactor_watch_path_event(reactor, root, 0, 7));
    watched(lariat_reactor_watch_path(reactor, root, 0, note_one_and_count, &told));
    for (char name[] = "a"; *name <= 'h'; ++*name) append(at(name), "1");
    turns(reactor, 3);
    CHECK_INT(told, 8);
    CHECK_INT(reactor_stats(reactor).events, 2);
    free_reactor(reactor);
    root_end();
}

/* ---- paths ---- */

TEST(names_of_any_bytes) {
    root_new();
    lariat_reactor *reactor = real_reactor();
    char given[300];
    snprintf(given, sizeof given, "%s/", root); /* told as it was given */
    lariat_file_watch *watch = watch_path(reactor, given, LARIAT_WATCH_RECURSIVE, NULL);
    append(at("\xff\xfe not text"), "1");
    EXPECT(reactor, "C:\xff\xfe not text");
    CHECK_OK(lariat_file_watch_stop(watch));
    CHECK_INT(symlink(root, outside("link")), 0);
    snprintf(given, sizeof given, "%s", outside("link"));
    watch = watch_path(reactor, given, 0, NULL); /* followed, if it is what is watched */
    append(at("behind"), "1");
    while (!test_notes.length) CHECK_OK(lariat_reactor_iterate(reactor, 0.01));
    snprintf(given, sizeof given, "C:%s/behind", outside("link"));
    CHECK_NOTES(given);
    CHECK_OK(lariat_file_watch_stop(watch));
    reactor_done(reactor);
    root_end();
}
#endif
