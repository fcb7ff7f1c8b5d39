"""A decision in parts decides each request as the whole does, and an edit changes few parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade.enforce.envoy.matchers import dealing
from palisade.enforce.envoy.matchers.dealing import PARTS, deal, deal_by, part_of
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import (
    YES,
    All,
    AnyOf,
    Constant,
    Not,
    OneOf,
    Predicate,
    Prefixed,
    Text,
    all_of,
    any_of,
    header_text,
    negate,
    one_of,
)
from palisade.enforce.envoy.parts import NATIVE, Rules, in_parts
from palisade.enforce.envoy.values.sources import PATH_TEXT, claim_text

METHOD, SUBJECT = header_text(":method"), claim_text(("corp", "sub"))
DENY = Entry(YES, Verdict.DENY, "default")


def rules(count: int, changed: int = -1) -> list[Entry]:
    return [
        Entry(
            all_of(
                (one_of(METHOD, ["GET"]), one_of(PATH_TEXT, ["/changed" if at == changed else f"/{at}"])),
            ),
            Verdict.ALLOW,
            f"a.rego:{at}",
        )
        for at in range(count)
    ]


def holds(predicate: Predicate, request: Mapping[Text, str]) -> bool:
    """The plainest meaning of a predicate."""
    match predicate:
        case Constant(value):
            return value
        case OneOf(text, values):
            return request.get(text) in values
        case Prefixed(text, values):
            return request.get(text, "").startswith(tuple(values))
        case All(parts):
            return all(holds(part, request) for part in parts)
        case AnyOf(parts):
            return any(holds(part, request) for part in parts)
        case Not(part):
            return not holds(part, request)
    raise AssertionError(predicate)


def decided(entries: Sequence[Entry], request: Mapping[Text, str]) -> tuple[Verdict, str]:
    """By the first rule that holds."""
    return next((entry.outcome for entry in entries if holds(entry.predicate, request)), DENY.outcome)


VALUES = [f"v{at}" for at in range(80)]
COMPARISONS = st.builds(
    OneOf, st.sampled_from([METHOD, PATH_TEXT, SUBJECT]), st.frozensets(st.sampled_from(VALUES), min_size=1)
)
PREDICATES = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(all_of),
        st.lists(inner, min_size=1, max_size=3).map(any_of),
        inner.map(negate),
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=examples(60))
@given(
    st.lists(st.builds(Entry, PREDICATES, st.sampled_from(Verdict), st.just("r")), max_size=20),
    st.lists(
        st.dictionaries(st.sampled_from([METHOD, PATH_TEXT, SUBJECT]), st.sampled_from([*VALUES, "other"]))
    ),
)
def test_a_part_decides_as_the_whole(entries: list[Entry], requests: list[dict[Text, str]]) -> None:
    """Whatever the rules, whichever text they are dealt out by, wherever a request has no such text."""
    whole = [*rules(100), *entries]
    for text in (PATH_TEXT, METHOD, SUBJECT):
        with pytest.MonkeyPatch.context() as patched:
            limits = {"WORTH": 1, "_MOST_COPIES": 10**9, "_MOST_IN_ONE": 10**9, "MANY": 2}
            for limit, value in limits.items():
                patched.setattr(dealing, limit, value)
            dealt = deal_by(text, whole)
        if dealt is None:
            continue
        for request in requests:
            value = request.get(text)
            part = dealt.parts[0 if value is None else part_of(value)]
            assert decided(part, request) == decided(whole, request)


def test_few_rules_stay_whole() -> None:
    """A small decision costs no further filter."""
    assert deal(rules(dealing.WORTH - 1)) is None
    assert deal(rules(dealing.WORTH)) is not None


def test_rules_that_no_text_parts_evenly_stay_whole() -> None:
    """One path for all, or rules that compare nothing: parts would all be the whole."""
    assert deal([Entry(one_of(METHOD, ["GET"]), Verdict.ALLOW, str(at)) for at in range(2000)]) is None
    others = [Entry(negate(one_of(PATH_TEXT, [f"/{at}"])), Verdict.ALLOW, str(at)) for at in range(2000)]
    assert deal([*rules(1000), *others]) is None


def test_a_table_of_owners_is_dealt_out_by_subject() -> None:
    """A rule for each entry of a table in data, as it unrolls."""
    entries = [
        Entry(all_of((one_of(SUBJECT, [f"u{at}", f"v{at}"]), one_of(METHOD, ["GET"]))), Verdict.ALLOW, "r")
        for at in range(1200)
    ]
    dealt = deal(entries)
    assert dealt is not None
    assert dealt.text == SUBJECT
    for number, part in enumerate(dealt.parts):
        for entry in part:
            (test,) = (part for part in entry.predicate.parts if part.text == SUBJECT)  # type: ignore[union-attr]
            assert {part_of(value) for value in test.values} == {number}


def test_few_rules_on_sets_stay_whole() -> None:
    """Envoy reads a few thousand constants as fast as it reads parts."""
    subjects = [f"u{at}" for at in range(5000)]
    assert (
        deal([Entry(all_of((one_of(SUBJECT, subjects), one_of(PATH_TEXT, ["/a"]))), Verdict.ALLOW, "r")])
        is None
    )


def grants(changed: int = -1) -> list[Entry]:
    """What a table of 5,000 subjects with a role each unrolls to: a rule whose alternatives are grants."""
    holders = [[f"u{at}" for at in range(role, 5000, 50) if at != changed] for role in range(50)]
    choices = [
        all_of((one_of(SUBJECT, users), one_of(METHOD, ["GET"]), one_of(PATH_TEXT, [f"/{role}/{at}"])))
        for role, users in enumerate(holders)
        for at in range(5)
    ]
    return [Entry(any_of(choices), Verdict.ALLOW, "r")]


def test_a_table_of_subjects_is_dealt_out_by_what_they_may_do() -> None:
    """By the subject each grant would have to stand in every part. One that loses its role changes the
    parts of what that role may do, and Envoy reads no other again."""
    first = in_parts(Rules(grants(), DENY), "r1", linear=4)
    assert first is not None
    assert first.halves[NATIVE].dealt.text == PATH_TEXT
    again = in_parts(Rules(grants(changed=7), DENY), "r2", linear=4, before=first)
    assert again is not None
    changed = {number for number in range(PARTS) if again.filters[number] != first.filters[number]}
    assert changed == {part_of(f"/7/{at}") for at in range(5)}


def test_a_rule_on_a_very_large_set_is_dealt_out() -> None:
    """One subject more is one part of 64 to read."""
    predicate = all_of((one_of(SUBJECT, [f"u{at}" for at in range(30_000)]), one_of(PATH_TEXT, ["/a"])))
    dealt = deal([Entry(predicate, Verdict.ALLOW, "r")])
    assert dealt is not None
    assert dealt.text == SUBJECT
    assert all(len(part) == 1 for part in dealt.parts)


def beside(*, banned: int, changed: int = -1) -> list[Entry]:
    """`allow if { ok; not banned }` with 2,000 rules for `ok`."""
    ok = any_of(each.predicate for each in rules(2000, changed))
    return [Entry(all_of((ok, negate(one_of(SUBJECT, map(str, range(banned)))))), Verdict.ALLOW, "r")]


def test_alternatives_beside_a_denial_list_are_dealt_out() -> None:
    """One of ten thousand rules of a helper was all of them for Envoy to read again."""
    first = in_parts(Rules(beside(banned=100), DENY), "r1", linear=4)
    assert first is not None
    assert first.halves[NATIVE].dealt.text == PATH_TEXT
    again = in_parts(Rules(beside(banned=100, changed=7), DENY), "r2", linear=4, before=first)
    assert again is not None
    changed = {number for number in range(PARTS) if again.filters[number] != first.filters[number]}
    assert changed == {part_of("/7"), part_of("/changed")}


@pytest.mark.parametrize(
    "condition", [lambda rows: rows, lambda rows: all_of((rows, one_of(METHOD, ["GET"])))]
)
def test_of_many_alternatives_only_those_that_changed_are_dealt_out_again(
    condition: Callable[[Predicate], Predicate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows of a table were at each edit, a fifth of what one of ten thousand cost."""
    rows = [all_of((one_of(PATH_TEXT, [f"/{at}"]), one_of(SUBJECT, [f"u{at}"]))) for at in range(2000)]
    shares = dealing._shares
    looked: list[Predicate] = []

    def counted(text: Text, predicate: Predicate) -> dict[int, Predicate] | None:
        looked.append(predicate)
        return shares(text, predicate)

    before = deal([Entry(condition(any_of(rows)), Verdict.ALLOW, "r")])
    assert before is not None
    text = before.text
    changed = all_of((one_of(PATH_TEXT, ["/7"]), one_of(SUBJECT, ["u7", "other"])))
    for own, name in (([*rows[:7], changed, *rows[8:]], "r"), (rows[1:], "r"), (rows, "other"), (rows, "r")):
        entries = [Entry(condition(any_of(own)), Verdict.ALLOW, name)]
        monkeypatch.setattr(dealing, "_shares", counted)
        looked.clear()
        after = deal_by(text, entries, before)
        monkeypatch.undo()
        fresh = deal_by(text, entries)
        assert after is not None
        assert fresh is not None
        assert after.parts == fresh.parts
        assert len(looked) <= 2
        before = after


def test_a_denial_list_that_would_stand_in_each_part_is_left_once() -> None:
    """Of 20,000 users in each of 64 parts Envoy has a million."""
    assert deal(beside(banned=100)) is not None
    assert deal(beside(banned=20_000)) is None


def test_one_changed_rule_changes_the_parts_of_its_values() -> None:
    """The others are the same objects, and what Envoy gets of them the same to the byte."""
    first = in_parts(Rules(rules(2000), DENY), "r1", linear=4)
    assert first is not None
    again = in_parts(Rules(rules(2000, changed=7), DENY), "r2", linear=4, before=first)
    assert again is not None
    changed = {number for number in range(PARTS) if again.filters[number] != first.filters[number]}
    assert changed == {part_of("/7"), part_of("/changed")}
    assert again.layout == first.layout
    assert again.picking == first.picking
    fresh = in_parts(Rules(rules(2000, changed=7), DENY), "r1", linear=4)
    assert fresh is not None
    assert fresh.filters == again.filters


def test_another_text_is_another_layout() -> None:
    """Attributes, the picking filter and parts of two layouts do not understand each other."""
    first = in_parts(Rules(rules(2000), DENY), "r1", linear=4)
    subjects = [Entry(one_of(SUBJECT, [f"u{at}"]), Verdict.ALLOW, str(at)) for at in range(2000)]
    second = in_parts(Rules(subjects, DENY), "r2", linear=4, before=first)
    assert first is not None
    assert second is not None
    assert second.layout.name != first.layout.name
    assert [text.state for text in second.texts] == ["palisade.claim.corp:sub"]
    assert all(a != b for a, b in zip(first.filters, second.filters, strict=True))


def test_a_layout_that_comes_again_is_not_the_one_of_before() -> None:
    """Parts of back then may still be in the sidecar, changed since by revisions of the past."""
    first = in_parts(Rules(rules(2000), DENY), "r1", linear=4)
    later = in_parts(Rules(rules(2000), DENY), "r1", linear=4, before=None, again=True)
    assert first is not None
    assert later is not None
    assert first.layout.form == later.layout.form
    assert first.layout.name != later.layout.name
