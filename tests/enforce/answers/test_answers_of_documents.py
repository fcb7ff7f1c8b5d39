"""What policies read of JSON and tokens, put into answers by the sidecar, is what the engine would put in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import jwt
from answering import compared, decider, place
from stand import Sent, Stand

POLICY = """package p

import input.attributes.request.http

claims := io.jwt.decode(split(http.headers.authorization, " ")[1])[1]

default allow := {"allowed": false, "body": "no"}

allow := {
	"allowed": true,
	"headers": {"x-user": claims.sub, "x-both": [claims.sub, "and", claims.org.name], "x-100%": "%REQ(x)%"},
	"response_headers_to_add": [{"x-greeting": sprintf("hello %s", [claims.sub])}],
	"id": claims.sub,
	"why": {"path": [http.path, {"user": sprintf("<%s>", [claims.sub])}]},
} if startswith(http.path, "/ticket")

allow := {
	"allowed": false,
	"http_status": 403,
	"headers": {"x-who": concat("", ["<", claims.sub, ">"])},
	"body": json.marshal({"error": sprintf("%v of %v", [claims.sub, input.parsed_body.name])}),
} if startswith(http.path, "/refusal")

allow := {"allowed": false, "body": sprintf("%s", [input.parsed_body.name])} if startswith(http.path, "/body")

allow := {"allowed": true, "headers": {"x-name": json.unmarshal(http.headers["x-json"]).name}} if {
	startswith(http.path, "/json")
	claims.sub
}
"""
PATHS = ("/ticket", "/refusal", "/body", "/json", "/no")
TEXTS = ("alice", "bob 100%", " spaced ", "%REQ(x)%", "-", "x" * 5000, "a,b", "tab\tbed")
"""Surely put in by the sidecar, but for what is escaped in JSON."""
ODD = ("<b>", '{"a": 1}', "\\", "", "ü", "\ue0000\ue001", "line\nbreak", "nul\x00", "\x7f")
OTHERS = (7, 1.5, True, None, ["a"], {"a": "b"})


def asked_with(value: object, at: int) -> Iterator[Sent]:
    token = jwt.encode({"sub": value, "org": {"name": "acme"}}, "s" * 64, algorithm="HS256")
    document = json.dumps({"name": value}, ensure_ascii=False)
    headers = (("authorization", f"Bearer {token}"), ("x-user", "root"), ("content-type", "application/json"))
    in_header = (("x-json", document),) if document.isascii() else ()
    for path in PATHS:
        yield Sent("POST", f"{path}?{at}", (*headers, *in_header), document.encode())


def test_what_is_read_of_documents_is_put_into_answers(stand: Stand) -> None:
    """Of a decoded token, a body and JSON in a header it reaches the function, the client and the log as the
    engine would put it there. What is no text, or none that a header may hold, is the engine's."""
    values = (*TEXTS, *ODD, *OTHERS)
    asked = [each for at, value in enumerate(values) for each in asked_with(value, at)]
    asked += [Sent("POST", f"{path}?{len(values)}", (), b"") for path in PATHS]
    asked += [Sent("HEAD", f"{path}?{len(values) + 1}", ()) for path in PATHS]
    found = compared(stand, POLICY, asked)
    deciders = {place(each)[0]: decider(each) for each in found}
    for at in range(len(TEXTS)):
        seen = {path: deciders[f"{path}?{at}"] for path in PATHS}
        escaped = "\t" in TEXTS[at]
        wanted = dict.fromkeys(PATHS, "native")
        assert seen == (wanted | {"/refusal": "residual"} if escaped else wanted), TEXTS[at]
    for at, other in enumerate(OTHERS, len(TEXTS) + len(ODD)):
        assert deciders[f"/ticket?{at}"] == deciders[f"/body?{at}"] == "residual", other
    assert deciders[f"/ticket?{len(values)}"] == "native"


def test_what_only_the_body_of_an_answer_has_is_not_logged(stand: Stand) -> None:
    """Bodies never stand in the log, nor does what the sidecar read for them."""
    found = compared(stand, POLICY, list(asked_with("classified", 0)))
    told = {place(each)[0]: str(each) for each in found}
    assert "classified" not in told["/body?0"]
    assert "classified" in told["/ticket?0"]


OF_COOKIES = """package p

import input.attributes.request.http

session := value if {
	some part in split(http.headers.cookie, "; ")
	startswith(part, "sid=")
	value := substring(part, 4, -1)
}

user := json.unmarshal(base64url.decode(split(substring(part, 4, -1), ".")[1])).sub if {
	some part in split(http.headers.cookie, "; ")
	startswith(part, "sid=")
}

claims := io.jwt.decode(session)[1]

default allow := {"allowed": false, "body": "no"}

allow := {
	"allowed": true,
	"headers": {"x-user": claims.sub, "x-also": user, "x-roles": concat(",", claims.roles)},
} if "a" in claims.roles

allow := {"allowed": false, "body": sprintf("no role for %s", [claims.sub])} if claims.roles == []
"""


def test_claims_in_a_cookie_that_a_loop_looks_for(stand: Stand) -> None:
    """They are put in where the cookie stands there once, among usual ones; what is odd is the engine's."""

    def cookie(sub: str, roles: list[str]) -> str:
        return f"sid={jwt.encode({'sub': sub, 'roles': roles}, 's' * 64, algorithm='HS256')}"

    alice, bob, none = cookie("alice", ["a", "b"]), cookie("bob", ["a"]), cookie("eve", [])
    usual = (alice, f"theme=d; {bob}", f"{none}; lang=en", "theme=d", cookie("bob", ["x"]))
    odd = (f"x{alice}; {bob}", f"{alice}; {bob}", f"{alice};{bob}", f"a; {alice}", f"{alice}; x{bob}")
    odd += (f"{alice}; {alice}", f"sid={alice}", f"{alice}=", "sid=", f" {alice}", f"x{alice}")
    asked = [Sent("GET", f"/{at}", (("cookie", each),)) for at, each in enumerate((*usual, *odd))]
    found = compared(stand, OF_COOKIES, [*asked, Sent("GET", "/without")])
    deciders = {place(each)[0]: decider(each) for each in found}
    assert [deciders[f"/{at}"] for at in range(len(usual))] == ["native"] * len(usual)
    assert deciders["/without"] == "native"
