"""A value made of a few messages is known for every set of them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Formula, In
from palisade.rego.partial.formulas.rewriting import substitute
from palisade.rego.partial.formulas.terms import Gathered, Input, Known, Part, Symbol, subterms
from palisade.rego.partial.reading import Reading
from palisade.rego.partial.symbols.finite import MAX_CONDITIONS, MAX_SIZE, MAX_VALUES, by_values, combinations
from palisade.rego.text import dumps
from palisade.rego.values import UNDEFINED, key

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
    assert [isinstance(value, Known) for _, value in of_the_request] == [False, True]
    for found in (too_many, too_large):
        [(_, value)] = found
        assert not isinstance(value, Known)


MESSAGES = (
    "no user",
    'sprintf("path %s", [input.x])',
    'sprintf("path %s is long", [input.y])',
    'sprintf("%s has no name", [input.x])',
    'concat("-", ["no", input.y])',
    '$"none {input.x}"',
)
_texts = st.text("no apthu", max_size=6)


@given(
    st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=4, unique=True),
    st.sampled_from(
        (
            '{"body": concat(", ", deny), "n": count(deny)}',
            '{"body": json.marshal({"why": deny, "x": [deny, input.x]})}',
            '{"n": count([m | some m in deny]) > 0}',
        )
    ),
    st.fixed_dictionaries({}, optional={"x": _texts, "y": _texts, **dict.fromkeys("0123", st.just(1))}),
)
def test_messages_with_values_of_the_request_stand_in_the_order_that_rego_has(
    messages: list[str], rule: str, document: dict[str, Any]
) -> None:
    """Whichever hold, and whatever the request brings: also where their order stays open."""
    rules = "\n".join(
        f'deny contains m if {{ input["{at}"]; m := {each if "(" in each or "$" in each else dumps(each)} }}'
        for at, each in enumerate(messages)
    )
    policy = rego.compile({"p.rego": f"package p\n\n{rules}\n\nallow := {rule}\n"})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    reading = Reading(document)
    [case] = [each for each in outcome.cases if reading.holds(each.condition)][:1]
    found = [] if case.value is None else combinations(outcome.builder, case.condition, case.value)
    held = [value for condition, value in found if reading.holds(condition)]
    wanted = policy.evaluate("data.p.allow", document)
    assert [reading.value(value) for value in held] == ([] if wanted is UNDEFINED else [wanted])


@pytest.mark.parametrize(
    "rule",
    [
        '{"body": concat(", ", [m | some m in deny])}',
        '{"all": [m | some m in deny; m != "no b"]}',
        '{"all": [1 | some m in deny]}',
        '{"all": [v | some v in [m | some m in deny]]}',
    ],
)
def test_what_is_listed_of_a_set_stands_in_the_order_of_its_members(rule: str) -> None:
    """Not in that of the rules; and each once, however many rules bring it."""
    rules = "\n".join(f'deny contains "no {name}" if input.{name} == 1' for name in "cabb")
    rules += '\ndeny contains "no a" if input.b == 1'
    _, policy, found = _cases(rule, rules)
    for held in product((0, 1), repeat=len(NAMES)):
        document = dict(zip(NAMES, held, strict=True))
        reading = Reading(document)
        [value] = [value for condition, value in found if reading.holds(condition)]
        assert reading.value(value) == policy.evaluate("data.p.allow", document)


LOOPED = (
    '{"all": {x | some x in input.xs}}',
    '{"all": [x | some x in input.xs], "n": count({x | some x in input.xs})}',
    '{"body": concat(",", {x | some x in input.xs; input.a})}',
    '{"body": concat(",", [x | some x in roles])}',
    '{"all": {x | some y in [input.a, input.xs[0]]; x := y}, "b": [x | some x in roles; input.b]}',
)


@pytest.mark.parametrize("rule", LOOPED)
def test_members_of_loops_stand_under_what_is_known(rule: str) -> None:
    """Where all that they are under is outside of the loop, they are there or none is."""
    rules = "roles := input.ys.roles if input.b"
    _, policy, found = _cases(rule, rules)
    left = [part.condition for _, value in found for each in subterms(value) for part in _parts(each)]
    assert set(left) <= {TRUE}
    for xs, ys, a, b in product(
        (None, [], ["b", "a", "b"]), (None, {"roles": ["c", "a"]}, {"roles": []}), "x\0", (True, False)
    ):
        given = {"xs": xs, "ys": ys, "a": a, "b": b}
        document: Any = {name: value for name, value in given.items() if value is not None}
        reading = Reading(document)
        held = [value for condition, value in found if reading.holds(condition)]
        wanted = policy.evaluate("data.p.allow", document)
        assert [reading.value(value) for value in held] == ([] if wanted is UNDEFINED else [wanted])


def _parts(symbol: Symbol) -> tuple[Part, ...]:
    return symbol.parts if isinstance(symbol, Gathered) else ()


def test_an_order_that_the_beginnings_tell_is_known() -> None:
    rules = 'deny contains "no user" if not input.u\ndeny contains sprintf("path %s", [input.x]) if input.y\n'
    found = _cases('{"body": concat(", ", deny)}', rules)[2]
    assert not any("set" in str(value) for _, value in found)
    of_one_beginning = rules.replace("no user", "path a")
    assert any(
        "set" in str(value) for _, value in _cases('{"body": concat(", ", deny)}', of_one_beginning)[2]
    )


ANSWERS = (
    'allow := {"body": sprintf("%s is gone", [input.x[0]])} if data.t[input.x[0]].old',
    'allow := {"a": data.t[input.x[0]].name, "b": input.x[0], "c": [input.x[1]]} if input.x[1] in {"a", "b"}',
    'allow := {"body": input.x[0]} if { data.t[input.x[0]].old; not input.x[0] == "a" }',
    'allow := {"b": concat("", [input.x[0], input.x[1]])} if { input.x[0] in {"a", "d"}; input.x[1] == "c" }',
    'allow := {"body": upper(input.x[0])} if input.x[0] in {"a", 1}',
    'allow := {"body": input.x[0]} if input.x[0] != "a"',
    *(
        f'late contains x if {{ some x in {{"b", "c"}}; input.x[1] == x }}\n'
        f'allow := {{"body": sprintf("%s: %v", [input.x[0], {told}])}} if input.x[0] in {{"a", "b"}}'
        for told in ('concat(",", late)', "count(late)", "late", '[each | some each in late; each != "b"]')
    ),
)
TABLE = {"a": {"old": True, "name": "A"}, "b": {"old": False, "name": "B"}, "c": {"old": True, "name": "C"}}


@pytest.mark.parametrize("rule", ANSWERS)
def test_a_value_is_known_for_each_constant_that_a_term_may_be(rule: str) -> None:
    """Each request has the value that the evaluator gives, by one of the cases or by none."""
    policy = rego.compile({"p.rego": f"package p\n\n{rule}\n"}, {"t": TABLE})
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)

    def asked(symbol: Symbol) -> bool:
        return isinstance(symbol, Input) and symbol.path[:1] == ("x",)

    known = 0
    for first, second in product(("a", "b", "c", "d", 1, None), repeat=2):
        document = {"x": [first, second]}
        reading, found = Reading(document), UNDEFINED
        for case in outcome.cases:
            if case.value is None:
                continue
            for condition, value in by_values(outcome.builder, case.condition, case.value, asked):
                if found is UNDEFINED and reading.holds(condition):
                    found = reading.value(value)
                    known += isinstance(value, Known)
        wanted = policy.evaluate("data.p.allow", document)
        assert found is wanted if wanted is UNDEFINED else found == wanted, document
    assert known or any(each in rule for each in ("!=", "upper", "late"))


def test_too_many_constants_are_left_to_the_request() -> None:
    """What is looked up in a large table is no case for each entry of it."""
    table = {str(at): True for at in range(MAX_VALUES + 1)}
    policy = rego.compile(
        {"p.rego": 'package p\n\nallow := {"x": input.x} if data.t[input.x]\n'}, {"t": table}
    )
    outcome = evaluate(policy.plan(["data.p.allow"]), ("p", "allow"), policy.data)
    case = outcome.cases[0]
    assert case.value is not None
    found = by_values(outcome.builder, case.condition, case.value, lambda each: isinstance(each, Input))
    assert found == [(case.condition, case.value)]


@pytest.mark.parametrize(
    "rule",
    ['{"x": {input.x, input.y}}', '{"x": {input.x | input.y}}', '{"a": input.x, "x": [{input.x, input.y}]}'],
)
def test_a_term_among_the_members_of_a_set_is_left_there(rule: str) -> None:
    """It was put in again and again where it never came to stand: compiling ended in a RecursionError."""
    source = f'package p\n\nallow := {rule} if input.x in {{"a", "b"}}\n'
    outcome = evaluate(rego.compile({"p.rego": source}).plan(["data.p.allow"]), ("p", "allow"), {})
    case = outcome.cases[0]
    assert case.value is not None
    found = by_values(outcome.builder, case.condition, case.value, lambda each: each == Input(("x",)))
    assert found == [(case.condition, case.value)]
