// Asio, standalone: a session for each connection that owns its buffer and keeps itself alive. Locks are switched off.
#define ASIO_STANDALONE
#define ASIO_NO_DEPRECATED
#include "../net.h"
#include <asio.hpp>
#include <array>
#include <memory>

namespace {

using asio::error_code;
using asio::ip::tcp;
using asio::ip::udp;

// 4 KiB for whoever has many connections, 64 for a stream.
template <size_t SIZE, bool BURSTING>
class session : public std::enable_shared_from_this<session<SIZE, BURSTING>> {
    tcp::socket socket;
    std::array<uint8_t, SIZE> buffer;

public:
    explicit session(tcp::socket accepted) : socket(std::move(accepted)) {}

    void receive() {
        socket.async_read_some(asio::buffer(buffer), [self = this->shared_from_this()](error_code error, size_t len) {
            if (!error) self->answer(len);
        });
    }

private:
    void answer(size_t len) {
        if (BURSTING) {
            CHECK(len == 1);
            answer_burst(0);
            return;
        }
        asio::async_write(socket, asio::buffer(buffer, len), [self = this->shared_from_this()](error_code error, size_t) {
            if (!error) self->receive();
        });
    }

    // Each message at once as it is made; the rest of one that does not fit by async_write, and then on from there.
    void answer_burst(int from) {
        for (int i = from; i < BURST; i++) {
            error_code error;
            size_t sent = socket.write_some(asio::buffer(burst[i]), error);
            if (error && error != asio::error::would_block) return;
            if (sent == MESSAGE) continue;
            asio::async_write(socket, asio::buffer(burst[i] + sent, MESSAGE - sent),
                              [self = this->shared_from_this(), i](error_code failed, size_t) {
                                  if (!failed) self->answer_burst(i + 1);
                              });
            return;
        }
        receive();
    }
};

template <size_t SIZE, bool BURSTING>
void accept(tcp::acceptor &acceptor) {
    acceptor.async_accept([&](error_code error, tcp::socket socket) {
        CHECK(!error);
        socket.set_option(tcp::no_delay(true));
        if (BURSTING) socket.non_blocking(true);
        std::make_shared<session<SIZE, BURSTING>>(std::move(socket))->receive();
        accept<SIZE, BURSTING>(acceptor);
    });
}

template <size_t SIZE, bool BURSTING>
void serve() {
    asio::io_context loop(ASIO_CONCURRENCY_HINT_UNSAFE);
    tcp::acceptor acceptor(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.listen(BACKLOG);
    accept<SIZE, BURSTING>(acceptor);
    announce(acceptor.local_endpoint().port());
    loop.run();
}

void echo() { serve<4 * KIB, false>(); }
void echo_stream() { serve<BLOCK, false>(); }
void echo_burst() { fill_burst(), serve<4 * KIB, true>(); }

struct datagrams {
    asio::io_context loop{ASIO_CONCURRENCY_HINT_UNSAFE};
    udp::socket socket{loop, udp::endpoint(asio::ip::address_v4::loopback(), 0)};
    udp::endpoint peer;

    void receive() {
        socket.async_receive_from(asio::buffer(received), peer, [this](error_code error, size_t len) {
            error_code lost;
            if (!error) socket.send_to(asio::buffer(received, len), peer, 0, lost);
            receive();
        });
    }
};

void udp_any() {
    datagrams run;
    run.socket.non_blocking(true);
    run.receive();
    announce(run.socket.local_endpoint().port());
    run.loop.run();
}

const struct workload workloads[] = {
    {"echo_1x64", echo}, {"echo_64x1k", echo}, {"echo_burst", echo_burst}, {"echo_stream", echo_stream},
    {"churn", echo},     {"idle", echo},       {"udp_echo", udp_any},      {"udp_gso", udp_any},
};

}  // namespace

BENCH_MAIN(workloads)
