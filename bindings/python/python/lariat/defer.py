"""Deferreds, under Twisted's names.

The chain of a Deferred - the order of its callbacks, waiting, cancelling, time-outs - is run by lariat's library; its
callables and values are kept in the Python object.
"""

import inspect
import traceback
import types
import warnings
from contextvars import copy_context
from functools import wraps

from lariat import _lariat, log
from lariat._lariat import Deferred
from lariat.failure import Failure

__all__ = [
    "AlreadyCalledError",
    "CancelledError",
    "Deferred",
    "DeferredList",
    "DeferredLock",
    "DeferredQueue",
    "DeferredSemaphore",
    "FAILURE",
    "FailureGroup",
    "FirstError",
    "NotACoroutineError",
    "QueueOverflow",
    "QueueUnderflow",
    "SUCCESS",
    "TimeoutError",
    "ensureDeferred",
    "execute",
    "fail",
    "gatherResults",
    "getDebugging",
    "inlineCallbacks",
    "logError",
    "maybeDeferred",
    "passthru",
    "race",
    "returnValue",
    "setDebugging",
    "succeed",
]

SUCCESS = True
FAILURE = False


class AlreadyCalledError(Exception):
    """The Deferred has been fired before."""


class CancelledError(Exception):
    """The Deferred was cancelled."""


class TimeoutError(Exception):
    """The Deferred was cancelled because its time was over."""


class NotACoroutineError(TypeError):
    """It is no coroutine, where one is needed."""


class QueueOverflow(Exception):
    """The queue is full."""


class QueueUnderflow(Exception):
    """Too many wait for something to come into the queue."""


class FailureGroup(Exception):
    """All have failed: ``failures`` says why, in their order."""

    def __init__(self, failures):
        super().__init__()
        self.failures = failures


class FirstError(Exception):
    """One of a list has failed: ``subFailure`` says why, ``index`` which."""

    def __init__(self, failure, index):
        super().__init__(failure, index)
        self.subFailure = failure
        self.index = index

    def __repr__(self):
        return f"FirstError[#{self.index}, {self.subFailure.value!r}]"

    def __str__(self):
        return f"FirstError[#{self.index}, {self.subFailure}]"

    def __eq__(self, other):
        if not isinstance(other, FirstError):
            return NotImplemented
        return (self.index, self.subFailure) == (other.index, other.subFailure)

    __hash__ = Exception.__hash__


class DebugInfo:
    """What is logged of a Deferred when it is collected with a failure that nobody handled."""

    failResult = None
    creator = None
    invoker = None

    def noteCreator(self):
        self.creator = traceback.format_stack()[:-1]

    def noteInvoker(self):
        self.invoker = traceback.format_stack()[:-1]

    def _getDebugTracebacks(self):
        info = ""
        for letter, title, lines in ("C", "Deferred was created", self.creator), ("I", "First Invoker was", self.invoker):
            if lines is not None:
                stack = "".join(lines).rstrip().replace("\n", f"\n {letter}:")
                info += f" {letter}: {title}:\n {letter}:{stack}\n"
        return info

    def describe(self):
        return "\n" + self._getDebugTracebacks()

    def __del__(self):
        if self.failResult is not None:
            debug = self._getDebugTracebacks()
            log.failure("Unhandled error in Deferred:" + (f" (debug: {debug})" if debug else ""), self.failResult)


def _warn_of_itself(callback):
    message = (
        "Callback returned the Deferred it was attached to; this breaks the callback chain and will raise an exception"
        " in the future."
    )
    code = getattr(inspect.unwrap(callback), "__code__", None)
    if code is None:
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    else:
        module = getattr(callback, "__module__", None)
        warnings.warn_explicit(message, DeprecationWarning, code.co_filename, code.co_firstlineno, module)


_lariat._set_classes(Failure, CancelledError, TimeoutError, AlreadyCalledError, DebugInfo, _warn_of_itself)
_debugging = False


def setDebugging(on):
    """Has the stacks kept in which Deferreds are made and fired, and told when something goes wrong with them."""
    global _debugging
    _debugging = bool(on)
    _lariat._set_debugging(_debugging)


def getDebugging():
    """Whether they are kept."""
    return _debugging


# What Deferred has beside what the library does for it.


def _add_timeout(self, timeout, clock, onTimeoutCancel=None):
    """Cancels the Deferred unless what has been added so far has run within ``timeout`` seconds of the clock.

    What is added later then gets a TimeoutError, or what ``onTimeoutCancel(result, timeout)`` makes of the result.
    """
    if onTimeoutCancel is None and isinstance(clock, _lariat.Reactor) and self._addTimeout(timeout, clock):
        return self
    timed_out = False

    def end():
        nonlocal timed_out
        timed_out = True
        self.cancel()

    def convert(result):
        return (onTimeoutCancel or _cancelled_to_timed_out)(result, timeout) if timed_out else result

    def stop(result):
        if delayed_call.active():
            delayed_call.cancel()
        return result

    delayed_call = clock.callLater(timeout, end)
    return self.addBoth(convert).addBoth(stop)


def _cancelled_to_timed_out(value, timeout):
    if isinstance(value, Failure):
        value.trap(CancelledError)
        raise TimeoutError(timeout, "Deferred")
    return value


def _as_future(self, loop):
    """A Future of an asyncio loop that gets the result; the Deferred is left with None."""
    future = loop.create_future()

    def cancelled(again):
        if again.cancelled():
            self.cancel()

    def failed(failure):
        if not future.cancelled():
            future.set_exception(failure.value)

    def succeeded(result):
        if not future.cancelled():
            future.set_result(result)

    self.addCallbacks(succeeded, failed)
    future.add_done_callback(cancelled)
    return future


def _from_future(cls, future):
    """A Deferred that gets the result of an asyncio Future."""
    cancelled = object()

    def adapt(future):
        try:
            result = future.result()
        except BaseException:
            result = Failure()
        target.callback(result)

    def cancel(deferred):
        future.cancel()
        deferred.callback(cancelled)

    def wait_after_all(result):
        nonlocal target
        if result is not cancelled:
            return result
        # The Future has still to say what became of the cancellation.
        target = Deferred()
        return target

    target = deferred = cls(cancel)
    deferred.addCallback(wait_after_all)
    future.add_done_callback(adapt)
    return deferred


def _from_coroutine(cls, coro):
    """A Deferred that gets what a coroutine returns, which may await Deferreds."""
    if inspect.iscoroutine(coro) or inspect.isgenerator(coro):
        return _run(coro)
    raise NotACoroutineError(f"{coro!r} is not a coroutine")


Deferred.addTimeout = _add_timeout
Deferred.asFuture = _as_future
Deferred.fromFuture = classmethod(_from_future)
Deferred.fromCoroutine = classmethod(_from_coroutine)
for _name in "addTimeout", "asFuture":
    getattr(Deferred, _name).__name__ = _name
    getattr(Deferred, _name).__qualname__ = f"Deferred.{_name}"


def succeed(result):
    """A Deferred that has fired with this value."""
    deferred = Deferred()
    deferred.callback(result)
    return deferred


def fail(result=None):
    """A Deferred that has fired with this Failure or exception, or with the one that is being handled."""
    deferred = Deferred()
    deferred.errback(result)
    return deferred


def execute(callable, *args, **kwargs):
    """Calls it, and gives a Deferred that has fired with what it returned or raised."""
    try:
        result = callable(*args, **kwargs)
    except BaseException:
        return fail()
    return succeed(result)


def maybeDeferred(f, *args, **kwargs):
    """Calls it, and gives the Deferred that it returns, or one that has fired with what it returned or raised."""
    try:
        result = f(*args, **kwargs)
    except BaseException:
        return fail(Failure(captureVars=_debugging))
    if isinstance(result, Deferred):
        return result
    if isinstance(result, Failure):
        return fail(result)
    if type(result) is types.CoroutineType:
        return Deferred.fromCoroutine(result)
    return succeed(result)


def ensureDeferred(coro):
    """A Deferred as it is, or one that gets what a coroutine returns."""
    if isinstance(coro, Deferred):
        return coro
    try:
        return Deferred.fromCoroutine(coro)
    except NotACoroutineError:
        raise NotACoroutineError(f"{coro!r} is not a coroutine or a Deferred") from None


def passthru(arg):
    """The argument: a callback that changes nothing."""
    return arg


def logError(err):
    """An errback that logs the failure and passes it on."""
    log.failure("", err)
    return err


class DeferredList(Deferred):
    """A Deferred that fires when all of a list have: with a list of pairs, whether each worked and its result.

    fireOnOneCallback: fires at the first value, with that and its index.
    fireOnOneErrback: fires at the first failure, with a FirstError.
    consumeErrors: the failures do not stay with the Deferreds of the list.
    """

    fireOnOneCallback = False
    fireOnOneErrback = False

    def __init__(self, deferredList, fireOnOneCallback=False, fireOnOneErrback=False, consumeErrors=False):
        self._deferredList = list(deferredList)
        self.resultList = [None] * len(self._deferredList)
        super().__init__()
        if not self._deferredList and not fireOnOneCallback:
            self.callback([])
        self.fireOnOneCallback = fireOnOneCallback
        self.fireOnOneErrback = fireOnOneErrback
        self.consumeErrors = consumeErrors
        self.finishedCount = 0
        for index, deferred in enumerate(self._deferredList):
            deferred.addCallbacks(self._finished, self._finished, (index, SUCCESS), None, (index, FAILURE))

    def _finished(self, result, index, succeeded):
        self.resultList[index] = (succeeded, result)
        self.finishedCount += 1
        if not self.called:
            if succeeded and self.fireOnOneCallback:
                self.callback((result, index))
            elif not succeeded and self.fireOnOneErrback:
                self.errback(Failure(FirstError(result, index)))
            elif self.finishedCount == len(self.resultList):
                self.callback(self.resultList)
        return None if not succeeded and self.consumeErrors else result

    def cancel(self):
        """Cancels all of the list, unless this has fired."""
        if not self.called:
            for deferred in self._deferredList:
                try:
                    deferred.cancel()
                except BaseException:
                    log.failure("Exception raised from user supplied canceller", Failure())


def gatherResults(deferredList, consumeErrors=False):
    """A Deferred that gets the list of all values, or the first failure, as a FirstError."""
    gathered = DeferredList(deferredList, fireOnOneErrback=True, consumeErrors=consumeErrors)
    return gathered.addCallback(lambda results: [result for succeeded, result in results])


def race(ds):
    """A Deferred that gets the index and value of the first that works; the others are cancelled.

    If all fail, it fails with a FailureGroup.
    """
    runners = list(ds)
    winner = None
    failures = {}

    def cancel(result):
        for runner in runners:
            runner.cancel()

    def succeeded(value, index):
        nonlocal winner
        if winner is None:
            winner = runners[index]
            for runner in runners:
                if runner is not winner:
                    runner.cancel()
            race_over.callback((index, value))

    def failed(failure, index):
        failures[index] = failure
        if len(failures) == len(runners):
            race_over.errback(FailureGroup([failures[place] for place in range(len(runners))]))

    race_over = Deferred(cancel)
    for index, runner in enumerate(runners):
        runner.addCallbacks(succeeded, failed, (index,), None, (index,))
    return race_over


# Coroutines and generators.


class _Return(BaseException):
    def __init__(self, value):
        self.value = value


def returnValue(val):
    """Ends a generator of inlineCallbacks with this value, as ``return val`` does."""
    raise _Return(val)


class _CancelledInside(Exception):
    """The Deferred of a generator is cancelled: what it waits for is to be."""


def _warn_of_return(at):
    frames = []
    while at is not None:
        frames.append((at.tb_frame.f_code, at.tb_lineno))
        at = at.tb_next
    # Below the generator and above returnValue, with what decorates it, nobody else may be.
    while frames and frames[0][0].co_name == "throwExceptionIntoGenerator":
        del frames[0]
    while frames and frames[-1][0].co_name in ("returnValue", "deprecatedFunction"):
        del frames[-1]
    if len(frames) > 1:
        (outer, _), (inner, line) = frames[0], frames[-1]
        message = (
            f"returnValue() in {inner.co_name!r} causing {outer.co_name!r} to exit: returnValue should only be invoked by"
            " functions decorated with inlineCallbacks"
        )
        warnings.warn_explicit(message, DeprecationWarning, inner.co_filename, line)


class _Running:
    """A generator or coroutine on its way."""

    __slots__ = ("context", "deferred", "generator", "is_waiting", "waits_for", "what_came")

    def __init__(self, generator):
        self.generator = generator
        self.context = copy_context()
        self.waits_for = None
        self.what_came = None
        self.is_waiting = False
        self.deferred = self.make()

    def make(self):
        # The errback is the first: whatever comes later gets what the generator ends with.
        return Deferred(self.cancel).addErrback(self.cancel_inside)

    def cancel(self, deferred):
        deferred.errback(_CancelledInside())

    def cancel_inside(self, failure):
        if failure.type is not _CancelledInside:
            return failure
        self.deferred = self.make()
        self.waits_for.cancel()
        return self.deferred

    def came(self, result):
        if self.is_waiting:
            self.is_waiting = False
            self.go_on(result)
        else:
            self.what_came = (result,)

    def go_on(self, result):
        generator, run = self.generator, self.context.run
        while True:
            try:
                if isinstance(result, Failure):
                    result = run(result.throwExceptionIntoGenerator, generator)
                else:
                    result = run(generator.send, result)
            except StopIteration as end:
                result = end.value
                break
            except _Return as end:
                _warn_of_return(end.__traceback__.tb_next)
                result = end.value
                break
            except BaseException:
                self.deferred.errback()
                return
            if not isinstance(result, Deferred):
                if not (inspect.iscoroutine(result) or inspect.isgenerator(result)):
                    continue
                result = _run(result)
            self.what_came = None
            self.waits_for = result
            result.addBoth(self.came)
            if self.what_came is None:
                self.is_waiting = True
                return
            (result,) = self.what_came
        self.deferred.callback(result)


def _run(generator):
    running = _Running(generator)
    deferred = running.deferred
    running.go_on(None)
    return deferred


def inlineCallbacks(f):
    """Makes a generator function into one that returns a Deferred: ``yield deferred`` gives its result, or raises it."""

    @wraps(f)
    def unwindGenerator(*args, **kwargs):
        try:
            generator = f(*args, **kwargs)
        except _Return:
            raise TypeError(
                f"inlineCallbacks requires {f!r} to produce a generator; instead caught returnValue being used in a"
                " non-generator"
            ) from None
        if not isinstance(generator, types.GeneratorType):
            raise TypeError(f"inlineCallbacks requires {f!r} to produce a generator; instead got {generator!r}")
        return _run(generator)

    return unwindGenerator


# What Deferreds wait for.


class _Waited:
    def __init__(self):
        self.waiting = []

    def acquire(self):
        raise NotImplementedError

    def release(self):
        raise NotImplementedError

    def _cancelled(self, deferred):
        self.waiting.remove(deferred)

    def _release_and_return(self, result):
        self.release()
        return result

    def run(self, f, /, *args, **kwargs):
        """Calls it when this is acquired, and releases this when its Deferred has fired. Gives that one's result."""

        def acquired(_):
            return maybeDeferred(f, *args, **kwargs).addBoth(self._release_and_return)

        return self.acquire().addCallback(acquired)

    def __aenter__(self):
        return self.acquire()

    def __aexit__(self, *_):
        self.release()
        return succeed(False)


class DeferredLock(_Waited):
    """A lock: ``acquire`` gives a Deferred that fires with it when it is the caller's."""

    locked = False

    def acquire(self):
        """A Deferred that fires when the lock is the caller's."""
        deferred = Deferred(self._cancelled)
        if self.locked:
            self.waiting.append(deferred)
        else:
            self.locked = True
            deferred.callback(self)
        return deferred

    def release(self):
        """Gives it to the next who waits."""
        assert self.locked, "Tried to release an unlocked lock"
        self.locked = False
        if self.waiting:
            self.locked = True
            self.waiting.pop(0).callback(self)


class DeferredSemaphore(_Waited):
    """Tokens: ``acquire`` gives a Deferred that fires when one of them is the caller's."""

    def __init__(self, tokens):
        super().__init__()
        if tokens < 1:
            raise ValueError("DeferredSemaphore requires tokens >= 1")
        self.tokens = self.limit = tokens

    def acquire(self):
        """A Deferred that fires when a token is the caller's."""
        assert self.tokens >= 0, "Internal inconsistency??  tokens should never be negative"
        deferred = Deferred(self._cancelled)
        if not self.tokens:
            self.waiting.append(deferred)
        else:
            self.tokens -= 1
            deferred.callback(self)
        return deferred

    def release(self):
        """Gives the token to the next who waits."""
        assert self.tokens < self.limit, "Someone released me too many times: too many tokens!"
        if self.waiting:
            self.waiting.pop(0).callback(self)
        else:
            self.tokens += 1


class DeferredQueue:
    """Things that wait for takers, and takers that wait for things: at most ``size`` and ``backlog`` of them."""

    def __init__(self, size=None, backlog=None):
        self.waiting = []
        self.pending = []
        self.size = size
        self.backlog = backlog

    def _cancelled(self, deferred):
        self.waiting.remove(deferred)

    def put(self, obj):
        """Gives it to who waits, or puts it into the queue."""
        if self.waiting:
            self.waiting.pop(0).callback(obj)
        elif self.size is None or len(self.pending) < self.size:
            self.pending.append(obj)
        else:
            raise QueueOverflow()

    def get(self):
        """A Deferred that fires with the next thing."""
        if self.pending:
            return succeed(self.pending.pop(0))
        if self.backlog is not None and len(self.waiting) >= self.backlog:
            raise QueueUnderflow()
        deferred = Deferred(self._cancelled)
        self.waiting.append(deferred)
        return deferred
