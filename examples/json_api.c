/* A JSON API: notes that are kept in memory, and a job that takes long.
 *
 *     json_api ENDPOINT      as `json_api tcp://127.0.0.1:8080`, until it is killed
 *     json_api               or `json_api --demo`: asked by a client in the same program
 *
 *     GET    /notes          all of them                     curl localhost:8080/notes
 *     POST   /notes          {"text": "..."}, 201            curl localhost:8080/notes --json '{"text": "hello"}'
 *     GET    /notes/:id      one
 *     DELETE /notes/:id      204
 *     GET    /primes/:n      how many primes there are below n: counted on a thread, while others are served
 *
 * What fails is answered with {"error": "..."} and the code that goes with it. */
#include <lariat.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NOTES = 1000, LONGEST_NOTE = 4000, MOST_PRIMES = 10 * 1000 * 1000 };

typedef struct note {
    unsigned id;
    char *text;
} note;

typedef struct api {
    lariat_reactor *reactor;
    note notes[MOST_NOTES];
    size_t count;
    unsigned last_id;
} api;

/* ---- JSON: as much as is needed ---- */

typedef struct text {
    char *data;
    size_t len, room;
} text;

static void put(text *text, const char *data, size_t len) {
    if (text->len + len + 1 > text->room) {
        text->room = 2 * (text->len + len + 1);
        text->data = realloc(text->data, text->room);
        if (text->data == NULL)
            abort();
    }
    memcpy(text->data + text->len, data, len);
    text->data[text->len += len] = '\0';
}

static void put_format(text *text, const char *format, ...) {
    char piece[256];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    put(text, piece, (size_t)len);
}

/* With quotes around it, and all inside escaped that has to be. */
static void put_quoted(text *text, const char *string) {
    put(text, "\"", 1);
    for (; *string != '\0'; string++) {
        if (*string == '"' || *string == '\\')
            put_format(text, "\\%c", *string);
        else if ((unsigned char)*string < ' ')
            put_format(text, "\\u%04x", (unsigned)*string);
        else
            put(text, string, 1);
    }
    put(text, "\"", 1);
}

static const char *skip_space(const char *at) { return at + strspn(at, " \t\r\n"); }

/* A string from its first quote on, unescaped into `to`; returns what is behind its last, or NULL. Of \u it knows ASCII. */
static const char *read_string(const char *at, char *to, size_t room) {
    static const char ESCAPES[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (*at++ != '"')
        return NULL;
    while (*at != '"') {
        char character = *at++;
        if ((unsigned char)character < ' ' || room-- <= 1)   /* the end of the text among those */
            return NULL;
        if (character == '\\') {
            char escape = *at++;
            unsigned code;
            const char *found = NULL;
            for (const char *pair = ESCAPES; *pair != '\0' && found == NULL; pair += 2)
                found = *pair == escape ? pair + 1 : NULL;
            if (found != NULL)
                character = *found;
            else if (escape == 'u' && strspn(at, "0123456789abcdefABCDEF") >= 4 && sscanf(at, "%4x", &code) == 1 && code > 0 && code < 128)
                character = (char)code, at += 4;
            else
                return NULL;
        }
        *to++ = character;
    }
    *to = '\0';
    return at + 1;
}

/* Reads {"text": "..."}; whether that is what it is. */
static int read_note(const char *json, char *to, size_t room) {
    char name[16];
    const char *at = skip_space(json);
    if (*at++ != '{' || (at = read_string(skip_space(at), name, sizeof name)) == NULL || strcmp(name, "text") != 0)
        return 0;
    if (*(at = skip_space(at)) != ':' || (at = read_string(skip_space(at + 1), to, room)) == NULL)
        return 0;
    at = skip_space(at);
    return *at == '}' && *skip_space(at + 1) == '\0';
}

/* ---- answers ---- */

static void respond(lariat_http_request *request, int code, text *json) {
    put(json, "\n", 1);
    lariat_http_request_respond(request, code, "application/json", (const uint8_t *)json->data, json->len);
    free(json->data);
}

static lariat_deferred *respond_error(lariat_http_request *request, int code, const char *why) {
    text json = {0};
    put_format(&json, "{\"error\": ");
    put_quoted(&json, why);
    put_format(&json, "}");
    respond(request, code, &json);
    return NULL;
}

static void put_note(text *json, const note *note) {
    put_format(json, "{\"id\": %u, \"text\": ", note->id);
    put_quoted(json, note->text);
    put_format(json, "}");
}

/* ---- notes ---- */

static note *find(api *api, lariat_http_request *request) {
    const char *id = lariat_http_request_parameter(request, "id");       /* what the path has for :id */
    for (size_t i = 0; i < api->count; i++)
        if (strspn(id, "0123456789") == strlen(id) && strtoul(id, NULL, 10) == api->notes[i].id)
            return &api->notes[i];
    return NULL;
}

static lariat_deferred *list_notes(lariat_http_request *request, void *user_data) {
    api *api = user_data;
    text json = {0};
    put_format(&json, "[");
    for (size_t i = 0; i < api->count; i++) {
        put_format(&json, i > 0 ? ", " : "");
        put_note(&json, &api->notes[i]);
    }
    put_format(&json, "]");
    respond(request, 200, &json);
    return NULL;
}

static void *note_read(lariat_deferred *deferred, void *body, void *user_data) {
    lariat_http_request *request = user_data;
    api *api = lariat_http_request_user_data(request);
    char written[LONGEST_NOTE + 1], location[32];
    text json = {0};
    (void)deferred;
    if (strlen((const char *)lariat_bytes_data(body)) != lariat_bytes_length(body) ||
        !read_note((const char *)lariat_bytes_data(body), written, sizeof written))
        return respond_error(request, 400, "the body is not {\"text\": \"...\"}, or too long");
    if (api->count == MOST_NOTES)
        return respond_error(request, 507, "there are too many notes");
    note *note = &api->notes[api->count++];
    note->id = ++api->last_id;
    note->text = strcpy(malloc(strlen(written) + 1), written);
    snprintf(location, sizeof location, "/notes/%u", note->id);
    lariat_http_request_set_header(request, "Location", location);
    put_note(&json, note);
    respond(request, 201, &json);
    return NULL;
}

/* The body is read once it is asked for; how much it may be, the server's options say. */
static lariat_deferred *add_note(lariat_http_request *request, void *user_data) {
    lariat_http_request_set_user_data(request, user_data, NULL);
    lariat_deferred *body = lariat_http_request_read_body(request);
    lariat_deferred_add_callback(body, note_read, request);
    return body;                                             /* should it fail, the server answers */
}

static lariat_deferred *get_note(lariat_http_request *request, void *user_data) {
    const note *note = find(user_data, request);
    text json = {0};
    if (note == NULL)
        return respond_error(request, 404, "there is no such note");
    put_note(&json, note);
    respond(request, 200, &json);
    return NULL;
}

static lariat_deferred *delete_note(lariat_http_request *request, void *user_data) {
    api *api = user_data;
    note *note = find(api, request);
    if (note == NULL)
        return respond_error(request, 404, "there is no such note");
    free(note->text);
    *note = api->notes[--api->count];
    lariat_http_request_respond(request, 204, NULL, NULL, 0);
    return NULL;
}

/* ---- what takes long ---- */

typedef struct count_job {
    unsigned below, primes;
} count_job;

/* On a thread of the pool: nothing of the reactor is touched here. */
static void *count_primes(lariat_job *job, void *user_data) {
    count_job *it = user_data;
    char *composite = calloc(it->below + 1u, 1);
    (void)job;
    for (unsigned n = 2; composite != NULL && n < it->below; n++) {
        if (composite[n])
            continue;
        it->primes++;
        for (unsigned long multiple = (unsigned long)n * n; multiple < it->below; multiple += n) composite[multiple] = 1;
    }
    free(composite);
    return it;
}

static void *counted(lariat_deferred *deferred, void *value, void *user_data) {
    const count_job *job = value;
    text json = {0};
    (void)deferred;
    put_format(&json, "{\"below\": %u, \"primes\": %u}", job->below, job->primes);
    respond(user_data, 200, &json);
    return NULL;
}

static lariat_deferred *primes(lariat_http_request *request, void *user_data) {
    api *api = user_data;
    const char *n = lariat_http_request_parameter(request, "n");
    if (*n == '\0' || strlen(n) > 8 || strspn(n, "0123456789") != strlen(n) || atoi(n) > MOST_PRIMES)
        return respond_error(request, 400, "that is not a number up to 10000000");
    count_job *job = calloc(1, sizeof *job);
    job->below = (unsigned)atoi(n);
    lariat_deferred *done = lariat_reactor_defer_to_thread_full(api->reactor, count_primes, job, free);
    lariat_deferred_add_callback(done, counted, request);
    return done;                                             /* is cancelled when the client is gone */
}

static lariat_deferred *not_found(lariat_http_request *request, void *user_data) {
    (void)user_data;
    return respond_error(request, 404, "there is nothing here");
}

static lariat_listener *serve(api *api, const char *endpoint) {
    lariat_http_router *router = lariat_http_router_new(api->reactor);
    lariat_http_server *server = lariat_http_server_new(api->reactor, NULL);
    lariat_http_router_add(router, "GET", "/notes", list_notes, api);
    lariat_http_router_add(router, "POST", "/notes", add_note, api);
    lariat_http_router_add(router, "GET", "/notes/:id", get_note, api);
    lariat_http_router_add(router, "DELETE", "/notes/:id", delete_note, api);
    lariat_http_router_add(router, "GET", "/primes/:n", primes, api);
    lariat_http_router_add(router, "*", "/*rest", not_found, api);
    lariat_http_server_set_router(server, router);
    return lariat_http_server_listen(server, endpoint);
}

/* ---- the demonstration ---- */

typedef struct client {
    lariat_reactor *reactor;
    lariat_http_agent *agent;
    char url[128];
    size_t step;
} client;

static const char *const STEPS[][3] = {
    {"POST", "/notes", "{\"text\": \"buy a rope\"}"},
    {"POST", "/notes", " { \"text\" : \"say \\\"hello\\\"\\n\\u0041gain\" } "},
    {"POST", "/notes", "{\"text\": 1}"},
    {"GET", "/notes", ""},
    {"GET", "/notes/2", ""},
    {"DELETE", "/notes/1", ""},
    {"GET", "/notes/1", ""},
    {"GET", "/primes/100000", ""},
    {"GET", "/primes/many", ""},
    {"GET", "/elsewhere", ""},
    {"GET", "/notes", ""},
};

static void ask_next(client *client);

static void *body_read(lariat_deferred *deferred, void *body, void *user_data) {
    (void)deferred;
    printf("%s%s", lariat_bytes_length(body) > 0 ? " " : "\n", (const char *)lariat_bytes_data(body));
    ask_next(user_data);
    return NULL;
}

static void *answered(lariat_deferred *deferred, void *response, void *user_data) {
    const char *const *step = STEPS[((client *)user_data)->step - 1];
    printf("%s %s: %d", step[0], step[1], (int)lariat_http_response_code(response));
    lariat_deferred *body = lariat_http_response_read_body(response, 0);
    lariat_deferred_add_callback(body, body_read, user_data);
    return lariat_deferred_wait_for(deferred, body);
}

static void *failed(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred;
    printf("%s\n", lariat_failure_message(failure));
    lariat_reactor_stop(((client *)user_data)->reactor);
    return NULL;
}

static void ask_next(client *client) {
    char url[256];
    if (client->step == sizeof STEPS / sizeof *STEPS) {
        lariat_reactor_stop(client->reactor);
        return;
    }
    const char *const *step = STEPS[client->step++];
    snprintf(url, sizeof url, "%s%s", client->url, step[1]);
    lariat_http_request_options options;
    lariat_http_request_options_init(&options, sizeof options);
    options.method = step[0];
    options.url = url;
    options.body = (const uint8_t *)step[2];
    options.body_len = strlen(step[2]);
    lariat_deferred *answer = lariat_http_agent_request(client->agent, &options);
    lariat_deferred_add_callback(answer, answered, client);
    lariat_deferred_add_errback(answer, failed, client);
    lariat_deferred_release(answer);
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    static api api;
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    client client = {.reactor = api.reactor = lariat_reactor_new()};
    lariat_listener *listener = serve(&api, demonstrates ? "tcp://127.0.0.1:0" : argv[1]);
    lariat_status status = lariat_last_error();
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
    } else {
        char endpoint[128];
        lariat_listener_address(listener, endpoint, sizeof endpoint, NULL);
        if (demonstrates) {
            snprintf(client.url, sizeof client.url, "http://127.0.0.1:%d", (int)lariat_listener_port(listener));
            client.agent = lariat_http_agent_new(client.reactor, NULL);
            ask_next(&client);
        } else {
            printf("Listening at %s\n", endpoint);
            fflush(stdout);
        }
        status = lariat_reactor_run(api.reactor);
    }
    lariat_status freed = lariat_reactor_free(api.reactor);
    for (size_t i = 0; i < api.count; i++) free(api.notes[i].text);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
