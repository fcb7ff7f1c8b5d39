"""Hashes of constants that grow with them: a collection with one more member is not hashed anew.

Loops over tables of thousands of entries make a constant of each entry, and states are told apart by what
they hold after every one. Equal values have equal digests, whichever way they were made.
"""

from __future__ import annotations

from palisade.rego.values import Key, Set, Value

ARRAY, OBJECT, SET = (hash(kind) for kind in ("array", "object", "set"))
"""The digests of the empty collections."""
_MASK = (1 << 61) - 1


def digest_of(value: Value) -> int:
    """The digest of a value, or of a key form. It looks at all parts."""
    kind = type(value)
    if kind is Key:
        value = value.value
        kind = type(value)
    if kind is list:
        found = ARRAY
        for item in value:
            found = array_with(found, digest_of(item))
        return found
    if kind is dict:
        found = OBJECT
        for form, item in value.items():
            found = object_with(found, digest_of(form), digest_of(item))
        return found
    if kind is Set:
        found = SET
        for form in value.forms:
            found = set_with(found, digest_of(form))
        return found
    return hash(("boolean", value)) if kind is bool else hash(value)


def array_with(array: int, item: int) -> int:
    """The digest of an array with an item behind those in it, by the digests of both."""
    return hash((array, item))


def object_with(obj: int, name: int, value: int) -> int:
    """The digest of an object with a key that was not in it. Keys have no order."""
    return (obj + hash((name, value))) & _MASK


def set_with(members: int, member: int) -> int:
    """The digest of a set with a member that was not in it."""
    return (members + hash((SET, member))) & _MASK
