"""What tests of several folders use."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from palisade.decide.sink import UNBOUNDED


class Lines:
    """A sink of the decision log that takes all and keeps the entries."""

    undoes = True

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def room(self) -> int:
        return UNBOUNDED

    def tail(self, most: int) -> Iterator[bytes]:
        return iter(())

    def write(self, lines: bytes) -> None:
        self.entries += map(json.loads, lines.splitlines())

    def close(self) -> None:
        """Nothing is open."""


async def eventually(holds: Callable[[], object], seconds: float = 15.0) -> None:
    """Returns as soon as that holds, and fails the test where it does not in time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not holds():
        if clock() > deadline:
            pytest.fail("it never came to that")
        await asyncio.sleep(0.02)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
