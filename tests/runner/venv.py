"""Python packages that tests need beside the standard library: a virtual environment, made once."""

import sys

from . import build, project
from .project import TARGET

# What they are for is said where they are imported.
WANTED = ["aiohttp==3.14.5", "h11==0.16.0", "requests==2.34.2", "websockets==17.4"]
FOLDER = TARGET / "packages"


def python():
    """A Python that has them; the one that runs this, and a reason, where they are not to be had."""
    stamp, wanted = FOLDER / "wanted", "\n".join(WANTED)
    program = FOLDER / "bin/python"
    if stamp.exists() and stamp.read_text() == wanted and program.exists():
        return program, ""
    try:
        build.run([sys.executable, "-m", "venv", "--clear", FOLDER], "python3 -m venv")
        build.run([program, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", *WANTED], "pip",
                  env=project.environment())
    except build.Failed as failure:
        last = (failure.output.strip().splitlines() or ["no reason given"])[-1]
        return sys.executable, f"{failure.what}: {last}"
    stamp.write_text(wanted)
    return program, ""
