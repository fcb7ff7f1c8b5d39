"""Loops over what stands in a large table at a key of the request: `some role in data.roles_of[user]`.

Followed entry by entry, a table of thousands of users whose lists differ splits the state into thousands,
each with rounds of its own. Taken member by member, there are as many rounds as different members in the
whole table, each under the condition that the key is one of those at which the member stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from palisade.rego import ir
from palisade.rego.partial.execution.flow import Liveness
from palisade.rego.partial.formulas.terms import Apply, Element, Input, Known, Symbol
from palisade.rego.partial.symbols.construct import lookup, pairs_of
from palisade.rego.records import record
from palisade.rego.stored import at_other_kind
from palisade.rego.values import UNDEFINED, Value, unkey

LARGE = 100
"""From so many entries on, a table is taken member by member."""


Names: TypeAlias = tuple[tuple[str, ir.Stored], ...]
"""Constant names, each with what it is looked up in."""
Member: TypeAlias = tuple[list[Value], Symbol, Symbol]


@record()
class TableLoop:
    """A look-up, others by names below it, and the loop over what they lead to, one behind the other."""

    first: ir.DotStmt
    names: Names
    passed: frozenset[int]
    """The locals of what is looked up on the way."""
    loop: ir.ScanStmt
    at: int
    """The place of the loop in its block."""


@record()
class Rounds:
    """What a table holds at any of its keys."""

    keys: list[Value]
    """At which there is a collection."""
    members: list[Member]
    """The keys at which a member stands; its own key, Known(None) where none is asked for; and itself."""


def table_loop(policy: ir.Policy, block: ir.Block, index: int, flow: Liveness) -> TableLoop | None:
    """The loop that begins with the look-up at this place, where nothing else in the block needs what is
    looked up on the way."""
    first = block.stmts[index]
    if not isinstance(first, ir.DotStmt):
        return None
    names, passed = list[tuple[str, ir.Stored]](), [first.target]
    for at in range(index + 1, len(block.stmts)):
        stmt = block.stmts[at]
        if isinstance(stmt, ir.ScanStmt) and stmt.source == passed[-1]:
            needed = flow.exposed(stmt.block) | flow.behind(block, at)
            free = needed.isdisjoint(passed)
            return TableLoop(first, tuple(names), frozenset(passed), stmt, at) if free else None
        if not isinstance(stmt, ir.DotStmt) or stmt.source != ir.Local(passed[-1]):
            return None
        if not isinstance(stmt.key, ir.StringIndex) or stmt.stored is ir.Stored.IN_DOUBT:
            return None
        names.append((policy.strings[stmt.key.index], stmt.stored))
        passed.append(stmt.target)
    return None


def is_large(table: Symbol | None, part: Symbol | None) -> bool:
    """Whether it is a large known table that is looked up at an unknown key."""
    if not isinstance(table, Known) or not isinstance(part, Input | Element | Apply):
        return False
    return isinstance(table.value, dict) and len(table.value) >= LARGE


def rounds(loop: TableLoop, table: Value, *, keyed: bool) -> Rounds:
    """What a table holds at any of its keys. `keyed`: whether the loop asks for its members' own keys."""
    entries = table if isinstance(table, dict) else {}
    keys: list[Value] = []
    found: dict[tuple[object, object], Member] = {}
    texts: dict[str, Known] = {}
    for form, entry in entries.items():
        whole = found_at(entry, loop.names)
        if whole is UNDEFINED:
            continue
        keys.append(unkey(form))
        for own, item in pairs_of(Known(whole)) or () if keyed else _members(whole, texts):
            at = found.get((own, item))
            if at is None:
                at = found[own, item] = ([], own, item)
            at[0].append(keys[-1])
    return Rounds(keys, list(found.values()))


def found_at(value: Value, names: Names) -> Value:
    """What stands in a value at these names, one below the other, or UNDEFINED."""
    for name, stored in names:
        inside = lookup(value, name)
        value = at_other_kind(value, name) if stored and inside is UNDEFINED else inside
    return value


def _members(whole: Value, texts: dict[str, Known]) -> Iterator[tuple[Symbol, Symbol]]:
    """The members of a collection, without their keys. A text is one object wherever it stands in the table:
    that it equals itself is seen at once."""
    if type(whole) is not list:
        yield from ((_NO_KEY, item) for _, item in pairs_of(Known(whole)) or ())
        return
    for item in whole:
        if type(item) is str:
            yield _NO_KEY, texts.get(item) or texts.setdefault(item, Known(item))
        else:
            yield _NO_KEY, Known(item)


_NO_KEY = Known(None)
