"""Rules ask no more than those before them leave open, and decide as they did; so do those within a doubt."""

from __future__ import annotations

from collections.abc import Sequence

from drawn_predicates import CHECKS, DENIED, TEXTS, State, holds, some_predicates, states
from effort import examples
from envoy.config.rbac.v3.rbac_pb2 import Action
from hypothesis import event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers.behind import behind_others
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    OneOf,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.matchers.tree import build
from palisade.explain.sidecar.matchers import action_of
from palisade.explain.sidecar.request import Sight

_rules = st.lists(st.tuples(some_predicates, st.sampled_from(Verdict)), min_size=2, max_size=6)


def _decided(entries: Sequence[Entry], state: State) -> Entry:
    return next((entry for entry in entries if holds(entry.predicate, state)), DENIED)


@settings(max_examples=examples(300), deadline=None)
@given(_rules, st.lists(states, min_size=1))
def test_a_request_comes_to_the_rule_that_it_came_to(
    rules: list[tuple[object, Verdict]], states: list[State]
) -> None:
    """By its name, too, which is what the decision log tells."""
    entries = [Entry(each, verdict, str(at)) for at, (each, verdict) in enumerate(rules)]  # type: ignore[arg-type]
    entries += [entries[0].under(any_of((entries[0].predicate, entries[1].predicate))), entries[0]]
    found = list(behind_others(entries))
    before, after = (sum(each.predicate.size for each in some) for some in (entries, found))
    event("smaller" if after < before else "as it was")
    for state in states:
        assert _decided(found, state).name == _decided(entries, state).name


def test_what_those_before_asked_is_not_asked_again() -> None:
    """A rule that Envoy decides but for some requests stands there twice, and the second asked all again."""
    long = all_of((*CHECKS, OneOf(TEXTS[0], frozenset("ab"))))
    residual = Entry(long, Verdict.RESIDUAL, "residual")
    allow = Entry(any_of((long, all_of((CHECKS[0], OneOf(TEXTS[1], frozenset("c")))))), Verdict.ALLOW, "one")
    again = Entry(long, Verdict.ALLOW, "two")
    first, second, third = behind_others([residual, allow, again])
    assert first is residual
    assert second.predicate == all_of((CHECKS[0], OneOf(TEXTS[1], frozenset("c"))))
    assert third.predicate == NO


def test_what_a_gate_asks_stays_what_it_asks() -> None:
    """Else the doubt would be asked once before the rules within it, and once more behind them."""
    doubt = any_of((CHECKS[0], *(all_of((CHECKS[1], OneOf(TEXTS[0], frozenset(each)))) for each in "abc")))
    found = behind_others(
        [
            Entry(CHECKS[0], Verdict.RESIDUAL, "residual"),
            Entry(all_of((doubt, CHECKS[2])), Verdict.DENY, "refused", within=doubt),
            Entry(doubt, Verdict.RESIDUAL, "residual"),
            Entry(doubt, Verdict.ALLOW, "allow"),
        ]
    )
    assert [each.predicate == doubt for each in found] == [False, False, True, False]


def test_of_rules_that_ask_the_same_the_first_is_told() -> None:
    [first] = behind_others([Entry(CHECKS[0], Verdict.ALLOW, name) for name in "ab"])
    assert first.name == "a"


# Within a doubt -------------------------------------------------------------------------------------------

DOUBT, SAID = header_text("x-doubt"), header_text("x-said")
_doubt = OneOf(DOUBT, frozenset("yz"))


def _name(entries: Sequence[Entry], last: Entry, headers: dict[str, str]) -> str:
    found, action = action_of(build(entries, last).matcher, Sight(headers, {}, {}, "", 0)), Action()
    assert found is not None
    assert found.typed_config.Unpack(action)
    return str(action.name)


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("yz"), st.sampled_from("abc"), st.sampled_from(Verdict)), max_size=5),
    st.booleans(),
    st.fixed_dictionaries(
        {}, optional={"x-doubt": st.sampled_from("xyz"), "x-said": st.sampled_from("abcd")}
    ),
)
def test_rules_within_a_doubt_decide_as_those_that_ask_for_it(
    rules: list[tuple[str, str, Verdict]], doubted: bool, headers: dict[str, str]
) -> None:
    """With the doubt as a rule behind them, and without one."""
    flat = [
        Entry(all_of((OneOf(DOUBT, frozenset(doubt)), OneOf(SAID, frozenset(said)))), verdict, verdict.value)
        for doubt, said, verdict in rules
    ]
    behind = [Entry(_doubt, Verdict.RESIDUAL, "residual")] if doubted else []
    behind.append(Entry(negate(OneOf(SAID, frozenset("d"))), Verdict.ALLOW, "allow"))
    within = [Entry(each.predicate, each.verdict, each.name, within=_doubt) for each in flat]
    last = Entry(NO, Verdict.DENY, "deny")
    assert _name([*within, *behind], last, headers) == _name([*flat, *behind], last, headers)


def test_a_request_without_the_doubt_is_asked_for_nothing_else() -> None:
    """Each request with a good token was asked what makes a bad one, two expressions of it."""
    bad = text_check(SAID, StringMatcher(contains="bad"))
    entries = [
        Entry(all_of((_doubt, bad)), Verdict.DENY, "refused", within=_doubt),
        Entry(_doubt, Verdict.RESIDUAL, "residual"),
        Entry(text_check(SAID, StringMatcher(suffix="x")), Verdict.ALLOW, "allow"),
    ]
    matchers = build(entries, Entry(NO, Verdict.DENY, "deny")).matcher.matcher_list.matchers
    gate, allow = matchers
    assert "bad" not in str(gate.predicate)
    assert "bad" in str(gate.on_match.matcher)
    assert "residual" in str(gate.on_match.matcher.on_no_match.action)
    assert "x-said" in str(allow.predicate)


def test_of_rules_that_never_hold_nothing_is_asked() -> None:
    """Envoy takes no matcher without anything in it, and would refuse the whole revision."""
    some, others = OneOf(SAID, frozenset("abc")), OneOf(SAID, frozenset("def"))
    never = all_of((any_of((some, others)), negate(some), negate(others)))
    refused = Entry(never, Verdict.DENY, "refused", within=_doubt)
    allow, last = Entry(OneOf(SAID, frozenset("x")), Verdict.ALLOW, "allow"), Entry(NO, Verdict.DENY, "deny")
    for behind in ([Entry(_doubt, Verdict.RESIDUAL, "residual"), allow], [allow]):
        matchers = build([refused, *behind], last).matcher.matcher_list.matchers
        assert len(matchers) == len(behind)
        assert all(each.on_match.HasField("action") for each in matchers)
