"""Whole programs: the first one, interrupts, exits, forks."""

import signal
import unittest

import programs


class FirstProgram(unittest.TestCase):
    def test_word_for_word(self):
        program = programs.start(programs.FIRST_PROGRAM)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.stderr.close)
        self.assertEqual(program.stdout.readline(), "The result is: 12\n")
        self.assertIsNone(program.poll(), "it runs until it is interrupted")
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=programs.SECONDS)
        self.assertEqual((program.returncode, output, errors), (0, "", ""))


class Programs(unittest.TestCase):
    def check(self, source, output="", errors="", code=0):
        ended, printed, said = programs.run(source)
        self.assertEqual((printed, ended), (output, code), said)
        if errors:
            self.assertIn(errors, said)
        else:
            self.assertEqual(said, "")


class Interrupts(Programs):
    def interrupt(self, source, number, output, code=0):
        program = programs.start(source)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.stderr.close)
        self.assertEqual(program.stdout.readline(), "running\n")
        program.send_signal(number)
        printed, said = program.communicate(timeout=programs.SECONDS)
        self.assertEqual((printed, program.returncode), (output, code), said)

    def test_sigterm_stops(self):
        source = """
            from lariat.internet import reactor
            reactor.addSystemEventTrigger("before", "shutdown", print, "shutting down")
            reactor.callWhenRunning(print, "running")
            reactor.run()
            print("stopped")
        """
        self.interrupt(source, signal.SIGTERM, "shutting down\nstopped\n")

    def test_keyboard_interrupt_in_a_wait_is_raised_by_run(self):
        source = """
            from lariat.internet import reactor
            reactor.callWhenRunning(print, "running")
            try:
                reactor.run(installSignalHandlers=False)
            except KeyboardInterrupt:
                print("raised", reactor.running)
        """
        self.interrupt(source, signal.SIGINT, "raised False\n")

    def test_own_handlers_are_kept(self):
        source = """
            import signal
            from lariat.internet import reactor
            signal.signal(signal.SIGINT, lambda *ignored: (print("mine"), reactor.callFromThread(reactor.stop)))
            reactor.callWhenRunning(print, "running")
            reactor.run()
        """
        self.interrupt(source, signal.SIGINT, "mine\n")

    def test_keyboard_interrupt_in_a_delayed_call(self):
        self.check(
            """
            from lariat.internet import reactor
            def interrupt():
                raise KeyboardInterrupt
            reactor.callLater(0, interrupt)
            try:
                reactor.run()
            except KeyboardInterrupt:
                print("raised", reactor.running)
            """,
            "raised False\n",
        )

    def test_keyboard_interrupt_in_a_callback(self):
        self.check(
            """
            from lariat.internet import reactor
            from lariat.defer import Deferred
            def interrupt(result):
                raise KeyboardInterrupt
            d = Deferred()
            d.addCallback(interrupt)
            d.addErrback(lambda failure: print(failure.type.__name__))
            reactor.callLater(0, d.callback, None)
            try:
                reactor.run()
            except KeyboardInterrupt:
                print("raised")
            """,
            "KeyboardInterrupt\nraised\n",
        )

    def test_keyboard_interrupt_from_a_thread(self):
        self.check(
            """
            from lariat.internet import reactor
            def interrupt():
                raise KeyboardInterrupt
            reactor.callFromThread(interrupt)
            reactor.callFromThread(print, "the others stay")
            try:
                reactor.run()
            except KeyboardInterrupt:
                print("raised")
            """,
            "the others stay\nraised\n",
        )


class Exits(Programs):
    def test_with_everything_alive(self):
        self.check(
            """
            import threading
            from lariat.internet import reactor
            from lariat.defer import Deferred, inlineCallbacks
            from lariat.task import LoopingCall
            d = Deferred(lambda d: print("never"))
            d.addBoth(print)
            waiting = Deferred()
            waiting.addCallback(lambda ignored: d)
            waiting.callback(None)
            @inlineCallbacks
            def generator():
                yield Deferred()
            running = generator()
            reactor.callLater(1000, print, "never")
            reactor.callFromThread(print, "never")
            reactor.addSystemEventTrigger("before", "shutdown", print, "never")
            LoopingCall(lambda: None).start(10)
            print("end")
            """,
            "end\n",
        )

    def test_inside_of_a_call(self):
        self.check(
            """
            import sys
            from lariat.internet import reactor
            def leave():
                sys.stdout.flush()
                import os
                print("leaving", flush=True)
                os._exit(3)
            reactor.callLater(0, leave)
            reactor.run()
            """,
            "leaving\n",
            code=3,
        )

    def test_waits_for_a_job(self):
        self.check(
            """
            import threading
            from lariat.internet import reactor
            began, go_on = threading.Event(), threading.Event()
            def job():
                began.set()
                go_on.wait()
                print("the job is done")
            reactor.callInThread(job)
            began.wait()
            import atexit
            atexit.register(go_on.set)
            """,
            "the job is done\n",
        )

    def test_with_a_daemon_thread_that_posts(self):
        self.check(
            """
            import threading
            from lariat.internet import reactor
            def post():
                while True:
                    reactor.callFromThread(len, "")
            began = threading.Event()
            def run():
                began.set()
                post()
            threading.Thread(target=run, daemon=True).start()
            began.wait()
            reactor.callLater(0.01, reactor.stop)
            reactor.run()
            print("end")
            """,
            "end\n",
        )

    def test_an_unhandled_failure_is_logged(self):
        self.check(
            """
            from lariat.defer import Deferred
            d = Deferred()
            d.addCallback(lambda ignored: 1 / 0)
            d.callback(None)
            """,
            errors="ZeroDivisionError: division by zero",
        )


class Forks(Programs):
    def test_what_was_made_before_answers_with_errors(self):
        code, output, errors = programs.run(
            """
            import os
            from lariat.internet import reactor
            from lariat.defer import Deferred
            before = Deferred()
            before.addCallback(print)
            call = reactor.callLater(1000, print)
            reactor.iterate()
            child = os.fork()
            if child == 0:
                def answer(call, *args):
                    try:
                        call(*args)
                        print("worked", call)
                    except RuntimeError as error:
                        print("error")
                answer(before.callback, 1)
                answer(before.addCallback, print)
                answer(reactor.callLater, 0, print)
                answer(reactor.run)
                answer(reactor.callFromThread, print)
                answer(call.cancel)
                after = Deferred()
                after.addCallback(print)
                after.callback("a new one works")
                del before, call, after
                os._exit(0)
            print(os.waitpid(child, 0)[1])
            before.callback("the parent's still works")
            """
        )
        self.assertEqual(output, "error\n" * 6 + "a new one works\n0\nthe parent's still works\n", errors)


if __name__ == "__main__":
    unittest.main()
