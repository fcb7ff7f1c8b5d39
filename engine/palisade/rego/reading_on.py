"""Reading an edited module again, but only from the rule before the edit to the rule behind it.

A rule's tree depends on its own text, the token behind it, and the imports. So rules before the edit stay the
trees they are. So do those behind it, where their lines have kept their numbers: once the start of one of
them is reached between two rules, reading on would give what it gave before.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

from palisade.rego import ast
from palisade.rego.cursor import ParseError, Part
from palisade.rego.modules import ModuleParser
from palisade.rego.places import Places


def read_on(source: str, old: ast.Module) -> ast.Module | None:
    """The module in a source that the old one was edited to, with the very rules of it that did not change.

    None where it is to be read as a whole: where the edit touches package or imports, where there are
    annotations, and where the source has errors, which are to be told all at once.
    """
    if old.annotations or not old.rules:
        return None
    edit = _Edit.between(old.source, source)
    places = Places(source)
    first = _first(edit, old, places)
    if first is None or any(each.loc.row >= old.rules[first.guard].loc.row for each in old.imports):
        return None
    last = _last(edit, old, places)
    begin = places.start(old.rules[first.guard].loc)
    reader = _Reader(old, Part(places, begin, last.stop if last else len(source)))
    found = reader.read()
    if found is None:
        return None
    if last is not None:
        if not found or found[-1].start != last.start:
            return None  # what was edited goes on into what stands behind it
        found.pop()
    kept = first.guard
    if first.guard < first.edited and len(found) > 1 and found[1].start == first.start:
        found.pop(0)
        kept = first.edited
    behind = last.rule if last is not None else len(old.rules)
    rules = (*old.rules[:kept], *(rule for item in found for rule in item.rules), *old.rules[behind:])
    return replace(
        old,
        rules=rules,
        comments=reader.comments_among(old.comments, last.start if last else len(source)),
        source=source,
        loc=old.loc._replace(length=len(source) - places.start(old.loc)),
    )


@dataclass(frozen=True, slots=True)
class _Edit:
    """The text from `start` on, up to `old_end`, was replaced by what now goes to `end`."""

    start: int
    old_end: int
    end: int
    row: int
    """Of the start."""
    last_row: int
    """Of the end; 0 where the lines behind it have other numbers now."""

    @classmethod
    def between(cls, old: str, new: str) -> _Edit:
        most = min(len(old), len(new))
        start = _alike(old, new, most)
        behind = most - start
        common = _alike_at_end(old, new, behind)
        old_end, end = len(old) - common, len(new) - common
        row = new.count("\n", 0, start) + 1
        lines = new.count("\n", start, end)
        moved = lines != old.count("\n", start, old_end)
        return cls(start, old_end, end, row, 0 if moved else row + lines)


def _alike(old: str, new: str, most: int) -> int:
    """How many characters both start with, of so many."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _alike_at_end(old: str, new: str, most: int) -> int:
    """How many characters both end with, of so many."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if old[len(old) - middle : len(old) - low] == new[len(new) - middle : len(new) - low]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True)
class _First:
    """The rules that reading starts with, by number: `edited` is the last that `start`s before the edit,
    `guard` the one before it, whose end the edit may move. They are one where there is none before it."""

    guard: int
    edited: int
    start: int


def _first(edit: _Edit, old: ast.Module, places: Places) -> _First | None:
    column = edit.start - places.source.rfind("\n", 0, edit.start)
    edited = _heading(old, places, bisect_left(old.rules, (edit.row, column), key=_place) - 1)
    if edited < 0:
        return None
    start = places.start(old.rules[edited].loc)
    guard = _heading(old, places, edited - 1)
    if guard < 0:
        # The imports end at the rule's first word, and what stands right behind it.
        word = start
        while word < edit.start and not places.source[word].isspace():
            word += 1
        return _First(edited, edited, start) if word + 1 < edit.start else None
    return _First(guard, edited, start)


@dataclass(frozen=True, slots=True)
class _Last:
    """The first rule behind the edit: its number, its start, and the start of the one behind it."""

    rule: int
    start: int
    stop: int


def _last(edit: _Edit, old: ast.Module, places: Places) -> _Last | None:
    if not edit.last_row:
        return None
    rule = _next(old, places, bisect_left(old.rules, (edit.last_row + 1, 0), key=_place))
    if rule == len(old.rules):
        return None
    following = _next(old, places, rule + 1)
    stop = places.start(old.rules[following].loc) if following < len(old.rules) else len(places.source)
    return _Last(rule, places.start(old.rules[rule].loc), stop)


def _heading(old: ast.Module, places: Places, number: int) -> int:
    """The rule, or the nearest one before it, that starts with its head: not with one more body's brace."""
    while number >= 0 and _is_body(old.rules[number], places):
        number -= 1
    return number


def _next(old: ast.Module, places: Places, number: int) -> int:
    """The rule, or the nearest one behind it, that starts with its head."""
    while number < len(old.rules) and _is_body(old.rules[number], places):
        number += 1
    return number


def _is_body(rule: ast.Rule, places: Places) -> bool:
    return places.source[places.start(rule.loc)] == "{"


def _place(node: ast.Node) -> tuple[int, int]:
    return node.loc.row, node.loc.col


@dataclass(frozen=True, slots=True)
class _Item:
    """The rules that stand at one place: several where bodies follow each other."""

    start: int
    rules: list[ast.Rule]


class _Reader(ModuleParser):
    """Reads a part of a module that holds nothing but rules. `read` once."""

    def __init__(self, old: ast.Module, part: Part) -> None:
        super().__init__(part.places.source, old.loc.file, old.version, part=part)
        self._begin = part.start
        for clause in old.imports:
            self.take_effect(clause)

    def read(self) -> list[_Item] | None:
        """The rules; None where there is an error, or anything but rules."""
        items: list[_Item] = []
        if self.lexical_errors or any(_is_metadata(text) for _, text in self.comments):
            return None
        try:
            while self.token.kind != "eof":
                if self.token.kind in ("package", "import") and not self.heads_reference:
                    return None
                start = self.token.start
                items.append(_Item(start, self.next_rules()))
        except (ParseError, RecursionError):
            return None
        return None if self.errors else items

    def comments_among(self, old: tuple[ast.Comment, ...], end: int) -> tuple[ast.Comment, ...]:
        """The comments that were read up to an offset, and the old ones of what was not read again."""
        first, behind = self.location(self._begin, self._begin), self.location(end, end)
        read = (each for each in self.comment_nodes() if _place(each) < (behind.row, behind.col))
        before = bisect_left(old, (first.row, first.col), key=_place)
        if end == len(self.source):
            return (*old[:before], *read)
        return (*old[:before], *read, *old[bisect_left(old, (behind.row, behind.col), key=_place) :])


def _is_metadata(comment: str) -> bool:
    return comment.strip().startswith("METADATA")
