"""Protocols, and the factories that make them, under Twisted's names."""

import random

from lariat import error
from lariat.failure import Failure

__all__ = [
    "BaseProtocol",
    "ClientFactory",
    "ConnectedDatagramProtocol",
    "DatagramProtocol",
    "Factory",
    "ProcessProtocol",
    "Protocol",
    "ReconnectingClientFactory",
    "ServerFactory",
    "connectionDone",
]

connectionDone = Failure(error.ConnectionDone())


class BaseProtocol:
    """What every protocol has: its ``transport``, once it is connected."""

    connected = 0
    transport = None

    def makeConnection(self, transport):
        """Gives it its transport, and tells it."""
        self.connected = 1
        self.transport = transport
        self.connectionMade()

    def connectionMade(self):
        """Told when the connection is there."""


class Protocol(BaseProtocol):
    """What talks over a connection."""

    factory = None

    def logPrefix(self):
        """What log messages call it."""
        return type(self).__name__

    def dataReceived(self, data):
        """Told of bytes that have come."""

    def connectionLost(self, reason=connectionDone):
        """Told, last of all, that the connection is over; the reason is a Failure."""


class DatagramProtocol(BaseProtocol):
    """What talks by datagrams."""

    def doStart(self):
        if self.transport is not None:
            self.startProtocol()

    def doStop(self):
        self.transport = None
        self.stopProtocol()

    def makeConnection(self, transport):
        self.transport = transport
        self.doStart()

    def startProtocol(self):
        """Told when it has its transport."""

    def stopProtocol(self):
        """Told when it has lost it."""

    def datagramReceived(self, datagram, addr):
        """Told of a datagram, and of who has sent it: (host, port)."""

    def connectionRefused(self):
        """Told that nobody listens where it is connected to."""


class ConnectedDatagramProtocol(DatagramProtocol):
    """What talks by datagrams to one peer."""


class ProcessProtocol(BaseProtocol):
    """What is told of a child process."""

    def childDataReceived(self, childFD, data):
        """Told of bytes that the process has written to a descriptor."""
        if childFD == 1:
            self.outReceived(data)
        elif childFD == 2:
            self.errReceived(data)

    def outReceived(self, data):
        """Told of what it has written to its standard output."""

    def errReceived(self, data):
        """Told of what it has written to its standard error."""

    def childConnectionLost(self, childFD):
        """Told that a pipe of the process is closed."""
        if childFD == 0:
            self.inConnectionLost()
        elif childFD == 1:
            self.outConnectionLost()
        elif childFD == 2:
            self.errConnectionLost()

    def inConnectionLost(self):
        """Told that its standard input is closed."""

    def outConnectionLost(self):
        """Told that its standard output is closed."""

    def errConnectionLost(self):
        """Told that its standard error is closed."""

    def processExited(self, reason):
        """Told that it has ended; its pipes may still be open. The reason is a Failure."""

    def processEnded(self, reason):
        """Told, last of all, that it has ended and its pipes are closed; the reason is a Failure."""


class Factory:
    """Makes a protocol for each connection: of the class ``protocol``, unless ``buildProtocol`` says otherwise."""

    protocol = None
    numPorts = 0
    noisy = False

    @classmethod
    def forProtocol(cls, protocol, *args, **kwargs):
        """A factory, made with the other arguments, of such protocols."""
        factory = cls(*args, **kwargs)
        factory.protocol = protocol
        return factory

    def logPrefix(self):
        """What log messages call it."""
        return type(self).__name__

    def doStart(self):
        """Told of each port or connector that it is used by."""
        if self.numPorts == 0:
            self.startFactory()
        self.numPorts += 1

    def doStop(self):
        """Told of each that it is used by no more."""
        if self.numPorts == 0:
            return
        self.numPorts -= 1
        if self.numPorts == 0:
            self.stopFactory()

    def startFactory(self):
        """Told when it is first used."""

    def stopFactory(self):
        """Told when it is used no more."""

    def buildProtocol(self, addr):
        """The protocol for a connection with this address; None: there is to be none."""
        assert self.protocol is not None
        made = self.protocol()
        made.factory = self
        return made


class ServerFactory(Factory):
    """A factory for what listens."""


class ClientFactory(Factory):
    """A factory for what connects."""

    def startedConnecting(self, connector):
        """Told when a connection is begun; the connector can stop it."""

    def clientConnectionFailed(self, connector, reason):
        """Told that it could not be made."""

    def clientConnectionLost(self, connector, reason):
        """Told that it is over."""


class ReconnectingClientFactory(ClientFactory):
    """Connects again, after longer and longer delays, until ``stopTrying``. What is connected calls ``resetDelay``."""

    maxDelay = 3600
    initialDelay = 1.0
    factor = 2.7182818284590451
    jitter = 0.119626565582
    delay = initialDelay
    retries = 0
    maxRetries = None
    clock = None
    connector = None
    continueTrying = 1
    _call = None

    def clientConnectionFailed(self, connector, reason):
        if self.continueTrying:
            self.connector = connector
            self.retry()

    def clientConnectionLost(self, connector, reason):
        if self.continueTrying:
            self.connector = connector
            self.retry()

    def retry(self, connector=None):
        """Connects again, when the delay is over."""
        connector = connector or self.connector
        if not self.continueTrying or (self.maxRetries is not None and self.retries >= self.maxRetries):
            return
        if connector is None:
            raise ValueError("no connector to retry")
        self.retries += 1
        self.delay = min(self.delay * self.factor, self.maxDelay)
        if self.jitter:
            self.delay = random.normalvariate(self.delay, self.delay * self.jitter)
        self._call = (self.clock or connector.reactor).callLater(max(self.delay, 0), self._connect, connector)

    def _connect(self, connector):
        self._call = None
        connector.connect()

    def stopTrying(self):
        """Connects no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.continueTrying = 0
        try:
            self.connector.stopConnecting()
        except (AttributeError, error.NotConnectingError):
            pass

    def resetDelay(self):
        """The connection is good: the next delay is the first one again."""
        self.delay = self.initialDelay
        self.retries = 0
        self.continueTrying = 1
