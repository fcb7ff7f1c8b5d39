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


OF_COOKIES = """package p

import input.attributes.request.http

first := trim_prefix(c, "sid=") if { some c in split(http.headers.cookie, "; "); startswith(c, "sid=") }

default allow := {"allowed": false}

allow := {"allowed": true, "headers": {"x-sid": first}, "why": first} if startswith(http.path, "/prefix")

allow := {"allowed": true, "headers": {"x-s": trim_prefix(c, "sid="), "x-l": lower(substring(c, 4, -1))}} if {
	startswith(http.path, "/both")
	some c in split(http.headers.cookie, "; ")
	startswith(c, "sid=")
}

named := value if {
	some c in split(http.headers.cookie, ";")
	[name, value] := split(trim_space(c), "=")
	name == "sid"
}

allow := {"allowed": false, "body": sprintf("<%s>", [named])} if startswith(http.path, "/named")

listed := [trim_prefix(c, "sid=") | some c in split(http.headers.cookie, "; "); startswith(c, "sid=")]

allow := {"allowed": false, "body": listed[0]} if startswith(http.path, "/listed")
"""
COOKIE_PATHS = ("/prefix", "/both", "/named", "/listed")
COOKIES = ("sid=a1", "theme=d; sid=b.2_c", "sid=x; lang=en", "a=1; sid=y; b=2")
ODD_COOKIES = (
    *("sid=", "sid", "", "xsid=1", "xsid=1; sid=2", "sid=2; xsid=1", "sid=1; sid=2", "sid=1; sid=1", "SID=1"),
    *(
        "sid=a=b",
        'sid="q"',
        "a;sid=1",
        "a; sid=1",
        "sid=1;",
        "sid=1;b=2",
        " sid=1",
        "sid= 1",
        "sid =1",
        "sid=a,b",
    ),
    *(
        "a=sid=1; sid=2",
        "sid=é",
        "sid=%41",
        "sid=1; x",
        "; sid=1",
        "sid=<x>",
        "sid=1;  b=2",
        "sid=sid=",
        "b=;sid=1",
    ),
    *("; ".join([f"c{at}=1" for at in range(12)]) + "; sid=z", "sid=" + "x" * 2000),
)


def test_a_cookie_that_a_loop_looks_for_is_put_into_answers(stand: Stand) -> None:
    """Whichever way a rule takes it; odd cookies are the engine's, those that are there twice among them."""
    asked: list[Sent] = []
    for at, each in enumerate((*COOKIES, *ODD_COOKIES)):
        asked += [Sent("GET", f"{path}?{at}", (("cookie", each),)) for path in COOKIE_PATHS]
    asked += [Sent("GET", f"{path}?two", (("cookie", "sid=1"), ("cookie", "a=2"))) for path in COOKIE_PATHS]
    found = compared(stand, OF_COOKIES, asked)
    natively = {place(each)[0] for each in found if decider(each) == "native"}
    assert natively >= {f"{path}?{at}" for path in COOKIE_PATHS for at in range(len(COOKIES))}
