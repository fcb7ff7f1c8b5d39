"""Text to tokens.

The whole source becomes one list, by one regular expression: a parser that may look at any token cheaply
needs no rules about how far it may look ahead. Whitespace and comments are no tokens, but Rego minds them
in two places: `a [0]` is no reference, and a line's end separates statements. So every token knows the
`gap` before it.

Source: https://www.openpolicyagent.org/docs/policy-reference#grammar
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from palisade.rego import advice

NO_GAP = 0
SPACE = 1
NEWLINE = 2

KEYWORDS = frozenset(
    ("package", "import", "as", "default", "else", "not", "some", "with", "null", "true", "false")
)
FUTURE_KEYWORDS = frozenset(("contains", "every", "if", "in"))
LOGICAL = frozenset(("and", "or"))
"""Keywords only where they are imported."""
NOT = "not"
"""A keyword in any module; an import makes another of it: what is negated is so with all that is in it."""
IMPORTABLE = FUTURE_KEYWORDS | LOGICAL | {NOT}
"""What can stand behind `import future.keywords.`; without a name all are meant."""

# What OPA's messages call a token; those that are not here go by their own text.
_TITLES = {
    "name": "identifier",
    "+": "plus",
    "-": "minus",
    "*": "mul",
    "/": "div",
    "%": "rem",
    "&": "and",
    "|": "or",
    "=": "eq",
    "==": "equal",
    ":=": "assign",
    "!=": "neq",
    ">": "gt",
    "<": "lt",
    ">=": "gte",
    "<=": "lte",
}


class Token(NamedTuple):
    """A token: `kind` is the text itself for punctuation and keywords, else the name of a class of texts.

    Those classes are name, number, string, template (a part of a template string that goes on),
    template-end (its last part), illegal and eof. The text of a template's part has no delimiters.
    """

    kind: str
    text: str
    start: int
    end: int
    gap: int = NO_GAP
    raw: bool = False

    @property
    def title(self) -> str:
        """How OPA's messages name it: `identifier token`, `if keyword`."""
        if self.kind in KEYWORDS or self.kind in FUTURE_KEYWORDS or self.kind in LOGICAL:
            return f"{self.kind} keyword"
        return f"{_TITLES.get(self.kind, self.kind)} token"


class LexicalError(NamedTuple):
    message: str
    start: int
    end: int
    hint: str = ""


@dataclass(slots=True)
class Tokens:
    """What a source consists of. The last token is `eof`; comments are (start, text without the sign)."""

    tokens: list[Token] = field(default_factory=list)
    comments: list[tuple[int, str]] = field(default_factory=list)
    errors: list[LexicalError] = field(default_factory=list)


_TOKEN = re.compile(
    r"""
    ([ \t\r\n]*+)
    (?:
      ([A-Za-z_][A-Za-z_\d]*+)
    | (:=|==|!=|<=|>=|[][(),.:;=<>+\-*/%&|])
    | ("(?:[^"\\\n]++|\\["\\/bfnrtu])*+"|`[^`]*+`)
    | ([0-9]++(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]*+)?[A-Za-z_\d]*+)
    | ([{}])
    | (\#[^\n]*+)
    | \$(["`])
    | (.)
    | \Z
    )
    """,
    re.VERBOSE,
)
_NAME, _OPERATOR, _STRING, _NUMBER, _BRACE, _COMMENT, _TEMPLATE, _OTHER = range(2, 10)

_NUMBER_TEXT = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TEMPLATE_PART = re.compile(r'(?:[^"\\{\n]++|\\["\\/bfnrtu{])*+')
_RAW_TEMPLATE_PART = re.compile(r"(?:[^`\\{]++|\\\{?)*+")
_LOOSE_STRING = re.compile(r'"(?:[^"\\\n]++|\\[^\n])*+("?)')
# Python's constructor of a named tuple takes twice as long.
_new = tuple.__new__
# No source may hold these anywhere: a null, a byte-order mark behind the first place, half a surrogate pair.
_FORBIDDEN = re.compile("[\0\ufeff\ud800-\udfff]")
_MOST_FORBIDDEN = _MOST_ILLEGAL = 100
"""So many are told of: what has more is no source."""
_SINGLE_QUOTED = re.compile(r"'[^'\n]*'")
_BAD_ESCAPE = ("illegal escape sequence", advice.ESCAPE)
_NO_END = ("non-terminated string", advice.UNENDED)
_FORBIDDEN_NAMES = {"\0": "illegal null character", "\ufeff": "illegal byte-order mark"}


def tokenize(
    source: str,
    keywords: frozenset[str] = KEYWORDS | FUTURE_KEYWORDS,
    start: int = 0,
    end: int | None = None,
) -> Tokens:
    """The tokens of a source, with every lexical error in it. Time is linear in the source's length.

    With `start` and `end`, those of a part of it, which must begin where a token of the whole does, outside
    of template strings.
    """
    lexer = _Lexer(source, keywords, len(source) if end is None else end)
    lexer.run(start)
    return lexer.out


class _Lexer:
    def __init__(self, source: str, keywords: frozenset[str], end: int) -> None:
        self.source = source
        self.end = end
        self.keywords = keywords
        self.out = Tokens()
        # The template strings that are open here: whether each is raw, and how many braces are open in it.
        self.templates: list[tuple[bool, int]] = []
        self.illegals = 0

    def run(self, position: int) -> None:
        if position == 0 and self.source.startswith("\ufeff"):
            position = 1
        self.forbidden(position)
        while position >= 0:
            position = self.plain(position)

    def plain(self, position: int) -> int:
        """Takes tokens up to a template string or an error. Returns where to go on, -1 at the end."""
        keywords = self.keywords
        append = self.out.tokens.append
        gap = NO_GAP
        end = position
        for found in _TOKEN.finditer(self.source, position, self.end):
            group = found.lastindex or 0
            text, behind, end = found[group], end, found.end()
            start = end - len(text)
            if start != behind:  # of most tokens nothing stands before them, which need not be asked for
                space = found[1]
                if space:
                    gap = NEWLINE if "\n" in space else max(gap, SPACE)
            if group == _NAME:
                append(_new(Token, (text if text in keywords else "name", text, start, end, gap, False)))
            elif group == _OPERATOR:
                append(_new(Token, (text, text, start, end, gap, False)))
            elif group == _STRING:
                append(_new(Token, ("string", text, start, end, gap, False)))
            elif group == _NUMBER:
                self.number(text, start, end, gap)
            elif group == _BRACE:
                append(_new(Token, (text, text, start, end, gap, False)))
                if self.templates:
                    return self.brace(text, end)
            elif group == _COMMENT:
                self.out.comments.append((start, text[1:].removesuffix("\r")))
                continue
            elif group == _TEMPLATE:
                return self.template(end, text == "`", start - 1, gap)
            elif group == _OTHER:
                return self.illegal(start, gap)
            else:
                append(Token("eof", "", end, end, gap))
                return -1
            gap = NO_GAP
        raise AssertionError("the last alternatives of the expression match anything")

    def number(self, text: str, start: int, end: int, gap: int) -> None:
        if _NUMBER_TEXT.fullmatch(text):
            self.out.tokens.append(Token("number", text, start, end, gap))
            return
        whole = _NUMBER_TEXT.match(text)
        rest = text[whole.end() :] if whole else text
        if rest.startswith("."):
            message = "expected fraction"
        elif rest.rstrip("+-") in ("e", "E"):
            message = "expected exponent"
        else:
            message = "illegal number format"
        self.refuse(message, start, end, gap)

    def brace(self, text: str, position: int) -> int:
        """Counts braces within a template string's expression; the last one leads back into the string."""
        raw, depth = self.templates.pop()
        if text == "}" and depth == 0:
            return self.template(position, raw, position, NO_GAP)
        self.templates.append((raw, depth + (1 if text == "{" else -1)))
        return position

    def template(self, position: int, raw: bool, start: int, gap: int) -> int:
        """One part of a template string, from `position` to a brace or the closing quote."""
        part = (_RAW_TEMPLATE_PART if raw else _TEMPLATE_PART).match(self.source, position, self.end)
        end = part.end() if part else position
        text = self.source[position:end]
        following = self.source[end : min(end + 1, self.end)]
        if following == "{":
            self.out.tokens.append(Token("template", text, start, end + 1, gap, raw))
            self.templates.append((raw, 0))
        elif following == ("`" if raw else '"'):
            self.out.tokens.append(Token("template-end", text, start, end + 1, gap, raw))
        elif following == "\\":
            self.refuse(_BAD_ESCAPE[0], start, end + 1, gap, _BAD_ESCAPE[1])
        else:
            self.refuse(_NO_END[0], start, end, gap, _NO_END[1])
            return end
        return end + 1

    def illegal(self, start: int, gap: int) -> int:
        """Names what no token starts with, and tells where to go on."""
        char = self.source[start]
        end = start + 1
        message, hint = "illegal token", ""
        if char == '"':
            loose = _LOOSE_STRING.match(self.source, start, self.end)
            if loose is not None:
                end = loose.end()
                message, hint = _BAD_ESCAPE if loose[1] else _NO_END
        elif char == "`":
            end = self.end
            message, hint = "non-terminated string", advice.UNENDED_RAW
        elif char in "!$":
            message = f"illegal {char} character"
        elif char == "'" and (quoted := _SINGLE_QUOTED.match(self.source, start, self.end)):
            end = quoted.end()
        self.refuse(message, start, end, gap, hint or advice.of_character(char))
        self.illegals += 1
        if self.illegals == _MOST_ILLEGAL:
            end = self.end
            self.out.tokens.append(Token("eof", "", end, end, NEWLINE))
            return -1
        return end

    def refuse(self, message: str, start: int, end: int, gap: int, hint: str = "") -> None:
        self.out.tokens.append(Token("illegal", self.source[start:end], start, end, gap))
        if not _FORBIDDEN.match(self.source, start):
            self.out.errors.append(LexicalError(message, start, end, hint))

    def forbidden(self, position: int) -> None:
        for found in islice(_FORBIDDEN.finditer(self.source, position, self.end), _MOST_FORBIDDEN):
            message = _FORBIDDEN_NAMES.get(found[0], "illegal utf-8 character")
            self.out.errors.append(LexicalError(message, found.start(), found.end()))


_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def string_value(text: str) -> str:
    """The string that a literal with its quotes denotes. Raises ValueError for an escape that is no JSON."""
    inner = text[1:-1]
    if text[0] == "`" or "\\" not in inner:
        return inner
    return _unescape(text)


def template_text(token: Token) -> str:
    """The string that a part of a template string denotes. Raises ValueError as `string_value` does."""
    text = token.text
    if "\\" not in text:
        return text
    if token.raw:
        return text.replace("\\{", "{")
    return _unescape('"' + _ESCAPE.sub(lambda found: "{" if found[1] == "{" else found[0], text) + '"')


def _unescape(literal: str) -> str:
    # Half a surrogate pair is no character; OPA puts the replacement character there.
    return _SURROGATE.sub("\ufffd", str(json.loads(literal)))
