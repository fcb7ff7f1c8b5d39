"""A table that is looked up by the request several times in one rule: what was found is found again."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from outcome_answers import ErrorOutcome, answer

from palisade import rego
from palisade.rego.partial import evaluate
from palisade.rego.values import UNDEFINED

USERS = {
    "ann": {"active": True, "roles": ["a", "b"], "places": ["x"], "level": 3},
    "ben": {"active": False, "roles": ["a"], "places": ["x", "y"], "level": 1},
    "cyd": {"active": True, "roles": [], "places": ["y"], "level": 3},
    "dan": {"active": True, "roles": ["b"], "places": [], "level": 2},
    "eve": {"roles": ["b"], "level": 2},
}
ROLES = {"a": ["GET"], "b": ["GET", "PUT"]}

RULES = [
    "r if { user.active; some role in user.roles; input.verb in data.roles[role] }",
    "r if { user.active; some role in user.roles; input.verb in data.roles[role]; in_place }",
    "r if { user.level >= 2; not user.active }",
    "r if { not user.active; user.level >= 2 }",
    "r if { not user }",
    "r if { data.users[input.name].active; data.users[input.name].roles[_] == 'b' }",
    "r if { data.users[input.name].level < data.users[input.other].level; data.users[input.other].active }",
    "r if { every at in user.places { at == input.place }; every role in user.roles { role; level_2 } }",
    "r if { level(input.name) > level(input.other); level(input.name) == 3; not blocked(input.other) }",
    "r if { user.level == 3; user.active with input.name as 'dan' }",
    "r if { user.active; user.level == 1 with data.users.ann as {'level': 1} }",
    "r := user.level if user.active",
    "r := [user.level, user.active, [role | some role in user.roles]]",
    "r := {'level': user.level, 'status': status, 'why': why} if user",
    "r := {role: user.level | some role in user.roles; user.active}",
    "r := 1 if { user.level == 1; user.active } else := 2 if user.active else := 3 if user.level",
    "r := user.level\nr := 3 if user.active",
    "r contains role if { user.active; some role in user.roles; user.level > 1 }",
    "r[role] := user.level if { some role in user.roles; user.active }",
    "r if { some name, u in data.users; u.level == user.level; name != input.name; u.active; user.active }",
    "r if { {'GET': 'a', 'PUT': 'b'}[verb] in user.roles; {'GET': 1, 'PUT': 3}[verb] <= user.level }",
]

HELPERS = """
user := data.users[input.name]
level(name) := data.users[name].level
blocked(name) if not data.users[name].active
verb := input.verb
level_2 if user.level > 1
in_place if input.place in user.places
status := 200 if user.active
status := 403 if not user.active
why := "active" if user.active
why := sprintf("level %d", [user.level]) if not user.active
"""

KEYS = ("name", "other", "verb", "place")
REQUESTS = [
    {key: value for key, value in zip(KEYS, each, strict=True) if value is not None}
    for each in product((*USERS, "fay", None), ("ann", "eve", None), ("GET", "PUT"), ("x", "y"))
]


@pytest.mark.parametrize("rule", RULES)
def test_it_is_what_the_evaluator_finds(rule: str) -> None:
    source = "package p\n\nimport rego.v1\n" + HELPERS + rule.replace("'", '"') + "\n"
    policy = rego.compile({"p.rego": source}, {"users": USERS, "roles": ROLES})
    outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)
    for request in REQUESTS:
        try:
            wanted: Any = policy.evaluate("data.p.r", request)
        except rego.EvalError:
            wanted = "an error"
        assert _told(outcome, request) == wanted, request


def _told(outcome: Any, request: Any) -> Any:
    try:
        found = answer(outcome, request)
    except ErrorOutcome:
        return "an error"
    return UNDEFINED if found is UNDEFINED else found


@pytest.mark.parametrize("rule", RULES[:2])
def test_a_table_of_twice_as_many_takes_twice_the_conditions(rule: str) -> None:
    """Tried each with each, a table of some thousands takes longer than anyone waits."""

    def conditions(count: int) -> int:
        users = {
            f"u{at}": {"active": at % 7 > 0, "roles": ["ab"[at % 2]], "places": [f"p{at % 9}"]}
            for at in range(count)
        }
        source = "package p\n\nimport rego.v1\n" + HELPERS + rule + "\n"
        policy = rego.compile({"p.rego": source}, {"users": users, "roles": ROLES})
        return evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data).builder.size

    assert conditions(400) < 2.5 * conditions(200)
