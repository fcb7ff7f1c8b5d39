"""The inventory: which functions exist and how they are guarded. See `inventory_file`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from palisade.policy.places import Places
from palisade.policy.source import Source, SourceError, did_you_mean
from palisade.rego import Network, path_of
from palisade.rego.errors import Diagnostic

EscapedSlashes = Literal["reject", "keep", "unescape"]
Protocol = Literal["auto", "http1", "http2"]
ClientCertificate = Literal["none", "optional", "required"]
Explain = Literal["none", "denied", "all"]

DEFAULT_DECISION = "palisade/identity/allow"
OPA_TIMEOUT = 0.5


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A TCP address. `host` is an IP address or a DNS name, without the brackets of an IPv6 URL."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Failure:
    """HTTP statuses a sidecar answers with where no decision can be had."""

    no_engine: int = 403
    """A residual request while no engine answers."""
    no_revision: int = 503
    """Any request before the sidecar has its first revision."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS for whoever calls a function. Paths are absolute and those of the machine of its sidecar; PEM."""

    certificate: Path | None = None
    """The chain that the sidecar shows; None is that of its SPIFFE ID, which the engine issues."""
    key: Path | None = None
    """The key of `certificate`: both are given or none."""
    client_ca: Path | None = None
    """The CAs that callers' certificates must lead to; None is the engine's authority."""
    client_certificate: ClientCertificate = "optional"
    """Whether callers are asked for a certificate."""


@dataclass(frozen=True, slots=True)
class Function:
    """A workload and the sidecar before it."""

    name: str
    upstream: Address
    """Where the function itself serves."""
    listen: Address
    """Where its sidecar serves; port 0 lets the system pick a free one."""
    failure: Failure = Failure()
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    protocol: Protocol = "auto"
    """What the function speaks; `auto` is HTTP/2 for gRPC requests and HTTP/1.1 for all others."""
    escaped_slashes: EscapedSlashes = "reject"
    """What becomes of `%2F` and `%5C` in a path, which functions read in different ways."""
    trusted_hops: int = 0
    """How many proxies before the sidecar append to X-Forwarded-For; 0 trusts no such header."""
    tls: Tls | None = None
    """None where the sidecar speaks plain HTTP."""

    def __hash__(self) -> int:
        return hash((self.name, self.upstream, self.listen, self.failure, tuple(sorted(self.labels.items()))))


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where the engine serves: `listen` for sidecars (gRPC over mTLS), `admin` for people (HTTP)."""

    listen: Address = Address("127.0.0.1", 18000)
    admin: Address = Address("127.0.0.1", 18001)
    state: Path = Path(".palisade")
    """A folder for what must outlive the process: the certificate authority and the sidecars' files."""


@dataclass(frozen=True, slots=True)
class DecisionLogSettings:
    """Where decisions are logged, one JSON line each."""

    path: Path | None = None
    """A file to append to; None is standard output."""
    mask_headers: frozenset[str] = frozenset()
    """Headers, in lower case, whose values are removed beside those that always are: tokens and cookies."""
    mask_parameters: frozenset[str] = frozenset()
    """Query parameters whose values are removed, likewise."""
    explain: Explain = "none"
    """Which decisions have an explanation beside them."""


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """Who may ask, by a header, why a request was decided as it was."""

    trusted: tuple[str, ...] = ()
    """Ranges of addresses in CIDR notation. It is the connection's address that counts."""


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """How many revisions to go back to are kept beside the one in force."""

    keep: int = 20


@dataclass(frozen=True, slots=True)
class OpaSettings:
    """An OPA server that takes residual decisions by its REST API. Paths are absolute."""

    url: str
    """`http` or `https`, without a slash at the end."""
    token: Path | None = None
    """The file with the bearer token that OPA is shown; read anew whenever it changes."""
    ca: Path | None = None
    """The certificates (PEM) that OPA's must lead to; those of the system without it."""
    cert: Path | None = None
    key: Path | None = None
    """The engine's certificate and key for OPA (PEM)."""
    timeout: float = OPA_TIMEOUT
    """Seconds that a decision may take."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of one `palisade.yaml`. Paths are absolute."""

    file: Path
    policies: Path
    functions: Mapping[str, Function]
    decision: str = DEFAULT_DECISION
    """The entry point, a path below `data` with slashes."""
    rego_version: int = 1
    """The language of modules that do not `import rego.v1`: 0 or 1."""
    engine: EngineSettings = EngineSettings()
    decision_log: DecisionLogSettings = DecisionLogSettings()
    network: Network = field(default_factory=Network)
    """The hosts that `http.send` and `net.lookup_ip_addr` may reach."""
    history: HistorySettings = HistorySettings()
    explain: ExplainSettings = ExplainSettings()
    backend: OpaSettings | None = None
    """Who evaluates residual decisions; None is the engine itself."""
    places: Places | None = field(default=None, compare=False, repr=False)
    """Where the settings stand in the file; None where they are from none."""

    @property
    def decision_path(self) -> tuple[str, ...]:
        """The parts of the entry point's path below `data`."""
        return tuple(self.decision.split("/"))

    @property
    def decision_document(self) -> str:
        """The entry point as Rego spells it, such as `data.a["b-c"].allow`."""
        return _document(self.decision)

    def error(self, code: str, message: str, hint: str, *settings: str) -> Diagnostic:
        """An error at the first of these settings that the file has, or else at its beginning."""
        places = self.places or Places(Source(self.file.name, ""))
        return places.error(code, message, hint, *settings)

    def function(self, name: str) -> Function:
        """The function of that name. Raises UnknownFunctionError, which names the nearest."""
        try:
            return self.functions[name]
        except KeyError:
            raise UnknownFunctionError(name, self.functions) from None


@lru_cache(maxsize=64)
def _document(decision: str) -> str:
    return path_of(decision.split("/"))


class UnknownFunctionError(LookupError):
    """A name that no function of the inventory has."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(f"no function '{name}' in the inventory: {did_you_mean(name, known)}")


class InventoryError(SourceError):
    """Everything that is wrong with an inventory, in the order of the file."""
