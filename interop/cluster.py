"""Several programs behind one room: two nodes of Roomful on one PostgreSQL, a Django site, and the Redis between them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from layer.sides import PYTHON as PYTHON_LAYERS
from layer.sides import RedisServer
from support import HERE, PYTHON, ClientTest, Server, drain, environment, installed

SITE = HERE / "django"
# Of a node that ended without a word, members are gone after this time.
LEASE_SECONDS = 2
CONFIG = f'presence_lease = "{LEASE_SECONDS}s"\nlog = "warn"\n'


class Postgres:
    """A PostgreSQL on a Unix socket in a folder of its own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        if os.geteuid() == 0:
            shutil.chown(self.folder.name, "postgres")
        self.databases = 0
        data = f"{self.folder.name}/data"
        run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", data)
        settings = ["listen_addresses=", "fsync=off", "max_connections=50", "shared_buffers=16MB"]
        command = program("postgres", "-D", data, "-k", self.folder.name)
        command += [word for setting in settings for word in ("-c", setting)]
        self.process = subprocess.Popen(command, cwd="/", stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "ready to accept connections" in line:
                # Nobody reads on, and a full pipe would stop it.
                threading.Thread(target=drain, args=[self.process.stderr], daemon=True).start()
                return
        raise RuntimeError("PostgreSQL ended before it was ready")

    def database(self):
        """The URL of a new database."""
        self.databases += 1
        name = f"rooms{self.databases}"
        run("createdb", "--host", self.folder.name, "--username=postgres", "--template=template0", name)
        return f"postgres:///{name}?host={self.folder.name}&user=postgres"

    def stop(self):
        # "Immediate" in PostgreSQL's words; its children end with it.
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        self.folder.cleanup()


def program(name, *arguments):
    """One of PostgreSQL's programs, which do not run as root; Debian keeps them beside `PATH`."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    path = versions[-1] if versions else installed(name, "PostgreSQL")
    to_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    return [*(to_postgres if os.geteuid() == 0 else []), str(path), *arguments]


def run(name, *arguments):
    ended = subprocess.run(program(name, *arguments), cwd="/", capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{name}: {ended.stderr}")


class Site:
    """The Django site in this folder, served by Daphne, with its groups in a Redis."""

    def __init__(self, redis, dialect="core"):
        layer = PYTHON_LAYERS[dialect]
        self.environment = environment() | {
            "REDIS_URL": f"unix://{redis.socket}",
            "CHANNEL_LAYER": f"{layer.__module__}.{layer.__qualname__}",
            "PYTHONUNBUFFERED": "1",
        }
        command = [*PYTHON, "-m", "daphne", "-b", "127.0.0.1", "-p", "0", "lesson.asgi:application"]
        self.process = subprocess.Popen(
            command, cwd=SITE, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        said = ""
        for line in self.process.stderr:
            said += line
            if listening := re.search(r"Listening on TCP address (\S+)", line):
                self.host = listening[1]
                threading.Thread(target=self.pass_on, daemon=True).start()
                return
        raise RuntimeError(f"daphne ended before it listened:\n{said}")

    def pass_on(self):
        """What went wrong is for whoever reads the test's output; what is usual is not."""
        with self.process.stderr:
            for line in self.process.stderr:
                if " - - [" not in line and " INFO " not in line:
                    sys.stderr.write(line)

    def socket(self, room):
        return f"ws://{self.host}/room/{room}/"

    def say(self, room, text, *flags):
        """`manage.py say`."""
        command = [*PYTHON, "manage.py", "say", room, text, *flags]
        subprocess.run(command, cwd=SITE, env=self.environment, check=True)

    def kill(self):
        self.process.kill()
        self.process.wait()


class ClusterTest(ClientTest):
    """A test with two nodes; they keep one history and hear each other over one Redis."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()
        cls.addClassCleanup(cls.postgres.stop)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.config = self.folder / "roomful.toml"
        self.config.write_text(CONFIG)
        self.redis = RedisServer()
        self.addCleanup(self.redis.stop)
        self.layer = f"redis+unix://{self.redis.socket}"
        history = self.postgres.database()
        self.nodes = [self.node(history) for _ in range(2)]

    def node(self, history):
        node = Server(history, "--layer", self.layer, "--config", str(self.config), "--no-rate-limits")
        self.addCleanup(node.kill)
        return node

    def site(self):
        site = Site(self.redis)
        self.addCleanup(site.kill)
        return site

    async def member(self, node, name, room="123"):
        """Somebody who speaks `roomful.v1` and has been welcomed."""
        client = await self.start(name, PYTHON, "python/v1_client.py", node.socket(room), name)
        await client.until(lambda: client.reports, "is welcomed")
        return client

    async def plain_member(self, server, name, room="123"):
        """Somebody who speaks plain text, and is certainly there: they have heard themselves."""
        client = await self.start(name, PYTHON, "python/plain_client.py", server.socket(room))
        await client.say(f"{name} is here")
        await client.until(lambda: f"{name} is here" in client.heard(), "hears itself")
        return client
