"""Loops over cookies that look for one by its name: `some part in split(http.headers.cookie, "; ");
startswith(part, "session="); value := substring(part, 8, -1)`.

Where all cookies are written as usual, and that name stands there once, such a loop has one piece to look at:
what it asks of that is asked of the value that stands between the name and a semicolon. Terms of that form
are known wherever a policy takes a cookie out of the header: as tokens, as documents, as texts.
"""

from __future__ import annotations

from collections.abc import Iterator

from palisade.enforce.envoy.tokens.places import CookiePlace, cookie
from palisade.enforce.envoy.tokens.taking import COOKIES
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import TRUE, Exists, Formula, In, IsKind, Test
from palisade.rego.partial.formulas.rewriting import with_terms
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
)
from palisade.rego.partial.symbols.chosen import CHOSEN
from palisade.rego.values import unkey


class _OtherError(Exception):
    pass


def one_cookie(builder: Builder, atom: Exists) -> tuple[CookiePlace, Formula] | None:
    """The cookie that a loop looks for, and what it asks of its value; None for other loops."""
    for place, piece, named in _named(atom):
        taken = _Taken(place.name, piece, atom.loop)
        rest = [each for each in _parts(atom.body) if each is not named and not taken.is_sure(each)]
        try:
            asked = with_terms(builder, builder.all(rest), taken.put_into)
        except (_OtherError, TypeError):
            continue
        if atom.loop not in asked.loops:
            return place, asked
    return None


def without_loop(term: Symbol) -> Symbol:
    """What a rule gives that loops over cookies for one by its name, as what is taken of that cookie; the
    term itself where it is something else."""
    found = cookie_in(term)
    return term if found is None else found[1]


def cookie_in(term: Symbol) -> tuple[CookiePlace, Symbol] | None:
    """The cookie that a rule looks for in a loop, and what it takes of that where the cookies are plain; None
    for other terms."""
    match term:
        case Apply(name, (Gathered(_, (Part(condition, ((source, loop),), item),)),)) if name == CHOSEN:
            for place, piece, _ in _named(Exists(source, loop, condition)):
                try:
                    return place, _Taken(place.name, piece, loop).put_into(item)
                except _OtherError:
                    continue
    return None


def _parts(body: Formula) -> tuple[Formula, ...]:
    return body.args if body.kind == "and" else () if body is TRUE else (body,)


def _named(atom: Exists) -> Iterator[tuple[CookiePlace, Symbol, Formula]]:
    """The cookies that a piece of the header is asked to be, what stands for the piece, and where it is."""
    match atom.source:
        case Apply("split", (whole, Known(str(mark)))) if whole == COOKIES and mark in ("; ", ";"):
            pass
        case _:
            return
    element = Element(atom.source, atom.loop)
    trimmed = Apply("trim_space", (element,))
    pieces = (element, trimmed) if mark == "; " else (trimmed,)
    for each in _parts(atom.body):
        name = ""
        match each.atom:
            case Test(Apply("startswith", (piece, Known(str(begin))))) if piece in pieces and begin.endswith(
                "="
            ):
                name = begin[:-1]
            case In(Apply(".", (Apply("split", (piece, Known("="))), Known(0))), values) if (
                piece in pieces and len(values) == 1
            ):
                (only,) = map(unkey, values)
                name = only if isinstance(only, str) else ""
            case _:
                continue
        place = cookie(name) if name and "=" not in name else None
        if place is not None:
            yield place, piece, each


class _Taken:
    """Puts the value of a cookie in the place of what takes it out of a piece of the header."""

    def __init__(self, name: str, piece: Symbol, loop: int) -> None:
        begin, halves = Known(f"{name}="), Apply("split", (piece, Known("=")))
        behind = Apply(".", (Apply("split", (COOKIES, begin)), Known(1)))
        self._value = Apply(".", (Apply("split", (behind, Known(";"))), Known(0)))
        self._halves, self._loop = halves, loop
        self._ways = {
            Apply("trim_prefix", (piece, begin)),
            Apply("replace", (piece, begin, Known(""))),
            Apply(".", (Apply("split", (piece, begin)), Known(1))),
            Apply(".", (halves, Known(1))),
            Apply("substring", (piece, Known(len(name) + 1), Known(-1))),
        }

    def is_sure(self, asked: Formula) -> bool:
        """Whether it holds of `name=value` without another sign of equality."""
        match asked.atom:
            case IsKind(term, "array"):
                return term == self._halves
            case In(Apply("count", (term,)), values):
                return term == self._halves and {*map(unkey, values)} == {2}
        return False

    def put_into(self, symbol: Symbol) -> Symbol:
        """The symbol with the value in it. Raises _OtherError for what is put together of loops."""
        if symbol in self._ways:
            return self._value
        match symbol:
            case Apply(name, args):
                return Apply(name, tuple(map(self.put_into, args)))
            case Element(source, loop, of_keys, path):
                if loop == self._loop:
                    raise _OtherError
                return Element(self.put_into(source), loop, of_keys, tuple(map(self._step, path)))  # type: ignore[arg-type]  # a place stays one
            case Input(path):
                return Input(tuple(map(self._step, path)))
            case ArrayOf(items) | SetOf(items):
                return type(symbol)(tuple(map(self.put_into, items)))
            case ObjectOf(items):
                return ObjectOf(tuple((form, self.put_into(each)) for form, each in items))
            case Gathered():
                raise _OtherError
        return symbol

    def _step(self, step: object) -> object:
        return self.put_into(step) if isinstance(step, Input | Element | Apply) else step
