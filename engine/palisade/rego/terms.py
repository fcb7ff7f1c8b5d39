"""Terms: everything that denotes a value. One grammar rule, one method.

Infix operators become calls of the builtins that OPA names for them, by precedence climbing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from contextlib import suppress
from decimal import Decimal
from typing import NamedTuple

from palisade.rego import ast
from palisade.rego.advice import TUPLE
from palisade.rego.brackets import CollectionParser
from palisade.rego.cursor import ParseError, Part
from palisade.rego.kinds import kind_of
from palisade.rego.lexer import NO_GAP, string_value, template_text
from palisade.rego.values import canonical


class Infix(NamedTuple):
    level: int
    operator: ast.Var


_RELATION, _OR, _AND, _SUM, _PRODUCT = range(1, 6)

INFIX: dict[str, Infix] = {
    sign: Infix(level, ast.Var(name))
    for level, names in {
        _RELATION: {"==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"},
        _OR: {"|": "or"},
        _AND: {"&": "and"},
        _SUM: {"+": "plus", "-": "minus"},
        _PRODUCT: {"*": "mul", "/": "div", "%": "rem"},
    }.items()
    for sign, name in names.items()
}

MEMBER = ast.Ref(ast.Var("internal"), (ast.Scalar("member_2"),))
MEMBER_WITH_KEY = ast.Ref(ast.Var("internal"), (ast.Scalar("member_3"),))

_CONSTANTS: dict[str, bool | None] = {"null": None, "true": True, "false": False}
# Behind these no `.` and no `[` can stand.
_NO_HEADS = (ast.Scalar, ast.Ref, ast.TemplateString)
# OPA takes no number of which the binary exponent is larger: some of its arithmetic slows down with it.
_MAX_BINARY_EXPONENT = 100_000
_MOST_DIGITS = 4_300
"""Python shows no integer of more."""


class TermParser(CollectionParser, ABC):
    """The part of the parser that reads terms."""

    def __init__(self, source: str, file: str, keywords: frozenset[str], *, part: Part | None = None) -> None:
        super().__init__(source, file, keywords, part=part)
        # The name of each `_` of the rule at hand by where it stands: it keeps it when it is read again.
        self.wildcards: dict[Hashable, str] = {}

    @abstractmethod
    def template_expression(self) -> ast.Term:
        """What stands between the braces of a template string."""

    # Operators

    def term(self, *, pair: bool = True) -> ast.Term:
        start = self.token.start
        return self.rest_of_term(self.operand(), start, pair=pair)

    def needed_term(self, note: str) -> ast.Term:
        """Any term; the note says what it is needed for, where none comes next."""
        if self.token.kind not in _OPERANDS:
            self.unexpected(note)
        return self.term()

    def rest_of_term(self, left: ast.Term, start: int, *, pair: bool) -> ast.Term:
        if self.token.kind in INFIX:
            left = self.infix(left, start, _RELATION)
        if pair and self.token.kind == ",":
            left = self.member_with_key(left, start)
        while self.token.kind in self.keywords:
            if self.heads_reference:
                self.take_keyword_as_name()
            if self.token.kind != "in":
                break
            self.advance()
            left = self.call(MEMBER, (left, self.relation()), start)
        return left

    def member_with_key(self, key: ast.Term, start: int) -> ast.Term:
        """`k, v in xs`; where the comma turns out to mean something else, the key alone."""
        mark = self.mark()
        # Whoever called decides what the comma means, and tells what is wrong behind it.
        with suppress(ParseError):
            self.advance()
            value = self.relation()
            if self.token.kind == "in":
                self.advance()
                return self.call(MEMBER_WITH_KEY, (key, value, self.relation()), start)
        self.rewind(mark)
        return key

    def relation(self) -> ast.Term:
        """A term without `in`."""
        start = self.token.start
        return self.infix(self.operand(), start, _RELATION)

    def infix(self, left: ast.Term, start: int, level: int) -> ast.Term:
        """The operators that follow `left` and bind at least as tightly as `level`."""
        while True:
            found = INFIX.get(self.token.kind)
            if found is None or found.level < level:
                return left
            self.advance()
            middle = self.token.start
            right = self.infix(self.operand(), middle, found.level + 1)
            left = self.call(found.operator, (left, right), start)

    def call(self, operator: ast.Var | ast.Ref, args: tuple[ast.Term, ...], start: int) -> ast.Call:
        self.risings += 1
        return ast.Call(operator, args, loc=self.since(start))

    # Operands

    def operand(self) -> ast.Term:
        start = self.token.start
        parse = _OPERANDS.get(self.token.kind)
        if parse is None:
            self.unexpected()
        term = parse(self)
        token = self.token
        if token.gap == NO_GAP and token.kind in (".", "[", "("):
            return self.reference(term, start)
        return term

    def reference(self, head: ast.Term, start: int) -> ast.Term:
        """What follows a head without a gap: `.name`, `[term]`, `(arguments)`."""
        if isinstance(head, _NO_HEADS):
            self.fail(f"illegal ref (head cannot be {kind_of(head)})", self.tokens[self.index - 1])
        path: list[ast.Term] = []
        while self.token.gap == NO_GAP:
            kind = self.token.kind
            if kind == ".":
                self.advance()
                path.append(self.dotted_name())
            elif kind == "[":
                self.enter()
                path.append(self.key())
                self.leave("]", "expected ]")
            elif kind == "(" and (path or isinstance(head, ast.Var)):
                operator = ast.Ref(head, tuple(path), loc=self.since(start)) if path else head
                head, path = self.function_call(operator, start), []
            else:
                break
        return ast.Ref(head, tuple(path), loc=self.since(start)) if path else head

    def key(self) -> ast.Term:
        """What stands between the brackets. To OPA 1.0 is no place in an array: such a number stays as it is
        written."""
        token = self.token
        found = self.term()
        if token.kind != "number" or not isinstance(found, ast.Scalar) or token.text.isdigit():
            return found
        return ast.Scalar(Decimal(token.text), loc=found.loc) if type(found.value) is int else found

    def dotted_name(self) -> ast.Scalar:
        """The name behind a dot, which may be a keyword."""
        token = self.token
        if token.gap != NO_GAP or (token.kind != "name" and token.kind not in self.keywords):
            number = "a member of an array is written in brackets: `xs[0]`"
            self.unexpected("expected identifier", number if token.kind == "number" else "")
        self.advance()
        return ast.Scalar(token.text, loc=self.at(token))

    def function_call(self, operator: ast.Term, start: int) -> ast.Term:
        self.enter()
        args = self.items(")")
        self.leave(")")
        if not args and operator == ast.Var("set"):
            return ast.Set((), loc=self.since(start))
        assert isinstance(operator, ast.Var | ast.Ref)  # noqa: S101 - for the type checker
        return self.call(operator, args, start)

    def variable(self) -> ast.Var:
        token = self.advance()
        name = token.text
        if name == "_":
            name = self.wildcard(token.start)
        return ast.Var(name, loc=self.at(token))

    def called_keyword(self) -> ast.Var:
        """`and` and `or` as names of functions, and of rules: where something follows at once."""
        after = self.following()
        if after.gap != NO_GAP or after.kind not in ("(", ".", "["):
            self.unexpected()
        return self.variable()

    def wildcard(self, place: Hashable) -> str:
        """The name of the `_` at this place."""
        return self.wildcards.setdefault(place, f"${len(self.wildcards)}")

    def constant(self) -> ast.Scalar:
        token = self.advance()
        return ast.Scalar(_CONSTANTS[token.kind], loc=self.at(token))

    def string(self) -> ast.Scalar:
        token = self.token
        try:
            value = string_value(token.text)
        except ValueError:
            self.fail(f"illegal string literal: {token.text}")
        self.advance()
        return ast.Scalar(value, loc=self.at(token))

    def number(self) -> ast.Scalar:
        """A number, with its sign; `.5` is one too."""
        start = self.token.start
        sign = self.advance().text if self.token.kind == "-" else ""
        point = self.advance().text if self.token.kind == "." else ""
        if self.token.kind != "number":
            self.unexpected("expected number")
        digits = self.token.text
        if not point and len(digits) > 1 and digits[0] == "0" and digits[1] not in ".eE":
            self.unexpected("expected number without leading zero")
        try:
            exact = Decimal(sign + point + digits)
        except ArithmeticError:
            self.unexpected("invalid float")
        if exact and abs(exact.adjusted()) > _MAX_BINARY_EXPONENT * math.log10(2):
            self.fail("number too big")
        value = canonical(exact)
        if isinstance(value, int) and exact.adjusted() >= _MOST_DIGITS:
            self.fail(f"number too big: it has more than {_MOST_DIGITS:,} digits")
        self.advance()
        return ast.Scalar(value, loc=self.since(start))

    def negative(self) -> ast.Term:
        """A number below zero; or `-name`, short for `0 - name`."""
        if self.following().kind not in ("name", "contains"):
            return self.number()
        minus = self.advance()
        zero = ast.Scalar(0, loc=self.at(minus))
        return self.call(INFIX["-"].operator, (zero, self.operand()), minus.start)

    def parenthesized(self) -> ast.Term:
        self.enter()
        term = self.term()
        if self.token.kind != ")":
            meant = TUPLE if self.token.kind == "," else self.of_other_languages()
            self.fail("non-terminated expression", hint=meant or self.unclosed("close {}"))
        self.leave(")")
        return term

    def template_string(self) -> ast.TemplateString:
        start = self.token.start
        raw = self.token.raw
        parts: list[str | ast.Term] = []
        while True:
            token = self.token
            if token.kind not in ("template", "template-end"):
                self.unexpected("expected } to end template string expression")
            try:
                text = template_text(token)
            except ValueError:
                self.fail(f"illegal template-string part: {token.text}")
            if text:
                parts.append(text)
            if token.kind == "template-end":
                self.advance()
                return ast.TemplateString(tuple(parts), raw, loc=self.since(start))
            self.enter()
            parts.append(self.template_expression())
            if self.token.kind != "}":
                self.fail("expected } to end template string expression")
            self.leave("}")


# What an operand may start with. A table of functions, not of bound methods: those would tie each parser and
# its tokens into a cycle, which only the garbage collector unties.
_OPERANDS: dict[str, Callable[[TermParser], ast.Term]] = {
    "name": TermParser.variable,
    "contains": TermParser.variable,  # a keyword in the heads of rules only
    "and": TermParser.called_keyword,
    "or": TermParser.called_keyword,
    "string": TermParser.string,
    "number": TermParser.number,
    "-": TermParser.negative,
    ".": TermParser.number,
    "null": TermParser.constant,
    "true": TermParser.constant,
    "false": TermParser.constant,
    "[": TermParser.collection,
    "{": TermParser.collection,
    "(": TermParser.parenthesized,
    "template": TermParser.template_string,
    "template-end": TermParser.template_string,
}
