"""Members of arrays in bodies, and in JSON and tokens in headers, are looked at one by one in the sidecar."""

from __future__ import annotations

import json
from typing import Any

import pytest
from documents_asked import HEAD, WAYS, Way
from drawn_members import GRANTS, documents, member_rules
from effort import examples_asked
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lowered import judge_reading, subject_of

from palisade import rego
from palisade.enforce.envoy import hints
from palisade.enforce.envoy.bodies.documents import MEMBERS, NESTED
from palisade.enforce.envoy.bodies.reader import MAX_FIELDS
from palisade.enforce.envoy.matchers.bounds import Reason
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

EXAMPLES = examples_asked(15)
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)

ASKED = {
    "parsed": ("input.parsed_body", WAYS["body"][1]),
    "header": WAYS["header"],
    "token": WAYS["token"],
}

CONDITIONS = (
    'some m in {d}.a; split(m, "/")[2] == "x"',
    'some m in {d}.a; split(m, "/")[2] == http.headers["x-a"]',
    "some m in {d}.a; startswith(http.path, m)",
    'some m in {d}.a; trim_prefix(m, "/org/") == http.headers["x-a"]',
    'some m in {d}.a; [s, r, v] := split(m, ":"); s in {{"*", "a"}}; r == "b"; v != "d"',
    'some m in {d}.a; lower(m) == lower(http.headers["x-a"])',
    'some m in {d}.a; lower(m) == "x"; m != "x"',
    'every m in {d}.a {{ m != "y" }}',
    'every m in {d}.a {{ startswith(m, "/org/"); count(m) < 8 }}',
    "not forbidden({d}.a)",
    "some m in {d}.a; m == {d}.s",
    "not {d}.s in {d}.a",
    "some m in {d}.a; m == null",
    "some m in {d}.a; m > 2; is_number(m)",
    "some m in {d}.a; some n in {d}.b; m == n",
    "count([1 | some m in {d}.a; m != {d}.s]) > 1",
    '[m | some m in {d}.a; startswith(m, "/")][0] == "/org/x"',
    'some m in {d}.a; some t in m.t; t == "x"',
    'some m in {d}.a; some t in m.t; t.k == http.headers["x-a"]',
    'some m in {d}.a; m.k == "x"; every t in m.t {{ t != "y" }}',
    'some i; {d}.a[i].k == "x"; {d}.a[i].t[_].k == "x"',
    "some i; {d}.a[i].t; some t in {d}.a[i].t; t == {d}.s",
    "some i, m in {d}.a; m.k == {d}.a[i].k; not {d}.a[i].t",
    'some m in {d}.a; some t in m; startswith(t, "x")',
    'some m in {d}.a; data.grants[m][_] == "b"',
    'ms := [m | some m in {d}.a; startswith(m, "/")]; count(ms) > 0; ms[count(ms) - 1] == "/org/x"',
    "ms := [m | some m in {d}.a; is_number(m)]; not ms[count(ms) - 1] > 1",
    'ms := [m.k | some m in {d}.a; m.t]; regex.match("^x", ms[count(ms) - 1])',
    "some i, m in {d}.a; i > 0; m != {d}.a[0]",
    "some i, _ in {d}.a; i > 2",
    '{d}.a[count({d}.a) - 1] == "x"',
    '{d}.a[count({d}.a) - 1] in {{"x", "y", 1}}',
    '{d}.a[count({d}.a) - 1] != "x"',
    "not {d}.a[count({d}.a) - 2] == {d}.s",
    'regex.match("^/org/", {d}.a[count({d}.a) - 1])',
    """last := {d}.a[count({d}.a) - 1]; told(last) == "x" """,
    'last := {d}.a[count({d}.a) - 1]; some t in last.t; t == "x"',
    "is_null({d}.a[count({d}.a) - 4])",
)

ARRAYS: tuple[Any, ...] = (
    *([], ["x"], ["y", "/org/x"], ["X", "x"], ["x", "x"], ["/", "a:b:c"], ["*:b:d", "*:b:"], [None, "x"]),
    *(["/org/x"] * MEMBERS, ["q"] * MEMBERS, [*["q"] * MEMBERS, "/org/x"], ["x"] * 9, [3, 2.5, True, None]),
    *([1, "1", {}, [], ""], ["ü", "x"], {"k": "x"}, "x", "/org/x", None, True, [[]], [["x"]], [["xy"], 3]),
    *([{"t": ["x"]}], [{"t": "x"}, {"t": {"x": "x"}}], [{"k": "x", "t": []}], [{"k": "x"}], ["/org/x/y", ""]),
    *([{"k": "x", "t": [{"k": "x"}, "y"]}], [{"t": [{"k": n} for n in range(NESTED)]}], [{"t": [None] * 5}]),
    *([{"t": [*"qrst", "x"]}], [*[{"t": "q"}] * 7, {"t": ["q", "x"]}], [*[{"t": "q"}] * 8, {"t": ["x"]}]),
)
OTHER: tuple[dict[str, Any], ...] = ({}, {"s": "x"}, {"b": ["q", "x"], "s": "/org/x"}, {"b": "x", "s": None})

FORBIDDEN = """forbidden(xs) if {
	some x in xs
	not startswith(x, "/")
}

told(x) := x if is_string(x)

told(x) := x[0] if is_array(x)

told(x) := x.k if is_object(x)
"""


def subject(rules: str, issuers: Issuers) -> Subject:
    return subject_of(rego.compile({"p.rego": f"{HEAD}\n{FORBIDDEN}\n{rules}"}, GRANTS), (), issuers)


def judge(bed: Bed, asked: Subject, requests: list[Request], tally: Tally) -> None:
    """Raises AssertionError with the first request that is decided otherwise than the policy says."""
    bed.load(asked)
    for difference in compare(bed, asked, requests, tally):
        raise AssertionError("\n".join((summary(difference), asked.name, *lines(difference))))


def made(way: Way, documents: list[dict[str, Any]]) -> list[Request]:
    return [found for each in documents if (found := way[1](json.dumps(each))) is not None]


DOCUMENTS = [{"a": members} | OTHER[at % len(OTHER)] for at, members in enumerate(ARRAYS)] + [
    {},
    {"b": ["x"]},
    *({"a": ["x", "/org/x"]} | each for each in OTHER),
]


@pytest.mark.parametrize("at", range(len(CONDITIONS)))
def test_conditions_on_members(bed: Bed, issuers: Issuers, at: int) -> None:
    """Whatever stands in the array, or in its place, the evaluator's decision is taken; of short arrays in
    the sidecar. One reader reads all ways, so each condition is tried in one."""
    way = list(ASKED.values())[at % len(ASKED)]
    asked = subject(f"allow if {{ {CONDITIONS[at].format(d=way[0])} }}", issuers)
    assert not any(each.always for each in reasons_of(asked)), CONDITIONS[at]
    tally = Tally()
    judge(bed, asked, made(way, DOCUMENTS), tally)
    assert tally.residual < 0.4 * tally.pairs, tally


def reasons_of(asked: Subject) -> list[Reason]:
    return [reason for rule in asked.enforcement.coverage for reason in rule.reasons]


@pytest.mark.parametrize(
    ("condition", "members"),
    [
        ("some m in body.a; some t in m.t; some u in t; u != 1", "input.parsed_body.a[0].t[0]"),
        ('some m in body.a; some t in m.t; t.a != t.b; t.c != t.d; t.e == "x"', "input.parsed_body.a[0].t"),
    ],
)
def test_members_that_there_is_no_room_for(issuers: Issuers, condition: str, members: str) -> None:
    """Why they are the engine's is said, and what would take less."""
    asked = subject(f"body := input.parsed_body\nallow if {{ {condition} }}", issuers)
    (found,) = (
        each for each in reasons_of(asked) if each.text.startswith(f"asks of the members of {members} one")
    )
    assert found.always
    assert found.hint == hints.MEMBERS


@pytest.mark.parametrize("way", ASKED)
@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck), phases=_PHASES)
@given(data=st.data())
def test_generated_conditions_on_members(bed: Bed, issuers: Issuers, data: st.DataObject, way: str) -> None:
    """Members of every type, none and too many, twice the same, and arrays in them change no decision."""
    document, make = ASKED[way]
    asked = subject(data.draw(member_rules(document)), issuers)
    texts = data.draw(st.lists(documents(), min_size=20, max_size=40))
    judge(bed, asked, [found for each in texts if (found := make(each)) is not None], Tally())


@pytest.mark.parametrize("way", ASKED)
def test_how_many_members_are_looked_at(bed: Bed, issuers: Issuers, way: str) -> None:
    """Eight, and four of an array in one of them: of longer arrays the engine decides, unless one of the
    first is such already."""
    document, make = ASKED[way]
    rules = (
        f'allow if {{ some m in {document}.a; split(m, "/")[2] == "x" }}\n'
        f'allow if {{ some m in {document}.b; some t in m.t; startswith(t.k, "x") }}\n'
    )
    judge(bed, subject(rules, issuers), [], Tally())

    def asks(found: dict[str, Any]) -> bool | None:
        request = make(json.dumps(found))
        assert request is not None
        [seen] = bed.ask([request])
        return None if seen is None else seen.asked

    hit = "/org/x"
    assert [asks({"a": each}) for each in ([*["q"] * (MEMBERS - 1), hit], ["q"] * MEMBERS)] == [False, False]
    assert [asks({"a": each}) for each in ([*["q"] * MEMBERS, hit], [hit, *["q"] * MEMBERS])] == [True, False]
    member = {"t": [{"k": "q"}] * NESTED}
    longer = {"t": [{"k": "q"}] * (NESTED + 1)}
    assert [asks({"b": each}) for each in ([member] * MEMBERS, [member, longer])] == [False, True]


def test_explain_looks_at_members_as_the_sidecar_does(bed: Bed, issuers: Issuers) -> None:
    """Where a request is decided, and how, is what `palisade explain` says."""
    document, make = ASKED["token"]
    asked = subject(
        "\n".join(f"allow if {{ {each.format(d=document)} }}" for each in CONDITIONS[:9]), issuers
    )
    requests = made((document, make), DOCUMENTS)
    judge(bed, asked, requests, Tally())
    judge_reading(bed, asked, requests)


# What is read of them ---------------------------------------------------------------------------------------


def fields(rules: str, issuers: Issuers) -> set[tuple[object, ...]]:
    """The fields of the body that the sidecar reads for the rules."""
    work = subject(rules, issuers).enforcement.work
    return set() if work is None or work.told is None else {path[1:] for path in work.told.fields}


@pytest.mark.parametrize(
    "condition",
    ['"x" in body.a', "http.path in body.a", 'some m in body.a; startswith(m, "x")', "some _ in body.a"],
)
def test_members_that_one_matcher_asks_of_are_not_read_one_by_one(issuers: Issuers, condition: str) -> None:
    """Each field costs a request that has it half a microsecond or more."""
    assert fields(f"body := input.parsed_body\nallow if {{ {condition} }}", issuers) == {("a",)}


def test_members_are_read_as_far_as_there_is_room(issuers: Issuers) -> None:
    """Single fields of members come first, then the arrays that ask for least. An array that there is no room
    for is the engine's, and takes nothing from the others."""
    names = [f"k{at}" for at in range(MAX_FIELDS // MEMBERS - 3)]
    known = "; ".join(f"m.{name} != 1" for name in names)
    rules = f"body := input.parsed_body\nallow if {{ some m in body.objects; {known} }}\n"
    alone = fields(rules, issuers)
    assert {("objects", at, name) for at in range(MEMBERS) for name in names} < alone
    rules += 'allow if { some m in body.texts; m != "x" }\n'
    both = fields(rules, issuers)
    assert both - alone == {("texts",), *(("texts", at) for at in range(MEMBERS))}
    rules += 'allow if { some m in body.nested; some t in m.t; some u in ["k", "j"]; t[u] != "x" }\n'
    assert {path for path in fields(rules, issuers) if len(path) < 4} >= both
    assert not any(len(path) == 5 for path in fields(rules, issuers))
