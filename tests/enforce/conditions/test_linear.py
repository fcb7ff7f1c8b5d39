"""Sums of the time and a claim, and of the time's parts, are compared natively, as the evaluator does."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lowered import subject_of

from palisade import rego
from palisade.enforce.envoy.conditions.linear import sum_of
from palisade.policy.providers import Provider
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import BuiltinError
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare_many
from palisade.testing.equivalence.telling import lines, summary

X = Input(("x",))


def _deeper(inner: st.SearchStrategy[Symbol]) -> st.SearchStrategy[Symbol]:
    names = st.sampled_from(("plus", "minus", "mul", "div"))
    return st.builds(lambda name, left, right: Apply(name, (left, right)), names, inner, inner)


_sums = st.recursive(st.integers(-9, 9).map(Known) | st.just(X), _deeper, max_leaves=6)


def _worked_out(term: Symbol, x: int) -> Fraction | None:
    """What the builtins make of it: with whole numbers this small, nothing is rounded but by `div`."""
    if isinstance(term, Known):
        return Fraction(term.value)
    if not isinstance(term, Apply):
        return Fraction(x)
    left, right = (_worked_out(each, x) for each in term.args)
    if left is None or right is None or (term.name == "div" and not right):
        return None
    return {"plus": left + right, "minus": left - right, "mul": left * right}.get(term.name) or (
        left / right if term.name == "div" else Fraction(0)
    )


@given(_sums, st.integers(-20, 20))
def test_a_sum_is_what_the_builtins_make_of_it(term: Symbol, x: int) -> None:
    """Multiplied out, wherever it is one of a single value."""
    found = sum_of(term)
    wanted = _worked_out(term, x)
    if found is None or wanted is None or not found.factors.keys() <= {X}:
        return
    assert sum(factor * x for factor in found.factors.values()) + found.constant == wanted
    assert found.factors.keys() == _values_in(term)


def _values_in(term: Symbol) -> set[Symbol]:
    if isinstance(term, Apply):
        return {each for arg in term.args for each in _values_in(arg)}
    return set() if isinstance(term, Known) else {term}


def _by_builtins(term: Symbol, x: int) -> Decimal:
    if isinstance(term, Apply):
        args = [_by_builtins(each, x) for each in term.args]
        plain = [int(each) if each == each.to_integral() else each for each in args]
        return Decimal(str(BUILTINS[term.name].function(*plain)))
    return Decimal(term.value if isinstance(term, Known) else x)


_divided = st.recursive(
    st.just(X) | st.integers(1, 60).map(Known),
    lambda inner: st.builds(
        lambda name, left, right: Apply(name, (left, right)),
        st.sampled_from(("plus", "minus", "mul", "div")),
        inner,
        inner,
    ),
    max_leaves=5,
)


@example(Apply("mul", (Apply("div", (X, Known(13))), Known(13))), 7, Fraction(7))
@given(_divided, st.integers(0, 59), st.sampled_from((0, 1, 2, 7, 9)).map(lambda each: Fraction(each, 2)))
def test_a_sum_that_builtins_round_is_equal_to_the_same_limits(term: Symbol, x: int, limit: Fraction) -> None:
    """Rounded once, it still is the binary fraction that it is; what is rounded twice is no sum here."""
    found = sum_of(term)
    if found is None or not found.factors.keys() <= {X}:
        return
    exactly = found.factors.get(X, Fraction(0)) * x + found.constant
    assert (exactly == limit) == (Fraction(_by_builtins(term, x)) == limit)


def test_the_builtins_refuse_what_is_no_number() -> None:
    """So a claim that is calculated with is one, where the comparison holds."""
    for name in ("plus", "mul", "div"):
        with pytest.raises(BuiltinError):
            BUILTINS[name].function("1", 1)


MINUTE = Apply(".", (Apply("time.clock", (Apply("time.now_ns", ()),)), Known(1)))


@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 8, 60, 0.5, -4, 0.75])
def test_quotients_that_are_rounded_are_not_multiplied_out(divisor: float) -> None:
    """In the quarter, `minute / 7 * 7` is 15 in exact numbers alone: Envoy would allow what Rego does not."""
    quotient = Apply("div", (MINUTE, Known(divisor)))
    back = Apply("mul", (quotient, Known(divisor)))
    divide, multiply = BUILTINS["div"].function, BUILTINS["mul"].function
    changed = any(multiply(divide(minute, divisor), divisor) != minute for minute in range(60))
    assert sum_of(quotient) is not None
    assert (sum_of(back) is None) >= changed
    once_more = Apply("plus", (quotient, Apply("div", (MINUTE, Known(5)))))
    halves = Apply("plus", (quotient, Apply("div", (MINUTE, Known(4)))))
    assert (sum_of(once_more) is None) == (abs(divisor) in (0.75, 3, 7, 60))
    assert divisor == -4 or sum_of(halves) is not None
    assert sum_of(Apply("plus", (MINUTE, Known(0.1)))) is None


HEAD = """package p
claims := input.identity.claims
now := time.now_ns() / 1000000000
whole := floor(now)
rounded := round(time.now_ns() / 1e9)
"""
_CLOCK = "[h, m, s] := time.clock(time.now_ns()); "
IDIOMS = (
    *(
        f"{one} {sign} {other}"
        for one, other in (
            ("now - claims.t", "300"),
            ("claims.t", "now - 300"),
            ("claims.t + 300", "now"),
            ("300", "now - claims.t"),
            ("claims.t * 1000000000", "time.now_ns()"),
            ("time.now_ns() - 300000000000", "claims.t * 1000000000"),
            ("claims.t", "time.add_date(time.now_ns(), 0, 0, -1) / 1000000000 + 86100"),
            ("time.add_date(time.now_ns(), 0, 0, 7) - 605100000000000", "claims.t * 1000000000"),
            ("(claims.t + 60) - now", "-240"),
            ("claims.t", "whole"),
            ("rounded", "claims.t"),
            ("claims.t + 20", "rounded"),
            ("whole - claims.t", "300"),
            ("floor(time.now_ns() / 1000000)", "claims.t"),
            ("rounded - 1700000000", "0"),
        )
        for sign in ("<", "<=", ">", ">=")
    ),
    "not now - claims.t < 300",
    "not claims.t + 300 > now",
    "not whole - claims.t < 300",
    "not claims.t > rounded",
    "object.get(claims, `t`, 0) <= whole",
    "count([1 | claims.t >= rounded]) == 1",
    "whole > 1700000000",
    "floor(time.now_ns() / 1000000) < 1700000000000",
    "age := now - claims.t; age >= 0; age < 300",
    "now - 1700000000 > 0",
    "2000000000 - now < 0",
    *(f"{_CLOCK} (h * 60) + m {sign} {limit}" for sign in ("<", ">=", "==") for limit in (0, 540, 1440)),
    f"{_CLOCK} h + (m / 60) >= 9.5",
    f"{_CLOCK} h / 2 + m / 4 < 20",
    f"{_CLOCK} (h / 3) / 2 + s / 8 <= 12",  # in every second, as both sides look at their own clocks
    f"{_CLOCK} not m / 0.5 - h / -4 > 30",
    f"{_CLOCK} 3600 * h + 60 * m + s < 86400",
    f"{_CLOCK} h - m <= 7",
    '[h, _, _] := time.clock([time.now_ns(), "UTC"]); h >= 9',
    'time.weekday([time.now_ns(), ""]) in {"Monday", "Thursday"}',
)


CANCELLED = (
    "now - claims.t + claims.t > 5",
    "time.now_ns() > claims.t * 0",
    "time.now_ns() - (0 * claims.t) > 5",
    "time.now_ns() - claims.t > 5 - claims.t",
    f"{_CLOCK} h + (0 * claims.t) >= 0",
    f"{_CLOCK} h + claims.t >= claims.t",
)
"""Claims that come to nothing, and have to be numbers all the same."""


def _asked() -> list[Request]:
    now = int(time.time())
    values = (
        *(now - age for age in (40, 100, 270, 330, 3600, -100, -3600)),
        *(now - 100.5, now - 1000.25, 0, -5, 1e300, 2**53, 1e-300),
        *(1000 * now - 40000, 1000 * now + 40999.5, 1000 * (now + 330)),
        *("300", str(now), None, True, [now], {"t": now}),
    )
    return [Request(), *(Request(token=Token("corp", {"t": value})) for value in values)]


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_sums_are_native_and_exact(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """On claims of every type; ages are half a minute off the limits, so that no second can pass between."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}), providers, issuers)
        for idiom in (*IDIOMS, *CANCELLED)
    ]
    bed.load(*subjects, reporting=True)
    for difference in compare_many(bed, subjects, _asked(), tally := Tally()):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
    native = subjects[: len(IDIOMS)]
    assert all(r.native or r.conditional for each in native for r in each.enforcement.coverage)
    asked = len(CANCELLED) * len(_asked())
    assert tally.residual < 0.02 * tally.pairs + asked, tally


NEVER = (
    "whole <= claims.t; now >= claims.t + 1",
    "whole > claims.t; now < claims.t + 1",
    "whole - claims.t >= 1; floor(time.now_ns() / 1000000) - claims.ms < 1000",
    "rounded - claims.t >= 1; floor(time.now_ns() / 1000000) - claims.ms < 500",
    "rounded <= claims.t; floor(time.now_ns() / 1000000) >= claims.ms + 500",
    "claims.ms > floor(time.now_ns() / 1000000); whole > claims.t",
)
"""What cannot be, whatever the time is. The evaluator reads its clock later than the sidecar does."""


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_whole_seconds_are_those_of_the_clock(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Just before, in and behind the second of which a claim speaks, they are told as the time itself is."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}), providers, issuers)
        for idiom in NEVER
    ]
    bed.load(*subjects, reporting=True)
    now = int(time.time())
    tokens = [Token("corp", {"t": now + ahead, "ms": 1000 * (now + ahead)}) for ahead in range(-1, 5)]
    asked = [Request(token=token) for _ in range(40) for token in tokens]
    for difference in compare_many(bed, subjects, asked, Tally()):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
