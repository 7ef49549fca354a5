"""What is done over and over, later, or bit by bit, under Twisted's names."""

import sys
import time

from lariat import error, log
from lariat.defer import Deferred, ensureDeferred, maybeDeferred
from lariat.failure import Failure

__all__ = [
    "Clock",
    "CooperativeTask",
    "Cooperator",
    "LoopingCall",
    "NotPaused",
    "SchedulerError",
    "SchedulerStopped",
    "TaskDone",
    "TaskFailed",
    "TaskFinished",
    "TaskStopped",
    "coiterate",
    "cooperate",
    "deferLater",
    "react",
]


def _the_reactor():
    from lariat.internet import reactor

    return reactor


class LoopingCall:
    """Calls a function over and over, at an interval; ``clock`` says whose seconds these are, by default the reactor's."""

    running = False
    interval = None
    starttime = None
    call = None
    _deferred = None
    _counted_at = None
    _run_at_start = False

    def __init__(self, f, *a, **kw):
        self.f = f
        self.a = a
        self.kw = kw
        self.clock = _the_reactor()

    @classmethod
    def withCount(cls, countCallable):
        """One that gives its function the number of calls that were due since the last one."""

        def count():
            now = self.clock.seconds()
            last, self._counted_at = self._counted_at, now
            if self.interval == 0:
                return countCallable(1)
            if last is None:
                last = self.starttime - (self.interval if self._run_at_start else 0)
            due = self._interval_of(now) - self._interval_of(last)
            if due > 0:
                return countCallable(due)
            self._counted_at = last
            return None

        self = cls(count)
        return self

    def _interval_of(self, when):
        return int((when - self.starttime) / self.interval)

    def start(self, interval, now=True):
        """Begins, at once or after the first interval.

        The Deferred fires with this when it is stopped, or with what goes wrong.
        """
        assert not self.running, "Tried to start an already running LoopingCall."
        if interval < 0:
            raise ValueError("interval must be >= 0")
        self.running = True
        deferred = self._deferred = Deferred()
        self.starttime = self.clock.seconds()
        self.interval = interval
        self._run_at_start = now
        if now:
            self()
        else:
            self._schedule(self.starttime)
        return deferred

    def stop(self):
        """Ends it, when the present call has."""
        assert self.running, "Tried to stop a LoopingCall that was not running."
        self.running = False
        if self.call is not None:
            self.call.cancel()
            self.call = None
            self._over(self)

    def reset(self):
        """Has the interval begin anew."""
        assert self.running, "Tried to reset a LoopingCall that was not running."
        if self.call is not None:
            self.call.cancel()
            self.call = None
            self.starttime = self.clock.seconds()
            self._schedule(self.starttime)

    def __call__(self):
        self.call = None
        maybeDeferred(self.f, *self.a, **self.kw).addCallback(self._called).addErrback(self._failed)

    def _called(self, _):
        if self.running:
            self._schedule(self.clock.seconds())
        else:
            self._over(self)

    def _failed(self, failure):
        self.running = False
        self._over(failure)

    def _over(self, result):
        deferred, self._deferred = self._deferred, None
        deferred.callback(result)

    def _schedule(self, when):
        delay = 0
        if self.interval:
            delay = self.interval - (when - self.starttime) % self.interval
            if when == when + delay:
                # Too little to count: that call has just been made.
                delay = self.interval
        self.call = self.clock.callLater(delay, self)

    def __repr__(self):
        name = getattr(self.f, "__qualname__", None) or getattr(self.f, "__name__", None) or repr(self.f)
        return f"LoopingCall<{self.interval!r}>({name}, *{self.a!r}, **{self.kw!r})"


class SchedulerError(Exception):
    """The cooperator or the task is not in a state for that."""


class SchedulerStopped(SchedulerError):
    """The cooperator was stopped."""


class TaskFinished(SchedulerError):
    """The task is over."""


class TaskDone(TaskFinished):
    """The task is done."""


class TaskStopped(TaskFinished):
    """The task was stopped."""


class TaskFailed(TaskFinished):
    """The task has failed."""


class NotPaused(SchedulerError):
    """The task is not paused."""


class CooperativeTask:
    """An iterator that a cooperator takes steps of. A Deferred that it yields is waited for."""

    def __init__(self, iterator, cooperator):
        self._iterator = iterator
        self._cooperator = cooperator
        self._deferreds = []
        self._pauses = 0
        self._end = None
        self._result = None
        cooperator._add(self)

    def whenDone(self):
        """A Deferred that fires with the iterator when that is exhausted, or with what went wrong."""
        deferred = Deferred()
        if self._end is None:
            self._deferreds.append(deferred)
        else:
            deferred.callback(self._result)
        return deferred

    def pause(self):
        """Takes no steps, until as many ``resume``."""
        self._check()
        self._pauses += 1
        if self._pauses == 1:
            self._cooperator._remove(self)

    def resume(self):
        """Takes one pause back."""
        if self._pauses == 0:
            raise NotPaused()
        self._pauses -= 1
        if self._pauses == 0 and self._end is None:
            self._cooperator._add(self)

    def stop(self):
        """Takes no steps any more."""
        self._check()
        self._complete(TaskStopped(), Failure(TaskStopped()))

    def _check(self):
        if self._end is not None:
            raise self._end

    def _complete(self, end, result):
        self._end = end
        self._result = result
        if not self._pauses:
            self._cooperator._remove(self)
        for deferred in self._deferreds:
            deferred.callback(result)

    def _step(self):
        try:
            result = next(self._iterator)
        except StopIteration:
            self._complete(TaskDone(), self._iterator)
        except BaseException:
            self._complete(TaskFailed(), Failure())
        else:
            if isinstance(result, Deferred):
                self.pause()
                result.addCallbacks(lambda _: self.resume(), lambda failure: self._complete(TaskFailed(), failure))


class _Slice:
    """Whether a step has had its hundredth of a second."""

    SECONDS = 0.01

    def __init__(self):
        self.end = time.monotonic() + self.SECONDS

    def __call__(self):
        return time.monotonic() >= self.end


def _soon(callable):
    return _the_reactor().callLater(0, callable)


class Cooperator:
    """Shares the loop's time among iterators.

    terminationPredicateFactory: called at the beginning of a turn, gives a function that says when it is to end.
    scheduler: has a function called later, and gives what can cancel that.
    """

    def __init__(self, terminationPredicateFactory=_Slice, scheduler=_soon, started=True):
        self._tasks = []
        self._round = iter(())
        self._termination = terminationPredicateFactory
        self._scheduler = scheduler
        self._call = None
        self._stopped = False
        self._started = started

    def coiterate(self, iterator, doneDeferred=None):
        """Adds an iterator; the Deferred fires with it when it is exhausted."""
        deferred = Deferred() if doneDeferred is None else doneDeferred
        self.cooperate(iterator).whenDone().chainDeferred(deferred)
        return deferred

    def cooperate(self, iterator):
        """Adds an iterator, and gives the task of it."""
        return CooperativeTask(iterator, self)

    def start(self):
        """Begins to take steps."""
        self._stopped = False
        self._started = True
        self._schedule()

    def stop(self):
        """Ends all tasks."""
        self._stopped = True
        for task in self._tasks:
            task._complete(SchedulerStopped(), Failure(SchedulerStopped()))
        self._tasks = []
        if self._call is not None:
            self._call.cancel()
            self._call = None

    @property
    def running(self):
        """Whether it takes steps."""
        return self._started and not self._stopped

    def _add(self, task):
        self._tasks.append(task)
        if self._stopped:
            task._complete(SchedulerStopped(), Failure(SchedulerStopped()))
        else:
            self._schedule()

    def _remove(self, task):
        self._tasks.remove(task)
        if not self._tasks and self._call is not None:
            self._call.cancel()
            self._call = None

    def _schedule(self):
        if self._started and self._call is None and self._tasks:
            self._call = self._scheduler(self._turn)

    def _turn(self):
        self._call = None
        is_over = self._termination()
        while self._tasks:
            for task in self._round:
                task._step()
                if is_over():
                    return self._schedule()
            self._round = iter(self._tasks)


_cooperator = Cooperator()


def coiterate(iterator):
    """Adds an iterator to the program's cooperator; the Deferred fires with it when it is exhausted."""
    return _cooperator.coiterate(iterator)


def cooperate(iterator):
    """Adds an iterator to the program's cooperator, and gives the task of it."""
    return _cooperator.cooperate(iterator)


class _ClockCall:
    """A call of a Clock, with what a reactor's has."""

    def __init__(self, clock, time, func, args, kw):
        self.clock = clock
        self.time = time
        self.func = func
        self.args = args
        self.kw = kw
        self.called = 0
        self.cancelled = 0

    def getTime(self):
        return self.time

    def active(self):
        return not (self.called or self.cancelled)

    def _check(self):
        if self.cancelled:
            raise error.AlreadyCancelled
        if self.called:
            raise error.AlreadyCalled

    def cancel(self):
        self._check()
        self.cancelled = 1
        self.clock.calls.remove(self)
        self.func = self.args = self.kw = None

    def reset(self, secondsFromNow):
        self._check()
        self.time = self.clock.seconds() + secondsFromNow

    def delay(self, secondsLater):
        self._check()
        self.time += secondsLater


class Clock:
    """A clock that stands still until it is told to go on, for tests."""

    rightNow = 0.0

    def __init__(self):
        self.calls = []

    def seconds(self):
        """The time on it."""
        return self.rightNow

    def callLater(self, delay, callable, *args, **kw):
        """Calls it when the clock has gone on by so many seconds."""
        call = _ClockCall(self, self.seconds() + delay, callable, args, kw)
        self.calls.append(call)
        self._sort()
        return call

    def getDelayedCalls(self):
        """The calls that wait."""
        return self.calls

    def _sort(self):
        self.calls.sort(key=_ClockCall.getTime)

    def advance(self, amount):
        """Goes on by so many seconds, and makes the calls that are due."""
        self.rightNow += amount
        self._sort()
        while self.calls and self.calls[0].getTime() <= self.seconds():
            call = self.calls.pop(0)
            call.called = 1
            call.func(*call.args, **call.kw)
            self._sort()

    def pump(self, timings):
        """Goes on by each of these times, one after the other."""
        for amount in timings:
            self.advance(amount)


def deferLater(clock, delay, callable=None, *args, **kw):
    """A Deferred that fires with what the function gives, which is called after so many seconds. It can be cancelled."""
    deferred = Deferred(lambda _: delayed_call.cancel())
    if callable is None:
        deferred.addCallback(lambda _: None)
    else:
        deferred.addCallback(lambda _: callable(*args, **kw))
    delayed_call = clock.callLater(delay, deferred.callback, None)
    return deferred


def react(main, argv=(), _reactor=None):
    """Calls main(reactor, *argv), runs the reactor until its Deferred has fired, and ends the program."""
    reactor = _the_reactor() if _reactor is None else _reactor
    finished = ensureDeferred(main(reactor, *argv))
    stopping = False
    code = 0

    def on_shutdown():
        nonlocal stopping
        stopping = True

    def over(result):
        if stopping:
            stop(result, False)
        else:
            reactor.callWhenRunning(stop, result, True)

    def stop(result, stop_reactor):
        nonlocal code
        if stop_reactor:
            try:
                reactor.stop()
            except error.ReactorNotRunning:
                pass
        if isinstance(result, Failure):
            if result.check(SystemExit) is not None:
                code = result.value.code
            else:
                log.failure("main function encountered error", result)
                code = 1

    reactor.addSystemEventTrigger("before", "shutdown", on_shutdown)
    finished.addBoth(over)
    reactor.run()
    sys.exit(code)
