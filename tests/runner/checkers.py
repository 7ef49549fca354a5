"""The C suite and the examples under valgrind and the sanitizers."""

import re

from . import build, cases, csuite, project, targets
from .build import VALGRIND
from .project import ROOT

def suppressions(tool):
    """The arguments that name tests/c/TOOL.supp, which need not exist, behind a prefix."""
    path = ROOT / "tests/c" / f"{tool}.supp"
    return str(path) if path.exists() else ""


def run_everything(report, options, plain, testing):
    """The C suite and the examples, in the variants that the two functions make; or what is wanted of them."""
    csuite.run_suite(report, options, plain, testing, threads=options.only_threads or None)
    if not options.only_threads:
        csuite.run_examples(report, options, plain())


def valgrind(report, options):
    """No error and nothing definitely lost, against the library as it is installed. What it alone finds is what is read before it was
    written, which takes unsafe code; AddressSanitizer has the rest in a fifth of the time. So it has the failure catalogue alone, but for
    TLS, HTTP and WebSocket, which have no unsafe code of their own, and for the cases with threads, which ThreadSanitizer has and valgrind
    runs one at a time. With --everything it has all, and the examples."""
    if project.missing("valgrind"):
        return report.skipped("C", "the C suite under valgrind", "valgrind is not installed")
    more = [f"--suppressions={path}"] if (path := suppressions("valgrind")) else []

    def under_valgrind(variant):
        variant.wrapper, variant.tool, variant.slowness, variant.divide = VALGRIND + more, "valgrind", 10, 100
        return variant

    def plain():
        return under_valgrind(build.plain())

    def testing():
        return under_valgrind(build.testing())

    if options.everything or options.only_threads:
        return run_everything(report, options, plain, testing)
    csuite.run_suite(report, options, plain, testing, threads=False, generated=False,
                     wanted=lambda name: name.startswith("failures_") and not re.search("http|tls|websocket", name))


def address(report, options):
    """AddressSanitizer with LeakSanitizer, in the library and in the C programs; gcc's runtime serves both."""
    if project.missing("gcc"):
        return report.skipped("C", "the C suite under AddressSanitizer", "gcc is not installed")
    variant = build.Variant(
        "address", build.instrumented("asan", build.ADDRESS), cc="gcc", cxx="g++",
        tool="address", slowness=4, divide=10, compile=["-fsanitize=address", "-fno-omit-frame-pointer"],
        link=["-fsanitize=address"],
        env={"ASAN_OPTIONS": "detect_leaks=1:exitcode=9:allocator_may_return_null=1:strict_string_checks=1"})
    if path := suppressions("address"):
        variant.env["LSAN_OPTIONS"] = f"suppressions={path}:print_suppressions=0"
    run_everything(report, options, lambda: variant, lambda: variant)


def thread(report, options):
    """ThreadSanitizer: wants the standard library instrumented too, and the runtime that rustc brings."""
    what = "the threaded C cases under ThreadSanitizer"
    sysroot = build.run(["rustc", "--print", "sysroot"], "rustc").strip()
    runtimes = list((project.Path(sysroot) / "lib/rustlib" / project.HOST / "lib").glob("librustc*_rt.tsan.a"))
    if project.missing("gcc") or not runtimes:
        return report.skipped("C", what, "gcc or rustc's runtime for it is missing")
    toolchain = targets.std_source(report, what)
    if not toolchain:
        return
    library = build.instrumented("tsan", "-Zsanitizer=thread", *targets.BUILD_STD, env=toolchain)
    runtime = ["-rdynamic", "-Wl,--whole-archive", runtimes[0], "-Wl,--no-whole-archive", "-ldl", "-lrt", "-lm"]
    variant = build.Variant(
        "thread", library, cc="gcc", cxx="g++", tool="thread", slowness=8, divide=20, compile=["-fsanitize=thread"], link=runtime,
        # It takes no child that borrows its parent's memory; of those that are forked while threads run it warns.
        env={"TSAN_OPTIONS": "exitcode=9:second_deadlock_stack=1:history_size=4:die_after_fork=0", "LARIAT_TEST_SPAWN_FORKS": "1"})
    if path := suppressions("thread"):
        variant.env["TSAN_OPTIONS"] += f":suppressions={path}"
    csuite.run_suite(report, options, lambda: variant, lambda: variant, threads=True)
