"""The certificate authority: a key in a folder, and the certificates that it signs.

A rotation makes a new key beside the old one. Everybody trusts both from then on, but the new one signs only
when every certificate that was issued before has expired: whoever holds a living one has the new bundle.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from palisade.files import PRIVATE, PUBLIC, write_atomic
from palisade.pki.identity import (
    BUNDLE_FILE,
    DEFAULT_TRUST_DOMAIN,
    Identity,
    check_trust_domain,
    engine_id,
    function_id,
    spiffe_id_of,
)

AUTHORITY_LIFETIME: Final = timedelta(days=365)
IDENTITY_LIFETIME: Final = timedelta(hours=12)

_CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far certificates date back, for clients whose clock is slow."""

_FILE: Final = re.compile(r"authority-(\d+)\.pem")


class AuthorityError(Exception):
    """An authority that cannot be used as it is on disk: what is wrong, and what to do."""


@dataclass(frozen=True)
class _Signer:
    number: int
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def made(self) -> datetime:
        return self.certificate.not_valid_before_utc + _CLOCK_SKEW

    @property
    def expires(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def is_valid(self, now: datetime) -> bool:
        return self.certificate.not_valid_before_utc <= now < self.expires


class Authority:
    """A trust domain's authority. Several processes may have the same folder open."""

    def __init__(self, folder: Path, trust_domain: str, identity_lifetime: timedelta) -> None:
        self._folder = folder
        self.trust_domain = trust_domain
        self._lifetime = identity_lifetime

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        trust_domain: str = DEFAULT_TRUST_DOMAIN,
        identity_lifetime: timedelta = IDENTITY_LIFETIME,
        now: datetime | None = None,
    ) -> Authority:
        """The authority in a folder, made there where there is none.

        Keys are readable for the owner only. Raises AuthorityError where a key is not, or where the
        folder belongs to another trust domain.
        """
        check_trust_domain(trust_domain)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = cls(folder, trust_domain, identity_lifetime)
        with authority._locked():
            if not authority._signers():
                authority._make(1, now or datetime.now(UTC))
        return authority

    @property
    def bundle(self) -> bytes:
        """The certificates to trust, PEM: every key's that has not expired."""
        return self._bundle(datetime.now(UTC))

    def rotate(self, *, now: datetime | None = None) -> None:
        """Make a new key. It signs as soon as every certificate issued until now has expired."""
        now = now or datetime.now(UTC)
        with self._locked():
            self._make(self._signers()[-1].number + 1, now)

    def rotate_if_due(self, *, now: datetime | None = None) -> bool:
        """Rotate in the last third of the newest key's life, as every issue does. Returns whether it did.

        Also where no key is valid: the clock was ahead when they were made, and was put right.
        """
        now = now or datetime.now(UTC)
        with self._locked():
            signers = self._signers()
            newest = signers[-1]
            usable = any(each.is_valid(now) for each in signers)
            if usable and now < newest.made + (newest.expires - newest.made) * 2 / 3:
                return False
            self._make(newest.number + 1, now)
            return True

    def issue_engine(
        self,
        *,
        dns_names: Iterable[str] = ("localhost",),
        ip_addresses: Iterable[str] = ("127.0.0.1", "::1"),
        now: datetime | None = None,
    ) -> Identity:
        """The engine's certificate, for the names and addresses under which clients reach it."""
        names = [*map(x509.DNSName, dns_names), *(x509.IPAddress(ip_address(each)) for each in ip_addresses)]
        return self._issue(engine_id(self.trust_domain), names, now)

    def issue_function(self, name: str, *, now: datetime | None = None) -> Identity:
        """The certificate of a function's sidecar. Raises ValueError where the name cannot be in one."""
        return self._issue(function_id(name, self.trust_domain), [], now)

    def _issue(self, spiffe_id: str, names: list[x509.GeneralName], now: datetime | None) -> Identity:
        now = now or datetime.now(UTC)
        self.rotate_if_due(now=now)
        signer = self._signer(now)
        key = ec.generate_private_key(ec.SECP256R1())
        expires = min(now + self._lifetime, signer.expires)
        certificate = (
            _builder(_subject(spiffe_id), signer.certificate.subject, now, expires, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id), *names]),
                critical=False,
            )
            .add_extension(_issued_by(signer.certificate), critical=False)
            .sign(signer.key, hashes.SHA256())
        )
        return Identity(
            spiffe_id,
            _key_pem(key),
            certificate.public_bytes(Encoding.PEM),
            self._bundle(now),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )

    def _make(self, number: int, now: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"Palisade authority {number} of {self.trust_domain}")
        certificate = (
            _builder(subject, subject, now, now + AUTHORITY_LIFETIME, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(sign_certificates=True), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.UniformResourceIdentifier(f"spiffe://{self.trust_domain}")]
                ),
                critical=False,
            )
            .sign(key, hashes.SHA256())
        )
        content = _key_pem(key) + certificate.public_bytes(Encoding.PEM)
        write_atomic(self._folder / f"authority-{number}.pem", content, mode=PRIVATE)
        write_atomic(self._folder / BUNDLE_FILE, self._bundle(now), mode=PUBLIC)

    def _signer(self, now: datetime) -> _Signer:
        """The newest key that everyone who holds a living certificate has in the bundle."""
        living = [each for each in self._signers() if each.is_valid(now)]
        known = [each for each in living if each.made + self._lifetime <= now]
        return known[-1] if known else living[0]

    def _bundle(self, now: datetime) -> bytes:
        return b"".join(
            each.certificate.public_bytes(Encoding.PEM) for each in self._signers() if each.expires > now
        )

    def _signers(self) -> list[_Signer]:
        found = (_FILE.fullmatch(path.name) for path in self._folder.iterdir())
        numbers = sorted(int(match.group(1)) for match in found if match)
        return [self._load(number) for number in numbers]

    def _load(self, number: int) -> _Signer:
        path = self._folder / f"authority-{number}.pem"
        if path.stat().st_mode & 0o077:
            raise AuthorityError(
                f"others than its owner can read {path}: chmod 600 it, or make a new authority"
            )
        content = path.read_bytes()
        key = load_pem_private_key(content, password=None)
        certificate = x509.load_pem_x509_certificate(content)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise AuthorityError(f"the key in {path} does not belong to the certificate in it")
        domain = spiffe_id_of(certificate).removeprefix("spiffe://")
        if domain != self.trust_domain:
            raise AuthorityError(f"{path} is the authority of {domain}, not of {self.trust_domain}")
        return _Signer(number, key, certificate)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from making a key at the same time."""
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _builder(
    subject: x509.Name, issuer: x509.Name, now: datetime, expires: datetime, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - min(_CLOCK_SKEW, expires - now))
        .not_valid_after(expires)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[-64:])])  # X.520 allows 64 characters


def _issued_by(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
