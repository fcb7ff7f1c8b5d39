"""What of two policies' conditions only one of them has: where requests that differ are to be looked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from palisade.decide.input import FOLDED, known_of
from palisade.policy.inventory import Function
from palisade.policy.revisions import Revision
from palisade.rego.partial import evaluate
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Exists, Formula, In, Opaque

_NUMBERED = re.compile(r"\b(loop|serial)=\d+")
"""Numbers that count up in each evaluation and mean nothing by themselves."""


def changed(old: Revision, new: Revision, function: Function) -> tuple[Formula, ...]:
    """The conditions of cases that only one revision has, or of which another value comes.

    Of a disjunction only the alternatives remain that the other has not: one rule over ten thousand grants
    of which one has changed is a condition of one alternative here.
    """
    sides = _Conditions(old, function), _Conditions(new, function)
    found: list[Formula] = []
    for one, other in (sides, sides[::-1]):
        found += [one.without(each, other) for case, each in one.cases.items() if case not in other.cases]
    return tuple(each for each in found if each not in (TRUE, FALSE))


class _Conditions:
    """The cases of one revision's decision, and what each part of their conditions says."""

    def __init__(self, revision: Revision, function: Function) -> None:
        path = revision.inventory.decision_path
        plan = revision.policy.plan([revision.inventory.decision_document])
        outcome = evaluate(plan, path, revision.policy.data, known_of(function.name), folded=FOLDED)
        self._builder = outcome.builder
        self._said: dict[Formula, int] = {}
        self.cases = {
            (self.said(each.condition), _NUMBERED.sub("", repr(each.value))): each.condition
            for each in outcome.cases
        }
        self.cases[self.said(outcome.error), "error"] = outcome.error

    @cached_property
    def parts(self) -> frozenset[int]:
        """What the parts of all conditions say."""
        return frozenset(self._said.values())

    @cached_property
    def compared(self) -> dict[str, frozenset[object]]:
        """The constants that a term is compared with anywhere."""
        found: dict[str, set[object]] = {}
        for node in self._said:
            if isinstance(node.atom, In):
                found.setdefault(_plain(node.atom.term), set()).update(node.atom.values)
        return {term: frozenset(values) for term, values in found.items()}

    def without(self, formula: Formula, other: _Conditions) -> Formula:
        """The formula without the alternatives that the other side has too; as it is where it has all."""
        if formula.kind == "or":
            arms = [each for each in formula.args if self.said(each) not in other.parts]
            return self._builder.any(self.without(each, other) for each in arms) if arms else formula
        if formula.kind == "and":
            return self._builder.all(
                each if self.said(each) in other.parts else self.without(each, other) for each in formula.args
            )
        if isinstance(formula.atom, In):
            left = formula.atom.values - other.compared.get(_plain(formula.atom.term), frozenset())
            return self._builder.is_in(formula.atom.term, left) if left else formula
        return formula

    def said(self, formula: Formula) -> int:
        """A hash of what a formula says: formulas of two evaluations are never the same objects."""
        stack = [formula]
        while stack:
            node = stack[-1]
            inner = (node.atom.body,) if isinstance(node.atom, Exists) else node.args
            missing = [each for each in inner if each not in self._said]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if node not in self._said:
                parts = tuple(self._said[each] for each in inner)
                # The order of alternatives and of conditions is no difference.
                parts = tuple(sorted(parts)) if node.kind in ("and", "or") else parts
                self._said[node] = hash((node.kind, _atom(node.atom), parts))
        return self._said[formula]


def _atom(atom: object) -> str:
    if isinstance(atom, Exists):
        return f"some {_plain(atom.source)}"
    if isinstance(atom, In):
        return f"{_plain(atom.term)} in {_sorted(atom.values)}"
    if isinstance(atom, Opaque):
        return f"opaque {atom.location} {atom.reason}"
    return _plain(atom)


def _plain(term: object) -> str:
    return _NUMBERED.sub("", repr(term))


def _sorted(values: Iterable[object]) -> list[str]:
    return sorted(map(repr, values))
