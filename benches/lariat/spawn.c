/* Child processes: the next is started when the one before is over. */
#include "../spawn.h"
#include "lariat.h"

static lariat_reactor *reactor;
static lariat_process_options options;
static lariat_process_protocol protocol;

static void ended(lariat_process *process, const lariat_failure *reason, void *self) {
    int code = -1;
    (void)reason, (void)self;
    CHECK(lariat_process_exit_code(process, &code) == LARIAT_OK);
    if (spawn_ended(code)) {
        spawn_starts();
        CHECK(lariat_reactor_spawn(reactor, &options, &protocol, NULL) != NULL);
    }
}

static void spawn(void) {
    lariat_process_descriptor descriptors[3];
    for (int fd = 0; fd < 3; fd++)
        descriptors[fd] = (lariat_process_descriptor){.child_fd = fd, .kind = LARIAT_DESCRIPTOR_INHERIT, .fd = fd};
    spawn_begin();
    reactor = lariat_reactor_new();
    CHECK(reactor != NULL);
    CHECK(lariat_process_options_init(&options, sizeof options) == LARIAT_OK);
    CHECK(lariat_process_protocol_init(&protocol, sizeof protocol) == LARIAT_OK);
    options.program = "/bin/true";
    options.descriptors = descriptors;
    options.descriptor_count = 3;
    protocol.process_ended = ended;
    spawn_starts();
    CHECK(lariat_reactor_spawn(reactor, &options, &protocol, NULL) != NULL);
    CHECK(lariat_reactor_run_until_idle(reactor) == LARIAT_OK);
    spawn_end();
    CHECK(lariat_reactor_free(reactor) == LARIAT_OK);
}

static const struct workload workloads[] = {{"spawn", spawn}};
BENCH_MAIN(workloads)
