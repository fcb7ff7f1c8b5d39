"""Numbers of tokens in answers, `sprintf("%d", [claims.level])`, as a script writes them."""

from __future__ import annotations

import hashlib

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import Predicate, all_of
from palisade.enforce.envoy.values.claims import claim_kind
from palisade.enforce.envoy.values.sources import ClaimSource
from palisade.rego.records import record

_MOST = 2.0**53 - 1


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
