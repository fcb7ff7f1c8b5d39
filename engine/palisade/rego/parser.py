"""Text to syntax tree: the parser's public face.

The grammar (https://www.openpolicyagent.org/docs/policy-reference#grammar) is spread over a tower of
classes, each of which adds a layer to the one before: `Cursor` moves through tokens, `TermParser` reads
values, `StatementParser` bodies, `RuleParser` rules and `ModuleParser` files.
"""

from __future__ import annotations

from collections.abc import Iterable

from palisade.rego import ast
from palisade.rego.collector import collector_paused
from palisade.rego.cursor import imported_keywords, keywords_of
from palisade.rego.fragments import FragmentParser
from palisade.rego.modules import ModuleParser
from palisade.rego.reading_on import read_on

__all__ = ["parse_module", "parse_query", "parse_term"]


def parse_module(
    source: str,
    file: str = "",
    *,
    version: int = 1,
    previous: ast.Module | None = None,
    lenient: bool = False,
) -> ast.Module:
    """The module in a source; `version` 0 reads Rego as it was before `if` and `contains`.

    `previous` is what the file held before an edit: the rules that the edit leaves alone are the very same
    objects, and take no time where no line has moved. `lenient` leaves out METADATA blocks that are wrong and
    tells of them in `faults`: OPA reads them only where a rule asks for them. Raises CompileError with every
    syntax error in it, in OPA's words. Time is linear in the source's length.
    """
    with collector_paused():
        if previous is not None and previous.version == version and previous.loc.file == file:
            edited = read_on(source, previous)
            if edited is not None:
                return edited
        return ModuleParser(source, file, version).run(lenient=lenient)


def parse_query(
    source: str, file: str = "<query>", *, version: int = 1, imports: Iterable[ast.Import] = ()
) -> ast.Body:
    """The statements of a query, such as `data.a.p = x; x > 1`, in which the imports have made keywords of
    words. Raises CompileError."""
    parser = FragmentParser(source, file, keywords_of(version))
    for each in imports:
        parser.enable(imported_keywords(each))
    return parser.query()


def parse_term(source: str, file: str = "<term>") -> ast.Term:
    """The term that a source consists of. Raises CompileError."""
    return FragmentParser(source, file, keywords_of(1)).single_term()
