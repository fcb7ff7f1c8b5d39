"""What Envoy's JWT filter leaves of tokens that the policy verifies itself, and of tokens' headers.

https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/jwt_authn_filter
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication, JwtProvider

from palisade.decide.verified import OWN
from palisade.rego.builtins import jws
from palisade.rego.builtins.jwk import ALGORITHMS, verification_keys
from palisade.rego.errors import BuiltinError

_PARTS = 3


def left(config: JwtAuthentication, payloads: Mapping[str, Any]) -> dict[str, Any]:
    """Providers' payloads under the names under which the filter leaves them; and what it leaves of a
    provider that has verified none."""
    found: dict[str, Any] = {}
    for name, provider in config.providers.items():
        if name in payloads:
            found[provider.payload_in_metadata] = payloads[name]
        elif provider.failed_status_in_metadata:
            found[provider.failed_status_in_metadata] = {"message": "Jwt is missing"}
    return found


def verified(
    config: JwtAuthentication, headers: Mapping[str, str], payloads: Mapping[str, Any]
) -> dict[str, Any]:
    """Payloads and headers of tokens by the names under which the filter leaves them, beside `payloads`.

    Of providers of `palisade.identity` it is taken on trust that the token is valid: its payload is known.
    """
    found: dict[str, Any] = {}
    for provider in config.providers.values():
        for token in _tokens(provider, headers):
            if not provider.payload_in_metadata:
                why = _unproven(provider, token)
                if why:
                    found[provider.failed_status_in_metadata] = {"message": why}
                continue
            claims = payloads.get(provider.payload_in_metadata)
            if claims is None and provider.payload_in_metadata.startswith(OWN):
                claims = _claims(provider, token)
                if claims is not None:
                    found[provider.payload_in_metadata] = claims
            header = _header(token)
            if claims is not None and header is not None and provider.header_in_metadata:
                found.setdefault(provider.header_in_metadata, header)
    return found


def _tokens(provider: JwtProvider, headers: Mapping[str, str]) -> Iterator[str]:
    found: list[str] = []
    for source in provider.from_headers:
        value = headers.get(source.name, "")
        if value.startswith(source.value_prefix):
            found.append(value[len(source.value_prefix) :])
    query = parse_qsl(headers.get(":path", "").partition("?")[2], keep_blank_values=True)
    pairs = [each.strip().partition("=")[::2] for each in headers.get("cookie", "").split(";")]
    for names, known in ((provider.from_params, query), (provider.from_cookies, pairs)):
        for name in names:
            found += [value for each, value in known if each == name][:1]
    yield from (token for token in found if token.count(".") == _PARTS - 1)


def _header(token: str) -> dict[str, Any] | None:
    return _part(token.split(".")[0])


def _part(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(_decoded(text), parse_int=_whole, parse_float=_double, parse_constant=_double)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _double(digits: str) -> float:
    """A number as Envoy takes it. Raises ValueError for one that is larger than all doubles: Envoy then takes
    nothing of the token."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is no double")
    return number


def _whole(digits: str) -> int:
    _double(digits)
    return int(digits)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _unproven(provider: JwtProvider, token: str) -> str:
    """Why the provider does not verify the token, as Envoy says it; empty where it does, or says more.

    https://github.com/envoyproxy/envoy/blob/v1.40.0/source/common/jwt/status.cc
    """
    header, payload, signature = token.split(".")
    head, claims = _part(header), _part(payload)
    if head is None:
        return ""
    algorithm = head.get("alg")
    if not isinstance(algorithm, str):
        return "Jwt header [alg] field is required and must be a string"
    if algorithm not in ALGORITHMS:
        return "Jwt header [alg] is not supported"
    if not isinstance(head.get("kid", ""), str):
        return "Jwt header [kid] field is not a string"
    if claims is None or not _is_usual(claims):
        return ""
    if _is_of_another(provider, claims):
        return "Jwt issuer is not configured"
    try:
        keys = verification_keys(provider.local_jwks.inline_string)
        signed = _decoded(signature)
    except (BuiltinError, ValueError):
        return ""
    fitting = [key for key in keys if key.algorithm in ("", algorithm)]
    if not fitting:
        return "Jwks doesn't have key to match kid or alg from Jwt"
    message = f"{header}.{payload}".encode()
    proven = any(jws.verify(key.key, algorithm, message, signed) for key in fitting)
    return "" if proven else "Jwt verification fails"


def _is_of_another(provider: JwtProvider, claims: dict[str, Any]) -> bool:
    return bool(provider.issuer) and claims.get("iss") != provider.issuer


def _is_usual(claims: dict[str, Any]) -> bool:
    """Whether the claims that Envoy looks at are of their types."""
    texts, times = ([claims[name] for name in names if name in claims] for names in _LOOKED_AT)
    audience = claims.get("aud", [])
    numbers = all(type(each) in (int, float) and each >= 0 for each in times)
    audiences = audience if isinstance(audience, list) else [audience]
    return numbers and all(isinstance(each, str) for each in (*texts, *audiences))


_LOOKED_AT = (("iss", "sub", "jti"), ("exp", "nbf", "iat"))


def _claims(provider: JwtProvider, token: str) -> dict[str, Any] | None:
    """The claims of a token that one of the provider's keys has signed, and that is valid now."""
    header, payload, signature = token.split(".")
    head, claims = _part(header), _part(payload)
    if head is None or claims is None:
        return None
    try:
        keys = verification_keys(provider.local_jwks.inline_string)
        signed = _decoded(signature)
    except (BuiltinError, ValueError):
        return None
    if _is_of_another(provider, claims):
        return None
    algorithm, named = str(head.get("alg")), head.get("kid")
    fitting = [
        key for key in keys if key.algorithm in ("", algorithm) and named in (None, key.key_id or named)
    ]
    message = f"{header}.{payload}".encode()
    if not any(jws.verify(key.key, algorithm, message, signed) for key in fitting):
        return None
    return claims if _is_timely(claims, provider.clock_skew_seconds) else None


def _is_timely(claims: dict[str, Any], skew: int) -> bool:
    now = time.time()
    for name, sign in (("exp", 1), ("nbf", -1)):
        moment = claims.get(name)
        if isinstance(moment, int | float) and not isinstance(moment, bool) and sign * (now - moment) > skew:
            return False
    return True
