"""Handing the decision log over goes on whatever fails on the way, and says what a person must mend."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

import pytest
from shared_helpers import eventually

from palisade_sidecar.access_log import FILE
from palisade_sidecar.admin import AdminError
from palisade_sidecar.handover import Handover
from palisade_sidecar.spool import SEGMENT_BYTES

LOG = logging.getLogger("palisade_sidecar.test")


async def run_until(handover: Handover, done: asyncio.Event) -> None:
    running = asyncio.create_task(handover.run())
    waiting = asyncio.create_task(done.wait())
    await asyncio.wait((running, waiting), timeout=30, return_when=asyncio.FIRST_COMPLETED)
    assert done.is_set(), running
    for task in (running, waiting):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_an_envoy_that_does_not_open_its_log_anew_is_asked_again(tmp_path: Path) -> None:
    """It may be starting: else it would write on into a file that was set aside, for ever."""
    (tmp_path / FILE).write_bytes(b"line\n" * (SEGMENT_BYTES // 5 + 1))

    async def scenario() -> None:
        done, asked = asyncio.Event(), 0

        async def reopen() -> None:
            nonlocal asked
            asked += 1
            if asked < 3:
                raise AdminError("POST /reopen_logs failed")
            done.set()

        await run_until(Handover(tmp_path, reopen, LOG), done)

    asyncio.run(scenario())


def test_a_spool_that_cannot_be_read_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).mkdir()

    async def reopen() -> None:
        raise AssertionError("nothing has grown")

    async def scenario() -> None:
        running = asyncio.create_task(Handover(tmp_path, reopen, LOG).run())
        await eventually(lambda: caplog.records)
        await asyncio.sleep(0.5)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    (told,) = caplog.records
    assert FILE in told.getMessage()
    assert "directory" in told.getMessage()
