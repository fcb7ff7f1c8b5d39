"""The keys of OIDC issuers: fetched, kept, renewed, and there when the issuer is not.

The engine fetches them, not each Envoy: so an issuer that is down stops nothing, a restart of the engine or
of a sidecar included, and a rotated key reaches all sidecars at one moment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import httpx

from palisade.files import reason, write_atomic
from palisade.policy.jwks import usable
from palisade.policy.providers import Discovery, InlineKeys, Keys, Provider

log = logging.getLogger(__name__)

_TIMEOUT = 5.0
_LONGEST = 20.0
"""Seconds for all of a fetch: one that sends a byte now and then would never end, and so never be renewed."""
_MOST_BYTES = 1 << 20
_MOST_REDIRECTS = 3
_FIRST_RETRY, _LAST_RETRY = 0.5, 10.0


class KeysError(Exception):
    """An answer that holds no keys to use: what was wrong with it."""


class NoKeysError(KeysError):
    """The issuer publishes a key set, and no key in it can verify a token: those before are withdrawn."""


_Origin = tuple[str, str, Keys]
"""The name that keys are kept by, whose they are, and where from."""


@dataclass(eq=False)
class _Source:
    provider: Provider
    """One of those that share the keys: what else they say may differ, and be edited."""
    cache_seconds: int
    keys: str | None = None
    """A JSON Web Key Set; empty where the issuer publishes none to use, None where nothing is known of it."""
    problem: str = ""
    unkept: str = ""
    """Why the keys are not on disk; empty where they are."""
    announce: bool = False
    """Nobody waits for the first keys any more, so that a change of them must be told."""
    first: asyncio.Event = field(default_factory=asyncio.Event)
    sooner: asyncio.Event = field(default_factory=asyncio.Event)
    """The keys are to be looked at more often."""
    task: asyncio.Task[None] | None = None


class KeyStore:
    """The keys of the providers that `use` names. Belongs to one event loop; `close` ends its work."""

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        """`folder` keeps the keys for a restart; `on_change` is called when keys become others."""
        self._folder = folder
        self._on_change = on_change
        self._sources: dict[_Origin, _Source] = {}

    def of(self, providers: Iterable[Provider]) -> Mapping[str, str]:
        """The JSON Web Key Set of each of the providers whose keys are known, as text, by its name."""
        known = ((each.name, self._sources.get(_origin(each))) for each in providers)
        return MappingProxyType({name: source.keys for name, source in known if source and source.keys})

    @property
    def problems(self) -> list[str]:
        """What keeps keys from being fetched, used or kept, in sentences that name the provider."""
        return [
            f"provider {source.provider.name}: {problem}"
            for source in self._sources.values()
            for problem in (source.problem, source.unkept)
            if problem
        ]

    async def use(self, providers: Iterable[Provider], *, patience: float = 2.0) -> None:
        """Takes these providers from now on; waits up to `patience` seconds for the keys of new ones.

        Two may share a name: a canary's may be another issuer's than that of the revision in force.
        """
        wanted: dict[_Origin, _Source] = {}
        for each in providers:
            source = wanted.setdefault(_origin(each), _Source(each, each.cache_seconds))
            source.cache_seconds = min(source.cache_seconds, each.cache_seconds)
        for origin in [each for each in self._sources if each not in wanted]:
            await self._drop(origin)
        for origin, known in self._sources.items():
            # It goes on with a fetch that is under way: edits that come faster would let none end.
            seconds = wanted.pop(origin).cache_seconds
            if seconds < known.cache_seconds:
                known.sooner.set()
            known.cache_seconds = seconds
        new = list(wanted.values())
        for origin, source in wanted.items():
            self._sources[origin] = source
            if isinstance(source.provider.keys, InlineKeys):
                source.keys = source.provider.keys.jwks
                source.first.set()
                continue
            source.keys = await asyncio.to_thread(self._load, source.provider)
            source.task = asyncio.create_task(self._follow(source), name=f"keys of {source.provider.name}")
        waits = [source.first.wait() for source in new if not source.keys]
        if waits:
            try:
                async with asyncio.timeout(patience):
                    await asyncio.gather(*waits)
            except TimeoutError:
                log.warning("%s", "; ".join(self.problems) or "the keys of a provider are late")
        for source in new:
            source.announce = True

    async def close(self) -> None:
        """Ends all fetching."""
        for origin in tuple(self._sources):
            await self._drop(origin)

    async def _drop(self, origin: _Origin) -> None:
        source = self._sources.pop(origin)
        if source.task is not None:
            source.task.cancel()
            await asyncio.gather(source.task, return_exceptions=True)

    async def _follow(self, source: _Source) -> None:
        retry = _FIRST_RETRY
        async with client_of_issuers() as client:
            while True:
                source.sooner.clear()
                try:
                    keys = await fetch(source.provider, client)
                except NoKeysError as error:
                    pause = inf
                    await self._take(source, "", f"{error}: its tokens count as none")
                except Exception as error:  # also one that nobody has thought of must not end the renewal
                    self._failed(source, error)
                    pause, retry = retry, min(retry * 2, _LAST_RETRY)
                else:
                    pause, retry = inf, _FIRST_RETRY
                    await self._take(source, keys)
                source.first.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause, source.cache_seconds)):
                        await source.sooner.wait()

    def _failed(self, source: _Source, error: Exception) -> None:
        follows = "those fetched before stay in use" if source.keys else "its tokens count as none"
        unforeseen = None if isinstance(error, httpx.HTTPError | KeysError) else error
        problem = f"keys cannot be fetched: {error or type(error).__name__}; {follows}"
        self._note(source, problem, unforeseen)

    def _note(self, source: _Source, problem: str, unforeseen: Exception | None = None) -> None:
        if problem and problem != source.problem:
            log.warning("provider %s: %s", source.provider.name, problem, exc_info=unforeseen)
        elif source.problem and not problem:
            log.warning("provider %s: its keys can be fetched again", source.provider.name)
        source.problem = problem

    async def _take(self, source: _Source, keys: str, problem: str = "") -> None:
        self._note(source, problem)
        changed = keys != source.keys
        if changed:
            source.keys = keys
            log.info("provider %s: its keys are %s", source.provider.name, _named(keys))
        if changed or source.unkept:
            unkept = await asyncio.to_thread(self._save, source.provider, keys)
            if unkept and unkept != source.unkept:
                log.warning("provider %s: %s", source.provider.name, unkept)
            source.unkept = unkept
        if changed and source.announce:
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

    def _save(self, provider: Provider, keys: str) -> str:
        """Returns why it could not, empty where it could."""
        content = {"issuer": provider.issuer, "from": str(provider.keys), "jwks": keys}
        file = self._file(provider)
        try:
            # Whoever could write here could make tokens of his own.
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(file, json.dumps(content).encode(), mode=0o600)
        except OSError as error:
            problem = f"its keys cannot be kept for a restart: {reason(error)}"
            try:
                # They are older, and may hold a key that the issuer has withdrawn since.
                file.unlink(missing_ok=True)
            except OSError as left:
                problem += f"; nor can those be removed that are kept there: {reason(left)}"
            return problem
        return ""


def _origin(provider: Provider) -> _Origin:
    return provider.name, provider.issuer, provider.keys


def _named(keys: str) -> str:
    named = [ascii(each.get("kid", "")) for each in json.loads(keys)["keys"]] if keys else []
    return ", ".join(named) or "none"


def client_of_issuers() -> httpx.AsyncClient:
    """A client that keeps no cookies: with a malformed one each later request would fail."""
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        timeout=_TIMEOUT, follow_redirects=True, max_redirects=_MOST_REDIRECTS, cookies=cookies
    )


async def fetch(provider: Provider, client: httpx.AsyncClient) -> str:
    """The JSON Web Key Set of a provider as text, its public keys only.

    Raises KeysError, and NoKeysError where it has published that there are none.
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
    answer = await _json(client, url)
    if not isinstance(answer.get("keys"), list):
        raise KeysError(f"{url} gives no JSON Web Key Set")
    found = usable(answer)
    if found is None:
        raise NoKeysError(f"{url} publishes no key that can verify a token")
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
            _stays_with_tls(response)
            if not response.is_success:
                raise KeysError(f"{url} answers with {response.status_code} {response.reason_phrase}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise KeysError(f"{url} answers with more than {_MOST_BYTES} bytes")
    except httpx.TimeoutException as error:
        raise KeysError(f"{url} does not answer within {_TIMEOUT:g} s") from error
    except httpx.TooManyRedirects as error:
        raise KeysError(f"{url} redirects more than {_MOST_REDIRECTS} times") from error
    # Of these ValueError is for a port beyond 65535, a group for a host that no name can be.
    except (httpx.HTTPError, ValueError, ExceptionGroup) as error:
        raise KeysError(f"{url!a} cannot be asked: {_cause(error)}") from error
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KeysError(f"{url} gives no JSON: {error}") from None
    if not isinstance(answer, dict):
        raise KeysError(f"{url} gives no JSON object")
    return answer


def _stays_with_tls(response: httpx.Response) -> None:
    """Raises KeysError where redirects have led from https to http: anybody on the way could answer there."""
    visited = [each.url for each in (*response.history, response)]
    plain = next((str(each) for each in visited if each.scheme != "https"), None)
    if visited[0].scheme == "https" and plain:
        raise KeysError(f"{visited[0]} redirects to a place without TLS: {plain}")


def _cause(error: BaseException) -> str:
    """What is at the bottom of it: "connection refused" says more than "all connection attempts failed"."""
    while inner := _inner(error):
        error = inner
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name the authority that has signed it in SSL_CERT_FILE, where that is one of your own"
        return f"its certificate is not taken, {error.verify_message}: {hint}"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return reason(error) or type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    return error.__cause__ or error.__context__
