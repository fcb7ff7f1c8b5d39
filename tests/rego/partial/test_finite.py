"""A value made of a few messages is known for every set of them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.finite import MAX_CONDITIONS, MAX_SIZE, combinations
from palisade.rego.partial.formula import FALSE, TRUE, Formula, In
from palisade.rego.partial.rewriting import substitute
from palisade.rego.partial.terms import Known
from palisade.rego.values import key

NAMES = "abc"
RULES = "\n".join(f'deny contains "no {name}" if input.{name} == 1' for name in NAMES)


def _cases(rule: str, rules: str = RULES) -> tuple[Any, rego.Policy, list[tuple[Formula, Any]]]:
    policy = rego.compile({"p.rego": f"package p\n\n{rules}\n\nallow := {rule}\n"})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    [case] = [each for each in outcome.cases if each.value is not None]
    return outcome.builder, policy, combinations(outcome.builder, case.condition, case.value)


@pytest.mark.parametrize(
    "rule",
    [
        '{"body": concat(", ", deny), "n": count(deny)}',
        '{"body": json.marshal({"why": deny, "x": [deny, 1]})}',
        '{"some": [m | some m in deny; m != "no b"]}',
        '{"body": sprintf("%d: %v", [count(deny), deny])}',
    ],
)
def test_each_combination_has_the_value_that_the_evaluator_gives(rule: str) -> None:
    builder, policy, found = _cases(rule)
    for held in product((0, 1), repeat=len(NAMES)):
        document = dict(zip(NAMES, held, strict=True))

        def decided(atom: Any, document: dict[str, int] = document) -> Formula:
            assert isinstance(atom, In)
            return TRUE if key(document[str(atom.term.path[0])]) in atom.values else FALSE

        [value] = [value for condition, value in found if substitute(builder, condition, decided) is TRUE]
        assert isinstance(value, Known)
        assert value.value == policy.evaluate("data.p.allow", document)


def test_what_is_not_known_or_too_much_stays_as_it_is() -> None:
    of_the_request = _cases('{"body": concat(", ", deny)}', "deny contains input.x if input.y")[2]
    many = "\n".join(f'deny contains "{at}" if input.x{at}' for at in range(MAX_CONDITIONS + 1))
    too_many = _cases('{"body": concat(", ", deny)}', many)[2]
    long = "; ".join(f"input.x{at}; not input.y{at}" for at in range(MAX_SIZE // 4))
    too_large = _cases('{"body": concat(", ", deny)}', f'deny contains "a" if {{ {long} }}')[2]
    for found in (of_the_request, too_many, too_large):
        [(_, value)] = found
        assert not isinstance(value, Known)
