"""What all tests share: Hypothesis on machines whose speed nobody knows."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no fault of a strategy or of the code: only what a test finds counts, not how fast.
settings.register_profile("palisade", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("palisade")
