"""How a long-running command ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

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


def test_a_thread_that_goes_on_does_not_keep_a_command_from_ending() -> None:
    """A policy that takes for ever to compile must not make a restart of the engine hang."""
    with subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "unwound\n"
        assert process.wait(timeout=20) == 0
