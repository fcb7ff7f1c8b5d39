"""`palisade explain` finds a token in a header where Envoy does."""

from __future__ import annotations

import pytest
from lowered import subject_of

from palisade import rego
from palisade.cli.requests.given import Options, asked
from palisade.cli.requests.interface import Sent
from palisade.policy.providers import Header, InlineKeys, Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

SENT = (
    *("Bearer T", "BearerT", "Bearer  T", "bearer Bearer T", "Basic YQ, Bearer T", "x Bearer T", "Bearer ;T"),
    *("T", "Bearer", "Bearer ;", "Bearer T x", "Bearer T,Bearer T", "Bearer ;;T;", "Bearer x Bearer T"),
)


@pytest.mark.parametrize("prefix", ["Bearer ", "Bearer", ""])
def test_a_token_is_found_where_envoy_finds_it(bed: Bed, issuers: Issuers, prefix: str) -> None:
    provider = Provider(
        name="corp",
        issuer="https://corp.example",
        audiences=("a",),
        keys=InlineKeys('{"keys": []}'),
        tokens=(Header("authorization", prefix),),
    )
    policy = rego.compile({"p.rego": 'package p\n\nallow if input.identity.claims.sub == "x"\n'})
    bed.load(subject_of(policy, (provider,), issuers))
    [issuer] = issuers.of((provider,))
    claims = {"iss": provider.issuer, "aud": "a", "sub": "x", "exp": 4_000_000_000}
    token = issuer.token(Token("corp", claims))
    headers = [(("authorization", value.replace("T", token)),) for value in SENT]
    requests = [Request(target="/", headers=header) for header in headers]
    for request, seen in zip(requests, bed.ask(requests), strict=True):
        assert seen is not None, request
        assert seen.input is not None, request
        told = asked(Sent("GET", "/", request.headers), Options(), (provider,)).document
        assert isinstance(told, dict)
        assert ("identity" in told) == ("identity" in seen.input), request
