"""A value out of a loop is what the evaluator takes, and two of them are an error where it says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import examples
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.partial.formulas.rewriting import symbols
from palisade.rego.partial.formulas.terms import Apply, Gathered, Symbol, subterms
from palisade.rego.partial.symbols.chosen import CHOSEN

DATA: dict[str, Any] = {
    "tiers": {"a": "gold", "b": "gold", "c": "tin", "d": False},
    "users": {"a": {"name": "ann", "roles": ["x"]}, "x": {"name": "xi", "roles": []}},
}
NAMED = 'name := input.xs[i + 1] if some i, "a" in input.xs\n'
RULES = (
    f'{NAMED}r if name == "x"',
    f"{NAMED}r if not name",
    f'{NAMED}r if not name == "x"',
    f'{NAMED}r if name != "x"',
    f"{NAMED}r := data.users[name].name",
    f'{NAMED}default r := "none"\nr := data.users[name].name',
    f"{NAMED}r if data.users[name].roles[_] == input.y",
    f"{NAMED}r if not data.users[name]",
    f'{NAMED}r := "named" if name else := "other"',
    f"{NAMED}r if input.m[name] == 1",
    f"{NAMED}r if {{ some k, v in input.m; k == name; v == input.y }}",
    f"{NAMED}r if {{ name in input.xs; name == input.y }}",
    f"{NAMED}r if {{ count([x | some x in input.xs; x == name]) == 0 }}",
    f'{NAMED}r if {{ some x in name; x == "x" }}',
    f"{NAMED}r if is_array(name)",
    f'{NAMED}r if startswith(name, "x")',
    f'{NAMED}r if lower(name) == "x"',
    f'{NAMED}other := x if {{ some x in input.ys; startswith(x, "x") }}\nr if name == other',
    f"{NAMED}other := y if {{ some x in input.ys; x == name; y := input.m[x] }}\nr if other == 1",
    'g := x if { some x in input.xs; is_string(x) }\nr if g == "a"',
    'g := x if { some x in input.xs; startswith(x, "x") }\ng := "y" if input.y == "b"\nr if g == "y"',
    'g := x if { some x in input.xs; x != "a" }\ng := y if { some y in input.ys; y != "b" }\nr if g',
    'f(xs) := x if { some x in xs; startswith(x, "x") }\nr if f(input.xs) == f(input.ys)',
    'f(xs, p) := x if { some x in xs; startswith(x, p) }\nr if { f(input.xs, "x"); not f(input.ys, "a") }',
    'f(xs) := x if { some x in xs; x != "a" }\nr if { some y in input.ys; f([y]) == "b" }',
    't := data.tiers[x] if some x in input.xs\nr if t == "gold"',
    "t := data.tiers[x] if some x in input.xs\nr if not t",
    "t := data.tiers[x] if some x in input.xs\ndefault r := 0\nr := t",
    "t := data.tiers[x] if { some x in input.xs; x != input.y }\nr := t",
    't := [1, 2][i] if some i, "a" in input.xs\nr := t',
    "r := x if some x in array.concat(input.xs, input.ys)",
    'r if [x | some x in input.xs; startswith(x, "x")][0] == "xy"',
    'r if not [x | some x in input.xs; startswith(x, "x")][0] == "xy"',
    "v := [x | some x in input.xs; x == input.y][0]\nr if v",
    "v := [x.k | some x in input.os][0]\nr if v == 1",
    "v := x.k if some x in input.os\nr if v == 1",
    "v := x if { some x in input.os; x.k }\nr if v.k == 1",
    'v := x if { some x in input.os; x.k }\nr if v.n.k == "x"',
    'v := k if some k, 1 in input.m\nr if v == "x"',
    'r if { v := [x | some x in input.xs; x != "a"]; v[0] == "x"; count(v) == 1 }',
    f'{NAMED}r if name == "x"\nr if {{ name == "b" with input.z as 1; input.y == "b" }}',
    # Out of a loop over what came out of another, asked of in a third.
    "w := x if { some x in input.xs; x[0] }\nv := y if some y in w\ndefault inner := false\n"
    'inner if v == "x"\nr := inner if some _ in input.ys',
    'w := split(x, "y") if { some x in input.xs; startswith(x, "x") }\nv := y if { some y in w; y != "" }\n'
    'default inner := false\ninner if v == "x"\nr := inner if some _ in input.ys',
    f"{NAMED}r if {{ every x in input.xs {{ x != name }} }}",
    # Put together of what came out of a loop.
    'r := {"of": x} if { some x in input.xs; startswith(x, "x") }',
    'r := {"of": x, "and": [x, {"m": input.m[x]}], "a": 1} if { some x in input.xs; x != "a" }',
    'r := {"k": x.k, "n": x.n} if some x in input.os',
    "r := [x.k, x] if some x in input.os",
    'v := {"of": x} if { some x in input.xs; x == input.y }\nr if v.of == "x"',
    'v := {"of": x} if { some x in input.xs; x != "a" }\nr if v == {"of": "x"}',
    'v := [i, x] if { some i, x in input.xs; x != "a" }\nr if { some y in v; y == 1 }',
    'v := {"of": {"m": m}} if { some k, m in input.m; k != "b" }\ndefault r := "no"\nr := v.of',
    'default v := {"of": 0}\nv := {"of": x} if { some x in input.xs; x == "x" }\nr := object.get(v, "of", 1)',
    'v := {"of": x} if { some x in input.xs; x == input.y } else := {"of": "y"}\nr := v.of',
    'r := {"a": x, "b": sprintf("%v|%v", [x, input.y])} if { some x in input.xs; x == input.y }',
    'r := {"b": [lower(x), input.m[x]]} if { some x in input.xs; x == input.y }',
    'r := {"b": lower(x)} if { some x in input.xs; x != "a" }',
    'r := {"k": x.k, "b": sprintf("%v", [x.k])} if { some x in input.os; x.k == input.y }',
    "v := [x, x] if { some x in input.ys; x != input.y }\nr if count(v) == 2",
)
ARRAYS: tuple[Any, ...] = (
    [],
    ["a"],
    ["a", "x"],
    ["a", "b"],
    ["a", "a"],
    ["x", "a", "xy"],
    ["a", "x", "a", "x"],
    ["a", "x", "a", "b"],
    ["a", "a", "x"],
    ["xy", "x"],
    ["x", "x"],
    ["a", None, 1, ["x"]],
    ["c", "d"],
    ["a", {"x": "x"}],
    {"k": "a", "l": "x"},
    "a",
    None,
)
DOCUMENTS: tuple[dict[str, Any], ...] = tuple(
    {"xs": xs, "ys": ys, **other}
    for xs in ARRAYS
    for ys in ([], ["xy"], ["x", "xy"], ["b", "a"])
    for other in (
        {},
        {"y": "b", "m": {"x": 1, "b": 1}, "os": [{"k": 1}, {"n": ["x"]}]},
        {"y": "x", "m": {"x": "x"}, "os": [{"k": 1}, {"k": 2}]},
        {"y": "a", "m": {}, "os": [{"k": False}, {"k": 1, "n": {"k": "x"}}]},
    )
)
UNDECIDED = (
    "v := [x, y] if { some x in input.ys; some y in input.xs; x == y }\nr := v",
    "r := {x, 1} if { some x in input.xs; x == input.y }",
    'f(x) := y if { some y in input.ys; startswith(y, x) }\nr if { some x in input.xs; f(x) == "xy" }',
    'v := y if { some x in input.os; some y in x.n }\nr if v == "x"',
    # Without any name this counts none.
    f"{NAMED}r if {{ count([x | some x in input.xs; x == name]) > 1 }}",
)
"""Of these only the evaluator knows: loops within loops, and what is put together there."""


@pytest.mark.long
@pytest.mark.parametrize("rules", RULES)
def test_a_value_out_of_a_loop_is_what_the_evaluator_takes(rules: str) -> None:
    """Of no member, one, the same ones, different ones, in what is no collection, whatever is asked of it."""
    policy, outcome = outcome_of(rules, DATA)
    told = [judged(policy, outcome, document) for document in DOCUMENTS]
    decided = len(told) - told.count("unsure")
    assert decided > len(told) / 3
    # Which of several members of an array is the first, only the evaluator says.
    assert decided == len(told) or "][0]" in rules


@pytest.mark.parametrize("rules", UNDECIDED)
def test_what_is_not_followed_is_the_evaluators(rules: str) -> None:
    policy, outcome = outcome_of(rules, DATA)
    assert "unsure" in {judged(policy, outcome, document) for document in DOCUMENTS}


members = st.sampled_from(("a", "x", "xy", "b", "c", "d", 1, None))
conditions = st.sampled_from(
    ('x != "a"', 'startswith(x, "x")', "x == input.y", "data.tiers[x]", "is_string(x)", 'not x == "b"', "x")
)
values = st.sampled_from(
    (
        *("x", "input.m[x]", "data.tiers[x]", "lower(x)", "data.users[x].name", '"one"', "[x, input.m[x]]"),
        *(
            '{"v": x, "u": sprintf("%v!", [x])}',
            '{"v": x}',
            '{"v": lower(x), "w": {"n": x}}',
            "[x]",
            '{"v": data.users[x].name, "w": input.y}',
        ),
    )
)
asked = st.sampled_from(
    (
        *("r if v", "r if not v", 'r if v == "x"', 'r if v != "x"', "r := v", "default r := 9\nr := v"),
        *("r if v in input.ys", "r if v == input.y", "r := data.tiers[v]", 'r if startswith(v, "x")'),
        *('r := "y" if v else := "n"', "r if count(v) == 1", "r if { not v; input.y }", "r if data.users[v]"),
        *('r if v.v == "x"', 'r if v == {"v": "x"}', 'r if v[0] == "x"', 'r if { some k in v; k == "x" }'),
        *(
            'r := object.get(v, ["w", "n"], 7)',
            "r := {v, 1}",
            "r := json.marshal(v)",
            "r if { v.v; not v.w.n }",
        ),
        'default inner := false\ninner if v == "x"\nr := inner if some _ in input.ys',
        "default inner := 1\ninner := 2 if not v == input.y\nr := inner if { some y in input.ys; y }",
    )
)


@given(st.data())
@settings(max_examples=examples(200), deadline=None)
def test_drawn_values_out_of_loops(data: st.DataObject) -> None:
    """Any conditions on the members, any value of them, by one rule or two, and any question about it."""
    kind = data.draw(st.sampled_from(("rule", "rules", "function", "first", "nested")))
    body = "; ".join(data.draw(st.lists(conditions, min_size=1, max_size=2)))
    value, question = data.draw(values), data.draw(asked)
    taken = f"some x in input.xs; {body}"
    rules = {
        "rule": f"v := {value} if {{ {taken} }}\n{question}",
        "rules": f"v := {value} if {{ {taken} }}\nv := input.ys[0]\n{question}",
        "function": f"f(xs) := {value} if {{ some x in xs; {body} }}\nv := f(input.xs)\n{question}",
        "first": f"v := [{value} | {taken}][0]\n{question}",
        "nested": f"w := xs if {{ some xs in input.of; xs[0] }}\n"
        f"v := {value} if {{ some x in w; {body} }}\n{question}",
    }[kind]
    try:
        policy, outcome = outcome_of(rules, DATA)
    except rego.CompileError:
        reject()  # what the type checker knows to have no such member
    arrays = st.lists(members, max_size=4)
    for _ in range(6):
        document = {"xs": data.draw(arrays), "ys": data.draw(arrays), "m": {"x": "x", "a": 1, "b": "x"}}
        document["y"] = data.draw(members)
        document["of"] = data.draw(st.lists(st.one_of(arrays, members), max_size=2))
        judged(policy, outcome, document)


def test_no_condition_speaks_of_what_was_chosen() -> None:
    """Neither in what is gathered: whatever lowers conditions knows nothing of it."""
    for rules in RULES:
        _, outcome = outcome_of(rules, DATA)
        for formula in (outcome.error, *(case.condition for case in outcome.cases)):
            assert not any(map(_is_chosen, _terms(symbols(formula)))), rules


def test_what_is_chosen_twice_is_one_value() -> None:
    """Each time it is another loop: whether there are several would be asked for each of them."""
    once, again = f'{NAMED}r if name == "x"\n', 'r if name == "b" with input.z as 1'
    _, outcome = outcome_of(once + again, DATA)
    assert outcome.error.size == outcome_of(once, DATA)[1].error.size


def _terms(found: Iterable[Symbol]) -> Iterator[Symbol]:
    for symbol in found:
        for part in subterms(symbol):
            yield part
            for piece in part.parts if isinstance(part, Gathered) else ():
                yield from _terms(symbols(piece.condition))
                yield from _terms(source for source, _ in piece.over)


def _is_chosen(symbol: Symbol) -> bool:
    return isinstance(symbol, Apply) and symbol.name == CHOSEN
