"""Alternatives that ask the same of one text, as one expression that RE2 matches in one go.

Each of a thousand globs, networks or endings takes Envoy a tenth of a microsecond, and kilobytes of memory.
Joined, they cost what the text is long, as RE2 follows all of them at once.

Only such are joined as RE2 follows without trouble whatever the text is: constants that are looked for
anywhere, with letters of either case too, and expressions that begin where the text does. Of others it could
need more states than it keeps, and would then match them slower than one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from envoy.extensions.matching.input_matchers.metadata.v3.metadata_pb2 import Metadata
from envoy.type.matcher.v3.string_pb2 import StringMatcher as EnvoyString
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers.predicate import (
    FEW,
    NO,
    All,
    AnyOf,
    Check,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    Single,
    Text,
    Within,
    all_of,
    any_of,
    negate,
    typed,
)
from palisade.enforce.envoy.matchers.rewriting import Rewriting
from palisade.enforce.envoy.matchers.writing import in_expressions
from palisade.enforce.envoy.regex import patterns
from palisade.rego.records import record

MOST = 8_000
"""Characters of one expression, beyond which RE2 may not keep the states of all its alternatives."""

MOST_ANYWHERE = 2_000
"""The same where alternatives may be anywhere: in a text that nearly has many of them RE2 runs out of memory
beyond that. With four times as many, 5,000 constants took 0.5 s of a text of 58 kB, and take half of it."""

NARROWER = 8
"""So many times shorter are the expressions that are asked behind one that holds."""

COMMON = 8
"""An alternative that so many of many conditions have is one by itself."""

MANY = 32
"""From so many conditions of different rules on what they ask of one text is asked first for all of them."""


_OPEN = "(?s:.*)"
"""Any text before or behind what a pattern is about."""

_ONE = r"(?:\\[^\w]|\\x\{[0-9A-Fa-f]+\}|[^\\.+*?()|\[\]{}^$])"
_FOLDED = re.compile(
    rf"\(\?s\)\.\*(?P<text>(?:{_ONE}|\(\?:{_ONE}(?:\|{_ONE})*\))+)(?P<more>\.\*)?", re.DOTALL
)
"""A text that is looked for whatever the case of its letters is: each in both cases, a constant else."""


@record()
class _Asked:
    """What a check asks of a text: one of the `patterns` matches the whole of it. `source` is the check
    without its pattern, by which those of one text are found. Of an address, `within`, they are ranges."""

    source: bytes
    reads: Text | None
    patterns: tuple[str, ...]
    within: Text | None = None


def joined(parts: Sequence[Predicate]) -> list[Predicate]:
    """The alternatives, of which those that differ in what they ask of one text are one. They hold together
    where the given ones do."""
    if len(parts) <= FEW:
        return list(parts)
    conjuncts = [tuple(_conjuncts(part)) for part in parts]
    often = Counter(each for own in conjuncts for each in own)
    groups: dict[object, list[tuple[int, _Asked, tuple[Predicate, ...]]]] = {}
    for at, own in enumerate(conjuncts):
        for each in sorted(own, key=often.__getitem__):
            asked = asked_of(each)
            if asked is not None:
                rest = tuple(other for other in own if other is not each)
                groups.setdefault((asked.source, asked.within, frozenset(rest)), []).append((at, asked, rest))
                break
    found: dict[int, Predicate] = dict(enumerate(parts))
    for group in groups.values():
        if len(group) <= FEW:
            continue
        together = _together([asked for _, asked, _ in group])
        if together is not None:
            for at, _, _ in group:
                del found[at]
            found[group[0][0]] = all_of((*group[0][2], together))
    return [found[at] for at in sorted(found)]


def gates(parts: Sequence[Predicate], most: int = MOST) -> Iterator[tuple[Predicate | None, list[int]]]:
    """Many conditions, by their places, in groups of which a request meets none where it does not meet the
    predicate: what each asks of one text, as one expression of so many characters at `most`. Last those that
    stand by themselves."""
    least = MANY if most == MOST else FEW + 1
    asked = _telling(parts) if len(parts) >= least else {}
    groups: dict[bytes, list[int]] = {}
    for at, own in asked.items():
        groups.setdefault(own.source, []).append(at)
    alone = set(range(len(parts)))
    for places in groups.values():
        for some in _of_size(places, asked, most) if len(places) >= least else ():
            together = _together([asked[at] for at in some]) if len(some) > FEW else None
            if together is not None:
                alone.difference_update(some)
                yield together, some
    if alone:
        yield None, sorted(alone)


def _telling(parts: Sequence[Predicate]) -> dict[int, _Asked]:
    """What each condition asks of a text, by its place: of the text of which all of them ask the most
    different things, what the fewest ask."""
    asked: dict[int, list[_Asked]] = {}
    often: dict[bytes, Counter[tuple[str, ...]]] = {}
    for at, part in enumerate(parts):
        for each in map(asked_of, _conjuncts(part)):
            if each is not None and each.within is None:
                asked.setdefault(at, []).append(each)
                often.setdefault(each.source, Counter())[each.patterns] += 1

    def telling(own: _Asked) -> tuple[int, int]:
        known = often[own.source]
        return len(known), -known[own.patterns]

    return {at: max(own, key=telling) for at, own in asked.items()}


def _of_size(places: Iterable[int], asked: Mapping[int, _Asked], most: int) -> Iterator[list[int]]:
    """The places in groups whose patterns are one expression each."""
    some: list[int] = []
    size = 0
    for at in places:
        longer = sum(len(each) + 5 for each in asked[at].patterns)
        if some and size + longer > most:
            yield some
            some, size = [], 0
        some.append(at)
        size += longer
    yield some


def common_apart(parts: Sequence[Predicate]) -> list[Predicate] | None:
    """The alternatives, of which what many have for an alternative of theirs is one by itself: that a token
    has no text somewhere is for the engine, whichever of a thousand rules asks for it. None where many have
    none."""
    if len(parts) < MANY:
        return None
    asked = list(map(_ways, parts))
    often = Counter(chain.from_iterable(ways for _, ways in asked))
    common = {each: None for each, times in often.items() if times >= COMMON}
    if not common:
        return None
    found: dict[Predicate, None] = {}
    for part, (others, ways) in zip(parts, asked, strict=True):
        left = [way for each, way in ways.items() if each not in common]
        if len(left) == len(ways):
            found[part] = None
        elif left:
            found[all_of((*others, any_of(left)))] = None
    # What a rule asks besides may rule an alternative out; of what holds never Envoy has no matcher.
    return [each for each in (*common, *found) if each != NO]


def _ways(predicate: Predicate) -> tuple[Sequence[Predicate], Mapping[Predicate, Predicate]]:
    """What a predicate asks besides its first part of alternatives; and these, by what the predicate is with
    each of them alone."""
    parts = predicate.parts if isinstance(predicate, All) else (predicate,)
    several = next((part for part in parts if isinstance(part, AnyOf)), None)
    if several is None:
        return (), {predicate: predicate}
    others = [part for part in parts if part is not several]
    return others, {all_of((*others, each)): each for each in several.parts}


class Joining(Rewriting):
    """Joins alternatives wherever they stand within predicates: the same, by fewer comparisons."""

    def __init__(self) -> None:
        super().__init__(FEW)

    def _alternatives(self, parts: Sequence[Predicate]) -> Iterable[Predicate]:
        return map(self.of, joined(parts))


def _conjuncts(predicate: Predicate) -> Iterator[Predicate]:
    if isinstance(predicate, All):
        for part in predicate.parts:
            yield from _conjuncts(part)
    elif isinstance(predicate, Not) and isinstance(predicate.part, AnyOf):
        for part in predicate.part.parts:
            yield from _conjuncts(negate(part))
    else:
        yield predicate


def asked_of(predicate: Predicate) -> _Asked | None:
    """What is asked of a text; None for what asks something else, or is better left alone."""
    if isinstance(predicate, AnyOf):
        parts = [asked_of(part) for part in predicate.parts]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or len({part.source for part in known}) > 1:
            return None
        return replace(known[0], patterns=tuple(chain.from_iterable(part.patterns for part in known)))
    if isinstance(predicate, Prefixed):
        return _of_text(predicate.text, (f"{patterns.quote(value)}{_OPEN}" for value in predicate.values))
    if isinstance(predicate, OneOf) and not predicate.text.claim:
        return _of_text(predicate.text, map(patterns.quote, predicate.values))
    if isinstance(predicate, Within):
        return _Asked(predicate.text.config, None, tuple(predicate.values), predicate.text)
    if not isinstance(predicate, Check):
        return None
    single = Single.FromString(predicate.single)
    matcher = _matcher(single)
    pattern = None if matcher is None else _pattern(matcher)
    return None if pattern is None else _Asked(_with(single, ""), predicate.reads, (pattern,))


def _of_text(text: Text, found: Iterable[str]) -> _Asked:
    single = Single(input=text.input(), value_match=StringMatcher())
    return _Asked(_with(single, ""), text if text.laid else None, tuple(sorted(found)))


def _matcher(single: Single) -> StringMatcher | EnvoyString | None:
    """What a check takes a text by: a header, or a claim or one of its members."""
    if single.HasField("value_match"):
        return single.value_match
    metadata = Metadata()
    if not single.custom_match.typed_config.Unpack(metadata) or metadata.invert:
        return None
    value = metadata.value
    if value.HasField("list_match"):
        value = value.list_match.one_of
    return value.string_match if value.HasField("string_match") else None


def _pattern(matcher: StringMatcher | EnvoyString) -> str | None:
    """The matcher as an expression for the whole text; None for one that is not to be joined."""
    if matcher.ignore_case:
        return None
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        whole = str(matcher.safe_regex.regex)
        folded = _FOLDED.fullmatch(whole)
        if folded is not None and len(whole) <= MOST // 2:
            return f"{_OPEN}{folded['text']}{_OPEN if folded['more'] else ''}"
        bare = patterns.unanchored(whole)
        begins = bare is not None and not re.match(r"(?:\((?:\?s?[:)])?)*\.[*+]", bare)
        return whole if begins and len(whole) <= MOST // 2 else None
    text = patterns.quote(getattr(matcher, kind)) if kind in ("exact", "prefix", "suffix", "contains") else ""
    before = _OPEN if kind in ("suffix", "contains") else ""
    behind = _OPEN if kind in ("prefix", "contains") else ""
    return f"{before}{text}{behind}" if text else None


def _with(single: Single, pattern: str) -> bytes:
    """The check by another pattern."""
    found = Single()
    found.CopyFrom(single)
    if found.HasField("value_match"):
        found.value_match.Clear()
        found.value_match.SetInParent()
        found.value_match.safe_regex.regex = pattern
        found.value_match.safe_regex.google_re2.SetInParent()
    else:
        metadata = Metadata()
        found.custom_match.typed_config.Unpack(metadata)
        value = metadata.value.list_match.one_of if metadata.value.HasField("list_match") else metadata.value
        value.string_match.Clear()
        value.string_match.safe_regex.regex = pattern
        found.custom_match.CopyFrom(typed(found.custom_match.name, metadata))
    data: bytes = found.SerializeToString(deterministic=True)
    return data


def _together(asked: Sequence[_Asked]) -> Predicate | None:
    """One of them holds, of one text. None where RE2 does not take them together."""
    first = asked[0]
    if first.within is not None:
        return Within(first.within, frozenset(each for own in asked for each in own.patterns))
    single = Single.FromString(first.source)
    checks: list[Predicate] = []
    for expression in _expressions(dict.fromkeys(each for own in asked for each in own.patterns)):
        try:
            patterns.regex(expression)
        except ValueError:
            return None
        checks.append(Check(_with(single, expression), first.reads))
    return any_of(checks)


def _expressions(found: Iterable[str]) -> Iterator[str]:
    """Expressions, one of which matches where one of the patterns does. What may be anywhere in a text is
    looked for by one open beginning and one open end for all: with its own for each, RE2 needs a state for
    every set of those that were found, and takes a second for a text with a thousand of them."""
    begin: list[str] = []
    ends: list[str] = []
    anywhere: list[str] = []
    for each in found:
        if not each.startswith(_OPEN):
            begin.append(f"(?:{each})")
        elif each.endswith(_OPEN):
            anywhere.append(each.removeprefix(_OPEN).removesuffix(_OPEN))
        else:
            ends.append(each.removeprefix(_OPEN))
    yield from in_expressions(begin, MOST)
    for some in in_expressions(anywhere, MOST_ANYWHERE):
        yield f"{_OPEN}(?:{some}){_OPEN}"
    for some in in_expressions(ends, MOST_ANYWHERE):
        yield f"{_OPEN}(?:{some})"
