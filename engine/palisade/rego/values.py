"""How Rego's values stand in Python, and what equality, order and hashing mean for them.

| Rego    | Python                                                                             |
|---------|------------------------------------------------------------------------------------|
| null    | None                                                                               |
| boolean | bool                                                                               |
| number  | int; float; Decimal where no float spells the same digits, and see below          |
| string  | str                                                                                |
| array   | list                                                                               |
| object  | dict, from the key form of each key to its value                                   |
| set     | Set, of key forms                                                                  |

Numbers are never NaN or infinite. A whole one of fewer digits than `LONG` is a Decimal only where `to_number`
read a text that OPA takes for no integer: it equals the int, and is no index.

What `json.loads` returns is a value as it stands, so an input costs nothing to take over. Values are
never changed once another part of the program can see them: what builds one owns it until then.

Python takes `True` for `1` and cannot hash lists, so a value that is an object's key or a set's member
stands in *key form*: strings, numbers and null as they are, all else wrapped in `Key`. `key` wraps,
`unkey` unwraps. Both are for hot code to call only where the type is not known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias

Value: TypeAlias = Any
KeyForm: TypeAlias = Any

UNDEFINED: Any = type("Undefined", (), {"__repr__": lambda self: "<undefined>", "__slots__": ()})()
"""No value: what a function returns where none of its rules holds. It is no Rego value."""


class Key:
    """A boolean, array, object or set as a key of an object or a member of a set."""

    __slots__ = ("_hash", "value")

    def __init__(self, value: Value) -> None:
        self.value = value
        kind = type(value)
        if kind is list or kind is dict:
            inside = value if kind is list else value.values()
            if not _PLAIN.issuperset(map(type, inside)):
                _check_nested(value)
        self._hash = hash_of(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._hash == other._hash and equal(self.value, other.value)

    def __repr__(self) -> str:
        return f"Key({self.value!r})"


_PLAIN = frozenset((str, int, float, Decimal, type(None)))


def _check_nested(value: Value) -> None:
    # Collections in collections may share their parts, and are hashed part by part; most keys hold none.
    from palisade.rego.extents import check_hashed

    check_hashed(value)


def key(value: Value) -> KeyForm:
    """The key form of a value."""
    return value if type(value) in _PLAIN else Key(value)


def unkey(form: KeyForm) -> Value:
    """The value of a key form."""
    return form.value if type(form) is Key else form


class Set:
    """A Rego set. `forms` holds key forms; iterating yields values, in no order."""

    __slots__ = ("forms",)

    def __init__(self, forms: Iterable[KeyForm] = ()) -> None:
        self.forms: set[KeyForm] = set(forms)

    @classmethod
    def of(cls, values: Iterable[Value]) -> Set:
        return cls(key(value) for value in values)

    def __len__(self) -> int:
        return len(self.forms)

    def __iter__(self) -> Iterator[Value]:
        for form in self.forms:
            yield form.value if type(form) is Key else form

    def __contains__(self, value: Value) -> bool:
        return key(value) in self.forms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Set) and self.forms == other.forms

    def __hash__(self) -> int:
        return hash(frozenset(self.forms))

    def __repr__(self) -> str:
        return f"Set({sorted_values(self)!r})"


def hash_of(value: Value) -> int:
    """A hash that agrees with `equal`."""
    kind = type(value)
    if kind is bool:
        return hash(("bool", value))
    if kind is list:
        return hash(("array", *(hash_of(item) for item in value)))
    if kind is dict:
        return hash(("object", frozenset((form, hash_of(item)) for form, item in value.items())))
    return hash(value)


def equal(a: Value, b: Value) -> bool:
    """Whether two values are the same in Rego: numbers by what they denote, true is not 1."""
    if a is b:  # as all documents are that an edit left alone
        return True
    # Python's equality is coarser than Rego's (True == 1) and never finer, so a "no" is final.
    if a != b:
        return False
    kind = type(a)
    if kind is str or kind is Set:
        return True
    if kind is list:
        return all(map(equal, a, b))
    if kind is dict:
        return all(equal(item, b[form]) for form, item in a.items())
    return (kind is bool) is (type(b) is bool)


_RANK: dict[type, int] = {
    type(None): 0,
    bool: 1,
    int: 2,
    float: 2,
    Decimal: 2,
    str: 3,
    list: 5,
    dict: 6,
    Set: 7,
}


def compare(a: Value, b: Value) -> int:
    """-1, 0 or 1 in Rego's order: null < boolean < number < string < array < object < set."""
    kind = type(a)
    if kind is type(b) and kind is not list and kind is not dict and kind is not Set:
        if kind is type(None):
            return 0
        # For strings OPA compares UTF-8 bytes, which is Python's order of code points, if not of the
        # surrogates that stand for bytes that are no UTF-8.
        if kind is str and not (a.isascii() or b.isascii()):
            a, b = a.encode("utf-8", "surrogateescape"), b.encode("utf-8", "surrogateescape")
        return int(a > b) - int(a < b)
    rank, other = _RANK[kind], _RANK[type(b)]
    if rank != other:
        return -1 if rank < other else 1
    if rank == 2:
        return int(a > b) - int(a < b)
    if kind is list:
        for left, right in zip(a, b, strict=False):
            order = compare(left, right)
            if order:
                return order
        return (len(a) > len(b)) - (len(a) < len(b))
    if kind is dict:
        return _compare_objects(a, b)
    return compare(sorted_values(a), sorted_values(b))


def _compare_objects(a: dict[KeyForm, Value], b: dict[KeyForm, Value]) -> int:
    # As OPA: key by key in order, the first difference in a key or its value decides, then the length.
    left, right = sorted_keys(a), sorted_keys(b)
    for mine, theirs in zip(left, right, strict=False):
        order = compare(mine, theirs)
        if order:
            return order
        order = compare(a[key(mine)], b[key(theirs)])
        if order:
            return order
    return (len(left) > len(right)) - (len(left) < len(right))


class _Order:
    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __lt__(self, other: _Order) -> bool:
        return compare(self.value, other.value) < 0


def sorted_values(values: Iterable[Value]) -> list[Value]:
    """The values in Rego's order."""
    items = list(values)
    kinds = set(map(type, items))
    if kinds <= {int, float} or (kinds <= {str} and all(map(str.isascii, items))):
        items.sort()
    else:
        items.sort(key=_Order)
    return items


def sorted_keys(obj: dict[KeyForm, Value]) -> list[Value]:
    """The keys of an object, as values, in Rego's order."""
    return sorted_values(unkey(form) for form in obj)


LONG = 308
"""Integers that are written with an exponent, and have more digits than so many, are no int."""
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def number(text: str) -> int | float | Decimal:
    """The number that a JSON or Rego literal spells, exactly.

    Integral values are int (`1.0` and `1e2` too), others float where the float's digits are the literal's,
    and Decimal for the rest. Raises ValueError for what is no number.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"not a number: {text}")
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        exact = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"not a number: {text}") from error
    return canonical(exact)


def canonical(exact: Decimal) -> int | float | Decimal:
    """The form in which a finite Decimal stands as a value. Raises ValueError for NaN and infinities."""
    if not exact.is_finite():
        raise ValueError("not a finite number")
    # An exponent in the thousands is legal JSON, but as an int it would fill the memory; what no float can
    # hold keeps the short text it was written in, as OPA shows it.
    if exact == exact.to_integral_value() and (exact.as_tuple().exponent == 0 or exact.adjusted() < LONG):
        return int(exact)
    short = float(exact)
    return short if Decimal(repr(short)) == exact else exact


def type_name(value: Value) -> str:
    """OPA's name of the value's type."""
    kind = type(value)
    if kind is str:
        return "string"
    if kind is bool:
        return "boolean"
    if value is None:
        return "null"
    if kind is list:
        return "array"
    if kind is dict:
        return "object"
    return "set" if kind is Set else "number"


_LEAVES = frozenset((str, int, bool, type(None)))
"""Types of Python whose values are those of Rego as they are."""


def from_python(value: Any) -> Value:
    """A value from what Python code holds: tuples become arrays, sets become sets, floats are checked.

    Raises TypeError for what has no Rego counterpart.
    """
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is float:
        return canonical(Decimal(repr(value)))
    if kind is Decimal:
        return canonical(value)
    if kind in (list, tuple):
        return [item if type(item) in _LEAVES else from_python(item) for item in value]
    if kind in (set, frozenset):
        return Set.of(from_python(item) for item in value)
    if kind is dict:
        return {k if type(k) is str else key(from_python(k)): from_python(v) for k, v in value.items()}
    if kind is Set:
        return value
    raise TypeError(f"a {kind.__name__} is no Rego value")


def to_json(value: Value) -> Any:
    """What `json.dumps` takes: sets become sorted lists; keys that are no strings become their JSON text.

    Decimals stay: pass `default=str`-like handling, or use `dumps` of `palisade.rego.text`.
    """
    kind = type(value)
    if kind is list:
        return [to_json(item) for item in value]
    if kind is dict:
        return {_json_key(unkey(form)): to_json(item) for form, item in value.items()}
    if kind is Set:
        return [to_json(item) for item in sorted_values(value)]
    return value


def _json_key(value: Value) -> str:
    from palisade.rego.text import dumps

    return value if isinstance(value, str) else dumps(value)
