"""The fuzz targets of tests/fuzz, by libFuzzer under AddressSanitizer: what `cargo fuzz` does, with the toolchain that is here."""

import concurrent.futures
import os
import subprocess

from . import build, project
from .project import ROOT, TARGET

LANGUAGE = "Rust"
CRATE = ROOT / "tests/fuzz"
FOLDER = TARGET / "fuzz"
COVERAGE = ["-Cpasses=sancov-module", *(f"-Cllvm-args=-sanitizer-coverage-{what}" for what in (
    "level=4", "inline-8bit-counters", "pc-table", "trace-compares"))]
SLOWEST = 10  # seconds for an input: what takes longer is a bug, too


def seconds():
    """For each target."""
    return int(os.environ.get("LARIAT_FUZZ_SECONDS", 60))


def stage(report, options):
    """Each target for its time, from the seeds that are committed and from what earlier runs have found."""
    if project.missing("c++"):
        return report.skipped(LANGUAGE, "the fuzz targets", "c++ is not installed, in which libFuzzer is written")
    if not project.missing("cargo-fmt"):
        build.cargo("fmt", "--check", "--manifest-path", CRATE / "Cargo.toml", what="rustfmt of the fuzz targets")
    env = project.environment(RUSTC_BOOTSTRAP=1, RUSTFLAGS=" ".join(["--cfg fuzzing", "-Zsanitizer=address", *COVERAGE]))
    build.cargo("build", "--release", "--manifest-path", CRATE / "Cargo.toml", "--target", project.HOST, "--target-dir", FOLDER,
                what="the fuzz targets", env=env)
    targets = sorted(path.stem for path in (CRATE / "targets").glob("*.rs") if options.filter in path.stem)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda target: run(report, target), targets))


def run(report, target):
    """What it found stays in target/fuzz/found/TARGET for the next run; an input that fails goes to target/fuzz/failed, and is to
    become a seed."""
    found, failed = FOLDER / "found" / target, FOLDER / "failed"
    found.mkdir(parents=True, exist_ok=True)
    failed.mkdir(exist_ok=True)
    command = [FOLDER / project.HOST / "release" / target, f"-max_total_time={seconds()}", f"-timeout={SLOWEST}", "-rss_limit_mb=1024",
               "-max_len=16384", "-verbosity=0", f"-artifact_prefix={failed}/{target}-", found, CRATE / "seeds" / target]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    report.check(LANGUAGE, f"fuzz/{target}", f"{done.stdout}\nexit {done.returncode}" if done.returncode else "")
