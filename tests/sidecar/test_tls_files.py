"""Files for TLS: each reason why they cannot serve is told, with what to do."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from shared_helpers import eventually

from palisade.testing.certificates import Pair, TestAuthority
from palisade_sidecar.settings import Tls
from palisade_sidecar.tls_files import Problem, problems, warnings
from palisade_sidecar.tls_rotation import Rotation

AUTHORITY = TestAuthority()
PAIR = AUTHORITY.issue(dns=["orders.example"])
OTHER = AUTHORITY.issue(dns=["orders.example"])


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def locked() -> bytes:
    key = load_pem_private_key(PAIR.key, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def unknown(text: bytes) -> bytes:
    """A certificate or a key in PEM, as if it were on a curve that no library knows but by name."""
    begin, *lines, end = text.decode().splitlines()
    p256, prime239v1 = (bytes.fromhex(f"06082a8648ce3d0301{last}") for last in ("07", "04"))
    content = base64.b64decode("".join(lines))
    assert p256 in content
    return f"{begin}\n{base64.b64encode(content.replace(p256, prime239v1)).decode()}\n{end}\n".encode()


def given_files(folder: Path, certificate: bytes = PAIR.certificate, key: bytes = PAIR.key) -> Tls:
    (folder / "ca.pem").write_bytes(AUTHORITY.pem)
    return Tls(*Pair(certificate, key).save(folder), folder / "ca.pem")


def test_what_fits_has_no_problem(tmp_path: Path) -> None:
    assert problems(given_files(tmp_path)) == []
    assert warnings(given_files(tmp_path)) == []
    assert problems(given_files(tmp_path, PAIR.certificate + AUTHORITY.pem)) == []
    assert problems(Tls()) == []


@pytest.mark.parametrize(
    ("certificate", "key", "setting", "message", "hint"),
    [
        (b"", PAIR.key, "certificate", "holds no certificate in PEM", "BEGIN CERTIFICATE"),
        (PAIR.key, PAIR.key, "certificate", "holds no certificate in PEM", "BEGIN CERTIFICATE"),
        (PAIR.certificate, b"", "key", "holds no private key in PEM", "BEGIN PRIVATE KEY"),
        (PAIR.certificate, OTHER.key, "key", "does not belong to", "name the key that belongs"),
        (AUTHORITY.pem + PAIR.certificate, PAIR.key, "certificate", "is in the wrong order", "comes first"),
        (PAIR.certificate, locked(), "key", "has a passphrase", "openssl pkey -in"),
        (PAIR.certificate, pem(rsa.generate_private_key(65537, 1024)), "key", "Envoy cannot serve", "2048"),
        (PAIR.certificate, pem(ec.generate_private_key(ec.SECP256K1())), "key", "Envoy cannot", "P-256"),
        (PAIR.certificate, unknown(PAIR.key), "key", "Envoy cannot serve", "P-256"),
        (unknown(PAIR.certificate), PAIR.key, "key", "does not belong to", "name the key that belongs"),
        (PAIR.certificate, pem(ed25519.Ed25519PrivateKey.generate()), "key", "Envoy cannot serve", "ECDSA"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    tmp_path: Path, certificate: bytes, key: bytes, setting: str, message: str, hint: str
) -> None:
    (found,) = problems(given_files(tmp_path, certificate, key))
    assert found.setting == setting
    assert message in found.message
    assert hint in found.hint
    assert str(found).startswith(f"tls.{setting}: ")


def expired(tls: Tls) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    pair = AUTHORITY.issue(dns=["a"], start=yesterday - timedelta(days=1), end=yesterday)
    assert tls.certificate is not None
    pair.save(tls.certificate.parent)


def early(tls: Tls) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    pair = AUTHORITY.issue(dns=["a"], start=tomorrow, end=tomorrow + timedelta(days=1))
    assert tls.certificate is not None
    pair.save(tls.certificate.parent)


def without_key(tls: Tls) -> None:
    assert tls.key is not None
    tls.key.unlink()


def folder_for_key(tls: Tls) -> None:
    assert tls.key is not None
    tls.key.unlink()
    tls.key.mkdir()


def empty_ca(tls: Tls) -> None:
    assert tls.client_ca is not None
    tls.client_ca.write_bytes(b"\n")


def cut_off_ca(tls: Tls) -> None:
    assert tls.client_ca is not None
    tls.client_ca.write_bytes(AUTHORITY.pem + TestAuthority().pem[:200])


def expired_ca(tls: Tls) -> None:
    assert tls.client_ca is not None
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old = AUTHORITY.issue(start=yesterday - timedelta(days=1), end=yesterday, subject={"CN": "old"})
    tls.client_ca.write_bytes(old.certificate)


@pytest.mark.parametrize(
    ("spoil", "setting", "message"),
    [
        (expired, "certificate", "expired on"),
        (early, "certificate", "is valid only from"),
        (without_key, "key", "there is no file"),
        (folder_for_key, "key", "cannot be read"),
        (empty_ca, "client_ca", "holds no certificate"),
        (cut_off_ca, "client_ca", "breaks off"),
        (expired_ca, "client_ca", "expired on"),
    ],
)
def test_what_cannot_serve_is_told(
    tmp_path: Path, spoil: Callable[[Tls], None], setting: str, message: str
) -> None:
    tls = given_files(tmp_path)
    spoil(tls)
    (found,) = problems(tls)
    assert (found.setting, message in found.message) == (setting, True)


def test_a_key_that_everyone_can_read_is_a_warning_not_a_problem(tmp_path: Path) -> None:
    tls = given_files(tmp_path)
    assert tls.key is not None
    tls.key.chmod(0o644)
    assert problems(tls) == []
    assert warnings(tls) == [
        Problem("key", f"every user of this machine can read the key {tls.key}", f"chmod 600 {tls.key}")
    ]


def test_new_files_that_cannot_be_passed_on_are_tried_until_they_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a disk that is full for a while. They were given up in silence."""
    tls, notices = given_files(tmp_path), tmp_path / "tls"

    async def scenario() -> None:
        following = asyncio.create_task(Rotation(tls, tmp_path, logging.getLogger("palisade_sidecar")).run())
        given_files(tmp_path, OTHER.certificate, OTHER.key)
        await eventually(lambda: "cannot be taken" in caplog.text)
        notices.mkdir()
        await eventually(lambda: (notices / "changed").exists())
        following.cancel()

    asyncio.run(scenario())
    assert caplog.text.count("cannot be taken") == 1


def test_a_certificate_that_is_not_valid_yet_is_taken_when_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whose issuer's clock is ahead: it was given up, and the one before served until it had expired."""
    tls, notices = given_files(tmp_path), tmp_path / "tls"
    notices.mkdir()

    async def scenario() -> None:
        following = asyncio.create_task(Rotation(tls, tmp_path, logging.getLogger("palisade_sidecar")).run())
        start = datetime.now(UTC) + timedelta(seconds=4)
        new = AUTHORITY.issue(dns=["a"], start=start, end=start + timedelta(days=1))
        given_files(tmp_path, new.certificate, new.key)
        await eventually(lambda: "is valid only from" in caplog.text)
        assert not (notices / "changed").exists()
        await eventually(lambda: (notices / "changed").exists())
        following.cancel()

    asyncio.run(scenario())
    assert caplog.text.count("is valid only from") == 1
