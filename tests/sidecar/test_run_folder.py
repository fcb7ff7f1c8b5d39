"""The run folder is the same each time, of one sidecar at a time, and of no other user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from palisade_sidecar.access_log import FILE
from palisade_sidecar.run_folder import RunFolder
from palisade_sidecar.settings import SettingsError
from palisade_sidecar.spool import Spool


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_what_one_that_was_killed_left_is_found_by_the_next(tmp_path: Path) -> None:
    killed = RunFolder("hello", tmp_path / "credentials")
    (killed.path / FILE).write_bytes(b"a line\n")
    assert killed._lock is not None
    os.close(killed._lock)  # as the kernel does
    with RunFolder("hello", tmp_path / "credentials") as folder:
        assert folder == killed.path
        assert folder.stat().st_mode & 0o777 == 0o700
        batch = Spool(folder).next()
        assert batch is not None
        assert batch.lines == b"a line\n"


def test_it_stays_while_the_engine_has_not_taken_all_and_goes_then(tmp_path: Path) -> None:
    with RunFolder("hello", tmp_path / "credentials") as folder:
        (folder / FILE).write_bytes(b"a line\n")
    assert (folder / FILE).exists()
    with RunFolder("hello", tmp_path / "credentials") as again:
        assert again == folder
        spool = Spool(folder)
        batch = spool.next()
        assert batch is not None
        spool.done(batch)
    assert not folder.exists()


def test_each_sidecar_has_its_own(tmp_path: Path) -> None:
    with (
        RunFolder("hello", tmp_path / "one") as first,
        RunFolder("hello", tmp_path / "one") as same,
        RunFolder("orders", tmp_path / "one") as function,
        RunFolder("hello", tmp_path / "two") as engine,
    ):
        assert len({first, same, function, engine}) == 4
    assert not any(folder.exists() for folder in (first, same, function, engine))


@pytest.mark.parametrize("taken", ["link", "file", "open"])
def test_a_name_that_somebody_has_taken_is_not_used(tmp_path: Path, taken: str) -> None:
    with RunFolder("hello", tmp_path / "credentials") as folder:
        pass
    match taken:
        case "link":
            (tmp_path / "theirs").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "theirs")
        case "file":
            folder.write_text("")
        case _:
            folder.mkdir()
            folder.chmod(0o777)
    with RunFolder("hello", tmp_path / "credentials") as other:
        assert other != folder
        assert other.stat().st_mode & 0o777 == 0o700
    assert not other.exists()


def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match=r"no run folder can be made in .*missing: .*TMPDIR"):
        RunFolder("hello", tmp_path / "credentials")
