"""What docs/decisions/static-listener.md promises, on a real Envoy."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from shared_helpers import beside, run

ALLOW_OK = {"/ok": "allow", "/ask": "residual"}


async def status(client: httpx.AsyncClient, path: str) -> int:
    return (await client.get(path)).status_code


def test_without_an_engine_the_sidecar_listens_and_answers_503(rig: Any) -> None:
    async def scenario() -> None:
        async with rig.sidecar() as (_, client):
            response = await client.get("/ok")
            assert response.status_code == 503
            assert "no policy yet" in response.text
        assert rig.function.requests == []

    run(scenario())


@pytest.mark.parametrize(
    ("missing", "passing"),
    [
        ("palisade.identity", []),
        ("palisade.attributes", []),
        ("palisade.native", []),
        # What a rule allowed needs no look at the slot that asks the engine; all else does.
        ("palisade.residual", ["/ok"]),
    ],
)
def test_a_revision_that_arrived_in_part_lets_nothing_pass_that_is_not_decided(
    rig: Any, make_revision: Any, until: Any, missing: str, passing: list[str]
) -> None:
    rules = {"/ok": "allow", "/ask": "residual", "/other": "residual"}
    whole = make_revision("r1", rules)

    async def scenario() -> None:
        messages = [
            message
            for named in whole.resources.values()
            for name, message in named.items()
            if name != missing
        ]
        async with rig.sidecar() as (sidecar, client):
            await rig.engine(type(whole).of("part", messages))
            await until(lambda: sidecar.status.connected)
            await asyncio.sleep(0.2)
            for path in passing:
                await until(lambda: _is(client, path, 200))  # noqa: B023 - asked at once
            for path in rules:
                assert await status(client, path) == (200 if path in passing else 503)
            await rig.push(make_revision("r1", rules))
            await until(lambda: _is(client, "/ok", 200))
            await until(lambda: _is(client, "/ask", 200))

    run(scenario())


async def _is(client: httpx.AsyncClient, path: str, expected: int) -> bool:
    return await status(client, path) == expected


def test_an_update_under_load_drops_no_request_and_closes_no_connection(
    rig: Any, make_revision: Any, until: Any
) -> None:
    async def scenario() -> None:
        await rig.engine(make_revision("r0", ALLOW_OK))
        async with rig.sidecar() as (_, client):
            await until(lambda: _is(client, "/ok", 200))
            reader, writer = await _connect(client)
            seen: list[int] = []
            async with beside(_flow(client, seen)):
                for number in range(1, 11):
                    opened = {} if number % 2 == 0 else {"/new": "allow"}
                    await rig.push(make_revision(f"r{number}", ALLOW_OK | opened))
                    await until(lambda want=200 if opened else 403: _is(client, "/new", want))
                    before = len(seen)
                    await until(lambda: len(seen) > before + 2)  # noqa: B023 - asked at once
            assert set(seen) == {200}
            assert await _exchange(reader, writer) == b"HTTP/1.1 200 OK\r\n"  # opened before all updates
            writer.close()

    run(scenario())


async def _connect(client: httpx.AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    assert await _exchange(reader, writer) == b"HTTP/1.1 200 OK\r\n"
    return reader, writer


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET /ok HTTP/1.1\r\nhost: a\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return head.split(b"\r\n")[0] + b"\r\n"


async def _flow(client: httpx.AsyncClient, seen: list[int]) -> None:
    while True:
        seen.append(await status(client, "/ok"))
        await asyncio.sleep(0.002)


def test_native_decisions_survive_the_engine_and_its_return(rig: Any, make_revision: Any, until: Any) -> None:
    async def scenario() -> None:
        await rig.engine(make_revision("r1", ALLOW_OK))
        async with rig.sidecar() as (sidecar, client):
            await until(lambda: _is(client, "/ask", 200))
            await until(lambda: sidecar.status.connected)
            seen: list[int] = []
            async with beside(_flow(client, seen)):
                await rig.kill_engine()
                await until(lambda: _is(client, "/ask", 403))
                await until(lambda: not sidecar.status.connected)
                assert await status(client, "/ok") == 200
                assert await status(client, "/no") == 403
                await rig.engine(make_revision("r1", ALLOW_OK))
                await until(lambda: _is(client, "/ask", 200))
                await until(lambda: sidecar.status.connected)
                await rig.push(make_revision("r2", {"/ok": "allow"}))
                await until(lambda: _is(client, "/ask", 403))
            assert set(seen) == {200}
            made.append(len(seen) + 1)

    made: list[int] = []
    run(scenario())
    paths = [event["input"]["attributes"]["request"]["http"]["path"] for event in rig.sink.entries]
    # The one under way when the flow ended may be among them.
    assert paths.count("/ok") - made[0] in (0, 1), "what was decided meanwhile is in the log too, once"


def test_a_renewed_certificate_is_taken_up(rig: Any, make_revision: Any, until: Any) -> None:
    """The sidecar starts with a certificate that the engine refuses, and gets one that it takes."""

    async def scenario() -> None:
        other = type(rig.authority).open(rig.folder / "other")
        trusted = rig.authority.issue_function("hello")
        other.issue_function("hello").save(rig.folder / "credentials")
        await rig.engine(make_revision("r1", ALLOW_OK))
        async with rig.sidecar() as (_, client):
            await asyncio.sleep(0.3)
            assert await status(client, "/ok") == 503
            trusted.save(rig.folder / "credentials")
            await until(lambda: _is(client, "/ok", 200))

    run(scenario())
