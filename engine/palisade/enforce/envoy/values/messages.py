"""Texts joined of messages that a request gets or not: `concat(", ", violations)` of more of them than there
could be an answer for each set.

A filter of its own notes of each condition whether it holds; a script joins the messages of those that do.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from palisade.enforce.envoy.values.joins import Join
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.shaped import Shaped
from palisade.enforce.envoy.values.sources import ClaimSource, TextSource
from palisade.rego.records import record

Put: TypeAlias = ClaimSource | TextSource | Join | Shaped | Numeral
"""What is put into a message."""


@record()
class Message:
    """A message in parts, and the number of its condition: it stands there where that holds. One without
    parts is the engine's to tell."""

    condition: int
    parts: tuple[str | Put, ...]


@record()
class Messages:
    """The messages whose conditions hold, in turn, with `glue` between them, from `begin` to `end`."""

    members: tuple[Message, ...]
    glue: str
    begin: str = ""
    end: str = ""

    @property
    def name(self) -> str:
        """What the script calls the text."""
        said = [(each.condition, list(map(_named, each.parts))) for each in self.members]
        whole = repr((said, self.glue, self.begin, self.end))
        return f"m{hashlib.sha256(whole.encode()).hexdigest()[:12]}"

    @property
    def puts(self) -> bool:
        """Whether anything of the request is put into them."""
        parts = (part for each in self.members for part in each.parts or (None,))
        return not all(isinstance(part, str) for part in parts)


def _named(part: str | Put) -> object:
    match part:
        case str():
            return part
        case TextSource(text):
            return ["text", text.name]
        case ClaimSource(path):
            return [type(part).__name__, path]
    return [part.name]
