"""Fragments: queries and terms that stand by themselves."""

from __future__ import annotations

from palisade.rego import ast
from palisade.rego.cursor import TOO_DEEP, ParseError
from palisade.rego.errors import CompileError
from palisade.rego.statements import StatementParser


class FragmentParser(StatementParser):
    """Reads what is no module. Anything wrong ends it."""

    def query(self) -> ast.Body:
        statements: list[ast.Statement] = []
        try:
            if self.token.kind == "eof":
                self.fail("found empty body")
            while self.token.kind != "eof":
                statements.append(self.statement())
                if self.token.kind == ";":
                    self.advance()
                    if self.token.kind == "eof":
                        self.unexpected()
            self.check_height(*statements)
        except (ParseError, RecursionError) as error:
            raise self.errors_of(error) from None
        self.refuse_lexical_errors()
        return tuple(statements)

    def single_term(self) -> ast.Term:
        try:
            term = self.term()
            if self.token.kind != "eof":
                self.unexpected("expected the end of the term")
            self.check_height(term)
        except (ParseError, RecursionError) as error:
            raise self.errors_of(error) from None
        self.refuse_lexical_errors()
        return term

    def errors_of(self, error: ParseError | RecursionError) -> CompileError:
        failure = error if isinstance(error, ParseError) else ParseError(TOO_DEEP, self.token)
        if failure.token.kind == "illegal" and self.lexical_errors:
            return CompileError(self.lexical_diagnostics())
        return CompileError([*self.lexical_diagnostics(), self.diagnose(failure)])

    def refuse_lexical_errors(self) -> None:
        if self.lexical_errors:
            raise CompileError(self.lexical_diagnostics())
