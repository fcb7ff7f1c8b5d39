"""Below `data`: rules and base data are one document, whichever way a reference goes through it."""

from typing import Any

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade import rego
from palisade.rego import CompileError
from palisade.rego.text import dumps

TENANTS = ["package t.a\np := 1", "package t.b\np := 2"]
BASE = {"t": {"c": {"p": 3}, "a": {"z": 9}}}


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("r contains [x, y] if y := data.t[x].p", [["a", 1], ["b", 2], ["c", 3]]),
        ("r contains x if { some x in [`a`, `b`, `c`, `d`]; not data.t[x].p }", ["d"]),
        ("r contains [x, y] if data.t[x].p < data.t[y].p", [["a", "b"], ["a", "c"], ["b", "c"]]),
        ("r := data.t[input.b].p", 2),
        ("r := data.t[input.c].p", 3),
        ("r := data.t[input.a]", {"p": 1, "z": 9}),
        ("r := data.t[input.c]", {"p": 3}),
        ("r contains [k, v] if v := data.t[input.a][k]", [["p", 1], ["z", 9]]),
        (
            "r contains [x, k, v] if v := data.t[x][k]",
            [["a", "p", 1], ["a", "z", 9], ["b", "p", 2], ["c", "p", 3]],
        ),
        ("r contains v if v := data.t[data.names[_]].p", [1, 2]),
        ("r contains [k, v.p] if some k, v in data.t", [["a", 1], ["b", 2], ["c", 3]]),
        ("r := [v | v := data.t[_].p]", [1, 2, 3]),
        ("r contains data.t[_].p", [1, 2, 3]),
        ("r := v if { k := `a`; v := data.t[k].p }", 1),
        ("r if { x := `zz`; not data.t[x] }", True),
        ("r if every k, v in data.t { k in [`a`, `b`, `c`]; v.p > 0 }", True),
        (
            "r contains [x, v] if { v := data.t[x].p with data.t.a.p as 7; input.a }",
            [["a", 7], ["b", 2], ["c", 3]],
        ),
        ("r := data.t", {"a": {"p": 1, "z": 9}, "b": {"p": 2}, "c": {"p": 3}}),
        ("r := data.t[input.nope].p", "undefined"),
    ],
)
def test_references_meet_rules_and_base_data_alike(ask, rule, value):
    given = {"a": "a", "b": "b", "c": "c"}
    data = {**BASE, "names": ["a", "b", "zz"]}
    assert ask([*TENANTS, f"package q\n{rule}"], "data.q.r", given, data) == value


def test_a_key_that_a_rule_computes_chooses_among_packages_of_different_depth(ask):
    modules = [
        "package n.one\nv := `a`",
        "package n.two\nv := `b`",
        "package t.a.k\np := 1",
        "package t.b\np := {`p`: 2}",
        "package q\nr contains [z, v] if v := data.t[data.n[_].v][z].p",
    ]
    assert ask(modules, "data.q.r") == [["k", 1], ["p", 2]]


def test_functions_are_no_documents(ask):
    modules = ["package t\np := 1\nf(x) := x", "package q\nr contains k if data.t[k]\ns := data.t"]
    assert ask(modules, "data.q") == {"r": ["p"], "s": {"p": 1}}


def test_a_package_without_defined_rules_is_an_empty_object(ask):
    modules = ["package t.e", "package t.u\np if false", "package q\nr := data.t"]
    assert ask(modules, "data.q.r") == {"e": {}, "u": {}}


def test_all_data_is_one_document(ask):
    assert ask("package a\np := 1", "data", data={"k": {"z": 1}, "a": {"b": 2}}) == {
        "a": {"b": 2, "p": 1},
        "k": {"z": 1},
    }


def test_a_variable_shared_by_two_packages_joins_them(ask):
    modules = [*TENANTS, "package u.b\nz := 5", "package q\nr contains [x, k] if data.t[x].p < data.u[x][k]"]
    assert ask(modules, "data.q.r", data={"u": {"a": {"y": 4}}, "t": {"c": {"p": 1}}}) == [
        ["a", "y"],
        ["b", "z"],
    ]


# Any walk through the documents finds what the same walk through their value finds -----------------------

_KEYS = st.sampled_from(["a", "b", "c"])


def _trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaves, lambda below: st.dictionaries(_KEYS, below, max_size=3), max_leaves=6)


_VALUES = _trees(st.integers(0, 3))
_PACKAGES = st.dictionaries(
    st.lists(_KEYS, min_size=1, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(["p", "q"]), _VALUES, max_size=2),
    max_size=4,
)
_STEPS = st.lists(
    st.sampled_from(['"a"', '"b"', '"p"', "x", "y", "k", "input.k", "_"]), min_size=1, max_size=4
)


@settings(max_examples=examples(150), deadline=None)
@given(_PACKAGES, st.dictionaries(_KEYS, _VALUES, max_size=3), _STEPS, st.sampled_from(["a", "b", "p"]))
def test_any_reference_finds_in_the_documents_what_it_finds_in_their_value(
    packages: dict[tuple[str, ...], dict[str, Any]], base: dict[str, Any], steps: list[str], k: str
) -> None:
    modules = {
        "/".join(path): f"package {'.'.join(('d', *path))}\n"
        + "\n".join(f"{name} := {dumps(value)}" for name, value in rules.items())
        for path, rules in packages.items()
    }
    path = "".join(f"[{step}]" for step in steps)
    for package, rules in packages.items():
        _make_room(base, package, rules)
    policy = rego.compile(modules, data={"d": base})
    whole = policy.evaluate("data.d")
    given = {"k": k, "d": None if whole is rego.UNDEFINED else whole}
    query = "k := input.k; v := {}.d" + path
    expected = policy.query(query.format("input"), given)
    try:
        found = policy.query(query.format("data"), given)
    except CompileError:
        found = []  # The types of the rules rule it out.
    assert _sorted(found) == _sorted(expected)


def _make_room(base: dict[str, Any], package: tuple[str, ...], rules: dict[str, Any]) -> None:
    """Takes from the base data what stands where the package or its rules do: OPA refuses such data."""
    for part in package:
        if not isinstance(base.get(part), dict):
            base.pop(part, None)
            return
        base = base[part]
    for name in rules:
        base.pop(name, None)


def _sorted(results: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(result.items())) for result in results)
