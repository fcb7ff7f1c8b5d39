"""Keys that verify or sign tokens: JSON Web Keys (RFC 7517), certificates and public keys in PEM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from palisade.rego.builtins import jwk_members, pem
from palisade.rego.builtins.certificate_reading import certificate, verifying
from palisade.rego.builtins.operands import to_bytes
from palisade.rego.errors import BuiltinError

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | bytes | None
"""None is a key that verifies nothing, as one for encryption, or of RSA with less than 1,024 bits."""
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | bytes

_SIGNING = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, bytes)
ALGORITHMS = frozenset(
    f"{family}{size}" for family in ("RS", "PS", "ES", "HS") for size in (256, 384, 512)
) | {"EdDSA"}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with what its JWK says of it; empty for a certificate. `io.jwt.verify_rs256` and its like take no
    private one, as in OPA; `io.jwt.decode_verify` takes its public part.
    """

    key: PublicKey
    algorithm: str = ""
    key_id: str = ""
    is_private: bool = False


@lru_cache(maxsize=128)
def verification_keys(text: str) -> tuple[VerificationKey, ...]:
    """The keys of a PEM block, of a JWK or of a JWK set. Raises BuiltinError."""
    block = next(pem.blocks(to_bytes(text)), None)
    if block is not None:
        return (_from_pem(block),)
    keys: list[VerificationKey] = []
    for jwk in jwk_members.jwks(text):
        key, is_private = jwk_members.read(jwk)
        algorithm = jwk.get("alg", "")
        if not algorithm or algorithm in ALGORITHMS:
            keys.append(VerificationKey(key, algorithm, jwk.get("kid") or "", is_private))
    return tuple(keys)


def signing_key(text: str) -> PrivateKey:
    """The first key of a JWK or a JWK set. Raises BuiltinError where there is none that signs."""
    jwks = jwk_members.jwks(text)
    if not jwks:
        raise BuiltinError("no keys found in JWK set")
    key = _key(jwks[0])
    if key is None or isinstance(
        key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
    ):
        raise BuiltinError("a public key cannot sign: give the private JWK")
    return key


def _from_pem(block: pem.Block) -> VerificationKey:
    if block.rest:
        raise BuiltinError("extra data after a PEM certificate block")
    if block.label == "CERTIFICATE":
        try:
            return VerificationKey(verifying(certificate(block.data).public_key()))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BuiltinError(f"failed to parse a PEM certificate: {error}") from error
    if block.label == "PUBLIC KEY":
        try:
            return VerificationKey(verifying(load_der_public_key(block.data)))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BuiltinError(f"failed to parse a PEM public key: {error}") from error
    raise BuiltinError("failed to extract a Key from the PEM certificate")


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
