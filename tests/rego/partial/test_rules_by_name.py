"""Rules of a package that are called by what a value spells: those that there are, and data beside them."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged

from palisade import rego
from palisade.rego.partial import evaluate

NAMED = 'package named\n\nalways := "a"\n\nof_y := input.y\n\nsometimes := "b" if input.y == 2\n'
KNOWN = (
    'p if { some name in ["always", "of_y", "stored"]; data.named[name] == input.x }',
    'p if { some n in ["always", "stored"]; data.named[n] == input.x; input.y == "a" }\np if input.x == 2',
    'p if every name in ["always", "stored"] { data.named[name] != input.x }',
    'p := [value | some name in ["sometimes", "stored", "nothing"]; value := data.named[name]]',
    'p if { some name in ["sometimes", "nothing"]; not data.named[name] }',
    'p if { some name in [["always"], {"a": 1}, {"b"}, 1, null, "always"]; data.named[name] == input.x }',
)
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {},
    *({"x": x, "y": y} for x in ("a", "b", 1, 2, None) for y in ("a", "always", "stored", "sometimes", 2)),
)


@pytest.mark.parametrize("stored", [{"stored": 1}, {}], ids=("beside data", "alone"))
@pytest.mark.parametrize("rule", KNOWN)
def test_names_that_are_constants_are_followed(rule: str, stored: dict[str, Any]) -> None:
    """A name is looked for among the rules first, and then in data: what is found leaves just the look-up."""
    policy = rego.compile({"p.rego": f"package t\n{rule}", "n.rego": NAMED}, {"named": stored})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    told = {judged(policy, outcome, document, "data.t.p") for document in DOCUMENTS}
    assert "unsure" not in told


OF_THE_REQUEST = (
    "p if data.named[input.y] == input.x",
    "p := data.named[input.y]",
    "p if not data.named[input.y]",
    'p if { some name in ["always", input.y]; data.named[name] == input.x }',
    "p := data.named.deeper[input.y][input.x]",
    'p if { some name in [["a"], {"a"}, "a"]; data.named.deeper[input.y][name] }',
    'p if data.named.deeper[input.y]["a"]\np if { not data.named.deeper[input.y]; input.x == 1 }',
)
DEEPER = """package named.deeper

a.a if input.x == 1

a[2] := 1

stored.a := input.y

b["a"] := 2 if input.x
"""
CONFLICTING = 'always := input.x if input.x == "b"\n'


@pytest.mark.parametrize("stored", [{"stored": 1}, {"7": "a"}, {}], ids=("beside data", "digits", "alone"))
@pytest.mark.parametrize("rule", OF_THE_REQUEST)
def test_names_of_the_request_are_followed(rule: str, stored: dict[str, Any]) -> None:
    """Each rule under the condition that it is meant; a name that is none of theirs is looked for in data."""
    modules = {"p.rego": f"package t\n{rule}", "n.rego": NAMED + CONFLICTING}
    if "deeper" in rule:
        modules["d.rego"] = DEEPER
    policy = rego.compile(modules, {"named": stored})
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    named = [
        {"x": x, "y": y} for x in ("a", 1, 2) for y in ("b", "7", 7, ["always"], {"always": 1}, None, True)
    ]
    told = {judged(policy, outcome, document, "data.t.p") for document in (*DOCUMENTS, *named)}
    assert "unsure" not in told


@pytest.mark.parametrize(("count", "left"), [(300, False), (513, True)])
def test_very_many_rules_are_left_open(count: int, left: bool) -> None:
    """Each is followed for each place where one is chosen, as the rows of a table in data are."""
    rules = "\n\n".join(f"r{at} := {at}" for at in range(count))
    policy = rego.compile(
        {"p.rego": "package t\np if data.n[input.y] == 1", "n.rego": f"package n\n\n{rules}"}
    )
    outcome = evaluate(policy.plan(["data.t.p"]), ("t", "p"), policy.data)
    assert (judged(policy, outcome, {"y": "r1"}, "data.t.p") == "unsure") == left


@pytest.mark.parametrize(
    "rule",
    [
        "p if data.named[input.y]",
        "p if not data.named[input.y]",
        'p if { some name in ["f", "g", "sometimes"]; data.named[name] }',
        'p if { some name in ["f", "g"]; not data.named[name]; input.x == 1 }',
    ],
)
def test_a_function_of_the_package_is_at_no_name(rule: str) -> None:
    """One that is called elsewhere stands in the plan: compiling ended in a fault of the program."""
    functions = "f(x) if x == 1\ng(_) := true\n"
    called = "q if data.named.f(input.x)\nq if data.named.g(input.x)\n"
    policy = rego.compile({"p.rego": f"package t\n{rule}\n{called}", "n.rego": NAMED + functions}, {})
    outcome = evaluate(policy.plan(["data.t.p", "data.t.q"]), ("t", "p"), policy.data)
    documents = (*DOCUMENTS, *({"x": x, "y": y} for x in (1, 2) for y in ("f", "g")))
    assert "unsure" not in {judged(policy, outcome, document, "data.t.p") for document in documents}
