"""What to write in place of what other languages, editors and merges leave where no Rego can stand."""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches

_AND = "for both, write one expression a line, or `;` between them"
_OR = "for either of two, write two rules of the same name"
_EQUAL = "`==` compares two values"
_UNEQUAL = "`!=` compares two values"
_COMMENT = "a comment begins with `#`"
_LOOP = "write `some x in xs` for any of them, `every x in xs { .. }` for all"
_VALUE = "a function's value stands in its head: `f(x) := y if { .. }`"

OPERATORS_ELSEWHERE = {
    "&&": _AND,
    "and": f"{_AND}, or `import future.keywords.and`",
    "||": _OR,
    "or": f"{_OR}, or `import future.keywords.or`",
    "===": _EQUAL,
    "= =": _EQUAL,
    "!==": _UNEQUAL,
    "<>": _UNEQUAL,
    "//": _COMMENT,
    "for": _LOOP,
    "return": _VALUE,
}
"""By the operator, which may be two tokens of Rego, or by the word."""

WORDS_BETWEEN = {
    "is": "`==` tells whether two values are equal, `!=` whether they are not",
    "matches": "write `regex.match(pattern, x)`",
    "contains": "of a text write `contains(x, y)`, of a collection `y in x`",
    "startswith": "write `startswith(x, y)`",
    "endswith": "write `endswith(x, y)`",
    "has": "`y in x` tells whether a collection has a member, `x.y` whether an object has a key",
}
"""By the word, where it stands between two values."""

FUNCTIONS_ELSEWHERE = {
    **dict.fromkeys(("len", "length", "size"), "count"),
    **dict.fromkeys(("int", "float", "number", "parseInt"), "to_number"),
    **dict.fromkeys(("toLowerCase", "tolower", "toLower", "lowercase"), "lower"),
    **dict.fromkeys(("toUpperCase", "toupper", "toUpper", "uppercase"), "upper"),
    **dict.fromkeys(("startsWith", "starts_with", "hasPrefix", "has_prefix"), "startswith"),
    **dict.fromkeys(("endsWith", "ends_with", "hasSuffix", "has_suffix"), "endswith"),
    **dict.fromkeys(("typeof", "type"), "type_name"),
    **dict.fromkeys(("match", "matches", "regex"), "regex.match"),
    **dict.fromkeys(("includes", "has"), "contains"),
}
"""What Rego calls functions that others call so."""

CHARACTERS = {
    "'": "a string stands in double quotes",
    "!": "write `not` before an expression",
    "?": "write a rule for each of the two cases, or `else := ..`",
    **dict.fromkeys("“”„‘’«»", 'a string stands in double quotes that are straight: "'),
}
_NAME = "a name has letters of ASCII, digits and `_`; other letters stand in strings and comments"
ESCAPE = "a backslash is written twice, or the string, a regular expression say, in backquotes"
CONDITION = "a body has no `if`: it holds where all its expressions do, one a line"
MEMBER_NOT = "write `not x in xs`"
LAST = "no `;` stands behind the last expression"
TUPLE = "an array stands in `[` and `]`, a set in `{` and `}`"
MEMBERS = "a comma stands between members"
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
        (
            r"[A-Za-z_]\w*(?:-\w+)+(?:\(.*\)|\[.*\])?\s*(?::?=|\{|(?:if|contains)\b)",
            "a name has no `-`: write `_`",
        ),
        (
            r"[^#\"`]*:?=\s*if\b",
            "the value of a rule stands before `if`, and is true without one: `p if { .. }`",
        ),
        (r"[^#\"`]*\w\s*[-+*/]=\s", "a variable has one value: write another, `y := x + 1`"),
        (r".*[:=(\[{,\s]f\"", 'write `sprintf("%s", [x])`, or `$"{x}"`'),
        (r".*\bif\b.*:$", "a body of several expressions stands in braces: `p if { .. }`"),
    )
)


def of_line(line: str) -> str:
    """Advice by the look of a whole line in which there is an error; empty where there is none."""
    text = line.rstrip()
    return next((advice for pattern, advice in _LINES if pattern.match(text)), "")


def of_misspelt(first: str, second: str) -> str:
    """Advice on two words that begin a rule, of which one is nearly a keyword; empty where none is."""
    near = get_close_matches(first, ("default", "import"), 1, _ALIKE)
    near = near or get_close_matches(_ANAGRAMS.get(second, second), ("if", "contains"), 1, _ALIKE)
    return f"did you mean `{near[0]}`?" if near else ""


_ALIKE = 0.75
_ANAGRAMS = {"fi": "if"}
"""Of so short a word half its letters are in their places."""


def of_dash(line: str, name: str) -> str:
    """Advice on a key with a hyphen, of which `name` is a part: as it stands there it subtracts."""
    if f"-{name}" not in line or len(line) > _MOST_OF_DASHES:
        return ""
    found = re.search(rf"([A-Za-z_][\w.]*)\.(\w+(?:-\w+)*-{re.escape(name)}(?:-\w+)*)(?![\w.(\[-])", line)
    return f'`-` subtracts: write {found[1]}["{found[2]}"]' if found else ""


_MOST_OF_DASHES = 400
"""Of so long a line it is looked for: longer ones would take long."""


def of_character(char: str) -> str:
    """Advice on a character that no token begins with; empty where there is none."""
    if unicodedata.category(char) in ("Zs", "Zl", "Zp", "Cf"):
        return f"U+{ord(char):04X} looks like a space or like nothing: type a space, or take it out"
    return CHARACTERS.get(char) or (_NAME if char.isalpha() else "")
