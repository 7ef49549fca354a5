"""The examples, and a site, against programs that others wrote: nc, socat, curl, browsers, and what Python and its packages bring."""

import os

from . import build, cases, project, venv
from .project import ROOT, TARGET

LANGUAGE = "Python"
NOT_TESTS = {"harness", "browser"}


def stage(report, options):
    """Each case of tests/interop/NAME.py, against the examples as `make examples` builds them."""
    run(report, options)


def load(report, options):
    """Those of the cases that take long: slow clients by the thousand, and many requests."""
    run(report, options, "--heavy")


def run(report, options, *more):
    library = build.plain()
    build.run(["make", "-s", "examples", f"CARGO={project.CARGO}", f"CC={project.CC}"], "make examples")
    build.compile_all(library, build.sources("tests/interop"), options.jobs, report, "C")
    python, lacks = venv.python()
    if lacks:
        report.skipped(LANGUAGE, "what needs Python packages", lacks)
    env = {"LARIAT_EXAMPLES": TARGET / "examples", "LARIAT_PROGRAMS": library.programs / "tests/interop",
           "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ.get("PATH", "")}
    variant = build.Variant("interop", TARGET / "release", wrapper=[python], env=env)
    found = []
    for source in sorted((ROOT / "tests/interop").glob("*.py")):
        if source.stem in NOT_TESTS:
            continue
        try:
            found += cases.listed(variant, source, source, options.limit, more, may_be_none=True)
        except build.Failed as failure:
            report.failed(LANGUAGE, failure.what, failure.output)
    for case in found:
        case.name, case.language = f"interop/{case.name}", LANGUAGE
    cases.run_all(variant, [case for case in found if options.filter in case.name], options.jobs, report)
