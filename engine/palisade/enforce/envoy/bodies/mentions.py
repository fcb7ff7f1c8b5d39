"""Whether a policy asks for a part of the request's body, by its plan: then the engine must get bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain, compress, count

from palisade.enforce.envoy.bodies.looking import INPUT, Sight, called, sight
from palisade.rego import ir
from palisade.rego.partial.execution.flow import all_stmts
from palisade.rego.same import same_at_ends

_BODY = frozenset(("body", "rawBody", "raw_body", "parsed_body", "truncated_body", "size"))


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a block, which is kept so that its identity stays its own: whether it names a
    part of the body, what it calls, and what it does with the input by what it is given."""

    block: ir.Block
    named: bool
    called: tuple[str, ...]
    sights: dict[object, Sight]


@dataclass(slots=True)
class _Row:
    """The blocks of one function, and what is known of each."""

    blocks: tuple[ir.Block, ...]
    known: list[_Known]
    way: object = None
    """What all of them were given when they were looked at last, ..."""
    sights: list[Sight | None] = field(default_factory=list)
    """... and what each did: None for one that was not looked at so, ..."""
    new: bool = True
    """... which some were not."""

    def all_given(self, way: object, look: Callable[[_Known], Sight]) -> Iterable[Sight]:
        """What the blocks do where all are given the same: each different thing once."""
        if self.way != way:
            self.way, self.sights, self.new = way, [None] * len(self.known), True
        if self.new:
            pairs = zip(self.sights, self.known, strict=True)
            self.sights, self.new = [look(known) if seen is None else seen for seen, known in pairs], False
        return {id(each): each for each in self.sights if each is not None}.values()


@dataclass(frozen=True, slots=True)
class Mentions:
    """Which blocks of a plan name a part of the body, but to put it into an object: answers have one too."""

    rows: Mapping[str, _Row]
    """By the name of each function, and of each plan."""
    body: bool
    """Whether one does, or one looks through all that is there."""


def mentions(plan: ir.Policy, before: Mentions | None = None) -> Mentions:
    """Which blocks of the plan name a part of the body; one that was looked at `before` is not again."""
    names = frozenset(compress(count(), map(_BODY.__contains__, plan.strings)))
    known = before.rows if before is not None else {}
    all_of = chain[ir.Plan | ir.Func](plan.plans, plan.funcs)
    rows = {each.name: _row(each.blocks, names, known.get(each.name)) for each in all_of}
    named = any(each.named for row in rows.values() for each in row.known)
    return Mentions(rows, body=named or _looks_through(plan, rows))


def _row(blocks: tuple[ir.Block, ...], names: frozenset[int], before: _Row | None) -> _Row:
    """A block that is there again names strings by the same table: of another table all blocks are new."""
    if before is None:
        return _Row(blocks, [_look_at(block, names) for block in blocks])
    first, last = same_at_ends(blocks, before.blocks)
    end = len(before.blocks) - last
    older = {id(each.block): each for each in before.known[first:end]}
    new = [older.get(id(block)) or _look_at(block, names) for block in blocks[first : len(blocks) - last]]
    known = [*before.known[:first], *new, *before.known[end:]]
    if not before.sights:
        return _Row(blocks, known)
    sights = [*before.sights[:first], *([None] * len(new)), *before.sights[end:]]
    return _Row(blocks, known, before.way, sights, before.new or bool(new))


def _look_at(block: ir.Block, names: frozenset[int]) -> _Known:
    return _Known(block, bool(names) and _names_one(block, names), called(block), {})


def _looks_through(plan: ir.Policy, rows: Mapping[str, _Row]) -> bool:
    """Whether some block takes the input, or what is between it and the body, as a whole."""
    functions = {each.name: each for each in plan.funcs}
    returns: dict[str, int] = {}
    handed: dict[str, tuple[int, ...]] = {}
    while True:
        changed = False
        for each in chain[ir.Plan | ir.Func](plan.plans, plan.funcs):
            result: int | None = None
            given: tuple[tuple[int, int], ...] = ((ir.INPUT, INPUT),)
            if isinstance(each, ir.Func):
                result = each.result
                given += tuple(zip(each.params[2:], handed.get(each.name, ())[2:], strict=False))

            def look(
                of: _Known,
                given: tuple[tuple[int, int], ...] = given,
                result: int | None = result,
            ) -> Sight:
                told = tuple([returns.get(name, 0) for name in of.called]) if returns else ()
                way = given, result, any(told) and told
                if way not in of.sights:
                    of.sights[way] = sight(of.block, plan.strings, given, result, returns, functions)
                return of.sights[way]

            row = rows[each.name]
            # Where functions return nothing of the input, nothing but what is given tells blocks apart.
            found = map(look, row.known) if returns else row.all_given((given, result), look)
            for seen in found:
                if seen.whole:
                    return True
                if seen.returned and isinstance(each, ir.Func):
                    changed |= _add(returns, each.name, seen.returned)
                    if each.path:
                        changed |= _add(returns, "*", seen.returned)
                for name, levels in seen.handed:
                    last = handed.get(name, (0,) * len(levels))
                    handed[name] = tuple(a | b for a, b in zip(last, levels, strict=True))
                    changed |= handed[name] != last
        if not changed:
            return False


def _add(returns: dict[str, int], name: str, levels: int) -> bool:
    last = returns.get(name, 0)
    returns[name] = last | levels
    return returns[name] != last


def _names_one(block: ir.Block, names: frozenset[int]) -> bool:
    return any(not names.isdisjoint(_strings_of(stmt)) for stmt in all_stmts(block))


def _strings_of(stmt: ir.AnyStmt) -> Iterator[int]:
    """The strings that a statement uses, but for those that name what it puts into an object."""
    kind = type(stmt)
    if kind not in _FIELDS:
        puts = isinstance(stmt, ir.ObjectInsertStmt | ir.ObjectInsertOnceStmt)
        _FIELDS[kind] = tuple(each.name for each in fields(stmt) if not (puts and each.name == "key"))
    for name in _FIELDS[kind]:
        value = getattr(stmt, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ir.StringIndex):
                yield part.index


_FIELDS: dict[type[ir.AnyStmt], tuple[str, ...]] = {}
"""What a kind of statement has in which strings may be used: asked for once, as sets have 100,000 of them."""
