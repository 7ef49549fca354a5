"""The shell server against nc, socat and Python, which speaks telnet as far as is needed."""

import os
import re
import struct
import subprocess
from pathlib import Path

from harness import DEADLINE, everything, exactly, example, main, run, test

PORT = "0"
GREETING = b"\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f"  # will echo, will suppress go-ahead, do tell of the window
os.environ["PS1"] = "$ "
os.environ.pop("ENV", None)


def until(read, wanted):
    """Reads until a line matches; what is typed is echoed, so answers begin with == and commands do not have that."""
    text = b""
    while not (found := re.search(wanted + rb"\r?\n", text)):
        piece = read()
        assert piece, f"the end, and not {wanted!r}, but {text[-1000:]!r}"
        text += piece
    return found


class Client:
    """One that speaks telnet."""

    def __init__(self, server):
        self.connection = server.connect()
        assert exactly(self.connection, len(GREETING)) == GREETING

    def types(self, line):
        self.connection.sendall(line.encode() + b"\r\n")

    def sees(self, wanted):
        return until(lambda: self.connection.recv(4096), wanted)

    def window(self, columns, rows):
        size = struct.pack(">HH", columns, rows).replace(b"\xff", b"\xff\xff")
        self.connection.sendall(b"\xff\xfa\x1f" + size + b"\xff\xf0")


def holds(client, name):
    """Has the shell run something in front that holds a named pipe open until it is gone; returns that."""
    os.mkfifo(name)
    client.types(f"sh -c 'exec 3> {name}; echo \"=\"= there; exec sleep 1000'")
    alive = open(name, "rb")
    client.sees(b"== there")
    return alive


@test("nc")
def nc_types_commands():
    with example("shell_server", "-r", PORT) as server:
        command = ["nc", server.host, str(server.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as nc:
            nc.stdin.write(b"echo =''= $((6 * 7)); tty > /dev/null && echo =''= terminal\n")
            nc.stdin.flush()
            until(lambda: os.read(nc.stdout.fileno(), 4096), b"== 42\r\n== terminal")
            nc.communicate(b"exit 7\n", timeout=DEADLINE)
            assert nc.returncode == 0
            server.line(r"Shell 1 has ended with (code 7)\n")


@test("socat")
def socat_types_commands():
    with example("shell_server", "-r", PORT) as server:
        command = ["socat", "-", f"TCP:{server.host}:{server.port}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as socat:
            socat.stdin.write(b"stty size | sed s/^/=''=/; exit\n")
            socat.stdin.flush()
            until(lambda: os.read(socat.stdout.fileno(), 4096), b"==24 80")
            socat.stdout.read()
            assert socat.wait(DEADLINE) == 0


@test
def the_window():
    with example("shell_server", PORT) as server:
        client = Client(server)
        for columns, rows in ((132, 50), (255, 255), (65535, 1)):
            client.window(columns, rows)
            client.types("echo =''= $(stty size)")
            client.sees(b"== %d %d" % (rows, columns))
        client.types("sh -c 'trap \"echo =\"=\" resized; exit\" WINCH; echo =\"=\" waits; while :; do sleep 0.01; done'")
        client.sees(b"== waits")
        client.window(90, 40)
        client.sees(b"== resized")


@test
def telnet_byte_by_byte():
    with example("shell_server", PORT) as server:
        client = Client(server)
        for byte in b"\xff\xfb\x1f\xff\xfa\x1f\x00\x64\x00\x1e\xff\xf0echo =''= $(stty size)\r\n":
            client.connection.sendall(bytes([byte]))
        client.sees(b"== 30 100")
        client.types("printf '=''= \\377 one byte\\n'")
        client.sees(b"== \xff\xff one byte")
        client.connection.sendall(b"\xff\xfb\x18\xff\xfd\x05\xff\xfd\x01")  # will terminal type, do status, do echo
        client.types("echo =''= on")
        refusals = client.sees(b"\xff\xfe\x18\xff\xfc\x05(?s:.*)== on").group()
        assert b"\xff\xfc\x01" not in refusals


@test
def interrupts():
    with example("shell_server", PORT) as server:
        client = Client(server)
        for interrupt in (b"\x03", b"\xff\xf4"):
            client.types("sh -c 'echo \"=\"= asleep; exec sleep 1000'")
            client.sees(b"== asleep")
            client.connection.sendall(interrupt)
            client.types("echo =''= awake")
            client.sees(b"== awake")


@test
def a_client_that_goes_takes_its_programs_along():
    with example("shell_server", PORT) as server:
        client = Client(server)
        with holds(client, "alive") as alive:
            client.connection.close()
            assert alive.read() == b""
        server.line(r"(Shell 1 was ended|Shell 1 has ended with code)")


@test
def who_ignores_being_asked_is_killed():
    with example("shell_server", PORT) as server:
        client = Client(server)
        os.mkfifo("alive")
        client.types("exec sh -c 'trap : HUP TERM; exec 3> alive; echo \"=\"= deaf; while :; do sleep 0.01; done'")
        with open("alive", "rb") as alive:
            client.sees(b"== deaf")
            client.connection.close()
            assert alive.read() == b""
        server.line(r"(Shell 1 was ended)")


@test("kill")
def the_end_of_the_server_ends_the_shells():
    with example("shell_server", PORT, lasts=False) as server:
        client = Client(server)
        with holds(client, "alive") as alive:
            run("kill", "-TERM", server.process.pid)
            assert alive.read() == b""
        assert server.process.wait(DEADLINE) == 0


@test
def what_stays_in_the_background_does_not_keep_the_client():
    with example("shell_server", PORT) as server:
        client = Client(server)
        client.types("sleep 20 & exit 4")
        everything(client.connection)
        server.line(r"Shell 1 has ended with (code 4)\n")


@test
def megabytes_come_whole():
    with example("shell_server", PORT) as server:
        client = Client(server)
        client.types("stty -echo; head -c 3000000 /dev/zero | tr '\\0' x; exit")
        assert everything(client.connection).count(b"x") >= 3_000_000
    with example("shell_server", "-r", PORT) as server, server.connect() as client:
        client.sendall(b"stty raw -echo; echo =''= ready; cat > copy\n")
        until(lambda: client.recv(4096), b"== ready")
        sent = os.urandom(1_000_000)
        client.sendall(sent)
        while (copied := Path("copy").read_bytes() if Path("copy").exists() else b"") != sent:
            assert sent.startswith(copied), "something else arrives"


@test
def who_does_not_read_holds_up_nobody():
    with example("shell_server", PORT) as server:
        deaf, other = Client(server), Client(server)
        deaf.types("yes")
        for number in range(100):
            other.types(f"echo =''= {number}")
            other.sees(b"== %d" % number)
        deaf.connection.sendall(b"\x03")
        deaf.types("echo =''= hears again")
        deaf.sees(b"== hears again")


@test
def it_is_for_this_machine_alone_unless_told():
    program = Path(os.environ["LARIAT_EXAMPLES"]) / "shell_server"
    for wrong in (["tcp://*:0"], ["tcp://0.0.0.0:0"], ["tcp://127.0.0.1.example:0"], ["-x"], ["-s"], ["1", "2"]):
        run(program, *wrong, code=2)
    with example("shell_server", "--anyone", "tcp://0.0.0.0:0") as server:
        assert server.host == "0.0.0.0"


@test
def another_shell_and_one_that_is_not_there():
    Path("own").write_text("#!/bin/sh\necho == own\n")
    os.chmod("own", 0o755)
    with example("shell_server", "-s", "./own", PORT) as server:
        Client(server).sees(b"== own")
    with example("shell_server", "-s", "no-such-shell", PORT) as server:
        try:
            assert everything(server.connect()) == b""
        except ConnectionResetError:
            pass
        assert "no-such-shell" in server.line(r"No shell: (.*)\n")


main()
