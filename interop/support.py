"""The server and the clients as programs, for the tests beside this file."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).parent
PYTHON = [sys.executable]
NODE = ["node"]


class Server:
    """The server built from this repository; `history` is where it keeps what is said, as `--history` takes it."""

    def __init__(self, history, *flags):
        self.command = [roomful(), "--history", history, *flags]
        # The system chooses the port, which a restart keeps.
        self.host = "127.0.0.1:0"
        self.start()

    def start(self):
        command = [*self.command, "--listen", self.host]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
        line = self.process.stdout.readline()
        url = re.search(r"http://([^/\s]+)", line)
        if not url:
            self.kill()
            raise RuntimeError(f"the server's first line names no URL: {line!r}")
        self.host = url[1]
        # Nobody reads on, and a full pipe would stop the server.
        threading.Thread(target=drain, args=[self.process.stdout], daemon=True).start()

    def kill(self):
        """As `kill -9` does it: no goodbye, nothing written that was not written before."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def socket(self, room):
        return f"ws://{self.host}/room/{quote(room)}/"

    def messages(self, room):
        return f"http://{self.host}/api/rooms/{quote(room)}/messages"

    def get(self, path):
        """What the API answers."""
        with urllib.request.urlopen(f"http://{self.host}/api/rooms/{path}", timeout=10) as response:
            return json.load(response)

    def log(self, room):
        """The room's whole log, as somebody who polls gets it."""
        events, page = [], True
        while page:
            after = events[-1]["seq"] if events else 0
            answer = self.get(f"{quote(room)}/events?after={after}&limit=100")
            if not answer["recovered"]:
                raise AssertionError(f"the log after {after} is not known: {answer}")
            page = answer["events"]
            events += page
        return events


def roomful():
    """The server's program."""
    if "ROOMFUL_BIN" not in os.environ:
        raise RuntimeError("ROOMFUL_BIN must name the server: `cargo xtask test --only interop` sets it")
    return os.environ["ROOMFUL_BIN"]


def installed(program, package):
    """Where a program is that the tests start."""
    path = shutil.which(program)
    if not path:
        raise RuntimeError(f"these tests start `{program}`, and there is none: install {package}")
    return path


def environment():
    """Ours without what the server would take for its settings: every ROOMFUL_ variable."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROOMFUL_")}


def drain(pipe):
    with pipe:
        pipe.read()


class Client:
    """One of our client programs: says the lines it is given, reports what happens to it."""

    def __init__(self, name, process, changed):
        self.name = name
        self.process = process
        self.reports = []
        # The number of each message that the server says is stored, by the client's id for it.
        self.acknowledged = {}
        # Notified at each report of any client of the test.
        self.changed = changed
        self.reading = asyncio.create_task(self.read())

    @classmethod
    async def start(cls, name, interpreter, program, *arguments, changed):
        command = [*interpreter, str(HERE / program), *arguments]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        return cls(name, process, changed)

    async def read(self):
        async for line in self.process.stdout:
            async with self.changed:
                self.take(json.loads(line))
                self.changed.notify_all()

    def take(self, report):
        self.reports.append(report)
        if report.get("type") == "chat.said":
            self.acknowledged[report["id"]] = report["seq"]
        elif report.get("status") in (200, 201):
            self.acknowledged[report["event"]["id"]] = report["event"]["seq"]

    async def say(self, *texts):
        self.process.stdin.write("".join(f"{text}\n" for text in texts).encode())
        await self.process.stdin.drain()

    async def until(self, condition, what, seconds=20):
        """Waits until `condition()` holds; `what` says what was waited for."""
        try:
            async with asyncio.timeout(seconds), self.changed:
                await self.changed.wait_for(condition)
        except TimeoutError:
            last = self.reports[-3:]
            raise AssertionError(f"{self.name}: {what}, not within {seconds} s; its last reports: {last}") from None

    def heard(self):
        """The texts of the messages heard so far."""
        return [text for report in self.reports if (text := text_of(report)) is not None]

    def numbers(self):
        """The numbers of the messages heard so far."""
        return [report["seq"] for report in self.reports if report.get("type") == "chat.message"]

    async def leave(self):
        """Ends the input and waits for the program's end."""
        self.process.stdin.close()
        await self.reading
        return await self.process.wait()

    async def end(self):
        """For after the test: whatever happened, the program is gone."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reading


def text_of(report):
    """What was said, in a report of either kind of WebSocket client."""
    return report["text"] if report.get("type") == "chat.message" else report.get("heard")


class ClientTest(unittest.IsolatedAsyncioTestCase):
    """A test with clients."""

    async def asyncSetUp(self):
        # asyncio reports each step that takes 0.1 s, which on a busy machine says nothing.
        asyncio.get_running_loop().slow_callback_duration = 5
        self.changed = asyncio.Condition()

    async def start(self, name, interpreter, program, *arguments):
        """Starts a client that is ended after the test."""
        client = await Client.start(name, interpreter, program, *arguments, changed=self.changed)
        self.addAsyncCleanup(client.end)
        return client


class ServerTest(ClientTest):
    """A test with a server of its own."""

    FLAGS = ()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = Server(f"sqlite:{Path(folder.name) / 'roomful.db'}", *self.FLAGS)
        self.addCleanup(self.server.kill)
