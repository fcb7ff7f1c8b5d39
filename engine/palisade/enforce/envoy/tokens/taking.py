"""By which terms policies take encoded tokens out of a request, and so where these stand."""

from __future__ import annotations

import re

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.tokens.places import Place, TokenPlace, cookie, parameter
from palisade.enforce.envoy.values.entries import entries_of, mark_of, trims
from palisade.rego.partial.formulas.terms import Apply, Input, Known, Symbol

HEADERS = ("attributes", "request", "http", "headers")
_BEARER, _BASIC = "Bearer ", "Basic "
_PREFIX = re.compile(r"[A-Za-z0-9_-]+[ :=][A-Za-z0-9_:= -]*")
"""What cannot stand in a token: with that in it a prefix is there once, and once only."""
_TAKING_AWAY = re.compile(r"(?P<fold>\(\?i\))?\^?(?P<scheme>[Bb]earer)(?: |\\s| \+|\\s\+)")
_FINDING = re.compile(rf"{_TAKING_AWAY.pattern}\((?:\.\+|\.\*|\\S\+|\\S\*|\[\^ \]\+)\)\$?")
"""Regular expressions that find the whole token behind its scheme: all that follows, or all but space."""
COOKIES = Input((*HEADERS, "cookie"))
"""All cookies, as they are sent."""
_FINDING_COOKIE = re.compile(
    r"(?:\^?\.\*|\((?P<plain>\?:)?\^\|;(?: |\\s)[*+?]?\)(?P<led>))?(?P<name>[A-Za-z0-9_-]+)="
    r"\((?:\[\^;\]|\[\^; \]|\[\^;\\s\])[*+]\)(?:;\?|\(\?:;\|\$\)|\.\*\$?)?"
)
"""What finds a cookie by its name: `session=([^;]+)`, behind `(?:^|; )` or not."""


def place_of(term: Symbol) -> TokenPlace | None:
    """Where the encoded token stands that a policy hands to a builtin; None where that cannot be told."""
    found = header_of(term) or _cookie_of(term)
    if found is not None:
        return found
    match term:
        case Input(("parsed_query", name, at)):
            return parameter(name) if type(at) is int and at == 0 else None
        case Apply("trim_space", (inner,)) | Apply("trim", (inner, Known(" "))):
            return place_of(inner)
        case Apply(".", (Apply() as whole, Known(str(name)))) if (entries := entries_of(whole)) is not None:
            return cookie(name) if entries[0] == COOKIES and _cut_as_usual(entries[1]) else None
    return None


def header_of(term: Symbol) -> Place | None:
    """The header of which a term is all that follows a prefix, however that is taken out; None for others."""
    match term:
        case Apply(".", (Apply("split", (whole, Known(" "))), Known(1))):
            return _header(whole, _BEARER)
        case Apply("substring", (whole, Known(7), Known(int(length)))) if length < 0:
            return _header(whole, _BEARER)
        case Apply("substring", (whole, Known(7), Apply("minus", (Apply("count", (all_,)), Known(7))))):
            return _header(whole, _BEARER) if all_ == whole else None
        case (
            Apply(".", (Apply("split", (whole, Known(str(prefix)))), Known(1)))
            | Apply("trim_prefix", (whole, Known(str(prefix))))
            | Apply("replace", (whole, Known(str(prefix)), Known("")))
        ):
            return _header(whole, prefix) if _PREFIX.fullmatch(prefix) else None
        case Apply("trim_space", (Apply("trim_prefix", (whole, Known("Bearer" | "bearer" as scheme))),)):
            return _header(whole, f"{scheme} ")
        case Apply("trim_space", (inner,)) | Apply("trim", (inner, Known(" "))):
            return header_of(inner)
        case Input():
            return _header(term, "")
    return _by_pattern(term)


def behind_scheme(term: Symbol) -> tuple[str, str] | None:
    """The header of which a term is what follows the scheme of HTTP Basic, and that scheme with its space; no
    scheme where it is what stands behind the first space, up to the next. None for others."""
    match term:
        case Apply(".", (Apply("split", (whole, Known(" "))), Known(1))):
            place, scheme = _header(whole, ""), ""
        case (
            Apply("substring", (whole, Known(6), Known(-1)))
            | Apply("trim_prefix", (whole, Known("Basic ")))
            | Apply("replace", (whole, Known("Basic "), Known("")))
            | Apply(".", (Apply("split", (whole, Known("Basic "))), Known(1)))
        ):
            place, scheme = _header(whole, ""), _BASIC
        case _:
            return None
    return None if place is None else (place.header, scheme)


def _by_pattern(term: Symbol) -> Place | None:
    """The same, where a regular expression finds the token or takes away what stands before it."""
    match term:
        case Apply(
            ".",
            (
                Apply(
                    ".",
                    (
                        Apply(
                            "regex.find_all_string_submatch_n", (Known(str(pattern)), whole, Known(int(n)))
                        ),
                        Known(0),
                    ),
                ),
                Known(1),
            ),
        ) if n != 0:
            found = _FINDING.fullmatch(pattern)
        case Apply("regex.replace", (whole, Known(str(pattern)), Known(""))):
            found = _TAKING_AWAY.fullmatch(pattern)
        case _:
            return None
    return None if found is None else _header(whole, _BEARER if found["fold"] else f"{found['scheme']} ")


def _header(term: Symbol, prefix: str) -> Place | None:
    if isinstance(term, Input) and term.path[:-1] == HEADERS and isinstance(term.path[-1], str):
        name = term.path[-1]
        if name == name.lower() and name.isascii() and name:
            return Place(name, prefix)
    return None


def _cut_as_usual(coding: str) -> bool:
    """Whether an object has all of the cookies that stand behind a semicolon and a space."""
    return mark_of(coding) == "; " or (mark_of(coding) == ";" and trims(coding))


def _cookie_of(term: Symbol) -> TokenPlace | None:
    """The cookie that a regular expression finds, or that is cut out between its name and a semicolon."""
    match term:
        case Apply(
            ".",
            (
                Apply(
                    "split", (Apply(".", (Apply("split", (whole, Known(str(named)))), Known(1))), Known(";"))
                ),
                Known(0),
            ),
        ) if whole == COOKIES and named.endswith("="):
            return cookie(named[:-1])
    searched = patterns.found_in(term)
    if searched is None or searched[1] != COOKIES:
        return None
    found = _FINDING_COOKIE.fullmatch(searched[0])
    if found is None:
        return None
    kept = found["led"] is not None and found["plain"] is None
    return cookie(found["name"]) if searched[2] == 1 + kept else None
