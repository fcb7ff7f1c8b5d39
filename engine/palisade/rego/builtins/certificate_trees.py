"""Certificates and requests as objects, in the shape that Go's `crypto/x509` has as JSON.

OPA hands out what Go's encoder makes of its structs, so the names are Go's: `Subject.CommonName`,
`NotAfter`, `DNSNames`. Source: https://pkg.go.dev/crypto/x509#Certificate
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, SignatureAlgorithmOID

from palisade.rego.builtins.uris import url_tree
from palisade.rego.values import Value

Tree: TypeAlias = dict[str, Value]
_E = TypeVar("_E", bound=x509.ExtensionType)

_SIGNATURES = {
    SignatureAlgorithmOID.RSA_WITH_MD5: 2,
    SignatureAlgorithmOID.RSA_WITH_SHA1: 3,
    SignatureAlgorithmOID.RSA_WITH_SHA256: 4,
    SignatureAlgorithmOID.RSA_WITH_SHA384: 5,
    SignatureAlgorithmOID.RSA_WITH_SHA512: 6,
    SignatureAlgorithmOID.DSA_WITH_SHA1: 7,
    SignatureAlgorithmOID.DSA_WITH_SHA256: 8,
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: 9,
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: 10,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: 11,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: 12,
    SignatureAlgorithmOID.ED25519: 16,
}
_PSS = {"sha256": 13, "sha384": 14, "sha512": 15}
_NAMES = {
    "Country": NameOID.COUNTRY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "Locality": NameOID.LOCALITY_NAME,
    "Province": NameOID.STATE_OR_PROVINCE_NAME,
    "StreetAddress": NameOID.STREET_ADDRESS,
    "PostalCode": NameOID.POSTAL_CODE,
}
# In the order of Go's constants, which number them.
EXTENDED_USAGES = (
    "2.5.29.37.0",
    "1.3.6.1.5.5.7.3.1",
    "1.3.6.1.5.5.7.3.2",
    "1.3.6.1.5.5.7.3.3",
    "1.3.6.1.5.5.7.3.4",
    "1.3.6.1.5.5.7.3.5",
    "1.3.6.1.5.5.7.3.6",
    "1.3.6.1.5.5.7.3.7",
    "1.3.6.1.5.5.7.3.8",
    "1.3.6.1.5.5.7.3.9",
    "1.3.6.1.4.1.311.10.3.3",
    "2.16.840.1.113730.4.1",
    "1.3.6.1.4.1.311.2.1.22",
    "1.3.6.1.4.1.311.61.1.1",
)


def certificate_tree(certificate: x509.Certificate) -> Tree:
    """The object for a certificate."""
    raw = certificate.public_bytes(Encoding.DER)
    tree: Tree = {
        "Raw": _base64(raw),
        "RawTBSCertificate": _base64(certificate.tbs_certificate_bytes),
        "RawIssuer": _base64(certificate.issuer.public_bytes()),
        "RawSubject": _base64(certificate.subject.public_bytes()),
        "Version": certificate.version.value + 1,
        "SerialNumber": certificate.serial_number,
        "Issuer": _name(certificate.issuer),
        "Subject": _name(certificate.subject),
        "NotBefore": _time(certificate.not_valid_before_utc),
        "NotAfter": _time(certificate.not_valid_after_utc),
        "Signature": _base64(certificate.signature),
        "SignatureAlgorithm": _signature_algorithm(certificate),
        **_public_key(certificate),
        **_extensions(certificate.extensions),
        **_constraints(certificate.extensions),
        **_usages(certificate.extensions),
        **_alternative_names(certificate.extensions),
        **_identifiers(certificate.extensions),
        **_name_constraints(certificate.extensions),
        **_services(certificate.extensions),
    }
    tree["URIStrings"] = _uris(certificate.extensions)
    return tree


def request_tree(request: x509.CertificateSigningRequest) -> Tree:
    """The object for a certificate signing request."""
    return {
        "Raw": _base64(request.public_bytes(Encoding.DER)),
        "RawTBSCertificateRequest": _base64(request.tbs_certrequest_bytes),
        "RawSubject": _base64(request.subject.public_bytes()),
        "Version": 0,
        "Signature": _base64(request.signature),
        "SignatureAlgorithm": _signature_algorithm(request),
        "Subject": _name(request.subject),
        "Attributes": None,
        **_public_key(request),
        **_extensions(request.extensions),
        **_alternative_names(request.extensions),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def _or_null(values: Iterable[Value]) -> list[Value] | None:
    """Go's encoder writes an empty list that was never filled as null."""
    return list(values) or None


def _oid(oid: x509.ObjectIdentifier) -> list[int]:
    return [int(arc) for arc in oid.dotted_string.split(".")]


def _name(name: x509.Name) -> Tree:
    def values(oid: x509.ObjectIdentifier) -> list[str]:
        return [_text(attribute.value) for attribute in name.get_attributes_for_oid(oid)]

    tree: Tree = {field: _or_null(values(oid)) for field, oid in _NAMES.items()}
    tree["SerialNumber"] = "".join(values(NameOID.SERIAL_NUMBER)[-1:])
    tree["CommonName"] = "".join(values(NameOID.COMMON_NAME)[-1:])
    tree["Names"] = _or_null({"Type": _oid(each.oid), "Value": _text(each.value)} for each in name)
    tree["ExtraNames"] = None
    return tree


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _signature_algorithm(signed: x509.Certificate | x509.CertificateSigningRequest) -> int:
    oid = signed.signature_algorithm_oid
    if oid == SignatureAlgorithmOID.RSASSA_PSS:
        with contextlib.suppress(UnsupportedAlgorithm):  # an unknown digest is algorithm 0 to Go
            digest = signed.signature_hash_algorithm
            return _PSS.get(digest.name, 0) if digest else 0
    return _SIGNATURES.get(oid, 0)


def _public_key(holder: x509.Certificate | x509.CertificateSigningRequest) -> Tree:
    try:
        key = holder.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return {"RawSubjectPublicKeyInfo": None, "PublicKeyAlgorithm": 0, "PublicKey": None}
    raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    shown: Value = None
    algorithm = 0
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        algorithm, shown = 1, {"N": numbers.n, "E": numbers.e}
    elif isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        algorithm, shown = 3, {"Curve": {}, "X": point.x, "Y": point.y}
    elif isinstance(key, ed25519.Ed25519PublicKey):
        algorithm, shown = 4, _base64(key.public_bytes_raw())
    return {"RawSubjectPublicKeyInfo": _base64(raw), "PublicKeyAlgorithm": algorithm, "PublicKey": shown}


def _extensions(extensions: x509.Extensions) -> Tree:
    shown = [
        {"Id": _oid(each.oid), "Critical": each.critical, "Value": _base64(each.value.public_bytes())}
        for each in extensions
    ]
    return {"Extensions": _or_null(shown), "ExtraExtensions": None}


def _find(extensions: x509.Extensions, kind: type[_E]) -> _E | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _constraints(extensions: x509.Extensions) -> Tree:
    found = _find(extensions, x509.BasicConstraints)
    length = found.path_length if found else None
    return {
        "BasicConstraintsValid": found is not None,
        "IsCA": found.ca if found else False,
        "MaxPathLen": (-1 if found else 0) if length is None else length,
        "MaxPathLenZero": length == 0,
        "UnhandledCriticalExtensions": _or_null(
            _oid(each.oid)
            for each in extensions
            if each.critical and isinstance(each.value, x509.UnrecognizedExtension)
        ),
    }


def _usages(extensions: x509.Extensions) -> Tree:
    found = _find(extensions, x509.KeyUsage)
    bits = 0
    if found is not None:
        agreement = found.key_agreement
        flags = (
            found.digital_signature,
            found.content_commitment,
            found.key_encipherment,
            found.data_encipherment,
            found.key_agreement,
            found.key_cert_sign,
            found.crl_sign,
            agreement and found.encipher_only,
            agreement and found.decipher_only,
        )
        bits = sum(1 << place for place, flag in enumerate(flags) if flag)
    extended = [oid.dotted_string for oid in _find(extensions, x509.ExtendedKeyUsage) or ()]
    return {
        "KeyUsage": bits,
        "ExtKeyUsage": _or_null(EXTENDED_USAGES.index(oid) for oid in extended if oid in EXTENDED_USAGES),
        "UnknownExtKeyUsage": _or_null(
            [int(arc) for arc in oid.split(".")] for oid in extended if oid not in EXTENDED_USAGES
        ),
    }


def _alternative_names(extensions: x509.Extensions) -> Tree:
    found = _find(extensions, x509.SubjectAlternativeName)
    names = found.get_values_for_type if found else None
    return {
        "DNSNames": _or_null(names(x509.DNSName)) if names else None,
        "EmailAddresses": _or_null(names(x509.RFC822Name)) if names else None,
        "IPAddresses": _or_null(str(each) for each in names(x509.IPAddress)) if names else None,
        "URIs": _or_null(map(url_tree, names(x509.UniformResourceIdentifier))) if names else None,
    }


def _uris(extensions: x509.Extensions) -> list[Value] | None:
    found = _find(extensions, x509.SubjectAlternativeName)
    return _or_null(found.get_values_for_type(x509.UniformResourceIdentifier)) if found else None


def _identifiers(extensions: x509.Extensions) -> Tree:
    subject = _find(extensions, x509.SubjectKeyIdentifier)
    authority = _find(extensions, x509.AuthorityKeyIdentifier)
    authority_id = authority.key_identifier if authority else None
    return {
        "SubjectKeyId": _base64(subject.digest) if subject else None,
        "AuthorityKeyId": _base64(authority_id) if authority_id else None,
    }


def _name_constraints(extensions: x509.Extensions) -> Tree:
    found = _find(extensions, x509.NameConstraints)
    critical = any(each.critical for each in extensions if isinstance(each.value, x509.NameConstraints))
    tree: Tree = {"PermittedDNSDomainsCritical": critical}
    kinds: tuple[tuple[str, Any], ...] = (
        ("DNSDomains", x509.DNSName),
        ("IPRanges", x509.IPAddress),
        ("EmailAddresses", x509.RFC822Name),
        ("URIDomains", x509.UniformResourceIdentifier),
    )
    for side, subtrees in (
        ("Permitted", found.permitted_subtrees if found else None),
        ("Excluded", found.excluded_subtrees if found else None),
    ):
        for name, kind in kinds:
            tree[side + name] = _or_null(str(each.value) for each in subtrees or () if isinstance(each, kind))
    return tree


def _services(extensions: x509.Extensions) -> Tree:
    access = _find(extensions, x509.AuthorityInformationAccess) or ()
    points = _find(extensions, x509.CRLDistributionPoints) or ()
    policies = _find(extensions, x509.CertificatePolicies) or ()

    def locations(method: x509.ObjectIdentifier) -> list[Value] | None:
        return _or_null(each.access_location.value for each in access if each.access_method == method)

    return {
        "OCSPServer": locations(AuthorityInformationAccessOID.OCSP),
        "IssuingCertificateURL": locations(AuthorityInformationAccessOID.CA_ISSUERS),
        "CRLDistributionPoints": _or_null(name.value for point in points for name in point.full_name or ()),
        "PolicyIdentifiers": _or_null(_oid(each.policy_identifier) for each in policies),
        "Policies": _or_null(each.policy_identifier.dotted_string for each in policies),
    }
