"""Files and folders that the command line names, and that are not there or may not be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_helpers import SETTINGS, Run
from shared_helpers import plain_user


@pytest.mark.parametrize(
    "command",
    [
        ["check", "inner/policies"],
        ["check", "policies", "--schema", "inner/schemas"],
        ["compile", "inner/policies"],
        ["diff", "inner/policies", "policies"],
        ["eval", "-d", "inner/policies", "1"],
        ["explain", "GET /", "-f", "inner/palisade.yaml"],
        ["fmt", "inner/policies"],
        ["status", "-f", "inner/palisade.yaml"],
        ["test", "inner/policies"],
        ["verify", "inner/policies"],
    ],
    ids=lambda command: command[0],
)
def test_what_may_not_be_seen_is_wrong_usage(
    command: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing that failed: a script that knows the codes looks for the mistake where it is."""
    assert run(*command).code == 2  # loads what the command needs: Python itself may be closed to that user
    with plain_user() as folder:
        (folder / "inner").mkdir(mode=0)
        (folder / "policies").mkdir()
        monkeypatch.chdir(folder)
        ended = run(*command)
        monkeypatch.undo()
    assert ended.code == 2, ended.err
    assert "inner/" in ended.err
    assert "cannot be read: Permission denied" in ended.err


def test_a_source_that_cannot_be_written_is_named(run: Run, project: Path) -> None:
    """And not the file beside it, which nobody knows of: here its name would be too long."""
    name = "a" * 250 + ".rego"
    (project / name).write_text("package a\nallow   if input.x\n")
    ended = run("fmt", "-w", name)
    assert (ended.code, ended.err) == (4, f"palisade: {name}: cannot be written: File name too long\n")


def test_a_sidecar_before_an_engine_ever_ran(run: Run, project: Path) -> None:
    """It lacks its certificates, and says who makes them."""
    ended = run("sidecar", "--function", "hello", "--engine", "127.0.0.1:9")
    assert ended.code == 3
    assert "credentials/hello/certificate.pem" in ended.err
    assert "start the engine first: palisade serve -f palisade.yaml" in ended.err


def test_a_set_that_nothing_would_ask(run: Run, project: Path) -> None:
    """Without an inventory nothing else tells of a decision that is not where the engine looks for it."""
    (project / "palisade.yaml").unlink()
    rules = project / "policies" / "allow.rego"
    assert "has to name" not in run("check", "policies").err
    rules.write_text("package envoy.authz\n\nallow if true\n")
    ended = run("check", "policies")
    assert (ended.code, ended.out) == (0, "1 module in policies: no errors\n")
    assert ended.err == (
        "No rule here is palisade/identity/allow: palisade.yaml has to name the one that decides, "
        "by decision: envoy/authz/allow\n"
    )
    (project / "palisade.yaml").write_text(SETTINGS + "decision: envoy/authz/allow\n")
    assert run("check", "policies").err == ""


def test_the_only_rule_called_allow_is_asked_about_requests(run: Run, project: Path) -> None:
    """compile and verify take it for the decision; check alone warned of nothing that no request has."""
    (project / "palisade.yaml").unlink()
    rules = project / "policies" / "allow.rego"
    rules.write_text('package envoy.authz\n\nallow if input.zzz == "alice"\n')
    assert "input.zzz is undefined in all requests" in run("check", "policies").err
    with rules.open("a") as text:
        text.write("\nother.allow if true\n")
    assert "undefined" not in run("check", "policies").err, "which of two decides is not known"
