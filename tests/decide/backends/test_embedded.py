"""The backend by default asks the revision's own policy."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace

import pytest
from backend_helpers import Set, decide
from shared_helpers import run

from palisade.decide.backends.embedded import EmbeddedBackend
from palisade.policy import revisions
from palisade.rego import EvalError, Network
from palisade.rego.values import UNDEFINED

REVISION = Set("allow if input.n == 1").revision()


def test_it_answers_at_once_and_never_fails_to() -> None:
    backend = EmbeddedBackend()
    assert backend.evaluate(REVISION, "hello", {"n": 1}) is True
    assert backend.evaluate(REVISION, "hello", {}) is False
    assert backend.health.problem == ""
    undefined = Set("allow if input.n == 1", default="").revision()
    assert backend.evaluate(undefined, "hello", {}) is UNDEFINED
    conflict = Set("allow := 1 if input.n\nallow := 2 if input.n", default="").revision()
    with pytest.raises(EvalError, match="eval_conflict_error"):
        backend.evaluate(conflict, "hello", {"n": 1})


def test_what_may_wait_for_others_holds_up_no_one() -> None:
    revision = replace(REVISION, inventory=replace(REVISION.inventory, network=Network(("127.0.0.1",))))

    async def session() -> None:
        backend = EmbeddedBackend()
        waiting = backend.evaluate(revision, "hello", {"n": 1})
        assert inspect.isawaitable(waiting)
        assert await waiting is True
        assert await decide(backend, revision, {}) is False

    run(session())


def test_what_takes_long_holds_up_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request may make a policy look at each of its values beside each other. The others' answers come
    in between, and it ends where it stands when its sidecar waits no longer."""
    # By the clock, and others may have a busy machine meanwhile.
    monkeypatch.setattr(revisions, "LIMITS", replace(revisions.LIMITS, seconds=60.0))
    pairs = "allow if { some a in input.xs; some b in input.xs; a + b == input.sum }"
    revision = Set(pairs).revision()

    async def session() -> None:
        backend, many = EmbeddedBackend(), list(range(1000))
        long = backend.evaluate(revision, "hello", {"xs": many, "sum": 1998})
        assert inspect.isawaitable(long)
        task = asyncio.ensure_future(long)
        for _ in range(3):
            await asyncio.sleep(0)
            assert backend.evaluate(revision, "hello", {"xs": [1], "sum": 2}) is True
        assert not task.done()
        assert await task is True
        waited = decide(backend, revision, {"xs": many, "sum": -1})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waited, 0.01)

    run(session())


def test_calls_of_builtins_count_as_work() -> None:
    """They may take longer than what a loop does beside them: a few of them do not hold up anybody either."""
    slow = "allow if { some x in input.xs; regex.match(x, input.text) }"
    revision = Set(slow).revision()
    patterns = [f"[a-z ]+{number}" for number in range(500)]
    found = EmbeddedBackend().evaluate(revision, "hello", {"xs": patterns, "text": "word " * 10_000})
    assert inspect.isawaitable(found)


def test_the_decision_may_have_any_name() -> None:
    policy = 'package a["b-c"]\n\nallow if input.n == 1\n'
    revision = Set(text=policy).revision(decision="a/b-c/allow")
    assert EmbeddedBackend().evaluate(revision, "hello", {"n": 1}) is True
