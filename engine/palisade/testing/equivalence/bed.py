"""A real Envoy that does what sidecars do, for one subject after the other, and the engine that it asks.

    with Bed() as bed:
        bed.load(subject)
        seen = bed.ask([Request("GET", "/orders")])

Envoy takes its listeners from a real xDS server, and asks a real ext_authz service about what is residual.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from grpc import aio

from palisade.decide.http1 import Answerer, Checks
from palisade.decide.input import InputError, to_input
from palisade.decide.log import DecisionLog
from palisade.decide.question import Asker, Evaluation
from palisade.decide.service import Authorization
from palisade.decide.sink import StreamSink
from palisade.enforce.envoy.compile import RESIDUAL_CLUSTER
from palisade.rego.values import Value
from palisade.testing.equivalence import listeners
from palisade.testing.equivalence.callers import Certificates
from palisade.testing.equivalence.requests import Request, encoded, streamed
from palisade.testing.equivalence.subject import Subject
from palisade.testing.equivalence.tokens import carried
from palisade.testing.equivalence.wire import Client, Wire
from palisade.xds import EventKind, NodeEvent, Snapshot, SnapshotCache, XdsServer, allow_all, server_options
from palisade_sidecar import launch
from palisade_sidecar.envoy import find_envoy

_T = TypeVar("_T")
_START_SECONDS = 30.0
_ALONE = ("upgrade", "expect")


class BedError(Exception):
    """Envoy does not start, or refuses what it should run: with its own words."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a request.

    `input` is what a residual request brings to the evaluator; None where none can be made of it, or where
    Envoy refused the request before any filter saw it (`refused`). `forwarded` are the headers that the
    function gets, where decisions may change them. `reached` tells whether the function got
    it, `asked` whether the engine was. `decided` is what several subjects would do, as Envoy spells it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    input: Value
    forwarded: Mapping[str, str] | None
    refused: bool
    reached: bool
    asked: bool
    decided: tuple[str, ...] = ()


class _Witness:
    """Lets every request pass, and keeps what Envoy told of it by the id that Envoy gave it."""

    def __init__(self) -> None:
        self.checks: defaultdict[str, list[CheckRequest]] = defaultdict(list)
        self._passes = CheckResponse(status={"code": 0}, ok_response={})

    def answer(
        self,
        request: CheckRequest,
        proven: str | None,
        patience: float | None,
        asker: Asker,
        *,
        bodies: bool,
    ) -> None:
        """As `palisade.decide.http1` asks for it."""
        self.checks[request.attributes.request.http.headers["x-request-id"]].append(request)
        asker.take(self._passes)


class Bed:
    """Use as a context manager. Its methods may be called from one thread at a time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="palisade-verify-")
        self._root = Path(self._folder.name)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bed", daemon=True)
        self._witness = _Witness()
        self._cache = SnapshotCache()
        self._events: asyncio.Queue[NodeEvent] = asyncio.Queue()
        self._control: aio.Server | None = None
        self._services: list[tuple[asyncio.AbstractServer, Checks]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._subjects: tuple[Subject, ...] = ()
        self._asked: set[str] = set()
        self._client: Client | None = None
        self._loads = 0
        self._certificates = Certificates(self._root)

    def __enter__(self) -> Bed:
        self._thread.start()
        try:
            self._run(self._serve())
            config = self._root / "envoy.json"
            config.write_text(json.dumps(listeners.start(self._root)))
            self._process = subprocess.Popen(  # noqa: S603 -- Envoy, with arguments of ours
                [
                    *(sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(find_envoy())),
                    *("--config-path", str(config), "--concurrency", "1", "--log-level", "warning"),
                    *("--log-path", str(self._root / "envoy.log")),
                    # Connections to the listener before are of no use once there is another.
                    *("--disable-hot-restart", "--drain-time-s", "1"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._thread.is_alive():
            self._run(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def load(self, *subjects: Subject, reporting: bool = False) -> None:
        """Has Envoy do what the subject's sidecar would. With `reporting` it tells what several would do.

        Raises BedError where Envoy refuses the configuration.
        """
        self._run(self._load(subjects, reporting=reporting))

    def ask(self, requests: Sequence[Request]) -> list[Seen | None]:
        """What becomes of each request; None where Envoy gave no answer."""
        first = self._subjects[0]
        wires = []
        for each in requests:
            target, headers = carried(each, {**first.issuers, **first.signers})
            alone = each.method == "CONNECT" or any(name.lower() in _ALONE for name, _ in each.headers)
            source = each.source if first.follows_proxy else Request.source
            data = (
                streamed(each, headers, target, tls=first.function.tls is not None)
                if each.http2
                else encoded(each, headers, target)
            )
            wires.append(Wire(data, each.method, source, alone, each.caller if first.sees_callers else None))
        return self._run(self._ask(wires))

    # In the event loop ----------------------------------------------------------------------------------

    async def _serve(self) -> None:
        self._control = aio.server(options=server_options())
        XdsServer(self._cache, authorizer=allow_all).register(self._control)
        self._control.add_insecure_port(f"unix:{listeners.socket_of(self._root, listeners.CONTROL)}")
        await self._control.start()
        engine = Authorization(self._evaluate, DecisionLog(StreamSink(io.BytesIO()), size=0), budget=10.0)
        services: dict[str, Answerer] = {listeners.WITNESS: self._witness, RESIDUAL_CLUSTER: engine}
        for name, service in services.items():
            checks, path = Checks(service), listeners.socket_of(self._root, name)
            listening = await self._loop.create_unix_server(checks.connection, str(path))
            self._services.append((listening, checks))
        self._cache.add_listener(self._events.put_nowait)

    async def _stop(self) -> None:
        if self._client is not None:
            self._client.close()
        for listening, checks in self._services:
            listening.close()
            await checks.close(patience=1.0)
        if self._control is not None:
            await self._control.stop(0)

    def _evaluate(self, _: str, document: Any) -> Evaluation:
        """What the engine answers. The sidecar's certificate would tell the function's name."""
        subject = self._subjects[0]
        self._asked.add(document["attributes"]["request"]["http"]["headers"]["x-request-id"])
        return Evaluation(subject.evaluate({**document, "function": subject.function.name}))

    async def _load(self, subjects: Sequence[Subject], *, reporting: bool) -> None:
        self._loads += 1
        name = f"v{self._loads}"
        path = listeners.socket_of(self._root, name)
        listener: Listener = (
            listeners.reporting(subjects, path, name, self._certificates)
            if reporting
            else listeners.enforcing(subjects[0], path, name, self._certificates)
        )
        while not self._events.empty():
            self._events.get_nowait()
        await self._cache.set_snapshot("verify", Snapshot.of(name, [listener]))
        await self._accepted(name)
        if self._client is not None:
            self._client.close()
        self._subjects = tuple(subjects)
        self._client = Client(path, self._certificates if subjects[0].function.tls else None)
        await self._client.wait()

    async def _accepted(self, revision: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                event = await asyncio.wait_for(self._events.get(), 0.2)
            except TimeoutError:
                if self._process is not None and self._process.poll() is not None:
                    raise BedError(f"Envoy ended:\n{self._log()}") from None
                continue
            if event.kind is EventKind.REJECTED and event.revision == revision:
                raise BedError(f"Envoy refuses what was compiled: {event.detail}")
            if event.kind is EventKind.ACCEPTED and event.revision == revision:
                return
        raise BedError(
            f"Envoy neither took nor refused the configuration in {_START_SECONDS:g} seconds: where other"
            f" work keeps the machine busy, try again after it. It told:\n{self._log()}"
        )

    async def _ask(self, wires: Sequence[Wire]) -> list[Seen | None]:
        if self._client is None:
            raise BedError("nothing is loaded")
        answers = await self._client.ask(wires)
        found: list[Seen | None] = []
        for answer in answers:
            if answer is None:
                found.append(None)
                continue
            name = answer.headers.get("x-request-id", "")
            checks = self._witness.checks.pop(name, [])
            found.append(
                Seen(
                    status=answer.status,
                    headers=dict(answer.headers),
                    body=answer.body,
                    input=self._input(checks[0]) if checks else None,
                    refused=not checks,
                    reached=listeners.REACHED in answer.headers,
                    forwarded=checks[1].attributes.request.http.headers if len(checks) > 1 else None,
                    asked=name in self._asked,
                    decided=tuple(
                        answer.headers.get(f"{listeners.DECIDED}{at}", "")
                        for at in range(len(self._subjects) if len(self._subjects) > 1 else 0)
                    ),
                )
            )
        self._asked.clear()
        self._witness.checks.clear()
        return found

    def _input(self, check: CheckRequest) -> Value:
        try:
            return to_input(check, self._subjects[0].function.name)
        except InputError:
            return None

    # ----------------------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    def _log(self) -> str:
        log = self._root / "envoy.log"
        return log.read_text()[-3000:] if log.exists() else ""
