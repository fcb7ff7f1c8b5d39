"""Rules: heads, bodies, `else` and defaults. One grammar rule, one method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, NoReturn

from palisade.rego import ast
from palisade.rego.advice import OPERATORS_ELSEWHERE, WORDS_BETWEEN, of_line, of_misspelt
from palisade.rego.cursor import ParseError, Part
from palisade.rego.errors import Diagnostic, Location
from palisade.rego.kinds import kind_of
from palisade.rego.lexer import LOGICAL, NEWLINE, NO_GAP
from palisade.rego.statements import StatementParser
from palisade.rego.terms import INFIX

# Behind the closing brace of `if { .. }` these go on with a term: then the braces held a collection.
_CONTINUING = frozenset((*INFIX, "=", ":=", "in", "with", ","))
_TRUE = ast.Scalar(True)
_V0_HINT = "write `if` before the brace, or read the module as Rego v0"
_NO_RULE = (
    "outside of rules only `package` and `import` can stand; a body of several expressions stands in braces"
)
_V1_HINT = "write `if` before the brace: `import rego.v1` asks for it"
_NO_BODY = "a rule needs a value or a body, as in `p := 1` or `p if { .. }`"
_COMPREHENSIONS = (ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension)


class Written(NamedTuple):
    """A head as it stands in the source; what it defines depends on what follows it too."""

    name: ast.Var
    path: tuple[ast.Term, ...]
    args: tuple[ast.Term, ...] | None
    key: ast.Term | None
    sign: str
    value: ast.Term | None
    spaced: bool
    loc: Location

    @property
    def text(self) -> str:
        return ast.dotted(ast.Ref(self.name, self.path)) if self.path else self.name.name

    @property
    def what(self) -> str:
        return "function" if self.args else "rule"

    @property
    def one_part(self) -> bool:
        """`p[x]` without a value: a set of v0, or with `if` an object of true values."""
        return len(self.path) == 1 and self.args is None and self.key is None and self.value is None

    def head(self) -> ast.Head:
        value = self.value if self.value is not None else _TRUE
        return ast.Head(self.name, self.path, self.args, self.key, value, self.sign == ":=", loc=self.loc)

    def set_head(self) -> ast.Head:
        """`p[x]` as v0 reads it: a set that contains x."""
        return ast.Head(self.name, (), None, self.path[0], _TRUE, False, loc=self.loc)


class RuleParser(StatementParser):
    """The part of the parser that reads rules. `strict`: whether they need `if` and `contains`."""

    def __init__(
        self,
        source: str,
        file: str,
        keywords: frozenset[str],
        *,
        strict: bool,
        part: Part | None = None,
    ) -> None:
        super().__init__(source, file, keywords, part=part)
        self.strict = strict
        self.asks_for_v1 = False
        """Whether it imports `rego.v1`: then it is read so whatever it is said to be."""
        # What is wrong with rules that could be read: reading goes on behind them.
        self.errors: list[Diagnostic] = []

    def rule(self) -> list[ast.Rule]:
        """A rule; or several where bodies follow each other, as in `p { .. } { .. }`."""
        start = self.token.start
        if self.token.kind == "default" and not self.heads_reference:
            self.advance()
            return [self.default_rule(start)]
        if self.heads_reference or self.token.kind in LOGICAL:
            self.take_keyword_as_name()
        if self.token.kind == "contains":
            self.fail("contains keyword cannot be used for rule name")
        if self.token.kind != "name":
            self.refuse_statement(self.statement())
        written = self.written_head()
        if self.token.kind == "if":
            self.advance()
            head, body = written.head(), self.body_behind_if()
        elif self.token.kind == "{":
            head, body = self.old_head(written), self.braced_body()
        else:
            return [self.bodiless_rule(written, start)]
        orelse: tuple[ast.Else, ...] = ()
        if self.token.kind == "else" and not self.heads_reference:
            orelse = self.orelse(head)
        rules = [ast.Rule(head, body, orelse, loc=self.since(start))]
        while self.token.kind == "{":
            if orelse:
                self.unexpected("expected else keyword")
            brace = self.token.start
            head = self.head_again(head, brace)
            rules.append(ast.Rule(head, self.braced_body(), loc=self.since(brace)))
        return rules

    # Heads

    def written_head(self, *, default: bool = False) -> Written:
        """`p`, `p.q[x]`, `f(x)`, each with a value or not, and `p contains x`."""
        start = self.token.start
        name = self.variable()
        opens = self.token.kind in (".", "[", "(")
        spaced = opens and self.token.gap != NO_GAP
        if spaced:
            # In heads, and only there, OPA lets whitespace stand before these.
            self.token = self.tokens[self.index] = self.token._replace(gap=NO_GAP)
        term: ast.Term = self.reference(name, start) if opens else name
        args = None
        if isinstance(term, ast.Call):
            args, term = term.args or None, term.operator
        path = term.path if isinstance(term, ast.Ref) else ()
        first = term.head if isinstance(term, ast.Ref) else term
        if not isinstance(first, ast.Var):
            self.fail(f"{kind_of(first)} cannot be used for rule name", self.span(first))
        key = value = None
        sign = ""
        if self.token.kind == "contains":
            key = self.head_key(ast.dotted(term), args)
        elif self.token.kind in ("=", ":="):
            sign = self.advance().kind
            what, example = ("function ", f"{ast.dotted(term)}(...)") if args else ("", ast.dotted(term))
            if default:
                note = f"expected default rule value term (e.g., default {example} {sign} <VALUE>)"
            else:
                note = f"expected {what or 'rule '}value term (e.g., {example} {sign} <VALUE> {{ ... }})"
            value = self.needed_term(note)
        return Written(first, path, args, key, sign, value, spaced, self.since(start))

    def head_key(self, name: str, args: tuple[ast.Term, ...] | None) -> ast.Term:
        """`contains x`."""
        example = f"(e.g., {name} contains <VALUE> {{ ... }})"
        if args is not None:
            self.unexpected(
                f"the contains keyword can only be used with multi-value rule definitions {example}"
            )
        self.advance()
        return self.needed_term(f"expected rule key term {example}")

    def old_head(self, written: Written) -> ast.Head:
        """The head before a body without `if`, which only v0 has; there `p[x] { .. }` is a set."""
        if self.strict:
            self.complain_of_body(written.what, written.loc)
        if not written.one_part:
            return written.head()
        if self.strict:
            self.complain_of_set(written, written.loc)
        return written.set_head()

    def head_again(self, head: ast.Head, brace: int) -> ast.Head:
        """The head for another body, in which each `_` among the arguments is a variable of its own."""
        args = tuple(
            ast.Var(self.wildcard((brace, index)), loc=arg.loc)
            if isinstance(arg, ast.Var) and arg.is_wildcard
            else arg
            for index, arg in enumerate(head.args or ())
        )
        return replace(head, args=args) if args else head

    # Bodies

    def body_behind_if(self) -> ast.Body:
        """A statement, or a body in braces.

        OPA takes braces for a collection where they can be one, other than a set: `if {"a": 1}` is true, and
        `if {x | f(x)}` too, while `if {x}` asks whether x holds.
        """
        if self.token.kind != "{":
            if self.token.kind == "eof":
                self.unexpected("rule body expected")
            return (self.statement(),)
        if self.logical and self.is_operand():
            return (self.statement(),)
        mark = self.mark()
        if not self.opens_comprehension():
            self.rewind(mark)
            try:
                body = self.braced_body()
            except ParseError as failure:
                self.rewind(mark)
                return self.collection_statement(failure)
            if self.token.kind == "with" or not self.continues_term():
                return body
        self.rewind(mark)
        return (self.statement(),)

    def opens_comprehension(self) -> bool:
        """Whether a bar follows the first term behind the brace. Leaves the place anywhere."""
        self.advance()
        if self.token.kind in ("some", "not", "every") or not self.has_bar:
            return False
        try:
            self.operand()
        except ParseError:
            return False
        return self.token.kind == "|"

    def continues_term(self) -> bool:
        token = self.token
        if token.gap == NEWLINE:
            return False
        return token.kind in _CONTINUING or (token.gap == NO_GAP and token.kind in (".", "["))

    def collection_statement(self, failure: ParseError) -> ast.Body:
        """The statement that starts with a collection, where the braces hold no body."""
        try:
            statement = self.statement()
        except ParseError:
            raise failure from None
        if isinstance(statement, ast.Expression) and isinstance(statement.term, ast.Set):
            raise failure
        return (statement,)

    def orelse(self, head: ast.Head) -> tuple[ast.Else, ...]:
        """Any number of `else := value if { .. }`, value and body both optional, but not at once."""
        if not all(isinstance(part, ast.Scalar) for part in head.path):
            self.fail("else keyword cannot be used on rules with variables in head")
        if head.key is not None:
            self.fail("else keyword cannot be used on multi-value rules")
        branches: list[ast.Else] = []
        while self.token.kind == "else":
            start = self.advance().start
            value: ast.Term = _TRUE
            if self.token.kind in (":=", "="):
                self.advance()
                value = self.term()
            elif self.token.kind not in ("{", "if"):
                self.unexpected("expected else value term or rule body")
            body: ast.Body = ()
            if self.token.kind == "if":
                self.advance()
                if self.token.kind == "eof":
                    self.unexpected("rule body expected")
                body = self.braced_body() if self.token.kind == "{" else (self.statement(),)
            elif self.token.kind == "{":
                if self.strict:
                    what = "function" if head.args else "rule"
                    self.complain_of_body(what, self.at(self.token))
                body = self.braced_body()
            branches.append(ast.Else(value, body, loc=self.since(start)))
            if not body:  # it applies always: nothing is left for another
                break
        return tuple(branches)

    # Rules without a body

    def bodiless_rule(self, written: Written, start: int) -> ast.Rule:
        """`p := 1`, `p contains 1`, and what v0 takes besides."""
        loc = self.since(start)
        if written.key is not None:
            return ast.Rule(written.head(), loc=loc)
        if written.value is not None and self.token.kind in ("=", ":="):
            self.unexpected()
        if self.token.kind in (*_CONTINUING, ";") and self.token.gap != NEWLINE:
            self.rewind((self.index_of(start), self.depth))
            self.refuse_statement(self.statement())
        if written.value is None and written.args is not None and _is_builtin(written.text):
            self.fail("rule name conflicts with built-in function", self.span(written.name), _NO_BODY)
        if written.value is None and written.args is None:
            if not written.path or written.spaced:
                self.refuse_name(written)
            if written.one_part:
                if self.strict:
                    self.complain_of_set(written, loc)
                return ast.Rule(written.set_head(), loc=loc)
            if self.strict:
                self.complain("rule must have value assignment and/or body declaration", loc)
        return ast.Rule(written.head(), loc=loc)

    def default_rule(self, start: int) -> ast.Rule:
        """`default p := 1`, `default f(_) := 1`."""
        if self.heads_reference or self.token.kind in LOGICAL:
            self.take_keyword_as_name()
        if self.token.kind != "name":
            self.unexpected("expected rule head name")
        written = self.written_head(default=True)
        loc = self.since(start)
        if written.one_part or written.key is not None:
            self.complain("illegal default rule (must have a value)", loc)
        for part in written.path:
            if not isinstance(part, ast.Scalar) and not _has_variable(part):
                # OPA takes it, and has the value elsewhere or not at all.
                self.complain(f"illegal default rule (path cannot contain {kind_of(part)})", loc)
        for term in _evaluated(written.value):
            self.complain(f"illegal default rule (value cannot contain {kind_of(term)})", loc)
        seen: set[str] = set()
        for arg in written.args or ():
            if not isinstance(arg, ast.Var):
                self.complain(f"illegal default rule (arguments cannot contain {kind_of(arg)})", loc)
            elif arg.name in seen:
                self.complain(f"illegal default rule (arguments cannot be repeated {arg.name})", loc)
            else:
                seen.add(arg.name)
        return ast.Rule(written.head(), default=True, loc=loc)

    # Errors

    def complain(self, message: str, location: Location, hint: str = "") -> None:
        """Notes an error that need not end the rule."""
        self.errors.append(self.diagnostic(message, location, hint))

    def complain_of_body(self, what: str, location: Location) -> None:
        """A body without `if`. One who reads a module as v0 that asks for v1 meets the same error again."""
        hint = _V1_HINT if self.asks_for_v1 else _V0_HINT
        self.complain(f"`if` keyword is required before {what} body", location, hint)

    def complain_of_set(self, written: Written, location: Location) -> None:
        name = written.name.name
        hint = f"write `{name} contains ..`, or `{name}[..] if ..` for an object"
        self.complain("`contains` keyword is required for partial set rules", location, hint)

    def refuse_name(self, written: Written) -> NoReturn:
        token = self.token
        if token.kind == "illegal":
            self.unexpected()
        name, hint = written.name, _NO_BODY
        if token.text in ("if", "contains") and token.kind == "name" and token.gap != NEWLINE:
            hint = f"for `{token.text}`, `import rego.v1` or `import future.keywords.{token.text}`"
        elif token.kind == "name" and token.gap != NEWLINE:
            hint = of_misspelt(name.name, token.text) or hint
        between = "" if name.loc.col == 1 else WORDS_BETWEEN.get(name.name, "")
        hint = between or OPERATORS_ELSEWHERE.get(name.name) or of_line(self.line(name.loc.row)) or hint
        self.fail("var cannot be used for rule name", self.span(written.name), hint)

    def refuse_statement(self, statement: ast.Statement) -> NoReturn:
        """Says why a statement stands where only rules can."""
        if self.token.kind == ";":
            message = "multiple expressions cannot be used for rule head"
        elif statement.withs:
            message = "expressions using with keyword cannot be used for rule head"
        elif statement.negated:
            message = "negated expressions cannot be used for rule head"
        elif isinstance(statement, ast.Some | ast.SomeIn):
            message = "'some' declarations cannot be used for rule head"
        elif isinstance(statement, ast.Unify | ast.Assign):
            message = f"{kind_of(statement.left)} cannot be used for rule name"
        elif isinstance(statement, ast.Expression) and isinstance(statement.term, ast.Call):
            message = "rule name conflicts with built-in function"
        elif isinstance(statement, ast.Expression):
            message = f"{kind_of(statement.term)} cannot be used for rule name"
        else:
            message = "expression cannot be used for rule head"
        hint = of_line(self.line(statement.loc.row)) or (_of_with(statement) if statement.withs else _NO_RULE)
        self.fail(message, self.span(statement), hint)


def _of_with(statement: ast.Statement) -> str:
    """How a rule gives what another is under `with`."""
    left = statement.left if isinstance(statement, ast.Unify | ast.Assign) else None
    if isinstance(left, ast.Var):
        return f"`with` stands in a body: `{left.name} := x if x := .. with ..`"
    return "`with` stands in a body: `p if .. with ..`"


def _is_builtin(name: str) -> bool:
    # Only what no rule of anyone should look like asks this: what is declared of builtins is read then.
    from palisade.rego.check.signatures import builtin_signatures

    return name in builtin_signatures()


def _has_variable(term: ast.Term) -> bool:
    """Whether a part of a head's path depends on a variable; a reference's head is none."""
    if isinstance(term, ast.Ref):
        return any(map(_has_variable, term.path))
    if isinstance(term, ast.Var):
        return True
    return any(_has_variable(child) for child in term.children() if isinstance(child, ast.Term))


def _evaluated(term: ast.Term | None) -> Iterator[ast.Term]:
    """What in a default's value would have to be evaluated; comprehensions may hold anything."""
    if isinstance(term, ast.Var | ast.Ref | ast.Call):
        yield term
    elif term is not None and not isinstance(term, _COMPREHENSIONS):
        for child in term.children():
            if isinstance(child, ast.Term):
                yield from _evaluated(child)
