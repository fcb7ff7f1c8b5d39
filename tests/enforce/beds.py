"""One Envoy for as long as the tests of a folder run, issuers whose tokens it verifies, and a sidecar."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lowered import PROVIDERS
from stand import Stand

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    with Bed() as running:
        yield running


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A sidecar before a function, as a module's tests ask it."""
    with Stand() as running:
        yield running


@pytest.fixture(scope="session")
def issuers() -> Issuers:
    return Issuers()


@pytest.fixture(params=(1, 2, 0), ids=("one", "two", "none"))
def providers(request: pytest.FixtureRequest) -> tuple[Provider, ...]:
    """One provider, two, or none."""
    return PROVIDERS[: request.param]
