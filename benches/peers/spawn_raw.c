/* The limit: posix_spawn and waitpid. */
#include "../spawn.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void spawn(void) {
    char name[] = "true", *arguments[] = {name, NULL};
    int status, more = 1;
    spawn_begin();
    while (more) {
        pid_t pid;
        spawn_starts();
        CHECK(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        more = spawn_ended(status);
    }
    spawn_end();
}

static const struct workload workloads[] = {{"spawn", spawn}};
BENCH_MAIN(workloads)
