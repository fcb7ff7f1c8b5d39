"""Makes this folder's helpers importable, and gives each test a project of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from control_helpers import ALLOW, SETTINGS, Project

from palisade.enforce.envoy import compile as compiling
from palisade.enforce.envoy.matchers import dealing
from palisade.rego.builtins import http_ahead


@pytest.fixture
def answers_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What policies fetch by `http.send` is asked ahead where it stands for seconds, too, and not minutes."""
    monkeypatch.setattr(http_ahead, "LEAST_SECONDS", 1)


@pytest.fixture(autouse=True)
def patient_sidecars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sidecar denies after two seconds without an answer. Here the engine shares its thread with the test,
    and one that reads thousands of rules may be late on a busy machine."""
    monkeypatch.setattr(compiling, "RESIDUAL_SECONDS", 30)


@pytest.fixture
def parts_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision is in parts from five hundred rules on, and not from a thousand: to compile them again and
    again is most of what such a test takes."""
    monkeypatch.setattr(dealing, "WORTH", 500)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.allow.parent.mkdir(parents=True)
    project.allow.write_text(ALLOW)
    project.file.write_text(SETTINGS)
    return project
