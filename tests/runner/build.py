"""Builds the library in its variants, and C programs against each."""

import concurrent.futures
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from . import project
from .project import ROOT, TARGET

VALGRIND = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite", "--read-inline-info=no", "--fair-sched=yes", "--num-callers=30"]
ADDRESS = "-Zsanitizer=address -Cforce-frame-pointers=yes"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


class Failed(Exception):
    """A build that failed: what, and what it printed."""

    def __init__(self, what, output):
        super().__init__(what)
        self.what, self.output = what, output


@dataclass
class Variant:
    """A build of the library, and how C programs are compiled against it and run."""

    name: str
    library: Path  # the folder of liblariat.so
    cc: str = project.CC
    cxx: str = "c++"
    compile: list = field(default_factory=list)  # more arguments when compiling
    link: list = field(default_factory=list)  # more arguments when linking a program, not a plugin
    libraries: list = field(default_factory=list)  # what a program needs behind the library
    wrapper: list = field(default_factory=list)  # what runs a program
    env: dict = field(default_factory=dict)
    slowness: float = 1  # by how much the time limits grow
    divide: int = 1  # by what the cases divide their large counts
    tool: str = ""  # LARIAT_TEST_TOOL for the cases, and what the report calls the variant
    suffix: str = ""  # of programs: .exe on Windows

    def named(self, name):
        """A case's name in the report."""
        return f"{name} ({self.tool})" if self.tool else name

    @property
    def programs(self):
        return TARGET / "c" / self.name


def run(command, what, env=None, **more):
    """Runs a build step, quietly; raises Failed with its output."""
    done = subprocess.run(
        [str(word) for word in command], env=env or project.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", **more)
    if done.returncode != 0:
        raise Failed(what, done.stdout)
    return done.stdout


def cargo(*arguments, what, env=None):
    return run([project.CARGO, *arguments], what, env)


def library(folder):
    """The library in a cargo folder, with the name that the loader looks for beside it."""
    link = folder / f"liblariat.so.{project.major()}"
    if not link.is_symlink():
        link.symlink_to("liblariat.so")
    return folder


def plain():
    """The library as it is installed, built by the Makefile."""
    run(["make", "-s", "lib", f"CARGO={project.CARGO}"], "the library")
    return Variant("plain", TARGET / "release")


def testing():
    """The library with the exports that only tests need, and with its own assertions on: as `cargo test` has built it."""
    cargo("build", "--lib", "--features", "testing", "--target-dir", TARGET, what="the library with its testing exports")
    folder = TARGET / "testing"
    folder.mkdir(exist_ok=True)
    # A copy, as cargo may put it there again while programs use it.
    shutil.copy2(TARGET / "debug/liblariat.so", folder / "liblariat.new")
    (folder / "liblariat.new").replace(folder / "liblariat.so")
    return Variant("testing", library(folder), slowness=3)


def instrumented(folder, flags, *more, target=project.HOST, env=None):
    """The library built with rustc flags that only a nightly accepts, by the toolchain that is here."""
    env = project.environment(RUSTC_BOOTSTRAP=1, RUSTFLAGS=flags, **(env or {}))
    cargo("build", "--lib", "--profile", "instrumented", "--features", "testing", "--target", target,
          "--target-dir", TARGET / folder, *more, what=f"the library for {folder}", env=env)
    return library(TARGET / folder / target / "instrumented")


def is_fresh(program, inputs):
    return program.exists() and all(program.stat().st_mtime > path.stat().st_mtime for path in inputs)


def compile_one(variant, source):
    """Compiles one C or C++ file into a program, or a `plugin_` file into a shared object."""
    folder = variant.programs / source.parent.relative_to(ROOT)
    folder.mkdir(parents=True, exist_ok=True)
    is_plugin = source.name.startswith("plugin_")
    program = folder / (source.stem + (".so" if is_plugin else variant.suffix))
    headers = [*ROOT.glob("tests/*/*.h"), *ROOT.glob("examples/*.h"), ROOT / "include/lariat.h", Path(__file__)]
    if is_fresh(program, [source, *headers]):
        return program
    is_cxx = source.suffix in (".cc", ".cpp")
    compiler, standard = (variant.cxx, "-std=c++17") if is_cxx else (variant.cc, "-std=gnu11")
    what, object_file = str(source.relative_to(ROOT)), program.with_suffix(".o")
    includes = [f"-I{ROOT / 'include'}", f"-I{source.parent}"]
    # Not optimised: that takes four times as long, and each case is run but once.
    run([compiler, standard, "-g", "-O0", "-fPIC", *WARNINGS, *variant.compile, *includes, "-c", source, "-o", object_file],
        what)
    libraries = [f"-L{variant.library}", "-llariat", f"-Wl,-rpath,{variant.library}", "-pthread", "-lm", *variant.libraries]
    run([compiler, object_file, "-o", program, *(["-shared"] if is_plugin else variant.link), *libraries], what)
    return program


def compile_all(variant, sources, jobs, report, language):
    """Compiles files; what fails is reported. Returns the programs by source."""
    programs = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(compile_one, variant, source): source for source in sources}
        for future in concurrent.futures.as_completed(futures):
            try:
                programs[futures[future]] = future.result()
            except Failed as failure:
                report.failed(language, variant.named(f"{failure.what} does not compile"), failure.output)
    return programs


def sources(folder):
    """The C and C++ files of a folder, plugins first."""
    files = [path for path in (ROOT / folder).glob("*") if path.suffix in (".c", ".cc", ".cpp")]
    return sorted(files, key=lambda path: (not path.name.startswith("plugin_"), path.name))


def suite(report):
    """The C suite: tests/c, and the program that calls every export with all that can be wrong, written from the header."""
    fuzz = TARGET / "c/generated/fuzz_handles.c"
    fresh = fuzz.with_suffix(".new")
    fuzz.parent.mkdir(parents=True, exist_ok=True)
    script = ROOT / "tests/abi/fuzz_handles.py"
    try:
        run([sys.executable, script, ROOT / "include/lariat.h", fresh], "tests/abi/fuzz_handles.py")
    except Failed as failure:
        report.failed("C", failure.what, failure.output)
        return sources("tests/c")
    if not fuzz.exists() or fuzz.read_bytes() != fresh.read_bytes():
        fresh.replace(fuzz)
    return [*sources("tests/c"), fuzz]


def case_environment(variant, program, limit):
    """What a case may look at: the tool that it runs under, the folder of plugins, the library for dlopen; see harness.h."""
    extra = {"LARIAT_TEST_DIR": program.parent, "LARIAT_TEST_LIBRARY": variant.library / f"liblariat.so.{project.major()}",
             "LARIAT_TEST_SECONDS": int(limit) + 10}
    if variant.divide > 1:
        extra["LARIAT_TEST_DIVIDE"] = variant.divide
    if variant.tool:
        extra["LARIAT_TEST_TOOL"] = variant.tool
    return project.environment(**extra, **variant.env, LC_ALL="C.UTF-8", TERM=os.environ.get("TERM", "dumb"))
