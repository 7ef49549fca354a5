"""Lines, netstrings and strings with their length before them, under Twisted's names."""

import struct

from lariat.protocol import Protocol

__all__ = [
    "Int16StringReceiver",
    "Int32StringReceiver",
    "Int8StringReceiver",
    "LineOnlyReceiver",
    "LineReceiver",
    "NetstringParseError",
    "NetstringReceiver",
]


class _Pausing:
    """A protocol that can stop in the middle of what has come."""

    paused = False

    def pauseProducing(self):
        """Is given nothing more, and reads nothing more."""
        self.paused = True
        self.transport.pauseProducing()

    def resumeProducing(self):
        """Goes on with what has come, then reads again."""
        self.paused = False
        self.dataReceived(b"")
        if not self.paused and self.transport is not None:
            self.transport.resumeProducing()

    def stopProducing(self):
        """Ends the connection."""
        self.paused = True
        self.transport.stopProducing()


class LineReceiver(_Pausing, Protocol):
    """Gets lines, and bytes as they come while ``setRawMode`` is in force."""

    line_mode = 1
    MAX_LENGTH = 16384
    delimiter = b"\r\n"
    _buffer = b""
    _is_busy = False

    def clearLineBuffer(self):
        """Forgets what has come of the present line, and gives it back."""
        buffer, self._buffer = self._buffer, b""
        return buffer

    def dataReceived(self, data):
        self._buffer += data
        if self._is_busy:
            return
        self._is_busy = True
        try:
            self._cut()
        finally:
            self._is_busy = False

    def _cut(self):
        while self._buffer and not self.paused:
            if not self.line_mode:
                data, self._buffer = self._buffer, b""
                self.rawDataReceived(data)
                continue
            line, delimiter, rest = self._buffer.partition(self.delimiter)
            too_long = len(line) > self.MAX_LENGTH + (0 if delimiter else len(self.delimiter) - 1)
            if too_long:
                line, self._buffer = self._buffer, b""
                self.lineLengthExceeded(line)
                return
            if not delimiter:
                return
            self._buffer = rest
            self.lineReceived(line)
            if getattr(self.transport, "disconnecting", False) and self.line_mode:
                return

    def setLineMode(self, extra=b""):
        """Gets lines from here on, first of all those in ``extra``."""
        self.line_mode = 1
        if extra:
            self.dataReceived(extra)

    def setRawMode(self):
        """Gets bytes as they come from here on."""
        self.line_mode = 0

    def rawDataReceived(self, data):
        """Told of bytes."""
        raise NotImplementedError

    def lineReceived(self, line):
        """Told of a line, without its delimiter."""
        raise NotImplementedError

    def sendLine(self, line):
        """Writes a line and its delimiter."""
        self.transport.writeSequence((line, self.delimiter))

    def lineLengthExceeded(self, line):
        """Told of a line that is too long; ends the connection."""
        self.transport.loseConnection()


class LineOnlyReceiver(Protocol):
    """Gets lines and nothing else."""

    delimiter = b"\r\n"
    MAX_LENGTH = 16384
    _buffer = b""

    def dataReceived(self, data):
        lines = (self._buffer + data).split(self.delimiter)
        self._buffer = lines.pop()
        for line in lines:
            if getattr(self.transport, "disconnecting", False):
                return
            if len(line) > self.MAX_LENGTH:
                self.lineLengthExceeded(line)
                return
            self.lineReceived(line)
        if len(self._buffer) > self.MAX_LENGTH + len(self.delimiter) - 1:
            line, self._buffer = self._buffer, b""
            self.lineLengthExceeded(line)

    def lineReceived(self, line):
        """Told of a line, without its delimiter."""
        raise NotImplementedError

    def sendLine(self, line):
        """Writes a line and its delimiter."""
        self.transport.writeSequence((line, self.delimiter))

    def lineLengthExceeded(self, line):
        """Told of a line that is too long; ends the connection."""
        self.transport.loseConnection()


class NetstringParseError(ValueError):
    """What came is no netstring."""


class NetstringReceiver(Protocol):
    """Gets netstrings: a length in decimal, a colon, so many bytes, a comma."""

    MAX_LENGTH = 99999
    brokenPeer = 0
    _buffer = b""

    def makeConnection(self, transport):
        self._buffer = b""
        super().makeConnection(transport)

    def dataReceived(self, data):
        self._buffer += data
        try:
            while self._buffer and not self.brokenPeer:
                string = self._take()
                if string is None:
                    return
                self.stringReceived(string)
        except NetstringParseError:
            self.brokenPeer = 1
            self._buffer = b""
            self.transport.loseConnection()

    def _take(self):
        length, colon, rest = self._buffer.partition(b":")
        if len(length) > len(str(self.MAX_LENGTH)) or not (length.isdigit() or (not length and not colon)):
            raise NetstringParseError("a length that is none")
        if len(length) > 1 and length.startswith(b"0"):
            raise NetstringParseError("a length that begins with 0")
        if int(length or 0) > self.MAX_LENGTH:
            raise NetstringParseError("a string that is too long")
        if not colon or len(rest) <= int(length):
            return None
        string, comma, self._buffer = rest[: int(length)], rest[int(length) : int(length) + 1], rest[int(length) + 1 :]
        if comma != b",":
            raise NetstringParseError("a string without its comma")
        return string

    def stringReceived(self, string):
        """Told of a string."""
        raise NotImplementedError

    def sendString(self, string):
        """Writes a string as a netstring."""
        self.transport.writeSequence((b"%d:" % len(string), string, b","))


class _IntNStringReceiver(_Pausing, Protocol):
    MAX_LENGTH = 99999
    structFormat = ""
    prefixLength = 0
    _buffer = b""
    _is_busy = False

    def dataReceived(self, data):
        self._buffer += data
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while len(self._buffer) >= self.prefixLength and not self.paused:
                (length,) = struct.unpack(self.structFormat, self._buffer[: self.prefixLength])
                if length > self.MAX_LENGTH:
                    self.lengthLimitExceeded(length)
                    return
                end = self.prefixLength + length
                if len(self._buffer) < end:
                    return
                string, self._buffer = self._buffer[self.prefixLength : end], self._buffer[end:]
                self.stringReceived(string)
        finally:
            self._is_busy = False

    def stringReceived(self, string):
        """Told of a string."""
        raise NotImplementedError

    def lengthLimitExceeded(self, length):
        """Told of a string that is too long; ends the connection."""
        self._buffer = b""
        self.transport.loseConnection()

    def sendString(self, string):
        """Writes a string with its length before it."""
        if len(string) >= 1 << 8 * self.prefixLength:
            raise ValueError(f"{len(string)} bytes are too many for a length of {self.prefixLength}")
        self.transport.write(struct.pack(self.structFormat, len(string)) + string)


class Int32StringReceiver(_IntNStringReceiver):
    """Gets strings with a length of four bytes before each, the highest first."""

    structFormat = "!I"
    prefixLength = 4


class Int16StringReceiver(_IntNStringReceiver):
    """Gets strings with a length of two bytes before each, the highest first."""

    structFormat = "!H"
    prefixLength = 2


class Int8StringReceiver(_IntNStringReceiver):
    """Gets strings with a length of one byte before each."""

    structFormat = "!B"
    prefixLength = 1
