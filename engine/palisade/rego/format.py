"""Sources laid out as people read them, much as `opa fmt` does; the tree and the comments stay the same.

Text is made of the source's own tokens, so literals, raw strings and signs are kept as they were written.
The tree only tells where statements start. The layout:

* a tab for each open bracket, one space between tokens, at most one empty line;
* every statement of a body on a line of its own, comprehensions on one line excepted;
* a list that is broken anywhere is broken behind its bracket too, and ends with a comma;
* an empty line between rules, unless both are on one line and stood together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from palisade.rego import ast
from palisade.rego.cursor import keywords_of
from palisade.rego.lexer import FUTURE_KEYWORDS, KEYWORDS, tokenize
from palisade.rego.parser import parse_module
from palisade.rego.places import Places

_OPENERS = frozenset("([{")
_CLOSERS = frozenset(")]}")
_KEYWORDS = KEYWORDS | FUTURE_KEYWORDS
_TIGHT_BEFORE = frozenset(",;:)]}")
# What a reference or call may stand directly behind. Keywords are names there: `default.x`.
_REFERABLE = frozenset((*_KEYWORDS, *_CLOSERS, "name"))
# Behind an operand a minus is the operator; anywhere else it is a number's sign.
_OPERAND_ENDS = frozenset((*_CLOSERS, "name", "number", "string", "template", "null", "true", "false"))


def format_source(source: str, file: str = "", *, version: int = 1) -> str:
    """The module, laid out anew. It parses to the same tree. Raises CompileError where it does not parse."""
    module = parse_module(source, file, version=version)
    pieces = _pieces(source, version)
    layout = _Layout(pieces, module)
    return _Writer(pieces, layout).text()


@dataclass(slots=True)
class _Piece:
    """A token, a whole template string or a comment. `lines`: how many line ends stand before it."""

    kind: str
    text: str
    start: int
    lines: int
    touches: bool
    # Filled in for brackets: the index of the other one.
    mate: int = -1

    @property
    def is_comment(self) -> bool:
        return self.kind == "comment"


def _pieces(source: str, version: int) -> list[_Piece]:
    lexed = tokenize(source, keywords_of(version))
    spans = [("comment", start, start + 1 + len(text)) for start, text in lexed.comments]
    depth = 0
    begin = 0
    for token in lexed.tokens[:-1]:
        # Only the first part of a template string starts with a dollar sign.
        if token.kind in ("template", "template-end") and source[token.start] == "$":
            begin = begin if depth else token.start
            depth += 1
        if token.kind == "template-end":
            depth -= 1
            if not depth:
                spans.append(("template", begin, token.end))
        elif not depth:
            spans.append((token.kind, token.start, token.end))
    spans.sort(key=lambda span: span[1])
    pieces: list[_Piece] = []
    end = 0
    for kind, start, stop in spans:
        if start < end:
            continue  # a comment within a template string, which is kept as it is
        text = source[start:stop].rstrip() if kind == "comment" else source[start:stop]
        pieces.append(_Piece(kind, text, start, source.count("\n", end, start), start == end))
        end = stop
    return pieces


@dataclass(slots=True)
class _Layout:
    """Where lines must and must not end; all numbers are indices of pieces."""

    pieces: list[_Piece]
    module: ast.Module
    # The starts of the package, imports and rules, and which of those are on one line.
    items: dict[int, str] = field(default_factory=dict)
    one_line: set[int] = field(default_factory=set)
    # Statements that start a line; brackets behind which, or before which, a line ends.
    statements: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    # The opening braces of bodies.
    blocks: set[int] = field(default_factory=set)
    # The bars and opening brackets of comprehensions, and the last items that get a comma.
    bars: set[int] = field(default_factory=set)
    comprehensions: set[int] = field(default_factory=set)
    commas: set[int] = field(default_factory=set)
    _places: Places = field(init=False)
    _index: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._places = Places(self.module.source)
        self._index = {piece.start: number for number, piece in enumerate(self.pieces)}
        self._top_level()
        spread = self._pair_brackets()
        for node in ast.walk(self.module):
            # What stands within a template string has no piece, and stays as it is.
            number = self.at(node)
            if isinstance(node, ast.Rule | ast.Else | ast.Every | ast.Holds):
                self._block(node.body)
            elif isinstance(node, ast.ArrayComprehension | ast.SetComprehension | ast.ObjectComprehension):
                self._comprehension(number, node.body, spread)
            elif isinstance(node, ast.Array | ast.Set | ast.Object) and number in spread:
                self._list(number)
        for number in spread:
            if self.pieces[number].kind == "(" and self.is_call(number):
                self._list(number)
        self._one_liners()

    def _top_level(self) -> None:
        self.items[self.at(self.module)] = "package"
        for clause in self.module.imports:
            self.items[self.at(clause)] = "import"
        for rule in self.module.rules:
            number = self.at(rule)
            if self.pieces[number].kind != "{":  # that would be another body of the rule before
                self.items[number] = "rule"

    def _pair_brackets(self) -> set[int]:
        """Finds each bracket's mate. Returns the opening ones among whose own items a line ends."""
        spread: set[int] = set()
        stack: list[int] = []
        for number, piece in enumerate(self.pieces):
            if stack and piece.lines:
                spread.add(stack[-1])
            if piece.kind in _OPENERS:
                stack.append(number)
            elif piece.kind in _CLOSERS:
                opener = stack.pop()
                self.pieces[opener].mate, piece.mate = number, opener
        return spread

    def _block(self, body: ast.Body) -> None:
        """A body in braces gets a line for each statement."""
        first = self.at(body[0]) if body else -1
        opener = self.before(first)
        if first >= 0 and self.pieces[opener].kind == "{":
            self.blocks.add(opener)
            self.broken |= {opener, self.pieces[opener].mate}
            self.statements |= {self.at(each) for each in body}

    def _comprehension(self, number: int, body: ast.Body, spread: set[int]) -> None:
        if number < 0:
            return
        self.comprehensions.add(number)
        self.bars.add(self.before(self.at(body[0])))
        if number in spread:
            self.broken.add(self.pieces[number].mate)
            self.statements |= {self.at(each) for each in body}

    def _list(self, number: int) -> None:
        """A list that is broken anywhere is broken behind its bracket too, and ends with a comma."""
        mate = self.pieces[number].mate
        last = self.before(mate)
        if last > number:
            self.broken |= {number, mate}
            if self.pieces[last].kind != ",":
                self.commas.add(last)

    def _one_liners(self) -> None:
        starts = sorted(self.items)
        for start, end in zip(starts, [*starts[1:], len(self.pieces)], strict=True):
            inner = range(start + 1, end)
            if not any(
                number in self.statements
                or (self.pieces[number].lines and not self.pieces[number].is_comment)
                for number in inner
            ):
                self.one_line.add(start)

    def at(self, node: ast.Node) -> int:
        """The piece that a node starts with; -1 where it starts with none."""
        return self._index.get(self._places.start(node.loc), -1)

    def before(self, number: int) -> int:
        """The token before this place, comments left out; -1 where there is none."""
        number -= 1
        while number >= 0 and self.pieces[number].is_comment:
            number -= 1
        return number

    def behind(self, number: int) -> int:
        """The token at this place or behind it, comments left out."""
        while number < len(self.pieces) and self.pieces[number].is_comment:
            number += 1
        return number

    def is_call(self, number: int) -> bool:
        """Whether a parenthesis holds arguments."""
        if not number or not self.pieces[number].touches:
            return False
        kind = self.pieces[number - 1].kind
        return kind in ("name", "contains", "]") or (kind in _KEYWORDS and self.is_dotted(number - 1))

    def is_dotted(self, number: int) -> bool:
        return number > 0 and self.pieces[number - 1].kind == "." and self.pieces[number].touches

    def is_sign(self, number: int) -> bool:
        """Whether a minus is a number's sign, and no operator."""
        if self.pieces[number].kind != "-":
            return False
        before = self.before(number)
        return before < 0 or not (self.pieces[before].kind in _OPERAND_ENDS or self.is_dotted(before))


class _Writer:
    """Puts the pieces together, and keeps the indentation."""

    def __init__(self, pieces: list[_Piece], layout: _Layout) -> None:
        self.pieces = pieces
        self.layout = layout
        self.out: list[str] = []
        # The indentation of the line at hand, and of the lines in which the open brackets stand.
        self.indent = 0
        self.open: list[int] = []

    def text(self) -> str:
        previous = -1
        for number, piece in enumerate(self.pieces):
            if piece.kind == ";" and self.is_needless(number):
                continue
            lines = self.line_ends(previous, number)
            if lines:
                self.indent = self.indentation(number)
                self.out.append("\n" * lines + "\t" * self.indent)
            elif previous >= 0 and self.spaced(previous, number):
                self.out.append(" ")
            self.out.append(piece.text)
            if number in self.layout.commas:
                self.out.append(",")
            if piece.kind in _OPENERS:
                self.open.append(self.indent)
            elif piece.kind in _CLOSERS:
                self.open.pop()
            previous = number
        return "".join(self.out) + "\n"

    def is_needless(self, number: int) -> bool:
        """Whether a line's end can take the semicolon's place; before a minus it would be no end."""
        following = self.layout.behind(number + 1)
        return following in self.layout.statements and self.pieces[following].kind != "-"

    # Lines

    def line_ends(self, previous: int, number: int) -> int:
        """How many lines end before a piece; two make an empty line."""
        if previous < 0:
            return 0
        layout, piece, before = self.layout, self.pieces[number], self.pieces[previous]
        most = 2 if piece.lines > 1 else 1
        following = layout.behind(number)
        outside = following in layout.items or following == len(self.pieces)
        if outside and (piece.lines or not piece.is_comment):
            return self.between_items(previous, number, following)
        if piece.is_comment:
            inner = 1 if before.kind in _OPENERS else most
            return inner if piece.lines else 0
        closes = number in layout.broken and piece.kind in _CLOSERS
        opened = previous in layout.broken and before.kind in _OPENERS
        if closes or opened:
            return 1
        if before.is_comment or number in layout.statements:
            return most
        if (
            number in layout.bars
            or previous in layout.comprehensions
            or before.kind == "if"
            or (piece.kind == "else" and before.kind == "}")
            or number in layout.blocks
        ):
            return 0
        return min(piece.lines, 2 if before.kind == "," else 1)

    def between_items(self, previous: int, number: int, following: int) -> int:
        """What separates rules: an empty line, unless both are on one line and stood together."""
        layout, piece = self.layout, self.pieces[number]
        most = 2 if piece.lines > 1 else 1
        before = self.pieces[previous]
        own_line = before.is_comment and (before.lines > 0 or previous == 0)
        if own_line or following == len(self.pieces):
            return most
        item = max(start for start in layout.items if start <= previous)
        together = {item, following} <= layout.one_line and layout.items[item] == layout.items[following]
        return most if together else 2

    def indentation(self, number: int) -> int:
        layout, piece = self.layout, self.pieces[number]
        if piece.kind in _CLOSERS:
            return self.open[-1]
        inner = self.open[-1] + 1 if self.open else 0
        before = layout.before(number)
        starts = (
            piece.is_comment
            or number in layout.statements
            or number in layout.items
            or before in layout.bars
            or self.pieces[before].kind in _OPENERS
            or self.pieces[before].kind == ","
        )
        return inner if starts else inner + 1

    # Spaces

    def spaced(self, previous: int, number: int) -> bool:
        layout, piece, before = self.layout, self.pieces[number], self.pieces[previous]
        if piece.is_comment:
            return True
        if before.kind in _OPENERS or before.kind == "." or piece.kind in _TIGHT_BEFORE:
            return False
        if layout.is_sign(previous):
            return False
        if piece.touches and piece.kind in (".", "["):
            # A space would make no reference of it.
            return before.kind not in _REFERABLE
        if piece.kind == "(":
            return not layout.is_call(number)
        return True
