"""One spelling of a request for policy and function: the table of docs/decisions/static-listener.md."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from shared_helpers import run

from palisade.decide.question import Evaluation
from palisade.testing.equivalence.http2 import Http2Connection
from palisade.testing.equivalence.requests import Stream
from palisade_sidecar.sidecar import Sidecar


class Everything:
    """Asks the engine on each path, and keeps what the policy was shown."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []

    def __call__(self, function: str, document: Any) -> Evaluation:
        self.inputs.append(document["attributes"]["request"]["http"])
        return Evaluation(True)


PATHS = ["/", "/ok", "/a%2fb", "/a/b", "/a%20b", "/?q=/../x//%2F", "/a;b", "/A", "/a%5Cb"]


async def exchange(sidecar: Sidecar, raw: bytes) -> tuple[int, Any]:
    """Send bytes as they are; the status, and the request as the function saw it (None if it did not)."""
    listen = sidecar.status.listen
    reader, writer = await asyncio.open_connection(listen.host, listen.port)
    try:
        writer.write(raw)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        status = int(head.split(b" ")[1])
        if status != 200:
            return status, None
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return status, json.loads(await reader.readexactly(int(length.partition(b":")[2])))
    finally:
        writer.close()


def play(
    rig: Any, make_revision: Any, until: Any, *requests: bytes, **settings: Any
) -> list[tuple[Any, ...]]:
    """Each request's status, what the policy was shown, and what the function saw."""
    shown = rig.evaluator = Everything()

    async def scenario() -> list[tuple[Any, ...]]:
        await rig.engine(make_revision("r1", {"/start": "residual"} | dict.fromkeys(PATHS, "residual")))
        async with rig.sidecar(**settings) as (sidecar, client):
            await until(lambda: _in_force(client))
            found = []
            for raw in requests:
                shown.inputs.clear()
                status, seen = await exchange(sidecar, raw)
                found.append((status, shown.inputs[-1] if shown.inputs else None, seen))
            return found

    return run(scenario())


async def _in_force(client: httpx.AsyncClient) -> bool:
    return (await client.get("/start")).status_code == 200


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: example.com", *headers, "", ""]).encode("latin-1")


SPELLINGS = {
    "/x/../ok": "/ok",
    "/./ok": "/ok",
    "/x/%2e%2e/ok": "/ok",
    "//ok": "/ok",
    "/x//..//ok": 403,  # normalized before slashes are merged: /x//ok, then /x/ok
    "/%6Fk": "/ok",
    "/a%2fb": 400,
    "/a%2Fb": 400,
    "/a%5Cb": 400,
    "/a\\b": "/a/b",
    "/?q=/../x//%2F": "/?q=/../x//%2F",
    "/ok#fragment": 400,
    "/a%20b": "/a%20b",
    "/A": "/A",
    "/a;b": "/a;b",
}


def test_paths(rig: Any, make_revision: Any, until: Any) -> None:
    outcomes = play(rig, make_revision, until, *map(get, SPELLINGS))
    told: dict[str, Any] = {}
    for path, (status, shown, seen) in zip(SPELLINGS, outcomes, strict=True):
        told[path] = status if status != 200 else seen["path"]
        if status == 200:
            assert shown["path"] == seen["path"], path
    assert told == SPELLINGS


@pytest.mark.parametrize(("choice", "seen"), [("keep", "/a%2fb"), ("unescape", "/a/b")])
def test_escaped_slashes_can_be_kept_or_unescaped(
    rig: Any, make_revision: Any, until: Any, choice: str, seen: str
) -> None:
    ((status, shown, request),) = play(rig, make_revision, until, get("/a%2fb"), escaped_slashes=choice)
    assert (status, shown["path"], request["path"]) == (200, seen, seen)


def test_headers(rig: Any, make_revision: Any, until: Any) -> None:
    forged = (
        "X_User: mallory",
        "X-Forwarded-For: 192.0.2.9",
        "X-Request-Id: chosen",
        "X-Envoy-Original-Path: /admin",
        "X-Envoy-Internal: true",
        "X-Envoy-Max-Retries: 99",
        "X-Forwarded-Client-Cert: URI=spiffe://palisade.local/function/admin",
        "X-Twice: a",
        "X-TWICE: b",
    )
    ((status, shown, seen),) = play(rig, make_revision, until, get("/ok", *forged))
    assert status == 200
    headers = dict(seen["headers"])
    for name in ("x_user", "x-envoy-internal", "x-envoy-max-retries", "x-forwarded-client-cert"):
        assert name not in shown["headers"]
        assert name not in headers
    assert shown["headers"]["x-request-id"] == headers["x-request-id"] != "chosen"
    assert shown["headers"]["x-twice"] == "a,b"
    assert headers["x-envoy-external-address"] == "127.0.0.1"


def test_hosts(rig: Any, make_revision: Any, until: Any) -> None:
    hosts = ["example.com", "example.com.", "example.com:8080", "EXAMPLE.com"]
    requests = [b"GET /ok HTTP/1.1\r\nhost: %s\r\n\r\n" % host.encode() for host in hosts]
    absolute = b"GET http://other.example/ok HTTP/1.1\r\nhost: example.com\r\n\r\n"
    outcomes = play(rig, make_revision, until, *requests, absolute)
    assert [status for status, _, _ in outcomes] == [200] * 5
    shown = [shown["host"] for _, shown, _ in outcomes]
    assert shown == ["example.com", "example.com", "example.com:8080", "EXAMPLE.com", "other.example"]
    assert shown == [dict(seen["headers"])["host"] for _, _, seen in outcomes]


def test_what_http2_can_spell(rig: Any, make_revision: Any, until: Any) -> None:
    """Space around a value is not shown, as functions strip it; the scheme is that of the connection, not the
    client's; and a body of which the engine has to be told may be as large as over HTTP/1.1."""
    shown = rig.evaluator = Everything()
    head = (
        *((b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/ok"), (b":authority", b"a.test")),
        *((b"host", b"b.test"), (b"x-a", b" 1\t"), (b"cookie", b"a=1"), (b"cookie", b"b=2")),
    )

    async def scenario() -> int:
        await rig.engine(make_revision("r1", {"/start": "residual", "/ok": "residual"}))
        async with rig.sidecar() as (sidecar, client):
            await until(lambda: _in_force(client))
            listen, loop = sidecar.status.listen, asyncio.get_running_loop()
            _, connection = await loop.create_connection(
                lambda: Http2Connection(b""), listen.host, listen.port
            )
            answer = await asyncio.wait_for(connection.send(Stream(head, 300_000 * b"x")), 30)
            connection.close()
            return answer.status

    assert run(scenario()) == 200
    http = shown.inputs[-1]
    assert (http["host"], http["scheme"], http["headers"]["cookie"]) == ("a.test", "http", "a=1; b=2")
    assert http["headers"]["x-a"] == "1"


def test_two_hosts_are_one_that_matches_neither(rig: Any, make_revision: Any, until: Any) -> None:
    twice = b"GET /ok HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"
    ((_, shown, seen),) = play(rig, make_revision, until, twice)
    assert (shown["host"], dict(seen["headers"])["host"]) == ("a,b", "a,b")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /ok HTTP/1.1\r\n\r\n",
        b"POST /ok HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /ok HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"GET /ok HTTP/1.0\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n",
        b"GET /o\x01k HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /ok HTTP/1.1\r\nhost: a\r\nx: \x00\r\n\r\n",
        b"GET ok HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
def test_what_is_no_clear_request_reaches_no_function(
    rig: Any, make_revision: Any, until: Any, raw: bytes
) -> None:
    ((status, shown, seen),) = play(rig, make_revision, until, raw)
    assert (status >= 400, shown, seen) == (True, None, None)
