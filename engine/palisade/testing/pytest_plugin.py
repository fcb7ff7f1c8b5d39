"""A pytest plugin: policies verified in one's own tests, beside the tests in Rego.

    def test_what_is_compiled_decides_as_the_policies_do(palisade_verify):
        palisade_verify("policies", decision="palisade/identity/allow", examples=500)

Needs the extra `palisade[verify]`. pytest finds the plugin by its entry point; it imports nothing until used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from palisade.testing.equivalence import Bed, Report


@pytest.fixture(scope="session")
def palisade_bed() -> Iterator[Bed]:
    """A real Envoy with the filters of a sidecar, for as long as the session runs."""
    from palisade.testing.equivalence import Bed

    with Bed() as bed:
        yield bed


@pytest.fixture
def palisade_verify(palisade_bed: Bed) -> Callable[..., list[Report]]:
    """Verifies a policy folder, or a `palisade.yaml`; fails with the smallest request that differs."""
    from palisade.testing.equivalence import (
        Issuers,
        from_folder,
        from_inventory,
        functions,
        subject,
        verify,
        with_own_keys,
    )
    from palisade.testing.equivalence.telling import lines, summary

    def run(
        policies: str | Path,
        *,
        decision: str = "",
        function: str = "function",
        examples: int = 500,
        seed: int | None = None,
    ) -> list[Report]:
        path = Path(policies)
        if path.is_file() and path.suffix in (".yaml", ".yml"):
            revision = from_inventory(path, decision=decision)
        elif decision:
            revision = from_folder(path, decision=decision, function=function)
        else:
            revision = from_folder(path, function=function)
        revision, own = with_own_keys(revision)
        issuers, reports = Issuers(), []
        for name, each in functions(revision).items():
            made = subject(name, revision, each, issuers, own=own)
            report = verify(palisade_bed, made, examples=examples, start=seed)
            if report.difference is not None:
                told = "\n".join(lines(report.difference))
                pytest.fail(f"{summary(report.difference)} (seed {report.seed})\n{told}", pytrace=False)
            reports.append(report)
        return reports

    return run
