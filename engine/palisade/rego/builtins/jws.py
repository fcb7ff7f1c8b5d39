"""Signatures of tokens: https://www.rfc-editor.org/rfc/rfc7518#section-3"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from palisade.rego.builtins.jwk import PrivateKey, PublicKey
from palisade.rego.errors import BuiltinError


@dataclass(frozen=True, slots=True)
class _Hash:
    name: str
    algorithm: hashes.HashAlgorithm


_HASHES = {
    "256": _Hash("sha256", hashes.SHA256()),
    "384": _Hash("sha384", hashes.SHA384()),
    "512": _Hash("sha512", hashes.SHA512()),
}


def verify(key: PublicKey, algorithm: str, message: bytes, signature: bytes) -> bool:
    """Whether the signature is the key's. False too for a key that is of no use for the algorithm."""
    family, size = algorithm[:2], algorithm[2:]
    try:
        if algorithm in ("EdDSA", "Ed25519"):  # the second by RFC 9864
            if not isinstance(key, ed25519.Ed25519PublicKey):
                return False
            key.verify(signature, message)
            return True
        digest = _HASHES[size]
        if family == "HS" and isinstance(key, bytes):
            return hmac.compare_digest(hmac.digest(key, message, digest.name), signature)
        if family in ("RS", "PS") and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _padding(family, digest, padding.PSS.AUTO), digest.algorithm)
            return True
        if family == "ES" and isinstance(key, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(digest.algorithm))
            return True
    except (InvalidSignature, KeyError, ValueError):
        return False
    return False


def sign(key: PrivateKey, algorithm: str, message: bytes) -> bytes:
    """The signature. Raises BuiltinError for a key that is of no use for the algorithm."""
    family, size = algorithm[:2], algorithm[2:]
    try:
        if algorithm == "EdDSA":
            if isinstance(key, ed25519.Ed25519PrivateKey):
                return key.sign(message)
        elif family == "HS" and isinstance(key, bytes):
            return hmac.digest(key, message, _HASHES[size].name)
        elif family in ("RS", "PS") and isinstance(key, rsa.RSAPrivateKey):
            digest = _HASHES[size]
            return key.sign(message, _padding(family, digest, digest.algorithm.digest_size), digest.algorithm)
        elif family == "ES" and isinstance(key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(key.sign(message, ec.ECDSA(_HASHES[size].algorithm)))
            length = (key.curve.key_size + 7) // 8
            return r.to_bytes(length) + s.to_bytes(length)
    except ValueError as error:
        raise BuiltinError(f"cannot sign with {algorithm}: {error}") from error
    raise BuiltinError(f"the JWK is of another type than {algorithm} signs with")


def _padding(family: str, digest: _Hash, salt: object) -> padding.AsymmetricPadding:
    if family == "RS":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(digest.algorithm), salt)  # type: ignore[arg-type]  # AUTO has a private type
