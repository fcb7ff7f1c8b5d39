"""Documents to which many rules give different values: taken together, and told apart by their texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from agreement import judged, outcome_of
from effort import examples
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from palisade.rego.partial.execution import execute, giving
from palisade.rego.partial.formulas import formula
from palisade.rego.partial.formulas.apart import together
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import Formula
from palisade.rego.partial.formulas.terms import Apply, Input, Known

TEXTS = ("/a", "/a/", "/ab", "/a/b", "/b", "", "a", "b", "/a/b/c")
INPUTS = st.fixed_dictionaries(
    {}, optional={"x": st.sampled_from((*TEXTS, 1, True)), "y": st.sampled_from((*TEXTS, 1, None, ["a"]))}
)

_field = st.sampled_from(("input.x", "input.y"))
_text = st.sampled_from(TEXTS)
_tests = st.one_of(
    st.builds('{} == "{}"'.format, _field, _text),
    st.builds('startswith({}, "{}")'.format, _field, _text),
    st.builds('not startswith({}, "{}")'.format, _field, _text),
    st.builds('{} in {{"{}", "{}"}}'.format, _field, _text, _text),
    st.builds('glob.match("{}*", ["/"], {})'.format, _text, _field),
    st.builds('glob.match("{}", ["/"], {})'.format, _text, _field),
    st.builds('regex.match("^{}{}", {})'.format, _text, st.sampled_from(("", "$", "?", "c*$", "|b")), _field),
    st.builds("f({})".format, _field),
    st.sampled_from(("input.y", "input.x == input.y", "input.y == 1", "walk(input, [_, 1])")),
)
_values = st.sampled_from(
    ('"v1"', '"v2"', "3", "3.0", "true", "1", "input.y", "[input.x]", '{"a": input.y}', '{"a": "/a"}')
)
_rule = st.builds("{} if {{ {} }}".format, _values, st.lists(_tests, min_size=1, max_size=3).map("; ".join))
_branches = st.lists(_rule, min_size=1, max_size=2).map(" else := ".join)
_TEXT = '"v1" if input.y == "/b"'
"""One rule gives a text, or the checker would find that none does."""
_USES = (
    "r := s",
    'r if s == "v1"',
    "r if not s",
    'r := 1 if s == "v1" else := s',
    "r := [t | t := s]",
    'r if { some v in ["v1", 3, {"a": "/a"}]; v == s }',
)
_HELPER = 'f(t) if t == "/a"\nf(t) if startswith(t, "/b")\n'


@st.composite
def _policies(draw: st.DrawFn) -> str:
    rules = draw(st.lists(_branches, min_size=5, max_size=11))
    default = draw(st.sampled_from(("", 'default s := "v1"\n', "default s := false\n")))
    values = "\n".join(f"s := {each}" for each in (*rules, _TEXT))
    return f"{_HELPER}{default}{values}\n{draw(st.sampled_from(_USES))}"


@pytest.fixture(params=("one by one", "halves"), autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How rules that may hold at once are looked at."""
    if request.param == "halves":
        monkeypatch.setattr(giving, "_ONE_BY_ONE", 0)
    return str(request.param)


@pytest.mark.long
@settings(
    deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(policy=_policies(), inputs=st.lists(INPUTS, min_size=8, max_size=8))
def test_many_values_are_given_as_the_evaluator_gives_them(policy: str, inputs: list[dict[str, Any]]) -> None:
    """What rules give, whichever hold at once, and that two values are an error."""
    compiled, outcome = outcome_of(policy, {})
    for document in inputs:
        judged(compiled, outcome, document)


@pytest.mark.long
@pytest.mark.parametrize(
    "test",
    [
        'input.x == "/t{0}"',
        'startswith(input.x, "/t{0}/")',
        'glob.match("/t{0}/*", ["/"], input.x)',
        'regex.match("^/t{0}/[0-9]+$", input.x)',
        'regex.match("^/t{0}$", input.x)',
    ],
)
@pytest.mark.usefixtures("way")
def test_hundreds_of_values_are_told_apart(test: str) -> None:
    """Each value is asked for once, no two conflict, and nothing is left to the evaluator: all else would be
    as many conditions as there are pairs of rules."""
    rules = "\n".join(f's := "v{n}" if {{ input.y == "y{n % 5}"; {test.format(n)} }}' for n in range(400))
    compiled, outcome = outcome_of(f"{rules}\nr if s in input.z\n", {})
    assert outcome.error.kind == "false"
    assert not any(case.condition.opaque for case in outcome.cases)
    assert sum(case.condition.size for case in outcome.cases) < 10 * 400
    for document in ({"x": "/t7", "y": "y2", "z": ["v7"]}, {"x": "/t7/1", "y": "y2", "z": ["v7"]}):
        assert judged(compiled, outcome, document) in ("defined", "undefined")


@pytest.mark.usefixtures("way")
def test_many_values_that_may_conflict_come_to_no_more_than_they_have_halves() -> None:
    """Of four hundred rules that no text tells apart there are eighty thousand pairs."""
    rules = "\n".join(f's := "v{n}" if contains(input.x, "t{n};")' for n in range(400))
    compiled, outcome = outcome_of(f"{rules}\nr := s\n", {})
    assert outcome.error.size < 400 * 20
    assert judged(compiled, outcome, {"x": "t7;"}) == "defined"
    assert judged(compiled, outcome, {"x": "t7;t390;"}) == "error"
    assert judged(compiled, outcome, {"x": "t8"}) == "undefined"


@pytest.mark.usefixtures("way")
def test_what_too_many_pairs_may_conflict_in_is_left_to_the_evaluator() -> None:
    """The decision itself may be such a document: it compiles, and every request is asked of the engine."""
    rules = "\n".join(f'r := "v{n}" if contains(input.x, "t{n};")' for n in range(900))
    compiled, outcome = outcome_of(f'default r := "none"\n{rules}\n', {})
    assert judged(compiled, outcome, {"x": "t7;"}) == "unsure"
    assert judged(compiled, outcome, {}) == "unsure"


@pytest.mark.usefixtures("way")
def test_rules_that_ask_for_the_value_are_run_in_turn() -> None:
    """A block is taken for one that only gives a value where it does not read what others gave."""
    rules = "\n".join(f's := "v{n}" if input.x == "{n}"' for n in range(execute.FEWEST + 2))
    compiled, outcome = outcome_of(f'default s := "none"\n{rules}\nr := s\n', {})
    for document in ({"x": "1"}, {"x": "z"}, {}):
        assert judged(compiled, outcome, document) == "defined"


def _conditions() -> Iterator[tuple[str, Formula]]:
    builder = Builder()
    place = Input(("x",))
    for name in ("startswith", "glob.match", "regex.match"):
        for pattern in ("/a", "/a/", "/ab", "^/a", "^/a/b?", "^/a/bc", "/a*", "^/a|b", "^(?i)/A", "", "^"):
            if name == "startswith":
                args: tuple[Any, ...] = (place, Known(pattern))
            elif name == "glob.match":
                args = (Known(pattern), Known(["/"]), place)
            else:
                args = (Known(pattern), place)
            yield f"{name} {pattern}", builder.atom(formula.Test(Apply(name, args)))
    for text in TEXTS:
        yield f"== {text}", builder.is_in(place, (text,))


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("== /a", "== /b", True),
        ("== /a", "== /a", False),
        ("== /a/b", "startswith /a/", False),
        ("== /b", "startswith /a", True),
        ("startswith /a", "startswith /a/", False),
        ("startswith /ab", "startswith /a/", True),
        ("glob.match /a/", "startswith /ab", True),
        ("glob.match /a*", "== /b", True),
        ("glob.match /a*", "startswith /ab", False),
        ("regex.match ^/a/bc", "== /a/b", True),
        ("regex.match ^/a/b?", "== /a/", False),
        ("regex.match ^/a|b", "== b", False),
        ("regex.match ^(?i)/A", "== /a", False),
        ("regex.match /ab", "== /b", False),
    ],
)
def test_conditions_are_apart_only_where_no_text_meets_both(one: str, other: str, apart: bool) -> None:
    """By what texts begin with; alternatives, options and what stands before `?` tell nothing."""
    known = dict(_conditions())
    found = together([known[one], known[other]], [0, 1], [0, 1])
    assert found == ([set(), set()] if apart else [{1}, {0}])
    assert together([known[one], known[other]], [0, 1], [0, 0]) == [set(), set()]  # of one rule


_row = st.fixed_dictionaries(
    {"t": _text},
    optional={
        "v": st.sampled_from(("v1", "v2", 3, 3.0, 1, True, None, ["a"], {"a": "/a"})),
        "u": st.lists(_text, max_size=2),
        "f": st.booleans(),
    },
)
_found = st.sampled_from(
    (
        "row.t == input.x",
        "startswith(input.x, row.t)",
        "not startswith(input.x, row.t)",
        'glob.match(concat("", [row.t, "*"]), ["/"], input.x)',
        "row.t in input.y",
        "some u in row.u; u == input.x",
        "row.f; row.t == input.x",
        "not row.f; row.t == input.x",
        "true",
        "f(row.t)",
    )
)
_give = st.sampled_from(
    (
        "v := row.v",
        "v := [row.v, input.y]",
        'v := concat("-", [row.t, input.x])',
        "v := input.y",
        "v := {row.t | row.t != input.y}",
        'v := "v1"; row.t != "b"',
        "v := to_number(input.y)",
    )
)


@st.composite
def _lookups(draw: st.DrawFn) -> tuple[str, Any]:
    """A policy that gives a document what rows of a table say, and that table."""
    body = f"{draw(_found)}; {draw(_give)}"
    rows: Any = draw(st.lists(_row, min_size=3, max_size=8))
    if draw(st.integers(0, 3)) == 0:
        rows = {f"k{n}": row for n, row in enumerate(rows)}
    over = draw(
        st.sampled_from(("some row in data.rows; ", "row := data.rows[_]; ", "some n, row in data.rows; "))
    )
    other = draw(st.sampled_from(("", f"s := {draw(_rule)}\n", 'default s := "v1"\n')))
    given_to = draw(
        st.sampled_from(
            (f"s := v if {{ {over}{body} }}\n", f"g(w) := v if {{ {over}{body}; w }}\ns := g(true)\n")
        )
    )
    any_type = "s := input.w if input.w\n"
    return f"{_HELPER}{any_type}{other}{given_to}{draw(st.sampled_from(_USES))}", {"rows": rows}


@settings(
    deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(policy=_lookups(), inputs=st.lists(INPUTS, min_size=8, max_size=8))
def test_rows_give_what_they_give_the_evaluator(
    policy: tuple[str, Any], inputs: list[dict[str, Any]]
) -> None:
    """Two rows that are found and give different values are an error, whichever comes first."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(giving, "FEWEST_ROUNDS", 2)
        compiled, outcome = outcome_of(*policy)
    for document in inputs:
        event(judged(compiled, outcome, document))


def test_thousands_of_rows_are_looked_up() -> None:
    """One by one, each row was compared with what all before it gave: a thousand were left to the engine."""
    rows = [{"tenant": f"t{n}", "plan": ("gold", "silver")[n % 2]} for n in range(1500)]
    rule = "s := plan if { some row in data.rows; row.tenant == input.x; plan := row.plan }"
    compiled, outcome = outcome_of(f'{rule}\nr if s == "gold"\n', {"rows": rows})
    assert outcome.error.kind == "false"
    assert not any(case.condition.opaque for case in outcome.cases)
    assert sum(case.condition.size for case in outcome.cases) < 4 * 1500
    assert [judged(compiled, outcome, {"x": each}) for each in ("t8", "t9", "t", 1)] == [
        "defined",
        *["undefined"] * 3,
    ]
    twice = [*rows, {"tenant": "t8", "plan": "silver"}]
    compiled, outcome = outcome_of(f'{rule}\nr if s == "gold"\n', {"rows": twice})
    assert [judged(compiled, outcome, {"x": each}) for each in ("t8", "t10", "t9")] == [
        "error",
        "defined",
        "undefined",
    ]
