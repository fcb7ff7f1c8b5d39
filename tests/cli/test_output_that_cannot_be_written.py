"""Outputs that are full or closed: no traceback, and an exit code that says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("palisade")


@pytest.mark.parametrize(("output", "code"), [(">/dev/full", 4), (">&-", 0), (">&- 2>&-", 0), ("| true", 0)])
def test_no_traceback(output: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package a\n\np := 1\n")
    command = f"'{COMMAND}' eval -d {tmp_path} data.a.p {output}"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert ("No space left" in ended.stderr) == (code == 4)


def test_a_file_that_cannot_be_written_to_its_end_is_named(tmp_path: Path) -> None:
    """As on a full disk, where the error of the system names no file."""
    rules = "".join(f'allow if input.attributes.request.http.path == "/{n}"\n' for n in range(99))
    (tmp_path / "a.rego").write_text(f"package palisade.identity\n\n{rules}")
    command = f"ulimit -f 1; '{COMMAND}' compile {tmp_path} --out {tmp_path / 'made'}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 4
    assert f"--out: {tmp_path}/made/function/palisade.native.pb: File too large" in ended.stderr
