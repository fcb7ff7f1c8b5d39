"""Match terms against types: may the term have the type, and what does that say of its variables?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any as AnyJson

from palisade.rego import ast
from palisade.rego.check import types as t
from palisade.rego.check.types import ANY, Type


class Matcher:
    """Knows the types of variables, by name; learns those of new ones by matching."""

    def __init__(self) -> None:
        self.vars: dict[str, Type] = {}

    def type_of(self, term: ast.Term) -> Type | None:
        """The term's type; None where it holds variables that nothing is known of yet."""
        raise NotImplementedError

    def accepts(self, term: ast.Term, found: Type, want: Type) -> bool:
        """Whether a function that wants a type takes this term: literals are matched part by part, too."""
        literal = isinstance(term, (ast.Array, ast.Object, ast.Set))
        return t.unifies(found, want) and (not literal or self.fits(term, want))

    def both(self, left: ast.Term, first: Type | None, right: ast.Term, second: Type | None) -> bool:
        """Whether two terms can be equal; variables without a type get the other side's."""
        if first is None and second is not None:
            return self.fits(left, second)
        if second is None and first is not None:
            return self.fits(right, first)
        if first is not None and second is not None:
            return t.unifies(first, second)
        if isinstance(left, ast.Array) and isinstance(right, ast.Array):
            return len(left.items) == len(right.items) and all(
                self.both(a, self.type_of(a), b, self.type_of(b))
                for a, b in zip(left.items, right.items, strict=True)
            )
        if isinstance(left, ast.Object) and isinstance(right, ast.Object):
            others = dict(right.items)
            return len(others) == len(left.items) and all(
                key in others
                and self.both(value, self.type_of(value), others[key], self.type_of(others[key]))
                for key, value in left.items
            )
        self._open(left)
        self._open(right)
        return True

    def _open(self, term: ast.Term) -> None:
        """Nothing is known of the term's new variables: they may hold anything."""
        for each in ast.walk(term):
            if isinstance(each, ast.Var):
                self.vars.setdefault(each.name, ANY)

    def fits(self, term: ast.Term, want: Type | None, either: bool = False) -> bool:
        """Whether the term may have the type; its new variables get what the type says of them.

        `either`: the type is one of several, so that a variable's type grows instead.
        """
        if isinstance(term, ast.Var):
            known = self.vars.get(term.name)
            if known is None or either:
                self.vars[term.name] = t.union(known, want) or ANY
                return True
            return t.unifies(known, want)
        if not isinstance(term, (ast.Array, ast.Object, ast.Set)):
            return t.unifies(self.type_of(term) or ANY, want)
        if isinstance(want, t.Any):
            if not want.of:
                for part in _parts(term):
                    self.fits(part, ANY, True)
                return True
            fits = False
            for each in want.of:
                # Each of them counts: a variable may have the type of any.
                fits = self.fits(term, each, True) or fits
            return fits
        if isinstance(term, ast.Array):
            return isinstance(want, t.Array) and self._array_fits(term, want, either)
        if isinstance(term, ast.Set):
            return isinstance(want, t.SetOf) and all(self.fits(each, want.of, either) for each in term.items)
        return isinstance(want, t.Object) and self._object_fits(term, want, either)

    def _array_fits(self, term: ast.Array, want: t.Array, either: bool) -> bool:
        if len(term.items) != len(want.static) and want.dynamic is None:
            return False
        return all(
            self.fits(each, want.static[index] if index < len(want.static) else want.dynamic, either)
            for index, each in enumerate(term.items)
        )

    def _object_fits(self, term: ast.Object, want: t.Object, either: bool) -> bool:
        if len(term.items) != len(want.static) and want.dynamic is None:
            return False
        for key, value in term.items:
            known = constant_key(key)
            if known is not None:
                below = t.select(want, known)
                if below is None or not self.fits(value, below, either):
                    return False
            else:
                self.fits(value, ANY, either)
        return True


def constant_key(term: ast.Term) -> t.Constant | None:
    """The key that a term without variables is known by; None for another."""
    if isinstance(term, ast.Scalar):
        return t.constant(term.value)
    value = _constant(term)
    return None if value is _NONE else ("any", t.Whole(json.dumps(value, sort_keys=True), t.of_json(value)))


_NONE = object()


def _constant(term: ast.Term) -> AnyJson:
    """The value of a term without variables as OPA writes it in JSON; `_NONE` of another."""
    if isinstance(term, ast.Scalar):
        return float(term.value) if isinstance(term.value, Decimal) else term.value
    if isinstance(term, (ast.Array, ast.Set)):
        found = [_constant(each) for each in term.items]
        if isinstance(term, ast.Set):
            found.sort(key=repr)
        return _NONE if _NONE in found else found
    if isinstance(term, ast.Object):
        pairs = [(_constant(key), _constant(value)) for key, value in term.items]
        if any(_NONE in pair for pair in pairs):
            return _NONE
        return {key if isinstance(key, str) else json.dumps(key): value for key, value in pairs}
    return _NONE


def _parts(term: ast.Array | ast.Object | ast.Set) -> Iterable[ast.Term]:
    if isinstance(term, ast.Object):
        return (part for pair in term.items for part in pair)
    return term.items
