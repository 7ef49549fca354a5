/* file_stream: a file of 64 MiB, which is in the page cache, is read from its beginning to its end 8 times, and each piece is handed
 * to a function that counts. An operation is 64 KiB; CPU time of all threads, and of the children, if there are any. */
#ifndef LARIAT_BENCH_FILE_H
#define LARIAT_BENCH_FILE_H
#include "common.h"
#include <sys/resource.h>
#include <unistd.h>

enum { FILE_LENGTH = 64 << 20, FILE_READS = 8, FILE_PIECE = 64 << 10 };

static char file_path[] = "/tmp/lariat-bench-XXXXXX";
static size_t file_came;
static double file_started;

static inline double file_cpu_ns(void) {
    struct rusage usage;
    CHECK(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    return cpu_ns() + (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

static inline void file_begin(void) {
    char piece[FILE_PIECE];
    int file = mkstemp(file_path);
    CHECK(file >= 0);
    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < FILE_LENGTH / FILE_PIECE; i++) CHECK(write(file, piece, sizeof piece) == sizeof piece);
    CHECK(close(file) == 0);
    file_started = file_cpu_ns();
}

static inline void file_end(void) {
    double took = file_cpu_ns() - file_started;
    CHECK(unlink(file_path) == 0);
    CHECK(file_came == (size_t)FILE_LENGTH * FILE_READS);
    report("file_stream", took / ((double)FILE_LENGTH * FILE_READS / FILE_PIECE), "ns");
}

#endif
