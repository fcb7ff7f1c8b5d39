"""Builtins that ask whether one of several things matches hold what the evaluator says, as OPA does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agreement import judged, outcome_of
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego import text
from palisade.rego.values import UNDEFINED

DATA: dict[str, Any] = {"lists": {"prefixes": ["al", "b"]}, "empty": [], "odd": ["al", 1], "one": "al"}
DATA["table"] = {"a": 1}
DATA["nested"] = {"a": {"b": 3}, "alice": {"a": {"c": 1}}, "Bob": {"b": {"a": 1}}}
TEXTS = (
    "r := strings.any_prefix_match(lower(input.x), data.lists.prefixes)",
    'r := strings.any_prefix_match(input.x, {"al", "B"})',
    "r := strings.any_prefix_match(lower(input.x), data.odd)",
    "r := strings.any_prefix_match(lower(input.x), data.empty)",
    "r := strings.any_prefix_match(lower(input.x), data.one)",
    "r := strings.any_suffix_match(lower(input.x), input.y)",
    "r := strings.any_prefix_match(input.x, input.y)",
    'r := strings.any_prefix_match(input.x, [p | some p in input.y; p != "al"])',
    'r := strings.any_prefix_match(lower(input.x), {p | some p in input.y; p != "a"})',
    "r := strings.any_prefix_match(lower(input.x), [input.y, `b`])",
    "r if not strings.any_suffix_match(input.x, [p | some p in input.y])",
    'r := strings.any_prefix_match(split(input.x, ",")[1], ["a", "b"])',
    "r := strings.any_prefix_match(lower(input.x), data.table)",
    "r := strings.any_prefix_match(lower(input.x), input.y.a)",
)
NETWORKS = (
    'r := net.cidr_contains_matches(["10.0.0.0/8", "10.1.0.0/16", "::/0"], input.x)[_][0] == 1',
    'r := count(net.cidr_contains_matches(["10.0.0.0/8", "10.1.0.0/16"], input.x))',
    'r if ["10.0.0.0/8", input.x] in net.cidr_contains_matches("10.0.0.0/8", input.x)',
    'r := name if some [name, _] in net.cidr_contains_matches({"a": ["10.0.0.0/8", 1]}, trim_space(input.x))',
    "r if net.cidr_contains_matches(data.empty, input.x) == set()",
    'r := count(net.cidr_contains_matches({"10.0.0.0/8"}, [input.x]))',
    'r if net.cidr_contains_matches(["10.0.0.0"], input.x)',
    'r if not net.cidr_contains_matches(["10.0.0.0/8"], lower(input.x))',
)
OTHERS = (
    'r := object.get({"a": 1, "b": {"c": null}}, "a", input.x)',
    'r := object.get({"a": 1, "b": {"c": null}}, ["b", "c"], input.x)',
    'r := object.get({"a": 1, "b": {"c": null}}, ["b", "d"], input.x)',
    'r := object.get({"a": 1}, [], input.x)',
    "r := object.get(data.odd, 0, input.x)",
    'r := object.get(object.get(input, ["y", "a"], {}), "a", input.x)',
    'r := json.remove(input.x, ["a", "/c"]).b',
    'r := json.filter(input.x, {"/a"}).a',
    'r if json.filter(input.x, ["a", "b"]) == {"a": "a", "b": "b"}',
    'r if json.filter(input.x, ["a", "b"]) != {"a": 1}',
    'r if json.remove(input.x, ["a"]) == {"b": "b"}',
    'r if json.remove(input.x, ["a~1b", "x"]) == {"a/b": 1}',
    'r if object.filter(input.x, ["a"]) == {"a": 1, "b": 1}',
    'r if not object.filter(input.x, ["a"]) == {"a": 1}',
    'r if object.remove(input.x, [1]) == {"x": ["a"]}',
    'r if object.remove(input.x, ["z"]) == data.odd',
    "r if json.filter(input.x, data.odd) == {}",
)
COUNTED = (
    'r := strings.count(input.x, ".")',
    'r if strings.count(lower(input.x), "b") == 2',
    'r if not strings.count(input.x, ",") > 0',
    'r := strings.count(input.x, "")',
    'r := strings.count(input.x, "..")',
    'r := strings.count(split(input.x, ",")[1], "b") - 1',
)
MADE = (
    'r := object.union_n([{"a": 1, "b": 2}, object.get(data.nested, input.x, {})]).b',
    'r := object.union_n([{"a": 1}, object.get(data.nested, input.x, {}), {"c": input.y}]).c',
    'r if object.union_n([{"a": 1, "b": 2}, object.get(data.nested, input.x, {})]).a > 0',
)
VERSIONS = (
    "r := semver.is_valid(input.x)",
    "r if not semver.is_valid(trim_space(input.x))",
    'r := semver.is_valid(concat(".", [input.x, "1-a.b", ""]))',
    "r := semver.is_valid(split(input.x, ` `)[1])",
)
SETS = (
    "s(x) := {x} if is_string(x)\ns(x) := {y | some y in x} if is_array(x)\nr if `a` in s(input.x)",
    "s(x) := {x} if is_string(x)\ns(x) := {y | some y in x}\nr if `a` in s(input.x)",
    "s := {input.x}\ns := {y | some y in input.y}\nr if count(s) == 1",
    "s := {input.x, `a`}\ns := {y | some y in input.y; y != 1}\nr if `a` in s",
    "r if {y | some y in input.y} == {input.x}",
    "r if {y | some y in input.y} != {input.x, `a`}",
    "r if count([input.x, input.x]) == 2",
    "r if count({input.x}) == 1",
    "r if { is_string(input.x); some y in input.x }",
    "r if { is_number(input.x); not is_boolean(input.x) }",
    "r if { some y in input.x; is_object(input.x) }",
)
RULES = (*TEXTS, *NETWORKS, *OTHERS, *VERSIONS, *COUNTED, *MADE)
SEVERAL = ("_match(input.x", "_matches(", "semver", "union_n")
"""Several texts, or addresses, may be asked at once there, which only the evaluator follows; numbers of
versions may be too large, and an array may be asked for as a path."""
VALUES: tuple[Any, ...] = (
    *("1.2.3", "v1.02.3-a.b+c", "1.2.3-", "1.2", "1.2.3\n", " 1.2.3+", f"1.{'9' * 18}.3", f"1.2.{'9' * 19}"),
    *(
        f"{'0' * 30}.1.1",
        "1.2.3-a..b",
        "1.2.3+\u00e4",
        "a 1.2.3",
        "1.2.",
        "V1.2.3",
        "1.2.9223372036854775807",
    ),
    *("alice", "Bob", "a", "", "x,bob", "10.1.2.3", "10.2.0.0/16", "11.0.0.1", " 10.1.1.1 ", "::1", "1.2.3"),
    *(1, None, False, [], ["a"], ["al", "b"], ["al", 1], [["a"]], ["10.1.2.3"], {}, {"a": "al"}, {"a": 1}),
    *({"a": "a", "b": "b"}, {"a": ["al"], "b": 1}, {"a/b": 1}, {"b": "b"}, {"a": 1, "b": 1}, {"x": ["a"]}),
)
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {},
    *({"x": x} for x in VALUES),
    *({"x": x, "y": y} for x in VALUES[12:27] for y in VALUES),
    *({"x": x, "y": "al"} for x in VALUES),
)
ASKED_OF_OPA = (*DOCUMENTS[: len(VALUES) + 1], *DOCUMENTS[len(VALUES) + 1 :: 61])
"""Each value alone, and some of the pairs."""


@pytest.mark.parametrize("rule", [*RULES, *SETS])
def test_what_is_asked_of_several_is_asked_of_each(rule: str) -> None:
    """Also of values that the builtins refuse: no text, no address, a prefix that is none."""
    policy, outcome = outcome_of(rule, DATA)
    found = {judged(policy, outcome, document) for document in DOCUMENTS}
    assert "unsure" not in found or any(each in rule for each in SEVERAL), found


def test_the_evaluator_says_what_opa_says(opa: OpaAnswers) -> None:
    """But for `not` of a call that refuses what it gets: the library ends there, as OPA's server does not."""
    names = [f"r{at}" for at in range(len(RULES))]
    rules = "\n".join(f"{name}{rule[1:]}" for name, rule in zip(names, RULES, strict=True))
    source = f"package p\nimport rego.v1\n{rules}\n"
    policy = rego.compile({"p.rego": source}, DATA)
    for document in ASKED_OF_OPA:
        wanted = opa.ask(source, document, names, DATA)
        for name, theirs in zip(names, wanted, strict=True):
            try:
                mine = policy.evaluate(f"data.p.{name}", document)
            except rego.EvalError:
                mine = UNDEFINED
            if not theirs and " not " in RULES[int(name[1:])]:
                continue
            told = [] if mine is UNDEFINED else [json.loads(text.dumps(mine))]
            assert told == theirs, (name, RULES[int(name[1:])], document)
