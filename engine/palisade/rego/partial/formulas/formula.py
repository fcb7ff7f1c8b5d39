"""Conditions on a request: formulas over atoms, simplified as they are built.

A formula is two-valued: it holds of a request or it does not. What Rego calls undefined shows in the atoms:
`In` and `Test` hold only where their terms are defined, so "not equal" is `Defined(t)` and not `In(t, ...)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import TypeAlias

from palisade.rego.errors import Location
from palisade.rego.partial.formulas.decided import simplified
from palisade.rego.partial.formulas.terms import (
    Apply,
    Element,
    Input,
    Symbol,
    Term,
    loops,
)
from palisade.rego.records import record


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


class Formula:
    """A node of the formula graph. Compared by identity: `Builder` makes each only once."""

    __slots__ = ("__dict__", "__weakref__", "args", "atom", "kind")

    def __init__(self, kind: str, args: tuple[Formula, ...] = (), atom: Atom | None = None) -> None:
        self.kind = kind
        self.args = args
        self.atom = atom

    @cached_property
    def loops(self) -> frozenset[int]:
        """The loops whose elements the formula speaks of from outside of their `Exists`."""
        if self.atom is not None:
            return _atom_loops(self.atom)
        return frozenset().union(*(arg.loops for arg in self.args))

    @cached_property
    def implies(self) -> frozenset[Term]:
        """The terms that are defined whenever it holds."""
        return _implied_by(self)

    @cached_property
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

    @property
    def defined(self) -> Term | None:
        """Of a `Defined`, its term."""
        return self.atom.term if type(self.atom) is Defined else None

    @cached_property
    def size(self) -> int:
        """How many parts it has where each is written as often as it stands in it."""
        body = self.atom.body.size if isinstance(self.atom, Exists) else 0
        return 1 + body + sum(arg.size for arg in self.args)

    @cached_property
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


_FEW = 4  # of so many parts it is kept what they come to together
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


def _atom_loops(atom: Atom) -> frozenset[int]:
    if isinstance(atom, Opaque):
        return frozenset()
    if isinstance(atom, Same):
        return loops(atom.left) | loops(atom.right)
    if isinstance(atom, Exists):
        return loops(atom.source) | (atom.body.loops - {atom.loop})
    return loops(atom.term)


class Builder:
    """Makes each formula once, and simplifies where that is cheap: equal parts, complements, `In`."""

    def __init__(self) -> None:
        self._nodes: dict[object, Formula] = {}
        self._together: dict[tuple[Formula, ...], Formula] = {}
        """Conjunctions of few parts: what rules give is put together with the same again and again."""
        self.parts = 0
        """How many parts all formulas that were made have together, those that share one each for itself."""
        self.chooses = False
        """Whether terms may be the only member of what is gathered (`chosen`)."""

    @property
    def size(self) -> int:
        """How many formulas were made."""
        return len(self._nodes)

    def _node(self, kind: str, args: tuple[Formula, ...]) -> Formula:
        found = self._nodes.get((kind, args))
        if found is None:
            found = self._nodes[(kind, args)] = Formula(kind, args)
            self.parts += len(args)
        return found

    def atom(self, atom: Atom) -> Formula:
        """The formula that is one atom."""
        if isinstance(atom, In) and not atom.values:
            return FALSE
        if isinstance(atom, Exists) and atom.body is FALSE:
            return FALSE
        found = self._nodes.get(atom)
        if found is None:
            found = self._nodes[atom] = Formula("atom", atom=atom)
        return found

    def is_in(self, term: Term, values: Iterable[object]) -> Formula:
        """The term equals one of the key forms."""
        return self.atom(In(term, frozenset(values)))

    def negate(self, formula: Formula) -> Formula:
        if formula is TRUE:
            return FALSE
        if formula is FALSE:
            return TRUE
        if formula.kind == "not":
            return formula.args[0]
        return self._node("not", (formula,))

    def both(self, left: Formula, right: Formula) -> Formula:
        if left is TRUE or left is right:
            return right
        return left if right is TRUE else self.all((left, right))

    def all(self, parts: Iterable[Formula]) -> Formula:
        """The conjunction."""
        parts = tuple(parts)
        if len(parts) == 1:
            return parts[0]
        if len(parts) > _FEW:
            return self._all(parts)
        if parts not in self._together:
            self._together[parts] = self._all(parts)
        return self._together[parts]

    def _all(self, parts: tuple[Formula, ...]) -> Formula:
        flat = self._flatten("and", parts, neutral=TRUE, absorbing=FALSE)
        if flat is None:
            return FALSE
        if len(flat) > 1:
            flat = self._merge_in(flat)
            if FALSE in flat:
                return FALSE
            flat = _drop_implied(flat)
        return self._collect("and", flat, neutral=TRUE, absorbing=FALSE)

    def any(self, parts: Iterable[Formula]) -> Formula:
        """The disjunction."""
        if type(parts) is tuple and len(parts) == 1:
            return parts[0]
        flat = self._flatten("or", parts, neutral=FALSE, absorbing=TRUE)
        if flat is None:
            return TRUE
        return self._collect("or", self._union_in(flat), neutral=FALSE, absorbing=TRUE)

    @staticmethod
    def _flatten(
        kind: str, parts: Iterable[Formula], *, neutral: Formula, absorbing: Formula
    ) -> list[Formula] | None:
        flat: dict[Formula, None] = {}
        for part in parts:
            if part is absorbing:
                return None
            if part.kind == kind:
                flat.update(dict.fromkeys(part.args))
            elif part is not neutral:
                flat[part] = None
        return list(flat)

    def _collect(self, kind: str, flat: list[Formula], *, neutral: Formula, absorbing: Formula) -> Formula:
        present: set[Formula] = set()
        plain = True
        for part in flat:
            if part.atom is None:
                plain = False
                if part.kind == "not":
                    present = present or set(flat)
                    if part.args[0] in present:
                        return absorbing
        if not plain and len(flat) > 1:
            left = simplified(kind, flat, self)
            if left is None:
                return absorbing
            if left != flat:
                return self.all(left) if kind == "and" else self.any(left)
        if not flat:
            return neutral
        if len(flat) == 1:
            return flat[0]
        return self._node(kind, tuple(flat))

    def _merge_in(self, flat: list[Formula]) -> list[Formula]:
        """`t in A and t in B` is `t in A & B`; `t in A and not (t in B)` is `t in A - B`."""
        wanted: dict[Term, frozenset[object]] = {}
        merged = False
        for part in flat:
            atom = part.atom
            if type(atom) is In:
                values = wanted.get(atom.term)
                merged = merged or values is not None
                wanted[atom.term] = atom.values if values is None else values & atom.values
        if not wanted:
            return flat
        rest: list[Formula] = []
        found: list[Formula] = []
        for part in flat:
            atom = part.atom
            if type(atom) is In:
                found.append(part)
                continue
            inner = part.args[0].atom if part.kind == "not" else None
            if type(inner) is In and inner.term in wanted:
                wanted[inner.term] -= inner.values
                merged = True
            else:
                rest.append(part)
        if merged:
            found = [self.is_in(term, values) for term, values in wanted.items()]
        return [*found, *rest]

    def _union_in(self, flat: list[Formula]) -> list[Formula]:
        """`t in A or t in B` is `t in A | B`. The union takes the place of the first."""
        union: dict[Term, set[object]] = {}
        for part in flat:
            if isinstance(part.atom, In):
                union.setdefault(part.atom.term, set()).update(part.atom.values)
        result: list[Formula] = []
        done: set[Term] = set()
        for part in flat:
            if not isinstance(part.atom, In):
                result.append(part)
            elif part.atom.term not in done:
                done.add(part.atom.term)
                result.append(self.is_in(part.atom.term, union[part.atom.term]))
        return result


_atom_of = attrgetter("atom")


def _drop_implied(flat: list[Formula]) -> list[Formula]:
    """Leaves out `Defined(t)` where another part cannot hold unless t is defined."""
    if Defined not in map(type, map(_atom_of, flat)):
        return flat
    implied: set[Term] = set().union(*(part.beside for part in flat))
    return [part for part in flat if not (type(part.atom) is Defined and part.atom.term in implied)]


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
