"""Of what kind operands are wherever a builtin has an answer: most take only texts, or only numbers."""

from __future__ import annotations

from functools import cache

from palisade.rego.check.signatures import builtin_signatures
from palisade.rego.check.types import NUMBER, STRING, Simple

_OF_ANY_KIND = frozenset(
    (
        *("base64.is_valid", "json.is_valid", "net.cidr_is_valid", "regex.is_valid", "uri.is_valid"),
        *("uuid.rfc4122", "yaml.is_valid"),
    )
)
"""Builtins that are declared for texts and answer for all else, too."""

_SIMPLE = (NUMBER, STRING)


@cache
def simple_of(name: str) -> tuple[tuple[int, Simple], ...]:
    """Which operands of a builtin must be texts or numbers."""
    declared = builtin_signatures().get(name)
    args = declared.args if declared and name not in _OF_ANY_KIND else ()
    return tuple((at, each) for at, each in enumerate(args) if isinstance(each, Simple) and each in _SIMPLE)
