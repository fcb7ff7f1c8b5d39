"""Tokens for tests of policies that verify them: keys, and what is signed by them in every spelling."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from palisade.rego.text import dumps

SECRET = "a secret that only the issuer and the policy share, 64 bytes of it"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(key: Any, **more: str) -> dict[str, Any]:
    """The public key as a JSON Web Key, with more that is said of it."""
    makers = {
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
    }
    [maker] = [maker for kind, maker in makers.items() if isinstance(key, kind)]
    return {**maker.to_jwk(key.public_key(), as_dict=True), **more}


@lru_cache(256)
def signed(claims: str, key: str, alg: str, headers: str) -> str:
    """A token of these claims, as text, under a header of these fields; `key` names what signs it."""
    keys = {"rsa": RSA, "other": OTHER, "strange": STRANGE, "ec": EC, "ed": ED} | {
        "secret": SECRET,
        "wrong": SECRET[::-1],
        "another": "another",
    }
    parts = (json.loads(headers) | {"alg": alg}, claims)
    message = b".".join(encoded(part if isinstance(part, str) else dumps(part)) for part in parts)
    algorithm = jwt.algorithms.get_default_algorithms()[alg]
    signature = algorithm.sign(message, algorithm.prepare_key(keys[key]))
    return (message + b"." + encoded(signature)).decode()


def encoded(part: str | bytes) -> bytes:
    raw = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
