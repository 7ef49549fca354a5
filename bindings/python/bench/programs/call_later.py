"""A call that schedules the next one, and among them a thousand that wait and are put off again and again."""

import sys
import time

if sys.argv[1] == "lariat":
    from lariat.internet import reactor
else:
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor

CALLS = 200_000
waiting = [reactor.callLater(1000, print) for _ in range(1000)]
made = 0


def call():
    global made
    made += 1
    if made == CALLS:
        reactor.stop()
    else:
        waiting[made % 1000].reset(1000)
        reactor.callLater(0, call)


def start():
    global started
    started = time.perf_counter()
    call()


reactor.callWhenRunning(start)
reactor.run()
print((time.perf_counter() - started) / CALLS * 1e9)
