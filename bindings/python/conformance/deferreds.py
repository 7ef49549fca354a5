#!/usr/bin/env python3
"""Runs Twisted's own tests of Deferreds with lariat.defer in the place of twisted.internet.defer.

    deferreds.py [trial's options and tests]

All of Twisted uses lariat's Deferreds then: trial, its reactor, its tests. What is left out is in deferreds_left_out.txt,
each with its reason.
"""

import importlib.util
import os
import sys
import types

MODULES = [
    "twisted.test.test_defer",
    "twisted.test.test_task",
    "twisted.internet.test.test_inlinecb",
    "twisted.internet.test.test_defer_await",
    "twisted.internet.test.test_defer_yieldfrom",
]
LEFT_OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "deferreds_left_out.txt")
# What Twisted's module has beside what lariat's has: it is taken from there, on lariat's Deferred.
TWISTEDS = ["AlreadyTryingToLockError", "DeferredFilesystemLock", "returnValue", "timeout"]


def put_in_place():
    """Makes lariat.defer what `from twisted.internet import defer` gives, with Twisted's Failure and Twisted's log."""
    from lariat import _lariat, defer, log

    spec = importlib.util.find_spec("twisted.internet.defer")
    twisteds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twisteds)
    from twisted import internet
    from twisted.python import failure

    class DebugInfo(defer.DebugInfo):
        def __del__(self):
            if self.failResult is not None:
                logger().critical("Unhandled error in Deferred:", isError=True)
                debug = self._getDebugTracebacks()
                logger().failure("(debug: {debugInfo})" if debug else "", self.failResult, debugInfo=debug)

    log.failure = lambda message, why: logger().failure(message, why)
    defer.Failure = failure.Failure
    _lariat._set_classes(
        failure.Failure,
        defer.CancelledError,
        defer.TimeoutError,
        defer.AlreadyCalledError,
        DebugInfo,
        defer._warn_of_itself,
    )
    failure._extraneous(defer._Running.go_on)
    defer._Return = twisteds._DefGen_Return
    for name in TWISTEDS:
        setattr(defer, name, getattr(twisteds, name))
    for name in ["Deferred", "CancelledError", "TimeoutError", "fail"]:
        setattr(twisteds, name, getattr(defer, name))
    # Names that the tests import for their annotations.
    for name, thing in vars(twisteds).items():
        if name.startswith("_") and not name.startswith("__") and not hasattr(defer, name):
            if not isinstance(thing, types.FunctionType):
                setattr(defer, name, thing)
    sys.modules["twisted.internet.defer"] = internet.defer = defer
    put_task_in_place()


def put_task_in_place():
    """The same of lariat.task, on Twisted's reactor."""
    from lariat import task
    from twisted import internet
    from twisted.internet import error, interfaces
    from twisted.python import failure
    from zope.interface import classImplements

    def the_reactor():
        return internet.reactor

    classImplements(task.Clock, interfaces.IReactorTime)
    classImplements(task._ClockCall, interfaces.IDelayedCall)
    task.Failure, task.error, task._the_reactor = failure.Failure, error, the_reactor
    task.log.failure = lambda message, why: logger().failure(message, why)
    sys.modules["twisted.internet.task"] = internet.task = task


def logger():
    from twisted.logger import Logger

    return Logger(namespace="twisted.internet.defer")


def left_out():
    """The tests that are left out, by their full names."""
    with open(LEFT_OUT, encoding="utf-8") as file:
        lines = [line.split("#")[0].strip() for line in file]
    return {line for line in lines if line}


def main():
    put_in_place()
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.scripts import trial
    from twisted.trial import runner

    names = left_out()
    load = runner.TestLoader.loadByNames

    def chosen(suite):
        import unittest

        if isinstance(suite, unittest.TestCase):
            return [] if suite.id() in names else [suite]
        tests = [test for part in suite for test in chosen(part)]
        return tests

    def load_by_names(self, *args, **kwargs):
        from twisted.trial.runner import TestSuite

        return TestSuite(chosen(load(self, *args, **kwargs)))

    runner.TestLoader.loadByNames = load_by_names
    given = sys.argv[1:]
    if not any(not argument.startswith("-") for argument in given):
        given += MODULES
    sys.argv[1:] = given
    trial.run()


if __name__ == "__main__":
    main()
