"""What is known of terms where some atoms hold and others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palisade.rego.partial.formulas.formula import Formula
    from palisade.rego.partial.formulas.terms import Term


class Facts:
    """Collects what atoms say of their terms, and tells by it whether other atoms hold."""

    def __init__(self, before: Facts | None = None) -> None:
        """Begins with the facts of `before`, which stay as they are."""
        self._among: dict[Term, frozenset[object]] = {} if before is None else before._among.copy()
        self._not_among: dict[Term, frozenset[object]] = {} if before is None else before._not_among.copy()
        self._defined: set[Term] = set() if before is None else before._defined.copy()
        self._undefined: set[Term] = set() if before is None else before._undefined.copy()
        self._begins: dict[Term, frozenset[str]] = {} if before is None else before._begins.copy()
        self._begins_not: dict[Term, frozenset[str]] = {} if before is None else before._begins_not.copy()
        self._kinds: dict[Term, frozenset[str]] = {} if before is None else before._kinds.copy()

    def take(self, atom: Formula, holds: bool) -> None:
        """The atom holds, or does not."""
        if atom.among is not None:
            term, values = atom.among
            if holds:
                self._among[term] = values & self._among.get(term, values)
            else:
                self._not_among[term] = values | self._not_among.get(term, frozenset())
        elif atom.begins is not None:
            term, prefix = atom.begins
            said = self._begins if holds else self._begins_not
            said[term] = said.get(term, frozenset()) | {prefix}
        if holds:
            self._defined |= atom.implies
            for term, kinds in atom.kinds:
                self._kinds[term] = kinds & self._kinds.get(term, kinds)
        elif atom.defined is not None:
            self._undefined.add(atom.defined)

    def value(self, atom: Formula) -> bool | None:
        """Whether the atom holds; None where that is open."""
        if self._undefined and not self._undefined.isdisjoint(atom.implies):
            return False
        if self._kinds and any(self._kinds.get(term, kinds).isdisjoint(kinds) for term, kinds in atom.kinds):
            return False
        if atom.among is not None:
            return self._is_among(*atom.among)
        if atom.begins is not None:
            return self._does_begin(*atom.begins)
        if atom.of_kind is not None:
            term, kinds = atom.of_kind
            return True if term in self._kinds and self._kinds[term] <= kinds else None
        return True if atom.defined in self._defined else None

    def _is_among(self, term: Term, values: frozenset[object]) -> bool | None:
        chosen = self._among.get(term)
        if chosen is None:
            return None if self._left(term, values) else False
        chosen = self._left(term, chosen)
        return True if chosen <= values else False if chosen.isdisjoint(values) else None

    def _left(self, term: Term, values: frozenset[object]) -> frozenset[object]:
        """Those of the values that the term may be, by all else that is known."""
        values -= self._not_among.get(term, frozenset())
        begins, begins_not = self._begins.get(term), self._begins_not.get(term)
        if begins is not None:
            values = frozenset(each for each in values if _begins(each, begins, all))
        if begins_not is not None:
            values = frozenset(each for each in values if not _begins(each, begins_not, any))
        return values

    def _does_begin(self, term: Term, prefix: str) -> bool | None:
        if any(prefix.startswith(each) for each in self._begins_not.get(term, ())):
            return False
        if term in self._among:
            told = {_begins(each, (prefix,), all) for each in self._left(term, self._among[term])}
            return told.pop() if len(told) == 1 else None
        known = self._begins.get(term, frozenset())
        if any(each.startswith(prefix) for each in known):
            return True
        # Both are known to be at the beginning of one text only where one begins with the other.
        return None if all(prefix.startswith(each) for each in known) else False


def _begins(value: object, prefixes: Iterable[str], how: Callable[[Iterable[bool]], bool]) -> bool:
    return isinstance(value, str) and how(value.startswith(each) for each in prefixes)
