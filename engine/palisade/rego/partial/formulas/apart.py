"""Which conditions cannot hold of one request, as their texts tell: a path is one of these, or begins so.

Hundreds of rules give a document hundreds of values, and any two that hold at once conflict. Asked pair by
pair that takes a minute; most are told apart by one text that all of them look at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from palisade.rego.partial.formulas.formula import Formula, In, Test
from palisade.rego.partial.formulas.terms import Apply, Known, Place, Symbol, Term
from palisade.rego.records import record

MOST = 300_000
"""So many pairs that may hold at once are found at most."""

_DEPTH = 4
"""Conditions are looked into so deep."""


@record()
class Texts:
    """What a term is wherever a condition holds: one of the values (key forms), or a text that begins with
    one of the prefixes."""

    values: frozenset[object]
    prefixes: frozenset[str] = frozenset()

    def apart(self, other: Texts) -> bool:
        """Whether no value is both."""
        return (
            self.values.isdisjoint(other.values)
            and not _begins(self.values, other.prefixes)
            and not _begins(other.values, self.prefixes)
            and not _begins(self.prefixes, other.prefixes)
            and not _begins(other.prefixes, self.prefixes)
        )

    def or_of(self, other: Texts) -> Texts:
        """What a term is that is one or the other."""
        return Texts(self.values | other.values, self.prefixes | other.prefixes)


_Said: TypeAlias = dict[Term, Texts]


def together(
    conditions: Sequence[Formula], groups: Sequence[int], rules: Sequence[int]
) -> list[set[int]] | None:
    """For each condition the numbers of those of other groups and rules that may hold at once with it.

    Those of one rule exclude each other. None where there are too many.
    """
    reading = _Reading()
    said = [reading.said(each) for each in conditions]
    found: list[set[int]] = [set() for _ in conditions]
    pairs = 0
    for one, other in _near(said, _best(said)):
        if groups[one] == groups[other] or rules[one] == rules[other] or other in found[one]:
            continue
        left, right = said[one], said[other]
        if any(term in right and texts.apart(right[term]) for term, texts in left.items()):
            continue
        found[one].add(other)
        found[other].add(one)
        pairs += 1
        if pairs > MOST:
            return None
    return found


def _near(said: Sequence[_Said], term: Term | None) -> Iterator[tuple[int, int]]:
    """The pairs that the term does not tell apart, some more than once."""
    values: dict[object, list[int]] = defaultdict(list)
    prefixes: dict[str, list[int]] = defaultdict(list)
    free: list[int] = []
    for number, each in enumerate(said):
        texts = each.get(term) if term is not None else None
        if texts is None:
            yield from ((number, other) for other in range(number))
            free.append(number)
            continue
        yield from ((number, other) for other in free)
        for value in texts.values:
            values[value].append(number)
        for prefix in texts.prefixes:
            prefixes[prefix].append(number)
    for alike in (*values.values(), *prefixes.values()):
        yield from _pairs(alike)
    lengths = sorted(set(map(len, prefixes)))
    for texts_of in (values, prefixes):
        for text, numbers in texts_of.items():
            if not isinstance(text, str):
                continue
            for length in lengths:
                if length > len(text) or (texts_of is prefixes and length == len(text)):
                    break
                for other in prefixes.get(text[:length], ()):
                    yield from ((number, other) for number in numbers if number != other)


def _pairs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    for at, one in enumerate(numbers):
        yield from ((one, other) for other in numbers[:at])


def _best(said: Sequence[_Said]) -> Term | None:
    """The term that leaves the fewest pairs."""
    counts: dict[Term, dict[object, int]] = {}
    spoken: dict[Term, int] = {}
    for each in said:
        for term, texts in each.items():
            own = counts.setdefault(term, {})
            spoken[term] = spoken.get(term, 0) + 1
            for text in (*texts.values, *texts.prefixes):
                own[text] = own.get(text, 0) + 1

    def left(term: Term) -> int:
        alike = sum(count * count for count in counts[term].values())
        return (len(said) - spoken[term]) * len(said) + alike

    return min(counts, key=left, default=None)


class _Reading:
    """Finds what conditions say of terms; of a part that many share only once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Formula, int], _Said] = {}

    def said(self, condition: Formula, depth: int = _DEPTH) -> _Said:
        """What the condition says, as far as it is looked into."""
        atom = condition.atom
        if type(atom) is In:
            return {atom.term: Texts(atom.values)} if isinstance(atom.term, Place) else {}
        if type(atom) is Test:
            return _of_call(atom.term)
        if not depth or condition.kind not in ("and", "or"):
            return {}
        known = self._known.get((condition, depth))
        if known is None:
            parts = (self.said(part, depth - 1) for part in condition.args)
            known = _of_all(parts) if condition.kind == "and" else _of_any(parts)
            self._known[(condition, depth)] = known
        return known


def _of_all(parts: Iterator[_Said]) -> _Said:
    found: _Said = {}
    for part in parts:
        for term, texts in part.items():
            known = found.get(term)
            if known is None or (known.prefixes and not texts.prefixes):
                found[term] = texts
    return found


def _of_any(parts: Iterator[_Said]) -> _Said:
    found = dict(next(parts))
    for own in parts:
        found = {term: texts.or_of(own[term]) for term, texts in found.items() if term in own}
        if not found:
            break
    return found


def _of_call(call: Apply) -> _Said:
    text: Symbol
    match call.name, call.args:
        case "startswith", (text, Known(str(prefix))):
            found = Texts(frozenset(), frozenset((prefix,)))
        case "glob.match", (Known(str(pattern)), _, text):
            found = _texts(*_of_glob(pattern))
        case "regex.match" | "re_match", (Known(str(pattern)), text):
            found = _texts(*_of_regex(pattern))
        case _:
            return {}
    return {text: found} if isinstance(text, Place) else {}


def _texts(start: str, whole: bool) -> Texts:
    return Texts(frozenset((start,))) if whole else Texts(frozenset(), frozenset((start,)))


def _of_glob(pattern: str) -> tuple[str, bool]:
    """What all texts that match begin with, and whether they are just that."""
    start = re.match(r"[\w/.:@ -]*", pattern, re.ASCII)
    found = start.group() if start is not None else ""
    return found, found == pattern


def _of_regex(pattern: str) -> tuple[str, bool]:
    """The same of a regular expression: what stands behind `^` up to the first character with a meaning."""
    if not pattern.startswith("^") or "|" in pattern or "(?" in pattern:
        return "", False
    start = re.match(r"[\w/:@ -]*", pattern[1:], re.ASCII)
    found = start.group() if start is not None else ""
    rest = pattern[1 + len(found) :]
    if rest in ("", "$"):
        return found, rest == "$"
    return (found[:-1] if rest[0] in "?*+{" else found), False


def _begins(texts: frozenset[object] | frozenset[str], prefixes: frozenset[str]) -> bool:
    """Whether one of the texts begins with one of the prefixes."""
    if not prefixes:
        return False
    starts = tuple(prefixes)
    return any(isinstance(text, str) and text.startswith(starts) for text in texts)
