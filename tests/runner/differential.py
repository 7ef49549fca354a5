"""lariat's HTTP server beside h11 and Node's parser, on request streams that were mutated: see tests/differential/compare.py."""

import os
import subprocess

from . import build, cases, venv
from .project import ROOT

LANGUAGE = "C"
FOLDER = ROOT / "tests/differential"
COUNT, SECONDS = 3000, 60


def stage(report, _options):
    """The first streams, which are always the same."""
    run(report, "--count", COUNT)


def long(report, _options):
    """The next, for a minute; others from LARIAT_SEED on, or wherever that is `random`. Which they are is said."""
    first = os.environ.get("LARIAT_SEED", COUNT + 1)
    run(report, "--seed", int.from_bytes(os.urandom(4), "big") if first == "random" else first, "--seconds", SECONDS)


def run(report, *how):
    python, lacks = venv.python()
    if lacks:
        return report.skipped(LANGUAGE, "the differential test of HTTP", lacks)
    library = build.plain()
    program = build.compile_one(library, FOLDER / "lariat_frames.c")
    command = [python, FOLDER / "compare.py", "--lariat", program, *how]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    name = "HTTP framed as h11 and Node do"
    if done.returncode == cases.SKIP:
        return report.skipped(LANGUAGE, name, done.stdout.removeprefix("skipped: "))
    report.check(LANGUAGE, name, f"{done.stdout}\nexit {done.returncode}" if done.returncode else "")
    if done.returncode == 0:
        print("   " + done.stdout.strip().splitlines()[-1])
