/* Riding another event loop: the program's own, over poll(2). It watches one descriptor more, which is readable when
 * lariat has work, timers and calls from threads included, and then gives lariat a turn that does not wait. */
#define _POSIX_C_SOURCE 200809L        /* for pipe and write under -std=c11 */
#include <lariat.h>

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

typedef struct program {
    lariat_reactor *reactor;
    int pipe[2];                       /* something of the program's own that its loop watches */
    pthread_t thread;
    int thread_started;
} program;

static void ring(void *user_data) {
    program *program = user_data;
    printf("A timer of lariat's rings\n");
    if (write(program->pipe[1], "!", 1) != 1)
        lariat_reactor_stop(program->reactor);
}

static void say_goodbye(void *user_data) {
    program *program = user_data;
    printf("A call from a thread: goodbye\n");
    lariat_reactor_stop(program->reactor);
}

static void *visitor(void *user_data) {
    program *program = user_data;
    lariat_reactor_call_from_thread(program->reactor, say_goodbye, program);     /* wakes the poll below */
    return NULL;
}

/* The program's own business: its pipe was rung. */
static void answer_pipe(program *program) {
    char byte;
    if (read(program->pipe[0], &byte, 1) != 1)
        return;
    printf("The program's own pipe is readable\n");
    program->thread_started = pthread_create(&program->thread, NULL, visitor, program) == 0;
    if (!program->thread_started)
        lariat_reactor_stop(program->reactor);
}

/* How long poll may wait at most, in whole milliseconds, rounded up so that it does not wake too early. */
static int poll_timeout(lariat_reactor *reactor) {
    double seconds = lariat_reactor_next_deadline(reactor);
    if (isinf(seconds))
        return -1;
    return seconds < 1000.0 ? (int)ceil(seconds * 1000.0) : 1000000;
}

static lariat_status loop(program *program) {
    lariat_socket backend;
    lariat_status status = lariat_reactor_backend_fd(program->reactor, &backend);
    if (status == LARIAT_OK)
        status = lariat_reactor_iterate(program->reactor, 0.0);                  /* the first turn starts the reactor */
    while (status >= LARIAT_OK && status != LARIAT_STOPPED) {
        struct pollfd watched[2] = {{.fd = program->pipe[0], .events = POLLIN}, {.fd = backend, .events = POLLIN}};
        poll(watched, 2, poll_timeout(program->reactor));
        if (watched[0].revents != 0)
            answer_pipe(program);
        status = lariat_reactor_iterate(program->reactor, 0.0);                  /* cheap if there is nothing to do */
    }
    return status;
}

int main(void) {
    program program = {.reactor = lariat_reactor_new()};
    if (pipe(program.pipe) != 0)
        return 1;
    lariat_reactor_call_later(program.reactor, 0.010, ring, &program);

    lariat_status status = loop(&program);
    if (status == LARIAT_STOPPED)
        printf("The reactor has stopped; the program's loop ends\n");

    if (program.thread_started)
        pthread_join(program.thread, NULL);
    close(program.pipe[0]);
    close(program.pipe[1]);
    return lariat_reactor_free(program.reactor);
}
