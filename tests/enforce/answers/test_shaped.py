"""Texts made of others in answers, split, cut or written otherwise, are what the engine would put there."""

from __future__ import annotations

import base64
import json

import jwt
from answering import compared, decider, place
from stand import Sent, Stand

OF_CLAIMS = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

labels := split(lower(token.mail), ".")

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {
		"x-domain": split(token.mail, "@")[1],
		"x-name": [upper(split(token.mail, ".")[0]), sprintf("<%%s>", [trim(token.mail, "-. ")])],
	},
	"response_headers_to_add": {"x-top": labels[count(labels) - 1]},
	"why": trim_prefix(token.mail, "mailto:"),
} if startswith(http.path, "/parts")

allow := {
	"allowed": true,
	"headers": {
		"x-replaced": replace(token.mail, ".", "-"),
		"x-left": replace(trim_suffix(token.mail, ".example"), "or", ""),
		"x-behind": substring(token.mail, 4, -1),
		"x-joined": concat(".", array.slice(split(token.mail, "."), 1, count(split(token.mail, ".")))),
	},
} if startswith(http.path, "/more")

allow := {
	"allowed": true,
	"headers": {"x-short": substring(token.mail, 0, 3), "x-inside": upper(substring(token.mail, 2, 100))},
} if startswith(http.path, "/cut")

allow := {
	"allowed": false,
	"http_status": 302,
	"headers": {"location": concat("", ["/login?user=", urlquery.encode(token.mail)])},
	"body": json.marshal({"domain": split(token.mail, "@")[1], "sub": token.sub}),
} if startswith(http.path, "/refusal")
""" % ("s" * 64)
PATHS = ("/parts", "/more", "/cut", "/refusal")
PLAIN = (
    "ann@corp.example",
    "mailto:bob.x@a.b",
    "-Ann%3d+1@x.y-",
    "a'b (c)@d.e f",
    "x@%REQ(x)%.$1",
    "a.nan@y.z",
)
OTHERS = (
    *(
        "a@b",
        "@",
        ".",
        "@.",
        "a@",
        "",
        " ",
        "a@ .b",
        ".a@b.",
        "an.@ an",
        "mailto:",
        "ann.@b.example",
        "a@b.\\\\",
    ),
    *(
        '"@".b',
        "a@<b>.c",
        "ü.a@b.c",
        "a@ü.b",
        "a.b@c\n.d",
        "a\x00.b@c",
        "a.b@c\x7f.d",
        "\u212a.a@K.b",
        "a@b.c ",
        7,
    ),
    *(None, True, ["a.b@c"], {"a.b@c": 1}, "\ue0000\ue001.a@b", "a.b@c.d" * 900),
)


def test_what_is_made_of_claims_is_put_into_answers(stand: Stand) -> None:
    """For the client, the function and the log. What would be nothing, begin or end with space, or have other
    letters than a header holds, is the engine's."""
    asked: list[Sent] = []
    for at, mail in enumerate((*PLAIN, *OTHERS)):
        token = jwt.encode({"sub": "u", "mail": mail}, "s" * 64, algorithm="HS256")
        asked += [Sent("GET", f"{path}?{at}", (("authorization", f"Bearer {token}"),)) for path in PATHS]
    found = compared(stand, OF_CLAIMS, asked)
    deciders = {place(each)[0]: decider(each) for each in found}
    for at, mail in enumerate(PLAIN):
        native = {path for path in PATHS if deciders[f"{path}?{at}"] == "native"}
        assert native >= ({*PATHS} - {"/refusal"} if "'" not in mail else {"/more"}), mail
    assert deciders["/refusal?0"] == "native"


OF_MEMBERS = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {"x-first": lower(token.groups[0]), "x-name": split(token.teams[1].name, "@")[0]},
}
""" % ("s" * 64)


def test_what_is_made_of_members_is_put_into_answers(stand: Stand) -> None:
    """Of that which is asked for: a script counts from one."""
    groups = (["A"], ["Ab", "C"], ["x", "A"], [], "A", [["A"]], {"0": "A"}, {"1": "A"}, [1])
    teams = ([{"name": "x"}, {"name": "b@c"}], [{"name": "a@b"}])
    asked: list[Sent] = []
    for group in groups:
        for team in teams:
            token = jwt.encode({"groups": group, "teams": team}, "s" * 64, algorithm="HS256")
            asked.append(Sent("GET", f"/{len(asked)}", (("authorization", f"Bearer {token}"),)))
    found = compared(stand, OF_MEMBERS, asked)
    assert [decider(each) for each in found if place(each)[0] in ("/0", "/2")] == ["native", "native"]


OF_NAMES = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {
		"x-tenant": token["custom:tenant"],
		"x-role": sprintf("<%%s>", [token["https://app.example/claims"].role]),
		"x-group": token.groups[0],
	},
}
""" % ("s" * 64)


def test_claims_whose_names_no_formatter_spells_are_put_into_answers(stand: Stand) -> None:
    """Those of issuers that put a colon or a URL before their own, and members of arrays."""
    values = ("acme", "a b", " a", "", "ü", "a\n", 7, None, ["a"], {"role": "a"}, "a" * 900)
    asked: list[Sent] = []
    for at, value in enumerate(values):
        for own in (value, "b"):
            said = {
                "custom:tenant": value,
                "https://app.example/claims": {"role": own},
                "groups": [own, value],
            }
            token = jwt.encode(said, "s" * 64, algorithm="HS256")
            asked.append(Sent("GET", f"/{at}/{own == 'b'}", (("authorization", f"Bearer {token}"),)))
    found = compared(stand, OF_NAMES, asked)
    deciders = {place(each)[0]: decider(each) for each in found}
    assert {deciders[f"/{at}/{kept}"] for at in (0, 1) for kept in (True, False)} == {"native"}


OF_REQUESTS = """package p

import input.attributes.request.http

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {
		"x-client": trim_space(split(http.headers["x-forwarded-for"], ",")[0]),
		"x-forwarded-for": split(http.headers["x-forwarded-for"], ", ")[1],
		"x-host": split(http.host, ".")[0],
	},
	"request_headers_to_remove": ["x-first"],
} if startswith(http.path, "/headers")

allow := {
	"allowed": true,
	"headers": {
		"x-project": input.parsed_path[1],
		"x-last": input.parsed_path[count(input.parsed_path) - 1],
		"x-both": concat("-", [upper(input.parsed_path[1]), input.parsed_path[0]]),
		"x-path": concat("/", input.parsed_path),
		"x-rest": upper(concat("/", array.slice(input.parsed_path, 1, count(input.parsed_path)))),
	},
} if input.parsed_path[0] == "segments"

allow := {
	"allowed": false,
	"http_status": 302,
	"headers": {"location": concat("", ["https://login.example/?to=", urlquery.encode(http.path)])},
	"body": sprintf("not %s", [split(trim_prefix(http.path, "/"), "/")[1]]),
} if startswith(http.path, "/login/")

allow := {
	"allowed": true,
	"headers": {"x-first": split(json.unmarshal(base64.decode(http.headers["x-info"])).name, " ")[0]},
} if startswith(http.path, "/field")
"""
FORWARDED = (
    "10.0.0.1, 10.0.0.2",
    "a,b, c",
    " x , y,z",
    "a",
    "",
    ", ",
    "a, ",
    "\xfc, b",
    "a\t, b",
    "%REQ(x)%, $1",
)
SEGMENTS = (
    *(
        "/segments/a/b",
        "/segments/a",
        "/segments",
        "/segments/",
        "/segments/a/",
        "/segments//a",
        "/segments/%41",
    ),
    *(
        "/segments/a%20b",
        "/segments/a;b",
        "/segments/a%2Fb/c",
        "/segments/a/%62?c=d/e",
        "/segments/~a+b@c/d?e/f",
    ),
    *("/segments/a%/b", "/segments/%C3%BC/x", "/segments/x/..", "/segments/'a'/$1", "/segments/%2525/x"),
)
LOGINS = (
    "/login/a?b=c&d=%20e+f",
    "/login/~x._-/y",
    "/login/",
    "/login/a'b\"",
    "/login/%C3%BC",
    "/login/a\xfcb",
)


def test_what_is_made_of_headers_and_paths_is_put_into_answers(stand: Stand) -> None:
    """Headers that stand there twice are one text, and a header may be made of its own value. Of escapes in a
    path the engine makes what they stand for."""
    asked = [
        Sent("GET", f"/headers?{at}", (("host", "a.b"), ("x-forwarded-for", each)))
        for at, each in enumerate(FORWARDED)
    ]
    twice = (("x-forwarded-for", "a"), ("x-forwarded-for", "b, c"))
    asked += [Sent("GET", "/headers?twice", (("host", "-.b"), *twice)), Sent("GET", "/headers?none")]
    asked += [Sent("GET", each) for each in (*SEGMENTS, *LOGINS)]
    names = ("Ann Lee", "Ann", " Ann", "", "Änn Lee", 7, None, ["a b"], "a\u2003b c", "$1 %REQ(x)%")
    for at, name in enumerate(names):
        text = json.dumps({"name": name}).encode()
        info = base64.b64encode(text).decode()
        asked.append(Sent("GET", f"/field?{at}", (("x-info", info),)))
    found = compared(stand, OF_REQUESTS, asked)
    deciders = {place(each)[0]: decider(each) for each in found}
    native = {path for path, decided in deciders.items() if decided == "native"}
    assert native >= {"/headers?0", "/headers?9", "/segments/a/b", "/segments/a", "/segments/~a+b@c/d?e/f"}
    assert native >= {*LOGINS[:2], "/field?0", "/field?1"}
    assert native.isdisjoint({"/segments/a%20b", "/segments/%C3%BC/x", "/field?4"})
