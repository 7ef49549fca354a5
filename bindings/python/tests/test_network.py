"""Connections, ports, datagrams, endpoints, and what is talked over them."""

import os
import tempfile
import unittest

from lariat import address, defer, endpoints, error, protocol
from lariat.internet import reactor
from lariat.protocols import basic

SECONDS = 30


class Case(unittest.TestCase):
    def wait_for(self, deferred):
        """Runs the reactor until the Deferred has fired, and gives its result."""
        results = []
        deferred.addTimeout(SECONDS, reactor)
        deferred.addBoth(results.append)
        deferred.addBoth(lambda ignored: reactor.stop())
        if not results:
            reactor.run()
        else:
            # It stopped nothing: the reactor did not run.
            deferred.addErrback(lambda failure: None)
        if isinstance(results[0], BaseException):
            results[0].raiseException()
        return results[0]

    def listen(self, factory, **options):
        port = reactor.listenTCP(0, factory, interface="127.0.0.1", **options)
        self.addCleanup(lambda: self.wait_for(port.stopListening()))
        return port


class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class Collecting(protocol.Protocol):
    """Collects what comes; `done` fires with all of it when so much is there, or with the end."""

    def __init__(self, wanted=None):
        self.wanted = wanted
        self.data = b""
        self.done = defer.Deferred()
        self.lost = defer.Deferred()

    def dataReceived(self, data):
        self.data += data
        if self.wanted is not None and len(self.data) >= self.wanted and not self.done.called:
            self.done.callback(self.data)

    def connectionLost(self, reason):
        self.lost.callback(reason.type)


class Connections(Case):
    def test_echo(self):
        port = self.listen(protocol.Factory.forProtocol(Echo))
        data = os.urandom(1000000)
        client = Collecting(len(data))
        endpoint = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        self.assertIs(self.wait_for(endpoints.connectProtocol(endpoint, client)), client)
        self.assertEqual(client.transport.getPeer(), address.IPv4Address("TCP", "127.0.0.1", port.getHost().port))
        client.transport.writeSequence([data[:10], data[10:]])
        self.assertEqual(self.wait_for(client.done), data)
        client.transport.loseConnection()
        self.assertIs(self.wait_for(client.lost), error.ConnectionDone)

    def test_by_name(self):
        port = self.listen(protocol.Factory.forProtocol(Echo))
        endpoint = endpoints.HostnameEndpoint(reactor, "localhost", port.getHost().port)
        client = self.wait_for(endpoint.connect(protocol.Factory.forProtocol(Collecting)))
        client.transport.abortConnection()
        self.assertIs(self.wait_for(client.lost), error.ConnectionAborted)

    def test_what_factories_are_told(self):
        told = []

        class Server(protocol.ServerFactory):
            def startFactory(self):
                told.append("server started")

            def stopFactory(self):
                told.append("server stopped")

            def buildProtocol(self, addr):
                told.append(type(addr).__name__)
                made = protocol.Protocol()
                made.connectionMade = lambda: made.transport.loseConnection()
                return made

        class Client(protocol.ClientFactory):
            protocol = Collecting
            over = defer.Deferred()

            def startedConnecting(self, connector):
                told.append(connector.state)

            def clientConnectionLost(self, connector, reason):
                told.append(reason.type.__name__)
                self.over.callback(connector.state)

        port = reactor.listenTCP(0, Server(), interface="127.0.0.1")
        factory = Client()
        reactor.connectTCP("127.0.0.1", port.getHost().port, factory)
        self.assertEqual(self.wait_for(factory.over), "disconnected")
        self.wait_for(port.stopListening())
        self.assertEqual(
            told, ["server started", "connecting", "IPv4Address", "ConnectionDone", "server stopped"]
        )

    def test_refused(self):
        port = reactor.listenTCP(0, protocol.Factory(), interface="127.0.0.1")
        number = port.getHost().port
        self.wait_for(port.stopListening())
        endpoint = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", number)
        with self.assertRaisesRegex(error.ConnectionRefusedError, str(number)):
            self.wait_for(endpoint.connect(protocol.Factory.forProtocol(Echo)))

    def test_an_unknown_name(self):
        endpoint = endpoints.HostnameEndpoint(reactor, "no-such-host.invalid", 1)
        with self.assertRaisesRegex(error.DNSLookupError, "no-such-host.invalid"):
            self.wait_for(endpoint.connect(protocol.Factory.forProtocol(Echo)))

    def test_stopped_while_it_connects(self):
        port = self.listen(protocol.Factory.forProtocol(Echo))
        endpoint = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        connecting = endpoint.connect(protocol.Factory.forProtocol(Echo))
        connecting.cancel()
        self.assertRaises(error.ConnectingCancelledError, self.wait_for, connecting)

    def test_a_port_that_is_taken(self):
        port = self.listen(protocol.Factory())
        with self.assertRaisesRegex(error.CannotListenError, str(port.getHost().port)):
            reactor.listenTCP(port.getHost().port, protocol.Factory(), interface="127.0.0.1")

    def test_no_protocol(self):
        port = self.listen(protocol.Factory.forProtocol(Echo))

        class Nothing(protocol.Factory):
            def buildProtocol(self, addr):
                return None

        class Broken(protocol.Factory):
            def buildProtocol(self, addr):
                raise ValueError("broken")

        endpoint = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        self.assertRaises(error.NoProtocol, self.wait_for, endpoint.connect(Nothing()))
        self.assertRaises(ValueError, self.wait_for, endpoint.connect(Broken()))

    def test_an_exception_in_a_protocol_ends_its_connection(self):
        class Broken(protocol.Protocol):
            def dataReceived(self, data):
                raise ValueError("broken")

        port = self.listen(protocol.Factory.forProtocol(Broken))
        endpoint = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        client = self.wait_for(endpoints.connectProtocol(endpoint, Collecting()))
        client.transport.write(b"x")
        with self.assertLogs("lariat") as logs:
            self.wait_for(client.lost)
        self.assertIs(logs.records[0].exc_info[0], ValueError)

    def test_unix(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a %socket?")
            port = self.wait_for(
                endpoints.UNIXServerEndpoint(reactor, path, mode=0o600).listen(protocol.Factory.forProtocol(Echo))
            )
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            client = Collecting(5)
            self.wait_for(endpoints.connectProtocol(endpoints.UNIXClientEndpoint(reactor, path), client))
            client.transport.write(b"hello")
            self.assertEqual(self.wait_for(client.done), b"hello")
            client.transport.loseConnection()
            self.wait_for(client.lost)
            self.wait_for(port.stopListening())

    def test_reconnecting(self):
        made = []

        class Server(protocol.Protocol):
            def connectionMade(self):
                self.transport.loseConnection()

        class Client(protocol.ReconnectingClientFactory):
            initialDelay = delay = 0.0001
            third = defer.Deferred()

            def buildProtocol(self, addr):
                made.append(self.retries)
                if len(made) == 3:
                    self.stopTrying()
                    self.third.callback(None)
                return protocol.Protocol()

        port = self.listen(protocol.Factory.forProtocol(Server))
        factory = Client()
        reactor.connectTCP("127.0.0.1", port.getHost().port, factory)
        self.wait_for(factory.third)
        self.assertEqual(made, [0, 1, 2])


class Datagrams(Case):
    def test_to_and_fro(self):
        class Server(protocol.DatagramProtocol):
            def datagramReceived(self, datagram, addr):
                self.transport.write(datagram.upper(), addr)

        class Client(protocol.DatagramProtocol):
            def __init__(self):
                self.answer = defer.Deferred()
                self.stopped = defer.Deferred()

            def startProtocol(self):
                self.transport.connect("127.0.0.1", server.getHost().port)
                self.transport.write(b"hello")

            def datagramReceived(self, datagram, addr):
                self.answer.callback((datagram, addr))

            def stopProtocol(self):
                self.stopped.callback("stopped")

        server = reactor.listenUDP(0, Server(), interface="127.0.0.1")
        client = Client()
        port = reactor.listenUDP(0, client, interface="127.0.0.1")
        self.assertEqual(self.wait_for(client.answer), (b"HELLO", ("127.0.0.1", server.getHost().port)))
        port.stopListening()
        self.assertEqual(self.wait_for(client.stopped), "stopped")
        self.wait_for(server.stopListening())

    def test_a_port_that_is_taken(self):
        port = reactor.listenUDP(0, protocol.DatagramProtocol(), interface="127.0.0.1")
        with self.assertRaises(error.CannotListenError):
            reactor.listenUDP(port.getHost().port, protocol.DatagramProtocol(), interface="127.0.0.1")
        self.wait_for(port.stopListening())


class Strings(unittest.TestCase):
    """Endpoints from strings."""

    def test_servers(self):
        endpoint = endpoints.serverFromString(reactor, "tcp:8080:interface=\\:\\:1:backlog=5")
        self.assertEqual(endpoint._arguments, (8080, 5, "::1"))
        endpoint = endpoints.serverFromString(reactor, "unix:/run/a:mode=660")
        self.assertEqual((endpoint._address, endpoint._options["mode"]), ("/run/a", 0o660))
        for wrong in "tcp:80:nothing=1", "http:80", "tcp:1:2:3:4":
            self.assertRaises(ValueError, endpoints.serverFromString, reactor, wrong)

    def test_clients(self):
        endpoint = endpoints.clientFromString(reactor, "tcp:example.org:80:timeout=5")
        self.assertEqual((endpoint._arguments, endpoint._options["timeout"]), (("example.org", 80), 5.0))
        endpoint = endpoints.clientFromString(reactor, "tcp:host=example.org:port=80")
        self.assertEqual(endpoint._arguments, ("example.org", 80))
        self.assertRaises(ValueError, endpoints.clientFromString, reactor, "smoke:signal")


class Transport:
    """A transport that remembers."""

    disconnecting = False

    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += data

    def writeSequence(self, parts):
        self.write(b"".join(parts))

    def loseConnection(self):
        self.disconnecting = True

    def pauseProducing(self):
        pass

    resumeProducing = pauseProducing


class Pieces(unittest.TestCase):
    """What cuts, given its bytes in pieces of every size."""

    def feed(self, kind, data, size, **attributes):
        received = []
        made = kind()
        for name in "lineReceived", "stringReceived", "rawDataReceived":
            setattr(made, name, received.append)
        for name, value in attributes.items():
            setattr(made, name, value)
        made.makeConnection(Transport())
        for start in range(0, len(data), size):
            if not made.transport.disconnecting:
                made.dataReceived(data[start : start + size])
        return made, received

    def test_every_kind(self):
        strings = [b"first", b"", b"x" * 200, b"last"]
        for kind in (
            basic.LineReceiver,
            basic.LineOnlyReceiver,
            basic.NetstringReceiver,
            basic.Int8StringReceiver,
            basic.Int16StringReceiver,
            basic.Int32StringReceiver,
        ):
            sender = kind()
            sender.makeConnection(Transport())
            for string in strings:
                (getattr(sender, "sendLine", None) or sender.sendString)(string)
            for size in 1, 2, 3, 7, 1000:
                made, received = self.feed(kind, sender.transport.written, size)
                self.assertEqual((kind, size, received), (kind, size, strings))
                self.assertFalse(made.transport.disconnecting)

    def test_too_long(self):
        for size in 1, 1000:
            for kind, data in (
                (basic.LineReceiver, b"12345678901\r\n"),
                (basic.LineReceiver, b"1234567890123"),
                (basic.LineOnlyReceiver, b"1234567890123"),
                (basic.NetstringReceiver, b"11:"),
                (basic.Int16StringReceiver, b"\0\x0b"),
            ):
                made, received = self.feed(kind, data, size, MAX_LENGTH=10)
                self.assertEqual((kind, made.transport.disconnecting, received), (kind, True, []))
        self.assertRaises(ValueError, basic.Int8StringReceiver().sendString, b"x" * 256)

    def test_netstrings_that_are_none(self):
        for wrong in b"x", b"1:xx", b"01:x,", b":,", b"-1:", b"1 :x,":
            made, received = self.feed(basic.NetstringReceiver, wrong, 1)
            self.assertEqual((wrong, made.transport.disconnecting, received), (wrong, True, []))

    def test_raw_mode(self):
        class Both(basic.LineReceiver):
            def __init__(self):
                self.got = []

            def lineReceived(self, line):
                self.got.append(line)
                if line == b"raw":
                    self.setRawMode()

            def rawDataReceived(self, data):
                self.got.append((data[:3],))
                self.setLineMode(data[3:])

        made = Both()
        made.makeConnection(Transport())
        made.dataReceived(b"one\r\nraw\r\nabctwo\r\n")
        self.assertEqual(made.got, [b"one", b"raw", (b"abc",), b"two"])

    def test_pausing(self):
        class Pausing(basic.LineReceiver):
            got = ()

            def lineReceived(self, line):
                self.got += (line,)
                self.pauseProducing()

        made = Pausing()
        made.makeConnection(Transport())
        made.dataReceived(b"1\r\n2\r\n3")
        self.assertEqual(made.got, (b"1",))
        made.resumeProducing()
        self.assertEqual(made.got, (b"1", b"2"))


if __name__ == "__main__":
    unittest.main()
