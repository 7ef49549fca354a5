/* libuv: uv_fs_read on its pool, one after the other into one buffer, as its guide has it; of the size that it suggests for streams. */
#include "../file.h"
#include <fcntl.h>
#include <uv.h>

static uv_loop_t *loop;
static uv_file file;
static uv_fs_t reading;
static char piece[FILE_PIECE];

static void on_read(uv_fs_t *done);

static void read_more(void) {
    uv_buf_t buffer = uv_buf_init(piece, sizeof piece);
    CHECK(uv_fs_read(loop, &reading, file, &buffer, 1, -1, on_read) == 0);
}

static void on_read(uv_fs_t *done) {
    ssize_t got = done->result;
    uv_fs_req_cleanup(done);
    CHECK(got >= 0);
    file_came += (size_t)got;
    if (got) read_more();
}

static void file_stream(void) {
    file_begin();
    loop = uv_default_loop();
    for (int i = 0; i < FILE_READS; i++) {
        uv_fs_t request;
        file = uv_fs_open(NULL, &request, file_path, O_RDONLY, 0, NULL);
        uv_fs_req_cleanup(&request);
        CHECK(file >= 0);
        read_more();
        uv_run(loop, UV_RUN_DEFAULT);
        uv_fs_close(NULL, &request, file, NULL);
        uv_fs_req_cleanup(&request);
    }
    file_end();
}

static const struct workload workloads[] = {{"file_stream", file_stream}};
BENCH_MAIN(workloads)
