"""Whether some request can meet a condition, as far as its atoms tell: a search with an end.

Two rules that ask for the opposite of each other deep within, through helpers and their negations, are never
met at once. Where that is not seen, a policy has conflicts that no request comes to, and asks the engine of
each whether it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from operator import itemgetter
from typing import TypeAlias, TypeVar

from palisade.rego.partial.formulas.facts import Facts
from palisade.rego.partial.formulas.formula import Formula, nodes

MOST_NODES = 600
"""Conditions of more parts, each counted once, are taken for possible: to look through one takes 1 ms."""

MOST_LOOKED, MOST_LOOKED_OF_ONE = 400_000, 100_000
"""So many parts are looked at in all for one decision, and for one condition, each as often as an
alternative is tried; a condition that is not found out by then is taken for possible. Each takes 1 us. Most
decisions take some hundreds; of alternatives, which may be large, some thousand took ten seconds."""

T = TypeVar("T")
_Clause: TypeAlias = tuple[bool, Sequence[Formula]]
"""Some of the parts holds, or does not."""


class Search:
    """Tells impossible conditions from others, until it has looked at so many parts as it may."""

    def __init__(
        self,
        most: int = MOST_LOOKED,
        most_of_one: int = MOST_LOOKED_OF_ONE,
        *,
        plain: Set[Formula] = frozenset(),
    ) -> None:
        """`plain` are conditions that an earlier search has found to be so."""
        self._in_all = self._left = most
        self._most_of_one = most_of_one
        self._were_plain = plain
        self.plain: set[Formula] = set()
        """Those asked for that have no alternatives, as most of ten thousand rules: they are possible."""

    def among(self, conditions: list[tuple[Formula, T]]) -> list[tuple[Formula, T]]:
        """Those that are possible, with what they are of."""
        asked = list(map(itemgetter(0), conditions))
        if all(map(self._were_plain.__contains__, asked)):
            self.plain.update(asked)
            return conditions
        return [each for each in conditions if self.possible(each[0])]

    def possible(self, condition: Formula) -> bool:
        """Whether the condition may hold of some request; True also where that was not found out."""
        if condition in self._were_plain:
            self.plain.add(condition)
            return True
        if condition.kind != "and" or self._in_all <= 0:
            return condition.kind != "false"
        if not _has_choices(condition):
            self.plain.add(condition)
            return True
        if any(count == MOST_NODES for count, _ in enumerate(nodes(condition, bodies=False))):
            return True
        self._left = given = min(self._in_all, self._most_of_one)
        assumed = _Assumed()
        found = self._take(assumed, condition, True) and self._goes(assumed)
        self._in_all -= given - self._left
        return found

    def _goes(self, assumed: _Assumed) -> bool:
        """Whether an alternative of each clause goes together with what is assumed."""
        clauses = assumed.open()
        self._left -= assumed.looked()
        if not clauses:
            return clauses is not None
        # The largest first: much of the others follows from it. The shortest took a hundred times as many.
        holds, parts = max(clauses, key=lambda clause: sum(part.size for part in clause[1]))
        for part in parts:
            if self._left <= 0:
                return True
            tried = assumed.copy(clauses)
            if self._take(tried, part, holds) and self._goes(tried):
                return True
            if not self._take(assumed, part, not holds):
                return False
        return False

    def _take(self, assumed: _Assumed, part: Formula, holds: bool) -> bool:
        taken = assumed.take(part, holds)
        self._left -= assumed.looked()
        return taken


def _has_choices(condition: Formula) -> bool:
    """Whether there is an alternative to try: what has none was looked through as it was made."""
    return any((part.args[0] if part.kind == "not" else part).args for part in condition.args)


class _Assumed:
    """What holds and what does not: atoms, and by them what terms are."""

    def __init__(self) -> None:
        self._known: dict[Formula, bool] = {}
        self._facts = Facts()
        self._clauses: list[_Clause] = []
        self._looked = 0

    def looked(self) -> int:
        """At how many parts was looked since this was asked last."""
        looked, self._looked = self._looked, 0
        return looked

    def copy(self, clauses: list[_Clause]) -> _Assumed:
        """The same, with what is left of the clauses, to assume more."""
        found = _Assumed()
        found._known, found._facts, found._clauses = dict(self._known), Facts(self._facts), list(clauses)
        return found

    def take(self, node: Formula, holds: bool) -> bool:
        """Assumes that it holds, or that it does not; whether it can beside what is assumed."""
        if node.kind == "not":
            return self.take(node.args[0], not holds)
        found = self._value(node, {})
        if found is not None:
            return found is holds
        self._known[node] = holds
        if node.kind in ("and", "or"):
            if holds is (node.kind == "and"):
                return all(self.take(arg, holds) for arg in node.args)
            self._clauses.append((holds, node.args))
            return True
        self._facts.take(node, holds)
        return True

    def open(self) -> list[_Clause] | None:
        """What is left of the clauses, after what has to hold for them is assumed; None where one cannot."""
        while True:
            memory: dict[Formula, bool | None] = {}
            left: list[_Clause] = []
            forced: list[tuple[Formula, bool]] = []
            for holds, parts in self._clauses:
                values = [self._value(part, memory) for part in parts]
                if holds in values:
                    continue
                rest = [part for part, value in zip(parts, values, strict=True) if value is None]
                if not rest:
                    return None
                if len(rest) == 1:
                    forced.append((rest[0], holds))
                else:
                    left.append((holds, rest))
            self._clauses = left
            if not forced:
                return left
            if not all(self.take(part, holds) for part, holds in forced):
                return None

    def _value(self, node: Formula, memory: dict[Formula, bool | None]) -> bool | None:
        """Whether it holds; None where that is open."""
        found = self._known.get(node)
        if found is not None or node in memory:
            return found if found is not None else memory[node]
        self._looked += 1
        if node.kind == "not":
            inner = self._value(node.args[0], memory)
            value = None if inner is None else not inner
        elif node.kind in ("and", "or"):
            value = _combined(node.kind == "or", (self._value(arg, memory) for arg in node.args))
        else:
            value = self._facts.value(node) if node.atom is not None else node.kind == "true"
        memory[node] = value
        return value


def _combined(absorbing: bool, values: Iterable[bool | None]) -> bool | None:
    """Of a disjunction, which is true where a part is; or of a conjunction, which is false where one is."""
    found: bool | None = not absorbing
    for value in values:
        if value is absorbing:
            return absorbing
        if value is None:
            found = None
    return found
