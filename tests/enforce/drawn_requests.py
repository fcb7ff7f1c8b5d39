"""Requests for policies that are drawn: near misses in case, type, encoding and spelling among them.

Constants come from the same small pool as those of the policies.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from palisade.testing.equivalence import Request, Token
from palisade.testing.equivalence.protocols import over_http2
from palisade.testing.equivalence.shape import sendable

WORDS = ("alice", "bob", "admin", "users", "orders", "v1", "public", "eu")
NEAR = (
    "Alice",
    "ADMIN",
    "alic",
    "alicee",
    "",
    "a b",
    "ali/ce",
    "b%6fb",
    "ü",
    "a,b",
    "eu ",
    "1",
    "true",
    "ſ",
    "K",
)
METHODS = ("GET", "POST", "PUT", "DELETE")
HEADERS = ("x-user", "x-tenant", "x-none")
CLAIMS = ("sub", "roles", "tier", "admin", "org", "scope", "aud")

DATA: dict[str, Any] = {
    "roles": {"alice": ["admin", "eu"], "bob": ["users"], "": [], "eu": "admin"},
    "grants": {
        "admin": [{"method": "GET", "first": "users"}, {"method": "POST", "first": "orders"}],
        "users": [{"method": "GET", "first": "orders"}],
    },
    "team": {"alice": "eu", "bob": "public", "v1": "alice"},
    "leads": {"alice": ["bob", "eu"], "bob": ["users", "alice"], "users": [], "eu": ["admin"], "admin": []},
    "open": ["/public", "/v1/users", "/"],
    "banned": {"bob": True, "alice": False},
    "levels": {"alice": 3, "bob": 0, "admin": 2},
}


_word = st.sampled_from((*WORDS, *WORDS, *NEAR))
_leaf = st.one_of(_word, st.sampled_from((0, 1, 2, 3, 2.5, -1, True, False, None)))
_roles = st.one_of(
    *(
        st.lists(_word, max_size=3),
        st.lists(_leaf, max_size=3),
        _leaf,
        st.lists(_word, min_size=7, max_size=10),
    )
)
_org = st.fixed_dictionaries(
    {}, optional={"id": _leaf, "tags": _roles, "plan": st.sampled_from(("eu", 1, None, {"a": 1}))}
)
_odd = st.one_of(_leaf, _roles, _org)
_claims = st.fixed_dictionaries(
    {},
    optional={
        "sub": st.one_of(_word, _word, _odd),
        "roles": st.one_of(_roles, _roles, _odd, st.dictionaries(_word, _leaf, max_size=2)),
        "tier": st.one_of(st.sampled_from((0, 1, 2, 3, 2.5, 1e300, -1)), _odd),
        "admin": st.one_of(st.booleans(), _odd),
        "org": st.one_of(_org, _org, _odd),
        "scope": st.one_of(st.lists(_word, max_size=3).map(" ".join), _odd),
        "aud": st.one_of(st.just("orders"), st.just(["orders", "eu"])),
    },
)
tokens = st.one_of(
    st.none(),
    st.builds(Token, st.just("corp"), _claims),
    st.builds(Token, st.just("corp"), _claims),
    st.builds(Token, st.just("corp"), _claims),
    st.builds(Token, st.just("partner"), _claims),
    st.builds(Token, st.just("corp"), _claims, st.just(True)),
)
_ENCODED = (
    "%61lice",
    "a%20b",
    "%2561",
    "bob%2e",
    "%2e%2e",
    "%2Fusers",
    "users%2forders",
    "%zz",
    "%",
    "a%00b",
    "%ff",
    "%C3%BC",
    "ü",
    "a+b",
    "users;v=1",
    "us%3fers",
    "%23",
    "a%5Cb",
)
_segment = st.sampled_from((*WORDS, *WORDS, *WORDS, "", ".", "..", "Users", "1", "a.b", "~", *_ENCODED))
_query = st.sampled_from(
    (
        *(
            "",
            "",
            "",
            "",
            "?",
            "?role=admin",
            "?role=eu&role=admin",
            "?role",
            "?role=",
            "?ROLE=admin",
            "?x=1&role=%61dmin",
        ),
        *("?role=<&x=alice", "?role=1&id=%20&&x", "?=alice", "?x=&x=1&role=users", "?a+b=1&x=a+b"),
        *("?role=admin%zz", "?role=a;b", "?role=adm+in", "#admin", "?/users", "?a=/public"),
    )
)


@st.composite
def _targets(draw: st.DrawFn) -> str:
    segments = draw(st.lists(_segment, max_size=4))
    return "/" + "/".join(segments) + draw(_query)


_header = st.tuples(
    st.sampled_from((*HEADERS, *HEADERS, "X-User", "x_user", "X-TENANT", "host", "cookie")),
    st.one_of(
        _word,
        st.sampled_from(
            (
                *("a b c", "alice,bob", "orders.example", "orders.example:80", "ORDERS.example"),
                *("alice=bob,bob=admin", "alice=1,alice=1", "alice=1,bob=,alice=2", "bob=<", "alice=alice"),
                *(",", "10.0.0.1", "YWxpY2U=", "xxYWxpY2U=", "1.2.0"),
            )
        ),
    ),
)
requests = st.builds(
    Request,
    st.sampled_from((*METHODS, "GET", "get", "HEAD", "OPTIONS", "PURGE")),
    _targets(),
    st.lists(_header, max_size=3).map(lambda found: tuple(_one_host(found))),
    tokens,
)


def _spelled(request: Request, seed: int) -> Request:
    """A third of them over HTTP/2, in the ways that only that can spell."""
    if seed % 3 != 1:
        return request
    return sendable(over_http2(request, random.Random(seed), WORDS))


# Of some an input does not tell what Envoy saw: bytes that are no UTF-8, space around a header. So what is
# read off inputs is asked with `requests` alone.
spelled = st.builds(_spelled, requests, st.integers(0, 1 << 16))


def _one_host(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    hosts = [each for each in headers if each[0] == "host"][:1]
    return [*hosts, *(each for each in headers if each[0] != "host")]
