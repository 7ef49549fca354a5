"""Two threads that have the reactor call a function."""

import sys
import threading
import time

if sys.argv[1] == "lariat":
    from lariat.internet import reactor
else:
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor

CALLS = 50_000
made = 0


def call():
    global made
    made += 1
    if made == 2 * CALLS:
        reactor.stop()


def post():
    for _ in range(CALLS):
        reactor.callFromThread(call)


def start():
    global started
    started = time.perf_counter()
    for _ in range(2):
        threading.Thread(target=post).start()


reactor.callWhenRunning(start)
reactor.run()
print((time.perf_counter() - started) / (2 * CALLS) * 1e9)
