"""What issuers answer when they are asked for their keys: what is taken of it, and what is refused."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from issuer_helpers import key, serving
from shared_helpers import run

from palisade.control import keys as module
from palisade.control.keys import KeysError, NoKeysError, client_of_issuers, fetch
from palisade.pki.authority import Authority
from palisade.policy.providers import RemoteKeys


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
        ({"/keys": {"keys": {}}}, "gives no JSON Web Key Set"),
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


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [{"kty": "oct", "k": "c2VjcmV0"}],
        [{"kty": "EC", "crv": ["P-256"]}],
        [{**key("one"), "alg": "none"}],
        [{**key("one"), "use": "enc"}],
        [{**key("one"), "key_ops": ["encrypt"]}],
        [{**key("one"), "key_ops": "verify"}],
    ],
)
def test_a_set_without_a_key_that_verifies_tokens_says_that_there_is_none(keys: list[dict[str, Any]]) -> None:
    """Other than an answer that cannot be read: an issuer that says so has withdrawn the keys before."""

    async def session() -> None:
        async with serving() as issuer, client_of_issuers() as client:
            issuer.publish(*keys)
            with pytest.raises(NoKeysError, match="publishes no key that can verify a token"):
                await fetch(issuer.provider(), client)

    run(session())


def test_errors_name_the_place_and_what_is_the_matter_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.2)

    async def session() -> None:
        asked_enough = asyncio.Event()

        async def hang(_: web.Request) -> web.Response:
            await asked_enough.wait()
            return web.Response()

        async def around(request: web.Request) -> web.Response:
            raise web.HTTPFound(request.url)

        async with client_of_issuers() as client:
            async with serving() as issuer:
                place = f"{issuer.url}/keys"
                provider = issuer.provider(keys=RemoteKeys(place))
                with pytest.raises(KeysError, match=f"{place} answers with 503 Service Unavailable"):
                    await fetch(provider, client)
                issuer.answers["/keys"] = around
                with pytest.raises(KeysError, match=f"{place} redirects more than 3 times"):
                    await fetch(provider, client)
                issuer.answers["/keys"] = hang
                with pytest.raises(KeysError, match=f"{place} does not answer within 0.2 s"):
                    await fetch(provider, client)
                asked_enough.set()
            with pytest.raises(KeysError, match=f"'{place}' cannot be asked: Connection refused"):
                await fetch(provider, client)

    run(session())


@pytest.mark.parametrize("redirected", ["/keys", "/.well-known/openid-configuration"])
def test_no_redirect_leads_from_https_to_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redirected: str
) -> None:
    """Whoever is on the way to the other place could answer with keys of his own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls" / "bundle.pem"))

    async def session() -> None:
        async with serving(certified(tmp_path)) as issuer, serving() as other, client_of_issuers() as client:
            issuer.publish(key("one"))
            assert "one" in await fetch(issuer.provider(), client)

            async def away(_: web.Request) -> web.Response:
                raise web.HTTPFound(f"{other.url}{redirected}")

            other.answers = dict(issuer.answers)
            issuer.answers[redirected] = away
            with pytest.raises(KeysError, match=f"redirects to a place without TLS: {other.url}"):
                await fetch(issuer.provider(), client)

    run(session())


def test_a_certificate_that_nobody_vouches_for_is_refused_and_the_error_says_what_to_do(
    tmp_path: Path,
) -> None:
    async def session() -> None:
        async with serving(certified(tmp_path)) as issuer, client_of_issuers() as client:
            issuer.publish(key("one"))
            with pytest.raises(KeysError, match=r"its certificate is not taken, .*SSL_CERT_FILE"):
                await fetch(issuer.provider(), client)

    run(session())


def certified(folder: Path) -> ssl.SSLContext:
    """A server's certificate, by an authority of its own."""
    authority = Authority.open(folder / "authority")
    authority.issue_engine().save(folder / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls" / "certificate.pem", folder / "tls" / "key.pem")
    return context


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
            issuer.publish(
                {**key("one"), "d": "c2VjcmV0"},
                {**key("two"), "use": "enc"},
                {**key("three"), "key_ops": ["wrapKey"]},
            )
            found = json.loads(await fetch(issuer.provider(), client))
            assert [each["kid"] for each in found["keys"]] == ["one"]
            assert "d" not in found["keys"][0]

    run(session())
