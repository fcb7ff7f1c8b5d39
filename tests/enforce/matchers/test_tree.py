"""Rules become maps: few look-ups for any number of rules, and no rule lost on the way."""

from __future__ import annotations

import pytest
import re2
from envoy.config.rbac.v3.rbac_pb2 import Action
from hypothesis import given
from hypothesis import strategies as st
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers import entry
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    YES,
    AnyOf,
    Check,
    OneOf,
    Prefixed,
    Within,
    all_of,
    any_of,
    header_text,
    negate,
    one_of,
    text_check,
)
from palisade.enforce.envoy.matchers.tree import build
from palisade.enforce.envoy.matchers.writing import expressions, to_proto
from palisade.enforce.envoy.values.sources import ADDRESS_TEXT, PATH_TEXT, claim_text
from palisade.explain.sidecar.matchers import action_of, holds
from palisade.explain.sidecar.request import Sight

METHOD = header_text(":method")
DENY = Entry(YES, Verdict.DENY, "default")


def rule(*parts: object, name: str = "r", verdict: Verdict = Verdict.ALLOW) -> Entry:
    return Entry(all_of(parts), verdict, name)  # type: ignore[arg-type]


def check(text: str) -> Check:
    return text_check(PATH_TEXT, StringMatcher(suffix=text))


def test_many_constants_are_one_map() -> None:
    """Ten thousand rules on the path are one look-up and then nothing."""
    rules = [rule(one_of(METHOD, ["GET"]), one_of(PATH_TEXT, [f"/{n}"]), name=str(n)) for n in range(1000)]
    tree = build(rules, DENY).matcher
    top = tree.matcher_tree.exact_match_map.map
    assert set(top) == {"GET"} or len(top) == 1000
    inner = top["GET"].matcher.matcher_tree.exact_match_map.map if "GET" in top else top
    assert len(inner) == 1000
    assert tree.on_no_match.HasField("action")


def test_few_constants_are_compared_in_turn() -> None:
    """A map for two values costs more than it saves."""
    tree = build([rule(one_of(PATH_TEXT, ["/a", "/b"]))], DENY).matcher
    assert len(tree.matcher_list.matchers) == 1


def test_claims_are_looked_up_only_where_they_are_strings() -> None:
    """A number has the same text as a string of its digits: the type is asked first, once."""
    sub = claim_text(("corp", "sub"))
    built = build([rule(one_of(sub, map(str, range(10))))], DENY)
    guarded = built.matcher.matcher_list.matchers
    assert len(guarded) == 1
    assert len(guarded[0].on_match.matcher.matcher_tree.exact_match_map.map) == 10
    assert [text.state for text in built.attributes] == ["palisade.claim.corp:sub"]
    assert built.attributes[0].format == "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:corp:sub)%"


def test_a_single_claim_needs_nothing_laid_down() -> None:
    """Only maps read the filter state: a small policy costs no formatter."""
    sub = claim_text(("corp", "sub"))
    assert build([rule(one_of(sub, ["alice"]))], DENY).attributes == ()


def test_a_longer_prefix_leads_to_the_rules_of_shorter_ones_too() -> None:
    """Envoy takes the longest prefix alone, so that must know what the others allow."""
    rules = [
        rule(Prefixed(PATH_TEXT, frozenset((text,))), check(text), name=text) for text in ("/a", "/a/b", "/c")
    ]
    table = build(rules, DENY, linear=0).matcher.matcher_tree.prefix_match_map.map
    names = {
        prefix: {m.on_match.action.typed_config.value for m in entry.matcher.matcher_list.matchers}
        for prefix, entry in table.items()
    }
    assert len(names["/a/b"]) == 2
    assert names["/a"] < names["/a/b"]
    assert len(names["/c"]) == 1


def test_rules_of_other_verdicts_keep_their_place() -> None:
    """An allow behind a deny stays behind it."""
    rules = [
        rule(one_of(PATH_TEXT, ["/a"]), verdict=Verdict.DENY, name="no"),
        rule(one_of(PATH_TEXT, ["/a", "/b"]), name="yes"),
    ]
    matcher = build(rules, DENY, linear=0).matcher
    for path, name in {"/a": "no", "/b": "yes", "/c": "default"}.items():
        found, action = action_of(matcher, Sight({}, {}, {"palisade.path": path}, "", 0)), Action()
        assert found is not None
        assert found.typed_config.Unpack(action)
        assert action.name == name


def test_rules_behind_one_that_always_holds_are_left_out() -> None:
    """What no request reaches is not sent."""
    rules = [rule(check("x")), rule(name="all"), rule(check("y"))]
    tree = build(rules, DENY).matcher
    assert len(tree.matcher_list.matchers) == 1


def test_residual_rules_before_a_residual_default_are_left_out() -> None:
    """They would say twice what is said anyway."""
    residual = Entry(YES, Verdict.RESIDUAL, "residual")
    tree = build([rule(check("x"), verdict=Verdict.RESIDUAL)], residual).matcher
    assert not tree.matcher_list.matchers


def test_predicates_simplify() -> None:
    """Contradictions and tautologies never reach Envoy, and address ranges are one matcher."""
    a, b = check("a"), check("b")
    assert all_of((a, negate(a))) == NO
    assert any_of((a, negate(a))) == YES
    assert all_of((a, NO)) == NO
    assert any_of((a, NO)) == a
    assert all_of((a, all_of((b, a)))) == all_of((a, b))
    assert negate(negate(a)) == a
    assert one_of(PATH_TEXT, ()) == NO
    ranges = [Within(ADDRESS_TEXT, frozenset((text,))) for text in ("10.0.0.0/8", "fd00::/8")]
    together = any_of(ranges)
    assert together == Within(ADDRESS_TEXT, frozenset(("10.0.0.0/8", "fd00::/8")))
    assert to_proto(together).HasField("single_predicate")
    assert isinstance(one_of(PATH_TEXT, ["/"]), OneOf)


def test_a_large_set_below_maps_is_one_expression() -> None:
    """Who may do what, as a table in data gives it: a map of subjects would hold all grants for each."""
    sub = claim_text(("corp", "sub"))
    grants = [all_of((one_of(METHOD, ["GET"]), one_of(PATH_TEXT, [f"/{at}"]))) for at in range(10)]
    groups = [[f"user{at}" for at in range(start, 900, 3)] for start in range(3)]
    rules = [rule(one_of(sub, group), any_of(grants[start::2])) for start, group in enumerate(groups)]
    built = build(rules, DENY)
    assert built.attributes == ()
    assert built.matcher.ByteSize() < 100_000
    table = built.matcher.matcher_tree.exact_match_map.map
    below = table["GET"].matcher.matcher_tree.exact_match_map.map if "GET" in table else table
    assert set(below) == {f"/{at}" for at in range(10)}
    # The sets of the first and the last group, which may do the same, are one.
    (item,) = below["/4"].matcher.matcher_list.matchers
    assert b"|user2|" in item.SerializeToString()
    assert b"|user3|" in item.SerializeToString()
    assert b"|user1|" not in item.SerializeToString()


def test_a_set_too_large_for_an_expression_is_a_map() -> None:
    """RE2 is not to hold megabytes for a list of addresses."""
    built = build([rule(one_of(PATH_TEXT, [f"/{at:050}" for at in range(1000)]))], DENY)
    assert len(built.matcher.matcher_tree.exact_match_map.map) == 1000


def test_an_expression_takes_the_constants_as_they_are() -> None:
    """Not as patterns, and in as many expressions as their length asks for."""
    values = [*(f"a.{at}|" for at in range(5000)), "(x", "é\n"]
    found = list(expressions(values))
    assert len(found) > 1
    compiled = [re2.compile(each) for each in found]
    for value in values:
        assert any(each.fullmatch(value) for each in compiled), value
    for other in ("ab0|", "a.0", "a.0||", "x", ""):
        assert not any(each.fullmatch(other) for each in compiled), other


@given(st.frozensets(st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=8))
def test_an_expression_is_of_the_constants_each_by_itself(values: frozenset[str]) -> None:
    """They are escaped together, and may hold what they are put together by."""
    assert list(expressions(values)) == ["|".join(str(re2.escape(each)) for each in sorted(values))]


@pytest.mark.parametrize("linear", [0, 4])
@pytest.mark.parametrize("tests", [1, 9])
def test_many_outcomes_in_turn_are_not_nested_too_deeply(linear: int, tests: int) -> None:
    """Protobuf reads a hundred levels, here and in Envoy."""
    entries = [
        Entry(
            one_of(header_text(f"x-{at % 3}"), (f"v{at}-{n}" for n in range(tests))),
            Verdict.DENY if at % 2 else Verdict.ALLOW,
            f"p.rego:{at}",
        )
        for at in range(300)
    ]
    built = build(entries, Entry(YES, Verdict.DENY, "default"), linear=linear)
    assert type(built.matcher).FromString(built.matcher.SerializeToString()) == built.matcher


def test_an_alternative_that_contradicts_what_stands_beside_it_is_left_out() -> None:
    """Split into rules, `(a or b) and not a` has one that never holds, for which Envoy has no matcher."""
    get, put = one_of(METHOD, ["GET"]), one_of(METHOD, ["PUT"])
    either = AnyOf((get, put))
    tree = build([rule(either, negate(get), check("/x"))], DENY, linear=0).matcher
    assert "PUT" in str(tree)


def test_rules_with_a_short_prefix_are_not_written_below_each_longer_one() -> None:
    """Envoy takes the longest alone, so what is for a shorter one stands there again: of 300 rules for all
    paths and 300 for one each there would be 90,000."""
    short = [rule(Prefixed(PATH_TEXT, frozenset(("/a",))), check(f"{n}")) for n in range(300)]
    long = [rule(Prefixed(PATH_TEXT, frozenset((f"/a/{n}/",))), check(f"{n}")) for n in range(300)]
    assert build(short + long, DENY).matcher.ByteSize() < 300_000


NESTED = st.sampled_from(["/", "/a", "/aa", "/ab", "/aa/", "/aab", "/b", "/aaa"])


BEGUN = st.frozensets(NESTED, min_size=1, max_size=3).map(lambda values: Prefixed(PATH_TEXT, values))


@given(
    st.lists(st.tuples(st.lists(BEGUN, min_size=1, max_size=2), st.sampled_from("abc/")), max_size=12),
    st.integers(0, 20),
)
def test_no_rule_with_a_prefix_is_lost(rules: list[tuple[list[Prefixed], str]], inherited: int) -> None:
    """Whether it stands in the map of all prefixes, or in one of its own; and the tree is built at last, also
    of rules of which each asks for several."""
    entries = [rule(*begun, check(end)) for begun, end in rules]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(entry, "MOST_INHERITED", inherited)
        matcher = build(entries, DENY, linear=0).matcher
    for path in ("/", "/a", "/aa", "/aab", "/ab/c", "/aa/b", "/aaab", "/b/", "x", "/aa/a/"):
        seen = Sight({}, {}, {"palisade.path": path}, "", 0)
        found = action_of(matcher, seen)
        wanted = any(holds(to_proto(each.predicate), seen) for each in entries)
        assert found is not None
        assert (b"default" not in found.typed_config.value) == wanted, path
