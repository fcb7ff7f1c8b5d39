"""Rules and rows that name what is known beforehand of the input: found by that, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from agreement import blocks_followed, judged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palisade import rego
from palisade.rego.partial import Indexes, Outcome, evaluate
from palisade.rego.partial.execution import indexes, tables

FUNCTIONS = ("no such", "f", "g")
DATA: dict[str, Any] = {
    "rows": [
        *({"of": name, "do": do} for name in ("f", "g") for do in ("r", "w")),
        {"of": {"of": "f"}, "do": "r"},
        {"do": "x"},
        {"of": 1, "do": "x"},
        {"of": "f", "do": ["r"]},
        "f",
        {"of": "f"},
        {"of": "g", "do": "x", "nested": {"of": "f"}},
        {"of": "f", "nested": {"of": "f"}},
    ],
    "named": {"f": {"of": "g", "do": "r"}, "g": {"of": "f", "do": "w"}, "h": "f", "f2": {"of": "f"}},
    "numbers": [
        *(
            {"k": k, "v": v}
            for k, v in ((1, "r"), (1.0, 1), ("1", "w"), (True, 0), (0, [1]), (None, {"a": 1}))
        ),
        *({"k": k, "v": v} for k, v in (([1], "f"), ({"a": 1}, "r"), (2, 2.0), ("f", "g"), (False, None))),
        {"v": "x"},
        7,
    ],
    "digits": [{"1": "f"}, ["f", "g"], {"1": ["g"]}, ["g"]],
    "same": {"f": "g", "g": "f", "h": "g"},
    "names": ["f", "g", "f", 1, None, ["f"]],
    "grants": {
        "admin": [{"of": "f", "do": "r"}, {"of": "g", "do": "w"}, {"of": "f", "do": "r"}],
        "dev": [{"of": "g", "do": "r"}],
        "none": [],
        "odd": {"of": "f"},
        "keyed": {"of": {"of": "f", "do": "x"}, "f": {"of": "g"}},
    },
}
RULES = (
    'r if { input.function == "f"; input.y == "r" }\nr if { "g" == input.function; input.y == "w" }',
    'r := 1 if input.function == "f"\nr := 2 if { input.y == "r"; input.function == "g" }\nr := 1 if input.y',
    'r contains "a" if { f := input.function; f == "f" }\nr contains input.y if input.function == "g"',
    'r := 1 if { input.function == "f"; input.y == "r" } else := 2 if input.function == "g" else := 3',
    'r if { input.y.z == "f"; input.function == "f" }\nr if { input.function != "f"; input.y == "w" }',
    'r if { lower(input.y) == "r"; input.function == "f" }\nr if { input.function == "g"; upper(input.y) }',
    'r if { input.function == "f"; input.function == "g" }\nr if { input.function == input.y }',
    'f(x) := 1 if input.function == "f"\nf(x) := x if input.function == "g"\nr := f(input.y)',
    'p := 1 if input.function == "f"\np := 2 if input.y == "w"\nr if p == 1 with input.function as "f"',
    'p if input.function == "f"\np if input.function == "g"\nr if p with input as {"function": "g"}',
    'r[input.y] := 1 if input.function == "f"\nr[input.function] := 2 if input.function == "g"',
    'p if { input.function == "f"; input.y }\np if { input.function == "g"; not input.y }\nr if not p',
    'k := 1\nk := 2 if input.y == "r"\nr if { k; input.function == "f" }\nr if input.function == "g"',
    'k := 1\nk := 2 if input.y == "r"\nr if { some row in data.rows; k; row.of == input.function }',
    "r if { some row in data.rows; row.of == input.function; row.do == input.y }",
    "r if { some row in data.rows; input.function == row.of; row.do == input.y }",
    "r if { some i, row in data.rows; row.of == input.function; row.do == input.y; i > 1 }",
    "r := i if { some i, row in data.rows; row.of == input.function; row.do == input.y }",
    "r if { some row in data.rows; row.nested.of == input.function; row.of != input.y }",
    "r if { some row in data.rows; row.do == input.y; row.of == input.function }",
    "r if { some row in data.rows; row == input.function; input.y }",
    "r if { some name in data.names; name == input.function; input.y }",
    "r if { some name, row in data.named; row.of == input.function; name == input.y }",
    "r if { some name, row in data.named; name == input.function; row.do == input.y }",
    "r if { some n, _ in data.same; n == input.function; some k, v in data.same; v == n; k == input.y }",
    "r := {row.do | some row in data.rows; row.of == input.function; row.do != input.y}",
    "r := [row.do | some row in data.rows; row.of == input.function]",
    "r := {i: row.do | some i, row in data.rows; row.of == input.function; input.y}",
    "r := count([1 | some row in data.rows; row.of == input.function; row.do == input.y])",
    "r if every row in data.rows { row.of == input.function }",
    "r if { every row in data.rows { row.of != input.function }; input.y }",
    "r if not { some row in data.rows; row.of == input.function; row.do == input.y }".replace(
        "{ ", "q\nq if { "
    ),
    "r if { data.rows[_].of == input.function; input.y }",
    "r if { data.rows[i].of == input.function; data.rows[i].do == input.y }",
    'r if { data.digits[i]["1"] == input.function; input.y }',
    'r if { some row in data.digits; row["1"] == input.function; input.y }',
    "r if { data.grants[input.y][_].of == input.function }",
    "r if { some row in data.rows; row.of == row.do }",
    "r if { row := data.rows[_]; row.of == input.function; row.do == input.y }",
    "r if { some role in input.roles; some g in data.grants[role]; g.of == input.function; g.do == input.y }",
    "r if { some g in data.grants[input.y]; g.of == input.function; g.do }",
    "r if { some i, g in data.grants[input.y]; g.of == input.function; i == 0 }",
    "r := g.do if { some g in data.grants[input.y]; g.of == input.function }",
    "r if { some g in data.grants[input.y]; g.of == input.function; some h in data.rows; h.do == g.do }",
    'r if { some a in data.rows; a.of == "f"; some b in data.rows; b.do == a.do; b.of == input.y }',
    "r if { some a in data.rows; some b in data.numbers; a.k == b.k; b.v == input.y }",
    "r := [b.v | some a in data.numbers; some b in data.numbers; b.k == a.k]",
    "r := {i: b | some a in data.numbers; some i, b in data.numbers; i == a.k}",
    "r if { some i, a in data.numbers; some k, b in data.named; k == a.v; b.do == input.y }",
    "r if { some a in data.numbers; some b in data.numbers; b.v; b.k == a.k; a.v != b.v; input.y }",
    "r if { some a in data.numbers; x := a.k; some b in data.numbers; y := b.k; x == y; b.v == input.y }",
    "r if { some a in data.numbers; data.numbers[i].k == a.v; data.numbers[i].v == input.y }",
    "r if { some i, b in data.numbers; data.numbers[b.k].k == data.numbers[i].v; b.v == input.y }",
    "r if { some b in data.numbers; b[input.y] == 1 }",
    "r if { some b in data.numbers; b.v == data.numbers[0].k; b.k == input.y }",
    "t(k) if { some b in data.numbers; b.k == k }\nr if { some a in data.rows; not t(a.do); input.y }",
    "set := {row | some row in data.rows}\nr if { some row in set; row.of == input.function; row.do }",
    "r := row.do if { some row in data.rows; row.of == input.function }",
    'r := row.do if { some row in data.rows; row.of == input.function; row.do == input.y } else := "none"',
    "r if { some row in input.rows; row.of == input.function; row.do == input.y }",
)


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rules or rows are looked up, and a table of few keys is taken by its members."""
    monkeypatch.setattr(indexes, "FEWEST", 1)
    monkeypatch.setattr(tables, "LARGE", 4)


def outcomes(rules: str, data: dict[str, Any]) -> tuple[rego.Policy, dict[str, Outcome]]:
    """The policy, and for each function the outcome of its rule `r`, with what all of them share."""
    policy = rego.compile({"p.rego": f"package p\n{rules}\n"}, data)
    plan, shared = policy.plan(["data.p.r"]), Indexes(shared=True)
    found: dict[str, Outcome] = {}
    for name in FUNCTIONS:
        known = {("function",): name, ("version",): {"v": 1}}
        last = next(reversed(found.values()), None)
        found[name] = evaluate(plan, ("p", "r"), policy.data, known, last, indexes=shared)
    return policy, found


YS: tuple[Any, ...] = ("r", "w", "x", "f", "admin", "dev", "keyed", "odd", "f2", 1, {"z": "f"}, ["r"], True)
ROLES: tuple[Any, ...] = ([], ["admin"], ["dev", "none"], ["keyed", "odd"], [1, "admin"], "admin", None)


@pytest.mark.parametrize("rules", RULES)
def test_each_function_gets_what_the_evaluator_says(rules: str) -> None:
    """What is left out would have come to nothing, and what is shared is of no function by itself."""
    policy, found = outcomes(rules, DATA)
    documents = [{"y": y, "roles": roles} for y, roles in zip(YS, ROLES * 2, strict=False)]
    documents += [{"rows": DATA["rows"][:at], "y": "r"} for at in (0, 3, 9)] + [{}]
    decided = 0
    for name, outcome in found.items():
        for document in documents:
            asked = {**document, "function": name, "version": {"v": 1}}
            decided += judged(policy, outcome, asked) != "unsure"
    assert decided >= len(documents)


TEXTS = st.sampled_from(("f", "g", "r", "w"))
LEAVES = st.one_of(TEXTS, st.sampled_from((1, 1.0, "1", 0, True, False, None)))
ROWS = st.one_of(
    LEAVES, st.dictionaries(st.sampled_from(("of", "do", "k", "v", "1")), st.one_of(LEAVES, st.lists(LEAVES)))
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([each for each in RULES if "data." in each]), st.lists(ROWS, max_size=8), LEAVES)
def test_any_rows_are_as_the_evaluator_finds_them(rules: str, rows: list[Any], y: Any) -> None:
    """Rows may be of any kind, and have anything where others have the name of a function."""
    policy, found = outcomes(rules, {**DATA, "rows": rows, "numbers": rows, "digits": rows})
    for name, outcome in found.items():
        judged(policy, outcome, {"function": name, "version": {"v": 1}, "y": y, "roles": ["admin"]})


@pytest.mark.parametrize("key", [str, int])
@pytest.mark.parametrize("test", ["a.k == b.k", "b.on; b.k == a.k", "x := a.k; y := b.k; x == y"])
def test_tables_are_joined_by_what_they_have_in_common(
    monkeypatch: pytest.MonkeyPatch, key: Callable[[int], Any], test: str
) -> None:
    """Each row was tried with each of the other table: 300 and 300 took seven seconds."""
    rows = [{"k": key(at), "path": str(at), "on": True} for at in range(50)]
    rules = f"r if {{ some a in data.xs; some b in data.ys; {test}; a.path == input.x; b.path == input.y }}"
    policy = rego.compile({"p.rego": f"package p\n{rules}\n"}, {"xs": rows, "ys": rows[::-1]})
    followed = blocks_followed(monkeypatch)
    outcome = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data)
    assert len(followed) < 200
    for x, y in (("1", "1"), ("1", "2"), ("49", "49"), ("50", "50")):
        assert judged(policy, outcome, {"x": x, "y": y}) != "unsure"


def test_what_is_for_others_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rules, and a table of ten thousand grants, for two hundred functions: each took a minute of
    work for all of them together, and most of it came to nothing."""
    rules = "".join(f'r if {{ input.function == "f{at}"; input.y == "{at}" }}\n' for at in range(100))
    rules += "r if { some row in data.rows; row.of == input.function; row.do == input.y }"
    rows = [{"of": f"f{at % 10}", "do": str(at)} for at in range(100)]
    policy = rego.compile({"p.rego": f"package p\n{rules}\n"}, {"rows": rows})
    plan, shared = policy.plan(["data.p.r"]), Indexes(shared=True)
    for name, most in (("f3", 15), ("f50", 5), ("other", 5)):
        followed = blocks_followed(monkeypatch)
        outcome = evaluate(plan, ("p", "r"), policy.data, {("function",): name}, indexes=shared)
        assert 0 < len(followed) <= most
        assert outcome.used_given
    assert not evaluate(plan, ("p", "r"), policy.data, indexes=shared).used_given
