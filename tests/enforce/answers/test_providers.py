"""Answers have the claims of whichever provider has verified the token."""

from __future__ import annotations

import pytest
from lowered import subject_of

from palisade import rego
from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare
from palisade.testing.equivalence.telling import lines, summary

POLICY = """package p

import input.attributes.request.http

claims := input.identity.claims

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {
		"x-user": claims.sub,
		"x-who": sprintf("%s by %s", [claims.sub, input.identity.provider]),
		"x-claims": base64.encode(json.marshal(object.remove(claims, ["aud", "exp", "iat", "iss", "nbf"]))),
		"x-list": json.marshal({"list": claims.list}),
	},
	"dynamic_metadata": {"claims": {"list": claims.list}},
} if http.path == "/all"

allow := {
	"allowed": true,
	"headers": {"x-role": concat(",", [upper(role) | some role in claims.list; startswith(role, "a")])},
} if { http.path == "/loop"; claims.sub }

allow := {"allowed": true, "headers": {"x-any": concat(",", [upper(role) | some role in claims.list])}} if {
	http.path == "/any"
}

both contains role if some role in claims.list

both contains role if some role in claims.more.list

allow := {"allowed": true, "headers": {"x-both": concat(",", both), "x-json": json.marshal(both)}} if {
	http.path == "/both"
	claims.sub
}

allow := {"allowed": true, "headers": {"x-one": one}} if {
	http.path == "/one"
	some one in claims.list
	one == http.headers["x-one"]
}

allow := {"allowed": false, "http_status": 403, "body": concat(", ", deny)} if http.path == "/deny"

deny contains sprintf("%s is no admin", [claims.sub]) if not "admin" in claims.list

deny contains "by partner" if input.identity.provider == "partner"

deny contains "no token" if not claims

allow := {"allowed": false, "body": sprintf("hello %s", [object.get(claims, "name", "nobody")])} if {
	http.path == "/name"
}
"""
PATHS = ("/all", "/loop", "/any", "/both", "/one", "/deny", "/name")
PLAIN = (["a", "ab", "b"], ["admin"])
OTHERS = ([], "admin", None, {"a": "b"}, [7, None], ["ü"], [""], 1.5, ["a"] * 12)


@pytest.mark.parametrize("providers", [1, 2], ids=("one", "two"), indirect=True)
def test_claims_of_each_provider(bed: Bed, providers: tuple[Provider, ...], issuers: Issuers) -> None:
    """One by one, all together, in loops and in messages; without a token, too."""
    subject = subject_of(rego.compile({"p.rego": POLICY}), providers, issuers)
    bed.load(subject)

    def judge(tokens: list[Token | None], tally: Tally) -> Tally:
        headers = (("x-one", "ab"),)
        asked = [Request("GET", path, headers, token) for path in PATHS for token in tokens]
        for difference in compare(bed, subject, asked, tally):
            raise AssertionError("\n".join((summary(difference), *lines(difference))))
        return tally

    def tokens(lists: tuple[object, ...]) -> list[Token | None]:
        every = [{"list": each, "name": "Ann"} for each in lists]
        return [Token(name.name, claims) for name in providers for claims in every]

    assert not judge(tokens(PLAIN), Tally()).residual
    judge([None, *tokens(OTHERS), Token(providers[0].name, {})], Tally())
