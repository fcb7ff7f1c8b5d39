"""RE2 expressions for the segments of a path and the pairs of a query.

A path is *clean* where its segments can be read off the text: it begins with one slash, and its escapes are
valid, stand for neither slashes nor characters that need none, and so are what Envoy's normalization leaves.
A query is clean where each pair is its own decoded form. What is said here holds for clean ones only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.patterns import quote

_ESCAPE = "(?:%(?:[0189A-Fa-f][0-9A-Fa-f]|2[0-9A-Ca-c]|3[A-Fa-f]|[46]0|5[B-Eb-e]|7[B-Db-dFf]))"
_UNITS = "(?:[^/%]|%[0-9A-Fa-f]{2})*"
"""Characters of a segment, each whole: what an escape is written with is none of them."""
_CHAR = rf"(?:[!-\"$&-.0->@-~]|{_ESCAPE})"
ONE_OF_ASCII = r"(?:[!-\"$&-.0->@-~]|%[0-7][0-9A-Fa-f])"
"""A character of ASCII in a segment, however a clean path spells it."""
ONE_OF_VALUE = r"[!-\"$'-*,-:<-~]"
"""A character of a value in a clean query."""
CLEAN_PATH = rf"/(?:{_CHAR}(?:{_CHAR}|/)*)?"
UNBROKEN_PATH = r"(?s)(?:[^%#]|%[0-9A-Fa-f]{2})*(?:#.*)?"
"""A path whose escapes are escapes. Without it there is no input, and the request is denied."""

CLEAN_QUERY = r"(?s)[^?]*(?:\?[!-\"$&-*,-:<-~]*)?"
"""A target whose query has no escape, no plus sign and no semicolon."""

_OF_NAME, _OF_VALUE = r"[!-\"$'-*,-:<>-~]", r"(?:[!-\"$'-:<-~]|%[0-9A-Fa-f]{2})"
_NAMED = f"{_OF_NAME}*(?:={_OF_VALUE}*)?"
CLEAN_NAMES = rf"(?s)[^?]*(?:\?{_NAMED}(?:&{_NAMED})*)?"
"""A target whose query has no semicolon and no broken escape, and whose names have no escape or plus sign."""

FURTHEST = 200
"""Segments of a path, pieces of a text and characters further on are not counted off in an expression."""

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def is_plain(text: str) -> bool:
    """Whether a clean path can spell the segment in one way only: as it is."""
    return _UNRESERVED.issuperset(text)


def spelled(text: str) -> str:
    """A pattern of the ways in which a clean path spells a segment."""
    return "".join(map(_spelled, text))


def _spelled(char: str) -> str:
    if char in _UNRESERVED:
        return quote(char)
    escaped = "".join(f"%{_hex(byte >> 4)}{_hex(byte & 15)}" for byte in char.encode())
    if "!" <= char <= "~" and char not in "%#?/":
        return f"(?:{quote(char)}|{escaped})"
    return escaped


def _hex(digit: int) -> str:
    text = f"{digit:X}"
    return text if digit < 10 else f"[{text}{text.lower()}]"


def _any_of(texts: Iterable[str]) -> str:
    return "(?:" + "|".join(map(spelled, sorted(texts))) + ")"


def _lead(index: int) -> str:
    if index < 0:
        return "/(?:.*/)?"
    return f"/(?:[^/]*/){{{index}}}" if index else "/"


def _tail(index: int) -> str:
    """What stands behind segment `index`: of those that are counted from the end all that are further on."""
    if index >= 0:
        return "(?:/.*)?"
    return f"(?:/[^/]*){{{-index - 1}}}" if index < -1 else ""


def segment_is(index: int, values: Iterable[str]) -> str:
    """Segment `index` is one of the values."""
    return f"{_lead(index)}{_any_of(values)}{_tail(index)}"


def segment_exists(index: int) -> str:
    return f"{_lead(index if index >= 0 else -index - 1)}.*"


def segment_escaped(index: int) -> str:
    """Segment `index` has an escape, so that its text is not the segment itself."""
    return f"{_lead(index)}[^/]*%{'.*' if index >= 0 else f'[^/]*{_tail(index)}'}"


def some_segment_is(values: Iterable[str]) -> str:
    return f"/(?:.*/)?{_any_of(values)}(?:/.*)?"


def segments_are(index: int, values: Iterable[str], *, all_of_them: bool) -> str:
    """From `index` on the segments are the values; with `all_of_them` the path ends there."""
    return f"{_lead(index)}{'/'.join(map(spelled, values))}{'' if all_of_them else '(?:/.*)?'}"


def segments(count: int) -> str:
    """There are so many segments."""
    return f"/(?:[^/]*/){{{count - 1}}}[^/]*" if count > 1 else "/[^/]*"


def path_is(segments_of: Iterable[str]) -> str:
    return "/" + "/".join(map(spelled, segments_of))


def _asked(matcher: StringMatcher) -> tuple[str, str] | None:
    """How a matcher looks for which constant in a text; None where it does not, or nobody can spell that."""
    kind = str(matcher.WhichOneof("match_pattern"))
    if kind not in ("prefix", "suffix", "contains"):
        return None
    text: str = getattr(matcher, kind)
    return None if "\ufffd" in text else (kind, text)


def segment_matching(index: int, matcher: StringMatcher) -> str | None:
    """A pattern of the paths whose segment `index` the matcher takes; None where there is none."""
    found = _asked(matcher)
    if found is None:
        return None
    kind, text = found
    if "/" in text:
        return patterns.NOTHING  # no segment has one
    before = "" if kind == "prefix" else _UNITS
    behind = _tail(index) if kind == "suffix" else ".*" if index >= 0 else f"[^/]*{_tail(index)}"
    return f"{_lead(index)}{before}{spelled(text)}{behind}"


def joined(start: int, pattern: str) -> str:
    """The pattern matches the segments from `start` on, joined by slashes, as they are spelled."""
    return f"{_lead(start)}{pattern}"


def joined_matching(start: int, matcher: StringMatcher) -> str | None:
    """A pattern of the paths whose segments from `start` on, joined by slashes, the matcher takes; None where
    there is none."""
    found = _asked(matcher)
    if found is None:
        return None
    kind, text = found
    constant = "/".join(map(spelled, text.split("/")))
    before = "" if kind == "prefix" else f"(?:/|{_UNITS[3:-2]})*"
    return joined(start, f"{before}{constant}{'' if kind == 'suffix' else '.*'}")


def some_segment_matching(matcher: StringMatcher) -> str | None:
    """A pattern of the paths of which the matcher takes some segment; None where there is none."""
    found = _asked(matcher)
    if found is None:
        return None
    kind, text = found
    if "/" in text:
        return patterns.NOTHING  # no segment has one
    before = "" if kind == "prefix" else _UNITS
    return f"/(?:.*/)?{before}{spelled(text)}{'(?:/.*)?' if kind == 'suffix' else '.*'}"


def segment_matched(index: int, pattern: str) -> str:
    """The pattern, one of plain characters, matches segment `index`."""
    return f"{_lead(index)}(?:{_within(pattern, '/')}){_tail(index)}"


def _within(pattern: str, end: str) -> str:
    """The pattern, so that what it leaves open stays before a character."""
    return pattern.replace("(?s)", "").replace(".*", f"[^{end}]*")


# Queries ----------------------------------------------------------------------------------------------------

_QUERY = r"(?s)[^?]*\?"


def parameter_exists(name: str) -> str:
    """The query has a pair of the name."""
    return f"{_QUERY}(?:[^&]*&)*{quote(name)}(?:=[^&]*)?(?:&.*)?"


def first_parameter_is(name: str, values: Iterable[str]) -> str:
    """The first pair of the name has one of the values."""
    return f"{_QUERY}(?:{_other(name)}&)*{_pair(name, values)}(?:&.*)?"


def first_parameter_matching(name: str, value: str) -> str:
    """The first pair of the name has a value that the pattern matches, one of plain characters."""
    return f"{_QUERY}(?:{_other(name)}&)*{quote(name)}=(?:{_within(value, '&')})(?:&.*)?"


def only_parameter_is(name: str, values: Iterable[str]) -> str:
    """There is one pair of the name, with one of the values."""
    return f"{_QUERY}(?:{_other(name)}&)*{_pair(name, values)}(?:&{_other(name)})*"


def first_parameter(name: str) -> str:
    """A pattern whose group is the value of the first pair that begins with the name and `=`.

    As few pairs as can be stand before it, so none of them is such a pair: naming what the others are is more
    than Envoy compiles inside expressions.
    """
    return f"(?s)^[^?]*\\?(?:[^&]*&)*?{quote(name)}=([^&]*)(?:&.*)?$"


def bare_parameter(name: str) -> str:
    """The query has a pair that is the name alone."""
    return f"{_QUERY}(?:[^&]*&)*{quote(name)}(?:&.*)?"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of a query: those of which `name` matches the name, or that have an empty one where that is
    `nameless`; and of these, where `value` is a pattern, those of which it matches the value.

    No pattern matches the empty text. `valueless` tells whether those with an empty value are among them.
    """

    name: str = "[^&=]+"
    nameless: bool = False
    value: str = ""
    valueless: bool = False

    @property
    def one(self) -> str:
        """A pattern of one such pair."""
        named = f"(?:{self.name}){'?' if self.nameless else ''}"
        if not self.value and not self.valueless:
            bare = f"(?:{self.name})"
            return f"(?:{bare}|{named}=[^&]*)"
        found = [f"{named}=(?:{self.value})"] if self.value else []
        return f"(?:{'|'.join([*found, f'{named}=', f'(?:{self.name})'] if self.valueless else found)})"

    def at_least(self, count: int) -> str:
        """The query has so many of them, one at least."""
        return f"{_QUERY}(?:[^&]*&)*{self.one}(?:&(?:[^&]*&)*{self.one}){{{count - 1}}}(?:&.*)?"

    @property
    def all(self) -> str:
        """The query has no others. It may have none at all."""
        return rf"(?s)[^?]*(?:\?{self.one}?(?:&{self.one}?)*)?"


def values_are(name: str | None, value: str, *, valueless: bool) -> str:
    """All pairs of the name, or all that there are, have a value that the pattern matches; or `valueless` an
    empty one."""
    own = Pairs(quote(name), False, value, valueless) if name else Pairs("[^&=]+", True, value, valueless)
    ways = [own.one] if value or valueless else []
    pair = f"(?:{'|'.join([*ways, _other(name) if name else ''])})"
    return rf"(?s)[^?]*(?:\?{pair}(?:&{pair})*)?"


ALL_PAIRS = Pairs(nameless=True)


def is_plain_parameter(text: str, *, name: bool = False) -> bool:
    """Whether a clean query can spell the text as a value, or as a `name`, then as it is."""
    return text.isascii() and text.isprintable() and not set(text) & set(" %&+;#=" if name else " %&+;#")


def _pair(name: str, values: Iterable[str]) -> str:
    chosen = set(values)
    found = [f"={quote(value)}" for value in sorted(chosen)]
    if "" in chosen:
        found.append("")  # a name alone has the value ""
    return f"{quote(name)}(?:{'|'.join(found)})"


def _other(name: str) -> str:
    """A pair of any other name: one that leaves it at some character, or goes on behind it."""
    found = [""]
    for at, char in enumerate(name):
        found.append(
            f"{quote(name[:at])}(?:[^&={_class(char)}][^&]*|=[^&]*)" if at else f"[^&{_class(char)}][^&]*"
        )
        if at:
            found.append(quote(name[:at]))
    found.append(f"{quote(name)}[^&=][^&]*")
    return f"(?:{'|'.join(found)})"


def _class(char: str) -> str:
    return f"\\x{ord(char):02x}"
