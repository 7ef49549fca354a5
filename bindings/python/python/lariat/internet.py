"""The reactor: ``from lariat.internet import reactor``."""

import atexit
import signal
import threading

from lariat import _lariat, error, log

from lariat._network import Network

__all__ = ["Reactor", "reactor"]


class Reactor(Network, _lariat.Reactor):
    """An event loop of one thread, and all that is done through it. That of the program is ``reactor``."""

    _errors = error
    _unhandled = staticmethod(log.unhandled)

    def run(self, installSignalHandlers=True):
        """Runs until it is stopped. SIGINT and SIGTERM stop it, unless installSignalHandlers says otherwise.

        A KeyboardInterrupt from a callback stops it too, and is raised here.
        """
        with _Signals(self, installSignalHandlers):
            self._run()

    def iterate(self, delay=0.0):
        """Makes one turn, which waits at most so many seconds."""
        self._iterate(float("inf") if delay is None else delay)

    def wakeUp(self):
        """Has it make a turn; from any thread."""
        self.callFromThread(_nothing)

    def getThreadPool(self):
        """What has ``callInThread``: the reactor itself."""
        return self


def _nothing():
    pass


class _Signals:
    """The handlers of signals, while the reactor runs in the program's first thread."""

    def __init__(self, reactor, install):
        self.reactor = reactor
        self.install = install
        self.watches = []
        self.before = {}

    def __enter__(self):
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if self.install and handler in (signal.SIG_DFL, signal.default_int_handler):
                self.before[number] = signal.signal(number, self.stop)
            # The handler is Python's, and may have come while the library waits: that is to wake up for it.
            if callable(signal.getsignal(number)):
                self.watches.append(_lariat.SignalWatch(self.reactor, number))

    def __exit__(self, *_):
        for watch in self.watches:
            watch.stop()
        for number, handler in self.before.items():
            if signal.getsignal(number) == self.stop:
                signal.signal(number, handler)

    def stop(self, number, frame):
        self.reactor.callFromThread(self.stop_if_running)

    def stop_if_running(self):
        try:
            self.reactor.stop()
        except error.ReactorNotRunning:
            pass


#: The program's reactor, whose thread is the first that runs it.
reactor = Reactor(_of_thread=True)
atexit.register(_lariat._end_threads)
