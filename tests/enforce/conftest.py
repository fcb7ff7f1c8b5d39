"""What the tests of enforcement share; below, they stand in folders as what they test does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from beds import bed, issuers, providers, stand

__all__ = ["bed", "issuers", "providers", "stand"]
