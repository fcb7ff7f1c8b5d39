"""Certificates and public keys as Go reads them, which is stricter than cryptography in places."""

from __future__ import annotations

from contextlib import suppress
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CURVES = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")
_NEVER_CRITICAL = (
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.AuthorityInformationAccess,
)


def certificate(der: bytes) -> x509.Certificate:
    """Raises ValueError for what is none to Go."""
    found = x509.load_der_x509_certificate(der)
    for each in found.extensions:  # read here, so that malformed ones are an error
        if each.critical and isinstance(each.value, _NEVER_CRITICAL):
            raise ValueError(f"x509: {each.oid.dotted_string} incorrectly marked critical")
    with suppress(UnsupportedAlgorithm):  # which Go shows all the same
        check_curve(found.public_key())
    return found


def check_curve(key: object) -> None:
    """Raises ValueError for a curve that Go does not know."""
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise ValueError("x509: unsupported elliptic curve")


def verifying(key: object) -> PublicKey | None:
    """The key, or None where it verifies no token: one of another kind, of RSA one that is too short or
    whose exponent is too large. Raises ValueError for what is no key to Go."""
    check_curve(key)
    if isinstance(key, (x25519.X25519PublicKey, dsa.DSAPublicKey)):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return key if key.key_size >= 1024 and key.public_numbers().e < 1 << 31 else None
    if isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        return key
    raise ValueError("its key is of a kind that signs no token")
