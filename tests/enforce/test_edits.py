"""Compiling an edited set from what the one before came to: always what it comes to by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from palisade import rego
from palisade.enforce.envoy import cases
from palisade.enforce.envoy.conditions import lower
from palisade.enforce.envoy.conditions.lower import Lowering
from palisade.enforce.envoy.decision import Decision, decide
from palisade.enforce.envoy.matchers import sizes
from palisade.enforce.envoy.matchers.bounds import Bounds, Reason
from palisade.enforce.envoy.matchers.coarse import asked_of_texts
from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import YES, OneOf, header_text
from palisade.policy.numbering import Numbering
from palisade.rego.errors import Diagnostic, Location
from palisade.rego.lines import ROWS
from palisade.rego.partial import Outcome, evaluate
from palisade.rego.partial.formulas.formula import Formula

HEAD = "package authz\n\ndefault allow := false\n\n"
KEPT = HEAD + 'allow if input.attributes.request.http.path == "/kept"\n'

_TOLD_OF_A_LOOP = """allow if {
	some one in union({group | some group in input.parsed_body.groups})
	one == input.parsed_path[1]
}
"""
"""Why this is the engine's is said in words that name a member of the loop."""

_MESSAGES = (
    'package authz\n\nallow := {"allowed": false, "body": concat(",", deny)} if count(deny) > 0\n\n'
    + "".join(
        f'deny contains "{each}" if input.attributes.request.http.headers.{each}\n' for each in "abcdef"
    )
)
"""So many that each is a condition in the answer itself."""

EDITS: dict[str, tuple[str, str]] = {
    "a constant": (
        'package authz\n\nallow if input.parsed_path == ["a"]\n',
        'package authz\n\nallow if input.parsed_path == ["b"]\n',
    ),
    "paths are looked into no more": (
        'package authz\n\nallow if input.parsed_path[1] == "a"\n',
        'package authz\n\nallow if input.attributes.request.http.method == "GET"\n',
    ),
    "residual no more": (
        'package authz\n\nallow if crypto.sha256(input.attributes.request.http.path) == "00"\n',
        'package authz\n\nallow if input.attributes.request.http.method == "GET"\n',
    ),
    "loops over a claim": (
        "package authz\n\n"
        + "".join(f'allow if "r{at}" in input.identity.claims.roles\n' for at in range(6)),
        "package authz\n\n"
        + "".join(f'allow if "r{at}" in input.identity.claims.roles\n' for at in range(3)),
    ),
    "a loop before one that is told of": (
        "package authz\n\nallow if { some x in input.identity.claims.groups; x == input.parsed_path[0] }\n\n"
        + _TOLD_OF_A_LOOP,
        "package authz\n\n" + _TOLD_OF_A_LOOP,
    ),
    "an answer": (
        'package authz\n\nallow := {"allowed": false, "http_status": 418} if input.parsed_path[0] == "tea"\n',
        'package authz\n\nallow := {"allowed": false, "http_status": 451} if input.parsed_path[0] == "tea"\n',
    ),
    "the condition of a message": (
        _MESSAGES + 'deny contains "g" if input.parsed_path[0] == "tea"\n',
        _MESSAGES + 'deny contains "g" if input.parsed_path[0] == "coffee"\n',
    ),
    "lines move": (
        "package authz\n\nallow if input.identity.claims.a\n",
        "package authz\n\n\n\nallow if input.identity.claims.a\n",
    ),
}


def _decided(
    modules: Mapping[str, str], before: tuple[rego.Policy, Outcome, Decision] | None, providers: list[str]
) -> tuple[rego.Policy, Outcome, Decision]:
    policy = rego.compile(modules, previous=before[0] if before else None)
    outcome = evaluate(
        policy.plan(["data.authz.allow"]),
        ("authz", "allow"),
        policy.data,
        None,
        before[1] if before else None,
    )
    return policy, outcome, decide(outcome, providers, before[2] if before else None)


def _shown(made: tuple[rego.Policy, Outcome, Decision]) -> Any:
    """What a decision comes to, by the rows where rules stand now."""
    policy, _, decision = made
    numbering = Numbering(policy.lines)

    def name(entry: Entry) -> Entry:
        rule = unquote(entry.name.removeprefix(entry.answer))
        return replace(entry, name=entry.answer + numbering.shown(rule))

    def place(location: Location) -> Location:
        return policy.lines.get(location.file, ROWS).now(location)

    def reasons(found: Iterable[Reason]) -> list[Reason]:
        moved = (replace(each, location=place(each.location)) for each in found)
        return sorted(moved, key=lambda each: (each.location, each.text))

    coverage = [
        replace(each, location=place(each.location), reasons=tuple(reasons(each.reasons)))
        for each in decision.coverage
    ]
    entries = [name(each) for each in decision.entries]
    return entries, name(decision.default), coverage, decision.answers, reasons(decision.doubts)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("providers", [["one"], ["one", "two"], []])
def test_there_and_back(edit: str, providers: list[str]) -> None:
    """Rules for Envoy, their order, the account, answers and doubts are those of the set by itself."""
    made = None
    for text in (EDITS[edit][0], EDITS[edit][1], EDITS[edit][0]):
        modules = {"kept.rego": KEPT, "edited.rego": text}
        made = _decided(modules, made, providers)
        assert _shown(made) == _shown(_decided(modules, None, providers))


def test_providers_that_change_are_looked_at_again() -> None:
    """The same conditions on claims come to other predicates where another issuer is added."""
    modules = {"kept.rego": KEPT, "edited.rego": 'package authz\n\nallow if input.identity.claims.a == "x"\n'}
    before = _decided(modules, None, ["one"])
    after = _decided(modules, before, ["one", "two"])
    assert _shown(after) == _shown(_decided(modules, None, ["one", "two"]))
    assert _shown(after) != _shown(before)


_PIECES = [
    'allow if input.attributes.request.http.path == "/a"',
    'allow if input.attributes.request.http.path == "/b"',
    'allow if { input.attributes.request.http.path == "/b"; "r" in input.identity.claims.roles }',
    'allow if startswith(input.attributes.request.http.path, "/c")',
    "allow := false if input.identity.claims.blocked",
    'allow if crypto.sha256(input.attributes.request.http.path) == "00"',
    "allow if helps",
    'helps if input.attributes.request.http.method == "GET"',
    'helps if input.identity.claims.sub == "x"',
    "# nothing",
    'allow if {\n\tinput.attributes.request.http.path == "/d"\n\tinput.x\n} else := false if {\n\tinput.y\n}',
    'allow := {"allowed": false, "http_status": 418} if input.identity.claims.tea',
    "allow if data.authz.owns",
    'owns if input.identity.claims.sub == "y"\n\nowns if {\n\tinput.z > 1\n}',
]


@st.composite
def _edits(draw: st.DrawFn) -> list[list[str]]:
    """A file, and what it becomes where a rule comes, goes, moves, or changes, in turn."""
    pieces = draw(st.lists(st.sampled_from(_PIECES), min_size=4, max_size=8))
    steps = [list(pieces)]
    for _ in range(draw(st.integers(1, 3))):
        at, to = draw(st.integers(0, len(pieces) - 1)), draw(st.integers(0, len(pieces) - 1))
        match draw(st.sampled_from(["comes", "goes", "moves", "changes"])):
            case "comes":
                pieces.insert(at, draw(st.sampled_from(_PIECES)))
            case "goes" if len(pieces) > 1:
                pieces.pop(at)
            case "moves":
                pieces.insert(to, pieces.pop(at))
            case _:
                pieces[at] = draw(st.sampled_from(_PIECES))
        steps.append(list(pieces))
    return steps


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(_edits(), min_size=1, max_size=2).map(lambda found: [step for each in found for step in each])
)
def test_any_edits_of_one_file_come_to_what_the_set_does_by_itself(steps: list[list[str]]) -> None:
    """Rules come, go, change and move within a file: errors, places, rules for Envoy, account are those of
    the set compiled from nothing."""
    made = None
    for step in steps:
        modules = {"a.rego": HEAD + "\n".join(step)}
        errors = _errors(modules, None)
        assert _errors(modules, made[0] if made else None) == errors
        if not errors:
            with pytest.MonkeyPatch.context() as patched:
                # Few rules are taken over together, as thousands are else.
                patched.setattr(cases, "_FEWEST_TOGETHER", 1)
                patched.setattr(cases, "_MOST_TOGETHER", 3)
                made = _decided(modules, made, ["one"])
            assert _shown(made) == _shown(_decided(modules, None, ["one"]))


@pytest.mark.long
def test_rules_before_and_behind_an_edit_are_taken_over_together() -> None:
    """Where they end alike, and however many edits there were before."""
    count = 1000
    made = None
    for turn in range(8):
        rules = [f'allow if input.attributes.request.http.path == "/{at}"' for at in range(count)]
        rules[100 * turn] = f'allow if input.attributes.request.http.path == "/edited/{turn}"'
        rules.insert(
            500, "# a line more" if turn % 2 else "allow if input.attributes.request.http.path == `/x`"
        )
        before = made
        made = _decided({"a.rego": HEAD + "\n".join(rules)}, before, ["one"])
        assert made[2].lowered is not None
        stretches = made[2].lowered.known.stretches
        assert sum(len(each.cases) for each in stretches) > count - 100
        if before is not None and before[2].lowered is not None:
            known = set(map(id, before[2].lowered.known.stretches))
            assert len(known & set(map(id, stretches))) >= len(stretches) - 4
        assert _shown(made) == _shown(_decided({"a.rego": HEAD + "\n".join(rules)}, None, ["one"]))


def _beside_a_list(last: int, banned: int) -> Mapping[str, str]:
    """`allow if { ok; not banned }` with 300 rules for `ok`, of which the last is on that path."""
    path, roles = "input.attributes.request.http.path", "input.identity.claims.roles"
    ok = (f'ok if {{ {path} == "/{at}"; "role{at}" in {roles} }}' for at in (*range(299), last))
    names = ", ".join(f'"user{at}"' for at in range(banned))
    allow = f"allow if {{ ok; not input.identity.claims.sub in {{{names}}} }}"
    return {"a.rego": HEAD + "\n".join((*ok, allow))}


def test_of_many_alternatives_only_those_that_changed_are_lowered_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All ten thousand rules of a helper were, as they are one condition with the list beside them."""
    lowered = list[object]()
    combine = Lowering._combine

    def counted(self: Lowering, node: Formula) -> Bounds:
        lowered.append(node)
        return combine(self, node)

    monkeypatch.setattr(Lowering, "_combine", counted)
    made = None
    for last, banned in ((299, 5), (299, 6), (1000, 6), (1001, 5)):
        lowered.clear()
        before, made = made, _decided(_beside_a_list(last, banned), made, ["one"])
        assert (len(lowered) < 20) is (before is not None)
        assert _shown(made) == _shown(_decided(_beside_a_list(last, banned), None, ["one"]))


@pytest.mark.parametrize("table", [True, False])
def test_of_what_has_no_room_only_requests_for_its_paths_are_the_engines(
    table: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table, or rules, beyond the room that there is left each request to the engine that nothing else
    decided; and all rules were lowered twice at each edit."""
    monkeypatch.setattr(sizes, "MOST_IN_ALL", 900)
    lowered = list[object]()
    shorten = cases.shortened
    monkeypatch.setattr(cases, "shortened", lambda *each: lowered.append(each) or shorten(*each))
    made = None
    for edited in ("/7", "/new", "/7"):
        paths = [edited if at == 7 else f"/{at}" for at in range(400)]
        asks = 'input.attributes.request.http.method == "GET"; input.attributes.request.http.host == "h"'
        rules = [f'allow if {{ input.attributes.request.http.path == "{path}"; {asks} }}' for path in paths]
        if table:
            asked = "input.attributes.request.http.path == path; input.attributes.request.http.host == path"
            rules = [f"allow if {{ some path in {json.dumps(paths)}; {asked}; {asks.split(';')[0]} }}"]
        modules = {"a.rego": HEAD + "\n".join(rules)}
        lowered.clear()
        before, made = made, _decided(modules, made, ["one"])
        assert (len(lowered) <= 2) or before is None
        assert _shown(made) == _shown(_decided(modules, None, ["one"]))
        residual = [each.predicate for each in made[2].entries if each.verdict is Verdict.RESIDUAL]
        left = [each for each in residual if (OneOf, header_text(":path")) in asked_of_texts(each)]
        assert len(left) == (1 if table else 234)
        assert YES not in residual


@pytest.mark.long
def test_what_was_lowered_long_ago_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that runs for a year would else hold the rules of a year."""
    monkeypatch.setattr(lower, "_SPARE", 0)
    made, known = None, list[Lowering]()
    for turn in range(200):
        made = _decided(_beside_a_list(1000 + turn, 5), made, ["one"])
        assert made[2].lowered is not None
        known.append(made[2].lowered.lowering)
    assert 1 < len(set(map(id, known))) < 20


def _errors(modules: Mapping[str, str], previous: rego.Policy | None) -> Sequence[Diagnostic]:
    try:
        rego.compile(modules, previous=previous)
    except rego.CompileError as error:
        return error.errors
    return ()
