"""docs/reference/json.md names every member that commands print, and none that they do not."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import ALLOW, SETTINGS, Run

from palisade.control import admin
from palisade.control.engine import Engine

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))

REQUEST = ("GET /open", "--function", "hello")


def documented(section: str) -> set[str]:
    cells = re.findall(r"^\| (`.+?) \|", SECTIONS[section], re.M)
    return {path for cell in cells for path in re.findall(r"`([^`]+)`", cell)}


def members(value: Any, known: set[str], above: str = "") -> Iterable[str]:
    """The paths of the value's members, as deep as the page goes."""
    if isinstance(value, list):
        for each in value:
            yield from members(each, known, f"{above}[]")
    elif isinstance(value, dict):
        below = f"{above}." if above else ""
        named = not any(path.startswith(f"{below}NAME") for path in known)
        for key, each in value.items():
            path = f"{below}{key if named else 'NAME'}"
            deeper = any(other.startswith((f"{path}.", f"{path}[")) for other in known)
            if deeper:
                yield from members(each, known, path)
            else:
                yield path


def held(section: str, *printed: Any) -> None:
    known = documented(section)
    found = {path for each in printed for path in members(each, known)}
    above = {path for path in known if any(other.startswith((f"{path}.", f"{path}[")) for other in known)}
    assert found == known - above


def test_check(run: Run, project: Path) -> None:
    (project / "policies" / "b.rego").write_text("package b\n\np if data.palisade.lib.clams\n")
    held("check", run("check", "policies", "-o", "json").json | {"warnings": []})
    (project / "policies" / "b.rego").write_text("package b\n\np if data.x\n")
    found = run("check", "policies", "-o", "json").json
    held("check", {"errors": found["warnings"], "warnings": []})


def test_compile(run: Run, project: Path) -> None:
    held("compile", run("compile", "-o", "json").json)


def test_explain(run: Run, project: Path) -> None:
    asked = ("GET /closed", "--claim", 'roles=["writer"]')
    held("explain", *(run("explain", *each, "-o", "json").json for each in (REQUEST, asked)))


def test_diff(run: Run, project: Path) -> None:
    (project / "next").mkdir()
    (project / "next" / "allow.rego").write_text(ALLOW.replace('"open"', '"opened"'))
    found = run("diff", "policies", "next", "--examples", "200", "--seed", "1", "-o", "json")
    assert found.code == 1
    held("diff", found.json)


def test_verify(run: Run, project: Path) -> None:
    held("verify", run("verify", "-f", "palisade.yaml", "--examples", "40", "-o", "json").json)


def test_status_and_history(run: Run, project: Path) -> None:
    engine = "engine: {listen: 127.0.0.1:0, admin: 127.0.0.1:0}\ndecision_log: {path: log}\n"
    (project / "palisade.yaml").write_text(SETTINGS + engine)

    async def session() -> Any:
        async with Engine(project / "palisade.yaml") as running, admin.serve(running):
            return await asyncio.to_thread(lambda: run("status", "-o", "json"))

    held("status", asyncio.run(session()).json)
    held("history", run("history", "-o", "json").json)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_names_members(section: str) -> None:
    assert documented(section)
