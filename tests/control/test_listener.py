"""The engine's port: gRPC and residual decisions behind one address, each for proven sidecars only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import uvloop
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from shared_helpers import eventually

from palisade.control.listener import RESIDUAL_NAME, Listener
from palisade.decide.http1 import METHOD, Checks
from palisade.decide.log import DecisionLog
from palisade.decide.question import Evaluation
from palisade.decide.service import Authorization
from palisade.decide.sink import FileSink
from palisade.pki import Authority, Identity, IdentitySource, channel_credentials
from palisade.policy.inventory import Address
from palisade_sidecar import engine_cluster

Run = Callable[[Coroutine[Any, Any, None]], None]

_QUESTION = b"POST %b HTTP/1.1\r\nhost: engine\r\ncontent-length: %d\r\n\r\n%b"


class Engine:
    """A listener, and who asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.open(folder / "authority")
        self.identity = IdentitySource(
            lambda: self.authority.issue_engine(dns_names=["engine.palisade.local"])
        )
        self.asked: list[str] = []
        self.address = Address("127.0.0.1", 0)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        def evaluate(function: str, _: object) -> Evaluation:
            self.asked.append(function)
            return Evaluation(True)

        async with DecisionLog(FileSink(self.folder / "log")) as decisions:
            service = Authorization(evaluate, decisions)
            server = grpc.aio.server()
            service.add_to(server)
            checks = Checks(service)
            async with Listener(self.address, self.identity, server, checks, self.folder) as listener:
                self.address = listener.address
                yield

    async def ask(self, identity: Identity, name: str = RESIDUAL_NAME) -> bytes:
        """The head of the answer by HTTP/1.1."""
        reader, writer = await asyncio.open_connection(
            self.address.host, self.address.port, ssl=client(identity, self.folder), server_hostname=name
        )
        check = CheckRequest(attributes={"request": {"http": {"path": "/"}}}).SerializeToString()
        body = b"\0" + len(check).to_bytes(4, "big") + check
        writer.write(_QUESTION % (METHOD, len(body), body))
        try:
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()

    async def ask_by_grpc(self, identity: Identity) -> int:
        """The status of the answer."""
        async with grpc.aio.secure_channel(
            str(self.address),
            channel_credentials(identity),
            options=[("grpc.ssl_target_name_override", "engine.palisade.local")],
        ) as channel:
            check = CheckRequest(attributes={"request": {"http": {"path": "/"}}})
            answer = await AuthorizationStub(channel).Check(check, timeout=30)
        code: int = answer.status.code
        return code


def client(identity: Identity, folder: Path) -> ssl.SSLContext:
    identity.save(folder / "client")
    context = ssl.create_default_context(cadata=identity.bundle.decode())
    context.check_hostname = False
    context.load_cert_chain(folder / "client" / "certificate.pem", folder / "client" / "key.pem")
    return context


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on one of the two event loops."""

    def on_loop(work: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(60):
                await work

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(bounded())

    return on_loop


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def test_a_socket_that_a_killed_engine_left_is_replaced_wherever_it_lies(tmp_path: Path, run: Run) -> None:
    """The state folder may be named as people name folders."""
    folder = tmp_path / "it's 50 %25 ü#?"
    folder.mkdir()
    engine = Engine(folder)

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(folder / "grpc"))
        async with engine.serving():
            assert (folder / "grpc").is_socket()
            assert await engine.ask_by_grpc(engine.authority.issue_function("orders")) == 0
        assert not (folder / "grpc").exists()

    run(main())


def test_both_services_know_who_asks(engine: Engine, run: Run) -> None:
    async def main() -> None:
        async with engine.serving():
            assert (await engine.ask(engine.authority.issue_function("hello"))).startswith(b"HTTP/1.1 200")
            assert await engine.ask_by_grpc(engine.authority.issue_function("orders")) == 0

    run(main())
    assert engine.asked == ["hello", "orders"]


def test_a_client_of_another_authority_is_not_heard(engine: Engine, run: Run, tmp_path: Path) -> None:
    other = Authority.open(tmp_path / "other").issue_function("hello")
    ours = engine.authority.issue_function("hello")
    mixed = Identity(
        other.spiffe_id, other.key, other.certificate, ours.bundle, other.not_before, other.not_after
    )

    async def main() -> None:
        async with engine.serving():
            with pytest.raises((OSError, EOFError)):
                await engine.ask(mixed)
            with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
                await engine.ask_by_grpc(mixed)

    run(main())
    assert engine.asked == []


@pytest.mark.parametrize("name", [RESIDUAL_NAME, "engine.palisade.local"])
def test_a_client_without_a_certificate_is_not_heard(engine: Engine, run: Run, name: str) -> None:
    context = ssl.create_default_context(cadata=engine.authority.issue_function("hello").bundle.decode())
    context.check_hostname = False

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(
            engine.address.host, engine.address.port, ssl=context, server_hostname=name
        )
        # In TLS 1.3 the server's refusal comes with the first answer.
        writer.write(_QUESTION % (METHOD, 0, b""))
        await reader.readexactly(1)

    async def main() -> None:
        async with engine.serving():
            with pytest.raises((OSError, EOFError)):
                await ask()

    run(main())
    assert engine.asked == []


def test_the_engine_itself_is_no_sidecar(engine: Engine, run: Run) -> None:
    async def main() -> None:
        async with engine.serving():
            await engine.ask(engine.authority.issue_engine())

    run(main())
    assert engine.asked == []


def test_what_is_no_tls_is_ended_and_others_are_served_meanwhile(engine: Engine, run: Run) -> None:
    async def main() -> None:
        async with engine.serving():
            silent = await asyncio.open_connection(engine.address.host, engine.address.port)
            text = await asyncio.open_connection(engine.address.host, engine.address.port)
            text[1].write(b"GET / HTTP/1.1\r\nhost: engine\r\n\r\n")
            assert b"200 OK" not in await text[0].read()
            assert (await engine.ask(engine.authority.issue_function("hello"))).startswith(b"HTTP/1.1 200")
            silent[1].close()
            text[1].close()

    run(main())


def test_one_that_leaves_in_the_midst_of_its_hello_is_forgotten(engine: Engine, run: Run) -> None:
    async def leave() -> None:
        reader, writer = await asyncio.open_connection(engine.address.host, engine.address.port)
        writer.write(b"\x16\x03\x01\x02\x00\x01")
        await asyncio.sleep(0.05)
        writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()

    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def main() -> None:
        async with engine.serving():
            await leave()  # the event loop opens files of its own at first
            await asyncio.sleep(0.05)
            first = files()
            for _ in range(3):
                await leave()
            await eventually(lambda: files() <= first)

    run(main())


def test_a_hello_may_arrive_in_pieces(engine: Engine, run: Run) -> None:
    """As over a network, where it fits into no one packet: its name decides where the connection goes."""

    async def main() -> None:
        async with engine.serving():
            reader, writer = await asyncio.open_connection(engine.address.host, engine.address.port)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            context = client(engine.authority.issue_function("hello"), engine.folder)
            tls = context.wrap_bio(incoming, outgoing, server_hostname=RESIDUAL_NAME)
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    hello = outgoing.read()
                    for at in range(0, len(hello), 100):
                        writer.write(hello[at : at + 100])
                        await asyncio.sleep(0.01)
                    incoming.write(await reader.read(65536))
                else:
                    break
            tls.write(_QUESTION % (METHOD, 0, b""))
            writer.write(outgoing.read())
            answer = b""
            while b"grpc-status: 3" not in answer:
                incoming.write(await reader.read(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    answer += tls.read(65536)
            writer.close()

    run(main())


def test_a_renewed_identity_is_shown_at_the_next_handshake(engine: Engine, run: Run) -> None:
    now = datetime.now(UTC)
    issue = lambda: engine.authority.issue_engine(dns_names=["engine.palisade.local"])  # noqa: E731
    engine.identity = IdentitySource(issue, clock=lambda: now)
    shown = set()

    async def main() -> None:
        nonlocal now
        context = client(engine.authority.issue_function("hello"), engine.folder)
        async with engine.serving():
            for _ in range(2):
                _, writer = await asyncio.open_connection(
                    engine.address.host, engine.address.port, ssl=context, server_hostname=RESIDUAL_NAME
                )
                shown.add(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
                writer.close()
                now = engine.identity.current.renew_at + timedelta(seconds=1)

    run(main())
    assert len(shown) == 2


def test_a_port_in_use_is_refused(engine: Engine, run: Run, tmp_path: Path) -> None:
    """gRPC alone would share it in silence, and each engine get half of the sidecars."""
    (tmp_path / "second").mkdir()
    second = Engine(tmp_path / "second")

    async def main() -> None:
        async with engine.serving():
            second.address = engine.address
            with pytest.raises(OSError, match="in use"):
                async with second.serving():
                    pass

    run(main())


def test_sidecars_ask_for_the_name_that_the_engine_knows() -> None:
    assert engine_cluster._RESIDUAL_NAME == RESIDUAL_NAME
