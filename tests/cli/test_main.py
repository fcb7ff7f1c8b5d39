"""Where the program starts: what it does to the garbage collector of the process that it runs in."""

from __future__ import annotations

import gc
import sys

import pytest
from cli_helpers import Run

from palisade.cli.main import main


def test_what_somebody_froze_stays_frozen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who calls it in a process of their own has frozen what that has loaded, and wants it left alone."""
    monkeypatch.setattr(sys, "argv", ["palisade", "--help"])
    monkeypatch.delitem(sys.modules, "palisade.cli.app", raising=False)  # as at the start
    gc.freeze()
    frozen = gc.get_freeze_count()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out.lower()
    assert gc.get_freeze_count() > frozen // 2  # fewer are some that were let go meanwhile
    assert gc.isenabled()


def test_nothing_is_counted_where_nothing_is_loaded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that calls it again and again, as these tests do, has half a million objects frozen."""
    run("--help")
    counted: list[int] = []
    monkeypatch.setattr(gc, "get_freeze_count", lambda: counted.append(1) or 0)
    assert run("--help").code == 0
    assert not counted
