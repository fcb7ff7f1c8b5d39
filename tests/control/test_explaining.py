"""Explanations beside decisions: made by a process of their own, for native and residual ones, and never
waited for without end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from control_helpers import Project
from envoy_helpers import client_for, function, settings, until
from shared_helpers import Lines, eventually, run

from palisade.control import explaining
from palisade.control.engine import Engine
from palisade.control.explaining import Explanations
from palisade.control.explaining_process import COMMAND, frame
from palisade.control.sidecars import Sidecars
from palisade.control.status import status
from palisade.decide.event import Event
from palisade.policy.inventory import Explain

# Of numbers with a point the engine decides.
POLICY = """package palisade.identity

default allow := false

allow if input.attributes.request.http.path == "/open"

allow if {
	input.parsed_path[0] == "sum"
	to_number(input.parsed_query.n[0]) > 3
}
"""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes long to start a process of the lowest priority."""
    monkeypatch.setattr(explaining, "PATIENCE", 40.0)


async def soon(holds: Callable[[], object]) -> None:
    """For what that process does."""
    await eventually(holds, 45)


def children() -> set[int]:
    """The processes that this one has started and that explain."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                command = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if parent == os.getpid() and b"explaining_process" in command:
                found.add(int(name))
    return found


def explained(sink: Lines) -> dict[str, Any]:
    """The explanations in the log, by path."""
    return {
        each["input"]["attributes"]["request"]["http"]["path"]: each["palisade"].get("explanation")
        for each in sink.entries
    }


async def attributed(client: httpx.AsyncClient, sink: Lines) -> None:
    """Asks until the engine names the rules that decide: it gets ready for that when a revision is out."""
    for number in count():  # on a busy machine that takes longer than one would say; `run` ends it
        await client.get(f"/sum?n=0.{number}")
        await asyncio.sleep(0.1)
        told = [each["palisade"] for each in sink.entries]
        if any(each["decider"] == "residual" and "rule" in each for each in told):
            return


def session(project: Project, which: str, play: Callable[[Engine, httpx.AsyncClient, Lines], Any]) -> Lines:
    sink = Lines()

    async def main() -> None:
        project.allow.write_text(POLICY)
        async with function() as upstream:
            logged = f"decision_log: {{explain: {which}}}\n" if which else ""
            project.file.write_text(settings(upstream, 0, "hello") + logged)
            async with (
                Engine(project.file, sink=sink) as engine,
                Sidecars(engine) as sidecars,
                client_for(sidecars, "hello") as client,
            ):
                await until(client, "/open", 200)
                await play(engine, client, sink)

    run(main())
    return sink


@pytest.mark.long
def test_denials_are_explained_wherever_they_were_decided(project: Project) -> None:
    async def play(engine: Engine, client: httpx.AsyncClient, sink: Lines) -> None:
        await attributed(client, sink)
        assert (await client.get("/opened")).status_code == 403
        assert (await client.get("/sum?n=1.0")).status_code == 403
        assert (await client.get("/sum?n=4.0")).status_code == 200
        await soon(lambda: {"/opened", "/sum?n=1.0", "/sum?n=4.0"} <= set(explained(sink)))
        counts = status(engine)["decisions"]
        assert (counts["explained"], counts["unexplained"]) == (
            sum(each is not None for each in explained(sink).values()),
            0,
        )

    found = explained(session(project, "denied", play))
    assert found["/sum?n=4.0"] is None
    native, residual = found["/opened"], found["/sum?n=1.0"]
    assert native["where"] == "in the sidecar"
    assert native["nearest"] == f"{project.allow}:5:1"
    assert native["failed"]["values"] == ['input.attributes.request.http.path is "/opened"']
    assert native["change"] == ['path must be "/open" (now "/opened")']
    assert residual["where"] == "by the engine"
    assert residual["rule"] == f"{project.allow}:3"
    assert residual["failed"]["at"] == f"{project.allow}:9:2"
    assert residual["change"] == ['path must be "/sum?n=4" (now "/sum?n=1.0")']


def test_all_decisions_are_explained_where_that_is_asked_for(project: Project) -> None:
    async def play(engine: Engine, client: httpx.AsyncClient, sink: Lines) -> None:
        assert (await client.get("/sum?n=4.0")).status_code == 200
        await soon(lambda: "/sum?n=4.0" in explained(sink))

    assert explained(session(project, "all", play))["/sum?n=4.0"]["text"].startswith("allowed by the engine")


def test_nothing_is_explained_by_default(project: Project) -> None:
    async def play(engine: Engine, client: httpx.AsyncClient, sink: Lines) -> None:
        assert (await client.get("/closed")).status_code == 403
        await soon(lambda: "/closed" in explained(sink))
        assert not children()

    assert explained(session(project, "", play))["/closed"] is None


def test_a_process_that_dies_is_started_anew_and_no_entry_is_lost(project: Project) -> None:
    async def play(engine: Engine, client: httpx.AsyncClient, sink: Lines) -> None:
        await client.get("/one")
        await soon(lambda: "text" in (explained(sink).get("/one") or {}))
        [process] = children()
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, process) == min(19, own + 19)
        os.kill(process, signal.SIGSTOP)
        await client.get("/two")
        await soon(lambda: engine.explanations._under_way)
        os.kill(process, signal.SIGKILL)
        await soon(lambda: explained(sink).get("/two") == explaining.FAILED)
        await client.get("/three")
        await soon(lambda: "text" in (explained(sink).get("/three") or {}))
        assert status(engine)["decisions"]["unexplained"] == 1

    session(project, "denied", play)
    assert not children()


def test_what_waits_when_the_engine_ends_is_logged_without(project: Project) -> None:
    async def play(engine: Engine, client: httpx.AsyncClient, sink: Lines) -> None:
        await client.get("/one")
        await soon(lambda: "text" in (explained(sink).get("/one") or {}))
        [process] = children()
        os.kill(process, signal.SIGSTOP)
        await client.get("/sum?n=2")
        await asyncio.sleep(0.3)

    found = explained(session(project, "denied", play))
    assert found["/sum?n=2"] == explaining.ENDED


def event(number: int, allowed: bool = False, **more: Any) -> Event:
    return {
        "decision_id": str(number),
        "input": {},
        "palisade": {"decider": "residual", "function": "f", "allowed": allowed, "revision": "r", **more},
    }


@pytest.mark.parametrize(
    ("which", "asked", "wanted"),
    [
        ("denied", event(1), True),
        ("denied", event(1, allowed=True), False),
        ("all", event(1, allowed=True), True),
        ("all", event(1, decider="sidecar"), False),
        ("all", {**event(1), "error": {"code": "eval_conflict_error"}}, False),
    ],
)
def test_what_is_explained(which: Explain, asked: Event, wanted: bool) -> None:
    assert Explanations(which, lambda name: None).wants(asked) is wanted


def test_more_than_can_be_explained_goes_out_without_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "MOST_WAITING", 3)
    told: list[Any] = []

    async def scenario() -> None:
        # Not entered: nothing takes from the queue.
        explanations = Explanations("denied", lambda name: object())  # type: ignore[arg-type, return-value]
        for number in range(5):
            explanations.explain(event(number), told.append)
        assert told == [explaining.BEHIND] * 2
        assert (explanations.explained, explanations.missed) == (0, 2)
        await explanations.__aexit__()
        assert told == [explaining.BEHIND] * 2 + [explaining.ENDED] * 3

    asyncio.run(scenario())


def test_an_entry_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "PATIENCE", 0.05)
    told: list[Any] = []

    async def scenario() -> None:
        explanations = Explanations("denied", lambda name: object())  # type: ignore[arg-type, return-value]
        explanations.explain(event(1), told.append)
        explanations.explain(event(2), told.append)
        await asyncio.sleep(0.3)
        assert told == [explaining.LATE] * 2

    asyncio.run(scenario())


def test_what_cannot_be_sent_is_said_to_be_unexplained_and_ends_nothing() -> None:
    told: list[Any] = []

    async def scenario() -> None:
        # No revision: what the process is told of one cannot be made of it.
        async with Explanations("denied", lambda name: object()) as explanations:  # type: ignore[arg-type, return-value]
            for number in range(2):
                explanations.explain(event(number), told.append)
                await soon(lambda: len(told) == number + 1)  # noqa: B023 - asked at once

    asyncio.run(scenario())
    assert told == [explaining.FAILED] * 2


def test_what_is_about_to_be_sent_when_the_engine_ends_is_logged_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []
    begun, go_on = threading.Event(), threading.Event()

    def slowly(message: object) -> bytes:
        begun.set()
        go_on.wait(20)
        return frame(message)

    monkeypatch.setattr(explaining, "frame", slowly)
    monkeypatch.setattr(explaining.Setup, "of", lambda revision: revision)

    async def scenario() -> None:
        async with Explanations("denied", lambda name: object()) as explanations:  # type: ignore[arg-type, return-value]
            explanations.explain(event(1), told.append)
            await soon(begun.is_set)
        assert told == [explaining.ENDED]
        go_on.set()

    asyncio.run(scenario())


def test_a_revision_that_is_gone_is_said_to_be() -> None:
    told: list[Any] = []
    Explanations("denied", lambda name: None).explain(event(1), told.append)
    assert told == [explaining.UNKNOWN]


def test_the_process_reads_its_modules_without_a_look_for_unused_objects() -> None:
    """And looks for them from then on: it lives as long as the engine."""
    told = f"""import gc
looks = []
gc.callbacks.append(lambda *_: looks.append(1))
{COMMAND}
import sys
print(len(looks), gc.isenabled(), file=sys.stderr)"""
    ended = subprocess.run(
        [sys.executable, "-c", told], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    looks, enabled = ended.stderr.decode().split()
    assert (int(looks) < 20, enabled) == (True, "True")
