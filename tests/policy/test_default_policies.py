"""The default policies and the library do what their own Rego tests say, and those tests can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from palisade import rego
from palisade.policy import library, providers, revisions, sets

REPOSITORY = Path(__file__).parents[2]


def compiled(folder: str) -> rego.Policy:
    return revisions.compile_set(sets.load(REPOSITORY / folder, shown=folder), tests=True)


def rego_tests(folder: str) -> Iterator[tuple[str, str]]:
    for module in compiled(folder).checked.modules:
        for rule in module.rules:
            name = rule.head.name.name
            if name.startswith("test_") and module.loc.file.startswith(folder):
                yield folder, f"data.{'.'.join(module.package)}.{name}"


CASES = [*rego_tests("policies"), *rego_tests("rego")]
"""(folder, path) of each Rego test."""


def test_there_are_rego_tests_for_each_part() -> None:
    for part in ("identity", "isolation", "detection", "lib.claims", "lib.request"):
        assert any(f"palisade.{part}_test." in path for _, path in CASES), part


@pytest.mark.parametrize(("folder", "path"), CASES)
def test_rego_test(folder: str, path: str) -> None:
    assert compiled(folder).evaluate(path) is True


def test_the_default_providers_fit_their_contract() -> None:
    document = compiled("policies").evaluate(providers.DOCUMENT)
    assert [each.name for each in providers.read(document)] == ["demo"]


def test_the_library_can_be_imported_by_every_set_in_both_versions_of_rego() -> None:
    assert set(library.modules()) == {"palisade:lib/claims.rego", "palisade:lib/request.rego"}
    for version, source in (
        (0, "package a\nimport data.palisade.lib.request\nr { request.reading }"),
        (1, "package a\nimport data.palisade.lib.request\nr if request.reading"),
    ):
        policy = rego.compile({**library.modules(), "a.rego": source}, version=version)
        assert policy.evaluate("data.a.r", {"attributes": {"request": {"http": {"method": "GET"}}}}) is True
