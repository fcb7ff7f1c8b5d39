"""The providers document: what it may say, and that a careless one is refused rather than believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.policy.providers import (
    Cookie,
    Discovery,
    Header,
    InlineKeys,
    Provider,
    ProvidersError,
    Query,
    RemoteKeys,
    read,
)
from palisade.rego.values import Set

KEY = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "one",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
"""A public key of RFC 7517, appendix A.1."""
RSA = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "tUWYX3IWQEZP6aUw78ZURDktwFck49IPZfDEs0VS_Yfn5FmQXsDdM72QY-tNHo4YY4Kk9MiE8gQajoHyJnbro7fm"
    "8YdthzFea0PNi89VCmv0SHeUvYy-A0fvA1gtvyeLEpNTNSlBhDQXr8bxsFVAaRy9O7AechzWbG-vIwVST18",
}


def corp(**changes: Any) -> dict[str, Any]:
    return {"corp": {"issuer": "https://login.example", "audiences": ["orders"], **changes}}


def test_an_issuer_alone_is_discovered_and_its_bearer_tokens_are_read() -> None:
    assert read(corp()) == (
        Provider(
            "corp",
            "https://login.example",
            ("orders",),
            Discovery("https://login.example/.well-known/openid-configuration"),
            (Header("authorization", "Bearer "),),
        ),
    )


def test_keys_come_from_one_of_three_places() -> None:
    def keys(**given: Any) -> object:
        return read(corp(**given))[0].keys

    assert keys(jwks_uri="https://k.example/keys") == RemoteKeys("https://k.example/keys")
    assert keys(discovery_url="http://k.example/oidc") == Discovery("http://k.example/oidc")
    assert keys(jwks={"keys": [KEY]}) == InlineKeys(json.dumps({"keys": [KEY]}, sort_keys=True))


def test_tokens_are_read_from_headers_cookies_and_queries() -> None:
    tokens = [{"header": "X-Token"}, {"header": "Authorization"}, {"cookie": "sid"}, {"query": "t"}]
    [provider] = read(corp(tokens=tokens))
    assert provider.tokens == (
        Header("x-token", ""),
        Header("authorization", "Bearer "),
        Cookie("sid"),
        Query("t"),
    )


def test_tokens_in_headers_can_be_kept_from_the_function() -> None:
    [provider] = read(corp(forward=False, tokens=[{"header": "X-Token"}, {"header": "Authorization"}]))
    assert provider.forward is False


def test_audiences_may_be_a_set() -> None:
    assert read(corp(audiences=Set.of(["b", "a"])))[0].audiences == ("a", "b")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([], "providers: must be an object of providers by name, not of type array"),
        ({"corp": 1}, "providers.corp: must be an object, not of type number"),
        ({"corp": {"audiences": ["a"], "jwks_uri": "https://k/"}}, "corp.issuer: is missing"),
        (corp(issuer=""), "corp.issuer: must be a string that is not empty"),
        (corp(tokens=[{"query": ""}]), "must be a string that is not empty"),
        (corp(audiences=[]), "corp.audiences: is missing"),
        (corp(audiences=["orders", ""]), 'must be an array of strings, such as ["orders"]'),
        (corp(audiences=["orders", 7]), 'must be an array of strings, such as ["orders"]'),
        (corp(audiences="orders"), 'must be an array of strings, such as ["orders"]'),
        (corp(any_audience=True), "contradicts the audiences"),
        (corp(issuer="accounts.example"), "is no URL to discover keys at"),
        (corp(jwks_uri="file:///etc/keys"), "is no URL: write https://"),
        (corp(jwks_uri="https://a/", jwks={"keys": []}), "has jwks and jwks_uri: keep one"),
        (corp(jwks={"kty": "RSA"}), "must be a JSON Web Key Set"),
        (corp(jwks={"keys": [{"kty": "EC", "d": "secret"}]}), "holds a private key"),
        (corp(jwks={"keys": []}), "holds no key that can verify"),
        (corp(jwks={"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), "holds no key that can verify"),
        (corp(jwks={"keys": [{**KEY, "crv": "secp256k1"}]}), "holds no key that can verify"),
        (corp(jwks={"keys": [{**KEY, "x": "AA"}]}), "holds no key that can verify"),
        (corp(jwks={"keys": [{**KEY, "use": "enc"}]}), "holds no key that can verify"),
        (corp(jwks={"keys": [{**KEY, "alg": "ES384"}]}), "holds no key that can verify"),
        (corp(jwks={"keys": [{**KEY, "alg": 256}]}), "holds no key that can verify"),
        (corp(jwks={"keys": [{**RSA, "e": "EQ"}]}), "holds no key that can verify"),
        (corp(jwks={"keys": [{**RSA, "alg": "ES256"}]}), "holds no key that can verify"),
        (corp(tokens=[{"header": "a", "cookie": "b"}]), "exactly one of header, cookie, query"),
        (corp(tokens=[{"cookie": "b", "prefix": "x"}]), "belongs to a header"),
        (corp(tokens=[{"header": "a b"}]), "cannot name a header"),
        (corp(forward=False, tokens=[{"query": "t"}]), "corp.forward: is false, but only of a header"),
        (corp(forward=False, tokens=[{"header": "a"}, {"cookie": "b"}]), "corp.forward: is false, but only"),
        (corp(clock_skew_seconds=-1), "whole number from 0 to 3600"),
        (corp(clock_skew_seconds=3601), "whole number from 0 to 3600"),
        (corp(clock_skew_seconds=True), "whole number from 0 to 3600"),
        (corp(audience=["orders"]), "corp.audience: is unknown: did you mean 'audiences'?"),
        ({**corp(), "two": corp()["corp"]}, "is the issuer of 'corp' too"),
    ],
)
def test_a_careless_document_is_refused(document: Any, error: str) -> None:
    with pytest.raises(ProvidersError) as raised:
        read(document)
    assert any(error in each for each in raised.value.errors), raised.value.errors


def test_the_ends_of_a_range_are_in_it() -> None:
    for seconds in (0, 3600):
        assert read(corp(clock_skew_seconds=seconds))[0].clock_skew_seconds == seconds


def test_a_private_key_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ProvidersError) as raised:
        read(corp(jwks={"keys": [{"kty": "EC", "d": "c2VjcmV0"}]}))
    assert "c2VjcmV0" not in str(raised.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["issuer", "audiences", "jwks", "jwks_uri", "discovery_url", "tokens", "forward"])


@given(st.dictionaries(st.text(max_size=4), st.dictionaries(fields, json_values), max_size=3) | json_values)
def test_no_document_crashes_the_reader(document: Any) -> None:
    try:
        providers = read(document)
    except ProvidersError:
        return
    assert all(each.issuer for each in providers)
