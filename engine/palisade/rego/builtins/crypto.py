"""Digests and message authentication codes, in hexadecimal."""

from __future__ import annotations

import hashlib
import hmac

from palisade.rego.builtins.operands import string, to_bytes
from palisade.rego.builtins.registry import builtin
from palisade.rego.values import Value


@builtin("crypto.md5", pure=True)
def crypto_md5(x: Value) -> str:
    return hashlib.md5(to_bytes(string(x, 1)), usedforsecurity=False).hexdigest()


@builtin("crypto.sha1", pure=True)
def crypto_sha1(x: Value) -> str:
    return hashlib.sha1(to_bytes(string(x, 1)), usedforsecurity=False).hexdigest()


@builtin("crypto.sha256", pure=True)
def crypto_sha256(x: Value) -> str:
    return hashlib.sha256(to_bytes(string(x, 1))).hexdigest()


@builtin("crypto.hmac.md5", pure=True)
def crypto_hmac_md5(x: Value, key: Value) -> str:
    return _hmac(x, key, "md5")


@builtin("crypto.hmac.sha1", pure=True)
def crypto_hmac_sha1(x: Value, key: Value) -> str:
    return _hmac(x, key, "sha1")


@builtin("crypto.hmac.sha256", pure=True)
def crypto_hmac_sha256(x: Value, key: Value) -> str:
    return _hmac(x, key, "sha256")


@builtin("crypto.hmac.sha512", pure=True)
def crypto_hmac_sha512(x: Value, key: Value) -> str:
    return _hmac(x, key, "sha512")


def _hmac(message: Value, key: Value, digest: str) -> str:
    text, secret = string(message, 1), string(key, 2)
    return hmac.new(to_bytes(secret), to_bytes(text), digest).hexdigest()


@builtin("crypto.hmac.equal", pure=True)
def crypto_hmac_equal(mac1: Value, mac2: Value) -> bool:
    """Whether both are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(to_bytes(string(mac1, 1)), to_bytes(string(mac2, 2)))
