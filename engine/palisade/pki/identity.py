"""Who a process is: its SPIFFE ID, its key, its certificate and whom it trusts.

Source: https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from palisade.files import PRIVATE, write_together

DEFAULT_TRUST_DOMAIN: Final = "palisade.local"

KEY_FILE: Final = "key.pem"
CERTIFICATE_FILE: Final = "certificate.pem"
BUNDLE_FILE: Final = "bundle.pem"

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT: Final = re.compile(r"[a-zA-Z0-9._-]{1,255}")

_RENEW_AFTER: Final = 2 / 3
"""The part of its life after which a certificate is renewed: the rest is time to try again."""


def check_trust_domain(name: str) -> str:
    """The name. Raises ValueError where it is no trust domain."""
    if not _TRUST_DOMAIN.fullmatch(name):
        raise ValueError(f"{name!r} is no trust domain: lower-case letters, digits, '.', '-' and '_' only")
    return name


def engine_id(trust_domain: str = DEFAULT_TRUST_DOMAIN) -> str:
    """The SPIFFE ID of the engine."""
    return f"spiffe://{check_trust_domain(trust_domain)}/engine"


def function_id(name: str, trust_domain: str = DEFAULT_TRUST_DOMAIN) -> str:
    """The SPIFFE ID of a function's sidecar. Raises ValueError where the name cannot be part of one."""
    if not _SEGMENT.fullmatch(name) or name in {".", ".."}:
        raise ValueError(
            f"{name!r} cannot be part of a SPIFFE ID: use letters, digits, '.', '-', '_', and not '.' or '..'"
        )
    return f"spiffe://{check_trust_domain(trust_domain)}/function/{name}"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, and the certificates of the authorities to trust: PEM. Times are UTC."""

    spiffe_id: str
    key: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    bundle: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime

    @property
    def renew_at(self) -> datetime:
        """When to ask for the next one."""
        lifetime: timedelta = self.not_after - self.not_before
        return self.not_before + lifetime * _RENEW_AFTER

    def is_due(self, now: datetime) -> bool:
        """Whether to ask for the next: in time, and where it is not valid yet as a clock was put back."""
        return not self.not_before <= now < self.renew_at

    def save(self, folder: Path) -> None:
        """Write `key.pem`, `certificate.pem`, `bundle.pem` at one instant, readable for the owner only."""
        files = {KEY_FILE: self.key, CERTIFICATE_FILE: self.certificate, BUNDLE_FILE: self.bundle}
        write_together(folder, files, mode=PRIVATE)

    @classmethod
    def load(cls, folder: Path) -> Identity:
        """Read what `save` wrote.

        Raises OSError where a file is missing, and ValueError where the files do not belong together.
        """
        current = folder.resolve() / "..data"
        base = current.resolve(strict=True)  # one version: the link may be swapped between two reads
        return cls.of(
            (base / KEY_FILE).read_bytes(),
            (base / CERTIFICATE_FILE).read_bytes(),
            (base / BUNDLE_FILE).read_bytes(),
        )

    @classmethod
    def of(cls, key: bytes, certificate: bytes, bundle: bytes) -> Identity:
        """An identity of its PEM parts. Raises ValueError where they do not belong together."""
        leaf = x509.load_pem_x509_certificate(certificate)
        if load_pem_private_key(key, password=None).public_key() != leaf.public_key():
            raise ValueError("the private key does not belong to the certificate")
        start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        return cls(spiffe_id_of(leaf), key, certificate, bundle, start, end)


def spiffe_id_of(certificate: x509.Certificate) -> str:
    """The SPIFFE ID in a certificate. Raises ValueError where it does not have exactly one URI name."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    if len(uris) != 1 or not uris[0].startswith("spiffe://"):
        raise ValueError(f"the certificate has to have one SPIFFE ID and no other URI name; it has {uris}")
    return uris[0]
