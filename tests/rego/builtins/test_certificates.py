"""Certificates: what they say, and which chains hold."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from opa_answers import OpaAnswers

from palisade.rego.builtins import Context, private_keys
from palisade.rego.errors import BuiltinError

START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(days=10)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


NOW = Context(_ns(START + timedelta(days=1)))


class Authority:
    """A key with a certificate, which may issue others."""

    def __init__(
        self,
        name: str,
        issuer: Authority | None = None,
        *extensions: x509.ExtensionType,
        ca: bool | None = True,
        critical: bool = False,
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        parent = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(parent.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(END)
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=critical)
        self.certificate = builder.sign(parent.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


ROOT = Authority("root")
MIDDLE = Authority("middle", ROOT)
NAMES = x509.SubjectAlternativeName(
    [x509.DNSName("*.example.com"), x509.UniformResourceIdentifier("spiffe://d/w")]
)
LEAF = Authority("leaf", MIDDLE, NAMES, ca=False)


def test_shows_what_go_shows(call: Any) -> None:
    (tree,) = call("crypto.x509.parse_certificates", LEAF.pem)
    assert tree["Subject"]["CommonName"] == "leaf"
    assert tree["Issuer"]["CommonName"] == "middle"
    assert tree["NotAfter"] == "2024-01-11T00:00:00Z"
    assert tree["DNSNames"] == ["*.example.com"]
    assert tree["URIStrings"] == ["spiffe://d/w"]
    assert tree["SerialNumber"] == LEAF.certificate.serial_number
    assert (tree["IsCA"], tree["Version"], tree["SignatureAlgorithm"]) == (False, 3, 10)
    assert base64.b64decode(tree["Raw"]) == LEAF.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "spiffe://d/w",
            "http://u:p@h:8/p?q#f",
            "urn:x:y",
            "http://h?",
            "http://h/a%20b/%2Fc",
            "x:///p",
            "x:?q",
        ),
        *(
            "//h/p",
            "/p",
            "p",
            "http://[::1]:80/",
            "HTTP://H/P#f%20(g)",
            "http://u@h/%C3%A9",
            "x:/p",
            "http://h%zz/",
        ),
    ],
)
def test_shows_uris_as_go_does(call: Any, opa: OpaAnswers, uri: str) -> None:
    """A policy that asks for the host of a SPIFFE ID, `URIs[0].Host`, found nothing."""
    text = Authority("leaf", ROOT, x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])).pem
    source = "package p\n\nr := crypto.x509.parse_certificates(input)[0].URIs"
    try:
        found = [call("crypto.x509.parse_certificates", text)[0]["URIs"]]
    except BuiltinError:
        found = []
    assert opa.ask(source, text, ["r"]) == [found]


def test_a_certificate_of_a_curve_that_go_does_not_know_is_none(fails: Any) -> None:
    name = ROOT.name
    key = ec.generate_private_key(ec.SECP256K1()).public_key()
    builder = x509.CertificateBuilder(
        name, name, key, 1, START.replace(tzinfo=None), END.replace(tzinfo=None)
    )
    text = builder.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    assert "unsupported elliptic curve" in fails("crypto.x509.parse_certificates", text)


def test_takes_pem_and_der_in_base64(call: Any) -> None:
    both = LEAF.certificate.public_bytes(Encoding.DER) + ROOT.certificate.public_bytes(Encoding.DER)
    for text in (
        LEAF.pem + ROOT.pem,
        base64.b64encode((LEAF.pem + ROOT.pem).encode()).decode(),
        base64.b64encode(both).decode(),
    ):
        names = [each["Subject"]["CommonName"] for each in call("crypto.x509.parse_certificates", text)]
        assert names == ["leaf", "root"]


@pytest.mark.parametrize(
    ("before", "count"),
    [
        ("-----BEGIN CERTIFICATE-----\n", 1),
        ("-----BEGIN x\nx -----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", 1),
        ("-----BEGIN CERTIFICATE\n", 1),
        ("-----BEGIN A-----\n-----END B-----\n", 1),
        ("-----BEGIN A-----\n-----END A-----x\n", 1),
        ("-----BEGIN CERTIFICATE-----\n-----END B-----\n", 1),
        ("-----BEGIN " * 50_000 + "-----\n", 1),
        ("-----BEGIN A-----\n" * 50_000, 1),
        ("-----BEGIN A-----\na: b\n", 1),
        ("-----BEGIN CERTIFICATE-----\n:", 0),
    ],
)
def test_what_begins_like_a_certificate(call: Any, before: str, count: int) -> None:
    """As Go reads it, and in no more time than the text is long: each beginning was followed to the end."""
    text = before + LEAF.pem
    assert len(call("crypto.x509.parse_certificates", text)) == count


def test_a_chain_holds(call: Any) -> None:
    text = ROOT.pem + MIDDLE.pem + LEAF.pem
    valid, chain = call("crypto.x509.parse_and_verify_certificates", text, ctx=NOW)
    assert valid is True
    assert [each["Subject"]["CommonName"] for each in chain] == ["leaf", "middle", "root"]


STRANGER = Authority("root")
NO_CA = Authority("no-ca", ROOT, ca=False)
SILENT = Authority("silent", ca=None)
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
WITHIN = x509.NameConstraints([x509.DNSName("example.org")], None)
NARROW = Authority("narrow", ROOT, WITHIN)


OF_POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])
ASKS = x509.PolicyConstraints(0, None)
CASES: dict[str, tuple[list[x509.ExtensionType], list[x509.ExtensionType]]] = {
    # Of an authority below the root, and of the leaf.
    "permitted": ([x509.NameConstraints([x509.DNSName("example.com")], None)], [NAMES]),
    "permitted below": ([x509.NameConstraints([x509.DNSName(".example.com")], None)], [NAMES]),
    "excluded by a star": ([x509.NameConstraints(None, [x509.DNSName("a.example.com")])], [NAMES]),
    "excluded elsewhere": ([x509.NameConstraints(None, [x509.DNSName("a.b.example.com")])], [NAMES]),
    "permitted URI": ([x509.NameConstraints([x509.UniformResourceIdentifier("d")], None)], [NAMES]),
    "excluded URI": ([x509.NameConstraints(None, [x509.UniformResourceIdentifier("d")])], [NAMES]),
    "permitted address": (
        [x509.NameConstraints([x509.RFC822Name("b.c")], None)],
        [x509.SubjectAlternativeName([x509.RFC822Name("A@B.c")])],
    ),
    "mailbox": (
        [x509.NameConstraints([x509.RFC822Name("a@b.c")], None)],
        [x509.SubjectAlternativeName([x509.RFC822Name("A@b.c")])],
    ),
    "no domain": (
        [x509.NameConstraints(None, [x509.DNSName("b.c")])],
        [x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:x")])],
    ),
    "a dot at the end": (
        [x509.NameConstraints(None, [x509.DNSName("b.c")])],
        [x509.SubjectAlternativeName([x509.DNSName("a.example.com.")])],
    ),
    "no policy": ([ASKS], []),
    "a policy": ([ASKS, OF_POLICY], [OF_POLICY]),
    "asked by the leaf": ([], [ASKS]),
    "asked by the leaf, of all": ([OF_POLICY], [ASKS, OF_POLICY]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("critical", [False, True])
def test_chains_hold_that_hold_in_opa(call: Any, opa: OpaAnswers, case: str, critical: bool) -> None:
    """Names that Go does not take and policies that a chain must go by let too much pass here."""
    for_authority, for_leaf = CASES[case]
    between = Authority("between", ROOT, *for_authority, critical=critical)
    leaf = Authority("leaf", between, *for_leaf, ca=False, critical=critical)
    _compare(call, opa, ROOT.pem + between.pem + leaf.pem)


def test_names_of_other_kinds_are_not_understood(call: Any, opa: OpaAnswers) -> None:
    other = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
    for extension in (x509.SubjectAlternativeName([other]), x509.NameConstraints([other], None)):
        for critical in (False, True):
            leaf = Authority("leaf", ROOT, extension, ca=False, critical=critical)
            _compare(call, opa, ROOT.pem + leaf.pem)


def test_a_root_may_be_the_leaf(call: Any, opa: OpaAnswers) -> None:
    """Of itself alone the chain is made, also where it is signed by another; a renewed one is in none."""
    alone = Authority("alone", MIDDLE, ca=False)
    for text in (alone.pem * 2, alone.pem + ROOT.pem + alone.pem, ROOT.pem * 2, ROOT.pem + MIDDLE.pem * 2):
        _compare(call, opa, text)


@pytest.mark.parametrize(
    "name", ["é.example.com", "a.example.com.", "a.example.com..", "-a.example.com", "."]
)
def test_names_are_those_that_go_takes(call: Any, opa: OpaAnswers, name: str) -> None:
    _compare(call, opa, ROOT.pem + MIDDLE.pem + LEAF.pem, name)


def _compare(call: Any, opa: OpaAnswers, text: str, name: str = "") -> None:
    options = {"CurrentTime": NOW.now_ns, "DNSName": name}
    asked = "crypto.x509.parse_and_verify_certificates_with_options"
    found, chain = call(asked, text, options)
    told = "[x[0], [y.Subject.CommonName | some y in x[1]]]"
    source = f"package p\n\nr := {told} if x := {asked}(input[0], input[1])"
    theirs = opa.ask(source, [text, options], ["r"])
    assert theirs == [[[found, [each["Subject"]["CommonName"] for each in chain]]]]


@pytest.mark.parametrize(
    ("certificates", "options"),
    [
        ([STRANGER, MIDDLE, LEAF], {}),
        ([ROOT, LEAF], {}),
        ([ROOT], {}),
        ([ROOT, NO_CA, Authority("leaf", NO_CA, ca=False)], {}),
        ([NO_CA, Authority("leaf", NO_CA, ca=False)], {}),
        ([SILENT, Authority("leaf", SILENT, ca=False)], {}),
        ([ROOT, Authority("leaf", ROOT, CLIENT, ca=False)], {}),
        ([ROOT, NARROW, Authority("leaf", NARROW, NAMES, ca=False)], {}),
        ([ROOT, MIDDLE, LEAF], {"CurrentTime": _ns(END + timedelta(days=1))}),
        ([ROOT, MIDDLE, LEAF], {"CurrentTime": _ns(START - timedelta(days=1))}),
        ([ROOT, MIDDLE, LEAF], {"DNSName": "example.com"}),
        ([ROOT, MIDDLE, LEAF], {"DNSName": "a.b.example.com"}),
        ([ROOT, MIDDLE, LEAF], {"DNSName": "127.0.0.1"}),
    ],
    ids=[
        "stranger",
        "gap",
        "alone",
        "no-authority",
        "no-authority-as-root",
        "silent-root",
        "usage",
        "constraint",
        "late",
        "early",
        "bare",
        "deep",
        "address",
    ],
)
def test_a_chain_breaks(call: Any, certificates: list[Authority], options: dict[str, Any]) -> None:
    text = "".join(each.pem for each in certificates)
    assert call("crypto.x509.parse_and_verify_certificates_with_options", text, options, ctx=NOW) == [
        False,
        [],
    ]


def test_options_widen_what_holds(call: Any) -> None:
    text = ROOT.pem + Authority("leaf", ROOT, CLIENT, NAMES, ca=False).pem
    options = {"KeyUsages": {"KeyUsageClientAuth"}, "DNSName": "A.example.com", "CurrentTime": _ns(END)}
    assert call("crypto.x509.parse_and_verify_certificates_with_options", text, options)[0] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"KeyUsages": ["Any"]}, "invalid entries for 'KeyUsages' found: [Any]"),
        ({"Hurry": 1}, "invalid key option"),
        ({"DNSName": 1}, "'DNSName' should be a string"),
    ],
)
def test_wrong_options_are_errors(fails: Any, options: dict[str, Any], message: str) -> None:
    name = "crypto.x509.parse_and_verify_certificates_with_options"
    assert fails(name, ROOT.pem + LEAF.pem, options) == f"eval_builtin_error: {message}"


def test_requests(call: Any, fails: Any) -> None:
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(LEAF.name).add_extension(NAMES, critical=False)
    )
    text = request.sign(LEAF.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    tree = call("crypto.x509.parse_certificate_request", text)
    assert (tree["Subject"]["CommonName"], tree["DNSNames"]) == ("leaf", ["*.example.com"])
    assert "illegal base64" in fails("crypto.x509.parse_certificate_request", "!")
    wrapped = base64.b64encode(LEAF.pem.encode()).decode()
    assert "invalid PEM-encoded certificate signing request" in fails(
        "crypto.x509.parse_certificate_request", wrapped
    )


def test_pairs_must_belong_together(call: Any, fails: Any) -> None:
    key = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    pair = call("crypto.x509.parse_keypair", LEAF.pem, key)
    assert base64.b64decode(pair["Certificate"][0]) == LEAF.certificate.public_bytes(Encoding.DER)
    assert "private key does not match public key" in fails("crypto.x509.parse_keypair", ROOT.pem, key)


def test_the_numbers_of_a_key_are_checked_once(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is slow where they are large, as RSA has them, and a policy has the same key for each request."""
    checked: list[bytes] = []
    load = private_keys.load_der_private_key
    monkeypatch.setattr(
        private_keys, "load_der_private_key", lambda der, password: checked.append(der) or load(der, password)
    )
    for _ in range(2):
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        assert call("crypto.parse_private_keys", text) == call("crypto.parse_private_keys", text)
    assert len(checked) == 2


@pytest.mark.parametrize(
    "text", ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "AAAA", "*", "MII="]
)
def test_malformed_certificates_are_errors(fails: Any, text: str) -> None:
    assert fails("crypto.x509.parse_certificates", text).startswith("eval_builtin_error")
