/* The certificates of tests/tls, and configurations of them. */
#ifndef LARIAT_TESTS_TLS_FILES_H
#define LARIAT_TESTS_TLS_FILES_H
#include "harness.h"

/* A file of tests/tls: several may be in use at once. */
static inline const char *tls_file(const char *name) {
    static char paths[16][1024];
    static int next;
    const char *slash = strrchr(__FILE__, '/');
    int folder = slash ? (int)(slash - __FILE__) : 0;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%.*s%s../tls/%s", folder, __FILE__, slash ? "/" : "", name);
    return path;
}

/* ---- configurations ---------------------------------------------------------------------------------------------------------------- */

static inline lariat_tls_identity tls_identity(const char *name) {
    lariat_tls_identity identity;
    char file[64];
    CHECK_OK(lariat_tls_identity_init(&identity, sizeof identity));
    snprintf(file, sizeof file, "%s.pem", name);
    identity.certificate_file = tls_file(file);
    snprintf(file, sizeof file, "%s.key", name);
    identity.private_key_file = tls_file(file);
    return identity;
}

static inline lariat_tls_server_options server_options(void) {
    lariat_tls_server_options options;
    CHECK_OK(lariat_tls_server_options_init(&options, sizeof options));
    return options;
}

static inline lariat_tls_configuration *server_of(lariat_tls_server_options options, const char *name) {
    lariat_tls_identity identity = tls_identity(name);
    options.identities = &identity;
    options.identity_count = 1;
    lariat_tls_configuration *configuration = lariat_tls_configuration_new_server(&options);
    if (!configuration) test_fail(__FILE__, __LINE__, "%s: %s", name, lariat_last_error_message());
    return configuration;
}

static inline lariat_tls_client_options client_options(void) {
    lariat_tls_client_options options;
    CHECK_OK(lariat_tls_client_options_init(&options, sizeof options));
    options.ca_file = tls_file("ca.pem");
    return options;
}

static inline lariat_tls_configuration *client_of(lariat_tls_client_options options) {
    lariat_tls_configuration *configuration = lariat_tls_configuration_new_client(&options);
    if (!configuration) test_fail(__FILE__, __LINE__, "%s", lariat_last_error_message());
    return configuration;
}
#endif
