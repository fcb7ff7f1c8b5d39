"""Where a parser stands in its tokens: looking, going on, going back, and telling what is wrong."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple, NoReturn

from palisade.rego import ast
from palisade.rego.advice import LAST, MEMBER_NOT, MEMBERS, OPERATORS_ELSEWHERE, TUPLE, WORDS_BETWEEN, of_line
from palisade.rego.errors import PARSE_ERROR, Diagnostic, Location
from palisade.rego.lexer import (
    FUTURE_KEYWORDS,
    IMPORTABLE,
    KEYWORDS,
    LOGICAL,
    NEWLINE,
    NO_GAP,
    NOT,
    Token,
    tokenize,
)
from palisade.rego.places import LineStarts, Places, line_starts

# Terms may stand within terms this deep, and the tree of a rule be this high. Every later stage walks the
# tree by recursion, which Python ends at a thousand calls; people write no policy that comes near.
MAX_NESTING = 100
MAX_HEIGHT = 200
_MOST_OF_LINE = 100_000
OPENING = {"(", "[", "{", "template"}  # a template string's text ends where an expression opens
CLOSING = {")": "(", "]": "[", "}": "{"}
TOO_DEEP = "max parsing recursion depth exceeded"
_UNOPENED = "it closes nothing: each bracket before it is closed already"

# Python's constructor of a named tuple takes twice as long, and every node has a place.
_new = tuple.__new__


class ParseError(Exception):
    """A syntax error: it ends the rule at hand, or the attempt that goes back to a `Cursor.mark`."""

    def __init__(self, message: str, token: Token, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.token = token
        self.hint = hint


class Part(NamedTuple):
    """A part of a source: from the start of a token to that of another, or to the source's end."""

    places: Places
    start: int
    end: int


class Cursor:
    """A source, or a part of it, its tokens and the place in them: `token` is the one that comes next."""

    def __init__(self, source: str, file: str, keywords: frozenset[str], *, part: Part | None = None) -> None:
        self.source = source
        self.file = file
        self.keywords = keywords
        self.negates_whole = False
        """Whether `not` is what an import of `future.keywords.not` makes of it."""
        self.logical: frozenset[str] = LOGICAL & keywords
        """Those of `and` and `or` that are keywords."""
        self.lines: list[int] | LineStarts
        if part is None:
            lexed, self.lines = tokenize(source, keywords), line_starts(source)
        else:
            lexed, self.lines = tokenize(source, keywords, part.start, part.end), part.places.starts
        # The line of the place that was told last: its row, where it begins, and the next one does.
        self._row = self._begin = self._behind = 0
        self.tokens = lexed.tokens
        self.comments = lexed.comments
        self.lexical_errors = lexed.errors
        # Most sources have none, and need not be looked through for comprehensions.
        self.has_bar = "|" in source
        self.index = 0
        self.token = self.tokens[0]
        # How deep the place is nested, and since the last `check_height` the deepest one and how often a term
        # was put below another: both tell cheaply that a tree cannot be too high.
        self.depth = 0
        self.deepest = 0
        self.risings = 0

    # Going on and back

    def advance(self) -> Token:
        """Takes the next token. The last one, eof, stays for ever."""
        token = self.token
        if token.kind != "eof":
            self.index += 1
            self.token = self.tokens[self.index]
        return token

    def index_of(self, start: int) -> int:
        """The index of the token that starts there."""
        index = self.index
        while self.tokens[index].start > start:
            index -= 1
        return index

    def mark(self) -> tuple[int, int]:
        """The place to go back to by `rewind`."""
        return self.index, self.depth

    def rewind(self, mark: tuple[int, int]) -> None:
        self.index, self.depth = mark
        self.token = self.tokens[self.index]

    def expect(self, kind: str, note: str) -> Token:
        """Takes the next token, which must be of this kind."""
        if self.token.kind != kind:
            self.unexpected(note)
        return self.advance()

    def following(self) -> Token:
        """The token after the next one."""
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    @property
    def heads_reference(self) -> bool:
        """Whether a keyword comes next that is only the first word of a reference, as in `default.x`."""
        if self.token.kind not in self.keywords:
            return False
        after = self.following()
        return after.gap == NO_GAP and after.kind in (".", "[")

    def take_keyword_as_name(self) -> None:
        """Makes a name of the keyword that comes next."""
        self.token = self.tokens[self.index] = self.token._replace(kind="name")

    def enable(self, keywords: frozenset[str]) -> None:
        """Makes keywords of these words from here on, as an import of `future.keywords` does. `not`, which is
        one in any module, means more then."""
        self.negates_whole |= NOT in keywords
        if keywords <= self.keywords:
            return
        self.keywords |= keywords
        self.logical = LOGICAL & self.keywords
        for index in range(self.index, len(self.tokens)):
            token = self.tokens[index]
            if token.kind == "name" and token.text in keywords:
                self.tokens[index] = token._replace(kind=token.text)
        self.token = self.tokens[self.index]

    # Nesting

    def enter(self) -> Token:
        """Takes the token that opens a bracket, a level deeper. A failure leaves all levels at once."""
        self.depth += 1
        if self.depth > self.deepest:
            self.deepest = self.depth
            if self.depth > MAX_NESTING:
                self.fail(TOO_DEEP)
        return self.advance()

    def leave(self, closing: str, note: str = "") -> None:
        """Takes the token that closes a bracket."""
        self.expect(closing, note)
        self.depth -= 1

    def check_height(self, *nodes: ast.Node) -> None:
        """Fails where one of the trees is higher than `MAX_HEIGHT`."""
        # A bracket makes a tree five higher at most: a template string's part that has a `with`.
        suspicious = 5 * self.deepest + self.risings > MAX_HEIGHT
        self.deepest = self.risings = 0
        if suspicious and any(_higher(node, MAX_HEIGHT) for node in nodes):
            self.fail(TOO_DEEP, self.tokens[max(self.index - 1, 0)])

    # Places

    def location(self, start: int, end: int) -> Location:
        if not self._begin <= start < self._behind:
            self._go_to(start)
        return _new(Location, (self.file, self._row, start - self._begin + 1, end - start))

    def since(self, start: int) -> Location:
        """The place from `start` to the token that was taken last."""
        return self.location(start, self.tokens[self.index - 1].end)

    def at(self, token: Token) -> Location:
        return self.location(token.start, token.end)

    def _go_to(self, offset: int) -> None:
        """Finds the line of an offset: what is asked for next is mostly on the same one."""
        self._row = row = bisect_right(self.lines, offset)
        self._begin = self.lines[row - 1]
        self._behind = self.lines[row] if row < len(self.lines) else len(self.source) + 1

    def line(self, row: int) -> str:
        """The text of a line, without its end; nothing of one too long to be shown with each error."""
        begin = self.lines[row - 1]
        end = self.lines[row] if row < len(self.lines) else len(self.source)
        if end - begin > _MOST_OF_LINE:
            return ""
        return self.source[begin:end].rstrip("\r\n")

    # Errors

    def span(self, node: ast.Node) -> Token:
        """A token that covers a node, for `fail` to point at."""
        start = self.lines[node.loc.row - 1] + node.loc.col - 1
        return Token("", "", start, start + node.loc.length)

    def fail(self, message: str, token: Token | None = None, hint: str = "") -> NoReturn:
        raise ParseError(message, token or self.token, hint)

    def unexpected(self, note: str = "", hint: str = "") -> NoReturn:
        """Fails at the next token, in OPA's words."""
        if self.token.kind == "illegal":
            self.fail("illegal token")
        if not hint and (self.token.kind == "eof" or self.token.kind in CLOSING):
            hint = self.unclosed("close {}") or ("" if self.depth or self.token.kind == "eof" else _UNOPENED)
            if not hint and self.index and self.tokens[self.index - 1].kind == ";":
                hint = LAST
        hint = hint or self.of_other_languages() or of_line(self.line(self.at(self.token).row))
        self.fail(f"unexpected {self.token.title}{': ' if note else ''}{note}", hint=hint)

    def of_other_languages(self) -> str:
        """What to write in place of an operator of other languages; empty where none stands here."""
        token = self.token
        before = self.tokens[self.index - 1] if self.index else token
        if token.gap == NEWLINE:
            return ""
        if token.kind == "not" and self.tokens[self.index + 1].kind == "in":
            return MEMBER_NOT
        if token.kind in ("name", "contains") and token.text in WORDS_BETWEEN:
            return WORDS_BETWEEN[token.text]
        # In `for x in xs` and `return x` what cannot stand here is the word behind.
        if token.kind == "name" and token.text in OPERATORS_ELSEWHERE:
            return OPERATORS_ELSEWHERE[token.text]
        if before.kind == "name":
            return OPERATORS_ELSEWHERE.get(before.text, "")
        if token.kind == "," and before.kind in ("string", "number"):
            return TUPLE if self.tokens[self.index - 2].kind == "in" else ""
        space = "" if before.end == token.start else " "
        return OPERATORS_ELSEWHERE.get(before.kind + space + token.kind, "")

    def between_members(self) -> str:
        """Advice where one member follows another at once; empty where what follows is none."""
        return (
            MEMBERS
            if self.token.kind in ("string", "number", "name", "[", "{") and not self.of_other_languages()
            else ""
        )

    def unclosed(self, advice: str) -> str:
        """Advice on the bracket that is open at this place, which stands for `{}`; empty where none is, or
        the next token closes it. That line is in need of mending, not the one where it shows."""
        closed = 0
        for index in range(self.index - 1, -1, -1):
            token = self.tokens[index]
            if token.kind in CLOSING:
                closed += 1
            elif token.kind in OPENING and closed:
                closed -= 1
            elif token.kind in OPENING:
                if token.kind == CLOSING.get(self.token.kind):
                    return ""
                # A template string is told of by the lexer.
                row = self.at(token).row
                return "" if token.kind == "template" else advice.format(f"the '{token.kind}' of line {row}")
        return ""

    def diagnostic(
        self, message: str, location: Location, hint: str = "", code: str = PARSE_ERROR
    ) -> Diagnostic:
        return Diagnostic(code, message, location, self.line(location.row), hint)

    def diagnose(self, failure: ParseError) -> Diagnostic:
        return self.diagnostic(failure.message, self.at(failure.token), failure.hint)

    def lexical_diagnostics(self) -> list[Diagnostic]:
        return [
            self.diagnostic(each.message, self.location(each.start, each.end), each.hint)
            for each in self.lexical_errors
        ]


def keywords_of(version: int) -> frozenset[str]:
    """The words that are keywords without any import. Raises ValueError for a version that does not exist."""
    if version not in (0, 1):
        raise ValueError(f"Rego has the versions 0 and 1, and no {version}")
    return KEYWORDS | FUTURE_KEYWORDS if version == 1 else KEYWORDS


def imported_keywords(clause: ast.Import) -> frozenset[str]:
    """The words of which an import of `future.keywords` makes keywords; none for any other import."""
    path = clause.path
    parts = (
        [part.value for part in path.path if isinstance(part, ast.Scalar)]
        if isinstance(path, ast.Ref)
        else []
    )
    if not isinstance(path, ast.Ref) or path.head != ast.Var("future") or parts[:1] != ["keywords"]:
        return frozenset()
    words = IMPORTABLE.intersection(parts[1:]) if len(parts) > 1 else IMPORTABLE
    return words | {"in"} if "every" in words else words


def _higher(node: ast.Node, limit: int) -> bool:
    level = [node]
    for _ in range(limit):
        level = [child for each in level for child in each.children()]
        if not level:
            return False
    return True
