"""Patterns that a token or a body brings: native for those that are mostly written, and as the evaluator
decides for all."""

from __future__ import annotations

import json

import pytest
import re2
from hypothesis import event, example, given
from hypothesis import strategies as st
from lowered import allowing, judge_natively

from palisade.enforce.envoy.conditions import wildcards
from palisade.enforce.envoy.conditions.wildcards import _ways
from palisade.enforce.envoy.matchers import cel
from palisade.explain.sidecar.cel import holds
from palisade.explain.sidecar.request import Sight
from palisade.policy.providers import Provider
from palisade.rego.builtins.globs import matcher
from palisade.rego.errors import BuiltinError
from palisade.testing.equivalence import Bed, Issuers, Request, Token

NOTHING = Sight({}, {}, {}, "", 0)
_LETTERS = st.sampled_from((*"ab/:.-+~^|!,@ ", "*", "*", "**", "ab", "%2F", "?", "[a]", "{a,b}", "\\", "\n"))
_globs = st.lists(_LETTERS, max_size=6).map("".join)
_texts = st.text("ab/:.-+\n", max_size=7)


def _is_taken(glob: str, marks: str) -> bool:
    also = wildcards._ROWS if marks else wildcards._WITHOUT_MARKS
    kinds = [*wildcards._GLOBS, *([also] if len(glob) <= wildcards._LONGEST or not marks else [])]
    return any(re2.fullmatch(each, glob) for each in kinds)


@example("a**a", "/", "a")
@example("*:*", ":", "a:b")
@example("*.a", "./", "b.a")
@example("a*a", "", "a")
@example("*", "/", "")
@example("a*/b", "/", "a/b")
@given(_globs, st.sampled_from(("/", ":", "", ".", "/.", ":/")), _texts)
def test_a_glob_is_taken_apart_into_what_it_matches(glob: str, delimiters: str, text: str) -> None:
    """Of those that are left to Envoy."""
    marks = wildcards._marks([*delimiters] if delimiters else None)
    assert marks is not None
    if not _is_taken(glob, marks):
        return
    event("taken")
    wanted = matcher(glob, delimiters)
    for each in (text, glob, glob.replace("*", text), glob.replace("*", ""), f"{glob.rstrip('*')}{text}"):
        ways = _ways(cel.text(glob), cel.text(each), marks)
        assert ways is not None
        assert holds(cel.disjunction(*ways), NOTHING) == wanted(each), each


@given(_globs)
def test_a_glob_that_is_taken_is_none_that_opa_refuses(glob: str) -> None:
    if _is_taken(glob, "\\x{2f}") or _is_taken(glob, ""):
        try:
            matcher(glob, "/")
        except BuiltinError as error:
            raise AssertionError(glob) from error


@pytest.mark.parametrize("marks", ["\\x{2f}", "\\x{2e}\\x{2f}\\x{3a}"])
def test_what_is_put_into_a_pattern_is_small_enough(marks: str) -> None:
    """Envoy would take a pattern that is too large for one that is not found."""
    most, other = wildcards._LONGEST, f"[^{marks}]*"
    for first in range(most - 1):
        for second in range(most - 1 - first):
            inner = "k" * (most - 2 - first - second)
            assert cel.is_small(f"(?s)^{'k' * first}{other}{inner}{other}{'k' * second}$")
    for part in (".+", "[^/]+"):
        rest = most - 3 * len(part)
        for first in range(rest + 1):
            assert cel.is_small("k" * first + part * 3 + "k" * (rest - first))


HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
GLOBS = (
    *(
        f"some p in claims.paths; glob.match(p, {marks}, {text})"
        for marks in ('["/"]', "null", "[]", '["/", "."]')
        for text in ("http.path", "claims.text", 'http.headers["x-t"]')
    ),
    'every p in claims.paths { not glob.match(p, ["/"], http.path) }',
    'glob.match(claims.paths[0], ["/"], http.path)',
    'not glob.match(claims.paths[0], ["/"], http.path)',
    'glob.match(claims.one, ["/"], http.path)',
    'not glob.match(claims.one, ["/"], claims.text)',
    "glob.match(claims.one, [], claims.text)",
    'glob.match(claims.one, ["/"], sprintf("/%s", [input.parsed_path[0]]))',
    "xs := [input.parsed_path[0], lower(http.method)]; some p in claims.paths; "
    "glob.match(p, [`:`], sprintf(`%s:%s`, xs))",
    'some p in claims.rows; glob.match(p.path, ["/"], http.path); p.method == http.method',
    'some p in input.parsed_body.paths; glob.match(p, ["/"], http.path)',
    'glob.match(input.parsed_body.one, ["/"], claims.text)',
)
PATTERNS = (
    "some p in claims.paths; regex.match(p, http.path)",
    "some p in claims.paths; not regex.match(p, claims.text)",
    "regex.match(claims.one, http.path)",
    "not regex.match(claims.one, claims.text)",
    "some p in claims.rows; regex.match(p.path, http.path); p.method == http.method",
    'some p in claims.paths; regex.match(sprintf("^/%s/.*$", [p]), http.path)',
    'some p in claims.paths; glob.match(sprintf("/%s/*", [p]), ["/"], http.path)',
    'every p in claims.paths { not regex.match(sprintf("^/%s$", [p]), http.path) }',
)
ONES = (
    *(
        "/a/b",
        "/a/*",
        "/a/**",
        "*",
        "**",
        "/*/b",
        "/**/b",
        "*/b",
        "**/b",
        "/a*b",
        "/a/b*",
        "*b",
        "/*/*",
        "/**b",
    ),
    *("a", "b", "a:*", "a:get", "*:get", "*:*", "a.b", "a.*", "*.b", "/a/*/", "", " ", "a b"),
    *("/a/?", "/[a]/b", "/{a,b}/b", "/a/\\b", "/a/***", "/*/*/*", "/a/\u00e9", "/\u00e9*", "\u00e9**"),
    *(
        "^/a/.*$",
        "^/a/[^/]+$",
        "^/a",
        "b$",
        "/a/.",
        "...",
        ".*.*.*.*",
        "(",
        "a|b",
        "^/a/b+$",
        "\\d",
        "[^/]*",
        "^$",
    ),
    *("/" + "a" * 60 + "/*", "/" + "a" * 60 + "*/b", "a" * 300, ".*" + "a" * 60),
    *(7, 1.0, -0.0, None, True, ["/a/*"], {"a": "/a/*"}),
)
PATHS = (
    *(
        "/a/b",
        "/a/",
        "/a",
        "/",
        "/a/b/c",
        "/b/b",
        "/a/x/b",
        "/ab",
        "/a/bb",
        "/a?x=/b",
        "/a/b?x=y.z",
        "/a%20b",
    ),
    *("/a/%C3%A9", "/\udcc3\udca9", "/a//b", "/" + "a" * 60 + "/b", "/" + "a" * 60 + "x/b", "/" + "a" * 5000),
)
TEXTS = ("a", "", "/a/b", "a.b", "\u00e9", "/a/\u00e9", "b/a\n/b", "a:get")


def _asked() -> list[Request]:
    found = []
    for at, one in enumerate(ONES):
        for place, path in enumerate(PATHS):
            text = TEXTS[(at + place) % len(TEXTS)]
            headers = (("x-t", text.replace("\n", "").strip()), ("content-type", "application/json"))
            rows = [{"path": one, "method": ("GET", "PUT", 7)[place % 3]}, {"path": "/b/*", "method": "GET"}]
            paths = ([one], ["/z/*", one], [one, 3], [one, "/b/?"], one, [])[(at + place) % 6]
            found.append(
                Request(
                    ("GET", "PUT")[place % 2],
                    path,
                    headers[place % 3 == 0 :],
                    Token("corp", {"paths": paths, "one": one, "rows": rows, "text": text}),
                    json.dumps({"paths": paths, "one": one}) if place % 2 else "",
                )
            )
    found += [Request("GET", "/a/b"), Request("GET", "/a/b", token=Token("corp", {}))]
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("idioms", [GLOBS, PATTERNS], ids=("globs", "patterns"))
def test_patterns_of_tokens_are_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, idioms: tuple[str, ...]
) -> None:
    """Also where they are no strings, or malformed, and where nothing is to be matched."""
    judge_natively(bed, allowing(idioms, providers, issuers, head=HEAD), _asked(), residual=0.7)
