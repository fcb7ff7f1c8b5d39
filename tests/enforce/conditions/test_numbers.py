"""What a policy calculates of claims and bodies, and compares by order, is native and exact."""

from __future__ import annotations

from typing import Any

import pytest
from calculations import CALCULATED, HEAD, SIGNS, SUMS
from effort import examples_asked
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lowered import judge, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, Token, compare
from palisade.testing.equivalence.telling import lines, summary

EXAMPLES = examples_asked(40)
OF_SOME = (
    "sum([v | some v in claims.a; v > 2]) >= 6",
    "not sum([v | some v in claims.a; v > 2]) >= claims.b",
    "sum([v.n | some v in claims.a; v.m > 2]) >= 3",
    "sum([v.n | some v in claims.a; v.m]) >= claims.b",
    "sum([2 | some v in claims.a; v.n == 3]) == 2",
    "sum([n | some v in claims.a; n := v.n * v.m; v.m > 2]) >= 5",
    "max([v | some v in claims.a; v < 3]) == claims.b",
)
OF_BODIES = (
    "body.a * 2 >= 6",
    "body.a <= claims.b",
    "body.a + body.b < claims.b * 2",
    "body.a * body.b <= 9",
    "body.a % 10 == 3",
    "round(body.a) == 3",
    "body.a > body.b",
    "sum(body.list) <= 6",
    "sum([n | some v in body.list; n := v.n * v.m]) <= 30",
    "not sum([v.n | some v in body.list]) > 3",
    "count(body.list) > count(body.more)",
    'body.a < "3"',
    "count([1 | some v in body.list; v.n > 1]) >= 2",
    "h := [v | some v in body.list; v.n == claims.b]; not count(h) < 1",
)
NUMBERS: tuple[Any, ...] = (
    *(0, 1, 2, 3, 4, 6, -3, 1.5, 2.5, 3.5, -0.5, -2.5, 0.1, 0.3, 2.9999999999999996, 3.0000000000000004),
    *(2**53, 2**53 + 2, -(2**53), 1e300, 2**43 + 1, 5e-324, 0.49999999999999994, 1048577, 8191.5),
)
OTHERS: tuple[Any, ...] = (None, True, False, "", "3", "x", "ü", [], [1, 2, 3], {}, {"a": 1})
LISTS: tuple[Any, ...] = (
    *([], [3], [1, 2, 3], [1.5, 4.5], [0.1, 0.2], [1, "x"], [1, None], {"a": 3}, "x", None, [1] * 8, [1] * 9),
    *([{"n": 3, "m": 2}], [{"n": 1, "m": 2.5}, {"n": 2, "m": 2.5}], [{"n": 3}, {"m": 1}], [[3]], [-3, 9]),
    *([{"n": "3", "m": 1}], [{"n": 1, "m": 1}] * 9, {"x": {"n": 3, "m": 1}}, [2**53, 2**53]),
    [{"n": 9.99, "m": 3}] * 2,
)


def _compiled(
    rules: tuple[str, ...], providers: tuple[Provider, ...], issuers: Issuers, *, native: bool = True
) -> list[Subject]:
    found = []
    for each in rules:
        found.append(subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {each} }}"}), providers, issuers))
        rules_of = found[-1].enforcement.coverage
        assert not native or all(rule.native or rule.conditional for rule in rules_of), each
    return found


def _with(claims: dict[str, Any], at: int = 0) -> Request:
    return Request("GET", ("/a", "/b/c")[at % 2], (("x-a", ("3", "4", "30")[at % 3]),), Token("corp", claims))


@pytest.mark.long
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_is_calculated_of_claims(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Whole numbers are decided in the sidecar, and fractions too but at the very limit."""
    pairs = [(a, b) for a in NUMBERS for b in (3, 1.5, a)]
    pairs += [(a, b) for a in OTHERS for b in (3, a, "4", None, [1])]
    asked = [_with({"a": a, "b": b}, at) for at, (a, b) in enumerate(pairs)]
    asked += [_with({"b": a, "a": 3}, at) for at, a in enumerate(OTHERS)]
    asked += [Request(), _with({}), _with({"a": 3}), _with({"b": 3})]
    tally = Tally()
    judge(bed, _compiled(CALCULATED, providers, issuers), asked, tally)
    assert tally.residual < 0.2 * tally.pairs, tally
    whole = [_with({"a": a, "b": b}) for a in range(-9, 10) for b in (-1, 0, 3)]
    judge(bed, _compiled(CALCULATED, providers, issuers), whole, tally := Tally())
    assert tally.residual < 0.01 * tally.pairs, tally


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_sums_over_claims(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of arrays; what is none has no members to a comprehension, and no sum at all."""
    asked = [_with({"a": a, "b": b}) for a in LISTS for b in (3, 1.5, "x")]
    asked += [_with({"b": 3}), _with({}), Request()]
    tally = Tally()
    judge(bed, _compiled(SUMS, providers, issuers), asked, tally)
    judge(bed, _compiled(OF_SOME, providers, issuers, native=False), asked, Tally())  # not of all members
    usual = [_with({"a": a, "b": 3}) for a in ([], [3], [1, 2, 3], [1.5, 4.25], "x", [1] * 8)]
    judge(bed, _compiled(SUMS[:9], providers, issuers), usual, tally := Tally())
    assert tally.residual < 0.05 * tally.pairs, tally
    carts = [[], [{"n": 3, "m": 2}], [{"n": 1, "m": 2.5}, {"n": 2, "m": 1.5}], [{"n": 9.99, "m": 3}] * 2]
    usual = [_with({"a": a, "b": 3}) for a in carts]
    judge(bed, _compiled(SUMS[9:], providers, issuers), usual, tally := Tally())
    assert tally.residual < 0.1 * tally.pairs, tally


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_what_is_calculated_of_bodies(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Beside claims too: a body's numbers are decimals, and doubles in the sidecar."""
    texts = [
        *(
            f'{{"a": {a}, "b": {b}, "list": [1, 2]}}'
            for a in ("3", "3.0", "0.1", "13", '"3"', "1e2")
            for b in (3, 0.3)
        ),
        *(rego.text.dumps({"list": each, "more": [1]}) for each in LISTS),
        *("{}", "[]", '{"a": 123456789012345678, "b": 1}', '{"a": null}', '{"list": null, "a": 2.5}', "{"),
    ]
    asked = [
        Request("POST", "/", (("content-type", "application/json"),), token, text)
        for text in texts
        for token in (None, Token("corp", {"b": 3}), Token("corp", {"b": "x"}))
    ]
    tally = Tally()
    for subject in _compiled(OF_BODIES, providers, issuers):
        bed.load(subject)
        for difference in compare(bed, subject, asked, tally):
            told = "\n".join((summary(difference), difference.subject.name, *lines(difference)))
            raise AssertionError(told)
    assert tally.residual < 0.5 * tally.pairs, tally


def _deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda each: f"({each[0]} {each[1]} {each[2]})")
    by = (
        st.tuples(inner, st.sampled_from(("/ 2", "/ 3", "/ -0.5", "* 0.1", "/ 7")))
        .map(" ".join)
        .map("({})".format)
    )
    of = st.tuples(st.sampled_from(("abs", "round", "ceil", "floor")), inner).map("{0[0]}({0[1]})".format)
    return two | by | of


_terms = st.recursive(
    st.sampled_from(
        (
            *("claims.a", "claims.b", "claims.a", "claims.b", "claims.a % 3", "2", "0.5", "-3"),
            *("to_number(claims.a)", 'to_number(http.headers["x-a"])'),
        )
    ),
    _deeper,
    max_leaves=4,
)
_values = st.one_of(
    st.integers(-9, 9),
    st.sampled_from(NUMBERS),
    st.sampled_from(OTHERS),
    st.integers(-90, 90).map(lambda n: n / 10),
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@settings(
    max_examples=max(5, EXAMPLES // 6),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
@given(
    st.lists(st.tuples(_terms, st.sampled_from(SIGNS), _terms), min_size=12, max_size=24),
    st.lists(st.tuples(_values, _values), min_size=8, max_size=16),
)
def test_whatever_is_calculated(
    bed: Bed,
    providers: tuple[Provider, ...],
    issuers: Issuers,
    drawn: list[tuple[str, str, str]],
    values: list[tuple[Any, Any]],
) -> None:
    """Sums, products, quotients and what rounds them, of numbers and of what is none."""
    rules = []
    for at, (left, sign, right) in enumerate(drawn):
        rule = f"{'not ' if at % 3 == 0 else ''}{left} {sign} {right}"
        if "claims" in rule:
            rules.append(rule)
    subjects = _compiled(tuple(rules), providers, issuers, native=False)
    judge(bed, subjects, [_with({"a": a, "b": b}) for a, b in values], Tally())
