"""Where a plan walks in the input, whatever becomes of it: also where partial evaluation cannot follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from palisade.rego import ir
from palisade.rego.partial.execution.flow import stmts_below

MEMBER = "*"
"""A step in a place to any member of a collection."""

Place: TypeAlias = tuple[Any, ...]
"""A walk from the input, as `("identity", "claims", "roles", MEMBER)`."""

OWN_CLAIMS = "@claims"
"""Begins the places in the claims of a token that the policy takes apart itself."""

WRITTEN = "@json"
"""Begins the places in JSON that a header holds: the header, what stands before it there, and its coding."""

_ROUNDS = 4
"""So deep may functions that return parts of the input call each other."""


def walks(plan: ir.Policy) -> set[Place]:
    """The places that the statements of a plan look at; what is passed to functions is not followed."""
    found: set[Place] = set()
    returned: dict[str, Place] = {}
    for _ in range(_ROUNDS):
        before = len(returned)
        for func in plan.funcs:
            known = _walk(plan, func.blocks, returned, found)
            place = known.get(func.result)
            if place is not None:
                returned.setdefault(func.name, place)
        if len(returned) == before:
            break
    for each in plan.plans:
        _walk(plan, each.blocks, returned, found)
    return found


def _walk(
    plan: ir.Policy, blocks: tuple[ir.Block, ...], returned: dict[str, Place], found: set[Place]
) -> dict[int, Place]:
    """The places that the locals of a function hold."""
    known: dict[int, Place] = {ir.INPUT: ()}
    for stmt in _statements(blocks):
        match stmt:
            case ir.DotStmt(source=ir.Local(source), key=ir.StringIndex(index), target=target):
                step: object = plan.strings[index]
            case ir.DotStmt(source=ir.Local(source), key=ir.Local(), target=target):
                step = MEMBER
            case ir.ScanStmt(source=source, value=target):
                step = MEMBER
            case (
                ir.AssignVarStmt(source=ir.Local(source), target=target)
                | ir.AssignVarOnceStmt(source=ir.Local(source), target=target)
            ):
                if source in known:
                    known[target] = known[source]
                continue
            case ir.CallStmt(func=name, result=target) if name in returned:
                known[target] = returned[name]
                continue
            case _:
                continue
        if source in known:
            known[target] = (*known[source], step)
            found.add(known[target])
    return known


def _statements(blocks: tuple[ir.Block, ...]) -> Iterator[ir.AnyStmt]:
    """In the order in which they run, each before what it holds."""
    for block in blocks:
        for stmt in block.stmts:
            yield stmt
            yield from _statements(tuple(stmts_below(stmt)))
