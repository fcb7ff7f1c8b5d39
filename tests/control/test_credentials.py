"""Certificates in the state folder: made once, renewed in time, of the authority that was there before."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from control_helpers import Project
from shared_helpers import eventually, run

from palisade.control import credentials as module
from palisade.control.credentials import Credentials
from palisade.pki import Identity
from palisade.policy.inventory_file import load


def test_each_function_has_a_certificate_in_its_name(project: Project) -> None:
    credentials = Credentials(load(project.file))
    asyncio.run(credentials.write(["hello", "orders"]))
    for name in ("hello", "orders"):
        identity = Identity.load(credentials.folder(name))
        assert identity.spiffe_id == f"spiffe://palisade.local/function/{name}"


def test_a_certificate_is_made_once_and_not_at_every_reload(project: Project) -> None:
    credentials = Credentials(load(project.file))
    asyncio.run(credentials.write(["hello"]))
    first = Identity.load(credentials.folder("hello")).certificate
    asyncio.run(credentials.write(["hello"]))
    assert Identity.load(credentials.folder("hello")).certificate == first


def test_the_authority_survives_a_restart(project: Project) -> None:
    """Sidecars that were started before trust the engine that comes back."""
    before = Credentials(load(project.file)).engine.current.bundle
    assert Credentials(load(project.file)).engine.current.bundle == before


@pytest.mark.parametrize("hours", [-11, 1], ids=["it expires soon", "it is not valid yet"])
def test_what_is_due_is_renewed(project: Project, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    monkeypatch.setattr(module, "_CHECK_SECONDS", 0.01)

    async def session() -> None:
        credentials = Credentials(load(project.file))
        await credentials.write(["hello", "orders"])
        known = credentials._functions
        now, hour = datetime.now(UTC), timedelta(hours=1)
        begin = now + hours * hour
        known["hello"] = replace(known["hello"], not_before=begin, not_after=begin + 12 * hour)
        before = {name: Identity.load(credentials.folder(name)).certificate for name in known}
        task = asyncio.create_task(credentials.keep_fresh())
        await eventually(lambda: Identity.load(credentials.folder("hello")).certificate != before["hello"])
        await asyncio.sleep(0.1)  # it looks at all of them more than once
        task.cancel()
        after = {name: Identity.load(credentials.folder(name)).certificate for name in known}
        assert after["hello"] != before["hello"]
        assert after["orders"] == before["orders"]

    run(session())


def test_decisions_do_not_wait_for_certificates(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all functions are made at the start, and so are due together: of two hundred for seconds."""
    monkeypatch.setattr(module, "_CHECK_SECONDS", 0.01)
    credentials = Credentials(load(project.file))
    lock = os.open(project.root / ".palisade" / "authority" / ".lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)  # as slow as a disk can be
    too_late = threading.Timer(10, fcntl.flock, (lock, fcntl.LOCK_UN))
    too_late.start()

    async def session() -> None:
        writing = asyncio.create_task(credentials.write(["hello"]))
        await asyncio.sleep(0.1)
        fcntl.flock(lock, fcntl.LOCK_UN)
        await writing
        hello = credentials._functions["hello"]
        credentials._functions["hello"] = replace(hello, not_after=hello.not_before)
        fcntl.flock(lock, fcntl.LOCK_EX)
        renewing = asyncio.create_task(credentials.keep_fresh())
        await asyncio.sleep(0.1)
        fcntl.flock(lock, fcntl.LOCK_UN)
        await eventually(lambda: credentials._functions["hello"].not_after > hello.not_before)
        renewing.cancel()

    run(session())
    assert not too_late.finished.is_set()
    too_late.cancel()
    os.close(lock)
