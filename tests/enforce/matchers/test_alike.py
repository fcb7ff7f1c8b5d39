"""What alternatives have alike is asked once, before expressions are evaluated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from effort import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.alike import behind_alike
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.implied import Guarded
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    Check,
    Constant,
    OneOf,
    Predicate,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.matchers.tree import build
from palisade.enforce.envoy.matchers.writing import to_proto
from palisade.enforce.envoy.values.sources import JWT_AUTHN
from palisade.explain.sidecar import matchers
from palisade.explain.sidecar.matchers import action_of, holds
from palisade.explain.sidecar.request import Sight

PATH, ROLES = cel.header(":path"), cel.metadata(JWT_AUTHN, "main", "roles")
KIND, NAME = "(?s)^([^:]*)(?::.*)?$", "(?s)^(?:[^:]*:){1}([^:]*)(?::.*)?$"


def _sight(path: str, roles: object) -> Sight:
    claims = {"roles": roles, "scope": "openid svc1000:x a:svc1:x"}
    return Sight({":path": path}, {JWT_AUTHN: {"main": claims}}, {}, "10.0.0.1", 0)


def _matches(value: Any, pattern: str) -> Check:
    expr = cel.matches(value, pattern)
    assert expr is not None
    return cel.check(expr)


def _of_member(n: int, place: int) -> Predicate:
    """Member `place` is `svc{n}:NAME`, and the path begins with the name."""
    member = cel.metadata(JWT_AUTHN, "main", "roles", place)
    name = cel.captured(member, NAME)
    assert name is not None
    longer = cel.check(cel.call("_>_", cel.call("size", ROLES), cel.integer(place)))
    begun = cel.check(cel.method(PATH, "startsWith", cel.around("/", name, "/")))
    return all_of((longer, _matches(member, f"^(?:(?s)svc{n}:.*)$"), begun))


def _of_segment(n: int, place: int) -> Predicate:
    segment = cel.captured(PATH, f"^/(?:[!-.0->@-~]*/){{{place}}}([!-.0->@-~]*)(?:[/?](?s:.*))?$")
    assert segment is not None
    return all_of((_matches(segment, f"^(?:[aA]dmin{n})$"), negate(_matches(PATH, "%"))))


def _of_word(n: int, place: int) -> Predicate:
    """Word `place` of the scope is `svc{n}:NAME`, and has one colon."""
    scope = cel.metadata(JWT_AUTHN, "main", "scope")
    word = cel.captured(scope, f"(?s)^(?:[^ ]* ){{{place}}}([^ ]*)(?: .*)?$")
    assert word is not None
    colon = _matches(word, "^(?:(?s)[^:]*(?:(?::[^:]*){1}))$")
    return all_of((colon, _matches(word, f"^(?:(?s)svc{n}:.*)$")))


def _of_eight(of_one: Callable[[int, int], Predicate], n: int) -> Predicate:
    return any_of(of_one(n, place) for place in range(8))


@pytest.mark.long
@pytest.mark.parametrize("of_one", [_of_member, _of_segment, _of_word])
def test_expressions_on_the_first_eight_are_not_evaluated_where_none_is_so(
    monkeypatch: pytest.MonkeyPatch, of_one: Callable[[int, int], Predicate]
) -> None:
    """Three hundred rules on members of a claim cut to pieces took Envoy ten to twenty milliseconds; those on
    words of a scope too, where only the longest pattern was asked before, the same in all of them."""
    asked = Counter[str]()
    single = matchers._single

    def counted(predicate: Any, seen: Sight) -> bool:
        asked["expressions" if "CelMatcher" in str(predicate) else "others"] += 1
        return single(predicate, seen)

    monkeypatch.setattr(matchers, "_single", counted)
    entries = [Entry(_of_eight(of_one, n), Verdict.ALLOW, f"rule {n}") for n in range(300)]
    matcher = build(entries, Entry(YES, Verdict.DENY, "")).matcher
    for path in ("/x/y", "/admin1000/a", "/x/admin"):
        asked.clear()
        action_of(matcher, _sight(path, ["viewer", "svc1000:x", "a:svc1:x"]))
        assert asked["expressions"] == 0, path
        assert asked["others"] <= 120, path


def test_what_is_implied_of_a_member_is_that_some_member_is_so() -> None:
    member = cel.metadata(JWT_AUTHN, "main", "roles", 1)
    check = _matches(member, "^(?:(?s)svc1:.*)$")
    assert check.implied is not None
    implied = to_proto(check.implied)
    assert [
        holds(implied, _sight("/", each))
        for each in (["a", "svc1:x"], ["svc1:x", "a"], ["a", 1], [], "svc1:x", {"1": "svc1:x"})
    ] == [True, True, False, False, False, False]


def test_alternatives_that_look_texts_up_stay_apart() -> None:
    """Behind what they have alike they would be compared one by one, and not looked up in a map."""
    alike = text_check(header_text("x-other"), StringMatcher(exact="a"))
    parts = [
        all_of((alike, OneOf(header_text(":path"), frozenset((f"/a{n}",))), _of_member(1, n)))
        for n in range(8)
    ]
    assert list(behind_alike(parts)) == parts


_CHECKS = [
    *(_of_member(n, place) for n in (1, 2) for place in (0, 1)),
    *(_of_segment(n, place) for n in (1, 2) for place in (0, 1)),
    text_check(header_text(":path"), StringMatcher(prefix="/x")),
]
_checks = st.lists(st.sampled_from(_CHECKS + [negate(each) for each in _CHECKS]), min_size=1, max_size=4)
_names = st.sampled_from(("svc1:x", "svc1:admin1", "svc2:x", "svc1", "", "a", "svc1:\u00fc"))


@settings(max_examples=examples(500), deadline=None)
@given(
    st.lists(_checks, min_size=2, max_size=6),
    st.lists(_checks, max_size=1),
    st.sampled_from(("/x/y", "/admin1/x", "/Admin1/admin2", "/x/Admin1", "/a%20/admin1", "/", "/\u00fc/")),
    st.one_of(st.lists(_names, max_size=3), _names, st.dictionaries(_names, _names, max_size=2)),
)
def test_they_hold_where_they_did(
    alternatives: list[list[Predicate]], common: list[list[Predicate]], path: str, roles: object
) -> None:
    """What is asked before them must hold wherever one of them does."""
    shared = [each for own in common for each in own]
    whole = any_of(all_of((*shared, *own)) for own in alternatives)
    asked = negate(whole) if len(alternatives) % 2 else whole
    found = Guarded().of(asked)
    if isinstance(asked, Constant) or isinstance(found, Constant):
        assert asked == found
        return
    seen = _sight(path, roles)
    held = holds(to_proto(asked), seen)
    event(f"{'holds' if held else 'does not hold'}, {'as it was' if asked == found else 'changed'}")
    assert holds(to_proto(found), seen) == held
