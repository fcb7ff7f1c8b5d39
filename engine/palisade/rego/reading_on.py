"""Reading an edited module again, but only from the rule before the edit to the rule behind it.

A rule's tree depends on its own text, the token behind it, and the imports. So rules before the edit stay the
trees they are. So do those behind it, wherever their lines stand now: once the start of one of them is
reached between two rules, reading on would give what it gave before. Lines that came, or that stand between
others than before, get numbers that no line of the file had (`lines`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

from palisade.rego import ast
from palisade.rego.cursor import ParseError, Part
from palisade.rego.errors import Location
from palisade.rego.hunks import alike, alike_at_end, steps
from palisade.rego.lexer import Token
from palisade.rego.lines import Lines
from palisade.rego.modules import ModuleParser
from palisade.rego.places import Places


def read_on(source: str, old: ast.Module) -> ast.Module | None:
    """The module in a source that the old one was edited to, with the very rules of it that did not change.

    None where it is to be read as a whole: where the edit changes package or imports, where there are
    annotations, and where the source has errors, which are to be told all at once.
    """
    module: ast.Module | None = old
    texts = steps(old.source, source)
    for text in texts:
        module = _read_on(text, module) if module is not None else None
    if module is None and len(texts) > 1:
        return _read_on(source, old)  # what is between two of its places may be no module
    return module


def _read_on(source: str, old: ast.Module) -> ast.Module | None:
    """The same, for an edit in one place."""
    if old.annotations or old.faults or not old.rules:
        return None
    edit = _Edit.between(old.source, source)
    standing = _Standing(old, source, edit)
    first, last = _first(standing), _last(standing)
    head = first.begin == 0
    if head and last is None:
        return None  # nothing stays
    until = last.rule if head and last is not None else first.guard
    if until < len(old.rules) and any(
        standing.row(each) >= standing.row(old.rules[until]) for each in old.imports
    ):
        return None
    numbering = _numbering(standing, first, last)
    if numbering is None:
        return None
    stop = last.stop if last else len(source)
    reader = _Reader(old, Part(standing.places, first.begin, stop), numbering.shift, head=head)
    found = reader.read()
    if found is None:
        return None
    if last is not None:
        if not found or found[-1].start != last.start:
            return None  # what was edited goes on into what stands behind it
        found.pop()
    begin, kept = first.begin, first.guard
    if first.guard < first.edited and len(found) > 1 and found[1].start == first.start:
        found.pop(0)
        begin, kept = first.start, first.edited
    behind = last.rule if last is not None else len(old.rules)
    rules = (*old.rules[:kept], *(rule for item in found for rule in item.rules), *old.rules[behind:])
    return replace(
        old,
        imports=tuple(reader.imports) if head else old.imports,
        rules=rules,
        comments=_comments(standing, reader, begin, last.start if last else len(source)),
        source=source,
        lines=numbering.lines(standing, begin),
        loc=reader.whole if head else old.loc._replace(length=len(source) - standing.start(old)),
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
    """Of the old end; the one before it where lines that are whole stand from there on."""
    moved: int
    """By how many rows the lines behind it have moved."""

    @classmethod
    def between(cls, old: str, new: str) -> _Edit:
        most = min(len(old), len(new))
        start = alike(old, new, most)
        behind = most - start
        common = alike_at_end(old, new, behind)
        old_end, end = len(old) - common, len(new) - common
        # What comes or goes often begins as what stands behind it: then it is the lines before that.
        if start in (old_end, end):
            text, stop = (new, end) if start == old_end else (old, old_end)
            back = start - text.rfind("\n", 0, start) - 1
            if text[start - back : start] == text[stop - back : stop]:
                start, old_end, end = start - back, old_end - back, end - back
        row = new.count("\n", 0, start) + 1
        lines = old.count("\n", start, old_end)
        whole = old[old_end - 1 : old_end] == new[end - 1 : end] == "\n"
        return cls(start, old_end, end, row, row + lines - whole, new.count("\n", start, end) - lines)


class _Standing:
    """Where the nodes of the old module stand: their rows then, and offsets now of those outside the edit."""

    def __init__(self, old: ast.Module, source: str, edit: _Edit) -> None:
        self.old = old
        self.edit = edit
        self.places = Places(source)

    def row(self, node: ast.Node) -> int:
        return self.old.lines.row(node.loc.row)

    def place(self, node: ast.Node) -> tuple[int, int]:
        return self.row(node), node.loc.col

    def start(self, node: ast.Node) -> int:
        """The offset in the new source."""
        row = self.row(node)
        if row > self.edit.last_row:
            row += self.edit.moved
        return self.places.starts[row - 1] + node.loc.col - 1

    def leads(self, offset: int) -> bool:
        """Whether nothing but space stands before it on its line."""
        source = self.places.source
        return not source[source.rfind("\n", 0, offset) + 1 : offset].strip()

    def row_of(self, offset: int) -> int:
        """The row in the new source."""
        return bisect_right(self.places.starts, offset)

    def heading(self, number: int) -> int:
        """The rule, or the nearest one before it, that starts with its head: not with one more body's
        brace."""
        while number >= 0 and self._is_body(number):
            number -= 1
        return number

    def following(self, number: int) -> int:
        """The rule, or the nearest one behind it, that starts with its head."""
        while number < len(self.old.rules) and self._is_body(number):
            number += 1
        return number

    def _is_body(self, number: int) -> bool:
        return self.places.source[self.start(self.old.rules[number])] == "{"


@dataclass(frozen=True, slots=True)
class _First:
    """The rules that reading starts with, by number: `edited` is the last that `start`s before the edit,
    `guard` the one before it, whose end the edit may move: there reading `begin`s. Without two such rules it
    begins with the source, and none is kept."""

    guard: int
    edited: int
    start: int
    begin: int


def _first(standing: _Standing) -> _First:
    edit, rules = standing.edit, standing.old.rules
    column = edit.start - standing.places.source.rfind("\n", 0, edit.start)
    edited = standing.heading(bisect_left(rules, (edit.row, column), key=standing.place) - 1)
    guard = standing.heading(edited - 1) if edited >= 0 else -1
    if guard < 0:
        return _First(0, 0, 0, 0)
    return _First(guard, edited, standing.start(rules[edited]), standing.start(rules[guard]))


@dataclass(frozen=True, slots=True)
class _Last:
    """The first rule behind the edit: its number, its start, and the start of the one behind it."""

    rule: int
    start: int
    stop: int


def _last(standing: _Standing) -> _Last | None:
    rules = standing.old.rules
    rule = bisect_left(rules, (standing.edit.last_row + 1, 0), key=standing.place)
    rule = standing.following(rule)
    while rule < len(rules) and not standing.leads(standing.start(rules[rule])):
        rule = standing.following(rule + 1)
    if rule == len(rules):
        return None
    following = standing.following(rule + 1)
    source = standing.places.source
    stop = standing.start(rules[following]) if following < len(rules) else len(source)
    return _Last(rule, standing.start(rules[rule]), stop)


@dataclass(frozen=True, slots=True)
class _Numbering:
    """A line that is read has for its number the row where it stands and `shift`.

    These are `new` numbers, but where all lines between two that are kept are as many as before, and their
    numbers follow each other: then they keep them. `behind` is the row of the first line that is kept behind
    what is read.
    """

    shift: int
    new: bool
    behind: int

    def lines(self, standing: _Standing, begin: int) -> Lines:
        """The lines of the new source, of which those are read that stand from an offset on."""
        before = standing.old.lines
        if not self.new:
            return before
        row = standing.row_of(begin)
        total = len(standing.places.starts) - standing.edit.moved
        moved = standing.edit.moved
        return before.with_new(row, self.behind - moved, self.behind - row, row + self.shift, total)


def _numbering(standing: _Standing, first: _First, last: _Last | None) -> _Numbering | None:
    """None where a line that is kept, and so its number, is read again in part."""
    lines, edit = standing.old.lines, standing.edit
    row = standing.row_of(first.begin)
    behind = standing.row_of(last.start) if last else len(standing.places.starts) + 1
    if not edit.moved and lines.unbroken(row, behind - 1):
        return _Numbering(lines.number(row) - row, False, behind)
    if not (standing.leads(first.begin) and standing.leads(first.start)):
        return None
    following = max(lines.following, len(standing.places.starts) - edit.moved + 1)
    return _Numbering(following - row, True, behind)


@dataclass(frozen=True, slots=True)
class _Item:
    """The rules that stand at one place: several where bodies follow each other."""

    start: int
    rules: list[ast.Rule]


class _Reader(ModuleParser):
    """Reads a part of a module: rules, and at its `head` package and imports too. `read` once."""

    def __init__(self, old: ast.Module, part: Part, shift: int, *, head: bool) -> None:
        super().__init__(part.places.source, old.loc.file, old.version, part=part)
        self._old = old
        self._shift = shift
        self._head = head
        self.whole = self.location(self.token.start, len(self.source))
        """The place of the module, where its head is read."""
        if not head:
            for clause in old.imports:
                self.take_effect(clause)

    def read(self) -> list[_Item] | None:
        """The rules; None where there is an error, or another head than before."""
        items: list[_Item] = []
        if self.lexical_errors or any(_is_metadata(text) for _, text in self.comments):
            return None
        try:
            while self.token.kind != "eof":
                start, count = self.token.start, len(self.rules)
                if not self._head and self.token.kind in ("package", "import") and not self.heads_reference:
                    return None
                self.top_level()
                if len(self.rules) > count:
                    items.append(_Item(start, self.rules[count:]))
        except (ParseError, RecursionError):
            return None
        if self._head and (self.package, tuple(self.imports)) != (self._old.package, self._old.imports):
            return None
        return None if self.errors else items

    # Places are told by the lines' numbers.

    def location(self, start: int, end: int) -> Location:
        place = super().location(start, end)
        return place._replace(row=place.row + self._shift)

    def line(self, row: int) -> str:
        return ""  # what has errors is read as a whole

    def span(self, node: ast.Node) -> Token:
        row = node.loc.row - self._shift
        if not 0 < row <= len(self.lines):
            return self.token  # of an import that has taken effect before: nothing is wrong with it
        start = self.lines[row - 1] + node.loc.col - 1
        return Token("", "", start, start + node.loc.length)


def _comments(standing: _Standing, reader: _Reader, begin: int, end: int) -> tuple[ast.Comment, ...]:
    """The comments that were read from one offset to another, and the old ones of what was not read again."""
    old, edit = standing.old.comments, standing.edit
    read = (
        comment
        for (start, _), comment in zip(reader.comments, reader.comment_nodes(), strict=True)
        if begin <= start < end
    )
    row, last = standing.row_of(begin), standing.row_of(end)
    first = bisect_left(old, (row, 0), key=standing.place)
    if end == len(standing.places.source):
        return (*old[:first], *read)
    return (*old[:first], *read, *old[bisect_left(old, (last - edit.moved, 0), key=standing.place) :])


def _is_metadata(comment: str) -> bool:
    return comment.strip().startswith("METADATA")
