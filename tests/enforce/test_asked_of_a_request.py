"""How much Envoy asks of one request: of expressions, each takes it as long as twenty looks at a header."""

from __future__ import annotations

from typing import Any

import pytest
from published import read
from stand import Stand

from palisade.explain.sidecar import cel, decided, sight


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("03-audience-and-scopes", 1),
        ("06-tenant-header", 2),
        ("18-claims-to-headers", 1),
        ("38-relations", 0),
    ],
)
def test_a_good_token_is_asked_for_its_age_once(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    """Whether it is so old that it is refused, or too new, and whether it is neither, were five expressions;
    of relations between users and objects there were fifty-seven."""
    policy = read(name)
    snapshot = stand.enforce(policy.policy_set, policy.decision, keys=policy.keys).snapshot
    request = next(request for request, status in policy.requests if status == 200)
    assert stand.send(request).status == 200
    [event] = stand.log(1)
    assert event["palisade"]["decider"] == "native"
    document = event["input"]
    document["attributes"]["request"]["http"]["headers"].update(request.headers)  # of which none is logged
    asked: list[Any] = []

    def holds(expression: Any, seen: Any) -> bool:
        asked.append(expression)
        return found(expression, seen)

    found = cel.holds
    monkeypatch.setattr(cel, "holds", holds)
    assert decided(snapshot, sight(snapshot, document)).allowed
    assert len(asked) <= most, asked
