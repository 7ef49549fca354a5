/* A web server by HTTPS, which speaks HTTP/2 with those who do.
 *
 *     https_server CERTIFICATE KEY ENDPOINT     as `https_server site.pem site.key tcp://0.0.0.0:8443`, until SIGINT or SIGTERM
 *     https_server                              or `https_server --demo`: a certificate of its own, and a client in the same program
 *
 * CERTIFICATE and KEY are PEM files. SIGHUP has them read again: connections that are there go on with the old ones, new ones
 * get the new. Where they cannot be used, it says why and keeps what it has. */
#define _POSIX_C_SOURCE 200809L        /* for SIGHUP under -std=c11 */
#include <lariat.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { GRACE_SECONDS = 10 };

/* ---- the server ---- */

typedef struct site {
    lariat_reactor *reactor;
    lariat_http_server *server;
    lariat_listener *listener;
    const char *certificate, *key;     /* files */
} site;

/* What TLS is like: who has no certificate and key in a file has them in memory. */
static lariat_tls_configuration *configuration(const lariat_tls_identity *identity) {
    lariat_tls_server_options options;
    lariat_tls_server_options_init(&options, sizeof options);
    options.identities = identity;
    options.identity_count = 1;
    return lariat_tls_configuration_new_server(&options);    /* NULL, and a reason, when they do not go together */
}

static lariat_tls_configuration *of_files(const site *site) {
    lariat_tls_identity identity;
    lariat_tls_identity_init(&identity, sizeof identity);
    identity.certificate_file = site->certificate;
    identity.private_key_file = site->key;
    return configuration(&identity);
}

/* A page about the connection by which it goes. */
static lariat_deferred *hello(lariat_http_request *request, void *user_data) {
    lariat_transport *transport = lariat_http_request_transport(request);
    int version = lariat_http_request_version(request), tls = lariat_transport_tls_version(transport);
    char page[512], cipher_suite[64] = "none";
    (void)user_data;
    lariat_transport_tls_cipher_suite(transport, cipher_suite, sizeof cipher_suite, NULL);
    int len = snprintf(page, sizeof page, "HTTP/%d.%d by TLS 1.%d, %s\n", version / 10, version % 10,
                       tls == LARIAT_TLS_1_3 ? 3 : 2, cipher_suite);
    /* From now on browsers come by HTTPS alone (RFC 6797). */
    lariat_http_request_set_header(request, "Strict-Transport-Security", "max-age=31536000");
    lariat_http_request_respond(request, 200, "text/plain", (const uint8_t *)page, (size_t)len);
    return NULL;
}

static int serve(site *site, const char *endpoint, lariat_tls_configuration *configuration) {
    lariat_http_router *router = lariat_http_router_new(site->reactor);
    site->server = lariat_http_server_new(site->reactor, NULL);
    lariat_http_router_add(router, "GET", "/", hello, NULL);
    lariat_http_server_set_router(site->server, router);
    site->listener = lariat_http_server_listen_tls(site->server, endpoint, configuration);
    lariat_tls_configuration_free(configuration);            /* the listener has it */
    return site->listener != NULL;
}

static void reload(lariat_signal_watch *watch, int32_t number, void *user_data) {
    site *site = user_data;
    lariat_tls_configuration *fresh = of_files(site);
    (void)watch, (void)number;
    if (fresh == NULL || lariat_listener_set_tls(site->listener, fresh) != LARIAT_OK)
        fprintf(stderr, "not reloaded: %s\n", lariat_last_error_message());
    else
        printf("reloaded\n");
    fflush(stdout);
    lariat_tls_configuration_free(fresh);
}

static void *stopped(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)value;
    lariat_reactor_stop(((site *)user_data)->reactor);
    return NULL;
}

static void stop(lariat_signal_watch *watch, int32_t number, void *user_data) {
    site *site = user_data;
    (void)watch, (void)number;
    lariat_deferred *done = lariat_http_server_stop(site->server, GRACE_SECONDS);
    if (done == NULL)                                        /* a second signal */
        lariat_reactor_stop(site->reactor);
    lariat_deferred_add_callback(done, stopped, site);
    lariat_deferred_release(done);
}

/* ---- the demonstration: two clients, of which one believes that it is somewhere else ---- */

/* Of localhost and 127.0.0.1, signed by itself, until 2126. Whoever has this file has the key: it is good for nothing else. */
static const char CERTIFICATE[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmDCCAT6gAwIBAgIUFmgXXgCK5c6AHiZfUdNnBrg7P1MwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzE2MzkzNloYDzIxMjYxMDMw\n"
    "MTYzOTM2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAATsvd5nOu05608ytx81ddN5Fbw6+cBpYC9nKZQnrLoSmcMLaDibYi2r\n"
    "WMHVTwNUy75v+1Urqh6pd8auw1MeMoCho2wwajAdBgNVHQ4EFgQU+jPF8gApHFcv\n"
    "LOjuU8eHfXbMdcswHwYDVR0jBBgwFoAU+jPF8gApHFcvLOjuU8eHfXbMdcswGgYD\n"
    "VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0E\n"
    "AwIDSAAwRQIhAJqeaolyNyV8UMYUDrj2bKDWtMYnViCa4wxz5w3zeuxUAiBy9ORh\n"
    "yphvke2dzRjo6DQb/KTLO/5S36z51bJIB3qw/w==\n"
    "-----END CERTIFICATE-----\n";

static const char KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVKPImUAtQ5zS/Kgv\n"
    "jZhq8MnVO2MPZrA1lYkXlZxYkh+hRANCAATsvd5nOu05608ytx81ddN5Fbw6+cBp\n"
    "YC9nKZQnrLoSmcMLaDibYi2rWMHVTwNUy75v+1Urqh6pd8auw1MeMoCh\n"
    "-----END PRIVATE KEY-----\n";

typedef struct visitor {
    site site;
    lariat_http_agent *right, *wrong;
    char url[128];
} visitor;

static void *body_read(lariat_deferred *deferred, void *body, void *user_data) {
    (void)deferred, (void)user_data;
    printf("%s", (const char *)lariat_bytes_data(body));
    return NULL;
}

static void *answered(lariat_deferred *deferred, void *response, void *user_data) {
    printf("%d: ", (int)lariat_http_response_code(response));
    lariat_deferred *body = lariat_http_response_read_body(response, 0);
    lariat_deferred_add_callback(body, body_read, user_data);
    return lariat_deferred_wait_for(deferred, body);
}

static void *refused(lariat_deferred *deferred, const lariat_failure *failure, void *user_data) {
    (void)deferred, (void)user_data;
    printf("refused: %s\n", lariat_status_name(lariat_failure_code(failure)));
    return NULL;
}

static void *ask_right(lariat_deferred *deferred, void *value, void *user_data) {
    visitor *visitor = user_data;
    (void)value;
    lariat_deferred *answer = lariat_http_agent_get(visitor->right, visitor->url);
    lariat_deferred_add_callbacks(answer, answered, refused, visitor);
    return lariat_deferred_wait_for(deferred, answer);
}

static void *visited(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)value;
    stop(NULL, 0, user_data);
    return NULL;
}

static lariat_http_agent *agent(visitor *visitor, const char *expected_name) {
    lariat_tls_client_options tls;
    lariat_tls_client_options_init(&tls, sizeof tls);
    tls.ca = (const uint8_t *)CERTIFICATE;                   /* without it: whom the system trusts */
    tls.ca_len = sizeof CERTIFICATE - 1;
    tls.server_name = expected_name;
    lariat_http_agent_options options;
    lariat_http_agent_options_init(&options, sizeof options);
    lariat_tls_configuration *configuration = lariat_tls_configuration_new_client(&tls);
    options.tls = configuration;
    lariat_http_agent *made = lariat_http_agent_new(visitor->site.reactor, &options);
    lariat_tls_configuration_free(configuration);
    return made;
}

static void visit(visitor *visitor) {
    visitor->right = agent(visitor, NULL);                   /* the name in the URL */
    visitor->wrong = agent(visitor, "example.org");
    lariat_deferred *answer = lariat_http_agent_get(visitor->wrong, visitor->url);
    lariat_deferred_add_callbacks(answer, answered, refused, visitor);
    lariat_deferred_add_callback(answer, ask_right, visitor);
    lariat_deferred_add_callback(answer, visited, &visitor->site);
    lariat_deferred_release(answer);
}

/* ---- the program ---- */

int main(int argc, char **argv) {
    int demonstrates = argc < 2 || strcmp(argv[1], "--demo") == 0;
    if (!demonstrates && argc != 4) {
        fprintf(stderr, "https_server CERTIFICATE KEY ENDPOINT | https_server --demo\n");
        return 2;
    }
    visitor visitor = {.site = {.reactor = lariat_reactor_new()}};
    site *site = &visitor.site;
    lariat_tls_configuration *tls;
    if (demonstrates) {
        lariat_tls_identity identity;
        lariat_tls_identity_init(&identity, sizeof identity);
        identity.certificate = (const uint8_t *)CERTIFICATE;
        identity.certificate_len = sizeof CERTIFICATE - 1;
        identity.private_key = (const uint8_t *)KEY;
        identity.private_key_len = sizeof KEY - 1;
        tls = configuration(&identity);
    } else {
        site->certificate = argv[1];
        site->key = argv[2];
        tls = of_files(site);
    }
    lariat_status status = LARIAT_ERR_INVALID_ARGUMENT;
    if (tls == NULL || !serve(site, demonstrates ? "tcp://127.0.0.1:0" : argv[3], tls)) {
        fprintf(stderr, "%s\n", lariat_last_error_message());
    } else {
        if (demonstrates) {
            snprintf(visitor.url, sizeof visitor.url, "https://localhost:%d/", (int)lariat_listener_port(site->listener));
            visit(&visitor);
        } else {
            char endpoint[128];
            lariat_listener_address(site->listener, endpoint, sizeof endpoint, NULL);
            printf("Listening at %s\n", endpoint);
            fflush(stdout);
            lariat_reactor_watch_signal(site->reactor, SIGINT, stop, site);
            lariat_reactor_watch_signal(site->reactor, SIGTERM, stop, site);
            lariat_reactor_watch_signal(site->reactor, SIGHUP, reload, site);
        }
        status = lariat_reactor_run(site->reactor);
    }
    lariat_status freed = lariat_reactor_free(site->reactor);
    return status != LARIAT_OK || freed != LARIAT_OK;
}
