"""What never reaches a decision log: tokens, credentials and bodies.

As in OPA, a field that is removed is named under `erased` and one that is replaced under `masked`, both
by its JSON pointer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import re2

from palisade.decide.event import Event
from palisade.rego.builtins.operands import from_bytes, to_bytes

REDACTED = "**REDACTED**"

HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "x-auth-token",
        "x-access-token",
        "x-csrf-token",
        "x-xsrf-token",
        "x-amz-security-token",
        "x-amzn-oidc-data",
        "x-amzn-oidc-accesstoken",
        "x-forwarded-access-token",
        "x-forwarded-client-cert",
        "x-goog-iap-jwt-assertion",
        "cf-access-jwt-assertion",
    }
)

PARAMETERS = frozenset(
    {
        "access_token",
        "id_token",
        "refresh_token",
        "token",
        "jwt",
        "assertion",
        "client_assertion",
        "client_secret",
        "code",
        "api_key",
        "apikey",
        "key",
        "secret",
        "password",
        "passwd",
        "pwd",
        "sig",
        "signature",
        "x-amz-signature",
        "x-amz-credential",
        "x-amz-security-token",
        "sessionid",
        "session",
    }
)

# A net under everything else: what looks like a JWT, or follows an authentication scheme, wherever it stands.
# A JWT begins with an object in JSON: a brace and a name, or space between the two. A URL may escape dots.
#
# Whoever sends a request writes these texts, so the time for them must grow with their length and no faster,
# or one request holds up the engine for all. RE2 keeps to that by itself.
_PART, _DOT = "[A-Za-z0-9_-]", r"(?:\.|%2[Ee])"
_TWO = rf"(?:eyJ{_PART}{{5,}}{_DOT}{_PART}{{5,}}|\be(?:yA|w[0o]){_PART}{{14,}}{_DOT}{_PART}{{14,}})"
_JWT = rf"{_TWO}(?:{_DOT}{_PART}*){{0,3}}"
_TOKEN = re2.compile(
    (
        rf"{_JWT}|(\b[Bb]earer )(?:{_JWT}|[A-Za-z0-9._~+/-]{{8,}}=*)"
        rf"|(\b[Bb]asic )(?:{_JWT}|[A-Za-z0-9+/]{{8,}}=*)"
    ).encode()
)
_SIGN = re2.compile(b"eyJ|earer |asic |eyA|ewo|ew0")
"""One of these stands in each text that has something to replace: to find none costs less than to search."""
_PAIR = re.compile(r"(?<=[?&])([^=&#]*+)(?:=([^&#]*+))?")
"""A name, and its value if it has one: names without are taken too, so that each character is read once."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Which headers and query parameters are secret, in lower case, beside bodies, which always are."""

    headers: frozenset[str] = HEADERS
    parameters: frozenset[str] = PARAMETERS

    def also(
        self, *, headers: frozenset[str] = frozenset(), parameters: frozenset[str] = frozenset()
    ) -> Mask:
        """A mask that hides these too: where the identity providers of a policy set read tokens from."""
        return Mask(
            self.headers | {name.lower() for name in headers},
            self.parameters | {name.lower() for name in parameters},
        )

    def apply(self, event: Event) -> Event:
        """The event without its secrets. The one given stays as it is, and so does the input in it."""
        return _Masking(self).event(event)


def scrub(text: str) -> str:
    """The text with everything that looks like a token replaced."""
    line = to_bytes(text)
    return text if _SIGN.search(line) is None else from_bytes(scrub_line(line))


def scrub_line(line: bytes) -> bytes:
    """What `scrub` does, for UTF-8; the line itself where there is nothing to replace."""
    return line if _SIGN.search(line) is None else _TOKEN.sub(_scrubbed, line)


def _scrubbed(match: Any) -> bytes:
    scheme: bytes = match[1] or match[2] or b""
    return scheme + REDACTED.encode()


class _Masking:
    """The masking of one event, and the lists of what it did. Only what holds a secret is copied."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.erased: list[str] = []
        self.masked: list[str] = []

    def event(self, event: Event) -> Event:
        copy = dict(event)
        self.erased += copy.get("erased", ())
        if _is_object(copy.get("input")):
            copy["input"] = self._input(copy["input"])
        if _is_object(copy.get("result")):
            copy["result"] = self._result(copy["result"])
        if self.erased:
            copy["erased"] = self.erased
        if self.masked:
            copy["masked"] = self.masked
        return copy

    def _input(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        document = self._without(document, ("parsed_body",), "/input")
        if document.get("parsed_query"):
            query = self._query(document["parsed_query"])
            if query is not document["parsed_query"]:
                document = {**document, "parsed_query": query}
        attributes = document.get("attributes")
        if not _is_object(attributes) or not _is_object(request := attributes.get("request")):
            return document
        http = request.get("http")
        if not _is_object(http) or (shown := self._http(http)) is http:
            return document
        return {**document, "attributes": {**attributes, "request": {**request, "http": shown}}}

    def _http(self, http: Mapping[str, Any]) -> Mapping[str, Any]:
        place = "/input/attributes/request/http"
        http = self._without(http, ("body", "rawBody"), place)
        if "headers" in http:
            headers = self._headers(http["headers"], f"{place}/headers")
            if headers is not http["headers"]:
                http = {**http, "headers": headers}
        path = http.get("path")
        if isinstance(path, str) and "?" in path:
            http = {**http, "path": self._target(path, f"{place}/path")}
        return http

    def _result(self, result: Mapping[str, Any]) -> Event:
        copy = dict(self._without(result, ("body",), "/result"))
        for name in ("headers", "response_headers_to_add"):
            groups, place = copy.get(name), f"/result/{name}"
            if isinstance(groups, list):
                copy[name] = [self._headers(group, f"{place}/{at}") for at, group in enumerate(groups)]
            elif groups is not None:
                copy[name] = self._headers(groups, place)
        return copy

    def _headers(self, headers: Any, place: str) -> Any:
        if not _is_object(headers):
            # A policy returned what are no headers; there is no telling what is secret in them.
            self.masked.append(place)
            return REDACTED
        secret = self.mask.headers
        changed: dict[str, Any] = {}
        erased = []
        for name, value in headers.items():
            if name in secret or name.lower() in secret:
                if value is not None:
                    erased.append(name)
            # `:path` is one of them, and `referer` and `location` are URLs too
            elif (type(value) is str and "?" in value) or type(value) is list:
                after = self._target(value, f"{place}/{escape(name)}")
                if after is not value:
                    changed[name] = after
        if not erased and not changed:
            return headers
        copy = {**headers, **changed}
        for name in erased:
            del copy[name]
            self.erased.append(f"{place}/{escape(name)}")
        return copy

    def _without(self, document: Mapping[str, Any], names: tuple[str, ...], place: str) -> Mapping[str, Any]:
        found = [name for name in names if document.get(name) is not None]
        if not found:
            return document
        copy = dict(document)
        for name in found:
            del copy[name]
            self.erased.append(f"{place}/{escape(name)}")
        return copy

    def _query(self, query: Mapping[str, Any]) -> Mapping[str, Any]:
        secret = [name for name in query if name.lower() in self.mask.parameters]
        if not secret:
            return query
        self.masked.extend(f"/input/parsed_query/{escape(name)}" for name in secret)
        return {**query, **{name: [REDACTED] for name in secret}}

    def _target(self, value: str | list[Any], place: str) -> str | list[Any]:
        """A URL, or each in a list, with its secret parameters masked; the value itself where it has none."""
        after: str | list[Any]
        if isinstance(value, str):
            after = self._url(value)
        else:
            after = [self._url(each) if isinstance(each, str) else each for each in value]
        if after == value:
            return value
        self.masked.append(place)
        return after

    def _url(self, text: str) -> str:
        return _PAIR.sub(self._pair, text) if "?" in text else text

    def _pair(self, match: re.Match[str]) -> str:
        secret = match[2] is not None and match[1].lower() in self.mask.parameters
        return f"{match[1]}={REDACTED}" if secret else match[0]


def _is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return type(value) is dict or isinstance(value, Mapping)  # the first is many times faster


def escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")  # RFC 6901
