"""The one member of a claim that a rule asks for is put into answers as the engine puts it there."""

from __future__ import annotations

import jwt
from answering import compared, decider, place
from stand import Sent, Stand

POLICY = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

default allow := {"allowed": false, "http_status": 401}

allow := {"allowed": true, "headers": {"x-tenant": t, "x-both": sprintf("%%s/%%s", [t, http.method])}} if {
	startswith(http.path, "/same")
	some t in token.groups
	t == http.headers["x-tenant"]
}

allow := {"allowed": true, "headers": {"x-app": trim_prefix(t, "app-")}, "body": t} if {
	startswith(http.path, "/one")
	some t in token.groups
	startswith(t, "app-")
}

tier := t if {
	some t in token.groups
	t in {"gold", "tin"}
}

allow := {"allowed": false, "headers": {"x-tier": tier}, "body": json.marshal({"tier": tier})} if {
	startswith(http.path, "/tier")
}
""" % ("s" * 64)
PATHS = ("/same", "/one", "/tier")
PLAIN = (["a"], ["b", "a"], ["app-x", "gold"], ["b", "app-x", "c"], ["tin", "a", "app-y"], ["a", "a"])
OTHERS = (
    *(
        [],
        ["b"],
        ["app-x", "app-x", "gold", "gold"],
        ["app-x", "app-y"],
        ["gold", "tin"],
        ["app-"],
        ["app-é"],
    ),
    *(["app-x", 1], ["app-<", "gold"], ["a", None, "gold"], [["a"]], [1], "a", {"x": "a"}, {"x": "app-x"}, 1),
    *(
        None,
        True,
        ["a,b"],
        ["é"],
        [""],
        [" a"],
        ["app- x"],
        [*"bcdefghi", "a"],
        [*"bcdefghi", "app-x", "gold"],
    ),
    *([*"bcdefghi", "app-x", "app-y"], ["b,a", "gold"], ["app-x", "app-x,app-x"]),
)


def test_the_only_member_is_put_into_answers(stand: Stand) -> None:
    """Once, where it is there twice; different ones are an error, whichever of them Envoy sees first."""
    asked: list[Sent] = []
    for at, groups in enumerate((*PLAIN, *OTHERS)):
        token = jwt.encode({"groups": groups}, "s" * 64, algorithm="HS256")
        for to, tenant in enumerate(("a", "1", "a,b", "é", "")):
            headers = (("authorization", f"Bearer {token}"), ("x-tenant", tenant))
            asked += [Sent("GET", f"{path}?{at}-{to}", headers) for path in PATHS]
    found = compared(stand, POLICY, asked)
    natively = {place(each)[0] for each in found if decider(each) == "native"}
    assert natively >= {f"{path}?{at}-0" for path in PATHS for at in range(len(PLAIN))}
