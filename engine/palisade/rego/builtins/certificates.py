"""Certificates, certificate requests and private keys.

They come as PEM, or as the Base64 of PEM or DER, and become objects: see `certificate_trees`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from palisade.rego.builtins import pem
from palisade.rego.builtins.certificate_chains import Requirements, verify
from palisade.rego.builtins.certificate_reading import certificate
from palisade.rego.builtins.certificate_trees import EXTENDED_USAGES, certificate_tree, request_tree
from palisade.rego.builtins.encoding import decode_base64
from palisade.rego.builtins.operands import Object, object_, string
from palisade.rego.builtins.private_keys import load_private_key, pair_tree, private_keys
from palisade.rego.builtins.registry import Context, builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Set, Value, sorted_values, unkey

_USAGES = {
    f"KeyUsage{name}": oid
    for name, oid in zip(
        (
            "Any",
            "ServerAuth",
            "ClientAuth",
            "CodeSigning",
            "EmailProtection",
            "IPSECEndSystem",
            "IPSECTunnel",
            "IPSECUser",
            "TimeStamping",
            "OCSPSigning",
            "MicrosoftServerGatedCrypto",
            "NetscapeServerGatedCrypto",
            "MicrosoftCommercialCodeSigning",
            "MicrosoftKernelCodeSigning",
        ),
        EXTENDED_USAGES,
        strict=True,
    )
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@builtin("crypto.x509.parse_certificates", pure=True)
def parse_certificates(certs: Value) -> list[Value]:
    return [certificate_tree(each) for each in _certificates(string(certs, 1))]


@builtin("crypto.x509.parse_and_verify_certificates")
def parse_and_verify_certificates(ctx: Context, certs: Value) -> list[Value]:
    """Whether the certificates lead from the last, the leaf, to the first, the root; and the chain if so."""
    return _verified(string(certs, 1), lambda: Requirements(_moment(ctx.now_ns)))


@builtin("crypto.x509.parse_and_verify_certificates_with_options")
def parse_and_verify_certificates_with_options(ctx: Context, certs: Value, options: Value) -> list[Value]:
    """As without options; they are `CurrentTime` in nanoseconds, `DNSName` of the leaf, and `KeyUsages`."""
    text, chosen = string(certs, 1), object_(options, 2)
    return _verified(text, lambda: _requirements(ctx, chosen))


def _verified(text: str, required: Callable[[], Requirements]) -> list[Value]:
    """Certificates that cannot be read verify nothing, whatever is `required`, which may be an error."""
    try:
        certificates = _certificates(text)
    except BuiltinError:
        return [False, []]
    requirements = required()
    try:
        chain = verify(certificates, requirements)
    except BuiltinError:
        return [False, []]
    return [True, [certificate_tree(each) for each in chain]]


def _moment(now_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=now_ns // 1000)


def _requirements(ctx: Context, options: Object) -> Requirements:
    moment, name = _moment(ctx.now_ns), ""
    usages: tuple[str, ...] = (_USAGES["KeyUsageServerAuth"],)
    for form, value in options.items():
        match unkey(form):
            case "DNSName":
                if type(value) is not str:
                    raise BuiltinError("'DNSName' should be a string")
                name = value.strip('"')
            case "CurrentTime":
                if type(value) is not int:
                    raise BuiltinError("'CurrentTime' should be a valid int64 number")
                moment = _moment(value)
            case "MaxConstraintComparisons":
                # Ours are few: a name is compared once with each constraint.
                if type(value) is not int:
                    raise BuiltinError("'MaxConstraintComparisons' should be a valid number")
            case "KeyUsages":
                usages = _chosen_usages(value) or usages
            case _:
                raise BuiltinError("invalid key option")
    return Requirements(moment, name, usages)


def _chosen_usages(value: Value) -> tuple[str, ...]:
    if type(value) is not list and type(value) is not Set:
        raise BuiltinError("'KeyUsages' should be an Array or Set")
    names = [each.strip('"') for each in sorted_values(value) if type(each) is str]
    unknown = [name for name in names if name not in _USAGES]
    if unknown:
        raise BuiltinError(f"invalid entries for 'KeyUsages' found: [{' '.join(unknown)}]")
    return tuple(_USAGES[name] for name in names)


def _certificates(text: str) -> list[x509.Certificate]:
    data = pem.pem_or_base64(text)
    if not data.startswith(b"-----BEGIN"):
        return list(map(_certificate, _sequence(data)))
    found: list[x509.Certificate] = []
    for block in pem.blocks(data):
        if block.label != "CERTIFICATE":
            raise BuiltinError(f"PEM block type is '{block.label}', expected CERTIFICATE")
        found += map(_certificate, _sequence(block.data))
    return found


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return certificate(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BuiltinError(f"x509: malformed certificate: {error}") from error


def _sequence(data: bytes) -> list[bytes]:
    """DER values that stand one behind the other."""
    found: list[bytes] = []
    while data:
        if len(data) < 2:
            raise BuiltinError("x509: malformed certificate")
        size, header = data[1], 2
        if size & 0x80:
            header += size & 0x7F
            size = int.from_bytes(data[2:header])
        found.append(data[: header + size])
        data = data[header + size :]
    return found


@builtin("crypto.x509.parse_certificate_request", pure=True)
def parse_certificate_request(csr: Value) -> Object:
    text = string(csr, 1)
    is_pem = text.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    data = pem.pem_or_base64(text) if is_pem else decode_base64(text)
    block = next(pem.blocks(data), None)
    if block is not None:
        if block.label != "CERTIFICATE REQUEST":
            raise BuiltinError("invalid PEM-encoded certificate signing request")
        data = block.data
    try:
        return request_tree(x509.load_der_x509_csr(data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BuiltinError(f"x509: malformed certificate request: {error}") from error


@builtin("crypto.x509.parse_keypair", pure=True)
def parse_keypair(cert: Value, key: Value) -> Object:
    """A certificate chain with the key of its first certificate, as Go's `tls.Certificate`."""
    first, second = string(cert, 1), string(key, 1)
    chain = _certificates(first)
    data = pem.pem_or_base64(second)
    block = next((each for each in pem.blocks(data) if each.label.endswith("PRIVATE KEY")), None)
    private = load_private_key(block.data if block else data)
    if not chain:
        raise BuiltinError("tls: failed to find any PEM data in certificate input")
    if chain[0].public_key() != private.public_key():
        raise BuiltinError("tls: private key does not match public key")
    return pair_tree(chain, private, certificate_tree(chain[0]))


@builtin("crypto.x509.parse_rsa_private_key", pure=True)
def parse_rsa_private_key(key: Value) -> Value:
    """The first private key as a JSON Web Key; null where there is none."""
    text = string(key, 1)
    if not text:
        raise BuiltinError("input PEM data was empty")
    found = private_keys(pem.pem_or_base64(text))
    return found[0].jwk() if found else None


@builtin("crypto.parse_private_keys", pure=True)
def parse_private_keys(keys: Value) -> Value:
    """All private keys, as Go shows them; null for the empty string."""
    text = string(keys, 1)
    if not text:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = text.encode("utf-8", "surrogateescape")
    return [each.tree() for each in private_keys(data)]
