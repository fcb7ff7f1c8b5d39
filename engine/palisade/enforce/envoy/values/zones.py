"""Time zones: how far a zone's clock is from UTC, at each moment until the end of 2039.

Envoy's expressions get the moments at which a clock is moved as constants. They are those of the time zone
database that the engine itself uses, by which it decides what lies beyond.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from cel.expr.syntax_pb2 import Expr

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import NO, Predicate, negate
from palisade.rego.builtins.times import zone_named
from palisade.rego.errors import BuiltinError

FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2040))
"""From when, and until when, clocks are known, in seconds since the epoch."""
BEYOND = "the time is beyond 2039, or before 2024"
_STEP = 12 * 3600
"""No zone moves its clock twice within so many seconds."""
_MOST = 64

Moves = tuple[tuple[int, int], ...]
"""From which second on a clock is how many seconds ahead of UTC; the first is `FIRST`."""


@lru_cache(64)
def moves(name: str) -> Moves | None:
    """When a zone's clock is moved; None where the engine knows no such zone, or it is the machine's own."""
    if name == "Local":
        return None
    try:
        zone = zone_named(name)
    except BuiltinError:
        return None
    found = [(FIRST, _ahead(zone, FIRST))]
    for second in range(FIRST + _STEP, LAST + 1, _STEP):
        ahead = _ahead(zone, second)
        if ahead != found[-1][1]:
            found.append((_first_with(zone, second - _STEP, second), ahead))
    return tuple(found) if len(found) <= _MOST else None


def _ahead(zone: tzinfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _first_with(zone: tzinfo, before: int, behind: int) -> int:
    """The first second that has the offset of `behind`, which `before` has not."""
    wanted = _ahead(zone, behind)
    while behind - before > 1:
        middle = (before + behind) // 2
        before, behind = (before, middle) if _ahead(zone, middle) == wanted else (middle, behind)
    return behind


_SECONDS = cel.call("int", cel.field(cel.name("request"), "time"))


def clock(known: Moves) -> Expr:
    """The time that the zone's clock shows, as the timestamp that it would be in UTC."""
    return cel.call("timestamp", cel.call("_+_", _SECONDS, _chosen(known)))


def _chosen(known: Moves) -> Expr:
    if len(known) == 1:
        return cel.integer(known[0][1])
    half = len(known) // 2
    earlier = cel.call("_<_", _SECONDS, cel.integer(known[half][0]))
    return cel.choice(earlier, _chosen(known[:half]), _chosen(known[half:]))


def unknown(name: str) -> Predicate:
    """The moments of which `moves` does not tell. UTC is known at all times."""
    if not name:
        return NO
    since, until = (
        cel.call("_<=_", cel.integer(FIRST), _SECONDS),
        cel.call("_<_", _SECONDS, cel.integer(LAST)),
    )
    return negate(cel.check(cel.conjunction(since, until)))
