"""Which texts a glob's matcher takes, as a regular expression of RE2, where there is one that is certain.

None is certain where the library looks for one place only, of several delimiters minds the first, or where
lengths that it believes in leave nothing to be told: then its matchers themselves are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from palisade.rego.globs.matchers import (
    All,
    AllBut,
    Around,
    Begins,
    BeginsAndEnds,
    Either,
    Empty,
    Ends,
    Holds,
    Literal,
    Matcher,
    One,
    Row,
    Wild,
)

_MOST_WAYS = 400
"""So many ways of lengths to share out a length are told at most."""


class UncertainError(Exception):
    """The texts that a matcher takes are not told here."""


@dataclass(frozen=True, slots=True)
class Exact:
    """A text."""

    text: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """So many characters of a class or more; just so many where `most` is that."""

    of: str
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class InRow:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these; none at all matches nothing."""

    items: tuple[Node, ...]


Node: TypeAlias = Exact | Repeated | InRow | OneOf

_EMPTY = Exact("")
_NEVER = OneOf(())
_ANY = "."


@dataclass(frozen=True, slots=True)
class Expression:
    """A regular expression that takes just the texts that the glob matches."""

    pattern: str
    """For `re` with DOTALL, and RE2 with the flag `s`."""
    in_ascii: bool
    """Whether it does so for texts of ASCII only."""
    is_linear: bool
    """Whether to try the lengths of its wildcards one by one takes no more than linear time."""


def expression(matcher: Matcher) -> Expression | None:
    """The expression for what a matcher takes; None where none is certain."""
    told = _Told()
    try:
        node = told.taken(matcher)
    except UncertainError:
        return None
    return Expression(_written(node), told.in_ascii, _is_linear(node))


class _Told:
    def __init__(self) -> None:
        self.in_ascii = False
        self._ways = 0

    def taken(self, matcher: Matcher) -> Node:
        """The whole texts that the matcher takes."""
        match matcher:
            case One():
                # Of an empty text the library reads a character that it is not.
                one = _one(matcher)
                return _one_of((one, _EMPTY)) if matcher.has("\ufffd") else one
            case AllBut(marks):
                return _but(marks)
            case Begins(text, marks):
                return _in_row(_exact(text), _but(marks))
            case Ends(text, marks):
                return _in_row(_but(marks), _exact(text))
            case BeginsAndEnds(begin, end):
                return _sharing(begin.decode(), end.decode())
            case Either(items):
                return _one_of(self.taken(each) for each in items)
            case Row():
                return self._row(matcher)
            case Around():
                return self._around(matcher)
        return self._found(matcher, True)

    def _found(self, matcher: Matcher, at_start: bool) -> Node:
        """What a matcher takes where it is looked for, if it is found wherever that stands; or at least where
        that is at the start."""
        match matcher:
            case Empty():
                return _EMPTY
            case Literal(text):
                return _exact(text)
            case One():
                return _one(matcher)
            case All():
                return Repeated(_ANY, 0, None)
            case AllBut(marks) if len(marks) == 1:
                return _but(marks)
            case Wild(least, exact, marks) if at_start and len(marks) <= 1:
                return Repeated(_class(marks), least, least if exact else None)
            case Holds(text):
                return _in_row(_but(""), _exact(text), _but(""))
            case Begins(text, marks) if len(marks) <= 1:
                return _in_row(_exact(text), _but(marks))
            case Ends(text, marks):
                return _first_end(text.decode(), marks)
            case Either(items):
                return _one_of(self._found(each, at_start) for each in items)
            case Row():
                return self._row(matcher)
            case Around():
                return _NEVER
        raise UncertainError

    def _row(self, row: Row) -> Node:
        self.in_ascii = True  # characters of several bytes are cut
        if any(not each.length for each in row.items):
            raise UncertainError
        return _in_row(*(self._of_length(self.taken(each), each.length or 0) for each in row.items))

    def _around(self, around: Around) -> Node:
        for beside in (around.left, around.right):
            if beside is not None and beside.length is not None:
                raise UncertainError
        value = self._found(around.value, around.left is None)
        right = self.taken(around.right) if around.right else _EMPTY
        # Nothing is looked for where nothing is left.
        behind = _not_empty((value, right)) if _may_be_empty(value) else _in_row(value, right)
        return _in_row(self.taken(around.left), behind) if around.left else behind

    def _of_length(self, node: Node, size: int) -> Node:
        """The texts of so many characters."""
        match node:
            case Exact(text):
                return node if len(text) == size else _NEVER
            case Repeated(of, least, most):
                fits = least <= size and (most is None or size <= most)
                return Repeated(of, size, size) if fits else _NEVER
            case OneOf(items):
                return _one_of(self._of_length(each, size) for each in items)
            case InRow((first, *others)):
                rest = _in_row(*others)
                shares = _shares(first, rest, size)
                self._ways += len(shares)
                if self._ways > _MOST_WAYS:
                    raise UncertainError
                return _one_of(
                    _in_row(self._of_length(first, each), self._of_length(rest, size - each))
                    for each in shares
                )
        raise AssertionError(node)


def _shares(first: Node, rest: Node, size: int) -> range:
    """How many of so many characters the first may have, by the lengths that both can have."""
    (first_least, first_most), (rest_least, rest_most) = _sizes(first), _sizes(rest)
    low = first_least if rest_most is None else max(first_least, size - rest_most)
    high = size - rest_least if first_most is None else min(first_most, size - rest_least)
    return range(low, high + 1)


def _sizes(node: Node) -> tuple[int, int | None]:
    """The fewest and the most characters; no most where there is none."""
    match node:
        case Exact(text):
            return len(text), len(text)
        case Repeated(_, least, most):
            return least, most
        case InRow(items):
            sizes = [_sizes(each) for each in items]
            mosts = [most for _, most in sizes if most is not None]
            return sum(least for least, _ in sizes), sum(mosts) if len(mosts) == len(sizes) else None
        case OneOf(items):
            sizes = [_sizes(each) for each in items]
            mosts = [most for _, most in sizes if most is not None]
            return (
                min((least for least, _ in sizes), default=0),
                max(mosts, default=0) if len(mosts) == len(sizes) else None,
            )


def _may_be_empty(node: Node) -> bool:
    if isinstance(node, InRow):
        return all(map(_may_be_empty, node.items))
    if isinstance(node, OneOf):
        return any(map(_may_be_empty, node.items))
    return _sizes(node)[0] == 0


def _not_empty(nodes: Sequence[Node]) -> Node:
    """These one behind the other, without the empty text."""
    match nodes:
        case (Exact(text),):
            return nodes[0] if text else _NEVER
        case (Repeated(of, 0, most),):
            return _NEVER if most == 0 else Repeated(of, 1, most)
        case (Repeated(),):
            return nodes[0]
        case (OneOf(items),):
            return _one_of(_not_empty((each,)) for each in items)
        case (InRow(items),):
            return _not_empty(items)
        case (first, *others):
            ways = [_in_row(_not_empty((first,)), *others)]
            return _one_of((*ways, _not_empty(others)) if _may_be_empty(first) else ways)
    return _NEVER


def _first_end(text: str, marks: str) -> Node:
    """What ends with the text and has it nowhere before."""
    if len(marks) > 1 or not marks.isascii():
        raise UncertainError
    if marks and text.startswith(marks):
        return _in_row(_but(marks), Exact(text))
    if len(text) > 1:
        raise UncertainError
    return _in_row(_but(marks + text), Exact(text))


def _sharing(begin: str, end: str) -> Node:
    """Both may share characters: to the library `/api/` begins with `/api/` and ends with `/`."""
    shared = [size for size in range(1, min(len(begin), len(end)) + 1) if begin.endswith(end[:size])]
    most = max(shared, default=0)
    ways = [_in_row(_but(""), Exact(end[:most]))]
    ways += (Exact(end[size:most]) for size in shared)
    return _in_row(Exact(begin), _one_of(ways), Exact(end[most:]))


def _one_of(nodes: Iterable[Node]) -> Node:
    items: list[Node] = []
    for each in nodes:
        items += each.items if isinstance(each, OneOf) else (each,)
    return items[0] if len(items) == 1 else OneOf(tuple(dict.fromkeys(items)))


def _in_row(*nodes: Node) -> Node:
    items: list[Node] = []
    for each in nodes:
        if each == _NEVER:
            return _NEVER
        items += each.items if isinstance(each, InRow) else () if each == _EMPTY else (each,)
    return items[0] if len(items) == 1 else InRow(tuple(items)) if items else _EMPTY


def _exact(text: bytes) -> Node:
    return Exact(text.decode())


def _but(marks: str) -> Node:
    return Repeated(_class(marks), 0, None)


def _class(marks: str) -> str:
    """The class of all characters but these."""
    return f"[^{in_class(marks)}]" if marks else _ANY


def _one(one: One) -> Node:
    if one.bounds is not None:
        low, high = map(in_class, one.bounds)
        return Repeated(f"[{'^' if one.inverted else ''}{low}-{high}]", 1, 1)
    if one.inverted:
        return Repeated(_class(one.chars), 1, 1)
    return Repeated(f"[{in_class(one.chars)}]", 1, 1)


def _is_linear(node: Node) -> bool:
    """Python's own matcher tries all lengths of one wildcard against all of the next, unless there is but
    one, or each stops at a delimiter that stands between them."""
    if _wildcards(node) <= 1:
        return True
    between: str | None = None
    for each in node.items if isinstance(node, InRow) else ():
        if isinstance(each, Exact):
            between = between and between + each.text
        elif _wildcards(each):
            if not isinstance(each, Repeated) or each.of == _ANY:
                return False
            if between is not None and each.of not in map(_class, between):
                return False
            between = "\0"
    return isinstance(node, InRow)


def _wildcards(node: Node) -> int:
    """How many parts of different lengths stand behind each other at most."""
    match node:
        case Repeated(_, least, most):
            return least != most
        case InRow(items):
            return sum(map(_wildcards, items))
        case OneOf(items):
            return max(1, *map(_wildcards, items)) if len(items) > 1 else 0
    return 0


def _written(node: Node) -> str:
    match node:
        case Exact(text):
            return "".join(map(literal, text))
        case Repeated(of, least, most):
            return of + _count(least, most)
        case InRow(items):
            return "".join(map(_written, items))
        case OneOf(()):
            return "(?:$a)"  # behind the end
        case OneOf(items):
            return f"(?:{'|'.join(map(_written, items))})"


def _count(least: int, most: int | None) -> str:
    if most is None:
        return "*" if least == 0 else "+" if least == 1 else f"{{{least},}}"
    return "" if most == 1 else f"{{{most}}}"


def in_class(chars: str) -> str:
    """Characters as they stand in brackets: escaped by their number, which both matchers read alike."""
    return "".join(char if char.isalnum() and char.isascii() else literal(char) for char in chars)


def literal(char: str) -> str:
    """A character as it stands in an expression."""
    if char.isalnum() or char == "_" or not char.isascii():
        return char
    return f"\\x{ord(char):02x}"
