"""The examples against programs that others wrote: nc, socat, curl, and what Python brings."""

import os
import sys

from . import build, cases, project
from .project import ROOT

LANGUAGE = "Python"


def stage(report, options):
    """Each case of tests/interop/NAME.py, against the examples as `make examples` builds them."""
    build.plain()
    build.run(["make", "-s", "examples", f"CARGO={project.CARGO}", f"CC={project.CC}"], "make examples")
    env = {"LARIAT_EXAMPLES": project.TARGET / "examples", "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ.get("PATH", "")}
    variant = build.Variant("interop", project.TARGET / "release", wrapper=[sys.executable], env=env)
    found = []
    for source in sorted((ROOT / "tests/interop").glob("*.py")):
        if source.stem == "harness":
            continue
        try:
            found += cases.listed(variant, source, source, options.limit)
        except build.Failed as failure:
            report.failed(LANGUAGE, failure.what, failure.output)
    for case in found:
        case.name, case.language = f"interop/{case.name}", LANGUAGE
    cases.run_all(variant, [case for case in found if options.filter in case.name], options.jobs, report)
