"""A policy of the kind that people write for an API: tokens, tenants by host, roles, and answers."""

from __future__ import annotations

import json
import time

import jwt

_SECRET = "a secret of more than thirty-two bytes"
_ISSUER = "https://issuer.example"

_RULES = """package palisade.identity

import input.attributes.request.http

default allow := {"allowed": false, "http_status": 403, "body": "forbidden"}

allow := {"allowed": true, "headers": {"x-user": claims.sub}} if {
	member
	wanted in permissions
	not suspended
}

allow := {"allowed": false, "http_status": 401, "body": "log in first"} if not claims

allow := {"allowed": false, "http_status": 402, "body": sprintf("%s is suspended", [tenant])} if {
	claims
	suspended
}

token := found if {
	[scheme, found] := split(http.headers.authorization, " ")
	lower(scheme) == "bearer"
}

claims := found if {
	asked := {"secret": data.secret, "alg": "HS256", "iss": data.issuer}
	[valid, _, found] := io.jwt.decode_verify(token, asked)
	valid
}

tenant := lower(split(http.host, ".")[0])

suspended if data.tenants[tenant].suspended

member if claims.sub in data.tenants[tenant].members

permissions contains permission if {
	some role in claims.roles
	some permission in data.roles[role]
}

verbs := {
	"GET": "read", "HEAD": "read",
	"POST": "write", "PUT": "write", "PATCH": "write",
	"DELETE": "delete",
}

wanted := sprintf("%s:%s", [verbs[http.method], input.parsed_path[1]]) if input.parsed_path[0] == "v1"
"""
_DATA = {
    "secret": _SECRET,
    "issuer": _ISSUER,
    "tenants": {
        "bench": {"members": ["alice", "bob"], "suspended": False},
        "red": {"members": ["carol"], "suspended": True},
        "green": {"members": ["dan", "eve"]},
    },
    "roles": {
        "reader": ["read:things", "read:users"],
        "editor": ["read:things", "write:things"],
        "admin": ["read:things", "write:things", "delete:things", "read:users", "write:users"],
    },
}
POLICIES = {"allow.rego": _RULES, "data.json": json.dumps(_DATA)}
ALLOWED, DENIED = "/v1/things", "/v1/secrets"


def token() -> str:
    """One with which ALLOWED may be read, of the tenant that the client of `bench` calls."""
    claims = {"sub": "alice", "roles": ["reader", "editor"], "iss": _ISSUER, "exp": int(time.time()) + 36_000}
    return jwt.encode(claims, _SECRET, "HS256")
