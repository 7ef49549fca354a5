"""What Twisted's own tests do not ask of LariatReactor: the interpreter's end, its collector, forks, signals, plug-ins."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

SECONDS = 60
INSTALL = "from lariat.twisted import install; install()\nfrom twisted.internet import reactor, protocol, defer\n"


class Programs(unittest.TestCase):
    """Each is a program of its own, whose exit code and output are looked at."""

    def run_program(self, text, *, code=0, install=True, before=None):
        program = (INSTALL if install else "") + textwrap.dedent(text)
        child = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "ignore", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if before:
            before(child)
        out, err = child.communicate(timeout=SECONDS)
        self.assertEqual(child.returncode, code, out + err)
        return out, err

    def test_everything_alive_at_the_end(self):
        out, err = self.run_program(
            """
            class Echo(protocol.Protocol):
                def dataReceived(self, data):
                    self.transport.write(data)
            class Ends(protocol.Protocol):
                def connectionMade(self):
                    self.transport.write(b"x")
                def dataReceived(self, data):
                    print("over", flush=True)
                    raise SystemExit
            port = reactor.listenTCP(0, protocol.ServerFactory.forProtocol(Echo), interface="127.0.0.1")
            reactor.listenUDP(0, protocol.DatagramProtocol(), interface="127.0.0.1")
            import sys
            reactor.spawnProcess(protocol.ProcessProtocol(), sys.executable, ["python", "-c", "import sys; sys.stdin.read()"])
            reactor.callLater(1000, print)
            reactor.callInThread(lambda: None)
            reactor.resolve("localhost")
            reactor.connectTCP("127.0.0.1", port.getHost().port, protocol.ClientFactory.forProtocol(Ends))
            reactor.callLater(0.2, reactor.stop)
            reactor.run()
            """
        )
        self.assertEqual(out, "over\n")
        self.assertNotIn("IO Safety", err)

    def test_reactors_are_collected_with_what_is_open(self):
        self.run_program(
            """
            import gc, os, weakref
            from lariat.twisted import LariatReactor
            class Client(protocol.Protocol):
                # One that knew the reactor would be kept by zope.interface, which caches what classes provide.
                def connectionMade(self):
                    self.factory.made.append(self)
                    self.factory.reactor.crash()
            def one():
                reactor = LariatReactor()
                port = reactor.listenTCP(0, protocol.ServerFactory.forProtocol(protocol.Protocol), interface="127.0.0.1")
                factory = protocol.ClientFactory.forProtocol(Client)
                # What is logged is kept, until somebody wants the log.
                factory.made, factory.reactor, factory.noisy = [], reactor, False
                reactor.connectTCP("127.0.0.1", port.getHost().port, factory)
                reactor.listenUDP(0, protocol.DatagramProtocol(), interface="127.0.0.1")
                reactor.callLater(1000, lambda: reactor)
                reactor.run(installSignalHandlers=False)
                assert factory.made[0].transport.connected
                return weakref.ref(reactor), weakref.ref(port), weakref.ref(factory.made[0])
            one()
            gc.collect()
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(5):
                left = one()
                gc.collect()
                assert [thing() for thing in left] == [None, None, None], left
            after = len(os.listdir("/proc/self/fd"))
            assert after <= before, (before, after)
            """
        )

    def test_connections_leave_nothing(self):
        self.run_program(
            """
            import gc
            count = 0
            class Server(protocol.Protocol):
                def dataReceived(self, data):
                    self.transport.write(data)
                    self.transport.loseConnection()
            class Client(protocol.Protocol):
                def connectionMade(self):
                    self.transport.write(b"x" * 100)
                def connectionLost(self, reason):
                    global count
                    count += 1
                    if count < 200:
                        again()
                    else:
                        reactor.stop()
            port = reactor.listenTCP(0, protocol.ServerFactory.forProtocol(Server), interface="127.0.0.1")
            factory = protocol.ClientFactory.forProtocol(Client)
            factory.noisy = False
            def again():
                reactor.connectTCP("127.0.0.1", port.getHost().port, factory)
            again()
            reactor.run()
            gc.collect()
            left = [thing for thing in gc.get_objects() if isinstance(thing, (Server, Client))]
            assert len(left) <= 4, len(left)
            """
        )

    def test_a_keyboard_interrupt_of_a_callback_ends_the_loop(self):
        out, _ = self.run_program(
            """
            def interrupt():
                raise KeyboardInterrupt
            reactor.addSystemEventTrigger("before", "shutdown", print, "shutdown")
            reactor.callLater(0, interrupt)
            try:
                reactor.run()
            except KeyboardInterrupt:
                print("interrupted")
            """
        )
        self.assertEqual(out, "shutdown\ninterrupted\n")

    def test_sigint_stops_it(self):
        def interrupt(child):
            self.assertEqual(child.stdout.readline(), "running\n")
            child.send_signal(signal.SIGINT)

        out, _ = self.run_program(
            """
            reactor.callWhenRunning(print, "running", flush=True)
            reactor.addSystemEventTrigger("before", "shutdown", print, "shutdown")
            reactor.run()
            """,
            before=interrupt,
        )
        self.assertEqual(out, "shutdown\n")

    def test_any_handler_of_pythons_is_called_while_it_waits(self):
        self.run_program(
            """
            import os, signal, threading
            signal.signal(signal.SIGUSR1, lambda *ignored: reactor.callFromThread(reactor.stop))
            def send():
                os.kill(os.getpid(), signal.SIGUSR1)
            reactor.callWhenRunning(lambda: threading.Timer(0.2, send).start())
            reactor.run()
            """
        )

    def test_a_reactor_runs_in_a_forked_child(self):
        out, _ = self.run_program(
            """
            import os
            reactor.callLater(0, print, "called in", "the child", flush=True)
            if os.fork():
                os.wait()
                os._exit(0)
            class Echo(protocol.Protocol):
                def dataReceived(self, data):
                    self.transport.write(data)
            class Client(protocol.Protocol):
                def connectionMade(self):
                    self.transport.write(b"x")
                def dataReceived(self, data):
                    print("echoed", flush=True)
                    reactor.stop()
            port = reactor.listenTCP(0, protocol.ServerFactory.forProtocol(Echo), interface="127.0.0.1")
            reactor.connectTCP("127.0.0.1", port.getHost().port, protocol.ClientFactory.forProtocol(Client))
            reactor.run()
            """
        )
        self.assertEqual(out, "called in the child\nechoed\n")


class Selection(unittest.TestCase):
    def test_twist_and_trial_find_it(self):
        for words in (["twisted.trial", "--help-reactors"], ["twisted", "--help"]):
            done = subprocess.run([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True, timeout=SECONDS)
            self.assertIn("lariat", done.stdout)

    def test_twist_runs_on_it(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "index.txt"), "w") as file:
                file.write("served by lariat")
            command = [sys.executable, "-m", "twisted", "--reactor=lariat", "--log-format=text", "web", "--path", folder,
                       "--listen", "tcp:0:interface=127.0.0.1"]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                for line in child.stdout:
                    if "Site starting on " in line:
                        port = line.split("Site starting on ")[1].split()[0]
                        break
                else:
                    self.fail("it has ended")
                import urllib.request

                with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.txt", timeout=SECONDS) as answer:
                    self.assertEqual(answer.read(), b"served by lariat")
            finally:
                child.send_signal(signal.SIGTERM)
                child.communicate(timeout=SECONDS)


if __name__ == "__main__":
    unittest.main()
