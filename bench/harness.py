"""An engine with sidecars and a fast function, for measurements."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars, settings_of
from palisade.decide.sink import FileSink
from palisade.policy.inventory import Address
from palisade_sidecar.bootstrap import bootstrap
from palisade_sidecar.engine_cluster import secrets
from palisade_sidecar.envoy import EnvoyProcess, find_envoy
from palisade_sidecar.logs import EnvoyLog

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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def function() -> AsyncIterator[int]:
    """The fast function; its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.function", str(port))
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
    engine: Engine
    ports: Mapping[str, int]
    sidecars: Sidecars


@contextlib.asynccontextmanager
async def palisade(
    folder: Path, policies: Mapping[str, str], upstream: int, functions: tuple[str, ...] = ("bench",)
) -> AsyncIterator[Running]:
    """An engine on a policy set, with a sidecar for each function, all before the same upstream."""
    for name, source in policies.items():
        file = folder / "policies" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    lines = [f"policies: {folder / 'policies'}", "functions:"]
    lines += [f"  {name}: {{upstream: 127.0.0.1:{upstream}, listen: 127.0.0.1:0}}" for name in functions]
    lines.append(f"engine: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0, state: {folder / 'state'}}}")
    inventory = folder / "palisade.yaml"
    inventory.write_text("\n".join(lines) + "\n")
    async with (
        Engine(inventory, sink=FileSink(folder / "decisions.jsonl")) as engine,
        Sidecars(engine) as sidecars,
    ):
        ports = {name: status.listen.port for name, status in sidecars.statuses.items() if status.listen}
        await _in_force(engine, functions)
        yield Running(engine, ports, sidecars)


@contextlib.asynccontextmanager
async def plain(folder: Path, running: Running, upstream: int, *, logged: bool) -> AsyncIterator[int]:
    """The sidecar's own Envoy and bootstrap, with nothing but the router in it; its port."""
    port = free_port()
    name = "same" if logged else "bare"
    directory = folder / name
    directory.mkdir()
    settings = settings_of(
        replace(running.engine.inventory.functions["bench"], listen=Address("127.0.0.1", port)),
        engine=running.engine.listen,
        credentials=running.engine.credentials.folder("bench"),
        run_dir=directory,
    )
    for file_name, content in secrets(settings).items():
        (directory / file_name).write_text(json.dumps(content))
    config = bootstrap(settings)
    del config["dynamic_resources"]
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = manager["http_filters"][-1:]
    if not logged:
        del manager["access_log"]
    file = directory / "envoy.json"
    file.write_text(json.dumps(config))
    process = await EnvoyProcess.start(
        find_envoy(), file, EnvoyLog(logging.getLogger("bench")), concurrency=2
    )
    try:
        await _listens(port)
        yield port
    finally:
        await process.stop()


async def _listens(port: int) -> None:
    for _ in range(400):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit("the plain Envoy does not listen")


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
