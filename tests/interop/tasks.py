"""The task runner: sh, kill, seq and head run by it, or beside it."""

import os
import subprocess
import sys
from pathlib import Path

from harness import DEADLINE, main, run, same, test

RUNNER = Path(os.environ["LARIAT_EXAMPLES"]) / "task_runner"


def tasks(*arguments, data=b"", code=0):
    """Runs them; what is shown, without how long they took: [(number, outcome, command, output)]."""
    shown = []
    for line in run(RUNNER, *arguments, data=data, code=code).decode().splitlines(keepends=True):
        if line.startswith("["):
            head, _, command = line[1:].rstrip("\n").partition(": ")
            number, _, outcome = head.partition("] ")
            shown.append([int(number), outcome.partition(" in ")[0], command, []])
        else:
            shown[-1][3].append(line)
    return [[*entry, "".join(lines)] for *entry, lines in shown]


class Runner:
    """One that is still running."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([RUNNER, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


def holder(name):
    """Shell that holds this named pipe open as long as it lives, and a descriptor that ends with the last who does."""
    os.mkfifo(name)
    return f"exec 3> {name}", lambda: open(name, "rb")


@test("sh")
def codes_and_both_streams():
    shown = tasks("-k", "echo out; exit 0", "echo err >&2; exit 7", "kill -TERM $$", "no-such-program", code=1)
    assert [entry[:2] for entry in shown] == [[1, "exit 0"], [2, "exit 7"], [3, "signal 15"], [4, "exit 127"]], shown
    assert [entry[3] for entry in shown[:3]] == ["out\n", "err\n", ""], shown
    assert "no-such-program" in shown[3][3], shown
    assert tasks("true", "true")[0][1] == "exit 0"


@test("sh")
def they_run_side_by_side_and_what_each_writes_stays_together():
    os.mkfifo("there")
    os.mkfifo("back")
    one = "for i in 1 2 3; do echo one $i; echo > there; read x < back; done"
    two = "for i in 1 2 3; do read x < there; echo two $i; echo > back; done"
    shown = sorted(tasks("-j", "2", one, two))
    assert shown[0][3] == "one 1\none 2\none 3\n" and shown[1][3] == "two 1\ntwo 2\ntwo 3\n", shown


@test("sh")
def no_more_than_so_many_at_once():
    assert all(entry[1] == "exit 0" for entry in tasks("-j", "1", *["mkdir one && rmdir one"] * 50))
    counts = tasks("-j", "3", *["mkdir run$$; set -- run*; echo $#; sleep 0.01; rmdir run$$"] * 30)
    assert all(int(entry[3]) <= 3 for entry in counts), counts


@test("sh")
def one_that_takes_too_long_is_ended_with_all_its_children():
    hold, reads = holder("alive")
    runner = subprocess.Popen([RUNNER, "-t", "0.3", f"{hold}; sleep 1000 & sleep 1000"], stdout=subprocess.PIPE)
    with reads() as alive, runner:
        assert alive.read() == b""
        assert b"[1] took longer than 0.3 s" in runner.stdout.read()
        assert runner.wait(DEADLINE) == 1


@test("sh")
def what_is_left_behind_is_ended():
    hold, reads = holder("alive")
    runner = subprocess.Popen([RUNNER, f"{hold}; sleep 1000 & echo left"], stdout=subprocess.PIPE)
    with reads() as alive, runner:
        assert alive.read() == b""
        assert runner.stdout.read().endswith(b"\nleft\n")
        assert runner.wait(DEADLINE) == 0


@test("seq")
def megabytes_are_whole():
    shown = sorted(tasks("-j", "3", *["seq 300000"] * 3))
    wanted = "".join(f"{number}\n" for number in range(1, 300_001))
    for entry in shown:
        same(entry[3].encode(), wanted.encode())


@test("sh")
def commands_from_the_standard_input():
    commands = "\n".join(f"echo number {number}" for number in range(1, 501))
    shown = tasks("-k", "-j", "8", "-", data=commands.encode())
    assert [entry[3] for entry in shown] == [f"number {number}\n" for number in range(1, 501)]
    Path("commands").write_text("echo from a file\n\nexit 4\n")
    with open("commands", "rb") as file:
        done = subprocess.run([RUNNER, "-k", "-"], stdin=file, stdout=subprocess.PIPE, timeout=DEADLINE)
    assert done.returncode == 1 and b"\nfrom a file\n[2] exit 4" in done.stdout, done
    assert tasks("-", data=b"") == []


@test("kill")
def a_signal_asks_them_to_end():
    os.mkfifo("ready")
    waits = "trap 'echo asked; exit 5' TERM; echo > ready; while :; do sleep 1000 & wait; done"
    with Runner("-j", "1", waits, "echo never") as runner:
        Path("ready").read_bytes()
        run("kill", "-INT", runner.process.pid)
        said, _ = runner.process.communicate(timeout=DEADLINE)
        assert b"[1] exit 5" in said and b"asked\n" in said and b"never" not in said, said
        assert runner.process.returncode == 1


@test("kill")
def a_second_signal_kills_them():
    os.mkfifo("ready")
    with Runner("trap 'echo > ready' TERM; echo > ready; while :; do sleep 0.01; done") as runner:
        Path("ready").read_bytes()
        run("kill", "-TERM", runner.process.pid)
        Path("ready").read_bytes()
        run("kill", "-TERM", runner.process.pid)
        said, _ = runner.process.communicate(timeout=DEADLINE)
        assert b"[1] signal 9" in said, said


@test("sh")
def a_reader_that_goes_ends_it():
    hold, reads = holder("alive")
    with Runner(f"{hold}; sleep 1000") as runner, reads() as alive:
        runner.process.stdout.close()
        assert alive.read() == b""
        assert runner.process.wait(DEADLINE) == 1


@test("head")
def a_pipeline_that_ends_early():
    done = subprocess.run(f"{RUNNER} 'seq 1000000' 'seq 1000000' | head -n 2", shell=True, stdout=subprocess.PIPE, timeout=DEADLINE)
    assert done.stdout.endswith(b"\n1\n"), done


@test
def children_have_no_descriptors_of_ours():
    Path("look.py").write_text("import os; print(sorted(os.listdir('/proc/self/fd')))")
    ours = os.open("/dev/null", os.O_RDONLY)
    done = subprocess.run([RUNNER, f"exec {sys.executable} -S -E look.py"], stdout=subprocess.PIPE, timeout=DEADLINE, pass_fds=[ours])
    assert b"\n['0', '1', '2', '3']\n" in done.stdout, done.stdout  # 3 is what lists them


@test
def a_wrong_call_is_told():
    for wrong in (["-j", "0", "true"], ["-j", "x", "true"], ["-t", "-1", "true"], ["-q"], ["-j"], ["-k"]):
        run(RUNNER, *wrong, code=2)


main()
