"""Redis, and the two sides that meet there: `roomful layer` and `channels_redis`."""

import asyncio
import base64
import json
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import redis.asyncio as redis
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from support import drain, environment, installed, roomful

PYTHON = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}
RUST = {"core": "redis+unix", "pubsub": "redis+pubsub+unix"}
# What must happen happens within this time, or the test fails instead of hanging.
DEADLINE = 10


class RedisServer:
    """A Redis on a Unix socket in a folder of its own."""

    def __init__(self, *arguments):
        self.folder = tempfile.TemporaryDirectory()
        self.socket = str(Path(self.folder.name) / "redis.sock")
        command = [installed("redis-server", "Redis"), "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no"]
        self.start([*command, "--dir", self.folder.name, *arguments], "eady to accept connections")

    @classmethod
    def sentinel(cls, configuration, port):
        """A sentinel with this configuration, which it rewrites."""
        self = cls.__new__(cls)
        self.folder = tempfile.TemporaryDirectory()
        command = [installed("redis-server", "Redis"), str(configuration), "--sentinel", "--port", str(port), "--bind", "127.0.0.1"]
        self.start([*command, "--dir", self.folder.name], "+monitor master")
        return self

    def start(self, command, ready):
        self.command, self.ready = command, ready
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if ready in line:
                # Nobody reads on, and a full pipe would stop it.
                threading.Thread(target=drain, args=[self.process.stdout], daemon=True).start()
                return
        raise RuntimeError("redis-server ended before it was ready")

    async def knows_replica(self, port):
        """Waits until the sentinel here knows whom it could promote."""
        async with asyncio.timeout(30), redis.Redis(port=port, decode_responses=True) as client:
            while True:
                replicas = await client.execute_command("SENTINEL REPLICAS", "chat")
                replicas = [dict(zip(fields[::2], fields[1::2])) for fields in replicas]
                if any(replica["master-link-status"] == "ok" for replica in replicas):
                    return
                await asyncio.sleep(0.05)

    def start_again(self):
        """After `kill`: on the same socket, with nothing in it."""
        self.start(self.command, self.ready)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.kill()
        self.folder.cleanup()


class Refused(Exception):
    """The tool's answer was an error."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]


def program(url, **settings):
    """The tool's command line and environment, in which every ROOMFUL_ variable is a setting to it."""
    set_to = {f"ROOMFUL_LAYER__{name.upper()}": str(value) for name, value in settings.items()}
    return [roomful(), "layer", "--layer", url], environment() | set_to


async def refusal(url):
    """How the tool ends that cannot start: its exit code and what it says."""
    command, variables = program(url)
    ended = await asyncio.to_thread(
        subprocess.run, command, env=variables, input="", capture_output=True, text=True
    )  # fmt: skip
    return ended.returncode, ended.stderr


class Rust:
    """`roomful layer` as a program, with the six coroutines of a channel layer."""

    @classmethod
    async def start(cls, url, **settings):
        command, variables = program(url, **settings)
        self = cls()
        self.process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=variables, limit=1 << 24
        )
        return self

    async def do(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        line = await asyncio.wait_for(self.process.stdout.readline(), DEADLINE + request.get("wait", 0))
        if not line:
            raise RuntimeError("`roomful layer` ended")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    async def new_channel(self):
        return await self.do(do="new_channel")

    async def send(self, channel, event):
        await self.do(do="send", channel=channel, event=to_json(event))

    async def receive(self, channel, wait=DEADLINE):
        event = from_json(await self.do(do="receive", channel=channel, wait=wait))
        if event is None:
            raise TimeoutError(f"nothing came on {channel}")
        return event

    async def group_add(self, group, channel):
        await self.do(do="group_add", group=group, channel=channel)

    async def group_discard(self, group, channel):
        await self.do(do="group_discard", group=group, channel=channel)

    async def group_send(self, group, event):
        return await self.do(do="group_send", group=group, event=to_json(event))

    async def flush(self):
        await self.do(do="flush")

    async def end(self):
        self.process.stdin.close()
        return await self.process.wait()


class Python:
    """A layer of `channels_redis`, which tells when its subscriptions have reached Redis."""

    def __init__(self, layer, servers):
        self.layer = layer
        self.servers = servers
        self.receive_from = layer.receive

    async def new_channel(self):
        channel = await self.layer.new_channel()
        await self.subscribed(channel)
        return channel

    async def group_add(self, group, channel):
        await self.layer.group_add(group, channel)
        await self.subscribed(f"asgi__group__{group}")

    async def receive(self, channel, wait=DEADLINE):
        return await asyncio.wait_for(self.layer.receive(channel), wait)

    def __getattr__(self, name):
        return getattr(self.layer, name)

    async def subscribed(self, name):
        """The pub/sub layer does not wait for Redis to confirm."""
        if isinstance(self.layer, RedisPubSubChannelLayer):
            async with asyncio.timeout(DEADLINE):
                while not await self.subscribers(name):
                    await asyncio.sleep(0.001)

    async def subscribers(self, name):
        counts = [await server.execute_command("PUBSUB", "NUMSUB", name) for server in self.servers]
        return sum(count for _, count in counts)


def to_json(value):
    """As the tool reads it."""
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    return value


def from_json(value):
    """As the tool writes it."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"__bytes__"}:
            return base64.b64decode(value["__bytes__"])
        return {name: from_json(item) for name, item in value.items()}
    return value


def typed(value):
    """The value with the type of all that is in it: to Python 1, 1.0 and True are equal."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    return type(value).__name__, value


class LayerTest(unittest.IsolatedAsyncioTestCase):
    """A test with Redis servers, which all tests of the class share, and sides that end with the test."""

    SERVERS = 3

    @classmethod
    def setUpClass(cls):
        cls.servers = []
        cls.addClassCleanup(lambda: [server.stop() for server in cls.servers])
        for _ in range(cls.SERVERS):
            cls.servers.append(RedisServer())

    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = 5
        self.clients = [redis.Redis(unix_socket_path=server.socket) for server in self.servers]
        for client in self.clients:
            self.addAsyncCleanup(client.aclose)
            await client.flushall()

    async def rust(self, dialect, shards=1, **settings):
        sockets = ",".join(server.socket for server in self.servers[:shards])
        rust = await Rust.start(f"{RUST[dialect]}://{sockets}", **settings)
        self.addAsyncCleanup(rust.end)
        return rust

    async def python(self, dialect, shards=1, **settings):
        hosts = [f"unix://{server.socket}" for server in self.servers[:shards]]
        layer = PYTHON[dialect](hosts=hosts, **settings)
        self.addAsyncCleanup(layer.flush)
        return Python(layer, self.clients[:shards])
