"""Private keys as objects: as Go's structs in JSON, and as JSON Web Keys."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

from palisade.rego.builtins import pem
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value

Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Tree: TypeAlias = dict[str, Value]

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "secp256k1"}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key, to be shown in one way or the other."""

    key: Key

    def tree(self) -> Value:
        """As Go's encoder writes `rsa.PrivateKey`, `ecdsa.PrivateKey` and `ed25519.PrivateKey`."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            numbers = self.key.private_numbers()
            public = numbers.public_numbers
            return {
                "N": public.n,
                "E": public.e,
                "D": numbers.d,
                "Primes": [numbers.p, numbers.q],
                "Precomputed": {
                    "Dp": numbers.dmp1,
                    "Dq": numbers.dmq1,
                    "Qinv": numbers.iqmp,
                    "CRTValues": [],
                },
            }
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            point = self.key.public_key().public_numbers()
            return {
                "Curve": {},
                "X": point.x,
                "Y": point.y,
                "D": self.key.private_numbers().private_value,
            }
        seed = self.key.private_bytes_raw()
        return base64.b64encode(seed + self.key.public_key().public_bytes_raw()).decode()

    def jwk(self) -> Tree:
        """As a JSON Web Key. Raises BuiltinError for a curve that has no name there."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            numbers = self.key.private_numbers()
            public = numbers.public_numbers
            parts = {
                "n": public.n,
                "e": public.e,
                "d": numbers.d,
                "p": numbers.p,
                "q": numbers.q,
                "dp": numbers.dmp1,
                "dq": numbers.dmq1,
                "qi": numbers.iqmp,
            }
            return {"kty": "RSA", **{name: _number(value) for name, value in parts.items()}}
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            curve = _CURVES.get(self.key.curve.name)
            if curve is None:
                raise BuiltinError(f"a key on the curve {self.key.curve.name} is no JSON Web Key")
            size = (self.key.curve.key_size + 7) // 8
            point = self.key.public_key().public_numbers()
            secret = self.key.private_numbers().private_value
            return {
                "kty": "EC",
                "crv": curve,
                "x": _number(point.x, size),
                "y": _number(point.y, size),
                "d": _number(secret, size),
            }
        public_bytes = self.key.public_key().public_bytes_raw()
        secret_bytes = self.key.private_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": _url(public_bytes), "d": _url(secret_bytes)}


def _number(value: int, size: int = 0) -> str:
    return _url(value.to_bytes(size or (value.bit_length() + 7) // 8))


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def private_keys(data: bytes) -> list[PrivateKey]:
    """The private keys in PEM text, in their order. Raises BuiltinError for one that is malformed."""
    labels = ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY")
    return [PrivateKey(load_private_key(each.data)) for each in pem.blocks(data) if each.label in labels]


@lru_cache(maxsize=16)
def load_private_key(der: bytes) -> Key:
    """The key in PKCS #1, PKCS #8 or SEC 1 form. Raises BuiltinError.

    Policies have few, and to check the numbers of one of RSA takes 50 ms, and 300 with 4,096 bits.
    """
    try:
        key = load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BuiltinError(f"x509: failed to parse private key: {error}") from error
    if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        return key
    raise BuiltinError("x509: PKCS#8 wrapping contained private key with unknown algorithm")


def pair_tree(chain: Sequence[x509.Certificate], key: Key, leaf: Tree) -> Tree:
    """A chain with its key, as Go's encoder writes `tls.Certificate`."""
    return {
        "Certificate": [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain],
        "PrivateKey": PrivateKey(key).tree(),
        "SupportedSignatureAlgorithms": None,
        "OCSPStaple": None,
        "SignedCertificateTimestamps": None,
        "Leaf": leaf,
    }
