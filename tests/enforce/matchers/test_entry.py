"""Rules that stand next to each other are asked together where they are within the same."""

from __future__ import annotations

from itertools import groupby

from hypothesis import example, given
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers.entry import Entry, Verdict, blocks
from palisade.enforce.envoy.matchers.predicate import YES, header_text, one_of

ASKED = (YES, *(one_of(header_text("x-a"), [each]) for each in "abc"))


@example([(0, 1), (1, 2), (2, 3)])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6))
def test_each_rule_is_asked_once_and_in_its_turn(drawn: list[tuple[int, int]]) -> None:
    """Also one that is what becomes of requests that meet none of those before it, and the only one within
    what it is: the rule behind it was lost where that asked just the same."""
    entries = [
        Entry(ASKED[asked], Verdict.DENY, f"p.rego:{number}", within=ASKED[within])
        for number, (asked, within) in enumerate(drawn)
    ]
    found: list[Entry] = []
    for within, own, end in blocks(entries):
        assert all(each.within == within for each in own)
        assert end is None or end.predicate == within
        found += [*own, *([] if end is None else [end])]
    assert found == entries
    assert len(list(blocks(entries))) <= len(list(groupby(entries, key=lambda each: each.within)))
