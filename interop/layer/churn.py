"""Three members stay in one room while others come and go in another one: what those who stay hear.

Two processes meet in a Redis, near or 2 ms away: two nodes of Roomful without a history, or Django's Daphne twice, with the
real `channels_redis`. Both serve the same sockets to the same members. In this folder's parent, as a program:

    ROOMFUL_BIN=../target/release/roomful ../target/venv/bin/python -m layer.churn --seconds 10

prints how many messages each kind of layer lost and doubled.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio as redis
from channels_redis.core import RedisChannelLayer
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from cluster import Site
from layer.sides import DEADLINE, RUST, RedisServer, Rust
from support import HERE, PYTHON, Server

STAYING = 3
MESSAGES_A_SECOND = 50
COMINGS_A_SECOND = 85
# Who comes has gone after at most this time.
LONGEST_VISIT = 0.1
WORKERS = 4
BACKLOG = 1000
# When all is done and nothing more has come for so long, nothing will.
QUIET = 1.0
# How often one looks.
PACE = 0.1


@dataclass
class Figures:
    """What became of the messages, in the eyes of everybody who should have got them."""

    layer: str
    round_trip_ms: float
    sent: int
    lost: int
    doubled: int
    comings_a_second: float | None = None

    def row(self):
        comings = "" if self.comings_a_second is None else f"{self.comings_a_second:.0f}"
        share = f"{self.lost / self.sent:.1%}"
        return [self.layer, f"{self.round_trip_ms:.1f} ms", comings, self.sent, self.lost, share, self.doubled]


HEADINGS = ["layer", "to Redis", "comings/s", "to be heard", "lost", "", "doubled"]


def table(figures):
    rows = [HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


class DistantRedis(RedisServer):
    """A Redis, and a socket from which the way there and back takes this long."""

    def __init__(self, milliseconds):
        super().__init__()
        self.near, self.proxy = self.socket, None
        if milliseconds:
            self.socket = str(Path(self.folder.name) / "distant.sock")
            command = [*PYTHON, str(HERE / "layer/delay.py"), self.socket, self.near, str(milliseconds / 2)]
            self.proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if not self.proxy.stdout.readline():
                raise RuntimeError("the way to Redis ended before it was open")

    async def round_trip_ms(self):
        """As it is."""
        async with redis.Redis(unix_socket_path=self.socket) as client:
            times = []
            for _ in range(20):
                begun = time.perf_counter()
                await client.ping()
                times.append((time.perf_counter() - begun) * 1000)
        return statistics.median(times)

    def stop(self):
        if self.proxy:
            self.proxy.communicate()
        super().stop()


def start(side, dialect, redis_server):
    """One of the two processes."""
    if side == "Roomful":
        return Server("none", "--layer", f"{RUST[dialect]}://{redis_server.socket}", "--no-rate-limits")
    return Site(redis_server, dialect)


async def start_two(stack, side, dialect, redis_server):
    """Both processes, at once: Daphne takes its time."""

    async def one():
        server = await asyncio.to_thread(start, side, dialect, redis_server)
        stack.callback(server.kill)
        return server

    # Where one does not start, the other is still ended.
    servers = await asyncio.gather(one(), one(), return_exceptions=True)
    for server in servers:
        if isinstance(server, BaseException):
            raise server
    return servers


class Member:
    """Somebody who stays, and counts what is heard."""

    def __init__(self, socket):
        self.socket = socket
        self.heard = Counter()
        self.listening = asyncio.create_task(self.listen())

    async def listen(self):
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                self.heard[text] += 1


async def say_until_heard(socket, members, word):
    """Says the word again and again, until everybody has heard it; not for ever, because a socket may be dead."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE):
            while not all(member.heard[word] for member in members):
                await socket.send(word)
                await asyncio.sleep(0.05)


async def come_and_go(servers, seconds):
    """So many people a second look into another room, on both processes. How many it were."""
    clock = asyncio.get_running_loop()
    came = 0

    async def visit(server):
        nonlocal came
        # On a busy machine one or the other is turned away; who came is counted.
        with contextlib.suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
            async with connect(server.socket("busy"), proxy=None):
                came += 1
                await asyncio.sleep(random.uniform(0, LONGEST_VISIT))

    begun = clock.time()
    async with asyncio.TaskGroup() as visits:
        for n in range(round(seconds * COMINGS_A_SECOND)):
            await asyncio.sleep(begun + n / COMINGS_A_SECOND - clock.time())
            visits.create_task(visit(servers[n % len(servers)]))
    return came / (clock.time() - begun)


async def say(socket, count):
    clock = asyncio.get_running_loop()
    begun = clock.time()
    for n in range(count):
        await asyncio.sleep(begun + n / MESSAGES_A_SECOND - clock.time())
        await socket.send(f"message {n}")


async def churn(side, dialect, milliseconds, seconds):
    """Who stays is on the second process, who speaks on the first."""
    count = round(seconds * MESSAGES_A_SECOND)
    async with contextlib.AsyncExitStack() as stack:
        redis_server = DistantRedis(milliseconds)
        stack.callback(redis_server.stop)
        here, there = servers = await start_two(stack, side, dialect, redis_server)
        sockets = [await stack.enter_async_context(connect(there.socket("stay"), proxy=None)) for _ in range(STAYING)]
        members = [Member(socket) for socket in sockets]
        speaker = await stack.enter_async_context(connect(here.socket("stay"), proxy=None))
        # Nobody reads what the speaker hears, and a full socket would be closed for that.
        stack.callback(Member(speaker).listening.cancel)
        await say_until_heard(speaker, members, "hello")
        comings, _ = await asyncio.gather(come_and_go(servers, seconds), say(speaker, count))
        # What may come has come when this has.
        await say_until_heard(speaker, members, "the end")
        round_trip_ms = await redis_server.round_trip_ms()
    heard = [member.heard[f"message {n}"] for member in members for n in range(count)]
    lost, doubled = heard.count(0), sum(times - 1 for times in heard if times)
    return Figures(f"{side} {dialect}", round_trip_ms, len(heard), lost, doubled, comings)


async def workers(side, milliseconds):
    """Several workers share a general channel in which there is much to do; each event is for one of them."""
    async with contextlib.AsyncExitStack() as stack:
        redis_server = DistantRedis(milliseconds)
        stack.callback(redis_server.stop)
        layers = []
        for _ in range(WORKERS):
            if side == "Roomful":
                layers.append(await Rust.start(f"{RUST['core']}://{redis_server.socket}", capacity=BACKLOG))
                stack.push_async_callback(layers[-1].end)
            else:
                layers.append(RedisChannelLayer(hosts=[f"unix://{redis_server.socket}"], capacity=BACKLOG))
                stack.push_async_callback(layers[-1].close_pools)
        for n in range(BACKLOG):
            await layers[0].send("worker", {"type": "work", "n": n})
        done = Counter()

        async def work(layer):
            # A worker is never interrupted while it waits for its next event: that alone may lose one.
            while True:
                done[(await layer.receive("worker"))["n"]] += 1

        working = [asyncio.create_task(work(layer)) for layer in layers]
        handed_out, quiet = 0, 0
        while quiet < (QUIET if len(done) == BACKLOG else DEADLINE):
            await asyncio.sleep(PACE)
            quiet = quiet + PACE if done.total() == handed_out else 0
            handed_out = done.total()
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        round_trip_ms = await redis_server.round_trip_ms()
    name = f"{side} core, {WORKERS} workers on a backlog"
    return Figures(name, round_trip_ms, BACKLOG, BACKLOG - len(done), sum(done.values()) - len(done))


SIDES = ["channels_redis", "Roomful"]
DISTANCES_MS = [0, 2]


async def everything(seconds):
    """All of it, one after the other."""
    for milliseconds in DISTANCES_MS:
        for dialect in RUST:
            for side in SIDES:
                yield await churn(side, dialect, milliseconds, seconds)
    for side in SIDES:
        yield await workers(side, DISTANCES_MS[-1])


async def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10, help="how long each run takes")
    seconds = parser.parse_args().seconds
    print(table([figures async for figures in everything(seconds)]))


if __name__ == "__main__":
    asyncio.run(main())
