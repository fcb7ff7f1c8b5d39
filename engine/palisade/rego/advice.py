"""What to write in place of what other languages, editors and merges leave where no Rego can stand."""

from __future__ import annotations

import re
import unicodedata

_AND = "for both, write one expression a line, or `;` between them"
_OR = "for either of two, write two rules of the same name"
_COMMENT = "a comment begins with `#`"
_LOOP = "write `some x in xs` for any of them, `every x in xs { .. }` for all"
_VALUE = "a function's value stands in its head: `f(x) := y if { .. }`"

OPERATORS_ELSEWHERE = {
    "&&": _AND,
    "and": _AND,
    "||": _OR,
    "or": _OR,
    "===": "`==` compares two values",
    "!==": "`!=` compares two values",
    "//": _COMMENT,
    "for": _LOOP,
    "return": _VALUE,
}
"""By the operator, which may be two tokens of Rego, or by the word."""

CHARACTERS = {
    "'": "a string stands in double quotes",
    "!": "write `not` before an expression",
    "?": "write a rule for each of the two cases, or `else := ..`",
    **dict.fromkeys("“”„‘’«»", 'a string stands in double quotes that are straight: "'),
}
ESCAPE = "a backslash is written twice, or the string, a regular expression say, in backquotes"
TUPLE = "an array stands in `[` and `]`, a set in `{` and `}`"
UNENDED = "a string ends in the line in which it begins; one of several lines stands in backquotes"
UNENDED_RAW = "no backquote ends it"

_LINES = tuple(
    (re.compile(pattern), advice)
    for pattern, advice in (
        (r"(?:<{7}|>{7}) |(?:={7}|<{7}|>{7})$", "a merge has left this: keep one of its two sides"),
        (r"package\b", 'a name has letters, digits and `_`; other parts are written `package a["b-c"]`'),
        (r"\s*(?://|/\*|\*/)", _COMMENT),
        (r"\s*some\s+\w+\s*:=", "write `some x in xs` for a member, or `x := ..` alone"),
        (r"(?:def|func|function|fn)\b", _VALUE),
        (r".*\bif\b.*:$", "a body of several expressions stands in braces: `p if { .. }`"),
    )
)


def of_line(line: str) -> str:
    """Advice by the look of a whole line in which there is an error; empty where there is none."""
    text = line.rstrip()
    return next((advice for pattern, advice in _LINES if pattern.match(text)), "")


def of_character(char: str) -> str:
    """Advice on a character that no token begins with; empty where there is none."""
    if unicodedata.category(char) in ("Zs", "Zl", "Zp", "Cf"):
        return f"U+{ord(char):04X} looks like a space or like nothing: type a space, or take it out"
    return CHARACTERS.get(char, "")
