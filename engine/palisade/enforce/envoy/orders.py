"""Atoms on order: numbers, counts and moments against each other, and addresses in ranges."""

from __future__ import annotations

import ipaddress
from abc import abstractmethod
from collections.abc import Sequence

from palisade.enforce.envoy import hints
from palisade.enforce.envoy.atoms import Atoms
from palisade.enforce.envoy.bounds import ALWAYS, NEVER, Bounds, Reason, exactly
from palisade.enforce.envoy.claims import claim_compared
from palisade.enforce.envoy.predicate import NO, Predicate, Within
from palisade.enforce.envoy.sources import (
    ADDRESS_TEXT,
    Address,
    ClaimSource,
    Missing,
    Segment,
    TextSource,
)
from palisade.enforce.envoy.times import Moment, Now, compared, compared_with_claim, moment_of
from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import NOWHERE, BuiltinError
from palisade.rego.partial.terms import Apply, Known, Symbol

ORDER = {"lt": "_<_", "lte": "_<=_", "gt": "_>_", "gte": "_>=_"}
"""The builtins that compare by order, and what CEL calls them."""
MIRRORED = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}


class Orders(Atoms):
    """Lowers what is asked of an order."""

    @abstractmethod
    def _count(self, argument: Symbol, relation: str, numbers: Sequence[int]) -> Bounds | None:
        """How many members or characters there are, compared with any of the numbers."""

    def _uncalled(self, term: Apply) -> Bounds:
        why, hint = hints.of_call(term)
        return self._unknown(why, hint=hint)

    def _ranges(self, term: Apply) -> Bounds:
        """Whether the builtin takes the ranges, and Envoy means the same by them."""
        ranges = term.args[0]
        if not isinstance(ranges, Known):
            return self._uncalled(term)
        if _is_range(ranges) and _is_mapped(str(ranges.value)):
            return self._unknown(f"compares addresses with {ranges.value}, IPv4 written as IPv6")
        return ALWAYS if _is_range(ranges) else NEVER

    @staticmethod
    def _within(ranges: Symbol) -> Predicate:
        if not isinstance(ranges, Known) or not _is_range(ranges):
            return NO
        text = str(ranges.value)
        if "/" not in text:
            text += "/128" if ":" in text else "/32"
        return Within(ADDRESS_TEXT, frozenset((text,)))

    def _compared(self, term: Apply) -> Bounds:
        """`claim < 3` and the like, in Rego's order: null, booleans, numbers, strings, arrays, objects."""
        left, right = term.args
        name = term.name
        if isinstance(left, Known) or moment_of(right) is not None:
            left, right, name = right, left, MIRRORED[name]
        moment = moment_of(left)
        if moment is not None:
            return self._time_compared(moment, name, right) or self._uncalled(term)
        if not isinstance(right, Known) or isinstance(right.value, bool):
            return self._unknown("compares two values of the request by order", hint=hints.of_builtin(name))
        if not isinstance(right.value, int | float):
            return self._unknown("compares by an order that is not of numbers", hint=hints.of_builtin(name))
        match left, self._source(left):
            case Apply("count", (argument,)), _ if counts([right.value]):
                return self._count(argument, ORDER[name], counts([right.value])) or self._uncalled(term)
            case _, ClaimSource() as claim:
                found = claim_compared(claim, name, right.value)
                return exactly(found) if found is not None else self._uncalled(term)
            case _, (TextSource() | Segment() | Address()) as source:
                # A string is greater than any number.
                there = self._found(source)
                return there if there is not None and name in ("gt", "gte") else NEVER
            case _, Missing():
                return NEVER
        return self._unknown("compares by order what Envoy does not see", hint=hints.of_builtin(name))

    def _time_compared(self, moment: Moment, name: str, other: Symbol) -> Bounds | None:
        if isinstance(other, Known):
            return compared(moment, name, other.value)
        claim = self._source(other)
        if not isinstance(claim, ClaimSource) or not isinstance(moment, Now):
            return None
        found = compared_with_claim(moment, name, claim)
        if found is not None and not found.exact:
            self._reasons.add(
                Reason(
                    f"is for the engine where {other} is in the running second",
                    NOWHERE,
                    hints.of_doubt("running second"),
                    always=False,
                )
            )
        return found


def counts(values: Sequence[object]) -> list[int]:
    """Those of the values that a count can be."""
    return [v for v in values if isinstance(v, int) and not isinstance(v, bool) and abs(v) < 1 << 53]


def _is_range(ranges: Symbol) -> bool:
    if not isinstance(ranges, Known) or not isinstance(ranges.value, str):
        return False
    try:
        return BUILTINS["net.cidr_contains"].function(ranges.value, "10.0.0.1") is not None
    except BuiltinError:
        return False


def _is_mapped(ranges: str) -> bool:
    """To Go's net package, and so to OPA, such a range has IPv4 addresses in it; to Envoy it has none."""
    address = ipaddress.ip_address(ranges.partition("/")[0])
    return address.version == 6 and address.ipv4_mapped is not None
