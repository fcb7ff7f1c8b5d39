"""What sidecars hand on twice, as they did not learn that it was written: it stands in the log already.

An engine that was killed has left that in its log, by the ids of decisions. One that still runs knows it by
the batches: a sidecar whose Envoy was killed, or the next one in its place, begins where the last batch did,
and sends that and what has come since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from palisade.decide.event import UNANSWERED, Decider
from palisade.decide.times import nanoseconds

_BATCHES = 1 << 14
"""Batches that are remembered, some 300 bytes each. A sidecar sends ten a second at most, but where it has
much to hand on."""

_SPOOLS = 1 << 14
"""Spools of sidecars whose reports of lines given up are remembered."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The decisions of sidecars that stood in the log at the start: their ids, and when the latest of these
    requests started, by the clocks of sidecars, in nanoseconds since the epoch."""

    ids: frozenset[str] = frozenset()
    latest: int = -1


def earlier(lines: Iterable[bytes]) -> Earlier:
    """What lines of the log tell. Those that are none are passed over: the half that a kill has left, too."""
    ids: set[str] = set()
    latest = -1
    for line in lines:
        entry = _entry(line)
        if entry is None or not _is_of_a_sidecar(entry):
            continue
        try:
            latest = max(latest, nanoseconds(str(entry.get("timestamp"))))
        except ValueError:  # it is no entry of an engine's
            continue
        ids.add(str(entry.get("decision_id")))
    return Earlier(frozenset(ids), latest)


def without_standing(lines: Sequence[bytes], standing: Iterable[bytes]) -> list[bytes]:
    """The entries that do not stand in a log, by their ids. That a sidecar did not hear an answer is an entry
    of its own, with the same id."""
    entries = {str(entry["decision_id"]): line for line in lines if (entry := _entry(line)) is not None}
    for line in standing if entries else ():
        entry = _entry(line)
        error = entry.get("error") if entry is not None else None
        if entry is not None and not (isinstance(error, dict) and error.get("code") == UNANSWERED):
            entries.pop(str(entry.get("decision_id")), None)
    return list(entries.values())


def _entry(line: bytes) -> Mapping[str, Any] | None:
    for loads in (orjson.loads, json.loads):  # the latter reads halves of surrogate pairs, too
        try:
            entry = loads(line)
        except ValueError:
            continue
        return entry if isinstance(entry, dict) else None
    return None


def _is_of_a_sidecar(entry: Mapping[str, Any]) -> bool:
    """Not what the engine recorded of its own answer: where the sidecar did not hear it, its line is news."""
    extension, error = entry.get("palisade"), entry.get("error")
    if not isinstance(extension, dict):
        return False
    if extension.get("decider") != Decider.RESIDUAL:
        return True
    return isinstance(error, dict) and error.get("code") == UNANSWERED


class Batches:
    """The batches that were taken since the start, by their first lines. The oldest are forgotten."""

    def __init__(self, most: int = _BATCHES) -> None:
        self._most = most
        self._taken: dict[tuple[str, bytes], tuple[int, bytes]] = {}

    def take(self, function: str, content: bytes) -> int:
        """Takes a batch, whose lines all end; how many of its lines were taken before."""
        key = function, _digest(content[: content.find(b"\n") + 1])
        size, digest = self._taken.pop(key, (0, b""))
        known = size if size and digest == _digest(content[:size]) else 0
        self._taken[key] = len(content), _digest(content)
        if len(self._taken) > self._most:
            del self._taken[next(iter(self._taken))]
        return content.count(b"\n", 0, known)


class GivenUp:
    """What sidecars say of lines that they gave up, under names that they keep over kills.

    A report that comes again, as its answer was not heard, adds nothing. The names that were heard of longest
    ago are forgotten.
    """

    def __init__(self, most: int = _SPOOLS) -> None:
        self._most = most
        self._known: dict[tuple[str, str], int] = {}

    def take(self, function: str, name: str, told: int, count: int) -> int:
        """How many of the `count` lines are news. Of the first `told` an engine is known to know."""
        key = function, name
        known = max(told, self._known.pop(key, 0))
        self._known[key] = max(known, count)
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return max(0, count - known)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
