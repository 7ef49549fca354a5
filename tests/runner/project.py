"""Where things are, and which tools this machine has."""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target"
CARGO = os.environ.get("CARGO", "cargo")
CC = os.environ.get("CC", "cc")
ELSEWHERE = ("CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "MAKEFLAGS", "MAKELEVEL", "RUSTFLAGS", "CFLAGS")
HOST = "x86_64-unknown-linux-gnu"


def missing(*tools):
    """Those of the tools that are not installed."""
    return [tool for tool in tools if shutil.which(tool) is None]


def version():
    return re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)


def major():
    return version().split(".")[0]


def environment(**extra):
    """The environment for builds and tests: without what would send cargo's output elsewhere; with the CC that the Makefile gives, as
    what a crate has in C is compiled anew when it changes."""
    env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    env["CC"] = CC
    env.update({name: str(value) for name, value in extra.items()})
    return env
