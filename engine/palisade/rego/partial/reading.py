"""Conditions on a request, read for one request: the plainest meaning of what partial evaluation gives.

It is slow and simple on purpose: tests hold partial evaluation to the reference evaluator with it, and
explanations are made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.formula import (
    Atom,
    Defined,
    Exists,
    Formula,
    In,
    IsKind,
    Opaque,
    Same,
    Test,
)
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
from palisade.rego.partial.symbols.chosen import CHOSEN, SEVERAL
from palisade.rego.partial.symbols.chosen import value_of as of_members
from palisade.rego.partial.symbols.construct import lookup
from palisade.rego.partial.symbols.objects import OBJECT, value_of
from palisade.rego.values import UNDEFINED, Set, Value, equal, key, sorted_keys, sorted_values, unkey


class Unsure(Exception):  # noqa: N818  it is an answer: only the evaluator can tell
    """The condition depends on what is opaque."""


Bindings = Mapping[int, tuple[Value, Value]]
"""The key and the member that each loop stands at."""

_NONE: Bindings = MappingProxyType({})
_IN_ANY_ORDER = frozenset(("count", "max", "min", "product", "sort", "sum"))
"""Builtins that make the same of a list, whichever way its members are ordered."""


class Reading:
    """One request. Formulas share parts: what is read once is remembered."""

    def __init__(self, document: Value) -> None:
        self._document = document
        self._known: dict[object, bool | None] = {}
        self._bindings: list[Bindings] = []

    def holds(self, formula: Formula, bindings: Bindings = _NONE) -> bool:
        """Whether the formula holds. Raises Unsure."""
        found = self.truth(formula, bindings)
        if found is None:
            raise Unsure
        return found

    def truth(self, formula: Formula, bindings: Bindings = _NONE) -> bool | None:
        """True, false, or None where only the evaluator knows. Shared parts are read once."""
        asked: object = formula
        if formula.loops:
            asked = formula, id(bindings)
            if asked not in self._known:
                self._bindings.append(bindings)  # kept, so that no other gets its id
        if asked not in self._known:
            self._known[asked] = self._read(formula, bindings)
        return self._known[asked]

    def hidden(self, atom: Atom) -> bool:
        """Whether the condition asks of what is not known of the request: of a whole one nothing is."""
        return False

    def _read(self, formula: Formula, bindings: Bindings) -> bool | None:
        if formula.atom is not None:
            try:
                return self._atom(formula.atom, bindings)
            except Unsure:
                return None
        if formula.kind in ("true", "false"):
            return formula.kind == "true"
        if formula.kind == "not":
            inner = self.truth(formula.args[0], bindings)
            return None if inner is None else not inner
        decisive = formula.kind == "or"
        unsure = False
        for arg in formula.args:
            found = self.truth(arg, bindings)
            if found is decisive:
                return decisive
            unsure = unsure or found is None
        return None if unsure else not decisive

    def _atom(self, atom: Atom, bindings: Bindings) -> bool | None:
        if isinstance(atom, Opaque):
            return None
        if isinstance(atom, Exists):
            return self._exists(atom, bindings)
        if isinstance(atom, Same):
            left, right = self.value(atom.left, bindings), self.value(atom.right, bindings)
            return left is not UNDEFINED and right is not UNDEFINED and equal(left, right)
        value = self.value(atom.term, bindings)
        if value is UNDEFINED:
            return False
        match atom:
            case In(_, values):
                return key(value) in values
            case Defined():
                return True
            case Test():
                return value is True
            case IsKind(_, kind):
                return isinstance(value, {"array": list, "object": dict, "set": Set}[kind])

    def _exists(self, atom: Exists, bindings: Bindings) -> bool | None:
        unsure = False
        for pair in _members(self.value(atom.source, bindings)):
            found = self.truth(atom.body, {**bindings, atom.loop: pair})
            if found:
                return True
            unsure = unsure or found is None
        return None if unsure else False

    def value(self, symbol: Symbol, bindings: Bindings = _NONE) -> Value:
        """The value of a symbol, UNDEFINED where it has none. Raises Unsure."""
        match symbol:
            case Known(value):
                return value
            case Input(path):
                return self._walk(self._document, path, bindings)
            case Element(_, loop, of_keys, path):
                return self._walk(bindings[loop][0 if of_keys else 1], path, bindings)
            case Apply(name, (Gathered("array", parts, False, True),)) if name in _IN_ANY_ORDER:
                return self._call(name, [self.value(Gathered("array", parts), bindings)])
            case Apply(name, args):
                return self._call(name, [self.value(arg, bindings) for arg in args])
            case ArrayOf(items):
                return _whole([self.value(item, bindings) for item in items])
            case SetOf(items):
                found = _whole([self.value(item, bindings) for item in items])
                return found if found is UNDEFINED else Set.of(found)
            case ObjectOf(pairs):
                values = {form: self.value(item, bindings) for form, item in pairs}
                return UNDEFINED if UNDEFINED in values.values() else values
            case Gathered(kind, parts, True):
                members = [each for part in parts for each in self._gathered(part, bindings)]
                return Set.of(members) if kind == "set" else members
        raise Unsure

    def _gathered(self, part: Part, bindings: Bindings) -> Iterator[Value]:
        if not part.over:
            # Without its value it is asked of beside what says that there is one.
            if self.holds(part.condition, bindings) and (
                (value := self.value(part.item, bindings)) is not UNDEFINED
            ):
                yield value
            return
        (source, loop), *rest = part.over
        for pair in _members(self.value(source, bindings)):
            inner = Part(part.condition, tuple(rest), part.item)
            yield from self._gathered(inner, {**bindings, loop: pair})

    def _walk(self, value: Value, path: tuple[Any, ...], bindings: Bindings) -> Value:
        for step in path:
            name = self.value(step, bindings) if isinstance(step, Input | Element | Apply) else unkey(step)
            value = UNDEFINED if name is UNDEFINED else lookup(value, name)
            if value is UNDEFINED:
                return UNDEFINED
        return value

    @staticmethod
    def _call(name: str, args: list[Value]) -> Value:
        if any(arg is UNDEFINED for arg in args):
            return UNDEFINED
        if name == ".":
            return lookup(args[0], args[1])
        if name == OBJECT:
            return value_of(args[0])
        if name in (CHOSEN, SEVERAL):
            return of_members(name, args[0])
        if not BUILTINS[name].pure:
            raise Unsure
        try:
            return BUILTINS[name].function(*args)
        except BuiltinError as error:
            if error.fatal:
                raise Unsure from error
            return UNDEFINED


def _whole(items: list[Value]) -> Value:
    return UNDEFINED if any(item is UNDEFINED for item in items) else items


def _members(collection: Value) -> list[tuple[Value, Value]]:
    """The keys and members of a collection, in Rego's order."""
    if isinstance(collection, dict):
        return [(name, collection[key(name)]) for name in sorted_keys(collection)]
    if isinstance(collection, list):
        return list(enumerate(collection))
    if isinstance(collection, Set):
        return [(item, item) for item in sorted_values(collection)]
    return []
