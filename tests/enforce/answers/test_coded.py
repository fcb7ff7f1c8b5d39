"""Texts that are encoded as a whole, and parameters of the query, are put into answers as the engine does."""

from __future__ import annotations

import jwt
import pytest
from answering import compared, decider, place
from stand import Sent, Stand

HEAD = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

default allow := {"allowed": false, "http_status": 401}
""" % ("s" * 64)

OF_CLAIMS = f"""{HEAD}
allow := {{
	"allowed": true,
	"headers": {{
		"x-basic": sprintf("Basic %s", [base64.encode(sprintf("%s:%s", [token.sub, token.mail]))]),
		"x-hex": hex.encode(token.mail),
		"x-scopes": concat(",", split(token.mail, " ")),
	}},
	"response_headers_to_add": {{"x-url": base64url.encode(concat("", ["<ü>", token.mail, http.method]))}},
	"why": base64.encode(token.mail),
}} if startswith(http.path, "/parts")

allow := {{
	"allowed": true,
	"headers": {{"x-user": base64url.encode_no_pad(json.marshal({{"s": token.sub, "m": token.mail}}))}},
	"dynamic_metadata": {{"user": base64.encode(json.marshal([token.mail]))}},
}} if startswith(http.path, "/json")

allow := {{
	"allowed": false,
	"http_status": 302,
	"headers": {{"location": concat("?", [
		"/login",
		urlquery.encode_object({{"z<": token.sub, "a ": concat(" ", [token.mail, more]), "m": "1&2"}}),
	])}},
	"body": json.marshal({{"next": base64.encode(sprintf("%s?", [urlquery.encode(token.mail)]))}}),
}} if startswith(http.path, "/query")

more := http.headers["x-more"]

allow := {{"allowed": false, "body": base64.encode(concat(",", token.list))}} if startswith(http.path, "/all")
"""
PATHS = ("/parts", "/json", "/query", "/all")
PLAIN = ("ann@corp.example", "x", "a+b/c=d?e&f~g", "one two")
OTHERS = (
    *("", " ", "ü", "é ?", "日本?>", '"quoted"', "<&>", "back\\slash", "tab\tin", "new\nline", "\x00"),
    *("\x7f", "a" * 3000, 7, 1.5, None, True, [], ["a"], {"a": "b"}, "\ue0000\ue001", "%s%d", " x", "x "),
    "\u2028",
)


@pytest.mark.long
def test_what_is_made_of_claims_is_encoded(stand: Stand) -> None:
    """In each code, of one text or several, in JSON or not, for client, function and log. Texts that are
    none, or that JSON would write otherwise, are the engine's."""
    asked: list[Sent] = []
    for at, mail in enumerate((*PLAIN, *OTHERS)):
        for more in ("more", "a,b", "é", ""):
            claims = {"sub": "u 1", "mail": mail, "list": ["a", mail]}
            token = jwt.encode(claims, "s" * 64, algorithm="HS256")
            headers = (("authorization", f"Bearer {token}"), ("x-more", more))
            asked += [Sent("GET", f"{path}?{at}{more == 'more'}", headers) for path in PATHS]
    found = compared(stand, OF_CLAIMS, asked)
    natively = {place(each)[0] for each in found if decider(each) == "native"}
    plain = {f"{path}?{at}True" for path in PATHS for at, _ in enumerate(PLAIN)}
    assert natively >= plain - {"/json?2True", "/all?2True"}  # with the `&` that JSON escapes


OF_REQUESTS = """package p

import input.attributes.request.http

default allow := {"allowed": true}

allow := {
	"allowed": false,
	"http_status": 302,
	"headers": {"location": sprintf("https://login.example/?rd=%s", [
		urlquery.encode(sprintf("https://%s%s", [http.host, http.path]))
	])},
} if not http.headers.cookie
"""


def test_where_to_go_back_to_is_native_for_each_request(stand: Stand) -> None:
    """The redirect to a login page, whatever the path."""
    targets = ("/", "/a?b=c&d=%20e+f;g", "/%41/..//x", "/~a-b_c.d!$'()*,:@", "/?a=%zz", "/a?", "/?<>")
    asked = [Sent("GET", each) for each in targets]
    asked += [Sent("GET", "/h", (("host", each),)) for each in ("a.example:8080", "A", "[::1]:9", "a_b")]
    found = compared(stand, OF_REQUESTS, asked)
    assert {decider(each) for each in found if "%zz" not in place(each)[0]} == {"native"}


OF_QUERIES = """package p

import input.attributes.request.http

default allow := {"allowed": false}

allow := {
	"allowed": true,
	"headers": {"x-t": input.parsed_query.t[0]},
	"response_headers_to_add": {"x-l": lower(split(input.parsed_query["a.b"][0], ",")[0])},
} if input.parsed_path[0] == "both"

allow := {
	"allowed": true,
	"headers": {"x-t": sprintf("<%s>", [input.parsed_query.t[0]])},
} if input.parsed_path[0] == "one"

allow := {
	"allowed": false,
	"body": json.marshal({"t": input.parsed_query.t[0], "u": urlquery.encode(input.parsed_query.t[0])}),
} if input.parsed_path[0] == "body"
"""
PLAIN_QUERIES = ("t=a&a.b=C,d", "a.b=C&t=x", "tt=1&t=2&a.b=3", "&&t==1&a.b=x=y&", "?a&t=?&a.b=1&t=2")
QUERIES = (
    *("t=1", "t=", "t", "t&t=2", "t=1&t=2", "T=1", "tt=1&t=2", "xt=1", "t=1=2", "=t", "", "t=%41", "t=a+b"),
    *("%74=1", "t=1&%74=2", "a=%20&t=1", "t=1;2", "t=1#f", "t=<a>", 't="', "t='", "t=\\", "t=1&a.b="),
    *("axb=1&t=2", "a.b=,&t=1", "t=" + "x" * 2000, "t=é", "t[]=1&t=2", "t&t=1&a.b=2", "a.b&t=1"),
)


@pytest.mark.parametrize("way", ["both", "one", "body"])
def test_parameters_are_put_into_answers(stand: Stand, way: str) -> None:
    """The first of a name in a plain query; escapes, and what is no plain text, are the engine's."""
    asked = [Sent("GET", f"/{way}?{query}") for query in (*PLAIN_QUERIES, *QUERIES)]
    found = compared(stand, OF_QUERIES, asked)
    natively = {place(each)[0] for each in found if decider(each) == "native"}
    assert natively >= {f"/{way}?{query}" for query in PLAIN_QUERIES}


QUOTED = r"""package p

import input.attributes.request.http

allow := {
	"allowed": false,
	"body": sprintf("%q, not %q", [sprintf("<a&b> é\u2028\t\"%s\\\u0001\u007f", [http.method]), http.path]),
}
"""


def test_quoted_texts_are_escaped_as_go_does(stand: Stand) -> None:
    """Constants in them, too: JSON would write `\\u0026` for `&`, which `%q` leaves as it is."""
    found = compared(stand, QUOTED, [Sent("GET", "/a"), Sent("PUT", "/a&b"), Sent("GET", "/%22")])
    assert [decider(each) for each in found] == ["native", "native", "residual"]  # by path
