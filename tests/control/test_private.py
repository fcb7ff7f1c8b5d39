"""The engine's sockets lie where nobody else may enter, and where a kill leaves nothing for good."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from palisade.control.private import private_folder


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose path is too long for a socket; the folder for temporary files is `tmp`."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    state = tmp_path / ("x" * 60) / ("y" * 60)
    state.mkdir(parents=True)
    return state


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_in_the_state_folder_and_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir(mode=0o755)
    with private_folder(tmp_path) as folder:
        assert (folder, mode(folder)) == (tmp_path / "control", 0o700)


def test_one_elsewhere_is_the_same_after_a_kill_and_gone_after_an_end(deep: Path) -> None:
    left = private_folder(deep)
    first = left.__enter__()  # and is never left
    (first / "grpc").touch()
    with private_folder(deep) as folder:
        assert (folder, mode(folder)) == (first, 0o700)
    assert list(first.parent.iterdir()) == []


def test_a_name_that_somebody_else_has_taken_is_not_used(deep: Path, tmp_path: Path) -> None:
    with private_folder(deep) as folder:
        pass
    (tmp_path / "theirs").mkdir(mode=0o777)
    folder.symlink_to(tmp_path / "theirs")
    with private_folder(deep) as other:
        assert other.parent == folder.parent
        assert (other != folder, mode(other)) == (True, 0o700)
    assert folder.is_symlink()


def test_a_link_in_the_state_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "control").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="no folder of this user's own"), private_folder(tmp_path):
        pass
