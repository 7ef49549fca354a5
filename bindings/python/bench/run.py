#!/usr/bin/env python3
"""Measures lariat beside Twisted's epoll reactor: whole Python programs, one after the other, in one run.

    bench/run.py [--rounds N] [--python PROGRAM] [name ...]

Each program of programs/ takes "lariat" or "twisted" for an argument, and prints how many nanoseconds one of what it does
takes. Here each is run several times, in turns; what is told is the median of each, and by how much lariat is faster.
"""

import argparse
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(HERE, "programs")
SECONDS = 300


def once(python, name, which):
    command = [python, os.path.join(PROGRAMS, f"{name}.py"), which]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True)
    return float(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="one that has lariat and Twisted installed")
    parser.add_argument("name", nargs="*", default=sorted(file[:-3] for file in os.listdir(PROGRAMS) if file.endswith(".py")))
    options = parser.parse_args()
    print(f"{'nanoseconds for one':28}{'lariat':>12}{'Twisted':>12}{'ratio':>8}", flush=True)
    for name in options.name:
        taken = {"lariat": [], "twisted": []}
        for _ in range(options.rounds):
            for which, times in taken.items():
                times.append(once(options.python, name, which))
        ours, theirs = (statistics.median(times) for times in taken.values())
        print(f"{name.replace('_', ' '):28}{ours:12.0f}{theirs:12.0f}{theirs / ours:8.2f}", flush=True)


if __name__ == "__main__":
    main()
