"""Tokens that a policy's own verification does not take are refused in the sidecar, where Rego does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from effort import some
from signed_tokens import EC, ED, OTHER, PEM, RSA, SECRET, encoded, jwk, signed
from stand import Sent, Stand, in_memory

from palisade.rego.builtins import jws
from palisade.rego.builtins.jwk import PrivateKey
from palisade.rego.text import dumps

NAMED = dumps({"keys": [jwk(RSA, kid="one", alg="RS256"), jwk(EC, kid="two"), jwk(OTHER, kid="three")]})
CURVED = dumps({"keys": [jwk(ED), jwk(EC)]})
"""Keys without names, of which Envoy stops at the first, as its signatures have a length of their own."""

HEAD = """package envoy.authz

import input.attributes.request.http

default allow := false

bearer := trim_prefix(http.headers.authorization, "Bearer ")

allow if startswith(http.path, "/open/")

allow if {
	startswith(http.path, "/guests/")
	claims.role == "guest"
}

allow if {
	startswith(http.path, "/nobody/")
	not claims
}

"""


def _whole(constraints: dict[str, str], name: str = "claims") -> str:
    verify = f"[valid, _, found] := io.jwt.decode_verify(bearer, {dumps(constraints)})"
    return f"{name} := found if {{ {verify}; valid }}\n"


def _by_hand(call: str, key: str) -> str:
    return f"claims := io.jwt.decode(bearer)[1] if io.jwt.{call}(bearer, {dumps(key)})\n"


POLICIES = {
    "a shared secret": _whole({"secret": SECRET}),
    "a shared secret and its algorithm": _whole({"secret": SECRET, "alg": "HS256"}),
    "a key set": _whole({"cert": NAMED}),
    "a public key": _whole({"cert": PEM}),
    "keys on curves": _whole({"cert": CURVED}),
    "two calls": _whole({"secret": SECRET, "aud": "orders"}, "one")
    + _whole({"secret": SECRET}, "other")
    + "claims := object.union(one, other)\n\nclaims := other if not one\n",
    "by hand": _by_hand("verify_rs256", NAMED),
    "by hand with a secret": _by_hand("verify_hs256", SECRET),
}
HS, RS = ("a shared secret", "a shared secret and its algorithm", "two calls"), ("a key set", "a public key")
TIMED = (*HS, *RS, "keys on curves")
ALL = (*TIMED, "by hand", "by hand with a secret")


def _joined(header: str, payload: str, signature: bytes = b"no signature") -> str:
    return b".".join(map(encoded, (header, payload, signature))).decode()


def _said(alg: str, payload: str, key: PrivateKey, by: str) -> str:
    """Signed by one algorithm, under a header that names another."""
    message = b".".join(map(encoded, (dumps({"alg": alg}), payload)))
    return (message + b"." + encoded(jws.sign(key, by, message))).decode()


def _salted(header: str, payload: str, length: int) -> str:
    """Signed by RSA-PSS with salt of another length than its hash has: OPA tells the length by itself."""
    message = b".".join(map(encoded, (header, payload)))
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), length)
    return (message + b"." + encoded(RSA.sign(message, scheme, hashes.SHA256()))).decode()


def _values() -> Iterator[tuple[str, tuple[str, ...]]]:
    """What stands in the header, and the policies that need no engine to know that it is no valid token."""
    claims = dumps({"role": "guest", "exp": 4_000_000_000})
    numbered = dumps({"role": "guest", "sub": 7})

    def of(*given: str, claims: str = claims) -> str:
        return f"Bearer {signed(claims, *given)}"

    good, right = of("secret", "HS256", "{}"), of("rsa", "RS256", '{"kid": "one"}')
    yield from ((each, ()) for each in (good, right, of("secret", "HS256", "{}", claims=numbered)))
    # Signed by somebody else.
    yield of("wrong", "HS256", "{}"), (*TIMED, "by hand with a secret")
    yield of("wrong", "HS512", "{}"), TIMED
    yield of("strange", "RS256", '{"kid": "one"}'), (*TIMED, "by hand")
    yield of("other", "RS256", '{"kid": "one"}'), (*HS, "a public key", "keys on curves")
    yield of("ec", "ES256", '{"kid": "one"}'), (*HS, "a public key")
    yield of("ed", "EdDSA", "{}"), (*HS, *RS)
    yield of("strange", "RS256", '{"kid": "unknown"}'), (*TIMED, "by hand")
    yield of("other", "RS256", '{"kid": "unknown"}'), (*HS, "a public key", "keys on curves")
    # Signed by the right key, of which the header says something else.
    for header in ('{"kid": "unknown"}', '{"kid": "three"}', "{}", '{"kid": ""}', '{"typ": 5}'):
        yield of("rsa", "RS256", header), ()
    for alg in ("RS512", "PS256"):
        yield of("rsa", alg, '{"kid": "one"}'), ()
    for key, by, said in (
        *((SECRET.encode(), "HS256", alg) for alg in ("RS512", "ES256", "EdDSA", "HS512")),
        *((RSA, "RS256", alg) for alg in ("HS256", "ES256", "EdDSA")),
        *((EC, "ES384", alg) for alg in ("ES256", "ES384", "ES512", "RS384")),
        *((ED, "EdDSA", alg) for alg in ("HS256", "ES256", "Ed25519")),
    ):
        yield f"Bearer {_said(said, claims, key, by)}", ()
    for length in (0, 20, 64):
        yield f"Bearer {_salted(dumps({'alg': 'PS256', 'kid': 'one'}), claims, length)}", ()
    # The public key as a secret; no signature at all; algorithms that there are not.
    parts = right.split(".")
    for alg in ("none", "None", "NONE", "nOnE", "HS1", "rs256", "", "ES256K"):
        yield f"Bearer {_joined(dumps({'alg': alg}), claims)}", (*HS, *RS)
        yield f"Bearer {_joined(dumps({'alg': alg}), claims, b'')}", ALL
    for header in ("{}", '{"alg": null}', '{"alg": 5}', '{"alg": ["HS256"]}', '{"alg": "HS256", "kid": 5}'):
        yield f"Bearer {_joined(header, claims)}", TIMED
    yield right[:-8], (*TIMED, "by hand")
    yield f"{parts[0]}.{parts[1]}.", ALL
    yield f"{parts[0]}.{encoded(numbered).decode()}.{parts[2]}", ()
    # What is no token.
    for part in ("a", "aaaa", "bbbbb", "e", "e_", "eA", "ff-_", "W10", "ImEi"):
        yield f"Bearer {part}.{parts[1]}.{parts[2]}", ()
    for value in ("", "Bearer", "Bearer ", "Basic YTpi", "Bearer opaque", "Bearer a.b", "Bearer .", "a.b"):
        yield value, ALL
    for value in (
        good.replace(".", ".."),
        f"{good}.x",
        f"bearer {good[7:]}",
        f"Bearer  {good[7:]}",
        f"{good}=",
    ):
        yield value, ()
    for header in (
        '{"alg": "HS256"',
        "[]",
        '"a"',
        "\ufeff{}",
        ' {"alg": "none"}',
        '{"alg": "none", "alg": "HS256"}',
    ):
        yield f"Bearer {_joined(header, claims)}", ()


def test_a_claim_without_a_name_is_the_engines(stand: Stand) -> None:
    """Envoy takes no empty key in a path of its metadata: it refused the revision, and all of it."""
    rules = _whole({"secret": SECRET}) + '\nallow if claims[""] == 1\n'
    stand.enforce(in_memory({"p.rego": HEAD + rules}), "envoy/authz/allow")
    token = signed('{"": 1}', "secret", "HS256", "{}")
    assert stand.send(Sent("GET", "/", (("authorization", f"Bearer {token}"),))).status == 200
    [told] = stand.log(1)
    assert told["palisade"]["decider"] == "residual"


@pytest.mark.long
@pytest.mark.parametrize("name", some([*POLICIES], 4))
def test_what_is_forged_is_refused_without_the_engine(stand: Stand, name: str) -> None:
    """Decided by the engine or by Envoy, each request ends the same; what is surely forged asks no engine."""
    policy_set = in_memory({"p.rego": HEAD + POLICIES[name]})
    asked = [
        (Sent("GET", f"/{path}/{number}", (("authorization", value),)), name in native)
        for number, (value, native) in enumerate(_values())
        for path in ("guests", "nobody", "open")
    ]
    requests = [request for request, _ in asked]
    wanted, seen, residual = stand.both_ways(policy_set, "envoy/authz/allow", requests)
    paths = [request.path for request in requests]
    assert dict(zip(paths, seen, strict=True)) == dict(zip(paths, wanted, strict=True))
    assert {200, 403} <= set(wanted)
    assert {
        request.path: request.headers for request, native in asked if native and request.path in residual
    } == {}


def _with_exponent(exponent: int) -> rsa.RSAPrivateKey:
    """The key that `RSA` is, but for its exponents."""
    own = RSA.private_numbers()
    private = pow(exponent, -1, (own.p - 1) * (own.q - 1))
    numbers = rsa.RSAPublicNumbers(exponent, own.p * own.q)
    first, second = rsa.rsa_crt_dmp1(private, own.p), rsa.rsa_crt_dmq1(private, own.q)
    return rsa.RSAPrivateNumbers(own.p, own.q, private, first, second, own.iqmp, numbers).private_key()


def _other_exponent() -> int:
    """One that fits the key, and is neither 3 nor 65537."""
    totient = (RSA.private_numbers().p - 1) * (RSA.private_numbers().q - 1)
    return next(each for each in (17, 257, 641, 1297, 2309) if totient % each)


@pytest.mark.parametrize("others", [(), (OTHER,)], ids=("alone", "beside another"))
def test_a_key_that_envoy_does_not_take_is_the_engines(stand: Stand, others: tuple[PrivateKey, ...]) -> None:
    """Of RSA it takes two exponents, and of each curve one hash: a set of others alone it refused, and with
    it the revision; beside a usual key it took tokens of theirs for forged."""
    odd, payload = _with_exponent(_other_exponent()), dumps({"role": "guest"})
    keys = dumps({"keys": [jwk(odd), *map(jwk, others)]})
    curve = dumps({"keys": [jwk(EC), *map(jwk, others)]})
    for rules, token in (
        (_whole({"cert": keys}), _said("RS256", payload, odd, "RS256")),
        (_by_hand("verify_rs256", keys), _said("RS256", payload, odd, "RS256")),
        (_whole({"cert": curve, "alg": "ES384"}), _said("ES384", payload, EC, "ES384")),
        (_by_hand("verify_es384", curve), _said("ES384", payload, EC, "ES384")),
    ):
        requests = [
            Sent("GET", f"/{path}/", (("authorization", f"Bearer {token}"),)) for path in ("guests", "nobody")
        ]
        wanted, seen, _ = stand.both_ways(in_memory({"p.rego": HEAD + rules}), "envoy/authz/allow", requests)
        assert seen == wanted == [200, 403], rules
