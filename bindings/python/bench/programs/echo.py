"""An echo server with 64 connections that each have one message of 64 bytes on its way: a program of Twisted's, on the
reactor that the argument names. The clients are a process of their own, of plain sockets."""

import os
import select
import socket
import sys
import time

CONNECTIONS = 64
MESSAGES = 300_000
MESSAGE = b"x" * 64


def clients(port, out):
    """Connects, and has as many messages answered; writes how many nanoseconds each took."""
    poll = select.epoll()
    streams = {}
    for _ in range(CONNECTIONS):
        stream = socket.create_connection(("127.0.0.1", port))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setblocking(False)
        poll.register(stream, select.EPOLLIN)
        streams[stream.fileno()] = stream

    def answered(count):
        for stream in streams.values():
            stream.send(MESSAGE)
        under_way = CONNECTIONS
        while under_way:
            for number, _ in poll.poll():
                stream = streams[number]
                got = stream.recv(4096)
                assert len(got) == len(MESSAGE)
                if count > 0:
                    count -= 1
                    stream.send(MESSAGE)
                else:
                    under_way -= 1

    answered(MESSAGES // 10)
    begun = time.perf_counter_ns()
    answered(MESSAGES)
    os.write(out, str((time.perf_counter_ns() - begun) / (MESSAGES + CONNECTIONS)).encode())


def main(which):
    if which == "lariat":
        from lariat.twisted import install
    else:
        from twisted.internet.epollreactor import install
    install()
    from twisted.internet import protocol, reactor

    class Echo(protocol.Protocol):
        def dataReceived(self, data):
            self.transport.write(data)

    port = reactor.listenTCP(0, protocol.ServerFactory.forProtocol(Echo), interface="127.0.0.1")
    number = port.getHost().port
    got, out = os.pipe()

    class Clients(protocol.ProcessProtocol):
        def processEnded(self, reason):
            reason.trap(__import__("twisted.internet.error", fromlist=["error"]).ProcessDone)
            reactor.stop()

    reactor.spawnProcess(
        Clients(), sys.executable, [sys.executable, __file__, "clients", str(number)], childFDs={0: 0, 1: out, 2: 2}
    )
    os.close(out)
    reactor.run()
    print(os.read(got, 100).decode())


if __name__ == "__main__":
    if sys.argv[1] == "clients":
        clients(int(sys.argv[2]), 1)
    else:
        main(sys.argv[1])
