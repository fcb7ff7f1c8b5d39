"""Of a request that makes a difference nothing is left but what makes it."""

from __future__ import annotations

from palisade.testing.equivalence import Request, Token
from palisade.testing.equivalence.callers import Caller
from palisade.testing.equivalence.smallest import smallest

LARGE = Request(
    "POST",
    "/users/alice/orders?role=admin&x=%61",
    (("x-user", "alice"), ("cookie", "a=b"), ("X-User", "bob")),
    Token("corp", {"sub": "alice", "roles": ["admin", {"deep": [1, 2]}], "tier": 7}, spoiled=True),
    "body",
    "10.0.0.1",
    caller=Caller(("spiffe://a/b", "spiffe://c/d"), ("a.example",), "a"),
)


def test_of_a_certificate_the_name_that_makes_the_difference_is_left() -> None:
    found = smallest(
        LARGE,
        lambda batch: [each.caller is not None and "spiffe://c/d" in each.caller.uris for each in batch],
    )
    assert found == Request(caller=Caller(("spiffe://c/d",)))


def test_nothing_is_left_where_everything_differs() -> None:
    assert smallest(LARGE, lambda batch: [True] * len(batch)) == Request()


def test_what_makes_the_difference_stays() -> None:
    def differs(batch: list[Request]) -> list[bool]:
        return [
            "role=admin" in each.target
            and each.token is not None
            and any(isinstance(role, dict) for role in each.token.claims.get("roles", []))
            for each in batch
        ]

    found = smallest(LARGE, differs)
    assert found == Request("GET", "/role=admin", (), Token("corp", {"roles": [{}]}))


def test_a_request_is_sent_over_http2_only_where_it_must() -> None:
    """As the simplest line for curl is one of HTTP/1.1."""
    sent = Request(
        headers=((":authority", "a.test"), ("x-user", "alice"), ("te", "trailers")),
        http2=True,
        trailers=(("x-last", "1"),),
    )
    assert smallest(sent, lambda batch: [True] * len(batch)) == Request()
    assert smallest(sent, lambda batch: [bool(each.trailers) for each in batch]) == Request(
        http2=True, trailers=sent.trailers
    )


def test_repeated_headers_stay_where_both_are_needed() -> None:
    def differs(batch: list[Request]) -> list[bool]:
        return [sum(name.lower() == "x-user" for name, _ in each.headers) == 2 for each in batch]

    assert smallest(LARGE, differs) == Request(headers=(("x-user", ""), ("x-user", "")))
