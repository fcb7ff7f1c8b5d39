"""Every policy of this project on requests near to its own constants: `make verify` runs it at length."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lowered import PROVIDERS, subject_of
from policies_by_hand import DATA, POLICIES
from published import FOLDER, NAMES, read

from palisade import rego
from palisade.testing.equivalence import (
    Bed,
    Issuers,
    Report,
    Subject,
    Tally,
    from_folder,
    functions,
    subject,
    verify,
    with_own_keys,
)
from palisade.testing.equivalence.telling import lines, summary

PAIRS = int(os.environ.get("PALISADE_PAIRS", "3000"))
"""How many pairs of a policy and a request are compared in all; `make verify` asks for 100,000."""

ROOT = Path(__file__).parents[2]


def default_policies(issuers: Issuers) -> Iterator[Subject]:
    """The policies that the project comes with, as each function of the demonstration has them."""
    for name in ("hello", "orders"):
        revision = from_folder(ROOT / "policies", function=name)
        yield subject(f"policies/ for {name}", revision, functions(revision)[name], issuers)


def published(issuers: Issuers) -> Iterator[Subject]:
    """Those of the kind that stand in public repositories, some of which verify tokens themselves."""
    for name in NAMES:
        told = read(name)
        revision = from_folder(FOLDER / name, decision=told.decision, rego_version=told.rego_version)
        revision, own = with_own_keys(revision)
        yield subject(f"public/{name}", revision, functions(revision)["function"], issuers, own=own)


def hand_written(issuers: Issuers) -> Iterator[Subject]:
    for at, source in enumerate(POLICIES):
        policy = rego.compile({"p.rego": f"package p\n{source}"}, DATA)
        # Some with two providers, some with everything in maps.
        yield subject_of(policy, PROVIDERS[: 1 + at % 2], issuers, linear=0 if at % 3 == 2 else 4)


@pytest.mark.timeout(0 if PAIRS > 10_000 else 300)
def test_every_policy(bed: Bed, issuers: Issuers, capsys: pytest.CaptureFixture[str]) -> None:
    """As often as is asked for, each time with other requests; the seed is told where one differs."""
    subjects = [*default_policies(issuers), *published(issuers), *hand_written(issuers)]
    tally = Tally()
    began = time.monotonic()
    share = max(40, PAIRS // len(subjects))
    number = 0
    while tally.pairs < PAIRS:
        each = subjects[number % len(subjects)]
        report = verify(bed, each, examples=min(share, 2_000), start=number)
        assert report.difference is None, _told(report)
        tally.add(report.tally)
        number += 1
    took = time.monotonic() - began
    with capsys.disabled():
        print(
            f"\n{tally.pairs:,} pairs of {len(subjects)} policies and their requests in {took:.1f} s, "
            f"{tally.pairs / took:,.0f} a second: {tally.native:,} decided in the sidecar, "
            f"{tally.residual:,} by the engine, {tally.allowed:,} allowed, and no difference"
        )


def _told(report: Report) -> str:
    if report.difference is None:
        return ""
    told = "\n".join(lines(report.difference))
    return f"{report.subject.name}\n{summary(report.difference)} (seed {report.seed})\n{told}"
