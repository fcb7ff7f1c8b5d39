"""What reduces a collection to one value, and the operator `in`."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from math import prod

from palisade.rego.builtins import bigfloat
from palisade.rego.builtins.budget import check_bits
from palisade.rego.builtins.operands import Number, collection, element_error, is_number, type_error
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import UNDEFINED, Set, Value, canonical, equal, key, sorted_values


@builtin("count", pure=True)
def count(x: Value) -> int:
    """The number of members, or of characters of a string."""
    kind = type(x)
    if kind is list or kind is str or kind is Set or kind is dict:
        return len(x)
    raise type_error(1, x, "array", "object", "set", "string")


@builtin("sum", pure=True)
def sum_(x: Value) -> Number:
    numbers = _numbers(x)
    if set(map(type, numbers)) <= {int}:
        return sum(numbers)
    nothing: Number = 0
    return reduce(bigfloat.add, sorted_values(numbers) if type(x) is Set else numbers, nothing)


@builtin("product", pure=True)
def product(x: Value) -> Number:
    numbers = _numbers(x)
    integers = [each for each in numbers if type(each) is int]
    if len(integers) == len(numbers):
        check_bits(sum(each.bit_length() for each in integers))
        return prod(integers)
    return bigfloat.product(sorted_values(numbers) if type(x) is Set else numbers)


def _numbers(x: Value) -> list[Number]:
    members = collection(x, 1)
    for member in members:
        if not is_number(member):
            raise element_error(1, x, member, "number")
    return [canonical(member) if type(member) is Decimal else member for member in members]


@builtin("max", pure=True)
def max_(x: Value) -> Value:
    """The greatest member in Rego's order; undefined where there is none."""
    members = collection(x, 1)
    return sorted_values(members)[-1] if members else UNDEFINED


@builtin("min", pure=True)
def min_(x: Value) -> Value:
    """The least member in Rego's order; undefined where there is none."""
    members = collection(x, 1)
    return sorted_values(members)[0] if members else UNDEFINED


@builtin("sort", pure=True)
def sort(x: Value) -> list[Value]:
    if type(x) is list or type(x) is Set:
        return sorted_values(x)
    raise type_error(1, x, "set", "array")


@builtin("all", pure=True)
def all_(x: Value) -> bool:
    if type(x) is list or type(x) is Set:
        return all(member is True for member in x)
    raise type_error(1, x, "array", "set")


@builtin("any", pure=True)
def any_(x: Value) -> bool:
    if type(x) is list or type(x) is Set:
        return any(member is True for member in x)
    raise type_error(1, x, "array", "set")


@builtin("internal.member_2", pure=True)
def member(x: Value, xs: Value) -> bool:
    """`x in xs`: false where `xs` is no collection."""
    kind = type(xs)
    if kind is Set:
        return key(x) in xs.forms
    if kind is list:
        if type(x) is str:
            return x in xs
        return any(equal(x, other) for other in xs)
    if kind is dict:
        return any(equal(x, other) for other in xs.values())
    return False


@builtin("internal.member_3", pure=True)
def member_with_key(k: Value, x: Value, xs: Value) -> bool:
    """`k, x in xs`: a set's members are their own keys, an array's are their indices."""
    kind = type(xs)
    if kind is dict:
        found = xs.get(key(k), UNDEFINED)
        return found is not UNDEFINED and equal(x, found)
    if kind is list:
        return type(k) is int and 0 <= k < len(xs) and equal(x, xs[k])
    return kind is Set and key(k) in xs.forms and equal(k, x)
