"""What blocks, done on the threads of the reactor's pool; and what the reactor is to do, asked for by other threads."""

import queue

from lariat.defer import Deferred, maybeDeferred
from lariat.failure import Failure

__all__ = ["blockingCallFromThread", "callMultipleInThread", "deferToThread", "deferToThreadPool"]


def deferToThreadPool(reactor, threadpool, f, *args, **kwargs):
    """A Deferred that fires with what the function gives on a thread of the pool: anything with ``callInThread``."""
    deferred = Deferred()

    def work():
        try:
            result = f(*args, **kwargs)
        except BaseException:
            result = Failure()
        reactor.callFromThread(deferred.callback, result)

    threadpool.callInThread(work)
    return deferred


def deferToThread(f, *args, **kwargs):
    """A Deferred that fires with what the function gives on a thread of the reactor's pool."""
    from lariat.internet import reactor

    return deferToThreadPool(reactor, reactor, f, *args, **kwargs)


def callMultipleInThread(tupleList):
    """Calls functions one after the other on a thread of the pool: tuples of a function, its arguments, its keywords."""
    from lariat.internet import reactor

    def work():
        for f, args, kwargs in tupleList:
            f(*args, **kwargs)

    reactor.callInThread(work)


def blockingCallFromThread(reactor, f, *a, **kw):
    """Has the reactor's thread call the function, and waits for what it, or its Deferred, gives."""
    results = queue.SimpleQueue()
    reactor.callFromThread(lambda: maybeDeferred(f, *a, **kw).addBoth(results.put))
    result = results.get()
    if isinstance(result, Failure):
        result.raiseException()
    return result
