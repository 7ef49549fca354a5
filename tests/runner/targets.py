"""Other targets, from Linux: the library compiled for each without warnings; where an emulator is, what is portable of the examples and
the cases is run."""

import re
import shutil
import subprocess
import threading
from pathlib import Path

from . import build, cases, csuite, project
from .project import ROOT, TARGET

STD = TARGET / "std"
UNPACKING = threading.Lock()  # two stages want it, and may run beside each other
BUILD_STD = ["-Zbuild-std=std,panic_unwind"]
WINDOWS_LIBRARIES = ["-lws2_32", "-luserenv", "-lntdll", "-lkernel32", "-ladvapi32", "-lbcrypt"]
ON_UNIX_ONLY = re.compile(r"#\s*include\s*<(unistd|pthread|poll|signal|fcntl|netdb|sys/\w+|netinet/\w+|arpa/\w+)\.h>")


def std_source(report, what):
    """The environment for builds with the standard library; empty, and `what` left out, where its source is not to be had."""
    missing = project.missing("apt-get", "dpkg-deb")
    try:
        if missing:
            raise build.Failed(what, f"{missing[0]} is not here")
        with UNPACKING:
            build.run(["sh", ROOT / "tests/std_source.sh", STD], what)
    except build.Failed as failure:
        reason = (failure.output.strip().splitlines() or ["unknown"])[-1]
        report.skipped("Rust", what, f"no source of the standard library: {reason}")
        return {}
    return {"RUSTC": STD / "rustc"}


def stage(report, options):
    """Windows and aarch64 are linked and run, macOS is checked: it can be neither here."""
    toolchain = std_source(report, "other targets")
    if not toolchain:
        return
    aarch64(report, options, toolchain)
    windows(report, options, toolchain)
    env = project.environment(RUSTC_BOOTSTRAP=1, RUSTFLAGS="-Dwarnings", CC_aarch64_apple_darwin=no_compiler(),
                              AR_aarch64_apple_darwin=no_compiler(), **toolchain)
    try:
        build.cargo("check", "--lib", "--target", "aarch64-apple-darwin", "--target-dir",
                    TARGET / "cross", *BUILD_STD, what="macOS", env=env)
        report.passed("Rust", "cargo check for aarch64-apple-darwin")
    except build.Failed as failure:
        report.failed("Rust", "cargo check for aarch64-apple-darwin", failure.output)


def no_compiler():
    """For the C of ring: no compiler for macOS is here, and a check links nothing, so what it would make stays empty."""
    stub = TARGET / "cross/no_compiler.sh"
    stub.parent.mkdir(parents=True, exist_ok=True)
    # What asks which compiler it is has an answer of the one that is here.
    stub.write_text('#!/bin/sh\n[ "$1" != -E ] || exec cc "$@"\nfor word; do case $word in /*.o | /*.a) : >"$word" ;; esac; done\n')
    stub.chmod(0o755)
    return stub


def portable_cases():
    """The C cases that need nothing of Unix."""
    return [source for source in build.sources("tests/c") if source.name.startswith("semantics_portable_")]


def built(report, target, linker, toolchain):
    """The library for a target; None, and a report, where it fails or its linker is missing."""
    name = f"the library for {target}"
    if project.missing(linker):
        report.skipped("Rust", name, f"{linker} is not installed")
        return None
    variable = f"CARGO_TARGET_{target.upper().replace('-', '_')}_LINKER"
    try:
        compiler = f"CC_{target.replace('-', '_')}"
        # Nobody debugs these, and it would be most of what is linked into each program.
        env = {variable: linker, compiler: linker, "CARGO_PROFILE_INSTRUMENTED_DEBUG": "none", **toolchain}
        folder = build.instrumented("cross", "-Dwarnings", *BUILD_STD, target=target, env=env)
        report.passed("Rust", name)
        return folder
    except build.Failed as failure:
        report.failed("Rust", name, failure.output)
        return None


def aarch64(report, options, toolchain):
    """Linux on aarch64: all examples and the portable cases, under qemu."""
    folder = built(report, "aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc", toolchain)
    if not folder:
        return
    if project.missing("qemu-aarch64"):
        return report.skipped("C", "the examples and cases on aarch64", "qemu-aarch64 is not installed")
    variant = build.Variant("aarch64", folder, cc="aarch64-linux-gnu-gcc", cxx="aarch64-linux-gnu-g++", tool="aarch64",
                            wrapper=["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"], slowness=5, divide=20)
    csuite.run_examples(report, options, variant)
    csuite.run_programs(report, options, variant, portable_cases())


def windows(report, options, toolchain):
    """Windows: what the DLL exports; the examples that use nothing of Unix, and the portable cases, under wine with both libraries."""
    cc = "x86_64-w64-mingw32-gcc"
    folder = built(report, "x86_64-pc-windows-gnu", cc, toolchain)
    if not folder:
        return
    table = build.run(["x86_64-w64-mingw32-objdump", "-p", folder / "lariat.dll"], "the exports of lariat.dll")
    names = table.split("[Ordinal/Name Pointer] Table")[-1].split("\n\n")[0]
    exports = re.findall(r"\[ *\d+\] (\w+)$", names, re.M)
    foreign = [name for name in exports if not name.startswith("lariat_")]
    report.check("C", "lariat.dll exports lariat_ only", " ".join(foreign) if exports else "no exports found")
    wine = next((path for path in ("wine64", "wine", "/usr/lib/wine/wine64") if shutil.which(path)), None)
    if not wine:
        return report.skipped("C", "the examples and cases on Windows", "wine is not installed")
    sources = [source for source in build.sources("examples") if not ON_UNIX_ONLY.search(source.read_text())]
    env = {"WINEPREFIX": TARGET / "wine", "WINEDEBUG": "-all"}
    build.run([wine, "cmd", "/c", "exit"], "wine's first start", env=project.environment(**env))
    shared, static = {"compile": ["-DLARIAT_SHARED"]}, {"link": ["-static"], "libraries": WINDOWS_LIBRARIES}
    # As long as it waits for a word, each case finds wine's server running.
    keeper = subprocess.Popen([wine, "cmd"], env=project.environment(**env), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        for tool, how in (("windows", shared), ("windows-static", static)):
            variant = build.Variant(tool, folder, cc=cc, tool=tool, wrapper=[wine], slowness=5, divide=20, suffix=".exe", env=env, **how)
            for files, check in ((sources, csuite.check_examples), (portable_cases(), csuite.check_programs)):
                programs = build.compile_all(variant, files, options.jobs, report, "C")
                for program in programs.values():
                    beside(program.parent, folder, cc)
                check(report, options, variant, programs)
    finally:
        keeper.communicate()


def beside(programs, folder, cc):
    """Puts the DLLs beside the programs: ours, mingw's threads, and the one that Rust's std needs and wine 8 lacks."""
    shutil.copy(folder / "lariat.dll", programs)
    # What the examples' clock_gettime and nanosleep come from.
    winpthread = Path(build.run([cc, "-print-file-name=libwinpthread-1.dll"], "libwinpthread").strip())
    if winpthread.is_file():
        shutil.copy(winpthread, programs)
    random = programs / "bcryptprimitives.dll"
    if not random.exists():
        source = random.with_suffix(".c")
        source.write_text(
            "#include <windows.h>\nBOOLEAN NTAPI SystemFunction036(PVOID, ULONG);\n"
            "__declspec(dllexport) BOOL ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, size); }\n")
        build.run([cc, "-shared", source, "-o", random, "-ladvapi32"], "bcryptprimitives.dll for wine")
