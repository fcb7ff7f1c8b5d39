"""The commands around a shadow: what they print, and how they end where there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import ALLOW, SETTINGS, Ended, Run

from palisade.cli.shadow import _show
from palisade.cli.watching import line
from palisade.control import admin
from palisade.control.engine import Engine
from palisade.control.shadowing import Unsure


@pytest.fixture
def served(project: Path) -> Callable[[Callable[[], Any]], Any]:
    """Runs commands while an engine serves, with another set in the folder `next`."""
    (project / "palisade.yaml").write_text(
        SETTINGS + "engine: {listen: 127.0.0.1:0, admin: 127.0.0.1:0}\ndecision_log: {path: log}\n"
    )
    (project / "next").mkdir()
    (project / "next" / "allow.rego").write_text(ALLOW.replace('"open"', '"opened"'))

    def serve(commands: Callable[[], Any]) -> Any:
        async def session() -> Any:
            async with Engine(project / "palisade.yaml") as engine, admin.serve(engine):
                return await asyncio.to_thread(commands)

        return asyncio.run(session())

    return serve


def test_a_shadow_is_set_shown_promoted_and_undone(run: Run, project: Path, served: Any) -> None:
    def commands() -> list[Ended]:
        return [
            run("shadow", "next"),
            run("shadow"),
            run("status"),
            run("promote", "--canary", "25%"),
            run("status"),
            run("rollback"),
            run("promote", "-o", "json"),
            run("shadow", "next", "-o", "json"),
            run("shadow", "--off"),
        ]

    set_, compared, shown, canary, out, ended, promoted, again, off = served(commands)
    assert [each.code for each in (set_, canary, ended, promoted, again, off)] == [0] * 6
    revision = promoted.json["revision"]
    assert f"shadow {revision} from {project / 'next'}" in set_.out
    assert f"shadow    {revision}" in shown.out
    assert f"shadow    {revision}" in compared.out
    assert "requests: none yet" in shown.out
    assert f"revision {revision} is in force at hello: canary 25% of the functions" in canary.out
    assert f"canary    {revision}, 25%: hello" in out.out
    assert f"ended the canary of {revision}" in ended.out
    assert promoted.json["pinned"] is True
    assert again.json["notes"] == ["it says what is in force"]
    assert "no shadow is compared" in off.out


def test_errors_of_a_shadow_are_shown_with_their_lines(run: Run, project: Path, served: Any) -> None:
    (project / "bad").mkdir()
    (project / "bad" / "a.rego").write_text("package palisade.identity\n\nallow if x\n")
    ended = served(lambda: run("shadow", "bad"))
    assert ended.code == 1
    assert "bad/a.rego:3:10: rego_unsafe_var_error" in ended.err
    assert "the policies in" in ended.err


def test_without_a_shadow_there_is_nothing_to_promote(run: Run, project: Path, served: Any) -> None:
    for command in (("promote",), ("diff", "--live"), ("shadow",)):
        ended = served(lambda command=command: run(*command))
        assert ended.code == 1
        assert "set one: palisade shadow DIR" in ended.err


def test_what_came_of_a_shadow_is_told_by_function_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"same": 2, "newly_allowed": 0, "newly_denied": 1, "undecided": 3}
    _show(
        {
            "folder": "next",
            "revision": "abc",
            "compared": True,
            "requests": numbers,
            "functions": {"cart": numbers, "pay": dict.fromkeys(numbers, 0)},
            "notes": [],
            "errors": [],
            "undecided": [{"function": "cart", "why": str(Unsure.ENGINE), "requests": 3, "latest": "GET /x"}],
        }
    )
    told = capsys.readouterr().out
    assert "2 same, 1 newly denied, 3 undecided" in told
    assert "cart" in told
    assert "undecided at cart: GET /x, and 2 more" in told
    assert "palisade compile next --coverage" in told


def test_without_an_engine_they_say_so(run: Run, project: Path) -> None:
    for command in (("shadow", "next"), ("promote",), ("diff", "--live")):
        assert run(*command).code == 3, command
    assert run("shadow").code == 3
    assert run("promote", "--canary", "100%").code == 2
    assert run("shadow", "next", "--off").code == 2


def test_watching_ends_after_its_time(run: Run, project: Path, served: Any) -> None:
    _, ended = served(lambda: [run("shadow", "next"), run("diff", "--live", "--seconds", "0.5")])
    assert (ended.code, ended.out) == (0, "")
    assert "0 differences" in ended.err


def test_a_difference_is_one_line() -> None:
    event = {
        "timestamp": "2026-01-01T00:00:00.000000001Z",
        "input": {"attributes": {"request": {"http": {"method": "GET", "path": "/a"}}}},
        "result": True,
        "palisade": {
            "function": "hello",
            "decider": "native",
            "allowed": True,
            "rule": "policies/a.rego:3",
            "shadow": {"revision": "abc", "allowed": False, "rule": "next/a.rego:9"},
        },
    }
    text = line(json.loads(json.dumps(event))).plain
    assert text.endswith("allow GET    /a -> hello  native  policies/a.rego:3  shadow: deny next/a.rego:9")
