"""Segments joined by slashes, as an expression of the path: `concat("/", array.slice(path, 1, 3))`."""

from __future__ import annotations

from collections.abc import Callable

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.values.sources import Path, Source
from palisade.rego.partial.formulas.terms import ENDLESS, Apply, Known, Symbol

_TARGET = cel.header(":path")
_CLEAN = "[!-.0->@-~]"
"""A character of a segment in a clean path, as in views of single segments."""
_OR_SLASH = "[!->@-~]"
_QUERY = "(?:[?](?s:.*))?$"


def joined_segments(term: Apply, source: Callable[[Symbol], Source | None]) -> Expr | None:
    """The text that a term is, in paths without escapes; None for one that joins no segments. Of paths with
    too few that is the empty text."""
    match term:
        case Apply("concat", (Known("/"), whole)):
            pattern = _pattern(whole, source)
            if pattern is None:
                return None
            there, taken = cel.matches(_TARGET, pattern), cel.captured(_TARGET, pattern)
            return None if there is None or taken is None else cel.choice(there, taken, cel.text(""))
    return None


def _pattern(whole: Symbol, source: Callable[[Symbol], Source | None]) -> str | None:
    """An expression of the paths that have such segments, with these as its group."""
    if isinstance(source(whole), Path):
        return f"^/({_OR_SLASH}*){_QUERY}"
    match whole:
        case Apply("array.slice", (path, Known(int(start)), end)) if isinstance(source(path), Path):
            if type(start) is not int or start < 0:
                return None
            lead = f"^/(?:{_CLEAN}*/){{{start}}}"
            match end:
                case Known(int(at)) if type(at) is int and at >= ENDLESS:
                    return f"{lead}({_OR_SLASH}*){_QUERY}"
                case Known(int(at)) if type(at) is int and at > start:
                    more = f"(?:/{_CLEAN}*){{0,{at - start - 1}}}"
                    return f"{lead}({_CLEAN}*{more})(?:[/?](?s:.*))?$"
                case Apply("minus", (Apply("count", (counted,)), Known(int(left)))) if counted == path:
                    if type(left) is int and left > 0:
                        return f"{lead}({_OR_SLASH}*)(?:/{_CLEAN}*){{{left}}}{_QUERY}"
    return None
