"""Policies as people write them; `requests_by_hand` has requests that meet them or nearly do."""

from __future__ import annotations

from typing import Any

DATA: dict[str, Any] = {
    "roles": {"alice": ["admin", "dev"], "bob": ["viewer"]},
    "grants": {
        "admin": [{"method": "*", "path": "users"}, {"method": "DELETE", "path": "orders"}],
        "dev": [{"method": "GET", "path": "orders"}],
        "viewer": [{"method": "GET", "path": "users"}],
    },
    "methods": {"GET": ["viewer", "admin"], "POST": ["admin"], "DELETE": []},
    "banned": ["mallory", "eve"],
    "public": ["/health", "/public", "/"],
    "tenants": {"acme": {"users": ["alice"], "plan": "gold"}, "evil": {"users": [], "plan": None}},
    "networks": ["10.0.0.0/8", "127.0.0.0/8"],
    "routes": [
        {"method": ("GET", "POST")[n % 2], "path": f"/r/{n // 2}", "scopes": [f"s{n % 3}", f"s{n % 5}"]}
        for n in range(24)
    ],
    "needs": {f"/r/{n}": [f"s{n % 5}", f"s{(n + 1) % 3}"] for n in range(24)},
    "seats": {f"h{n}": {f"u{k}": f"r{(n + k) % 3}" for k in range(4)} for n in range(12)},
    "may": {f"r{n}": [f"{method}:{n}{k}" for method in ("GET", "POST") for k in range(4)] for n in range(3)},
}

_HEAD = "import input.attributes.request.http\nclaims := input.identity.claims\n"

_TABLES = (
    "default allow := false\nallow if { some r in data.roles[claims.sub]; some g in data.grants[r]; "
    'g.method in {http.method, "*"}; g.path == input.parsed_path[0] }',
    "allow if { some role in claims.roles; role in data.methods[http.method] }",
    "allow if data.roles[claims.sub][_] == data.methods[http.method][_]",
    'allow if { some i; data.roles[claims.sub][i] == "admin" }',
    # Texts of the request in a claim of either of two issuers: lowering these once ended in a KeyError.
    'allow if concat(":", [lower(http.method), http.method]) in claims.roles',
    'allow if sprintf("%s:%s", [http.method, input.parsed_path[0]]) in claims.roles',
    # Objects of the rows of a table, each there under a condition.
    "needed := {r.path: r.scopes | some r in data.routes; r.method == http.method}\n"
    'allow if needed[http.path][_] in split(claims.scope, " ")',
    "mine[r.path] := r.method if { some r in data.routes; some scope in r.scopes; scope in claims.roles }\n"
    "allow if mine[http.path] == http.method\nallow if count(mine) > 2",
    "allow if { named := {r.path: 1 | some r in data.routes; http.path == r.path; not claims[r.scopes[0]]}; "
    "every path, _ in named { path != claims.sub }; count(named) == 1 }",
)
_CLAIMS = (
    'allow if claims.aud == "orders"',
    'allow if "orders" in claims.aud',
    'allow if { some aud in claims.aud; aud == "orders" }\nallow if claims.aud == "orders"',
    'allow if "read" in split(claims.scope, " ")',
    'allow if contains(claims.scope, "read")',
    "allow if claims.admin",
    "allow if claims.admin == true",
    "allow if not claims.admin",
    "allow if claims.admin == false",
    "allow if claims.tier >= 2",
    "allow if claims.tier > 1.5",
    "allow if { claims.tier > 0; claims.tier < 3 }",
    "allow if claims.tier == null",
    "allow if is_null(claims.tier)",
    "allow if is_number(claims.tier)",
    "allow if claims.org.id == 7",
    'allow if claims.org.plan != "free"',
    'allow if claims.org.tags[_] == "blue"',
    'allow if claims.groups[_].name == "ops"',
    'allow if { some g in claims.groups; g.name == "ops"; g.level > 1 }',
    'allow if claims.roles == ["admin"]',
    'allow if claims.roles[0] == "admin"',
    "allow if count(claims.roles) == 2",
    'allow if every r in claims.roles { r in ["admin", "dev"] }',
    'allow if not "blocked" in claims.roles',
    "allow if not claims.missing",
    "allow if not claims.sub in data.banned",
    'allow if object.get(claims, "tier", 5) == 5',
    'allow if object.get(claims.roles, 0, "a")',
    'allow if not object.get(input.parsed_path, 0, "none")',
    'allow if object.get(claims, ["org", "plan"], "none") == "none"',
    'allow if claims["http://example.com/role"] == "admin"',
    "m := [r | some r in data.routes; r.path == http.path; r.scopes[_] == claims.sub][0]\n"
    "allow if m.method == http.method",
    'm := [n | some n in ["admin", "dev", "viewer"]; n in claims.roles][0]\n'
    "allow if m in data.methods[http.method]",
    "allow if { some p in union({{g.path | some g in data.grants[r]} | some r in claims.roles}); p == "
    "input.parsed_path[0] }",
    'allow if { roles := {r | some r in claims.roles}; count(roles & {"admin", "dev"}) > 0 }',
    'allow if { claims.iss == "https://corp.example"; claims.sub }',
)
_PATHS = (
    'allow if http.path == "/public"',
    "allow if http.path in data.public",
    'allow if startswith(http.path, "/public")',
    'allow if endswith(http.path, ".json")',
    "allow if { some p in data.public; startswith(http.path, p) }",
    'allow if input.parsed_path == ["users", "alice"]',
    'allow if input.parsed_path[0] == "users"',
    'allow if { ["users", id] = input.parsed_path; id == claims.sub }',
    'allow if { input.parsed_path[0] == "users"; input.parsed_path[1] == claims.sub }',
    'allow if { input.parsed_path = ["users", id, "orders"]; id == claims.sub }',
    'allow if http.path == sprintf("/users/%s", [claims.sub])',
    'allow if http.path == concat("/", ["/users", claims.sub])',
    'allow if http.path == $"/users/{claims.sub}"',
    'allow if startswith(http.path, $"/users/{claims.sub}/")',
    'allow if regex.match("^/users/[0-9]+$", http.path)',
    "allow if regex.match(`^/users/[^/]+/orders(\\?.*)?$`, http.path)",
    'allow if glob.match("/users/*", ["/"], http.path)',
    'allow if glob.match("/users/**", ["/"], http.path)',
    'allow if { count(input.parsed_path) == 2; input.parsed_path[1] != "" }',
    'allow if "admin" in input.parsed_path',
    'allow if trim_prefix(http.path, "/") == "users"',
    'allow if trim_suffix(http.path, "/") == "/users"',
    'allow if { parts := split(trim(http.path, "/"), "/"); parts[0] == "users" }',
    'allow if { parts := split(http.path, "/"); parts[1] == "users"; parts[2] == claims.sub }',
    'allow if input.parsed_query.role[0] == "admin"',
    'allow if "admin" in input.parsed_query.role',
)
_METHODS_AND_HEADERS = (
    'allow if http.method in {"GET", "HEAD"}',
    'allow if { http.method == "GET" } else := false',
    'default allow := true\nallow := false if http.method == "DELETE"',
    'allow if lower(http.method) == "get"',
    'allow if http.headers["x-tenant"] == claims.tenant',
    'allow if claims.sub in data.tenants[http.headers["x-tenant"]].users',
    'allow if data.tenants[http.headers["x-tenant"]].plan == "gold"',
    'allow if http.headers["x-user"] == ""',
    'allow if http.headers["x-user"]',
    'allow if not http.headers["x-user"]',
    'allow if http.headers["x-user"] == "a,b"',
    'allow if lower(http.headers["x-user"]) == "alice"',
    'allow if object.get(http.headers, "x-user", "") == ""',
    'allow if http.headers["X-User"]',
    'allow if http.host == "orders.example"',
    'allow if endswith(http.host, ".example")',
    'allow if startswith(http.headers.authorization, "Bearer ")',
    'allow if split(http.headers["x-user"], ",")[0] == "a"',
    'allow if http.headers["content-type"] == "application/json"',
    'allow if object.get(data.methods, http.method, ["admin"]) == []',
    'allow if object.get(data.tenants, http.headers["x-user"], {"plan": "none"}).plan == "gold"',
)
_ON_A_PATH = [
    f'{{ http.path == "/items/{n}"; http.method in {{"GET", "{"PUT" if n % 2 else "POST"}"}}; '
    f'"{("admin", "dev", "viewer")[n % 3]}" in claims.roles'
    for n in range(40)
]
_HELPERS = (
    # So many that what they ask alike is asked before them: of one rule, and of each of several.
    "\n".join(f"ok if {each} }}" for each in _ON_A_PATH) + "\nallow if { ok; not claims.sub in data.banned }",
    "\n".join(f"allow if {each}; not blocked }}" for each in _ON_A_PATH)
    + '\nblocked if claims.sub in data.banned\nblocked if http.headers["x-user"] == "bob"\n'
    + "\n".join(f'allow if {{ http.path == "/open/{n}"; claims.tier == {n} }}' for n in range(3)),
    'deny contains "banned" if claims.sub in data.banned\ndeny contains "delete" if http.method == "DELETE"\n'
    "allow if count(deny) == 0",
    "blocked if claims.sub in data.banned\nallow if not blocked",
    'is_admin if claims.roles[_] == "admin"\nis_dev if "dev" in claims.roles\nallow if is_admin\n'
    'allow if { is_dev; http.method == "GET" }',
    'role(x) := "boss" if x == "alice"\nrole(x) := "clerk" if x == "bob"\n'
    'allow if role(claims.sub) == "boss"',
    'level := 3 if "admin" in claims.roles\nelse := 2 if "dev" in claims.roles\nelse := 0\n'
    "allow if level > 1",
    'kind := "a" if claims.tier == 1\nkind := "b" if claims.sub == "alice"\nallow if kind',
    'kind := "a" if claims.tier == 1\nkind := "b" if claims.sub == "alice"\nallow if kind == "a"',
    'allow := true if claims.sub == "alice"\nallow := false if claims.tier == 1',
    'allowed[m] if { some m in ["GET", "POST"]; claims.sub }\nallow if allowed[http.method]',
)
_KEYS = (
    "allow if http.headers[claims.tenant]",
    "allow if not http.headers[claims.tenant]",
    'allow if input.identity[http.headers["x-user"]]',
    'allow if not input.identity[http.headers["x-user"]]',
    'allow if not http[http.headers["x-user"]]',
    "allow if not input.parsed_query[claims.tenant]",
)
_MIXED = (
    "allow if { input.identity }",
    "allow if not input.identity",
    'allow if input.identity.provider == "corp"',
    'allow if input.function == "orders"',
    'allow if { claims.sub == "alice"; not claims.tier == 1 }',
    'allow if { some x in ["GET", "POST"]; x == http.method; not x in claims.roles }',
    "allow := claims.admin",
    'allow if { x := claims.sub; y := http.headers["x-user"]; x == y }',
    "allow if { net.cidr_contains(data.networks[_], input.attributes.source.address.socketAddress.address) }",
    "allow if { some n in data.networks\n"
    "net.cidr_contains(n, input.attributes.source.address.socketAddress.address) }",
    'h if http.method == "GET"\nallow if h with input.attributes.request.http.method as "GET"',
    'h if input.user == "x"\nallow if { h with input as {"user": "x"}; claims.sub }',
    'allow := {"allowed": true, "headers": {"x-ok": "1"}} if claims.admin\n'
    'else := {"allowed": false, "http_status": 401} if not input.identity\nelse := false',
    'allow if claims.sub == "ünï"',
    'allow if http.path == "/%61"',
)
_MESH = (
    *(
        f'jwt := input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].{name}\n'
        f"allow if {{ {test} }}"
        for name in ("corp", "partner", "nobody", "corp.org")
        for test in (
            '"admin" in jwt.roles',
            'jwt.sub == "alice"',
            "not jwt.sub",
            "jwt",
            'jwt.sub == http.headers["x-user"]',
        )
    ),
    'allow if input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].corp.tier > 2',
    'allow if { input.attributes.contextExtensions.stage == "test" }\nallow if http.path == "/public"',
    'allow if not input.attributes.contextExtensions.stage == "live"',
)
_DEEP_BODIES = (
    "needed := {s | some r in data.routes; r.path == http.path; r.method == http.method; s := r.scopes[_]}\n"
    'allow if { count(needed) > 0; count(needed - {s | some s in split(claims.scope, " ")}) == 0 }',
    "role := data.seats[http.host][claims.sub]\n"
    'allow if { some p in data.may[role]; p == concat(":", [http.method, input.parsed_path[0]]) }',
    # Many that ask the same of one text: each list is one expression, or one trie of addresses.
    'allow if { some n in numbers.range(0, 9); glob.match(sprintf("/r/%d*/**", [n]), ["/"], http.path) }\n'
    'allow if { some n in numbers.range(0, 9); n % 2 == 1; http.method == "GET"; '
    'regex.match(sprintf("^/r/%d$", [n]), http.path) }',
    'allow if not startswith(http.path, sprintf("/r/%d", [numbers.range(0, 9)[_]]))\n'
    'allow if { contains(http.path, sprintf("%d/", [numbers.range(3, 9)[_]])); http.method == "PUT" }',
    'allow if { some n in numbers.range(0, 9); n % 2 == 0; endswith(claims.scope, sprintf("s%d", [n])) }\n'
    'allow if { some role in split(claims.scope, " "); '
    'startswith(role, sprintf("s%d", [numbers.range(5, 9)[_]])) }',
    'allow if { some n in numbers.range(0, 9); net.cidr_contains(sprintf("10.%d.0.0/16", [n]), '
    'http.headers["x-real-ip"]) }\n'
    'allow if { some n in numbers.range(0, 9); http.method == "GET"; '
    'input.parsed_path == ["r", sprintf("%d", [n])] }',
    # Many rules that ask one text for something else each are behind a gate.
    "\n".join(
        f'allow if {{ regex.match("^/r/{n}(?:/[a-z])?$", http.path); claims.scope != "s{n % 4}" }}'
        for n in range(40)
    )
    + '\nallow if { not http.method in {"GET", "POST"}; contains(http.path, "31") }',
    # Negations of conditions on all rows, below each row; the second has an error that no request has.
    'missing if { some s in data.needs[http.path]; not s in split(claims.scope, " ") }\n'
    "allow if { data.needs[http.path]; not missing }",
    'missing if { some s in data.needs[http.path]; not s in split(claims.scope, " ") }\n'
    'allow if { not missing; http.method == "GET" }\nallow if { claims.scope == ""; http.method == "PUT" }\n'
    'allow if { not missing; claims.sub == "u1"; regex.match("[0-9]", sprintf("%v", [claims.scope])) }',
    'met if data.needs[http.path][0] in split(claims.scope, " ")\n'
    'allow := {"allowed": true} if met\n'
    'allow := {"allowed": false, "http_status": 402} if { data.needs[http.path]; not met }',
)

_ALL = (*_TABLES, *_CLAIMS, *_PATHS, *_METHODS_AND_HEADERS, *_HELPERS, *_KEYS, *_MIXED)
POLICIES = tuple(_HEAD + body for body in _ALL)
DEEP = tuple(_HEAD + body for body in _DEEP_BODIES)
"""Conditions whose constants stand deep within."""
MESH = tuple(_HEAD + body for body in _MESH)
"""Rules on what Envoy's filters left, as policies for a mesh read it; some can never hold."""
