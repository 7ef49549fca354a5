"""The exceptions of the reactor, its calls, its connections and its processes, under Twisted's names."""

import errno as _errno
import socket as _socket


class _Described(Exception):
    """An exception that says what it is when it is given no words of its own."""

    def __str__(self):
        words = " ".join((self.__doc__ or "").split()).rstrip(".")
        return f"{words}: {' '.join(map(str, self.args))}." if self.args else f"{words}."


class AlreadyCalled(ValueError):
    """The delayed call has been made."""


class AlreadyCancelled(ValueError):
    """The delayed call has been cancelled."""


class ReactorAlreadyRunning(RuntimeError):
    """The reactor is running: it cannot be run inside of itself."""


class ReactorNotRunning(RuntimeError):
    """The reactor is not running: there is nothing to stop."""


class ReactorNotRestartable(RuntimeError):
    """The reactor cannot be run again."""


class BindError(_Described):
    """The socket cannot be bound."""


class CannotListenError(BindError):
    """The port cannot be listened on: ``interface``, ``port``, and ``socketError`` with the reason."""

    def __init__(self, interface, port, socketError):
        super().__init__(interface, port, socketError)
        self.interface = interface
        self.port = port
        self.socketError = socketError

    def __str__(self):
        return f"Couldn't listen on {self.interface or 'any'}:{self.port}: {self.socketError}."


class MessageLengthError(_Described):
    """The datagram is too long."""


class InvalidAddressError(ValueError):
    """It is no address: ``address``, and in ``message`` why."""

    def __init__(self, address, message):
        super().__init__(address, message)
        self.address = address
        self.message = message


class ConnectError(_Described):
    """The connection cannot be made. ``osError`` is the system's number, if there is one."""

    def __init__(self, osError=None, string=""):
        super().__init__(*([string] if string else []))
        self.osError = osError


class ConnectBindError(ConnectError):
    """The own address cannot be bound."""


class UnknownHostError(ConnectError):
    """The host is not known."""


class NoRouteError(ConnectError):
    """There is no route to the host."""


class ConnectionRefusedError(ConnectError):
    """The connection was refused by the other side."""


class TCPTimedOutError(ConnectError):
    """The system gave up to connect."""


class TimeoutError(ConnectError):
    """The connection took too long to be made."""


class UserError(ConnectError):
    """The user has stopped the connection."""


class DNSLookupError(IOError):
    """The name leads to no address."""


class ConnectionClosed(Exception):
    """The connection is closed."""


class ConnectionLost(ConnectionClosed, _Described):
    """Connection to the other side was lost in a non-clean fashion."""


class ConnectionAborted(ConnectionLost):
    """Connection was aborted locally."""


class ConnectionDone(ConnectionClosed, _Described):
    """Connection was closed cleanly."""


class ConnectingCancelledError(Exception):
    """The connection was cancelled before it was made, to ``address``."""

    def __init__(self, address):
        super().__init__(address)
        self.address = address


class NotConnectingError(RuntimeError):
    """There is no connection being made that could be stopped."""


class NoProtocol(Exception):
    """The factory has made no protocol for the connection."""


_BY_NUMBER = {
    _errno.ENETUNREACH: NoRouteError,
    _errno.EHOSTUNREACH: NoRouteError,
    _errno.ECONNREFUSED: ConnectionRefusedError,
    _errno.ETIMEDOUT: TCPTimedOutError,
}


def getConnectError(e):
    """The exception for a number of the system and its words, or for an exception of the socket module."""
    number, words = e.args if isinstance(e, Exception) and len(e.args) == 2 else e
    kind = UnknownHostError if isinstance(e, _socket.gaierror) else _BY_NUMBER.get(number, ConnectError)
    return kind(number, words)


class ProcessDone(ConnectionDone):
    """A process has ended with code 0."""

    def __init__(self, status):
        super().__init__("process finished with exit code 0")
        self.exitCode = 0
        self.signal = None
        self.status = status


class ProcessTerminated(ConnectionLost):
    """A process has ended with another code, or by a signal."""

    def __init__(self, exitCode=None, signal=None, status=None):
        how = "" if exitCode is None else f"exit code {exitCode}"
        how = how if signal is None else f"signal {signal}"
        super().__init__("process ended by " + how if signal is not None else "process ended with " + how)
        self.exitCode = exitCode
        self.signal = signal
        self.status = status


class ProcessExitedAlready(Exception):
    """The process has ended: no signal can be sent to it."""
