"""What issuers answer when they are asked for their keys: what is taken of it, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from aiohttp import web
from issuer_helpers import key, serving
from shared_helpers import run

from palisade.control import keys as module
from palisade.control.keys import KeysError, client_of_issuers, fetch


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
