"""Whether a policy names a part of the request's body, by its plan: then the engine must get bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import chain, compress, count
from operator import itemgetter

from palisade.rego import ir
from palisade.rego.partial.execution.flow import all_stmts

_BODY = frozenset(("body", "rawBody", "raw_body", "parsed_body", "truncated_body", "size"))


@dataclass(frozen=True, slots=True)
class Mentions:
    """Which blocks of a plan name a part of the body, but to put it into an object: answers have one too."""

    names: frozenset[int]
    """The indices of the body's parts among the plan's strings."""
    blocks: Mapping[int, tuple[ir.Block, bool]]
    """Each block, by its identity, and whether it does."""
    body: bool
    """Whether one does."""


def mentions(plan: ir.Policy, before: Mentions | None = None) -> Mentions:
    """Which blocks of the plan name a part of the body; one that was looked at `before` is not again."""
    names = frozenset(compress(count(), map(_BODY.__contains__, plan.strings)))
    if not names:
        return Mentions(names, {}, body=False)
    # Blocks of one table of strings: of another one they are other blocks.
    known = before.blocks if before is not None and before.names == names else {}
    found: dict[int, tuple[ir.Block, bool]] = {}
    for block in chain.from_iterable(
        each.blocks for each in chain[ir.Plan | ir.Func](plan.plans, plan.funcs)
    ):
        found[id(block)] = known.get(id(block)) or (block, _names_one(block, names))
    return Mentions(names, found, body=any(map(itemgetter(1), found.values())))


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
