"""A member of a room who speaks `roomful.v1`, with Python's `websockets`.

Usage: v1_client.py [ws://HOST/room/ROOM/ [NAME]], or the address in ROOMFUL_URL.

Each line of standard input is said; what the server sends is printed as it comes, one JSON object a line. When the
connection is lost it is made again: the token says who we are, `after` what we have, and what was not acknowledged is said
again under the same id. At the end of the input the client waits for the last acknowledgement and leaves.
"""

import asyncio
import json
import os
import secrets
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from lines import read_lines, report

# Messages said and not yet acknowledged.
WINDOW = 32
RETRY_SECONDS = 0.05


class Member:
    def __init__(self, url, name):
        self.url = url
        self.hello = {"type": "chat.hello", "name": name}
        # What was said and is not acknowledged, by id and in order.
        self.waiting = {}
        self.acknowledged = asyncio.Condition()
        # Held while saying, so that what is said again comes before what is new.
        self.speaking = asyncio.Lock()
        self.socket = None
        self.stopping = False

    async def say(self, message_id, text):
        async with self.acknowledged:
            await self.acknowledged.wait_for(lambda: len(self.waiting) < WINDOW)
        message = {"type": "chat.say", "id": message_id, "text": text}
        async with self.speaking:
            self.waiting[message_id] = message
            # Without a connection it is said when there is one again.
            if self.socket:
                await self.send(self.socket, message)

    async def stay(self):
        """Keeps a connection until told to leave."""
        while not self.stopping:
            try:
                async with connect(self.url, subprotocols=["roomful.v1"], proxy=None) as socket:
                    await self.send(socket, self.hello)
                    async for text in socket:
                        await self.hear(socket, json.loads(text))
            except (OSError, InvalidHandshake, ConnectionClosed):
                pass
            self.socket = None
            if not self.stopping:
                await asyncio.sleep(RETRY_SECONDS)

    async def hear(self, socket, message):
        report(message)
        kind = message["type"]
        if kind == "chat.welcome":
            self.hello |= {"token": message["you"]["token"], "epoch": message["epoch"]}
            # Where the position was not known the newest page follows, which starts anew.
            if "after" not in self.hello or not message["recovered"]:
                self.hello["after"] = 0
            async with self.speaking:
                for waiting in self.waiting.values():
                    await self.send(socket, waiting)
                self.socket = socket
        elif kind == "chat.said":
            async with self.acknowledged:
                self.waiting.pop(message["id"], None)
                self.acknowledged.notify_all()
        elif "seq" in message:
            self.hello["after"] = message["seq"]

    async def send(self, socket, message):
        try:
            await socket.send(json.dumps(message, ensure_ascii=False))
        except ConnectionClosed:
            # `stay` sees it too, and everything unacknowledged is said again.
            pass

    async def leave(self):
        async with self.acknowledged:
            await self.acknowledged.wait_for(lambda: not self.waiting)
        self.stopping = True
        if self.socket:
            await self.socket.close()


async def main(url, name):
    member = Member(url, name)
    staying = asyncio.create_task(member.stay())
    run = secrets.token_hex(4)
    number = 0
    async for text in read_lines():
        number += 1
        await member.say(f"{run}-{number}", text)
    await member.leave()
    await staying
    report({"type": "client.left"})


arguments = sys.argv[1:] or [os.environ["ROOMFUL_URL"]]
asyncio.run(main(arguments[0], arguments[1] if len(arguments) > 1 else "Python"))
