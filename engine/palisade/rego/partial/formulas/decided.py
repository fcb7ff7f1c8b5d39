"""What parts of a formula are decided by those that stand beside them.

Rules ask the same thing in several places: a message tells the reason that the status was chosen by, one
outcome is that of all requests which none of the others is for. Combinations that contradict themselves are
seen here, as far as that is cheap: otherwise a policy of a few such rules has hundreds of outcomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from palisade.rego.partial.formulas.facts import Facts
from palisade.rego.partial.formulas.ways import narrowed

if TYPE_CHECKING:
    from palisade.rego.partial.formulas.builder import Builder
    from palisade.rego.partial.formulas.formula import Formula

MAX_PARTS = 48
"""Of formulas with more parts nothing is asked: it would be as long for each of thousands of rules."""

_MAX_ASKED, _MAX_ARGS, _MAX_DEPTH = 12, 16, 6
"""So many parts are looked into, of at most so many alternatives each, and so deep."""

_MAX_TRIED = 4
"""Of so many parts with so many alternatives each of them is tried beside the others."""


def simplified(kind: str, flat: list[Formula], builder: Builder) -> list[Formula] | None:
    """What is left of the parts of a conjunction (`and`) or a disjunction (`or`).

    None where they contradict each other, or of a disjunction where one of them always holds.
    """
    if kind == "and":
        left = narrowed(flat, builder)
        if left != flat:
            return left
    asked = [part for part in flat if _composite(part)] if len(flat) <= MAX_PARTS else []
    if not 0 < len(asked) <= _MAX_ASKED:
        return flat
    truth = kind == "and"
    left = list(flat)
    for part in asked:
        beside = Beside(truth, (each for each in left if each is not part))
        value = beside.value(part)
        if value is None:
            left[left.index(part)] = _narrowed(part, beside, builder)
        elif value is truth:
            left.remove(part)
        else:
            return None
    return None if truth and _contradictory(left) else left


def effort(condition: Formula) -> int:
    """How much there is to look at in a conjunction, to be counted as work: each part that is asked, beside
    all alternatives. With what is then made of it each takes some 2 us.

    It says nothing of what is remembered, so that it is the same at an edit as where all is followed anew.
    """
    parts = condition.args
    asked = sum(map(_composite, parts)) if condition.kind == "and" and len(parts) <= MAX_PARTS else 0
    if not 0 < asked <= _MAX_ASKED:
        return 0
    return asked * sum(max(1, len((part.args[0] if part.kind == "not" else part).args)) for part in parts)


def implies(formula: Formula, other: Formula) -> bool:
    """Whether the other one holds wherever the first does, as far as that is cheap to see."""
    return Beside(True, (formula,)).value(other) is True


def _narrowed(part: Formula, beside: Beside, builder: Builder) -> Formula:
    """The part, which is open, without what is decided in it."""
    inner = part.args[0] if part.kind == "not" else part
    left = [arg for arg in inner.args if beside.value(arg, _MAX_DEPTH - 1) is None]
    if len(left) == len(inner.args):
        return part
    shorter = builder.all(left) if inner.kind == "and" else builder.any(left)
    return builder.negate(shorter) if part.kind == "not" else shorter


def _composite(part: Formula) -> bool:
    inner = part.args[0] if part.kind == "not" else part
    return inner.kind in ("and", "or") and len(inner.args) <= _MAX_ARGS


def _contradictory(parts: Sequence[Formula]) -> bool:
    """Whether none of the alternatives of some part goes together with the others."""
    choices = [part for part in parts if part.kind == "or" and len(part.args) <= _MAX_TRIED]
    if not 1 < len(choices) <= _MAX_TRIED:
        return False
    for choice in choices:
        others = [part for part in parts if part is not choice]
        if all(_excluded(way, others, choices) for way in choice.args):
            return True
    return False


def _excluded(way: Formula, others: Sequence[Formula], choices: Iterable[Formula]) -> bool:
    """Whether the alternative makes one of the other choices impossible."""
    for other in choices:
        if other in others:
            beside = Beside(True, (way, *(each for each in others if each is not other)))
            if beside.value(other) is False:
                return True
    return False


class Beside:
    """Parts of a conjunction, all of which hold, or of a disjunction, none of which may."""

    def __init__(self, truth: bool, parts: Iterable[Formula]) -> None:
        self._known: dict[Formula, bool] = {}
        self._facts = Facts()
        self._clauses: list[tuple[str, frozenset[Formula]]] = []
        self._values: dict[tuple[Formula, int], bool | None] = {}
        for part in parts:
            self._assume(part, truth)

    def _assume(self, part: Formula, value: bool) -> None:
        if part.kind == "not":
            part, value = part.args[0], not value
        self._known[part] = value
        if part.kind == ("and" if value else "or"):
            if len(part.args) <= MAX_PARTS:
                for arg in part.args:
                    self._assume(arg, value)
        elif part.kind == ("or" if value else "and"):
            if len(part.args) <= _MAX_ARGS:
                self._clauses.append((part.kind, frozenset(part.args)))
        elif value and part.atom is not None:
            self._facts.take(part, holds=True)

    def value(self, node: Formula, depth: int = _MAX_DEPTH) -> bool | None:
        """Whether the formula holds where the parts are what they are; None where that is open."""
        found = self._known.get(node)
        if found is not None:
            return found
        if node.kind == "not":
            inner = self.value(node.args[0], depth)
            return None if inner is None else not inner
        if node.kind not in ("and", "or"):
            return self._facts.value(node) if node.atom is not None else node.kind == "true"
        if not depth or len(node.args) > _MAX_ARGS:
            return None
        at = node, depth
        if at not in self._values:
            self._values[at] = self._of_parts(node, depth)
        return self._values[at]

    def _of_parts(self, node: Formula, depth: int) -> bool | None:
        absorbing = node.kind == "or"
        undecided = False
        for arg in node.args:
            value = self.value(arg, depth - 1)
            if value is absorbing:
                return absorbing
            undecided = undecided or value is None
        if not undecided:
            return not absorbing
        # What some of several parts do, some of more parts do too.
        wider = any(kind == node.kind and args.issubset(node.args) for kind, args in self._clauses)
        return absorbing if wider else None
