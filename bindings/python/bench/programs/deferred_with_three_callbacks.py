"""A Deferred that gets three callbacks and is fired, over and over."""

import sys
import time

if sys.argv[1] == "lariat":
    from lariat.defer import Deferred
else:
    from twisted.internet.defer import Deferred

DEFERREDS = 200_000


def callback(result):
    return result


started = time.perf_counter()
for number in range(DEFERREDS):
    deferred = Deferred()
    deferred.addCallback(callback)
    deferred.addCallback(callback)
    deferred.addCallback(callback)
    deferred.callback(number)
print((time.perf_counter() - started) / DEFERREDS * 1e9)
