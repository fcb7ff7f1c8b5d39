"""The engine follows its files, and nothing that is wrong with them changes what is in force."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from control_helpers import ALLOW, NEXT, SETTINGS, Following, Project, document, version
from shared_helpers import run

from palisade.control import admin, following, loading
from palisade.control.engine import Engine, Reload
from palisade.control.following import Files
from palisade.control.loading import Known
from palisade.control.status import problems
from palisade.decide.question import Evaluation
from palisade.policy.watcher import Watcher

ORDERS = "{upstream: 127.0.0.1:9, listen: 127.0.0.1:0}"


def test_an_edit_is_in_force_soon_after_it_is_saved(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            took = []
            while len(took) < 5 and min(took, default=1.0) >= 1:  # others may have a busy machine for a while
                before, path = version(engine), f"/new{len(took)}"
                assert engine.rollout.decide("hello", document(path)).value is False
                started = time.perf_counter()
                project.open_path(path)
                reload = await following.until(lambda each: each.revision != before)  # noqa: B023 - at once
                took.append(time.perf_counter() - started)
                assert reload.errors == ()
                assert version(engine) == reload.revision
                assert engine.rollout.decide("hello", document(path)).value is True
            assert min(took) < 1

    run(session())


def test_a_policy_that_may_wait_for_other_hosts_is_decided_beside_all_else(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            decided = engine.rollout.decide("hello", document("/open"))
            assert isinstance(decided, Evaluation)
        project.file.write_text(project.file.read_text() + "\nnetwork: {hosts: [127.0.0.1]}\n")
        async with Engine(project.file) as engine:
            waiting = engine.rollout.decide("hello", document("/open"))
            assert not isinstance(waiting, Evaluation)
            assert (await waiting).value is decided.value is True

    run(session())


def test_a_broken_edit_is_reported_and_changes_nothing(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            before = version(engine)
            project.allow.write_text(ALLOW + "\nallow if x\n\nallow if count(1, 2)\n")
            reload = await following.until(lambda each: bool(each.errors))
            assert [(each.row, each.code) for each in reload.errors] == [
                (7, "rego_unsafe_var_error"),
                (9, "rego_type_error"),
            ]
            assert reload.errors[0].file.endswith("policies/identity/allow.rego")
            assert version(engine) == before == reload.revision
            assert "2 errors" in problems(engine)[0]
            project.allow.write_text(ALLOW)
            await following.until(lambda each: not each.errors)
            assert version(engine) == before
            assert problems(engine) == []

    run(session())


@contextmanager
def no_more_files() -> Iterator[None]:
    """Whoever opens one is refused, as in a flood of connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 512), before[1]))
    try:
        with suppress(OSError):
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_is_wrong_with_a_file_that_somebody_is_just_writing_is_not_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors empty a file first. Word of that came after the reading, which told of an empty module."""
    hear = Watcher._hear

    def hear_late(*event: Any) -> None:
        time.sleep(0.1)
        hear(*event)

    async def session() -> None:
        files = Files(project.file)
        files.start()
        try:
            files.watch(await files.read(Known()))
            with project.allow.open("w") as file:
                assert await files.reread(Known()) is None
                file.write(ALLOW)
            await files.changed()
            assert (reading := await files.reread(Known())) is not None
            assert reading.errors == ()
        finally:
            files.close()

    monkeypatch.setattr(Watcher, "_hear", hear_late)
    monkeypatch.setattr(following, "_SETTLING", 0.5)
    run(session())


def test_an_edit_that_could_not_be_read_for_want_of_files_is_in_force_later(project: Project) -> None:
    """Nobody saves it once more, and the system tells of nothing: what it forbids would go on."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            before = version(engine)
            edited = project.root / "edited"
            edited.write_text(NEXT)
            with no_more_files():
                edited.replace(project.allow)
                reload = await following.until(lambda each: bool(each.errors))
                assert "cannot be read: Too many open files" in reload.errors[0].message
                assert version(engine) == before
            await following.until(lambda each: not each.errors)
            assert version(engine) != before

    run(session())


def test_a_broken_inventory_changes_nothing(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            before = version(engine)
            project.file.write_text(SETTINGS.replace("upstream", "upstraem"))
            reload = await following.until(lambda each: bool(each.errors))
            assert "did you mean 'upstream'?" in reload.errors[0].hint
            assert version(engine) == before
            # The policies are followed all the same, so that the two can be mended in any order.
            project.open_path("/new")
            project.file.write_text(SETTINGS)
            await following.until(lambda each: not each.errors and each.revision != before)

    run(session())


def test_functions_come_and_go_with_the_inventory(project: Project) -> None:
    more = SETTINGS.replace("engine:", "  orders: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0}\nengine:")

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            project.set_up(more)
            await following.until(lambda _: "orders" in engine.inventory.functions)
            assert version(engine, "orders") == version(engine, "hello") is not None
            assert (engine.credentials.folder("orders") / "certificate.pem").exists()
            project.set_up(SETTINGS)
            await following.until(lambda _: "orders" not in engine.inventory.functions)
            assert version(engine, "orders") is None

    run(session())


def test_the_policies_may_vanish_and_come_back(project: Project) -> None:
    aside = project.root / "aside"

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            before = version(engine)
            project.allow.parents[1].rename(aside)
            await following.until(lambda each: bool(each.errors))
            assert version(engine) == before
            aside.rename(project.allow.parents[1])
            project.open_path("/new")
            await following.until(lambda each: not each.errors and each.revision != before)

    run(session())


def test_a_set_that_is_broken_at_the_start_closes_the_sidecars_until_it_is_mended(project: Project) -> None:
    project.allow.write_text("package palisade.identity\nallow if x\n")

    async def session() -> None:
        async with (
            Engine(project.file) as engine,
            admin.serve(engine) as address,
            httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client,
        ):
            assert (await client.get("/healthz")).status_code == 503
            assert version(engine) is None
            assert engine.rollout.decide("hello", document("/open")).revision == ""
            following = Following(engine)
            project.allow.write_text(ALLOW)
            await following.until(lambda each: not each.errors)
            assert (await client.get("/healthz")).status_code == 200

    run(session())


def test_an_engine_that_restarts_amid_a_broken_edit_goes_on_with_the_last_good_set(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            before = version(engine)
        project.allow.write_text("package palisade.identity\nallow if x\n")
        async with Engine(project.file) as engine:
            assert version(engine) == before is not None
            assert engine.rollout.decide("hello", document("/open")).value is True
            assert engine.last is not None
            assert engine.last.errors[0].code == "rego_unsafe_var_error"

    run(session())


def test_a_damaged_copy_of_the_last_good_set_is_no_set(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file):
            pass
        [kept] = (project.root / ".palisade" / "history").iterdir()
        kept.write_text(kept.read_text().replace("/open", "/anything"))
        project.allow.write_text("broken")
        async with Engine(project.file) as engine:
            assert version(engine) is None

    run(session())


def test_settings_that_take_a_restart_are_named(project: Project) -> None:
    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            project.file.write_text(SETTINGS.replace("admin: 127.0.0.1:0", "admin: 127.0.0.1:9999"))
            await following.until(lambda _: bool(engine.warnings))
            assert "started anew" in problems(engine)[0]

    run(session())


def test_what_is_read_again_and_says_the_same_is_put_in_force_once(project: Project) -> None:
    """Files are looked at once more when they are watched; thousands of rules need not be lowered twice."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            await asyncio.sleep(0.3)
            assert engine.reloads == 1
            following = Following(engine)
            project.file.write_text(
                SETTINGS.replace("listen: 127.0.0.1:0}", "listen: 127.0.0.1:0, protocol: http1}")
            )
            await following.until(lambda _: engine.inventory.functions["hello"].protocol == "http1")

    run(session())


def test_errors_at_the_start_are_told_once(project: Project) -> None:
    """With what is in force then, and not again where files are looked at once more without a change."""
    told: list[Reload] = []

    async def session() -> None:
        async with Engine(project.file) as engine:
            first = version(engine)
        project.allow.write_text(ALLOW + "\nallow if {\n")
        engine = Engine(project.file)
        engine.on_reload(told.append)
        async with engine:
            assert engine.last is not None
            assert (engine.last.revision, version(engine)) == (first, first)
            await asyncio.sleep(0.3)
            assert len(told) == 1
            assert engine.failed_reloads == 1
            # A change is told, though it leaves the errors as they were.
            following = Following(engine)
            (project.allow.parent / "b.rego").write_text("package b\n")
            again = await following.until(lambda _: True)
            assert again.errors == told[0].errors

    run(session())


def test_a_residual_decision_names_the_rule(project: Project) -> None:
    project.allow.write_text(ALLOW + '\nallow if {\n\tsum(object.get(input, ["n"], [])) > 3\n}\n')

    async def session() -> None:
        async with Engine(project.file) as engine:
            for _ in range(100):
                if callable(engine.rollout.decide("hello", {"n": [4]}).rule):
                    break
                await asyncio.sleep(0.05)
            found = engine.rollout.decide("hello", {"n": [4]})
            assert found.value is True
            assert found.rule().endswith("allow.rego:7")
            assert found.path == "palisade/identity/allow"
            assert engine.rollout.decide("hello", {}).rule().endswith("allow.rego:3")

    run(session())


def test_a_fault_in_the_compiler_is_reported_and_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("a fault")

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            before = version(engine)
            monkeypatch.setattr(loading, "compile_sidecar", fails)
            project.open_path("/new")
            reload = await following.until(lambda each: bool(each.errors))
            assert reload.errors[0].code == "internal_error"
            assert "KeyError" in reload.errors[0].message
            assert version(engine) == before
            monkeypatch.undo()
            project.open_path("/newer")
            await following.until(lambda each: not each.errors)

    run(session())


def test_an_edit_that_has_no_room_in_the_state_folder_is_refused_and_says_so(project: Project) -> None:
    """A file stands where the folder of a new function's certificate would be, as on a disk that is full."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            following = Following(engine)
            before = version(engine)
            blocked = project.root / ".palisade" / "credentials" / "orders"
            blocked.write_text("")
            project.set_up(SETTINGS.replace("functions:\n", f"functions:\n  orders: {ORDERS}\n"))
            reload = await following.until(lambda each: bool(each.errors))
            assert [each.code for each in reload.errors] == ["config_error"]
            assert reload.errors[0].message.startswith(f"engine.state: {blocked} cannot be used: ")
            assert reload.errors[0].hint
            assert version(engine) == before
            assert list(engine.inventory.functions) == ["hello"]
            blocked.unlink()
            project.open_path("/new")
            await following.until(lambda each: not each.errors)
            assert version(engine, "orders")

    run(session())
