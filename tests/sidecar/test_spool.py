"""The spool: every line that Envoy wrote is handed on once and in order, or counted as lost."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

import pytest
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
        st.tuples(st.sampled_from(["take", "take", "drop", "grow", "restart"]), st.just(0)),
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
            elif step == "restart":
                # The sidecar was killed, and Envoy with it: half a line that it left is no decision any more.
                open_line = b""
                spool = Spool(folder, segment_bytes=100, spool_bytes=spool_bytes)
                spool.set_aside()
                writer.reopen()
            elif step == "grow" and not open_line:
                if spool.grown():
                    writer.reopen()
            elif (batch := spool.next()) is not None and step == "take":
                taken += batch.lines.splitlines()
                spool.done(batch)
        while (batch := spool.next()) is not None:
            taken += batch.lines.splitlines()
            spool.done(batch)
        return written, taken, spool.given_up.count


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


def killed_at(spool: Spool, of: object, name: str) -> None:
    """Has the process end where it calls this method."""

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(of, name, kill)
        spool.grown()


def test_what_was_given_up_is_counted_once_over_kills(tmp_path: Path) -> None:
    """One that was killed amid it leaves the file, or its inode to another, whose lines are others."""
    file, same_inode = tmp_path / f"{FILE}.000000000001", tmp_path / "link"
    file.write_bytes(b"a\nb\n")
    same_inode.hardlink_to(file)
    (tmp_path / FILE).write_bytes(b"c\n")
    spool = Spool(tmp_path, spool_bytes=1)
    killed_at(spool, Path, "unlink")
    next_one = Spool(tmp_path, spool_bytes=1)
    killed_at(next_one, next_one.given_up, "gone")
    assert not file.exists()
    assert (next_one.given_up.count, next_one.given_up.name) == (2, spool.given_up.name)
    same_inode.rename(file)
    file.write_bytes(b"d\ne\nf\n")
    another = Spool(tmp_path, spool_bytes=1)
    another.grown()
    another.given_up.tell(4)
    last = Spool(tmp_path).given_up
    assert (last.count, last.told) == (5, 4)


def test_on_a_full_disk_the_oldest_are_given_up_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would ever make room."""
    (tmp_path / f"{FILE}.000000000001").write_bytes(b"a\nb\n")
    (tmp_path / FILE).write_bytes(b"c\n")
    written, full = os.pwrite, [True]

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        if full and full.pop():
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    spool = Spool(tmp_path, spool_bytes=1)
    spool.grown()
    assert spool.given_up.count == Spool(tmp_path).given_up.count == 2
    assert not full


def test_a_batch_that_was_not_noted_comes_again_and_no_other(tmp_path: Path) -> None:
    """As after a kill between the engine's answer and the note."""
    (tmp_path / FILE).write_bytes(b"a\nb\n")
    spool = Spool(tmp_path)
    first = spool.next()
    assert first is not None
    spool.done(first)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"c\n")
    assert (second := spool.next()) is not None
    assert second.lines == b"c\n"
    again = Spool(tmp_path)
    assert again.waiting == 2
    assert again.next() == second


@pytest.mark.parametrize("note", [b"", b"x y\n", b"1 2\n", b"%020d %020d\n"])
def test_a_note_that_is_of_no_file_here_is_none(tmp_path: Path, note: bytes) -> None:
    """Rather twice than never: the decision ids are the same."""
    (tmp_path / FILE).write_bytes(b"a\n")
    inode = (tmp_path / FILE).stat().st_ino
    (tmp_path / "decisions.taken").write_bytes(note % (inode, 99) if b"%" in note else note)
    batch = Spool(tmp_path).next()
    assert batch is not None
    assert batch.lines == b"a\n"


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
