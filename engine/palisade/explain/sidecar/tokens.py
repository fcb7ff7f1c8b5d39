"""What Envoy's JWT filter leaves of tokens that the policy verifies itself, and of tokens' headers.

https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/jwt_authn_filter
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication, JwtProvider

_ALGORITHMS = {
    "oct": ["HS256", "HS384", "HS512"],
    "RSA": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "EC": ["ES256", "ES384", "ES512"],
    "OKP": ["EdDSA"],
}
_PARTS = 3


def verified(
    config: JwtAuthentication, headers: Mapping[str, str], payloads: Mapping[str, Any]
) -> dict[str, Any]:
    """Payloads and headers of tokens by the names under which the filter leaves them, beside `payloads`.

    Of a provider with an issuer it is taken on trust that its token is valid: its payload is known.
    """
    found: dict[str, Any] = {}
    for provider in config.providers.values():
        for token in _tokens(provider, headers):
            claims = payloads.get(provider.payload_in_metadata)
            if claims is None and not provider.issuer:
                claims = _claims(provider, token)
                if claims is not None:
                    found[provider.payload_in_metadata] = claims
            header = _header(token)
            if claims is not None and header is not None and provider.header_in_metadata:
                found.setdefault(provider.header_in_metadata, header)
    return found


def _tokens(provider: JwtProvider, headers: Mapping[str, str]) -> Iterator[str]:
    for source in provider.from_headers:
        value = headers.get(source.name, "")
        if value.startswith(source.value_prefix):
            token = value[len(source.value_prefix) :]
            if token.count(".") == _PARTS - 1:
                yield token


def _header(token: str) -> dict[str, Any] | None:
    try:
        return jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        return None


def _claims(provider: JwtProvider, token: str) -> dict[str, Any] | None:
    """The claims of a token that one of the provider's keys has signed, and that is valid now."""
    options = {"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False}
    kid = (_header(token) or {}).get("kid")
    for key in json.loads(provider.local_jwks.inline_string).get("keys", []):
        if kid is not None and key.get("kid", kid) != kid:
            continue
        algorithms = [key["alg"]] if "alg" in key else _ALGORITHMS.get(key.get("kty", ""), [])
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm=algorithms[0]),
                algorithms=algorithms,
                options=options,  # type: ignore[arg-type]  # PyJWT knows more options than its types do
                leeway=provider.clock_skew_seconds,
            )
        except (jwt.PyJWTError, IndexError):
            continue
        return claims
    return None
