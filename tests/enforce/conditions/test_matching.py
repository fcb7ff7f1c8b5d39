"""What is asked of one of several prefixes or networks is native, and as the evaluator decides."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
path := split(http.path, "?")[0]
source := input.attributes.source.address.socketAddress.address
zones := {name | some name, cidrs in data.zones; count(net.cidr_contains_matches(cidrs, source)) > 0}
"""
DATA = {
    "open": ["/a", "/b/"],
    "odd": ["/a", 7],
    "none": [],
    "limits": {"all": {"most": 1}, "/a": {"most": 2}, "/": {"least": 0}},
    "zones": {"home": ["127.0.0.0/8", "10.0.0.0/8"], "other": ["192.0.2.0/24"]},
}
IDIOMS = (
    "strings.any_prefix_match(path, data.open)",
    'strings.any_prefix_match(http.path, {"/a", "/b?"})',
    "not strings.any_prefix_match(lower(path), data.open)",
    "strings.any_prefix_match(path, data.odd)",
    "not strings.any_prefix_match(path, data.odd)",
    "not strings.any_prefix_match(path, data.none)",
    'strings.any_suffix_match(trim_suffix(path, "/"), {".css", "b"})',
    "strings.any_suffix_match(lower(claims.t), [`@a.example`, `b`])",
    'strings.count(http.path, "/") == 1',
    'not strings.count(claims.t, "/") > 1',
    'strings.count(path, "/") < 3',
    "object.union_n([data.limits.all, object.get(data.limits, claims.t, {})]).most > 1",
    "strings.any_prefix_match(path, claims.t)",
    "strings.any_prefix_match(http.path, claims.t)",
    "not strings.any_prefix_match(http.path, claims.t)",
    "strings.any_prefix_match(path, claims.t) == false",
    "not strings.any_suffix_match(path, claims.t)",
    'strings.any_prefix_match(path, [p | some p in claims.t; p != "/"])',
    'strings.any_prefix_match(path, [sprintf("/%s/", [t]) | some t in claims.t])',
    'not strings.any_prefix_match(path, [concat("", ["/", t]) | some t in claims.t])',
    'count(net.cidr_contains_matches(["10.0.0.0/8", "127.0.0.0/8"], source)) > 0',
    'net.cidr_contains_matches(["10.0.0.0/8", "192.0.2.0/24"], source) == set()',
    'some [at, _] in net.cidr_contains_matches(["10.0.0.0/8", "127.0.0.0/8"], source); at == 1',
    'net.cidr_contains_matches({"a": "127.0.0.1/32"}, source)[["a", source]]',
    '"home" in zones; not "other" in zones',
    'count(net.cidr_contains_matches(["10.0.0.0/8"], trim_space(split(http.headers["x-f"], ",")[0]))) > 0',
    'not net.cidr_contains_matches(["10.0.0.0/8"], http.headers["x-f"]) == set()',
)
CLAIMS = (
    *("/a", "/", "", "/b/c", "me@A.example", 7, None, True, [], ["/a"], ["/", "/zz"], ["", 1], [1], ["/zz"]),
    *([["/a"]], {"a": "/a"}, {}, ["a", "b"], "10.1.2.3", ["/a"] * 9),
)
PATHS = ("/", "/a", "/a?b=/b", "/b", "/b/c.css", "/B/", "/ab/", "/zz/b/", "/b?/", "/%61/x")
ADDRESSES = ("10.1.2.3", "10.0.0.0/9", "11.0.0.1", " 10.2.3.4", "10.2.3.4 , x", "1.2", "::1", "")


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_one_of_several_is_asked_natively(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """Also of prefixes that are no texts, for which the builtins have no answer, and of none at all."""
    asked = [Request("GET", path) for path in PATHS]
    asked += [Request("GET", "/a", (("x-f", each),)) for each in ADDRESSES]
    for at, claim in enumerate(CLAIMS):
        for path in PATHS[at % 3 :: 3]:
            asked.append(Request("GET", path, (("x-f", ADDRESSES[at % 8]),), Token("corp", {"t": claim})))
    judge_natively(bed, allowing(IDIOMS, providers, issuers, head=HEAD, data=DATA), asked, residual=0.1)
