/* Serial ports, over a pseudo-terminal pair: the settings, that the port is ours alone, and that it is put back. A pseudo-terminal
 * takes any speed and both flow controls, but neither other data bits nor parity. */
#include "plain_streams.h"
#include <sys/file.h>

static lariat_serial_options serial_options(uint32_t speed) {
    lariat_serial_options options;
    CHECK_OK(lariat_serial_options_init(&options, sizeof options));
    options.speed = speed;
    return options;
}

static lariat_transport *open_port(lariat_reactor *reactor, const char *path, const lariat_serial_options *options, side *own) {
    lariat_protocol protocol = side_protocol(PLAIN);
    return lariat_reactor_open_serial_port(reactor, path, options, &protocol, own);
}

static lariat_transport *must_open_port(lariat_reactor *reactor, const char *path, const lariat_serial_options *options, side *own) {
    lariat_transport *transport = open_port(reactor, path, options, own);
    if (!transport) test_fail(__FILE__, __LINE__, "cannot open %s: %s", path, lariat_last_error_message());
    until(reactor, own->made);
    return transport;
}

TEST(a_port_carries_bytes_unchanged_and_is_put_back) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    struct termios before = settings_of(one.terminal), now;
    lariat_serial_options options = serial_options(115200);
    side own = {.name = "p", .echoes = 1};
    uint8_t all[256], came[512];
    size_t length = 0;
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    lariat_transport *port = must_open_port(reactor, one.path, &options, &own);
    now = settings_of(one.terminal);
    CHECK_INT(cfgetospeed(&now), B115200);
    CHECK(!same_settings(&now, &before));
    CHECK_INT(write(one.master, all, sizeof all), sizeof all);
    until(reactor, (length += (size_t)fmax(0, (double)read(one.master, came + length, sizeof came - length))) >= sizeof all);
    CHECK_INT(length, sizeof all);
    CHECK_INT(memcmp(came, all, sizeof all), 0);
    CHECK_OK(lariat_transport_lose_connection(port));
    until(reactor, own.freed);
    now = settings_of(one.terminal);
    CHECK(same_settings(&now, &before));
    side_over(&own, LARIAT_CONNECTION_DONE);
    pty_close(&one);
    reactor_done(reactor);
}

TEST(a_port_is_set_anew) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    side own = {.name = "p"};
    lariat_transport *port = must_open_port(reactor, one.path, NULL, &own);
    struct termios now = settings_of(one.terminal);
    CHECK_INT(cfgetospeed(&now), B9600);
    CHECK(!(now.c_cflag & (CSTOPB | CRTSCTS)));
    lariat_serial_options options = serial_options(38400);
    options.stop_bits = 2;
    options.flow_control = LARIAT_FLOW_HARDWARE;
    CHECK_OK(lariat_transport_set_serial(port, &options));
    now = settings_of(one.terminal);
    CHECK_INT(cfgetospeed(&now), B38400);
    CHECK((now.c_cflag & CSTOPB) && (now.c_cflag & CRTSCTS));
    options.flow_control = LARIAT_FLOW_SOFTWARE;
    options.speed = 123456; /* no name */
    CHECK_OK(lariat_transport_set_serial(port, &options));
    now = settings_of(one.terminal);
    CHECK(!(now.c_cflag & CRTSCTS) && (now.c_iflag & IXON) && (now.c_iflag & IXOFF));
    CHECK_OK(lariat_transport_lose_connection(port));
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    pty_close(&one);
    reactor_done(reactor);
}

TEST(what_the_port_does_not_take_is_said) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    struct termios before = settings_of(one.terminal), now;
    lariat_serial_options options = serial_options(9600);
    side own = {.name = "p"};
    options.data_bits = 7;
    CHECK_REFUSED(open_port(reactor, one.path, &options, &own), &own, LARIAT_ERR_NOT_SUPPORTED, "7 data bits");
    now = settings_of(one.terminal);
    CHECK(same_settings(&now, &before)); /* a port that was not opened is as it was, too */
    options.data_bits = 8;
    options.parity = LARIAT_PARITY_EVEN;
    CHECK_REFUSED(open_port(reactor, one.path, &options, &own), &own, LARIAT_ERR_NOT_SUPPORTED, "parity");
    pty_close(&one);
    reactor_done(reactor);
}

TEST(options_that_are_none_are_refused) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    side own = {.name = "p"};
    const struct {
        size_t at;
        int32_t value;
        const char *word;
    } wrong[] = {
        {offsetof(lariat_serial_options, speed), 0, "speed"},
        {offsetof(lariat_serial_options, data_bits), 4, "data_bits"},
        {offsetof(lariat_serial_options, data_bits), 9, "data_bits"},
        {offsetof(lariat_serial_options, parity), 3, "parity"},
        {offsetof(lariat_serial_options, parity), -1, "parity"},
        {offsetof(lariat_serial_options, stop_bits), 0, "stop_bits"},
        {offsetof(lariat_serial_options, stop_bits), 3, "stop_bits"},
        {offsetof(lariat_serial_options, flow_control), 3, "flow_control"},
        {offsetof(lariat_serial_options, struct_size), 0, "struct_size"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        lariat_serial_options options = serial_options(9600);
        memcpy((char *)&options + wrong[i].at, &wrong[i].value, 4);
        CHECK_REFUSED(open_port(reactor, one.path, &options, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, wrong[i].word);
    }
    CHECK_REFUSED(open_port(reactor, "/dev/null", NULL, &own), &own, LARIAT_ERR_INVALID_ARGUMENT, "no serial port");
    CHECK_REFUSED(open_port(reactor, "/dev/lariat-none", NULL, &own), &own, LARIAT_ERR_OS, "/dev/lariat-none");
    pty_close(&one);
    reactor_done(reactor);
}

TEST(a_port_is_for_one_alone) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    side own = {.name = "p"}, second = {.name = "q"};
    lariat_transport *port = must_open_port(reactor, one.path, NULL, &own);
    CHECK_REFUSED(open_port(reactor, one.path, NULL, &second), &second, LARIAT_ERR_OS, one.path);
    CHECK_INT(flock(one.terminal, LOCK_EX | LOCK_NB), -1);
    CHECK_OK(lariat_transport_lose_connection(port));
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    CHECK_INT(flock(one.terminal, LOCK_EX | LOCK_NB), 0);
    CHECK_INT(flock(one.terminal, LOCK_UN), 0);
    must_open_port(reactor, one.path, NULL, &second);
    CHECK_OK(lariat_transport_abort_connection(second.transport));
    until(reactor, second.freed);
    side_over(&second, LARIAT_ERR_CONNECTION_ABORTED);
    pty_close(&one);
    reactor_done(reactor);
}

TEST(a_port_without_lines_says_so) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    side own = {.name = "p"}, pipe_side = {.name = "r"};
    uint32_t lines = 7;
    int ends[2];
    lariat_transport *port = must_open_port(reactor, one.path, NULL, &own);
    CHECK(lariat_transport_serial_lines(port, &lines) < 0);
    CHECK_INT(lines, 7);
    CHECK_STATUS(lariat_transport_set_serial_lines(port, LARIAT_LINE_CTS, 0), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_transport_set_serial_lines(port, LARIAT_LINE_DTR, LARIAT_LINE_DTR), LARIAT_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(lariat_transport_set_terminal_mode(port, LARIAT_TERMINAL_KEYS), LARIAT_ERR_NOT_SUPPORTED);
    pipe_new(ends);
    lariat_transport *pipe = adopt(reactor, ends[0], LARIAT_READABLE, PLAIN, &pipe_side);
    CHECK_STATUS(lariat_transport_serial_lines(pipe, &lines), LARIAT_ERR_NOT_SUPPORTED);
    CHECK_OK(lariat_transport_abort_connection(pipe));
    CHECK_INT(close(ends[1]), 0);
    CHECK_OK(lariat_transport_lose_connection(port));
    until(reactor, own.freed && pipe_side.freed);
    CHECK_INT(pipe_side.made, 0); /* it was ended before it was told of its beginning */
    side_over(&own, LARIAT_CONNECTION_DONE);
    pty_close(&one);
    reactor_done(reactor);
}

/* It is unplugged: the stream ends. */
TEST(a_port_that_goes_away_ends) {
    lariat_reactor *reactor = manual_reactor();
    pty one = pty_new();
    side own = {.name = "p"};
    must_open_port(reactor, one.path, NULL, &own);
    pty_close(&one);
    until(reactor, own.freed);
    side_over(&own, LARIAT_CONNECTION_DONE);
    reactor_done(reactor);
}
