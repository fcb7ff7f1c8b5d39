"""Going back by commands: what they print, and how they end where they cannot."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import certifi
import pytest
from cli_helpers import ALLOW, SETTINGS, Ended, Run
from rich.console import Console

from palisade.cli import status
from palisade.control import admin
from palisade.control.engine import Engine, Reload
from palisade.policy.history import History

MORE = ALLOW + '\nallow if input.parsed_path == ["more"]\n'


@pytest.fixture
def served(project: Path) -> Callable[[Callable[[], Any]], Any]:
    """Runs commands while an engine serves, after one edit."""
    (project / "palisade.yaml").write_text(
        SETTINGS + "engine: {listen: 127.0.0.1:0, admin: 127.0.0.1:0}\ndecision_log: {path: log}\n"
    )

    def serve(commands: Callable[[], Any]) -> Any:
        async def session() -> Any:
            async with Engine(project / "palisade.yaml") as engine, admin.serve(engine):
                first, reloads = engine.deployment, asyncio.Queue[Reload]()
                assert first is not None
                engine.on_reload(reloads.put_nowait)
                (project / "policies" / "allow.rego").write_text(MORE)
                async with asyncio.timeout(60):
                    while (await reloads.get()).revision == first.id:
                        pass
                    return await asyncio.to_thread(commands)

        return asyncio.run(session())

    return serve


def test_history_lists_shows_and_compares(run: Run, project: Path, served: Any) -> None:
    served(lambda: None)
    listed = run("history")
    assert listed.code == 0
    entries = run("history", "--output", "json").json
    assert [each["by"] for each in entries] == ["edit", "start"]
    new, old = (each["revision"] for each in entries)
    lines = listed.out.splitlines()
    assert lines[1].startswith(new)
    assert "2 native, 1 conditional" in lines[1]
    assert "1 native, 1 conditional" in lines[2]
    assert [each["rules"] for each in entries] == [
        {"native": 2, "conditional": 1, "residual": 0},
        {"native": 1, "conditional": 1, "residual": 0},
    ]
    shown = run("history", "show", old[:6])
    assert "# allow.rego" in shown.out
    assert "rules      1 native, 1 conditional" in shown.out
    assert "more" not in shown.out
    assert run("history", "show", old, "-o", "json").json["modules"] == {"allow.rego": ALLOW}
    compared = run("history", "diff", old, new)
    assert compared.code == 1
    assert '+allow if input.parsed_path == ["more"]' in compared.out.splitlines()
    assert f"--- {old}/allow.rego" in compared.out
    # Tabs stay: what is shown can be saved, and the difference be given to `patch`.
    assert ALLOW in shown.out
    assert ' \t"audiences": ["a"],' in compared.out.splitlines()
    assert run("history", "diff", new, new).code == 0


def test_a_revision_that_does_not_compile_any_more_says_so(run: Run, project: Path, served: Any) -> None:
    """It misspells a name of the library, which was undefined once and is an error now."""
    served(lambda: None)
    history = History.of(project / ".palisade")
    kept = history.entries()[-1]
    modules = MappingProxyType({"allow.rego": ALLOW + "\nallow if data.palisade.lib.misspelt.open\n"})
    outdated = replace(kept.policy_set, modules=modules, digest="of another set")
    history.add(replace(kept, id="0123456789ab", policy_set=outdated), keep=50)
    shown = run("history", "show", "0123")
    assert "revision 0123456789ab does not compile any more" in shown.out
    assert "data.palisade.lib.misspelt" in shown.err
    [error] = run("history", "show", "0123", "-o", "json").json["errors"]
    assert "allow.rego" in error
    assert run("history", "show", kept.id, "-o", "json").json["errors"] == []
    compared = run("diff", "0123", "policies")
    assert compared.code not in (0, 1)
    assert "revision 0123456789ab does not compile any more" in compared.err
    assert "palisade history show 0123456789ab" in " ".join(compared.err.split())


def test_addresses_stay_whole_in_a_terminal_of_80_columns(
    run: Run, project: Path, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = served(lambda: run("status", "-o", "json")).json
    (function,) = state["functions"].values()
    addresses = {"listen": "127.0.0.1:28182", "upstream": "127.0.0.1:28082"}
    ready = {"connected": True, "running": function["wanted"]}
    state["functions"] = {"hello": function, "orders": {**function, **ready, **addresses, "tls": {"a": 1}}}
    shown = io.StringIO()
    monkeypatch.setattr(status, "out", lambda: Console(file=shown, width=80, soft_wrap=True))
    status.show(state)
    lines = shown.getvalue().splitlines()
    (hello,) = (line for line in lines if line.startswith("hello "))
    (orders,) = (line for line in lines if line.startswith("orders "))
    assert "not connected" in hello
    assert orders.split()[:4] == ["orders", "https://127.0.0.1:28182", "127.0.0.1:28082", function["wanted"]]


def test_rollback_goes_back_and_resume_forward(
    run: Run, project: Path, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing here reads the authorities that the machine trusts, which takes longer than all else."""
    monkeypatch.setattr(certifi, "where", lambda: pytest.fail("authorities are read"))

    def commands() -> tuple[Ended, Ended, Ended, Ended]:
        return run("rollback"), run("status"), run("rollback"), run("rollback", "--resume", "-o", "json")

    back, status, nothing, resumed = served(commands)
    entries = run("history", "-o", "json").json
    assert back.code == 0
    assert f"revision {entries[-1]['revision']} is in force: rollback as of" in back.out
    assert "pinned until policies are edited" in status.out
    assert "no sidecar of hello is connected" in status.out
    assert status.code == 1
    assert nothing.code == 1
    assert "no revision was in force before" in nothing.err
    assert resumed.json["pinned"] is False
    assert [each["by"] for each in entries] == ["resume", "rollback", "edit", "start"]


def test_a_rollback_works_though_palisade_yaml_is_broken(run: Run, project: Path, served: Any) -> None:
    """Where something else than the engine's settings is wrong, as when a folder is being moved, it works as
    ever, and so does the status, which tells what is wrong."""

    def commands() -> tuple[Ended, ...]:
        file = project / "palisade.yaml"
        file.write_text(file.read_text() + "functoins: x\n")
        known = run("status"), run("rollback")
        file.write_text("policies: [")
        return *known, run("rollback"), run("rollback", "--state", ".palisade")

    status, back, refused, done = served(commands)
    assert (status.code, "revision  " in status.out) == (1, True)
    assert back.code == 0
    assert refused.code == 2
    assert (done.code, "no revision was in force before" in done.err) == (1, True)


def test_without_an_engine_there_is_nothing_to_roll_back(run: Run, project: Path) -> None:
    ended = run("rollback")
    assert ended.code == 3
    assert "start one with" in ended.err
    assert run("rollback", "--state", "nowhere").code == 2
    assert run("rollback", "abc", "--resume").code == 2
    assert run("history").out == "no revision was put in force yet\n"
    assert run("history", "show", "abc").code == 2
