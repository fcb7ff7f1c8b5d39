"""What the decision log hides of a request, an explanation of it does not show."""

from __future__ import annotations

from typing import Any

import pytest
from explain_helpers import request

from palisade.decide.mask import REDACTED, Mask
from palisade.explain.discreet import Discreet
from palisade.explain.edits import HTTP, Change
from palisade.rego.values import UNDEFINED

DOCUMENT = request(
    "POST",
    "/a?token=t0ken-value&q=open",
    authorization="Bearer hushed-value",
    cookie="a=1",
    x_mine="my-own-value",
)
MASK = Mask().also(headers=frozenset(("x-mine",)))


@pytest.mark.parametrize(
    "text", ["Bearer hushed-value", "hushed-value", "x hushed-value y", "t0ken-value", "my-own-value"]
)
def test_secrets_are_found_wherever_a_policy_takes_them(text: str) -> None:
    discreet = Discreet(DOCUMENT, MASK)
    shown = discreet.value({"a": [text], "b": text.upper()})
    assert text not in str(shown)
    assert REDACTED in shown["a"][0]


def test_all_headers_at_once_are_shown_without_those_that_are_secret() -> None:
    shown = Discreet(DOCUMENT, MASK).value(DOCUMENT["attributes"]["request"]["http"]["headers"])
    assert shown["authorization"] == shown["cookie"] == shown["x-mine"] == REDACTED
    assert "t0ken-value" not in str(shown)


def test_other_values_are_shown_as_they_are() -> None:
    discreet = Discreet(DOCUMENT, MASK)
    for value in ("open", "/a", {"x-user": "alice"}, [1, None, True], "a"):
        assert discreet.value(value) == value


def test_bodies_are_secret_where_that_is_asked() -> None:
    document: Any = {**DOCUMENT, "parsed_body": {"password": "in-the-body"}}
    assert Discreet(document, MASK).value("in-the-body") == "in-the-body"
    assert Discreet(document, MASK, bodies=True).value("in-the-body") == REDACTED
    assert Discreet(document, MASK, bodies=True).value(document)["parsed_body"] == REDACTED


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ((*HTTP, "headers", "authorization"), True),
        ((*HTTP, "headers", "x-mine"), True),
        ((*HTTP, "headers", "x-user"), False),
        (("parsed_query", "token", 0), True),
        (("parsed_query", "q", 0), False),
        (("identity", "claims", "sub"), False),
    ],
)
def test_what_a_policy_wants_of_a_secret_is_one(path: tuple[Any, ...], hidden: bool) -> None:
    assert Discreet(DOCUMENT, MASK).hides(Change(path, "value", UNDEFINED)) is hidden
