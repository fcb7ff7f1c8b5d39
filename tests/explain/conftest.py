"""The policies written by hand and the Envoy that judges them, shared with the tests of enforcement."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "enforce"))
