"""A function of the inventory as its sidecar is told of it; `palisade sidecar` imports this and no engine."""

from __future__ import annotations

from pathlib import Path

from palisade.policy.inventory import Address, Function, Tls
from palisade_sidecar import settings
from palisade_sidecar.settings import Settings


def settings_of(function: Function, *, engine: Address, credentials: Path, run_dir: Path) -> Settings:
    """What the sidecar of a function is told. Raises SettingsError."""
    return Settings(
        function=function.name,
        engine=_address(engine),
        upstream=_address(function.upstream),
        listen=_address(function.listen),
        credentials=credentials,
        run_dir=run_dir,
        trusted_hops=function.trusted_hops,
        escaped_slashes=function.escaped_slashes,
        upstream_protocol=function.protocol,
        unready_status=function.failure.no_revision,
        tls=settings_of_tls(function.tls),
    )


def settings_of_tls(tls: Tls | None) -> settings.Tls | None:
    """What a sidecar is told of TLS."""
    if tls is None:
        return None
    return settings.Tls(tls.certificate, tls.key, tls.client_ca, tls.client_certificate)


def credentials_folder(state: Path, function: str) -> Path:
    """Where the engine keeps the certificate of a function's sidecar."""
    return state / "credentials" / function


def _address(address: Address) -> settings.Address:
    return settings.Address(address.host, address.port)
