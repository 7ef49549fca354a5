"""Deferreds: what Twisted's own tests of them do not ask. Those run on lariat.defer too: see conformance/deferreds.py."""

import asyncio
import gc
import logging
import pickle
import threading
import traceback
import unittest
import weakref

from lariat import _lariat, defer, task
from lariat.defer import Deferred, fail, succeed
from lariat.failure import Failure
from lariat.internet import reactor


def alive():
    gc.collect()
    return dict(_lariat._alive())


class Chains(unittest.TestCase):
    def test_arguments(self):
        got = []
        d = Deferred()
        d.addCallback(lambda result, *args, **kwargs: got.append((result, args, kwargs)), 1, 2, three=3)
        d.addCallbacks(lambda r, a, b=None: got.append((r, a, b)), None, (4,), {"b": 5})
        d.addCallbacks(lambda r: 1 / 0, None)
        d.addCallbacks(lambda r: got.append("never"), lambda f, a: got.append((f.type, a)), errbackArgs=[6])
        d.addBoth(lambda r, a: got.append((r, a)), 7)
        d.callback("value")
        self.assertEqual(
            got, [("value", (1, 2), {"three": 3}), (None, 4, 5), (ZeroDivisionError, 6), (None, 7)]
        )

    def test_a_failure_that_is_returned_goes_to_the_errbacks(self):
        got = []
        d = succeed(1).addCallback(lambda r: Failure(ValueError("no"))).addErrback(lambda f: got.append(f.value.args))
        self.assertEqual((got, d.result), ([("no",)], None))

    def test_tracebacks_are_kept(self):
        def broken(result):
            return deeper()

        def deeper():
            raise ValueError("deep")

        got = []
        succeed(None).addCallback(broken).addErrback(got.append)
        names = [frame.name for frame in traceback.extract_tb(got[0].tb)]
        self.assertEqual(names, ["broken", "deeper"])
        try:
            got[0].raiseException()
        except ValueError as error:
            names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        self.assertEqual(names[-2:], ["broken", "deeper"])

    def test_a_callback_may_do_anything_to_its_deferred(self):
        got = []
        d = Deferred()

        def first(result):
            d.addCallback(got.append)
            d.pause()
            self.assertRaises(defer.AlreadyCalledError, d.callback, 2)
            d.cancel()
            return result + 1

        d.addCallback(first).callback(1)
        self.assertEqual(got, [])
        d.unpause()
        self.assertEqual(got, [2])

    def test_long_chains_take_no_stack(self):
        last = Deferred()
        waiting = last
        for _ in range(20000):
            outer = Deferred()
            outer.addCallback(lambda ignored, inner=waiting: inner)
            outer.callback(None)
            waiting = outer
        got = []
        waiting.addCallback(got.append)
        del outer
        last.callback("at last")
        self.assertEqual(got, ["at last"])

    def test_cancelling_goes_to_the_end_of_a_long_chain(self):
        cancelled = []
        waiting = Deferred(cancelled.append)
        for _ in range(1000):
            outer = Deferred()
            outer.addCallback(lambda ignored, inner=waiting: inner)
            outer.callback(None)
            waiting = outer
        got = []
        waiting.addErrback(lambda failure: got.append(failure.type))
        waiting.cancel()
        self.assertEqual((len(cancelled), got), (1, [defer.CancelledError]))

    def test_one_that_is_waited_for_can_be_used_on(self):
        got = []
        inner = Deferred()
        outer = succeed(None).addCallback(lambda ignored: inner)
        other = succeed(None).addCallback(lambda ignored: inner)
        inner.addCallback(lambda result: got.append(("inner", result)) or "of inner")
        outer.addCallback(lambda result: got.append(("outer", result)))
        other.addCallback(lambda result: got.append(("other", result)))
        inner.callback("value")
        self.assertEqual(got, [("outer", "value"), ("other", None), ("inner", None)])
        self.assertEqual(inner.result, "of inner")

    def test_a_late_fire_after_the_cancellation_of_who_waited_is_swallowed(self):
        inner = Deferred()
        outer = succeed(None).addCallback(lambda ignored: inner)
        outer.addErrback(lambda failure: failure.type)
        outer.cancel()
        self.assertIs(outer.result, defer.CancelledError)
        inner.callback("late")
        self.assertRaises(defer.AlreadyCalledError, inner.callback, "too late")

    def test_a_ring_fails_instead_of_hanging(self):
        one, two = Deferred(), Deferred()
        one.addCallback(lambda ignored: two)
        two.addCallback(lambda ignored: one)
        one.callback(None)
        two.callback(None)
        got = []
        one.addErrback(lambda failure: got.append(failure.type))
        self.assertEqual(got, [RuntimeError])

    def test_recursion_is_an_error_like_any_other(self):
        got = []

        def again(depth):
            d = Deferred()
            d.addCallback(again)
            d.addErrback(lambda failure: got.append(failure.type))
            d.callback(depth + 1)

        again(0)
        self.assertIn(RecursionError, got)

    def test_subclasses(self):
        class Named(Deferred):
            def __init__(self, name, canceller=None):
                super().__init__(canceller)
                self.name = name

        got = []
        d = Named("mine", got.append)
        d.addErrback(lambda failure: failure.type)
        d.cancel()
        self.assertEqual((got, d.name, d.result), ([d], "mine", defer.CancelledError))

    def test_attributes_and_weak_references(self):
        d = Deferred()
        d.note = "mine"
        reference = weakref.ref(d)
        self.assertEqual(reference().note, "mine")
        del d
        self.assertIsNone(reference())

    def test_failures_can_be_pickled(self):
        got = []
        succeed(None).addCallback(lambda ignored: 1 / 0).addErrback(got.append)
        again = pickle.loads(pickle.dumps(got[0]))
        self.assertEqual((again.type, again.check(ArithmeticError)), (ZeroDivisionError, ArithmeticError))
        self.assertIn("division by zero", again.getTraceback())


class TimeOuts(unittest.TestCase):
    def run_until_fired(self, deferred):
        deferred.addBoth(lambda ignored: reactor.stop())
        reactor.run()

    def test_by_the_library(self):
        got = []
        d = Deferred()
        d.addTimeout(0.001, reactor)
        d.addErrback(got.append)
        self.run_until_fired(d)
        self.assertIs(got[0].type, defer.TimeoutError)
        self.assertEqual(got[0].value.args, (0.001, "Deferred"))
        d.callback("late")

    def test_without_callbacks(self):
        d = Deferred()
        d.addTimeout(0.001, reactor)
        reactor.callLater(0.002, lambda: self.run_until_it_is(d))
        reactor.run()
        self.assertIs(d.result.type, defer.TimeoutError)
        d.addErrback(lambda failure: None)

    def run_until_it_is(self, deferred):
        if deferred.called:
            reactor.stop()
        else:
            reactor.callLater(0.001, self.run_until_it_is, deferred)

    def test_in_time(self):
        got = []
        d = Deferred()
        d.addTimeout(60, reactor)
        d.addCallback(got.append)
        d.callback("in time")
        self.assertEqual((got, alive()["delayed_calls"]), (["in time"], 0))

    def test_another_failure_keeps_its_name(self):
        got = []
        d = Deferred(lambda d: d.errback(ValueError("mine")))
        d.addTimeout(0.001, reactor)
        d.addErrback(lambda failure: got.append(failure.type))
        self.run_until_fired(d)
        self.assertEqual(got, [ValueError])

    def test_one_that_waits_for_another(self):
        got, cancelled = [], []
        inner = Deferred(cancelled.append)
        d = succeed(None).addCallback(lambda ignored: inner)
        d.addTimeout(0.001, reactor)
        d.addErrback(lambda failure: got.append(failure.type))
        inner.addCallback(lambda ignored: got.append("inner goes on"))
        self.run_until_fired(d)
        reactor.iterate()
        self.assertEqual((got[0], cancelled), (defer.TimeoutError, [inner]))

    def test_on_another_clock(self):
        got = []
        clock = task.Clock()
        d = Deferred()
        d.addTimeout(5, clock, lambda result, seconds: got.append((result.type, seconds)))
        clock.advance(5)
        self.assertEqual(got, [(defer.CancelledError, 5)])


class Coroutines(unittest.TestCase):
    def test_await(self):
        later = Deferred()

        async def add():
            try:
                await fail(ValueError("caught"))
            except ValueError as error:
                return await later + await succeed(2), error.args

        d = defer.ensureDeferred(add())
        self.assertFalse(d.called)
        later.callback(40)
        self.assertEqual(d.result, (42, ("caught",)))

    def test_a_tuple_is_awaited_as_one(self):
        async def pair():
            return await succeed((1, 2))

        self.assertEqual(defer.ensureDeferred(pair()).result, (1, 2))

    def test_inline_callbacks_can_be_cancelled(self):
        cancelled = []
        waits_for = Deferred(cancelled.append)

        @defer.inlineCallbacks
        def generator():
            try:
                yield waits_for
            except defer.CancelledError:
                return "cancelled"

        d = generator()
        d.cancel()
        self.assertEqual((cancelled, d.result), ([waits_for], "cancelled"))

    def test_asyncio_and_back(self):
        async def main():
            d = Deferred()
            asyncio.get_running_loop().call_soon(d.callback, 42)
            there = await d.asFuture(asyncio.get_running_loop())
            future = asyncio.get_running_loop().create_future()
            back = Deferred.fromFuture(future)
            future.set_result(there + 1)
            await asyncio.sleep(0)
            return back.result

        self.assertEqual(asyncio.run(main()), 43)


class Lifetimes(unittest.TestCase):
    def setUp(self):
        self.before = alive()

    def check_nothing_left(self):
        self.assertEqual(alive(), self.before)

    def test_nothing_is_left_of_any_of_them(self):
        for end in ("fire", "fail", "cancel", "pause", "drop"):
            for _ in range(100):
                d = Deferred()
                d.addCallbacks(lambda result: result, lambda failure: None)
                if end == "fire":
                    d.callback(1)
                elif end == "fail":
                    d.errback(ValueError())
                elif end == "cancel":
                    d.cancel()
                elif end == "pause":
                    d.pause()
                    d.callback(1)
            del d
            self.assertEqual((end, alive()), (end, self.before))

    def test_cycles_are_collected(self):
        class Owner:
            def __init__(self):
                self.deferred = Deferred(self.cancel)
                self.deferred.addCallback(self.callback, self, deferred=self.deferred)

            def cancel(self, deferred):
                pass

            def callback(self, result, owner, deferred):
                pass

        references = [weakref.ref(Owner()) for _ in range(100)]
        gc.collect()
        self.assertEqual([reference() for reference in references], [None] * 100)
        self.check_nothing_left()

    def test_cycles_of_those_that_wait_are_collected(self):
        for paused in False, True:
            inner, outer = Deferred(), Deferred()
            inner.outer = outer
            outer.addCallback(lambda ignored, inner=inner: inner)
            outer.addCallback(self.fail)
            if paused:
                outer.pause()
            outer.callback(None)
            inner.addCallback(self.fail)
            del inner, outer
            self.check_nothing_left()

    def test_who_waits_is_kept_alive_by_what_it_waits_for(self):
        got = []
        inner = Deferred()
        succeed(None).addCallback(lambda ignored: inner).addCallback(got.append)
        gc.collect()
        inner.callback("value")
        self.assertEqual(got, ["value"])
        del inner
        self.check_nothing_left()

    def test_callables_are_let_go_when_they_have_been_called(self):
        class Callback:
            def __call__(self, result):
                return result

        callback = Callback()
        reference = weakref.ref(callback)
        d = Deferred()
        d.addCallback(callback)
        del callback
        self.assertIsNotNone(reference())
        d.callback(None)
        self.assertIsNone(reference())

    def test_results_are_let_go_when_others_follow(self):
        class Result:
            pass

        result = Result()
        reference = weakref.ref(result)
        d = succeed(result)
        del result
        self.assertIsNotNone(reference())
        d.addCallback(lambda ignored: None)
        self.assertIsNone(reference())

    def test_an_unhandled_failure_is_logged_once_when_it_is_collected(self):
        with self.assertLogs("lariat", logging.CRITICAL) as logs:
            d = Deferred()
            d.cycle = d
            d.addCallback(lambda ignored: 1 / 0)
            d.callback(None)
            gc.collect()
            self.assertEqual(len(logs.records), 0)
            del d
            gc.collect()
        self.assertEqual(len(logs.records), 1)
        self.assertIs(logs.records[0].exc_info[0], ZeroDivisionError)

    def test_a_failure_that_moved_on_is_not_logged(self):
        with self.assertNoLogs("lariat"):
            inner = Deferred()
            outer = succeed(None).addCallback(lambda ignored: inner)
            inner.errback(ValueError())
            del inner
            gc.collect()
            outer.addErrback(lambda failure: None)
            fail(ValueError()).addErrback(lambda failure: None)
            del outer
            gc.collect()


    def test_the_collector_at_any_time(self):
        limits = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *limits)
        gc.set_threshold(1)
        got = []
        for number in range(200):
            inner = Deferred()
            d = Deferred()
            d.addCallback(lambda ignored, inner=inner: inner)
            d.addCallback(lambda result: result + 1)
            d.addCallback(got.append)
            d.callback(None)
            inner.callback(number)
        gc.set_threshold(*limits)
        self.assertEqual(got, list(range(1, 201)))


class OtherThreads(unittest.TestCase):
    def in_thread(self, call):
        results = []

        def run():
            try:
                results.append(call())
            except BaseException as error:
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return results[0]

    def test_one_made_there_works_there(self):
        got = []

        def work():
            d = Deferred()
            d.addCallback(lambda result: succeed(result + 1)).addCallback(got.append)
            d.callback(1)
            inner = Deferred()
            succeed(None).addCallback(lambda ignored: inner).addCallback(got.append)
            inner.callback(3)
            return dict(_lariat._alive())["deferreds"]

        self.in_thread(work)
        self.assertEqual(got, [2, 3])

    def test_one_from_there_goes_on_here(self):
        got = []
        d = self.in_thread(lambda: Deferred().addCallback(lambda result: result + 1))
        d.addCallback(got.append)
        d.callback(1)
        self.assertEqual(got, [2])

    def test_one_from_here_goes_on_there(self):
        got = []
        d = Deferred().addCallback(got.append)
        self.assertIsNone(self.in_thread(lambda: d.callback(1)))
        self.assertEqual(got, [1])
        self.assertIsNone(self.in_thread(lambda: d.addCallback(lambda ignored: got.append(2)) and None))
        succeed(None).addCallback(lambda ignored: got.append(3))
        self.assertEqual(got, [1, 2, 3])

    def test_one_of_there_is_waited_for_here(self):
        got = []
        inner = self.in_thread(Deferred)
        self.in_thread(lambda: inner.addCallback(lambda result: result) and None)
        outer = Deferred()
        outer.addCallback(lambda ignored: inner).addCallback(got.append)
        outer.callback(None)
        inner.callback("from there")
        self.assertEqual(got, ["from there"])

    def test_cancelling_reaches_the_one_of_there(self):
        got = []
        inner = self.in_thread(lambda: Deferred(got.append).addCallback(lambda result: result))
        outer = Deferred()
        outer.addCallback(lambda ignored: inner).addErrback(lambda failure: got.append(failure.type))
        outer.callback(None)
        outer.cancel()
        self.assertEqual(got, [inner, defer.CancelledError])

    def test_collected_there(self):
        before = alive()
        box = [Deferred().addCallback(lambda ignored: None) for _ in range(10)]
        self.in_thread(box.clear)
        succeed(None)
        reactor.iterate()
        self.assertEqual(alive(), before)

    def test_while_the_reactor_runs_it_is_refused(self):
        d = Deferred().addCallback(lambda ignored: None)
        results = []

        def ask():
            results.append(self.in_thread(lambda: d.callback(1)))
            reactor.stop()

        reactor.callLater(0, ask)
        reactor.run()
        self.assertIsInstance(results[0], RuntimeError)
        self.assertIn("thread", str(results[0]))
        d.callback(2)
        self.assertEqual(d.result, None)


if __name__ == "__main__":
    unittest.main()
