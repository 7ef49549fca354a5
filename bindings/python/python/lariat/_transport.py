"""Connections: what lariat.internet's reactor and Twisted's have in common."""

import errno
import os
import socket

from lariat import _lariat

CLOSED = -10
CONNECTION_DONE = -31
CONNECTION_LOST = -32
CONNECTION_ABORTED = -33

#: What the library's codes are called by the system, where no errno came with them.
ERRNO = {
    -34: errno.ECONNREFUSED,
    -36: errno.ENETUNREACH,
    -37: errno.EADDRINUSE,
    -38: errno.EADDRNOTAVAIL,
    -39: errno.EACCES,
    -48: errno.EMFILE,
    -49: errno.ENOENT,
    -22: errno.ETIMEDOUT,
}


def endpoint_address(endpoint):
    """The address in an endpoint of the library: (host, port) or (host, port, 0, scope); of a Unix socket its path."""
    scheme, rest = endpoint.split("://", 1)
    if not scheme.startswith(("tcp", "udp")):
        return rest
    host, port = rest.rsplit(":", 1)
    if host.startswith("["):
        host, _, scope = host[1:-1].partition("%")
        if not scope:
            return (host, int(port), 0, 0)
        named = socket.getnameinfo((host, int(port), 0, int(scope)), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        return (named[0], int(port), 0, int(scope))
    return (host, int(port))


class View(socket.socket):
    """A socket that the library may have: then it is there to be looked at and to set options, and closed by its owner."""

    __slots__ = ("_owner",)

    def give(self, owner):
        """It is the library's from here on, and of this stream."""
        self._owner = owner

    def close(self):
        """Ends what the library has of it."""
        owner = getattr(self, "_owner", None)
        if owner is None:
            super().close()
        else:
            self._owner = None
            if self.fileno() != -1:
                owner._leave(True)
            self.detach()

    def __del__(self):
        if getattr(self, "_owner", None) is not None:
            self.detach()
        else:
            super().__del__()


def view(owner, descriptor):
    """The socket of a descriptor that is its owner's."""
    made = View(fileno=descriptor)
    made.give(owner)
    return made


class Transport(_lariat.Stream):
    """A connection.

    A class made from it has ``_kit``: where failures, exceptions and addresses come from, who is told of errors.
    """

    _bufferSize = 65536
    _socket = None
    _read_is_over = False

    # What the library tells.

    def _made(self):
        self.startReading()
        self.protocol.makeConnection(self)

    def _lost(self, code, number, message):
        kit = self._kit
        if code == CONNECTION_DONE and self._read_is_over and self._writing_is_over and not self.disconnecting:
            # Both directions have ended, of which the protocol was told one by one: the connection is its own until it
            # loses it.
            return
        if code == CONNECTION_DONE:
            reason = kit.error.ConnectionDone()
        elif code == CONNECTION_ABORTED:
            reason = kit.error.ConnectionAborted()
        else:
            reason = kit.error.ConnectionLost()
        self.connectionLost(kit.Failure(reason))

    def _raised(self, exception, what):
        kit = self._kit
        failure = kit.Failure(exception, type(exception), exception.__traceback__)
        kit.log_failure(self, failure)
        self.connectionLost(failure)

    def _read_ended(self):
        protocol = self._kit.half_closeable(self.protocol)
        if protocol is not None:
            self._read_is_over = True
            try:
                protocol.readConnectionLost()
            except BaseException:
                failure = self._kit.Failure()
                self._kit.log_failure(self, failure)
                self.connectionLost(failure)
            else:
                self._set_reading(False)
        else:
            self.readConnectionLost(self._kit.Failure(self._kit.error.ConnectionDone()))

    def readConnectionLost(self, reason):
        if self._buffered():
            self._lose()
        else:
            self.connectionLost(reason)

    def _write_ended(self):
        protocol = self._kit.half_closeable(self.protocol)
        if protocol is not None:
            try:
                protocol.writeConnectionLost()
            except BaseException:
                failure = self._kit.Failure()
                self._kit.log_failure(self, failure)
                self.connectionLost(failure)

    def connectionLost(self, reason):
        """The connection is over: told once, by the library or by whoever ends it here."""
        if self.disconnected:
            return
        producer = self.producer
        orderly = not reason.check(self._kit.error.ConnectionAborted)
        self._set_reading(False)
        self._close(orderly)
        if producer is not None:
            self._unregister()
            producer.stopProducing()
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    def _close(self, orderly):
        self._leave(orderly)
        skt = self.__dict__.pop("_socket", None)
        if skt is not None:
            skt.detach()

    # ITransport and its like.

    def loseConnection(self):
        """Closes the connection once all that was written is out."""
        if not self.connected or self.disconnecting or self._is_frozen:
            return
        if self._buffered() or self.producer is not None:
            self._set_reading(False)
            self._lose()
        else:
            # The protocol is told as soon as it is closed, not when the peer may have noticed: Twisted's order.
            self.disconnecting = True
            self.stopReading()
            self._kit.later(self, self._lose_now)

    def _lose_now(self):
        if self.disconnected:
            return
        if self._buffered() or self.producer is not None:
            self._lose()
        else:
            self.connectionLost(self._kit.Failure(self._kit.error.ConnectionDone()))

    def abortConnection(self):
        """Closes the connection at once, with a reset."""
        if self.disconnected or self._is_frozen:
            return
        self._freeze()
        self._kit.later(self, self.connectionLost, self._kit.Failure(self._kit.error.ConnectionAborted()))

    def loseWriteConnection(self):
        """Ends the direction that is written, once all is out."""
        self._lose_write()

    def registerProducer(self, producer, streaming):
        """Has a producer write as much as the peer takes."""
        if self.producer is not None:
            raise RuntimeError(
                "Cannot register producer %s, because producer %s was never unregistered." % (producer, self.producer)
            )
        if self.disconnected:
            producer.stopProducing()
            return
        self._register(producer, bool(streaming))
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self):
        """The producer has written all that it had to."""
        self._unregister()

    def stopConsuming(self):
        """Nobody wants more."""
        self.unregisterProducer()
        self.loseConnection()

    def pauseProducing(self):
        """Reads no more."""
        self.stopReading()

    def resumeProducing(self):
        """Reads again."""
        if self.connected and not self.disconnecting:
            self.startReading()

    def stopProducing(self):
        """Ends the connection."""
        self.loseConnection()

    @property
    def bufferSize(self):
        """A streaming producer is paused when more waits to be written."""
        return self._bufferSize

    @bufferSize.setter
    def bufferSize(self, size):
        self._bufferSize = size
        self._set_water_marks(size, 0)

    @property
    def socket(self):
        """The socket."""
        skt = self._socket
        if skt is None:
            descriptor = self._descriptor()
            if descriptor == -1:
                raise AttributeError("socket")
            skt = self._socket = view(self, descriptor)
        return skt

    def getHandle(self):
        """The socket."""
        return self.socket

    def fileno(self):
        """The number of the socket."""
        return self._descriptor()

    def getTcpNoDelay(self):
        """Whether small pieces are sent at once."""
        return bool(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled):
        """Has small pieces sent at once, or held back."""
        self._set_no_delay(bool(enabled))

    def getTcpKeepAlive(self):
        """Whether a silent peer is looked after."""
        return bool(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled):
        """Has a silent peer looked after, or not."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, bool(enabled))

    @property
    def writing(self):
        """Whether something waits to be written."""
        return self._buffered() > 0

    def startWriting(self):
        """Nothing: what is written goes out by itself."""

    def stopWriting(self):
        """Nothing."""


def os_error(code, number, message):
    """(errno, words) of a failure of the library."""
    number = number or ERRNO.get(code, 0)
    return number, os.strerror(number) if number else message
