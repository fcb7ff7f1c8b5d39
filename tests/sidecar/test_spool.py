"""The spool: every line that Envoy wrote is handed on once and in order, or counted as lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from palisade_sidecar.access_log import FILE
from palisade_sidecar.spool import Spool


class Writer:
    """Appends as Envoy does: to the file that it has open, until it is asked to open it anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file = self._path.open("ab", buffering=0)
        self._stale = False

    def reopen(self) -> None:
        self._stale = True

    def write(self, data: bytes) -> None:
        if self._stale:
            self._file.close()
            self._file = self._path.open("ab", buffering=0)
            self._stale = False
        self._file.write(data)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 60)),
        st.tuples(st.just("half"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["take", "take", "drop", "grow"]), st.just(0)),
    ),
    max_size=40,
)


def play(steps: list[tuple[str, int]], *, spool_bytes: int) -> tuple[list[bytes], list[bytes], int]:
    """What was written, what was handed on, and how many lines were lost."""
    written: list[bytes] = []
    taken: list[bytes] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = Writer(folder)
        spool = Spool(folder, segment_bytes=100, spool_bytes=spool_bytes)
        open_line = b""
        for step, size in steps:
            if step == "half":
                open_line += b"x" * size
                writer.write(b"x" * size)
            elif step == "write":
                rest = b"%d " % len(written) + b"y" * size
                written.append(open_line + rest)
                open_line = b""
                writer.write(rest + b"\n")
            elif step == "grow" and not open_line:
                if spool.grown():
                    writer.reopen()
            elif (batch := spool.next()) is not None and step == "take":
                taken += batch.lines.splitlines()
                spool.done(batch)
        while (batch := spool.next()) is not None:
            taken += batch.lines.splitlines()
            spool.done(batch)
        return written, taken, spool.lost


@given(STEPS)
@example([("write", 60), ("write", 60), ("grow", 0), ("write", 60), ("write", 60), ("grow", 0)])
def test_every_line_is_handed_on_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    written, taken, lost = play(steps, spool_bytes=1 << 30)
    assert (taken, lost) == (written, 0)


@given(STEPS)
def test_what_does_not_fit_is_counted(steps: list[tuple[str, int]]) -> None:
    written, taken, lost = play(steps, spool_bytes=200)
    assert len(taken) + lost == len(written)
    assert taken == [line for line in written if line in set(taken)]


def test_a_line_longer_than_a_batch_is_handed_on_whole(tmp_path: Path) -> None:
    long = b"z" * 600_000
    (tmp_path / FILE).write_bytes(b"a\n" + long + b"\nb\n")
    spool = Spool(tmp_path)
    taken = b""
    while (batch := spool.next()) is not None:
        taken += batch.lines
        spool.done(batch)
    assert taken == b"a\n" + long + b"\nb\n"
    assert spool.waiting == 0
