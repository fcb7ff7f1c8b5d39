"""How large a sidecar's configuration is: bytes for each filter slot, and what the native one has to match.

The time that a request takes grows with the number of matchers on its way, which `depth` bounds, not with
their number: maps are looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import ExecuteFilterAction
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from google.protobuf.any_pb2 import Any as Any_
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.xds import Snapshot

_CEL = "palisade.cel"


@dataclass(frozen=True, slots=True)
class MatcherSize:
    """What a matcher is made of."""

    nodes: int = 0
    """Lists and maps, one below the other."""
    maps: int = 0
    entries: int = 0
    """Values that the maps hold."""
    comparisons: int = 0
    """Single tests, those in CEL among them."""
    expressions: int = 0
    """Tests in CEL."""
    depth: int = 0
    """The most nodes that stand below each other."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """`slots` are bytes by the name of the slot, in protobuf's encoding; `matcher` is of all that decides
    natively."""

    slots: dict[str, int]
    matcher: MatcherSize

    @property
    def total(self) -> int:
        return sum(self.slots.values())


def sizes(snapshot: Snapshot) -> Sizes:
    """The sizes of what a sidecar gets."""
    slots: dict[str, int] = {}
    counting = _Counting()
    for named in snapshot.resources.values():
        for name, resource in named.items():
            slots[name] = resource.ByteSize()
            if isinstance(resource, TypedExtensionConfig):
                for matcher in _deciding(resource.typed_config):
                    counting.add(matcher)
    return Sizes(slots, counting.size)


def _deciding(config: Any_) -> Iterator[Matcher]:
    """The matchers that decide: of a filter, or of those that one picks from, as where bodies are read."""
    rbac, picking = RBAC(), ExtensionWithMatcher()
    if config.Unpack(rbac):
        if rbac.HasField("matcher"):
            yield rbac.matcher
    elif config.Unpack(picking):
        for each in picking.xds_matcher.matcher_list.matchers:
            action = ExecuteFilterAction()
            if each.on_match.action.typed_config.Unpack(action):
                yield from _deciding(action.typed_config.typed_config)


class _Counting:
    """Walks a matcher without recursion: one can be deep."""

    def __init__(self) -> None:
        self.nodes = self.maps = self.entries = self.comparisons = self.expressions = self.depth = 0

    def add(self, matcher: Matcher) -> None:
        """Counts one more matcher."""
        stack = [(matcher, 1)]
        while stack:
            node, depth = stack.pop()
            self.nodes += 1
            self.depth = max(self.depth, depth)
            below = [node.on_no_match]
            if node.HasField("matcher_tree"):
                tree = node.matcher_tree
                table = tree.exact_match_map.map or tree.prefix_match_map.map
                self.maps += 1
                self.entries += len(table)
                below.extend(table.values())
            for each in node.matcher_list.matchers:
                self._predicate(each.predicate)
                below.append(each.on_match)
            stack.extend((each.matcher, depth + 1) for each in below if each.HasField("matcher"))

    @property
    def size(self) -> MatcherSize:
        """What all matchers so far are made of."""
        return MatcherSize(
            self.nodes, self.maps, self.entries, self.comparisons, self.expressions, self.depth
        )

    def _predicate(self, predicate: Matcher.MatcherList.Predicate) -> None:
        stack = [predicate]
        while stack:
            each = stack.pop()
            kind = each.WhichOneof("match_type")
            if kind == "single_predicate":
                self.comparisons += 1
                self.expressions += each.single_predicate.custom_match.name == _CEL
            elif kind == "not_matcher":
                stack.append(each.not_matcher)
            elif kind is not None:
                stack.extend(getattr(each, kind).predicate)
