"""Twisted on lariat: :func:`install`, before anything imports ``twisted.internet.reactor``."""

import atexit
import collections
import errno
import os
import signal
import socket
import stat
import threading
import time
import weakref

from zope.interface import classImplements, implementer

from twisted.internet import abstract, address, base, defer, error, interfaces, posixbase, process, tcp, udp, unix
from twisted.internet.main import installReactor
from twisted.internet.protocol import Protocol
from twisted.python.threadpool import ThreadPool
from twisted.logger import Logger
from twisted._threads import AlreadyQuit
from twisted._threads._team import Statistics
from twisted.python import context, failure, log, threadable

try:
    from twisted.internet import _newtls
    from twisted.internet.interfaces import ITLSTransport
except ImportError:  # no pyOpenSSL
    _newtls = None

from lariat import _lariat, _process
from lariat._transport import (
    ERRNO,
    Transport,
    View,
    endpoint_address,
    os_error,
    view,
)

__all__ = ["LariatReactor", "install"]

_log = Logger()


class _Kit:
    """Where Twisted's transports have their exceptions and failures from."""

    error = error
    Failure = failure.Failure

    @staticmethod
    def log_failure(selectable, reason):
        if hasattr(selectable, "logPrefix"):
            log.callWithLogger(selectable, log.err, reason)
        else:
            log.err(reason)

    @staticmethod
    def half_closeable(protocol):
        return interfaces.IHalfCloseableProtocol(protocol, None)

    @staticmethod
    def later(selectable, call, *args):
        selectable.reactor.callLater(0, call, *args)


# ---- streams


def _log_context(system):
    return {log.ILogContext: {**(context.get(log.ILogContext) or {}), "system": system}}


class _Plain:
    """A transport past the TLS that was put in front of it: what _newtls calls its methods through."""

    write = Transport._write_plain
    writeSequence = Transport._write_sequence_plain
    loseConnection = Transport.loseConnection
    registerProducer = Transport.registerProducer
    unregisterProducer = Transport.unregisterProducer
    pauseProducing = Transport.pauseProducing
    resumeProducing = Transport.resumeProducing
    stopProducing = Transport.stopProducing
    stopConsuming = Transport.stopConsuming


def _new_with_core(cls, args, kwargs):
    for value in (*args, *kwargs.values()):
        core = getattr(value, "_core", None)
        if isinstance(core, _lariat.Reactor):
            return core
    from twisted.internet import reactor

    return reactor._core


@implementer(interfaces.ITCPTransport, interfaces.ISystemHandle, interfaces.ILoggingContext, interfaces.IConsumer)
class Connection(Transport):
    """A connection of Twisted's."""

    _kit = _Kit
    _logstr = "Uninitialized"
    _tlsClientDefault = False

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls, _new_with_core(cls, args, kwargs))

    def __init__(self, protocol, reactor):
        self.reactor = reactor
        self.protocol = protocol

    # What Twisted's own connections have, for who looks at it.

    @property
    def _tempDataBuffer(self):
        return [b""] if self.writing else []

    @property
    def _writeDisconnected(self):
        return self._writing_is_over

    @property
    def logstr(self):
        return self._logstr

    @logstr.setter
    def logstr(self, text):
        self._logstr = text
        self._set_log_context(_log_context(text))

    def logPrefix(self):
        return self._logstr

    def _getLogPrefix(self, applicationObject):
        if interfaces.ILoggingContext.providedBy(applicationObject):
            return applicationObject.logPrefix()
        return applicationObject.__class__.__name__

    def startTLS(self, ctx, normal=True):
        _newtls.startTLS(self, ctx, normal, _Plain)

    def loseConnection(self):
        if self.TLS:
            if self.connected and not self.disconnecting:
                self.protocol.loseConnection()
        else:
            Transport.loseConnection(self)

    def registerProducer(self, producer, streaming):
        if self.TLS:
            self.protocol.registerProducer(producer, streaming)
        else:
            Transport.registerProducer(self, producer, streaming)

    def unregisterProducer(self):
        if self.TLS:
            self.protocol.unregisterProducer()
        else:
            Transport.unregisterProducer(self)

    def _descriptor_received(self, descriptor):
        if interfaces.IFileDescriptorReceiver.providedBy(self.protocol):
            self.protocol.fileDescriptorReceived(descriptor)
            return
        log.msg(
            format=(
                "%(protocolName)s (on %(hostAddress)r) does not provide IFileDescriptorReceiver; closing file "
                "descriptor received (from %(peerAddress)r)."
            ),
            hostAddress=self.getHost(),
            peerAddress=self.getPeer(),
            protocolName=self._getLogPrefix(self.protocol),
        )
        os.close(descriptor)


if _newtls is not None:
    classImplements(Connection, ITLSTransport)


# Each is one of Twisted's, too, for who asks: all that is done comes from those before it.


class Server(Connection, tcp.Server):
    """A connection that a port has taken."""

    _addressType = address.IPv4Address
    repstr = "<lariat.twisted.Server>"

    def __init__(self, protocol, client, server, sessionno, reactor):
        Connection.__init__(self, protocol, reactor)
        if len(client) != 2:
            self._addressType = address.IPv6Address
        self.server = server
        self.client = client
        self.sessionno = sessionno
        self.hostname = client[0]
        self.logstr = f"{self._getLogPrefix(protocol)},{sessionno},{self.hostname}"
        if server is not None:
            self.repstr = f"<{protocol.__class__.__name__} #{sessionno} on {server._realPortNumber}>"

    def __repr__(self):
        return self.repstr

    @classmethod
    def _fromConnectedSocket(cls, fileDescriptor, addressFamily, factory, reactor):
        addressType = address.IPv6Address if addressFamily == socket.AF_INET6 else address.IPv4Address
        skt = socket.fromfd(fileDescriptor, addressFamily, socket.SOCK_STREAM)
        try:
            addr = tcp._getpeername(skt)
            localPort = skt.getsockname()[1]
            protocol = factory.buildProtocol(addressType("TCP", *addr))
            if protocol is None:
                return None
            self = cls(protocol, addr, None, addr[1], reactor)
            self._adopt(skt.fileno(), False)
            skt.detach()
        finally:
            skt.close()
        self._set_reading(True)
        self.repstr = f"<{protocol.__class__.__name__} #{self.sessionno} on {localPort}>"
        protocol.makeConnection(self)
        return self

    def getHost(self):
        return self._addressType("TCP", *tcp._getsockname(self.socket))

    def getPeer(self):
        return self._addressType("TCP", *self.client)


class Client(Connection, tcp.Client):
    """A connection that a connector makes."""

    _tlsClientDefault = True
    _addressType = address.IPv4Address
    addressFamily = socket.AF_INET

    def __init__(self, host, port, bindAddress, connector, reactor):
        Connection.__init__(self, None, reactor)
        self.connector = connector
        self.addr = (host, port)
        self._requiresResolution = False
        if abstract.isIPv6Address(host):
            self.addr = tcp._resolveIPv6(host, port)
            self.addressFamily = socket.AF_INET6
            self._addressType = address.IPv6Address
        elif not abstract.isIPAddress(host):
            self._requiresResolution = True
        try:
            self._socket = self._bound_socket(bindAddress)
        except OSError as why:
            reactor.callLater(0, self.failIfNotConnected, error.ConnectBindError(why.args[0], why.args[1]))
        else:
            reactor.callLater(0, self.resolveAddress)

    def createInternetSocket(self):
        skt = View(self.addressFamily, socket.SOCK_STREAM)
        skt.setblocking(False)
        return skt

    def _bound_socket(self, binding):
        skt = self.createInternetSocket()
        if binding is None:
            return skt
        try:
            if isinstance(binding, tuple):
                binding = tcp.makeBinding(*binding)
            assert isinstance(binding, interfaces._Binding)
            if binding._reuseAddress:
                skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if binding._reusePort:
                skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if abstract.isIPv6Address(binding._address):
                skt.bind(tcp._resolveIPv6(binding._address, binding._port))
            else:
                skt.bind((binding._address, binding._port))
        except BaseException:
            skt.close()
            raise
        return skt

    def resolveAddress(self):
        if self._requiresResolution:
            found = self.reactor.resolve(self.addr[0])
            found.addCallback(lambda name: (name,) + self.addr[1:])
        else:
            found = defer.succeed(self.addr)
        found.addCallback(self._setRealAddress)
        found.addErrback(self.failIfNotConnected)

    def _setRealAddress(self, found):
        if not hasattr(self, "connector"):
            return  # it was given up meanwhile
        if len(found) == 4:
            host = socket.getnameinfo(found, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
            found = (host, *found[1:])
        self.realAddress = found
        host, port = found[:2]
        if not 0 < port < 65536:
            number = errno.ECONNREFUSED if port == 0 else self._socket.connect_ex(found)
            self.failIfNotConnected(error.getConnectError((number, os.strerror(number))))
            return
        place = f"[{host}]" if ":" in host else host
        self._begin(f"tcp://{place}:{port}?timeout=0&no_delay=0".encode(), False)

    def _begin(self, endpoint, is_unix):
        try:
            self._connect_socket(self._socket.fileno(), endpoint, is_unix)
        except (ValueError, RuntimeError, OSError) as why:
            self.failIfNotConnected(error.ConnectError(string=str(why)))
        else:
            self._socket.give(self)

    def _connect_failed(self, code, number, message):
        number, words = os_error(code, number, message)
        if code == -22:
            self.failIfNotConnected(error.TimeoutError())
        else:
            self.failIfNotConnected(error.getConnectError((number, words)) if number else error.ConnectError(string=message))

    def failIfNotConnected(self, err):
        if self.connected or self.disconnected or not hasattr(self, "connector"):
            return
        self._give_up()
        skt = self.__dict__.pop("_socket", None)
        if skt is not None:
            skt.close()
        self.disconnected = True
        connector = self.connector
        del self.connector
        connector.connectionFailed(failure.Failure(err))

    def stopConnecting(self):
        self.failIfNotConnected(error.UserError())

    def _made(self):
        self.protocol = protocol = self.connector.buildProtocol(self.getPeer())
        if protocol is None:
            self.logstr = "None,client"
            self.protocol = Protocol()
            self.loseConnection()
        else:
            self.logstr = f"{self._getLogPrefix(protocol)},client"
            self._set_reading(True)
            protocol.makeConnection(self)

    def connectionLost(self, reason):
        if self.disconnected:
            return
        Connection.connectionLost(self, reason)
        connector = self.__dict__.get("connector")
        if connector is not None:
            connector.connectionLost(reason)

    def getHost(self):
        return self._addressType("TCP", *tcp._getsockname(self.socket))

    def getPeer(self):
        return self._addressType("TCP", *self.realAddress)

    def __repr__(self):
        return f"<{self.__class__} to {self.addr} at {id(self):x}>"


class Connector(tcp.Connector):
    """Makes a TCP connection."""

    def _makeTransport(self):
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)


# ---- ports


class _Listening(_lariat.Listener):
    """What listens for a port of Twisted's."""

    _is_open = False
    reading = False
    writing = False

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls, _new_with_core(cls, args, kwargs))

    def startReading(self):
        if self._is_open:
            self._resume()
        else:
            self._adopt(self.socket.fileno(), self.addressFamily == socket.AF_UNIX)
            self._turn_away()
            self._is_open = True
            self.socket = view(self, self.socket.detach())
            self.fileno = self.socket.fileno
        self.reading = True

    def stopReading(self):
        if self.reading:
            self.reading = False
            self._pause()

    def startWriting(self):
        raise RuntimeError("a port is not written to")

    def stopWriting(self):
        """Nothing is ever written."""

    def _closeSocket(self, orderly):
        if self._is_open:
            self._is_open = False
            self._leave()
            self.socket.detach()
        else:
            super()._closeSocket(orderly)

    def _raised(self, exception, what):
        log.callWithLogger(self, log.err, failure.Failure(exception, type(exception), exception.__traceback__))

    def _stopped(self):
        """It has ended."""


class Port(_Listening, tcp.Port):
    """A TCP port that takes connections."""

    transport = Server

    def _accepted(self, peer):
        addr = endpoint_address(peer)
        protocol = self.factory.buildProtocol(self._buildAddr(addr))
        if protocol is None:
            return None
        number = self.sessionno
        self.sessionno = number + 1
        made = self.transport(protocol, addr, self, number, self.reactor)
        made._set_reading(True)
        return made


@implementer(interfaces.IUNIXTransport)
class _UnixMixin:
    _in_flight = 0
    _waiting = ()

    def sendFileDescriptor(self, fileno):
        # Each goes with a byte of its own, or it is an error that there are more of them.
        if not self._waiting:
            self._waiting = []
            self.reactor.callLater(0, self._check_overrun)
        self._waiting.append(fileno)
        self._slow_down()

    def _check_overrun(self):
        if self._waiting and self.connected:
            self.connectionLost(failure.Failure(error.FileDescriptorOverrun()))

    def _slow_down(self):
        waits = self._buffered()
        if waits == 0:
            self._in_flight = 0
        if waits and self._in_flight + len(self._waiting) > 64:
            self._set_water_marks(0, 0)
            self._set_water_marks(self.bufferSize, 0)

    def loseConnection(self):
        if not self._waiting:
            Connection.loseConnection(self)

    def write(self, data):
        while self._waiting and len(data) > 0:
            self._send_descriptor(self._waiting.pop(0))
            self._in_flight += 1
            Connection.write(self, bytes(data[:1]))
            data = data[1:]
        Connection.write(self, data)

    def writeSequence(self, iovec):
        if self._waiting:
            self.write(b"".join(iovec))
        else:
            Connection.writeSequence(self, iovec)

    def getTcpNoDelay(self):
        return False

    def setTcpNoDelay(self, enabled):
        """There is no such thing."""


class UnixServer(_UnixMixin, Server, unix.Server):
    """A connection that a Unix port has taken."""

    def __init__(self, protocol, client, server, sessionno, reactor):
        Server.__init__(self, protocol, (client, None), server, sessionno, reactor)

    @classmethod
    def _fromConnectedSocket(cls, fileDescriptor, factory, reactor):
        skt = socket.fromfd(fileDescriptor, socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            name = skt.getsockname()
            protocol = factory.buildProtocol(address.UNIXAddress(name))
            if protocol is None:
                return None
            self = cls(protocol, skt.getpeername(), None, 0, reactor)
            self._adopt(skt.fileno(), True)
            skt.detach()
        finally:
            skt.close()
        self._set_reading(True)
        self.repstr = f"<{protocol.__class__.__name__} #0 on {name}>"
        self.logstr = f"{protocol.__class__.__name__},0,{name}"
        protocol.makeConnection(self)
        return self

    def getHost(self):
        return address.UNIXAddress(self.socket.getsockname())

    def getPeer(self):
        return address.UNIXAddress(self.hostname or None)


class UnixPort(_Listening, unix.Port):
    """A Unix socket that takes connections."""

    transport = UnixServer

    def _accepted(self, peer):
        name = endpoint_address(peer)
        protocol = self.factory.buildProtocol(self._buildAddr(name or None))
        if protocol is None:
            return None
        number = self.sessionno
        self.sessionno = number + 1
        made = self.transport(protocol, name, self, number, self.reactor)
        made._set_reading(True)
        return made


class UnixClient(_UnixMixin, Client, unix.Client):
    """A connection to a Unix socket."""

    addressFamily = socket.AF_UNIX

    def __init__(self, filename, connector, reactor, checkPID=0):
        Connection.__init__(self, None, reactor)
        filename = address.UNIXAddress(filename).name
        self.connector = connector
        self.realAddress = self.addr = filename
        self._socket = self.createInternetSocket()
        if checkPID and not unix.lockfile.isLocked(filename + b".lock"):
            reactor.callLater(0, self.failIfNotConnected, error.BadFileError(filename))
        else:
            reactor.callLater(0, self.doConnect)

    def doConnect(self):
        if not hasattr(self, "connector"):
            return
        path = self.addr
        if path[:1] == b"\0":
            endpoint = b"unix-abstract://" + _escaped(path[1:])
        else:
            endpoint = b"unix://" + _escaped(path)
        self._begin(endpoint + b"?timeout=0", True)

    def getPeer(self):
        return address.UNIXAddress(self.addr)

    def getHost(self):
        return address.UNIXAddress(None)


def _escaped(path):
    return path.replace(b"%", b"%25").replace(b"?", b"%3F")


class UnixConnector(unix.Connector):
    """Makes a connection to a Unix socket."""

    def _makeTransport(self):
        return UnixClient(self.address, self, self.reactor, self.checkPID)


# ---- datagrams


class _Datagrams(_lariat.DatagramPort):
    """What a datagram port of Twisted's is made of."""

    _is_open = False
    reading = False
    writing = False

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls, _new_with_core(cls, args, kwargs))

    def startReading(self):
        if self._is_open:
            self._resume()
        else:
            self._set_log_context(_log_context(self.logstr))
            self._adopt(self.socket.fileno(), self.maxPacketSize)
            self._is_open = True
            self.socket = view(self, self.socket.detach())
            self.fileno = self.socket.fileno
        self.reading = True

    def stopReading(self):
        if self.reading:
            self.reading = False
            self._pause()

    def startWriting(self):
        """What waits is sent by itself."""

    def stopWriting(self):
        """The same."""

    def _raised(self, exception, what):
        log.callWithLogger(self, log.err, failure.Failure(exception, type(exception), exception.__traceback__))

    def _failed(self, code, number, message):
        if code == -34 and self._connectedAddr:
            self.protocol.connectionRefused()

    def _stopped(self, code, number, message):
        if self._is_open:
            self._is_open = False
            log.msg(f"{self.logstr}: {message}")

    def connectionLost(self, reason=None):
        if self._is_open:
            self._is_open = False
            # What closes a socket of Twisted's finds one that is nobody's.
            self._leave()
            self.socket.detach()
        super().connectionLost(reason)

    def _answered(self, status, size):
        if status == 0:
            return size
        if status == -44:
            raise error.MessageLengthError("message too long")
        if status == -34:
            if self._connectedAddr:
                self.protocol.connectionRefused()
            return None
        if status == -43:
            return None
        number = ERRNO.get(status)
        raise OSError(number, os.strerror(number)) if number else OSError(f"lariat: status {status}")


class DatagramPort(_Datagrams, udp.Port):
    """A UDP port."""

    def write(self, datagram, addr=None):
        if self._connectedAddr:
            assert addr in (None, self._connectedAddr)
            return self._answered(self._send(datagram), len(datagram))
        assert addr is not None
        host, port = addr
        is_four = host == "<broadcast>" or abstract.isIPAddress(host)
        if not is_four and not abstract.isIPv6Address(host):
            raise error.InvalidAddressError(host, "write() only accepts IP addresses, not hostnames")
        if is_four and self.addressFamily == socket.AF_INET6:
            raise error.InvalidAddressError(host, "IPv6 port write() called with IPv4 or broadcast address")
        if not is_four and self.addressFamily == socket.AF_INET:
            raise error.InvalidAddressError(host, "IPv4 port write() called with IPv6 address")
        if host == "<broadcast>":
            host = "255.255.255.255"
        return self._answered(self._send_to(datagram, host, port), len(datagram))

    def connect(self, host, port):
        if self._connectedAddr:
            raise RuntimeError("already connected, reconnecting is not currently supported")
        if not abstract.isIPAddress(host) and not abstract.isIPv6Address(host):
            raise error.InvalidAddressError(host, "not an IPv4 or IPv6 address.")
        self._connectedAddr = (host, port)
        self._connect(f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}")


class MulticastPort(DatagramPort, udp.MulticastPort):
    """A UDP port that can be in multicast groups."""

    def __init__(self, port, proto, interface="", maxPacketSize=8192, reactor=None, listenMultiple=False):
        udp.MulticastPort.__init__(self, port, proto, interface, maxPacketSize, reactor, listenMultiple)


class UnixDatagramPort(_Datagrams, unix.DatagramPort):
    """A Unix socket of datagrams."""

    def write(self, datagram, address):
        return self._answered(self._send_to_path(datagram, os.fsencode(address)), len(datagram))


class ConnectedUnixDatagramPort(_Datagrams, unix.ConnectedDatagramPort):
    """A Unix socket of datagrams that is connected."""

    def _connectToProtocol(self):
        self.protocol.makeConnection(self)
        self._connectedAddr = True
        self._hide_peers()
        self.startReading()

    def write(self, data):
        return self._answered(self._send(data), len(data))


# ---- processes


@implementer(interfaces.IProcessTransport)
class Process(_process.Process, process.Process):
    """A child process."""

    _kit = _Kit
    _core_of = staticmethod(lambda reactor: reactor._core)


@implementer(interfaces.IProcessTransport)
class TerminalProcess(_process.TerminalProcess):
    """A child process on a pseudo-terminal."""

    _kit = _Kit
    _core_of = staticmethod(lambda reactor: reactor._core)


# ---- names


@implementer(interfaces.IResolverSimple)
class _Resolver:
    """Looks names up by the library."""

    def __init__(self, reactor):
        self._reactor = reactor

    def getHostByName(self, name, timeout=(1, 3, 11, 45)):
        def done(addresses, code, message):
            nonlocal look_up
            look_up = None
            if addresses:
                found.callback(addresses[0])
            elif code == -22:
                found.errback(failure.Failure(error.TimeoutError()))
            else:
                found.errback(failure.Failure(error.DNSLookupError(f"address {name!r} not found: {message}")))

        def give_up(_):
            if look_up is not None:
                look_up.cancel()

        look_up = None
        found = defer.Deferred(give_up)
        try:
            look_up = _lariat.LookUp(self._reactor._core, name, 4, float(sum(timeout)), done)
        except ValueError as why:
            return defer.fail(failure.Failure(error.DNSLookupError(f"address {name!r} not found: {why}")))
        if found.called:
            look_up = None
        return found


@implementer(interfaces.IHostResolution)
class _Resolution:
    def __init__(self, name):
        self.name = name

    def cancel(self):
        raise NotImplementedError()


_FAMILIES = {
    frozenset([address.IPv4Address]): 4,
    frozenset([address.IPv6Address]): 6,
}
_TRANSPORTS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


@implementer(interfaces.IHostnameResolver)
class _NameResolver:
    """The same, for who wants all addresses."""

    def __init__(self, reactor):
        self._reactor = reactor

    def resolveHostName(self, receiver, hostName, portNumber=0, addressTypes=None, transportSemantics="TCP"):
        family = 0 if addressTypes is None else _FAMILIES.get(frozenset(addressTypes), 0)
        resolution = _Resolution(hostName)

        def done(addresses, code, message):
            for host in addresses or ():
                kind = address.IPv6Address if ":" in host else address.IPv4Address
                receiver.addressResolved(kind(transportSemantics, host, portNumber))
            receiver.resolutionComplete()

        receiver.resolutionBegan(resolution)
        try:
            _lariat.LookUp(self._reactor._core, hostName, family, 0.0, done)
        except ValueError as why:
            # It is none that could be looked up.
            self._reactor.callLater(0, done, None, 0, str(why))
        return resolution


# ---- threads


class _Team:
    """The library's pool, as Twisted's ThreadPool asks for one."""

    def __init__(self, reactor, is_started):
        self._reactor = weakref.ref(reactor)
        self._core = reactor._core
        self._is_started = is_started
        self._changed = threading.Condition(threading.Lock())
        self._held = collections.deque()
        self._busy = 0
        self._left = 0
        self._is_over = False

    def do(self, task):
        """Has it done by one of the threads."""
        with self._changed:
            if self._is_over:
                raise AlreadyQuit()
            self._held.append(task)
        if not self._is_started():
            return
        if threadable.isInIOThread() or threadable.ioThread is None:
            self.grow()
        else:
            # The library is asked by the reactor's thread alone.
            self._core.callFromThread(self.grow)

    def grow(self, count=0):
        """Hands on what was held."""
        while True:
            with self._changed:
                if not self._held:
                    return
                task = self._held.popleft()
                self._left += 1
            try:
                self._core.callInThread(self._run, task)
            except BaseException:
                with self._changed:
                    self._left -= 1
                raise

    def shrink(self, count=1):
        """The library's threads end by themselves when they are idle."""

    def _run(self, task):
        with self._changed:
            self._busy += 1
        try:
            task()
        except BaseException:
            _log.failure("while working in a thread of the pool")
        finally:
            del task
            with self._changed:
                self._busy -= 1
                self._left -= 1
                self._changed.notify_all()

    def statistics(self):
        """How many threads work, and how much waits for one."""
        with self._changed:
            return Statistics(0, self._busy, self._left - self._busy + len(self._held))

    def quit(self):
        """Waits until all is done."""
        self.grow()
        with self._changed:
            self._is_over = True
            while self._left:
                self._changed.wait()


class _Pool(ThreadPool):
    """Twisted's pool of threads, of which those are the library's."""

    def __init__(self, reactor, maxthreads, name):
        self._reactor = reactor
        super().__init__(0, maxthreads, name)
        del self._reactor

    def _pool(self, limit, threadFactory):
        own = weakref.ref(self)
        return _Team(self._reactor, lambda: own() is not None and own().started)

    def adjustPoolsize(self, minthreads=None, maxthreads=None):
        super().adjustPoolsize(minthreads, maxthreads)
        self._team._core.suggestThreadPoolSize(max(1, self.max))


# ---- the reactor


classImplements(_lariat.DelayedCall, interfaces.IDelayedCall)


class _Core(_lariat.Reactor):
    """The loop of the library."""

    _errors = error

    def _unhandled(self, exception, what):
        if what == "callLater":
            what = "while handling timed call"
        elif what == "callFromThread":
            what = "while handling thread call"
        else:
            what = f"Unhandled Error: {what}"
        _log.failure(what, failure.Failure(exception, type(exception), exception.__traceback__))


@implementer(interfaces.IReactorFDSet)
class LariatReactor(posixbase.PosixReactorBase, posixbase._PollLikeMixin):
    """Twisted's reactor on lariat's loop and transports."""

    _POLL_DISCONNECTED = 4
    _POLL_IN = 1
    _POLL_OUT = 2

    def __init__(self):
        self._core = self._new_core()
        _reactors.add(self)
        self._selectables = {}
        self._watchers = {}
        self._reads = set()
        self._writes = set()
        self._signal_watches = []
        self._polled = posixbase._ContinuousPolling(self)
        super().__init__()

    @staticmethod
    def _new_core():
        core = _Core()
        core._set_seconds(time.time())
        return core

    # A child of fork goes on with a loop of its own, in which are the delayed calls and the descriptors that were watched;
    # connections and ports stay the parent's.

    def _note_calls(self):
        now = self.seconds()
        self._noted = [(call.getTime() - now, call.func, call.args, call.kw) for call in self.getDelayedCalls()]

    def _go_on_in_child(self):
        self._core = self._new_core()
        for delay, func, args, kw in self.__dict__.pop("_noted", ()):
            self._core.callLater(max(0.0, delay), func, *args, **kw)
        self._watchers.clear()
        for fd, selectable in list(self._selectables.items()):
            self._watch(selectable, fd)

    # The loop.

    def installWaker(self):
        """The library wakes itself."""

    def wakeUp(self):
        self._core.callFromThread(_nothing)

    def seconds(self):
        return self._core.seconds()

    def callLater(self, delay, callable, *args, **kw):
        return self._core.callLater(delay, callable, *args, **kw)

    def getDelayedCalls(self):
        return self._core.getDelayedCalls()

    def callFromThread(self, f, *args, **kwargs):
        self._core.callFromThread(f, *args, **kwargs)

    def mainLoop(self):
        interrupt = None
        self._core._set_log_contexts(context.theContextTracker.currentContext().contexts)
        while self._started:
            core = self._core
            try:
                core._run()
            except KeyboardInterrupt as why:
                interrupt = why
                if not self._stopped:
                    self.stop()
            except RuntimeError:
                if core is self._core:
                    raise
        _log.info("Main loop terminated.")
        if interrupt is not None:
            raise interrupt

    def iterate(self, delay=0.0):
        self._core._iterate(float("inf") if delay is None else delay)

    doIteration = iterate

    def runUntilCurrent(self):
        self._core._iterate(0.0)

    def timeout(self):
        return None

    def stop(self):
        super().stop()
        self._core.callFromThread(self._shut_down)

    def _shut_down(self):
        if self._justStopped:
            self._justStopped = False
            self.fireSystemEvent("shutdown")

    def crash(self):
        super().crash()
        self._core.crash()

    def _initThreads(self):
        self.installNameResolver(_NameResolver(self))
        self.resolver = _Resolver(self)
        self.usingThreads = True

    def _initThreadPool(self):
        self.threadpool = _Pool(self, 10, "twisted.internet.reactor")
        self._threadpoolStartupID = self.callWhenRunning(self.threadpool.start)
        self.threadpoolShutdownID = self.addSystemEventTrigger("during", "shutdown", self._stopThreadPool)

    # Signals: Python's own handlers, which the library wakes the loop for.

    def _signalsFactory(self):
        return _Signals(self, base.ReactorBase._signalsFactory(self))

    # Descriptors.

    def _watch(self, selectable, fd):
        interest = (1 if fd in self._reads else 0) | (2 if fd in self._writes else 0)
        watcher = self._watchers.get(fd)
        if watcher is not None:
            if interest == 0:
                del self._watchers[fd]
                del self._selectables[fd]
                watcher.stop()
                return
            try:
                watcher.set_interest(interest)
                self._selectables[fd] = selectable
                return
            except (OSError, RuntimeError):
                # It was closed meanwhile, and the number is another's.
                watcher.stop()
        if interest:
            self._selectables[fd] = selectable
            try:
                self._watchers[fd] = _lariat.Watcher(self._core, fd, interest, lambda ready: self._ready(fd, ready))
            except BaseException:
                self._watchers.pop(fd, None)
                self._selectables.pop(fd, None)
                raise

    def _ready(self, fd, readiness):
        selectable = self._selectables.get(fd)
        if selectable is not None:
            log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, readiness)

    def _add(self, selectable, among, polled):
        fd = selectable.fileno()
        if fd in among and self._selectables.get(fd) is selectable:
            return
        among.add(fd)
        try:
            self._watch(selectable, fd)
        except (OSError, ValueError):
            among.discard(fd)
            if fd < 0 or not stat.S_ISREG(os.fstat(fd).st_mode):
                raise
            polled(selectable)

    def addReader(self, reader):
        if isinstance(reader, (Transport, _Listening, _Datagrams)):
            reader.startReading()
        else:
            self._add(reader, self._reads, self._polled.addReader)

    def addWriter(self, writer):
        self._add(writer, self._writes, self._polled.addWriter)

    def _remove(self, selectable, among):
        fd = selectable.fileno()
        if fd == -1:
            for fd, other in self._selectables.items():
                if other is selectable:
                    break
            else:
                return
        if fd in among:
            among.discard(fd)
            if fd in self._watchers:
                self._watch(self._selectables[fd], fd)

    def removeReader(self, reader):
        if self._polled.isReading(reader):
            self._polled.removeReader(reader)
        elif isinstance(reader, (Transport, _Listening, _Datagrams)):
            reader.stopReading()
        else:
            self._remove(reader, self._reads)

    def removeWriter(self, writer):
        if self._polled.isWriting(writer):
            self._polled.removeWriter(writer)
        else:
            self._remove(writer, self._writes)

    def _open(self):
        return [one for one in self._core._open() if isinstance(one, (Transport, _Listening, _Datagrams))]

    def getReaders(self):
        found = [self._selectables[fd] for fd in self._reads] + self._polled.getReaders()
        return found + [one for one in self._open() if one.reading]

    def getWriters(self):
        found = [self._selectables[fd] for fd in self._writes] + self._polled.getWriters()
        return found + [one for one in self._open() if isinstance(one, Transport) and one.writing]

    def removeAll(self):
        watched = self._removeAll(
            [self._selectables[fd] for fd in self._reads], [self._selectables[fd] for fd in self._writes]
        )
        return watched + self._polled.removeAll() + [one for one in self._open() if one.reading or one.writing]

    # IReactorTCP and its like.

    def listenTCP(self, port, factory, backlog=50, interface=""):
        made = Port(port, factory, backlog, interface, self)
        made.startListening()
        return made

    def connectTCP(self, host, port, factory, timeout=30.0, bindAddress=None):
        made = Connector(host, port, factory, timeout, bindAddress, self)
        made.connect()
        return made

    def listenUNIX(self, address, factory, backlog=50, mode=0o666, wantPID=0):
        made = UnixPort(address, factory, backlog, mode, self, wantPID)
        made.startListening()
        return made

    def connectUNIX(self, address, factory, timeout=30, checkPID=0):
        made = UnixConnector(address, factory, timeout, self, checkPID)
        made.connect()
        return made

    def listenUDP(self, port, protocol, interface="", maxPacketSize=8192):
        made = DatagramPort(port, protocol, interface, maxPacketSize, self)
        made.startListening()
        return made

    def listenMulticast(self, port, protocol, interface="", maxPacketSize=8192, listenMultiple=False):
        made = MulticastPort(port, protocol, interface, maxPacketSize, self, listenMultiple)
        made.startListening()
        return made

    def listenUNIXDatagram(self, address, protocol, maxPacketSize=8192, mode=0o666):
        made = UnixDatagramPort(address, protocol, maxPacketSize, mode, self)
        made.startListening()
        return made

    def connectUNIXDatagram(self, address, protocol, maxPacketSize=8192, mode=0o666, bindAddress=None):
        made = ConnectedUnixDatagramPort(address, protocol, maxPacketSize, mode, bindAddress, self)
        made.startListening()
        return made

    def adoptStreamPort(self, fileDescriptor, addressFamily, factory):
        if addressFamily not in self._supportedAddressFamilies:
            raise error.UnsupportedAddressFamily(addressFamily)
        if addressFamily == socket.AF_UNIX:
            made = UnixPort._fromListeningDescriptor(self, fileDescriptor, factory)
        else:
            made = Port._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        made.startListening()
        return made

    def adoptStreamConnection(self, fileDescriptor, addressFamily, factory):
        if addressFamily not in self._supportedAddressFamilies:
            raise error.UnsupportedAddressFamily(addressFamily)
        if addressFamily == socket.AF_UNIX:
            return UnixServer._fromConnectedSocket(fileDescriptor, factory, self)
        return Server._fromConnectedSocket(fileDescriptor, addressFamily, factory, self)

    def adoptDatagramPort(self, fileDescriptor, addressFamily, protocol, maxPacketSize=8192):
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            raise error.UnsupportedAddressFamily(addressFamily)
        made = DatagramPort._fromListeningDescriptor(
            self, fileDescriptor, addressFamily, protocol, maxPacketSize=maxPacketSize
        )
        made.startListening()
        return made

    def spawnProcess(
        self, processProtocol, executable, args=(), env={}, path=None, uid=None, gid=None, usePTY=0, childFDs=None
    ):
        if not usePTY:
            return Process(self, executable, args, env, path, processProtocol, uid, gid, childFDs)
        if childFDs is not None:
            raise ValueError("Using childFDs is not supported with usePTY=True.")
        if isinstance(usePTY, (tuple, list)):
            # A terminal that somebody else has opened.
            return process.PTYProcess(self, executable, args, env, path, processProtocol, uid, gid, usePTY)
        return TerminalProcess(self, executable, args, env, path, processProtocol, uid, gid, None, True)


_reactors = weakref.WeakSet()


def _before_fork():
    for reactor in _reactors:
        reactor._note_calls()


def _in_child():
    for reactor in _reactors:
        reactor._go_on_in_child()


os.register_at_fork(before=_before_fork, after_in_child=_in_child)


def _nothing():
    """Has the loop turn."""


class _Signals:
    """Twisted's handlers of signals, and a watch of each that wakes the loop."""

    def __init__(self, reactor, base):
        self._reactor = reactor
        self._base = base
        self._watches = []

    def install(self):
        self._base.install()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._watches.append(_lariat.SignalWatch(self._reactor._core, number))

    def uninstall(self):
        for watch in self._watches:
            watch.stop()
        self._watches.clear()
        self._base.uninstall()


atexit.register(_lariat._end_threads)


def install():
    """Makes a LariatReactor Twisted's reactor."""
    reactor = LariatReactor()
    installReactor(reactor)
    return reactor
