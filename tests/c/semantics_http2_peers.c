/* HTTP/2 with clients that others wrote: curl, nghttp, h2load and node, each where it is installed. */
#define _GNU_SOURCE
#include "harness.h"
#ifdef _WIN32
TEST(http2_peers_are_tried_on_unix) { SKIP("the peers are programs of Unix"); }
#else
#include "http2_site.h"

static char output[1 << 16]; /* of the program that ran last, standard error included */
static int exit_code;

static void *keep_output(lariat_deferred *deferred, void *value, void *user_data) {
    (void)deferred, (void)user_data;
    const uint8_t *data;
    size_t length;
    CHECK_OK(lariat_process_output_data(value, 1, &data, &length));
    CHECK(length < sizeof output);
    memcpy(output, data, length);
    output[length] = 0;
    CHECK_OK(lariat_process_output_exit_code(value, &exit_code));
    note("ran");
    return NULL;
}

/* Runs a program while the reactor serves it. */
__attribute__((format(printf, 2, 3))) static void run(site *it, const char *format, ...) {
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    strncat(command, " 2>&1", sizeof command - strlen(command) - 1);
    lariat_process_options options;
    CHECK_OK(lariat_process_options_init(&options, sizeof options));
    const char *argv[] = {"sh", "-c", command, NULL};
    options.program = "/bin/sh", options.arguments = argv;
    lariat_deferred *ended = lariat_reactor_run_process(it->reactor, &options, NULL, 0, 0);
    CHECK(ended);
    CHECK_OK(lariat_deferred_add_callback(ended, keep_output, NULL));
    CHECK_OK(lariat_deferred_release(ended));
    while (!noted("ran")) CHECK_OK(lariat_reactor_iterate(it->reactor, 1));
    notes_clear();
}

static void needs(site *it, const char *program, const char *test) {
    if (is_under("valgrind")) SKIP("megabytes for programs of others take too long under valgrind; semantics_http2 does not");
    run(it, "%s", test);
    if (exit_code == 0) return;
    static char why[128];
    snprintf(why, sizeof why, "no %s with HTTP/2", program);
    SKIP(why);
}

#define CHECK_OUTPUT(want)                                                                                          \
    do {                                                                                                            \
        CHECK_STR(output, want);                                                                                    \
        CHECK_INT(exit_code, 0);                                                                                    \
    } while (0)
#define CHECK_OUTPUT_HAS(want)                                                                                      \
    do {                                                                                                            \
        if (!strstr(output, want)) test_fail(__FILE__, __LINE__, "\"%s\" is not in\n%s", want, output);             \
        CHECK_INT(exit_code, 0);                                                                                    \
    } while (0)

#define CURL "curl -sS -m 60 -w '|%%{http_version}|%%{http_code}|%%{size_download}|%%{size_upload}' "
#define PRIOR CURL "--http2-prior-knowledge "
static const char *has_curl = "curl --version | grep -q HTTP2";

static site peers_site(void) {
    lariat_http_server_options options = http2_options();
    options.max_body = 1 << 28;
    site made = site_on(real_reactor(), options);
    return made;
}

#define PEERS(it)           \
    site it = peers_site(); \
    site_start(&it)

TEST(http2_with_curl) {
    PEERS(it);
    needs(&it, "curl", has_curl);
    run(&it, PRIOR "http://127.0.0.1:%d/hello", it.port);
    CHECK_OUTPUT("hello|2|200|5|0");
    run(&it, PRIOR "-I http://127.0.0.1:%d/hello", it.port);
    CHECK_OUTPUT_HAS("HTTP/2 200 \r\n");
    CHECK_OUTPUT_HAS("\r\ncontent-length: 5\r\n");
    run(&it, PRIOR "-d 'there and back' http://127.0.0.1:%d/echo", it.port);
    CHECK_OUTPUT("there and back|2|200|14|14");
    run(&it, PRIOR "-o /dev/null 'http://127.0.0.1:%d/big?20000000'", it.port);
    CHECK_OUTPUT("|2|200|20000000|0");
    run(&it, "head -c 20000000 /dev/zero | " PRIOR "-T - http://127.0.0.1:%d/drain", it.port);
    CHECK_OUTPUT("thanks|2|200|6|20000000");
    CHECK_INT(it.came, 20000000);
    run(&it, PRIOR "-H 'Expect: 100-continue' -d more http://127.0.0.1:%d/echo", it.port);
    CHECK_OUTPUT("more|2|200|4|4");
    run(&it, CURL "http://127.0.0.1:%d/hello", it.port); /* HTTP/1.1 on the same port */
    CHECK_OUTPUT("hello|1.1|200|5|0");
    run(&it, PRIOR "http://127.0.0.1:%d/nowhere", it.port);
    CHECK_OUTPUT("|2|404|0|0");
    run(&it, PRIOR "--max-time 0.3 http://127.0.0.1:%d/wait", it.port);
    CHECK_INT(exit_code, 28); /* it gave up */
    site_done(&it);
}

TEST(http2_with_curl_and_files) {
    folder_new();
    PEERS(it);
    needs(&it, "curl", has_curl);
    run(&it, "seq 500000 > %s && cksum < %s", in_folder("numbers"), in_folder("numbers"));
    char sum[64] = "";
    strncat(sum, output, sizeof sum - 1);
    run(&it, "curl -sS -m 60 --http2-prior-knowledge 'http://127.0.0.1:%d/file?numbers' | cksum", it.port);
    CHECK_OUTPUT(sum);
    run(&it, PRIOR "-r 0-8 'http://127.0.0.1:%d/file?numbers'", it.port);
    CHECK_OUTPUT("1\n2\n3\n4\n5|2|206|9|0");
    /* many at once: this curl fails with -Z and prior knowledge, also of nghttpd */
    needs(&it, "h2load", "h2load --version");
    run(&it, "h2load -n 20 -c 2 -m 10 'http://127.0.0.1:%d/file?numbers'", it.port);
    CHECK_OUTPUT_HAS(" 20 succeeded, 0 failed, 0 errored, 0 timeout\n");
    CHECK_OUTPUT_HAS(" (67777900) data\n");
    site_done(&it);
    folder_end();
}

TEST(http2_with_curl_by_tls) {
    PEERS(it);
    needs(&it, "curl", has_curl);
    const char *slash = strrchr(__FILE__, '/');
    char tls[1024], listens[3000];
    snprintf(tls, sizeof tls, "%.*s../tls", slash ? (int)(slash + 1 - __FILE__) : 0, __FILE__);
    for (int http2 = 0; http2 < 2; http2++) {
        lariat_http_server_options options = http2_options();
        options.http2 = http2;
        lariat_http_server *server = lariat_http_server_new(it.reactor, &options);
        CHECK_OK(lariat_http_server_set_handler(server, http2_handler, &it));
        snprintf(listens, sizeof listens, "https://127.0.0.1:0?certificate=%s/server.pem&private_key=%s/server.key", tls, tls);
        lariat_listener *listener = lariat_http_server_listen(server, listens);
        if (!listener) test_fail(__FILE__, __LINE__, "%s: %s", listens, lariat_last_error_message());
        char address[64];
        CHECK_OK(lariat_listener_address(listener, address, sizeof address, NULL));
        const char *port = strrchr(address, ':') + 1;
        run(&it, CURL "--http2 -k https://127.0.0.1:%s/hello", port);
        CHECK_OUTPUT(http2 ? "hello|2|200|5|0" : "hello|1.1|200|5|0");
        run(&it, CURL "--http1.1 -k https://127.0.0.1:%s/hello", port);
        CHECK_OUTPUT("hello|1.1|200|5|0");
        run(&it, CURL "-k -o /dev/null 'https://127.0.0.1:%s/big?5000000'", port);
        CHECK_OUTPUT_HAS("|200|5000000|0");
        CHECK_OK(lariat_http_server_free(server));
    }
    site_done(&it);
}

TEST(http2_with_nghttp) {
    PEERS(it);
    needs(&it, "nghttp", "nghttp --version");
    run(&it, "nghttp --no-dep http://127.0.0.1:%d/hello", it.port);
    CHECK_OUTPUT("hello");
    run(&it, "nghttp -v -n http://127.0.0.1:%d/hello", it.port);
    CHECK_OUTPUT_HAS("recv (stream_id=13) server: lariat");
    run(&it, "head -c 1000000 /dev/zero > /tmp/lariat-$$ && nghttp --no-dep -d /tmp/lariat-$$ http://127.0.0.1:%d/drain; rm /tmp/lariat-$$", it.port);
    CHECK_OUTPUT("thanks");
    CHECK_INT(it.came, 1000000);
    site_done(&it);
}

TEST(http2_with_h2load) {
    PEERS(it);
    needs(&it, "h2load", "h2load --version");
    size_t requests = many(20000);
    char want[64];
    snprintf(want, sizeof want, " %zu succeeded, 0 failed, 0 errored, 0 timeout\n", requests);
    run(&it, "h2load -n %zu -c 10 -m 100 http://127.0.0.1:%d/hello", requests, it.port);
    CHECK_OUTPUT_HAS(want);
    CHECK_INT(it.calls, requests);
    snprintf(want, sizeof want, " %d succeeded, 0 failed, 0 errored, 0 timeout\n", 200);
    run(&it, "h2load -n 200 -c 5 -m 20 -w 16 -W 18 'http://127.0.0.1:%d/big?500000'", it.port);
    CHECK_OUTPUT_HAS(want);
    site_done(&it);
}

static const char *node_script =
    "const c = require(\"http2\").connect(`http://127.0.0.1:${process.argv[1]}`);"
    "const ask = (headers, body) => new Promise((done, failed) => {"
    "  const s = c.request(headers); let text = \"\", code; s.setEncoding(\"utf8\");"
    "  s.on(\"response\", h => code = h[\":status\"]); s.on(\"data\", d => text += d);"
    "  s.on(\"end\", () => done(`${code} ${text}`)); s.on(\"error\", failed); s.end(body); });"
    "(async () => {"
    "  console.log(await ask({\":path\": \"/hello\"}));"
    "  console.log((await Promise.all([...Array(50).keys()].map(i => ask({\":path\": \"/echo\", \":method\": \"POST\"}, `${i}`))))"
    "    .every((t, i) => t === `200 ${i}`));"
    "  console.log((await ask({\":path\": \"/big?3000000\"})).length);"
    "  const s = c.request({\":path\": \"/wait\"}); s.on(\"error\", () => {}); s.on(\"close\", async () => {"
    "    console.log(await ask({\":path\": \"/hello\"})); c.close(() => console.log(\"closed\")); });"
    "  setTimeout(() => s.close(8), 50);"
    "})();";

TEST(http2_with_node) {
    PEERS(it);
    needs(&it, "node", "node -e 'require(\"http2\")'");
    run(&it, "node -e '%s' %d", node_script, it.port);
    CHECK_OUTPUT("200 hello\ntrue\n3000004\n200 hello\nclosed\n");
    CHECK_INT(it.waits, 1);
    site_done(&it);
}
#endif
