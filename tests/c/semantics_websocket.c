/* WebSockets: messages, closing, what is agreed on, how fast is read and written, and how it all ends. */
#include "websockets.h"
#include "tls_files.h"

/* ---- messages ---- */

TEST(websocket_messages_go_both_ways) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s", .echoes = 1};
    world_begin(&it, 1);
    world_expect(&it, &server);
    connect_end(&it, &client, "ws://b/chat/room?name=me");
    CHECK_NOTES("");
    run_for(&it, 1);
    CHECK(noted("c:open") && noted("s:open"));
    notes_clear();
    CHECK_STR(it.path, "/chat/room");
    CHECK_STR(it.query, "name=me");
    CHECK_INT(lariat_websocket_is_open(client.socket), 1);
    CHECK_INT(lariat_websocket_is_compressed(client.socket), 0);
    CHECK_PTR(lariat_websocket_subprotocol(client.socket), NULL);
    CHECK_OK(lariat_websocket_send_text(client.socket, "hello"));
    CHECK_OK(lariat_websocket_send(client.socket, LARIAT_WEBSOCKET_TEXT, NULL, 0));
    CHECK_OK(lariat_websocket_send_binary(client.socket, octets("\0\1\2"), 3));
    CHECK_OK(lariat_websocket_send(client.socket, LARIAT_WEBSOCKET_TEXT, octets("\xce\xba\0x"), 4));
    run_for(&it, 1);
    CHECK_NOTES("s=t(hello) s=t() s=b3 s=t(\xce\xba) c=t(hello) c=t() c=b3 c=t(\xce\xba)");
    CHECK_INT(client.got.length, 4);
    close_both(&it, &client, &server);
    world_done(&it);
}

TEST(websocket_messages_of_any_length) {
    const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 65537, 1000000};
    world it = {0};
    end client = {.name = "c", .quiet = 1}, server = {.name = "s", .quiet = 1, .echoes = 1};
    world_begin(&it, 2);
    CHECK_OK(lariat_simulation_set_faults(it.simulation, 0.3));
    world_open(&it, &client, &server);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t *data = pattern_new(lengths[i], (unsigned)i);
        CHECK_OK(lariat_websocket_send_binary(client.socket, data, lengths[i]));
        run_for(&it, 30);
        CHECK_INT(client.messages, i + 1);
        CHECK_INT(client.got.length, lengths[i]);
        CHECK_PATTERN(client.got.data, lengths[i], (unsigned)i);
        free(data);
    }
    close_both(&it, &client, &server);
    world_done(&it);
}

TEST(websocket_text_that_is_not_utf8_is_not_sent) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    CHECK_STATUS(lariat_websocket_send(client.socket, LARIAT_WEBSOCKET_TEXT, octets("\xff"), 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_websocket_send_text(client.socket, "caf\xc3"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_websocket_send_text(client.socket, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_websocket_send(client.socket, 3, octets("x"), 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_websocket_send(client.socket, 0, octets("x"), 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_websocket_send_binary(client.socket, NULL, 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(lariat_websocket_buffered(client.socket), 0);
    run_for(&it, 1);
    CHECK_NOTES("");
    close_both(&it, &client, &server);
    world_done(&it);
}

static int32_t fragment(end *own, int32_t kind, const char *text, int32_t is_last) {
    return lariat_websocket_send_fragment(own->socket, kind, octets(text), strlen(text), is_last);
}

TEST(websocket_a_message_in_fragments) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, "one, \xe2\x82", 0));
    CHECK_STATUS(lariat_websocket_send_text(client.socket, "no"), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(fragment(&client, LARIAT_WEBSOCKET_BINARY, "no", 1), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(fragment(&client, LARIAT_WEBSOCKET_TEXT, "no", 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fragment(&client, LARIAT_WEBSOCKET_TEXT, "", 1), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fragment(&client, LARIAT_WEBSOCKET_TEXT, "", 2), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_websocket_ping(client.socket, octets("!"), 1));
    run_for(&it, 1);
    CHECK_NOTES("c~!");
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, "\xac", 0));
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, "", 0));
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, ", two", 1));
    CHECK_STATUS(fragment(&client, LARIAT_WEBSOCKET_TEXT, "\xff", 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_websocket_send_text(client.socket, "three"));
    run_for(&it, 1);
    CHECK_NOTES("s=t(one, \xe2\x82\xac, two) s=t(three)");
    close_both(&it, &client, &server);
    world_done(&it);
}

TEST(websocket_messages_in_pieces_as_they_come) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    it.in_pieces = 1;
    it.server.max_message = 100;
    world_open(&it, &client, &server);
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, "one", 0));
    run_for(&it, 1);
    CHECK_NOTES("s+t(one)");
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, "", 0));
    run_for(&it, 1);
    CHECK_NOTES("");
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, "two", 0));
    CHECK_OK(fragment(&client, LARIAT_WEBSOCKET_TEXT, "", 1));
    CHECK_OK(lariat_websocket_send_binary(client.socket, octets("b"), 1));
    run_for(&it, 1);
    CHECK_NOTES("s+t(two) s=t() s=b(b)");
    char much[101] = {0};
    CHECK_OK(lariat_websocket_send_binary(client.socket, octets(much), 101));
    run_for(&it, 1);
    CHECK(noted("s!1009") && noted("c!1009"));
    notes_clear();
    end_over(&server, 1009, LARIAT_ERR_TOO_LONG);
    end_over(&client, 1009, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

TEST(websocket_pings_and_pongs) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    char much[126] = {0};
    CHECK_OK(lariat_websocket_ping(client.socket, octets("one"), 3));
    CHECK_OK(lariat_websocket_ping(client.socket, NULL, 0));
    CHECK_STATUS(lariat_websocket_ping(client.socket, octets(much), 126), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_OK(lariat_websocket_ping(server.socket, octets("two"), 3));
    run_for(&it, 1);
    CHECK(noted("c~one c~") && noted("s~two"));
    CHECK_INT(client.pongs + server.pongs, 3);
    notes_clear();
    close_both(&it, &client, &server);
    world_done(&it);
}

/* ---- closing ---- */

TEST(websocket_either_side_closes) {
    for (int by_client = 0; by_client < 2; by_client++) {
        world it = {0};
        end client = {.name = "c"}, server = {.name = "s"};
        world_begin(&it, 1);
        world_open(&it, &client, &server);
        end *one = by_client ? &client : &server, *other = by_client ? &server : &client;
        CHECK_OK(lariat_websocket_send_text(one->socket, "last words"));
        CHECK_OK(lariat_websocket_close(one->socket, 4000, "r\xc3\xa9" "ason"));
        CHECK_STATUS(lariat_websocket_send_text(one->socket, "no"), LARIAT_ERR_CLOSED);
        CHECK_STATUS(lariat_websocket_ping(one->socket, NULL, 0), LARIAT_ERR_CLOSED);
        CHECK_STATUS(lariat_websocket_close(one->socket, 1000, NULL), LARIAT_ERR_CLOSED);
        CHECK_INT(lariat_websocket_is_open(one->socket), 0);
        /* What is on its way is still told. */
        CHECK_OK(lariat_websocket_send_text(other->socket, "from the other side"));
        run_for(&it, 1);
        CHECK(noted(by_client ? "s=t(last words)" : "c=t(last words)"));
        CHECK(noted(by_client ? "c=t(from the other side)" : "s=t(from the other side)"));
        notes_clear();
        CHECK_STR(other->reason, "r\xc3\xa9" "ason");
        CHECK_STR(one->reason, "");
        end_over(one, 4000, LARIAT_CONNECTION_DONE);
        end_over(other, 4000, LARIAT_CONNECTION_DONE);
        world_done(&it);
    }
}

TEST(websocket_both_sides_close_at_once) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    CHECK_OK(lariat_websocket_close(client.socket, 1000, NULL));
    CHECK_OK(lariat_websocket_close(server.socket, 1001, NULL));
    run_for(&it, 1);
    notes_clear();
    end_over(&client, 1001, LARIAT_CONNECTION_DONE);
    end_over(&server, 1000, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

TEST(websocket_close_codes_and_reasons_that_can_be_sent) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    const int codes[] = {-1, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536 + 1000};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        CHECK_STATUS(lariat_websocket_close(client.socket, codes[i], NULL), LARIAT_ERR_INVALID_ARGUMENT);
    char reason[125];
    memset(reason, 'x', 124);
    reason[124] = 0;
    CHECK_STATUS(lariat_websocket_close(client.socket, 1000, reason), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_websocket_close(client.socket, 1000, "\xff"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_websocket_close(client.socket, 0, "why"), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(lariat_websocket_is_open(client.socket), 1);
    CHECK_OK(lariat_websocket_close(client.socket, 0, ""));
    run_for(&it, 1);
    notes_clear();
    end_over(&client, 1005, LARIAT_CONNECTION_DONE);
    end_over(&server, 1005, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

TEST(websocket_a_close_frame_that_is_not_answered) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    it.server.close_seconds = 5;
    peer_open(&it, &peer, &server);
    CHECK_OK(lariat_websocket_close(server.socket, 1000, NULL));
    run_for(&it, 4.9);
    CHECK_STR(peer_frames(&peer), "close(1000)");
    CHECK_NOTES("");
    run_for(&it, 0.2);
    CHECK_NOTES("s!1006");
    end_over(&server, 1006, LARIAT_ERR_TIMED_OUT);
    run_for(&it, 1);
    side_over(&peer, LARIAT_ERR_CONNECTION_LOST);
    world_done(&it);
}

TEST(websocket_a_server_that_does_not_end_the_connection) {
    world it = {0};
    end client = {.name = "c"};
    side peer = {.name = "peer"};
    server one = {&peer, 1, 0, LARIAT_OK};
    world_begin(&it, 1);
    it.client.close_seconds = 5;
    lariat_listener *listener = peer_serve(&it, &one, &client);
    peer_frame(&peer, 0x88, "\x03\xe8", 2, UNMASKED);
    run_for(&it, 1);
    CHECK_STR(peer_frames(&peer), "mclose(1000)");
    CHECK_NOTES("");
    /* What comes after a close frame is nobody's. */
    peer_frame(&peer, 0x81, "late", 4, UNMASKED);
    peer_frame(&peer, 0x89, "late", 4, UNMASKED);
    run_for(&it, 5);
    CHECK_STR(peer_frames(&peer), "");
    CHECK_NOTES("c!1000");
    end_over(&client, 1000, LARIAT_CONNECTION_DONE);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    world_stop_listening(listener);
    world_done(&it);
}

TEST(websocket_a_connection_that_ends_without_a_close_frame) {
    world it = {0};
    end server = {.name = "s"}, other = {.name = "t"};
    side peer = {.name = "peer"}, second = {.name = "second"};
    world_begin(&it, 1);
    peer_open(&it, &peer, &server);
    CHECK_OK(lariat_transport_lose_connection(peer.transport));
    run_for(&it, 1);
    CHECK_NOTES("s!1006");
    CHECK(strstr(server.reason, "without a close frame") != NULL);
    end_over(&server, 1006, LARIAT_ERR_TRUNCATED);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    peer_open(&it, &second, &other);
    CHECK_OK(lariat_transport_abort_connection(second.transport));
    run_for(&it, 1);
    CHECK_NOTES("t!1006");
    end_over(&other, 1006, LARIAT_ERR_CONNECTION_LOST);
    side_over(&second, LARIAT_ERR_CONNECTION_ABORTED);
    world_done(&it);
}

TEST(websocket_abort_ends_at_once) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    CHECK_OK(lariat_websocket_abort(client.socket));
    CHECK_NOTES("");
    CHECK_STATUS(lariat_websocket_abort(client.socket), LARIAT_ERR_CLOSED);
    CHECK_STATUS(lariat_websocket_send_text(client.socket, "x"), LARIAT_ERR_CLOSED);
    run_for(&it, 1);
    notes_clear();
    end_over(&client, 1006, LARIAT_ERR_CONNECTION_ABORTED);
    end_over(&server, 1006, LARIAT_ERR_CONNECTION_LOST);
    world_done(&it);
}

/* ---- what callbacks may do ---- */

static void close_it(end *own, const uint8_t *data, size_t len) {
    (void)data, (void)len;
    CHECK_OK(lariat_websocket_close(own->socket, 1000, "enough"));
}

static void abort_it(end *own, const uint8_t *data, size_t len) {
    (void)data, (void)len;
    CHECK_OK(lariat_websocket_abort(own->socket));
}

static void greet(end *own) { CHECK_OK(lariat_websocket_send_text(own->socket, own->name)); }
static void abort_opened(end *own) { CHECK_OK(lariat_websocket_abort(own->socket)); }

TEST(websocket_callbacks_may_send_close_and_abort) {
    world it = {0};
    end client = {.name = "c", .on_open = greet}, server = {.name = "s", .on_open = greet, .on_message = close_it};
    world_begin(&it, 1);
    world_expect(&it, &server);
    connect_end(&it, &client, "ws://b/");
    run_for(&it, 1);
    CHECK(noted("s=t(c)") && noted("c=t(s)"));
    notes_clear();
    end_over(&client, 1000, LARIAT_CONNECTION_DONE);
    end_over(&server, 1000, LARIAT_CONNECTION_DONE);
    CHECK_STR(client.reason, "enough");

    end second = {.name = "c"}, other = {.name = "s", .on_message = abort_it};
    world_open(&it, &second, &other);
    CHECK_OK(lariat_websocket_send_text(second.socket, "one"));
    CHECK_OK(lariat_websocket_send_text(second.socket, "two"));
    run_for(&it, 1);
    CHECK(noted("s=t(one)") && !noted("two"));
    notes_clear();
    end_over(&second, 1006, LARIAT_ERR_CONNECTION_LOST);
    end_over(&other, 1006, LARIAT_ERR_CONNECTION_ABORTED);

    end third = {.name = "c", .on_open = abort_opened}, last = {.name = "s"};
    world_expect(&it, &last);
    connect_end(&it, &third, "ws://b/");
    run_for(&it, 1);
    notes_clear();
    end_over(&third, 1006, LARIAT_ERR_CONNECTION_ABORTED);
    end_over(&last, 1006, LARIAT_ERR_CONNECTION_LOST);
    world_done(&it);
}

/* ---- reading and writing as fast as is wanted ---- */

static void pause_it(end *own, const uint8_t *data, size_t len) {
    (void)data, (void)len;
    CHECK_OK(lariat_websocket_pause_reading(own->socket));
}

TEST(websocket_no_message_is_told_while_reading_is_paused) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s", .on_message = pause_it};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    for (int i = 0; i < 3; i++) CHECK_OK(lariat_websocket_send_text(client.socket, "now"));
    run_for(&it, 1);
    CHECK_NOTES("s=t(now)");
    CHECK_OK(lariat_websocket_send_text(client.socket, "later"));
    run_for(&it, 1);
    CHECK_NOTES("");
    CHECK_OK(lariat_websocket_resume_reading(server.socket));
    CHECK_NOTES("");
    run_for(&it, 1);
    CHECK_NOTES("s=t(now)");
    server.on_message = NULL;
    CHECK_OK(lariat_websocket_resume_reading(server.socket));
    run_for(&it, 1);
    CHECK_NOTES("s=t(now) s=t(later)");
    /* One that closes hears of what is left, and of the end. */
    CHECK_OK(lariat_websocket_pause_reading(server.socket));
    CHECK_OK(lariat_websocket_send_text(client.socket, "last"));
    run_for(&it, 1);
    CHECK_NOTES("");
    CHECK_OK(lariat_websocket_close(server.socket, 1000, NULL));
    run_for(&it, 1);
    CHECK(noted("s=t(last)"));
    notes_clear();
    end_over(&client, 1000, LARIAT_CONNECTION_DONE);
    end_over(&server, 1000, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

TEST(websocket_a_peer_that_does_not_read_fills_no_more_than_is_allowed) {
    world it = {0};
    end client = {.name = "c", .quiet = 1}, server = {.name = "s"};
    world_begin(&it, 1);
    it.server.max_buffered = 100000;
    world_open(&it, &client, &server);
    CHECK_OK(lariat_websocket_pause_reading(client.socket));
    uint8_t *data = pattern_new(10000, 1);
    int sent = 0;
    lariat_status status;
    while ((status = lariat_websocket_send_binary(server.socket, data, 10000)) == LARIAT_OK) {
        sent++;
        run_for(&it, 0.1);
        CHECK(sent < 1000);
        CHECK(lariat_websocket_buffered(server.socket) <= 100000);
    }
    CHECK_STATUS(status, LARIAT_ERR_BUFFER_FULL);
    CHECK(lariat_websocket_buffered(server.socket) > 80000);
    CHECK_STATUS(lariat_websocket_send_fragment(server.socket, LARIAT_WEBSOCKET_BINARY, data, 10000, 0), LARIAT_ERR_BUFFER_FULL);
    CHECK_OK(lariat_websocket_send_text(server.socket, "a small one fits"));
    CHECK_OK(lariat_websocket_resume_reading(client.socket));
    run_for(&it, 10);
    /* Nothing was half sent. */
    CHECK_INT(client.messages, sent + 1);
    CHECK_STR(bytes_text(&client.got), "a small one fits");
    CHECK_INT(lariat_websocket_buffered(server.socket), 0);
    free(data);
    close_both(&it, &client, &server);
    world_done(&it);
}

static void produce(lariat_transport *transport, void *user_data) {
    (void)transport;
    end *own = user_data;
    static uint8_t data[5000];
    for (own->pongs = 1; own->pongs && own->messages < 100;) {
        own->messages++;
        CHECK_OK(lariat_websocket_send_binary(own->socket, data, sizeof data));
    }
}

static void pause_producing(lariat_transport *transport, void *user_data) {
    (void)transport;
    ((end *)user_data)->pongs = 0;
    note("pause");
}

static void resume_producing(lariat_transport *transport, void *user_data) {
    note("resume");
    produce(transport, user_data);
}

TEST(websocket_a_producer_writes_as_fast_as_the_peer_reads) {
    world it = {0};
    end client = {.name = "c", .quiet = 1}, server = {.name = "s"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    lariat_transport *transport = lariat_websocket_transport(server.socket);
    CHECK(transport != NULL);
    CHECK_OK(lariat_websocket_pause_reading(client.socket));
    lariat_producer producer;
    CHECK_OK(lariat_producer_init(&producer, sizeof producer));
    producer.pause_producing = pause_producing;
    producer.resume_producing = resume_producing;
    CHECK_OK(lariat_transport_register_producer(transport, &producer, &server));
    produce(transport, &server);
    run_for(&it, 1);
    CHECK(noted("pause"));
    CHECK(server.messages < 100);
    CHECK_OK(lariat_websocket_resume_reading(client.socket));
    run_for(&it, 10);
    CHECK(noted("resume"));
    notes_clear();
    CHECK_INT(client.messages, 100);
    CHECK_OK(lariat_transport_unregister_producer(transport));
    close_both(&it, &client, &server);
    world_done(&it);
}

TEST(websocket_its_connection_gets_no_other_protocol) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    side other = {.name = "other"};
    world_begin(&it, 1);
    world_open(&it, &client, &server);
    lariat_transport *transport = lariat_websocket_transport(server.socket);
    lariat_protocol protocol = side_protocol(PLAIN);
    CHECK_STATUS(lariat_transport_set_protocol(transport, &protocol, &other), LARIAT_ERR_INVALID_STATE);
    CHECK_INT(other.freed, 1);
    CHECK_STATUS(lariat_transport_set_line_framing(transport, NULL, 0, 0), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_transport_unread(transport, octets("x"), 1), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_transport_consume(transport, 1), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_websocket_send_text(client.socket, "still"));
    run_for(&it, 1);
    CHECK_NOTES("s=t(still)");
    close_both(&it, &client, &server);
    world_done(&it);
}

/* ---- time ---- */

TEST(websocket_pings_keep_it_alive_and_find_a_peer_that_is_gone) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    it.server.ping_seconds = 10;
    it.server.pong_seconds = 5;
    it.client.ping_seconds = INFINITY;
    world_open(&it, &client, &server);
    run_for(&it, 1000);
    CHECK(server.pongs > 50);
    notes_clear();
    CHECK_INT(client.closed + server.closed, 0);
    CHECK_OK(lariat_simulation_partition(it.simulation, "a", "b", 1));
    run_for(&it, 26);
    CHECK_NOTES("s!1006");
    CHECK(strstr(server.reason, "has not answered a ping for 5 s") != NULL);
    end_over(&server, 1006, LARIAT_ERR_TIMED_OUT);
    CHECK_INT(client.closed, 0);
    CHECK_OK(lariat_websocket_abort(client.socket));
    run_for(&it, 1);
    CHECK_NOTES("c!1006");
    end_over(&client, 1006, LARIAT_ERR_CONNECTION_ABORTED);
    world_done(&it);
}

TEST(websocket_one_without_messages_is_closed_if_that_is_asked_for) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    it.server.idle_seconds = 10;
    it.client.ping_seconds = 3; /* pings are no messages */
    world_open(&it, &client, &server);
    for (int i = 0; i < 5; i++) {
        run_for(&it, 8);
        CHECK_OK(lariat_websocket_send_text(i % 2 ? client.socket : server.socket, "x"));
    }
    run_for(&it, 9.5);
    CHECK_INT(server.closed, 0);
    run_for(&it, 1);
    notes_clear();
    end_over(&client, 1001, LARIAT_CONNECTION_DONE);
    end_over(&server, 1001, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

/* ---- what is agreed on ---- */

TEST(websocket_subprotocols) {
    const char *const spoken[] = {"v3", "v2", NULL}, *const offered[] = {"v1", "v2", "v3", NULL}, *const others[] = {"x", NULL};
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"}, second = {.name = "d"}, other = {.name = "t"};
    world_begin(&it, 1);
    it.server.subprotocols = spoken;
    it.client.subprotocols = offered;
    world_open(&it, &client, &server);
    CHECK_STR(lariat_websocket_subprotocol(client.socket), "v3");
    CHECK_STR(server.subprotocol, "v3");
    CHECK_STR(client.subprotocol, "v3");
    close_both(&it, &client, &server);
    it.client.subprotocols = others;
    world_open(&it, &second, &other);
    CHECK_PTR(lariat_websocket_subprotocol(second.socket), NULL);
    CHECK_STR(other.subprotocol, "");
    close_both(&it, &second, &other);
    world_done(&it);
}

static void set_cookie(world *it, lariat_http_request *request) {
    (void)it;
    CHECK_STR(lariat_http_request_header(request, "Cookie"), "a=b");
    CHECK_STR(lariat_http_request_header(request, "Authorization"), "Basic dXNlcjpwYXNz");
    CHECK_OK(lariat_http_request_set_header(request, "Set-Cookie", "c=d"));
}

TEST(websocket_headers_of_both_sides) {
    const char *const headers[] = {"Cookie: a=b", "X-Empty:", NULL};
    world it = {.before = set_cookie};
    end client = {.name = "c"}, server = {.name = "s"};
    world_begin(&it, 1);
    it.client.headers = headers;
    world_expect(&it, &server);
    connect_end(&it, &client, "ws://user:pass@b/");
    run_for(&it, 1);
    notes_clear();
    close_both(&it, &client, &server);
    const char *bad[] = {"no colon", "Host: x", "Upgrade: x", "sec-websocket-key: x", "Na me: x", "A: b\r\nC: d", ": x", "Content-Length: 5"};
    lariat_websocket_protocol protocol = end_protocol();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const one[] = {bad[i], NULL};
        end own = {.name = "bad"};
        it.client.headers = one;
        CHECK_NULL(lariat_reactor_connect_websocket(it.a, "ws://b/", &it.client, &protocol, &own), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_INT(own.freed, 1);
    }
    world_done(&it);
}

TEST(websocket_compression_is_agreed_on_and_saves_bytes) {
    for (int bits = 9; bits <= 15; bits += 3)
        for (int alone = 0; alone < 2; alone++) {
            world it = {0};
            end client = {.name = "c", .quiet = 1}, server = {.name = "s", .quiet = 1, .echoes = 1};
            world_begin(&it, 1);
            it.server.compression = it.client.compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE;
            it.server.window_bits = it.client.peer_window_bits = bits;
            it.client.no_context_takeover = it.server.no_context_takeover = alone;
            it.client.compression_threshold = 10;
            world_open(&it, &client, &server);
            CHECK_INT(lariat_websocket_is_compressed(client.socket) + lariat_websocket_is_compressed(server.socket), 2);
            char text[20001];
            for (size_t i = 0; i < 2000; i++) snprintf(text + i * 10, 11, "%9zu,", i % 7);
            CHECK_OK(lariat_simulation_partition(it.simulation, "a", "b", 1));
            for (int i = 0; i < 3; i++) CHECK_OK(lariat_websocket_send_text(client.socket, text));
            CHECK_OK(lariat_websocket_send_text(client.socket, "short"));
            CHECK_OK(lariat_websocket_send_fragment(client.socket, LARIAT_WEBSOCKET_TEXT, octets(text), 15000, 0));
            CHECK_OK(lariat_websocket_send_fragment(client.socket, LARIAT_WEBSOCKET_TEXT, octets(text) + 15000, 5000, 1));
            CHECK(lariat_websocket_buffered(client.socket) < 5000);
            CHECK_OK(lariat_simulation_partition(it.simulation, "a", "b", 0));
            run_for(&it, 10);
            CHECK_INT(client.messages, 5);
            CHECK_STR(bytes_text(&client.got), text);
            close_both(&it, &client, &server);
            world_done(&it);
        }
}

TEST(websocket_compression_that_one_side_does_not_want) {
    for (int of_client = 0; of_client < 2; of_client++) {
        world it = {0};
        end client = {.name = "c"}, server = {.name = "s", .echoes = 1};
        world_begin(&it, 1);
        (of_client ? &it.client : &it.server)->compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE;
        world_open(&it, &client, &server);
        CHECK_INT(lariat_websocket_is_compressed(client.socket) + lariat_websocket_is_compressed(server.socket), 0);
        CHECK_OK(lariat_websocket_send_text(client.socket, "plain"));
        run_for(&it, 1);
        CHECK_NOTES("s=t(plain) c=t(plain)");
        close_both(&it, &client, &server);
        world_done(&it);
    }
}

/* ---- requests that a server refuses ---- */

static void is_refused(const char *request, const char *status, const char *header) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    world_expect(&it, &server);
    peer_connect(&it, &peer);
    write_text(peer.transport, request);
    run_for(&it, 1);
    CHECK_NOTES("refused:WEBSOCKET_HANDSHAKE");
    if (header) CHECK(strstr(bytes_text(&peer.got), header) != NULL);
    peer_take_head(&peer, status);
    CHECK_INT(server.freed, 1);
    CHECK_INT(server.opened + server.closed, 0);
    if (peer.transport) CHECK_OK(lariat_transport_lose_connection(peer.transport));
    run_for(&it, 1);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    world_done(&it);
}

#define ASK "Host: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

TEST(websocket_a_server_refuses_what_is_no_handshake) {
    is_refused("GET / HTTP/1.1\r\nHost: b\r\n\r\n", "HTTP/1.1 426 ", "\r\nUpgrade: websocket\r\n");
    is_refused("GET / HTTP/1.1\r\n" ASK "Sec-WebSocket-Version: 8\r\n" KEY "\r\n", "HTTP/1.1 426 ", "\r\nSec-WebSocket-Version: 13\r\n");
    is_refused("GET / HTTP/1.1\r\n" ASK KEY "\r\n", "HTTP/1.1 426 ", NULL);
    is_refused("GET / HTTP/1.0\r\n" ASK VERSION KEY "\r\n", "HTTP/1.1 426 ", NULL);
    is_refused("PUT / HTTP/1.1\r\n" ASK VERSION KEY "\r\n", "HTTP/1.1 405 ", "\r\nAllow: GET\r\n");
    is_refused("GET / HTTP/1.1\r\n" ASK VERSION "\r\n", "HTTP/1.1 400 ", NULL);
    is_refused("GET / HTTP/1.1\r\n" ASK VERSION KEY KEY "\r\n", "HTTP/1.1 400 ", NULL);
    is_refused("GET / HTTP/1.1\r\n" ASK VERSION "Sec-WebSocket-Key: c2hvcnQ=\r\n\r\n", "HTTP/1.1 400 ", NULL);
    is_refused("GET / HTTP/1.1\r\n" ASK VERSION KEY "Sec-WebSocket-Extensions: a b\r\n\r\n", "HTTP/1.1 400 ", NULL);
    is_refused("GET / HTTP/1.1\r\n" ASK VERSION KEY "Origin: https://evil.example\r\n\r\n", "HTTP/1.1 403 ", NULL);
}

TEST(websocket_pages_of_other_origins_are_let_in_if_they_are_named) {
    const char *const origins[] = {"https://a.example", "https://b.example", NULL};
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    it.server.origins = origins;
    world_expect(&it, &server);
    peer_connect(&it, &peer);
    peer_ask(&peer, "Origin: https://b.example\r\n");
    run_for(&it, 1);
    peer_take_head(&peer, "HTTP/1.1 101 ");
    CHECK_NOTES("s:open");
    /* What comes together with the request is not lost. */
    CHECK_OK(lariat_websocket_abort(server.socket));
    run_for(&it, 1);
    CHECK_NOTES("s!1006");
    end_over(&server, 1006, LARIAT_ERR_CONNECTION_ABORTED);
    side_over(&peer, LARIAT_ERR_CONNECTION_LOST);
    world_done(&it);
}

TEST(websocket_frames_that_come_together_with_the_handshake) {
    world it = {0};
    end server = {.name = "s"};
    side peer = {.name = "peer"};
    world_begin(&it, 1);
    world_expect(&it, &server);
    peer_connect(&it, &peer);
    bytes sent = {0};
    const char request[] = "GET / HTTP/1.1\r\n" ASK VERSION KEY "\r\n";
    bytes_add(&sent, octets(request), sizeof request - 1);
    frame_add(&sent, 0x81, "early", 5, MASKED);
    frame_add(&sent, 0x88, "\x03\xe8", 2, MASKED);
    peer_send(&peer, sent.data, sent.length);
    run_for(&it, 1);
    CHECK_NOTES("s:open s=t(early) s!1000");
    peer_take_head(&peer, "HTTP/1.1 101 ");
    CHECK_STR(peer_frames(&peer), "close(1000)");
    end_over(&server, 1000, LARIAT_CONNECTION_DONE);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    bytes_free(&sent);
    world_done(&it);
}

/* ---- a client's answers ---- */

/* Connects to a peer that answers so; "%s" is what answers the key. */
static void answered(const char *answer, const char *label, const char *words, void (*change)(world *)) {
    world it = {0};
    end client = {.name = "c"};
    side peer = {.name = "peer"};
    server one = {&peer, 1, 0, LARIAT_OK};
    world_begin(&it, 1);
    if (change) change(&it);
    lariat_listener *listener = peer_listen(&it, &one);
    connect_end(&it, &client, "ws://b:81/where?to=it");
    run_for(&it, 1);
    CHECK_INT(one.count, 1);
    CHECK(strncmp(bytes_text(&peer.got), "GET /where?to=it HTTP/1.1\r\nHost: b:81\r\n", 39) == 0);
    char text[20000];
    snprintf(text, sizeof text, answer, answer_to(&peer));
    if (*text) write_text(peer.transport, text);
    else CHECK_OK(lariat_transport_lose_connection(peer.transport));
    run_for(&it, 1);
    char want[64];
    snprintf(want, sizeof want, "c!%s", label);
    CHECK_NOTES(want);
    CHECK(strncmp(client.message, "ws://b:81/where?to=it: ", 23) == 0);
    if (!strstr(client.message, words)) test_fail(__FILE__, __LINE__, "the message is \"%s\", must say \"%s\"", client.message, words);
    CHECK_INT(client.freed, 1);
    CHECK_INT(client.opened + client.closed, 0);
    run_for(&it, 1);
    CHECK_INT(peer.lost, 1);
    bytes_free(&peer.got);
    world_stop_listening(listener);
    world_done(&it);
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static void small_head(world *it) { it->client.max_head = 200; }

TEST(websocket_a_client_refuses_what_is_no_answer) {
    const char *handshake = "WEBSOCKET_HANDSHAKE";
    answered("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", handshake, "has answered 404 Not Found", NULL);
    answered("HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\n\r\n", handshake, "302 Found, and redirects are not followed", NULL);
    answered("HTTP/1.1 200 OK\r\n\r\n", handshake, "has answered 200 OK", NULL);
    answered(SWITCH "\r\n", handshake, "Sec-WebSocket-Accept", NULL);
    answered(SWITCH "Sec-WebSocket-Accept: x%s\r\n\r\n", handshake, "Sec-WebSocket-Accept", NULL);
    answered(SWITCH "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: v1\r\n\r\n", handshake, "subprotocol", NULL);
    answered(SWITCH "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", handshake, "was not offered", NULL);
    answered("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", handshake, "Upgrade", NULL);
    answered("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", handshake, "Connection", NULL);
    answered("SSH-2.0-OpenSSH\r\n", handshake, "is not HTTP/1.1", NULL);
    answered("HTTP/1.0 101 x\r\n\r\n", handshake, "is not HTTP/1.1", NULL);
    answered("HTTP/1.1 101 x\r\nno colon\r\n\r\n", handshake, "is not HTTP/1.1", NULL);
    answered("HTTP/1.1 101 x\nUpgrade: websocket\n\n", handshake, "is not HTTP/1.1", NULL);
    answered("", "TRUNCATED", "without an answer", NULL);
    char much[400];
    memset(much, 'x', sizeof much);
    memcpy(much, "HTTP/1.1 101 x\r\nA: ", 19);
    much[399] = 0;
    answered(much, "TOO_LONG", "longer than 200 bytes", small_head);
}

TEST(websocket_answers_before_the_answer_are_passed_over_and_frames_behind_it_are_not_lost) {
    world it = {0};
    end client = {.name = "c"};
    side peer = {.name = "peer"};
    server one = {&peer, 1, 0, LARIAT_OK};
    world_begin(&it, 1);
    lariat_listener *listener = peer_listen(&it, &one);
    connect_end(&it, &client, "ws://b:81");
    run_for(&it, 1);
    char text[512];
    snprintf(text, sizeof text, "HTTP/1.1 103 Early Hints\r\n\r\n" SWITCH "Sec-WebSocket-Accept: %s\r\n\r\n", answer_to(&peer));
    bytes sent = {0};
    bytes_add(&sent, octets(text), strlen(text));
    frame_add(&sent, 0x81, "early", 5, UNMASKED);
    peer.got.length = 0;
    for (size_t i = 0; i < sent.length; i++) {
        peer_send(&peer, sent.data + i, 1);
        if (i % 7 == 0) run_for(&it, 0.01);
    }
    run_for(&it, 1);
    CHECK_NOTES("c:open c=t(early)");
    CHECK_OK(lariat_websocket_send_text(client.socket, "hi"));
    run_for(&it, 1);
    CHECK_STR(peer_frames(&peer), "mt(hi)");
    CHECK_OK(lariat_transport_lose_connection(peer.transport));
    run_for(&it, 1);
    CHECK_NOTES("c!1006");
    end_over(&client, 1006, LARIAT_ERR_TRUNCATED);
    side_over(&peer, LARIAT_CONNECTION_DONE);
    bytes_free(&sent);
    world_stop_listening(listener);
    world_done(&it);
}

static void failed_connect(world *it, const char *url, const char *label, double seconds) {
    end client = {.name = "c"};
    connect_end(it, &client, url);
    run_for(it, seconds);
    char want[64];
    snprintf(want, sizeof want, "c!%s", label);
    CHECK_NOTES(want);
    CHECK(strncmp(client.message, url, strlen(url)) == 0);
    CHECK_INT(client.freed, 1);
}

TEST(websocket_failures_to_connect_name_the_url) {
    world it = {0};
    side peer = {.name = "peer"};
    server one = {&peer, 1, 0, LARIAT_OK};
    world_begin(&it, 1);
    failed_connect(&it, "ws://nobody.example/x", "NAME_NOT_FOUND", 5);
    failed_connect(&it, "ws://b:99/x", "CONNECTION_REFUSED", 5);
    lariat_listener *listener = peer_listen(&it, &one);
    it.client.handshake_seconds = 5;
    failed_connect(&it, "ws://b:81/slow", "TIMED_OUT", 5.1);
    run_for(&it, 1);
    CHECK_INT(peer.lost, 1);
    bytes_free(&peer.got);
    CHECK_OK(lariat_simulation_partition(it.simulation, "a", "b", 1));
    failed_connect(&it, "ws://b/far", "TIMED_OUT", 5.1);
    world_stop_listening(listener);
    world_done(&it);
}

TEST(websocket_urls_and_options_that_are_none) {
    world it = {0};
    world_begin(&it, 1);
    lariat_websocket_protocol protocol = end_protocol();
    const char *urls[] = {"", "b", "http://b/", "tcp://b:80", "ws:/b", "ws://", "ws://b:0x/", "ws://b:99999/", "wss//b", "ws://a b/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        end own = {.name = "bad"};
        CHECK_NULL(lariat_reactor_connect_websocket(it.a, urls[i], &it.client, &protocol, &own), LARIAT_ERR_INVALID_ARGUMENT);
        CHECK_INT(own.freed, 1);
    }
    protocol.free_self = NULL;
    CHECK_NULL(lariat_reactor_connect_websocket(it.a, NULL, NULL, &protocol, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_connect_websocket(it.a, "ws://b/", NULL, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    const char *const spaced[] = {"a b", NULL};
#define REFUSED(field, value)                                                                                                      \
    do {                                                                                                                           \
        lariat_websocket_options options = websocket_options();                                                                    \
        options.field = value;                                                                                                     \
        CHECK_NULL(lariat_reactor_connect_websocket(it.a, "ws://b/", &options, &protocol, NULL), LARIAT_ERR_INVALID_ARGUMENT);      \
        CHECK(strstr(lariat_last_error_message(), #field) || strstr(#field, "takeover"));                                          \
    } while (0)
    REFUSED(compression, 2);
    REFUSED(compression, -1);
    REFUSED(window_bits, 8);
    REFUSED(window_bits, 16);
    REFUSED(peer_window_bits, 0);
    REFUSED(no_context_takeover, 2);
    REFUSED(peer_no_context_takeover, -1);
    REFUSED(compression_level, 0);
    REFUSED(compression_level, 10);
    REFUSED(handshake_seconds, NAN);
    REFUSED(handshake_seconds, INFINITY);
    REFUSED(close_seconds, -1);
    REFUSED(ping_seconds, 0);
    REFUSED(pong_seconds, -1);
    REFUSED(idle_seconds, 0);
    REFUSED(subprotocols, spaced);
    world_done(&it);
}

TEST(websocket_cancelling_gives_up) {
    world it = {0};
    side peer = {.name = "peer"};
    server one = {&peer, 1, 0, LARIAT_OK};
    world_begin(&it, 1);
    lariat_listener *listener = peer_listen(&it, &one);
    lariat_websocket_protocol protocol = end_protocol();
    const double when[] = {0, 0.0002, 1};
    for (size_t i = 0; i < 3; i++) {
        end client = {.name = "c"};
        lariat_deferred *deferred = connect_with(&it, &client, "ws://b:81/", &protocol);
        if (when[i] > 0) run_for(&it, when[i]);
        CHECK_OK(lariat_deferred_cancel(deferred));
        CHECK_NOTES("c!CANCELLED");
        CHECK_INT(client.freed, 1);
        CHECK_OK(lariat_deferred_release(deferred));
        run_for(&it, 1);
    }
    CHECK_INT(one.count, 1);
    CHECK_INT(peer.lost, 1);
    bytes_free(&peer.got);
    world_stop_listening(listener);
    world_done(&it);
}

/* ---- ends ---- */

TEST(websocket_the_end_of_a_scope_and_of_a_reactor) {
    world it = {0};
    end client = {.name = "c"}, server = {.name = "s"}, waiting = {.name = "w"};
    side peer = {.name = "peer"};
    struct server one = {&peer, 1, 0, LARIAT_OK};
    world_begin(&it, 1);
    lariat_listener *listener = peer_listen(&it, &one);
    lariat_scope *scope = lariat_scope_new(it.a);
    CHECK_OK(lariat_scope_enter(scope));
    world_expect(&it, &server);
    connect_end(&it, &client, "ws://b/");
    connect_end(&it, &waiting, "ws://b:81/");
    CHECK_OK(lariat_scope_leave(scope));
    run_for(&it, 1);
    notes_clear();
    CHECK_OK(lariat_scope_free(scope));
    CHECK_NOTES("w!CANCELLED c!1006"); /* what is not there yet is cancelled */
    end_over(&client, 1006, LARIAT_ERR_CLOSED);
    CHECK_INT(waiting.freed, 1);
    run_for(&it, 1);
    notes_clear();
    CHECK_INT(server.closed, 1);
    CHECK_INT(peer.lost, 1);
    bytes_free(&peer.got);
    world_stop_listening(listener);

    end last = {.name = "d"}, other = {.name = "t"};
    world_open(&it, &last, &other);
    CHECK_OK(lariat_http_server_free(it.http));
    CHECK_OK(lariat_websocket_send_text(last.socket, "the server is gone, the connection is not"));
    run_for(&it, 1);
    CHECK_INT(other.messages, 1);
    notes_clear();
    free_reactor(it.b);
    CHECK_NOTES("t!1006");
    end_over(&other, 1006, LARIAT_ERR_CLOSED);
    free_reactor(it.a);
    CHECK_NOTES("d!1006");
    CHECK_INT(last.freed, 1);
    bytes_free(&last.got);
    CHECK_OK(lariat_simulation_free(it.simulation));
}

/* ---- events ---- */

static int next_event(lariat_reactor *reactor, lariat_event *event) {
    CHECK_OK(lariat_event_init(event, sizeof *event));
    return lariat_reactor_next_event(reactor, event) == LARIAT_OK;
}

static lariat_deferred *accept_by_events(lariat_http_request *request, void *user_data) {
    lariat_websocket **socket = user_data;
    *socket = lariat_http_request_accept_websocket_event(request, NULL, 7);
    CHECK(*socket != NULL);
    return NULL;
}

TEST(websocket_events) {
    world it = {0};
    lariat_websocket *server = NULL;
    world_begin(&it, 1);
    CHECK_OK(lariat_http_server_set_handler(it.http, accept_by_events, &server));
    lariat_deferred *deferred = lariat_reactor_connect_websocket_event(it.a, "ws://b/", NULL, 5);
    CHECK_OK(lariat_deferred_add_event(deferred, 6));
    CHECK_OK(lariat_deferred_release(deferred));
    run_for(&it, 1);
    lariat_event event;
    CHECK(next_event(it.a, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_WEBSOCKET_OPENED);
    CHECK_INT(event.tag, 5);
    lariat_websocket *client = event.source;
    CHECK(next_event(it.a, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_DEFERRED);
    CHECK_PTR(event.value, client);
    CHECK(next_event(it.b, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_WEBSOCKET_OPENED);
    CHECK_PTR(event.source, server);
    CHECK_OK(lariat_websocket_send_text(client, "text"));
    CHECK_OK(lariat_websocket_send_binary(client, octets("b"), 1));
    CHECK_OK(lariat_websocket_ping(server, octets("p"), 1));
    run_for(&it, 1);
    CHECK(next_event(it.b, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_WEBSOCKET_TEXT);
    CHECK_INT(event.tag, 7);
    CHECK(event.len == 4 && memcmp(event.data, "text", 4) == 0);
    CHECK(next_event(it.b, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_WEBSOCKET_BINARY);
    CHECK(next_event(it.b, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_WEBSOCKET_PONG);
    CHECK(!next_event(it.b, &event));
    /* While the queue is full nothing is read, and nothing is lost. */
    size_t count = 5000;
    for (size_t i = 0; i < count; i++) CHECK_OK(lariat_websocket_send_binary(client, octets(&i), sizeof i));
    run_for(&it, 5);
    CHECK(reactor_stats(it.b).events <= 1024 + 1);
    for (size_t i = 0; i < count; i++) {
        if (!next_event(it.b, &event)) {
            run_for(&it, 1);
            CHECK(next_event(it.b, &event));
        }
        size_t number;
        CHECK_INT(event.len, sizeof number);
        memcpy(&number, event.data, sizeof number);
        CHECK_INT(number, i);
    }
    CHECK(!next_event(it.b, &event));
    CHECK_OK(lariat_websocket_close(client, 3000, "over"));
    run_for(&it, 1);
    CHECK(next_event(it.b, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_WEBSOCKET_CLOSED);
    CHECK_INT(event.code, 3000);
    CHECK_INT(lariat_failure_code(event.failure), LARIAT_CONNECTION_DONE);
    CHECK(event.len == 4 && memcmp(event.data, "over", 4) == 0);
    CHECK(!next_event(it.b, &event));
    CHECK(next_event(it.a, &event));
    CHECK_INT(event.kind, LARIAT_EVENT_WEBSOCKET_CLOSED);
    CHECK(!next_event(it.a, &event));
    world_done(&it);
}

/* ---- the same seed, the same bytes ---- */

static uint64_t trace_of(uint64_t seed) {
    world it = {0};
    end client = {.name = "c", .quiet = 1}, server = {.name = "s", .quiet = 1, .echoes = 1};
    world_begin(&it, seed);
    it.server.compression = it.client.compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE;
    CHECK_OK(lariat_simulation_set_faults(it.simulation, 0.2));
    world_open(&it, &client, &server);
    uint8_t *data = pattern_new(30000, 3);
    for (size_t i = 0; i < 20; i++) CHECK_OK(lariat_websocket_send_binary(client.socket, data, i * 1500));
    run_for(&it, 10);
    CHECK_INT(client.messages, 20);
    free(data);
    close_both(&it, &client, &server);
    uint64_t trace = lariat_simulation_trace_hash(it.simulation);
    world_done(&it);
    return trace;
}

TEST(websocket_the_masks_come_from_the_seed) {
    uint64_t one = trace_of(1);
    CHECK(trace_of(1) == one);
    CHECK(trace_of(2) != one);
}

/* ---- over the system's sockets ---- */

static lariat_deferred *real_handle(lariat_http_request *request, void *user_data) { return world_handle(request, user_data); }

/* Over the loopback, by TLS if that is asked for: large messages go both ways, and both sides close. */
static void over_real_sockets(int is_secure) {
    world it = {0};
    end client = {.name = "c", .quiet = 1}, server = {.name = "s", .quiet = 1, .echoes = 1};
    lariat_tls_configuration *of_server = NULL, *of_client = NULL;
    it.a = real_reactor();
    it.server = it.client = websocket_options();
    it.server.compression = it.client.compression = LARIAT_WEBSOCKET_COMPRESSION_DEFLATE;
    it.http = lariat_http_server_new(it.a, NULL);
    CHECK_OK(lariat_http_server_set_handler(it.http, real_handle, &it));
    if (is_secure) {
        lariat_tls_client_options trusts = client_options();
        trusts.ca_file = tls_file("ca.pem");
        of_server = server_of(server_options(), "server");
        it.client.tls = of_client = client_of(trusts);
    }
    lariat_listener *listener = is_secure ? lariat_http_server_listen_tls(it.http, "tcp://127.0.0.1:0", of_server)
                                          : lariat_http_server_listen(it.http, "tcp://127.0.0.1:0");
    CHECK(listener != NULL);
    char url[64];
    if (is_secure) {
        /* Nobody trusts the certificate without being told to. */
        end stranger = {.name = "x"};
        it.client.tls = NULL;
        snprintf(url, sizeof url, "wss://127.0.0.1:%d/", (int)lariat_listener_port(listener));
        connect_end(&it, &stranger, url);
        until(it.a, stranger.freed);
        CHECK_NOTES("x!CERTIFICATE_ISSUER");
        CHECK(strncmp(stranger.message, url, strlen(url)) == 0);
        it.client.tls = of_client;
    }
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/", is_secure ? "wss" : "ws", (int)lariat_listener_port(listener));
    world_expect(&it, &server);
    connect_end(&it, &client, url);
    until(it.a, client.socket && server.socket);
    size_t length = many(3000000);
    uint8_t *data = pattern_new(length, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lariat_websocket_send_binary(client.socket, data, length));
        until(it.a, client.messages == i + 1);
        CHECK_INT(client.got.length, length);
        CHECK_PATTERN(client.got.data, length, 1);
    }
    free(data);
    CHECK_OK(lariat_websocket_close(client.socket, 1000, "bye"));
    until(it.a, client.closed && server.closed);
    notes_clear();
    end_over(&client, 1000, LARIAT_CONNECTION_DONE);
    end_over(&server, 1000, LARIAT_CONNECTION_DONE);
    CHECK_OK(lariat_http_server_free(it.http));
    until(it.a, reactor_stats(it.a).listeners == 0);
    until(it.a, reactor_stats(it.a).jobs == 0);
    reactor_done(it.a);
    if (is_secure) {
        CHECK_OK(lariat_tls_configuration_free(of_server));
        CHECK_OK(lariat_tls_configuration_free(of_client));
    }
}

TEST(websocket_over_real_sockets) { over_real_sockets(0); }
TEST(websocket_over_tls) { over_real_sockets(1); }
