"""From what builtins make of a text back to texts of which they surely make such: `lower`, `split`, `trim`.

All is said of printable ASCII. What is made is to have one character at least, of a class, with one of a
narrower class at each end: no space, say. The expressions here match only texts of which that becomes, and
not all of them: of what they do not match such a text may be made, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from palisade.enforce.envoy.regex import patterns
from palisade.rego.builtins import BUILTINS
from palisade.rego.records import record

_Class: TypeAlias = frozenset[str]

PRINTED: _Class = frozenset(map(chr, range(0x20, 0x7F)))
_SPACE = frozenset("\t\n\v\f\r ")
_MOST = 100
"""Pieces and characters further on are not counted off in an expression."""

Step: TypeAlias = tuple[str | int, ...]
"""A builtin and its further arguments: `("trim_prefix", "org:")`, `("replace", OLD, NEW)`. Of `split` the
piece, `("piece", "@", 1)`, with -1 the last, or `("rest", "/", 2)`: all from a piece on, joined again. Of
`substring` where it begins, and of how many characters, where it does not go up to the end:
`("substring", 4)` and `("substring", 0, 8)`."""

CHANGES = ("lower", "upper", "urlquery.encode")
"""Builtins that turn each character of ASCII into others, whatever stands beside it."""


@record()
class Wanted:
    """Texts of the characters in `middle`, of which the first is in `first` and the last in `last`."""

    first: _Class
    middle: _Class
    last: _Class

    @property
    def pattern(self) -> str | None:
        """An expression of these texts; None where there are none."""
        if not self.first or not self.last:
            return None
        longer = f"{_class(self.first)}{_class(self.middle)}*{_class(self.last)}"
        both = self.first & self.last
        return f"(?:{_class(both)}|{longer})" if both else longer

    def all(self, change: Callable[[_Class], _Class]) -> Wanted:
        return Wanted(change(self.first), change(self.middle), change(self.last))


def origin(steps: Iterable[Step], wanted: Wanted, among: _Class = PRINTED) -> str | None:
    """An expression of texts, of characters `among` the printable ones, of which the steps, one after the
    other, surely make wanted ones. None where none can be told."""
    ways = [_Way(wanted)]
    for step in reversed([*steps]):
        ways = [each for way in ways for each in _back(step, way, among)]
    found = (way.all(lambda chars: chars & among) for way in ways)
    told = [each.pattern for each in found if each is not None]
    return "|".join(each for each in told if each is not None) or None


# What stands before and behind what is wanted ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Item:
    """One character of a class; with `any` as many as there are; or other items, so many `times`, or with
    `maybe` none or once."""

    chars: _Class = frozenset()
    any: bool = False
    items: tuple[_Item, ...] = ()
    times: int = 1
    maybe: bool = False

    @property
    def pattern(self) -> str:
        if not self.items:
            return f"{_class(self.chars)}*" if self.any else _class(self.chars)
        inside = f"(?:{_written(self.items)})"
        return f"{inside}?" if self.maybe else f"{inside}{{{self.times}}}"


def _written(items: Iterable[_Item]) -> str:
    return "".join(each.pattern for each in items)


def _text(text: str) -> tuple[_Item, ...]:
    return tuple(_Item(frozenset(char)) for char in text)


_Change: TypeAlias = Callable[[_Class], _Class]


def _each(items: tuple[_Item, ...], change: _Change, single: _Change) -> tuple[_Item, ...] | None:
    """The items of the classes that `change` makes of theirs, `single` of one of a character; None where no
    text has them."""
    found: list[_Item] = []
    for item in items:
        if item.items:
            inside = _each(item.items, change, single)
            if inside is None and not item.maybe:
                return None
            found += [replace(item, items=inside)] if inside is not None else []
            continue
        chars = (change if item.any else single)(item.chars)
        if not chars and not item.any:
            return None
        found += [replace(item, chars=chars)] if chars else []
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Way:
    """Texts that are wanted, with others before and behind them."""

    wanted: Wanted
    before: tuple[_Item, ...] = ()
    behind: tuple[_Item, ...] = ()

    @property
    def pattern(self) -> str | None:
        core = self.wanted.pattern
        return None if core is None else f"{_written(self.before)}{core}{_written(self.behind)}"

    @property
    def alone(self) -> bool:
        return not self.before and not self.behind

    def without(self, character: str) -> _Way | None:
        return self.all(lambda chars: chars - {character})

    def all(self, change: _Change) -> _Way | None:
        before, behind = _each(self.before, change, change), _each(self.behind, change, change)
        return None if before is None or behind is None else _Way(self.wanted.all(change), before, behind)


# Steps ------------------------------------------------------------------------------------------------------


def _back(step: Step, way: _Way, among: _Class) -> list[_Way]:
    match step:
        case ("piece", str(mark), int(at)) if mark and at <= _MOST and (at >= 0 or len(mark) == 1):
            return _piece(way, mark, at, among)
        case ("rest", str(mark), int(at)) if mark and 0 <= at <= _MOST:
            return [
                replace(way, before=(*_lead(mark, at, among, out), *way.before)) for out in _telling(mark)
            ]
        case ("trim_prefix", str(affix)) if affix:
            first = way.wanted.first - {affix[0]}
            others = [replace(way, wanted=replace(way.wanted, first=first))] if not way.before else []
            return [replace(way, before=(*_text(affix), *way.before)), *others]
        case ("trim_suffix", str(affix)) if affix:
            last = way.wanted.last - {affix[-1]}
            others = [replace(way, wanted=replace(way.wanted, last=last))] if not way.behind else []
            return [replace(way, behind=(*way.behind, *_text(affix))), *others]
        case ("replace", str(old), str(new)) if len(old) == 1:
            return _changed(way, lambda char: new if char == old else char)
        case (str(name),) if name in CHANGES:
            return _changed(way, lambda char: str(BUILTINS[name].function(char)))
    if not way.alone:
        return []
    match step:
        case ("trim_space",):
            return [_trimmed(way.wanted, _SPACE, "both", among)]
        case ("trim" | "trim_left" | "trim_right" as name, str(cutset)):
            return [_trimmed(way.wanted, frozenset(cutset), str(name).removeprefix("trim_"), among)]
        case ("replace", str(old), str(new)) if old:
            return _replaced(way.wanted, old, new)
        case ("substring", int(start), *more) if 0 <= start <= _MOST:
            skipped = (_Item(items=(_Item(among),), times=start),) if start else ()
            if not more:
                return [_Way(way.wanted, skipped)]
            # Where it is cut off, any character may come to stand at the end.
            anywhere = way.wanted.first & way.wanted.middle & way.wanted.last
            return [_Way(Wanted(anywhere, anywhere, anywhere), skipped)]
    return []


def _telling(mark: str) -> tuple[str, ...]:
    """Characters of a mark: a piece without one, and what is behind it, can nowhere be taken for it."""
    return (mark[0], mark[1]) if len(mark) == len({*mark}) == 2 else (mark[0],)


def _lead(mark: str, at: int, among: _Class, out: str) -> tuple[_Item, ...]:
    """So many pieces without a character, each with its mark."""
    piece = _Item(items=(_Item(among - {out}, any=True), *_text(mark)), times=at)
    return (piece,) if at else ()


def _piece(way: _Way, mark: str, at: int, among: _Class) -> list[_Way]:
    rest = _Item(among, any=True)
    found: list[_Way] = []
    for out in _telling(mark):
        inside = way.without(out)
        if inside is None:
            continue
        if at < 0:
            before = _Item(items=(rest, *_text(mark)), maybe=True)
            found.append(replace(inside, before=(before, *inside.before)))
            continue
        behind = _Item(items=(*_text(mark), rest), maybe=True)
        lead = _lead(mark, at, among, out)
        found.append(_Way(inside.wanted, (*lead, *inside.before), (*inside.behind, behind)))
    return found


def _trimmed(wanted: Wanted, cutset: _Class, side: str, among: _Class) -> _Way:
    taken = (_Item(cutset & among, any=True),) if cutset & among else ()
    left, right = side != "right", side != "left"
    kept = Wanted(
        wanted.first - cutset if left else wanted.first,
        wanted.middle,
        wanted.last - cutset if right else wanted.last,
    )
    return _Way(kept, taken if left else (), taken if right else ())


def _replaced(wanted: Wanted, old: str, new: str) -> list[_Way]:
    """The first character stays, or gives way to the first of what is put in; so does the last."""
    if not wanted.middle.issuperset(new):
        return []
    first = wanted.first if new and new[0] in wanted.first else wanted.first - {old[0]}
    last = wanted.last if new and new[-1] in wanted.last else wanted.last - {old[-1]}
    return [_Way(Wanted(first, wanted.middle, last))]


def _changed(way: _Way, change: Callable[[str], str]) -> list[_Way]:
    """What becomes of each character by itself."""
    made = {char: change(char) for char in PRINTED}
    wanted, middle = way.wanted, way.wanted.middle
    found = Wanted(
        frozenset(c for c, to in made.items() if to and to[0] in wanted.first and middle.issuperset(to[1:])),
        frozenset(c for c, to in made.items() if middle.issuperset(to)),
        frozenset(c for c, to in made.items() if to and to[-1] in wanted.last and middle.issuperset(to[:-1])),
    )

    def several(chars: _Class) -> _Class:
        return frozenset(c for c, to in made.items() if chars.issuperset(to))

    def single(chars: _Class) -> _Class:
        return frozenset(c for c, to in made.items() if to in chars)

    before, behind = _each(way.before, several, single), _each(way.behind, several, single)
    return [] if before is None or behind is None else [_Way(found, before, behind)]


def _class(characters: Iterable[str]) -> str:
    """One of the characters, as a class of spans."""
    spans: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    inside = "".join(f"\\x{{{a:x}}}" if a == b else f"\\x{{{a:x}}}-\\x{{{b:x}}}" for a, b in spans)
    return f"[{inside}]" if inside else patterns.NOTHING
