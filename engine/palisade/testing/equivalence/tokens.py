"""Issuers of tokens in place of a policy's own: the same names and audiences, with keys that are ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_decode, base64url_encode

from palisade.enforce.envoy.tokens import Token as PolicyToken
from palisade.policy.providers import Cookie, Header, InlineKeys, Provider, Query
from palisade.rego.text import dumps
from palisade.testing.equivalence.requests import Request, Token

EXPIRES = 4_000_000_000
"""The claim `exp` of all tokens: the year 2096. Tokens must not change while they are in use."""

_CACHED = 1 << 14


class Issuer:
    """Signs for a provider. `provider` is the same with this issuer's public key."""

    def __init__(self, provider: Provider) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwks = dumps({"keys": [{**public, "kid": provider.name, "alg": "ES256", "use": "sig"}]})
        self.provider = replace(provider, keys=InlineKeys(self.jwks))
        self._sign = lru_cache(_CACHED)(self._signed)

    def token(self, token: Token) -> str:
        """The token in its compact form (RFC 7519). Equal claims have equal tokens, signed once."""
        audiences = self.provider.audiences
        own = {"iss": self.provider.issuer, "exp": EXPIRES, **({"aud": audiences[0]} if audiences else {})}
        claims = {**own, **token.claims}
        if token.foreign:
            claims["aud"] = "another-audience"
        signed = self._sign(dumps(claims))
        return (
            signed[:-8] + ("AAAAAAAA" if signed[-8:] != "AAAAAAAA" else "BBBBBBBB")
            if token.spoiled
            else signed
        )

    def _signed(self, claims: str) -> str:
        header = {"kid": self.provider.name, "alg": "ES256"}
        return jwt.api_jws.encode(claims.encode(), self._key, algorithm="ES256", headers=header)


class SecretIssuer:
    """Signs with a secret that stands in the policy, as for its `io.jwt.decode_verify`."""

    def __init__(self, token: PolicyToken, secret: bytes) -> None:
        place = Header(token.place.header, token.place.prefix)
        self.provider = Provider(token.name, "", (), InlineKeys(""), (place,))
        self._own = {name: text for name, text in token.constraints if name in ("iss", "aud")}
        self._secret = secret

    def token(self, token: Token) -> str:
        """The token in its compact form, with the issuer and the audience that the policy asks for."""
        claims = {**self._own, **token.claims}
        if token.foreign:
            claims["aud"] = "another-audience"
        secret = b"another secret" if token.spoiled else self._secret
        # Not by `jwt.encode`, which complains of short secrets: the policy's is as long as it is.
        parts = (base64url_encode(dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
        message = b".".join(parts)
        signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(message, secret)
        return (message + b"." + base64url_encode(signature)).decode()


def secrets_of(tokens: Iterable[PolicyToken]) -> Mapping[str, SecretIssuer]:
    """Issuers for those tokens that a policy verifies by a secret; other keys are not here whole."""
    found = {}
    for token in tokens:
        for key in json.loads(token.keys or '{"keys": []}')["keys"]:
            if key.get("kty") == "oct":
                found[token.name] = SecretIssuer(token, base64url_decode(key["k"]))
    return found


class Issuers:
    """One issuer for each provider. The same name gets the same keys for as long as this lives."""

    def __init__(self) -> None:
        self._known: dict[Provider, Issuer] = {}

    def of(self, providers: Iterable[Provider]) -> tuple[Issuer, ...]:
        """The issuers of the providers, made where there are none yet."""
        return tuple(self._issuer(each) for each in providers)

    def _issuer(self, provider: Provider) -> Issuer:
        found = self._known.get(provider)
        if found is None:
            found = self._known[provider] = Issuer(provider)
        return found


def carried(
    request: Request, issuers: Mapping[str, Issuer] | Mapping[str, Issuer | SecretIssuer]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The request's target, and the headers that carry its token where the provider looks for tokens."""
    token = request.token
    issuer = None if token is None else issuers.get(token.provider)
    if token is None or issuer is None:
        return request.target, ()
    text = issuer.token(token)
    match issuer.provider.tokens[0]:
        case Header(name, prefix):
            return request.target, ((name, prefix + text),)
        case Cookie(name):
            return request.target, (("cookie", f"{name}={text}"),)
        case Query(name):
            mark = "&" if "?" in request.target else "?"
            return f"{request.target}{mark}{name}={text}", ()
