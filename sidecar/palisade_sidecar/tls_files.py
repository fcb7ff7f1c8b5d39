"""The files that a user names for TLS: whether they can serve, and whom they vouch for."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from palisade_sidecar.settings import Tls

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_SHORTEST_RSA = 2048
_KINDS = "RSA of 2048 bits or more, or ECDSA on P-256, P-384 or P-521"

_BEGIN = re.compile(rb"^-----BEGIN (?:X509 )?CERTIFICATE-----", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the file of a setting (`certificate`, `key` or `client_ca`) cannot serve, and what to do."""

    setting: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"tls.{self.setting}: {self.message}{f' ({self.hint})' if self.hint else ''}"


def problems(tls: Tls, now: datetime | None = None) -> list[Problem]:
    """Why the files cannot serve; empty where they can."""
    return list(_problems(tls, now or datetime.now(UTC)))


def warnings(tls: Tls) -> list[Problem]:
    """What is not right with the files, though they can serve."""
    found: list[Problem] = []
    if tls.key is not None:
        with suppress(OSError):  # a key that is not there is a problem, and told as one
            if tls.key.stat().st_mode & stat.S_IROTH:
                message = f"every user of this machine can read the key {tls.key}"
                found.append(Problem("key", message, f"chmod 600 {tls.key}"))
    return found


def authorities(tls: Tls) -> frozenset[bytes]:
    """What tells the authorities of `client_ca` apart; none where the file cannot serve."""
    found = _chain("client_ca", tls.client_ca) if tls.client_ca is not None else []
    return frozenset(() if isinstance(found, Problem) else (each.fingerprint(SHA256()) for each in found))


def _problems(tls: Tls, now: datetime) -> Iterator[Problem]:
    if tls.certificate is not None and tls.key is not None:
        chain = _chain("certificate", tls.certificate)
        if isinstance(chain, Problem):
            yield chain
        else:
            yield from _of_time("certificate", tls.certificate, chain[0], now)
        key = _key(tls.key)
        if isinstance(key, Problem):
            yield key
        elif not isinstance(chain, Problem):
            yield from _of_pair(tls.certificate, tls.key, chain, key)
    if tls.client_ca is not None:
        authorities = _chain("client_ca", tls.client_ca)
        if isinstance(authorities, Problem):
            yield authorities
        elif all(each.not_valid_after_utc <= now for each in authorities):
            yield from _of_time("client_ca", tls.client_ca, authorities[0], now)


def _chain(setting: str, path: Path) -> list[x509.Certificate] | Problem:
    content = _content(setting, path)
    if isinstance(content, Problem):
        return content
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        return Problem(setting, f"{path} holds no certificate in PEM: {error}", "-----BEGIN CERTIFICATE-----")
    # One without its end is passed over here. Envoy refuses the whole file, and goes on with that before.
    if len(_BEGIN.findall(content)) > len(found):
        return Problem(setting, f"a certificate in {path} breaks off", "is the file written to its end?")
    return found


def _key(path: Path) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Problem:
    content = _content("key", path)
    if isinstance(content, Problem):
        return content
    unfit = Problem("key", f"Envoy cannot serve with a key such as {path}", _KINDS)
    try:
        key = load_pem_private_key(content, password=None)
    except UnsupportedAlgorithm:
        return unfit
    except TypeError:
        hint = f"write it without one: openssl pkey -in {path}"
        return Problem("key", f"the key {path} has a passphrase, which nobody is there to give", hint)
    except ValueError:
        return Problem("key", f"{path} holds no private key in PEM", "-----BEGIN PRIVATE KEY-----")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SHORTEST_RSA:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES):
        return key
    return unfit


def _content(setting: str, path: Path) -> bytes | Problem:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return Problem(setting, f"there is no file {path}", "name the file, as this machine has it")
    except OSError as error:
        return Problem(setting, f"{path} cannot be read: {error.strerror}", "let the sidecar's user read it")


def _of_time(setting: str, path: Path, certificate: x509.Certificate, now: datetime) -> Iterator[Problem]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end <= now:
        yield Problem(setting, f"the certificate {path} expired on {end:%Y-%m-%d %H:%M} UTC", "renew it")
    elif start > now:
        message = f"the certificate {path} is valid only from {start:%Y-%m-%d %H:%M} UTC"
        yield Problem(setting, message, "is the clock of this machine right?")


def _of_pair(
    certificate: Path,
    path: Path,
    chain: list[x509.Certificate],
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> Iterator[Problem]:
    public = key.public_key()
    if _public_key(chain[0]) == public:
        return
    if any(_public_key(each) == public for each in chain[1:]):
        hint = "the certificate of the key comes first in the chain, then who issued it"
        yield Problem("certificate", f"the chain in {certificate} is in the wrong order", hint)
        return
    hint = f"name the key that belongs to {certificate}"
    yield Problem("key", f"the key {path} does not belong to the certificate {certificate}", hint)


def _public_key(certificate: x509.Certificate) -> object:
    """The key that a certificate is for; None for one of a kind that nobody here knows."""
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None
