"""Predicates on the claims of verified tokens, which Envoy keeps as JSON values in its dynamic metadata.

Their meaning was tried on Envoy 1.40 for every JSON type: a matcher never takes a value of another type, and
never one that is missing. Numbers are doubles there, and the engine gets the same doubles: both agree. Of a
token that the policy takes apart itself it gets all digits: large numbers of these are for the engine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from decimal import Decimal

from cel.expr.syntax_pb2 import Expr
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher as EnvoyRegex
from envoy.type.matcher.v3.string_pb2 import StringMatcher as EnvoyString
from envoy.type.matcher.v3.value_pb2 import ValueMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import (
    FEW,
    NO,
    Check,
    Predicate,
    all_of,
    any_of,
    negate,
    one_of,
)
from palisade.enforce.envoy.matchers.writing import expressions
from palisade.enforce.envoy.values.sources import ROUNDED, ClaimSource, FieldSource, TokenClaim

_LIMIT = sys.float_info.max
OF_CEL = {
    "string": "string",
    "number": "double",
    "boolean": "bool",
    "null": "null_type",
    "array": "list",
    "object": "map",
}
"""The types of JSON, and what CEL calls them."""
_STRING = ValueMatcher()
"""Takes each string, whatever its bytes are."""
_STRING.string_match.safe_regex.regex = r"\C*"
_OPERATORS = {"lt": "_<_", "lte": "_<=_", "gt": "_>_", "gte": "_>=_"}


def claim_defined(claim: ClaimSource) -> Predicate:
    """The claim is there, be it null."""
    if isinstance(claim, FieldSource):
        return negate(claim.of_kind("missing"))
    if claim.indexed:
        return cel.check(cel.equal(cel.call("type", claim.expr), cel.call("type", claim.expr)))
    return claim.check(ValueMatcher(present_match=True))


def claim_kind(claim: ClaimSource, kind: str) -> Predicate:
    """The claim is there and of a type: string, number, boolean, null, array or object."""
    if isinstance(claim, FieldSource):
        return claim.of_kind(kind)
    if kind == "string" and not claim.indexed:
        return claim.check(_STRING)  # a fifth of what an expression takes
    exact = cel.check(cel.has_type(claim.expr, OF_CEL[kind]))
    if kind != "object" or claim.indexed:
        return exact
    # Asked of every request whose rules look at a claim's members and hardly ever true: what costs less rules
    # out the usual tokens first: those where it is an array that has members, and those without the claim.
    filled = claim.check(_member(ValueMatcher(present_match=True)))
    return all_of((negate(filled), claim_defined(claim), exact))


def claim_is(claim: ClaimSource, values: Iterable[object]) -> Predicate | None:
    """The claim equals one of the values. None where a value is not one that Envoy can compare."""
    found: list[Predicate] = []
    chosen = list(values)
    text = claim.text
    if text is not None:
        found.append(one_of(text, (value for value in chosen if isinstance(value, str))))
        chosen = [value for value in chosen if not isinstance(value, str)]
    elif isinstance(claim, FieldSource):
        texts = [value for value in chosen if isinstance(value, str)]
        if len(texts) > FEW:
            found += (_matching(claim, each) for each in expressions(texts))
            chosen = [value for value in chosen if not isinstance(value, str)]
    elif claim.indexed:
        lines = {value for value in chosen if isinstance(value, str) and "\n" not in value}
        if len(lines) > FEW:
            found.append(_line_of(claim, lines))
            chosen = [value for value in chosen if not isinstance(value, str) or value not in lines]
    for value in sorted(chosen, key=repr):
        each = _equals(claim, value)
        if each is None:
            return None
        found.append(each)
    return any_of(found)


def _equals(claim: ClaimSource, value: object) -> Predicate | None:
    if isinstance(claim, TokenClaim) and is_rounded(value):
        return None
    if _is_out_of_reach(value):
        return NO
    if isinstance(claim, FieldSource) and (value is None or isinstance(value, list | dict)):
        return claim.of_kind("null") if value is None else None
    if claim.indexed or isinstance(value, list | dict):
        expr = cel.constant(value)
        if expr is None:
            return None
        kind = "list" if isinstance(value, list) else "map" if isinstance(value, dict) else ""
        if value is None:
            return claim_kind(claim, "null")
        same = cel.equal(claim.expr, expr)
        return cel.check(cel.conjunction(cel.has_type(claim.expr, kind), same) if kind else same)
    matcher = _value(value)
    return None if matcher is None else claim.check(matcher)


def _line_of(claim: ClaimSource, lines: Iterable[str]) -> Check:
    """The claim is one of the texts: one search in all of them, as each comparison would be an expression."""
    whole = cel.text("".join(f"\n{each}" for each in sorted(lines)) + "\n")
    line = cel.call("re.extract", claim.expr, cel.text("(?s)^([^\n]*)$"), cel.text("\n\\1\n"))
    return cel.check(cel.method(whole, "contains", line))


def _matching(claim: FieldSource, pattern: str) -> Check:
    matcher = ValueMatcher()
    matcher.string_match.safe_regex.regex = pattern
    return claim.check(matcher)


def claim_has(claim: ClaimSource, values: Iterable[object]) -> Predicate | None:
    """Some member of the array that the claim is equals one of the values. None as for `claim_is`."""
    found: list[Predicate] = []
    for value in sorted(values, key=repr):
        if isinstance(claim, TokenClaim) and is_rounded(value):
            return None
        if _is_out_of_reach(value):
            continue
        number = cel.constant(value) if claim.indexed else None
        if number is not None and isinstance(value, str | int | float):
            among = cel.call("@in", number, claim.expr)
            found.append(cel.check(cel.conjunction(cel.has_type(claim.expr, "list"), among)))
            continue
        matcher = _value(value)
        if matcher is None or claim.indexed or (isinstance(claim, FieldSource) and value is None):
            return None
        found.append(claim.check(_member(matcher)))
    return any_of(found)


def claim_matches(claim: ClaimSource, matcher: StringMatcher) -> Predicate | None:
    """The claim is a string that the matcher takes. None where Envoy cannot tell."""
    if not claim.indexed:
        return claim.check(ValueMatcher(string_match=_envoy_string(matcher)))
    test = text_test(claim.expr, matcher)
    return None if test is None else cel.check(test)


def claim_has_matching(claim: ClaimSource, matcher: StringMatcher) -> Predicate | None:
    """Some member of the array that the claim is, is a string that the matcher takes."""
    if claim.indexed:
        return None
    return claim.check(_member(ValueMatcher(string_match=_envoy_string(matcher))))


def text_test(operand: Expr, matcher: StringMatcher) -> Expr | None:
    """What the matcher asks of a text, as an expression."""
    kind = str(matcher.WhichOneof("match_pattern"))
    if kind == "safe_regex":
        return cel.matches(operand, f"^(?:{matcher.safe_regex.regex})$")
    text = cel.text(getattr(matcher, kind))
    if kind == "exact":
        return cel.equal(operand, text)
    return cel.method(
        operand, {"prefix": "startsWith", "suffix": "endsWith", "contains": "contains"}[kind], text
    )


def claim_compared(claim: ClaimSource, operator: str, limit: int | float) -> Predicate | None:
    """The claim is below or above a number in Rego's order of values, as `lt`, `lte`, `gt` or `gte` say."""
    # What is larger than all doubles is not made one.
    if abs(limit) >= _LIMIT or float(limit) != limit or (isinstance(claim, TokenClaim) and is_rounded(limit)):
        return None
    bound = float(limit)
    kinds = ("null", "boolean") if operator in ("lt", "lte") else ("string", "array", "object")
    others = [claim_kind(claim, kind) for kind in kinds]
    if claim.indexed:
        number = cel.constant(bound)
        if number is None:
            return None
        ordered = cel.call(_OPERATORS[operator], claim.expr, number)
        return any_of((cel.check(cel.conjunction(cel.has_type(claim.expr, "double"), ordered)), *others))
    same = ValueMatcher()
    same.double_match.exact = bound
    span = ValueMatcher()
    ends = (-_LIMIT, bound) if operator in ("lt", "lte") else (bound, _LIMIT)
    span.double_match.range.start, span.double_match.range.end = ends
    # A range has its start and not its end.
    largest = ValueMatcher()
    largest.double_match.exact = _LIMIT
    within: Predicate = claim.check(span)
    if operator == "lte":
        within = any_of((within, claim.check(same)))
    elif operator in ("gt", "gte"):
        within = any_of((within, claim.check(largest)))
    if operator == "gt":
        within = all_of((within, negate(claim.check(same))))
    return any_of((within, *others))


def rounded(*claims: ClaimSource) -> Predicate:
    """One of the claims is a number that Envoy may have rounded, and Rego has not."""
    return any_of(
        cel.check(cel.conjunction(cel.has_type(each.expr, "double"), cel.call(operator, each.expr, limit)))
        for each in claims
        if isinstance(each, TokenClaim)
        for operator, limit in (("_>=_", cel.double(ROUNDED)), ("_<=_", cel.double(-ROUNDED)))
    )


ROUNDED_IN_WORDS = "a number in a token that the policy takes apart itself is 2^53 or more"


def is_rounded(value: object) -> bool:
    """Whether there is a number in a value that several, which Rego tells apart, are to Envoy."""
    if isinstance(value, list | dict):
        return any(map(is_rounded, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float | Decimal) and not -ROUNDED < value < ROUNDED


def _is_out_of_reach(value: object) -> bool:
    """A number that no double is: claims are doubles. The engine takes one that is whole for just that
    number, so 1e23 is none, and one with a fraction for what is written so in the fewest digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    try:
        number = float(value)
    except OverflowError:
        return True
    return number != value and (number.is_integer() or Decimal(repr(number)) != value)


def _value(value: object) -> ValueMatcher | None:
    matcher = ValueMatcher()
    if value is None:
        matcher.null_match.SetInParent()
    elif isinstance(value, bool):
        matcher.bool_match = value
    elif isinstance(value, int | float | Decimal):
        matcher.double_match.exact = float(value)
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


__all__ = [
    "OF_CEL",
    "Check",
    "claim_compared",
    "claim_defined",
    "claim_has",
    "claim_has_matching",
    "claim_is",
    "claim_kind",
    "claim_matches",
    "is_rounded",
    "rounded",
    "text_test",
]
