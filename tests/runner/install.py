"""What `make install` leaves behind: files, symbols, and that a user's build finds it by pkg-config and by CMake."""

import re
import subprocess
import tempfile
from pathlib import Path

from . import build, project
from .project import CC, ROOT

PROGRAM = ROOT / "examples/first_program.c"
RESULT = "The result is: 12\n"
LANGUAGE = "packaging"


def stage(report, _options):
    build.plain()
    with tempfile.TemporaryDirectory(prefix="lariat-install-") as folder:
        prefix = Path(folder) / "prefix"
        make("install", PREFIX=prefix)
        for test in (files, symbols, dynamic_section, by_pkg_config, by_static_library, all_static, by_cmake, staged,
                     uninstalled):
            name = test.__doc__.strip().rstrip(".")
            missing = project.missing(*NEEDS.get(test, []))
            if missing:
                report.skipped(LANGUAGE, name, f"{missing[0]} is not installed")
                continue
            try:
                report.check(LANGUAGE, name, test(prefix, Path(folder)))
            except build.Failed as failure:
                report.failed(LANGUAGE, name, f"{failure.what}\n{failure.output}")


def make(target, **variables):
    words = [f"{name}={value}" for name, value in variables.items()]
    return build.run(["make", "-s", target, f"CARGO={project.CARGO}", *words], f"make {target}")


def names():
    real = f"liblariat.so.{project.version()}"
    return ["lib/liblariat.so", f"lib/liblariat.so.{project.major()}", f"lib/{real}", "lib/liblariat.a", "include/lariat.h",
            "lib/pkgconfig/lariat.pc", "lib/cmake/lariat/lariatConfig.cmake", "lib/cmake/lariat/lariatConfigVersion.cmake",
            "share/doc/lariat/LICENSE-MIT", "share/doc/lariat/LICENSE-APACHE"]


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def files(prefix, _folder):
    """make install puts every file in its place, and no other."""
    found = listing(prefix)
    return "" if found == sorted(names()) else "\n".join(found)


def symbols(prefix, _folder):
    """The library exports what the header declares, all of it lariat_."""
    table = build.run(["nm", "-D", "--defined-only", prefix / "lib/liblariat.so"], "nm")
    exported = {line.split()[-1] for line in table.splitlines()}
    declarations = re.sub(r"/\*.*?\*/", "", (prefix / "include/lariat.h").read_text(), flags=re.S)
    declared = set(re.findall(r"\b(lariat_\w+)\(", declarations))
    foreign = sorted(name for name in exported if not name.startswith("lariat_"))
    missing, secret = sorted(declared - exported), sorted(exported - declared)
    problems = {"foreign": foreign, "declared, not exported": missing, "exported, not declared": secret}
    return "\n".join(f"{what}: {', '.join(which)}" for what, which in problems.items() if which)


def dynamic_section(prefix, _folder):
    """The library has its SONAME and is never unloaded."""
    text = build.run(["readelf", "-d", prefix / "lib/liblariat.so"], "readelf")
    wanted = [f"soname: [liblariat.so.{project.major()}]", "NODELETE"]
    return "" if all(word in text for word in wanted) else text


def prints_result(program, prefix=None):
    """Runs a user's program; with a prefix, the loader finds the library there."""
    more = {"LD_LIBRARY_PATH": prefix / "lib"} if prefix else {}
    done = subprocess.run([program], env=project.environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60)
    return "" if (done.returncode, done.stdout) == (0, RESULT) else f"{done.stdout}\nexit {done.returncode}"


def pkg_config(prefix, *arguments):
    env = project.environment(PKG_CONFIG_PATH=prefix / "lib/pkgconfig")
    return build.run(["pkg-config", *arguments, "lariat"], "pkg-config", env=env).split()


def by_pkg_config(prefix, folder):
    """A program built with nothing but pkg-config --cflags --libs runs."""
    program = folder / "by_pkg_config"
    build.run([CC, PROGRAM, "-o", program, *pkg_config(prefix, "--cflags", "--libs")], "cc with pkg-config")
    return prints_result(program, prefix)


def by_static_library(prefix, folder):
    """A program linked with liblariat.a runs without the shared library."""
    program = folder / "by_static_library"
    libraries = [word for word in pkg_config(prefix, "--static", "--libs") if word != "-llariat"]
    build.run([CC, PROGRAM, "-o", program, *pkg_config(prefix, "--cflags"), prefix / "lib/liblariat.a", *libraries],
              "cc with liblariat.a")
    return prints_result(program)


def all_static(prefix, folder):
    """A program built with -static and pkg-config --static runs."""
    program = folder / "all_static"
    build.run([CC, "-static", PROGRAM, "-o", program, *pkg_config(prefix, "--static", "--cflags", "--libs")], "cc -static")
    return prints_result(program)


def by_cmake(prefix, folder):
    """A CMake project that calls find_package(lariat) builds and runs with each target."""
    out = folder / "cmake"
    build.run(["cmake", "-S", ROOT / "tests/install", "-B", out, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DPROGRAM={PROGRAM}",
               f"-DCMAKE_C_COMPILER={CC}"], "cmake")
    build.run(["cmake", "--build", out], "cmake --build")
    static = build.run(["readelf", "-d", out / "user_static"], "readelf")
    if "liblariat" in static:
        return f"lariat::static links the shared library:\n{static}"
    return "".join(prints_result(out / f"user_{kind}") for kind in ("shared", "static", "lariat"))


def staged(_prefix, folder):
    """DESTDIR stages a distribution's layout, and no file names the stage."""
    stage_folder = folder / "stage"
    make("install", DESTDIR=stage_folder, PREFIX="/usr", LIBDIR="/usr/lib/x86_64-linux-gnu")
    wanted = sorted("usr/" + re.sub("^lib/", "lib/x86_64-linux-gnu/", name) for name in names())
    found = listing(stage_folder)
    texts = [path for path in stage_folder.rglob("*") if path.suffix in (".pc", ".cmake", ".h")]
    leaks = [path.name for path in texts if str(folder) in path.read_text()]
    pc = (stage_folder / "usr/lib/x86_64-linux-gnu/pkgconfig/lariat.pc").read_text()
    if found != wanted or leaks or "libdir=${prefix}/lib/x86_64-linux-gnu" not in pc:
        return "\n".join([*found, "the stage is named in:", *leaks, pc])
    # The stage as the file system's root: CMake's files find the rest from where they are.
    if project.missing("cmake"):
        return ""
    out = folder / "cmake-staged"
    build.run(["cmake", "-S", ROOT / "tests/install", "-B", out, f"-DPROGRAM={PROGRAM}",
               f"-Dlariat_DIR={stage_folder}/usr/lib/x86_64-linux-gnu/cmake/lariat"], "cmake on the stage")
    build.run(["cmake", "--build", out], "cmake --build on the stage")
    return prints_result(out / "user_shared")


def uninstalled(prefix, _folder):
    """make uninstall takes every file away again."""
    make("uninstall", PREFIX=prefix)
    return "\n".join(listing(prefix))


NEEDS = {by_pkg_config: ["pkg-config"], by_static_library: ["pkg-config"], all_static: ["pkg-config"], by_cmake: ["cmake"],
         symbols: ["nm"], dynamic_section: ["readelf"]}
