/* Files. */
#include "../file.h"
#include "bench.h"

static void on_data(lariat_transport *transport, const uint8_t *data, size_t len, void *self) {
    (void)transport;
    (void)data;
    (void)self;
    file_came += len;
}

static void file_stream(void) {
    lariat_protocol protocol;
    OK(lariat_protocol_init(&protocol, sizeof protocol));
    protocol.data_received = on_data;
    file_begin();
    MADE(reactor = lariat_reactor_new());
    for (int i = 0; i < FILE_READS; i++) {
        MADE(lariat_reactor_open_file_stream(reactor, file_path, LARIAT_FILE_READ, 0, &protocol, NULL));
        OK(lariat_reactor_run_until_idle(reactor));
    }
    OK(lariat_reactor_free(reactor));
    file_end();
}

static const struct workload workloads[] = {{"file_stream", file_stream}};
BENCH_MAIN(workloads)
