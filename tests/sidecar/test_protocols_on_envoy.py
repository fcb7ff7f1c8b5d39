"""Functions that speak gRPC or WebSocket, or that close idle connections, behind a real sidecar."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

import grpc.aio
import httpx
import pytest
from shared_helpers import run

from palisade_sidecar.settings import Address


async def _in_force(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ok")).status_code != 503


def test_a_grpc_function_is_spoken_to_in_http2(rig: Any, make_revision: Any, until: Any) -> None:
    async def echo(request: bytes, _: Any) -> bytes:
        return request * 2

    async def scenario() -> None:
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(echo)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("shop.Cart", {"Add": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await rig.engine(make_revision("r1", {"/shop.Cart/Add": "allow"}))
        async with rig.sidecar(upstream=Address("127.0.0.1", port)) as (sidecar, client):
            await until(lambda: _in_force(client))
            async with grpc.aio.insecure_channel(str(sidecar.status.listen)) as channel:
                assert await channel.unary_unary("/shop.Cart/Add")(b"ab") == b"abab"
                try:
                    await channel.unary_unary("/shop.Cart/Empty")(b"")
                except grpc.aio.AioRpcError as error:
                    refused = error.code()
                assert refused is grpc.StatusCode.PERMISSION_DENIED
        await server.stop(None)

    run(scenario())


def test_a_websocket_is_decided_once_and_passed_through(rig: Any, make_revision: Any, until: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        writer.write((await reader.readexactly(4)).upper())
        await writer.drain()
        writer.close()

    async def upgrade(address: Address, path: str) -> bytes:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        head = f"GET {path} HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        status = answer.split(b" ")[1]
        if status == b"101":
            writer.write(b"ping")
            status += await reader.readexactly(4)
        writer.close()
        return status

    async def scenario() -> None:
        upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
        await rig.engine(make_revision("r1", {"/socket": "allow"}))
        port = upstream.sockets[0].getsockname()[1]
        async with rig.sidecar(upstream=Address("127.0.0.1", port)) as (sidecar, client):
            await until(lambda: _in_force(client))
            rig.sink.entries.clear()
            assert await upgrade(sidecar.status.listen, "/socket") == b"101PING"
            assert await upgrade(sidecar.status.listen, "/other") == b"403"
        upstream.close()
        paths = [event["input"]["parsed_path"] for event in rig.sink.entries]
        assert paths.count(["socket"]) == 1

    run(scenario())


@pytest.mark.parametrize("rule", ["allow", "residual"])
def test_a_body_that_no_rule_saw_reaches_no_function_that_does_not_switch(
    rig: Any, make_revision: Any, until: Any, rule: str
) -> None:
    """What follows the head of an upgrade is no body, so rules are not asked of it. A function that knows no
    WebSockets would take it for one: a JSON that policies deny, with two headers more."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
        await writer.drain()
        got.append(head + await reader.read())  # until Envoy has ended the connection
        writer.close()

    async def scenario() -> None:
        upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
        await rig.engine(make_revision("r1", {"/socket": rule}))
        port = upstream.sockets[0].getsockname()[1]
        async with rig.sidecar(upstream=Address("127.0.0.1", port)) as (sidecar, client):
            await until(lambda: _in_force(client))
            address = sidecar.status.listen
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(
                b"POST /socket HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                b'content-type: application/json\r\ncontent-length: 14\r\n\r\n{"op": "DROP"}'
            )
            answer = await asyncio.wait_for(reader.read(), 30)
            assert answer.startswith(b"HTTP/1.1 200 ")
            writer.close()
            await until(lambda: _answered(got))
        upstream.close()

    run(scenario())
    [request] = got
    assert b"content-length: 14\r\n" in request
    assert request.endswith(b"\r\n\r\n")


async def _answered(got: list[bytes]) -> bool:
    return bool(got)


async def pipelined(address: Address, paths: list[str]) -> list[int]:
    """The statuses of requests that are sent at once over one connection, as far as they are answered."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write("".join(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n" for path in paths).encode())
    statuses: list[int] = []
    with contextlib.suppress(asyncio.IncompleteReadError):  # Envoy has ended the connection
        while len(statuses) < len(paths):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            statuses.append(int(head.split(b" ")[1]))
            length = re.search(rb"content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
    writer.close()
    return statuses


@pytest.mark.parametrize("paths", [["/no", "/ok"], ["/ok", "/no", "/ok", "/no"], ["/no"] * 4, ["/ok"] * 4])
def test_pipelined_requests_are_decided_each_by_itself(
    rig: Any, make_revision: Any, until: Any, paths: list[str]
) -> None:
    """Whatever becomes of the connection: what is answered is answered right, in order, and nothing that was
    denied, or not answered, has reached the function."""

    async def scenario() -> None:
        await rig.engine(make_revision("r1", {"/ok": "allow"}))
        async with rig.sidecar() as (sidecar, client):
            await until(lambda: _in_force(client))
            rig.function.requests.clear()
            found = await pipelined(sidecar.status.listen, paths)
            wanted = [200 if path == "/ok" else 403 for path in paths]
            assert found
            assert found == wanted[: len(found)]
            assert len(found) == len(paths) or 403 in found, "without a denial, none is cut off"
            assert [each["path"] for each in rig.function.requests] == ["/ok"] * found.count(200)

    run(scenario())


def test_a_function_that_closes_its_connections_costs_no_request(
    rig: Any, make_revision: Any, until: Any
) -> None:
    """Each answer closes the connection without saying so, as some servers do after a number of requests."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
        await rig.engine(make_revision("r1", {"/ok": "allow"}))
        port = upstream.sockets[0].getsockname()[1]
        async with rig.sidecar(upstream=Address("127.0.0.1", port)) as (_, client):
            await until(lambda: _in_force(client))
            statuses = []
            for _ in range(50):
                statuses.append((await client.get("/ok")).status_code)
                await asyncio.sleep(0.005)
            assert set(statuses) == {200}
        upstream.close()

    run(scenario())
