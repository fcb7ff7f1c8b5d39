"""Documents with two values at some keys: an error for who asks for one of those, and for nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from opa_answers import OpaAnswers
from outcome_answers import ErrorOutcome, answer

from palisade import rego
from palisade.rego.partial import evaluate

HEAD = """package p

role[user] := binding.role if {
	some binding in data.bindings
	some user in binding.users
}
"""
DATA: dict[str, Any] = {
    "bindings": [{"role": "admin", "users": ["alice", "bob"]}, {"role": "reader", "users": ["bob", "carol"]}],
    "more": {"alice": 1, "dave": 2},
}
USERS = ("alice", "bob", "carol", "dave", 1, None)

BY_REQUEST = 'r if role[input.user] == "admin"'
ASKED = {
    "a key of the request": BY_REQUEST,
    "a variable": "r := x if { user := input.user; x := role[user] }",
    "a constant": 'r if role.alice == "admin"',
    "a constant with two values": "r if not role.bob",
    "none at the key": "r if not role[input.user]",
    "in a function": "r := f(input.user)\nf(x) := role[x]",
    "in a loop": 'r := [x | some user in ["alice", input.user]; x := role[user]]',
    "by another document": """r := name[input.user]
name[user] := x if { some user in ["alice", "bob"]; x := role[user] }""",
    "with another rule": """r := role[input.user]
role[user] := "x" if some user, _ in data.more""",
    "a part of the value": """r := made[input.user].of
made[user] := {"of": each.role} if { some each in data.bindings; some user in each.users }""",
    "with other data": """r := x if {
	x := role[input.user] with data.bindings as [{"role": "x", "users": ["bob"]}]
}""",
    "all of it": "r := count(role)",
    "all keys": "r if { some user in object.keys(role); user == input.user }",
}


@pytest.mark.parametrize("asked", ASKED)
def test_who_asks_for_another_key_is_answered_as_by_opa(opa: OpaAnswers, asked: str) -> None:
    source = f"{HEAD}\n{ASKED[asked]}\n"
    policy = rego.compile({"p.rego": source}, DATA)
    outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)
    for user in USERS:
        [wanted] = opa.ask(source, {"user": user}, ["r"], DATA)
        assert found(policy, user) == wanted, user
        try:
            value = answer(outcome, {"user": user})
        except ErrorOutcome:
            value = rego.UNDEFINED
        assert ([] if value is rego.UNDEFINED else [value]) == wanted, user


def found(policy: rego.Policy, user: Any) -> list[Any]:
    """The value in a list, an empty one where there is none, as OPA is asked."""
    try:
        value = policy.evaluate("data.p.r", {"user": user})
    except rego.EvalError:
        return []
    return [] if value is rego.UNDEFINED else [value]


def test_the_error_names_keys() -> None:
    """Who wrote the object wrote no function."""
    policy = rego.compile({"p.rego": f"{HEAD}\n{BY_REQUEST}\n"}, DATA)
    with pytest.raises(rego.EvalError, match=r"p\.rego:3: eval_conflict_error: object keys must be unique"):
        policy.evaluate("data.p.r", {"user": "bob"})


def test_an_edit_of_the_data_brings_two_values_and_takes_them_away() -> None:
    """What was planned for the data before is not taken for it."""
    source = {"p.rego": f"{HEAD}\n{BY_REQUEST}\n"}
    without = {"bindings": DATA["bindings"][:1]}
    policy = None
    for data, bob in ((without, [True]), (DATA, []), (without, [True]), (DATA, [])):
        policy = rego.compile(source, data, previous=policy)
        policy.plan(["data.p.r"])
        assert (found(policy, "alice"), found(policy, "bob")) == ([True], bob)


def test_a_number_that_finds_a_text_in_the_data_is_in_doubt() -> None:
    """As where the document is made as a whole: OPA finds there what stands at "1"."""
    source = {"p.rego": f"{HEAD}\n{ASKED['with another rule']}\n"}
    policy = rego.compile(source, {**DATA, "more": {"1": 1}})
    assert found(policy, "1") == ["x"]
    with pytest.raises(rego.EvalError, match="look it up by a text"):
        policy.evaluate("data.p.r", {"user": 1})
