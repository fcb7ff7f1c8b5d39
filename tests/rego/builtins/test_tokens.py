"""JSON Web Tokens: what is trusted, and what is not."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from opa_answers import OpaAnswers

from palisade.rego.builtins import Context
from palisade.rego.builtins.jwk import ALGORITHMS

SECRET = "a-secret-that-is-long-enough-for-every-digest-size-up-to-512-bits-here"
CLAIMS = {"iss": "issuer", "aud": ["a", "b"], "exp": 2000, "nbf": 1000, "sub": "alice"}
DURING = Context(1500 * 10**9)

KEYS: dict[str, Any] = {
    "RS": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def _key(algorithm: str) -> Any:
    if algorithm.startswith("HS"):
        return SECRET
    return KEYS["RS"] if algorithm[:2] in ("RS", "PS") else KEYS[algorithm]


def _pem(algorithm: str) -> str:
    public = _key(algorithm).public_key()
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def _jwk(key: Any, **more: str) -> dict[str, Any]:
    kind = {"R": jwt.algorithms.RSAAlgorithm, "E": jwt.algorithms.ECAlgorithm}.get(type(key).__name__[0])
    if "Ed25519" in type(key).__name__:
        kind = jwt.algorithms.OKPAlgorithm
    assert kind is not None
    return {**json.loads(kind.to_jwk(key)), **more}


def _token(algorithm: str, claims: dict[str, Any] | None = None, **headers: Any) -> str:
    return jwt.encode(claims or CLAIMS, _key(algorithm), algorithm, headers=headers)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_verifies_each_algorithm(call: Any, algorithm: str) -> None:
    """A signature made by another library verifies; one for other claims does not."""
    key = SECRET if algorithm.startswith("HS") else _pem(algorithm)
    name = f"io.jwt.verify_{algorithm.lower()}"
    token = _token(algorithm)
    assert call(name, token, key) is True
    head, _, signature = token.split(".")
    forged = ".".join([head, _token(algorithm, {**CLAIMS, "sub": "mallory"}).split(".")[1], signature])
    assert call(name, forged, key) is False
    constraint = {"secret": SECRET} if algorithm.startswith("HS") else {"cert": key}
    assert call("io.jwt.decode_verify", token, {**constraint, "aud": "a"}, ctx=DURING)[0] is True


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_another_library_verifies_what_is_signed(call: Any, algorithm: str) -> None:
    key = _key(algorithm)
    jwk = (
        {"kty": "oct", "k": jwt.utils.base64url_encode(SECRET.encode()).decode()}
        if key is SECRET
        else _jwk(key)
    )
    token = call("io.jwt.encode_sign", {"alg": algorithm, "typ": "JWT"}, {"sub": "alice"}, jwk)
    public = key if key is SECRET else key.public_key()
    assert jwt.decode(token, public, [algorithm]) == {"sub": "alice"}


def test_decodes_without_verifying(call: Any) -> None:
    header, payload, signature = call("io.jwt.decode", _token("HS256"))
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert payload == CLAIMS
    assert len(bytes.fromhex(signature)) == 32


@pytest.mark.parametrize(
    ("constraints", "seconds", "valid"),
    [
        ({"aud": "a"}, 1500, True),
        ({"aud": "c"}, 1500, False),
        ({}, 1500, False),  # the token is for someone, and no one said who asks
        ({"aud": "a", "iss": "issuer", "alg": "HS256"}, 1500, True),
        ({"aud": "a", "iss": "other"}, 1500, False),
        ({"aud": "a", "alg": "HS512"}, 1500, False),
        ({"aud": "a"}, 999, False),
        ({"aud": "a"}, 1000, True),
        ({"aud": "a"}, 1999, True),
        ({"aud": "a"}, 2000, False),
        ({"aud": "a", "time": 1500 * 10**9}, 5000, True),
        ({"aud": "a", "time": 1999.5e9}, 5000, True),
    ],
)
def test_constraints(call: Any, constraints: dict[str, Any], seconds: int, valid: bool) -> None:
    ctx = Context(seconds * 10**9)
    found = call("io.jwt.decode_verify", _token("HS256"), {"secret": SECRET, **constraints}, ctx=ctx)
    assert found == ([True, {"alg": "HS256", "typ": "JWT"}, CLAIMS] if valid else [False, {}, {}])


def test_a_public_key_is_no_secret(call: Any) -> None:
    """A token signed with the public key as if it were a shared secret proves nothing."""
    forged = call(
        "io.jwt.encode_sign",
        {"alg": "HS256", "typ": "JWT"},
        {"sub": "mallory"},
        {"kty": "oct", "k": jwt.utils.base64url_encode(_pem("RS256").encode()).decode()},
    )
    assert call("io.jwt.decode_verify", forged, {"cert": _pem("RS256")}, ctx=DURING) == [False, {}, {}]
    assert call("io.jwt.verify_rs256", forged, _pem("RS256")) is False


def test_no_algorithm_is_no_signature(call: Any) -> None:
    unsigned = jwt.encode({"sub": "mallory"}, None, "none")
    for constraints in ({"secret": SECRET}, {"cert": _pem("RS256")}):
        assert call("io.jwt.decode_verify", unsigned, constraints, ctx=DURING) == [False, {}, {}]


def test_a_set_of_keys_is_searched_by_the_token_s_key_id(call: Any) -> None:
    public = _jwk(KEYS["RS"].public_key(), kid="mine", alg="RS256")
    other = _jwk(rsa.generate_private_key(65537, 2048).public_key(), kid="other", alg="RS256")
    keys = json.dumps({"keys": [other, public]})
    assert call("io.jwt.verify_rs256", _token("RS256", kid="mine"), keys) is True
    assert call("io.jwt.verify_rs256", _token("RS256", kid="other"), keys) is False
    assert call("io.jwt.verify_rs256", _token("RS256"), keys) is True
    only_ps = json.dumps({"keys": [_jwk(KEYS["RS"].public_key(), alg="PS256")]})
    assert call("io.jwt.verify_rs256", _token("RS256"), only_ps) is False


@pytest.mark.parametrize(
    ("member", "refused", "taken"),
    [
        ("kid", [1, False, []], ["mine", None]),
        ("use", [3, True, ["sig"]], ["sig", "enc", "", None]),
        ("alg", ["", None, 5], ["RS256"]),
        ("key_ops", ["verify", [1], {}], [["verify"], [], None]),
        ("x5c", ["x", None, [1], [""]], [[]]),
        ("x5t", [1], ["x", None]),
        ("x5t#S256", [1], ["x", None]),
        ("x5u", [1], ["x", None]),
    ],
)
def test_a_set_is_none_where_a_key_has_a_member_of_another_type(
    call: Any, fails: Any, opa: OpaAnswers, member: str, refused: list[Any], taken: list[Any]
) -> None:
    """To OPA it is none, and so no token is valid: here the other keys, or that one itself, verified."""
    good, token = _jwk(KEYS["RS"].public_key()), _token("RS256")
    for value in (*refused, *taken):
        keys = json.dumps({"keys": [good, good | {member: value}]})
        theirs = opa.ask("package p\n\nr := io.jwt.verify_rs256(input[0], input[1])", [token, keys], ["r"])
        if value in taken:
            assert theirs == [[call("io.jwt.verify_rs256", token, keys)]] == [[True]]
        else:
            assert theirs == [[]]
            assert f"the {member} of a key" in fails("io.jwt.verify_rs256", token, keys)


def test_unknown_critical_headers_are_refused(call: Any) -> None:
    token = _token("HS256", crit=["exp-2"], **{"exp-2": 1})
    assert call("io.jwt.decode_verify", token, {"secret": SECRET, "aud": "a"}, ctx=DURING) == [False, {}, {}]


@pytest.mark.parametrize("members", [["kid", None], ["alg", {}], ["b", ["a"]], ["alg", 1, "a"]])
def test_what_is_critical_ends_at_the_first_that_is_no_text(
    call: Any, opa: OpaAnswers, members: list[Any]
) -> None:
    """As in OPA: what stood behind counted, and what has no hash ended in an error nobody knew of."""
    key = json.dumps({"kty": "oct", "k": "aw"})
    token = call("io.jwt.encode_sign_raw", json.dumps({"alg": "HS256", "crit": members, "a": 1}), "{}", key)
    source = 'package p\n\nr := io.jwt.decode_verify(input, {"secret": "k"})\n'
    found = call("io.jwt.decode_verify", token, {"secret": "k"}, ctx=DURING)
    assert [[found]] == opa.ask(source, token, ["r"])


def test_the_other_name_of_eddsa_is_taken(call: Any) -> None:
    """RFC 9864 calls it Ed25519. OPA takes a token that does, but looks at no key whose `alg` is that."""
    parts = (jwt.utils.base64url_encode(json.dumps(each).encode()) for each in ({"alg": "Ed25519"}, {"a": 1}))
    message = b".".join(parts)
    token = (message + b"." + jwt.utils.base64url_encode(KEYS["EdDSA"].sign(message))).decode()
    public = KEYS["EdDSA"].public_key()
    for said, valid in (({}, True), ({"alg": "EdDSA"}, False), ({"alg": "Ed25519"}, False)):
        keys = json.dumps({"keys": [_jwk(public, **said)]})
        assert call("io.jwt.decode_verify", token, {"cert": keys})[0] is valid
        assert call("io.jwt.verify_eddsa", token, keys) is valid


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"typ": 5}, "typ: must be a string"),
        ({"cty": 5}, "cty: must be a string"),
        ({"crit": "exp"}, "crit: must be a list"),
        ({"crit": []}, "crit: must be a nonempty list"),
        ({"crit": [None, "kid"]}, "crit: must be a nonempty list"),
    ],
)
def test_a_header_that_is_none_verifies_nothing(fails: Any, header: dict[str, Any], message: str) -> None:
    """Undefined, and not false: by a rule `denied if io.jwt.verify_rs256(...) == false` it is not denied."""
    token = jwt.api_jws.encode(b"{}", KEYS["RS"], "RS256", headers=header)
    assert message in fails("io.jwt.verify_rs256", token, _pem("RS256"))
    assert message in fails("io.jwt.decode_verify", token, {"cert": _pem("RS256")})


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf{}", "{}".encode("utf-16"), "{}".encode("utf-32-le")])
def test_a_token_is_utf_8_and_has_no_mark_of_it(fails: Any, text: bytes) -> None:
    token = jwt.api_jws.encode(text, SECRET, "HS256")
    assert "invalid JSON" in fails("io.jwt.decode", token)
    assert "invalid JSON" in fails("io.jwt.decode_verify", token, {"secret": SECRET})


def test_bytes_that_are_no_utf_8_are_replacement_characters(call: Any) -> None:
    token = jwt.api_jws.encode(b'{"a": "x\xff\xe2\x82y"}', SECRET, "HS256")
    assert call("io.jwt.decode", token)[1] == {"a": "x\ufffd\ufffd\ufffdy"}


def test_nested_tokens_are_unpacked(call: Any) -> None:
    outer = jwt.api_jws.encode(_token("HS256").encode(), SECRET, "HS256", headers={"cty": "JWT"})
    assert call("io.jwt.decode", outer)[1] == CLAIMS
    assert call("io.jwt.decode_verify", outer, {"secret": SECRET, "aud": "a"}, ctx=DURING)[2] == CLAIMS


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("io.jwt.decode", ("x",), "encoded JWT had no period separators"),
        ("io.jwt.decode", ("a.b",), "encoded JWT must have 3 sections, found 2"),
        ("io.jwt.decode", ("e30.W10.",), "decoded JSON type was not an Object"),
        ("io.jwt.decode", ("eyJlbmMiOjF9.e30.",), "JWT is a JWE object, which is not supported"),
        ("io.jwt.decode", ("*.e30.",), "JWT header had invalid encoding"),
        ("io.jwt.decode_verify", ("a.b.c", {}), "no key constraint"),
        (
            "io.jwt.decode_verify",
            ("a.b.c", {"secret": "s", "cert": '{"keys": []}'}),
            "duplicate key constraints",
        ),
        (
            "io.jwt.decode_verify",
            ("a.b.c", {"secret": "s", "sub": "x"}),
            "unknown token validation constraint: sub",
        ),
        ("io.jwt.decode_verify", ("a.b.c", {"secret": "s", "time": -1}), "must not be negative"),
        ("io.jwt.verify_rs256", ("e30.e30.", "nonsense"), "failed to parse a JWK key (set)"),
        ("io.jwt.verify_rs256", ("e30.e30.", '{"kty": "RSA"}'), "failed to parse a JWK key (set)"),
        ("io.jwt.verify_rs256", ("e30.e30.", '{"alg": ["RS256"]}'), "the alg of a key is of another type"),
        ("io.jwt.verify_rs256", ("e30.e30.", '{"kid": [1]}'), "the kid of a key is of another type"),
        (
            "io.jwt.encode_sign",
            ({"alg": "none"}, {}, {"kty": "oct", "k": "AA"}),
            "unknown JWS algorithm: none",
        ),
        (
            "io.jwt.encode_sign",
            ({"alg": "RS256"}, {}, {"kty": "oct", "k": "AA"}),
            "the JWK is of another type",
        ),
        ("io.jwt.encode_sign", ({}, {}, {"kty": "oct", "k": "AA"}), 'jwsbb: header "alg" not found'),
        ("io.jwt.encode_sign_raw", ('{"alg":"HS256"}', "{", '{"kty":"oct","k":"AA"}'), "payload is not JSON"),
        ("io.jwt.encode_sign_raw", ('{"alg":"HS256"}', "{}", '{"keys":[]}'), "no keys found in JWK set"),
    ],
)
def test_refuses(fails: Any, name: str, operands: tuple[Any, ...], message: str) -> None:
    assert message in fails(name, *operands)


def test_private_keys_as_objects(call: Any) -> None:
    key = KEYS["RS"]
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    jwk = call("crypto.x509.parse_rsa_private_key", text)
    assert jwt.algorithms.RSAAlgorithm.from_jwk(jwk).private_numbers() == key.private_numbers()
    (tree,) = call("crypto.parse_private_keys", text)
    assert tree["N"] == key.private_numbers().public_numbers.n
    curve = (
        KEYS["ES256"].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    )
    assert call("crypto.x509.parse_rsa_private_key", curve)["crv"] == "P-256"
    assert call("crypto.parse_private_keys", "") is None
    assert call("crypto.parse_private_keys", "nothing") == []
