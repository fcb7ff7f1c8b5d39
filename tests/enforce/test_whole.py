"""A decision in one piece: made once, whatever it wants laid down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from lowered import FUNCTION, PROVIDERS, compile_policy

from palisade import rego
from palisade.enforce.envoy import whole as pieces
from palisade.enforce.envoy.answers.ends import RESIDUAL
from palisade.enforce.envoy.matchers.predicate import NO
from palisade.enforce.envoy.whole import Place, whole
from palisade.testing.equivalence import revision_of

SUBJECTS = rego.compile(
    {"p.rego": "package p\nallow if input.identity.claims.sub in data.subjects\n"},
    {"subjects": [f"user{n}" for n in range(10)]},
)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that grows by each tree that is built."""
    found: list[Any] = []
    build = pieces.build

    def counted(*given: Any, **named: Any) -> Any:
        found.append(given)
        return build(*given, **named)

    monkeypatch.setattr(pieces, "build", counted)
    return found


def test_a_decision_that_wants_texts_laid_down_is_built_once(built: list[Any]) -> None:
    """It was built again with the question whether those are of this revision: of tens of thousands of rules
    that took seconds twice. For the next revision it is built again where other rules come."""
    decision = compile_policy(SUBJECTS, "p.allow", PROVIDERS)
    revision = revision_of(SUBJECTS, "p/allow", PROVIDERS, function=FUNCTION)
    first = whole(Place(decision, None, NO), revision, None, 4)
    assert first.texts
    assert len(built) == 1
    assert whole(Place(decision, None, NO), revision, None, 4, first.built) == first
    assert len(built) == 1
    none = replace(decision, entries=())
    assert whole(Place(none, None, NO), revision, None, 4, first.built).filter != first.filter
    assert len(built) == 2


ANSWERS = """package p

import input.attributes.request.http

default allow := {"allowed": false, "body": "no right"}

allow := {"allowed": true} if http.path in data.paths

allow := {"allowed": true} if { http.method == "GET"; startswith(http.path, "/api/") }

allow := {"allowed": false, "http_status": 404} if http.path == "/none"

allow := {"allowed": false, "http_status": 410} if { http.path == "/none"; http.method == "PUT"; false }

allow := {"allowed": false, "http_status": 401, "body": "who"} if { not input.identity; http.path == "/mine" }

allow := {"allowed": true} if input.identity.claims.sub in data.subjects
"""


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("default", "# a line\ndefault", False),
        ('"who"', '"you"', False),
        ('"who"', '"no right"', False),  # with another status it is another answer
        ('401, "body": "who"', "404", True),  # they may change places now
        ('"PUT"; false', '"PUT"', True),
        ('"/mine"', '"/yours"', True),
        ('"body": "who"', '"body": http.path', True),
    ],
)
def test_rules_that_are_only_called_otherwise_have_the_tree_of_before(
    old: str, new: str, again: bool, built: list[Any]
) -> None:
    """The names that Envoy reports have in them the line of a rule, and which answer it gives: of a thousand
    roles the tree was built again, for a second, where a line came, or a text was another."""
    data = {"paths": [f"/{n}" for n in range(20)], "subjects": [f"user{n}" for n in range(10)]}
    before = None
    for text in (ANSWERS, ANSWERS.replace(old, new), ANSWERS):
        policy = rego.compile({"p.rego": text}, data)
        revision = revision_of(policy, "p/allow", PROVIDERS, function=FUNCTION)
        place = Place(compile_policy(policy, "p.allow", PROVIDERS), None, NO)
        afresh = whole(place, revision, None, 4)
        built.clear()
        found = whole(place, revision, None, 4, before)
        assert bool(built) is (again or before is None)
        assert found == afresh
        before = found.built


def test_what_was_laid_down_for_another_revision_is_not_read() -> None:
    """Between the changes of two filters a request is the engine's, whatever else the rules say."""
    decision = compile_policy(SUBJECTS, "p.allow", PROVIDERS)
    revision = revision_of(SUBJECTS, "p/allow", PROVIDERS, function=FUNCTION)
    rbac, laid, *_ = whole(Place(decision, None, NO), revision, None, 4)
    assert laid
    assert isinstance(rbac, RBAC)
    first = rbac.matcher.matcher_list.matchers[0]
    asked = first.predicate.not_matcher.single_predicate
    assert asked.value_match.exact == revision.marked
    assert RESIDUAL.encode() in first.on_match.action.typed_config.value
