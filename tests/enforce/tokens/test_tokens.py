"""Tokens that a policy verifies itself are taken for what the policy takes them for, natively or not."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from effort import some
from jwt.algorithms import RSAAlgorithm
from signed_tokens import EC, OTHER, PEM, RSA, SECRET, encoded, jwk, signed
from stand import Sent, Stand, in_memory

from palisade.enforce.envoy.tokens.keys import key_set, key_witness
from palisade.rego.builtins.jwk import verification_keys
from palisade.rego.text import dumps

JWKS = dumps(
    {
        "keys": [
            jwk(RSA, kid="one"),
            jwk(EC, kid="two", alg="ES256"),
            jwk(OTHER, kid="three", alg="RS256"),  # it could sign by more algorithms than it is for
        ]
    }
)
MIXED = dumps({"keys": [jwk(RSA, kid="one"), jwk(OTHER)]})

HEAD = """package envoy.authz

import input.attributes.request.http as http_request

default allow := false

"""
SPLIT = '[_, encoded] := split(http_request.headers.authorization, " ")'
BEARER = """bearer := t if {
	v := http_request.headers.authorization
	startswith(v, "Bearer ")
	t := substring(v, count("Bearer "), -1)
}
"""
GRANTS = """
allow if payload.role == "guest"
allow if "admin" in payload.roles
allow if payload.tier > 2
allow if payload.sub == input.parsed_path[1]
"""


def _verified(constraints: dict[str, str], encoded: str = SPLIT) -> str:
    verify = f"[valid, header, payload] := io.jwt.decode_verify(encoded, {dumps(constraints)})"
    token = '{"valid": valid, "header": header, "payload": payload}'
    return f"""payload := token.payload if token.valid

token := {token} if {{
	{encoded}
	{verify}
}}
{GRANTS}"""


BY_HAND = f"""
payload := p if {{
	io.jwt.verify_rs256(bearer, {dumps(JWKS)})
	[_, p, _] := io.jwt.decode(bearer)
	now := time.now_ns() / 1000000000
	p.nbf <= now
	now < p.exp
}}
"""

POLICIES: dict[str, str] = {
    "a shared secret": _verified({"secret": SECRET}),
    "everything": _verified({"secret": SECRET, "aud": "orders", "iss": "corp", "alg": "HS256"}),
    "a key set": _verified({"cert": JWKS}, "encoded := bearer") + BEARER,
    "a public key": _verified(
        {"cert": PEM, "aud": "orders"},
        'encoded := trim_prefix(http_request.headers.authorization, "Bearer ")',
    ),
    "a header of its own": _verified({"secret": SECRET}, 'encoded := http_request.headers["x-token"]'),
    "a header of the token": _verified({"cert": JWKS}) + '\nallow if token.header.kid == "two"',
    "told that it is not valid": _verified({"secret": SECRET, "aud": "orders"})
    + "\nallow if token.valid == false",
    "by hand": BEARER + BY_HAND + GRANTS,
    "by hand, with a secret": BEARER
    + f"payload := io.jwt.decode(bearer)[1] if io.jwt.verify_hs256(bearer, {dumps(SECRET)})\n"
    + GRANTS,
    "two audiences": _verified({"secret": SECRET, "aud": "orders"})
    + f"""
allow if {{
	{SPLIT}
	[true, _, other] = io.jwt.decode_verify(encoded, {dumps({"secret": SECRET, "aud": "stock"})})
	other.role == "clerk"
}}
""",
}

NATIVE = {name for name in POLICIES if name != "two audiences"}
"""Policies that decide natively on each sound token."""


def _tokens(key: str, alg: str, kid: str) -> Iterator[tuple[str, bool]]:
    """Tokens, and whether each is sound in all respects that the policies ask about."""
    now = int(time.time())
    base: dict[str, Any] = {
        "iss": "corp",
        "aud": "orders",
        "exp": now + 3600,
        "nbf": now - 60,
        "sub": "alice",
    }
    named: dict[str, Any] = {"kid": kid} if kid else {}
    for more in (
        {"role": "guest"},
        {"roles": ["x", "admin"]},
        {"role": "none"},
        {"tier": 3},
        {"tier": 2},
        {"tier": "z"},
    ):
        yield signed(dumps({**base, **more}), key, alg, dumps(named)), True
    guest = {**base, "role": "guest"}
    odd: list[dict[str, Any]] = [
        *(
            {**guest, "exp": exp}
            for exp in (now, now - 1, now - 30, now - 3600, 0, now + 3600.5, "soon", -5, 10**12)
        ),
        *({**guest, "nbf": nbf} for nbf in (now + 600, now - 0.5, None, "then")),
        *(
            {**guest, "aud": aud}
            for aud in ("stock", ["stock", "orders"], "http://orders/", [], "", [""], 7, ["orders", 7])
        ),
        *({**guest, "iss": iss} for iss in ("corp/", "", 7)),
        *(
            {name: value for name, value in guest.items() if name != gone}
            for gone in ("exp", "nbf", "aud", "iss", "sub")
        ),
        {"role": "guest"},
        {**guest, "role": "clerk", "aud": "stock"},
        {**guest, "roles": {"a": "admin"}, "role": 1},
    ]
    for claims in odd:
        yield signed(dumps(claims), key, alg, dumps(named)), False
    headers: list[dict[str, Any]] = [
        *({"crit": crit, "exp": 1} for crit in (["exp"], ["alg"], [], "exp")),
        *({"cty": cty} for cty in ("JWT", "json", 5)),
        *({"typ": typ} for typ in ("JWT", "at+jwt", 5)),
        *({"kid": other} for other in ("unknown", "", "three", 5)),
        {"enc": "A128GCM"},
    ]
    for each in headers:
        yield signed(dumps(guest), key, alg, dumps(named | each)), False
    yield from (
        (signed(each, key, alg, dumps(named)), False) for each in ("[1]", "null", "{}", f" {dumps(guest)}")
    )
    yield signed("no JSON", key, alg, dumps(named)), False


def _spelled_otherwise(token: str) -> Iterator[str]:
    """The same numbers of an elliptic curve in signatures of other lengths: no list of revoked tokens has
    these."""
    message, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = raw[:32], raw[32:]
    for each in (raw + b"\0", raw + b"\0\0", b"\0" + r + b"\0" + s, bytes(9) + r + bytes(9) + s + b"x"):
        yield f"{message}.{encoded(each).decode()}"
    yield token + "x"


def _requests() -> Iterator[tuple[Sent, bool]]:
    for key, alg, kid, count in (
        *(("secret", "HS256", "", 99), ("rsa", "RS256", "one", 99), ("ec", "ES256", "two", 12)),
        *(("secret", "HS512", "", 2), ("rsa", "PS256", "one", 2), ("rsa", "RS256", "", 2)),
        *(("other", "RS256", "one", 2), ("wrong", "HS256", "", 2)),
        *(("other", "RS256", "three", 2), ("other", "RS512", "three", 2), ("other", "RS512", "", 2)),
    ):
        for token, sound in islice(_tokens(key, alg, kid), count):
            bearer = (("authorization", f"Bearer {token}"), ("x-token", token))
            yield Sent("GET", "/a/alice", bearer), sound and count > 2
    good = next(_tokens("secret", "HS256", ""))[0]
    for value in (
        *(f"bearer {good}", f"Bearer  {good}", good, f"Bearer {good} ", f"Token {good}", f"Bearer {good}="),
        *(f"Bearer {good}x", f"x Bearer {good}", f"Bearer Bearer {good}", f"Bearer {good}, x"),
        *("Bearer a.b.c", "Bearer a.b", "Basic YTpi", "", "Bearer", "Bearer ", f"Bearer {good}\t"),
    ):
        yield Sent("GET", "/a/bob", (("authorization", value), ("x-token", value))), False
    curved = signed(dumps({"role": "guest"}), "ec", "ES256", dumps({"kid": "two"}))
    for token in (curved, *_spelled_otherwise(curved)):
        yield Sent("GET", "/a/alice", (("authorization", f"Bearer {token}"), ("x-token", token))), False
    twice = (("authorization", f"Bearer {good}"), ("authorization", "Bearer other"))
    yield Sent("GET", "/a/bob", twice), False
    yield Sent("GET", "/a/bob", twice[::-1]), False
    yield Sent("GET", "/a/bob"), True


@pytest.mark.long
@pytest.mark.parametrize("name", some([*POLICIES], 4))
def test_envoy_takes_the_tokens_that_the_policy_takes(stand: Stand, name: str) -> None:
    """Decided by the engine or by Envoy, each request ends the same; sound tokens need no engine."""
    policy_set = in_memory({"p.rego": HEAD + POLICIES[name]})
    asked = list(_requests())
    stand.enforce(policy_set, "envoy/authz/allow", ask=True)
    wanted = [stand.send(request).status for request, _ in asked]
    stand.log(len(asked))
    stand.enforce(policy_set, "envoy/authz/allow")
    seen = [stand.send(request).status for request, _ in asked]
    by_request = {event["palisade"]["request_id"]: event for event in stand.log(len(asked))}
    differing = [
        (request, one, other)
        for (request, _), one, other in zip(asked, wanted, seen, strict=True)
        if one != other
    ]
    assert not differing
    assert {200, 403} <= set(wanted)
    native = sum(event["palisade"]["decider"] == "native" for event in by_request.values())
    sound = sum(status == 200 and good for status, (_, good) in zip(wanted, asked, strict=True))
    assert native >= (sound if name in NATIVE else 1)


def test_a_set_in_which_a_key_could_be_mistaken_is_the_engines(stand: Stand) -> None:
    """OPA takes the key that the token names, or all; Envoy tries those without a name beside it."""
    policy_set = in_memory({"p.rego": HEAD + _verified({"cert": MIXED})})
    enforcement = stand.enforce(policy_set, "envoy/authz/allow")
    assert all(not each.native and not each.conditional for each in enforcement.coverage)
    token = signed(dumps({"role": "guest"}), "rsa", "RS256", dumps({"kid": "one"}))
    assert stand.send(Sent("GET", "/", (("authorization", f"Bearer {token}"),))).status == 200
    [told] = stand.log(1)
    assert told["palisade"]["decider"] == "residual"


PROVIDER = f"""package palisade.identity

providers := {{"corp": {{"issuer": "corp", "any_audience": true, "jwks": {JWKS}}}}}
"""


def test_what_is_decoded_only_is_native_where_a_provider_verified_it(stand: Stand) -> None:
    """Policies that trust a mesh to verify tokens decode them: with a provider their claims are at hand."""
    policy = HEAD + BEARER + "payload := p if [_, p, _] := io.jwt.decode(bearer)\n" + GRANTS
    modules = {"p.rego": policy, "q.rego": PROVIDER}
    stand.enforce(in_memory(modules), "envoy/authz/allow", keys={"corp": JWKS})
    good = signed(dumps({"iss": "corp", "role": "guest"}), "rsa", "RS256", dumps({"kid": "one"}))
    bad = signed(dumps({"iss": "corp", "role": "guest"}), "wrong", "HS256", "{}")
    assert [
        stand.send(Sent("GET", "/", (("authorization", f"Bearer {each}"),))).status for each in (good, bad)
    ] == [200, 200]
    assert stand.send(Sent("GET", "/")).status == 403
    deciders = [event["palisade"]["decider"] for event in stand.log(3)]
    assert sorted(deciders) == ["native", "native", "residual"]


@pytest.mark.parametrize("verified", [True, False], ids=("verified", "decoded"))
def test_a_token_that_a_provider_does_not_forward_is_not_there(stand: Stand, verified: bool) -> None:
    """Envoy verifies it and takes it away: the policy finds no header, whatever the metadata hold."""
    provider = PROVIDER.replace('"issuer"', '"forward": false, "issuer"')
    bare = 'payload := io.jwt.decode(trim_prefix(http_request.headers.authorization, "Bearer "))[1]\n'
    rules = _verified({"cert": JWKS}) if verified else bare + GRANTS
    modules = {"p.rego": HEAD + rules, "q.rego": provider}
    good = signed(dumps({"iss": "corp", "role": "guest"}), "rsa", "RS256", dumps({"kid": "one"}))
    statuses = []
    for ask in (True, False):
        stand.enforce(in_memory(modules), "envoy/authz/allow", keys={"corp": JWKS}, ask=ask)
        statuses.append(stand.send(Sent("GET", "/", (("authorization", f"Bearer {good}"),))).status)
    stand.log(2)
    assert statuses[0] == statuses[1]


def test_no_policy_sees_the_tokens_of_policies_as_a_provider(stand: Stand) -> None:
    """What Envoy notes of them is neither an identity nor metadata of the request."""
    policy = (
        HEAD
        + _verified({"secret": SECRET})
        + """
allow if input.identity
allow if input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"]
allow if input.attributes.request.http.body == "never, but only the engine knows"
"""
    )
    stand.enforce(in_memory({"p.rego": policy}), "envoy/authz/allow")
    token = signed(dumps({"role": "none"}), "secret", "HS256", "{}")
    assert stand.send(Sent("GET", "/", (("authorization", f"Bearer {token}"),))).status == 403
    [told] = stand.log(1)
    assert "identity" not in told["input"]


def test_the_account_shows_no_secret(stand: Stand) -> None:
    """What is said of a rule, in a terminal or a log, leaves the keys out."""
    enforcement = stand.enforce(
        in_memory({"p.rego": HEAD + POLICIES["by hand, with a secret"]}), "envoy/authz/allow"
    )
    reasons = [each.text for rule in enforcement.coverage for each in rule.reasons]
    assert any("io.jwt" in text for text in reasons)
    assert not any(SECRET in text for text in reasons)


def _refused() -> Iterator[tuple[str, bool]]:
    """Tokens that are not to be taken, and whether Envoy verifies them all the same."""
    now = int(time.time())
    base: dict[str, Any] = {
        "iss": "corp",
        "aud": "orders",
        "exp": now + 3600,
        "role": "guest",
        "sub": "alice",
    }
    for key, alg, more, native in (
        *(("secret", "HS256", {"exp": exp}, True) for exp in (now - 1, now - 7.5, 0, 1.0)),
        *(("secret", "HS256", {"exp": exp}, False) for exp in ("soon", None, [now], -5)),
        *(("secret", "HS256", {"nbf": nbf}, True) for nbf in (now + 600, now + 10**9)),
        *(("secret", "HS256", {"aud": aud}, True) for aud in ("stock", ["stock"], [], "")),
        *(("secret", "HS256", {"aud": aud}, False) for aud in (7, None, {"orders": 1})),
        *(("secret", "HS256", {"iss": iss}, True) for iss in ("corp/", "")),
        *(("secret", "HS256", {"iss": iss}, False) for iss in (7, None)),
        *(("secret", "HS512", {}, False), ("wrong", "HS256", {"exp": now - 9}, False)),
        ("wrong", "HS256", {}, False),
    ):
        yield signed(dumps({**base, **more}), key, alg, "{}"), native
    for gone in ("aud", "iss"):
        yield (
            signed(
                dumps({name: value for name, value in base.items() if name != gone}), "secret", "HS256", "{}"
            ),
            True,
        )
    yield (
        signed(dumps({**base, "exp": now - 9}), "secret", "HS256", dumps({"crit": ["exp"], "exp": 1})),
        False,
    )


def test_what_the_policy_refuses_needs_no_engine(stand: Stand) -> None:
    """A token that is signed as it must be, but too old or for others: the other rules decide at once."""
    constraints = dumps({"secret": SECRET, "aud": "orders", "iss": "corp", "alg": "HS256"})
    rules = f"""
answer := io.jwt.decode_verify(split(http_request.headers.authorization, " ")[1], {constraints})

allow if {{ answer[0]; answer[2].role == "guest"; startswith(http_request.path, "/guests/") }}

allow if startswith(http_request.path, "/open/")

allow if {{ not answer[0]; startswith(http_request.path, "/forged/") }}

allow if {{ answer == [false, {{}}, {{}}]; startswith(http_request.path, "/refused/") }}

allow if {{ not answer[2].role; answer; startswith(http_request.path, "/nobody/") }}

allow if {{ count(answer) == 3; answer[1] == {{}}; startswith(http_request.path, "/empty/") }}
"""
    paths = ("guests", "open", "forged", "refused", "nobody", "empty")
    asked: dict[str, tuple[Sent, bool]] = {}
    for number, (token, native) in enumerate(_refused()):
        for path in (f"/{each}/{number}" for each in paths):
            asked[path] = Sent("GET", path, (("authorization", f"Bearer {token}"),)), native
    policy_set = in_memory({"p.rego": HEAD + rules})
    stand.enforce(policy_set, "envoy/authz/allow", ask=True)
    wanted = {path: stand.send(request).status for path, (request, _) in asked.items()}
    stand.log(len(asked))
    stand.enforce(policy_set, "envoy/authz/allow")
    seen = {path: stand.send(request).status for path, (request, _) in asked.items()}
    assert seen == wanted
    told = {
        event["input"]["attributes"]["request"]["http"]["path"]: event["palisade"]["decider"] == "native"
        for event in stand.log(len(asked))
    }
    assert told == {path: native for path, (_, native) in asked.items()}


def test_a_set_with_a_private_key_is_the_engines() -> None:
    """Envoy would verify by its public part what `io.jwt.verify_*` takes no private key for."""
    private = RSAAlgorithm.to_jwk(RSA, as_dict=True)
    for keys in ([private], [jwk(RSA, kid="one"), {**private, "kid": "own"}]):
        text = dumps({"keys": keys})
        assert verification_keys(text)[-1].is_private
        assert (key_set(text, "RS256"), key_witness(text, "RS256")) == (None, "")
