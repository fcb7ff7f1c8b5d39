"""Makes this folder's helpers importable, and gives tests of the watcher a policy set on disk."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from watcher_helpers import OLD


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    (folder / "identity").mkdir(parents=True)
    (folder / "identity" / "a.rego").write_text(OLD)
    (tmp_path / "palisade.yaml").write_text("policies: ./policies\n")
    return folder
