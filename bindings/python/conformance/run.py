"""Twisted's own tests on lariat's reactor, beside its epoll reactor: `make conformance`.

run.py [--verbose] [--jobs N] [--only lariat|epoll] [MODULE ...]

A test that passes on the epoll reactor and does not on lariat's is a failure, unless left_out.txt names it with its reason.
Modules that do not touch the reactor are named in modules.txt, with what is run of the others.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
#: Seconds for a module on a reactor.
LIMIT = 240
PACKAGES = [
    ("twisted.internet.test", "builder"),
    ("twisted.internet.test", "process"),
    ("twisted.test", "process"),
    ("twisted.protocols.test", "process"),
    ("twisted.protocols.haproxy.test", "process"),
    ("twisted.web.test", "process"),
]


def lines(name):
    """(what, reason) of a file of these: `what: reason`, # begins a comment."""
    for number, line in enumerate((HERE / name).read_text().splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            what, colon, reason = line.partition(": ")
            if not colon or not reason.strip():
                sys.exit(f"{name}:{number}: no reason is given")
            yield what, reason.strip()


def modules(left_out):
    """The modules of tests, each with how it is run."""
    import twisted

    root = pathlib.Path(twisted.__file__).parent.parent
    for package, kind in PACKAGES:
        folder = root.joinpath(*package.split("."))
        for path in sorted(folder.glob("test_*.py")):
            name = f"{package}.{path.stem}"
            if kind == "builder":
                if "ReactorBuilder" in path.read_text():
                    yield name, kind
            elif name not in left_out:
                yield name, kind


def run(reactor, name, kind, left_out, folder):
    """{test: (outcome, why)} of a module on a reactor."""
    path = os.path.join(folder, f"{reactor}.{kind}.{name}")
    command = [sys.executable, "-W", "ignore", str(HERE / "child.py"), reactor, name, kind, path, *left_out]
    begun = time.monotonic()
    with open(path + ".out", "w") as out:
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=LIMIT, cwd=folder).returncode
        except subprocess.TimeoutExpired:
            code = "it did not end"
    outcomes, last, over = {}, None, False
    if os.path.exists(path):
        for line in open(path):
            test, outcome, why = json.loads(line)
            if outcome == "begun":
                last = test
            elif outcome == "over":
                over = True
            else:
                outcomes[test] = (outcome, why)
    if not over:
        tail = open(path + ".out").read()[-1500:]
        outcomes[f"{name} (as a whole, in {last})"] = ("failed", f"exit: {code}\n{tail}")
    return outcomes, time.monotonic() - begun


def counts(outcomes):
    return collections.Counter(outcome for outcome, _ in outcomes.values())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--only", choices=["lariat", "epoll"])
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    left_modules = dict(lines("modules.txt"))
    left_tests = dict(lines("left_out.txt"))
    chosen = [
        (name, kind)
        for name, kind in modules(left_modules)
        if not options.modules or any(re.search(only, f"{kind}:{name}") for only in options.modules)
    ]
    reactors = [options.only] if options.only else ["epoll", "lariat"]
    with tempfile.TemporaryDirectory(prefix="conformance") as folder, ThreadPoolExecutor(options.jobs) as pool:
        jobs = {}
        for name, kind in chosen:
            for reactor in reactors:
                skipped = [test for test in left_tests if test.startswith(name + ".")] if reactor == "lariat" else []
                jobs[name, kind, reactor] = pool.submit(run, reactor, name, kind, skipped, folder)
        return report(chosen, reactors, jobs, left_tests, options)


def report(chosen, reactors, jobs, left_tests, options):
    total = {reactor: collections.Counter() for reactor in reactors}
    bad, known, seen = [], [], set()
    head = "".join(f"{reactor + ': passed':>17} failed skipped  seconds" for reactor in reactors)
    print(f"{'':52}{head}")
    for name, kind in chosen:
        found, text = {}, ""
        for reactor in reactors:
            found[reactor], seconds = jobs[name, kind, reactor].result()
            counted = counts(found[reactor])
            total[reactor] += counted
            text += f"{counted['passed']:17} {counted['failed']:6} {counted['skipped']:7} {seconds:8.1f}"
        what = name.removeprefix("twisted.") + (" (built)" if kind == "builder" else "")
        print(f"{what:52}{text}", flush=True)
        base = found.get("epoll", {})
        seen.update(base)
        for test, (outcome, why) in found.get("lariat", {}).items():
            if outcome == "failed":
                if base.get(test, ("passed",))[0] == "passed":
                    bad.append(test)
                    print(f"  FAILED, but not on epoll: {test}")
                    if options.verbose:
                        print("      " + why[-2500:].replace("\n", "\n      "))
                elif base[test][0] == "failed":
                    known.append(test)
        if "lariat" in found and "epoll" in found:
            for test, (outcome, _) in base.items():
                if outcome == "passed" and test not in found["lariat"] and test not in left_tests:
                    bad.append(test)
                    print(f"  NOT RUN, but it passes on epoll: {test}")
    for reactor in reactors:
        counted = total[reactor]
        print(f"{reactor}: {counted['passed']} passed, {counted['failed']} failed, {counted['skipped']} skipped")
    print(f"left out of lariat's: {len(left_tests)}, named in left_out.txt; failed on both: {len(known)}")
    for test in known:
        print(f"  on both: {test}")
    if not options.modules and "epoll" in reactors:
        for test in set(left_tests) - seen:
            bad.append(test)
            print(f"  left_out.txt names what is no test: {test}")
    print("FAILED" if bad else "PASSED")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
