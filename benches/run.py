#!/usr/bin/env python3
"""lariat beside its peers: builds the programs, runs them interleaved, prints the ratios, writes the figures.

    python3 benches/run.py [--runs 5] [--only timers_fire,turn] [--impl lariat,libev]

- benches/peers holds one program for each peer and `raw`, the limit: the system calls and data structures by hand. Each is
  written as its users would write the fastest idiomatic program. benches/lariat holds the same workloads against the public
  header, linked with target/release/liblariat.so (build it first; `make bench` does). common.h has the sizes, for all alike.
- A figure is ns of the process's CPU time an operation; for cross_thread_* wall ns a call; for wake us one way, median and p99 of
  20,000; for memory_* bytes of resident set. Every program counts what happened and fails if a call is missing.
- Each workload goes round all implementations, and round again, so that a slow minute of the machine hits them alike. Figures move
  with the machine: only ratios taken in one run count. So a run of everything writes target/bench/results.json, and one narrowed
  by --only or --impl writes target/bench/results-partial.json and leaves the other as it is.
- The debts of laziness are paid inside the measurement: after timers_cancel and timer_reset the loop runs on until every
  deadline that was ever set has passed (sleeping costs no CPU time).
- wake pins its two threads to two processors: on one of them it would measure a task switch.

Standard library only. Exits 1 if a program fails to build, run or count, 0 otherwise: a missed goal is a figure, not an error.
"""
import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parent
OUT = ROOT / "target" / "bench"
RELEASE = ROOT / "target" / "release"
SECONDS_A_PROGRAM = 120
OPTIMISED = ["-O2", "-Wall", "-Wextra"]
C, CXX = ["cc", "-std=gnu11", *OPTIMISED], ["c++", "-std=c++17", *OPTIMISED]
LARIAT = [*C, f"-I{ROOT}/include", f"-L{RELEASE}", f"-Wl,-rpath,{RELEASE}"]

# impl, compiler, source, libraries (also the probe, with the header), header. lariat's are several programs of one implementation.
PROGRAMS = [
    ("lariat", LARIAT, "lariat/timers.c", ["-llariat"], "lariat.h"),
    ("lariat", LARIAT, "lariat/calls.c", ["-llariat", "-pthread"], "lariat.h"),
    ("lariat", LARIAT, "lariat/threads.c", ["-llariat", "-pthread"], "lariat.h"),
    ("lariat", LARIAT, "lariat/deferred.c", ["-llariat"], "lariat.h"),
    ("raw", C, "peers/raw.c", ["-pthread"], "sys/epoll.h"),
    ("libev", [*C, "-Wno-strict-aliasing"], "peers/libev.c", ["-lev", "-pthread"], "ev.h"),     # ev.h's own macros warn
    ("libevent", C, "peers/libevent.c", ["-levent", "-levent_pthreads", "-pthread"], "event2/event.h"),
    ("libuv", C, "peers/libuv.c", ["-luv", "-pthread"], "uv.h"),
    ("asio", CXX, "peers/asio.cpp", ["-pthread"], "asio.hpp"),
    ("cpp-chain", CXX, "peers/cpp_chain.cpp", [], "functional"),
    ("cpp-chain-reserved", [*CXX, "-DRESERVE=3"], "peers/cpp_chain.cpp", [], "functional"),
]
IMPLS = list(dict.fromkeys(program[0] for program in PROGRAMS))
BEST = "the best peer"
LIMIT = "raw"

# workload: the goal as (factor, of whom) and the figure to reach after that, or None. A goal of nobody is an absolute figure.
GOALS = {
    "timers_fire": (0.35, "libev", 100),
    "timers_cancel": (0.6, "libev", 35),
    "timer_reset": (0.7, "libev", 10),
    "call_soon": (0.6, "libevent", 4.8),
    "turn": (1.05, BEST, None),
    "cross_thread_1": (0.8, "libuv", 22),
    "cross_thread_4": (1.0, "libuv", 14),
    "wake": (1.0, BEST, None),
    "wake_spin": (0.5, None, None),
    "deferred": (0.5, "cpp-chain", 22),
    "memory_timer": (64, None, None),
    "memory_deferred": (192, None, None),
}
# Where the kernel decides, a difference within the run's own spread is none.
KERNEL_DECIDES = {"wake"}


def build(wanted):
    """{impl: {workload: program}} of what is installed, [why one is left out], [what failed]."""
    OUT.mkdir(parents=True, exist_ok=True)
    programs, left_out, failed = {}, {}, []
    for impl, compiler, source, libraries, header in PROGRAMS:
        if impl not in wanted or impl in left_out:
            continue
        reason = missing(compiler, libraries, header)
        if reason:
            left_out[impl] = reason
            continue
        program = OUT / f"{impl}-{Path(source).stem}"
        made = subprocess.run([*compiler, "-o", program, BENCHES / source, *libraries], capture_output=True, text=True)
        if made.stderr:
            print(made.stderr, file=sys.stderr)
        if made.returncode != 0:
            failed.append(f"{impl}: {source} does not build")
            continue
        listed = subprocess.run([program], capture_output=True, text=True, timeout=SECONDS_A_PROGRAM)
        if listed.returncode != 0:
            failed.append(f"{impl}: {program.name} does not start: {listed.stderr.strip()}")
            continue
        programs.setdefault(impl, {}).update({workload: program for workload in listed.stdout.split()})
    return programs, left_out, failed


def missing(compiler, libraries, header):
    """Why a program that needs these cannot be built, or None: a probe that compiles and links."""
    probe = [*compiler, "-x", "c++" if compiler[0] == "c++" else "c", "-", "-o", OUT / "probe", *libraries]
    try:
        result = subprocess.run(probe, input=f"#include <{header}>\nint main(void) {{ return 0; }}\n", capture_output=True, text=True)
    except FileNotFoundError:
        return f"no {compiler[0]}"
    (OUT / "probe").unlink(missing_ok=True)
    if result.returncode == 0:
        return None
    return f"<{header}> or {' '.join(libraries)} not found" if libraries else f"<{header}> not found"


def run(program, workload):
    """[(workload, value, unit)] that one process reports."""
    process = subprocess.run([program, workload], capture_output=True, text=True, timeout=SECONDS_A_PROGRAM)
    if process.returncode != 0:
        raise RuntimeError(process.stderr.strip() or f"exit status {process.returncode}")
    lines = [line.split() for line in process.stdout.splitlines()]
    return [(name, float(value), unit) for name, value, unit in lines]


def measure(programs, workloads, runs):
    """{(workload, impl): (unit, [value])}, [what failed]: for each workload round and round the implementations."""
    figures, failed = {}, []
    for workload in workloads:
        impls = [impl for impl in IMPLS if workload in programs.get(impl, {})]
        for turn in range(runs):
            progress(f"{workload} {turn + 1}/{runs}")
            for impl in list(impls):
                try:
                    for name, value, unit in run(programs[impl][workload], workload):
                        figures.setdefault((name, impl), (unit, []))[1].append(value)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    failed.append(f"{impl}: {workload}: {error}")
                    impls.remove(impl)
                    figures = {key: f for key, f in figures.items() if key not in {(workload, impl), (workload + "_p99", impl)}}
    progress("")
    return figures, failed


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def summarise(figures):
    return [
        {"workload": workload, "impl": impl, "unit": unit, "median": round(statistics.median(values), 3),
         "min": min(values), "max": max(values), "runs": len(values)}
        for (workload, impl), (unit, values) in figures.items()
    ]


def peer_of(goal, rows):
    """The row that the goal compares with, or None."""
    peers = [row for row in rows.values() if row["impl"] not in ("lariat", LIMIT)]
    if goal[1] == BEST:
        return min(peers, key=lambda row: row["median"], default=None)
    return rows.get(goal[1])


def verdict(workload, rows):
    """What is said of lariat's figure in one workload."""
    ours, goal = rows.get("lariat"), GOALS.get(workload)
    if goal is None:
        return ""
    factor, name, then = goal
    wish = f"goal: {factor:g} {'of ' + name if name else ''}".rstrip() + (f", then {then:g}" if then else "")
    peer = peer_of(goal, rows) if name else None
    if ours is None or (name and peer is None):
        return f"{wish}: not measured"
    limit = factor * (peer["median"] if peer else 1)
    if ours["median"] <= limit:
        answer = "MET" + (", and the next one" if then and ours["median"] <= then else "")
    elif workload in KERNEL_DECIDES and peer and ours["min"] <= peer["max"] and peer["min"] <= ours["max"]:
        answer = "MET within the spread"
    else:
        answer = "MISSED"
    ratio = f"{ours['median'] / peer['median']:.2f} of {peer['impl']}" if peer else f"{ours['median']:g} {ours['unit']}"
    return f"{wish}: {ratio}: {answer}"


def print_table(results):
    for workload in dict.fromkeys(row["workload"] for row in results):
        rows = {row["impl"]: row for row in results if row["workload"] == workload}
        ours = rows.get("lariat")
        print(f"{workload}  {verdict(workload, rows)}".rstrip())
        for row in sorted(rows.values(), key=lambda row: row["median"]):
            ratio = f"lariat is {ours['median'] / row['median']:5.2f} of it" if ours and row is not ours and row["median"] else ""
            print(f"    {row['impl']:<20}{row['median']:>10.2f} {row['unit']:<3} {row['min']:>10.2f} to {row['max']:<10.2f}{ratio}".rstrip())


def chosen(text, known, what):
    names = text.split(",") if text else known
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no such {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def main():
    parser = argparse.ArgumentParser(description="lariat beside its peers, in one run")
    parser.add_argument("--runs", type=int, default=5, help="times each program is run (default 5)")
    parser.add_argument("--only", help="these workloads, separated by commas")
    parser.add_argument("--impl", help="these implementations, separated by commas")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    workloads, impls = chosen(options.only, list(GOALS), "workload"), chosen(options.impl, IMPLS, "implementation")

    programs, left_out, failed = build(impls)
    figures, unfit = measure(programs, workloads, options.runs)
    failed += unfit
    if "lariat" in left_out:
        failed.append("lariat is not built: cargo build --release")
    results = summarise(figures)
    whole = not options.only and not options.impl
    path = OUT / ("results.json" if whole else "results-partial.json")
    path.write_text("[\n" + ",\n".join("  " + json.dumps(row) for row in results) + "\n]\n")

    print_table(results)
    print(f"\nMedians of {options.runs} interleaved runs, with the least and the most of them; written to {path.relative_to(ROOT)}")
    for impl, reason in left_out.items():
        print(f"left out: {impl}: {reason}")
    for failure in failed:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
