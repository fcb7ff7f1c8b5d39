"""A large decision in parts, so that one changed rule has Envoy read a part of it again, not all of it.

Envoy takes 20 us to read a rule. So the rules of a large decision are dealt out, by the hash of a text that
nearly all of them compare with constants, to filters that Envoy takes one by one: `palisade.native.0` and so
on. Each holds all the rules that a request can meet whose text has that hash, those that do not compare it
too, and so decides alone. `palisade.native` itself is then a composite filter that only picks the part.

Filters change one after the other. A request is decided by one part, so by one revision, where only parts
change; where the way in which rules are dealt out changes, requests between the two are for the engine: the
composite and the parts ask first whether the attributes are of the same layout. See
docs/decisions/parts-of-a-decision.md.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from envoy.config.core.v3.config_source_pb2 import ApiVersion, ConfigSource, ExtensionConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RULES
from envoy.config.rbac.v3.rbac_pb2 import Action
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import Composite, ExecuteFilterAction
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.matching.input_matchers.consistent_hashing.v3.consistent_hashing_pb2 import (
    ConsistentHashing,
)
from google.protobuf.duration_pb2 import Duration
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.dealing import PARTS, Dealt, deal, deal_by
from palisade.enforce.envoy.ends import PART, RESIDUAL
from palisade.enforce.envoy.predicate import (
    Predicate,
    Text,
    any_of,
    custom_check,
    negate,
    one_of,
    to_proto,
    typed,
)
from palisade.enforce.envoy.sources import state_text
from palisade.enforce.envoy.tree import Entry, Tree, Verdict, build

LAYOUT_STATE = "palisade.layout"
"""The filter state that names the layout for which the attributes were laid down."""


def name_of(part: int) -> str:
    """The name of the filter of a part."""
    return f"palisade.native.{part}"


def told_name_of(part: int) -> str:
    """The name of the filter of a part that decides where the body was read."""
    return f"palisade.told.{part}"


@dataclass(frozen=True, slots=True)
class Parts:
    """A decision in parts: the filters that Envoy gets of it, and what its attributes are to lay down."""

    native: Half
    """What decides by the head of a request."""
    told: Half | None
    """What decides where the body was read; None where nothing does, or what does is better left whole."""
    layout: Layout
    picking: ExtensionWithMatcher
    """The filter that picks one of the native parts."""
    texts: tuple[Text, ...]

    @property
    def filters(self) -> tuple[TypedExtensionConfig, ...]:
        """All filters of parts."""
        return self.native.filters + (self.told.filters if self.told is not None else ())


@dataclass(frozen=True, slots=True)
class Half:
    """The filters that decide at one place on a request's way, one a part."""

    dealt: Dealt
    default: Entry
    asks: str
    """What begins the names of what is left to the engine; they end with the number of the part."""
    unless: Predicate
    """The requests that each part leaves to the engine before all else."""
    filters: tuple[TypedExtensionConfig, ...]
    read: tuple[tuple[Text, ...], ...]
    """What of the texts each part reads."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How rules are dealt out. `since` names the time from which they are: parts of an earlier time of the
    same form may still be in the sidecar, and are not to be taken for those of now."""

    form: str
    since: str

    @property
    def name(self) -> str:
        return f"{self.since}-{self.form}"


@dataclass(frozen=True, slots=True)
class Told:
    """The rules where the body was read, and when that it was."""

    entries: Sequence[Entry]
    read: Predicate


def in_parts(
    entries: Sequence[Entry],
    default: Entry,
    revision: str,
    *,
    linear: int,
    told: Told | None = None,
    before: Parts | None = None,
    again: bool = False,
) -> Parts | None:
    """The decision of these rules in parts; None where it is better left whole.

    What is as it was `before`, for the revision that the sidecar got before this one, is the same. Where that
    was whole and parts come `again`, the sidecar may still have some that began with this very revision and
    were changed since: the time then gets a name of its own. `told` is dealt out by the same text, where that
    parts it evenly, too; to its parts that come again the same applies.
    """
    dealt = deal(entries, before.native.dealt if before is not None else None)
    if dealt is None:
        return None
    behind = None
    if told is not None:
        known = before.told.dealt if before is not None and before.told is not None else None
        behind = deal_by(dealt.text, told.entries, known)
    asks = PART if behind is not None else ""
    native = _Dealing(name_of, dealt, default, asks, linear, before.native if before is not None else None)
    late = None
    if behind is not None:
        last = before.told if before is not None else None
        late = _Dealing(told_name_of, behind, default, "", linear, last)
    texts = _laid(dealt.text, (*native.read, *(late.read if late is not None else ())))
    form = _form(dealt.text, texts, asks)
    again = again or (before is not None and before.told is None and late is not None)
    layout = Layout(form, f"{revision}-{secrets.token_hex(4)}" if again else revision)
    if before is not None and before.layout.form == form:
        layout = before.layout
    stale = negate(one_of(state_text(LAYOUT_STATE), (layout.name,)))
    return Parts(
        native.half(stale),
        late.half(any_of((stale, negate(told.read)))) if late is not None and told is not None else None,
        layout,
        _picking(dealt.text, stale),
        texts,
    )


class _Dealing:
    """Makes the filters of one half; those that are as they were before are the same."""

    def __init__(
        self,
        name: Callable[[int], str],
        dealt: Dealt,
        default: Entry,
        asks: str,
        linear: int,
        before: Half | None,
    ) -> None:
        self._name, self._dealt, self._default, self._asks = name, dealt, default, asks
        self._linear = linear
        self._before = before
        self._trees: dict[int, Tree] = {}
        alike = before is not None and (before.default, before.asks) == (default, asks)
        self._same = frozenset(
            number
            for number, own in enumerate(dealt.parts)
            if before is not None and alike and before.dealt.parts[number] == own
        )
        self.read = tuple(map(self._reads, range(PARTS)))

    def half(self, unless: Predicate) -> Half:
        """The filters, by the requests that each leaves to the engine before all else."""
        before = self._before
        same = self._same if before is not None and before.unless == unless else frozenset()
        filters = tuple(
            before.filters[number]
            if before is not None and number in same
            else _part(self._name(number), self._tree(number), unless)
            for number in range(PARTS)
        )
        return Half(self._dealt, self._default, self._asks, unless, filters, self.read)

    def _reads(self, number: int) -> tuple[Text, ...]:
        if self._before is not None and number in self._same:
            return self._before.read[number]
        return self._tree(number).attributes

    def _tree(self, number: int) -> Tree:
        if number not in self._trees:
            entries: Sequence[Entry] = self._dealt.parts[number]
            if self._asks:
                name = f"{self._asks}{number:02}"
                entries = [_named(each, name) for each in entries]
            self._trees[number] = build(entries, self._default, linear=self._linear)
        return self._trees[number]


def _named(entry: Entry, name: str) -> Entry:
    """The rule; one that leaves requests to the engine has them told by which part."""
    return replace(entry, name=name) if entry.verdict is Verdict.RESIDUAL else entry


def _laid(text: Text, read: Iterable[Iterable[Text]]) -> tuple[Text, ...]:
    """The texts that the attributes' filter must lay down."""
    found = {each for texts in read for each in texts}
    if text.state:
        found.add(text)
    return tuple(sorted(found, key=lambda each: each.name))


def _form(text: Text, texts: Iterable[Text], asks: str) -> str:
    told = (PARTS, text.name, [(each.state, each.format) for each in texts], asks)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:8]


# What Envoy gets ------------------------------------------------------------------------------------------


def _part(name: str, tree: Tree, unless: Predicate) -> TypedExtensionConfig:
    """The filter of a part: what its tree decides, but for requests that are for the engine before that."""
    found = TypedExtensionConfig(name=name)
    matcher = _unless(unless, _asking(), tree.matcher)
    found.typed_config.Pack(RBAC(matcher=matcher), deterministic=True)
    return found


def _picking(text: Text, stale: Predicate) -> ExtensionWithMatcher:
    """The filter that picks the part of a request by the hash of the text; the first where there is none."""
    asking = ExecuteFilterAction()
    asking.typed_config.name = "palisade.ask"
    asking.typed_config.typed_config.Pack(_everything(), deterministic=True)
    found = ExtensionWithMatcher()
    found.extension_config.name = "palisade.parts"
    found.extension_config.typed_config.Pack(Composite())
    ask = Matcher.OnMatch(action=typed("palisade.ask", asking))
    found.xds_matcher.CopyFrom(_unless(stale, ask, _among(text, 0, PARTS).matcher))
    return found


def _among(text: Text, low: int, high: int) -> Matcher.OnMatch:
    """Halves the parts until one is left."""
    if high - low == 1:
        return Matcher.OnMatch(action=typed("palisade.part", _filter(low)))
    middle = (low + high) // 2
    hashed = ConsistentHashing(threshold=middle, modulo=PARTS)
    check = custom_check(text.input(), typed("palisade.hash", hashed))
    found = Matcher.OnMatch()
    item = found.matcher.matcher_list.matchers.add()
    item.predicate.CopyFrom(to_proto(check))
    item.on_match.CopyFrom(_among(text, middle, high))
    found.matcher.on_no_match.CopyFrom(_among(text, low, middle))
    return found


def _filter(number: int) -> ExecuteFilterAction:
    """The filter that Envoy has of the part at that moment; none yet: the engine decides.

    The source is to the letter that of the bootstrap's listener `palisade.parts`: Envoy takes both for one
    subscription, and only the listener's is ever started.
    """
    source = ConfigSource(resource_api_version=ApiVersion.V3, initial_fetch_timeout=Duration())
    source.ads.SetInParent()
    discovery = ExtensionConfigSource(config_source=source, apply_default_config_without_warming=True)
    discovery.default_config.Pack(_everything(), deterministic=True)
    discovery.type_urls.append(f"type.googleapis.com/{RBAC.DESCRIPTOR.full_name}")
    found = ExecuteFilterAction()
    found.dynamic_config.name = name_of(number)
    found.dynamic_config.config_discovery.CopyFrom(discovery)
    return found


def _everything() -> RBAC:
    """A filter that leaves every request to the engine."""
    return RBAC(matcher=Matcher(on_no_match=_asking()))


def _asking() -> Matcher.OnMatch:
    return Matcher.OnMatch(action=typed("palisade.action", Action(name=RESIDUAL, action=RULES.Action.ALLOW)))


def _unless(unless: Predicate, then: Matcher.OnMatch, otherwise: Matcher) -> Matcher:
    found = Matcher()
    item = found.matcher_list.matchers.add()
    item.predicate.CopyFrom(to_proto(unless))
    item.on_match.CopyFrom(then)
    found.on_no_match.matcher.CopyFrom(otherwise)
    return found
