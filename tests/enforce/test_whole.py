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


def test_a_decision_that_wants_texts_laid_down_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was built again with the question whether those are of this revision: of tens of thousands of rules
    that took seconds twice. For the next revision it is built again where other rules come."""
    built: list[Any] = []
    build = pieces.build

    def counted(*given: Any, **named: Any) -> Any:
        built.append(given)
        return build(*given, **named)

    monkeypatch.setattr(pieces, "build", counted)
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
