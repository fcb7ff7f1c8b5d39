"""The watcher, where folders vanish, come back, are replaced, or may not be read for a while."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from shared_helpers import plain_user
from watcher_helpers import NEW, OLD, Watch, run


def test_the_whole_folder_may_vanish_and_come_back(root: Path) -> None:
    async def act(watch: Watch) -> None:
        shutil.rmtree(root)
        await watch.until(2)
        (root / "identity").mkdir(parents=True)
        (root / "identity" / "a.rego").write_text(NEW)
        await watch.until(3)
        (root / "identity" / "b.rego").write_text(NEW)

    assert run(root, act)[1:] == [
        None,
        {"p/identity/a.rego": NEW},
        {"p/identity/a.rego": NEW, "p/identity/b.rego": NEW},
    ]


def test_even_with_all_folders_above_it(root: Path) -> None:
    project = root.parent

    async def act(watch: Watch) -> None:
        shutil.rmtree(project)
        await watch.until(2)
        (root / "identity").mkdir(parents=True)
        (root / "identity" / "a.rego").write_text(NEW)

    assert run(root, act)[1:] == [None, {"p/identity/a.rego": NEW}]


@pytest.mark.parametrize("closed", ["policies", "policies/identity"])
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_folder_that_may_be_read_again_is_followed_again(closed: str, from_the_start: bool) -> None:
    """Of a folder whose mode forbids reading the system tells nothing, and to ask for it is no fault."""

    async def session(root: Path) -> None:
        folder = root.parent / closed
        if from_the_start:
            folder.chmod(0)
        async with Watch(root) as watch:
            if not from_the_start:
                folder.chmod(0)
                await asyncio.wait_for(watch.watcher.changed(), 30)
                watch._look()
            assert watch.seen[-1] is None
            folder.chmod(0o755)
            await watch.catch_up()
            await watch.follow(0.3)
            (root / "identity" / "a.rego").write_text(NEW)
            await watch.catch_up()
            assert watch.seen[-1] == {"p/identity/a.rego": NEW}

    with plain_user() as folder:
        (folder / "policies" / "identity").mkdir(parents=True)
        (folder / "policies" / "identity" / "a.rego").write_text(OLD)
        (folder / "palisade.yaml").write_text("policies: ./policies\n")
        asyncio.run(session(folder / "policies"))


def test_a_new_mode_of_the_settings_is_told(root: Path) -> None:
    """They may have been unreadable; to save them once more would be no way to find out."""

    async def session() -> None:
        async with Watch(root) as watch:
            (root.parent / "palisade.yaml").chmod(0o600)
            assert await asyncio.wait_for(watch.watcher.changed(), 30)

    asyncio.run(session())


@pytest.mark.parametrize("name", ["b.rego", "data.json"])
def test_a_new_file_is_told_when_something_stands_in_it(root: Path, name: str) -> None:
    """Who makes a large one may take a while until the first of it is written."""

    async def act(watch: Watch) -> None:
        with (root / name).open("w") as file:
            await asyncio.sleep(0.3)
            file.write(NEW if name == "b.rego" else "{}")

    assert all(seen and all(seen.values()) for seen in run(root, act))


def test_the_folder_may_be_replaced_by_another(root: Path) -> None:
    successor = root.parent / "successor"
    successor.mkdir()
    (successor / "a.rego").write_text(OLD)

    async def act(watch: Watch) -> None:
        os.rename(root, root.parent / "before")
        os.rename(successor, root)
        await watch.until(2)
        (root / "a.rego").write_text(NEW)

    assert run(root, act)[1:] == [{"p/a.rego": OLD}, {"p/a.rego": NEW}]
