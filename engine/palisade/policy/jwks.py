"""JSON Web Key Sets (RFC 7517): of what an issuer publishes, the keys that verify tokens in a sidecar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_CURVES = {
    "EC": {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"},
    "OKP": {"Ed25519": "EdDSA"},
}
"""The curves that Envoy knows, and the algorithm of each: it refuses a key whose `alg` names another."""
EXPONENTS = (3, 65537)
"""Of an RSA key, those that Envoy takes."""
_PUBLIC_PARTS = frozenset({"kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e"})
"""What Envoy reads of a key. The rest is none of its business, a private part least of all; for a number or a
text there that it cannot read it would refuse all keys."""


def usable(jwks: Any) -> str | None:
    """The set's public keys for signatures as JSON; None where it has none.

    Left out is what Envoy refuses, since it refuses all of a configuration with one such key, and symmetric
    keys, since with a public one anybody could sign.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list):
        return None
    found = [_public(each) for each in keys if isinstance(each, Mapping) and _verifies(each)]
    return json.dumps({"keys": found}, sort_keys=True) if found else None


def _verifies(key: Mapping[str, Any]) -> bool:
    kind, curve, algorithm = key.get("kty"), key.get("crv"), key.get("alg") or ""
    if key.get("use", "sig") != "sig" or kind not in ("RSA", "EC", "OKP") or not isinstance(algorithm, str):
        return False
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return False
    if kind in _CURVES and not (
        isinstance(curve, str) and curve in _CURVES[kind] and algorithm in ("", _CURVES[kind][curve])
    ):
        return False
    if kind == "RSA" and algorithm and not algorithm.startswith(("RS", "PS")):
        return False
    try:
        json.dumps(_public(key), ensure_ascii=False, allow_nan=False).encode()
        found = jwt.PyJWK(_public(key)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return False
    return not isinstance(found, RSAPublicKey) or found.public_numbers().e in EXPONENTS


def _public(key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name in _PUBLIC_PARTS}
