"""The C stages of `make test`: header checks, the C suite, the examples."""

import re
import tempfile
from pathlib import Path

from . import build, cases, checkers, project
from .project import ROOT

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
COMPILERS = [("gcc", "C", "c99"), ("gcc", "C", "c11"), ("g++", "C++", "c++17"),
             ("clang", "C", "c99"), ("clang", "C", "c11"), ("clang++", "C++", "c++17")]


def header(report, _options):
    """include/lariat.h compiles alone, twice included, as every language that we promise."""
    with tempfile.TemporaryDirectory() as folder:
        for compiler, language, standard in COMPILERS:
            for times in (1, 2):
                name = f"lariat.h as {standard} with {compiler}, " + ("alone" if times == 1 else "twice included")
                if project.missing(compiler):
                    report.skipped(language, name, f"{compiler} is not installed")
                    continue
                source = Path(folder) / ("header.c" if language == "C" else "header.cc")
                source.write_text('#include "lariat.h"\n' * times + "typedef int not_empty;\n")
                try:
                    build.run([compiler, f"-std={standard}", *STRICT, f"-I{ROOT / 'include'}", source], name)
                    report.passed(language, name)
                except build.Failed as failure:
                    report.failed(language, name, failure.output)


def is_without_threads(path):
    """Whether no case of the file has threads: it need not be compiled then."""
    return not path.name.startswith("plugin_") and not re.search(r"^TEST\w*\(\w*thread", path.read_text(), re.M)


def run_suite(report, options, plain, testing, threads=None, generated=True, wanted=lambda name: True):
    """The whole C suite: files named testing_ against the library with the testing exports; `generated`: with the program that is
    written from the header; `wanted`: of which files' names."""
    suite = build.suite(report) if generated else build.sources("tests/c")
    suite = [path for path in suite if wanted(path.name) and not (threads and is_without_threads(path))]
    for is_testing, variant in ((False, plain), (True, testing)):
        sources = [path for path in suite if path.name.startswith("testing_") == is_testing]
        if is_testing and not sources:
            continue
        run_programs(report, options, variant(), sources, threads)


def run_programs(report, options, variant, sources, threads=None):
    """Every case of these files, compiled for the variant."""
    check_programs(report, options, variant, build.compile_all(variant, sources, options.jobs, report, "C"), threads)


def check_programs(report, options, variant, programs, threads=None):
    """Every case of these programs, or only those with threads (True), or only the others (False): these have `thread` in the name."""
    found = []
    for source, program in sorted(programs.items()):
        if source.name.startswith("plugin_"):
            continue
        try:
            found += cases.listed(variant, source, program, options.limit)
        except build.Failed as failure:
            report.failed("C", failure.what, failure.output)
    found = [case for case in found if options.filter in case.name]
    if threads is not None:
        found = [case for case in found if ("thread" in case.name) == threads]
    cases.run_all(variant, found, options.jobs, report)


def plain(report, options):
    """Stage `c`: as the options say; without any, against the library as it is installed."""
    if options.sanitizer or options.wrapper:
        getattr(checkers, options.sanitizer or options.wrapper)(report, options)
    else:
        run_suite(report, options, build.plain, build.testing, threads=options.only_threads or None)


def run_examples(report, options, variant):
    """The examples, compiled for the variant."""
    programs = build.compile_all(variant, build.sources("examples"), options.jobs, report, "C")
    check_examples(report, options, variant, programs)


def check_examples(report, options, variant, programs):
    """Each example prints what tests/examples/NAME.out says; its arguments, if it takes any, are in NAME.args."""
    found = []
    for source, program in sorted(programs.items()):
        expected = ROOT / "tests/examples" / f"{source.stem}.out"
        arguments = expected.with_suffix(".args")
        words = arguments.read_text().split() if arguments.exists() else []
        lines = expected.read_text().splitlines() if expected.exists() else [f"({source.stem}.out is missing)"]
        limit = options.limit * variant.slowness
        found.append(cases.Case(f"examples/{source.stem}", program, words, limit, expected=lines))
    found = [case for case in found if options.filter in case.name]
    cases.run_all(variant, found, options.jobs, report)


def examples(report, options):
    """The examples as `make examples` builds them, and `make demo`."""
    variant = build.plain()
    tools = [f"CARGO={project.CARGO}", f"CC={project.CC}"]
    build.run(["make", "-s", "examples", *tools, "CFLAGS=-O2 -g -Wall -Wextra -Werror"], "make examples")
    programs = {source: project.TARGET / "examples" / source.stem for source in build.sources("examples")}
    check_examples(report, options, variant, programs)
    output = build.run(["make", "-s", "demo", *tools], "make demo")
    wanted = ["The result is: 12\n", "ann: hello bob\n", "bob: hello ann\n", "GET /: 200, text/html; charset=utf-8, "]
    missing = [line for line in wanted if line not in output]
    report.check("C", "make demo", f"no {missing[0]!r} in:\n{output}" if missing else "")
