/* An echo server over watched sockets: many clients, one thread.
 *
 *     echo_server PORT       serves 127.0.0.1:PORT until it is killed; talk to it with `nc 127.0.0.1 PORT`
 *     echo_server            or `echo_server --demo`: serves any free port, talks to itself with two clients, and ends
 *
 * The sockets are the program's: it makes, reads, writes and closes them. lariat tells when they are ready. */
#define _POSIX_C_SOURCE 200809L        /* for sockets and MSG_NOSIGNAL under -std=c11 */
#include <lariat.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a client of the server's ---- */

typedef struct connection {
    int fd;
    size_t sent, received;             /* buffer[sent..received] waits to be sent */
    char buffer[16384];
} connection;

/* The watcher owns its connection: called when it has stopped, also when the reactor is freed. */
static void close_connection(void *user_data) {
    connection *connection = user_data;
    close(connection->fd);
    free(connection);
}

/* Sends what waits. 0 when all of it went out, 1 when the socket is full, -1 when the client is gone. */
static int send_waiting(connection *connection) {
    while (connection->sent < connection->received) {
        const char *rest = connection->buffer + connection->sent;
        ssize_t sent = send(connection->fd, rest, connection->received - connection->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1;
        connection->sent += (size_t)sent;
    }
    connection->sent = connection->received = 0;
    return 0;
}

/* Receives once: readiness is level-triggered, so what is left is told again. 0 to go on, -1 at the end. */
static int receive(connection *connection) {
    ssize_t received = recv(connection->fd, connection->buffer, sizeof connection->buffer, 0);
    if (received < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    connection->received = (size_t)received;
    return received == 0 ? -1 : 0;
}

/* A client that does not read is not read from either: one buffer each is all that it costs. */
static void on_client_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    connection *connection = user_data;
    int status = 0;
    if ((readiness & LARIAT_READABLE) && connection->received == 0)
        status = receive(connection);
    if (status == 0)
        status = send_waiting(connection);
    if (status < 0)
        lariat_watcher_stop(watcher);                        /* safe in its own callback; close_connection follows */
    else
        lariat_watcher_set_interest(watcher, status == 0 ? LARIAT_READABLE : LARIAT_WRITABLE);
}

/* ---- the server ---- */

typedef struct server {
    lariat_reactor *reactor;
    lariat_watcher *watcher;
    int fd;
    uint16_t port;
    pthread_t client;                  /* of the demonstration */
    int client_started;
} server;

static int set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : 0;
}

static void serve(server *server, int fd) {
    connection *connection = malloc(sizeof *connection);
    if (connection == NULL || set_nonblocking(fd) < 0) {
        free(connection);
        close(fd);
        return;
    }
    connection->fd = fd;
    connection->sent = connection->received = 0;
    lariat_watcher *watcher = lariat_reactor_watch_full(server->reactor, fd, LARIAT_READABLE, on_client_ready,
                                                        connection, close_connection);
    if (watcher == NULL)                                     /* close_connection was called all the same */
        fprintf(stderr, "cannot watch a client: %s\n", lariat_last_error_message());
}

static void accept_again(void *user_data) {
    server *server = user_data;
    lariat_watcher_set_interest(server->watcher, LARIAT_READABLE);
}

static void on_server_ready(lariat_watcher *watcher, int32_t readiness, void *user_data) {
    (void)readiness;
    server *server = user_data;
    int fd = accept(server->fd, NULL, NULL);                 /* one a callback; the others are told again */
    if (fd >= 0) {
        serve(server, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        lariat_watcher_set_interest(watcher, 0);             /* too many: do not spin, ask again a little later */
        lariat_reactor_call_later(server->reactor, 0.1, accept_again, server);
    }
}

static struct sockaddr_in local_address(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(uint16_t port, uint16_t *bound_port) {
    struct sockaddr_in address = local_address(port);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 128) < 0 || set_nonblocking(fd) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
        close(fd);
        return -1;
    }
    *bound_port = ntohs(address.sin_port);
    return fd;
}

/* ---- the demonstration: two plain blocking clients at the same time, in a thread of their own ---- */

static int connect_to(uint16_t port) {
    struct sockaddr_in address = local_address(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void print_echo(int fd, size_t length) {
    char echo[64];
    size_t received = 0;
    while (received < length) {
        ssize_t count = recv(fd, echo + received, length - received, 0);
        if (count <= 0)
            break;
        received += (size_t)count;
    }
    printf("The echo is: %.*s\n", (int)received, echo);
}

static void *talk(void *user_data) {
    static const char *const words[] = {"hello", "hello from another client"};
    server *server = user_data;
    int clients[2];
    for (int i = 0; i < 2; i++) {
        clients[i] = connect_to(server->port);
        if (clients[i] < 0 || send(clients[i], words[i], strlen(words[i]), MSG_NOSIGNAL) < 0)
            perror("client");
    }
    for (int i = 0; i < 2; i++) {
        print_echo(clients[i], strlen(words[i]));
        close(clients[i]);
    }
    lariat_reactor_stop_from_thread(server->reactor);
    return NULL;
}

static void start_client(void *user_data) {
    server *server = user_data;
    server->client_started = pthread_create(&server->client, NULL, talk, server) == 0;
    if (!server->client_started)
        lariat_reactor_stop(server->reactor);
}

int main(int argc, char **argv) {
    int demonstrate = argc < 2 || strcmp(argv[1], "--demo") == 0;
    server server = {.reactor = lariat_reactor_new()};
    server.fd = listen_on(demonstrate ? 0 : (uint16_t)strtoul(argv[1], NULL, 10), &server.port);
    if (server.fd < 0) {
        perror("echo_server");
        return 1;
    }
    server.watcher = lariat_reactor_watch(server.reactor, server.fd, LARIAT_READABLE, on_server_ready, &server);

    lariat_status status = lariat_last_error();
    if (server.watcher != NULL) {
        if (demonstrate)
            lariat_reactor_call_when_running(server.reactor, start_client, &server);
        else
            printf("Listening on 127.0.0.1:%u\n", server.port);
        fflush(stdout);
        status = lariat_reactor_run(server.reactor);
    }
    if (server.client_started)
        pthread_join(server.client, NULL);
    lariat_status freed = lariat_reactor_free(server.reactor);   /* stops every watcher, so closes every connection */
    close(server.fd);
    return status != LARIAT_OK ? status : freed;
}
