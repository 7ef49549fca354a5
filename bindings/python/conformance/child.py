"""Runs the tests of one module of Twisted on one reactor, and writes how each came out: a line of JSON each.

child.py REACTOR MODULE builder|process RESULTS [SKIPPED-TEST ...]
"""

import importlib
import json
import re
import sys
import unittest

CLASSES = {"epoll": "twisted.internet.epollreactor.EPollReactor", "lariat": "lariat.twisted.LariatReactor"}
#: Seconds for a test, where it does not say itself.
LIMIT = 60.0
#: The same of those that run a reactor of their own.
BUILT_LIMIT = 10.0


def name_of(test):
    """The same on every reactor: a class that ReactorBuilder has made has the reactor's name in its own."""
    return re.sub("_(Lariat|EPoll)ReactorTests", "_Tests", test.id())


def main(reactor, name, kind, path, left_out):
    if kind == "builder":
        from twisted.internet import epollreactor

        epollreactor.install()
    else:
        importlib.import_module(CLASSES[reactor].rpartition(".")[0]).install()
    from twisted.internet.test import reactormixins

    classes = [CLASSES[reactor]] if kind == "builder" else []
    reactormixins.ReactorBuilder._reactors = classes
    reactormixins.DEFAULT_TIMEOUT_DURATION = BUILT_LIMIT
    from twisted.trial import util

    util.DEFAULT_TIMEOUT_DURATION = LIMIT
    from twisted.trial import reporter, runner

    results = open(path, "a", buffering=1)

    class Reporter(reporter.TestResult):
        """What trial needs of one, and a line for each end."""

        shouldStop = False
        separator = ""

        def __init__(self, *ignored, **also_ignored):
            super().__init__()
            self.outcomes = {}

        def _note(self, test, outcome, why=""):
            # A test that fails in its own way and then in its clean-up has failed once.
            before = self.outcomes.get(test.id())
            if before == "failed" or before == "skipped" and outcome == "passed":
                return
            self.outcomes[test.id()] = outcome
            results.write(json.dumps([name_of(test), outcome, why]) + "\n")

        def addSuccess(self, test):
            super().addSuccess(test)
            self._note(test, "passed")

        def addSkip(self, test, reason):
            super().addSkip(test, reason)
            self._note(test, "skipped", str(reason))

        def addExpectedFailure(self, test, error, todo=None):
            super().addExpectedFailure(test, error, todo)
            self._note(test, "skipped", "expected to fail")

        def addUnexpectedSuccess(self, test, todo=None):
            super().addUnexpectedSuccess(test, todo)
            self._note(test, "passed")

        def addFailure(self, test, fail):
            super().addFailure(test, fail)
            self._note(test, "failed", self._text(fail))

        def addError(self, test, error):
            super().addError(test, error)
            self._note(test, "failed", self._text(error))

        @staticmethod
        def _text(why):
            get = getattr(why, "getTraceback", None)
            return get() if get else repr(why)

        def done(self):
            pass

        def startTest(self, test):
            super().startTest(test)
            results.write(json.dumps([test.id(), "begun", ""]) + "\n")

    left_out = set(left_out)

    def flat(suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from flat(test)
            else:
                yield test

    module = importlib.import_module(name)
    tests = [test for test in flat(runner.TestLoader().loadModule(module)) if name_of(test) not in left_out]
    if kind == "builder":
        suffix = CLASSES[reactor].rpartition(".")[2] + "Tests"
        tests = [test for test in tests if type(test).__name__.endswith(suffix)]
    ran = runner.TrialRunner(Reporter, mode=None, workingDirectory=path + ".trial", realTimeErrors=False)
    ran.run(runner.TrialSuite(tests))
    results.write(json.dumps(["", "over", ""]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:5], sys.argv[5:])
