"""What all tests share: helpers, and Hypothesis on machines whose speed nobody knows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent / "shared"))  # what tests of several folders use

# A busy machine is no fault of a strategy or of the code: only what a test finds counts, not how fast. In CI
# each run has the same examples, so a change is judged by what it changes; at a desk each run searches anew.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
