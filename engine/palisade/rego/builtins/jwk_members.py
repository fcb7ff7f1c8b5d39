"""JSON Web Keys (RFC 7517) as the library reads them that OPA verifies tokens with.

One key that is none makes a whole set none, be it of an algorithm that signs nothing: no token is valid then.
A key that is well formed and of no use, as one for encryption, is a key that verifies nothing.
"""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from palisade.rego.builtins.certificate_reading import certificate, verifying
from palisade.rego.builtins.encoding import decode_base64
from palisade.rego.errors import BuiltinError

Jwk: TypeAlias = Mapping[str, Any]
Verifying: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | bytes | None

_SIZES = ("128", "192", "256")
_NAMED = frozenset(
    (
        *(f"{family}{size}" for family in ("RS", "PS", "ES", "HS") for size in (256, 384, 512)),
        *("EdDSA", "Ed25519", "ES256K", "none", "dir", "RSA1_5", "ECDH-ES"),
        *("RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"),
        *(f"A{size}{mode}" for size in _SIZES for mode in ("KW", "GCMKW", "GCM")),
        *(f"ECDH-ES+A{size}KW" for size in _SIZES),
        *("PBES2-HS256+A128KW", "PBES2-HS384+A192KW", "PBES2-HS512+A256KW"),
        *("A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"),
    )
)
"""The algorithms that a key may name, most of them of encryption."""
_SPACE = " \t\r\n"
_NO_SPACE = dict.fromkeys(map(ord, " \t\r\n\v\f"))
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def jwks(text: str) -> list[Jwk]:
    """The keys of a set, or the one that stands alone. Raises BuiltinError."""
    whole = text.strip(_SPACE)
    try:
        parsed, end = _DECODER.raw_decode(whole)
    except (ValueError, RecursionError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {error}") from error
    found: Any = None
    if isinstance(parsed, dict):
        # What has more behind it is no set to the library, and it reads a key no further than to its end.
        found = parsed.get("keys", [parsed]) if end == len(whole) else [parsed]
    if not isinstance(found, list) or not all(isinstance(jwk, dict) for jwk in found):
        raise BuiltinError("failed to parse a JWK key (set): it is neither a JWK nor a set of them")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large")
    return number


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which a name may stand twice: the last one counts, of `keys` all do, and a key of two
    kinds is none."""
    found = dict(pairs)
    if len(found) < len(pairs):
        kinds = [value for name, value in pairs if name == "kty"]
        if any(kind != kinds[0] for kind in kinds):
            found["kty"] = kinds
        sets = [value for name, value in pairs if name == "keys"]
        if sets:
            others = [each for each in sets if not isinstance(each, list)]
            found["keys"] = others[0] if others else [key for each in sets for key in each]
    return found


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_number, object_pairs_hook=_members)


def read(jwk: Jwk) -> tuple[Verifying, bool]:
    """What the key verifies with, or None, and whether it is private. Raises BuiltinError."""
    if name := _of_another_kind(jwk):
        _refuse(f"the {name} of a key is of another type")
    if jwk.get("alg", "none") not in _NAMED:
        _refuse(f"the alg of a key names no algorithm: '{jwk['alg']}'")
    _certificates(jwk.get("x5c", []))
    # Go's decoder, which looks at these two first, does not tell capitals from small letters.
    kinds = [value for name, value in jwk.items() if name.casefold() == "kty"]
    is_private = any(name.casefold() == "d" for name in jwk)
    kind = kinds[-1] if kinds else None
    if kind not in ("RSA", "EC", "OKP", "oct") or kind != jwk.get("kty"):
        _refuse(f"invalid key type from JSON ({kind})")
    if kind == "oct":
        return _bytes(jwk, "k"), False
    of_kind = {"RSA": _rsa, "EC": _elliptic, "OKP": _edwards}[kind]
    return of_kind(jwk, is_private), is_private


def _rsa(jwk: Jwk, is_private: bool) -> rsa.RSAPublicKey | None:
    modulus, exponent = (int.from_bytes(_bytes(jwk, name)) for name in ("n", "e"))
    if not modulus or not exponent % 2 or exponent >= 1 << 63:
        _refuse("the n or e of a key is no such number")
    if is_private:
        _bytes(jwk, "d")
        for name in ("p", "q"):
            _bytes(jwk, name, may_be_empty=True)
        for name in ("dp", "dq", "qi"):
            _bytes({name: "", **jwk}, name, may_be_empty=True)
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except (ValueError, OverflowError):
        return None
    return key if verifying(key) else None


def _elliptic(jwk: Jwk, is_private: bool) -> ec.EllipticCurvePublicKey:
    curve = _CURVES.get(_text(jwk, "crv"))
    if curve is None:
        _refuse(f"invalid curve: {jwk['crv']}")
    size = (curve.key_size + 7) // 8
    if is_private:
        _bytes(jwk, "d", size)
    x, y = (int.from_bytes(_bytes(jwk, name, size)) for name in ("x", "y"))
    try:
        return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError as error:
        _refuse(str(error))


def _edwards(jwk: Jwk, is_private: bool) -> ed25519.Ed25519PublicKey | None:
    curve, public = _text(jwk, "crv"), _bytes(jwk, "x", 32)
    private = _bytes(jwk, "d", 32) if is_private else b""
    if curve == "X25519":  # agrees on keys, and signs nothing
        return None
    if curve != "Ed25519":
        _refuse(f"invalid curve: {curve}")
    if private:
        own = ed25519.Ed25519PrivateKey.from_private_bytes(private).public_key()
        if own.public_bytes_raw() != public:
            _refuse("the public part of a key is not that of its private one")
    return ed25519.Ed25519PublicKey.from_public_bytes(public)


def _text(jwk: Jwk, name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        _refuse(f"the {name} of a key is missing, or of another type")
    return value


def _bytes(jwk: Jwk, name: str, size: int | None = None, *, may_be_empty: bool = False) -> bytes:
    """What a member is the Base64 of, of either alphabet; with a `size` so many bytes."""
    if may_be_empty and name in jwk and jwk[name] is None:
        return b""
    text = _text(jwk, name)
    url = not set("+/") & set(text)
    if not text.endswith("="):
        length = sum(each not in "\r\n" for each in text)
        text += "=" * (-length % 4 if "=" not in text else 1)  # padding in the middle is none
    try:
        found = decode_base64(text, url=url)
    except BuiltinError as error:
        _refuse(f"the {name} of a key: {error.message}")
    if (not found and not may_be_empty) or size not in (None, len(found)):
        _refuse(f"the {name} of a key is of {len(found)} bytes")
    return found


def _certificates(texts: list[str]) -> None:
    """Raises BuiltinError where one is no certificate."""
    for text in texts:
        try:
            der = binascii.a2b_base64(text.translate(_NO_SPACE), strict_mode=True)
            certificate(der)
        except ValueError as error:
            _refuse(f"the x5c of a key: {error}")


def _of_another_kind(jwk: Jwk) -> str | None:
    """The name of a member whose value OPA does not take, to which the whole set is none then."""
    for name in ("kid", "use", "x5u", "x5t", "x5t#S256"):
        if not isinstance(jwk.get(name), str | None):
            return name
    if not isinstance(jwk.get("alg", ""), str):
        return "alg"
    operations = jwk.get("key_ops")
    if operations is not None and not _are_texts(operations, str | None):
        return "key_ops"
    return None if _are_texts(jwk.get("x5c", []), str) else "x5c"


def _are_texts(values: object, kind: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, kind) for each in values)


def _refuse(why: str) -> NoReturn:
    raise BuiltinError(f"failed to parse a JWK key (set): {why}")
