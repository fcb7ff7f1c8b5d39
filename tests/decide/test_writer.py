"""Decisions are written before they are answered, and yet none of them waits for a pipe or a disk."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_helpers import eventually

from palisade.decide import writer
from palisade.decide.event import Decider, DecisionRecord
from palisade.decide.log import DecisionLog
from palisade.decide.sink import UNBOUNDED, FileSink, StreamSink
from palisade.decide.writer import Writer


class Memory:
    """A sink that keeps what is written, and by which thread."""

    undoes = True

    def __init__(self) -> None:
        self.content = b""
        self.threads: list[str] = []
        self.seconds = 0.0

    def room(self) -> int:
        return UNBOUNDED

    def tail(self, most: int) -> Iterator[bytes]:
        return iter(())

    def write(self, lines: bytes) -> None:
        time.sleep(self.seconds)
        self.content += lines
        self.threads.append(threading.current_thread().name)

    def close(self) -> None:
        pass


def record(number: int, size: int = 0) -> DecisionRecord:
    return DecisionRecord(
        decision_id=f"id-{number}",
        timestamp=1,
        decider=Decider.RESIDUAL,
        function="hello",
        path="palisade/identity/allow",
        input={"padding": "x" * size},
        allowed=True,
    )


def ids(lines: bytes) -> list[int]:
    return [int(json.loads(line)["decision_id"].removeprefix("id-")) for line in lines.splitlines()]


@contextmanager
def pipe() -> Iterator[tuple[int, BinaryIO]]:
    """A pipe of 64 KB: the descriptor that reads and never blocks, and the stream that writes."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 16)
    os.set_blocking(reading, False)
    with os.fdopen(writing, "wb") as stream:
        try:
            yield reading, stream
        finally:
            os.close(reading)


def read(descriptor: int) -> bytes:
    found = b""
    try:
        while data := os.read(descriptor, 1 << 16):
            found += data
    except BlockingIOError:
        pass
    return found


def test_a_file_has_what_was_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"

    async def main() -> None:
        async with DecisionLog(FileSink(path)) as decisions:
            decisions.write([record(1), record(2)])
            assert ids(path.read_bytes()) == [1, 2]
            assert decisions.stats.written == 2

    asyncio.run(main())


def test_standard_output_that_is_a_file_has_what_was_written_at_once(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as stream:
        sink = StreamSink(stream)

        async def main() -> None:
            async with DecisionLog(sink) as decisions:
                decisions.write([record(1)])
                assert ids((tmp_path / "out").read_bytes()) == [1]

        asyncio.run(main())


def test_a_pipe_has_what_was_written_at_once_and_a_full_one_holds_up_nothing() -> None:
    """What the pipe takes is in it before the answer leaves; the rest comes when it is read."""
    with pipe() as (reading, stream):

        async def main() -> tuple[bytes, DecisionLog]:
            async with DecisionLog(StreamSink(stream)) as decisions:
                for number in range(10):
                    decisions.write([record(number)])
                first = read(reading)
                assert ids(first) == list(range(10))
                longest = 0.0
                for number in range(10, 510):
                    started = time.thread_time()  # a busy machine has others' between
                    decisions.write([record(number, 1000)])
                    longest = max(longest, time.thread_time() - started)
                    await asyncio.sleep(0)
                assert longest < 0.1
                assert decisions.stats.waiting > 300  # of 500 lines of 1.3 KB, a pipe has room for some fifty
                while decisions.stats.waiting:
                    first += read(reading)
                    await asyncio.sleep(0.01)
                return first + read(reading), decisions

        content, decisions = asyncio.run(main())
    assert sorted(ids(content)) == list(range(510))
    assert decisions.stats.written == 510


def test_a_pipe_whose_reader_has_left_holds_up_nothing_and_is_told() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    async def main() -> DecisionLog:
        async with DecisionLog(StreamSink(os.fdopen(writing, "wb", buffering=0))) as decisions:
            decisions.write([record(1)])
            decisions.write([record(2)])
            assert decisions.problem == "Broken pipe"
        return decisions

    stats = asyncio.run(main()).stats
    assert (stats.failed, stats.written, stats.waiting) == (2, 0, 0)


@given(
    sizes=st.lists(st.integers(1, 9000), max_size=30),
    rooms=st.lists(st.integers(0, 30_000), min_size=1, max_size=30),
)
def test_every_line_is_written_once_whole_and_in_order(sizes: list[int], rooms: list[int]) -> None:
    """Whatever room there is whenever it is asked for: what does not fit is left to the thread."""

    class Roomy(Memory):
        asked = 0

        def room(self) -> int:
            self.asked += 1
            return rooms[self.asked % len(rooms)]

    lines = [b"%d:%b\n" % (number, b"x" * size) for number, size in enumerate(sizes)]
    sink = Roomy()

    async def main() -> Writer:
        writing = Writer(sink)
        writing.start()
        for at in range(0, len(lines), 3):
            writing.write(lines[at : at + 3])
        await asyncio.to_thread(writing.stop)
        return writing

    assert asyncio.run(main()).written == len(lines)
    assert sink.content.splitlines(keepends=True) == lines


def test_a_slow_disk_is_left_to_the_thread_until_it_is_fast_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One decision finds out that a write takes long; those after it do not wait for the disk."""
    monkeypatch.setattr(writer, "_SLOW_FOR", 0.3)
    sink = Memory()

    async def main() -> None:
        async with DecisionLog(sink) as decisions:
            sink.seconds = 0.1
            decisions.write([record(0)])
            started = time.perf_counter()
            for number in range(1, 20):
                decisions.write([record(number)])
            assert time.perf_counter() - started < 1.0  # one after the other they would take 1.9 s
            sink.seconds = 0.0
            await eventually(lambda: ids(sink.content) == list(range(20)))
            await asyncio.sleep(0.4)
            decisions.write([record(20)])
            assert ids(sink.content) == list(range(21))

    asyncio.run(main())
    assert sink.threads[0] == sink.threads[-1] == threading.main_thread().name
    assert set(sink.threads[1:-1]) == {"decision log"}


def test_a_mark_is_done_when_all_before_it_is_written() -> None:
    """A sidecar forgets its lines then."""

    class Gated(Memory):
        gate = threading.Event()

        def room(self) -> int:
            return 0

        def write(self, lines: bytes) -> None:
            self.gate.wait()
            super().write(lines)

    sink = Gated()

    async def main() -> None:
        async with DecisionLog(sink) as decisions:
            for number in range(300):
                decisions.record(record(number))
            mark = decisions.mark()
            decisions.record(record(300))
            await asyncio.sleep(0.1)
            assert not mark.done()
            sink.gate.set()
            await asyncio.wait_for(mark, 30)
            assert ids(sink.content)[:300] == list(range(300))

    asyncio.run(main())


def test_what_a_full_disk_did_not_take_is_written_once_when_it_has_room(tmp_path: Path) -> None:
    """The decision is answered all the same: no request waits for somebody to clear the disk.

    The limit on the size of files stands for a full disk: the kernel takes what fits, and then refuses.
    """
    path = tmp_path / "decisions.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def main() -> None:
        async with DecisionLog(FileSink(path)) as decisions:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
            try:
                decisions.write([record(1)])
                decisions.write([record(2)])
                assert decisions.problem == "File too large"
                await asyncio.sleep(0.1)
                assert path.read_bytes() == b""
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            await eventually(lambda: ids(path.read_bytes()) == [1, 2])
            assert decisions.problem == ""
            decisions.write([record(3)])
            await eventually(lambda: ids(path.read_bytes()) == [1, 2, 3])

    asyncio.run(main())
