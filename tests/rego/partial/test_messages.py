"""What is gathered under many conditions is there or not, in the order in which the evaluator has it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.formula import FALSE, TRUE
from palisade.rego.partial.formulas.terms import Gathered, ObjectOf, Symbol, subterms
from palisade.rego.partial.reading import Reading
from palisade.rego.partial.symbols.messages import conditions_in, none_or_some, with_conditions
from palisade.rego.text import dumps
from palisade.rego.values import UNDEFINED, Set, sorted_values

MESSAGES = (
    "no user",
    "",
    'sprintf("path %s", [input.x])',
    'sprintf("path %s is long", [input.y])',
    'sprintf("%s has no name", [input.x])',
    'concat("-", ["no", input.y])',
    '$"none {input.x}"',
    "input.x",
)
VALUES = (
    '{"body": concat(", ", deny), "some": count(deny) > 0}',
    '{"allowed": count(deny) == 0, "why": deny}',
    '{"body": json.marshal({"why": deny, "x": [deny, input.x]})}',
    '{"body": json.marshal({"why": sort(deny)})}',
    '{"body": sprintf("<%s>", [concat("|", deny)])}',
    '{"body": concat(" ", sort(deny)), "sorted": sort(deny)}',
    '{"none": count(deny) == 0, "why": deny, "others": others}',
    '{"body": reason} if { reason := concat("; ", deny); reason != "" }',
    '{"listed": [at | some at in ["0", "1", "2"]; input[at]], "why": deny}',
)
OTHERS = 'others contains "x" if input.x'
_texts = st.text("no apthu", max_size=6)


def _policy(messages: list[str], rule: str) -> rego.Policy:
    made = [each if "(" in each or "input" in each else dumps(each) for each in messages]
    rules = "\n".join(f'deny contains m if {{ input["{at}"]; m := {each} }}' for at, each in enumerate(made))
    return rego.compile({"p.rego": f"package p\n\n{OTHERS}\n\n{rules}\n\nallow := {rule}\n"})


@given(
    st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=6),
    st.sampled_from(VALUES),
    st.fixed_dictionaries({}, optional={"x": _texts, "y": _texts, **dict.fromkeys("012345", st.just(1))}),
)
def test_what_holds_is_what_the_evaluator_gathers(
    messages: list[str], rule: str, document: dict[str, Any]
) -> None:
    """Whichever hold, and whatever the request brings: once each, in the order that Rego has, also where two
    rules give one message; where the order stays open, it is as it was."""
    policy = _policy(messages, rule)
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    reading = Reading(document)
    [case] = [each for each in outcome.cases if reading.holds(each.condition)][:1]
    found = [] if case.value is None else none_or_some(outcome.builder, case.condition, case.value)
    held = [_listed(reading.value(value)) for condition, value in found if reading.holds(condition)]
    wanted = policy.evaluate("data.p.allow", document)
    assert held == ([] if wanted is UNDEFINED else [_listed(wanted)])


def _listed(value: Any) -> Any:
    """The object with the members of sets in Rego's order."""
    return {name: sorted_values(each) if isinstance(each, Set) else each for name, each in value.items()}


def _made(messages: list[str], rule: str) -> tuple[Any, list[tuple[Any, Symbol]]]:
    policy = _policy(messages, rule)
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    [case] = [each for each in outcome.cases if isinstance(each.value, ObjectOf)]
    assert case.value is not None
    return outcome.builder, none_or_some(outcome.builder, case.condition, case.value)


@pytest.mark.parametrize(
    "rule", ['{"why": deny}', '{"body": concat(", ", deny)}', '{"why": sort([each | some each in deny])}']
)
def test_messages_are_put_in_order_once(rule: str) -> None:
    """So that whoever decides need not look at their texts: two cases are left, none of them and some."""
    _, found = _made(["no user", "b", "a", "no user"], rule)
    gathered = {part for _, value in found for part in subterms(value) if isinstance(part, Gathered)}
    assert len(found) == 2
    assert [(each.kind, len(each.parts)) for each in gathered] == [("array", 3)]


def test_conditions_in_a_value_are_found_and_changed() -> None:
    """As those of the decision are, where what a token says becomes known; what never holds is left out."""
    _, found = _made(["no user", "a", "b"], '{"why": deny}')
    [value] = [value for _, value in found if list(conditions_in(value))]
    first, *others = conditions_in(value)
    changed = with_conditions(value, lambda each: FALSE if each == first else TRUE)
    assert list(conditions_in(changed)) == [TRUE] * len(others)
