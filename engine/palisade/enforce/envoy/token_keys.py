"""The keys of tokens that a policy verifies itself, as Envoy's JWT filter takes them: JSON Web Key Sets."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from palisade.policy.jwks import usable
from palisade.rego.builtins.jwk import VerificationKey, verification_keys
from palisade.rego.errors import BuiltinError


def secret_set(secret: str, algorithm: str) -> str | None:
    """The key set of a shared secret. None where Envoy knows no such algorithm for one."""
    if not secret or algorithm not in ("", "HS256", "HS384", "HS512"):
        return None
    key = {"kty": "oct", "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")}
    return json.dumps({"keys": [key | ({"alg": algorithm} if algorithm else {})]}, sort_keys=True)


@lru_cache(128)
def key_set(text: str, algorithm: str) -> str | None:
    """The key set of a certificate, a public key or a key set. None where Envoy might choose another key of
    it than OPA does, or knows none of them."""
    try:
        found = verification_keys(text)
    except BuiltinError:
        return None
    named = [each.key_id for each in found]
    if any(named) and (not all(named) or len(set(named)) < len(named)):
        return None
    if any(each.algorithm and algorithm not in ("", each.algorithm) for each in found):
        found = tuple(each for each in found if each.algorithm in ("", algorithm))
    jwks = [jwk for each in found if (jwk := _jwk(each, algorithm)) is not None]
    return usable({"keys": jwks})


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
