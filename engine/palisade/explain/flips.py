"""The smallest change to a request that turns its outcome, found in the conditions of the decision.

Formulas say which conditions would have to change, `aims` proposes what of the request to change for each,
and the reference evaluator decides every request that comes of it: what it did not confirm is not returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from palisade.explain.aims import Aims
from palisade.explain.edits import Change, ImpossibleError, changed, look_up
from palisade.explain.plans import Plan, Planning, Step
from palisade.explain.verdicts import Verdicts
from palisade.policy.providers import Provider
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial.reading import Reading
from palisade.rego.values import UNDEFINED, Value

Allows = Callable[[Value], bool]
"""Whether the reference evaluator allows the request with this input."""


@dataclass(frozen=True, slots=True)
class Flip:
    """Changes that turn the outcome, and the request with them. `rule` has the conditions that they meet."""

    changes: tuple[Change, ...]
    document: Value
    rule: Location = NOWHERE

    @property
    def cost(self) -> float:
        return sum(change.cost for change in self.changes)


@dataclass(slots=True)
class Budget:
    """What a search may spend: seconds of its thread's processor time, and questions to the evaluator."""

    seconds: float = 5.0
    questions: int = 400
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = time.thread_time() + self.seconds

    @property
    def spent(self) -> bool:
        return self.questions <= 0 or time.thread_time() > self._until


@dataclass(frozen=True, slots=True)
class Nearest:
    """A rule that allows, and what of its conditions a request does not meet."""

    rule: Location
    plan: Plan


@dataclass(frozen=True, slots=True)
class _Way:
    """What must hold and what must not for the outcome to turn, by the conditions of a rule."""

    rule: Location
    steps: tuple[Step, ...]


class Search:
    """Looks for flips of one request. Where it needs a token, it gets one of the first of the `providers`."""

    def __init__(
        self,
        verdicts: Verdicts,
        document: Value,
        allows: Allows,
        budget: Budget,
        providers: Sequence[Provider] = (),
        reading: Callable[[Value], Reading] = Reading,
        *,
        behind: bool = False,
    ) -> None:
        """`reading` reads conditions on an input: one of which not everything is known in its own way.

        `behind` trusted proxies these may say more of a request.
        """
        self._verdicts = verdicts
        self._document = document
        self._allows = allows
        self._budget = budget
        self._providers = providers
        self._behind = behind
        self._read = reading
        self._reading = reading(document)
        self._planning = Planning(self._reading)

    def nearest(self, most: int = 3) -> list[Nearest]:
        """The rules that would allow the request with the fewest changes."""
        found: dict[Location, Nearest] = {}
        for way in self._ways_to_allow():
            for plan in self._planning.all(way.steps):
                known = found.get(way.rule)
                if known is None or plan.cost < known.plan.cost:
                    found[way.rule] = Nearest(way.rule, plan)
        return sorted(found.values(), key=lambda each: (each.plan.cost, each.rule))[:most]

    def flips(self, allowed: bool) -> list[Flip]:
        """Changes that turn the outcome, the smallest first. Empty where none was found in the budget."""
        ways = self._ways_to_deny() if allowed else self._ways_to_allow()
        plans = [(way, plan) for way in ways for plan in self._planning.all(way.steps)]
        plans.sort(key=lambda each: each[1].cost)
        found: list[Flip] = []
        for way, plan in plans[:_MOST_PLANS]:
            if self._budget.spent or len(found) >= _MOST_FLIPS:
                break
            if found and plan.cost > min(flip.cost for flip in found) + 1:
                break
            flip = next(self._made(way, plan, allowed), None)
            if flip is not None:
                found.append(self._smallest(flip, allowed))
        found.sort(key=lambda flip: flip.cost)
        # Other values for the same are no other way.
        return list({_places(flip): flip for flip in reversed(found)}.values())[::-1]

    def _ways_to_allow(self) -> Iterator[_Way]:
        for allowing, before in self._verdicts.allowing():
            yield _Way(allowing.rule, ((allowing.condition, True), *((each, False) for each in before)))

    def _ways_to_deny(self) -> Iterator[_Way]:
        yield _Way(NOWHERE, tuple((each.condition, False) for each, _ in self._verdicts.allowing()))
        yield from (_Way(each.rule, ((each.condition, True),)) for each in self._verdicts.denying())

    def _made(self, way: _Way, plan: Plan, allowed: bool) -> Iterator[Flip]:
        for changes, document in self._carried_out(plan.steps, (), self._document):
            if self._budget.spent:
                return
            if changes and self._turns(document, allowed):
                yield Flip(changes, document, way.rule)
                continue
            # What is new in the request may meet conditions of its own: once more, from there.
            planning = Planning(self._read(document))
            for again in planning.all(way.steps)[:1] if changes else ():
                for more, after in self._carried_out(again.steps, changes, document):
                    if not self._budget.spent and more != changes and self._turns(after, allowed):
                        yield Flip(more, after, way.rule)

    def _turns(self, document: Value, allowed: bool) -> bool:
        self._budget.questions -= 1
        return self._allows(document) is not allowed

    def _carried_out(
        self, steps: tuple[Step, ...], made: tuple[Change, ...], document: Value
    ) -> Iterator[tuple[tuple[Change, ...], Value]]:
        """The requests that come of changes for each of the steps in turn."""
        if not steps:
            yield made, document
            return
        (formula, want), *rest = steps
        reading = self._reading if document is self._document else self._read(document)
        if formula.atom is None or reading.truth(formula) is want:
            yield from self._carried_out(tuple(rest), made, document)
            return
        for changes in _first(Aims(document, reading).changes(formula.atom, want), _MOST_CHANGES):
            after = self._with(changes, document)
            if after is not None and self._read(after).truth(formula) is want:
                yield from self._carried_out(tuple(rest), (*made, *changes), after)

    def _smallest(self, flip: Flip, allowed: bool) -> Flip:
        """The flip without the changes that it does not need."""
        kept = list(flip.changes)
        for change in flip.changes:
            fewer = [each for each in kept if each is not change]
            document = self._with(fewer, self._document)
            if fewer and document is not None and not self._budget.spent and self._turns(document, allowed):
                kept, flip = fewer, Flip(tuple(fewer), document, flip.rule)
        # What a change was made upon may have been the value of one that is gone.
        own = (replace(each, before=look_up(self._document, each.path)) for each in kept)
        return replace(flip, changes=tuple(own))

    def _with(self, changes: Iterable[Change], document: Value) -> Value | None:
        """The request with the changes; None where there can be no such request."""
        try:
            for change in changes:
                document = changed(document, change.path, change.value, self._providers, behind=self._behind)
        except ImpossibleError:
            return None
        return document


_MOST_PLANS = 40
_MOST_FLIPS = 8
_MOST_CHANGES = 8


def _places(flip: Flip) -> frozenset[str]:
    return frozenset(repr(change.path) for change in flip.changes)


def _first(proposals: Iterable[tuple[Change, ...]], most: int) -> Iterator[tuple[Change, ...]]:
    """The first few that are changes at all, each once."""
    seen: set[str] = set()
    for changes in proposals:
        form = repr([(change.path, change.value) for change in changes])
        idle = any(change.value is UNDEFINED and change.before is UNDEFINED for change in changes)
        if form not in seen and not idle:
            seen.add(form)
            yield changes
        if len(seen) >= most:
            return
