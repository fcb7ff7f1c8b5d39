"""Where the program starts: what it does to the garbage collector of the process that it runs in."""

from __future__ import annotations

import gc
import sys

import pytest

from palisade.cli.main import main


def test_what_somebody_froze_stays_frozen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who calls it in a process of their own has frozen what that has loaded, and wants it left alone."""
    monkeypatch.setattr(sys, "argv", ["palisade", "--help"])
    gc.freeze()
    frozen = gc.get_freeze_count()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out.lower()
    assert gc.get_freeze_count() > frozen // 2  # fewer are some that were let go meanwhile
    assert gc.isenabled()
