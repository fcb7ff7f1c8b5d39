"""Predicates as Envoy's matchers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import re2
from envoy.extensions.matching.input_matchers.ip.v3.ip_pb2 import Ip
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers.predicate import (
    EXPRESSION,
    FEW,
    MAX_EXPRESSION,
    All,
    AnyOf,
    Check,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    Proto,
    Single,
    Within,
    evaluates,
    typed,
)


def to_proto(predicate: Predicate) -> Proto:
    """The predicate as Envoy's. Raises ValueError for constants, which are for the caller to resolve."""
    found = Proto()
    write(predicate, found)
    return found


def _dearness(predicate: Predicate) -> tuple[bool, int]:
    size = predicate.size
    return size >= EXPRESSION and evaluates(predicate), size


def _as_it_is(check: Check) -> Predicate:
    return check


def write(predicate: Predicate, into: Proto, reading: Callable[[Check], Predicate] = _as_it_is) -> None:
    """As `to_proto`, into an empty one: what was made by itself is copied once for each around it.

    Envoy asks parts in turn until one decides. The smallest come first, expressions behind what is no more
    than a look at a header. In the place of each check stands what `reading` makes of it.
    """
    if isinstance(predicate, Check):
        read = reading(predicate)
        if read is predicate:
            into.single_predicate.MergeFromString(predicate.single)
        else:
            write(read, into)
    elif isinstance(predicate, OneOf):
        if len(predicate.values) > FEW:
            _write_one(map(predicate.text.matches, expressions(predicate.values)), into)
        else:
            _write_one((predicate.text.equals(value) for value in sorted(predicate.values)), into)
    elif isinstance(predicate, Prefixed):
        source = predicate.text.input()
        singles = (
            Single(input=source, value_match=StringMatcher(prefix=value))
            for value in sorted(predicate.values)
        )
        _write_one(singles, into)
    elif isinstance(predicate, Within):
        into.single_predicate.CopyFrom(_within(predicate))
    elif isinstance(predicate, Not):
        write(predicate.part, into.not_matcher, reading)
    elif isinstance(predicate, All):
        for part in sorted(predicate.parts, key=_dearness):
            write(part, into.and_matcher.predicate.add(), reading)
    elif isinstance(predicate, AnyOf):
        for part in sorted(predicate.parts, key=_dearness):
            write(part, into.or_matcher.predicate.add(), reading)
    else:
        raise ValueError("a constant has no matcher")


def expressions(values: Iterable[str]) -> Iterator[str]:
    """RE2 expressions, one of which matches exactly where a text is one of the values."""
    return in_expressions(_escaped(sorted(values)), MAX_EXPRESSION)


def in_expressions(patterns: Iterable[str], most: int) -> Iterator[str]:
    """The patterns as alternatives, in as many expressions as RE2 keeps with ease: of so many characters."""
    whole: list[str] = []
    size = 0
    for each in patterns:
        if whole and size + len(each) > most:
            yield "|".join(whole)
            whole, size = [], 0
        whole.append(each)
        size += len(each) + 1
    if whole:
        yield "|".join(whole)


def _escaped(values: Sequence[str]) -> Sequence[str]:
    """The values as RE2 expressions. All in one call: data hold thousands, and most of it is the calling."""
    together = "\n".join(values)
    if together.count("\n") != len(values) - 1:
        return [str(re2.escape(value)) for value in values]
    # Characters are escaped one by one, so each line feed, and nothing else, has become this.
    return str(re2.escape(together)).split("\\\n")


def _write_one(singles: Iterable[Single], into: Proto) -> None:
    """One of the comparisons holds."""
    first, *others = singles
    if not others:
        into.single_predicate.CopyFrom(first)
        return
    for single in (first, *others):
        into.or_matcher.predicate.add().single_predicate.CopyFrom(single)


def _within(predicate: Within) -> Single:
    matcher = Ip(stat_prefix="palisade")
    for each in sorted(predicate.values):
        address, _, length = each.partition("/")
        matcher.cidr_ranges.add(address_prefix=address).prefix_len.value = int(length)
    return Single(input=predicate.text.input(), custom_match=typed("palisade.ranges", matcher))
