"""When a loop over the rows of a table, or rules, make an object of entries under conditions, and not states.

With and without each of twenty entries there would be a million states. So once a loop has led to some, it is
begun anew, and the objects that stand before it have each entry under its condition (`symbols.named`). So are
the rules of an object that lead to many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from palisade.rego import ir
from palisade.rego.partial.formulas.terms import Known, ObjectOf, Part, loops
from palisade.rego.partial.symbols.members import Members
from palisade.rego.partial.symbols.objects import entries_of
from palisade.rego.partial.symbols.worlds import Env, Worlds

MOST_STATES = 16
"""So many states a loop may lead to, of objects with these entries or those."""

MOST_STATES_OF_MEMBERS = 64
"""So many a loop may lead to over members that are there under conditions: each says what the others are not,
and a thousand took a minute. In each the object is known as a whole, as with rules."""

MOST_STATES_OF_RULES = 512
"""So many the rules of an object may lead to: in each it is known as a whole, and may be the headers of an
answer."""

FEWEST_RULES = MOST_STATES_OF_RULES.bit_length()
"""Fewer do not lead to more."""


class ManyStatesError(Exception):
    """A loop, or rules, lead to so many states that they are to be followed otherwise."""


def is_of_rules(func: ir.Func) -> bool:
    """Whether rules put entries into the object that the function answers with."""
    match func.blocks:
        case (ir.Block((ir.MakeObjectStmt() as first,)), _, *_, ir.Block((ir.ReturnLocalStmt() as last,))):
            return first.target == func.result == last.source
    return False


def documents(block: ir.Block) -> frozenset[int]:
    """The locals that hold documents of rules, each under a name of its own, which stand there or not."""
    rules = Counter(filter(None, map(_document_with, block.stmts)))
    made = {stmt.target for stmt in block.stmts if isinstance(stmt, ir.MakeObjectStmt)}
    return frozenset(local for local in made if rules[local] >= FEWEST_RULES)


def _document_with(stmt: ir.AnyStmt) -> int | None:
    """The document to which a statement adds what a rule comes to, if that is all it does."""
    match stmt:
        case ir.BlockStmt((ir.Block((*_, ir.ObjectInsertStmt(ir.StringIndex(), _, document))),)):
            return document
    return None


def makes_objects(env: Env, worlds: Worlds, gathering: Collection[int]) -> bool:
    """Whether states differ in objects that stand before the loop, which are not `gathering` yet."""
    return any(
        isinstance(value, Known | ObjectOf)
        and entries_of(value) is not None
        and local not in gathering
        and any(state.env.get(local) != value for state in worlds.states)
        for local, value in env.items()
    )


def adds_named(run: Members, before: Env, after: Env, part: Part) -> bool:
    """Whether a round adds entries with known keys to objects: the same ones for whichever member."""
    numbers = {loop for _, loop in part.over}
    changed = [local for local, value in after.items() if before.get(local) != value]
    for local in changed:
        if run.named(after[local]) is None:
            return False
        known = frozenset(entries_of(before.get(local)) or ())
        added = [each for each in entries_of(after[local]) or () if each not in known]
        if any(numbers & (loops(each.item) | each.condition.loops) for each in added):
            return False
    return bool(changed)
