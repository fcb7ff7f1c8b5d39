"""A value that doubles with each rule is the evaluator's, and does not keep others from being compiled."""

from __future__ import annotations

import pytest

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.formula import TRUE
from palisade.rego.partial.large import MOST, MOST_OF_ANY, is_too_large
from palisade.rego.partial.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Overlay,
    Part,
    SetOf,
    Symbol,
    subterms,
)

STEPS = 40
"""By then a value has a million million parts: what looks at each never ends."""

DOUBLING = (
    'concat("", [{0}, {0}])',
    "[{0}, {0}]",
    '{{"a": {0}, "b": {0}}}',
    '{{{0}, lower("A"), [{0}]}}',
    'sprintf("%s%s", [{0}, {0}])',
    "array.concat([{0}], [{0}])",
    "{{{0}}} | {{[{0}, {0}]}}",
    'replace({0}, "a", {0})',
    '$"{{{0}}}{{{0}}}"',
    "{0} + {0}",
    "input.a[{0}][{0}]",
    "[x | some x in [{0}, {0}]; x != input.b]",
)


@pytest.mark.parametrize("step", DOUBLING)
def test_a_value_that_doubles_is_left_to_the_evaluator(step: str) -> None:
    rules = "\n".join(f"y{i + 1} := {step.format(f'y{i}')}" for i in range(STEPS))
    module = f'package p\n\ny0 := input.x\n{rules}\np if y{STEPS} == input.z\nq if input.x == "a"\n'
    policy = rego.compile({"p.rego": module})
    plan = policy.plan(["data.p.p", "data.p.q"])
    large, other = (evaluate(plan, ("p", name), policy.data) for name in "pq")
    assert any(case.condition.opaque for case in large.cases)
    assert not any(case.condition.opaque for case in other.cases)


def _doubled(times: int) -> Symbol:
    value: Symbol = Input(("x",))
    for _ in range(times):
        value = ArrayOf((value, value))
    return value


def test_a_value_may_be_large_of_itself_but_not_for_holding_the_same_again_and_again() -> None:
    members = tuple(Input((f"x{number}",)) for number in range(2 * MOST))
    assert not is_too_large(SetOf(members))
    assert not is_too_large(Apply("count", (Gathered("set", tuple(Part(TRUE, (), m) for m in members)),)))
    assert not is_too_large(_doubled(10))
    assert is_too_large(_doubled(20))
    assert is_too_large(SetOf(members * (MOST_OF_ANY // MOST)))


@pytest.mark.parametrize(
    "inside",
    [
        lambda value: Apply("f", (value,)),
        lambda value: ArrayOf((value,)),
        lambda value: SetOf((value,)),
        lambda value: ObjectOf((("a", value),)),
        lambda value: Input(("a", value)),
        lambda value: Element(value, 1),
        lambda value: Element(Input(("a",)), 1, path=(value,)),
        lambda value: Gathered("set", (Part(TRUE, (), value),)),
        lambda value: Overlay(Input(()), ("a",), value),
    ],
)
def test_what_holds_a_large_value_is_large(inside) -> None:
    assert is_too_large(inside(Apply("f", (_doubled(20),))))


def test_terms_are_the_same_by_what_they_are_made_of() -> None:
    one, other = (Apply("f", (ArrayOf((Input(("a", 0)), Known(1))),)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one.size == len(list(subterms(one)))
    assert ArrayOf((one,)) != SetOf((one,))
