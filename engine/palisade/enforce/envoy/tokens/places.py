"""Where a policy finds tokens: behind a prefix in a header, in a query parameter, or in a cookie.

A policy and Envoy's JWT filter find a token in many ways, which agree where it stands as clients write it. So
each place tells, by patterns of the whole text around it, when that is so (`usual`).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

from palisade.enforce.envoy.matchers.predicate import (
    Predicate,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.regex import paths, patterns
from palisade.enforce.envoy.values.sources import TARGET_TEXT
from palisade.policy.providers import Cookie, Header, Query, TokenSource

_PART = r"[A-Za-z0-9_-]+"
_TOKEN = rf"{_PART}\.{_PART}\.{_PART}"
_CLAIMING = rf"{_PART}\.e[w-z0-9_-]{_PART}\.{_PART}"
"""What has an object in JSON for its claims: begins with the encoding of a brace."""
_ANY = r"[A-Za-z0-9_.-]*"
"""Any of the characters of a token."""
_NO_BASE64 = "([A-Za-z0-9_-]{4})*[A-Za-z0-9_-]"
"""No number of bytes has so many characters: five, or nine, or thirteen."""
_AROUND = (("", f"\\.{_ANY}"), (f"{_PART}\\.", f"\\.{_ANY}"), (f"{_ANY}\\.", ""))
_NO_OBJECT = "([ABE-HJ-Za-df-z0-9_-]|e[A-Za-v])"
"""What the encoding of an object in JSON does not begin with: of `{`, or of space before it."""
_MISSHAPEN = f"({'|'.join(f'{before}{_NO_BASE64}{behind}' for before, behind in _AROUND)}|{_NO_OBJECT}{_ANY})"
_UNSIGNED = rf"{_PART}\.{_PART}\."


def _signed(characters: int) -> str:
    return f"{_ANY}\\.[A-Za-z0-9_-]{{{characters}}}"


class _Shaped:
    """What is told of a place by what its token looks like."""

    __slots__ = ()

    @property
    def usual(self) -> Predicate:
        """The token, or what looks like one, stands there once: all ways to take it out of what is around it
        agree."""
        return self._is(_TOKEN)

    @property
    def claiming(self) -> Predicate:
        """It is `usual`, and its claims are an object: `null` is one to Envoy, and no token to OPA."""
        return self._is(_CLAIMING)

    def signed(self, characters: int) -> Predicate:
        """The signature has so many characters, where the place is `usual`."""
        return self._is(_signed(characters))

    @property
    def misshapen(self) -> Predicate:
        """Where it is `usual`: a part is no Base64, or what it begins with is no object in JSON."""
        return self._is(_MISSHAPEN)

    @abstractmethod
    def _is(self, token: str) -> Predicate:
        """The place is written as usual, and what stands there matches."""


@dataclass(frozen=True, slots=True)
class Place(_Shaped):
    """The header that holds a token behind a prefix, `Bearer ` or nothing."""

    header: str
    prefix: str

    @property
    def source(self) -> TokenSource:
        """The same, as Envoy is told of it."""
        return Header(self.header, self.prefix)

    @property
    def words(self) -> str:
        """What the place is called."""
        return "the query" if self.header == ":path" else f"the header {self.header}"

    @property
    def filled(self) -> Predicate:
        """There may be something that a policy takes for the token."""
        return text_check(header_text(self.header), patterns.regex("(?s).*"))

    @property
    def no_token(self) -> Predicate:
        """Whatever a policy takes out of it is no token that is signed: it has fewer than two dots, or
        nothing behind the second one."""
        pattern = f"(?s)[^.]*(\\.[^.]*)?|{self.prefix}{_UNSIGNED}"
        return text_check(header_text(self.header), patterns.regex(pattern))

    def _is(self, token: str) -> Predicate:
        return text_check(header_text(self.header), patterns.regex(self.prefix + token))


@dataclass(frozen=True, slots=True)
class ParameterPlace(_Shaped):
    """The first value of a query parameter is the token; see `Place`."""

    name: str

    @property
    def source(self) -> TokenSource:
        """See `Place`, as of all that follows."""
        return Query(self.name)

    @property
    def words(self) -> str:
        return f"the parameter {self.name}"

    @property
    def filled(self) -> Predicate:
        named = text_check(TARGET_TEXT, patterns.regex(paths.parameter_exists(self.name)))
        return any_of((negate(_CLEAN_NAMES), named))

    @property
    def no_token(self) -> Predicate:
        # An escape may stand for a dot.
        few = self._is(rf"[^.%&]*(?:\.[^.%&]*)?|{_UNSIGNED}")
        empty = text_check(TARGET_TEXT, patterns.regex(paths.first_parameter_is(self.name, ("",))))
        return any_of((few, all_of((_CLEAN_NAMES, empty))))

    def _is(self, token: str) -> Predicate:
        pattern = paths.first_parameter_matching(self.name, token)
        return all_of((_CLEAN_NAMES, text_check(TARGET_TEXT, patterns.regex(pattern))))


@dataclass(frozen=True, slots=True)
class CookiePlace(_Shaped):
    """A cookie holds the token; see `Place`."""

    name: str

    @property
    def source(self) -> TokenSource:
        """See `Place`, as of all that follows."""
        return Cookie(self.name)

    @property
    def words(self) -> str:
        return f"the cookie {self.name}"

    @property
    def filled(self) -> Predicate:
        return text_check(_COOKIES, patterns.regex(f"(?s).*{patterns.quote(self.name)}.*"))

    @property
    def no_token(self) -> Predicate:
        few = text_check(_COOKIES, patterns.regex(r"(?s)[^.]*(?:\.[^.]*)?"))
        return any_of((few, self._is(rf"{_UNDOTTED}*(?:\.{_UNDOTTED}*)?|{_UNSIGNED}")))

    @property
    def plain(self) -> Predicate:
        """All cookies are written as usual, and the name stands there once, before a value without a sign of
        equality."""
        return self._is(_VALUE)

    def _is(self, token: str) -> Predicate:
        name = patterns.quote(self.name)
        pattern = f"(?:{_OTHER}; )*{name}=(?:{token})(?:; {_OTHER})*"
        twice = text_check(_COOKIES, patterns.regex(f"(?s).*{name}=.*{name}=.*"))
        return all_of((text_check(_COOKIES, patterns.regex(pattern)), negate(twice)))


TokenPlace: TypeAlias = Place | ParameterPlace | CookiePlace

_CLEAN_NAMES = text_check(TARGET_TEXT, patterns.regex(paths.CLEAN_NAMES))
_COOKIES = header_text("cookie")
_UNDOTTED = r"[!-+\-/-:<-~]"
"""What the value of a cookie is written with that no policy takes for its end, but for dots."""
_OTHER = r"[!-+\--:<>-~]+=[!-+\--:<-~]*"
_VALUE = r"[!-+\--:<>-~]*"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def parameter(name: object) -> ParameterPlace | None:
    """The place of a parameter; None for names that queries spell in several ways."""
    if isinstance(name, str) and name and paths.is_plain_parameter(name, name=True):
        return ParameterPlace(name)
    return None


def cookie(name: object) -> CookiePlace | None:
    """The place of a cookie; None for unusual names."""
    return CookiePlace(name) if isinstance(name, str) and _NAME.fullmatch(name) else None
