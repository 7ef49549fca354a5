#!/usr/bin/env python3
"""websockets, from PyPI."""
import asyncio
import sys


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def websocket_echo():
    from websockets.asyncio.server import serve
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


WORKLOADS = {"websocket_echo": websocket_echo}
if len(sys.argv) < 2:
    print("\n".join(WORKLOADS))
else:
    asyncio.run(WORKLOADS[sys.argv[1]]())
