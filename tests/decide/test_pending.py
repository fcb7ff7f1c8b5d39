"""Entries that wait outlive an engine that is killed, and none stands in the log twice for it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palisade.decide.event import UNANSWERED, Decider, DecisionRecord
from palisade.decide.explaining import ENDED
from palisade.decide.log import DecisionLog
from palisade.decide.pending import Pending
from palisade.decide.sink import FileSink

STEPS = st.lists(st.tuples(st.sampled_from(["add", "flush", "done", "killed"]), st.integers(0, 5)))


@given(STEPS)
def test_what_waits_is_left_and_no_other(steps: Iterable[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "pending"
        pending = Pending(path, most_bytes=60)
        pending.begin(())
        waiting: dict[int, bytes] = {}
        added: dict[int, bytes] = {}
        for at, (step, which) in enumerate(steps):
            if step == "add":
                line = b'{"decision_id": "%d - +"}\n' % at
                added[pending.add(line)] = line
            elif step == "flush":
                pending.flush()
                waiting |= added
                added = {}
            elif step == "done":
                numbers = list(waiting)[which : which + 2]
                pending.done(numbers)
                waiting |= added
                added = {}
                for number in numbers:
                    del waiting[number]
            else:
                pending.close()
                pending = Pending(path, most_bytes=60)
                left = pending.left()
                assert left == list(waiting.values())
                waiting, added = dict(zip(pending.begin(left), left, strict=True)), {}
        pending.close()
        assert Pending(path).left() == list(waiting.values())


def test_the_file_is_the_owner_s_and_empty_where_nothing_waits(tmp_path: Path) -> None:
    path = tmp_path / "pending"
    pending = Pending(path)
    pending.begin(())
    number = pending.add(b"{}\n")
    pending.flush()
    assert path.stat().st_size > 0
    assert path.stat().st_mode & 0o777 == 0o600
    pending.done([number])
    assert path.stat().st_size == 0
    pending.close()


def test_the_half_of_a_line_is_none(tmp_path: Path) -> None:
    """As where an engine was killed amid the write: it had answered nobody then."""
    path = tmp_path / "pending"
    path.write_bytes(b'+1 {"a": 1}\n+2 {"b"')
    assert Pending(path).left() == [b'{"a": 1}\n']


def test_a_full_disk_is_told_once_and_what_waits_is_kept_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pending"
    pending = Pending(path, most_bytes=100)
    pending.begin(())

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        for _ in range(3):
            pending.add(b'{"a": 1}\n')
            pending.flush()
    assert caplog.text.count("cannot be kept") == 1
    pending.add(b'{"b": 2}' + b" " * 100 + b"\n")
    pending.flush()
    assert len(Pending(path).left()) == 4
    pending.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_pending import Never, log_in, record

async def main():
    async with log_in(Path(sys.argv[1])) as decisions:
        decisions.explaining = Never()
        held = decisions.hold(record(1, allowed=True))
        decisions.write([record(2, allowed=False), record(3, allowed=True)])
        decisions.record(record(4, allowed=False, decider="native"))
        await asyncio.wait_for(decisions.mark(), 20)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


class Never:
    """Explains what is denied, some day."""

    def wants(self, event: dict[str, Any]) -> bool:
        return not event["palisade"]["allowed"]

    def explain(self, event: dict[str, Any], done: Any) -> None:
        pass


def log_in(folder: Path) -> DecisionLog:
    return DecisionLog(FileSink(folder / "log"), pending=folder / "pending")


def record(number: int, decider: str = "residual", **changes: Any) -> DecisionRecord:
    return DecisionRecord(
        **{
            "decision_id": f"id-{number}",
            "timestamp": 1_795_459_212_615_385_001,
            "decider": Decider(decider),
            "function": "hello",
            "path": "palisade/identity/allow",
            "input": {},
            **changes,
        }
    )


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    """What stands in the log, by id: each once."""
    found = [json.loads(line) for line in (folder / "log").read_bytes().splitlines()]
    assert len({each["decision_id"] for each in found}) == len(found)
    return {each["decision_id"]: each["palisade"] for each in found}


def start(folder: Path) -> DecisionLog:
    """An engine's log that begins and ends in order."""

    async def main() -> DecisionLog:
        async with log_in(folder) as decisions:
            return decisions

    return asyncio.run(main())


def test_an_engine_that_is_killed_loses_no_entry_that_waits(tmp_path: Path) -> None:
    """Neither one that was to be explained, nor one that was to be compared with a shadow's."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)]
    killed = subprocess.run(command, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(entries(tmp_path)) == ["id-3"]
    after = start(tmp_path)
    found = entries(tmp_path)
    assert sorted(found) == ["id-1", "id-2", "id-3", "id-4"]
    assert [found[each].get("explanation") for each in sorted(found)] == [None, ENDED, None, ENDED]
    assert after.earlier.ids == {"id-4"}, "a sidecar that hands it on again is told no"
    assert (after.stats.written, after.stats.waiting) == (3, 0)
    start(tmp_path)
    assert entries(tmp_path) == found


def test_what_was_written_just_before_the_kill_is_not_written_again(tmp_path: Path) -> None:
    """But for the answer that a sidecar did not hear: that is told by both."""

    async def main() -> None:
        async with log_in(tmp_path) as decisions:
            decisions.write([record(1, allowed=True), record(2, allowed=False, code=UNANSWERED)])

    asyncio.run(main())
    lines = (tmp_path / "log").read_bytes().splitlines(keepends=True)
    waiting = [*lines[:1], lines[1].replace(UNANSWERED.encode(), b"other")]
    (tmp_path / "pending").write_bytes(b"".join(b"+%d %s" % each for each in enumerate(waiting)))
    start(tmp_path)
    written = (tmp_path / "log").read_bytes().splitlines(keepends=True)
    assert written == [*lines, waiting[1]]


def test_a_log_that_ends_in_order_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with log_in(tmp_path) as decisions:
            held = decisions.hold(record(1, allowed=True))
            decisions.write([])
            assert (tmp_path / "pending").stat().st_size > 0
            decisions.record(record(1, allowed=True), held=held)

    asyncio.run(main())
    assert (tmp_path / "pending").stat().st_size == 0
    assert list(entries(tmp_path)) == ["id-1"]
