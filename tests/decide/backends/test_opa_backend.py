"""Decisions by an OPA server: right ones, by the right revision, or none, and then a denial that says why."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from backend_helpers import Set, decide, fails_with
from opa_process import Opa
from shared_helpers import eventually, run

from palisade import rego
from palisade.decide.backends import backend_of
from palisade.decide.backends import opa as opa_module
from palisade.decide.backends.interface import BackendError, BackendSetupError
from palisade.decide.backends.opa import OpaBackend
from palisade.policy.inventory import Inventory, OpaSettings
from palisade.rego.values import UNDEFINED

CONFLICT = """package palisade.identity

allow := true if input.a
allow := {"allowed": false} if input.b
"""


def backend(opa: Opa, state: Path, **more: Any) -> OpaBackend:
    # A test machine may be busy: only where the time counts is it short.
    return OpaBackend(OpaSettings(opa.url, **{"timeout": 5.0, **more}), state)


async def recovers(asked: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
    """The first answer that is no failure of the backend's."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await asked()
            except BackendError:
                await asyncio.sleep(0.05)


def test_each_revision_is_asked_for_its_own_decision(opa: Opa, tmp_path: Path) -> None:
    first = Set("allow if input.n == 1", {"names": ["a"]}).revision()
    second = Set("allow if input.n in data.numbers", {"numbers": [2, 3]}).revision()

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(first)
            await server.publish(second)
            for n in range(4):
                assert await decide(server, first, {"n": n}) is (n == 1)
                assert await decide(server, second, {"n": n}) is (n in (2, 3))
            assert server.health.problem == ""
        assert opa.policies() == []
        data = opa.data()
        assert not data.get("palisade_revisions")
        assert not data.get("palisade_published")

    run(session())


def test_what_opa_says_is_what_the_embedded_evaluator_says(opa: Opa, tmp_path: Path) -> None:
    rules = """
import data.palisade.lib.claims

allow if "admin" in claims.roles
allow if regex.match(`^/pub/[^/]+$`, input.path)
allow := {"allowed": true, "headers": {"x-user": input.user}, "n": 12345678901234567890} if {
	input.path == "/me"
}
"""
    revision = Set(rules).revision()
    inputs: list[dict[str, Any]] = [
        {"identity": {"claims": {"roles": ["admin"]}}, "path": "/"},
        {"path": "/pub/a"},
        {"path": "/pub/a/b"},
        {"path": "/me", "user": 'ä\n"\\ \U0001f600'},
        {"path": "/me"},
        {},
    ]

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(revision)
            for given in inputs:
                expected = revision.policy.evaluate("data.palisade.identity.allow", given)
                assert await decide(server, revision, given) == expected

    run(session())


def test_what_is_undefined_is_undefined_and_errors_are_the_policys(opa: Opa, tmp_path: Path) -> None:
    undefined = Set("allow if input.n == 1", default="").revision()
    conflict = Set(text=CONFLICT).revision()

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(undefined)
            await server.publish(conflict)
            assert await decide(server, undefined, {"n": 2}) is UNDEFINED
            with pytest.raises(rego.EvalError) as raised:
                await decide(server, conflict, {"a": 1, "b": 1})
            assert raised.value.code == "eval_conflict_error"
            assert not isinstance(raised.value, BackendError)
            assert server.health.problem == ""

    run(session())


def test_a_revision_that_nobody_asks_by_is_removed_after_a_while(
    opa: Opa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opa_module, "_LINGER_SECONDS", 0.5)
    first, second = (Set(f"allow if input.n == {n}").revision() for n in (1, 2))

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(first)
            server.retain([first.id])
            await server.publish(second)
            server.retain([first.id, second.id])
            await asyncio.sleep(1.5)
            assert await decide(server, first, {"n": 1}) is True
            server.retain([second.id])
            assert await decide(server, first, {"n": 1}) is True  # a request that was under way
            await eventually(lambda: not any(first.id in each for each in opa.policies()))
            await eventually(lambda: first.id not in json.dumps(opa.data()))
            await fails_with(server, first, "backend_unpublished")
            assert await decide(server, second, {"n": 2}) is True
            await server.publish(first)  # an edit that is taken back
            server.retain([first.id])
            assert await decide(server, first, {"n": 1}) is True

    run(session())


def test_an_opa_that_comes_back_empty_is_given_everything_again(opa: Opa, tmp_path: Path) -> None:
    revision = Set("allow if input.n == 1").revision(no_engine=429)

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(revision)
            opa.stop()
            await fails_with(server, revision, "backend_unavailable", status=429)
            assert "cannot be reached" in server.health.problem
            opa.start()
            assert await recovers(lambda: decide(server, revision, {"n": 1})) is True
            await eventually(lambda: not server.health.problem)

    run(session())


def test_a_revision_put_in_force_while_opa_is_down_is_published_when_it_is_back(
    opa: Opa, tmp_path: Path
) -> None:
    revision = Set("allow if input.n == 1").revision()
    opa.stop()

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(revision)
            server.retain([revision.id])
            await fails_with(server, revision, "backend_unavailable")
            opa.start()
            assert await recovers(lambda: decide(server, revision, {"n": 1})) is True

    run(session())


def test_an_opa_that_hangs_is_waited_for_no_longer_than_is_set(opa: Opa, tmp_path: Path) -> None:
    revision = Set("allow if input.n == 1").revision()

    async def session() -> None:
        async with backend(opa, tmp_path, timeout=0.5) as server:
            await server.publish(revision)
            opa.pause()
            async with asyncio.timeout(8):  # one after the other they would take 10 s
                await asyncio.gather(*(fails_with(server, revision, "backend_timeout") for _ in range(20)))
                await server.publish(Set("allow if input.n == 2").revision())
            opa.resume()
            assert await recovers(lambda: decide(server, revision, {"n": 1})) is True

    run(session())


@pytest.mark.parametrize("path", ["/v1/data", "/v1/data/palisade_revisions"])
def test_lost_documents_let_nobody_in(opa: Opa, tmp_path: Path, path: str) -> None:
    """Without the list of those that are blocked nobody would be."""
    revision = Set("allow if not input.user in data.blocked", {"blocked": ["eve"]}).revision()

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(revision)
            assert await decide(server, revision, {"user": "eve"}) is False
            for _ in range(3):
                assert opa.call("PUT", path, {}).status_code == 204
                with contextlib.suppress(BackendError):
                    assert await decide(server, revision, {"user": "eve"}) is False
                assert await recovers(lambda: decide(server, revision, {"user": "eve"})) is False
            assert await decide(server, revision, {"user": "bob"}) is True

    run(session())


def test_two_engines_share_an_opa_and_do_not_touch_each_other(opa: Opa, tmp_path: Path) -> None:
    revision = Set("allow if input.n == 1").revision()
    assert opa.call("PUT", "/v1/policies/mine", "package mine\n\np := 1\n").status_code == 200
    assert opa.call("PUT", "/v1/data/mine_too", {"x": 1}).status_code == 204

    async def session() -> None:
        async with backend(opa, tmp_path / "a") as one:
            await one.publish(revision)
            async with backend(opa, tmp_path / "b") as two:
                await two.publish(revision)
                assert await decide(two, revision, {"n": 1}) is True
            assert await decide(one, revision, {"n": 1}) is True
        assert opa.policies() == ["mine"]
        assert opa.data()["mine_too"] == {"x": 1}

    run(session())


def test_what_an_engine_that_crashed_left_there_is_removed(
    opa: Opa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Set(f"allow if input.n == {n}").revision() for n in (1, 2))

    async def session() -> None:
        with monkeypatch.context() as haste:
            haste.setattr(opa_module, "_FAREWELL_SECONDS", 0)
            async with backend(opa, tmp_path) as server:
                await server.publish(old)
        assert opa.policies() != []
        async with backend(opa, tmp_path) as server:
            await server.publish(new)
            await eventually(lambda: not any(old.id in each for each in opa.policies()))
            assert await decide(server, new, {"n": 2}) is True

    run(session())


def test_what_opa_refuses_is_an_error_at_its_place_and_leaves_nothing(opa: Opa, tmp_path: Path) -> None:
    """An OPA that takes Rego v1 only, and a set in v0."""
    refused = Set(text="package palisade.identity\n\nallow { input.n == 1 }\n", version=0).revision()
    good = Set("allow if input.n == 1").revision()

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(good)
            server.retain([good.id])
            with pytest.raises(rego.CompileError) as raised:
                await server.publish(refused)
            error = raised.value.errors[0]
            assert (error.file, error.row, error.code) == ("allow.rego", 3, "rego_parse_error")
            assert error.message.startswith("OPA refuses it: ")
            assert error.line == "allow { input.n == 1 }"
            await eventually(lambda: not any(refused.id in each for each in opa.policies()))
            assert await decide(server, good, {"n": 1}) is True
            assert server.health.problem == ""

    run(session())


def test_the_token_is_shown_renewed_and_never_told(
    start_opa: Callable[..., Opa], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opa = start_opa(token="s3cr3t")
    token = tmp_path / "token"
    token.write_text("wr0ng\n")
    revision = Set("allow if input.n == 1").revision()

    async def session() -> None:
        async with backend(opa, tmp_path, token=token) as server:
            await server.publish(revision)
            message = await fails_with(server, revision, "backend_unavailable")
            assert "401" in message or "unauthorized" in message
            token.write_text("s3cr3t\n")
            assert await recovers(lambda: decide(server, revision, {"n": 1})) is True
            token.write_text("two words")
            await eventually(lambda: "token" in server.health.problem)
            await asyncio.sleep(2.5)
            assert "token" in server.health.problem
            assert await decide(server, revision, {"n": 1}) is True  # the one before goes on
            opa.call("PUT", "/v1/data", {})  # and what else there is to do is done
            assert await recovers(lambda: decide(server, revision, {"n": 1})) is True
            caplog.records.append(logging.makeLogRecord({"msg": repr(server.health)}))

    run(session())
    for told in ("s3cr3t", "wr0ng", "two words"):
        assert told not in caplog.text
        assert not any(told in str(each.getMessage()) for each in caplog.records)


def test_an_input_that_is_no_unicode_is_denied_and_no_fault_of_opa(opa: Opa, tmp_path: Path) -> None:
    revision = Set("allow if input.n == 1").revision()

    async def session() -> None:
        async with backend(opa, tmp_path) as server:
            await server.publish(revision)
            with pytest.raises(rego.EvalError, match="UTF-8"):
                await decide(server, revision, {"n": "\ud800"})
            assert server.health.problem == ""

    run(session())


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("palisade.decide.backends.opa"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opa_client", None)
    inventory = Inventory(Path("f"), Path("p"), {}, backend=OpaSettings("http://127.0.0.1:1"))
    with pytest.raises(BackendSetupError, match=r"pip install 'palisade\[opa\]'"):
        backend_of(inventory)
