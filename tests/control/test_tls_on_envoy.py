"""Functions with `tls`: sidecars prove who calls, and files that cannot serve change nothing."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest
from control_helpers import Project
from envoy_helpers import eventually, function
from shared_helpers import Lines, run

from palisade.control.engine import Engine
from palisade.control.sidecars import Sidecars
from palisade.control.status import status
from palisade.enforce.envoy.matchers.dealing import PARTS
from palisade.policy.inventory import InventoryError
from palisade.testing.certificates import Pair, TestAuthority, client_context
from palisade.xds.resources import EXTENSION

PEERS = """package palisade.identity

default allow := false

allow if input.peer == "spiffe://palisade.local/function/orders"
"""


def settings(upstream: str, tls: str) -> str:
    return (
        "policies: ./policies\n"
        "functions:\n"
        f"  hello: {{upstream: '{upstream}', listen: '127.0.0.1:0', tls: {tls}}}\n"
        f"  orders: {{upstream: '{upstream}', listen: '127.0.0.1:0'}}\n"
        "engine: {listen: '127.0.0.1:0', admin: '127.0.0.1:0'}\n"
    )


def context_of(engine: Engine, name: str) -> ssl.SSLContext:
    """A client with the certificate of a function's sidecar."""
    folder = engine.credentials.folder(name)
    context = ssl.create_default_context(cafile=str(folder / "bundle.pem"))
    context.check_hostname = False
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


async def status_of(sidecars: Sidecars, context: ssl.SSLContext, path: str = "/") -> int:
    sidecar = sidecars.statuses.get("hello")
    if sidecar is None:
        return 0  # it is being started anew
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=60) as client:
        try:
            return (await client.get(f"https://{sidecar.listen}{path}")).status_code
        except (httpx.TransportError, ssl.SSLError):  # TLS 1.3 refuses a client after its handshake
            return 0


async def becomes(sidecars: Sidecars, context: ssl.SSLContext, wanted: int) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + 60
    while (status := await status_of(sidecars, context)) != wanted:
        if clock() > deadline:
            pytest.fail(f"the answer is still {status}, never {wanted}")
        await asyncio.sleep(0.01)


def test_a_function_knows_another_by_its_sidecars_certificate(project: Project) -> None:
    """Natively, with no more in palisade.yaml than `tls: {}`."""
    sink = Lines()

    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, "{client_certificate: required}"))
            project.allow.write_text(PEERS)
            async with Engine(project.file, sink=sink) as engine, Sidecars(engine) as sidecars:
                await becomes(sidecars, context_of(engine, "orders"), 200)
                await becomes(sidecars, context_of(engine, "hello"), 403)
                shown = status(engine)["functions"]
                assert shown["hello"]["tls"] == {"client_certificate": "required"}
                assert shown["orders"]["tls"] is None
                assert shown["hello"]["rules"] == {"native": 1, "conditional": 0, "residual": 0}
                bundle = (engine.credentials.folder("orders") / "bundle.pem").read_bytes()
                assert await status_of(sidecars, client_context(bundle, project.root)) == 0

    run(session())
    # Of what a busy machine had asked before there was a revision there is no result.
    allowed = [each for each in sink.entries if each.get("result") is True]
    assert allowed
    for each in allowed:
        assert each["palisade"]["decider"] == "native"
        assert each["input"]["peer"] == "spiffe://palisade.local/function/orders"


def test_an_edit_that_names_files_that_cannot_serve_leaves_the_sidecar_as_it_is(
    project: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = TestAuthority()
    server = authority.issue(dns=["hello.example"])
    server.save(tmp_path, "mine")

    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, "{}"))
            project.allow.write_text(PEERS)
            async with Engine(project.file, sink=Lines()) as engine, Sidecars(engine) as sidecars:
                caller = context_of(engine, "orders")
                await becomes(sidecars, caller, 200)
                wrong = f"{{certificate: {tmp_path}/mine.pem, key: {tmp_path}/none.pem}}"
                project.file.write_text(settings(upstream, wrong))
                await eventually(lambda: "there is no file" in caplog.text)
                assert "palisade.yaml:3:" in caplog.text
                await becomes(sidecars, caller, 200)
                right = f"{{certificate: {tmp_path}/mine.pem, key: {tmp_path}/mine-key.pem}}"
                (tmp_path / "mine-key.pem").chmod(0o644)
                project.file.write_text(settings(upstream, right))
                folder = engine.credentials.folder("orders")
                orders = Pair((folder / "certificate.pem").read_bytes(), (folder / "key.pem").read_bytes())
                await becomes(sidecars, client_context(authority.pem, tmp_path, orders), 200)
                assert await status_of(sidecars, caller) == 0, "the certificate is the user's now"
                assert caplog.text.count("every user of this machine can read the key") == 1

    run(session())


def test_files_that_cannot_serve_end_the_start_with_their_line(project: Project) -> None:
    async def session() -> None:
        project.file.write_text(settings("127.0.0.1:9", "{certificate: c.pem, key: k.pem}"))
        async with Engine(project.file, sink=Lines()) as engine:
            with pytest.raises(InventoryError) as raised:
                await Sidecars(engine).__aenter__()
            certificate, key = raised.value.errors
            assert (certificate.row, certificate.col) == (3, 78)
            assert "functions.hello.tls.certificate: there is no file" in certificate.message
            assert "functions.hello.tls.key: there is no file" in key.message
            assert certificate.hint

    run(session())


@pytest.mark.usefixtures("parts_of_few")
def test_a_decision_in_parts_is_dealt_out_by_who_calls(project: Project) -> None:
    """Thousands of rules on callers: each caller meets its own, and who shows no certificate meets none."""
    rule = 'allow if input.peer == "spiffe://palisade.local/function/{}"\n'
    others = "".join(rule.format(f"f{number}") for number in range(600))
    head = PEERS[: PEERS.index("allow if")]
    sink = Lines()

    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, "{}"))
            project.allow.write_text(head + others + rule.format("orders"))
            async with Engine(project.file, sink=sink) as engine, Sidecars(engine) as sidecars:
                snapshot = engine.cache.snapshot("hello")
                assert snapshot is not None
                assert (
                    sum(name.startswith("palisade.native.") for name in snapshot.packed(EXTENSION)) == PARTS
                )
                orders = context_of(engine, "orders")
                await becomes(sidecars, orders, 200)
                await becomes(sidecars, context_of(engine, "hello"), 403)
                bundle = (engine.credentials.folder("orders") / "bundle.pem").read_bytes()
                await becomes(sidecars, client_context(bundle, project.root), 403)
                assert await status_of(sidecars, orders, "/settled") == 200
                assert await status_of(sidecars, context_of(engine, "hello"), "/settled") == 403
                # Who called first is now one of those who may not.
                project.allow.write_text(head + others)
                await becomes(sidecars, orders, 403)

    run(session())
    settled = [each for each in sink.entries if each["input"]["parsed_path"] == ["settled"]]
    assert [each["palisade"]["decider"] for each in settled] == ["native", "native"]
