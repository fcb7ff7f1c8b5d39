"""However much a policy compares, and with how many constants, what Envoy gets has a bound."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from drawn_predicates import predicates
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st
from lowered import PROVIDERS, compile_policy, subject_of
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade import rego
from palisade.enforce.envoy.matchers import cofactors, sizes, staging
from palisade.enforce.envoy.matchers.bounds import Bounds, exactly, inverse
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    EXPRESSION,
    MAX_EXPRESSION,
    NO,
    YES,
    All,
    AnyOf,
    Check,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.matchers.sizes import (
    CONSTANTS,
    MOST_IN_ALL,
    TEXT_IN_ALL,
    given_up,
    room_of,
    size_of,
)
from palisade.enforce.envoy.matchers.tree import build
from palisade.explain.sidecar.matchers import action_of
from palisade.explain.sidecar.request import Sight
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, compare

NAMES = ("x-a", "x-b", "x-c")
TEXTS = {name: header_text(name) for name in NAMES}
VALUES = tuple("abcdefgh")
DENY = Entry(YES, Verdict.DENY, "default")

_several = st.frozensets(st.sampled_from(VALUES), min_size=1, max_size=8)
_text = st.sampled_from(NAMES).map(TEXTS.__getitem__)
_check = st.sampled_from(NAMES).map(lambda name: text_check(TEXTS[name], StringMatcher(suffix="a")))
_conditions = predicates(
    st.one_of(st.builds(OneOf, _text, _several), st.builds(Prefixed, _text, _several), _check), 12
)
_rows = st.builds(
    lambda text, values, left, beside: all_of(
        (any_of(all_of((OneOf(text, frozenset((value,))), left)) for value in values), *beside)
    ),
    _text,
    _several,
    _conditions,
    st.lists(_conditions, max_size=3),
)
_requests = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from((*VALUES, "ab", "ba", "z", "")) for name in NAMES}
)


def _holds(predicate: Predicate, headers: Mapping[str, str]) -> bool:
    match predicate:
        case OneOf(text, values):
            return headers.get(_name(text)) in values
        case Prefixed(text, values):
            return headers.get(_name(text), "").startswith(tuple(values)) and _name(text) in headers
        case Check():
            return any(
                predicate == text_check(TEXTS[name], StringMatcher(suffix="a"))
                and headers.get(name, "").endswith("a")
                for name in NAMES
            )
        case Not(part):
            return not _holds(part, headers)
        case All(parts):
            return all(_holds(part, headers) for part in parts)
        case AnyOf(parts):
            return any(_holds(part, headers) for part in parts)
    return predicate == YES


def _name(text: object) -> str:
    return next(name for name, each in TEXTS.items() if each == text)


@settings(max_examples=examples(150), deadline=None)
@given(
    st.lists(st.tuples(_conditions | _rows, st.sampled_from(Verdict)), min_size=1, max_size=6),
    st.lists(_requests, min_size=1, max_size=12),
    st.sampled_from([0, 3, 20, staging.MOST_COPIED_OF_ONE]),
    st.sampled_from([0, 10, staging.MOST_COPIED]),
    st.sampled_from([0, 4]),
    st.sampled_from([2, cofactors.HEAVY]),
)
def test_rules_decide_the_same_however_little_room_there_is_for_maps(
    rules, asked, room, in_all, linear, heavy
):
    entries = [Entry(condition, verdict, verdict.value) for condition, verdict in rules]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "MOST_COPIED_OF_ONE", room)
        patch.setattr(staging, "SOME_COPIED", room)
        patch.setattr(staging, "MOST_COPIED", in_all)
        patch.setattr(cofactors, "HEAVY", heavy)
        matcher = build(entries, DENY, linear=linear).matcher
    event("with maps" if b"exact_match" in str(matcher).encode() else "without")
    for headers in asked:
        met = (entry for entry in entries if _holds(entry.predicate, headers))
        action = action_of(matcher, Sight(dict(headers), {}, {}, "", 0))
        assert action is not None
        name = next(met, DENY).name
        assert name.encode() in action.SerializeToString()


def _bytes_of(rules: list[Entry]) -> int:
    return build(rules, DENY).matcher.ByteSize()


def test_large_sets_beside_each_other_are_not_multiplied():
    """10,000 users, tenants and paths, each of which may come with each: a map of one would hold the others
    below each of its entries, 10 GB. It took the engine until it had no memory left."""
    sets = [OneOf(TEXTS[name], frozenset(f"{name}-{at:05}" for at in range(10_000))) for name in NAMES]
    rules = [Entry(all_of(sets), Verdict.ALLOW, "r"), Entry(sets[0], Verdict.RESIDUAL, "s")]
    assert _bytes_of(rules) < 3_000_000
    few = OneOf(TEXTS["x-a"], frozenset(f"/{at}" for at in range(100)))
    assert _bytes_of([Entry(all_of((few, *sets[1:])), Verdict.ALLOW, "r")]) < 60_000_000


def test_what_stands_beside_a_large_set_is_not_multiplied():
    """As who is denied where, for each of 10,000 users that may ask at all."""
    users = OneOf(TEXTS["x-a"], frozenset(f"user-{at:05}" for at in range(10_000)))
    denied = any_of(
        all_of((OneOf(TEXTS["x-b"], frozenset((f"/{at}",))), OneOf(TEXTS["x-c"], frozenset((f"r{at}",)))))
        for at in range(1_000)
    )
    assert _bytes_of([Entry(all_of((users, negate(denied))), Verdict.ALLOW, "r")]) < 3_000_000


def test_alternatives_beside_each_other_are_not_multiplied():
    """Twelve times three are half a million rules."""
    names = [header_text(f"x-{at}") for at in range(12)]
    sets = [frozenset(f"{at}{value}" for value in VALUES) for at in range(3)]
    whole = all_of(any_of(OneOf(name, each) for each in sets) for name in names)
    assert _bytes_of([Entry(whole, Verdict.ALLOW, "r")]) < 20_000_000


def test_what_no_table_tells_is_asked_before_it():
    """4,000 rows beside a hundred matchers: 400,000 below the values of a map, or none of them looked up."""
    beside = [text_check(TEXTS["x-b"], StringMatcher(suffix=f"-{at}")) for at in range(100)]
    rows = any_of(
        all_of((OneOf(TEXTS["x-a"], frozenset((f"u{at}",))), OneOf(TEXTS["x-c"], frozenset((f"r{at}",)))))
        for at in range(4_000)
    )
    built = build([Entry(all_of((rows, *map(negate, beside))), Verdict.ALLOW, "r")], DENY).matcher
    assert built.ByteSize() < 2_000_000
    below = built.matcher_list.matchers[0].on_match.matcher
    assert len(below.matcher_tree.exact_match_map.map) == 4_000


def test_many_rules_have_the_room_for_copies_together():
    """Of 10,000 rules on twenty paths and three headers each had the room for one: a million matchers."""

    def beside(rule: int) -> list[Predicate]:  # what all ask alike would be asked once
        return [text_check(TEXTS["x-b"], StringMatcher(suffix=f"-{rule}-{at}")) for at in range(3)]

    rules = [
        Entry(
            all_of((OneOf(TEXTS["x-a"], frozenset(f"{at}/{n}" for n in range(20))), *beside(at))),
            Verdict.ALLOW,
            f"r{at}",
        )
        for at in range(1_000)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "MOST_COPIED", 1_000)
        assert _matchers_in(build(rules, DENY).matcher) < 1_000 + sum(each.predicate.size for each in rules)
        whole, part = build(rules, DENY).matcher, build(rules, DENY, share=64).matcher
    assert _matchers_in(part) < _matchers_in(whole)


def _matchers_in(matcher: Matcher) -> int:
    """How many comparisons are written out."""
    return matcher.SerializeToString().count(b"type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeader")


def test_an_expression_counts_for_the_memory_that_it_takes():
    rule = "allow if input.attributes.request.http.headers.a == input.identity.claims.sub"
    found = compile_policy(rego.compile({"p.rego": f"package p\n{rule}"}), "p.allow", PROVIDERS[:1])
    assert max(each.predicate.size for each in found.entries) >= EXPRESSION


def test_a_large_set_by_itself_is_still_a_map():
    """Nothing is copied below its entries."""
    users = OneOf(TEXTS["x-a"], frozenset(f"user-{at:06}" for at in range(10_000)))
    built = build([Entry(users, Verdict.ALLOW, "r")], DENY).matcher
    assert len(built.matcher_tree.exact_match_map.map) == len(users.values)


def test_large_matchers_count_for_several():
    """A pattern of a megabyte counted as one matcher."""
    small = text_check(TEXTS["x-a"], StringMatcher(exact="a"))
    large = text_check(TEXTS["x-a"], StringMatcher(exact="a" * MAX_EXPRESSION))
    assert small.size == OneOf(TEXTS["x-a"], frozenset("a")).size == 1
    assert large.size > MAX_EXPRESSION // 2_000
    assert OneOf(TEXTS["x-a"], frozenset(("a" * 1_000_000,))).size > 500
    assert Prefixed(TEXTS["x-a"], frozenset(map(str, range(1000)))).size > 40


def _users(count: int, name: str = "user") -> OneOf:
    return OneOf(TEXTS["x-a"], frozenset(f"{name}-{at:06}" for at in range(count)))


def test_constants_take_room_as_often_as_they_are_written():
    """A table of 100,000 users was a million of them in Envoy, and counted for next to nothing."""
    one = exactly(_users(10_000))
    paths = any_of(OneOf(TEXTS["x-b"], frozenset((f"/{at}",))) for at in range(5))
    assert 10_000 // CONSTANTS <= room_of(one) < 10_000
    assert room_of(exactly(all_of((_users(10_000), paths)))) >= 5 * 10_000 // CONSTANTS
    assert room_of(inverse(one)) >= 10_000 // CONSTANTS
    assert room_of(Bounds(_users(10_000), any_of((_users(10_000), paths)))) >= 2 * 10_000 // CONSTANTS
    few = exactly(any_of(all_of((each, paths)) for each in (_users(3), _users(4))))
    assert room_of(few) == size_of(few) + 17 // CONSTANTS


def test_of_large_conditions_the_constants_are_counted_part_by_part():
    """Parts that are shared are looked at once each: a hundred levels, each of which stands twice."""
    condition: Predicate = _users(2)
    for at in range(100):
        check = text_check(TEXTS["x-b"], StringMatcher(suffix=str(at)))
        condition = any_of((all_of((condition, check)), all_of((negate(condition), YES, negate(check)))))
    assert room_of(exactly(condition)) >= 2**100


def test_more_users_than_there_is_room_for_are_the_engines(monkeypatch):
    monkeypatch.setattr(sizes, "MOST_IN_ALL", 1_000)
    rule = 'package p\nallow if input.attributes.request.http.headers["x-a"] in data.users'
    for count, native in ((3_000, True), (5_000, False)):
        policy = rego.compile({"p.rego": rule}, {"users": [f"user-{at}" for at in range(count)]})
        found = compile_policy(policy, "p.allow", PROVIDERS[:1])
        assert [each.native for each in found.coverage] == [native]
        reasons = [each.text for rule in found.coverage for each in rule.reasons]
        assert (TEXT_IN_ALL in reasons) is not native


def test_few_users_of_each_of_many_paths_are_an_expression_each():
    """Each entry of a map takes Envoy as much as four of an expression: of 50,000 users it was 40 MB."""
    entries = [
        Entry(
            all_of((OneOf(TEXTS["x-b"], frozenset((f"/{path}",))), _users(20, f"of-{path}"))),
            Verdict.ALLOW,
            "r",
        )
        for path in range(100)
    ]
    built = build(entries, DENY).matcher
    below = [each.matcher for each in built.matcher_tree.exact_match_map.map.values()]
    assert len(below) == 100
    assert all(len(each.matcher_list.matchers) == 1 and not each.HasField("matcher_tree") for each in below)


@given(st.lists(st.integers(1, MOST_IN_ALL), max_size=12))
def test_the_largest_go_until_there_is_room(found):
    of = dict(enumerate(found))
    gone = given_up(of)
    left = [gone.get(at, size) for at, size in of.items()]
    assert sum(left) <= MOST_IN_ALL
    assert all(room <= size for room, size in zip(left, of.values(), strict=True))
    assert not gone or sum(found) > MOST_IN_ALL
    assert max((size for at, size in of.items() if at not in gone), default=0) <= min(
        (of[at] for at in gone), default=MOST_IN_ALL
    )


RULES = """
package p

import input.attributes.request.http

allow if http.path == "/small"

allow if {
	http.method == "PUT"
	some row in data.rows
	startswith(http.path, row.path)
	http.headers["x-tenant"] == row.tenant
}

allow if {
	not denied
	http.method == "GET"
}

denied if {
	some row in data.rows
	endswith(http.path, row.path)
	http.headers["x-tenant"] == row.tenant
}
"""
ROWS = {"rows": [{"path": f"/p{at}", "tenant": f"t{at}"} for at in range(40)]}


@pytest.fixture
def little_room(monkeypatch):
    monkeypatch.setattr(sizes, "MOST_IN_ALL", 60)


def test_what_has_no_room_beside_the_others_is_for_the_engine(little_room):
    found = compile_policy(rego.compile({"p.rego": RULES}, ROWS), "p.allow", PROVIDERS[:1])
    told = {each.location.row: [reason.text for reason in each.reasons] for each in found.coverage}
    assert [line for line, said in told.items() if TEXT_IN_ALL in said] == [8, 15]
    assert told[6] == []
    assert found.residual
    assert sum(each.predicate.size for each in found.entries) < 400


def test_so_it_is_decided_no_otherwise(little_room, bed: Bed, issuers: Issuers):
    subject = subject_of(rego.compile({"p.rego": RULES}, ROWS), (), issuers)
    asked = [
        Request(method, path, (("x-tenant", tenant),))
        for method in ("GET", "PUT", "POST")
        for path in ("/small", "/p1", "/p1/p2", "/p2/p1", "/x")
        for tenant in ("t1", "t2", "")
    ]
    bed.load(subject)
    tally = Tally()
    assert list(compare(bed, subject, asked, tally)) == []
    assert tally.native
    assert tally.residual


def test_without_the_bound_the_same_is_native():
    found = compile_policy(rego.compile({"p.rego": RULES}, ROWS), "p.allow", PROVIDERS[:1])
    assert all(each.native for each in found.coverage)
    assert NO not in {each.predicate for each in found.entries if each.verdict is Verdict.ALLOW}


BESIDE = """
package p

import input.attributes.request.http

allow if {
	some row in data.rows
	http.headers["x-user"] == row.user
	http.method in row.methods
	not denied
}

denied if {
	some end in data.ends
	endswith(http.path, end)
}
"""


def test_a_table_beside_many_matchers_is_decided_as_before(monkeypatch, bed: Bed, issuers: Issuers):
    """What stands beside the rows is written out once, and they are still looked up."""
    monkeypatch.setattr(sizes, "LARGE", 100)
    rows = [{"user": f"u{at}", "methods": ["GET", "PUT"][at % 2 :]} for at in range(60)]
    policy = rego.compile({"p.rego": BESIDE}, {"rows": rows, "ends": [f"-{at}x" for at in range(40)]})
    found = compile_policy(policy, "p.allow", PROVIDERS[:1])
    built = build(found.entries, found.default).matcher.SerializeToString()
    assert 0 < built.count(b"-7x") <= 2
    subject = subject_of(policy, (), issuers)
    asked = [
        Request(method, f"/a{end}", (("x-user", user),))
        for method in ("GET", "PUT", "POST")
        for end in ("", "-7x", "-7", "-39x")
        for user in ("u0", "u1", "u59", "u60", "")
    ]
    bed.load(subject)
    tally = Tally()
    assert list(compare(bed, subject, asked, tally)) == []
    assert tally.residual == 0
    assert tally.allowed
