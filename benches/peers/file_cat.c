/* cat, which reads 128 KiB at a time, to /dev/null: with it comes the start of a program. */
#include "../file.h"
#include <fcntl.h>
#include <sys/wait.h>

static void file_stream(void) {
    file_begin();
    for (int i = 0; i < FILE_READS; i++) {
        int status = 0;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            if (dup2(open("/dev/null", O_WRONLY), 1) == 1) execlp("cat", "cat", file_path, (char *)NULL);
            _exit(127);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        file_came += FILE_LENGTH;
    }
    file_end();
}

static const struct workload workloads[] = {{"file_stream", file_stream}};
BENCH_MAIN(workloads)
