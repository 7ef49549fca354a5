"""The Rust stages: format and lints, cargo test, loom, the model test."""

import os
import re
import subprocess

from . import build, project
from .build import VALGRIND
from .project import CARGO, ROOT, TARGET


# One build for all that is not optimised: the C cases that need the testing exports use it too.
AS_TESTS = ["--features", "testing", "--target-dir", TARGET]


def lint(report, _options):
    """rustfmt and clippy, where they are installed."""
    checks = [("rustfmt", "cargo-fmt", ["fmt", "--check"]),
              ("clippy", "cargo-clippy", ["clippy", "-q", "--all-targets", "--target-dir", TARGET, "--", "-Dwarnings"])]
    for name, tool, arguments in checks:
        if project.missing(tool):
            report.skipped("Rust", name, f"{tool} is not installed")
            continue
        try:
            build.cargo(*arguments, what=name)
            report.passed("Rust", name)
        except build.Failed as failure:
            report.failed("Rust", name, failure.output)


def cargo_test(report, what, *arguments, env=None, command=None):
    """Runs cargo test, or another command that ends up in Rust's test harness, and counts its tests."""
    words = command or [CARGO, "test", "--no-fail-fast", *arguments]
    done = subprocess.run([str(word) for word in words], env=env or project.environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", done.stdout, re.M)
    passed, failed, ignored = (sum(int(result[index]) for result in results) for index in range(3))
    report.count("Rust", passed=passed, skipped=ignored)
    for name in re.findall(r"^test (.*) \.\.\. ignored", done.stdout, re.M):
        report.left_out.append((name.split(" - ")[0], "marked #[ignore]"))
    if failed or done.returncode:
        for name in dict.fromkeys(re.findall(r"^test (.*) \.\.\. FAILED", done.stdout, re.M)):
            report.failed("Rust", name)
        report.failed("Rust", what, done.stdout) if not failed else print(done.stdout)
    return passed


def tests(report, _options):
    """Unit tests, integration tests and the documentation's examples."""
    cargo_test(report, "cargo test", *AS_TESTS)


def loom(report, _options):
    """The models of what threads share: every interleaving with so many preemptions, so optimised and without the rest. With
    LARIAT_LOOM=all there is one more in each model, which takes five minutes instead of a half."""
    env = project.environment(RUSTFLAGS="--cfg loom", LARIAT_LOOM=os.environ.get("LARIAT_LOOM", "quick"))
    ran = cargo_test(report, "loom models", "--release", "--manifest-path", ROOT / "tests/loom/Cargo.toml", "--target-dir",
                     TARGET / "loom", env=env)
    if not ran:
        report.skipped("Rust", "loom models", "there is none in the library")


def model(report, _options):
    """The model test for longer, then for a shorter time under AddressSanitizer and under valgrind."""
    if not (ROOT / "tests/model/main.rs").exists():
        return report.skipped("Rust", "the model test for longer", "there is no tests/model/main.rs")
    model_test = [*AS_TESTS, "--test", "model"]
    cargo_test(report, "the model test for longer", *model_test, env=project.environment(LARIAT_MODEL_SECONDS=30))
    flags = {"RUSTC_BOOTSTRAP": 1, "RUSTFLAGS": build.ADDRESS, "RUSTDOCFLAGS": build.ADDRESS}
    # The library as stage `address` has built it.
    cargo_test(report, "the model test under AddressSanitizer", "--profile", "instrumented", "--features", "testing", "--test", "model",
               "--target", project.HOST, "--target-dir", TARGET / "asan", env=project.environment(LARIAT_MODEL_SECONDS=10, **flags))
    if project.missing("valgrind"):
        return report.skipped("Rust", "the model test under valgrind", "valgrind is not installed")
    output = build.cargo("test", *model_test, "--no-run", what="the model test")
    program = re.search(r"Executable .*\((.*)\)", output).group(1)
    cargo_test(report, "the model test under valgrind", command=[*VALGRIND, program],
               env=project.environment(LARIAT_MODEL_SECONDS=10, LARIAT_TEST_TOOL="valgrind"))
