"""What is called impossible no request meets; the search for one that does has an end."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest
from agreement import judged, outcome_of
from hypothesis import given
from hypothesis import strategies as st

from palisade.rego.partial.execution.giving import FEWEST
from palisade.rego.partial.formulas import possible
from palisade.rego.partial.formulas.builder import Builder
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula
from palisade.rego.partial.formulas.formula import Test as Asked
from palisade.rego.partial.formulas.possible import MOST_NODES, Search
from palisade.rego.partial.formulas.terms import Apply, Input, Known

BUILDER = Builder()
X, Y = Input(("x",)), Input(("y",))
CALL = Apply("contains", (X, Known("a")))
VALUES = (None, "a", "b", "c", "ab")
"""What a term may be; None where it is not there."""

atoms = st.one_of(
    st.sampled_from([BUILDER.atom(Defined(X)), BUILDER.atom(Defined(Y)), BUILDER.atom(Asked(CALL))]),
    st.builds(BUILDER.is_in, st.sampled_from([X, Y]), st.sets(st.sampled_from("abc"), min_size=1)),
)
formulas = st.recursive(
    st.one_of(atoms, st.sampled_from([TRUE, FALSE])),
    lambda inner: st.one_of(
        inner.map(BUILDER.negate),
        st.lists(inner, min_size=2, max_size=4).map(BUILDER.all),
        st.lists(inner, min_size=2, max_size=4).map(BUILDER.any),
    ),
    max_leaves=16,
)


def holds(formula: Formula, x: str | None, y: str | None, starts: bool) -> bool:
    """Whether it holds where the terms are that; `starts` is what the call says of a text that is there."""
    if formula.among is not None:
        term, values = formula.among
        return (x if term == X else y) in values
    if formula.defined is not None:
        return (x if formula.defined == X else y) is not None
    if formula.atom is not None:
        return x is not None and starts
    parts = [holds(each, x, y, starts) for each in formula.args]
    return {"and": all(parts), "or": any(parts), "true": True, "false": False}.get(
        formula.kind, not any(parts)
    )


@given(formulas)
def test_just_what_no_request_meets_is_impossible(formula: Formula) -> None:
    """Texts are not one of two things at once, and what is asked of one implies that it is there."""
    met = any(holds(formula, *each) for each in product(VALUES, VALUES, (False, True)))
    assert Search().possible(formula) or not met
    inner = [part.args[0] if part.kind == "not" else part for part in formula.args]
    if formula.kind == "and" and any(part.args for part in inner):  # else nothing is searched for
        assert Search().possible(formula) == met


@given(formulas, st.integers(0, 3), st.integers(0, 3))
def test_a_search_that_ends_early_takes_for_possible_what_may_be(
    formula: Formula, most: int, of_one: int
) -> None:
    met = any(holds(formula, *each) for each in product(VALUES, VALUES, (False, True)))
    assert Search(most, of_one).possible(formula) or not met


def _alike(one: Formula, other: Formula) -> Formula:
    """Both hold, or neither does."""
    neither = BUILDER.all((BUILDER.negate(one), BUILDER.negate(other)))
    return BUILDER.any((BUILDER.all((one, other)), neither))


def _opposed(count: int) -> Formula:
    """So many texts of which each is as the next one, and the last not as the first: impossible."""
    ways = [BUILDER.is_in(Input((f"t{at}",)), ("a",)) for at in range(count)]
    pairs = [_alike(one, other) for one, other in pairwise(ways)]
    return BUILDER.all((*pairs, BUILDER.negate(_alike(ways[0], ways[-1]))))


def test_what_is_asked_late_and_what_is_large_is_not_looked_into() -> None:
    """All conditions of a decision share the room for the search."""
    assert not Search().possible(_opposed(4))
    assert Search(most=1).possible(_opposed(4))
    assert Search().possible(_opposed(MOST_NODES))
    search = Search(most=100)
    assert [search.possible(_opposed(4)) for _ in range(3)] == [False, True, True]


def test_large_alternatives_take_more_of_the_room_than_small_ones() -> None:
    """What takes long is to look at parts: alternatives of hundreds of them took three milliseconds each."""
    wide = [BUILDER.any(_named("n", at)) for at in range(40)]
    beside = BUILDER.all((_opposed(4), BUILDER.any([BUILDER.all(wide), BUILDER.all(_named("m", 1))])))
    assert not Search().possible(beside)
    assert not Search(most=400).possible(_opposed(4))
    assert Search(most=400).possible(beside)


def _named(name: str, at: int) -> list[Formula]:
    return [BUILDER.is_in(Input((f"{name}{at}.{each}",)), ("a",)) for each in range(8)]


HELPERS = """
actor := input.a.sub if input.a else := input.b.sub if input.b else := input.c
known if { actor in {"x", "y"}; input.tool in {"t", "u"} }
scoped if not input.tool in {"t"}
scoped if { input.tool == "t"; "t" in input.scopes }
allowed if { input.m == "call"; known; scoped }
allowed if input.m in {"ping", "list"}
missing if { input.m == "call"; actor == "" }
unknown if { input.m == "call"; actor != ""; not known }
unscoped if { input.m == "call"; known; not scoped }
"""
RULES = """
r := "allowed" if allowed
r := "missing" if { not allowed; missing }
r := "unscoped" if { not allowed; unscoped }
r := "unknown" if { not allowed; not missing; not unscoped; unknown }
r := actor if { not allowed; not missing; not unscoped; not unknown }
"""
MORE = "".join(f'r := "{n}" if {{ allowed; unknown; input.c == "n{n}" }}\n' for n in range(FEWEST))
ACTORS: tuple[dict[str, Any], ...] = ({}, {"a": {"sub": "x"}}, {"a": {}}, {"b": {"sub": ""}})
ASKED = tuple(product(("call", "ping", ""), ACTORS, ("t", "u", "v")))


@pytest.mark.parametrize("rules", [RULES, RULES + MORE])
def test_rules_that_exclude_each_other_through_helpers_do_not_conflict(rules: str) -> None:
    """Few rules are run one after the other, many at once: of neither is an error left to be asked for."""
    policy, outcome = outcome_of(HELPERS + rules, {})
    assert outcome.error is FALSE
    for method, actor, tool in ASKED:
        for scopes in ([], ["t"]):
            asked = {"m": method, **actor, "tool": tool, "c": "y", "scopes": scopes}
            assert judged(policy, outcome, asked) != "error"


def test_what_has_no_alternatives_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten thousand rules most have none, and an edit leaves them as they are."""
    plain = [BUILDER.both(BUILDER.is_in(X, [each]), BUILDER.is_in(Y, [each])) for each in "abc"]
    either = BUILDER.both(BUILDER.any((plain[0], plain[1])), BUILDER.atom(Asked(CALL)))
    first = Search()
    assert [each for each, _ in first.among([(each, None) for each in (*plain, either)])] == [*plain, either]
    assert first.plain == set(plain)
    looked: list[Formula] = []
    has_choices = possible._has_choices
    monkeypatch.setattr(possible, "_has_choices", lambda each: looked.append(each) or has_choices(each))
    later = Search(plain=first.plain)
    assert later.among([(each, None) for each in plain]) == [(each, None) for each in plain]
    assert looked == []
    asked = [(each, None) for each in (plain[0], either, FALSE)]
    assert later.among(asked) == asked[:2]
    assert looked == [either]
    assert later.plain == set(plain)


@pytest.mark.parametrize(
    "asked",
    [
        '"t" in input.scopes',
        "input.tool in input.scopes",
        'some each in input.scopes; startswith(each, "t"); each != input.tool',
        'input.scopes.t == input.tool; "t" in object.keys(input.scopes)',
    ],
)
def test_what_one_rule_asks_of_members_and_another_excludes(asked: str) -> None:
    """Each asks in a loop of its own, and both are one condition: no value conflicts with the other."""
    rules = f"asked if {{ {asked} }}\nr := 1 if {{ {asked} }}\nr := 2 if not asked\nr := 3 if not asked"
    policy, outcome = outcome_of(rules.replace("r := 3 if not asked", ""), {})
    assert outcome.error is FALSE
    assert outcome_of(rules, {})[1].error is not FALSE
    for scopes in ([], ["t"], ["u", "tu"], {"t": "tu"}, {"x": "t"}, "t", None):
        for tool in ("t", "tu"):
            judged(policy, outcome, {"tool": tool, "scopes": scopes})
