"""The headers by which a caller asks why, and is told.

Neither is for the function: what asks is taken out of the request before it gets there, and what the function
answers under the name of the other is taken out of its answer, so that what arrives is the engine's.
"""

from __future__ import annotations

ASK_HEADER = "x-palisade-explain"
"""`true` asks. No policy sees it, so that asking changes no decision."""

ANSWER_HEADER = "x-palisade-explanation"
"""The explanation in a sentence, percent-encoded where it is not printable ASCII."""
