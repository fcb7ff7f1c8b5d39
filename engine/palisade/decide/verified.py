"""The names under which Envoy's JWT filter leaves what it made of a request's tokens.

They tell by which settings it looked: `corp!1f2e3d4c5b6a` has the claims of a token that the provider
`corp` of those settings has verified, and `@!1f2e3d4c5b6a` is there where some provider of theirs found none
that is valid. Filters change one after the other, so a request may meet the JWT filter of one revision and
the rules of another, which may believe other issuers: rules take claims only under the names of their own
settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

from palisade.policy.providers import Cookie, Header, Query, TokenSource

OWN = "@"
"""What the names there begin with of all that is no provider's."""

_BY = "!"
"""No provider's name has it, and it comes before all characters of theirs: so the order of names stays."""


def name_of(provider: str, settings: str) -> str:
    """The name under which the claims of a provider's token are left."""
    return f"{provider}{_BY}{settings}"


def failed(settings: str) -> str:
    """The name under which it is left that a provider has verified no token."""
    return f"{OWN}{_BY}{settings}"


def provider_of(name: str) -> str:
    """The provider whose claims have such a name."""
    return name.partition(_BY)[0]


def settings_of(names: Iterable[str]) -> str:
    """The settings by which a filter looked that left these names; empty where none did."""
    for each in names:
        provider, _, settings = each.partition(_BY)
        if settings and (provider == OWN or not provider.startswith(OWN)):
            return settings
    return ""


def would_look(places: Iterable[TokenSource], headers: Mapping[str, str], target: str) -> bool:
    """Whether a filter that looks for tokens at these places finds something at one of them. It would leave
    one of the names above, so where there is none, another filter has looked, or none at all."""
    return any(_found(place, headers, target) for place in places)


def _found(place: TokenSource, headers: Mapping[str, str], target: str) -> bool:
    match place:
        case Header(name, prefix):
            return prefix in headers.get(name, "") if prefix else name in headers
        case Cookie(name):
            cookies = headers.get("cookie", "").split(";")
            return any(each.lstrip(" ").startswith(f"{name}=") for each in cookies)
        case Query(name):
            pairs = parse_qsl(urlsplit(target).query, keep_blank_values=True)
            return any(each == name for each, _ in pairs)
