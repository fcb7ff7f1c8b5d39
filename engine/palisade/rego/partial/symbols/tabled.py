"""Objects with an entry for each member of a list that the request brings:
`{m.tenant: m.role | some m in claims.memberships}`.

What stands at a key is what a member with that key gives: where two give different values the evaluation ends
in an error, which is said once the object is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from palisade.rego.partial.formulas.formula import TRUE
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Input, Known, Part, Symbol, loops
from palisade.rego.partial.symbols.chosen import chosen_of
from palisade.rego.partial.symbols.construct import items_of
from palisade.rego.partial.symbols.named import or_default
from palisade.rego.partial.symbols.objects import entries_of, is_made
from palisade.rego.partial.symbols.sets import Cases

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members


def entries_by_member(made: Symbol) -> tuple[Part, ...] | None:
    """The entries of such an object; None for any other value."""
    entries = entries_of(made) if is_made(made) else None
    return entries if entries and all(map(_is_of_a_member, entries)) else None


def _is_of_a_member(part: Part) -> bool:
    match part:
        case Part(condition, ((Input(), loop),), ArrayOf((Element() as name, Input() | Element() as value))):
            keys = {name.of_keys, isinstance(value, Element) and value.of_keys}
            own = loops(name) | loops(value) | condition.loops
            return own == {loop} and keys == {False} and not condition.opaque
    return False


def at_key(run: Members, entries: Sequence[Part], part: Symbol) -> Cases | None:
    """What stands at a key of the request; None where that cannot be followed."""
    found: list[Part] = []
    for each in map(run.fresh, entries):
        name, value = items_of(each.item)
        found.append(Part(run.builder.both(each.condition, run.equal(name, part)), each.over, value))
    chosen = chosen_of(run.builder, found)
    if chosen is None:
        return None
    run.note_chosen()
    return [(run.builder.any(run.some(each, TRUE) for each in found), chosen)]


def get(run: Members, entries: Sequence[Part], part: Symbol, default: Symbol) -> Cases | None:
    """`object.get(xs, k, default)`; None where the key is a path, or cannot be followed."""
    if not isinstance(part, Known | Input | Apply) or (
        isinstance(part, Known) and isinstance(part.value, list)
    ):
        return None
    found = at_key(run, entries, part)
    return None if found is None else or_default(run, found, part, default)
