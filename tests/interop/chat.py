"""The chat server against nc, blocking sockets and asyncio."""

import asyncio

from harness import DEADLINE, everything, example, main, run, test

ANY = "tcp://127.0.0.1:0"


class Person:
    """Somebody in the chat, over a blocking socket."""

    def __init__(self, server, name, end="\n"):
        self.connection, self.end = server.connect(), end
        self.lines = self.connection.makefile("rb")
        self.sees("* your name?")
        if name:
            self.says(name)
            self.sees(f"* {name} joins")

    def says(self, line):
        self.connection.sendall((line + self.end).encode())

    def sees(self, line):
        seen = self.lines.readline()
        assert seen == line.encode() + b"\n", f"{seen!r}, not {line!r}"


@test
def two_people_talk():
    with example("chat_server", ANY) as server:
        ann = Person(server, "ann")
        bob = Person(server, "bob", end="\r\n")
        ann.sees("* bob joins")
        ann.says("hello bob")
        bob.sees("ann: hello bob")
        bob.says("hello ann")
        ann.sees("bob: hello ann")
        bob.says("/quit")
        ann.sees("* bob leaves")
        assert bob.lines.read() == b""


@test("nc")
def nc_talks():
    with example("chat_server", ANY) as server:
        ann = Person(server, "ann")
        seen = run("nc", "-N", server.host, server.port, data=b"nc\nhello from nc\n/quit\n")
        assert seen == b"* your name?\n* nc joins\n", seen
        ann.sees("* nc joins")
        ann.sees("nc: hello from nc")
        ann.sees("* nc leaves")


@test
def one_byte_at_a_time():
    with example("chat_server", ANY) as server:
        ann, bob = Person(server, "ann"), Person(server, "bob")
        ann.sees("* bob joins")
        for byte in b"hello in pieces\r\nand another line\n":
            bob.connection.sendall(bytes([byte]))
        ann.sees("bob: hello in pieces")
        ann.sees("bob: and another line")


@test
def names_are_words_that_nobody_else_has():
    with example("chat_server", ANY) as server:
        ann = Person(server, "ann")
        other = Person(server, "")
        other.says("ann")
        other.sees("* somebody else has this name; another one?")
        for bad in ("", "two words", "x" * 21):
            other.says(bad)
            other.sees("* a name is a word of 20 letters at most")
        other.says("x" * 20)
        other.sees("* " + "x" * 20 + " joins")
        ann.sees("* " + "x" * 20 + " joins")


@test
def a_line_that_is_too_long_ends_its_own_connection():
    with example("chat_server", ANY) as server:
        ann, bob = Person(server, "ann"), Person(server, "bob")
        ann.sees("* bob joins")
        bob.says("x" * 1000)
        ann.sees("bob: " + "x" * 1000)
        bob.says("x" * 1001)
        ann.sees("* bob leaves: the connection broke")


@test
def who_does_not_read_is_dropped_and_holds_up_nobody():
    with example("chat_server", ANY) as server:
        ann, bob, deaf = Person(server, "ann"), Person(server, "bob"), Person(server, "deaf")
        ann.sees("* bob joins")
        ann.sees("* deaf joins")
        bob.sees("* deaf joins")
        verse = "o" * 1000
        seen = b""
        for _ in range(100_000):
            ann.says(verse)
            seen = bob.lines.readline()
            if seen != b"ann: " + verse.encode() + b"\n":
                break
        assert seen == b"* deaf leaves: reads too slowly\n", seen
        ann.sees("* deaf leaves: reads too slowly")
        try:
            everything(deaf.connection)
        except ConnectionResetError:
            pass


@test
def a_room_full_of_asyncio():
    count = 40

    async def person(server, number, all_are_there):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        assert await reader.readline() == b"* your name?\n"
        writer.write(b"person%d\n" % number)
        while (await reader.readline()) != b"* person%d joins\n" % number:
            pass
        await all_are_there.wait()
        writer.write(b"this is %d\n" % number)
        heard = set()
        while len(heard) < count - 1:
            line = await reader.readline()
            if b": this is " in line:
                heard.add(line)
        assert b"person%d: this is %d\n" % (number, number) not in heard
        await all_are_there.wait()
        writer.close()

    async def all_of_them(server):
        barrier = asyncio.Barrier(count) if hasattr(asyncio, "Barrier") else Barrier(count)
        await asyncio.wait_for(asyncio.gather(*(person(server, number, barrier) for number in range(count))), DEADLINE)

    with example("chat_server", ANY) as server:
        asyncio.run(all_of_them(server))


class Barrier:
    """asyncio.Barrier, which Python has from 3.11 on: goes on when so many wait."""

    def __init__(self, count):
        self.count, self.waiting, self.gate = count, 0, asyncio.Event()

    async def wait(self):
        self.waiting += 1
        gate = self.gate
        if self.waiting == self.count:
            self.waiting, self.gate = 0, asyncio.Event()
            gate.set()
        await gate.wait()


main()
