"""Everything the demonstration needs, started together and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path

from palisade.control import admin
from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars
from palisade.decide.sink import FileSink
from palisade.demo.issuer import Issuer
from palisade.files import reason

FUNCTIONS = ("hello", "orders")
ISSUER_PORT = 9400
"""Where policies/identity/data.yaml looks for the demonstration's issuer."""


class StageError(Exception):
    """The demonstration cannot start: why, and what to do."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What is running."""

    engine: Engine
    admin: str
    issuer: Issuer
    sidecars: Mapping[str, str]
    """The address of each function's sidecar."""
    functions: Mapping[str, str]
    policies: Path


def default_policies() -> Path:
    """The default policy set: in the installed package, or in the repository that this runs from."""
    installed = Path(str(resources.files("palisade"))) / "policies"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "policies"


def copy_policies(to: Path, *, issuer: str | None = None) -> Path:
    """Copies the default policy set to a new folder, for another issuer if one is given."""
    shutil.copytree(default_policies(), to)
    if issuer is not None:
        data = to / "identity" / "data.yaml"
        data.write_text(data.read_text().replace(f"http://127.0.0.1:{ISSUER_PORT}", issuer))
    return to


@contextlib.asynccontextmanager
async def stage(
    policies: Path,
    folder: Path,
    issuer: Issuer,
    *,
    listen: Mapping[str, int] | None = None,
    admin_port: int = 0,
) -> AsyncIterator[Stage]:
    """Starts the functions, the engine and the sidecars. `folder` takes the configuration, state and log.

    `listen` gives the sidecars' ports by function, else free ones are taken. Raises StageError, and what the
    engine and the sidecars raise.
    """
    async with contextlib.AsyncExitStack() as stack:
        upstreams = {name: f"127.0.0.1:{_free_port()}" for name in FUNCTIONS}
        for name, address in upstreams.items():
            await stack.enter_async_context(_function(name, address))
        text = _inventory(policies, upstreams, listen or {}, admin_port)
        file = await asyncio.to_thread(_write, folder, text)
        engine = await stack.enter_async_context(Engine(file, sink=FileSink(folder / "decisions.jsonl")))
        shown_at = await stack.enter_async_context(admin.serve(engine))
        sidecars = await stack.enter_async_context(Sidecars(engine))
        shown = {name: str(status.listen) for name, status in sidecars.statuses.items()}
        yield Stage(engine, str(shown_at), issuer, shown, upstreams, policies)


def _write(folder: Path, inventory: str) -> Path:
    # The parent is the .palisade of whoever tries this, which an engine would keep to its owner.
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    file = folder / "palisade.yaml"
    file.write_text(inventory)
    return file


def _inventory(
    policies: Path, upstreams: Mapping[str, str], listen: Mapping[str, int], admin_port: int
) -> str:
    lines = [f"policies: {policies.absolute()}", "functions:"]
    for name, upstream in upstreams.items():
        lines.append(f"  {name}: {{upstream: {upstream}, listen: 127.0.0.1:{listen.get(name, 0)}}}")
    # The state is not in .palisade beside the file, as it would be by default: this is such a folder.
    lines.append(f"engine: {{listen: 127.0.0.1:0, admin: 127.0.0.1:{admin_port}, state: state}}")
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def _function(name: str, address: str) -> AsyncIterator[None]:
    host, port = address.rsplit(":", 1)
    # A session of its own: Ctrl-C then reaches this process alone, which ends the others in order.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "palisade.demo.service", name, port, start_new_session=True
    )
    try:
        await _answers(host, int(port), process, name)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _answers(host: str, port: int, process: asyncio.subprocess.Process, name: str) -> None:
    for _ in range(200):
        if process.returncode is not None:
            raise StageError(f"the function {name} ended with status {process.returncode}")
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return
    raise StageError(f"the function {name} does not answer on {host}:{port} within ten seconds")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def issuer(port: int, *, lifetime: timedelta) -> Issuer:
    """The OIDC provider. Raises StageError where it is not installed or its port is taken."""
    try:
        return Issuer(port, lifetime=lifetime)
    except ImportError as error:
        raise StageError(
            f"the demonstration's OIDC provider is not installed ({error}): pip install 'palisade[demo]'"
        ) from None
    except (OSError, SystemExit) as error:
        why = reason(error) if isinstance(error, OSError) else "another program has it"
        raise StageError(
            f"port {port} for the OIDC provider cannot be had ({why}): end what listens there; "
            "the address stands in policies/identity/data.yaml"
        ) from None


__all__ = [
    "FUNCTIONS",
    "ISSUER_PORT",
    "Stage",
    "StageError",
    "copy_policies",
    "default_policies",
    "issuer",
    "stage",
]
