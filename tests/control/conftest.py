"""Makes this folder's helpers importable, and gives each test a project of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from control_helpers import ALLOW, SETTINGS, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.allow.parent.mkdir(parents=True)
    project.allow.write_text(ALLOW)
    project.file.write_text(SETTINGS)
    return project
