"""Keys that verify or sign tokens: JSON Web Keys (RFC 7517), certificates and public keys in PEM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from palisade.rego.builtins import pem
from palisade.rego.builtins.operands import to_bytes
from palisade.rego.errors import BuiltinError

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | bytes
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | bytes

ALGORITHMS = frozenset(
    f"{family}{size}" for family in ("RS", "PS", "ES", "HS") for size in (256, 384, 512)
) | {"EdDSA"}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with what its JWK says of it; both are empty for a certificate."""

    key: PublicKey
    algorithm: str = ""
    key_id: str = ""


@lru_cache(maxsize=128)
def verification_keys(text: str) -> tuple[VerificationKey, ...]:
    """The keys of a PEM block, of a JWK or of a JWK set. Raises BuiltinError."""
    block = next(pem.blocks(to_bytes(text)), None)
    if block is not None:
        return (_from_pem(block),)
    keys: list[VerificationKey] = []
    for jwk in _jwks(text):
        if odd := _of_another_kind(jwk):
            raise BuiltinError(f"failed to parse a JWK key (set): the {odd} of a key is of another type")
        algorithm = jwk.get("alg", "")
        if not algorithm or algorithm in ALGORITHMS:
            keys.append(VerificationKey(_public(_key(jwk)), algorithm, jwk.get("kid") or ""))
    return tuple(keys)


def _of_another_kind(jwk: Mapping[str, Any]) -> str | None:
    """The name of a member whose value OPA does not take, to which the whole set is none then."""
    for name in ("kid", "use", "x5u", "x5t", "x5t#S256"):
        if not isinstance(jwk.get(name), str | None):
            return name
    if not _are_texts([jwk.get("alg", "none")]):
        return "alg"
    if jwk.get("key_ops") is not None and not _are_texts(jwk["key_ops"]):
        return "key_ops"
    return None if _are_texts(jwk.get("x5c", [])) else "x5c"


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) and each for each in values)


def signing_key(text: str) -> PrivateKey:
    """The first key of a JWK or a JWK set. Raises BuiltinError where there is none that signs."""
    jwks = _jwks(text)
    if not jwks:
        raise BuiltinError("no keys found in JWK set")
    key = _key(jwks[0])
    if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        raise BuiltinError("a public key cannot sign: give the private JWK")
    return key


def _from_pem(block: pem.Block) -> VerificationKey:
    if block.rest:
        raise BuiltinError("extra data after a PEM certificate block")
    if block.label == "CERTIFICATE":
        try:
            return VerificationKey(_supported(x509.load_der_x509_certificate(block.data).public_key()))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BuiltinError(f"failed to parse a PEM certificate: {error}") from error
    if block.label == "PUBLIC KEY":
        try:
            return VerificationKey(_supported(load_der_public_key(block.data)))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BuiltinError(f"failed to parse a PEM public key: {error}") from error
    raise BuiltinError("failed to extract a Key from the PEM certificate")


def _supported(key: object) -> PublicKey:
    if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        return key
    raise ValueError("its key is of a kind that signs no token")


def _jwks(text: str) -> list[Mapping[str, Any]]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {error}") from error
    found = parsed.get("keys", [parsed]) if isinstance(parsed, dict) else None
    if not isinstance(found, list) or not all(isinstance(jwk, dict) for jwk in found):
        raise BuiltinError("failed to parse a JWK key (set): it is neither a JWK nor a set of them")
    return found


def _key(jwk: Mapping[str, Any]) -> PublicKey | PrivateKey:
    parsed: Any
    try:
        match jwk.get("kty"):
            case "RSA":
                parsed = RSAAlgorithm.from_jwk(dict(jwk))
            case "EC":
                parsed = ECAlgorithm.from_jwk(dict(jwk))
            case "OKP":
                parsed = OKPAlgorithm.from_jwk(dict(jwk))
            case "oct":
                parsed = HMACAlgorithm.from_jwk(dict(jwk))
            case other:
                raise InvalidKeyError(f"invalid key type from JSON ({other})")
    except (InvalidKeyError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {error}") from error
    key: PublicKey | PrivateKey = parsed
    return key


def _public(key: PublicKey | PrivateKey) -> PublicKey:
    if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        return key.public_key()
    return key
