"""tail beside sh, mv and kill, which write and rename what it follows."""

import os
import re
import select
import subprocess
from pathlib import Path

from harness import DEADLINE, Program, main, run, same, test

TAIL = Path(os.environ["LARIAT_EXAMPLES"]) / "tail"


class Tail(Program):
    """A tail of ./files, and what it has shown, by file."""

    def __init__(self, *arguments, lasts=True):
        Path("files").mkdir(exist_ok=True)
        self.text = b""
        super().__init__(TAIL, *arguments, "files", announces=None, lasts=lasts)

    def reads(self, seconds=DEADLINE):
        ready, _, _ = select.select([self.stream], [], [], seconds)
        piece = os.read(self.stream.fileno(), 65536) if ready else b""
        self.text += piece
        return piece

    def shown(self):
        parts = re.split(rb"(?:^|\n)==> (.*) <==\n", self.text)
        assert parts[0] == b"", parts[0]
        shown = {}
        for name, text in zip(parts[1::2], parts[2::2]):
            shown[name.decode()] = shown.get(name.decode(), b"") + text
        return shown

    def sees(self, name, text):
        """Waits until all that was shown of this file is so."""
        while self.shown().get(name) != text:
            assert self.reads(), f"{self.shown()}, not {text!r} in {name}"

    def is_awake(self):
        """Waits until what is written is shown, without -a: what is in a file before it is listed is not."""
        probe = Path("files/probe")
        while not self.text:
            with probe.open("ab") as file:
                file.write(b"probe\n")
            self.reads(0.05)


def sh(command):
    run("sh", "-c", command)


@test("sh")
def what_is_appended():
    Path("files").mkdir()
    Path("files/old").write_bytes(b"before\n")
    with Tail() as tail:
        tail.is_awake()
        sh("echo one >> files/old")
        tail.sees("old", b"one\n")
        sh("printf two >> files/old")
        tail.sees("old", b"one\ntwo")
        sh("echo first > files/new")
        tail.sees("new", b"first\n")


@test("sh")
def all_that_is_there():
    Path("files").mkdir()
    Path("files/old").write_bytes(b"before\n")
    Path("files/empty").write_bytes(b"")
    os.mkfifo("files/pipe")
    with Tail("-a") as tail:
        tail.sees("old", b"before\n")
        sh("echo after >> files/old; echo more >> files/empty")
        tail.sees("old", b"before\nafter\n")
        tail.sees("empty", b"more\n")


@test("mv")
def files_that_are_rotated():
    with Tail("-a") as tail:
        for number in range(20):
            sh(f"echo before {number} >> files/log")
            tail.sees("log", b"".join(b"before %d\n" % i for i in range(number + 1)))
            run("mv", "files/log", f"files/log.{number}")
            sh(f"echo late {number} >> files/log.{number}")
            shown = b""
            while b"late %d\n" % number not in shown:
                assert tail.reads(), tail.shown()
                shown = b"".join(tail.shown().values())
        assert tail.text.count(b"before") == tail.text.count(b"late") == 20, tail.text


@test("mv")
def a_file_that_is_replaced():
    with Tail("-a") as tail:
        sh("echo first > files/a")
        tail.sees("a", b"first\n")
        sh("echo second > beside; mv beside files/a")
        tail.sees("a", b"first\nsecond\n")
        sh("echo third >> files/a; rm files/a; echo fourth > files/a")
        while not tail.shown()["a"].endswith(b"fourth\n"):
            assert tail.reads(), tail.shown()
        assert tail.shown()["a"] in (b"first\nsecond\nthird\nfourth\n", b"first\nsecond\nfourth\n")


@test("sh")
def a_file_that_is_cut_short():
    with Tail("-a") as tail:
        sh("echo a long line that will be gone > files/a")
        tail.sees("a", b"a long line that will be gone\n")
        sh(": > files/a")
        sh("echo short >> files/a")
        tail.sees("a", b"a long line that will be gone\nshort\n")


@test("sh")
def directories_below():
    with Tail("-a", "-r") as tail:
        sh("mkdir -p files/one/two; echo deep > files/one/two/a; echo flat > files/b")
        tail.sees("one/two/a", b"deep\n")
        tail.sees("b", b"flat\n")
        run("mv", "files/one", "files/other")
        sh("echo deeper >> files/other/two/a")
        while b"deeper" not in tail.text:
            assert tail.reads()
        assert tail.text.count(b"deep\n") == 1


@test("sh")
def many_who_write_at_once():
    count = 1000
    with Tail("-a") as tail:
        write = "i=0; while [ $i -lt {0} ]; do echo $0 $i >> files/$0; i=$((i + 1)); done"
        writers = [subprocess.Popen(["sh", "-c", write.format(count), f"w{number}"]) for number in range(5)]
        for number, writer in enumerate(writers):
            wanted = "".join(f"w{number} {i}\n" for i in range(count)).encode()
            tail.sees(f"w{number}", wanted)
            assert writer.wait(DEADLINE) == 0


@test
def a_slow_reader_gets_it_all():
    Path("files").mkdir()
    much = os.urandom(5_000_000).replace(b"==>", b"===")
    Path("files/much").write_bytes(much)
    with Tail("-a") as tail:
        for piece in iter(lambda: os.read(tail.stream.fileno(), 4096), b""):
            tail.text += piece
            if len(tail.text) >= len(much) + len(b"==> much <==\n"):
                break
        same(tail.shown()["much"], much)


@test("kill")
def its_end():
    with Tail("-a", lasts=False) as tail:
        sh("echo line > files/a")
        tail.sees("a", b"line\n")
        run("kill", "-TERM", tail.process.pid)
        assert tail.process.wait(DEADLINE) == 0


@test
def the_end_of_its_reader():
    with Tail("-a", lasts=False) as tail:
        tail.stream.close()
        assert tail.process.wait(DEADLINE) == 1


@test
def the_end_of_the_directory():
    with Tail("-a", lasts=False) as tail:
        sh("echo line > files/a")
        tail.sees("a", b"line\n")
        sh("rm -r files")
        assert tail.process.wait(DEADLINE) == 1
    run(TAIL, "no-such-directory", code=1)
    run(TAIL, "-x", code=2)


main()
