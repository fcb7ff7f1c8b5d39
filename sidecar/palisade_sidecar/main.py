"""`palisade sidecar`: one sidecar in the foreground, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from palisade_sidecar.envoy import EnvoyError
from palisade_sidecar.run_folder import RunFolder
from palisade_sidecar.settings import Address, Settings, SettingsError, Tls
from palisade_sidecar.sidecar import Sidecar, Status
from palisade_sidecar.signals import ending
from palisade_sidecar.tls_files import warnings

STOPPED, FAILED, USAGE = 0, 1, 2
"""Exit codes: ended as asked; Envoy cannot be run; a setting cannot work."""

log = logging.getLogger("palisade_sidecar")


def run(
    *,
    function: str,
    engine: str,
    upstream: str,
    listen: str,
    credentials: Path,
    run_dir: Path | None = None,
    drain: float = 5.0,
    tls: Tls | None = None,
    on_change: Callable[[Status], None] | None = None,
) -> int:
    """Run the sidecar of `function` until SIGINT, SIGTERM or SIGHUP; a second one ends it at once.

    Addresses are HOST:PORT. `credentials` is a folder with certificate.pem, key.pem and bundle.pem. Without
    `run_dir` it has a folder among the temporary files. Returns the exit code: STOPPED, FAILED or USAGE. Must
    be called in the main thread.
    """
    try:
        with contextlib.ExitStack() as stack:
            folder = run_dir or stack.enter_context(RunFolder(function, credentials))
            settings = Settings(
                function=function,
                engine=Address.parse(engine, what="the engine's address"),
                upstream=Address.parse(upstream, what="the function's address"),
                listen=Address.parse(listen, what="the address to listen on", zero=True),
                credentials=credentials,
                run_dir=folder.absolute(),
                tls=tls,
            )
            for each in warnings(tls) if tls is not None else ():
                log.warning("%s", each)
            return asyncio.run(_run(Sidecar(settings, drain=drain, on_change=on_change)))
    except SettingsError as error:
        log.error("%s", error)
        return USAGE
    except EnvoyError as error:
        log.error("%s", error)
        return FAILED


async def _run(sidecar: Sidecar) -> int:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def end() -> None:
        if asked.is_set():
            sidecar.kill()
        asked.set()

    for number in ending():
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGUSR1, sidecar.signal, signal.SIGUSR1)  # Envoy opens its log files anew
    starting = asyncio.ensure_future(sidecar.start())
    stopped = asyncio.ensure_future(asked.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return STOPPED
    await starting
    await stopped
    await sidecar.stop()
    return STOPPED
