"""Python's websockets as the peer of lariat's, in both roles: each case is printed with what came of it.

    websockets_peer.py PROGRAM     the program is tests/conformance/websocket_echo.c
"""

import asyncio
import os
import re
import sys
import traceback

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.protocol import State

PROGRAM = sys.argv[1]
LIMIT = 16 << 20  # of lariat's messages
SECONDS = 60
TALKS = []


def talk(function):
    """Marks a conversation of Python's side with an echo."""
    TALKS.append(function)
    return function


async def echoed(peer, *messages):
    for message in messages:
        await peer.send(message)
    for message in messages:
        got = await peer.recv()
        assert type(got) is type(message) and got == message, f"{len(message)} became {len(got)}"


@talk
async def text(peer):
    await echoed(peer, "hello", "", "κόσμε \U0001f40e", "\0")


@talk
async def binary(peer):
    await echoed(peer, b"", bytes(range(256)))


@talk
async def every_length_of_a_head(peer):
    for length in (0, 1, 125, 126, 127, 65535, 65536, 65537):
        await echoed(peer, b"x" * length, "y" * length)


@talk
async def a_megabyte(peer):
    await echoed(peer, os.urandom(1 << 20), "lariat " * (1 << 17))


@talk
async def fifteen_megabytes(peer):
    await echoed(peer, os.urandom(15 << 20))


@talk
async def fragments(peer):
    await peer.send(["one, ", "", "zwölf, ", "three"])
    assert await peer.recv() == "one, zwölf, three"
    await peer.send([b"a" * 1000] * 100)
    assert await peer.recv() == b"a" * 100000


@talk
async def a_thousand_messages_in_order(peer):
    send = asyncio.create_task(asyncio.wait_for(sent(peer), SECONDS))
    for number in range(1000):
        assert await peer.recv() == f"message {number} " * (number % 50)
    await send


async def sent(peer):
    for number in range(1000):
        await peer.send(f"message {number} " * (number % 50))


@talk
async def pings(peer):
    for data in (b"", b"x", b"y" * 125):
        await asyncio.wait_for(await peer.ping(data), SECONDS)
    pongs = [await peer.ping() for _ in range(100)]
    for pong in pongs:
        await asyncio.wait_for(pong, SECONDS)


@talk
async def pings_between_fragments(peer):
    async def pieces():
        for number in range(20):
            await asyncio.wait_for(await peer.ping(), SECONDS)
            yield f"{number},"

    await peer.send(pieces())
    assert await peer.recv() == "".join(f"{number}," for number in range(20))


@talk
async def closing_with_a_code_and_a_reason(peer):
    await echoed(peer, "before")
    await peer.close(4321, "das wär's")
    assert peer.protocol.close_rcvd.code == 4321 and peer.close_code == 4321


@talk
async def too_large_a_message(peer):
    try:
        await peer.send(b"\0" * (LIMIT + 1))
        await peer.recv()
        raise AssertionError("it was taken")
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and closed.rcvd.code == 1009, closed
        await peer.wait_closed()


# ---- in which ways both agree ----


def client_ways():
    """Keyword arguments for Python's client, and what must have been agreed on."""
    yield "plain", {"compression": None}, None, None
    yield "deflate", {}, "permessage-deflate", None
    for bits in range(8, 16):
        offer = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=max(bits, 9))
        yield f"deflate_{bits}_bits", {"extensions": [offer]}, "permessage-deflate", None
    alone = ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    yield "deflate_each_alone", {"extensions": [alone]}, "permessage-deflate", None
    yield "subprotocol", {"subprotocols": ["v9", "chat"]}, "permessage-deflate", "chat"
    yield "two_subprotocols", {"subprotocols": ["chat", "superchat"]}, "permessage-deflate", "superchat"


def server_ways():
    """The same of Python's server; the offers of lariat's client come third."""
    yield "plain", {"compression": None}, ["deflate"], "plain, no subprotocol"
    yield "not_offered", {}, [], "plain, no subprotocol"
    yield "deflate", {}, ["deflate"], "compressed, no subprotocol"
    for bits in range(9, 16):
        answer = ServerPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)
        yield f"deflate_{bits}_bits", {"extensions": [answer]}, ["deflate"], "compressed, no subprotocol"
        yield f"deflate_offered_{bits}_bits", {}, ["deflate", str(bits)], "compressed, no subprotocol"
    eight = ServerPerMessageDeflateFactory(client_max_window_bits=8)
    yield "deflate_8_bits", {"extensions": [eight]}, ["deflate"], "compressed, no subprotocol"
    alone = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    yield "deflate_each_alone", {"extensions": [alone]}, ["deflate"], "compressed, no subprotocol"
    yield "deflate_offered_alone", {}, ["deflate", "alone"], "compressed, no subprotocol"
    yield "subprotocol", {"subprotocols": ["chat", "v9"]}, ["deflate", "superchat", "chat"], "compressed, chat"


async def line(stream, pattern):
    text = (await asyncio.wait_for(stream.readline(), SECONDS)).decode()
    found = re.fullmatch(pattern, text.rstrip("\n"))
    assert found, f"it says {text!r}, and not {pattern!r}"
    return found


async def ask(port, way, conversation):
    _, how, extension, subprotocol = way
    peer = await connect(f"ws://127.0.0.1:{port}/", max_size=None, ping_interval=None, proxy=None, **how)
    try:
        agreed = [one.name for one in peer.protocol.extensions]
        assert agreed == ([extension] if extension else []), agreed
        assert peer.subprotocol == subprotocol, peer.subprotocol
        await conversation(peer)
    finally:
        if peer.state is not State.CLOSED:  # else it would end a transport once more that asyncio has ended
            await peer.close()


async def answer(way, conversation):
    _, how, offers, agreed = way
    failed, done = [], asyncio.Event()

    async def handle(peer):
        try:
            await conversation(peer)
        except BaseException as error:
            failed.append(error)
        done.set()

    server = await serve(handle, "127.0.0.1", 0, max_size=None, ping_interval=None, **how)
    port = server.sockets[0].getsockname()[1]
    program = await asyncio.create_subprocess_exec(PROGRAM, "client", f"ws://127.0.0.1:{port}/", *offers, stdout=asyncio.subprocess.PIPE)
    try:
        await line(program.stdout, f"connected, {agreed}")
        await asyncio.wait_for(done.wait(), SECONDS)
        if failed:
            raise failed[0]
        await line(program.stdout, r"closed \d+ .*, LARIAT_(CONNECTION_DONE|ERR_TOO_LONG)")
        assert await asyncio.wait_for(program.wait(), SECONDS) == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
        server.close()
        await server.wait_closed()


async def refused(port, status, **how):
    try:
        async with connect(f"ws://127.0.0.1:{port}/", proxy=None, **how):
            raise AssertionError("it was taken")
    except InvalidStatus as answer:
        assert answer.response.status_code == status, answer


async def main():
    program = await asyncio.create_subprocess_exec(PROGRAM, "server", "tcp://127.0.0.1:0", stdout=asyncio.subprocess.PIPE)
    port = int((await line(program.stdout, r"Listening at port (\d+)"))[1])
    own, other = list(client_ways()), list(server_ways())
    cases = [(f"server_{way[0]}_{one.__name__}", lambda way=way, one=one: ask(port, way, one)) for way in own for one in TALKS]
    cases += [(f"client_{way[0]}_{one.__name__}", lambda way=way, one=one: answer(way, one)) for way in other for one in TALKS]
    origins = {"of_another_host": "https://evil.example", "of_nothing": "null"}
    cases += [(f"server_origin_{name}", lambda origin=origin: refused(port, 403, origin=origin)) for name, origin in origins.items()]
    try:
        for name, case in cases:
            try:
                await asyncio.wait_for(case(), 2 * SECONDS)
                print(f"ok {name}", flush=True)
            except Exception:
                print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
        assert program.returncode is None, "the server has ended"
    finally:
        program.kill()
        await program.wait()


asyncio.run(main())
