"""Evaluating an edited set from what the one before came to: never anything but what it means by itself."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from agreement import blocks_followed, reference, said
from any_policies import documents, policies
from effort import examples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from outcome_answers import Unsure, answer

from palisade import rego
from palisade.rego.lines import ROWS
from palisade.rego.partial import Outcome, evaluate
from palisade.rego.partial.execution import execute
from palisade.rego.plan import memory
from palisade.rego.values import UNDEFINED

RULES = """package authz

default allow := false

allow if {
	input.method == "GET"
	input.path == "/open"
}

allow if owns

allow if {
	some role in data.roles[input.user]
	role == "admin"
}
"""
OWNS = 'package authz\n\nowns if input.owner == "alice"\n'
PATH = ("authz", "allow")


def _outcome(policy: rego.Policy, before: Outcome | None = None) -> Outcome:
    return evaluate(policy.plan(["data.authz.allow"]), PATH, policy.data, None, before)


def _compiled(modules: dict[str, str], data: Any = None, previous: rego.Policy | None = None) -> rego.Policy:
    return rego.compile(modules, data or {"roles": {"bob": ["admin"]}}, previous=previous)


def test_a_rule_that_did_not_change_has_the_very_same_condition() -> None:
    """What comes after recognizes it by that."""
    first = _compiled({"a.rego": RULES, "owns.rego": OWNS, "c.rego": "package authz\n\nallow if input.x\n"})
    before = _outcome(first)
    changed = {"a.rego": RULES, "owns.rego": OWNS, "c.rego": "package authz\n\nallow if input.y == 1\n"}
    after = _outcome(_compiled(changed, previous=first), before)
    same = [a.condition is b.condition for a, b in zip(before.cases, after.cases, strict=True)]
    assert same == [True, True, True, False, True]


def test_the_first_edit_finds_the_very_cases_of_the_run_from_nothing() -> None:
    """Lowering takes a case over where it is the same object: all of them were made anew for a first edit."""
    modules = {"a.rego": RULES, "owns.rego": OWNS}
    first = _compiled({**modules, "c.rego": "package authz\n\nallow if input.x\n"})
    before = _outcome(first)
    changed = {**modules, "c.rego": "package authz\n\nallow if input.y == 1\n"}
    after = _outcome(_compiled(changed, previous=first), before)
    same = [a is b for a, b in zip(before.cases, after.cases, strict=True)]
    assert same == [True, True, True, False, True]


def test_a_rule_follows_what_it_calls() -> None:
    """The caller's text is the same, what it calls is not."""
    first = _compiled({"a.rego": RULES, "owns.rego": OWNS})
    before = _outcome(first)
    second = _compiled({"a.rego": RULES, "owns.rego": OWNS.replace("alice", "carol")}, previous=first)
    after = _outcome(second, before)
    assert answer(before, {"owner": "alice"}) is True
    assert answer(after, {"owner": "alice"}) is False
    assert answer(after, {"owner": "carol"}) is True


def test_a_rule_follows_the_data() -> None:
    """No text changed, only what a table holds."""
    modules = {"a.rego": RULES, "owns.rego": OWNS}
    first = _compiled(modules)
    before = _outcome(first)
    after = _outcome(_compiled(modules, {"roles": {"carol": ["admin"]}}, first), before)
    assert answer(before, {"user": "bob"}) is True
    assert answer(after, {"user": "bob"}) is False
    assert answer(after, {"user": "carol"}) is True


def test_a_name_that_becomes_a_document_is_one_from_then_on() -> None:
    """A reference into data means something else once a rule stands there; the rule with it is the same."""
    rule = "package authz\n\nallow if data.other.flag == input.x\n"
    first = _compiled({"a.rego": rule}, {"other": {}})
    before = _outcome(first)
    second = _compiled({"a.rego": rule, "b.rego": "package other\n\nflag := 7\n"}, {"unused": 1}, first)
    after = _outcome(second, before)
    assert answer(before, {"x": 7}) is UNDEFINED
    assert answer(after, {"x": 7}) is True


def test_strings_of_the_past_are_in_no_plan() -> None:
    """A plan that names `body` has bodies sent to the engine: it must not, for a rule that is gone."""
    first = _compiled({"a.rego": RULES, "owns.rego": 'package authz\n\nowns if input.body == "x"\n'})
    assert "body" in first.plan(["data.authz.allow"]).strings
    second = _compiled({"a.rego": RULES, "owns.rego": OWNS}, previous=first)
    assert "body" not in second.plan(["data.authz.allow"]).strings
    assert "admin" in second.plan(["data.authz.allow"]).strings


def test_a_long_row_of_edits_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known of earlier texts goes when it is more than what there is."""
    monkeypatch.setattr(memory, "_SPARE", 20)
    monkeypatch.setattr(execute, "_SPARE", 20)
    policy = _compiled({"a.rego": RULES, "owns.rego": OWNS})
    outcome = _outcome(policy)
    for number in range(60):
        text = OWNS.replace("alice", f"user{number}")
        policy = _compiled({"a.rego": RULES, "owns.rego": text}, previous=policy)
        outcome = _outcome(policy, outcome)
        assert answer(outcome, {"owner": f"user{number}"}) is True
        assert answer(outcome, {"owner": f"user{number - 1}"}) is False
    assert outcome.builder.size < 120
    assert len(policy.plan(["data.authz.allow"]).strings) < 60


def test_the_first_edit_after_many_new_rules_starts_from_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came at once is of the present, however small the set was before."""
    monkeypatch.setattr(execute, "_SPARE", 20)
    policy = _compiled({"a.rego": RULES, "owns.rego": OWNS})
    outcome = _outcome(policy)
    for number in range(3):
        asked = (f'owns if input.x{each} == "{each or number}"' for each in range(100))
        many = "\n\n".join(("", *asked))
        policy = _compiled({"a.rego": RULES, "owns.rego": OWNS + many}, previous=policy)
        before, outcome = outcome, _outcome(policy, outcome)
        assert outcome.builder is before.builder
        assert answer(outcome, {"x0": str(number)}) is True


@pytest.mark.long
@settings(max_examples=examples(15, 3), deadline=None, suppress_health_check=list(HealthCheck))
@given(policies(), policies(), policies(), st.lists(documents(), min_size=1, max_size=3), documents())
def test_generated_edits_mean_what_they_say(
    kept: str, old: str, new: str, asked: list[dict[str, Any]], base: dict[str, Any]
) -> None:
    """A file stays, one beside it is edited, there and back: each set means what the evaluator says."""
    policy, outcomes = None, dict[str, Outcome]()
    compiled = 0
    for source in (old, new, old):
        modules = {"a.rego": kept, "b.rego": source.replace("default ", "# default ")}
        try:
            policy = rego.compile(modules, {"base": base}, previous=policy)
        except rego.CompileError:
            continue
        compiled += 1
        fresh = rego.compile(modules, {"base": base})
        for rule in sorted(set(re.findall(r"^(r\w+)(?![\w(])", kept, re.MULTILINE))):
            plan = policy.plan([f"data.p.{rule}"])
            outcomes[rule] = evaluate(plan, ("p", rule), policy.data, None, outcomes.get(rule))
            for document in asked:
                try:
                    mine = said(outcomes[rule], document)
                except Unsure:
                    continue
                assert mine == reference(fresh, f"data.p.{rule}", document), (rule, document)
    assume(compiled > 1)


GIVEN = ("function",)


def _for(function: str, policy: rego.Policy, before: Outcome | None) -> Outcome:
    return evaluate(policy.plan(["data.authz.allow"]), PATH, policy.data, {GIVEN: function}, before)


def test_what_is_found_out_for_one_function_is_not_taken_for_another() -> None:
    """Runs for several functions start from each other, unless the rules ask which function it is."""
    asks = 'package authz\n\nallow if {\n\tinput.function == "a"\n\tinput.x == 1\n}\n'
    policy = _compiled({"a.rego": asks})
    first = _for("a", policy, None)
    second = _for("b", policy, first)
    assert answer(first, {"x": 1}) is True
    assert answer(second, {"x": 1}) is UNDEFINED
    assert answer(_for("a", policy, second), {"x": 1}) is True


def test_rules_that_come_to_ask_for_the_function_are_told_apart_from_then_on() -> None:
    """Both runs start from one that did not ask; what the first then finds out is not for the second."""
    quiet = {"a.rego": "package authz\n\nallow if input.x == 1\n"}
    asks = {"a.rego": 'package authz\n\nallow if {\n\tinput.x == 1\n\tinput.function == "a"\n}\n'}
    policy = _compiled(quiet)
    before_a = _for("a", policy, None)
    before_b = _for("b", policy, before_a)
    edited = _compiled(asks, previous=policy)
    assert answer(_for("a", edited, before_a), {"x": 1}) is True
    assert answer(_for("b", edited, before_b), {"x": 1}) is UNDEFINED


_ALIKE = [
    'allow if input.x == "a"',
    'allow if input.x == "b"',
    'allow if { input.x == "b"; input.y == 1 }',
    "allow if holds",
    "allow := false if input.z",
    "allow := true if input.z == 1",
    "holds if input.z == 1",
    "holds if input.z == 2",
    "",
]


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.lists(st.sampled_from(_ALIKE), min_size=4, max_size=7), min_size=2, max_size=5))
def test_rules_that_come_go_and_move_come_to_what_they_would_by_themselves(steps: list[list[str]]) -> None:
    """Conditions, values, places and order: a run goes along the one before as far as that is the same."""
    policy, outcome = None, None
    for step in steps:
        modules = {"a.rego": "package authz\ndefault allow := false\n" + "\n".join(step)}
        try:
            policy = rego.compile(modules, previous=policy)
        except rego.CompileError:
            continue
        outcome = _outcome(policy, outcome)
        fresh = _outcome(rego.compile(modules))
        lines = policy.lines.get("a.rego", ROWS)
        assert [(each.value, lines.now(each.label)) for each in outcome.cases] == [
            (each.value, each.label) for each in fresh.cases
        ]
        for document in ({"x": "a"}, {"x": "b", "y": 1}, {"x": "b", "z": 1}, {"z": 2}, {}):
            assert said(outcome, document) == said(fresh, document)


def _many(data: Any, previous: rego.Policy | None = None) -> rego.Policy:
    """Rules that read nothing of the data, or by a rule or a function, and one that looks a list up."""
    own = "\n".join(f'allow if {{ input.path == "/{n}"; "role{n}" in input.roles }}' for n in range(20))
    rest = (
        "allow if { input.org in data.orgs; input.x }\n"
        "allow if banned\nbanned if input.sub in data.banned\n"
        "allow if { input.y; within(input.z) }\nwithin(z) if z in data.deep.zones\n"
    )
    return rego.compile({"a.rego": f"package authz\n\n{own}\n{rest}"}, data, previous=previous)


_DATA: dict[str, Any] = {"orgs": ["a"], "banned": ["b"], "deep": {"zones": ["c"]}, "unused": 1}
_ASKED = [{"org": "a", "x": 1}, {"org": "n", "x": 1}, {"sub": "b"}, {"sub": "n"}]
_ASKED += [{"y": 1, "z": "c"}, {"y": 1, "z": "n"}, {"path": "/3", "roles": ["role3"]}]


@pytest.mark.parametrize(
    ("edited", "others"),
    [({"orgs": ["n"]}, 1), ({"banned": ["b", "n"]}, 1), ({"deep": {"zones": []}}, 1), ({"unused": 2}, 0)],
)
def test_an_edit_of_data_has_only_the_rules_that_read_it_followed_again(
    edited: dict[str, Any], others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of a list had ten thousand rules evaluated anew that do not look it up."""
    first = _many(_DATA)
    before = _outcome(first)
    second = _many(_DATA | edited, first)
    followed = blocks_followed(monkeypatch)
    after = _outcome(second, before)
    assert len(followed) <= 4 * others
    assert sum(a is not b for a, b in zip(before.cases, after.cases, strict=False)) <= others
    fresh = _outcome(_many(_DATA | edited))
    for document in _ASKED:
        assert said(after, document) == said(fresh, document)
        assert said(after, document) == reference(second, "data.authz.allow", document)


_READS = [
    "allow if input.a in data.one",
    "allow if data.deep[input.k][0] == input.a",
    "allow if { x := data.two; input.a in x }",
    'allow if { input.a == "p" with data.one as ["q"]; input.b }',
    "allow if { helps with data.one as [input.a] }",
    'allow if { helps with data.one as ["q"] }',
    "allow if helps",
    "allow if given(data.deep)",
    "allow if given(data.two)",
    "allow if { some n in data.deep[input.k]; n == input.b }",
    'allow if data.deep.three["x"] == input.b',
    "allow if { data.behind[input.k] }",
    "allow if { count(data.two) == 2; input.c }",
    "allow if { not input.a in data.two; input.c }",
    'allow if input.a == "lone"',
]
_HELPERS = "helps if input.b in data.one\ngiven(x) if input.b in x.one\ngiven(x) if input.b in x\n"
_BEHIND = "package behind\none if input.a in data.one\ntwo if input.a in data.two\n"
_SOME_DATA: list[Any] = [
    {"one": ["p"], "two": ["q"], "deep": {"three": {"x": "p"}}},
    {"one": ["p"], "two": ["q", "p"], "deep": {"three": {"x": "p"}}},
    {"one": ["q"], "two": ["q"], "deep": {"three": {"x": "q"}}},
    {"one": {"p": "p"}, "deep": {}},
    {"one": ["p"], "two": ["q"], "deep": {"three": {"x": "p"}, "one": ["z", "p"]}, "more": ["p"]},
    {"unused": 1},
]


@settings(max_examples=examples(80), deadline=None)
@given(
    st.lists(st.sampled_from(_READS), min_size=2, max_size=6, unique=True),
    st.lists(st.sampled_from(_SOME_DATA), min_size=2, max_size=5),
)
def test_edits_of_data_come_to_what_they_would_by_themselves(rules: list[str], steps: list[Any]) -> None:
    """However rules reach the data: by a name, by one of the request, whole, handed on, or replaced."""
    text = "package authz\ndefault allow := false\n" + "\n".join([*rules, _HELPERS])
    policy, outcome = None, None
    for data in steps:
        modules = {"a.rego": text, "b.rego": _BEHIND}
        policy = rego.compile(modules, data, previous=policy)
        outcome = _outcome(policy, outcome)
        fresh = _outcome(rego.compile(modules, data))
        assert [(each.value, each.label) for each in outcome.cases] == [
            (each.value, each.label) for each in fresh.cases
        ]
        for a, b in itertools.product("pqz", repeat=2):
            for key in ("one", "two", "helps"):
                document = {"a": a, "b": b, "k": key, "c": 1}
                try:
                    known = said(fresh, document)
                except Unsure:
                    with pytest.raises(Unsure):
                        said(outcome, document)
                    continue
                assert said(outcome, document) == known
                assert known == reference(policy, "data.authz.allow", document)
