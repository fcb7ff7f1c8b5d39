"""What the engine needs to decide by a revision is there when sidecars are offered it."""

from __future__ import annotations

import asyncio
import inspect
import threading
from dataclasses import replace

import pytest
from control_helpers import ALLOW, SUM, Following, Project, version
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from shared_helpers import run

from palisade.control import rollout
from palisade.control.engine import Engine
from palisade.control.rollout import revision_of
from palisade.decide.question import Evaluation
from palisade.decide.service import StaleError
from palisade.rego import Policy
from palisade.xds import Snapshot, SnapshotCache


def test_no_decision_waits_in_the_event_loop_for_code_to_be_made(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten thousand rules that takes most of a second. Many may ask meanwhile: it is made once."""
    rules = (f'allow if input.attributes.request.http.path == "/{number}"\n' for number in range(200))
    project.allow.write_text(ALLOW + "".join(rules))
    made = []
    make = Policy.make_ready
    all_asked = threading.Event()

    def slow(self: Policy, path: str) -> None:
        # What names the rules for the decision log is made too, of other paths.
        if path == "data.palisade.identity.allow":
            made.append(threading.get_ident())
            assert all_asked.wait(30)
        make(self, path)

    monkeypatch.setattr(Policy, "make_ready", slow)

    async def session() -> None:
        async with Engine(project.file) as engine:
            asked = [engine.rollout.decide("hello", {}) for _ in range(20)]
            all_asked.set()
            assert all(inspect.isawaitable(each) for each in asked)
            values = [evaluation.value for evaluation in await asyncio.gather(*asked)]
            assert values == [False] * 20
            assert isinstance(engine.rollout.decide("hello", {}), Evaluation)

    run(session())
    assert len(made) == 1
    assert made[0] != threading.get_ident()


def test_an_edit_is_offered_when_the_engine_can_decide_by_it_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first requests to the engine waited for the code of ten thousand rules, all at once."""
    project.allow.write_text(ALLOW + SUM % 3)
    path = "data.palisade.identity.allow"
    ready = []
    offer = SnapshotCache.set_snapshot

    async def offered(self: SnapshotCache, node: str, snapshot: Snapshot) -> None:
        revision = engine.rollout.revision(revision_of(snapshot.version))
        assert revision is not None
        ready.append(revision.policy.is_ready(path))
        await offer(self, node, snapshot)

    monkeypatch.setattr(SnapshotCache, "set_snapshot", offered)
    # On a busy machine the code of two rules may take longer than what an edit waits for.
    monkeypatch.setattr(rollout, "_READY_SECONDS", 60)
    engine = Engine(project.file)

    async def session() -> None:
        async with engine:
            following = Following(engine)
            project.allow.write_text(ALLOW + SUM % 4)
            await following.until(lambda each: not each.errors)

    run(session())
    # Once more where the watcher tells of what was written before the engine came.
    assert len(ready) > 1
    assert all(ready)


def test_an_edit_does_not_wait_for_long_for_its_code(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand new rules: while their code is made, Envoy can read them."""
    project.allow.write_text(ALLOW + SUM % 3)
    make, in_force = Policy.make_ready, threading.Event()

    def slow(self: Policy, path: str) -> None:
        assert in_force.wait(30)
        make(self, path)

    monkeypatch.setattr(Policy, "make_ready", slow)

    async def session() -> None:
        async with Engine(project.file) as engine:  # which returns when the first revision is offered
            assert version(engine) is not None
            in_force.set()

    run(session())


def test_many_new_rules_are_offered_before_their_code_is_made(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made first, or meanwhile, that of ten thousand kept them from sidecars for half a second. Nor does it
    wait for sidecars that do not come."""
    monkeypatch.setattr(rollout, "_MANY_NEW", 1)
    monkeypatch.setattr(rollout, "_READY_SECONDS", 60)
    monkeypatch.setattr(rollout, "_TAKEN_SECONDS", 0.05)
    make, order, made = Policy.make_ready, list[str](), threading.Event()
    offer = SnapshotCache.set_snapshot

    async def offered(self: SnapshotCache, node: str, snapshot: Snapshot) -> None:
        order.append("offered")
        await offer(self, node, snapshot)

    def noted(self: Policy, path: str) -> None:
        order.append("made")
        make(self, path)
        made.set()

    monkeypatch.setattr(SnapshotCache, "set_snapshot", offered)
    monkeypatch.setattr(Policy, "make_ready", noted)
    project.allow.write_text(ALLOW + SUM % 3)

    async def session() -> None:
        async with Engine(project.file):
            assert await asyncio.to_thread(made.wait, 30)

    run(session())
    assert order[:2] == ["offered", "made"]


def test_requests_that_began_before_a_key_was_gone_are_decided(project: Project) -> None:
    """The revision is the same, only its keys are others: such requests were answered with 503."""

    async def session() -> None:
        async with Engine(project.file) as engine:
            assert engine.deployment is not None
            offered = engine.deployment.enforcements["hello"]
            for settings in ("before", ""):
                enforcements = {"hello": replace(offered, settings=settings)}
                await engine.rollout.put(replace(engine.deployment, enforcements=enforcements))
            engine.rollout.choose("hello", "before", AttributeContext.HttpRequest(), bodiless=False)
            with pytest.raises(StaleError):
                engine.rollout.choose("hello", "never", AttributeContext.HttpRequest(), bodiless=False)

    run(session())
