"""The README's servers and client, compiled as they stand there."""

import os
import re
import socket
import subprocess
import time
from pathlib import Path

from harness import DEADLINE, Program, everything, main, run, test

ROOT = Path(__file__).resolve().parents[2]
ANY = "tcp://127.0.0.1:0"


def compiled(name):
    """One of the README's programs: a block of C that begins with its name."""
    blocks = re.findall(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    [block] = [block for block in blocks if block.startswith(f"/* {name}.c */")]
    Path(f"{name}.c").write_text(block)
    library = Path(os.environ["LARIAT_EXAMPLES"]).parent / "release"
    subprocess.run([os.environ.get("CC", "cc"), "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", f"{name}.c", "-o", name, f"-L{library}",
                    "-llariat", f"-Wl,-rpath,{library}"], check=True)
    return Path.cwd() / name


@test
def the_server_and_the_client():
    with Program(compiled("server"), ANY) as server:
        assert run(compiled("client"), server.address) == b"hello\n"


@test
def the_server_alone():
    with Program(compiled("server"), ANY) as server:
        lines, others = server.connect(), server.connect()
        lines.sendall(b"one\ntwo\nthr")
        others.sendall(b"x" * 1001)
        assert others.recv(1) == b"", "a line that is too long"
        lines.sendall(b"ee\n")
        answer = b""
        while answer.count(b"\n") < 3:
            answer += lines.recv(100)
        assert answer == b"one\ntwo\nthree\n", answer


@test
def the_client_alone():
    program = compiled("client")
    failed = subprocess.run([program, "tcp://127.0.0.1:1"], stderr=subprocess.PIPE, timeout=DEADLINE, check=True)
    assert b"127.0.0.1:1" in failed.stderr, failed.stderr


@test
def the_web_server():
    program, place = compiled("web_server"), Path.cwd() / "web.sock"

    def get(path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(place))
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
            return everything(connection)

    with Program(program, f"unix://{place}", announces=None) as server:
        until = time.monotonic() + DEADLINE
        while not place.exists():                                        # it says nothing
            assert time.monotonic() < until and server.process.poll() is None
        assert get(b"/hello/you").endswith(b"\r\n\r\nHello, you!\n")
        assert b'href="./web_server.c"' in get(b"/"), get(b"/")
        assert get(b"/web_server.c").endswith(Path("web_server.c").read_bytes())
    failed = subprocess.run([program, "tcp://127.0.0.1:1?"], stderr=subprocess.PIPE, timeout=DEADLINE)
    assert b"127.0.0.1:1" in failed.stderr, failed.stderr


main()
