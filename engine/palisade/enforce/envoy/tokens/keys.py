"""The keys of tokens that a policy verifies itself, as Envoy's JWT filter takes them: JSON Web Key Sets."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from palisade.policy.jwks import EXPONENTS, usable
from palisade.rego.builtins.jwk import PublicKey, VerificationKey, verification_keys
from palisade.rego.errors import BuiltinError


def secret_set(secret: str, algorithm: str) -> str | None:
    """The key set of a shared secret. None where Envoy knows no such algorithm for one."""
    if not secret or algorithm not in ("", "HS256", "HS384", "HS512"):
        return None
    key = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")}
    named = _for_each_algorithm(key | ({"alg": algorithm} if algorithm else {}))
    return json.dumps({"keys": named}, sort_keys=True)


@lru_cache(128)
def key_set(text: str, algorithm: str) -> str | None:
    """The key set of a certificate, a public key or a key set. None where Envoy might choose another key of
    it than OPA does, or knows none of them."""
    try:
        found = verification_keys(text)
    except BuiltinError:
        return None
    if any(each.is_private for each in found):
        return None  # which `io.jwt.verify_*` does not take
    named = [each.key_id for each in found]
    if any(named) and (not all(named) or len(set(named)) < len(named)):
        return None
    if any(each.algorithm and algorithm not in ("", each.algorithm) for each in found):
        found = tuple(each for each in found if each.algorithm in ("", algorithm))
    jwks = [jwk for each in found if (jwk := _jwk(each, algorithm)) is not None]
    return usable({"keys": [named for each in jwks for named in _for_each_algorithm(each)]})


_OF_KIND = {
    "oct": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "OKP": ("EdDSA",),
}
_OF_CURVE = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}


def _for_each_algorithm(jwk: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The key once for each algorithm that it is for, by that name. One without a name Envoy tries on any
    token, be it a secret's and the token say that it is signed by RS512; OPA does not take such a token."""
    if "alg" in jwk:
        return [jwk]
    names = _OF_CURVE.get(jwk["crv"], ()) if jwk["kty"] == "EC" else _OF_KIND[jwk["kty"]]
    return [{**jwk, "alg": each} for each in names]


@lru_cache(128)
def key_witness(text: str, algorithm: str) -> str:
    """The keys without their names, so that Envoy tries all of them: a token that none of these verifies is
    none that OPA takes, but for those signed by RSA-PSS (`salted`). With an `algorithm` the keys are for that
    one, else for whatever the token names.

    Empty where OPA might take a token by a key that Envoy does not know, or not as OPA does; and for many
    keys, as each of them is tried on a forged token.
    """
    if algorithm.startswith("PS"):
        return ""
    try:
        found = verification_keys(text)
    except BuiltinError:
        return ""
    if len(found) > MOST_KEYS or any(each.is_private for each in found):
        return ""
    jwks: list[Mapping[str, Any]] = []
    for each in found:
        family = _family(each.key)
        if family is None:
            return ""
        own = algorithm if family != ("EdDSA",) else "EdDSA"
        if algorithm and not algorithm.startswith(family):
            continue
        if isinstance(each.key, ec.EllipticCurvePublicKey) and algorithm not in (
            "",
            _ALGORITHMS[each.key.curve.name],
        ):
            return ""
        jwk = _jwk(VerificationKey(each.key, own), "")
        if jwk is not None:
            jwks.append(jwk)
    witness = usable({"keys": jwks})
    return witness if witness is not None and len(json.loads(witness)["keys"]) == len(jwks) else ""


@lru_cache(128)
def salted(witness: str) -> str:
    """The keys of a witness that could sign by RSA-PSS, for that alone; empty without any. OPA takes salt of
    any length, and Envoy only of the hash's: where a token says that it is signed so, Envoy's no is none."""
    plain = [key for key in json.loads(witness)["keys"] if key["kty"] == "RSA"] if witness else []
    keys = [key | {"alg": f"PS{size}"} for key in plain for size in (256, 384, 512)]
    return json.dumps({"keys": keys}, sort_keys=True) if keys else ""


_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
MOST_KEYS = 16
"""With more the engine, which looks for the key that a token names, has less to do than Envoy."""


def _family(key: PublicKey) -> tuple[str, ...] | None:
    """What the names of algorithms begin with that a key is for; None for keys that Envoy may not take."""
    match key:
        case rsa.RSAPublicKey() if 1024 <= key.key_size <= 8192:
            return ("RS", "PS") if key.public_numbers().e in EXPONENTS else None
        case ec.EllipticCurvePublicKey() if key.curve.name in _ALGORITHMS:
            return ("ES",)
        case ed25519.Ed25519PublicKey():
            return ("EdDSA",)
    return None


def _jwk(key: VerificationKey, algorithm: str) -> Mapping[str, Any] | None:
    jwk: dict[str, Any]
    match key.key:
        case rsa.RSAPublicKey():
            jwk = RSAAlgorithm.to_jwk(key.key, as_dict=True)
        case ec.EllipticCurvePublicKey():
            jwk = ECAlgorithm.to_jwk(key.key, as_dict=True)
        case ed25519.Ed25519PublicKey():
            jwk = OKPAlgorithm.to_jwk(key.key, as_dict=True)
        case _:
            return None  # a secret among public keys
    jwk.pop("key_ops", None)
    if key.algorithm or algorithm:
        jwk["alg"] = key.algorithm or algorithm
    return jwk | ({"kid": key.key_id} if key.key_id else {})
