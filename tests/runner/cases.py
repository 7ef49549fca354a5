"""Runs cases: each in a process group and an empty folder of its own, with a time limit."""

import concurrent.futures
import os
import re
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from . import build

SKIP = 77
TIMEOUTS = 12  # that many and the library hangs for good: the rest would take hours to say the same


@dataclass
class Case:
    name: str
    program: object
    arguments: list
    limit: float
    language: str = "C"
    expected: list = field(default_factory=list)  # lines of stdout; none: anything


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str
    timed_out: bool = False


def execute(variant, case):
    """Runs one case to its end or its limit; nothing of its process group outlives it."""
    command = [*variant.wrapper, str(case.program), *case.arguments]
    with tempfile.TemporaryDirectory(prefix="lariat-") as folder:
        process = subprocess.Popen(
            command, cwd=folder, env=build.case_environment(variant, case.program, case.limit), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True, errors="replace")
        timed_out = False
        try:
            stdout, stderr = process.communicate(timeout=case.limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            kill_group(process)
            stdout, stderr = process.communicate()
        kill_group(process)
    return Outcome(process.returncode, stdout, stderr, timed_out)


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def difference(expected, stdout):
    """The first line where an example's output differs; a line `re:...` is a pattern."""
    lines = stdout.splitlines()
    for number, wanted in enumerate(expected, 1):
        got = lines[number - 1] if number <= len(lines) else None
        if got is None or not (re.fullmatch(wanted[3:], got) if wanted.startswith("re:") else wanted == got):
            return f"line {number} of stdout is {got!r}, not {wanted!r}\n{stdout}"
    if len(lines) > len(expected):
        return f"more lines than expected, from {lines[len(expected)]!r} on\n{stdout}"
    return ""


def problem(case, outcome):
    """Why a case failed; empty when it did not."""
    output = f"{outcome.stdout}{outcome.stderr}"
    if outcome.timed_out:
        return f"{output}\nkilled after {case.limit:.0f} s"
    if outcome.code != 0:
        how = f"signal {signal.Signals(-outcome.code).name}" if outcome.code < 0 else f"exit {outcome.code}"
        return f"{output}\n{how}"
    return difference(case.expected, outcome.stdout) if case.expected else ""


def reason(outcome):
    """Why a case skipped itself: `skipped: WHY`, or all that it wrote to stdout."""
    lines = f"{outcome.stdout}\n{outcome.stderr}".splitlines()
    said = [line.removeprefix("skipped: ") for line in lines if line.startswith("skipped: ")]
    return said[0] if said else outcome.stdout


def run_all(variant, cases, jobs, report):
    """Runs the cases, `jobs` at once; those with `alone` in the name one by one at the end."""
    timeouts = []

    def judge(case):
        name = variant.named(case.name)
        if len(timeouts) >= TIMEOUTS:
            return report.failed(case.language, name, "not run: too many others took too long")
        started = time.monotonic()
        outcome = execute(variant, case)
        report.case_took(name, time.monotonic() - started)
        if "wine client error" in outcome.stderr:
            # wine's server belonged to a case beside this one, and has ended with it.
            outcome = execute(variant, case)
        if outcome.timed_out:
            timeouts.append(name)
        if outcome.code == SKIP and not outcome.timed_out:
            report.skipped(case.language, name, reason(outcome))
        else:
            report.check(case.language, name, problem(case, outcome))

    alone = [case for case in cases if "alone" in case.name]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(judge, [case for case in cases if "alone" not in case.name]))
    for case in alone:
        judge(case)


def listed(variant, source, program, default_limit, more=(), may_be_none=False):
    """The cases that a test program lists."""
    language = "C++" if source.suffix in (".cc", ".cpp") else "C"
    outcome = execute(variant, Case(source.stem, program, ["--list", *more], 60 * variant.slowness))
    if outcome.code != 0 or not (outcome.stdout.strip() or may_be_none):
        raise build.Failed(f"{source.name} --list", f"{outcome.stdout}{outcome.stderr}\nexit {outcome.code}")
    for line in outcome.stdout.splitlines():
        name, *limit = line.split()
        seconds = float(limit[0]) if limit else default_limit
        yield Case(f"{source.stem}/{name}", program, [name], seconds * variant.slowness, language)
