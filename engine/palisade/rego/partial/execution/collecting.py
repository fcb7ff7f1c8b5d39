"""The statements that put members into collections, and objects together: on symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import combinations, starmap

from palisade.rego import ir
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.execution import gathering
from palisade.rego.partial.execution.gathering import ManyStatesError
from palisade.rego.partial.formulas.digests import array_with, object_with, set_with
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula
from palisade.rego.partial.formulas.terms import (
    ArrayOf,
    Gathered,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
    Unknown,
)
from palisade.rego.partial.symbols.construct import insert_into, items_of, merged
from palisade.rego.partial.symbols.large import MOST_KNOWN, bounded, extent_of
from palisade.rego.partial.symbols.objects import (
    entries_of,
    is_made,
    mapped_of,
    object_of,
    with_entry,
)
from palisade.rego.partial.symbols.walks import Walks
from palisade.rego.partial.symbols.worlds import ERROR, Env, Result, Step, Unsupported, Worlds
from palisade.rego.values import Set, Value, key

_PARTS = 16
"""Hashing and comparing so many parts of a constant takes as long as following one statement."""
_ITEMS, _ENTRIES = 2_000, 500
"""So does copying so many items of an array, and entries of an object or members of a set."""
_COMPARED = 16
"""Of so many entries at keys of the request each is compared with each."""
_LOOKED_AT = 2
"""And looking whether so many entries of an object are at other keys, and have been put together before."""


class Collecting(Walks):
    """What statements read and set, and one method for each statement that adds to a collection."""

    _statements: int
    """How many statements were carried out."""
    _bound: int
    """How many may be, by the end of the rule that is followed now."""

    def __init__(
        self,
        policy: ir.Policy,
        given: Mapping[tuple[str, ...], Value],
        before: Collecting | None = None,
    ) -> None:
        super().__init__(given, before)
        self._policy = policy
        self._strings: dict[int, Known] = {}
        self._making: frozenset[int] = frozenset()
        """The locals that stand before the loops that are followed now, or that rules add to: what these add
        to is not complete."""
        self._gathering: frozenset[int] = frozenset()
        """Those of them whose entries under conditions are so many parts of one object, not states."""

    def _symbol(self, operand: ir.Operand, env: Env) -> Symbol | None:
        if isinstance(operand, ir.Local):
            return env.get(operand.index)
        if isinstance(operand, ir.StringIndex):
            known = self._strings.get(operand.index)
            if known is None:
                known = self._strings[operand.index] = Known(self._policy.strings[operand.index])
            return known
        return Known(operand.value)

    @staticmethod
    def _set(env: Env, local: int, symbol: Symbol) -> list[Step]:
        return [Step(TRUE, {**env, local: bounded(symbol)})]

    def _spend(self, statements: int) -> None:
        """Counts work that takes as long as so many statements. Raises Unsupported where it is too much."""
        self._statements += statements
        if self._statements > self._bound:
            raise Unsupported("is too much work for partial evaluation")

    def _made(self, known: Known) -> Known:
        """A constant that was made of others. Raises Unsupported where it is too large."""
        size = extent_of(known)
        self._spend(size // _PARTS)
        if size > MOST_KNOWN:
            raise Unsupported("makes a value that is too large")
        return known

    def _with_one_more(self, collection: Known, item: Known, made: Known, *, copied: int) -> Known:
        """`made` is the collection with the item in it, for which its members were copied, so many as take as
        long as one statement."""
        made.extent = extent_of(collection) + extent_of(item)
        self._spend(extent_of(item) // _PARTS + len(collection.value) // copied)
        if made.extent > MOST_KNOWN:
            raise Unsupported("makes a value that is too large")
        return made

    def _ArrayAppendStmt(self, stmt: ir.ArrayAppendStmt, env: Env) -> list[Step]:  # noqa: N802
        array, item = env.get(stmt.array), self._symbol(stmt.value, env)
        if item is None:
            return []
        if isinstance(array, Known) and isinstance(item, Known):
            longer = Known([*array.value, item.value], array_with(hash(array), hash(item)))
            return self._set(env, stmt.array, self._with_one_more(array, item, longer, copied=_ITEMS))
        if isinstance(array, Gathered):
            return self._set(env, stmt.array, _with_item(array, item))
        return self._set(env, stmt.array, ArrayOf((*items_of(array), item)))

    def _SetAddStmt(self, stmt: ir.SetAddStmt, env: Env) -> list[Step]:  # noqa: N802
        collection, item = env.get(stmt.set), self._symbol(stmt.value, env)
        if item is None:
            return []
        if isinstance(collection, Known) and isinstance(item, Known):
            if extent_of(item) > MOST_KNOWN:
                raise Unsupported("makes a value that is too large")  # hashing it may never end
            if item.form in collection.value.forms:
                return self._set(env, stmt.set, collection)
            larger = Set(collection.value.forms)
            larger.forms.add(item.form)
            made = Known(larger, set_with(hash(collection), hash(item)))
            return self._set(env, stmt.set, self._with_one_more(collection, item, made, copied=_ENTRIES))
        if isinstance(collection, Gathered):
            return self._set(env, stmt.set, _with_item(collection, item))
        members = items_of(collection)
        return self._set(env, stmt.set, SetOf(members if item in members else (*members, item)))

    def _ObjectInsertStmt(self, stmt: ir.ObjectInsertStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._insert(stmt, env, once=False)

    def _ObjectInsertOnceStmt(self, stmt: ir.ObjectInsertOnceStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._insert(stmt, env, once=True)

    def _insert(
        self, stmt: ir.ObjectInsertStmt | ir.ObjectInsertOnceStmt, env: Env, *, once: bool
    ) -> list[Step]:
        obj = env.get(stmt.object)
        name, value = self._symbol(stmt.key, env), self._symbol(stmt.value, env)
        if name is None or value is None:
            return []
        if not isinstance(name, Known) or is_made(obj):
            return self._insert_entry(stmt, env, name, value, once=once)
        if extent_of(name) > MOST_KNOWN:
            raise Unsupported("makes a value that is too large")
        built, old = insert_into(obj, key(name.value), value)
        if isinstance(obj, Known) and isinstance(value, Known) and isinstance(built, Known):
            if old is None:
                built = Known(built.value, object_with(hash(obj), hash(name), hash(value)))
            built = self._with_one_more(obj, value, built, copied=_ENTRIES)
            built.extent += extent_of(name)
        same = self.equal(old, value) if once and old is not None else TRUE
        steps = [Step(same, {**env, stmt.object: bounded(built)})]
        if same is not TRUE:
            steps.append(Step(self.builder.negate(same), env, ERROR))
        return steps

    def _insert_entry(
        self,
        stmt: ir.ObjectInsertStmt | ir.ObjectInsertOnceStmt,
        env: Env,
        name: Symbol,
        value: Symbol,
        *,
        once: bool,
    ) -> list[Step]:
        obj = env.get(stmt.object)
        if not once and stmt.object not in self._making:
            others = self._others(obj, name)
            if others is not None:
                own = Part(TRUE, (), ArrayOf((name, value)))
                return self._set(env, stmt.object, object_of((*others, own)))
        built = with_entry(obj, name, value)
        if not once:
            self._spend(len(entries_of(obj) or ()) // _LOOKED_AT)
            once = _has_none_at(obj, name)
        if built is None or not once or isinstance(name, Unknown):
            raise Unsupported("builds an object whose keys depend on the request")
        inserted = {**env, stmt.object: bounded(built)}
        return self._checked([Step(TRUE, inserted)], env)

    def _others(self, obj: Symbol | None, name: Symbol) -> list[Part] | None:
        """The entries of an object at other keys than one of the request; None where it is not known of all
        whether they are, or of an object that is not made so."""
        entries = entries_of(obj) if is_made(obj) else None
        if entries is None or len(entries) > _COMPARED or isinstance(name, Unknown):
            return None
        others: list[Part] = []
        for each in entries:
            at, _ = items_of(each.item)
            if at == name and not each.over:
                continue
            if isinstance(at, Unknown) or self.told_equal(at, name, NOWHERE) is not FALSE:
                return None
            others.append(each)
        return others

    def _object_of_rules(self, run: Callable[..., Worlds], name: tuple[object, ...], result: int) -> Worlds:
        """What the rules of an object come to, which `run` follows: where it would be one of many, each entry
        of the one that there is stands under its condition."""
        try:
            return run(name, most=gathering.MOST_STATES_OF_RULES)
        except ManyStatesError:
            self._gathering = self._making = frozenset((result,))
        try:
            return run((*name, "gathered"))
        except Unsupported:  # what else is done to the object may need to know all of it
            self._gathering = self._making = frozenset()
            return run(name)

    def _complete(self, env: Env) -> Result:
        """What is made, where each key of the objects that rules were adding to has one value."""
        before = {local: value for local, value in env.items() if local not in self._gathering}
        making, self._making = self._making, frozenset()
        steps = self._checked([Step(TRUE, env)], before)
        self._making = making
        return Result([each for each in steps if each.signal == ERROR], env, TRUE)

    def _checked(self, steps: list[Step], before: Env) -> list[Step]:
        """The steps, with those in an error apart: where an object that they make has two values for a key.

        At objects that a loop goes on making it is looked behind the loop."""
        found: list[Step] = []
        for step in steps:
            there = TRUE
            for local, value in step.env.items() if step.signal != ERROR else ():
                if is_made(value) and before.get(local) != value and local not in self._making:
                    there = self.builder.both(there, self._is_one_each(value))
            if there is not TRUE:
                negate = self.builder.negate(there)
                found.append(Step(self.builder.both(step.condition, negate), step.env, ERROR))
                step = replace(step, condition=self.builder.both(step.condition, there))
            found.append(step)
        return found

    def _is_one_each(self, made: Symbol) -> Formula:
        """Each key of the object has one value."""
        named = self.named(made)
        if named is not None:
            return named.one_each()
        entries = entries_of(made)
        if entries is None or (len(entries) == 1 and not entries[0].over) or mapped_of(made) is not None:
            return TRUE
        if len(entries) <= _COMPARED and not any(each.over for each in entries):
            with suppress(Unsupported):  # as of keys and values that are gathered
                found = self.builder.any(starmap(self._conflict, combinations(entries, 2)))
                return self.builder.negate(found)
        return self.builder.atom(Defined(made))  # type: ignore[arg-type]  # what is made is a term

    def _conflict(self, one: Part, other: Part) -> Formula:
        """Both entries are there, at one key, with different values. Raises Unsupported where it cannot be
        told."""
        (name, value), (at, another) = items_of(one.item), items_of(other.item)
        there = self.builder.all((one.condition, other.condition, self.equal(name, at)))
        if there is FALSE:
            return FALSE
        return self.builder.both(there, self.builder.negate(self.equal(value, another)))

    def _ObjectMergeStmt(self, stmt: ir.ObjectMergeStmt, env: Env) -> list[Step]:  # noqa: N802
        both = merged(env.get(stmt.a), env.get(stmt.b))
        if both is None:
            raise Unsupported("merges documents that depend on the request")
        self._spend(len(both.items if isinstance(both, ObjectOf) else ()) // _ENTRIES)
        return self._set(env, stmt.target, both)


def _has_none_at(obj: Symbol | None, name: Symbol) -> bool:
    """Whether an object has surely nothing at a key, as a document has not at the name of its next rule."""
    others = [items_of(part.item)[0] for part in entries_of(obj) or ()]
    return isinstance(name, Known) and all(isinstance(each, Known) and each != name for each in others)


def _with_item(gathered: Gathered, item: Symbol) -> Gathered:
    """The same with one member more, whatever the request is."""
    part = Part(TRUE, (), item)
    return gathered.with_more((part,), ordered=gathered.ordered, apart=gathered.apart)
