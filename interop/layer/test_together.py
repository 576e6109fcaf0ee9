"""What the suites of Channels and `channels_redis` ask of a layer, asked of both sides together, and what they leave out."""

import asyncio
import contextlib
import unittest

import msgpack
from channels.exceptions import ChannelFull

from layer.sides import LayerTest, Refused


def numbered(n):
    return {"type": "test.numbered", "n": n}


class Together(LayerTest):
    SERVERS = 1

    async def both(self, dialect, rust_settings=None, python_settings=None):
        return await self.rust(dialect, **rust_settings or {}), await self.python(dialect, **python_settings or {})

    async def silent(self, side, channel):
        with self.assertRaises(TimeoutError):
            await side.receive(channel, wait=0.3)

    async def groups(self, dialect):
        rust, python = await self.both(dialect)
        sides = [(side, await side.new_channel()) for side in (rust, python, rust, python)]
        for side, channel in sides:
            await side.group_add("room", channel)
        for side, channel in sides[2:]:
            await side.group_discard("room", channel)
        for n, sender in enumerate((rust, python)):
            await sender.group_send("room", numbered(n))
            for side, channel in sides[:2]:
                self.assertEqual(await side.receive(channel), numbered(n))
        for side, channel in sides[2:]:
            await self.silent(side, channel)

    async def test_core_members_hear_the_group_and_others_do_not(self):
        await self.groups("core")

    async def test_pubsub_members_hear_the_group_and_others_do_not(self):
        await self.groups("pubsub")

    async def order(self, dialect):
        rust, python = await self.both(dialect)
        for sender, receiver in [(rust, python), (python, rust)]:
            channel = await receiver.new_channel()
            for n in range(50):
                await sender.send(channel, numbered(n))
            self.assertEqual([await receiver.receive(channel) for _ in range(50)], [numbered(n) for n in range(50)])

    async def test_core_events_of_one_sender_arrive_in_order(self):
        await self.order("core")

    async def test_pubsub_events_of_one_sender_arrive_in_order(self):
        await self.order("pubsub")

    async def test_core_general_channels_are_shared(self):
        rust, python = await self.both("core")
        for sender, receiver in [(rust, python), (python, rust)]:
            await sender.send("worker-1", numbered(1))
            self.assertEqual(await receiver.receive("worker-1"), numbered(1))
        await rust.group_add("room", "worker-2")
        await python.group_send("room", numbered(2))
        self.assertEqual(await rust.receive("worker-2"), numbered(2))
        await rust.group_send("room", numbered(3))
        self.assertEqual(await python.receive("worker-2"), numbered(3))

    async def test_core_each_may_put_the_others_channel_into_a_group(self):
        rust, python = await self.both("core")
        here, there = await rust.new_channel(), await python.new_channel()
        await rust.group_add("room", there)
        await python.group_add("room", here)
        for n, sender in enumerate((rust, python)):
            await sender.group_send("room", numbered(n))
            self.assertEqual(await rust.receive(here), numbered(n))
            self.assertEqual(await python.receive(there), numbered(n))
        await rust.group_discard("room", here)
        await python.group_discard("room", there)
        await python.group_send("room", numbered(9))
        await self.silent(rust, here)
        await self.silent(python, there)

    async def test_core_a_full_channel_is_refused_to_either(self):
        rust, python = await self.both("core", {"capacity": 3}, {"capacity": 3})
        for n in range(3):
            await (rust, python)[n % 2].send("worker-1", numbered(n))
        with self.assertRaises(ChannelFull):
            await python.send("worker-1", numbered(3))
        with self.assertRaises(Refused) as refused:
            await rust.send("worker-1", numbered(3))
        self.assertEqual(refused.exception.code, "channel_full")
        self.assertEqual([await rust.receive("worker-1") for _ in range(3)], [numbered(n) for n in range(3)])

    async def test_core_what_waited_too_long_is_gone_and_younger_events_are_not(self):
        rust, python = await self.both("core", {"expiry": "3s"}, {"expiry": 3})
        await python.send("worker-1", numbered(0))
        await rust.send("worker-1", numbered(1))
        await asyncio.sleep(2)
        await python.send("worker-1", numbered(2))
        await asyncio.sleep(2)
        await rust.send("worker-1", numbered(3))
        self.assertEqual(await rust.receive("worker-1"), numbered(2))
        self.assertEqual(await rust.receive("worker-1"), numbered(3))

    async def staying(self, dialect):
        """The core layer of `channels_redis` loses some of these for its own members."""
        rust, python = await self.both(dialect)
        other = await self.python(dialect)
        stay = [await rust.new_channel() for _ in range(3)]
        for channel in stay:
            await rust.group_add("room", channel)

        async def come_and_go():
            while True:
                channel = await other.layer.new_channel()
                await other.layer.group_add("elsewhere", channel)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(other.layer.receive(channel), 0.01)
                await other.layer.group_discard("elsewhere", channel)

        restless = [asyncio.create_task(come_and_go()) for _ in range(5)]
        for n in range(200):
            await python.group_send("room", numbered(n))
            for channel in stay:
                self.assertEqual(await rust.receive(channel), numbered(n))
        for task in restless:
            self.assertFalse(task.done(), task)
            task.cancel()
        await asyncio.gather(*restless, return_exceptions=True)

    async def test_core_who_stays_hears_everything_while_others_come_and_go(self):
        await self.staying("core")

    async def test_pubsub_who_stays_hears_everything_while_others_come_and_go(self):
        await self.staying("pubsub")

    async def test_core_what_python_itself_could_not_read_harms_nobody(self):
        rust, python = await self.both("core")
        channel = await rust.new_channel()
        # Python packs this, and fails to unpack it.
        await python.send(channel, {"type": "test.poison", "map": {1: 2}})
        await self.clients[0].zadd(f"asgi{channel.split('!')[0]}!", {b"0123456789ab" + msgpack.packb([1]): 1e9})
        await python.send(channel, numbered(1))
        self.assertEqual(await rust.receive(channel), numbered(1))

    async def test_core_a_flush_leaves_nothing_in_redis(self):
        rust, python = await self.both("core")
        await rust.group_add("room", await rust.new_channel())
        await python.send("worker-1", numbered(1))
        await rust.flush()
        self.assertEqual(await self.clients[0].keys("*"), [])


if __name__ == "__main__":
    unittest.main()
