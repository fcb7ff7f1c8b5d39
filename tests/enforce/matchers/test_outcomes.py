"""Rules of many outcomes are looked up by the text that all compare, and the first of them still decides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from effort import examples
from envoy.config.rbac.v3.rbac_pb2 import Action
from hypothesis import event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.matchers import outcomes
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    OneOf,
    Predicate,
    Prefixed,
    all_of,
    any_of,
    header_text,
    negate,
    one_of,
)
from palisade.enforce.envoy.matchers.staging import MAX_BEHIND
from palisade.enforce.envoy.matchers.tree import build
from palisade.explain.sidecar.matchers import action_of
from palisade.explain.sidecar.request import Sight

HOST, METHOD, ROLE = map(header_text, ("x-host", "x-method", "x-role"))
LAST = Entry(YES, Verdict.DENY, "default")


def told(matcher: Matcher, headers: Mapping[str, str]) -> str:
    found, action = action_of(matcher, Sight(dict(headers), {}, {}, "", 0)), Action()
    assert found is not None
    assert found.typed_config.Unpack(action)
    return str(action.name)


def answering(predicate: Predicate, answer: str) -> Entry:
    return Entry(predicate, Verdict.ALLOW, answer, answer)


def test_a_table_of_answers_is_one_map() -> None:
    """Each tenant has an answer, and a remainder for the engine: one after the other was asked before."""
    rules: list[Entry] = []
    for at in range(50):
        host = one_of(HOST, [f"h{at}"])
        rules += [
            answering(all_of((host, one_of(METHOD, ["GET"]))), f"answer {at}"),
            Entry(all_of((host, one_of(ROLE, ["odd"]))), Verdict.RESIDUAL, "residual"),
        ]
    matcher = build(rules, LAST).matcher
    assert len(matcher.matcher_tree.exact_match_map.map) == 50
    assert matcher.on_no_match.HasField("action")
    assert told(matcher, {"x-host": "h7", "x-method": "GET", "x-role": "odd"}) == "answer 7"
    assert told(matcher, {"x-host": "h7", "x-method": "PUT", "x-role": "odd"}) == "residual"
    assert told(matcher, {"x-host": "h7"}) == "default"


def test_it_is_looked_up_by_what_leaves_the_fewest() -> None:
    """Though all compare the method, too."""
    rules = [answering(all_of((one_of(METHOD, ["GET"]), one_of(HOST, [f"h{n}"]))), str(n)) for n in range(9)]
    assert set(build(rules, LAST).matcher.matcher_tree.exact_match_map.map) == {f"h{n}" for n in range(9)}


def test_a_table_of_prefixes_is_one_map() -> None:
    """Of routes each leads elsewhere; the first whose prefix a path has counts, not the longest."""
    begins = ["/c/d/e", "/a", "/c", "/b", "/c/d", "/"]
    matcher = build([answering(Prefixed(HOST, frozenset((n,))), n) for n in begins], LAST).matcher
    assert set(matcher.matcher_tree.prefix_match_map.map) == set(begins)
    wanted = {"/c/d/x": "/c", "/c/d/e/f": "/c/d/e", "/b/a": "/b", "/x": "/", "x": "default"}
    assert {path: told(matcher, {"x-host": path}) for path in wanted} == wanted


def test_prefixes_of_prefixes_are_asked_in_turn() -> None:
    """Else all shorter ones would stand below each."""
    begins = ["/" + "a" * at for at in range(60)]
    matcher = build([answering(Prefixed(HOST, frozenset((n,))), n) for n in begins[::-1]], LAST).matcher
    assert len(matcher.matcher_list.matchers) == 60
    assert told(matcher, {"x-host": "/aaab"}) == "/aaa"


def test_many_outcomes_below_one_constant_nest_no_deeper_than_protobuf_reads() -> None:
    """Each may be a look-up of its own, and each look-up stands in the one before."""
    sets = [one_of(header_text(f"x-{n}"), [f"{n}{at}" for at in range(8)]) for n in range(8 * MAX_BEHIND)]
    rules = [answering(all_of((one_of(HOST, ["a", "b"]), each)), str(n)) for n, each in enumerate(sets)]
    matcher = build(rules, LAST).matcher
    copy = Matcher()
    copy.ParseFromString(matcher.SerializeToString())  # raises beyond 100 levels
    for at in range(len(sets)):
        assert told(copy, {"x-host": "b", f"x-{at}": f"{at}3"}) == str(at)


_some = {text: st.frozensets(st.sampled_from("abc"), min_size=1) for text in (HOST, METHOD, ROLE)}
_begun = st.builds(Prefixed, st.just(HOST), st.frozensets(st.sampled_from(("a", "ab", "b", "")), min_size=1))
_tests = st.one_of(_begun, *(st.builds(OneOf, st.just(text), values) for text, values in _some.items()))
_left = st.lists(_tests, max_size=2).map(all_of) | st.lists(_tests, min_size=1, max_size=3).map(any_of)
_host = st.builds(OneOf, st.just(HOST), _some[HOST])
_asked = st.tuples(_host | _begun | _tests, _left | _left.map(negate)).map(all_of)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.tuples(_asked, st.sampled_from("ABCDEF"), st.booleans()), min_size=1, max_size=9),
    st.sampled_from([0, 1, 4]),
    st.sampled_from([0, 4, outcomes.MOST_WRITTEN]),
    st.lists(
        st.tuples(*[st.sampled_from(["", "a", "ab", "abc", "b", "c", "d"])] * 3), min_size=1, max_size=9
    ),
    st.sampled_from([0, 1, 8]),
)
def test_the_first_that_a_request_meets_decides(
    rules: list[tuple[Predicate, str, bool]],
    linear: int,
    written: int,
    requests: list[tuple[str, str, str]],
    copies: int,
) -> None:
    """However many outcomes there are, and whatever is left below a constant."""
    entries = [answering(each, f"{name}{'!' if loud else ''}") for each, name, loud in rules]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(outcomes, "MOST_WRITTEN", written)
        patched.setattr(outcomes, "MOST_COPIES", copies)
        matcher = build(entries, LAST, linear=linear).matcher
    event("a map" if matcher.HasField("matcher_tree") else "a list")
    for values in requests:
        headers = {
            f"x-{n}": value for n, value in zip(("host", "method", "role"), values, strict=True) if value
        }
        first = next((each.name for each in entries if _holds(each.predicate, headers)), LAST.name)
        assert told(matcher, headers) == first


def _holds(predicate: Predicate, headers: Mapping[str, str]) -> bool:
    """By a list of that rule alone, which no look-up is made of."""
    return told(build([answering(predicate, "yes")], LAST, linear=99).matcher, headers) == "yes"
