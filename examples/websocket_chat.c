/* A chat with its own web page: rooms and nicknames over WebSockets, on the same port as the page.
 *
 *     websocket_chat tcp://127.0.0.1:8080 [PAGE]     serves PAGE, examples/www/chat.html unless said: open it in a browser
 *     websocket_chat                                 or `websocket_chat --demo`: two clients of ours talk
 *
 * A page connects to /rooms/ROOM?name=NAME. What it sends is said to the room; what it gets are a word and what belongs to
 * it: "people NAME...", "join NAME", "leave NAME", "say NAME TEXT". Whoever comes late is told the last lines again. A
 * person who reads too slowly is dropped, and never more than MAX_WAITING bytes are kept for anybody. */
#include <lariat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 20, MAX_LINE = 1000, MAX_KEPT = 20, MAX_ROOMS = 100, MAX_WAITING = 256 * 1024 };
enum { LINE = MAX_LINE + MAX_NAME + 16 };

/* Codes from 4000 on are the program's own. */
enum { NAME_TAKEN = 4001, BAD_NAME = 4002, TOO_SLOW = 4003 };

typedef struct person {
    struct person *next;
    struct room *room;
    lariat_websocket *websocket;                             /* NULL once it is over */
    char name[MAX_NAME + 1];
} person;

typedef struct room {
    char name[MAX_NAME + 1];
    person *people;
    char kept[MAX_KEPT][LINE];                               /* the last lines, from `oldest` on */
    unsigned count, oldest;
} room;

typedef struct chat {
    lariat_reactor *reactor;
    const char *page;
    room *rooms[MAX_ROOMS];
    unsigned count;
} chat;

/* ---- rooms ---- */

static room *find_room(chat *chat, const char *name) {
    for (unsigned i = 0; i < chat->count; i++)
        if (strcmp(chat->rooms[i]->name, name) == 0)
            return chat->rooms[i];
    if (chat->count == MAX_ROOMS)
        return NULL;
    room *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    strcpy(made->name, name);
    return chat->rooms[chat->count++] = made;
}

/* Nobody leaves the list in here: closed is never called from inside the call that ends a WebSocket. */
static void tell_all(room *room, const char *line) {
    for (person *one = room->people; one != NULL; one = one->next)
        if (lariat_websocket_send_text(one->websocket, line) == LARIAT_ERR_BUFFER_FULL)
            lariat_websocket_close(one->websocket, TOO_SLOW, "you read too slowly");
}

static void say(room *room, const char *line) {
    strcpy(room->kept[(room->oldest + room->count) % MAX_KEPT], line);
    if (room->count < MAX_KEPT)
        room->count++;
    else
        room->oldest = (room->oldest + 1) % MAX_KEPT;
    tell_all(room, line);
}

static void report(const person *person, const char *what) {
    printf("* %s %s %s\n", person->name, what, person->room->name);
    fflush(stdout);
}

/* ---- what a person's WebSocket is told ---- */

static void come_in(lariat_websocket *websocket, void *self) {
    person *own = self;
    char line[LINE + 100 * (MAX_NAME + 1)];
    snprintf(line, sizeof line, "people %s", own->name);
    for (person *one = own->room->people; one != NULL; one = one->next) {
        if (strcmp(one->name, own->name) == 0) {
            lariat_websocket_close(websocket, NAME_TAKEN, "somebody here has that name");
            return;
        }
        if (strlen(line) + MAX_NAME + 2 < sizeof line)
            strcat(strcat(line, " "), one->name);
    }
    if (lariat_websocket_send_text(websocket, line) != LARIAT_OK) {
        lariat_websocket_close(websocket, BAD_NAME, "that name is not UTF-8");
        return;
    }
    own->websocket = websocket;
    own->next = own->room->people;
    own->room->people = own;
    for (unsigned i = 0; i < own->room->count; i++)
        lariat_websocket_send_text(websocket, own->room->kept[(own->room->oldest + i) % MAX_KEPT]);
    report(own, "joins");
    snprintf(line, sizeof line, "join %s", own->name);
    tell_all(own->room, line);
}

static void speak(lariat_websocket *websocket, int32_t kind, const uint8_t *data, size_t len, void *self) {
    (void)websocket;
    person *own = self;
    char line[LINE];
    if (kind != LARIAT_WEBSOCKET_TEXT || own->websocket == NULL || len == 0)
        return;
    snprintf(line, sizeof line, "say %s %.*s", own->name, (int)len, (const char *)data);
    say(own->room, line);
}

static void leave(lariat_websocket *websocket, int32_t code, const char *reason, const lariat_failure *failure, void *self) {
    (void)websocket, (void)code, (void)reason, (void)failure;
    person *own = self;
    if (own->websocket == NULL)
        return;                                              /* never was in */
    person **place = &own->room->people;
    while (*place != own)
        place = &(*place)->next;
    *place = own->next;
    report(own, "leaves");
    char line[LINE];
    snprintf(line, sizeof line, "leave %s", own->name);
    tell_all(own->room, line);
}

/* ---- requests ---- */

static lariat_deferred *serve_page(lariat_http_request *request, void *user_data) {
    chat *chat = user_data;
    lariat_http_request_respond_file(request, NULL, chat->page, NULL);
    return NULL;
}

static int is_name(const char *name) {
    return name != NULL && *name != '\0' && strlen(name) <= MAX_NAME && strpbrk(name, " \t\r\n") == NULL;
}

static void refuse(lariat_http_request *request, const char *why) {
    lariat_http_request_respond(request, 400, "text/plain; charset=utf-8", (const uint8_t *)why, strlen(why));
}

static lariat_deferred *enter(lariat_http_request *request, void *user_data) {
    const char *name = lariat_http_request_query_parameter(request, "name");
    const char *where = lariat_http_request_parameter(request, "room");
    if (!is_name(name) || !is_name(where)) {
        refuse(request, "A name is a word of 20 letters at most.\n");
        return NULL;
    }
    room *room = find_room(user_data, where);
    person *person = calloc(1, sizeof *person);
    if (room == NULL || person == NULL) {
        free(person);
        refuse(request, "There are too many rooms.\n");
        return NULL;
    }
    strcpy(person->name, name);
    person->room = room;
    lariat_websocket_protocol protocol;
    lariat_websocket_protocol_init(&protocol, sizeof protocol);
    protocol.opened = come_in;
    protocol.message_received = speak;
    protocol.closed = leave;
    protocol.free_self = free;                               /* each person, after leave */
    lariat_websocket_options options;
    lariat_websocket_options_init(&options, sizeof options);
    options.max_message = MAX_LINE;
    options.max_buffered = MAX_WAITING;
    options.compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE;
    options.no_context_takeover = options.peer_no_context_takeover = 1;     /* many people, and short lines */
    lariat_http_request_accept_websocket(request, &options, &protocol, person);
    return NULL;
}

static lariat_listener *open_chat(chat *chat, const char *endpoint) {
    lariat_http_router *router = lariat_http_router_new(chat->reactor);
    lariat_http_router_add(router, "GET", "/", serve_page, chat);
    lariat_http_router_add(router, "GET", "/rooms/:room", enter, chat);
    lariat_http_server *server = lariat_http_server_new(chat->reactor, NULL);
    lariat_http_server_set_router(server, router);
    return lariat_http_server_listen(server, endpoint);
}

/* ---- the demonstration: each visitor does the next thing when a certain line has come ---- */

typedef struct visitor {
    const char *name;
    struct demo *demo;
    lariat_websocket *websocket;
    char saw[1000];
} visitor;

typedef struct demo {
    lariat_reactor *reactor;
    int port;
    visitor ann, bob;
} demo;

static void visit(visitor *visitor);

static void visitor_sees(lariat_websocket *websocket, int32_t kind, const uint8_t *data, size_t len, void *self) {
    (void)kind;
    visitor *visitor = self;
    char line[LINE];
    snprintf(line, sizeof line, "%.*s", (int)len, (const char *)data);
    snprintf(visitor->saw + strlen(visitor->saw), sizeof visitor->saw - strlen(visitor->saw), "    %s\n", line);
    if (strcmp(line, "join ann") == 0)
        lariat_websocket_send_text(websocket, "Is anybody here?");
    else if (strcmp(line, "say ann Is anybody here?") == 0 && visitor == &visitor->demo->ann)
        visit(&visitor->demo->bob);
    else if (strcmp(line, "join bob") == 0 && visitor == &visitor->demo->bob)
        lariat_websocket_send_text(websocket, "I am, and I saw what you said. Gr\xc3\xbc\xc3\x9f" "e!");
    else if (strncmp(line, "say bob", 7) == 0 && visitor == &visitor->demo->ann)
        lariat_websocket_close(websocket, 1000, "that was all");
    else if (strcmp(line, "leave ann") == 0)
        lariat_websocket_close(websocket, 1000, NULL);
}

static void visitor_goes(lariat_websocket *websocket, int32_t code, const char *reason, const lariat_failure *failure, void *self) {
    (void)websocket, (void)reason, (void)failure;
    visitor *visitor = self;
    snprintf(visitor->saw + strlen(visitor->saw), sizeof visitor->saw - strlen(visitor->saw), "    closed with %d\n", (int)code);
    if (visitor == &visitor->demo->bob)
        lariat_reactor_stop(visitor->demo->reactor);
}

static void visit(visitor *visitor) {
    char url[128];
    lariat_websocket_protocol protocol;
    lariat_websocket_protocol_init(&protocol, sizeof protocol);
    protocol.message_received = visitor_sees;
    protocol.closed = visitor_goes;
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/rooms/lobby?name=%s", visitor->demo->port, visitor->name);
    lariat_deferred_release(lariat_reactor_connect_websocket(visitor->demo->reactor, url, NULL, &protocol, visitor));
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    chat chat = {.reactor = lariat_reactor_new(), .page = argc > 2 ? argv[2] : "examples/www/chat.html"};
    demo demo = {.reactor = chat.reactor};
    lariat_listener *listener = open_chat(&chat, demonstrates ? "tcp://127.0.0.1:0" : argv[1]);
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
        lariat_reactor_free(chat.reactor);
        return 1;
    }
    demo.port = lariat_listener_port(listener);
    if (demonstrates) {
        demo.ann = (visitor){.name = "ann", .demo = &demo};
        demo.bob = (visitor){.name = "bob", .demo = &demo};
        visit(&demo.ann);
    } else {
        char endpoint[128] = "";
        lariat_listener_address(listener, endpoint, sizeof endpoint, NULL);
        printf("Listening at %s\n", endpoint);
        fflush(stdout);
    }
    lariat_status status = lariat_reactor_run(chat.reactor);
    lariat_status freed = lariat_reactor_free(chat.reactor);
    for (unsigned i = 0; i < chat.count; i++)
        free(chat.rooms[i]);
    if (demonstrates)
        printf("What ann saw:\n%sWhat bob saw:\n%s", demo.ann.saw, demo.bob.saw);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
