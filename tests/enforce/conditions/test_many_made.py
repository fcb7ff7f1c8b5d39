"""Many rules that compare the path with texts made of a claim: each decides as it does alone."""

from __future__ import annotations

import pytest
from effort import some
from lowered import judge_natively, subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
claims := input.identity.claims
"""
COUNT = 80
TESTS = {
    "whole": 'http.path == sprintf("/users/%s/k{n}", [claims.sub])',
    "of services": 'http.path == sprintf("/s{n}/users/%s", [claims.sub])',
    "joined": 'http.path == concat("/", ["", claims.sub, "k{n}"])',
    "beginnings": 'startswith(http.path, sprintf("/users/%s/k{n}/", [claims.sub]))',
    "ends": 'endswith(http.path, sprintf("/%s/k{n}", [claims.sub]))',
    "patterns": 'regex.match(sprintf("^/users/%s/k{n}(/.*)?$", [claims.sub]), http.path)',
    "globs": 'glob.match(sprintf("/users/%s/k{n}/*", [claims.sub]), ["/"], http.path)',
    "without a slash": 'trim_suffix(http.path, "/") == "/k{n}"; claims.sub',
    "headers": 'http.headers["x-owner"] == sprintf("%s:k{n}", [claims.sub])',
    "permissions": 'glob.match("GET:k{n}*", [":"], concat(":", [http.method, input.parsed_path[0]]))',
    "permissions found": 'regex.match("^GET:k{n}", concat(":", [http.method, input.parsed_path[0]]))',
    "claims": 'claims.sub == sprintf("%s/k{n}", [trim_prefix(http.headers["x-owner"], "bob:k")])',
    "segments": 'input.parsed_path[1] == claims.sub; input.parsed_path[2] == "k{n}"',
    "pieces": 'split(http.headers["x-owner"], ":")[1] == "k{n}"; startswith(http.path, $"/{claims.sub}/")',
}
TOKENS = (
    None,
    *(Token("corp", {"sub": sub}) for sub in ("bob", "b%62", "", "a/k7", "ü", ".*", 7, None, ["bob"])),
)
PATHS = (
    "/users/bob/k7",
    "/users/bob/k7/",
    "/users/bob/k7/x",
    "/users/bob/k7?x",
    "/users/b%6fb/k7",
    "/users//k7",
    "/users/bob/k77",
    "/users/bob/k80",
    "/users/a/k7/k7",
    "/users/.*/k7/x",
    "/users/7/k7",
    "/users/ü/k7",
    "/s7/users/bob",
    "/s7/users/",
    "/s70/users/bob",
    "/s7/users/bob/",
    "/bob/k7",
    "//k7",
    "/a/k7/k7",
    "/k7",
    "/k7/",
    "/k7//",
    "/K7",
    "/",
    "/users/bob",
    "/x/bob/k7",
    "/users/bob/k7/x/y",
)
OWNERS = ("", "bob:k7", ":k7", "bob:k7:x", "a/k7:k79", "bob:k80", "bob,bob:k7")
ASKED = [
    Request("GET", path, headers=(("x-owner", OWNERS[(at + more) % len(OWNERS)]),), token=token)
    for at, path in enumerate(PATHS)
    for more, token in enumerate(TOKENS)
]


ASKED += [
    Request(method, target, token=TOKENS[1], http2=http2)
    for method in ("GET:k7", "GET:", "GET/k7", "get", "G@T")
    for target in ("/x", "/k7")
    for http2 in (False, True)
]


def _policy(test: str, *, denied: bool) -> str:
    rules = (f"owned if {{ {test.replace('{n}', str(n))} }}" for n in range(COUNT))
    return "\n".join((HEAD, *rules, "allow if not owned" if denied else "allow if owned", ""))


@pytest.mark.long
@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
def test_many_decide_as_each_does(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """Asked first for what their texts have in common, and apart, none may be missed, nor hold too much."""
    subjects = [
        subject_of(rego.compile({"p.rego": _policy(test, denied=denied)}), providers, issuers)
        for test in some([*TESTS.values()], 4)
        for denied in (False, True)
    ]
    judge_natively(bed, subjects, ASKED, residual=0.2)
