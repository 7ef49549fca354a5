"""The reactor: ``from lariat.internet import reactor``."""

import logging
import signal
import threading

from lariat import error
from lariat._lariat import Reactor as _Reactor

_log = logging.getLogger("lariat")


class Reactor(_Reactor):
    """An event loop. There is one of the whole program, ``reactor``."""

    _errors = error

    def _unhandled(self, exception, what):
        _log.critical("Unhandled error in %s", what, exc_info=exception)

    def run(self, installSignalHandlers=True):
        """Runs until stopped."""
        if installSignalHandlers and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, lambda *ignored: self.callFromThread(self.stop))
        self._run()


reactor = Reactor(_of_thread=True)
