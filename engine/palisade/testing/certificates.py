"""Certificates of any shape, for what verifies them: callers with many names, expired ones, foreign ones."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    def save(self, folder: Path, name: str = "server") -> tuple[Path, Path]:
        """Writes NAME.pem and NAME-key.pem; gives their paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        key.touch(mode=0o600)
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return certificate, key


class TestAuthority:
    """A certificate authority that signs whatever it is asked to."""

    __test__ = False  # pytest takes classes of such names for tests

    def __init__(self, name: str = "test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name({"CN": name})
        now = datetime.now(UTC)
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key(), now - _HOUR, now + 24 * _HOUR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_signs(), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        *,
        uris: Sequence[str] = (),
        dns: Sequence[str] = (),
        subject: dict[str, str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Pair:
        """A certificate with these names, in this order, valid for a day unless `start` and `end` say else.

        `subject` has CN, O and C at most.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = _builder(
            _name(subject or {}), self._name, key.public_key(), start or now - _HOUR, end or now + 24 * _HOUR
        )
        names: list[x509.GeneralName] = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not subject)
        # Python 3.13 and others that are strict (RFC 5280, section 4.2.1.1) take no certificate without it.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        return Pair(
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )


def client_context(authority: bytes, folder: Path, pair: Pair | None = None) -> ssl.SSLContext:
    """For a client that trusts the authority (PEM) under any name of a server, and shows the pair, if any.

    The pair passes through a file in the folder, as `ssl` wants it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=authority.decode())
    if pair is not None:
        context.load_cert_chain(*pair.save(folder, "client"))
    return context


def _signs() -> x509.KeyUsage:
    """What the key of an authority is for."""
    return x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


_OIDS = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME, "C": NameOID.COUNTRY_NAME}


def _name(parts: dict[str, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(_OIDS[key], value) for key, value in parts.items()])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
