/* TLS on streams: what a connection with it has in common with one without, and what it has beside. */
#include "tls.h"

enum { MEGABYTE = 1 << 20 };

/* ---- what is the same with TLS and without ---------------------------------------------------------------------------------------- */

TEST(what_is_written_arrives) {
    pair both = {.reactor = real_reactor(), .served = {.is_noted = 1, .echoes = 1}, .own = {.is_noted = 1}};
    pair_open(&both, "", "", PLAIN);
    CHECK_NOTES("c:made s:made");
    write_text(both.own.transport, "hello");
    until(both.reactor, both.own.got.length == 5);
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    until(both.reactor, both.own.freed && both.served.freed);
    CHECK_NOTES("s=hello c=hello s!CONNECTION_DONE free:s c!CONNECTION_DONE free:c");
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

static uint8_t *pieces;

static void write_pieces(side *own) {
    CHECK_OK(lariat_transport_write(own->transport, pieces, 8 * MEGABYTE));
    CHECK(lariat_transport_buffered(own->transport) > 0);
    CHECK_OK(lariat_transport_lose_connection(own->transport));
}

TEST(all_that_was_written_goes_out_before_the_end) {
    for (int served = 0; served < 2; served++) {
        pair both = {.reactor = real_reactor()};
        side *reads = served ? &both.own : &both.served;
        (served ? &both.served : &both.own)->on_made = write_pieces;
        pieces = pattern_new(8 * MEGABYTE, 1);
        pair_open(&both, "", "", PLAIN);
        until(both.reactor, reads->lost);
        CHECK_INT(reads->got.length, 8 * MEGABYTE);
        CHECK_PATTERN(reads->got.data, 8 * MEGABYTE, 1);
        free(pieces);
        pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
    }
}

TEST(pieces_of_all_sizes_in_both_directions) {
    pair both = {.reactor = real_reactor()};
    size_t written = 0;
    uint8_t *all = pattern_new(4 * MEGABYTE, 2);
    pair_open(&both, "", "", PLAIN);
    for (size_t size = 1; written + size <= 2 * MEGABYTE; size = size * 3 % 70001 + 1) {
        lariat_part parts[3] = {{all + written, size / 3}, {NULL, 0}, {all + written + size / 3, size - size / 3}};
        CHECK_OK(lariat_transport_write_parts(both.own.transport, parts, 3));
        CHECK_OK(lariat_transport_write(both.served.transport, all + written, size));
        written += size;
        if (size % 7 == 0) turn(both.reactor);
    }
    until(both.reactor, both.own.got.length == written && both.served.got.length == written);
    CHECK_PATTERN(both.own.got.data, written, 2);
    CHECK_PATTERN(both.served.got.data, written, 2);
    CHECK_INT(lariat_transport_buffered(both.own.transport), 0);
    CHECK_OK(lariat_transport_lose_connection(both.served.transport));
    free(all);
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

TEST(a_direction_ends_before_the_other) {
    pair both = {.reactor = real_reactor(), .served = {.is_noted = 1}, .own = {.is_noted = 1}};
    pair_open(&both, "", "", HALF);
    notes_clear();
    write_text(both.own.transport, "last");
    CHECK_OK(lariat_transport_lose_write_connection(both.own.transport));
    until(both.reactor, both.served.read_lost);
    CHECK_NOTES("c:half-write s=last s:half-read");
    write_text(both.served.transport, "answer");
    until(both.reactor, both.own.got.length == 6);
    CHECK_STATUS(lariat_transport_write(both.own.transport, (const uint8_t *)"x", 1), LARIAT_ERR_CLOSED);
    CHECK_OK(lariat_transport_lose_write_connection(both.served.transport));
    until(both.reactor, both.own.freed && both.served.freed);
    notes_clear();
    CHECK_INT(both.own.read_lost + both.own.write_lost, 2);
    CHECK_INT(both.served.read_lost + both.served.write_lost, 2);
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

TEST(frames_are_cut_as_without) {
    pair both = {.reactor = real_reactor(), .served = {.is_noted = 1}};
    pair_open(&both, "", "", PLAIN);
    notes_clear();
    CHECK_OK(lariat_transport_set_line_framing(both.served.transport, (const uint8_t *)"\r\n", 2, 100));
    write_text(both.own.transport, "one\r\ntw");
    until(both.reactor, both.served.calls == 1);
    write_text(both.own.transport, "o\r\nthree\r\n");
    until(both.reactor, both.served.calls == 3);
    CHECK_NOTES("s=one s=two s=three");
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    until(both.reactor, both.served.freed);
    notes_clear();
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

static int produced, paused;

static void produce_pause(lariat_transport *transport, void *user_data) {
    (void)transport, (void)user_data;
    paused++;
}

static void produce_some(lariat_transport *transport, void *user_data) {
    (void)user_data;
    paused = 0;
    while (!paused && produced < 100) {
        CHECK_OK(lariat_transport_write(transport, pieces + (size_t)produced * 50000, 50000));
        produced++;
    }
    if (produced == 100) {
        CHECK_OK(lariat_transport_unregister_producer(transport));
        CHECK_OK(lariat_transport_lose_connection(transport));
        produced++;
    }
}

TEST(a_producer_is_held_up_by_a_peer_that_does_not_read) {
    pair both = {.reactor = real_reactor()};
    lariat_producer producer;
    produced = paused = 0;
    pieces = pattern_new(100 * 50000, 3);
    pair_open(&both, "", "", PLAIN);
    CHECK_OK(lariat_transport_pause_reading(both.served.transport));
    CHECK_OK(lariat_producer_init(&producer, sizeof producer));
    producer.streaming = 1;
    producer.pause_producing = produce_pause;
    producer.resume_producing = produce_some;
    CHECK_OK(lariat_transport_set_buffer_sizes(both.own.transport, 65536, 65536));
    CHECK_OK(lariat_transport_set_buffer_sizes(both.served.transport, 65536, 65536));
    CHECK_OK(lariat_transport_register_producer(both.own.transport, &producer, NULL));
    produce_some(both.own.transport, NULL);
    until(both.reactor, paused);
    turns(both.reactor, 50);
    CHECK(produced < 100);
    int64_t waits = lariat_transport_buffered(both.own.transport);
    CHECK(waits > 64 * 1024 && waits < 64 * 1024 + 3 * 50000);
    CHECK_OK(lariat_transport_resume_reading(both.served.transport));
    until(both.reactor, both.served.lost);
    CHECK_INT(both.served.got.length, 100 * 50000);
    CHECK_PATTERN(both.served.got.data, both.served.got.length, 3);
    free(pieces);
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

#ifndef _WIN32
TEST(a_file_is_sent) {
    pair both = {.reactor = real_reactor()};
    outcome sent;
    uint8_t *all = pattern_new(3 * MEGABYTE, 4);
    FILE *file = tmpfile();
    CHECK(file != NULL);
    CHECK_INT(fwrite(all, 1, 3 * MEGABYTE, file), 3 * MEGABYTE);
    CHECK_INT(fflush(file), 0);
    pair_open(&both, "", "", PLAIN);
    write_text(both.served.transport, "head");
    watch_outcome(lariat_transport_send_file(both.served.transport, fileno(file), 5, 3 * MEGABYTE - 5), &sent);
    write_text(both.served.transport, "tail");
    until(both.reactor, both.own.got.length == 3 * MEGABYTE - 5 + 8);
    until(both.reactor, sent.fired);
    CHECK_STATUS(sent.code, LARIAT_OK);
    CHECK(memcmp(both.own.got.data, "head", 4) == 0);
    CHECK(memcmp(both.own.got.data + 4, all + 5, 3 * MEGABYTE - 5) == 0);
    CHECK(memcmp(both.own.got.data + both.own.got.length - 4, "tail", 4) == 0);
    fclose(file);
    free(all);
    CHECK_OK(lariat_transport_lose_connection(both.served.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}
#endif

TEST(a_paused_side_gets_what_came_when_it_is_resumed) {
    pair both = {.reactor = real_reactor()};
    uint8_t *all = pattern_new(300000, 5);
    pair_open(&both, "", "", PLAIN);
    CHECK_OK(lariat_transport_pause_reading(both.served.transport));
    CHECK_OK(lariat_transport_write(both.own.transport, all, 300000));
    turns(both.reactor, 50);
    CHECK_INT(both.served.calls, 0);
    CHECK_OK(lariat_transport_resume_reading(both.served.transport));
    until(both.reactor, both.served.got.length == 300000);
    CHECK_PATTERN(both.served.got.data, 300000, 5);
    free(all);
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

static void pause_itself(side *own) { CHECK_OK(lariat_transport_pause_reading(own->transport)); }

/* What is decrypted but not taken is no edge of the socket's. */
TEST(one_that_pauses_in_every_callback_gets_all) {
    pair both = {.reactor = real_reactor(), .served = {.on_data = pause_itself}};
    uint8_t *all = pattern_new(MEGABYTE, 6);
    pair_open(&both, "", "", PLAIN);
    CHECK_OK(lariat_transport_write(both.own.transport, all, MEGABYTE));
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    until(both.reactor, (both.served.transport && lariat_transport_resume_reading(both.served.transport) != LARIAT_OK) || both.served.freed);
    CHECK_INT(both.served.got.length, MEGABYTE);
    CHECK_PATTERN(both.served.got.data, MEGABYTE, 6);
    free(all);
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

TEST(rates_hold_for_what_is_read_and_written) {
    pair both = {.reactor = real_reactor()};
    uint8_t *all = pattern_new(200000, 7);
    pair_open(&both, "", "", PLAIN);
    CHECK_OK(lariat_transport_set_rate_limit(both.own.transport, 0, 1e6));
    CHECK_OK(lariat_transport_set_rate_limit(both.served.transport, 2e6, 0));
    CHECK_OK(lariat_transport_write(both.own.transport, all, 200000));
    until(both.reactor, both.served.got.length == 200000);
    CHECK_PATTERN(both.served.got.data, 200000, 7);
    free(all);
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

TEST(an_idle_connection_times_out) {
    pair both = {.reactor = real_reactor()};
    pair_open(&both, "", "", PLAIN);
    CHECK_OK(lariat_transport_set_idle_timeout(both.served.transport, 0.02));
    until(both.reactor, both.served.freed);
    until(both.reactor, both.own.freed);
    /* What times out is cut off: the peer cannot know that this was all. */
    pair_close(&both, LARIAT_ERR_TIMED_OUT, LARIAT_ERR_TRUNCATED);
}

TEST(an_abort_is_no_clean_end) {
    pair both = {.reactor = real_reactor()};
    pair_open(&both, "", "", PLAIN);
    CHECK_OK(lariat_transport_abort_connection(both.own.transport));
    until(both.reactor, both.served.freed);
    pair_close(&both, LARIAT_ERR_CONNECTION_LOST, LARIAT_ERR_CONNECTION_ABORTED);
}

TEST(events_come_as_without) {
    lariat_reactor *reactor = real_reactor();
    lariat_event event;
    lariat_listener *listener = lariat_reactor_listen_event(reactor, tls_server("server", ""), 1);
    CHECK(listener != NULL);
    lariat_deferred *deferred = lariat_reactor_connect_event(reactor, tls_client(listener, ""), 2);
    CHECK(deferred != NULL);
    CHECK_OK(lariat_deferred_release(deferred));
    CHECK_OK(lariat_event_init(&event, sizeof event));
    lariat_transport *own = NULL;
    int made = 0, came = 0, lost = 0;
    double deadline = seconds_now() + patience();
    while (lost < 2 && seconds_now() < deadline) {
        CHECK_OK(lariat_reactor_iterate(reactor, 0.001));
        while (lariat_reactor_next_event(reactor, &event) == LARIAT_OK) {
            lariat_transport *source = (lariat_transport *)event.source;
            if (event.kind == LARIAT_EVENT_CONNECTION_MADE) {
                made++;
                if (event.tag == 2) {
                    own = source;
                    write_text(source, "ping");
                }
            } else if (event.kind == LARIAT_EVENT_DATA_RECEIVED) {
                CHECK_INT(event.tag, 1);
                CHECK_INT(event.len, 4);
                came++;
                CHECK_OK(lariat_transport_lose_connection(own));
            } else if (event.kind == LARIAT_EVENT_CONNECTION_LOST) {
                CHECK_INT(lariat_failure_code(event.failure), LARIAT_CONNECTION_DONE);
                lost++;
            }
        }
    }
    CHECK_INT(made, 2);
    CHECK_INT(came, 1);
    CHECK_INT(lost, 2);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

/* ---- what is known of a connection ------------------------------------------------------------------------------------------------- */

static void ask_in_build(side *own) {
    CHECK_INT(lariat_transport_tls_version(own->transport), LARIAT_TLS_1_3);
    CHECK_TLS_TEXT(server_name, own->transport, own->more);
}

TEST(what_was_agreed_on_is_known_when_the_connection_is_made) {
    pair both = {.reactor = real_reactor(), .served = {.on_made = ask_in_build, .more = "example.test"}};
    uint8_t der[4096];
    size_t length = 0;
    pair_open(&both, "&alpn=h2,http/1.1", "&server_name=example.test&alpn=http/1.1,h2", PLAIN);
    side *sides[] = {&both.own, &both.served};
    for (int i = 0; i < 2; i++) {
        lariat_transport *transport = sides[i]->transport;
        CHECK_INT(lariat_transport_tls_version(transport), LARIAT_TLS_1_3);
        CHECK_TLS_TEXT(alpn, transport, "h2"); /* as the server prefers */
        CHECK_TLS_TEXT(server_name, transport, "example.test");
        CHECK_INT(lariat_transport_tls_is_resumed(transport), 0);
        char suite[64];
        CHECK_OK(lariat_transport_tls_cipher_suite(transport, suite, sizeof suite, NULL));
        CHECK(strncmp(suite, "TLS_AES_", 8) == 0 || strncmp(suite, "TLS_CHACHA20_", 13) == 0);
    }
    CHECK_INT(lariat_transport_tls_peer_certificates(both.own.transport), 1);
    CHECK_INT(lariat_transport_tls_peer_certificates(both.served.transport), 0);
    CHECK_OK(lariat_transport_tls_peer_certificate(both.own.transport, 0, der, sizeof der, &length));
    CHECK(length > 200 && der[0] == 0x30 && der[1] == 0x82 && length == (size_t)(der[2] << 8 | der[3]) + 4);
    CHECK_STATUS(lariat_transport_tls_peer_certificate(both.own.transport, 0, der, length - 1, NULL), LARIAT_ERR_TOO_LONG);
    CHECK_STATUS(lariat_transport_tls_peer_certificate(both.own.transport, 1, der, sizeof der, NULL), LARIAT_ERR_NOT_FOUND);
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

TEST(a_connection_without_says_so) {
    lariat_reactor *reactor = real_reactor();
    side served = {.name = "s"}, own = {.name = "c"};
    server one = {.sides = &served, .room = 1};
    char endpoint[64], text[8];
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", (int)lariat_listener_port(listener));
    connected(reactor, endpoint, PLAIN, &own);
    CHECK_INT(lariat_transport_tls_version(own.transport), 0);
    CHECK_STATUS(lariat_transport_tls_alpn(own.transport, text, sizeof text, NULL), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_transport_tls_is_resumed(own.transport), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_transport_tls_peer_certificates(own.transport), LARIAT_ERR_INVALID_STATE);
    CHECK_STATUS(lariat_transport_tls_update_keys(own.transport), LARIAT_ERR_INVALID_STATE);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed && served.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&served, LARIAT_CONNECTION_DONE);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(keys_can_be_changed_on_the_way) {
    pair both = {.reactor = real_reactor(), .served = {.echoes = 1}};
    pair_open(&both, "", "", PLAIN);
    for (int i = 1; i <= 100; i++) {
        CHECK_OK(lariat_transport_tls_update_keys(i % 2 ? both.own.transport : both.served.transport));
        write_text(both.own.transport, "x");
        until(both.reactor, both.own.got.length == (size_t)i);
    }
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

/* ---- configurations ------------------------------------------------------------------------------------------------------------------ */

TEST(configurations_of_memory_outlive_their_handles) {
    lariat_reactor *reactor = real_reactor();
    side served[2] = {{.name = "s", .echoes = 1}, {.name = "t", .echoes = 1}}, own[2] = {{.name = "c"}, {.name = "d"}};
    server one = {.sides = served, .room = 2};
    bytes certificate = tls_bytes("server.pem"), key = tls_bytes("server.key"), ca = tls_bytes("ca.pem");
    lariat_tls_identity identity;
    CHECK_OK(lariat_tls_identity_init(&identity, sizeof identity));
    identity.certificate = certificate.data, identity.certificate_len = certificate.length;
    identity.private_key = key.data, identity.private_key_len = key.length;
    lariat_tls_server_options of_server = server_options();
    of_server.identities = &identity, of_server.identity_count = 1;
    lariat_tls_client_options of_client = client_options();
    of_client.ca_file = NULL, of_client.ca = ca.data, of_client.ca_len = ca.length;
    lariat_tls_configuration *for_server = lariat_tls_configuration_new_server(&of_server);
    lariat_tls_configuration *for_client = client_of(of_client);
    CHECK(for_server != NULL);
    CHECK_INT(lariat_tls_configurations_alive(), 2);
    bytes_free(&certificate), bytes_free(&key), bytes_free(&ca);

    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_listener *listener = lariat_reactor_listen_tls(reactor, "tcp://127.0.0.1:0", for_server, &protocol, server_build, &one);
    CHECK(listener != NULL);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", (int)lariat_listener_port(listener));
    for (int i = 0; i < 2; i++) {
        outcome connecting;
        watch_outcome(lariat_reactor_connect_tls(reactor, endpoint, for_client, &protocol, &own[i]), &connecting);
        if (i == 1) {
            CHECK_OK(lariat_tls_configuration_free(for_client));
            CHECK_OK(lariat_tls_configuration_free(for_server));
            CHECK_STATUS(lariat_tls_configuration_free(for_server), LARIAT_ERR_STALE_HANDLE);
            lariat_protocol nobody;
            CHECK_OK(lariat_protocol_init(&nobody, sizeof nobody));
            CHECK_NULL(lariat_reactor_connect_tls(reactor, endpoint, for_client, &nobody, NULL), LARIAT_ERR_STALE_HANDLE);
        }
        until(reactor, connecting.fired);
        CHECK_STR(connecting.message, "");
        write_text(own[i].transport, "hello");
        until(reactor, own[i].got.length == 5);
    }
    for (int i = 0; i < 2; i++) CHECK_OK(lariat_transport_lose_connection(own[i].transport));
    until(reactor, own[0].freed && own[1].freed && served[0].freed && served[1].freed);
    for (int i = 0; i < 2; i++) {
        side_over(&own[i], LARIAT_CONNECTION_DONE);
        side_over(&served[i], LARIAT_CONNECTION_DONE);
    }
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(configurations_are_for_their_own_side) {
    lariat_reactor *reactor = real_reactor();
    lariat_tls_configuration *for_server = server_of(server_options(), "server"), *for_client = client_of(client_options());
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    CHECK_NULL(lariat_reactor_listen_tls(reactor, "tcp://127.0.0.1:0", for_client, &protocol, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_connect_tls(reactor, "tcp://127.0.0.1:1", for_server, &protocol, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_listen_tls(reactor, "tcp://127.0.0.1:0", NULL, &protocol, NULL, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_NULL(lariat_reactor_listen_tls(reactor, "tcp://127.0.0.1:0", (lariat_tls_configuration *)reactor, &protocol, NULL, NULL),
               LARIAT_ERR_INVALID_HANDLE);
    CHECK_STATUS(lariat_reactor_running((lariat_reactor *)for_client), LARIAT_ERR_INVALID_HANDLE);
    CHECK_STATUS(lariat_reactor_stop_from_thread((lariat_reactor *)for_client), LARIAT_ERR_INVALID_HANDLE);
    /* Whose certificate would it have to be? */
    CHECK_NULL(lariat_reactor_connect_tls(reactor, "unix:///tmp/x", for_client, &protocol, NULL), LARIAT_ERR_INVALID_ARGUMENT);
    /* What is said twice is refused, what is said once is not. */
    CHECK_NULL(lariat_reactor_listen_tls(reactor, "tls://127.0.0.1:0?alpn=h2", for_server, &protocol, NULL, NULL), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_NULL(lariat_reactor_connect_tls(reactor, "tls://127.0.0.1:1?pin=x", for_client, &protocol, NULL), LARIAT_ERR_BAD_ENDPOINT);
    lariat_listener *listener = lariat_reactor_listen_tls(reactor, "tls://127.0.0.1:0", for_server, &protocol, NULL, NULL);
    CHECK(listener != NULL);
    CHECK_STATUS(lariat_listener_set_tls(listener, for_client), LARIAT_ERR_INVALID_ARGUMENT);
    stop_listening(reactor, listener);
    CHECK_OK(lariat_tls_configuration_free(for_client));
    CHECK_OK(lariat_tls_configuration_free(for_server));
    reactor_done(reactor);
}

TEST(what_cannot_be_used_is_refused_and_named) {
    lariat_tls_identity identity;
    lariat_tls_server_options options = server_options();
    static const struct { const char *certificate, *key; lariat_status status; const char *words; } bad[] = {
        {"none.pem", "server.key", LARIAT_ERR_NOT_FOUND, "none.pem"},
        {"server.pem", "none.key", LARIAT_ERR_NOT_FOUND, "none.key"},
        {"server.pem", "second.key", LARIAT_ERR_BAD_CERTIFICATE, "second.key: the private key is not that of the certificate in"},
        {"server.key", "server.key", LARIAT_ERR_BAD_CERTIFICATE, "server.key: there is no certificate in it"},
        {"server.pem", "server.pem", LARIAT_ERR_BAD_CERTIFICATE, "server.pem: there is no private key in it"},
        {"make.sh", "server.key", LARIAT_ERR_BAD_CERTIFICATE, "make.sh"},
    };
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);
    options.identities = &identity, options.identity_count = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_OK(lariat_tls_identity_init(&identity, sizeof identity));
        identity.certificate_file = tls_file(bad[i].certificate), identity.private_key_file = tls_file(bad[i].key);
        CHECK_NULL(lariat_tls_configuration_new_server(&options), bad[i].status);
        CHECK_CONTAINS(lariat_last_error_message(), bad[i].words);
    }
    identity = tls_identity("server");
    identity.certificate = (const uint8_t *)"x", identity.certificate_len = 1;
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);
    identity = tls_identity("server");
    options.client_certificates = 3;
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);
    options.client_certificates = LARIAT_CLIENT_CERTIFICATES_REQUIRED;
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_CONTAINS(lariat_last_error_message(), "client_ca");
    options = server_options(), options.identities = &identity, options.identity_count = 1;
    options.minimum_version = 0x0302;
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);
    options.minimum_version = LARIAT_TLS_1_2, options.alpn = "h2,,http/1.1";
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);
    options.alpn = NULL, options.handshake_seconds = -1;
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);
    options.handshake_seconds = INFINITY, options.key_log_file = "/none/such/file";
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_OS);
    CHECK_CONTAINS(lariat_last_error_message(), "/none/such/file");
    options.key_log_file = NULL, options.identity_count = SIZE_MAX;
    CHECK_NULL(lariat_tls_configuration_new_server(&options), LARIAT_ERR_INVALID_ARGUMENT);

    lariat_tls_client_options client = client_options();
    client.ca_file = tls_file("server.key");
    CHECK_NULL(lariat_tls_configuration_new_client(&client), LARIAT_ERR_BAD_CERTIFICATE);
    client = client_options(), client.pins = "00";
    CHECK_NULL(lariat_tls_configuration_new_client(&client), LARIAT_ERR_INVALID_ARGUMENT);
    client = client_options(), client.server_name = "not a name";
    CHECK_NULL(lariat_tls_configuration_new_client(&client), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_INT(lariat_tls_configurations_alive(), 0);
}

TEST(endpoints_that_say_it_wrong_are_refused) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    static const char *const listens[] = {
        "tls://127.0.0.1:0", "https://127.0.0.1", "tls://127.0.0.1", "tls://127.0.0.1:0?certificate=", "tls://127.0.0.1:0?ca=x",
        "tls://127.0.0.1:0?pin=x", "tcp://127.0.0.1:0?certificate=x", "tls://127.0.0.1:0?certificate=x&minimum_version=1.1",
        "tls://127.0.0.1:0?certificate=x&client_certificates=maybe", "tls://127.0.0.1:0?private_key=x", "tls://127.0.0.1:0?alpn="};
    for (size_t i = 0; i < sizeof listens / sizeof *listens; i++)
        CHECK_NULL(lariat_reactor_listen(reactor, listens[i], &protocol, NULL, NULL), LARIAT_ERR_BAD_ENDPOINT);
    static const char *const connects[] = {
        "tls://127.0.0.1", "https://", "tls://127.0.0.1:1?insecure_no_verification=2", "tls://127.0.0.1:1?client_ca=x",
        "tls://127.0.0.1:1?server_name=a%20b", "tls://127.0.0.1:1?pin=zz", "tls://127.0.0.1:1?handshake_timeout=x"};
    for (size_t i = 0; i < sizeof connects / sizeof *connects; i++)
        CHECK_NULL(lariat_reactor_connect(reactor, connects[i], &protocol, NULL), LARIAT_ERR_BAD_ENDPOINT);
    CHECK_NULL(lariat_reactor_connect(reactor, "tls://127.0.0.1:1?ca=/none/such.pem", &protocol, NULL), LARIAT_ERR_NOT_FOUND);
    CHECK_CONTAINS(lariat_last_error_message(), "tls://127.0.0.1:1?ca=/none/such.pem: /none/such.pem");
    CHECK_NULL(lariat_reactor_listen(reactor, "tls://127.0.0.1:0?certificate=/none/%73uch.pem", &protocol, NULL, NULL), LARIAT_ERR_NOT_FOUND);
    CHECK_CONTAINS(lariat_last_error_message(), "/none/such.pem");
    reactor_done(reactor);
}

static void *use_of_thread(void *configuration) {
    lariat_reactor *reactor = real_reactor();
    side served = {.name = "s", .echoes = 1}, own = {.name = "c"};
    server one = {.sides = &served, .room = 1};
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_tls_configuration **both = configuration;
    lariat_listener *listener = lariat_reactor_listen_tls(reactor, "tcp://127.0.0.1:0", both[0], &protocol, server_build, &one);
    CHECK(listener != NULL);
    char endpoint[64];
    outcome connecting;
    snprintf(endpoint, sizeof endpoint, "tls://localhost:%d", (int)lariat_listener_port(listener));
    watch_outcome(lariat_reactor_connect_tls(reactor, endpoint, both[1], &protocol, &own), &connecting);
    until(reactor, connecting.fired);
    CHECK_STR(connecting.message, "");
    write_text(own.transport, "hello");
    until(reactor, own.got.length == 5);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed && served.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&served, LARIAT_CONNECTION_DONE);
    stop_listening(reactor, listener);
    reactor_done(reactor);
    return NULL;
}

TEST(a_configuration_is_for_all_threads) {
    lariat_tls_configuration *both[] = {server_of(server_options(), "server"), client_of(client_options())};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) threads[i] = thread_start(use_of_thread, both);
    for (int i = 0; i < 4; i++) thread_join(threads[i]);
    CHECK_OK(lariat_tls_configuration_free(both[0]));
    CHECK_OK(lariat_tls_configuration_free(both[1]));
}

/* ---- names ------------------------------------------------------------------------------------------------------------------------------ */

/* The certificate that a client is shown which asks for a name; the client trusts whoever answers, so that it sees it. */
static int shown(lariat_reactor *reactor, lariat_listener *listener, const char *name, const bytes *certificate) {
    char options[128];
    uint8_t der[4096];
    size_t length;
    side own = {.name = "c"};
    snprintf(options, sizeof options, "&insecure_no_verification=1&server_name=%s", name);
    connected(reactor, tls_client(listener, options), PLAIN, &own);
    CHECK_OK(lariat_transport_tls_peer_certificate(own.transport, 0, der, sizeof der, &length));
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    return length == certificate->length && memcmp(der, certificate->data, length) == 0;
}

/* What PEM holds. */
static bytes der_of(const char *name) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes pem = tls_bytes(name), der = {0};
    uint32_t bits = 0;
    int count = 0;
    for (const char *at = strchr(bytes_text(&pem), '\n'); *at && *at != '-'; at++) {
        const char *digit = strchr(digits, *at);
        if (!digit) continue;
        bits = bits << 6 | (uint32_t)(digit - digits), count += 6;
        if (count >= 8) {
            uint8_t byte = (uint8_t)(bits >> (count -= 8));
            bytes_add(&der, &byte, 1);
        }
    }
    bytes_free(&pem);
    return der;
}

TEST(a_server_shows_the_certificate_of_the_name_asked_for) {
    lariat_reactor *reactor = real_reactor();
    lariat_tls_identity identities[] = {tls_identity("server"), tls_identity("second"), tls_identity("wrong_name")};
    lariat_tls_server_options options = server_options();
    options.identities = identities, options.identity_count = 3;
    lariat_tls_configuration *configuration = lariat_tls_configuration_new_server(&options);
    CHECK(configuration != NULL);
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    lariat_listener *listener = lariat_reactor_listen_tls(reactor, "tcp://127.0.0.1:0", configuration, &protocol, NULL, NULL);
    CHECK_OK(lariat_tls_configuration_free(configuration));
    bytes first = der_of("server.pem"), second = der_of("second.pem"), third = der_of("wrong_name.pem");
    CHECK(shown(reactor, listener, "localhost", &first));
    CHECK(shown(reactor, listener, "second.test", &second));
    CHECK(shown(reactor, listener, "SECOND.Test", &second));
    CHECK(shown(reactor, listener, "a.wild.test", &second));
    CHECK(shown(reactor, listener, "a.b.wild.test", &first)); /* a star is for one label */
    CHECK(shown(reactor, listener, "wild.test", &first));
    CHECK(shown(reactor, listener, "www.elsewhere.test", &third));
    CHECK(shown(reactor, listener, "unheard.test", &first));
    CHECK(shown(reactor, listener, "127.0.0.1", &first)); /* an address is asked for by nobody */
    bytes_free(&first), bytes_free(&second), bytes_free(&third);
    until(reactor, lariat_listener_connections(listener) == 0);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(a_listener_takes_other_certificates_while_it_runs) {
    pair both = {.reactor = real_reactor(), .served = {.echoes = 1}};
    pair_open(&both, "", "", PLAIN);
    side more = {.name = "t"};
    both.one = (server){.sides = &more, .room = 1};
    lariat_tls_configuration *configuration = server_of(server_options(), "second");
    CHECK_OK(lariat_listener_set_tls(both.listener, configuration));
    CHECK_OK(lariat_tls_configuration_free(configuration));
    char endpoint[64];
    CHECK_OK(lariat_listener_address(both.listener, endpoint, sizeof endpoint, NULL));
    CHECK(strncmp(endpoint, "tls://127.0.0.1:", 16) == 0);
    side own = {.name = "d"};
    connected(both.reactor, tls_client(both.listener, "&server_name=second.test"), PLAIN, &own);
    write_text(both.own.transport, "still");
    until(both.reactor, both.own.got.length == 5);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(both.reactor, own.freed && more.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&more, LARIAT_CONNECTION_DONE);
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

/* ---- certificates of clients -------------------------------------------------------------------------------------------------------------- */

static const char *with_client_ca(const char *wanted) {
    static char options[2048];
    snprintf(options, sizeof options, "&client_ca=%s&client_certificates=%s", tls_file("ca.pem"), wanted);
    return options;
}

static const char *with_certificate(const char *name) {
    static char options[2048];
    char pem[64], key[64];
    snprintf(pem, sizeof pem, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    snprintf(options, sizeof options, "&certificate=%s&private_key=%s", tls_file(pem), tls_file(key));
    return options;
}

TEST(a_client_shows_its_certificate) {
    for (int shows = 0; shows < 2; shows++) {
        pair both = {.reactor = real_reactor()};
        uint8_t der[4096];
        size_t length;
        bytes wanted = der_of("client.pem");
        pair_open(&both, with_client_ca("optional"), shows ? with_certificate("client") : "", PLAIN);
        CHECK_INT(lariat_transport_tls_peer_certificates(both.served.transport), shows);
        if (shows) {
            CHECK_OK(lariat_transport_tls_peer_certificate(both.served.transport, 0, der, sizeof der, &length));
            CHECK(length == wanted.length && memcmp(der, wanted.data, length) == 0);
        }
        bytes_free(&wanted);
        CHECK_OK(lariat_transport_lose_connection(both.own.transport));
        pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
    }
}

/* ---- sessions ------------------------------------------------------------------------------------------------------------------------------- */

/* Two connections with the same configurations; whether the second goes on with the session of the first. */
static int resumes(lariat_tls_server_options of_server, lariat_tls_client_options of_client) {
    lariat_reactor *reactor = real_reactor();
    side served[2] = {{.name = "s"}, {.name = "t"}}, own[2] = {{.name = "c"}, {.name = "d"}};
    server one = {.sides = served, .room = 2};
    lariat_tls_configuration *for_server = server_of(of_server, "server"), *for_client = client_of(of_client);
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_listener *listener = lariat_reactor_listen_tls(reactor, "tcp://127.0.0.1:0", for_server, &protocol, server_build, &one);
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", (int)lariat_listener_port(listener));
    int resumed = -1;
    for (int i = 0; i < 2; i++) {
        outcome connecting;
        watch_outcome(lariat_reactor_connect_tls(reactor, endpoint, for_client, &protocol, &own[i]), &connecting);
        until(reactor, connecting.fired && served[i].made);
        CHECK_STR(connecting.message, "");
        /* The tickets of TLS 1.3 come with the first data. */
        write_text(served[i].transport, "welcome");
        until(reactor, own[i].got.length == 7);
        resumed = lariat_transport_tls_is_resumed(own[i].transport);
        CHECK_INT(lariat_transport_tls_is_resumed(served[i].transport), resumed);
        CHECK(i == 1 || resumed == 0);
        CHECK_INT(lariat_transport_tls_peer_certificates(own[i].transport), 1);
        CHECK_OK(lariat_transport_lose_connection(own[i].transport));
        until(reactor, own[i].freed && served[i].freed);
        side_over(&own[i], LARIAT_CONNECTION_DONE);
        side_over(&served[i], LARIAT_CONNECTION_DONE);
    }
    CHECK_OK(lariat_tls_configuration_free(for_server));
    CHECK_OK(lariat_tls_configuration_free(for_client));
    stop_listening(reactor, listener);
    reactor_done(reactor);
    return resumed;
}

TEST(sessions_are_resumed_unless_one_side_does_not_want_that) {
    lariat_tls_server_options of_server = server_options();
    lariat_tls_client_options of_client = client_options();
    CHECK_INT(resumes(of_server, of_client), 1);
    of_server.session_tickets = 0;
    CHECK_INT(resumes(of_server, of_client), 0);
    of_server.session_tickets = 1, of_client.sessions = 0;
    CHECK_INT(resumes(of_server, of_client), 0);
}

/* ---- pins -------------------------------------------------------------------------------------------------------------------------------- */

/* tests/tls has the sums in no file: this one is of the certificate as it is shown. */
static void hash_hexadecimal(const char *option, char *text, size_t room, const char *message) {
    const char *at = strstr(message, option);
    CHECK(at != NULL);
    snprintf(text, room, "%.64s", at + strlen(option));
}

TEST(a_pinned_certificate_or_key_is_enough_with_an_option_that_says_so) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    lariat_listener *listener = lariat_reactor_listen(reactor, tls_server("device", ""), &protocol, NULL, NULL);
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    char options[512], certificate[65], key[65];
    outcome failed;
    side own = {.name = "c"};
    /* The message of a failure says what could be pinned. */
    snprintf(options, sizeof options, "&insecure_no_verification=1&pin=%s", zeros);
    begin_connecting(reactor, tls_client(listener, options), PLAIN, &own, &failed);
    until(reactor, failed.fired);
    CHECK_STATUS(failed.code, LARIAT_ERR_CERTIFICATE_PIN);
    hash_hexadecimal("(SHA-256 ", certificate, sizeof certificate, failed.message);
    hash_hexadecimal("its public key (", key, sizeof key, failed.message);
    CHECK(strcmp(certificate, key) != 0);
    CHECK_INT(own.freed, 1);
    const char *pins[] = {certificate, key};
    for (int i = 0; i < 2; i++) {
        own = (side){.name = "c"};
        snprintf(options, sizeof options, "&insecure_no_verification=1&pin=%s,%s", zeros, pins[i]);
        connected(reactor, tls_client(listener, options), PLAIN, &own);
        CHECK_OK(lariat_transport_lose_connection(own.transport));
        until(reactor, own.freed);
        side_over(&own, LARIAT_CONNECTION_DONE);
    }
    /* Without that option all else is verified as well. */
    own = (side){.name = "c"};
    snprintf(options, sizeof options, "&pin=%s", key);
    begin_connecting(reactor, tls_client(listener, options), PLAIN, &own, &failed);
    until(reactor, failed.fired);
    CHECK_STATUS(failed.code, LARIAT_ERR_CERTIFICATE_ISSUER);
    until(reactor, lariat_listener_connections(listener) == 0);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

/* ---- the key log ------------------------------------------------------------------------------------------------------------------------- */

TEST(secrets_are_logged_by_an_option_alone) {
    CHECK_INT(setenv("SSLKEYLOGFILE", "not_asked_for", 1), 0);
    for (int asked = 0; asked < 2; asked++) {
        pair both = {.reactor = real_reactor()};
        pair_open(&both, "", asked ? "&key_log=secrets" : "", PLAIN);
        CHECK_OK(lariat_transport_lose_connection(both.own.transport));
        pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
        FILE *file = fopen("secrets", "r");
        CHECK(asked ? file != NULL : file == NULL);
        if (!asked) continue;
        char line[512];
        int lines = 0;
        while (fgets(line, sizeof line, file)) {
            char label[64], random[128], secret[256];
            CHECK_INT(sscanf(line, "%63s %127s %255s", label, random, secret), 3);
            CHECK_INT(strlen(random), 64);
            CHECK(strlen(secret) == 64 || strlen(secret) == 96);
            CHECK(strspn(secret, "0123456789abcdef") == strlen(secret));
            lines += strcmp(label, "CLIENT_TRAFFIC_SECRET_0") == 0 || strcmp(label, "SERVER_TRAFFIC_SECRET_0") == 0;
        }
        CHECK_INT(lines, 2);
        fclose(file);
        CHECK_INT(remove("secrets"), 0);
    }
    CHECK(fopen("not_asked_for", "r") == NULL);
}

/* ---- starting TLS on the way ------------------------------------------------------------------------------------------------------------- */

static struct starting {
    lariat_tls_configuration *for_server, *for_client;
    outcome served, own;
} starting;

static void serve_starttls(side *own) {
    if (strcmp(bytes_text(&own->got), "STARTTLS") != 0) return;
    write_text(own->transport, "go\r\n");
    lariat_deferred *started = lariat_transport_start_tls(own->transport, starting.for_server, NULL);
    watch_outcome(started, &starting.served);
    CHECK_NULL(lariat_transport_start_tls(own->transport, starting.for_server, NULL), LARIAT_ERR_INVALID_STATE);
    CHECK_INT(lariat_transport_tls_version(own->transport), 0);
    write_text(own->transport, "encrypted\r\n");
    own->on_data = NULL;
    CHECK_INT(starting.served.fired, 0);
}

static void client_starttls(side *own) {
    if (strcmp(bytes_text(&own->got), "go") != 0) return;
    watch_outcome(lariat_transport_start_tls(own->transport, starting.for_client, "example.test"), &starting.own);
    own->on_data = NULL;
}

/* Pipelined: the client does not wait for the answer, and the server's callback has more behind its line. */
static void started_both_ways(int pipelined) {
    lariat_reactor *reactor = real_reactor();
    side served = {.name = "s", .is_noted = 1, .on_data = serve_starttls}, own = {.name = "c", .is_noted = 1, .on_data = client_starttls};
    server one = {.sides = &served, .room = 1};
    char endpoint[64];
    lariat_listener *listener = listen_at(reactor, "tcp://127.0.0.1:0", PLAIN, &one);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", (int)lariat_listener_port(listener));
    starting = (struct starting){.for_server = server_of(server_options(), "server"), .for_client = client_of(client_options())};
    connected(reactor, endpoint, PLAIN, &own);
    until(reactor, served.made);
    notes_clear();
    CHECK_OK(lariat_transport_set_line_framing(served.transport, (const uint8_t *)"\r\n", 2, 1000));
    CHECK_OK(lariat_transport_set_line_framing(own.transport, (const uint8_t *)"\r\n", 2, 1000));
    write_text(own.transport, "STARTTLS\r\n");
    if (pipelined) {
        own.on_data = NULL;
        watch_outcome(lariat_transport_start_tls(own.transport, starting.for_client, "example.test"), &starting.own);
    }
    until(reactor, (starting.served.fired && starting.own.fired) || served.lost || own.lost);
    if (pipelined) {
        /* The answer in plain text is no part of a handshake. */
        CHECK(starting.own.code != LARIAT_OK);
    } else {
        CHECK_STR(starting.own.message, "");
        CHECK_STR(starting.served.message, "");
        CHECK_INT(lariat_transport_tls_version(own.transport), LARIAT_TLS_1_3);
        CHECK_TLS_TEXT(server_name, served.transport, "example.test");
        until(reactor, own.calls == 2);
        write_text(own.transport, "over ");
        write_text(own.transport, "TLS\r\n");
        until(reactor, served.calls == 2);
        CHECK_NOTES("s=STARTTLS c=go c=encrypted s=over TLS");
        CHECK_OK(lariat_transport_lose_connection(own.transport));
    }
    until(reactor, own.freed && served.freed);
    notes_clear();
    if (!pipelined) {
        side_over(&own, LARIAT_CONNECTION_DONE);
        side_over(&served, LARIAT_CONNECTION_DONE);
    } else {
        side_over(&own, starting.own.code);
        side_over(&served, served.reason);
        CHECK_STATUS(starting.served.code, served.reason);
    }
    CHECK_OK(lariat_tls_configuration_free(starting.for_server));
    CHECK_OK(lariat_tls_configuration_free(starting.for_client));
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(start_tls_between_two_lines) { started_both_ways(0); }
TEST(start_tls_without_waiting_for_the_answer_fails_on_both_sides) { started_both_ways(1); }

/* ---- all ways to make connections ---------------------------------------------------------------------------------------------------------- */

TEST(a_name_is_looked_up_and_is_the_certificates) {
    pair both = {.reactor = real_reactor(), .served = {.echoes = 1}};
    char endpoint[2048];
    both.one = (server){.sides = &both.served, .room = 1};
    both.listener = listen_at(both.reactor, tls_server("server", ""), PLAIN, &both.one);
    both.served.name = "s", both.own.name = "c";
    snprintf(endpoint, sizeof endpoint, "https://localhost:%d?ca=%s", (int)lariat_listener_port(both.listener), tls_file("ca.pem"));
    connected(both.reactor, endpoint, PLAIN, &both.own);
    CHECK_TLS_TEXT(server_name, both.own.transport, "localhost");
    CHECK_OK(lariat_transport_lose_connection(both.own.transport));
    pair_close(&both, LARIAT_CONNECTION_DONE, LARIAT_CONNECTION_DONE);
}

#ifndef _WIN32
TEST(over_a_unix_socket) {
    lariat_reactor *reactor = real_reactor();
    side served = {.name = "s", .echoes = 1}, own = {.name = "c"};
    server one = {.sides = &served, .room = 1};
    lariat_protocol protocol = side_protocol(PLAIN);
    lariat_tls_client_options of_client = client_options();
    of_client.server_name = "example.test";
    lariat_tls_configuration *for_server = server_of(server_options(), "server"), *for_client = client_of(of_client);
    lariat_listener *listener = lariat_reactor_listen_tls(reactor, "unix://socket", for_server, &protocol, server_build, &one);
    CHECK(listener != NULL);
    outcome connecting;
    uint8_t *all = pattern_new(MEGABYTE, 8);
    watch_outcome(lariat_reactor_connect_tls(reactor, "unix://socket", for_client, &protocol, &own), &connecting);
    until(reactor, connecting.fired);
    CHECK_STR(connecting.message, "");
    CHECK_OK(lariat_transport_write(own.transport, all, MEGABYTE));
    until(reactor, own.got.length == MEGABYTE);
    CHECK_PATTERN(own.got.data, MEGABYTE, 8);
    CHECK_STATUS(lariat_transport_send_descriptor(own.transport, 0), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_OK(lariat_transport_lose_connection(own.transport));
    until(reactor, own.freed && served.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    side_over(&served, LARIAT_CONNECTION_DONE);
    free(all);
    CHECK_OK(lariat_tls_configuration_free(for_server));
    CHECK_OK(lariat_tls_configuration_free(for_client));
    stop_listening(reactor, listener);
    reactor_done(reactor);
}
#endif

static void *use_and_release(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred;
    note("%d", lariat_transport_tls_is_resumed(value));
    CHECK_OK(lariat_connection_pool_discard(user_data, value));
    return NULL;
}

TEST(a_pool_resumes_its_sessions) {
    lariat_reactor *reactor = real_reactor();
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    lariat_listener *listener = lariat_reactor_listen(reactor, tls_server("server", ""), &protocol, NULL, NULL);
    lariat_connection_pool *pool = lariat_connection_pool_new(reactor, tls_client(listener, ""), &protocol, NULL, NULL, NULL);
    CHECK(pool != NULL);
    for (int i = 0; i < 3; i++) {
        lariat_deferred *acquired = lariat_connection_pool_acquire(pool);
        CHECK_OK(lariat_deferred_add_callback(acquired, use_and_release, pool));
        CHECK_OK(lariat_deferred_release(acquired));
        until(reactor, lariat_connection_pool_connections(pool) == 0);
    }
    /* Whether the tickets had come before it was closed is a race; a session without is none that fails. */
    notes_clear();
    CHECK_OK(lariat_connection_pool_free(pool));
    until(reactor, lariat_listener_connections(listener) == 0);
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(a_reconnecting_client_has_it_each_time) {
    lariat_reactor *reactor = real_reactor();
    side served[2] = {{.name = "s", .is_noted = 1}, {.name = "t", .is_noted = 1}};
    server one = {.sides = served, .room = 2};
    lariat_listener *listener = listen_at(reactor, tls_server("server", ""), PLAIN, &one);
    lariat_backoff backoff;
    CHECK_OK(lariat_backoff_init(&backoff, sizeof backoff));
    backoff.initial_seconds = 0.001;
    lariat_protocol protocol;
    CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
    lariat_reconnecting_client *client =
        lariat_reconnecting_client_new(reactor, tls_client(listener, ""), &protocol, &backoff, NULL, NULL);
    CHECK(client != NULL);
    CHECK_OK(lariat_reconnecting_client_start(client));
    until(reactor, served[0].made);
    CHECK_OK(lariat_transport_lose_connection(served[0].transport));
    until(reactor, served[1].made);
    CHECK_INT(lariat_transport_tls_version(served[1].transport), LARIAT_TLS_1_3);
    lariat_deferred *stopped = lariat_reconnecting_client_stop(client);
    CHECK_OK(lariat_deferred_release(stopped));
    until(reactor, served[1].freed);
    CHECK_OK(lariat_reconnecting_client_free(client));
    side_over(&served[0], LARIAT_CONNECTION_DONE);
    side_over(&served[1], LARIAT_CONNECTION_DONE);
    notes_clear();
    stop_listening(reactor, listener);
    reactor_done(reactor);
}

TEST(reactors_of_a_group_share_it) {
    for (int sharing = LARIAT_SHARING_DEFAULT; sharing <= LARIAT_SHARING_HAND_OVER; sharing += LARIAT_SHARING_HAND_OVER - LARIAT_SHARING_DEFAULT) {
        lariat_reactor *reactor = real_reactor();
        lariat_reactor_options options = reactor_options();
        lariat_reactor_group *group = lariat_reactor_group_new(2, &options);
        CHECK(group != NULL);
        lariat_protocol protocol;
        CHECK_OK(lariat_protocol_init(&protocol, sizeof protocol));
        int port = lariat_reactor_group_listen(group, tls_server("server", ""), sharing, &protocol, NULL, NULL);
        if (port < 0) test_fail(__FILE__, __LINE__, "%s", lariat_last_error_message());
        CHECK_OK(lariat_reactor_group_start(group, NULL, NULL));
        char endpoint[2048];
        snprintf(endpoint, sizeof endpoint, "tls://127.0.0.1:%d?ca=%s", port, tls_file("ca.pem"));
        for (int i = 0; i < 8; i++) {
            side own = {.name = "c"};
            connected(reactor, endpoint, PLAIN, &own);
            CHECK_OK(lariat_transport_lose_connection(own.transport));
            until(reactor, own.freed);
            side_over(&own, LARIAT_CONNECTION_DONE);
        }
        CHECK_OK(lariat_reactor_group_stop(group));
        CHECK_OK(lariat_reactor_group_wait(group));
        CHECK_OK(lariat_reactor_group_free(group));
        reactor_done(reactor);
    }
}

/* ---- simulated ---------------------------------------------------------------------------------------------------------------------------- */

TEST(in_a_simulation) {
    for (uint64_t seed = 0; seed < 20; seed++) {
        lariat_simulation *simulation = lariat_simulation_new(seed);
        lariat_reactor *a = simulated_reactor(simulation, "a"), *b = simulated_reactor(simulation, "b");
        lariat_link link;
        CHECK_OK(lariat_link_init(&link, sizeof link));
        link.latency = 0.01;
        CHECK_OK(lariat_simulation_set_link(simulation, "a", "b", &link));
        side served = {.name = "s", .echoes = 1}, own = {.name = "c"};
        server one = {.sides = &served, .room = 1};
        lariat_tls_client_options of_client = client_options();
        of_client.server_name = "example.test";
        lariat_tls_configuration *for_server = server_of(server_options(), "server"), *for_client = client_of(of_client);
        lariat_protocol protocol = side_protocol(PLAIN);
        lariat_listener *listener = lariat_reactor_listen_tls(a, "tcp://*:443", for_server, &protocol, server_build, &one);
        CHECK(listener != NULL);
        outcome connecting;
        uint8_t *all = pattern_new(200000, 9);
        watch_outcome(lariat_reactor_connect_tls(b, "https://a", for_client, &protocol, &own), &connecting);
        CHECK_OK(lariat_simulation_run(simulation, 1));
        CHECK_INT(connecting.fired, 1);
        CHECK_STR(connecting.message, "");
        CHECK_OK(lariat_transport_write(own.transport, all, 200000));
        CHECK_OK(lariat_simulation_run(simulation, 10));
        CHECK_INT(own.got.length, 200000);
        CHECK_PATTERN(own.got.data, 200000, 9);
        CHECK_OK(lariat_transport_lose_connection(own.transport));
        CHECK_OK(lariat_simulation_run(simulation, 1));
        side_over(&own, LARIAT_CONNECTION_DONE);
        side_over(&served, LARIAT_CONNECTION_DONE);
        free(all);
        lariat_deferred *stopped = lariat_listener_stop(listener);
        CHECK_OK(lariat_deferred_release(stopped));
        CHECK_OK(lariat_simulation_run(simulation, 1));
        CHECK_OK(lariat_tls_configuration_free(for_server));
        CHECK_OK(lariat_tls_configuration_free(for_client));
        reactor_done(a);
        reactor_done(b);
        CHECK_OK(lariat_simulation_free(simulation));
    }
}

/* ---- ends in the middle --------------------------------------------------------------------------------------------------------------------- */

TEST(the_reactor_is_freed_in_the_middle_of_handshakes) {
    for (int steps = 0; steps < 12; steps++) {
        lariat_reactor *reactor = real_reactor();
        side served = {.name = "s"}, own = {.name = "c"};
        server one = {.sides = &served, .room = 1};
        outcome connecting;
        lariat_listener *listener = listen_at(reactor, tls_server("server", ""), PLAIN, &one);
        begin_connecting(reactor, tls_client(listener, ""), PLAIN, &own, &connecting);
        turns(reactor, steps);
        free_reactor(reactor);
        CHECK_INT(connecting.fired, 1);
        CHECK_INT(own.freed, 1);
        CHECK_INT(served.made, served.lost);
        CHECK_INT(served.freed, one.count);
        CHECK_INT(own.made, own.lost);
        notes_clear();
    }
}

TEST(connecting_is_cancelled_in_the_middle_of_the_handshake) {
    for (int steps = 0; steps < 8; steps++) {
        lariat_reactor *reactor = real_reactor();
        side served = {.name = "s"}, own = {.name = "c"};
        server one = {.sides = &served, .room = 1};
        lariat_listener *listener = listen_at(reactor, tls_server("server", ""), PLAIN, &one);
        lariat_protocol protocol = side_protocol(PLAIN);
        outcome connecting = {0};
        lariat_deferred *deferred = lariat_reactor_connect(reactor, tls_client(listener, ""), &protocol, &own);
        CHECK(deferred != NULL);
        CHECK_OK(lariat_deferred_add_both(deferred, outcome_of, &connecting));
        turns(reactor, steps);
        if (!connecting.fired) {
            CHECK_OK(lariat_deferred_cancel(deferred));
            CHECK_STATUS(connecting.code, LARIAT_ERR_CANCELLED);
            CHECK_INT(own.freed, 1);
            CHECK_INT(own.made, 0);
        } else {
            CHECK_OK(lariat_transport_lose_connection(own.transport));
        }
        CHECK_OK(lariat_deferred_release(deferred));
        until(reactor, own.freed && lariat_listener_connections(listener) == 0);
        stop_listening(reactor, listener);
        bytes_free(&own.got), bytes_free(&served.got);
        reactor_done(reactor);
    }
}
