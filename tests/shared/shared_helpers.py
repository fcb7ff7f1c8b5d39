"""What tests of several folders use."""

from __future__ import annotations

import json
import socket
from typing import Any

from palisade.decide.sink import UNBOUNDED


class Lines:
    """A sink of the decision log that takes all and keeps the entries."""

    undoes = True

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def room(self) -> int:
        return UNBOUNDED

    def write(self, lines: bytes) -> None:
        self.entries += map(json.loads, lines.splitlines())

    def close(self) -> None:
        """Nothing is open."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
