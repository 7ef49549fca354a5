"""The port forwarder between curl and Python's http.server, and between others."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from harness import DEADLINE, Program, everything, exactly, example, main, run, same, test

ANY = "tcp://127.0.0.1:0"
HELLO = b"hello\n"
MUCH = os.urandom(8_000_000)
CURL = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", DEADLINE]


def web_server():
    """Python's, with this folder."""
    return Program(sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1",
                   announces=r"(http://127.0.0.1:\d+)/")


def forwarder(target, listen=ANY):
    return example("port_forwarder", listen, target)


@test("curl")
def curl_downloads_megabytes():
    Path("much").write_bytes(MUCH)
    with web_server() as web, forwarder(f"tcp://127.0.0.1:{web.port}") as between:
        same(run(*CURL, f"http://127.0.0.1:{between.port}/much"), MUCH)


@test("curl")
def curl_asks_again_on_one_connection():
    Path("a").write_bytes(b"first")
    Path("b").write_bytes(b"second")
    with web_server() as web, forwarder(f"tcp://127.0.0.1:{web.port}") as between:
        url = f"http://127.0.0.1:{between.port}"
        assert run(*CURL, f"{url}/a", f"{url}/b") == b"firstsecond"
        run(*CURL, f"{url}/missing", code=22)
        assert b"200 OK" in run(*CURL, "--head", f"{url}/a")


@test("curl")
def several_curls_at_once():
    Path("much").write_bytes(MUCH)
    with web_server() as web, forwarder(f"tcp://127.0.0.1:{web.port}") as between:
        command = [str(word) for word in [*CURL, f"http://127.0.0.1:{between.port}/much", "-o"]]
        curls = [subprocess.Popen([*command, f"copy{number}"]) for number in range(5)]
        for number, curl in enumerate(curls):
            assert curl.wait(DEADLINE) == 0
            same(Path(f"copy{number}").read_bytes(), MUCH)


@test("nc")
def an_end_is_passed_on_in_both_directions():
    with example("echo", "listen", ANY) as echo, forwarder(echo.address) as between:
        same(run("nc", "-N", between.host, between.port, data=MUCH), MUCH)


@test
def a_server_that_sends_its_end_first_still_receives():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        with forwarder(f"tcp://127.0.0.1:{server.getsockname()[1]}") as between, between.connect() as client:
            connection, _ = server.accept()
            connection.settimeout(DEADLINE)
            connection.sendall(HELLO)
            connection.shutdown(socket.SHUT_WR)
            same(everything(client), HELLO)
            client.sendall(MUCH[:100_000])
            client.shutdown(socket.SHUT_WR)
            same(everything(connection), MUCH[:100_000])


@test
def nobody_to_forward_to_is_told_by_a_reset():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with forwarder(f"tcp://127.0.0.1:{port}") as between:
        try:
            with between.connect() as client:
                received = everything(client)
            raise AssertionError(f"{received!r} and a clean end")
        except ConnectionResetError:
            pass
        assert f"127.0.0.1:{port}" in between.line(r"Cannot forward: (.*)\n")


@test
def a_reset_is_passed_on():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        with forwarder(f"tcp://127.0.0.1:{server.getsockname()[1]}") as between, between.connect() as client:
            connection, _ = server.accept()
            client.sendall(HELLO)
            connection.settimeout(DEADLINE)
            same(exactly(connection, len(HELLO)), HELLO)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            try:
                received = everything(connection)
                raise AssertionError(f"{received!r} and a clean end")
            except ConnectionResetError:
                pass


@test("socat")
def from_a_unix_socket_to_tcp():
    endpoint = f"unix://{Path.cwd()}/front.sock"
    with example("echo", "listen", ANY) as echo, forwarder(echo.address, listen=endpoint):
        same(run("socat", "-t", DEADLINE, "-", "UNIX-CONNECT:front.sock", data=MUCH), MUCH)


@test
def a_chain_of_forwarders():
    with example("echo", "listen", ANY) as echo, forwarder(echo.address) as one, forwarder(one.address) as two:
        with forwarder(two.address) as three, three.connect() as client:
            client.sendall(MUCH[:1_000_000])
            client.shutdown(socket.SHUT_WR)
            same(everything(client), MUCH[:1_000_000])


main()
