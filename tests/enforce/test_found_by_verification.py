"""What `palisade verify` found, each with the request that showed it: docs/verification.md tells of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lowered import PROVIDERS, subject_of
from signed_tokens import EC, jwk

from palisade import rego
from palisade.rego.text import dumps
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, Token, compare
from palisade.testing.equivalence.telling import summary

HEAD = "package p\nimport input.attributes.request.http\nclaims := input.identity.claims\n"
ADDRESS = "input.attributes.source.address.socketAddress.address"


def header(value: str) -> Request:
    return Request(headers=(("x-a", value),))


def host(value: str) -> Request:
    return Request(headers=(("host", value),))


def claim(value: object) -> Request:
    return Request(token=Token("corp", {"c": value}))


def http2(target: str, *headers: tuple[str, str]) -> Request:
    return Request(target=target, headers=headers, http2=True)


def body(text: str, kind: str = "application/json", method: str = "GET") -> Request:
    return Request(method, "/", (("content-type", kind),), None, text)


FOUND = {
    "what is gathered of a member belongs to that member, in each use of a set": (
        "s contains g.a if { some g in claims.c; count([1 | some n in g.n]) > 1 }\n"
        'ok if { "a" in s; not "b" in s }\nallow if not ok',
        [
            claim([{"a": "a", "n": one}, {"a": "b", "n": other}])
            for one in ([], [1, 2])
            for other in ([], [1, 2])
        ],
    ),
    "members of a set that are alike are listed once": (
        'roles := {r | some r in claims.c}\nallow if count([r | some r in roles; r in {"a", "b"}]) > 1',
        [claim(["a", "a"]), claim(["a", "b"]), claim(["b", "a", "b"]), claim(["a"]), claim("a")],
    ),
    "numbers of a set that are alike are added once": (
        "levels := {g.n | some g in claims.c}\nallow if sum([n | some n in levels]) > 3",
        [claim([{"n": n}, {"n": m}]) for n, m in ((2, 2), (2, 3), (4, 4), (1, 1))],
    ),
    "messages that are alike are counted once": (
        'deny contains {"m": sprintf("%v", [claims.c.a]), "n": 1} if claims.c.x\n'
        'deny contains {"m": sprintf("%v", [claims.c.b]), "n": 1} if claims.c.y\n'
        "allow if count([d.n | some d in deny]) < 2",
        [claim({"x": True, "y": y, "a": "m", "b": b}) for y in (True, False) for b in ("m", "n")],
    ),
    "messages of which one is the first of a list": (
        'deny contains m if { some r in claims.c; r == "a"; m := [x | x := claims.d][0] }\n'
        'deny contains m if { http.headers["x-a"] != "b"; m := json.unmarshal(http.body).k }\n'
        'default msg := "none"\nmsg := concat(", ", deny) if not ok\nok := count(deny) == 0\n'
        'allow := {"allowed": ok, "body": msg}',
        [
            replace(body('{"k": "m"}'), headers=(*body("").headers, ("x-a", value)), token=token)
            for value in ("a", "b")
            for token in (None, Token("corp", {"c": ["a"], "d": "x"}), Token("corp", {"c": "a", "d": "x"}))
        ],
    ),
    "the first of a list whose members are known by the method": (
        'allow := {"allowed": true, "headers": {"x-c": [x | x := upper(http.method)][0]}}',
        [Request(method) for method in ("GET", "POST", "PURGE")],
    ),
    "versions that are equal, asked for alone: 0 is no false": (
        'allow if not semver.compare(claims.c, "1.0.0")',
        [claim("1.0.0"), claim("1.0.1"), claim("0.9.0"), claim("1"), claim(1)],
    ),
    "the last one is not in what ends before it": (
        'allow if not "b" in array.slice(claims.c, 0, count(claims.c) - 1)',
        [claim(["a", "b"]), claim(["b", "a"]), claim(["b"]), claim([])],
    ),
    "nor the last segment": (
        'allow if "b" in array.slice(input.parsed_path, 0, count(input.parsed_path) - 1)',
        [Request(target=each) for each in ("/a/b", "/b/a", "/b", "/")],
    ),
    "a byte that is no UTF-8 is ! to the engine": (
        'allow if http.headers["x-a"] == "!"',
        [header("\udcff"), header("!"), header("ü")],
    ),
    "nor does a pattern tell it from a character": (
        'allow if not regex.match("^[a-z]*!$", http.headers["x-a"])',
        [header("a\udcff"), header("\udcff"), header("a")],
    ),
    "envoy reads patterns as Latin-1: a character": (
        'allow if regex.match("^.$", http.headers["x-a"])',
        [header("ü"), header("a"), header("ab")],
    ),
    "and none of two": ('allow if not regex.match("^..$", claims.c)', [claim("ü"), claim("ab"), claim("a")]),
    "classes of letters": ('allow if regex.match("^[äöü]$", claims.c)', [claim("ü"), claim("u")]),
    "globs": ('allow if glob.match("a?", ["/"], claims.c)', [claim("aü"), claim("ab"), claim("a")]),
    "patterns of members": (
        'allow if { some r in claims.c; regex.match("^.$", r) }',
        [claim(["ü"]), claim(["ab", "b"]), claim(["ab"])],
    ),
    "letters that become ASCII": (
        'allow if lower(claims.c) == "k"',
        [claim("\u212a"), claim("K"), claim("k"), claim("q")],
    ),
    "characters that Latin-1 lacks": (
        'allow if regex.match("^[\\\\x{100}-\\\\x{200}]$", claims.c)',
        [claim("ā"), claim("a")],
    ),
    "the last of what two characters part begins so, not what stands before": (
        'allow if { p := split(http.headers["x-a"], ", "); startswith(p[count(p) - 1], "10.") }',
        [header(each) for each in ("10.0.0.1, 6.6.6.6", "6.6.6.6, 10.0.0.1", "10.0.0.1")],
    ),
    "and a part of it ends where they stand": (
        'allow if split(split(http.headers["x-a"], ", ")[0], "/")[1] == "c"',
        [header(each) for each in ("a, b/c", "a/c, b", "a/c")],
    ),
    "a segment with a slash": (
        'allow if not contains(input.parsed_path[1], "b/c")',
        [Request("GET", "/a/b/c"), Request("GET", "/a")],
    ),
    "a claim without a name": (
        'allow if claims[""] == "x"',
        [Request(token=Token("corp", {"": "x"})), Request(token=Token("corp", {"": "y"}))],
    ),
    "ranges that the request brings": (
        f"allow if net.cidr_contains(claims.c, {ADDRESS})",
        [claim("127.0.0.0/8"), claim("10.0.0.0/8"), claim(1)],
    ),
    "and do not hold": (f"allow if not net.cidr_contains(claims.c, {ADDRESS})", [claim("127.0.0.0/8")]),
    "IPv4 written as IPv6": (
        f'allow if net.cidr_contains("::ffff:10.0.0.0/104", {ADDRESS})',
        [Request(source="10.1.2.3"), Request(source="11.1.2.3"), Request(source="::1")],
    ),
    "a body that is not what it says": (
        'allow if http.method == "GET"\nallow if input.parsed_body.a == 1',
        [body("{"), body("{}"), body('{"a": 1}', method="POST"), body("{", "text/plain")],
    ),
    "outcomes that exclude each other": (
        'deny contains "a" if http.method == "GET"\ndeny contains "b" if http.path == "/"\n'
        'allow := {"allowed": count(deny) == 0, "http_status": 409, "body": concat(",", deny)}',
        [Request(), Request("PUT"), Request("GET", "/x"), Request("PUT", "/x")],
    ),
    "a body where all are allowed but some": (
        "default allow := true\nallow := false if input.parsed_body.a == 1",
        [body("{"), body('{"a": 1}'), body("a=%zz", "application/x-www-form-urlencoded"), Request()],
    ),
    "a body that is not what it says, where the denial is a redirect": (
        'allow := {"allowed": true} if input.parsed_body.a == 1\n'
        'else := {"allowed": false, "http_status": 302, "headers": {"location": "/login"}}',
        [body("{"), body("{}"), body('{"a": 1}'), body("{", "text/plain"), Request()],
    ),
    "what an escape in a segment is written with is no part of it": (
        'allow if contains(input.parsed_path[0], "a")',
        [Request(target="/%3a"), Request(target="/a"), Request(target="/%3Aa"), Request(target="/b/%3a")],
    ),
    "nor its end": (
        'allow if not endswith(input.parsed_path[0], "C")',
        [Request(target="/%3C"), Request(target="/C"), Request(target="/%3CC"), Request(target="/<")],
    ),
    "a host that is empty": (
        'allow if http.host != "a.test"',
        [host(""), host("a.test"), host("b.test")],
    ),
    "is not one that is among none": (
        'allow if not http.host in {"a.test"}',
        [host(""), host("a.test"), host("b.test")],
    ),
    "nor one that fails a test": (
        'allow if not startswith(lower(http.host), "a")',
        [host(""), host("a.test"), host("b.test")],
    ),
    "nor a text": (
        'allow if regex.match("^[a-z.]*$", http.host)',
        [host(""), host("a.test"), host("b.test")],
    ),
    "over HTTP/2 a query may have bytes that are no UTF-8": (
        'allow if http.path == "/a?x=!"',
        [http2("/a?x=\udcff"), http2("/a?x=!")],
    ),
    "or beyond ASCII, which patterns read otherwise": (
        'allow if regex.match("^/a.x=.$", http.path)',
        [http2("/a?x=ü"), http2("/a?x=b"), http2("/a?x=bb")],
    ),
    "of which expressions make nothing": (
        "allow if input.parsed_path[1] == claims.c",
        [replace(claim("b"), target=f"/a/b{query}", http2=True) for query in ("", "?\udcff", "?ü", "?x")],
    ),
    "and a header space around its value, which no function sees": (
        'allow if http.headers["x-a"] != "b"',
        [http2("/", ("x-a", value)) for value in ("b ", "\tb", " b ", "b", "c ")],
    ),
    "whose scheme the client chooses": (
        'allow if http.scheme == "https"',
        [http2("/", (":scheme", "https")), http2("/")],
    ),
    "the host is no header of that name": (
        'allow if http.headers.host == "a.test"\nallow if not http.headers.host',
        [
            host("a.test"),
            host("b.test"),
            http2("/", ("host", "a.test")),
            http2("/", (":authority", "a.test")),
        ],
    ),
    "nor is any header called so": (
        'allow if http.headers["a\\nb"] == "x"\nallow if not http.headers["a b"]',
        [host("a.test"), header("x")],
    ),
    "pieces of a count that no text has": (
        'allow if count(split(http.headers["x-a"], ",")) == 0',
        [header("a"), header("a,b")],
    ),
    "nor is any text without so many": (
        'allow if count(split(claims.c, " ")) != 1.5',
        [claim("a"), claim("a b"), claim(1)],
    ),
    "more pieces than an expression counts": (
        'allow if not count(split(http.headers["x-a"], ",")) == 250',
        [header("a" + ",a" * at) for at in (0, 248, 249, 250)],
    ),
    "more segments than an expression counts": (
        "allow if not count(input.parsed_path) == 250",
        [Request("GET", "/a" * at) for at in (1, 249, 250, 251)],
    ),
    "pieces further on than an expression counts": (
        'allow if split(http.headers["x-a"], ",")[2000] == "b"\nallow if http.headers["x-b"]',
        [header("a," * 2000 + each) for each in ("a", "b")],
    ),
    "segments further on than an expression counts": (
        'allow if input.parsed_path[1500] == "b"\n'
        "allow if count(array.slice(input.parsed_path, 0, 1400)) == 1400",
        [Request("GET", "/a" * at + "/b") for at in (1, 1398, 1399, 1499, 1500)],
    ),
    "what is cut off a header that is shorter, and decoded": (
        'deny if base64.decode(substring(http.headers["x-a"], 6, -1)) != "a:b"\nallow if not deny',
        [header(each) for each in ("", "a", "Basic", "Basic ", "Basic YTpi", "Basic YTpj", "Basic !")],
    ),
    "moments that are compared as texts are": (
        "allow if time.now_ns() == claims.c\nallow if time.now_ns() == 5\n"
        "allow if not time.now_ns() != claims.c",
        [claim("a"), claim(5), header("a")],
    ),
    "members at places that no array has": (
        "allow if not claims.c[99999999999999999999]",
        [claim(["a"])],
    ),
    "expressions that nest deeper than Envoy reads": (
        "\n".join(
            [
                *(f"allow if claims.c{'.a' * depth} == http.path" for depth in range(41, 48)),
                *(
                    f"allow if {'+'.join(f'claims.c{at}' for at in range(count))} > 3"
                    for count in range(34, 48)
                ),
                *(f"allow if {{ every x in claims.c{'.a' * depth} {{ x > 1 }} }}" for depth in range(38, 46)),
            ]
        ),
        [claim("a"), claim({"a": 1})],
    ),
    "numbers that are named twice, again and again": (
        "\n".join(
            [
                "allow if {",
                "x0 := claims.c",
                *(f"x{at + 1} := abs(x{at} - abs(x{at}))" for at in range(9)),
                "x9 > 1",
                "}",
            ]
        ),
        [claim(1), claim("a")],
    ),
    "sums of what is calculated of several numbers": (
        "allow if {\n\tsum([(x.a * x.b * x.c + x.d) | some x in claims.c]) >"
        " sum([(x.a * x.b + x.d) | some x in claims.c])\n}",
        [claim([{"a": 2, "b": 1, "c": count, "d": 1}] * 8) for count in (1, 2)],
    ),
    "but undefined": (
        "allow if not http.host",
        [host(""), host("a.test"), host("b.test")],
    ),
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("linear", [4, 0], ids=("compared", "looked up"))
def test_what_was_found_is_mended(bed: Bed, issuers: Issuers, name: str, linear: int) -> None:
    """Envoy, or the engine that it asks, does as the evaluator says."""
    rules, asked = FOUND[name]
    policy = rego.compile({"p.rego": HEAD + rules})
    subject = subject_of(policy, PROVIDERS[:1], issuers, linear=linear)
    bed.load(subject)
    tally = Tally()
    for difference in compare(bed, subject, asked, tally):
        raise AssertionError(f"{summary(difference)}: {difference.request}")
    assert tally.pairs == len(asked)


def test_what_is_gathered_of_no_token_is_there_and_empty(bed: Bed, issuers: Issuers) -> None:
    """Of a request without any of the tokens that the policy takes, too: what is made of it is a text."""
    [issuer] = issuers.of(PROVIDERS[:1])
    sets = {issuer.provider.issuer: issuer.jwks, "https://b.example": dumps({"keys": [jwk(EC, kid="other")]})}
    policy = f"""package p
import input.attributes.request.http

claims := said if io.jwt.verify_es256(bearer, sets[said.iss])

said := io.jwt.decode(bearer)[1]

sets := {dumps(sets)}

bearer := t if {{
	startswith(http.headers.authorization, "Bearer ")
	t := substring(http.headers.authorization, 7, -1)
}}

deny contains message if {{
	http.method == "GET"
	message := sprintf("m0 %v", [concat("|", {{r | some r in claims.roles}})])
}}

allow := {{
	"allowed": count(deny) == 0,
	"http_status": 409,
	"body": concat(",", deny),
	"headers": {{"x-all": json.marshal({{"all": deny}})}},
}}
"""
    subject = subject_of(rego.compile({"p.rego": policy}), (), issuers)
    bed.load(subject)
    tally = Tally()
    asked = [Request(), Request("PUT")]
    assert [summary(each) for each in compare(bed, subject, asked, tally)] == []
    assert tally.pairs == len(asked)


def test_a_policy_that_answers_with_a_body_reads_none(issuers: Issuers) -> None:
    """Else every request with a JSON body would be for the engine, which would have to read it."""
    rules = 'allow := {"allowed": false, "body": "no"} if http.method == "PUT"\nelse := true'
    made = [rego.compile({"p.rego": HEAD + each}) for each in (rules, f'{rules} if http.body == "x"')]
    answers, reads = (subject_of(policy, PROVIDERS[:1], issuers).enforcement for policy in made)
    assert (answers.body, answers.residual) == (False, False)
    assert reads.body
