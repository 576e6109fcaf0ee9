"""Lines in, JSON lines out: how the clients of these tests speak with whoever started them."""

import asyncio
import json
import sys


async def read_lines():
    """Yields the lines of standard input, as they come."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line.rstrip("\n")


def report(what):
    """Prints one thing that happened."""
    print(json.dumps(what, ensure_ascii=False), flush=True)
