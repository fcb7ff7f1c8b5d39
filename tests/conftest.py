"""What all tests share: helpers, and Hypothesis on machines whose speed nobody knows."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent / "shared"))  # what tests of several folders use
from effort import examples

# A busy machine is no fault of a strategy or of the code: only what a test finds counts, not how fast. In CI
# each run has the same examples, so a change is judged by what it changes; at a desk each run searches anew.
settings.register_profile(
    "desk", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(100)
)
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


# Trees have few cycles, and there is memory: Python looks every 700 objects, and seldom finds one in tests.
_LOOK_EVERY = 20_000


def pytest_collection_finish() -> None:
    """Has the garbage collector leave alone what lives to the end: fourteen thousand tests and all modules.
    Going through them again and again, also where an engine does it on purpose, took a sixth of the time."""
    gc.freeze()
    gc.set_threshold(_LOOK_EVERY, 10, 10)


@pytest.fixture(scope="module", autouse=True)
def nothing_of_other_modules_is_collected() -> None:
    """What the tests of a module have left stays: reports, caches, strategies. The next module's need not go
    through it with each engine that they start."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def all_of_the_sidecars_logs() -> None:
    """So that a test that fails shows what Envoy said last, stacks among it, which are told at DEBUG."""
    logging.getLogger("palisade_sidecar").setLevel(logging.DEBUG)


@pytest.fixture(scope="session", autouse=True)
def temporary_files() -> Iterator[None]:
    """A folder for temporary files that is gone at the end: a sidecar keeps its run folder there where the
    engine has not taken all of its lines, which is how many a test ends. pytest's own stay where they were,
    since longer paths would be too long for Unix sockets."""
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory(prefix="palisade-") as folder:
        if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
            patched.setenv("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        patched.setenv("TMPDIR", folder)
        patched.setattr(tempfile, "tempdir", folder)
        yield
