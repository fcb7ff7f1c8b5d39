"""TLS before a function, on a real Envoy: who may connect, who is told to call, and new certificates."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tls_helpers import Known, call, headers_of, play, ready

from palisade.testing.certificates import Pair, TestAuthority, client_context
from palisade.testing.equivalence.http2 import Http2Connection
from palisade.testing.equivalence.requests import Stream
from palisade_sidecar.settings import Address, Tls


def test_callers_see_the_users_certificate_and_cannot_say_who_they_are(
    rig: Any, make_revision: Any, until: Any, known: Known
) -> None:
    """Nobody can make the function believe that another called, with a certificate or without."""
    orders = known.authority.issue(uris=["spiffe://example.org/orders"], subject={"CN": "orders"})

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(), until)
        for pair in (orders, None):
            forged = ("x-forwarded-client-cert: URI=spiffe://forged", "x-forwarded-proto: http")
            answer = await call(address, known.caller(pair), *forged)
            assert answer.status == 200
            assert answer.server == known.certificate.read_bytes()
            got = headers_of(rig)
            assert "x-forwarded-client-cert" not in got
            assert got["x-forwarded-proto"] == "https"

    play(rig, make_revision, known.tls(), scenario)


def test_the_engine_is_told_who_calls(rig: Any, make_revision: Any, until: Any, known: Known) -> None:
    """`source.principal` and `peer`, for what the engine decides and in the log of what the sidecar does."""
    named = known.authority.issue(uris=["spiffe://example.org/a", "spiffe://example.org/b"])
    other = known.authority.issue(dns=["a.example", "b.example"], subject={"CN": "x"})
    plain = known.authority.issue(subject={"CN": "x, y", "O": "z"})
    expected = [
        (named, "spiffe://example.org/a", "spiffe://example.org/a"),
        (other, "a.example", "-"),
        (plain, "O=z,CN=x\\, y", "-"),
        (None, "-", "-"),
    ]

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(), until)
        for pair, principal, peer in expected:
            assert (await call(address, known.caller(pair), path="/ask")).status == 200
            got = headers_of(rig)
            assert (got["x-seen"], got["x-peer"], got["x-scheme"]) == (principal, peer, "https")
        rig.sink.entries.clear()
        for pair, _, _ in expected:
            await call(address, known.caller(pair), "user-agent: logged")

        def logged() -> list[tuple[str, str]]:
            events = (each["input"] for each in rig.sink.entries)
            return sorted(
                (each["attributes"]["source"].get("principal", "-"), each.get("peer", "-"))
                for each in events
                if each["attributes"]["request"]["http"]["headers"].get("user-agent") == "logged"
            )

        await until(lambda: len(logged()) >= len(expected))
        assert logged() == sorted((principal, peer) for _, principal, peer in expected)

    play(rig, make_revision, known.tls(), scenario)


def test_a_name_with_control_characters_divides_no_line_of_the_log(
    rig: Any, make_revision: Any, until: Any, known: Known
) -> None:
    odd = known.authority.issue(uris=["spiffe://example.org/a\n\x1fb"])

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(), until)
        assert (await call(address, known.caller(odd))).status == 200

        def principals() -> list[str]:
            sources = (each["input"]["attributes"]["source"] for each in rig.sink.entries)
            return [each["principal"] for each in sources if "principal" in each]

        await until(principals)
        assert principals() == ["(unprintable)"]

    play(rig, make_revision, known.tls(), scenario)


@pytest.mark.parametrize("asked", ["none", "optional", "required"])
def test_who_may_connect(rig: Any, make_revision: Any, until: Any, known: Known, asked: Any) -> None:
    """A certificate that is shown must be valid; none need be shown unless required; plain HTTP fails."""
    now = datetime.now(UTC)
    good = known.authority.issue(uris=["spiffe://example.org/a"])
    foreign = TestAuthority().issue(uris=["spiffe://example.org/a"])
    expired = known.authority.issue(
        uris=["spiffe://example.org/a"], start=now - timedelta(days=2), end=now - timedelta(days=1)
    )

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(good), until)
        passing = {
            name
            for name, pair in {"good": good, "foreign": foreign, "expired": expired, "none": None}.items()
            if (await call(address, known.caller(pair))).status == 200
        }
        everyone = {"good", "foreign", "expired", "none"}  # who is not asked shows nothing
        assert passing == {"none": everyone, "optional": {"good", "none"}, "required": {"good"}}[asked]
        assert (await call(address, None)).status == 0
        await call(address, known.caller(good), path="/ask")
        assert headers_of(rig)["x-peer"] == ("-" if asked == "none" else "spiffe://example.org/a")

    play(rig, make_revision, known.tls(asked, client_ca=asked != "none"), scenario)


def test_versions_and_protocols(rig: Any, make_revision: Any, until: Any, known: Known) -> None:
    """TLS 1.2 and 1.3; HTTP/2 where the caller speaks it."""

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(), until)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = known.caller()
            context.minimum_version = context.maximum_version = version
            assert (await call(address, context)).status == 200
        for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)):
            context = known.caller()
            if offered:
                context.set_alpn_protocols(offered)
            _, writer = await asyncio.open_connection(
                address.host, address.port, ssl=context, server_hostname="orders.example"
            )
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
            writer.close()

    play(rig, make_revision, known.tls(), scenario)


def test_over_http2_the_caller_is_known_and_the_scheme_is_not_the_clients(
    rig: Any, make_revision: Any, until: Any, known: Known
) -> None:
    """On each stream of a connection, whichever scheme it claims."""
    orders = known.authority.issue(uris=["spiffe://example.org/orders"])

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(), until)
        context = known.caller(orders)
        context.set_alpn_protocols(["h2"])
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Http2Connection(b""), address.host, address.port, ssl=context, server_hostname="a.test"
        )
        for scheme in (b"http", b"https"):
            head = (
                (b":method", b"GET"),
                (b":scheme", scheme),
                (b":path", b"/ask"),
                (b":authority", b"a.test"),
            )
            answer = await asyncio.wait_for(connection.send(Stream(head, b"")), 30)
            assert answer.status == 200
            got = headers_of(rig)
            assert (got["x-seen"], got["x-scheme"]) == ("spiffe://example.org/orders", "https")
        connection.close()

    play(rig, make_revision, known.tls(), scenario)


def test_sidecars_certificates_serve_and_prove_who_calls_without_any_file(
    rig: Any, make_revision: Any, until: Any, tmp_path: Path
) -> None:
    """`tls: {}`: the engine's authority is all that is needed."""
    caller = rig.authority.issue_function("orders")
    other = type(rig.authority).open(tmp_path / "other").issue_function("orders")

    async def scenario(address: Address) -> None:
        context = client_context(caller.bundle, tmp_path, Pair(caller.certificate, caller.key))
        await ready(rig, address, context, until)
        await call(address, context, path="/ask")
        assert headers_of(rig)["x-peer"] == "spiffe://palisade.local/function/orders"
        forged = client_context(caller.bundle, tmp_path, Pair(other.certificate, other.key))
        assert (await call(address, forged)).status == 0
        # The sidecar's own certificate is renewed: new connections get the new one.
        renewed = rig.authority.issue_function("hello")
        renewed.save(rig.folder / "credentials")

        async def shown() -> bool:
            return (await call(address, context)).server in renewed.certificate

        await until(shown)

    play(rig, make_revision, Tls(), scenario)


def overwritten(new: Pair, known: Known) -> None:
    known.certificate.write_bytes(new.certificate)
    known.key.write_bytes(new.key)


def renamed(new: Pair, known: Known) -> None:
    for path, content in ((known.certificate, new.certificate), (known.key, new.key)):
        path.with_suffix(".new").write_bytes(content)
        os.replace(path.with_suffix(".new"), path)


def relinked(new: Pair, known: Known) -> None:
    """As certbot does it: the links are taken away and made anew."""
    folder = known.folder / "archive"
    folder.mkdir()
    certificate, key = new.save(folder)
    for link, target in ((known.certificate, certificate), (known.key, key)):
        link.unlink()
        link.symlink_to(target)


@pytest.mark.parametrize("change", [overwritten, renamed, relinked])
def test_new_files_are_taken_up_without_a_restart(
    rig: Any, make_revision: Any, until: Any, known: Known, change: Callable[[Pair, Known], None]
) -> None:
    """However they are put there; and a connection that is open stays open."""
    new = known.authority.issue(dns=["orders.example"])

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(), until)
        reader, writer = await asyncio.open_connection(
            address.host, address.port, ssl=known.caller(), server_hostname="orders.example"
        )
        change(new, known)

        async def shown() -> bool:
            return (await call(address, known.caller())).server == new.certificate

        await until(shown)
        writer.write(b"GET /ok HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()

    play(rig, make_revision, known.tls(), scenario)


def test_files_that_do_not_fit_are_not_taken(
    rig: Any, make_revision: Any, until: Any, known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    """A half that was replaced changes nothing until the other half is there."""
    new = known.authority.issue(dns=["orders.example"])
    before = known.certificate.read_bytes()

    async def scenario(address: Address) -> None:
        await ready(rig, address, known.caller(), until)
        known.certificate.write_bytes(new.certificate)
        await until(lambda: "does not belong to the certificate" in caplog.text)
        assert (await call(address, known.caller())).server == before
        known.key.write_bytes(new.key)

        async def shown() -> bool:
            return (await call(address, known.caller())).server == new.certificate

        await until(shown)

    play(rig, make_revision, known.tls(), scenario)


def test_an_authority_that_is_withdrawn_ends_what_it_vouched_for(
    rig: Any, make_revision: Any, until: Any, known: Known
) -> None:
    """And no session that was begun before is resumed past it: every connection is verified anew."""
    pair = known.authority.issue(uris=["spiffe://example.org/a"])

    async def scenario(address: Address) -> None:
        context = known.caller(pair)
        await ready(rig, address, context, until)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            assert not await asyncio.to_thread(resumes, address, context)
        (known.folder / "ca.pem").write_bytes(TestAuthority().pem)

        async def refused() -> bool:
            return (await call(address, known.caller(pair))).status == 0

        await until(refused)

    play(rig, make_revision, known.tls("required"), scenario)


def resumes(address: Address, context: ssl.SSLContext) -> bool:
    """Whether a second connection goes on with the session of the first."""
    session = None
    reused = False
    for _ in range(2):
        with (
            socket.create_connection((address.host, address.port), 5) as raw,
            context.wrap_socket(raw, server_hostname="orders.example", session=session) as tls,
        ):
            tls.sendall(b"GET /ok HTTP/1.1\r\nhost: a\r\n\r\n")
            assert tls.recv(100).startswith(b"HTTP/1.1 200")
            session, reused = tls.session, bool(tls.session_reused)
    return reused
