"""A large decision in parts, so that one changed rule has Envoy read a part of it again, not all of it.

Envoy takes 20 us to read a rule. So the rules of a large decision are dealt out, by the hash of a text that
nearly all of them compare with constants, to filters that Envoy takes one by one: `palisade.native.0` and so
on. Each holds all the rules that a request can meet whose text has that hash, those that do not compare it
too, and so decides alone. `palisade.native` itself then only names the part.

Filters change one after the other. A request is decided by one part, so by one revision, where only parts
change; where the way in which rules are dealt out changes, requests between the two are for the engine: what
names the part and the parts ask first whether the attributes are of the same layout. See
docs/decisions/parts-of-a-decision.md.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import is_

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.matching.input_matchers.consistent_hashing.v3.consistent_hashing_pb2 import (
    ConsistentHashing,
)
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.answers.ends import PART, PICKED, RESIDUAL
from palisade.enforce.envoy.matchers.branches import action, branch
from palisade.enforce.envoy.matchers.dealing import PARTS, Dealt, deal, deal_by
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    Predicate,
    Text,
    any_of,
    custom_check,
    negate,
    one_of,
    typed,
)
from palisade.enforce.envoy.matchers.tree import Tree, build
from palisade.enforce.envoy.matchers.writing import write
from palisade.enforce.envoy.values.sources import state_text

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

    halves: Mapping[str, Half]
    """By their names: `native`, which decides by the head of a request; where there are such, `told`, which
    decides where the body was read, and what a shadow decides at both places."""
    layout: Layout
    filters: tuple[TypedExtensionConfig, ...]
    picking: RBAC
    """What names the native part of a request."""
    texts: tuple[Text, ...]

    @property
    def told(self) -> bool:
        """Whether what decides where the body was read is in parts, too."""
        return TOLD in self.halves


NATIVE, TOLD, WATCHED, WATCHED_TOLD = "native", "told", "watched", "watched_told"


@dataclass(frozen=True, slots=True)
class Half:
    """What one decision comes to in each part, at one place on a request's way."""

    dealt: Dealt
    default: Entry
    naming: Naming
    unless: Predicate
    """The requests that each part leaves to the engine before all else."""
    contents: tuple[bytes, ...]
    """For each part a serialized RBAC filter, of which a shadow's half has other fields."""
    read: tuple[tuple[Text, ...], ...]
    """What of the texts each part reads."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How a half reports what it decides. `shadow` begins all names of a shadow's. With `told`, what is left
    to the engine has the part's number in its name: the part behind the wait is that of the number."""

    shadow: str = ""
    told: bool = False

    def of(self, entry: Entry, part: int) -> Entry:
        """The rule under the name by which it is reported."""
        if entry.verdict is Verdict.RESIDUAL and self.told:
            return replace(entry, name=f"{PART}{part:02}")
        return replace(entry, name=f"{self.shadow} {entry.name}") if self.shadow else entry

    @property
    def same(self) -> bool:
        """Whether all names are those of the rules themselves."""
        return not self.shadow and not self.told


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
class Rules:
    """A decision at one place on a request's way: its rules, and what becomes of requests that meet none."""

    entries: Sequence[Entry]
    default: Entry
    texts: tuple[Text, ...] = ()
    """What its answers want laid down."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What decides where the body was read, and when that it was."""

    rules: Rules
    read: Predicate


@dataclass(frozen=True, slots=True)
class Watched:
    """What a shadow of this name decides, by the head of a request, and where the body was read."""

    shadow: str
    native: Rules
    told: Rules | None = None


def in_parts(
    native: Rules,
    revision: str,
    *,
    linear: int,
    told: Behind | None = None,
    watched: Watched | None = None,
    before: Parts | None = None,
    again: bool = False,
    others: Predicate = NO,
) -> Parts | None:
    """The decision of these rules in parts; None where it is better left whole.

    What is as it was `before`, for the revision that the sidecar got before this one, is the same. Where that
    was whole and parts come `again`, the sidecar may still have some that began with this very revision and
    were changed since: the time then gets a name of its own. `told` is dealt out by the same text, where that
    parts it evenly, too; to its parts that come again the same applies. Where the text does not part what is
    `watched`, all is left whole. The `others` are requests that each part leaves to the engine.
    """
    known = before.halves if before is not None else {}
    dealt = deal(native.entries, known[NATIVE].dealt if NATIVE in known else None)
    if dealt is None:
        return None
    dealing = _Dealing(dealt.text, known, linear)
    if watched is not None and not dealing.add(WATCHED, watched.native, Naming(watched.shadow)):
        return None
    behind = told is not None and dealing.add(TOLD, told.rules, Naming())
    if behind and watched is not None and watched.told is not None:
        behind = dealing.add(WATCHED_TOLD, watched.told, Naming(watched.shadow))
    if not behind:
        dealing.drop(TOLD)
    dealing.take(NATIVE, dealt, native.default, Naming(told=behind))
    answered = (native.texts, told.rules.texts if told is not None else ())
    texts = _laid(dealt.text, (*dealing.read, *answered))
    form = _form(dealt.text, texts, told=behind)
    again = again or (before is not None and behind and not before.told)
    layout = Layout(form, f"{revision}-{secrets.token_hex(4)}" if again else revision)
    if before is not None and before.layout.form == form:
        layout = before.layout
    stale = negate(one_of(state_text(LAYOUT_STATE), (layout.name,)))
    unsure = any_of((stale, others))
    unread = any_of((unsure, negate(told.read))) if told is not None else unsure
    halves = dealing.halves({NATIVE: unsure, WATCHED: unsure, TOLD: unread, WATCHED_TOLD: unread})
    return Parts(halves, layout, tuple(_filters(halves, before)), _picking(dealt.text, stale), texts)


class _Dealing:
    """Makes the halves of a decision; what is as it was before is the same."""

    def __init__(self, text: Text, before: Mapping[str, Half], linear: int) -> None:
        self._text = text
        self._before = before
        self._linear = linear
        self._made: dict[str, _Making] = {}

    def add(self, name: str, rules: Rules, naming: Naming) -> bool:
        """Deals out the rules of a half; whether the text parts them."""
        known = self._before.get(name)
        dealt = deal_by(self._text, rules.entries, known.dealt if known is not None else None)
        if dealt is not None:
            self.take(name, dealt, rules.default, naming)
        return dealt is not None

    def take(self, name: str, dealt: Dealt, default: Entry, naming: Naming) -> None:
        """Takes a half of which the rules are dealt out."""
        self._made[name] = _Making(dealt, default, naming, self._linear, self._before.get(name))

    def drop(self, name: str) -> None:
        """Takes a half back, if there is one of that name."""
        self._made.pop(name, None)

    @property
    def read(self) -> Iterator[tuple[Text, ...]]:
        """The texts that the parts read."""
        return chain.from_iterable(each.read for each in self._made.values())

    def halves(self, unless: Mapping[str, Predicate]) -> dict[str, Half]:
        """The halves, by the requests that each leaves to the engine before all else."""
        return {
            name: each.half(unless[name], "shadow_matcher" if each.naming.shadow else "matcher")
            for name, each in self._made.items()
        }


class _Making:
    """Makes what the parts of one half hold."""

    def __init__(
        self, dealt: Dealt, default: Entry, naming: Naming, linear: int, before: Half | None
    ) -> None:
        self.naming = naming
        self._dealt, self._default, self._linear, self._before = dealt, default, linear, before
        self._trees: dict[int, Tree] = {}
        alike = before is not None and (before.default, before.naming) == (default, naming)
        self._same = frozenset(
            number
            for number, own in enumerate(dealt.parts)
            if before is not None and alike and before.dealt.parts[number] == own
        )
        self.read = tuple(map(self._reads, range(PARTS)))

    def half(self, unless: Predicate, field: str) -> Half:
        """The half, by the requests that it leaves to the engine before all else."""
        before = self._before
        same = self._same if before is not None and before.unless == unless else frozenset()
        contents = tuple(
            before.contents[number]
            if before is not None and number in same
            else self._content(number, unless, field)
            for number in range(PARTS)
        )
        return Half(self._dealt, self._default, self.naming, unless, contents, self.read)

    def _content(self, number: int, unless: Predicate, field: str) -> bytes:
        asking = self.naming.of(_ASKING, number) if self.naming.shadow else _ASKING
        matcher = branch(unless, action(asking), self._tree(number).matcher)
        content: bytes = RBAC(**{field: matcher}).SerializeToString(deterministic=True)
        return content

    def _reads(self, number: int) -> tuple[Text, ...]:
        if self._before is not None and number in self._same:
            return self._before.read[number]
        return self._tree(number).attributes

    def _tree(self, number: int) -> Tree:
        if number not in self._trees:
            entries: Sequence[Entry] = self._dealt.parts[number]
            if not self.naming.same:
                entries = [self.naming.of(each, number) for each in entries]
            default = self.naming.of(self._default, number)
            self._trees[number] = build(entries, default, linear=self._linear, share=PARTS)
        return self._trees[number]


def _filters(halves: Mapping[str, Half], before: Parts | None) -> Iterator[TypedExtensionConfig]:
    """The filters of all parts: of each what is in force, and what a shadow decides at the same place. One
    that is as it was before is the same."""
    known = _contents(before.halves) if before is not None else {}
    made = {each.name: each for each in before.filters} if before is not None else {}
    for name, contents in _contents(halves).items():
        if name in known and all(map(is_, known[name], contents)):
            yield made[name]
            continue
        found = TypedExtensionConfig(name=name)
        found.typed_config.type_url = f"type.googleapis.com/{RBAC.DESCRIPTOR.full_name}"
        # Messages of other fields, one behind the other, are one of all.
        found.typed_config.value = b"".join(contents)
        yield found


def _contents(halves: Mapping[str, Half]) -> dict[str, tuple[bytes, bytes]]:
    """What the filter of each part, by its name, is made of."""
    found: dict[str, tuple[bytes, bytes]] = {}
    for name_, own, beside in ((name_of, NATIVE, WATCHED), (told_name_of, TOLD, WATCHED_TOLD)):
        if own in halves:
            shadow = halves[beside].contents if beside in halves else (b"",) * PARTS
            both = zip(halves[own].contents, shadow, strict=True)
            found |= {name_(number): each for number, each in enumerate(both)}
    return found


def _laid(text: Text, read: Iterable[Iterable[Text]]) -> tuple[Text, ...]:
    """The texts that the attributes' filter must lay down."""
    found = {each for texts in read for each in texts}
    if text.state:
        found.add(text)
    return tuple(sorted(found, key=lambda each: each.name))


def _form(text: Text, texts: Iterable[Text], *, told: bool) -> str:
    said = (PARTS, text.name, [(each.state, each.format) for each in texts if each.state], told)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:8]


# What Envoy gets ------------------------------------------------------------------------------------------


def _picking(text: Text, stale: Predicate) -> RBAC:
    """What names the part of a request by the hash of the text; the first where there is none. Behind it the
    sidecar has, never replaced, what takes the filter of that number."""
    return RBAC(matcher=branch(stale, action(_ASKING), _among(text, 0, PARTS).matcher))


def _among(text: Text, low: int, high: int) -> Matcher.OnMatch:
    """Halves the parts until one is left."""
    if high - low == 1:
        return action(Entry(YES, Verdict.RESIDUAL, f"{PICKED}{low:02}"))
    middle = (low + high) // 2
    hashed = ConsistentHashing(threshold=middle, modulo=PARTS)
    check = custom_check(text.input(), typed("palisade.hash", hashed))
    found = Matcher.OnMatch()
    item = found.matcher.matcher_list.matchers.add()
    write(check, item.predicate)
    item.on_match.CopyFrom(_among(text, middle, high))
    found.matcher.on_no_match.CopyFrom(_among(text, low, middle))
    return found


_ASKING = Entry(YES, Verdict.RESIDUAL, RESIDUAL)
