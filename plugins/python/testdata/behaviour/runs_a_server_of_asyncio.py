# {"pools": "exclusive shared loop", "times": 2, "want": {"data": "HELLO"}}
"""Streams of asyncio: a server and a client on the task's loop."""

import asyncio


async def shout(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()


async def main(params, context):
    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return answer.decode().strip()
