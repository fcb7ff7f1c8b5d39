"""The order of a set whose members are known in part is the evaluator's for whatever the request brings."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import judged, outcome_of
from hypothesis import assume, given
from hypothesis import strategies as st

from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Input, Known, ObjectOf, Symbol
from palisade.rego.partial.reading import Reading
from palisade.rego.partial.symbols.turns import stands_before
from palisade.rego.values import UNDEFINED, compare, key

_texts = st.text("ab", max_size=2)
_leaves = st.one_of(
    st.sampled_from([None, True, 1, 1.0, 2]).map(Known),
    _texts.map(Known),
    st.sampled_from("xy").map(lambda name: Input((name,))),
    st.builds(
        lambda text, name: Apply("sprintf", (Known(text + "%v"), ArrayOf((Input((name,)),)))),
        _texts,
        st.sampled_from("xy"),
    ),
    st.builds(
        lambda form, text, name: Apply("sprintf", (Known(form), ArrayOf((Input((name,)), Known(text))))),
        st.sampled_from(["%v-%v", "%v%s", "a%v%%%v", "%sb%d", "%v-%v%v", "%v%5s", "%v"]),
        _texts,
        st.sampled_from("xy"),
    ),
    st.builds(
        lambda glue, text, name: Apply("concat", (Known(glue), ArrayOf((Input((name,)), Known(text))))),
        st.sampled_from(["", "-", "a"]),
        _texts,
        st.sampled_from("xy"),
    ),
)


def _whole(items: list[Symbol]) -> Symbol:
    known = [each.value for each in items if isinstance(each, Known)]
    return Known(known) if len(known) == len(items) else ArrayOf(tuple(items))


def _entries(items: dict[str, Symbol]) -> Symbol:
    entries = tuple((key(name), each) for name, each in items.items())
    known = {form: each.value for form, each in entries if isinstance(each, Known)}
    return Known(known) if len(known) == len(entries) else ObjectOf(entries)


_members = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(_whole),
        st.dictionaries(st.sampled_from("kmz"), inner, max_size=3).map(_entries),
    ),
    max_leaves=5,
)


@given(_members, _members, st.lists(st.sampled_from(["", "a", "b", "ab", 1, [1]]), min_size=2, max_size=2))
def test_what_stands_before_another_does_so_for_every_request(
    one: Symbol, other: Symbol, brought: list[Any]
) -> None:
    reading = Reading(dict(zip("xy", brought, strict=True)))
    values = reading.value(one), reading.value(other)
    assume(UNDEFINED not in values)
    found = compare(*values)
    told = stands_before(one, other)
    assert told is None or found == (-1 if told else 1)


def test_some_orders_are_known() -> None:
    """Where nothing were, nothing would be compared above."""
    text = Apply("sprintf", (Known("a %v"), ArrayOf((Input(("x",)),))))
    assert stands_before(Known("a"), text)
    assert stands_before(text, Known("b")) is stands_before(Known("a"), text)
    assert stands_before(_entries({"k": Known(2), "m": text}), _entries({"k": Known(1), "m": text})) is False
    assert stands_before(ArrayOf((text,)), ArrayOf((text, text)))
    assert stands_before(text, Input(("x",))) is None


@pytest.mark.parametrize(
    "rule",
    [
        "[each.why | some each in faults]",
        "[each.why | some each in faults][0]",
        'concat("; ", [each.why | some each in faults])',
        "sort(faults)",
        'concat(",", sort({each.why | some each in faults}))',
    ],
)
def test_objects_with_texts_of_the_request_are_listed_in_order(rule: str) -> None:
    """By their codes, which are known: no such list had an order, so that messages made of one were the
    engine's."""
    rules = """
faults contains {"code": 3, "why": "none"} if input.a
faults contains {"code": 2, "why": sprintf("b %s", [input.x])} if input.b
faults contains {"code": 10, "why": sprintf("c %s", [input.x])} if not input.b
faults contains {"code": 2, "also": 1, "why": sprintf("d %s", [input.x])} if input.c
"""
    policy, outcome = outcome_of(f"{rules}\nr := {rule}", {})
    held = [{name: True for at, name in enumerate("abc") if number >> at & 1} for number in range(8)]
    found = {judged(policy, outcome, {"x": x, **each}) for each in held for x in ("", "a", "z")}
    assert "defined" in found
    assert "unsure" not in found


@pytest.mark.parametrize(
    "rule",
    [
        "every n in {1, 2} { n < level }",
        "every n in [1, 2] { n != level }",
        "every n in needed { n < level }",
        "every n in input.x { n == level }",
        "every n in input.x { n in {level, 3} }",
        "some n in {1, 2}; n in {level}",
        "not outdone",
    ],
)
def test_what_all_rounds_fail_by_alike_has_no_order(rule: str) -> None:
    """Whichever member comes first, the two values of `level` conflict: permissions that each had to be among
    those granted by a cookie were the engine's, as a cookie may be there twice."""
    rules = f"""
level := 1 if input.a
level := 3 if input.b
needed contains 1 if input.c
needed contains 2 if not input.a
outdone if {{ some n in {{1, 2, 3}}; n > level }}
r if {{ {rule} }}
"""
    policy, outcome = outcome_of(rules, {})
    held = [{name: True for at, name in enumerate("abc") if number >> at & 1} for number in range(8)]
    brought = ([], [1], [1, 2], [3], [3, 3], [2, 1], {"k": 3})
    found = {judged(policy, outcome, {"x": x, **each}) for each in held for x in brought}
    assert found == {"defined", "undefined", "error"}


def test_what_one_round_fails_by_alone_has_one() -> None:
    """A member that another rule gives another value, beside one that ends the loop."""
    rules = """
level(n) := 1
level(n) := 2 if n == input.x
r if not below
below if { some n in {1, 2, 3}; level(n) > input.y }
"""
    policy, outcome = outcome_of(rules, {})
    found = {judged(policy, outcome, {"x": x, "y": y}) for x in (1, 2, 3, 4) for y in (0, 1, 2)}
    assert "unsure" in found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('sprintf("%s lacks %s", [input.x, "a"])', 'sprintf("%s lacks %s", [input.x, "b"])'),
        ('sprintf("%s may", [input.x])', 'sprintf("%s may not", [input.x])'),
        ('concat(" ", ["user", input.x, "b"])', 'concat(" ", ["user", input.x, "a", input.y])'),
        ('sprintf("%d: %s", [2, input.x])', 'sprintf("%d: %s", [10, input.x])'),
    ],
)
def test_texts_that_begin_with_the_same_of_a_request_stand_in_a_known_order(one: str, other: str) -> None:
    rules = [f"ds contains {one} if input.one", f"ds contains {other} if input.other"]
    policy, outcome = outcome_of("\n".join([*rules, "r := [d | some d in ds][0]"]), {})
    for document in ({"x": "a", "y": "b", "one": True, "other": True}, {"x": "b", "y": "", "other": True}):
        assert judged(policy, outcome, document) == "defined"
