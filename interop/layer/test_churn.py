"""Who stays hears everything once, while others come and go; beside it, in the same run, the real `channels_redis`.

And what a node takes that several others speak to at once.
"""

import asyncio
import contextlib
import unittest

from websockets.asyncio.client import connect

from layer import churn

SECONDS = 4
SPEAKING_NODES = 3
BURST = 700


class Churn(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = 5

    async def test_roomful_loses_nothing_and_doubles_nothing(self):
        # Of the other layer, the figures are told and not judged.
        measured = [figures async for figures in churn.everything(SECONDS)]
        print("\n" + churn.table(measured))
        for figures in measured:
            if figures.layer.startswith("Roomful"):
                with self.subTest(figures.layer, round_trip_ms=round(figures.round_trip_ms)):
                    self.assertEqual((figures.lost, figures.doubled), (0, 0))
                    if figures.comings_a_second:
                        self.assertGreater(figures.comings_a_second, churn.COMINGS_A_SECOND / 4, "it was a churn")

    async def test_bursts_of_several_nodes_at_once_are_heard_whole(self):
        for dialect in churn.RUST:
            with self.subTest(dialect):
                async with contextlib.AsyncExitStack() as stack:
                    await self.burst(dialect, stack)

    async def burst(self, dialect, stack):
        redis_server = churn.DistantRedis(0)
        stack.callback(redis_server.stop)
        members = []
        for _ in range(1 + SPEAKING_NODES):
            node = await asyncio.to_thread(churn.start, "Roomful", dialect, redis_server)
            stack.callback(node.kill)
            members.append(churn.Member(await stack.enter_async_context(connect(node.socket("stay"), proxy=None))))
        listener, *speakers = members
        for n, speaker in enumerate(speakers):
            await churn.say_until_heard(speaker.socket, [listener], f"hello from {n}")

        async def say_all(n, speaker):
            for number in range(BURST):
                await speaker.socket.send(f"{n}: {number}")

        await asyncio.gather(*(say_all(n, speaker) for n, speaker in enumerate(speakers)))
        for n, speaker in enumerate(speakers):
            await churn.say_until_heard(speaker.socket, [listener], f"the end of {n}")

        said = [f"{n}: {number}" for n in range(SPEAKING_NODES) for number in range(BURST)]
        self.assertEqual({listener.heard[text] for text in said}, {1}, "each once")


if __name__ == "__main__":
    unittest.main()
