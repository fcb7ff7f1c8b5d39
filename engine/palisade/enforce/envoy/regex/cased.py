"""Pieces of a split text whose letters are folded: `lower(trim_space(group)) in {"staff", "admins"}`."""

from __future__ import annotations

from collections.abc import Callable

from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.pieces import Piece, piece_of
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, Defined, Formula, In, Test
from palisade.rego.partial.formulas.terms import Apply, Element, Known, Symbol
from palisade.rego.values import key, unkey

_FOLDS: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}


def cased_piece(builder: Builder, condition: Formula, element: Element, mark: str) -> Piece | None:
    """The pieces at a mark of which a condition on their folded letters holds, of those in ASCII; None where
    no expression tells."""
    if any(map(str.isalpha, mark)):
        return None
    asked = condition.args if condition.kind == "and" else (condition,)
    for name in _FOLDS:
        plain = [_as_it_is(builder, each, element, name) for each in asked]
        if None in plain:
            continue
        whole = builder.all(each for each in plain if each is not None)
        if whole is FALSE:
            return Piece(patterns.NOTHING, mark, False, patterns.NOTHING)
        found = piece_of(whole, element, mark)
        if found is not None:
            return Piece(f"(?i:{found.pattern})", mark, False, f"(?i:{found.closed})")
    return None


def _as_it_is(builder: Builder, formula: Formula, element: Element, name: str) -> Formula | None:
    """The same condition on letters whose case does not count. None where it is about others than folded
    ones, or where that would make a difference."""
    fold = _FOLDS[name]
    match formula.atom:
        case In(term, values):
            text = _unfolded(term, element, name)
            texts = [each for each in map(unkey, values) if isinstance(each, str)]
            if text is None or not all(map(str.isascii, texts)):
                return None
            return builder.is_in(text, (key(each) for each in texts if fold(each) == each))
        case Test(Apply("startswith" | "endswith" | "contains" as test, (whole, Known(str(part))))):
            text = _unfolded(whole, element, name)
            if text is None or not part.isascii():
                return None
            return builder.atom(Test(Apply(test, (text, Known(part))))) if fold(part) == part else FALSE
        case Defined(term):
            text = _unfolded(term, element, name)
            return None if text is None else builder.atom(Defined(text))
    return None


def _unfolded(term: Symbol, element: Element, name: str) -> Element | Apply | None:
    """A piece, or what is left of it without space around, of a term in which its letters are folded."""
    match term:
        case Apply(fold, (inner,)) if fold == name:
            spaced = Apply("trim_space", (element,))
            return element if inner == element else spaced if inner == spaced else None
        case Apply("trim_space", (Apply(fold, (inner,)),)) if fold == name and inner == element:
            return Apply("trim_space", (element,))
    return None
