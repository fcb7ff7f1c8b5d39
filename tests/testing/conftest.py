"""One Envoy for as long as the tests here run, and policies of one rule as subjects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from palisade import rego
from palisade.policy.inventory import Tls
from palisade.policy.providers import InlineKeys, Provider
from palisade.testing.equivalence import Bed, Issuers, Subject, revision_of, subject

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share

CORP = Provider("corp", "https://corp.example", ("orders",), InlineKeys("{}"))
HEAD = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    with Bed() as running:
        yield running


@pytest.fixture(scope="session")
def corp() -> Provider:
    return CORP


@pytest.fixture(scope="session")
def make_subject() -> Callable[..., Subject]:
    """A subject of the rules that follow the usual head; the decision is `allow`."""
    issuers = Issuers()

    def make(
        rules: str,
        data: Any = None,
        providers: tuple[Provider, ...] = (CORP,),
        tls: Tls | None = None,
        **settings: Any,
    ) -> Subject:
        policy = rego.compile({"p.rego": HEAD + rules}, data or {})
        revision = revision_of(policy, "p/allow", providers, tls=tls)
        return subject("orders", revision, revision.inventory.functions["orders"], issuers, **settings)

    return make
