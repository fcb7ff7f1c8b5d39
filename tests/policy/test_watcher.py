"""The watcher: each way in which policies are written is told once, and only when it is complete."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_helpers import beside, eventually
from watcher_helpers import NEW, OLD, Watch, run

from palisade.policy import sets
from palisade.policy.watcher import Watcher


def in_steps(path: Path) -> None:
    with path.open("w") as file:
        for line in NEW.splitlines(keepends=True):
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            time.sleep(0.06)  # longer than the quiet time: only the open file tells that more is to come


def aside_and_rename(path: Path) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(NEW)
    aside.rename(path)


def as_vim(path: Path) -> None:
    path.with_name("4913").write_text("")
    path.with_name("4913").unlink()
    backup = path.with_name(path.name + "~")
    path.rename(backup)
    path.write_text(NEW)
    backup.unlink()


def as_sed(path: Path) -> None:
    subprocess.run(["sed", "-i", "s/old/new/", str(path)], check=True)


def from_elsewhere(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere.rego"
    elsewhere.write_text(NEW)
    shutil.move(elsewhere, path)


@pytest.mark.parametrize(
    ("save", "quiet"),
    [(in_steps, 0.03), (aside_and_rename, 0.03), (as_vim, 0.4), (as_sed, 0.03), (from_elsewhere, 0.03)],
)
def test_a_save_is_told_once_and_complete(root: Path, save: Callable[[Path], None], quiet: float) -> None:
    async def act(watch: Watch) -> None:
        await asyncio.to_thread(save, root / "identity" / "a.rego")

    # A busy machine may take longer than the quiet time for what vim does, and than the watcher has patience.
    assert run(root, act, quiet=quiet, patience=60.0) == [
        {"p/identity/a.rego": OLD},
        {"p/identity/a.rego": NEW},
    ]


@pytest.mark.parametrize("save", [aside_and_rename, as_vim, as_sed])
def test_a_save_is_told_soon(root: Path, save: Callable[[Path], None]) -> None:
    """Half a second is what watchdog would hold back a rename by itself."""

    async def session() -> float:
        async with Watch(root) as watch:
            save(root / "identity" / "a.rego")
            started = time.perf_counter()
            await asyncio.wait_for(watch.watcher.changed(), 30)
            return time.perf_counter() - started

    # Others may have a busy machine for a while.
    assert any(asyncio.run(session()) < 0.25 for _ in range(5))


def git(folder: Path, *arguments: str) -> None:
    settings = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *settings, "-C", str(folder), *arguments], check=True, capture_output=True)


def test_a_checkout_of_many_files_is_one_change(root: Path) -> None:
    project = root.parent
    git(project, "init", "-q")
    for index in range(300):
        (root / f"m{index}.rego").write_text(OLD)
    git(project, "add", ".")
    git(project, "commit", "-qm", "old")
    git(project, "checkout", "-qb", "new")
    for index in range(300):
        (root / f"m{index}.rego").write_text(NEW)
    git(project, "commit", "-qam", "new")
    git(project, "checkout", "-q", "main")

    async def act(watch: Watch) -> None:
        await asyncio.to_thread(git, project, "checkout", "-q", "new")

    # A busy machine takes longer for it than the watcher has patience with what goes on and on.
    before, after = run(root, act, patience=60.0)
    assert before is not None
    assert after is not None
    assert {before["p/m0.rego"], before["p/m299.rego"]} == {OLD}
    assert {text for name, text in after.items() if name != "p/identity/a.rego"} == {NEW}


def test_git_at_work_is_waited_for(root: Path) -> None:
    """A slow checkout pauses for longer than the quiet time; its lock says that more is to come."""
    git(root.parent, "init", "-q")
    lock = root.parent / ".git" / "index.lock"

    async def act(watch: Watch) -> None:
        lock.write_text("")
        (root / "b.rego").write_text(OLD)
        await asyncio.sleep(0.2)
        (root / "b.rego").write_text(NEW)
        lock.unlink()

    seen = run(root, act)
    assert [modules and modules.get("p/b.rego") for modules in seen] == [None, NEW]


def test_a_configmap_swaps_all_files_at_once(tmp_path: Path) -> None:
    root = tmp_path / "policies"
    for generation, text in (("..one", OLD), ("..two", NEW)):
        (root / generation).mkdir(parents=True)
        for name in ("a.rego", "b.rego"):
            (root / generation / name).write_text(text)
    (root / "..data").symlink_to("..one")
    for name in ("a.rego", "b.rego"):
        (root / name).symlink_to(f"..data/{name}")

    async def act(watch: Watch) -> None:
        (root / "..data_tmp").symlink_to("..two")
        (root / "..data_tmp").rename(root / "..data")
        shutil.rmtree(root / "..one")

    assert run(root, act) == [
        {"p/a.rego": OLD, "p/b.rego": OLD},
        {"p/a.rego": NEW, "p/b.rego": NEW},
    ]


def test_the_folder_may_be_a_link_that_is_swapped(tmp_path: Path) -> None:
    for name, text in (("one", OLD), ("two", NEW)):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "a.rego").write_text(text)
    root = tmp_path / "policies"
    root.symlink_to("releases/one")

    async def act(watch: Watch) -> None:
        (tmp_path / "next").symlink_to("releases/two")
        (tmp_path / "next").rename(root)
        await watch.until(2)
        (tmp_path / "releases" / "two" / "a.rego").write_text("package later")

    assert run(root, act) == [{"p/a.rego": OLD}, {"p/a.rego": NEW}, {"p/a.rego": "package later"}]


def test_files_behind_links_are_watched_where_they_are(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "elsewhere" / "shared"
    shared.mkdir(parents=True)
    (shared / "s.rego").write_text(OLD)
    (root / "shared").symlink_to(shared)
    (root / "identity" / "t.rego").symlink_to(shared / "s.rego")

    async def act(watch: Watch) -> None:
        (shared / "s.rego").write_text(NEW)

    last = run(root, act)[-1]
    assert last is not None
    assert last["p/shared/s.rego"] == last["p/identity/t.rego"] == NEW


def test_new_folders_and_documents_count(root: Path) -> None:
    """Also one that is moved here with all that is in it, and away again."""
    ready = root.parent / "ready"
    ready.mkdir()
    (ready / "c.rego").write_text(NEW)

    async def act(watch: Watch) -> None:
        (root / "detection" / "rules").mkdir(parents=True)
        (root / "detection" / "rules" / "b.rego").write_text(NEW)
        await eventually(lambda: len(watch.seen[-1] or ()) == 2)
        ready.rename(root / "ready")
        await eventually(lambda: len(watch.seen[-1] or ()) == 3)
        (root / "ready").rename(ready)

    seen = run(root, act)
    assert seen[-1] == {"p/identity/a.rego": OLD, "p/detection/rules/b.rego": NEW}
    assert seen[-2] == {**seen[-1], "p/ready/c.rego": NEW}


@pytest.mark.parametrize("name", ["policies/data.json", "policies/identity/data.yaml", "palisade.yaml"])
def test_documents_and_the_inventory_wake_the_watcher(root: Path, name: str) -> None:
    async def session() -> None:
        async with Watch(root) as watch:
            (root.parent / name).write_text("{}")
            await asyncio.wait_for(watch.watcher.changed(), 30)

    asyncio.run(session())


@pytest.mark.parametrize("name", ["policies/.a.rego.swp", "unrelated.txt", "policies/notes/x.log"])
def test_what_is_no_part_of_a_policy_set_wakes_nobody(root: Path, name: str) -> None:
    (root / "notes").mkdir()
    (root / "notes" / "x.log").write_text("")

    async def session() -> None:
        async with Watch(root) as watch:
            sets.load(root)
            with (root.parent / name).open("a") as file:
                file.write("x")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watch.watcher.changed(), 0.3)

    asyncio.run(session())


def test_a_log_beside_the_settings_wakes_no_thread_with_each_line(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine writes one before each answer, and a thread that wakes for it costs as much again."""
    heard: list[str] = []
    hear = Watcher._hear

    def counted(self: Watcher, place: Any, event: Any) -> None:
        heard.append(event.event_type)
        hear(self, place, event)

    monkeypatch.setattr(Watcher, "_hear", counted)

    async def session() -> None:
        async with Watch(root) as watch:
            with (root.parent / "decisions.jsonl").open("a") as file:
                await eventually(lambda: "created" in heard)
                await asyncio.sleep(0.2)
                heard.clear()
                for _ in range(100):
                    file.write("a line\n")
                    file.flush()
                await asyncio.sleep(0.2)
                assert heard == []
            with (root.parent / "palisade.yaml").open("a") as settings:
                settings.write("# half")
                settings.flush()
                await asyncio.sleep(0.1)
                settings.write(" and half\n")
            await asyncio.wait_for(watch.watcher.changed(), 30)

    asyncio.run(session())
    assert "closed" in heard


def test_a_noisy_neighbour_cannot_hold_a_change_back(root: Path) -> None:
    async def session() -> None:
        async with Watch(root, patience=0.3) as watch:

            async def noise() -> None:
                with (root / "b.rego").open("w") as file:  # never closed: only patience ends the waiting
                    while True:
                        file.write("# more\n")
                        file.flush()
                        await asyncio.sleep(0.01)

            async with beside(noise()):
                await asyncio.wait_for(watch.watcher.changed(), 30)

    asyncio.run(session())


def test_a_closed_watcher_leaves_no_thread(root: Path) -> None:
    import threading

    before = set(threading.enumerate())

    async def session() -> None:
        async with Watch(root):
            pass

    asyncio.run(session())
    assert not [t for t in threading.enumerate() if t not in before and "asyncio" not in t.name]
