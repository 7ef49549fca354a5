/* A shell over TCP, on a terminal of its own: `telnet 127.0.0.1 7023` gives a prompt, in a window that can change its size.
 *
 *     shell_server [OPTIONS] [PORT | ENDPOINT]    serves at port 7023 of 127.0.0.1 unless told, until SIGINT or SIGTERM
 *         -s SHELL      what is run instead of /bin/sh
 *         -r            no telnet: bytes alone, for `socat -,raw,echo=0 tcp:127.0.0.1:7023`
 *         --anyone      allows other addresses than 127.0.0.1
 *     shell_server                                or `shell_server --demo`: two visitors, one that says exit, one that goes
 *
 * Nobody is asked for a password, and nothing is encrypted: whoever can connect is the user that runs this. When a client
 * goes, its terminal is hung up, and what its shell leaves running in its group is ended. A client that does not read
 * holds up its own shell, and nobody else. */
#define _POSIX_C_SOURCE 200809L        /* for signals under -std=c11 */
#include <lariat.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SESSIONS = 16, MAX_SUBOPTION = 32, IDLE_SECONDS = 3600 };

/* ---- telnet, as far as a shell needs it: RFC 854, 857, 858, and 1073 for the size of the window ---- */

enum { IAC = 255, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, INTERRUPT = 244, SE = 240 };
enum { ECHO_HERE = 1, SUPPRESS_GO_AHEAD = 3, WINDOW_SIZE = 31 };
enum { BYTES, AFTER_RETURN, COMMAND, OPTION, SUBOPTION, SUBOPTION_COMMAND };

/* ---- a session: a client, and the shell that it has ---- */

typedef struct session {
    struct server *server;
    lariat_transport *client;          /* stale when it has gone */
    lariat_process *shell;             /* NULL once it is over */
    lariat_transport *terminal;        /* what the shell reads and writes */
    lariat_delayed_call *hang_up;
    unsigned number;
    int owners;                        /* the protocols that still have it as their self */
    int telnet;                        /* what is read: BYTES and so on */
    uint8_t verb, suboption[MAX_SUBOPTION];
    size_t suboption_length;
} session;

typedef struct server {
    lariat_reactor *reactor;
    const char *shell;
    const char *const *environment;    /* NULL: ours */
    int is_raw;
    unsigned sessions;
    void (*on_end)(void *);            /* for the demonstration; else NULL */
} server;

/* The free_self of both sides. */
static void release(void *self) {
    session *session = self;
    if (--session->owners == 0)
        free(session);
}

static void option_received(session *session, uint8_t option) {
    const uint8_t refusal[] = {IAC, session->verb == WILL ? DONT : WONT, option};
    if ((session->verb == WILL && option != WINDOW_SIZE) ||
        (session->verb == DO && option != ECHO_HERE && option != SUPPRESS_GO_AHEAD))
        lariat_transport_write(session->client, refusal, sizeof refusal);
}

static void suboption_received(const session *session) {
    const uint8_t *data = session->suboption;
    if (session->suboption_length == 5 && data[0] == WINDOW_SIZE)
        lariat_transport_set_terminal_size(session->terminal, (uint16_t)(data[1] << 8 | data[2]),
                                           (uint16_t)(data[3] << 8 | data[4]));
}

static void keep_suboption(session *session, uint8_t byte) {
    if (session->suboption_length < MAX_SUBOPTION)                       /* a longer one is none of ours */
        session->suboption[session->suboption_length++] = byte;
}

/* Takes one byte of the client's; returns 1 if it is for the shell, which gets *byte. */
static int telnet_takes(session *session, uint8_t *byte) {
    switch (session->telnet) {
    case AFTER_RETURN:                                                   /* the end of a line is "\r\n" or "\r\0" */
        session->telnet = BYTES;
        if (*byte == '\n' || *byte == '\0')
            return 0;
        /* fall through */
    case BYTES:
        session->telnet = *byte == IAC ? COMMAND : *byte == '\r' ? AFTER_RETURN : BYTES;
        return *byte != IAC;
    case COMMAND:
        session->telnet = *byte == SB ? SUBOPTION : *byte >= WILL && *byte <= DONT ? OPTION : BYTES;
        session->verb = *byte;
        session->suboption_length = 0;
        if (*byte == INTERRUPT)
            *byte = 3;                                                   /* Ctrl-C */
        return session->verb == INTERRUPT || session->verb == IAC;
    case OPTION:
        session->telnet = BYTES;
        option_received(session, *byte);
        return 0;
    case SUBOPTION:
        if (*byte == IAC)
            session->telnet = SUBOPTION_COMMAND;
        else
            keep_suboption(session, *byte);
        return 0;
    default:                                                             /* SUBOPTION_COMMAND */
        session->telnet = *byte == SE ? BYTES : SUBOPTION;
        if (*byte == SE)
            suboption_received(session);
        else if (*byte == IAC)
            keep_suboption(session, IAC);
        return 0;
    }
}

/* A change of the window's size counts from where it came: what was typed before is written before. */
static void client_has_typed(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport;
    session *session = self;
    uint8_t plain[4096];
    size_t length = 0;
    if (session->server->is_raw) {
        lariat_transport_write(session->terminal, data, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = data[i];
        if (telnet_takes(session, &byte))
            plain[length++] = byte;
        if (length == sizeof plain || byte == IAC || i + 1 == len) {
            lariat_transport_write(session->terminal, plain, length);
            length = 0;
        }
    }
}

static void shell_has_written(lariat_process *shell, int32_t child_fd, const uint8_t *data, size_t len, void *self) {
    (void)shell;
    (void)child_fd;
    session *session = self;
    while (len > 0) {
        const uint8_t *command = session->server->is_raw ? NULL : memchr(data, IAC, len);
        size_t length = command != NULL ? (size_t)(command - data) + 1 : len;
        lariat_transport_write(session->client, data, length);
        if (command != NULL)
            lariat_transport_write(session->client, command, 1);         /* IAC twice stands for the byte itself */
        data += length;
        len -= length;
    }
}

/* Closing the terminal has the shell, and what it runs in front, get SIGHUP; who does not end by that, is ended. */
static void client_has_gone(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    (void)reason;
    session *session = self;
    if (session->shell == NULL)
        return;
    printf("Client %u has gone\n", session->number);
    fflush(stdout);
    lariat_transport_abort_connection(session->terminal);                /* what was typed and not read yet is dropped */
    lariat_process_terminate(session->shell, 2.0);
}

/* The shell has ended, but something that it has left in the background still has the terminal: that does not keep the
 * client. What the client has not read yet does. */
static void hang_up(void *user_data) {
    session *session = user_data;
    session->hang_up = NULL;
    if (lariat_transport_buffered(session->client) > 0)
        session->hang_up = lariat_reactor_call_later(session->server->reactor, 0.5, hang_up, session);
    else
        lariat_transport_abort_connection(session->terminal);
}

static void shell_has_exited(lariat_process *shell, const lariat_failure *reason, void *self) {
    (void)shell;
    (void)reason;
    session *session = self;
    session->hang_up = lariat_reactor_call_later(session->server->reactor, 0.5, hang_up, session);
}

static void shell_is_over(lariat_process *shell, const lariat_failure *reason, void *self) {
    (void)reason;
    session *session = self;
    int32_t code = -1;
    if (lariat_process_exit_code(shell, &code) == LARIAT_OK && code >= 0)
        printf("Shell %u has ended with code %d\n", session->number, code);
    else
        printf("Shell %u was ended\n", session->number);
    fflush(stdout);
    session->shell = NULL;
    if (session->hang_up != NULL)
        lariat_delayed_call_cancel(session->hang_up);
    lariat_transport_lose_connection(session->client);                   /* once it has all; gone or not, it may be told */
    if (session->server->on_end != NULL)
        session->server->on_end(session->server);
}

/* Backpressure: who produces for one side is the other. */
static void hold(lariat_transport *transport, void *user_data) {
    session *session = user_data;
    lariat_transport_pause_reading(transport == session->client ? session->terminal : session->client);
}

static void let_go(lariat_transport *transport, void *user_data) {
    session *session = user_data;
    lariat_transport_resume_reading(transport == session->client ? session->terminal : session->client);
}

static void join(session *session) {
    static const uint8_t greeting[] = {IAC, WILL, ECHO_HERE, IAC, WILL, SUPPRESS_GO_AHEAD, IAC, DO, WINDOW_SIZE};
    lariat_producer producer;
    lariat_producer_init(&producer, sizeof producer);
    producer.pause_producing = hold;
    producer.resume_producing = let_go;
    lariat_transport_register_producer(session->client, &producer, session);
    lariat_transport_register_producer(session->terminal, &producer, session);
    if (!session->server->is_raw)
        lariat_transport_write(session->client, greeting, sizeof greeting);
    lariat_transport_set_idle_timeout(session->client, IDLE_SECONDS);
    lariat_transport_set_keep_alive(session->client, 60.0, 10.0, 6);
}

static lariat_process *spawn_shell(session *session) {
    lariat_process_options options;
    lariat_process_protocol protocol;
    lariat_process_options_init(&options, sizeof options);
    options.program = session->server->shell;
    options.environment = session->server->environment;
    options.flags = LARIAT_PROCESS_SEARCH_PATH | LARIAT_PROCESS_TERMINAL | LARIAT_PROCESS_KILL_GROUP |
                    LARIAT_PROCESS_KILL_AT_END;
    options.columns = 80;                                                /* until the client tells */
    options.rows = 24;
    lariat_process_protocol_init(&protocol, sizeof protocol);
    protocol.child_data_received = shell_has_written;
    protocol.process_exited = shell_has_exited;
    protocol.process_ended = shell_is_over;
    protocol.free_self = release;
    return lariat_reactor_spawn(session->server->reactor, &options, &protocol, session);
}

static lariat_status client_connected(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    server *server = user_data;
    session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return LARIAT_ERR_NO_MEMORY;                                     /* refuses the connection */
    *session = (struct session){.server = server, .client = transport, .number = ++server->sessions, .owners = 1};
    lariat_process *shell = spawn_shell(session);                        /* has called release if it fails */
    if (shell == NULL) {
        printf("No shell: %s\n", lariat_last_error_message());
        fflush(stdout);
        return lariat_last_error();
    }
    session->shell = shell;
    session->terminal = lariat_process_transport(shell, 0);
    session->owners = 2;
    join(session);
    *self = session;
    return LARIAT_OK;
}

static lariat_listener *serve(server *server, const char *endpoint) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.data_received = client_has_typed;
    protocol.connection_lost = client_has_gone;
    protocol.free_self = release;
    lariat_listener *listener = lariat_reactor_listen(server->reactor, endpoint, &protocol, client_connected, server);
    if (listener == NULL || lariat_reactor_stop_on_signal(server->reactor, SIGTERM) == NULL ||
        lariat_reactor_stop_on_signal(server->reactor, SIGINT) == NULL)
        return NULL;
    lariat_listener_set_max_connections(listener, MAX_SESSIONS);
    return listener;
}

/* ---- the demonstration: visitors who type the next command when the last one has answered ---- */

/* What a command answers begins with ==, which is nowhere in the commands as they are echoed. */
typedef struct step {
    const char *typed, *answer;
    uint16_t columns, rows;            /* what the window becomes before; 0: stays as it is */
} step;

static const step FIRST[] = {
    {"tty > /dev/null && echo =''= a terminal\r\n", "== a terminal", 0, 0},
    {"echo =''= $(stty size)\r\n", "== 30 100", 100, 30},
    {"echo =''= $(stty size)\r\n", "== 43 255", 255, 43},
    {"sh -c 'echo \"=\"= asleep; exec sleep 1000'\r\n", "== asleep", 0, 0},
    {"\3echo =''= awake\r\n", "== awake", 0, 0},
    {"exit 3\r\n", NULL, 0, 0},
};

static const step SECOND[] = {
    {"sh -c 'echo \"=\"= asleep; exec sleep 1000'\r\n", "== asleep", 0, 0},
    {NULL, NULL, 0, 0},                                                  /* goes */
};

typedef struct demo {
    server server;                     /* first: on_end gets it */
    char endpoint[128];
    const step *step;
} demo;

static void do_step(lariat_transport *transport, const step *step) {
    if (step->typed == NULL) {
        lariat_transport_lose_connection(transport);
        return;
    }
    if (step->columns != 0) {
        uint8_t size[16] = {IAC, SB, WINDOW_SIZE};
        size_t length = 3;
        const uint8_t bytes[] = {(uint8_t)(step->columns >> 8), (uint8_t)step->columns, (uint8_t)(step->rows >> 8),
                                 (uint8_t)step->rows};
        for (size_t i = 0; i < sizeof bytes; i++) {
            size[length++] = bytes[i];
            if (bytes[i] == IAC)
                size[length++] = IAC;                                    /* twice stands for the byte itself */
        }
        size[length++] = IAC;
        size[length++] = SE;
        lariat_transport_write(transport, size, length);
    }
    lariat_transport_write(transport, (const uint8_t *)step->typed, strlen(step->typed));
}

static void visitor_meets(lariat_transport *transport, void *self) {
    demo *demo = self;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\r\n", 2, 0);
    do_step(transport, demo->step);
}

static void visitor_sees(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    demo *demo = self;
    char line[1000];
    snprintf(line, sizeof line, "%.*s", (int)len, (const char *)data);
    const char *answer = strstr(line, "== ");                            /* a prompt may be before it */
    if (answer == NULL || demo->step->answer == NULL)
        return;
    printf("%s\n", answer);
    if (strcmp(answer, demo->step->answer) == 0)
        do_step(transport, ++demo->step);
}

static void visit(demo *demo) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = visitor_meets;
    protocol.data_received = visitor_sees;
    lariat_deferred_release(lariat_reactor_connect(demo->server.reactor, demo->endpoint, &protocol, demo));
}

static void shell_has_ended(void *user_data) {
    demo *demo = user_data;
    if (demo->server.sessions == 2) {
        lariat_reactor_stop(demo->server.reactor);
        return;
    }
    demo->step = SECOND;
    visit(demo);
}

static void start_demo(demo *demo, lariat_listener *listener) {
    lariat_listener_address(listener, demo->endpoint, sizeof demo->endpoint, NULL);
    demo->server.on_end = shell_has_ended;
    demo->step = FIRST;
    visit(demo);
}

/* ---- the program ---- */

static int usage(void) {
    fprintf(stderr, "shell_server [-s SHELL] [-r] [--anyone] [PORT | ENDPOINT] | shell_server --demo\n");
    return 2;
}

/* Whether only this machine can connect there. */
static int is_local(const char *endpoint) {
    return strncmp(endpoint, "tcp://127.0.0.1:", 16) == 0 || strncmp(endpoint, "tcp://[::1]:", 12) == 0 ||
           strncmp(endpoint, "unix:", 5) == 0;
}

int main(int argc, char **argv) {
    static const char *const plain_environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "PS1=$ ", "TERM=dumb", NULL};
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0, for_anyone = 0;
    demo demo = {.server = {.shell = "/bin/sh"}};
    server *server = &demo.server;
    char endpoint[256] = "7023";
    for (int i = 1; i < argc && !demonstrates; i++) {
        if (strcmp(argv[i], "-s") == 0 && i + 1 < argc)
            server->shell = argv[++i];
        else if (strcmp(argv[i], "-r") == 0)
            server->is_raw = 1;
        else if (strcmp(argv[i], "--anyone") == 0)
            for_anyone = 1;
        else if (argv[i][0] != '-' && i + 1 == argc && strlen(argv[i]) < sizeof endpoint - 16)
            strcpy(endpoint, argv[i]);
        else
            return usage();
    }
    if (demonstrates)
        strcpy(endpoint, "0");
    if (strspn(endpoint, "0123456789") == strlen(endpoint)) {            /* a port alone */
        memmove(endpoint + 16, endpoint, strlen(endpoint) + 1);
        memcpy(endpoint, "tcp://127.0.0.1:", 16);
    }
    if (!is_local(endpoint) && !for_anyone) {
        fprintf(stderr, "%s: whoever can connect there gets a shell: only with --anyone\n", endpoint);
        return 2;
    }
    server->reactor = lariat_reactor_new();
    server->environment = demonstrates ? plain_environment : NULL;
    lariat_listener *listener = serve(server, endpoint);
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
        lariat_reactor_free(server->reactor);
        return 1;
    }
    if (demonstrates) {
        start_demo(&demo, listener);
    } else {
        char address[128];
        lariat_listener_address(listener, address, sizeof address, NULL);
        printf("Listening at %s\n", address);
        fflush(stdout);
    }
    lariat_status status = lariat_reactor_run(server->reactor);
    lariat_status freed = lariat_reactor_free(server->reactor);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
