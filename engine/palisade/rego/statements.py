"""Statements: the lines of a body. One grammar rule, one method."""

from __future__ import annotations

from palisade.rego import ast
from palisade.rego.advice import CONDITION
from palisade.rego.cursor import ParseError
from palisade.rego.lexer import NEWLINE
from palisade.rego.terms import MEMBER, MEMBER_WITH_KEY, TermParser


def _asks_input(statement: ast.Statement) -> bool:
    """Whether it is a reference to input, which is no rule's head."""
    term = statement.term if isinstance(statement, ast.Expression) else None
    head = term.head if isinstance(term, ast.Ref) else None
    return isinstance(head, ast.Var) and head.name == "input"


class StatementParser(TermParser):
    """The part of the parser that reads statements and bodies."""

    def body(self, end: str) -> ast.Body:
        if self.token.kind == end:
            self.fail("found empty body")
        statements = [self.condition()]
        while self.token.kind != end:
            if self.token.kind == ";":
                self.advance()
            elif self.token.gap != NEWLINE:
                # Where a rule seems to stand in a body, the one before it has no end.
                lacks = self.token.kind in ("if", "contains", "else")
                if self.token.kind == "contains" and _asks_input(statements[-1]):
                    lacks = False
                hint = self.unclosed("is {} closed before the next rule?") if lacks else ""
                if self.token.kind == ",":
                    hint = self.of_other_languages() or "between expressions write a new line or `;`"
                self.unexpected(f"expected \\n or ; or {end}", hint)
            statements.append(self.condition())
        return tuple(statements)

    def condition(self) -> ast.Statement:
        if self.token.kind == "if" and not self.heads_reference:
            self.unexpected(hint=CONDITION)
        return self.statement()

    def braced_body(self) -> ast.Body:
        """A body from its opening brace, which comes next, to the closing one."""
        self.enter()
        body = self.body("}")
        self.leave("}")
        return body

    def statement(self) -> ast.Statement:
        kind = self.token.kind
        if kind in self.keywords and self.heads_reference:
            self.take_keyword_as_name()
            return self.expression(self.token.start, negated=False)
        start = self.token.start
        negated = kind == "not"
        if negated:
            self.advance()
            kind = self.token.kind
            if kind == "{" and self.negates_whole:
                hint = "write a rule of its own with that body, and `not` before its name"
                self.unexpected("`not` before a body is not supported", hint)
        if kind in ("some", "every"):
            if negated:
                # What is negated has to be a value, or a rule that is undefined.
                hint = "write `not x in xs`, or `not` before a rule of its own that loops"
                self.unexpected(f"illegal negation of '{kind}'", hint)
            return self.some() if kind == "some" else self.every()
        return self.expression(start, negated=negated)

    def expression(self, start: int, *, negated: bool) -> ast.Statement:
        """A term, or two with `:=` or `=` between them."""
        left = self.term()
        kind = self.token.kind
        whole = negated and self.negates_whole
        if kind == ":=":
            self.advance()
            right = self.term()
            withs = self.withs()
            return ast.Assign(left, right, negated=negated, whole=whole, withs=withs, loc=self.since(start))
        if kind == "=":
            self.advance()
            right = self.term()
            withs = self.withs()
            return ast.Unify(left, right, negated=negated, whole=whole, withs=withs, loc=self.since(start))
        withs = self.withs()
        self.hint_at_every(left)
        return ast.Expression(left, negated=negated, whole=whole, withs=withs, loc=self.since(start))

    def withs(self) -> tuple[ast.With, ...]:
        """Any number of `with target as value`."""
        if self.token.kind != "with":
            return ()
        withs: list[ast.With] = []
        while self.token.kind == "with":
            start = self.advance().start
            if self.token.kind != "name":
                self.unexpected("expected ident")
            target = self.operand()
            if not isinstance(target, ast.Var | ast.Ref):
                self.unexpected("expected with target path")
            self.expect("as", "expected as keyword")
            withs.append(ast.With(target, self.term(), loc=self.since(start)))
        return tuple(withs)

    def some(self) -> ast.Some | ast.SomeIn:
        """`some x, y` and `some k, v in xs`."""
        start = self.advance().start
        mark = self.mark()
        try:
            term = self.term()
        except ParseError:
            self.rewind(mark)  # The declaration tells better what was expected.
            return self.declaration(start)
        if isinstance(term, ast.Call):
            return self.some_in(term, start)
        self.rewind(mark)
        return self.declaration(start)

    def some_in(self, call: ast.Call, start: int) -> ast.SomeIn:
        if call.operator == MEMBER:
            key, (value, collection) = None, call.args
        elif call.operator == MEMBER_WITH_KEY:
            key, value, collection = call.args
        else:
            self.unexpected("expected `x in xs` or `x, y in xs` expression")
        withs = self.withs()
        return ast.SomeIn(key, value, collection, withs=withs, loc=self.since(start))

    def declaration(self, start: int) -> ast.Some:
        names: list[ast.Var] = []
        while True:
            if self.token.kind != "name":
                self.unexpected("expected var")
            names.append(self.variable())
            if self.token.kind != ",":
                break
            self.advance()
        token = self.token
        if token.text == "in" and token.kind == "name" and token.gap != NEWLINE:
            self.unexpected(hint="`import future.keywords.in` for `some x in xs` expressions")
        return ast.Some(tuple(names), loc=self.since(start))

    def every(self) -> ast.Every:
        """`every v in xs { ... }` and `every k, v in xs { ... }`."""
        start = self.advance().start
        call = self.term()
        key: ast.Term | None = None
        if isinstance(call, ast.Call) and call.operator == MEMBER:
            value, domain = call.args
        elif isinstance(call, ast.Call) and call.operator == MEMBER_WITH_KEY:
            key, value, domain = call.args
        else:
            self.unexpected("expected `x[, y] in xs { ... }` expression")
        if key is not None and not isinstance(key, ast.Var):
            self.unexpected("expected key to be a variable")
        if not isinstance(value, ast.Var):
            self.unexpected("expected value to be a variable")
        if self.token.kind != "{":
            self.unexpected("missing body", "write `every x in xs { .. }`")
        body = self.braced_body()
        withs = self.withs()
        return ast.Every(key, value, domain, body, withs=withs, loc=self.since(start))

    def hint_at_every(self, term: ast.Term) -> None:
        """`every x in xs` without the import that v0 asks for."""
        if (
            isinstance(term, ast.Var)
            and term.name == "every"
            and "every" not in self.keywords
            and self.token.kind == "name"
            and self.token.gap != NEWLINE
        ):
            self.unexpected(
                hint="`import future.keywords.every` for `every x in xs { ... }` expressions",
            )

    def template_expression(self) -> ast.Term:
        """A template string takes any term, and with it `with`, but no statement of another kind."""
        token = self.token
        statement = self.statement()
        refused = _refused_in_templates(statement)
        if refused:
            self.fail(f"unexpected {refused} in template-string expression", token)
        assert isinstance(statement, ast.Expression)  # noqa: S101 - for the type checker
        if not statement.withs:
            return statement.term
        # Only statements have `with`: `[v | v = term with ..][0]` is the same as a term.
        loc = statement.loc
        part = ast.Var(f"__part{self.index}__", loc=loc)
        body = (ast.Unify(part, statement.term, withs=statement.withs, loc=loc),)
        return ast.Ref(ast.ArrayComprehension(part, body, loc=loc), (ast.Scalar(0, loc=loc),), loc=loc)


def _refused_in_templates(statement: ast.Statement) -> str:
    if statement.negated:
        return "negation ('not')"
    if isinstance(statement, ast.Unify):
        return "unification ('=')"
    if isinstance(statement, ast.Assign):
        return "assignment (':=')"
    if isinstance(statement, ast.Every):
        return "'every'"
    if isinstance(statement, ast.Some | ast.SomeIn):
        return "'some'"
    return ""
