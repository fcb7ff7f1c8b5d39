"""Going back to a revision that was kept: at once, over a restart, and until the files are edited."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
from pathlib import Path

import httpx
import pytest
from control_helpers import ALLOW, SETTINGS, Following, Project, document, version
from shared_helpers import run

from palisade.control import admin, announced
from palisade.control.engine import Engine
from palisade.control.releases import ReleaseError
from palisade.control.status import problems, status
from palisade.decide.question import Evaluation
from palisade.policy.history import Cause, History
from palisade.rego.errors import CompileError, Diagnostic, Location


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def allows(engine: Engine, path: str) -> bool:
    return evaluate(engine, path) is True


def evaluate(engine: Engine, path: str, function: str = "hello") -> object:
    decided = engine.rollout.decide(function, document(path))
    assert isinstance(decided, Evaluation)
    return decided.value


async def edited(project: Project, following: Following, path: str) -> str:
    project.open_path(path)
    before = following.engine.deployment
    reload = await following.until(lambda each: before is None or each.revision != before.id)
    return reload.revision


def causes(project: Project) -> list[str]:
    return [str(each.cause) for each in History.of(project.root / ".palisade").entries()]


def test_a_rollback_puts_the_revision_before_in_force_and_again_the_one_before_that(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            first = version(engine)
            second = await edited(project, following, "/b")
            await edited(project, following, "/c")
            done = await engine.releases.rollback()
            assert (done.revision, done.pinned, done.kept) == (second, True, True)
            assert version(engine) == second
            assert (allows(engine, "/b"), allows(engine, "/c")) == (True, False)
            assert (await engine.releases.rollback()).revision == first
            with pytest.raises(ReleaseError, match="no revision was in force before"):
                await engine.releases.rollback()
            assert version(engine) == first
            shown = status(engine)
            assert (shown["revision"]["cause"], shown["revision"]["pinned"]) == ("rollback", True)
            assert problems(engine) == [], "what was asked for is no trouble"

    run(session())
    assert causes(project) == ["start", "edit", "edit", "rollback", "rollback"]


def test_a_rollback_stays_over_a_restart_and_ends_with_the_next_edit(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            await edited(project, following, "/b")
            await engine.releases.rollback()
        async with Engine(project.file) as engine:
            assert engine.releases.pinned
            assert not allows(engine, "/b"), "the files still say what was rolled back from"
            following = Following(engine)
            await edited(project, following, "/c")
            assert not engine.releases.pinned
            assert allows(engine, "/c")
        async with Engine(project.file) as engine:
            assert allows(engine, "/c")

    run(session())
    assert causes(project) == ["start", "edit", "rollback", "edit"]


def test_a_rollback_that_the_engine_s_end_cuts_is_in_force_again_after_a_restart(project: Project) -> None:
    """What was rolled back from must not come back where the sidecars have left it."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            first = version(engine)
            await edited(project, Following(engine), "/b")
            rollback = asyncio.create_task(engine.releases.rollback())
            while version(engine) != first:  # noqa: ASYNC110 -- at that very moment
                await asyncio.sleep(0)
            rollback.cancel()
        async with Engine(project.file) as engine:
            assert version(engine) == first

    run(session())
    assert causes(project) == ["start", "edit", "rollback"]


def test_a_rollback_stays_over_edits_with_errors_and_over_those_that_only_change_functions(
    project: Project,
) -> None:
    more = SETTINGS.replace("engine:", "  orders: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0}\nengine:")

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            await edited(project, following, "/b")
            await engine.releases.rollback()
            good = project.allow.read_text()
            project.allow.write_text(ALLOW + "\nallow if x\n")
            await following.until(lambda each: bool(each.errors))
            assert not allows(engine, "/b")
            project.allow.write_text(good)
            await following.until(lambda each: not each.errors)
            assert not allows(engine, "/b"), "the files say again what was rolled back from"
            project.set_up(more)
            await following.until(lambda _: "orders" in engine.inventory.functions)
            assert not allows(engine, "/b")
            assert evaluate(engine, "/b", "orders") is False
            assert version(engine, "orders") == version(engine) == status(engine)["revision"]["id"]
            assert engine.releases.pinned

    run(session())


def test_resuming_takes_what_the_files_say(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            with pytest.raises(ReleaseError, match="nothing is pinned"):
                await engine.releases.resume()
            second = await edited(project, following, "/b")
            await engine.releases.rollback()
            done = await engine.releases.resume()
            assert (done.revision, done.pinned) == (second, False)
            assert allows(engine, "/b")

    run(session())


def test_a_revision_is_rolled_back_to_by_its_id(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            first = version(engine)
            assert first is not None
            second = await edited(project, following, "/b")
            await edited(project, following, "/c")
            assert (await engine.releases.rollback(first[:8])).revision == first
            with pytest.raises(ReleaseError, match="is in force already"):
                await engine.releases.rollback(first)
            with pytest.raises(ReleaseError, match="no revision 'nope' is kept"):
                await engine.releases.rollback("nope")
            assert (await engine.releases.rollback(second)).revision == second

    run(session())


def test_going_back_to_what_the_files_say_pins_nothing(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            second = await edited(project, following, "/b")
            await engine.releases.rollback()
            assert not (await engine.releases.rollback(second)).pinned

    run(session())


def test_what_decides_in_palisade_yaml_comes_back_too(project: Project) -> None:
    """The entry point and the hosts are part of a revision; functions and addresses are those of now."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            before = version(engine)
            project.allow.write_text(ALLOW + '\nother if input.attributes.request.http.path == "/other"\n')
            project.file.write_text(SETTINGS + "decision: palisade/identity/other\n")
            await following.until(lambda _: engine.inventory.decision.endswith("other"))
            assert allows(engine, "/other")
            await engine.releases.rollback(before or "")
            assert engine.inventory.decision == "palisade/identity/allow"
            assert (allows(engine, "/other"), allows(engine, "/open")) == (False, True)

    run(session())


def test_a_rollback_works_though_nothing_can_be_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            await edited(project, following, "/b")
            monkeypatch.setattr("palisade.policy.history.write_atomic", full)
            done = await engine.releases.rollback()
            assert not done.kept
            assert not allows(engine, "/b")
            assert "No space left" in problems(engine)[0]

    run(session())


def test_on_a_full_disk_going_back_leads_to_the_newest_that_was_kept_and_then_further(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in force could not be kept itself: it is not the newest entry that must be passed over."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            await edited(project, following, "/b")
            await edited(project, following, "/c")
            monkeypatch.setattr("palisade.policy.history.write_atomic", full)
            await edited(project, following, "/d")
            await engine.releases.rollback()
            assert allows(engine, "/c")
            await engine.releases.rollback()
            assert allows(engine, "/b")

    run(session())


def test_a_rollback_that_cannot_be_read_after_a_restart_is_a_problem(project: Project) -> None:
    """What was rolled back from is in force again, as the entry before says: that must not go unseen."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            await edited(project, following, "/b")
            done = await engine.releases.rollback()
        newest = max((project.root / ".palisade" / "history").iterdir())
        newest.write_bytes(newest.read_bytes()[:50])
        async with Engine(project.file) as engine:
            assert allows(engine, "/b")
            [problem] = problems(engine)
            assert f"palisade rollback {done.revision}" in problem
            await engine.releases.rollback(done.revision)
            assert not allows(engine, "/b")
            assert problems(engine) == []

    run(session())


def test_keys_that_come_during_an_edit_do_not_bring_the_old_revision_back(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            for turn in range(5):
                before = version(engine)
                project.open_path(f"/new{turn}")
                renewing = [asyncio.create_task(engine.releases.renew()) for _ in range(20)]
                await following.until(lambda each: each.revision != before)  # noqa: B023 - asked at once
                await asyncio.gather(*renewing)
                assert allows(engine, f"/new{turn}")

    run(session())


# The socket -------------------------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def gone(path: Path) -> bool:
    return not os.path.lexists(path)


def client(state: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=announced.ask(state, announced.CONTROL))
    return httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=60)


def test_what_changes_the_engine_is_on_a_socket_for_its_user_alone(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine, admin.serve(engine) as address:
            following = Following(engine)
            await edited(project, following, "/b")
            state = engine.inventory.engine.state
            path = Path(announced.ask(state, announced.CONTROL))
            assert (mode(path), mode(path.parent)) == (0o600, 0o700)
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as tcp:
                for action in ("rollback", "resume"):
                    assert (await tcp.post(f"/{action}", json={})).status_code == 404
            async with client(state) as local:
                assert (await local.get("/rollback")).status_code == 405
                assert (await local.post("/rollback", content=b"[1")).status_code == 400
                assert (await local.post("/rollback", json={"revision": 7})).status_code == 409
                assert allows(engine, "/b")
                answer = await local.post("/rollback", json={})
                assert answer.json()["cause"] == Cause.ROLLBACK
                assert not allows(engine, "/b")
                refused = await local.post("/rollback", json={})
                assert refused.status_code == 409
                assert "no revision was in force before" in refused.json()["error"]
        assert announced.ask(state, announced.CONTROL) == ""
        assert gone(path)

    run(session())


def test_another_user_is_refused_at_the_socket(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    async def session() -> None:
        async with (
            Engine(project.file) as engine,
            admin.serve(engine),
            client(engine.inventory.engine.state) as local,
        ):
            monkeypatch.setattr("palisade.control.local._peer", lambda _: 4711)
            assert (await local.post("/rollback", json={})).status_code == 403

    run(session())


def test_the_socket_is_found_however_deep_the_state_folder_lies(project: Project, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    shutil.copytree(project.root, deep, ignore=shutil.ignore_patterns("x*"))
    moved = Project(deep)

    async def session() -> None:
        async with Engine(moved.file) as engine, admin.serve(engine):
            state = engine.inventory.engine.state
            path = Path(announced.ask(state, announced.CONTROL))
            assert (mode(path), mode(path.parent)) == (0o600, 0o700)
            async with client(state) as local:
                assert (await local.post("/resume", json={})).status_code == 409
        assert gone(path.parent)

    run(session())


def test_a_socket_that_a_killed_engine_left_is_replaced(project: Project) -> None:
    async def session() -> None:
        left = project.root / ".palisade" / "control" / "socket"
        left.parent.mkdir(parents=True)
        left.touch()
        async with (
            Engine(project.file) as engine,
            admin.serve(engine),
            client(engine.inventory.engine.state) as local,
        ):
            assert (await local.post("/resume", json={})).status_code == 409

    run(session())


def test_what_the_backend_refuses_is_said_and_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            await edited(project, following, "/b")

            async def refuses(_: object) -> None:
                error = Diagnostic("backend_error", "not this one", Location("a.rego", 1, 1))
                raise CompileError([error])

            monkeypatch.setattr(engine.backend, "publish", refuses)
            with pytest.raises(ReleaseError, match="cannot be put in force") as refused:
                await engine.releases.rollback()
            assert refused.value.errors[0].message == "not this one"
            assert allows(engine, "/b")
            assert not engine.releases.pinned

    run(session())
