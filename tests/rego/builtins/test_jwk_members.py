"""Sets of JSON Web Keys as OPA's library reads them: one key that is none makes the whole set none."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from opa_answers import OpaAnswers

from palisade.rego.errors import BuiltinError

KEYS = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
KINDS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
SHORT_P = 0xEA8AC4BA05805975ED2F89D94A2F20AAF3C64AF775A89294C2CD789A380208A9AD45F23D3B1A11DF587FD2803BAB6C39
SHORT_Q = 0xF81950389BC627E808675B69A52E8917A750699929AD75CE383AA16F52731BD6BCFAF5AF2B31957F469263D737F577BD
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
"""What stands before the hash in a signature."""
SOURCE = "package p\n" + "\n".join(
    f'verified_{name.lower()} := io.jwt.decode_verify(input.{name}, {{"cert": input.keys}})[0]\n'
    f"signed_{name.lower()} := io.jwt.verify_{name.lower()}(input.{name}, input.keys)"
    for name in KEYS
)
RULES = [f"{way}_{name.lower()}" for name in KEYS for way in ("verified", "signed")]


def _jwk(name: str, *, private: bool = False) -> dict[str, Any]:
    key = KEYS[name] if private else KEYS[name].public_key()
    jwk: dict[str, Any] = KINDS[name].to_jwk(key, as_dict=True)
    return {member: value for member, value in jwk.items() if member != "key_ops"}


def _public(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def _builder(key: Any) -> x509.CertificateBuilder:
    name = x509.Name([])
    return x509.CertificateBuilder(
        name, name, key.public_key(), 1, datetime(2024, 1, 1), datetime(2044, 1, 1)
    )


def _certificate(key: Any) -> str:
    signed = _builder(key).sign(KEYS["RS256"], hashes.SHA256())
    return base64.b64encode(signed.public_bytes(Encoding.DER)).decode()


def _okp(curve: str, key: Any) -> dict[str, str]:
    x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
    return {"kty": "OKP", "crv": curve, "x": x}


RSA, EC, OKP = (_jwk(name) for name in KEYS)
PRIVATE = [_jwk(name, private=True) for name in KEYS]
CERTIFICATE = _certificate(KEYS["RS256"])
CHANGED: list[dict[str, Any]] = [
    # Algorithms that sign nothing, and names of none.
    *(
        RSA | {"alg": alg}
        for alg in ("RSA-OAEP", "dir", "A256GCM", "none", "xx", "rs256", "ML-DSA-44", "Ed448")
    ),
    *(RSA | {"alg": "RSA-OAEP"} | wrong for wrong in ({"n": ""}, {"e": "!!"}, {"kty": "x"})),
    {"kty": "oct", "alg": "A128KW"},
    {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQAB"},
    # Base64: padded rightly or wrongly, of the other alphabet, with line ends.
    *(RSA | {"n": RSA["n"] + end} for end in ("=", "==", "\n", "==\n", " ")),
    RSA | {"n": RSA["n"].replace("-", "+").replace("_", "/")},
    RSA | {"n": RSA["n"].replace("-", "+").replace("_", "/") + "=="},
    RSA | {"e": "AQAB="},
    *(EC | {"x": EC["x"] + end} for end in ("=", "==", "AA")),
    # Numbers that are no key, or none that verifies anything.
    *(RSA | {"e": value} for value in ("AQ", "Ag", "", None, 1)),
    *(RSA | {"n": value} for value in ("AQAB", "AA", "", None)),
    *(EC | {"y": EC["x"]}, EC | {"x": "AQAB"}, EC | {"crv": "P-384"}, EC | {"crv": "secp256k1"}),
    *(OKP | {"x": "AQAB"}, OKP | {"crv": "X25519"}, OKP | {"crv": "Ed448"}, OKP | {"crv": None}),
    _okp("X25519", x25519.X25519PrivateKey.generate()),
    _okp("Ed448", ed448.Ed448PrivateKey.generate()),
    # Private keys, which only io.jwt.decode_verify takes.
    *PRIVATE,
    *({**PRIVATE[0], **wrong} for wrong in ({"p": ""}, {"p": "!!"}, {"dp": None}, {"d": ""}, {"d": "AQAB"})),
    {name: value for name, value in PRIVATE[0].items() if name not in ("dp", "dq", "qi")},
    {name: value for name, value in PRIVATE[0].items() if name != "p"},
    PRIVATE[1] | {"d": "AQAB"},
    PRIVATE[2] | {"x": _okp("", ed25519.Ed25519PrivateKey.generate())["x"]},
    # Certificates.
    RSA | {"x5c": [CERTIFICATE]},
    RSA | {"x5c": [f" {CERTIFICATE[:64]}\r\n{CERTIFICATE[64:]}\n"]},
    *(RSA | {"x5c": [wrong]} for wrong in ("", "AAAA", "xx", CERTIFICATE[:-4], CERTIFICATE.rstrip("="))),
    RSA | {"x5c": [CERTIFICATE, "AAAA"]},
    RSA | {"x5c": [_certificate(ec.generate_private_key(ec.SECP256K1()))]},
    # Names that only Go takes for others, and members that are left out.
    *(RSA | {"KTY": "x"}, RSA | {"D": "AQAB"}, {"n": RSA["n"], "e": "AQAB"}),
    *(RSA | {"key_ops": value} for value in (["verify", None], ["xx"], [1])),
]


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside others"])
def test_keys_are_those_that_they_are_in_opa(call: Any, opa: OpaAnswers, beside: bool) -> None:
    """A malformed key beside good ones left these valid here; a padded one, or one of X25519, left none."""
    tokens = {
        name: call("io.jwt.encode_sign", {"alg": name}, {"a": 1}, _jwk(name, private=True)) for name in KEYS
    }
    for jwk in CHANGED:
        keys = json.dumps({"keys": [jwk, RSA, EC, OKP] if beside else [jwk]})
        theirs = opa.ask(SOURCE, {**tokens, "keys": keys}, RULES)
        assert [_answers(call, *rule.split("_"), tokens, keys) for rule in RULES] == theirs, jwk


@pytest.mark.parametrize("form", ["jwk", "pem"])
def test_a_short_key_of_rsa_verifies_nothing(call: Any, opa: OpaAnswers, form: str) -> None:
    """Go takes none of less than 1,024 bits: such a signature can be forged."""
    n = SHORT_P * SHORT_Q
    parts = (base64.urlsafe_b64encode(each).rstrip(b"=") for each in (b'{"alg":"RS256"}', b"{}"))
    message = b".".join(parts)
    signed = b"\x01" + b"\xff" * 42 + b"\x00" + _SHA256 + hashlib.sha256(message).digest()
    signature = pow(int.from_bytes(signed), pow(65537, -1, (SHORT_P - 1) * (SHORT_Q - 1)), n).to_bytes(96)
    token = f"{message.decode()}.{base64.urlsafe_b64encode(signature).decode()}"
    public = rsa.RSAPublicNumbers(65537, n).public_key()
    public.verify(signature, message, PKCS1v15(), hashes.SHA256())
    keys = (
        json.dumps(RSAAlgorithm.to_jwk(public, as_dict=True))
        if form == "jwk"
        else public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    )
    theirs = opa.ask(SOURCE, {"RS256": token, "keys": keys}, RULES[:2])
    assert (
        [_answers(call, *rule.split("_"), {"RS256": token}, keys) for rule in RULES[:2]]
        == theirs
        == [[False]] * 2
    )


def _malformed(oid: str, *, critical: bool = False) -> str:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x05\x00")
    return _in_pem(_builder(KEYS["RS256"]).add_extension(extension, critical=critical))


def _in_pem(builder: x509.CertificateBuilder) -> str:
    return builder.sign(KEYS["RS256"], hashes.SHA256()).public_bytes(Encoding.PEM).decode()


OF_NO_CURVE = ec.generate_private_key(ec.SECP256K1())
BY_KEY = x509.AuthorityKeyIdentifier(b"a", None, None)


@pytest.mark.parametrize(
    ("algorithm", "key", "pem"),
    [
        ("RS256", KEYS["RS256"], _in_pem(_builder(KEYS["RS256"]))),
        ("RS256", KEYS["RS256"], _in_pem(_builder(KEYS["RS256"]).add_extension(BY_KEY, critical=False))),
        ("RS256", KEYS["RS256"], _in_pem(_builder(KEYS["RS256"]).add_extension(BY_KEY, critical=True))),
        *(("RS256", KEYS["RS256"], _malformed(oid)) for oid in ("2.5.29.17", "2.5.29.19", "1.2.3")),
        ("RS256", KEYS["RS256"], _malformed("1.2.3", critical=True)),
        ("ES256", OF_NO_CURVE, _in_pem(_builder(OF_NO_CURVE))),
        ("ES256", OF_NO_CURVE, _public(OF_NO_CURVE)),
        ("EdDSA", KEYS["EdDSA"], _public(x25519.X25519PrivateKey.generate())),
        ("EdDSA", KEYS["EdDSA"], _public(ed448.Ed448PrivateKey.generate())),
    ],
)
def test_keys_in_pem_are_those_that_go_reads(
    call: Any, opa: OpaAnswers, algorithm: str, key: Any, pem: str
) -> None:
    """Certificates with malformed extensions and curves that Go does not know verified tokens here alone."""
    message = b".".join(
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in ({"alg": algorithm}, {"a": 1})
    )
    made = OKPAlgorithm() if algorithm == "EdDSA" else KINDS[algorithm](KINDS[algorithm].SHA256)
    token = f"{message.decode()}.{base64.urlsafe_b64encode(made.sign(message, key)).decode().rstrip('=')}"
    rules = [f"{way}_{algorithm.lower()}" for way in ("verified", "signed")]
    theirs = opa.ask(SOURCE, {algorithm: token, "keys": pem}, rules)
    assert [_answers(call, *rule.split("_"), {algorithm: token}, pem) for rule in rules] == theirs


@pytest.mark.parametrize(
    "keys",
    [
        *("{R}" + behind for behind in ("", " x", " null", "}", "\u00a0", "\n ")),
        *('{"keys": [{R}]}' + behind for behind in ("", " x", " null", "\n ")),
        *('{"keys": [], R' + behind for behind in ("}", "} x")),
        '{"keys": [{R}], "keys": []}',
        '{"keys": [], "keys": [{R}]}',
        '{"keys": [{E}], "keys": [{R}]}',
        '{"keys": null, "keys": [{R}]}',
        '{"keys": [{R}], "keys": 1}',
        '{"kty": "oct", R}',
        '{R, "kty": "oct"}',
        '{R, "kty": "RSA"}',
        '{R, "n": "AQAB"}',
        '{"n": "AQAB", R}',
        '{R, "alg": "RS512", "alg": "RS256"}',
        "{R} {E}",
        "[{R}]",
        "x",
    ],
)
def test_keys_are_read_as_the_library_reads_their_text(call: Any, opa: OpaAnswers, keys: str) -> None:
    """Behind a key that stands alone may stand anything; a set that is named twice is both; a key of two
    kinds is none."""
    keys = re.sub(r"\b[RE]\b", lambda named: json.dumps({"R": RSA, "E": EC}[named[0]])[1:-1], keys)
    message = b".".join(
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in ({"alg": "RS256"}, {"a": 1})
    )
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(message, KEYS["RS256"])
    tokens = {"RS256": f"{message.decode()}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"}
    rules = ["verified_rs256", "signed_rs256"]
    theirs = opa.ask(SOURCE, {**tokens, "keys": keys}, rules)
    assert [_answers(call, *rule.split("_"), tokens, keys) for rule in rules] == theirs


def _answers(call: Any, way: str, algorithm: str, tokens: dict[str, str], keys: str) -> list[Any]:
    token = next(token for name, token in tokens.items() if name.lower() == algorithm)
    try:
        if way == "signed":
            return [call(f"io.jwt.verify_{algorithm}", token, keys)]
        return [call("io.jwt.decode_verify", token, {"cert": keys})[0]]
    except BuiltinError:
        return []
