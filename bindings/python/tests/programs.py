"""Programs of their own, as the tests run them: what they print, and how they end."""

import os
import signal
import subprocess
import sys
import textwrap

SECONDS = 60

FIRST_PROGRAM = """\
from lariat.internet import reactor
from lariat.defer import Deferred

def multiply(a, b):
    d = Deferred()
    reactor.callLater(0, d.callback, a * b)
    return d

def print_result(result):
    print("The result is:", result)

d = multiply(3, 4)
d.addCallback(print_result)
reactor.run()
"""


def start(source, **options):
    """A program that runs, with its output as a pipe of lines."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", textwrap.dedent(source)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def run(source):
    """What a program ends with, what it prints, and what it says of errors."""
    program = start(source)
    try:
        output, errors = program.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGABRT)
        output, errors = program.communicate()
        raise AssertionError(f"the program hangs:\n{source}\n{output}\n{errors}") from None
    return program.returncode, output, errors
