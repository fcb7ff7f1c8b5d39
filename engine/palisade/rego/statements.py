"""Statements: the lines of a body. One grammar rule, one method."""

from __future__ import annotations

from dataclasses import replace

from palisade.rego import ast
from palisade.rego.advice import CONDITION
from palisade.rego.cursor import CLOSING, OPENING, ParseError
from palisade.rego.errors import Location
from palisade.rego.lexer import NEWLINE, NO_GAP
from palisade.rego.terms import MEMBER, MEMBER_WITH_KEY, TermParser


def _asks_input(statement: ast.Statement) -> bool:
    """Whether it is a reference to input, which is no rule's head."""
    term = statement.term if isinstance(statement, ast.Expression) else None
    head = term.head if isinstance(term, ast.Ref) else None
    return isinstance(head, ast.Var) and head.name == "input"


_COLLECTIONS = ("[", "{", "template")


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
        start = self.token.start
        if self.token.kind in ("some", "every") and not self.heads_reference:
            return self.some() if self.token.kind == "some" else self.every()
        found = self.asked()
        return self.rest_of_logic(found, start) if self.logical else found

    def asked(self) -> ast.Statement:
        """An expression, negated or not: what stands by itself, or on a side of `and` and `or`."""
        kind = self.token.kind
        start = self.token.start
        if kind in self.keywords and self.heads_reference:
            self.take_keyword_as_name()
            return self.expression(start, negated=False)
        if kind == "not":
            self.advance()
            return self.negated(start)
        if self.logical and kind == "{" and self.is_operand():
            return self.body_in_braces(start)
        if self.logical and kind == "(" and self.is_logic():
            return self.in_parentheses(start)
        return self.expression(start, negated=False)

    def negated(self, start: int) -> ast.Statement:
        """What stands behind `not`."""
        kind = self.token.kind
        if kind in ("some", "every"):
            # What is negated has to be a value, or a rule that is undefined.
            hint = "write `not x in xs`, or `not` before a rule of its own that loops"
            self.unexpected(f"illegal negation of '{kind}'", hint)
        if kind == "{" and self.negates_whole:
            return self.body_in_braces(start, negated=True)
        if kind == "(" and (self.negates_whole or self.logical) and self.is_logic():
            return self.in_parentheses(start, negated=True)
        return self.expression(start, negated=True)

    # `and`, `or`, and what stands on their sides

    def rest_of_logic(self, left: ast.Statement, start: int) -> ast.Statement:
        """`and` and `or` behind an operand: `and` binds tighter, and `with` stands behind all of them."""
        if self.token.kind not in self.logical or self.heads_reference:
            if _is_body(left) and not left.negated:
                self.fail(
                    "non-terminated expression", self.span(left), "`with` stands behind the parentheses"
                )
            grouped = isinstance(left, ast.Logical) and self.token.kind == "with"
            return replace(left, withs=self.withs(), loc=self.since(start)) if grouped else left
        found = self.either(self.both(left, start), start)
        found, withs = _without_withs(found)
        withs = withs or self.withs()
        return replace(found, withs=withs, loc=self.since(start)) if withs else found

    def either(self, left: ast.Statement, start: int) -> ast.Statement:
        while self.token.kind == "or" and not self.heads_reference:
            self.check_operand(left)
            self.advance()
            begin = self.token.start
            right = self.both(self.right_side(), begin)
            left = ast.Logical("or", left, right, loc=self.since(start))
        return left

    def both(self, left: ast.Statement, start: int) -> ast.Statement:
        while self.token.kind == "and" and not self.heads_reference:
            self.check_operand(left)
            self.advance()
            left = ast.Logical("and", left, self.right_side(), loc=self.since(start))
        return left

    def right_side(self) -> ast.Statement:
        start = self.token.start
        if self.token.kind == "{":
            return self.body_in_braces(start)
        if self.token.kind in ("some", "every") and not self.heads_reference:
            self.unexpected(hint=f"write `{{ {self.token.kind} .. }}`: a body in braces may loop")
        return self.asked()

    def check_operand(self, left: ast.Statement) -> None:
        """Refuses what cannot stand before the operator that comes next."""
        operator = self.token.kind
        if _bare_withs(left):
            hint = "put the operand in braces, or `with` behind the whole expression, for all of it"
            self.fail(f"`with` modifier is not allowed on operand of `{operator}`", hint=hint)
        if self.source[self.span(left).start] == "{" and not _begins_with_body(left):
            message = f"operand of `{operator}` cannot begin with `{{` unless the braces hold a body"
            self.fail(message, self.span(left), "put it in parentheses")

    def body_in_braces(self, start: int, *, negated: bool = False) -> ast.Expression:
        """`{ .. }` as what has to hold, or not to."""
        brace = self.token.start
        body = self.braced_body()
        term = ast.Holds(ast.Scalar(True), body, loc=self.since(brace))
        withs = self.withs() if negated else ()
        return ast.Expression(term, negated=negated, whole=negated, withs=withs, loc=self.since(start))

    def in_parentheses(self, start: int, *, negated: bool = False) -> ast.Statement:
        """A logical expression in parentheses."""
        self.enter()
        inner = self.statement()
        if self.token.kind != ")":
            self.fail("non-terminated expression", hint=self.unclosed("close {}"))
        self.leave(")")
        if not negated:
            return _grouped(inner, self.since(start))
        if isinstance(inner, ast.Logical) and not inner.withs:
            return replace(inner, negated=True, whole=True, withs=self.withs(), loc=self.since(start))
        holds = ast.Holds(ast.Scalar(True), (inner,), loc=inner.loc)
        return ast.Expression(holds, negated=True, whole=True, withs=self.withs(), loc=self.since(start))

    def is_operand(self) -> bool:
        """Whether the braces that open here are an operand of `and` or `or`, as their left side."""
        end = self.closing()
        return end is not None and self.joins(end + 1)

    def is_logic(self) -> bool:
        """Whether the parentheses that open here hold a statement: `and`, `or`, `not` or `with` are in it."""
        depth = 0
        for at in range(self.index + 1, self.closing() or self.index):
            kind = self.tokens[at].kind
            depth += kind in _COLLECTIONS
            depth -= kind in ("]", "}")
            if not depth and (kind in ("not", "with") or self.joins(at)):
                return True
        return False

    def joins(self, at: int) -> bool:
        """Whether the token of that index is `and` or `or` between operands, and no name."""
        if self.tokens[at].kind not in self.logical:
            return False
        after = self.tokens[at + 1]
        starts = self.tokens[at - 1].kind in ("(", ",", "and", "or", "not")
        return not (
            self.tokens[at - 1].kind == "."
            or (after.gap == NO_GAP and (after.kind in (".", "[") or (starts and after.kind == "(")))
        )

    def closing(self) -> int | None:
        """The index of the token that closes the bracket which comes next; None where none does."""
        depth = 0
        for at in range(self.index, len(self.tokens)):
            kind = self.tokens[at].kind
            depth += kind in OPENING
            depth -= kind in CLOSING
            if not depth:
                return at
        return None

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


def _without_withs(node: ast.Statement) -> tuple[ast.Statement, tuple[ast.With, ...]]:
    """A logical expression, and the modifiers that its last side was read with, which are for all of it."""
    if not isinstance(node, ast.Logical) or node.negated:
        return (replace(node, withs=()) if node.withs else node), node.withs
    right, withs = _without_withs(node.right)
    return (replace(node, right=right) if withs else node), withs


def _bare_withs(node: ast.Statement) -> bool:
    """Whether its last operand has modifiers, and is not in parentheses."""
    while isinstance(node, ast.Logical) and not node.negated:
        node = node.right
    return bool(node.withs)


def _is_body(node: ast.Statement) -> bool:
    return isinstance(node, ast.Expression) and isinstance(node.term, ast.Holds)


def _begins_with_body(node: ast.Statement) -> bool:
    while isinstance(node, ast.Logical) and not node.negated:
        node = node.left
    return _is_body(node)


def _grouped(inner: ast.Statement, loc: Location) -> ast.Statement:
    """What stood in parentheses: with modifiers of its own it is a body of its own."""
    if not inner.withs:
        return inner
    return ast.Expression(ast.Holds(ast.Scalar(True), (inner,), loc=loc), loc=loc)


def _refused_in_templates(statement: ast.Statement) -> str:
    if statement.negated:
        return "negation ('not')"
    if isinstance(statement, ast.Unify):
        return "unification ('=')"
    if isinstance(statement, ast.Assign):
        return "assignment (':=')"
    if isinstance(statement, ast.Every):
        return "'every'"
    if isinstance(statement, ast.Logical):
        return f"'{statement.operator}'"
    if isinstance(statement, ast.Some | ast.SomeIn):
        return "'some'"
    return ""
