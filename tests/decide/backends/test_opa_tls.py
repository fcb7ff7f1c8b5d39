"""OPA over TLS: who it must prove to be, and how the engine proves itself."""

from __future__ import annotations

import datetime
import inspect
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from backend_helpers import Set, decide, fails_with
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from opa_process import Opa
from shared_helpers import run

from palisade.decide.backends import backend_of
from palisade.decide.backends.interface import BackendSetupError
from palisade.decide.backends.opa import OpaBackend
from palisade.policy.inventory import EngineSettings, Inventory, OpaSettings

REVISION = Set("allow if input.n == 1").revision()


class Ca:
    """A certificate authority of a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.cert = folder / f"{name}.pem"
        usage = dict.fromkeys(inspect.signature(x509.KeyUsage).parameters, False)
        authority = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.KeyUsage(**usage | {"key_cert_sign": True}), True)
        )
        self.cert.write_bytes(_pem(authority.sign(self._key, hashes.SHA256())))

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        cert = self._builder(subject, key).add_extension(names, False).sign(self._key, hashes.SHA256())
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        files[0].write_bytes(_pem(cert))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        # Python 3.13 takes only certificates that say whose key signed them, as RFC 5280 asks.
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(signed_by, False)
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )


def _pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)


def test_opa_must_prove_who_it_is(start_opa: Callable[..., Opa], tmp_path: Path) -> None:
    right, wrong = Ca(tmp_path, "right"), Ca(tmp_path, "wrong")
    cert, key = right.issue("opa")
    opa = start_opa(cert=cert, key=key)

    async def session() -> None:
        async with OpaBackend(OpaSettings(opa.url, ca=right.cert, timeout=5.0), tmp_path) as backend:
            await backend.publish(REVISION)
            assert await decide(backend, REVISION, {"n": 1}) is True
        for settings in (
            OpaSettings(opa.url, ca=wrong.cert, timeout=5.0),
            OpaSettings(opa.url, timeout=5.0),
            OpaSettings(opa.url.replace("127.0.0.1", "localhost"), ca=right.cert, timeout=5.0),
            OpaSettings(opa.url.replace("https", "http"), timeout=5.0),
        ):
            async with OpaBackend(settings, tmp_path) as backend:
                await backend.publish(REVISION)
                await fails_with(backend, REVISION, "backend_unavailable")

    run(session())


def test_the_engine_proves_who_it_is(start_opa: Callable[..., Opa], tmp_path: Path) -> None:
    ca = Ca(tmp_path, "ca")
    cert, key = ca.issue("opa")
    own_cert, own_key = ca.issue("engine")
    opa = start_opa(cert=cert, key=key, client_ca=ca.cert)

    async def session() -> None:
        async with OpaBackend(
            OpaSettings(opa.url, ca=ca.cert, cert=own_cert, key=own_key, timeout=5.0), tmp_path
        ) as backend:
            await backend.publish(REVISION)
            assert await decide(backend, REVISION, {"n": 1}) is True
        async with OpaBackend(OpaSettings(opa.url, ca=ca.cert, timeout=5.0), tmp_path) as backend:
            await fails_with(backend, REVISION, "backend_unavailable")

    run(session())


@pytest.mark.parametrize("broken", ["ca", "cert", "token"])
def test_files_that_are_of_no_use_are_no_start(broken: str, tmp_path: Path) -> None:
    ca = Ca(tmp_path, "ca")
    cert, key = ca.issue("engine")
    files = {"ca": ca.cert, "cert": cert, "key": key}
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("s3cr3t nonsense")
    settings = OpaSettings("https://127.0.0.1:1", **{**files, broken: nonsense})
    inventory = Inventory(Path("f"), Path("p"), {}, engine=EngineSettings(state=tmp_path), backend=settings)

    async def session() -> None:
        with pytest.raises(BackendSetupError) as raised:
            backend_of(inventory)
        assert str(raised.value).startswith("backend.opa")
        assert "s3cr3t" not in str(raised.value)

    run(session())
