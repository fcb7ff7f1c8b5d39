"""Arrays, sets, objects and comprehensions, and the lists of terms within. One grammar rule, one method."""

from __future__ import annotations

from abc import ABC, abstractmethod

from palisade.rego import ast
from palisade.rego.cursor import Cursor, ParseError, Part


class CollectionParser(Cursor, ABC):
    """The part of the parser that reads collections."""

    def __init__(self, source: str, file: str, keywords: frozenset[str], *, part: Part | None = None) -> None:
        super().__init__(source, file, keywords, part=part)
        # What was read at each opening bracket of the rule at hand, and where it ended: see `collection`.
        self.collections: dict[int, tuple[ast.Term, int] | ParseError] = {}

    @abstractmethod
    def body(self, end: str) -> ast.Body:
        """The statements up to `end`, which is left to be taken."""

    @abstractmethod
    def term(self, *, pair: bool = True) -> ast.Term:
        """Any term. `pair`: whether a comma may go on to `k, v in xs`, which it may not within a list."""

    @abstractmethod
    def rest_of_term(self, left: ast.Term, start: int, *, pair: bool) -> ast.Term:
        """The operators that follow `left`, and `in`, which binds less tightly than all of them."""

    @abstractmethod
    def operand(self) -> ast.Term:
        """A term without infix operators."""

    def collection(self) -> ast.Term:
        """What starts with a brace or bracket.

        `{a | b, c}` is read as a comprehension first and then, at the comma, again as a set. Each collection
        is kept until the rule ends, so that nested ones are read once and the time stays linear.
        """
        at = self.index
        known = self.collections.get(at)
        if isinstance(known, ParseError):
            raise known
        if known is not None:
            term, index = known
            self.rewind((index, self.depth))
            return term
        try:
            term = self.array() if self.token.kind == "[" else self.set_or_object()
        except ParseError as failure:
            self.collections[at] = failure
            raise
        self.collections[at] = (term, self.index)
        return term

    def array(self) -> ast.Array | ast.ArrayComprehension:
        start = self.enter().start
        if self.token.kind == "]":
            self.leave("]")
            return ast.Array((), loc=self.since(start))
        comma = self.leading_comma()
        first_start = self.token.start
        first = self.operand()
        if self.token.kind == "|" and not comma:
            body = self.comprehension_body("]")
            if body is not None:
                return ast.ArrayComprehension(first, body, loc=self.since(start))
        first = self.rest_of_term(first, first_start, pair=False)
        items = self.more_items(first, "]")
        self.leave("]")
        return ast.Array(items, loc=self.since(start))

    def set_or_object(self) -> ast.Set | ast.SetComprehension | ast.Object | ast.ObjectComprehension:
        start = self.enter().start
        if self.token.kind == "}":
            self.leave("}")
            return ast.Object((), loc=self.since(start))
        comma = self.leading_comma()
        first_start = self.token.start
        first = self.operand()
        if self.token.kind == "|" and not comma:
            body = self.comprehension_body("}")
            if body is not None:
                return ast.SetComprehension(first, body, loc=self.since(start))
        first = self.rest_of_term(first, first_start, pair=False)
        if self.token.kind == ":":
            return self.object(first, start, comma=comma)
        if self.token.kind not in ("}", ","):
            self.unexpected("non-terminated set", self.between_members())
        items = self.more_items(first, "}")
        self.leave("}")
        return ast.Set(items, loc=self.since(start))

    def object(self, key: ast.Term, start: int, *, comma: bool) -> ast.Object | ast.ObjectComprehension:
        """An object from behind its first key."""
        self.advance()
        value_start = self.token.start
        value = self.operand()
        if self.token.kind == "|" and not comma:
            body = self.comprehension_body("}")
            if body is not None:
                return ast.ObjectComprehension(key, value, body, loc=self.since(start))
        value = self.rest_of_term(value, value_start, pair=False)
        if self.token.kind not in ("}", ","):
            self.unexpected("non-terminated object", self.between_members())
        items = [(key, value)]
        while self.another_item("}"):
            key = self.term(pair=False)
            self.expect(":", 'expected ":"')
            items.append((key, self.term(pair=False)))
        self.leave("}")
        # A key that is written twice has the last value, as in OPA, which never asks what the first one is.
        return ast.Object(tuple(dict(items).items()), loc=self.since(start))

    def comprehension_body(self, end: str) -> ast.Body | None:
        """The body behind a bar; None where the bar turns out to be the operator of a collection's item."""
        mark = self.mark()
        self.advance()
        try:
            body = self.body(end)
        except ParseError as failure:
            if failure.token.kind != ",":
                raise
            self.rewind(mark)
            return None
        self.leave(end)
        return body

    def items(self, end: str) -> tuple[ast.Term, ...]:
        """Terms with commas between them, up to `end`, which is left to be taken."""
        if self.token.kind == end:
            return ()
        return self.more_items(self.term(pair=False), end)

    def more_items(self, first: ast.Term, end: str) -> tuple[ast.Term, ...]:
        items = [first]
        while self.another_item(end):
            items.append(self.term(pair=False))
        return tuple(items)

    def another_item(self, end: str) -> bool:
        """Whether the list goes on behind a comma; a last comma before the end is allowed."""
        if self.token.kind == ",":
            self.advance()
            return self.token.kind != end
        if self.token.kind != end:
            self.unexpected(f'expected "," or "{end}"', self.between_members())
        return False

    def leading_comma(self) -> bool:
        """`[, x]`: OPA takes it, and no comprehension after it."""
        if self.token.kind != ",":
            return False
        self.advance()
        return True
