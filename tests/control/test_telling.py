"""Explanations in a response header, on a real Envoy: for trusted callers, and no part of the decision."""

from __future__ import annotations

import asyncio
import os
import signal
import string
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from aiohttp import web
from control_helpers import SETTINGS, Project
from envoy_helpers import eventually, function, until
from hypothesis import given
from hypothesis import strategies as st
from shared_helpers import NO_TLS, Lines, run
from test_explaining import children

from palisade.control import telling
from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars
from palisade.decide.response import MOST_EXPLAINED, printable

ASK, ANSWER = "x-palisade-explain", "x-palisade-explanation"
ASKING = {ASK: "true"}
TRUSTED, OTHER = "127.0.0.9", "127.0.0.1"

POLICY = """package palisade.identity

import input.attributes.request.http

default allow := false

allow if http.path == "/open"

allow if {
	input.parsed_path[0] == "sum"
	to_number(input.parsed_query.n[0]) > 3
}

allow := {"allowed": false, "http_status": 429, "headers": {"retry-after": "7"}, "body": "later"} if {
	http.path == "/limited"
}

allow := {"allowed": true, "response_headers_to_add": {"x-seen": "yes"}} if http.path == "/marked"

allow if {
	http.path == "/body"
	input.parsed_body.sure == true
}

allow if http.headers["x-palisade-explain"]

allow if {
	http.path == "/some"
	some name, _ in http.headers
	name == "x-palisade-explain"
}
"""


@asynccontextmanager
async def echoing(seen: list[Any]) -> AsyncIterator[str]:
    """A function that keeps the headers it gets, and answers with an explanation of its own."""

    async def answer(request: web.Request) -> web.Response:
        seen.append({name.lower() for name in request.headers})
        return web.Response(text="served", headers={ANSWER: "forged"})

    async with function(answer) as address:
        yield address


def client_from(address: str, sidecars: Sidecars) -> httpx.AsyncClient:
    """A client whose connections come from an address of the loopback network."""
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=NO_TLS)
    url = f"http://{sidecars.statuses['hello'].listen}"
    return httpx.AsyncClient(base_url=url, trust_env=False, transport=transport, timeout=60)


def session(project: Project, play: Callable[..., Any], *, more: str = "", sink: Lines | None = None) -> None:
    """Runs `play` with the engine, a trusted client, one that is not, and what the function sees."""
    seen: list[Any] = []

    async def main() -> None:
        project.allow.write_text(POLICY)
        async with echoing(seen) as upstream:
            project.file.write_text(
                "policies: ./policies\n"
                f"functions: {{hello: {{upstream: '{upstream}', listen: '127.0.0.1:0'{more}}}}}\n"
                "engine: {listen: '127.0.0.1:0', admin: '127.0.0.1:0'}\n"
                f"explain: {{trusted: ['{TRUSTED}']}}\n"
            )
            async with (
                Engine(project.file, sink=sink or Lines()) as engine,
                Sidecars(engine) as sidecars,
                client_from(TRUSTED, sidecars) as friend,
                client_from(OTHER, sidecars) as other,
            ):
                # Not as the other one: what it asks for is looked at in the log, and no rule decides this.
                await until(friend, "/open", 200)
                await warm(friend)
                seen.clear()
                await play(engine, friend, other, seen)

    run(main())


@pytest.fixture
def patient_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of the lowest priority, as the one that explains is, may be late on a busy machine."""
    monkeypatch.setattr(telling, "SECONDS", 20.0)


async def warm(friend: httpx.AsyncClient) -> None:
    """The process that explains has compiled the policy: the first answers come without."""
    for _ in range(300):
        found = (await friend.get("/open", headers=ASKING)).headers.get(ANSWER, "")
        if "allowed" in found:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"never explained: {found}")


CASES = {
    "/open": (200, "allowed"),
    "/closed": (403, "denied"),
    "/sum?n=4": (200, "allowed"),
    "/sum?n=1": (403, "denied"),
    "/limited": (429, "denied"),
    "/marked": (200, "allowed"),
    "/some": (403, "denied"),
}


@pytest.mark.usefixtures("patient_engine")
def test_a_trusted_caller_is_told_why_and_decided_about_like_all_others(project: Project) -> None:
    async def play(engine: Engine, friend: httpx.AsyncClient, other: httpx.AsyncClient, seen: Any) -> None:
        for path, (status, word) in CASES.items():
            plain, asked = await friend.get(path), await friend.get(path, headers=ASKING)
            assert ANSWER not in plain.headers, path
            assert asked.status_code == plain.status_code == status, path
            assert asked.content == plain.content
            told = asked.headers[ANSWER]
            assert told.startswith(word), (path, told)
            kept = {name: value for name, value in asked.headers.items() if name != ANSWER}
            assert kept.keys() == plain.headers.keys()
            assert kept.get("retry-after") == plain.headers.get("retry-after")
            assert kept.get("x-seen") == plain.headers.get("x-seen")
        # What the sidecar decides by the body it would decide later, and is not asked for either.
        for sure, status in ((True, 200), (False, 403)):
            plain = await friend.post("/body", json={"sure": sure})
            asked = await friend.post("/body", json={"sure": sure}, headers=ASKING)
            assert (plain.status_code, asked.status_code) == (status, status)
            assert asked.headers[ANSWER]
        denied = (await friend.get("/closed", headers=ASKING)).headers[ANSWER]
        assert "nearest is " in denied
        assert "to be allowed: " in denied
        # The function learns of nothing, and its own word for it never arrives.
        assert seen
        assert all(ASK not in names for names in seen)

    session(project, play)


@pytest.mark.parametrize("hops", [0, 1])
def test_who_is_not_trusted_learns_nothing_and_never_gets_to_the_engine(project: Project, hops: int) -> None:
    """Whatever it says of where it comes from, and however many proxies are believed."""
    sink = Lines()
    spoofs = [
        {},
        {"x-forwarded-for": TRUSTED},
        {"x-forwarded-for": f"{TRUSTED}, {TRUSTED}"},
        {"x-real-ip": TRUSTED, "forwarded": f"for={TRUSTED}", "x-envoy-external-address": TRUSTED},
    ]

    async def play(engine: Engine, friend: httpx.AsyncClient, other: httpx.AsyncClient, seen: Any) -> None:
        for spoof in spoofs:
            for path, (status, _) in CASES.items():
                answer = await other.get(path, headers={**ASKING, **spoof})
                assert (answer.status_code, ANSWER in answer.headers) == (status, False), (path, spoof)
        await other.get("/end")
        await eventually(lambda: any(path_of(each) == "/end" for each in sink.entries))
        assert all(ASK not in names for names in seen)

    session(project, play, more=f", trusted_hops: {hops}", sink=sink)
    for each in sink.entries:
        if each["requested_by"].startswith(f"{OTHER}:") and path_of(each) in ("/open", "/closed", "/limited"):
            assert each["palisade"]["decider"] == "native", each


def path_of(entry: dict[str, Any]) -> str:
    path: str = entry["input"]["attributes"]["request"]["http"]["path"]
    return path


def test_nothing_but_true_asks(project: Project) -> None:
    async def play(engine: Engine, friend: httpx.AsyncClient, other: httpx.AsyncClient, seen: Any) -> None:
        for value in ("false", "1", "TRUE", "true,true", ""):
            for path, (status, _) in CASES.items():
                answer = await friend.get(path, headers={ASK: value})
                assert (answer.status_code, ANSWER in answer.headers) == (status, False), (path, value)

    session(project, play)


def test_without_the_engine_who_asks_is_denied_and_all_others_are_not(project: Project) -> None:
    async def play(engine: Engine, friend: httpx.AsyncClient, other: httpx.AsyncClient, seen: Any) -> None:
        await engine.__aexit__()
        assert (await friend.get("/open")).status_code == 200
        assert (await other.get("/open", headers=ASKING)).status_code == 200
        assert (await friend.get("/open", headers=ASKING)).status_code == 403

    session(project, play)


def test_what_explains_is_there_before_anybody_asks(project: Project) -> None:
    """It takes a second to start, and the first who asked was told that it took too long."""

    async def main() -> None:
        project.file.write_text(SETTINGS + f"explain: {{trusted: ['{TRUSTED}']}}\n")
        async with Engine(project.file, sink=Lines()):
            await eventually(lambda: len(children()) == 1)
        assert children() == set()

    run(main())


def test_an_explanation_that_does_not_come_holds_the_answer_up_for_a_second_at_most(project: Project) -> None:
    async def play(engine: Engine, friend: httpx.AsyncClient, other: httpx.AsyncClient, seen: Any) -> None:
        [process] = children()
        os.kill(process, signal.SIGSTOP)
        try:
            took = []
            while (
                len(took) < 5 and min(took, default=2.0) >= 1.8
            ):  # others may have a busy machine for a while
                start = asyncio.get_running_loop().time()
                answer = await friend.get("/open", headers=ASKING)
                took.append(asyncio.get_running_loop().time() - start)
                assert answer.status_code == 200
                assert answer.headers[ANSWER].startswith("not explained: it took too long")
        finally:
            os.kill(process, signal.SIGCONT)
        assert min(took) < 1.8  # as long as the sidecar waits, and no longer

    session(project, play)


def test_what_a_request_says_is_bounded_in_the_header(project: Project) -> None:
    async def play(engine: Engine, friend: httpx.AsyncClient, other: httpx.AsyncClient, seen: Any) -> None:
        answer = await friend.get(f"/{'x' * 5000}", headers=ASKING)
        assert answer.status_code == 403
        assert len(answer.headers[ANSWER]) <= MOST_EXPLAINED

    session(project, play)


@given(st.text(max_size=2000))
def test_a_header_holds_any_text(text: str) -> None:
    found = printable(text)
    assert len(found) <= MOST_EXPLAINED
    assert set(found) <= set(string.printable) - set(string.whitespace) | {" "}
    if not found.endswith(" ..."):
        assert unquote(found) == text.encode("utf-8", "replace").decode()
