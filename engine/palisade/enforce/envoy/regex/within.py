"""Patterns that are searched for in the pieces of a split text, as expressions of the pieces.

`some part in split(header, ";"); regex.match("CN=.{0,3}a", part)` holds where the pattern is found between
two marks: so where its parts that match any character match no mark, it is found in the text.
"""

from __future__ import annotations

import re

import re2

from palisade.enforce.envoy.regex import patterns

_ESCAPED = r"\\[dDwWsS]|\\[^A-Za-z0-9\s]"
_TOKEN = re.compile(
    rf"(?P<atom>[A-Za-z0-9_@:/#,;=~<>!%&'\"` -]|\.|{_ESCAPED}|\[\^?(?:[^\\\]\[^]|{_ESCAPED})+\])"
    r"|(?P<open>\((?:\?:)?)|(?P<or>\|)|(?P<close>\))"
)
_COUNT = re.compile(r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??(?![*+?{])")
_WITHOUT_CASE = "(?i)"


def within(pattern: str, mark: str) -> str | None:
    """The expression of the texts without a mark of one character in which a pattern of ASCII is found, of
    texts of ASCII; None where that is not known."""
    if len(mark) != 1 or mark.isalnum() or not mark.isascii():
        return None
    flags = _WITHOUT_CASE if pattern.startswith(_WITHOUT_CASE) else ""
    pattern = pattern.removeprefix(flags)
    first, last = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    found = _between(pattern[first : len(pattern) - last], mark, flags, alone=not (first or last))
    if found is None:
        return None
    other = f"[^{patterns.in_class(mark)}]*"
    return f"{'' if first else other}{'(?i:' if flags else '(?:'}{found}){'' if last else other}"


def _between(inner: str, mark: str, flags: str, *, alone: bool) -> str | None:
    """The same pattern where it matches no mark. Of several ways each is searched for only where all of it
    stands `alone`, without anchors."""
    made, at, depth = "", 0, 0
    while at < len(inner):
        token = _TOKEN.match(inner, at)
        if token is None:
            return None
        at = token.end()
        count = _COUNT.match(inner, at)
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth < 0 or (token["or"] and not depth and not alone):
            return None
        if count and not token["atom"] and not token["close"]:
            return None
        atom = _other_than(token["atom"], mark, flags) if token["atom"] else token[0]
        if atom is None:
            return None
        made += f"{atom}{count[0] if count else ''}"
        at = count.end() if count else at
    return None if depth else made


def _other_than(atom: str, mark: str, flags: str) -> str | None:
    """What matches the characters that a part of a pattern does, but for the mark; None where it matches
    little else."""
    if not re2.fullmatch(f"{flags}{atom}", mark):
        return atom
    without = patterns.in_class(mark)
    if atom == ".":
        return f"[^{without}\\n]"
    if atom.startswith("[^") and atom[2] != "-":
        return f"[^{without}{atom[2:]}"
    return f"[^{without}{atom.lower()}]" if atom in ("\\D", "\\W", "\\S") else None
