"""Patterns on texts of which `replace` takes some characters away, as patterns on the whole texts.

`regex.match("^[0-9]{16}$", replace(card, " ", ""))` holds just where the whole text matches the pattern with
these characters allowed before and behind each of its own.
"""

from __future__ import annotations

import re
from functools import lru_cache

import re2

from palisade.enforce.envoy.regex import patterns
from palisade.rego.partial.formulas.terms import Apply, Known, Symbol

_ESCAPED = r"\\[dw]|\\[^A-Za-z0-9\s]"
_TOKEN = re.compile(
    rf"(?P<atom>[A-Za-z0-9_@:/#,;=~<>!%&'\"` -]|{_ESCAPED}|\[(?!\^)\]?(?:[^\\\]\[]|{_ESCAPED})*\])"
    r"|(?P<open>\((?:\?:)?)|(?P<or>\|)|(?P<close>\))"
)
_COUNT = re.compile(r"[*+?](?![*+?])|\{[0-9]+(?:,[0-9]*)?\}(?![*+?])")


def bared(text: Symbol) -> tuple[Symbol, str, str]:
    """The text of which `replace` takes away single characters, which these are, and how its letters are
    folded, before or afterwards: by `lower`, `upper` or not at all."""
    found, removed, fold = text, "", ""
    while isinstance(found, Apply):
        match found:
            case Apply("replace", (whole, Known(str(old)), Known(""))) if patterns.is_one(old):
                removed += old
            case Apply("lower" | "upper" as name, (whole,)) if not fold:
                fold = name
            case _:
                break
        found = whole
    if fold and any(map(str.isalpha, removed)):
        return text, "", ""
    return found, removed, fold


def spread(pattern: str, removed: str, fold: str = "") -> str | None:
    """The pattern of the texts which, without those characters of ASCII, the given one is found in; None
    where that is not known. With a `fold`, `lower` or `upper`, their letters are made such, and it is one of
    texts of ASCII."""
    first, last = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    inner = pattern[first : len(pattern) - last]
    between = f"[{patterns.in_class(dict.fromkeys(removed))}]*" if removed else ""
    made, at, depth = [between], 0, 0
    while at < len(inner):
        token = _TOKEN.match(inner, at)
        if token is None:
            return None
        at = token.end()
        count = _COUNT.match(inner, at)
        if token["atom"]:
            if any(re2.fullmatch(token["atom"], each) for each in removed):
                return None
            char = _unfolded(token["atom"], fold) if fold else token["atom"]
            if char is None:
                return None
            piece = f"{char}{between}"
            made.append(f"(?:{piece}){count[0]}" if count else piece)
        else:
            depth += (token["open"] is not None) - (token["close"] is not None)
            if depth < 0 or (token["or"] and not depth) or (count and not token["close"]):
                return None
            made.append(f"{token[0]}{count[0] if count else ''}")
        at = count.end() if count else at
    if depth:
        return None
    return f"{'^' * first}{''.join(made)}{'$' * last}"


@lru_cache(1024)
def _unfolded(atom: str, fold: str) -> str | None:
    """The characters that are among those of a pattern once they are folded; None where none is."""
    change = str.lower if fold == "lower" else str.upper
    found = [char for char in map(chr, range(128)) if re2.fullmatch(atom, change(char))]
    return f"[{patterns.in_class(found)}]" if found else None
