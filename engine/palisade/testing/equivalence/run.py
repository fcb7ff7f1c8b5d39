"""One run: requests drawn by Hypothesis, sent in bulk, compared; and of a difference the smallest request.

Hypothesis would shrink the whole batch, which takes seconds; `smallest` takes the one request apart.

with Bed() as bed:
    report = verify(bed, subject, examples=2_000)
assert report.difference is None
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisWarning

from palisade.testing.equivalence.bed import Bed
from palisade.testing.equivalence.oracle import Difference, Failing, Tally, compare, failure
from palisade.testing.equivalence.requests import Request
from palisade.testing.equivalence.smallest import smallest
from palisade.testing.equivalence.strategies import batches
from palisade.testing.equivalence.subject import Subject
from palisade.testing.equivalence.vocabulary import gather

DRAWN, VARIANTS = 5, 7
"""So many requests are drawn at a time, and so many variants made of each."""
BATCH = DRAWN * (1 + VARIANTS)
"""Sent together."""
ROUND = 2_000
"""After so many the constants are taken from the data anew."""

_MOST_ERRORS = 3
"""Of so many errors of a policy is the smallest request looked for."""

Progress = Callable[[int], None]
"""Told how many pairs were compared since it was called last."""


@dataclass
class Report:
    """What a run of one subject found. `seconds` are those of drawing, sending and comparing."""

    subject: Subject
    seed: int
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    difference: Difference | None = None

    @property
    def rate(self) -> float:
        """Pairs of a policy and a request, a second."""
        return self.tally.pairs / self.seconds if self.seconds else 0.0


def verify(
    bed: Bed,
    subject: Subject,
    *,
    examples: int = 2_000,
    seconds: float | None = None,
    start: int | None = None,
    progress: Progress = lambda _: None,
) -> Report:
    """Compares a subject with the reference evaluator on so many requests, or for so many seconds.

    `start` is the seed: two runs with the same one draw the same requests. Ends with the first difference, of
    which the report has the smallest request that shows it. Raises BedError.
    """
    first = random.SystemRandom().randrange(1 << 32) if start is None else start
    report = Report(subject, first)
    began = time.monotonic()
    bed.load(subject)
    number = 0
    while report.difference is None:
        left = examples - report.tally.pairs - report.tally.refused
        if left <= 0 or (seconds is not None and time.monotonic() - began >= seconds):
            break
        deadline = None if seconds is None else began + seconds
        report.difference = _round(bed, report, first + number, min(left, ROUND), deadline, progress)
        number += 1
    if report.difference is None:
        for error, failing in list(report.tally.failing.items())[:_MOST_ERRORS]:
            report.tally.failing[error] = _smallest_failing(bed, subject, error, failing)
    report.seconds = time.monotonic() - began
    return report


class _EnoughError(Exception):
    """Has Hypothesis draw no more: to return from a test would have it draw what is left of the round."""


def _round(
    bed: Bed, report: Report, start: int, count: int, deadline: float | None, progress: Progress
) -> Difference | None:
    """One vocabulary's worth of requests. Returns the smallest difference."""
    subject = report.subject
    found: list[Difference] = []

    def late() -> bool:
        return deadline is not None and time.monotonic() >= deadline

    drawn = batches(gather(subject, seed=start), subject, size=DRAWN, variants=VARIANTS, http2=True)

    @seed(start)
    @settings(
        max_examples=max(1, -(-count // BATCH)),
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(drawn)
    def run(batch: list[Request]) -> None:
        # Asked again of the batch that it ended with, it must end in the same way, and at the same line.
        if not found and not late():
            tally = Tally()
            found.extend(each for each in compare(bed, subject, batch, tally) if _again(bed, each))
            report.tally.add(tally)
            progress(tally.pairs)
        if found or late():
            raise _EnoughError

    with warnings.catch_warnings(), suppress(_EnoughError):
        warnings.simplefilter("ignore", HypothesisWarning)
        run()
    return _smallest(bed, found[0]) if found else None


def _again(bed: Bed, difference: Difference) -> Difference | None:
    """The difference, if it is there a second time: one that is not came of the clock, or of chance."""
    found = compare(bed, difference.subject, [difference.request], Tally())
    return found[0] if found else None


def _smallest_failing(bed: Bed, subject: Subject, error: str, failing: Failing) -> Failing:
    """The same with the smallest request whose evaluation ends in the error."""

    def fails(batch: list[Request]) -> list[bool]:
        return [seen is not None and failure(subject, seen) == error for seen in bed.ask(batch)]

    request = smallest(failing.request, fails)
    (seen,) = bed.ask([request])
    if seen is None or failure(subject, seen) != error:  # it hangs on the clock, or on chance
        return failing
    return Failing(failing.requests, request, seen.input)


def _smallest(bed: Bed, difference: Difference) -> Difference:
    subject = difference.subject

    def differs(batch: list[Request]) -> list[bool]:
        different = {id(each.request) for each in compare(bed, subject, batch, Tally())}
        return [id(each) in different for each in batch]

    request = smallest(difference.request, differs)
    return _again(bed, Difference(subject, request, "", "", None)) or difference
