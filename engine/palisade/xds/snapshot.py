"""One consistent set of resources for one node, immutable, and able to check itself."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from types import MappingProxyType

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from palisade.xds.references import Reference, references
from palisade.xds.resources import (
    CLUSTER,
    RESOURCE_TYPES,
    SECRET,
    TYPE_URL_PREFIX,
    resource_name,
    short_name,
    type_url,
)


class SnapshotError(ValueError):
    """A snapshot that no client could use: every reason, one a line, also in `problems`."""

    def __init__(self, version: str, problems: Iterable[str]) -> None:
        self.version = version
        self.problems = tuple(problems)
        super().__init__("\n".join([f"snapshot {version} is not consistent:", *self.problems]))


@dataclass(frozen=True)
class Resource:
    """A resource as it travels: packed once, whoever asks.

    `version` is a hash of the content, so it changes exactly when the content does.
    """

    type_url: str
    name: str
    version: str
    body: AnyMessage = field(repr=False, compare=False)
    source: Message = field(repr=False, compare=False)

    @cached_property
    def references(self) -> frozenset[Reference]:
        return references(self.source)


@dataclass(frozen=True)
class Snapshot:
    """Resources by type URL and name under one version: the revision that they come from.

    `version` names the content: two snapshots of one version are taken for the same. The messages are
    packed when the snapshot is made; a change of one afterwards changes nothing here. What has the content
    that it has in the `previous` one is taken from there, packed and hashed. What is, as an object, among the
    `resources` of that one is not even looked at: nobody changes what a snapshot has.
    """

    version: str
    resources: Mapping[str, Mapping[str, Message]] = field(repr=False)
    previous: InitVar[Snapshot | None] = None
    _packed: Mapping[str, Mapping[str, Resource]] = field(init=False, repr=False, compare=False)

    def __post_init__(self, previous: Snapshot | None) -> None:
        if not self.version:
            raise ValueError("a snapshot needs a version that is not empty")
        packed: dict[str, Mapping[str, Resource]] = {}
        for url, named in self.resources.items():
            known = previous.packed(url) if previous is not None else _NONE
            found = {name: _pack(url, name, message, known.get(name)) for name, message in named.items()}
            packed[url] = MappingProxyType(found)
        copies = {
            url: MappingProxyType({name: each.source for name, each in named.items()})
            for url, named in packed.items()
        }
        object.__setattr__(self, "resources", MappingProxyType(copies))
        object.__setattr__(self, "_packed", MappingProxyType(packed))

    @classmethod
    def of(cls, version: str, messages: Iterable[Message], previous: Snapshot | None = None) -> Snapshot:
        """A snapshot of messages under their own types and names.

        Raises ValueError where a message is no resource, or two of one type share a name.
        """
        resources: dict[str, dict[str, Message]] = {}
        for message in messages:
            named = resources.setdefault(type_url(message), {})
            name = resource_name(message)
            if name in named:
                raise ValueError(f"two {short_name(type_url(message))} resources are named {name!r}")
            named[name] = message
        return cls(version, resources, previous)

    def packed(self, url: str) -> Mapping[str, Resource]:
        """The resources of a type by name; empty where there are none."""
        return self._packed.get(url, _NONE)

    @property
    def type_urls(self) -> frozenset[str]:
        """The types of which the snapshot has at least one resource."""
        return frozenset(url for url, named in self._packed.items() if named)

    def check(self, *, static_clusters: Collection[str] = (), static_secrets: Collection[str] = ()) -> None:
        """Raise SnapshotError where a name is wrong or a reference leads nowhere; every one is named.

        `static_clusters` and `static_secrets` are those of the client's bootstrap.
        """
        outside = {CLUSTER: frozenset(static_clusters), SECRET: frozenset(static_secrets)}
        problems = [
            problem
            for url, named in sorted(self._packed.items())
            for resource in named.values()
            for problem in (*_misnamed(url, resource), *self._dangling(resource, outside))
        ]
        if problems:
            raise SnapshotError(self.version, problems)

    def _dangling(self, resource: Resource, outside: Mapping[str, Collection[str]]) -> Iterable[str]:
        for reference in sorted(resource.references):
            if reference.name in self.packed(reference.type_url):
                continue
            if reference.name in outside.get(reference.type_url, ()):
                continue
            yield (
                f"{short_name(resource.type_url)} {resource.name!r} refers to "
                f"{short_name(reference.type_url)} {reference.name!r}, which the snapshot does not have"
            )


_NONE: Mapping[str, Resource] = MappingProxyType({})


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _pack(url: str, name: str, message: Message, known: Resource | None) -> Resource:
    if known is not None and known.source is message:
        return known
    body = message.SerializeToString(deterministic=True)
    if known is not None and known.body.type_url == type_url(message) and known.body.value == body:
        return known
    version = hashlib.sha256(body).hexdigest()[:16]
    return Resource(url, name, version, AnyMessage(type_url=type_url(message), value=body), _copy(message))


def _misnamed(url: str, resource: Resource) -> Iterable[str]:
    kind = short_name(url)
    if url not in RESOURCE_TYPES:
        yield f"{url} is not an xDS resource type (a type URL starts with {TYPE_URL_PREFIX})"
    elif type_url(resource.source) != url:
        yield f"{kind} {resource.name!r} holds a {short_name(type_url(resource.source))}"
    elif resource_name(resource.source) != resource.name:
        yield f"{kind} {resource.name!r} is named {resource_name(resource.source)!r} in the resource itself"
    if not resource.name:
        yield f"a {kind} has no name"
