#!/usr/bin/env python3
"""lariat beside its peers: builds the programs, runs them interleaved, prints the ratios, writes the figures.

    python3 benches/run.py [--runs 5] [--only timers_fire,turn] [--impl lariat,libev]

- benches/peers holds one program for each peer and `raw`, the limit: the system calls and data structures by hand. Each is
  written as its users would write the fastest idiomatic program. benches/lariat holds the same workloads against the public
  header, linked with target/release/liblariat.so (build it first; `make bench` does). common.h has the sizes, for all alike.
- A figure is ns of the process's CPU time an operation; for cross_thread_* wall ns a call; for wake us one way, median and p99 of
  20,000; for memory_* bytes of resident set; for crowd_p99 a ratio of us. Every program counts what happened and fails if a call
  is missing.
- Each workload goes round all implementations, and round again, so that a slow minute of the machine hits them alike. Figures move
  with the machine: only ratios taken in one run count. So a run of everything writes target/bench/results.json, and one narrowed
  by --only or --impl writes target/bench/results-partial.json and leaves the other as it is.
- The debts of laziness are paid inside the measurement: after timers_cancel and timer_reset the loop runs on until every
  deadline that was ever set has passed (sleeping costs no CPU time).
- group is two reactors of a lariat_reactor_group beside one, which is the implementation lariat-1: wall us. That two do 1.8 times as
  much can be shown where four processors are free, two for them and two for the load; the table says how many were.
- file_stream is a file of 64 MiB in the page cache, in pieces of 64 KiB; of cat its start is a part.
- spawn is /bin/true, started and waited for, one after the other, with 1 GiB resident: wall us, the median of 200. raw is posix_spawn.
- wake pins its two threads to two processors: on one of them it would measure a task switch.
- echo_*, churn, idle, udp_* and group are servers (net_* in peers, net.c in lariat) that measure nothing: net_client.c starts those of all
  implementations, loads them by turns, slice by slice, and reads their clocks and memory from outside. It says what an operation
  is. A run here is a run of it. crowd_p99 is measured by crowd_client.c in the same way, one server (crowd*) after the other;
  it says what else it reports. It fails if a connection has not ended exactly once, or if something is left alive. *_calls are
  system calls a message, start-up not counted, by one run under strace, if there is one.
- http_hello and tls_* are servers too (http* in peers and in lariat), loaded by http_load.py with wrk and openssl. Of websocket_echo
  three peers come from registries, by npm and pip, into target/bench, if they are to be had: ws, websockets, and uWebSockets (uws), which
  PyPI's socketify brings compiled.

Standard library only. Exits 1 if a program fails to build, run or count, 0 otherwise: a missed goal is a figure, not an error.
"""
import argparse
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import time
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
    ("lariat", LARIAT, "lariat/files.c", ["-llariat"], "lariat.h"),
    ("lariat", LARIAT, "lariat/spawn.c", ["-llariat"], "lariat.h"),
    ("raw", C, "peers/raw.c", ["-pthread"], "sys/epoll.h"),
    ("raw", C, "peers/file_raw.c", [], "unistd.h"),
    ("cat", C, "peers/file_cat.c", [], "unistd.h"),
    ("libuv", C, "peers/file_libuv.c", ["-luv"], "uv.h"),
    ("raw", C, "peers/spawn_raw.c", [], "spawn.h"),
    ("libuv", C, "peers/spawn_libuv.c", ["-luv"], "uv.h"),
    ("libev", [*C, "-Wno-strict-aliasing"], "peers/libev.c", ["-lev", "-pthread"], "ev.h"),     # ev.h's own macros warn
    ("libevent", C, "peers/libevent.c", ["-levent", "-levent_pthreads", "-pthread"], "event2/event.h"),
    ("libuv", C, "peers/libuv.c", ["-luv", "-pthread"], "uv.h"),
    ("asio", CXX, "peers/asio.cpp", ["-pthread"], "asio.hpp"),
    ("cpp-chain", CXX, "peers/cpp_chain.cpp", [], "functional"),
    ("cpp-chain-reserved", [*CXX, "-DRESERVE=3"], "peers/cpp_chain.cpp", [], "functional"),
]
# The same of the servers; the client of them all.
SERVERS = [
    ("lariat", LARIAT, "lariat/net.c", ["-llariat"], "lariat.h"),
    ("raw", C, "peers/net_raw.c", [], "sys/epoll.h"),
    ("libev", [*C, "-Wno-strict-aliasing"], "peers/net_libev.c", ["-lev"], "ev.h"),
    ("libevent", C, "peers/net_libevent.c", ["-levent"], "event2/event.h"),
    ("bufferevent", C, "peers/net_bufferevent.c", ["-levent"], "event2/bufferevent.h"),
    ("libuv", C, "peers/net_libuv.c", ["-luv"], "uv.h"),
    ("libuv-write", [*C, "-DALWAYS_UV_WRITE"], "peers/net_libuv.c", ["-luv"], "uv.h"),
    ("asio", CXX, "peers/net_asio.cpp", ["-pthread"], "asio.hpp"),
    ("lariat", LARIAT, "lariat/crowd.c", ["-llariat"], "lariat.h"),
    ("raw", C, "peers/crowd_raw.c", [], "sys/epoll.h"),
    ("lariat", LARIAT, "lariat/http.c", ["-llariat"], "lariat.h"),
    ("raw", C, "peers/http_raw.c", [], "sys/epoll.h"),
    ("raw", C, "peers/websocket_raw.c", [], "sys/epoll.h"),
    ("evhttp", C, "peers/http_evhttp.c", ["-levent"], "event2/http.h"),
    ("uws", C, "peers/websocket_uws.c", ["-L", str(OUT / "uws"), "-lsocketify", f"-Wl,-rpath,{OUT}/uws"], "unistd.h"),
]
# Of a language that is not compiled: impl, what runs it, source.
SCRIPTS = [
    ("nginx", [sys.executable], "peers/http_nginx.py", "nginx"),
    ("node", ["node"], "peers/http_node.js", "node"),
    ("ws", ["env", f"NODE_PATH={OUT}/ws/node_modules", "node"], "peers/websocket_node.js", "node"),
    ("websockets", [str(OUT / "websockets/bin/python")], "peers/websocket_python.py", str(OUT / "websockets/bin/python")),
]
CLIENTS = ("net_client", "crowd_client")
IMPLS = list(dict.fromkeys(program[0] for program in PROGRAMS + SERVERS + SCRIPTS))
BEST = "the best peer"
LIMIT = "raw"
ONE_REACTOR = "lariat-1"
TWO_REACTORS = 1.8      # times what one does

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
    "file_stream": (1.0, BEST, None),
    "spawn": (1.1, LIMIT, None),
    "echo_1x64": (1.0, BEST, None),
    "echo_64x1k": (1.05, LIMIT, None),
    "echo_burst": (1.2, LIMIT, None),
    "echo_stream": (1.08, LIMIT, None),
    "churn": (1.0, BEST, None),
    "idle": (192, None, 128),
    "udp_echo": (1.0, BEST, None),
    "udp_gso": (1.3, LIMIT, None),
    "crowd_p99": (2, None, None),
    "echo_1x64_calls": (3, None, None),
    "echo_64x1k_calls": (3, None, None),
    "group": (1 / TWO_REACTORS, ONE_REACTOR, None),
    "http_hello": (1.0, "nginx", None),
    "tls_bulk": (1.1, "nginx", None),
    "tls_handshake": (1.1, "nginx", None),
    "tls_resumption": (1.1, "nginx", None),
    "websocket_echo": (1.0, BEST, None),
}
# Of a server and a client: net_client unless this says another.
HTTP = {"http_hello", "tls_bulk", "tls_handshake", "tls_resumption"}
NET = {"echo_1x64", "echo_64x1k", "echo_burst", "echo_stream", "churn", "idle", "udp_echo", "udp_gso", "crowd_p99", "group",
       "websocket_echo", *HTTP}
CLIENT = {"crowd_p99": OUT / "crowd_client", **dict.fromkeys(HTTP, BENCHES / "http_load.py")}
HTTP_TOOLS = ("wrk", "openssl")
# What a program reports beside its workload's own figure.
SUFFIXES = ("", "_p99", "_cpu", "_calm", "_bad", "_calm_p50", "_bad_p50", "_rate", "_ended", "_streams", "_alive")
# Of group: two for two reactors, and as many for the load.
GROUP_PROCESSORS = 4
# By strace: of which workload, and by whom.
SYSTEM_CALLS = {"echo_1x64_calls": "echo_1x64", "echo_64x1k_calls": "echo_64x1k"}
COUNTED_IMPLS = ("lariat", LIMIT)
COUNTED_OPERATIONS = 3000
# Where the kernel decides, a difference within the run's own spread is none.
KERNEL_DECIDES = {"wake", "file_stream", "spawn", "echo_1x64", "echo_64x1k", "echo_stream", "udp_echo", "websocket_echo"}


def build(impls, workloads):
    """{impl: {workload: program}} of what is installed, {what is left out: why}, [what failed]."""
    OUT.mkdir(parents=True, exist_ok=True)
    of_net = {workload for workload in workloads if workload in NET or workload in SYSTEM_CALLS}
    wanted = (PROGRAMS if set(workloads) - of_net else []) + (SERVERS if of_net else [])
    programs, left_out, failed = {}, {}, []
    if "websocket_echo" in of_net:
        fetch()
    for client in CLIENTS if of_net else ():
        if not compiled(C, OUT / client, f"{client}.c", ["-pthread"]):
            return {}, {}, [f"{client}.c does not build"]
    for impl, compiler, source, libraries, header in wanted:
        if impl not in impls or impl in left_out:
            continue
        reason = missing(compiler, libraries, header)
        if reason:
            left_out[impl] = reason
            continue
        program = OUT / f"{impl}-{Path(source).stem}"
        if not compiled(compiler, program, source, libraries):
            failed.append(f"{impl}: {source} does not build")
            continue
        list_workloads(impl, program, programs, failed)
    for impl, runner, source, tool in SCRIPTS if of_net else ():
        if impl not in impls:
            continue
        if shutil.which(tool) is None:
            left_out[impl] = f"no {tool}"
            continue
        program = OUT / f"{impl}-{Path(source).stem}"
        program.write_text(f"#!/bin/sh\nexec {shlex.join([*runner, str(BENCHES / source)])} \"$@\"\n")
        program.chmod(0o755)
        list_workloads(impl, program, programs, failed)
    return programs, left_out, failed


def list_workloads(impl, program, programs, failed):
    listed = subprocess.run([program], capture_output=True, text=True, timeout=SECONDS_A_PROGRAM)
    if listed.returncode != 0:
        failed.append(f"{impl}: {program.name} does not start: {listed.stderr.strip()}")
    programs.setdefault(impl, {}).update({workload: program for workload in listed.stdout.split()})


def fetch():
    """Peers that are neither the system's nor ours, once; one that does not come is left out as any that is not installed."""
    python, uws = OUT / "websockets", OUT / "uws"
    commands = {
        OUT / "ws": [["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", OUT / "ws", "ws@8"]],
        python: [[sys.executable, "-m", "venv", python], [python / "bin/python", "-m", "pip", "install", "--quiet", "websockets"]],
        uws: [[sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", uws, "socketify"],
              ["sh", "-c", f"cd {shlex.quote(str(uws))} && tar -xzf socketify-*.tar.gz --wildcards '*/libsocketify_linux_amd64.so' "
                           "--strip-components=3 && ln -sf libsocketify_linux_amd64.so libsocketify.so"]],
    }
    for place, steps in commands.items():
        if place.exists():
            continue
        place.mkdir(parents=True)
        try:
            for step in steps:
                subprocess.run([str(word) for word in step], check=True, capture_output=True, timeout=SECONDS_A_PROGRAM)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{place.name} does not come: {error}", file=sys.stderr)
            shutil.rmtree(place)


def compiled(compiler, program, source, libraries):
    """Whether source could be built. What the compiler says is shown."""
    made = subprocess.run([*compiler, "-o", program, BENCHES / source, *libraries], capture_output=True, text=True)
    if made.stderr:
        print(made.stderr, file=sys.stderr)
    return made.returncode == 0


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


def output(command):
    """The lines that one process reports, split."""
    process = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_A_PROGRAM)
    if process.returncode != 0:
        raise RuntimeError(process.stderr.strip() or f"exit status {process.returncode}")
    return [line.split() for line in process.stdout.splitlines()]


def run(program, workload):
    """[(workload, value, unit)] that one process reports."""
    return [(name, float(value), unit) for name, value, unit in output([program, workload])]


def run_servers(commands, workload, operations=0):
    """[(impl, workload, value, unit)] that the client reports of {impl: command of a server}."""
    client = CLIENT.get(workload, OUT / "net_client")
    lines = output([client, workload, str(operations), *(f"{impl}={command}" for impl, command in commands.items())])
    return [(impl, name, float(value), unit) for impl, name, value, unit in lines]


def measure(programs, workloads, runs):
    """{(workload, impl): (unit, [value])}, [what failed]: for each workload round and round the implementations."""
    figures, failed = {}, []
    for workload in workloads:
        of_workload = {impl: programs[impl][workload] for impl in IMPLS if workload in programs.get(impl, {})}
        if workload in SYSTEM_CALLS:
            count_system_calls(programs, workload, figures, failed)
        elif workload == "group":
            if "lariat" in of_workload:
                figures["group_processors", "free"] = ("processors", [free_processors()])
                program = shlex.quote(str(of_workload["lariat"]))
                commands = {ONE_REACTOR: f"env REACTORS=1 {program}", "lariat": f"env REACTORS=2 {program}"}
                measure_servers(commands, workload, runs, figures, failed)
        elif workload in NET:
            commands = {impl: shlex.quote(str(program)) for impl, program in of_workload.items()}
            measure_servers(commands, workload, runs, figures, failed)
        else:
            measure_programs(of_workload, workload, runs, figures, failed)
    progress("")
    return figures, failed


def measure_programs(programs, workload, runs, figures, failed):
    for turn in range(runs):
        progress(f"{workload} {turn + 1}/{runs}")
        for impl in list(programs):
            try:
                for name, value, unit in run(programs[impl], workload):
                    figures.setdefault((name, impl), (unit, []))[1].append(value)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failed.append(f"{impl}: {workload}: {error}")
                del programs[impl]
                forget(figures, workload, impl)


def free_processors():
    """How many of the processors that we may use nobody else used just now, in tenths."""
    ours = {f"cpu{processor}" for processor in os.sched_getaffinity(0)}

    def ticks():
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        of = [[int(count) for count in line[1:9]] for line in lines if line[0] in ours]
        return sum(each[3] + each[4] for each in of), sum(sum(each) for each in of)

    idle, all_of_them = ticks()
    time.sleep(1)
    idle, all_of_them = (after - before for after, before in zip(ticks(), (idle, all_of_them)))
    return round(len(ours) * idle / max(all_of_them, 1), 1)


def measure_servers(commands, workload, runs, figures, failed):
    """All in one process each time; when it fails it says by whose fault, and goes on without that one."""
    turn = 0
    while commands and turn < runs:
        progress(f"{workload} {turn + 1}/{runs}")
        try:
            reported = run_servers(commands, workload)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            fault = re.search(r"at fault: (\S+)", str(error))
            failed.append(f"{workload}: {error}")
            for impl in [fault[1]] if fault else list(commands):
                del commands[impl]
                forget(figures, workload, impl)
            continue
        for impl, name, value, unit in reported:
            if name != "operations":
                figures.setdefault((name, impl), (unit, []))[1].append(value)
        turn += 1


def forget(figures, workload, impl):
    for suffix in SUFFIXES:
        figures.pop((workload + suffix, impl), None)


def count_system_calls(programs, name, figures, failed):
    """Of a long run less those of a short one, so that start-up is not in it."""
    workload = SYSTEM_CALLS[name]
    if not shutil.which("strace"):
        return
    for impl in COUNTED_IMPLS:
        if workload not in programs.get(impl, {}):
            continue
        progress(f"{name} {impl}")
        try:
            short, long = (traced(impl, programs[impl][workload], workload, COUNTED_OPERATIONS * times) for times in (1, 2))
            figures[name, impl] = ("calls", [(long[0] - short[0]) / (long[1] - short[1])])
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failed.append(f"{impl}: {name}: {error}")


def traced(impl, program, workload, operations):
    """(system calls, operations) of a server under strace, which as a grandchild (-D) leaves the server's process id to it."""
    counts = OUT / "strace"
    counts.unlink(missing_ok=True)
    command = f"strace -D -f -c -o {shlex.quote(str(counts))} {shlex.quote(str(program))}"
    made = [value for _, name, value, _ in run_servers({impl: command}, workload, operations) if name == "operations"]
    for _ in range(100):        # it writes when the server is gone
        total = re.search(r"^100\.00 +\S+ +\S+ +(\d+) .*total$", counts.read_text() if counts.exists() else "", re.MULTILINE)
        if total:
            return int(total[1]), made[0]
        time.sleep(0.05)
    raise RuntimeError("strace counted nothing")


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


def verdict_of_group(rows, free):
    """What is said of two reactors beside one."""
    if not rows.keys() >= {"lariat", ONE_REACTOR}:
        return f"goal: {TWO_REACTORS:g} times one reactor: not measured"
    times = rows[ONE_REACTOR]["median"] / rows["lariat"]["median"]
    answer = "MET" if times >= TWO_REACTORS else "MISSED"
    if free < GROUP_PROCESSORS - 0.5:
        answer = f"NOT SHOWN, which takes {GROUP_PROCESSORS}: 2 for the reactors and 2 for the load"
    return f"goal: {TWO_REACTORS:g} times one reactor: {times:.2f} times; {free:g} of {len(os.sched_getaffinity(0))} processors were free: {answer}"


def print_table(results):
    free = next((row["median"] for row in results if row["workload"] == "group_processors"), 0)
    for workload in dict.fromkeys(row["workload"] for row in results if row["workload"] != "group_processors"):
        rows = {row["impl"]: row for row in results if row["workload"] == workload}
        ours = rows.get("lariat")
        print(f"{workload}  {verdict_of_group(rows, free) if workload == 'group' else verdict(workload, rows)}".rstrip())
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

    without = [tool for tool in HTTP_TOOLS if shutil.which(tool) is None]
    if without:
        workloads = [workload for workload in workloads if workload not in HTTP]
    programs, left_out, failed = build(impls, workloads)
    if without:
        left_out[", ".join(sorted(HTTP))] = f"no {without[0]}"
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
