"""Members of several claims, joined or listed in JSON, are put into answers as the engine does."""

from __future__ import annotations

import random

import jwt
import pytest
from answering import compared, decider, place
from stand import Sent, Stand

POLICY = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

roles contains role if some role in token.roles

roles contains role if some role in token.realm.roles

named contains sprintf("realm:%%s", [role]) if some role in token.realm.roles

named contains trim_prefix(role, "app:") if {
	http.method == "GET"
	some role in token.roles
	startswith(role, "app:")
}

named contains "everyone"

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {"x-roles": concat(",", roles), "x-sorted": concat("|", sort(roles))},
	"response_headers_to_add": {"x-list": json.marshal(roles)},
} if startswith(http.path, "/both")

allow := {
	"allowed": false,
	"body": json.marshal({
		"named": named,
		"app": [upper(role) | some role in token.roles; not contains(role, "x")],
		"sorted": sort([role | some role in token.realm.roles]),
	}),
	"headers": {"x-named": concat(" ", named)},
} if startswith(http.path, "/named")

allow := {
	"allowed": true,
	"headers": {"x-both": concat(",", app | realm), "x-coded": base64.encode(json.marshal(app))},
} if startswith(http.path, "/union")

allow := {
	"allowed": true,
	"headers": {
		"x-all": concat(",", array.concat(token.roles, token.realm.roles)),
		"x-half": concat(",", sort(array.concat([upper(r) | some r in token.roles], token.realm.roles))),
	},
	"response_headers_to_add": {"x-list": json.marshal(array.concat(token.realm.roles, token.roles))},
} if startswith(http.path, "/array")

allow := {
	"allowed": true,
	"headers": {"x-roles": concat(",", [role | some role in roles]), "x-true": concat("|", [r | roles[r]])},
	"response_headers_to_add": {"x-list": json.marshal([role | some role in roles; role != "b"])},
} if startswith(http.path, "/listed")

app := {role | some role in token.roles; role != "a"}

realm := {role | some role in token.realm.roles}
""" % ("s" * 64)
PATHS = ("/both", "/named", "/union", "/array", "/listed")
ROLES = ("a", "b", "x", "app:r", "app:", "B", "a b", "10", "9", "a,b", "%REQ(x)%")
ODD = ([], None, "a", ["ü"], [""], ["a", 7], {"k": "a"}, [["a"]], ['"'], ["<"], 7, ["\\"], [None])


@pytest.mark.long
def test_members_of_several_claims_are_listed(stand: Stand) -> None:
    """Each once and in order, whichever of the claims are there; others than plain texts are the engine's,
    and so is a text of none."""
    chance = random.Random(3)
    claims: list[dict[str, object]] = [
        {},
        {"realm": {}},
        {"realm": "roles"},
        {"realm": {"roles": ["a"]}},
        {"roles": ["b"]},
    ]
    for _ in range(40):
        one, other = ([chance.choice(ROLES) for _ in range(chance.randrange(6))] for _ in range(2))
        claims.append({"roles": one, "realm": {"roles": other}})
    plain = len(claims)
    for odd in ODD:
        claims += [{"roles": odd, "realm": {"roles": ["a"]}}, {"roles": ["app:b"], "realm": {"roles": odd}}]
    asked: list[Sent] = []
    for at, each in enumerate(claims):
        token = jwt.encode({"sub": "u", **each}, "s" * 64, algorithm="HS256")
        headers = (("authorization", f"Bearer {token}"),)
        asked += [Sent(method, f"{path}?{at}", headers) for path in PATHS for method in ("GET", "PUT")]
    found = compared(stand, POLICY, asked)
    natively = {place(each) for each in found if decider(each) == "native"}
    for path in PATHS:
        assert sum((f"{path}?{at}", "GET") in natively for at in range(plain)) > 36, path
