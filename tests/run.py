#!/usr/bin/env python3
"""Runs the tests: `make test`, `make test-full` and single stages of them.

    tests/run.py test                   what `make test` runs
    tests/run.py full                   and what `make test-full` adds (that alone, where AFTER_TEST=1 is set)
    tests/run.py c --filter deferred    one stage: lint, rust, header, c, examples, interop, differential, install, python,
                                        bench-python, conformance, valgrind, address, thread, loom, model, targets,
                                        fuzz, websockets, autobahn, differential-long, load
    tests/run.py c --wrapper valgrind --sanitizer thread --only-threads

A C test is tests/c/NAME.c: `NAME --list` prints its cases, one a line, each with its time limit in seconds behind it if it
needs more than the usual; `NAME CASE` runs one in a process of its own and exits with 0, or with 77 and a reason when it
does not apply here. Files named testing_ are linked with a library that has the exports of the cargo feature `testing`; a
plugin_NAME.c becomes a shared object in LARIAT_TEST_DIR.
"""

import argparse
import concurrent.futures
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from runner import build, checkers, csuite, differential, fuzz, install, interop, project, python, rust, targets, websockets  # noqa: E402
from runner.report import Report  # noqa: E402

STAGES = {
    "lint": rust.lint,
    "rust": rust.tests,
    "header": csuite.header,
    "c": csuite.plain,
    "examples": csuite.examples,
    "interop": interop.stage,
    "install": install.stage,
    "python": python.stage,
    "bench-python": python.bench,
    "conformance": python.conformance,
    "websockets": websockets.stage,
    "autobahn": websockets.everything,
    "valgrind": checkers.valgrind,
    "address": checkers.address,
    "thread": checkers.thread,
    "loom": rust.loom,
    "model": rust.model,
    "targets": targets.stage,
    "fuzz": fuzz.stage,
    "differential": differential.stage,
    "differential-long": differential.long,
    "load": interop.load,
}
# Lanes: each is run from its first stage to its last, beside the others. A build ends with minutes on one core, and many cases wait.
TEST = [["lint", "rust", "header", "python"], ["c", "examples", "interop", "differential", "install"]]
EXTRA = [["loom", "fuzz", "conformance", "websockets", "thread"], ["address", "model", "valgrind", "targets", "differential-long", "load"]]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", nargs="*", default=["c"], choices=[*STAGES, "test", "full"], metavar="STAGE")
    parser.add_argument("--filter", default="", help="only C cases whose FILE/CASE contains this")
    parser.add_argument("--only-threads", action="store_true", help="only C cases whose name contains `thread`")
    parser.add_argument("--wrapper", choices=["valgrind"], help="run the C cases of stage `c` under this")
    parser.add_argument("--sanitizer", choices=["address", "thread"], help="build for stage `c` with this")
    parser.add_argument("--everything", action="store_true", help="stage `valgrind`: not the failure catalogue alone")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="cases at once")
    parser.add_argument("--limit", type=float, default=20, help="seconds for a case that does not say its own")
    parser.add_argument("--verbose", action="store_true", help="name every case")
    return parser.parse_args()


def main():
    options = arguments()
    os.chdir(project.ROOT)
    report = Report(verbose=options.verbose)
    for stage in options.stage:
        if stage == "test" or stage == "full" and not os.environ.get("AFTER_TEST"):
            run_lanes(TEST, report, options)
        if stage == "full":
            run_lanes(EXTRA, report, argparse.Namespace(**{**vars(options), "jobs": 1}))
        elif stage != "test":
            run_stages([stage], report, options)
    return report.summary()


def run_lanes(lanes, report, options):
    with concurrent.futures.ThreadPoolExecutor() as threads:
        list(threads.map(lambda names: run_stages(names, report, options), lanes))


def run_stages(names, report, options):
    for name in names:
        started = time.monotonic()
        report.heading(name)
        try:
            STAGES[name](report, options)
        except build.Failed as failure:
            report.failed("build", f"{name}: {failure.what}", failure.output)
        report.took(name, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
