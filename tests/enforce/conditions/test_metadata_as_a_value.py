"""What Envoy's JWT filter leaves as a whole, where a policy names it before it looks into it."""

from __future__ import annotations

from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
left := input.attributes.metadataContext.filterMetadata
md := left["envoy.filters.http.jwt_authn"]
claims := object.get(md, "corp", {})
"""
RULES = (
    'not input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"]',
    "md",
    "not md",
    "not left",
    "not md.corp",
    "md; not md.partner",
    'md.corp.sub == "alice"',
    'not md.corp.sub == "alice"',
    "md.nobody",
    "is_object(md)",
    "not is_string(md)",
    'md == "corp"',
    'md != "corp"',
    'claims.sub == "alice"',
    "claims == {}",
)
REQUESTS = (
    Request(),
    Request(headers=(("authorization", "Bearer x.y.z"),)),
    *(
        Request(target=f"/{path}", token=Token(provider, own))
        for provider in ("corp", "partner")
        for path in ("corp",)
        for own in ({}, {"sub": "alice"}, {"sub": ["alice"]}, {"sub": "ü"})
    ),
)


def test_it_is_there_where_a_token_was_verified(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers
) -> None:
    """All requests of such a policy were the engine's, which is told all that is left there."""
    known = {each.name for each in providers}
    asked = [each for each in REQUESTS if each.token is None or each.token.provider in known]
    judge_natively(bed, allowing(RULES, providers, issuers, head=HEAD), asked, residual=0.05)
