"""Claims of whatever type are put into answers as JSON, and into metadata, as the engine does."""

from __future__ import annotations

import jwt
from answering import compared, decider, place
from stand import Sent, Stand

HEAD = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

default allow := {"allowed": false, "http_status": 401}
""" % ("s" * 64)

POLICY = f"""{HEAD}
allow := {{
	"allowed": true,
	"headers": {{"x-claims": json.marshal(token), "x-encoded": base64.encode(json.marshal(token))}},
	"response_headers_to_add": {{"x-user": json.marshal({{"c": token.c, "d": [token.d], "s": token.sub}})}},
}} if startswith(http.path, "/whole")

allow := {{
	"allowed": false,
	"http_status": 403,
	"body": json.marshal({{"error": "no", "user": object.filter(token, ["sub", "c", "x"]), "why": "<d>"}}),
	"headers": {{"x-less": json.marshal(object.remove(token, ["exp", "sub"]))}},
}} if startswith(http.path, "/some")

allow := {{
	"allowed": true,
	"headers": {{
		"x-none": json.marshal(object.filter(token, ["x"])),
		"x-loop": json.marshal({{k: v | some k, v in token; k != "c"; not k in ["e", "f"]}}),
		"x-deep": json.marshal(object.remove(token.d, ["a"])),
	}},
	"dynamic_metadata": {{"all": token, "in": {{"c": [token.c, "is", token.d]}}}},
}} if startswith(http.path, "/meta")

allow := {{"allowed": false, "body": concat(",", deny)}} if startswith(http.path, "/deny")

deny contains sprintf("not %s", [json.marshal(token.c)]) if http.method == "GET"

deny contains m if some m in {{"a", "b", "c", "d"}}
"""
PATHS = ("/whole", "/some", "/meta", "/deny")
PLAIN = ("ann@corp.example", "Jürgen", "日本", "a b", [], ["a", "b"], {"b": 1, "a": ["x", {"z": False}]})
PLAIN += (0, 7, -5, 1.5, 0.25, 999_999_999_999_999, True, False, {"z": 1, "a:b": 2, "B": 3, "é": 4})
ODD = ("", " ", '"quoted"', "<&>", "back\\slash", "tab\tin", "new\nline", "\u2028", "\x7f", "’", "a" * 3000)
ODD += (None, {}, [[]], [None], {"": 0}, {"a": {}}, {"a": None}, ["a", 1, True, "1"], {"1": "x", "2": "y"})
ODD += (1e21, 1e-7, 0.1, 0.30000000000000004, -0.0, 3.0, 2**53, 2**53 + 1, -(2**60), 1_000_000_000_000_000)
ODD += (
    "\ue0000\ue001",
    "%s%d",
    "null",
    "true",
    "[1]",
    '{"a":1}',
    "-",
    {"<": 1},
    {'"': 1},
    {"a\\": 1},
    12345.6,
)


def test_claims_are_written_as_they_are(stand: Stand) -> None:
    """All of a token, some of its entries, and single claims of each type: for client, function and log."""
    asked: list[Sent] = []
    for at, value in enumerate((*PLAIN, *ODD)):
        for turn, other in enumerate(({"a": "x", "z": [1]}, [], "text")):
            claims = {"sub": "u 1", "exp": 4_000_000_001, "c": value, "d": other}
            headers = (("authorization", f"Bearer {jwt.encode(claims, 's' * 64, algorithm='HS256')}"),)
            asked += [Sent("GET", f"{path}?{at}-{turn}", headers) for path in PATHS]
    found = compared(stand, POLICY, asked)
    natively = {place(each)[0] for each in found if decider(each) == "native"}
    asked_natively = {"/whole": (0, 1, 2), "/some": (0, 2), "/deny": (0, 1, 2), "/meta": (0,)}
    wanted = {
        f"{path}?{at}-{turn}"
        for path, turns in asked_natively.items()
        for at, value in enumerate(PLAIN)
        for turn in turns
        if value != [] or path in ("/whole", "/deny")
    }
    assert natively >= wanted
