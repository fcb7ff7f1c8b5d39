"""A sidecar with TLS before a function, and its callers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared_helpers import run

from palisade.decide.question import Evaluation
from palisade.testing.certificates import Pair, TestAuthority, client_context
from palisade_sidecar.settings import Address, Tls

RESIDUAL = {"/ok": "allow", "/slow": "allow", "/ask": "residual"}


@dataclass(frozen=True)
class Answer:
    """What came back over one connection: `head` is empty where Envoy refused it."""

    head: bytes
    body: bytes = b""
    protocol: str | None = None
    version: str | None = None
    resumed: bool = False
    server: bytes = b""

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1]) if self.head else 0


async def call(
    address: Address, context: ssl.SSLContext | None, *headers: str, path: str = "/ok", method: str = "GET"
) -> Answer:
    """One request on a connection of its own; a refused handshake is an answer without a head."""
    lines = (f"{method} {path} HTTP/1.1", "host: orders.example", *headers, "connection: close", "", "")
    try:
        name = None if context is None else "orders.example"
        reader, writer = await asyncio.open_connection(
            address.host, address.port, ssl=context, server_hostname=name
        )
        writer.write("\r\n".join(lines).encode())
        content = await asyncio.wait_for(reader.read(), 30)
    except (ssl.SSLError, ConnectionError):
        return Answer(b"")
    found = writer.get_extra_info("ssl_object")
    writer.close()
    head, _, body = content.partition(b"\r\n\r\n")
    if found is None:
        return Answer(head, body)
    server = ssl.DER_cert_to_PEM_cert(found.getpeercert(binary_form=True)).encode()
    return Answer(head, body, found.selected_alpn_protocol(), found.version(), found.session_reused, server)


def headers_of(rig: Any) -> dict[str, str]:
    """What the function got last."""
    return dict(rig.function.requests[-1]["headers"])


@dataclass
class Known:
    """An authority of the user's, a certificate of it for the server, and how callers verify that."""

    authority: TestAuthority
    folder: Path
    certificate: Path
    key: Path

    def tls(self, client_certificate: Any = "optional", *, client_ca: bool = True) -> Tls:
        ca = self.folder / "ca.pem"
        ca.write_bytes(self.authority.pem)
        return Tls(self.certificate, self.key, ca if client_ca else None, client_certificate)

    def caller(self, pair: Pair | None = None) -> ssl.SSLContext:
        return client_context(self.authority.pem, self.folder, pair)


async def ready(rig: Any, address: Address, context: ssl.SSLContext, until: Any) -> None:
    async def passes() -> bool:
        return (await call(address, context)).status == 200

    await until(passes)


def play(rig: Any, make_revision: Any, tls: Tls, scenario: Callable[[Address], Any]) -> None:
    """Runs a scenario against a sidecar that has its revision."""

    async def playing() -> None:
        rig.evaluator = lambda function, document: Evaluation(
            {"allowed": True, "headers": {"x-seen": document["attributes"]["source"].get("principal", "-"),
                                          "x-peer": document.get("peer", "-"),
                                          "x-scheme": document["attributes"]["request"]["http"]["scheme"]}},
            path="palisade/identity/allow",
        )  # fmt: skip
        await rig.engine(make_revision("r1", RESIDUAL))
        async with rig.sidecar(tls=tls) as (sidecar, _):
            await scenario(sidecar.status.listen)

    run(playing())
