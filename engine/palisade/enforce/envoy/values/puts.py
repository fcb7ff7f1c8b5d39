"""What is put into answers of what a request brings, and texts that are encoded of that as a whole:
`urlquery.encode(sprintf("https://%s%s", [http.host, http.path]))`, or the Base64 of claims in JSON.

No filter of Envoy's encodes a text but a script's. Whatever stands in it, the encoded one is of letters,
digits and signs that headers and JSON have as they are.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias, Union

from palisade.enforce.envoy.values.joins import Join
from palisade.enforce.envoy.values.lists import Listed
from palisade.enforce.envoy.values.numerals import Numeral
from palisade.enforce.envoy.values.shaped import Shaped
from palisade.enforce.envoy.values.sources import ClaimSource, TextSource
from palisade.enforce.envoy.values.written import Written
from palisade.rego.records import record

Put: TypeAlias = Union[ClaimSource, TextSource, Join, Shaped, Numeral, Written, Listed, "Coded"]
"""What is put into an answer, or into a text of it."""

CODES = ("urlquery.encode", "base64.encode", "base64url.encode", "base64url.encode_no_pad", "hex.encode")
"""The builtins that encode."""


@record()
class Coded:
    """The parts, one behind the other, encoded by one of `CODES`."""

    parts: tuple[str | Put, ...]
    code: str

    @property
    def name(self) -> str:
        """What the script calls the text."""
        said = [*map(named, self.parts)], self.code
        return f"c{hashlib.sha256(repr(said).encode()).hexdigest()[:12]}"


def named(part: str | Put) -> object:
    """What tells a part of a text from others."""
    match part:
        case str():
            return part
        case TextSource(text):
            return ["text", text.name]
        case ClaimSource(path):
            return [type(part).__name__, path]
    return [part.name]
