"""Numbers of tokens in answers, `sprintf("%d", [claims.level])`, as a script writes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Known, Symbol
from palisade.rego.records import record

_MOST = 2.0**53 - 1
_VERBS = re.compile("%([svd])")


@record()
class Numeral:
    """A claim that is a number, in decimal digits."""

    base: ClaimSource

    @property
    def name(self) -> str:
        """What the script calls the text."""
        return f"n{hashlib.sha256(repr(self.base).encode()).hexdigest()[:12]}"

    @property
    def plain(self) -> Predicate:
        """It is a whole number, not negative, that is told from those beside it."""
        expr = self.base.expr
        there = cel.conjunction(
            cel.call("_<=_", cel.double(0), expr),
            cel.call("_<=_", expr, cel.double(_MOST)),
            cel.equal(cel.call("double", cel.call("int", expr)), expr),
        )
        return all_of((claim_kind(self.base, "number"), cel.check(there)))


def verbs_of(symbol: Symbol) -> list[tuple[str, str | Symbol]] | None:
    """The parts of a text that `sprintf` makes with `%d` among its verbs: of each its verb, and what that
    writes; constants have none. None for other texts."""
    match symbol:
        case Apply("sprintf", (Known(str(form)), ArrayOf(items))) if "%d" in form:
            return _parts(form, iter(items), len(items))
    return None


def _parts(form: str, items: Iterator[Symbol], count: int) -> list[tuple[str, str | Symbol]] | None:
    chunks = _VERBS.split(form.replace("%%", "\0"))
    if "\0" in form or len(chunks) != 2 * count + 1 or any("%" in each for each in chunks[::2]):
        return None
    found: list[tuple[str, str | Symbol]] = [("", chunks[0].replace("\0", "%"))]
    for verb, chunk, item in zip(chunks[1::2], chunks[2::2], items, strict=True):
        if not isinstance(item, Known):
            found.append((verb, item))
        elif (verb == "d" and type(item.value) is int) or (verb != "d" and isinstance(item.value, str)):
            found.append(("", str(item.value)))
        else:
            return None
        found.append(("", chunk.replace("\0", "%")))
    return found
