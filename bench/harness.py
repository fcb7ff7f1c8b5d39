"""An engine with sidecars and a fast function, for measurements."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars
from palisade.decide.sink import FileSink
from palisade_sidecar import sidecar

ISSUER, AUDIENCE = "https://issuer.example", "bench"


class Signer:
    """An issuer's key, and tokens signed with it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        self.jwks = {"keys": [{**public, "kid": "bench", "alg": "RS256", "use": "sig"}]}

    def token(self, **claims: Any) -> str:
        payload = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 86_400, **claims}
        return jwt.encode(payload, self._key, algorithm="RS256", headers={"kid": "bench"})

    def rego(self) -> str:
        """The providers document, as a module of the identity package."""
        provider = {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": self.jwks}
        return f"package palisade.identity\n\nproviders := {json.dumps({'bench': provider})}\n"


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """So many different ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(int(probe.getsockname()[1]) for probe in probes)


@contextlib.asynccontextmanager
async def function(kind: str = "smallest") -> AsyncIterator[int]:
    """A function of a kind that `bench.function` has; its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.function", kind, str(port))
    try:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield port
    finally:
        process.terminate()
        await process.wait()


@dataclass(frozen=True)
class Running:
    """`ports` are those of the sidecars; `plain` is one of the same Envoy without a policy, and `bare` one
    that writes no access log either, where they were asked for."""

    engine: Engine
    ports: Mapping[str, int]
    sidecars: Sidecars
    plain: int = 0
    bare: int = 0


@contextlib.asynccontextmanager
async def palisade(
    folder: Path,
    policies: Mapping[str, str],
    upstream: int,
    functions: tuple[str, ...] = ("bench",),
    *,
    baseline: bool = False,
) -> AsyncIterator[Running]:
    """An engine on a policy set, with a sidecar for each function, all before the same upstream.

    With `baseline` the Envoy of the one function there then is has listeners without a policy too: what is
    compared runs in the same process, on the same threads.
    """
    write(folder / "policies", policies)
    lines = [f"policies: {folder / 'policies'}", "functions:"]
    lines += [f"  {name}: {{upstream: 127.0.0.1:{upstream}, listen: 127.0.0.1:0}}" for name in functions]
    lines.append(f"engine: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0, state: {folder / 'state'}}}")
    inventory = folder / "palisade.yaml"
    inventory.write_text("\n".join(lines) + "\n")
    plain, bare = free_ports(2) if baseline else (0, 0)
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine(inventory, sink=FileSink(folder / "decisions.jsonl")))
        # Around this one alone: an Envoy that is given another's port listens on it as well, and takes a
        # share of what is sent to the baseline.
        with _without_policy(plain, bare) if baseline else contextlib.nullcontext():
            sidecars = await stack.enter_async_context(Sidecars(engine))
        ports = {name: status.listen.port for name, status in sidecars.statuses.items() if status.listen}
        await _in_force(engine, functions)
        yield Running(engine, ports, sidecars, plain, bare)


@contextlib.asynccontextmanager
async def served(
    folder: Path, policies: Mapping[str, str], upstream: int, others: Sequence[str] = ()
) -> AsyncIterator[int]:
    """An engine and a sidecar as people run them, by `palisade serve` and `palisade sidecar`; the port of the
    sidecar, once it denies by the policies, as they must. Other functions the engine only knows.

    An engine that shares its interpreter with the requests that wait for an edit is held up by each of them.
    """
    port, listen, admin = free_ports(3)
    write(folder / "policies", policies)
    inventory = folder / "palisade.yaml"
    inventory.write_text(
        f"policies: {folder / 'policies'}\n"
        f"functions:\n  bench: {{upstream: 127.0.0.1:{upstream}, listen: 127.0.0.1:{port}}}\n"
        + "".join(f"  {each}: {{upstream: 127.0.0.1:{upstream}, listen: 127.0.0.1:0}}\n" for each in others)
        + f"engine: {{listen: 127.0.0.1:{listen}, admin: 127.0.0.1:{admin}, state: {folder / 'state'}}}\n"
        f"decision_log: {{path: {folder / 'decisions.jsonl'}}}\n"
    )
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((folder / "log").open("w+"))
        await stack.enter_async_context(_command(log, "serve", "-f", inventory))
        await _answers(admin, "/healthz", 200, log)
        await stack.enter_async_context(_command(log, "sidecar", "--function", "bench", "-f", inventory))
        await _answers(port, "/", 403, log)
        yield port


def write(policies: Path, files: Mapping[str, str]) -> None:
    """Writes a policy set; the file of an empty text is removed."""
    for name, text in files.items():
        file = policies / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text:
            file.write_text(text)
        else:
            file.unlink()


@contextlib.asynccontextmanager
async def _command(log: TextIO, *arguments: object) -> AsyncIterator[None]:
    """A command of palisade's, until the end; what it tells goes to a file."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("palisade"),
        *map(str, arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=log,
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(port: int, path: str, status: int, log: TextIO) -> None:
    """Waits until a path is answered with the status; else says what the commands told."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(1000):
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(path)).status_code == status:
                    return
            await asyncio.sleep(0.02)
    log.seek(0)
    raise SystemExit(f"{path} on port {port} was not answered with {status} within 20 seconds\n{log.read()}")


@contextlib.contextmanager
def _without_policy(plain: int, bare: int) -> Iterator[None]:
    """Adds to the bootstrap of sidecars that start meanwhile their own listener without the filters."""
    original = sidecar.bootstrap

    def extended(settings: Any) -> dict[str, Any]:
        config = original(settings)
        listeners = config["static_resources"]["listeners"]
        for name, port in (("plain", plain), ("bare", bare)):
            listener = copy.deepcopy(listeners[0])
            listener["name"] = name
            listener["address"]["socket_address"]["port_value"] = port
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            manager["http_filters"] = manager["http_filters"][-1:]
            if name == "bare":
                del manager["access_log"]
            listeners.append(listener)
        return config

    sidecar.bootstrap = extended  # type: ignore[assignment]
    try:
        yield
    finally:
        sidecar.bootstrap = original


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """This process, and what it starts, on the first processor. `pin_envoys` then gives Envoy the second.

    Left alone, the scheduler puts what talks to each other on one processor or on two as it likes, and the
    same work takes 50 us or 130: figures of different processes cannot be compared then.
    """
    before = os.sched_getaffinity(0)
    first = min(before)
    _affinity(os.getpid(), {first})
    try:
        yield
    finally:
        _affinity(os.getpid(), before)


def pin_envoys() -> None:
    """Every Envoy that this process started, on the second processor where there is one."""
    last = os.cpu_count() or 1
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            name, _, rest = Path(f"/proc/{entry}/stat").read_text().rpartition(")")
            if name.endswith("(envoy") and int(rest.split()[1]) == os.getpid():
                _affinity(int(entry), {last - 1})
        except OSError:  # it has ended
            continue


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """The processors do not sleep between requests: a process that runs where no other wants to keeps each
    awake.

    One that slept finds its caches cold, in a virtual machine above all, and code that runs once a request
    then takes several times as long. A machine with more to do than answer one connection is awake.
    """
    spinners = []
    try:
        for processor in range(os.cpu_count() or 1):
            spinner = subprocess.Popen((sys.executable, "-c", _SPINNING, str(os.getpid())))
            spinners.append(spinner)
            os.sched_setscheduler(spinner.pid, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setaffinity(spinner.pid, {processor})
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


_SPINNING = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


def _affinity(process: int, processors: set[int]) -> None:
    for thread in os.listdir(f"/proc/{process}/task"):
        with contextlib.suppress(ProcessLookupError):  # a thread that has ended since
            os.sched_setaffinity(int(thread), processors)


async def _in_force(engine: Engine, functions: tuple[str, ...]) -> None:
    for _ in range(1000):
        status = engine.cache.status()
        if all(name in status and status[name].running == status[name].offered for name in functions):
            return
        await asyncio.sleep(0.02)
    raise SystemExit(f"the sidecars did not take the revision: {engine.cache.status()}")


@contextlib.contextmanager
def workspace() -> Any:
    with tempfile.TemporaryDirectory(prefix="palisade-bench-") as folder:
        yield Path(folder)


def median_ratio(ours: Mapping[str, Any], baseline: Mapping[str, Any]) -> float:
    """The median of the ratios round by round: what a drift of the machine's speed disturbs least."""
    pairs = zip(ours["rounds"], baseline["rounds"], strict=True)
    return statistics.median(a / b for a, b in pairs)


async def ask(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the client process on a spec."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(spec, file)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.client", file.name, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"the client failed: {output.decode()}")
    return dict(json.loads(output))
