"""The pytest plugin in a project that has policies and nothing else of Palisade's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
def test_policies(palisade_verify):
    (report,) = palisade_verify("policies", decision="p/allow", examples=80, seed=1)
    assert report.tally.pairs


def test_a_fault(palisade_verify, monkeypatch):
    from palisade.enforce.envoy.conditions import atoms
    from palisade.enforce.envoy.matchers import bounds

    monkeypatch.setattr(atoms.Atoms, "_defined", lambda self, atom: bounds.ALWAYS)
    palisade_verify("policies", decision="p/allow", seed=1)
"""
POLICY = 'package p\n\nallow if input.attributes.request.http.headers["x-a"] != "b"\n'


@pytest.mark.long
def test_it_verifies_and_tells_the_smallest_request(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.rego").write_text(POLICY)
    (tmp_path / "test_it.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Envoy allows it, and the evaluator decides to deny it with 403" in done.stdout
    assert "curl -i --path-as-is http://localhost:9080/" in done.stdout
