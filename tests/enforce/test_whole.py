"""A decision in one piece: made once, whatever it wants laid down."""

from __future__ import annotations

from typing import Any

import pytest
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
    that took seconds twice."""
    built: list[Any] = []
    build = pieces.build

    def counted(*given: Any, **named: Any) -> Any:
        built.append(given)
        return build(*given, **named)

    monkeypatch.setattr(pieces, "build", counted)
    decision = compile_policy(SUBJECTS, "p.allow", PROVIDERS)
    revision = revision_of(SUBJECTS, "p/allow", PROVIDERS, function=FUNCTION)
    _, laid, _ = whole(Place(decision, None, NO), revision, None, 4)
    assert laid
    assert len(built) == 1


def test_what_was_laid_down_for_another_revision_is_not_read() -> None:
    """Between the changes of two filters a request is the engine's, whatever else the rules say."""
    decision = compile_policy(SUBJECTS, "p.allow", PROVIDERS)
    revision = revision_of(SUBJECTS, "p/allow", PROVIDERS, function=FUNCTION)
    rbac, laid, _ = whole(Place(decision, None, NO), revision, None, 4)
    assert laid
    first = rbac.matcher.matcher_list.matchers[0]
    asked = first.predicate.not_matcher.single_predicate
    assert asked.value_match.exact == revision.marked
    assert RESIDUAL.encode() in first.on_match.action.typed_config.value
