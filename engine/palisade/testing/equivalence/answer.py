"""What comes back from Envoy, whatever protocol carried it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The names of headers are in lower case; repeated ones are joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RefusedError(ConnectionError):
    """Envoy refused the request, without an answer and for good."""


def joined(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values by their names in lower case, repeated ones joined by commas."""
    found: dict[str, str] = {}
    for name, value in fields:
        name = name.lower()
        found[name] = f"{found[name]},{value}" if name in found else value
    return found
