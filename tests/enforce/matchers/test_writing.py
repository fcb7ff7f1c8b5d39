"""What becomes of a predicate on its way to Envoy."""

from __future__ import annotations

from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import (
    OneOf,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.matchers.writing import to_proto


def test_expressions_are_asked_last() -> None:
    """Envoy asks until one part decides: a request by another method was asked for the age of its token."""
    made = cel.check(cel.equal(cel.header("x-a"), cel.header("x-b")))
    text = header_text("x-a")
    others = [negate(OneOf(text, frozenset("a"))), text_check(text, StringMatcher(suffix="b"))]
    every = to_proto(all_of((made, *others))).and_matcher.predicate
    some = to_proto(any_of((*others, made, text_check(text, StringMatcher(prefix="c"))))).or_matcher.predicate
    for parts in (every, some):
        *first, last = parts
        assert b"CelMatcher" in last.SerializeToString()
        of_headers = HttpRequestHeaderMatchInput.DESCRIPTOR.full_name.encode()
        assert all(of_headers in each.SerializeToString() for each in first)
    assert every[0].single_predicate.value_match.suffix == "b"
