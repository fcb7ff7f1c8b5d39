"""What a path begins with, where its first segments are compared with constants.

`input.parsed_path[0] == "orders"; input.parsed_path[1] == "open"` is a path of `/orders/open`, or one that
begins with `/orders/open/`: both can be looked up, where a pattern for the second segment by itself would be
asked by one rule after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod

from palisade.enforce.envoy.matchers.bounds import Bounds, both, exactly
from palisade.enforce.envoy.matchers.predicate import Prefixed, any_of, one_of
from palisade.enforce.envoy.regex import paths
from palisade.enforce.envoy.values.sources import PATH_TEXT
from palisade.rego.partial.formulas.formula import Formula, In
from palisade.rego.partial.formulas.terms import Input

MOST = 64
"""So many beginnings are told by the segments of several sets."""


def begins(segments: Iterable[Sequence[str]]) -> Bounds:
    """The path has one of these first segments, all of them `paths.is_plain`; for clean paths."""
    whole = ["/" + "/".join(each) for each in segments]
    start = frozenset(f"{each}/" for each in whole)
    return exactly(any_of((one_of(PATH_TEXT, whole), Prefixed(PATH_TEXT, start))))


def conjunction(parts: Sequence[Formula], lowered: Mapping[Formula, Bounds]) -> Bounds:
    """All of the parts, lowered before; those that compare the first segments with plain constants as one."""
    asked: dict[int, tuple[Formula, Sequence[str]]] = {}
    for part in parts:
        match part.atom:
            case In(Input(("parsed_path", int(index))), values) if index not in asked:
                plain = [each for each in values if isinstance(each, str) and each and paths.is_plain(each)]
                if len(plain) == len(values):
                    asked[index] = part, plain
    count = next(index for index in range(len(asked) + 1) if index not in asked)
    first = [asked[index] for index in range(count)]
    if count < 2 or prod(len(values) for _, values in first) > MOST:
        return both(lowered[part] for part in parts)
    told = {id(part) for part, _ in first}
    begun = begins(product(*(values for _, values in first)))
    return both((begun, *(lowered[part] for part in parts if id(part) not in told)))
