"""Entries that are left of an object of the request, and those that it has, are asked for in the sidecar."""

from __future__ import annotations

from itertools import product

import pytest
from lowered import judge, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
IDIOMS = (
    'object.remove(claims.org, ["a", "b"]) == {}',
    'not object.remove(claims.org, {"a"}) == {}',
    'count(object.remove(claims.org, ["a"])) == 1',
    'object.filter(claims.org, ["a", "b"]) == claims.org',
    'claims.org != json.filter(claims.org, ["a"])',
    "not {k: v | some k, v in claims.org; is_string(v)} == claims.org",
    'object.filter(input.parsed_query, ["a"]) == input.parsed_query',
    'object.keys(object.filter(claims.org, ["a", "c"])) == {"a"}',
    'object.filter(claims.org, ["a"]).a == "x"',
    'not object.filter(claims.org, ["a"]).a',
    'object.remove(claims.org, ["a"]).b == http.headers["x-b"]',
    'some k, v in object.remove(claims.org, ["a"]); k == "b"; v == "x"',
    'every v in object.remove(claims.org, ["a"]) { v == "x" }',
    'object.subset(claims.org, {"a": "x"})',
    'not object.subset(claims.org, {"a": "x", "b": null})',
    'object.subset(claims, {"org": {"a": {"b": 1}}})',
    'object.subset(claims, {"org": {}})',
    'object.remove(input.parsed_query, ["a", "b"]) == {}',
    'count(object.remove(http.headers, ["x-a"])) > 3',
    'object.filter(claims.org, ["a", "b"]) == {"a": "x"}',
    'json.filter(claims.org, ["a", "/b"]) != {"a": "x", "b": null}',
    'json.remove(claims.org, ["c"]) == {"a": "x", "b": "x"}',
    'not json.remove(claims.org, ["a"]).b == "x"',
    'not object.remove(claims.org, ["c"]) == {"a": {"b": 1}}',
    'object.get(object.get(input, ["identity", "none"], {}), "a", http.headers["x-b"]) == "x"',
    'object.union({"a": "x"}, {"b": http.headers["x-b"]})[claims.key] == "x"',
)
BY_NAMES = (
    'object.filter({"a": 1, "b": {"c": 2}, "x": 3}, claims.org).a == 1',
    'some v in object.filter({"a": "x", "b": "y", "x": "z"}, claims.org); v == http.headers["x-b"]',
    'count(object.remove({"a": 1, "b": 2, "x": 3}, claims.org)) == 2',
    'not object.filter({"a": 1, "x": 2}, claims.org) == {}',
    'object.filter({"a": ["GET"], "b": ["x"]}, [claims.key, http.headers["x-b"]])[_][_] == http.method',
)
VALUES = ("x", "", 1, None, False, ["x"], {}, {"b": 1}, {"a": "x", "b": "x"})


@pytest.mark.parametrize("providers", [1], indirect=True)
def test_entries_that_are_left(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Of claims of every type, of parameters and of headers."""
    orgs = [
        *VALUES,
        *({"a": value} for value in VALUES),
        *({"a": one, "b": other} for one, other in product(("x", None, {"b": 1, "c": 2}), ("x", None, "y"))),
        {"c": "x"},
        {"a": "x", "b": "x", "c": 1},
        ["a"],
        ["x", "b", "a"],
        [["a"], 1, "b", *map(str, range(9))],
    ]
    tokens = [*(Token("corp", {"org": org, "key": "ab"[at % 2]}) for at, org in enumerate(orgs)), None]
    headers = ((), (("x-b", "x"),), (("x-a", "y"), ("x-b", "y")))
    paths = ("/", "/?a=1", "/?b=1&c=2", "/?a&b=")
    asked = [
        Request("GET", paths[(at + other) % 4], headers[other], token)
        for at, token in enumerate(tokens)
        for other in range(3)
    ]
    subjects = [
        subject_of(rego.compile({"p.rego": f"{HEAD}allow if {{ true; {idiom} }}"}), providers, issuers)
        for idiom in (*IDIOMS, *BY_NAMES)
    ]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.native > 0.8 * tally.pairs, tally
    assert tally.allowed > 0.15 * tally.pairs, tally
