"""Matchers on the claims of verified tokens, which Envoy keeps as JSON values in its dynamic metadata.

Their meaning was tried on Envoy 1.40 for every JSON type: a matcher never takes a value of another type, and
never one that is missing. Numbers are doubles there, and the engine gets the same doubles: both agree.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from decimal import Decimal

from envoy.type.matcher.v3.regex_pb2 import RegexMatcher as EnvoyRegex
from envoy.type.matcher.v3.string_pb2 import StringMatcher as EnvoyString
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import cel
from palisade.enforce.envoy.predicate import Predicate, all_of, any_of, negate
from palisade.enforce.envoy.sources import ClaimSource

_LIMIT = sys.float_info.max


def claim_defined(claim: ClaimSource) -> Predicate:
    """The claim is there, be it null."""
    return claim.check(ValueMatcher(present_match=True))


def claim_kind(claim: ClaimSource, kind: str) -> Predicate:
    """The claim is there and of a type: string, number, boolean, null, array or object."""
    name = {
        "string": "string",
        "number": "double",
        "boolean": "bool",
        "null": "null_type",
        "array": "list",
        "object": "map",
    }[kind]
    return cel.check(cel.has_type(claim.expr, name))


def claim_is(claim: ClaimSource, values: Iterable[object], *, member: bool = False) -> Predicate | None:
    """The claim, or with `member` some member of the array that it is, equals one of the values.

    None where a value is an array or object, which no matcher compares.
    """
    found: list[Predicate] = []
    for value in sorted(values, key=repr):
        matcher = _value(value)
        if matcher is None:
            return None
        if matcher is not _NEVER:
            found.append(claim.check(_member(matcher) if member else matcher))
    return any_of(found)


def claim_matches(claim: ClaimSource, matcher: StringMatcher, *, member: bool = False) -> Predicate:
    """The claim, or some member of the array that it is, is a string that the matcher takes."""
    value = ValueMatcher(string_match=_envoy_string(matcher))
    return claim.check(_member(value) if member else value)


def claim_compared(claim: ClaimSource, operator: str, limit: int | float) -> Predicate | None:
    """The claim is below or above a number in Rego's order of values, as `lt`, `lte`, `gt` or `gte` say."""
    bound = float(limit)
    if bound != limit or abs(bound) >= _LIMIT:
        return None
    below = ValueMatcher()
    below.double_match.range.start, below.double_match.range.end = -_LIMIT, bound
    above = ValueMatcher()
    above.double_match.range.start, above.double_match.range.end = bound, _LIMIT
    same = ValueMatcher()
    same.double_match.exact = bound
    if operator in ("lt", "lte"):
        found = [claim_kind(claim, "null"), claim_kind(claim, "boolean"), claim.check(below)]
        return any_of([*found, claim.check(same)] if operator == "lte" else found)
    higher = [claim_kind(claim, kind) for kind in ("string", "array", "object")]
    if operator == "gte":
        return any_of([claim.check(above), *higher])
    return any_of([all_of((claim.check(above), negate(claim.check(same)))), *higher])


_NEVER = ValueMatcher()
"""Stands for a value that no claim can have."""


def _value(value: object) -> ValueMatcher | None:
    matcher = ValueMatcher()
    if value is None:
        matcher.null_match.SetInParent()
    elif isinstance(value, bool):
        matcher.bool_match = value
    elif isinstance(value, int | float | Decimal):
        number = float(value)
        if number != value and Decimal(repr(number)) != value:
            return _NEVER  # no double is this number, and claims are doubles
        matcher.double_match.exact = number
    elif isinstance(value, str):
        matcher.string_match.exact = value
    else:
        return None
    return matcher


def _member(matcher: ValueMatcher) -> ValueMatcher:
    outer = ValueMatcher()
    outer.list_match.one_of.CopyFrom(matcher)
    return outer


def _envoy_string(matcher: StringMatcher) -> EnvoyString:
    """The matcher in the type that matchers of metadata take: the same fields under another name."""
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return EnvoyString(safe_regex=EnvoyRegex(regex=matcher.safe_regex.regex))
    return EnvoyString(**{str(kind): getattr(matcher, str(kind))}, ignore_case=matcher.ignore_case)
