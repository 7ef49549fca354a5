"""Where to connect to and where to listen, as things of their own, under Twisted's names."""

from lariat import error
from lariat.defer import Deferred, execute
from lariat.failure import Failure
from lariat.protocol import ClientFactory, Factory

__all__ = [
    "HostnameEndpoint",
    "TCP4ClientEndpoint",
    "TCP4ServerEndpoint",
    "TCP6ClientEndpoint",
    "TCP6ServerEndpoint",
    "UNIXClientEndpoint",
    "UNIXServerEndpoint",
    "clientFromString",
    "connectProtocol",
    "serverFromString",
]


class _OneConnection(ClientFactory):
    """Fires a Deferred with the protocol of one connection, made by another factory."""

    def __init__(self, factory):
        self.factory = factory
        self.deferred = Deferred(self._cancelled)
        self.connector = None

    def doStart(self):
        self.factory.doStart()

    def doStop(self):
        self.factory.doStop()

    def startedConnecting(self, connector):
        self.connector = connector

    def buildProtocol(self, addr):
        try:
            return self.factory.buildProtocol(addr)
        except BaseException:
            self._fire(Failure())
            return None

    def clientConnectionFailed(self, connector, reason):
        self._fire(reason)

    def _has_protocol(self, protocol):
        self._fire(protocol)

    def _has_no_protocol(self):
        self._fire(Failure(error.NoProtocol()))

    def _fire(self, result):
        if not self.deferred.called:
            self.deferred.callback(result)

    def _cancelled(self, deferred):
        deferred.errback(error.ConnectingCancelledError(self.connector.getDestination()))
        self.connector.stopConnecting()


def _connected(factory, connect):
    one = _OneConnection(factory)
    begun = execute(connect, one)
    # What cannot even be begun is a failure like any other.
    begun.addErrback(one._fire)
    return one.deferred


class TCP4ClientEndpoint:
    """A TCP connection to a host, by its IPv4 address or name."""

    def __init__(self, reactor, host, port, timeout=30, bindAddress=None):
        self._reactor = reactor
        self._arguments = host, port
        self._options = {"timeout": timeout, "bindAddress": bindAddress}

    def connect(self, protocolFactory):
        """A Deferred that fires with the protocol when the connection is there."""
        return _connected(
            protocolFactory, lambda factory: self._reactor.connectTCP(*self._arguments, factory, **self._options)
        )


class TCP6ClientEndpoint(TCP4ClientEndpoint):
    """A TCP connection to a host, by its IPv6 address or name."""


class HostnameEndpoint(TCP4ClientEndpoint):
    """A TCP connection to a host by its name: to whichever of its addresses answers first."""

    def __init__(self, reactor, host, port, timeout=30, bindAddress=None, attemptDelay=None):
        host = host.decode("ascii") if isinstance(host, bytes) else host
        bindAddress = (bindAddress, 0) if isinstance(bindAddress, str) else bindAddress
        super().__init__(reactor, host, port, timeout, bindAddress)


class UNIXClientEndpoint:
    """A connection to the Unix socket at a path."""

    def __init__(self, reactor, path, timeout=30, checkPID=0):
        self._reactor = reactor
        self._path = path
        self._timeout = timeout

    def connect(self, protocolFactory):
        """A Deferred that fires with the protocol when the connection is there."""
        return _connected(
            protocolFactory, lambda factory: self._reactor.connectUNIX(self._path, factory, timeout=self._timeout)
        )


class TCP4ServerEndpoint:
    """A TCP port, on all IPv4 addresses or on that of an interface."""

    _any = ""

    def __init__(self, reactor, port, backlog=50, interface=""):
        self._reactor = reactor
        self._arguments = port, backlog, interface or self._any

    def listen(self, protocolFactory):
        """A Deferred that fires with the port when it takes connections."""
        port, backlog, interface = self._arguments
        return execute(self._reactor.listenTCP, port, protocolFactory, backlog=backlog, interface=interface)


class TCP6ServerEndpoint(TCP4ServerEndpoint):
    """A TCP port, on all addresses or on the IPv6 address of an interface."""

    _any = "::"


class UNIXServerEndpoint:
    """A Unix socket at a path."""

    def __init__(self, reactor, address, backlog=50, mode=0o666, wantPID=0):
        self._reactor = reactor
        self._address = address
        self._options = {"backlog": backlog, "mode": mode}

    def listen(self, protocolFactory):
        """A Deferred that fires with the port when it takes connections."""
        return execute(self._reactor.listenUNIX, self._address, protocolFactory, **self._options)


def connectProtocol(endpoint, protocol):
    """Connects this protocol; the Deferred fires with it when the connection is there."""

    class OneProtocol(Factory):
        def buildProtocol(self, addr):
            return protocol

    return endpoint.connect(OneProtocol())


def _parse(description):
    """The words between colons, and those with a name: of `tcp:80:interface=::1`, where `\\:` is a colon of a word."""
    words, named, word = [], {}, ""
    characters = iter(description + ":")
    for character in characters:
        if character == "\\":
            word += "\\" + next(characters, "")
        elif character == ":":
            name, equals, value = word.partition("=")
            plain = value if equals else word
            plain = plain.replace("\\:", ":").replace("\\=", "=").replace("\\\\", "\\")
            if equals:
                named[name] = plain
            else:
                words.append(plain)
            word = ""
        else:
            word += character
    return words, named


def _checked(description, taken, words, named, names):
    """The values of the names, given by place or by name."""
    values = dict(zip(names, words))
    if len(words) > len(names):
        raise ValueError(f"{description!r} has {len(words)} words behind {taken!r}; there are {len(names)} at most")
    for name, value in named.items():
        if name not in names:
            raise ValueError(f"{description!r}: {taken} has no {name!r}")
        values[name] = value
    return values


def serverFromString(reactor, description):
    """The endpoint of a description, such as "tcp:8080:interface=127.0.0.1", "tcp6:8080" or "unix:/run/x:mode=660"."""
    (kind, *words), named = _parse(description)
    if kind in ("tcp", "tcp4", "tcp6"):
        values = _checked(description, kind, words, named, ["port", "interface", "backlog"])
        endpoint = TCP6ServerEndpoint if kind == "tcp6" else TCP4ServerEndpoint
        return endpoint(reactor, int(values["port"]), int(values.get("backlog", 50)), values.get("interface", ""))
    if kind == "unix":
        values = _checked(description, kind, words, named, ["address", "mode", "backlog", "lockfile"])
        mode = int(values.get("mode", "666"), 8)
        return UNIXServerEndpoint(reactor, values["address"], int(values.get("backlog", 50)), mode)
    raise ValueError(f"Unknown endpoint type: {kind!r}")


def clientFromString(reactor, description):
    """The endpoint of a description, such as "tcp:example.org:80:timeout=10" or "unix:/run/x"."""
    (kind, *words), named = _parse(description)
    if kind == "tcp":
        values = _checked(description, kind, words, named, ["host", "port", "timeout", "bindAddress"])
        bind = (values["bindAddress"], 0) if "bindAddress" in values else None
        return HostnameEndpoint(reactor, values["host"], int(values["port"]), float(values.get("timeout", 30)), bind)
    if kind == "unix":
        values = _checked(description, kind, words, named, ["path", "timeout", "lockfile"])
        return UNIXClientEndpoint(reactor, values["path"], float(values.get("timeout", 30)))
    raise ValueError(f"Unknown endpoint type: {kind!r}")
