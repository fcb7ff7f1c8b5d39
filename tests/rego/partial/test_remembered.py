"""A table of which rows change: its other rows come to what they came to before, all to what they mean."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any

import pytest
from agreement import blocks_followed, reference, said
from effort import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcome_answers import Unsure

from palisade import rego
from palisade.rego.partial import Outcome, evaluate
from palisade.rego.partial.execution import giving
from palisade.rego.partial.execution.flow import Liveness
from palisade.rego.partial.execution.remembered import Memory
from palisade.rego.partial.symbols.worlds import Worlds

_HEAD = "package authz\n\ndefault allow := false\n\n"
_ASKS = "row.path == input.path\n\trow.role in input.roles"


def _outcome(policy: rego.Policy, before: Outcome | None = None) -> Outcome:
    return evaluate(policy.plan(["data.authz.allow"]), ("authz", "allow"), policy.data, None, before)


def _rows(*edited: int) -> list[dict[str, Any]]:
    return [{"path": f"/{at}{'/new' * (at in edited)}", "role": f"r{at}"} for at in range(200)]


@pytest.mark.parametrize(
    "asks",
    [
        _ASKS,
        "row.path == input.path\n\tsome role in [row.role, row.role]\n\trole in input.roles",
        "row.path == input.path\n\tsome role in input.roles\n\tsome name in [row.role]\n\tname == role",
    ],
)
def test_only_the_rows_that_changed_are_followed_again(monkeypatch: pytest.MonkeyPatch, asks: str) -> None:
    """An edit of one among ten thousand took as long as compiling all: each row's loop had another number, so
    all were lowered anew, too. Rows with lists of their own are as others. An edit of another rule between
    two of rows changes nothing."""
    rules = f"{_HEAD}allow if {{\n\tsome row in data.rows\n\t{asks}\n}}\n"
    first = rego.compile({"a.rego": rules}, {"rows": _rows()})
    outcome = _outcome(first)
    other = {"a.rego": rules, "b.rego": "package authz\n\nallow if input.y\n"}
    between = rego.compile(other, {"rows": _rows()}, previous=first)
    before = _outcome(between, outcome)
    second = rego.compile(other, {"rows": _rows(7)}, previous=between)
    followed = blocks_followed(monkeypatch)
    after = _outcome(second, before)
    assert len(followed) < 10
    was, now = ({id(part) for case in each.cases for part in case.condition.args} for each in (before, after))
    assert len(now - was) < 5
    for path, role in (("/7", "r7"), ("/7/new", "r7"), ("/7/new", "r8"), ("/8", "r8"), ("/9", "r8")):
        document = {"path": path, "roles": [role]}
        assert said(after, document) == reference(second, "data.authz.allow", document)


def test_rows_that_are_the_objects_they_were_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told apart by what is in them, ten thousand rows took a fifth of what an edit of one cost; and they
    were taken one after the other."""
    rules = f"{_HEAD}allow if {{\n\tsome row in data.rows\n\t{_ASKS}\n}}\n"
    rows = _rows()
    first = rego.compile({"a.rego": rules}, {"rows": rows}, plain=False)
    before = _outcome(first)
    edited = [*rows[:100], {"path": "/between", "role": "r1"}, *rows[101:]]
    second = rego.compile({"a.rego": rules}, {"rows": edited}, previous=first, plain=False)
    compared: list[object] = []
    content, advance = Memory._content, Worlds.advance
    advanced: list[object] = []
    monkeypatch.setattr(Memory, "_content", lambda run, *row: compared.append(row) or content(run, *row))
    monkeypatch.setattr(Worlds, "advance", lambda run, *each: advanced.append(each) or advance(run, *each))
    after = _outcome(second, before)
    assert len(compared) < 5
    assert len(advanced) < 20
    for path, role in (("/between", "r1"), ("/100", "r100"), ("/99", "r99"), ("/101", "r101")):
        document = {"path": path, "roles": [role]}
        assert said(after, document) == reference(second, "data.authz.allow", document)


def test_a_row_between_others_leaves_them_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those behind have other places then, for which no rule asks: of ten thousand all were followed anew."""
    rules = f"{_HEAD}allow if {{\n\tsome row in data.rows\n\t{_ASKS}\n}}\n"
    first = rego.compile({"a.rego": rules}, {"rows": _rows()})
    before = _outcome(first)
    rows = [*_rows()[:100], {"path": "/between", "role": "r1"}, *_rows()[100:]]
    second = rego.compile({"a.rego": rules}, {"rows": rows}, previous=first)
    followed = blocks_followed(monkeypatch)
    after = _outcome(second, before)
    assert len(followed) < 10
    for path, role in (("/between", "r1"), ("/between", "r2"), ("/99", "r99"), ("/100", "r100")):
        document = {"path": path, "roles": [role]}
        assert said(after, document) == reference(second, "data.authz.allow", document)


_CALLS = """may(role) if {
	role in input.roles
	not role in data.off
}

allow if {
	some row in data.rows
	row.path == input.path
	may(row.role)
}
"""


def test_rows_that_call_a_function_are_followed_again_with_what_it_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An edit of one among ten thousand rows that call a function took 3 s. Where the function is another, or
    what it reads of the data, all are to be followed again."""
    policy: rego.Policy | None = None
    outcome: Outcome | None = None
    followed = blocks_followed(monkeypatch)
    documents = [{"path": path, "roles": ["r7", "r8"]} for path in ("/7", "/7/new", "/8", "/9")]
    edits = [
        (_CALLS, (), [], 200),
        (_CALLS, (7,), [], 0),
        (_CALLS, (7,), ["r8"], 200),
        (_CALLS.replace("in input.roles", "== input.roles[1]"), (7,), ["r8"], 200),
        (_CALLS.replace("in input.roles", "== input.roles[1]"), (7, 8), ["r8"], 0),
    ]
    for rules, rows, off, least in edits:
        data = {"rows": _rows(*rows), "off": off}
        policy = rego.compile({"a.rego": _HEAD + rules}, data, previous=policy)
        followed.clear()
        outcome = _outcome(policy, outcome)
        assert least <= len(followed) < least * 5 + 20
        for document in documents:
            assert said(outcome, document) == reference(policy, "data.authz.allow", document)


def test_what_statements_need_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a list that all rules read is edited, each is followed again; of its statements it was found out
    again, too, which locals those behind need: a quarter of the time."""
    rules = f'{_HEAD}allow if {{\n\tinput.path == "/"\n\tnot input.role in data.off\n}}\n'
    first = rego.compile({"a.rego": rules}, {"off": ["a"]})
    before = _outcome(first)
    asked: list[object] = []
    found_out = Liveness._behind_each
    monkeypatch.setattr(
        Liveness, "_behind_each", lambda run, block: asked.append(block) or found_out(run, block)
    )
    second = rego.compile({"a.rego": rules}, {"off": ["b"]}, previous=first)
    after = _outcome(second, before)
    assert not asked
    document = {"path": "/", "role": "a"}
    assert said(after, document) == reference(second, "data.authz.allow", document) == "true"


def test_what_was_found_out_before_a_loop_counts() -> None:
    """A loop that begins in two states told each other's rounds: behind an edit of another row a request for
    which `kind` is 1 was given what rows of kind 2 say."""
    rules = (
        "package authz\n\nallow := row.out if {\n"
        '\tkind := {"a": 1, "b": 2}\n\tkind[input.name] > 0\n'
        "\tsome row in data.rows\n\trow.kind == kind[input.name]\n\trow.path == input.path\n}\n"
    )
    policy: rego.Policy | None = None
    outcome: Outcome | None = None
    for edited in (0, 1):
        rows = [{**row, "kind": 1 + at % 2, "out": row["role"]} for at, row in enumerate(_rows(edited)[:40])]
        policy = rego.compile({"a.rego": rules}, {"rows": rows}, previous=policy)
        outcome = _outcome(policy, outcome)
        for name, path in product(("a", "b", "c"), ("/2", "/3")):
            document = {"name": name, "path": path}
            assert said(outcome, document) == reference(policy, "data.authz.allow", document)


_LOOPS = [
    f"allow if {{ some row in data.rows; {_ASKS.replace(chr(10), ';')} }}",
    "allow if { some row in data.rows; row.path == input.path; not row.off }",
    "allow if { some n, row in data.rows; row.role in input.roles; n == input.n }",
    'allow if { some row in data.rows; sprintf("%v", [row.n]) == input.path }',
    "allow if { some row in data.rows; row.n == data.least; row.path == input.path }",
    "allow if { least := data.least; some row in data.rows; row.n == least; row.path == input.path }",
    'allow if { v := sprintf("%v", [data.least]); some row in data.rows; v == "1"; row.path == input.path }',
    'allow if { some row in data.rows; row.path == input.path with input.path as "/a" }',
    "allow if { some row in data.rows; some role in row.roles; role in input.roles }",
    "allow if { some role in input.roles; some row in data.rows; row.role == role; row.path == input.path }",
    "allow if { some row in data.rows; some other in data.rows; other.path == input.path; row != other }",
    "allow if { some row in data.rows; some n, role in row.roles; n == data.least; role in input.roles }",
    "allow if { some role in input.roles; given == role }",
    "allow if { some row in data.rows; may(row) }",
    "allow if { some row in data.rows; row.path == input.path; least == row.n }",
    "allow if { some row in data.rows; row.n == data.least; may(row); within(row.roles) }",
    "allow if plan == input.path",
    "allow if named == input.path",
    'allow if sprintf("%v", [counted]) == input.path',
    "allow if not denied",
    "allow if { every row in data.rows { row.path != input.path; not row.role in input.roles } }",
    "allow if count([row | some row in data.rows; row.role in input.roles]) == 1",
    "allow if { some row in data.rows; to_number(row.path) > 0; input.path }",
]
_HELPERS = """
may(row) if { row.path == input.path; data.least == 1 }
least := data.least
within(roles) if { some role in roles; role in input.roles }
given := row.role if { some row in data.rows; row.path == input.path }
plan := row.path if { some row in data.rows; row.role in input.roles }
counted := row.n if { some row in data.rows; row.role in input.roles }
named := row.path if {
	names := {"/a": "x", "/b": "y"}
	names[input.path] != ""
	some row in data.rows
	row.role == names[input.path]
}
denied if { some row in data.rows; row.role in input.roles; row.path == input.path }
"""
_row = st.fixed_dictionaries(
    {"path": st.sampled_from(("/a", "/b", "1", "1.0"))},
    optional={
        "role": st.sampled_from(("x", "y")),
        "n": st.sampled_from((1, 1.0, 2)),
        "off": st.booleans(),
        "roles": st.lists(st.sampled_from(("x", "y")), max_size=2),
    },
)
_least = st.sampled_from((1, 1.0, 2))


@st.composite
def _edits(draw: st.DrawFn) -> list[tuple[dict[str, Any], bool]]:
    """Data of which a row changes, comes, goes, or stands twice, or what stands beside them; and with each
    whether the functions are others. The other rows are the objects that they were, or all are others."""
    rows, least = draw(st.lists(_row, min_size=3, max_size=5)), 1
    steps: list[tuple[dict[str, Any], bool]] = [({"rows": rows, "least": least}, False)]
    read_anew = draw(st.booleans())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(rows) - 1))
        new = draw(st.one_of(st.just([]), st.just([rows[at]] * 2), st.lists(_row, min_size=1, max_size=1)))
        rows = [*rows[:at], *new, *rows[at + 1 :]] or rows
        least = draw(st.one_of(st.just(least), _least))
        data = {"rows": rows, "least": least}
        steps.append((deepcopy(data) if read_anew else data, draw(st.booleans())))
    return steps


_DOCUMENTS: list[dict[str, Any]] = [
    {"path": path, "roles": roles, "n": n}
    for path in ("/a", "/b", "1", "1.0")
    for roles, n in ((["x"], 0), (["y", "z"], 1), ([], 2), ({"k": "x"}, 0))
]


@settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(_LOOPS), min_size=1, max_size=3, unique=True),
    _edits(),
)
def test_edits_of_rows_come_to_what_they_would_by_themselves(
    monkeypatch: pytest.MonkeyPatch, rules: list[str], steps: list[Any]
) -> None:
    """Also where rows are spelled otherwise, stand twice, move, or ask for what stands beside them."""
    monkeypatch.setattr(giving, "FEWEST_ROUNDS", 2)
    policy, outcome = None, None
    for data, other in steps:
        helpers = (
            _HELPERS.replace("row.path == input.path", "row.path != input.path", 1) if other else _HELPERS
        )
        text = _HEAD + "\n".join([*rules, helpers])
        policy = rego.compile({"a.rego": text}, data, previous=policy, plain=False)
        outcome = _outcome(policy, outcome)
        fresh = _outcome(rego.compile({"a.rego": text}, data, plain=False))
        assert [(each.value, each.label) for each in outcome.cases] == [
            (each.value, each.label) for each in fresh.cases
        ]
        for document in _DOCUMENTS:
            try:
                known = said(fresh, document)
            except Unsure:
                with pytest.raises(Unsure):
                    said(outcome, document)
                continue
            assert said(outcome, document) == known
            assert known == reference(policy, "data.authz.allow", document)
