"""Attribution names the rule that decided, in each form that rules take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade import rego
from palisade.policy.attribution import MOST_RULES, attribute

SOURCE = """package a

import data.lib

default allow := false

allow if input.method == "GET"

allow if {
	input.method == "POST"
	some role in input.roles # with a comment
	lib.writes(role)
} else := {"allowed": false, "http_status": 402} if {
	input.method == "POST"
	input.unpaid
}
"""
SETS = ("a", "palisade_deciding_rules")
LIB = 'package lib\n\nwrites(role) if role in {"clerk", "admin"}\n'


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ({"method": "GET"}, "a.rego:7"),
        ({"method": "POST", "roles": ["clerk"]}, "a.rego:9"),
        ({"method": "POST", "roles": ["clerk"], "unpaid": True}, "a.rego:9"),
        ({"method": "POST", "roles": [], "unpaid": True}, "a.rego:13"),
        ({"method": "PUT"}, "a.rego:5"),
        ({}, "a.rego:5"),
    ],
)
def test_the_deciding_rule_is_named(document: dict[str, Any], rule: str) -> None:
    policy = rego.compile({"a.rego": SOURCE, "lib.rego": LIB})
    assert attribute(policy, "a/allow").rule(document) == rule


TOGETHER = """package a

result["allowed"] := data.shop.allow

result["http_status"] := 404 if input.path == "/lost"
"""
SHOP = """package shop

default allow := false

allow if input.method == "GET"
"""


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ({"method": "GET"}, "shop.rego:5"),
        ({"method": "GET", "path": "/lost"}, "shop.rego:5"),
        ({"path": "/lost"}, "shop.rego:3"),
        ({}, "shop.rego:3"),
    ],
)
def test_an_object_that_rules_put_together_is_called_after_the_one_that_allows(
    document: dict[str, Any], rule: str
) -> None:
    """As Envoy calls it (`tests/rego/partial/test_origins.py`)."""
    policy = rego.compile({"a.rego": TOGETHER, "shop.rego": SHOP})
    assert attribute(policy, "a/result").rule(document) == rule


def test_rules_in_several_files_and_with_references_in_heads() -> None:
    policy = rego.compile(
        {
            "one.rego": "package envoy.authz\n\nallow if input.x == 1\n",
            "two.rego": "package envoy\n\nauthz.allow if input.x == 2\n",
        }
    )
    attribution = attribute(policy, "envoy/authz/allow")
    assert [attribution.rule({"x": x}) for x in (1, 2, 3)] == ["one.rego:3", "two.rego:3", ""]


def test_rules_of_older_rego() -> None:
    source = "\n\n".join(
        [
            "package a",
            "import future.keywords",
            "default allow = false",
            "allow { input.x == 1 }",
            "allow if input.x == 2",
        ]
    )
    attribution = attribute(rego.compile({"a.rego": source}, version=0), "a/allow")
    assert [attribution.rule({"x": x}) for x in (1, 2, 3)] == ["a.rego:7", "a.rego:9", "a.rego:5"]
    modern = "package a\n\nimport rego.v1\n\nallow if input.x == 1\n"
    assert attribute(rego.compile({"a.rego": modern}, version=0), "a/allow").rule({"x": 1}) == "a.rego:5"


def test_a_constant_rule() -> None:
    assert attribute(rego.compile({"a.rego": "package a\nallow := true\n"}), "a/allow").rule({}) == "a.rego:2"


def test_a_decision_without_rules_has_no_rule() -> None:
    assert attribute(rego.compile({"a.rego": "package a\nallow := true\n"}), "b/allow").rule({}) == ""


def test_the_decision_itself_is_untouched() -> None:
    policy = rego.compile({"a.rego": SOURCE, "lib.rego": LIB})
    attribute(policy, "a/allow")
    assert policy.evaluate("data.a") == {"allow": False}


def test_a_decision_of_very_many_rules_is_not_attributed() -> None:
    """Trying ten thousand bodies for a line in the log would cost more than the decision."""
    rules = "".join(f"allow if input.x == {number}\n" for number in range(MOST_RULES + 1))
    policy = rego.compile({"a.rego": f"package a\n\ndefault allow := false\n\n{rules}"})
    assert attribute(policy, "a/allow").rule({"x": 1}) == ""


def test_packages_may_have_any_name() -> None:
    policy = rego.compile({"a.rego": 'package a["b-c"]\n\nallow if input.n == 1\n\nallow if input.n == 2\n'})
    assert attribute(policy, "a/b-c/allow").rule({"n": 2}) == "a.rego:5"


ENTRY = """package a

import data.shop

default allow := false

allow := shop.allow if input.function == "shop"

allow if data.ready.ok

allow if {
	data.ready.ok
	input.vip
}

allow if not data.ready.known
"""
BEHIND = """package shop

default allow := false

allow if input.method == "GET"

allow := data.ready.ok if input.method == "PUT"
"""
LAST = """package ready

ok if input.x == 1

else if input.x == 2

known if input.x > 0
"""


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ({"function": "shop", "method": "GET", "x": 9}, "b.rego:5"),
        ({"function": "shop", "method": "PUT", "x": 2}, "c.rego:5"),
        ({"function": "shop", "method": "PUT", "x": 9}, "b.rego:3"),
        ({"function": "shop", "method": "POST", "x": 9}, "b.rego:3"),
        ({"function": "other", "x": 1}, "c.rego:3"),
        ({"function": "other", "x": 1, "vip": True}, "c.rego:3"),
        ({"function": "other"}, "a.rego:16"),
        ({"function": "other", "x": 9}, "a.rego:5"),
    ],
)
def test_a_rule_that_only_hands_on_is_not_the_one_that_decided(document: dict[str, Any], rule: str) -> None:
    policy = rego.compile({"a.rego": ENTRY, "b.rego": BEHIND, "c.rego": LAST})
    assert attribute(policy, "a/allow").rule(document) == rule


def test_a_rule_hands_nothing_on_where_there_is_no_value() -> None:
    """Its body holds, and yet it is the next one that decides."""
    source = "package a\n\nallow := data.b.ok\n\nallow if input.x == 1\n"
    policy = rego.compile({"a.rego": source, "b.rego": "package b\n\nok if input.x == 2\n"})
    attribution = attribute(policy, "a/allow")
    assert [attribution.rule({"x": x}) for x in (1, 2, 3)] == ["a.rego:5", "b.rego:3", ""]


def test_what_takes_long_to_tell_is_not_told() -> None:
    """It is asked before the answer leaves, while other requests wait."""
    pairs = "package a\n\nallow if { some a in input.xs; some b in input.xs; a + b == input.sum }\n"
    told = attribute(rego.compile({"a.rego": pairs}), "a/allow")
    assert told.rule({"xs": [1] * 100, "sum": 2}) == "a.rego:3"
    assert told.rule({"xs": [1] * 1000, "sum": 2}) == ""


def _numbered(lines: list[int]) -> str:
    """A module whose rules hold for these numbers; 0 is an empty line."""
    return "package a\n\n" + "".join(f"allow if input.x == {x}\n" if x else "\n" for x in lines)


@given(st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=2, max_size=5))
def test_over_edits_the_names_are_those_of_the_policy_as_it_is_now(versions: list[list[int]]) -> None:
    """What an edit left alone is taken from before, wherever its lines stand by then."""
    policy = attribution = None
    for lines in versions:
        policy = rego.compile({"a.rego": _numbered(lines)}, previous=policy)
        attribution = attribute(policy, "a/allow", attribution)
        for x in range(1, 6):
            place = f"a.rego:{lines.index(x) + 3}" if x in lines else ""
            assert attribution.rule({"x": x}) == place


def test_rules_that_an_edit_left_alone_are_not_read_again() -> None:
    """After an edit of one of a thousand rules the engine was busy for a second: the next edit waited."""
    lines = list(range(1, 21))
    policy = rego.compile({"a.rego": _numbered(lines)})
    before = attribute(policy, "a/allow")
    edited = rego.compile({"a.rego": _numbered([*lines[:9], 0, 99, *lines[10:]])}, previous=policy)
    after = attribute(edited, "a/allow", before)
    found, kept = ([each.rule for each in it.policy.checked.rules[SETS]] for it in (after, before))
    assert len(found) == len(kept) == 20
    assert sum(new is old for new, old in zip(found, kept, strict=True)) >= 16
