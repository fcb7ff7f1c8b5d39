"""Modules: a file's package, imports and rules.

A module is read to its end whatever is wrong with it: a failure ends the rule at hand, and reading goes on
with the next line that starts in the column of the module's first statement.
"""

from __future__ import annotations

from palisade.rego import ast
from palisade.rego.annotations import AnnotationError, Target, annotation, blocks
from palisade.rego.cursor import TOO_DEEP, ParseError, Part, imported_keywords, keywords_of
from palisade.rego.errors import COMPILE_ERROR, CompileError, Diagnostic
from palisade.rego.kinds import kind_of
from palisade.rego.lexer import FUTURE_KEYWORDS, IMPORTABLE, NEWLINE
from palisade.rego.rules import RuleParser

_LANGUAGE = ("future", "rego")
_ROOTS = ("data", "future", "input", "rego")
_PACKAGE_HINT = "a module starts with `package` and its name"


class ModuleParser(RuleParser):
    """Reads a whole file. `run` once."""

    def __init__(self, source: str, file: str, version: int, *, part: Part | None = None) -> None:
        super().__init__(source, file, keywords_of(version), strict=version == 1, part=part)
        self.version = version
        self.package: tuple[str, ...] | None = None
        self.imports: list[ast.Import] = []
        self.import_names: dict[str, ast.Import] = {}
        self.rules: list[ast.Rule] = []
        # Everything at the top level, in source order.
        self.targets: list[Target] = []
        self.faults: list[Diagnostic] = []

    def run(self, *, lenient: bool = False) -> ast.Module:
        """The module; a `lenient` one is without its wrong METADATA blocks, of which `faults` tells. Raises
        CompileError with every error found."""
        first = self.token
        if first.kind == "eof":
            self.report(ParseError("empty module", first, _PACKAGE_HINT))
        elif first.kind != "package" or self.heads_reference:
            self.report(ParseError("package expected", first, _PACKAGE_HINT))
        margin = self.at(first).col
        while self.token.kind != "eof":
            before = self.index
            try:
                self.top_level()
            except ParseError as failure:
                self.report(failure)
                self.recover(before, margin)
            except RecursionError:
                # The nesting limit leaves room on an ordinary stack; a caller may have used up much of it.
                self.report(ParseError(TOO_DEEP, self.token))
                self.recover(before, margin)
        self.errors += self.lexical_diagnostics()
        comments = self.comment_nodes()
        annotations = self.annotations(comments)
        if self.errors or (self.faults and not lenient):
            raise CompileError([*self.errors, *self.faults])
        return ast.Module(
            self.package or (),
            tuple(self.imports),
            tuple(self.rules),
            annotations,
            comments,
            self.source,
            self.version,
            faults=tuple(self.faults),
            loc=self.location(first.start, self.token.end),
        )

    def comment_nodes(self) -> tuple[ast.Comment, ...]:
        return tuple(
            ast.Comment(text, loc=self.location(start, start + 1 + len(text)))
            for start, text in self.comments
        )

    def annotations(self, comments: tuple[ast.Comment, ...]) -> tuple[ast.Annotation, ...]:
        if self.errors:
            return ()  # What could not be read would be missing as a target.
        annotations: list[ast.Annotation] = []
        for block in blocks(comments):
            try:
                annotations.append(annotation(block, self.targets))
            except AnnotationError as error:
                self.faults.append(self.diagnostic(error.message, error.location or block.loc))
        return tuple(annotations)

    def report(self, failure: ParseError) -> None:
        if failure.token.kind == "illegal":
            return  # The lexer has said what is wrong there.
        self.errors.append(self.diagnose(failure))

    def recover(self, before: int, margin: int) -> None:
        """Goes on to the next statement that starts a line at the margin."""
        self.deepest = self.risings = 0
        self.rewind((max(self.index, before), 0))
        if self.index == before:
            self.advance()
        while self.token.kind != "eof":
            token = self.token
            if (
                token.gap == NEWLINE
                and (token.kind == "name" or token.kind in self.keywords)
                and self.at(token).col == margin
            ):
                return
            self.advance()

    def top_level(self) -> None:
        """A package clause, an import or a rule."""
        kind = self.token.kind
        if kind == "package" and not self.heads_reference:
            self.package_clause()
        elif kind == "import" and not self.heads_reference:
            self.import_clause()
        else:
            rules = self.next_rules()
            self.targets += (Target("rule", rule.loc) for rule in rules)
            self.rules += rules

    def next_rules(self) -> list[ast.Rule]:
        """The rule that comes next, or several, with nothing left over from those before."""
        self.collections.clear()
        self.wildcards.clear()
        rules = self.rule()
        self.check_height(*rules)
        return rules

    def package_clause(self) -> None:
        """`package a.b["c"]`."""
        keyword = self.advance()
        term = self.path_term()
        head, path = (term.head, term.path) if isinstance(term, ast.Ref) else (term, ())
        if not isinstance(head, ast.Var):
            self.fail(f"unexpected {kind_of(head)} token: expecting var", self.span(head))
        package = (head.name, *self.strings(path))
        first = not self.targets
        self.targets.append(Target("package", self.since(keyword.start)))
        if not first:
            self.fail("unexpected package", keyword, "a module has one `package`, as its first statement")
        self.package = package

    def path_term(self) -> ast.Term:
        """The path of a package or an import; its first word may be a keyword."""
        if self.token.kind in self.keywords:
            self.take_keyword_as_name()
        if self.token.kind != "name":
            self.unexpected()
        return self.operand()

    def strings(self, path: tuple[ast.Term, ...]) -> list[str]:
        strings: list[str] = []
        for part in path:
            if not isinstance(part, ast.Scalar) or not isinstance(part.value, str):
                self.fail(f"unexpected {kind_of(part)} token: expecting string", self.span(part))
            strings.append(part.value)
        return strings

    # Imports

    def import_clause(self) -> None:
        """`import data.a.b as c`."""
        keyword = self.advance()
        path = self.path_term()
        if not isinstance(path, ast.Var | ast.Ref):
            self.fail("expected path", self.span(path))
        root, rest = (path.head, path.path) if isinstance(path, ast.Ref) else (path, ())
        self.strings(rest)
        if not isinstance(root, ast.Var) or root.name not in _ROOTS:
            self.fail(
                f"unexpected import path, must begin with one of: {{{', '.join(_ROOTS)}}}, "
                f"got: {ast.dotted(root)}",
                self.span(path),
                f"a package is imported as `data.{ast.dotted(path)}`",
            )
        alias = None
        if self.token.kind == "as":
            self.advance()
            if self.token.kind != "name" or self.token.text in ("data", "input"):
                self.unexpected("expected var")
            alias = self.variable()
        clause = ast.Import(path, alias, loc=self.since(keyword.start))
        self.targets.append(Target("import", clause.loc))
        self.take_effect(clause)
        if alias is None and root.name not in _LANGUAGE and clause.name in self.keywords:
            self.fail(
                f"unexpected import path, must not end with a keyword, got: {clause.name}",
                self.span(path),
                "import a different path or use an alias",
            )
        self.check_duplicate(clause)
        self.imports.append(clause)

    def take_effect(self, clause: ast.Import) -> None:
        """What an import of `rego` or `future` changes for what stands behind it."""
        root = clause.path.head if isinstance(clause.path, ast.Ref) else clause.path
        if root == ast.Var("rego"):
            self.rego_import(clause)
        elif root == ast.Var("future"):
            self.future_import(clause)

    def rego_import(self, clause: ast.Import) -> None:
        """`import rego.v1`: a v0 module that keeps v1's rules; nothing in a v1 module."""
        if ast.dotted(clause.path) != "rego.v1":
            self.fail(
                f"invalid import `{ast.dotted(clause.path)}`, must be `rego.v1`", self.span(clause.path)
            )
        self.asks_for_v1 = True
        if self.version == 1:
            return
        if clause.alias is not None:
            self.fail("`rego` imports cannot be aliased", self.span(clause.path))
        self.strict = True
        self.enable(FUTURE_KEYWORDS)

    def future_import(self, clause: ast.Import) -> None:
        """`import future.keywords` and `import future.keywords.in`. The first means all, as in OPA."""
        at = self.span(clause.path)
        parts = self.strings(clause.path.path) if isinstance(clause.path, ast.Ref) else []
        if parts[:1] != ["keywords"]:
            self.fail("invalid import, must be `future.keywords`", at)
        if clause.alias is not None:
            self.fail("`future` imports cannot be aliased", at)
        if len(parts) > 2 or not IMPORTABLE.issuperset(parts[1:]):
            self.fail(f"unexpected keyword, must be one of [{' '.join(sorted(IMPORTABLE))}]", at)
        self.enable(imported_keywords(clause))

    def check_duplicate(self, clause: ast.Import) -> None:
        """Two imports must not share a name; v0 takes the last."""
        if not self.strict:
            return
        other = self.import_names.setdefault(clause.name, clause)
        if other is not clause:
            alias = f" as {other.alias.name}" if other.alias else ""
            message = f"import must not shadow import {ast.dotted(other.path)}{alias}"
            hint = "give one of them another name with `as`"
            self.errors.append(self.diagnostic(message, clause.loc, hint, COMPILE_ERROR))
