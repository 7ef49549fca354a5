"""Child processes, and names that are looked up, by lariat.internet's reactor."""

import signal
import sys
import unittest

from lariat import defer, error, protocol
from lariat.internet import reactor
from test_network import Case


class Recorder(protocol.ProcessProtocol):
    """Keeps what it is told; `ended` fires with the reason."""

    def __init__(self):
        self.out, self.err, self.told = b"", b"", []
        self.ended = defer.Deferred()

    def connectionMade(self):
        self.told.append("made")

    def outReceived(self, data):
        self.out += data

    def errReceived(self, data):
        self.err += data

    def childConnectionLost(self, childFD):
        self.told.append(childFD)

    def processExited(self, reason):
        self.told.append("exited")

    def processEnded(self, reason):
        self.told.append("ended")
        self.ended.callback([reason.value])


class Processes(Case):
    def run_program(self, program, *args, **options):
        recorder = Recorder()
        reactor.spawnProcess(recorder, sys.executable, [sys.executable, "-c", program, *args], **options)
        return recorder

    def test_what_it_writes_and_how_it_ends(self):
        program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(len(sys.argv))"
        recorder = self.run_program(program, "x", env=None)
        (reason,) = self.wait_for(recorder.ended)
        self.assertIsInstance(reason, error.ProcessTerminated)
        self.assertEqual((reason.exitCode, reason.signal), (2, None))
        self.assertEqual((recorder.out, recorder.err), (b"out\n", b"err\n"))
        self.assertEqual(recorder.told[0], "made")
        self.assertEqual(recorder.told[-1], "ended")
        self.assertEqual({0, 1, 2, "exited"}, set(recorder.told[1:-1]))

    def test_what_is_written_to_it_and_its_environment(self):
        program = "import os, sys; print(os.environ['NAME'], sys.stdin.read())"
        recorder = self.run_program(program, env={"NAME": "value"})
        recorder.transport.write(b"in")
        recorder.transport.closeStdin()
        (reason,) = self.wait_for(recorder.ended)
        self.assertIsInstance(reason, error.ProcessDone)
        self.assertEqual(recorder.out, b"value in\n")

    def test_a_signal(self):
        recorder = self.run_program("import sys; sys.stdin.read()", env=None)
        recorder.transport.signalProcess("TERM")
        (reason,) = self.wait_for(recorder.ended)
        self.assertEqual((reason.exitCode, reason.signal), (None, signal.SIGTERM))
        self.assertRaises(error.ProcessExitedAlready, recorder.transport.signalProcess, "KILL")

    def test_a_terminal(self):
        recorder = self.run_program("import sys; print(sys.stdout.isatty())", env=None, usePTY=True)
        self.wait_for(recorder.ended)
        self.assertEqual(recorder.out, b"True\r\n")

    def test_no_such_program(self):
        self.assertRaises(FileNotFoundError, reactor.spawnProcess, Recorder(), "/no/such/program", ["x"])


class Names(Case):
    def test_an_address_is_itself(self):
        self.assertEqual(self.wait_for(reactor.resolve("192.0.2.1")), "192.0.2.1")

    def test_the_name_of_this_host(self):
        self.assertEqual(self.wait_for(reactor.resolve("localhost")), "127.0.0.1")

    def test_no_such_name(self):
        with self.assertRaises((error.DNSLookupError, error.TimeoutError)):
            self.wait_for(reactor.resolve("no-such-name.invalid"))


if __name__ == "__main__":
    unittest.main()
