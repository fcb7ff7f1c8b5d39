"""A decision whose path is no plain reference, as `package team["b-c"].authz` gives, works everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import SETTINGS, Run

POLICY = """package team["b-c"].authz

default allow := false

allow if input.attributes.request.http.method == "GET"
"""


@pytest.fixture
def named(project: Path) -> Path:
    (project / "policies" / "allow.rego").write_text(POLICY)
    (project / "palisade.yaml").write_text(f"{SETTINGS}decision: team/b-c/authz/allow\n")
    return project


def test_it_is_compiled_and_explained(named: Path, run: Run) -> None:
    compiled = run("compile", "-f", "palisade.yaml", "--coverage", "--fail-on-residual")
    assert compiled.code == 0, compiled.err
    assert "2 native" in compiled.out
    assert run("explain", "GET /").code == 0
    assert run("explain", "PUT /").code == 1


def test_two_of_them_are_compared(named: Path, run: Run) -> None:
    (named / "next").mkdir()
    (named / "next" / "allow.rego").write_text(POLICY.replace('"GET"', '"PUT"'))
    found = run("diff", "policies", "next", "--decision", "team/b-c/authz/allow", "--examples", "300")
    assert found.code == 1, found.err
    assert "PUT /" in found.out
