"""What never reaches a decision log: tokens, credentials and bodies.

As in OPA, a field that is removed is named under `erased` and one that is replaced under `masked`, both
by its JSON pointer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from palisade.decide.event import Event

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
_TOKEN = re.compile(
    r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,3}"
    r"|(?<=\b[Bb]earer )[A-Za-z0-9._~+/-]{8,}=*|(?<=\b[Bb]asic )[A-Za-z0-9+/]{8,}=*"
)
_PAIR = re.compile(r"(?<=[?&])([^=&#]*)=([^&#]*)")


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
    return _TOKEN.sub(REDACTED, text) if "eyJ" in text or "earer " in text or "asic " in text else text


class _Masking:
    """The masking of one event, and the lists of what it did."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.erased: list[str] = []
        self.masked: list[str] = []

    def event(self, event: Event) -> Event:
        copy = dict(event)
        if isinstance(copy.get("input"), Mapping):
            copy["input"] = self._input(copy["input"])
        if isinstance(copy.get("result"), Mapping):
            copy["result"] = self._result(copy["result"])
        if self.erased:
            copy["erased"] = self.erased
        if self.masked:
            copy["masked"] = self.masked
        return copy

    def _input(self, document: Mapping[str, Any]) -> Event:
        copy = self._without(document, ("parsed_body",), "/input")
        if "parsed_query" in copy:
            copy["parsed_query"] = self._query(copy["parsed_query"])
        return _replace(copy, ("attributes", "request", "http"), self._http)

    def _http(self, http: Mapping[str, Any]) -> Event:
        place = "/input/attributes/request/http"
        copy = self._without(http, ("body", "rawBody"), place)
        if "headers" in copy:
            copy["headers"] = self._headers(copy["headers"], f"{place}/headers")
        if "path" in copy:
            self._target(copy, "path", place)
        return copy

    def _result(self, result: Mapping[str, Any]) -> Event:
        copy = self._without(result, ("body",), "/result")
        for name in ("headers", "response_headers_to_add"):
            groups, place = copy.get(name), f"/result/{name}"
            if isinstance(groups, list):
                copy[name] = [self._headers(group, f"{place}/{at}") for at, group in enumerate(groups)]
            elif groups is not None:
                copy[name] = self._headers(groups, place)
        return copy

    def _headers(self, headers: Any, place: str) -> Any:
        if not isinstance(headers, Mapping):
            # A policy returned what are no headers; there is no telling what is secret in them.
            self.masked.append(place)
            return REDACTED
        secret = [name for name in headers if name.lower() in self.mask.headers]
        copy = self._without(headers, secret, place)
        for name in copy:
            self._target(
                copy, name, place
            )  # `:path` is one of them, and `referer` and `location` are URLs too
        return copy

    def _without(self, document: Mapping[str, Any], names: Any, place: str) -> Event:
        copy = dict(document)
        for name in names:
            if copy.get(name) is not None:
                del copy[name]
                self.erased.append(f"{place}/{_escape(name)}")
        return copy

    def _query(self, query: Mapping[str, Any]) -> Event:
        secret = [name for name in query if name.lower() in self.mask.parameters]
        self.masked.extend(f"/input/parsed_query/{_escape(name)}" for name in secret)
        return {**query, **{name: [REDACTED] for name in secret}}

    def _target(self, document: Event, name: str, place: str) -> None:
        """Mask the secret parameters of a URL, or of each in a list."""
        before = document[name]
        if isinstance(before, str):
            if "?" not in before:
                return
            after: Any = self._url(before)
        elif isinstance(before, list):
            after = [self._url(each) if isinstance(each, str) else each for each in before]
        else:
            return
        if after != before:
            document[name] = after
            self.masked.append(f"{place}/{_escape(name)}")

    def _url(self, text: str) -> str:
        return _PAIR.sub(self._pair, text) if "?" in text else text

    def _pair(self, match: re.Match[str]) -> str:
        return f"{match[1]}={REDACTED}" if match[1].lower() in self.mask.parameters else match[0]


def _replace(document: Event, path: tuple[str, ...], change: Callable[[Event], Event]) -> Event:
    """A copy of the document in which the object at `path`, if there is one, is changed."""
    head, *rest = path
    inner = document.get(head)
    if not isinstance(inner, Mapping):
        return document
    changed = change(dict(inner)) if not rest else _replace(dict(inner), tuple(rest), change)
    return {**document, head: changed}


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")  # RFC 6901
