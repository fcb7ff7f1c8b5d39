"""The search: requests drawn near to both policies, decided by both evaluators, and made small."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisWarning

from palisade.policy.inventory import Function
from palisade.policy.providers import Provider
from palisade.policy.revisions import Revision
from palisade.rego.text import dumps
from palisade.rego.values import Value, to_json
from palisade.testing.differences.changes import changed
from palisade.testing.differences.delivery import delivered, document, plain
from palisade.testing.differences.mixing import Mixing
from palisade.testing.differences.sides import Outcome, Side, seen
from palisade.testing.differences.small import small
from palisade.testing.differences.words import both, constants, guessed
from palisade.testing.equivalence.requests import Request
from palisade.testing.equivalence.strategies import batches
from palisade.testing.equivalence.subject import subject
from palisade.testing.equivalence.tokens import Issuers
from palisade.testing.equivalence.vocabulary import gather

DRAWN, VARIANTS = 6, 9
"""So many requests are drawn at a time, and so many variants made of each."""
ROUND = 10_000
"""After so many the constants are taken from the data anew."""

OLD = " (old)"
"""Marks the old one of two providers that share a name."""

Progress = Callable[[int], None]
"""Told how many requests were decided since it was called last."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A request that the two decide differently, and of which no part can be left out."""

    function: str
    request: Request
    claims: Mapping[str, Any] | None
    """What its token says, None without one."""
    old: Outcome
    new: Outcome
    input: Any
    """What the new policy is asked with, as JSON; None where no input can be made of the request."""

    @property
    def size(self) -> tuple[int, str]:
        """Smaller ones come first."""
        request = self.request
        token = len(dumps(request.token.claims)) + 20 if request.token else 0
        headers = sum(len(name) + len(value) + 4 for name, value in request.headers)
        odd = 0 if request.method == "GET" else 1
        return len(request.target) + headers + token + len(request.body) + odd, repr(request)


@dataclass(frozen=True, slots=True)
class Report:
    """What a search found for one function: differences of different kinds, the smallest first."""

    function: str
    requests: int
    """How many were decided by both."""
    seconds: float
    differences: tuple[Difference, ...]


def search(
    old: Revision,
    new: Revision,
    function: Function,
    *,
    examples: int = 10_000,
    seconds: float | None = None,
    most: int = 10,
    start: int = 0,
    progress: Progress = lambda _: None,
) -> Report:
    """Looks for requests to a function on which two revisions differ.

    Of each kind, which is the two outcomes and their rules, the smallest is kept, and `most` kinds at most.
    Equal seeds (`start`) draw the same requests.
    """
    began = time.monotonic()
    searching = _Search(old, new, function, most)
    while searching.requests < examples and (seconds is None or time.monotonic() - began < seconds):
        ends = None if seconds is None else began + seconds
        drawn = searching.round(start, min(ROUND, examples - searching.requests), ends, progress)
        start += 1
        if not drawn:
            break
    return Report(function.name, searching.requests, time.monotonic() - began, searching.smallest())


class _Search:
    def __init__(self, old: Revision, new: Revision, function: Function, most: int) -> None:
        self.requests = 0
        self._function = function
        self._most = most
        self._sides = Side(old), Side(new)
        self._aims = changed(old, new, function)
        self._constants = constants(old, new)
        issuers = Issuers()
        self._subjects = subject("old", old, function, issuers), subject("new", new, function, issuers)
        self._signers = _signers(old, new)
        names = {each: issuers.of([each])[0] for each in self._signers.values()}
        self._issuers = {name: names[each] for name, each in self._signers.items()}
        self._drawn = replace(self._subjects[1], issuers=self._issuers)
        self._found: dict[object, Difference] = {}

    def round(self, start: int, count: int, ends: float | None, progress: Progress) -> int:
        """Decides about so many requests; returns how many."""
        before = self.requests
        old, new = (gather(each, seed=start) for each in self._subjects)
        vocabulary = guessed(both(old, new, self._aims), self._constants)
        drawn = batches(vocabulary, self._drawn, size=DRAWN, variants=VARIANTS)
        mixing = Mixing(vocabulary, self._drawn, start)

        @seed(start)
        @settings(
            max_examples=max(1, count // (2 * DRAWN * (1 + VARIANTS))),
            database=None,
            deadline=None,
            verbosity=Verbosity.quiet,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(drawn)
        def run(batch: list[Request]) -> None:
            if ends is not None and time.monotonic() >= ends:
                return
            decided = self.requests
            for request in filter(None, map(plain, (*batch, *mixing.mixed(batch)))):
                self._look(request)
            progress(self.requests - decided)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            run()
        return self.requests - before

    def _look(self, request: Request) -> None:
        self.requests += 1
        if not self._differs(request):
            return
        found = self._difference(request)
        kind = _kind(found)
        known = self._found.get(kind)
        if known is None and len(self._found) >= self._most:
            return
        if known is None or found.size < known.size:
            self._found[kind] = found

    def smallest(self) -> tuple[Difference, ...]:
        """What was found, each as small as it gets without becoming another kind."""
        found = {}
        for kind, each in self._found.items():
            request = small(each.request, partial(self._are, kind))
            least = self._difference(plain(request) or request)
            found[repr(least.request), kind] = least
        return tuple(sorted(found.values(), key=lambda each: each.size))

    def _are(self, kind: object, requests: list[Request]) -> list[bool]:
        return [self._is(each, kind) for each in requests]

    def _is(self, request: Request, kind: object) -> bool:
        delivered_as = plain(request)
        return (
            delivered_as is not None
            and self._differs(delivered_as)
            and _kind(self._difference(delivered_as)) == kind
        )

    def _inputs(self, request: Request) -> tuple[Value | None, Value | None]:
        message = delivered(request, self._function.name, self._issuers)
        token = request.token
        signer = self._signers.get(token.provider) if token else None
        old, new = (
            document(message, self._function.name, token, signer, each.revision.providers)
            for each in self._sides
        )
        return old, new

    def _differs(self, request: Request) -> bool:
        before, after = self._inputs(request)
        old, new = self._sides
        return seen(old.decide(before)) != seen(new.decide(after))

    def _difference(self, request: Request) -> Difference:
        before, after = self._inputs(request)
        token = request.token
        return Difference(
            function=self._function.name,
            request=request,
            claims=None if token is None else token.claims,
            old=self._sides[0].outcome(before),
            new=self._sides[1].outcome(after),
            input=None if after is None else to_json(after),
        )


def _signers(old: Revision, new: Revision) -> dict[str, Provider]:
    """The providers of both. Of two different ones that share a name, the old one is marked."""
    found = {each.name: each for each in new.providers}
    for each in old.providers:
        name = each.name if found.get(each.name, each) == each else f"{each.name}{OLD}"
        found[name] = each
    return found


def _kind(difference: Difference) -> object:
    old, new = difference.old, difference.new
    return old.told, old.rule, new.told, new.rule
