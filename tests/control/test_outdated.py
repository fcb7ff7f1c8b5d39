"""Revisions that were kept by a version of Palisade that took what this one refuses."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from control_helpers import ALLOW, Following, Project, document, version
from shared_helpers import run

from palisade.control.engine import Engine
from palisade.control.releases import OUTDATED, ReleaseError
from palisade.decide.question import Evaluation
from palisade.policy.history import Cause, Entry, History

MISSPELT = ALLOW + "\nallow if data.palisade.lib.misspelt.open\n"


def _keep(project: Project, *, pinned: bool) -> Entry:
    """Keeps a revision that misspells a name of the library: once that was undefined, now it is an error."""
    history = History.of(project.root / ".palisade")
    entries = history.entries()
    modules = MappingProxyType({"identity/allow.rego": MISSPELT})
    outdated = replace(
        entries[0],
        id="0123456789ab",
        policy_set=replace(entries[0].policy_set, modules=modules, digest="of another set"),
        cause=Cause.ROLLBACK if pinned else Cause.EDIT,
        over=entries[-1].deciding if pinned else "",
    )
    return history.add(outdated, keep=50)


async def _once(project: Project) -> None:
    async with Engine(project.file):
        pass


def test_going_back_to_one_is_refused_and_says_why_and_what_to_do(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            before = version(engine)
            outdated = _keep(project, pinned=False)
            with pytest.raises(ReleaseError, match="0123456789ab does not compile any more") as raised:
                await engine.releases.rollback(outdated.id)
            assert "palisade history show 0123456789ab" in raised.value.hint
            [error] = raised.value.errors
            assert (error.location.row, "misspelt" in error.message) == (7, True)
            assert version(engine) == before

    run(session())


def test_after_a_restart_one_that_is_pinned_is_told_and_nothing_takes_its_place(project: Project) -> None:
    """What the files say is what somebody went back from: it is in force when that is asked for."""

    async def session() -> None:
        await _once(project)
        _keep(project, pinned=True)
        async with Engine(project.file) as engine:
            assert engine.deployment is None
            assert engine.last is not None
            first = next(each for each in engine.last.errors if each.code == OUTDATED)
            assert "0123456789ab does not compile any more, and stays in force by rollback" in first.message
            assert "palisade rollback --resume" in first.hint
            assert any("misspelt" in each.message for each in engine.last.errors)
            await engine.releases.resume()
            decided = engine.rollout.decide("hello", document("/open"))
            assert isinstance(decided, Evaluation)
            assert decided.value is True

    run(session())


def test_an_edit_takes_the_place_of_one_that_is_pinned(project: Project) -> None:
    async def session() -> None:
        await _once(project)
        _keep(project, pinned=True)
        async with Engine(project.file) as engine:
            following = Following(engine)
            project.open_path("/new")
            reload = await following.until(lambda each: not each.errors)
            assert version(engine) == reload.revision

    run(session())
