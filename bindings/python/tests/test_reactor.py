"""The reactor: its calls, triggers and threads."""

import gc
import logging
import threading
import unittest
import weakref

from lariat import _lariat, defer, error, task, threads
from lariat.internet import Reactor, reactor


class Case(unittest.TestCase):
    def setUp(self):
        self.got = []

    def run_until(self, seconds=0.0):
        reactor.callLater(seconds, reactor.stop)
        reactor.run()

    def alive(self):
        gc.collect()
        return dict(_lariat._alive())


class DelayedCalls(Case):
    def test_order_and_arguments(self):
        reactor.callLater(0.002, self.got.append, 3)
        reactor.callLater(0.001, lambda *args, **kwargs: self.got.append((args, kwargs)), 2, two=2)
        reactor.callLater(0, self.got.append, 1)
        self.run_until(0.003)
        self.assertEqual(self.got, [1, ((2,), {"two": 2}), 3])

    def test_cancel(self):
        call = reactor.callLater(0, self.got.append, "never")
        self.assertTrue(call.active())
        call.cancel()
        self.assertFalse(call.active())
        self.assertRaises(error.AlreadyCancelled, call.cancel)
        self.assertRaises(error.AlreadyCancelled, call.reset, 1)
        self.run_until()
        self.assertEqual(self.got, [])

    def test_called(self):
        call = reactor.callLater(0, lambda: self.assertRaises(error.AlreadyCalled, call.cancel))
        self.run_until()
        self.assertRaises(error.AlreadyCalled, call.delay, 1)

    def test_reset_and_delay(self):
        calls = [reactor.callLater(1000, self.got.append, number) for number in range(3)]
        calls[0].reset(0.003)
        calls[1].delay(-999.999)
        calls[2].reset(0.002)
        calls[2].delay(1)
        self.assertGreater(calls[2].getTime(), calls[0].getTime())
        self.assertEqual(set(reactor.getDelayedCalls()), set(calls))
        self.run_until(0.005)
        self.assertEqual(self.got, [1, 0])
        self.assertEqual(reactor.getDelayedCalls(), [calls[2]])
        calls[2].cancel()

    def test_arguments_are_checked(self):
        self.assertRaises(AssertionError, reactor.callLater, -1, print)
        self.assertRaises(AssertionError, reactor.callLater, float("nan"), print)
        self.assertRaises(AssertionError, reactor.callLater, 1, "no function")
        self.assertRaises(TypeError, reactor.callLater, "one", print)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_exceptions_are_logged_and_the_others_go_on(self):
        reactor.callLater(0, lambda: 1 / 0)
        reactor.callFromThread(lambda: 1 / 0)
        reactor.callLater(0, self.got.append, "goes on")
        with self.assertLogs("lariat", logging.CRITICAL) as logs:
            self.run_until()
        self.assertEqual(self.got, ["goes on"])
        self.assertEqual([record.exc_info[0] for record in logs.records], [ZeroDivisionError] * 2)

    def test_what_waits_is_kept_and_what_is_over_is_let_go(self):
        class Callable:
            def __call__(self):
                pass

        references = []
        for _ in range(2):
            callable = Callable()
            references.append(weakref.ref(callable))
            call = reactor.callLater(0, callable)
        del callable
        gc.collect()
        self.assertIsNotNone(references[0]())
        call.cancel()
        self.assertIsNone(references[1]())
        self.run_until()
        self.assertIsNone(references[0]())


class Running(Case):
    def test_not_twice(self):
        def again():
            for run in reactor.run, reactor.iterate:
                self.assertRaises(error.ReactorAlreadyRunning, run)
            self.got.append(reactor.running)

        reactor.callLater(0, again)
        self.run_until()
        self.assertEqual(self.got, [True])
        self.assertFalse(reactor.running)

    def test_stop_needs_a_running_one(self):
        self.assertRaises(error.ReactorNotRunning, reactor.stop)

        def twice():
            reactor.stop()
            self.assertRaises(error.ReactorNotRunning, reactor.stop)
            self.got.append("stopped")

        reactor.callWhenRunning(twice)
        reactor.run()
        self.assertEqual(self.got, ["stopped"])

    def test_triggers(self):
        waits_for = defer.Deferred()
        for phase in ("after", "during", "before"):
            for event in ("startup", "shutdown"):
                reactor.addSystemEventTrigger(phase, event, self.got.append, f"{phase} {event}")
        reactor.addSystemEventTrigger("before", "shutdown", lambda: waits_for)
        waits_for.addCallback(self.got.append)
        removed = reactor.addSystemEventTrigger("before", "startup", self.got.append, "never")
        reactor.removeSystemEventTrigger(removed)
        self.assertRaises(ValueError, reactor.removeSystemEventTrigger, removed)
        reactor.callWhenRunning(self.got.append, "running")
        reactor.callWhenRunning(reactor.callLater, 0, reactor.stop)
        reactor.callWhenRunning(reactor.callLater, 0.002, waits_for.callback, "waited for")
        reactor.run()
        self.assertEqual(
            self.got,
            ["before startup", "during startup", "after startup", "running"]
            + ["before shutdown", "waited for", "during shutdown", "after shutdown"],
        )
        self.assertEqual(self.alive()["triggers"], 0)
        self.assertRaises(KeyError, reactor.addSystemEventTrigger, "between", "startup", print)
        self.assertRaises(KeyError, reactor.addSystemEventTrigger, "before", "lunch", print)

    def test_crash(self):
        trigger = reactor.addSystemEventTrigger("before", "shutdown", self.got.append, "never")
        reactor.callLater(0, reactor.crash)
        reactor.run()
        self.assertEqual(self.got, [])
        reactor.removeSystemEventTrigger(trigger)

    def test_iterate(self):
        reactor.callLater(0, self.got.append, 1)
        reactor.iterate()
        reactor.iterate(0.001)
        self.assertEqual(self.got, [1])
        reactor.crash()
        reactor.iterate()

    def test_others_of_the_same_thread(self):
        others = [Reactor() for _ in range(3)]
        for number, other in enumerate(others):
            other.callLater(0, self.got.append, number)
            other.callLater(0, other.stop)
            other.run()
        self.assertEqual(self.got, [0, 1, 2])

    def test_others_are_collected_with_all_that_waits_in_them(self):
        references = []
        for _ in range(10):
            other = Reactor()
            other.callLater(1000, other.stop)
            other.callFromThread(other.stop)
            other.addSystemEventTrigger("before", "shutdown", other.stop)
            references.append(weakref.ref(other))
        del other
        gc.collect()
        self.assertEqual([reference() for reference in references], [None] * 10)

    def test_on_another_thread(self):
        other = Reactor()
        other.callLater(0, lambda: self.got.append(threading.current_thread().name))
        other.callLater(0, other.stop)
        thread = threading.Thread(target=other.run, name="another")
        thread.start()
        thread.join()
        self.assertEqual(self.got, ["another"])
        other.callLater(0, other.stop)
        other.run()


class Threads(Case):
    def test_calls_come_in_order(self):
        def post(which):
            for number in range(1000):
                reactor.callFromThread(self.got.append, (which, number))

        posters = [threading.Thread(target=post, args=(which,)) for which in range(3)]

        def start():
            for poster in posters:
                poster.start()
            reactor.callInThread(end)

        def end():
            for poster in posters:
                poster.join()
            reactor.callFromThread(reactor.stop)

        reactor.callWhenRunning(start)
        reactor.run()
        for which in range(3):
            self.assertEqual([number for poster, number in self.got if poster == which], list(range(1000)))

    def test_a_thread_wakes_a_reactor_that_waits(self):
        def work():
            event.wait()
            reactor.callFromThread(reactor.stop)

        event = threading.Event()
        threading.Thread(target=work).start()
        reactor.callWhenRunning(event.set)
        reactor.run()

    def test_python_runs_while_the_reactor_waits(self):
        # Each needs the interpreter's lock again and again, which the reactor has to let go of in its wait.
        def work():
            for number in range(1000):
                self.got.append(number)
            reactor.callFromThread(reactor.stop)

        threading.Thread(target=work).start()
        reactor.run()
        self.assertEqual(len(self.got), 1000)

    def test_defer_to_thread(self):
        def work(*args, **kwargs):
            self.assertIsNot(threading.current_thread(), threading.main_thread())
            return args, kwargs

        finished = defer.gatherResults([threads.deferToThread(work, 1, two=2), threads.deferToThread(work)])
        finished.addBoth(self.got.append)
        finished.addBoth(lambda ignored: reactor.stop())
        reactor.run()
        self.assertEqual(self.got, [[((1,), {"two": 2}), ((), {})]])

    def test_defer_to_thread_that_fails(self):
        failing = threads.deferToThread(lambda: 1 / 0)
        failing.addErrback(lambda failure: self.got.append(failure.type))
        failing.addBoth(lambda ignored: reactor.stop())
        reactor.run()
        self.assertEqual(self.got, [ZeroDivisionError])

    def test_what_a_thread_of_the_pool_keeps_stays(self):
        local = threading.local()
        other = Reactor()
        other.suggestThreadPoolSize(1)

        def count():
            local.count = getattr(local, "count", 0) + 1
            return local.count

        def ask(last):
            self.got.append(last)
            if last == 3:
                other.stop()
            else:
                threads.deferToThreadPool(other, other, count).addCallback(ask)

        other.callWhenRunning(ask, 0)
        other.run()
        self.assertEqual(self.got, [0, 1, 2, 3])

    def test_exceptions_in_a_thread_are_logged(self):
        def work():
            try:
                raise ValueError("in a thread")
            finally:
                reactor.callFromThread(reactor.callLater, 0.005, reactor.stop)

        reactor.callInThread(work)
        with self.assertLogs("lariat", logging.CRITICAL) as logs:
            reactor.run()
        self.assertIs(logs.records[0].exc_info[0], ValueError)

    def test_blocking_call(self):
        def work():
            later = task.deferLater
            self.got.append(threads.blockingCallFromThread(reactor, later, reactor, 0.001, lambda: "answer"))
            try:
                threads.blockingCallFromThread(reactor, lambda: 1 / 0)
            except ZeroDivisionError as error:
                self.got.append(type(error))
            reactor.callFromThread(reactor.stop)

        threading.Thread(target=work).start()
        reactor.run()
        self.assertEqual(self.got, ["answer", ZeroDivisionError])


class Tasks(Case):
    def test_looping_call(self):
        loop = task.LoopingCall(lambda: self.got.append(1) or (len(self.got) == 3 and loop.stop()))
        loop.start(0.001).addBoth(lambda ended: self.got.append(ended is loop) or reactor.stop())
        reactor.run()
        self.assertEqual(self.got, [1, 1, 1, True])

    def test_cooperator(self):
        def work(name):
            for number in range(3):
                self.got.append((name, number))
                yield

        done = defer.DeferredList([task.coiterate(work("a")), task.coiterate(work("b"))])
        done.addBoth(lambda ignored: reactor.stop())
        reactor.run()
        self.assertEqual(self.got, [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)])

    def test_defer_later_can_be_cancelled(self):
        d = task.deferLater(reactor, 1000, self.got.append, "never")
        d.cancel()
        d.addErrback(lambda failure: self.got.append(failure.type))
        self.assertEqual((self.got, reactor.getDelayedCalls()), ([defer.CancelledError], []))

    def test_react(self):
        async def main(given, *args):
            self.got.extend([given is reactor, args])
            await task.deferLater(given, 0)

        with self.assertRaises(SystemExit) as ended:
            task.react(main, ["argument"])
        self.assertEqual((ended.exception.code, self.got), (0, [True, ("argument",)]))


if __name__ == "__main__":
    unittest.main()
