/* libuv: uv_spawn, with the standard streams inherited. */
#include "../spawn.h"
#include <uv.h>

static uv_loop_t *loop;
static uv_process_t process;

static void start(void);

static void on_close(uv_handle_t *handle) {
    (void)handle;
    if (spawn_count < SPAWNS) start();
}

static void on_exit_of_child(uv_process_t *ended, int64_t code, int signal) {
    spawn_ended((int)code + signal);
    uv_close((uv_handle_t *)ended, on_close);
}

static void start(void) {
    static char name[] = "true";
    static char *arguments[] = {name, NULL};
    static uv_stdio_container_t streams[3];
    uv_process_options_t options = {0};
    for (int fd = 0; fd < 3; fd++) {
        streams[fd].flags = UV_INHERIT_FD;
        streams[fd].data.fd = fd;
    }
    options.exit_cb = on_exit_of_child;
    options.file = "/bin/true";
    options.args = arguments;
    options.stdio_count = 3;
    options.stdio = streams;
    spawn_starts();
    CHECK(uv_spawn(loop, &process, &options) == 0);
}

static void spawn(void) {
    spawn_begin();
    loop = uv_default_loop();
    start();
    uv_run(loop, UV_RUN_DEFAULT);
    spawn_end();
}

static const struct workload workloads[] = {{"spawn", spawn}};
BENCH_MAIN(workloads)
