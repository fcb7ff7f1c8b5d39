"""A canary in real sidecars: at its functions alone, and no longer than they take it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from control_helpers import NEXT, SUM, Project, put, version
from envoy_helpers import eventually, running, settled, spoiled, until
from shared_helpers import run

from palisade.control.releases import ReleaseError
from palisade.control.status import status
from palisade.enforce.envoy import compile_sidecar


def test_a_canary_decides_at_its_functions_and_is_undone(project: Project) -> None:
    names = ("hello", "orders", "pay")

    async def session() -> None:
        async with running(project, *names) as (engine, sidecars, client, _):
            await until(client, "/open", 200)
            base = version(engine)
            await engine.set_shadow(put(project, NEXT + SUM % 3))
            done = await engine.releases.promote("50%")
            [where] = done.functions

            async def answers(path: str) -> dict[str, int]:
                async with httpx.AsyncClient(trust_env=False, timeout=60) as each:
                    return {
                        name: (await each.get(f"http://{sidecars.statuses[name].listen}{path}")).status_code
                        for name in names
                    }

            await settled(engine)
            assert await answers("/opened") == {name: 200 if name == where else 403 for name in names}
            assert await answers("/open") == {name: 403 if name == where else 200 for name in names}
            # What the canary leaves to the engine, the engine decides by the canary's revision.
            assert await answers("/sum?n=4") == {name: 200 if name == where else 403 for name in names}
            shown = status(engine)["functions"]
            assert {name for name in names if shown[name]["running"] != base} == {where}
            await engine.releases.rollback()
            await settled(engine)
            assert await answers("/opened") == dict.fromkeys(names, 403)
            await engine.releases.promote("50%")
            await engine.releases.promote()
            await settled(engine)
            assert await answers("/opened") == dict.fromkeys(names, 200)
            await engine.releases.rollback()
            await settled(engine)
            assert await answers("/open") == dict.fromkeys(names, 200)

    run(session())


def test_a_canary_that_a_sidecar_refuses_is_ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its functions go on with what is in force, the history says why, and it cannot be promoted again."""
    names = ("hello", "orders", "pay")

    def compiled(revision: Any, function: Any, keys: Any, shadow: Any = None, **more: Any) -> Any:
        good = compile_sidecar(revision, function, keys, shadow, **more)
        return spoiled(good) if revision.policy_set.root == project.root / "next" else good

    async def session() -> None:
        async with running(project, *names) as (engine, sidecars, client, _):
            await until(client, "/open", 200)
            base = version(engine)
            await engine.set_shadow(put(project, NEXT))
            await settled(engine)
            monkeypatch.setattr("palisade.control.loading.compile_sidecar", compiled)
            await engine.releases.promote("50%")
            await eventually(lambda: "refused it" in status(engine)["revision"]["note"])
            monkeypatch.undo()
            await settled(engine)
            shown = status(engine)
            assert {each["running"] for each in shown["functions"].values()} == {base}
            assert shown["canary"] is None
            assert "ended the canary of" in shown["revision"]["note"]
            async with httpx.AsyncClient(trust_env=False, timeout=60) as each:
                for name in names:
                    address = sidecars.statuses[name].listen
                    assert (await each.get(f"http://{address}/open")).status_code == 200
            with pytest.raises(ReleaseError, match="refused it"):
                await engine.releases.promote("50%")

    run(session())


def test_the_same_canary_twice_is_none(project: Project) -> None:
    """And one that loses a function, as the inventory does, goes on at those of its share that are left."""
    names = ("hello", "orders", "pay")

    async def session() -> None:
        async with running(project, *names) as (engine, _, client, _):
            await until(client, "/open", 200)
            await engine.set_shadow(put(project, NEXT))
            first = await engine.releases.promote("40%")
            with pytest.raises(ReleaseError, match="already"):
                await engine.releases.promote("40%")
            more = await engine.releases.promote("70%")
            assert set(first.functions) < set(more.functions)
            [gone] = first.functions
            lines = project.file.read_text().splitlines()
            project.set_up("\n".join(each for each in lines if not each.startswith(f"  {gone}:")))
            await eventually(lambda: gone not in status(engine)["canary"]["functions"])
            assert len(status(engine)["canary"]["functions"]) == 1

    run(session())
