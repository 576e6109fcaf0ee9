"""A member of a room who speaks plain text, with Python's `websockets`.

Usage: plain_client.py [ws://HOST/room/ROOM/], or the address in ROOMFUL_URL.

Each line of standard input is said. Printed, one JSON object a line: {"connected": true}, {"heard": TEXT} and
{"closed": CODE}. The end of the input closes the connection.
"""

import asyncio
import os
import sys

from websockets.asyncio.client import connect

from lines import read_lines, report


async def listen(socket):
    async for text in socket:
        report({"heard": text})


async def main(url):
    async with connect(url, proxy=None) as socket:
        report({"connected": True})
        listening = asyncio.create_task(listen(socket))
        async for text in read_lines():
            await socket.send(text)
    await listening
    report({"closed": socket.close_code})


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else os.environ["ROOMFUL_URL"]))
