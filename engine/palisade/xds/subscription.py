"""What one client wants of one resource type, what it has, and what it is still to be sent.

Both forms of the protocol keep this same state; they differ in how requests change it and in how
an update is written (`encoding`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from palisade.xds.resources import FULL_STATE_TYPES
from palisade.xds.snapshot import Resource

WILDCARD: Final = "*"

_UNSURE: Final = "?"
"""The version of a resource that the client may or may not have: it is sent again, or removed again."""

_ABSENT: Final = ""
"""The version of a resource that the client was told does not exist."""


@dataclass(frozen=True, slots=True)
class Known:
    """The client's copy of a resource: its version, and the resource where it is known to have been good."""

    version: str
    resource: Resource | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The content of one response: resources to add or replace, and names to remove."""

    resources: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that the update is about."""
        return (*(each.name for each in self.resources), *self.removed)


@dataclass(eq=False)
class Subscription:
    """The state of one type on one stream.

    `incremental` tells the form of the protocol. `names` and `wildcard` are what the client asked for,
    `known` is what it has acknowledged.
    """

    type_url: str
    incremental: bool
    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    known: dict[str, Known] = field(default_factory=dict)
    asked: bool = False
    """The client waits for an answer: something was requested since the last update."""
    explicit: bool = False
    """The client has named something once; from then on an empty list means nothing, not everything."""
    started: bool = False
    """At least one request has arrived."""
    in_flight: Update | None = None
    """The update that the client has not answered yet."""
    unsettled: set[str] = field(default_factory=set)
    """Names asked for again since the update in flight was sent: its answer does not settle them."""

    @property
    def full_state(self) -> bool:
        """Whether every update must carry all resources of the type."""
        return not self.incremental and self.type_url in FULL_STATE_TYPES

    @property
    def active(self) -> bool:
        return self.wildcard or bool(self.names)

    def covers(self, name: str) -> bool:
        """Whether the client wants the resource of this name."""
        return self.wildcard or name in self.names

    def wanted(self, resources: Mapping[str, Resource]) -> Mapping[str, Resource]:
        """The resources of a snapshot that the client wants."""
        if self.wildcard:
            return resources
        return {name: resources[name] for name in sorted(self.names) if name in resources}

    def start(self) -> None:
        """Take the first request of the type on this stream: one that names nothing means everything.

        That is so for listeners and clusters only:
        https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return
        """
        self.started = True
        if not self.explicit and self.type_url in FULL_STATE_TYPES:
            self.wildcard = self.asked = True

    def replace_names(self, names: Collection[str]) -> None:
        """Subscribe to these names and no others: the state of the world."""
        if not names and not self.explicit:
            return
        self.explicit = True
        wanted = set(names) - {WILDCARD}
        wildcard = WILDCARD in names
        added = wanted - self.names
        self.asked = self.asked or bool(added) or (wildcard and not self.wildcard)
        self.names, self.wildcard = wanted, wildcard
        self._drop_unwanted()
        for name in added:
            self.known.pop(name, None)

    def subscribe(self, names: Iterable[str]) -> None:
        """Add names. One that is subscribed already is sent again: the client may have forgotten it."""
        for name in names:
            self.explicit = self.asked = True
            if name == WILDCARD:
                self.wildcard = True
            else:
                self.names.add(name)
                self.known.pop(name, None)
                self.unsettled.add(name)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Take names away. What the wildcard still covers is told again: the client cannot know."""
        for name in names:
            if name == WILDCARD:
                self.wildcard = False
            elif name in self.names:
                self.names.discard(name)
                if self.wildcard:
                    self.known[name] = Known(_UNSURE)
                    self.asked = True
        self._drop_unwanted()

    def has(self, versions: Mapping[str, str]) -> None:
        """Believe a client that connects again about what it has."""
        self.known |= {name: Known(version) for name, version in versions.items() if self.covers(name)}
        if versions and self.wildcard:
            self.asked = False  # it had an answer to the wildcard; only a difference is news

    def doubt(self, names: Iterable[str] | None = None) -> None:
        """Send these names again (all, without names) although the client seems to have them."""
        if names is None:
            sent = self.in_flight.resources if self.in_flight else ()
            names = {*self.known, *(each.name for each in sent)}
        for name in names:
            self.unsettled.add(name)
            if name in self.known:
                self.known[name] = Known(_UNSURE, self.known[name].resource)

    def may_have(self, names: Iterable[str]) -> None:
        """Note that the client may have any version of these, or none: send or remove them."""
        for name in names:
            if self.covers(name):
                self.known[name] = Known(_UNSURE)

    def sent(self, update: Update) -> None:
        """Note that an update is on its way; the client answers one at a time."""
        self.in_flight = update
        self.asked = False
        self.unsettled.clear()

    def acknowledged(self) -> None:
        """Note that the client has what was in flight, but for names that it has let go of meanwhile."""
        update, self.in_flight = self.in_flight, None
        if update is None:
            return
        if self.full_state:
            self.known = {}
        for name in update.removed:
            self.known.pop(name, None)
            if name in self.names:
                self.known[name] = Known(_ABSENT)
        for each in update.resources:
            self.known[each.name] = Known(each.version, each)
        for name in self.unsettled & self.known.keys():
            self.known[name] = Known(_UNSURE, self.known[name].resource)
        self._drop_unwanted()

    def refused(self) -> None:
        """Note that the client may have taken any part of what was in flight: Envoy keeps what was good."""
        update, self.in_flight = self.in_flight, None
        if update is None:
            return
        self.may_have(update.names)

    def due(self, resources: Mapping[str, Resource], *, remove: bool) -> Update | None:
        """What the client is to be sent so that it has what it wants of `resources`; None where it has that.

        Without `remove`, what the client has and the snapshot lacks stays for now.
        """
        wanted = self.wanted(resources)
        if self.full_state:
            return self._due_full(wanted, remove=remove)
        changed = self._changed(wanted)
        if not self.incremental:
            return Update(changed) if changed else None
        removed = tuple(sorted(self._gone(wanted, remove=remove)))
        if changed or removed or (self.asked and self.wildcard):
            return Update(changed, removed)
        return None

    def _due_full(self, wanted: Mapping[str, Resource], *, remove: bool) -> Update | None:
        target = dict(wanted)
        if not remove:
            kept = {name: known.resource for name, known in self.known.items() if known.resource is not None}
            target = {**kept, **wanted}
        vanishes = remove and not self.known.keys() <= target.keys()
        if self.asked or vanishes or self._changed(target):
            return Update(tuple(target.values()))
        return None

    def _changed(self, wanted: Mapping[str, Resource]) -> tuple[Resource, ...]:
        return tuple(each for name, each in wanted.items() if self._version(name) != each.version)

    def _gone(self, wanted: Mapping[str, Resource], *, remove: bool) -> Iterable[str]:
        for name in self.known.keys() | self.names:
            if name in wanted or self._version(name) == _ABSENT:
                continue
            if remove or name not in self.known:
                yield name

    def has_version(self, resource: Resource) -> bool:
        """Whether the client has acknowledged exactly this."""
        return self._version(resource.name) == resource.version

    def _version(self, name: str) -> str | None:
        known = self.known.get(name)
        return known.version if known else None

    def _drop_unwanted(self) -> None:
        if not self.wildcard:
            self.known = {name: known for name, known in self.known.items() if name in self.names}
