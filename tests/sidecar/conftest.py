"""A real sidecar before a real function, with the real xDS server and decision services behind it."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.rbac.v3 import rbac_pb2 as actions_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt_authn_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from google.protobuf import json_format
from shared_helpers import NO_TLS, Lines, free_port

from palisade.control.listener import Listener
from palisade.decide.access import AccessLog
from palisade.decide.http1 import Checks
from palisade.decide.log import DecisionLog
from palisade.decide.question import Evaluation
from palisade.decide.service import Authorization, Evaluator
from palisade.pki import Authority, IdentitySource
from palisade.policy import inventory
from palisade.testing.certificates import TestAuthority
from palisade.xds import Snapshot, SnapshotCache, SpiffeAuthorizer, XdsServer
from palisade_sidecar.settings import Address, Settings
from palisade_sidecar.sidecar import Sidecar

sys.path.insert(0, str(Path(__file__).parent))  # tls_helpers is shared by the tests here

from tls_helpers import Known

# Protobuf packs into Any only what is loaded.
_LOADED = (actions_pb2, ext_authz_pb2, jwt_authn_pb2, rbac_pb2, set_filter_state_pb2, http_inputs_pb2)

_TYPE = "type.googleapis.com/"
_FILTERS = f"{_TYPE}envoy.extensions.filters.http."

Rules = Mapping[str, str]
"""What happens to each path: "allow", "residual" or "error"; what is not named is denied."""


def revision(name: str, rules: Rules) -> Snapshot:
    """What a compiler would send: all slots that are closed without, deciding by the path."""
    return Snapshot.of(name, (_slot(slot, config) for slot, config in slots(name, rules).items()))


def _slot(name: str, config: Mapping[str, Any]) -> TypedExtensionConfig:
    return json_format.ParseDict({"name": name, "typed_config": config}, TypedExtensionConfig())


def slots(name: str, rules: Rules) -> dict[str, dict[str, Any]]:
    """The configuration of each slot."""
    actions = {
        path: _action(
            f"policy.rego:1 {path}" if rule == "allow" else rule, "DENY" if rule == "error" else "ALLOW"
        )
        for path, rule in rules.items()
    }
    revision_state = {
        "object_key": "palisade.revision",
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": name}},
    }
    residual = {
        "filter": "envoy.filters.http.rbac",
        "path": [{"key": "enforced_effective_policy_id"}],
        "value": {"string_match": {"exact": "residual"}},
    }
    return {
        "palisade.identity": {"@type": f"{_FILTERS}jwt_authn.v3.JwtAuthentication"},
        "palisade.attributes": {
            "@type": f"{_FILTERS}set_filter_state.v3.Config",
            "on_request_headers": [revision_state],
        },
        "palisade.native": {
            "@type": f"{_FILTERS}rbac.v3.RBAC",
            "matcher": _tree(actions, _action("policy.rego:1 default", "DENY")),
        },
        "palisade.residual": {
            "@type": f"{_FILTERS}ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "palisade_residual"}, "timeout": "1s"},
            "with_request_body": {
                "max_request_bytes": 4096,
                "allow_partial_message": True,
                "pack_as_bytes": True,
            },
            "filter_enabled_metadata": residual,
        },
    }


def _action(name: str, action: str) -> dict[str, Any]:
    config = {"@type": f"{_TYPE}envoy.config.rbac.v3.Action", "name": name, "action": action}
    return {"action": {"name": name, "typed_config": config}}


def _tree(paths: Mapping[str, Any], otherwise: Mapping[str, Any]) -> dict[str, Any]:
    if not paths:
        return {"on_no_match": otherwise}
    path = {
        "name": "path",
        "typed_config": {
            "@type": f"{_TYPE}envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": ":path",
        },
    }
    return {
        "matcher_tree": {"input": path, "exact_match_map": {"map": dict(paths)}},
        "on_no_match": otherwise,
    }


class Function:
    """An HTTP/1.1 server that tells each request back as JSON; `/slow` takes half a second."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[dict[str, Any]] = []
        self.slow_begun = False
        """Whether it was asked for `/slow`, which it has not answered perhaps."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await self._answer(reader, writer)
        except (EOFError, OSError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = [
            (name, value.strip()) for name, _, value in (line.partition(":") for line in lines) if name
        ]
        length = next((int(value) for name, value in headers if name == "content-length"), 0)
        content = await reader.readexactly(length)
        if path == "/slow":
            self.slow_begun = True
            await asyncio.sleep(0.5)
        request = {"method": method, "path": path, "headers": headers, "body": content.decode("latin-1")}
        self.requests.append(request)
        body = json.dumps(request).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nserver: function\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()


class Rig:
    """One function with its sidecar and engine; each part can come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.function = Function()
        self.authority = Authority.open(folder / "authority")
        self.authority.issue_function("hello").save(folder / "credentials")
        self.engine_port = free_port()
        self.sink = Lines()
        self.snapshot: Snapshot | None = None
        self.cache = SnapshotCache()
        self.evaluator: Evaluator = lambda function, document: Evaluation(
            True, path="palisade/identity/allow"
        )
        self._engine: Listener | None = None
        self._log: DecisionLog | None = None

    @asynccontextmanager
    async def sidecar(self, **changes: Any) -> AsyncIterator[tuple[Sidecar, httpx.AsyncClient]]:
        """The function and its sidecar, live, and a client; in the end the engine goes too."""
        # The head of a request may be read with all of a large body behind it already.
        upstream = await asyncio.start_server(self.function.serve, "127.0.0.1", 0, limit=1 << 20)
        port = upstream.sockets[0].getsockname()[1]
        settings = Settings(
            **{
                "function": "hello",
                "engine": Address("127.0.0.1", self.engine_port),
                "upstream": Address("127.0.0.1", port),
                "listen": Address("127.0.0.1", 0),
                "credentials": self.folder / "credentials",
                "run_dir": self.folder / "run",
                **changes,
            }
        )
        sidecar = Sidecar(settings, concurrency=2)
        try:
            listen = await sidecar.start()
            async with httpx.AsyncClient(base_url=f"http://{listen}", verify=NO_TLS, timeout=30) as client:
                yield sidecar, client
        finally:
            await sidecar.stop()
            upstream.close()
            await self.kill_engine()

    async def engine(self, snapshot: Snapshot | None = None) -> None:
        """Start the engine, as after a crash: it knows nothing of its sidecars but the revision."""
        self.cache = SnapshotCache()
        if snapshot is not None:
            await self.cache.set_snapshot("hello", snapshot)
        self._log = await DecisionLog(self.sink).__aenter__()
        server = grpc.aio.server()
        XdsServer(self.cache, authorizer=SpiffeAuthorizer()).register(server)
        checks = Checks(Authorization(lambda *question: self.evaluator(*question), self._log))
        self.access = AccessLog(self._log)
        self.access.add_to(server)
        identity = IdentitySource(lambda: self.authority.issue_engine(dns_names=["engine.palisade.local"]))
        address = inventory.Address("127.0.0.1", self.engine_port)
        self._engine = await Listener(address, identity, server, checks, self.folder, patience=0).__aenter__()

    async def kill_engine(self) -> None:
        """End the engine without a farewell to anyone."""
        engine, self._engine = self._engine, None
        if engine is not None and self._log is not None:
            await engine.__aexit__()
            await self._log.__aexit__()

    async def push(self, snapshot: Snapshot) -> None:
        """Give the sidecar another revision."""
        await self.cache.set_snapshot("hello", snapshot)


@pytest.fixture
def rig() -> Iterator[Rig]:
    # Not pytest's folder: its path may be too long for a unix socket.
    folder = Path(tempfile.mkdtemp(prefix="palisade-"))
    try:
        yield Rig(folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def make_revision() -> Callable[[str, Rules], Snapshot]:
    return revision


@pytest.fixture
def make_slots() -> Callable[[str, Rules], dict[str, dict[str, Any]]]:
    return slots


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits until a condition, or a coroutine's result, holds; half a minute at most: machines are busy."""

    async def wait(condition: Callable[[], Any], seconds: float = 30.0) -> None:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = condition()
                    if await found if asyncio.iscoroutine(found) else found:
                        return
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(f"did not hold within {seconds} s")

    return wait


@pytest.fixture
def known(tmp_path: Path) -> Known:
    authority = TestAuthority()
    pair = authority.issue(dns=["orders.example"])
    return Known(authority, tmp_path, *pair.save(tmp_path))
