"""The keys of OIDC issuers: fetched, kept, renewed, and there when the issuer is not.

The engine fetches them, not each Envoy: so an issuer that is down stops nothing, a restart of the engine or
of a sidecar included, and a rotated key reaches all sidecars at one moment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import httpx

from palisade.policy.jwks import usable
from palisade.policy.providers import Discovery, InlineKeys, Provider

log = logging.getLogger(__name__)

_TIMEOUT = 5.0
_LONGEST = 20.0
"""Seconds for all of a fetch: one that sends a byte now and then would never end, and so never be renewed."""
_MOST_BYTES = 1 << 20
_FIRST_RETRY, _LAST_RETRY = 0.5, 10.0
_SOONEST = 2.0
"""Seconds between two fetches of one provider, whoever asks for them: a flood of bad tokens must not become
a flood of requests to the issuer."""


class KeysError(Exception):
    """An answer that holds no keys to use: what was wrong with it."""


@dataclass(eq=False)
class _Source:
    provider: Provider
    keys: str | None = None
    problem: str = ""
    announce: bool = False
    """Nobody waits for the first keys any more, so that a change of them must be told."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    first: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class KeyStore:
    """The keys of the providers that `use` names. Belongs to one event loop; `close` ends its work."""

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        """`folder` keeps the keys for a restart; `on_change` is called when keys become others."""
        self._folder = folder
        self._on_change = on_change
        self._sources: dict[Provider, _Source] = {}

    def of(self, providers: Iterable[Provider]) -> Mapping[str, str]:
        """The JSON Web Key Set of each of the providers whose keys are known, as text, by its name."""
        found = {each.name: self._sources[each].keys for each in providers if each in self._sources}
        return MappingProxyType({name: keys for name, keys in found.items() if keys is not None})

    @property
    def problems(self) -> list[str]:
        """What keeps keys from being fetched, a sentence for each provider that has trouble."""
        return [
            f"provider {provider.name}: {source.problem}"
            for provider, source in self._sources.items()
            if source.problem
        ]

    async def use(self, providers: Iterable[Provider], *, patience: float = 2.0) -> None:
        """Takes these providers from now on; waits up to `patience` seconds for the keys of new ones.

        Two may share a name: a canary's may be another issuer's than that of the revision in force.
        """
        wanted = dict.fromkeys(providers)
        for provider in [each for each in self._sources if each not in wanted]:
            await self._drop(provider)
        new = [_Source(each) for each in wanted if each not in self._sources]
        for source in new:
            self._sources[source.provider] = source
            if isinstance(source.provider.keys, InlineKeys):
                source.keys = source.provider.keys.jwks
                source.first.set()
                continue
            source.keys = await asyncio.to_thread(self._load, source.provider)
            source.task = asyncio.create_task(self._follow(source), name=f"keys of {source.provider.name}")
        waits = [source.first.wait() for source in new if source.keys is None]
        if waits:
            try:
                async with asyncio.timeout(patience):
                    await asyncio.gather(*waits)
            except TimeoutError:
                log.warning("%s", "; ".join(self.problems) or "the keys of a provider are late")
        for source in new:
            source.announce = True

    def refresh(self, name: str = "") -> None:
        """Fetch the keys of a provider soon, or of all: a token came that no known key has signed."""
        for source in self._sources.values():
            if name in ("", source.provider.name):
                source.wake.set()

    async def close(self) -> None:
        """Ends all fetching."""
        for provider in tuple(self._sources):
            await self._drop(provider)

    async def _drop(self, provider: Provider) -> None:
        source = self._sources.pop(provider)
        if source.task is not None:
            source.task.cancel()
            await asyncio.gather(source.task, return_exceptions=True)

    async def _follow(self, source: _Source) -> None:
        retry = _FIRST_RETRY
        async with client_of_issuers() as client:
            while True:
                source.wake.clear()
                try:
                    keys = await fetch(source.provider, client)
                except Exception as error:  # also one that nobody has thought of must not end the renewal
                    self._failed(source, error)
                    pause, retry = retry, min(retry * 2, _LAST_RETRY)
                else:
                    pause, retry = float(source.provider.cache_seconds), _FIRST_RETRY
                    await self._take(source, keys)
                source.first.set()
                await _pause(source.wake, pause)

    def _failed(self, source: _Source, error: Exception) -> None:
        problem = f"keys cannot be fetched: {error or type(error).__name__}"
        if source.keys is not None:
            problem += "; those fetched before stay in use"
        if problem != source.problem:
            unforeseen = None if isinstance(error, httpx.HTTPError | KeysError) else error
            log.warning("provider %s: %s", source.provider.name, problem, exc_info=unforeseen)
        source.problem = problem

    async def _take(self, source: _Source, keys: str) -> None:
        if source.problem:
            log.info("provider %s: keys can be fetched again", source.provider.name)
        source.problem = ""
        if keys == source.keys:
            return
        source.keys = keys
        await asyncio.to_thread(self._save, source.provider, keys)
        if source.announce:
            self._on_change()

    # The copy on disk -------------------------------------------------------------------------------

    def _file(self, provider: Provider) -> Path:
        return self._folder / f"{provider.name}.json"

    def _load(self, provider: Provider) -> str | None:
        try:
            kept = json.loads(self._file(provider).read_text(encoding="utf-8"))
            if kept["issuer"] == provider.issuer and kept["from"] == str(provider.keys):
                return str(kept["jwks"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the kept keys of provider %s cannot be read: %s", provider.name, error)
        return None

    def _save(self, provider: Provider, keys: str) -> None:
        content = {"issuer": provider.issuer, "from": str(provider.keys), "jwks": keys}
        file = self._file(provider)
        aside = file.with_suffix(".new")
        try:
            # Whoever could write here could make tokens of his own.
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                stream.write(json.dumps(content))
            aside.replace(file)
        except OSError as error:
            log.warning("the keys of provider %s cannot be kept for a restart: %s", provider.name, error)


async def _pause(wake: asyncio.Event, seconds: float) -> None:
    """Waits for so long, or until woken, but never less than a moment."""
    soonest = min(_SOONEST, seconds)
    started = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
    rest = soonest - (time.monotonic() - started)
    if rest > 0:
        await asyncio.sleep(rest)


def client_of_issuers() -> httpx.AsyncClient:
    """A client that keeps no cookies: with a malformed one each later request would fail."""
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=True, max_redirects=3, cookies=cookies)


async def fetch(provider: Provider, client: httpx.AsyncClient) -> str:
    """The JSON Web Key Set of a provider as text, its public keys only.

    Raises KeysError and httpx.HTTPError.
    """
    try:
        async with asyncio.timeout(_LONGEST):
            return await _fetched(provider, client)
    except TimeoutError:
        raise KeysError(f"no whole answer has come within {_LONGEST:g} s") from None


async def _fetched(provider: Provider, client: httpx.AsyncClient) -> str:
    keys = provider.keys
    assert not isinstance(keys, InlineKeys)  # noqa: S101 - those need no fetching
    url = keys.url
    if isinstance(keys, Discovery):
        configuration = await _json(client, url)
        issuer, named = configuration.get("issuer"), configuration.get("jwks_uri")
        # OpenID Connect Discovery 1.0, section 4.3: these must be the same, or anyone could speak for anyone.
        if issuer != provider.issuer:
            raise KeysError(f"{keys.url} speaks for the issuer {issuer!r}, not for {provider.issuer!r}")
        if not isinstance(named, str) or _scheme(named) not in ("http", "https"):
            raise KeysError(f"{keys.url} names no jwks_uri")
        if urlsplit(keys.url).scheme == "https" and _scheme(named) != "https":
            raise KeysError(f"{keys.url} names a jwks_uri without TLS: {named}")
        url = named
    found = usable(await _json(client, url))
    if found is None:
        raise KeysError(f"{url} gives no JSON Web Key Set with a key that can verify a token")
    return found


def _scheme(url: str) -> str:
    """Empty for what is no URL."""
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    try:
        httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:  # half a surrogate, as JSON can spell it
        raise KeysError(f"{url!a} is no URL: {error}") from None
    body = b""
    try:
        async with client.stream("GET", url, headers={"accept": "application/json"}) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise KeysError(f"{url} answers with more than {_MOST_BYTES} bytes")
    except (ValueError, ExceptionGroup) as error:  # a port beyond 65535, a host that no name can be
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        raise KeysError(f"{url!a} cannot be asked: {cause}") from error
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KeysError(f"{url} gives no JSON: {error}") from None
    if not isinstance(answer, dict):
        raise KeysError(f"{url} gives no JSON object")
    return answer
