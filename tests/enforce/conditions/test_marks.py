"""Texts split at marks of several characters: native, and as the evaluator decides, on texts that are made to
be split in two ways."""

from __future__ import annotations

import pytest
from lowered import allowing, compile_policy, judge, judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
h := http.headers["x-t"]
"""
MARKS = ("://", "/ns/", "::")
IDIOMS = (
    *(
        asked.replace("MARK", f'"{mark}"').replace("TEXT", text)
        for text in ("h", "claims.t", "http.path")
        for mark in MARKS
        for asked in (
            'split(TEXT, MARK)[1] == "a"',
            'split(TEXT, MARK)[0] != ":"',
            'split(split(TEXT, MARK)[1], "/")[0] in {"a", "b", ":"}',
            "parts := split(TEXT, MARK); parts[count(parts) - 1] in {`a`, `:`, ``}",
            "parts := split(TEXT, MARK); not startswith(parts[count(parts) - 1], `a`)",
            'split(TEXT, MARK)[1] == http.headers["x-u"]',
            '[one, other] := split(TEXT, MARK); one == "a"; startswith(other, "b")',
            "count(split(TEXT, MARK)) == 2",
            "count(split(TEXT, MARK)) > 1",
            "count(split(TEXT, MARK)) <= 2",
            'split(TEXT, MARK) == ["a", "b"]',
            '"a" in split(TEXT, MARK)',
            'not ":" in split(TEXT, MARK)',
            'some piece in split(TEXT, MARK); startswith(piece, "b")',
            'some piece in split(TEXT, MARK); endswith(piece, "x")',
            'every piece in split(TEXT, MARK) { piece in {"a", "b", ":", ":a"} }',
            "regex.match(`^[a-z:/]+$`, split(TEXT, MARK)[1])",
        )
    ),
    'lower(split(h, "://")[1]) == "a"',
    '[_, rest] := split(h, "/ns/"); [ns, account] := split(rest, "/sa/"); ns in {"a", "b"}; account == "x"',
    'some piece in split(h, "://"); piece == claims.t',
)
TEXTS = (
    *("", "a", ":", "::", ":::", "::::", ":::a", "a:::", "a::b", "a:::b", "b::a::a", "b:::a", "://", "a://b"),
    *(
        "://://",
        "a://://a",
        "a:://b",
        "a://a/x",
        "a://b/://",
        "/ns/",
        "/ns/ns/",
        "/ns//ns/",
        "a/ns/b",
        "x/ns/a/ns/ns/",
    ),
    *(
        "/ns/a/sa/x",
        "q/ns/b/sa/x/sa/y",
        "a/ns/ns/a",
        "A://A",
        "a://A",
        "b/ns/a/x",
        "x::b:",
        "a://b\u00fc",
        "a::\tb",
    ),
    "a::" * 900,
    "://" * 900 + "a",
)


def _asked() -> list[Request]:
    found = []
    for text in TEXTS:
        found.append(Request("GET", "/", (("x-t", text), ("x-u", "a"))))
        found.append(Request("GET", "/", (("x-t", "a://b"), ("x-u", "b")), Token("corp", {"t": text})))
        found.append(Request("GET", f"/{text}".replace("\t", ""), (("x-u", "b"),)))
    found += [Request("GET", "/", (("x-t", text),)) for text in ("a://\udcff", "\udcff::a", "a/ns/\udcc3")]
    found += [Request("GET", "/x::a?\udcff", (("x-u", "a"),)), Request("GET", "/x::a")]
    found += [
        Request("GET", "/", (("x-u", "a"),), Token("corp", {"t": t})) for t in (7, None, ["a"], {"a": 1})
    ]
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(3))
def test_what_is_split_at_marks_is_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int
) -> None:
    subjects = allowing(IDIOMS[part::3], providers, issuers, head=HEAD)
    judge_natively(bed, subjects, _asked(), residual=0.2)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_tables_of_any_size_are_looked_up_by_a_piece(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Of more constants than an expression that Envoy calculates takes."""
    many = {name: ["GET"] for name in ("a", "b", "", "x", *(f"n{number}" for number in range(700)))}
    subjects = []
    for text in ("h", "claims.t"):
        for asked in (
            "split(TEXT, `://`)[1] in object.keys(data.many)",
            "http.method in data.many[split(split(TEXT, `/ns/`)[1], `/`)[0]]",
            "not data.many[split(split(TEXT, `://`)[1], `/`)[0]]",
            "parts := split(TEXT, `::`); data.many[parts[count(parts) - 1]]",
        ):
            policy = rego.compile(
                {"p.rego": f"{HEAD}\nallow if {{ {asked.replace('TEXT', text)} }}"}, {"many": many}
            )
            subjects.append(subject_of(policy, providers, issuers))
    judge_natively(bed, subjects, _asked(), residual=0.2)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_a_parameter_is_no_text_with_the_next_one(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Where what stands between parameters is the mark, or marks may overlap."""
    subjects = []
    for mark in ("&", "&a", "::", "a"):
        for asked in (
            "some x in split(q, M); x in {`a`, `b`}",
            "every x in split(q, M) { not x in {`a`, `b`} }",
        ):
            policy = rego.compile(
                {
                    "p.rego": f"package p\nq := input.parsed_query.q[0]\nallow if {{ {asked} }}".replace(
                        "M", f"`{mark}`"
                    )
                }
            )
            subjects.append(subject_of(policy, providers, issuers))
    targets = ("q=x&a", "q=a&x", "q=a", "q=x::b&a", "q=x&a=1&b", "q=x&c::a", "q=b&a")
    judge(bed, subjects, [Request("GET", f"/?{target}") for target in targets], Tally())


def test_a_very_long_mark_is_the_engines() -> None:
    """Compiling one of thousands of characters ended in a RecursionError, after half a minute."""
    for asked in ("split(h, M)[1] in {`a`, `b`}", "`a` in split(h, M)", "count(split(h, M)) == 2"):
        rule = asked.replace("M", f'"{"ab-/" * 1250}"')
        policy = rego.compile({"p.rego": f"{HEAD}\nallow if {{ {rule} }}"})
        (account,) = compile_policy(policy, "p.allow", ()).coverage
        assert not account.native
