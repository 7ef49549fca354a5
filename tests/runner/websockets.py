"""WebSockets against what others wrote: Autobahn's test suite, and Python's websockets as the peer, both in both roles."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from . import build, project, python
from .project import ROOT, TARGET

LANGUAGE = "C"
PLACE = TARGET / "websockets"
WEBSOCKETS = "websockets==17.4"
# The last that there is; it wants Python 2.7, and says itself of which version everything else has to be.
AUTOBAHN = ["autobahntestsuite==25.10.1", "--only-binary=cryptography"]
ALL = 517
# All but those of compression, and of these the first five of each group: the others differ in how large and how many the messages are,
# and take Autobahn's Python twenty minutes. `make conformance` has them all; for a quick look, LARIAT_AUTOBAHN="1.* 2.* 3.*".
QUICK = [f"{number}.*" for number in range(1, 11)] + [
    f"{part}.{group}.{number}" for part, groups in ((12, 5), (13, 7)) for group in range(1, groups + 1) for number in range(1, 6)]
COUNTS = {"*": ALL, " ".join(QUICK): 301 + 12 * 5}
WANTED = os.environ.get("LARIAT_AUTOBAHN", "").split()
SECONDS = 3600
# How a case may end: the RFC leaves open when a peer that has broken the rules is told so; not in these.
STRICT = ("1", "2", "3", "4", "5", "6", "7", "10")


def everything(report, options):
    """With all of Autobahn's cases."""
    stage(report, options, ["*"])


def stage(report, _options, cases=QUICK):
    variant = build.plain()
    program = build.compile_one(variant, ROOT / "tests/conformance/websocket_echo.c")
    PLACE.mkdir(parents=True, exist_ok=True)
    peer(report, program)
    autobahn(report, program, WANTED or cases)


def peer(report, program):
    """The cases of tests/conformance/websockets_peer.py."""
    reason = python.lacks()
    if reason:
        return report.skipped(LANGUAGE, "Python's websockets as the peer", reason)
    own = python.new_environment(PLACE / "environment")
    python.pip(own, "install", "--quiet", WEBSOCKETS, what="pip install websockets")
    script = ROOT / "tests/conformance/websockets_peer.py"
    done = subprocess.run([own, script, program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    cases = re.findall(r"^(ok|FAILED) (\w+)\n((?:(?!ok |FAILED ).*\n)*)", done.stdout, re.M)
    for result, name, words in cases:
        report.check(LANGUAGE, f"websockets/{name}", "" if result == "ok" else words)
    told = "" if done.returncode == 0 and cases else done.stdout
    report.check(LANGUAGE, f"Python's websockets as the peer: {len(cases)} cases", told)


def python27():
    """A Python 2.7 of this machine, also where it is one of pyenv's that is not chosen."""
    found = [os.environ.get("PYTHON27"), shutil.which("python2.7"), *sorted(Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7"))]
    for one in filter(None, found):
        if subprocess.run([one, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return one
    return None


def wstest():
    """Autobahn's program, in an environment of its own. Raises build.Failed."""
    place = PLACE / "autobahn"
    program = place / "bin/wstest"
    if not program.exists():
        shutil.rmtree(place, ignore_errors=True)
        tool = PLACE / "virtualenv"
        build.run([python27(), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--target", tool, "virtualenv==20.15.1"],
                  "pip install virtualenv, for Python 2.7")
        build.run([python27(), "-m", "virtualenv", place], "virtualenv", env=project.environment(PYTHONPATH=tool))
        build.run([place / "bin/pip", "install", "--quiet", *AUTOBAHN], "pip install autobahntestsuite")
    return program


def autobahn(report, program, cases):
    """The cases in both roles, beside each other."""
    name = "Autobahn's test suite"
    if python27() is None:
        return report.skipped(LANGUAGE, name, "there is no Python 2.7, which it wants (PYTHON27 may name one)")
    tool = wstest()
    runs = [as_server(tool, program, cases), as_client(tool, program, cases)]
    for role, folder, processes in runs:
        ends = [process.wait(timeout=SECONDS) for process in processes[-1:]]
        for process in processes[:-1]:
            process.terminate()
            process.wait()
        check(report, role, folder / "reports", ends[0], COUNTS.get(" ".join(cases)))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def prepared(role, cases, **more):
    folder = PLACE / role
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spec = {"outdir": str(folder / "reports"), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}, **more}
    (folder / "spec.json").write_text(json.dumps(spec))
    return folder


def started(folder, name, *words, **more):
    log = open(folder / f"{name}.log", "wb")
    return subprocess.Popen([str(word) for word in words], cwd=folder, stdout=more.pop("stdout", log), stderr=log, **more)


def as_server(tool, program, cases):
    """lariat's server, and the client that has the cases."""
    folder = PLACE / "server"
    folder.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen([program, "server", "tcp://127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().rpartition(" ")[2].strip()
    folder = prepared("server", cases, servers=[{"agent": "lariat", "url": f"ws://127.0.0.1:{port}"}])
    return "server", folder, [server, started(folder, "client", tool, "-m", "fuzzingclient", "-s", "spec.json")]


def as_client(tool, program, cases):
    """The server that has the cases, and lariat's client."""
    url = f"ws://127.0.0.1:{free_port()}"
    folder = prepared("client", cases, url=url)
    # With "started" it says that it listens.
    server = started(folder, "server", tool, "-d", "-m", "fuzzingserver", "-u", "0", "-s", "spec.json", stdout=subprocess.PIPE)
    for line in server.stdout:
        if b"starting on" in line:
            break
    drain(server)
    return "client", folder, [server, started(folder, "client", program, "autobahn", url, "lariat")]


def drain(process):
    """What it says from here on is nobody's, and must not hold it up."""
    import threading
    threading.Thread(target=process.stdout.read, daemon=True).start()


def check(report, role, folder, end, count):
    """What came of each case: OK, or another end that the RFC allows where it does."""
    index = folder / "index.json"
    cases = json.loads(index.read_text()).get("lariat", {}) if index.exists() else {}
    allowed = {"OK", "INFORMATIONAL"}
    for number, case in sorted(cases.items(), key=lambda pair: [int(part) for part in pair[0].split(".")]):
        may = allowed if number.split(".")[0] in STRICT else allowed | {"NON-STRICT", "UNIMPLEMENTED"}
        ends = {case["behavior"], case["behaviorClose"]}
        report.check(LANGUAGE, f"autobahn/{role}/{number}", "" if ends <= may else f"{case['behavior']}, closed {case['behaviorClose']}")
    complete = len(cases) == (count or len(cases)) > 0
    told = "" if complete and end == 0 else f"{len(cases)} cases, ended with {end}; see {folder.parent}"
    report.check(LANGUAGE, f"Autobahn's test suite, {role}: {len(cases)} cases", told)
