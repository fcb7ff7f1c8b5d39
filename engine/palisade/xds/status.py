"""What the cache tells of its nodes: events as they happen, and the state now."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    CONNECTED = "connected"
    """The node's first stream opened."""
    DISCONNECTED = "disconnected"
    """The node's last stream ended."""
    ACCEPTED = "accepted"
    """The node runs the revision: it acknowledged every resource of it."""
    REJECTED = "rejected"
    """The node refused a resource of the revision; `detail` is what it said."""


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """Something that happened to a node. `revision`, `type_url` and `detail` may be empty."""

    node: str
    kind: EventKind
    revision: str = ""
    type_url: str = ""
    detail: str = ""


_MARK = re.compile(r"goo\.gle/debug\w+\s")
"""What protobuf writes before a message that it shows, so that nobody parses it: other letters each time."""


def in_one_line(detail: str) -> str:
    """A node's own words without line breaks, and without the marks of protobuf."""
    return " ".join(_MARK.sub(" ", detail).split())


Listener = Callable[[NodeEvent], None]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A revision that a node refused: the type of the response, the client's words, and when (UTC)."""

    revision: str
    type_url: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node as the cache sees it. Times are UTC; revisions are None where there is none.

    `running` is the last revision accepted in full, `offered` the one that was set last. They differ while
    an update is under way (`waiting_for` then has the type URLs that are not acknowledged yet) and when the
    offered one was refused (`rejection`).
    """

    node: str
    streams: int
    since: datetime
    """Since when the node is connected, or disconnected."""
    running: str | None
    running_since: datetime | None
    offered: str | None
    rejection: Rejection | None
    waiting_for: tuple[str, ...]

    @property
    def connected(self) -> bool:
        return self.streams > 0
