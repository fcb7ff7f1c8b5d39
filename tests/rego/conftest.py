"""OPA's conformance cases as parameters: a test that takes `conformance_cases` runs for each file of them.

They are in the folder PALISADE_CONFORMANCE, or ../shared/conformance beside the repository. Which may fail,
and why, is in `conformance_exceptions.json` by the test's name and the case's note; one that is listed there
and passes is an error.

A test that takes `opa` asks OPA's own engine.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import ConformanceCases, cases_by_file
from effort import some
from opa_answers import OpaAnswers

_EXCEPTIONS = Path(__file__).parent / "conformance_exceptions.json"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "conformance_cases" not in metafunc.fixturenames:
        return
    files = cases_by_file()
    if not files:
        skip = pytest.mark.skip(reason="no conformance cases: set PALISADE_CONFORMANCE to their folder")
        metafunc.parametrize("conformance_cases", [pytest.param(ConformanceCases((), ()), marks=skip)])
        return
    allowed: dict[str, str] = json.loads(_EXCEPTIONS.read_text(encoding="utf-8")).get(
        metafunc.function.__name__, {}
    )
    unknown = allowed.keys() - {case["note"] for each in files.values() for case in each}
    if unknown:
        raise ValueError(f"conformance_exceptions.json names cases that do not exist: {sorted(unknown)}")
    # What rules come to is asked of all cases everywhere.
    names = [*files] if metafunc.function.__name__ == "test_sources" else some([*files])
    metafunc.parametrize(
        "conformance_cases", [ConformanceCases(files[name], allowed.keys()) for name in names], ids=names
    )


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaAnswers]:
    if importlib.util.find_spec("opa_bindings") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no OPA: `make setup` installs it")
    with OpaAnswers() as answers:
        yield answers
