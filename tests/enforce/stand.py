"""A real sidecar before a real function, with the engine's own services: policies come and go while it runs.

Unlike a gauge it decides as in production: compiled snapshots over xDS, residual requests answered by the
engine, every decision in a log.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import grpc.aio
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RULES
from envoy.config.rbac.v3.rbac_pb2 import Action
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from shared_helpers import Lines, until_under_way

from palisade import rego
from palisade.control.listener import Listener
from palisade.decide.access import AccessLog
from palisade.decide.http1 import Checks
from palisade.decide.log import DecisionLog
from palisade.decide.question import Evaluation
from palisade.decide.service import Authorization
from palisade.enforce.envoy import Enforcement, compile_sidecar
from palisade.enforce.envoy.compile import ASK, BODY, NATIVE
from palisade.enforce.envoy.matchers.predicate import typed
from palisade.pki import Authority, IdentitySource
from palisade.policy import inventory
from palisade.policy.inventory import Inventory
from palisade.policy.revisions import Revision, build
from palisade.policy.sets import PolicySet
from palisade.testing.certificates import Pair, TestAuthority, client_context
from palisade.xds import Snapshot, SnapshotCache, SpiffeAuthorizer, XdsServer
from palisade.xds.resources import EXTENSION
from palisade_sidecar.settings import Address, Settings, Tls
from palisade_sidecar.sidecar import Sidecar

T = TypeVar("T")
_Begun: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]

FUNCTION = "orders"
_SECONDS = 20.0


@dataclass(frozen=True)
class Sent:
    """A request, as it goes over the wire. `headers` of one name may stand there more than once."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def wire(self) -> bytes:
        named = {name.lower() for name, _ in self.headers}
        headers = list(self.headers)
        if "host" not in named:
            headers.insert(0, ("host", "orders.example"))
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            headers.append(("content-length", str(len(self.body))))
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            *(f"{n}: {v}" for n, v in headers),
            "connection: close",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@dataclass(frozen=True)
class Outcome:
    """What became of a request: the answer's bytes but for its date, and what the function got, if it did."""

    answer: bytes
    reached: bytes | None

    @property
    def status(self) -> int:
        return int(self.answer.split(b" ", 2)[1])


class Stand:
    """Use as a context manager. `reply` is the head that the function answers with.

    With `callers` the sidecar speaks TLS, and takes certificates of that authority. It trusts X-Forwarded-For
    for so many `hops`.
    """

    def __init__(self, callers: TestAuthority | None = None, hops: int = 0) -> None:
        self._callers = callers
        self._hops = hops
        self.reply = b"HTTP/1.1 200 OK\r\nserver: function\r\ncontent-length: 2\r\n\r\nok"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._folder = Path(tempfile.mkdtemp(prefix="palisade-"))
        self._cache = SnapshotCache()
        self._sink = Lines()
        self._told: set[str] = set()
        self._reached: list[bytes] = []
        self._revision: Revision | None = None
        self._ends: list[Any] = []

    def __enter__(self) -> Stand:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        shutil.rmtree(self._folder)

    def enforce(
        self,
        policy_set: PolicySet,
        decision: str,
        *,
        rego_version: int = 1,
        keys: Mapping[str, str] | None = None,
        ask: bool = False,
        instead: Sequence[TypedExtensionConfig] = (),
    ) -> Enforcement:
        """Puts a policy set in force. With `ask` nothing is native: the engine decides on every request. What
        stands `instead` takes the place of the slots of its names."""
        functions = {FUNCTION: _function()}
        settings = Inventory(self._folder / "palisade.yaml", self._folder, functions, decision, rego_version)
        revision = build(settings, policy_set)
        enforcement = compile_sidecar(revision, functions[FUNCTION], keys or {})
        snapshot = _asking(enforcement.snapshot) if ask else enforcement.snapshot
        if instead:
            slots = {**snapshot.resources[EXTENSION], **{each.name: each for each in instead}}
            said = b"".join(each.SerializeToString(deterministic=True) for each in instead)
            snapshot = Snapshot.of(f"{snapshot.version}-{hash(said)}", slots.values())
        self._revision = revision
        self._access.path = decision
        self._run(self._push(snapshot))
        return enforcement

    def swap(
        self,
        policy_set: PolicySet,
        decision: str,
        slot: str = ASK,
        *,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        """Puts only one slot of another policy set in force, that of the answers or another, as for a moment
        while a revision changes."""
        functions = {FUNCTION: _function()}
        settings = Inventory(self._folder / "palisade.yaml", self._folder, functions, decision)
        other = compile_sidecar(build(settings, policy_set), functions[FUNCTION], keys or {}).snapshot
        current = self._cache.snapshot(FUNCTION)
        assert current is not None
        slots = {**current.resources[EXTENSION], slot: other.resources[EXTENSION][slot]}
        self._run(self._push(Snapshot.of(f"{current.version}-{other.version}", slots.values())))

    def send(self, request: Sent, caller: Pair | None = None) -> Outcome:
        """One request through the sidecar, on a connection of its own, by whom the certificate names."""
        return self._run(self._send(request, caller))

    def send_around(self, requests: Sequence[Sent], change: Callable[[], None]) -> list[int]:
        """The status of each request, of which the last byte comes only after the change."""
        begun = self._run(self._begin(requests))
        change()
        return self._run(self._end(begun))

    def both_ways(
        self, policy_set: PolicySet, decision: str, requests: Sequence[Sent]
    ) -> tuple[list[int], list[int], set[str]]:
        """The statuses where the engine is asked about each request, those of what Envoy is given, and the
        paths that it asked the engine about even then."""
        self.enforce(policy_set, decision, ask=True)
        wanted = [self.send(request).status for request in requests]
        self.log(len(requests))
        self.enforce(policy_set, decision)
        seen = [self.send(request).status for request in requests]
        residual = {
            event["input"]["attributes"]["request"]["http"]["path"]
            for event in self.log(len(requests))
            if event["palisade"]["decider"] != "native"
        }
        return wanted, seen, residual

    def log(self, count: int) -> list[dict[str, Any]]:
        """The decision log since it was last asked for, once it has so many entries."""
        return self._run(self._log(count))

    @property
    def port(self) -> int:
        """Where the sidecar listens."""
        return self._listen.port

    def policy(self) -> rego.Policy:
        assert self._revision is not None
        return self._revision.policy

    # Inside the loop ------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> None:
        authority = Authority.open(self._folder / "authority")
        own = authority.issue_function(FUNCTION)
        own.save(self._folder / "credentials")
        self._bundle = own.bundle
        log = await DecisionLog(self._sink).__aenter__()
        server = grpc.aio.server()
        XdsServer(self._cache, authorizer=SpiffeAuthorizer()).register(server)
        self._access = AccessLog(log)
        self._access.add_to(server)
        identity = IdentitySource(lambda: authority.issue_engine(dns_names=["engine.palisade.local"]))
        checks = Checks(Authorization(self._evaluate, log))
        engine = Listener(
            inventory.Address("127.0.0.1", 0), identity, server, checks, self._folder, patience=0
        )
        await engine.__aenter__()
        upstream = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        place = upstream.sockets[0].getsockname()[1]
        tls = None
        if self._callers is not None:
            ca = self._folder / "callers.pem"
            ca.write_bytes(self._callers.pem)
            tls = Tls(client_ca=ca)
        settings = Settings(
            function=FUNCTION,
            engine=Address("127.0.0.1", engine.address.port),
            upstream=Address("127.0.0.1", place),
            listen=Address("127.0.0.1", 0),
            credentials=self._folder / "credentials",
            run_dir=self._folder / "run",
            trusted_hops=self._hops,
            tls=tls,
        )
        sidecar = Sidecar(settings, concurrency=1)
        self._listen = await sidecar.start()
        self._ends = [sidecar.stop, engine.__aexit__, log.__aexit__]
        self._upstream = upstream

    async def _stop(self) -> None:
        for end in self._ends:
            await end()
        self._upstream.close()

    async def _push(self, snapshot: Snapshot) -> None:
        await self._cache.set_snapshot(FUNCTION, snapshot)

        def taken() -> bool:
            status = self._cache.status()[FUNCTION]
            assert status.rejection is None, status.rejection
            return status.running == snapshot.version

        await _until(taken)
        await asyncio.sleep(0.03)  # what the main thread accepted reaches the worker

    async def _log(self, count: int) -> list[dict[str, Any]]:
        # A batch of which the sidecar did not hear in time is handed on a second time, by the same ids.
        new: dict[str, dict[str, Any]] = {}

        def enough() -> bool:
            new.update((each["decision_id"], each) for each in self._sink.entries)
            for known in self._told:
                new.pop(known, None)
            return len(new) >= count

        await _until(enough)
        self._told.update(new)
        self._sink.entries = []
        assert len(new) == count, new
        return list(new.values())

    async def _send(self, request: Sent, caller: Pair | None) -> Outcome:
        self._reached.clear()
        context = None
        if self._callers is not None:
            context = client_context(self._bundle, self._folder, caller)
        reader, writer = await asyncio.open_connection(self._listen.host, self._listen.port, ssl=context)
        async with asyncio.timeout(_SECONDS):
            writer.write(request.wire)
            answer = await _read(reader, bodiless=request.method == "HEAD")
        writer.close()
        reached = self._reached[0] if self._reached else None
        return Outcome(_undated(answer), reached)

    async def _begin(self, requests: Sequence[Sent]) -> list[_Begun]:
        begun: list[_Begun] = []
        await until_under_way(self._folder / "run", 0)
        for each in requests:
            reader, writer = await asyncio.open_connection(self._listen.host, self._listen.port)
            writer.write(each.wire[:-1])
            begun.append((reader, writer, each.wire[-1:]))
        await until_under_way(self._folder / "run", len(begun))
        return begun

    async def _end(self, begun: Sequence[_Begun]) -> list[int]:
        statuses: list[int] = []
        async with asyncio.timeout(_SECONDS):
            for reader, writer, rest in begun:
                writer.write(rest)
                statuses.append(int((await _read(reader, bodiless=False)).split(b" ", 2)[1]))
                writer.close()
        return statuses

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                length = next((int(x.split(":")[1]) for x in lines if x.startswith("content-length:")), 0)
                await reader.readexactly(length)
                kept = (x for x in lines if not x.startswith(("x-request-id:", "x-forwarded-")))
                self._reached.append("\r\n".join(kept).encode("latin-1"))
                only_head = self.reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                writer.write(only_head if head.startswith(b"HEAD ") else self.reply)
                await writer.drain()
        except (EOFError, OSError):
            pass
        finally:
            writer.close()

    def _evaluate(self, function: str, document: Any) -> Evaluation:
        assert self._revision is not None
        decision = self._revision.inventory.decision
        value = self._revision.policy.evaluate(f"data.{decision.replace('/', '.')}", document)
        return Evaluation(value, path=decision, rule="", revision=self._revision.id)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SECONDS):
        for _ in itertools.count():
            if holds():
                return
            await asyncio.sleep(0.005)


async def _read(reader: asyncio.StreamReader, *, bodiless: bool) -> bytes:
    """One answer. Not to the end of the connection: Envoy keeps that for a second after its own replies."""
    head = b"HTTP/1.1 100"
    while head.startswith(b"HTTP/1.1 100"):
        head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
    return head + (b"" if bodiless or found is None else await reader.readexactly(int(found[1])))


def _undated(answer: bytes) -> bytes:
    return re.sub(rb"\r\ndate: [^\r]*", b"", answer)


def in_memory(modules: Mapping[str, str], data: Any = None, *, rego_version: int = 1) -> PolicySet:
    """A policy set without files."""
    digest = str(hash((tuple(sorted(modules.items())), json.dumps(data), rego_version)))
    return PolicySet(Path(), modules, {}, rego.from_python(data or {}), digest, rego_version)


def _function() -> inventory.Function:
    nowhere = inventory.Address("127.0.0.1", 1)
    return inventory.Function(FUNCTION, nowhere, nowhere)


def _asking(snapshot: Snapshot) -> Snapshot:
    """The snapshot with a native filter that decides nothing."""
    everything = RBAC()
    action = Action(name="residual", action=RULES.Action.ALLOW)
    everything.matcher.on_no_match.action.CopyFrom(typed("palisade.action", action))
    changed = []
    for resource in snapshot.resources[EXTENSION].values():
        slot = TypedExtensionConfig()
        slot.CopyFrom(resource)
        if slot.name == NATIVE:
            slot.typed_config.Pack(everything)
        elif slot.name == BODY:
            slot.typed_config.Pack(RBAC())
        changed.append(slot)
    return Snapshot.of(f"{snapshot.version}-ask", changed)
