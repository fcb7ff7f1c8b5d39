"""Requests that two policy sets decide differently, found without traffic, the smallest first.

    report = search(old, new, function, examples=20_000)
    for each in report.differences:
        print(*lines(each), sep="\\n")

Requests are drawn as for `palisade.testing.equivalence`, near to the constants of both sets, and aimed at the
conditions that only one of them has (`changes`). Both reference evaluators decide each on the input that a
sidecar would deliver (`delivery`). Finding none is no proof. Needs the extra `palisade[verify]`.
"""

from palisade.testing.differences.search import Difference, Report, search
from palisade.testing.differences.sides import Outcome
from palisade.testing.differences.telling import as_json, lines

__all__ = ["Difference", "Outcome", "Report", "as_json", "lines", "search"]
