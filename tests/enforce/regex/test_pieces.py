"""Expressions of the pieces of a split text match the texts whose pieces meet conditions, and no others."""

from __future__ import annotations

from itertools import pairwise

import pytest
import re2
from effort import examples_asked
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lowered import judge, subject_of

from palisade import rego
from palisade.enforce.envoy.regex.patterns import ODD_HEADER
from palisade.enforce.envoy.regex.pieces import Piece, piece_of
from palisade.policy.providers import Provider
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.formula import Exists, nodes
from palisade.rego.partial.formulas.terms import Apply, Element, Known
from palisade.rego.values import UNDEFINED
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

EXAMPLES = examples_asked(16)
MARKS = (";", "; ", " ", "=", "ab", ";;", "==", "sid", "a b", "asa")
TEXTS = ("x", "trim_space(x)")
CONDITIONS = (
    'startswith(T, "sid=")',
    'startswith(T, "sid="); substring(T, 4, -1) == "a"',
    'startswith(T, "sid="); substring(T, 4, -1) in {"a", "", "a=b", "a b", " a", "b;"}',
    'startswith(T, "sid="); trim_prefix(T, "sid=") == "a"',
    'startswith(T, "sid="); startswith(substring(T, 4, -1), "a")',
    'startswith(T, "sid="); endswith(substring(T, 4, -1), "d")',
    'startswith(T, "sid="); contains(trim_prefix(T, "sid="), "a")',
    'startswith(T, "sid="); split(T, "=")[1] == "a"',
    'startswith(T, "sid="); split(T, "=")[1] in {"", "a", "b ", "a=b"}',
    'startswith(T, "sid=="); split(T, "=")[1] == ""',
    'startswith(T, "sid=="); split(T, "=")[2] == "a"',
    'startswith(T, "=="); split(T, "=")[1] in {"", "a"}',
    '[k, v] := split(T, "="); k == "sid"; v == "a"',
    '[k, v] := split(T, "="); k == "sid"',
    '[k, v] := split(T, "="); k == ""; v in {"", "a", " a"}',
    '[k, v] := split(T, "="); k == " sid"; v == "a"',
    'kv := split(T, "="); kv[0] == "sid"; kv[1] == "a"',
    'kv := split(T, "="); kv[0] == "sid"; kv[1]',
    'kv := split(T, "="); kv[0] == "sid"; startswith(kv[1], "a")',
    'kv := split(T, "="); kv[0] == "sid"; endswith(kv[1], "d")',
    'kv := split(T, "="); kv[0] == "sid"; contains(kv[1], "a")',
    'kv := split(T, "="); kv[0] == "sid"; contains(kv[1], "=")',
    'kv := split(T, "="); kv[0] == "sid"; kv[1] == "b "',
    'startswith(T, " "); substring(T, 1, -1) == "a"',
    'startswith(T, "a "); substring(T, 2, -1) == "b"',
    'startswith(T, "a "); substring(T, 2, -1) in {"", "b"}',
    'startswith(T, "s;"); substring(T, 2, -1) == "a"',
    'startswith(T, "s"); startswith(substring(T, 1, -1), "i ")',
    'T == "sid"',
    'startswith(T, "a"); T == "a b"',
    'startswith(T, "s"); endswith(T, "d"); contains(T, "i"); T in {"sid", "s", "d", "sd", "b"}',
    'T in {"a", " a", "a ", "", "a; b"}',
    'endswith(T, "a ")',
    'contains(T, "=")',
    'startswith(T, "a")',
    'split(T, ";")[0] == "sid"; endswith(T, "d")',
    'split(T, "=")[0] == "sid"; contains(T, "s")',
    'split(T, ";")[0] == "sid"; not split(T, ";")[1] == "a"',
)
SAMPLES = (
    "",
    "sid=a",
    "sid=a; sid=b",
    "sid==a",
    " sid=a ",
    "x;sid=a=b;;",
    "sid = a",
    "=a",
    "sid=b ;a b",
    "; ;",
    "a=, a",
    "a; ; a",
    "sid=a; ; sid=b",
    "sid;; sid",
)

pieces = st.lists(
    st.sampled_from(
        (
            *("sid", "sid=", "=", "a", "b", "d", " ", "s", ";", ",", "a b", "b ", "\t", "\u00a0", "ü", "i"),
            *(";;", "==", "as", "sa", "si"),
        )
    ),
    max_size=9,
).map("".join)


@pytest.mark.long
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("text", TEXTS)
def test_an_expression_is_the_condition_on_some_piece(mark: str, text: str) -> None:
    """One piece, and two: of any text that no doubt sends to the engine, at marks of one and two letters."""
    told = []
    for condition in CONDITIONS:
        asked = f'some x in split(input.h, "{mark}"); {condition.replace("T", text)}'
        every = f"every x in split(input.h, `{mark}`) {{ {condition.replace('T', text)} }}"
        policy = rego.compile(
            {"p.rego": f"package p\nr if {{ {asked} }}\nn := count([1 | {asked}])\ne if {every}\n"}
        )
        (case, *_) = evaluate(policy.plan(["data.p.r"]), ("p", "r"), policy.data).cases
        (atom,) = (each.atom for each in nodes(case.condition) if isinstance(each.atom, Exists))
        assert atom.source == Apply("split", (atom.source.args[0], Known(mark)))  # type: ignore[union-attr]
        piece = piece_of(atom.body, Element(atom.source, atom.loop), mark)
        if piece is not None:
            told.append(condition)
            _compare(policy, piece, condition)
    assert len(told) >= {
        (";;", TEXTS[0]): 10,
        ("sid", TEXTS[0]): 6,
        ("asa", TEXTS[0]): 6,
        (";", TEXTS[0]): 25,
        (";", TEXTS[1]): 20,
        ("; ", TEXTS[0]): 15,
        ("; ", TEXTS[1]): 10,
    }.get((mark, text), 0)


def _compare(policy: rego.Policy, piece: Piece, condition: str) -> None:
    once_again, again = re2.compile(piece.in_text), re2.compile(piece.twice)
    always = re2.compile(piece.everywhere)

    @given(pieces)
    @settings(max_examples=EXAMPLES, deadline=None)
    def compared(text: str) -> None:
        if re2.fullmatch(ODD_HEADER, text):
            return
        holds = policy.evaluate("data.p.r", {"h": text}) is not UNDEFINED
        assert bool(once_again.fullmatch(text)) == holds, (condition, text)
        several = policy.evaluate("data.p.n", {"h": text}) > 1
        assert bool(again.fullmatch(text)) == several, (condition, text)
        throughout = policy.evaluate("data.p.e", {"h": text}) is not UNDEFINED
        assert bool(always.fullmatch(text)) == throughout, (condition, text)

    for text in SAMPLES:
        compared = example(text)(compared)
    compared()


COOKIE = "s := v if { some p in split(http.headers.cookie, M); t := trim_space(p); W }"
WAYS = (
    'startswith(t, "sid="); v := substring(t, 4, -1)',
    '[k, v] := split(t, "="); k == "sid"',
    'kv := split(t, "="); kv[0] == "sid"; v := kv[1]',
    'startswith(t, "sid="); v := trim_prefix(t, "sid=")',
)
ASKED = (
    's == "a"',
    "data.sessions[s]",
    "not data.sessions[s]",
    "not s",
    's != "a"',
    'data.sessions[s].role == "admin"',
    's in {"a", "b"}',
    's in {"b; x=1", "a=b"}',  # with the marks in it: one is none that there can be
    'startswith(s, "a")',
    'http.headers["x-csrf"] == s',
    's != http.headers["x-csrf"]',
    "s == claims.sub",
)
PATHS = (
    'name := path[i + 1] if some i, "packages" in path',
    "name := p if { some p in path; p in data.names }",
    'name := substring(p, 2, -1) if { some p in path; startswith(p, "p-") }',
    'f(xs) := [x | some x in xs; startswith(x, "p-")][0]\nname := f(path)',
)
OF_PATHS = ('name == "a"', "not name", "name in data.names", "data.owners[name] == claims.sub", 'name != "a"')
PLAIN = (
    'allow if { some p in split(http.headers.cookie, ";"); trim_space(p) == claims.sub }',
    'allow if { some p in split(http.headers.cookie, ";"); p == http.headers["x-csrf"] }',
    """allow if {
	some p in split(http.headers.cookie, ";")
	startswith(p, "sid=")
	trim_prefix(p, "sid=") == claims.sub
}""",
    'allow if { some p in split(http.headers.cookie, ";"); not trim_space(p) == claims.sub }',
    'allow if { every p in split(http.headers.cookie, ";") { trim_space(p) != http.headers["x-csrf"] } }',
)
CLAIMS = (
    'group := g if { some g in claims.groups; startswith(g, "t-") }',
    "group := data.teams[g] if some g in claims.groups",
    'group := [g | some g in claims.groups; startswith(g, "t-")][0]',
)
OF_CLAIMS = ('group == "t-a"', "not group", "data.teams[group]", 'group != "t-a"', "group in path")
DATA = {
    "sessions": {"a": {"role": "admin"}, "b": {"role": "user"}},
    "names": ["a", "b", "p-a"],
    "owners": {"a": "ann", "p-a": "ann", "b": "bob"},
    "teams": {"t-a": "t-a", "t-b": "red", "c": "red"},
}
HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
"""
COOKIES = (
    *(
        "sid=a",
        "sid=b; x=1",
        "x=1; sid=a",
        "x=1;sid=a",
        "sid=a; sid=a",
        "sid=a; sid=b",
        "sid=",
        "sid",
        "sid=a=b",
    ),
    *("", "xsid=a", "sid=c", " sid=a", "sid=a ;y", "SID=a", "sid=a;", "a=sid=a", "sid =a", "sid=ü; sid=a"),
)


def rules() -> list[str]:
    found = [
        f"{COOKIE.replace('M', mark).replace('W', way)}\nallow if {{ {asked} }}"
        for mark, way in zip(('";"', '"; "') * 4, WAYS * 2, strict=True)
        for asked in ASKED
    ]
    found += [f"{way}\nallow if {{ {asked} }}" for way in PATHS for asked in OF_PATHS]
    found += PLAIN
    return [*found, *(f"{way}\nallow if {{ {asked} }}" for way in CLAIMS for asked in OF_CLAIMS)]


def requests() -> list[Request]:
    found = [Request("GET", "/", (("cookie", each),)) for each in COOKIES]
    found += [Request("GET", "/", (("cookie", one), ("cookie", other))) for one, other in pairwise(COOKIES)]
    found += [
        Request("GET", "/", (("cookie", cookie), ("x-csrf", value)), Token("corp", {"sub": value}))
        for cookie in (*COOKIES, "x=1; sid=a=b; y", "sid= a", "sid=a\tb", "x;  sid=a", "a; b;sid=b ")
        for value in ("a", "a=b", "", " a", "a;x", "A")
    ]
    found += [
        Request("GET", path, (), Token("corp", {"sub": sub}))
        for sub in ("ann", "bob")
        for path in (
            *("/packages/a", "/packages", "/packages/b/packages/a", "/packages/a/packages/a", "/a", "/x/y"),
            *(
                "/p-a",
                "/p-a/p-b",
                "/p-",
                "/packages/p-a/b",
                "/1/2/3/4/5/6/7/8/packages/a",
                "/packages/%61",
                "/",
            ),
        )
    ]
    for groups in (
        *(
            ["t-a"],
            ["t-b"],
            ["t-a", "t-b"],
            ["t-a", "t-a"],
            [],
            ["c"],
            ["c", "t-b"],
            ["x", "t-a"],
            None,
            "t-a",
        ),
        *({"k": "t-a"}, [["t-a"], 1], [*"12345678", "t-a"], ["t-ä"]),
    ):
        found += [
            Request("GET", f"/{each}", (), Token("corp", {"groups": groups})) for each in ("t-a", "red")
        ]
    return [*found, Request()]


@pytest.mark.long
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_a_value_out_of_a_loop_is_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """A cookie, a segment behind another, a group: with several of them it is an error, or the engine's."""
    tally = Tally()
    subjects = []
    for each in rules():
        policy = rego.compile({"p.rego": f"{HEAD}{each}\n"}, DATA)
        subjects.append(subject_of(policy, providers, issuers))
    judge(bed, subjects, requests(), tally)
    assert tally.native > 0.7 * (tally.native + tally.residual), tally
