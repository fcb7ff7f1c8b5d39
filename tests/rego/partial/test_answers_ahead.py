"""What is known ahead of `http.send` is taken as it is, and for no other request and no other answer."""

from __future__ import annotations

from typing import Any

import pytest

from palisade import rego
from palisade.rego.partial import Outcome, evaluate
from palisade.rego.partial.formulas.terms import Known
from palisade.rego.values import Key

REQUEST = {
    "method": "GET",
    "url": "https://a.example/level",
    "force_cache": True,
    "force_cache_duration_seconds": 300,
}
RULE = """package authz

level := http.send({
	"method": "GET",
	"url": "https://a.example/level",
	"force_cache": true,
	"force_cache_duration_seconds": 300,
}).body.level

allow := level
"""


def outcome(text: str, sent: dict[Key, Any], before: Outcome | None = None) -> Outcome:
    policy = rego.compile({"a.rego": text})
    return evaluate(
        policy.plan(["data.authz.allow"]), ("authz", "allow"), policy.data, None, before, answers={**sent}
    )


def values(found: Outcome) -> list[Any]:
    """What the rule may come to, in order; what only the evaluator knows is an ellipsis."""
    return [
        each.value.value if isinstance(each.value, Known) else ... if each.value is not None else None
        for each in found.cases
    ]


def sent(level: Any) -> dict[Key, Any]:
    return {Key(REQUEST): {"status_code": 200, "body": {"level": level}}}


def test_the_answer_is_the_value() -> None:
    found = outcome(RULE, sent(3))
    assert values(found)[0] == 3
    assert ... not in values(found)
    assert found.asks == {Key(REQUEST)}


def test_nothing_is_known_without_one() -> None:
    found = outcome(RULE, {})
    assert ... in values(found)
    assert found.asks == {Key(REQUEST)}, "so that somebody fetches it"


@pytest.mark.parametrize(
    "changed",
    [{"url": "https://b.example/level"}, {"force_cache_duration_seconds": 600}, {"raise_error": False}],
)
def test_the_answer_to_another_request_is_none(changed: dict[str, Any]) -> None:
    assert ... in values(outcome(RULE, {Key({**REQUEST, **changed}): {"body": {"level": 3}}}))


def test_what_is_to_be_asked_when_somebody_asks_is_not_told() -> None:
    assert outcome(RULE.replace("300", "3"), {}).asks == frozenset()
    assert outcome(RULE.replace('"GET"', '"POST"'), {}).asks == frozenset()


@pytest.mark.parametrize(("first", "second"), [(1, True), (1, 2), (0, False), ("1", 1)])
def test_another_answer_is_evaluated_anew(first: Any, second: Any) -> None:
    """Also one that is equal to Python, and not to Rego."""
    before = outcome(RULE, sent(first))
    after = outcome(RULE, sent(second), before)
    expected = [second] if second is not False else [False]
    assert [(type(each), each) for each in values(after)[:1]] == [(type(each), each) for each in expected]


def test_an_edit_of_another_rule_still_asks() -> None:
    """Blocks that are as before are not evaluated again, and what they ask for is asked all the same."""
    before = outcome(RULE, sent(3))
    after = outcome(f"{RULE}\nother := 1\n", sent(3), before)
    assert after.asks == {Key(REQUEST)}
    assert values(after) == values(before)


def test_an_edit_that_asks_nobody_any_more() -> None:
    before = outcome(RULE, sent(3))
    assert outcome("package authz\n\nallow := 3\n", sent(3), before).asks == frozenset()


def test_one_answer_names_what_is_asked_next() -> None:
    """As a discovery document names the keys."""
    text = """package authz

ask(url) := http.send({"method": "GET", "url": url, "force_cache": true, "force_cache_duration_seconds": 300})

allow := ask(ask("https://a.example/level").body.next).raw_body
"""
    following = Key({**REQUEST, "url": "https://a.example/next"})
    found = outcome(text, {Key(REQUEST): {"body": {"next": "https://a.example/next"}}})
    assert found.asks == {Key(REQUEST), following}
