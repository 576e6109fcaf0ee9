"""Where Redis is and who may come in: passwords and databases, TLS, and a master that Sentinel finds and replaces."""

import asyncio
import os
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from urllib.parse import quote

from channels_redis.core import RedisChannelLayer

from layer.sides import Refused, RedisServer, Rust, refusal

PASSWORD = "s3cret/,@:?%ä"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Places(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().slow_callback_duration = 5

    def server(self, *arguments):
        server = RedisServer(*arguments)
        self.addCleanup(server.stop)
        return server

    async def rust(self, url):
        rust = await Rust.start(url)
        self.addAsyncCleanup(rust.end)
        return rust

    async def exchange(self, rust, python):
        here, there = await rust.new_channel(), await python.new_channel()
        for side, channel in [(rust, here), (python, there)]:
            await side.group_add("room", channel)
        for sender in (rust, python):
            await sender.group_send("room", {"type": "test.hello"})
            self.assertEqual(await rust.receive(here), {"type": "test.hello"})
            self.assertEqual(await asyncio.wait_for(python.receive(there), 10), {"type": "test.hello"})

    async def test_a_password_and_a_database(self):
        server = self.server("--requirepass", PASSWORD)
        password = quote(PASSWORD, safe="")
        rust = await self.rust(f"redis+unix://{server.socket}?db=3&password={password}")
        python = RedisChannelLayer(hosts=[f"unix://{server.socket}?db=3&password={password}"])
        self.addAsyncCleanup(python.flush)
        await self.exchange(rust, python)

    async def test_a_wrong_password_is_told_and_not_shown(self):
        server = self.server("--requirepass", PASSWORD)
        code, said = await refusal(f"redis+unix://{server.socket}?password=wr0ng")
        self.assertEqual(code, 1)
        self.assertIn("authentication failed", said)
        self.assertIn("password=***", said)
        self.assertNotIn("wr0ng", said)

    async def test_tls(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl(path, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test", "-days", "2")
        openssl(path, "req", *key, "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=redis")
        (path / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(
            path, "x509", "-req", "-in", "redis.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "redis.crt", "-days", "2", "-extfile", "extensions",
        )  # fmt: skip
        port = free_port()
        files = ["--tls-cert-file", path / "redis.crt", "--tls-key-file", path / "redis.key"]
        files += ["--tls-ca-cert-file", path / "ca.crt", "--tls-auth-clients", "no"]
        self.server("--tls-port", str(port), *map(str, files))
        url = f"rediss://127.0.0.1:{port}"

        # Nobody whom this machine trusts has signed it.
        code, said = await refusal(url)
        self.assertEqual(code, 1, said)
        self.assertIn("certificate", said)

        os.environ["SSL_CERT_FILE"] = str(path / "ca.crt")
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        rust = await self.rust(url)
        python = RedisChannelLayer(hosts=[f"{url}?ssl_ca_certs={path / 'ca.crt'}"])
        self.addAsyncCleanup(python.flush)
        await self.exchange(rust, python)

    async def test_a_master_that_sentinel_finds_and_replaces(self):
        ports = [free_port(), free_port()]
        master = self.server("--port", str(ports[0]))
        self.server("--port", str(ports[1]), "--replicaof", "127.0.0.1", str(ports[0]), "--repl-diskless-sync-delay", "0")
        sentinel_port = free_port()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        configuration = Path(folder.name) / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor chat 127.0.0.1 {ports[0]} 1\n"
            "sentinel down-after-milliseconds chat 500\nsentinel failover-timeout chat 5000\n"
        )
        sentinel = RedisServer.sentinel(configuration, sentinel_port)
        self.addCleanup(sentinel.stop)
        rust = await self.rust(f"redis+sentinel://127.0.0.1:{sentinel_port}/chat")
        host = {"sentinels": [("127.0.0.1", sentinel_port)], "master_name": "chat"}
        python = RedisChannelLayer(hosts=[host])
        await self.exchange(rust, python)
        await python.flush()
        await sentinel.knows_replica(sentinel_port)

        master.process.kill()

        async with asyncio.timeout(60):
            while True:
                try:
                    await self.exchange(rust, await self.rust(f"redis+sentinel://127.0.0.1:{sentinel_port}/chat"))
                    break
                except (Refused, RuntimeError, TimeoutError):
                    await asyncio.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
