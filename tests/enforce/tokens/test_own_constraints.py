"""Policies that take for constraints what the token says itself: met where it is a text, else undefined."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from effort import some
from signed_tokens import EC, RSA, SECRET, jwk, signed
from stand import Sent, Stand, in_memory

from palisade.rego.text import dumps

JWKS = dumps({"keys": [jwk(RSA, kid="one"), jwk(EC, kid="two", alg="ES256")]})
HEAD = """package envoy.authz

import input.attributes.request.http

bearer := substring(http.headers.authorization, 7, -1)

"""
RULES = """
allow if { answer[0]; answer[2].role == "guest"; startswith(http.path, "/guests/") }

allow if { answer[0]; answer[2].iss == "corp"; startswith(http.path, "/corp/") }

allow if { answer[2].aud == "orders"; startswith(http.path, "/orders/") }

allow if startswith(http.path, "/open/")

allow if { not answer; startswith(http.path, "/none/") }

allow if { not answer[0]; startswith(http.path, "/forged/") }

allow if { answer[0] == false; startswith(http.path, "/refused/") }

allow if { count(answer) == 3; answer[1] == {}; startswith(http.path, "/empty/") }
"""
PATHS = ("guests", "corp", "orders", "open", "none", "forged", "refused", "empty")


def _answer(constraints: str, *conditions: str) -> str:
    return "\n\t".join(
        (
            "answer := found if {",
            "[head, said, _] := io.jwt.decode(bearer)",
            *conditions,
            f"found := io.jwt.decode_verify(bearer, {constraints})\n}}\n",
        )
    )


KEYED = f'{{"cert": {dumps(JWKS)}'
POLICIES = {
    "its issuer": _answer(f'{KEYED}, "iss": said.iss, "aud": "orders"}}'),
    "its issuer and no audience": _answer(f'{KEYED}, "iss": said.iss}}'),
    "its audience": _answer(f'{KEYED}, "aud": said.aud}}'),
    "its algorithm": _answer(f'{KEYED}, "alg": head.alg, "aud": "orders"}}'),
    "one of two issuers": _answer(
        f'{KEYED}, "iss": said.iss, "aud": "orders"}}', 'said.iss in {"corp", "corp/"}'
    ),
    "all of it": _answer(
        f'{{"secret": {dumps(SECRET)}, "iss": said.iss, "aud": said.aud, "alg": head.alg, '
        '"time": time.now_ns()}'
    ),
}


def _tokens() -> Iterator[tuple[str, str]]:
    """Tokens, and what signs each of those that are usual but for one thing."""
    now = int(time.time())
    base: dict[str, Any] = {"iss": "corp", "aud": "orders", "exp": now + 3600, "role": "guest", "sub": "a"}
    changes: list[dict[str, Any]] = [
        {},
        *(
            {"iss": iss}
            for iss in ("corp/", "other", "", 7, None, ["corp"], {"a": "b"}, True, "\xfc", "a" * 999)
        ),
        *(
            {"aud": aud}
            for aud in ("stock", "", ["orders"], ["x", "orders"], [], 7, None, {"orders": 1}, [7])
        ),
        *({"exp": exp} for exp in (now - 9, 0, now - 7.5, "soon", None, 10**12)),
        *({"exp": now - 9, name: value} for name in ("iss", "aud") for value in (7, None, "x", ["x"])),
        *({"nbf": nbf} for nbf in (now + 600, now - 60)),
        {"role": "none"},
    ]
    for key, alg, header in (("rsa", "RS256", {"kid": "one"}), ("secret", "HS256", {})):
        for more in changes:
            yield signed(dumps(base | more), key, alg, dumps(header)), key
        for gone in ("iss", "aud"):
            for more in ({}, {"exp": now - 9}):
                left = {name: value for name, value in (base | more).items() if name != gone}
                yield signed(dumps(left), key, alg, dumps(header)), key
        for each in ({"crit": ["exp"], "exp": 1}, {"cty": "JWT"}, {"typ": "JWT"}, {"typ": 5}, {"kid": "x"}):
            yield signed(dumps(base), key, alg, dumps(header | each)), key
        forged = signed(dumps(base), key, alg, dumps(header))
        yield forged[:-4] + ("AAAA" if forged[-4:] != "AAAA" else "BBBB"), key
    for key, alg, header in (
        *(("ec", "ES256", {"kid": "two"}), ("other", "RS256", {"kid": "one"}), ("rsa", "RS512", {})),
        *(
            ("rsa", "PS256", {"kid": "one"}),
            ("rsa", "RS256", {}),
            ("wrong", "HS256", {}),
            ("secret", "HS512", {}),
        ),
    ):
        yield signed(dumps(base), key, alg, dumps(header)), ""
        yield signed(dumps(base | {"iss": 7}), key, alg, dumps(header)), ""
    yield from ((each, "") for each in ("a.b.c", "a.b", "", "e30.e30.e30"))


TOKENS = list(_tokens())


def _requests() -> Iterator[Sent]:
    for number, (token, _) in enumerate(TOKENS):
        for path in PATHS:
            yield Sent("GET", f"/{path}/{number}", (("authorization", f"Bearer {token}"),))
    good = TOKENS[0][0]
    for values in (
        [good],
        [f"bearer {good}"],
        [f"Bearer {good}"] * 2,
        [f"Bearer  {good}"],
        [],
        ["Bearer \xfc"],
    ):
        for path in PATHS:
            yield Sent("GET", f"/{path}/x", tuple(("authorization", each) for each in values))


@pytest.mark.long
@pytest.mark.parametrize("name", some([*POLICIES], 1))
def test_what_the_token_says_of_itself_is_no_constraint(stand: Stand, name: str) -> None:
    """Decided by the engine or by Envoy, each request ends the same, and usual tokens need no engine."""
    policy_set = in_memory({"p.rego": HEAD + POLICIES[name] + RULES})
    asked = list(_requests())
    stand.enforce(policy_set, "envoy/authz/allow", ask=True)
    wanted = [stand.send(request).status for request in asked]
    stand.log(len(asked))
    enforcement = stand.enforce(policy_set, "envoy/authz/allow")
    assert all(each.native or each.conditional for each in enforcement.coverage)
    seen = [stand.send(request).status for request in asked]
    differing = [each for each in zip(asked, wanted, seen, strict=True) if each[1] != each[2]]
    assert not differing
    assert {200, 403} <= set(wanted)
    native = {
        event["input"]["attributes"]["request"]["http"]["path"]
        for event in stand.log(len(asked))
        if event["palisade"]["decider"] == "native"
    }
    by = "secret" if "secret" in POLICIES[name] else "rsa"
    usual = [number for number, (_, key) in enumerate(TOKENS) if key == by]
    assert {f"/{path}/{usual[0]}" for path in ("guests", "corp", "orders", "open")} <= native
