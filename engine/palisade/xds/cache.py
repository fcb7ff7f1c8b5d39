"""The snapshots of all nodes, what each node has accepted, and the way back when it refuses one.

The cache knows resources and nodes, the server knows streams; between them stands `Watch`: the server opens
one for a stream, reads the offer from it, and reports what the client acknowledged or refused.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from palisade.xds.events import EventQueue
from palisade.xds.snapshot import Snapshot
from palisade.xds.status import EventKind, Listener, NodeEvent, NodeStatus, Rejection

log = logging.getLogger(__name__)

_REMEMBERED = 2
"""Accepted revisions that a node keeps: the running one, and one to go back to should it refuse that."""


@dataclass(frozen=True)
class Offer:
    """What a node's streams push at present. `version` is the version that responses carry.

    With `resend` nothing that was sent before counts as known: a client that refused a revision may have
    taken a part of it, so the way back sends everything.
    """

    snapshot: Snapshot
    version: str
    resend: bool = False


@dataclass(eq=False)
class Watch:
    """One stream's hold on its node's snapshots. Only the stream that opened it may use it."""

    node_id: str
    wake: Callable[[], None]
    _node: _Node = field(repr=False)
    _cache: SnapshotCache = field(repr=False)
    _accepted: Offer | None = None
    _waiting_for: tuple[str, ...] = ()

    @property
    def offer(self) -> Offer | None:
        """What to push now; None where there is nothing, or nothing that the node has not refused."""
        return self._node.offer

    def torn(self, type_url: str) -> Collection[str]:
        """The resources of a type in responses that the node did not accept, nor a revision since.

        A client that connects again is not to be believed about these: it may have taken a part of what
        it refused, and does not tell.
        """
        return self._node.torn.get(type_url, frozenset())

    def report(self, offer: Offer, waiting_for: tuple[str, ...]) -> None:
        """Tell by type URL what of an offer the client has not acknowledged; nothing: it accepted all."""
        self._waiting_for = waiting_for
        self._accepted = None if waiting_for else offer
        self._cache._settle(self._node)

    def rejected(self, offer: Offer, type_url: str, names: Collection[str], detail: str) -> None:
        """Tell that the client refused a response with resources of these names, in the client's words."""
        self.unanswered(type_url, names)
        self._cache._reject(self._node, offer, type_url, detail)

    def unanswered(self, type_url: str, names: Collection[str]) -> None:
        """Tell that nobody knows what the client has of these."""
        self._node.torn.setdefault(type_url, set()).update(names)

    def close(self) -> None:
        """End the stream's hold. Closing twice does nothing."""
        self._cache._close(self._node, self)


@dataclass(eq=False)
class _Node:
    node_id: str
    since: datetime
    offered: Snapshot | None = None
    offer: Offer | None = None
    accepted: list[Snapshot] = field(default_factory=list)
    accepted_at: datetime | None = None
    rejection: Rejection | None = None
    torn: dict[str, set[str]] = field(default_factory=dict)
    """What the node was sent and did not accept, by type: it may have any part of that."""
    watches: set[Watch] = field(default_factory=set)

    def status(self) -> NodeStatus:
        waiting = {url for watch in self.watches for url in watch._waiting_for}
        return NodeStatus(
            node=self.node_id,
            streams=len(self.watches),
            since=self.since,
            running=self.accepted[-1].version if self.accepted else None,
            running_since=self.accepted_at if self.accepted else None,
            offered=self.offered.version if self.offered else None,
            rejection=self.rejection,
            waiting_for=tuple(sorted(waiting)),
        )

    def push(self, offer: Offer | None) -> None:
        self.offer = offer
        for watch in tuple(self.watches):
            watch._accepted = None
            watch.wake()


class SnapshotCache:
    """The snapshots to serve, by node. Every method belongs to the event loop that serves the streams."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._listeners: list[Listener] = []
        self._rollbacks = 0

    async def set_snapshot(self, node_id: str, snapshot: Snapshot) -> None:
        """Offer a node a snapshot: its streams push it, now or when they connect.

        The version that the node refused last is not pushed again, until another one was set in between.
        """
        node = self._node(node_id)
        node.offered = snapshot
        if node.rejection is not None:
            if node.rejection.revision == snapshot.version:
                return
            node.rejection = None
        if node.offer is None or node.offer.snapshot.version != snapshot.version:
            node.push(Offer(snapshot, snapshot.version))

    async def clear(self, node_id: str) -> None:
        """Forget a node's snapshots, also the accepted ones. Connected clients keep what they have."""
        node = self._nodes.get(node_id)
        if node is None:
            return
        node.offered = node.rejection = node.accepted_at = None
        node.accepted.clear()
        node.torn.clear()
        node.push(None)
        self._forget_if_idle(node)

    def snapshot(self, node_id: str) -> Snapshot | None:
        """The snapshot that was set last for a node, whatever the node makes of it."""
        node = self._nodes.get(node_id)
        return node.offered if node else None

    def status(self) -> Mapping[str, NodeStatus]:
        """Every node that has a snapshot or a stream, by its id."""
        return MappingProxyType({name: node.status() for name, node in sorted(self._nodes.items())})

    def add_listener(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` at every event, in the event loop. Returns what removes it again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def events(self, *, size: int = 1024) -> AsyncIterator[NodeEvent]:
        """The events from now on. Whoever falls more than `size` behind loses the oldest, which is logged."""
        return EventQueue(self.add_listener, size)

    def open(self, node_id: str, wake: Callable[[], None]) -> Watch:
        """A watch for a new stream of a node. `wake` is called when the offer changes; it must not block."""
        node = self._node(node_id)
        watch = Watch(node_id, wake, node, self)
        node.watches.add(watch)
        if len(node.watches) == 1:
            node.since = _now()
            self._emit(NodeEvent(node_id, EventKind.CONNECTED))
        return watch

    def streams(self, node_id: str) -> int:
        """How many streams a node has open."""
        node = self._nodes.get(node_id)
        return len(node.watches) if node else 0

    def _node(self, node_id: str) -> _Node:
        return self._nodes.setdefault(node_id, _Node(node_id, _now()))

    def _close(self, node: _Node, watch: Watch) -> None:
        if watch not in node.watches:
            return
        node.watches.remove(watch)
        if node.watches:
            self._settle(node)
            return
        node.since = _now()
        self._emit(NodeEvent(node.node_id, EventKind.DISCONNECTED))
        self._forget_if_idle(node)

    def _forget_if_idle(self, node: _Node) -> None:
        """A node without a snapshot and without a stream is none: ids that come and go must not add up."""
        if node.offered is None and not node.watches:
            self._nodes.pop(node.node_id, None)

    def _settle(self, node: _Node) -> None:
        """Count the offer as accepted once every stream of the node has accepted it."""
        offer = node.offer
        if offer is None or any(watch._accepted is not offer for watch in node.watches):
            return
        snapshot = offer.snapshot
        node.torn.clear()
        if node.accepted and node.accepted[-1].version == snapshot.version:
            return
        node.accepted = [each for each in node.accepted if each.version != snapshot.version]
        node.accepted = [*node.accepted, snapshot][-_REMEMBERED:]
        node.accepted_at = _now()
        self._emit(NodeEvent(node.node_id, EventKind.ACCEPTED, snapshot.version))

    def _reject(self, node: _Node, offer: Offer, type_url: str, detail: str) -> None:
        """Go back to the last accepted revision. Each refusal takes one revision away, so this ends."""
        revision = offer.snapshot.version
        self._emit(NodeEvent(node.node_id, EventKind.REJECTED, revision, type_url, detail))
        if offer is not node.offer:
            return  # refused late: another offer has taken its place already
        if node.rejection is None:
            node.rejection = Rejection(revision, type_url, detail, _now())
        node.accepted = [each for each in node.accepted if each.version != revision]
        if not node.accepted:
            log.warning("node %s refused revision %s and has accepted none before it", node.node_id, revision)
            node.push(None)
            return
        back = node.accepted[-1]
        self._rollbacks += 1
        node.push(Offer(back, f"{back.version}-rollback-{self._rollbacks}", resend=True))

    def _emit(self, event: NodeEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                log.exception("a listener for node events failed on %s", event)


def _now() -> datetime:
    return datetime.now(UTC)
