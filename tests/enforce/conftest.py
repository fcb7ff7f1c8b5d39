"""One Envoy for as long as the tests here run, and issuers whose tokens it verifies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share

from lowered import PROVIDERS


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    with Bed() as running:
        yield running


@pytest.fixture(scope="session")
def issuers() -> Issuers:
    return Issuers()


@pytest.fixture(params=(1, 2, 0), ids=("one", "two", "none"))
def providers(request: pytest.FixtureRequest) -> tuple[Provider, ...]:
    """One provider, two, or none."""
    return PROVIDERS[: request.param]
