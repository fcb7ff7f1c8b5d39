"""An issuer whose answers a test can change, and a store of keys that tells when they have changed."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt.algorithms
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from palisade.control.keys import KeyStore
from palisade.policy.providers import Discovery, Provider


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
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Issuer]:
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
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    issuer.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
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

    async def use(self, providers: Iterable[Provider], *, patience: float = 30.0) -> None:
        """Patient: a busy machine takes longer for an answer than an engine waits for it."""
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
