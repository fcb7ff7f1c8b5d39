"""What is known of terms where some atoms hold and others do not."""

from __future__ import annotations

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

    def take(self, atom: Formula, holds: bool) -> None:
        """The atom holds, or does not."""
        if atom.among is not None:
            term, values = atom.among
            if holds:
                self._among[term] = values & self._among.get(term, values)
            else:
                self._not_among[term] = values | self._not_among.get(term, frozenset())
        if holds:
            self._defined |= atom.implies
        elif atom.defined is not None:
            self._undefined.add(atom.defined)

    def value(self, atom: Formula) -> bool | None:
        """Whether the atom holds; None where that is open."""
        if self._undefined and not self._undefined.isdisjoint(atom.implies):
            return False
        if atom.among is None:
            return True if atom.defined in self._defined else None
        term, values = atom.among
        excluded = self._not_among.get(term, frozenset())
        chosen = self._among.get(term)
        if chosen is None:
            return False if values <= excluded else None
        chosen -= excluded
        return True if chosen <= values else False if chosen.isdisjoint(values) else None
