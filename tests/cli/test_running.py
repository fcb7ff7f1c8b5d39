"""How a long-running command ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from palisade_sidecar.signals import ending

WORK = """
import asyncio, time
from palisade.cli.running import run

async def work():
    compiling = asyncio.to_thread(time.sleep, 60)
    try:
        print("running", flush=True)
        await compiling
    finally:
        print("unwound", flush=True)

run(work())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_thread_that_goes_on_does_not_keep_a_command_from_ending(number: signal.Signals) -> None:
    """A policy that takes for ever to compile must not make a restart of the engine hang. SIGHUP ended it
    amid what it did."""
    with subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.2)
        process.send_signal(number)
        assert process.stdout.read() == "unwound\n"
        assert process.wait(timeout=20) == 0


def test_a_terminal_that_is_closed_ends_what_runs_there_unless_it_is_to_go_on() -> None:
    """Under nohup, which ignores the signal, it must not be heeded again."""
    assert signal.SIGHUP in ending()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending() == (signal.SIGINT, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
