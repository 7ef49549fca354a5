"""The server that ends well, and kill."""

import os
import signal
import socket

from harness import DEADLINE, everything, example, main, run, test

ANY = "tcp://127.0.0.1:0"


def server(limit=60):
    return example("graceful", "-l", limit, ANY, lasts=False)


def busy(server, seconds):
    """A client whose request is under way: the answer to the first line was written in the turn that took the second."""
    client = server.connect()
    client.sendall(b"nonsense\nwork %g\n" % seconds)
    line = b""
    while not line.endswith(b"\n"):
        line += client.recv(1)
    assert line == b"error: no such request\n", line
    return client


def idle(server):
    client = server.connect()
    client.sendall(b"work 0\n")
    assert client.recv(100) == b"done\n"
    return client


def ended(server, code):
    assert server.process.wait(DEADLINE) == code
    return server.process.stdout.read().decode()


def is_reset(client):
    try:
        return everything(client) == b"never"
    except ConnectionResetError:
        return True


@test("nc")
def nc_gets_its_answers():
    with server() as serving:
        assert run("nc", "-N", serving.host, serving.port, data=b"work 0.01\nwork\nwork 0\nwork 0.01\n") == \
            b"done\nerror: no such request\ndone\ndone\n"


@test("kill")
def requests_under_way_finish():
    with server() as serving:
        one, two, none = busy(serving, 0.3), busy(serving, 0.6), idle(serving)
        run("kill", "-TERM", serving.process.pid)
        assert everything(none) == b""
        try:
            socket.create_connection((serving.host, serving.port), timeout=DEADLINE)
            raise AssertionError("somebody still listens")
        except ConnectionRefusedError:
            pass
        assert everything(one) == b"done\n"
        assert everything(two) == b"done\n"
        assert ended(serving, 0) == "Ending. Requests under way: 2; connections without one: 1\nEnded\n"


@test("kill")
def with_nothing_under_way_it_ends_at_once():
    for name in ("TERM", "INT"):
        with server() as serving:
            run("kill", f"-{name}", serving.process.pid)
            assert "under way: 0; connections without one: 0" in ended(serving, 0)


@test("kill")
def the_limit_cuts_off():
    with server(limit=0.2) as serving:
        slow, none = busy(serving, 1000), idle(serving)
        run("kill", "-TERM", serving.process.pid)
        assert everything(none) == b""
        assert is_reset(slow)
        assert "Requests that are cut off: 1\n" in ended(serving, 1)


@test("kill")
def a_second_signal_cuts_off():
    with server() as serving:
        slow, none = busy(serving, 1000), idle(serving)
        run("kill", "-INT", serving.process.pid)
        assert everything(none) == b""
        run("kill", "-INT", serving.process.pid)
        assert is_reset(slow)
        assert "Requests that are cut off: 1\n" in ended(serving, 1)


@test
def a_client_that_goes_is_not_waited_for():
    with server() as serving:
        slow, none = busy(serving, 1000), idle(serving)
        os.kill(serving.process.pid, signal.SIGTERM)
        assert everything(none) == b""
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        slow.close()
        assert "cut off" not in ended(serving, 0)


@test
def a_hundred_clients():
    with server() as serving:
        clients = [busy(serving, number / 200) for number in range(100)]
        os.kill(serving.process.pid, signal.SIGTERM)
        for client in clients:
            assert everything(client) == b"done\n"
        ended(serving, 0)


@test
def a_wrong_call_is_told():
    for wrong in (["-l"], ["-l", "x", ANY], ["-l", "-1", ANY], ["-q"], [ANY, ANY]):
        run(f"{os.environ['LARIAT_EXAMPLES']}/graceful", *wrong, code=2)


main()
