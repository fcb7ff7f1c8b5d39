"""Objects that a policy makes of the query or of a header, as of cookies:
`{k: v | some part in split(cookie, "; "); ...}`.

The sidecar's reader reads such a text as one document. Its coding says how: `pairs`, the mark at which the
text is split, in hexadecimal, and by a letter each how a piece is taken apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from palisade.rego.partial.formulas.formula import Defined, Formula, In, IsKind, Test, nodes
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    Part,
    Symbol,
    subterms,
)
from palisade.rego.partial.symbols.objects import OBJECT
from palisade.rego.values import unkey

TRIMMED, UNSPACED, NAME_TRIMMED, TWO, REST, GUARDED, NAMED = "tskdrgn"
"""Space of any kind is taken off a piece, or only that of the space bar, or any off its name; it has one sign
of equality; the value is all behind the first; there is such a sign; and something before it."""
_FILLED = "filled"
"""A piece is not empty, as none is that has a sign of equality."""


def entries_of(term: Symbol) -> tuple[Input, str, bool] | None:
    """The text and the coding of an object of the entries that stand in a text, and whether that is what is
    behind a question mark in it; None for what is none."""
    match term:
        case Apply(name, (Gathered("set", (part,)),)) if name == OBJECT:
            return _read(part)
    return None


def makes_objects(error: Formula) -> bool:
    """Whether a decision may end in an error of an object in whose entries a key may stand twice."""
    return any(
        isinstance(node.atom, Defined) and isinstance(node.atom.term, Apply) and node.atom.term.name == OBJECT
        for node in nodes(error)
    )


def mark_of(coding: str) -> str:
    """The mark at which a text in a coding of entries is split."""
    return bytes.fromhex(coding.removeprefix("pairs").partition("x")[0]).decode()


def trims(coding: str) -> bool:
    """Whether space is taken off the names in a coding of entries."""
    flags = coding.partition("x")[2]
    return not {TRIMMED, UNSPACED, NAME_TRIMMED}.isdisjoint(flags)


def _read(part: Part) -> tuple[Input, str, bool] | None:
    behind: Symbol
    match part:
        case Part(condition, ((Apply("split", (Input() as behind, Known(str(mark)))) as whole, loop),), item):
            text = behind
        case Part(condition, ((Apply("split", (Apply() as behind, Known(str(mark)))) as whole, loop),), item):
            match behind:
                case Apply(".", (Apply("split", (Input() as text, Known("?"))), Known(1))):
                    pass
                case _:
                    return None
        case _:
            return None
    if not mark or not mark.isascii() or "=" in mark:
        return None
    element = Element(whole, loop)
    trimming = (
        (element, ""),
        (Apply("trim_space", (element,)), TRIMMED),
        (Apply("trim", (element, Known(" "))), UNSPACED),
    )
    for piece, trimmed in trimming:
        flags = _flags(piece, item, [each for each in _parts(condition) if not _is_there(each, behind)])
        if flags is not None:
            return text, f"pairs{mark.encode().hex()}x{trimmed}{flags}", behind != text
    return None


def _is_there(condition: Formula, text: Symbol) -> bool:
    """Whether it says that the text is there, as it is where there are pieces of it."""
    return isinstance(condition.atom, Defined) and condition.atom.term in {*subterms(text)}


def _parts(condition: Formula) -> tuple[Formula, ...]:
    return condition.args if condition.kind == "and" else () if condition.kind == "true" else (condition,)


def _flags(piece: Symbol, item: Symbol, conditions: Iterable[Formula]) -> str | None:
    """How the entry is taken out of the piece; None for other ways."""
    if not isinstance(item, ArrayOf) or len(item.items) != 2:
        return None
    halves = Apply("split", (piece, Known("=")))
    sign = Apply("indexof", (piece, Known("=")))
    first, second = (Apply(".", (halves, Known(at))) for at in (0, 1))
    before = Apply("substring", (piece, Known(0), sign))
    behind = Apply("substring", (piece, Apply("plus", (sign, Known(1))), Known(-1)))
    name, value = item.items
    flags = set[str]()
    if isinstance(name, Apply) and name.name == "trim_space":
        flags.add(NAME_TRIMMED)
        (name,) = name.args
    if value == behind:
        flags.add(REST)
    elif value != second:
        return None
    else:
        flags.add(GUARDED)  # there is no second half without the sign
    if name not in (first, before):
        return None
    always = {
        halves,
        first,
        sign,
        before,
        behind,
        piece,
        name,
        item.items[0],
        Apply("plus", (sign, Known(1))),
    }
    for each in conditions:
        found = _of_condition(each, halves, sign, piece, {*always, second})
        if found is None:
            return None
        flags |= found
    if _FILLED in flags and GUARDED not in flags:
        return None
    return "".join(each for each in (NAME_TRIMMED, TWO, REST, GUARDED, NAMED) if each in flags)


def _untrimmed(piece: Symbol) -> tuple[Symbol, ...]:
    """What space is taken off to make a piece."""
    return piece.args[:1] if isinstance(piece, Apply) else ()


def _of_condition(
    part: Formula, halves: Apply, sign: Apply, piece: Symbol, known: set[Symbol]
) -> set[str] | None:
    """What a condition asks of a piece beside that its parts are there; None for others."""
    negated = part.kind == "not"
    match (part.args[0] if negated else part).atom:
        case Defined(term) if term in known and not negated:
            return {GUARDED} if term == Apply(".", (halves, Known(1))) else set()
        case IsKind(term, "array") if term == halves and not negated:
            return set()
        case In(Apply("count", (term,)), values) if term == halves and not negated:
            return {TWO} if {*map(unkey, values)} == {2} else None
        case In(term, values) if negated and term in (piece, *_untrimmed(piece)):
            return {_FILLED} if {*map(unkey, values)} == {""} else None
        case In(term, values) if term == sign and negated:
            asked = {*map(unkey, values)}
            return {GUARDED} if asked == {-1} else {GUARDED, NAMED} if asked == {-1, 0} else None
        case Test(Apply("gte", (term, Known(0)))) | Test(Apply("gt", (term, Known(-1)))) if term == sign:
            return None if negated else {GUARDED}
        case Test(Apply("gt", (term, Known(0)))) | Test(Apply("gte", (term, Known(1)))) if term == sign:
            return None if negated else {GUARDED, NAMED}
        case Test(Apply("contains", (term, Known("=")))) if term == piece:
            return None if negated else {GUARDED}
        case Test(Apply("gte", (Apply("count", (term,)), Known(2)))) if term == halves:
            return None if negated else {GUARDED}
        case Test(Apply("gt", (Apply("count", (term,)), Known(1)))) if term == halves:
            return None if negated else {GUARDED}
    return None
