"""A shadow is set, followed, promoted, and never touches what is in force."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from control_helpers import ALLOW, SETTINGS, Following, Project, document, version
from shared_helpers import beside, eventually, run

from palisade.control import loading
from palisade.control.engine import Engine
from palisade.control.metrics import render
from palisade.control.releases import ReleaseError
from palisade.control.shadowing import Outcome, Unsure
from palisade.control.status import problems, status
from palisade.decide.shadow import Shadowed
from palisade.enforce.envoy import compile_sidecar
from palisade.policy.history import History

THREE = SETTINGS.replace(
    "engine:", "".join(f"  {n}: {{upstream: 127.0.0.1:9, listen: 127.0.0.1:0}}\n" for n in "ab") + "engine:"
)


@pytest.fixture
def following(project: Project) -> Path:
    """The folder of a set that allows another path."""
    folder = project.root / "next"
    shutil.copytree(project.root / "policies", folder)
    write(folder, ALLOW.replace("/open", "/opened"))
    return folder


def write(folder: Path, text: str) -> None:
    (folder / "identity" / "allow.rego").write_text(text)


def causes(project: Project) -> list[str]:
    return [str(each.cause) for each in History.of(project.root / ".palisade").entries()]


def test_a_shadow_changes_nothing_but_what_is_reported(project: Project, following: Path) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            before = engine.cache.snapshot("hello")
            await engine.set_shadow(following)
            after = engine.cache.snapshot("hello")
            assert before is not None
            assert after is not None
            assert before.version != after.version
            assert version(engine) == engine.deployment.id if engine.deployment else ""
            shown = status(engine)["shadow"]
            assert (shown["compared"], shown["notes"], shown["errors"]) == (True, [], [])
            assert problems(engine) == []
            await engine.set_shadow(None)
            again = engine.cache.snapshot("hello")
            assert again is not None
            assert again.resources == before.resources, "without a shadow there is no trace of one"
            assert status(engine)["shadow"] is None
            with pytest.raises(ReleaseError, match="no shadow is set"):
                await engine.set_shadow(None)
        assert causes(project) == ["start"]

    run(session())


def test_a_set_with_errors_is_no_shadow(project: Project, following: Path) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            write(following, ALLOW + "\nallow if x\n")
            with pytest.raises(ReleaseError, match="have errors") as refused:
                await engine.set_shadow(following)
            assert [each.row for each in refused.value.errors] == [7]
            with pytest.raises(ReleaseError) as refused:
                await engine.set_shadow(following / "nowhere")
            assert "does not exist" in refused.value.errors[0].message
            assert status(engine)["shadow"] is None

    run(session())


def test_a_shadow_is_followed_and_a_broken_edit_of_it_touches_nothing(
    project: Project, following: Path
) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            await engine.set_shadow(following)
            first = status(engine)["shadow"]["revision"]
            in_force = version(engine)
            write(following, ALLOW.replace("/open", "/later"))
            await eventually(lambda: status(engine)["shadow"]["revision"] != first)
            second = status(engine)["shadow"]["revision"]
            write(following, ALLOW + "\nallow if x\n")
            await eventually(lambda: status(engine)["shadow"]["errors"])
            assert status(engine)["shadow"]["revision"] == second, "the one before is compared still"
            assert "the shadow in" in problems(engine)[0]
            assert (version(engine), engine.last and engine.last.errors) == (in_force, ())
            with pytest.raises(ReleaseError, match="have errors"):
                await engine.releases.promote()
            project.open_path("/new")
            await Following(engine).until(lambda each: each.revision != in_force)
            write(following, ALLOW.replace("/open", "/latest"))
            await eventually(lambda: not problems(engine))

    run(session())


def test_a_shadow_is_set_again_after_a_restart(project: Project, following: Path) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            await engine.set_shadow(following)
            before = status(engine)["shadow"]["revision"]
        async with Engine(project.file) as engine:
            shown = status(engine)["shadow"]
            assert (shown["revision"], shown["compared"]) == (before, True)
        write(following, "broken")
        async with Engine(project.file) as engine:
            assert version(engine)
            assert status(engine)["shadow"]["errors"]

    run(session())


def test_a_shadow_in_another_folder_is_not_the_one_before(project: Project, following: Path) -> None:
    """Which was being read meanwhile: until the next reading it would be compared, and could be promoted."""
    other = shutil.copytree(following, project.root / "other")
    write(other, ALLOW.replace("/open", "/other"))

    async def session() -> None:
        async with Engine(project.file, watch=False) as engine:
            await engine.set_shadow(following)
            reading = loading.read(project.file, engine.releases.known)
            await engine.set_shadow(other)
            wanted = status(engine)["shadow"]["revision"]
            await engine.releases.follow(reading)
            assert status(engine)["shadow"]["revision"] == wanted

    run(session())


def test_a_shadow_that_cannot_be_lowered_leaves_what_is_in_force_alone(
    project: Project, following: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(revision: Any, function: Any, keys: Any, shadow: Any = None, **more: Any) -> Any:
        if shadow is not None:
            raise KeyError("a fault")
        return compile_sidecar(revision, function, keys, **more)

    async def session() -> None:
        async with Engine(project.file) as engine:
            monkeypatch.setattr(loading, "compile_sidecar", fails)
            await engine.set_shadow(following)
            shown = status(engine)["shadow"]
            assert not shown["compared"]
            assert "a fault" in shown["notes"][0]
            before = version(engine)
            project.open_path("/new")
            await Following(engine).until(lambda each: each.revision != before and not each.errors)

    run(session())


def test_promoting_pins_the_shadow_until_the_files_say_something_new(
    project: Project, following: Path
) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            with pytest.raises(ReleaseError, match="no shadow is set"):
                await engine.releases.promote()
            await engine.set_shadow(following)
            shadow = status(engine)["shadow"]["revision"]
            done = await engine.releases.promote()
            assert (done.revision, done.cause, done.pinned) == (shadow, "promote", True)
            assert version(engine) == shadow
            shown = status(engine)
            assert shown["shadow"] is None, "it is in force: there is nothing to compare"
            assert shown["engine"]["policies"] == str(project.root / "policies")
        shutil.rmtree(following)
        async with Engine(project.file) as engine:
            assert version(engine) == shadow, "over a restart, and without its folder"
            # What the message advises: the files of the shadow where palisade.yaml looks for policies.
            write(project.root / "policies", ALLOW.replace("/open", "/opened"))
            await eventually(lambda: not engine.releases.pinned)
            assert version(engine) == shadow

    run(session())
    assert causes(project) == ["start", "promote", "edit"]


def test_a_promotion_is_rolled_back(project: Project, following: Path) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            before = version(engine)
            await engine.set_shadow(following)
            await engine.releases.promote()
            done = await engine.releases.rollback()
            assert (done.revision, done.pinned) == (before, False)

    run(session())


def test_a_canary_is_at_a_share_of_the_functions_until_it_is_promoted_or_ended(
    project: Project, following: Path
) -> None:
    project.file.write_text(THREE)

    def versions(engine: Engine) -> set[str | None]:
        return {version(engine, name) for name in engine.inventory.functions}

    async def session() -> None:
        async with Engine(project.file) as engine:
            base = version(engine)
            await engine.set_shadow(following)
            done = await engine.releases.promote("34%")
            [where] = done.functions
            assert version(engine, where) == done.revision != base
            assert versions(engine) == {base, done.revision}
            shown = status(engine)
            assert shown["canary"] | {"since": 0} == {
                "revision": done.revision,
                "share": "34%",
                "functions": [where],
                "since": 0,
            }
            assert shown["revision"]["id"] == base
            assert shown["functions"][where]["wanted"] == done.revision
            more = await engine.releases.promote("67%")
            assert where in more.functions
            assert len(more.functions) == 2
            ended = await engine.releases.rollback()
            assert (ended.revision, ended.pinned) == (base, False)
            assert versions(engine) == {base}
            assert status(engine)["canary"] is None
            await engine.releases.promote("34%")
        async with Engine(project.file) as engine:
            assert version(engine, where) == done.revision, "it goes on over a restart"
            assert versions(engine) == {base, done.revision}
            whole = await engine.releases.promote()
            assert versions(engine) == {whole.revision} == {done.revision}
            assert (await engine.releases.rollback()).revision == base

    run(session())
    assert causes(project) == ["start", "canary", "canary", "rollback", "canary", "promote", "rollback"]


def test_an_edit_ends_a_canary_and_other_functions_do_not(project: Project, following: Path) -> None:
    async def session() -> None:
        async def told_all_the_time(engine: Engine) -> None:
            while status(engine)["canary"] is not None:  # noqa: ASYNC110 -- it looks at each turn of the loop
                await asyncio.sleep(0)
            pytest.fail("for a moment the status tells of no canary")

        async with Engine(project.file) as engine:
            await engine.set_shadow(following)
            done = await engine.releases.promote("50%")
            assert done.functions == ("hello",), "at one at least"
            history = History.of(project.root / ".palisade")
            async with beside(told_all_the_time(engine)):
                project.set_up(THREE)
                await eventually(lambda: version(engine, "a") and version(engine, "b"))
                await eventually(lambda: len(history.entries()) == 4)
            canary = status(engine)["canary"]
            assert len(canary["functions"]) == 1
            assert version(engine, canary["functions"][0]) == canary["revision"]
            project.open_path("/new")
            await eventually(lambda: status(engine)["canary"] is None)
            await eventually(lambda: len({version(engine, name) for name in engine.inventory.functions}) == 1)
            # Kept after it was pushed: an engine that ends in between keeps it at its next start.
            await eventually(lambda: history.entries()[-1].note.startswith("ended the canary of"))

    run(session())


def test_a_share_must_be_one(project: Project, following: Path) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            await engine.set_shadow(following)
            with pytest.raises(ReleaseError, match="write it as 25%"):
                await engine.releases.promote("a few")

    run(session())


def test_a_shadow_that_says_what_is_in_force_is_not_compared(project: Project, following: Path) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            write(following, ALLOW)
            await engine.set_shadow(following)
            shown = status(engine)["shadow"]
            assert (shown["compared"], shown["notes"]) == (False, ["it says what is in force"])
            with pytest.raises(ReleaseError, match="nothing to promote"):
                await engine.releases.promote()

    run(session())


# Comparing --------------------------------------------------------------------------------------------------


def test_residual_decisions_are_compared_by_evaluating_both(project: Project, following: Path) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            compare = engine.shadowing.residual
            assert compare("hello", document("/open"), True) is None, "there is no shadow"
            await engine.set_shadow(following)
            shadow = status(engine)["shadow"]["revision"]

            async def difference(path: str, allowed: bool) -> Shadowed | None:
                waiting = compare("hello", document(path), allowed)
                assert waiting is not None
                return await waiting

            opened = await difference("/opened", False)
            assert opened is not None
            assert (opened.revision, opened.allowed) == (shadow, True)
            assert opened.rule.endswith("next/identity/allow.rego:5")
            assert (await difference("/open", True)) is not None
            assert (await difference("/closed", False)) is None
            assert status(engine)["shadow"]["requests"] == {
                "same": 1,
                "newly_allowed": 1,
                "newly_denied": 1,
                "undecided": 0,
            }
            assert b'palisade_shadow_decisions_total{outcome="newly_allowed"} 1.0' in render(engine)
            assert f'palisade_shadow{{revision="{shadow}"}} 1.0'.encode() in render(engine)
            before = version(engine)
            project.open_path("/new")
            await Following(engine).until(lambda each: each.revision != before)
            assert not any(status(engine)["shadow"]["requests"].values()), "another pair, counted anew"
            assert engine.shadowing.totals[Outcome.NEWLY_ALLOWED] == 1

    run(session())


def test_what_is_compared_never_waits_without_bound(
    project: Project, following: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palisade.control.shadowing._MOST_WAITING", 2)

    async def session() -> None:
        async with Engine(project.file) as engine:
            await engine.set_shadow(following)
            waiting = [engine.shadowing.residual("hello", document("/open"), True) for _ in range(5)]
            started = [asyncio.ensure_future(each) for each in waiting if each is not None]
            await asyncio.sleep(0)
            assert engine.shadowing.residual("hello", document("/open"), True) is None
            await asyncio.gather(*started)
            assert engine.shadowing.totals[Outcome.UNDECIDED] >= 1
            assert engine.shadowing.undecided["hello", Unsure.BUSY].latest == "/open"

    run(session())
