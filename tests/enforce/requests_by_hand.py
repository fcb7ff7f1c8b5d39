"""Requests that meet policies as people write them, or nearly do; `policies_by_hand` has the policies."""

from __future__ import annotations

from typing import Any

from palisade.testing.equivalence import Request, Token


def _user(
    method: str = "GET", target: str = "/", headers: tuple[tuple[str, str], ...] = (), **claims: Any
) -> Request:
    return Request(method, target, headers, Token("corp", claims))


_CLAIMS: tuple[dict[str, Any], ...] = (
    {
        "sub": "alice",
        "roles": ["admin", "dev"],
        "aud": "orders",
        "scope": "read write",
        "tier": 2,
        "admin": True,
    },
    {"sub": "bob", "roles": ["viewer"], "aud": ["orders", "x"], "scope": "write", "tier": 1, "admin": False},
    {"sub": "mallory", "roles": [], "aud": [], "scope": "", "tier": 0, "admin": "true"},
    {"sub": "Alice", "roles": "admin", "aud": {"a": "orders"}, "scope": ["read"], "tier": "2", "admin": 1},
    {"sub": 1, "roles": {"a": "admin"}, "aud": None, "scope": None, "tier": None, "admin": None},
    {"sub": None, "roles": None, "scope": "reading", "tier": 1.5, "admin": {}},
    {"sub": ["alice"], "roles": ["admin", 1, None, True], "scope": "read", "tier": 1e300, "admin": []},
    {"sub": "", "roles": [["admin"]], "tier": -1, "tenant": "acme"},
    {"sub": "ünï", "roles": ["Admin"], "org": {"id": 7, "plan": "gold", "tags": ["blue", "red"]}},
    {
        "sub": "alice",
        "tenant": "acme",
        "org": {"id": "7", "plan": "free", "tags": "blue"},
        "groups": [{"name": "ops"}],
    },
    {
        "sub": "alice",
        "tenant": 5,
        "org": [7],
        "groups": [{"name": "ops", "level": 2}, "x"],
        "roles": ["blocked"],
    },
    {
        "sub": "alice",
        "tier": 1,
        "groups": {"a": {"name": "ops"}},
        "http://example.com/role": "admin",
        "org": None,
    },
)
_TARGETS = (
    *("/", "/public", "/public/", "/public/x", "/publicx", "/Public", "//public", "/public?x=1", "/public#x"),
    *(
        "/users",
        "/users/",
        "/users/alice",
        "/users/alice/",
        "/users/alice/orders",
        "/users/bob",
        "/users/Alice",
    ),
    *(
        "/users//alice",
        "/./users/alice",
        "/x/../users/alice",
        "/users/%61lice",
        "/users/alice%20",
        "/users%2Falice",
    ),
    *(
        "/users/%zz",
        "/users/alice%",
        "/users/alice?role=admin",
        "/users/123",
        "/users/123?x",
        "/%75sers/alice",
    ),
    *("/orders", "/orders/1.json", "/orders?role=x&role=admin", "/orders?role=admin", "/orders?role=%61dmin"),
    *(
        "/health",
        "/%61",
        "/a",
        "/admin/x",
        "/x/admin",
        "/users/ünï",
        "/users/%C3%BCn%C3%AF",
        "/users;a/alice",
        "/*",
    ),
    *(
        "/users/1",
        "/users/null",
        "/users/%5B%22alice%22%5D",
        "/a%00b",
        "/users/alice%2520",
        "/users/a+b",
        "*",
    ),
)
_HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("x-user", "alice"),),
    (("X-User", "Alice"),),
    (("x-user", ""),),
    (("x-user", "a"), ("x-user", "b")),
    (("x-user", "a,b"),),
    (("x-user", " a "),),
    (("x_user", "alice"),),
    (("x-tenant", "acme"),),
    (("x-tenant", "ACME"),),
    (("x-tenant", "evil"), ("x-tenant", "acme")),
    (("host", "orders.example"),),
    (("host", "orders.example:8080"),),
    (("host", "ORDERS.example."),),
    (("content-type", "application/json"),),
    (("content-type", "application/json; charset=utf-8"),),
    (("authorization", "Bearer x"),),
    (("authorization", "Basic YTpi"),),
)
_KEYS = ("claims", "provider", "method", "headers", "nothing")

_ASKED_DEEP = (
    *(
        _user(method, f"/r/{n}", sub="u1", scope=scope)
        for method in ("GET", "POST", "PUT")
        for n in (0, 3, 7, 99)
        for scope in ("s0", "s0 s1 s2", "s1 s3 s4", "")
    ),
    *(
        _user(method, path, sub="u1")
        for method in ("GET", "PUT")
        for path in ("/r/3/a", "/r/31/a/b", "/r/", "/r/3x")
    ),
    *(
        _user("PUT", "/x", (("x-real-ip", address),), sub="u1")
        for address in (
            "10.3.0.1",
            "10.3.255.255",
            "10.10.0.1",
            "10.3.0.256",
            "10.03.0.1",
            "::ffff:10.3.0.1",
            "",
        )
    ),
    *(
        _user(method, f"/{n}{k}", (("host", f"h{host}"),), sub=f"u{user}")
        for method in ("GET", "PUT")
        for n, k in ((0, 0), (1, 3), (2, 1), (2, 9))
        for host, user in ((0, 0), (0, 3), (5, 1), (11, 2), (12, 0), (1, 9))
    ),
)
"""For the policies whose constants stand deep within."""

REQUESTS = (
    *_ASKED_DEEP,
    *(Request("GET", target, (), None) for target in _TARGETS),
    *(_user("GET", target, **_CLAIMS[0]) for target in _TARGETS),
    *(_user("DELETE", "/orders", **claims) for claims in _CLAIMS),
    *(_user("GET", "/users/alice", **claims) for claims in _CLAIMS),
    *(Request("GET", "/users/alice", (), Token("partner", claims)) for claims in _CLAIMS),
    *(Request("GET", "/users", headers, None) for headers in _HEADERS),
    *(
        _user("POST", "/users", headers, **_CLAIMS[9])
        for headers in _HEADERS
        if headers[0][0] != "authorization"
    ),
    *(_user("GET", "/users?role=x", (("x-user", name),), sub="alice", tenant="x-user") for name in _KEYS),
    *(_user("GET", "/users?role=x", (("x-user", name),), sub="alice", tenant="role") for name in _KEYS),
    *(
        Request(method, "/users", (), None)
        for method in ("GET", "get", "HEAD", "POST", "DELETE", "OPTIONS", "PURGE")
    ),
    Request("GET", "/", (), Token("corp", {"sub": "alice"}, spoiled=True)),
)
