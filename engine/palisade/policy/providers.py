"""The document `data.palisade.identity.providers`: which OIDC issuers are believed, how their tokens arrive.

```rego
providers := {"corp": {
    "issuer": "https://login.corp.example",     # compared with the claim `iss`, character by character
    "audiences": ["orders"],                    # one of them must be in `aud`; or "any_audience": true
    "jwks_uri": "https://login.corp.example/keys",
    "tokens": [{"header": "authorization", "prefix": "Bearer "}, {"cookie": "session"}, {"query": "token"}],
    "clock_skew_seconds": 60,
}}
```

The keys come from `jwks_uri`, from `jwks` (a JSON Web Key Set, RFC 7517), or, where neither stands, from what
`discovery_url` says: by default the issuer's OpenID configuration (OpenID Connect Discovery 1.0, section 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from palisade.policy.jwks import usable
from palisade.policy.source import did_you_mean
from palisade.rego.text import dumps
from palisade.rego.values import Set, Value, type_name

DOCUMENT = "data.palisade.identity.providers"
_FIELDS = {
    "issuer",
    "audiences",
    "any_audience",
    "jwks",
    "jwks_uri",
    "discovery_url",
    "tokens",
    "clock_skew_seconds",
    "cache_seconds",
    "forward",
}
_WELL_KNOWN = "/.well-known/openid-configuration"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a token of RFC 9110, section 5.6.2


@dataclass(frozen=True, slots=True)
class Discovery:
    """Keys from the `jwks_uri` of the OpenID configuration at `url`."""

    url: str


@dataclass(frozen=True, slots=True)
class RemoteKeys:
    """Keys from a JSON Web Key Set at `url`."""

    url: str


@dataclass(frozen=True, slots=True)
class InlineKeys:
    """Keys that the policy holds itself: `jwks` is the JSON text of a JSON Web Key Set."""

    jwks: str


Keys: TypeAlias = Discovery | RemoteKeys | InlineKeys


@dataclass(frozen=True, slots=True)
class Header:
    """A header whose value is the prefix and the token. `name` is in lower case."""

    name: str = "authorization"
    prefix: str = "Bearer "


@dataclass(frozen=True, slots=True)
class Cookie:
    name: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter."""

    name: str


TokenSource: TypeAlias = Header | Cookie | Query


@dataclass(frozen=True, slots=True)
class Provider:
    """One issuer of tokens."""

    name: str
    issuer: str
    audiences: tuple[str, ...]
    """Empty only where the policy says `any_audience`."""
    keys: Keys
    tokens: tuple[TokenSource, ...] = (Header(),)
    clock_skew_seconds: int = 60
    cache_seconds: int = 15
    """How long fetched keys are used before they are fetched anew."""
    forward: bool = True
    """Whether the function sees the token too."""


class ProvidersError(ValueError):
    """Everything that is wrong with a providers document, each with the path of the value."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


def read(document: Value) -> tuple[Provider, ...]:
    """The providers of a document, by name in order. Raises ProvidersError."""
    reader = _Reader()
    providers = reader.providers(document)
    if reader.errors:
        raise ProvidersError(reader.errors)
    return providers


class _Reader:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def providers(self, document: Value) -> tuple[Provider, ...]:
        if not isinstance(document, dict):
            self._error("", f"must be an object of providers by name, not of type {type_name(document)}")
            return ()
        providers = []
        for name in sorted(document, key=str):
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", name):
                self._error(str(name), "a provider's name has up to 63 letters, digits, '-', '_' and '.'")
                continue
            providers.append(self._provider(name, document[name]))
        issuers: dict[str, str] = {}
        for each in providers:
            # Two providers of one issuer would accept each other's tokens; no policy could tell them apart.
            if each.issuer and each.issuer in issuers:
                self._error(
                    f"{each.name}.issuer", f"is the issuer of '{issuers[each.issuer]}' too: join the two"
                )
            issuers[each.issuer] = each.name
        return tuple(providers)

    def _provider(self, name: str, value: Value) -> Provider:
        fields = self._object(name, value, _FIELDS)
        issuer = self._string(f"{name}.issuer", fields.get("issuer"))
        tokens = self._tokens(f"{name}.tokens", fields["tokens"]) if "tokens" in fields else (Header(),)
        return Provider(
            name=name,
            issuer=issuer,
            audiences=self._audiences(name, fields),
            keys=self._keys(name, issuer, fields),
            tokens=tokens,
            clock_skew_seconds=self._seconds(name, "clock_skew_seconds", fields, 60, 0, 3600),
            cache_seconds=self._seconds(name, "cache_seconds", fields, 15, 1, 86_400),
            forward=self._forward(f"{name}.forward", fields.get("forward", True), tokens),
        )

    def _forward(self, path: str, value: Value, tokens: Iterable[TokenSource]) -> bool:
        forward = self._boolean(path, value)
        # Envoy 1.40 leaves cookies as they are. Out of a query it takes a token by writing all other
        # parameters decoded: a line end among them would begin another request, and another line of the log.
        if value is False and not all(isinstance(each, Header) for each in tokens):
            why = "is false, but only of a header can a token be kept from the function"
            self._error(path, f"{why}: leave forward out, or name headers only in tokens")
        return forward

    def _audiences(self, name: str, fields: Mapping[str, Value]) -> tuple[str, ...]:
        anyone = self._boolean(f"{name}.any_audience", fields.get("any_audience", False))
        audiences = self._strings(f"{name}.audiences", fields.get("audiences", []))
        if anyone and audiences:
            self._error(f"{name}.any_audience", "contradicts the audiences: keep one of the two")
        if not anyone and not audiences and not isinstance(fields.get("audiences"), str):
            hint = 'name what stands in the claim "aud" of your tokens; or say "any_audience": true'
            why = "is missing: a token made for another service would pass"
            self._error(f"{name}.audiences", f"{why}; {hint}")
        return audiences

    def _keys(self, name: str, issuer: str, fields: Mapping[str, Value]) -> Keys:
        given = [key for key in ("jwks", "jwks_uri", "discovery_url") if key in fields]
        if len(given) > 1:
            self._error(name, f"has {' and '.join(given)}: keep one of them")
        if "jwks" in fields:
            return InlineKeys(self._jwks(f"{name}.jwks", fields["jwks"]))
        if "jwks_uri" in fields:
            return RemoteKeys(self._url(f"{name}.jwks_uri", fields["jwks_uri"]))
        if "discovery_url" in fields:
            return Discovery(self._url(f"{name}.discovery_url", fields["discovery_url"]))
        if issuer and urlsplit(issuer).scheme not in ("http", "https"):
            hint = "add jwks_uri, jwks or discovery_url"
            self._error(f"{name}.issuer", f"{dumps(issuer)} is no URL to discover keys at: {hint}")
        return Discovery(issuer.rstrip("/") + _WELL_KNOWN)

    def _jwks(self, path: str, value: Value) -> str:
        keys = value.get("keys") if isinstance(value, dict) else None
        if not isinstance(keys, list) or not all(isinstance(each, dict) and "kty" in each for each in keys):
            self._error(path, 'must be a JSON Web Key Set: {"keys": [{"kty": ...}, ...]}')
        elif any("d" in each for each in keys):
            self._error(path, "holds a private key: a policy needs the public half only")
        else:
            found = usable(value)
            if found is not None:
                return found
            self._error(
                path, "holds no key that can verify a token: RSA, EC (P-256, P-384, P-521) or Ed25519"
            )
        return ""

    def _tokens(self, path: str, value: Value) -> tuple[TokenSource, ...]:
        if not isinstance(value, list) or not value:
            self._error(path, 'must be a list such as [{"header": "authorization", "prefix": "Bearer "}]')
            return (Header(),)
        return tuple(self._token(f"{path}[{index}]", each) for index, each in enumerate(value))

    def _token(self, path: str, value: Value) -> TokenSource:
        fields = self._object(path, value, {"header", "prefix", "cookie", "query"})
        kinds = [kind for kind in ("header", "cookie", "query") if kind in fields]
        if len(kinds) != 1:
            self._error(path, "names where the token is: exactly one of header, cookie, query")
            return Header()
        [kind] = kinds
        name = self._string(f"{path}.{kind}", fields[kind])
        if name and kind != "query" and not _HEADER_NAME.fullmatch(name):
            self._error(f"{path}.{kind}", f"{dumps(name)} cannot name a {kind}")
        if kind == "header":
            lower = name.lower()
            prefix = fields.get("prefix", "Bearer " if lower == "authorization" else "")
            if not isinstance(prefix, str):
                self._error(f"{path}.prefix", "must be a string")
                prefix = ""
            return Header(lower, prefix)
        if "prefix" in fields:
            self._error(f"{path}.prefix", f"belongs to a header; the value of a {kind} is the token itself")
        return Cookie(name) if kind == "cookie" else Query(name)

    # Values -----------------------------------------------------------------------------------------

    def _object(self, path: str, value: Value, known: set[str]) -> dict[str, Value]:
        if not isinstance(value, dict):
            self._error(path, f"must be an object, not of type {type_name(value)}")
            return {}
        for key in value.keys() - known:
            self._error(f"{path}.{key}", f"is unknown: {did_you_mean(str(key), known)}")
        return value

    def _string(self, path: str, value: Value) -> str:
        if isinstance(value, str) and value:
            return value
        self._error(path, "is missing" if value is None else "must be a string that is not empty")
        return ""

    def _strings(self, path: str, value: Value) -> tuple[str, ...]:
        items = list(value) if isinstance(value, list | Set) else None
        if items is None or not all(isinstance(item, str) and item for item in items):
            self._error(path, 'must be an array of strings, such as ["orders"]')
            return ()
        return tuple(sorted(set(items)))

    def _boolean(self, path: str, value: Value) -> bool:
        if not isinstance(value, bool):
            self._error(path, f"must be true or false, not of type {type_name(value)}")
            return False
        return value

    def _seconds(
        self, name: str, key: str, fields: Mapping[str, Value], default: int, lowest: int, highest: int
    ) -> int:
        value = fields.get(key, default)
        if type(value) is not int or not lowest <= value <= highest:
            self._error(f"{name}.{key}", f"must be a whole number from {lowest} to {highest}")
            return default
        return value

    def _url(self, path: str, value: Value) -> str:
        text = self._string(path, value)
        try:
            parts = urlsplit(text)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if text and not usable:
            self._error(path, f"{dumps(text)} is no URL: write https://HOST/PATH")
        return text

    def _error(self, path: str, message: str) -> None:
        self.errors.append(f"{DOCUMENT}.{path}: {message}" if path else f"{DOCUMENT}: {message}")
