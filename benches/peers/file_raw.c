/* The limit: the system call, into one buffer of the size that a stream hands on. */
#include "../file.h"
#include <fcntl.h>

static void file_stream(void) {
    static char piece[FILE_PIECE];
    file_begin();
    for (int i = 0; i < FILE_READS; i++) {
        int file = open(file_path, O_RDONLY);
        CHECK(file >= 0);
        for (ssize_t got; (got = read(file, piece, sizeof piece)) != 0;) {
            CHECK(got > 0);
            file_came += (size_t)got;
        }
        close(file);
    }
    file_end();
}

static const struct workload workloads[] = {{"file_stream", file_stream}};
BENCH_MAIN(workloads)
