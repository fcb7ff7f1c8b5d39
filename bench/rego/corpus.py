"""The policies that are measured: kinds of work, each with its data, an input and what it decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Policy:
    """`entrypoint` is `package/rule`; `result` is its value for `asked`, by which every engine is checked."""

    name: str
    source: str
    asked: Any
    result: Any
    data: dict[str, Any] = field(default_factory=dict)
    entrypoint: str = "app/allow"


ROLES = """package app

default allow := false

allow if {
	some role in data.roles[input.user]
	some grant in data.grants[role]
	grant.method == input.method
	glob.match(grant.path, ["/"], input.path)
}
"""

CLAIMS = """package app

default allow := false

allow if {
	input.claims.iss == "https://issuer.example"
	"api" in input.claims.aud
	input.claims.exp > input.now
	some role in input.claims.realm.roles
	role in {"admin", "editor"}
	not denied
}

denied if input.claims.sub in data.blocked
"""

PATHS = """package app

default allow := false

allow if input.path == ["health"]

allow if {
	["users", user, "orders"] = input.path
	user == input.user
}

allow if {
	["orders", _, "items", item] = input.path
	item != "secret"
	input.method == "GET"
}

allow if {
	input.path[0] == "admin"
	"admin" in input.roles
}
"""

CONTAINERS = """package app

deny contains msg if {
	some container in input.spec.containers
	not startswith(container.image, "registry.example/")
	msg := sprintf("%s: image %s is from elsewhere", [container.name, container.image])
}

deny contains msg if {
	some container in input.spec.containers
	not container.limits.memory
	msg := sprintf("%s: no memory limit", [container.name])
}

deny contains msg if {
	some container in input.spec.containers
	some capability in container.add
	capability in {"SYS_ADMIN", "NET_ADMIN"}
	msg := sprintf("%s: capability %s", [container.name, capability])
}
"""

COMPREHENSIONS = """package app

by_team[team] := names if {
	some team in {user.team | some user in input.users}
	names := {user.name | some user in input.users; user.team == team}
}

allow := {
	"sizes": {team: count(names) | some team, names in by_team},
	"old": [user.name | some user in input.users; user.age >= 60],
	"sum": sum([user.age | some user in input.users]),
}
"""

STRINGS = """package app

parts := split(trim(lower(input.host), "."), ".")

domain := concat(".", array.slice(parts, count(parts) - 2, count(parts)))

allow := {
	"domain": domain,
	"slug": replace(trim_prefix(input.title, "The "), " ", "-"),
	"label": concat("/", [upper(domain), input.title]),
	"internal": endswith(domain, "example.com"),
}
"""

OBJECTS = """package app

features := object.union(data.features, object.get(data.tenants, input.tenant, {}))

allow := {
	"features": features,
	"plan": object.get(input, "plan", "free"),
	"open": {name | features[name] == true},
	"kept": object.remove(input, ["tenant"]),
}
"""

FUNCTIONS = """package app

level(score) := "high" if {
	score >= 80
} else := "middle" if {
	score >= 40
} else := "low"

weight(kind) := 3 if kind == "login"

weight(kind) := 2 if kind == "upload"

weight(kind) := 1 if not kind in {"login", "upload"}

score := sum([points |
	some event in input.events
	points := weight(event.kind) * event.count
])

allow := {"score": score, "level": level(score)}
"""

QUANTIFIERS = """package app

default allow := false

allow if {
	every item in input.items {
		item.price <= data.limit
		some tag in item.tags
		tag in data.tags
	}
	not any_banned
}

any_banned if {
	some item in input.items
	some banned in data.banned
	item.name == banned
}
"""

REGEXES = """package app

default allow := false

allow if {
	regex.match(`^/api/v[0-9]+/[a-z]+/[0-9a-f-]{36}$`, input.path)
	not regex.match(`(?i)(union\\s+select|<script)`, input.query)
	regex.match(`^Bearer [A-Za-z0-9._-]+$`, input.header)
}
"""

SETS = """package app

mine := {permission | some role in input.roles; some permission in data.permissions[role]}

needed := {permission | some permission in input.needed}

allow := {"missing": needed - mine, "shared": needed & mine, "all": count(mine | needed)}
"""

LARGE = """package app

default allow := false

allow if {
	user := data.users[input.user]
	user.active
	resource := data.resources[input.resource]
	resource.team == user.team
	resource.level <= user.level
}
"""

_UUID = "123e4567-e89b-12d3-a456-426614174000"


def rules(count: int) -> Policy:
    """Rules that each compare a method, a path and a role with constants."""
    lines = ["package app", "", "default allow := false", ""]
    lines += [
        f'allow if {{ input.method == "GET"; input.path == "/things/{n}"; input.role == "r{n % 7}" }}'
        for n in range(count)
    ]
    last = count - 1
    asked = {"method": "GET", "path": f"/things/{last}", "role": f"r{last % 7}"}
    return Policy(f"{count:,} rules", "\n".join(lines) + "\n", asked, True)


def corpus() -> Iterator[Policy]:
    yield Policy(
        "role lookup, glob",
        ROLES,
        {"user": "alice", "method": "GET", "path": "/orders/17"},
        True,
        {
            "roles": {"alice": ["viewer", "buyer"], "bob": ["viewer"]},
            "grants": {
                "viewer": [{"method": "GET", "path": "/public/**"}],
                "buyer": [{"method": "POST", "path": "/orders"}, {"method": "GET", "path": "/orders/*"}],
            },
        },
    )
    yield Policy(
        "token claims",
        CLAIMS,
        {
            "claims": {
                "iss": "https://issuer.example",
                "aud": ["web", "api"],
                "exp": 2000,
                "sub": "u1",
                "realm": {"roles": ["guest", "editor"]},
            },
            "now": 1000,
        },
        True,
        {"blocked": ["u7", "u8"]},
    )
    yield Policy(
        "path matching",
        PATHS,
        {"path": ["orders", "17", "items", "3"], "method": "GET", "user": "bob", "roles": []},
        True,
    )
    yield rules(300)
    yield Policy(
        "large data",
        LARGE,
        {"user": "user7777", "resource": "res4242"},
        True,
        {
            "users": {
                f"user{n}": {"active": n % 7 == 0, "team": f"t{n % 35}", "level": 9} for n in range(10_000)
            },
            "resources": {f"res{n}": {"team": f"t{n % 35}", "level": n % 10} for n in range(10_000)},
        },
    )
    users = [{"name": f"u{n}", "team": f"t{n % 5}", "age": 20 + n % 50} for n in range(60)]
    yield Policy(
        "comprehensions",
        COMPREHENSIONS,
        {"users": users},
        {
            "sizes": {f"t{n}": 12 for n in range(5)},
            "old": [user["name"] for user in users if int(str(user["age"])) >= 60],
            "sum": sum(int(str(user["age"])) for user in users),
        },
    )
    yield Policy(
        "string work",
        STRINGS,
        {"host": "Shop.EU.Example.com.", "title": "The Long Way Home"},
        {
            "domain": "example.com",
            "slug": "Long-Way-Home",
            "label": "EXAMPLE.COM/The Long Way Home",
            "internal": True,
        },
    )
    yield Policy(
        "objects",
        OBJECTS,
        {"tenant": "t7", "plan": "gold", "region": "eu"},
        {
            "features": {"chat": True, "sso": True, "beta": False},
            "plan": "gold",
            "open": ["chat", "sso"],
            "kept": {"plan": "gold", "region": "eu"},
        },
        {
            "features": {"chat": True, "sso": False, "beta": False},
            "tenants": {f"t{n}": {"sso": True} for n in range(20)},
        },
    )
    containers = [
        {
            "name": f"c{n}",
            "image": "registry.example/a:1" if n % 2 else "docker.io/b:2",
            "limits": {"memory": "1Gi"} if n % 3 else {},
            "add": ["SYS_ADMIN"] if n == 4 else ["CHOWN"],
        }
        for n in range(6)
    ]
    yield Policy(
        "admission",
        CONTAINERS,
        {"spec": {"containers": containers}},
        sorted(
            [f"c{n}: image docker.io/b:2 is from elsewhere" for n in (0, 2, 4)]
            + [f"c{n}: no memory limit" for n in (0, 3)]
            + ["c4: capability SYS_ADMIN"]
        ),
        entrypoint="app/deny",
    )
    yield Policy(
        "functions, else",
        FUNCTIONS,
        {"events": [{"kind": kind, "count": 5} for kind in ("login", "upload", "view", "login")]},
        {"score": 45, "level": "middle"},
    )
    yield Policy(
        "every, some, not",
        QUANTIFIERS,
        {"items": [{"name": f"i{n}", "price": n, "tags": ["x", "new"]} for n in range(12)]},
        True,
        {"limit": 50, "tags": ["new", "sale"], "banned": ["b1", "b2", "b3"]},
    )
    yield Policy(
        "regular expressions",
        REGEXES,
        {"path": f"/api/v2/orders/{_UUID}", "query": "q=shoes&sort=price", "header": "Bearer abc.def.ghi"},
        True,
    )
    yield Policy(
        "sets",
        SETS,
        {"roles": ["dev", "ops"], "needed": ["read", "deploy", "delete"]},
        {"missing": ["delete"], "shared": ["deploy", "read"], "all": 5},
        {"permissions": {"dev": ["read", "write"], "ops": ["read", "deploy", "restart"]}},
    )
