/* A task runner: commands of the shell side by side, so many at a time, and what each has written in one piece.
 *
 *     task_runner [OPTIONS] COMMAND...    runs these; with `-` for a command, those that are lines of the standard input
 *         -j N        so many at a time; 4 unless told
 *         -t SECONDS  how long each may take; then it is asked to end, and killed five seconds later
 *         -k          shows them in the order in which they were given, not in which they end
 *     task_runner                         or `task_runner --demo`: a few that need one another, and one that hangs
 *
 * Ends with 0 if every command did, else with 1. SIGINT, SIGTERM and SIGHUP end it: no more commands are started, those
 * that run are asked to end, and killed after five seconds, or on a second signal. What a command leaves running in its
 * group ends with it. If the standard output is read slowly, no more is run than can be shown. */
#define _POSIX_C_SOURCE 200809L        /* for signals and mkdtemp under -std=c11 */
#include <lariat.h>

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINE = 100000, MAX_OUTPUT = 64 * 1024 * 1024, MAX_WAITING = 1000, KILL_AFTER = 5 };

/* ---- tasks, in the order in which they were given ---- */

typedef struct task {
    struct task *next;
    struct runner *runner;
    lariat_process *process;           /* NULL: it does not run */
    unsigned number;
    double limit, started;
    char *output;                      /* both standard streams, as it came */
    size_t length, capacity;
    int has_started, is_over, writes_too_much;
    char outcome[300];
    char command[];
} task;

typedef struct runner {
    lariat_reactor *reactor;
    lariat_transport *input, *output;  /* the standard streams; NULL: not there, or over */
    task *first, *last;                /* those that are not shown yet */
    task *to_start;                    /* the first that was not started, if any */
    unsigned given, waiting, running, over, at_once;
    double limit;
    char line[MAX_LINE];               /* of the input, as far as it has come */
    size_t line_length;
    int keeps_order, is_held, is_terminal, is_ending, is_done, has_failed, hides_time;
} runner;

static void go_on(runner *runner);

static void *must(void *memory) {
    if (memory == NULL) {
        fprintf(stderr, "task_runner: no memory\n");
        exit(1);
    }
    return memory;
}

static void add(runner *runner, const char *command, size_t length, double limit) {
    task *task = must(calloc(1, sizeof *task + length + 1));
    task->runner = runner;
    task->number = ++runner->given;
    task->limit = limit;
    memcpy(task->command, command, length);
    *(runner->last != NULL ? &runner->last->next : &runner->first) = task;
    runner->last = task;
    if (runner->to_start == NULL)
        runner->to_start = task;
    runner->waiting++;
}

/* ---- what is shown ---- */

static void print(runner *runner, const char *format, ...) {
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t written = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    lariat_transport_write(runner->output, (const uint8_t *)text, written);
}

/* To a terminal, the last line says how it stands, and is written over by what comes next. */
static void show_progress(runner *runner) {
    if (runner->is_terminal)
        print(runner, "\r\033[K%u of %u done, %u running", runner->over, runner->given, runner->running);
}

static void show(runner *runner, task *task) {
    if (runner->is_terminal)
        print(runner, "\r\033[K");
    print(runner, "[%u] %s: %.500s\n", task->number, task->outcome, task->command);
    lariat_transport_write(runner->output, (const uint8_t *)task->output, task->length);
    if (task->length > 0 && task->output[task->length - 1] != '\n')
        print(runner, "\n");
}

/* Shows what may be shown, and forgets it. */
static void show_those_over(runner *runner) {
    task **link = &runner->first, *last = NULL;
    while (*link != NULL && (!runner->keeps_order || (*link)->is_over)) {
        task *task = *link;
        if (!task->is_over) {
            last = task;
            link = &task->next;
            continue;
        }
        show(runner, task);
        *link = task->next;
        free(task->output);
        free(task);
    }
    if (*link == NULL)
        runner->last = last;
}

/* ---- running one ---- */

static void task_has_written(lariat_process *process, int32_t child_fd, const uint8_t *data, size_t len, void *self) {
    (void)child_fd;
    task *task = self;
    if (task->writes_too_much)
        return;
    if (task->length + len > MAX_OUTPUT) {
        task->writes_too_much = 1;
        lariat_process_terminate(process, KILL_AFTER);
        return;
    }
    if (task->length + len > task->capacity) {
        task->capacity = 2 * (task->length + len);
        task->output = must(realloc(task->output, task->capacity));
    }
    memcpy(task->output + task->length, data, len);
    task->length += len;
}

static void task_is_over(lariat_process *process, const lariat_failure *reason, void *self) {
    task *task = self;
    runner *runner = task->runner;
    char how[200];
    int32_t code = -1, number = 0;
    int known = lariat_process_exit_code(process, &code) == LARIAT_OK &&
                lariat_process_exit_signal(process, &number) == LARIAT_OK;
    if (task->writes_too_much)
        snprintf(how, sizeof how, "has written too much");
    else if (lariat_failure_code(reason) == LARIAT_ERR_TIMED_OUT)
        snprintf(how, sizeof how, "took longer than %g s", task->limit);
    else if (!known)
        snprintf(how, sizeof how, "%s", lariat_failure_message(reason));
    else if (code >= 0)
        snprintf(how, sizeof how, "exit %d", code);
    else
        snprintf(how, sizeof how, "signal %d", number);
    double took = lariat_reactor_seconds(runner->reactor) - task->started;
    snprintf(task->outcome, sizeof task->outcome, runner->hides_time ? "%s" : "%s in %.2f s", how, took);
    runner->has_failed |= lariat_failure_code(reason) != LARIAT_PROCESS_DONE || task->writes_too_much;
    task->process = NULL;
    task->is_over = 1;
    runner->running--;
    runner->over++;
    go_on(runner);
}

static void start(runner *runner, task *task) {
    const char *const arguments[] = {"sh", "-c", task->command, NULL};
    const lariat_process_descriptor descriptors[] = {                    /* 0 is the null device then */
        {.child_fd = 1, .kind = LARIAT_DESCRIPTOR_PIPE_OUT},
        {.child_fd = 2, .kind = LARIAT_DESCRIPTOR_PIPE_OUT},
    };
    lariat_process_options options;
    lariat_process_protocol protocol;
    lariat_process_options_init(&options, sizeof options);
    options.program = "/bin/sh";
    options.arguments = arguments;
    options.flags = LARIAT_PROCESS_NEW_GROUP | LARIAT_PROCESS_KILL_GROUP | LARIAT_PROCESS_KILL_AT_END;
    options.descriptors = descriptors;
    options.descriptor_count = 2;
    options.time_limit = task->limit;
    options.kill_after = KILL_AFTER;
    lariat_process_protocol_init(&protocol, sizeof protocol);
    protocol.child_data_received = task_has_written;
    protocol.process_ended = task_is_over;
    task->has_started = 1;
    task->started = lariat_reactor_seconds(runner->reactor);
    task->process = lariat_reactor_spawn(runner->reactor, &options, &protocol, task);
    if (task->process != NULL) {
        runner->running++;
        return;
    }
    snprintf(task->outcome, sizeof task->outcome, "cannot be started: %.200s", lariat_last_error_message());
    task->is_over = runner->has_failed = 1;
    runner->over++;
}

/* ---- running all ---- */

/* Starts and shows what can be, and ends when there is nothing more. Called after every change. */
static void go_on(runner *runner) {
    while (!runner->is_ending && !runner->is_held && runner->running < runner->at_once && runner->to_start != NULL) {
        task *task = runner->to_start;
        runner->to_start = task->next;
        runner->waiting--;
        start(runner, task);
    }
    show_those_over(runner);
    if (runner->waiting < MAX_WAITING)
        lariat_transport_resume_reading(runner->input);
    else
        lariat_transport_pause_reading(runner->input);
    int has_more = runner->input != NULL || runner->to_start != NULL;
    if (runner->running > 0 || (has_more && !runner->is_ending)) {
        show_progress(runner);
    } else {
        if (runner->is_terminal)
            print(runner, "\r\033[K");
        runner->is_done = 1;
        lariat_transport_lose_connection(runner->output);                /* once all is out; then output_is_over is called */
        if (runner->output == NULL)
            lariat_reactor_stop(runner->reactor);
    }
}

static void end_all(runner *runner, double grace_seconds) {
    runner->is_ending = runner->has_failed = 1;
    lariat_transport_lose_connection(runner->input);
    for (task *task = runner->first; task != NULL; task = task->next)
        if (task->process != NULL)
            lariat_process_terminate(task->process, grace_seconds);
    go_on(runner);
}

static void signalled(lariat_signal_watch *watch, int32_t number, void *user_data) {
    (void)watch;
    (void)number;
    runner *runner = user_data;
    end_all(runner, runner->is_ending ? 0.0 : KILL_AFTER);
}

static void end_line(runner *runner) {
    if (runner->line_length > 0)
        add(runner, runner->line, runner->line_length, runner->limit);
    runner->line_length = 0;
}

/* By hand, not by framing, as the last line need not have an end. */
static void input_read(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    runner *runner = self;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n')
            end_line(runner);
        else if (runner->line_length < MAX_LINE)
            runner->line[runner->line_length++] = (char)data[i];
        else
            lariat_transport_fail_connection(transport, LARIAT_ERR_TOO_LONG, "a command is too long");
    }
    go_on(runner);
}

static void input_is_over(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    runner *runner = self;
    if (lariat_failure_code(reason) == LARIAT_CONNECTION_DONE) {
        end_line(runner);
    } else {
        fprintf(stderr, "task_runner: the standard input: %s\n", lariat_failure_message(reason));
        runner->has_failed = 1;
    }
    runner->input = NULL;
    go_on(runner);
}

/* All is shown; or whoever reads it has gone. */
static void output_is_over(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    runner *runner = self;
    runner->output = NULL;
    if (!runner->is_done || lariat_failure_code(reason) != LARIAT_CONNECTION_DONE)
        runner->has_failed = 1;
    if (runner->is_done)
        lariat_reactor_stop(runner->reactor);
    else
        end_all(runner, KILL_AFTER);
}

static void hold(lariat_transport *transport, void *user_data) {
    (void)transport;
    ((runner *)user_data)->is_held = 1;
}

static void let_go(lariat_transport *transport, void *user_data) {
    (void)transport;
    runner *runner = user_data;
    runner->is_held = 0;
    go_on(runner);
}

static lariat_status prepare(runner *runner, int reads) {
    static const int32_t signals[] = {SIGINT, SIGTERM, SIGHUP};
    lariat_protocol protocol;
    lariat_producer producer;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_lost = output_is_over;
    runner->output = lariat_reactor_open_standard_output(runner->reactor, &protocol, runner);
    if (runner->output == NULL)
        return lariat_last_error();
    runner->is_terminal = lariat_transport_is_terminal(runner->output) == 1;
    lariat_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold;
    producer.resume_producing = let_go;
    lariat_transport_register_producer(runner->output, &producer, runner);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (lariat_reactor_watch_signal(runner->reactor, signals[i], signalled, runner) == NULL)
            return lariat_last_error();
    if (!reads)
        return LARIAT_OK;
    protocol.data_received = input_read;
    protocol.connection_lost = input_is_over;
    runner->input = lariat_reactor_open_standard_input(runner->reactor, &protocol, runner);
    return runner->input == NULL ? lariat_last_error() : LARIAT_OK;
}

static void begin(void *user_data) {
    go_on(user_data);
}

static void forget_all(runner *runner) {
    while (runner->first != NULL) {
        task *task = runner->first;
        runner->first = task->next;
        free(task->output);
        free(task);
    }
}

/* ---- the demonstration: in a folder of its own, with named pipes by which the first two wait for each other ---- */

static void add_demo(runner *runner) {
    static const char *const commands[] = {
        "echo ping > there; cat back",
        "cat there; echo pong > back",
        "echo to the standard error >&2; exit 3",
        "kill -KILL $$",
        "sleep 1000 & echo what is left behind ends, too",
        "printf 'no end of the line'",
    };
    runner->at_once = 2;
    runner->keeps_order = runner->hides_time = 1;
    lariat_reactor_make_pipe(runner->reactor, "there", 0600);
    lariat_reactor_make_pipe(runner->reactor, "back", 0600);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        add(runner, commands[i], strlen(commands[i]), INFINITY);
    add(runner, "sleep 1000", 10, 0.1);
}

/* ---- the program ---- */

static int usage(void) {
    fprintf(stderr, "task_runner [-j N] [-t SECONDS] [-k] COMMAND... | task_runner --demo\n");
    return 2;
}

/* Reads the options; returns where the commands begin, or argc if something is wrong. */
static int read_options(runner *runner, int argc, char **argv) {
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "-k") == 0)
            runner->keeps_order = 1;
        else if (strcmp(argv[i], "-j") == 0 && i + 1 < argc)
            runner->at_once = (unsigned)strtoul(argv[++i], &end, 10);
        else if (strcmp(argv[i], "-t") == 0 && i + 1 < argc)
            runner->limit = strtod(argv[++i], &end);
        else
            return argc;
        if (end != NULL && (*end != '\0' || end == argv[i]))
            return argc;
    }
    return runner->at_once >= 1 && runner->at_once <= 10000 && runner->limit > 0.0 ? i : argc;
}

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0, reads = 0;
    runner runner = {.at_once = 4, .limit = INFINITY};
    int commands = demonstrates ? argc : read_options(&runner, argc, argv);
    if (!demonstrates && commands == argc)
        return usage();
    char folder[] = "/tmp/lariat-tasks-XXXXXX";
    runner.reactor = lariat_reactor_new();
    for (int i = commands; i < argc; i++) {
        if (strcmp(argv[i], "-") == 0)
            reads = 1;
        else
            add(&runner, argv[i], strlen(argv[i]), runner.limit);
    }
    lariat_status status = prepare(&runner, reads);
    if (demonstrates && status == LARIAT_OK) {
        if (mkdtemp(folder) == NULL || chdir(folder) < 0) {
            perror(folder);
            return 1;
        }
        add_demo(&runner);
    }
    if (status == LARIAT_OK)
        status = lariat_reactor_call_when_running(runner.reactor, begin, &runner);
    if (status == LARIAT_OK)
        status = lariat_reactor_run(runner.reactor);
    if (status != LARIAT_OK)
        fprintf(stderr, "task_runner: %s\n", lariat_last_error_message());
    lariat_status freed = lariat_reactor_free(runner.reactor);
    forget_all(&runner);
    if (demonstrates) {
        unlink("there");
        unlink("back");
        return status != LARIAT_OK || freed != LARIAT_OK || rmdir(folder) < 0;
    }
    return status != LARIAT_OK || freed != LARIAT_OK || runner.has_failed;
}
