"""What the tests here share, and the policies written by hand for the tests of enforcement."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "enforce"))
sys.path.insert(0, str(Path(__file__).parent))
