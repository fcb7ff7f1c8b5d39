"""Policies that make texts of others, as base64url.decode and lower do, and requests for them."""

from __future__ import annotations

import base64
import json
from typing import Any

from drawing import pick
from hypothesis import strategies as st
from signed_tokens import SECRET, signed

from palisade.testing.equivalence import Request, Token

HEAD = f"""package p

import input.attributes.request.http

body := input.parsed_body

written := json.unmarshal(http.headers["x-json"])

bearer := split(http.headers.authorization, " ")[1]

claims := io.jwt.decode_verify(bearer, {{"secret": "{SECRET}"}})[2]

another := io.jwt.decode_verify(bearer, {{"secret": "another"}})[2]

decoded := io.jwt.decode(http.headers["x-token"])[1]

"""

POLICIES = [
    "allow if lower(body.a) == base64url.decode(claims.c)",
    "allow if lower(body.a) != base64url.decode(claims.c)",
    "allow if not lower(body.a) == base64url.decode(claims.c)",
    "allow if not base64url.decode(claims.c)",
    'allow if base64url.decode(claims.c) == "ann"',
    'allow if base64.decode(claims.c) in {"ann", "Ann", ""}',
    'allow if not base64.decode(body.a) in {"ann", "Ann"}',
    'allow if startswith(base64.decode(body.a), "A")',
    'allow if not regex.match("^[a-z]*$", base64.decode(body.a))',
    'allow if split(base64.decode(written.a), ":")[1] == "b"',
    "allow if count(base64url.decode(body.a)) > 3",
    'allow if lower(base64.decode(body.a)) == "ann"',
    "allow if lower(base64.decode(body.a)) == upper(written.a)",
    "allow if lower(base64.decode(body.a)) == lower(claims.n)",
    "allow if upper(body.a) == upper(claims.n)",
    "allow if lower(written.a) == body.a",
    "allow if upper(body.a) == upper(written.a)",
    'allow if { lower(body.a) == lower(claims.n); lower(body.a) != "ann" }',
    'allow if base64url.decode(decoded.c) == "ann"',
    "allow if base64url.decode(decoded.c) == lower(body.a)",
    "allow if base64url.decode(claims.c) == base64url.decode(another.c)",
    "allow if base64url.decode(another.c) == lower(body.a)",
    "allow if base64url.decode(claims.deep.c) == lower(body.deep.a)",
    "allow if { some each in body.list; base64.decode(each) == lower(claims.n) }",
    'allow if is_string(base64.decode(body.a))\nallow if type_name(base64.decode(body.a)) == "string"',
    "default allow := true\nallow := false if lower(body.a) == base64url.decode(claims.c)",
    'allow := {"allowed": false, "body": base64.decode(body.a)}',
    'allow := {"allowed": true, "headers": {"x-a": base64url.decode(claims.c)}}',
    'allow if concat(",", body.list) in {"ann", "ann,Ann", ""}',
    'allow if not concat("", {each | some each in body.list}) in {"annYW5u", "Ann", ""}',
    'allow if startswith(concat("-", sort(decoded.c)), "YW")',
    'allow if concat("", [each | some each in decoded.n]) == ""',
    'allow if concat(" ", sort(body.list)) != base64.decode(body.a)',
    'allow if count(concat("", body.list)) > 6',
    'allow := {"allowed": false, "body": concat("|", {each | some each in body.list})}',
    'allow if lower(body.list[count(body.list) - 1]) == "ann"',
]


MESH = 'input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].corp'
OF_PROVIDERS = [
    'allow if lower(http.headers["x-user"]) == lower(said.c)',
    'allow if lower(http.headers["x-user"]) == said.c',
    'allow if lower(http.headers["x-user"]) != lower(said.c)',
    'allow if not lower(http.headers["x-user"]) == lower(said.c)',
    'allow if upper(http.headers["x-user"]) == upper(http.headers["x-other"])',
    'allow if not upper(http.headers["x-user"]) == http.headers["x-other"]',
    "allow if lower(http.host) == lower(said.c)",
    "allow if lower(http.host) != said.c",
    'allow if lower(http.path) == lower(http.headers["x-path"])',
    'allow if base64.decode(said.c) == "ann"',
    'allow if not base64url.decode(said.c) in {"ann", "bob"}',
    'allow if base64url.decode(said.deep.c) == http.headers["x-user"]',
    "allow if lower(said.c) == lower(said.n)",
    f'allow if lower({MESH}.c) == lower(http.headers["x-user"])',
    f"allow if not lower({MESH}.c) == lower(said.n)",
    'allow if lower(http.method) == lower(http.headers["x-user"])',
    'default allow := true\nallow := false if lower(http.headers["x-user"]) == lower(said.c)',
    'allow := {"allowed": true, "headers": {"x-a": base64url.decode(said.c)}}',
    'allow if lower(http.headers["x-user"]) == lower(input.parsed_body.a)',
]


_DECODED = 'base64.decode(split(http.headers.authorization, " ")[1])'
_OF_URL = 'base64url.decode(substring(http.headers.authorization, count("Basic "), -1))'
CREDENTIALS = [
    f"""allow if {{ [user, _] := split({_DECODED}, ":"); user == input.parsed_path[0] }}""",
    f"""allow if not split({_DECODED}, ":")[0] == input.parsed_path[0]""",
    f"""allow if split({_DECODED}, ":")[1] == http.headers["x-other"]""",
    f"""allow if {{ [user, _] := split({_OF_URL}, ":"); http.path == concat("/", ["", user]) }}""",
    f"""allow if {{ user := split({_OF_URL}, ":")[0]; startswith(http.path, sprintf("/%s/", [user])) }}""",
    f"""allow if lower({_DECODED}) == lower(http.headers["x-other"])""",
    'allow if base64.decode(trim_prefix(http.headers.authorization, "Basic ")) == http.headers["x-other"]',
    """allow if base64.decode(http.headers.authorization) == input.parsed_path[0]""",
    f"""allow := {{"allowed": true, "headers": {{"x-user": split({_DECODED}, ":")[0]}}}}""",
    f"""allow := {{"allowed": false, "body": sprintf("%s is it", [split({_DECODED}, ":")[0]])}}""",
]
"""What a header encodes, and what stands in it, against other values of the request, and in answers."""


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


USERS = ["ann:pw", "ann", "ann:pw:x", ":pw", "Ann:", "änn:pw", "ann\x00:pw", "?>~:pw", " ann:pw"]
_SENT = [
    *map(base64_of, USERS),
    base64_of("ann:p").rstrip("="),
    "",
    "YW5u\tOnB3",
    "a.b.c",
    "YR==",
    "_-8",
    "Pz5+",
    "é",
]
AUTHORIZATIONS = [f"Basic {each}" for each in _SENT]
AUTHORIZATIONS += [
    "",
    "Basic",
    f"basic {_SENT[0]}",
    f"Basic  {_SENT[0]}",
    f"Basic {_SENT[0]} x",
    "Bearer a.b.c",
]
AUTHORIZATIONS += [f"Basic \t{_SENT[0]}", f"Basic:{_SENT[0]}", *_SENT[:2], f"x Basic {_SENT[0]}"]
"""Credentials, what is none, and other schemes."""


TEXTS = ["ann", "Ann", "ANN", "a:b", "ÄNN", "", "a\x00b", "k\u212a", "?>~", "anna"]
ENCODED = [base64_of(each) for each in TEXTS]
VALUES: list[Any] = [*TEXTS, *ENCODED, *(each.rstrip("=") for each in ENCODED), "YW5u=", "YQ", "YR==", "Y"]
VALUES += ["_-8", "Pz5-", "Pz5+", "/w==", " YW5u", "YW5u\n", None, True, 1, ["YW5u"], {"a": "YW5u"}]
_values = st.sampled_from(("ann", "Ann", "YW5u", "QW5u")) | st.sampled_from(VALUES)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Bodies, headers and tokens with texts, encodings of them, what is none, and nothing."""
    headers: list[tuple[str, str]] = []
    body = ""
    if draw(st.integers(0, 9)):
        body = json.dumps(draw(_objects("a")) | {"list": draw(st.lists(_values, max_size=3))})
        headers.append(("content-type", "application/json"))
    if draw(st.booleans()):
        headers.append(("x-json", json.dumps(draw(_objects("a")))))
    for name, prefix in (("authorization", "Bearer "), ("x-token", "")):
        if draw(st.integers(0, 5)):
            claims = json.dumps(draw(_objects("c")) | draw(_objects("n")))
            key = pick(draw, ("secret", "secret", "secret", "another", "wrong"))
            alg = pick(draw, ("HS256", "HS256", "HS512"))
            headers.append((name, prefix + signed(claims, key, alg, "{}")))
    return Request("POST" if body else "GET", "/", tuple(headers), None, body)


def _objects(name: str) -> st.SearchStrategy[dict[str, Any]]:
    deep = st.fixed_dictionaries({}, optional={name: _values})
    return st.fixed_dictionaries({}, optional={name: _values, "deep": deep | _values})


_names = st.sampled_from(("ann", "Ann", "ANN", "YW5u", "ann ", "\u212ann", "", "bob", "Ann,ann"))


@st.composite
def of_providers(draw: st.DrawFn) -> Request:
    """Names in headers, of hosts, and in tokens of providers."""
    headers = [
        (name, draw(_names)) for name in draw(st.lists(st.sampled_from(("x-user", "x-other")), max_size=4))
    ]
    if draw(st.booleans()):
        headers.append(("host", pick(draw, ("ann", "ANN", "bob", "Ann:80"))))
    target = "/" + pick(draw, ("", "Ann", "ann?A=B"))
    if draw(st.booleans()):
        headers.append(("x-path", pick(draw, (target, target.upper(), "/ann"))))
    body = ""
    if draw(st.booleans()):
        headers.append(("content-type", "application/json"))
        body = json.dumps({"a": draw(_names)})
    token = None
    if draw(st.integers(0, 4)):
        claims = draw(st.fixed_dictionaries({}, optional={"c": _names | _values, "n": _names}))
        claims |= draw(_objects("c"))
        provider = pick(draw, ("corp", "corp", "partner"))
        token = Token(provider, claims, spoiled=not draw(st.integers(0, 5)))
    return Request("POST" if body else "GET", target, tuple(headers), token, body)


def with_credentials() -> list[Request]:
    """Every header, twice or not at all, on paths and beside headers that go with some."""
    sent = [(("authorization", each),) for each in AUTHORIZATIONS]
    targets = ("/ann", "/ann/", "/Ann", "/", "/pw", "/ann:pw")
    others = [("x-other", each) for each in ("pw", "ann:pw", "ann")]
    return [
        Request("GET", target, (*headers, other), None)
        for headers in (*sent, (), (*sent[0], *sent[1]))
        for target, other in zip(targets, (*others, *others), strict=True)
    ]
