"""Keys that find others in base documents, and in what rules make of these: see `palisade.rego.stored`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from palisade.rego.partial.formulas.terms import Symbol
from palisade.rego.partial.symbols.kinds import is_no_text, is_text
from palisade.rego.stored import also
from palisade.rego.values import Set, Value, unkey

OTHER_KIND = "looks up in what a rule makes what may be a number, in place of a text"

_MOST_WRITTEN = 64
"""In longer arrays the engine looks up what may be a text of digits: each index is two expressions."""


def is_index(name: Value) -> bool:
    """Whether texts find it."""
    return type(name) is int and name >= 0


def has_many_indices(value: Value) -> bool:
    """Whether a collection has too many keys to ask for the texts of each."""
    if isinstance(value, list):
        return len(value) > _MOST_WRITTEN
    names: Iterable[Value] = value if isinstance(value, Set) else ()
    if isinstance(value, dict):
        names = map(unkey, value)
    return sum(map(is_index, names)) > _MOST_WRITTEN


def are_found_by_others(names: Sequence[Value], part: Symbol) -> bool:
    """Whether keys of another kind, which the part may be, find some of the names."""
    if not is_text(part) and len(also(list(names))) > len(names):
        return True
    return not is_no_text(part) and any(map(is_index, names))
