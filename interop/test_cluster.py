"""One room on two nodes and a Django site, whatever happens to the nodes and to the Redis between them."""

import asyncio
import subprocess
import time
import unittest

from channels_redis.core import RedisChannelLayer

from cluster import LEASE_SECONDS, ClusterTest
from support import environment, installed, roomful

EACH = 50
# How long Redis is away.
AWAY_SECONDS = 4


class Cluster(ClusterTest):
    def django_layer(self):
        """A channel layer as a Django process has it."""
        layer = RedisChannelLayer(hosts=[f"unix://{self.redis.socket}"])
        self.addAsyncCleanup(layer.close_pools)
        return layer

    async def test_django_and_two_nodes_are_one_room(self):
        site = self.site()
        for room in ("123", "聊天室"):
            with self.subTest(room=room):
                members = [
                    await self.plain_member(site, "Django", room),
                    await self.member(self.nodes[0], "Ana", room),
                    await self.plain_member(self.nodes[1], "Bo", room),
                ]
                for speaker in members:
                    text = f"{speaker.name} 说：你好 🎉"
                    await speaker.say(text)
                    for member in members:
                        await member.until(lambda: text in member.heard(), f"hears {speaker.name}", seconds=1)
                # Whatever might come twice has come when this has.
                await members[0].say("that was all")
                for member in members:
                    await member.until(lambda: "that was all" in member.heard(), "hears the end")
                    for text in [f"{speaker.name} 说：你好 🎉" for speaker in members]:
                        self.assertEqual(member.heard().count(text), 1, f"{member.name} hears it once")

    async def test_what_the_site_says_is_shown_unsaved_and_with_an_id_it_is_stored_once(self):
        site = self.site()
        guest = await self.plain_member(site, "Guest")
        members = [await self.member(node, name) for node, name in zip(self.nodes, ["Ana", "Bo"])]

        await asyncio.to_thread(site.say, "123", "passing by")
        for _ in range(2):
            await asyncio.to_thread(site.say, "123", "order 7 is paid", "--id", "order-7")
        await members[0].say("thanks")

        for member in members:
            await member.until(lambda: {"passing by", "order 7 is paid", "thanks"} <= set(member.heard()), "hears all")
            said = {report["text"]: report for report in member.reports if report["type"] == "chat.message"}
            self.assertTrue(said["passing by"]["unsaved"])
            self.assertNotIn("seq", said["passing by"])
            self.assertEqual(said["order 7 is paid"]["from"], {"id": "x-outside", "name": "Site"})
            self.assertEqual(member.heard().count("order 7 is paid"), 1)
        for node in self.nodes:
            stored = (await asyncio.to_thread(node.get, "123/messages"))["messages"]
            self.assertEqual([(m["seq"], m["text"]) for m in stored], [(1, "order 7 is paid"), (2, "thanks")])
        await guest.until(lambda: "thanks" in guest.heard(), "hears all")
        for text in ("passing by", "order 7 is paid"):
            self.assertEqual(guest.heard().count(text), 1, "the Django consumer shows it once")

    async def test_the_members_of_a_killed_node_are_gone_within_the_lease_and_the_other_serves_on(self):
        ana = await self.member(self.nodes[0], "Ana")
        bo = await self.member(self.nodes[1], "Bo")
        await ana.say("last words")
        await bo.until(lambda: "last words" in bo.heard(), "hears Ana")
        here = await asyncio.to_thread(self.nodes[1].get, "123/members")
        self.assertEqual(sorted(member["name"] for member in here["members"]), ["Ana", "Bo"])

        self.nodes[0].kill()

        def left():
            return [report["member"]["name"] for report in bo.reports if report["type"] == "chat.left"]

        # A node looks around five times in a lease.
        await bo.until(lambda: left() == ["Ana"], "sees Ana leave", seconds=LEASE_SECONDS * 1.5)
        here = await asyncio.to_thread(self.nodes[1].get, "123/members")
        self.assertEqual([member["name"] for member in here["members"]], ["Bo"])
        await bo.say("alone")
        await bo.until(lambda: bo.acknowledged, "is answered")

    async def test_without_redis_for_a_while_nothing_is_lost_doubled_or_out_of_order(self):
        speakers = [await self.member(node, name) for node, name in zip(self.nodes, ["Ana", "Bo"])]

        said = 0

        async def say_and_hear():
            """Both speak at once; done when both have heard all that was said so far."""
            nonlocal said
            for speaker in speakers:
                await speaker.say(*(f"{speaker.name} {n}" for n in range(said, said + EACH)))
            said += EACH
            for speaker in speakers:
                await speaker.until(lambda: len(speaker.acknowledged) == said, "is answered", 60)
                await speaker.until(lambda: len(speaker.numbers()) >= said * 2, "hears everything", 60)

        await say_and_hear()
        self.redis.kill()
        killed = time.monotonic()
        while time.monotonic() - killed < AWAY_SECONDS:
            await say_and_hear()
        await asyncio.to_thread(self.redis.start_again)
        await say_and_hear()

        logs = [await asyncio.to_thread(node.log, "123") for node in self.nodes]
        self.assertEqual(*logs)
        self.assertEqual([event["seq"] for event in logs[0]], list(range(1, said * 2 + 1)))
        at = {event["seq"]: event["id"] for event in logs[0]}
        for speaker in speakers:
            for message_id, number in speaker.acknowledged.items():
                self.assertEqual(at[number], message_id, f"{speaker.name}'s {message_id} is where it was said to be")
            own = [event["text"] for event in logs[0] if event["from"]["name"] == speaker.name]
            self.assertEqual(own, [f"{speaker.name} {n}" for n in range(said)])
            self.assertEqual(speaker.numbers(), list(range(1, said * 2 + 1)), f"{speaker.name} heard all in order")

    async def test_after_redis_came_back_empty_the_nodes_are_in_their_groups_again(self):
        members = [await self.member(node, name) for node, name in zip(self.nodes, ["Ana", "Bo"])]
        self.redis.kill()
        await asyncio.to_thread(self.redis.start_again)
        layer = self.django_layer()

        async def until_heard():
            while not all("back" in member.heard() for member in members):
                await layer.group_send("123", {"type": "chat.message", "text": "back"})
                try:
                    async with asyncio.timeout(0.2), self.changed:
                        await self.changed.wait()
                except TimeoutError:
                    pass

        await asyncio.wait_for(until_heard(), 30)

    async def test_a_node_with_a_log_of_its_own_does_not_start(self):
        command = [roomful(), "--listen", "127.0.0.1:0", "--history", f"sqlite:{self.folder / 'own.db'}"]
        ended = await asyncio.to_thread(
            subprocess.run,
            [*command, "--layer", self.layer],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=20,
        )
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("PostgreSQL", ended.stderr)
        self.assertIn("--history none", ended.stderr)

    async def test_what_django_sends_to_many_members_of_a_node_is_one_entry_in_redis(self):
        members = [await self.member(self.nodes[0], f"Ana {n}") for n in range(5)]
        redis_cli = [installed("redis-cli", "Redis"), "-s", self.redis.socket]
        pipe = asyncio.subprocess.PIPE
        monitor = await asyncio.create_subprocess_exec(*redis_cli, "MONITOR", stdout=pipe)
        try:
            self.assertEqual(await monitor.stdout.readline(), b"OK\n")
            await self.django_layer().group_send("123", {"type": "chat.message", "text": "to all of you"})
            for member in members:
                await member.until(lambda: "to all of you" in member.heard(), "hears Django")
            await asyncio.to_thread(subprocess.run, [*redis_cli, "ECHO", "the end"], check=True, capture_output=True)
            entries = 0
            while b'"the end"' not in (line := await monitor.stdout.readline()):
                self.assertTrue(line, "redis-cli goes on")
                entries += b'"ZADD"' in line.upper() and b"to all of you" in line
        finally:
            monitor.kill()
            await monitor.wait()
        self.assertEqual(entries, 1)


if __name__ == "__main__":
    unittest.main()
