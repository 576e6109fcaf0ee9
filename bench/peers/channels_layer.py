"""The two processes of `bench/layer` on channels_redis: `hear` and `say`, step by step as in `bench/layer/src/`."""

import argparse
import asyncio
import json
import os
import sys
import time
from math import ceil

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

TEXT = "a message of about the length that people write: sixty-four byte"
PATIENCE = 3
MOST = 20_000
TIMER = 0.002


def layer(arguments):
    kind = RedisPubSubChannelLayer if arguments.dialect == "pubsub" else RedisChannelLayer
    return kind(hosts=[arguments.redis], capacity=1_000_000)


class Book:
    """What reached all members."""

    def __init__(self, members):
        self.members = members
        self.reached = {}
        self.latencies = []
        self.first_said = None
        self.last_heard = 0
        self.news = asyncio.Event()

    def enter(self, said):
        n = said["n"]
        if n < 0:
            return
        reached = self.reached.get(n, 0) + 1
        self.reached[n] = reached
        if reached != self.members:
            return
        now = time.time_ns()
        if self.first_said is None or said["at"] < self.first_said:
            self.first_said = said["at"]
        self.last_heard = now
        self.latencies.append((now - said["at"]) / 1e6)
        self.news.set()


async def hear(arguments):
    channels, book = layer(arguments), Book(arguments.members)

    async def member(channel):
        while True:
            book.enter(await channels.receive(channel))

    tasks = []
    for _ in range(arguments.members):
        channel = await channels.new_channel()
        await channels.group_add("bench", channel)
        tasks.append(asyncio.create_task(member(channel)))
    # Each of them waits for its first event.
    await asyncio.sleep(0.1)
    cpu = time.process_time()
    print("ready", flush=True)
    expected = int(await asyncio.to_thread(sys.stdin.readline))
    while len(book.latencies) < expected:
        book.news.clear()
        try:
            await asyncio.wait_for(book.news.wait(), PATIENCE)
        except TimeoutError:
            break
    cpu = time.process_time() - cpu
    latencies = sorted(book.latencies)

    def at(share):
        return latencies[max(ceil(len(latencies) * share) - 1, 0)] if latencies else None

    report = {
        "heard": len(latencies),
        "lost": max(expected - len(latencies), 0),
        "seconds": (book.last_heard - (book.first_said or 0)) / 1e9,
        "cpu_seconds": cpu,
        "ms_p50": at(0.5),
        "ms_p99": at(0.99),
        "ms_p999": at(0.999),
    }
    print(json.dumps(report), flush=True)
    # Ten thousand tasks need no goodbye.
    os._exit(0)


class Tally:
    def __init__(self):
        self.sent = self.failed = 0


async def say(arguments):
    channels, tally = layer(arguments), Tally()

    async def send(n, at):
        await channels.group_send("bench", {"type": "bench.message", "n": n, "at": at, "text": TEXT})

    async def note(n, at):
        try:
            await send(n, at)
            tally.sent += 1
        except Exception as error:
            if not tally.failed:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
            tally.failed += 1

    for n in range(arguments.warm_up):
        await send(-1 - n, time.time_ns())
    cpu, begun = time.process_time(), time.monotonic()
    if arguments.rate:
        withheld = await open_loop(note, arguments.rate, arguments.seconds)
    else:
        withheld = await closed_loop(note, arguments.under_way, arguments.seconds)
    report = {
        "sent": tally.sent,
        "failed": tally.failed,
        "withheld": withheld,
        "seconds": time.monotonic() - begun,
        "cpu_seconds": time.process_time() - cpu,
    }
    print(json.dumps(report), flush=True)


async def open_loop(note, rate, seconds):
    begun, begun_wall = time.monotonic(), time.time_ns()
    saying, withheld = set(), 0
    for n in range(int(rate * seconds)):
        due = n / rate
        wait = due - (time.monotonic() - begun)
        # Those under way need turns, too, where the loop is behind.
        await asyncio.sleep(max(wait, 0))
        if len(saying) >= MOST:
            withheld += 1
            continue
        late = time.monotonic() - begun - due
        at = time.time_ns() if late < TIMER else begun_wall + int(due * 1e9)
        task = asyncio.create_task(note(n, at))
        saying.add(task)
        task.add_done_callback(saying.discard)
    while saying:
        await asyncio.wait(saying)
    return withheld


async def closed_loop(note, under_way, seconds):
    until = time.monotonic() + seconds
    numbers = iter(range(sys.maxsize))

    async def speaker():
        while time.monotonic() < until:
            await note(next(numbers), time.time_ns())

    await asyncio.gather(*(speaker() for _ in range(under_way)))
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["hear", "say"])
    parser.add_argument("--redis", required=True, help="its URL, as redis-py takes it")
    parser.add_argument("--dialect", choices=["core", "pubsub"], required=True)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--under-way", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--warm-up", type=int, default=100)
    arguments = parser.parse_args()
    asyncio.run(hear(arguments) if arguments.role == "hear" else say(arguments))


main()
