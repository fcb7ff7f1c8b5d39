"""Objects whose keys are known, but not which of them are there: `{r.role: r.level | some r in data.rows}`.

Each row is an entry under a condition of the request. As states of their own, with and without each entry,
twenty rows would be a million; as one object with so many entries they are asked one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import TRUE, Defined, Formula, IsKind
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    Part,
    Symbol,
)
from palisade.rego.partial.symbols.kinds import is_text
from palisade.rego.partial.symbols.objects import entries_of, is_made
from palisade.rego.partial.symbols.sets import Cases
from palisade.rego.values import key, sorted_values, unkey

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

AS_PATH = "looks up an array of the request as a path"
"""Why only the evaluator knows a value: said under the condition that a key is an array."""

_TERMS = (Input, Element, Apply)


class Named:
    """The values that may stand at each key, each under its condition. Of two at one key only one is there:
    elsewhere the evaluation ends in an error, which is said where the object is complete (`one_each`)."""

    def __init__(self, run: Members, table: Mapping[object, Mapping[Symbol, Formula]]) -> None:
        self._run = run
        self._table = table
        self._there = {form: run.builder.any(values.values()) for form, values in table.items()}

    @classmethod
    def of(cls, run: Members, symbol: Symbol) -> Named | None:
        """That of an object that is put together; None where a key is not known, or stands in a loop."""
        parts = entries_of(symbol) if is_made(symbol) else None
        if parts is None:
            return None
        table: dict[object, dict[Symbol, list[Formula]]] = {}
        for part in parts:
            match part:
                case Part(condition, (), ArrayOf((Known() as name, value))):
                    table.setdefault(name.form, {}).setdefault(value, []).append(condition)
                case _:
                    return None
        some = run.builder.any
        return cls(run, {form: {v: some(c) for v, c in values.items()} for form, values in table.items()})

    def one_each(self) -> Formula:
        """No key has two values."""
        builder, run = self._run.builder, self._run
        conflicts: list[Formula] = []
        for values in self._table.values():
            before: list[tuple[Symbol, Formula]] = []
            for value, there in values.items():
                for other, also in before:
                    differ = builder.negate(run.equal(value, other))
                    conflicts.append(builder.all((there, also, differ)))
                before.append((value, there))
        return builder.negate(builder.any(conflicts))

    def filled(self) -> Formula:
        """Any entry is there."""
        return self._run.builder.any(self._there.values())

    def keys(self) -> Gathered:
        """The set of the keys."""
        return Gathered("set", tuple(Part(there, (), _name(form)) for form, there in self._in_order()))

    def members(self) -> list[tuple[Part, Symbol]]:
        """The values with their keys, in Rego's order."""
        return [
            (Part(there, (), value), _name(form))
            for form, _ in self._in_order()
            for value, there in self._at_key(form)
        ]

    def at(self, part: Symbol) -> Cases:
        """What stands at a key: a case for each different value."""
        builder = self._run.builder
        if isinstance(part, Known):
            return [(there, value) for value, there in self._at_key(part.form)]
        found: dict[Symbol, list[Formula]] = {}
        for form in self._table:
            here = self._run.equal(part, _name(form))
            for value, there in self._at_key(form):
                found.setdefault(value, []).append(builder.both(here, there))
        return [(builder.any(conditions), value) for value, conditions in found.items()]

    def get(self, part: Symbol, default: Symbol) -> Cases | None:
        """`object.get(xs, k, default)`. None for a path of several keys."""
        if not isinstance(part, Known | Input | Element | Apply):
            return None
        if isinstance(part, Known) and isinstance(part.value, list):
            return None
        return or_default(self._run, self.at(part), part, default)

    def equals(self, wanted: Mapping[object, object]) -> Formula:
        """The object is that of constants, by key forms."""
        run, builder = self._run, self._run.builder
        others = [there for form, there in self._there.items() if form not in wanted]
        same = [
            builder.any(
                builder.both(there, run.equal(value, Known(wanted[form])))
                for value, there in self._table.get(form, {}).items()
            )
            for form in wanted
        ]
        return builder.all((*same, builder.negate(builder.any(others))))

    def _at_key(self, form: object) -> Sequence[tuple[Symbol, Formula]]:
        """The values that may stand at a key, no two of them together."""
        builder = self._run.builder
        found: list[tuple[Symbol, Formula]] = []
        before: list[Formula] = []
        for value, there in self._table.get(form, {}).items():
            found.append((value, builder.all((there, *map(builder.negate, before)))))
            before.append(there)
        return found

    def _in_order(self) -> list[tuple[object, Formula]]:
        return [(form, self._there[form]) for form in map(key, sorted_values(map(unkey, self._table)))]


def count(run: Members, whole: Symbol) -> Cases | None:
    """`count(xs)`"""
    named = run.named(whole)
    return None if named is None else [(TRUE, Apply("count", (named.keys(),)))]


def or_default(run: Members, found: Cases, part: Known | Input | Element | Apply, default: Symbol) -> Cases:
    """What `object.get` gives where these are the cases in which something stands at the key: the default in
    all others. What an array leads to, as a path, only the evaluator says."""
    builder = run.builder
    missing = builder.negate(builder.any(there for there, _ in found))
    if isinstance(part, Known):
        return [*found, (missing, default)]
    there = builder.both(builder.atom(Defined(part)), missing)
    if is_text(part):
        return [*found, (there, default)]
    listed = builder.atom(IsKind(part, "array"))
    plain = builder.negate(listed)
    found = [(builder.both(plain, condition), value) for condition, value in found]
    as_path = (builder.both(listed, run.opaque(AS_PATH, NOWHERE)), run.unknown(AS_PATH, NOWHERE))
    return [*found, (builder.both(plain, there), default), as_path]


def _name(form: object) -> Known:
    return Known(unkey(form))
