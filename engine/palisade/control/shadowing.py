"""A shadow's decisions beside those in force: compared, counted, and kept out of the way of both."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from palisade.control.loading import Deployment
from palisade.decide.decision import from_value
from palisade.decide.shadow import Shadowed
from palisade.policy.attribution import Attribution, attribute
from palisade.policy.revisions import Revision
from palisade.rego.errors import CompileError, EvalError
from palisade.rego.values import Value

log = logging.getLogger(__name__)

_MOST_WAITING = 100
"""Evaluations that may wait for the one thread. Further requests are not compared: nobody waits for these."""


class Outcome(StrEnum):
    """What became of the comparison of one request."""

    SAME = "same"
    NEWLY_ALLOWED = "newly_allowed"
    NEWLY_DENIED = "newly_denied"
    UNDECIDED = "undecided"
    """The sidecar decides it now and would ask the engine then; or the engine has no time for both, or not
    the body that the shadow reads."""


class Unsure(StrEnum):
    """Why a request is undecided."""

    ENGINE = "the sidecar decides it now, and would ask the engine by the shadow"
    BODY = "the shadow reads its body, of which the engine is told nothing now"
    BUSY = "the engine had no time to evaluate the shadow, too"
    FAILED = "the shadow could not be evaluated: the engine's own log says why"


@dataclass(frozen=True, slots=True)
class Undecided:
    """How many requests are undecided for one reason, and the latest: its method, and path without query."""

    requests: int
    latest: str


@dataclass(frozen=True, slots=True)
class _Pair:
    in_force: str
    shadow: Revision
    blind: frozenset[str]
    """Functions of whose requests the engine gets no bodies, which the shadow reads."""


class Shadowing:
    """Belongs to one event loop. Implements `palisade.decide.shadow.Comparison`.

    `runs` tells the revision that a function's sidecar runs: only what the revision in force decides counts.
    """

    def __init__(self, runs: Callable[[str], str]) -> None:
        self.counts: Counter[tuple[str, Outcome]] = Counter()
        """Comparisons by function and outcome, since the pair of revisions is what it is."""
        self.undecided: dict[tuple[str, Unsure], Undecided] = {}
        """What is behind those that are undecided, by function and reason, since then."""
        self.totals: Counter[Outcome] = Counter()
        """All comparisons since the start."""
        self._runs = runs
        self._pair: _Pair | None = None
        self._attribution: tuple[str, Attribution | None] = ("", None)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._waiting = 0

    def set(self, deployment: Deployment) -> None:
        """Compares this deployment with its shadow from now on; nothing where it has none."""
        shadow, enforcements = deployment.shadow, deployment.enforcements
        blind = frozenset(name for name, each in enforcements.items() if each.blind)
        pair = _Pair(deployment.id, shadow, blind) if shadow is not None else None
        before = self._pair
        if (pair and (pair.in_force, pair.shadow.id)) != (before and (before.in_force, before.shadow.id)):
            self.counts.clear()
            self.undecided.clear()
        self._pair = pair

    def close(self) -> None:
        """Ends all evaluating."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def native(self, function: str, revision: str, allowed: bool, shadowed: Shadowed, request: str) -> bool:
        """Takes note of what a sidecar decided and what its shadow would have. Whether the two differ."""
        pair = self._pair
        if pair is None or (pair.in_force, pair.shadow.id) != (revision, shadowed.revision):
            return False  # logged before the one or the other became what it is
        if shadowed.allowed is None:
            self._note(function, Unsure.ENGINE, request)
        return self._count(function, allowed, shadowed.allowed)

    def residual(self, function: str, document: Value, allowed: bool) -> Awaitable[Shadowed | None] | None:
        """Evaluates the shadow, in a thread of its own, on an input that the engine has decided."""
        pair = self._pair
        if pair is None or self._runs(function) != pair.in_force:
            return None
        if function in pair.blind or self._waiting >= _MOST_WAITING:
            self._note(function, Unsure.BODY if function in pair.blind else Unsure.BUSY, _named(document))
            self._count(function, allowed, None)
            return None
        return self._evaluate(pair.shadow, function, document, allowed)

    async def _evaluate(
        self, shadow: Revision, function: str, document: Value, allowed: bool
    ) -> Shadowed | None:
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            shadowed = await loop.run_in_executor(self._thread, self._decide, shadow, document)
        except Exception:
            log.exception("shadow %s could not be evaluated", shadow.id)
            shadowed = Shadowed(shadow.id, None)
        finally:
            self._waiting -= 1
        if self._pair is None or self._pair.shadow.id != shadow.id:
            return None
        if shadowed.allowed is None:
            self._note(function, Unsure.FAILED, _named(document))
        return shadowed if self._count(function, allowed, shadowed.allowed) else None

    def _decide(self, shadow: Revision, document: Value) -> Shadowed:
        try:
            allowed = from_value(shadow.policy.evaluate(shadow.inventory.decision_document, document)).allowed
        except EvalError:
            allowed = False
        if self._attribution[0] != shadow.id:
            self._attribution = shadow.id, _attribution(shadow)
        attribution = self._attribution[1]
        return Shadowed(shadow.id, allowed, attribution.rule(document) if attribution else "")

    def _note(self, function: str, why: Unsure, request: str) -> None:
        known = self.undecided.get((function, why))
        self.undecided[function, why] = Undecided(known.requests + 1 if known else 1, request)

    def _count(self, function: str, allowed: bool, then: bool | None) -> bool:
        if then is None:
            outcome = Outcome.UNDECIDED
        elif then == allowed:
            outcome = Outcome.SAME
        else:
            outcome = Outcome.NEWLY_ALLOWED if then else Outcome.NEWLY_DENIED
        self.counts[function, outcome] += 1
        self.totals[outcome] += 1
        return outcome in (Outcome.NEWLY_ALLOWED, Outcome.NEWLY_DENIED)


def _named(document: Any) -> str:
    http = document["attributes"]["request"]["http"]
    return f"{http.get('method', '')} {http.get('path', '').partition('?')[0]}".strip()


def _attribution(revision: Revision) -> Attribution | None:
    try:
        return attribute(revision.policy, revision.inventory.decision)
    except CompileError as error:
        log.warning("the rules of shadow %s cannot be named: %s", revision.id, error)
        return None
