"""An answer that tells how many members there are is known for each number of them."""

from __future__ import annotations

from typing import Any

import pytest

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.terms import Known
from palisade.rego.partial.reading import Reading
from palisade.rego.partial.symbols.counts import MOST, by_count

DENY = "".join(f'deny contains "no {name}" if input.{name}\n' for name in "abc")
VALUES = (
    ('{"n": sprintf("%d", [count(input.xs)])}', MOST),
    ('{"n": format_int(count(input.xs), 10), "also": count(input.xs)}', MOST),
    ('{"n": count(split(input.text, ","))}', MOST),
    ('{"n": sprintf("%d of %v", [count(deny), count(deny)])}', 3),
    ('{"n": count(input.xs), "some": count(input.xs) > 2}', MOST),
)
DOCUMENTS: tuple[dict[str, Any], ...] = (
    *({"xs": list(range(many)), "text": ",".join("x" * many)} for many in (0, 1, 2, 8, 9, 20)),
    {"xs": {"a": 1, "b": 2}, "text": 7},
    {"xs": "text", "a": 1, "b": 1},
    {"xs": 7, "b": 1},
    {"a": 1, "b": 1, "c": 1},
    {},
)


@pytest.mark.parametrize(("value", "most"), VALUES)
def test_the_number_is_what_the_evaluator_counts(value: str, most: int) -> None:
    """In one case whatever the request is: known up to MOST, and left to whoever decides beyond."""
    policy = rego.compile({"p.rego": f"package p\n\n{DENY}\nallow := {value}\n"})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    cases = [each for each in outcome.cases if each.value is not None]
    found = [made for each in cases for made in by_count(outcome.builder, each.condition, each.value)]
    assert sum(isinstance(made, Known) for _, made in found) == most + 1
    for document in DOCUMENTS:
        reading = Reading(document)
        held = [made for condition, made in found if reading.holds(condition)]
        wanted = policy.evaluate("data.p.allow", document)
        assert [reading.value(made) for made in held] == (
            [wanted] if rego.values.UNDEFINED is not wanted else []
        )


@pytest.mark.parametrize(
    "value",
    [
        '{"a": count(input.a), "b": count(input.b)}',
        '{"last": input.a[count(input.a) - 1]}',
        '{"last": input.a[count(input.a) - 1], "all": count(input.a)}',
        '{"rest": concat("/", array.slice(input.a, 1, count(input.a)))}',
    ],
)
def test_other_numbers_are_left_as_they_are(value: str) -> None:
    """Each of one with each of the other would be many answers; and the place of a member, however many there
    are, Envoy finds itself."""
    policy = rego.compile({"p.rego": f"package p\n\nallow := {value}\n"})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    for case in outcome.cases:
        if case.value is not None:
            assert by_count(outcome.builder, case.condition, case.value) == [(case.condition, case.value)]
