"""A running OPA for tests: `opa` itself where PALISADE_OPA names it, else its engine behind its REST API."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "control"))

from opa_process import MISSING, Opa, available


@pytest.fixture
def start_opa(tmp_path: Path) -> Iterator[Callable[..., Opa]]:
    """Starts servers, and ends them with the test."""
    if not available():
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    started: list[Opa] = []

    def start(**settings: object) -> Opa:
        opa = Opa(tmp_path, **settings)  # type: ignore[arg-type]
        started.append(opa)
        opa.start()
        return opa

    yield start
    for opa in started:
        opa.stop()


@pytest.fixture
def opa(start_opa: Callable[..., Opa]) -> Opa:
    return start_opa()
