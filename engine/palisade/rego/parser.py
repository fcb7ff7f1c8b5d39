"""Text to syntax tree: the parser's public face.

The grammar (https://www.openpolicyagent.org/docs/policy-reference#grammar) is spread over a tower of
classes, each of which adds a layer to the one before: `Cursor` moves through tokens, `TermParser` reads
values, `StatementParser` bodies, `RuleParser` rules and `ModuleParser` files.
"""

from __future__ import annotations

from palisade.rego import ast
from palisade.rego.collector import collector_paused
from palisade.rego.cursor import TOO_DEEP, ParseError, keywords_of
from palisade.rego.errors import CompileError
from palisade.rego.modules import ModuleParser
from palisade.rego.statements import StatementParser

__all__ = ["parse_module", "parse_query", "parse_term"]


def parse_module(source: str, file: str = "", *, version: int = 1) -> ast.Module:
    """The module in a source; `version` 0 reads Rego as it was before `if` and `contains`.

    Raises CompileError with every syntax error in it, in OPA's words. Time is linear in the source's length.
    """
    with collector_paused():
        return ModuleParser(source, file, version).run()


def parse_query(source: str, file: str = "<query>", *, version: int = 1) -> ast.Body:
    """The statements of a query, such as `data.a.p = x; x > 1`. Raises CompileError."""
    return _Fragment(source, file, keywords_of(version)).query()


def parse_term(source: str, file: str = "<term>") -> ast.Term:
    """The term that a source consists of. Raises CompileError."""
    return _Fragment(source, file, keywords_of(1)).single_term()


class _Fragment(StatementParser):
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
