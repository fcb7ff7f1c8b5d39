"""Texts that the method and another value make together are compared in the sidecar, as Rego does."""

from __future__ import annotations

import pytest
from lowered import subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare_many
from palisade.testing.equivalence.telling import lines, summary

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
method := lower(http.method)
segment := input.parsed_path[0]
"""
IDIOMS = (
    'sprintf("%s:%s", [method, segment]) in claims.may',
    'not concat(":", [segment, method]) in claims.may',
    'some each in claims.may; each == concat(":", [http.method, http.headers["x-a"]])',
    'some each in claims.may; [segment, method] = split(each, ":")',
    'some each in claims.may; parts := split(each, ":"); parts[1] == method; parts[0] == segment',
    'every each in claims.may { endswith(each, concat("", [":", method])) }',
    'concat("-", [method, claims.sub]) == http.headers["x-a"]',
    'not concat("-", [method, claims.sub]) == http.headers["x-a"]',
    "claims.sub == method",
    "claims.sub != upper(http.method)",
    'http.headers["x-a"] == regex.find_n("[A-Za-z]+", trim_space(method), 1)[0]',
    'http.headers["x-a"] == concat("", [method, "s", "\\u212a"])',
)
OF_THE_ENGINE = (
    'http.headers["x-a"] == regex.find_n("[a-z]+", http.method, 1)[0]',
    'startswith(http.headers["x-a"], $"{method}:{claims.sub}")',
    'claims.map[concat(":", [method, "x"])] == 1',
)
METHODS = ("GET", "POST", "DELETE", "OPTIONS", "get", "PURGE", "TRACE")


def _asked() -> list[Request]:
    may = ["get:a", "a:get", "GET:a", "post:a", "a:post", "a:purge", "purge:a", 7, "delete:", "get"]
    tokens = [
        *(
            Token("corp", {"may": each, "sub": "get", "map": {"get:x": 1}})
            for each in (may, [], ["b:get"], "a")
        ),
        *(Token("corp", {"may": {"k": "get:a"}, "sub": sub}) for sub in ("DELETE", "x", 7, None)),
        Token("corp", {"may": [f"x:{each}" for each in range(12)] + ["get:a"], "sub": "purge"}),
        None,
    ]
    headers = [
        (),
        *((("x-a", value),) for value in ("a", "get-x", "get:get", "delete:DELETE", "get", "gets")),
    ]
    return [
        Request(method, path, headers[(at + other) % len(headers)], token)
        for at, method in enumerate(METHODS)
        for other, token in enumerate(tokens)
        for path in ("/a", "/b%61/x")
    ]


@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_the_method_with_another_value(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of usual methods each is known; others are asked of the engine, and no method is taken for another."""
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ {idiom} }}"}), providers, issuers)
        for idiom in (*IDIOMS, *OF_THE_ENGINE)
    ]
    bed.load(*subjects, reporting=True)
    for difference in compare_many(bed, subjects, _asked(), tally := Tally()):
        raise AssertionError("\n".join((summary(difference), difference.subject.name, *lines(difference))))
    if len(providers) == 1:
        known = (rule for each in subjects[: len(IDIOMS)] for rule in each.enforcement.coverage)
        assert all(rule.native or rule.conditional for rule in known)
    assert tally.native > 0.3 * tally.pairs, tally
