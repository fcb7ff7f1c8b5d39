"""Claims and texts of the request in answers, put in by the sidecar, are what the engine would put in."""

from __future__ import annotations

import jwt
from answering import compared, decider, place
from stand import Sent, Stand

CLAIMED = """package p

import input.attributes.request.http

token := t if [true, _, t] = io.jwt.decode_verify(split(http.headers.authorization, " ")[1], {"secret": "%s"})

default allow := {"allowed": false, "http_status": 401}

allow := {
	"allowed": true,
	"headers": {"x-user": token.sub, "x-both": [token.sub, "and", token.org.name], "x-100%": "%REQ(x)%"},
	"response_headers_to_add": [{"x-greeting": sprintf("hello %s", [token.sub]), ":greeted": token.sub}],
} if startswith(http.path, "/ticket")

allow := {
	"allowed": false,
	"http_status": 403,
	"headers": {"x-who": concat("", ["<", token.sub, ">"])},
	"body": $"{token.sub} is 100% not welcome",
} if startswith(http.path, "/refusal")
""".replace('%s"})', "s" * 64 + '"})')


def test_claims_are_put_into_answers(stand: Stand) -> None:
    """What the token says reaches the function, the client and the log as the engine would put it there. What
    is no text, or none that a header may hold, is the engine's."""
    subs = (
        "alice",
        "bob 100%",
        '{"a": 1}',
        "ünï\ttab",
        " spaced ",
        "%REQ(x)%",
        "-",
        "\ue0000\ue001",
        "x" * 5000,
    )
    others = (7, True, None, ["a"], {"a": "b"}, "", "line\nbreak", "nul\x00", "\x7f")
    asked = []
    for sub in (*subs, *others):
        token = jwt.encode({"sub": sub, "org": {"name": "acme"}}, "s" * 64, algorithm="HS256")
        headers = (("authorization", f"Bearer {token}"), ("x-user", "root"))
        for method, path in (("GET", "/ticket"), ("GET", "/refusal"), ("HEAD", "/refusal"), ("GET", "/no")):
            asked.append(Sent(method, f"{path}?{len(asked)}", headers))
    found = compared(stand, CLAIMED, asked)
    deciders = {int(place(each)[0].partition("?")[2]): decider(each) for each in found}
    filled = 4 * len(subs)
    assert {deciders[at] for at in range(filled)} == {"native"}
    assert {deciders[at] for at in range(filled, len(asked))} == {"native", "residual"}


ECHOED = """package p

import input.attributes.request.http

default allow := {"allowed": false, "body": "no"}

allow := {
	"allowed": false,
	"http_status": 302,
	"headers": {"location": sprintf("https://login.example/?to=%s://%s%s", ["https", http.host, http.path])},
	"body": sprintf("%v %v is not for you: 100%% sure", [http.method, http.path]),
} if startswith(http.path, "/login")

allow := {
	"allowed": true,
	"headers": {"x-original": http.path, "x-by": [http.method, concat("", ["<", http.host, ">"])]},
	"response_headers_to_add": {"x-was": $"{http.method} {http.path}"},
} if startswith(http.path, "/ticket")

allow := {"allowed": false, "body": http.headers["x-envoy-a"]} if startswith(http.path, "/header")

allow := {
	"allowed": false,
	"headers": {"x-why": sprintf("%q: %d", [http.host, 7])},
	"body": json.marshal({"why": sprintf("%s %q not for %q, %q", [http.method, http.path, http.host, `a"`])}),
} if startswith(http.path, "/quoted")
"""


def test_the_path_and_the_host_are_put_into_answers(stand: Stand) -> None:
    """As a redirect to a login page has it: byte for byte what the engine would answer, in the log too.
    Headers that Envoy changes on the way are the engine's, and what is escaped where it stands in quotes."""
    tails = (
        "",
        "?a=b&c=%20d",
        "/%7Bx%7D",
        "?to=%REQ(x)%",
        "/100%25",
        "/%C3%BC",
        "?;,=\"'<>",
        "/" * 3,
    )
    hosts = ("orders.example", "Orders.example:8080", "[::1]:80", "a")
    asked = []
    for path in ("/login", "/ticket", "/header", "/quoted", "/other"):
        for tail in tails:
            for host in hosts:
                sent = f"{path}{len(asked)}{tail}"
                asked.append(Sent("GET", sent, (("host", host), ("x-envoy-a", "b"))))
    asked.append(Sent("HEAD", "/login?x", ()))
    asked.append(Sent("POST", "/login?x", (("content-type", "application/grpc"), ("te", "trailers"))))
    found = compared(stand, ECHOED, asked)
    left = [place(each)[0] for each in found if decider(each) == "residual"]
    assert {path[:7] for path in left} == {"/header", "/quoted"}
    assert len(left) == (len(tails) + 2) * len(hosts)
    assert all("/header" in path or path.endswith(("%20d", "'<>")) for path in left), left


SEEN = """package p

import input.attributes.request.http

address := input.attributes.source.address.socketAddress.address

allow := {
	"allowed": false,
	"body": sprintf("%s may not", [address]),
	"headers": {"x-ip": address},
	"why": address,
} if http.path == "/other"

allow := {
	"allowed": true,
	"headers": {"x-client-ip": address},
	"response_headers_to_add": {"x-was": $"{address} {http.method}"},
} if http.path == "/ticket"

allow := {"allowed": false, "body": json.marshal({"ip": address, "of": http.method})} if http.path == "/json"

allow := {"allowed": true, "dynamic_metadata": {"ip": address}} if http.path == "/metadata"

allow := {"allowed": false, "body": concat(", ", said)} if http.path == "/many"

said contains name if {
	some name in ["x-a", "x-b", "x-c", "x-d", "x-e", "x-f"]
	http.headers[name]
}

said contains sprintf("from %s", [address]) if http.headers["x-from"]
"""


def test_the_address_of_who_connects_is_put_into_answers(stand: Stand) -> None:
    """As a client is told who it seems to be, and a function who asks. Scripts do not have it: metadata for
    filters behind, and messages with it where they are told, are the engine's."""
    named = (("x-b", "1"), ("x-e", "1"))
    asked = [Sent("GET", path) for path in ("/ticket", "/json", "/other", "/metadata")]
    asked += [
        Sent("POST", "/ticket"),
        Sent("GET", "/many", named),
        Sent("HEAD", "/many", (*named, ("x-from", "1"))),
    ]
    found = compared(stand, SEEN, asked)
    assert [place(each) for each in found if decider(each) == "residual"] == [
        ("/many", "HEAD"),
        ("/metadata", "GET"),
    ]
    assert [each["result"]["why"] for each in found if place(each)[0] == "/other"] == ["127.0.0.1"]


COPIED = """package p

import input.attributes.request.http

default allow := {"allowed": false, "body": "no"}

user := http.headers["x-user"]

allow := {
	"allowed": true,
	"headers": {"x-current-user": user, "authorization": http.headers.authorization, "x-two": [user, "b"]},
	"response_headers_to_add": {"access-control-allow-origin": http.headers.origin, "vary": "origin"},
} if startswith(http.path, "/ticket")

allow := {
	"allowed": false,
	"http_status": 204,
	"headers": {"access-control-allow-origin": http.headers.origin, "x-why": sprintf("%s: 100%%", [user])},
	"body": $"{user} is not welcome",
} if startswith(http.path, "/refusal")

allow := {
	"allowed": true,
	"headers": {"x-a": user},
	"request_headers_to_remove": ["x-user"],
} if startswith(http.path, "/removed")

allow := {
	"allowed": true,
	"headers": {"x-user": "root", "x-was": user},
	"response_headers_to_add": {"x-was": user},
} if startswith(http.path, "/changed")

allow := {
	"allowed": true,
	"request_headers_to_remove": ["X-User"],
	"response_headers_to_add": {"x-was": user},
} if startswith(http.path, "/late")
"""


def test_headers_are_put_into_answers(stand: Stand) -> None:
    """As who calls a function, or whom it answers: byte for byte, in the log too, where secrets are masked.
    What is there twice, is long or no plain text is the engine's, as is what the answer changes itself."""
    plain = ("alice", "a b", "%REQ(x)% %", "-", "x" * 1000, "{}'\"\\")
    odd = ("a,b", "ünï", "", "x" * 1001, "tab\tbed")
    paths = ("/ticket", "/refusal", "/removed", "/changed", "/late", "/other")
    asked = []
    for path in paths:
        for user in (*plain, *odd):
            headers = (("x-user", user), ("origin", "https://a.example"), ("authorization", "Basic abc"))
            asked.append(Sent("GET", f"{path}?{len(asked)}", headers))
        twice = (("x-user", "a"), ("x-user", "b"), ("origin", "x"), ("authorization", "y"))
        asked.append(Sent("GET", f"{path}?{len(asked)}", twice))
        asked.append(Sent("GET", f"{path}?{len(asked)}", (("origin", "x"), ("authorization", "y"))))
    found = compared(stand, COPIED, asked)
    deciders = {int(place(each)[0].partition("?")[2]): decider(each) for each in found}
    size = len(asked) // len(paths)
    for at, path in enumerate(paths):
        seen = [deciders[at * size + each] for each in range(size)]
        left = ["residual"] * (len(odd) + 1) + ["native"]
        if path in ("/changed", "/late"):
            assert seen == ["residual"] * (size - 1) + ["native"], path
        elif path != "/other":
            assert seen == ["native"] * len(plain) + left, path
    assert "Basic abc" not in str(found)


VERSIONS = """package p

import input.attributes.request.http

default allow := {"allowed": false, "http_status": 404, "body": "no such version"}

gone := {"v1": "2020", "v2": "2021", "v 3": "2022"}

allow := {
	"allowed": false,
	"http_status": 410,
	"headers": {"x-since": gone[input.parsed_path[0]], "x-version": input.parsed_path[0]},
	"body": sprintf("%s is gone, %v", [input.parsed_path[0], input.parsed_query.why[0]]),
} if {
	gone[input.parsed_path[0]]
	input.parsed_query.why[0] in {"age", "a&b"}
}
"""


def test_segments_and_parameters_are_put_into_answers_where_they_are_constants(stand: Stand) -> None:
    """There is an answer for each constant that they may be, whatever escapes they are written with."""
    paths = ("/v1", "/v2/x", "/v%203", "/v4", "/", "/%761", "/v1%2Fx")
    queries = ("?why=age", "?why=a%26b", "?why=x", "", "?why=age&why=x")
    asked = [Sent("GET", f"{path}{query}") for path in paths for query in queries]
    found = compared(stand, VERSIONS, asked)
    deciders = {place(each)[0]: decider(each) for each in found}
    assert {deciders[f"{path}?why=age"] for path in ("/v1", "/v2/x", "/v%203")} == {"native"}
