"""The echo server and client against nc, socat and Python."""

import asyncio
import os
import select
import socket
import struct
import threading
from pathlib import Path

from harness import DEADLINE, Program, everything, exactly, example, main, run, same, test

ANY = "tcp://127.0.0.1:0"
HELLO = b"hello\n"
MUCH = os.urandom(5_000_000)
# What socat does: an end on one side is passed on, and the other may go on for so long.
SOCAT = ["socat", "-t", str(DEADLINE)]


def socat_server(*listen):
    """socat as an echo server. It takes one connection, and ends with it."""
    return Program("socat", "-d", "-d", *listen, "EXEC:cat", announces=r"listening on (.*)\n", stream="stderr", lasts=False)


@test("nc")
def nc_sends_its_end_and_reads_on():
    with example("echo", "listen", ANY) as server:
        same(run("nc", "-N", server.host, server.port, data=HELLO), HELLO)


@test("nc")
def nc_sends_megabytes():
    with example("echo", "listen", ANY) as server:
        same(run("nc", "-N", server.host, server.port, data=MUCH), MUCH)


@test("socat")
def socat_sends_megabytes():
    with example("echo", "listen", ANY) as server:
        same(run(*SOCAT, "-", f"TCP:{server.host}:{server.port}", data=MUCH), MUCH)


@test("socat")
def socat_over_a_unix_socket():
    with example("echo", "listen", f"unix://{Path.cwd()}/echo.sock"):
        same(run(*SOCAT, "-", "UNIX-CONNECT:echo.sock", data=MUCH), MUCH)


@test("socat")
def socat_over_an_abstract_unix_socket():
    name = f"lariat-{os.getpid()}"
    with example("echo", "listen", f"unix-abstract://{name}"):
        same(run(*SOCAT, "-", f"ABSTRACT-CONNECT:{name}", data=HELLO), HELLO)


@test("socat")
def our_client_and_a_server_of_socat():
    with socat_server("TCP-LISTEN:0,bind=127.0.0.1") as server:
        echo = Path(os.environ["LARIAT_EXAMPLES"]) / "echo"
        same(run(echo, "connect", f"tcp://127.0.0.1:{server.port}", "hello"), HELLO)


@test("socat")
def our_client_and_a_server_of_socat_at_a_unix_socket():
    with socat_server("UNIX-LISTEN:cat.sock"):
        echo = Path(os.environ["LARIAT_EXAMPLES"]) / "echo"
        same(run(echo, "connect", f"unix://{Path.cwd()}/cat.sock", "hello"), HELLO)


@test
def our_client_and_a_blocking_server_of_python():
    echo = Path(os.environ["LARIAT_EXAMPLES"]) / "echo"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)

        def serve():
            connection, _ = server.accept()
            connection.settimeout(DEADLINE)
            with connection:
                connection.sendall(everything(connection)[::-1])

        thread = threading.Thread(target=serve)
        thread.start()
        same(run(echo, "connect", f"tcp://127.0.0.1:{server.getsockname()[1]}", "hello"), b"olleh\n")
        thread.join(DEADLINE)


@test
def our_client_and_nobody():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    run(Path(os.environ["LARIAT_EXAMPLES"]) / "echo", "connect", f"tcp://127.0.0.1:{port}", "hello", code=1)


@test
def blocking_sockets_of_python():
    with example("echo", "listen", ANY) as server, server.connect() as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(MUCH), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        same(everything(connection), MUCH)
        sender.join(DEADLINE)


@test
def a_hundred_connections_at_once():
    with example("echo", "listen", ANY) as server:
        connections = [server.connect() for _ in range(100)]
        for number, connection in enumerate(connections):
            connection.sendall(b"%d" % number * 100)
        for number, connection in enumerate(connections):
            same(exactly(connection, len(b"%d" % number * 100)), b"%d" % number * 100)
            connection.close()


@test
def streams_of_asyncio():
    async def talk(server):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for number in range(20):
            writer.write(b"line %d\n" % number)
            assert await reader.readline() == b"line %d\n" % number
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    async def all_of_them(server):
        await asyncio.wait_for(asyncio.gather(*(talk(server) for _ in range(50))), DEADLINE)

    with example("echo", "listen", ANY) as server:
        asyncio.run(all_of_them(server))


@test
def over_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        print(f"skipped: no IPv6 here: {error}")
        raise SystemExit(77) from None
    with example("echo", "listen", "tcp://[::1]:0") as server, server.connect() as connection:
        connection.sendall(HELLO)
        same(exactly(connection, len(HELLO)), HELLO)


@test
def a_reset_harms_nobody_else():
    with example("echo", "listen", ANY) as server, server.connect() as other:
        for _ in range(50):
            connection = server.connect()
            connection.sendall(MUCH[:100_000])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        other.sendall(HELLO)
        same(exactly(other, len(HELLO)), HELLO)


@test
def who_does_not_read_is_not_read_from():
    with example("echo", "listen", ANY) as server, server.connect() as deaf, server.connect() as other:
        deaf.setblocking(False)
        sent = 0
        while sent < 200_000_000 and select.select([], [deaf], [], 0.5)[1]:     # what both systems keep is far less
            sent += deaf.send(MUCH)
        assert sent < 200_000_000, "the server has kept reading"
        other.sendall(HELLO)
        same(exactly(other, len(HELLO)), HELLO)


main()
