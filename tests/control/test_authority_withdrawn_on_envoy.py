"""Certificates of sidecars that were stolen: another authority in their place, while a sidecar runs."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

from control_helpers import SUM, Project
from envoy_helpers import client_for, function, settings, until
from shared_helpers import Lines, free_port, run

from palisade.control.engine import Engine
from palisade.control.listener import RESIDUAL_NAME
from palisade.control.sidecars import Sidecars
from palisade.pki import Identity


async def is_served(port: int, identity: Identity, folder: Path) -> bool:
    """Whether the engine answers who has this certificate, in whatever way."""
    file = folder / "shown.pem"
    file.write_bytes(identity.key + b"\n" + identity.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(file)
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=RESIDUAL_NAME
        )
        writer.write(b"GET / HTTP/1.1\r\nhost: engine\r\n\r\n")
        async with asyncio.timeout(30):
            served = await reader.read(1) != b""
        writer.close()
    except OSError:
        return False
    return served


def test_a_sidecar_takes_the_certificate_of_another_authority_and_that_of_the_old_one_is_shut_out(
    project: Project,
) -> None:
    project.allow.write_text(project.allow.read_text() + SUM % 3)
    state = project.root / ".palisade"

    async def session() -> None:
        async with function() as upstream:
            project.file.write_text(settings(upstream, free_port(), "hello"))
            engine = Engine(project.file, sink=Lines())
            await engine.__aenter__()
            async with Sidecars(engine) as sidecars, client_for(sidecars, "hello") as client:
                await until(client, "/sum?n=7", 200)
                stolen = Identity.load(engine.credentials.folder("hello"))
                assert await is_served(engine.listen.port, stolen, project.root)
                await engine.__aexit__(None, None, None)
                shutil.rmtree(state / "authority")
                async with Engine(project.file, sink=Lines()) as again:
                    await until(client, "/sum?n=7", 200)
                    own = Identity.load(again.credentials.folder("hello"))
                    assert await is_served(again.listen.port, own, project.root)
                    assert not await is_served(again.listen.port, stolen, project.root)

    run(session())
