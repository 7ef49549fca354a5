"""Files over a protocol of their own, against nc, blocking sockets and asyncio."""

import asyncio
import os
import socket
from pathlib import Path

from harness import DEADLINE, everything, exactly, example, main, run, same, test

HELLO = b"hello from a file\n"
MUCH = os.urandom(5_000_000)


def served():
    """One that serves ./files, with a secret beside it."""
    folder = Path("files")
    (folder / "sub").mkdir(parents=True)
    (folder / "hello.txt").write_bytes(HELLO)
    (folder / "sub/hello.txt").write_bytes(HELLO)
    (folder / "empty").write_bytes(b"")
    (folder / "much").write_bytes(MUCH)
    (folder / "..dots").write_bytes(HELLO)
    Path("secret").write_bytes(b"secret")
    return example("send_file", "tcp://127.0.0.1:0", "files")


def line(connection):
    text = b""
    while not text.endswith(b"\n"):
        text += exactly(connection, 1)
    return text[:-1].decode()


def get(connection, name):
    """The file, or the error."""
    connection.sendall(b"GET " + name.encode() + b"\n")
    answer = line(connection)
    return exactly(connection, int(answer[3:])) if answer.startswith("OK ") else answer


@test
def files_of_all_sizes():
    with served() as server, server.connect() as connection:
        for name, content in (("hello.txt", HELLO), ("empty", b""), ("much", MUCH), ("sub/hello.txt", HELLO), ("..dots", HELLO)):
            same(get(connection, name), content)


@test
def names_do_not_lead_out_of_the_folder():
    with served() as server, server.connect() as connection:
        for name in ("../secret", "sub/../../secret", "..", "sub/..", "sub/../hello.txt", f"{Path.cwd()}/secret", "/etc/passwd", ""):
            answer = get(connection, name)
            assert answer == "ERROR bad name", f"{name}: {answer}"
        assert get(connection, "secret") == "ERROR no such file"
        assert get(connection, "hello.txt/secret") == "ERROR no such file"
        assert get(connection, "sub") == "ERROR not a file"
        connection.sendall(b"hello\nGET hello\0.txt\nGET\n")
        assert [line(connection) for _ in range(3)] == ["ERROR unknown request"] * 3


@test
def all_requests_at_once_are_answered_in_order():
    with served() as server, server.connect() as connection:
        connection.sendall(b"GET much\nGET hello.txt\nGET nothing\nGET much\r\n")
        connection.shutdown(socket.SHUT_WR)
        length = b"OK %d\n" % len(MUCH)
        same(everything(connection), length + MUCH + b"OK 18\n" + HELLO + b"ERROR no such file\n" + length + MUCH)


@test("nc")
def nc_gets_a_file():
    with served() as server:
        same(run("nc", "-N", server.host, server.port, data=b"GET much\n"), b"OK %d\n" % len(MUCH) + MUCH)


@test
def who_reads_slowly_or_leaves_holds_up_nobody():
    with served() as server, server.connect() as slow:
        slow.sendall(b"GET much\n" * 20)
        for _ in range(20):
            with server.connect() as gone:
                gone.sendall(b"GET much\n")
                exactly(gone, 10)
        with server.connect() as connection:
            same(get(connection, "much"), MUCH)
        for _ in range(20):
            assert line(slow) == f"OK {len(MUCH)}"
            same(exactly(slow, len(MUCH)), MUCH)


@test
def streams_of_asyncio():
    async def fetch(server):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for name, content in (("hello.txt", HELLO), ("much", MUCH)):
            writer.write(b"GET " + name.encode() + b"\n")
            assert await reader.readline() == b"OK %d\n" % len(content)
            same(await reader.readexactly(len(content)), content)
        writer.close()

    async def all_of_them(server):
        await asyncio.wait_for(asyncio.gather(*(fetch(server) for _ in range(10))), DEADLINE)

    with served() as server:
        asyncio.run(all_of_them(server))


main()
