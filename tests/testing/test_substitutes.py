"""Policies that verify tokens by public keys are met with valid, expired and forged ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from palisade.enforce.envoy.matchers.predicate import YES
from palisade.enforce.envoy.tokens import token as tokens
from palisade.testing.equivalence import (
    Bed,
    Issuers,
    Request,
    Subject,
    Tally,
    Token,
    compare,
    from_folder,
    subject,
    verify,
    with_own_keys,
)
from palisade.testing.equivalence.substitutes import _certificate, all_with_own_keys
from palisade.testing.equivalence.tokens import NAMES

RSA, P256 = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
P384, ED = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()


def pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(key: Any, **more: str) -> dict[str, Any]:
    kinds = {rsa.RSAPrivateKey: "RSAAlgorithm", ec.EllipticCurvePrivateKey: "ECAlgorithm"}
    name = next((name for kind, name in kinds.items() if isinstance(key, kind)), "OKPAlgorithm")
    made = getattr(jwt.algorithms, name).to_jwk(key.public_key(), as_dict=True)
    return {**{name: each for name, each in made.items() if name != "key_ops"}, **more}


HEAD = """package p

default allow := false

token := split(input.attributes.request.http.headers.authorization, " ")[1]
"""


def checked(call: str, operand: str) -> str:
    return f"""{HEAD}
allow if {{
	io.jwt.{call}(token, {operand})
	io.jwt.decode(token)[1].sub == "alice"
}}
"""


def constrained(operand: str) -> str:
    return (
        f'{HEAD}\nallow if {{ [ok, _, c] := io.jwt.decode_verify(token, {operand}); ok; c.sub == "alice" }}'
    )


SETS: dict[str, tuple[str, Any]] = {
    "a certificate in a raw string": (
        checked("verify_rs256", "`" + _certificate(RSA).public_bytes(Encoding.PEM).decode() + "`"),
        {},
    ),
    "a public key in a string": (checked("verify_es384", json.dumps(pem(P384))), {}),
    "a public key in data": (checked("verify_eddsa", "data.keys.current"), {"keys": {"current": pem(ED)}}),
    "a key set as a text": (
        checked("verify_es256", json.dumps(json.dumps({"keys": [jwk(P256, kid="a"), jwk(ED, kid="b")]}))),
        {},
    ),
    "a key set as an object in data": (
        constrained('{"cert": json.marshal(data.jwks), "aud": "api"}'),
        {"jwks": {"keys": [jwk(P256, kid="one", alg="ES256")]}},
    ),
    "a key set as an object in Rego": (
        constrained(
            '{"cert": json.marshal({"keys": [' + json.dumps(jwk(RSA, kid="r")) + ']}), "alg": "PS256"}'
        ),
        {},
    ),
    "keys of one name, among which the engine chooses": (
        constrained('{"cert": data.jwks, "iss": "https://a.test"}'),
        {"jwks": json.dumps({"keys": [jwk(P256, kid="a"), jwk(ED, kid="a")]})},
    ),
}


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str, Any], Subject]:
    def make(source: str, data: Any) -> Subject:
        (tmp_path / "p.rego").write_text(source)
        (tmp_path / "data.json").write_text(json.dumps(data))
        revision, own = with_own_keys(from_folder(tmp_path, decision="p/allow"))
        function = revision.inventory.functions["function"]
        return subject("function", revision, function, Issuers(), own=own)

    return make


def attempts(name: str, claims: dict[str, Any]) -> Iterator[Request]:
    """A token that is valid; then another's, an expired one, and forged ones of each way to forge."""
    yield Request(token=Token(name, claims))
    yield Request(token=Token(name, {**claims, "sub": "bob"}))
    yield Request(token=Token(name, {**claims, "exp": 1}))
    for number in range(16):
        yield Request(token=Token(name, {**claims, "n": number}, spoiled=True))


@pytest.mark.parametrize("name", SETS)
def test_valid_tokens_are_believed_and_forged_ones_are_not(
    bed: Bed, made: Callable[[str, Any], Subject], name: str
) -> None:
    """By Envoy, or by the engine that it asks, as the evaluator says."""
    source, data = SETS[name]
    policy = made(source, data)
    assert policy.own.keys
    bed.load(policy)
    claims = {"sub": "alice", **({} if "verify_" in source else {"exp": 4_000_000_000})}
    if '"iss"' in source:
        claims["iss"] = "https://a.test"
    allowed = 0
    for signer in policy.signers:
        asked = list(attempts(signer, claims))
        tally = Tally()
        assert not compare(bed, policy, asked, tally)
        first, other, *forged = bed.ask(asked)
        assert first is not None
        allowed += first.reached
        assert other is not None
        assert not other.reached
        assert not any(each.reached for each in forged[1:] if each is not None)
        named = [Request(token=Token(signer, claims, named=each)) for each in NAMES]
        assert not compare(bed, policy, named, tally)
    assert allowed
    assert "in place of the policy's own" in policy.minting


def test_the_policy_set_stays_as_it_is(tmp_path: Path) -> None:
    source, data = SETS["a key set as an object in data"]
    (tmp_path / "p.rego").write_text(source)
    (tmp_path / "data.json").write_text(json.dumps(data))
    before = from_folder(tmp_path, decision="p/allow")
    after, own = with_own_keys(before)
    assert before.policy_set.data == data
    assert (tmp_path / "p.rego").read_text() == source
    (key,) = after.policy_set.data["jwks"]["keys"]
    assert {name: key[name] for name in ("kid", "alg", "crv")} == {
        "kid": "one",
        "alg": "ES256",
        "crv": "P-256",
    }
    assert key["x"] != data["jwks"]["keys"][0]["x"]
    assert len(own.keys) == 1


def test_what_cannot_be_made_is_said(made: Callable[[str, Any], Subject]) -> None:
    """A key that comes with the request is no constant: nothing stands for it."""
    policy = made(checked("verify_rs256", "input.attributes.request.http.headers.cert"), {})
    assert policy.minting == (
        "tokens: made for what the policy decodes without verifying it; not valid ones, as no key or secret "
        "for io.jwt.verify_rs256 stands in the policy"
    )
    only = f"{HEAD}\nallow if io.jwt.verify_rs256(token, input.attributes.request.http.headers.cert)"
    assert made(only, {}).minting == (
        "tokens: not made, as no key or secret for io.jwt.verify_rs256 stands in the policy"
    )
    assert made(f"{HEAD}\nallow if input.attributes", {}).minting == ""


def test_a_fault_that_only_a_signed_token_shows_is_found(
    bed: Bed, made: Callable[[str, Any], Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audience that is not compared: without tokens of valid signatures nobody would see it."""
    source, data = SETS["a key set as an object in data"]
    assert verify(bed, made(source, data), examples=300, start=1).difference is None
    with monkeypatch.context() as patched:
        patched.setattr(tokens.Token, "_audience", lambda self, wanted: YES)
        broken = made(source, data)
    report = verify(bed, broken, examples=4_000, start=1)
    assert report.difference is not None
    assert report.difference.request.token is not None


@pytest.mark.parametrize(
    "text",
    [
        "`" + pem(RSA) + "`",
        "`\n" + pem(P256) + "`",
        "`" + _certificate(P384).public_bytes(Encoding.PEM).decode() + "`",
        "`" + json.dumps({"keys": [jwk(P256, kid="a")]}, indent=4) + "`",
        json.dumps(pem(ED)),
    ],
    ids=("rsa", "a feed before it", "certificate", "key set", "one line"),
)
def test_rules_stay_in_their_lines(tmp_path: Path, text: str) -> None:
    """Keys of ours are of another length: all below them was told at lines that were not its own."""
    source = f"package p\n\nkey := {text}\n\nallow if io.jwt.verify_es256(input.token, key)\n"
    (tmp_path / "p.rego").write_text(source)
    revision, own = with_own_keys(from_folder(tmp_path, decision="p/allow"))
    (changed,) = revision.policy_set.modules.values()
    assert own.keys
    assert changed != source
    assert changed.splitlines()[-1] == source.splitlines()[-1]
    assert changed.count("\n") == source.count("\n")


def test_a_key_of_two_policies_is_one_key_in_both(tmp_path: Path) -> None:
    """So that a token is valid for both, or for one of them where it changed."""
    revisions = []
    for name, keys in (("a", (P256,)), ("b", (P384, P256))):
        (tmp_path / name).mkdir()
        rules = "".join(f"allow if io.jwt.verify_es256(input.t, {json.dumps(pem(each))})\n" for each in keys)
        (tmp_path / name / "p.rego").write_text(f"package p\n\n{rules}")
        revisions.append(from_folder(tmp_path / name, decision="p/allow"))
    changed, own = all_with_own_keys(revisions)
    assert len(own.keys) == 2
    first, second = ("".join(each.policy_set.modules.values()) for each in changed)
    held = [json.dumps(each.pem.decode()) for each in own.keys]
    assert [each in first for each in held] == [True, False]
    assert [each in second for each in held] == [True, True]
