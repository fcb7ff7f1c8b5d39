"""Texts joined of messages that a request gets or not: `concat(", ", violations)` of more of them than there
could be an answer for each set.

A filter of its own notes of each condition whether it holds; a script joins the messages of those that do.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from palisade.enforce.envoy.values.joins import Join
from palisade.enforce.envoy.values.lists import Listed
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.puts import Coded, Put, named
from palisade.enforce.envoy.values.shaped import Shaped
from palisade.enforce.envoy.values.written import Written
from palisade.rego.records import record


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
        said = [(each.condition, list(map(named, each.parts))) for each in self.members]
        whole = repr((said, self.glue, self.begin, self.end))
        return f"m{hashlib.sha256(whole.encode()).hexdigest()[:12]}"

    @property
    def puts(self) -> bool:
        """Whether anything of the request is put into them."""
        parts = (part for each in self.members for part in each.parts or (None,))
        return not all(isinstance(part, str) for part in parts)


Made: TypeAlias = Join | Shaped | Numeral | Written | Listed | Coded | Messages
"""What a script makes."""
