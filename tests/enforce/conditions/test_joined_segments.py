"""Segments of the path joined by slashes are compared with other texts in the sidecar, and exactly."""

from __future__ import annotations

from itertools import product
from urllib.parse import quote

import pytest
from effort import some
from lowered import judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
u := http.headers["x-u"]
"""
SLICES = (
    "path",
    "array.slice(path, 0, 2)",
    "array.slice(path, 1, 3)",
    "array.slice(path, 1, count(path))",
    "array.slice(path, 2, count(path))",
    "array.slice(path, 0, count(path) - 1)",
    "array.slice(path, 1, count(path) - 2)",
    "[p | some i, p in path; i < 2]",
    "[p | some i, p in path; i > 0; i <= 2]",
)
TESTS = (
    "concat(`/`, {}) == u",
    "not concat(`/`, {}) == claims.t",
    "startswith(concat(`/`, {}), claims.t)",
    "some t in claims.list; t == concat(`/`, {})",
    "startswith(concat(`/`, {}), `a/`)",
    "sprintf(`<%s>`, [concat(`/`, {})]) == claims.t",
)
TARGETS = (
    *("/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/b/c/", "/a/b/c/d", "/a/b/c?d/e", "/a?b/c", "/a/b/?x"),
    *("/a/%62", "/a/b%2Fc", "/a/b/c/d/e/f", "/a//b", "/a;b/c", "/a/b?%2F", "/a.b/c-d/e", "/x/a/b/c"),
)
TEXTS = ("", "a", "a/", "b", "b/c", "a/b", "a/b/", "a/b/c", "/", "b/", "<>", "<b>", "c/d", "x/a/b", "\u00e9")


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(2))
def test_joined_segments(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int) -> None:
    """Of paths with as many segments, with fewer and with none behind the last slash."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {test.format(cut)} }}"}), providers, issuers)
        for cut in SLICES
        for test in TESTS[part::2]
    ]
    asked = [
        Request("GET", target, (("x-u", text),), Token("corp", {"t": text, "list": ["x", text]}))
        for target in TARGETS
        for text in TEXTS
    ]
    asked += [Request("GET", "/a/b", (), Token("corp", {"t": t, "list": t})) for t in (7, None, ["b"])]
    judge_natively(bed, subjects, asked, residual=0.3)


WHOLE = ("concat(`/`, array.concat([``], path))", "sprintf(`/%s`, [concat(`/`, path)])")
AS_A_PATH = (
    "{} == u",
    "{} in {{`/a/b`, `/a/b/`, `/`, `/a b`, `/a/%62`, `a`}}",
    "not {} == `/a/b`",
    "startswith({}, `/a/b`)",
    "not startswith({}, `a`)",
    "endswith({}, `/c`)",
    "contains({}, `/b/`)",
    "glob.match(`/a/*/c`, [`/`], {})",
    "glob.match(`/**/b`, [`/`], {})",
    "regex.match(`^/a(/[a-z]+)+$`, {})",
    "not regex.match(`b/?$`, {})",
    "some p in claims.list; glob.match(p, [`/`], {})",
    "{{`/a/b`: `x`, `/a`: `y`}}[{}] in claims.list",
)


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_the_path_of_its_segments(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """A slash before all of them is the path without its query: of paths with escapes the engine says."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {test.format(way)} }}"}), providers, issuers)
        for way, test in some([*product(WHOLE, AS_A_PATH)])
    ]
    asked = [
        Request("GET", target, (("x-u", text),), Token("corp", {"list": ["x", pattern]}))
        for target in (*TARGETS, "/a%20b", "//a/b", "/a/%2562", "/A/B", "/a/b/c/", "/%C3%A9")
        for text, pattern in (("/a/b", "/a/*"), ("a/b", "/**"), ("/", "y"), ("/a/b/", "/a/b"))
    ]
    judge_natively(bed, subjects, asked, residual=0.4)


PIECES = (
    *((".", "path[0]"), (".", 'split(http.path, "/")[1]'), (".", "u"), (".", "claims.t")),
    *((".", "input.parsed_query.q[0]"), (":", 'trim_prefix(u, "x")')),
)
CUTS = (
    "array.slice(xs, 0, count(xs) - 1)",
    "array.slice(xs, 1, count(xs))",
    "array.slice(xs, 1, count(xs) - 2)",
    "array.slice(xs, 0, 2)",
    "array.slice(xs, 1, 3)",
    "array.slice(xs, 2, 3)",
)
COMPARED = (
    'joined == http.headers["x-v"]',
    "not joined == claims.other",
    "joined in {`a.b`, `a`, ``, `b:c`}",
    "not joined in {`a.b`, `b`}",
    "startswith(joined, claims.other)",
    'sprintf("%s/%s", [joined, split(http.path, "/")[1]]) == claims.other',
)


@pytest.mark.long
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(2))
def test_joined_pieces(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int) -> None:
    """Of texts with as many pieces, with fewer and with empty ones."""
    subjects = []
    for at, (mark, text) in enumerate(PIECES):
        for number, cut in enumerate(CUTS):
            for asked in COMPARED[(at + number + part) % 2 :: 2]:
                body = f'xs := split({text}, "{mark}"); joined := concat("{mark}", {cut}); {asked}'
                subjects.append(
                    subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {body} }}"}), providers, issuers)
                )
    texts = (
        "a.b.c",
        "a.b",
        "a",
        "",
        ".",
        "a..b",
        ".a.b",
        "x.b:c:d",
        "a.b.c.d.e",
        "\u00e9.b",
        "a.\u00e9.c",
        "a%2Eb.c",
    )
    requests = [
        Request(
            "GET",
            f"/{quote(text, safe='%.:')}/m?q={quote(text, safe='%.:')}",
            (("x-u", text), ("x-v", other)),
            Token("corp", {"t": text, "other": other}),
        )
        for text in texts
        for other in ("a.b", "b.c", "", "a", "b:c")
    ]
    requests += [Request("GET", "/a.b", (), Token("corp", {"t": t, "other": t})) for t in (7, None, ["a.b"])]
    requests.append(Request("GET", "/"))
    judge_natively(bed, subjects, requests, residual=0.4)
