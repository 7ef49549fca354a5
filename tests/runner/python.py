"""The Python package: a wheel by maturin, a fresh virtual environment, and the package's tests in it."""

import re
import shutil
import subprocess
import sys
import zipfile

from . import build, project
from .project import ROOT, TARGET

LANGUAGE = "Python"
PACKAGE = ROOT / "bindings/python"
PLACE = TARGET / "python"
# What a wheel holds beside the modules; twisted/plugins is where Twisted looks for reactors.
FILES = ["lariat/__init__.py", "lariat/defer.pyi", "lariat/py.typed", "lariat/_lariat.abi3.so", "lariat/_lariat.pyi",
         "lariat/defer.py", "lariat/internet.py", "lariat/twisted.py", "twisted/plugins/lariat_reactor.py"]
RESULT = re.compile(r"^(\w+) \(([\w.]+)\)(?:\n.*)?? \.\.\. (?:.*\n)*?(ok|FAIL|ERROR|expected failure|skipped ['\"](.*)['\"])$", re.M)
SECONDS = 300
# What the conformance tests are those of, and what they need.
WANTED = ["twisted[tls,http2]==26.10.0", "pyhamcrest", "hypothesis", "klein==24.8.0", "treq==26.7.0", "httpbin", "trustme", "idna", "httpx"]


def stage(report, options):
    """What `make test` runs: quick to build, with every assertion on."""
    reason = lacks()
    if reason:
        return report.skipped(LANGUAGE, "the Python package", reason)
    python = installed(report, ["--profile", "checked"])
    rust_lints(report)
    run_tests(report, python, options.filter)


def lacks():
    """What this machine has not got, that the package is built with."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed (on Debian: python3-venv)"
    missing = project.missing(project.CARGO)
    return f"{missing[0]} is not installed" if missing else ""


def new_environment(folder):
    """A fresh virtual environment; returns its python."""
    shutil.rmtree(folder, ignore_errors=True)
    build.run([sys.executable, "-m", "venv", folder], "python3 -m venv")
    return folder / "bin/python"


def pip(python, *arguments, what, env=None):
    words = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    return build.run(words, what, env=env)


def wheel(arguments):
    """Builds the wheel as `pip install` does."""
    wheels = PLACE / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    builder = new_environment(PLACE / "builder")
    env = project.environment(CARGO_TARGET_DIR=PLACE / "cargo", MATURIN_PEP517_ARGS=" ".join(arguments))
    pip(builder, "wheel", "--no-deps", "--wheel-dir", wheels, PACKAGE, what="pip wheel", env=env)
    return next(wheels.glob("lariat-*.whl"))


def installed(report, arguments, *more):
    """A fresh environment with the wheel, and with other packages; returns its python."""
    made = wheel(arguments)
    names = zipfile.ZipFile(made).namelist()
    lacking = [name for name in FILES if name not in names]
    report.check(LANGUAGE, "the wheel has every file", "\n".join(lacking))
    tag = made.name.split("-", 2)[2]
    report.check(LANGUAGE, "the wheel serves every Python from 3.10 on", "" if tag.startswith("cp310-abi3-") else made.name)
    python = new_environment(PLACE / "environment")
    pip(python, "install", "--quiet", *(more or ["--no-index"]), made, what="pip install")
    return python


def rust_lints(report):
    """rustfmt and clippy of the extension, which is a crate of its own."""
    checks = [("rustfmt of the extension", "cargo-fmt", ["fmt", "--check"]),
              ("clippy of the extension", "cargo-clippy", ["clippy", "-q", "--profile", "checked", "--", "-Dwarnings"])]
    env = project.environment(CARGO_TARGET_DIR=PLACE / "cargo")
    for name, tool, arguments in checks:
        if project.missing(tool):
            report.skipped(LANGUAGE, name, f"{tool} is not installed")
            continue
        try:
            build.run([project.CARGO, *arguments], name, env=env, cwd=PACKAGE)
            report.passed(LANGUAGE, name)
        except build.Failed as failure:
            report.failed(LANGUAGE, name, failure.output)


def run_tests(report, python, only=""):
    """The package's tests, from where the package's source is not found."""
    words = [python, "-X", "dev", "-m", "unittest", "discover", "-v", "-s", PACKAGE / "tests"]
    if only:
        words += ["-k", only]
    env = project.environment(PYTHONDONTWRITEBYTECODE=1)
    env.pop("PYTHONPATH", None)
    try:
        done = subprocess.run([str(word) for word in words], cwd=PLACE, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired as hung:
        output = hung.stdout.decode(errors="replace") if hung.stdout else ""
        return report.failed(LANGUAGE, f"the package's tests take longer than {SECONDS} s", output)
    results = list(RESULT.finditer(done.stdout))
    for result in results:
        name = f"python/{result[2]}"
        if result[3] in ("ok", "expected failure"):
            report.passed(LANGUAGE, name)
        elif result[3].startswith("skipped"):
            report.skipped(LANGUAGE, name, result[4])
        else:
            report.failed(LANGUAGE, name)
    ran = re.search(r"^Ran (\d+) tests?", done.stdout, re.M)
    told = "" if done.returncode == 0 and ran and int(ran[1]) == len(results) > 0 else done.stdout
    report.check(LANGUAGE, "the package's tests", told)


def conformance(report, _options):
    """Twisted's own tests on lariat's reactor and with lariat's Deferred, and those of programs that others wrote for it."""
    reason = lacks()
    if reason:
        return report.skipped(LANGUAGE, "Twisted's tests", reason)
    python = installed(report, ["--profile", "checked"], *WANTED)
    folder = PLACE / "conformance"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scripts = PACKAGE / "conformance"
    runs = [("Twisted's reactor on lariat", [python, "-W", "ignore", scripts / "test_reactor.py"]),
            ("Twisted's tests on lariat's reactor", [python, scripts / "run.py"]),
            ("Twisted's tests of Deferreds with lariat's", [python, scripts / "deferreds.py"])]
    for name in ("klein", "treq"):
        # Installed without being asked: whatever reads nothing but the reactor's name finds it by Twisted's plug-in.
        runs.append((f"{name}'s own tests on lariat's reactor", [python, "-m", "twisted.trial", "--reactor=lariat", name]))
    env = project.environment(PYTHONDONTWRITEBYTECODE=1)
    env.pop("PYTHONPATH", None)
    for name, words in runs:
        print(f"\n{name}:", flush=True)
        done = subprocess.run([str(word) for word in words], cwd=folder, env=env)
        report.check(LANGUAGE, name, f"ended with {done.returncode}" if done.returncode else "")


def bench(report, _options):
    """The package as its users build it, beside Twisted's epoll reactor."""
    reason = lacks()
    if reason:
        return report.skipped(LANGUAGE, "the benches of the Python package", reason)
    python = installed(report, [], "twisted")
    done = subprocess.run([str(python), str(PACKAGE / "bench/run.py")])
    report.check(LANGUAGE, "the benches of the Python package", f"ended with {done.returncode}" if done.returncode else "")
