"""Texts of several values of a request, `$"/{tenant}/{sub}"`, are compared in the sidecar as Rego does."""

from __future__ import annotations

import pytest
from lowered import judge, subject_of

from palisade import rego
from palisade.enforce.envoy.compile import NATIVE
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
segment := input.parsed_path[0]
a := http.headers["x-a"]
b := http.headers["x-b"]
"""
IDIOMS = (
    'http.path == $"/{claims.org}/{claims.sub}"',
    'not http.path == $"/{claims.org}/{claims.sub}"',
    'http.path == sprintf("/%s/%v", [claims.org, claims.sub])',
    'http.path != sprintf("/%s/%s", [claims.org, claims.sub])',
    'http.path == concat("/", ["", claims.org, claims.sub])',
    'not http.path == concat("/", ["", claims.org, claims.sub])',
    'startswith(http.path, concat("/", ["", claims.org, claims.sub]))',
    'not startswith(http.path, $"/{claims.org}/{claims.sub}")',
    'endswith(http.path, sprintf("%s1%s", [claims.org, claims.sub]))',
    'contains(http.path, $"{claims.org}{claims.sub}")',
    'a == $"{b}{b}"',
    'a == $"{b}-{segment}-{b}"',
    'a != sprintf("%s1%s2%s3%s", [b, segment, b, http.method])',
    'concat("", [a, "\\"", b]) == concat("\\"", [b, a])',
    '$"{a}:{b}" in claims.may',
    'not sprintf("%s:%s", [a, segment]) in claims.may',
    'every each in claims.may { each != concat("", [a, ":", b]) }',
    "segment in claims.may",
    'not trim_prefix(b, "x") in claims.may',
    'upper(b) == "B"; $"{a}%{b}" == claims.sub',
    'split($"{a}/{b}", "/")[1] == claims.sub',
    'trim_suffix(concat("/", [a, b]), "/") == claims.sub',
)
OF_ONE = (
    'sprintf("read:%s", [segment]) in {"read:a", "read:1", "write:b"}',
    'not sprintf("read:%s", [segment]) == "read:a"',
    'concat(":", ["x", a]) in {"x:a", "y:a"}',
    'not concat("", ["x", b, "y"]) in {"xay", "x1y", "xy", "x"}',
    '$"<{http.method}>" == "<GET>"',
    'sprintf("%v%%", [lower(a)]) == "a%"',
    'concat("", ["x", claims.sub]) != "xa"',
    'concat("-", [claims.sub, claims.sub, "x"]) == "a-a-x"',
)
"""Compared with constants, of which what stands around the value is taken off."""
MAY_BE_NO_TEXT = (
    'sprintf("%s!", [claims.sub]) in {"a!", "7!", "true!"}',
    'sprintf("%v", [claims.sub]) in {"a", "7", "[\\"a\\"]"}',
    'not sprintf("%s!", [claims.sub]) == "a!"',
    '$"{claims.sub}" in {"<undefined>", "7", "a"}',
)
VALUES = ("a", "", "1", "\\1", "a\\", "a/b", "0", "ü", "$1", "%s", '"', " a", "<undefined>", "a\nb")


def _asked() -> list[Request]:
    may = ["a:b", "a:a", ":", "\\1:a", "x", "a", "ü:1", 7]
    claims = [
        *({"org": org, "sub": sub, "may": may} for org in VALUES for sub in ("a", "1", "\\1", "ü", "")),
        *({"org": "a", "sub": sub, "may": ["x"] * 12 + ["a:b"]} for sub in (7, None, ["a"], {}, True, "a%b")),
        {"org": 7, "sub": "a", "may": "a:b"},
        {"sub": "a", "may": {"k": "a:b"}},
        {"org": "a"},
    ]
    plain = [value for value in VALUES if value.isascii() and value.strip() == value and "\n" not in value]
    headers = [
        (),
        (("x-a", "a"),),
        *((("x-a", one), ("x-b", other)) for one in plain for other in ("a", "1", "b")),
        *((("x-a", other + other), ("x-b", other)) for other in plain),
        *((("x-a", f"{other}-a-{other}"), ("x-b", other)) for other in plain),
        (("x-a", '"'), ("x-b", '""')),
        (("x-a", "b\u00fc"), ("x-b", "a")),
        (("x-a", "a1a2a3GET"), ("x-b", "a")),
    ]
    pairs = (("a%b", "a", "b"), ("a", "a", ""))
    paths = (
        *("/a/a", "/a", "/1/1", "//", "/a/b/a", "/%5C1/a", "/a%5C/a", "/$1/a", "/a/a/x", "/a1a", "/aa"),
        "/b%61",
    )
    return [
        Request("GET", paths[(at + other) % len(paths)], headers[(at * 3 + other) % len(headers)], token)
        for at, token in enumerate([*(Token("corp", each) for each in claims), None])
        for other in range(0, len(headers), 11)
    ] + [
        *(Request("GET", path, (), Token("corp", each)) for path in paths for each in claims[:45:5]),
        *(Request("GET", "/", (("x-a", a), ("x-b", b)), Token("corp", {"sub": sub})) for sub, a, b in pairs),
    ]


@pytest.mark.parametrize("providers", [1], indirect=True)
def test_texts_of_several_values(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Backslashes are what the expressions themselves read: no text with one is taken for another."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ true; {idiom} }}"}), providers, issuers)
        for idiom in (*IDIOMS, *OF_ONE, *MAY_BE_NO_TEXT)
    ]
    judge(bed, subjects, _asked(), tally := Tally())
    engine = [
        each.name.splitlines()[-1]
        for each in subjects
        if not all(rule.native or rule.conditional for rule in each.enforcement.coverage)
    ]
    assert engine == []
    assert tally.native > 0.6 * tally.pairs, tally


@pytest.mark.parametrize("idiom", OF_ONE)
@pytest.mark.parametrize("providers", [1], indirect=True)
def test_no_expression_makes_what_is_compared_with_constants(
    idiom: str, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """One that makes a text compiles patterns for each request, which takes longer than all other rules."""
    policy = rego.compile({"p.rego": f"{HEAD}allow if {{ true; {idiom} }}"})
    native = subject_of(policy, providers, issuers).slot(NATIVE).value
    assert b"re.extract" not in native
    assert b"re.capture" not in native
