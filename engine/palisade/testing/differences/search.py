"""The search: requests drawn near to both policies, decided by both evaluators, and made small."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from palisade.testing.equivalence.callers import principal
from palisade.testing.equivalence.requests import Request
from palisade.testing.equivalence.strategies import batches
from palisade.testing.equivalence.subject import subject
from palisade.testing.equivalence.substitutes import all_with_own_keys
from palisade.testing.equivalence.telling import signed_by
from palisade.testing.equivalence.tokens import Issuer, Issuers, KeyIssuer, SecretIssuer
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
    signer: str
    """Whose token that is, in words; empty without one, and for one of a provider's."""
    old: Outcome
    new: Outcome
    input: Any
    """What the new policy is asked with, as JSON; None where no input can be made of the request. $TOKEN is
    a token that the policy takes apart itself: signed with its secret, it would be valid elsewhere too."""

    @property
    def size(self) -> tuple[int, str]:
        """Smaller ones come first."""
        request = self.request
        token = len(dumps(request.token.claims)) + 20 if request.token else 0
        headers = sum(len(name) + len(value) + 4 for name, value in request.headers)
        odd = 0 if request.method == "GET" else 1
        odd += len(principal(request.caller)) + 20 if request.caller else 0
        return len(request.target) + headers + token + len(request.body) + odd, repr(request)


@dataclass(frozen=True, slots=True)
class Drawn:
    """To whom requests are drawn: both policies (`Recipient`)."""

    issuers: Mapping[str, Issuer]
    signers: Mapping[str, SecretIssuer | KeyIssuer]
    sees_callers: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a search found for one function: differences of different kinds, the smallest first."""

    function: str
    requests: int
    """How many were decided by both."""
    tokens: tuple[str, ...]
    """How tokens were made that the policies verify themselves, and what of them could not be, in words."""
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
    return Report(
        function=function.name,
        requests=searching.requests,
        tokens=searching.minting,
        seconds=time.monotonic() - began,
        differences=searching.smallest(),
    )


class _Search:
    def __init__(self, old: Revision, new: Revision, function: Function, most: int) -> None:
        self.requests = 0
        self._function = function
        self._most = most
        (old, new), own = all_with_own_keys([old, new])
        self._sides = Side(old), Side(new)
        self._aims = changed(old, new, function)
        self._constants = constants(old, new)
        issuers = Issuers()
        self._subjects = tuple(
            subject(name, each, function, issuers, own=own) for name, each in (("old", old), ("new", new))
        )
        self._providers = _providers(old, new)
        names = {each: issuers.of([each])[0] for each in self._providers.values()}
        self._drawn = Drawn(
            {name: names[each] for name, each in self._providers.items()},
            _signers(*(each.signers for each in self._subjects)),
            any(each.sees_callers for each in self._subjects),
        )
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
            for request in filter(None, map(self._arriving, (*batch, *mixing.mixed(batch)))):
                self._look(request)
            progress(self.requests - decided)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            run()
        return self.requests - before

    def _arriving(self, request: Request) -> Request | None:
        """What the sidecar hears of a request; None where that is nothing."""
        tls = self._function.tls
        if tls is not None and tls.client_certificate == "required" and request.caller is None:
            return None
        return plain(request)

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

    @property
    def minting(self) -> tuple[str, ...]:
        """How tokens are made that the policies verify themselves."""
        return tuple(dict.fromkeys(filter(None, (each.minting for each in self._subjects))))

    def smallest(self) -> tuple[Difference, ...]:
        """What was found, each as small as it gets without becoming another kind."""
        found = {}
        for kind, each in self._found.items():
            request = small(each.request, partial(self._are, kind))
            least = self._difference(self._arriving(request) or request)
            found[repr(least.request), kind] = least
        return tuple(sorted(found.values(), key=lambda each: each.size))

    def _are(self, kind: object, requests: list[Request]) -> list[bool]:
        return [self._is(each, kind) for each in requests]

    def _is(self, request: Request, kind: object) -> bool:
        delivered_as = self._arriving(request)
        return (
            delivered_as is not None
            and self._differs(delivered_as)
            and _kind(self._difference(delivered_as)) == kind
        )

    def _inputs(self, request: Request) -> tuple[Value | None, Value | None]:
        issuers = {**self._drawn.issuers, **self._drawn.signers}
        message = delivered(request, self._function.name, issuers, tls=self._function.tls is not None)
        token = request.token
        signer = self._providers.get(token.provider) if token else None
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
        own = self._drawn.signers.get(token.provider) if token else None
        written = own.token(token) if token and own else ""
        return Difference(
            function=self._function.name,
            request=request,
            claims=None if token is None else token.claims,
            signer=self._signed_by(token.provider) if token and own else "",
            old=self._sides[0].outcome(before),
            new=self._sides[1].outcome(after),
            input=None if after is None else _without(to_json(after), written),
        )

    def _signed_by(self, name: str) -> str:
        return signed_by(self._drawn.signers, name) + (OLD if name.endswith(OLD) else "")


def _without(document: Any, token: str) -> Any:
    """The JSON with $TOKEN in place of a token; as it is where that is none."""
    if isinstance(document, dict):
        return {name: _without(each, token) for name, each in document.items()} if token else document
    if isinstance(document, list):
        return [_without(each, token) for each in document]
    return document.replace(token, "$TOKEN") if isinstance(document, str) else document


def _providers(old: Revision, new: Revision) -> dict[str, Provider]:
    """The providers of both. Of two different ones that share a name, the old one is marked."""
    found = {each.name: each for each in new.providers}
    for each in old.providers:
        name = each.name if found.get(each.name, each) == each else f"{each.name}{OLD}"
        found[name] = each
    return found


def _signers(
    old: Mapping[str, SecretIssuer | KeyIssuer], new: Mapping[str, SecretIssuer | KeyIssuer]
) -> dict[str, SecretIssuer | KeyIssuer]:
    """Who signs the tokens that the policies take apart themselves. Whom only the old one asks is marked."""
    ways = {each.way for each in new.values()}
    return {**new, **{f"{name}{OLD}": each for name, each in old.items() if each.way not in ways}}


def _kind(difference: Difference) -> object:
    old, new = difference.old, difference.new
    return old.told, old.rule, new.told, new.rule
