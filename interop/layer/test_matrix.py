"""Every dialect, serializer, encryption and number of shards, in both directions: what arrives is what was sent."""

import itertools
import unittest

from layer.sides import LayerTest, typed

VALUES = {
    "text": "大家好 <b>&\"\n\u0000 🎉 é",
    "empty": ["", [], {}],
    "none": None,
    "switches": [True, False],
    "integers": [0, 1, -1, -32, -33, 127, 128, 255, 256, 65535, 65536, 2**31, -(2**31) - 1, 2**53 + 1, 2**64 - 1, -(2**63)],
    "floats": [0.0, -0.0, 1.0, 0.1, -1.5e300, 5e-324, 1.7976931348623157e308],
    "nested": {"a": [{"b": {"c": [[], [None, {"d": "e"}]]}}], "": {"": 1}},
    "long": "x" * 70_000,
    "many": list(range(300)),
    "wide": {f"field {n}": n for n in range(20)},
}
BYTES = {"raw": b"\x00\xff\x80", "none": b"", "long": bytes(range(256)) * 2}
SECRETS = ["the first secret", "an older one"]


class Matrix(LayerTest):
    async def one(self, dialect, serializer, encrypted, shards):
        rust_settings, python_settings = {"serializer": serializer}, {"serializer_format": serializer}
        if encrypted:
            rust_settings["encryption_keys"] = ",".join(SECRETS)
            python_settings["symmetric_encryption_keys"] = list(SECRETS)
        rust = await self.rust(dialect, shards, **rust_settings)
        python = await self.python(dialect, shards, **python_settings)
        value = {**VALUES, "bytes": BYTES} if serializer == "msgpack" else VALUES
        # Enough names that every shard has some.
        for n in range(shards * 3):
            group = f"room-{n}"
            here, beside, there = await rust.new_channel(), await rust.new_channel(), await python.new_channel()
            for side, channel in [(rust, here), (rust, beside), (python, there)]:
                await side.group_add(group, channel)
            for sender in (rust, python):
                event = {"type": "test.values", "n": n, **value}
                await sender.group_send(group, event)
                for receiver, channel in [(rust, here), (rust, beside), (python, there)]:
                    self.assertEqual(typed(await receiver.receive(channel)), typed(event))
            for sender, receiver, channel in [(rust, python, there), (python, rust, here)]:
                event = {"type": "test.direct", "n": n, **value}
                await sender.send(channel, event)
                self.assertEqual(typed(await receiver.receive(channel)), typed(event))
            for side, channel in [(rust, here), (rust, beside), (python, there)]:
                await side.group_discard(group, channel)


def add(dialect, serializer, encrypted, shards):
    async def test(self):
        await self.one(dialect, serializer, encrypted, shards)

    name = f"test_{dialect}_{serializer}_{'encrypted' if encrypted else 'plain'}_on_{shards}"
    setattr(Matrix, name, test)


for combination in itertools.product(["core", "pubsub"], ["msgpack", "json"], [False, True], [1, 3]):
    add(*combination)


if __name__ == "__main__":
    unittest.main()
