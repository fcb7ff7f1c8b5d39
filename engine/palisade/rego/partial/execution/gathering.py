"""When a loop over the rows of a table makes an object of entries under conditions, and not states.

With and without each of twenty entries there would be a million states. So once a loop has led to some, it is
begun anew, and the objects that stand before it have each entry under its condition (`symbols.named`).
"""

from __future__ import annotations

from collections.abc import Collection

from palisade.rego.partial.formulas.terms import Known, ObjectOf, Part, loops
from palisade.rego.partial.symbols.members import Members
from palisade.rego.partial.symbols.objects import entries_of
from palisade.rego.partial.symbols.worlds import Env, Worlds

MOST_STATES = 16
"""So many states a loop may lead to, of objects with these entries or those."""


class ManyStatesError(Exception):
    """A loop leads to so many states that it is to be followed otherwise."""


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
