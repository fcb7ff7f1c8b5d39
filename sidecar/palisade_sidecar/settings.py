"""What one sidecar is told: which function it stands before, and where everything is."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

CERTIFICATE, PRIVATE_KEY, TRUSTED_CA = "certificate.pem", "key.pem", "bundle.pem"
"""The files of a credentials folder: the chain of the sidecar, its key, and the CAs that it trusts."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")

EscapedSlashes = Literal["reject", "keep", "unescape"]
Upstream = Literal["auto", "http1", "http2"]
ClientCertificate = Literal["none", "optional", "required"]


class SettingsError(ValueError):
    """A setting that cannot work: what it was and what would be right."""


class CredentialsError(SettingsError):
    """The folder of credentials lacks a file, or it may not be read."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens. Port 0, for a listener, lets the kernel choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, what: str, zero: bool = False) -> Address:
        """The address that `HOST:PORT` or `[IPV6]:PORT` spells. Raises SettingsError, naming `what`."""
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        lowest = 0 if zero else 1
        if not colon or not host or not port.isascii() or not port.isdigit():
            raise SettingsError(f"{what} is {text!r}, but must be HOST:PORT, such as 127.0.0.1:8080")
        if ":" in host and not bracketed:
            raise SettingsError(f"{what} is {text!r}: write an IPv6 address in brackets, such as [::1]:8080")
        if not lowest <= int(port) <= 65535:
            raise SettingsError(f"{what} is {text!r}, but a port lies between {lowest} and 65535")
        return cls(host, int(port))

    @property
    def is_ip(self) -> bool:
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold before any policy is asked. Times in seconds, sizes in bytes."""

    stream_idle: float = 300
    request_headers: float = 10
    upstream_connect: float = 5
    max_connections: int = 20_000
    max_heap: int = 1 << 30
    connection_buffer: int = 1 << 20
    header_kilobytes: int = 60


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS for whoever calls the function. All files are PEM."""

    certificate: Path | None = None
    """The chain that the sidecar shows, its own certificate first; with None that of its credentials."""
    key: Path | None = None
    """The key of `certificate`: both are given or none."""
    client_ca: Path | None = None
    """The CAs that callers' certificates must lead to; with None those of the credentials."""
    client_certificate: ClientCertificate = "optional"
    """Whether callers are asked for a certificate. One that is shown must be valid in any case."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One sidecar. `run_dir` is private to it: Envoy's configuration and its admin socket stand there."""

    function: str
    engine: Address
    upstream: Address
    listen: Address
    credentials: Path
    run_dir: Path
    trusted_hops: int = 0
    """How many proxies before the sidecar append to X-Forwarded-For; 0 trusts no such header."""
    escaped_slashes: EscapedSlashes = "reject"
    upstream_protocol: Upstream = "auto"
    """`auto` speaks HTTP/2 to the function for gRPC requests and HTTP/1.1 for all others."""
    unready_status: int = 503
    """The HTTP status before the first revision."""
    tls: Tls | None = None
    """None where the listener speaks plain HTTP."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.listen.is_ip:
            raise SettingsError(
                f"the address to listen on is {self.listen}, but must be an IP address, such as 127.0.0.1:80"
            )
        if not _NAME.fullmatch(self.function):
            raise SettingsError(
                f"the function's name is {self.function!r}, but must be made of lower-case letters, digits, "
                "dashes and dots, and start and end with a letter or digit"
            )
