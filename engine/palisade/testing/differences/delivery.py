"""What becomes of a request on its way through a sidecar: the input that a policy is asked with.

Only requests that Envoy delivers as they are spelled count. What it refuses or respells reaches no policy in
that form (docs/decisions/static-listener.md), and a difference on it would be none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from palisade.decide.input import JWT_METADATA, InputError, to_input
from palisade.enforce.envoy.regex.paths import CLEAN_PATH
from palisade.policy.providers import Provider
from palisade.rego.text import dumps
from palisade.rego.values import Value
from palisade.testing.equivalence.callers import named, principal
from palisade.testing.equivalence.requests import Request, Token
from palisade.testing.equivalence.tokens import EXPIRES, OF_ISSUERS, Signer, carried

_CLEAN = re.compile(CLEAN_PATH)
_RESPELLED = re.compile(r"//|/\.{1,2}(?:/|$)")
_METHOD = re.compile(r"[A-Z]+")
_OWN = re.compile(r".*_.*|x-envoy-.*|x-forwarded-.*|x-request-id|content-length|connection|te|upgrade")
"""Headers that Envoy drops or sets itself, whatever a client sends."""
_TEXT = re.compile(r"[\t -~\x80-\ud7ff\ue000-\U0010ffff]*")
_COMMON = re.compile(r"|[\w.:/@-]|[\w.:/@-][\w.:/@ -]*[\w.:/@-]", re.ASCII)
"""Common names that a subject holds as they are: others it escapes (RFC 2253, section 2.4)."""
_DOT = re.compile(r"\.(?=(?::[^.]*)?\Z)")
"""The dot behind a host's name, which Envoy takes away."""
_ID = "00000000-0000-4000-8000-000000000000"


def plain(request: Request) -> Request | None:
    """The request without what no policy sees; None for one that Envoy refuses or respells."""
    target = request.target
    path = target.partition("?")[0]
    if not _METHOD.fullmatch(request.method) or not _TEXT.fullmatch(target) or "#" in target:
        return None
    if not _CLEAN.fullmatch(path) or _RESPELLED.search(path):
        return None
    headers = []
    for name, value in request.headers:
        if not _TEXT.fullmatch(value) or (name.lower() == "host" and not value.strip()):
            return None
        if not _OWN.fullmatch(name.lower()):
            headers.append((name.lower(), value.strip(" \t")))
    if request.token is not None and not _is_text(dumps(request.token.claims)):
        return None
    caller = request.caller
    if caller is not None:
        caller = named(principal(caller))
        if not _COMMON.fullmatch(caller.common_name):
            return None
    return replace(request, headers=tuple(headers), caller=caller)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def delivered(
    request: Request, function: str, issuers: Mapping[str, Signer], *, tls: bool = False
) -> CheckRequest:
    """A plain request as the engine would be asked about it, but for whose token is believed. With `tls` the
    caller has shown a certificate."""
    target, carrying = carried(request, issuers)
    headers: dict[str, str] = {}
    for name, value in (*request.headers, *carrying):
        between = "; " if name == "cookie" and request.http2 else ","
        headers[name] = f"{headers[name]}{between}{value}" if name in headers else value
    message = CheckRequest()
    http = message.attributes.request.http
    http.method, http.path, http.host = request.method, target, _DOT.sub("", headers.pop("host", function))
    http.scheme = "https" if tls else "http"
    http.protocol = "HTTP/2" if request.http2 else "HTTP/1.1"
    http.headers.update({**headers, "x-forwarded-proto": http.scheme, "x-request-id": _ID})
    http.headers.update({":method": http.method, ":path": target})
    http.headers.update({":authority": http.host, ":scheme": http.scheme})
    if request.body:
        http.raw_body = request.body.encode("utf-8", "surrogateescape")
        http.size = len(http.raw_body)
        if not request.chunked and not request.http2:  # nothing tells these how long they are
            http.headers["content-length"] = str(http.size)
    message.attributes.request.time.GetCurrentTime()
    place = message.attributes.source.address.socket_address
    place.address, place.port_value = request.source, 40_000
    if tls and request.caller is not None:
        message.attributes.source.principal = principal(request.caller)
    return message


def document(
    message: CheckRequest,
    function: str,
    token: Token | None,
    signer: Provider | None,
    providers: Iterable[Provider],
) -> Value | None:
    """The input where these providers verify tokens, one of which the signer's provider has signed.

    None where none can be made of the request.
    """
    asked = CheckRequest()
    asked.CopyFrom(message)
    if token is not None and signer is not None and _sound(token):
        claims = claims_of(token, signer)
        for each in providers:
            if _believes(each, signer, claims):
                payload = asked.attributes.metadata_context.filter_metadata[JWT_METADATA]
                payload.get_or_create_struct(each.name).update(claims)
    try:
        return to_input(asked, function)
    except InputError:
        return None


def claims_of(token: Token, signer: Provider) -> dict[str, Any]:
    """All that a token says."""
    own: dict[str, Any] = {"iss": signer.issuer, "exp": EXPIRES}
    if signer.audiences:
        own["aud"] = signer.audiences[0]
    return {**own, **token.claims, **({"aud": "another-audience"} if token.foreign else {})}


_CHECKED = frozenset(("exp", "nbf", "iat"))
_STRINGS = ("sub", "jti")


def _sound(token: Token) -> bool:
    """Whether Envoy may believe it. Times other than those of all tokens here are not looked at closely."""
    strings = all(isinstance(token.claims.get(name, ""), str) for name in _STRINGS)
    signed = not token.spoiled and token.named in ("", OF_ISSUERS)
    return strings and signed and _CHECKED.isdisjoint(token.claims)


def _believes(provider: Provider, signer: Provider, claims: Mapping[str, Any]) -> bool:
    """Whether a provider takes what was signed for another: that has its keys, issuer, audience and place."""
    audiences = claims.get("aud", [])
    named = audiences if isinstance(audiences, list) else [audiences]
    return (
        provider.keys == signer.keys
        and claims.get("iss") == provider.issuer
        and (not provider.audiences or any(each in provider.audiences for each in named))
        and signer.tokens[0] in provider.tokens
    )
