/* A chat: lines, names, and limits for those who would hold the others up.
 *
 *     chat_server tcp://127.0.0.1:7000     serves until it is killed; `nc 127.0.0.1 7000`, and the first line is a name
 *     chat_server                          or `chat_server --demo`: two people talk, and one who does not listen
 *
 * A person who reads too slowly is dropped when too much waits for them: the server never waits, and never keeps more
 * than MAX_WAITING bytes for anybody. So is one who is silent, and hears nothing, for too long. */
#include <lariat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PEOPLE = 100, MAX_NAME = 20, MAX_LINE = 1000, MAX_WAITING = 256 * 1024 };
enum { READS_TOO_SLOWLY = 1 };         /* positive codes of failures are the program's own */

/* ---- the room ---- */

typedef struct person {
    lariat_transport *transport;
    struct room *room;
    char name[MAX_NAME + 1];           /* empty until it is told */
} person;

typedef struct room {
    lariat_reactor *reactor;
    double idle_seconds;
    person *people[MAX_PEOPLE];        /* those with a name */
    size_t count;
} room;

/* Nobody leaves the list in here: connection_lost is never called from inside the call that ends a connection. */
static void tell_all(room *room, const person *but, const char *line) {
    for (size_t i = 0; i < room->count; i++) {
        lariat_transport *transport = room->people[i]->transport;
        if (room->people[i] != but &&
            lariat_transport_write_frame(transport, (const uint8_t *)line, strlen(line)) == LARIAT_ERR_BUFFER_FULL)
            lariat_transport_fail_connection(transport, READS_TOO_SLOWLY, "reads too slowly");
    }
}

static void answer(person *person, const char *line) {
    lariat_transport_write_frame(person->transport, (const uint8_t *)line, strlen(line));
}

static void enter(person *person, const char *name) {
    room *room = person->room;
    for (size_t i = 0; i < room->count; i++)
        if (strcmp(room->people[i]->name, name) == 0) {
            answer(person, "* somebody else has this name; another one?");
            return;
        }
    if (name[0] == '\0' || strlen(name) > MAX_NAME || strchr(name, ' ') != NULL) {
        answer(person, "* a name is a word of 20 letters at most");
        return;
    }
    char line[MAX_NAME + 32];
    strcpy(person->name, name);
    room->people[room->count++] = person;                    /* the listener takes no more than MAX_PEOPLE */
    snprintf(line, sizeof line, "* %s joins", person->name);
    printf("%s\n", line);
    fflush(stdout);
    tell_all(room, NULL, line);
}

static void line_received(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    person *person = self;
    char text[MAX_LINE + 1], line[MAX_LINE + MAX_NAME + 4];
    if (len > 0 && data[len - 1] == '\r')                    /* we take both "\n" and "\r\n" */
        len--;
    memcpy(text, data, len);
    text[len] = '\0';                                        /* a zero byte within a line ends it, as far as we care */
    if (strcmp(text, "/quit") == 0) {
        lariat_transport_lose_connection(transport);
    } else if (person->name[0] == '\0') {
        enter(person, text);
    } else {
        snprintf(line, sizeof line, "%s: %s", person->name, text);
        tell_all(person->room, person, line);
    }
}

static void leave(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    person *person = self;
    room *room = person->room;
    size_t i = 0;
    while (i < room->count && room->people[i] != person)
        i++;
    if (i == room->count)
        return;                                              /* never told a name */
    room->people[i] = room->people[--room->count];
    int32_t code = lariat_failure_code(reason);
    char line[MAX_NAME + 64];
    snprintf(line, sizeof line, "* %s leaves%s", person->name,
             code == LARIAT_CONNECTION_DONE ? "" : code == READS_TOO_SLOWLY ? ": reads too slowly" :
             code == LARIAT_ERR_TIMED_OUT ? ": fell asleep" : ": the connection broke");
    printf("%s\n", line);
    fflush(stdout);
    tell_all(room, NULL, line);
}

/* A connection has come: makes what its functions get as self, and sets its limits. */
static lariat_status build_person(lariat_listener *listener, lariat_transport *transport, void **self, void *user_data) {
    (void)listener;
    room *room = user_data;
    person *person = calloc(1, sizeof *person);
    if (person == NULL)
        return LARIAT_ERR_NO_MEMORY;                         /* refuses the connection */
    person->transport = transport;
    person->room = room;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, MAX_LINE);
    lariat_transport_set_max_buffer(transport, MAX_WAITING);
    lariat_transport_set_idle_timeout(transport, room->idle_seconds);
    answer(person, "* your name?");
    *self = person;
    return LARIAT_OK;
}

static lariat_listener *open_room(room *room, const char *endpoint) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.data_received = line_received;
    protocol.connection_lost = leave;
    protocol.free_self = free;                               /* each person, after leave */
    lariat_listener *listener = lariat_reactor_listen(room->reactor, endpoint, &protocol, build_person, room);
    if (listener != NULL)
        lariat_listener_set_max_connections(listener, MAX_PEOPLE);
    return listener;
}

/* ---- the demonstration: each visitor does the next thing when a certain line has come ---- */

typedef struct visitor {
    const char *name;
    struct demo *demo;
    lariat_transport *transport;
    char saw[1000];
} visitor;

typedef struct demo {
    lariat_reactor *reactor;
    char endpoint[128];
    visitor ann, bob, tom;
} demo;

static void visit(visitor *visitor);

static void say(visitor *visitor, const char *line) {
    lariat_transport_write_frame(visitor->transport, (const uint8_t *)line, strlen(line));
}

static void read_poem(visitor *visitor) {
    static char verse[MAX_LINE + 1];
    memset(verse, 'o', MAX_LINE);
    say(visitor, verse);
}

static void visitor_sees(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    visitor *visitor = self;
    demo *demo = visitor->demo;
    char line[MAX_LINE + MAX_NAME + 4];
    snprintf(line, sizeof line, "%.*s", (int)len, (const char *)data);
    if (strncmp(line, "ann: ooo", 8) == 0) {                 /* bob has heard a verse: the next one */
        read_poem(&demo->ann);
        return;
    }
    snprintf(visitor->saw + strlen(visitor->saw), sizeof visitor->saw - strlen(visitor->saw), "    %s\n", line);
    if (strcmp(line, "* your name?") == 0) {
        say(visitor, visitor->name);
        if (visitor == &demo->tom)
            lariat_transport_pause_reading(transport);       /* and hears nothing from here on */
    } else if (visitor == &demo->ann) {
        if (strcmp(line, "* ann joins") == 0)
            visit(&demo->bob);
        else if (strcmp(line, "* bob joins") == 0)
            say(visitor, "hello bob");
        else if (strcmp(line, "bob: hello ann") == 0)
            visit(&demo->tom);
        else if (strcmp(line, "* tom joins") == 0)
            read_poem(visitor);
    } else if (strcmp(line, "ann: hello bob") == 0) {
        say(visitor, "hello ann");
    } else if (strcmp(line, "* tom leaves: reads too slowly") == 0) {
        say(visitor, "/quit");                               /* ann says no more: she is next */
    }
}

static void visitor_meets(lariat_transport *transport, void *self) {
    visitor *visitor = self;
    visitor->transport = transport;
    lariat_transport_set_line_framing(transport, (const uint8_t *)"\n", 1, 0);
}

static void visitor_goes(lariat_transport *transport, const lariat_failure *reason, void *self) {
    (void)transport;
    (void)reason;
    visitor *visitor = self;
    if (visitor == &visitor->demo->ann)
        lariat_reactor_stop(visitor->demo->reactor);
}

static void visit(visitor *visitor) {
    lariat_protocol protocol;
    lariat_protocol_init(&protocol, sizeof protocol);
    protocol.connection_made = visitor_meets;
    protocol.data_received = visitor_sees;
    protocol.connection_lost = visitor_goes;
    lariat_deferred_release(lariat_reactor_connect(visitor->demo->reactor, visitor->demo->endpoint, &protocol, visitor));
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    room room = {.reactor = lariat_reactor_new(), .idle_seconds = demonstrates ? 1.0 : 600.0};
    demo demo = {.reactor = room.reactor};
    lariat_listener *listener = open_room(&room, demonstrates ? "tcp://127.0.0.1:0" : argv[1]);
    if (listener == NULL) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
        lariat_reactor_free(room.reactor);
        return 1;
    }
    lariat_listener_address(listener, demo.endpoint, sizeof demo.endpoint, NULL);
    if (demonstrates) {
        demo.ann = (visitor){.name = "ann", .demo = &demo};
        demo.bob = (visitor){.name = "bob", .demo = &demo};
        demo.tom = (visitor){.name = "tom", .demo = &demo};
        visit(&demo.ann);
    } else {
        printf("Listening at %s\n", demo.endpoint);
        fflush(stdout);
    }
    lariat_status status = lariat_reactor_run(room.reactor);
    lariat_status freed = lariat_reactor_free(room.reactor);
    if (demonstrates)
        printf("What ann saw:\n%sWhat bob saw:\n%s", demo.ann.saw, demo.bob.saw);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
