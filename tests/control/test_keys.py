"""Keys of issuers: discovered, rotated, kept for when the issuer is down, and never trusted blindly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt.algorithms
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from shared_helpers import run

from palisade.control import keys as module
from palisade.control.keys import KeysError, KeyStore, client_of_issuers, fetch
from palisade.policy.providers import Discovery, InlineKeys, Provider, RemoteKeys


def key(name: str) -> dict[str, Any]:
    private = ec.generate_private_key(ec.SECP256R1())
    text = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key())
    return {**json.loads(text), "kid": name, "use": "sig", "alg": "ES256"}


class Issuer:
    """An issuer whose answers a test can change."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Any] = {}
        self.asked = 0

    def publish(self, *keys: dict[str, Any]) -> None:
        self.answers["/keys"] = {"keys": list(keys)}
        self.answers["/.well-known/openid-configuration"] = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
        }

    def provider(self, **changes: Any) -> Provider:
        given = {"keys": Discovery(f"{self.url}/.well-known/openid-configuration"), **changes}
        return Provider("corp", self.url, ("a",), **given)


@asynccontextmanager
async def serving() -> AsyncIterator[Issuer]:
    issuer = Issuer()

    async def answer(request: web.Request) -> web.Response:
        issuer.asked += 1
        if request.path not in issuer.answers:
            return web.Response(status=503)
        content = issuer.answers[request.path]
        if callable(content):
            found: web.Response = await content(request)
            return found
        return web.Response(text=content if isinstance(content, str) else json.dumps(content))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield issuer
    finally:
        await runner.cleanup()


class Store(KeyStore):
    """A store that tells when its keys have changed."""

    def __init__(self, folder: Path) -> None:
        self.changed = asyncio.Event()
        self.used: tuple[Provider, ...] = ()
        super().__init__(folder, self.changed.set)

    async def use(self, providers: Iterable[Provider], *, patience: float = 2.0) -> None:
        self.used = tuple(providers)
        await super().use(self.used, patience=patience)

    @property
    def keys(self) -> Mapping[str, str]:
        return self.of(self.used)

    def kids(self) -> list[str]:
        return [each["kid"] for each in json.loads(self.keys["corp"])["keys"]] if self.keys else []

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await self.changed.wait()
                self.changed.clear()


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


def test_keys_can_be_asked_for_but_not_in_a_flood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SOONEST", 0.3)

    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(keys=RemoteKeys(f"{issuer.url}/keys"))])
            issuer.publish(key("two"))
            for _ in range(50):
                store.refresh("corp")
                await asyncio.sleep(0.01)
            await store.until(lambda: store.kids() == ["two"])
            assert issuer.asked <= 4
            await store.close()

    run(session())


def test_an_issuer_that_is_down_changes_nothing_even_over_a_restart(tmp_path: Path) -> None:
    async def session() -> None:
        async with serving() as issuer:
            issuer.publish(key("one"))
            store = Store(tmp_path)
            await store.use([issuer.provider(cache_seconds=1)])
            issuer.answers.clear()
            for _ in range(100):
                if store.problems:
                    break
                await asyncio.sleep(0.05)
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
            async with asyncio.timeout(2):
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


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"/.well-known/openid-configuration": {"issuer": "https://evil.example"}}, "speaks for the issuer"),
        ({"/.well-known/openid-configuration": {"jwks_uri": "file:///etc/passwd"}}, "names no jwks_uri"),
        ({"/.well-known/openid-configuration": {"jwks_uri": None}}, "names no jwks_uri"),
        ({"/.well-known/openid-configuration": {"jwks_uri": "http://[a/"}}, "names no jwks_uri"),
        ({"/.well-known/openid-configuration": {"jwks_uri": "http://a:b/"}}, "is no URL"),
        ({"/.well-known/openid-configuration": {"jwks_uri": "http://a/\ud800"}}, "is no URL"),
        ({"/.well-known/openid-configuration": {"jwks_uri": "http://127.0.0.1:99999/"}}, "cannot be asked"),
        ({"/.well-known/openid-configuration": {"jwks_uri": "http://xn--/"}}, "cannot be asked"),
        ({"/.well-known/openid-configuration": "<html>"}, "gives no JSON"),
        ({"/keys": []}, "gives no JSON object"),
        ({"/keys": {"keys": []}}, "no JSON Web Key Set with a key"),
        ({"/keys": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "no JSON Web Key Set with a key"),
        ({"/keys": {"keys": [{"kty": "EC", "crv": ["P-256"]}]}}, "no JSON Web Key Set with a key"),
        ({"/keys": {"keys": [{**key("one"), "alg": "none"}]}}, "no JSON Web Key Set with a key"),
        ({"/keys": "[" * 100_000}, "gives no JSON"),
        ({"/keys": " " * (2 << 20)}, "more than"),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_refused(changes: dict[str, Any], error: str) -> None:
    async def session() -> None:
        async with serving() as issuer, client_of_issuers() as client:
            issuer.publish(key("one"))
            for path, content in changes.items():
                known = issuer.answers[path]
                issuer.answers[path] = (
                    {**known, **content} if isinstance(content, dict) and "keys" not in content else content
                )
            with pytest.raises(KeysError, match=error):
                await fetch(issuer.provider(), client)

    run(session())


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then is no timeout of a connection: the keys were never renewed, and nobody told."""
    monkeypatch.setattr(module, "_LONGEST", 0.3)

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    async def session() -> None:
        async with serving() as issuer, client_of_issuers() as client:
            issuer.publish(key("one"))
            issuer.answers["/keys"] = drip
            with pytest.raises(KeysError, match="no whole answer"):
                await fetch(issuer.provider(), client)

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


def test_what_envoy_does_not_read_of_a_key_goes_no_further() -> None:
    """Envoy refuses all of a configuration for a number or a text in it that is none to its parser."""

    async def session() -> None:
        async with serving() as issuer, client_of_issuers() as client:
            one = json.dumps(key("one"))[:-1] + ', "x5c": ["a"], "extra": 1e400, "more": "\\ud800"}'
            issuer.publish()
            issuer.answers["/keys"] = f'{{"keys": [{one}, {json.dumps(key(chr(0xD800)))}]}}'
            [found] = json.loads(await fetch(issuer.provider(), client))["keys"]
            assert found.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}

    run(session())


def test_private_parts_and_keys_for_other_uses_go_no_further() -> None:
    async def session() -> None:
        async with serving() as issuer, httpx.AsyncClient() as client:
            issuer.publish({**key("one"), "d": "c2VjcmV0"}, {**key("two"), "use": "enc"})
            found = json.loads(await fetch(issuer.provider(), client))
            assert [each["kid"] for each in found["keys"]] == ["one"]
            assert "d" not in found["keys"][0]

    run(session())
