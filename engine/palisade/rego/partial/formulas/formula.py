"""Conditions on a request: formulas over atoms. A `Builder` makes them, and simplifies them as it does.

A formula is two-valued: it holds of a request or it does not. What Rego calls undefined shows in the atoms:
`In` and `Test` hold only where their terms are defined, so "not equal" is `Defined(t)` and not `In(t, ...)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

from palisade.rego.errors import Location
from palisade.rego.partial.formulas.operands import simple_of
from palisade.rego.partial.formulas.terms import (
    Apply,
    Element,
    Input,
    Known,
    Symbol,
    Term,
    loops,
    unknown_in,
)
from palisade.rego.records import kept_property, record
from palisade.rego.values import type_name, unkey


@record()
class In:
    """The term is defined and equals one of the values (key forms)."""

    term: Term
    values: frozenset[object]


@record()
class Defined:
    """The term has a value: the walk leads somewhere, or the builtin takes its operands."""

    term: Term


@record()
class Same:
    """Both terms are defined and equal."""

    left: Term
    right: Symbol


@record()
class Test:
    """The builtin, one that answers with a boolean, is defined and answers true."""

    term: Apply


@record()
class IsKind:
    """The term is defined and an `array`, `object` or `set`."""

    term: Term
    kind: str


@record()
class Exists:
    """Some member (and its key) of the unknown collection `source` makes `body` hold.

    In `body` the member is `Element(source, loop)`. False where the source is no collection.
    """

    source: Term
    loop: int
    body: Formula


@record()
class Opaque:
    """A condition that only the evaluator can decide, and why."""

    reason: str
    location: Location
    serial: int


Atom: TypeAlias = In | Defined | Same | Test | IsKind | Exists | Opaque


_COLLECTIONS = frozenset(("array", "object", "set"))
IS_KIND = frozenset(f"is_{kind}" for kind in (*_COLLECTIONS, "boolean", "null", "number", "string"))
"""Builtins that ask of what kind a value is; each is named after the kind."""


_FEW = 4
"""Of at most so many values it is looked at of what kinds they are."""


_MOST_WAYS, _DEEPEST = 16, 3
"""Of a formula of more parts, and deeper within one, it is not looked at which constants terms are."""


class Formula:
    """A node of the formula graph. Compared by identity: `Builder` makes each only once."""

    __slots__ = ("__dict__", "__weakref__", "args", "atom", "kind")

    def __init__(self, kind: str, args: tuple[Formula, ...] = (), atom: Atom | None = None) -> None:
        self.kind = kind
        self.args = args
        self.atom = atom

    @kept_property
    def loops(self) -> frozenset[int]:
        """The loops whose elements the formula speaks of from outside of their `Exists`."""
        if self.atom is not None:
            return _atom_loops(self.atom)
        return frozenset().union(*(arg.loops for arg in self.args))

    @kept_property
    def kinds(self) -> tuple[tuple[Term, frozenset[str]], ...]:
        """The kinds of which terms are wherever it holds: those that it asks for, and those without which a
        builtin has no answer."""
        told = [] if self.of_kind is None else [self.of_kind]
        match self.atom:
            case Exists(term):
                told.append((term, _COLLECTIONS))
            case In(term, values) if len(values) <= _FEW:
                told.append((term, frozenset(type_name(unkey(form)) for form in values)))
        if self.atom is not None:
            told += [each for term in self.implies if isinstance(term, Apply) for each in _taken(term)]
        return tuple((term, kinds) for term, kinds in told if unknown_in(term) is None)

    @kept_property
    def of_kind(self) -> tuple[Term, frozenset[str]] | None:
        """Of what asks of a term nothing but its kind, both."""
        match self.atom:
            case IsKind(term, kind):
                return term, frozenset((kind,))
            case Test(Apply(name, (Input() | Element() | Apply() as term,))) if name in IS_KIND:
                return term, frozenset((name.removeprefix("is_"),))
        return None

    @kept_property
    def implies(self) -> frozenset[Term]:
        """The terms that are defined whenever it holds."""
        return _implied_by(self)

    @kept_property
    def beside(self) -> frozenset[Term]:
        """As `implies`, without the term of which it says nothing but that it is defined."""
        if isinstance(self.atom, Defined):
            return _needed(self.atom.term, strict=True)
        return self.implies

    @property
    def among(self) -> tuple[Term, frozenset[object]] | None:
        """Of an `In`, its term and values."""
        atom = self.atom
        return (atom.term, atom.values) if type(atom) is In else None

    @kept_property
    def values(self) -> tuple[tuple[Term, frozenset[object]], ...]:
        """Terms that are one of some constants wherever it holds, and these constants."""
        return tuple(_values_in(self, _DEEPEST))

    @kept_property
    def begins(self) -> tuple[Term, str] | None:
        """Of a `startswith` of a constant, the text that it asks of and how that has to begin."""
        match self.atom:
            case Test(Apply("startswith", (Input() | Element() | Apply() as text, Known(str(prefix))))):
                return text, prefix
        return None

    @property
    def defined(self) -> Term | None:
        """Of a `Defined`, its term."""
        return self.atom.term if type(self.atom) is Defined else None

    @kept_property
    def size(self) -> int:
        """How many parts it has where each is written as often as it stands in it."""
        body = self.atom.body.size if isinstance(self.atom, Exists) else 0
        return 1 + body + sum(arg.size for arg in self.args)

    @kept_property
    def negates(self) -> bool:
        """Whether any of its parts is a negation."""
        return any(part.kind == "not" for part in self.args)

    @kept_property
    def opaque(self) -> bool:
        """Whether any part of it can be decided by the evaluator only."""
        if isinstance(self.atom, Opaque):
            return True
        if isinstance(self.atom, Exists):
            return self.atom.body.opaque
        return any(arg.opaque for arg in self.args)

    def __repr__(self) -> str:
        if self.kind == "atom":
            return repr(self.atom)
        if self.kind in ("true", "false"):
            return self.kind
        return f"{self.kind}({', '.join(map(repr, self.args))})"


TRUE = Formula("true")
FALSE = Formula("false")


def nodes(formula: Formula, *, bodies: bool = True) -> Iterator[Formula]:
    """The formula and all that it is made of, each once; with `bodies` those of its loops too."""
    seen: set[Formula] = set()
    stack = [formula]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(node.args)
        if bodies and isinstance(node.atom, Exists):
            stack.append(node.atom.body)


def _values_in(formula: Formula, deep: int) -> Iterator[tuple[Term, frozenset[object]]]:
    """Terms that are one of some constants wherever the formula holds, so deep in it."""
    if formula.among is not None:
        yield formula.among
    elif not deep or len(formula.args) > _MOST_WAYS:
        return
    elif formula.kind == "and":
        for arg in formula.args:
            yield from _values_in(arg, deep - 1)
    elif formula.kind == "or":
        first, *others = (dict(_values_in(arg, deep - 1)) for arg in formula.args)
        for term, values in first.items():
            if all(term in own for own in others):
                yield term, values.union(*(own[term] for own in others))


def _atom_loops(atom: Atom) -> frozenset[int]:
    if isinstance(atom, Opaque):
        return frozenset()
    if isinstance(atom, Same):
        return loops(atom.left) | loops(atom.right)
    if isinstance(atom, Exists):
        return loops(atom.source) | (atom.body.loops - {atom.loop})
    return loops(atom.term)


def _implied_by(formula: Formula) -> frozenset[Term]:
    """The terms that are defined whenever the formula holds."""
    atom = formula.atom
    if formula.kind == "and":
        return frozenset().union(*(arg.implies for arg in formula.args))
    if formula.kind == "or":
        return formula.args[0].implies.intersection(*(arg.implies for arg in formula.args[1:]))
    if isinstance(atom, (Defined, In, IsKind)):
        return _needed(atom.term)
    if isinstance(atom, Exists):
        return _needed(atom.source)
    if isinstance(atom, Same):
        return _needed(atom.left) | _needed(atom.right)
    if isinstance(atom, Test):
        return _needed(atom.term)
    return frozenset()


def _taken(call: Apply) -> Iterator[tuple[Term, frozenset[str]]]:
    """The kinds of the operands without which a call has no answer."""
    for at, kind in simple_of(call.name):
        if at < len(call.args) and isinstance(operand := call.args[at], (Apply, Input, Element)):
            yield operand, frozenset((kind.name,))


def _needed(symbol: Symbol, *, strict: bool = False) -> frozenset[Term]:
    """The terms that are defined whenever `symbol` is; with `strict` those beside itself."""
    if isinstance(symbol, (Apply, Input, Element)):
        return _beside(symbol) if strict else _with_beside(symbol)
    return frozenset()


@lru_cache(1 << 16)
def _with_beside(term: Term) -> frozenset[Term]:
    return _beside(term) | {term}


@lru_cache(1 << 16)
def _beside(term: Term) -> frozenset[Term]:
    if isinstance(term, Apply):
        return frozenset().union(*map(_needed, term.args))
    if isinstance(term, Input):
        # The terms above are the same objects for all that stand below them: sets of these are put together
        # for each rule, and need not ask whether terms are equal then.
        found: frozenset[Term] = frozenset()
        for length in range(len(term.path)):
            found = _with_beside(Input(term.path[:length]))
        return found
    if isinstance(term, Element):
        source, loop, keys = term.source, term.loop, term.of_keys
        return frozenset(Element(source, loop, keys, term.path[:length]) for length in range(len(term.path)))
    return frozenset()
