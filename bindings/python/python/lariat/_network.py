"""Connections, ports and datagrams of lariat.internet's reactor, on the library's transports."""

import os
import socket

from lariat import _lariat, _process, address, error, log
from lariat._transport import Transport, os_error
from lariat.defer import Deferred
from lariat.failure import Failure

TIMED_OUT = -22
NAME_NOT_FOUND = -40
LOOKUP_FAILED = -41
CANNOT_BIND = (-37, -38, -39)


class _Kit:
    """Where transports have their exceptions and failures from."""

    error = error
    Failure = Failure

    @staticmethod
    def log_failure(selectable, reason):
        log.failure("Unhandled error in a protocol", reason)

    @staticmethod
    def half_closeable(protocol):
        return protocol if hasattr(protocol, "readConnectionLost") else None

    @staticmethod
    def later(selectable, call, *args):
        selectable.reactor.callLater(0, call, *args)


class Connection(Transport):
    """A connection; its protocol writes to it."""

    _kit = _Kit

    def __new__(cls, reactor, *_):
        return super().__new__(cls, reactor)

    def getHost(self):
        """The address of this end."""
        return address.of_socket(self.socket.getsockname())

    def getPeer(self):
        """The address of the other end."""
        return self._peer


class Server(Connection):
    """A connection that a port has taken."""

    def __init__(self, reactor, port, protocol, peer):
        self.reactor = reactor
        self.server = port
        self.protocol = protocol
        self._peer = peer


class Client(Connection):
    """A connection that a connector makes."""

    def __init__(self, reactor, connector):
        self.reactor = reactor
        self.connector = connector
        self._peer = connector.getDestination()

    def _made(self):
        connector = self.connector
        if isinstance(self._peer, address.HostnameAddress):
            self._peer = address.of_socket(self.socket.getpeername())
        self.protocol = protocol = connector._connected(self._peer)
        if protocol is None:
            self.abortConnection()
            connector._has_no_protocol()
            return
        self.startReading()
        protocol.makeConnection(self)
        connector._has_protocol(protocol)

    def _connect_failed(self, code, number, message):
        self.connector._failed(_why_not_connected(code, number, message))

    def connectionLost(self, reason):
        if not self.disconnected:
            super().connectionLost(reason)
            self.connector._lost(reason)


def _why_not_connected(code, number, message):
    if code == TIMED_OUT:
        return error.TimeoutError(string=message)
    if code in (NAME_NOT_FOUND, LOOKUP_FAILED):
        return error.DNSLookupError(message)
    number, _ = os_error(code, number, message)
    return error.getConnectError((number, message))


class Connector:
    """Makes a connection, and makes it again when it is asked to."""

    def __init__(self, reactor, factory, endpoint, is_unix, destination):
        self.reactor = reactor
        self.factory = factory
        self.state = "disconnected"
        self.transport = None
        self._endpoint = endpoint
        self._is_unix = is_unix
        self._destination = destination
        self._is_started = False

    def connect(self):
        """Begins to connect."""
        if self.state != "disconnected":
            raise RuntimeError("can't connect in this state")
        self.state = "connecting"
        if not self._is_started:
            self._is_started = True
            self.factory.doStart()
        self.transport = Client(self.reactor, self)
        try:
            self.transport._connect(self._endpoint, self._is_unix)
        except (RuntimeError, ValueError, OSError) as why:
            self.reactor.callLater(0, self._failed, _why_not_connected(getattr(why, "status", 0), 0, str(why)))
        self.factory.startedConnecting(self)

    def disconnect(self):
        """Ends the connection, or gives up to make it."""
        if self.state == "connecting":
            self.stopConnecting()
        elif self.state == "connected":
            self.transport.loseConnection()

    def stopConnecting(self):
        """Gives up to connect."""
        if self.state != "connecting":
            raise error.NotConnectingError("we're not trying to connect")
        self.transport._give_up()
        self._failed(error.UserError())

    def getDestination(self):
        """The address that it connects to."""
        return self._destination

    def _connected(self, peer):
        self.state = "connected"
        return self.factory.buildProtocol(peer)

    def _has_protocol(self, protocol):
        connected = getattr(self.factory, "_has_protocol", None)
        if connected is not None:
            connected(protocol)

    def _has_no_protocol(self):
        told = getattr(self.factory, "_has_no_protocol", None)
        if told is not None:
            told()

    def _failed(self, why):
        if self.state != "connecting":
            return
        self.state = "disconnected"
        self.transport = None
        self.factory.clientConnectionFailed(self, Failure(why))
        self._stop()

    def _lost(self, reason):
        self.state = "disconnected"
        self.factory.clientConnectionLost(self, reason)
        self._stop()

    def _stop(self):
        if self.state == "disconnected" and self._is_started:
            self._is_started = False
            self.factory.doStop()


class Port(_lariat.Listener):
    """A port that takes connections."""

    connected = False

    def __new__(cls, reactor, *_):
        return super().__new__(cls, reactor)

    def __init__(self, reactor, factory):
        self.reactor = reactor
        self.factory = factory
        self._closing = None

    def _open(self, endpoint, is_unix, interface, port):
        try:
            self._listen(endpoint, is_unix)
        except (RuntimeError, ValueError, OSError) as why:
            raise error.CannotListenError(interface, port, why) from None
        self.connected = True
        self.factory.doStart()
        return self

    def _accepted(self, peer):
        peer = address.of_endpoint(peer)
        protocol = self.factory.buildProtocol(peer)
        return None if protocol is None else Server(self.reactor, self, protocol, peer)

    def _raised(self, exception, what):
        log.unhandled(exception, what)

    def stopListening(self):
        """Takes no more connections; the Deferred fires when the port is closed."""
        if self._closing is None:
            self._closing = Deferred()
            if self.connected:
                self._stop()
            else:
                self._closing.callback(None)
        waiting = Deferred()
        self._closing.addCallback(lambda _: waiting.callback(None))
        return waiting

    loseConnection = stopListening

    def _stopped(self):
        self.connected = False
        self.factory.doStop()
        if self._closing is not None:
            self._closing.callback(None)

    def getHost(self):
        """Where it listens."""
        return address.of_endpoint(self._host())


class DatagramPort(_lariat.DatagramPort):
    """A UDP port; its protocol writes to it."""

    def __new__(cls, reactor, *_):
        return super().__new__(cls, reactor)

    def __init__(self, reactor, protocol, most):
        self.reactor = reactor
        self.protocol = protocol
        self.maxPacketSize = most
        self._connected_to = None
        self._closing = None
        self._is_open = False

    def _begin(self, interface, port):
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.bind((interface, port))
            self._address = address.of_socket(made.getsockname(), "UDP")
            self._adopt(made.fileno(), self.maxPacketSize)
        except OSError as why:
            made.close()
            raise error.CannotListenError(interface, port, why) from None
        made.detach()
        self._is_open = True
        self.protocol.makeConnection(self)
        return self

    def write(self, datagram, addr=None):
        """Sends a datagram to (host, port), or to whom it is connected."""
        if self._connected_to is not None:
            status = self._send(datagram)
        else:
            status = self._send_to(datagram, *addr)
        if status == -44:
            raise error.MessageLengthError("message too long")
        return len(datagram) if status == 0 else None

    def connect(self, host, port):
        """Sends and receives to and from one address alone from here on."""
        if self._connected_to is not None:
            raise RuntimeError("already connected, reconnecting is not currently supported")
        self._connect(f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}")
        self._connected_to = (host, port)

    def setBroadcastAllowed(self, enabled):
        """Whether datagrams may go to broadcast addresses."""
        self._set_broadcast(bool(enabled))

    def joinGroup(self, addr, interface=None):
        """Joins a multicast group."""
        self._group(addr, interface or None, True)

    def leaveGroup(self, addr, interface=None):
        """Leaves a multicast group."""
        self._group(addr, interface or None, False)

    def getHost(self):
        """Where it listens."""
        return self._address

    def stopListening(self):
        """Closes it; the Deferred fires when it is closed."""
        if self._closing is None:
            self._closing = Deferred()
            if self._is_open:
                self._stop()
        waiting = Deferred()
        self._closing.addCallback(lambda _: waiting.callback(None))
        return waiting

    loseConnection = stopListening

    def _stopped(self, code, number, message):
        self._is_open = False
        if self._closing is None:
            log.logger.error("A UDP port has closed: %s", message)
            self._closing = Deferred()
        self.protocol.doStop()
        self._closing.callback(None)

    def _failed(self, code, number, message):
        if self._connected_to is not None and code == -34:
            self.protocol.connectionRefused()

    def _raised(self, exception, what):
        log.unhandled(exception, what)


class Process(_process.Process):
    """A child process."""

    _kit = _Kit


class TerminalProcess(_process.TerminalProcess):
    """A child process on a pseudo-terminal."""

    _kit = _Kit


def _escaped(path):
    path = os.path.abspath(os.fsencode(path))
    return path.replace(b"%", b"%25").replace(b"?", b"%3F")


def _place(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Network:
    """What a reactor has of the network."""

    def listenTCP(self, port, factory, backlog=50, interface=""):
        """Listens on a TCP port: on all IPv4 addresses, or on that of an interface. 0: on any port that is free."""
        endpoint = f"tcp://{_place(interface or '0.0.0.0', port)}?backlog={backlog}"
        return Port(self, factory)._open(endpoint.encode(), False, interface, port)

    def connectTCP(self, host, port, factory, timeout=30.0, bindAddress=None):
        """Connects to a TCP port; the library looks a name up, and tries its addresses, the first ones side by side."""
        host = host if host.isascii() else host.encode("idna").decode()
        endpoint = f"tcp://{_place(host, port)}?timeout={0 if timeout is None else timeout}"
        if bindAddress is not None:
            endpoint += f"&bind={_place(bindAddress[0] or '0.0.0.0', bindAddress[1])}"
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        except OSError:
            destination = address.HostnameAddress(host.encode("idna"), port)
        else:
            destination = address.of_endpoint(f"tcp://{_place(host, port)}")
        connector = Connector(self, factory, endpoint.encode(), False, destination)
        connector.connect()
        return connector

    def listenUNIX(self, address, factory, backlog=50, mode=0o666, wantPID=0):
        """Listens on a Unix socket at a path."""
        endpoint = b"unix://%s?backlog=%d&mode=%o" % (_escaped(address), backlog, mode)
        return Port(self, factory)._open(endpoint, True, "unix", address)

    def connectUNIX(self, address, factory, timeout=30, checkPID=0):
        """Connects to the Unix socket at a path."""
        endpoint = b"unix://%s?timeout=%s" % (_escaped(address), str(timeout or 0).encode())
        connector = Connector(self, factory, endpoint, True, _unix(address))
        connector.connect()
        return connector

    def listenUDP(self, port, protocol, interface="", maxPacketSize=8192):
        """Sends and receives datagrams from a UDP port."""
        return DatagramPort(self, protocol, maxPacketSize)._begin(interface, port)

    def spawnProcess(
        self, processProtocol, executable, args=(), env={}, path=None, uid=None, gid=None, usePTY=False, childFDs=None
    ):
        """Starts a program. env=None gives it the environment of this one; childFDs says what its descriptors are: "w" for
        a pipe that is written here, "r" for one that is read, or a number of this process."""
        if not usePTY:
            return Process(self, executable, args, env, path, processProtocol, uid, gid, childFDs)
        if childFDs is not None:
            raise ValueError("Using childFDs is not supported with usePTY=True.")
        return TerminalProcess(self, executable, args, env, path, processProtocol, uid, gid, None, True)

    def resolve(self, name, timeout=(1, 3, 11, 45)):
        """Looks an IPv4 address up; a Deferred that fires with it as text."""
        if not name:
            name = "0.0.0.0"

        def done(addresses, code, message):
            if addresses:
                found.callback(addresses[0])
            elif code == TIMED_OUT:
                found.errback(Failure(error.TimeoutError()))
            else:
                found.errback(Failure(error.DNSLookupError(f"address {name!r} not found: {message}")))

        look_up = None
        found = Deferred(lambda _: look_up and look_up.cancel())
        look_up = _lariat.LookUp(self, name, 4, float(sum(timeout)), done)
        return found


def _unix(path):
    return address.UNIXAddress(os.fsencode(path))
