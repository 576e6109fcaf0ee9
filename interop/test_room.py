"""Clients of other makes in one room: Python and Node.js, plain text and `roomful.v1`, and curl."""

import asyncio
import unittest

from support import NODE, PYTHON, ServerTest

KINDS = {
    "plain Python": (PYTHON, "python/plain_client.py"),
    "plain Node": (NODE, "node/plain_client.mjs"),
    "v1 Python": (PYTHON, "python/v1_client.py"),
    "v1 Node": (NODE, "node/v1_client.mjs"),
}
EACH = 10


async def curl(url, text):
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "-d", text, url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"`{' '.join(command)}` was answered with {answer.decode()}")


class OneRoom(ServerTest):
    async def join(self, kind):
        """A client that is certainly in the room: it has heard itself."""
        interpreter, program = KINDS[kind]
        client = await self.start(kind, interpreter, program, self.server.socket("123"))
        hello = f"{kind} is here"
        await client.say(hello)
        await client.until(lambda: hello in client.heard(), "hears itself")
        return client

    async def test_everybody_hears_everything_once_and_in_the_same_order(self):
        clients = [await self.join(kind) for kind in KINDS]
        texts = {kind: [f"{kind} {n}: 你好，世界 🎉 <b>&amp;</b>" for n in range(EACH)] for kind in [*KINDS, "curl"]}

        async def say_with_curl():
            for text in texts["curl"]:
                await curl(self.server.messages("123"), text)

        await asyncio.gather(say_with_curl(), *(client.say(*texts[client.name]) for client in clients))
        expected = sorted(text for said in texts.values() for text in said)
        for client in clients:
            await client.until(lambda: set(expected) <= set(client.heard()), "hears everything")
        # Whatever might come twice has come when this has.
        await curl(self.server.messages("123"), "that was all")
        for client in clients:
            await client.until(lambda: "that was all" in client.heard(), "hears the end")

        heard = {client.name: [text for text in client.heard() if text in expected] for client in clients}
        for kind, sequence in heard.items():
            self.assertEqual(sorted(sequence), expected, f"{kind} hears everything once")
            self.assertEqual(sequence, heard["plain Python"], f"{kind} hears it in the others' order")
            for speaker, said in texts.items():
                own = [text for text in sequence if text in said]
                self.assertEqual(own, said, f"{kind} hears {speaker} in the order of speaking")
        log = await asyncio.to_thread(self.server.log, "123")
        logged = [event["text"] for event in log]
        self.assertEqual([text for text in logged if text in expected], heard["plain Python"])
        for client in clients:
            self.assertEqual(await client.leave(), 0, f"{client.name} leaves without an error")


if __name__ == "__main__":
    unittest.main()
