"""Keys of issuers: discovered, rotated, kept for when the issuer is down, and never trusted blindly."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from issuer_helpers import Store, key, serving
from shared_helpers import eventually, run

from palisade.control import keys as module
from palisade.control.keys import fetch
from palisade.policy.providers import InlineKeys, Provider, RemoteKeys


def test_keys_are_discovered_before_the_first_revision_goes_out(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider()])
            assert store.kids() == ["one"]
            assert not store.changed.is_set(), "who waited for the keys needs not be told of them"
            assert store.problems == []
            await store.close()

    run(session())


def test_a_rotated_key_arrives_without_a_restart(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            issuer.publish(key("one"), key("two"))
            await store.until(lambda: store.kids() == ["one", "two"])
            issuer.publish(key("two"))
            await store.until(lambda: store.kids() == ["two"])
            await store.close()

    run(session())


def test_edits_of_a_provider_keep_no_withdrawn_key_in_use(tmp_path: Path) -> None:
    """Each began to fetch the keys anew, and ended what was under way: where they came faster than the issuer
    answers, none was ever fetched."""

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            published = issuer.answers["/keys"]

            async def slowly(_: web.Request) -> web.Response:
                await asyncio.sleep(0.5)
                return web.json_response(published)

            published = {"keys": [key("two")]}
            issuer.answers["/keys"] = slowly
            for skew in range(60):
                before, edited = store.used, issuer.provider(cache_seconds=1, clock_skew_seconds=skew)
                await store.use((*before, edited))  # as an edit is put in force
                await store.use([edited])
                await asyncio.sleep(0.1)
                if store.kids() == ["two"]:
                    break
            assert store.kids() == ["two"]
            await store.close()

    run(session())


def test_keys_are_looked_for_more_often_as_soon_as_a_provider_says_so(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=86_400)])
            issuer.publish(key("two"))
            await store.use([issuer.provider(cache_seconds=1)])
            await store.until(lambda: store.kids() == ["two"])
            issuer.publish(key("three"))
            await store.until(lambda: store.kids() == ["three"])
            await store.close()

    run(session())


def test_an_issuer_that_is_down_changes_nothing_even_over_a_restart(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            issuer.answers.clear()
            await eventually(lambda: store.problems)
            assert "503" in store.problems[0]
            assert "those fetched before stay in use" in store.problems[0]
            assert store.kids() == ["one"]
            await store.close()
            again = Store(tmp_path)
            await again.use([issuer.provider(cache_seconds=1)])
            assert again.kids() == ["one"]
            issuer.publish(key("two"))
            await again.until(lambda: again.kids() == ["two"])
            assert again.problems == []
            await again.close()

    run(session())


def test_keys_are_looked_for_as_often_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pause that grew beyond `cache_seconds`, a withdrawn key stayed in use for longer."""
    monkeypatch.setattr(module, "_FIRST_RETRY", 60.0)

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            issuer.answers.clear()
            await eventually(lambda: bool(store.problems))
            issuer.publish(key("two"))
            await store.until(lambda: store.kids() == ["two"])
            await store.close()

    run(session())


def test_an_issuer_that_publishes_no_key_any_more_has_withdrawn_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not down, it says that none is in force: those before are used no more, nor after a restart."""

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            issuer.publish({**key("one"), "use": "enc"})
            await store.until(lambda: store.keys == {})
            assert f"{issuer.url}/keys publishes no key that can verify a token" in store.problems[0]
            await store.close()
            issuer.answers.clear()
            again = Store(tmp_path)
            await again.use([issuer.provider(cache_seconds=1)], patience=0.2)
            await eventually(lambda: bool(again.problems))
            assert again.keys == {}
            issuer.publish(key("two"))
            await again.until(lambda: again.kids() == ["two"])
            assert again.problems == []
            await again.close()

    run(session())
    assert "its keys can be fetched again" in caplog.text


def test_keys_that_cannot_be_kept_leave_no_older_ones_for_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was on disk then has a key that the issuer has withdrawn."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            with monkeypatch.context() as patch:
                patch.setattr(module, "write_atomic", full)
                issuer.publish(key("two"))
                await store.until(lambda: store.kids() == ["two"])
                assert "cannot be kept for a restart: No space left" in store.problems[0]
                again = Store(tmp_path)
                issuer.answers.clear()
                await again.use([issuer.provider(cache_seconds=1)], patience=0.2)
                assert again.kids() == []
                await again.close()
            issuer.publish(key("two"))
            await eventually(lambda: not store.problems)  # there is room again
            issuer.answers.clear()
            later = Store(tmp_path)
            await later.use([issuer.provider(cache_seconds=1)])
            assert later.kids() == ["two"] == store.kids()
            await later.close()
            await store.close()

    run(session())


def test_an_edit_of_what_a_provider_accepts_goes_on_with_the_keys_in_use(tmp_path: Path) -> None:
    """Those on disk may be older, or lost."""

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider()])
            issuer.answers.clear()
            (tmp_path / "corp.json").unlink()
            await store.use([issuer.provider(clock_skew_seconds=5)], patience=0.2)
            assert store.kids() == ["one"]
            await store.close()

    run(session())


def test_kept_keys_are_not_used_for_another_issuer(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider()])
            await store.close()
            issuer.answers.clear()
            again = Store(tmp_path)
            other = Provider("corp", "https://else.example", ("a",), RemoteKeys(f"{issuer.url}/keys"))
            await again.use([other], patience=0.2)
            assert again.kids() == []
            await again.close()

    run(session())


def test_an_issuer_that_is_slow_at_the_start_holds_nothing_up(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            store = Store(tmp_path)
            async with asyncio.timeout(20):
                await store.use([issuer.provider()], patience=0.2)
            assert store.keys == {}
            issuer.publish(key("one"))
            await store.until(lambda: store.kids() == ["one"])
            await store.close()

    run(session())


def test_a_provider_that_is_gone_is_asked_no_more(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            await store.use([])
            asked = issuer.asked
            await asyncio.sleep(1.3)
            assert issuer.asked == asked
            assert store.keys == {}
            await store.close()

    run(session())


def test_two_providers_may_share_a_name_as_those_of_a_canary_do(tmp_path: Path) -> None:
    async def session() -> None:
        store = Store(tmp_path)
        one, other = (json.dumps({"keys": [key(name)]}) for name in ("one", "other"))
        old = Provider("corp", "https://old.example", ("a",), InlineKeys(one))
        new = Provider("corp", "https://new.example", ("a",), InlineKeys(other))
        await store.use([old, new])
        assert (store.of([old]), store.of([new])) == ({"corp": one}, {"corp": other})
        await store.use([new])
        assert (store.of([old]), store.of([new])) == ({}, {"corp": other})
        await store.close()

    run(session())


def test_inline_keys_need_no_issuer(tmp_path: Path) -> None:
    async def session() -> None:
        store = Store(tmp_path)
        jwks = json.dumps({"keys": [key("one")]})
        await store.use([Provider("corp", "https://gone.example", ("a",), InlineKeys(jwks))])
        assert store.keys == {"corp": jwks}
        await store.close()

    run(session())


def test_renewal_goes_on_after_whatever_an_issuer_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A malformed cookie, kept, failed each later request, and a failure that nobody had thought of ended the
    renewal: a key that the issuer has withdrawn stayed in use. The log says where such a failure is from."""
    failures = iter((RuntimeError("nobody has thought of this"),))

    async def failing_once(provider: Provider, client: httpx.AsyncClient) -> str:
        for failure in failures:
            raise failure
        return await fetch(provider, client)

    async def with_cookie(_: web.Request) -> web.Response:
        return web.Response(
            text=json.dumps({"keys": [key("one")]}), headers={"set-cookie": "\xff=\xff; path=/"}
        )

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish()
            issuer.answers["/keys"] = with_cookie
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            assert store.kids() == ["one"]
            monkeypatch.setattr(module, "fetch", failing_once)
            issuer.publish(key("two"))
            await store.until(lambda: store.kids() == ["two"])
            assert next(failures, None) is None
            assert "in failing_once" in caplog.text
            assert store.problems == []
            await store.close()

    run(session())
