"""What a list of rules is made before it is written for Envoy: look-ups and lists in turn, behind gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from palisade.enforce.envoy.matchers.entry import Entry
from palisade.enforce.envoy.matchers.predicate import Predicate, Text
from palisade.enforce.envoy.matchers.together import MOST, NARROWER, gates
from palisade.rego.records import record


@record()
class Lookup:
    """Rules by what a text is, or with `prefixes` by what it begins with."""

    text: Text
    prefixes: bool
    table: dict[str, list[Entry]]


@record()
class Gate:
    """Rules of which a request meets none where it does not meet the predicate."""

    predicate: Predicate
    stages: Sequence[Stage]
    end: Entry | None = None
    """What becomes of requests that meet it and none of the rules; without it Envoy goes on behind."""


Stage: TypeAlias = Lookup | Sequence[Entry | Gate]
"""A look-up by a text, or rules to try one by one."""


def gated(entries: Sequence[Entry], most: int = MOST) -> Sequence[Entry | Gate]:
    """Rules that do the same, of which many are behind a gate, and behind that behind narrower ones."""
    found: list[Entry | Gate] = []
    for gate, places in gates([entry.predicate for entry in entries], most):
        if gate is not None and most < MOST and len(places) == len(entries):
            return gated(entries, most // NARROWER)  # the gate before these asks the same
        own = [entries[at] for at in places]
        found += own if gate is None else [Gate(gate, [gated(own, most // NARROWER)])]
    return found
