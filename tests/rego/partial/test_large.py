"""A value that doubles with each rule is the evaluator's, and does not keep others from being compiled."""

from __future__ import annotations

import pytest

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.formula import TRUE
from palisade.rego.partial.formulas.terms import (
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
from palisade.rego.partial.symbols.large import MOST, MOST_OF_ANY, is_too_large

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


CONSTANT = (
    *(step for step in DOUBLING if "input" not in step and "+" not in step),
    "json.marshal([{0}, {0}])",
    "base64.encode(concat({0}, [{0}, {0}]))",
    "{{[{0}, 1]: 1, [{0}, 2]: 2}}",
    "{{[{0}, 1], [{0}, 2]}}",
    "[x | some x in [{0}, {0}]]",
    "[[x, y] | some x in [{0}, 1]; some y in [{0}, 2]]",
    'object.union({{"a": {0}}}, {{"b": {0}}})',
    "twice({0})",
)


@pytest.mark.parametrize(
    ("first", "step"),
    [
        *(('"aaaa"', step) for step in CONSTANT),
        ('["a"]', "array.concat({0}, {0})"),
        ("[1, 2]", "[[x, y] | some x in {0}; some y in {0}]"),
        ("7", "{0} * {0}"),
    ],
)
def test_a_constant_that_doubles_is_left_to_the_evaluator(first: str, step: str) -> None:
    """Nothing of a request is in it, and compiling never ended."""
    rules = "\n".join(f"y{i + 1} := {step.format(f'y{i}')}" for i in range(STEPS))
    last = f'p if y{STEPS} == input.z\nq if input.x == "a"\nr if y3 == input.z\n'
    policy = rego.compile({"p.rego": f"package p\n\ntwice(x) := [x, x]\n\ny0 := {first}\n{rules}\n{last}"})
    plan = policy.plan([f"data.p.{name}" for name in "pqr"])
    large, other, small = (evaluate(plan, ("p", name), policy.data) for name in "pqr")
    assert any(case.condition.opaque for case in large.cases)
    assert not any(case.condition.opaque for outcome in (other, small) for case in outcome.cases)


@pytest.mark.long
def test_tables_of_thousands_are_made_of_data() -> None:
    """Each entry of a comprehension is one constant more: telling them apart took the square of the time."""
    users = {f"u{at}": {"role": f"r{at % 7}", "groups": ["a", f"g{at % 3}"]} for at in range(6_000)}
    module = """package p
roles := {name: user.role | some name, user in data.users}
pairs := {[user.role, group] | some user in data.users; some group in user.groups}
p if roles[input.x] == "r1"
p if [input.x, input.y] in pairs
"""
    policy = rego.compile({"p.rego": module}, data={"users": users})
    outcome = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    assert not any(case.condition.opaque for case in outcome.cases)


def test_what_ends_the_evaluation_is_not_undefined() -> None:
    """A call that would make more than the evaluator lets it is an error there, and a denial; `not` of it was
    taken for true."""
    module = "package p\n\np if not numbers.range(1, 100000000)\n"
    policy = rego.compile({"p.rego": module})
    outcome = evaluate(policy.plan(["data.p.p"]), ("p", "p"), policy.data)
    assert [case.condition.opaque for case in outcome.cases if case.value is not None] == [True]


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
