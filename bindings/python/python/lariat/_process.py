"""Child processes: what lariat.internet's reactor and Twisted's have in common."""

import os
import signal

from lariat import _lariat
from lariat._transport import ERRNO, Transport


class Pipe(Transport):
    """This end of a pipe of a process."""

    def __new__(cls, owner, name):
        return super().__new__(cls, owner._core)

    def __init__(self, owner, name):
        self._kit = owner._kit
        self.owner = owner
        self.name = name
        self.reactor = owner._reactor

    def loseConnection(self):
        """Closes it once all that was written is out."""
        self.owner.closeChildFD(self.name)

    def fileno(self):
        """It has no number of its own."""
        return -1


class Process(_lariat.Process):
    """A child process. A class made from it has `_kit`, as Transport's have."""

    status = -1
    pid = None
    _tty = False
    lostProcess = False
    _core_of = staticmethod(lambda reactor: reactor)

    def __new__(cls, reactor, *args, **kwargs):
        return super().__new__(cls, cls._core_of(reactor))

    def __init__(self, reactor, executable, args, environment, path, proto, uid=None, gid=None, childFDs=None, tty=False):
        self._reactor = reactor
        self._core = self._core_of(reactor)
        self.proto = proto
        self.pipes = {}
        self._tty = tty
        if childFDs is None:
            childFDs = {0: "w", 1: "r", 2: "r"}
        if not proto:
            assert "r" not in childFDs.values()
            assert "w" not in childFDs.values()
        kinds = {"w": 1, "r": 2}
        descriptors = []
        if not tty:
            for child, target in childFDs.items():
                if target in kinds:
                    descriptors.append((child, kinds[target], -1))
                else:
                    assert type(target) is int, f"{target!r} should be an int"
                    descriptors.append((child, 3, target))
        if environment is None:
            environment = os.environ
        status, message = self._spawn(
            os.fsencode(executable),
            [os.fsencode(arg) for arg in args],
            [os.fsencode(name) + b"=" + os.fsencode(value) for name, value in environment.items()],
            None if path is None else os.fsencode(path),
            -1 if uid is None else uid,
            -1 if gid is None else gid,
            1 | (8 if tty else 0),
            descriptors,
        )
        if status < 0:
            number = ERRNO.get(status, 0)
            raise OSError(number, message) if number else OSError(message)
        self.pid = status
        for child in (0, 1, 2) if tty else [child for child, kind, _ in descriptors if kind != 3]:
            pipe = Pipe(self, child)
            if self._lend(child, pipe):
                self.pipes[child] = pipe
        try:
            if proto is not None:
                proto.makeConnection(self)
        except BaseException:
            self._kit.log_failure(self, self._kit.Failure())

    def __repr__(self):
        return f"<{self.__class__.__name__} pid={self.pid} status={self.status}>"

    # What the library tells.

    def _started(self):
        """Told when it was made already."""

    def _data(self, child, data):
        if self.proto is not None:
            self.proto.childDataReceived(child, data)

    def _closed(self, child, code):
        pipe = self.pipes.pop(child, None)
        if pipe is not None:
            producer = pipe.producer
            pipe.connected = False
            pipe.disconnected = True
            if producer is not None:
                pipe._unregister()
                producer.stopProducing()
        if self._tty:
            self.pipes.clear()
        elif self.proto is not None:
            self.proto.childConnectionLost(child)

    def _reason_of(self, how):
        code, exit_code, number = how
        if number:
            self.status = number
            return self._kit.error.ProcessTerminated(None, number, number)
        self.status = (exit_code & 0xFF) << 8 if exit_code >= 0 else -1
        if exit_code > 0:
            return self._kit.error.ProcessTerminated(exit_code, None, self.status)
        if code == -57:
            return self._kit.error.ProcessTerminated(None, None, None)
        return self._kit.error.ProcessDone(self.status)

    def _exited(self, *how):
        self.pid = None
        self._reason = self._kit.Failure(self._reason_of(how))
        exited = getattr(self.proto, "processExited", None)
        if exited is not None:
            exited(self._reason)

    def _ended(self, *how):
        self.lostProcess = True
        if self.proto is not None:
            proto, self.proto = self.proto, None
            proto.processEnded(self._reason)

    def _raised(self, exception, what):
        self._kit.log_failure(self, self._kit.Failure(exception, type(exception), exception.__traceback__))

    # IProcessTransport.

    def signalProcess(self, signalID):
        """Sends it a signal: a number, or "HUP", "STOP", "INT", "KILL" or "TERM"."""
        if signalID in ("HUP", "STOP", "INT", "KILL", "TERM"):
            signalID = getattr(signal, f"SIG{signalID}")
        if self.pid is None:
            raise self._kit.error.ProcessExitedAlready()
        status = self._signal(signalID)
        if status == -39:
            raise PermissionError(ERRNO[-39], os.strerror(ERRNO[-39]))
        if status < 0:
            raise self._kit.error.ProcessExitedAlready()

    def writeToChild(self, childFD, data):
        """Writes to one of its descriptors."""
        self.pipes[childFD].write(data)

    def closeChildFD(self, descriptor):
        """Closes a pipe once all that was written is out."""
        if descriptor in self.pipes:
            self._close(descriptor)

    def closeStdin(self):
        """Closes its standard input."""
        if not self._tty:
            self.closeChildFD(0)

    def closeStdout(self):
        """Closes its standard output."""
        if not self._tty:
            self.closeChildFD(1)

    def closeStderr(self):
        """Closes its standard error."""
        if not self._tty:
            self.closeChildFD(2)

    def loseConnection(self):
        """Closes all three."""
        if self._tty:
            self._close(0)
            return
        self.closeStdin()
        self.closeStderr()
        self.closeStdout()

    def write(self, data):
        """Writes to its standard input."""
        if 0 in self.pipes:
            self.pipes[0].write(data)

    def writeSequence(self, seq):
        """Writes several pieces to its standard input."""
        if 0 in self.pipes:
            self.pipes[0].writeSequence(seq)

    def registerProducer(self, producer, streaming):
        """Has a producer write to its standard input."""
        if 0 in self.pipes:
            self.pipes[0].registerProducer(producer, streaming)
        else:
            producer.stopProducing()

    def unregisterProducer(self):
        """The producer has written all that it had to."""
        if 0 in self.pipes:
            self.pipes[0].unregisterProducer()

    def pauseProducing(self):
        """Reads no more of what it writes."""
        for child, pipe in self.pipes.items():
            if child != 0:
                pipe.stopReading()

    def resumeProducing(self):
        """Reads again."""
        for child, pipe in self.pipes.items():
            if child != 0:
                pipe.startReading()

    def getHost(self):
        """It has no address."""
        raise NotImplementedError()

    def getPeer(self):
        """It has no address."""
        raise NotImplementedError()


class TerminalProcess(Process):
    """A child process on a pseudo-terminal."""

    def closeChildFD(self, descriptor):
        """A terminal has but one end."""
        raise NotImplementedError()

    def writeToChild(self, childFD, data):
        """A terminal has but one end."""
        raise NotImplementedError()
