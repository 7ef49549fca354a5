/* Files over a protocol of our own: `GET name` and the end of the line; the answer is `OK length`, a line, and so many bytes, or
 * `ERROR why`.
 *
 *     send_file tcp://127.0.0.1:7000 FOLDER     serves until it is killed
 *     send_file                                 or `send_file --demo`: serves a folder of its own to a client
 *
 * The bytes go from the file to the socket without passing through the program, where the system can do that. A client
 * that asks for many files at once gets one after the other; one that does not read waits alone. */
#define _POSIX_C_SOURCE 200809L        /* for openat and mkdtemp under -std=c11 */
#include <lariat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the server ---- */

enum { MAX_LINE = 1000, FILE_BECAME_SHORTER = 1 };

typedef struct server {
    lariat_reactor *reactor;
    int folder;                        /* a descriptor: what is opened is relative to it */
} server;

static void answer_error(lariat_transport *transport, const char *why) {
    char line[128];
    int length = snprintf(line, sizeof line, "ERROR %s", why);
    lariat_transport_write_frame(transport, (const uint8_t *)line, (size_t)length);
}

/* A name leads into the folder: it neither starts at the root nor goes up anywhere. (Links are followed: they are the
 * doing of whoever fills the folder.) */
static int is_inside(const char *name) {
    if (name[0] == '/' || name[0] == '\0')
        return 0;
    for (const char *part = name; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return 0;
    }
    return 1;
}

static void *file_sent(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    (void)value;
    lariat_transport_resume_reading(user_data);              /* the next request, which may have come long ago */
    return NULL;
}

/* We have promised more than there is, or the client is gone: then this changes nothing. */
static void *file_not_sent(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    lariat_transport_fail_connection(user_data, FILE_BECAME_SHORTER, lariat_failure_message(failure));
    return NULL;
}

static void send_file(lariat_transport *transport, int fd, off_t size) {
    char line[64];
    int length = snprintf(line, sizeof line, "OK %lld", (long long)size);
    lariat_transport_write_frame(transport, (const uint8_t *)line, (size_t)length);
    lariat_transport_pause_reading(transport);               /* no line is handed over until it is resumed */
    lariat_deferred *sent = lariat_transport_send_file(transport, fd, 0, (uint64_t)size);
    lariat_deferred_add_callbacks(sent, file_sent, file_not_sent, transport);
    lariat_deferred_release(sent);
    if (sent == NULL)
        lariat_transport_fail_connection(transport, lariat_last_error(), lariat_last_error_message());
}

static void request_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    server *server = self;
    char name[MAX_LINE + 1];
    if (len > 0 && data[len - 1] == '\r')                    /* we take both "\n" and "\r\n" */
        len--;
    if (len < 4 || memcmp(data, "GET ", 4) != 0 || memchr(data, '\0', len) != NULL) {
        answer_error(transport, "unknown request");
        return;
    }
    memcpy(name, data + 4, len - 4);
    name[len - 4] = '\0';
    if (!is_inside(name)) {
        answer_error(transport, "bad name");
        return;
    }
    int fd = openat(server->folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);    /* does not wait for a pipe's writer */
    struct stat status;
    if (fd < 0)
        answer_error(transport, errno == ENOENT || errno == ENOTDIR ? "no such file" : "cannot be read");
    else if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        answer_error(transport, "not a file");
    else
        send_file(transport, fd, status.st_size);
    if (fd >= 0)
        close(fd);                                           /* the library has a descriptor of its own */
}

static void greet(lariat_transport *transport, void *self) {
    (void)self;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, MAX_LINE);
    lariat_transport_set_idle_timeout(transport, 60.0);
}

static lariat_listener *serve(server *server, const char *endpoint) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = greet;
    protocol.data_received = request_received;
    return lariat_reactor_listen(server->reactor, endpoint, &protocol, NULL, server);
}

/* ---- the demonstration: a client that asks for everything at once ---- */

enum { BIG = 3 * 1024 * 1024 };

typedef struct client {
    server server;
    size_t rest;                       /* bytes of a file that are still to come */
    uint32_t sum;
} client;

static void ask(lariat_transport *transport, void *self) {
    (void)self;
    static const char requests[] = "GET hello.txt\nGET nothing.txt\nGET ../hello.txt\nPUT hello.txt\nGET big\nGET ..\n";
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, 0);
    lariat_transport_write(transport, (const uint8_t *)requests, sizeof requests - 1);
    lariat_transport_lose_write_connection(transport);
}

static void answer_received(lariat_transport *transport, const uint8_t *data, size_t len, client *client) {
    char line[128];
    snprintf(line, sizeof line, "%.*s", (int)len, (const char *)data);
    printf("%s\n", line);
    if (sscanf(line, "OK %zu", &client->rest) == 1 && client->rest > 0)
        lariat_transport_set_raw(transport);                 /* bytes follow, not lines */
}

static void bytes_received(lariat_transport *transport, const uint8_t *data, size_t len, client *client) {
    size_t count = len < client->rest ? len : client->rest;
    for (size_t i = 0; i < count; i++)
        client->sum = client->sum * 31 + data[i];
    client->rest -= count;
    if (client->rest > 0)
        return;
    printf("... these bytes: checksum %08x\n", (unsigned)client->sum);
    client->sum = 0;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, 0);
    lariat_transport_unread(transport, data + count, len - count);               /* the beginning of the next answer */
}

static void client_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    client *client = self;
    (client->rest > 0 ? bytes_received : answer_received)(transport, data, len, client);
}

static void all_received(lariat_transport *transport, void *self) {
    (void)self;
    lariat_transport_lose_connection(transport);
}

static void client_is_done(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    printf("%s\n", lariat_status_name(lariat_failure_code(reason)));
    lariat_reactor_stop(((client *)self)->server.reactor);
}

static void start_client(client *client, const char *endpoint) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = ask;
    protocol.data_received = client_received;
    protocol.read_connection_lost = all_received;
    protocol.connection_lost = client_is_done;
    lariat_deferred_release(lariat_reactor_connect(client->server.reactor, endpoint, &protocol, client));
}

static void write_file(int folder, const char *name, const char *text, size_t times) {
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL)
        return;
    for (size_t i = 0; i < times; i++)
        fputs(text, file);
    fclose(file);
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    char folder[] = "/tmp/lariat-files-XXXXXX", endpoint[128];
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    if ((!demonstrates && argc != 3) || (demonstrates && mkdtemp(folder) == NULL)) {
        fprintf(stderr, "send_file ENDPOINT FOLDER | send_file --demo\n");
        return 2;
    }
    const char *path = demonstrates ? folder : argv[2];
    client client = {.server = {.folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)}};
    if (client.server.folder < 0) {
        perror(path);
        return 1;
    }
    client.server.reactor = lariat_reactor_new();
    lariat_listener *listener = serve(&client.server, demonstrates ? "tcp://127.0.0.1:0" : argv[1]);
    lariat_status status = lariat_last_error();
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
    } else {
        lariat_listener_address(listener, endpoint, sizeof endpoint, NULL);
        if (demonstrates) {
            write_file(client.server.folder, "hello.txt", "hello from a file\n", 1);
            write_file(client.server.folder, "big", "a line of the big file\n", BIG / 23);
            start_client(&client, endpoint);
        } else {
            printf("Listening at %s\n", endpoint);
            fflush(stdout);
        }
        status = lariat_reactor_run(client.server.reactor);
    }
    lariat_status freed = lariat_reactor_free(client.server.reactor);
    if (demonstrates) {
        unlinkat(client.server.folder, "hello.txt", 0);
        unlinkat(client.server.folder, "big", 0);
        rmdir(path);
    }
    close(client.server.folder);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
