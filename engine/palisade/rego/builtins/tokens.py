"""JSON Web Tokens: https://www.rfc-editor.org/rfc/rfc7519"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

from palisade.rego.builtins import bigfloat, jws
from palisade.rego.builtins.encoding import decode_base64url, marshal, unmarshal, unmarshal_first
from palisade.rego.builtins.jwk import ALGORITHMS, VerificationKey, signing_key, verification_keys
from palisade.rego.builtins.operands import Object, from_bytes, is_number, object_, string, to_bytes
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value, unkey

_UNVERIFIED: tuple[bool, Object, Object] = (False, {}, {})
_NO_UTF8 = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")
"""Bytes that are no UTF-8, as they stand in text: each is the replacement character to Go."""


@dataclass(frozen=True, slots=True)
class _Token:
    """The three parts as they stand in the token, and the header they begin with."""

    header: str
    payload: str
    signature: str

    @classmethod
    def split(cls, value: Value) -> _Token:
        text = string(value, 1)
        if "." not in text:
            raise BuiltinError("encoded JWT had no period separators")
        parts = text.split(".")
        if len(parts) != 3:
            raise BuiltinError(f"encoded JWT must have 3 sections, found {len(parts)}")
        return cls(*parts)

    @property
    def message(self) -> bytes:
        """What is signed."""
        return to_bytes(f"{self.header}.{self.payload}")

    def decoded_header(self) -> Object:
        header = _object(_decode(self.header, "JWT header"), "bad JWT header: ")
        if "enc" in header:
            raise BuiltinError("JWT is a JWE object, which is not supported")
        return header


def _decode(part: str, what: str) -> bytes:
    try:
        return decode_base64url(part)
    except BuiltinError as error:
        raise BuiltinError(f"{what} had invalid encoding: {error.message}") from error


def _object(text: bytes, prefix: str = "") -> Object:
    # UTF-8 and nothing else, which the decoder takes from text only; of bytes it guesses what they are.
    whole = from_bytes(text).translate(_NO_UTF8)
    try:
        value = unmarshal_first(whole)
    except BuiltinError as error:
        raise BuiltinError(prefix + error.message) from error
    if type(value) is not dict:
        raise BuiltinError(f"{prefix}decoded JSON type was not an Object")
    return value


@builtin("io.jwt.decode", pure=True)
def jwt_decode(jwt: Value) -> Value:
    """Header, payload and the signature in hexadecimal. Nothing is verified."""
    token = _Token.split(jwt)
    header = token.decoded_header()
    payload = _decode(token.payload, "JWT payload")
    if _text(header, "cty") == "JWT":  # a token in the token, which some encoders put in quotes
        return jwt_decode(from_bytes(payload).strip("\"'"))
    claims = _object(payload)
    return [header, claims, _decode(token.signature, "JWT signature").hex()]


def _text(header: Object, name: str) -> str:
    value = header.get(name, "")
    if type(value) is not str:
        raise BuiltinError(f"{name}: must be a string")
    return value


def _enter_verifier(name: str, algorithm: str) -> None:
    function = _verify_hmac if algorithm.startswith("HS") else _verify_with_keys

    @builtin(name, pure=True)
    def verify(jwt: Value, key: Value) -> bool:
        return function(jwt, key, algorithm)

    verify.__doc__ = f"Whether the token is signed by {algorithm} with one of the keys."


def _verify_hmac(jwt: Value, secret: Value, algorithm: str) -> bool:
    string(jwt, 1)
    key = to_bytes(string(secret, 2))
    token = _Token.split(jwt)
    expected = hmac.digest(key, token.message, f"sha{algorithm[2:]}")
    return hmac.compare_digest(expected, decode_base64url(token.signature))


def _verify_with_keys(jwt: Value, keys: Value, algorithm: str) -> bool:
    token = _Token.split(jwt)
    candidates = verification_keys(string(keys, 2))
    signature = decode_base64url(token.signature)
    header = token.decoded_header()
    _critical(header)
    chosen = _candidates(candidates, _text(header, "kid"), _text(header, "alg"))
    public = (each.key for each in chosen if not each.is_private)
    return any(jws.verify(key, algorithm, token.message, signature) for key in public)


for _algorithm in sorted(ALGORITHMS):
    _enter_verifier(f"io.jwt.verify_{_algorithm.lower()}", _algorithm)


def _candidates(keys: tuple[VerificationKey, ...], kid: str, alg: str) -> list[VerificationKey]:
    """The key that the token names, else all that may be used for its algorithm."""
    named = [key for key in keys if kid and key.key_id == kid]
    return named[:1] or [key for key in keys if key.algorithm in ("", alg)]


@dataclass(slots=True)
class _Constraints:
    """What a token must satisfy; `time` is in nanoseconds."""

    keys: tuple[VerificationKey, ...] | None = None
    secret: str = ""
    alg: str = ""
    iss: str = ""
    aud: str = ""
    time: float | None = None

    @classmethod
    def parse(cls, operand: Object) -> _Constraints:
        constraints = cls()
        for form, value in operand.items():
            match unkey(form):
                case "cert":
                    constraints.keys = verification_keys(_constraint("cert", value))
                case "time":
                    constraints.time = _time(value)
                case "secret" | "alg" | "iss" | "aud" as name:
                    setattr(constraints, name, _constraint(name, value))
                case other:
                    raise BuiltinError(f"unknown token validation constraint: {other}")
        if constraints.keys is not None and constraints.secret:
            raise BuiltinError("duplicate key constraints")
        if constraints.keys is None and not constraints.secret:
            raise BuiltinError("no key constraint")
        return constraints

    def trusts(self, token: _Token, header: Object) -> bool:
        alg, signature = _text(header, "alg"), decode_base64url(token.signature)
        if self.keys is None:
            return jws.verify(to_bytes(self.secret), alg, token.message, signature)
        chosen = _candidates(self.keys, _text(header, "kid"), alg)
        return any(jws.verify(each.key, alg, token.message, signature) for each in chosen)

    def accepts(self, claims: Object, now: Decimal) -> bool:
        """Whether issuer, audience and times are as they must be; `now` is in seconds."""
        if self.iss and claims.get("iss") != self.iss:
            return False
        if "aud" in claims:
            audience = claims["aud"]
            if self.aud not in (audience if type(audience) is list else [audience]):
                return False
        elif self.aud:
            return False
        return ("exp" not in claims or now < _seconds(claims, "exp")) and (
            "nbf" not in claims or now >= _seconds(claims, "nbf")
        )


def _constraint(name: str, value: Value) -> str:
    if type(value) is not str:
        raise BuiltinError(f"{name} constraint: must be a string")
    return value


def _time(value: Value) -> float:
    if not is_number(value):
        raise BuiltinError("token time constraint: must be a number")
    if value < 0:
        raise BuiltinError("token time constraint: must not be negative")
    try:
        return float(value)
    except OverflowError as error:
        raise BuiltinError("token time constraint: unvalid float64") from error


def _seconds(claims: Object, name: str) -> Decimal:
    if not is_number(claims[name]):
        raise BuiltinError(f"{name} value must be a number")
    return bigfloat.exact(claims[name])


@builtin("io.jwt.decode_verify")
def jwt_decode_verify(ctx: Context, jwt: Value, constraints: Value) -> list[Value]:
    """Whether the token is signed and its claims are as the constraints say; if so its header and payload."""
    required = _Constraints.parse(object_(constraints, 2))
    while True:
        token = _Token.split(jwt)
        header = token.decoded_header()
        if not _is_valid(header) or (required.alg and required.alg != header["alg"]):
            return list(_UNVERIFIED)
        if not required.trusts(token, header):
            return list(_UNVERIFIED)
        payload = _decode(token.payload, "JWT payload")
        if _text(header, "cty").upper() != "JWT":
            break
        jwt = from_bytes(payload)
    claims = _object(payload)
    now = float(ctx.now_ns) if required.time is None else required.time
    if not required.accepts(claims, bigfloat.exact(now / 1_000_000_000)):
        return list(_UNVERIFIED)
    return [True, header, claims]


def _is_valid(header: Object) -> bool:
    """Whether an algorithm is named, and everything that is marked as critical is known."""
    known = ("alg", "kid", "typ", "cty", "crit")
    critical = _critical(header)
    return bool(_text(header, "alg")) and not any(name in header and name not in known for name in critical)


def _critical(header: Object) -> list[str]:
    """What the header marks as critical: as in OPA the texts before the first that is none.

    Raises BuiltinError where a field of it is not of its type.
    """
    for name in ("alg", "kid", "typ", "cty"):
        _text(header, name)
    critical = header.get("crit", ["alg"])
    if type(critical) is not list:
        raise BuiltinError("crit: must be a list")
    named = list(takewhile(lambda name: type(name) is str, critical))
    if not named:
        raise BuiltinError("crit: must be a nonempty list")
    return named


@builtin("io.jwt.encode_sign", pure=True)
def jwt_encode_sign(headers: Value, payload: Value, key: Value) -> str:
    """A token, of a header, a payload and a JWK that are objects."""
    return _encode(marshal(headers), marshal(payload), marshal(key))


@builtin("io.jwt.encode_sign_raw", pure=True)
def jwt_encode_sign_raw(headers: Value, payload: Value, key: Value) -> str:
    """A token, of a header, a payload and a JWK in JSON that enter it as they are."""
    jwk = string(key, 3)
    return _encode(string(headers, 1), string(payload, 2), jwk)


def _encode(headers: str, payload: str, jwk: str) -> str:
    key = signing_key(jwk)
    parsed = _parse_headers(headers)
    algorithm = parsed.get("alg")
    if type(algorithm) is not str:
        raise BuiltinError("missing or invalid 'alg' header: jwsbb: header \"alg\" not found")
    if algorithm not in ALGORITHMS:
        raise BuiltinError(f"unknown JWS algorithm: {algorithm}")
    if parsed.get("typ", "JWT") == "JWT" and not _is_json(payload):
        raise BuiltinError("type is JWT but payload is not JSON")
    message = f"{_encode_part(to_bytes(headers))}.{_encode_part(to_bytes(payload))}"
    return f"{message}.{_encode_part(jws.sign(key, algorithm, message.encode()))}"


def _parse_headers(text: str) -> Object:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        parsed = unmarshal(text)
    except BuiltinError as error:
        raise BuiltinError(f"missing or invalid 'alg' header: cannot parse JSON: {error.message}") from error
    return parsed if type(parsed) is dict else {}


def _is_json(text: str) -> bool:
    try:
        unmarshal(text)
    except BuiltinError:
        return False
    return True


def _encode_part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
