"""Acknowledged means stored: the server is killed under load, again and again, and started again on the same file."""

import asyncio
import unittest

from support import NODE, PYTHON, ServerTest

EACH = 1000
# How many messages are acknowledged, over all clients, when the server is killed.
KILLS = [300, 1000, 1700, 2400, 3100]
ROOM = "kill"


class KilledUnderLoad(ServerTest):
    FLAGS = ("--no-rate-limits",)

    async def test_every_acknowledged_message_is_there_once_in_order_without_holes(self):
        socket, messages = self.server.socket(ROOM), self.server.messages(ROOM)
        listeners = [
            await self.start("Ana", PYTHON, "python/v1_client.py", socket, "Ana"),
            await self.start("Bo", PYTHON, "python/v1_client.py", socket, "Bo"),
            await self.start("Chen", NODE, "node/v1_client.mjs", socket, "Chen"),
        ]
        poster = await self.start("Dora", PYTHON, "python/http_client.py", messages, "Dora")
        clients = [*listeners, poster]
        texts = {client.name: [f"{client.name} {n} 你好 🎉" for n in range(EACH)] for client in clients}

        def count():
            return sum(len(client.acknowledged) for client in clients)

        for client in listeners:
            await client.until(lambda: client.reports, "is welcomed")
        # Without the first answer's token, a POST that is repeated would be somebody else's.
        await poster.say(texts[poster.name][0])
        await poster.until(lambda: poster.acknowledged, "gets its first answer")
        await asyncio.gather(*(client.say(*texts[client.name]) for client in listeners))
        await poster.say(*texts[poster.name][1:])
        for number in KILLS:
            async with asyncio.timeout(60), self.changed:
                await self.changed.wait_for(lambda: count() >= number)
            self.server.kill()
            self.assertLess(count(), EACH * len(clients), "there is work left to be killed in")
            await asyncio.to_thread(self.server.start)
        for client in clients:
            await client.until(lambda: len(client.acknowledged) == EACH, f"has {EACH} answers", 60)
        self.server.kill()
        await asyncio.to_thread(self.server.start)

        log = await asyncio.to_thread(self.server.log, ROOM)
        self.assertEqual([event["seq"] for event in log], list(range(1, EACH * len(clients) + 1)))
        at = {event["seq"]: event["id"] for event in log}
        for client in clients:
            refused = [report for report in client.reports if report.get("type") == "chat.error"]
            self.assertEqual(refused, [], f"nothing that {client.name} said is refused")
            for message_id, number in client.acknowledged.items():
                self.assertEqual(at.get(number), message_id, f"{client.name}'s {message_id} is where it was said to be")
            said = [event["text"] for event in log if event["from"]["name"] == client.name]
            self.assertEqual(said, texts[client.name], f"{client.name}'s messages are there once and in order")
        for client in listeners:
            await client.until(lambda: len(client.numbers()) >= EACH * len(clients), "hears everything", 60)
            self.assertEqual(client.numbers(), sorted(at), f"{client.name} heard everything once and in order")


if __name__ == "__main__":
    unittest.main()
