"""Issuers of tokens in place of a policy's own: the same names and audiences, with keys that are ours."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import base64url_decode, base64url_encode

from palisade.enforce.envoy.tokens.places import TokenPlace
from palisade.enforce.envoy.tokens.token import MARK
from palisade.enforce.envoy.tokens.token import Token as PolicyToken
from palisade.policy.providers import Cookie, Header, InlineKeys, Provider, Query
from palisade.rego.builtins import jws
from palisade.rego.builtins.jwk import verification_keys
from palisade.rego.text import dumps
from palisade.testing.equivalence.requests import Request, Token
from palisade.testing.equivalence.substitutes import OwnKey, OwnKeys, another, kind_of

EXPIRES = 4_000_000_000
"""The claim `exp` of all tokens: the year 2096. Tokens must not change while they are in use."""

NAMES = ("none", "HS256", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "ES256K")
"""What headers say of the algorithm."""
OF_ISSUERS = "ES256"
"""The algorithm by which providers' tokens are signed."""
_CACHED = 1 << 14


class Issuer:
    """Signs for a provider. `provider` is the same with this issuer's public key."""

    def __init__(self, provider: Provider) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwks = dumps({"keys": [{**public, "kid": provider.name, "alg": OF_ISSUERS, "use": "sig"}]})
        self.provider = replace(provider, keys=InlineKeys(self.jwks))
        self._sign = lru_cache(_CACHED)(self._signed)

    def token(self, token: Token) -> str:
        """The token in its compact form (RFC 7519). Equal claims have equal tokens, signed once."""
        audiences = self.provider.audiences
        own = {"iss": self.provider.issuer, "exp": EXPIRES, **({"aud": audiences[0]} if audiences else {})}
        claims = {**own, **token.claims}
        if token.foreign:
            claims["aud"] = "another-audience"
        signed = self._sign(dumps(claims), token.named or OF_ISSUERS)
        return (
            signed[:-8] + ("AAAAAAAA" if signed[-8:] != "AAAAAAAA" else "BBBBBBBB")
            if token.spoiled
            else signed
        )

    def _signed(self, claims: str, named: str) -> str:
        header = {"kid": self.provider.name, "alg": named}
        return _compact(header, claims, lambda message: jws.sign(self._key, OF_ISSUERS, message))


class SecretIssuer:
    """Signs with a secret that stands in the policy, as for its `io.jwt.decode_verify`."""

    def __init__(self, token: PolicyToken, secret: bytes) -> None:
        self.provider = Provider(token.name, "", (), InlineKeys(""), (token.place.source,))
        self._own = _asked(token)
        self._secret = secret
        self._algorithm = _named(token) or "HS256"
        self.way = token.place, secret, self._algorithm, tuple(self._own.items())
        """Where its tokens are, and by what they are signed and for whom."""

    def token(self, token: Token) -> str:
        """The token in its compact form, with the issuer and the audience that the policy asks for."""
        claims = {**self._own, **token.claims}
        if token.foreign:
            claims["aud"] = "another-audience"
        secret = b"another secret" if token.spoiled else self._secret
        header = {"alg": token.named or self._algorithm}
        return _compact(header, dumps(claims), lambda message: jws.sign(secret, self._algorithm, message))


class KeyIssuer:
    """Signs by a key of ours that stands in the policy in place of its own.

    What is `spoiled` is forged in one of the ways that are tried: by another key of the kind, by the public
    key as a secret, without any signature, or with one that was changed.
    """

    def __init__(self, name: str, key: OwnKey, token: PolicyToken | None = None, algorithm: str = "") -> None:
        """`token` says where the policy looks for it, and what it asks; without one it is a bearer token.
        `algorithm` is what it is signed by where neither the policy nor the key says that."""
        place = token.place.source if token else Header("authorization", "Bearer ")
        self.provider = Provider(name, "", (), InlineKeys(""), (place,))
        asked = dict(token.constraints) if token else {}
        self._own = _asked(token) if token else {}
        self._key = key
        usual = _ALGORITHMS.get(kind_of(key.public), "EdDSA")
        self._algorithm = asked.get("alg") or key.algorithm or algorithm or usual
        self.way = place, key.pem, self._algorithm, tuple(self._own.items())
        """Where its tokens are, and by what they are signed and for whom."""
        self._sign = lru_cache(_CACHED)(self._signed)

    def token(self, token: Token) -> str:
        """The token in its compact form. Equal claims have equal tokens, signed once."""
        claims = {**self._own, **token.claims}
        if token.foreign:
            claims["aud"] = "another-audience"
        return self._sign(dumps(claims), token.named, spoiled=token.spoiled)

    def _signed(self, claims: str, named: str, *, spoiled: bool) -> str:
        key: Any = self._key.private
        algorithm, way = self._algorithm, zlib.crc32(claims.encode()) % 4 if spoiled else -1
        if way == 0:
            key = another(self._key)
        elif way == 1:
            algorithm, key = "HS256", self._key.pem
        elif way == 2:
            algorithm, key = "none", None
        header = {"alg": named or algorithm, **({"kid": self._key.key_id} if self._key.key_id else {})}

        def sign(message: bytes) -> bytes:
            signature = b"" if way == 2 else jws.sign(key, algorithm, message)
            return bytes([signature[0] ^ 1]) + signature[1:] if way == 3 else signature

        return _compact(header, claims, sign)


def _compact(header: Mapping[str, str], claims: str, sign: Callable[[bytes], bytes]) -> str:
    """A token in its compact form (RFC 7519), whatever its header says. Not by `jwt.encode`, which complains
    of short secrets, knows that a public key is none, and signs by the algorithm that the header names."""
    message = b".".join(base64url_encode(part.encode()) for part in (dumps(header), claims))
    return (message + b"." + base64url_encode(sign(message))).decode()


_ALGORITHMS = {"rsa": "RS256", "secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def _asked(token: PolicyToken) -> Mapping[str, str]:
    """Claims with which a token is as the policy asks; any text where it takes what the token says itself."""
    asked = dict.fromkeys(token.own, "https://issuer.example") | dict(token.constraints)
    return {name: asked[name] for name in ("iss", "aud") if name in asked}


def _named(token: PolicyToken) -> str:
    """The algorithm that the policy asks for, or the first that its keys are for; empty where none is."""
    keys = json.loads(token.keys)["keys"] if token.keys else []
    of_keys = (str(each["alg"]) for each in keys if "alg" in each)
    return dict(token.constraints).get("alg") or next(of_keys, "")


Signer: TypeAlias = Issuer | SecretIssuer | KeyIssuer


DECODED = f"{MARK}decoded "
"""What the names of issuers begin with whose tokens the policy does not verify."""


def signers_of(
    tokens: Iterable[PolicyToken], own: OwnKeys, decoded: Iterable[TokenPlace] = ()
) -> Mapping[str, SecretIssuer | KeyIssuer]:
    """Issuers for the tokens that a policy verifies itself: by a secret that it holds, or by a key of ours.

    A key of ours that stands at none of the tokens that Envoy verifies signs bearer tokens. What the policy
    only decodes, at the places `decoded`, is signed by any secret.
    """
    found: dict[str, SecretIssuer | KeyIssuer] = {}
    for place in decoded:
        name = f"{DECODED}{place.words}"
        found[name] = SecretIssuer(PolicyToken(name, place), b"a secret that nobody asks for")
    used = []
    for token in tokens:
        for at, jwk in enumerate(json.loads(token.keys or '{"keys": []}')["keys"]):
            if jwk.get("kty") == "oct":
                found[token.name] = SecretIssuer(token, base64url_decode(jwk["k"]))
                continue
            (key,) = verification_keys(dumps(jwk))
            ours = None if key.key is None or isinstance(key.key, bytes) else own.of(key.key)
            if ours is not None:
                used.append(ours)
                name = f"{token.name}.{at}"
                found[name] = KeyIssuer(name, ours, token, jwk.get("alg", ""))
    for at, ours in enumerate(each for each in own.keys if each not in used):
        found[f"{MARK}{at}"] = KeyIssuer(f"{MARK}{at}", ours)
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
    request: Request, issuers: Mapping[str, Issuer] | Mapping[str, Signer]
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
