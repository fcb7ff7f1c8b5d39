"""Keys that stand twice in an object of a JSON file: OPA takes the last of them, and so does Palisade.

It is told, and is no error: a set with such a file works in OPA. In YAML, whose own rules forbid it, it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from palisade.policy.source import Source
from palisade.rego.errors import Diagnostic, Location

REPEATED_KEY: Final = "repeated_key"

MOST_TOLD: Final = 20
"""Of one file: what made it so once made it so throughout."""

_MARKS: Final = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}]')
"""Texts, of which those before a colon are keys, and where objects begin and end."""


class Objects:
    """Makes objects of the members that a parser has found, and notes where one has a key twice."""

    def __init__(self) -> None:
        self.repeated = False

    def __call__(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(members)
        if len(made) != len(members):
            self.repeated = True
        return made


def find(name: str, text: str) -> tuple[Diagnostic, ...]:
    """A warning at each key of a JSON text that stands in its object before, for the first `MOST_TOLD`.

    `text` is valid JSON. This takes ten times as long as to read it: ask where there are such keys.
    """
    source = Source(name, text, REPEATED_KEY)
    return tuple(
        source.error(
            at,
            f"duplicate key {key}",
            f"it stands in line {before} already, and the last one counts: keep one of the two",
        )
        for at, key, before in islice(_places(name, text), MOST_TOLD)
    )


def _places(name: str, text: str) -> Iterator[tuple[Location, str, int]]:
    """Where a key stands again, the key as written, and the line where it stood before."""
    objects: list[dict[str, int]] = []
    row, start = 1, 0
    for mark in _MARKS.finditer(text):
        if mark[0] == "{":
            objects.append({})
        elif mark[0] == "}":
            objects.pop()
        elif mark[2]:
            row += text.count("\n", start, mark.start())
            start = mark.start()
            key = json.loads(mark[1])
            if key in objects[-1]:
                yield Location(name, row, start - text.rfind("\n", 0, start)), mark[1], objects[-1][key]
            objects[-1][key] = row
