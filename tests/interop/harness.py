"""What the tests against other programs share.

A file's tests are the functions marked by @test, or @test("curl", "python:h11", ...) for those that need programs or packages;
by heavy=True and seconds=N those that take long: `FILE --list` prints the names of the others, `FILE --list --heavy` of these, with
their time limits behind them; `FILE NAME` runs one, in an empty folder of its own, and exits with 0, or with 77 and a reason when
something is missing. Nothing sleeps: who waits, waits for something, and no longer than DEADLINE.
"""

import importlib.util
import os
import re
import select
import shutil
import socket
import subprocess
import sys
from pathlib import Path

DEADLINE = 10
TESTS = {}


def test(*needs, heavy=False, seconds=0):
    """Marks a function as a test that needs these programs and packages."""
    if needs and callable(needs[0]):
        return test()(needs[0])

    def mark(function):
        TESTS[function.__name__] = function, needs, heavy, seconds
        return function

    return mark


def is_there(need):
    package = need.removeprefix("python:")
    return shutil.which(need) if package == need else importlib.util.find_spec(package)


def main():
    if sys.argv[1] == "--list":
        for name, (_, _, heavy, seconds) in TESTS.items():
            if heavy == ("--heavy" in sys.argv):
                print(name, seconds or "")
        return
    function, needs, _, _ = TESTS[sys.argv[1]]
    missing = [need for need in needs if not is_there(need)]
    if missing:
        print(f"skipped: {missing[0].removeprefix('python:')} is not installed")
        sys.exit(77)
    function()


class Program:
    """A program that runs until the test is done with it, and must not end before."""

    def __init__(self, *command, announces=r"Listening at (\S+)\n", stream="stdout", lasts=True):
        self.lasts, self.name = lasts, os.path.basename(str(command[0]))
        streams = {stream: subprocess.PIPE}
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, **streams)
        self.stream = getattr(self.process, stream)
        self.address = announces and self.line(announces)

    def line(self, pattern):
        """Waits for a line that has this in it; returns the pattern's group."""
        text = b""
        while not (found := re.search(pattern, text.decode(errors="replace"))):
            ready, _, _ = select.select([self.stream], [], [], DEADLINE)
            piece = os.read(self.stream.fileno(), 4096) if ready else b""
            assert piece, f"{self.name} did not say {pattern!r}, but {text!r}"
            text += piece
        return found.group(1)

    @property
    def host(self):
        return re.fullmatch(r"\w+://\[?(.*?)\]?:(\d+)", self.address).group(1)

    @property
    def url(self):
        return f"http://{self.address.partition('//')[2]}"

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    def connect(self):
        """A blocking connection, on which nothing waits for ever."""
        return socket.create_connection((self.host, self.port), timeout=DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _traceback):
        code = self.process.poll()
        self.process.kill()
        self.process.wait(DEADLINE)
        self.stream.close()
        assert kind or code is None or not self.lasts, f"{self.name} has ended with {code}"


def example(name, *arguments, **how):
    """One of the examples, as a server; `address` is where it listens."""
    return Program(Path(os.environ["LARIAT_EXAMPLES"]) / name, *arguments, **how)


def site(*arguments, **how):
    """tests/interop/site.c: a server with a page for each thing that one of HTTP does."""
    return Program(Path(os.environ["LARIAT_PROGRAMS"]) / "site", *(arguments or ("tcp://127.0.0.1:0",)), **how)


def run(*command, data=b"", code=0, seconds=DEADLINE):
    """Runs a program to its end; returns what it wrote."""
    done = subprocess.run([str(word) for word in command], input=data, stdout=subprocess.PIPE, timeout=seconds)
    assert done.returncode == code, f"{command[0]} has ended with {done.returncode}"
    return done.stdout


def everything(connection):
    """All that comes until the end."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def exactly(connection, length):
    """So many bytes."""
    received = bytearray()
    while len(received) < length:
        piece = connection.recv(min(65536, length - len(received)))
        assert piece, f"the end after {len(received)} of {length} bytes"
        received += piece
    return bytes(received)


def same(received, sent):
    """Compares, without printing megabytes."""
    if received == sent:
        return
    at = next((i for i, (a, b) in enumerate(zip(received, sent)) if a != b), min(len(received), len(sent)))
    raise AssertionError(f"{len(received)} bytes came of {len(sent)}; the first difference is at {at}: "
                         f"{received[at:at + 20]!r}, not {sent[at:at + 20]!r}")
