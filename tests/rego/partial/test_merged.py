"""Documents that data and rules make together: what the request decides of them is followed, too."""

from __future__ import annotations

import pytest
from agreement import INPUTS, judged

from palisade import rego
from palisade.rego.partial import evaluate

DATA = {
    "apps": {
        "a": {"enabled": True, "names": ["alice"], "limits": {"low": 1, "in": {"x": 1}}},
        "b": {"enabled": False, "names": ["bob"]},
        "c": {"enabled": True, "names": ["a"]},
    }
}
APPS = {
    "a.rego": 'package apps.a\nallow if input.y == "alice"\nmade := input.x\nlimits.high := 2 if input.y',
    "aa.rego": "package apps.a.limits.in\ny := input.x",
    "b.rego": 'package apps.b\nallow := {"by": input.y} if input.x == "bob"',
    "d.rego": "package apps.d\nenabled if input.x == 1\nallow if input.y",
}
RULES = (
    "some name; app := data.apps[name]; app.enabled; app.allow",
    "some name; app := data.apps[name]; app.names[_] == input.x; app.allow",
    "some name; app := data.apps[name]; not app.allow; input.x in app.names",
    "some name; data.apps[name].allow; data.apps[name].enabled",
    'app := data.apps[input.x]; app.allow.by == "a"',
    'some app in data.apps; app.limits.high == 2; app.limits["in"].y == 1',
    'some app in data.apps; app.limits == {"low": 1, "in": {"x": 1, "y": "a"}}',
    'some app in data.apps; count(app.limits) == 3; app.made == "bob"',
    "data.apps.a == input.x",
    "some key, value in data.apps.a.limits; value == input.x",
    "every app in data.apps { app.allow }",
    "count([name | some name; data.apps[name].allow]) == 2",
)


@pytest.mark.parametrize("rule", RULES)
def test_what_rules_add_to_data_is_followed(rule: str) -> None:
    """Where a document depended on the request all rules that looked at it were the engine's."""
    policy = rego.compile({"p.rego": f"package p\nr if {{ {rule} }}\n", **APPS}, DATA)
    found = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)
    told = {judged(policy, found, each) for each in INPUTS[::4]}
    assert told & {"defined", "undefined"}
    assert "merges documents" not in str((found.error, *found.cases))
