/* Downloads many URLs at once, each to a file, with a progress bar.
 *
 *     download [-j COUNT] [-o FOLDER] URL...      COUNT connections at once (8), into FOLDER (the present one)
 *     download                                    or `download --demo`: from a server of its own
 *
 * A file is called NAME.part until it is whole. The disk is written by the thread pool; when it is slower than the network the body
 * is paused, and so is the server. What fails is told at the end, and does not hold up the others. */
#define _POSIX_C_SOURCE 200809L        /* for mkdtemp under -std=c11 */
#include <lariat.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNWRITTEN = 256 * 1024, NAME = 200, PATH = 1024 };

typedef struct downloads downloads;

typedef struct download {
    downloads *all;
    const char *url;
    char name[NAME], part[PATH], path[PATH];
    lariat_http_response *response;
    lariat_file *file;
    lariat_deferred *saved;            /* fires when the body is whole and written */
    uint64_t bytes;
    size_t unwritten;                  /* bytes that the thread pool still has */
    int paused, ended;
    const lariat_failure *failure;     /* of the body or of the disk, kept until all is written */
    char result[256];
} download;

struct downloads {
    lariat_reactor *reactor;
    lariat_http_agent *agent;
    lariat_looping_call *bar;
    download *each;
    size_t count, done, failed;
    uint64_t bytes;
    int shows, is_demo;
};

/* ---- the progress bar ---- */

static lariat_deferred *show(lariat_looping_call *call, void *user_data) {
    downloads *all = user_data;
    char bar[31];
    (void)call;
    size_t full = all->count ? all->done * 30 / all->count : 0;
    memset(bar, '.', 30);
    memset(bar, '#', full);
    bar[30] = '\0';
    fprintf(stderr, "\r[%s] %zu of %zu, %.1f MB ", bar, all->done, all->count, (double)all->bytes / 1e6);
    return NULL;
}

/* ---- one download: a chain of steps ---- */

/* The body has ended, and the disk has what came of it. */
static void saved_if_done(download *it) {
    if (!it->ended || it->unwritten > 0 || it->saved == NULL)
        return;
    lariat_deferred *saved = it->saved;
    it->saved = NULL;
    if (it->failure != NULL)
        lariat_deferred_errback_failure(saved, it->failure);
    else
        lariat_deferred_callback(saved, NULL);
}

static void *written(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    download *it = user_data;
    (void)deferred;
    it->unwritten -= (size_t)(uintptr_t)value;
    if (failure != NULL && it->failure == NULL) {
        lariat_failure_keep(failure);
        it->failure = failure;
    }
    if (it->paused && it->unwritten <= UNWRITTEN / 2) {
        it->paused = 0;
        lariat_http_response_resume_body(it->response);
    }
    saved_if_done(it);
    return NULL;
}

/* The length goes along as the value, to be counted off when the piece is written, or was not. */
static void *so_many(lariat_deferred *deferred, void *value, const lariat_failure *failure, void *user_data) {
    (void)value;
    return failure != NULL ? lariat_deferred_refail(deferred) : user_data;
}

static void received(lariat_http_response *response, const uint8_t *data, size_t len, void *user_data) {
    download *it = user_data;
    it->bytes += len;
    it->all->bytes += len;
    if (it->failure != NULL)
        return;                        /* the disk is full: there is no use in more */
    lariat_deferred *write = lariat_file_write(it->file, data, len);
    it->unwritten += len;
    lariat_deferred_add_both(write, so_many, (void *)(uintptr_t)len);
    lariat_deferred_add_both(write, written, it);
    lariat_deferred_release(write);
    if (write == NULL)
        it->unwritten -= len;
    if (it->unwritten > UNWRITTEN && !it->paused) {
        it->paused = 1;
        lariat_http_response_pause_body(response);
    }
}

static void ended(lariat_http_response *response, const lariat_failure *reason, void *user_data) {
    download *it = user_data;
    (void)response;
    it->ended = 1;
    if (reason != NULL && it->failure == NULL) {
        lariat_failure_keep(reason);
        it->failure = reason;
    }
    saved_if_done(it);
}

static void *open_part(lariat_deferred *deferred, void *value, void *user_data) {
    download *it = user_data;
    it->response = value;
    int32_t code = lariat_http_response_code(it->response);
    if (code / 100 != 2)
        return lariat_deferred_fail(deferred, code, lariat_http_response_reason(it->response));
    int32_t flags = LARIAT_FILE_WRITE | LARIAT_FILE_CREATE | LARIAT_FILE_TRUNCATE;
    return lariat_deferred_wait_for(deferred, lariat_reactor_open_file(it->all->reactor, it->part, flags, 0666));
}

static void *save(lariat_deferred *deferred, void *value, void *user_data) {
    download *it = user_data;
    (void)value;
    it->file = lariat_deferred_take(deferred);
    it->saved = lariat_deferred_new(it->all->reactor);
    lariat_http_response_deliver_body(it->response, received, ended, it);
    return lariat_deferred_wait_for(deferred, it->saved);
}

static void *close_part(lariat_deferred *deferred, void *value, void *user_data) {
    download *it = user_data;
    (void)value;
    lariat_file *file = it->file;
    it->file = NULL;
    return lariat_deferred_wait_for(deferred, lariat_file_close(file));
}

static void *give_name(lariat_deferred *deferred, void *value, void *user_data) {
    download *it = user_data;
    (void)value;
    return lariat_deferred_wait_for(deferred, lariat_reactor_rename(it->all->reactor, it->part, it->path, 0));
}

static void *downloaded(lariat_deferred *deferred, void *value, void *user_data) {
    download *it = user_data;
    (void)deferred;
    (void)value;
    snprintf(it->result, sizeof it->result, "%llu bytes", (unsigned long long)it->bytes);
    return NULL;
}

static void *not_downloaded(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    download *it = user_data;
    (void)deferred;
    int32_t code = lariat_failure_code(failure);
    if (code > 0)
        snprintf(it->result, sizeof it->result, "%d %s", (int)code, lariat_failure_message(failure));
    else
        snprintf(it->result, sizeof it->result, "%s", it->all->is_demo ? lariat_status_name(code) : lariat_failure_message(failure));
    it->all->failed++;
    if (it->file != NULL) {
        lariat_deferred_release(lariat_file_close(it->file));
        lariat_deferred_release(lariat_reactor_remove_file(it->all->reactor, it->part));
    }
    return NULL;
}

static void *finished(lariat_deferred *deferred, void *value, void *user_data) {
    download *it = user_data;
    (void)deferred;
    (void)value;
    if (it->failure != NULL)
        lariat_failure_release(it->failure);
    if (++it->all->done == it->all->count) {
        if (it->all->shows) {
            show(NULL, it->all);
            fputc('\n', stderr);
        }
        lariat_reactor_stop(it->all->reactor);
    }
    return NULL;
}

static void start(download *it) {
    lariat_deferred *d = lariat_http_agent_get(it->all->agent, it->url);
    if (d == NULL)                     /* it is no URL: nothing was started */
        d = lariat_deferred_new_failed(it->all->reactor, lariat_last_error(), lariat_last_error_message());
    lariat_deferred_add_callback(d, open_part, it);
    lariat_deferred_add_callback(d, save, it);
    lariat_deferred_add_callback(d, close_part, it);
    lariat_deferred_add_callback(d, give_name, it);
    lariat_deferred_add_callbacks(d, downloaded, not_downloaded, it);
    lariat_deferred_add_callback(d, finished, it);
    lariat_deferred_release(d);
}

/* ---- names ---- */

/* The last part of the path, without what could lead elsewhere. */
static void name_of(const char *url, char *name) {
    const char *path = strstr(url, "://");
    path = path == NULL ? url : path + 3;
    size_t end = strcspn(path, "?#");
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    size_t length = begin == 0 ? 0 : end - begin;
    if (length == 0 || length > NAME - 10)
        snprintf(name, NAME, "index.html");
    else
        snprintf(name, NAME, "%s%.*s", path[begin] == '.' ? "_" : "", (int)length, path + begin);
}

static void prepare(downloads *all, download *it, const char *folder, char **urls, size_t index) {
    char number[16] = "";
    it->all = all;
    it->url = urls[index];
    name_of(it->url, it->name);
    for (size_t other = 0, same = 0; other < index; other++)
        if (strncmp(all->each[other].name, it->name, strlen(it->name)) == 0)
            snprintf(number, sizeof number, ".%zu", ++same);
    strncat(it->name, number, NAME - strlen(it->name) - 1);
    snprintf(it->path, sizeof it->path, "%s/%s", folder, it->name);
    snprintf(it->part, sizeof it->part, "%.1000s.part", it->path);
}

/* ---- the demonstration: a server that knows a few paths, and cannot do them all well ---- */

static const struct { const char *path, *response; } pages[] = {
    {"/hello.txt", "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nhello from HTTP"},
    {"/moved.txt", "HTTP/1.1 302 Found\r\nLocation: /hello.txt\r\nContent-Length: 0\r\n\r\n"},
    {"/chunks.txt", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nin thr\r\n3\r\nee \r\n6\r\npieces\r\n0\r\n\r\n"},
    {"/cut.txt", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\nnot a thousand bytes"},
};
enum { BIG = 3 * 1024 * 1024 };

static void answer_with(lariat_transport *transport, const char *text) {
    lariat_transport_write(transport, (const uint8_t *)text, strlen(text));
}

static void answer(lariat_transport *transport, const char *path) {
    if (strcmp(path, "/big.bin") == 0) {
        char head[64];
        uint8_t *zeros = calloc(1, BIG);
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);
        answer_with(transport, head);
        if (zeros != NULL)
            lariat_transport_write(transport, zeros, BIG);
        free(zeros);
        return;
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (strcmp(path, pages[i].path) == 0) {
            answer_with(transport, pages[i].response);
            if (strcmp(path, "/cut.txt") == 0)
                lariat_transport_lose_connection(transport);
            return;
        }
    answer_with(transport, "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such");
}

static lariat_status new_visitor(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    (void)user_data;
    *self = calloc(1, PATH);           /* the path of the request whose head is being read */
    return lariat_transport_set_line_framing(transport, NULL, 0, 0);
}

static void line_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    char *path = self, line[PATH + 32];
    snprintf(line, sizeof line, "%.*s", (int)len, (const char *)data);
    if (len == 0)
        answer(transport, path);
    else if (strncmp(line, "GET ", 4) == 0)
        snprintf(path, PATH, "%.*s", (int)strcspn(line + 4, " "), line + 4);
}

/* Makes the URLs of a demonstration. */
static char **serve(downloads *all) {
    static const char *const paths[] = {"/hello.txt", "/big.bin", "/moved.txt", "/chunks.txt", "/missing.txt", "/cut.txt", "/hello.txt"};
    static char texts[sizeof paths / sizeof *paths + 1][128], *urls[sizeof paths / sizeof *paths + 1];
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.data_received = line_received;
    protocol.free_self = free;
    lariat_listener *listener = lariat_reactor_listen(all->reactor, "tcp://127.0.0.1:0", &protocol, new_visitor, NULL);
    int port = (int)lariat_listener_port(listener);
    all->count = sizeof paths / sizeof *paths;
    for (size_t i = 0; i < all->count; i++) {
        snprintf(texts[i], sizeof texts[i], "http://127.0.0.1:%d%s", port, paths[i]);
        urls[i] = texts[i];
    }
    snprintf(texts[all->count], sizeof texts[0], "http:/that is no URL");
    urls[all->count] = texts[all->count];
    all->count++;
    return urls;
}

static void clean_up(const downloads *all, const char *folder) {
    for (size_t i = 0; i < all->count; i++)
        unlink(all->each[i].path);
    rmdir(folder);
}

/* ---- the program ---- */

static lariat_status run(downloads *all, const char *folder, char **urls) {
    all->each = calloc(all->count, sizeof *all->each);
    if (all->each == NULL)
        return LARIAT_ERR_NO_MEMORY;
    if (all->shows) {
        all->bar = lariat_looping_call_new(all->reactor, show, all);
        lariat_deferred_release(lariat_looping_call_start(all->bar, 0.1, 0));
    }
    for (size_t i = 0; i < all->count; i++) {
        prepare(all, &all->each[i], folder, urls, i);
        start(&all->each[i]);
    }
    if (all->done == all->count)
        return LARIAT_OK;              /* not one of them was a URL */
    return lariat_reactor_run(all->reactor);
}

int main(int argc, char **argv) {
    char demo_folder[] = "/tmp/lariat-download-XXXXXX";
    const char *folder = ".";
    downloads all = {.shows = isatty(2)};
    lariat_http_agent_options options;
    lariat_http_agent_options_init(&options, sizeof options);
    options.flags = LARIAT_HTTP_AGENT_ENVIRONMENT_PROXIES;
    options.max_connections = options.max_connections_per_host = 8;
    int option;
    all.is_demo = argc < 2 || strcmp(argv[1], "--demo") == 0;
    while (!all.is_demo && (option = getopt(argc, argv, "j:o:")) != -1) {
        if (option == 'j')
            options.max_connections = options.max_connections_per_host = (uint32_t)atoi(optarg);
        else if (option == 'o')
            folder = optarg;
        else
            optind = argc;
    }
    if (!all.is_demo && optind >= argc) {
        fprintf(stderr, "download [-j COUNT] [-o FOLDER] URL... | download --demo\n");
        return 2;
    }
    all.reactor = lariat_reactor_new();
    char **urls = argv + optind;
    if (all.is_demo) {
        folder = mkdtemp(demo_folder);
        urls = serve(&all);
        options.flags = 0;
        options.max_connections = options.max_connections_per_host = 3;
    } else {
        all.count = (size_t)(argc - optind);
    }
    all.agent = lariat_http_agent_new(all.reactor, &options);
    if (all.agent == NULL || folder == NULL) {
        fprintf(stderr, "download: %s\n", folder == NULL ? "no folder" : lariat_last_error_message());
        return 1;
    }
    lariat_status status = run(&all, folder, urls);
    for (size_t i = 0; i < all.count && all.each != NULL; i++)
        printf("%-16s %s\n", all.each[i].name, all.each[i].result);
    printf("%zu downloaded, %zu failed\n", all.count - all.failed, all.failed);
    lariat_status freed = lariat_reactor_free(all.reactor);
    if (all.is_demo)
        clean_up(&all, folder);
    free(all.each);
    return status != LARIAT_OK || freed != LARIAT_OK || (all.failed > 0 && !all.is_demo);
}
