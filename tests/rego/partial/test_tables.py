"""Loops over what a table holds at a key of the request, taken by its members and not by its entries."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.partial import Outcome
from palisade.rego.partial.execution import tables

ROLES = ("a", "b", "c")
DATA: dict[str, Any] = {
    "roles": {"u": ["a", "b"], "v": ["b"], "w": [], "x": ["c", "c", "a"], "y": ["b", "a"]},
    "users": {
        "u": {"of": {"roles": ["a"]}},
        "v": {"of": {"roles": ["b", "c"]}},
        "w": {"of": {}},
        "x": 1,
        "y": {"of": {"roles": {"b": "a"}}},
    },
    "odd": {"u": "text", "v": {"a": "b"}, "w": None, "x": [["a"], True, 1, None], "y": ["a", 1]},
    "rows": [["a", "b"], ["b"], 1],
    "grants": {"a": [{"do": "r", "on": 1}, {"do": "w", "on": 2}], "b": [{"do": "r", "on": 2}], "c": []},
}
RULES = (
    "r if { some role in data.roles[input.k]; role == input.y }",
    "r if { some role in data.roles[input.k]; some g in data.grants[role]; g.do == input.y }",
    "r if not { some role in data.roles[input.k]; role == input.y }".replace("{ ", "f\nf if { "),
    "r := role if some role in data.roles[input.k]",
    "r if { some role in data.rows[input.k]; role == input.y }",
    "r := n if { some role in data.roles[input.k]; n := count(data.grants[role]) }",
    "r contains role if some role in data.roles[input.k]",
    "r := [role | some role in data.roles[input.k]]",
    "r := {role | some role in data.roles[input.k]}",
    "r := {role: g | some role in data.roles[input.k]; g := count(data.grants[role])}",
    "r := count([1 | some role in data.roles[input.k]; role != input.y])",
    "r := count({g.on | some role in data.roles[input.k]; some g in data.grants[role]})",
    "r if { some i, role in data.roles[input.k]; i > 0; role == input.y }",
    "r := i if { some i, role in data.roles[input.k]; role == input.y }",
    "r if every role in data.roles[input.k] { role != input.y }",
    "r if { some role in data.users[input.k].of.roles; role == input.y }",
    "r if { some k, role in data.users[input.k].of.roles; k == input.y; role }",
    "s := data.users[input.k].of\nr if { some role in s.roles; role == input.y; s }",
    "r if { some x in data.odd[input.k]; x == input.y }",
    "r if { data.odd[input.k][_] == input.y }",
    "r if { data.odd[input.k][_]; input.y }",
    "f if data.odd[input.k][_]\nr if not f",
    'r := "some" if { some _ in data.roles[input.k] } else := "none"',
    "r if { some one in data.roles[input.k]; some two in data.roles[input.l]; one == two }",
    "r if { some one in data.roles[input.k]; some two in data.roles[input.k]; one != two }",
    "r if { some x in input.xs; some role in data.roles[x]; role == input.y }",
    "r := {role | some x in input.xs; some role in data.roles[x]}",
    "r if { some role in data.roles[lower(input.k)]; role == input.y }",
    "t := data.roles\nr if { some role in t[input.k]; role == input.y; count(t) == 5 }",
    "f(k) := role if { some role in data.roles[k]; role == input.y }\nr := f(input.k)",
    "r if { some role in data.roles[input.k]; not role == input.y; data.roles[input.k][0] == role }",
    'r if { some role in data.roles[input.k]; some g in data.grants[role]; g == {"do": input.y, "on": 1} }',
)


@pytest.fixture(autouse=True)
def any_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LARGE", 1)


def is_decided(policy: rego.Policy, outcome: Outcome, document: dict[str, Any]) -> bool:
    """Whether the condition tells, which then is what the evaluator says."""
    return judged(policy, outcome, document) != "unsure"


KEYS = ("u", "v", "w", "x", "y", "z", 1, None, ["u"])
DOCUMENTS = [
    *({"k": k, "l": "v", "y": y, "xs": ["v", k]} for k in KEYS for y in ("a", "b", "r", "text", 1, True)),
    *({"k": k, "l": "x", "xs": []} for k in KEYS),
    {"y": "a"},
]


@pytest.mark.parametrize("rules", RULES)
def test_loops_over_tables_mean_what_the_evaluator_says(rules: str) -> None:
    """Of any key, also one that is not there, or at which something else stands than a collection."""
    policy, outcome = outcome_of(rules, DATA)
    told = [is_decided(policy, outcome, document) for document in DOCUMENTS]
    assert sum(told) > len(told) / 2


def test_they_are_taken_member_by_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of them: the rest fall back, as where a list's order counts."""
    taken: list[str] = []
    original = tables.rounds

    def told(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if found is not None:
            taken.append(rules)
        return found

    monkeypatch.setattr("palisade.rego.partial.execution.loops.rounds", told)
    for rules in RULES:
        outcome_of(rules, DATA)
    assert len(set(taken)) > len(RULES) * 2 / 3


entries = st.one_of(
    st.lists(st.sampled_from(ROLES), max_size=3),
    st.dictionaries(st.sampled_from(ROLES), st.sampled_from((*ROLES, True)), max_size=2),
    st.sampled_from((None, "a", False, 1)),
)
bodies = st.sampled_from(
    (
        *("m == input.y", "m != input.y", "data.g[m] == input.y", "m in data.g", "not m == input.y"),
        *("some n in data.t[input.l]; n == m", "data.t[m]", "some o in data.g[m]; o == input.y", "m"),
        *('startswith(m, "a")', "m in input.xs", "count(m) == 1", "data.t[input.k] == data.t[input.l]"),
    )
)
heads = st.sampled_from(
    (
        *(
            "r if {{ {} }}",
            "r := m if {{ {} }}",
            "r contains m if {{ {} }}",
            "r := {{m | {}}}",
            "r := [m | {}]",
        ),
        *("f if {{ {} }}\nr if not f", "r := 1 if {{ {} }} else := 2", "r := count([1 | {}])"),
        *("s contains m if {{ {} }}\nr if input.y in s", "v := m if {{ {} }}\nr if v == input.y"),
        "r := {{m: 1 | {}}}",
    )
)
loops = st.sampled_from(
    ("some m in data.t[input.k]", "some m, _ in data.t[input.k]", "m := data.t[input.k][_]")
)


@given(st.data())
@settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_drawn_loops_over_drawn_tables(data: st.DataObject) -> None:
    """Any table, any condition on its members, and anything done with them."""
    table = data.draw(st.dictionaries(st.sampled_from("uvwxab"), entries, min_size=1, max_size=5))
    known = {"t": table, "g": {"a": ["a", "b"], "b": "c"}}
    body = "; ".join((data.draw(loops), *data.draw(st.lists(bodies, max_size=2, unique=True))))
    policy, outcome = outcome_of(data.draw(heads).format(body), known)
    key = st.sampled_from((*"uvwxab", "z", 1))
    for _ in range(6):
        document = {"k": data.draw(key), "l": data.draw(key), "y": data.draw(st.sampled_from((*ROLES, 1)))}
        document["xs"] = data.draw(st.lists(st.sampled_from(ROLES), max_size=2))
        is_decided(policy, outcome, document)


def test_ten_thousand_users_with_lists_of_their_own_are_followed() -> None:
    """Entry by entry it was too much work: 30,000 rounds over grants."""
    users = {f"u{n}": [f"r{n * k % 200}" for k in (1, 7, 31)] for n in range(10_000)}
    grants = {f"r{n}": [{"do": "r", "on": n * k % 100} for k in (1, 3, 5, 7)] for n in range(200)}
    rule = "some role in data.roles[input.k]; some g in data.grants[role]; g.do == input.y; g.on == input.n"
    policy, outcome = outcome_of(f"r if {{ {rule} }}", {"roles": users, "grants": grants})
    for n in (7, 4321, 9999):
        for on in range(0, 100, 7):
            assert is_decided(policy, outcome, {"k": f"u{n}", "y": "r", "n": on})
