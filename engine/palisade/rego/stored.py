"""At which keys a reference below `data` finds what base documents hold: `data.tenants[claims.tenant_id]`.

OPA reads base documents from its store by a path of texts. So a number finds the entry of an object whose key
is its digits, as keys of JSON can be nothing but texts, and a text of digits the member of an array. That is
so of a reference that begins with `data` alone: not of what a variable holds or `with` puts there, nor in
`object.get`; and of what a rule makes only where it has its keys of base documents, see `plan.base_keys`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from palisade.rego.values import UNDEFINED, Set, Value, key

_LONGEST = 19
"""So many characters of an index OPA reads, beside its sign."""
_INDEX = re.compile(rf"(?=[+-]?.{{1,{_LONGEST}}}\Z)[+-]?(?:([0-9]+)(?:\.0*)?|\.0*)")
_LONG = re.compile(r"[+-]?[1-9][0-9]*", re.ASCII)
_LARGEST = 1 << 53
"""Greater fractions find no texts: a double is not written as they are."""
_MOST_DIGITS = 100
"""Whole numbers of more find no texts."""
_NUMBER = re.compile(rf"0|-?[1-9][0-9]{{0,{_MOST_DIGITS - 1}}}|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")


def at_other_kind(collection: Value, name: Value) -> Value:
    """What stands in a base document at a key of the other kind, UNDEFINED where there is none."""
    kind = type(name)
    if type(collection) is dict and (kind is int or kind is float):
        text = repr(name) if _is_written_plainly(name) else ""
        return collection.get(text, UNDEFINED) if _NUMBER.fullmatch(text) else UNDEFINED
    if type(collection) is Set and (kind is int or kind is float):
        return name if _is_written_plainly(name) and _is_text_in(collection, repr(name)) else UNDEFINED
    if kind is str and type(collection) in (list, dict, Set):
        at = _index(name)
        if at is None:
            return UNDEFINED
        if type(collection) is list:
            return collection[at] if at < len(collection) else UNDEFINED
        if type(collection) is dict:
            return collection.get(key(at), UNDEFINED)
        return name if key(at) in collection.forms else UNDEFINED
    return UNDEFINED


def _index(text: str) -> int | None:
    """The index that the text says, as OPA reads one."""
    digits = _INDEX.fullmatch(text)
    at = int(digits[1] or "0") if digits else 0
    return at if digits and (not at or text[0] != "-") else None


def is_written_in_digits(text: str) -> bool:
    """Whether OPA takes a number that is written so for an integer, as an index is."""
    return bool(_INDEX.fullmatch(text) or _LONG.fullmatch(text))


def _is_text_in(members: Set, text: str) -> bool:
    return text in members.forms and is_number(text)


def is_number(text: str) -> bool:
    """Whether it is how a number is written that finds it in place of the text."""
    return _NUMBER.fullmatch(text) is not None


def also(keys: list[Value]) -> list[Value]:
    """The keys of an object, and the numbers that find some of them."""
    found = list(keys)
    for text in keys:
        if isinstance(text, str) and _NUMBER.fullmatch(text):
            number = int(text) if "." not in text else float(text)
            if _is_written_plainly(number) and repr(number) == text:
                found.append(number)
    return found


def _is_written_plainly(number: int | float) -> bool:
    """Whether its digits are taken for how it was written, which is not kept: 1e20 is in digits, too."""
    most = 10**_MOST_DIGITS if type(number) is int else _LARGEST
    return -most < number < most


def spelled(indices: Iterable[int]) -> tuple[str, str]:
    """Two expressions that the texts match that say one of the indices: OPA takes a sign, leading zeros, and
    a fraction of nought."""
    known = sorted(indices)
    ways = [f"\\+?0*(?:{'|'.join(str(each) for each in known if each)})(?:\\.0*)?"] if any(known) else []
    ways += [r"[+-]?(?:0+(?:\.0*)?|\.0*)"] if 0 in known else []
    return f"(?:{'|'.join(ways)})", f"[+-]?.{{1,{_LONGEST}}}"
