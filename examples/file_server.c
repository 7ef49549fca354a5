/* A web server for the files in a folder.
 *
 *     file_server DIRECTORY ENDPOINT       as `file_server www tcp://127.0.0.1:8080`, until SIGINT or SIGTERM
 *     file_server --demo [DIRECTORY]       serves it, or two files of its own, to a client in the same program
 *
 * Files go from the disk to the socket without passing through the program; they have types by their names, can be asked for in parts and
 * on conditions (RFC 9110), and nothing outside of the folder is served, whatever a path or a symbolic link says. Requests that
 * are under way when it is told to stop are finished. */
#define _POSIX_C_SOURCE 200809L        /* for mkdtemp under -std=c11 */
#include <lariat.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRACE_SECONDS = 10 };

/* ---- the server: this is all that it takes ---- */

typedef struct site {
    lariat_reactor *reactor;
    lariat_http_server *server;
    int is_stopping;
} site;

static void log_request(const lariat_http_access *access, void *user_data) {
    (void)user_data;
    printf("%s %s %s: %d, %llu bytes, %.1f ms\n", access->peer, access->method, access->target, (int)access->code,
           (unsigned long long)access->bytes_sent, access->seconds * 1e3);
    fflush(stdout);
}

static lariat_listener *serve(site *site, const char *directory, const char *endpoint) {
    lariat_http_router *router = lariat_http_router_new(site->reactor);
    site->server = lariat_http_server_new(site->reactor, NULL);          /* time-outs and limits have defaults */
    lariat_http_server_set_router(site->server, router);
    lariat_http_server_set_access_log(site->server, log_request, NULL);
    if (lariat_http_router_add_files(router, "/", directory, LARIAT_HTTP_FILES_LIST) != LARIAT_OK)
        return NULL;
    return lariat_http_server_listen(site->server, endpoint);
}

static void *stopped(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)value;
    lariat_reactor_stop(((site *)user_data)->reactor);
    return NULL;
}

/* The first signal lets requests finish, a second does not wait for them. */
static void stop(lariat_signal_watch *watch, int32_t number, void *user_data) {
    site *site = user_data;
    (void)watch, (void)number;
    if (site->is_stopping++) {
        lariat_reactor_stop(site->reactor);
        return;
    }
    lariat_deferred *done = lariat_http_server_stop(site->server, GRACE_SECONDS);
    lariat_deferred_add_callback(done, stopped, site);
    lariat_deferred_release(done);
}

/* ---- the demonstration: a client that asks for what a browser asks for ---- */

typedef struct visitor {
    site site;
    lariat_http_agent *agent;
    char url[256];                     /* of the site, with a slash at its end */
    char condition[128];               /* the header with the tag that the second file had */
    int step;
} visitor;

static const struct step {
    const char *method, *path, *header;
} STEPS[] = {
    {"GET", "", NULL},
    {"GET", "lines.txt", NULL},
    {"GET", "lines.txt", "Range: bytes=6-10"},
    {"GET", "lines.txt", ""},                                            /* with the condition */
    {"HEAD", "lines.txt", NULL},
    {"GET", "nothing.txt", NULL},
    {"GET", "%2e%2e/%2e%2e/etc/passwd", NULL},
    {"DELETE", "lines.txt", NULL},
};

static void ask_next(visitor *visitor);

static void *body_read(lariat_deferred *deferred, void *body, void *user_data) {
    (void)deferred;
    printf(", %zu bytes\n", lariat_bytes_length(body));
    ask_next(user_data);
    return NULL;
}

static void *answered(lariat_deferred *deferred, void *value, void *user_data) {
    static const char *const SHOWN[] = {"Content-Type", "Content-Range", "Allow"};
    visitor *visitor = user_data;
    const struct step *step = &STEPS[visitor->step - 1];
    lariat_http_response *response = value;
    const char *tag = lariat_http_response_header(response, "ETag");
    if (tag != NULL)
        snprintf(visitor->condition, sizeof visitor->condition, "If-None-Match: %s", tag);
    printf("%s /%s%s%s: %d", step->method, step->path, step->header != NULL ? ", " : "",
           step->header == NULL ? "" : *step->header ? step->header : "If-None-Match", (int)lariat_http_response_code(response));
    for (size_t i = 0; i < sizeof SHOWN / sizeof *SHOWN; i++)
        if (lariat_http_response_header(response, SHOWN[i]) != NULL)
            printf(", %s", lariat_http_response_header(response, SHOWN[i]));
    lariat_deferred *body = lariat_http_response_read_body(response, 0);
    lariat_deferred_add_callback(body, body_read, visitor);
    return lariat_deferred_wait_for(deferred, body);
}

static void *failed(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    printf("%s\n", lariat_failure_message(failure));
    lariat_reactor_stop(((visitor *)user_data)->site.reactor);
    return NULL;
}

static void ask_next(visitor *visitor) {
    char url[512];
    if (visitor->step == sizeof STEPS / sizeof *STEPS) {
        stop(NULL, 0, &visitor->site);
        return;
    }
    const struct step *step = &STEPS[visitor->step++];
    const char *headers[] = {step->header != NULL && *step->header == '\0' ? visitor->condition : step->header, NULL};
    lariat_http_request_options options;
    lariat_http_request_options_init(&options, sizeof options);
    snprintf(url, sizeof url, "%s%s", visitor->url, step->path);
    options.method = step->method;
    options.url = url;
    options.headers = headers;
    lariat_deferred *answer = lariat_http_agent_request(visitor->agent, &options);
    lariat_deferred_add_callback(answer, answered, visitor);
    lariat_deferred_add_errback(answer, failed, visitor);
    lariat_deferred_release(answer);
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = text != NULL ? fopen(path, "w") : NULL;
    if (file != NULL) {
        fputs(text, file);
        fclose(file);
    } else {
        unlink(path);
    }
}

static int demonstrate(const char *directory) {
    char folder[] = "/tmp/lariat-site-XXXXXX", endpoint[128];
    int is_ours = directory == NULL;
    if (is_ours) {
        if (mkdtemp(folder) == NULL)
            return 1;
        write_file(folder, "index.html", "<!doctype html><title>lariat</title><p>This page came from a C program.\n");
        write_file(folder, "lines.txt", "line 1\nline 2\nline 3\n");
        directory = folder;
    }
    visitor visitor = {.site = {.reactor = lariat_reactor_new()}};
    lariat_listener *listener = serve(&visitor.site, directory, "tcp://127.0.0.1:0");
    lariat_http_server_set_access_log(visitor.site.server, NULL, NULL);  /* the client tells what there is to tell */
    int ok = listener != NULL;
    if (ok) {
        lariat_listener_address(listener, endpoint, sizeof endpoint, NULL);
        snprintf(visitor.url, sizeof visitor.url, "http%s/", strchr(endpoint, ':'));
        visitor.agent = lariat_http_agent_new(visitor.site.reactor, NULL);
        ask_next(&visitor);
        ok = lariat_reactor_run(visitor.site.reactor) == LARIAT_OK;
    } else {
        fprintf(stderr, "%s\n", lariat_last_error_message());
    }
    ok &= lariat_reactor_free(visitor.site.reactor) == LARIAT_OK;
    if (is_ours) {
        write_file(folder, "index.html", NULL);
        write_file(folder, "lines.txt", NULL);
        rmdir(folder);
    }
    return !ok;
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--demo") == 0)
        return demonstrate(argc > 2 ? argv[2] : NULL);
    if (argc != 3) {
        fprintf(stderr, "file_server DIRECTORY ENDPOINT | file_server --demo [DIRECTORY]\n");
        return 2;
    }
    char endpoint[128];
    site site = {.reactor = lariat_reactor_new()};
    lariat_listener *listener = serve(&site, argv[1], argv[2]);
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
        lariat_reactor_free(site.reactor);
        return 1;
    }
    lariat_listener_address(listener, endpoint, sizeof endpoint, NULL);
    printf("Listening at %s\n", endpoint);
    fflush(stdout);
    lariat_reactor_watch_signal(site.reactor, SIGINT, stop, &site);
    lariat_reactor_watch_signal(site.reactor, SIGTERM, stop, &site);
    lariat_status status = lariat_reactor_run(site.reactor);
    lariat_status freed = lariat_reactor_free(site.reactor);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
