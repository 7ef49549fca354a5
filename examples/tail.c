/* tail: follows every file of a directory, as `tail -f` does, those that come later too.
 *
 *     tail [-a] [-r] DIRECTORY    shows what is written to its files from now on, until SIGINT or SIGTERM
 *         -a                      begins with what is in them already
 *         -r                      follows the directories below it as well
 *     tail                        or `tail --demo`: writes to files of its own
 *
 * Before what another file has than the last one, its name is shown. A file that is renamed is followed under its new
 * name, one that is cut short or replaced from its beginning. If the standard output is read slowly, the files wait. */
#define _POSIX_C_SOURCE 200809L        /* for signals and mkdtemp under -std=c11 */
#include <lariat.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 65536 };

/* ---- what is followed ---- */

typedef struct followed {
    struct followed *next;
    struct tail *tail;
    char *path;
    lariat_file *file;                 /* NULL: not open */
    uint64_t offset, inode, device;    /* up to where it was shown; which file it is */
    int begins_at_end;                 /* it was there before us, as far as is known */
    int from_start;                    /* it was not: shown from its beginning */
    int is_busy;                       /* a Deferred is on its way that has this as its user data */
    int has_changed;                   /* since it was last looked at */
    int is_removed;                    /* what we have open does not have the path any more */
    int is_gone;                       /* another one has the path: shown to its end, and then forgotten */
} followed;

typedef struct tail {
    lariat_reactor *reactor;
    lariat_transport *output;          /* NULL: over */
    followed *files;
    const char *directory;
    char shown[4096];                  /* whose bytes came last */
    int shows_all, is_recursive, is_held, is_ending, has_failed;
    void (*on_progress)(void *);       /* for the demonstration: something was shown or renamed; else NULL */
} tail;

static void look(followed *followed);

static void complain(const char *path, const char *why) {
    fprintf(stderr, "tail: %s: %s\n", path, why);
}

static void made_progress(tail *tail) {
    if (tail->on_progress != NULL)
        tail->on_progress(tail);
}

static char *copied(const char *text) {
    char *copy = strdup(text);
    if (copy == NULL) {
        fprintf(stderr, "tail: no memory\n");
        exit(1);
    }
    return copy;
}

static followed *find(tail *tail, const char *path) {
    followed *followed = tail->files;
    while (followed != NULL && (followed->is_gone || strcmp(followed->path, path) != 0))
        followed = followed->next;
    return followed;
}

static followed *follow(tail *tail, const char *path, int begins_at_end) {
    followed *followed = calloc(1, sizeof *followed);
    char *name = copied(path);
    if (followed == NULL) {
        complain(path, "no memory");
        exit(1);
    }
    *followed = (struct followed){.next = tail->files, .tail = tail, .path = name, .begins_at_end = begins_at_end};
    return tail->files = followed;
}

static void forget(followed *followed) {
    struct followed **link = &followed->tail->files;
    while (*link != followed)
        link = &(*link)->next;
    *link = followed->next;
    if (followed->file != NULL)
        lariat_deferred_release(lariat_file_close(followed->file));
    free(followed->path);
    free(followed);
}

static void show(followed *followed, const uint8_t *data, size_t len) {
    tail *tail = followed->tail;
    char header[4200];
    if (strcmp(tail->shown, followed->path) != 0) {
        const char *name = followed->path + strlen(tail->directory);
        const char *space = tail->shown[0] != '\0' ? "\n" : "";
        snprintf(header, sizeof header, "%s==> %.4100s <==\n", space, name + strspn(name, "/"));
        snprintf(tail->shown, sizeof tail->shown, "%s", followed->path);
        lariat_transport_write(tail->output, (const uint8_t *)header, strlen(header));
    }
    lariat_transport_write(tail->output, data, len);
    made_progress(tail);
}

/* ---- one file: opened, read to its end, compared with what has its path; one step at a time ---- */

static void wait_for(followed *followed, lariat_deferred *step, lariat_callback_fn done, lariat_errback_fn failed) {
    followed->is_busy = step != NULL;
    if (step == NULL) {
        if (!followed->tail->is_ending)
            complain(followed->path, lariat_last_error_message());
        return;
    }
    lariat_deferred_add_callbacks(step, done, failed, followed);
    lariat_deferred_release(step);
}

static void *step_failed(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    followed *followed = user_data;
    int32_t code = lariat_failure_code(failure);
    followed->is_busy = 0;
    if (code != LARIAT_ERR_NOT_FOUND && code != LARIAT_ERR_NOT_A_FILE && code != LARIAT_ERR_CANCELLED &&
        code != LARIAT_ERR_CLOSED)                                       /* the last two as we end */
        complain(followed->path, lariat_failure_message(failure));
    if (followed->has_changed)
        look(followed);
    else if (followed->is_gone || followed->is_removed || code == LARIAT_ERR_NOT_A_FILE)
        forget(followed);
    return NULL;
}

static lariat_file_facts facts_of(const lariat_file_info *info) {
    lariat_file_facts facts;
    lariat_file_facts_init(&facts, sizeof facts);
    lariat_file_info_get(info, &facts);
    return facts;
}

static void *opened(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    followed *followed = user_data;
    followed->file = value;
    followed->is_busy = 0;
    look(followed);
    return NULL;
}

static void *known(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    followed *followed = user_data;
    lariat_file_facts facts = facts_of(value);
    followed->inode = facts.inode;
    followed->device = facts.device;
    followed->offset = followed->begins_at_end ? facts.size : 0;
    followed->is_busy = 0;
    look(followed);
    return NULL;
}

static void open_anew(followed *followed) {
    lariat_deferred_release(lariat_file_close(followed->file));
    followed->file = NULL;
    followed->inode = 0;
    followed->is_removed = followed->begins_at_end = 0;
    look(followed);
}

/* The path leads to another file than the one that we have. If ours has no name any more, it was replaced. Else it has
 * been moved, and we are still to be told where to: then the other one is told of, too. */
static void *other_compared(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    followed *followed = user_data;
    followed->is_busy = 0;
    if (followed->is_removed || facts_of(value).links == 0)
        open_anew(followed);
    else if (followed->has_changed)
        look(followed);
    return NULL;
}

static void *compared(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    followed *followed = user_data;
    lariat_file_facts facts = facts_of(value);
    followed->is_busy = 0;
    if (facts.inode != followed->inode || facts.device != followed->device) {
        wait_for(followed, lariat_file_stat(followed->file), other_compared, step_failed);
        return NULL;
    }
    followed->is_removed = 0;                                            /* we have the new one already */
    if (facts.size < followed->offset) {
        complain(followed->path, "file truncated");
        followed->offset = 0;
        followed->has_changed = 1;
    }
    if (followed->has_changed)
        look(followed);
    return NULL;
}

static void *piece_read(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    followed *followed = user_data;
    size_t length = lariat_bytes_length(value);
    followed->is_busy = 0;
    if (followed->from_start) {
        look(followed);
    } else if (length > 0) {
        followed->offset += length;
        followed->begins_at_end = 0;
        followed->has_changed = 1;                                       /* perhaps there is more */
        show(followed, lariat_bytes_data(value), length);
        look(followed);
    } else if (followed->is_gone) {
        forget(followed);
    } else {
        wait_for(followed, lariat_reactor_stat(followed->tail->reactor, followed->path, 1), compared, step_failed);
    }
    return NULL;
}

/* Takes the next step, unless one is on its way: that ends by calling this. */
static void look(followed *followed) {
    if (followed->is_busy || followed->tail->is_held || followed->tail->is_ending)
        return;
    if (followed->from_start)
        followed->begins_at_end = followed->offset = followed->from_start = 0;
    if (followed->is_gone && followed->file == NULL) {
        forget(followed);
    } else if (followed->file == NULL) {
        followed->has_changed = 0;
        wait_for(followed, lariat_reactor_open_file(followed->tail->reactor, followed->path, LARIAT_FILE_READ, 0), opened,
                 step_failed);
    } else if (followed->inode == 0) {
        wait_for(followed, lariat_file_stat(followed->file), known, step_failed);
    } else {
        followed->has_changed = 0;
        wait_for(followed, lariat_file_read_at(followed->file, followed->offset, PIECE), piece_read, step_failed);
    }
}

static void look_again(followed *followed) {
    followed->has_changed = 1;
    look(followed);
}

/* ---- the directory ---- */

static void entry_changed(tail *tail, const lariat_file_change *change) {
    followed *followed = find(tail, change->path);
    if (change->kind == LARIAT_CHANGE_MOVED) {
        if (followed != NULL) {
            followed->is_gone = 1;
            look_again(followed);
        }
        followed = find(tail, change->from);
        if (followed != NULL) {
            free(followed->path);
            followed->path = copied(change->path);
        }
    }
    if (followed == NULL && change->kind != LARIAT_CHANGE_REMOVED)
        followed = follow(tail, change->path, 0);
    if (followed == NULL)
        return;
    if (change->kind == LARIAT_CHANGE_REMOVED)
        followed->is_removed = 1;
    else if (change->kind == LARIAT_CHANGE_CREATED && followed->begins_at_end && !followed->is_removed)
        followed->from_start = 1;                                        /* made after we began, before it was listed */
    if (followed->is_removed)
        followed->begins_at_end = 0;
    look_again(followed);
    if (change->kind == LARIAT_CHANGE_MOVED)
        made_progress(tail);
}

/* All that is in a directory that was moved has other paths now. */
static void directory_moved(tail *tail, const lariat_file_change *change) {
    size_t length = strlen(change->from);
    for (followed *followed = tail->files; followed != NULL; followed = followed->next) {
        if (strncmp(followed->path, change->from, length) != 0 || followed->path[length] != '/')
            continue;
        char *path = malloc(strlen(change->path) + strlen(followed->path + length) + 1);
        if (path == NULL)
            continue;
        strcat(strcpy(path, change->path), followed->path + length);
        free(followed->path);
        followed->path = path;
    }
}

static void stop(tail *tail) {
    tail->is_ending = 1;
    lariat_transport_lose_connection(tail->output);                      /* once all is out; then output_is_over is called */
}

static void something_changed(lariat_file_watch *watch, const lariat_file_change *change, void *user_data) {
    (void)watch;
    tail *tail = user_data;
    if (change->kind == LARIAT_CHANGE_GONE) {
        complain(tail->directory, "is gone");
        tail->has_failed = 1;
        stop(tail);
    } else if (change->kind == LARIAT_CHANGE_OVERFLOW) {                 /* what is different is told next */
        complain(tail->directory, "more has changed than could be told");
    } else if (!change->is_directory) {
        entry_changed(tail, change);
    } else if (change->kind == LARIAT_CHANGE_MOVED) {
        directory_moved(tail, change);
    }
}

static void list(tail *tail, const char *directory);

static void *listed(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    followed *directory = user_data;
    tail *tail = directory->tail;
    for (size_t i = 0; i < lariat_directory_entries_count(value); i++) {
        const char *name = lariat_directory_entries_name(value, i);
        int32_t kind = lariat_directory_entries_kind(value, i);
        char path[8192];
        const char *slash = directory->path[strlen(directory->path) - 1] == '/' ? "" : "/";
        snprintf(path, sizeof path, "%.4000s%s%.4000s", directory->path, slash, name);
        if (kind == LARIAT_FILE_KIND_DIRECTORY && tail->is_recursive)
            list(tail, path);
        else if ((kind == LARIAT_FILE_KIND_FILE || kind == 0) && find(tail, path) == NULL)
            look_again(follow(tail, path, !tail->shows_all));
    }
    forget(directory);
    return NULL;
}

static void *not_listed(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    followed *directory = user_data;
    directory->is_gone = 1;                                              /* if it is the whole one, that is told */
    return step_failed(deferred, failure, user_data);
}

/* Follows what is there already. The watch is there before, so that nothing is missed in between. */
static void list(tail *tail, const char *path) {
    followed *directory = follow(tail, path, 0);
    wait_for(directory, lariat_reactor_list_directory(tail->reactor, path, 0), listed, not_listed);
    if (!directory->is_busy)
        forget(directory);
}

/* ---- the standard output, and the end ---- */

static void hold(lariat_transport *transport, void *user_data) {
    (void)transport;
    ((tail *)user_data)->is_held = 1;
}

static void let_go(lariat_transport *transport, void *user_data) {
    (void)transport;
    tail *tail = user_data;
    tail->is_held = 0;
    for (followed *followed = tail->files, *next; followed != NULL; followed = next) {
        next = followed->next;
        look(followed);
    }
}

static void output_is_over(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    tail *tail = self;
    tail->output = NULL;
    if (!tail->is_ending || lariat_failure_code(reason) != LARIAT_CONNECTION_DONE)
        tail->has_failed = 1;                                            /* whoever read it has gone */
    lariat_reactor_stop(tail->reactor);
}

static void signalled(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    (void)number;
    stop(user_data);
}

static lariat_status prepare(tail *tail) {
    lariat_protocol protocol;
    lariat_producer producer;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_lost = output_is_over;
    tail->output = lariat_reactor_open_standard_output(tail->reactor, &protocol, tail);
    lariat_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold;
    producer.resume_producing = let_go;
    if (tail->output == NULL || lariat_transport_register_producer(tail->output, &producer, tail) != LARIAT_OK ||
        lariat_reactor_watch_signal(tail->reactor, SIGINT, signalled, tail) == NULL ||
        lariat_reactor_watch_signal(tail->reactor, SIGTERM, signalled, tail) == NULL ||
        lariat_reactor_watch_path(tail->reactor, tail->directory, tail->is_recursive ? LARIAT_WATCH_RECURSIVE : 0,
                                  something_changed, tail) == NULL)
        return lariat_last_error();
    list(tail, tail->directory);
    return LARIAT_OK;
}

/* ---- the demonstration: writes the next thing when the last one was shown ---- */

typedef struct demo {
    tail tail;                         /* first: on_progress gets it */
    int step;
} demo;

static void append(const char *name, const char *text) {
    FILE *file = fopen(name, "a");
    if (file != NULL) {
        fputs(text, file);
        fclose(file);
    }
}

static void next_step(void *user_data) {
    demo *demo = user_data;
    switch (demo->step++) {
    case 0: append("old.log", "a line more\n"); break;
    case 1: append("new.log", "a file that is new\n"); break;
    case 2: append("old.log", "the old one again\n"); break;
    case 3: append("old.log", "and again\n"); break;
    case 4: rename("old.log", "old.log.1"); break;                       /* as those do that rotate files */
    case 5: append("old.log.1", "the last line, under a new name\n"); break;
    case 6: append("old.log", "the first line of its successor\n"); break;
    case 7: append("beside", "what will take the place of another\n"); break;
    case 8: rename("beside", "new.log"); break;
    case 9: append("new.log", "in its place\n"); break;
    default: raise(SIGTERM); break;
    }
}

/* ---- the program ---- */

static int usage(void) {
    fprintf(stderr, "tail [-a] [-r] DIRECTORY | tail --demo\n");
    return 2;
}

/* As the paths that are told begin: without a slash at the end. */
static const char *without_slash(char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return path;
}

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    demo demo = {.tail = {.directory = "."}};
    tail *tail = &demo.tail;
    char folder[] = "/tmp/lariat-tail-XXXXXX";
    for (int i = 1; i < argc && !demonstrates; i++) {
        if (strcmp(argv[i], "-a") == 0)
            tail->shows_all = 1;
        else if (strcmp(argv[i], "-r") == 0)
            tail->is_recursive = 1;
        else if (argv[i][0] != '-' && i + 1 == argc)
            tail->directory = without_slash(argv[i]);
        else
            return usage();
    }
    if (!demonstrates && argv[argc - 1][0] == '-')
        return usage();
    if (demonstrates) {
        if (mkdtemp(folder) == NULL || chdir(folder) < 0) {
            perror(folder);
            return 1;
        }
        append("old.log", "what was there before\n");
        tail->shows_all = 1;
        tail->on_progress = next_step;
    }
    tail->reactor = lariat_reactor_new();
    lariat_status status = prepare(tail);
    if (status == LARIAT_OK)
        status = lariat_reactor_run(tail->reactor);
    if (status != LARIAT_OK)
        fprintf(stderr, "tail: %s\n", lariat_last_error_message());
    lariat_status freed = lariat_reactor_free(tail->reactor);
    while (tail->files != NULL) {
        followed *followed = tail->files;
        tail->files = followed->next;
        free(followed->path);
        free(followed);
    }
    if (demonstrates && status == LARIAT_OK)
        return unlink("old.log") < 0 || unlink("old.log.1") < 0 || unlink("new.log") < 0 || rmdir(folder) < 0 || tail->has_failed;
    return status != LARIAT_OK || freed != LARIAT_OK || tail->has_failed;
}
