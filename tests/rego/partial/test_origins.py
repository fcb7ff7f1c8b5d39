"""Cases stand at the rule that has them: behind one that only hands on, and at the branch of an `else`."""

from __future__ import annotations

import pytest

from palisade import rego
from palisade.enforce.envoy.decision import decide
from palisade.rego.partial import Outcome, evaluate

BEHIND = """package shop

default allow := false

allow if input.method == "GET"

allow if input.path == "/open"

ok if input.method == "GET"

ok if input.path == "/open"

chosen if input.method == "GET"

else := false if input.method == "PUT"

else if input.path == "/open"

default get := false

get if input.method == "GET"
"""


def outcome_of(rules: str, previous: Outcome | None = None, before: rego.Policy | None = None) -> Outcome:
    policy = rego.compile({"a.rego": f"package a\n\n{rules}", "b.rego": BEHIND}, {}, previous=before)
    plan = policy.plan(["data.a.allow"])
    return evaluate(plan, ("a", "allow"), policy.data, None, previous, told_by="allowed")


def labels(outcome: Outcome) -> list[str]:
    return [f"{each.label.file}:{each.label.row}" for each in outcome.cases]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("allow := data.shop.allow", ["b.rego:5", "b.rego:7", "b.rego:3"]),
        ("allow := data.shop.allow if input.x", ["b.rego:5", "b.rego:7", "b.rego:3"]),
        ("allow if data.shop.ok", ["b.rego:9", "b.rego:11"]),
        ("allow := data.shop.chosen", ["b.rego:13", "b.rego:17", "b.rego:15"]),
        ("allow if data.shop.chosen", ["b.rego:13", "b.rego:17"]),
        (
            'allow if input.x\n\nelse := false if input.y\n\nelse := "no"',
            ["a.rego:3", "a.rego:5", "a.rego:7"],
        ),
        ("allow := data.a.next\n\nnext := data.shop.ok", ["b.rego:9", "b.rego:11"]),
        # Rules that always hold.
        ("allow := true", ["a.rego:3"]),
        ("default allow := true\n\nallow := false if input.x", ["a.rego:5", "a.rego:3"]),
        ("default allow := false\n\nallow if input.x", ["a.rego:5", "a.rego:3"]),
        ("default allow := false\n\nallow if input.x\n\nallow if 1 == 1", ["a.rego:7"]),
        ("allow if input.x\n\nelse := false", ["a.rego:3", "a.rego:5"]),
        ("allow := data.a.next\n\nnext if input.x\n\nnext if true", ["a.rego:7"]),
        ("default allow := false\n\nallow if data.a.next\n\nnext if true", ["a.rego:7"]),
        ("allow := found if {\n\tfound := data.shop.ok\n\tinput.x\n}", ["b.rego:9", "b.rego:11"]),
        ("allow if {\n\tfound := data.shop.ok\n\tfound\n}", ["b.rego:9", "b.rego:11"]),
        # These decide something themselves.
        ("allow if {\n\tdata.shop.ok\n\tinput.x\n}", ["a.rego:3"]),
        ("allow if not data.shop.ok", ["a.rego:3"]),
        ('allow if data.shop.ok with input.method as "PUT"', ["a.rego:3"]),
        # These too, and hold where the one behind does.
        ('allow if {\n\tinput.method in {"GET", "PUT"}\n\tdata.shop.get\n}', ["a.rego:3"]),
        ('allow if {true: "get", false: "no"}[data.shop.get] == "get"', ["a.rego:3"]),
    ],
)
def test_a_case_stands_at_the_rule_that_has_it(rules: str, expected: list[str]) -> None:
    found = outcome_of(rules)
    assert [each for each in labels(found) if each != ":0"] == expected


TOGETHER = """allow["allowed"] := data.shop.allow

allow["status"] := 404 if input.path == "/lost"
"""


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (TOGETHER, {"b.rego:5", "b.rego:7", "b.rego:3"}),
        ('allow.allowed if input.x\n\nallow.body := "no" if input.y', {"a.rego:3"}),
        ("allow.allowed := input.x > 1\n\nallow.allowed := false if input.y", {"a.rego:3", "a.rego:5"}),
        ("allow.allowed := true\n\nallow.body := input.x", {"a.rego:3"}),
        ('default allow.allowed := false\n\nallow.body := "no" if input.y', {"a.rego:3"}),
    ],
)
def test_an_object_that_rules_put_together_stands_at_the_rule_that_allows_or_does_not(
    rules: str, expected: set[str]
) -> None:
    """The log called each such decision `<query>:0`."""
    found = outcome_of(rules)
    told = {at for case, at in zip(found.cases, labels(found), strict=True) if "allowed" in str(case.value)}
    assert told == expected


def test_an_object_that_rules_put_together_is_taken_over_from_the_revision_before() -> None:
    before = rego.compile({"a.rego": f"package a\n\n{TOGETHER}", "b.rego": BEHIND})
    first = outcome_of(TOGETHER, None, before)
    again = outcome_of(TOGETHER, first, before)
    assert [each.label for each in again.cases] == [each.label for each in first.cases]


def test_what_is_taken_over_from_the_revision_before_stands_where_it_stood() -> None:
    rules = "allow := data.shop.allow if input.x\n\nallow if data.shop.chosen\n"
    before = rego.compile({"a.rego": f"package a\n\n{rules}", "b.rego": BEHIND})
    first = outcome_of(rules, None, before)
    again = outcome_of(rules, first, before)
    assert labels(again) == labels(first)


def test_handing_on_costs_envoy_nothing() -> None:
    """What Envoy gets is what it gets where the rule behind is the decision itself."""
    behind = BEHIND.replace("input.", "input.attributes.request.http.")

    def entries(path: str, rules: str) -> list[tuple[object, ...]]:
        policy = rego.compile({"a.rego": f"package a\n\n{rules}", "b.rego": behind})
        plan = policy.plan([f"data.{path.replace('/', '.')}"])
        found = decide(evaluate(plan, tuple(path.split("/")), policy.data), [])
        return [(each.predicate, each.verdict, each.name) for each in found.entries]

    assert entries("a/allow", "allow := data.shop.ok") == entries("shop/ok", "")
    assert entries("a/allow", "allow if data.shop.ok") == entries("shop/ok", "")
