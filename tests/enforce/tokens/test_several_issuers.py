"""Tokens of several issuers, told apart by what they say themselves, are verified in the sidecar."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from effort import some
from signed_tokens import EC, OTHER, RSA, SECRET, encoded, jwk, signed
from stand import Sent, Stand, in_memory

from palisade.rego.text import dumps

A, B, C = "https://a.example", "https://b.example", "https://c.example/"
DATA = {
    "issuers": {
        A: {"audience": "shop", "jwks": {"keys": [jwk(RSA, kid="one", alg="RS256")]}},
        B: {"audience": "stock", "jwks": {"keys": [jwk(EC, kid="two")]}},
        C: {"audience": "shop", "jwks": {"keys": [jwk(OTHER, kid="one")]}},
    },
    "rsa": {A: {"keys": [jwk(RSA, kid="one")]}, C: {"keys": [jwk(OTHER, kid="one")]}},
    "texts": {A: dumps({"keys": [jwk(RSA)]}), B: dumps(jwk(EC))},
}
SAID = """package envoy.authz

import input.attributes.request.http

bearer := trim_prefix(http.headers.authorization, "Bearer ")

said := io.jwt.decode(bearer)[1]

"""
HEAD = f"""{SAID}default allow := false

allow if startswith(http.path, "/open/")

allow if {{
	startswith(http.path, "/guests/")
	claims.role == "guest"
}}

allow if {{
	startswith(http.path, "/nobody/")
	not claims
}}

allow if {{
	startswith(http.path, "/b/")
	claims.iss == "https://b.example"
	"clerk" in claims.roles
}}

"""
CERT = "json.marshal(issuer.jwks)"


def _valid(constraints: str, before: str = "") -> str:
    return f"""claims := found if {{
	{before}
	[valid, _, found] := io.jwt.decode_verify(bearer, {constraints})
	valid
}}
"""


POLICIES = {
    "by what the token says": _valid(
        f'{{"cert": {CERT}, "iss": said.iss, "aud": issuer.audience}}', "issuer := data.issuers[said.iss]"
    ),
    "each in turn": _valid(
        f'{{"cert": {CERT}, "iss": name, "aud": issuer.audience}}', "some name, issuer in data.issuers"
    ),
    "each at the present time": _valid(
        f'{{"cert": {CERT}, "iss": name, "aud": issuer.audience, "time": time.now_ns()}}',
        "some name, issuer in data.issuers",
    ),
    "the same keys for each": _valid(
        '{"cert": data.texts["https://a.example"], "iss": name, "aud": "shop"}',
        "some name, _ in data.issuers",
    ),
    "keys as texts": _valid('{"cert": data.texts[said.iss], "iss": said.iss, "aud": "shop"}'),
    "by hand": """claims := said if {
	io.jwt.verify_rs256(bearer, json.marshal(data.rsa[said.iss]))
	said.exp > time.now_ns() / 1000000000
}
""",
    "by hand, with keys of another kind": """claims := said if {
	io.jwt.verify_rs256(bearer, json.marshal(data.issuers[said.iss].jwks))
}
""",
    "keys and a secret": _valid('{"cert": data.texts["https://a.example"], "aud": "shop"}')
    + _valid(f'{{"secret": {dumps(SECRET)}, "alg": "HS256", "iss": "https://b.example", "aud": "stock"}}'),
    "two rules of what is not valid": _valid('{"cert": data.texts["https://a.example"], "aud": "shop"}')
    + """
allow if {
	startswith(http.path, "/b/")
	answer := io.jwt.decode_verify(bearer, {"cert": data.texts["https://b.example"], "aud": "stock"})
	answer[0] == false
}
""",
    "the same keys twice": _valid('{"cert": data.texts["https://a.example"], "aud": "shop"}')
    + _valid('{"cert": data.texts["https://a.example"], "aud": "stock"}'),
}
SEVERAL = {
    "the same keys for each",
    "by what the token says",
    "each in turn",
    "each at the present time",
    "keys and a secret",
}
"""Of these Envoy knows of each token for which issuer it is."""


def _tokens() -> Iterator[tuple[str, bool]]:
    """Tokens, and whether `SEVERAL` are to decide on them without the engine."""
    now = int(time.time())
    base: dict[str, Any] = {"exp": now + 3600, "role": "guest", "roles": ["x", "clerk"], "sub": "ann"}
    of_a = {**base, "iss": A, "aud": "shop"}
    of_b = {**base, "iss": B, "aud": ["x", "stock"]}
    of_c = {**base, "iss": C, "aud": "shop"}

    def by(claims: dict[str, Any], key: str, alg: str, **header: Any) -> str:
        return signed(dumps(claims), key, alg, dumps(header))

    yield by(of_a, "rsa", "RS256", kid="one"), True
    yield by(of_a, "rsa", "RS256"), True
    yield by({**of_a, "role": "x"}, "rsa", "RS256", kid="one"), True
    yield by(of_b, "ec", "ES256", kid="two"), True
    yield by({**of_b, "role": "x"}, "ec", "ES256", kid="two", typ="JWT"), True
    yield by({**of_b, "roles": []}, "ec", "ES256"), True
    yield by(of_b, "secret", "HS256"), True
    yield by(of_c, "other", "RS256", kid="one"), True
    # One issuer's keys with another one's name.
    yield by(of_b, "rsa", "RS256", kid="one"), True
    yield by(of_a, "ec", "ES256", kid="two"), True
    yield by(of_a, "other", "RS256", kid="one"), True
    yield by(of_c, "rsa", "RS256", kid="one"), True
    # Too old, for others, by nobody.
    yield by({**of_a, "exp": now - 9}, "rsa", "RS256", kid="one"), True
    yield by({**of_b, "exp": now - 9}, "ec", "ES256", kid="two"), True
    yield by({**of_b, "nbf": now + 900}, "ec", "ES256", kid="two"), True
    yield by({**of_a, "aud": "stock"}, "rsa", "RS256", kid="one"), True
    for iss in ("https://d.example", "", A + "/", A.upper()):
        yield by({**of_a, "iss": iss}, "wrong", "HS256"), True
        yield by({**of_a, "iss": iss}, "rsa", "RS256", kid="one"), True
    for iss in (None, 7, [A], {}, True):
        yield by({**of_a, "iss": iss}, "rsa", "RS256", kid="one"), False
    yield by({name: value for name, value in of_a.items() if name != "iss"}, "rsa", "RS256", kid="one"), True
    yield by(of_a, "wrong", "HS256", kid="one"), True
    # Unusual ones.
    for header in ({"kid": "two"}, {"kid": "x"}, {"crit": ["exp"], "exp": 1}, {"cty": "JWT"}, {"typ": 5}):
        yield by(of_a, "rsa", "RS256", **header), False
        yield by(of_b, "ec", "ES256", **header), False
    for more in ({"sub": 7}, {"exp": "soon"}, {"aud": 7}, {"iat": -1}, {"nbf": None}):
        yield by({**of_a, **more}, "rsa", "RS256", kid="one"), False
        yield by({**of_b, **more}, "ec", "ES256", kid="two"), False
    for alg in ("PS256", "RS512"):
        yield by(of_a, "rsa", alg, kid="one"), False
        yield by(of_c, "other", alg, kid="one"), False
    unsigned = b".".join(encoded(dumps(each)) for each in ({"alg": "none"}, of_a)).decode()
    yield from ((each, True) for each in (f"{unsigned}.", f"{unsigned}.c2ln", "opaque", "a.b", ""))


@pytest.mark.long
@pytest.mark.parametrize("name", some([*POLICIES], 4))
def test_each_issuers_tokens_are_told_apart(stand: Stand, name: str) -> None:
    """Decided by the engine or by Envoy, each request ends the same; usual tokens of each issuer, and those
    of nobody, need no engine."""
    policy_set = in_memory({"p.rego": HEAD + POLICIES[name]}, DATA)
    asked = [
        (Sent("GET", f"/{path}/{number}", (("authorization", f"Bearer {token}"),)), usual)
        for number, (token, usual) in enumerate(_tokens())
        for path in ("guests", "nobody", "b", "open")
    ]
    asked += [(Sent("GET", f"/{path}/none"), True) for path in ("guests", "nobody", "b", "open")]
    requests = [request for request, _ in asked]
    wanted, seen, residual = stand.both_ways(policy_set, "envoy/authz/allow", requests)
    paths = [request.path for request in requests]
    assert dict(zip(paths, seen, strict=True)) == dict(zip(paths, wanted, strict=True))
    assert {200, 403} <= set(wanted)
    needed = [request for request, usual in asked if usual and request.path in residual]
    assert not needed or name not in SEVERAL


def test_answers_hold_the_claims_of_either_issuer(stand: Stand) -> None:
    """The function gets what the one token says that is valid, and the client what is missing."""
    rules = """
allow := {"allowed": false, "http_status": 401, "body": "who are you"} if not claims

allow := {"allowed": false, "body": concat(" ", ["not you,", claims.sub])} if claims.role != "guest"

allow := {"allowed": true, "headers": {"x-user": claims.sub, "x-by": claims.iss}} if claims.role == "guest"
"""
    policy_set = in_memory({"p.rego": SAID + POLICIES["by what the token says"] + rules}, DATA)
    asked = [
        (Sent("GET", f"/{number}", (("authorization", f"Bearer {token}"),)), usual)
        for number, (token, usual) in enumerate(_tokens())
    ]
    stand.enforce(policy_set, "envoy/authz/allow", ask=True)
    wanted = [stand.send(request) for request, _ in asked]
    stand.log(len(asked))
    stand.enforce(policy_set, "envoy/authz/allow")
    assert [stand.send(request) for request, _ in asked] == wanted
    assert {200, 401, 403} <= {outcome.status for outcome in wanted}
    assert sum(b"x-by: https://b.example" in (outcome.reached or b"") for outcome in wanted) > 1
    native = sum(event["palisade"]["decider"] == "native" for event in stand.log(len(asked)))
    assert native >= sum(usual for _, usual in asked)
