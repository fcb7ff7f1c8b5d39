"""Claims of a provider, joined with constants or as a loop lists them, are told as the engine tells them."""

from __future__ import annotations

from lowered import PROVIDERS, judge, subject_of

from palisade import rego
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token

POLICY = """package p
import input.attributes.request.http
claims := input.identity.claims
allow := {
	"allowed": true,
	"headers": {"x-roles": concat(",", [r | some r in claims.roles])},
	"response_headers_to_add": {"x-org": concat("|", [r | r := claims.org.roles[_]])},
} if http.method == "GET"
allow := {"allowed": false, "http_status": 403, "body": json.marshal({
	"path": concat("/", array.concat([""], input.parsed_path)),
	"roles": concat(",", array.concat(["user"], claims.roles)),
})} if http.method == "PUT"
allow := {
	"allowed": false,
	"body": concat(",", array.concat(claims.roles, ["a", "z"])),
} if http.method == "POST"
"""
ROLES = (
    *(["a"], ["b", "a", "b"], [], [""], ["a", ""], ["a", 7], ["\u00fc"], ["a,b"], ['a"b'], {"k": "a"}),
    *({"b": "x", "a": "y"}, "a", 7, None, [["a"]], ["x" * 200] * 40, True),
)


def test_claims_that_are_joined(bed: Bed, issuers: Issuers) -> None:
    """Arrays of texts natively, without members too; of others the engine tells."""
    subjects = [subject_of(rego.compile({"p.rego": POLICY}), PROVIDERS[:1], issuers)]
    tokens = [Token("corp", {"roles": roles, "org": {"roles": roles}}) for roles in ROLES]
    asked = [
        Request(method, target, (), token)
        for method in ("GET", "PUT", "POST")
        for token in (*tokens, Token("corp", {"sub": "x"}), None)
        for target in ("/", "/a/b", "/a%20b?x")
    ]
    judge(bed, subjects, asked, tally := Tally())
    assert tally.native > 0.4 * tally.pairs, tally
    plain = [each for each in asked if each.token in tokens[:2] and each.target == "/a/b"]
    judge(bed, subjects, plain, tally := Tally())
    assert not tally.residual, tally
