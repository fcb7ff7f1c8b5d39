"""Hands the spooled lines on to the engine, through Envoy and its mTLS to the engine.

Each batch is one gRPC call, `palisade.DecisionLog/Append`, whose message is the lines themselves. It is sent
as HTTP/1.1 to a listener on a Unix socket in the run folder, where Envoy's gRPC bridge makes HTTP/2 of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from palisade_sidecar.access_log import FILE
from palisade_sidecar.admin import AdminError
from palisade_sidecar.logs import Log
from palisade_sidecar.spool import Spool
from palisade_sidecar.unix_http import UnixConnection

SOCKET = "log.sock"
PATH = "/palisade.DecisionLog/Append"
UNLOGGED = "palisade-unlogged"
"""The header that tells of lines that were given up: the name under which they are counted, of how many the
engine is known to know, and how many there are."""

_IDLE = 0.1
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0
_TIMEOUT = 10.0


class HandoverError(Exception):
    """The engine did not take a batch."""


class Handover:
    """One sidecar's spool on its way to the engine. `reopen` asks Envoy to open its access log anew."""

    def __init__(self, run_dir: Path, reopen: Callable[[], Awaitable[None]], log: Log) -> None:
        self.spool = Spool(run_dir)
        self.unwritten = 0
        """How many lines Envoy could not write, that are still to be counted."""
        self._socket = run_dir / SOCKET
        self._reopen = reopen
        self._log = log
        self._sending = asyncio.Lock()
        self._told = 0
        self._told_problem = ""
        self._set_aside = False
        """Whether Envoy is still to be asked for a new file."""

    async def run(self) -> None:
        """Hands on what comes, until cancelled."""
        delay = _FIRST_RETRY
        while True:
            try:
                sent = await self._step()
            except (HandoverError, AdminError, OSError) as error:
                self._tell(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LAST_RETRY)
            else:
                delay, self._told_problem = _FIRST_RETRY, ""
                if not sent:
                    await asyncio.sleep(_IDLE)

    async def begin_anew(self) -> None:
        """Has the Envoy that is about to start write into a new file. Raises OSError."""
        async with self._sending:
            await asyncio.to_thread(self.spool.set_aside)

    async def drain(self, seconds: float) -> None:
        """Hands on what there is, for as long as the engine takes it."""
        with contextlib.suppress(TimeoutError):  # what is left is told by the caller
            async with asyncio.timeout(seconds):
                try:
                    while await self._step():
                        pass
                except (HandoverError, AdminError, OSError) as error:
                    self._tell(error)

    def _tell(self, error: Exception) -> None:
        """An engine that is away is told elsewhere; a spool that cannot be read is somebody's to mend."""
        if not isinstance(error, OSError):
            self._log.debug("decisions wait in %s: %s", FILE, error)
        elif str(error) != self._told_problem:
            self._log.warning("the decision log waits in %s, which cannot be read: %s", FILE, error)
            self._told_problem = str(error)

    async def _step(self) -> bool:
        async with self._sending:
            if await asyncio.to_thread(self.spool.grown):
                self._set_aside = True
            if self._set_aside:
                await self._reopen()
                self._set_aside = False
            batch = await asyncio.to_thread(self.spool.next)
            given_up = self.spool.given_up
            lost, told = given_up.count, given_up.told
            if lost > max(told, self._told):
                self._log.warning(
                    "%d decisions were given up: the engine was away for longer than the spool has room", lost
                )
                self._told = lost
            if self.unwritten:
                with contextlib.suppress(OSError):  # it stays counted for as long as the sidecar runs
                    given_up.unwritten(self.unwritten)
                self.unwritten, self._told = 0, given_up.count
                lost = given_up.count
            if batch is None and lost == told:
                return False
            # Where all that waited was given up, the engine learns of that without a line.
            report = f"{given_up.name} {told} {lost}" if lost > told else ""
            await asyncio.to_thread(self._send, batch.lines if batch else b"", report)
            given_up.tell(lost)
            if batch is not None:
                self.spool.done(batch)
            return True

    def _send(self, lines: bytes, given_up: str) -> None:
        connection = UnixConnection(self._socket, _TIMEOUT)
        try:
            # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: not compressed, and the length.
            message = struct.pack(">BI", 0, len(lines)) + lines
            headers = {"content-type": "application/grpc", "te": "trailers", "host": "palisade_engine"}
            if given_up:
                headers[UNLOGGED] = given_up
            connection.request("POST", PATH, message, headers)
            response = connection.getresponse()
            response.read()
            status = response.getheader("grpc-status")
            if response.status != 200 or status != "0":
                reason = response.getheader("grpc-message") or f"HTTP status {response.status}"
                raise HandoverError(f"the engine did not take them: {reason}")
        except (OSError, http.client.HTTPException) as error:
            raise HandoverError(f"Envoy gave no answer: {error or type(error).__name__}") from error
        finally:
            connection.close()
