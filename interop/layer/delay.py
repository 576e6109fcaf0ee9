"""A Unix socket that leads to another one, and every byte takes its time, each way: a network between machines.

Usage: delay.py LISTEN TARGET MILLISECONDS. Prints a line when it listens, and ends with its standard input.
"""

import asyncio
import contextlib
import sys


async def pass_on(reader, writer, seconds):
    """What comes is written `seconds` later, in order; nothing waits for what came before it."""
    clock = asyncio.get_running_loop()
    waiting = asyncio.Queue()

    async def write():
        while (piece := await waiting.get()) is not None:
            due, data = piece
            await asyncio.sleep(due - clock.time())
            writer.write(data)
            await writer.drain()
        writer.close()

    writing = asyncio.create_task(write())
    # Either side may be killed at any time.
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            waiting.put_nowait((clock.time() + seconds, data))
    waiting.put_nowait(None)
    with contextlib.suppress(ConnectionError):
        await writing


async def main(listen, target, milliseconds):
    async def connected(reader, writer):
        there_reader, there_writer = await asyncio.open_unix_connection(target)
        # The end of this program is no mishap of a connection.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                pass_on(reader, there_writer, milliseconds / 1000),
                pass_on(there_reader, writer, milliseconds / 1000),
            )

    server = await asyncio.start_unix_server(connected, listen)
    print("listening", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    # Not waiting for whoever is still connected.
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
