"""A project on disk, and a way to run commands in this process."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from palisade.cli.main import main

sys.path.insert(0, str(Path(__file__).parent))  # cli_helpers is shared by the tests here

from cli_helpers import ALLOW, SETTINGS, Ended, Run

LOGGERS = ("", "palisade", "palisade_sidecar")


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    """Commands that serve set up logging for their process, which here is that of all tests: what is logged
    later would go to a stream that is closed, and not to the test that fails."""
    before = [(each, each.level, [*each.handlers]) for each in map(logging.getLogger, LOGGERS)]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        for each in [*logger.handlers]:
            if each not in handlers:
                logger.removeHandler(each)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def runner(*arguments: str, stdin: str = "") -> Ended:
        monkeypatch.setattr(sys, "argv", ["palisade", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return runner


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "allow.rego").write_text(ALLOW)
    (tmp_path / "palisade.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path
