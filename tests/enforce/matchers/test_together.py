"""Alternatives joined to one expression hold of the same requests, and cost the same however many."""

from __future__ import annotations

import pytest
from effort import examples
from envoy.config.rbac.v3.rbac_pb2 import Action
from envoy.type.matcher.v3.value_pb2 import ListMatcher, ValueMatcher
from hypothesis import event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers import together
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    FEW,
    YES,
    Constant,
    OneOf,
    Predicate,
    Prefixed,
    Single,
    Within,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.matchers.together import Joining, joined
from palisade.enforce.envoy.matchers.tree import build
from palisade.enforce.envoy.matchers.writing import to_proto
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.regex.patterns import regex, search
from palisade.enforce.envoy.values.claims import claim_matches
from palisade.enforce.envoy.values.sources import ADDRESS_TEXT, JWT_AUTHN, ClaimSource, state_text
from palisade.explain.sidecar.matchers import action_of, holds
from palisade.explain.sidecar.request import Sight

TEXTS = (header_text("x-one"), header_text("x-two"), state_text("three"))
CLAIM = ClaimSource(("main", "name"))
WORDS = ("a", "b", "ab", "ba", "a.", "(a", "a|b", "ü", "aü", "a\\", "[", "a\nb", "")
WHOLE = (
    "a",
    "ab?",
    "a|b",
    "[ab]+c",
    "(?i)a",
    "(?s)a.b",
    "(?s)(?:a[^b]*)",
    "(?:(?s)a.b)",
    ".*a",
    "(?s).*b",
    "(?:a|ab)b*",
    "(?s).*(?:A|a)(?:B|b).*",
    r"(?s).*(?:A|a)\.",
    r"(?s).*(?:B|b|\x{fc})(?:A|a|ü).*",
)
FOUND = (
    "^a",
    "a$",
    "^a|b",
    "a",
    "^ab$",
    "^(?:a|b)c",
    "^[ab]+$",
    "(?i)^a",
    "^a{2,3}$",
    r"^\Qa.\E",
    "^(?P<x>a)b",
)

_matchers = st.one_of(
    st.builds(
        lambda kind, word, fold: StringMatcher(**{kind: word or "a"}, ignore_case=fold),
        st.sampled_from(("exact", "prefix", "suffix", "contains")),
        st.sampled_from(WORDS),
        st.integers(0, 9).map(lambda n: n == 0),
    ),
    st.sampled_from(WHOLE).map(regex),
    st.sampled_from(FOUND).map(search).map(regex),
)


def _member(matcher: StringMatcher) -> Predicate:
    """Some member of a claim is a string that the matcher takes."""
    value = ValueMatcher()
    value.string_match.ParseFromString(matcher.SerializeToString())
    return CLAIM.check(ValueMatcher(list_match=ListMatcher(one_of=value)))


def _claim(matcher: StringMatcher) -> Predicate:
    found = claim_matches(CLAIM, matcher)
    assert found is not None
    return found


_texts = st.sampled_from(TEXTS)
_values = st.frozensets(st.sampled_from(WORDS[:-1]), min_size=1, max_size=3)
_leaves = st.one_of(
    st.builds(text_check, _texts, _matchers),
    st.builds(_claim, _matchers),
    st.builds(_member, _matchers),
    st.builds(OneOf, _texts, _values),
    st.builds(Prefixed, _texts, _values),
    st.frozensets(st.sampled_from(("10.0.0.0/8", "10.1.0.0/16", "::1/128")), min_size=1).map(
        lambda found: Within(ADDRESS_TEXT, found)
    ),
)
_rests = st.sampled_from(
    (
        YES,
        OneOf(TEXTS[1], frozenset("a")),
        negate(text_check(TEXTS[0], regex("[:/]+"))),
        negate(any_of((negate(OneOf(TEXTS[1], frozenset("ab"))), text_check(TEXTS[0], regex("ab"))))),
    )
)
_parts = st.builds(
    lambda leaf, rest, other: all_of((leaf, rest) if other is None else (leaf, rest, any_of(other))),
    _leaves,
    _rests,
    st.one_of(st.none(), st.lists(_leaves, min_size=1, max_size=2)),
)
_said = st.sampled_from((*WORDS, "abc", "aab", "A", "aXb", "cb", "a.c", "b\na", "aaa"))
_sights = st.builds(
    lambda one, two, three, claim, address: Sight(
        {} if one is None else {"x-one": one} | ({} if two is None else {"x-two": two}),
        {JWT_AUTHN: {"main": {"name": claim}}},
        {} if three is None else {"three": three},
        address,
        0,
    ),
    *[st.one_of(st.none(), _said)] * 3,
    st.one_of(_said, st.lists(_said, max_size=2), st.just(1.0)),
    st.sampled_from(("10.1.0.1", "10.2.0.1", "11.0.0.1", "::1")),
)


def _holds(predicate: Predicate, seen: Sight) -> bool:
    return predicate.value if isinstance(predicate, Constant) else holds(to_proto(predicate), seen)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(_parts, min_size=FEW + 1, max_size=12), st.lists(_sights, min_size=1, max_size=4))
def test_what_is_joined_holds_of_the_same_requests(parts: list[Predicate], seen: list[Sight]) -> None:
    """Joined wherever two are of one text, the whole must mean what it did; so within predicates."""
    few, together.FEW = together.FEW, 1  # type: ignore[attr-defined]
    try:
        fewer = joined(parts)
        whole = all_of((negate(any_of(parts[::2])), any_of(parts)))
        less = Joining().of(whole)
    finally:
        together.FEW = few  # type: ignore[attr-defined]
    event("joined" if len(fewer) < len(parts) else "left alone")
    for each in seen:
        assert _holds(any_of(fewer), each) is _holds(any_of(parts), each)
        assert _holds(less, each) is _holds(whole, each)


def _comparisons(matcher: Matcher) -> int:
    """How many comparisons there are in the list."""
    return str(matcher).count("single_predicate")


@pytest.mark.parametrize(
    "rule",
    [
        lambda n: text_check(TEXTS[0], regex(f"(?s)(?:/a{n}/[^/]*/b)")),
        lambda n: text_check(TEXTS[0], regex(search(f"^/a{n}/[0-9]+$"))),
        lambda n: text_check(TEXTS[0], regex(rf"(?:(?s)(?:[^\x{{2e}}]*\.svc{n}\.example))")),
        lambda n: text_check(TEXTS[0], StringMatcher(contains=f"w{n}x")),
        lambda n: text_check(TEXTS[0], regex(rf"(?s).*(?:W|w){n}\/.*")),
        lambda n: text_check(TEXTS[0], regex(rf"(?s).*\.(?:E|e){n}")),
        lambda n: all_of((text_check(TEXTS[0], StringMatcher(suffix=f".e{n}")), negate(TEXT_IS_A))),
        lambda n: _member(StringMatcher(prefix=f"p{n}-")),
        lambda n: all_of((Within(ADDRESS_TEXT, frozenset((f"10.{n // 256}.{n % 256}.0/24",))), TEXT_IS_A)),
        lambda n: negate(any_of((negate(text_check(TEXTS[0], regex(f"/a{n}/.*"))), negate(TEXT_IS_A)))),
    ],
)
def test_many_cost_a_request_what_few_do(rule: object) -> None:
    """A thousand alternatives were a thousand comparisons, of a tenth of a microsecond or more each."""
    assert callable(rule)

    def cost(count: int) -> int:
        entries = [Entry(rule(n), Verdict.ALLOW, "rule") for n in range(count)]
        return _comparisons(build(entries, Entry(YES, Verdict.DENY, "")).matcher)

    assert cost(256) < 10
    assert cost(1000) <= 4 * max(3, cost(256))


@pytest.mark.parametrize("open_end", [True, False])
def test_what_is_looked_for_anywhere_has_one_open_beginning(open_end: bool) -> None:
    """With one for each, RE2 kept a state for every set of those that were found: a path of 58 kB made of
    5,000 constants took 0.8 to 2 s of Envoy, each time it came."""
    kind = "contains" if open_end else "suffix"
    plain = [text_check(TEXTS[0], StringMatcher(**{kind: f"w{n}x"})) for n in range(40)]
    folded = [text_check(TEXTS[0], regex(rf"(?s).*(?:W|w){n}x{'.*' * open_end}")) for n in range(40)]
    (found,) = joined([*plain, *folded])
    expression = Single.FromString(found.single).value_match.safe_regex.regex  # type: ignore[union-attr]
    assert expression.startswith("(?s:.*)(?:w0x|")
    assert expression.count("(?s:.*)") == 1 + open_end


def test_what_would_have_too_many_states_is_left_alone() -> None:
    """Found anywhere, each of many expressions may have begun at each place: RE2 would need too much."""
    parts = [text_check(TEXTS[0], regex(search(f"a{n}[a-z]+b"))) for n in range(50)]
    assert joined(parts) == parts


def test_an_expression_is_never_longer_than_re2_keeps() -> None:
    parts = [text_check(TEXTS[0], regex(f"/{n}{'x' * 100}/[^/]*")) for n in range(500)]
    for each in any_of(joined(parts)).parts:  # type: ignore[union-attr]
        assert len(each.single) < together.MOST + 500


TEXT_IS_A = text_check(TEXTS[1], patterns.regex("a"))


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(_parts, min_size=3, max_size=12), st.lists(_sights, min_size=1, max_size=4))
def test_rules_of_different_names_decide_as_in_turn(parts: list[Predicate], seen: list[Sight]) -> None:
    """A gate before many leads to those of them that hold, and else to what comes behind it."""
    verdicts = (Verdict.ALLOW, Verdict.ALLOW, Verdict.RESIDUAL)
    entries = [
        Entry(part, verdicts[at // 4], f"{verdicts[at // 4].value} {at}") for at, part in enumerate(parts)
    ]
    last = Entry(YES, Verdict.DENY, "deny")
    kept = together.MANY, together.FEW  # type: ignore[attr-defined]
    together.MANY = together.FEW = 1  # type: ignore[attr-defined]
    try:
        matcher = build(entries, last).matcher
    finally:
        together.MANY, together.FEW = kept  # type: ignore[attr-defined]
    event("behind a gate" if "on_match {\n      matcher {" in str(matcher) else "no gate")
    for each in seen:
        expected = next((entry for entry in entries if _holds(entry.predicate, each)), last)
        found = action_of(matcher, each)
        action = Action()
        assert found is not None
        assert found.typed_config.Unpack(action)
        assert action.name.partition(" ")[0] == expected.verdict.value
        assert action.name == "deny" or _holds(entries[int(action.name.split()[1])].predicate, each)


def test_many_rules_of_different_names_are_behind_a_gate() -> None:
    """A request that meets none of a thousand was compared with each."""
    entries = [
        Entry(all_of((text_check(TEXTS[0], regex(f"/a{n}/[^/]*/b")), TEXT_IS_A)), Verdict.ALLOW, f"rule {n}")
        for n in range(1000)
    ]
    matcher = build(entries, Entry(YES, Verdict.DENY, "")).matcher
    assert len(matcher.matcher_list.matchers) < 10
