"""Whether a policy asks for a part of the request's body, by its plan: then the engine must get bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import chain, compress, count

from palisade.enforce.envoy.bodies.looking import INPUT, Sight, called, sight
from palisade.rego import ir
from palisade.rego.partial.execution.flow import all_stmts

_BODY = frozenset(("body", "rawBody", "raw_body", "parsed_body", "truncated_body", "size"))


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a block, which is kept so that its identity stays its own: whether it names a
    part of the body, what it calls, and what it does with the input by what it is given."""

    block: ir.Block
    named: bool
    called: tuple[str, ...]
    sights: dict[object, Sight]


@dataclass(frozen=True, slots=True)
class Mentions:
    """Which blocks of a plan name a part of the body, but to put it into an object: answers have one too."""

    strings: tuple[str, ...]
    blocks: Mapping[int, _Known]
    """By the identity of each block."""
    body: bool
    """Whether one does, or one looks through all that is there."""


def mentions(plan: ir.Policy, before: Mentions | None = None) -> Mentions:
    """Which blocks of the plan name a part of the body; one that was looked at `before` is not again."""
    names = frozenset(compress(count(), map(_BODY.__contains__, plan.strings)))
    # Blocks of one table of strings: of another one they are other blocks.
    known = before.blocks if before is not None and _goes_on(before.strings, plan.strings) else {}
    found: dict[int, _Known] = {}
    for block in chain.from_iterable(
        each.blocks for each in chain[ir.Plan | ir.Func](plan.plans, plan.funcs)
    ):
        found[id(block)] = known.get(id(block)) or _Known(
            block, bool(names) and _names_one(block, names), called(block), {}
        )
    named = any(each.named for each in found.values())
    return Mentions(plan.strings, found, body=named or _looks_through(plan, found))


def _goes_on(before: tuple[str, ...], strings: tuple[str, ...]) -> bool:
    return before is strings or strings[: len(before)] == before


def _looks_through(plan: ir.Policy, known: Mapping[int, _Known]) -> bool:
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
            for block in each.blocks:
                of = known[id(block)]
                told = tuple([returns.get(name, 0) for name in of.called]) if returns else ()
                way = given, result, any(told) and told
                seen = of.sights.get(way)
                if seen is None:
                    seen = of.sights[way] = sight(block, plan.strings, given, result, returns, functions)
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
