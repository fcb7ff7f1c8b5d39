"""What the tests here share, and what those of enforcement do: an Envoy, and policies written by hand."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "enforce"))
sys.path.insert(0, str(Path(__file__).parent))

from beds import bed, issuers, providers

__all__ = ["bed", "issuers", "providers"]
